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

/// Trials in a row that have to keep the latency at the rate that a search tells.
pub const CONFIRMATIONS: u32 = 3;

/// The highest rate at which a latency is kept, as a search has found it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxRate {
    /// The workload, by its position among the variants.
    pub variant: usize,
    /// The configuration.
    pub configuration: String,
    /// The 99th percentile of the response time that has to be kept, ns (configured).
    pub p99_target_ns: u64,
    /// What a closed loop does, events/s: where the search began.
    pub closed_events_per_s: f64,
    /// The highest rate that kept it, events/s; none where no rate did.
    pub events_per_s: Option<f64>,
    /// Trials at that rate that kept it, all of those that were run.
    pub confirmed_by: u32,
    /// The lowest rate that did not keep it, events/s; none where the search ended before one was found.
    pub too_high_events_per_s: Option<f64>,
    /// Every trial of the search, in order.
    pub trials: Vec<RateTrial>,
}

/// A trial of a search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateTrial {
    /// The rate, events/s.
    pub events_per_s: f64,
    /// Which trial at this rate it was, from 0: each has events of its own.
    pub repeat: u32,
    /// Whether the operator was saturated.
    pub saturated: bool,
    /// The 99th percentile of the response time, ns.
    pub p99_ns: Option<u64>,
    /// Whether the latency was kept.
    pub kept: bool,
}

/// The queue at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenLoopSample {
    /// Events of the measured part until then.
    pub events: u64,
    /// Time since the measured part began, without what the harness took, s.
    pub time_s: f64,
    /// By how much the event that was begun last was late, ms.
    pub late_ms: f64,
    /// By how much the latest event since the last sample was late when it began, ms.
    pub most_late_ms: f64,
    /// Events that had arrived and were not begun at that moment; with several subtasks those of all.
    pub waiting_events: u64,
}

impl OpenLoopSample {
    /// One sample in place of two that follow each other.
    pub fn of_both(samples: &[Self]) -> Option<Self> {
        let last = *samples.last()?;
        Some(Self {
            most_late_ms: samples.iter().map(|sample| sample.most_late_ms).fold(0.0, f64::max),
            waiting_events: samples.iter().map(|sample| sample.waiting_events).max().unwrap_or(0),
            ..last
        })
    }
}
