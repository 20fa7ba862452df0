//! The running total of the values of each key.

use super::{Collector, Operator};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, StateResult, ValueState, VoidNamespace};

/// Adds each value, which may be negative, to a ValueState and emits what it then holds. It is for few keys, such as the
/// segments of a revenue: the latest total of each is kept to be shown.
pub struct RunningTotal {
    total: ValueState<VoidNamespace, i64>,
}

impl<K: Key> Operator<K> for RunningTotal {
    type Spec = ();

    fn open<B: KeyedStateBackend<K>>((): &(), backend: &mut B) -> StateResult<Self> {
        Ok(Self { total: backend.value_state("total")? })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let total = backend.value(self.total, &VoidNamespace)?.map_or(0, |total| *total).wrapping_add(event.value);
        backend.update(self.total, &VoidNamespace, total)?;
        out.emit(event, total as u64);
        out.keep_latest(event.key.as_long(), total);
        Ok(())
    }
}
