//! From the choices of a workload to the types that run it. Above this file choices are data; below it they are types,
//! and nothing in the hot loop is dynamic.

use std::path::{Path, PathBuf};

use super::subtasks::{Setup, run_subtasks};
use super::trial::{Report, TrialError, TrialSpec};
use crate::backend::{HeapBackend, NullBackend};
use crate::operator::{
    AggregateOperator, Average, Counter, ListBuffer, MapOperator, Max, MixOperator, Operator, ReduceOperator, Sum,
    Summary, ValueOfMap,
};
use crate::source::SourceKey;
use crate::state::{KeyedStateBackend, StateError, StateResult, StringKey};
use crate::workload::{AggregateFunction, BackendType, KeyType, Operator as OperatorSpec, ReduceFunction, Workload};

use super::Observer;

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
    let groups = workload.run.groups;
    match spec.options.backend {
        BackendType::Null => with_backend::<K, _>(spec, workload, observer, |_, _| Ok(NullBackend::default())),
        BackendType::HashMap => {
            with_backend::<K, _>(spec, workload, observer, |subtask, _| Ok(HeapBackend::<K>::new(groups, subtask)))
        }
        #[cfg(feature = "rocksdb")]
        BackendType::RocksDb => with_backend::<K, _>(spec, workload, observer, |_, folder| {
            // Each subtask runs in a slot of its own, with its own memory.
            let memory = crate::backend::SlotMemory::new(&spec.options);
            crate::backend::RocksDbBackend::<K>::open(folder, &spec.options, groups, memory.as_ref())
        }),
        #[cfg(not(feature = "rocksdb"))]
        BackendType::RocksDb => Err(TrialError::NoRocksDb),
    }
}

fn with_backend<K: SourceKey, B: KeyedStateBackend<K> + Send>(
    spec: &TrialSpec,
    workload: &Workload,
    observer: &dyn Observer,
    open: impl Fn(u16, &Path) -> StateResult<B> + Sync,
) -> Result<Report, TrialError> {
    let open = |pass: &str, subtask: u16| {
        let folder = spec.state_folder.join(format!("{pass}-{subtask}"));
        std::fs::create_dir_all(&folder).map_err(|error| folder_error(&folder, &error))?;
        open(subtask, &folder)
    };
    let setup = Setup { spec, workload, observer, open };
    match &workload.operator {
        OperatorSpec::Counter => run::<K, B, Counter>(&setup, &()),
        OperatorSpec::Reduce(ReduceFunction::Sum) => run::<K, B, ReduceOperator<Sum>>(&setup, &()),
        OperatorSpec::Reduce(ReduceFunction::Max) => run::<K, B, ReduceOperator<Max>>(&setup, &()),
        OperatorSpec::Aggregate(AggregateFunction::Average) => run::<K, B, AggregateOperator<Average>>(&setup, &()),
        OperatorSpec::Aggregate(AggregateFunction::Summary) => run::<K, B, AggregateOperator<Summary>>(&setup, &()),
        OperatorSpec::ListBuffer { clear_every } => run::<K, B, ListBuffer>(&setup, clear_every),
        OperatorSpec::Map { entries } => run::<K, B, MapOperator>(&setup, entries),
        OperatorSpec::ValueOfMap { entries } => run::<K, B, ValueOfMap>(&setup, entries),
        OperatorSpec::Mix(mix) => run::<K, B, MixOperator>(&setup, mix),
    }
}

fn run<K, B, O>(
    setup: &Setup<'_, impl Fn(&str, u16) -> StateResult<B> + Sync>,
    spec: &O::Spec,
) -> Result<Report, TrialError>
where
    K: SourceKey,
    B: KeyedStateBackend<K> + Send,
    O: Operator<K, Spec: Sync> + Send,
{
    run_subtasks::<K, B, O>(setup, spec)
}

fn folder_error(folder: &PathBuf, error: &std::io::Error) -> StateError {
    StateError::Storage(format!("{}: {error}", folder.display()))
}
