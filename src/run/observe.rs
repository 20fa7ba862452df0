//! What the stores of a trial tell, put together: sums over databases, with the cache of a shared pool counted once.

use std::collections::BTreeSet;

use super::timeline::TimelineWatch;
use crate::backend::Observed;
use crate::result::{CacheCurve, LevelShape, StoreBudget, StoreCounters, StoreMemory, StoreShape, StoreUse};
use crate::state::StateResult;
use crate::workload::Options;

/// What the stores of all subtasks told at the end of the measured part.
#[derive(Debug, Default)]
pub struct Observation {
    /// Their memory.
    pub memory: Option<StoreMemory>,
    /// Their shape.
    pub shape: Option<StoreShape>,
    /// What they counted in the measured part.
    pub counters: Option<StoreCounters>,
    /// What hit rate caches of other sizes would have had.
    pub cache_curve: Option<CacheCurve>,
}

/// The store of one subtask at the end of the measured part.
pub struct Watched<'a> {
    /// The store.
    pub store: &'a dyn Observed,
    /// What was seen of it since the measured part began.
    pub watch: &'a TimelineWatch,
    /// Whether no store before it told what their common cache holds.
    pub first_of_pool: bool,
}

/// Of each subtask whether it is the first of its pool: databases that share no memory have caches of their own.
pub fn first_of_pool(options: &Options, parallelism: u16) -> Vec<bool> {
    let mut pools = BTreeSet::new();
    (0..parallelism).map(|subtask| pools.insert(options.pool_of(subtask)) || !options.shares_memory()).collect()
}

/// Puts together what the stores tell at the end of the measured part.
///
/// # Errors
/// A store cannot be asked.
pub fn observe<'a>(stores: impl IntoIterator<Item = Watched<'a>>) -> StateResult<Observation> {
    let mut seen = Observation::default();
    for Watched { store, watch, first_of_pool } in stores {
        if let Some(end) = store.store_use()? {
            let peak = watch.peak().or_larger(end);
            let memory = seen.memory.get_or_insert_with(|| StoreMemory {
                budget: None,
                peak: StoreUse::default(),
                end: StoreUse::default(),
            });
            memory.end.add(&once(end, first_of_pool));
            memory.peak.add(&once(peak, first_of_pool));
            if let Some(budget) = store.store_budget().filter(|_| first_of_pool) {
                memory.budget = Some(memory.budget.map_or(budget, |sum| add_budgets(&sum, &budget)));
            }
        }
        if let Some(shape) = store.store_shape()? {
            add_shape(seen.shape.get_or_insert_default(), shape, first_of_pool);
        }
        if let Some(curve) = store.cache_curve().filter(|_| first_of_pool) {
            match &mut seen.cache_curve {
                Some(sum) => sum.add(&curve),
                None => seen.cache_curve = Some(curve),
            }
        }
        if let Some(after) = store.store_counters() {
            let counted = after.since(&watch.counted_before().unwrap_or_default());
            seen.counters = Some(seen.counters.map_or(counted, |sum| sum.plus(&counted)));
        }
    }
    seen.cache_curve = seen.cache_curve.map(|curve| curve.beside(seen.counters.as_ref()));
    Ok(seen)
}

/// The use of a database; without the cache where another database of its pool has told it.
pub fn once(used: StoreUse, first_of_pool: bool) -> StoreUse {
    if first_of_pool { used } else { StoreUse { cache_bytes: 0, cache_pinned_bytes: 0, ..used } }
}

fn add_budgets(sum: &StoreBudget, budget: &StoreBudget) -> StoreBudget {
    StoreBudget {
        pools: sum.pools + budget.pools,
        pool_bytes: sum.pool_bytes + budget.pool_bytes,
        cache_bytes: sum.cache_bytes + budget.cache_bytes,
        write_buffer_bytes: sum.write_buffer_bytes + budget.write_buffer_bytes,
        high_priority_bytes: sum.high_priority_bytes + budget.high_priority_bytes,
        ..*sum
    }
}

/// Adds the shape of a database; without what the cache holds where another database of its pool has told it.
pub fn add_shape(sum: &mut StoreShape, shape: StoreShape, first_of_pool: bool) {
    if sum.levels.len() < shape.levels.len() {
        sum.levels.resize(shape.levels.len(), LevelShape::default());
    }
    for (mine, theirs) in sum.levels.iter_mut().zip(&shape.levels) {
        mine.files += theirs.files;
        mine.bytes += theirs.bytes;
    }
    sum.index_bytes += shape.index_bytes;
    sum.filter_bytes += shape.filter_bytes;
    sum.data_bytes += shape.data_bytes;
    sum.raw_bytes += shape.raw_bytes;
    sum.data_blocks += shape.data_blocks;
    if !first_of_pool {
        return;
    }
    for role in shape.cached {
        match sum.cached.iter_mut().find(|known| known.role == role.role) {
            Some(known) => {
                known.entries += role.entries;
                known.bytes += role.bytes;
            }
            None => sum.cached.push(role),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::measure::Recorder;

    /// A store of two subtasks that share a pool: each has memtables of its own.
    struct Shared;
    impl Observed for Shared {
        fn store_use(&self) -> StateResult<Option<StoreUse>> {
            Ok(Some(StoreUse { cache_bytes: 100, cache_pinned_bytes: 10, memtable_bytes: 7, table_reader_bytes: 1 }))
        }
        fn store_counters(&self) -> Option<StoreCounters> {
            Some(StoreCounters { lookups: 5, ..StoreCounters::default() })
        }
    }

    fn observed(settings: &[(&str, &str)]) -> Observation {
        let mut options = Options::default();
        settings.iter().for_each(|(key, value)| options.set(key, value).unwrap());
        let watch =
            TimelineWatch::begin(Instant::now(), Duration::from_millis(100), &Shared, Recorder::default().event);
        let watched = |first_of_pool| Watched { store: &Shared, watch: &watch, first_of_pool };
        observe(first_of_pool(&options, 2).into_iter().map(watched)).unwrap()
    }

    #[test]
    fn a_shared_cache_counts_once_and_memtables_add_up() {
        let per_tm = [
            ("state.backend.rocksdb.memory.managed", "false"),
            ("state.backend.rocksdb.memory.fixed-per-tm", "64mb"),
            ("taskmanager.numberOfTaskSlots", "2"),
        ];
        let end = observed(&per_tm).memory.unwrap().end;
        assert_eq!((end.cache_bytes, end.memtable_bytes, end.table_reader_bytes), (100, 14, 2));
        assert_eq!(observed(&[]).memory.unwrap().peak.cache_bytes, 200, "a pool for each slot");
        assert_eq!(observed(&per_tm[..1]).memory.unwrap().end.cache_bytes, 200, "caches of their own");
    }

    #[test]
    fn only_what_the_measured_part_counted_counts() {
        assert_eq!(observed(&[]).counters, Some(StoreCounters::default()));
    }
}
