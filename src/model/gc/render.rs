//! The model's tables. Every figure in them is modelled unless its column says *measured*.

use std::fmt::Write;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

use super::{
    Collector, Constants, Errors, Forecast, ForecastRow, Hits, LiveCost, Overlaid, Point, Quantity, Question, Range,
    Rate, Request, SmallestHeap, Validation,
};
use crate::result::printable;

const COLLECTORS: [Collector; 2] = [Collector::G1, Collector::Parallel];
/// What does not depend on the collector is shown for both together.
const OF_BOTH: [Quantity; 2] = [Quantity::LiveBytes, Quantity::AllocatedBytes];
const OF_EACH: [Quantity; 3] = [Quantity::Young, Quantity::Full, Quantity::PauseShare];
const QUESTIONS: [Question; 4] =
    [Question::OutOfMemory, Question::AnyFull, Question::P99InRange, Question::LongestInRange];

/// The errors of the model, and with `by_run` what it says of each run.
pub fn validation_text(validation: &Validation, runs_name: &str, constants: &Constants, by_run: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "modelled JVM garbage collection against {} runs of {runs_name}\n", validation.points.len());
    if by_run {
        let _ = writeln!(out, "{}\n", run_table(validation));
    }
    let _ = writeln!(out, "{}\n\n{}\n", error_table(validation), hit_table(validation));
    let _ = writeln!(out, "{}", constants_text(constants));
    out
}

fn error_table(validation: &Validation) -> Table {
    let mut table = table(&["error of the model", "collector", "runs", "median", "p90", "worst"], 2);
    let both = OF_BOTH.map(|quantity| (quantity, None));
    let each = COLLECTORS.iter().flat_map(|collector| OF_EACH.map(|quantity| (quantity, Some(*collector))));
    for (quantity, collector) in both.into_iter().chain(each) {
        if let Some(Errors { runs, median, p90, worst }) = validation.errors(quantity, collector) {
            let figures = [median, p90, worst].map(percent);
            let mut row = vec![quantity.to_string(), collector_name(collector), runs.to_string()];
            row.extend(figures);
            table.add_row(row);
        }
    }
    table
}

fn hit_table(validation: &Validation) -> Table {
    let mut table = table(&["right answers of the model", "collector", "runs", "right", "share"], 2);
    for collector in COLLECTORS {
        for question in QUESTIONS {
            let hits = validation.hits(question, Some(collector));
            let Hits { right, runs } = hits;
            if runs > 0 {
                table.add_row([
                    question.to_string(),
                    collector.to_string(),
                    runs.to_string(),
                    right.to_string(),
                    percent(hits.share()),
                ]);
            }
        }
    }
    table
}

/// Measured over modelled, run by run.
fn run_table(validation: &Validation) -> Table {
    let header =
        ["run: measured / modelled", "collector", "heap/live", "young", "full", "pauses", "p99 pause", "longest pause"];
    let mut table = table(&header, 2);
    for point in &validation.points {
        let heap_over_live = point.run.heap.bytes as f64 / point.job.live_bytes;
        let mut row = vec![printable(&point.run.id), point.run.collector.to_string(), format!("{heap_over_live:.2}")];
        row.extend(run_figures(point));
        table.add_row(row);
    }
    table
}

fn run_figures(point: &Point) -> Vec<String> {
    let (Some(prediction), Some(observed)) = (point.prediction(), point.run.observed()) else {
        let measured = if point.run.observed().is_some() { "runs" } else { "out of memory" };
        let modelled = match &point.outcome {
            None => "not modelled",
            Some(super::Outcome::OutOfMemory) => "out of memory",
            Some(super::Outcome::Runs(_)) => "runs",
        };
        return vec![format!("{measured} / {modelled}")];
    };
    let count = |measured: f64, per_operation: f64| format!("{measured} / {:.1}", per_operation * observed.operations);
    let pause = |ms: Option<f64>, range: Range| {
        format!("{} / {}", ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}")), range_text(range))
    };
    vec![
        count(observed.young, prediction.young),
        count(observed.full, prediction.full),
        format!("{} / {}", percent(observed.pause_share), percent(prediction.pause_share)),
        pause(observed.pauses_ms.map(|(p99, _)| p99), prediction.p99),
        pause(observed.pauses_ms.map(|(_, longest)| longest), prediction.longest),
    ]
}

/// What the model says of the jobs of a result, with its error and what it was computed with.
pub fn forecast_text(forecasts: &[Forecast], request: &Request<'_>, validation: &Validation) -> String {
    let mut out = String::new();
    for forecast in forecasts {
        job_text(forecast, &mut out);
        let _ = writeln!(out, "\n{}\n", forecast_table(forecast));
        latency_text(forecast, &mut out);
        for smallest in &forecast.smallest {
            let _ = writeln!(out, "{}", smallest_text(*smallest, request.most_pause_share));
        }
        out.push('\n');
    }
    let _ = writeln!(
        out,
        "what is said of a JVM is modelled: none ran. JDK 17, equal -Xms and -Xmx, {} cores; a steady number of keys, no snapshots",
        request.cores
    );
    out.push_str("pauses: the share is the least, concurrent work comes on top; p99 and longest: from half of the pause without a full\n");
    out.push_str("collection to twice that with one\n");
    for line in error_lines(validation, &request.collectors) {
        let _ = writeln!(out, "{line}");
    }
    let _ = writeln!(out, "{}", constants_text(request.constants));
    out
}

/// The same for programs: sizes in bytes, times in ms, collections of one event, shares from 0 to 1.
pub fn forecast_json(forecasts: &[Forecast], request: &Request<'_>, validation: &Validation) -> Value {
    let jobs = forecasts.iter().map(|Forecast { trial, rate, rows, smallest }| {
        json!({
            "rate": rate,
            "workload": trial.workload,
            "configuration": trial.configuration,
            "task_managers": trial.task_managers,
            "live_bytes": trial.job.live_bytes,
            "state_bytes": trial.state_bytes,
            "live_objects": trial.job.live_objects,
            "allocated_bytes_per_event": trial.job.allocated_bytes,
            "heaps": rows,
            "smallest_heap": smallest,
        })
    });
    let errors = request.collectors.iter().map(|collector| {
        let of = |quantity| validation.errors(quantity, Some(*collector));
        json!({
            "collector": collector,
            "young": of(Quantity::Young),
            "full": of(Quantity::Full),
            "pause_share": of(Quantity::PauseShare),
            "any_full": validation.hits(Question::AnyFull, Some(*collector)),
            "longest_in_range": validation.hits(Question::LongestInRange, Some(*collector)),
        })
    });
    json!({
        "kind": "modelled",
        "cores": request.cores,
        "most_pause_share": request.most_pause_share,
        "constants": request.constants,
        "errors": errors.collect::<Vec<_>>(),
        "jobs": jobs.collect::<Vec<_>>(),
    })
}

fn job_text(forecast: &Forecast, out: &mut String) {
    let trial = &forecast.trial;
    let label = if trial.workload.is_empty() { String::new() } else { format!("{} ", printable(&trial.workload)) };
    let of_each = if trial.task_managers > 1 {
        format!(" in each of {} TaskManagers", trial.task_managers)
    } else {
        String::new()
    };
    let _ = writeln!(
        out,
        "{label}{}: {} alive{of_each} ({} of it state: {:.1} B and {:.1} objects an entry), {:.0} B an event allocated",
        printable(&trial.configuration),
        mib(trial.job.live_bytes),
        mib(trial.state_bytes),
        trial.state_bytes / trial.entries,
        trial.job.live_objects / trial.entries,
        trial.job.allocated_bytes,
    );
    let _ = writeln!(out, "rate: {}", rate_text(forecast.rate));
    if !trial.knows_keys {
        out.push_str("its keys are taken to be written equally often: their distribution is not known\n");
    }
}

fn forecast_table(forecast: &Forecast) -> Table {
    let header = [
        "modelled JVM",
        "heap",
        "heap/live",
        "full collections",
        "young/M",
        "mixed/M",
        "full/M",
        "pauses",
        "median",
        "p99 pause",
        "longest pause",
    ];
    let mut table = table(&header, 1);
    for row in &forecast.rows {
        table.add_row(forecast_cells(row));
    }
    table
}

fn forecast_cells(row: &ForecastRow) -> Vec<String> {
    let mut cells = vec![
        row.collector.to_string(),
        mib(row.heap_bytes as f64),
        format!("{:.2}", row.heap_over_live),
        row.full_collections.to_string(),
    ];
    let Some(prediction) = &row.prediction else {
        cells.resize(11, "-".to_owned());
        return cells;
    };
    let per_million = |per_operation: f64| significant(per_operation * 1e6);
    cells.extend([prediction.young, prediction.mixed, prediction.full].map(per_million));
    let share =
        if prediction.pause_share >= 0.999 { "not sustained".to_owned() } else { percent(prediction.pause_share) };
    cells.push(share);
    cells.push(prediction.median_ms.map_or_else(|| "-".to_owned(), |ms| format!("{} ms", significant(ms))));
    cells.extend([prediction.p99, prediction.longest].map(|range| format!("{} ms", range_text(range))));
    cells
}

/// The trial's latency with the pauses laid over it, where there is any.
fn latency_text(forecast: &Forecast, out: &mut String) {
    let Some(events) = &forecast.trial.events else { return };
    if forecast.rows.iter().all(|row| row.latency.is_none()) {
        return;
    }
    let mut table = table(&["event latency", "heap", "p50", "p99", "p99.9"], 1);
    let Overlaid { p50, p99, p999 } = events.alone();
    let mut alone = vec!["measured alone".to_owned(), "-".to_owned()];
    alone.extend([p50, p99, p999].map(|span| time(span.least_ns)));
    table.add_row(alone);
    for row in &forecast.rows {
        let mut cells = vec![format!("with modelled {}", row.collector), mib(row.heap_bytes as f64)];
        match row.latency {
            Some(Overlaid { p50, p99, p999 }) => {
                cells.extend([p50, p99, p999].map(|span| format!("{} .. {}", time(span.least_ns), time(span.most_ns))));
            }
            None => cells.resize(5, "-".to_owned()),
        }
        table.add_row(cells);
    }
    let _ = writeln!(
        out,
        "{table}\n\nevent latency: from no full collections and other pauses half as long to all pauses twice as long; a backlog is worked\n\
         off at the {:.0} events/s of the trial, where a JVM may be slower. A dash: at one of the ends the rate is not sustained\n",
        events.capacity_per_s
    );
}

/// A time with its unit.
fn time(ns: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let (factor, unit) = units.into_iter().find(|(factor, _)| ns >= *factor).unwrap_or((1.0, "ns"));
    format!("{} {unit}", significant(ns / factor))
}

fn smallest_text(smallest: SmallestHeap, share: f64) -> String {
    let heap = |bytes: Option<u64>| bytes.map_or_else(|| "none".to_owned(), |bytes| mib(bytes as f64));
    format!(
        "smallest heap (modelled), {}: {} fits the state, {} keeps pauses within {} of the time",
        smallest.collector,
        heap(smallest.fits_bytes),
        heap(smallest.within_share_bytes),
        percent(share)
    )
}

/// The model's errors with the built-in constants, in lines that stand beside its figures.
pub fn error_lines(validation: &Validation, collectors: &[Collector]) -> Vec<String> {
    let runs = validation.points.len();
    let of = |quantity, collector| match validation.errors(quantity, collector) {
        Some(Errors { median, p90, .. }) => format!("{quantity} {} (p90 {})", percent(median), percent(p90)),
        None => format!("{quantity} unknown"),
    };
    let both = OF_BOTH.map(|quantity| of(quantity, None)).join(", ");
    let mut lines = vec![format!("error of the built-in constants on {runs} measured runs: {both}")];
    for collector in collectors {
        let errors = [Quantity::Young, Quantity::PauseShare].map(|quantity| of(quantity, Some(*collector)));
        lines.push(format!("error, {collector}: {}", errors.join(", ")));
        let right = QUESTIONS.map(|question| {
            let Hits { right, runs } = validation.hits(question, Some(*collector));
            format!("{question} {right} of {runs}")
        });
        lines.push(format!("right, {collector}: {}", right.join(", ")));
    }
    lines
}

fn constants_text(constants: &Constants) -> String {
    let Constants {
        young_ms,
        young_ns_per_heap_mib,
        copy_ns_per_object,
        copy_ns_per_byte,
        evacuate_ns_per_object,
        g1_full,
        parallel_full,
        mark,
        pessimism,
    } = *constants;
    let live = |LiveCost { ms, ns_per_object, ns_per_byte }: LiveCost| {
        format!("{ms} ms + {ns_per_object} ns an object + {ns_per_byte} ns a byte")
    };
    format!(
        "constants: young {young_ms} ms + {young_ns_per_heap_mib} ns a MiB of heap + {copy_ns_per_object} ns an object + \
         {copy_ns_per_byte} ns a byte copied\n\
         constants: an old object moved {evacuate_ns_per_object} ns more; G1 expects {pessimism} times the pause\n\
         constants: full G1 {}; Parallel {}\n\
         constants: concurrent mark {}",
        live(g1_full),
        live(parallel_full),
        live(mark)
    )
}

fn collector_name(collector: Option<Collector>) -> String {
    collector.map_or_else(|| "both".to_owned(), |collector| collector.to_string())
}

fn rate_text(rate: Rate) -> String {
    match rate {
        Rate::Offered(per_s) => format!("{per_s} events/s offered"),
        Rate::BetweenPauses(per_s) => format!("{per_s} events/s outside pauses"),
    }
}

fn range_text(range: Range) -> String {
    format!("{} .. {}", significant(range.without_full_ms), significant(range.with_full_ms))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn mib(bytes: f64) -> String {
    format!("{:.0} MiB", bytes / f64::from(1 << 20))
}

/// Two digits, more where the number has them before its point.
fn significant(value: f64) -> String {
    if value >= 10.0 || value <= 0.0 {
        return format!("{value:.0}");
    }
    let digits = (1 - value.log10().floor() as i32).clamp(0, 6) as usize;
    format!("{value:.digits$}")
}

/// A table whose first columns are names, to the left; figures are to the right.
fn table(header: &[&str], names: usize) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    for column in table.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
