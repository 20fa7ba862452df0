//! What the checkpoints of a trial cost.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Latency, Trend};

/// The checkpoints of the measured part. Times of the storage are *modelled* where `modelled` says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoints {
    /// Each of them, in order of their triggers; savepoints too.
    pub records: Vec<CheckpointRecord>,
    /// Whether the storage was slowed down to forecast another one.
    pub modelled: bool,
    /// Where the last complete checkpoint lies, if it is kept.
    pub location: Option<String>,
    /// Where the savepoint lies, if one was taken.
    pub savepoint: Option<String>,
    /// Latency of events while a checkpoint was in progress.
    pub latency_during: Option<Latency>,
    /// Latency of events while none was.
    pub latency_outside: Option<Latency>,
    /// What becomes of the full size if the job goes on like this.
    pub size_trend: Trend,
    /// What becomes of the time that a checkpoint takes, ns.
    #[serde(default = "undecided")]
    pub duration_trend: Trend,
    /// The changelog, where changes were logged.
    #[serde(default)]
    pub changelog: Option<Changelog>,
    /// The restore of the last checkpoint after the run.
    pub restore: Option<Restore>,
}

/// The log of changes of all operators and subtasks: what the changelog state backend did beside checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Changelog {
    /// Changes of the measured part, bytes.
    pub appended_bytes: u64,
    /// How long changes waited for others to be uploaded, ms.
    pub waited_ms: f64,
    /// Snapshots of the wrapped backend.
    pub materializations: Vec<Materialization>,
}

/// A snapshot of the wrapped backend in one subtask, by which the log is cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Materialization {
    /// Its number, from 1.
    pub id: u64,
    /// The subtask, and the place of the operator in its pipeline.
    pub operator: String,
    /// Processing time on the virtual clock, ms.
    pub time_ms: i64,
    /// Why it failed; none of one that is complete.
    pub failure: Option<String>,
    /// How long processing stood still for it, ms.
    pub sync_duration_ms: f64,
    /// How long it was written while processing went on, ms.
    pub async_duration_ms: f64,
    /// What it wrote, bytes.
    pub written_bytes: u64,
    /// What it holds, bytes.
    pub full_bytes: u64,
}

impl Changelog {
    /// Adds that of another operator or subtask.
    pub fn add(&mut self, other: Self) {
        self.appended_bytes += other.appended_bytes;
        self.waited_ms += other.waited_ms;
        self.materializations.extend(other.materializations);
    }
}

/// One checkpoint or savepoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointRecord {
    /// Its number in the job.
    pub id: u64,
    /// What kind of snapshot: `full checkpoint`, `incremental checkpoint`, `canonical savepoint`, `native savepoint`.
    pub kind: String,
    /// Time from the beginning of the measured part to its trigger, s.
    pub triggered_s: f64,
    /// Processing time on the virtual clock at its barrier, ms.
    pub time_ms: i64,
    /// Events of the measured part before its barrier.
    pub events: u64,
    /// Why it failed; none of one that is complete. One that failed has no sizes.
    pub failure: Option<String>,
    /// How long the slowest subtask stood still for it: the synchronous part, ms.
    pub sync_duration_ms: f64,
    /// How long the slowest subtask wrote it while processing went on: the asynchronous part, ms.
    pub async_duration_ms: f64,
    /// Time from its trigger until it was complete, ms.
    pub duration_ms: f64,
    /// What it wrote, without the metadata file, bytes: Flink's `lastCheckpointSize`.
    pub written_bytes: u64,
    /// What it holds, files of earlier ones included, bytes: Flink's `lastCheckpointFullSize`.
    pub full_bytes: u64,
    /// The metadata file, streams in it included, bytes.
    pub metadata_bytes: u64,
    /// Files that it wrote, the metadata file left out.
    pub new_files: u64,
    /// Files of earlier checkpoints that it names.
    pub reused_files: u64,
    /// What it holds of each state, bytes.
    pub state_bytes: BTreeMap<String, u64>,
}

/// A restore, from its begin with nothing to a job that runs as before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The checkpoint.
    pub id: u64,
    /// Subtasks that the state was divided over.
    pub parallelism: u16,
    /// State that was restored, bytes.
    pub bytes: u64,
    /// Time to bring the files to where they are used and to take in the state, ms: until the job could process.
    pub restore_duration_ms: f64,
    /// Time from the begin until the first events were processed, ms.
    pub first_events_ms: f64,
    /// Time from the begin until a round of events took at most 1.2 times as long as the median round of the run, ms; none
    /// where that did not happen before the events were over.
    pub recovered_ms: Option<f64>,
    /// Events behind the checkpoint that were processed again.
    pub replayed_events: u64,
    /// Whether that led to the same results and the same state as the run.
    pub agrees: bool,
}

fn undecided() -> Trend {
    Trend::Undecided
}

impl Checkpoints {
    /// The median of a figure over the complete checkpoints, of two in the middle the larger.
    pub fn median(&self, figure: impl Fn(&CheckpointRecord) -> f64) -> Option<f64> {
        let mut values: Vec<_> = self.complete().map(figure).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// The complete checkpoints, savepoints left out.
    pub fn complete(&self) -> impl Iterator<Item = &CheckpointRecord> {
        self.records.iter().filter(|record| record.failure.is_none() && !record.kind.ends_with("savepoint"))
    }
}
