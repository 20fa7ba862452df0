//! From the choices of a workload to the types that run it. Above this file choices are data; below it they are types,
//! and nothing in the hot loop is dynamic.

#[cfg(feature = "rocksdb")]
use std::cell::RefCell;
#[cfg(feature = "rocksdb")]
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::Observer;
use super::base::copy_prefill;
use super::drive::{OperatorSubtask, Subtask};
use super::memory_limit::forget_files;
use super::pipeline::PipelineSubtask;
use super::restore::RestorePlan;
use super::subtasks::{RUN_PASS, Setup, run_subtasks};
use super::trial::{PrefillFrom, Report, TrialError, TrialSpec};
use crate::backend::{ExpiringState, HeapBackend, NullBackend, Observed, Prefill, Snapshots};
#[cfg(feature = "rocksdb")]
use crate::backend::{OpenMode, RocksDbBackend, SharedMemory};
use crate::measure::Probe;
use crate::operator::{
    AggregateOperator, Aggregated, Average, BroadcastRules, ChangelogJoin, Collector, Contents, ContinuousJoin,
    Counter, EventTime, FirstRow, IntervalJoin, Joined, LastRow, ListBuffer, Listed, MapOperator, Max, MixOperator,
    Operator, ProcessingTime, ReduceOperator, Reduced, RegularJoin, RunningTotal, SessionWindowOperator, SourceOffsets,
    Sum, Summary, TaskInfo, TemporalJoin, TopN, ValueOfMap, WindowOperator,
};
use crate::result::PrefillOrigin;
use crate::source::SourceKey;
use crate::state::{KeyGroups, StateError, StateResult, StateTtls, StringKey};
use crate::workload::{
    AggregateFunction, BackendType, KeptRow, KeyType, Operator as OperatorSpec, ReduceFunction, RowField, Step,
    WindowContents, WindowTime, Windows, Workload,
};

/// Runs one trial in this process; no report where it only made a prefill.
///
/// # Errors
/// The source or the store failed, or the user stopped it.
pub fn run_trial(spec: &TrialSpec, observer: &dyn Observer) -> Result<Option<Report>, TrialError> {
    let workload = Workload::new(&spec.workload, &spec.folder)?;
    match workload.keys.key_type {
        KeyType::Long => with_key::<i64>(spec, &workload, observer),
        KeyType::String { .. } => with_key::<StringKey>(spec, &workload, observer),
    }
}

fn with_key<K: SourceKey>(
    spec: &TrialSpec,
    workload: &Workload,
    observer: &dyn Observer,
) -> Result<Option<Report>, TrialError> {
    #[cfg(not(feature = "rocksdb"))]
    if spec.options.backend == BackendType::RocksDb {
        return Err(TrialError::NoRocksDb);
    }
    #[cfg(feature = "rocksdb")]
    let pools = Pools::default();
    let open = |pass: &str, subtask: u16, probe: &dyn Fn() -> Probe, restored: Option<&RestorePlan>| {
        let folder = state_folder(spec, pass, subtask);
        #[cfg(feature = "rocksdb")]
        let memory = if spec.options.backend == BackendType::RocksDb { pools.of(spec, pass, subtask)? } else { None };
        #[cfg(not(feature = "rocksdb"))]
        let memory = None;
        let open_first = |memory, next_key| {
            let job = Job { operator: &workload.operator, ttls: &workload.ttls, next_key };
            let place = Place { subtask, operator: 0, folder: folder.clone(), memory };
            open_subtask::<K>(spec, workload, &job, place, probe(), restored)
        };
        if workload.later.is_empty() {
            return open_first(memory, None);
        }
        let next_key = |place: usize| workload.later.get(place).map(|next| next.key);
        let open_later = |(step, place): (&Step, usize)| {
            let job = Job { operator: &step.operator, ttls: &step.ttls, next_key: next_key(place) };
            let folder = folder.join(format!("operator-{place}"));
            let place = Place { subtask, operator: place, folder, memory: memory.clone() };
            open_subtask::<i64>(spec, workload, &job, place, probe(), restored)
        };
        let later = workload.later.iter().zip(1..).map(open_later).collect::<Result<_, _>>()?;
        let pipeline = PipelineSubtask::new(open_first(memory, next_key(0))?, later, spec.options.shares_memory());
        Ok(Box::new(pipeline) as Box<dyn Subtask<K>>)
    };
    let prefill_by = copied_prefill(spec, workload)?;
    run_subtasks(&Setup { spec, workload, observer, open: &open, prefill_by })
}

/// The folder of a subtask's state in a pass over the events.
fn state_folder(spec: &TrialSpec, pass: &str, subtask: u16) -> PathBuf {
    spec.state_folder.join(format!("{pass}-{subtask}"))
}

/// Copies the saved prefill of every subtask to where its database is opened, if there is one; tells where the state
/// comes from.
fn copied_prefill(spec: &TrialSpec, workload: &Workload) -> Result<PrefillOrigin, TrialError> {
    let PrefillFrom::Copy(base) = &spec.prefill else { return Ok(PrefillOrigin::Own) };
    if spec.options.backend != BackendType::RocksDb {
        return Ok(PrefillOrigin::Restored);
    }
    let mut linked = true;
    for subtask in 0..workload.run.groups.parallelism {
        let folder = state_folder(spec, RUN_PASS, subtask);
        let copied = copy_prefill(&base.join(subtask.to_string()), &folder);
        linked &= copied.map_err(|error| TrialError::Folder(folder.clone(), error))?;
        if spec.memory_group.is_some() {
            // Pages of these files that others have read in would not count against the limit.
            forget_files(&folder).map_err(|error| TrialError::Folder(folder, error))?;
        }
    }
    Ok(if linked { PrefillOrigin::Linked } else { PrefillOrigin::Copied })
}

#[cfg(not(feature = "rocksdb"))]
type SharedMemory = std::convert::Infallible;

/// The pools of a pass over the events, made when a database first asks for them.
#[cfg(feature = "rocksdb")]
#[derive(Default)]
struct Pools(RefCell<HashMap<(String, u16), Pool>>);

/// A pool; none where memory is not shared.
#[cfg(feature = "rocksdb")]
type Pool = Option<Arc<SharedMemory>>;

#[cfg(feature = "rocksdb")]
impl Pools {
    /// The pool of a subtask's slot or TaskManager; none where memory is not shared.
    fn of(&self, spec: &TrialSpec, pass: &str, subtask: u16) -> StateResult<Option<Arc<SharedMemory>>> {
        let key = (pass.to_owned(), spec.options.pool_of(subtask));
        if let Some(pool) = self.0.borrow().get(&key) {
            return Ok(pool.clone());
        }
        // Only the run itself is measured, and only a companion may be slowed down.
        let is_watched = spec.counters && pass == RUN_PASS;
        let create = if is_watched { SharedMemory::watched } else { SharedMemory::new };
        let pool = create(&spec.options)?.map(Arc::new);
        self.0.borrow_mut().insert(key, pool.clone());
        Ok(pool)
    }
}

/// Where a subtask's state goes.
#[cfg_attr(not(feature = "rocksdb"), expect(dead_code, reason = "without RocksDB state has no memory to share"))]
struct Place {
    subtask: u16,
    /// The operator's place in a pipeline.
    operator: usize,
    folder: PathBuf,
    memory: Option<Arc<SharedMemory>>,
}

/// What a subtask of one operator does.
struct Job<'a> {
    operator: &'a OperatorSpec,
    ttls: &'a StateTtls,
    /// The key of the operator that its rows go to, where there is one.
    next_key: Option<RowField>,
}

/// What an operator is run in, beside its backend.
struct Harness {
    groups: KeyGroups,
    task: TaskInfo,
    probe: Probe,
    out: Collector,
}

/// What a backend must be able to do to be run.
trait Stateful<K: SourceKey>: Prefill<K> + ExpiringState<K> + Snapshots<K> + Observed + Send + 'static {}
impl<K: SourceKey, B: Prefill<K> + ExpiringState<K> + Snapshots<K> + Observed + Send + 'static> Stateful<K> for B {}

/// Opens the backend of a subtask, and the operator on it.
#[cfg_attr(
    not(feature = "rocksdb"),
    expect(
        clippy::needless_pass_by_value,
        unused_variables,
        reason = "RocksDB takes the memory, and files of a checkpoint"
    )
)]
fn open_subtask<K: SourceKey>(
    spec: &TrialSpec,
    workload: &Workload,
    job: &Job<'_>,
    place: Place,
    probe: Probe,
    restored: Option<&RestorePlan>,
) -> Result<Box<dyn Subtask<K>>, TrialError> {
    let groups = workload.run.groups;
    let task = TaskInfo { subtask: place.subtask, parallelism: groups.parallelism };
    let harness = Harness { groups, task, probe, out: Collector::forwarding(job.next_key) };
    let folder = &place.folder;
    std::fs::create_dir_all(folder).map_err(|error| StateError::Storage(format!("{}: {error}", folder.display())))?;
    let subtask = match spec.options.backend {
        BackendType::Null => open_on_any(NullBackend::default(), job, harness),
        BackendType::HashMap => {
            let backend = HeapBackend::<K>::new(groups, place.subtask).with_ttls(job.ttls.clone());
            open_operator(backend, job, harness)
        }
        #[cfg(feature = "rocksdb")]
        BackendType::RocksDb => {
            if let Some(plan) = restored {
                let at = (place.operator, place.subtask);
                plan.fetch(at, folder, (&spec.options, place.memory.as_deref()))?;
            }
            let mode = OpenMode { counts: spec.counters, direct_io: workload.run.direct_io };
            let (place_in_job, ttls) = ((groups, place.subtask), job.ttls.clone());
            let backend = RocksDbBackend::<K>::open(folder, &spec.options, place_in_job, place.memory, mode, ttls)?;
            open_operator(backend, job, harness)
        }
        #[cfg(not(feature = "rocksdb"))]
        BackendType::RocksDb => {
            Err(StateError::Storage(format!("{}: no RocksDB in this build", place.folder.display())))
        }
    };
    Ok(subtask?)
}

fn open_operator<K: SourceKey, B: Stateful<K>>(
    backend: B,
    job: &Job<'_>,
    harness: Harness,
) -> StateResult<Box<dyn Subtask<K>>> {
    match job.operator {
        OperatorSpec::Window { windows, contents } => match contents {
            WindowContents::Reduce(ReduceFunction::Sum) => {
                open_windows::<K, B, Reduced<Sum>>(backend, windows, harness)
            }
            WindowContents::Reduce(ReduceFunction::Max) => {
                open_windows::<K, B, Reduced<Max>>(backend, windows, harness)
            }
            WindowContents::Aggregate(AggregateFunction::Average) => {
                open_windows::<K, B, Aggregated<Average>>(backend, windows, harness)
            }
            WindowContents::Aggregate(AggregateFunction::Summary) => {
                open_windows::<K, B, Aggregated<Summary>>(backend, windows, harness)
            }
            WindowContents::List => open_windows::<K, B, Listed>(backend, windows, harness),
            WindowContents::Join { .. } => open_windows::<K, B, Joined>(backend, windows, harness),
        },
        OperatorSpec::ChangelogJoin => open::<K, B, ChangelogJoin>(backend, &(), harness),
        OperatorSpec::RunningTotal => open::<K, B, RunningTotal>(backend, &(), harness),
        OperatorSpec::Deduplicate { keep } => match keep {
            KeptRow::First => open::<K, B, FirstRow>(backend, &(), harness),
            KeptRow::Last => open::<K, B, LastRow>(backend, &(), harness),
        },
        OperatorSpec::RegularJoin { .. } => open::<K, B, RegularJoin>(backend, &(), harness),
        OperatorSpec::IntervalJoin { bounds, .. } => open::<K, B, IntervalJoin>(backend, bounds, harness),
        OperatorSpec::ContinuousJoin { finish_below, .. } => {
            open::<K, B, ContinuousJoin>(backend, finish_below, harness)
        }
        OperatorSpec::TemporalJoin { .. } => open::<K, B, TemporalJoin>(backend, &(), harness),
        OperatorSpec::BroadcastRules(rules) => open::<K, B, BroadcastRules>(backend, rules, harness),
        OperatorSpec::SourceOffsets(source) => open::<K, B, SourceOffsets>(backend, source, harness),
        OperatorSpec::TopN { n } => open::<K, B, TopN>(backend, n, harness),
        _ => open_on_any(backend, job, harness),
    }
}

/// The operators that make sense without state too, so that they run on the null backend: each copy of an operator for
/// another backend takes its time to compile.
fn open_on_any<K: SourceKey, B: Stateful<K>>(
    backend: B,
    job: &Job<'_>,
    harness: Harness,
) -> StateResult<Box<dyn Subtask<K>>> {
    match job.operator {
        OperatorSpec::Counter => open::<K, B, Counter>(backend, &(), harness),
        OperatorSpec::Reduce { function, emit } => match function {
            ReduceFunction::Sum => open::<K, B, ReduceOperator<Sum>>(backend, emit, harness),
            ReduceFunction::Max => open::<K, B, ReduceOperator<Max>>(backend, emit, harness),
        },
        OperatorSpec::Aggregate { function, emit } => match function {
            AggregateFunction::Average => open::<K, B, AggregateOperator<Average>>(backend, emit, harness),
            AggregateFunction::Summary => open::<K, B, AggregateOperator<Summary>>(backend, emit, harness),
        },
        OperatorSpec::ListBuffer { clear_every } => open::<K, B, ListBuffer>(backend, clear_every, harness),
        OperatorSpec::Map { entries } => open::<K, B, MapOperator>(backend, entries, harness),
        OperatorSpec::ValueOfMap { entries } => open::<K, B, ValueOfMap>(backend, entries, harness),
        OperatorSpec::Mix(mix) => open::<K, B, MixOperator>(backend, mix, harness),
        _ => Err(StateError::Storage("the null backend does not run this operator".to_owned())),
    }
}

fn open_windows<K: SourceKey, B: Stateful<K>, C: Contents>(
    backend: B,
    windows: &Windows,
    harness: Harness,
) -> StateResult<Box<dyn Subtask<K>>> {
    match windows {
        Windows::Sliding(spec, WindowTime::Event) => open::<K, B, WindowOperator<C, EventTime>>(backend, spec, harness),
        Windows::Sliding(spec, WindowTime::Processing) => {
            open::<K, B, WindowOperator<C, ProcessingTime>>(backend, spec, harness)
        }
        Windows::Session(spec) => open::<K, B, SessionWindowOperator<C>>(backend, spec, harness),
    }
}

fn open<K: SourceKey, B: Stateful<K>, O: Operator<K> + Send + 'static>(
    backend: B,
    spec: &O::Spec,
    harness: Harness,
) -> StateResult<Box<dyn Subtask<K>>> {
    let Harness { groups, task, probe, out } = harness;
    Ok(Box::new(OperatorSubtask::<K, B, O>::open((backend, groups), spec, task, probe, out)?))
}
