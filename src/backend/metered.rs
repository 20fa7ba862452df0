//! Times the accesses of any backend.

use std::borrow::Cow;

use crate::measure::{AccessKind, Probe};
use crate::state::{
    Aggregate, AggregatingState, Digest, HeapUse, JvmHeap, Key, KeyedStateBackend, ListState, MapState, Namespace,
    Reduce, ReducingState, StateResult, StateValue, TimeDomain, Timer, TimerService, UserKey, ValueState,
};

/// A backend with a probe beside it: every access is passed on, and its end reported to the probe, which reads the
/// clock. All backends are measured by this one piece of code; events that are not timed go past it, to `inner`.
pub struct Metered<B> {
    /// The backend that is measured.
    pub inner: B,
    /// The instrument.
    pub probe: Probe,
}

macro_rules! metered {
    ($($method:ident [$($generics:tt)*] ($($name:ident: $type:ty),*) -> $result:ty = $kind:ident;)*) => {$(
        #[inline]
        fn $method<$($generics)*>(&mut self, $($name: $type),*) -> $result {
            let result = self.inner.$method($($name),*);
            self.probe.access_end(AccessKind::$kind);
            result
        }
    )*};
}

impl<K: Key, B: KeyedStateBackend<K>> KeyedStateBackend<K> for Metered<B> {
    fn value_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ValueState<N, T>> {
        self.inner.value_state(name)
    }
    fn list_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ListState<N, T>> {
        self.inner.list_state(name)
    }
    fn map_state<N: Namespace, U: UserKey, T: StateValue>(&mut self, name: &str) -> StateResult<MapState<N, U, T>> {
        self.inner.map_state(name)
    }
    fn reducing_state<N: Namespace, F: Reduce>(&mut self, name: &str) -> StateResult<ReducingState<N, F>> {
        self.inner.reducing_state(name)
    }
    fn aggregating_state<N: Namespace, F: Aggregate>(&mut self, name: &str) -> StateResult<AggregatingState<N, F>> {
        self.inner.aggregating_state(name)
    }
    fn timer_service<N: Namespace>(&mut self, name: &str) -> StateResult<TimerService<N>> {
        self.inner.timer_service(name)
    }

    #[inline]
    fn set_current_time(&mut self, now_ms: i64) {
        self.inner.set_current_time(now_ms);
    }

    #[inline]
    fn set_current_key(&mut self, key: &K) {
        self.inner.set_current_key(key);
    }

    metered! {
        value [N: Namespace, T: StateValue] (s: ValueState<N, T>, n: &N) -> StateResult<Option<Cow<'_, T>>> = ValueGet;
        value_for_update [N: Namespace, T: StateValue + Default] (s: ValueState<N, T>, n: &N) -> StateResult<Option<T>> = ValueGet;
        update [N: Namespace, T: StateValue] (s: ValueState<N, T>, n: &N, value: T) -> StateResult<()> = ValueUpdate;
        clear_value [N: Namespace, T: StateValue] (s: ValueState<N, T>, n: &N) -> StateResult<()> = ValueClear;
        list_add [N: Namespace, T: StateValue] (s: ListState<N, T>, n: &N, element: T) -> StateResult<()> = ListAdd;
        list_scan [N: Namespace, T: StateValue] (s: ListState<N, T>, n: &N, visit: impl FnMut(&T)) -> StateResult<()> = ListGet;
        list_update [N: Namespace, T: StateValue] (s: ListState<N, T>, n: &N, list: Vec<T>) -> StateResult<()> = ListUpdate;
        clear_list [N: Namespace, T: StateValue] (s: ListState<N, T>, n: &N) -> StateResult<()> = ListClear;
        merge_list [N: Namespace, T: StateValue] (s: ListState<N, T>, target: &N, sources: &[N]) -> StateResult<()> = ListMerge;
        map_get [N: Namespace, U: UserKey, T: StateValue] (s: MapState<N, U, T>, n: &N, key: &U) -> StateResult<Option<Cow<'_, T>>> = MapGet;
        map_contains [N: Namespace, U: UserKey, T: StateValue] (s: MapState<N, U, T>, n: &N, key: &U) -> StateResult<bool> = MapContains;
        map_put [N: Namespace, U: UserKey, T: StateValue] (s: MapState<N, U, T>, n: &N, key: U, value: T) -> StateResult<()> = MapPut;
        map_remove [N: Namespace, U: UserKey, T: StateValue] (s: MapState<N, U, T>, n: &N, key: &U) -> StateResult<()> = MapRemove;
        map_scan [N: Namespace, U: UserKey, T: StateValue] (s: MapState<N, U, T>, n: &N, visit: impl FnMut(&U, &T)) -> StateResult<()> = MapScan;
        map_is_empty [N: Namespace, U: UserKey, T: StateValue] (s: MapState<N, U, T>, n: &N) -> StateResult<bool> = MapIsEmpty;
        clear_map [N: Namespace, U: UserKey, T: StateValue] (s: MapState<N, U, T>, n: &N) -> StateResult<()> = MapClear;
        reducing_get [N: Namespace, F: Reduce] (s: ReducingState<N, F>, n: &N) -> StateResult<Option<Cow<'_, F::Value>>> = ReducingGet;
        reducing_add [N: Namespace, F: Reduce] (s: ReducingState<N, F>, n: &N, value: F::Value) -> StateResult<()> = ReducingAdd;
        clear_reducing [N: Namespace, F: Reduce] (s: ReducingState<N, F>, n: &N) -> StateResult<()> = ReducingClear;
        merge_reducing [N: Namespace, F: Reduce] (s: ReducingState<N, F>, target: &N, sources: &[N]) -> StateResult<()> = ReducingMerge;
        aggregating_get [N: Namespace, F: Aggregate] (s: AggregatingState<N, F>, n: &N) -> StateResult<Option<F::Out>> = AggregatingGet;
        aggregating_add [N: Namespace, F: Aggregate] (s: AggregatingState<N, F>, n: &N, element: F::In) -> StateResult<()> = AggregatingAdd;
        clear_aggregating [N: Namespace, F: Aggregate] (s: AggregatingState<N, F>, n: &N) -> StateResult<()> = AggregatingClear;
        merge_aggregating [N: Namespace, F: Aggregate] (s: AggregatingState<N, F>, target: &N, sources: &[N]) -> StateResult<()> = AggregatingMerge;
        register_timer [N: Namespace] (t: TimerService<N>, domain: TimeDomain, n: &N, time_ms: i64) -> StateResult<()> = TimerRegister;
        delete_timer [N: Namespace] (t: TimerService<N>, domain: TimeDomain, n: &N, time_ms: i64) -> StateResult<()> = TimerDelete;
        take_timer [N: Namespace] (t: TimerService<N>, domain: TimeDomain, until_ms: i64) -> StateResult<Option<Timer<K, N>>> = TimerTake;
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
