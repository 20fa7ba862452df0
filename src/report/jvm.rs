//! What a JVM's garbage collector would add to the latencies of heap trials: modelled, beside what was measured.

use super::stream::place;
use super::summary::natural;
use super::table::{significant, with_unit};
use crate::model::gc::{
    Collector, Constants, ForecastRow, Overlaid, Rate, Request, Span, TrialJob, Validation, built_in_runs, error_lines,
    forecast_rows, jobs_of,
};
use crate::result::{LatencySummary, RunResult, Trial, Unit};
use crate::state::JvmHeap;
use crate::workload::GcModel;

/// Columns of the table of latencies with modelled collections: of each configuration its last trial.
pub(super) const JVM_HEADER: [&str; 9] =
    ["latency with a JVM", "modelled", "heap", "full collections", "in pauses", "longest pause", "p50", "p99", "p99.9"];

/// The collectors that are asked about: that of Flink's own start scripts, and the one with the least work beside pauses.
const COLLECTORS: [Collector; 2] = [Collector::G1, Collector::Parallel];
/// The share of time in pauses that only a search for a smaller heap asks for.
const MOST_PAUSE_SHARE: f64 = 0.1;

/// The rows of the table: what was measured, and beneath each heap configuration what it would be with collections. None where
/// no rate is known: that of a closed loop says nothing of a JVM.
pub(super) fn jvm_rows(result: &RunResult) -> Vec<Vec<String>> {
    let jobs = modelled_jobs(result);
    if jobs.is_empty() {
        return Vec::new();
    }
    let constants = Constants::default();
    let mut rows = Vec::new();
    let mut last: Vec<_> = result.last_of_each().collect();
    last.sort_by_cached_key(|(trial, _)| natural(&place(result, trial)));
    for (trial, measurement) in last {
        let summary = match &measurement.open_loop {
            Some(open_loop) if open_loop.saturated => continue,
            Some(open_loop) => &open_loop.response.summary,
            None => &measurement.event_latency.summary,
        };
        rows.push(measured(place(result, trial), summary));
        let is_of = |job: &&(TrialJob, f64)| is_job_of(&job.0, result, trial);
        if let Some((job, rate)) = jobs.iter().find(is_of) {
            let request = Request {
                heaps: job.asked.heaps.clone(),
                collectors: COLLECTORS.to_vec(),
                cores: job.cores(),
                most_pause_share: MOST_PAUSE_SHARE,
                constants: &constants,
            };
            let rate = Rate::Offered(*rate);
            rows.extend(forecast_rows(job, rate, &request).iter().map(|row| modelled(row, summary)));
        }
    }
    rows
}

/// What has to stand beside the table: how the figures came about, and the model's error.
pub(super) fn jvm_lines(result: &RunResult) -> Vec<String> {
    let jobs = modelled_jobs(result);
    if jobs.is_empty() {
        return Vec::new();
    }
    let rates: Vec<_> = jobs
        .iter()
        .map(|(job, rate)| {
            let kind = if job.asked.events_per_s.is_some() { "stated" } else { "of the open loop" };
            format!("{} events/s ({kind})", with_unit(*rate, Unit::EventsPerSecond))
        })
        .collect();
    let mut told = rates.clone();
    told.dedup();
    let mut lines = vec![format!(
        "modelled JVM: collections at {} laid over the measured latencies; from no full collections and pauses half as long to \
         pauses twice as long; `gc-model predict` tells more",
        told.join(", ")
    )];
    if let Ok(runs) = built_in_runs() {
        let errors = error_lines(&Validation::of(&runs, &Constants::default()), &COLLECTORS);
        lines.extend(errors.into_iter().map(|line| format!("modelled JVM: {line}")));
    }
    lines
}

/// The jobs that can be modelled, each with the rate that it is offered.
fn modelled_jobs(result: &RunResult) -> Vec<(TrialJob, f64)> {
    let jobs = jobs_of(result, &GcModel::default()).into_iter().filter(|job| {
        let is_held = |heap: &JvmHeap| heap.bytes <= JvmHeap::MOST_BYTES;
        if job.asked.heaps.is_empty() { is_held(&job.heap) } else { job.asked.heaps.iter().all(is_held) }
    });
    jobs.filter_map(|job| job.offered_per_s.filter(|rate| *rate > 0.0).map(|rate| (job, rate))).collect()
}

fn is_job_of(job: &TrialJob, result: &RunResult, trial: &Trial) -> bool {
    job.configuration == trial.configuration && job.workload == result.variant_label(trial.variant)
}

fn measured(name: String, summary: &LatencySummary) -> Vec<String> {
    let ns = |ns: Option<u64>| ns.map_or_else(dash, |ns| with_unit(ns as f64, Unit::Nanoseconds));
    let mut row = vec![name, "measured alone".to_owned()];
    row.extend([const { String::new() }; 4].map(|_| dash()));
    row.extend([summary.p50_ns, summary.p99_ns, summary.p999_ns].map(ns));
    row
}

/// What no event beyond it was timed often enough for, pauses do not make known.
fn modelled(row: &ForecastRow, alone: &LatencySummary) -> Vec<String> {
    let heap = with_unit(row.heap_bytes as f64, Unit::Bytes);
    let mut cells = vec![String::new(), format!("with {}", row.collector), heap, row.full_collections.to_string()];
    match &row.prediction {
        Some(prediction) => {
            let longest = prediction.longest;
            cells.push(with_unit(prediction.pause_share, Unit::Share));
            cells.push(format!("{} … {} ms", significant(longest.without_full_ms), significant(longest.with_full_ms)));
        }
        None => cells.extend([dash(), dash()]),
    }
    match row.latency {
        Some(Overlaid { p50, p99, p999 }) => {
            let spans = [(p50, alone.p50_ns), (p99, alone.p99_ns), (p999, alone.p999_ns)];
            cells.extend(spans.map(|(of, measured)| measured.map_or_else(dash, |_| span(of))));
        }
        None => cells.extend([dash(), dash(), dash()]),
    }
    cells
}

fn span(Span { least_ns, most_ns }: Span) -> String {
    format!("{} … {}", with_unit(least_ns, Unit::Nanoseconds), with_unit(most_ns, Unit::Nanoseconds))
}

fn dash() -> String {
    "-".to_owned()
}
