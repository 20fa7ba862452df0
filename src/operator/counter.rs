//! Counts the events of each key.

use super::{Collector, Operator};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, StateResult, ValueState, VoidNamespace};

/// Reads a long, adds one, writes it: the smallest stateful job.
pub struct Counter {
    count: ValueState<VoidNamespace, i64>,
}

impl<K: Key> Operator<K> for Counter {
    type Spec = ();

    fn open<B: KeyedStateBackend<K>>((): &(), backend: &mut B) -> StateResult<Self> {
        Ok(Self { count: backend.value_state("count")? })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let count = backend.value(self.count, &VoidNamespace)?.map_or(0, |count| *count) + 1;
        backend.update(self.count, &VoidNamespace, count)?;
        out.emit(event, count as u64);
        Ok(())
    }
}
