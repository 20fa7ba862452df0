//! Operators against plain reference implementations: each file holds those of a family.
//!
//! Runs an operator over random streams on every backend, at several parallelisms and through restarts that change them,
//! and compares what it emits with a plain reference implementation that has no backend.

mod joins;
mod pipeline;
mod sources;
mod windows;

use std::ops::Range;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::base::copy_prefill;
use super::drive::{advance, drive};
use crate::backend::{
    ExpiringState, HeapBackend, Metered, OldState, OpenMode, Prefill, RocksDbBackend, TtlBackend, choose_base,
};
use crate::measure::{Probe, Strategy as Timing};
use crate::operator::{Collector, Operator, TaskInfo};
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

/// Parallelisms that a job goes through, each for as many events as the others: some rescale, some only restart.
type Course = &'static [u16];

const COURSES: [Course; 6] = [&[1, 2], &[2, 3], &[4, 3, 1], &[1, 1], &[2, 4], &[4, 4]];

/// A backend that goes on from what those of other subtasks have saved.
trait Rescaled: Prefill<i64> + ExpiringState<i64> {
    /// Puts into a folder what the backend of these key groups is opened on.
    fn prepare(_folder: &Path, _key_groups: &Range<u16>, _old: &[OldState]) {}

    /// Takes in what that does not hold, when the states are registered.
    fn take_in_all(&mut self, key_groups: &Range<u16>, old: &[OldState]);
}

impl Rescaled for HeapBackend<i64> {
    fn take_in_all(&mut self, _: &Range<u16>, old: &[OldState]) {
        old.iter().for_each(|state| self.load_prefill(&state.folder).unwrap());
    }
}

impl Rescaled for RocksDbBackend<i64> {
    fn prepare(folder: &Path, key_groups: &Range<u16>, old: &[OldState]) {
        if let Some(base) = choose_base(old, key_groups, 0.0) {
            copy_prefill(&old[base].folder, folder).unwrap();
        }
    }
    fn take_in_all(&mut self, key_groups: &Range<u16>, old: &[OldState]) {
        let mut others = old.to_vec();
        let base = choose_base(old, key_groups, 0.0).map(|base| others.remove(base));
        self.take_in(&others, base.as_slice()).unwrap();
    }
}

/// The subtasks of one operator on one kind of backend.
struct Job<'a, B, O> {
    groups: KeyGroups,
    open: &'a dyn Fn(&Path, u16, KeyGroups) -> B,
    subtasks: Vec<Subtask<B, O>>,
    folder: tempfile::TempDir,
    restarts: usize,
}

type Subtask<B, O> = (Metered<TtlBackend<B>>, O, Collector);

impl<'a, B: Rescaled, O: Operator<i64>> Job<'a, B, O> {
    fn start(spec: &O::Spec, parallelism: u16, open: &'a dyn Fn(&Path, u16, KeyGroups) -> B) -> Self {
        let groups = KeyGroups { max_parallelism: 128, parallelism };
        let folder = crate::backend::test_folder();
        let mut job = Self { groups, open, subtasks: Vec::new(), folder, restarts: 0 };
        job.subtasks = (0..parallelism)
            .map(|subtask| {
                let (backend, mut operator) = job.open_subtask(&job.path("run", subtask), subtask, spec);
                operator.initialize_state(job.task(subtask), false).unwrap();
                (backend, operator, Collector::default())
            })
            .collect();
        job
    }

    /// A folder of its own for each subtask and each time that the job was started.
    fn path(&self, what: &str, subtask: u16) -> PathBuf {
        self.folder.path().join(format!("{what}-{}-{subtask}", self.restarts))
    }

    fn task(&self, subtask: u16) -> TaskInfo {
        TaskInfo { subtask, parallelism: self.groups.parallelism }
    }

    fn open_subtask(&self, folder: &Path, subtask: u16, spec: &O::Spec) -> (Metered<TtlBackend<B>>, O) {
        let inner = TtlBackend::new((self.open)(folder, subtask, self.groups));
        let mut probe = Probe::new(0, 1);
        probe.set_strategy(Timing::Off);
        let mut backend = Metered { inner, probe };
        let operator = O::open(spec, &mut backend).unwrap();
        (backend, operator)
    }

    /// Saves every subtask, drops it, and goes on from what was saved at another parallelism. All subtasks have come as
    /// far as `now`, as they have behind a barrier.
    fn restart(&mut self, spec: &O::Spec, parallelism: u16, now: Now) {
        let (mut old, mut written, mut gathered) = (Vec::new(), Vec::new(), Collector::default());
        for ((mut backend, mut operator, mut out), subtask) in std::mem::take(&mut self.subtasks).into_iter().zip(0..) {
            advance(&mut backend, &mut operator, now, &mut out).unwrap();
            written.push(OperatorStateSnapshot::take(&operator.operator_states()).write());
            let folder = self.path("saved", subtask);
            backend.inner.inner.save_prefill(&folder).unwrap();
            old.push(OldState { folder, key_groups: self.groups.range_of(subtask) });
            gathered.merge(&out);
        }
        self.restarts += 1;
        self.groups.parallelism = parallelism;
        let handles = OperatorStateHandle::repartition(&written, parallelism);
        for (subtask, handles) in (0..).zip(handles) {
            let (folder, key_groups) = (self.path("run", subtask), self.groups.range_of(subtask));
            B::prepare(&folder, &key_groups, &old);
            let (mut backend, mut operator) = self.open_subtask(&folder, subtask, spec);
            backend.inner.inner.take_in_all(&key_groups, &old);
            OperatorStateHandle::restore(&handles, &mut operator.operator_states()).unwrap();
            operator.initialize_state(self.task(subtask), true).unwrap();
            let mut out = std::mem::take(&mut gathered);
            out.set_now(now);
            self.subtasks.push((backend, operator, out));
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
            operator.operator_states().iter().for_each(|own| state.merge(own.digest()));
        }
        ((emitted, late), state)
    }
}

/// Runs a stream on one kind of backend through a course of parallelisms; what it emitted, and the state that it left.
fn run<B: Rescaled, O: Operator<i64>>(
    spec: &O::Spec,
    course: Course,
    events: &[Event<i64>],
    open: &dyn Fn(&Path, u16, KeyGroups) -> B,
) -> (Results, Digest) {
    let mut job = Job::<B, O>::start(spec, course[0], open);
    let ends = (1..=course.len()).map(|part| events.len() * part / course.len());
    let mut done = 0;
    for (end, parallelism) in ends.zip(course.iter().skip(1).map(Some).chain([None])) {
        job.process(&events[done..end]);
        if let Some(parallelism) = parallelism {
            job.restart(spec, *parallelism, end_of(&events[..end]));
        }
        done = end;
    }
    job.finish(end_of(events))
}

/// Time at the end of a stream, when all subtasks have seen its last watermark.
pub fn end_of(events: &[Event<i64>]) -> Now {
    events.last().map_or(Now::START, Event::now)
}

/// Runs random streams through the operator on heap and RocksDB, at parallelisms of 1 to 4 that change on the way, and
/// through the reference: they emit the same, find the same events late, and the backends end with the same state.
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
        RocksDbBackend::<i64>::open(folder, &options, (groups, subtask), None, OpenMode::default(), ttls.clone())
            .unwrap()
    };
    let config = Config { cases: STREAMS, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let number = std::cell::Cell::new(0);
    let tested = runner.run(&streams(shape), |events| {
        let mut out = Collector::default();
        reference(&events, &mut out);
        let expected = (out.digest(), out.late_events());
        number.set(number.get() + 1);
        let mut state = None;
        for course in &COURSES[number.get() % 2 * 3..][..3] {
            let (results, left) = run::<_, O>(spec, course, &events, &heap);
            prop_assert_eq!((results, left), (expected, *state.get_or_insert(left)), "heap, {:?}", course);
        }
        // A database takes milliseconds to open, so each stream has one course there.
        let course = COURSES[number.get() % COURSES.len()];
        let (results, left) = run::<_, O>(spec, course, &events, &rocksdb);
        prop_assert_eq!((results, Some(left)), (expected, state), "rocksdb, {:?}", course);
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
