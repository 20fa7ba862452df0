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
    Some(Agreement {
        variant,
        repeat,
        trials: trials.len(),
        flink_trials: 0,
        emitted_after_events,
        emitted,
        state_after_events,
        state,
        differences,
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Measurement;
    use insta::assert_snapshot;

    /// A trial of a warm-up of 10 events and so many more, whose results are numbered by `result`: each event emits one.
    /// It keeps a digest after every tenth event.
    fn report(events: u64, result: impl Fn(u64) -> u64) -> Report {
        let digest = |events: u64| {
            let mut digest = Digest::default();
            (0..events).for_each(|event| digest.add(result(event)));
            digest
        };
        let all = 10 + events;
        let state = Digest { sum: 7, count: 3 };
        let measurement = Measurement {
            warm_up_events: 10,
            events,
            emitted: digest(all),
            state,
            state_after_events: 5,
            ..Measurement::of_nothing()
        };
        Report { measurement, boundaries: (1..=all / 10).map(|tenth| (tenth * 10, digest(tenth * 10))).collect() }
    }

    fn compared(reports: &[Report]) -> Agreement {
        let names = ["heap", "rocksdb", "null"];
        let trials: Vec<_> = names.iter().zip(reports).map(|(&name, report)| Finished { name, report }).collect();
        compare(2, 1, &trials).unwrap()
    }

    #[test]
    fn equal_trials_agree_at_their_end() {
        let agreement = compared(&[report(95, |event| event), report(95, |event| event)]);
        assert_eq!((agreement.variant, agreement.repeat, agreement.trials), (2, 1, 2));
        assert_eq!((agreement.emitted_after_events, agreement.emitted.count), (105, 105));
        assert_eq!(agreement.differences, <[String; 0]>::default());
        assert!(compare(0, 0, &[]).is_none());
    }

    #[test]
    fn trials_of_different_length_are_compared_at_their_last_common_boundary() {
        let agreement = compared(&[report(95, |event| event), report(233, |event| event), report(57, |event| event)]);
        assert_eq!((agreement.emitted_after_events, agreement.emitted.count), (60, 60));
        assert_eq!(agreement.differences, <[String; 0]>::default());
        // What comes after the boundary is not compared.
        let later = |event| if event < 60 { event } else { 0 };
        assert_eq!(compared(&[report(95, |event| event), report(57, later)]).differences, <[String; 0]>::default());
    }

    #[test]
    fn a_wrong_result_is_found_between_two_boundaries() {
        let wrong = |event| if event == 34 { 1_000 } else { event };
        let agreement = compared(&[report(90, |event| event), report(90, |event| event), report(90, wrong)]);
        assert_snapshot!(agreement.differences.join("\n"), @"emitted results after 100 events: heap has 0000000000001356/100, null has 000000000000171c/100; they part between event 30 and 40");
        // So it is where the trials are of different length.
        assert_snapshot!(compared(&[report(95, |event| event), report(233, wrong)]).differences.join("\n"), @"emitted results after 100 events: heap has 0000000000001356/100, rocksdb has 000000000000171c/100; they part between event 30 and 40");
        // A result that is missing shows even where it hashes to nothing.
        let missing = Report {
            measurement: Measurement {
                emitted: Digest { sum: 4950, count: 99 },
                ..report(90, |event| event).measurement
            },
            boundaries: vec![],
        };
        assert_snapshot!(compared(&[report(90, |event| event), missing]).differences.join("\n"), @"emitted results after 100 events: heap has 0000000000001356/100, rocksdb has 0000000000001356/99; they part between event 0 and 100");
    }

    #[test]
    fn a_different_state_is_told() {
        let mut other = report(90, |event| event);
        other.measurement.state.sum = 8;
        assert_snapshot!(compared(&[report(90, |event| event), other]).differences.join("\n"), @"state after 5 events: heap has 0000000000000007/3, rocksdb has 0000000000000008/3 after 5");
        let mut other = report(90, |event| event);
        other.measurement.state_after_events = 6;
        assert_snapshot!(compared(&[report(90, |event| event), other]).differences.join("\n"), @"state after 5 events: heap has 0000000000000007/3, rocksdb has 0000000000000007/3 after 6");
    }
}
