//! The state backends, and what wraps them.
//!
//! A backend is one folder (or file) that implements [`KeyedStateBackend`](crate::state::KeyedStateBackend), a variant
//! of [`BackendType`](crate::workload::BackendType) and one arm in `run/dispatch.rs`.

pub mod heap;
mod metered;
mod null;
#[cfg(feature = "rocksdb")]
mod rocksdb;
#[cfg(test)]
#[cfg(feature = "rocksdb")]
mod tests;

pub use heap::HeapBackend;
pub use metered::Metered;
pub use null::NullBackend;
#[cfg(feature = "rocksdb")]
pub use rocksdb::{ROCKSDB_VERSION, RocksDbBackend, SlotMemory, db_options as rocksdb_options};

use crate::state::Codec;

/// What RocksDB's merge operator puts between two elements of a list.
const LIST_DELIMITER: u8 = b',';

/// Writes a list as RocksDB stores it: the elements joined by a comma, no count.
fn encode_list<T: Codec>(list: &[T], out: &mut Vec<u8>) {
    for (position, element) in list.iter().enumerate() {
        if position > 0 {
            out.push(LIST_DELIMITER);
        }
        element.encode(out);
    }
}

/// The fingerprint of a list: the hash of its bytes as RocksDB stores it.
fn list_fingerprint<T: Codec>(list: &[T], scratch: &mut Vec<u8>) -> u64 {
    scratch.clear();
    encode_list(list, scratch);
    xxhash_rust::xxh3::xxh3_64(scratch)
}
