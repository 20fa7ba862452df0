//! The unbounded join of two inputs by key, with retractions.

use super::row::{Row, RowKind, Shown, take_row};
use super::{Collector, Operator};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, MapState, StateResult, VoidNamespace};
use crate::workload::MixOperation;

/// Joins every row with all rows of the other side, as Flink's `StreamingJoinOperator` does for an inner join of sides
/// that have no unique key: each side is a map from a row to how often it is there. An event that deletes takes one row
/// back, and with it its pairs.
pub struct RegularJoin {
    sides: [MapState<VoidNamespace, Row, i32>; 2],
}

impl<K: Key> Operator<K> for RegularJoin {
    type Spec = ();

    fn open<B: KeyedStateBackend<K>>((): &(), backend: &mut B) -> StateResult<Self> {
        Ok(Self { sides: [backend.map_state("left")?, backend.map_state("right")?] })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let [left, right] = self.sides;
        let is_left = event.stream == 0;
        let (own, other) = if is_left { (left, right) } else { (right, left) };
        let row = take_row(event);
        let shown = Shown::of(&row);
        let kind = if event.operation == MixOperation::Delete {
            retract(backend, own, &row)?;
            RowKind::Delete
        } else {
            add(backend, own, row)?;
            RowKind::Insert
        };
        backend.map_scan(other, &VoidNamespace, |row: &Row, times: &i32| {
            let pair = Shown::in_order(is_left, shown, Shown::of(row));
            (0..*times).for_each(|_| out.emit_pair(event, kind, pair));
        })
    }
}

type Side = MapState<VoidNamespace, Row, i32>;

fn add<K: Key, B: KeyedStateBackend<K>>(backend: &mut B, side: Side, row: Row) -> StateResult<()> {
    let times = backend.map_get(side, &VoidNamespace, &row)?.map_or(0, |times| *times);
    backend.map_put(side, &VoidNamespace, row, times + 1)
}

/// A row that is not there has expired.
fn retract<K: Key, B: KeyedStateBackend<K>>(backend: &mut B, side: Side, row: &Row) -> StateResult<()> {
    match backend.map_get(side, &VoidNamespace, row)?.map_or(0, |times| *times) {
        0 => Ok(()),
        1 => backend.map_remove(side, &VoidNamespace, row),
        times => backend.map_put(side, &VoidNamespace, row.clone(), times - 1),
    }
}
