//! Operators against plain reference implementations: each file holds those of a family.
//!
//! Runs an operator over random streams on every backend, at several parallelisms and through a restart, and compares
//! what it emits with a plain reference implementation that has no backend.

mod joins;
mod pipeline;
mod windows;

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::drive::{advance, drive};
use crate::backend::{ExpiringState, HeapBackend, Metered, Prefill, RocksDbBackend, TtlBackend};
use crate::measure::{Probe, Strategy as Timing};
use crate::operator::{Collector, Operator};
use crate::source::Event;
use crate::state::{
    Digest, Key, KeyGroups, KeyedStateBackend, OperatorStateHandle, OperatorStateSnapshot, Payload, StateTtls, mix,
};
use crate::workload::{MixOperation, Now, Options};

/// Random streams that every operator is tested over.
const STREAMS: u32 = 500;

/// Shape of the random streams.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Events of a stream, at most.
    pub events: usize,
    /// Keys.
    pub keys: i64,
    /// Inputs.
    pub streams: u8,
    /// Values and second numbers are below this.
    pub values: i64,
    /// Most that processing time moves on from event to event, ms.
    pub step_ms: i64,
    /// Most that an event is behind, ms.
    pub delay_ms: i64,
    /// How far the watermark stays behind, ms: less than `delay_ms` makes some events late.
    pub out_of_orderness_ms: i64,
    /// Whether events of one value have the same payload; else each has its own.
    pub equal_rows: bool,
    /// Whether a third of the events take rows back.
    pub retracts: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            events: 60,
            keys: 4,
            streams: 1,
            values: 8,
            step_ms: 8,
            delay_ms: 30,
            out_of_orderness_ms: 20,
            equal_rows: false,
            retracts: false,
        }
    }
}

/// Streams of this shape. Watermarks rise as a source would raise them, every ten milliseconds.
fn streams(shape: Shape) -> impl Strategy<Value = Vec<Event<i64>>> {
    let event =
        (0..=shape.step_ms, 0..=shape.delay_ms, 0..shape.keys, 0..shape.values, 0..shape.values, 0..shape.streams);
    vec(event, 1..shape.events).prop_map(move |draws| {
        let mut processing_ms = 0;
        let stamp = |(sequence, (step, delay, key, value, other, stream)): (usize, (i64, i64, i64, i64, i64, u8))| {
            processing_ms += step;
            let raised_ms = processing_ms - processing_ms % 10;
            Event {
                sequence: sequence as u64,
                time_ms: processing_ms - delay,
                watermark_ms: if raised_ms == 0 { i64::MIN } else { raised_ms - shape.out_of_orderness_ms - 1 },
                processing_ms,
                key,
                value,
                other,
                stream,
                payload: {
                    let own = if shape.equal_rows { 0 } else { sequence as u64 };
                    Payload(mix(own, value as u64).to_le_bytes().into())
                },
                operation: if shape.retracts && other % 3 == 0 { MixOperation::Delete } else { MixOperation::Read },
            }
        };
        draws.into_iter().enumerate().map(stamp).collect()
    })
}

/// What came of a stream: emitted results, and events that were too late.
pub type Results = (Digest, u64);

/// The subtasks of one operator on one kind of backend.
struct Job<'a, B, O> {
    groups: KeyGroups,
    open: &'a dyn Fn(&Path, u16, KeyGroups) -> B,
    subtasks: Vec<(Metered<TtlBackend<B>>, O, Collector)>,
    folder: tempfile::TempDir,
}

impl<'a, B: Prefill<i64> + ExpiringState<i64>, O: Operator<i64>> Job<'a, B, O> {
    fn start(spec: &O::Spec, parallelism: u16, open: &'a dyn Fn(&Path, u16, KeyGroups) -> B) -> Self {
        let groups = KeyGroups { max_parallelism: 128, parallelism };
        let mut job = Self { groups, open, subtasks: Vec::new(), folder: crate::backend::test_folder() };
        job.subtasks = (0..parallelism)
            .map(|subtask| {
                let folder = job.folder.path().join(format!("run-{subtask}"));
                std::fs::create_dir_all(&folder).unwrap();
                job.open_subtask(&folder, subtask, spec, Collector::default())
            })
            .collect();
        job
    }

    fn open_subtask(
        &self,
        folder: &Path,
        subtask: u16,
        spec: &O::Spec,
        out: Collector,
    ) -> (Metered<TtlBackend<B>>, O, Collector) {
        let inner = TtlBackend::new((self.open)(folder, subtask, self.groups));
        let mut probe = Probe::new(0, 1);
        probe.set_strategy(Timing::Off);
        let mut backend = Metered { inner, probe };
        let operator = O::open(spec, &mut backend).unwrap();
        (backend, operator, out)
    }

    /// Saves every subtask, drops it and goes on from what was saved.
    fn restart(&mut self, spec: &O::Spec) {
        let written = self
            .subtasks
            .iter_mut()
            .map(|(_, operator, _)| OperatorStateSnapshot::take(&operator.operator_states()).write());
        let handles = OperatorStateHandle::repartition(&written.collect::<Vec<_>>(), self.groups.parallelism);
        for subtask in 0..self.groups.parallelism {
            let saved = self.folder.path().join(format!("saved-{subtask}"));
            let (mut backend, operator, out) = self.subtasks.remove(0);
            backend.inner.inner.save_prefill(&saved).unwrap();
            drop((backend, operator));
            let (mut backend, operator, out) = self.open_subtask(&saved, subtask, spec, out);
            backend.inner.inner.load_prefill(&saved).unwrap();
            self.subtasks.push((backend, operator, out));
        }
        for ((_, operator, _), handles) in self.subtasks.iter_mut().zip(handles) {
            OperatorStateHandle::restore(&handles, &mut operator.operator_states()).unwrap();
        }
    }

    /// Events of a broadcast input go to all subtasks, and so do all watermarks where the operator has to see them.
    fn process(&mut self, events: &[Event<i64>]) {
        for run in events.chunk_by(|a, b| !O::SEES_EVERY_WATERMARK || a.watermark_ms == b.watermark_ms) {
            if O::SEES_EVERY_WATERMARK {
                for (backend, operator, out) in &mut self.subtasks {
                    advance(backend, operator, run[0].now(), out).unwrap();
                }
            }
            self.process_run(run);
        }
    }

    fn process_run(&mut self, events: &[Event<i64>]) {
        let mut routed: Vec<Vec<Event<i64>>> = vec![Vec::new(); self.subtasks.len()];
        for event in events {
            if O::BROADCAST_INPUT == Some(event.stream) {
                routed.iter_mut().for_each(|events| events.push(event.clone()));
                continue;
            }
            let owner = self.groups.subtask_of(self.groups.group_of(event.key.hash_code()));
            routed[usize::from(owner)].push(event.clone());
        }
        for ((backend, operator, out), mut batch) in self.subtasks.iter_mut().zip(routed) {
            drive(backend, operator, &mut batch, out).unwrap();
        }
    }

    fn finish(mut self, now: Now) -> (Results, Digest) {
        let (mut emitted, mut late, mut state) = (Digest::default(), 0, Digest::default());
        for (backend, operator, out) in &mut self.subtasks {
            advance(backend, operator, now, out).unwrap();
            emitted.merge(out.digest());
            late += out.late_events();
            state.merge(backend.state_digest().unwrap());
        }
        ((emitted, late), state)
    }
}

/// Runs a stream on one kind of backend, with a restart in the middle; what it emitted, and the state that it left.
fn run<B: Prefill<i64> + ExpiringState<i64>, O: Operator<i64>>(
    spec: &O::Spec,
    parallelism: u16,
    events: &[Event<i64>],
    open: &dyn Fn(&Path, u16, KeyGroups) -> B,
) -> (Results, Digest) {
    let mut job = Job::<B, O>::start(spec, parallelism, open);
    let (first, second) = events.split_at(events.len() / 2);
    job.process(first);
    job.restart(spec);
    job.process(second);
    job.finish(end_of(events))
}

/// Time at the end of a stream, when all subtasks have seen its last watermark.
pub fn end_of(events: &[Event<i64>]) -> Now {
    events.last().map_or(Now::START, Event::now)
}

/// Runs random streams through the operator on heap and RocksDB, at parallelism 1, 2 and 4, and through the reference:
/// they emit the same, find the same events late, and the backends end with the same state.
pub fn emits_what_the_reference_does<O: Operator<i64>>(
    spec: &O::Spec,
    ttls: &StateTtls,
    shape: Shape,
    reference: impl Fn(&[Event<i64>], &mut Collector),
) {
    let mut options = Options::default();
    options.set("state.backend.rocksdb.memory.managed", "false").unwrap();
    options.set("state.backend.rocksdb.writebuffer.size", "64kb").unwrap();
    let heap = |_: &Path, subtask, groups| HeapBackend::<i64>::new(groups, subtask).with_ttls(ttls.clone());
    let rocksdb = |folder: &Path, subtask, groups| {
        RocksDbBackend::<i64>::open(folder, &options, (groups, subtask), None, false, ttls.clone()).unwrap()
    };
    let config = Config { cases: STREAMS, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let stream = std::cell::Cell::new(0);
    let tested = runner.run(&streams(shape), |events| {
        let mut out = Collector::default();
        reference(&events, &mut out);
        let expected = (out.digest(), out.late_events());
        let (results, state) = run::<_, O>(spec, 1, &events, &heap);
        prop_assert_eq!(results, expected);
        for parallelism in [2, 4] {
            prop_assert_eq!(run::<_, O>(spec, parallelism, &events, &heap), (expected, state));
        }
        // A database takes milliseconds to open, so each stream has one parallelism there.
        stream.set(stream.get() + 1);
        let parallelism = [1, 2, 4][stream.get() % 3];
        prop_assert_eq!(run::<_, O>(spec, parallelism, &events, &rocksdb), (expected, state));
        Ok(())
    });
    tested.unwrap();
}

#[test]
fn the_counter_counts() {
    use crate::operator::Counter;
    emits_what_the_reference_does::<Counter>(&(), &StateTtls::new(), Shape::default(), |events, out| {
        let mut counts = std::collections::BTreeMap::new();
        for event in events {
            let count = counts.entry(event.key).or_insert(0);
            *count += 1;
            out.emit(event, *count);
        }
    });
}
