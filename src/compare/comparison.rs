//! A comparison from its inputs to its counts.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::exact::{ExactComparison, compare_exactly};
use super::matching::{Matching, Partnerless, Side, pairs, unpaired_trials};
use super::metrics::{Design, MetricComparison, Sampled, sample};
use super::observations::{Cell, Observations, Quantity};
use super::verdict::Verdict;
use super::{CompareError, MOST_TRIALS, Parameters};
use crate::result::{Manifest, printable};

/// The version of the JSON that this program writes.
const SCHEMA: &str = "statebench.compare/1";
/// Metrics that are not tested where sizes are compared exactly.
const SIZES: [&str; 2] = ["checkpoint_written_bytes", "checkpoint_full_bytes"];

/// What two sides differ in.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    /// `statebench.compare/1`.
    pub schema: &'static str,
    /// What was compared with.
    pub base: Source,
    /// What is judged.
    pub candidate: Source,
    /// How the sides were measured.
    pub design: Design,
    /// The probability of a false alarm that all tests share.
    pub alpha: f64,
    /// Metrics that were tested.
    pub tests: usize,
    /// The level of each test: `alpha` over `tests`.
    pub test_alpha: f64,
    /// The probability that each bound of *no change* is wrong.
    pub beta: f64,
    /// What two sessions may differ by; none where the sides were measured in one.
    pub session_spread_percent: Option<f64>,
    /// Each workload under the configurations that are compared.
    pub groups: Vec<Group>,
    /// What has nothing to be compared with.
    pub partnerless: Vec<Partnerless>,
    /// What makes the comparison unfit to rely on, a line each.
    pub warnings: Vec<String>,
    /// Verdicts by kind.
    pub counts: Counts,
}

/// Where the figures of a side come from.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Source {
    /// Name of the workload.
    pub name: String,
    /// Where and with what it was measured.
    pub manifest: Manifest,
}

/// One workload under two configurations, or under one in two results.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Group {
    /// The workload's choices in the matrix; empty without one.
    pub workload: String,
    /// The configuration of the base.
    pub base_configuration: String,
    /// The configuration of the candidate.
    pub candidate_configuration: String,
    /// Options with different values, folders of the machine left out.
    pub option_changes: Vec<OptionChange>,
    /// Metrics, tested.
    pub metrics: Vec<MetricComparison>,
    /// Quantities that noise cannot change.
    pub exact: Vec<ExactComparison>,
}

/// An option that has another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OptionChange {
    /// The Flink key.
    pub key: String,
    /// Its value in the base; none where it is not known there.
    pub base: Option<String>,
    /// Its value in the candidate; none where it is not known there.
    pub candidate: Option<String>,
}

/// Verdicts by kind, of metrics and of exact quantities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// Worse.
    pub regressed: usize,
    /// Better.
    pub improved: usize,
    /// Neither a change nor its absence is shown.
    pub inconclusive: usize,
    /// Shown to be within the threshold.
    pub no_change: usize,
}

/// Compares two results, or two configurations of one: `base` and `candidate` are then equal.
///
/// # Errors
/// A configuration or a metric that is not there; workloads or seeds that differ and are not allowed to.
pub fn compare(
    base: &Observations,
    candidate: &Observations,
    parameters: &Parameters,
) -> Result<Comparison, CompareError> {
    let design = if base == candidate { Design::Paired } else { Design::Unpaired };
    let Matching { pairs: cells, mut partnerless } = {
        let matching = Matching::of(base, candidate, parameters)?;
        matching.check(parameters)?;
        matching
    };
    let mut sampled = Vec::new();
    for (base, candidate) in &cells {
        check_size(base)?;
        check_size(candidate)?;
        let trials = pairs(base, candidate);
        if design == Design::Paired {
            partnerless.extend(unpaired_trials(Side::Base, base, &trials));
            partnerless.extend(unpaired_trials(Side::Candidate, candidate, &trials));
        }
        let exact = if base.definition == candidate.definition {
            compare_exactly(base, candidate, &trials)
        } else {
            Vec::new()
        };
        let exact_sizes: &[_] = if has_exact_sizes(&exact) { &SIZES } else { &[] };
        let pairs = (design == Design::Paired).then_some(&trials[..]);
        sampled.push((sample(base, candidate, pairs, parameters, exact_sizes), exact));
    }
    let tests = sampled.iter().flat_map(|(metrics, _)| metrics).filter(|metric| metric.is_test()).count();
    let test_alpha = parameters.alpha / tests.max(1) as f64;
    let decided = cells.iter().zip(sampled).map(|((base, candidate), (metrics, exact))| {
        let metrics = metrics.into_iter().map(|metric: Sampled| metric.decide(test_alpha, parameters)).collect();
        Group::of(base, candidate, metrics, exact)
    });
    let groups: Vec<_> = decided.collect();
    let source = |side: &Observations| Source { name: side.name.clone(), manifest: side.manifest.clone() };
    Ok(Comparison {
        schema: SCHEMA,
        base: source(base),
        candidate: source(candidate),
        design,
        alpha: parameters.alpha,
        tests,
        test_alpha,
        beta: parameters.beta,
        session_spread_percent: (design == Design::Unpaired).then_some(100.0 * parameters.session_spread),
        counts: Counts::of(&groups),
        warnings: warnings(base, candidate, &cells, design),
        groups,
        partnerless,
    })
}

/// Walsh averages grow with the square of the trials.
fn check_size(cell: &Cell) -> Result<(), CompareError> {
    if cell.trials.len() <= 2 * MOST_TRIALS {
        return Ok(());
    }
    let (name, trials) = (printable(&cell.configuration), cell.trials.len());
    Err(CompareError::Input(format!("{name} has {trials} trials; at most {MOST_TRIALS} repeats are compared")))
}

impl Comparison {
    /// Takes back what the tests found, better or worse: it is inconclusive for this reason. What was compared exactly stays.
    pub fn withdraw_findings(&mut self, reason: &str) {
        let metrics = self.groups.iter_mut().flat_map(|group| &mut group.metrics);
        for metric in metrics.filter(|m| matches!(m.verdict, Some(Verdict::Regressed | Verdict::Improved))) {
            metric.verdict = Some(Verdict::Inconclusive);
            metric.reason = Some(reason.to_owned());
        }
        self.counts = Counts::of(&self.groups);
    }

    /// Whether any workload and configuration has a metric, on one side at least.
    pub fn has_metric(&self, name: &str) -> bool {
        self.groups.iter().any(|group| group.has_metric(name))
    }
}

/// Whether checkpoints were compared exactly: their sizes need no test.
fn has_exact_sizes(exact: &[ExactComparison]) -> bool {
    exact.iter().any(|exact| exact.quantity == Quantity::HeapCheckpointBytes)
}

impl Group {
    fn of(base: &Cell, candidate: &Cell, metrics: Vec<MetricComparison>, exact: Vec<ExactComparison>) -> Self {
        Self {
            workload: base.workload.clone(),
            base_configuration: base.configuration.clone(),
            candidate_configuration: candidate.configuration.clone(),
            option_changes: option_changes(&base.options, &candidate.options),
            metrics,
            exact,
        }
    }

    /// Whether either side has a metric.
    pub fn has_metric(&self, name: &str) -> bool {
        self.metrics.iter().any(|metric| metric.metric == name)
    }

    /// The verdicts of metrics and of exact quantities.
    fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        let metrics = self.metrics.iter().filter_map(|metric| metric.verdict);
        metrics.chain(self.exact.iter().map(|exact| exact.verdict))
    }
}

fn option_changes(base: &BTreeMap<String, String>, candidate: &BTreeMap<String, String>) -> Vec<OptionChange> {
    let keys: BTreeSet<_> = base.keys().chain(candidate.keys()).collect();
    let change = |key: &String| {
        let (base, candidate) = (base.get(key).cloned(), candidate.get(key).cloned());
        (base != candidate).then(|| OptionChange { key: key.clone(), base, candidate })
    };
    keys.into_iter().filter_map(change).collect()
}

impl Counts {
    fn of(groups: &[Group]) -> Self {
        let mut counts = Self::default();
        for verdict in groups.iter().flat_map(Group::verdicts) {
            *match verdict {
                Verdict::Regressed => &mut counts.regressed,
                Verdict::Improved => &mut counts.improved,
                Verdict::Inconclusive => &mut counts.inconclusive,
                Verdict::NoChange => &mut counts.no_change,
            } += 1;
        }
        counts
    }
}

/// What makes a comparison unfit to rely on.
fn warnings(base: &Observations, candidate: &Observations, cells: &[(&Cell, &Cell)], design: Design) -> Vec<String> {
    let mut warnings = Vec::new();
    if design == Design::Paired {
        warnings.extend(base.warnings.iter().cloned());
    } else {
        for (side, warning) in [(Side::Base, &base.warnings), (Side::Candidate, &candidate.warnings)] {
            warnings.extend(warning.iter().map(|line| format!("{side}: {line}")));
        }
        warnings.extend(circumstances(&base.manifest, &candidate.manifest));
    }
    for (base, candidate) in cells {
        for (side, cell) in [(Side::Base, base), (Side::Candidate, candidate)] {
            warnings.extend(cell_warnings(side, cell));
        }
    }
    let mut told = BTreeSet::new();
    warnings.retain(|warning| told.insert(warning.clone()));
    warnings
}

fn cell_warnings(side: Side, cell: &Cell) -> Vec<String> {
    let name = super::matching::title(cell);
    let measured = || cell.trials.iter().filter(|trial| !trial.companion);
    let (all, slow) = (measured().count(), measured().filter(|trial| trial.slow).count());
    let mut warnings = Vec::new();
    if cell.failed > 0 {
        warnings.push(format!("{side} {name}: {} trials did not finish", cell.failed));
    }
    if slow > 0 && slow < all && cell.backend() == Some("rocksdb") {
        warnings.push(format!("{side} {name}: bimodal, {slow} of {all} runs slow"));
    }
    warnings
}

/// Where two runs differ in machine and program.
fn circumstances(base: &Manifest, candidate: &Manifest) -> Vec<String> {
    let facts = |manifest: &Manifest| {
        let (host, build) = (manifest.host.clone(), manifest.build.clone());
        [
            ("operating system", host.os),
            ("kernel", host.kernel),
            ("CPU", host.cpu),
            ("cores", host.cores.to_string()),
            ("memory, bytes", host.memory_bytes.to_string()),
            ("file system of the state", host.state_file_system),
            ("version of statebench", build.statebench),
            ("version of RocksDB", build.rocksdb.unwrap_or_else(|| "none".to_owned())),
            ("build profile", build.profile),
            ("allocator", build.allocator),
            ("target", build.target),
        ]
    };
    let both = facts(base).into_iter().zip(facts(candidate));
    let differs = both.filter(|((_, base), (_, candidate))| base != candidate);
    differs
        .map(|((what, base), (_, candidate))| format!("{what}: {base} in the base, {candidate} in the candidate"))
        .collect()
}
