//! Sorted ingestion: a prefill that writes table files instead of putting one entry after another.
//!
//! The tree that it leaves is the best there can be: every entry once, in one sorted level. A job never has it; a sweep
//! over options that do not shape the tree may start from it.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use rocksdb::{IngestExternalFileOptions, Options as DbOptions, SstFileWriter};

use super::{RocksDbBackend, encode_list, storage};
use crate::backend::LIST_DELIMITER;
use crate::backend::stored::encode_map_value;
use crate::state::{
    Aggregate, AggregatingState, Codec, CompositeKey, Digest, Key, KeyGroups, KeyedStateBackend, ListState, MapState,
    Namespace, Reduce, ReducingState, StateError, StateResult, StateValue, TimeDomain, Timer, TimerService, UserKey,
    ValueState,
};

/// Takes the writes of a prefill and finds nothing on any read, so an operator may write an entry once only; elements
/// of a list may come one by one.
pub struct SortedLoad<K> {
    groups: KeyGroups,
    first_group: u16,
    group: usize,
    key: CompositeKey,
    value: Vec<u8>,
    states: Vec<LoadedState>,
    marker: PhantomData<fn(K)>,
}

/// The entries of one state, by key group: sorting a group at a time stays in the core's cache.
struct LoadedState {
    is_list: bool,
    groups: Vec<Entries>,
}

/// Entries in the order they came: keys and values in one buffer.
#[derive(Default)]
struct Entries {
    bytes: Vec<u8>,
    places: Vec<EntryPlace>,
}

#[derive(Clone, Copy)]
struct EntryPlace {
    start: usize,
    key_bytes: u32,
    value_bytes: u32,
}

impl Entries {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.places.push(EntryPlace { start, key_bytes: key.len() as u32, value_bytes: value.len() as u32 });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
    }

    fn key(&self, place: EntryPlace) -> &[u8] {
        &self.bytes[place.start..place.start + place.key_bytes as usize]
    }

    fn value(&self, place: EntryPlace) -> &[u8] {
        let start = place.start + place.key_bytes as usize;
        &self.bytes[start..start + place.value_bytes as usize]
    }

    /// Sorts by key; what came first of one key stays first.
    fn sort(&mut self) {
        let mut places: Vec<_> = self.places.iter().map(|&place| (head(self.key(place)), place)).collect();
        // The head decides nearly always: a sort that rarely touches the keys themselves.
        places.sort_unstable_by(|(head_a, a), (head_b, b)| {
            head_a.cmp(head_b).then_with(|| self.key(*a).cmp(self.key(*b))).then(a.start.cmp(&b.start))
        });
        self.places = places.into_iter().map(|(_, place)| place).collect();
    }
}

/// The first 16 bytes of a key as a number that sorts as they do.
fn head(key: &[u8]) -> u128 {
    let mut head = [0_u8; 16];
    let length = key.len().min(head.len());
    head[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(head)
}

impl<K: Key> SortedLoad<K> {
    /// For the states of a backend, in order of their registration; `lists` tells which of them are lists.
    pub(super) fn new(groups: KeyGroups, subtask: u16, lists: impl IntoIterator<Item = bool>) -> Self {
        let range = groups.range_of(subtask);
        let empty = |is_list| {
            let groups = std::iter::repeat_with(Entries::default).take(range.len()).collect();
            LoadedState { is_list, groups }
        };
        Self {
            groups,
            first_group: range.start,
            group: 0,
            key: CompositeKey::new(groups.max_parallelism),
            value: Vec::new(),
            states: lists.into_iter().map(empty).collect(),
            marker: PhantomData,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "what the interface returns")]
    fn put<N: Namespace>(&mut self, state: usize, n: &N, encode: impl FnOnce(&mut Vec<u8>)) -> StateResult<()> {
        self.value.clear();
        encode(&mut self.value);
        let key = self.key.with_namespace::<K, N>(n);
        self.states[state].groups[self.group].push(key, &self.value);
        Ok(())
    }
}

/// A prefill has nothing to remove.
fn removal() -> StateError {
    StateError::Storage("a prefill by ingestion removes nothing: use `prefill-by = \"puts\"`".to_owned())
}

/// Timers are not ingested.
fn timers() -> StateError {
    StateError::Storage("a prefill by ingestion has no timers: use `prefill-by = \"puts\"`".to_owned())
}

fn registered<T>() -> StateResult<T> {
    Err(StateError::Storage("states are registered with the database, not with what loads it".to_owned()))
}

impl<K: Key> KeyedStateBackend<K> for SortedLoad<K> {
    fn value_state<N: Namespace, T: StateValue>(&mut self, _: &str) -> StateResult<ValueState<N, T>> {
        registered()
    }
    fn list_state<N: Namespace, T: StateValue>(&mut self, _: &str) -> StateResult<ListState<N, T>> {
        registered()
    }
    fn map_state<N: Namespace, U: UserKey, T: StateValue>(&mut self, _: &str) -> StateResult<MapState<N, U, T>> {
        registered()
    }
    fn reducing_state<N: Namespace, F: Reduce>(&mut self, _: &str) -> StateResult<ReducingState<N, F>> {
        registered()
    }
    fn aggregating_state<N: Namespace, F: Aggregate>(&mut self, _: &str) -> StateResult<AggregatingState<N, F>> {
        registered()
    }
    fn timer_service<N: Namespace>(&mut self, _: &str) -> StateResult<TimerService<N>> {
        registered()
    }

    fn set_current_key(&mut self, key: &K) {
        let group = self.groups.group_of(key.hash_code());
        self.group = usize::from(group - self.first_group);
        self.key.set_key(key, group);
    }

    fn value<N: Namespace, T: StateValue>(&mut self, _: ValueState<N, T>, _: &N) -> StateResult<Option<Cow<'_, T>>> {
        Ok(None)
    }
    fn value_for_update<N: Namespace, T: StateValue + Default>(
        &mut self,
        _: ValueState<N, T>,
        _: &N,
    ) -> StateResult<Option<T>> {
        Ok(None)
    }
    fn update<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N, value: T) -> StateResult<()> {
        self.put(s.index, n, |out| value.encode(out))
    }
    fn clear_value<N: Namespace, T: StateValue>(&mut self, _: ValueState<N, T>, _: &N) -> StateResult<()> {
        Err(removal())
    }

    fn list_add<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, element: T) -> StateResult<()> {
        self.put(s.index, n, |out| element.encode(out))
    }
    fn list_scan<N: Namespace, T: StateValue>(
        &mut self,
        _: ListState<N, T>,
        _: &N,
        _: impl FnMut(&T),
    ) -> StateResult<()> {
        Ok(())
    }
    fn list_update<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, list: Vec<T>) -> StateResult<()> {
        self.put(s.index, n, |out| encode_list(&list, out))
    }
    fn clear_list<N: Namespace, T: StateValue>(&mut self, _: ListState<N, T>, _: &N) -> StateResult<()> {
        Err(removal())
    }
    fn merge_list<N: Namespace, T: StateValue>(&mut self, _: ListState<N, T>, _: &N, _: &[N]) -> StateResult<()> {
        Err(removal())
    }

    fn map_get<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
        _: &U,
    ) -> StateResult<Option<Cow<'_, T>>> {
        Ok(None)
    }
    fn map_contains<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
        _: &U,
    ) -> StateResult<bool> {
        Ok(false)
    }
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
        self.states[s.index].groups[self.group].push(key, &self.value);
        Ok(())
    }
    fn map_remove<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
        _: &U,
    ) -> StateResult<()> {
        Err(removal())
    }
    fn map_scan<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
        _: impl FnMut(&U, &T),
    ) -> StateResult<()> {
        Ok(())
    }
    fn map_is_empty<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
    ) -> StateResult<bool> {
        Ok(true)
    }
    fn clear_map<N: Namespace, U: UserKey, T: StateValue>(&mut self, _: MapState<N, U, T>, _: &N) -> StateResult<()> {
        Err(removal())
    }

    fn reducing_get<N: Namespace, F: Reduce>(
        &mut self,
        _: ReducingState<N, F>,
        _: &N,
    ) -> StateResult<Option<Cow<'_, F::Value>>> {
        Ok(None)
    }
    fn reducing_add<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        n: &N,
        value: F::Value,
    ) -> StateResult<()> {
        self.put(s.index, n, |out| value.encode(out))
    }
    fn clear_reducing<N: Namespace, F: Reduce>(&mut self, _: ReducingState<N, F>, _: &N) -> StateResult<()> {
        Err(removal())
    }
    fn merge_reducing<N: Namespace, F: Reduce>(&mut self, _: ReducingState<N, F>, _: &N, _: &[N]) -> StateResult<()> {
        Err(removal())
    }

    fn aggregating_get<N: Namespace, F: Aggregate>(
        &mut self,
        _: AggregatingState<N, F>,
        _: &N,
    ) -> StateResult<Option<F::Out>> {
        Ok(None)
    }
    fn aggregating_add<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        n: &N,
        element: F::In,
    ) -> StateResult<()> {
        let mut accumulator = F::create();
        F::add(&mut accumulator, element);
        self.put(s.index, n, |out| accumulator.encode(out))
    }
    fn clear_aggregating<N: Namespace, F: Aggregate>(&mut self, _: AggregatingState<N, F>, _: &N) -> StateResult<()> {
        Err(removal())
    }
    fn merge_aggregating<N: Namespace, F: Aggregate>(
        &mut self,
        _: AggregatingState<N, F>,
        _: &N,
        _: &[N],
    ) -> StateResult<()> {
        Err(removal())
    }

    fn register_timer<N: Namespace>(&mut self, _: TimerService<N>, _: TimeDomain, _: &N, _: i64) -> StateResult<()> {
        Err(timers())
    }
    fn delete_timer<N: Namespace>(&mut self, _: TimerService<N>, _: TimeDomain, _: &N, _: i64) -> StateResult<()> {
        Err(timers())
    }
    fn take_timer<N: Namespace>(
        &mut self,
        _: TimerService<N>,
        _: TimeDomain,
        _: i64,
    ) -> StateResult<Option<Timer<K, N>>> {
        Err(timers())
    }

    fn state_digest(&mut self) -> StateResult<Digest> {
        Err(StateError::Storage("what loads a database has no digest".to_owned()))
    }
}

impl<K: Key> RocksDbBackend<K> {
    /// Writes what was loaded into table files and takes them into the empty database.
    pub(super) fn ingest_sorted(&mut self, load: SortedLoad<K>) -> StateResult<()> {
        let folder = self.db.path().join("load");
        let io = |error: std::io::Error| StateError::Storage(format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(io)?;
        let most_bytes = self.options.compaction_level_target_file_size_base.0;
        for (state, loaded) in self.states.iter().zip(load.states) {
            let files = write_files(&self.db_options, &folder, loaded, most_bytes)?;
            if !files.is_empty() {
                let mut ingest = IngestExternalFileOptions::default();
                ingest.set_move_files(true);
                self.db.ingest_external_file_cf_opts(&state.family, &ingest, files).map_err(storage)?;
            }
        }
        std::fs::remove_dir_all(&folder).map_err(io)
    }
}

/// Writes a state's entries in order of their keys into files of about `most_bytes` each.
fn write_files(options: &DbOptions, folder: &Path, loaded: LoadedState, most_bytes: u64) -> StateResult<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut writer: Option<SstFileWriter<'_>> = None;
    for mut entries in loaded.groups {
        entries.sort();
        for (key, value) in merged(&entries, loaded.is_list)? {
            if let Some(full) = writer.take_if(|writer| writer.file_size() >= most_bytes) {
                let mut full = full;
                full.finish().map_err(storage)?;
            }
            if writer.is_none() {
                let path = folder.join(format!("{}.sst", files.len()));
                let next = SstFileWriter::create(options);
                next.open(&path).map_err(storage)?;
                files.push(path);
                writer = Some(next);
            }
            if let Some(writer) = &mut writer {
                writer.put(key, &value).map_err(storage)?;
            }
        }
    }
    if let Some(mut last) = writer {
        last.finish().map_err(storage)?;
    }
    Ok(files)
}

/// A key and its value.
type Merged<'a> = (&'a [u8], Cow<'a, [u8]>);

/// Sorted entries, the elements of one list joined.
fn merged(entries: &Entries, is_list: bool) -> StateResult<Vec<Merged<'_>>> {
    let mut merged: Vec<Merged<'_>> = Vec::with_capacity(entries.places.len());
    for &place in &entries.places {
        let (key, value) = (entries.key(place), entries.value(place));
        match merged.last_mut() {
            Some((last, joined)) if *last == key => {
                if !is_list {
                    let reason = "the operator's prefill writes an entry twice: use `prefill-by = \"puts\"`";
                    return Err(StateError::Storage(reason.to_owned()));
                }
                let joined = joined.to_mut();
                joined.push(LIST_DELIMITER);
                joined.extend_from_slice(value);
            }
            _ => merged.push((key, Cow::Borrowed(value))),
        }
    }
    Ok(merged)
}
