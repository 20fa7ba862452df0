//! Timers in the database: a column family for each queue, and in front of it, for each key group, an ordered cache of
//! its earliest timers. Flink's `KeyGroupPartitionedPriorityQueue` of `RocksDBCachingPriorityQueueSet`s.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rocksdb::DB;

use super::batch::Batch;
use super::family::Family;
use super::filter::TimedLayout;
use super::{RocksDbBackend, StoredKind, storage};
use crate::backend::timers::{DOMAINS, IndexedHeap, fingerprint, is_queue, queue_name};
use crate::backend::{HeapBackend, Prefill};
use crate::state::{
    CompositeKey, Digest, HeapUse, JvmHeap, Key, KeyGroups, KeyedStateBackend, Namespace, StateError, StateMeta,
    StateResult, TimerService,
};
use crate::workload::{Options, TimerServiceFactory};

/// Where the timers of a subtask are, by `state.backend.rocksdb.timer-service.factory`.
pub(super) enum Timers<K> {
    /// In the database.
    Stored(StoredTimers),
    /// On the heap, beside the database.
    Heap(Box<HeapBackend<K>>),
}

/// The folder of the timers on the heap in that of a saved state.
fn heap_folder(saved: &Path) -> PathBuf {
    saved.join("timers")
}

/// The timers of a subtask in the database.
pub(super) struct StoredTimers {
    queues: Vec<StoredQueue>,
    batch: Batch,
    key_groups: Range<u16>,
    /// Bytes that a key group takes in a key.
    prefix_bytes: usize,
    cache_size: usize,
}

/// The timers of one service on one clock.
struct StoredQueue {
    family: Family,
    /// The key groups that have timers, by their earliest.
    heads: IndexedHeap,
    groups: Vec<CachedGroup>,
}

/// The timers of a key group, as they are stored. Those in the cache are the earliest.
struct CachedGroup {
    cached: BTreeSet<Box<[u8]>>,
    /// Whether no timer is in the database alone.
    is_whole: bool,
    /// Timers that are in the database alone come after this key, and so do the tombstones of fewer timers.
    seek: Vec<u8>,
}

/// What the database has with a timer: nothing.
fn stored_timers<K: Key, N: Namespace>() -> StoredKind {
    StoredKind {
        is_list: false,
        fingerprint: |_, _, _| Ok(Some(fingerprint())),
        count: |_, _, _, _| Ok(()),
        layout: TimedLayout::Value,
        without_expired: |bytes, _| Ok(Some(Cow::Borrowed(bytes))),
        check: |entry| entry.timer::<K, N>().map(drop),
    }
}

impl CachedGroup {
    fn new(key_group: u16, prefix_bytes: usize) -> Self {
        let mut group = Self { cached: BTreeSet::new(), is_whole: false, seek: Vec::new() };
        group.seek_behind(&key_group.to_be_bytes()[2 - prefix_bytes..]);
        group
    }

    /// The next key that there can be.
    fn seek_behind(&mut self, key: &[u8]) {
        self.seek.clear();
        self.seek.extend_from_slice(key);
        self.seek.push(0);
    }

    /// Takes a timer into the cache, if it belongs there; whether it must be written.
    fn insert(&mut self, timer: &[u8], cache_size: usize) -> bool {
        let is_full = self.cached.len() >= cache_size;
        let is_early = self.cached.last().is_some_and(|last| *timer < **last);
        if !is_early && (is_full || !self.is_whole) {
            self.is_whole = false;
            return true;
        }
        if is_full {
            self.cached.pop_last();
            self.is_whole = false;
        }
        self.cached.insert(timer.into())
    }

    /// Takes a timer out of the cache, if it is there; whether it may be in the database.
    fn remove(&mut self, timer: &[u8]) -> bool {
        if self.cached.is_empty() {
            return false;
        }
        if self.cached.remove(timer) && self.cached.is_empty() {
            self.seek_behind(timer);
        }
        true
    }

    /// Takes the earliest timer out of the cache.
    fn take(&mut self) -> Option<Box<[u8]>> {
        let timer = self.cached.pop_first()?;
        if self.cached.is_empty() {
            self.seek_behind(&timer);
        }
        Some(timer)
    }

    /// Fills the cache from the database, which has every timer.
    fn refill(&mut self, family: Family, prefix_bytes: usize, cache_size: usize, db: &DB) -> StateResult<()> {
        let mut iterator = db.raw_iterator_cf(&family);
        iterator.seek(&self.seek);
        loop {
            let next = iterator.key().filter(|key| key.starts_with(&self.seek[..prefix_bytes]));
            self.is_whole = next.is_none();
            let Some(timer) = next.filter(|_| self.cached.len() < cache_size) else { break };
            self.cached.insert(timer.into());
            iterator.next();
        }
        iterator.status().map_err(storage)
    }
}

/// The time of a timer as it is stored, behind its key group.
fn time_ms(timer: &[u8], prefix_bytes: usize) -> Option<i64> {
    let time = timer.get(prefix_bytes..)?.first_chunk()?;
    Some(i64::from_be_bytes(*time) ^ i64::MIN)
}

impl StoredTimers {
    fn new(options: &Options, groups: KeyGroups, subtask: u16) -> Self {
        Self {
            queues: Vec::new(),
            batch: Batch::new(options),
            key_groups: groups.range_of(subtask),
            prefix_bytes: CompositeKey::new(groups.max_parallelism).prefix_len(),
            cache_size: options.timer_service_cache_size as usize,
        }
    }

    /// Adds a queue of the timers that a column family has.
    fn add_queue(&mut self, family: Family, db: &DB) -> StateResult<()> {
        if self.cache_size == 0 {
            let reason = "`state.backend.rocksdb.timer-service.cache-size` must be 1 at least";
            return Err(StateError::Storage(reason.to_owned()));
        }
        let groups = self.key_groups.clone().map(|group| CachedGroup::new(group, self.prefix_bytes)).collect();
        self.queues.push(StoredQueue { family, heads: IndexedHeap::default(), groups });
        let queue = self.queues.len() - 1;
        (0..self.key_groups.len()).try_for_each(|position| self.look(queue, position, db))
    }

    /// Looks at what the column families have now, when timers have come in or gone past the queues.
    fn reload(&mut self, db: &DB) -> StateResult<()> {
        for queue in 0..self.queues.len() {
            for position in 0..self.key_groups.len() {
                let key_group = self.key_groups.start + position as u16;
                self.queues[queue].groups[position] = CachedGroup::new(key_group, self.prefix_bytes);
                self.look(queue, position, db)?;
            }
        }
        Ok(())
    }

    /// Registers a timer, given as it is stored.
    #[inline]
    pub fn insert(&mut self, queue: usize, key_group: u16, timer: &[u8], db: &DB) -> StateResult<()> {
        let position = usize::from(key_group - self.key_groups.start);
        let StoredQueue { family, groups, .. } = &mut self.queues[queue];
        if groups[position].insert(timer, self.cache_size) {
            self.batch.put(*family, timer, &[], db)?;
        }
        self.look(queue, position, db)
    }

    /// The same in the queue that this column family has.
    pub fn insert_into(&mut self, family: Family, key_group: u16, timer: &[u8], db: &DB) -> StateResult<()> {
        let queue = self.queues.iter().position(|queue| queue.family == family);
        let queue = queue.ok_or_else(|| StateError::Storage("a column family of timers has no queue".to_owned()))?;
        self.insert(queue, key_group, timer, db)
    }

    /// Deletes a timer, given as it is stored, if it is there.
    #[inline]
    pub fn remove(&mut self, queue: usize, key_group: u16, timer: &[u8], db: &DB) -> StateResult<()> {
        let position = usize::from(key_group - self.key_groups.start);
        let StoredQueue { family, groups, .. } = &mut self.queues[queue];
        if groups[position].remove(timer) {
            self.batch.delete(*family, timer, db)?;
        }
        self.look(queue, position, db)
    }

    /// Takes out the earliest timer up to `until_ms`, as it is stored.
    #[inline]
    pub fn take(&mut self, queue: usize, until_ms: i64, db: &DB) -> StateResult<Option<Box<[u8]>>> {
        let StoredQueue { family, heads, groups } = &mut self.queues[queue];
        let due = heads.first().filter(|(time_ms, _)| *time_ms <= until_ms);
        let Some((_, position)) = due else { return Ok(None) };
        let Some(timer) = groups[position as usize].take() else { return Ok(None) };
        self.batch.delete(*family, &timer, db)?;
        self.look(queue, position as usize, db)?;
        Ok(Some(timer))
    }

    /// Looks what the earliest timer of a key group is now; in the database, where the cache is empty.
    #[inline]
    fn look(&mut self, queue: usize, position: usize, db: &DB) -> StateResult<()> {
        let StoredQueue { family, heads, groups } = &mut self.queues[queue];
        let group = &mut groups[position];
        if group.cached.is_empty() && !group.is_whole {
            self.batch.flush(db)?;
            group.refill(*family, self.prefix_bytes, self.cache_size, db)?;
        }
        heads.set(position as u32, group.cached.first().and_then(|timer| time_ms(timer, self.prefix_bytes)));
        Ok(())
    }
}

impl<K: Key> Timers<K> {
    pub fn new(options: &Options, groups: KeyGroups, subtask: u16) -> Self {
        match options.timer_service_factory {
            TimerServiceFactory::RocksDb => Self::Stored(StoredTimers::new(options, groups, subtask)),
            TimerServiceFactory::Heap => Self::Heap(Box::new(HeapBackend::new(groups, subtask))),
        }
    }

    /// Timers in the caches; none where they are on the heap.
    #[cfg(test)]
    pub fn cached(&self) -> Option<usize> {
        let Self::Stored(timers) = self else { return None };
        Some(timers.queues.iter().flat_map(|queue| &queue.groups).map(|group| group.cached.len()).sum())
    }

    /// Writes what is not yet in the database.
    pub fn flush(&mut self, db: &DB) -> StateResult<()> {
        match self {
            Self::Stored(timers) => timers.batch.flush(db),
            Self::Heap(_) => Ok(()),
        }
    }

    /// What tells of each queue that is beside the database.
    pub fn metas(&self) -> impl Iterator<Item = &StateMeta> {
        let beside = match self {
            Self::Stored(_) => None,
            Self::Heap(timers) => Some(timers.metas()),
        };
        beside.into_iter().flatten()
    }

    /// Saves what is beside the database into the folder of its checkpoint.
    pub fn save(&mut self, folder: &Path) -> StateResult<()> {
        match self {
            Self::Stored(_) => Ok(()),
            Self::Heap(timers) => timers.save_prefill(&heap_folder(folder)),
        }
    }

    /// Reads what was saved beside the database.
    pub fn load(&mut self, folder: &Path) -> StateResult<()> {
        match self {
            Self::Stored(_) => Ok(()),
            Self::Heap(timers) => timers.load_prefill(&heap_folder(folder)),
        }
    }

    /// Whether a column family of an old database may be copied: one of timers only into a database that has timers.
    pub fn check_family(&self, name: &str) -> StateResult<()> {
        if matches!(self, Self::Heap(_)) && is_queue(name) { Err(elsewhere(name)) } else { Ok(()) }
    }

    /// Reads what an old subtask has saved beside its database, of own key groups.
    pub fn take_in(&mut self, folder: &Path) -> StateResult<()> {
        match self {
            Self::Stored(_) if heap_folder(folder).exists() => Err(elsewhere(&folder.display().to_string())),
            Self::Stored(_) => Ok(()),
            Self::Heap(_) => self.load(folder),
        }
    }

    /// Looks at what the database has now.
    pub fn reload(&mut self, db: &DB) -> StateResult<()> {
        match self {
            Self::Stored(timers) => timers.reload(db),
            Self::Heap(_) => Ok(()),
        }
    }

    /// The digest of what is beside the database.
    pub fn digest(&mut self) -> StateResult<Digest> {
        match self {
            Self::Stored(_) => Ok(Digest::default()),
            Self::Heap(timers) => timers.state_digest(),
        }
    }

    /// What the timers take on a Java heap, if there are queues on it.
    pub fn heap_use(&self, heap: JvmHeap) -> Option<HeapUse> {
        match self {
            Self::Stored(_) => None,
            Self::Heap(timers) => timers.heap_use(heap).filter(|used| *used != HeapUse::default()),
        }
    }
}

/// Why a queue cannot be where the options have it.
fn elsewhere(name: &str) -> StateError {
    StateError::Storage(format!(
        "the timers of `{name}` were saved with another `state.backend.rocksdb.timer-service.factory`"
    ))
}

impl<K: Key> RocksDbBackend<K> {
    /// Registers the queues of a timer service.
    pub(super) fn register_timers<N: Namespace>(&mut self, name: &str) -> StateResult<TimerService<N>> {
        let queues = DOMAINS.map(|domain| queue_name(name, domain));
        let first = match &mut self.timers {
            Timers::Heap(_) if queues.iter().any(|queue| self.db.cf_handle(queue).is_some()) => {
                return Err(elsewhere(name));
            }
            Timers::Heap(timers) => return timers.timer_service(name),
            Timers::Stored(_) if heap_folder(self.db.path()).exists() => return Err(elsewhere(name)),
            Timers::Stored(timers) => timers.queues.len(),
        };
        for queue in queues {
            let state = self.register(StateMeta::timers::<K, N>(&queue), stored_timers::<K, N>())?;
            if let Timers::Stored(timers) = &mut self.timers {
                timers.add_queue(self.states[state].family, &self.db)?;
            }
        }
        Ok(TimerService::new(first))
    }
}

#[cfg(test)]
mod tests {
    use rocksdb::IteratorMode;
    use rocksdb::statistics::Ticker;

    use super::super::OpenMode;
    use super::*;
    use crate::state::{StateTtls, TimeDomain, VoidNamespace};

    const GROUPS: KeyGroups = KeyGroups { max_parallelism: 128, parallelism: 1 };

    fn open(folder: &Path, settings: &[(&str, &str)]) -> RocksDbBackend<i64> {
        let mut options = Options::default();
        for (key, value) in settings {
            options.set(&format!("state.backend.rocksdb.{key}"), value).unwrap();
        }
        RocksDbBackend::open(folder, &options, (GROUPS, 0), None, OpenMode::counting(), StateTtls::new()).unwrap()
    }

    fn register(backend: &mut RocksDbBackend<i64>, timers: TimerService<VoidNamespace>, times: Range<i64>) {
        backend.set_current_key(&42);
        for time_ms in times {
            backend.register_timer(timers, TimeDomain::EventTime, &VoidNamespace, time_ms).unwrap();
        }
    }

    /// Timers that have reached the database.
    fn stored(backend: &RocksDbBackend<i64>) -> usize {
        backend.db.iterator_cf(&backend.states[0].family, IteratorMode::Start).count()
    }

    #[test]
    fn the_cache_size_says_how_often_the_database_is_asked() {
        let seeks = |cache_size| {
            let folder = crate::backend::test_folder();
            let mut backend = open(folder.path(), &[("timer-service.cache-size", cache_size)]);
            let timers = backend.timer_service::<VoidNamespace>("t").unwrap();
            register(&mut backend, timers, 0..1_000);
            let count = |backend: &RocksDbBackend<i64>| backend.db_options.get_ticker_count(Ticker::NumberDbSeek);
            let before = count(&backend);
            for time_ms in 0..1_000 {
                let timer = backend.take_timer(timers, TimeDomain::EventTime, 5_000).unwrap().unwrap();
                assert_eq!((timer.time_ms, timer.key), (time_ms, 42));
            }
            assert!(backend.take_timer(timers, TimeDomain::EventTime, 5_000).unwrap().is_none());
            count(&backend) - before
        };
        // The first are in the cache from the beginning, and the last filling finds the end.
        assert_eq!(["10", "128", "1000"].map(seeks), [99, 7, 0]);
    }

    #[test]
    fn a_cache_without_room_is_refused() {
        let folder = crate::backend::test_folder();
        let mut backend = open(folder.path(), &[("timer-service.cache-size", "0")]);
        assert!(backend.timer_service::<VoidNamespace>("t").is_err());
    }

    #[test]
    fn timers_are_written_in_batches() {
        let folder = crate::backend::test_folder();
        let mut backend = open(folder.path(), &[]);
        let timers = backend.timer_service::<VoidNamespace>("t").unwrap();
        register(&mut backend, timers, 0..499);
        assert_eq!(stored(&backend), 0);
        register(&mut backend, timers, 499..501);
        assert_eq!(stored(&backend), 500);
        assert_eq!(backend.state_digest().unwrap().count, 501, "what is compared is written first");

        let folder = crate::backend::test_folder();
        let mut backend = open(folder.path(), &[("write-batch-size", "1kb")]);
        let timers = backend.timer_service::<VoidNamespace>("t").unwrap();
        register(&mut backend, timers, 0..100);
        assert!((40..100).contains(&stored(&backend)), "{}", stored(&backend));
    }

    #[test]
    fn the_factory_says_where_timers_are_and_a_saved_state_goes_with_it() {
        let heap = JvmHeap { bytes: 1 << 30 };
        let factories = ["ROCKSDB", "HEAP"];
        for (factory, other) in factories.into_iter().zip(factories.into_iter().rev()) {
            let folder = crate::backend::test_folder();
            let mut backend = open(&folder.path().join("run"), &[("timer-service.factory", factory)]);
            assert_eq!(backend.heap_use(heap), None);
            let timers = backend.timer_service::<VoidNamespace>("t").unwrap();
            assert!(backend.timer_service::<VoidNamespace>("t").is_err(), "its name is taken");
            register(&mut backend, timers, 0..10);
            assert_eq!(backend.db.cf_handle("_timer_state/event_t").is_some(), factory == "ROCKSDB");
            assert_eq!(backend.heap_use(heap).map(|used| used.entries), (factory == "HEAP").then_some(10));
            assert_eq!(backend.state_digest().unwrap().count, 10);
            let saved = folder.path().join("saved");
            backend.save_prefill(&saved).unwrap();
            drop(backend);
            let refused = open(&saved, &[("timer-service.factory", other)]).timer_service::<VoidNamespace>("t");
            assert!(refused.err().unwrap().to_string().contains("timer-service.factory"));
        }
    }
}
