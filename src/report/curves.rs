//! What the curves of a sweep say in a sentence: where one bends, and where two cross.

use super::Row;
use super::knobs::{Knobs, is_option};
use crate::workload::{Bytes, Time, short_key};

/// A setting is enough where throughput reaches this share of the best of its curve.
const ENOUGH: f64 = 0.9;
/// Values that a curve needs to have a knee.
const LEAST_POINTS: usize = 3;

/// One curve of a sweep: the rows that differ in one numeric axis only, by its value.
struct Curve<'a> {
    axis: &'a str,
    /// The configuration in the workload file.
    base: &'a str,
    /// What the rows take of the other axes.
    others: Vec<(&'a str, &'a str)>,
    points: Vec<(f64, &'a str, &'a Row)>,
}

impl Curve<'_> {
    /// Configuration and everything that is fixed along the curve.
    fn name(&self) -> String {
        with_choices(self.base, &self.others)
    }

    /// Configuration and the options that are fixed along the curve.
    fn configuration(&self) -> String {
        let options: Vec<_> = self.others.iter().copied().filter(|(axis, _)| is_option(axis)).collect();
        with_choices(self.base, &options)
    }

    /// What of the workload is fixed along the curve.
    fn workload(&self) -> Vec<(&str, &str)> {
        self.others.iter().copied().filter(|(axis, _)| !is_option(axis)).collect()
    }
}

/// A name followed by choices; an axis that is not heeded is left out.
pub(super) fn with_choices(name: &str, choices: &[(&str, &str)]) -> String {
    let heeded = choices.iter().filter(|(_, value)| *value != "-");
    heeded.fold(name.to_owned(), |name, (axis, value)| format!("{name} {}={value}", short_key(axis)))
}

/// A knob's value as a number: a plain one, a size or a time.
pub(super) fn number(text: &str) -> Option<f64> {
    let size = || text.parse::<Bytes>().ok().map(|bytes| bytes.0 as f64);
    let time = || text.parse::<Time>().ok().map(|time| time.0.as_secs_f64());
    text.parse().ok().or_else(size).or_else(time)
}

fn throughput(row: &Row) -> Option<f64> {
    row.metrics.get("throughput_events_per_s").map(|spread| spread.median)
}

/// The curves of every axis whose values are numbers, in order of the rows. Of a configuration whose runs had two regimes
/// the calm row stands for the curve; that it is not safe is kept in the row.
fn curves<'a>(knobs: &'a Knobs, rows: &'a [Row]) -> Vec<Curve<'a>> {
    let mut curves: Vec<Curve<'a>> = Vec::new();
    for (index, axis) in knobs.axes.iter().enumerate() {
        for row in rows.iter().filter(|row| !row.regime.is_some_and(|regime| regime.slow)) {
            let Some((value, text)) = row.knobs.get(index).and_then(|text| Some((number(text)?, text))) else {
                continue;
            };
            let all = knobs.axes.iter().map(String::as_str).zip(row.knobs.iter().map(String::as_str));
            let others: Vec<_> = all.filter(|(other, _)| other != axis).collect();
            let same = |curve: &Curve<'_>| curve.axis == axis && curve.base == row.base && curve.others == others;
            let position = curves.iter().position(same).unwrap_or(curves.len());
            if position == curves.len() {
                curves.push(Curve { axis, base: &row.base, others, points: Vec::new() });
            }
            curves[position].points.push((value, text, row));
        }
    }
    curves.iter_mut().for_each(|curve| curve.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
    curves
}

/// Operators by name, with what they share: the configuration, their parameters, and the other axes.
type Compared<'a> = (Vec<&'a str>, Vec<(&'a str, &'a Row)>);

/// One line for each pair of operators that are compared with equal parameters: how many times faster one is.
pub(super) fn factors(knobs: &Knobs, rows: &[Row]) -> Vec<String> {
    let Some(axis) = knobs.axes.iter().position(|axis| axis == "operator") else { return Vec::new() };
    let mut compared: Vec<Compared<'_>> = Vec::new();
    for row in rows {
        let Some((operator, parameters)) = row.knobs.get(axis).and_then(|value| operator(value)) else { continue };
        let others = row.knobs.iter().enumerate().filter(|(index, _)| *index != axis).map(|(_, value)| value.as_str());
        let shared: Vec<_> = [row.base.as_str(), parameters].into_iter().chain(others).collect();
        match compared.iter_mut().find(|(other, _)| *other == shared) {
            Some((_, operators)) => operators.push((operator, row)),
            None => compared.push((shared, vec![(operator, row)])),
        }
    }
    compared.iter().flat_map(|(shared, operators)| factor_lines(shared, operators)).collect()
}

/// The operator of a knob's value such as `{ map = { entries = 5 } }`, and its parameters.
fn operator(value: &str) -> Option<(&str, &str)> {
    let (name, parameters) = value.strip_prefix("{ ")?.strip_suffix(" }")?.split_once(" = ")?;
    Some((name, parameters.trim_matches(['{', '}', ' '])))
}

fn factor_lines(shared: &[&str], operators: &[(&str, &Row)]) -> Vec<String> {
    let Some((first, others)) = operators.split_first() else { return Vec::new() };
    let line = |(name, row): &(&str, &Row)| {
        let factor = throughput(first.1)? / throughput(row)?;
        let shared = format!("{} {}", shared[0], shared[1..].join(" "));
        Some(format!("{shared}: {} has {factor:.2}× the throughput of {name}", first.0))
    };
    others.iter().filter_map(line).collect()
}

/// One line for each curve over a Flink option: the least value that is enough, with the keys to paste. A value at
/// which some run was slow is not enough.
pub(super) fn knees(knobs: &Knobs, rows: &[Row]) -> Vec<String> {
    curves(knobs, rows).iter().filter(|curve| is_option(curve.axis)).filter_map(knee).collect()
}

fn knee(curve: &Curve<'_>) -> Option<String> {
    if curve.points.len() < LEAST_POINTS {
        return None;
    }
    let rates = curve.points.iter().filter_map(|point| throughput(point.2));
    let best = rates.fold(0.0, f64::max);
    let enough = |row: &Row| row.slow_trials == 0 && throughput(row).is_some_and(|rate| rate >= ENOUGH * best);
    let (_, value, row) = curve.points.iter().find(|point| enough(point.2))?;
    let keys: Vec<_> = row.settings.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    Some(format!(
        "knee {}: {} = {value} is the least with {:.0} % of the best throughput and no slow run; to paste: {}",
        curve.name(),
        curve.axis,
        100.0 * throughput(row)? / best,
        keys.join(" · ")
    ))
}

/// One line for each two configurations over an axis of the workload, the first of the file against each other one: who
/// leads in throughput and p99, and where that changes.
pub(super) fn crossings(knobs: &Knobs, rows: &[Row]) -> Vec<String> {
    let curves = curves(knobs, rows);
    let Some(first) = curves.first().map(|curve| curve.base) else { return Vec::new() };
    let over_workload = || curves.iter().filter(|curve| !is_option(curve.axis));
    let mut lines = Vec::new();
    for a in over_workload().filter(|curve| curve.base == first) {
        let same_axis = |b: &&Curve<'_>| b.base != first && b.axis == a.axis && b.workload() == a.workload();
        for b in over_workload().filter(same_axis) {
            lines.extend(METRICS.iter().filter_map(|metric| crossing(a, b, *metric)));
        }
    }
    lines
}

/// Metrics that curves are compared by, where a run has them: label, name, whether more is better.
const METRICS: [(&str, &str, bool); 5] = [
    ("throughput", "throughput_events_per_s", true),
    ("p99", "latency_p99_ns", false),
    ("pause of a checkpoint", "checkpoint_sync_ns", false),
    ("time of a checkpoint", "checkpoint_duration_ns", false),
    ("time of a restore", "restore_duration_ns", false),
];

/// Says who leads along two curves, value by value where it changes.
fn crossing(a: &Curve<'_>, b: &Curve<'_>, (label, metric, more): (&str, &str, bool)) -> Option<String> {
    let mut values: Vec<_> = a.points.iter().chain(&b.points).map(|(value, text, _)| (*value, *text)).collect();
    values.sort_by(|x, y| x.0.total_cmp(&y.0));
    values.dedup_by(|x, y| x.0.total_cmp(&y.0).is_eq());
    let (a_name, b_name) = (a.configuration(), b.configuration());
    let mut leads: Vec<(&str, &str, &str)> = Vec::new();
    for (value, text) in values {
        let at = |curve: &Curve<'_>| {
            let point = curve.points.iter().find(|point| point.0.total_cmp(&value).is_eq())?;
            point.2.metrics.get(metric).map(|spread| spread.median)
        };
        let leader = match (at(a), at(b)) {
            (Some(mine), Some(theirs)) if (mine >= theirs) == more => a_name.as_str(),
            // A value that one of them has not finished at belongs to the other.
            (Some(_), None) => a_name.as_str(),
            (_, Some(_)) => b_name.as_str(),
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
    let stretches: Vec<_> = stretches.collect();
    let place = with_choices("", &a.workload());
    let place = if place.is_empty() { place } else { format!(" at{place}") };
    let against = format!("{label} by {}{place}, {a_name} against {b_name}", a.axis);
    (!stretches.is_empty()).then(|| format!("{against}: {}", stretches.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Spread;
    use insta::assert_snapshot;

    fn row(base: &str, knobs: &[&str], throughput: f64, p99: f64, slow_trials: usize) -> Row {
        let spread = |median| Spread { median, min: median, max: median, interval95: None };
        Row {
            workload: String::new(),
            configuration: base.to_owned(),
            base: base.to_owned(),
            trials: 3,
            failed: 0,
            out_of_memory: 0,
            slow_trials,
            regime: None,
            knobs: knobs.iter().map(|&value| value.to_owned()).collect(),
            settings: [("state.backend.type".to_owned(), "rocksdb".to_owned()), ("a.key".to_owned(), knobs.concat())]
                .into(),
            throughput_ratio: None,
            metrics: [("throughput_events_per_s", spread(throughput)), ("latency_p99_ns", spread(p99))].into(),
        }
    }

    fn knobs(axes: &[&str]) -> Knobs {
        Knobs { axes: axes.iter().map(|&axis| axis.to_owned()).collect() }
    }

    #[test]
    fn the_knee_is_the_least_that_is_enough_and_never_slow() {
        let knobs = knobs(&["taskmanager.memory.managed.size"]);
        let rows = [
            row("r", &["64mb"], 95.0, 1.0, 1),
            row("r", &["8mb"], 10.0, 1.0, 0),
            row("r", &["128 mb"], 92.0, 1.0, 0),
            row("r", &["256mb"], 100.0, 1.0, 0),
        ];
        assert_snapshot!(knees(&knobs, &rows).join("\n"), @"knee r: taskmanager.memory.managed.size = 128 mb is the least with 92 % of the best throughput and no slow run; to paste: a.key: 128 mb · state.backend.type: rocksdb");
        assert!(crossings(&knobs, &rows).is_empty());
    }

    #[test]
    fn operators_with_equal_parameters_are_compared() {
        let knobs = knobs(&["operator"]);
        let rows = [
            row("heap", &["{ map = { entries = 5 } }"], 50.0, 5.0, 0),
            row("heap", &["{ map = { entries = 80 } }"], 40.0, 5.0, 0),
            row("heap", &["{ value-of-map = { entries = 5 } }"], 100.0, 5.0, 0),
            row("heap", &["{ value-of-map = { entries = 80 } }"], 4.0, 5.0, 0),
            row("heap", &["counter"], 4.0, 5.0, 0),
            row("rocksdb", &["{ map = { entries = 5 } }"], 4.0, 5.0, 0),
        ];
        assert_snapshot!(factors(&knobs, &rows).join("\n"), @"
        heap entries = 5: map has 0.50× the throughput of value-of-map
        heap entries = 80: map has 10.00× the throughput of value-of-map
        ");
    }

    #[test]
    fn curves_cross_where_the_leader_changes_each_at_its_own_workload() {
        let knobs = knobs(&["keys.cardinality", "values.size"]);
        let rows = [
            row("heap", &["10", "100 b"], 100.0, 5.0, 0),
            row("heap", &["20", "100 b"], 90.0, 5.0, 0),
            row("heap", &["30", "100 b"], 10.0, 50.0, 0),
            row("heap", &["10", "1 kb"], 10.0, 50.0, 0),
            row("rocksdb", &["10", "100 b"], 50.0, 9.0, 0),
            row("rocksdb", &["20", "100 b"], 50.0, 9.0, 0),
            row("rocksdb", &["30", "100 b"], 50.0, 9.0, 0),
            row("rocksdb", &["40", "100 b"], 50.0, 9.0, 0),
            row("rocksdb", &["10", "1 kb"], 50.0, 9.0, 0),
        ];
        assert_snapshot!(crossings(&knobs, &rows).join("\n"), @"
        throughput by keys.cardinality at values.size=100 b, heap against rocksdb: heap ahead from 10 to 20, rocksdb ahead from 30 to 40
        p99 by keys.cardinality at values.size=100 b, heap against rocksdb: heap ahead from 10 to 20, rocksdb ahead from 30 to 40
        throughput by keys.cardinality at values.size=1 kb, heap against rocksdb: rocksdb ahead at 10
        p99 by keys.cardinality at values.size=1 kb, heap against rocksdb: rocksdb ahead at 10
        throughput by values.size at keys.cardinality=10, heap against rocksdb: heap ahead at 100 b, rocksdb ahead at 1 kb
        p99 by values.size at keys.cardinality=10, heap against rocksdb: heap ahead at 100 b, rocksdb ahead at 1 kb
        throughput by values.size at keys.cardinality=20, heap against rocksdb: heap ahead at 100 b
        p99 by values.size at keys.cardinality=20, heap against rocksdb: heap ahead at 100 b
        throughput by values.size at keys.cardinality=30, heap against rocksdb: rocksdb ahead at 100 b
        p99 by values.size at keys.cardinality=30, heap against rocksdb: rocksdb ahead at 100 b
        ");
        assert!(knees(&knobs, &rows).is_empty(), "the knee is that of an option");
    }

    #[test]
    fn sizes_and_times_are_in_order() {
        let numbers: Vec<_> = ["100 b", "1 kb", "2 kb"].iter().map(|text| number(text).unwrap()).collect();
        assert!(numbers.is_sorted() && number("500 ms") < number("1 s") && number("true").is_none());
    }
}
