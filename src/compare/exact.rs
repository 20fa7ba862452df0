//! What noise cannot change: any difference is one.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::observations::{Cell, Exact, ExactValue, Observation, Quantity};
use super::verdict::Verdict;

/// One exact quantity of two cells, over all pairs of trials that have it after the same events.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExactComparison {
    /// What it is.
    pub quantity: Quantity,
    /// Values that were compared.
    pub compared: usize,
    /// Values that differ.
    pub differing: usize,
    /// Events after which the values below were taken; none of a count over trials.
    pub after_events: Option<u64>,
    /// The base's first value that differs, or its last.
    pub base: ExactValue,
    /// The candidate's value at the same place.
    pub candidate: ExactValue,
    /// Fewer bytes are better; a digest that differs is worse.
    pub verdict: Verdict,
}

/// Compares every exact quantity that pairs of trials have after the same events.
pub(super) fn compare_exactly(
    base: &Cell,
    candidate: &Cell,
    pairs: &[(&Observation, &Observation)],
) -> Vec<ExactComparison> {
    let same_backend = base.backend() == candidate.backend();
    // The same state is written in another order by another backend, and in other frames.
    let is_comparable = |quantity: Quantity| quantity != Quantity::CanonicalSavepointBytes || same_backend;
    let found = pairs.iter().flat_map(|(base, candidate)| common(&base.exact, &candidate.exact));
    let values: Vec<_> = found.filter(|(base, _)| is_comparable(base.quantity)).collect();
    let quantities: BTreeSet<_> = values.iter().map(|(base, _)| base.quantity).collect();
    let of_trials = quantities.into_iter().filter_map(|quantity| of_quantity(quantity, &values));
    of_trials.chain(out_of_memory(base, candidate)).collect()
}

/// The values of two trials of one quantity after the same events.
fn common<'a>(base: &'a [Exact], candidate: &'a [Exact]) -> impl Iterator<Item = (&'a Exact, &'a Exact)> {
    let partner = |own: &Exact| {
        candidate.iter().find(|other| (other.quantity, other.after_events) == (own.quantity, own.after_events))
    };
    base.iter().filter_map(move |own| Some((own, partner(own)?)))
}

fn of_quantity(quantity: Quantity, values: &[(&Exact, &Exact)]) -> Option<ExactComparison> {
    let own: Vec<_> = values.iter().filter(|(base, _)| base.quantity == quantity).collect();
    let differing: Vec<_> = own.iter().filter(|(base, candidate)| base.value != candidate.value).collect();
    let (base, candidate) = differing.first().copied().or(own.last())?;
    let sum = |values: &mut dyn Iterator<Item = ExactValue>| -> u128 {
        values.map(|value| if let ExactValue::Number(number) = value { u128::from(number) } else { 0 }).sum()
    };
    let bytes = [sum(&mut own.iter().map(|pair| pair.0.value)), sum(&mut own.iter().map(|pair| pair.1.value))];
    Some(ExactComparison {
        quantity,
        compared: own.len(),
        differing: differing.len(),
        after_events: Some(base.after_events),
        base: base.value,
        candidate: candidate.value,
        verdict: match (differing.is_empty(), bytes[1] < bytes[0]) {
            (true, _) => Verdict::NoChange,
            (false, true) => Verdict::Improved,
            (false, false) => Verdict::Regressed,
        },
    })
}

/// Whether the state fits the Java heap, where it does not on either side.
fn out_of_memory(base: &Cell, candidate: &Cell) -> Option<ExactComparison> {
    let verdict = match (base.out_of_memory, candidate.out_of_memory) {
        (0, 0) => return None,
        (0, _) => Verdict::Regressed,
        (_, 0) => Verdict::Improved,
        _ => Verdict::NoChange,
    };
    Some(ExactComparison {
        quantity: Quantity::OutOfMemoryTrials,
        compared: 1,
        differing: usize::from(verdict != Verdict::NoChange),
        after_events: None,
        base: ExactValue::Number(base.out_of_memory),
        candidate: ExactValue::Number(candidate.out_of_memory),
        verdict,
    })
}
