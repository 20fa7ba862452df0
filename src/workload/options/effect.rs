//! Which options take no effect in a combination, and why.

use super::{BackendType, ChangelogPlace, CompactionStyle, KnownKey, OptionRow, Options, PoolScope, Reader};

impl Options {
    /// Keys among `given` that take no effect in this combination, each with the reason.
    pub fn without_effect<'a>(&self, given: impl IntoIterator<Item = &'a str>) -> Vec<(String, String)> {
        let why = |key: &str| match KnownKey::find(key)? {
            KnownKey::Option(row) => self.why_without_effect(row),
            KnownKey::Metric(_) if self.backend != BackendType::RocksDb => Some(NOT_ROCKSDB),
            KnownKey::Metric(metric) if metric.is_ticker() => None,
            KnownKey::Metric(_) => Some("a run reads RocksDB's properties itself"),
        };
        given.into_iter().filter_map(|key| Some((key.to_owned(), why(key)?.to_owned()))).collect()
    }

    fn why_without_effect(&self, row: &OptionRow) -> Option<&'static str> {
        let rocksdb = self.backend == BackendType::RocksDb;
        match row.reader {
            Reader::Run => None,
            Reader::TaskManager if row.key.contains("batch-shuffle") => Some("the job is a stream"),
            Reader::TaskManager if self.backend == BackendType::Null => Some("the null backend keeps nothing"),
            Reader::TaskManager if rocksdb => self.why_not_in_the_pool(row.key),
            Reader::TaskManager => self.why_not_in_the_division(row.key),
            Reader::Timers if !self.job.has_timers => Some("the workload has no timers"),
            Reader::Ttl if !self.job.has_ttl => Some("no state of the workload has a TTL"),
            Reader::Restore => self.why_restore_option_is_idle(row.key),
            Reader::Checkpoints => self.why_checkpoint_option_is_idle(row.key),
            Reader::Tracking => Some("a run times state accesses itself"),
            Reader::Job => Some("`run.parallelism` and `run.max-parallelism` say it in a workload"),
            Reader::Pool | Reader::Database | Reader::Metrics | Reader::Timers | Reader::Ttl if !rocksdb => {
                Some(NOT_ROCKSDB)
            }
            Reader::Pool => self.why_pool_option_is_idle(row.key),
            Reader::Database | Reader::Metrics | Reader::Timers | Reader::Ttl => {
                self.why_database_option_is_idle(row.key)
            }
        }
    }

    /// Whether checkpoints are taken under these options.
    fn takes_checkpoints(&self) -> bool {
        self.backend != BackendType::Null && (self.job.counts_to_checkpoints || self.checkpointing_interval.0.is_some())
    }

    fn why_checkpoint_option_is_idle(&self, key: &str) -> Option<&'static str> {
        if let Some(why) = why_no_part_of_a_run(key) {
            return Some(why);
        }
        if key.starts_with("state.changelog.") || key.starts_with("dstl.") {
            return self.why_changelog_option_is_idle(key);
        }
        let snapshots = self.takes_checkpoints() || (self.job.takes_savepoint && self.backend != BackendType::Null);
        match key {
            _ if !snapshots => Some("a run takes no checkpoints without an interval or `checkpoint.every-events`"),
            "execution.checkpointing.interval" | "execution.checkpointing.min-pause"
                if self.job.counts_to_checkpoints =>
            {
                Some("`checkpoint.every-events` says when checkpoints are taken")
            }
            "execution.checkpointing.incremental" if self.backend != BackendType::RocksDb => {
                Some("the heap backend writes all of its state in every checkpoint")
            }
            "state.backend.rocksdb.checkpoint.transfer.thread.num" if self.backend != BackendType::RocksDb => {
                Some(NOT_ROCKSDB)
            }
            "execution.checkpointing.snapshot-compression"
                if self.backend == BackendType::RocksDb && !self.job.takes_savepoint =>
            {
                Some("RocksDB's files have the compression of their levels; it counts for canonical savepoints")
            }
            "execution.checkpointing.min-pause"
            | "execution.checkpointing.timeout"
            | "execution.checkpointing.tolerable-failed-checkpoints"
            | "execution.checkpointing.num-retained"
            | "execution.checkpointing.incremental"
                if !self.takes_checkpoints() =>
            {
                Some("a savepoint is no checkpoint")
            }
            _ => None,
        }
    }

    fn why_changelog_option_is_idle(&self, key: &str) -> Option<&'static str> {
        match key {
            _ if !self.takes_checkpoints() => {
                Some("a run takes no checkpoints without an interval or `checkpoint.every-events`")
            }
            "state.changelog.enabled" => None,
            _ if !self.changelog_enabled => Some("state.changelog.enabled is not true"),
            "state.changelog.periodic-materialize.interval" if !self.changelog_materialize => {
                Some("state.changelog.periodic-materialize.enabled is false")
            }
            _ if key.starts_with("dstl.") && self.changelog_storage == ChangelogPlace::Memory => {
                Some("state.changelog.storage is memory")
            }
            _ => None,
        }
    }

    fn why_restore_option_is_idle(&self, key: &str) -> Option<&'static str> {
        match key {
            "execution.state-recovery.path" => {
                Some("`checkpoint.restore-from` or --restore-from names what a run goes on from")
            }
            "execution.state-recovery.claim-mode" if !self.job.restores => {
                Some("a run restores with `checkpoint.restore-from`")
            }
            "execution.state-recovery.claim-mode" if !self.takes_checkpoints() => {
                Some("what a run goes on from is deleted by its checkpoints, and it takes none")
            }
            "execution.state-recovery.claim-mode" => None,
            "execution.state-recovery.ignore-unclaimed-state" => {
                Some("a checkpoint of other states is of another workload, which is refused")
            }
            "execution.checkpointing.recover-without-channel-state.checkpoint-id" => {
                Some("nothing is in flight at a barrier here")
            }
            _ if self.backend != BackendType::RocksDb => Some(NOT_ROCKSDB),
            _ if !self.job.restores => {
                Some("a run restores at another parallelism only with `checkpoint.restore-from`")
            }
            _ => None,
        }
    }

    /// Of an option that divides the TaskManager's memory, for RocksDB: only the size of the pool counts.
    fn why_not_in_the_pool(&self, key: &str) -> Option<&'static str> {
        let pool = self.memory_pool();
        let fixed = self.memory_fixed_per_slot.0.is_some();
        if key == "taskmanager.numberOfTaskSlots" && pool.is_some_and(|pool| pool.scope == PoolScope::TaskManager) {
            return None;
        }
        if fixed {
            return Some("memory.fixed-per-slot replaces managed memory");
        }
        if !self.memory_managed {
            return Some("memory.managed is false");
        }
        match key {
            "taskmanager.numberOfTaskSlots" | "taskmanager.memory.managed.size" => None,
            "taskmanager.memory.managed.consumer-weights" => Some("the job has no other consumer of managed memory"),
            _ if self.managed_size.0.is_some() => Some("managed.size sets the managed memory"),
            _ => self.why_not_in_the_division(key).or(match key {
                "taskmanager.memory.process.size"
                | "taskmanager.memory.flink.size"
                | "taskmanager.memory.managed.fraction"
                | "taskmanager.memory.jvm-metaspace.size"
                | "taskmanager.memory.jvm-overhead.fraction"
                | "taskmanager.memory.jvm-overhead.min"
                | "taskmanager.memory.jvm-overhead.max" => None,
                _ => Some("it changes the heap, not the managed memory"),
            }),
        }
    }

    /// Of an option that another one of the division makes idle.
    fn why_not_in_the_division(&self, key: &str) -> Option<&'static str> {
        let parts = self.task_heap_size.0.is_some() && self.managed_size.0.is_some();
        match key {
            "taskmanager.memory.framework.heap.size" if self.task_heap_size.0.is_none() => {
                Some("the task heap is what it leaves, so the heap stays as large")
            }
            "taskmanager.memory.managed.fraction" if self.managed_size.0.is_some() => {
                Some("managed.size goes before it")
            }
            "taskmanager.memory.managed.consumer-weights" => Some("the heap backend uses no managed memory"),
            "taskmanager.memory.process.size" if self.flink_size.0.is_some() => Some("flink.size goes before it"),
            "taskmanager.memory.process.size" if parts => Some("task heap and managed memory are both given"),
            "taskmanager.memory.network.fraction" if self.task_heap_size.0.is_some() && !parts => {
                Some("task.heap.size is given, so the network gets what is left")
            }
            "taskmanager.memory.jvm-metaspace.size"
            | "taskmanager.memory.jvm-overhead.fraction"
            | "taskmanager.memory.jvm-overhead.min"
            | "taskmanager.memory.jvm-overhead.max"
                if self.flink_size.0.is_some() || parts =>
            {
                Some("Flink memory does not follow from the process's")
            }
            _ => None,
        }
    }

    fn why_pool_option_is_idle(&self, key: &str) -> Option<&'static str> {
        let fixed = self.memory_fixed_per_slot.0.is_some();
        match key {
            "state.backend.rocksdb.memory.managed" | "state.backend.rocksdb.memory.fixed-per-tm" if fixed => {
                Some("memory.fixed-per-slot goes before it")
            }
            "state.backend.rocksdb.memory.fixed-per-tm" if self.memory_managed => {
                Some("memory.managed is true, which goes before it")
            }
            "state.backend.rocksdb.memory.write-buffer-ratio"
            | "state.backend.rocksdb.memory.high-prio-pool-ratio"
            | "state.backend.rocksdb.memory.partitioned-index-filters"
                if !self.shares_memory() =>
            {
                Some("memory is not shared (memory.managed is false and neither fixed size is set)")
            }
            _ => None,
        }
    }

    fn why_database_option_is_idle(&self, key: &str) -> Option<&'static str> {
        let partitioned = self.shares_memory() && self.memory_partitioned_index_filters;
        match key.strip_prefix("state.backend.rocksdb.")? {
            "block.cache-size" if self.shares_memory() => {
                Some("memory is shared (memory.managed or a fixed size), which brings its own cache")
            }
            "bloom-filter.bits-per-key" | "bloom-filter.block-based-mode" if !self.use_bloom_filter => {
                Some("use-bloom-filter is not true")
            }
            "bloom-filter.bits-per-key" if partitioned => {
                Some("memory.partitioned-index-filters replaces the filter by one of 10 bits")
            }
            "bloom-filter.block-based-mode" => Some("RocksDB has no block-based filters since version 7"),
            "block.metadata-blocksize" if !partitioned => Some("index and filters are not partitioned"),
            "compaction.level.use-dynamic-size" | "compaction.level.max-size-level-base"
                if self.compaction_style != CompactionStyle::Level =>
            {
                Some("the compaction style is not LEVEL")
            }
            option if option.starts_with("manual-compaction.") && !option.ends_with("min-interval") => {
                Some("manual-compaction.min-interval is 0, so there is none")
            }
            _ => None,
        }
    }
}

/// Of an option of checkpoints that stands for something that a run does not have.
fn why_no_part_of_a_run(key: &str) -> Option<&'static str> {
    match key.strip_prefix("execution.checkpointing.")? {
        "interval-during-backlog" => Some("the source never has a backlog"),
        "storage" | "dir" | "savepoint-dir" => Some(
            "a run writes where `checkpoint.dir` and `checkpoint.savepoint.dir` say: this may be the directory of a job in \
             production",
        ),
        "mode"
        | "unaligned.forced"
        | "unaligned.interruptible-timers.enabled"
        | "aligned-checkpoint-timeout"
        | "unaligned.max-subtasks-per-channel-state-file" => {
            Some("barriers never wait here: all subtasks come to the end of a round together")
        }
        "max-concurrent-checkpoints" => Some("a run takes one checkpoint at a time"),
        "externalized-checkpoint-retention" => Some("checkpoints in `checkpoint.dir` are kept, others are not"),
        "checkpoints-after-tasks-finish" => Some("all subtasks finish together"),
        "cleaner.parallel-mode" => Some("old checkpoints are deleted by the thread that completes a new one"),
        "write-buffer-size" => Some("streams are written in pieces of 64 kb and more"),
        option if option.starts_with("local-backup.") => Some("a run has no local recovery"),
        option if option.starts_with("file-merging.") => Some("merging of checkpoint files is not built"),
        _ => None,
    }
}

const NOT_ROCKSDB: &str = "the backend is not rocksdb";

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(settings: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut options = Options::default();
        settings.iter().for_each(|(key, value)| options.set(key, value).unwrap());
        options.without_effect(settings.iter().map(|(key, _)| *key))
    }

    #[test]
    fn options_without_effect_are_told() {
        let found = idle(&[
            ("state.backend.type", "rocksdb"),
            ("state.backend.rocksdb.block.cache-size", "256mb"),
            ("state.backend.rocksdb.bloom-filter.bits-per-key", "12"),
            ("state.backend.rocksdb.writebuffer.size", "32mb"),
            ("state.backend.rocksdb.memory.fixed-per-tm", "32mb"),
            ("state.backend.rocksdb.metrics.estimate-num-keys", "true"),
            ("state.backend.rocksdb.metrics.block-cache-hit", "true"),
            ("state.backend.rocksdb.timer-service.factory", "HEAP"),
            ("taskmanager.memory.managed.size", "64mb"),
            ("taskmanager.memory.managed.fraction", "0.5"),
        ]);
        let keys: Vec<_> =
            found.iter().map(|(key, _)| key.rsplit_once("rocksdb.").map_or(key.as_str(), |k| k.1)).collect();
        assert_eq!(
            keys,
            [
                "block.cache-size",
                "bloom-filter.bits-per-key",
                "memory.fixed-per-tm",
                "metrics.estimate-num-keys",
                "timer-service.factory",
                "taskmanager.memory.managed.fraction"
            ]
        );
    }

    #[test]
    fn the_heap_heeds_what_decides_over_the_heap() {
        let found = idle(&[
            ("taskmanager.memory.process.size", "4g"),
            ("taskmanager.memory.managed.fraction", "0"),
            ("taskmanager.numberOfTaskSlots", "2"),
            ("state.backend.rocksdb.thread.num", "4"),
        ]);
        assert_eq!(found, [("state.backend.rocksdb.thread.num".to_owned(), NOT_ROCKSDB.to_owned())]);
    }

    #[test]
    fn rocksdb_heeds_a_process_size_only_through_the_fraction() {
        let settings = [("state.backend.type", "rocksdb"), ("taskmanager.memory.process.size", "4g")];
        assert_eq!(idle(&settings), []);
        let with_size = [settings[0], settings[1], ("taskmanager.memory.managed.size", "64mb")];
        assert_eq!(idle(&with_size)[0].1, "managed.size sets the managed memory");
    }
}
