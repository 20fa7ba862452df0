//! The memory of RocksDB.

use crate::advise::{
    Cell, Context, Draft, Effect, Figure, FigureUnit, Note, Setting, Urgency, bytes_text, percent, whole_mib,
};
use crate::result::Measurement;

/// What is over the budget by less than this share is no danger.
const LEAST_OVER: f64 = 0.01;
const OFF_HEAP: &str = "taskmanager.memory.task.off-heap.size";

/// More was used than the pool has: the cache's capacity is no strict limit.
pub(super) fn over_budget<'a>(_: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    let over = |measurement: &&Measurement| {
        let memory = measurement.store_memory.as_ref()?;
        let budget = memory.budget?;
        Some((memory.peak.total_bytes().checked_sub(budget.pool_bytes)?, budget, memory.peak))
    };
    let Some((over, budget, peak)) = cell.measured.iter().filter_map(over).max_by_key(|(over, ..)| *over) else {
        return Vec::new();
    };
    if (over as f64) < LEAST_OVER * budget.pool_bytes as f64 {
        return Vec::new();
    }
    // The budget is that of all pools; a TaskManager has those of its slots.
    let pools_of_manager = u64::from(cell.options.task_slots.min(budget.pools).max(1));
    let of_manager = over as f64 / f64::from(budget.pools.max(1)) * pools_of_manager as f64;
    let present = cell.options.task_off_heap_size.0 as f64;
    vec![
        Draft {
            rule: "memory-over-budget",
            urgency: Urgency::Fails,
            cell,
            what: format!(
                "RocksDB used {} more than its {} of shared memory, {} of it",
                bytes_text(over as f64),
                bytes_text(budget.pool_bytes as f64),
                percent(over as f64 / budget.pool_bytes.max(1) as f64)
            ),
            why: "the cache's capacity is no strict limit, and what is pinned, memtables and table readers do not yield: a \
                  container that has no reserve is killed"
                .to_owned(),
            figures: vec![
                Figure::measured("used at most", peak.total_bytes() as f64, FigureUnit::Bytes),
                Figure::configured("shared memory", budget.pool_bytes as f64, FigureUnit::Bytes),
                Figure::measured("of it pinned", peak.cache_pinned_bytes as f64, FigureUnit::Bytes),
                Figure::measured("memtables", peak.memtable_bytes as f64, FigureUnit::Bytes),
                Figure::measured("table readers outside of the cache", peak.table_reader_bytes as f64, FigureUnit::Bytes),
            ],
            settings: vec![Setting::option(cell, OFF_HEAP, whole_mib(present + of_manager))],
            effect: Effect::modelled(
                format!("the process has {} in reserve for it", bytes_text(of_manager)),
                None,
                "Flink's division of memory, with the most that was used in this run",
            ),
        }
        .into(),
    ]
}
