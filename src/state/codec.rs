//! Flink's serializers: how a typed object becomes bytes.
//!
//! The formats are those of Flink's basic `TypeSerializer`s (fixed-width numbers big endian, strings as var-ints of
//! UTF-16 units, lists and maps with an `int32` count), so that a state has the same size in bytes as in a Flink job.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use super::serializer::{Serializer, SimpleSerializer};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes that do not decode as the type that the state was registered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("state bytes do not decode as {expected}: {reason}")]
pub struct CodecError {
    expected: &'static str,
    reason: &'static str,
}

impl CodecError {
    /// Bytes that are not of the type, and why.
    pub const fn new(expected: &'static str, reason: &'static str) -> Self {
        Self { expected, reason }
    }
}

const fn truncated(expected: &'static str) -> CodecError {
    CodecError { expected, reason: "the input ends too early" }
}

/// A type that Flink's serializers can write and read.
pub trait Codec: Sized {
    /// The encoded length where it is the same for every value: what Flink's `TypeSerializer.getLength()` tells.
    /// `None` for a variable length.
    const FIXED_LEN: Option<usize>;
    /// Whether values keep the time of their last access.
    const IS_TIMED: bool = false;

    /// The serializer of Flink that writes the same bytes.
    fn serializer() -> Serializer;

    /// Appends the encoded value to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads one value from the front of `input` and moves `input` behind it.
    ///
    /// # Errors
    /// The bytes are too few, or are not a value of this type.
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError>;

    /// When the value was last accessed, ms of processing time, where it keeps that for a TTL.
    #[inline]
    fn last_access_ms(&self) -> Option<i64> {
        None
    }

    /// A 64-bit hash of the content, the same on every platform: two values that are equal have equal fingerprints
    /// whatever order a map iterates in. `scratch` is emptied and used as working space.
    fn fingerprint(&self, scratch: &mut Vec<u8>) -> u64 {
        scratch.clear();
        self.encode(scratch);
        xxh3_64(scratch)
    }
}

macro_rules! big_endian {
    ($($type:ty = $serializer:ident),*) => {$(
        impl Codec for $type {
            const FIXED_LEN: Option<usize> = Some(size_of::<$type>());
            fn serializer() -> Serializer {
                SimpleSerializer::$serializer.into()
            }
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            #[inline]
            fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
                let (bytes, rest) = input.split_first_chunk().ok_or(truncated(stringify!($type)))?;
                *input = rest;
                Ok(<$type>::from_be_bytes(*bytes))
            }
        }
    )*};
}
big_endian!(i32 = Int, i64 = Long, f64 = Double);

impl Codec for bool {
    const FIXED_LEN: Option<usize> = Some(1);
    fn serializer() -> Serializer {
        SimpleSerializer::Boolean.into()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        match take_byte(input, "bool")? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError { expected: "bool", reason: "the byte is neither 0 nor 1" }),
        }
    }
}

/// A string as Flink's `StringSerializer` writes it: var-int of the number of UTF-16 units plus one (0 is null), then
/// every unit as a var-int. A var-int holds 7 bits a byte, low group first, the high bit set while more follow.
impl Codec for String {
    const FIXED_LEN: Option<usize> = None;
    fn serializer() -> Serializer {
        SimpleSerializer::String.into()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        encode_str(self, out);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        decode_str(input)
    }
}

/// See the [`Codec`] of `String`.
pub fn encode_str(text: &str, out: &mut Vec<u8>) {
    if text.is_ascii() {
        encode_var_int(text.len() as u32 + 1, out);
        out.extend_from_slice(text.as_bytes());
    } else {
        encode_var_int(text.encode_utf16().count() as u32 + 1, out);
        for unit in text.encode_utf16() {
            encode_var_int(u32::from(unit), out);
        }
    }
}

fn decode_str(input: &mut &[u8]) -> Result<String, CodecError> {
    let units = decode_var_int(input, "String")?;
    let Some(units) = units.checked_sub(1) else {
        return Err(CodecError { expected: "String", reason: "the string is null" });
    };
    // Each unit takes at least a byte: a count beyond the input is refused before it reserves memory.
    if units as usize > input.len() {
        return Err(truncated("String"));
    }
    let mut text = Vec::with_capacity(units as usize);
    for _ in 0..units {
        let unit = decode_var_int(input, "String")?;
        text.push(
            u16::try_from(unit)
                .map_err(|_| CodecError { expected: "String", reason: "a unit is larger than 16 bits" })?,
        );
    }
    String::from_utf16(&text).map_err(|_| CodecError { expected: "String", reason: "not valid UTF-16" })
}

/// Appends a var-int: 7 bits a byte, low group first.
pub fn encode_var_int(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn decode_var_int(input: &mut &[u8], expected: &'static str) -> Result<u32, CodecError> {
    let mut value = 0_u32;
    for shift in (0..32).step_by(7) {
        let byte = take_byte(input, expected)?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(CodecError { expected, reason: "a var-int is longer than 5 bytes" })
}

fn take_byte(input: &mut &[u8], expected: &'static str) -> Result<u8, CodecError> {
    let (&byte, rest) = input.split_first().ok_or(truncated(expected))?;
    *input = rest;
    Ok(byte)
}

fn take_count(input: &mut &[u8], expected: &'static str) -> Result<usize, CodecError> {
    let count = i32::decode(input).map_err(|_| truncated(expected))?;
    let count = usize::try_from(count).map_err(|_| CodecError { expected, reason: "the count is negative" })?;
    if count > input.len() {
        return Err(truncated(expected));
    }
    Ok(count)
}

/// An opaque user value, a `byte[]` in Java: `int32` length, then the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Payload(pub Box<[u8]>);

impl Payload {
    /// A hash of the length and the first 8 bytes: enough for an operator's output to depend on what it read,
    /// without walking a large value in the timed section.
    #[inline]
    pub fn head(&self) -> u64 {
        let head = self.0.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        head ^ (self.0.len() as u64).rotate_left(48)
    }
}

impl Codec for Payload {
    const FIXED_LEN: Option<usize> = None;
    fn serializer() -> Serializer {
        SimpleSerializer::Bytes.into()
    }
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        (self.0.len() as i32).encode(out);
        out.extend_from_slice(&self.0);
    }
    #[inline]
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let count = take_count(input, "byte[]")?;
        let (bytes, rest) = input.split_at(count);
        *input = rest;
        Ok(Self(bytes.into()))
    }
}

impl<A: Codec, B: Codec> Codec for (A, B) {
    const FIXED_LEN: Option<usize> = match (A::FIXED_LEN, B::FIXED_LEN) {
        (Some(a), Some(b)) => Some(a + b),
        _ => None,
    };
    fn serializer() -> Serializer {
        Serializer::tuple([A::serializer(), B::serializer()])
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok((A::decode(input)?, B::decode(input)?))
    }
}

impl<A: Codec, B: Codec, C: Codec> Codec for (A, B, C) {
    const FIXED_LEN: Option<usize> = match (A::FIXED_LEN, B::FIXED_LEN, C::FIXED_LEN) {
        (Some(a), Some(b), Some(c)) => Some(a + b + c),
        _ => None,
    };
    fn serializer() -> Serializer {
        Serializer::tuple([A::serializer(), B::serializer(), C::serializer()])
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
        self.2.encode(out);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok((A::decode(input)?, B::decode(input)?, C::decode(input)?))
    }
}

/// A list held as one value: `int32` count, then the elements.
impl<T: Codec> Codec for Vec<T> {
    const FIXED_LEN: Option<usize> = None;
    fn serializer() -> Serializer {
        Serializer::list(T::serializer())
    }
    fn encode(&self, out: &mut Vec<u8>) {
        (self.len() as i32).encode(out);
        for element in self {
            element.encode(out);
        }
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let count = take_count(input, "List")?;
        (0..count).map(|_| T::decode(input)).collect()
    }
}

/// A map held as one value: `int32` size, then for each entry the key, one null-flag byte (0 = a value follows), the
/// value. The order is the map's own, as in Java.
impl<K: Codec + Eq + Hash, V: Codec, S: BuildHasher + Default> Codec for HashMap<K, V, S> {
    const FIXED_LEN: Option<usize> = None;
    fn serializer() -> Serializer {
        Serializer::map(K::serializer(), V::serializer())
    }
    fn encode(&self, out: &mut Vec<u8>) {
        (self.len() as i32).encode(out);
        for (key, value) in self {
            key.encode(out);
            out.push(0);
            value.encode(out);
        }
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let count = take_count(input, "Map")?;
        // Room for no more than the input can hold.
        let least_entry = K::FIXED_LEN.unwrap_or(1) + 1 + V::FIXED_LEN.unwrap_or(1);
        let mut map = Self::with_capacity_and_hasher(count.min(input.len() / least_entry), S::default());
        for _ in 0..count {
            let key = K::decode(input)?;
            if take_byte(input, "Map")? != 0 {
                return Err(CodecError { expected: "Map", reason: "a value is null" });
            }
            map.insert(key, V::decode(input)?);
        }
        Ok(map)
    }
    fn fingerprint(&self, scratch: &mut Vec<u8>) -> u64 {
        self.iter().fold(self.len() as u64, |sum, (key, value)| {
            scratch.clear();
            key.encode(scratch);
            value.encode(scratch);
            sum.wrapping_add(xxh3_64(scratch))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes<T: Codec>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    fn round_trips<T: Codec + PartialEq + std::fmt::Debug>(value: &T) {
        let encoded = bytes(value);
        if let Some(len) = T::FIXED_LEN {
            assert_eq!(encoded.len(), len);
        }
        let mut input = encoded.as_slice();
        assert_eq!(&T::decode(&mut input).unwrap(), value);
        assert!(input.is_empty());
        for end in 0..encoded.len() {
            assert!(T::decode(&mut &encoded[..end]).is_err(), "a prefix of {end} bytes decoded");
        }
    }

    #[test]
    fn known_bytes_of_flink() {
        assert_eq!(bytes(&42_i64), [0, 0, 0, 0, 0, 0, 0, 0x2a]);
        assert_eq!(bytes(&"key".to_owned()), [0x04, 0x6b, 0x65, 0x79]);
        assert_eq!(bytes(&"é".to_owned()), [0x02, 0xe9, 0x01]);
        assert_eq!(bytes(&"中".to_owned()), [0x02, 0xad, 0x9c, 0x01]);
        assert_eq!(bytes(&Payload([7, 8].into())), [0, 0, 0, 2, 7, 8]);
    }

    #[test]
    fn a_count_beyond_the_input_reserves_nothing() {
        assert!(Vec::<i64>::decode(&mut &[0x7f, 0xff, 0xff, 0xff][..]).is_err());
        assert!(Payload::decode(&mut &[0x7f, 0xff, 0xff, 0xff, 1][..]).is_err());
        assert!(String::decode(&mut &[0xff, 0xff, 0xff, 0xff, 0x0f][..]).is_err());
    }

    proptest! {
        #[test]
        fn every_value_round_trips(number: i64, text: String, list: Vec<i64>, payload: Vec<u8>) {
            round_trips(&number);
            round_trips(&text);
            round_trips(&list);
            round_trips(&(number, text.clone(), list.clone()));
            round_trips(&Payload(payload.into()));
        }

        #[test]
        fn arbitrary_bytes_never_panic(input: Vec<u8>) {
            let _ = String::decode(&mut input.as_slice());
            let _ = Vec::<String>::decode(&mut input.as_slice());
            let _ = HashMap::<String, i64>::decode(&mut input.as_slice());
            let _ = Payload::decode(&mut input.as_slice());
            let _ = bool::decode(&mut input.as_slice());
        }

        #[test]
        fn a_map_has_one_fingerprint_whatever_its_order(entries: Vec<(i64, String)>) {
            let forward: HashMap<_, _> = entries.iter().cloned().collect();
            let mut decoded = HashMap::<i64, String>::decode(&mut bytes(&forward).as_slice()).unwrap();
            prop_assert_eq!(&decoded, &forward);
            prop_assert_eq!(decoded.fingerprint(&mut Vec::new()), forward.fingerprint(&mut Vec::new()));
            decoded.insert(1 << 40, "another".into());
            prop_assert_ne!(decoded.fingerprint(&mut Vec::new()), forward.fingerprint(&mut Vec::new()));
        }
    }
}
