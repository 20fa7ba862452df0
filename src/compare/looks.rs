//! The tests of a comparison: one look at all trials, or the looks that an interleaved run has made.
//!
//! Each look of an interleaved run spends an equal share of the probability of a false alarm, and the first that comes to a
//! verdict on a metric freezes it: later pairs, which are run because of other metrics, do not touch it again.

use std::collections::BTreeMap;

use super::Parameters;
use super::comparison::Compared;
use super::metrics::{Design, MetricComparison, Sampled, sample};
use super::verdict::Verdict;
use crate::result::{Interleaved, METRICS};

/// Metrics that are not tested where sizes are compared exactly.
const SIZES: [&str; 2] = ["checkpoint_written_bytes", "checkpoint_full_bytes"];

/// What the tests came to.
pub(super) struct Tested {
    /// How many tests share the probability of a false alarm.
    pub tests: usize,
    /// The level of each, at each look.
    pub alpha: f64,
    /// The metrics of each pair of cells.
    pub metrics: Vec<Vec<MetricComparison>>,
}

/// Which cells, and the place of the metric in the table.
type Key = (usize, usize);

impl Tested {
    /// Makes the tests of all cells.
    pub fn of(
        cells: &[Compared<'_>],
        (design, interleaved): (Design, Option<&Interleaved>),
        parameters: &Parameters,
    ) -> Self {
        let made = interleaved.map_or(&[][..], |interleaved| &interleaved.looks);
        let (looks, share) = match interleaved {
            Some(interleaved) if !made.is_empty() => (made, f64::from(interleaved.planned_looks.max(1))),
            _ => (&[u32::MAX][..], 1.0),
        };
        let mut found: BTreeMap<Key, MetricComparison> = BTreeMap::new();
        let mut tests = None;
        let mut alpha = parameters.alpha;
        for (pairs, look) in looks.iter().zip(1..) {
            let sampled = at(*pairs, cells, design, parameters);
            let first: &Vec<Key> = tests
                .get_or_insert_with(|| sampled.iter().filter(|(_, one)| one.is_test()).map(|(key, _)| *key).collect());
            alpha = parameters.alpha / first.len().max(1) as f64 / share;
            for (key, mut one) in sampled {
                if found.get(&key).is_some_and(|known| known.look.is_some()) {
                    continue;
                }
                let is_test = one.is_test();
                if is_test && !first.contains(&key) {
                    // It has no part of the probability that the looks share.
                    one.withhold("not in the first look");
                }
                let mut metric = one.decide(alpha, parameters);
                let is_decided = metric.is_tested() && metric.verdict != Some(Verdict::Inconclusive);
                metric.look = (is_test && is_decided && !made.is_empty()).then_some(look);
                found.insert(key, metric);
            }
        }
        let mut metrics: Vec<Vec<_>> = cells.iter().map(|_| Vec::new()).collect();
        for ((cell, _), metric) in found {
            metrics[cell].push(metric);
        }
        Self { tests: tests.map_or(0, |tests| tests.len()), alpha, metrics }
    }
}

/// The metrics of all cells after so many pairs.
fn at(pairs: u32, cells: &[Compared<'_>], design: Design, parameters: &Parameters) -> Vec<(Key, Sampled)> {
    let mut all = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let exact: &[_] = if cell.has_exact_sizes() { &SIZES } else { &[] };
        let seen: Vec<_> = cell.pairs.iter().filter(|(base, _)| base.repeat < pairs).copied().collect();
        let seen = (design == Design::Paired).then_some(&seen[..]);
        for sampled in sample(cell.base, cell.candidate, seen, parameters, exact) {
            let place = METRICS.iter().position(|metric| metric.name == sampled.name()).unwrap_or(METRICS.len());
            all.push(((index, place), sampled));
        }
    }
    all
}
