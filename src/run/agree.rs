//! Whether the trials of one workload and repeat computed the same.

use super::trial::Report;
use crate::result::Agreement;
use crate::state::Digest;

/// A finished trial with the name that messages use.
pub struct Finished<'a> {
    /// Name of the configuration.
    pub name: &'a str,
    /// What it reported.
    pub report: &'a Report,
}

/// Compares the trials of one workload and repeat.
pub fn compare(variant: usize, repeat: u32, trials: &[Finished<'_>]) -> Option<Agreement> {
    let (first, others) = trials.split_first()?;
    let emitted_after_events = common_boundary(trials);
    let emitted = emitted_at(first, emitted_after_events);
    let state_after_events = first.report.measurement.state_after_events;
    let state = first.report.measurement.state;
    let mut differences = Vec::new();
    for other in others {
        let theirs = emitted_at(other, emitted_after_events);
        if theirs != emitted {
            differences.push(emitted_difference(first, other, emitted_after_events, (emitted, theirs)));
        }
        let measurement = &other.report.measurement;
        if (measurement.state_after_events, measurement.state) != (state_after_events, state) {
            differences.push(format!(
                "state after {} events: {} has {state}, {} has {} after {}",
                state_after_events, first.name, other.name, measurement.state, measurement.state_after_events
            ));
        }
    }
    let trials = trials.len();
    Some(Agreement { variant, repeat, trials, emitted_after_events, emitted, state_after_events, state, differences })
}

/// The events that a trial processed in all, and what it had emitted by then.
fn end(trial: &Finished<'_>) -> (u64, Digest) {
    let measurement = &trial.report.measurement;
    (measurement.warm_up_events + measurement.events, measurement.emitted)
}

/// The largest number of events after which every trial has a digest.
fn common_boundary(trials: &[Finished<'_>]) -> u64 {
    let ends: Vec<u64> = trials.iter().map(|trial| end(trial).0).collect();
    let shortest = ends.iter().copied().min().unwrap_or(0);
    if ends.iter().all(|&end| end == shortest) {
        return shortest;
    }
    let has = |trial: &Finished<'_>, events| emitted_at_boundary(trial, events).is_some();
    let boundaries = trials.first().map_or(&[][..], |trial| trial.report.boundaries.as_slice());
    let mut common = boundaries.iter().rev().map(|(events, _)| *events).filter(|&events| events <= shortest);
    common.find(|&events| trials.iter().all(|trial| has(trial, events))).unwrap_or(0)
}

fn emitted_at_boundary(trial: &Finished<'_>, events: u64) -> Option<Digest> {
    let (all, emitted) = end(trial);
    if all == events {
        return Some(emitted);
    }
    trial.report.boundaries.iter().find(|(boundary, _)| *boundary == events).map(|(_, digest)| *digest)
}

fn emitted_at(trial: &Finished<'_>, events: u64) -> Digest {
    emitted_at_boundary(trial, events).unwrap_or_default()
}

/// Says where two trials part: between the last boundary at which they agree and the first at which they do not.
fn emitted_difference(a: &Finished<'_>, b: &Finished<'_>, events: u64, digests: (Digest, Digest)) -> String {
    let common = |boundary: u64| Some((emitted_at_boundary(a, boundary)?, emitted_at_boundary(b, boundary)?));
    let boundaries = a.report.boundaries.iter().map(|(boundary, _)| *boundary).filter(|&boundary| boundary <= events);
    let (mut agree, mut differ) = (0, events);
    for boundary in boundaries {
        match common(boundary) {
            Some((x, y)) if x == y => agree = boundary,
            Some(_) => {
                differ = boundary;
                break;
            }
            None => {}
        }
    }
    format!(
        "emitted results after {events} events: {} has {}, {} has {}; they part between event {agree} and {differ}",
        a.name, digests.0, b.name, digests.1
    )
}
