//! From the choices of a workload to the types that run it. Above this file choices are data; below it they are types,
//! and nothing in the hot loop is dynamic.

#[cfg(feature = "rocksdb")]
use std::cell::RefCell;
#[cfg(feature = "rocksdb")]
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Observer;
use super::base::copy_prefill;
use super::drive::{OperatorSubtask, Subtask};
use super::subtasks::{RUN_PASS, Setup, run_subtasks};
use super::trial::{PrefillFrom, Report, TrialError, TrialSpec};
use crate::backend::{ExpiringState, HeapBackend, NullBackend, Observed, Prefill};
#[cfg(feature = "rocksdb")]
use crate::backend::{RocksDbBackend, SharedMemory};
use crate::measure::Probe;
use crate::operator::{
    AggregateOperator, Average, Counter, FirstRow, LastRow, ListBuffer, MapOperator, Max, MixOperator, Operator,
    ReduceOperator, Sum, Summary, ValueOfMap,
};
use crate::result::PrefillOrigin;
use crate::source::SourceKey;
use crate::state::{StateError, StateResult, StringKey};
use crate::workload::{
    AggregateFunction, BackendType, KeptRow, KeyType, Operator as OperatorSpec, ReduceFunction, Workload,
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
    let open = |pass: &str, subtask: u16, probe: Probe| {
        let folder = state_folder(spec, pass, subtask);
        std::fs::create_dir_all(&folder)
            .map_err(|error| StateError::Storage(format!("{}: {error}", folder.display())))?;
        #[cfg(feature = "rocksdb")]
        let memory = if spec.options.backend == BackendType::RocksDb { pools.of(spec, pass, subtask)? } else { None };
        #[cfg(not(feature = "rocksdb"))]
        let memory = None;
        open_subtask::<K>(spec, workload, &Place { subtask, folder: &folder, memory }, probe)
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
        linked &= copied.map_err(|error| TrialError::Folder(folder, error))?;
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
        let pool = SharedMemory::new(&spec.options)?.map(Arc::new);
        self.0.borrow_mut().insert(key, pool.clone());
        Ok(pool)
    }
}

/// Where a subtask's state goes.
#[cfg_attr(not(feature = "rocksdb"), expect(dead_code, reason = "without RocksDB state has no memory to share"))]
struct Place<'a> {
    subtask: u16,
    folder: &'a Path,
    memory: Option<Arc<SharedMemory>>,
}

/// Opens the backend of a subtask, and the operator on it.
fn open_subtask<K: SourceKey>(
    spec: &TrialSpec,
    workload: &Workload,
    place: &Place<'_>,
    probe: Probe,
) -> StateResult<Box<dyn Subtask<K>>> {
    let groups = workload.run.groups;
    match spec.options.backend {
        BackendType::Null => open_operator(NullBackend::default(), &workload.operator, probe),
        BackendType::HashMap => {
            let backend = HeapBackend::<K>::new(groups, place.subtask).with_ttls(workload.ttls.clone());
            open_operator(backend, &workload.operator, probe)
        }
        #[cfg(feature = "rocksdb")]
        BackendType::RocksDb => {
            let memory = place.memory.clone();
            let (place_in_job, ttls) = ((groups, place.subtask), workload.ttls.clone());
            let backend =
                RocksDbBackend::<K>::open(place.folder, &spec.options, place_in_job, memory, spec.counters, ttls)?;
            open_operator(backend, &workload.operator, probe)
        }
        #[cfg(not(feature = "rocksdb"))]
        BackendType::RocksDb => {
            Err(StateError::Storage(format!("{}: no RocksDB in this build", place.folder.display())))
        }
    }
}

fn open_operator<K: SourceKey, B: Prefill<K> + ExpiringState<K> + Observed + Send + 'static>(
    backend: B,
    operator: &OperatorSpec,
    probe: Probe,
) -> StateResult<Box<dyn Subtask<K>>> {
    match operator {
        OperatorSpec::Counter => open::<K, B, Counter>(backend, &(), probe),
        OperatorSpec::Reduce { function, emit } => match function {
            ReduceFunction::Sum => open::<K, B, ReduceOperator<Sum>>(backend, emit, probe),
            ReduceFunction::Max => open::<K, B, ReduceOperator<Max>>(backend, emit, probe),
        },
        OperatorSpec::Aggregate { function, emit } => match function {
            AggregateFunction::Average => open::<K, B, AggregateOperator<Average>>(backend, emit, probe),
            AggregateFunction::Summary => open::<K, B, AggregateOperator<Summary>>(backend, emit, probe),
        },
        OperatorSpec::ListBuffer { clear_every } => open::<K, B, ListBuffer>(backend, clear_every, probe),
        OperatorSpec::Map { entries } => open::<K, B, MapOperator>(backend, entries, probe),
        OperatorSpec::ValueOfMap { entries } => open::<K, B, ValueOfMap>(backend, entries, probe),
        OperatorSpec::Mix(mix) => open::<K, B, MixOperator>(backend, mix, probe),
        OperatorSpec::Deduplicate { keep } => match keep {
            KeptRow::First => open::<K, B, FirstRow>(backend, &(), probe),
            KeptRow::Last => open::<K, B, LastRow>(backend, &(), probe),
        },
    }
}

fn open<K: SourceKey, B: Prefill<K> + ExpiringState<K> + Observed + Send + 'static, O: Operator<K> + Send + 'static>(
    backend: B,
    spec: &O::Spec,
    probe: Probe,
) -> StateResult<Box<dyn Subtask<K>>> {
    Ok(Box::new(OperatorSubtask::<K, B, O>::open(backend, spec, probe)?))
}
