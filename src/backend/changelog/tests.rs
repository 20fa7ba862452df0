//! The changelog backend against a heap backend without one: all kinds of state, with and without a TTL, and timers go on
//! through a row of restores at other parallelisms, with and without materializations between them.

use std::path::Path;

use tempfile::TempDir;

use super::log::Operation;
use super::replay::Replayer;
use super::*;
use crate::backend::tests::{TestNamespace, Window};
use crate::backend::{
    ChangelogBackend, FetchedFiles, HeapBackend, OldState, OpenMode, RocksDbBackend, SnapshotRequest, Snapshots,
    TtlBackend, choose_base, fetch_files,
};
use crate::checkpoint::{
    JobIdentity, KeyedHandle, Metadata, OperatorHandle, Output, Position, SHARED_FOLDER, Scope, SnapshotTarget,
    StoredCheckpoint, SubtaskHandle, Written,
};
use crate::operator::{Average, Sum};
use crate::state::{CleanupStrategies, Payload, StateTtl, StateTtls, StateVisibility, UpdateType, VoidNamespace, mix};
use crate::workload::{Now, Options};

const PARALLELISMS: [u16; 6] = [1, 2, 2, 4, 3, 1];
const OPERATIONS: u64 = 2_000;
const KEYS: u64 = 200;
const TTL_MS: i64 = 3_000;

/// One state of each kind, some with a TTL.
#[derive(Clone, Copy)]
struct States {
    value: ValueState<Window, i64>,
    list: ListState<Window, Payload>,
    map: MapState<Window, String, i64>,
    reducing: ReducingState<Window, Sum>,
    aggregating: AggregatingState<Window, Average>,
    timed_value: ValueState<VoidNamespace, i64>,
    timed_list: ListState<VoidNamespace, i64>,
    timed_map: MapState<VoidNamespace, i64, i64>,
    timed_sum: ReducingState<Window, Sum>,
    timers: TimerService<Window>,
}

impl States {
    fn register(backend: &mut impl KeyedStateBackend<i64>) -> Self {
        Self {
            value: backend.value_state("value").unwrap(),
            timers: backend.timer_service("timers").unwrap(),
            list: backend.list_state("list").unwrap(),
            map: backend.map_state("map").unwrap(),
            reducing: backend.reducing_state("reducing").unwrap(),
            aggregating: backend.aggregating_state("aggregating").unwrap(),
            timed_value: backend.value_state("timed-value").unwrap(),
            timed_list: backend.list_state("timed-list").unwrap(),
            timed_map: backend.map_state("timed-map").unwrap(),
            timed_sum: backend.reducing_state("timed-sum").unwrap(),
        }
    }

    /// One write, or read that writes, of a random kind.
    fn change(self, backend: &mut impl KeyedStateBackend<i64>, key: i64, draw: u64) {
        let (value, window) = ((draw >> 8) as i64 % 1_000, Window::make((draw >> 20) as u8 % 3));
        let others = [0, 1, 2].map(Window::make).into_iter().filter(|other| *other != window).collect::<Vec<_>>();
        let domain = if draw & 16 == 0 { TimeDomain::EventTime } else { TimeDomain::ProcessingTime };
        let none = VoidNamespace;
        backend.set_current_key(&key);
        let changed = match draw % 27 {
            0 | 1 => backend.update(self.value, &window, value),
            2 => backend.value_for_update(self.value, &window).and_then(|_| backend.update(self.value, &window, 7)),
            3 => backend.clear_value(self.value, &window),
            4 => backend.list_add(self.list, &window, Payload(vec![draw as u8; value as usize % 9].into())),
            5 => backend.list_update(self.list, &window, vec![Payload([1, 2].into()), Payload([b','].into())]),
            6 => backend.clear_list(self.list, &window),
            7 => backend.merge_list(self.list, &window, &others),
            8 | 9 => backend.map_put(self.map, &window, format!("k{}", value % 7), value),
            10 => backend.map_remove(self.map, &window, &format!("k{}", value % 7)),
            11 => backend.clear_map(self.map, &window),
            12 => backend.reducing_add(self.reducing, &window, value),
            13 => backend.merge_reducing(self.reducing, &window, &others),
            14 => backend.clear_reducing(self.reducing, &window),
            15 => backend.aggregating_add(self.aggregating, &window, value),
            16 => backend.merge_aggregating(self.aggregating, &window, &others),
            17 => backend.clear_aggregating(self.aggregating, &window),
            18 => backend.update(self.timed_value, &none, value),
            19 => backend.value(self.timed_value, &none).map(|_| ()),
            20 => backend.list_add(self.timed_list, &none, value),
            21 => backend.list_scan(self.timed_list, &none, |_| ()),
            22 => backend.map_put(self.timed_map, &none, value % 5, value),
            23 => backend.map_scan(self.timed_map, &none, |_, _| ()),
            24 => backend
                .reducing_add(self.timed_sum, &window, value)
                .and_then(|()| backend.merge_reducing(self.timed_sum, &window, &others)),
            25 => backend.register_timer(self.timers, domain, &window, value),
            _ => backend.delete_timer(self.timers, domain, &window, value),
        };
        changed.unwrap();
    }
}

fn ttls() -> StateTtls {
    let ttl = |update_type| StateTtl {
        ttl_ms: TTL_MS,
        update_type,
        visibility: StateVisibility::NeverReturnExpired,
        cleanup: CleanupStrategies::default(),
    };
    let states = [
        ("timed-value", UpdateType::OnReadAndWrite),
        ("timed-list", UpdateType::OnReadAndWrite),
        ("timed-map", UpdateType::OnCreateAndWrite),
        ("timed-sum", UpdateType::OnCreateAndWrite),
    ];
    states.map(|(name, update_type)| (name.to_owned(), ttl(update_type))).into()
}

/// A backend that can be opened on the files of an old one.
trait Opened: Snapshots<i64> + ExpiringState<i64> + 'static {
    fn open(folder: &Path, place: (KeyGroups, u16)) -> Self;
}
impl Opened for HeapBackend<i64> {
    fn open(_: &Path, (groups, subtask): (KeyGroups, u16)) -> Self {
        Self::new(groups, subtask).with_ttls(ttls())
    }
}
impl Opened for RocksDbBackend<i64> {
    fn open(folder: &Path, place: (KeyGroups, u16)) -> Self {
        let mut options = Options::default();
        options.set("state.backend.rocksdb.memory.managed", "false").unwrap();
        options.set("state.backend.rocksdb.writebuffer.size", "64kb").unwrap();
        RocksDbBackend::open(folder, &options, place, None, OpenMode::default(), ttls()).unwrap()
    }
}

type Stack<B> = TtlBackend<ChangelogBackend<B>>;

/// The subtasks of a job.
struct Job<B> {
    groups: KeyGroups,
    subtasks: Vec<(Stack<B>, States)>,
    folder: TempDir,
    storage: CheckpointStorage,
    /// How often it was restored.
    generation: u64,
    in_memory: bool,
    now: Now,
}

impl<B: Opened> Job<B> {
    fn start(in_memory: bool) -> Self {
        let folder = crate::backend::test_folder();
        let storage = CheckpointStorage::open(&folder.path().join("job").to_string_lossy(), None).unwrap();
        let groups = KeyGroups { max_parallelism: 128, parallelism: PARALLELISMS[0] };
        let mut job = Self { groups, subtasks: Vec::new(), folder, storage, generation: 0, in_memory, now: Now::START };
        job.subtasks = vec![job.opened(0, None)];
        job
    }

    fn opened(&self, subtask: u16, checkpoint: Option<&StoredCheckpoint>) -> (Stack<B>, States) {
        let folder = self.folder.path().join(format!("run-{}-{subtask}", self.generation));
        let own = self.groups.range_of(subtask);
        let overlaps = |groups: &std::ops::Range<u16>| groups.start < own.end && own.start < groups.end;
        let handles = checkpoint.iter().flat_map(|checkpoint| &checkpoint.metadata.subtasks);
        let handles: Vec<_> =
            handles.map(|old| &old.operators[0].keyed).filter(|handle| overlaps(handle.key_groups())).collect();
        let mut files = FetchedFiles::default();
        for (handle, number) in handles.iter().zip(0..) {
            let Some(KeyedHandle::RocksDb { files: names, key_groups, .. }) = handle.base() else { continue };
            let beside = folder.with_extension(format!("from-{number}"));
            fetch_files(checkpoint.unwrap(), names, &beside, 1).unwrap();
            files.others.push(OldState { folder: beside, key_groups: key_groups.clone() });
        }
        if let Some(base) = choose_base(&files.others, &own, 0.0) {
            let base = files.others.remove(base);
            std::fs::rename(&base.folder, &folder).unwrap();
            files.opened.push(OldState { folder: folder.clone(), ..base });
        }
        let inner = B::open(&folder, (self.groups, subtask));
        let mut backend = TtlBackend::new(ChangelogBackend::new(inner, self.groups, subtask));
        let states = States::register(&mut backend);
        if let Some(checkpoint) = checkpoint {
            backend.inner.restore(checkpoint, &handles, &files).unwrap();
        }
        backend.set_current_time(self.now.processing_ms);
        let shared = self.storage.child(SHARED_FOLDER);
        let prefix = format!("{}-{subtask}-", self.generation);
        let storage = ChangelogStorage::new(shared, prefix, self.in_memory, (1_000, 4_000));
        let plan = MaterializePlan {
            every: Some(Duration::ZERO),
            clock: CheckpointClock::Real,
            max_failures: 0,
            has_state: checkpoint.is_some(),
            kind: SnapshotKind::IncrementalCheckpoint,
            compressed: subtask == 1,
            inline_threshold: 500,
            transfer_threads: 1,
            scratch: self.folder.path().join("scratch"),
        };
        std::fs::create_dir_all(&plan.scratch).unwrap();
        backend.inner.begin_log::<i64>(storage, plan, self.now).unwrap();
        (backend, states)
    }

    fn change(&mut self, key: i64, draw: u64) {
        let owner = self.groups.subtask_of(self.groups.group_of(key.hash_code()));
        let (backend, states) = &mut self.subtasks[usize::from(owner)];
        backend.set_current_time(self.now.processing_ms);
        states.change(backend, key, draw);
    }

    fn end_round(&mut self) {
        let now = self.now;
        for (backend, _) in &mut self.subtasks {
            backend.inner.end_round::<i64>(now).unwrap();
        }
    }

    /// Takes a checkpoint; what it holds of each subtask.
    fn checkpoint(&mut self, id: u64) -> (StoredCheckpoint, Written) {
        let (folder, written) = (self.storage.child(&format!("chk-{id}")), Written::default());
        let scratch = self.folder.path().join("scratch");
        let mut subtasks = Vec::new();
        for ((backend, _), subtask) in self.subtasks.iter_mut().zip(0..) {
            let request = SnapshotRequest {
                id,
                kind: SnapshotKind::IncrementalCheckpoint,
                compressed: false,
                confirmed: None,
                scratch: &scratch,
            };
            let target = SnapshotTarget {
                exclusive: &folder,
                shared: &self.storage.child(SHARED_FOLDER),
                own: Scope::Exclusive,
                prefix: &format!("{id}-{subtask}-"),
                inline_threshold: 500,
                transfer_threads: 1,
                written: &written,
            };
            let keyed = backend.inner.begin_snapshot(&request).unwrap().write(&target).unwrap();
            let output = Output { emitted: Digest::default(), late_events: 0, now: self.now, latest: Vec::new() };
            subtasks.push(SubtaskHandle { operators: vec![OperatorHandle { keyed, operator_state: None, output }] });
        }
        let metadata = Metadata {
            id,
            kind: SnapshotKind::IncrementalCheckpoint,
            written_by: "a test".to_owned(),
            backend: "any".to_owned(),
            job: JobIdentity { key_type: "long".to_owned(), max_parallelism: 128, sections: [].into() },
            stream_seed: 1,
            position: Position { next_block: 0, phase: 0, phase_events: 0, events: 0, now: self.now },
            state_digest: None,
            subtasks,
        };
        metadata.save(&folder).unwrap();
        (StoredCheckpoint::open_in(&self.storage, &format!("chk-{id}")).unwrap(), written)
    }

    /// Goes on from a checkpoint, at another parallelism.
    fn restart(&mut self, parallelism: u16) {
        self.generation += 1;
        let (checkpoint, _) = self.checkpoint(self.generation);
        self.subtasks.clear();
        self.groups.parallelism = parallelism;
        self.subtasks = (0..parallelism).map(|subtask| self.opened(subtask, Some(&checkpoint))).collect();
    }

    fn digest(&mut self) -> Digest {
        let mut all = Digest::default();
        for (backend, _) in &mut self.subtasks {
            backend.set_current_time(self.now.processing_ms);
            all.merge(backend.state_digest().unwrap());
        }
        all
    }
}

fn goes_on<B: Opened>(in_memory: bool) {
    let mut job = Job::<B>::start(in_memory);
    let inner = HeapBackend::new(KeyGroups { max_parallelism: 128, parallelism: 1 }, 0).with_ttls(ttls());
    let mut reference = TtlBackend::new(inner);
    let states = States::register(&mut reference);
    let mut draws = 0..;
    for parallelism in PARALLELISMS {
        job.restart(parallelism);
        assert_eq!(job.digest(), reference.state_digest().unwrap(), "restored at {parallelism}");
        for draw in draws.by_ref().take(OPERATIONS as usize) {
            job.now.processing_ms = draw as i64;
            reference.set_current_time(draw as i64);
            let (random, key) = (mix(7, draw), mix(8, draw) % KEYS);
            job.change(key as i64, random);
            states.change(&mut reference, key as i64, random);
            // Materializations begin in the first half; most are complete, and named, before the next restart.
            if draw % 300 == 0 && draw % OPERATIONS < OPERATIONS / 2 {
                job.end_round();
                drop(job.checkpoint(1_000 + draw));
            }
        }
        let (due, domain) = (200 + i64::from(parallelism) * 100, TimeDomain::EventTime);
        let mut expected = Vec::new();
        while let Some(timer) = reference.take_timer(states.timers, domain, due).unwrap() {
            reference.update(states.value, &timer.namespace, timer.time_ms).unwrap();
            expected.push((timer.time_ms, timer.key, timer.namespace));
        }
        let mut fired = Vec::new();
        for (backend, states) in &mut job.subtasks {
            while let Some(timer) = backend.take_timer(states.timers, domain, due).unwrap() {
                backend.update(states.value, &timer.namespace, timer.time_ms).unwrap();
                fired.push((timer.time_ms, timer.key, timer.namespace));
            }
        }
        expected.sort_unstable();
        fired.sort_unstable();
        assert_eq!(fired, expected);
        assert!(!fired.is_empty());
        assert_eq!(job.digest(), reference.state_digest().unwrap(), "at {parallelism}");
    }
    job.restart(2);
    assert_eq!(job.digest(), reference.state_digest().unwrap());
    for (mut backend, _) in std::mem::take(&mut job.subtasks) {
        let log = backend.inner.end_log().unwrap().unwrap();
        assert!(log.materializations.iter().all(|one| one.failure.is_none()));
        assert!(!log.materializations.is_empty());
    }
}

#[test]
fn heap_state_goes_on_from_its_log_at_every_parallelism() {
    goes_on::<HeapBackend<i64>>(false);
    goes_on::<HeapBackend<i64>>(true);
}

#[test]
fn rocksdb_state_goes_on_from_its_log_at_every_parallelism() {
    goes_on::<RocksDbBackend<i64>>(false);
}

/// A job with one value, whose log nothing cuts.
fn one_value() -> (Job<HeapBackend<i64>>, ValueState<Window, i64>) {
    let mut job = Job::<HeapBackend<i64>>::start(true);
    let value = job.subtasks[0].1.value;
    for key in [5, 6, 5] {
        job.subtasks[0].0.set_current_key(&key);
        job.subtasks[0].0.update(value, &Window::make(3), 0x0102_0304).unwrap();
    }
    (job, value)
}

fn log_of(checkpoint: &StoredCheckpoint) -> Vec<u8> {
    let keyed = &checkpoint.metadata.subtasks[0].operators[0].keyed;
    let KeyedHandle::Changelog { base: None, segments, .. } = keyed else { panic!("{keyed:?}") };
    assert_eq!(segments.len(), 1);
    checkpoint.read(&segments[0]).unwrap()
}

/// The bytes of a log, put together by hand from the layout of `StateChangeFormat` and `KvStateChangeLogger`.
#[test]
fn a_log_has_the_layout_of_flink() {
    let (mut job, _) = one_value();
    let (checkpoint, written) = job.checkpoint(1);
    let log = log_of(&checkpoint);
    let mut meta = Vec::new();
    StateMeta::value::<Window, i64>("value").write(&mut meta);
    let group = |key: i64| i32::from(job.groups.group_of(key.hash_code())).to_be_bytes().to_vec();
    let change = |key: i64| {
        let mut bytes = vec![0, 0, 0, 27, Operation::Set as u8, 0, 0];
        bytes.extend(key.to_be_bytes());
        bytes.extend(2_i64.to_be_bytes());
        bytes.extend(0x0102_0304_i64.to_be_bytes());
        bytes
    };
    assert!(group(5) > group(6), "groups come in order");
    let mut expected = vec![0, 0, 0, 0, 3, 0, 0, 0, 1, 255, 255, 255, 255];
    expected.extend((meta.len() as i32 + 3).to_be_bytes());
    expected.extend([Operation::Metadata as u8, 0, 0]);
    expected.extend(&meta);
    expected.extend([&[0, 0, 0, 1][..], &group(6), &change(6)].concat());
    expected.extend([&[0, 0, 0, 2][..], &group(5), &change(5), &change(5)].concat());
    assert_eq!(log, expected);
    assert_eq!(written.bytes.load(std::sync::atomic::Ordering::Relaxed), expected.len() as u64);
    // A checkpoint with no change since has nothing new, but what is in its metadata.
    let (again, _) = job.checkpoint(2);
    assert_eq!(log_of(&again), expected);
}

/// Damage is met by checksums first; what reads a log takes no harm from any bytes.
#[test]
fn no_bytes_of_a_log_bring_the_reader_down() {
    let (mut job, _) = one_value();
    let log = log_of(&job.checkpoint(1).0);
    let mut refused = 0;
    for round in 0..5_000_u64 {
        let mut bytes = log.clone();
        let at = mix(1, round) as usize % bytes.len();
        match round % 3 {
            0 => bytes[at] ^= 1 << (mix(2, round) % 8),
            1 => bytes.truncate(at),
            _ => bytes[at] = mix(3, round) as u8,
        }
        let backend = &mut job.subtasks[0].0.inner;
        let mut replayer = Replayer::new(&backend.states, backend.owned.range.clone());
        refused += u64::from(replayer.replay(&mut backend.inner, &bytes).is_err());
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn what_no_checkpoint_names_is_deleted() {
    let mut job = Job::<HeapBackend<i64>>::start(false);
    for draw in 0..500 {
        job.change((draw % KEYS) as i64, mix(7, draw));
    }
    let files = |job: &Job<HeapBackend<i64>>| job.storage.child(SHARED_FOLDER).list("").unwrap().len();
    let (checkpoint, written) = job.checkpoint(1);
    let named = files(&job);
    assert!(named > 1, "segments were uploaded ahead");
    assert_eq!(written.files.load(std::sync::atomic::Ordering::Relaxed), named as u64);
    for draw in 500..1_000 {
        job.change((draw % KEYS) as i64, mix(7, draw));
    }
    job.subtasks.clear();
    // What is on its way is deleted by the thread that carries it.
    for _ in 0..1_000 {
        if files(&job) == named {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(files(&job), named);
    assert!(checkpoint.metadata.streams().all(|stream| checkpoint.read(stream).is_ok()));
}
