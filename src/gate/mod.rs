//! A comparison against a policy: pass or fail, for a build that must not get worse unnoticed; and what is kept for it: baselines,
//! calibrations, the results of many days.

mod baseline;
mod calibration;
mod history;
mod policy;

pub use baseline::{Baseline, BaselineError, Key, workload_digest};
pub use calibration::{Calibration, CalibrationError, Noise, Session};
pub use history::{ChangePoint, History, LEAST_RESULTS, Point, Series};
pub use policy::{Difference, Limit, MetricPolicy, OnInconclusive, Policy, PolicyError};

use schemars::JsonSchema;
use serde::Serialize;

use crate::compare::{
    CompareError, Comparison, Design, ExactComparison, Group, Observations, Parameters, Partnerless, Quantity, Side,
    Verdict, compare,
};
use crate::result::{Manifest, Metric, printable};

/// The version of the JSON that this program writes.
const SCHEMA: &str = "statebench.gate/1";
/// Why a finding against a baseline does not count.
const NOT_PAIRED: &str = "unpaired, allow-unpaired is not set";

/// What a gate came to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Gate {
    /// `statebench.gate/1`.
    pub schema: &'static str,
    /// Whether it passes.
    pub decision: Decision,
    /// The workload file, where the gate has run it.
    pub workload_file: Option<String>,
    /// The metrics that the policy gates; the others of the comparison are shown beside them.
    pub metrics: Vec<String>,
    /// The comparison that it rests on.
    pub comparison: Comparison,
    /// Absolute limits that the policy sets.
    pub limits: Vec<LimitCheck>,
    /// What an inconclusive metric does.
    pub on_inconclusive: OnInconclusive,
}

/// The decision of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Nothing gated got worse.
    Passed,
    /// Something gated regressed, a limit was passed, or digests differ.
    Failed,
    /// A gated metric is inconclusive, and the policy says that this fails.
    Inconclusive,
}

/// A metric of the candidate against an absolute limit.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LimitCheck {
    /// The workload's choices in the matrix.
    pub workload: String,
    /// The configuration.
    pub configuration: String,
    /// The metric.
    pub metric: String,
    /// The limit, in the metric's unit.
    pub limit: f64,
    /// The median over the candidate's trials; none where no trial has it.
    pub value: Option<f64>,
    /// Whether it is kept.
    pub is_kept: bool,
}

/// Gates a candidate against a baseline, or configurations of one result: `base` and `candidate` are then equal, and an
/// interleaved run knows which ones it was made to compare. The parameters are those of the policy, with what beside it is known.
///
/// # Errors
/// The sides are not comparable, or one lacks a metric that the policy requires.
pub fn gate(
    base: &Observations,
    candidate: &Observations,
    parameters: &Parameters,
    policy: &Policy,
) -> Result<Gate, CompareError> {
    check_circumstances(&base.manifest, &candidate.manifest, policy)?;
    let mut comparison = compare(base, candidate, parameters)?;
    check_that_nothing_is_left_out(&comparison)?;
    check_required(&comparison, policy)?;
    if comparison.design == Design::Unpaired && !policy.allow_unpaired {
        comparison.withdraw_findings(NOT_PAIRED);
    }
    let limits = limits(&comparison, &policy.limits().map_err(CompareError::Input)?);
    let is_worse = comparison.counts.regressed > 0 || limits.iter().any(|limit| !limit.is_kept);
    let decision = match policy.on_inconclusive {
        _ if is_worse => Decision::Failed,
        OnInconclusive::Fail if comparison.counts.inconclusive > 0 => Decision::Inconclusive,
        _ => Decision::Passed,
    };
    let metrics = policy.metric.keys().cloned().collect();
    let on_inconclusive = policy.on_inconclusive;
    Ok(Gate { schema: SCHEMA, decision, workload_file: None, metrics, comparison, limits, on_inconclusive })
}

/// Refuses another kind of machine or another program, where the policy does not allow it.
fn check_circumstances(base: &Manifest, candidate: &Manifest, policy: &Policy) -> Result<(), CompareError> {
    let versions = |manifest: &Manifest| {
        let build = &manifest.build;
        let rocksdb = build.rocksdb.as_deref().unwrap_or("none");
        format!("statebench {}, RocksDB {rocksdb}, {} build", build.statebench, build.profile)
    };
    let facts = [
        (Difference::Host, "host", [baseline::host_class(base), baseline::host_class(candidate)]),
        (Difference::Version, "version", [versions(base), versions(candidate)]),
    ];
    for (difference, name, [base, candidate]) in facts {
        if base != candidate && !policy.allow.contains(&difference) {
            return Err(CompareError::NotComparable(printable(&format!(
                "another {name}; allow `{name}` to compare nevertheless: the base has {base}; the candidate has \
                 {candidate}"
            ))));
        }
    }
    Ok(())
}

/// What the baseline has and the candidate does not is not gated: that is no pass.
fn check_that_nothing_is_left_out(comparison: &Comparison) -> Result<(), CompareError> {
    let is_left_out = |alone: &&Partnerless| alone.side == Side::Base && alone.repeat.is_none();
    match comparison.partnerless.iter().find(is_left_out) {
        None => Ok(()),
        Some(Partnerless { workload, configuration, .. }) => {
            let name = printable(format!("{workload} {configuration}").trim_start());
            Err(CompareError::NotComparable(format!("the base has {name}, which the candidate does not have")))
        }
    }
}

/// A metric that the policy requires and a side does not have is a mistake, not a pass. A state that no longer fits has no
/// metrics: that is worse, and told so.
fn check_required(comparison: &Comparison, policy: &Policy) -> Result<(), CompareError> {
    let required = policy.metric.iter().filter(|(_, own)| own.required).map(|(name, _)| name);
    let fits = |exact: &ExactComparison| exact.quantity != Quantity::OutOfMemoryTrials;
    let groups = || comparison.groups.iter().filter(|group| group.exact.iter().all(fits));
    for name in required {
        let has = |group: &&Group| {
            let metric = group.metrics.iter().find(|metric| metric.metric == *name);
            metric.is_some_and(|metric| !metric.base_values.is_empty() && !metric.candidate_values.is_empty())
        };
        if let Some(group) = groups().find(|group| !has(group)) {
            let configuration = printable(&group.candidate_configuration);
            return Err(CompareError::Input(format!(
                "{configuration}: a side does not have the metric `{name}`; metric.{name}.required = false in the policy \
                 allows that"
            )));
        }
    }
    Ok(())
}

fn limits(comparison: &Comparison, limits: &[(&'static Metric, f64)]) -> Vec<LimitCheck> {
    let mut checks = Vec::new();
    for group in &comparison.groups {
        for (metric, limit) in limits {
            let found = group.metrics.iter().find(|own| own.metric == metric.name);
            let value = found.and_then(|own| own.candidate_median);
            checks.push(LimitCheck {
                workload: group.workload.clone(),
                configuration: group.candidate_configuration.clone(),
                metric: metric.name.to_owned(),
                limit: *limit,
                value,
                is_kept: value.is_none_or(|value| policy::is_within(metric, value, *limit)),
            });
        }
    }
    checks
}

impl Gate {
    /// Whether a verdict keeps the gate from passing.
    pub fn is_failure(&self, verdict: Verdict) -> bool {
        verdict == Verdict::Regressed
            || (verdict == Verdict::Inconclusive && self.on_inconclusive == OnInconclusive::Fail)
    }
}
