//! Whether Flink has computed what statebench has.

use crate::result::{Agreement, Engine, Measurement, Outcome, RunResult, Trial};
use crate::state::Digest;
use crate::workload::Variant;

/// Compares a trial of Flink with statebench's own of the same events, and notes it in the result's agreements.
///
/// Rows of an operator that is not the first come from all subtasks of the one before it, in an order that Flink leaves open
/// where there are several: what such an operator has emitted depends on it, and its latest results by key are compared.
pub fn compare_with_own(result: &mut RunResult, trial: &Trial, variant: &Variant) {
    let (Outcome::Finished(theirs), Engine::Flink(flink)) = (&trial.outcome, &trial.run.engine) else { return };
    let mut own = result.trials.iter().filter_map(|own| match &own.outcome {
        Outcome::Finished(measurement) if is_own(own, trial) => Some((own.configuration.clone(), measurement)),
        _ => None,
    });
    let Some((name, ours)) = own.next() else { return };
    let is_ordered = variant.workload.later.is_empty() || variant.workload.run.groups.parallelism == 1;
    let differences = differences((&name, ours), (&trial.configuration, theirs, &flink.emitted), is_ordered);
    let agreement = agreement_of(result, trial, ours_of(ours));
    agreement.flink_trials += 1;
    agreement.differences.extend(differences);
}

fn is_own(own: &Trial, trial: &Trial) -> bool {
    own.run.engine == Engine::Statebench && (own.variant, own.seed, own.companion) == (trial.variant, trial.seed, false)
}

fn ours_of(ours: &Measurement) -> (u64, Digest) {
    (ours.warm_up_events + ours.events, ours.emitted)
}

/// The agreement that a trial belongs to; it is made where there is none yet, because nothing else was compared.
fn agreement_of<'a>(result: &'a mut RunResult, trial: &Trial, (events, emitted): (u64, Digest)) -> &'a mut Agreement {
    let at = result.agreements.iter().position(|one| (one.variant, one.repeat) == (trial.variant, trial.repeat));
    let at = at.unwrap_or_else(|| {
        result.agreements.push(Agreement {
            variant: trial.variant,
            repeat: trial.repeat,
            trials: 1,
            flink_trials: 0,
            emitted_after_events: events,
            emitted,
            state_after_events: 0,
            state: Digest::default(),
            differences: Vec::new(),
        });
        result.agreements.len() - 1
    });
    &mut result.agreements[at]
}

fn differences(
    (name, ours): (&str, &Measurement),
    (their_name, theirs, their_operators): (&str, &Measurement, &[Digest]),
    is_ordered: bool,
) -> Vec<String> {
    let mut differences = Vec::new();
    let events = ours.warm_up_events + ours.events;
    let mut differ = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            differences.push(format!("{what} after {events} events: {name} has {ours}, {their_name} has {theirs}"));
        }
    };
    if is_ordered {
        differ("emitted results", ours.emitted.to_string(), theirs.emitted.to_string());
    } else {
        let first = ours.first_emitted();
        let theirs_first = their_operators.first().copied().unwrap_or_default();
        differ("emitted results of the first operator", first.to_string(), theirs_first.to_string());
    }
    let latest = |of: &Measurement| {
        of.latest.iter().map(|result| format!("{}={}", result.key, result.value)).collect::<Vec<_>>().join(" ")
    };
    differ("latest results by key", latest(ours), latest(theirs));
    if is_ordered {
        differ("late events", ours.late_events.to_string(), theirs.late_events.to_string());
    }
    differences
}
