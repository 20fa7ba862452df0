//! The options of a configuration: Flink's own keys with Flink's own values, one table row each.
//!
//! The table holds every option of Flink 1.20 and 2.3 that touches state. Who reads an option ([`Reader`]) decides
//! whether it takes effect in a run: what a run has none of (timers, state with a TTL, a restore) reads nothing, here as
//! in Flink.

mod effect;
mod memory;
mod metrics;
mod profile;
mod shape;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Bytes, Invalid, Time, nearest};

pub use memory::{
    MemoryPool, PoolScope, TaskManagerMemory, cache_shards, divide_pool, index_eviction_chance, index_may_fall_off,
    pool_that_keeps,
};
pub use metrics::{METRICS_PREFIX, NativeMetric, NativeMetrics, native_metric, native_metrics};
use value::OptionValue;
pub use value::{
    BackendType, ChangelogPlace, CheckpointStorage, CheckpointingMode, ClaimMode, CompactionStyle, Compression,
    Compressions, Fraction, LocalDir, LogLevel, Maybe, NoTime, PredefinedOptions, Retention, Share, Text,
    TimerServiceFactory, Weights,
};

/// A version of Flink whose configuration statebench reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlinkVersion {
    /// 1.20, the last of the 1.x line.
    V1_20,
    /// 2.3.
    V2_3,
}

impl fmt::Display for FlinkVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_20 => "1.20",
            Self::V2_3 => "2.3",
        })
    }
}

impl FromStr for FlinkVersion {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::V1_20, Self::V2_3];
        let named = all.into_iter().find(|version| version.to_string() == text);
        named.ok_or_else(|| format!("`{text}` is not a version that statebench knows; those are 1.20 and 2.3"))
    }
}

/// The versions of Flink that know an option by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// 1.20 and 2.3.
    Both,
    /// 2.3 only.
    Only2_3,
}

impl Versions {
    /// Whether this version knows the option.
    pub fn has(self, version: FlinkVersion) -> bool {
        self == Self::Both || version == FlinkVersion::V2_3
    }
}

/// What the job of a workload has that not every job has, and that options can have an effect on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct JobShape {
    /// A state has a TTL.
    pub has_ttl: bool,
    /// An operator has timers.
    pub has_timers: bool,
    /// Checkpoints are triggered by a number of events.
    pub counts_to_checkpoints: bool,
    /// A savepoint is taken.
    pub takes_savepoint: bool,
    /// The run goes on from a checkpoint.
    pub restores: bool,
}

/// Who reads an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The run itself: which backend there is.
    Run,
    /// A RocksDB database, when it is opened.
    Database,
    /// The memory that RocksDB databases share.
    Pool,
    /// The division of the TaskManager's memory.
    TaskManager,
    /// RocksDB's counters.
    Metrics,
    /// Timers.
    Timers,
    /// State with a TTL.
    Ttl,
    /// Checkpoints and savepoints while they are made.
    Checkpoints,
    /// A restore from a checkpoint or savepoint.
    Restore,
    /// Flink's own latency and size tracking.
    Tracking,
    /// What decides over subtasks and key groups in a job.
    Job,
}

/// One row of the option table.
pub struct OptionRow {
    /// Flink's key.
    pub key: &'static str,
    /// Older names that Flink still reads.
    pub aliases: &'static [&'static str],
    /// What values are allowed.
    pub allowed: &'static str,
    /// What the option does, in a line.
    pub about: &'static str,
    /// What it sets in RocksDB, or which part of Flink it steers.
    pub sets: &'static str,
    /// Who reads it.
    pub reader: Reader,
    /// The versions of Flink that know it.
    pub versions: Versions,
    set: fn(&mut Options, &str) -> bool,
    get: fn(&Options) -> String,
}

impl OptionRow {
    /// Flink's default, as text; `none` where there is none.
    pub fn default(&self) -> String {
        (self.get)(&Options::default())
    }

    /// The value in `options`, as text.
    pub fn get(&self, options: &Options) -> String {
        (self.get)(options)
    }

    /// The name that a version of Flink gives the option. 1.20 already has the names of 2.x.
    pub fn key_in(&self, _: FlinkVersion) -> &'static str {
        self.key
    }
}

macro_rules! option_table {
    ($($reader:ident { $(
        $key:literal $([$($alias:literal),*])? $($only:ident)?, $field:ident: $type:ty = $default:expr, $about:literal, $sets:literal;
    )* })*) => {
        /// The options of one configuration, each with Flink's default where it is not set.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct Options {
            $($(#[doc = $about] pub $field: $type,)*)*
            /// RocksDB's native metrics that are switched on.
            pub native_metrics: NativeMetrics,
            /// What the job has that options can have an effect on.
            pub job: JobShape,
            /// The keys that were set, by the names of the table.
            explicit: BTreeSet<String>,
        }

        impl Default for Options {
            fn default() -> Self {
                Self { $($($field: $default,)*)* native_metrics: NativeMetrics::default(), job: JobShape::default(), explicit: BTreeSet::new() }
            }
        }

        /// Every option but the switches of RocksDB's native metrics, which have names of their own.
        pub static OPTIONS: &[OptionRow] = &[$($(OptionRow {
            key: $key,
            aliases: &[$($($alias),*)?],
            allowed: <$type as OptionValue>::ALLOWED,
            about: $about,
            sets: $sets,
            reader: Reader::$reader,
            versions: option_table!(@versions $($only)?),
            set: |options, text| match <$type as OptionValue>::parse(text) {
                Some(value) => { options.$field = value; true }
                None => false,
            },
            get: |options| options.$field.to_string(),
        },)*)*];
    };
    (@versions) => { Versions::Both };
    (@versions $only:ident) => { Versions::$only };
}
option_table! {
    Run {
        "state.backend.type" ["state.backend"], backend: BackendType = BackendType::HashMap,
            "The state backend", "which keyed state backend a subtask opens";
    }
    TaskManager {
        "taskmanager.memory.process.size", process_size: Maybe<Bytes> = Maybe(None),
            "Total memory of a TaskManager process; 1728 mb, as Flink's shipped configuration has it, where no total is set",
            "the division of memory";
        "taskmanager.memory.flink.size", flink_size: Maybe<Bytes> = Maybe(None),
            "The process's memory without metaspace and JVM overhead", "the division of memory";
        "taskmanager.memory.framework.heap.size", framework_heap_size: Bytes = Bytes(128 << 20),
            "Heap of the framework", "part of -Xmx";
        "taskmanager.memory.framework.off-heap.size", framework_off_heap_size: Bytes = Bytes(128 << 20),
            "Off-heap memory of the framework", "the division of memory";
        "taskmanager.memory.task.heap.size", task_heap_size: Maybe<Bytes> = Maybe(None),
            "Heap of operators and heap state; what the rest leaves where it is not set", "part of -Xmx";
        "taskmanager.memory.task.off-heap.size", task_off_heap_size: Bytes = Bytes(0),
            "Off-heap memory of operators", "the division of memory";
        "taskmanager.memory.managed.size", managed_size: Maybe<Bytes> = Maybe(None),
            "Managed memory of a TaskManager", "the memory that RocksDB shares";
        "taskmanager.memory.managed.fraction", managed_fraction: Fraction = Fraction(0.4),
            "Managed memory as a fraction of Flink memory, where its size is not set", "the memory that RocksDB shares";
        "taskmanager.memory.managed.consumer-weights", consumer_weights: Weights = Weights("OPERATOR:70,STATE_BACKEND:70,PYTHON:30".to_owned()),
            "How a slot's managed memory is divided over those who use it", "the memory that RocksDB shares";
        "taskmanager.memory.framework.off-heap.batch-shuffle.size", batch_shuffle_size: Bytes = Bytes(64 << 20),
            "Part of the framework's off-heap memory for batch jobs", "batch jobs";
        "taskmanager.memory.network.fraction" ["taskmanager.network.memory.fraction"], network_fraction: Fraction = Fraction(0.1),
            "Network memory as a fraction of Flink memory", "the division of memory";
        "taskmanager.memory.network.min" ["taskmanager.network.memory.min"], network_min: Bytes = Bytes(64 << 20),
            "Least network memory", "the division of memory";
        "taskmanager.memory.network.max" ["taskmanager.network.memory.max"], network_max: Bytes = Bytes(i64::MAX as u64),
            "Most network memory", "the division of memory";
        "taskmanager.memory.jvm-metaspace.size", jvm_metaspace_size: Bytes = Bytes(256 << 20),
            "Metaspace of the JVM", "the division of memory";
        "taskmanager.memory.jvm-overhead.fraction", jvm_overhead_fraction: Fraction = Fraction(0.1),
            "JVM overhead as a fraction of process memory", "the division of memory";
        "taskmanager.memory.jvm-overhead.min", jvm_overhead_min: Bytes = Bytes(192 << 20),
            "Least JVM overhead", "the division of memory";
        "taskmanager.memory.jvm-overhead.max", jvm_overhead_max: Bytes = Bytes(1 << 30),
            "Most JVM overhead", "the division of memory";
        "taskmanager.numberOfTaskSlots", task_slots: u16 = 1,
            "Slots of a TaskManager, which share its memory; each subtask runs in a slot of its own",
            "how many subtasks share a heap, and a slot's managed memory";
    }
    Pool {
        "state.backend.rocksdb.memory.managed", memory_managed: bool = true,
            "Whether caches and write buffers of a slot share its managed memory", "one block cache and one write-buffer manager for a slot";
        "state.backend.rocksdb.memory.fixed-per-slot", memory_fixed_per_slot: Maybe<Bytes> = Maybe(None),
            "Memory that caches and write buffers of a slot share, instead of managed memory", "one block cache and one write-buffer manager for a slot";
        "state.backend.rocksdb.memory.fixed-per-tm", memory_fixed_per_tm: Maybe<Bytes> = Maybe(None),
            "Memory that caches and write buffers of a TaskManager share, where a slot's is neither fixed nor managed", "one block cache and one write-buffer manager for a TaskManager";
        "state.backend.rocksdb.memory.write-buffer-ratio", memory_write_buffer_ratio: Share = Share(0.5),
            "Share of the shared memory for write buffers", "capacities of the block cache and of the write-buffer manager";
        "state.backend.rocksdb.memory.high-prio-pool-ratio", memory_high_prio_pool_ratio: Share = Share(0.1),
            "Share of the shared block cache for index and filter blocks", "high_pri_pool_ratio of the block cache";
        "state.backend.rocksdb.memory.partitioned-index-filters", memory_partitioned_index_filters: bool = false,
            "Two-level index and filters, whose parts are cached one by one", "index_type, partition_filters, pin_top_level_index_and_filter";
    }
    Database {
        "state.backend.rocksdb.localdir", localdir: Maybe<LocalDir> = Maybe(None),
            "Directory of the databases", "the folder of the database";
        "state.backend.rocksdb.options-factory", options_factory: Maybe<Refused> = Maybe(None),
            "A Java class that changes RocksDB's options", "whatever the class sets";
        "state.backend.rocksdb.predefined-options", predefined_options: PredefinedOptions = PredefinedOptions::Default,
            "A profile of RocksDB options; a key that is set goes before it", "what the profile names";
        "state.backend.rocksdb.thread.num", thread_num: u16 = 2,
            "Background threads for flushes and compactions of a database", "max_background_jobs";
        "state.backend.rocksdb.files.open", files_open: i32 = -1,
            "Files that a database keeps open, -1 for all", "max_open_files";
        "state.backend.rocksdb.log.level", log_level: LogLevel = LogLevel::Info,
            "What RocksDB logs", "info_log_level";
        "state.backend.rocksdb.log.dir", log_dir: Maybe<LocalDir> = Maybe(None),
            "Directory of RocksDB's log; the database's own where it is not set (Flink: its log directory)", "db_log_dir";
        "state.backend.rocksdb.log.max-file-size", log_max_file_size: Bytes = Bytes(25 << 20),
            "Size at which RocksDB's log is rolled", "max_log_file_size";
        "state.backend.rocksdb.log.file-num", log_file_num: u16 = 4,
            "Log files kept", "keep_log_file_num";
        "state.backend.rocksdb.compaction.style", compaction_style: CompactionStyle = CompactionStyle::Level,
            "Compaction style", "compaction_style; NONE: disable_auto_compactions";
        "state.backend.rocksdb.compaction.level.use-dynamic-size", compaction_level_use_dynamic_size: bool = false,
            "Whether level sizes follow the size of the last level", "level_compaction_dynamic_level_bytes";
        "state.backend.rocksdb.compaction.level.target-file-size-base",
            compaction_level_target_file_size_base: Bytes = Bytes(64 << 20),
            "Size of a table file", "target_file_size_base, max_compaction_bytes (25 times it)";
        "state.backend.rocksdb.compaction.level.max-size-level-base",
            compaction_level_max_size_level_base: Bytes = Bytes(256 << 20),
            "Size of level 1", "max_bytes_for_level_base";
        "state.backend.rocksdb.compression.per.level",
            compression_per_level: Compressions = Compressions(vec![Compression::Snappy]),
            "Compression of each level, one entry for all", "compression_per_level";
        "state.backend.rocksdb.writebuffer.size", writebuffer_size: Bytes = Bytes(64 << 20),
            "Size of one write buffer of a column family", "write_buffer_size";
        "state.backend.rocksdb.writebuffer.count", writebuffer_count: u16 = 2,
            "Write buffers of a column family", "max_write_buffer_number";
        "state.backend.rocksdb.writebuffer.number-to-merge", writebuffer_number_to_merge: u16 = 1,
            "Write buffers merged into one file", "min_write_buffer_number_to_merge";
        "state.backend.rocksdb.block.blocksize", block_size: Bytes = Bytes(4 << 10),
            "Size of a data block", "block_size";
        "state.backend.rocksdb.block.metadata-blocksize", block_metadata_size: Bytes = Bytes(4 << 10),
            "Size of a part of a partitioned index or filter", "metadata_block_size";
        "state.backend.rocksdb.block.cache-size", block_cache_size: Bytes = Bytes(8 << 20),
            "Block cache of each column family where memory is not shared", "capacity of the column family's own block cache";
        "state.backend.rocksdb.use-bloom-filter", use_bloom_filter: bool = false,
            "Whether table files carry a bloom filter", "filter_policy";
        "state.backend.rocksdb.bloom-filter.bits-per-key", bloom_filter_bits_per_key: f64 = 10.0,
            "Bits of the bloom filter for each key", "filter_policy";
        "state.backend.rocksdb.bloom-filter.block-based-mode", bloom_filter_block_based_mode: bool = false,
            "A filter for each block instead of one for the file", "nothing since RocksDB 7, which has no such filters";
        "state.backend.rocksdb.write-batch-size", write_batch_size: Bytes = Bytes(2 << 20),
            "Bytes at which a write batch is flushed, 0 for none", "when a batch of deletes or puts is written";
        "state.backend.rocksdb.manual-compaction.min-interval", manual_compaction_min_interval: NoTime = NoTime(Time(std::time::Duration::ZERO)),
            "Time between two background merges of small files, 0 for none", "Flink's own compaction of small files";
        "state.backend.rocksdb.manual-compaction.max-parallel-compactions", manual_compaction_max_parallel_compactions: u32 = 5,
            "Background merges at the same time", "Flink's own compaction of small files";
        "state.backend.rocksdb.manual-compaction.max-file-size-to-compact", manual_compaction_max_file_size_to_compact: Bytes = Bytes(50 << 10),
            "Largest file that is merged", "Flink's own compaction of small files";
        "state.backend.rocksdb.manual-compaction.min-files-to-compact", manual_compaction_min_files_to_compact: u32 = 5,
            "Fewest files of a merge", "Flink's own compaction of small files";
        "state.backend.rocksdb.manual-compaction.max-files-to-compact", manual_compaction_max_files_to_compact: u32 = 30,
            "Most files of a merge", "Flink's own compaction of small files";
        "state.backend.rocksdb.manual-compaction.max-output-file-size", manual_compaction_max_output_file_size: Bytes = Bytes(64 << 20),
            "Largest file that a merge writes", "Flink's own compaction of small files";
        "state.backend.rocksdb.manual-compaction.max-auto-compactions", manual_compaction_max_auto_compactions: u32 = 30,
            "Running compactions of RocksDB's own above which no merge starts", "Flink's own compaction of small files";
    }
    Ttl {
        "state.backend.rocksdb.compaction.filter.query-time-after-num-entries", compaction_filter_query_time_after_num_entries: u32 = 1000,
            "Entries after which the compaction filter reads the clock again; it sees every entry in any case", "the TTL compaction filter";
        "state.backend.rocksdb.compaction.filter.periodic-compaction-time", compaction_filter_periodic_compaction_time: Time = Time(std::time::Duration::from_hours(720)),
            "Age at which a file of a state with TTL is compacted whether or not it must be", "periodic_compaction_seconds of states with TTL";
    }
    Timers {
        "state.backend.rocksdb.timer-service.factory", timer_service_factory: TimerServiceFactory = TimerServiceFactory::RocksDb,
            "Where timers are kept", "column families of timers";
        "state.backend.rocksdb.timer-service.cache-size", timer_service_cache_size: u32 = 128,
            "Timers cached for each key group and queue", "the cache in front of the timers' column families";
    }
    Restore {
        "state.backend.rocksdb.restore-overlap-fraction-threshold", restore_overlap_fraction_threshold: Share = Share(0.0),
            "Least overlap of a handle that may be the base of a restore", "which handle is opened as base on a rescale";
        "state.backend.rocksdb.use-ingest-db-restore-mode", use_ingest_db_restore_mode: bool = false,
            "Whether a rescale imports column families instead of copying entries", "how handles are joined on a rescale";
        "state.backend.rocksdb.incremental-restore-async-compact-after-rescale", incremental_restore_async_compact: bool = false,
            "Whether foreign key groups are compacted away after a rescale", "a compaction after restore";
        "state.backend.rocksdb.rescaling.use-delete-files-in-range", rescaling_use_delete_files_in_range: bool = false,
            "Whether a rescale first drops whole files of foreign key groups", "how a base is clipped";
        "execution.state-recovery.path" ["execution.savepoint.path"], state_recovery_path: Maybe<Text> = Maybe(None),
            "The savepoint or checkpoint that a job starts from", "the restore";
        "execution.state-recovery.claim-mode" ["execution.savepoint-restore-mode"], state_recovery_claim_mode: ClaimMode = ClaimMode::NoClaim,
            "Who owns the files of that checkpoint", "the restore";
        "execution.checkpointing.recover-without-channel-state.checkpoint-id", recover_without_channel_state: i64 = -1,
            "A checkpoint whose data in flight is left out, -1 for none", "the restore";
        "execution.state-recovery.ignore-unclaimed-state" ["execution.savepoint.ignore-unclaimed-state"], state_recovery_ignore_unclaimed: bool = false,
            "Whether state that no operator claims is dropped", "the restore";
    }
    Checkpoints {
        "state.backend.rocksdb.checkpoint.transfer.thread.num", checkpoint_transfer_thread_num: u16 = 4,
            "Threads that carry files to and from the checkpoint directory", "uploads and downloads";
        "execution.checkpointing.interval", checkpointing_interval: Maybe<Time> = Maybe(None),
            "Time from one trigger to the next; without it there are no checkpoints", "the checkpoint coordinator";
        "execution.checkpointing.interval-during-backlog", checkpointing_interval_during_backlog: Maybe<Time> = Maybe(None),
            "The interval while a source works off a backlog", "the checkpoint coordinator";
        "execution.checkpointing.min-pause", checkpointing_min_pause: Time = Time(std::time::Duration::ZERO),
            "Least time between the end of a checkpoint and the next trigger", "the checkpoint coordinator";
        "execution.checkpointing.timeout", checkpointing_timeout: Time = Time(std::time::Duration::from_mins(10)),
            "Time after which a checkpoint has failed", "the checkpoint coordinator";
        "execution.checkpointing.mode", checkpointing_mode: CheckpointingMode = CheckpointingMode::ExactlyOnce,
            "What checkpoints guarantee", "alignment of barriers";
        "execution.checkpointing.max-concurrent-checkpoints", max_concurrent_checkpoints: u16 = 1,
            "Checkpoints at the same time", "the checkpoint coordinator";
        "execution.checkpointing.tolerable-failed-checkpoints", tolerable_failed_checkpoints: u32 = 0,
            "Failed checkpoints in a row that the job survives", "the checkpoint coordinator";
        "execution.checkpointing.incremental" ["state.backend.incremental"], checkpointing_incremental: bool = false,
            "Whether a RocksDB checkpoint uploads new files only", "which files are uploaded";
        "execution.checkpointing.storage" ["state.checkpoint-storage"], checkpoint_storage: Maybe<CheckpointStorage> = Maybe(None),
            "Where checkpoints go; the filesystem where a directory is set, else the JobManager", "checkpoint storage";
        "execution.checkpointing.dir" ["state.checkpoints.dir", "state.backend.fs.checkpointdir"], checkpoint_dir: Maybe<Text> = Maybe(None),
            "Directory of checkpoints", "checkpoint storage";
        "execution.checkpointing.savepoint-dir" ["state.savepoints.dir", "savepoints.state.backend.fs.dir"], savepoint_dir: Maybe<Text> = Maybe(None),
            "Directory of savepoints", "savepoints";
        "execution.checkpointing.num-retained" ["state.checkpoints.num-retained"], checkpoints_num_retained: u16 = 1,
            "Completed checkpoints kept", "which files are deleted";
        "execution.checkpointing.create-subdir" ["state.checkpoints.create-subdir"], checkpoint_create_subdir: bool = true,
            "Whether each job has a folder of its own in the directory", "checkpoint storage";
        "execution.checkpointing.data-inline-threshold" ["state.storage.fs.memory-threshold", "state.backend.fs.memory-threshold"], checkpoint_data_inline_threshold: Bytes = Bytes(20 << 10),
            "Streams up to this size go into the metadata file, at most 1 mb", "how many files a checkpoint has";
        "execution.checkpointing.write-buffer-size" ["state.storage.fs.write-buffer-size", "state.backend.fs.write-buffer-size"], checkpoint_write_buffer_size: Bytes = Bytes(4096),
            "Buffer of a checkpoint stream", "writes to checkpoint storage";
        "execution.checkpointing.snapshot-compression" ["execution.checkpointing.snapshot-compression.enabled"], checkpoint_snapshot_compression: bool = false,
            "Snappy for heap checkpoints and canonical savepoints", "bytes of heap checkpoints and savepoints; never RocksDB's files";
        "execution.checkpointing.local-backup.enabled" ["state.backend.local-recovery"], checkpoint_local_backup: bool = false,
            "Whether a copy of the checkpoint stays on the TaskManager", "local recovery";
        "execution.checkpointing.local-backup.dirs" ["taskmanager.state.local.root-dirs"], checkpoint_local_backup_dirs: Maybe<Text> = Maybe(None),
            "Directories of those copies", "local recovery";
        "execution.checkpointing.externalized-checkpoint-retention", externalized_checkpoint_retention: Retention = Retention::None,
            "What becomes of the last checkpoint of a cancelled job", "clean-up after the job";
        "execution.checkpointing.unaligned.enabled" ["execution.checkpointing.unaligned"], checkpoint_unaligned: bool = false,
            "Whether barriers overtake data in flight", "alignment of barriers";
        "execution.checkpointing.unaligned.forced", checkpoint_unaligned_forced: bool = false,
            "Whether unaligned checkpoints are kept for iterations too", "alignment of barriers";
        "execution.checkpointing.unaligned.interruptible-timers.enabled", checkpoint_interruptible_timers: bool = false,
            "Whether a checkpoint may interrupt the firing of timers", "alignment of barriers";
        "execution.checkpointing.unaligned.max-subtasks-per-channel-state-file", checkpoint_unaligned_subtasks_per_file: u16 = 5,
            "Subtasks that share a file of data in flight", "files of unaligned checkpoints";
        "execution.checkpointing.aligned-checkpoint-timeout" ["execution.checkpointing.alignment-timeout"], aligned_checkpoint_timeout: Time = Time(std::time::Duration::ZERO),
            "Time after which an aligned checkpoint goes on unaligned", "alignment of barriers";
        "execution.checkpointing.checkpoints-after-tasks-finish" ["execution.checkpointing.checkpoints-after-tasks-finish.enabled"], checkpoints_after_tasks_finish: bool = true,
            "Whether checkpoints go on when some subtasks have finished", "the checkpoint coordinator";
        "execution.checkpointing.cleaner.parallel-mode" ["state.checkpoint.cleaner.parallel-mode"], checkpoint_cleaner_parallel_mode: bool = true,
            "Whether old checkpoints are deleted in parallel", "clean-up of old checkpoints";
        "execution.checkpointing.file-merging.enabled", checkpoint_file_merging: bool = false,
            "Whether small files of a checkpoint are merged", "how many files a checkpoint has";
        "execution.checkpointing.file-merging.across-checkpoint-boundary", checkpoint_file_merging_across: bool = false,
            "Whether files of several checkpoints are merged", "how many files a checkpoint has";
        "execution.checkpointing.file-merging.max-file-size", checkpoint_file_merging_max_file_size: Bytes = Bytes(32 << 20),
            "Size of a merged file", "how many files a checkpoint has";
        "execution.checkpointing.file-merging.max-space-amplification", checkpoint_file_merging_max_space_amplification: f64 = 2.0,
            "Space that merged files may waste", "when merged files are written anew";
        "execution.checkpointing.file-merging.max-subtasks-per-file", checkpoint_file_merging_max_subtasks: u16 = 4,
            "Subtasks that share a merged file", "how many files a checkpoint has";
        "execution.checkpointing.file-merging.pool-blocking", checkpoint_file_merging_pool_blocking: bool = false,
            "Whether writers wait for a free merged file", "writes to checkpoint storage";
        "state.changelog.enabled" ["state.backend.changelog.enabled"], changelog_enabled: bool = false,
            "Whether every change goes to a changelog as well", "the changelog state backend";
        "state.changelog.storage" ["state.backend.changelog.storage"], changelog_storage: ChangelogPlace = ChangelogPlace::Memory,
            "Where the changelog goes", "whether it is uploaded ahead of checkpoints";
        "state.changelog.periodic-materialize.enabled" ["state.backend.changelog.periodic-materialize.enabled"], changelog_materialize: bool = true,
            "Whether the changelog is cut by snapshots", "materializations";
        "state.changelog.periodic-materialize.interval" ["state.backend.changelog.periodic-materialize.interval"], changelog_materialize_interval: Time = Time(std::time::Duration::from_mins(10)),
            "Time between those snapshots", "materializations";
        "state.changelog.max-failures-allowed" ["state.backend.changelog.max-failures-allowed"], changelog_max_failures: u32 = 3,
            "Failed snapshots in a row that the job survives", "materializations";
        "dstl.dfs.preemptive-persist-threshold", changelog_persist_threshold: Bytes = Bytes(5 << 20),
            "Changes of this size are uploaded ahead of a checkpoint", "segments of the changelog";
        "dstl.dfs.upload.max-in-flight", changelog_max_in_flight: Bytes = Bytes(100 << 20),
            "Changes wait while more than this is on its way", "back-pressure of the changelog";
    }
    Tracking {
        "state.latency-track.keyed-state-enabled" ["state.backend.latency-track.keyed-state-enabled"], latency_track: bool = false,
            "Whether Flink times state accesses", "Flink's state latency metrics";
        "state.latency-track.sample-interval" ["state.backend.latency-track.sample-interval"], latency_track_sample_interval: u32 = 100,
            "One access in this many is timed", "Flink's state latency metrics";
        "state.latency-track.history-size" ["state.backend.latency-track.history-size"], latency_track_history_size: u32 = 128,
            "Timed accesses kept", "Flink's state latency metrics";
        "state.latency-track.state-name-as-variable" ["state.backend.latency-track.state-name-as-variable"], latency_track_state_name: bool = true,
            "Whether the state's name is a variable of the metric", "Flink's state latency metrics";
        "state.size-track.keyed-state-enabled" Only2_3, size_track: bool = false,
            "Whether Flink keeps sizes of keys and values", "Flink's state size metrics";
        "state.size-track.sample-interval" Only2_3, size_track_sample_interval: u32 = 100,
            "One access in this many is looked at", "Flink's state size metrics";
        "state.size-track.history-size" Only2_3, size_track_history_size: u32 = 128,
            "Sizes kept", "Flink's state size metrics";
        "state.size-track.state-name-as-variable" Only2_3, size_track_state_name: bool = true,
            "Whether the state's name is a variable of the metric", "Flink's state size metrics";
    }
    Job {
        "parallelism.default", parallelism_default: i32 = 1,
            "Subtasks of an operator", "`run.parallelism` says it here";
        "pipeline.max-parallelism", pipeline_max_parallelism: i32 = -1,
            "Key groups, -1 for what follows from the parallelism", "`run.max-parallelism` says it here";
    }
}

/// What no value is allowed for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Refused {}
impl fmt::Display for Refused {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
impl OptionValue for Refused {
    const ALLOWED: &'static str =
        "nothing: statebench runs no Java, so say what the class sets by the options' own keys";
    fn parse(_: &str) -> Option<Self> {
        None
    }
}

/// Keys that users write and Flink never had, with the real one.
const MISTAKEN_KEYS: [(&str, &str); 2] = [
    ("state.backend.rocksdb.bloom-filter.block-based", "state.backend.rocksdb.bloom-filter.block-based-mode"),
    ("state.backend.rocksdb.block-cache-size", "state.backend.rocksdb.block.cache-size"),
];

/// A key of the configuration as the tables know it.
#[derive(Clone, Copy)]
pub enum KnownKey {
    /// A row of the option table.
    Option(&'static OptionRow),
    /// The switch of a native metric of RocksDB.
    Metric(&'static NativeMetric),
}

impl KnownKey {
    /// The key, or alias of one, as the tables know it.
    pub fn find(key: &str) -> Option<Self> {
        Options::row(key).map(Self::Option).or_else(|| native_metric(key).map(Self::Metric))
    }
}

impl Options {
    /// Flink's defaults on this backend.
    pub fn of(backend: BackendType) -> Self {
        Self { backend, ..Self::default() }
    }

    /// The options of a trial, which its result holds as texts.
    ///
    /// # Errors
    /// A key or value that no option has.
    pub fn of_texts(texts: &BTreeMap<String, String>) -> Result<Self, Invalid> {
        let mut options = Self::default();
        texts.iter().filter(|(_, value)| *value != "none").try_for_each(|(key, value)| options.set(key, value))?;
        Ok(options)
    }

    /// The row of a key, by its name or an alias of it.
    pub fn row(key: &str) -> Option<&'static OptionRow> {
        OPTIONS.iter().find(|row| row.key == key || row.aliases.contains(&key))
    }

    /// The key that is meant by one that Flink never had.
    pub fn mistaken(key: &str) -> Option<&'static str> {
        MISTAKEN_KEYS.iter().find(|(wrong, _)| *wrong == key).map(|(_, real)| *real)
    }

    /// The real key that is spelled most like one that Flink does not have, if one is near enough to be meant.
    pub fn nearest_key(key: &str) -> Option<String> {
        if let Some(real) = Self::mistaken(key) {
            return Some(real.to_owned());
        }
        let metrics: Vec<String> = native_metrics().map(NativeMetric::key).collect();
        let aliases = OPTIONS.iter().flat_map(|row| row.aliases).copied();
        let keys = OPTIONS.iter().map(|row| row.key).chain(aliases).chain(metrics.iter().map(String::as_str));
        nearest(key, keys).map(str::to_owned)
    }

    /// Sets one option.
    ///
    /// # Errors
    /// The key is not in the table, or the value is not allowed; the path of the error is the key.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), Invalid> {
        let text = text.trim();
        match KnownKey::find(key) {
            Some(KnownKey::Option(row)) => {
                if !(row.set)(self, text) {
                    return Err(Invalid::new(key, format!("`{text}`"), row.allowed));
                }
                self.explicit.insert(row.key.to_owned());
                self.apply_profile();
                Ok(())
            }
            Some(KnownKey::Metric(metric)) => match text.parse() {
                Ok(on) => {
                    self.native_metrics.switch(metric, on);
                    Ok(())
                }
                Err(_) => Err(Invalid::new(key, format!("`{text}`"), bool::ALLOWED)),
            },
            None => {
                let allowed = match Self::nearest_key(key) {
                    Some(real) => format!("the keys of `statebench list options`; the nearest is `{real}`"),
                    None => "the keys of `statebench list options`".to_owned(),
                };
                Err(Invalid::key(key, "a key that statebench does not know", allowed))
            }
        }
    }

    /// Whether a key was set rather than left at its default.
    pub fn is_explicit(&self, key: &str) -> bool {
        self.explicit.contains(key)
    }

    /// Every option with its value as text, native metrics that are on included.
    pub fn resolved(&self) -> impl Iterator<Item = (String, String)> {
        let rows = OPTIONS.iter().map(|row| (row.key.to_owned(), row.get(self)));
        rows.chain(self.native_metrics.on().map(|metric| (metric.key(), true.to_string())))
    }

    /// Whether some level of the tree is compressed.
    pub fn compresses(&self) -> bool {
        self.compression_per_level.0.iter().any(|&compression| compression != Compression::None)
    }

    /// Checks what no single value shows.
    ///
    /// # Errors
    /// The first combination that cannot work; the path is the key to change.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.task_manager_memory()?;
        if self.checkpoint_data_inline_threshold.0 > 1 << 20 {
            let found = self.checkpoint_data_inline_threshold;
            return Err(Invalid::new("execution.checkpointing.data-inline-threshold", found, "at most 1 mb"));
        }
        if self.backend == BackendType::RocksDb { self.validate_rocksdb() } else { Ok(()) }
    }

    fn validate_rocksdb(&self) -> Result<(), Invalid> {
        self.validate_pool()?;
        let (buffers, high) = (self.memory_write_buffer_ratio.0, self.memory_high_prio_pool_ratio.0);
        if self.shares_memory() && (buffers <= 0.0 || buffers + high > 1.0) {
            let key = "state.backend.rocksdb.memory.write-buffer-ratio";
            let allowed = format!("above 0, and with high-prio-pool-ratio, which is {high}, at most 1");
            return Err(Invalid::new(key, buffers, allowed));
        }
        if self.writebuffer_number_to_merge >= self.writebuffer_count && self.writebuffer_number_to_merge > 1 {
            return Err(Invalid::new(
                "state.backend.rocksdb.writebuffer.number-to-merge",
                self.writebuffer_number_to_merge,
                format!("less than writebuffer.count, which is {}", self.writebuffer_count),
            ));
        }
        for (key, size, least, most) in [
            ("writebuffer.size", self.writebuffer_size, 64 << 10, 64 << 30),
            ("block.blocksize", self.block_size, 256, 64 << 20),
            ("block.metadata-blocksize", self.block_metadata_size, 256, 64 << 20),
            ("block.cache-size", self.block_cache_size, 0, 1 << 40),
            ("compaction.level.target-file-size-base", self.compaction_level_target_file_size_base, 64 << 10, 1 << 40),
            ("compaction.level.max-size-level-base", self.compaction_level_max_size_level_base, 64 << 10, 1 << 50),
        ] {
            if !(least..=most).contains(&size.0) {
                let key = format!("state.backend.rocksdb.{key}");
                return Err(Invalid::new(&key, size, format!("{} to {}", Bytes(least), Bytes(most))));
            }
        }
        if self.compression_per_level.0.len() > ROCKSDB_LEVELS {
            let found = format!("{} levels", self.compression_per_level.0.len());
            return Err(Invalid::new("state.backend.rocksdb.compression.per.level", found, "at most 7 levels"));
        }
        Ok(())
    }
}

/// Flink leaves `num_levels` at RocksDB's 7.
pub const ROCKSDB_LEVELS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_reads_back_as_itself() {
        for row in OPTIONS {
            let text = row.default();
            if text != "none" {
                let mut options = Options::default();
                options.set(row.key, &text).unwrap();
                let unlike = OPTIONS.iter().find(|other| other.get(&options) != other.default());
                assert_eq!(unlike.map(|other| other.key), None, "{}", row.key);
                assert!(options.is_explicit(row.key));
            }
        }
    }

    #[test]
    fn keys_and_aliases_are_unique() {
        let mut seen = BTreeSet::new();
        for key in OPTIONS.iter().flat_map(|row| std::iter::once(&row.key).chain(row.aliases)) {
            assert!(seen.insert((*key).to_owned()), "{key}");
        }
        native_metrics().map(NativeMetric::key).for_each(|key| assert!(seen.insert(key.clone()), "{key}"));
    }

    #[test]
    fn defaults_are_those_of_flink() {
        let default = |key| Options::row(key).unwrap().default();
        assert_eq!(default("state.backend.rocksdb.writebuffer.size"), "64 mb");
        assert_eq!(default("state.backend.rocksdb.compression.per.level"), "SNAPPY_COMPRESSION");
        assert_eq!(default("state.backend.rocksdb.memory.fixed-per-slot"), "none");
        assert_eq!(default("state.backend"), "hashmap");
        assert_eq!(default("state.backend.rocksdb.memory.high-prio-pool-ratio"), "0.1");
        assert_eq!(default("taskmanager.memory.managed.fraction"), "0.4");
        assert_eq!(default("state.backend.incremental"), "false");
    }

    #[test]
    fn an_unknown_key_gets_the_real_one() {
        let error = Options::default().set("state.backend.rocksdb.writebufer.size", "64mb").unwrap_err();
        assert!(error.allowed.contains("`state.backend.rocksdb.writebuffer.size`"), "{error}");
        let error = Options::default().set("state.backend.rocksdb.bloom-filter.block-based", "false").unwrap_err();
        assert!(error.allowed.contains("`state.backend.rocksdb.bloom-filter.block-based-mode`"), "{error}");
        let error = Options::default().set("state.backend.rocksdb.metrics.block-cache-hits", "true").unwrap_err();
        assert!(error.allowed.contains("metrics.block-cache-hit`"), "{error}");
        let error = Options::default().set("state.backend.rocksdb.options-factory", "a.B").unwrap_err();
        assert!(error.allowed.starts_with("nothing: statebench runs no Java"), "{error}");
        let error = Options::default().set("state.backend.rocksdb.writebuffer.size", "64 parsec").unwrap_err();
        assert_eq!(error.found, "`64 parsec`");
    }

    #[test]
    fn what_is_not_supported_is_refused_and_its_default_is_not() {
        for (key, refused, accepted) in [
            ("state.changelog.storage", "jobmanager", "memory"),
            ("state.backend.rocksdb.manual-compaction.min-interval", "1 min", "0 s"),
            ("taskmanager.memory.managed.consumer-weights", "STATE_BACKEND:0", "STATE_BACKEND:70,PYTHON:30"),
        ] {
            assert!(Options::default().set(key, refused).is_err(), "{key}");
            Options::default().set(key, accepted).unwrap();
        }
    }

    #[test]
    fn budgets_that_cannot_work_are_refused() {
        let mut options = Options::default();
        options.set("state.backend.type", "rocksdb").unwrap();
        options.set("state.backend.rocksdb.memory.fixed-per-slot", "100 kb").unwrap();
        assert_eq!(options.validate().unwrap_err().path, "state.backend.rocksdb.memory.fixed-per-slot");
        options.set("state.backend.rocksdb.memory.fixed-per-slot", "64 mb").unwrap();
        options.set("state.backend.rocksdb.writebuffer.number-to-merge", "2").unwrap();
        assert_eq!(options.validate().unwrap_err().path, "state.backend.rocksdb.writebuffer.number-to-merge");
    }
}
