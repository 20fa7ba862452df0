//! The bytes that RocksDB keeps of an entry, and a canonical savepoint of either backend: how values of each kind of
//! state are written and read.

use super::{LIST_DELIMITER, snapshot::damaged};
use crate::state::{Codec, StateError, StateResult};

/// Null flag of a map value: a value follows.
const NOT_NULL: u8 = 0;

/// Writes the value of a map entry.
pub(super) fn encode_map_value<T: Codec>(value: &T, out: &mut Vec<u8>) {
    out.push(NOT_NULL);
    value.encode(out);
}

/// Reads the value of a map entry.
#[cfg(feature = "rocksdb")]
pub(super) fn decode_map_value<T: Codec>(mut bytes: &[u8]) -> StateResult<T> {
    take_map_value(&mut bytes)
}

fn take_map_value<T: Codec>(bytes: &mut &[u8]) -> StateResult<T> {
    let null = bool::decode(bytes)?;
    if null {
        return Err(StateError::Storage("a map entry holds null, which statebench never writes".to_owned()));
    }
    Ok(T::decode(bytes)?)
}

/// Reads a list as Flink does.
#[cfg(feature = "rocksdb")]
pub(super) fn decode_list<T: Codec>(mut bytes: &[u8]) -> StateResult<Vec<T>> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        list.push(T::decode(&mut bytes)?);
        // The delimiter is skipped blindly, as Flink does: elements end by themselves.
        bytes = bytes.get(1..).unwrap_or_default();
    }
    Ok(list)
}

/// Reads a value that takes all of the bytes, as one from outside the backend must.
pub(super) fn restore_value<T: Codec>(bytes: &[u8]) -> StateResult<T> {
    whole(bytes, |rest| Ok(T::decode(rest)?))
}

/// The same of the value of a map entry.
pub(super) fn restore_map_value<T: Codec>(bytes: &[u8]) -> StateResult<T> {
    whole(bytes, take_map_value)
}

/// The same of a list, which has an element at least and a delimiter between each two.
pub(super) fn restore_list<T: Codec>(mut bytes: &[u8]) -> StateResult<Vec<T>> {
    let mut list = Vec::new();
    loop {
        list.push(T::decode(&mut bytes)?);
        match bytes.split_first() {
            None => return Ok(list),
            Some((&LIST_DELIMITER, rest)) => bytes = rest,
            Some(_) => return Err(damaged("another byte than a comma stands between two elements of a list")),
        }
    }
}

fn whole<T>(bytes: &[u8], read: impl FnOnce(&mut &[u8]) -> StateResult<T>) -> StateResult<T> {
    let mut rest = bytes;
    let value = read(&mut rest)?;
    if rest.is_empty() { Ok(value) } else { Err(damaged(format!("{} bytes follow a value", rest.len()))) }
}
