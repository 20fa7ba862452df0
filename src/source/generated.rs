//! Events generated from a seed. Any block can be made by any thread: a block is a function of seed and position.

use super::{BLOCK_EVENTS, Event};
use crate::state::{Payload, mix};
use crate::workload::{
    Inputs, KeySampler, Keys, MixOperation, Now, PayloadMaker, Retractions, Rng, SampledKey, Schedule, Stream,
    VALUE_RANGE, VirtualClock, Workload,
};

/// Makes the events of a generated source, or those that prefill the state.
pub(super) struct Generator {
    keys: Keys,
    sampler: KeySampler,
    payloads: Option<PayloadMaker>,
    schedule: Schedule,
    inputs: Inputs,
    retractions: Option<Retractions>,
    /// Seed of this stream of events. What is drawn of it differs between repeats; which keys are hot does not.
    seed: u64,
    prefill: bool,
    clock: VirtualClock,
    /// Events of a prefill, which came before time 0.
    prefilled: u64,
}

impl Generator {
    /// The events of a run.
    pub fn events(workload: &Workload, stream_seed: u64) -> Self {
        let schedule = Schedule::new(workload);
        let retractions = workload.operator.retractions();
        let retractions = retractions.map(|retractions| retractions.in_blocks(BLOCK_EVENTS as u64));
        let inputs = workload.operator.inputs();
        Self {
            schedule,
            inputs,
            retractions,
            seed: stream_seed,
            prefill: false,
            prefilled: 0,
            ..Self::prefill(workload)
        }
    }

    /// One event for each key that is there before the run, in scattered order and at the rate of the run, so that the
    /// last of them comes just before its first event.
    pub fn prefill(workload: &Workload) -> Self {
        let seed = workload.run.seed;
        Self {
            keys: workload.keys.clone(),
            sampler: KeySampler::new(&workload.keys, seed),
            payloads: workload.payload_maker(),
            schedule: Schedule::of_prefill(workload),
            inputs: workload.operator.inputs().of_prefill(),
            retractions: None,
            seed,
            prefill: true,
            clock: workload.clock.clone(),
            prefilled: workload.prefill_keys(),
        }
    }

    /// Time at the event of this sequence.
    pub fn now_at(&self, sequence: u64) -> Now {
        let position = sequence as i64 - self.prefilled as i64;
        self.clock.at(self.schedule.at(sequence).arrival_ms(position))
    }

    /// Makes the first `count` events of a block and hands them to `sink`. `ids` is working space.
    pub fn fill<K: SampledKey>(&self, block: u64, count: usize, ids: &mut Vec<u64>, mut sink: impl FnMut(Event<K>)) {
        let Some(retractions) = self.retractions else { return self.make(block, count, ids, sink) };
        // What the events of this block may take back is a block of its own, made again.
        let mut earlier = Vec::new();
        if let Some(block) = block.checked_sub(retractions.after() / BLOCK_EVENTS as u64) {
            self.make(block, BLOCK_EVENTS, ids, |event| earlier.push(event));
        }
        let mut earlier = earlier.into_iter();
        self.make(block, count, ids, |event| {
            let earlier = earlier.next().filter(|_| retractions.is_retraction(self.seed, event.sequence));
            sink(match earlier {
                Some(earlier) => retraction(&event, earlier),
                None => event,
            });
        });
    }

    /// Makes events that take nothing back.
    fn make<K: SampledKey>(&self, block: u64, count: usize, ids: &mut Vec<u64>, mut sink: impl FnMut(Event<K>)) {
        let first = block * BLOCK_EVENTS as u64;
        ids.clear();
        ids.resize(count, 0);
        let stream = |stream| Rng::for_block(self.seed, stream, block);
        let (mut operations, mut values, mut payloads, mut times) =
            (stream(Stream::Operations), stream(Stream::Values), stream(Stream::Payloads), stream(Stream::Times));
        let mut inputs = stream(Stream::Inputs);
        // Phases begin with blocks.
        let conditions = self.schedule.at(first);
        let mix = if self.prefill { None } else { conditions.mix.as_ref() };
        if self.prefill {
            self.sampler.prefill_ids(first, ids);
            values = stream(Stream::Prefill);
        } else {
            self.sampler.fill_shifted(&mut stream(Stream::Keys), first, conditions.shift, ids);
        }
        for (position, &id) in ids.iter().enumerate() {
            let operation = match mix {
                Some(mix) => mix.operation(operations.unit()),
                None => MixOperation::Read,
            };
            let id = match operation {
                MixOperation::Read if self.keys.absent > 0.0 && operations.unit() < self.keys.absent => {
                    self.sampler.absent_id(id)
                }
                _ => id,
            };
            let sequence = first + position as u64;
            let (input, other) = self.inputs.draw(&mut inputs);
            let processing_ms = conditions.arrival_ms(sequence as i64 - self.prefilled as i64);
            sink(Event {
                sequence,
                time_ms: processing_ms.saturating_sub(self.clock.delay_ms(&mut times)),
                watermark_ms: self.clock.watermark_at(processing_ms),
                processing_ms,
                key: K::from_id(id, &self.keys),
                value: values.below(VALUE_RANGE) as i64,
                other,
                stream: input,
                payload: match &self.payloads {
                    Some(maker) if stores(operation, mix.is_some()) => maker.make(&mut payloads),
                    _ => Payload::default(),
                },
                operation,
            });
        }
    }
}

/// The event that takes an earlier one back in the place of another: the row of the one, the times of the other.
fn retraction<K>(event: &Event<K>, earlier: Event<K>) -> Event<K> {
    Event {
        sequence: event.sequence,
        time_ms: event.time_ms,
        watermark_ms: event.watermark_ms,
        processing_ms: event.processing_ms,
        operation: MixOperation::Delete,
        ..earlier
    }
}

/// Whether an event needs a payload: reads, removals and scans of a mix store nothing.
pub(super) fn stores(operation: MixOperation, in_mix: bool) -> bool {
    !in_mix || !matches!(operation, MixOperation::Read | MixOperation::Delete | MixOperation::Scan)
}

/// The seed of the event stream of a repeat.
pub fn stream_seed(seed: u64, repeat: u32) -> u64 {
    if repeat == 0 { seed } else { mix(seed, u64::from(repeat)) }
}
