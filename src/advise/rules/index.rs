//! Index blocks that do not stay in their shard of the block cache.

use super::{COUNTERS, sibling};
use crate::advise::{
    Cell, Context, Draft, Effect, Figure, FigureUnit, Note, Setting, Urgency, bytes_text, percent, rate_text, times,
};
use crate::result::{Measurement, StoreShape};
use crate::workload::{index_eviction_chance, index_may_fall_off, pool_that_keeps};

const PARTITIONED: &str = "state.backend.rocksdb.memory.partitioned-index-filters";
const WHOLE_INDEX: &str = "an index block of a table file that does not stay in its shard of the cache is read and unpacked again for \
                           every lookup";

/// Reading and unpacking an index block of 0.4 MB takes 0.8 to 2 ms, as was measured on Flink: one of this size takes the 300 µs
/// from which on an event is slow.
const LEAST_INDEX_BYTES: u64 = 64 << 10;

/// Runs of which more than 1 % of the events took over 300 µs.
pub(super) fn slow_regime<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    let (slow, all) = (cell.slow_trials(), cell.measured.len());
    if !cell.is_rocksdb() || slow == 0 {
        return Vec::new();
    }
    let mut figures = vec![
        Figure::measured(format!("slow runs of {all}"), slow as f64, FigureUnit::Count),
        Figure::measured(
            "events over 300 µs, worst run",
            cell.measured.iter().map(|m| m.slow_event_share).fold(0.0, f64::max),
            FigureUnit::Share,
        ),
    ];
    let name = if slow == all { "slow" } else { "bimodal" };
    let what = format!("{name}: {slow} of {all} runs were in the slow regime");
    let counters = cell.companion.and_then(|companion| companion.store_counters);
    let partitioned = sibling(context, cell, PARTITIONED, "true");
    let Some(counters) = counters else {
        let unknown = Note::missing(cell, "RocksDB's counters, which tell why runs were slow", COUNTERS);
        // Measured is measured, whatever the cause.
        let cured = partitioned.filter(|other| other.slow_trials() == 0);
        let note = cured.map(|other| cure(cell, other, what, WHOLE_INDEX.to_owned(), figures));
        return std::iter::once(unknown).chain(note).collect();
    };
    figures.extend(
        counters
            .index_reads_per_lookup()
            .map(|reads| Figure::measured("index blocks read for each lookup (companion)", reads, FigureUnit::Factor)),
    );
    if cell.options.memory_partitioned_index_filters || !counters.reads_index_often() {
        return not_the_index(cell, what, figures);
    }
    let note = if let Some(other) = partitioned {
        cure(cell, other, what, WHOLE_INDEX.to_owned(), figures)
    } else {
        let shape = cell.companion.and_then(|companion| companion.store_shape.as_ref());
        modelled_cure(cell, shape, what, figures)
    };
    vec![note]
}

/// Partitioned, as another trial of this result was.
fn cure(cell: &Cell<'_>, other: &Cell<'_>, what: String, why: String, figures: Vec<Figure>) -> Note {
    let (slow, all) = (other.slow_trials(), other.measured.len());
    let rate = other.throughput().unwrap_or(0.0);
    Draft {
        rule: "index-not-cached",
        urgency: Urgency::Slows,
        cell,
        what,
        why,
        figures,
        settings: vec![Setting::option(cell, PARTITIONED, true)],
        effect: Effect::measured(
            format!("{slow} of {all} runs slow, {}", rate_text(rate)),
            other.speedup_over(cell),
            other,
        ),
    }
    .into()
}

fn modelled_cure(cell: &Cell<'_>, shape: Option<&StoreShape>, what: String, mut figures: Vec<Figure>) -> Note {
    let largest = shape.map_or(0, StoreShape::largest_index_bytes);
    figures.push(Figure::modelled("largest index block, by sums over files", largest as f64, FigureUnit::Bytes));
    let ratio = cell.options.memory_write_buffer_ratio.0;
    let pool = pool_that_keeps(largest, ratio);
    Draft {
        rule: "index-not-cached",
        urgency: Urgency::Slows,
        cell,
        what,
        why: WHOLE_INDEX.to_owned(),
        figures,
        settings: vec![Setting::option(cell, PARTITIONED, true)],
        effect: Effect::modelled(
            format!("no slow runs; as would shared memory of about {}", bytes_text(pool as f64)),
            None,
            "room of a shard beside the pinned entries that write buffers are charged by",
        ),
    }
    .into()
}

/// Slow for another reason, which the figures that are there do not tell.
fn not_the_index(cell: &Cell<'_>, what: String, mut figures: Vec<Figure>) -> Vec<Note> {
    figures.extend(
        cell.hit_rate()
            .map(|rate| Figure::measured("hit rate of the block cache (companion)", rate, FigureUnit::Share)),
    );
    let device = |m: &Measurement| Some(m.process?.device_read_bytes? as f64 / m.events.max(1) as f64);
    figures.extend(
        cell.median(device)
            .map(|bytes| Figure::measured("read from the device for an event", bytes, FigureUnit::Bytes)),
    );
    vec![
        Draft {
            rule: "slow-regime",
            urgency: Urgency::Slows,
            cell,
            what,
            why: "not the index, which stays in the cache; what is left are blocks that are read and unpacked, or the device".to_owned(),
            figures,
            settings: Vec::new(),
            effect: Effect::modelled("unknown: see the hit rate, stalls and the device's bytes", None, "none"),
        }
        .into(),
    ]
}

/// No run was slow, but one may be: by the size of the index and the memory.
pub(super) fn may_fall_off<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    let Some(pool) = cell.pool_bytes() else { return Vec::new() };
    let shape = cell.measured.iter().filter_map(|measurement| measurement.store_shape.as_ref());
    let largest = shape.map(StoreShape::largest_index_bytes).max().unwrap_or(0);
    let ratio = cell.options.memory_write_buffer_ratio.0;
    let is_whole = !cell.options.memory_partitioned_index_filters;
    if cell.slow_trials() > 0 || !is_whole || largest < LEAST_INDEX_BYTES || !index_may_fall_off(largest, pool, ratio) {
        return Vec::new();
    }
    let chance = index_eviction_chance(largest, pool, ratio);
    let model = "room of a shard beside the pinned entries that write buffers are charged by";
    let effect = match sibling(context, cell, PARTITIONED, "true").filter(|other| other.slow_trials() == 0) {
        Some(other) => {
            let all = other.measured.len();
            let what = match other.speedup_over(cell) {
                Some(factor) => format!("none of {all} runs slow, {} of the throughput", times(factor)),
                None => format!("none of {all} runs slow"),
            };
            // What it saves is a slow run that has not happened: the factor is not the gain.
            Effect::measured(what, None, other)
        }
        None => Effect::modelled("no slow runs", None, model),
    };
    vec![
        Draft {
            rule: "index-may-not-stay",
            urgency: Urgency::Slows,
            cell,
            what: format!(
                "none of {} runs was slow, but {} of such runs would be",
                cell.measured.len(),
                percent(chance)
            ),
            why: format!("{WHOLE_INDEX}; whether it stays changes from run to run"),
            figures: vec![
                Figure::modelled("largest index block, by sums over files", largest as f64, FigureUnit::Bytes),
                Figure::modelled("chance of a slow run", chance, FigureUnit::Share),
                Figure::configured("shared memory", pool as f64, FigureUnit::Bytes),
            ],
            settings: vec![Setting::option(cell, PARTITIONED, true)],
            effect,
        }
        .into(),
    ]
}
