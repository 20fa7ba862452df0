//! What a trial will need, before it runs: so that one that cannot fit is refused instead of killed.

use crate::state::KeyGroups;
use crate::workload::{
    BackendType, Cell, Extent, KeptRow, KeySampler, Mix, MixOperation, Operator, Plan, PrefillBy, Retractions, Source,
    Workload, cache_shards, divide_pool, index_eviction_chance, index_may_fall_off, pool_that_keeps,
};

/// What one cell is expected to need. Modelled: entries × the mean size of one, from the workload alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Entries in the state at the end; none where a trace, time or the length of a run decides.
    pub entries: Option<f64>,
    /// Serialized bytes of the state, keys included.
    pub state_bytes: Option<f64>,
    /// Memory of the trial's process, bytes.
    pub memory_bytes: Option<f64>,
    /// Disk for the state, bytes; 0 where it stays in memory.
    pub disk_bytes: Option<f64>,
}

/// Memory of a process with no state: code, histograms, batches.
const BASE_MEMORY_BYTES: f64 = 64e6;
/// What an object map takes for an entry beside key and value: the slot with its tag at a load between 7/16 and 7/8,
/// the key's copy, the allocator's rounding of one value.
const HEAP_ENTRY_OVERHEAD_BYTES: f64 = 48.0;
/// What an entry that waits to be ingested takes beside its bytes: its place, and its place again while it is sorted.
const INGEST_ENTRY_OVERHEAD_BYTES: f64 = 64.0;
/// How much more than they hold buffers take that grow by doubling.
const INGEST_GROWTH: f64 = 1.5;
/// Space amplification of levelled compaction at its worst: a compaction's input and output exist at the same time.
const DISK_AMPLIFICATION: f64 = 2.0;
/// RocksDB's own memory beside cache and write buffers: table readers, version sets, threads.
const ROCKSDB_OVERHEAD_BYTES: f64 = 64e6;

/// Predicts what a cell needs.
pub fn predict(plan: &Plan, cell: &Cell) -> Prediction {
    let workload = &plan.variants[cell.variant].workload;
    let options = &cell.configuration.options;
    let state = state_size(workload);
    let entries = state.map(|(entries, _)| entries);
    let state_bytes = state.map(|(_, bytes)| bytes);
    let subtasks = f64::from(workload.run.groups.parallelism);
    let (memory_bytes, disk_bytes) = match options.backend {
        BackendType::Null => (Some(BASE_MEMORY_BYTES), Some(0.0)),
        BackendType::HashMap => {
            // A state that does not fit the Java heap ends its trial before it takes more than that heap.
            let managers = (subtasks / f64::from(options.task_slots)).ceil();
            let most = options.heap_bytes().map_or(f64::INFINITY, |bytes| managers * bytes as f64);
            let memory = |(entries, bytes): (f64, f64)| {
                BASE_MEMORY_BYTES + (entries * HEAP_ENTRY_OVERHEAD_BYTES + bytes).min(most)
            };
            (state.map(memory), Some(0.0))
        }
        BackendType::RocksDb => {
            let budget = options.shared_memory_bytes().map_or_else(
                || {
                    options.block_cache_size.0 as f64
                        + options.writebuffer_size.0 as f64 * f64::from(options.writebuffer_count)
                },
                |bytes| bytes as f64,
            );
            let pools = f64::from(options.pool_of(workload.run.groups.parallelism - 1)) + 1.0;
            let ingested = workload.run.prefill_by == PrefillBy::Ingest;
            // A prefill that is ingested is sorted in memory, and kept on disk for the trials to come.
            let (sorted, kept) = if ingested { state.unwrap_or((0.0, 0.0)) } else { (0.0, 0.0) };
            let running = pools * budget + subtasks * ROCKSDB_OVERHEAD_BYTES;
            let memory = BASE_MEMORY_BYTES + running.max(sorted * INGEST_ENTRY_OVERHEAD_BYTES + INGEST_GROWTH * kept);
            (Some(memory), state_bytes.map(|bytes| bytes * DISK_AMPLIFICATION + kept))
        }
    };
    Prediction { entries, state_bytes, memory_bytes, disk_bytes }
}

/// An index block that does not stay in its cache shard (modelled).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IndexCliff {
    /// The index block of the largest table file, bytes.
    pub index_bytes: u64,
    /// A shard of the block cache, bytes.
    pub shard_bytes: u64,
    /// The chance that it falls off in a run, 0 to 1.
    pub chance: f64,
    /// The least pool whose shards keep it, bytes.
    pub pool_bytes: u64,
}

/// Bytes of an index entry in the cache beside its key: sequence number, block handle, lengths and restart point. With a
/// long key an entry takes 31 bytes there, as was measured (and 20 in the file, where it is compressed).
const INDEX_ENTRY_OVERHEAD_BYTES: f64 = 21.0;
/// Bytes of an entry in a data block beside key and value: lengths and sequence number.
const DATA_ENTRY_OVERHEAD_BYTES: f64 = 11.0;

/// Whether the index block of a file of the target size would not stay in its cache shard, so that identical runs of the
/// cell may be fast or slow; none where it stays, is partitioned, or the cache does not hold it.
pub fn index_cliff(plan: &Plan, cell: &Cell) -> Option<IndexCliff> {
    let workload = &plan.variants[cell.variant].workload;
    let options = &cell.configuration.options;
    let pool = options.memory_pool().filter(|_| options.backend == BackendType::RocksDb)?;
    if options.memory_partitioned_index_filters {
        return None;
    }
    let (entries, state_bytes) = state_size(workload)?;
    let raw_bytes = (state_bytes + entries * DATA_ENTRY_OVERHEAD_BYTES) / f64::from(workload.run.groups.parallelism);
    let kept = if options.compresses() { 1.0 - workload.values.compressibility() } else { 1.0 };
    let file_bytes = raw_bytes.min(options.compaction_level_target_file_size_base.0 as f64 / kept.max(0.1));
    let user_key = if matches!(workload.operator, Operator::Map { .. }) { 8.0 } else { 0.0 };
    let entry_bytes = key_bytes(workload) + user_key + INDEX_ENTRY_OVERHEAD_BYTES;
    let index_bytes = (file_bytes / options.block_size.0 as f64 * entry_bytes) as u64;
    let ratio = options.memory_write_buffer_ratio.0;
    let (cache_bytes, _) = divide_pool(pool.bytes, ratio);
    index_may_fall_off(index_bytes, pool.bytes, ratio).then(|| IndexCliff {
        index_bytes,
        shard_bytes: cache_bytes / cache_shards(cache_bytes),
        chance: index_eviction_chance(index_bytes, pool.bytes, ratio),
        pool_bytes: pool_that_keeps(index_bytes, ratio),
    })
}

/// Entries and serialized bytes of the state at the end of a run; none where a trace decides, or which windows are open.
fn state_size(workload: &Workload) -> Option<(f64, f64)> {
    if !workload.later.is_empty() {
        return None;
    }
    let keys = distinct_keys(workload)?;
    let key_bytes = key_bytes(workload);
    let payload = match &workload.source {
        Source::Nexmark(nexmark) => nexmark.mean_payload_bytes(),
        _ => workload.values.size().mean(),
    } + 4.0;
    let events = events(workload);
    let per_key = |entries: f64, bytes: f64| Some((keys * entries, keys * entries * (key_bytes + bytes)));
    match &workload.operator {
        // Time decides how many orders or windows are open, and how much of an input is there.
        Operator::ChangelogJoin | Operator::Window { .. } | Operator::IntervalJoin { .. } => None,
        Operator::Counter | Operator::Reduce { .. } | Operator::RunningTotal => per_key(1.0, 8.0),
        Operator::Aggregate { .. } => per_key(1.0, 24.0),
        Operator::ListBuffer { clear_every } => {
            let mean_length = (f64::from(*clear_every) / 2.0).min(events.unwrap_or(f64::INFINITY) / keys);
            per_key(1.0, 8.0 + mean_length * (payload + 1.0))
        }
        Operator::Map { entries } => per_key(f64::from(*entries), 9.0 + payload),
        Operator::ValueOfMap { entries } => per_key(1.0, 4.0 + f64::from(*entries) * (9.0 + payload)),
        // A version, and an index; what waits is little.
        Operator::TemporalJoin { .. } => per_key(2.0, (8.0 + 1.0 + 16.0 + payload + 8.0) / 2.0),
        Operator::Mix(mix) => {
            let appended = operations(workload, mix, MixOperation::Append) * (payload + 1.0);
            let inserted =
                if mix.has(MixOperation::Scan) { operations(workload, mix, MixOperation::Insert) } else { 0.0 };
            let entries = if mix.has(MixOperation::Scan) { f64::from(mix.entries) } else { 1.0 };
            let (count, bytes) = per_key(entries, 9.0 + payload)?;
            Some((count + inserted, bytes + appended + inserted * (key_bytes + 9.0 + payload)))
        }
        Operator::RegularJoin { retractions, .. } => {
            let stay = 1.0 - 2.0 * retractions.map_or(0.0, Retractions::share);
            let rows = workload.prefill_keys() as f64 + events.unwrap_or(0.0) * stay;
            Some((rows, rows * (key_bytes + 8.0 + payload + 5.0)))
        }
        // Every rule has met every key.
        Operator::BroadcastRules(rules) => per_key(f64::from(rules.rules), 8.0 + 9.0),
        // An offset of each partition, in memory.
        Operator::SourceOffsets(source) => Some((f64::from(source.partitions), 16.0 * f64::from(source.partitions))),
        // A left row while it lasts; what waits for one is little.
        Operator::ContinuousJoin { .. } => per_key(1.0, 8.0 + payload),
        Operator::TopN { n } => per_key(f64::from(*n), 8.0 + 5.0 + 8.0 + payload),
        Operator::Deduplicate { keep } => per_key(1.0, 8.0 + if *keep == KeptRow::Last { payload } else { 0.0 }),
    }
}

/// Events of a trial, where their number is fixed.
fn events(workload: &Workload) -> Option<f64> {
    let count = |extent| match extent {
        Extent::Events(events) => Some(events as f64),
        Extent::Time(_) | Extent::SourceEnd => None,
    };
    Some(count(workload.run.warm_up)? + count(workload.run.measured)?)
}

/// How often a mix does something in a run of a fixed number of events; else 0.
fn operations(workload: &Workload, mix: &Mix, operation: MixOperation) -> f64 {
    let share = |shares: Option<[f64; 7]>| mix.with_shares(shares).share(operation);
    let in_phases = workload.phases.iter().map(|phase| phase.events as f64 * share(phase.shares)).sum::<f64>();
    let of_phases: u64 = workload.phases.iter().map(|phase| phase.events).sum();
    (events(workload).unwrap_or(0.0) - of_phases as f64) * share(None) + in_phases
}

/// Keys in the state at the end: those of the prefill and those that events bring. A run of unknown length may meet
/// every key there is, of Nexmark as many as it has time for.
fn distinct_keys(workload: &Workload) -> Option<f64> {
    match &workload.source {
        Source::Generated => {}
        Source::Nexmark(nexmark) => return Some(nexmark.distinct_expected(events(workload)? as u64)),
        Source::Trace(_) | Source::CdcOrders(_) => return None,
    }
    let prefilled = workload.prefill_keys() as f64;
    let cardinality = workload.keys.cardinality as f64;
    let (met, created) = match events(workload).map(|events| events as u64) {
        Some(events) => {
            let sampler = KeySampler::new(&workload.keys, workload.run.seed);
            (sampler.distinct_expected(events), sampler.created(events) as f64)
        }
        None => (cardinality, 0.0),
    };
    let covered = prefilled / cardinality;
    Some(prefilled + (met - created) * (1.0 - covered.min(1.0)) + created)
}

/// Bytes of a composite key without a user key.
fn key_bytes(workload: &Workload) -> f64 {
    let KeyGroups { max_parallelism, .. } = workload.run.groups;
    let group = if max_parallelism <= 128 { 1.0 } else { 2.0 };
    group + workload.keys.mean_encoded_bytes() + 1.0
}
