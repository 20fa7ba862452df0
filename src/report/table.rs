//! A result as a table for the terminal, Markdown, CSV or JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_HORIZONTAL_ONLY};
use comfy_table::{CellAlignment, Table};

use super::grid::grids;
use super::notes::notes;
use super::{Regime, Spread, Summary};
use crate::result::{METRICS, Metric, RunResult, printable};

pub(super) use crate::result::{significant, with_unit};

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people, on a terminal.
    Table,
    /// For programs.
    Json,
    /// For a comment or a document.
    Markdown,
    /// For a spreadsheet: of a result one row for each configuration, then one for each of its phases, with three columns
    /// for each metric; of a comparison one row for each metric.
    Csv,
}

/// Prints a result.
///
/// # Errors
/// None of ours; the type is what the JSON and CSV writers return.
pub fn render(result: &RunResult, format: Format) -> Result<String, Box<dyn std::error::Error>> {
    let summary = Summary::of(result);
    Ok(match format {
        Format::Table | Format::Markdown => text(result, &summary, format),
        Format::Json => serde_json::to_string_pretty(&summary)? + "\n",
        Format::Csv => csv(&summary)?,
    })
}

fn text(result: &RunResult, summary: &Summary, format: Format) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", printable(&result.name));
    if let Some(description) = &result.description {
        let _ = writeln!(out, "{}", printable(description.trim()));
    }
    out.push('\n');
    for grid in grids(result, summary) {
        let _ = writeln!(out, "{}\n", grid.table(format));
    }
    for note in notes(result, summary) {
        let _ = writeln!(out, "{}", note.text);
    }
    out
}

pub(super) fn table(format: Format, header: &[&str]) -> Table {
    let style = if format == Format::Markdown { ASCII_MARKDOWN } else { UTF8_HORIZONTAL_ONLY };
    let mut table = Table::new();
    table.load_style(style).set_header(header.to_vec());
    table
}

/// A name in a cell; in Markdown a bar would end the cell.
pub(super) fn name(text: &str, format: Format) -> String {
    let text = printable(text);
    if format == Format::Markdown { text.replace('|', "\\|") } else { text }
}

/// Numbers to the right, names to the left.
pub(super) fn align(table: &mut Table, names: usize) {
    for column in table.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn csv(summary: &Summary) -> Result<String, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = [
        "workload",
        "configuration",
        "phase",
        "regime",
        "trials",
        "failed",
        "out_of_memory",
        "slow",
        "throughput_ratio",
    ];
    let mut header: Vec<String> = names.map(str::to_owned).into();
    for metric in METRICS {
        header.extend(["median", "min", "max"].map(|figure| format!("{}_{figure}", metric.name)));
    }
    writer.write_record(&header)?;
    let regime =
        |regime: Option<Regime>| regime.map_or("", |regime| if regime.slow { "slow" } else { "calm" }).to_owned();
    for row in &summary.rows {
        let mut record = vec![
            cell_text(&row.workload),
            cell_text(&row.configuration),
            String::new(),
            regime(row.regime),
            row.trials.to_string(),
            row.failed.to_string(),
            row.out_of_memory.to_string(),
            row.slow_trials.to_string(),
            row.throughput_ratio.map_or_else(String::new, |ratio| ratio.to_string()),
        ];
        record.extend(figures(&row.metrics));
        writer.write_record(&record)?;
    }
    for row in &summary.phases {
        let mut record = vec![
            cell_text(&row.workload),
            cell_text(&row.configuration),
            cell_text(&row.phase),
            regime(row.regime),
            row.trials.to_string(),
        ];
        record.extend([const { String::new() }; 4]);
        record.extend(figures(&row.metrics));
        writer.write_record(&record)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Median, least and largest of every metric; of one that is not there nothing.
fn figures(metrics: &BTreeMap<&str, Spread>) -> Vec<String> {
    let of = |metric: &Metric| match metrics.get(metric.name) {
        Some(spread) => [spread.median, spread.min, spread.max].map(|value| value.to_string()),
        None => [const { String::new() }; 3],
    };
    METRICS.iter().flat_map(of).collect()
}

/// A text in a CSV cell; one that a spreadsheet would take for a formula is quoted.
pub(super) fn cell_text(text: &str) -> String {
    let text = printable(text);
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
}

/// Largest distance from the median, in percent of it.
pub(super) fn percent_spread(spread: Spread) -> String {
    let distance = (spread.max - spread.median).max(spread.median - spread.min);
    if spread.median > 0.0 { format!("±{:.0} %", 100.0 * distance / spread.median) } else { "-".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_the_largest_distance() {
        assert_eq!(percent_spread(Spread { median: 100.0, min: 90.0, max: 103.0, interval95: None }), "±10 %");
    }

    #[test]
    fn names_stay_in_their_cells() {
        assert_eq!(name("a|b\u{1b}", Format::Markdown), "a\\|b\\u{1b}");
        assert_eq!(name("a|b", Format::Table), "a|b");
        assert_eq!(cell_text("=1+1"), "'=1+1");
    }
}
