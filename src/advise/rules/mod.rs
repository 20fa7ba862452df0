//! The rules. Each file is about one thing.

mod backend;
mod bloom;
mod cache;
mod checkpoints;
mod growth;
mod index;
mod load;
mod memory;
mod sweep;
mod writes;

use super::{Cell, Context, Note};

/// A rule that looks at one configuration at a time.
type OfCell = for<'a> fn(&'a Context<'a>, &'a Cell<'a>) -> Vec<Note>;

static OF_CELL: [OfCell; 16] = [
    backend::out_of_memory,
    backend::garbage_collection,
    backend::heap_is_faster,
    load::saturated,
    growth::unbounded,
    growth::expired_stays,
    memory::over_budget,
    index::slow_regime,
    index::may_fall_off,
    cache::hit_rate,
    writes::stalls,
    writes::compaction_behind,
    writes::amplification,
    bloom::bloom,
    checkpoints::slow,
    checkpoints::not_incremental,
];

/// Everything that the rules say.
pub(super) fn all(context: &Context<'_>) -> Vec<Note> {
    let of_cells = context.cells.iter().flat_map(|cell| OF_CELL.iter().flat_map(move |rule| rule(context, cell)));
    let mut notes: Vec<Note> = sweep::knees(context);
    notes.extend(of_cells);
    // What a specific rule says of an option needs no general one.
    let better = sweep::better_settings(context, &notes);
    notes.extend(better);
    notes
}

/// Where RocksDB's counters come from.
const COUNTERS: &str =
    "run the workload with run.counters = true, its default: a companion trial of each configuration counts";

/// The configuration of the same job whose options differ in this one key only, with this value.
fn sibling<'a>(context: &'a Context<'a>, cell: &Cell<'_>, key: &str, value: &str) -> Option<&'a Cell<'a>> {
    context.cells.iter().find(|other| {
        other.has_job_of(cell)
            && other.differences(cell) == [key]
            && other.options.resolved().any(|(known, is)| known == key && is == value)
    })
}
