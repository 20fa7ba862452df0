//! The decision: regressed, improved, no change, or inconclusive.
//!
//! A change is found where the one-sided rank test comes to at most α and the estimate is at least the least effect that
//! matters. No change is shown where both bounds at β lie within the threshold and the estimate below the least effect.
//! Everything else is inconclusive: never taken for either.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::statistics::Shift;

/// A change that is significant but smaller than this share of the threshold is no finding.
const LEAST_EFFECT: f64 = 0.6;
/// The threshold of most metrics, as a share.
const THRESHOLD: f64 = 0.05;
/// The threshold of tails, durations of single checkpoints, and what depends on background compaction, as a share.
const LOOSE_THRESHOLD: f64 = 0.15;

/// What a comparison says of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Worse, beyond noise and by enough to matter.
    Regressed,
    /// Better, beyond noise and by enough to matter.
    Improved,
    /// Neither a change nor its absence is shown.
    Inconclusive,
    /// Shown to be within the threshold.
    NoChange,
}

impl Verdict {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Improved => "improved",
            Self::Inconclusive => "inconclusive",
            Self::NoChange => "no-change",
        }
    }
}

/// How much of a change matters, as shares of the base's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Margin {
    /// What must be caught, and what no change stays within.
    pub threshold: f64,
    /// The least effect that is a finding.
    pub least_effect: f64,
}

impl Margin {
    /// The margin of this threshold.
    pub fn of(threshold: f64) -> Self {
        Self { threshold, least_effect: LEAST_EFFECT * threshold }
    }
}

/// The threshold of a metric, as a share; none where it is shown and never judged, as the largest value of a trial is.
pub(super) fn default_threshold(metric: &str) -> Option<f64> {
    match metric {
        "pause_max_ns" => None,
        "latency_p99_ns"
        | "latency_p999_ns"
        | "response_p99_ns"
        | "response_p999_ns"
        | "checkpoint_sync_ns"
        | "checkpoint_duration_ns"
        | "restore_duration_ns"
        | "store_bytes"
        | "checkpoint_written_bytes"
        | "checkpoint_full_bytes"
        | "write_amplification"
        | "read_amplification"
        | "space_amplification"
        | "index_reads_per_lookup" => Some(LOOSE_THRESHOLD),
        _ => Some(THRESHOLD),
    }
}

/// What one test is decided by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub margin: Margin,
    /// The level of the test for a change.
    pub alpha: f64,
    /// The level of each bound for no change.
    pub beta: f64,
    /// What two sessions on one machine may differ by where the sides were not measured in turn, as a share: no change below
    /// it, or below the threshold, is a finding. None where they were.
    pub session_spread: Option<f64>,
}

impl Rule {
    /// The least effect that is a finding, as a share.
    pub fn least_finding(&self) -> f64 {
        let Margin { threshold, least_effect } = self.margin;
        self.session_spread.map_or(least_effect, |spread| spread.max(threshold))
    }

    /// Decides on the shift of a metric's logarithm, positive where the candidate is worse.
    pub fn decide(&self, shift: &Shift) -> Verdict {
        let effect = shift.estimate();
        let finding = self.least_finding().ln_1p();
        let threshold = self.margin.threshold.ln_1p();
        let is_within = || {
            effect.abs() < self.margin.least_effect.ln_1p()
                && shift.upper_bound(self.beta).is_some_and(|bound| bound < threshold)
                && shift.lower_bound(self.beta).is_some_and(|bound| bound > -threshold)
        };
        if shift.p_above() <= self.alpha && effect >= finding {
            Verdict::Regressed
        } else if shift.p_below() <= self.alpha && effect <= -finding {
            Verdict::Improved
        } else if is_within() {
            Verdict::NoChange
        } else {
            Verdict::Inconclusive
        }
    }

    /// The least change that would have been found with probability 0.95, as a share; none where the values are too few.
    pub fn detectable(&self, shift: &Shift) -> Option<f64> {
        shift.detectable(self.alpha).map(|log| log.exp_m1().max(self.least_finding()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Rng, Stream};

    /// Metrics of a gate.
    const TESTS: usize = 12;

    fn rule() -> Rule {
        Rule { margin: Margin::of(0.05), alpha: 0.01 / TESTS as f64, beta: 0.01, session_spread: None }
    }

    /// Log ratios of pairs: a shift, normal noise, and in one pair of ten five times the noise.
    fn pairs(rng: &mut Rng, n: usize, shift: f64, deviation: f64) -> Vec<f64> {
        let mut noise = || {
            let (radius, angle) = (1.0 - rng.unit(), std::f64::consts::TAU * rng.unit());
            let outlier = if rng.unit() < 0.1 { 5.0 } else { 1.0 };
            outlier * deviation * (-2.0 * libm::log(radius)).sqrt() * libm::cos(angle)
        };
        (0..n).map(|_| shift + noise()).collect()
    }

    fn count(verdict: Verdict, draws: usize, mut draw: impl FnMut() -> Vec<f64>) -> usize {
        (0..draws).filter(|_| rule().decide(&Shift::of_pairs(&draw()).unwrap()) == verdict).count()
    }

    #[test]
    fn label_flips_of_one_noise_stay_below_the_promised_alarms() {
        let mut rng = Rng::for_block(1, Stream::Order, 0);
        let measured: Vec<_> = (0..TESTS).map(|_| pairs(&mut rng, 20, 0.0, 0.08)).collect();
        // A gate is red where any of its metrics is. Swapping the sides of a pair flips it in every metric.
        let mut red = || {
            let flips: Vec<_> = (0..20).map(|_| if rng.below(2) == 0 { -1.0 } else { 1.0 }).collect();
            let flipped = |metric: &Vec<f64>| metric.iter().zip(&flips).map(|(d, flip)| d * flip).collect::<Vec<_>>();
            let mut verdicts = measured.iter().map(|metric| rule().decide(&Shift::of_pairs(&flipped(metric)).unwrap()));
            verdicts.any(|verdict| verdict == Verdict::Regressed)
        };
        let alarms = (0..4_000).filter(|_| red()).count();
        // At most 1 %, with three standard errors of 4,000 draws.
        assert!(alarms <= 59, "{alarms}");
    }

    #[test]
    fn a_true_change_of_the_threshold_is_caught_where_noise_is_no_larger() {
        let mut rng = Rng::for_block(2, Stream::Order, 0);
        let shift = 0.05_f64.ln_1p();
        let caught = count(Verdict::Regressed, 400, || pairs(&mut rng, 45, shift, 0.04));
        assert!(caught >= 380, "{caught} of 400");
        let improved = count(Verdict::Improved, 400, || pairs(&mut rng, 45, -shift, 0.04));
        assert!(improved >= 380, "{improved} of 400");
        let cleared = count(Verdict::NoChange, 400, || pairs(&mut rng, 45, shift, 0.04));
        assert!(cleared <= 4, "{cleared} of 400");
    }

    #[test]
    fn an_unchanged_program_is_cleared() {
        let mut rng = Rng::for_block(3, Stream::Order, 0);
        let cleared = count(Verdict::NoChange, 400, || pairs(&mut rng, 30, 0.0, 0.03));
        assert!(cleared >= 390, "{cleared} of 400");
    }

    #[test]
    fn what_is_significant_but_small_is_no_finding() {
        let small: Vec<f64> = (0..30).map(|i| 0.02 + f64::from(i) * 1e-5).collect();
        let shift = Shift::of_pairs(&small).unwrap();
        assert!(shift.p_above() < 1e-8);
        assert_eq!(rule().decide(&shift), Verdict::NoChange);
    }

    #[test]
    fn sides_of_two_sessions_must_differ_by_more_than_sessions_do() {
        let base: Vec<f64> = (0..20).map(|i| f64::from(i) * 1e-4).collect();
        let above = |by: f64| {
            let candidate: Vec<f64> = base.iter().map(|value| value + by).collect();
            Shift::of_samples(&base, &candidate).unwrap()
        };
        let with = |session_spread| Rule { session_spread, ..rule() };
        assert_eq!(with(None).decide(&above(0.04)), Verdict::Regressed);
        assert_eq!(with(Some(0.0)).decide(&above(0.04)), Verdict::Inconclusive, "below the threshold");
        assert_eq!(with(Some(0.0)).decide(&above(0.06)), Verdict::Regressed);
        assert_eq!(with(Some(0.1)).decide(&above(0.06)), Verdict::Inconclusive);
        assert_eq!(with(Some(0.1)).decide(&above(-0.12)), Verdict::Improved);
        assert_eq!(with(Some(0.1)).decide(&above(0.001)), Verdict::NoChange);
        assert!((with(Some(0.1)).detectable(&above(0.0)).unwrap() - 0.1).abs() < 0.01);
    }

    #[test]
    fn one_pair_decides_nothing() {
        for value in [0.0, 1.0, -1.0] {
            let shift = Shift::of_pairs(&[value]).unwrap();
            assert_eq!((rule().decide(&shift), rule().detectable(&shift)), (Verdict::Inconclusive, None));
        }
    }

    #[test]
    fn tails_have_a_wider_threshold_and_the_largest_value_none() {
        let of = default_threshold;
        assert_eq!([of("latency_p50_ns"), of("latency_p99_ns"), of("pause_max_ns")], [Some(0.05), Some(0.15), None]);
        let known: Vec<_> = crate::result::METRICS.iter().map(|metric| metric.name).collect();
        for named in [
            "pause_max_ns",
            "latency_p999_ns",
            "response_p999_ns",
            "checkpoint_sync_ns",
            "restore_duration_ns",
            "store_bytes",
        ] {
            assert!(known.contains(&named), "{named}");
        }
    }
}
