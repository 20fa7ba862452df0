//! What a reader must know to trust the figures: what went on beside the events, whether a trial had settled, where its state
//! was, and what the harness itself cost.

use super::stream::{place, rows};
use super::summary::median;
use super::table::with_unit;
use crate::measure::Condition;
use crate::result::{Measurement, RunResult, Timing, Trial, Unit};

/// Columns of the table of latency beside what goes on: 99th percentiles, medians over the trials, and the share of the timed
/// events that saw it.
pub(super) const DURING_HEADER: [&str; 8] =
    ["p99 during", "undisturbed p50", "undisturbed", "checkpoint", "flush", "compaction", "write stall", "rehash"];

/// The rows of the table, by configuration; none of one beside which nothing ever went on.
pub(super) fn during_rows(result: &RunResult) -> Vec<Vec<String>> {
    rows(result, |trials| {
        trials.iter().any(|trial| !trial.latency_during.is_empty()).then(|| {
            let undisturbed = |trial: &&Measurement| Some(of(trial, "undisturbed")?.p50_ns? as f64);
            let p50 = shown(median(trials.iter().filter_map(undisturbed)), Unit::Nanoseconds);
            let names = std::iter::once("undisturbed").chain(Condition::ALL.map(Condition::name));
            std::iter::once(p50).chain(names.map(|name| cell(trials, name))).collect()
        })
    })
}

fn of<'a>(trial: &'a Measurement, name: &str) -> Option<&'a crate::result::LatencySummary> {
    Some(&trial.latency_during.iter().find(|latency| latency.during == name)?.latency.summary)
}

fn shown(value: Option<f64>, unit: Unit) -> String {
    value.map_or_else(|| "-".to_owned(), |value| with_unit(value, unit))
}

/// The 99th percentile beside one thing, and how many of the timed events saw it.
fn cell(trials: &[&Measurement], name: &str) -> String {
    let seen = || trials.iter().filter_map(|trial| Some((trial, of(trial, name)?)));
    let share = |(trial, latency): (&&Measurement, &crate::result::LatencySummary)| {
        latency.count as f64 / trial.event_latency.summary.count.max(1) as f64
    };
    let Some(share) = median(seen().map(share)) else { return "-".to_owned() };
    let p99 = median(seen().filter_map(|(_, latency)| Some(latency.p99_ns? as f64)));
    format!("{} ({})", shown(p99, Unit::Nanoseconds), with_unit(share, Unit::Share))
}

/// What is to be said of warm-up and working set, a line each.
pub(super) fn lines(result: &RunResult) -> Vec<String> {
    let mut lines = Vec::new();
    for (trial, measurement) in result.finished() {
        if let Some(steadiness) = measurement.steadiness.as_ref().filter(|steadiness| steadiness.is_unsteady()) {
            lines.push(format!("not steady {} repeat {}: {steadiness}", place(result, trial), trial.repeat + 1));
        }
    }
    for (trial, measurement) in result.last_of_each() {
        let counted = companion_of(result, trial).and_then(|companion| companion.working_set.as_ref());
        if let Some(found) = counted.or(measurement.working_set.as_ref()) {
            let name = place(result, trial);
            lines.push(format!("working set {name}: served from the {}: {}", found.served_from.name(), found.evidence));
        }
    }
    lines.extend(counting_lines(result));
    lines.extend(harness_line(result));
    lines
}

/// What RocksDB's Statistics cost the companion trials, against the median of the trials without.
fn counting_lines(result: &RunResult) -> Vec<String> {
    let line = |(trial, _): (&Trial, &Measurement)| {
        let companion = companion_of(result, trial)?.throughput_events_per_s;
        let others = result.finished().filter(|(other, _)| other.cell() == trial.cell());
        let without = median(others.map(|(_, measurement)| measurement.throughput_events_per_s))?;
        let name = place(result, trial);
        (without > 0.0).then(|| {
            let change = with_unit(companion / without - 1.0, Unit::Share);
            format!(
                "counters {name}: {change} throughput where RocksDB counts, one trial against the median of the others"
            )
        })
    };
    result.last_of_each().filter_map(line).collect()
}

/// The trial of the same configuration that counts.
fn companion_of<'a>(result: &'a RunResult, trial: &Trial) -> Option<&'a Measurement> {
    let is_it = |other: &(&Trial, &Measurement)| other.0.companion && other.0.cell() == trial.cell();
    result.all_finished().find(is_it).map(|(_, measurement)| measurement)
}

/// What the instruments cost, over all trials.
fn harness_line(result: &RunResult) -> Option<String> {
    let most = |figure: fn(&Timing) -> Option<f64>| {
        result.finished().filter_map(|(_, trial)| figure(&trial.timing)).reduce(f64::max)
    };
    let ns = |value: f64| with_unit(value, Unit::Nanoseconds);
    let clock = most(|timing| Some(timing.empty_interval_ns as f64))?;
    let record = most(|timing| timing.record_ns)?;
    let closed = result.finished().filter(|(_, trial)| trial.open_loop.is_none());
    let outside = closed.filter_map(|(_, trial)| trial.timing.harness_ns_per_event).reduce(f64::max);
    let outside = outside.map_or_else(String::new, |outside| {
        format!("; making and routing an event {}, outside of every figure", ns(outside))
    });
    let looking = most(|timing| timing.looking_share)?;
    Some(format!(
        "harness: reading the clock {}, recording a latency {}{outside}; looking at the stores {:.2} % of the time \
         (measured, the most of all trials)",
        ns(clock),
        ns(record),
        100.0 * looking
    ))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use hdrhistogram::Histogram;
    use insta::assert_snapshot;

    use super::*;
    use crate::result::{
        ConditionLatency, Course, Latency, Outcome, ServedFrom, Steadiness, Trend, TrialRun, Unsettled, WorkingSet,
    };
    use crate::run::{RunOptions, empty_result};
    use crate::workload::{Document, Plan};

    /// A result of RocksDB trials that measured this; the last one counts.
    fn result(measured: [Measurement; 3]) -> RunResult {
        let plan = Plan::of(Document::parse(Path::new("job.toml"), "[run]\n".to_owned()).unwrap(), &[], false).unwrap();
        let options = RunOptions { output: PathBuf::new(), state_folder: ".".into(), quiet: true, quick: true };
        let mut result = empty_result(&plan, &options);
        for (repeat, measurement) in (0..).zip(measured) {
            result.trials.push(Trial {
                variant: 0,
                configuration: "rocksdb".to_owned(),
                base: "rocksdb".to_owned(),
                knobs: [].into(),
                options: [].into(),
                repeat,
                companion: repeat == 2,
                seed: 1,
                run: TrialRun::default(),
                outcome: Outcome::Finished(Box::new(measurement)),
            });
        }
        result
    }

    fn latency(count: u64, ns: u64) -> Latency {
        let mut histogram = Histogram::new(2).unwrap();
        histogram.record_n(ns, count).unwrap();
        Latency::of(&histogram)
    }

    fn trial(throughput: f64) -> Measurement {
        let during =
            |during: &str, count, ns| ConditionLatency { during: during.to_owned(), latency: latency(count, ns) };
        let mut trial = Measurement {
            throughput_events_per_s: throughput,
            event_latency: latency(100_000, 900),
            latency_during: vec![during("flush", 20_000, 5_000), during("undisturbed", 80_000, 800)],
            steadiness: Some(Steadiness {
                course: Course::Slowing,
                unsettled: vec![Unsettled { figure: "throughput".to_owned(), third_quarter: 1e6, last_quarter: 9e5 }],
                warm_up_s: Some(3.5),
                latency_trend: Trend::Bounded,
                compactions: 2,
            }),
            working_set: Some(WorkingSet { served_from: ServedFrom::BlockCache, evidence: "sizes".to_owned() }),
            ..Measurement::of_nothing()
        };
        trial.timing.record_ns = Some(9.0);
        trial.timing.harness_ns_per_event = Some(110.0);
        trial.timing.looking_share = Some(0.0004);
        trial
    }

    #[test]
    fn what_goes_on_beside_events_has_a_column_each() {
        let result = result([trial(9e5), trial(1e6), trial(7e5)]);
        assert_snapshot!(
            during_rows(&result)[0].join(" | "),
            @"rocksdb | 803 ns | 803 ns (80.0 %) | - | 5.02 µs (20.0 %) | - | - | -"
        );
    }

    #[test]
    fn warm_up_working_set_and_instruments_are_told() {
        let counted = Measurement {
            working_set: Some(WorkingSet { served_from: ServedFrom::PageCache, evidence: "counters".to_owned() }),
            ..trial(7e5)
        };
        assert_snapshot!(lines(&result([trial(9e5), trial(1.1e6), counted])).join("\n"), @"
        not steady rocksdb repeat 1: throughput changed by -10.0 % from the third quarter to the last; a warm-up of 3.5 s would have done (modelled, MSER-5)
        not steady rocksdb repeat 2: throughput changed by -10.0 % from the third quarter to the last; a warm-up of 3.5 s would have done (modelled, MSER-5)
        working set rocksdb: served from the page cache: counters
        counters rocksdb: -30.00 % throughput where RocksDB counts, one trial against the median of the others
        harness: reading the clock 0.00 ns, recording a latency 9.00 ns; making and routing an event 110 ns, outside of every figure; looking at the stores 0.04 % of the time (measured, the most of all trials)
        ");
    }
}
