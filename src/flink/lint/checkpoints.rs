//! Checkpoints: whether there are any, how often, where they go and what they hold.

use super::{Context, Draft, Rule, Scope, error, note, rule, warning};
use crate::workload::{ChangelogPlace, CheckpointStorage, Options};

pub(super) static RULES: &[Rule] = &[
    rule("checkpoints-off", "checkpoints that are never taken", Scope::Cluster, off),
    rule("not-incremental", "full checkpoints of RocksDB", Scope::Cluster, not_incremental),
    rule(
        "incremental-on-heap",
        "incremental checkpoints of a backend that has none",
        Scope::Cluster,
        incremental_on_heap,
    ),
    rule("min-pause-wins", "a pause as long as the interval", Scope::Cluster, min_pause_wins),
    rule(
        "pause-and-concurrent",
        "checkpoints at the same time with a pause between",
        Scope::Cluster,
        pause_and_concurrent,
    ),
    rule("no-checkpoint-dir", "checkpoints in the JobManager's heap", Scope::Cluster, no_dir),
    rule("timeout-is-default", "a timeout that holds anyway", Scope::Cluster, timeout_is_default),
    rule("timeout-short", "a timeout below the interval", Scope::Cluster, timeout_short),
    rule(
        "compression-native",
        "compression that RocksDB's checkpoints do not have",
        Scope::Cluster,
        compression_native,
    ),
    rule("inline-threshold", "a threshold above Flink's limit", Scope::Cluster, inline_threshold),
    rule("changelog-in-memory", "a changelog that the JobManager has to hold", Scope::Cluster, changelog_in_memory),
];

const ROOT: &str = "execution.checkpointing.";
const INTERVAL: &str = "execution.checkpointing.interval";
const MIN_PAUSE: &str = "execution.checkpointing.min-pause";
const TIMEOUT: &str = "execution.checkpointing.timeout";
const INCREMENTAL: &str = "execution.checkpointing.incremental";
const DIR: &str = "execution.checkpointing.dir";
const STORAGE: &str = "execution.checkpointing.storage";
const CONCURRENT: &str = "execution.checkpointing.max-concurrent-checkpoints";
const COMPRESSION: &str = "execution.checkpointing.snapshot-compression";
const INLINE: &str = "execution.checkpointing.data-inline-threshold";

const CHANGELOG: &str = "state.changelog.enabled";
const CHANGELOG_STORAGE: &str = "state.changelog.storage";

fn changelog_in_memory(context: &Context) -> Vec<Draft> {
    if !context.options.changelog_enabled || context.options.changelog_storage != ChangelogPlace::Memory {
        return Vec::new();
    }
    let key = if context.gives(CHANGELOG_STORAGE) { CHANGELOG_STORAGE } else { CHANGELOG };
    vec![warning(
        key,
        "keeps every change in memory and puts all of them into the metadata of each checkpoint: it is for tests",
        format!("{CHANGELOG_STORAGE}: filesystem, with dstl.dfs.base-path"),
    )]
}

fn off(context: &Context) -> Vec<Draft> {
    if context.gives(INTERVAL) {
        return Vec::new();
    }
    let others = context.given.iter().filter(|given| given.name.starts_with(ROOT)).count();
    let write = format!("{INTERVAL}: 60 s, or as often as a restart may lose work; the job itself may set it too");
    vec![match others {
        0 => note(INTERVAL, "takes no checkpoints unless the job itself asks for them", write),
        _ => warning(
            INTERVAL,
            format_args!(
                "takes no checkpoints unless the job itself asks for them; {others} keys about them wait for it"
            ),
            write,
        ),
    }]
}

fn not_incremental(context: &Context) -> Vec<Draft> {
    if !context.is_rocksdb() || context.options.checkpointing_incremental {
        return Vec::new();
    }
    let does = "uploads every file of the database in every checkpoint: incremental is false, its default";
    vec![warning(INCREMENTAL, does, format_args!("{INCREMENTAL}: true"))]
}

fn incremental_on_heap(context: &Context) -> Vec<Draft> {
    if !context.is_heap() || !context.options.checkpointing_incremental {
        return Vec::new();
    }
    let does = "ignores it: the hashmap backend writes all of the state in every checkpoint";
    vec![note(INCREMENTAL, does, "state.backend.type: rocksdb, or leave it out")]
}

fn min_pause_wins(context: &Context) -> Vec<Draft> {
    let Some(interval) = context.options.checkpointing_interval.0 else { return Vec::new() };
    let pause = context.options.checkpointing_min_pause;
    if pause < interval {
        return Vec::new();
    }
    let does = format!(
        "waits {pause} after the end of each checkpoint: the pause goes before the interval of {interval}, which never decides"
    );
    vec![warning(MIN_PAUSE, does, format_args!("a {MIN_PAUSE} below {INTERVAL}"))]
}

fn pause_and_concurrent(context: &Context) -> Vec<Draft> {
    if context.options.max_concurrent_checkpoints < 2 || context.options.checkpointing_min_pause.0.is_zero() {
        return Vec::new();
    }
    let does = "takes one checkpoint at a time all the same: the pause counts from the end of the one before";
    vec![warning(CONCURRENT, does, format_args!("{CONCURRENT}: 1, or no {MIN_PAUSE}"))]
}

fn no_dir(context: &Context) -> Vec<Draft> {
    if context.gives(DIR) || !context.gives(INTERVAL) {
        return Vec::new();
    }
    let write =
        format!("{DIR}: a folder that every TaskManager and the JobManager can reach, such as s3://bucket/checkpoints");
    if context.options.checkpoint_storage.0 == Some(CheckpointStorage::FileSystem) {
        return vec![error(STORAGE, "does not start the job: the storage is filesystem and no folder is given", write)];
    }
    let does =
        "keeps checkpoints in the JobManager's heap, where they go with it, and fails each one with a state above 5 mb";
    vec![warning(DIR, does, write)]
}

fn timeout_is_default(context: &Context) -> Vec<Draft> {
    let timeout = context.options.checkpointing_timeout;
    if !context.gives(TIMEOUT) || timeout != Options::default().checkpointing_timeout {
        return Vec::new();
    }
    vec![note(TIMEOUT, format_args!("would wait {timeout} anyway: it is the default"), "leave it out")]
}

fn timeout_short(context: &Context) -> Vec<Draft> {
    let Some(interval) = context.options.checkpointing_interval.0 else { return Vec::new() };
    let timeout = context.options.checkpointing_timeout;
    if !context.gives(TIMEOUT) || timeout >= interval {
        return Vec::new();
    }
    let fails = match context.options.tolerable_failed_checkpoints {
        0 => "the first one fails the job, since none is tolerated",
        _ => "it counts as failed",
    };
    let does =
        format!("gives up a checkpoint that takes {timeout}, although the next is due only after {interval}; {fails}");
    vec![warning(TIMEOUT, does, format_args!("{TIMEOUT}: {interval} or more, such as its default of 10 min"))]
}

fn compression_native(context: &Context) -> Vec<Draft> {
    if !context.is_rocksdb() || !context.options.checkpoint_snapshot_compression {
        return Vec::new();
    }
    let does = "compresses canonical savepoints by it, and no checkpoint: those hold RocksDB's files as they are";
    vec![note(COMPRESSION, does, "state.backend.rocksdb.compression.per.level for checkpoints")]
}

fn inline_threshold(context: &Context) -> Vec<Draft> {
    let threshold = context.options.checkpoint_data_inline_threshold;
    if threshold.0 <= 1 << 20 {
        return Vec::new();
    }
    vec![error(
        INLINE,
        format_args!("does not start the job: {threshold} is above its limit of 1 mb"),
        format_args!("{INLINE}: 1 mb or less"),
    )]
}
