//! From the choices of a workload to the types that run it. Above this file choices are data; below it they are types,
//! and nothing in the hot loop is dynamic.

use std::path::Path;

use super::Observer;
use super::drive::{OperatorSubtask, Subtask};
use super::subtasks::{Setup, run_subtasks};
use super::trial::{Report, TrialError, TrialSpec};
use crate::backend::{HeapBackend, NullBackend};
use crate::measure::Probe;
use crate::operator::{
    AggregateOperator, Average, Counter, ListBuffer, MapOperator, Max, MixOperator, Operator, ReduceOperator, Sum,
    Summary, ValueOfMap,
};
use crate::source::SourceKey;
use crate::state::{KeyedStateBackend, StateError, StateResult, StringKey};
use crate::workload::{AggregateFunction, BackendType, KeyType, Operator as OperatorSpec, ReduceFunction, Workload};

/// Runs one trial in this process.
///
/// # Errors
/// The source or the store failed, or the user stopped it.
pub fn run_trial(spec: &TrialSpec, observer: &dyn Observer) -> Result<Report, TrialError> {
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
) -> Result<Report, TrialError> {
    #[cfg(not(feature = "rocksdb"))]
    if spec.options.backend == BackendType::RocksDb {
        return Err(TrialError::NoRocksDb);
    }
    let open = |pass: &str, subtask: u16, probe: Probe| {
        let folder = spec.state_folder.join(format!("{pass}-{subtask}"));
        std::fs::create_dir_all(&folder)
            .map_err(|error| StateError::Storage(format!("{}: {error}", folder.display())))?;
        open_subtask::<K>(spec, workload, subtask, &folder, probe)
    };
    run_subtasks(&Setup { spec, workload, observer, open: &open })
}

/// Opens the backend of a subtask, and the operator on it.
fn open_subtask<K: SourceKey>(
    spec: &TrialSpec,
    workload: &Workload,
    subtask: u16,
    folder: &Path,
    probe: Probe,
) -> StateResult<Box<dyn Subtask<K>>> {
    let groups = workload.run.groups;
    match spec.options.backend {
        BackendType::Null => open_operator(NullBackend::default(), &workload.operator, probe),
        BackendType::HashMap => open_operator(HeapBackend::<K>::new(groups, subtask), &workload.operator, probe),
        #[cfg(feature = "rocksdb")]
        BackendType::RocksDb => {
            // Each subtask runs in a slot of its own, with its own memory.
            let memory = crate::backend::SlotMemory::new(&spec.options);
            let backend = crate::backend::RocksDbBackend::<K>::open(folder, &spec.options, groups, memory.as_ref())?;
            open_operator(backend, &workload.operator, probe)
        }
        #[cfg(not(feature = "rocksdb"))]
        BackendType::RocksDb => Err(StateError::Storage(format!("{}: no RocksDB in this build", folder.display()))),
    }
}

fn open_operator<K: SourceKey, B: KeyedStateBackend<K> + Send + 'static>(
    backend: B,
    operator: &OperatorSpec,
    probe: Probe,
) -> StateResult<Box<dyn Subtask<K>>> {
    match operator {
        OperatorSpec::Counter => open::<K, B, Counter>(backend, &(), probe),
        OperatorSpec::Reduce(ReduceFunction::Sum) => open::<K, B, ReduceOperator<Sum>>(backend, &(), probe),
        OperatorSpec::Reduce(ReduceFunction::Max) => open::<K, B, ReduceOperator<Max>>(backend, &(), probe),
        OperatorSpec::Aggregate(AggregateFunction::Average) => {
            open::<K, B, AggregateOperator<Average>>(backend, &(), probe)
        }
        OperatorSpec::Aggregate(AggregateFunction::Summary) => {
            open::<K, B, AggregateOperator<Summary>>(backend, &(), probe)
        }
        OperatorSpec::ListBuffer { clear_every } => open::<K, B, ListBuffer>(backend, clear_every, probe),
        OperatorSpec::Map { entries } => open::<K, B, MapOperator>(backend, entries, probe),
        OperatorSpec::ValueOfMap { entries } => open::<K, B, ValueOfMap>(backend, entries, probe),
        OperatorSpec::Mix(mix) => open::<K, B, MixOperator>(backend, mix, probe),
    }
}

fn open<K: SourceKey, B: KeyedStateBackend<K> + Send + 'static, O: Operator<K> + Send + 'static>(
    backend: B,
    spec: &O::Spec,
    probe: Probe,
) -> StateResult<Box<dyn Subtask<K>>> {
    Ok(Box::new(OperatorSubtask::<B, O>::open(backend, spec, probe)?))
}
