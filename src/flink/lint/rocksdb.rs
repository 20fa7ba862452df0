//! What RocksDB makes of its options.

use super::{Context, Draft, Rule, Scope, error, note, rule, warning};
use crate::workload::{Bytes, FlinkVersion, KeyKind, KnownKey, METRICS_PREFIX, OPTIONS, Options, PredefinedOptions};

pub(super) static RULES: &[Rule] = &[
    rule("rocksdb-keys-on-heap", "RocksDB options while the backend is another", Scope::Cluster, keys_on_heap),
    rule("cache-size-shared", "a block cache size while memory is shared", Scope::Options, cache_size_shared),
    rule("bloom-off", "settings of a bloom filter that is off", Scope::Options, bloom_off),
    rule("block-based-mode", "a kind of filter that RocksDB no longer has", Scope::Options, block_based_mode),
    rule(
        "bloom-bits-partitioned",
        "bits of a filter that partitioning replaces",
        Scope::Options,
        bloom_bits_partitioned,
    ),
    rule("merge-count", "more write buffers to merge than there are", Scope::Cluster, merge_count),
    rule("profile-overridden", "keys beside a profile that sets them", Scope::Options, profile_overridden),
    rule("profile-memory", "a profile for much memory under a shared budget", Scope::Options, profile_memory),
    rule("filter-clock", "the compaction filter's clock", Scope::Cluster, filter_clock),
    rule("pending-flag", "a metric that is a flag and no amount", Scope::Cluster, pending_flag),
    rule("ticker-cost", "metrics that cost throughput", Scope::Cluster, ticker_cost),
    rule("local-dir", "where the databases are", Scope::Cluster, local_dir),
];

const BACKEND: &str = "state.backend.type";
const PREFIX: &str = "state.backend.rocksdb.";
const CACHE_SIZE: &str = "state.backend.rocksdb.block.cache-size";
const USE_BLOOM: &str = "state.backend.rocksdb.use-bloom-filter";
const BLOOM_BITS: &str = "state.backend.rocksdb.bloom-filter.bits-per-key";
const BLOCK_BASED: &str = "state.backend.rocksdb.bloom-filter.block-based-mode";
const MERGE: &str = "state.backend.rocksdb.writebuffer.number-to-merge";
const PROFILE: &str = "state.backend.rocksdb.predefined-options";
const LOCAL_DIR: &str = "state.backend.rocksdb.localdir";

fn keys_on_heap(context: &Context) -> Vec<Draft> {
    let is_rocksdb = |key: &str| key.starts_with(PREFIX) && KnownKey::find(key).is_some();
    let mut keys = context.given.iter().filter(|given| is_rocksdb(&given.key));
    let Some(first) = keys.next().filter(|_| context.is_heap()) else { return Vec::new() };
    let default = if context.gives(BACKEND) { "" } else { ", its default" };
    let count = 1 + keys.count();
    let does = format!(
        "keeps state on the hashmap backend{default}, which reads none of the keys for RocksDB; there are {count}"
    );
    vec![warning(&first.name, does, format_args!("{BACKEND}: rocksdb, or leave these keys out"))]
}

fn cache_size_shared(context: &Context) -> Vec<Draft> {
    let Some((cache, _)) = context.capacities().filter(|_| context.gives(CACHE_SIZE)) else { return Vec::new() };
    let does = format!(
        "ignores it: memory of a slot is shared, which brings one block cache of {} for all states",
        rounded(cache)
    );
    let managed = "a larger taskmanager.memory.managed.size or .fraction, for a larger cache; or state.backend.rocksdb.memory.managed: false \
                   for a cache of its own for each state, which nothing bounds then";
    vec![warning(CACHE_SIZE, does, managed)]
}

fn bloom_off(context: &Context) -> Vec<Draft> {
    if !context.is_rocksdb() || context.options.use_bloom_filter {
        return Vec::new();
    }
    let given = [BLOOM_BITS, BLOCK_BASED].into_iter().filter(|key| context.gives(key));
    given
        .map(|key| {
            warning(
                key,
                "builds no bloom filter: use-bloom-filter is false, its default",
                format_args!("{USE_BLOOM}: true beside it"),
            )
        })
        .collect()
}

fn block_based_mode(context: &Context) -> Vec<Draft> {
    let is_on =
        context.is_rocksdb() && context.options.use_bloom_filter && context.options.bloom_filter_block_based_mode;
    if !is_on || context.version == FlinkVersion::V1_20 {
        return Vec::new();
    }
    let does =
        "writes full filters all the same: its RocksDB, 8.10, has no block-based ones; they were removed in version 7";
    vec![warning(BLOCK_BASED, does, "leave it out")]
}

fn bloom_bits_partitioned(context: &Context) -> Vec<Draft> {
    let options = &context.options;
    let replaced = context.pool().is_some() && options.memory_partitioned_index_filters && options.use_bloom_filter;
    if !replaced || !context.gives(BLOOM_BITS) || (options.bloom_filter_bits_per_key - 10.0).abs() < f64::EPSILON {
        return Vec::new();
    }
    let does = "replaces the filter by one of 10 bits for each key, since memory.partitioned-index-filters is true";
    vec![warning(BLOOM_BITS, does, format_args!("{BLOOM_BITS}: 10, or leave it out"))]
}

fn merge_count(context: &Context) -> Vec<Draft> {
    let (merge, count) = (context.options.writebuffer_number_to_merge, context.options.writebuffer_count);
    if !context.is_rocksdb() || merge < 2 || merge < count {
        return Vec::new();
    }
    let does = format!(
        "has RocksDB lower it to {}: of {count} write buffers one takes the writes",
        count.saturating_sub(1).max(1)
    );
    vec![error(
        MERGE,
        does,
        format_args!("{MERGE}: 1, or state.backend.rocksdb.writebuffer.count: {} or more", u32::from(merge) + 1),
    )]
}

/// What a profile alone sets.
fn profiled(profile: PredefinedOptions) -> Vec<(&'static str, String)> {
    let mut options = Options::default();
    if options.set(PROFILE, &profile.to_string()).is_err() {
        return Vec::new();
    }
    let set = OPTIONS.iter().filter(|row| row.key != PROFILE && row.get(&options) != row.default());
    set.map(|row| (row.key, row.get(&options))).collect()
}

fn profile_overridden(context: &Context) -> Vec<Draft> {
    let profile = context.options.predefined_options;
    let both = profiled(profile).into_iter().filter(|(key, _)| context.is_rocksdb() && context.gives(key));
    both.filter_map(|(key, value)| {
        let given = context.find(key)?.row()?.get(&context.options);
        let does = format!(
            "takes this value, {given}; the profile {profile} would set {value}, and an explicit key goes before it"
        );
        Some(note(key, does, format_args!("one of the two: {given} here, or nothing for {value}")))
    })
    .collect()
}

fn profile_memory(context: &Context) -> Vec<Draft> {
    let is_high = context.options.predefined_options == PredefinedOptions::SpinningDiskHighMem;
    let Some((cache, buffers)) = context.capacities().filter(|_| is_high && !context.gives(CACHE_SIZE)) else {
        return Vec::new();
    };
    let does = format!(
        "ignores the profile's block cache of 256 mb for the shared {}, and flushes its 4 x 64 mb of write buffers at {}; \
         measured with 64 mb, its blocks of 128 kb alone left a quarter of the throughput",
        rounded(cache),
        rounded(buffers)
    );
    vec![warning(PROFILE, does, "the keys that you want from it, one by one")]
}

const FILTER_CLOCK: &str = "state.backend.rocksdb.compaction.filter.query-time-after-num-entries";

fn filter_clock(context: &Context) -> Vec<Draft> {
    if !context.is_rocksdb() || !context.gives(FILTER_CLOCK) {
        return Vec::new();
    }
    let does = "asks for the time again after that many entries; its filter looks at every entry of a compaction in any case, and at \
                none outside of one";
    let write = "1000, the default; for expired state to go sooner, state.backend.rocksdb.compaction.filter.periodic-compaction-time";
    vec![note(FILTER_CLOCK, does, write)]
}

/// Native metrics that are switched on.
fn metrics_on(context: &Context) -> impl Iterator<Item = (&str, bool)> {
    context.given.iter().filter_map(|given| match given.kind {
        KeyKind::Known(KnownKey::Metric(metric)) if given.value.eq_ignore_ascii_case("true") => {
            Some((given.key.as_str(), metric.is_ticker()))
        }
        _ => None,
    })
}

fn pending_flag(context: &Context) -> Vec<Draft> {
    let flag = format!("{METRICS_PREFIX}compaction-pending");
    let is_on = metrics_on(context).any(|(key, _)| key == flag);
    if !is_on {
        return Vec::new();
    }
    let does = "reports 0 or 1, whether a compaction is pending, and no number of bytes";
    vec![warning(&flag, does, format_args!("{METRICS_PREFIX}estimate-pending-compaction-bytes: true for the bytes"))]
}

fn ticker_cost(context: &Context) -> Vec<Draft> {
    let mut tickers = metrics_on(context).filter(|(_, ticker)| *ticker);
    let Some((first, _)) = tickers.next() else { return Vec::new() };
    let others = match tickers.count() {
        0 => String::new(),
        count => format!(", as {count} more do"),
    };
    let does = format!(
        "turns RocksDB's Statistics on for it{others}; they were seen to take up to half of the read throughput"
    );
    vec![warning(
        first,
        does,
        "false but while you look into something; metrics that are properties cost next to nothing",
    )]
}

fn local_dir(context: &Context) -> Vec<Draft> {
    if !context.is_rocksdb() {
        return Vec::new();
    }
    let Some(given) = context.find(LOCAL_DIR) else {
        let does = "puts the databases into the TaskManager's temporary folders, which are often small, in memory or on the container's own layer";
        return vec![note(LOCAL_DIR, does, format_args!("{LOCAL_DIR}: a folder on a fast local disk"))];
    };
    let roots = ["/tmp", "/dev/shm", "/run"];
    let is_below = |path: &str| {
        roots.iter().any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    if !given.value.split([',', ':']).any(is_below) {
        return Vec::new();
    }
    let does = "keeps the databases there; such a folder is often in memory or small, and may be emptied at a start";
    vec![warning(LOCAL_DIR, does, format_args!("{LOCAL_DIR}: a folder on a fast local disk"))]
}

/// Bytes in the largest unit that leaves a whole number of 10 or more, as people say them.
pub(super) fn rounded(bytes: Bytes) -> String {
    let unit = [1_u64 << 30, 1 << 20, 1 << 10].into_iter().find(|unit| bytes.0 >= 10 * unit).unwrap_or(1);
    Bytes((bytes.0 + unit / 2) / unit * unit).to_string()
}
