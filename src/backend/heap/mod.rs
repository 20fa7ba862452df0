//! The heap backend: Flink's `HashMapStateBackend`. State values are live objects; no access serializes.

mod table;

use std::any::{Any, TypeId};
use std::borrow::Cow;

pub use table::{Place, StateTable};

use crate::state::{
    Aggregate, AggregatingState, CompositeKey, Digest, Key, KeyGroups, KeyedStateBackend, ListState, MapState,
    Namespace, ObjectMap, Reduce, ReducingState, StateError, StateResult, StateValue, UserKey, ValueState, entry_hash,
};

/// Keyed state of one subtask as objects on the heap.
pub struct HeapBackend<K> {
    groups: KeyGroups,
    first_group: u16,
    group_count: usize,
    states: Vec<State>,
    current: Option<Current<K>>,
}

/// The current key, with what follows from it.
struct Current<K> {
    key: K,
    hash_code: i32,
    /// Position of its key group in the range that the subtask owns.
    group: usize,
}

/// One registered state. Handles are plain tokens that all backends share, so the table is found again by its type.
struct State {
    name: String,
    table: Box<dyn Any + Send>,
    /// The type of the table: compared on each access without a call through the box.
    table_type: TypeId,
    digest: fn(&dyn Any, &mut CompositeKey, DigestScope<'_>) -> Digest,
}

impl State {
    /// The table. The assertion cannot fail: a handle carries the types that its state was registered with.
    #[inline(always)]
    fn table_mut<T: 'static>(&mut self) -> &mut T {
        assert!(self.table_type == TypeId::of::<T>(), "the state `{}` was registered with other types", self.name);
        let table: *mut (dyn Any + Send) = self.table.as_mut();
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
}

/// How an object of type `Self` in a state of kind `S` enters the state digest, entry by entry as RocksDB stores it.
trait Entries<K: Key, N: Namespace> {
    fn for_each(&self, key: &mut CompositeKey, namespace: &N, visit: &mut dyn FnMut(&[u8], u64));
}

/// An object that RocksDB stores as one value.
struct Single<T>(T);
/// A list, which RocksDB stores as its elements joined by a comma.
struct List<T>(Vec<T>);
/// A map, which RocksDB stores as one entry for each user key.
struct Map<U, T>(ObjectMap<U, T>);

impl<K: Key, N: Namespace, T: StateValue> Entries<K, N> for Single<T> {
    fn for_each(&self, key: &mut CompositeKey, namespace: &N, visit: &mut dyn FnMut(&[u8], u64)) {
        visit(key.with_namespace::<K, N>(namespace), self.0.fingerprint(&mut Vec::new()));
    }
}

impl<K: Key, N: Namespace, T: StateValue> Entries<K, N> for List<T> {
    fn for_each(&self, key: &mut CompositeKey, namespace: &N, visit: &mut dyn FnMut(&[u8], u64)) {
        visit(key.with_namespace::<K, N>(namespace), super::list_fingerprint(&self.0, &mut Vec::new()));
    }
}

impl<K: Key, N: Namespace, U: UserKey, T: StateValue> Entries<K, N> for Map<U, T> {
    fn for_each(&self, key: &mut CompositeKey, namespace: &N, visit: &mut dyn FnMut(&[u8], u64)) {
        let mut scratch = Vec::new();
        for (user_key, value) in &self.0 {
            let fingerprint = value.fingerprint(&mut scratch);
            visit(key.with_user_key::<K, N, U>(namespace, user_key), fingerprint);
        }
    }
}

impl<K: Key> HeapBackend<K> {
    /// An empty backend for the key groups of `subtask`.
    pub fn new(groups: KeyGroups, subtask: u16) -> Self {
        let range = groups.range_of(subtask);
        Self { groups, first_group: range.start, group_count: range.len(), states: Vec::new(), current: None }
    }

    fn register<N: Namespace, V: Entries<K, N> + Send + 'static>(&mut self, name: &str) -> StateResult<usize> {
        if self.states.iter().any(|state| state.name == name) {
            return Err(StateError::DuplicateName(name.to_owned()));
        }
        self.states.push(State {
            name: name.to_owned(),
            table: Box::new(StateTable::<K, N, V>::new(self.group_count)),
            table_type: TypeId::of::<StateTable<K, N, V>>(),
            digest: digest_table::<K, N, V>,
        });
        Ok(self.states.len() - 1)
    }

    /// The table of a state and the place of the current key in it.
    #[inline(always)]
    #[expect(clippy::expect_used, reason = "the caller sets a key before the first access")]
    fn locate<'a: 'p, 'n: 'p, 'p, N: Namespace, V: 'static>(
        &'a mut self,
        index: usize,
        namespace: &'n N,
    ) -> (&'a mut StateTable<K, N, V>, Place<'p, K, N>) {
        let current = self.current.as_ref().expect("a current key");
        let place = Place::new(&current.key, current.hash_code, namespace, current.group);
        (self.states[index].table_mut(), place)
    }
}

impl<K> crate::backend::Observed for HeapBackend<K> {}

impl<K: Key> super::Prefill<K> for HeapBackend<K> {
    type Loader = super::NullBackend;

    fn loader(&self) -> Option<Self::Loader> {
        None
    }
    fn ingest(&mut self, _: Self::Loader) -> StateResult<()> {
        Ok(())
    }
    fn save_prefill(&mut self, folder: &std::path::Path) -> StateResult<()> {
        Err(super::no_prefill_to_copy(folder))
    }
}

fn digest_table<K: Key, N: Namespace, V: Entries<K, N> + 'static>(
    table: &dyn Any,
    key: &mut CompositeKey,
    scope: DigestScope<'_>,
) -> Digest {
    let mut digest = Digest::default();
    if let Some(table) = table.downcast_ref::<StateTable<K, N, V>>() {
        table.for_each(|group, entry_key, namespace, value| {
            key.set_key(entry_key, scope.first_group + group as u16);
            value.for_each(key, namespace, &mut |composite, fingerprint| {
                digest.add(entry_hash(scope.name, composite, fingerprint));
            });
        });
    }
    digest
}

impl<K: Key> KeyedStateBackend<K> for HeapBackend<K> {
    fn value_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ValueState<N, T>> {
        self.register::<N, Single<T>>(name).map(ValueState::new)
    }
    fn list_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ListState<N, T>> {
        self.register::<N, List<T>>(name).map(ListState::new)
    }
    fn map_state<N: Namespace, U: UserKey, T: StateValue>(&mut self, name: &str) -> StateResult<MapState<N, U, T>> {
        self.register::<N, Map<U, T>>(name).map(MapState::new)
    }
    fn reducing_state<N: Namespace, F: Reduce>(&mut self, name: &str) -> StateResult<ReducingState<N, F>> {
        self.register::<N, Single<F::Value>>(name).map(ReducingState::new)
    }
    fn aggregating_state<N: Namespace, F: Aggregate>(&mut self, name: &str) -> StateResult<AggregatingState<N, F>> {
        self.register::<N, Single<F::Accumulator>>(name).map(AggregatingState::new)
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
        Ok(table.get_mut(place).map(|value| std::mem::take(&mut value.0)))
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
        table.transform(place, element, |element| List(vec![element]), |list, element| list.0.push(element));
        Ok(())
    }
    #[inline(always)]
    fn list_get<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N) -> StateResult<Cow<'_, [T]>> {
        let (table, place) = self.locate::<N, List<T>>(s.index, n);
        Ok(Cow::Borrowed(table.get(place).map_or(&[], |list| &list.0)))
    }
    fn list_update<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, list: Vec<T>) -> StateResult<()> {
        let (table, place) = self.locate::<N, List<T>>(s.index, n);
        if list.is_empty() {
            table.remove(place);
        } else {
            table.put(place, List(list));
        }
        Ok(())
    }
    #[inline(always)]
    fn clear_list<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N) -> StateResult<()> {
        let (table, place) = self.locate::<N, List<T>>(s.index, n);
        table.remove(place);
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
        Ok(table.get(place).and_then(|map| map.0.get(key)).map(Cow::Borrowed))
    }
    #[inline(always)]
    fn map_contains<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<bool> {
        let (table, place) = self.locate::<N, Map<U, T>>(s.index, n);
        Ok(table.get(place).is_some_and(|map| map.0.contains_key(key)))
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
        let make = |entry| Map(ObjectMap::from_iter([entry]));
        table.transform(place, (key, value), make, |map, (key, value)| {
            map.0.insert(key, value);
        });
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
        if let Some(map) = table.get_mut(place) {
            map.0.remove(key);
            if map.0.is_empty() {
                table.remove(place);
            }
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
        for (key, value) in table.get(place).into_iter().flat_map(|map| &map.0) {
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
        table.transform(place, value, Single, |kept, value| kept.0 = F::reduce(&kept.0, value));
        Ok(())
    }
    #[inline(always)]
    fn clear_reducing<N: Namespace, F: Reduce>(&mut self, s: ReducingState<N, F>, n: &N) -> StateResult<()> {
        let (table, place) = self.locate::<N, Single<F::Value>>(s.index, n);
        table.remove(place);
        Ok(())
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
        table.transform(place, element, make, |kept, element| F::add(&mut kept.0, element));
        Ok(())
    }
    #[inline(always)]
    fn clear_aggregating<N: Namespace, F: Aggregate>(&mut self, s: AggregatingState<N, F>, n: &N) -> StateResult<()> {
        let (table, place) = self.locate::<N, Single<F::Accumulator>>(s.index, n);
        table.remove(place);
        Ok(())
    }

    fn state_digest(&mut self) -> StateResult<Digest> {
        let mut key = CompositeKey::new(self.groups.max_parallelism);
        let mut digest = Digest::default();
        for state in &self.states {
            let scope = DigestScope { name: &state.name, first_group: self.first_group };
            digest.merge((state.digest)(state.table.as_ref(), &mut key, scope));
        }
        Ok(digest)
    }
}
