//! Where a series changes its level: E-divisive, in windows.
//!
//! Matteson and James, *A nonparametric approach for multiple change point analysis of multivariate data* (2014): the energy
//! distance between what lies before and behind a split, the best split by it, and a permutation test. In windows, so that what
//! happened long ago does not hide what happened lately, and with a second test of every point between its neighbours, as in
//! Fleming et al., *Hunter: using change point detection to hunt for performance regressions* (2023).

use super::median;
use crate::workload::{Rng, Stream};

/// Values that lie on each side of a change, at least.
pub const LEAST_SIDE: usize = 5;
/// Values of a window.
const WINDOW: usize = 50;
/// Permutations of a test; with the observed order they give probabilities down to a 2,000th.
const PERMUTATIONS: usize = 1_999;
/// The probability, where nothing changed, below which a split is a change.
const LEVEL: f64 = 0.001;
/// The seed of the permutations: the same series always has the same changes.
const SEED: u64 = 1;

/// A change of level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Position of the first value behind it.
    pub at: usize,
    /// Median of the values from the change before it on.
    pub before: f64,
    /// Median of the values behind it, up to the next change.
    pub after: f64,
    /// The probability of as good a split where nothing changed, of the values between its neighbours.
    pub p: f64,
}

/// The changes of a series by at least this share of the level before, in their order. Nothing is found in fewer than ten values,
/// nor where one is not a positive number.
pub fn changes(values: &[f64], least_share: f64) -> Vec<Change> {
    if !values.iter().all(|value| value.is_finite() && *value > 0.0) {
        return Vec::new();
    }
    let logs: Vec<_> = values.iter().map(|value| value.ln()).collect();
    let mut points = Vec::new();
    let mut start = 0;
    loop {
        let end = (start + WINDOW).min(logs.len());
        divide(&logs[start..end], start, &mut points);
        if end == logs.len() {
            break;
        }
        start += WINDOW / 2;
    }
    points.sort_unstable();
    points.dedup();
    prune(values, &logs, points, least_share.ln_1p())
}

/// Adds the changes of a part of the series, by its best split and those of both halves.
fn divide(part: &[f64], offset: usize, points: &mut Vec<usize>) {
    let Some((at, energy)) = best_split(part) else { return };
    if permuted(part, energy, |values| best_split(values).map_or(0.0, |(_, energy)| energy)) < LEVEL {
        divide(&part[..at], offset, points);
        points.push(offset + at);
        divide(&part[at..], offset + at, points);
    }
}

/// Tests each point between its neighbours, and takes the least sure away until all that are left are changes.
fn prune(values: &[f64], logs: &[f64], mut points: Vec<usize>, least_log: f64) -> Vec<Change> {
    loop {
        let bounds = |index: usize| {
            let from = if index == 0 { 0 } else { points[index - 1] };
            (from, points[index], points.get(index + 1).copied().unwrap_or(values.len()))
        };
        let tested = (0..points.len()).map(|index| {
            let (from, at, to) = bounds(index);
            let own = &logs[from..to];
            let split = at - from;
            let p = permuted(own, energy(own, split), |permuted| energy(permuted, split));
            let level = |part: &[f64]| median(part).unwrap_or(f64::NAN);
            Change { at, before: level(&values[from..at]), after: level(&values[at..to]), p }
        });
        let found: Vec<_> = tested.collect();
        let is_change = |change: &Change| {
            let is_long = change.at >= LEAST_SIDE && values.len() - change.at >= LEAST_SIDE;
            change.p < LEVEL && (change.after / change.before).ln().abs() >= least_log && is_long
        };
        let sizes = |change: &Change| (change.after / change.before).ln().abs();
        let weakest = found.iter().enumerate().filter(|(_, change)| !is_change(change));
        match weakest.min_by(|a, b| sizes(a.1).total_cmp(&sizes(b.1))).map(|(index, _)| index) {
            Some(index) => drop(points.remove(index)),
            None => return found,
        }
    }
}

/// The share of orders of some values, the observed one among them, whose figure is at least this large.
fn permuted(values: &[f64], observed: f64, figure: impl Fn(&[f64]) -> f64) -> f64 {
    let mut rng = Rng::for_block(SEED, Stream::Order, values.len() as u64);
    let mut shuffled = values.to_vec();
    let mut as_large = 1;
    for _ in 0..PERMUTATIONS {
        for end in (1..shuffled.len()).rev() {
            shuffled.swap(end, rng.below(end as u64 + 1) as usize);
        }
        // Sums in another order differ in their last digits.
        as_large += usize::from(figure(&shuffled) >= observed * (1.0 - 1e-12));
        // Most tests are of parts without a change: what cannot come below the level any more need not go on.
        if as_large as f64 > 10.0 * LEVEL * (PERMUTATIONS + 1) as f64 {
            return as_large as f64 / (PERMUTATIONS + 1) as f64;
        }
    }
    as_large as f64 / (PERMUTATIONS + 1) as f64
}

/// The split with the largest energy distance, with enough values on both sides.
fn best_split(values: &[f64]) -> Option<(usize, f64)> {
    let n = values.len();
    if n < 2 * LEAST_SIDE {
        return None;
    }
    // Sums of distances within the first values, within the last, and between both, as one value after another changes sides.
    let distance = |i: usize, j: usize| (values[i] - values[j]).abs();
    let to = |i: usize, range: std::ops::Range<usize>| range.map(|j| distance(i, j)).sum::<f64>();
    let (mut before, mut between) = (0.0, 0.0);
    let mut after: f64 = (0..n).map(|i| to(i, 0..i)).sum();
    let mut best: Option<(usize, f64)> = None;
    for moved in 0..n - LEAST_SIDE {
        let (to_before, to_after) = (to(moved, 0..moved), to(moved, moved + 1..n));
        between += to_after - to_before;
        before += to_before;
        after -= to_after;
        let split = moved + 1;
        let energy = energy_of((before, between, after), split, n - split);
        if split >= LEAST_SIDE && best.is_none_or(|(_, most)| energy > most) {
            best = Some((split, energy));
        }
    }
    best
}

/// The energy distance between what lies before a position and what does not.
fn energy(values: &[f64], split: usize) -> f64 {
    let (first, last) = values.split_at(split);
    let within = |part: &[f64]| -> f64 {
        part.iter().enumerate().map(|(i, a)| part[..i].iter().map(|b| (a - b).abs()).sum::<f64>()).sum()
    };
    let between = first.iter().map(|a| last.iter().map(|b| (a - b).abs()).sum::<f64>()).sum();
    energy_of((within(first), between, within(last)), first.len(), last.len())
}

/// Formula 5 of Matteson and James, with α = 1, from sums of distances.
fn energy_of((before, between, after): (f64, f64, f64), m: usize, n: usize) -> f64 {
    let (m, n) = (m as f64, n as f64);
    let pairs = |n: f64| n * (n - 1.0) / 2.0;
    let mean = |sum: f64, pairs: f64| if pairs > 0.0 { sum / pairs } else { 0.0 };
    let distance = 2.0 * between / (m * n) - mean(before, pairs(m)) - mean(after, pairs(n));
    m * n / (m + n) * distance
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A series of levels, each of so many values, with noise of a share.
    fn series(levels: &[(f64, usize)], noise: f64, seed: u64) -> Vec<f64> {
        let mut rng = Rng::for_block(seed, Stream::Order, 0);
        let mut normal = || {
            let (radius, angle) = (1.0 - rng.unit(), std::f64::consts::TAU * rng.unit());
            (-2.0 * libm::log(radius)).sqrt() * libm::cos(angle)
        };
        let values = levels.iter().flat_map(|(level, n)| std::iter::repeat_n(*level, *n));
        values.map(|level| level * libm::exp(noise * normal())).collect()
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        for (before, after) in [(20, 20), (70, 8), (10, 60)] {
            let values = series(&[(100.0, before), (92.0, after)], 0.01, 3);
            let found = changes(&values, 0.03);
            assert_eq!(found.len(), 1, "{before} {after}: {found:?}");
            assert!(found[0].at.abs_diff(before) <= 1, "{found:?}");
            assert!((found[0].after / found[0].before - 0.92).abs() < 0.01 && found[0].p < LEVEL);
        }
    }

    #[test]
    fn steps_and_a_slow_drift_are_told_from_noise() {
        let values = series(&[(100.0, 30), (110.0, 30), (95.0, 30)], 0.01, 4);
        let at: Vec<_> = changes(&values, 0.03).iter().map(|change| change.at).collect();
        assert!(at.len() == 2 && at[0].abs_diff(30) <= 1 && at[1].abs_diff(60) <= 1, "{at:?}");
        let mut drift = series(&[(100.0, 80)], 0.01, 5);
        drift.iter_mut().zip(0..).for_each(|(value, place)| *value *= 1.0 + 0.002 * f64::from(place));
        assert!(!changes(&drift, 0.03).is_empty());
    }

    #[test]
    fn noise_alone_has_hardly_ever_a_change() {
        let alarms =
            (0..100).filter(|seed| !changes(&series(&[(100.0, 40)], 0.05, 100 + seed), 0.03).is_empty()).count();
        assert!(alarms <= 2, "{alarms} of 100");
    }

    #[test]
    fn what_is_small_or_short_or_no_number_is_no_change() {
        assert!(changes(&series(&[(100.0, 30), (101.5, 30)], 0.001, 6), 0.03).is_empty());
        assert!(changes(&series(&[(100.0, 30), (150.0, 4)], 0.01, 6), 0.03).is_empty());
        assert!(
            changes(&[1.0; 9], 0.03).is_empty()
                && changes(&[], 0.03).is_empty()
                && changes(&[1.0; 30], 0.03).is_empty()
        );
        let mut values = series(&[(100.0, 10), (150.0, 10)], 0.01, 6);
        values[3] = f64::NAN;
        assert!(changes(&values, 0.03).is_empty());
    }

    #[test]
    fn the_best_split_is_the_one_of_the_largest_energy() {
        let values = series(&[(1.0, 9), (3.0, 8)], 0.4, 8);
        let all = (LEAST_SIDE..=values.len() - LEAST_SIDE).map(|split| (split, energy(&values, split)));
        let most = all.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        let found = best_split(&values).unwrap();
        assert_eq!(found.0, most.0);
        assert!((found.1 - most.1).abs() < 1e-9);
        assert_eq!(best_split(&values[..9]), None);
    }
}
