//! Bloom filters: one that is there for nothing, and one that is missing.

use super::sibling;
use crate::advise::{Cell, Context, Draft, Effect, Figure, FigureUnit, Note, Setting, Urgency, bytes_text, times};
use crate::result::StoreCounters;

const USE: &str = "state.backend.rocksdb.use-bloom-filter";
/// A filter that rules out a file for fewer lookups than this share is there for nothing.
const LEAST_USE: f64 = 0.01;
/// Data blocks asked for by a lookup from which on a filter would spare some: one is in the file that has the key.
const MANY_BLOCKS: f64 = 1.2;

/// Whether the filter is worth its memory, or would be.
pub(super) fn bloom<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    // That counters are missing is said where the cache is looked at.
    let counters = cell.companion.and_then(|companion| companion.store_counters);
    let Some(counters) = counters.filter(|counters| cell.is_rocksdb() && counters.lookups > 0) else {
        return Vec::new();
    };
    let lookups = counters.lookups as f64;
    let per_lookup = (counters.data_hits + counters.data_misses) as f64 / lookups;
    let used = counters.bloom_useful as f64 / lookups;
    if cell.options.use_bloom_filter {
        unused(context, cell, used).into_iter().collect()
    } else {
        missing(context, cell, &counters, per_lookup).into_iter().collect()
    }
}

fn unused<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>, used: f64) -> Option<Note> {
    let bytes = cell.companion?.store_shape.as_ref()?.filter_bytes as f64;
    if used >= LEAST_USE || bytes <= 0.0 {
        return None;
    }
    let effect = match sibling(context, cell, USE, "false") {
        Some(other) => {
            let factor = other.speedup_over(cell)?;
            // Without it another trial was slower: then it is of use in a way that this figure does not show.
            if factor < 1.0 {
                return None;
            }
            Effect::measured(format!("{} of the throughput", times(factor)), Some(factor), other)
        }
        None => Effect::modelled(
            format!("{} of the cache for blocks in place of filters", bytes_text(bytes)),
            None,
            "the filters of this run",
        ),
    };
    Some(
        Draft {
            rule: "bloom-without-use",
            urgency: Urgency::Costs,
            cell,
            what: "the bloom filter rules out next to nothing".to_owned(),
            why: "keys that are looked up are there, and in the first file that is looked into".to_owned(),
            figures: vec![
                Figure::measured("files ruled out for each lookup (companion)", used, FigureUnit::Factor),
                Figure::measured("filters", bytes, FigureUnit::Bytes),
            ],
            settings: vec![Setting::option(cell, USE, false)],
            effect,
        }
        .into(),
    )
}

fn missing<'a>(
    context: &'a Context<'a>,
    cell: &'a Cell<'a>,
    counters: &StoreCounters,
    per_lookup: f64,
) -> Option<Note> {
    if per_lookup < MANY_BLOCKS {
        return None;
    }
    let effect = match sibling(context, cell, USE, "true") {
        Some(other) => {
            let factor = other.speedup_over(cell).filter(|factor| *factor > 1.0)?;
            Effect::measured(format!("{} of the throughput", times(factor)), Some(factor), other)
        }
        None => Effect::modelled(
            format!("about 1 block for each lookup in place of {}", times(per_lookup)),
            None,
            "a filter of 10 bits for each key, which lets 1 % of absent keys pass",
        ),
    };
    let misses = counters.data_misses as f64 / counters.lookups as f64;
    Some(
        Draft {
            rule: "bloom-missing",
            urgency: Urgency::Slows,
            cell,
            what: format!("a lookup asks for {} data blocks, of which one at most has the key", crate::result::significant(per_lookup)),
            why: "several files may hold a key, or keys are looked up that are absent; a filter rules files out without reading a block".to_owned(),
            figures: vec![
                Figure::measured("data blocks asked for by a lookup (companion)", per_lookup, FigureUnit::Factor),
                Figure::measured("of them read from a file", misses, FigureUnit::Factor),
                Figure::measured("lookups", counters.lookups as f64, FigureUnit::Count),
            ],
            settings: vec![Setting::option(cell, USE, true)],
            effect,
        }
        .into(),
    )
}
