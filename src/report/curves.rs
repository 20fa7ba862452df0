//! What the curves of a sweep say in a sentence: where one bends, and where two cross.

use std::collections::BTreeMap;

use super::Row;
use super::knobs::Knobs;
use crate::workload::{Bytes, ConfigurationWire, KnownKey};

/// A setting is enough where throughput reaches this share of the best of its curve.
const ENOUGH: f64 = 0.9;
/// Values that a curve needs to have a knee.
const LEAST_POINTS: usize = 3;

/// One curve of a sweep: the rows that differ in one numeric axis only, by its value.
struct Curve<'a> {
    axis: &'a str,
    /// What the rows have in common: configuration and the other knobs.
    name: String,
    configuration: &'a str,
    points: Vec<(f64, &'a str, &'a Row)>,
}

/// A knob's value as a number: a size or a plain one.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().or_else(|| text.parse::<Bytes>().ok().map(|bytes| bytes.0 as f64))
}

fn throughput(row: &Row) -> Option<f64> {
    row.metrics.get("throughput_events_per_s").map(|spread| spread.median)
}

/// The curves of every axis whose values are all numbers. Of a configuration whose runs had two regimes the calm row
/// stands for the curve; that it is not safe is kept in the row.
fn curves<'a>(knobs: &'a Knobs, rows: &'a [Row]) -> Vec<Curve<'a>> {
    let mut curves: Vec<Curve<'a>> = Vec::new();
    for (index, axis) in knobs.axes.iter().enumerate() {
        for row in rows.iter().filter(|row| !row.regime.is_some_and(|regime| regime.slow)) {
            let Some((value, text)) = row.knobs.get(index).and_then(|text| Some((number(text)?, text))) else {
                continue;
            };
            let others = knobs.headings().zip(&row.knobs).enumerate().filter(|(other, _)| *other != index);
            let others = others.map(|(_, (heading, value))| format!(" {heading}={value}"));
            let configuration = knobs.base(&row.configuration);
            let name = format!("{configuration}{}", others.collect::<String>());
            let position = curves.iter().position(|curve| curve.axis == axis && curve.name == name);
            let position = position.unwrap_or_else(|| {
                curves.push(Curve { axis, name, configuration, points: Vec::new() });
                curves.len() - 1
            });
            curves[position].points.push((value, text, row));
        }
    }
    curves.iter_mut().for_each(|curve| curve.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
    curves
}

/// One line for each curve over a Flink option: the least value that is enough, with the keys to paste. A value at
/// which some run was slow is not enough.
pub(super) fn knees(configurations: &[ConfigurationWire], knobs: &Knobs, rows: &[Row]) -> Vec<String> {
    let over_options = curves(knobs, rows).into_iter().filter(|curve| KnownKey::find(curve.axis).is_some());
    over_options.filter_map(|curve| knee(configurations, &curve)).collect()
}

fn knee(configurations: &[ConfigurationWire], curve: &Curve<'_>) -> Option<String> {
    if curve.points.len() < LEAST_POINTS {
        return None;
    }
    let rates: Vec<_> = curve.points.iter().filter_map(|point| throughput(point.2)).collect();
    let best = rates.iter().copied().fold(0.0, f64::max);
    let enough = |row: &Row| row.slow_trials == 0 && throughput(row).is_some_and(|rate| rate >= ENOUGH * best);
    let (_, value, row) = curve.points.iter().find(|point| enough(point.2))?;
    let share = throughput(row)? / best;
    let configuration = configurations.iter().find(|wire| wire.name == curve.configuration);
    let mut keys: BTreeMap<&str, String> = BTreeMap::new();
    for (key, value) in configuration.into_iter().flat_map(|wire| &wire.options) {
        keys.insert(key, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    keys.insert(curve.axis, (*value).to_owned());
    let keys: Vec<_> = keys.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
    Some(format!(
        "knee {}: {} = {value} is the least with {:.0} % of the best throughput and no slow run; to paste: {}",
        curve.name,
        curve.axis,
        100.0 * share,
        keys.join(" · ")
    ))
}

/// One line for each pair of the first configuration and another over an axis of the workload: who leads in throughput
/// and p99, and where that changes.
pub(super) fn crossings(knobs: &Knobs, rows: &[Row]) -> Vec<String> {
    let curves = curves(knobs, rows);
    let over_workload: Vec<_> = curves.iter().filter(|curve| KnownKey::find(curve.axis).is_none()).collect();
    let Some(first) = over_workload.first() else { return Vec::new() };
    let others =
        over_workload.iter().filter(|other| other.axis == first.axis && other.configuration != first.configuration);
    others.flat_map(|other| METRICS.map(|(label, name, more)| crossing(first, other, (label, name), more))).collect()
}

/// Metrics that curves are compared by: label, name, whether more is better.
const METRICS: [(&str, &str, bool); 2] =
    [("throughput", "throughput_events_per_s", true), ("p99", "latency_p99_ns", false)];

/// Says who leads along two curves, value by value where it changes.
fn crossing(a: &Curve<'_>, b: &Curve<'_>, (label, metric): (&str, &str), more: bool) -> String {
    let of = |row: &Row| row.metrics.get(metric).map(|spread| spread.median);
    let mut values: Vec<_> = a.points.iter().chain(&b.points).map(|(value, text, _)| (*value, *text)).collect();
    values.sort_by(|x, y| x.0.total_cmp(&y.0));
    values.dedup_by(|x, y| x.0.total_cmp(&y.0).is_eq());
    let mut leads: Vec<(&str, &str, &str)> = Vec::new();
    for (value, text) in values {
        let at = |curve: &Curve<'_>| {
            curve.points.iter().find(|point| point.0.total_cmp(&value).is_eq()).and_then(|point| of(point.2))
        };
        let leader = match (at(a), at(b)) {
            (Some(mine), Some(theirs)) if (mine >= theirs) == more => a.name.as_str(),
            // A value that one of them has not finished at belongs to the other.
            (Some(_), None) => a.name.as_str(),
            (_, Some(_)) => b.name.as_str(),
            (None, None) => continue,
        };
        match leads.last_mut() {
            Some((last, _, to)) if *last == leader => *to = text,
            _ => leads.push((leader, text, text)),
        }
    }
    let stretches = leads.iter().map(|(leader, from, to)| {
        if from == to { format!("{leader} ahead at {from}") } else { format!("{leader} ahead from {from} to {to}") }
    });
    format!("{label} by {}: {}", a.axis, stretches.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Spread;
    use insta::assert_snapshot;

    fn row(configuration: &str, value: &str, throughput: f64, p99: f64, slow_trials: usize) -> Row {
        let spread = |median| Spread { median, min: median, max: median };
        Row {
            workload: String::new(),
            configuration: configuration.to_owned(),
            trials: 3,
            failed: 0,
            slow_trials,
            regime: None,
            knobs: vec![value.to_owned()],
            throughput_ratio: None,
            metrics: [("throughput_events_per_s", spread(throughput)), ("latency_p99_ns", spread(p99))].into(),
        }
    }

    #[test]
    fn the_knee_is_the_least_that_is_enough_and_never_slow() {
        let knobs = Knobs { axes: vec!["taskmanager.memory.managed.size".to_owned()] };
        let rows = [
            row("r taskmanager.memory.managed.size=64mb", "64mb", 95.0, 1.0, 1),
            row("r taskmanager.memory.managed.size=8mb", "8mb", 10.0, 1.0, 0),
            row("r taskmanager.memory.managed.size=128mb", "128mb", 92.0, 1.0, 0),
            row("r taskmanager.memory.managed.size=256mb", "256mb", 100.0, 1.0, 0),
        ];
        let curves = curves(&knobs, &rows);
        assert_eq!(curves.len(), 1);
        let options = [("state.backend.type".to_owned(), "rocksdb".into())].into();
        let configurations = [ConfigurationWire { name: "r".to_owned(), flink_config: None, options }];
        assert_snapshot!(knees(&configurations, &knobs, &rows).join("\n"), @"knee r: taskmanager.memory.managed.size = 128mb is the least with 92 % of the best throughput and no slow run; to paste: state.backend.type: rocksdb · taskmanager.memory.managed.size: 128mb");
    }

    #[test]
    fn curves_cross_where_the_leader_changes() {
        let knobs = Knobs { axes: vec!["keys.cardinality".to_owned()] };
        let rows = [
            row("heap", "10", 100.0, 5.0, 0),
            row("heap", "20", 90.0, 5.0, 0),
            row("heap", "30", 10.0, 50.0, 0),
            row("rocksdb", "10", 50.0, 9.0, 0),
            row("rocksdb", "20", 50.0, 9.0, 0),
            row("rocksdb", "30", 50.0, 9.0, 0),
            row("rocksdb", "40", 50.0, 9.0, 0),
        ];
        assert_snapshot!(crossings(&knobs, &rows).join("\n"), @"
        throughput by keys.cardinality: heap ahead from 10 to 20, rocksdb ahead from 30 to 40
        p99 by keys.cardinality: heap ahead from 10 to 20, rocksdb ahead from 30 to 40
        ");
        assert!(knees(&[], &knobs, &rows).is_empty(), "the knee is that of an option");
    }
}
