//! Typed keyed state: the interface between operators and backends.
//!
//! An operator registers its states once and gets small copyable handles. It gives a handle back on every access; the
//! backend holds the current key, as Flink's keyed state backends do. State values are typed objects. The heap keeps
//! them as objects and lends references; RocksDB serializes on every access. That asymmetry is what is measured, so
//! the interface lends ([`Cow`]) what a backend has and never asks for bytes.

mod codec;
mod digest;
mod header;
mod jvm;
mod key;
mod operator_state;
mod serializer;
mod timer;
mod ttl;
mod utf;
mod window;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;
use std::marker::PhantomData;

pub use codec::{Codec, CodecError, Payload, encode_str, encode_var_int};
pub use digest::{Digest, mix};
pub use header::{Header, StateContent, StateMeta, write_header};
pub use jvm::{
    HeapUse, JVM_BASE, JVM_ENTRY, JVM_LIST, JVM_LONG, JVM_MAP, JVM_MAP_NODE, JVM_TIMER, JvmHeap, JvmSize,
    jvm_byte_array, jvm_list_capacity, jvm_map_capacity, jvm_references,
};
#[cfg(test)]
pub(crate) use key::TextNamespace;
pub use key::{
    CompositeKey, Key, KeyGroups, MAX_PARALLELISM_LIMIT, Namespace, StringKey, VoidNamespace, bit_mix,
    default_max_parallelism, murmur_hash, split_composite_key, split_key_group,
};
pub use operator_state::{
    BroadcastState, OperatorListState, OperatorState, OperatorStateHandle, OperatorStateSnapshot, Partitions,
    Redistribution,
};
pub use serializer::{CompositeSerializer, Serializer, SimpleSerializer};
pub(crate) use timer::encode_time;
pub use timer::{TimeDomain, Timer, TimerService};
pub use ttl::{
    CleanupStrategies, CompactionFilterCleanup, IncrementalCleanup, StateTtl, StateTtls, StateVisibility, Timed,
    UpdateType,
};
pub use window::TimeWindow;

/// What the value of a state must be able to do.
pub trait StateValue: Codec + JvmSize + Clone + Send + Sync + 'static {}
impl<T: Codec + JvmSize + Clone + Send + Sync + 'static> StateValue for T {}

/// What the user key of a map state must be able to do.
pub trait UserKey: Codec + JvmSize + Clone + Eq + Hash + Send + Sync + 'static {}
impl<T: Codec + JvmSize + Clone + Eq + Hash + Send + Sync + 'static> UserKey for T {}

/// The hash map that map states and map values are made of on the heap, as `java.util.HashMap` is in Flink. The hasher
/// has a fixed seed, so that two runs do the same work.
pub type ObjectMap<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// The function of a reducing state: Flink's `ReduceFunction`.
pub trait Reduce: 'static {
    /// The type of the elements and of the result.
    type Value: StateValue;
    /// Combines the kept value with a new one.
    fn reduce(kept: &Self::Value, added: Self::Value) -> Self::Value;
}

/// The function of an aggregating state: Flink's `AggregateFunction`.
pub trait Aggregate: 'static {
    /// What is added.
    type In;
    /// What is kept.
    type Accumulator: StateValue;
    /// What is read.
    type Out;
    /// The accumulator of no elements.
    fn create() -> Self::Accumulator;
    /// Adds one element.
    fn add(accumulator: &mut Self::Accumulator, element: Self::In);
    /// Adds what another accumulator has gathered.
    fn merge(accumulator: &mut Self::Accumulator, other: Self::Accumulator);
    /// The result so far.
    fn result(accumulator: &Self::Accumulator) -> Self::Out;
}

/// The five kinds of keyed state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    /// One value.
    Value,
    /// A list that is appended to.
    List,
    /// A map of user keys to values.
    Map,
    /// One value, combined by a reduce function.
    Reducing,
    /// One accumulator, combined by an aggregate function.
    Aggregating,
}

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident<$($param:ident),*>;)*) => {$(
        $(#[$doc])*
        pub struct $name<$($param),*> {
            /// Position among the states of the backend, in order of registration; of timers, that of their first queue
            /// among what the backend has in one row with it.
            pub(crate) index: usize,
            /// Whether the state has a TTL, so that its values are kept with their times.
            pub(crate) is_timed: bool,
            marker: PhantomData<fn() -> ($($param,)*)>,
        }
        impl<$($param),*> $name<$($param),*> {
            pub(crate) const fn new(index: usize) -> Self {
                Self { index, is_timed: false, marker: PhantomData }
            }
            pub(crate) const fn timed(index: usize) -> Self {
                Self { index, is_timed: true, marker: PhantomData }
            }
        }
        impl<$($param),*> Clone for $name<$($param),*> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<$($param),*> Copy for $name<$($param),*> {}
    )*};
}
handles! {
    /// Handle of a `ValueState` with namespace `N` and value `T`.
    ValueState<N, T>;
    /// Handle of a `ListState` with namespace `N` and element `T`.
    ListState<N, T>;
    /// Handle of a `MapState` with namespace `N`, user key `U` and value `T`.
    MapState<N, U, T>;
    /// Handle of a `ReducingState` with namespace `N` and reduce function `F`.
    ReducingState<N, F>;
    /// Handle of an `AggregatingState` with namespace `N` and aggregate function `F`.
    AggregatingState<N, F>;
}

/// Why a state access failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The store below failed: no space, a damaged file, a limit of the process.
    #[error("the state store failed: {0}")]
    Storage(String),
    /// What the store holds is not what the state's type writes.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A checkpoint is not what was written.
    #[error("the checkpoint is damaged: {0}")]
    Snapshot(String),
    /// A checkpoint is one of another job, or of a later version.
    #[error("the checkpoint does not fit this job: {0}")]
    Incompatible(String),
    /// A Java virtual machine with this heap could not hold the state.
    #[error("the state would take {live_bytes} bytes of a Java heap of {} bytes, {} of them for state", heap.bytes, heap.room())]
    OutOfHeap {
        /// What the state of all subtasks that share the heap takes, bytes.
        live_bytes: u64,
        /// The heap.
        heap: JvmHeap,
    },
    /// Two states of one name, or a name that the backend reserves.
    #[error("the state name `{0}` is already taken in this backend")]
    DuplicateName(String),
}

/// Result of a state access.
pub type StateResult<T> = Result<T, StateError>;

/// A keyed state backend of one subtask: the current key, and typed access to its states.
///
/// Every access works on the current key. The caller sets one before the first access. The names are Flink's.
pub trait KeyedStateBackend<K: Key> {
    /// Registers a value state.
    fn value_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ValueState<N, T>>;
    /// Registers a list state.
    fn list_state<N: Namespace, T: StateValue>(&mut self, name: &str) -> StateResult<ListState<N, T>>;
    /// Registers a map state.
    fn map_state<N: Namespace, U: UserKey, T: StateValue>(&mut self, name: &str) -> StateResult<MapState<N, U, T>>;
    /// Registers a reducing state.
    fn reducing_state<N: Namespace, F: Reduce>(&mut self, name: &str) -> StateResult<ReducingState<N, F>>;
    /// Registers an aggregating state.
    fn aggregating_state<N: Namespace, F: Aggregate>(&mut self, name: &str) -> StateResult<AggregatingState<N, F>>;
    /// Registers the timers of an operator, of both clocks.
    fn timer_service<N: Namespace>(&mut self, name: &str) -> StateResult<TimerService<N>>;

    /// Sets processing time, ms on the virtual clock. It never goes back.
    fn set_current_time(&mut self, _now_ms: i64) {}

    /// Makes `key` the current key and computes its key group.
    fn set_current_key(&mut self, key: &K);

    /// The value, or `None` where nothing is stored.
    fn value<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N) -> StateResult<Option<Cow<'_, T>>>;
    /// The value as an owned object, to be changed and given back by [`update`](Self::update) before any other access
    /// to this entry: how Java code changes the very object that `value()` returned. The heap hands out its object, so
    /// the entry is hollow until the update; RocksDB decodes one.
    fn value_for_update<N: Namespace, T: StateValue + Default>(
        &mut self,
        s: ValueState<N, T>,
        n: &N,
    ) -> StateResult<Option<T>>;
    /// Sets the value.
    fn update<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N, value: T) -> StateResult<()>;
    /// Removes the value.
    fn clear_value<N: Namespace, T: StateValue>(&mut self, s: ValueState<N, T>, n: &N) -> StateResult<()>;

    /// Appends one element.
    fn list_add<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, element: T) -> StateResult<()>;
    /// Visits all elements in order of appending.
    fn list_scan<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        n: &N,
        visit: impl FnMut(&T),
    ) -> StateResult<()>;
    /// Replaces the list; an empty one clears it.
    fn list_update<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N, list: Vec<T>) -> StateResult<()>;
    /// Removes the list.
    fn clear_list<N: Namespace, T: StateValue>(&mut self, s: ListState<N, T>, n: &N) -> StateResult<()>;
    /// Appends the lists of other namespaces to that of `target` and removes them there: Flink's `mergeNamespaces`.
    fn merge_list<N: Namespace, T: StateValue>(
        &mut self,
        s: ListState<N, T>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()>;

    /// The value of a user key.
    fn map_get<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<Option<Cow<'_, T>>>;
    /// Whether the map has a user key.
    fn map_contains<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<bool>;
    /// Sets the value of a user key.
    fn map_put<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: U,
        value: T,
    ) -> StateResult<()>;
    /// Removes a user key.
    fn map_remove<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        key: &U,
    ) -> StateResult<()>;
    /// Visits every entry of the map. The order is the backend's: an operator must not depend on it.
    fn map_scan<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
        visit: impl FnMut(&U, &T),
    ) -> StateResult<()>;
    /// Whether the map has no entry.
    fn map_is_empty<N: Namespace, U: UserKey, T: StateValue>(
        &mut self,
        s: MapState<N, U, T>,
        n: &N,
    ) -> StateResult<bool>;
    /// Removes every entry of the map.
    fn clear_map<N: Namespace, U: UserKey, T: StateValue>(&mut self, s: MapState<N, U, T>, n: &N) -> StateResult<()>;

    /// The reduced value, or `None` where nothing was added.
    fn reducing_get<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        n: &N,
    ) -> StateResult<Option<Cow<'_, F::Value>>>;
    /// Adds a value.
    fn reducing_add<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        n: &N,
        value: F::Value,
    ) -> StateResult<()>;
    /// Removes the reduced value.
    fn clear_reducing<N: Namespace, F: Reduce>(&mut self, s: ReducingState<N, F>, n: &N) -> StateResult<()>;
    /// Reduces the values of other namespaces into that of `target` and removes them there: Flink's `mergeNamespaces`.
    fn merge_reducing<N: Namespace, F: Reduce>(
        &mut self,
        s: ReducingState<N, F>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()>;

    /// The result of what was added, or `None` where nothing was.
    fn aggregating_get<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        n: &N,
    ) -> StateResult<Option<F::Out>>;
    /// Adds an element.
    fn aggregating_add<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        n: &N,
        element: F::In,
    ) -> StateResult<()>;
    /// Removes the accumulator.
    fn clear_aggregating<N: Namespace, F: Aggregate>(&mut self, s: AggregatingState<N, F>, n: &N) -> StateResult<()>;
    /// Merges the accumulators of other namespaces into that of `target` and removes them there: Flink's
    /// `mergeNamespaces`.
    fn merge_aggregating<N: Namespace, F: Aggregate>(
        &mut self,
        s: AggregatingState<N, F>,
        target: &N,
        sources: &[N],
    ) -> StateResult<()>;

    /// Registers a timer for the current key; one that is registered already stays one.
    fn register_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        n: &N,
        time_ms: i64,
    ) -> StateResult<()>;
    /// Removes a timer of the current key, if it is there.
    fn delete_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        n: &N,
        time_ms: i64,
    ) -> StateResult<()>;
    /// Takes out the earliest timer up to `until_ms`, of any key, and makes its key the current one. Of timers of one
    /// time the order is the backend's.
    fn take_timer<N: Namespace>(
        &mut self,
        t: TimerService<N>,
        domain: TimeDomain,
        until_ms: i64,
    ) -> StateResult<Option<Timer<K, N>>>;

    /// Waits until no background work is left to do: after a prefill, so that none of it runs into what is measured.
    fn settle(&mut self) -> StateResult<()> {
        Ok(())
    }

    /// What the state takes on a Java heap of this size (modelled); none where it is not kept there.
    fn heap_use(&self, _heap: JvmHeap) -> Option<HeapUse> {
        None
    }

    /// Objects that the state would be on a Java heap (modelled); none where it is not kept there. It walks all of it.
    fn heap_objects(&self) -> Option<u64> {
        None
    }

    /// The digest over every stored entry: equal in two backends exactly when they hold the same state.
    fn state_digest(&mut self) -> StateResult<Digest>;
}

/// The hash of one stored entry as it enters [`KeyedStateBackend::state_digest`]: state name, composite key as RocksDB
/// stores it, and the fingerprint of the value.
pub fn entry_hash(state_name: &str, composite_key: &[u8], value_fingerprint: u64) -> u64 {
    use xxhash_rust::xxh3::xxh3_64;
    mix(mix(xxh3_64(state_name.as_bytes()), xxh3_64(composite_key)), value_fingerprint)
}
