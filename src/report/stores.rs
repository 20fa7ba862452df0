//! What a reader must know of the RocksDB stores of a result: budgets that were passed, regimes, and why.

use super::summary::natural;
use super::table::with_unit;
use crate::result::{Measurement, RunResult, StoreBudget, StoreMemory, StoreShape, Trial, Unit};
use crate::workload::pool_that_keeps;

fn dash() -> String {
    "-".to_owned()
}

fn bytes(bytes: u64) -> String {
    with_unit(bytes as f64, Unit::Bytes)
}

/// The trials of one workload and configuration with a store.
struct Store<'a> {
    name: String,
    options: &'a std::collections::BTreeMap<String, String>,
    measured: Vec<&'a Measurement>,
    companion: Option<&'a Measurement>,
}

/// Columns of the table of memory: what was given, how it was divided, what was used.
pub(super) const MEMORY_HEADER: [&str; 12] = [
    "RocksDB memory",
    "budget",
    "cache",
    "write buffers",
    "high prio",
    "shard",
    "used",
    "passed",
    "pinned",
    "memtables",
    "index, filter",
    "resident",
];

/// The rows of the table of memory, by configuration.
pub(super) fn memory_rows(result: &RunResult) -> Vec<Vec<String>> {
    stores(result).iter().filter_map(Store::memory_row).collect()
}

/// What there is to know of regimes, a line each, by configuration.
pub(super) fn notes(result: &RunResult) -> Vec<String> {
    stores(result).iter().flat_map(Store::regime_lines).collect()
}

fn stores(result: &RunResult) -> Vec<Store<'_>> {
    let mut keys: Vec<(usize, &str)> = Vec::new();
    let mut all: Vec<Store<'_>> = Vec::new();
    for (trial, measurement) in result.all_finished().filter(|(_, measurement)| measurement.store_memory.is_some()) {
        let key = (trial.variant, trial.configuration.as_str());
        let position = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            keys.push(key);
            all.push(Store { name: name(result, trial), options: &trial.options, measured: vec![], companion: None });
            keys.len() - 1
        });
        if trial.companion {
            all[position].companion = Some(measurement);
        } else {
            all[position].measured.push(measurement);
        }
    }
    all.sort_by_cached_key(|store| natural(&store.name));
    all
}

fn name(result: &RunResult, trial: &Trial) -> String {
    let label = result.variant_label(trial.variant);
    format!("{label} {}", trial.configuration).trim().to_owned()
}

impl Store<'_> {
    /// Budget, division and use of the trial that used most, as cells of [`MEMORY_HEADER`].
    fn memory_row(&self) -> Option<Vec<String>> {
        let used = |m: &&Measurement| m.store_memory.as_ref().map_or(0, |memory| memory.peak.total_bytes());
        let measurement = self.measured.iter().copied().max_by_key(used)?;
        let StoreMemory { budget, peak, .. } = measurement.store_memory.as_ref()?;
        let given = |figure: fn(&StoreBudget) -> u64| budget.as_ref().map_or_else(dash, |budget| bytes(figure(budget)));
        let over = budget.map_or(0, |budget| peak.total_bytes().saturating_sub(budget.pool_bytes));
        Some(vec![
            self.name.clone(),
            given(|budget| budget.pool_bytes),
            given(|budget| budget.cache_bytes),
            given(|budget| budget.write_buffer_bytes),
            given(|budget| budget.high_priority_bytes),
            given(|budget| budget.cache_shard_bytes),
            bytes(peak.total_bytes()),
            if over > 0 { format!("by {}", bytes(over)) } else { "no".to_owned() },
            bytes(peak.cache_pinned_bytes),
            bytes(peak.memtable_bytes),
            Self::cached(measurement, &["IndexBlock", "FilterBlock", "FilterMetaBlock"]),
            measurement.resident_peak_bytes.map_or_else(dash, bytes),
        ])
    }

    /// What the cache held of these roles at the end.
    fn cached(measurement: &Measurement, roles: &[&str]) -> String {
        let of = |shape: &StoreShape| {
            let held = shape.cached.iter().filter(|cached| roles.contains(&cached.role.as_str()));
            bytes(held.map(|cached| cached.bytes).sum())
        };
        measurement.store_shape.as_ref().map_or_else(dash, of)
    }

    /// Says where runs were slow, how many, why, and what ends it.
    fn regime_lines(&self) -> Vec<String> {
        let slow = self.measured.iter().filter(|measurement| measurement.is_slow()).count();
        let all = self.measured.len();
        if slow == 0 {
            return Vec::new();
        }
        let regime = if slow == all { "slow" } else { "bimodal" };
        let mut lines = vec![format!(
            "regime {}: {regime}, {slow} of {all} runs slow (more than 1 % of events over 300 µs)",
            self.name
        )];
        lines.extend(self.index_line());
        lines
    }

    /// Whether index blocks that do not stay in the cache are the cause, by the counters of the companion.
    fn index_line(&self) -> Option<String> {
        let companion = self.companion?;
        let counters = companion.store_counters?;
        let reads = counters.index_reads_per_lookup()?;
        let memory = companion.store_memory.as_ref()?;
        let how = format!(
            "{} index reads for each lookup, {} of index read for each (companion run{})",
            with_unit(reads, Unit::Factor),
            bytes(counters.index_read_bytes / counters.index_misses.max(1)),
            if companion.is_slow() { ", slow too" } else { ", itself calm" }
        );
        let partitioned = self.options.get("state.backend.rocksdb.memory.partitioned-index-filters");
        if !counters.reads_index_often() || partitioned.is_some_and(|value| value == "true") {
            return Some(format!("  not the index: {how}"));
        }
        let budget = memory.budget?;
        let ratio = self.options.get("state.backend.rocksdb.memory.write-buffer-ratio")?.parse().ok()?;
        let largest = companion.store_shape.as_ref()?.largest_index_bytes();
        Some(format!(
            "  the index: {how}; an index block of about {} shares a cache shard of {} with the pinned entries that write \
             buffers are charged by. Way out: state.backend.rocksdb.memory.partitioned-index-filters: true, or a pool of \
             about {} (modelled)",
            bytes(largest),
            bytes(budget.cache_shard_bytes),
            bytes(pool_that_keeps(largest, ratio))
        ))
    }
}
