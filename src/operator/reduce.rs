//! A running reduction of the values of each key.

use std::marker::PhantomData;

use super::{Collector, Operator};
use crate::source::Event;
use crate::state::{Key, KeyedStateBackend, Reduce, ReducingState, StateResult, VoidNamespace};

/// The sum, exact: it wraps where it leaves 64 bits, as Java's does.
pub struct Sum;
impl Reduce for Sum {
    type Value = i64;
    #[inline]
    fn reduce(kept: &i64, added: i64) -> i64 {
        kept.wrapping_add(added)
    }
}

/// The largest value.
pub struct Max;
impl Reduce for Max {
    type Value = i64;
    #[inline]
    fn reduce(kept: &i64, added: i64) -> i64 {
        added.max(*kept)
    }
}

/// Adds each event's value to a reducing state and, where it is asked to, emits what it then holds.
pub struct ReduceOperator<F> {
    reduced: ReducingState<VoidNamespace, F>,
    emits: bool,
    marker: PhantomData<fn(F)>,
}

impl<K: Key, F: Reduce<Value = i64>> Operator<K> for ReduceOperator<F> {
    type Spec = bool;

    fn open<B: KeyedStateBackend<K>>(emits: &bool, backend: &mut B) -> StateResult<Self> {
        Ok(Self { reduced: backend.reducing_state("reduced")?, emits: *emits, marker: PhantomData })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        backend.reducing_add(self.reduced, &VoidNamespace, event.value)?;
        if self.emits {
            let reduced = backend.reducing_get(self.reduced, &VoidNamespace)?.map_or(0, |reduced| *reduced);
            out.emit(event, reduced as u64);
        }
        Ok(())
    }
}
