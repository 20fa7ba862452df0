//! Results over time as tables.

use std::fmt::Write;

use super::Format;
use super::table::{align, cell_text, name, table, with_unit};
use crate::gate::{History, LEAST_RESULTS, Series};
use crate::result::{METRICS, Unit, printable};

/// The bars of a spark line, lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Points of a spark line: the latest ones.
const MOST_BARS: usize = 24;

/// Prints a history.
///
/// # Errors
/// None of ours; the type is what the JSON and CSV writers return.
pub fn render_history(history: &History, format: Format) -> Result<String, Box<dyn std::error::Error>> {
    Ok(match format {
        Format::Table | Format::Markdown => text(history, format),
        Format::Json => serde_json::to_string_pretty(history)? + "\n",
        Format::Csv => csv(history)?,
    })
}

fn text(history: &History, format: Format) -> String {
    let mut out = String::new();
    let header = ["workload", "configuration", "metric", "results", "first", "latest", "level", "changes"];
    let mut levels = table(format, &header);
    for series in &history.series {
        let unit = unit(series);
        let at = |index: Option<usize>| index.and_then(|index| series.points.get(index)).map(|point| point.median);
        let value = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| with_unit(value, unit));
        levels.add_row([
            name(&series.workload, format),
            name(&series.configuration, format),
            series.metric.clone(),
            series.points.len().to_string(),
            value(at(Some(0))),
            value(at(series.points.len().checked_sub(1))),
            spark(series),
            series.changes.len().to_string(),
        ]);
    }
    align(&mut levels, 3);
    let _ = writeln!(out, "{levels}\n");
    let changes = changes(history, format);
    if changes.is_empty() {
        let _ = writeln!(out, "no change of level by 3 % or more");
    } else {
        let _ = write!(out, "{changes}");
    }
    let short = history.series.iter().filter(|series| series.points.len() < 2 * LEAST_RESULTS).count();
    if short > 0 {
        let _ = writeln!(
            out,
            "{short} of {} series have fewer than {} results: no change can be found in them yet",
            history.series.len(),
            2 * LEAST_RESULTS
        );
    }
    let _ = writeln!(out, "a trend, not a verdict: what results of different days differ by may be the machine");
    out
}

/// The table of changes with an empty line behind it; nothing where there are none.
fn changes(history: &History, format: Format) -> String {
    let header = ["workload", "configuration", "metric", "since", "before", "after", "change", "p", ""];
    let mut table = table(format, &header);
    for series in &history.series {
        for change in &series.changes {
            let word = match (change.is_latest, change.is_worse) {
                (true, true) => "▲ worse",
                (true, false) => "▼ better",
                (false, true) => "was worse",
                (false, false) => "was better",
            };
            table.add_row([
                name(&series.workload, format),
                name(&series.configuration, format),
                series.metric.clone(),
                name(&change.file, format),
                with_unit(change.before, unit(series)),
                with_unit(change.after, unit(series)),
                format!("{:+.1} %", change.change_percent),
                format!("{:.4}", change.p),
                word.to_owned(),
            ]);
        }
    }
    if table.is_empty() {
        return String::new();
    }
    align(&mut table, 4);
    format!("{table}\n\n")
}

fn unit(series: &Series) -> Unit {
    METRICS.iter().find(|metric| metric.name == series.metric).map_or(Unit::Factor, |metric| metric.unit)
}

/// The latest medians as bars between the lowest and the highest of them.
fn spark(series: &Series) -> String {
    let latest = &series.points[series.points.len().saturating_sub(MOST_BARS)..];
    let bounds = latest
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| (low.min(point.median), high.max(point.median)));
    let bar = |value: f64| {
        let share = (value - bounds.0) / (bounds.1 - bounds.0).max(f64::MIN_POSITIVE);
        BARS[((share * BARS.len() as f64) as usize).min(BARS.len() - 1)]
    };
    latest.iter().map(|point| bar(point.median)).collect()
}

fn csv(history: &History) -> Result<String, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "workload",
        "configuration",
        "host_class",
        "metric",
        "file",
        "started_epoch_s",
        "median",
        "trials",
        "change_percent",
    ])?;
    for series in &history.series {
        for (point, place) in series.points.iter().zip(0..) {
            let change = series.changes.iter().find(|change| change.at == place);
            writer.write_record([
                cell_text(&series.workload),
                cell_text(&series.configuration),
                cell_text(&series.host_class),
                series.metric.clone(),
                cell_text(&printable(&point.file)),
                point.started_epoch_s.to_string(),
                point.median.to_string(),
                point.trials.to_string(),
                change.map_or_else(String::new, |change| change.change_percent.to_string()),
            ])?;
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
