//! The RocksDB backend: Flink's `EmbeddedRocksDBStateBackend`. One database per subtask, one column family per state,
//! Flink's key and value layout, no write-ahead log; every access serializes.

mod batch;
mod canonical;
mod checkpoint;
mod events;
mod family;
mod filter;
mod header;
mod import;
#[cfg(test)]
mod layout;
mod load;
mod observe;
mod options;
mod pool;
#[cfg(test)]
mod proofs;
mod rescale;
mod timers;
mod view;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use batch::{Batch, write_options};
pub use canonical::CanonicalSnapshot;
use checkpoint::Uploads;
pub use checkpoint::fetch_files;
use family::Family;
use filter::{FilterShared, TimedLayout, TtlFilterFactory};
pub use import::import_families;
use load::SortedLoad;
pub use options::db_options;
pub use pool::SharedMemory;
use rescale::RangeCompaction;
pub use rescale::choose_base;
use rocksdb::{
    ColumnFamilyDescriptor, DB, DBPinnableSlice, DBRawIterator, Options as DbOptions, ReadOptions, WriteOptions,
};
use timers::Timers;

use super::canonical::StoredEntry;
use super::episodes::StoreEvents;
use super::stored::{decode_list, decode_map_value, encode_map_value, restore_list, restore_map_value, restore_value};
use super::timers::queue_of;
use super::ttl::{Census, Change, CleanedEntries, ExpiringState};
use super::{Prefill, encode_list, list_fingerprint};
use crate::checkpoint::unique_number;
use crate::state::{
    Aggregate, AggregatingState, Codec, CompositeKey, Digest, HeapUse, JvmHeap, Key, KeyGroups, KeyedStateBackend,
    ListState, MapState, Namespace, Reduce, ReducingState, StateError, StateMeta, StateResult, StateTtl, StateTtls,
    StateValue, TimeDomain, Timer, TimerService, UserKey, ValueState, entry_hash,
};
use crate::workload::Options;

/// The version of RocksDB that is linked, by librocksdb-sys 0.19.
pub const ROCKSDB_VERSION: &str = "11.8.1";

/// Entries that a map iterator reads before it closes and seeks again: `RocksDBMapIterator` in Flink.
const SCAN_CHUNK: usize = 128;

/// How a database is opened, beside what Flink's options say.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenMode {
    /// Whether RocksDB keeps its Statistics, which slow reads down.
    pub counts: bool,
    /// Whether files are read and written past the page cache.
    pub direct_io: bool,
}

#[cfg(test)]
impl OpenMode {
    /// With Statistics.
    pub fn counting() -> Self {
        Self { counts: true, ..Self::default() }
    }
}

/// Keyed state of one subtask in a RocksDB database.
pub struct RocksDbBackend<K> {
    states: Vec<State>,
    key: CompositeKey,
    groups: KeyGroups,
    subtask: u16,
    value: Vec<u8>,
    scanned: ScannedEntries,
    options: Options,
    read_options: ReadOptions,
    write_options: WriteOptions,
    /// Whether the database counts: RocksDB's Statistics, which slow reads down.
    counts: bool,
    db_options: DbOptions,
    /// What is left of a rescale; it ends before the database is closed.
    compaction: Option<RangeCompaction>,
    /// Savepoints that are being written share it.
    db: Arc<DB>,
    /// The memory that the database shares with others; none where each column family has a cache of its own.
    memory: Option<Arc<SharedMemory>>,
    expiry: Expiry,
    timers: Timers<K>,
    /// What tells its files from those of every other database.
    backend_id: String,
    /// The table files that its checkpoints have uploaded.
    uploads: Arc<Uploads>,
    /// What its background threads do.
    events: Arc<StoreEvents>,
}

/// One registered state.
struct State {
    meta: StateMeta,
    family: Family,
    kind: StoredKind,
    ttl: Option<StateTtl>,
}

/// Takes the fingerprint of a stored value; none where all of it has expired. The last argument is working space.
type Fingerprint = fn(&[u8], IsExpired<'_>, &mut Vec<u8>) -> StateResult<Option<u64>>;

/// What is known of a stored value, by the state's kind and type.
#[derive(Clone, Copy)]
struct StoredKind {
    is_list: bool,
    /// The fingerprint of a value; none where all of it has expired.
    fingerprint: Fingerprint,
    /// Counts a value, or the elements of a list, behind a key of so many bytes.
    count: fn(usize, &[u8], IsExpired<'_>, &mut Census) -> StateResult<()>,
    layout: TimedLayout,
    without_expired: WithoutExpired,
    /// Whether an entry of a savepoint is one of the state: of its types, and in the key group of its key.
    check: fn(StoredEntry<'_>) -> StateResult<()>,
}

/// What is left of a stored value without what has expired; none where all of it has.
type WithoutExpired = for<'a> fn(&'a [u8], IsExpired<'_>) -> StateResult<Option<Cow<'a, [u8]>>>;

/// Tells from the time of a last access whether its value has expired.
type IsExpired<'a> = &'a dyn Fn(Option<i64>) -> bool;

/// The states that expire, and the clock that they expire by.
struct Expiry {
    ttls: StateTtls,
    /// Processing time, ms, as the compaction filters of this subtask see it.
    clock: Arc<AtomicI64>,
    /// What backend and compaction filters share, by name of the state.
    filters: Vec<(String, Arc<FilterShared>)>,
}

impl Expiry {
    fn new(ttls: StateTtls, options: &Options) -> Self {
        let clock = Arc::new(AtomicI64::new(i64::MIN));
        let filter = |(name, ttl): (&String, &StateTtl)| {
            let cleanup = ttl.cleanup.compaction_filter?;
            let default = u64::from(options.compaction_filter_query_time_after_num_entries);
            let after = cleanup.query_time_after_entries.unwrap_or(default);
            Some((name.clone(), Arc::new(FilterShared::new(*ttl, after, Arc::clone(&clock)))))
        };
        let filters = ttls.iter().filter_map(filter).collect();
        Self { ttls, clock, filters }
    }

    fn filter_of(&self, name: &str) -> Option<&Arc<FilterShared>> {
        self.filters.iter().find(|(filtered, _)| filtered == name).map(|(_, shared)| shared)
    }

    /// Sets the filter of a state's column family, and the age at which its files are compacted.
    fn apply(&self, name: &str, options: &Options, family: &mut DbOptions) {
        let Some(shared) = self.filter_of(name) else { return };
        family.set_compaction_filter_factory(TtlFilterFactory(Arc::clone(shared)));
        let default = options.compaction_filter_periodic_compaction_time.0.as_secs();
        let own = shared.ttl.cleanup.compaction_filter.and_then(|cleanup| cleanup.periodic_compaction_s);
        family.set_periodic_compaction_seconds(own.unwrap_or(default));
    }

    fn now_ms(&self) -> i64 {
        self.clock.load(Ordering::Relaxed)
    }
}

/// A chunk of map entries copied out of an iterator, in one buffer.
#[derive(Default)]
struct ScannedEntries {
    bytes: Vec<u8>,
    /// End of the key and end of the value of each entry, in `bytes`.
    ends: Vec<(usize, usize)>,
}

impl ScannedEntries {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((key_end, self.bytes.len()));
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|ends| ends.1));
        self.ends
            .iter()
            .zip(starts)
            .map(|(&(key_end, end), start)| (&self.bytes[start..key_end], &self.bytes[key_end..end]))
    }
}

fn storage(error: rocksdb::Error) -> StateError {
    StateError::Storage(error.into_string())
}

/// A state of one value.
fn single<K: Key, N: Namespace, T: Codec>() -> StoredKind {
    StoredKind {
        is_list: false,
        fingerprint: |mut bytes, is_expired, scratch| {
            let value = T::decode(&mut bytes)?;
            Ok((!is_expired(value.last_access_ms())).then(|| value.fingerprint(scratch)))
        },
        count: |key_bytes, bytes, is_expired, census| {
            let value = T::decode(&mut &*bytes)?;
            census.count(is_expired(value.last_access_ms()), (key_bytes + bytes.len()) as u64);
            Ok(())
        },
        layout: TimedLayout::Value,
        without_expired: |bytes, is_expired| {
            let value = T::decode(&mut &*bytes)?;
            Ok((!is_expired(value.last_access_ms())).then_some(Cow::Borrowed(bytes)))
        },
        check: |entry| {
            entry.whole_key::<K, N>()?;
            restore_value::<T>(entry.value).map(drop)
        },
    }
}

/// A list. Without times its bytes say all.
fn list<K: Key, N: Namespace, T: Codec>() -> StoredKind {
    StoredKind {
        is_list: true,
        fingerprint: |bytes, is_expired, scratch| {
            if !T::IS_TIMED {
                return Ok(Some(xxhash_rust::xxh3::xxh3_64(bytes)));
            }
            let list = decode_list::<T>(bytes)?;
            Ok(list_fingerprint(list.iter().filter(|element| !is_expired(element.last_access_ms())), scratch))
        },
        count: |key_bytes, mut bytes, is_expired, census| {
            let mut before = key_bytes;
            while !bytes.is_empty() {
                let whole = bytes.len();
                let element = T::decode(&mut bytes)?;
                census.count(is_expired(element.last_access_ms()), (before + whole - bytes.len()) as u64);
                bytes = bytes.get(1..).unwrap_or_default();
                before = 1;
            }
            Ok(())
        },
        layout: TimedLayout::List(expired_front::<T>),
        without_expired: |bytes, is_expired| {
            let mut list = decode_list::<T>(bytes)?;
            let elements = list.len();
            list.retain(|element| !is_expired(element.last_access_ms()));
            if list.len() == elements {
                return Ok(Some(Cow::Borrowed(bytes)));
            }
            let mut left = Vec::new();
            encode_list(&list, &mut left);
            Ok((!list.is_empty()).then_some(Cow::Owned(left)))
        },
        check: |entry| {
            entry.whole_key::<K, N>()?;
            restore_list::<T>(entry.value).map(drop)
        },
    }
}

/// The elements at the front of a list that have expired: their bytes, and their number.
fn expired_front<T: Codec>(list: &[u8], is_expired: IsExpired<'_>) -> (usize, u64) {
    let (mut rest, mut front, mut elements) = (list, 0, 0);
    while !rest.is_empty() {
        match T::decode(&mut rest) {
            Ok(element) if is_expired(element.last_access_ms()) => {
                rest = rest.get(1..).unwrap_or_default();
                front = list.len() - rest.len();
                elements += 1;
            }
            _ => break,
        }
    }
    (front, elements)
}

/// The entries of a map.
fn map<K: Key, N: Namespace, U: Codec, T: Codec>() -> StoredKind {
    StoredKind {
        is_list: false,
        fingerprint: |bytes, is_expired, scratch| {
            let value = decode_map_value::<T>(bytes)?;
            Ok((!is_expired(value.last_access_ms())).then(|| value.fingerprint(scratch)))
        },
        count: |key_bytes, bytes, is_expired, census| {
            let value = decode_map_value::<T>(bytes)?;
            census.count(is_expired(value.last_access_ms()), (key_bytes + bytes.len()) as u64);
            Ok(())
        },
        layout: TimedLayout::MapValue,
        without_expired: |bytes, is_expired| {
            let value = decode_map_value::<T>(bytes)?;
            Ok((!is_expired(value.last_access_ms())).then_some(Cow::Borrowed(bytes)))
        },
        check: |entry| {
            let (_, _, user_key) = entry.split_key::<K, N>()?;
            restore_value::<U>(user_key)?;
            restore_map_value::<T>(entry.value).map(drop)
        },
    }
}

/// Opens a database with every column family that it has.
fn open_db(path: &Path, db_options: &DbOptions, options: &Options, expiry: &Expiry) -> StateResult<DB> {
    if !path.join("CURRENT").exists() {
        return DB::open(db_options, path).map_err(storage);
    }
    let names = DB::list_cf(db_options, path).map_err(storage)?;
    let descriptor = |name: String| {
        let mut own = if options.shares_memory() { db_options.clone() } else { self::db_options(options, None)? };
        expiry.apply(&name, options, &mut own);
        Ok(ColumnFamilyDescriptor::new(name, own))
    };
    let descriptors: Vec<_> = names.into_iter().map(descriptor).collect::<StateResult<_>>()?;
    DB::open_cf_descriptors(db_options, path, descriptors).map_err(storage)
}

impl<K: Key> Prefill<K> for RocksDbBackend<K> {
    type Loader = SortedLoad<K>;

    fn loader(&self) -> Option<SortedLoad<K>> {
        Some(SortedLoad::new(self.groups, self.subtask, self.states.iter().map(|state| state.kind.is_list)))
    }
    fn ingest(&mut self, loader: SortedLoad<K>) -> StateResult<()> {
        self.ingest_sorted(loader)
    }
    /// A checkpoint: memtables are flushed, table files hard-linked.
    fn save_prefill(&mut self, folder: &Path) -> StateResult<()> {
        self.timers.flush(&self.db)?;
        let checkpoint = rocksdb::checkpoint::Checkpoint::new(&*self.db).map_err(storage)?;
        checkpoint.create_checkpoint(folder).map_err(storage)?;
        self.timers.save(folder)
    }
    /// It was opened on a copy, but for what is not in the database.
    fn load_prefill(&mut self, folder: &Path) -> StateResult<()> {
        self.timers.load(folder)
    }
}

impl<K: Key> RocksDbBackend<K> {
    /// Opens a database in the folder `path`: an empty one, or the copy of a saved prefill that is there, whose column
    /// families wait for their states to be registered. `memory` is that of its pool, for options that share
    /// it. States that `ttls` names expire.
    ///
    /// # Errors
    /// RocksDB cannot open the folder or refuses an option.
    pub fn open(
        path: &Path,
        options: &Options,
        (groups, subtask): (KeyGroups, u16),
        memory: Option<Arc<SharedMemory>>,
        mode: OpenMode,
        ttls: StateTtls,
    ) -> StateResult<Self> {
        let expiry = Expiry::new(ttls, options);
        let mut db_options = db_options(options, memory.as_deref())?;
        db_options.set_use_direct_reads(mode.direct_io);
        db_options.set_use_direct_io_for_flush_and_compaction(mode.direct_io);
        let counts = mode.counts || options.native_metrics.need_statistics();
        if counts {
            db_options.enable_statistics();
            // By a fault of the crate this names RocksDB's ExceptDetailedTimers, its default, which Flink leaves.
            db_options.set_statistics_level(rocksdb::statistics::StatsLevel::ExceptTimers);
        }
        let events = events::listen(&mut db_options);
        Ok(Self {
            events,
            states: Vec::new(),
            key: CompositeKey::new(groups.max_parallelism),
            groups,
            value: Vec::new(),
            scanned: ScannedEntries::default(),
            options: options.clone(),
            read_options: ReadOptions::default(),
            write_options: write_options(),
            compaction: None,
            db: Arc::new(open_db(path, &db_options, options, &expiry)?),
            subtask,
            counts,
            db_options,
            memory,
            expiry,
            timers: Timers::new(options, groups, subtask),
            backend_id: format!("{:016x}", unique_number()),
            uploads: Arc::default(),
        })
    }

    /// Writes every memtable to a table file.
    #[cfg(test)]
    pub fn flush(&mut self) -> StateResult<()> {
        self.timers.flush(&self.db)?;
        self.states.iter().try_for_each(|state| self.db.flush_cf(&state.family).map_err(storage))
    }

    /// Writes every memtable to a table file and compacts all files of every state.
    #[cfg(test)]
    pub fn compact(&mut self) -> StateResult<()> {
        self.flush()?;
        let mut options = rocksdb::CompactOptions::default();
        options.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::Force);
        for state in &self.states {
            self.db.compact_range_cf_opt(&state.family, None::<&[u8]>, None::<&[u8]>, &options);
        }
        Ok(())
    }

    fn register(&mut self, meta: StateMeta, kind: StoredKind) -> StateResult<usize> {
        let name = meta.name.as_str();
        if name == rocksdb::DEFAULT_COLUMN_FAMILY_NAME || self.states.iter().any(|state| state.meta.name == name) {
            return Err(StateError::DuplicateName(meta.name));
        }
        meta.check(self.states.len())?;
        let family = self.family_or_new(name)?;
        if let Some(filter) = self.expiry.filter_of(name) {
            filter.set_layout(kind.layout);
        }
        let ttl = self.expiry.ttls.get(name).copied();
        self.states.push(State { meta, family, kind, ttl });
        Ok(self.states.len() - 1)
    }

    fn wait_for_compaction(&mut self) {
        self.compaction.take().into_iter().for_each(RangeCompaction::wait);
    }

    /// The column family of this name, which is made if there is none.
    fn family_or_new(&mut self, name: &str) -> StateResult<Family> {
        if self.db.cf_handle(name).is_none() {
            // Without shared memory each family has a block cache of its own.
            let mut own =
                if self.memory.is_none() { db_options(&self.options, None)? } else { self.db_options.clone() };
            self.expiry.apply(name, &self.options, &mut own);
            self.wait_for_compaction();
            let shared = || StateError::Storage(format!("`{name}` is registered while a savepoint is written"));
            Arc::get_mut(&mut self.db).ok_or_else(shared)?.create_cf(name, &own).map_err(storage)?;
        }
        Family::find(&self.db, name)
    }

    #[inline]
    fn read<N: Namespace>(&mut self, state: usize, n: &N) -> StateResult<Option<DBPinnableSlice<'_>>> {
        let key = self.key.with_namespace::<K, N>(n);
        self.db.get_pinned_cf_opt(&self.states[state].family, key, &self.read_options).map_err(storage)
    }

    #[inline]
    fn read_as<N: Namespace, T: Codec>(&mut self, state: usize, n: &N) -> StateResult<Option<T>> {
        let Some(bytes) = self.read(state, n)? else { return Ok(None) };
        Ok(Some(T::decode(&mut &*bytes)?))
    }

    #[inline]
    fn write<N: Namespace>(&mut self, state: usize, n: &N, encode: impl FnOnce(&mut Vec<u8>)) -> StateResult<()> {
        self.value.clear();
        encode(&mut self.value);
        let key = self.key.with_namespace::<K, N>(n);
        self.db.put_cf_opt(&self.states[state].family, key, &self.value, &self.write_options).map_err(storage)
    }

    #[inline]
    fn delete<N: Namespace>(&mut self, state: usize, n: &N) -> StateResult<()> {
        let key = self.key.with_namespace::<K, N>(n);
        self.db.delete_cf_opt(&self.states[state].family, key, &self.write_options).map_err(storage)
    }

    /// Reads an entry and deletes it, if it is there; its bytes.
    fn take<N: Namespace>(&mut self, state: usize, n: &N) -> StateResult<Option<Vec<u8>>> {
        let Some(bytes) = self.read(state, n)?.map(|bytes| bytes.to_vec()) else { return Ok(None) };
        self.delete(state, n)?;
        Ok(Some(bytes))
    }

    /// Takes what the current key holds in some namespaces, merged; none where it holds nothing.
    fn take_merged<N: Namespace, T: Codec>(
        &mut self,
        state: usize,
        namespaces: &[N],
        merge: impl Fn(&mut T, T),
    ) -> StateResult<Option<T>> {
        let mut merged = None;
        for namespace in namespaces {
            let Some(bytes) = self.take(state, namespace)? else { continue };
            let taken = T::decode(&mut bytes.as_slice())?;
            match &mut merged {
                Some(kept) => merge(kept, taken),
                None => merged = Some(taken),
            }
        }
        Ok(merged)
    }

    /// Visits the entries below the current key's prefix as Flink's map iterator does: at most 128 are read, the
    /// iterator is closed, and the next chunk starts behind the last entry.
    fn scan<N: Namespace>(
        &mut self,
        state: usize,
        n: &N,
        mut visit: impl FnMut(&[u8], &[u8]) -> StateResult<()>,
    ) -> StateResult<()> {
        let prefix = self.key.with_namespace::<K, N>(n);
        let mut from = prefix.to_vec();
        let mut resumed = false;
        loop {
            self.scanned.clear();
            let mut iterator = self.db.raw_iterator_cf(&self.states[state].family);
            iterator.seek(&from);
            if resumed && iterator.key() == Some(&from) {
                iterator.next();
            }
            read_chunk(&mut iterator, prefix, &mut self.scanned)?;
            drop(iterator);
            for (key, value) in self.scanned.iter() {
                visit(&key[prefix.len()..], value)?;
            }
            if self.scanned.ends.len() < SCAN_CHUNK {
                return Ok(());
            }
            if let Some((last, _)) = self.scanned.iter().last() {
                from.clear();
                from.extend_from_slice(last);
            }
            resumed = true;
        }
    }

    /// Deletes every entry below the current key's prefix through write batches, one delete each.
    fn delete_scanned<N: Namespace>(&mut self, state: usize, n: &N) -> StateResult<()> {
        let family = self.states[state].family;
        let prefix = self.key.with_namespace::<K, N>(n).to_vec();
        let mut keys: Vec<Vec<u8>> = Vec::new();
        self.scan(state, n, |user_key, _| {
            keys.push([prefix.as_slice(), user_key].concat());
            Ok(())
        })?;
        let mut batch = Batch::new(&self.options);
        keys.iter().try_for_each(|key| batch.delete(family, key, &self.db))?;
        batch.flush(&self.db)
    }
}

fn read_chunk(iterator: &mut DBRawIterator<'_>, prefix: &[u8], chunk: &mut ScannedEntries) -> StateResult<()> {
    while chunk.ends.len() < SCAN_CHUNK
        && let Some((key, value)) = iterator.item()
        && key.starts_with(prefix)
    {
        chunk.push(key, value);
        iterator.next();
    }
    iterator.status().map_err(storage)
}

impl<K: Key> KeyedStateBackend<K> for RocksDbBackend<K> {
    fn value_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ValueState<N, T>> {
        self.register(StateMeta::value::<N, T>(name), single::<K, N, T>()).map(ValueState::new)
    }
    fn list_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ListState<N, T>> {
        self.register(StateMeta::list::<N, T>(name), list::<K, N, T>()).map(ListState::new)
    }
    fn map_state<N: Namespace, U: UserKey, T: StateValue>(&mut self, name: &str) -> StateResult<MapState<N, U, T>> {
        self.register(StateMeta::map::<N, U, T>(name), map::<K, N, U, T>()).map(MapState::new)
    }
    fn reducing_state<N: Namespace, F: Reduce>(&mut self, name: &str) -> StateResult<ReducingState<N, F>> {
        self.register(StateMeta::reducing::<N, F>(name), single::<K, N, F::Value>()).map(ReducingState::new)
    }
    fn aggregating_state<N: Namespace, F: Aggregate>(&mut self, name: &str) -> StateResult<AggregatingState<N, F>> {
        self.register(StateMeta::aggregating::<N, F>(name), single::<K, N, F::Accumulator>()).map(AggregatingState::new)
    }

    fn timer_service<N: Namespace>(&mut self, name: &str) -> StateResult<TimerService<N>> {
        self.register_timers(name)
    }

    #[inline]
    fn set_current_time(&mut self, now_ms: i64) {
        self.expiry.clock.store(now_ms, Ordering::Relaxed);
    }

    #[inline]
    fn set_current_key(&mut self, key: &K) {
        self.key.set_key(key, self.groups.group_of(key.hash_code()));
        if let Timers::Heap(timers) = &mut self.timers {
            timers.set_current_key(key);
        }
    }

    #[inline]
    fn value<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N) -> StateResult<Option<Cow<'_, T>>> {
        Ok(self.read_as::<N, T>(s.index, n)?.map(Cow::Owned))
    }
    #[inline]
    fn value_for_update<N: Namespace, T: StateValue + Default>(
        &mut self,
        s: ValueState<N, T>,
        n: &N,
    ) -> StateResult<Option<T>> {
        self.read_as(s.index, n)
    }
    #[inline]
    fn update<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N, value: T) -> StateResult<()> {
        self.write(s.index, n, |out| value.encode(out))
    }
    #[inline]
    fn clear_value<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N) -> StateResult<()> {
        self.delete(s.index, n)
    }

    #[inline]
    fn list_add<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, element: T) -> StateResult<()> {
        self.value.clear();
        element.encode(&mut self.value);
        let key = self.key.with_namespace::<K, N>(n);
        self.db.merge_cf_opt(&self.states[s.index].family, key, &self.value, &self.write_options).map_err(storage)
    }
    #[inline]
    fn list_scan<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        n: &N,
        visit: impl FnMut(&T),
    ) -> StateResult<()> {
        // The whole list is decoded before the first element is seen, as Flink's `get` does.
        let list = match self.read(s.index, n)? {
            Some(bytes) => decode_list::<T>(&bytes)?,
            None => Vec::new(),
        };
        list.iter().for_each(visit);
        Ok(())
    }
    fn list_update<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, list: Vec<T>) -> StateResult<()> {
        if list.is_empty() {
            return self.delete(s.index, n);
        }
        self.write(s.index, n, |out| encode_list(&list, out))
    }
    #[inline]
    fn clear_list<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N) -> StateResult<()> {
        self.delete(s.index, n)
    }
    /// The bytes of each list are merged as one operand, as in Flink.
    fn merge_list<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        for source in sources {
            let Some(list) = self.take(s.index, source)? else { continue };
            let key = self.key.with_namespace::<K, N>(target);
            self.db.merge_cf_opt(&self.states[s.index].family, key, list, &self.write_options).map_err(storage)?;
        }
        Ok(())
    }

    #[inline]
    fn map_get<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<Option<Cow<'_, T>>> {
        let key = self.key.with_user_key::<K, N, U>(n, key);
        let family = &self.states[s.index].family;
        let bytes = self.db.get_pinned_cf_opt(family, key, &self.read_options).map_err(storage)?;
        bytes.map(|bytes| decode_map_value(&bytes).map(Cow::Owned)).transpose()
    }
    /// A full read, as in Flink.
    #[inline]
    fn map_contains<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<bool> {
        let key = self.key.with_user_key::<K, N, U>(n, key);
        let family = &self.states[s.index].family;
        Ok(self.db.get_pinned_cf_opt(family, key, &self.read_options).map_err(storage)?.is_some())
    }
    #[inline]
    fn map_put<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: U,
        value: T,
    ) -> StateResult<()> {
        self.value.clear();
        encode_map_value(&value, &mut self.value);
        let key = self.key.with_user_key::<K, N, U>(n, &key);
        self.db.put_cf_opt(&self.states[s.index].family, key, &self.value, &self.write_options).map_err(storage)
    }
    #[inline]
    fn map_remove<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<()> {
        let key = self.key.with_user_key::<K, N, U>(n, key);
        self.db.delete_cf_opt(&self.states[s.index].family, key, &self.write_options).map_err(storage)
    }
    fn map_scan<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        mut visit: impl FnMut(&U, &T),
    ) -> StateResult<()> {
        self.scan(s.index, n, |mut user_key, value| {
            visit(&U::decode(&mut user_key)?, &decode_map_value(value)?);
            Ok(())
        })
    }
    #[inline]
    fn map_is_empty<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
    ) -> StateResult<bool> {
        let prefix = self.key.with_namespace::<K, N>(n);
        let mut iterator = self.db.raw_iterator_cf(&self.states[s.index].family);
        iterator.seek(prefix);
        iterator.status().map_err(storage)?;
        Ok(!iterator.key().is_some_and(|key| key.starts_with(prefix)))
    }
    fn clear_map<N: Namespace, U: UserKey, T: StateValue>(&mut self, s: MapState<N, U, T>, n: &N) -> StateResult<()> {
        self.delete_scanned(s.index, n)
    }

    #[inline]
    fn reducing_get<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        n: &N,
    ) -> StateResult<Option<Cow<'_, F::Value>>> {
        Ok(self.read_as::<N, F::Value>(s.index, n)?.map(Cow::Owned))
    }
    /// A read and a write, never a merge, as in Flink.
    #[inline]
    fn reducing_add<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        n: &N,
        value: F::Value,
    ) -> StateResult<()> {
        let reduced = match self.read_as::<N, F::Value>(s.index, n)? {
            Some(kept) => F::reduce(&kept, value),
            None => value,
        };
        self.write(s.index, n, |out| reduced.encode(out))
    }
    #[inline]
    fn clear_reducing<N: Namespace, F: Reduce>(&mut self, s: ReducingState<N, F>, n: &N) -> StateResult<()> {
        self.delete(s.index, n)
    }
    /// A read and a deletion of each source, then a read and a write of the target, as in Flink.
    fn merge_reducing<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        match self.take_merged(s.index, sources, |kept, other| *kept = F::reduce(kept, other))? {
            Some(merged) => self.reducing_add(s, target, merged),
            None => Ok(()),
        }
    }

    #[inline]
    fn aggregating_get<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        n: &N,
    ) -> StateResult<Option<F::Out>> {
        Ok(self.read_as::<N, F::Accumulator>(s.index, n)?.map(|accumulator| F::result(&accumulator)))
    }
    #[inline]
    fn aggregating_add<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        n: &N,
        element: F::In,
    ) -> StateResult<()> {
        let mut accumulator = self.read_as::<N, F::Accumulator>(s.index, n)?.unwrap_or_else(F::create);
        F::add(&mut accumulator, element);
        self.write(s.index, n, |out| accumulator.encode(out))
    }
    #[inline]
    fn clear_aggregating<N: Namespace, F: Aggregate>(&mut self, s: AggregatingState<N, F>, n: &N) -> StateResult<()> {
        self.delete(s.index, n)
    }
    /// As [`merge_reducing`](Self::merge_reducing).
    fn merge_aggregating<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        let Some(merged) = self.take_merged::<N, F::Accumulator>(s.index, sources, F::merge)? else { return Ok(()) };
        let accumulator = match self.read_as::<N, F::Accumulator>(s.index, target)? {
            Some(mut kept) => {
                F::merge(&mut kept, merged);
                kept
            }
            None => merged,
        };
        self.write(s.index, target, |out| accumulator.encode(out))
    }

    fn settle(&mut self) -> StateResult<()> {
        self.wait_for_compaction();
        self.db.wait_for_compact(&rocksdb::WaitForCompactOptions::default()).map_err(storage)
    }

    #[inline]
    fn register_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        n: &N,
        time_ms: i64,
    ) -> StateResult<()> {
        match &mut self.timers {
            Timers::Heap(timers) => timers.register_timer(t, domain, n, time_ms),
            Timers::Stored(timers) => {
                self.value.clear();
                self.key.encode_timer(n, time_ms, &mut self.value);
                timers.insert(queue_of(t, domain), self.key.group(), &self.value, &self.db)
            }
        }
    }
    #[inline]
    fn delete_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        n: &N,
        time_ms: i64,
    ) -> StateResult<()> {
        match &mut self.timers {
            Timers::Heap(timers) => timers.delete_timer(t, domain, n, time_ms),
            Timers::Stored(timers) => {
                self.value.clear();
                self.key.encode_timer(n, time_ms, &mut self.value);
                timers.remove(queue_of(t, domain), self.key.group(), &self.value, &self.db)
            }
        }
    }
    #[inline]
    fn take_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        until_ms: i64,
    ) -> StateResult<Option<Timer<K, N>>> {
        let timer = match &mut self.timers {
            Timers::Heap(timers) => timers.take_timer(t, domain, until_ms)?,
            Timers::Stored(timers) => {
                let stored = timers.take(queue_of(t, domain), until_ms, &self.db)?;
                stored.map(|stored| Timer::decode(&mut &stored[self.key.prefix_len()..])).transpose()?
            }
        };
        if let Some(timer) = &timer {
            self.set_current_key(&timer.key);
        }
        Ok(timer)
    }

    fn heap_use(&self, heap: JvmHeap) -> Option<HeapUse> {
        self.timers.heap_use(heap)
    }

    fn state_digest(&mut self) -> StateResult<Digest> {
        self.timers.flush(&self.db)?;
        let mut digest = self.timers.digest()?;
        let mut scratch = Vec::new();
        self.for_each_entry(|state, is_expired, key, value| {
            if let Some(fingerprint) = (state.kind.fingerprint)(value, is_expired, &mut scratch)? {
                digest.add(entry_hash(&state.meta.name, key, fingerprint));
            }
            Ok(())
        })?;
        Ok(digest)
    }
}

impl<K: Key> RocksDbBackend<K> {
    /// Visits every entry of every state, past the block cache.
    fn for_each_entry(
        &self,
        mut visit: impl FnMut(&State, IsExpired<'_>, &[u8], &[u8]) -> StateResult<()>,
    ) -> StateResult<()> {
        let now_ms = self.expiry.now_ms();
        for state in &self.states {
            let is_expired = |time| state.ttl.is_some_and(|ttl| ttl.is_expired(time, now_ms));
            let mut read = ReadOptions::default();
            read.fill_cache(false);
            let mut iterator = self.db.raw_iterator_cf_opt(&state.family, read);
            iterator.seek_to_first();
            while let Some((key, value)) = iterator.item() {
                visit(state, &is_expired, key, value)?;
                iterator.next();
            }
            iterator.status().map_err(storage)?;
        }
        Ok(())
    }

    /// Writes, deletes or leaves what was read of an entry.
    fn settle_change(
        &self,
        family: Family,
        key: &[u8],
        change: Change,
        encode: impl FnOnce(&mut Vec<u8>),
        value: &mut Vec<u8>,
    ) -> StateResult<()> {
        match change {
            Change::Keep => Ok(()),
            Change::Remove => self.db.delete_cf_opt(&family, key, &self.write_options).map_err(storage),
            Change::Write => {
                value.clear();
                encode(value);
                self.db.put_cf_opt(&family, key, value, &self.write_options).map_err(storage)
            }
        }
    }
}

impl<K: Key> ExpiringState<K> for RocksDbBackend<K> {
    fn ttl_of(&self, name: &str) -> Option<StateTtl> {
        self.expiry.ttls.get(name).copied()
    }

    fn modify<N: Namespace, T: StateValue, R>(
        &mut self,
        s: ValueState<N, T>,
        n: &N,
        change: impl FnOnce(&mut T) -> (Change, R),
    ) -> StateResult<Option<R>> {
        let Some(mut value) = self.read_as::<N, T>(s.index, n)? else { return Ok(None) };
        let (change, result) = change(&mut value);
        match change {
            Change::Keep => {}
            Change::Remove => self.delete(s.index, n)?,
            Change::Write => self.write(s.index, n, |out| value.encode(out))?,
        }
        Ok(Some(result))
    }

    fn modify_map_entry<N: Namespace, U: UserKey, T: StateValue, R>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
        change: impl FnOnce(&mut T) -> (Change, R),
    ) -> StateResult<Option<R>> {
        let family = self.states[s.index].family;
        let key = self.key.with_user_key::<K, N, U>(n, key);
        let bytes = self.db.get_pinned_cf_opt(&family, key, &self.read_options).map_err(storage)?;
        let Some(bytes) = bytes else { return Ok(None) };
        let mut value = decode_map_value::<T>(&bytes)?;
        drop(bytes);
        let (change, result) = change(&mut value);
        let (key, mut buffer) = (key.to_vec(), std::mem::take(&mut self.value));
        let settled = self.settle_change(family, &key, change, |out| encode_map_value(&value, out), &mut buffer);
        self.value = buffer;
        settled.map(|()| Some(result))
    }

    /// Each change is a write of its own, as with Flink's map iterator.
    fn modify_map<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        mut change: impl FnMut(&U, &mut T) -> Change,
    ) -> StateResult<()> {
        let family = self.states[s.index].family;
        let prefix = self.key.with_namespace::<K, N>(n).to_vec();
        let mut changes: Vec<(Vec<u8>, Change, T)> = Vec::new();
        self.scan(s.index, n, |user_key, value| {
            let mut value = decode_map_value::<T>(value)?;
            let change = change(&U::decode(&mut &*user_key)?, &mut value);
            if change != Change::Keep {
                changes.push(([prefix.as_slice(), user_key].concat(), change, value));
            }
            Ok(())
        })?;
        let mut buffer = Vec::new();
        changes.into_iter().try_for_each(|(key, change, value)| {
            self.settle_change(family, &key, change, |out| encode_map_value(&value, out), &mut buffer)
        })
    }

    fn modify_list<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        n: &N,
        change: impl FnOnce(&mut Vec<T>) -> Change,
    ) -> StateResult<()> {
        let Some(bytes) = self.read(s.index, n)? else { return Ok(()) };
        let mut list = decode_list::<T>(&bytes)?;
        drop(bytes);
        match change(&mut list) {
            Change::Keep => Ok(()),
            Change::Remove => self.delete(s.index, n),
            Change::Write => self.list_update(s, n, list),
        }
    }

    fn census(&mut self) -> StateResult<Census> {
        let mut census = Census::default();
        self.for_each_entry(|state, is_expired, key, value| {
            (state.kind.count)(key.len(), value, is_expired, &mut census)
        })?;
        Ok(census)
    }

    fn cleaned_in_background(&self) -> CleanedEntries {
        let removed = self.expiry.filters.iter().map(|(_, shared)| shared.removed()).sum();
        CleanedEntries { compaction_filter: removed, ..CleanedEntries::default() }
    }
}
