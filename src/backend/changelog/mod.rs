//! The changelog state backend over any other: Flink's `ChangelogKeyedStateBackend`.
//!
//! Every change goes to the wrapped backend and, once [`begin_log`](ChangelogBackend::begin_log) was called, to a log that
//! is uploaded while the job runs. A checkpoint is then the last materialization, a snapshot of the wrapped backend, and
//! the log since: what is left to upload at the barrier is little. A restore takes in the materialization and makes the
//! changes again.
//!
//! The wrapper is always there, so that any job goes on from a checkpoint with a log. Without one of its own an access
//! costs a branch.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `log.rs` | changes, and the segments that they are stored in |
//! | `replay.rs` | reading them back |
//! | `materialize.rs` | snapshots of the wrapped backend, now and then |
//! | `snapshots.rs` | the backend in checkpoints |

mod log;
mod materialize;
mod replay;
mod snapshots;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::log::{ChangeLog, InFlight, Operation};
use self::materialize::Materializer;
use self::replay::{LoggedState, Owned, Replay, no_such_change, of_entries, read_namespaces};
use super::timers::{DOMAINS, queue_name};
use super::{Census, Change, CleanedEntries, ExpiringState, Observed, Prefill, StoreEpisode};
use crate::checkpoint::{CheckpointStorage, SnapshotKind};
use crate::measure::Conditions;
use crate::result::{CacheCurve, RehashStalls, StoreBudget, StoreCounters, StoreSample, StoreShape, StoreUse};
use crate::state::{
    Aggregate, AggregatingState, Codec, Digest, HeapUse, JvmHeap, Key, KeyGroups, KeyedStateBackend, ListState,
    MapState, Namespace, Reduce, ReducingState, StateMeta, StateResult, StateTtl, StateValue, TimeDomain, Timer,
    TimerService, UserKey, ValueState, encode_time,
};
use crate::workload::CheckpointClock;

/// Where a log goes, and how.
pub struct ChangelogStorage {
    /// The folder of the files that checkpoints share.
    pub shared: CheckpointStorage,
    /// What the names of its files begin with: of one operator of one subtask.
    pub prefix: String,
    /// Whether the log stays in memory until it becomes part of a checkpoint's metadata: `state.changelog.storage`.
    pub in_memory: bool,
    /// Changes are uploaded ahead of a checkpoint when they are so many, bytes:
    /// `dstl.dfs.preemptive-persist-threshold`.
    pub persist_threshold: usize,
    /// Changes wait while more than this is on its way, bytes: `dstl.dfs.upload.max-in-flight`.
    pub max_in_flight: u64,
    in_flight: InFlight,
}

impl ChangelogStorage {
    /// A storage in a folder, with the options of a configuration.
    pub fn new(
        shared: CheckpointStorage,
        prefix: String,
        in_memory: bool,
        (persist_threshold, max_in_flight): (u64, u64),
    ) -> Self {
        let persist_threshold = usize::try_from(persist_threshold).unwrap_or(usize::MAX);
        Self { shared, prefix, in_memory, persist_threshold, max_in_flight, in_flight: InFlight::default() }
    }
}

/// How a wrapped backend is materialized.
#[derive(Debug, Clone)]
pub struct MaterializePlan {
    /// Time from one to the next; none where there is only the first.
    pub every: Option<Duration>,
    /// The clock of it.
    pub clock: CheckpointClock,
    /// Failures in a row that the job survives.
    pub max_failures: u32,
    /// Whether the state is more than what the log will hold: it was prefilled, restored or warmed up.
    pub has_state: bool,
    /// What kind of snapshot.
    pub kind: SnapshotKind,
    /// Whether key groups are compressed.
    pub compressed: bool,
    /// Streams up to this size go into the metadata, bytes.
    pub inline_threshold: u64,
    /// Threads that carry files.
    pub transfer_threads: u16,
    /// A folder of this machine on the file system of the state.
    pub scratch: PathBuf,
}

/// A backend whose changes may be logged.
pub struct ChangelogBackend<B> {
    /// The wrapped backend, which holds the state.
    pub inner: B,
    owned: Owned,
    states: Vec<LoggedState<B>>,
    /// The numbers of states, by the position in their handle, and of the first queue of timers.
    state_numbers: Vec<u16>,
    timer_numbers: Vec<u16>,
    log: Option<Box<Logging>>,
}

/// A log, and the snapshots that cut it.
struct Logging {
    log: ChangeLog,
    materializer: Materializer,
}

impl<B> ChangelogBackend<B> {
    /// Wraps a backend of a subtask.
    pub fn new(inner: B, groups: KeyGroups, subtask: u16) -> Self {
        Self {
            inner,
            owned: Owned { groups, range: groups.range_of(subtask) },
            states: Vec::new(),
            state_numbers: Vec::new(),
            timer_numbers: Vec::new(),
            log: None,
        }
    }

    fn register(&mut self, index: usize, meta: StateMeta, replay: Replay<B>) {
        let number = self.states.len() as u16; // a backend has at most 2^15 states, which the inner one has seen to
        note(&mut self.state_numbers, index, number);
        self.states.push(LoggedState { meta, replay });
    }

    /// Notes a change to an entry, where there is a log.
    #[inline(always)]
    fn change<N: Namespace>(&mut self, state: usize, operation: Operation, n: &N, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(logging) = &mut self.log {
            logging.log.change(self.state_numbers[state], operation, n, write);
        }
    }

    /// Notes what a look at an entry has changed.
    fn changed<N: Namespace>(
        log: &mut Option<Box<Logging>>,
        state: u16,
        change: Change,
        n: &N,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let Some(logging) = log else { return };
        match change {
            Change::Keep => {}
            Change::Write => logging.log.change(state, Operation::Set, n, write),
            Change::Remove => logging.log.change(state, Operation::Clear, n, |_| ()),
        }
    }

    /// Notes a merge of namespaces.
    fn merged<N: Namespace>(&mut self, state: usize, target: &N, sources: &[N]) {
        self.change(state, Operation::MergeNamespaces, target, |out| {
            (sources.len() as i32).encode(out);
            sources.iter().for_each(|source| source.encode(out));
        });
    }

    /// Notes what a reduce or aggregate function keeps now, which is read for it, as in Flink.
    #[inline(always)]
    fn keeps<K: Key, N: Namespace, T: StateValue>(&mut self, state: usize, n: &N) -> StateResult<()>
    where
        B: KeyedStateBackend<K>,
    {
        let Some(logging) = &mut self.log else { return Ok(()) };
        if let Some(kept) = self.inner.value(ValueState::<N, T>::new(state), n)? {
            logging.log.change(self.state_numbers[state], Operation::SetInternal, n, |out| kept.encode(out));
        }
        Ok(())
    }

    /// Notes that a timer of the current key was set or removed.
    #[inline(always)]
    fn timer_change<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        operation: Operation,
        (time_ms, n): (i64, &N),
    ) {
        let Some(logging) = &mut self.log else { return };
        let queue = self.timer_numbers[t.index] + domain as u16;
        logging.log.timer_change(queue, operation, |key, out| {
            encode_time(time_ms, out);
            out.extend_from_slice(key);
            n.encode(out);
        });
    }
}

fn note(numbers: &mut Vec<u16>, index: usize, number: u16) {
    if numbers.len() <= index {
        numbers.resize(index + 1, u16::MAX);
    }
    numbers[index] = number;
}

/// What replays changes to a value, or to what a function keeps.
fn replay_value<K: Key, N: Namespace, T: StateValue, B: KeyedStateBackend<K>>(
    backend: &mut B,
    s: ValueState<N, T>,
    n: &N,
    (operation, input): (Operation, &mut &[u8]),
) -> StateResult<()> {
    match operation {
        Operation::Set | Operation::SetInternal => backend.update(s, n, T::decode(input)?),
        Operation::Clear => backend.clear_value(s, n),
        _ => Err(no_such_change(operation)),
    }
}

impl<K: Key, B: KeyedStateBackend<K> + 'static> KeyedStateBackend<K> for ChangelogBackend<B> {
    fn value_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ValueState<N, T>> {
        let s = self.inner.value_state::<N, T>(name)?;
        let replay = move |b: &mut B, n: &N, operation, input: &mut &[u8]| replay_value(b, s, n, (operation, input));
        let replay = of_entries::<K, N, B>(self.owned.clone(), replay);
        self.register(s.index, StateMeta::value::<N, T>(name), replay);
        Ok(s)
    }
    fn list_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ListState<N, T>> {
        let s = self.inner.list_state::<N, T>(name)?;
        let replay = of_entries::<K, N, B>(self.owned.clone(), move |b, n, operation, input| match operation {
            Operation::AddElement => b.list_add(s, n, T::decode(input)?),
            Operation::Set => b.list_update(s, n, Vec::decode(input)?),
            Operation::Clear => b.clear_list(s, n),
            Operation::MergeNamespaces => b.merge_list(s, n, &read_namespaces(input)?),
            _ => Err(no_such_change(operation)),
        });
        self.register(s.index, StateMeta::list::<N, T>(name), replay);
        Ok(s)
    }
    fn map_state<N: Namespace, U: UserKey, T: StateValue>(&mut self, name: &str) -> StateResult<MapState<N, U, T>> {
        let s = self.inner.map_state::<N, U, T>(name)?;
        let replay = of_entries::<K, N, B>(self.owned.clone(), move |b, n, operation, input| match operation {
            Operation::PutElement => b.map_put(s, n, U::decode(input)?, T::decode(input)?),
            Operation::RemoveElement => b.map_remove(s, n, &U::decode(input)?),
            Operation::Clear => b.clear_map(s, n),
            _ => Err(no_such_change(operation)),
        });
        self.register(s.index, StateMeta::map::<N, U, T>(name), replay);
        Ok(s)
    }
    fn reducing_state<N: Namespace, F: Reduce>(&mut self, name: &str) -> StateResult<ReducingState<N, F>> {
        let s = self.inner.reducing_state::<N, F>(name)?;
        let kept = ValueState::<N, F::Value>::new(s.index);
        let replay = of_entries::<K, N, B>(self.owned.clone(), move |b, n, operation, input| match operation {
            Operation::MergeNamespaces => b.merge_reducing(s, n, &read_namespaces(input)?),
            _ => replay_value(b, kept, n, (operation, input)),
        });
        self.register(s.index, StateMeta::reducing::<N, F>(name), replay);
        Ok(s)
    }
    fn aggregating_state<N: Namespace, F: Aggregate>(&mut self, name: &str) -> StateResult<AggregatingState<N, F>> {
        let s = self.inner.aggregating_state::<N, F>(name)?;
        let kept = ValueState::<N, F::Accumulator>::new(s.index);
        let replay = of_entries::<K, N, B>(self.owned.clone(), move |b, n, operation, input| match operation {
            Operation::MergeNamespaces => b.merge_aggregating(s, n, &read_namespaces(input)?),
            _ => replay_value(b, kept, n, (operation, input)),
        });
        self.register(s.index, StateMeta::aggregating::<N, F>(name), replay);
        Ok(s)
    }
    fn timer_service<N: Namespace>(&mut self, name: &str) -> StateResult<TimerService<N>> {
        let t = self.inner.timer_service::<N>(name)?;
        note(&mut self.timer_numbers, t.index, self.states.len() as u16);
        for domain in DOMAINS {
            let owned = self.owned.clone();
            let replay = move |b: &mut B, operation, input: &mut &[u8]| {
                let Timer { time_ms, key, namespace } = Timer::<K, N>::decode(input)?;
                owned.check(&key)?;
                b.set_current_key(&key);
                match operation {
                    Operation::AddElement => b.register_timer(t, domain, &namespace, time_ms),
                    Operation::RemoveElement => b.delete_timer(t, domain, &namespace, time_ms),
                    _ => Err(no_such_change(operation)),
                }
            };
            let meta = StateMeta::timers::<K, N>(&queue_name(name, domain));
            self.states.push(LoggedState { meta, replay: Box::new(replay) });
        }
        Ok(t)
    }

    #[inline(always)]
    fn set_current_time(&mut self, now_ms: i64) {
        self.inner.set_current_time(now_ms);
    }
    #[inline(always)]
    fn set_current_key(&mut self, key: &K) {
        if let Some(logging) = &mut self.log {
            logging.log.set_current_key(key);
        }
        self.inner.set_current_key(key);
    }

    #[inline(always)]
    fn value<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N) -> StateResult<Option<Cow<'_, T>>> {
        self.inner.value(s, n)
    }
    #[inline(always)]
    fn value_for_update<N: Namespace, T: StateValue + Default>(
        &mut self,
        s: ValueState<N, T>,
        n: &N,
    ) -> StateResult<Option<T>> {
        self.inner.value_for_update(s, n)
    }
    #[inline(always)]
    fn update<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N, value: T) -> StateResult<()> {
        self.change(s.index, Operation::Set, n, |out| value.encode(out));
        self.inner.update(s, n, value)
    }
    #[inline(always)]
    fn clear_value<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N) -> StateResult<()> {
        self.change(s.index, Operation::Clear, n, |_| ());
        self.inner.clear_value(s, n)
    }

    #[inline(always)]
    fn list_add<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, element: T) -> StateResult<()> {
        self.change(s.index, Operation::AddElement, n, |out| element.encode(out));
        self.inner.list_add(s, n, element)
    }
    #[inline(always)]
    fn list_scan<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        n: &N,
        visit: impl FnMut(&T),
    ) -> StateResult<()> {
        self.inner.list_scan(s, n, visit)
    }
    #[inline(always)]
    fn list_update<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, list: Vec<T>) -> StateResult<()> {
        self.change(s.index, Operation::Set, n, |out| list.encode(out));
        self.inner.list_update(s, n, list)
    }
    #[inline(always)]
    fn clear_list<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N) -> StateResult<()> {
        self.change(s.index, Operation::Clear, n, |_| ());
        self.inner.clear_list(s, n)
    }
    fn merge_list<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        self.merged(s.index, target, sources);
        self.inner.merge_list(s, target, sources)
    }

    #[inline(always)]
    fn map_get<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<Option<Cow<'_, T>>> {
        self.inner.map_get(s, n, key)
    }
    #[inline(always)]
    fn map_contains<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<bool> {
        self.inner.map_contains(s, n, key)
    }
    #[inline(always)]
    fn map_put<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: U,
        value: T,
    ) -> StateResult<()> {
        self.change(s.index, Operation::PutElement, n, |out| {
            key.encode(out);
            value.encode(out);
        });
        self.inner.map_put(s, n, key, value)
    }
    #[inline(always)]
    fn map_remove<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<()> {
        self.change(s.index, Operation::RemoveElement, n, |out| key.encode(out));
        self.inner.map_remove(s, n, key)
    }
    #[inline(always)]
    fn map_scan<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        visit: impl FnMut(&U, &T),
    ) -> StateResult<()> {
        self.inner.map_scan(s, n, visit)
    }
    #[inline(always)]
    fn map_is_empty<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
    ) -> StateResult<bool> {
        self.inner.map_is_empty(s, n)
    }
    #[inline(always)]
    fn clear_map<N: Namespace, U: UserKey, T: StateValue>(&mut self, s: MapState<N, U, T>, n: &N) -> StateResult<()> {
        self.change(s.index, Operation::Clear, n, |_| ());
        self.inner.clear_map(s, n)
    }

    #[inline(always)]
    fn reducing_get<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        n: &N,
    ) -> StateResult<Option<Cow<'_, F::Value>>> {
        self.inner.reducing_get(s, n)
    }
    #[inline(always)]
    fn reducing_add<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        n: &N,
        value: F::Value,
    ) -> StateResult<()> {
        self.inner.reducing_add(s, n, value)?;
        self.keeps::<K, N, F::Value>(s.index, n)
    }
    #[inline(always)]
    fn clear_reducing<N: Namespace, F: Reduce>(&mut self, s: ReducingState<N, F>, n: &N) -> StateResult<()> {
        self.change(s.index, Operation::Clear, n, |_| ());
        self.inner.clear_reducing(s, n)
    }
    fn merge_reducing<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        self.merged(s.index, target, sources);
        self.inner.merge_reducing(s, target, sources)
    }

    #[inline(always)]
    fn aggregating_get<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        n: &N,
    ) -> StateResult<Option<F::Out>> {
        self.inner.aggregating_get(s, n)
    }
    #[inline(always)]
    fn aggregating_add<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        n: &N,
        element: F::In,
    ) -> StateResult<()> {
        self.inner.aggregating_add(s, n, element)?;
        self.keeps::<K, N, F::Accumulator>(s.index, n)
    }
    #[inline(always)]
    fn clear_aggregating<N: Namespace, F: Aggregate>(&mut self, s: AggregatingState<N, F>, n: &N) -> StateResult<()> {
        self.change(s.index, Operation::Clear, n, |_| ());
        self.inner.clear_aggregating(s, n)
    }
    fn merge_aggregating<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        self.merged(s.index, target, sources);
        self.inner.merge_aggregating(s, target, sources)
    }

    #[inline]
    fn register_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        n: &N,
        time_ms: i64,
    ) -> StateResult<()> {
        self.timer_change(t, domain, Operation::AddElement, (time_ms, n));
        self.inner.register_timer(t, domain, n, time_ms)
    }
    #[inline]
    fn delete_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        n: &N,
        time_ms: i64,
    ) -> StateResult<()> {
        self.timer_change(t, domain, Operation::RemoveElement, (time_ms, n));
        self.inner.delete_timer(t, domain, n, time_ms)
    }
    #[inline]
    fn take_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        until_ms: i64,
    ) -> StateResult<Option<Timer<K, N>>> {
        let timer = self.inner.take_timer(t, domain, until_ms)?;
        if let (Some(Timer { time_ms, key, namespace }), Some(logging)) = (&timer, &mut self.log) {
            logging.log.set_current_key(key);
            self.timer_change(t, domain, Operation::RemoveElement, (*time_ms, namespace));
        }
        Ok(timer)
    }

    fn settle(&mut self) -> StateResult<()> {
        self.inner.settle()
    }
    fn heap_use(&self, heap: JvmHeap) -> Option<HeapUse> {
        self.inner.heap_use(heap)
    }
    fn heap_objects(&self) -> Option<u64> {
        self.inner.heap_objects()
    }
    fn state_digest(&mut self) -> StateResult<Digest> {
        self.inner.state_digest()
    }
}

impl<K: Key, B: ExpiringState<K> + 'static> ExpiringState<K> for ChangelogBackend<B> {
    fn ttl_of(&self, name: &str) -> Option<StateTtl> {
        self.inner.ttl_of(name)
    }
    #[inline]
    fn modify<N: Namespace, T: StateValue, R>(
        &mut self,
        s: ValueState<N, T>,
        n: &N,
        change: impl FnOnce(&mut T) -> (Change, R),
    ) -> StateResult<Option<R>> {
        let (log, number) = (&mut self.log, self.state_numbers[s.index]);
        self.inner.modify(s, n, |value: &mut T| {
            let (change, seen) = change(value);
            Self::changed(log, number, change, n, |out| value.encode(out));
            (change, seen)
        })
    }
    #[inline]
    fn modify_map_entry<N: Namespace, U: UserKey, T: StateValue, R>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
        change: impl FnOnce(&mut T) -> (Change, R),
    ) -> StateResult<Option<R>> {
        let (log, number) = (&mut self.log, self.state_numbers[s.index]);
        self.inner.modify_map_entry(s, n, key, |value: &mut T| {
            let (change, seen) = change(value);
            map_entry_changed(log, number, change, n, (key, value));
            (change, seen)
        })
    }
    fn modify_map<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        mut change: impl FnMut(&U, &mut T) -> Change,
    ) -> StateResult<()> {
        let (log, number) = (&mut self.log, self.state_numbers[s.index]);
        self.inner.modify_map(s, n, |key: &U, value: &mut T| {
            let change = change(key, value);
            map_entry_changed(log, number, change, n, (key, value));
            change
        })
    }
    fn modify_list<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        n: &N,
        change: impl FnOnce(&mut Vec<T>) -> Change,
    ) -> StateResult<()> {
        let (log, number) = (&mut self.log, self.state_numbers[s.index]);
        self.inner.modify_list(s, n, |list: &mut Vec<T>| {
            let change = change(list);
            Self::changed(log, number, change, n, |out| list.encode(out));
            change
        })
    }
    /// What a clean-up of the wrapped backend removes is in no log, as in Flink: it has expired after a restore too.
    fn clean_up_step(&mut self, state: usize, entries: u32) {
        self.inner.clean_up_step(state, entries);
    }
    fn census(&mut self) -> StateResult<Census> {
        self.inner.census()
    }
    fn cleaned_in_background(&self) -> CleanedEntries {
        self.inner.cleaned_in_background()
    }
}

/// Notes what a look at an entry of a map has changed.
fn map_entry_changed<N: Namespace, U: UserKey, T: StateValue>(
    log: &mut Option<Box<Logging>>,
    state: u16,
    change: Change,
    n: &N,
    (key, value): (&U, &T),
) {
    let Some(logging) = log else { return };
    match change {
        Change::Keep => {}
        Change::Write => logging.log.change(state, Operation::PutElement, n, |out| {
            key.encode(out);
            value.encode(out);
        }),
        Change::Remove => logging.log.change(state, Operation::RemoveElement, n, |out| key.encode(out)),
    }
}

impl<K: Key, B: Prefill<K> + 'static> Prefill<K> for ChangelogBackend<B> {
    type Loader = B::Loader;

    fn loader(&self) -> Option<Self::Loader> {
        self.inner.loader()
    }
    fn ingest(&mut self, loader: Self::Loader) -> StateResult<()> {
        self.inner.ingest(loader)
    }
    fn save_prefill(&mut self, folder: &Path) -> StateResult<()> {
        self.inner.save_prefill(folder)
    }
    fn load_prefill(&mut self, folder: &Path) -> StateResult<()> {
        self.inner.load_prefill(folder)
    }
}

impl<B: Observed> Observed for ChangelogBackend<B> {
    fn store_budget(&self) -> Option<StoreBudget> {
        self.inner.store_budget()
    }
    fn store_use(&self) -> StateResult<Option<StoreUse>> {
        self.inner.store_use()
    }
    fn store_counters(&self) -> Option<StoreCounters> {
        self.inner.store_counters()
    }
    fn store_shape(&self) -> StateResult<Option<StoreShape>> {
        self.inner.store_shape()
    }
    fn begin_counting(&self) {
        self.inner.begin_counting();
    }
    fn cache_curve(&self) -> Option<CacheCurve> {
        self.inner.cache_curve()
    }
    fn store_sample(&self) -> StateResult<Option<StoreSample>> {
        self.inner.store_sample()
    }
    fn conditions(&self) -> Option<Arc<Conditions>> {
        self.inner.conditions()
    }
    fn take_episodes(&self) -> (Vec<StoreEpisode>, u64) {
        self.inner.take_episodes()
    }
    fn rehash_stalls(&self) -> Option<RehashStalls> {
        self.inner.rehash_stalls()
    }
    fn episodes_going_on(&self) -> Vec<StoreEpisode> {
        self.inner.episodes_going_on()
    }
}
