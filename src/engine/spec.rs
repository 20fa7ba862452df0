//! What the job on Flink is told: its arguments, `name=value` each. `flink/statebench/Job.java` and `Spec.java` read them.
//!
//! Of the whole job: `name`, `events` (the folder of the event files), `keys` (`long` or `string`), `parallelism`,
//! `max-parallelism`, `sample-every`. Of the operator at place n, beginning with `n.`: `operator`, `name`, `key`, `forwards`,
//! `measured-from`, its settings, and `ttl.STATE` for each state that expires. `conf.KEY` is an option of Flink.

use std::fmt::Write;

use crate::operator::{BroadcastRules, Operator as KeyedOperator, SourceOffsets, TemporalJoin};
use crate::run::Delivery;
use crate::state::{CompactionFilterCleanup, IncrementalCleanup, StateTtl, StateTtls, StateVisibility, UpdateType};
use crate::workload::{
    AggregateFunction, BackendType, KeptRow, KeyType, MixOperation, OffsetsRedistribution, Operator, Options,
    ReduceFunction, RowField, RuleSet, VALUE_RANGE, WindowContents, WindowTime, Windows, Workload,
};

/// What reaches the subtasks of an operator beside the events of their keys.
pub fn delivery(operator: &Operator) -> Delivery {
    const fn of<O: KeyedOperator<i64>>() -> Delivery {
        Delivery { broadcast_input: O::BROADCAST_INPUT, every_watermark: O::SEES_EVERY_WATERMARK }
    }
    match operator {
        Operator::BroadcastRules(_) => of::<BroadcastRules>(),
        Operator::SourceOffsets(_) => of::<SourceOffsets>(),
        Operator::TemporalJoin { .. } => of::<TemporalJoin>(),
        _ => Delivery::default(),
    }
}

/// Why the job of a workload cannot be compared with statebench's own run, or cannot be run; none where it can.
pub fn not_comparable(workload: &Workload) -> Option<&'static str> {
    let uses_processing_time = |operator: &Operator| {
        matches!(operator, Operator::Window { windows: Windows::Sliding(_, WindowTime::Processing), .. })
    };
    let mut operators = std::iter::once(&workload.operator).chain(workload.later.iter().map(|step| &step.operator));
    if operators.any(uses_processing_time) {
        return Some("windows of processing time: Flink's processing time is that of the machine");
    }
    if workload.may_see_expired() {
        return Some("expired values may be returned until they are cleaned up, and when that is differs");
    }
    if workload.load.is_some() {
        return Some("an open loop: events do not arrive at a rate on Flink");
    }
    let has_long_keys = match &workload.keys.key_type {
        KeyType::Long => false,
        KeyType::String { length } => length.max() > LONGEST_KEY_BYTES,
    };
    if has_long_keys && names_keys(&workload.operator) {
        return Some("keys of more than 230 bytes in what is emitted: the job's hash takes no longer ones");
    }
    if workload.checkpoint.restore_from.is_some() {
        return Some("it goes on from a checkpoint of statebench's");
    }
    if workload.run.direct_io || workload.run.memory_limit_bytes.is_some() {
        return Some("`run.direct-io` and `run.memory-limit` hold for statebench's own processes");
    }
    None
}

/// Longest text key that the job hashes: `Hashing.XXH3_LIMIT` less what its length takes.
const LONGEST_KEY_BYTES: u32 = 230;

/// Whether what an operator emits names keys.
const fn names_keys(operator: &Operator) -> bool {
    matches!(operator, Operator::Window { .. } | Operator::TemporalJoin { .. })
}

/// The arguments of the job, in order.
pub fn arguments(name: &str, workload: &Workload, events: &str, options: &Options) -> Vec<String> {
    let mut job = Arguments(Vec::new());
    job.add("name", name);
    job.add("events", events);
    job.add("keys", if workload.keys.key_type == KeyType::Long { "long" } else { "string" });
    job.add("parallelism", workload.run.groups.parallelism);
    job.add("max-parallelism", workload.run.groups.max_parallelism);
    job.add("sample-every", sample_every(workload, options));
    let has_later = !workload.later.is_empty();
    job.operator(0, ("operator", None, has_later), &workload.operator, &workload.ttls, workload);
    for (place, step) in workload.later.iter().enumerate() {
        let forwards = place + 1 < workload.later.len();
        let at = (step.name.as_str(), Some(step.key), forwards);
        job.operator(place + 1, at, &step.operator, &step.ttls, workload);
    }
    if workload.all_ttls().next().is_some() {
        // State expires by the clock of the events.
        job.add("conf.state.backend.type", "statebench.VirtualTime$Factory");
        job.add("conf.statebench.state-backend", options.backend);
    }
    // A job that has come to its end need not wait for one more checkpoint.
    job.add("conf.execution.checkpointing.checkpoints-after-tasks-finish.enabled", false);
    job.0
}

/// One event in so many is timed: all on RocksDB, whose accesses take longer than a reading of the clock.
pub fn sample_every(workload: &Workload, options: &Options) -> u32 {
    const OF_THE_HEAP: u32 = 16;
    let default = if options.backend == BackendType::RocksDb { 1 } else { OF_THE_HEAP };
    workload.run.sample_every.unwrap_or(default)
}

struct Arguments(Vec<String>);

impl Arguments {
    fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        self.0.push(format!("{name}={value}"));
    }

    fn operator(
        &mut self,
        place: usize,
        (name, key, forwards): (&str, Option<RowField>, bool),
        operator: &Operator,
        ttls: &StateTtls,
        workload: &Workload,
    ) {
        let mut add = |setting: &str, value: &dyn std::fmt::Display| self.add(&format!("{place}.{setting}"), value);
        add("name", &name);
        add("forwards", &forwards);
        add("measured-from", &workload.run.first_measured());
        if let Some(key) = key {
            add("key", &field(key));
        }
        settings(operator, &mut add);
        for (state, ttl) in ttls {
            add(&format!("ttl.{state}"), &ttl_text(ttl));
        }
    }
}

const fn field(field: RowField) -> &'static str {
    match field {
        RowField::Key => "key",
        RowField::Value => "value",
        RowField::Other => "other",
    }
}

/// The name of an operator and its settings.
fn settings(operator: &Operator, add: &mut dyn FnMut(&str, &dyn std::fmt::Display)) {
    match operator {
        Operator::Counter => add("operator", &"counter"),
        Operator::Reduce { function, emit } => {
            add("operator", &"reduce");
            add("function", &reduce(*function));
            add("emit", emit);
        }
        Operator::Aggregate { function, emit } => {
            add("operator", &"aggregate");
            add("function", &aggregate(*function));
            add("emit", emit);
        }
        Operator::ListBuffer { clear_every } => {
            add("operator", &"list-buffer");
            add("clear-every", clear_every);
        }
        Operator::Map { entries } => {
            add("operator", &"map");
            add("entries", entries);
        }
        Operator::ValueOfMap { entries } => {
            add("operator", &"value-of-map");
            add("entries", entries);
        }
        Operator::Window { windows, contents } => {
            add("operator", &"window");
            window(windows, add);
            let (contents, function) = match contents {
                WindowContents::Reduce(function) => ("reduce", reduce(*function)),
                WindowContents::Aggregate(function) => (aggregate(*function), ""),
                WindowContents::List => ("list", ""),
                WindowContents::Join { .. } => ("join", ""),
            };
            add("contents", &contents);
            add("function", &function);
        }
        Operator::ChangelogJoin => add("operator", &"changelog-join"),
        Operator::RunningTotal => add("operator", &"running-total"),
        Operator::Mix(mix) => {
            add("operator", &"mix");
            add("entries", &mix.entries);
            add("appends", &mix.has(MixOperation::Append));
            add("scans", &mix.has(MixOperation::Scan));
        }
        Operator::Deduplicate { keep: KeptRow::First } => add("operator", &"first-row"),
        Operator::Deduplicate { keep: KeptRow::Last } => add("operator", &"last-row"),
        Operator::RegularJoin { .. } => add("operator", &"regular-join"),
        Operator::TopN { n } => {
            add("operator", &"top-n");
            add("n", n);
            add("value-range", &VALUE_RANGE);
        }
        Operator::IntervalJoin { bounds, .. } => {
            add("operator", &"interval-join");
            add("lower-ms", &bounds.lower_ms);
            add("upper-ms", &bounds.upper_ms);
        }
        Operator::TemporalJoin { .. } => add("operator", &"temporal-join"),
        Operator::ContinuousJoin { finish_below, .. } => {
            add("operator", &"continuous-join");
            add("finish-below", finish_below);
        }
        Operator::BroadcastRules(rules) => {
            add("operator", &"broadcast-rules");
            add("rules", &rules.rules);
            add("width", &rules.width);
            add("value-range", &VALUE_RANGE);
            add("rule-input", &RuleSet::INPUT);
        }
        Operator::SourceOffsets(source) => {
            add("operator", &"source-offsets");
            add("partitions", &source.partitions);
            let is_union = source.redistribution == OffsetsRedistribution::Union;
            add("redistribution", &if is_union { "union" } else { "split" });
        }
    }
}

fn window(windows: &Windows, add: &mut dyn FnMut(&str, &dyn std::fmt::Display)) {
    match windows {
        Windows::Sliding(windows, _) => {
            add("windows", &"sliding");
            add("size-ms", &windows.size_ms);
            add("slide-ms", &windows.slide_ms);
            add("allowed-lateness-ms", &windows.allowed_lateness_ms);
        }
        Windows::Session(windows) => {
            add("windows", &"session");
            add("gap-ms", &windows.gap_ms);
            add("allowed-lateness-ms", &windows.allowed_lateness_ms);
        }
    }
}

const fn reduce(function: ReduceFunction) -> &'static str {
    match function {
        ReduceFunction::Sum => "sum",
        ReduceFunction::Max => "max",
    }
}

const fn aggregate(function: AggregateFunction) -> &'static str {
    match function {
        AggregateFunction::Average => "average",
        AggregateFunction::Summary => "summary",
    }
}

/// A TTL as `Spec.withTtl` of the job reads it.
fn ttl_text(ttl: &StateTtl) -> String {
    let update_type = match ttl.update_type {
        UpdateType::OnCreateAndWrite => "OnCreateAndWrite",
        UpdateType::OnReadAndWrite => "OnReadAndWrite",
    };
    let visibility = match ttl.visibility {
        StateVisibility::NeverReturnExpired => "NeverReturnExpired",
        StateVisibility::ReturnExpiredIfNotCleanedUp => "ReturnExpiredIfNotCleanedUp",
    };
    let mut text = format!("time-ms={},update-type={update_type},visibility={visibility}", ttl.ttl_ms);
    let cleanup = ttl.cleanup;
    if cleanup.full_snapshot {
        text += ",full-snapshot=true";
    }
    let background =
        (Some(IncrementalCleanup { size: 5, every_record: false }), Some(CompactionFilterCleanup::default()));
    if (cleanup.incremental, cleanup.compaction_filter) == background {
        return text + ",background=true";
    }
    if let Some(incremental) = cleanup.incremental {
        let _ = write!(
            text,
            ",incremental-size={},incremental-every-record={}",
            incremental.size, incremental.every_record
        );
    }
    if let Some(filter) = cleanup.compaction_filter {
        // Flink's own values where the workload leaves them to it.
        let entries = filter.query_time_after_entries.unwrap_or(1_000);
        let period_s = filter.periodic_compaction_s.unwrap_or(30 * 24 * 3_600);
        let _ = write!(text, ",filter-entries={entries},filter-period-s={period_s}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use std::path::Path;

    fn workload(text: &str) -> Workload {
        Workload::new(&toml::from_str(text).unwrap(), Path::new(".")).unwrap()
    }

    fn told(text: &str, backend: BackendType) -> String {
        arguments("a job", &workload(text), "file:///e", &Options::of(backend)).join("\n")
    }

    #[test]
    fn a_job_is_told_everything() {
        assert_snapshot!(told("operator = 'counter'", BackendType::HashMap), @"
        name=a job
        events=file:///e
        keys=long
        parallelism=1
        max-parallelism=128
        sample-every=16
        0.name=operator
        0.forwards=false
        0.measured-from=102400
        0.operator=counter
        conf.execution.checkpointing.checkpoints-after-tasks-finish.enabled=false
        ");
        let pipeline = "source.cdc-orders = {}\nkeys.cardinality = 100\n\
            pipeline = [{ name = 'join', operator = 'changelog-join', states.orders.ttl.time = '5 min' }, \
            { name = 'sum', key = 'other', operator = 'running-total', states.total.ttl = { time = 7, update-type = 'OnReadAndWrite', \
            cleanup.incremental = { size = 9, every-record = true } } }]";
        assert_snapshot!(told(pipeline, BackendType::RocksDb), @"
        name=a job
        events=file:///e
        keys=long
        parallelism=1
        max-parallelism=128
        sample-every=1
        0.name=operator
        0.forwards=true
        0.measured-from=102400
        0.operator=changelog-join
        0.ttl.orders=time-ms=300000,update-type=OnCreateAndWrite,visibility=NeverReturnExpired,background=true
        1.name=sum
        1.forwards=false
        1.measured-from=102400
        1.key=other
        1.operator=running-total
        1.ttl.total=time-ms=7,update-type=OnReadAndWrite,visibility=NeverReturnExpired,incremental-size=9,incremental-every-record=true
        conf.state.backend.type=statebench.VirtualTime$Factory
        conf.statebench.state-backend=rocksdb
        conf.execution.checkpointing.checkpoints-after-tasks-finish.enabled=false
        ");
        let window =
            "operator.sliding-window = { size = '4 s', slide = '1 s', contents = 'list', allowed-lateness = '2 s' }";
        let window = told(window, BackendType::RocksDb);
        assert_snapshot!(window.lines().skip(6).collect::<Vec<_>>().join("\n"), @"
        0.name=operator
        0.forwards=false
        0.measured-from=102400
        0.operator=window
        0.windows=sliding
        0.size-ms=4000
        0.slide-ms=1000
        0.allowed-lateness-ms=2000
        0.contents=list
        0.function=
        conf.execution.checkpointing.checkpoints-after-tasks-finish.enabled=false
        ");
    }

    #[test]
    fn what_cannot_be_compared_says_why() {
        let why = |text: &str| not_comparable(&workload(text)).unwrap_or_default();
        assert_eq!(why("operator = 'counter'"), "");
        assert!(why("operator.tumbling-window.time = 'processing'").starts_with("windows of processing time"));
        assert!(
            why("operator = 'deduplicate'\nstates.seen.ttl = { time = 5, visibility = 'ReturnExpiredIfNotCleanedUp' }")
                .starts_with("expired")
        );
        assert!(why("load.rate = 100").starts_with("an open loop"));
        assert!(why("run.direct-io = true").starts_with("`run.direct-io`"));
        let long = "keys = { cardinality = 5, type.string.length = 300 }\n";
        assert_eq!(why(&format!("{long}operator = 'counter'")), "");
        assert!(why(&format!("{long}operator = 'session-window'")).starts_with("keys of more"));
    }
}
