//! A result as a table for the terminal, Markdown, CSV or JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_HORIZONTAL_ONLY};
use comfy_table::{CellAlignment, Table};

use super::knobs::Knobs;
use super::{Regime, Spread, Summary, checkpoints, curves, limits, open_loop, stores, stream, trust};
use crate::result::{
    HeapMemory, METRICS, Measurement, Metric, Outcome, PrefillOrigin, RunResult, Shown, TimingStrategy, Unit,
    VariantInfo, printable,
};
use crate::workload::PrefillBy;

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
    let _ = writeln!(out, "\n{}\n", main_table(summary, format));
    if !summary.phases.is_empty() {
        let _ = writeln!(out, "{}\n", phase_table(summary, format));
    }
    if !summary.accesses.is_empty() {
        let _ = writeln!(out, "{}\n", access_table(summary, format));
    }
    let memory = stores::memory_rows(result);
    if !memory.is_empty() {
        let _ = writeln!(out, "{}\n", named_table(&stores::MEMORY_HEADER, memory, format));
    }
    for (header, rows) in [
        (&open_loop::OPEN_LOOP_HEADER[..], open_loop::open_loop_rows(result)),
        (&trust::DURING_HEADER[..], trust::during_rows(result)),
        (&stream::LATER_HEADER[..], stream::later_rows(result)),
        (&stream::GROWTH_HEADER[..], stream::growth_rows(result)),
        (&stream::FIRING_HEADER[..], stream::firing_rows(result)),
        (&checkpoints::CHECKPOINT_HEADER[..], checkpoints::checkpoint_rows(result)),
        (&checkpoints::RESTORE_HEADER[..], checkpoints::restore_rows(result)),
    ] {
        if !rows.is_empty() {
            let _ = writeln!(out, "{}\n", named_table(header, rows, format));
        }
    }
    if let Some(knobs) = Knobs::of(result) {
        let _ = writeln!(out, "{}\n", knob_table(&knobs, summary, format));
        let rows = &summary.rows;
        let lines = [curves::knees(&knobs, rows), curves::crossings(&knobs, rows), curves::factors(&knobs, rows)];
        for line in lines.into_iter().flatten() {
            let _ = writeln!(out, "{}", printable(&line));
        }
    }
    notes(result, &mut out);
    out
}

/// A table of rows that begin with the name of a configuration.
fn named_table(header: &[&str], rows: Vec<Vec<String>>, format: Format) -> Table {
    let mut table = table(format, header);
    for mut row in rows {
        row.iter_mut().take(1).for_each(|cell| *cell = name(cell, format));
        table.add_row(row);
    }
    align(&mut table, 1);
    table
}

/// One row for each cell of a sweep: the knobs, then what they do.
fn knob_table(knobs: &Knobs, summary: &Summary, format: Format) -> Table {
    let is_known =
        |metric: &&Metric| !metric.is_rare() || summary.rows.iter().any(|row| row.metrics.contains_key(metric.name));
    let metrics: Vec<_> =
        METRICS.iter().filter(|metric| metric.shown != Shown::Configurations).filter(is_known).collect();
    let header: Vec<_> =
        knobs.headings().chain(["configuration"]).chain(metrics.iter().map(|metric| metric.label)).collect();
    let mut table = table(format, &header);
    for row in &summary.rows {
        let mut cells: Vec<_> = row.knobs.iter().map(|value| name(value, format)).collect();
        cells.push(name(&with_regime(&row.base, row.regime, row.trials), format));
        cells.extend(metrics.iter().map(|metric| median(&row.metrics, metric)));
        table.add_row(cells);
    }
    align(&mut table, knobs.axes.len() + 1);
    table
}

/// A configuration's name, with the regime where its runs had two.
fn with_regime(name: &str, regime: Option<Regime>, trials: usize) -> String {
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

fn main_table(summary: &Summary, format: Format) -> Table {
    let with_workload = summary.rows.iter().any(|row| !row.workload.is_empty());
    let mut header = vec!["configuration", "trials", "ratio"];
    if with_workload {
        header.insert(0, "workload");
    }
    let first_metric = header.len();
    let metrics: Vec<_> = METRICS.iter().filter(|metric| metric.shown != Shown::Knobs).collect();
    header.extend(metrics.iter().map(|metric| metric.label));
    header.insert(first_metric + 1, "spread");
    let mut table = table(format, &header);
    for row in &summary.rows {
        let mut failed = if row.failed > 0 { format!(" ({} failed)", row.failed) } else { String::new() };
        if row.out_of_memory > 0 {
            let _ = write!(failed, " ({} out of memory)", row.out_of_memory);
        }
        let ratio = row.throughput_ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{}×", significant(ratio)));
        let mut cells = vec![
            name(&with_regime(&row.configuration, row.regime, row.trials), format),
            format!("{}{failed}", row.trials),
            ratio,
        ];
        if with_workload {
            cells.insert(0, name(&row.workload, format));
        }
        cells.extend(metrics.iter().map(|metric| median(&row.metrics, metric)));
        let throughput = row.metrics.get(METRICS[0].name);
        cells.insert(first_metric + 1, throughput.map_or_else(|| "-".to_owned(), |spread| percent_spread(*spread)));
        table.add_row(cells);
    }
    align(&mut table, if with_workload { 2 } else { 1 });
    table
}

/// One row for each phase of each configuration, with the metrics that a phase has.
fn phase_table(summary: &Summary, format: Format) -> Table {
    let with_workload = summary.phases.iter().any(|row| !row.workload.is_empty());
    let has = |metric: &&Metric| summary.phases.iter().any(|row| row.metrics.contains_key(metric.name));
    let metrics: Vec<_> = METRICS.iter().filter(has).collect();
    let mut header = vec!["configuration", "phase", "events"];
    header.extend(metrics.iter().map(|metric| metric.label));
    if with_workload {
        header.insert(0, "workload");
    }
    let mut table = table(format, &header);
    for row in &summary.phases {
        let configuration = with_regime(&row.configuration, row.regime, row.trials);
        let mut cells = vec![name(&configuration, format), name(&row.phase, format), row.events.to_string()];
        cells.extend(metrics.iter().map(|metric| median(&row.metrics, metric)));
        if with_workload {
            cells.insert(0, name(&row.workload, format));
        }
        table.add_row(cells);
    }
    align(&mut table, if with_workload { 3 } else { 2 });
    table
}

fn access_table(summary: &Summary, format: Format) -> Table {
    let with_workload = summary.accesses.iter().any(|row| !row.workload.is_empty());
    let mut header = vec!["configuration", "state access", "timed", "p50", "p99", "p99.9"];
    if with_workload {
        header.insert(0, "workload");
    }
    let mut table = table(format, &header);
    for row in &summary.accesses {
        let ns = |spread: Option<Spread>| {
            spread.map_or_else(|| "-".to_owned(), |spread| with_unit(spread.median, Unit::Nanoseconds))
        };
        let mut cells = vec![
            name(&with_regime(&row.configuration, row.regime, row.trials), format),
            name(&row.access, format),
            row.count.to_string(),
            ns(row.p50_ns),
            ns(row.p99_ns),
            ns(row.p999_ns),
        ];
        if with_workload {
            cells.insert(0, name(&row.workload, format));
        }
        table.add_row(cells);
    }
    align(&mut table, if with_workload { 3 } else { 2 });
    table
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

/// What a reader must know beside the figures.
fn notes(result: &RunResult, out: &mut String) {
    for agreement in &result.agreements {
        let label = result.variant_label(agreement.variant);
        let place = if label.is_empty() { String::new() } else { format!("{} ", printable(label)) };
        let _ = writeln!(
            out,
            "digest {place}repeat {}: emitted {} after {} events, state {} after {}: {}",
            agreement.repeat + 1,
            agreement.emitted,
            agreement.emitted_after_events,
            agreement.state,
            agreement.state_after_events,
            match (agreement.trials, agreement.differences.is_empty()) {
                (_, false) => "THE TRIALS DIFFER".to_owned(),
                (1, true) => "one trial, nothing to compare it with".to_owned(),
                (trials, true) => format!("equal in {trials} trials"),
            }
        );
        for difference in &agreement.differences {
            let _ = writeln!(out, "  {}", printable(difference));
        }
    }
    for (trial, reason) in result.trials.iter().filter_map(|trial| match &trial.outcome {
        Outcome::Failed { reason, .. } => Some((trial, reason.clone())),
        Outcome::OutOfMemory(verdict) => Some((trial, verdict.to_string())),
        Outcome::Interrupted => Some((trial, "interrupted".to_owned())),
        Outcome::Finished(_) => None,
    }) {
        let reason = printable(&reason);
        let _ = writeln!(out, "{} repeat {}: {reason}", printable(&trial.configuration), trial.repeat + 1);
    }
    for line in open_loop::max_rate_lines(result) {
        let _ = writeln!(out, "{}", printable(&line));
    }
    let stream_lines = stream::late_lines(result).into_iter().chain(stream::latest_lines(result));
    for line in stream_lines.chain(checkpoints::lines(result)).chain(stores::notes(result)) {
        let _ = writeln!(out, "{}", printable(&line));
    }
    heap_notes(result, out);
    process_notes(result, out);
    for line in limits::lines(result).into_iter().chain(limits::latency_lines(result)).chain(trust::lines(result)) {
        let _ = writeln!(out, "{}", printable(&line));
    }
    timing_note(result, out);
    if result.finished().any(|(_, m)| m.event_latency.summary.p99_ns.is_none()) {
        let _ = writeln!(out, "a dash for a percentile: fewer than 100 timed events of a trial lie beyond it");
    }
    prefill_notes(result, out);
    if result.trials.len() < result.planned_trials {
        let _ = writeln!(out, "incomplete: {} of {} trials ran", result.trials.len(), result.planned_trials);
    }
    if result.manifest.quick {
        let _ = writeln!(out, "quick: a check that the workload runs, not a measurement");
    }
    if result.manifest.build.profile != "release" {
        let _ = writeln!(out, "{} build: the figures mean nothing", printable(&result.manifest.build.profile));
    }
}

/// What of the prefill makes figures another than those of a job that has run.
fn prefill_notes(result: &RunResult, out: &mut String) {
    let ingested = |label: &VariantInfo| label.workload.run.prefill_by == PrefillBy::Ingest;
    if result
        .finished()
        .any(|(trial, m)| m.store_shape.is_some() && result.variants.get(trial.variant).is_some_and(ingested))
    {
        let _ = writeln!(
            out,
            "prefill: ingested sorted, the best shape that a RocksDB tree can have; a job leaves a worse one"
        );
    }
    let of = |origin| result.finished().filter(|(_, m)| m.prefill_by == origin).count();
    let shared = of(PrefillOrigin::Linked) + of(PrefillOrigin::Restored);
    if shared > 0 {
        let _ = writeln!(out, "prefill: {shared} trials started from a copy of one that they share");
    }
    if of(PrefillOrigin::Copied) > 0 {
        let _ = writeln!(
            out,
            "prefill: the file system of the state directory has no hard links: {} trials copied whole files",
            of(PrefillOrigin::Copied)
        );
    }
}

/// The last finished trial of each workload and configuration that has something, the last one first: what is said of it
/// begins with its name.
fn last_of_each<'a, T>(
    result: &'a RunResult,
    of: impl Fn(&'a Measurement) -> Option<&'a T>,
) -> Vec<(String, &'a Measurement, &'a T)> {
    let mut told = std::collections::BTreeSet::new();
    let mut last = Vec::new();
    for (trial, measurement) in result.finished().collect::<Vec<_>>().into_iter().rev() {
        let Some(what) = of(measurement) else { continue };
        if told.insert((trial.variant, &trial.configuration)) {
            let label = result.variant_label(trial.variant);
            let place = if label.is_empty() { String::new() } else { format!("{} ", printable(label)) };
            last.push((format!("{place}{}", printable(&trial.configuration)), measurement, what));
        }
    }
    last
}

/// What the state of each configuration takes on a Java heap and allocates there, and what it does in this process: of
/// its last trial.
fn heap_notes(result: &RunResult, out: &mut String) {
    for (name, measurement, heap) in last_of_each(result, |measurement| measurement.heap.as_ref()) {
        let _ = writeln!(
            out,
            "java heap {name}: state {} of {}{}, {} an event allocated (modelled, without pipeline)",
            with_unit(heap.jvm_live_bytes as f64, Unit::Bytes),
            with_unit((heap.jvm_heap_bytes * u64::from(heap.task_managers)) as f64, Unit::Bytes),
            if heap.task_managers > 1 { format!(" in {} TaskManagers", heap.task_managers) } else { String::new() },
            with_unit(heap.jvm_allocated_bytes as f64 / measurement.events.max(1) as f64, Unit::Bytes),
        );
        if let Some(line) = process_heap(measurement, heap) {
            let _ = writeln!(out, "process heap {name}: {line}");
        }
    }
}

/// What the processes of trials took of the machine, for each configuration the last of them.
fn process_notes(result: &RunResult, out: &mut String) {
    for (name, measurement, process) in last_of_each(result, |measurement| measurement.process.as_ref()) {
        let of_event = |ns: u64| with_unit(ns as f64 / measurement.events.max(1) as f64, Unit::Nanoseconds);
        let device = process.device_read_bytes.zip(process.device_written_bytes).map(|(read, written)| {
            let [read, written] = [read, written].map(|bytes| with_unit(bytes as f64, Unit::Bytes));
            format!("; {read} from and {written} to the device")
        });
        let _ = writeln!(
            out,
            "process {name}: {} user and {} system time an event; {} context switches, {} of them forced; {} page faults, \
             {} of them from disk{} (measured, harness included)",
            of_event(process.user_ns),
            of_event(process.system_ns),
            process.voluntary_switches + process.involuntary_switches,
            process.involuntary_switches,
            process.minor_faults + process.major_faults,
            process.major_faults,
            device.unwrap_or_default(),
        );
    }
}

/// What operator and state allocated in the trial's process, and what it holds of what it takes from the system; none
/// where nothing counted.
fn process_heap(measurement: &Measurement, heap: &HeapMemory) -> Option<String> {
    let of_event = heap.process_allocated_bytes? as f64 / measurement.events.max(1) as f64;
    let of_second = (of_event * measurement.throughput_events_per_s.max(0.0)).min(f64::MAX);
    let (live, resident) = (heap.process_live_bytes? as f64, measurement.resident_bytes? as f64);
    Some(format!(
        "{} an event allocated, {} a second; {} allocated of {} resident (measured)",
        with_unit(of_event, Unit::Bytes),
        with_unit(of_second, Unit::Bytes),
        with_unit(live, Unit::Bytes),
        with_unit(resident, Unit::Bytes),
    ))
}

fn timing_note(result: &RunResult, out: &mut String) {
    let timings: Vec<_> = result.finished().map(|(_, m)| &m.timing).collect();
    let sampled: Vec<_> = timings.iter().filter(|t| t.strategy == TimingStrategy::Sampled).collect();
    let loss = |strategy: TimingStrategy| {
        let losses = timings.iter().filter(|t| t.strategy == strategy).filter_map(|t| t.loss_share);
        losses.fold(None, |most: Option<f64>, loss| Some(most.map_or(loss, |most| most.max(loss))))
    };
    let say = |loss: Option<f64>| match loss {
        Some(loss) => format!("it cost at most {:.1} % of throughput", loss * 100.0),
        None => "its cost was not calibrated: the warm-up is too short".to_owned(),
    };
    if timings.len() > sampled.len() {
        let _ = writeln!(
            out,
            "timing: every event where accesses take a microsecond; {}",
            say(loss(TimingStrategy::Every))
        );
    }
    if let (Some(least), Some(most)) =
        (sampled.iter().map(|t| t.sample_every).min(), sampled.iter().map(|t| t.sample_every).max())
    {
        let every = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let _ = writeln!(out, "timing: one event in {every} elsewhere; {}", say(loss(TimingStrategy::Sampled)));
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

/// Three significant digits.
pub(super) fn significant(value: f64) -> String {
    let magnitude = if value > 0.0 { value.log10().floor() as i32 } else { 0 };
    let digits = (2 - magnitude).clamp(0, 6) as usize;
    format!("{value:.digits$}")
}

/// Largest distance from the median, in percent of it.
fn percent_spread(spread: Spread) -> String {
    let distance = (spread.max - spread.median).max(spread.median - spread.min);
    if spread.median > 0.0 { format!("±{:.0} %", 100.0 * distance / spread.median) } else { "-".to_owned() }
}

pub(super) fn with_unit(value: f64, unit: Unit) -> String {
    let scale = |steps: &[(f64, &str)]| {
        let (factor, name) = steps.iter().find(|(factor, _)| value >= *factor).unwrap_or(&steps[steps.len() - 1]);
        format!("{} {name}", significant(value / factor)).trim_end().to_owned()
    };
    match unit {
        Unit::EventsPerSecond => scale(&[(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")]),
        Unit::Nanoseconds => scale(&[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")]),
        Unit::Share => format!("{} %", significant(100.0 * value)),
        Unit::Factor => format!("{}×", significant(value)),
        Unit::Bytes => scale(&[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        assert_eq!(with_unit(1_234_567.0, Unit::EventsPerSecond), "1.23 M");
        assert_eq!(with_unit(87.0, Unit::Nanoseconds), "87.0 ns");
        assert_eq!(with_unit(5_500.0, Unit::Nanoseconds), "5.50 µs");
        assert_eq!(with_unit(3.0 * 1_048_576.0, Unit::Bytes), "3.00 MiB");
        assert_eq!(significant(0.0), "0.00");
        assert_eq!(percent_spread(Spread { median: 100.0, min: 90.0, max: 103.0 }), "±10 %");
    }

    #[test]
    fn names_stay_in_their_cells() {
        assert_eq!(name("a|b\u{1b}", Format::Markdown), "a\\|b\\u{1b}");
        assert_eq!(name("a|b", Format::Table), "a|b");
        assert_eq!(cell_text("=1+1"), "'=1+1");
    }
}
