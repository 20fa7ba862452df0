//! Memory: whether it adds up, who gets it, and whether it is enough.

use super::rocksdb::rounded;
use super::{Context, Draft, Rule, Scope, error, note, rule, warning};
use crate::workload::{Bytes, MemoryPool, PoolScope, cache_shards};

pub(super) static RULES: &[Rule] = &[
    rule("parts-over-total", "parts of memory that do not fit the total", Scope::Cluster, parts_over_total),
    rule("two-totals", "process and Flink memory both given", Scope::Cluster, two_totals),
    rule("size-and-fraction", "managed memory given twice", Scope::Options, size_and_fraction),
    rule("managed-wasted", "managed memory that nobody uses", Scope::Cluster, managed_wasted),
    rule("fixed-beside-managed", "a fixed pool beside managed memory", Scope::Cluster, fixed_beside_managed),
    rule("fixed-per-tm-ignored", "a fixed pool that another goes before", Scope::Options, fixed_per_tm_ignored),
    rule("pool-outside-total", "a pool that the total does not hold", Scope::Cluster, pool_outside_total),
    rule("memory-unbounded", "RocksDB without a budget", Scope::Cluster, unbounded),
    rule("slots-divide", "slots that share managed memory", Scope::Cluster, slots_divide),
    rule("budget-too-small", "a budget that holds no write buffer", Scope::Options, budget_too_small),
    rule("too-many-states", "more states than the budget has write buffers for", Scope::Cluster, too_many_states),
    rule(
        "write-buffers-over-budget",
        "write buffers that are flushed before they are full",
        Scope::Options,
        over_budget,
    ),
    rule("arena-block", "Flink's warning of constant flushing", Scope::Cluster, arena_block),
    rule("index-cliff", "an index that does not fit its part of the cache", Scope::Cluster, index_cliff),
];

const PROCESS: &str = "taskmanager.memory.process.size";
const FLINK: &str = "taskmanager.memory.flink.size";
const FRACTION: &str = "taskmanager.memory.managed.fraction";
const MANAGED: &str = "taskmanager.memory.managed.size";
const OFF_HEAP: &str = "taskmanager.memory.task.off-heap.size";
const SLOTS: &str = "taskmanager.numberOfTaskSlots";
const PER_SLOT: &str = "state.backend.rocksdb.memory.fixed-per-slot";
const PER_TM: &str = "state.backend.rocksdb.memory.fixed-per-tm";
const USE_MANAGED: &str = "state.backend.rocksdb.memory.managed";
const PARTITIONED: &str = "state.backend.rocksdb.memory.partitioned-index-filters";
const BUFFER_SIZE: &str = "state.backend.rocksdb.writebuffer.size";
const BUFFER_COUNT: &str = "state.backend.rocksdb.writebuffer.count";

/// RocksDB's largest arena block: a write buffer takes its memory in steps of an eighth of its size up to this.
const MAX_ARENA_BLOCK: u64 = 1 << 20;
/// Up to this an index that is not partitioned was seen to fall out of the cache.
const CLIFF: u64 = 64 << 20;
/// From this on it never was.
const SAFE: u64 = 96 << 20;

fn parts_over_total(context: &Context) -> Vec<Draft> {
    let Err(invalid) = context.options.task_manager_memory() else { return Vec::new() };
    let does = format!("does not start a TaskManager: {} does not fit", invalid.found);
    vec![error(&invalid.path, does, invalid.allowed)]
}

fn two_totals(context: &Context) -> Vec<Draft> {
    if !context.gives(PROCESS) || !context.gives(FLINK) {
        return Vec::new();
    }
    let does = format!(
        "takes {FLINK} and leaves metaspace and overhead what remains of this; it does not start where that is too little or too much"
    );
    vec![warning(PROCESS, does, format_args!("{PROCESS} alone in containers, {FLINK} alone elsewhere"))]
}

fn size_and_fraction(context: &Context) -> Vec<Draft> {
    if !context.gives(MANAGED) || !context.gives(FRACTION) {
        return Vec::new();
    }
    vec![warning(FRACTION, format_args!("ignores it: {MANAGED} goes before it"), "one of the two")]
}

/// Managed memory of the TaskManager, where it can be worked out and is not 0.
fn managed(context: &Context) -> Option<Bytes> {
    let memory = context.options.task_manager_memory().ok()?;
    Some(Bytes(memory.managed_bytes)).filter(|bytes| bytes.0 > 0)
}

fn managed_wasted(context: &Context) -> Vec<Draft> {
    let Some(managed) = managed(context).filter(|_| context.is_heap()) else { return Vec::new() };
    let does = format!("sets {} of managed memory aside, of which the hashmap backend uses nothing", rounded(managed));
    let write = format!("{FRACTION}: 0.0, which leaves it to the heap; unless the job runs Python or is a batch job");
    if context.gives(MANAGED) {
        return vec![warning(MANAGED, does, write)];
    }
    vec![if context.gives(FRACTION) { warning(FRACTION, does, write) } else { note(FRACTION, does, write) }]
}

fn fixed_beside_managed(context: &Context) -> Vec<Draft> {
    if !context.is_rocksdb() || !context.gives(PER_SLOT) {
        return Vec::new();
    }
    let Some(managed) = managed(context) else { return Vec::new() };
    let does = format!(
        "gives RocksDB this and still sets {} of managed memory aside, which RocksDB then leaves unused",
        rounded(managed)
    );
    vec![warning(PER_SLOT, does, format_args!("{FRACTION}: 0.0 beside it, or {MANAGED} instead of it"))]
}

fn fixed_per_tm_ignored(context: &Context) -> Vec<Draft> {
    if !context.is_rocksdb() || !context.gives(PER_TM) {
        return Vec::new();
    }
    let why = match (context.gives(PER_SLOT), context.options.memory_managed) {
        (true, _) => format!("{PER_SLOT} goes before it"),
        (false, true) => format!("{USE_MANAGED} is true, its default, and goes before it"),
        (false, false) => return Vec::new(),
    };
    vec![warning(
        PER_TM,
        format_args!("ignores it: {why}"),
        format_args!("{USE_MANAGED}: false beside it, and no fixed-per-slot"),
    )]
}

fn pool_outside_total(context: &Context) -> Vec<Draft> {
    let Some(pool) = context.pool().filter(|pool| pool.key == PER_SLOT || pool.key == PER_TM) else {
        return Vec::new();
    };
    let slots = if pool.scope == PoolScope::Slot { u64::from(context.options.task_slots) } else { 1 };
    let needed = Bytes(pool.bytes.saturating_mul(slots));
    let given = context.options.task_off_heap_size;
    if given >= needed {
        return Vec::new();
    }
    let does = format!(
        "does not count this pool in the process's memory; with {slots} of it, {needed} come on top, and the container may be killed"
    );
    vec![warning(pool.key, does, format_args!("{OFF_HEAP}: {needed} or more"))]
}

fn unbounded(context: &Context) -> Vec<Draft> {
    if !context.is_rocksdb() || context.pool().is_some() {
        return Vec::new();
    }
    let options = &context.options;
    let buffers = options.writebuffer_size.0.saturating_mul(options.writebuffer_count.into());
    let each = Bytes(buffers.saturating_add(options.block_cache_size.0));
    let does = format!(
        "bounds RocksDB by nothing: every state of every subtask takes up to {each} for itself, outside the process's memory"
    );
    vec![warning(USE_MANAGED, does, format_args!("{USE_MANAGED}: true, or {PER_SLOT} with a size"))]
}

fn slots_divide(context: &Context) -> Vec<Draft> {
    let slots = context.options.task_slots;
    let Some(pool) = context.pool().filter(|pool| pool.key == MANAGED && slots > 1) else { return Vec::new() };
    let does = format!(
        "gives each of the {slots} slots {} of managed memory, which all states in a slot share",
        rounded(Bytes(pool.bytes))
    );
    vec![note(SLOTS, does, "managed memory for all slots together")]
}

/// What a write buffer takes at a time, bytes: as Flink works it out, and as RocksDB does.
fn arena_blocks(context: &Context) -> (u64, u64) {
    let eighth = (context.options.writebuffer_size.0 / 8).div_ceil(4096).saturating_mul(4096);
    (eighth, eighth.min(MAX_ARENA_BLOCK))
}

/// Memory at which RocksDB flushes: seven eighths of the write-buffer manager's capacity.
fn mutable_limit(buffers: Bytes) -> u64 {
    buffers.0 / 8 * 7
}

/// The pool whose write-buffer manager has this capacity: 2·T·r / 3 the other way round, in whole mb.
fn pool_for(buffers: u64, ratio: f64) -> Bytes {
    let bytes = buffers as f64 * 3.0 / (2.0 * ratio.max(0.001));
    Bytes(((bytes as u64) >> 20).saturating_add(1) << 20)
}

/// What to write for a pool of at least this size.
fn budget(context: &Context, pool: MemoryPool, least: Bytes) -> String {
    // Managed memory is given for all slots together.
    let pools = if pool.key == MANAGED { u64::from(context.options.task_slots) } else { 1 };
    format!("{}: {} or more", pool.key, Bytes(least.0.saturating_mul(pools)))
}

fn budget_too_small(context: &Context) -> Vec<Draft> {
    let (Some(pool), Some((_, buffers))) = (context.pool(), context.capacities()) else { return Vec::new() };
    let (_, arena) = arena_blocks(context);
    if mutable_limit(buffers) >= arena {
        return Vec::new();
    }
    let ratio = context.options.memory_write_buffer_ratio.0;
    let smallest = pool_for(arena.saturating_mul(8) / 7, ratio);
    let does = format!(
        "leaves {} for all write buffers, less than the {} that one takes at a time: every write is followed by a flush",
        rounded(buffers),
        Bytes(arena)
    );
    vec![error(pool.key, does, budget(context, pool, smallest))]
}

fn whose(scope: PoolScope) -> &'static str {
    match scope {
        PoolScope::Slot => "slot",
        PoolScope::TaskManager => "TaskManager",
    }
}

fn too_many_states(context: &Context) -> Vec<Draft> {
    let (Some(states), Some(pool), Some((_, buffers))) = (context.states, context.pool(), context.capacities()) else {
        return Vec::new();
    };
    let (_, arena) = arena_blocks(context);
    let needed = arena.saturating_mul(u64::from(states));
    if needed <= mutable_limit(buffers) {
        return Vec::new();
    }
    let smallest = pool_for(needed.saturating_mul(8) / 7, context.options.memory_write_buffer_ratio.0);
    let does = format!(
        "has {} for the write buffers of all {states} states, each of which takes {} at the first write: they are flushed over and over, almost empty",
        rounded(buffers),
        Bytes(arena)
    );
    vec![warning(
        pool.key,
        does,
        format_args!("{}, or fewer states in a {}", budget(context, pool, smallest), whose(pool.scope)),
    )]
}

fn over_budget(context: &Context) -> Vec<Draft> {
    let Some(key) = [BUFFER_SIZE, BUFFER_COUNT].into_iter().find(|key| context.gives(key)) else { return Vec::new() };
    let (Some(pool), Some((_, buffers))) = (context.pool(), context.capacities()) else { return Vec::new() };
    let (size, count) = (context.options.writebuffer_size, context.options.writebuffer_count);
    let asked = size.0.saturating_mul(count.into());
    if asked <= buffers.0 {
        return Vec::new();
    }
    let enough = pool_for(asked, context.options.memory_write_buffer_ratio.0);
    let does = format!(
        "flushes earlier: {count} buffers of {size} are {}, but all write buffers of a {} share {}",
        Bytes(asked),
        whose(pool.scope),
        rounded(buffers)
    );
    vec![warning(key, does, format_args!("{}, or write buffers that fit", budget(context, pool, enough)))]
}

fn arena_block(context: &Context) -> Vec<Draft> {
    let (Some(pool), Some((_, buffers))) = (context.pool(), context.capacities()) else { return Vec::new() };
    let (of_flink, of_rocksdb) = arena_blocks(context);
    let limit = mutable_limit(buffers);
    if of_flink <= limit || of_rocksdb > limit {
        return Vec::new();
    }
    let does = format!(
        "logs that performance will be poor, since an arena block of {} is above the limit of {}; RocksDB takes blocks of {}, and slowness did not \
         follow from this warning where it was measured",
        Bytes(of_flink),
        rounded(Bytes(limit)),
        Bytes(of_rocksdb)
    );
    let enough = pool_for(of_flink.saturating_mul(8) / 7, context.options.memory_write_buffer_ratio.0);
    vec![note(pool.key, does, format_args!("{}, which ends the warning", budget(context, pool, enough)))]
}

fn index_cliff(context: &Context) -> Vec<Draft> {
    let (Some(pool), Some((cache, _))) = (context.pool(), context.capacities()) else { return Vec::new() };
    if pool.bytes > CLIFF || context.options.memory_partitioned_index_filters {
        return Vec::new();
    }
    let does = format!(
        "splits the block cache of {} into parts of {}; where the state is large, the one index block of a table file, some 0.4 mb, falls out of \
         its part and is read and unpacked for every access: of runs that are the same, some are 10 to 100 times slower",
        rounded(cache),
        rounded(Bytes(cache.0 / cache_shards(cache.0)))
    );
    vec![warning(PARTITIONED, does, format_args!("{PARTITIONED}: true; or {}", budget(context, pool, Bytes(SAFE))))]
}
