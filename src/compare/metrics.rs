//! One metric of two cells: its values, the shift between them, and what is made of it.

use schemars::JsonSchema;
use serde::Serialize;

use super::observations::{Cell, Observation};
use super::verdict::{Margin, Rule, Verdict};
use super::{EVENT_COST, MEDIAN_LATENCY, Parameters};
use crate::result::{Better, METRICS, Metric};
use crate::statistics::{Shift, median};

/// The level of each bound of the interval that people read: 95 % between them.
const INTERVAL_BOUND: f64 = 0.025;
/// Values part into two modes where a gap is at least this factor.
const MODE_GAP: f64 = 2.0;

/// How the two sides were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Design {
    /// In one run, each repeat of both in random order with the same events: trials are pairs.
    Paired,
    /// In two runs: trials are two samples, and what is found is indicative only.
    Unpaired,
}

/// One metric of two cells. Changes are of the metric's own value: of a rate, less is a negative change and a worse one.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MetricComparison {
    /// Name of the metric, with its unit last.
    pub metric: String,
    /// Whether more of it is better.
    pub higher_is_better: bool,
    /// One value for each trial of the base.
    pub base_values: Vec<f64>,
    /// One value for each trial of the candidate; of pairs in the same order.
    pub candidate_values: Vec<f64>,
    /// Median of the base's values.
    pub base_median: Option<f64>,
    /// Median of the candidate's values.
    pub candidate_median: Option<f64>,
    /// Of each pair the logarithm of the ratio, positive where the candidate is worse; empty where trials are no pairs.
    pub pair_log_ratios: Vec<f64>,
    /// The estimate of Hodges and Lehmann, in percent of the base.
    pub change_percent: Option<f64>,
    /// Its 95 % interval; none where the values are too few for one.
    pub change_interval95_percent: Option<[f64; 2]>,
    /// The interval whose bounds the decision looks at: each holds but for `test_alpha`.
    pub decision_interval_percent: Option<[f64; 2]>,
    /// One-sided probability of values at least as much worse where nothing differs.
    pub p_regressed: Option<f64>,
    /// One-sided probability of values at least as much better where nothing differs.
    pub p_improved: Option<f64>,
    /// What must be caught; none where the metric is not judged.
    pub threshold_percent: Option<f64>,
    /// The least effect that is a finding; none where the metric is not judged.
    pub min_effect_percent: Option<f64>,
    /// Robust standard deviation of the difference of two trials.
    pub noise_percent: Option<f64>,
    /// The smallest change for the worse that would have been found with probability 0.95; none where the values are too few
    /// for any.
    pub detectable_percent: Option<f64>,
    /// The modes of the base's values, where they have two.
    pub base_modes: Option<Modes>,
    /// The modes of the candidate's values, where they have two.
    pub candidate_modes: Option<Modes>,
    /// What is said of it; none where it is shown and not judged.
    pub verdict: Option<Verdict>,
    /// Why, where the verdict does not follow from the figures above.
    pub reason: Option<String>,
    /// The look that decided it, from 1, whose pairs the figures above are of; none where there was but one, or none did.
    pub look: Option<u32>,
}

impl MetricComparison {
    /// Whether more pairs could still decide it: it is tested, and neither a change nor its absence is shown.
    pub fn is_open(&self) -> bool {
        self.verdict == Some(Verdict::Inconclusive) && self.is_tested()
    }

    /// Whether there was something to test.
    pub fn is_tested(&self) -> bool {
        self.threshold_percent.is_some() && self.p_regressed.is_some()
    }
}

/// Two groups of values with nothing between them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Modes {
    /// Median of the lower values.
    pub low: f64,
    /// How many there are.
    pub low_trials: usize,
    /// Median of the higher values.
    pub high: f64,
    /// How many there are.
    pub high_trials: usize,
}

impl Modes {
    /// Two modes part at a gap that is a factor of two or more, and wider than each mode; each has two values or more.
    fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let gap = |at: &usize| sorted[*at] / sorted[at - 1];
        let at = (1..sorted.len()).max_by(|a, b| gap(a).total_cmp(&gap(b)))?;
        let (low, high) = sorted.split_at(at);
        let spread = |mode: &[f64]| mode[mode.len() - 1] / mode[0];
        let is_apart = gap(&at) >= MODE_GAP && gap(&at) > spread(low).max(spread(high));
        let has_two = low.len() >= 2 && high.len() >= 2 && low[0] > 0.0;
        (is_apart && has_two).then_some(())?;
        Some(Self { low: median(low)?, low_trials: low.len(), high: median(high)?, high_trials: high.len() })
    }
}

/// A metric before the decision, whose level depends on how many metrics are tested.
pub(super) struct Sampled {
    metric: &'static Metric,
    design: Design,
    base: Vec<f64>,
    candidate: Vec<f64>,
    shift: Result<Shift, String>,
    /// None where it is shown and not judged.
    margin: Option<Margin>,
    is_same: bool,
    /// Why it is shown and not judged, where it is.
    unjudged: Option<&'static str>,
    /// What a side that had not settled beside one that had makes of every verdict.
    lopsided: Option<&'static str>,
}

/// The metrics that either cell has; those of `exact` are compared exactly elsewhere.
pub(super) fn sample(
    base: &Cell,
    candidate: &Cell,
    pairs: Option<&[(&Observation, &Observation)]>,
    parameters: &Parameters,
    exact: &[&str],
) -> Vec<Sampled> {
    let is_same = !base.trials.is_empty() && base.trials == candidate.trials;
    let on = |cell: &Cell, name: &str| cell.trials.iter().any(|trial| trial.metrics.contains_key(name));
    let has = |metric: &Metric| on(base, metric.name) || on(candidate, metric.name);
    let is_sampled = on(base, EVENT_COST) && on(candidate, EVENT_COST);
    let unjudged = |name: &str| match name {
        _ if exact.contains(&name) => Some("compared exactly"),
        _ if !parameters.judges(name) => Some("shown beside"),
        MEDIAN_LATENCY if is_sampled => Some("the clock is too coarse, see cost"),
        EVENT_COST if !is_sampled => Some("one side times every event"),
        _ if parameters.threshold(name).is_none() => Some("a largest value"),
        _ => None,
    };
    let lopsided = match (base.is_steady(), candidate.is_steady()) {
        (Some(false), Some(true)) => Some("the base had not settled, the candidate had"),
        (Some(true), Some(false)) => Some("the candidate had not settled, the base had"),
        _ => None,
    };
    let wanted = METRICS.iter().filter(|metric| parameters.shows_others || parameters.judges(metric.name));
    let sampled = wanted.filter(|metric| has(metric)).map(|metric| {
        let design = if pairs.is_some() { Design::Paired } else { Design::Unpaired };
        let (base, candidate) = sides(metric, base, candidate, pairs);
        let shift = shift(metric, design, &base, &candidate);
        let unjudged = unjudged(metric.name);
        let margin = parameters.threshold(metric.name).filter(|_| unjudged.is_none()).map(Margin::of);
        Sampled { metric, design, base, candidate, shift, margin, is_same, unjudged, lopsided }
    });
    sampled.collect()
}

/// The values of a metric on both sides; of pairs those that both trials have, unless one side has none at all.
fn sides(
    metric: &Metric,
    base: &Cell,
    candidate: &Cell,
    pairs: Option<&[(&Observation, &Observation)]>,
) -> (Vec<f64>, Vec<f64>) {
    let all = (values(base, metric), values(candidate, metric));
    let both = |(base, candidate): &(&Observation, &Observation)| {
        Some((*base.metrics.get(metric.name)?, *candidate.metrics.get(metric.name)?))
    };
    match pairs {
        Some(pairs) if !all.0.is_empty() && !all.1.is_empty() => pairs.iter().filter_map(both).unzip(),
        _ => all,
    }
}

fn values(cell: &Cell, metric: &Metric) -> Vec<f64> {
    cell.trials.iter().filter_map(|trial| trial.metrics.get(metric.name).copied()).collect()
}

/// The shift of a metric's logarithm, positive where the candidate is worse, or why there is none.
fn shift(metric: &Metric, design: Design, base: &[f64], candidate: &[f64]) -> Result<Shift, String> {
    match (base.is_empty(), candidate.is_empty()) {
        (true, true) => return Err("no two trials of a pair have it".to_owned()),
        (true, false) => return Err("not in the base".to_owned()),
        (false, true) => return Err("not in the candidate".to_owned()),
        (false, false) => {}
    }
    for (values, side) in [(base, "base"), (candidate, "candidate")] {
        if !values.iter().all(|value| value.is_finite() && *value > 0.0) {
            return Err(format!("a value of the {side} is not a positive number"));
        }
    }
    let worse = |value: &f64| if metric.better == Better::Lower { value.ln() } else { -value.ln() };
    let (base, candidate): (Vec<_>, Vec<_>) = (base.iter().map(worse).collect(), candidate.iter().map(worse).collect());
    let shift = match design {
        Design::Paired => Shift::of_pairs(&differences(&base, &candidate)),
        Design::Unpaired => Shift::of_samples(&base, &candidate),
    };
    shift.ok_or_else(|| "a value is not a number".to_owned())
}

fn differences(base: &[f64], candidate: &[f64]) -> Vec<f64> {
    base.iter().zip(candidate).map(|(base, candidate)| candidate - base).collect()
}

impl Sampled {
    /// The name of the metric.
    pub fn name(&self) -> &'static str {
        self.metric.name
    }

    /// Takes it out of what is judged.
    pub fn withhold(&mut self, why: &'static str) {
        self.margin = None;
        self.unjudged = Some(why);
    }

    /// Whether it is a test, with which others share the probability of a false alarm.
    pub fn is_test(&self) -> bool {
        self.shift.is_ok() && self.margin.is_some() && !self.is_same
    }

    /// Decides, with a test at the level `alpha`.
    pub fn decide(self, alpha: f64, parameters: &Parameters) -> MetricComparison {
        let session_spread = (self.design == Design::Unpaired).then(|| parameters.session_spread(self.metric.name));
        let rule = self.margin.map(|margin| Rule { margin, alpha, beta: parameters.beta, session_spread });
        let (verdict, reason) = self.verdict(rule.as_ref());
        let shift = self.shift.as_ref().ok();
        let is_lower_better = self.metric.better == Better::Lower;
        let change = |log: f64| percent(if is_lower_better { log } else { -log });
        let interval = |level: f64| {
            let [a, b] = [change(shift?.lower_bound(level)?), change(shift?.upper_bound(level)?)];
            Some([a.min(b), a.max(b)]).filter(|bounds| bounds.iter().all(|bound| bound.is_finite()))
        };
        let log_ratio = |(base, candidate): (&f64, &f64)| {
            let log = candidate.ln() - base.ln();
            if is_lower_better { log } else { -log }
        };
        let is_pairs = self.design == Design::Paired && shift.is_some();
        let pairs = self.base.iter().zip(&self.candidate).filter(|_| is_pairs);
        MetricComparison {
            metric: self.metric.name.to_owned(),
            higher_is_better: !is_lower_better,
            base_median: median(&self.base),
            candidate_median: median(&self.candidate),
            pair_log_ratios: pairs.map(log_ratio).collect(),
            change_percent: finite(shift.map(|shift| change(shift.estimate()))),
            change_interval95_percent: interval(INTERVAL_BOUND),
            decision_interval_percent: interval(alpha),
            p_regressed: shift.map(Shift::p_above),
            p_improved: shift.map(Shift::p_below),
            threshold_percent: self.margin.map(|margin| 100.0 * margin.threshold),
            min_effect_percent: rule.map(|rule| 100.0 * rule.least_finding()),
            noise_percent: finite(shift.map(|shift| percent(shift.deviation()))),
            detectable_percent: finite(shift.zip(rule).and_then(|(shift, rule)| Some(100.0 * rule.detectable(shift)?))),
            base_modes: Modes::of(&self.base),
            candidate_modes: Modes::of(&self.candidate),
            verdict,
            reason,
            look: None,
            base_values: self.base,
            candidate_values: self.candidate,
        }
    }

    fn verdict(&self, rule: Option<&Rule>) -> (Option<Verdict>, Option<String>) {
        if self.is_same {
            return (Some(Verdict::NoChange), Some("the same trials".to_owned()));
        }
        let Some(rule) = rule else {
            return (None, self.unjudged.map(str::to_owned));
        };
        match &self.shift {
            Err(reason) => (Some(Verdict::Inconclusive), Some(reason.clone())),
            Ok(_) if self.lopsided.is_some() => (Some(Verdict::Inconclusive), self.lopsided.map(str::to_owned)),
            Ok(shift) => {
                let verdict = rule.decide(shift);
                let is_open = verdict == Verdict::Inconclusive;
                (Some(verdict), is_open.then(|| self.why_inconclusive(shift, rule)))
            }
        }
    }

    fn why_inconclusive(&self, shift: &Shift, rule: &Rule) -> String {
        let trials = self.base.len().min(self.candidate.len());
        let is_significant = shift.p_above() <= rule.alpha || shift.p_below() <= rule.alpha;
        match self.design {
            _ if trials == 1 => "one trial".to_owned(),
            Design::Paired if shift.least_p() > rule.alpha => {
                // The least probability of n pairs is 2^-n.
                format!("{trials} of the {:.0} pairs that a finding needs", (-rule.alpha.log2()).ceil())
            }
            Design::Unpaired if shift.least_p() > rule.alpha => {
                format!("{trials} of the {} trials a side that a finding needs", trials_needed(rule.alpha))
            }
            Design::Unpaired if is_significant => "two sessions may differ by as much".to_owned(),
            _ => "noise".to_owned(),
        }
    }
}

/// Trials of each side from which on a test of two samples can reach a level: one over the number of ways to divide them.
fn trials_needed(level: f64) -> u32 {
    let mut ways = 1.0;
    let mut trials = 0;
    while 1.0 / ways > level {
        trials += 1;
        ways *= f64::from(2 * (2 * trials - 1)) / f64::from(trials);
    }
    trials
}

/// A figure that JSON can hold.
fn finite(figure: Option<f64>) -> Option<f64> {
    figure.filter(|figure| figure.is_finite())
}

fn percent(log: f64) -> f64 {
    100.0 * log.exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_that_a_finding_needs_are_those_of_the_exact_tests() {
        for level in [0.01, 0.01 / 12.0, 0.01 / 36.0] {
            let trials = trials_needed(level) as usize;
            let least = |trials: usize| {
                let values: Vec<f64> = (0..trials).map(|i| i as f64).collect();
                Shift::of_samples(&values, &values).unwrap().least_p()
            };
            assert!(least(trials) <= level && least(trials - 1) > level, "{level}");
        }
    }

    #[test]
    fn two_modes_are_told_apart_from_a_spread() {
        let modes = Modes::of(&[69.0, 6.5, 6.4, 70.0, 6.6]).unwrap();
        assert_eq!((modes.low, modes.low_trials, modes.high, modes.high_trials), (6.5, 3, 69.5, 2));
        assert_eq!(Modes::of(&[1.0, 2.0, 4.0, 8.0]), None);
        assert_eq!(Modes::of(&[1.0, 1.1, 1.2, 9.0]), None, "one value is an outlier");
        assert_eq!(Modes::of(&[0.0, 0.0, 5.0, 5.0]), None);
        assert_eq!(Modes::of(&[]), None);
    }
}
