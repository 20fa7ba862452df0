//! Joins a changing table with a changing dimension.

use super::{Collector, Emitted, Operator};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, MapState, StateResult, ValueState, VoidNamespace};
use crate::workload::MixOperation;

/// A value with the event time of the change that set it: an older change that comes later does not undo it.
type Versioned = (i64, i64);

/// The input of changes to the dimension; all others are changes to the table.
pub const DIMENSION: u8 = 1;

/// Keeps the rows of each key and what the dimension says of the key, and emits what every change adds to or takes from
/// the sums by the dimension's value: an order that changes takes its old amount away and adds the new one, a customer
/// that moves takes all its orders along. Rows wait for a key that the dimension does not know.
///
/// With a TTL, what was forgotten is as if it had never been: an order that changes after that counts twice, as in a
/// Flink job.
pub struct ChangelogJoin {
    rows: MapState<VoidNamespace, i64, Versioned>,
    dimension: ValueState<VoidNamespace, Versioned>,
    /// The amounts of a key's rows, while it moves.
    moving: Vec<(i64, i64)>,
}

impl<K: Key> Operator<K> for ChangelogJoin {
    type Spec = ();
    const HAS_PREFILL: bool = false;

    fn open<B: KeyedStateBackend<K>>((): &(), backend: &mut B) -> StateResult<Self> {
        let (rows, dimension) = (backend.map_state("orders")?, backend.value_state("customer")?);
        Ok(Self { rows, dimension, moving: Vec::new() })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        if event.stream == DIMENSION {
            self.move_key(backend, event, out)
        } else {
            self.change_row(backend, event, out)
        }
    }
}

impl ChangelogJoin {
    fn change_row<K: Key, B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let before = backend.map_get(self.rows, &VoidNamespace, &event.other)?.map(|row| *row);
        if before.is_some_and(|(version, _)| version > event.time_ms) {
            out.count_late();
            return Ok(());
        }
        let is_deletion = event.operation == MixOperation::Delete;
        if !is_deletion {
            backend.map_put(self.rows, &VoidNamespace, event.other, (event.time_ms, event.value))?;
        } else if before.is_some() {
            backend.map_remove(self.rows, &VoidNamespace, &event.other)?;
        }
        let Some((_, segment)) = backend.value(self.dimension, &VoidNamespace)?.map(|value| *value) else {
            return Ok(());
        };
        let key = event.key.as_long();
        if let Some((_, amount)) = before {
            out.emit_row(event, Emitted { key, value: -amount, other: segment });
        }
        if !is_deletion {
            out.emit_row(event, Emitted { key, value: event.value, other: segment });
        }
        Ok(())
    }

    fn move_key<K: Key, B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let before = backend.value(self.dimension, &VoidNamespace)?.map(|value| *value);
        if before.is_some_and(|(version, _)| version > event.time_ms) {
            out.count_late();
            return Ok(());
        }
        backend.update(self.dimension, &VoidNamespace, (event.time_ms, event.value))?;
        if before.is_some_and(|(_, segment)| segment == event.value) {
            return Ok(());
        }
        let moving = &mut self.moving;
        moving.clear();
        backend.map_scan(self.rows, &VoidNamespace, |row, (_, amount)| moving.push((*row, *amount)))?;
        // A map has no order, and what follows depends on it.
        moving.sort_unstable();
        let key = event.key.as_long();
        for &(_, amount) in &*moving {
            if let Some((_, segment)) = before {
                out.emit_row(event, Emitted { key, value: -amount, other: segment });
            }
            out.emit_row(event, Emitted { key, value: amount, other: event.value });
        }
        Ok(())
    }
}
