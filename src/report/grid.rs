//! The tables of a result as data: a terminal, Markdown and a page show the same rows.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::Table;

use super::knobs::Knobs;
use super::table::{Format, align, name, percent_spread, significant, table, with_unit};
use super::tuning::tuning_grids;
use super::{Regime, Spread, Summary, cache, checkpoints, jvm, open_loop, stores, stream, trust};
use crate::result::{METRICS, Metric, RunResult, Shown, Unit};

/// A table.
pub(super) struct Grid {
    /// What it is about, by which a page finds it.
    pub id: &'static str,
    /// Headings.
    pub header: Vec<String>,
    /// Cells, as they are: names of workloads and configurations among them.
    pub rows: Vec<Vec<String>>,
    /// Columns of names, on the left; the others hold figures.
    pub names: usize,
}

impl Grid {
    /// For a terminal or for Markdown, with every cell made safe to print.
    pub fn table(&self, format: Format) -> Table {
        let header: Vec<&str> = self.header.iter().map(String::as_str).collect();
        let mut table = table(format, &header);
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| folded(name(cell, format), format)));
        }
        align(&mut table, self.names);
        table
    }

    /// One whose rows begin with a name; none without rows.
    pub(super) fn named(id: &'static str, header: &[&str], rows: Vec<Vec<String>>) -> Option<Self> {
        let header = header.iter().map(|&heading| heading.to_owned()).collect();
        (!rows.is_empty()).then_some(Self { id, header, rows, names: 1 })
    }

    /// One over rows of a summary, with a column of workloads in front where any has a name.
    fn of_workloads(id: &'static str, header: Vec<&str>, rows: Vec<(&str, Vec<String>)>, names: usize) -> Self {
        let with_workload = rows.iter().any(|(workload, _)| !workload.is_empty());
        let front = usize::from(with_workload);
        let header = std::iter::repeat_n("workload", front).chain(header).map(str::to_owned).collect();
        let row = |(workload, cells): (&str, Vec<String>)| {
            std::iter::repeat_n(workload.to_owned(), front).chain(cells).collect::<Vec<_>>()
        };
        Self { id, header, rows: rows.into_iter().map(row).collect(), names: names + front }
    }
}

/// Settings in a line that a terminal has no room for, on several.
fn folded(cell: String, format: Format) -> String {
    const MOST_CHARS: usize = 64;
    if format != Format::Table || cell.chars().count() <= MOST_CHARS || !cell.contains(SETTINGS_APART) {
        return cell;
    }
    let mut lines: Vec<String> = Vec::new();
    for part in cell.split(SETTINGS_APART) {
        match lines.last_mut().filter(|line| line.chars().count() + part.chars().count() < MOST_CHARS) {
            Some(line) => line.extend([SETTINGS_APART, part]),
            None => lines.push(part.to_owned()),
        }
    }
    lines.join("\n")
}

/// What stands between settings in a line.
const SETTINGS_APART: &str = " · ";

/// The tables of a result, in the order in which they are shown; those without rows are left out.
pub(super) fn grids(result: &RunResult, summary: &Summary) -> Vec<Grid> {
    let named = [
        Grid::named("memory", &stores::MEMORY_HEADER, stores::memory_rows(result)),
        Grid::named("cache", &cache::CACHE_HEADER, cache::cache_rows(&summary.cache_curves)),
        Grid::named("open-loop", &open_loop::OPEN_LOOP_HEADER, open_loop::open_loop_rows(result)),
        Grid::named("jvm", &jvm::JVM_HEADER, jvm::jvm_rows(result)).map(|grid| Grid { names: 2, ..grid }),
        Grid::named("during", &trust::DURING_HEADER, trust::during_rows(result)),
        Grid::named("pipeline", &stream::LATER_HEADER, stream::later_rows(result)),
        Grid::named("growth", &stream::GROWTH_HEADER, stream::growth_rows(result)),
        Grid::named("timers", &stream::FIRING_HEADER, stream::firing_rows(result)),
        Grid::named("checkpoints", &checkpoints::CHECKPOINT_HEADER, checkpoints::checkpoint_rows(result)),
        Grid::named("restores", &checkpoints::RESTORE_HEADER, checkpoints::restore_rows(result)),
    ];
    let mut grids = tuning_grids(result);
    grids.push(configurations(summary));
    grids.extend(intervals(summary));
    grids.extend((!summary.phases.is_empty()).then(|| phases(summary)));
    grids.extend((!summary.accesses.is_empty()).then(|| accesses(summary)));
    grids.extend(named.into_iter().flatten());
    grids.extend(Knobs::of(result).map(|knobs| of_knobs(&knobs, summary)));
    grids
}

/// One row for each configuration.
fn configurations(summary: &Summary) -> Grid {
    let metrics: Vec<_> = METRICS.iter().filter(|metric| metric.shown != Shown::Knobs).collect();
    let mut header = vec!["configuration", "trials", "ratio"];
    header.extend(metrics.iter().map(|metric| metric.label));
    header.insert(4, "spread");
    let rows = summary.rows.iter().map(|row| {
        let mut failed = if row.failed > 0 { format!(" ({} failed)", row.failed) } else { String::new() };
        if row.out_of_memory > 0 {
            let _ = write!(failed, " ({} out of memory)", row.out_of_memory);
        }
        let ratio = row.throughput_ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{}×", significant(ratio)));
        let mut cells =
            vec![with_regime(&row.configuration, row.regime, row.trials), format!("{}{failed}", row.trials), ratio];
        cells.extend(metrics.iter().map(|metric| median(&row.metrics, metric)));
        let throughput = row.metrics.get(METRICS[0].name);
        cells.insert(4, throughput.map_or_else(|| "-".to_owned(), |spread| percent_spread(*spread)));
        (row.workload.as_str(), cells)
    });
    Grid::of_workloads("configurations", header, rows.collect(), 1)
}

/// The intervals of the medians of the table of configurations; none where no configuration has the trials for one.
fn intervals(summary: &Summary) -> Option<Grid> {
    let interval = |row: &super::Row, metric: &Metric| row.metrics.get(metric.name)?.interval95;
    let is_known = |metric: &&Metric| summary.rows.iter().any(|row| interval(row, metric).is_some());
    let is_shown = |metric: &&Metric| metric.shown != Shown::Knobs || metric.name.starts_with("response_");
    let metrics: Vec<_> = METRICS.iter().filter(is_shown).filter(is_known).collect();
    let header =
        ["configuration · 95 % intervals"].into_iter().chain(metrics.iter().map(|metric| metric.label)).collect();
    let text = |[low, high]: [f64; 2], unit| format!("{} … {}", with_unit(low, unit), with_unit(high, unit));
    let rows = summary.rows.iter().map(|row| {
        let name = with_regime(&row.configuration, row.regime, row.trials);
        let cells = metrics
            .iter()
            .map(|metric| interval(row, metric).map_or_else(|| "-".to_owned(), |interval| text(interval, metric.unit)));
        (row.workload.as_str(), std::iter::once(name).chain(cells).collect())
    });
    (!metrics.is_empty()).then(|| Grid::of_workloads("intervals", header, rows.collect(), 1))
}

/// One row for each cell of a sweep: the knobs, then what they do.
fn of_knobs(knobs: &Knobs, summary: &Summary) -> Grid {
    let is_known =
        |metric: &&Metric| !metric.is_rare() || summary.rows.iter().any(|row| row.metrics.contains_key(metric.name));
    let metrics: Vec<_> =
        METRICS.iter().filter(|metric| metric.shown != Shown::Configurations).filter(is_known).collect();
    let header = knobs.headings().chain(["configuration"]).chain(metrics.iter().map(|metric| metric.label));
    let row = |row: &super::Row| {
        let mut cells = row.knobs.clone();
        cells.push(with_regime(&row.base, row.regime, row.trials));
        cells.extend(metrics.iter().map(|metric| median(&row.metrics, metric)));
        cells
    };
    Grid {
        id: "knobs",
        header: header.map(str::to_owned).collect(),
        rows: summary.rows.iter().map(row).collect(),
        names: knobs.axes.len() + 1,
    }
}

/// One row for each phase of each configuration, with the metrics that a phase has.
fn phases(summary: &Summary) -> Grid {
    let has = |metric: &&Metric| summary.phases.iter().any(|row| row.metrics.contains_key(metric.name));
    let metrics: Vec<_> = METRICS.iter().filter(has).collect();
    let mut header = vec!["configuration", "phase", "events"];
    header.extend(metrics.iter().map(|metric| metric.label));
    let rows = summary.phases.iter().map(|row| {
        let configuration = with_regime(&row.configuration, row.regime, row.trials);
        let mut cells = vec![configuration, row.phase.clone(), row.events.to_string()];
        cells.extend(metrics.iter().map(|metric| median(&row.metrics, metric)));
        (row.workload.as_str(), cells)
    });
    Grid::of_workloads("phases", header, rows.collect(), 2)
}

/// One row for each kind of state access of each configuration.
fn accesses(summary: &Summary) -> Grid {
    let header = vec!["configuration", "state access", "timed", "p50", "p99", "p99.9"];
    let rows = summary.accesses.iter().map(|row| {
        let ns = |spread: Option<Spread>| {
            spread.map_or_else(|| "-".to_owned(), |spread| with_unit(spread.median, Unit::Nanoseconds))
        };
        let cells = vec![
            with_regime(&row.configuration, row.regime, row.trials),
            row.access.clone(),
            row.count.to_string(),
            ns(row.p50_ns),
            ns(row.p99_ns),
            ns(row.p999_ns),
        ];
        (row.workload.as_str(), cells)
    });
    Grid::of_workloads("accesses", header, rows.collect(), 2)
}

/// A configuration's name, with the regime where its runs had two.
pub(super) fn with_regime(name: &str, regime: Option<Regime>, trials: usize) -> String {
    match regime {
        Some(Regime { slow, of }) => {
            format!("{name} · {} {} of {of}", if slow { "slow" } else { "calm" }, trials)
        }
        None => name.to_owned(),
    }
}

fn median(metrics: &BTreeMap<&str, Spread>, metric: &Metric) -> String {
    metrics.get(metric.name).map_or_else(|| "-".to_owned(), |spread| with_unit(spread.median, metric.unit))
}
