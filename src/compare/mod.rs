//! Two results, or two configurations of one, held against each other: what changed, by how much, how sure.
//!
//! A trial is the unit of replication: each gives one value of each metric. Two configurations of one result were measured in
//! turn, each repeat in random order with the same events, so their trials are pairs. Two results were measured one after the
//! other: their trials are two samples, and no change that sessions may differ by is a finding. What follows from the events
//! alone, such as digests, is compared exactly.

mod comparison;
mod engines;
mod exact;
mod flips;
mod looks;
mod matching;
mod metrics;
mod observations;
#[cfg(test)]
mod tests;
mod verdict;

pub use comparison::{Comparison, Counts, Group, OptionChange, Source, compare};
pub use engines::{EngineCell, Figure, SeparatedPair, ValidatedCell, Validation};
pub use exact::ExactComparison;
pub use flips::FalseAlarms;
pub use matching::{Partnerless, Side};
pub use metrics::{Design, MetricComparison, Modes};
pub use observations::{Cell, Exact, ExactValue, Observation, Observations, Quantity, definition};
pub use verdict::Verdict;

use std::collections::BTreeMap;

use crate::result::{Contrast, METRICS};
use crate::statistics::Shift;
use crate::workload::nearest;

/// The most trials of a configuration that are compared: as many as a workload can ask for.
const MOST_TRIALS: usize = 1_000;

/// How a comparison is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Which configurations are compared. Where none are named: those that one interleaved run was made to compare, else each
    /// with the one of the same name.
    pub contrasts: Vec<Contrast>,
    /// The metrics that are judged; every one where none is named.
    pub metrics: Vec<String>,
    /// Whether the other metrics are shown beside them.
    pub shows_others: bool,
    /// Thresholds by metric in place of the default ones, as shares.
    pub thresholds: BTreeMap<String, f64>,
    /// The probability of a false alarm that all tests share.
    pub alpha: f64,
    /// The probability that each bound of *no change* is wrong.
    pub beta: f64,
    /// What two sessions on this machine may differ by, as a share.
    pub session_spread: f64,
    /// The same of single metrics, where it is known for them and larger.
    pub session_spreads: BTreeMap<String, f64>,
    /// Whether other workloads are compared.
    pub allow_workload: bool,
    /// Whether other seeds are compared.
    pub allow_seed: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            contrasts: Vec::new(),
            metrics: Vec::new(),
            shows_others: false,
            thresholds: BTreeMap::new(),
            alpha: 0.01,
            beta: 0.01,
            session_spread: 0.0,
            session_spreads: BTreeMap::new(),
            allow_workload: false,
            allow_seed: false,
        }
    }
}

impl Parameters {
    /// Whether a metric is judged.
    fn judges(&self, metric: &str) -> bool {
        let named = |metric: &str| self.metrics.iter().any(|name| name == metric);
        self.metrics.is_empty() || named(metric) || (metric == EVENT_COST && named(MEDIAN_LATENCY))
    }

    /// The threshold of a metric, as a share; none where it is not judged.
    fn threshold(&self, metric: &str) -> Option<f64> {
        let set = |metric: &str| self.thresholds.get(metric).copied();
        let of_latency = || if metric == EVENT_COST { set(MEDIAN_LATENCY) } else { None };
        set(metric).or_else(of_latency).or_else(|| verdict::default_threshold(metric))
    }

    /// What two sessions may differ by in the metric in which that is most, as a share.
    fn largest_session_spread(&self) -> f64 {
        self.session_spreads.values().copied().fold(self.session_spread, f64::max)
    }

    /// What two sessions may differ by in a metric, as a share.
    fn session_spread(&self, metric: &str) -> f64 {
        self.session_spreads.get(metric).copied().unwrap_or(0.0).max(self.session_spread)
    }
}

/// The metrics that a gate or an interleaved run judges where none are named, and whether each trial has them: a short one may
/// lack percentiles. Events over busy time are shown beside them: stalls and neighbours move them several times as much.
pub const GATED_METRICS: [(&str, bool); 4] = [
    ("throughput_typical_events_per_s", true),
    (MEDIAN_LATENCY, false),
    ("cpu_per_event_ns", false),
    ("latency_p99_ns", false),
];
/// The median latency of an event.
const MEDIAN_LATENCY: &str = "latency_p50_ns";
/// What is judged in its place where events are sampled, since they are too fast for the clock.
const EVENT_COST: &str = "event_cost_p50_ns";

/// Why two results cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// A name or value is wrong.
    #[error("{0}")]
    Input(String),
    /// They are not of one kind.
    #[error("{0}")]
    NotComparable(String),
}

/// What pairs say of a metric at this level, by the margin that it has where nothing else is said: the shift is that of its logarithm,
/// positive where the candidate is worse. Inconclusive of a metric that is never judged.
pub fn verdict_of(metric: &str, shift: &Shift, alpha: f64) -> Verdict {
    let Some(threshold) = verdict::default_threshold(metric) else { return Verdict::Inconclusive };
    let beta = Parameters::default().beta;
    let rule = verdict::Rule { margin: verdict::Margin::of(threshold), alpha, beta, session_spread: None };
    rule.decide(shift)
}

/// Checks the name of a metric.
///
/// # Errors
/// No metric has it; the message names the nearest one.
pub fn check_metric(name: &str) -> Result<(), String> {
    let known = || METRICS.iter().map(|metric| metric.name);
    if known().any(|known| known == name) {
        return Ok(());
    }
    match nearest(name, known()) {
        Some(hint) => Err(format!("there is no metric `{name}`; did you mean `{hint}`?")),
        None => Err(format!("there is no metric `{name}`; there are {}", known().collect::<Vec<_>>().join(", "))),
    }
}
