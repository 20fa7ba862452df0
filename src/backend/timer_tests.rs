//! The differential test of timers: heap, RocksDB with each place that it can have them in, and a plain model in lock
//! step over random sequences of operations.
//!
//! The sequences go on from each other, so that key groups come to have many timers, far more than the smallest cache;
//! flushes, and restarts from what was saved, come among the operations.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;

use super::tests::{GROUPS, TestKey, TestNamespace, Window};
use super::{HeapBackend, OpenMode, Prefill, RocksDbBackend, SharedMemory};
use crate::state::{
    Codec, Digest, KeyGroups, KeyedStateBackend, Namespace, StateTtls, StringKey, TextNamespace, TimeDomain, Timer,
    TimerService, entry_hash,
};
use crate::workload::Options;

const SEQUENCES: u32 = 300;
const CLOCKS: [TimeDomain; 2] = [TimeDomain::EventTime, TimeDomain::ProcessingTime];

/// A backend that is tested.
trait Subject<K, N> {
    fn register(&mut self, key: Option<&K>, domain: TimeDomain, namespace: &N, time_ms: i64);
    fn delete(&mut self, key: &K, domain: TimeDomain, namespace: &N, time_ms: i64);
    fn take(&mut self, domain: TimeDomain, until_ms: i64) -> Option<Timer<K, N>>;
    fn flush(&mut self);
    /// Saves everything and goes on with a backend that reads it back.
    fn restart(&mut self);
    fn digest(&mut self) -> Digest;
}

struct Side<B, N> {
    /// None during a restart.
    backend: Option<B>,
    timers: TimerService<N>,
    open: Box<dyn Fn(&Path) -> B>,
    flush: fn(&mut B),
    folder: TempDir,
}

impl<B, N: Namespace> Side<B, N> {
    fn start<K: TestKey>(open: impl Fn(&Path) -> B + 'static, flush: fn(&mut B)) -> Box<dyn Subject<K, N>>
    where
        B: Prefill<K> + 'static,
    {
        let folder = crate::backend::test_folder();
        let mut backend = open(folder.path());
        let timers = backend.timer_service("t").unwrap();
        Box::new(Self { backend: Some(backend), timers, open: Box::new(open), flush, folder })
    }

    fn backend(&mut self) -> &mut B {
        self.backend.as_mut().unwrap()
    }
}

impl<K: TestKey, N: Namespace, B: Prefill<K>> Subject<K, N> for Side<B, N> {
    fn register(&mut self, key: Option<&K>, domain: TimeDomain, namespace: &N, time_ms: i64) {
        let timers = self.timers;
        key.into_iter().for_each(|key| self.backend().set_current_key(key));
        self.backend().register_timer(timers, domain, namespace, time_ms).unwrap();
    }
    fn delete(&mut self, key: &K, domain: TimeDomain, namespace: &N, time_ms: i64) {
        let timers = self.timers;
        self.backend().set_current_key(key);
        self.backend().delete_timer(timers, domain, namespace, time_ms).unwrap();
    }
    fn take(&mut self, domain: TimeDomain, until_ms: i64) -> Option<Timer<K, N>> {
        let timers = self.timers;
        self.backend().take_timer(timers, domain, until_ms).unwrap()
    }
    fn flush(&mut self) {
        (self.flush)(self.backend.as_mut().unwrap());
    }
    fn restart(&mut self) {
        let next = crate::backend::test_folder();
        let saved = next.path().join("saved");
        self.backend().save_prefill(&saved).unwrap();
        drop(self.backend.take());
        let mut backend = (self.open)(&saved);
        self.timers = backend.timer_service("t").unwrap();
        backend.load_prefill(&saved).unwrap();
        (self.backend, self.folder) = (Some(backend), next);
    }
    fn digest(&mut self) -> Digest {
        self.backend().state_digest().unwrap()
    }
}

/// A database with options of timers, and little memory, so that there are table files.
fn rocksdb<K: TestKey>(settings: &[(&str, &str)]) -> impl Fn(&Path) -> RocksDbBackend<K> + use<K> {
    let mut options = Options::default();
    options.set("state.backend.rocksdb.memory.fixed-per-slot", "2mb").unwrap();
    options.set("state.backend.rocksdb.writebuffer.size", "64kb").unwrap();
    for (key, value) in settings {
        options.set(&format!("state.backend.rocksdb.{key}"), value).unwrap();
    }
    move |folder| {
        let memory = SharedMemory::new(&options).unwrap().map(Arc::new);
        RocksDbBackend::open(folder, &options, (GROUPS, 0), memory, OpenMode::default(), StateTtls::new()).unwrap()
    }
}

/// A timer as it is written, so that a set of them is in order of time.
fn written<K: TestKey, N: Namespace>(timer: &Timer<K, N>) -> Vec<u8> {
    let mut bytes = Vec::new();
    timer.encode(&mut bytes);
    bytes
}

struct Rig<K, N> {
    subjects: Vec<Box<dyn Subject<K, N>>>,
    /// The timers of both clocks.
    model: [BTreeSet<Vec<u8>>; 2],
}

#[derive(Debug, Clone)]
enum Step {
    Register {
        timer: (i64, u8, u8),
        domain: TimeDomain,
        time_ms: i64,
    },
    Delete {
        timer: (i64, u8, u8),
        domain: TimeDomain,
        time_ms: i64,
    },
    /// Many timers of one key, one for each of so many times.
    RegisterMany {
        timer: (i64, u8, u8),
        domain: TimeDomain,
        times: i64,
    },
    /// All up to a time; each of an odd time asks for a later one.
    TakeAll {
        domain: TimeDomain,
        until_ms: i64,
    },
    /// One of one of the backends; the others must have it too.
    TakeOne {
        domain: TimeDomain,
        until_ms: i64,
        of: usize,
    },
    Flush,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let domain = || prop_oneof![Just(CLOCKS[0]), Just(CLOCKS[1])];
    let timer = || (0_i64..3, 0_u8..4, 0_u8..3);
    let time = || prop_oneof![20 => -30_i64..70, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    let at = || (timer(), domain(), time());
    prop_oneof![
        200 => at().prop_map(|(timer, domain, time_ms)| Step::Register { timer, domain, time_ms }),
        60 => at().prop_map(|(timer, domain, time_ms)| Step::Delete { timer, domain, time_ms }),
        4 => (timer(), domain(), 1_i64..200)
            .prop_map(|(timer, domain, times)| Step::RegisterMany { timer, domain, times }),
        4 => (domain(), time()).prop_map(|(domain, until_ms)| Step::TakeAll { domain, until_ms }),
        40 => (domain(), time(), any::<usize>())
            .prop_map(|(domain, until_ms, of)| Step::TakeOne { domain, until_ms, of }),
        4 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ]
}

impl<K: TestKey, N: TestNamespace> Rig<K, N> {
    fn start() -> Self {
        let flush = |backend: &mut RocksDbBackend<K>| backend.flush().unwrap();
        let subjects = vec![
            Side::start(|_| HeapBackend::new(GROUPS, 0), |_| ()),
            Side::start(rocksdb(&[]), flush),
            Side::start(rocksdb(&[("timer-service.cache-size", "3"), ("write-batch-size", "300b")]), flush),
            Side::start(rocksdb(&[("timer-service.cache-size", "1")]), flush),
            Side::start(rocksdb(&[("timer-service.factory", "HEAP")]), flush),
        ];
        Self { subjects, model: [BTreeSet::new(), BTreeSet::new()] }
    }

    fn register(&mut self, key: &K, domain: TimeDomain, namespace: &N, time_ms: i64) {
        self.subjects.iter_mut().for_each(|subject| subject.register(Some(key), domain, namespace, time_ms));
        let timer = Timer { time_ms, key: key.clone(), namespace: namespace.clone() };
        self.model[domain as usize].insert(written(&timer));
    }

    fn apply(&mut self, step: &Step) {
        let of = |(sequence, key, namespace): (i64, u8, u8)| (K::make(sequence, key), N::make(namespace));
        match *step {
            Step::Register { timer, domain, time_ms } => {
                let (key, namespace) = of(timer);
                self.register(&key, domain, &namespace, time_ms);
            }
            Step::RegisterMany { timer, domain, times } => {
                let (key, namespace) = of(timer);
                (0..times).for_each(|time| self.register(&key, domain, &namespace, time * 7 % 400));
            }
            Step::Delete { timer, domain, time_ms } => {
                let (key, namespace) = of(timer);
                self.subjects.iter_mut().for_each(|subject| subject.delete(&key, domain, &namespace, time_ms));
                self.model[domain as usize].remove(&written(&Timer { time_ms, key, namespace }));
            }
            Step::TakeAll { domain, until_ms } => self.take_all(domain, until_ms),
            Step::TakeOne { domain, until_ms, of } => self.take_one(domain, until_ms, of),
            Step::Flush => self.subjects.iter_mut().for_each(|subject| subject.flush()),
            Step::Restart => self.subjects.iter_mut().for_each(|subject| subject.restart()),
        }
    }

    /// The time of the next timer that is due.
    fn due(&self, domain: TimeDomain, until_ms: i64) -> Option<i64> {
        let time_ms = Timer::<K, N>::decode(&mut self.model[domain as usize].first()?.as_slice()).unwrap().time_ms;
        (time_ms <= until_ms).then_some(time_ms)
    }

    fn take_one(&mut self, domain: TimeDomain, until_ms: i64, of: usize) {
        let expected = self.due(domain, until_ms);
        let of = of % self.subjects.len();
        let taken = self.subjects[of].take(domain, until_ms);
        assert_eq!(taken.as_ref().map(|timer| timer.time_ms), expected);
        let Some(timer) = taken else { return };
        assert!(self.model[domain as usize].remove(&written(&timer)));
        for (other, subject) in self.subjects.iter_mut().enumerate() {
            if other != of {
                subject.delete(&timer.key, domain, &timer.namespace, timer.time_ms);
            }
        }
    }

    /// What one backend fires up to a time. The callback of an odd time asks for a timer that is not due.
    fn fired(subject: &mut dyn Subject<K, N>, domain: TimeDomain, until_ms: i64) -> Vec<Vec<u8>> {
        let mut fired = Vec::new();
        while let Some(timer) = subject.take(domain, until_ms) {
            if timer.time_ms % 2 == 1 && until_ms < 100 {
                subject.register(None, domain, &timer.namespace, timer.time_ms + 200);
            }
            fired.push(written(&timer));
        }
        assert!(fired.is_sorted_by_key(|timer| &timer[..8]), "in order of time");
        fired.sort();
        fired
    }

    fn take_all(&mut self, domain: TimeDomain, until_ms: i64) {
        let mut expected = Vec::new();
        while self.due(domain, until_ms).is_some() {
            let bytes = self.model[domain as usize].pop_first().unwrap();
            let mut timer = Timer::<K, N>::decode(&mut bytes.as_slice()).unwrap();
            expected.push(bytes);
            if timer.time_ms % 2 == 1 && until_ms < 100 {
                timer.time_ms += 200;
                self.model[domain as usize].insert(written(&timer));
            }
        }
        for subject in &mut self.subjects {
            assert_eq!(Self::fired(subject.as_mut(), domain, until_ms), expected);
        }
    }

    fn compare(&mut self) {
        let mut expected = Digest::default();
        let names = ["_timer_state/event_t", "_timer_state/processing_t"];
        for (name, timers) in names.into_iter().zip(&self.model) {
            for timer in timers {
                let key = Timer::<K, N>::decode(&mut timer.as_slice()).unwrap().key;
                let stored = [&[GROUPS.group_of(key.hash_code()) as u8], timer.as_slice()].concat();
                expected.add(entry_hash(name, &stored, xxhash_rust::xxh3::xxh3_64(b"")));
            }
        }
        for subject in &mut self.subjects {
            assert_eq!(subject.digest(), expected);
        }
    }
}

fn lock_step<K: TestKey, N: TestNamespace>() {
    let rig = std::cell::RefCell::new((Rig::<K, N>::start(), 0));
    let config = Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let tested = runner.run(&vec(step(), 1..80), |steps| {
        let (rig, sequence) = &mut *rig.borrow_mut();
        steps.into_iter().for_each(|step| rig.apply(&step));
        *sequence += 1;
        if *sequence % 10 == 0 {
            rig.compare();
        }
        Ok(())
    });
    tested.unwrap();
    let (rig, _) = &mut *rig.borrow_mut();
    assert!(rig.model.iter().all(|timers| timers.len() > 100), "the sequences leave timers");
    rig.compare();
    CLOCKS.into_iter().for_each(|domain| rig.take_all(domain, i64::MAX));
    rig.compare();
}

#[test]
fn timers_in_lock_step() {
    lock_step::<i64, Window>();
}

#[test]
fn timers_of_variable_length_in_lock_step() {
    lock_step::<StringKey, TextNamespace>();
}

/// Subtasks of another parallelism take over the timers of their key groups.
#[test]
fn timers_are_restored_into_three_subtasks() {
    let mut whole = HeapBackend::<i64>::new(GROUPS, 0);
    let timers = whole.timer_service::<Window>("t").unwrap();
    let mut expected = BTreeSet::new();
    for number in 0..2_000 {
        let timer = Timer { time_ms: number % 300 - 100, key: number, namespace: Window::make(number as u8 % 3) };
        whole.set_current_key(&timer.key);
        whole.register_timer(timers, TimeDomain::EventTime, &timer.namespace, timer.time_ms).unwrap();
        expected.insert(written(&timer));
    }
    for compressed in [false, true] {
        let mut bytes = Vec::new();
        let info = whole.snapshot(compressed).unwrap().write(&mut bytes).unwrap();
        let (mut digest, mut restored) = (Digest::default(), BTreeSet::new());
        for subtask in 0..3 {
            let mut part = HeapBackend::<i64>::new(KeyGroups { parallelism: 3, ..GROUPS }, subtask);
            let timers = part.timer_service::<Window>("t").unwrap();
            part.restore(&mut Cursor::new(&bytes), &info).unwrap();
            digest.merge(part.state_digest().unwrap());
            let before = restored.len();
            while let Some(timer) = part.take_timer(timers, TimeDomain::EventTime, i64::MAX).unwrap() {
                assert!(restored.insert(written(&timer)));
            }
            assert!(restored.len() > before + 500);
        }
        assert_eq!(digest, whole.state_digest().unwrap());
        assert_eq!(restored, expected);
    }
}
