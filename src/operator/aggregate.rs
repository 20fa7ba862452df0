//! A running aggregate of the values of each key.

use super::{Collector, Operator};
use crate::source::Event;
use crate::state::{Aggregate, AggregatingState, Key, KeyedStateBackend, StateResult, VoidNamespace, mix};

/// Count and sum. The result keeps both, because a quotient would round: the average is one by the other.
pub struct Average;
impl Aggregate for Average {
    type In = i64;
    type Accumulator = (i64, i64);
    type Out = u64;
    fn create() -> (i64, i64) {
        (0, 0)
    }
    #[inline]
    fn add((count, sum): &mut (i64, i64), element: i64) {
        *count += 1;
        *sum = sum.wrapping_add(element);
    }
    #[inline]
    fn merge((count, sum): &mut (i64, i64), other: (i64, i64)) {
        *count += other.0;
        *sum = sum.wrapping_add(other.1);
    }
    #[inline]
    fn result((count, sum): &(i64, i64)) -> u64 {
        mix(*count as u64, *sum as u64)
    }
}

/// Count, sum and largest value.
pub struct Summary;
impl Aggregate for Summary {
    type In = i64;
    type Accumulator = (i64, i64, i64);
    type Out = u64;
    fn create() -> (i64, i64, i64) {
        (0, 0, i64::MIN)
    }
    #[inline]
    fn add((count, sum, max): &mut (i64, i64, i64), element: i64) {
        *count += 1;
        *sum = sum.wrapping_add(element);
        *max = element.max(*max);
    }
    #[inline]
    fn merge((count, sum, max): &mut (i64, i64, i64), other: (i64, i64, i64)) {
        *count += other.0;
        *sum = sum.wrapping_add(other.1);
        *max = other.2.max(*max);
    }
    #[inline]
    fn result((count, sum, max): &(i64, i64, i64)) -> u64 {
        mix(mix(*count as u64, *sum as u64), *max as u64)
    }
}

/// Adds each event's value to an aggregating state and, where it is asked to, emits the result so far.
pub struct AggregateOperator<F> {
    aggregate: AggregatingState<VoidNamespace, F>,
    emits: bool,
}

impl<K: Key, F: Aggregate<In = i64, Out = u64>> Operator<K> for AggregateOperator<F> {
    type Spec = bool;

    fn open<B: KeyedStateBackend<K>>(emits: &bool, backend: &mut B) -> StateResult<Self> {
        Ok(Self { aggregate: backend.aggregating_state("aggregate")?, emits: *emits })
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        backend.aggregating_add(self.aggregate, &VoidNamespace, event.value)?;
        if self.emits {
            let result = backend.aggregating_get(self.aggregate, &VoidNamespace)?.unwrap_or(0);
            out.emit(event, result);
        }
        Ok(())
    }
}
