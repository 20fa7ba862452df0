//! The compaction filter of states with a TTL: Flink's `FlinkCompactionFilterFactory`.
//!
//! Each column family of such a state has a factory of its own, set when the family is opened and told the kind of the
//! state when that is registered. A filter reads the clock of its own subtask when it is made and again after so many
//! entries. What has expired at that time goes; of a list only the expired elements at its front, as in Flink.

use std::ffi::CStr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rocksdb::compaction_filter::{CompactionFilter, Decision};
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};

use crate::state::StateTtl;

/// Where the times lie in the values of a state.
#[derive(Debug, Clone, Copy)]
pub enum TimedLayout {
    /// In front of the value.
    Value,
    /// Behind the null flag of a map's value.
    MapValue,
    /// In front of each element of a list: the bytes of the expired elements at its front, and how many they are.
    List(ExpiredFront),
}

/// Measures the elements of a list that have expired before the first that has not: their bytes with the delimiters
/// behind them, and their number. Bytes that are no list have none.
pub type ExpiredFront = fn(&[u8], &dyn Fn(Option<i64>) -> bool) -> (usize, u64);

/// What the filters of a column family share with the backend.
pub struct FilterShared {
    pub ttl: StateTtl,
    query_time_after_entries: u64,
    layout: OnceLock<TimedLayout>,
    /// The subtask's processing time, ms.
    clock: Arc<AtomicI64>,
    /// Entries and elements that were removed.
    removed: AtomicU64,
}

impl FilterShared {
    pub fn new(ttl: StateTtl, query_time_after_entries: u64, clock: Arc<AtomicI64>) -> Self {
        Self { ttl, query_time_after_entries, layout: OnceLock::new(), clock, removed: AtomicU64::new(0) }
    }

    /// Tells where the times lie; until then nothing is removed.
    pub fn set_layout(&self, layout: TimedLayout) {
        // A state is registered once; a second call would say the same.
        let _ = self.layout.set(layout);
    }

    /// Entries and elements that were removed so far.
    pub fn removed(&self) -> u64 {
        self.removed.load(Ordering::Relaxed)
    }

    fn now_ms(&self) -> i64 {
        self.clock.load(Ordering::Relaxed)
    }
}

/// Makes the filters of a column family. RocksDB calls it from several threads.
pub struct TtlFilterFactory(pub Arc<FilterShared>);

impl CompactionFilterFactory for TtlFilterFactory {
    type Filter = TtlFilter;
    fn create(&mut self, _: CompactionFilterContext) -> TtlFilter {
        let shared = Arc::clone(&self.0);
        TtlFilter { now_ms: shared.now_ms(), shared, seen: 0, kept: Vec::new() }
    }
    fn name(&self) -> &CStr {
        c"FlinkCompactionFilterFactory"
    }
}

/// The filter of one compaction, on one thread.
pub struct TtlFilter {
    shared: Arc<FilterShared>,
    now_ms: i64,
    seen: u64,
    /// What is left of the list that was changed last.
    kept: Vec<u8>,
}

impl TtlFilter {
    fn removed(&self, entries: u64) {
        self.shared.removed.fetch_add(entries, Ordering::Relaxed);
    }

    /// Of a value with its time at `offset`.
    fn filter_value(&self, value: &[u8], offset: usize) -> Decision {
        let time = value.get(offset..).and_then(|rest| rest.first_chunk()).map(|bytes| i64::from_be_bytes(*bytes));
        if !self.shared.ttl.is_expired(time, self.now_ms) {
            return Decision::Keep;
        }
        self.removed(1);
        Decision::Remove
    }

    fn filter_list(&mut self, list: &[u8], expired_front: ExpiredFront) -> Decision {
        let (ttl, now_ms) = (self.shared.ttl, self.now_ms);
        let (bytes, elements) = expired_front(list, &|time| ttl.is_expired(time, now_ms));
        if elements == 0 {
            return Decision::Keep;
        }
        self.removed(elements);
        let Some(rest) = list.get(bytes..).filter(|rest| !rest.is_empty()) else { return Decision::Remove };
        self.kept.clear();
        self.kept.extend_from_slice(rest);
        // SAFETY: RocksDB copies the value when the callback returns, before it calls this filter again, and the filter
        // owns the bytes until then.
        Decision::Change(unsafe { std::mem::transmute::<&[u8], &'static [u8]>(self.kept.as_slice()) })
    }
}

impl CompactionFilter for TtlFilter {
    fn filter(&mut self, _level: u32, _key: &[u8], value: &[u8]) -> Decision {
        let Some(&layout) = self.shared.layout.get() else { return Decision::Keep };
        if self.seen >= self.shared.query_time_after_entries {
            self.now_ms = self.shared.now_ms();
            self.seen = 0;
        }
        self.seen += 1;
        match layout {
            TimedLayout::Value => self.filter_value(value, 0),
            TimedLayout::MapValue => self.filter_value(value, 1),
            TimedLayout::List(expired_front) => self.filter_list(value, expired_front),
        }
    }
    fn name(&self) -> &CStr {
        c"FlinkCompactionFilter"
    }
}
