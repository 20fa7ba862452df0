//! The join of two inputs that lasts as long as the left row.

use super::row::{Row, RowKind, Shown, take_row};
use super::{Collector, Operator};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, ListState, StateResult, ValueState, VoidNamespace};

/// Joins tasks with their job, as Gadget does with the trace of Borg: a right row is paired with the left row of its key, or
/// waits for it in a list; a left row meets those that wait, and one that finishes ends the join of its key.
pub struct ContinuousJoin {
    left: ValueState<VoidNamespace, Row>,
    right: ListState<VoidNamespace, Row>,
    /// Left events with a value below this finish.
    finish_below: i64,
}

impl<K: Key> Operator<K> for ContinuousJoin {
    type Spec = i64;

    fn open<B: KeyedStateBackend<K>>(finish_below: &i64, backend: &mut B) -> StateResult<Self> {
        Ok(Self {
            left: backend.value_state("left")?,
            right: backend.list_state("right")?,
            finish_below: *finish_below,
        })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let row = take_row(event);
        let shown = Shown::of(&row);
        if event.stream != 0 {
            let left = backend.value(self.left, &VoidNamespace)?.map(|left| Shown::of(&left));
            return match left {
                Some(left) => {
                    out.emit_pair(event, RowKind::Insert, [left, shown]);
                    Ok(())
                }
                None => backend.list_add(self.right, &VoidNamespace, row),
            };
        }
        if event.value < self.finish_below {
            backend.clear_value(self.left, &VoidNamespace)?;
            return backend.clear_list(self.right, &VoidNamespace);
        }
        backend.list_scan(self.right, &VoidNamespace, |waiting: &Row| {
            out.emit_pair(event, RowKind::Insert, [shown, Shown::of(waiting)]);
        })?;
        backend.clear_list(self.right, &VoidNamespace)?;
        backend.update(self.left, &VoidNamespace, row)
    }
}
