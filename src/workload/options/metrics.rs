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
    /// Whether RocksDB counts it in its Statistics, which cost read throughput, rather than telling a property.
    pub ticker: bool,
}

impl NativeMetric {
    /// The key of its switch.
    pub fn key(&self) -> String {
        format!("{METRICS_PREFIX}{}", self.name)
    }
}

const fn property(name: &'static str) -> NativeMetric {
    NativeMetric { name, ticker: false }
}
const fn ticker(name: &'static str) -> NativeMetric {
    NativeMetric { name, ticker: true }
}

/// Flink's `RocksDBNativeMetricOptions`.
static METRICS: [NativeMetric; 39] = [
    property("num-immutable-mem-table"),
    property("mem-table-flush-pending"),
    property("compaction-pending"),
    property("background-errors"),
    property("cur-size-active-mem-table"),
    property("cur-size-all-mem-tables"),
    property("size-all-mem-tables"),
    property("num-entries-active-mem-table"),
    property("num-entries-imm-mem-tables"),
    property("num-deletes-active-mem-table"),
    property("num-deletes-imm-mem-tables"),
    property("estimate-num-keys"),
    property("estimate-table-readers-mem"),
    property("num-snapshots"),
    property("num-live-versions"),
    property("estimate-live-data-size"),
    property("total-sst-files-size"),
    property("live-sst-files-size"),
    property("estimate-pending-compaction-bytes"),
    property("num-running-compactions"),
    property("num-running-flushes"),
    property("actual-delayed-write-rate"),
    property("is-write-stopped"),
    property("block-cache-capacity"),
    property("block-cache-usage"),
    property("block-cache-pinned-usage"),
    property("num-files-at-level"),
    property("column-family-as-variable"),
    ticker("block-cache-hit"),
    ticker("block-cache-miss"),
    ticker("bloom-filter-useful"),
    ticker("bloom-filter-full-positive"),
    ticker("bloom-filter-full-true-positive"),
    ticker("bytes-read"),
    ticker("iter-bytes-read"),
    ticker("bytes-written"),
    ticker("compaction-read-bytes"),
    ticker("compaction-write-bytes"),
    ticker("stall-micros"),
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
        self.on().any(|metric| metric.ticker)
    }
}
