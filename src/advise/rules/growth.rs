//! State that grows, and state that has expired and stays.

use crate::advise::{Cell, Context, Draft, Effect, Figure, FigureUnit, Note, Setting, Urgency, bytes_text, percent};
use crate::result::{Growth, Trend};
use crate::workload::Workload;

/// Expired entries that are still held are too many from this share on.
const TOO_MANY_EXPIRED: f64 = 0.2;
const TTL: &str = "StateTtlConfig";
const PERIODIC: &str = "state.backend.rocksdb.compaction.filter.periodic-compaction-time";
const SECONDS_PER_DAY: f64 = 86_400.0;

fn has_ttl(cell: &Cell<'_>) -> bool {
    cell.job.as_ref().is_some_and(|job: &Workload| job.all_ttls().next().is_some())
}

fn growth_of<'a>(cell: &Cell<'a>) -> Option<&'a Growth> {
    cell.measured.iter().rev().find_map(|measurement| measurement.growth.as_ref())
}

/// State that grows without bound.
pub(super) fn unbounded<'a>(_: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    let Some(growth) = growth_of(cell) else {
        let how = "set run.growth-samples = 32, or say something of a state under [states.NAME]";
        return vec![Note::missing(cell, "how much state is held over time, which tells whether it is bounded", how)];
    };
    let per_day = match growth.trend {
        Trend::Bounded => return Vec::new(),
        Trend::Undecided => {
            let how = "run for longer on the virtual clock, beyond the longest TTL (time.rate, run.events)";
            return vec![Note::missing(cell, "whether the state is bounded: the run is too short to tell", how)];
        }
        Trend::Unbounded { per_day } => per_day,
    };
    let Some(last) = growth.samples.last() else { return Vec::new() };
    let mut figures = vec![
        Figure::measured("state held at the end", last.held_bytes() as f64, FigureUnit::Bytes),
        Figure::measured("growth in a day of the virtual clock (Theil-Sen)", per_day, FigureUnit::Bytes),
        Figure::measured(
            "entries held at the end",
            (last.live_entries + last.expired_entries) as f64,
            FigureUnit::Count,
        ),
    ];
    figures.extend(time_left(cell, last.held_bytes(), per_day));
    let (what, why, settings, effect) = if has_ttl(cell) {
        (
            "the state grows without bound although it has a TTL",
            "some state has no TTL, entries are renewed faster than they expire, or nothing removes them",
            vec![Setting::of_job(
                TTL,
                "a TTL for the state without one, or a shorter one; see which state grows with `checkpoint inspect`",
            )],
            "the entries of a TTL's length at most",
        )
    } else {
        (
            "the state grows without bound, and no state has a TTL",
            "keys come that never go: heap, disk and checkpoints grow until one of them is full",
            vec![Setting::of_job(
                TTL,
                "StateTtlConfig.newBuilder(Duration.ofDays(N)).build() on the state's descriptor, N from how long a key matters",
            )],
            "about N times a day's growth",
        )
    };
    let model = "the Theil-Sen slope of this run, which goes on";
    let effect = Effect::modelled(format!("{effect}, at {} a day", bytes_text(per_day)), None, model);
    vec![
        Draft {
            rule: if has_ttl(cell) { "ttl-does-not-bound" } else { "ttl-missing" },
            urgency: Urgency::Fails,
            cell,
            what: what.to_owned(),
            why: why.to_owned(),
            figures,
            settings,
            effect,
        }
        .into(),
    ]
}

/// When the heap would be full, where the state is on it.
fn time_left(cell: &Cell<'_>, held_bytes: u64, per_day: f64) -> Option<Figure> {
    let heap = cell.measured.iter().rev().find_map(|measurement| measurement.heap)?;
    let heaps = (heap.jvm_heap_bytes * u64::from(heap.task_managers)) as f64;
    // Objects weigh more than what RocksDB would store, by as much as they do now.
    let weight = heap.jvm_live_bytes as f64 / held_bytes.max(1) as f64;
    let days = (heaps - heap.jvm_live_bytes as f64) / (per_day * weight);
    (per_day > 0.0 && days.is_finite() && days > 0.0).then(|| {
        Figure::modelled(
            "until the heap is full, on the virtual clock",
            days * SECONDS_PER_DAY * 1e9,
            FigureUnit::Nanoseconds,
        )
    })
}

/// Entries that have expired and that nothing removes.
pub(super) fn expired_stays<'a>(_: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    let Some(last) = growth_of(cell).filter(|_| has_ttl(cell)).and_then(|growth| growth.samples.last()) else {
        return Vec::new();
    };
    let entries = last.live_entries + last.expired_entries;
    let expired = last.expired_entries as f64 / entries.max(1) as f64;
    if expired < TOO_MANY_EXPIRED {
        return Vec::new();
    }
    let (settings, why) = if cell.is_rocksdb() {
        let why =
            "RocksDB removes expired entries where a compaction meets them, and files that none touches keep theirs";
        let filter =
            Setting::of_job(TTL, "cleanupInRocksdbCompactFilter(1000), its default; not disableCleanupInBackground()");
        (vec![filter, Setting::option(cell, PERIODIC, "1 d")], why)
    } else {
        let why = "the heap removes expired entries when they are accessed, or a few more with each access";
        let cleanup =
            "cleanupIncrementally(N, true) with an N above the default of 5; not disableCleanupInBackground()";
        (vec![Setting::of_job(TTL, cleanup)], why)
    };
    let removed = |count: u64| count as f64;
    vec![
        Draft {
            rule: "ttl-without-cleanup",
            urgency: Urgency::Costs,
            cell,
            what: format!("{} of the entries that are held have expired", percent(expired)),
            why: why.to_owned(),
            figures: vec![
                Figure::measured("expired entries held at the end", last.expired_entries as f64, FigureUnit::Count),
                Figure::measured("bytes of them", last.expired_bytes as f64, FigureUnit::Bytes),
                Figure::measured("removed on access", removed(last.removed_on_access), FigureUnit::Count),
                Figure::measured("removed incrementally", removed(last.removed_incrementally), FigureUnit::Count),
                Figure::measured("removed by compactions", removed(last.removed_by_compaction), FigureUnit::Count),
            ],
            settings,
            effect: Effect::modelled(
                format!("up to {} less state", bytes_text(last.expired_bytes as f64)),
                None,
                "what had expired at the end of this run",
            ),
        }
        .into(),
    ]
}
