//! Checkpoints: near their limits, or larger than they need to be.

use super::{COUNTERS, sibling};
use crate::advise::{Cell, Context, Draft, Effect, Figure, FigureUnit, Note, Setting, Urgency, bytes_text, percent};
use crate::result::{Checkpoints, Measurement, Unit, with_unit};
use crate::workload::Time;

const INCREMENTAL: &str = "execution.checkpointing.incremental";
const TIMEOUT: &str = "execution.checkpointing.timeout";
const INTERVAL: &str = "execution.checkpointing.interval";
/// Checkpoints that a size has to be told from.
const LEAST_CHECKPOINTS: usize = 2;
/// What changes between two checkpoints is little up to this share of the state.
const SMALL_CHANGE: f64 = 0.5;

fn checkpoints<'a>(cell: &Cell<'a>) -> Vec<&'a Checkpoints> {
    cell.measured.iter().filter_map(|measurement| measurement.checkpoints.as_ref()).collect()
}

fn duration_text(ms: f64) -> String {
    with_unit(ms * 1e6, Unit::Nanoseconds)
}

/// Time as a configuration spells it, in whole seconds.
fn seconds(ms: f64) -> Time {
    Time(std::time::Duration::from_secs((ms / 1e3).ceil().clamp(1.0, 1e9) as u64))
}

/// Checkpoints that take long against their timeout or their interval, or that failed.
pub(super) fn slow<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    let all = checkpoints(cell);
    let longest = all
        .iter()
        .flat_map(|checkpoints| checkpoints.complete())
        .map(|record| record.duration_ms)
        .max_by(f64::total_cmp);
    let expired = |failure: &String| failure.contains("timeout") || failure.contains("expired");
    let failures = all.iter().flat_map(|c| &c.records).filter_map(|record| record.failure.as_ref());
    let timed_out = failures.filter(|failure| expired(failure)).count();
    let timeout_ms = cell.options.checkpointing_timeout.0.as_secs_f64() * 1e3;
    let limit = context.parameters.checkpoint_share;
    let longest_ms = longest.unwrap_or(0.0);
    let modelled = all.iter().any(|checkpoints| checkpoints.modelled);
    let took = |what: &str, ms: f64| {
        let figure = if modelled { Figure::modelled } else { Figure::measured };
        figure(what.to_owned(), ms * 1e6, FigureUnit::Nanoseconds)
    };
    let mut notes = Vec::new();
    if timed_out > 0 || longest_ms > limit * timeout_ms {
        let enough = if timed_out > 0 { 2.0 * timeout_ms.max(longest_ms) } else { longest_ms / limit };
        notes.push(
            Draft {
                rule: "checkpoint-near-timeout",
                urgency: Urgency::Fails,
                cell,
                what: if timed_out > 0 {
                    format!("{timed_out} checkpoints ran into their timeout of {}", duration_text(timeout_ms))
                } else {
                    format!(
                        "the longest checkpoint took {}, {} of its timeout",
                        duration_text(longest_ms),
                        percent(longest_ms / timeout_ms)
                    )
                },
                why: "one that is not complete by then has failed, and by default the first failure fails the job"
                    .to_owned(),
                figures: vec![
                    took("longest checkpoint", longest_ms),
                    Figure::measured("checkpoints that ran into the timeout", timed_out as f64, FigureUnit::Count),
                    Figure::configured(TIMEOUT, timeout_ms * 1e6, FigureUnit::Nanoseconds),
                ],
                settings: vec![Setting::option(cell, TIMEOUT, seconds(enough))],
                effect: Effect::modelled(
                    format!(
                        "the longest of this run stays within {} of it",
                        percent(longest_ms.max(1.0) / enough.max(1.0))
                    ),
                    None,
                    "the durations of this run",
                ),
            }
            .into(),
        );
    }
    notes.extend(near_interval(cell, &all, limit, took));
    notes
}

/// Checkpoints that follow each other without a pause leave little time without one.
fn near_interval<'a>(
    cell: &'a Cell<'a>,
    all: &[&Checkpoints],
    limit: f64,
    took: impl Fn(&str, f64) -> Figure,
) -> Option<Note> {
    let by_events = cell.job.as_ref().is_some_and(|job| job.checkpoint.every_events.is_some());
    let interval_ms = cell.options.checkpointing_interval.0.filter(|_| !by_events)?.0.as_secs_f64() * 1e3;
    let is_virtual =
        cell.job.as_ref().is_some_and(|job| job.checkpoint.clock == crate::workload::CheckpointClock::Virtual);
    let medians: Vec<f64> =
        all.iter().filter_map(|checkpoints| checkpoints.median(|record| record.duration_ms)).collect();
    let median_ms = crate::statistics::median(&medians).filter(|_| !is_virtual)?;
    if median_ms <= limit * interval_ms {
        return None;
    }
    let enough = median_ms / limit;
    Some(
        Draft {
            rule: "checkpoint-near-interval",
            urgency: Urgency::Slows,
            cell,
            what: format!(
                "a checkpoint takes {}, {} of the interval of {}",
                duration_text(median_ms),
                percent(median_ms / interval_ms),
                duration_text(interval_ms)
            ),
            why: "a checkpoint is nearly always in progress, with its writes and its copies; where it takes longer than the interval the \
                  next one waits for it"
                .to_owned(),
            figures: vec![
                took("median checkpoint", median_ms),
                Figure::configured(INTERVAL, interval_ms * 1e6, FigureUnit::Nanoseconds),
            ],
            settings: vec![Setting::option(cell, INTERVAL, seconds(enough))],
            effect: Effect::modelled(
                format!("a checkpoint is in progress for {} of the time", percent(limit)),
                None,
                "the durations of this run",
            ),
        }
        .into(),
    )
}

/// Full checkpoints of RocksDB of which most did not change.
pub(super) fn not_incremental<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    let all = checkpoints(cell);
    let complete: usize = all.iter().map(|checkpoints| checkpoints.complete().count()).sum();
    if !cell.is_rocksdb() || cell.options.checkpointing_incremental || complete < LEAST_CHECKPOINTS {
        return Vec::new();
    }
    let median = |figure: fn(&Checkpoints) -> Option<f64>| {
        crate::statistics::median(&all.iter().filter_map(|checkpoints| figure(checkpoints)).collect::<Vec<_>>())
    };
    let Some(written) = median(|checkpoints| checkpoints.median(|record| record.written_bytes as f64)) else {
        return Vec::new();
    };
    let duration_ms = median(|checkpoints| checkpoints.median(|record| record.duration_ms)).unwrap_or(0.0);
    let mut figures = vec![
        Figure::measured("written by a checkpoint", written, FigureUnit::Bytes),
        Figure::measured("it takes", duration_ms * 1e6, FigureUnit::Nanoseconds),
    ];
    let effect = if let Some(other) = sibling(context, cell, INCREMENTAL, "true") {
        let of = |m: &Measurement| m.checkpoints.as_ref()?.median(|record| record.written_bytes as f64);
        let Some(theirs) = other.median(of).filter(|theirs| *theirs < written) else { return Vec::new() };
        Effect::measured(
            format!("{} written by a checkpoint in place of {}", bytes_text(theirs), bytes_text(written)),
            other.speedup_over(cell),
            other,
        )
    } else {
        let Some(changed) = changed_bytes(cell) else {
            let figures = "the bytes that change between checkpoints, which tell whether incremental ones are smaller";
            return vec![Note::missing(cell, figures, COUNTERS)];
        };
        if changed > SMALL_CHANGE * written {
            return Vec::new();
        }
        figures.push(Figure::measured(
            "written by the workload from one to the next (companion)",
            changed,
            FigureUnit::Bytes,
        ));
        Effect::modelled(
            format!(
                "about {} written by a checkpoint without a compaction between, in place of {}",
                bytes_text(changed),
                bytes_text(written)
            ),
            None,
            "new files hold what was written since; a compaction uploads what it rewrites",
        )
    };
    vec![
        Draft {
            rule: "checkpoints-not-incremental",
            urgency: Urgency::Costs,
            cell,
            what: format!("every checkpoint uploads all of the state, {}", bytes_text(written)),
            why: "RocksDB's files do not change: an incremental checkpoint uploads only those that are new".to_owned(),
            figures,
            settings: vec![Setting::option(cell, INCREMENTAL, true)],
            effect,
        }
        .into(),
    ]
}

/// What the workload wrote from one checkpoint to the next, by the companion's counters, bytes.
fn changed_bytes(cell: &Cell<'_>) -> Option<f64> {
    let companion = cell.companion?;
    let checkpoints = companion.checkpoints.as_ref()?.complete().count().max(1);
    Some(companion.store_counters?.written_bytes as f64 / checkpoints as f64)
}
