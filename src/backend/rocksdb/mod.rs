//! The RocksDB backend: Flink's `EmbeddedRocksDBStateBackend`. One database per subtask, one column family per state,
//! Flink's key and value layout, no write-ahead log; every access serializes.

mod family;
#[cfg(test)]
mod layout;
mod load;
mod observe;
mod options;
mod pool;
#[cfg(test)]
mod proofs;

use std::borrow::Cow;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use family::Family;
use load::SortedLoad;
pub use options::db_options;
pub use pool::SharedMemory;
use rocksdb::{
    ColumnFamilyDescriptor, DB, DBPinnableSlice, DBRawIterator, Options as DbOptions, ReadOptions, WriteBatch,
    WriteOptions,
};

use super::{Prefill, encode_list};
use crate::state::{
    Aggregate, AggregatingState, Codec, CompositeKey, Digest, Key, KeyGroups, KeyedStateBackend, ListState, MapState,
    Namespace, Reduce, ReducingState, StateError, StateResult, StateValue, UserKey, ValueState, entry_hash,
};
use crate::workload::Options;

/// The version of RocksDB that is linked, by librocksdb-sys 0.19.
pub const ROCKSDB_VERSION: &str = "11.8.1";

/// Entries that a map iterator reads before it closes and seeks again: `RocksDBMapIterator` in Flink.
const SCAN_CHUNK: usize = 128;

/// Records at which a write batch is flushed: Flink's `RocksDBWriteBatchWrapper`.
const WRITE_BATCH_RECORDS: usize = 500;

/// Null flag of a map value: a value follows.
const NOT_NULL: u8 = 0;

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
    db: DB,
    /// The memory that the database shares with others; none where each column family has a cache of its own.
    memory: Option<Arc<SharedMemory>>,
    marker: PhantomData<fn(K)>,
}

/// One registered state.
struct State {
    name: String,
    family: Family,
    is_list: bool,
    /// The fingerprint of a value as stored, by the state's kind and type.
    fingerprint: fn(&[u8], &mut Vec<u8>) -> StateResult<u64>,
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

fn fingerprint_single<T: Codec>(mut bytes: &[u8], scratch: &mut Vec<u8>) -> StateResult<u64> {
    Ok(T::decode(&mut bytes)?.fingerprint(scratch))
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for all kinds of state")]
fn fingerprint_list(bytes: &[u8], _: &mut Vec<u8>) -> StateResult<u64> {
    Ok(xxhash_rust::xxh3::xxh3_64(bytes))
}

fn fingerprint_map_value<T: Codec>(bytes: &[u8], scratch: &mut Vec<u8>) -> StateResult<u64> {
    Ok(decode_map_value::<T>(bytes)?.fingerprint(scratch))
}

fn decode_map_value<T: Codec>(mut bytes: &[u8]) -> StateResult<T> {
    let null = bool::decode(&mut bytes)?;
    if null {
        return Err(StateError::Storage("a map entry holds null, which statebench never writes".to_owned()));
    }
    Ok(T::decode(&mut bytes)?)
}

fn decode_list<T: Codec>(mut bytes: &[u8]) -> StateResult<Vec<T>> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        list.push(T::decode(&mut bytes)?);
        // The delimiter is skipped blindly, as Flink does: elements end by themselves.
        bytes = bytes.get(1..).unwrap_or_default();
    }
    Ok(list)
}

/// Opens a database with every column family that it has.
fn open_db(path: &Path, db_options: &DbOptions, options: &Options) -> StateResult<DB> {
    if !path.join("CURRENT").exists() {
        return DB::open(db_options, path).map_err(storage);
    }
    let names = DB::list_cf(db_options, path).map_err(storage)?;
    let descriptor = |name: String| {
        let own = if options.shares_memory() { db_options.clone() } else { self::db_options(options, None)? };
        Ok(ColumnFamilyDescriptor::new(name, own))
    };
    let descriptors: Vec<_> = names.into_iter().map(descriptor).collect::<StateResult<_>>()?;
    DB::open_cf_descriptors(db_options, path, descriptors).map_err(storage)
}

impl<K: Key> Prefill<K> for RocksDbBackend<K> {
    type Loader = SortedLoad<K>;

    fn loader(&self) -> Option<SortedLoad<K>> {
        Some(SortedLoad::new(self.groups, self.subtask, self.states.iter().map(|state| state.is_list)))
    }
    fn ingest(&mut self, loader: SortedLoad<K>) -> StateResult<()> {
        self.ingest_sorted(loader)
    }
    /// A checkpoint: memtables are flushed, table files hard-linked.
    fn save_prefill(&mut self, folder: &Path) -> StateResult<()> {
        let checkpoint = rocksdb::checkpoint::Checkpoint::new(&self.db).map_err(storage)?;
        checkpoint.create_checkpoint(folder).map_err(storage)
    }
    /// It was opened on a copy.
    fn load_prefill(&mut self, _: &Path) -> StateResult<()> {
        Ok(())
    }
}

impl<K: Key> RocksDbBackend<K> {
    /// Opens a database in the folder `path`: an empty one, or the copy of a saved prefill that is there, whose column
    /// families wait for their states to be registered. `memory` is that of its pool, for options that share
    /// it. With `counts` RocksDB keeps its Statistics.
    ///
    /// # Errors
    /// RocksDB cannot open the folder or refuses an option.
    pub fn open(
        path: &Path,
        options: &Options,
        (groups, subtask): (KeyGroups, u16),
        memory: Option<Arc<SharedMemory>>,
        counts: bool,
    ) -> StateResult<Self> {
        let mut db_options = db_options(options, memory.as_deref())?;
        let counts = counts || options.native_metrics.need_statistics();
        if counts {
            db_options.enable_statistics();
            // By a fault of the crate this names RocksDB's ExceptDetailedTimers, its default, which Flink leaves.
            db_options.set_statistics_level(rocksdb::statistics::StatsLevel::ExceptTimers);
        }
        let mut write_options = WriteOptions::default();
        write_options.disable_wal(true);
        Ok(Self {
            states: Vec::new(),
            key: CompositeKey::new(groups.max_parallelism),
            groups,
            value: Vec::new(),
            scanned: ScannedEntries::default(),
            options: options.clone(),
            read_options: ReadOptions::default(),
            write_options,
            db: open_db(path, &db_options, options)?,
            subtask,
            counts,
            db_options,
            memory,
            marker: PhantomData,
        })
    }

    /// Writes every memtable to a table file.
    #[cfg(test)]
    pub fn flush(&self) -> StateResult<()> {
        self.states.iter().try_for_each(|state| self.db.flush_cf(&state.family).map_err(storage))
    }

    fn register(&mut self, name: &str, fingerprint: fn(&[u8], &mut Vec<u8>) -> StateResult<u64>) -> StateResult<usize> {
        if name == rocksdb::DEFAULT_COLUMN_FAMILY_NAME || self.states.iter().any(|state| state.name == name) {
            return Err(StateError::DuplicateName(name.to_owned()));
        }
        if self.db.cf_handle(name).is_none() {
            // Without shared memory each family has a block cache of its own.
            let own = if self.memory.is_none() { Some(db_options(&self.options, None)?) } else { None };
            self.db.create_cf(name, own.as_ref().unwrap_or(&self.db_options)).map_err(storage)?;
        }
        let family = self.db.cf_handle(name).map(Family::of);
        let family = family.ok_or_else(|| StateError::Storage(format!("no column family `{name}` after making it")))?;
        self.states.push(State { name: name.to_owned(), family, is_list: false, fingerprint });
        Ok(self.states.len() - 1)
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
        let most_bytes = self.options.write_batch_size.0 as usize;
        let mut batch = WriteBatch::default();
        for key in keys {
            batch.delete_cf(&family, key);
            let full = most_bytes > 0 && batch.size_in_bytes() >= most_bytes;
            if batch.len() >= WRITE_BATCH_RECORDS || full {
                self.db.write_opt(std::mem::take(&mut batch), &self.write_options).map_err(storage)?;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.db.write_opt(batch, &self.write_options).map_err(storage) }
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
        self.register(name, fingerprint_single::<T>).map(ValueState::new)
    }
    fn list_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ListState<N, T>> {
        let index = self.register(name, fingerprint_list)?;
        self.states[index].is_list = true;
        Ok(ListState::new(index))
    }
    fn map_state<N: Namespace, U: UserKey, T: StateValue>(&mut self, name: &str) -> StateResult<MapState<N, U, T>> {
        self.register(name, fingerprint_map_value::<T>).map(MapState::new)
    }
    fn reducing_state<N: Namespace, F: Reduce>(&mut self, name: &str) -> StateResult<ReducingState<N, F>> {
        self.register(name, fingerprint_single::<F::Value>).map(ReducingState::new)
    }
    fn aggregating_state<N: Namespace, F: Aggregate>(&mut self, name: &str) -> StateResult<AggregatingState<N, F>> {
        self.register(name, fingerprint_single::<F::Accumulator>).map(AggregatingState::new)
    }

    #[inline]
    fn set_current_key(&mut self, key: &K) {
        self.key.set_key(key, self.groups.group_of(key.hash_code()));
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
    fn list_get<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N) -> StateResult<Cow<'_, [T]>> {
        Ok(Cow::Owned(match self.read(s.index, n)? {
            Some(bytes) => decode_list(&bytes)?,
            None => Vec::new(),
        }))
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
        self.value.push(NOT_NULL);
        value.encode(&mut self.value);
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

    fn settle(&mut self) -> StateResult<()> {
        self.db.wait_for_compact(&rocksdb::WaitForCompactOptions::default()).map_err(storage)
    }

    fn state_digest(&mut self) -> StateResult<Digest> {
        let mut digest = Digest::default();
        let mut scratch = Vec::new();
        for state in &self.states {
            let mut iterator = self.db.raw_iterator_cf(&state.family);
            iterator.seek_to_first();
            while let Some((key, value)) = iterator.item() {
                digest.add(entry_hash(&state.name, key, (state.fingerprint)(value, &mut scratch)?));
                iterator.next();
            }
            iterator.status().map_err(storage)?;
        }
        Ok(digest)
    }
}
