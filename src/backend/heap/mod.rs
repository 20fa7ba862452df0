//! The heap backend: Flink's `HashMapStateBackend`. State values are live objects; no access serializes.

mod canonical;
mod checkpoint;
mod group;
mod object;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod timers;
mod versions;

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

pub use super::snapshot::SnapshotInfo;
#[cfg(feature = "rocksdb")]
pub(super) use canonical::GroupPlace;
pub use snapshot::HeapSnapshot;
pub use table::{Place, StateTable, TableSnapshot};

use object::{IsExpired, List, Map, Object, Single};
use snapshot::SnapshotTable;
use table::CleanupCursor;
use timers::TimerQueue;

use super::canonical::StoredEntry;
use super::episodes::StoreEvents;
use super::timers::{DOMAINS, queue_name, queue_of};
use super::ttl::{Census, Change, CleanedEntries, ExpiringState};
use super::{Observed, StoreEpisode};

use crate::measure::Conditions;
use crate::result::RehashStalls;
use crate::state::{
    Aggregate, AggregatingState, CompositeKey, Digest, HeapUse, JvmHeap, JvmSize, Key, KeyGroups, KeyedStateBackend,
    ListState, MapState, Namespace, ObjectMap, Reduce, ReducingState, StateError, StateMeta, StateResult, StateTtl,
    StateTtls, StateValue, TimeDomain, Timer, TimerService, UserKey, ValueState, entry_hash,
};

/// Keyed state of one subtask as objects on the heap.
pub struct HeapBackend<K> {
    groups: KeyGroups,
    first_group: u16,
    group_count: usize,
    states: Vec<State<K>>,
    current: Option<Current<K>>,
    ttls: StateTtls,
    now_ms: i64,
    cleaned: u64,
    /// When its tables grow.
    events: Arc<StoreEvents>,
}

/// The current key, with what follows from it.
struct Current<K> {
    key: K,
    hash_code: i32,
    /// Position of its key group in the range that the subtask owns.
    group: usize,
}

/// One registered state. Handles are plain tokens that all backends share, so the table is found again by its type.
struct State<K> {
    meta: StateMeta,
    table: Box<dyn Table<K>>,
    /// The type of the table: compared on each access without a call through the box.
    table_type: TypeId,
    ttl: Option<StateTtl>,
    cleanup: CleanupCursor,
}

/// A table of any types: what is done with all states alike.
trait Table<K>: Any + Send {
    fn digest(&self, key: &mut CompositeKey, scope: DigestScope<'_>) -> Digest;
    fn census(&self, key: &mut CompositeKey, scope: DigestScope<'_>) -> Census;
    /// Looks at some more entries and removes what has expired; how much that was.
    fn expire_step(&mut self, cursor: &mut CleanupCursor, entries: u32, is_expired: IsExpired<'_>) -> u64;
    fn snapshot(&mut self) -> Option<Box<dyn SnapshotTable>>;
    /// Reads the entries of a key group, given by number and position, from the front of `input`.
    fn read_group(&mut self, groups: KeyGroups, at: (u16, usize), input: &mut &[u8]) -> StateResult<()>;
    /// Reads an entry as RocksDB keeps it, of a key group that the backend has, whose first one is given.
    fn read_stored(&mut self, first_group: u16, entry: StoredEntry<'_>) -> StateResult<()>;
    fn heap_use(&self, heap: JvmHeap) -> HeapUse;
    /// Objects that the table would be on a Java heap, counted anew; what snapshots keep is left out.
    fn jvm_objects(&self) -> u64;
    /// What growing has stood still for.
    fn rehash_stalls(&self) -> RehashStalls {
        RehashStalls::default()
    }
    /// The live bytes of [`HeapUse`] counted anew from every entry, what snapshots keep left out.
    #[cfg(test)]
    fn recount(&self, heap: JvmHeap) -> u64;
}

impl<K> State<K> {
    fn is_expired(&self, last_access_ms: Option<i64>, now_ms: i64) -> bool {
        self.ttl.is_some_and(|ttl| ttl.is_expired(last_access_ms, now_ms))
    }

    /// The table. The assertion cannot fail: a handle carries the types that its state was registered with.
    #[inline(always)]
    fn table_mut<T: 'static>(&mut self) -> &mut T {
        assert!(self.table_type == TypeId::of::<T>(), "the state `{}` was registered with other types", self.meta.name);
        let table: *mut dyn Table<K> = self.table.as_mut();
        // SAFETY: `table_type` is the type of the object in the box, set where the box was made and never changed, and
        // it is `T`; the borrow is that of `self`. This is `downcast_mut` less its two calls through the vtable, which
        // cost as much as the look-up and keep the compiler from joining the accesses of one event.
        unsafe { &mut *table.cast::<T>() }
    }
}

/// What the digest of a table needs to know of its backend.
#[derive(Clone, Copy)]
struct DigestScope<'a> {
    name: &'a str,
    first_group: u16,
    is_expired: IsExpired<'a>,
}

impl<K: Key> HeapBackend<K> {
    /// An empty backend for the key groups of `subtask`.
    pub fn new(groups: KeyGroups, subtask: u16) -> Self {
        let range = groups.range_of(subtask);
        Self {
            groups,
            first_group: range.start,
            group_count: range.len(),
            states: Vec::new(),
            current: None,
            ttls: StateTtls::new(),
            now_ms: i64::MIN,
            cleaned: 0,
            events: Arc::default(),
        }
    }

    /// The same with states of which some expire.
    #[must_use]
    pub fn with_ttls(self, ttls: StateTtls) -> Self {
        Self { ttls, ..self }
    }

    fn register<N: Namespace, V: Object<K, N>>(&mut self, meta: StateMeta) -> StateResult<usize> {
        let mut table = StateTable::<K, N, V>::new(self.group_count);
        table.tell(&self.events, &meta.name);
        self.register_table(meta, table)
    }

    fn register_table<T: Table<K>>(&mut self, meta: StateMeta, table: T) -> StateResult<usize> {
        if self.states.iter().any(|state| state.meta.name == meta.name) {
            return Err(StateError::DuplicateName(meta.name));
        }
        meta.check(self.states.len())?;
        self.states.push(State {
            ttl: self.ttls.get(&meta.name).copied(),
            meta,
            table: Box::new(table),
            table_type: TypeId::of::<T>(),
            cleanup: CleanupCursor::default(),
        });
        Ok(self.states.len() - 1)
    }

    /// What tells of each state, in order of registration.
    pub(super) fn metas(&self) -> impl ExactSizeIterator<Item = &StateMeta> {
        self.states.iter().map(|state| &state.meta)
    }

    /// The key groups of this subtask.
    fn key_groups(&self) -> std::ops::Range<u16> {
        self.first_group..self.first_group + self.group_count as u16
    }

    #[cfg(test)]
    fn recount(&self, heap: JvmHeap) -> u64 {
        self.states.iter().map(|state| state.table.recount(heap)).sum()
    }

    /// The table of a state and the place of the current key in it.
    #[inline(always)]
    fn locate<'a: 'p, 'n: 'p, 'p, N: Namespace, V: 'static>(
        &'a mut self,
        index: usize,
        namespace: &'n N,
    ) -> (&'a mut StateTable<K, N, V>, Place<'p, K, N>) {
        self.locate_in(index, namespace)
    }

    /// The queue of a timer service and the place of the current key in it.
    #[inline(always)]
    fn locate_timers<'a: 'p, 'n: 'p, 'p, N: Namespace>(
        &'a mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        namespace: &'n N,
    ) -> (&'a mut TimerQueue<K, N>, Place<'p, K, N>) {
        self.locate_in(queue_of(t, domain), namespace)
    }

    #[inline(always)]
    #[expect(clippy::expect_used, reason = "the caller sets a key before the first access")]
    fn locate_in<'a: 'p, 'n: 'p, 'p, N: Namespace, T: 'static>(
        &'a mut self,
        index: usize,
        namespace: &'n N,
    ) -> (&'a mut T, Place<'p, K, N>) {
        let current = self.current.as_ref().expect("a current key");
        let place = Place::new(&current.key, current.hash_code, namespace, current.group);
        (self.states[index].table_mut(), place)
    }
}

impl<K: Key> HeapBackend<K> {
    /// Takes what the current key holds in some namespaces, merged; none where it holds nothing.
    fn take_merged<N: Namespace, V: Object<K, N>, R>(
        &mut self,
        index: usize,
        namespaces: &[N],
        merge: impl Fn(&mut V, V) -> R,
    ) -> Option<V> {
        let mut merged = None;
        for namespace in namespaces {
            let (table, place) = self.locate::<N, V>(index, namespace);
            merged = match (merged, table.take(place)) {
                (Some(mut kept), Some(taken)) => {
                    merge(&mut kept, taken);
                    Some(kept)
                }
                (kept, taken) => kept.or(taken),
            };
        }
        merged
    }
}

impl<K: 'static> Observed for HeapBackend<K> {
    fn conditions(&self) -> Option<Arc<Conditions>> {
        Some(Arc::clone(self.events.conditions()))
    }
    fn take_episodes(&self) -> (Vec<StoreEpisode>, u64) {
        self.events.take()
    }
    fn episodes_going_on(&self) -> Vec<StoreEpisode> {
        self.events.going_on()
    }
    fn rehash_stalls(&self) -> Option<RehashStalls> {
        self.states.iter().map(|state| state.table.rehash_stalls()).reduce(RehashStalls::plus)
    }
}

impl<K: Key> super::Prefill<K> for HeapBackend<K> {
    type Loader = super::NullBackend;

    fn loader(&self) -> Option<Self::Loader> {
        None
    }
    fn ingest(&mut self, _: Self::Loader) -> StateResult<()> {
        Ok(())
    }
    fn save_prefill(&mut self, folder: &Path) -> StateResult<()> {
        snapshot::save(self, folder)
    }
    fn load_prefill(&mut self, folder: &Path) -> StateResult<()> {
        snapshot::load(self, folder)
    }
}

impl<K: Key, N: Namespace, V: Object<K, N>> Table<K> for StateTable<K, N, V> {
    fn digest(&self, key: &mut CompositeKey, scope: DigestScope<'_>) -> Digest {
        let mut digest = Digest::default();
        self.for_each(|group, entry_key, namespace, value| {
            key.set_key(entry_key, scope.first_group + group as u16);
            value.for_each(key, namespace, scope.is_expired, &mut |composite, fingerprint| {
                digest.add(entry_hash(scope.name, composite, fingerprint));
            });
        });
        digest
    }
    fn census(&self, key: &mut CompositeKey, scope: DigestScope<'_>) -> Census {
        let mut census = Census::default();
        self.for_each(|group, entry_key, namespace, value| {
            key.set_key(entry_key, scope.first_group + group as u16);
            value.count(key, namespace, scope.is_expired, &mut census);
        });
        census
    }
    fn expire_step(&mut self, cursor: &mut CleanupCursor, entries: u32, is_expired: IsExpired<'_>) -> u64 {
        let mut removed = 0;
        StateTable::expire_step(
            self,
            cursor,
            entries,
            |value| value.has_expired(is_expired),
            |value| {
                let (expired, is_empty) = value.expire(is_expired);
                removed += expired;
                is_empty
            },
        );
        removed
    }
    fn snapshot(&mut self) -> Option<Box<dyn SnapshotTable>> {
        Some(Box::new(StateTable::snapshot(self)?))
    }
    fn read_group(&mut self, groups: KeyGroups, at: (u16, usize), input: &mut &[u8]) -> StateResult<()> {
        snapshot::read_entries(at.0, input, |input| {
            let (namespace, key) = (N::decode(input)?, K::decode(input)?);
            let value = V::decode(input)?;
            Ok(self.insert_new(snapshot::place_in_group(&key, &namespace, groups, at)?, value))
        })
    }
    fn read_stored(&mut self, first_group: u16, entry: StoredEntry<'_>) -> StateResult<()> {
        canonical::read_into_table(self, first_group, entry)
    }
    fn heap_use(&self, heap: JvmHeap) -> HeapUse {
        StateTable::heap_use(self, heap)
    }
    fn rehash_stalls(&self) -> RehashStalls {
        self.growth_stalls()
    }
    fn jvm_objects(&self) -> u64 {
        let mut objects = self.arrays();
        self.for_each(|_, key, namespace, value| {
            objects += 1 + key.jvm_objects() + namespace.jvm_objects() + value.jvm_objects();
        });
        objects
    }
    #[cfg(test)]
    fn recount(&self, heap: JvmHeap) -> u64 {
        let mut bytes = StateTable::heap_use(self, heap).array_bytes;
        self.for_each(|_, key, namespace, value| {
            bytes += crate::state::JVM_ENTRY + key.jvm_bytes() + namespace.jvm_bytes() + value.jvm_bytes();
        });
        bytes
    }
}

impl<K: Key> KeyedStateBackend<K> for HeapBackend<K> {
    fn value_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ValueState<N, T>> {
        self.register::<N, Single<T>>(StateMeta::value::<N, T>(name)).map(ValueState::new)
    }
    fn list_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ListState<N, T>> {
        self.register::<N, List<T>>(StateMeta::list::<N, T>(name)).map(ListState::new)
    }
    fn map_state<N: Namespace, U: UserKey, T: StateValue>(&mut self, name: &str) -> StateResult<MapState<N, U, T>> {
        self.register::<N, Map<U, T>>(StateMeta::map::<N, U, T>(name)).map(MapState::new)
    }
    fn reducing_state<N: Namespace, F: Reduce>(&mut self, name: &str) -> StateResult<ReducingState<N, F>> {
        self.register::<N, Single<F::Value>>(StateMeta::reducing::<N, F>(name)).map(ReducingState::new)
    }
    fn aggregating_state<N: Namespace, F: Aggregate>(&mut self, name: &str) -> StateResult<AggregatingState<N, F>> {
        self.register::<N, Single<F::Accumulator>>(StateMeta::aggregating::<N, F>(name)).map(AggregatingState::new)
    }

    fn timer_service<N: Namespace>(&mut self, name: &str) -> StateResult<TimerService<N>> {
        let first = self.states.len();
        for domain in DOMAINS {
            let meta = StateMeta::timers::<K, N>(&queue_name(name, domain));
            self.register_table(meta, TimerQueue::<K, N>::new(self.group_count))?;
        }
        Ok(TimerService::new(first))
    }

    #[inline(always)]
    fn set_current_time(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    #[inline(always)]
    fn set_current_key(&mut self, key: &K) {
        let hash_code = key.hash_code();
        let group = usize::from(self.groups.group_of(hash_code) - self.first_group);
        self.current = Some(Current { key: key.clone(), hash_code, group });
    }

    #[inline(always)]
    fn value<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N) -> StateResult<Option<Cow<'_, T>>> {
        let (table, place) = self.locate::<N, Single<T>>(s.index, n);
        Ok(table.get(place).map(|value| Cow::Borrowed(&value.0)))
    }
    #[inline(always)]
    fn value_for_update<N: Namespace, T: StateValue + Default>(
        &mut self,
        s: ValueState<N, T>,
        n: &N,
    ) -> StateResult<Option<T>> {
        let (table, place) = self.locate::<N, Single<T>>(s.index, n);
        Ok(table.modify(place, |value| std::mem::take(&mut value.0)))
    }
    #[inline(always)]
    fn update<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N, value: T) -> StateResult<()> {
        let (table, place) = self.locate::<N, Single<T>>(s.index, n);
        table.put(place, Single(value));
        Ok(())
    }
    #[inline(always)]
    fn clear_value<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N) -> StateResult<()> {
        let (table, place) = self.locate::<N, Single<T>>(s.index, n);
        table.remove(place);
        Ok(())
    }

    #[inline(always)]
    fn list_add<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, element: T) -> StateResult<()> {
        let (table, place) = self.locate::<N, List<T>>(s.index, n);
        table.transform(place, element, |element| List::new(vec![element]), List::push);
        Ok(())
    }
    #[inline(always)]
    fn list_scan<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        n: &N,
        visit: impl FnMut(&T),
    ) -> StateResult<()> {
        let (table, place) = self.locate::<N, List<T>>(s.index, n);
        table.get(place).map_or(&[][..], List::elements).iter().for_each(visit);
        Ok(())
    }
    fn list_update<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, list: Vec<T>) -> StateResult<()> {
        let (table, place) = self.locate::<N, List<T>>(s.index, n);
        if list.is_empty() {
            table.remove(place);
        } else {
            table.put(place, List::new(list));
        }
        Ok(())
    }
    #[inline(always)]
    fn clear_list<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N) -> StateResult<()> {
        let (table, place) = self.locate::<N, List<T>>(s.index, n);
        table.remove(place);
        Ok(())
    }
    fn merge_list<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        let Some(merged) = self.take_merged(s.index, sources, List::append) else { return Ok(()) };
        let (table, place) = self.locate::<N, List<T>>(s.index, target);
        table.transform(place, merged, |merged| merged, List::append);
        Ok(())
    }

    #[inline(always)]
    fn map_get<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<Option<Cow<'_, T>>> {
        let (table, place) = self.locate::<N, Map<U, T>>(s.index, n);
        Ok(table.get(place).and_then(|map| map.entries().get(key)).map(Cow::Borrowed))
    }
    #[inline(always)]
    fn map_contains<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<bool> {
        let (table, place) = self.locate::<N, Map<U, T>>(s.index, n);
        Ok(table.get(place).is_some_and(|map| map.entries().contains_key(key)))
    }
    #[inline(always)]
    fn map_put<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: U,
        value: T,
    ) -> StateResult<()> {
        let (table, place) = self.locate::<N, Map<U, T>>(s.index, n);
        let make = |entry| Map::new(ObjectMap::from_iter([entry]));
        table.transform(place, (key, value), make, |map, (key, value)| map.insert(key, value));
        Ok(())
    }
    /// As in Flink, a map that loses its last entry is removed from the table.
    #[inline(always)]
    fn map_remove<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<()> {
        let (table, place) = self.locate::<N, Map<U, T>>(s.index, n);
        let remove = |map: &mut Map<U, T>| {
            map.remove(key);
            map.entries().is_empty()
        };
        if table.modify(place, remove) == Some(true) {
            table.remove(place);
        }
        Ok(())
    }
    #[inline(always)]
    fn map_scan<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        mut visit: impl FnMut(&U, &T),
    ) -> StateResult<()> {
        let (table, place) = self.locate::<N, Map<U, T>>(s.index, n);
        for (key, value) in table.get(place).into_iter().flat_map(Map::entries) {
            visit(key, value);
        }
        Ok(())
    }
    #[inline(always)]
    fn map_is_empty<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
    ) -> StateResult<bool> {
        let (table, place) = self.locate::<N, Map<U, T>>(s.index, n);
        Ok(table.get(place).is_none())
    }
    #[inline(always)]
    fn clear_map<N: Namespace, U: UserKey, T: StateValue>(&mut self, s: MapState<N, U, T>, n: &N) -> StateResult<()> {
        let (table, place) = self.locate::<N, Map<U, T>>(s.index, n);
        table.remove(place);
        Ok(())
    }

    #[inline(always)]
    fn reducing_get<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        n: &N,
    ) -> StateResult<Option<Cow<'_, F::Value>>> {
        let (table, place) = self.locate::<N, Single<F::Value>>(s.index, n);
        Ok(table.get(place).map(|value| Cow::Borrowed(&value.0)))
    }
    #[inline(always)]
    fn reducing_add<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        n: &N,
        value: F::Value,
    ) -> StateResult<()> {
        let (table, place) = self.locate::<N, Single<F::Value>>(s.index, n);
        table.transform(place, value, Single, |kept, value| {
            kept.0 = F::reduce(&kept.0, value);
            kept.jvm_bytes()
        });
        Ok(())
    }
    #[inline(always)]
    fn clear_reducing<N: Namespace, F: Reduce>(&mut self, s: ReducingState<N, F>, n: &N) -> StateResult<()> {
        let (table, place) = self.locate::<N, Single<F::Value>>(s.index, n);
        table.remove(place);
        Ok(())
    }
    fn merge_reducing<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        let reduce = |kept: &mut Single<F::Value>, other: Single<F::Value>| kept.0 = F::reduce(&kept.0, other.0);
        match self.take_merged(s.index, sources, reduce) {
            Some(merged) => self.reducing_add(s, target, merged.0),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn aggregating_get<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        n: &N,
    ) -> StateResult<Option<F::Out>> {
        let (table, place) = self.locate::<N, Single<F::Accumulator>>(s.index, n);
        Ok(table.get(place).map(|value| F::result(&value.0)))
    }
    #[inline(always)]
    fn aggregating_add<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        n: &N,
        element: F::In,
    ) -> StateResult<()> {
        let (table, place) = self.locate::<N, Single<F::Accumulator>>(s.index, n);
        let make = |element| {
            let mut accumulator = F::create();
            F::add(&mut accumulator, element);
            Single(accumulator)
        };
        table.transform(place, element, make, |kept, element| {
            F::add(&mut kept.0, element);
            kept.jvm_bytes()
        });
        Ok(())
    }
    #[inline(always)]
    fn clear_aggregating<N: Namespace, F: Aggregate>(&mut self, s: AggregatingState<N, F>, n: &N) -> StateResult<()> {
        let (table, place) = self.locate::<N, Single<F::Accumulator>>(s.index, n);
        table.remove(place);
        Ok(())
    }
    fn merge_aggregating<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()> {
        let merge = |kept: &mut Single<F::Accumulator>, other: Single<F::Accumulator>| {
            F::merge(&mut kept.0, other.0);
            kept.jvm_bytes()
        };
        let Some(merged) = self.take_merged(s.index, sources, merge) else { return Ok(()) };
        let (table, place) = self.locate::<N, Single<F::Accumulator>>(s.index, target);
        table.transform(place, merged, |merged| merged, merge);
        Ok(())
    }

    #[inline]
    fn register_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        n: &N,
        time_ms: i64,
    ) -> StateResult<()> {
        let (queue, place) = self.locate_timers(t, domain, n);
        queue.insert(place, time_ms).map(|_| ())
    }
    #[inline]
    fn delete_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        n: &N,
        time_ms: i64,
    ) -> StateResult<()> {
        let (queue, place) = self.locate_timers(t, domain, n);
        queue.remove(place, time_ms);
        Ok(())
    }
    #[inline]
    fn take_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        until_ms: i64,
    ) -> StateResult<Option<Timer<K, N>>> {
        let queue: &mut TimerQueue<K, N> = self.states[queue_of(t, domain)].table_mut();
        let timer = queue.take(until_ms);
        if let Some(timer) = &timer {
            self.set_current_key(&timer.key);
        }
        Ok(timer)
    }

    fn state_digest(&mut self) -> StateResult<Digest> {
        let mut key = CompositeKey::new(self.groups.max_parallelism);
        let mut digest = Digest::default();
        for state in &self.states {
            let is_expired = |time| state.is_expired(time, self.now_ms);
            let scope = DigestScope { name: &state.meta.name, first_group: self.first_group, is_expired: &is_expired };
            digest.merge(state.table.digest(&mut key, scope));
        }
        Ok(digest)
    }

    fn heap_use(&self, heap: JvmHeap) -> Option<HeapUse> {
        let mut all = HeapUse::default();
        self.states.iter().for_each(|state| all.add(state.table.heap_use(heap)));
        Some(all)
    }

    fn heap_objects(&self) -> Option<u64> {
        Some(self.states.iter().map(|state| state.table.jvm_objects()).sum())
    }
}

impl<K: Key> ExpiringState<K> for HeapBackend<K> {
    fn ttl_of(&self, name: &str) -> Option<StateTtl> {
        self.ttls.get(name).copied()
    }

    #[inline]
    fn modify<N: Namespace, T: StateValue, R>(
        &mut self,
        s: ValueState<N, T>,
        n: &N,
        change: impl FnOnce(&mut T) -> (Change, R),
    ) -> StateResult<Option<R>> {
        let (table, place) = self.locate::<N, Single<T>>(s.index, n);
        let seen = table.modify(place, |value| change(&mut value.0));
        if let Some((Change::Remove, _)) = &seen {
            table.remove(place);
        }
        Ok(seen.map(|(_, result)| result))
    }

    fn modify_map_entry<N: Namespace, U: UserKey, T: StateValue, R>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
        change: impl FnOnce(&mut T) -> (Change, R),
    ) -> StateResult<Option<R>> {
        let (table, place) = self.locate::<N, Map<U, T>>(s.index, n);
        let modified = table.modify(place, |map| {
            let result = map.modify_entry(key, change);
            (map.entries().is_empty(), result)
        });
        let Some((is_empty, result)) = modified else { return Ok(None) };
        if is_empty {
            table.remove(place);
        }
        Ok(result)
    }

    fn modify_map<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        change: impl FnMut(&U, &mut T) -> Change,
    ) -> StateResult<()> {
        let (table, place) = self.locate::<N, Map<U, T>>(s.index, n);
        let modified = table.modify(place, |map| {
            map.modify(change);
            map.entries().is_empty()
        });
        if modified == Some(true) {
            table.remove(place);
        }
        Ok(())
    }

    fn modify_list<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        n: &N,
        change: impl FnOnce(&mut Vec<T>) -> Change,
    ) -> StateResult<()> {
        let (table, place) = self.locate::<N, List<T>>(s.index, n);
        if table.modify(place, |list| list.modify(change)) == Some(Change::Remove) {
            table.remove(place);
        }
        Ok(())
    }

    fn clean_up_step(&mut self, state: usize, entries: u32) {
        let now_ms = self.now_ms;
        let State { table, ttl, cleanup, .. } = &mut self.states[state];
        let is_expired = |time| ttl.is_some_and(|ttl| ttl.is_expired(time, now_ms));
        self.cleaned += table.expire_step(cleanup, entries, &is_expired);
    }

    fn census(&mut self) -> StateResult<Census> {
        let mut key = CompositeKey::new(self.groups.max_parallelism);
        let mut census = Census::default();
        for state in &self.states {
            let is_expired = |time| state.is_expired(time, self.now_ms);
            let scope = DigestScope { name: &state.meta.name, first_group: self.first_group, is_expired: &is_expired };
            census.add(state.table.census(&mut key, scope));
        }
        Ok(census)
    }

    fn cleaned_in_background(&self) -> CleanedEntries {
        CleanedEntries { incremental: self.cleaned, ..CleanedEntries::default() }
    }
}
