//! The null backend: keeps nothing, so that a run over it shows the floor of the harness.

use std::borrow::Cow;

use super::Change;
use super::checkpoint::{FetchedFiles, PendingSnapshot, SnapshotRequest, Snapshots, other_format};
use crate::checkpoint::{CheckpointError, KeyedHandle, StoredCheckpoint};
use crate::state::{
    Aggregate, AggregatingState, Digest, Key, KeyedStateBackend, ListState, MapState, Namespace, Reduce, ReducingState,
    StateError, StateResult, StateTtl, StateValue, TimeDomain, Timer, TimerService, UserKey, ValueState,
};

/// Accepts every write and finds nothing on any read.
#[derive(Debug, Default)]
pub struct NullBackend {
    hash_code: i32,
}

impl super::Observed for NullBackend {}

impl<K: Key> super::Prefill<K> for NullBackend {
    type Loader = Self;

    fn loader(&self) -> Option<Self::Loader> {
        None
    }
    fn ingest(&mut self, _: Self::Loader) -> StateResult<()> {
        Ok(())
    }
    fn save_prefill(&mut self, folder: &std::path::Path) -> StateResult<()> {
        Err(super::no_prefill_to_copy(folder))
    }
    fn load_prefill(&mut self, folder: &std::path::Path) -> StateResult<()> {
        Err(super::no_prefill_to_copy(folder))
    }
}

impl<K: Key> KeyedStateBackend<K> for NullBackend {
    fn value_state<N: Namespace, T: StateValue>(&mut self, _: &str) -> StateResult<ValueState<N, T>> {
        Ok(ValueState::new(0))
    }
    fn list_state<N: Namespace, T: StateValue>(&mut self, _: &str) -> StateResult<ListState<N, T>> {
        Ok(ListState::new(0))
    }
    fn map_state<N: Namespace, U: UserKey, T: StateValue>(&mut self, _: &str) -> StateResult<MapState<N, U, T>> {
        Ok(MapState::new(0))
    }
    fn reducing_state<N: Namespace, F: Reduce>(&mut self, _: &str) -> StateResult<ReducingState<N, F>> {
        Ok(ReducingState::new(0))
    }
    fn aggregating_state<N: Namespace, F: Aggregate>(&mut self, _: &str) -> StateResult<AggregatingState<N, F>> {
        Ok(AggregatingState::new(0))
    }
    fn timer_service<N: Namespace>(&mut self, _: &str) -> StateResult<TimerService<N>> {
        Ok(TimerService::new(0))
    }

    #[inline]
    fn set_current_key(&mut self, key: &K) {
        // Kept so that the key is really read, as every backend must.
        self.hash_code = std::hint::black_box(key.hash_code());
    }

    #[inline]
    fn value<N: Namespace, T: StateValue>(&mut self, _: ValueState<N, T>, _: &N) -> StateResult<Option<Cow<'_, T>>> {
        Ok(None)
    }
    #[inline]
    fn value_for_update<N: Namespace, T: StateValue + Default>(
        &mut self,
        _: ValueState<N, T>,
        _: &N,
    ) -> StateResult<Option<T>> {
        Ok(None)
    }
    #[inline]
    fn update<N: Namespace, T: StateValue>(&mut self, _: ValueState<N, T>, _: &N, _: T) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn clear_value<N: Namespace, T: StateValue>(&mut self, _: ValueState<N, T>, _: &N) -> StateResult<()> {
        Ok(())
    }

    #[inline]
    fn list_add<N: Namespace, T: StateValue>(&mut self, _: ListState<N, T>, _: &N, _: T) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn list_scan<N: Namespace, T: StateValue>(
        &mut self,
        _: ListState<N, T>,
        _: &N,
        _: impl FnMut(&T),
    ) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn list_update<N: Namespace, T: StateValue>(&mut self, _: ListState<N, T>, _: &N, _: Vec<T>) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn clear_list<N: Namespace, T: StateValue>(&mut self, _: ListState<N, T>, _: &N) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn merge_list<N: Namespace, T: StateValue>(&mut self, _: ListState<N, T>, _: &N, _: &[N]) -> StateResult<()> {
        Ok(())
    }

    #[inline]
    fn map_get<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
        _: &U,
    ) -> StateResult<Option<Cow<'_, T>>> {
        Ok(None)
    }
    #[inline]
    fn map_contains<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
        _: &U,
    ) -> StateResult<bool> {
        Ok(false)
    }
    #[inline]
    fn map_put<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
        _: U,
        _: T,
    ) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn map_remove<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
        _: &U,
    ) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn map_scan<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
        _: impl FnMut(&U, &T),
    ) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn map_is_empty<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
    ) -> StateResult<bool> {
        Ok(true)
    }
    #[inline]
    fn clear_map<N: Namespace, U: UserKey, T: StateValue>(&mut self, _: MapState<N, U, T>, _: &N) -> StateResult<()> {
        Ok(())
    }

    #[inline]
    fn reducing_get<N: Namespace, F: Reduce>(
        &mut self,
        _: ReducingState<N, F>,
        _: &N,
    ) -> StateResult<Option<Cow<'_, F::Value>>> {
        Ok(None)
    }
    #[inline]
    fn reducing_add<N: Namespace, F: Reduce>(&mut self, _: ReducingState<N, F>, _: &N, _: F::Value) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn clear_reducing<N: Namespace, F: Reduce>(&mut self, _: ReducingState<N, F>, _: &N) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn merge_reducing<N: Namespace, F: Reduce>(&mut self, _: ReducingState<N, F>, _: &N, _: &[N]) -> StateResult<()> {
        Ok(())
    }

    #[inline]
    fn aggregating_get<N: Namespace, F: Aggregate>(
        &mut self,
        _: AggregatingState<N, F>,
        _: &N,
    ) -> StateResult<Option<F::Out>> {
        Ok(None)
    }
    #[inline]
    fn aggregating_add<N: Namespace, F: Aggregate>(
        &mut self,
        _: AggregatingState<N, F>,
        _: &N,
        _: F::In,
    ) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn clear_aggregating<N: Namespace, F: Aggregate>(&mut self, _: AggregatingState<N, F>, _: &N) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn merge_aggregating<N: Namespace, F: Aggregate>(
        &mut self,
        _: AggregatingState<N, F>,
        _: &N,
        _: &[N],
    ) -> StateResult<()> {
        Ok(())
    }

    #[inline]
    fn register_timer<N: Namespace>(&mut self, _: TimerService<N>, _: TimeDomain, _: &N, _: i64) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn delete_timer<N: Namespace>(&mut self, _: TimerService<N>, _: TimeDomain, _: &N, _: i64) -> StateResult<()> {
        Ok(())
    }
    #[inline]
    fn take_timer<N: Namespace>(
        &mut self,
        _: TimerService<N>,
        _: TimeDomain,
        _: i64,
    ) -> StateResult<Option<Timer<K, N>>> {
        Ok(None)
    }

    fn state_digest(&mut self) -> StateResult<Digest> {
        Ok(Digest::default())
    }
}

impl<K: Key> super::ExpiringState<K> for NullBackend {
    fn ttl_of(&self, _: &str) -> Option<StateTtl> {
        None
    }
    fn modify<N: Namespace, T: StateValue, R>(
        &mut self,
        _: ValueState<N, T>,
        _: &N,
        _: impl FnOnce(&mut T) -> (Change, R),
    ) -> StateResult<Option<R>> {
        Ok(None)
    }
    fn modify_map_entry<N: Namespace, U: UserKey, T: StateValue, R>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
        _: &U,
        _: impl FnOnce(&mut T) -> (Change, R),
    ) -> StateResult<Option<R>> {
        Ok(None)
    }
    fn modify_map<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        _: MapState<N, U, T>,
        _: &N,
        _: impl FnMut(&U, &mut T) -> Change,
    ) -> StateResult<()> {
        Ok(())
    }
    fn modify_list<N: Namespace, T: StateValue>(
        &mut self,
        _: ListState<N, T>,
        _: &N,
        _: impl FnOnce(&mut Vec<T>) -> Change,
    ) -> StateResult<()> {
        Ok(())
    }
}

impl<K: Key> Snapshots<K> for NullBackend {
    fn begin_snapshot(&mut self, _: &SnapshotRequest<'_>) -> StateResult<Box<dyn PendingSnapshot>> {
        Err(StateError::Storage("the null backend keeps nothing that a snapshot could hold".to_owned()))
    }
    fn restore(
        &mut self,
        checkpoint: &StoredCheckpoint,
        _: &[&KeyedHandle],
        _: &FetchedFiles,
    ) -> Result<(), CheckpointError> {
        Err(other_format(checkpoint, "null"))
    }
}
