//! Lets one event of each key through: the first, or the last so far.

use super::row::{Row, RowKind, row_hash, take_row};
use super::{Collector, Emitted, Operator};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, StateResult, ValueState, VoidNamespace};

/// Emits the first event of each key, as the deduplication of Flink's Table runtime does that keeps the first row. With a
/// TTL a key that was forgotten is new again.
pub struct FirstRow {
    seen: ValueState<VoidNamespace, i64>,
}

impl<K: Key> Operator<K> for FirstRow {
    type Spec = ();

    fn open<B: KeyedStateBackend<K>>((): &(), backend: &mut B) -> StateResult<Self> {
        Ok(Self { seen: backend.value_state("seen")? })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        if backend.value(self.seen, &VoidNamespace)?.is_some() {
            return Ok(());
        }
        backend.update(self.seen, &VoidNamespace, 1)?;
        out.emit_row(event, Emitted { key: event.key.as_long(), value: event.value, other: event.other });
        Ok(())
    }
}

/// Keeps the last event of each key and emits every change of it, as the deduplication of Flink's Table runtime does that
/// keeps the last row by processing time.
pub struct LastRow {
    seen: ValueState<VoidNamespace, Row>,
    /// An event that changes nothing is emitted all the same where state expires, so that state downstream is renewed.
    emits_equal: bool,
}

impl<K: Key> Operator<K> for LastRow {
    type Spec = ();

    fn open<B: KeyedStateBackend<K>>((): &(), backend: &mut B) -> StateResult<Self> {
        let seen: ValueState<VoidNamespace, Row> = backend.value_state("seen")?;
        Ok(Self { seen, emits_equal: seen.is_timed })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let row = take_row(event);
        let after = row_hash(&row);
        let before = backend.value(self.seen, &VoidNamespace)?;
        let before = before.map(|seen| (row_hash(&seen), !self.emits_equal && *seen == row));
        backend.update(self.seen, &VoidNamespace, row)?;
        match before {
            None => out.emit_change(event, RowKind::Insert, after),
            Some((_, true)) => {}
            Some((before, false)) => {
                out.emit_change(event, RowKind::UpdateBefore, before);
                out.emit_change(event, RowKind::UpdateAfter, after);
            }
        }
        Ok(())
    }
}
