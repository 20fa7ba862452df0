//! Which engine ran a trial: statebench itself, or Apache Flink.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::Digest;

/// What ran a trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// statebench.
    #[default]
    Statebench,
    /// A job of Apache Flink. Latency is that of the operator inside its task; accesses to state are not timed.
    Flink(Box<FlinkRun>),
}

impl Engine {
    /// Whether it is statebench.
    pub fn is_statebench(&self) -> bool {
        *self == Self::Statebench
    }
}

/// What is known of a job of Flink beside what every trial has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlinkRun {
    /// Version of Flink.
    pub version: String,
    /// Whether its cluster was started for this trial, on the machine of the result.
    pub is_local: bool,
    /// Task managers of the cluster.
    pub task_managers: u16,
    /// How long its cluster took until all slots were there, s; none where it was there before.
    pub cluster_start_s: Option<f64>,
    /// How often a subtask was begun again, at most. Then what is measured is the time from the last begin on; what is emitted is
    /// that of the whole run all the same.
    pub restarts: u32,
    /// Task managers that died in the run, or were killed, and were replaced.
    pub killed_task_managers: u16,
    /// Garbage collections of the measured part, of all task managers; none where the job has not come to its end.
    pub gc_count: Option<u64>,
    /// The time that they took by Java's own account, s.
    pub gc_pause_s: Option<f64>,
    /// The time that Java's compilers ran meanwhile, in threads of their own, s: long beside the measured part where the warm-up
    /// was too short for them.
    pub jit_s: Option<f64>,
    /// What the task managers' heaps held at the end of the measured part, garbage included, bytes.
    pub heap_used_bytes: Option<u64>,
    /// What they could hold, bytes.
    pub heap_max_bytes: Option<u64>,
    /// Time that tasks could not hand on what they had, the one behind them being busy, all subtasks, s.
    pub back_pressured_s: Option<f64>,
    /// Digest over what each operator has emitted, in the order in which rows flow.
    pub emitted: Vec<Digest>,
    /// The completed checkpoints that Flink remembers, the oldest first.
    pub checkpoints: Vec<FlinkCheckpoint>,
}

/// A completed checkpoint of Flink, by its own account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlinkCheckpoint {
    /// Its number.
    pub id: u64,
    /// What it holds, files of earlier ones included, bytes.
    pub state_bytes: u64,
    /// What was written for it, bytes; none where Flink does not say.
    pub uploaded_bytes: Option<u64>,
    /// From its trigger to its completion, s.
    pub end_to_end_s: f64,
}
