//! Rescaling against a heap backend that is never rescaled: all kinds of state and timers go on through a row of
//! parallelisms, with every way that RocksDB has to restore them.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::tests::{TestNamespace, Window};
use super::{HeapBackend, OldState, OpenMode, Prefill, RocksDbBackend, choose_base, import_families};
use crate::operator::{Average, Sum};
use crate::state::{
    AggregatingState, Digest, Key, KeyGroups, KeyedStateBackend, ListState, MapState, Payload, ReducingState,
    StateTtls, TimeDomain, TimerService, ValueState, VoidNamespace, mix,
};
use crate::workload::Options;

const PARALLELISMS: [u16; 5] = [1, 2, 4, 3, 1];
const OPERATIONS: u64 = 3_000;
const KEYS: u64 = 300;

/// One state of each kind.
#[derive(Clone, Copy)]
struct States {
    value: ValueState<Window, i64>,
    list: ListState<VoidNamespace, Payload>,
    map: MapState<Window, String, i64>,
    reducing: ReducingState<VoidNamespace, Sum>,
    aggregating: AggregatingState<VoidNamespace, Average>,
    timers: TimerService<Window>,
}

impl States {
    fn register(backend: &mut impl KeyedStateBackend<i64>) -> Self {
        Self {
            value: backend.value_state("value").unwrap(),
            list: backend.list_state("list").unwrap(),
            map: backend.map_state("map").unwrap(),
            reducing: backend.reducing_state("reducing").unwrap(),
            aggregating: backend.aggregating_state("aggregating").unwrap(),
            timers: backend.timer_service("timers").unwrap(),
        }
    }

    /// One write of a random kind.
    fn write(self, backend: &mut impl KeyedStateBackend<i64>, key: i64, draw: u64) {
        let (value, window) = ((draw >> 8) as i64 % 1_000, Window::make((draw >> 20) as u8 % 3));
        let domain = if draw & 16 == 0 { TimeDomain::EventTime } else { TimeDomain::ProcessingTime };
        backend.set_current_key(&key);
        let written = match draw % 12 {
            0 | 1 => backend.update(self.value, &window, value),
            2 => backend.clear_value(self.value, &window),
            3 | 4 => backend.list_add(self.list, &VoidNamespace, Payload(vec![draw as u8; value as usize % 9].into())),
            5 => backend.clear_list(self.list, &VoidNamespace),
            6 => backend.map_put(self.map, &window, format!("k{}", value % 7), value),
            7 => backend.map_remove(self.map, &window, &format!("k{}", value % 7)),
            8 => backend.reducing_add(self.reducing, &VoidNamespace, value),
            9 => backend.aggregating_add(self.aggregating, &VoidNamespace, value),
            10 => backend.register_timer(self.timers, domain, &window, value),
            _ => backend.delete_timer(self.timers, domain, &window, value),
        };
        written.unwrap();
    }

    /// Takes out all timers: in order of time.
    fn drain(self, backend: &mut impl KeyedStateBackend<i64>) -> Vec<(i64, i64, Window)> {
        let mut all = Vec::new();
        for domain in [TimeDomain::EventTime, TimeDomain::ProcessingTime] {
            let first = all.len();
            while let Some(timer) = backend.take_timer(self.timers, domain, i64::MAX).unwrap() {
                all.push((timer.time_ms, timer.key, timer.namespace));
            }
            assert!(all[first..].is_sorted_by_key(|(time_ms, ..)| *time_ms));
        }
        all
    }
}

/// The subtasks of a job on RocksDB.
struct Job {
    groups: KeyGroups,
    options: Options,
    subtasks: Vec<(RocksDbBackend<i64>, States)>,
    folder: TempDir,
    generation: u32,
    /// Old databases whose files were moved into new ones, and others, in mode `use-ingest-db-restore-mode`.
    imported: usize,
    not_imported: usize,
}

impl Job {
    fn start(max_parallelism: u16, settings: &[(&str, &str)]) -> Self {
        let mut options = Options::default();
        for (key, value) in settings {
            options.set(&format!("state.backend.rocksdb.{key}"), value).unwrap();
        }
        let groups = KeyGroups { max_parallelism, parallelism: PARALLELISMS[0] };
        let folder = crate::backend::test_folder();
        let mut job =
            Self { groups, options, subtasks: Vec::new(), folder, generation: 0, imported: 0, not_imported: 0 };
        job.subtasks = vec![job.open(&job.path("run", 0), 0)];
        job
    }

    fn path(&self, what: &str, subtask: u16) -> PathBuf {
        self.folder.path().join(format!("{what}-{}-{subtask}", self.generation))
    }

    fn open(&self, folder: &Path, subtask: u16) -> (RocksDbBackend<i64>, States) {
        let place = (self.groups, subtask);
        let mut backend =
            RocksDbBackend::open(folder, &self.options, place, None, OpenMode::default(), StateTtls::new()).unwrap();
        let states = States::register(&mut backend);
        (backend, states)
    }

    fn write(&mut self, key: i64, draw: u64) {
        let owner = self.groups.subtask_of(self.groups.group_of(key.hash_code()));
        let (backend, states) = &mut self.subtasks[usize::from(owner)];
        states.write(backend, key, draw);
    }

    fn rescale(&mut self, parallelism: u16) {
        let mut old = Vec::new();
        for ((mut backend, _), subtask) in std::mem::take(&mut self.subtasks).into_iter().zip(0..) {
            if (self.generation + u32::from(subtask)).is_multiple_of(2) {
                backend.compact().unwrap();
            }
            let folder = self.path("saved", subtask);
            backend.save_prefill(&folder).unwrap();
            old.push(OldState { folder, key_groups: self.groups.range_of(subtask) });
        }
        self.generation += 1;
        self.groups.parallelism = parallelism;
        self.subtasks = (0..parallelism).map(|subtask| self.restore(subtask, &old)).collect();
    }

    fn restore(&mut self, subtask: u16, old: &[OldState]) -> (RocksDbBackend<i64>, States) {
        let own = self.groups.range_of(subtask);
        let is_wanted = |state: &&OldState| state.key_groups.start < own.end && own.start < state.key_groups.end;
        let (folder, mut others) =
            (self.path("run", subtask), old.iter().filter(is_wanted).cloned().collect::<Vec<_>>());
        let mut opened = Vec::new();
        if self.options.use_ingest_db_restore_mode {
            for (state, number) in others.iter_mut().zip(0..) {
                let copy = self.path(&format!("copy-of-{number}"), subtask);
                copy_folder(&state.folder, &copy);
                state.folder = copy;
            }
            let taken = import_families(&folder, &others, self.groups.max_parallelism, (&self.options, None)).unwrap();
            opened.extend(taken.into_iter().rev().map(|position| others.remove(position)));
            self.imported += opened.len();
            self.not_imported += others.len();
        }
        if opened.is_empty() {
            let base = choose_base(&others, &own, self.options.restore_overlap_fraction_threshold.0);
            opened.extend(base.map(|position| others.remove(position)));
            opened.iter().for_each(|base| copy_folder(&base.folder, &folder));
        }
        let (mut backend, states) = self.open(&folder, subtask);
        backend.take_in(&others, &opened).unwrap();
        (backend, states)
    }

    fn digest(&mut self) -> Digest {
        let mut all = Digest::default();
        self.subtasks.iter_mut().for_each(|(backend, _)| all.merge(backend.state_digest().unwrap()));
        all
    }
}

/// Several subtasks may have the same base, and each changes its own.
fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (source, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if source.is_dir() {
            copy_folder(&source, &target);
        } else {
            std::fs::copy(&source, &target).unwrap();
        }
    }
}

fn rescales(max_parallelism: u16, settings: &[(&str, &str)]) -> Job {
    let mut job = Job::start(max_parallelism, settings);
    let mut reference = HeapBackend::new(KeyGroups { max_parallelism, parallelism: 1 }, 0);
    let states = States::register(&mut reference);
    let mut draws = 0..;
    for parallelism in PARALLELISMS {
        job.rescale(parallelism);
        assert_eq!(job.digest(), reference.state_digest().unwrap(), "at {parallelism}, {settings:?}");
        for draw in draws.by_ref().take(OPERATIONS as usize) {
            let (draw, key) = (mix(7, draw), mix(8, draw) % KEYS);
            job.write(key as i64, draw);
            states.write(&mut reference, key as i64, draw);
        }
        assert_eq!(job.digest(), reference.state_digest().unwrap(), "at {parallelism}, {settings:?}");
    }
    job.rescale(4);
    let mut fired: Vec<_> = job.subtasks.iter_mut().flat_map(|(backend, states)| states.drain(backend)).collect();
    let mut expected = states.drain(&mut reference);
    assert!(expected.len() > 100);
    fired.sort_unstable();
    expected.sort_unstable();
    assert_eq!(fired, expected);
    job
}

/// Small buffers and files, so that there are several files on several levels.
const SMALL: [(&str, &str); 3] =
    [("memory.managed", "false"), ("writebuffer.size", "64kb"), ("compaction.level.target-file-size-base", "4kb")];

fn rescales_with(settings: &[(&str, &str)]) -> [Job; 2] {
    [128, 300].map(|max_parallelism| rescales(max_parallelism, &[&SMALL, settings].concat()))
}

#[test]
fn state_goes_on_at_every_parallelism() {
    rescales_with(&[]);
}

#[test]
fn whole_files_may_be_deleted_first() {
    rescales_with(&[("rescaling.use-delete-files-in-range", "true")]);
}

#[test]
fn a_database_with_a_small_part_is_not_the_base() {
    rescales_with(&[("restore-overlap-fraction-threshold", "0.6")]);
}

#[test]
fn without_a_base_all_is_copied() {
    rescales_with(&[("restore-overlap-fraction-threshold", "1")]);
}

#[test]
fn timers_on_the_heap_go_along() {
    rescales_with(&[("timer-service.factory", "HEAP")]);
}

#[test]
fn what_is_clipped_may_be_compacted_away_meanwhile() {
    rescales_with(&[("incremental-restore-async-compact-after-rescale", "true")]);
}

#[test]
fn files_of_all_old_databases_may_be_moved_into_the_new_one() {
    for factory in ["ROCKSDB", "HEAP"] {
        let settings = [("use-ingest-db-restore-mode", "true"), ("timer-service.factory", factory)];
        for job in rescales_with(&settings) {
            // Those that were compacted since they were cut down have no foreign keys.
            assert!(job.imported > 5 && job.not_imported > 2, "{}, {}", job.imported, job.not_imported);
        }
    }
}
