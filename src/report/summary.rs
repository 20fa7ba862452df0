//! A result by configuration: median and spread over repeats.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cache::{CacheRow, cache_curves};
use super::knobs::Knobs;
use crate::result::{From, LatencySummary, METRICS, Measurement, Metric, Outcome, PhaseMeasurement, RunResult, Trial};
use crate::statistics::median_interval95;
use crate::workload::Options;

/// The rows of a result, in order of the workloads and of first appearance of a configuration in the workload file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// One row for each workload and configuration.
    pub rows: Vec<Row>,
    /// One row for each of them and each kind of state access.
    pub accesses: Vec<AccessRow>,
    /// One row for each of them and each phase of the run.
    pub phases: Vec<PhaseRow>,
    /// One row for each of them whose companion trial tells what block caches of other sizes would do.
    pub cache_curves: Vec<CacheRow>,
}

/// One workload under one configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The workload's choices in the matrix; empty without one.
    pub workload: String,
    /// The configuration.
    pub configuration: String,
    /// Its name in the workload file, without the choices of a matrix.
    pub base: String,
    /// Its options that differ from Flink's defaults.
    pub settings: BTreeMap<String, String>,
    /// Finished trials, companions left out.
    pub trials: usize,
    /// Trials that failed.
    pub failed: usize,
    /// Trials whose state would not have fit the Java heap.
    pub out_of_memory: usize,
    /// Finished trials of which more than 1 % of the events took over 300 µs, in both regimes; RocksDB only.
    pub slow_trials: usize,
    /// The regime that the trials of this row ran in, where the configuration has runs of both.
    pub regime: Option<Regime>,
    /// The values of the matrix's axes; empty without a matrix.
    pub knobs: Vec<String>,
    /// Throughput over that of the workload's first configuration, medians.
    pub throughput_ratio: Option<f64>,
    /// Metrics by name.
    pub metrics: BTreeMap<&'static str, Spread>,
}

/// The two ways in which identical trials can run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Regime {
    /// Whether more than 1 % of a trial's events took over 300 µs.
    pub slow: bool,
    /// Finished trials of the configuration in both regimes.
    pub of: usize,
}

/// Latency of one kind of state access, the median trial of each figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccessRow {
    /// The workload's choices in the matrix.
    pub workload: String,
    /// The configuration.
    pub configuration: String,
    /// The regime that the trials of this row ran in, where the configuration has runs of both.
    pub regime: Option<Regime>,
    /// Finished trials of this row.
    pub trials: usize,
    /// The kind, such as `value.get`.
    pub access: String,
    /// Timed accesses of all trials.
    pub count: u64,
    /// Median, ns.
    pub p50_ns: Option<Spread>,
    /// 99th percentile, ns.
    pub p99_ns: Option<Spread>,
    /// 99.9th percentile, ns.
    pub p999_ns: Option<Spread>,
}

/// One phase of a workload under one configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseRow {
    /// The workload's choices in the matrix.
    pub workload: String,
    /// The configuration.
    pub configuration: String,
    /// The regime that the trials of this row ran in, where the configuration has runs of both.
    pub regime: Option<Regime>,
    /// Finished trials of this row.
    pub trials: usize,
    /// The phase.
    pub phase: String,
    /// Its events, in each trial.
    pub events: u64,
    /// Metrics by name, of those that a phase has.
    pub metrics: BTreeMap<&'static str, Spread>,
}

/// A figure over repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Median of the trials; of two in the middle their mean.
    pub median: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// An interval that holds the median of all possible trials with a probability of at least 95 %; none of fewer than six.
    pub interval95: Option<[f64; 2]>,
}

/// The median of some values; none of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    Spread::of(values.collect()).map(|spread| spread.median)
}

impl Spread {
    /// Of these values; none of none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { median, min, max, interval95: median_interval95(&values) })
    }
}

/// The trials of one workload and configuration, or of one regime of them: what a row of a summary is made of.
pub(super) struct Group<'a> {
    /// The workload, by its position among the variants.
    pub variant: usize,
    /// The configuration.
    pub configuration: &'a str,
    /// Trials that are measured, finished or not.
    pub trials: Vec<&'a Trial>,
    /// Trials in which RocksDB counts.
    pub companions: Vec<&'a Trial>,
    /// Slow trials of the configuration, whichever regime this group is of.
    slow: usize,
    regime: Option<Regime>,
}

/// What those of the trials measured that have finished.
pub(super) fn finished<'a>(trials: &[&'a Trial]) -> impl Iterator<Item = &'a Measurement> {
    trials.iter().filter_map(|trial| match &trial.outcome {
        Outcome::Finished(measurement) => Some(measurement.as_ref()),
        _ => None,
    })
}

/// The options of a trial that differ from Flink's defaults.
fn settings(trial: &Trial) -> BTreeMap<String, String> {
    let differs = |key: &str, value: &str| Options::row(key).is_none_or(|row| row.default() != value);
    let options = trial.portable_options().filter(|(key, value)| differs(key, value));
    options.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn is_slow(trial: &Trial) -> bool {
    matches!(&trial.outcome, Outcome::Finished(measurement) if measurement.is_slow())
}

impl<'a> Group<'a> {
    fn measurements(&self) -> impl Iterator<Item = &Measurement> {
        finished(&self.trials)
    }

    fn spread(&self, figure: impl Fn(&Measurement) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.measurements().filter_map(figure).collect())
    }

    fn metric(&self, metric: &Metric) -> Option<Spread> {
        let trials = match metric.from {
            From::Measured => &self.trials,
            From::Companions => &self.companions,
        };
        Spread::of(finished(trials).filter_map(metric.get).collect())
    }

    /// A configuration whose identical trials ran in two regimes becomes two groups: their average would be a run that
    /// nobody ever sees. Only RocksDB has a slow regime.
    fn by_regime(self) -> Vec<Self> {
        let of = self.measurements().count();
        let (slow, calm): (Vec<_>, Vec<_>) = self.trials.iter().copied().partition(|trial| is_slow(trial));
        let has_store = self.measurements().any(|measurement| measurement.store_memory.is_some());
        let slow_trials = if has_store { slow.len() } else { 0 };
        if slow_trials == 0 || slow_trials == of {
            return vec![Self { slow: slow_trials, ..self }];
        }
        let part = |trials: Vec<&'a Trial>, slow: bool| {
            let companions = self.companions.iter().copied().filter(|trial| is_slow(trial) == slow).collect();
            Self { trials, companions, slow: slow_trials, regime: Some(Regime { slow, of }), ..self }
        };
        vec![part(calm, false), part(slow, true)]
    }
}

impl Summary {
    /// Summarises a result.
    pub fn of(result: &RunResult) -> Self {
        let groups = groups(result);
        let knobs = Knobs::of(result);
        let mut summary =
            Self { rows: Vec::new(), accesses: Vec::new(), phases: Vec::new(), cache_curves: cache_curves(result) };
        for group in &groups {
            let label = |group: &Group<'_>| result.variant_label(group.variant).to_owned();
            let first = groups.iter().find(|other| other.variant == group.variant);
            let throughput = |group: &Group<'_>| group.spread(|m| Some(m.throughput_events_per_s));
            let ratio = throughput(group)
                .zip(first.and_then(throughput))
                .map(|(own, first)| own.median / first.median)
                .filter(|ratio| ratio.is_finite());
            let metrics = METRICS.iter().filter_map(|metric| Some((metric.name, group.metric(metric)?)));
            let first_trial = group.trials.first().or(group.companions.first());
            let knobs = knobs.as_ref().zip(first_trial);
            summary.rows.push(Row {
                workload: label(group),
                configuration: group.configuration.to_owned(),
                trials: group.measurements().count(),
                failed: group.trials.iter().filter(|t| matches!(t.outcome, Outcome::Failed { .. })).count(),
                slow_trials: group.slow,
                regime: group.regime,
                knobs: knobs.map(|(knobs, trial)| knobs.values(trial)).unwrap_or_default(),
                base: first_trial.map_or_else(String::new, |trial| trial.base.clone()),
                settings: first_trial.map(|trial| settings(trial)).unwrap_or_default(),
                out_of_memory: group.trials.iter().filter(|t| matches!(t.outcome, Outcome::OutOfMemory(_))).count(),
                throughput_ratio: ratio,
                metrics: metrics.collect(),
            });
            summary.accesses.extend(access_rows(group, &label(group)));
            summary.phases.extend(phase_rows(group, &label(group)));
        }
        summary
    }
}

/// Trials by workload and configuration. Trials run in random order; the rows keep that of the workload file, which is
/// the order of the result's configurations, or by name where the result has none of its own.
pub(super) fn groups(result: &RunResult) -> Vec<Group<'_>> {
    let place = |name: &str| {
        let listed = result
            .workload
            .configuration
            .iter()
            .position(|c| name == c.name || name.starts_with(&format!("{} ", c.name)));
        (listed.unwrap_or(usize::MAX), natural(name))
    };
    let mut groups: Vec<Group<'_>> = Vec::new();
    for trial in &result.trials {
        let of = |group: &Group<'_>| group.variant == trial.variant && group.configuration == trial.configuration;
        let position = groups.iter().position(of).unwrap_or(groups.len());
        if position == groups.len() {
            let configuration = &trial.configuration;
            let empty = Group {
                variant: trial.variant,
                configuration,
                trials: vec![],
                companions: vec![],
                slow: 0,
                regime: None,
            };
            groups.push(empty);
        }
        let group = &mut groups[position];
        if trial.companion { group.companions.push(trial) } else { group.trials.push(trial) }
    }
    groups.sort_by_key(|group| (group.variant, place(group.configuration)));
    groups.into_iter().flat_map(Group::by_regime).collect()
}

/// A key that sorts names as people do: 8mb before 64mb, 512kb before 8mb.
pub(super) fn natural(name: &str) -> Vec<(u64, String)> {
    let words = name.split(|c: char| !c.is_alphanumeric());
    let number = |word: &str| word.parse::<crate::workload::Bytes>().map_or(0, |bytes| bytes.0);
    words.map(|word| (number(word), word.to_owned())).collect()
}

fn access_rows(group: &Group<'_>, workload: &str) -> Vec<AccessRow> {
    let mut kinds: Vec<&str> = Vec::new();
    for access in group.measurements().flat_map(|m| &m.access_latency) {
        if !kinds.contains(&access.kind.as_str()) {
            kinds.push(&access.kind);
        }
    }
    let row = |kind: &str| {
        let find = |m: &Measurement| m.access_latency.iter().find(|a| a.kind == kind).map(|a| a.latency.summary);
        let spread = |figure: fn(&LatencySummary) -> Option<u64>| {
            group.spread(|m| find(m).as_ref().and_then(figure).map(|ns| ns as f64))
        };
        AccessRow {
            workload: workload.to_owned(),
            configuration: group.configuration.to_owned(),
            regime: group.regime,
            trials: group.measurements().count(),
            access: kind.to_owned(),
            count: group.measurements().filter_map(find).map(|summary| summary.count).sum(),
            p50_ns: spread(|summary| summary.p50_ns),
            p99_ns: spread(|summary| summary.p99_ns),
            p999_ns: spread(|summary| summary.p999_ns),
        }
    };
    kinds.into_iter().map(row).collect()
}

/// The phases of a group, in their order.
fn phase_rows(group: &Group<'_>, workload: &str) -> Vec<PhaseRow> {
    let Some(first) = group.measurements().next() else { return Vec::new() };
    let row = |(index, phase): (usize, &PhaseMeasurement)| {
        let spread = |metric: &Metric| group.spread(|m| (metric.of_phase)(m.phases.get(index)?));
        PhaseRow {
            workload: workload.to_owned(),
            configuration: group.configuration.to_owned(),
            regime: group.regime,
            trials: group.measurements().count(),
            phase: phase.name.clone(),
            events: phase.events,
            metrics: METRICS.iter().filter_map(|metric| Some((metric.name, spread(metric)?))).collect(),
        }
    };
    first.phases.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between() {
        assert_eq!(
            Spread::of(vec![4.0, 1.0, 3.0, 2.0]),
            Some(Spread { median: 2.5, min: 1.0, max: 4.0, interval95: None })
        );
        assert_eq!(Spread::of(vec![]), None);
    }

    #[test]
    fn names_sort_as_people_do() {
        let mut names = ["a size=64mb", "a size=8mb", "a size=512kb"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["a size=512kb", "a size=8mb", "a size=64mb"]);
    }
}
