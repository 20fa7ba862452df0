//! Checkpoints one by one.

use super::axis::{Axis, Quantity};
use super::{Chart, Context, Marker, Panel, View};
use crate::result::{CheckpointRecord, Checkpoints};

/// The checkpoints of a case's typical trial.
struct Taken<'a> {
    name: &'a str,
    checkpoints: &'a Checkpoints,
}

impl Taken<'_> {
    fn points(&self, figure: impl Fn(&CheckpointRecord) -> f64) -> Vec<(f64, f64)> {
        self.checkpoints.complete().map(|record| (record.triggered_s, figure(record))).collect()
    }

    /// Quantiles of a figure: least, mean, p50, p95, p99, largest, as Flink's page tells them.
    fn quantiles(&self, figure: impl Fn(&CheckpointRecord) -> f64) -> [f64; 6] {
        let mut values: Vec<_> = self.checkpoints.complete().map(figure).collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * values.len() as f64).ceil() as usize;
            values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        };
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        [at(0.0), mean, at(0.5), at(0.95), at(0.99), at(1.0)]
    }
}

const MS: f64 = 1e6;

/// Time and size of each checkpoint.
pub(super) fn checkpoints(context: &Context<'_>) -> Result<Chart, String> {
    let cases = context.cases()?;
    let taken: Vec<Taken<'_>> = cases
        .iter()
        .filter_map(|case| Some(Taken { name: &case.name, checkpoints: case.typical()?.checkpoints.as_ref()? }))
        .filter(|taken| taken.checkpoints.complete().next().is_some())
        .collect();
    if taken.is_empty() {
        return Err("no checkpoint was completed: none was configured, or none was due".to_owned());
    }
    let all = || taken.iter().flat_map(|one| one.checkpoints.complete());
    let end = all().map(|record| record.triggered_s).fold(0.0, f64::max) * 1.05;
    let durations = all().flat_map(|record| [record.duration_ms * MS, record.sync_duration_ms * MS]);
    let sizes = all().flat_map(|record| [record.written_bytes as f64, record.full_bytes as f64]);
    let x = |label: &str| Axis::between(label, Quantity::Number, 0.0, end);
    let mut time = Panel::new(
        240,
        x(""),
        Axis::log(
            "time: filled from trigger to complete, ring while processing stood still",
            Quantity::Time,
            durations,
        ),
    );
    let mut size = Panel::new(
        240,
        x("trigger, s of the measured part"),
        Axis::log("size: filled what was written, ring what it holds", Quantity::Bytes, sizes),
    );
    for (series, one) in taken.iter().enumerate() {
        time.dots(series, one.points(|record| record.sync_duration_ms * MS), Marker::Ring);
        time.line(series, &one.points(|record| record.duration_ms * MS), true);
        time.dots(series, one.points(|record| record.duration_ms * MS), Marker::of(series));
        size.dots(series, one.points(|record| record.full_bytes as f64), Marker::Ring);
        size.line(series, &one.points(|record| record.written_bytes as f64), true);
        size.dots(series, one.points(|record| record.written_bytes as f64), Marker::of(series));
    }
    let header = ["configuration", "figure", "least", "mean", "p50", "p95", "p99", "largest"];
    Ok(Chart {
        title: title(&taken),
        kind: if taken.iter().any(|one| one.checkpoints.modelled) {
            "measured with a storage that was slowed down: its times are modelled; the trial of the median throughput"
        } else {
            "measured, the trial of the median throughput"
        },
        reading: "A ring high up is a pause that every event behind it waits for. Where what is written is far below what is held, \
                  incremental checkpoints pay.",
        alternative: String::new(),
        views: vec![View::new("", vec![time, size])],
        series: taken.iter().map(|one| one.name.to_owned()).collect(),
        table: (header.map(str::to_owned).into(), taken.iter().flat_map(rows).collect()),
    })
}

fn rows(one: &Taken<'_>) -> Vec<Vec<String>> {
    let row = |what: &str, quantity: Quantity, figure: fn(&CheckpointRecord) -> f64| {
        let mut row = vec![one.name.to_owned(), what.to_owned()];
        row.extend(one.quantiles(figure).map(|value| quantity.text(value)));
        row
    };
    vec![
        row("trigger to complete", Quantity::Time, |record| record.duration_ms * MS),
        row("stood still", Quantity::Time, |record| record.sync_duration_ms * MS),
        row("written", Quantity::Bytes, |record| record.written_bytes as f64),
        row("full size", Quantity::Bytes, |record| record.full_bytes as f64),
    ]
}

/// Who stands still longest.
fn title(taken: &[Taken<'_>]) -> String {
    let longest = |one: &Taken<'_>| one.quantiles(|record| record.sync_duration_ms)[5];
    let worst = taken.iter().max_by(|a, b| longest(a).total_cmp(&longest(b)));
    worst.map_or_else(String::new, |one| {
        let written = one.quantiles(|record| record.written_bytes as f64)[2];
        let full = one.quantiles(|record| record.full_bytes as f64)[2];
        format!(
            "Longest pause for a checkpoint: {} stands still for {}, and writes {} of {}",
            one.name,
            Quantity::Time.text(longest(one) * MS),
            Quantity::Bytes.text(written),
            Quantity::Bytes.text(full)
        )
    })
}
