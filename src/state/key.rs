//! Keys, key groups and the bytes that a keyed entry is stored under.

use std::hash::Hash;
use std::sync::Arc;

use super::codec::{Codec, CodecError, decode_var_int, encode_str, encode_var_int};
use super::jvm::JvmSize;
use super::serializer::{Serializer, SimpleSerializer};
use super::timer::encode_time;

/// A key of a keyed stream: what Flink's `KeySelector` returns.
pub trait Key: Codec + JvmSize + Clone + Eq + Send + Sync + 'static {
    /// Java's `hashCode()` of the key: the key group, and so the owning subtask, follows from it.
    fn hash_code(&self) -> i32;
    /// The key as a number in a row for another operator: a long itself, of a text its hash code.
    fn as_long(&self) -> i64 {
        i64::from(self.hash_code())
    }
}

impl Key for i64 {
    #[inline]
    fn as_long(&self) -> i64 {
        *self
    }
    /// `Long.hashCode`: the low half xor the high half.
    #[inline]
    fn hash_code(&self) -> i32 {
        (*self ^ (*self >> 32)) as i32
    }
}

/// A string key. As in Java, copying it copies a reference, and the hash is computed once and kept with the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringKey {
    text: Arc<str>,
    hash_code: i32,
}

impl StringKey {
    /// Takes the text over and computes `String.hashCode`: Σ s\[i\]·31^(n−1−i) over UTF-16 units.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let hash = text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
        Self { text, hash_code: hash }
    }

    /// The text of the key.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Key for StringKey {
    #[inline]
    fn hash_code(&self) -> i32 {
        self.hash_code
    }
}

impl JvmSize for StringKey {
    fn jvm_bytes(&self) -> u64 {
        self.text.jvm_bytes()
    }
    fn jvm_objects(&self) -> u64 {
        self.text.jvm_objects()
    }
}

impl Codec for StringKey {
    const FIXED_LEN: Option<usize> = None;
    fn serializer() -> Serializer {
        SimpleSerializer::String.into()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        encode_str(&self.text, out);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(Self::new(String::decode(input)?))
    }
}

/// Flink's `MathUtils.murmurHash(int)`: never negative.
#[inline]
pub fn murmur_hash(code: i32) -> i32 {
    let mut hash = (code as u32).wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    let hash = bit_mix(hash ^ 4) as i32;
    if hash >= 0 {
        hash
    } else if hash == i32::MIN {
        0
    } else {
        -hash
    }
}

/// Murmur3's 32-bit finalizer, Flink's `MathUtils.bitMix`.
#[inline]
pub fn bit_mix(mut hash: u32) -> u32 {
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// How keys map to key groups and key groups to subtasks: Flink's `KeyGroupRangeAssignment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyGroups {
    /// Number of key groups; 1 to 32768.
    pub max_parallelism: u16,
    /// Number of subtasks; at most `max_parallelism`.
    pub parallelism: u16,
}

/// The largest maximum parallelism that Flink allows, 2^15.
pub const MAX_PARALLELISM_LIMIT: u16 = 1 << 15;

impl KeyGroups {
    /// The key group of a key with this `hashCode`.
    #[inline]
    pub fn group_of(self, hash_code: i32) -> u16 {
        let (hash, groups) = (murmur_hash(hash_code) as u32, u32::from(self.max_parallelism));
        // Usually a power of two, and then no division.
        (if groups.is_power_of_two() { hash & (groups - 1) } else { hash % groups }) as u16
    }

    /// The subtask that owns a key group.
    #[inline]
    pub fn subtask_of(self, group: u16) -> u16 {
        (u32::from(group) * u32::from(self.parallelism) / u32::from(self.max_parallelism)) as u16
    }

    /// The key groups that a subtask owns, first and one past the last.
    pub fn range_of(self, subtask: u16) -> std::ops::Range<u16> {
        let (subtask, parallelism, groups) =
            (u32::from(subtask), u32::from(self.parallelism), u32::from(self.max_parallelism));
        let start = (subtask * groups).div_ceil(parallelism);
        let end = ((subtask + 1) * groups - 1) / parallelism + 1;
        start as u16..end as u16
    }
}

/// Flink's default maximum parallelism: 1.5 times the parallelism rounded up to a power of two, from 128 to 32768.
pub fn default_max_parallelism(parallelism: u16) -> u16 {
    let wanted = (u32::from(parallelism) + u32::from(parallelism) / 2).next_power_of_two();
    wanted.clamp(128, u32::from(MAX_PARALLELISM_LIMIT)) as u16
}

/// The scope of a state entry below its key: nothing, or a window.
pub trait Namespace: Codec + JvmSize + Clone + Eq + Hash + Send + Sync + 'static {
    /// Java's `hashCode()` of the namespace.
    fn hash_code(&self) -> i32;
}

/// No namespace: Flink's `VoidNamespace`, one zero byte whose serializer declares a length of 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct VoidNamespace;

impl Codec for VoidNamespace {
    const FIXED_LEN: Option<usize> = Some(0);
    fn serializer() -> Serializer {
        SimpleSerializer::VoidNamespace.into()
    }
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(0);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        match bool::decode(input) {
            Ok(false) => Ok(Self),
            _ => Err(CodecError::new("VoidNamespace", "the byte is not 0")),
        }
    }
}

impl JvmSize for VoidNamespace {
    /// One object for all.
    #[inline(always)]
    fn jvm_bytes(&self) -> u64 {
        0
    }
}

impl Namespace for VoidNamespace {
    #[inline]
    fn hash_code(&self) -> i32 {
        99 // VoidNamespace.hashCode() in Flink
    }
}

/// Builds the bytes under which RocksDB (and a canonical savepoint) keeps an entry:
/// `key group ++ key ++ [length of key] ++ namespace ++ [length of namespace] ++ [user key]`.
///
/// The key part is serialized once for each current key and kept, as `SerializedCompositeKeyBuilder` does. The lengths
/// are written, as var-ints and behind what they measure, only where key and namespace both vary in length.
#[derive(Debug, Clone)]
pub struct CompositeKey {
    bytes: Vec<u8>,
    prefix_len: usize,
    key_end: usize,
}

impl CompositeKey {
    /// For key groups below `max_parallelism`: the key-group prefix takes one byte up to 128, else two.
    pub fn new(max_parallelism: u16) -> Self {
        Self { bytes: Vec::with_capacity(64), prefix_len: if max_parallelism <= 128 { 1 } else { 2 }, key_end: 0 }
    }

    /// Number of bytes that the key group takes.
    pub fn prefix_len(&self) -> usize {
        self.prefix_len
    }

    /// The key group of the current key.
    #[inline]
    pub fn group(&self) -> u16 {
        self.bytes[..self.prefix_len].iter().fold(0, |group, byte| group << 8 | u16::from(*byte))
    }

    /// Sets the current key and its key group.
    #[inline]
    pub fn set_key<K: Key>(&mut self, key: &K, group: u16) {
        self.bytes.clear();
        let group = group.to_be_bytes();
        self.bytes.extend_from_slice(&group[2 - self.prefix_len..]);
        key.encode(&mut self.bytes);
        self.key_end = self.bytes.len();
    }

    /// The bytes of the current key in this namespace: the whole key of a plain state, the prefix of a map's entries.
    #[inline]
    pub fn with_namespace<K: Key, N: Namespace>(&mut self, namespace: &N) -> &[u8] {
        self.bytes.truncate(self.key_end);
        let ambiguous = K::FIXED_LEN.is_none() && N::FIXED_LEN.is_none();
        if ambiguous {
            encode_var_int((self.key_end - self.prefix_len) as u32, &mut self.bytes);
        }
        let start = self.bytes.len();
        namespace.encode(&mut self.bytes);
        if ambiguous {
            encode_var_int((self.bytes.len() - start) as u32, &mut self.bytes);
        }
        &self.bytes
    }

    /// The bytes of one entry of a map state.
    #[inline]
    pub fn with_user_key<K: Key, N: Namespace, U: Codec>(&mut self, namespace: &N, user_key: &U) -> &[u8] {
        self.with_namespace::<K, N>(namespace);
        user_key.encode(&mut self.bytes);
        &self.bytes
    }

    /// Appends the bytes under which a timer of the current key is kept, whose value is empty:
    /// `key group ++ time with its sign flipped ++ key ++ namespace`.
    #[inline]
    pub fn encode_timer<N: Namespace>(&self, namespace: &N, time_ms: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[..self.prefix_len]);
        encode_time(time_ms, out);
        out.extend_from_slice(&self.bytes[self.prefix_len..self.key_end]);
        namespace.encode(out);
    }
}

/// Takes the key group off the front of the bytes of an entry; what is behind it. None where they are too few.
pub fn split_key_group(bytes: &[u8], max_parallelism: u16) -> Option<(u16, &[u8])> {
    let (group, rest) = bytes.split_at_checked(CompositeKey::new(max_parallelism).prefix_len())?;
    Some((group.iter().fold(0, |group, byte| group << 8 | u16::from(*byte)), rest))
}

/// Reads key and namespace, which [`CompositeKey`] has built behind the key group, from the front of `input`: of a map
/// the user key is left.
///
/// # Errors
/// The bytes are not of these types, or the lengths behind them are not theirs.
pub fn split_composite_key<K: Key, N: Namespace>(input: &mut &[u8]) -> Result<(K, N), CodecError> {
    let ambiguous = K::FIXED_LEN.is_none() && N::FIXED_LEN.is_none();
    Ok((decode_measured::<K>(input, ambiguous)?, decode_measured::<N>(input, ambiguous)?))
}

/// Reads a part, with its length behind it where it has one.
fn decode_measured<T: Codec>(input: &mut &[u8], is_measured: bool) -> Result<T, CodecError> {
    let before = input.len();
    let part = T::decode(input)?;
    let len = before - input.len();
    if is_measured && decode_var_int(input, "composite key")? as usize != len {
        return Err(CodecError::new("composite key", "the length of a part is not its own"));
    }
    Ok(part)
}

/// A namespace of variable length, so that keys need the length suffixes.
#[cfg(test)]
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TextNamespace(pub String);

#[cfg(test)]
impl Codec for TextNamespace {
    const FIXED_LEN: Option<usize> = None;
    fn serializer() -> Serializer {
        SimpleSerializer::String.into()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        String::decode(input).map(Self)
    }
}

#[cfg(test)]
impl JvmSize for TextNamespace {
    fn jvm_bytes(&self) -> u64 {
        self.0.jvm_bytes()
    }
    fn jvm_objects(&self) -> u64 {
        self.0.jvm_objects()
    }
}

#[cfg(test)]
impl Namespace for TextNamespace {
    fn hash_code(&self) -> i32 {
        self.0.len() as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(max_parallelism: u16, parallelism: u16) -> KeyGroups {
        KeyGroups { max_parallelism, parallelism }
    }

    #[test]
    fn key_groups_are_those_of_flink() {
        let cases = [(0_i64, 593_689_054, 94), (1, 68_075_478, 86), (42, 1_134_849_565, 29)];
        for (key, murmur, group) in cases {
            assert_eq!(murmur_hash(key.hash_code()), murmur);
            assert_eq!(groups(128, 1).group_of(key.hash_code()), group);
            assert_eq!(i32::from(groups(100, 1).group_of(key.hash_code())), murmur % 100);
        }
        let cases = [
            ("key", 106_079, 801_471_432, 72),
            ("a", 97, 1_455_541_201, 81),
            ("user-1", -836_031_825, 1_662_039_673, 121),
        ];
        for (key, code, murmur, group) in cases {
            let key = StringKey::new(key);
            assert_eq!((key.hash_code(), murmur_hash(key.hash_code())), (code, murmur));
            assert_eq!(groups(128, 1).group_of(code), group);
        }
        assert_eq!((murmur_hash(-1), murmur_hash(7)), (1_982_413_648, 1_343_918_321));
    }

    #[test]
    fn ranges_are_those_of_flink_and_cover_every_group_once() {
        assert_eq!([0, 1, 2].map(|i| groups(128, 3).range_of(i)), [0..43, 43..86, 86..128]);
        assert_eq!([0, 1, 2, 3, 4].map(|i| groups(128, 5).range_of(i)), [0..26, 26..52, 52..77, 77..103, 103..128]);
        for parallelism in [1, 2, 3, 7, 100, 128] {
            let groups = groups(128, parallelism);
            for group in 0..128 {
                let owners: Vec<_> = (0..parallelism).filter(|&i| groups.range_of(i).contains(&group)).collect();
                assert_eq!(owners, [groups.subtask_of(group)]);
            }
        }
    }

    #[test]
    fn default_max_parallelism_is_that_of_flink() {
        let cases = [(1, 128), (85, 128), (86, 256), (170, 256), (500, 1024), (1000, 2048), (20_000, 32_768)];
        for (parallelism, expected) in cases {
            assert_eq!(default_max_parallelism(parallelism), expected, "{parallelism}");
        }
    }

    #[test]
    fn composite_keys_are_those_of_flink() {
        let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
        let mut key = CompositeKey::new(128);
        key.set_key(&42_i64, 29);
        assert_eq!(hex(key.with_namespace::<i64, _>(&VoidNamespace)), "1d000000000000002a00");
        assert_eq!(hex(key.with_user_key::<i64, _, _>(&VoidNamespace, &"k1".to_owned())), "1d000000000000002a00036b31");
        let split = key.with_user_key::<i64, _, _>(&VoidNamespace, &"k1".to_owned()).to_vec();
        let (group, mut rest) = split_key_group(&split, 128).unwrap();
        assert_eq!((group, split_composite_key::<i64, VoidNamespace>(&mut rest)), (29, Ok((42, VoidNamespace))));
        assert_eq!(rest, [3, 0x6b, 0x31]);
        key.set_key(&StringKey::new("key"), 72);
        assert_eq!(hex(key.with_namespace::<StringKey, _>(&VoidNamespace)), "48046b657900");
        assert_eq!(hex(key.with_namespace::<StringKey, _>(&TextNamespace("NS".into()))), "48046b657904034e5303");
        let measured = key.with_namespace::<StringKey, _>(&TextNamespace("NS".into()))[1..].to_vec();
        let split = |bytes: &[u8]| split_composite_key::<StringKey, TextNamespace>(&mut &*bytes);
        assert_eq!(split(&measured), Ok((StringKey::new("key"), TextNamespace("NS".into()))));
        for length in [4, 8] {
            let mut other = measured.clone();
            other[length] += 1;
            assert!(split(&other).is_err(), "the length at {length}");
        }
        assert!((0..measured.len()).all(|end| split(&measured[..end]).is_err()));
        let mut key = CompositeKey::new(128);
        key.set_key(&42_i64, 1);
        let timer = |time_ms| {
            let mut bytes = Vec::new();
            key.encode_timer(&VoidNamespace, time_ms, &mut bytes);
            hex(&bytes)
        };
        assert_eq!(timer(-5), "017ffffffffffffffb000000000000002a00");
        assert_eq!(timer(1_000), "0180000000000003e8000000000000002a00");
        let mut key = CompositeKey::new(32_768);
        key.set_key(&42_i64, groups(32_768, 1).group_of(42_i64.hash_code()));
        assert_eq!(hex(key.with_namespace::<i64, _>(&VoidNamespace)), "6e1d000000000000002a00");
        assert_eq!(key.group(), 28_189);
    }
}
