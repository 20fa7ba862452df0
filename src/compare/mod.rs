//! Two results, or two configurations of one, held against each other: what changed, by how much, how sure.
//!
//! A trial is the unit of replication: each gives one value of each metric. Two configurations of one result were measured in
//! turn, each repeat in random order with the same events, so their trials are pairs. Two results were measured one after the
//! other: their trials are two samples, and no change that sessions may differ by is a finding. What follows from the events
//! alone, such as digests, is compared exactly.

mod comparison;
mod exact;
mod matching;
mod metrics;
mod observations;
#[cfg(test)]
mod tests;
mod verdict;

pub use comparison::{Comparison, Counts, Group, OptionChange, Source, compare};
pub use exact::ExactComparison;
pub use matching::{Partnerless, Side};
pub use metrics::{Design, MetricComparison, Modes};
pub use observations::{Cell, Exact, ExactValue, Observation, Observations, Quantity};
pub use verdict::Verdict;

use std::collections::BTreeMap;

use crate::result::METRICS;
use crate::workload::nearest;

/// The most trials of a configuration that are compared: as many as a workload can ask for.
const MOST_TRIALS: usize = 1_000;

/// How a comparison is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// The configuration of the base; of both where the candidate's is not named, every one where neither is.
    pub base_configuration: Option<String>,
    /// The configuration of the candidate.
    pub candidate_configuration: Option<String>,
    /// The metrics that are compared; every one where none is named.
    pub metrics: Vec<String>,
    /// Thresholds by metric in place of the default ones, as shares.
    pub thresholds: BTreeMap<String, f64>,
    /// The probability of a false alarm that all tests share.
    pub alpha: f64,
    /// The probability that each bound of *no change* is wrong.
    pub beta: f64,
    /// What two sessions on this machine may differ by, as a share.
    pub session_spread: f64,
    /// Whether other workloads are compared.
    pub allow_workload: bool,
    /// Whether other seeds are compared.
    pub allow_seed: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            base_configuration: None,
            candidate_configuration: None,
            metrics: Vec::new(),
            thresholds: BTreeMap::new(),
            alpha: 0.01,
            beta: 0.01,
            session_spread: 0.0,
            allow_workload: false,
            allow_seed: false,
        }
    }
}

impl Parameters {
    /// Whether a metric is compared.
    fn includes(&self, metric: &str) -> bool {
        self.metrics.is_empty() || self.metrics.iter().any(|name| name == metric)
    }

    /// The threshold of a metric, as a share; none where it is not judged.
    fn threshold(&self, metric: &str) -> Option<f64> {
        self.thresholds.get(metric).copied().or_else(|| verdict::default_threshold(metric))
    }
}

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
