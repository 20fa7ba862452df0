//! What an open loop found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Latency;

/// Events that arrived at a rate of their own: how long each was in the system, and whether the operator kept up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenLoop {
    /// Events that arrived in a second, on average, as configured.
    pub offered_events_per_s: f64,
    /// Events that were done in a second.
    pub served_events_per_s: f64,
    /// Whether events came faster than they could be done, so that the queue grew to the end. Then no percentile of the
    /// response time means anything.
    pub saturated: bool,
    /// Share of the time that the subtasks waited for events.
    pub idle_share: f64,
    /// Response time: from the intended arrival of an event until it was done, waiting in the queue included.
    pub response: Latency,
    /// The same of events that were done while a checkpoint was in progress.
    pub response_during_checkpoints: Option<Latency>,
    /// The queue over time, in the subtask that was latest in the end.
    pub samples: Vec<OpenLoopSample>,
}

/// The queue at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenLoopSample {
    /// Events of the measured part until then.
    pub events: u64,
    /// Time since the measured part began, without what the harness took, s.
    pub time_s: f64,
    /// By how much the event that was begun last came too late, ms.
    pub late_ms: f64,
    /// Events that had arrived and were not begun; with several subtasks those of all that had arrived.
    pub waiting_events: u64,
}
