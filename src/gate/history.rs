//! Results over time: where a metric changed its level. What is told here is a trend, and never fails a build.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::baseline::host_class;
use crate::compare::{Cell, Observations};
use crate::result::{Better, METRICS, Metric};
use crate::statistics::{LEAST_SIDE, changes, median};

/// The version of the JSON that this program writes.
const SCHEMA: &str = "statebench.history/1";
/// The least change that is told, as a share.
const LEAST_CHANGE: f64 = 0.03;

/// The metrics of a folder of results over time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct History {
    /// `statebench.history/1`.
    pub schema: &'static str,
    /// Results that were looked at.
    pub results: usize,
    /// Each metric of each configuration on each kind of machine.
    pub series: Vec<Series>,
}

/// One metric of one configuration over time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// Name of the workload, and its choices in the matrix.
    pub workload: String,
    /// The configuration.
    pub configuration: String,
    /// The kind of machine.
    pub host_class: String,
    /// The metric.
    pub metric: String,
    /// Whether more of it is better.
    pub higher_is_better: bool,
    /// Its values, oldest first.
    pub points: Vec<Point>,
    /// Where its level changed, oldest first; nothing is found with fewer than five results on each side.
    pub changes: Vec<ChangePoint>,
}

/// The value of a metric in one result.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Point {
    /// The file.
    pub file: String,
    /// When its run began, seconds since 1970.
    pub started_epoch_s: u64,
    /// Median over its trials, in the unit of the metric's name.
    pub median: f64,
    /// Its trials.
    pub trials: usize,
}

/// A change of a metric's level.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ChangePoint {
    /// Position of the first point behind it.
    pub at: usize,
    /// The file of that point.
    pub file: String,
    /// Median before, from the change before it on.
    pub before: f64,
    /// Median behind, up to the next change.
    pub after: f64,
    /// The change, in percent.
    pub change_percent: f64,
    /// Whether it is for the worse.
    pub is_worse: bool,
    /// Whether nothing changed behind it: what is so now.
    pub is_latest: bool,
    /// The probability of as good a split where nothing changed.
    pub p: f64,
}

impl History {
    /// Of results by the names of their files. `wants` says which metrics are looked at.
    pub fn of(results: &[(String, Observations)], wants: impl Fn(&Metric) -> bool) -> Self {
        let mut order: Vec<_> = results.iter().collect();
        order.sort_by_key(|(file, result)| (result.manifest.started_epoch_s, file.clone()));
        let mut series: BTreeMap<_, Vec<Point>> = BTreeMap::new();
        for (file, result) in order {
            let machine = host_class(&result.manifest);
            for cell in &result.cells {
                for (metric, place) in METRICS.iter().zip(0_usize..).filter(|(metric, _)| wants(metric)) {
                    let Some(point) = point(file, result, cell, metric) else { continue };
                    // Another definition of the workload or another machine is another series.
                    let workload = format!("{} {}", result.name, cell.workload).trim_end().to_owned();
                    let key = (workload, cell.configuration.clone(), machine.clone(), &cell.definition, place);
                    series.entry(key).or_default().push(point);
                }
            }
        }
        let series = series.into_iter().map(|((workload, configuration, host_class, _, place), points)| {
            let metric = &METRICS[place];
            Series {
                workload,
                configuration,
                host_class,
                metric: metric.name.to_owned(),
                higher_is_better: metric.better == Better::Higher,
                changes: change_points(&points, metric),
                points,
            }
        });
        Self { schema: SCHEMA, results: results.len(), series: series.collect() }
    }

    /// Whether a result of the folder has a metric.
    pub fn has_metric(&self, name: &str) -> bool {
        self.series.iter().any(|series| series.metric == name)
    }
}

/// Results that a change needs on each side.
pub const LEAST_RESULTS: usize = LEAST_SIDE;

fn point(file: &str, result: &Observations, cell: &Cell, metric: &Metric) -> Option<Point> {
    let values: Vec<_> = cell.trials.iter().filter_map(|trial| trial.metrics.get(metric.name).copied()).collect();
    let started_epoch_s = result.manifest.started_epoch_s;
    Some(Point { file: file.to_owned(), started_epoch_s, median: median(&values)?, trials: values.len() })
}

fn change_points(points: &[Point], metric: &Metric) -> Vec<ChangePoint> {
    let medians: Vec<_> = points.iter().map(|point| point.median).collect();
    let found = changes(&medians, LEAST_CHANGE);
    let latest = found.len();
    let of_change = |(change, place): (&crate::statistics::Change, usize)| ChangePoint {
        at: change.at,
        file: points.get(change.at).map_or_else(String::new, |point| point.file.clone()),
        before: change.before,
        after: change.after,
        change_percent: 100.0 * (change.after / change.before - 1.0),
        is_worse: (change.after > change.before) == (metric.better == Better::Lower),
        is_latest: place == latest,
        p: change.p,
    };
    found.iter().zip(1..).map(of_change).collect()
}
