//! RocksDB's native metrics, which Flink reports where their switch is on: `state.backend.rocksdb.metrics.*`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What the keys of the switches begin with.
pub const METRICS_PREFIX: &str = "state.backend.rocksdb.metrics.";

/// One native metric.
#[derive(Debug, PartialEq, Eq)]
pub struct NativeMetric {
    /// The end of its key.
    pub name: &'static str,
    /// The name under which Flink reports a counter of RocksDB's Statistics, which cost read throughput; none of a property.
    ticker: Option<&'static str>,
    /// What it really is.
    pub about: &'static str,
    /// Where a measurement of a result has it; empty where it has not.
    pub figure: &'static str,
}

impl NativeMetric {
    /// Whether RocksDB counts it in its Statistics rather than telling a property.
    pub fn is_ticker(&self) -> bool {
        self.ticker.is_some()
    }

    /// The name under which Flink reports it, for each database or column family.
    pub fn reported_as(&self) -> String {
        format!("rocksdb.{}", self.ticker.unwrap_or(self.name))
    }

    /// The key of its switch.
    pub fn key(&self) -> String {
        format!("{METRICS_PREFIX}{}", self.name)
    }
}

const fn property(name: &'static str, about: &'static str, figure: &'static str) -> NativeMetric {
    NativeMetric { name, ticker: None, about, figure }
}
const fn ticker(name: &'static str, reported: &'static str, about: &'static str, figure: &'static str) -> NativeMetric {
    NativeMetric { name, ticker: Some(reported), about, figure }
}

/// Flink's `RocksDBNativeMetricOptions`.
static METRICS: [NativeMetric; 39] = [
    property("num-immutable-mem-table", "write buffers that are full and not yet flushed", ""),
    property(
        "mem-table-flush-pending",
        "0 or 1: whether a write buffer waits for its flush",
        "timeline.intervals.store.flush_pending, summed over column families",
    ),
    property(
        "compaction-pending",
        "0 or 1: whether a compaction is due; no number of bytes",
        "timeline.intervals.store.compaction_pending, summed over column families",
    ),
    property("background-errors", "errors of flushes and compactions since the database was opened", ""),
    property("cur-size-active-mem-table", "bytes of the write buffer that takes the writes", ""),
    property("cur-size-all-mem-tables", "bytes of write buffers that are not flushed", "store_memory.*.memtable_bytes"),
    property("size-all-mem-tables", "the same with flushed ones that an iterator still reads", ""),
    property("num-entries-active-mem-table", "entries of the write buffer that takes the writes", ""),
    property("num-entries-imm-mem-tables", "entries of full write buffers", ""),
    property("num-deletes-active-mem-table", "deletes among the first", ""),
    property("num-deletes-imm-mem-tables", "deletes among the second", ""),
    property(
        "estimate-num-keys",
        "puts and merges less deletes: too many where keys are overwritten, too few where they are deleted twice",
        "timeline.intervals.store.estimated_keys",
    ),
    property(
        "estimate-table-readers-mem",
        "memory of table readers outside of the block cache",
        "store_memory.*.table_reader_bytes",
    ),
    property("num-snapshots", "snapshots that somebody holds", ""),
    property("num-live-versions", "versions of the tree that somebody reads", ""),
    property(
        "estimate-live-data-size",
        "bytes without what is overwritten or deleted, as a sum over files tells",
        "timeline.intervals.store.live_data_bytes",
    ),
    property(
        "total-sst-files-size",
        "bytes of all table files, those included that only an old version has",
        "timeline.intervals.store.table_file_bytes",
    ),
    property("live-sst-files-size", "bytes of the table files of the present version", "store_shape.levels.bytes"),
    property(
        "estimate-pending-compaction-bytes",
        "bytes that compactions have still to rewrite: the amount that compaction-pending is not",
        "timeline.intervals.store.pending_compaction_bytes",
    ),
    property("num-running-compactions", "compactions under way", "timeline.intervals.store.running_compactions"),
    property("num-running-flushes", "flushes under way", "timeline.intervals.store.running_flushes"),
    property(
        "actual-delayed-write-rate",
        "the rate that writes are slowed down to, bytes/s; 0 where they are not slowed down",
        "timeline.intervals.store.delayed_write_rate_bytes_per_s",
    ),
    property(
        "is-write-stopped",
        "0 or 1: whether writes wait",
        "timeline.intervals.store.write_stopped, summed over databases",
    ),
    property(
        "block-cache-capacity",
        "capacity of the block cache; that of the slot, told again by each column family: no sum",
        "store_memory.budget.cache_bytes",
    ),
    property(
        "block-cache-usage",
        "bytes in it, write buffers' charge included; that of the slot too",
        "store_memory.*.cache_bytes",
    ),
    property(
        "block-cache-pinned-usage",
        "bytes in it that cannot go; that of the slot too",
        "store_memory.*.cache_pinned_bytes",
    ),
    property(
        "num-files-at-level",
        "table files of each level, a metric for each (…level0 to …level6)",
        "store_shape.levels.files",
    ),
    property("column-family-as-variable", "no metric: makes the column family a variable of the others", ""),
    ticker(
        "block-cache-hit",
        "block_cache_hit",
        "blocks found in the cache: of data, index and filters together",
        "store_counters.data_hits, index_hits, filter_hits",
    ),
    ticker(
        "block-cache-miss",
        "block_cache_miss",
        "blocks read from files, of all three",
        "store_counters.data_misses, index_misses, filter_misses",
    ),
    ticker(
        "bloom-filter-useful",
        "bloom_filter_useful",
        "files that a filter ruled out",
        "store_counters.bloom_useful",
    ),
    ticker("bloom-filter-full-positive", "bloom_filter_full_positive", "files that it did not rule out", ""),
    ticker("bloom-filter-full-true-positive", "bloom_filter_full_true_positive", "those of them that had the key", ""),
    ticker("bytes-read", "bytes_read", "bytes of keys and values that lookups returned", ""),
    ticker("iter-bytes-read", "iter_bytes_read", "the same of iterators", ""),
    ticker("bytes-written", "bytes_written", "bytes that the job wrote", "store_counters.written_bytes"),
    ticker(
        "compaction-read-bytes",
        "compact_read_bytes",
        "bytes that compactions read",
        "store_counters.compaction_read_bytes",
    ),
    ticker(
        "compaction-write-bytes",
        "compact_write_bytes",
        "bytes that compactions wrote",
        "store_counters.compaction_write_bytes",
    ),
    ticker("stall-micros", "stall_micros", "time that writers were held back, µs", "store_counters.stall_us"),
];

/// The metric whose switch has this key.
pub fn native_metric(key: &str) -> Option<&'static NativeMetric> {
    let name = key.strip_prefix(METRICS_PREFIX)?;
    METRICS.iter().find(|metric| metric.name == name)
}

/// Every native metric.
pub fn native_metrics() -> impl Iterator<Item = &'static NativeMetric> {
    METRICS.iter()
}

/// The metrics whose switch is on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NativeMetrics(BTreeSet<String>);

impl NativeMetrics {
    /// Turns one on or off.
    pub(super) fn switch(&mut self, metric: &NativeMetric, on: bool) {
        if on {
            self.0.insert(metric.name.to_owned());
        } else {
            self.0.remove(metric.name);
        }
    }

    /// Those that are on.
    pub fn on(&self) -> impl Iterator<Item = &'static NativeMetric> {
        METRICS.iter().filter(|metric| self.0.contains(metric.name))
    }

    /// Whether one of them makes RocksDB count.
    pub fn need_statistics(&self) -> bool {
        self.on().any(NativeMetric::is_ticker)
    }
}
