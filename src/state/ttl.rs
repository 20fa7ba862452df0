//! State that expires: Flink's `StateTtlConfig`, and the value with its time that it makes of every stored value.

use std::collections::BTreeMap;

use super::codec::{Codec, CodecError};
use super::jvm::JvmSize;
use super::serializer::Serializer;

/// What renews an entry's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpdateType {
    /// A write.
    #[default]
    OnCreateAndWrite,
    /// A write or a read.
    OnReadAndWrite,
}

/// Whether an expired entry may still be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateVisibility {
    /// Never, whether or not it is still held.
    #[default]
    NeverReturnExpired,
    /// As long as no clean-up has removed it; the read that sees it removes it.
    ReturnExpiredIfNotCleanedUp,
}

/// Clean-up of the heap: each access looks at some entries more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncrementalCleanup {
    /// Entries that each step looks at.
    pub size: u32,
    /// Whether every record makes a step for every state, beside the accesses.
    pub every_record: bool,
}

/// Clean-up of RocksDB: its compactions drop what has expired. What is not set here follows the backend's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompactionFilterCleanup {
    /// Entries after which a filter reads the clock again.
    pub query_time_after_entries: Option<u64>,
    /// Age at which a file is compacted though nothing else asks for it, s; 0 for never.
    pub periodic_compaction_s: Option<u64>,
}

/// What removes expired entries, beside the access that meets one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CleanupStrategies {
    /// Full snapshots leave them out. The state itself keeps them.
    pub full_snapshot: bool,
    /// On the heap; without effect on RocksDB.
    pub incremental: Option<IncrementalCleanup>,
    /// In RocksDB; without effect on the heap.
    pub compaction_filter: Option<CompactionFilterCleanup>,
}

/// The TTL of one state: Flink's `StateTtlConfig`, on processing time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateTtl {
    /// Time after which an entry expires, ms; above 0.
    pub ttl_ms: i64,
    /// What renews an entry's time.
    pub update_type: UpdateType,
    /// Whether an expired entry may still be seen.
    pub visibility: StateVisibility,
    /// What removes expired entries.
    pub cleanup: CleanupStrategies,
}

impl StateTtl {
    /// Whether what was last accessed then has expired: `TtlUtils.expired`, safe against overflow.
    #[inline(always)]
    pub fn has_expired(&self, last_access_ms: i64, now_ms: i64) -> bool {
        last_access_ms.saturating_add(self.ttl_ms) <= now_ms
    }

    /// Whether an entry of this time is held though it has expired; one without a time never expires.
    pub fn is_expired(&self, last_access_ms: Option<i64>, now_ms: i64) -> bool {
        last_access_ms.is_some_and(|time| self.has_expired(time, now_ms))
    }
}

/// The TTL of each state that has one, by the state's name.
pub type StateTtls = BTreeMap<String, StateTtl>;

/// A value with the time of its last access: Flink's `TtlValue`. Of a list each element is one, of a map each value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed<T> {
    /// When it was last accessed, ms of processing time.
    pub last_access_ms: i64,
    /// What the user stored.
    pub value: T,
}

/// What stands for a value that is being changed: no clean-up takes it for expired.
impl<T: Default> Default for Timed<T> {
    fn default() -> Self {
        Self { last_access_ms: i64::MAX, value: T::default() }
    }
}

/// Eight bytes, big endian, before the value: `TtlSerializer`.
impl<T: Codec> Codec for Timed<T> {
    const FIXED_LEN: Option<usize> = match T::FIXED_LEN {
        Some(len) => Some(8 + len),
        None => None,
    };
    const IS_TIMED: bool = true;
    fn serializer() -> Serializer {
        Serializer::ttl(T::serializer())
    }
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        self.last_access_ms.encode(out);
        self.value.encode(out);
    }
    #[inline]
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(Self { last_access_ms: i64::decode(input)?, value: T::decode(input)? })
    }
    /// Of both, so that two states are equal only if their entries expire at the same time.
    fn fingerprint(&self, scratch: &mut Vec<u8>) -> u64 {
        super::mix(self.value.fingerprint(scratch), self.last_access_ms as u64)
    }
    #[inline]
    fn last_access_ms(&self) -> Option<i64> {
        Some(self.last_access_ms)
    }
}

impl<T: JvmSize> JvmSize for Timed<T> {
    /// Header, a reference and a `long`.
    #[inline(always)]
    fn jvm_bytes(&self) -> u64 {
        24 + self.value.jvm_bytes()
    }
    fn jvm_objects(&self) -> u64 {
        1 + self.value.jvm_objects()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_expires_when_its_time_is_over_and_never_by_overflow() {
        let ttl = StateTtl {
            ttl_ms: 100,
            update_type: UpdateType::default(),
            visibility: StateVisibility::default(),
            cleanup: CleanupStrategies::default(),
        };
        assert_eq!([99, 100, 101].map(|now| ttl.has_expired(0, now)), [false, true, true]);
        assert!(!ttl.has_expired(i64::MAX - 5, i64::MAX - 1));
        let forever = StateTtl { ttl_ms: i64::MAX, ..ttl };
        assert!(!forever.has_expired(1, i64::MAX - 1));
        assert!(!ttl.is_expired(None, i64::MAX));
    }

    #[test]
    fn a_timed_value_is_eight_bytes_longer() {
        let timed = Timed { last_access_ms: 1, value: 2_i64 };
        let mut bytes = Vec::new();
        timed.encode(&mut bytes);
        assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(Timed::decode(&mut bytes.as_slice()), Ok(timed.clone()));
        assert_eq!(Timed::<i64>::FIXED_LEN, Some(16));
        assert_eq!(Timed { last_access_ms: 1, value: 1_000_i64 }.jvm_bytes(), 48);
        let later = Timed { last_access_ms: 2, ..timed.clone() };
        assert_ne!(timed.fingerprint(&mut bytes), later.fingerprint(&mut bytes));
    }
}
