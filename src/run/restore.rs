//! Going on from a checkpoint: which part of it goes to which subtask. Flink's `StateAssignmentOperation`.

use std::collections::BTreeMap;
#[cfg(feature = "rocksdb")]
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::drive::{OperatorPart, Subtask};
use crate::backend::FetchedFiles;
#[cfg(feature = "rocksdb")]
use crate::backend::{OldState, SharedMemory, choose_base, fetch_files, import_families};
use crate::checkpoint::{CheckpointError, JobIdentity, KeyedHandle, OperatorHandle, Output, StoredCheckpoint};
use crate::state::{Digest, Key, KeyGroups, OperatorStateHandle};
#[cfg(feature = "rocksdb")]
use crate::workload::Options;
use crate::workload::{KeyType, Now, Workload, WorkloadWire, job_sections};

/// A checkpoint that a job goes on from, at its own parallelism.
pub struct RestorePlan {
    /// The checkpoint.
    pub checkpoint: StoredCheckpoint,
    groups: KeyGroups,
    /// By operator, then by new subtask.
    operator_states: Vec<Vec<Vec<OperatorStateHandle>>>,
    /// Files that were brought to this machine, by operator and new subtask.
    fetched: Mutex<BTreeMap<(usize, u16), FetchedFiles>>,
}

/// What a checkpoint must have in common with the job that goes on from it.
pub fn identity_of(wire: &WorkloadWire, workload: &Workload) -> JobIdentity {
    let key_type = match workload.keys.key_type {
        KeyType::Long => "long",
        KeyType::String { .. } => "string",
    };
    let groups = workload.run.groups;
    JobIdentity { key_type: key_type.to_owned(), max_parallelism: groups.max_parallelism, sections: job_sections(wire) }
}

impl RestorePlan {
    /// Reads a checkpoint, and checks that the job can go on from it.
    ///
    /// # Errors
    /// There is none, it is damaged, it is of another job, or the storage failed.
    pub fn open(
        checkpoint: StoredCheckpoint,
        identity: &JobIdentity,
        stream_seed: u64,
        groups: KeyGroups,
    ) -> Result<Self, CheckpointError> {
        let metadata = &checkpoint.metadata;
        let foreign = |reason: String| CheckpointError::Foreign { checkpoint: checkpoint.url().to_owned(), reason };
        if let Some(reason) = identity.differs_from(&metadata.job) {
            return Err(foreign(reason));
        }
        if metadata.stream_seed != stream_seed {
            return Err(foreign(format!(
                "its events are of the stream with seed {}, those of this trial of {stream_seed}",
                metadata.stream_seed
            )));
        }
        let operators = metadata.subtasks.first().map_or(0, |subtask| subtask.operators.len());
        if operators == 0 || metadata.subtasks.iter().any(|subtask| subtask.operators.len() != operators) {
            return Err(foreign("its subtasks do not have the same operators".to_owned()));
        }
        let old = metadata.groups();
        for (subtask, part) in (0..).zip(&metadata.subtasks) {
            if part.operators.iter().any(|operator| *operator.keyed.key_groups() != old.range_of(subtask)) {
                return Err(foreign(format!("its subtask {subtask} does not have the key groups of its place")));
            }
        }
        let operator_states = (0..operators)
            .map(|operator| repartitioned(&checkpoint, operator, groups.parallelism))
            .collect::<Result<_, _>>()?;
        Ok(Self { checkpoint, groups, operator_states, fetched: Mutex::default() })
    }

    /// The number of operators in it.
    pub fn operators(&self) -> usize {
        self.operator_states.len()
    }

    fn old(&self, operator: usize) -> impl Iterator<Item = &OperatorHandle> {
        self.checkpoint.metadata.subtasks.iter().filter_map(move |subtask| subtask.operators.get(operator))
    }

    /// The handles whose key groups a subtask has, all or some.
    pub fn keyed(&self, operator: usize, subtask: u16) -> Vec<&KeyedHandle> {
        let own = self.groups.range_of(subtask);
        let overlaps =
            |handle: &&KeyedHandle| handle.key_groups().start < own.end && own.start < handle.key_groups().end;
        self.old(operator).map(|handle| &handle.keyed).filter(overlaps).collect()
    }

    /// What an operator of a subtask goes on from.
    pub fn part(&self, operator: usize, subtask: u16) -> OperatorPart<'_> {
        let states = self.operator_states.get(operator).and_then(|states| states.get(usize::from(subtask)));
        OperatorPart {
            checkpoint: &self.checkpoint,
            keyed: self.keyed(operator, subtask),
            files: self.fetched().remove(&(operator, subtask)).unwrap_or_default(),
            operator_state: states.cloned().unwrap_or_default(),
            output: self.output(operator, subtask),
        }
    }

    /// What the operator had emitted: sums go to the first subtask, results by key to the owner of the key.
    fn output(&self, operator: usize, subtask: u16) -> Output {
        let mut all = Output { emitted: Digest::default(), late_events: 0, now: Now::START, latest: Vec::new() };
        for Output { emitted, late_events, now, latest } in self.old(operator).map(|old| &old.output) {
            if subtask == 0 {
                all.emitted.merge(*emitted);
                all.late_events += late_events;
            }
            all.now = *now;
            let owner = |key: i64| self.groups.subtask_of(self.groups.group_of(key.hash_code()));
            all.latest.extend(latest.iter().filter(|(key, _)| owner(*key) == subtask));
        }
        all
    }

    fn fetched(&self) -> MutexGuard<'_, BTreeMap<(usize, u16), FetchedFiles>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the files of a RocksDB checkpoint to this machine: those of the base to where the database of the subtask is
    /// opened, the others beside it.
    ///
    /// # Errors
    /// A file is damaged, a folder cannot be written, or the storage failed.
    #[cfg(feature = "rocksdb")]
    pub fn fetch(
        &self,
        (operator, subtask): (usize, u16),
        folder: &Path,
        (options, memory): (&Options, Option<&SharedMemory>),
    ) -> Result<(), CheckpointError> {
        let handles: Vec<_> = self
            .keyed(operator, subtask)
            .into_iter()
            .filter_map(|handle| match handle.base() {
                Some(KeyedHandle::RocksDb { files, key_groups, .. }) => Some((files, key_groups)),
                _ => None,
            })
            .collect();
        let beside = |position: usize| folder.with_extension(format!("from-{position}"));
        let mut old: Vec<_> = handles
            .iter()
            .enumerate()
            .map(|(position, (_, groups))| OldState { folder: beside(position), key_groups: (*groups).clone() })
            .collect();
        let ingests = options.use_ingest_db_restore_mode && old.len() > 1;
        let threshold = options.restore_overlap_fraction_threshold.0;
        let base = choose_base(&old, &self.groups.range_of(subtask), threshold).filter(|_| !ingests);
        if let Some(base) = base {
            folder.clone_into(&mut old[base].folder);
        }
        for ((files, _), old) in handles.iter().zip(&old) {
            fetch_files(&self.checkpoint, files, &old.folder, options.checkpoint_transfer_thread_num)?;
        }
        let opened = if ingests {
            import_families(folder, &old, self.groups.max_parallelism, (options, memory))?
        } else {
            base.into_iter().collect()
        };
        let mut fetched = FetchedFiles::default();
        for (position, old) in old.into_iter().enumerate() {
            let to = if opened.contains(&position) { &mut fetched.opened } else { &mut fetched.others };
            to.push(old);
        }
        self.fetched().insert((operator, subtask), fetched);
        Ok(())
    }

    /// Compares the state of all restored subtasks with what the checkpoint says of it.
    ///
    /// # Errors
    /// It is another one.
    pub fn check_digest(&self, restored: Digest) -> Result<(), CheckpointError> {
        match self.checkpoint.metadata.state_digest {
            Some(recorded) if recorded != restored => Err(CheckpointError::Damaged {
                file: self.checkpoint.url().to_owned(),
                reason: format!("the restored state has the digest {restored}, and {recorded} was recorded"),
            }),
            _ => Ok(()),
        }
    }

    /// Restores the operators of a subtask, whose states are registered.
    ///
    /// # Errors
    /// A part is damaged, or not of these operators; the storage failed.
    pub fn restore<K>(&self, subtask: &mut dyn Subtask<K>, index: u16) -> Result<(), CheckpointError> {
        let operators = 1 + subtask.later().len();
        if operators != self.operators() {
            return Err(CheckpointError::Foreign {
                checkpoint: self.checkpoint.url().to_owned(),
                reason: format!("it has {} operators, and the job {operators}", self.operators()),
            });
        }
        restore_operator(subtask, &self.part(0, index))?;
        for (later, operator) in subtask.later().iter_mut().zip(1..) {
            restore_operator(&mut **later, &self.part(operator, index))?;
        }
        Ok(())
    }
}

/// Restores an operator, and removes the files that only the restore needed.
fn restore_operator<K>(operator: &mut dyn Subtask<K>, part: &OperatorPart<'_>) -> Result<(), CheckpointError> {
    operator.restore(part)?;
    let unneeded = part.files.others.iter().chain(&part.files.opened).map(|old| &old.folder);
    // Only folders beside that of the database have an extension.
    let mut unneeded = unneeded.filter(|folder| folder.extension().is_some());
    unneeded.try_for_each(|folder| std::fs::remove_dir_all(folder).map_err(CheckpointError::local(folder)))
}

/// The operator state of one operator, divided over new subtasks.
fn repartitioned(
    checkpoint: &StoredCheckpoint,
    operator: usize,
    parallelism: u16,
) -> Result<Vec<Vec<OperatorStateHandle>>, CheckpointError> {
    let read = |handle: &OperatorHandle| match &handle.operator_state {
        None => Ok(OperatorStateHandle { bytes: [].into(), states: BTreeMap::new() }),
        Some((stream, states)) => {
            Ok(OperatorStateHandle { bytes: checkpoint.read(stream)?.into(), states: states.clone() })
        }
    };
    let subtasks = &checkpoint.metadata.subtasks;
    let old = subtasks.iter().filter_map(|subtask| subtask.operators.get(operator)).map(read);
    let old: Vec<_> = old.collect::<Result<_, CheckpointError>>()?;
    Ok(OperatorStateHandle::repartition(&old, parallelism))
}
