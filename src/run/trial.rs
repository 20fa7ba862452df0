//! What a trial is told, and what it answers. Both cross the border between the parent process and the trial's own.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::coordinator::CheckpointFailure;
use crate::checkpoint::CheckpointError;
use crate::result::{Measurement, OutOfMemory};
use crate::source::trace::TraceError;
use crate::state::{Digest, StateError};
use crate::workload::{Invalid, Options, WorkloadWire};

/// Everything that a trial needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrialSpec {
    /// The resolved workload.
    pub workload: WorkloadWire,
    /// The folder that paths in it start from.
    pub folder: PathBuf,
    /// The options of the configuration.
    pub options: Options,
    /// The seed of the event stream.
    pub stream_seed: u64,
    /// An empty folder for the state, which the parent removes.
    pub state_folder: PathBuf,
    /// Whether RocksDB counts, which slows it down: a companion trial.
    pub counters: bool,
    /// Where its prefill comes from.
    pub prefill: PrefillFrom,
    /// By how much its operator is slowed down on purpose, in percent of the time of an event.
    #[serde(default)]
    pub handicap_percent: Option<f64>,
    /// The folder of the control group that limits its memory; its process joins it.
    pub memory_group: Option<PathBuf>,
}

/// Where the state that is there before a run comes from. Folders hold one for each subtask, named by its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrefillFrom {
    /// The trial's own writes.
    Own,
    /// A copy of a saved one.
    Copy(PathBuf),
    /// The trial makes it, saves it in this folder and ends.
    Make(PathBuf),
}

/// What a trial reports, one JSON line each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// Where it has got to.
    Progress(Progress),
    /// It is done.
    Finished(Box<Report>),
    /// It has made and saved a prefill.
    Prefilled,
    /// It gave up.
    Failed {
        /// Why.
        reason: String,
        /// Who is to blame.
        blame: Blame,
    },
    /// Its state did not fit the memory that the configuration gives.
    OutOfMemory(OutOfMemory),
    /// It was stopped by a signal.
    Interrupted,
}

/// Where a trial has got to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The part of the trial.
    pub phase: Phase,
    /// Events of this phase so far.
    pub events: u64,
    /// The share of the phase that is done, 0 to 1; none where its end is not known.
    pub share: Option<f64>,
    /// Time since the phase began, s.
    pub elapsed_s: f64,
}

/// A part of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Putting keys into the state.
    Prefill,
    /// Running without measuring.
    WarmUp,
    /// Measuring.
    Measure,
    /// Computing the state digest.
    Verify,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Prefill => "prefill",
            Self::WarmUp => "warm-up",
            Self::Measure => "measure",
            Self::Verify => "verify",
        })
    }
}

/// Who is to blame for a failure; it decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// What the user gave.
    Input,
    /// Disk, memory, permission.
    Environment,
}

/// What a finished trial found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// For the result file.
    pub measurement: Measurement,
    /// Digests over the emitted results at event counts that every trial of the workload passes.
    pub boundaries: Vec<(u64, Digest)>,
}

/// Why a trial cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The workload is not what the parent checked: the two programs differ.
    #[error("the workload is not valid: {0}")]
    Workload(#[from] Invalid),
    /// The source failed.
    #[error(transparent)]
    Source(Box<TraceError>),
    /// The state store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state folder cannot be used.
    #[error("{path}: cannot use the state folder: {error}", path = .0.display(), error = .1)]
    Folder(PathBuf, std::io::Error),
    /// The warm-up took every event that the source has.
    #[error("the warm-up takes all {0} events of the trace, so none is left to measure; `run.warm-up` must be smaller")]
    NothingMeasured(u64),
    /// The time of an event, which a handicap is a share of, is not known.
    #[error(
        "the warm-up is too short to tell how long an event takes, of which the handicap is a share; `run.warm-up` must be larger"
    )]
    NoHandicap,
    /// The backend is not part of this build.
    #[error("this statebench was built without RocksDB (feature `rocksdb`)")]
    NoRocksDb,
    /// The state does not fit the memory that the configuration gives: an answer, not a failure.
    #[error("{0}")]
    OutOfMemory(OutOfMemory),
    /// A checkpoint cannot be read, or none can be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// More checkpoints in a row have failed than the job survives.
    #[error(transparent)]
    CheckpointsFailed(#[from] CheckpointFailure),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl From<TraceError> for TrialError {
    fn from(error: TraceError) -> Self {
        Self::Source(Box::new(error))
    }
}

impl TrialError {
    /// What a state access failed with. A Java heap that is full is an answer, and says when.
    pub fn of_state(error: StateError, phase: Phase, event: u64) -> Self {
        let StateError::OutOfHeap { live_bytes, heap } = error else { return error.into() };
        Self::OutOfMemory(OutOfMemory {
            phase: phase.to_string(),
            event,
            jvm_live_bytes: live_bytes,
            jvm_room_bytes: heap.room(),
            jvm_heap_bytes: heap.bytes,
        })
    }

    /// Who is to blame.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Workload(_) | Self::NothingMeasured(_) | Self::NoHandicap | Self::NoRocksDb => Blame::Input,
            Self::Source(error) if error.is_input() => Blame::Input,
            Self::Checkpoint(error) if error.is_input() => Blame::Input,
            _ => Blame::Environment,
        }
    }
}

/// Bytes of all files below a folder.
pub fn folder_bytes(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
