//! What a reader must know of time: how much state was held over the run, what removed it, and what timers cost.

use super::summary::natural;
use super::table::with_unit;
use crate::result::{Firing, Growth, GrowthSample, Measurement, RunResult, Trend, Unit};

/// Columns of the table of growth. Bytes are those of key and value.
pub(super) const GROWTH_HEADER: [&str; 10] = [
    "state held",
    "at 25 %",
    "at 50 %",
    "at 75 %",
    "at the end",
    "of it expired",
    "entries",
    "removed on access",
    "in background",
    "growth",
];

/// Columns of the table of timers.
pub(super) const FIRING_HEADER: [&str; 7] = ["timers", "fired", "per second", "bursts", "mean burst", "p99", "longest"];

/// The rows of the table of growth, by configuration: of its trials the one that held the median at the end.
pub(super) fn growth_rows(result: &RunResult) -> Vec<Vec<String>> {
    rows(result, |measurements| {
        let mut held: Vec<_> = measurements.iter().filter_map(|measurement| measurement.growth.as_ref()).collect();
        held.sort_by_key(|growth| growth.samples.last().map_or(0, GrowthSample::held_bytes));
        growth_row(held.get(held.len() / 2)?)
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
fn rows(result: &RunResult, cells: impl Fn(&[&Measurement]) -> Option<Vec<String>>) -> Vec<Vec<String>> {
    let mut groups: Vec<(String, Vec<&Measurement>)> = Vec::new();
    for (trial, measurement) in result.finished() {
        let label = result.variant_label(trial.variant);
        let name = format!("{label} {}", trial.configuration).trim().to_owned();
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, measurements)) => measurements.push(measurement),
            None => groups.push((name, vec![measurement])),
        }
    }
    groups.sort_by_cached_key(|(name, _)| natural(name));
    let row = |(name, measurements): (String, Vec<&Measurement>)| {
        let mut row = vec![name];
        row.extend(cells(&measurements)?);
        Some(row)
    };
    groups.into_iter().filter_map(row).collect()
}

fn growth_row(growth: &Growth) -> Option<Vec<String>> {
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
        match growth.trend {
            Trend::Bounded => "bounded".to_owned(),
            Trend::Unbounded { bytes_per_day } => {
                format!("unbounded growth: {} a day", with_unit(bytes_per_day, Unit::Bytes))
            }
            Trend::Undecided => "too short to tell".to_owned(),
        },
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
