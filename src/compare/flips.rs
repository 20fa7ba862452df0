//! How often a comparison would have raised a false alarm: the sides of pairs that do not differ, swapped at random.

use super::comparison::Comparison;
use super::metrics::MetricComparison;
use crate::statistics::{Flips, LOOKS, Shift, planned_looks};
use crate::workload::{Rng, Stream};

/// What came of drawing the sides of pairs anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FalseAlarms {
    /// Draws in which any metric regressed at any look.
    pub alarms: u32,
    /// Draws.
    pub draws: u32,
    /// Pairs that were drawn from.
    pub pairs: usize,
}

/// One metric over all pairs.
struct Series {
    differences: Vec<f64>,
    least_log: f64,
}

impl FalseAlarms {
    /// Of comparisons of sides that do not differ, each at one look, whose pairs are put one behind the other. A draw takes
    /// successive pairs from a random place on, as many as the last planned look has, tosses a coin for the sides of each pair
    /// and makes the planned looks; the coin is the same for all metrics of a pair. Metrics that a pair lacks are left out. None
    /// where there is nothing to draw from.
    pub fn of(comparisons: &[Comparison], draws: u32, seed: u64) -> Option<Self> {
        let series = series(comparisons);
        let pairs = series.first()?.differences.len();
        let test_alpha = comparisons.first()?.alpha / series.len() as f64;
        let looks: Vec<_> = planned_looks(test_alpha, LOOKS).iter().map(|look| (*look as usize).min(pairs)).collect();
        let level = test_alpha / f64::from(LOOKS);
        let last = looks.last().copied().filter(|last| *last > 0)?;
        // Ranks need to be found but once for each place to begin at.
        let places: Vec<_> =
            if pairs > last { (0..=pairs - last).step_by(((pairs - last) / 50).max(1)).collect() } else { vec![0] };
        let mut alarms = 0;
        let mut rng = Rng::for_block(seed, Stream::Order, 0);
        for (place, index) in places.iter().zip(0..) {
            let tests = tests(&series, *place, &looks, level);
            let share = |index: u32| u64::from(draws) * u64::from(index) / places.len() as u64;
            for _ in share(index)..share(index + 1) {
                let coins: Vec<_> = (0..last).map(|_| rng.below(2) == 0).collect();
                alarms += u32::from(tests.iter().any(|test| test.is_alarm(&coins)));
            }
        }
        Some(Self { alarms, draws, pairs })
    }
}

/// One metric at one look.
struct Test<'a> {
    differences: &'a [f64],
    flips: Flips,
    least_log: f64,
}

impl Test<'_> {
    /// Whether it is a regression with the sides of some pairs swapped.
    fn is_alarm(&self, coins: &[bool]) -> bool {
        let flipped = |i: usize| if coins[i] { self.differences[i] } else { -self.differences[i] };
        if !self.flips.is_above(|i| flipped(i) > 0.0) {
            return false;
        }
        let flipped: Vec<_> = (0..self.differences.len()).map(flipped).collect();
        Shift::of_pairs(&flipped).is_some_and(|shift| shift.estimate() >= self.least_log)
    }
}

fn tests<'a>(series: &'a [Series], place: usize, looks: &[usize], level: f64) -> Vec<Test<'a>> {
    let mut looks = looks.to_vec();
    looks.dedup();
    let of_metric = |own: &'a Series| {
        let test = |look: &usize| {
            let differences = &own.differences[place..place + look];
            Some(Test { differences, flips: Flips::of(differences, level)?, least_log: own.least_log })
        };
        looks.iter().filter_map(test).collect::<Vec<_>>()
    };
    series.iter().flat_map(of_metric).collect()
}

/// The tested metrics that every pair of all comparisons has.
fn series(comparisons: &[Comparison]) -> Vec<Series> {
    let Some(first) = comparisons.first() else { return Vec::new() };
    let mut all = Vec::new();
    for (group, place) in first.groups.iter().zip(0..) {
        let most = group.metrics.iter().map(|metric| metric.pair_log_ratios.len()).max().unwrap_or(0);
        for metric in group.metrics.iter().filter(|metric| metric.is_tested()) {
            let of = |comparison: &Comparison| -> Option<Vec<f64>> {
                let own = comparison.groups.get(place)?;
                let most = own.metrics.iter().map(|metric| metric.pair_log_ratios.len()).max()?;
                let named = own.metrics.iter().find(|other| other.metric == metric.metric);
                named.map(|own| own.pair_log_ratios.clone()).filter(|ratios| ratios.len() == most)
            };
            let Some(parts) = comparisons.iter().map(of).collect::<Option<Vec<_>>>() else { continue };
            if metric.pair_log_ratios.len() == most {
                all.push(Series { differences: parts.concat(), least_log: least_log(metric) });
            }
        }
    }
    // Groups with other numbers of pairs would need coins of their own.
    let pairs = all.first().map_or(0, |one| one.differences.len());
    all.retain(|one| one.differences.len() == pairs);
    all
}

fn least_log(metric: &MetricComparison) -> f64 {
    (metric.min_effect_percent.unwrap_or(0.0) / 100.0).ln_1p()
}
