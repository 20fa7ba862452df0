//! The kinds of state access whose latency is recorded apart.

macro_rules! access_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// One kind of state access, named as Flink's state interfaces name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum AccessKind {
            $($(#[$doc])* $variant,)*
        }

        impl AccessKind {
            /// Every kind, in order of declaration: `ALL[kind as usize] == kind`.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in results.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}
access_kinds! {
    /// `ValueState.value`.
    ValueGet = "value.get",
    /// `ValueState.update`.
    ValueUpdate = "value.update",
    /// `ValueState.clear`.
    ValueClear = "value.clear",
    /// `ListState.add`.
    ListAdd = "list.add",
    /// `ListState.get`.
    ListGet = "list.get",
    /// `ListState.update`.
    ListUpdate = "list.update",
    /// `ListState.clear`.
    ListClear = "list.clear",
    /// `InternalMergingState.mergeNamespaces` of a list state.
    ListMerge = "list.merge-namespaces",
    /// `MapState.get`.
    MapGet = "map.get",
    /// `MapState.contains`.
    MapContains = "map.contains",
    /// `MapState.put`.
    MapPut = "map.put",
    /// `MapState.remove`.
    MapRemove = "map.remove",
    /// `MapState.entries`, walked to the end.
    MapScan = "map.scan",
    /// `MapState.isEmpty`.
    MapIsEmpty = "map.is-empty",
    /// `MapState.clear`.
    MapClear = "map.clear",
    /// `ReducingState.get`.
    ReducingGet = "reducing.get",
    /// `ReducingState.add`.
    ReducingAdd = "reducing.add",
    /// `ReducingState.clear`.
    ReducingClear = "reducing.clear",
    /// `InternalMergingState.mergeNamespaces` of a reducing state.
    ReducingMerge = "reducing.merge-namespaces",
    /// `AggregatingState.get`.
    AggregatingGet = "aggregating.get",
    /// `AggregatingState.add`.
    AggregatingAdd = "aggregating.add",
    /// `AggregatingState.clear`.
    AggregatingClear = "aggregating.clear",
    /// `InternalMergingState.mergeNamespaces` of a aggregating state.
    AggregatingMerge = "aggregating.merge-namespaces",
    /// `InternalTimerService.register…Timer`.
    TimerRegister = "timer.register",
    /// `InternalTimerService.delete…Timer`.
    TimerDelete = "timer.delete",
    /// The next timer that is due, or the answer that none is.
    TimerTake = "timer.take",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_discriminants() {
        for (position, kind) in AccessKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, position);
        }
    }
}
