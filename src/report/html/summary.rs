//! The table of configurations: every figure that decides, with its range over the trials.

use std::fmt::Write;

use maud::{Markup, html};

use crate::model::gc::{Collector, Constants, Rate, Request, forecast_rows, jobs_of};
use crate::report::Spread;
use crate::report::book::{Book, Case};
use crate::report::table::{significant, with_unit};
use crate::result::{Better, METRICS, Measurement, Unit};
use crate::workload::GcModel;

/// A column of the table.
struct Column {
    label: &'static str,
    unit: Unit,
    better: Option<Better>,
    get: fn(&Case<'_>) -> Option<Spread>,
}

/// A figure of each trial, with its median and range.
fn spread(case: &Case<'_>, figure: impl Fn(&Measurement) -> Option<f64>) -> Option<Spread> {
    Spread::of(case.measured.iter().filter_map(|m| figure(m)).filter(|value| value.is_finite()).collect())
}

fn metric(case: &Case<'_>, name: &str) -> Option<Spread> {
    case.row.metrics.get(name).copied().filter(|spread| spread.median.is_finite())
}

const COLUMNS: &[Column] = &[
    Column { label: "p50", unit: Unit::Nanoseconds, better: Some(Better::Lower), get: |c| metric(c, "latency_p50_ns") },
    Column { label: "p99", unit: Unit::Nanoseconds, better: Some(Better::Lower), get: |c| metric(c, "latency_p99_ns") },
    Column {
        label: "p99.9",
        unit: Unit::Nanoseconds,
        better: Some(Better::Lower),
        get: |c| metric(c, "latency_p999_ns"),
    },
    Column {
        label: "response p99",
        unit: Unit::Nanoseconds,
        better: Some(Better::Lower),
        get: |c| metric(c, "response_p99_ns"),
    },
    Column {
        label: "longest pause",
        unit: Unit::Nanoseconds,
        better: Some(Better::Lower),
        get: |c| metric(c, "pause_max_ns"),
    },
    Column {
        label: "checkpoint written",
        unit: Unit::Bytes,
        better: Some(Better::Lower),
        get: |c| metric(c, "checkpoint_written_bytes"),
    },
    Column {
        label: "checkpoint pause",
        unit: Unit::Nanoseconds,
        better: Some(Better::Lower),
        get: |c| metric(c, "checkpoint_sync_ns"),
    },
    Column {
        label: "restore",
        unit: Unit::Nanoseconds,
        better: Some(Better::Lower),
        get: |c| metric(c, "restore_duration_ns"),
    },
    Column {
        label: "memory budget (configured)",
        unit: Unit::Bytes,
        better: None,
        get: |c| {
            spread(c, |m| {
                let pools =
                    m.store_memory.as_ref().and_then(|memory| memory.budget.as_ref()).map(|budget| budget.pool_bytes);
                let heap = m.heap.as_ref().map(|heap| heap.jvm_heap_bytes.saturating_mul(heap.task_managers.into()));
                pools.or(heap).map(|bytes| bytes as f64)
            })
        },
    },
    Column {
        label: "of it used",
        unit: Unit::Bytes,
        better: None,
        get: |c| spread(c, |m| m.store_memory.as_ref().map(|memory| memory.peak.total_bytes() as f64)),
    },
    Column {
        label: "resident",
        unit: Unit::Bytes,
        better: Some(Better::Lower),
        get: |c| metric(c, "resident_peak_bytes"),
    },
    Column {
        label: "Java heap (modelled)",
        unit: Unit::Bytes,
        better: None,
        get: |c| spread(c, |m| m.heap.as_ref().map(|heap| heap.jvm_live_bytes as f64)),
    },
];

/// The table of configurations.
pub(super) fn table(book: &Book<'_>) -> Markup {
    let columns: Vec<_> =
        COLUMNS.iter().filter(|column| book.cases.iter().any(|case| (column.get)(case).is_some())).collect();
    let throughput = METRICS[0].name;
    let rates = || book.cases.iter().filter_map(|case| case.median(throughput));
    let most = rates().fold(0.0, f64::max);
    let base = rates().next();
    let shares = pause_shares(book);
    let is_alone = book.finished().count() < 2;
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of configurations" {
            table id="configurations" {
                thead { tr {
                    th.n scope="col" { "configuration" }
                    th scope="col" { "trials" }
                    th scope="col" { "events/s" }
                    th scope="col" { "ratio" }
                    @for column in &columns { th scope="col" { (column.label) } }
                    @if !shares.is_empty() { th scope="col" { "GC share (modelled)" } }
                } }
                tbody {
                    @for case in &book.cases {
                        @let rate = metric(case, throughput);
                        tr data-name=(case.name) data-rate=(rate.map_or(0.0, |rate| rate.median)) {
                            td.n { (case.name) }
                            td { (case.row.trials) (unfinished(case)) }
                            td.best[!is_alone && rate.is_some_and(|rate| rate.median >= most)] {
                                (cell(rate, Unit::EventsPerSecond, !is_alone && rate.is_some_and(|rate| rate.median >= most)))
                                @if let Some(rate) = rate.filter(|_| most > 0.0) { (bar(rate.median / most)) }
                            }
                            td.ratio { @match (rate, base) {
                                (Some(rate), Some(base)) if base > 0.0 => { (significant(rate.median / base)) "×" },
                                _ => "-",
                            } }
                            @for column in &columns {
                                @let is_best = !is_alone && is_best(book, column, case);
                                td.best[is_best] { (cell((column.get)(case), column.unit, is_best)) }
                            }
                            @if !shares.is_empty() {
                                td { (shares.iter().find(|(name, _)| *name == case.name).map_or("-", |(_, share)| share)) }
                            }
                        }
                    }
                }
            }
        }
        p.muted { "Medians of the trials with their range below. ★ marks the best of a column; whether it differs from the next is told by the
                   comparison, not by the mark. Measured where the heading does not say otherwise." }
    }
}

fn unfinished(case: &Case<'_>) -> String {
    let mut words = String::new();
    if case.row.failed > 0 {
        let _ = write!(words, " ({} failed)", case.row.failed);
    }
    if case.row.out_of_memory > 0 {
        let _ = write!(words, " ({} out of memory)", case.row.out_of_memory);
    }
    let interrupted = case.trials.len().saturating_sub(case.row.trials + case.row.failed + case.row.out_of_memory);
    if interrupted > 0 {
        let _ = write!(words, " ({interrupted} interrupted)");
    }
    words
}

fn cell(spread: Option<Spread>, unit: Unit, is_best: bool) -> Markup {
    html! {
        @match spread {
            None => "-",
            Some(spread) => {
                (with_unit(spread.median, unit))
                @if is_best { " ★" }
                @if spread.max > spread.min { small { (with_unit(spread.min, unit)) " … " (with_unit(spread.max, unit)) } }
            }
        }
    }
}

/// A share as a bar.
fn bar(share: f64) -> Markup {
    let width = (100.0 * share).clamp(0.0, 100.0);
    html! {
        svg.bar viewBox="0 0 100 5" preserveAspectRatio="none" aria-hidden="true" {
            rect.f10 width=(format!("{width:.1}")) height="5" fill="#0072b2" {}
        }
    }
}

/// Whether no configuration of the same workload has a better median, and at least one has another to be compared with.
fn is_best(book: &Book<'_>, column: &Column, case: &Case<'_>) -> bool {
    let Some(better) = column.better else { return false };
    let Some(own) = (column.get)(case) else { return false };
    let all = book.cases.iter().filter(|other| (other.entry, other.variant) == (case.entry, case.variant));
    let medians: Vec<_> = all.filter_map(|other| Some((column.get)(other)?.median)).collect();
    let is_no_better = |theirs: &f64| match better {
        Better::Higher => own.median >= *theirs,
        Better::Lower => own.median <= *theirs,
    };
    medians.len() > 1 && medians.iter().all(is_no_better)
}

/// The share of time in pauses that G1 would take at the rate of an open loop, by the names of cases.
fn pause_shares(book: &Book<'_>) -> Vec<(String, String)> {
    let constants = Constants::default();
    let mut shares = Vec::new();
    for (position, entry) in book.entries.iter().enumerate() {
        for job in jobs_of(entry.result, &GcModel::default()) {
            let Some(rate) = job.offered_per_s.filter(|rate| *rate > 0.0) else { continue };
            let request = Request {
                heaps: Vec::new(),
                collectors: vec![Collector::G1],
                cores: job.cores(),
                most_pause_share: 0.1,
                constants: &constants,
            };
            let rows = forecast_rows(&job, Rate::Offered(rate), &request);
            let share = match rows.first().map(|row| &row.prediction) {
                Some(Some(prediction)) => with_unit(prediction.pause_share, Unit::Share),
                Some(None) => "does not fit".to_owned(),
                None => continue,
            };
            let is_of = |case: &&Case<'_>| {
                case.entry == position
                    && case.row.workload == job.workload
                    && case.row.configuration == job.configuration
            };
            shares.extend(book.cases.iter().filter(is_of).map(|case| (case.name.clone(), share.clone())));
        }
    }
    shares
}
