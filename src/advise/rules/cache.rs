//! The block cache.

use super::COUNTERS;
use super::sweep::{knee_of, pool_family};
use crate::advise::{Cell, Context, Draft, Effect, Figure, FigureUnit, Note, Urgency, bytes_text, percent};
use crate::result::{CacheCurve, CachePoint};

/// A hit rate below what it should be, and the memory that would mend it: as another trial had it, or by the curve.
pub(super) fn hit_rate<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    if !cell.is_rocksdb() {
        return Vec::new();
    }
    let Some(counters) = cell.companion.and_then(|companion| companion.store_counters) else {
        return vec![Note::missing(
            cell,
            "RocksDB's counters: hit rate of the block cache, stalls, use of bloom filters",
            COUNTERS,
        )];
    };
    let Some(rate) = counters.cache_hit_rate().filter(|rate| *rate < context.parameters.hit_rate) else {
        return Vec::new();
    };
    let family = pool_family(context, cell);
    if knee_of(&family).is_some_and(|knee| knee.pool_bytes() > cell.pool_bytes()) {
        return Vec::new();
    }
    let mut figures = vec![Figure::measured("hit rate of the block cache", rate, FigureUnit::Share)];
    let index_asked = counters.index_hits + counters.index_misses;
    if index_asked > 0 {
        let of_index = counters.index_hits as f64 / index_asked as f64;
        figures.push(Figure::measured("hit rate of index blocks", of_index, FigureUnit::Share));
    }
    figures.extend(cell.pool_bytes().map(|pool| Figure::configured("shared memory", pool as f64, FigureUnit::Bytes)));
    let larger = family.iter().filter(|other| other.pool_bytes() > cell.pool_bytes());
    let measured = larger.filter(|other| other.hit_rate().is_some_and(|rate| rate >= context.parameters.hit_rate));
    let note = match measured.min_by_key(|other| other.pool_bytes()) {
        Some(other) => mended_in(context, cell, other, rate, figures),
        None => mended_by_curve(context, cell, rate, figures),
    };
    note.into_iter().collect()
}

fn draft<'a>(context: &Context<'_>, cell: &'a Cell<'a>, rate: f64, figures: Vec<Figure>, effect: Effect) -> Draft<'a> {
    Draft {
        rule: "block-cache-hit-rate",
        urgency: Urgency::Slows,
        cell,
        what: format!("the block cache has {} of the blocks that are asked for", percent(rate)),
        why: format!(
            "every other block is read from a file, checked and unpacked again; {} or more is wanted",
            percent(context.parameters.hit_rate)
        ),
        figures,
        settings: Vec::new(),
        effect,
    }
}

/// Another trial of this result had enough.
fn mended_in<'a>(
    context: &Context<'_>,
    cell: &'a Cell<'a>,
    other: &Cell<'_>,
    rate: f64,
    figures: Vec<Figure>,
) -> Option<Note> {
    let factor = other.speedup_over(cell);
    let effect = Effect::measured(format!("a hit rate of {}", percent(other.hit_rate()?)), factor, other);
    let settings = cell.pool_settings(other.pool_bytes()?);
    Some(Draft { settings, ..draft(context, cell, rate, figures, effect) }.into())
}

/// The curve tells how much would be enough, or that nothing would.
fn mended_by_curve<'a>(context: &Context<'_>, cell: &'a Cell<'a>, rate: f64, mut figures: Vec<Figure>) -> Option<Note> {
    let Some(curve) = cell.companion.and_then(|companion| companion.cache_curve.as_ref()) else {
        let how = "run it with this version, with memory that the databases share";
        return Some(Note::missing(
            cell,
            "the hit rate by cache size, which tells what memory would mend a low one",
            how,
        ));
    };
    let present = curve.present()?;
    // The model may be off at the present size: the same error is taken to hold for others.
    let error = curve.error().unwrap_or(0.0);
    let wanted = (context.parameters.hit_rate + error).min(1.0);
    figures.push(Figure::modelled("hit rate by the curve at the present size", present.hit_rate, FigureUnit::Share));
    let model = |curve: &CacheCurve| {
        format!(
            "the hit-rate curve of {} sampled accesses, {} points off at the present size; with the files of this trial",
            curve.sampled,
            crate::result::significant(100.0 * error.abs())
        )
    };
    let larger = |point: &&CachePoint| point.pool_bytes > present.pool_bytes;
    if let Some(point) = curve.smallest_with(wanted).filter(larger) {
        let pools = present.pool_bytes.max(1) as f64 / cell.pool_bytes()?.max(1) as f64;
        let effect = Effect::modelled(
            format!("a hit rate of about {}", percent((point.hit_rate - error).clamp(0.0, 1.0))),
            None,
            model(curve),
        );
        let settings = cell.pool_settings((point.pool_bytes as f64 / pools) as u64);
        Some(Draft { settings, ..draft(context, cell, rate, figures, effect) }.into())
    } else {
        let most = curve.points.last()?;
        figures.push(Figure::modelled(
            format!("hit rate with {}", bytes_text(most.pool_bytes as f64)),
            most.hit_rate,
            FigureUnit::Share,
        ));
        let effect = Effect::modelled(
            format!(
                "none of a larger cache: blocks are asked for too seldom twice. Smaller state, or fewer blocks for a \
                     lookup, would help; even {} would have {}",
                bytes_text(most.pool_bytes as f64),
                percent(most.hit_rate)
            ),
            None,
            model(curve),
        );
        Some(draft(context, cell, rate, figures, effect).into())
    }
}
