//! By how much one sample lies above another.

use super::normal;
use super::null::Null;
use super::{median_of_sorted, robust_deviation};

/// The power for which [`Shift::detectable`] is told.
const POWER: f64 = 0.95;
/// What ranks lose against the mean under normal noise: the square root of 1.1, rounded.
const RANK_LOSS: f64 = 1.05;

/// A shift between two samples: its estimate by Hodges and Lehmann, bounds by inverting the rank test, and the test.
pub struct Shift {
    /// Averages of two differences, or differences of two values, in ascending order: the shift's estimate is their median.
    candidates: Vec<f64>,
    null: Null,
    p_above: f64,
    p_below: f64,
    deviation: f64,
    standard_error: f64,
}

impl Shift {
    /// The shift of pairs, from the difference of each: Wilcoxon's signed-rank test, Walsh averages. None of no pairs, and
    /// where a difference is not a number.
    pub fn of_pairs(differences: &[f64]) -> Option<Self> {
        let deviation = robust_deviation(differences)?;
        if !differences.iter().all(|difference| difference.is_finite()) {
            return None;
        }
        let (ranks, above) = signed_ranks(differences);
        let test = Null::signed_sum(&ranks);
        let pairs = differences.iter().enumerate();
        let averages = pairs.flat_map(|(i, a)| differences[i..].iter().map(|b| f64::midpoint(*a, *b)));
        Some(Self {
            candidates: sorted(averages.collect()),
            null: Null::signed_ranks(differences.len()),
            p_above: test.at_least(above),
            p_below: test.at_least(test.top() - above),
            deviation,
            standard_error: deviation / (differences.len() as f64).sqrt(),
        })
    }

    /// The shift from `base` to `candidate` where their values have nothing to do with each other: the test of Mann and
    /// Whitney, differences of two values. None where a sample is empty or a value is not a number.
    pub fn of_samples(base: &[f64], candidate: &[f64]) -> Option<Self> {
        let deviations = [robust_deviation(base)?, robust_deviation(candidate)?];
        if !base.iter().chain(candidate).all(|value| value.is_finite()) {
            return None;
        }
        let (m, n) = (base.len(), candidate.len());
        let null = Null::mann_whitney(m, n);
        let (ranks, sum) = rank_sum(base, candidate);
        let is_tied = ranks.windows(2).any(|two| two[0] == two[1]);
        let tied = is_tied.then(|| Null::tied_mann_whitney(&ranks, n));
        let above = sum - n * (n + 1);
        let p = |above: usize| tied.as_ref().map_or_else(|| null.at_least(above / 2), |tied| tied.at_least(above));
        let variance_of_mean = deviations[0].powi(2) / m as f64 + deviations[1].powi(2) / n as f64;
        let differences = base.iter().flat_map(|b| candidate.iter().map(move |c| c - b));
        Some(Self {
            p_above: p(above),
            p_below: p(2 * m * n - above),
            candidates: sorted(differences.collect()),
            null,
            deviation: deviations[0].hypot(deviations[1]),
            standard_error: variance_of_mean.sqrt(),
        })
    }

    /// The estimate of Hodges and Lehmann.
    pub fn estimate(&self) -> f64 {
        median_of_sorted(&self.candidates).unwrap_or_default()
    }

    /// The probability, where nothing differs, of what lies at least as far above zero.
    pub fn p_above(&self) -> f64 {
        self.p_above
    }

    /// The probability, where nothing differs, of what lies at least as far below zero.
    pub fn p_below(&self) -> f64 {
        self.p_below
    }

    /// The least probability that the test can come to with so many values.
    pub fn least_p(&self) -> f64 {
        self.null.at_least(self.null.top())
    }

    /// The bound that the shift lies below with at most this probability; none where the values are too few for one.
    pub fn lower_bound(&self, probability: f64) -> Option<f64> {
        let critical = self.null.critical(probability)?;
        self.candidates.get(self.candidates.len() - critical).copied()
    }

    /// The bound that the shift lies above with at most this probability; none where the values are too few for one.
    pub fn upper_bound(&self, probability: f64) -> Option<f64> {
        let critical = self.null.critical(probability)?;
        self.candidates.get(critical - 1).copied()
    }

    /// The robust standard deviation of a difference.
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    /// The shift that a one-sided test at this level finds with probability 0.95, under noise as measured; none where the
    /// values are too few for any.
    pub fn detectable(&self, level: f64) -> Option<f64> {
        (self.least_p() <= level).then_some(visible(level) * self.standard_error)
    }
}

/// The shift that a one-sided test at this level finds with probability 0.95 in so many pairs, where the difference of one has
/// this standard deviation.
pub fn detectable_in(pairs: u32, deviation: f64, level: f64) -> f64 {
    visible(level) * deviation / f64::from(pairs.max(1)).sqrt()
}

/// How many standard errors a shift is that a one-sided test at this level finds with probability 0.95.
fn visible(level: f64) -> f64 {
    RANK_LOSS * (normal::exceeded_with(level) + normal::exceeded_with(1.0 - POWER))
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Twice the rank of each of these values in ascending order, ties at their mean rank.
fn doubled_ranks(sorted: &[f64]) -> Vec<usize> {
    let mut doubled = Vec::with_capacity(sorted.len());
    for tied in sorted.chunk_by(|a, b| a.total_cmp(b).is_eq()) {
        let (first, last) = (doubled.len() + 1, doubled.len() + tied.len());
        doubled.extend(tied.iter().map(|_| first + last));
    }
    doubled
}

/// The ranks of the distances from zero, zeros left out, and the sum of those of positive differences; all doubled where a
/// tie has a mean rank between two.
fn signed_ranks(differences: &[f64]) -> (Vec<usize>, usize) {
    let mut differences: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    differences.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    let distances: Vec<_> = differences.iter().map(|difference| difference.abs()).collect();
    let doubled = doubled_ranks(&distances);
    let unit = if doubled.iter().all(|rank| rank % 2 == 0) { 2 } else { 1 };
    let ranks: Vec<_> = doubled.iter().map(|rank| rank / unit).collect();
    let signed = differences.iter().zip(&ranks);
    let above = signed.filter(|(difference, _)| **difference > 0.0).map(|(_, rank)| rank).sum();
    (ranks, above)
}

/// Twice the ranks of all values, and the sum of those of the candidate.
fn rank_sum(base: &[f64], candidate: &[f64]) -> (Vec<usize>, usize) {
    let of_base = base.iter().map(|value| (*value, false));
    let mut values: Vec<_> = of_base.chain(candidate.iter().map(|value| (*value, true))).collect();
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let ranks = doubled_ranks(&values.iter().map(|(value, _)| *value).collect::<Vec<_>>());
    let sum = values.iter().zip(&ranks).filter(|((_, is_candidate), _)| *is_candidate).map(|(_, rank)| rank).sum();
    (ranks, sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Rng, Stream};
    use proptest::prelude::*;

    /// A standard normal variable, by Box and Muller.
    fn normal_draw(rng: &mut Rng) -> f64 {
        let (radius, angle) = (1.0 - rng.unit(), std::f64::consts::TAU * rng.unit());
        (-2.0 * libm::log(radius)).sqrt() * libm::cos(angle)
    }

    fn rng(seed: u64) -> Rng {
        Rng::for_block(seed, Stream::Order, 0)
    }

    /// The share of all signs of the distances under which the positive mean ranks sum to at least what they do.
    fn by_enumeration(differences: &[f64]) -> f64 {
        let distances: Vec<f64> = differences.iter().map(|d| d.abs()).filter(|d| *d != 0.0).collect();
        let rank = |d: f64| {
            let not_above = distances.iter().filter(|other| **other <= d).count();
            let below = distances.iter().filter(|other| **other < d).count();
            f64::midpoint((below + 1) as f64, not_above as f64)
        };
        let observed: f64 = differences.iter().filter(|d| **d > 0.0).map(|d| rank(*d)).sum();
        let signs = 0..1_usize << distances.len();
        let sum = |signs: usize| -> f64 {
            distances.iter().enumerate().filter(|(i, _)| signs >> i & 1 == 1).map(|(_, d)| rank(*d)).sum()
        };
        signs.clone().filter(|signs| sum(*signs) >= observed - 1e-9).count() as f64 / signs.len() as f64
    }

    /// The share of all choices of the candidate's values from both samples that lie at least as far above the others.
    fn by_rearrangement(base: &[f64], candidate: &[f64]) -> f64 {
        let all: Vec<f64> = base.iter().chain(candidate).copied().collect();
        let statistic = |chosen: &dyn Fn(usize) -> bool| -> f64 {
            let count = |i: usize, j: usize| f64::midpoint(f64::from(all[j] > all[i]), f64::from(all[j] >= all[i]));
            let others = (0..all.len()).filter(|i| !chosen(*i));
            others.map(|i| (0..all.len()).filter(|j| chosen(*j)).map(|j| count(i, j)).sum::<f64>()).sum()
        };
        let observed = statistic(&|i| i >= base.len());
        let choices = (0..1_usize << all.len()).filter(|bits| bits.count_ones() as usize == candidate.len());
        let values: Vec<f64> = choices.map(|bits| statistic(&|i| bits >> i & 1 == 1)).collect();
        values.iter().filter(|value| **value >= observed).count() as f64 / values.len() as f64
    }

    proptest! {
        #[test]
        fn signed_ranks_agree_with_enumeration(halves in prop::collection::vec(-6_i32..=6, 1..=6)) {
            let differences: Vec<f64> = halves.iter().map(|half| f64::from(*half) / 2.0).collect();
            let shift = Shift::of_pairs(&differences).unwrap();
            prop_assert!((shift.p_above() - by_enumeration(&differences)).abs() < 1e-12);
        }

        #[test]
        fn two_samples_agree_with_rearrangement(
            base in prop::collection::hash_set(0_u16..1000, 1..=5),
            candidate in prop::collection::hash_set(1000_u16..2000, 1..=5),
            overlap in 0.0..1000.0_f64,
        ) {
            let base: Vec<f64> = base.into_iter().map(f64::from).collect();
            let candidate: Vec<f64> = candidate.into_iter().map(|value| f64::from(value) - overlap.round() - 0.5).collect();
            let shift = Shift::of_samples(&base, &candidate).unwrap();
            prop_assert!((shift.p_above() - by_rearrangement(&base, &candidate)).abs() < 1e-12);
        }

        #[test]
        fn swapping_the_sides_mirrors_everything(base in prop::collection::vec(-9.0..9.0_f64, 1..12), extra in -3.0..3.0_f64) {
            let candidate: Vec<f64> = base.iter().rev().map(|value| value * 0.7 + extra).collect();
            let (there, back) = (Shift::of_samples(&base, &candidate).unwrap(), Shift::of_samples(&candidate, &base).unwrap());
            mirrored(&there, &back)?;
            let negative: Vec<f64> = base.iter().map(|value| -value).collect();
            mirrored(&Shift::of_pairs(&base).unwrap(), &Shift::of_pairs(&negative).unwrap())?;
        }

        #[test]
        fn bounds_hold_the_estimate_and_grow_with_confidence(values in prop::collection::vec(-9.0..9.0_f64, 8..20)) {
            let shift = Shift::of_pairs(&values).unwrap();
            let bounds = |a| (shift.lower_bound(a).unwrap(), shift.upper_bound(a).unwrap());
            let ((low, high), (lower, higher)) = (bounds(0.1), bounds(0.01));
            prop_assert!(lower <= low && low <= shift.estimate() && shift.estimate() <= high && high <= higher);
        }
    }

    fn mirrored(there: &Shift, back: &Shift) -> Result<(), TestCaseError> {
        prop_assert!((there.estimate() + back.estimate()).abs() < 1e-12);
        prop_assert!((there.p_above() - back.p_below()).abs() < 1e-12);
        match (there.lower_bound(0.05), back.upper_bound(0.05)) {
            (Some(low), Some(high)) => prop_assert!((low + high).abs() < 1e-12),
            (low, high) => prop_assert_eq!(low, high),
        }
        Ok(())
    }

    #[test]
    fn equal_values_are_tested_exactly() {
        let mut rng = rng(3);
        for _ in 0..200 {
            let mut draw = |n: u64| (0..=rng.below(n)).map(|_| rng.below(4) as f64).collect::<Vec<_>>();
            let (base, candidate) = (draw(5), draw(5));
            let shift = Shift::of_samples(&base, &candidate).unwrap();
            assert!((shift.p_above() - by_rearrangement(&base, &candidate)).abs() < 1e-12, "{base:?} {candidate:?}");
        }
    }

    #[test]
    fn a_value_that_is_no_number_gives_no_shift() {
        assert!(Shift::of_pairs(&[]).is_none() && Shift::of_samples(&[], &[1.0]).is_none());
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Shift::of_pairs(&[0.1, bad]).is_none() && Shift::of_samples(&[bad], &[1.0]).is_none());
        }
    }

    #[test]
    fn too_few_values_have_no_bounds_and_detect_nothing() {
        let shift = Shift::of_pairs(&[0.1, 0.2, 0.3]).unwrap();
        assert_eq!((shift.least_p(), shift.lower_bound(0.05), shift.detectable(0.05)), (0.125, None, None));
        assert!(Shift::of_samples(&[1.0], &[2.0]).unwrap().upper_bound(0.025).is_none());
    }

    #[test]
    fn an_interval_covers_the_truth_as_often_as_it_says() {
        const TRUTH: f64 = 0.3;
        let mut rng = rng(1);
        let (mut covered_by_pairs, mut covered_by_samples, draws) = (0, 0, 1_000);
        let covers =
            |shift: &Shift| shift.lower_bound(0.025).unwrap() <= TRUTH && TRUTH <= shift.upper_bound(0.025).unwrap();
        for _ in 0..draws {
            let mut draw = |shift: f64| (0..12).map(|_| shift + normal_draw(&mut rng)).collect::<Vec<_>>();
            covered_by_pairs += u32::from(covers(&Shift::of_pairs(&draw(TRUTH)).unwrap()));
            covered_by_samples += u32::from(covers(&Shift::of_samples(&draw(0.0), &draw(TRUTH)).unwrap()));
        }
        // At least 95 %, less three standard errors of 1,000 draws.
        assert!(covered_by_pairs >= 930 && covered_by_samples >= 930, "{covered_by_pairs} {covered_by_samples}");
    }

    #[test]
    fn what_is_called_detectable_is_found_nineteen_times_in_twenty() {
        let (n, deviation, level, mut rng) = (40, 0.04, 0.001, rng(2));
        let mut draw = |shift: f64| (0..n).map(|_| shift + deviation * normal_draw(&mut rng)).collect::<Vec<_>>();
        let pilot = Shift::of_pairs(&(0..400).flat_map(|_| draw(0.0)).take(200).collect::<Vec<_>>()).unwrap();
        let shift = pilot.detectable(level).unwrap() * (200.0_f64 / f64::from(n)).sqrt();
        assert!((detectable_in(n as u32, pilot.deviation(), level) / shift - 1.0).abs() < 1e-9);
        let found = (0..1_000).filter(|_| Shift::of_pairs(&draw(shift)).unwrap().p_above() <= level).count();
        assert!((920..=990).contains(&found), "{found}");
    }
}
