//! What a result shows of an open loop.

use super::stream::rows;
use super::summary::median;
use super::table::with_unit;
use crate::result::{CONFIRMATIONS, LatencySummary, MaxRate, OpenLoop, RunResult, Unit};

/// Columns of the table of open loops: medians over the trials. Percentiles are those of the response time.
pub(super) const OPEN_LOOP_HEADER: [&str; 12] = [
    "open loop",
    "offered",
    "served",
    "idle",
    "p50",
    "p99",
    "p99.9",
    "p99.99",
    "longest",
    "p99 in checkpoints",
    "queue at most",
    "verdict",
];

/// The rows of the table, by configuration.
pub(super) fn open_loop_rows(result: &RunResult) -> Vec<Vec<String>> {
    rows(result, |measurements| {
        let trials: Vec<_> = measurements.iter().filter_map(|measurement| measurement.open_loop.as_ref()).collect();
        (!trials.is_empty()).then(|| row(&trials))
    })
}

fn row(trials: &[&OpenLoop]) -> Vec<String> {
    let of = |figure: fn(&OpenLoop) -> f64| median(trials.iter().map(|trial| figure(trial)));
    let shown = |value: Option<f64>, unit: Unit| value.map_or_else(|| "-".to_owned(), |value| with_unit(value, unit));
    let saturated = trials.iter().filter(|trial| trial.saturated).count();
    // The figures of a queue that grows to the end say how long the run was, and nothing of the operator.
    let ns = |figure: fn(&LatencySummary) -> Option<u64>| {
        let values: Option<Vec<f64>> =
            trials.iter().map(|trial| figure(&trial.response.summary).map(|ns| ns as f64)).collect();
        shown(values.filter(|_| saturated == 0).and_then(|values| median(values.into_iter())), Unit::Nanoseconds)
    };
    let in_checkpoints = trials.iter().filter_map(|trial| {
        trial.response_during_checkpoints.as_ref()?.summary.p99_ns.map(|ns| ns as f64).filter(|_| saturated == 0)
    });
    let waiting = |trial: &OpenLoop| trial.samples.iter().map(|sample| sample.waiting_events).max().unwrap_or(0) as f64;
    let served = shown(of(|trial| trial.served_events_per_s), Unit::EventsPerSecond);
    let verdict = match saturated {
        0 => "kept up".to_owned(),
        some if some == trials.len() => format!("saturated at {served} events/s"),
        some => format!("saturated in {some} of {} trials", trials.len()),
    };
    vec![
        shown(of(|trial| trial.offered_events_per_s), Unit::EventsPerSecond),
        served,
        shown(of(|trial| trial.idle_share), Unit::Share),
        ns(|summary| summary.p50_ns),
        ns(|summary| summary.p99_ns),
        ns(|summary| summary.p999_ns),
        ns(|summary| summary.p9999_ns),
        ns(|summary| Some(summary.max_ns)),
        shown(median(in_checkpoints), Unit::Nanoseconds),
        median(trials.iter().map(|trial| waiting(trial))).map_or_else(String::new, |most| format!("{most:.0}")),
        verdict,
    ]
}

/// What searches for the highest rate have found.
pub(super) fn max_rate_lines(result: &RunResult) -> Vec<String> {
    let rate = |rate: f64| with_unit(rate, Unit::EventsPerSecond);
    let line = |found: &MaxRate| {
        let place = result.variant_label(found.variant);
        let target = with_unit(found.p99_target_ns as f64, Unit::Nanoseconds);
        let what = match (found.events_per_s, found.too_high_events_per_s) {
            (Some(kept), Some(too_high)) => {
                let (times, kept, too_high) = (found.confirmed_by, rate(kept), rate(too_high));
                let confirmed = if times >= CONFIRMATIONS { "" } else { "; the search ended before it was confirmed" };
                format!(
                    "{kept} events/s keep p99 at or below {target} in {times} of {times} trials, {too_high} do not{confirmed}"
                )
            }
            (Some(kept), None) => format!("{} events/s keep p99 at or below {target}; more were not tried", rate(kept)),
            (None, _) => format!("no rate that was tried keeps p99 at or below {target}"),
        };
        format!("max rate {place} {}: {what}", found.configuration).replace("  ", " ")
    };
    result.max_rates.iter().map(line).collect()
}
