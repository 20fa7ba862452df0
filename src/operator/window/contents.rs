//! What a window keeps of its events, and what comes of it when it fires.

use crate::operator::row::{Row, row_hash, take_row};
use crate::source::Event;
use crate::state::{
    Aggregate, AggregatingState, Key, KeyedStateBackend, ListState, Payload, Reduce, ReducingState, StateResult,
    TimeWindow, mix,
};

/// The state of windows, by key and window.
pub trait Contents: Sized + Send + 'static {
    /// What an event adds to each of its windows.
    type Element: Clone;

    /// Registers the state.
    fn open<K: Key, B: KeyedStateBackend<K>>(backend: &mut B) -> StateResult<Self>;

    /// What this event adds. It may be moved out of it.
    fn element<K>(event: &mut Event<K>) -> Self::Element;

    /// Adds to a window.
    fn add<K: Key, B: KeyedStateBackend<K>>(
        &self,
        b: &mut B,
        n: &TimeWindow,
        element: Self::Element,
    ) -> StateResult<()>;

    /// What a window has come to; none where nothing was added, or nothing comes of it.
    fn result<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow) -> StateResult<Option<u64>>;

    /// Removes what a window keeps.
    fn clear<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow) -> StateResult<()>;

    /// Moves what some windows keep into another one.
    fn merge<K: Key, B: KeyedStateBackend<K>>(
        &self,
        b: &mut B,
        target: &TimeWindow,
        sources: &[TimeWindow],
    ) -> StateResult<()>;
}

/// The name of the state, Flink's.
const NAME: &str = "window-contents";

/// Incremental: the values reduced to one (`WindowedStream.reduce`).
pub struct Reduced<F>(ReducingState<TimeWindow, F>);

impl<F: Reduce<Value = i64>> Contents for Reduced<F> {
    type Element = i64;

    fn open<K: Key, B: KeyedStateBackend<K>>(backend: &mut B) -> StateResult<Self> {
        backend.reducing_state(NAME).map(Self)
    }
    #[inline(always)]
    fn element<K>(event: &mut Event<K>) -> i64 {
        event.value
    }
    #[inline(always)]
    fn add<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow, element: i64) -> StateResult<()> {
        b.reducing_add(self.0, n, element)
    }
    fn result<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow) -> StateResult<Option<u64>> {
        Ok(b.reducing_get(self.0, n)?.map(|reduced| *reduced as u64))
    }
    fn clear<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow) -> StateResult<()> {
        b.clear_reducing(self.0, n)
    }
    fn merge<K: Key, B: KeyedStateBackend<K>>(
        &self,
        b: &mut B,
        target: &TimeWindow,
        sources: &[TimeWindow],
    ) -> StateResult<()> {
        b.merge_reducing(self.0, target, sources)
    }
}

/// Incremental: the values aggregated (`WindowedStream.aggregate`).
pub struct Aggregated<F>(AggregatingState<TimeWindow, F>);

impl<F: Aggregate<In = i64, Out = u64>> Contents for Aggregated<F> {
    type Element = i64;

    fn open<K: Key, B: KeyedStateBackend<K>>(backend: &mut B) -> StateResult<Self> {
        backend.aggregating_state(NAME).map(Self)
    }
    #[inline(always)]
    fn element<K>(event: &mut Event<K>) -> i64 {
        event.value
    }
    #[inline(always)]
    fn add<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow, element: i64) -> StateResult<()> {
        b.aggregating_add(self.0, n, element)
    }
    fn result<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow) -> StateResult<Option<u64>> {
        b.aggregating_get(self.0, n)
    }
    fn clear<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow) -> StateResult<()> {
        b.clear_aggregating(self.0, n)
    }
    fn merge<K: Key, B: KeyedStateBackend<K>>(
        &self,
        b: &mut B,
        target: &TimeWindow,
        sources: &[TimeWindow],
    ) -> StateResult<()> {
        b.merge_aggregating(self.0, target, sources)
    }
}

/// Holistic: every payload is kept, and looked at when the window fires (`WindowedStream.process`). The result is a sum
/// over them, so that it does not depend on the order in which they came.
pub struct Listed(ListState<TimeWindow, Payload>);

impl Contents for Listed {
    /// A payload that several windows keep is one object in Flink's heap; here each has its own.
    type Element = Payload;

    fn open<K: Key, B: KeyedStateBackend<K>>(backend: &mut B) -> StateResult<Self> {
        backend.list_state(NAME).map(Self)
    }
    #[inline(always)]
    fn element<K>(event: &mut Event<K>) -> Payload {
        std::mem::take(&mut event.payload)
    }
    #[inline(always)]
    fn add<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow, element: Payload) -> StateResult<()> {
        b.list_add(self.0, n, element)
    }
    fn result<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow) -> StateResult<Option<u64>> {
        let (mut sum, mut length) = (0_u64, 0_u64);
        b.list_scan(self.0, n, |payload: &Payload| {
            sum = sum.wrapping_add(mix(payload.head(), 0));
            length += 1;
        })?;
        Ok((length > 0).then(|| mix(sum, length)))
    }
    fn clear<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow) -> StateResult<()> {
        b.clear_list(self.0, n)
    }
    fn merge<K: Key, B: KeyedStateBackend<K>>(
        &self,
        b: &mut B,
        target: &TimeWindow,
        sources: &[TimeWindow],
    ) -> StateResult<()> {
        b.merge_list(self.0, target, sources)
    }
}

/// The window join: the rows of both inputs in one list, each with its side, and all pairs of a left and a right one when
/// the window fires. Flink's `CoGroupedStreams`, which its `JoinedStreams` are made of. One result stands for all pairs of a
/// window, as a sum over them, so that it does not depend on the order in which rows came.
pub struct Joined(ListState<TimeWindow, TaggedRow>);

/// Whether a row is of the left input, and the row: `TaggedUnion`.
type TaggedRow = (bool, Row);

impl Contents for Joined {
    type Element = TaggedRow;

    fn open<K: Key, B: KeyedStateBackend<K>>(backend: &mut B) -> StateResult<Self> {
        backend.list_state(NAME).map(Self)
    }
    #[inline(always)]
    fn element<K>(event: &mut Event<K>) -> TaggedRow {
        (event.stream == 0, take_row(event))
    }
    #[inline(always)]
    fn add<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow, element: TaggedRow) -> StateResult<()> {
        b.list_add(self.0, n, element)
    }
    fn result<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow) -> StateResult<Option<u64>> {
        let mut sides = [Vec::new(), Vec::new()];
        b.list_scan(self.0, n, |(is_left, row): &TaggedRow| sides[usize::from(!is_left)].push(row_hash(row)))?;
        let [left, right] = sides;
        let pairs = left.iter().flat_map(|left| right.iter().map(move |right| mix(*left, *right)));
        let (sum, count) = pairs.fold((0_u64, 0), |(sum, count), pair| (sum.wrapping_add(pair), count + 1));
        Ok((count > 0).then(|| mix(sum, count)))
    }
    fn clear<K: Key, B: KeyedStateBackend<K>>(&self, b: &mut B, n: &TimeWindow) -> StateResult<()> {
        b.clear_list(self.0, n)
    }
    fn merge<K: Key, B: KeyedStateBackend<K>>(
        &self,
        b: &mut B,
        target: &TimeWindow,
        sources: &[TimeWindow],
    ) -> StateResult<()> {
        b.merge_list(self.0, target, sources)
    }
}
