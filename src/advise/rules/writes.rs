//! Writes that are held back, compactions that do not keep up, and what they write.

use crate::advise::{
    Cell, Context, Draft, Effect, Figure, FigureUnit, Note, Setting, Urgency, bytes_text, percent, times,
};
use crate::result::{EpisodeKind, Measurement, StoreSample};
use crate::workload::ROCKSDB_LEVELS;

const THREADS: &str = "state.backend.rocksdb.thread.num";
const LEVEL_BASE_SHARE: f64 = 1.0;
/// Files in level 0 at which RocksDB begins to slow writes down is 20, and 4 start a compaction: in between it is behind.
const LEVEL0_BEHIND: u64 = 12;

/// The share of the time that writers were held back, and how that is known: RocksDB's counter, or its events.
fn stall_share(cell: &Cell<'_>) -> Option<(f64, &'static str)> {
    let of_companion = |companion: &Measurement| {
        let busy: f64 = companion.busy_s.iter().sum();
        let stalled = companion.store_counters?.stall_us as f64 / 1e6;
        (busy > 0.0).then(|| (stalled / busy).min(1.0))
    };
    let of_timeline = |measurement: &Measurement| {
        let timeline = measurement.timeline.as_ref().filter(|timeline| !timeline.episodes.is_empty())?;
        let is_stall = |kind: EpisodeKind| matches!(kind, EpisodeKind::Delayed | EpisodeKind::Stopped);
        let stalls = timeline.episodes.iter().filter(|episode| is_stall(episode.kind));
        let stalled_ms: f64 = stalls.map(|episode| (episode.end_ms - episode.begin_ms).max(0.0)).sum();
        let all_ms = measurement.wall_s * 1e3 * f64::from(measurement.parallelism.max(1));
        (all_ms > 0.0).then(|| (stalled_ms / all_ms).min(1.0))
    };
    let measured = cell.median(of_timeline).map(|share| (share, "writes delayed or stopped, share of the time"));
    let counted = || {
        cell.companion.and_then(of_companion).map(|share| (share, "writers held back, share of the time (companion)"))
    };
    measured.or_else(counted)
}

/// Files in level 0 at the end.
fn level0_files(cell: &Cell<'_>) -> Option<f64> {
    cell.median(|measurement| Some(measurement.store_shape.as_ref()?.levels.first()?.files as f64))
}

fn more_threads(cell: &Cell<'_>) -> Setting {
    Setting::option(cell, THREADS, cell.options.thread_num.saturating_mul(2).max(4))
}

/// Writes that are delayed or stopped.
pub(super) fn stalls<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    if !cell.is_rocksdb() {
        return Vec::new();
    }
    let Some((share, how)) = stall_share(cell).filter(|(share, _)| *share > context.parameters.stall_share) else {
        return Vec::new();
    };
    let mut figures = vec![Figure::measured(how, share, FigureUnit::Share)];
    let level0 = level0_files(cell);
    figures.extend(level0.map(|files| Figure::measured("table files in level 0 at the end", files, FigureUnit::Count)));
    let is_behind = level0.is_some_and(|files| files >= LEVEL0_BEHIND as f64);
    let (why, settings) = if is_behind {
        ("level 0 fills faster than compactions empty it, so RocksDB slows writes down", vec![more_threads(cell)])
    } else {
        let why = "memtables fill faster than they are flushed, or are flushed while they are small";
        let count =
            Setting::option(cell, "state.backend.rocksdb.writebuffer.count", cell.options.writebuffer_count + 2);
        let pool = cell.pool_bytes().map_or_else(Vec::new, |pool| cell.pool_settings(2 * pool));
        (why, std::iter::once(count).chain(pool).chain([more_threads(cell)]).collect())
    };
    vec![
        Draft {
            rule: "writes-held-back",
            urgency: Urgency::Slows,
            cell,
            what: format!("writers were held back for {} of the time", percent(share)),
            why: why.to_owned(),
            figures,
            settings,
            effect: Effect::modelled(
                format!("at most {} of the throughput, without stalls", times(1.0 / (1.0 - share.min(0.99)))),
                Some(1.0 / (1.0 - share.min(0.99))),
                "the time that stalls took in this run",
            ),
        }
        .into(),
    ]
}

/// Compactions that have more to do at the end than at the beginning.
pub(super) fn compaction_behind<'a>(_: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    let samples = |measurement: &'a Measurement| -> Vec<StoreSample> {
        let intervals = measurement.timeline.iter().flat_map(|timeline| &timeline.intervals);
        intervals.filter_map(|interval| interval.store).collect()
    };
    let Some(samples) = cell.measured.iter().map(|m| samples(m)).rfind(|samples| samples.len() >= 8) else {
        return Vec::new();
    };
    let pending = |part: &[StoreSample]| {
        part.iter().map(|sample| sample.pending_compaction_bytes as f64).sum::<f64>() / part.len() as f64
    };
    let (first, last) = samples.split_at(samples.len() / 2);
    let (first, last) = (pending(first), pending(last));
    let level_base = cell.options.compaction_level_max_size_level_base.0 as f64;
    if last < LEVEL_BASE_SHARE * level_base || last < 1.5 * first {
        return Vec::new();
    }
    let due = samples.iter().filter(|sample| sample.compaction_pending > 0).count() as f64 / samples.len() as f64;
    let running = samples.iter().map(|sample| sample.running_compactions as f64).sum::<f64>() / samples.len() as f64;
    vec![
        Draft {
            rule: "compaction-behind",
            urgency: Urgency::Slows,
            cell,
            what: format!("compactions do not keep up: {} waited on average in the second half", bytes_text(last)),
            why: "what waits grows until RocksDB slows writes down, at 64 GiB or 20 files in level 0, and every lookup has more \
                  files to look into meanwhile"
                .to_owned(),
            figures: vec![
                Figure::measured("bytes that compactions have still to rewrite, first half", first, FigureUnit::Bytes),
                Figure::measured("second half", last, FigureUnit::Bytes),
                Figure::measured("share of the looks at which one was due", due, FigureUnit::Share),
                Figure::measured("compactions that ran, on average", running, FigureUnit::Factor),
            ],
            settings: vec![more_threads(cell)],
            effect: Effect::modelled(
                "twice the threads can rewrite up to twice as much, where cores and disk have room",
                None,
                "threads of this run",
            ),
        }
        .into(),
    ]
}

/// Much is written to disk for what the workload writes.
pub(super) fn amplification<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    let Some(companion) = cell.companion.filter(|_| cell.is_rocksdb()) else { return Vec::new() };
    let Some((counters, amplification)) =
        companion.store_counters.and_then(|counters| Some((counters, counters.write_amplification()?)))
    else {
        return Vec::new();
    };
    if amplification < context.parameters.write_amplification {
        return Vec::new();
    }
    let levels = companion.store_shape.as_ref().map_or(0, |shape| shape.levels.len().min(ROCKSDB_LEVELS));
    let figures = vec![
        Figure::measured(
            "bytes written to disk for each of the workload's (companion)",
            amplification,
            FigureUnit::Factor,
        ),
        Figure::measured("of it by compactions", counters.compaction_write_bytes as f64, FigureUnit::Bytes),
        Figure::measured("by flushes", counters.flush_bytes as f64, FigureUnit::Bytes),
        Figure::measured("levels", levels as f64, FigureUnit::Count),
    ];
    let of = |other: &Cell<'_>| other.companion?.store_counters?.write_amplification();
    let better = context.cells.iter().filter(|other| {
        other.has_job_of(cell)
            && other.is_rocksdb()
            && other.differences(cell).len() == 1
            && of(other).is_some_and(|theirs| theirs < 0.8 * amplification)
            && other.speedup_over(cell).is_some_and(|factor| factor >= 1.0)
    });
    let best = better.min_by(|a, b| of(a).unwrap_or(f64::MAX).total_cmp(&of(b).unwrap_or(f64::MAX)));
    let (settings, effect) = match best {
        Some(other) => {
            let key = other.differences(cell).swap_remove(0);
            let value = crate::workload::Options::row(&key).map_or_else(String::new, |row| row.get(&other.options));
            let what = format!("{} in place of {}", times(of(other).unwrap_or(0.0)), times(amplification));
            (vec![Setting::option(cell, &key, value)], Effect::measured(what, other.speedup_over(cell), other))
        }
        None => larger_write_buffers(
            cell,
            counters.flush_bytes as f64,
            counters.compaction_write_bytes as f64,
            amplification,
        ),
    };
    vec![
        Draft {
            rule: "write-amplification",
            urgency: Urgency::Slows,
            cell,
            what: format!("{} bytes go to disk for each byte that the workload writes", crate::result::significant(amplification)),
            why: "every flush adds a file that is merged with the level below again and again: small write buffers make many".to_owned(),
            figures,
            settings,
            effect,
        }
        .into(),
    ]
}

/// Write buffers of twice the size are merged into level 1 half as often.
fn larger_write_buffers(cell: &Cell<'_>, flushed: f64, compacted: f64, amplification: f64) -> (Vec<Setting>, Effect) {
    let settings = cell.pool_bytes().map_or_else(Vec::new, |pool| cell.pool_settings(2 * pool));
    // What compactions wrote beyond each flushed byte once is level 1 rewritten for each merge.
    let rewritten = (compacted - flushed).max(0.0) / (flushed + compacted).max(1.0);
    let expected = amplification * (1.0 - rewritten / 2.0);
    let what = format!("about {} in place of {}", times(expected), times(amplification));
    let model = "half as many merges of files of twice the size into the same level";
    (settings, Effect::modelled(what, None, model))
}
