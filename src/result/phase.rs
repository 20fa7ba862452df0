//! What a trial measured in a phase of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccessLatency, Firing, Latency};

/// One phase of the measured part. Its figures are those of the same names of the whole part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseMeasurement {
    /// Its name in the workload file (configured).
    pub name: String,
    /// Events.
    pub events: u64,
    /// Duration on the wall, s: event generation included.
    pub wall_s: f64,
    /// Time that each subtask spent in its operator and state, s.
    pub busy_s: Vec<f64>,
    /// Events over the time of the busiest subtask, 1/s.
    pub throughput_events_per_s: f64,
    /// Share of timed events that took longer than 300 µs, 0 to 1.
    pub slow_event_share: f64,
    /// Latency of whole events.
    pub event_latency: Latency,
    /// Latency of state accesses by kind.
    pub access_latency: Vec<AccessLatency>,
    /// Duration of windows of events, where events are sampled; none is part of two phases.
    pub window_duration: Option<Latency>,
    /// Timers that were fired; none where none were.
    pub firing: Option<Firing>,
}
