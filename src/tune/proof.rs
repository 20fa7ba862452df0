//! The proof: what trials that were not part of the search say of its winner.

use super::goal::{Goal, Limit, Quantity};
use crate::compare::{Verdict, verdict_of};
use crate::result::{Better, Claim, LimitCheck, Measurement, Outcome, Proof, RunResult};
use crate::statistics::{Shift, median, median_interval95};
use crate::workload::Options;
/// The probability of a wrong claim, all claims together.
pub const ALPHA: f64 = 0.01;
/// What each bound of an interval may be wrong with.
const BOUND: f64 = 0.025;

/// The fewest pairs in which so many claims can be made: all of them on one side have to be rarer than the level where nothing differs.
pub fn least_pairs(claims: usize) -> u32 {
    let level = ALPHA / claims.max(1) as f64;
    (1..64).find(|pairs| libm::pow(0.5, f64::from(*pairs)) <= level).unwrap_or(64)
}

/// The trials of one configuration in the proof.
struct Side<'a> {
    /// By workload and repeat.
    trials: Vec<(usize, u32, &'a Measurement)>,
    out_of_memory: bool,
    memory_bytes: Option<f64>,
}

impl<'a> Side<'a> {
    fn of(result: &'a RunResult, name: &str) -> Self {
        let own = || result.trials.iter().filter(|trial| trial.configuration == name);
        let finished = own().filter_map(|trial| match &trial.outcome {
            Outcome::Finished(measurement) => Some((trial.variant, trial.repeat, &**measurement)),
            _ => None,
        });
        let options = own().next().and_then(|trial| Options::of_texts(&trial.options).ok());
        Self {
            trials: finished.collect(),
            out_of_memory: own().any(|trial| matches!(trial.outcome, Outcome::OutOfMemory(_))),
            memory_bytes: options.and_then(|options| options.memory_budget_bytes()).map(|bytes| bytes as f64),
        }
    }

    fn values(&self, workload: usize, quantity: Quantity) -> Vec<f64> {
        let Quantity::Metric(metric) = quantity else { return self.memory_bytes.into_iter().collect() };
        let own = self.trials.iter().filter(|(variant, ..)| *variant == workload);
        own.filter_map(|(_, _, measurement)| (metric.get)(measurement)).collect()
    }

    fn value(&self, workload: usize, repeat: u32, quantity: Quantity) -> Option<f64> {
        let Quantity::Metric(metric) = quantity else { return self.memory_bytes };
        let is_it = |trial: &&(usize, u32, &Measurement)| (trial.0, trial.1) == (workload, repeat);
        self.trials.iter().find(is_it).and_then(|(_, _, measurement)| (metric.get)(measurement))
    }

    fn has(&self, workload: usize, repeat: u32) -> bool {
        self.trials.iter().any(|trial| (trial.0, trial.1) == (workload, repeat))
    }

    fn repeats(&self) -> Vec<u32> {
        let mut repeats: Vec<u32> = self.trials.iter().map(|(_, repeat, _)| *repeat).collect();
        repeats.sort_unstable();
        repeats.dedup();
        repeats
    }
}

/// What a result says of one of so many winners against each base, the first of which is the start, where so many pairs were planned.
pub fn prove(
    result: &RunResult,
    goal: &Goal,
    (winner, winners): (&str, usize),
    bases: &[String],
    planned_pairs: u32,
) -> Proof {
    let side = Side::of(result, winner);
    let measured = goal.objectives.iter().filter(|objective| matches!(objective, Quantity::Metric(_))).count();
    let level = ALPHA / (measured * bases.len() * winners).max(1) as f64;
    let claim = |base: &String| {
        let other = Side::of(result, base);
        goal.objectives
            .iter()
            .map(move |objective| claim(goal, *objective, (base, &other), &Side::of(result, winner), level))
            .collect::<Vec<_>>()
    };
    let claims: Vec<Claim> = bases.iter().flat_map(claim).collect();
    let workloads = goal.weights.len();
    let check = |limit: &Limit| (0..workloads).map(|workload| check(*limit, workload, &side)).collect::<Vec<_>>();
    let limits: Vec<LimitCheck> = goal.limits.iter().flat_map(check).collect();
    let slow = side.trials.iter().filter(|(_, _, measurement)| measurement.is_slow()).count() as u32;
    let slow_trials = [slow, side.trials.len() as u32];
    let others: Vec<Side<'_>> = bases.iter().map(|base| Side::of(result, base)).collect();
    let is_whole = |repeat: &u32| {
        let has = |side: &Side<'_>| (0..workloads).all(|workload| side.has(workload, *repeat));
        has(&side) && others.iter().all(has)
    };
    let pairs = side.repeats().iter().filter(|repeat| is_whole(repeat)).count() as u32;
    let mut why_not = why_not(&claims, &limits, slow_trials, bases.first(), &side);
    if pairs < planned_pairs {
        why_not.push(format!(
            "{pairs} of {planned_pairs} pairs were run: a trial did not finish, or computed something else"
        ));
    }
    Proof {
        winner: winner.to_owned(),
        pairs,
        alpha: ALPHA,
        claims,
        limits,
        slow_trials,
        is_proved: why_not.is_empty(),
        why_not,
    }
}

/// By how much a winner is better than a base in one objective.
fn claim(goal: &Goal, quantity: Quantity, (name, base): (&str, &Side<'_>), winner: &Side<'_>, level: f64) -> Claim {
    let quantity_name = quantity.name().to_owned();
    let none = Claim {
        base: name.to_owned(),
        quantity: quantity_name,
        cost: 1.0,
        low: None,
        high: None,
        p: 1.0,
        is_better: false,
    };
    if let Quantity::Memory = quantity {
        let Some((own, theirs)) = winner.memory_bytes.zip(base.memory_bytes) else { return none };
        let cost = own / theirs;
        return Claim { cost, low: Some(cost), high: Some(cost), p: 0.0, is_better: cost < 1.0, ..none };
    }
    let difference = |repeat: &u32| {
        let of = |workload| {
            let cost = |side: &Side<'_>| Some(quantity.cost(side.value(workload, *repeat, quantity)?));
            Some(cost(winner)? - cost(base)?)
        };
        Some(goal.combined(&(0..goal.weights.len()).map(of).collect::<Option<Vec<f64>>>()?))
    };
    let differences: Vec<f64> = winner.repeats().iter().filter_map(difference).collect();
    let Some(shift) = Shift::of_pairs(&differences) else { return none };
    Claim {
        cost: libm::exp(shift.estimate()),
        low: shift.lower_bound(BOUND).map(libm::exp),
        high: shift.upper_bound(BOUND).map(libm::exp),
        p: shift.p_below(),
        is_better: verdict_of(quantity.name(), &shift, level) == Verdict::Improved,
        ..none
    }
}

/// Whether the winner's trials keep a limit in a workload: with the worse end of the interval of their median.
fn check(limit: Limit, workload: usize, side: &Side<'_>) -> LimitCheck {
    let mut values = side.values(workload, limit.quantity);
    values.sort_unstable_by(f64::total_cmp);
    let median = median(&values);
    let worst = match limit.quantity {
        Quantity::Memory => median,
        Quantity::Metric(metric) => median_interval95(&values).map(|[low, high]| match metric.better {
            Better::Lower => high,
            Better::Higher => low,
        }),
    };
    // A trial without the metric was too slow to have it.
    let is_whole = matches!(limit.quantity, Quantity::Memory)
        || values.len() == side.trials.iter().filter(|(variant, ..)| *variant == workload).count();
    let is_kept = is_whole && worst.is_some_and(|worst| limit.is_kept(worst));
    LimitCheck { limit: limit.described(), workload, median, worst, is_kept }
}

/// What keeps a winner from being proved.
fn why_not(
    claims: &[Claim],
    limits: &[LimitCheck],
    [slow, trials]: [u32; 2],
    start: Option<&String>,
    side: &Side<'_>,
) -> Vec<String> {
    let mut why = Vec::new();
    if side.out_of_memory {
        why.push("its state did not fit the memory".to_owned());
    }
    let against_start: Vec<&Claim> = claims.iter().filter(|claim| Some(&claim.base) == start).collect();
    if !against_start.iter().any(|claim| claim.is_better) {
        for claim in against_start {
            why.push(format!("{} is not shown to be better than that of {}", claim.quantity, claim.base));
        }
    }
    why.extend(
        limits.iter().filter(|check| !check.is_kept).map(|check| format!("{} is not shown to be kept", check.limit)),
    );
    if slow > 0 && slow < trials {
        why.push(format!("{slow} of {trials} trials were in the slow regime"));
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_needs_as_many_pairs_as_can_be_on_one_side_by_luck() {
        assert_eq!([1, 2, 4, 10].map(least_pairs), [7, 8, 9, 10]);
    }
}
