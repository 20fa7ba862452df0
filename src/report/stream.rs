//! What a stream's result shows beside throughput and latency: the operators of a pipeline, how much state was held over
//! the run and what removed it, what timers cost, which events were late.

use super::checkpoints::trend_words;
use super::summary::natural;
use super::table::with_unit;
use crate::result::{Firing, Growth, Measurement, OperatorMeasurement, RunResult, Trial, Unit};

/// Columns of the table of growth. Bytes are those of key and value.
pub(super) const GROWTH_HEADER: [&str; 11] = [
    "state held",
    "at 25 %",
    "at 50 %",
    "at 75 %",
    "at the end",
    "of it expired",
    "entries",
    "removed on access",
    "in background",
    "full checkpoint",
    "growth",
];

/// Columns of the table of operators behind the first. The main table has the latency of the first one's events.
pub(super) const LATER_HEADER: [&str; 6] = ["pipeline", "operator", "rows", "p50", "p99", "p99.9"];

/// Columns of the table of timers.
pub(super) const FIRING_HEADER: [&str; 7] = ["timers", "fired", "per second", "bursts", "mean burst", "p99", "longest"];

/// What a configuration is called among all of a result's.
pub(super) fn place(result: &RunResult, trial: &Trial) -> String {
    format!("{} {}", result.variant_label(trial.variant), trial.configuration).trim().to_owned()
}

/// The rows of the table of growth, by configuration: of its trials the one that held the median at the end.
pub(super) fn growth_rows(result: &RunResult) -> Vec<Vec<String>> {
    rows(result, |measurements| {
        let at_the_end = |measurement: &Measurement| Some(measurement.growth.as_ref()?.samples.last()?.held_bytes());
        let mut held: Vec<_> = measurements.iter().filter(|measurement| at_the_end(measurement).is_some()).collect();
        held.sort_by_key(|measurement| at_the_end(measurement));
        let measurement = held.get(held.len() / 2)?;
        growth_row(measurement.growth.as_ref()?, measurement.checkpoint_bytes)
    })
}

/// The rows of the table of timers, by configuration: of its trials the one of the median rate.
pub(super) fn firing_rows(result: &RunResult) -> Vec<Vec<String>> {
    rows(result, |measurements| {
        let mut fired: Vec<_> = measurements.iter().filter_map(|measurement| measurement.firing.as_ref()).collect();
        fired.sort_by(|a, b| per_second(a).total_cmp(&per_second(b)));
        fired.get(fired.len() / 2).map(|firing| firing_row(firing))
    })
}

/// The rows of the table of operators, by configuration and in the order in which rows flow: of its trials the first.
pub(super) fn later_rows(result: &RunResult) -> Vec<Vec<String>> {
    let ns = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), |ns| with_unit(ns as f64, Unit::Nanoseconds));
    let of_trial = |(name, measurements): (String, Vec<&Measurement>)| {
        let later = measurements.first().map_or(&[][..], |first| first.later.as_slice());
        let row = |operator: &OperatorMeasurement| {
            let summary = &operator.row_latency.summary;
            let latencies = [summary.p50_ns, summary.p99_ns, summary.p999_ns].map(ns);
            let mut row = vec![name.clone(), operator.name.clone(), summary.count.to_string()];
            row.extend(latencies);
            row
        };
        later.iter().map(row).collect::<Vec<_>>()
    };
    groups(result).into_iter().flat_map(of_trial).collect()
}

/// The latest results by key, where an operator keeps them: of the first trial of each configuration.
pub(super) fn latest_lines(result: &RunResult) -> Vec<String> {
    let latest = rows(result, |measurements| {
        let latest = measurements.first().filter(|first| !first.latest.is_empty())?.latest.iter();
        let results: Vec<_> = latest.map(|result| format!("{} = {}", result.key, result.value)).collect();
        Some(vec![format!("latest result by key: {}", results.join(", "))])
    });
    latest.into_iter().map(|line| line.join(": ")).collect()
}

/// Events that were dropped because they came too late, by configuration; the same in all trials of a repeat.
pub(super) fn late_lines(result: &RunResult) -> Vec<String> {
    let late = rows(result, |measurements| {
        let measurement = measurements.iter().find(|measurement| measurement.late_events > 0)?;
        let share = 100.0 * measurement.late_events as f64 / measurement.events.max(1) as f64;
        Some(vec![format!("{} late events dropped, {share:.2} % of all", measurement.late_events)])
    });
    late.into_iter().map(|line| line.join(": ")).collect()
}

/// A row for each workload and configuration: its name, then what `cells` makes of its trials.
pub(super) fn rows(result: &RunResult, cells: impl Fn(&[&Measurement]) -> Option<Vec<String>>) -> Vec<Vec<String>> {
    let row = |(name, measurements): (String, Vec<&Measurement>)| {
        let mut row = vec![name];
        row.extend(cells(&measurements)?);
        Some(row)
    };
    groups(result).into_iter().filter_map(row).collect()
}

/// The finished trials by workload and configuration, in order of the names.
fn groups(result: &RunResult) -> Vec<(String, Vec<&Measurement>)> {
    let mut groups: Vec<(String, Vec<&Measurement>)> = Vec::new();
    for (trial, measurement) in result.finished() {
        let name = place(result, trial);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, measurements)) => measurements.push(measurement),
            None => groups.push((name, vec![measurement])),
        }
    }
    groups.sort_by_cached_key(|(name, _)| natural(name));
    groups
}

fn growth_row(growth: &Growth, checkpoint_bytes: Option<u64>) -> Option<Vec<String>> {
    let last = growth.samples.last()?;
    let bytes = |bytes: u64| with_unit(bytes as f64, Unit::Bytes);
    let at = |quarter: usize| {
        let position = (growth.samples.len() * quarter).div_ceil(4).saturating_sub(1);
        growth.samples.get(position).map_or_else(String::new, |sample| bytes(sample.held_bytes()))
    };
    Some(vec![
        at(1),
        at(2),
        at(3),
        bytes(last.held_bytes()),
        format!("{:.0} %", 100.0 * last.expired_bytes as f64 / last.held_bytes().max(1) as f64),
        (last.live_entries + last.expired_entries).to_string(),
        last.removed_on_access.to_string(),
        (last.removed_incrementally + last.removed_by_compaction).to_string(),
        checkpoint_bytes.map_or_else(|| "-".to_owned(), bytes),
        trend_words(growth.trend, Unit::Bytes),
    ])
}

fn per_second(firing: &Firing) -> f64 {
    if firing.busy_s > 0.0 { firing.timers as f64 / firing.busy_s } else { 0.0 }
}

fn firing_row(firing: &Firing) -> Vec<String> {
    let summary = &firing.burst.summary;
    let ns = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), |ns| with_unit(ns as f64, Unit::Nanoseconds));
    vec![
        firing.timers.to_string(),
        with_unit(per_second(firing), Unit::EventsPerSecond),
        summary.count.to_string(),
        with_unit(summary.mean_ns, Unit::Nanoseconds),
        ns(summary.p99_ns),
        ns(Some(summary.max_ns)),
    ]
}
