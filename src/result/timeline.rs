//! The measured part over time: what each interval did, and what went on in the store meanwhile.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{StoreCounters, StoreUse};
use crate::statistics::median;

/// Buckets of a heat column in each doubling of latency.
const BUCKETS_PER_DOUBLING: f64 = 4.0;

/// What a trial looked like over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeline {
    /// Length of an interval on the wall, ms: 100, doubled as often as it takes to have no more than 256 of them.
    pub interval_ms: u64,
    /// The intervals from the beginning of the measured part on, without gaps. Events count where their batch began, so an
    /// interval with a long stall has the busy time of several, and those behind it have no events.
    pub intervals: Vec<Interval>,
    /// Checkpoints, flushes, compactions and stalls, by their begin.
    pub episodes: Vec<Episode>,
    /// Episodes that are not listed, because there were too many.
    #[serde(default)]
    pub unlisted_episodes: u64,
}

/// What happened in one interval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Events of all subtasks.
    pub events: u64,
    /// Time that the busiest subtask spent on its events, ns.
    pub busy_ns: u64,
    /// Median latency of the timed events, in an open loop of their response times, ns; a percentile is absent where fewer than ten lie beyond it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ns: Option<u64>,
    /// Their 99th percentile, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<u64>,
    /// The longest of them, ns; 0 where none was timed.
    pub max_ns: u64,
    /// A column of the heat map: buckets of latency with the timed events in them, in order; [`heat_bounds_ns`] tells what a
    /// bucket covers.
    pub heat: Vec<(u8, u32)>,
    /// Resident memory of the trial's process at the end of the interval, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// The RocksDB databases at the end of the interval; none where they were not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreSample>,
}

/// What the RocksDB databases of a trial told at one moment, summed over them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSample {
    /// Memory.
    pub used: StoreUse,
    /// Table files in level 0.
    pub level0_files: u64,
    /// Bytes that compactions have still to rewrite (`rocksdb.estimate-pending-compaction-bytes`).
    pub pending_compaction_bytes: u64,
    /// The rate that writes are slowed down to (`rocksdb.actual-delayed-write-rate`), bytes a second; 0 where they are not.
    pub delayed_write_rate_bytes_per_s: u64,
    /// Databases whose writes are stopped (`rocksdb.is-write-stopped`).
    pub write_stopped: u64,
    /// Column families whose memtable waits for its flush (`rocksdb.mem-table-flush-pending`).
    pub flush_pending: u64,
    /// Column families for which a compaction is due (`rocksdb.compaction-pending`, 0 or 1 each).
    pub compaction_pending: u64,
    /// Flushes under way.
    pub running_flushes: u64,
    /// Compactions under way.
    pub running_compactions: u64,
    /// Keys, as RocksDB estimates them (`rocksdb.estimate-num-keys`).
    pub estimated_keys: u64,
    /// Size of the live data, as RocksDB estimates it (`rocksdb.estimate-live-data-size`), bytes.
    pub live_data_bytes: u64,
    /// Size of the table files (`rocksdb.live-sst-files-size`), bytes.
    pub table_file_bytes: u64,
    /// What was counted in this interval; only where RocksDB counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<StoreCounters>,
}

/// Something that went on for a while beside the events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Episode {
    /// What it was.
    pub kind: EpisodeKind,
    /// The subtask whose store it was in; none for a checkpoint, which is of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtask: Option<u16>,
    /// Its begin since the measured part began, ms.
    pub begin_ms: f64,
    /// Its end, ms.
    pub end_ms: f64,
    /// Bytes that it wrote; none of a stall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// More about it in RocksDB's words: the column family, the levels, the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What goes on beside the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EpisodeKind {
    /// A checkpoint, from its trigger to its end.
    Checkpoint,
    /// A memtable is written to a table file.
    Flush,
    /// Table files are merged.
    Compaction,
    /// Writes are slowed down.
    Delayed,
    /// Writes are stopped.
    Stopped,
    /// A hash table of the heap grows: entries move to a larger array of buckets, some with each access.
    Rehash,
}

impl EpisodeKind {
    /// All of them, in the order of their lanes in a chart.
    pub const ALL: [Self; 6] =
        [Self::Checkpoint, Self::Flush, Self::Compaction, Self::Delayed, Self::Stopped, Self::Rehash];

    /// Its name in tables and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Flush => "flush",
            Self::Compaction => "compaction",
            Self::Delayed => "writes delayed",
            Self::Stopped => "writes stopped",
            Self::Rehash => "rehash",
        }
    }
}

impl StoreSample {
    /// Size of the table files over that of the live data, both RocksDB's own figures; none where there are no files.
    pub fn space_amplification(&self) -> Option<f64> {
        (self.live_data_bytes > 0).then(|| self.table_file_bytes as f64 / self.live_data_bytes as f64)
    }

    /// Adds what another database told; `used` is added by who knows whether they share a cache.
    pub fn add(&mut self, other: &Self, used: &StoreUse) {
        self.used.add(used);
        self.level0_files += other.level0_files;
        self.pending_compaction_bytes += other.pending_compaction_bytes;
        self.delayed_write_rate_bytes_per_s += other.delayed_write_rate_bytes_per_s;
        self.write_stopped += other.write_stopped;
        self.flush_pending += other.flush_pending;
        self.compaction_pending += other.compaction_pending;
        self.running_flushes += other.running_flushes;
        self.running_compactions += other.running_compactions;
        self.estimated_keys += other.estimated_keys;
        self.live_data_bytes += other.live_data_bytes;
        self.table_file_bytes += other.table_file_bytes;
        if let Some(counted) = &other.counters {
            self.counters = Some(self.counters.map_or(*counted, |sum| sum.plus(counted)));
        }
    }
}

impl Timeline {
    /// Median of the intervals' throughputs, 1/s: what the trial did in a typical tenth of a second, whatever stalls took from a
    /// few of them. None where nothing ended in any.
    pub fn typical_throughput_events_per_s(&self) -> Option<f64> {
        let rates: Vec<_> = self.intervals.iter().filter_map(Interval::throughput_events_per_s).collect();
        median(&rates)
    }
}

impl Interval {
    /// Events over the time of the busiest subtask, 1/s; none where nothing ended in it.
    pub fn throughput_events_per_s(&self) -> Option<f64> {
        (self.events > 0 && self.busy_ns > 0).then(|| self.events as f64 / (self.busy_ns as f64 / 1e9))
    }
}

/// The heat bucket of a latency, ns: four to each doubling, so about 19 % wide.
pub fn heat_bucket(latency_ns: u64) -> u8 {
    ((latency_ns.max(1) as f64).log2() * BUCKETS_PER_DOUBLING) as u8
}

/// The latencies that a heat bucket covers, ns: from the first on, below the second.
pub fn heat_bounds_ns(bucket: u8) -> (f64, f64) {
    let bound = |bucket: f64| (bucket / BUCKETS_PER_DOUBLING).exp2();
    (bound(f64::from(bucket)), bound(f64::from(bucket) + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_lies_within_its_bucket() {
        for latency in [1, 2, 3, 7, 100, 999, 1_000_000, 3_600_000_000_000] {
            let (from, to) = heat_bounds_ns(heat_bucket(latency));
            assert!(
                from <= latency as f64 * 1.000_001 && (latency as f64) < to * 1.000_001,
                "{latency}: {from} to {to}"
            );
        }
    }
}
