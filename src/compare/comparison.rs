//! A comparison from its inputs to its counts.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::exact::{ExactComparison, compare_exactly};
use super::looks::Tested;
use super::matching::{Matching, Partnerless, Side, check_definitions, pairs, unpaired_trials};
use super::metrics::{Design, MetricComparison};
use super::observations::{Cell, Observation, Observations, Quantity};
use super::verdict::Verdict;
use super::{CompareError, MOST_TRIALS, Parameters};
use crate::result::{Interleaved, Manifest, printable};

/// The version of the JSON that this program writes.
const SCHEMA: &str = "statebench.compare/1";

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
    /// The level of each test: `alpha` over `tests`, and over the looks of an interleaved run.
    pub test_alpha: f64,
    /// The probability that each bound of *no change* is wrong.
    pub beta: f64,
    /// How an interleaved run was looked at, whose looks were made again here: none where there was but one look, at all trials.
    pub interleaved: Option<Interleaved>,
    /// What two sessions may differ by, in the metric in which that is most; none where the sides were measured in one.
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
    /// Time that the trials of both sides took, s; 0 where their results do not say.
    pub took_s: f64,
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
    let interleaved = base.interleaved.as_ref().filter(|_| design == Design::Paired);
    let contrasts = match interleaved {
        Some(interleaved) if parameters.contrasts.is_empty() => &interleaved.contrasts,
        _ => &parameters.contrasts,
    };
    let Matching { pairs: cells, mut partnerless } = Matching::of(base, candidate, contrasts)?;
    let mut compared = Vec::new();
    for &(base, candidate) in &cells {
        check_definitions((base, candidate), parameters)?;
        check_size(base)?;
        check_size(candidate)?;
        let trials = pairs(base, candidate);
        if design == Design::Paired {
            partnerless.extend(unpaired_trials(Side::Base, base, &trials));
            partnerless.extend(unpaired_trials(Side::Candidate, candidate, &trials));
        }
        let same = base.definition == candidate.definition;
        let exact = if same { compare_exactly(base, candidate, &trials) } else { Vec::new() };
        compared.push(Compared { base, candidate, pairs: trials, exact });
    }
    let tested = Tested::of(&compared, (design, interleaved), parameters);
    let groups: Vec<_> = compared.into_iter().zip(tested.metrics).map(|(own, metrics)| own.group(metrics)).collect();
    let source = |side: &Observations| Source { name: side.name.clone(), manifest: side.manifest.clone() };
    Ok(Comparison {
        schema: SCHEMA,
        base: source(base),
        candidate: source(candidate),
        design,
        alpha: parameters.alpha,
        tests: tested.tests,
        test_alpha: tested.alpha,
        beta: parameters.beta,
        interleaved: interleaved.cloned(),
        session_spread_percent: (design == Design::Unpaired).then(|| 100.0 * parameters.largest_session_spread()),
        counts: Counts::of(&groups),
        warnings: warnings(base, candidate, &cells, design),
        groups,
        partnerless,
    })
}

/// Two cells with their pairs, and what was compared exactly.
pub(super) struct Compared<'a> {
    pub base: &'a Cell,
    pub candidate: &'a Cell,
    pub pairs: Vec<(&'a Observation, &'a Observation)>,
    pub exact: Vec<ExactComparison>,
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

impl Compared<'_> {
    /// Whether checkpoints were compared exactly: their sizes need no test.
    pub fn has_exact_sizes(&self) -> bool {
        self.exact.iter().any(|exact| exact.quantity == Quantity::HeapCheckpointBytes)
    }

    fn group(self, metrics: Vec<MetricComparison>) -> Group {
        let seconds = |cell: &Cell| cell.trials.iter().filter_map(|trial| trial.took_s).sum::<f64>();
        Group {
            workload: self.base.workload.clone(),
            base_configuration: self.base.configuration.clone(),
            candidate_configuration: self.candidate.configuration.clone(),
            option_changes: option_changes(&self.base.options, &self.candidate.options),
            took_s: seconds(self.base) + seconds(self.candidate),
            metrics,
            exact: self.exact,
        }
    }
}

impl Group {
    /// Whether more pairs could still decide a metric.
    pub fn is_open(&self) -> bool {
        self.metrics.iter().any(MetricComparison::is_open)
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
    let unsteady = measured().filter(|trial| trial.unsteady).count();
    if unsteady > 0 {
        warnings.push(format!("{side} {name}: not steady in {unsteady} of {all} runs; `show` tells why"));
    }
    let saturated = measured().filter(|trial| trial.saturated).count();
    if saturated > 0 {
        warnings.push(format!("{side} {name}: saturated in {saturated} of {all} runs, which have no response times"));
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
