use super::*;
use crate::result::{
    CacheCurve, CachePoint, CheckpointRecord, Checkpoints, Growth, GrowthSample, HeapMemory, Latency, LatencySummary,
    LevelShape, Measurement, OpenLoop, OutOfMemory, Outcome, PoolSize, StoreBudget, StoreCounters, StoreMemory,
    StoreShape, StoreUse, Trend, Trial, TrialRun,
};
use crate::run::{RunOptions, empty_result};
use crate::workload::{Document, Plan};
use std::collections::BTreeMap;
use std::path::Path;

const MIB: u64 = 1 << 20;
const POOL: &str = "taskmanager.memory.managed.size";
const ROCKSDB: (&str, &str) = ("state.backend.type", "rocksdb");
const HEAP: (&str, &str) = ("state.backend.type", "hashmap");

/// A result of a workload without trials.
fn result_of(workload: &str) -> RunResult {
    let plan = Plan::of(Document::parse(Path::new("job.toml"), workload.to_owned()).unwrap(), &[], false).unwrap();
    let options = RunOptions { output: "r".into(), state_folder: ".".into(), quiet: true, quick: false };
    let mut result = empty_result(&plan, &options);
    result.manifest.build.profile = "release".to_owned();
    result
}

fn empty() -> RunResult {
    result_of("[run]\n")
}

fn measurement(events_per_s: f64) -> Measurement {
    Measurement {
        events: 1_000,
        wall_s: 1.0,
        busy_s: vec![1_000.0 / events_per_s],
        throughput_events_per_s: events_per_s,
        growth: Some(Growth { samples: vec![GrowthSample::default()], trend: Trend::Bounded }),
        ..Measurement::of_nothing()
    }
}

/// RocksDB's counters with this hit rate, of one block for each lookup.
fn counters(hit_rate: f64) -> StoreCounters {
    let hits = (1_000.0 * hit_rate) as u64;
    StoreCounters { lookups: 1_000, data_hits: hits, data_misses: 1_000 - hits, ..StoreCounters::default() }
}

fn trial(result: &mut RunResult, name: &str, settings: &[(&str, &str)], companion: bool, outcome: Outcome) {
    let mut options = Options::default();
    settings.iter().for_each(|(key, value)| options.set(key, value).unwrap());
    result.trials.push(Trial {
        variant: 0,
        configuration: name.to_owned(),
        base: name.to_owned(),
        knobs: BTreeMap::new(),
        options: options.resolved().collect(),
        repeat: 0,
        companion,
        seed: 1,
        run: TrialRun::default(),
        outcome,
    });
    result.planned_trials = result.trials.len();
}

fn finished(result: &mut RunResult, name: &str, settings: &[(&str, &str)], measurement: Measurement) {
    trial(result, name, settings, false, Outcome::Finished(Box::new(measurement)));
}

fn companion(result: &mut RunResult, name: &str, settings: &[(&str, &str)], measurement: Measurement) {
    trial(result, name, settings, true, Outcome::Finished(Box::new(measurement)));
}

/// A configuration with a trial and a companion.
fn both(
    result: &mut RunResult,
    name: &str,
    settings: &[(&str, &str)],
    measurement: Measurement,
    counted: StoreCounters,
) {
    companion(result, name, settings, Measurement { store_counters: Some(counted), ..measurement.clone() });
    finished(result, name, settings, measurement);
}

fn advice(result: &RunResult) -> Advice {
    advise(result, &Parameters::default()).unwrap()
}

#[track_caller]
fn only(advice: &Advice, rule: &str) -> Finding {
    let found: Vec<_> = advice.findings.iter().filter(|finding| finding.rule == rule).collect();
    let [one] = found.as_slice() else { panic!("{rule}: {:#?}", advice.findings) };
    assert!(!one.figures.is_empty(), "no advice without a figure: {one:?}");
    (*one).clone()
}

fn has(advice: &Advice, rule: &str) -> bool {
    advice.findings.iter().any(|finding| finding.rule == rule)
}

fn set(finding: &Finding) -> Vec<(&str, &str)> {
    finding.settings.iter().map(|setting| (setting.key.as_str(), setting.value.as_str())).collect()
}

fn measured_in(finding: &Finding) -> Option<&str> {
    match &finding.effect.kind {
        EffectKind::MeasuredIn(trial) => Some(trial),
        EffectKind::Modelled(_) => None,
    }
}

#[test]
fn a_run_that_needs_nothing_gets_no_advice() {
    let mut result = empty();
    both(&mut result, "r", &[ROCKSDB], measurement(100.0), counters(0.99));
    let advice = advice(&result);
    assert!(advice.findings.is_empty() && advice.missing.is_empty() && advice.warnings.is_empty(), "{advice:#?}");
}

#[test]
fn the_knee_of_a_sweep_is_told_to_those_below_it() {
    let mut result = empty();
    for (pool, rate, hit_rate) in
        [("8mb", 10.0, 0.3), ("64mb", 50.0, 0.6), ("128mb", 95.0, 0.95), ("256mb", 100.0, 0.99)]
    {
        let settings = [ROCKSDB, (POOL, pool)];
        both(&mut result, &format!("r {pool}"), &settings, measurement(rate), counters(hit_rate));
    }
    let advice = advice(&result);
    let finding = only(&advice, "managed-memory-knee");
    assert_eq!(finding.configurations, ["r 8mb", "r 64mb"]);
    assert_eq!(set(&finding), [(POOL, "128 mb")]);
    assert_eq!((measured_in(&finding), finding.effect.factor), (Some("r 128mb"), Some(9.5)));
    assert_eq!(finding.figures.len(), 8, "throughput and hit rate of each size");
    assert!(!has(&advice, "block-cache-hit-rate"), "the knee has said it");
    // A slow run moves the knee, whatever the median is.
    finished(
        &mut result,
        "r 128mb",
        &[ROCKSDB, (POOL, "128mb")],
        Measurement { slow_event_share: 0.5, ..measurement(95.0) },
    );
    assert_eq!(
        set(&only(&advise(&result, &Parameters::default()).unwrap(), "managed-memory-knee")),
        [(POOL, "256 mb")]
    );
}

#[test]
fn a_sweep_whose_smallest_is_enough_tells_what_the_others_cost() {
    let mut result = empty();
    for pool in ["64mb", "128mb", "256mb"] {
        both(&mut result, pool, &[ROCKSDB, (POOL, pool)], measurement(100.0), counters(0.99));
    }
    let finding = only(&advice(&result), "managed-memory-knee");
    assert_eq!((finding.urgency, finding.configurations.join(" ")), (Urgency::Costs, "128mb 256mb".to_owned()));
    assert_eq!(set(&finding), [(POOL, "64 mb")]);
}

fn curve(rates: &[(u64, f64)], present: u64, measured: f64) -> CacheCurve {
    let point = |(pool, rate): &(u64, f64)| {
        let size = PoolSize { pool_bytes: pool * MIB, cache_bytes: pool * MIB };
        CachePoint::new(size, *pool == present, (*rate, 0.0), (1_000, 0))
    };
    CacheCurve {
        data_asked: 1_000,
        index_asked: 0,
        sampled: 500,
        measured_hit_rate: Some(measured),
        points: rates.iter().map(point).collect(),
    }
}

#[test]
fn a_low_hit_rate_is_mended_by_the_curve_or_by_another_trial_or_not_at_all() {
    let settings = [ROCKSDB, (POOL, "64mb")];
    let with_curve = |rates: &[(u64, f64)]| {
        let mut result = empty();
        finished(&mut result, "r", &settings, measurement(10.0));
        let curve = curve(rates, 64, 0.5);
        let counted = Measurement { store_counters: Some(counters(0.5)), cache_curve: Some(curve), ..measurement(9.0) };
        companion(&mut result, "r", &settings, counted);
        result
    };
    let mut result = with_curve(&[(32, 0.3), (64, 0.51), (128, 0.8), (256, 0.92)]);
    let finding = only(&advice(&result), "block-cache-hit-rate");
    assert_eq!((set(&finding), measured_in(&finding)), (vec![(POOL, "256 mb")], None));
    assert!(finding.effect.what.contains("91.0 %"), "less the error at the present size: {}", finding.effect.what);
    // Another trial of the result goes before a model.
    both(&mut result, "more", &[ROCKSDB, (POOL, "512mb")], measurement(30.0), counters(0.95));
    let finding = only(&advice(&result), "block-cache-hit-rate");
    assert_eq!((set(&finding), measured_in(&finding)), (vec![(POOL, "512 mb")], Some("more")));
    assert_eq!(finding.effect.factor, Some(3.0));
    let hopeless = only(&advice(&with_curve(&[(64, 0.5), (256, 0.6)])), "block-cache-hit-rate");
    assert!(hopeless.settings.is_empty() && hopeless.effect.what.starts_with("none of a larger cache"), "{hopeless:?}");
    // A pool that the TaskManager's total does not hold needs a larger total.
    let large = only(&advice(&with_curve(&[(64, 0.5), (2048, 0.95)])), "block-cache-hit-rate");
    assert_eq!(large.settings[0].value, "2 gb");
    assert_eq!(large.settings[1].key, "taskmanager.memory.process.size");
}

#[test]
fn what_is_missing_is_said_once_with_the_way_to_get_it() {
    let mut result = empty();
    for name in ["a", "b"] {
        finished(&mut result, name, &[ROCKSDB], Measurement { growth: None, ..measurement(10.0) });
    }
    let advice = advice(&result);
    assert!(advice.findings.is_empty());
    let missing: Vec<_> = advice.missing.iter().map(|missing| missing.configurations.join(" ")).collect();
    assert_eq!(missing, ["a b", "a b"], "growth, and counters: {:?}", advice.missing);
    assert!(advice.missing.iter().any(|missing| missing.how.contains("run.counters = true")));
    assert!(advice.missing.iter().any(|missing| missing.how.contains("run.growth-samples")));
}

fn slow(events_per_s: f64) -> Measurement {
    Measurement { slow_event_share: 0.2, ..measurement(events_per_s) }
}

#[test]
fn slow_runs_with_index_reads_call_for_partitions_measured_where_they_were() {
    const PARTITIONED: (&str, &str) = ("state.backend.rocksdb.memory.partitioned-index-filters", "true");
    let mut result = empty();
    let reads = StoreCounters { index_misses: 500, ..counters(0.99) };
    both(&mut result, "whole", &[ROCKSDB], slow(10.0), reads);
    let modelled = only(&advice(&result), "index-not-cached");
    assert_eq!((set(&modelled), measured_in(&modelled)), (vec![PARTITIONED], None));
    both(&mut result, "parts", &[ROCKSDB, PARTITIONED], measurement(80.0), counters(0.99));
    let finding = only(&advice(&result), "index-not-cached");
    assert_eq!((measured_in(&finding), finding.effect.factor), (Some("parts"), Some(8.0)));
    assert!(!has(&advice(&result), "better-setting"), "the specific rule has said it");
    // Without index reads the index is not to blame.
    let mut result = empty();
    both(&mut result, "whole", &[ROCKSDB], slow(10.0), counters(0.95));
    assert!(has(&advice(&result), "slow-regime") && !has(&advice(&result), "index-not-cached"));
}

#[test]
fn an_index_that_may_not_stay_is_told_before_a_run_was_slow() {
    let shape = |index_bytes| StoreShape {
        levels: vec![LevelShape { files: 1, bytes: 64 * MIB }],
        index_bytes,
        ..StoreShape::default()
    };
    let with = |index_bytes, pool: &str| {
        let mut result = empty();
        let measured = Measurement { store_shape: Some(shape(index_bytes)), ..measurement(10.0) };
        both(&mut result, "r", &[ROCKSDB, (POOL, pool)], measured, counters(0.99));
        advice(&result)
    };
    let finding = only(&with(400 << 10, "64mb"), "index-may-not-stay");
    assert!(
        finding.figures.iter().any(|figure| figure.kind == FigureKind::Modelled && figure.unit == FigureUnit::Share)
    );
    assert!(
        !has(&with(400 << 10, "256mb"), "index-may-not-stay") && !has(&with(1 << 10, "64mb"), "index-may-not-stay")
    );
}

#[test]
fn writers_that_are_held_back_and_much_that_is_written() {
    let stalled = |files| {
        let mut result = empty();
        let shape = StoreShape { levels: vec![LevelShape { files, bytes: 1 }], ..StoreShape::default() };
        let measured = Measurement { store_shape: Some(shape), ..measurement(1_000.0) };
        let counted = StoreCounters { stall_us: 500_000, ..counters(0.99) };
        both(&mut result, "r", &[ROCKSDB], measured, counted);
        only(&advice(&result), "writes-held-back")
    };
    let behind = stalled(15);
    assert_eq!(set(&behind), [("state.backend.rocksdb.thread.num", "4")]);
    assert_eq!(behind.effect.factor, Some(2.0));
    assert!(stalled(2).settings.iter().any(|setting| setting.key == "state.backend.rocksdb.writebuffer.count"));
    let mut result = empty();
    let counted =
        StoreCounters { written_bytes: 100, flush_bytes: 100, compaction_write_bytes: 1_900, ..counters(0.99) };
    both(&mut result, "r", &[ROCKSDB], measurement(10.0), counted);
    let finding = only(&advice(&result), "write-amplification");
    assert!(finding.what.starts_with("20.0 bytes") && measured_in(&finding).is_none(), "{finding:?}");
    let better = StoreCounters { compaction_write_bytes: 400, ..counted };
    both(
        &mut result,
        "b",
        &[ROCKSDB, ("state.backend.rocksdb.compaction.style", "UNIVERSAL")],
        measurement(11.0),
        better,
    );
    let finding = only(&advice(&result), "write-amplification");
    assert_eq!((measured_in(&finding), set(&finding)[0].1), (Some("b"), "UNIVERSAL"));
}

#[test]
fn memory_over_the_budget_needs_a_reserve() {
    let with = |used| {
        let budget = StoreBudget {
            pools: 1,
            pool_bytes: 100 * MIB,
            cache_bytes: 83 * MIB,
            write_buffer_bytes: 33 * MIB,
            high_priority_bytes: 8 * MIB,
            cache_shards: 64,
            cache_shard_bytes: MIB,
        };
        let peak = StoreUse { cache_bytes: used, ..StoreUse::default() };
        let memory = StoreMemory { budget: Some(budget), peak, end: peak };
        let mut result = empty();
        let measured = Measurement { store_memory: Some(memory), ..measurement(10.0) };
        both(&mut result, "r", &[ROCKSDB, (POOL, "100mb")], measured, counters(0.99));
        advice(&result)
    };
    let finding = only(&with(130 * MIB), "memory-over-budget");
    assert_eq!(set(&finding), [("taskmanager.memory.task.off-heap.size", "30 mb")]);
    assert_eq!(finding.urgency, Urgency::Fails);
    assert!(!has(&with(100 * MIB), "memory-over-budget") && !has(&with(MIB), "memory-over-budget"));
}

#[test]
fn state_without_a_bound_needs_a_ttl_and_a_ttl_needs_a_clean_up() {
    let with = |workload: &str, last: GrowthSample, trend| {
        let mut result = result_of(workload);
        let growth = Growth { samples: vec![last], trend };
        both(&mut result, "r", &[ROCKSDB], Measurement { growth: Some(growth), ..measurement(10.0) }, counters(0.99));
        advice(&result)
    };
    let grown = GrowthSample { live_entries: 10, live_bytes: 1_000, ..GrowthSample::default() };
    let grows = Trend::Unbounded { per_day: 1e9 };
    let finding = only(&with("[run]\n", grown, grows), "ttl-missing");
    assert_eq!((finding.urgency, finding.settings[0].place), (Urgency::Fails, Place::Job));
    let with_ttl = "states.count.ttl.time = '1 d'\noperator = 'counter'\n";
    assert!(has(&with(with_ttl, grown, grows), "ttl-does-not-bound"));
    assert!(!has(&with(with_ttl, grown, Trend::Bounded), "ttl-does-not-bound"));
    let expired = GrowthSample { expired_entries: 30, expired_bytes: 3_000, ..grown };
    assert!(has(&with(with_ttl, expired, Trend::Bounded), "ttl-without-cleanup"));
    assert!(!has(&with("[run]\n", expired, Trend::Bounded), "ttl-without-cleanup"), "nothing expires without a TTL");
    let undecided = with("[run]\n", grown, Trend::Undecided);
    assert!(undecided.missing.iter().any(|missing| missing.figures.contains("too short to tell")));
}

#[test]
fn filters_are_missing_where_lookups_ask_for_many_blocks_and_idle_where_they_rule_nothing_out() {
    const FILTER: (&str, &str) = ("state.backend.rocksdb.use-bloom-filter", "true");
    let mut result = empty();
    let many = StoreCounters { data_hits: 3_000, ..counters(0.99) };
    both(&mut result, "r", &[ROCKSDB], measurement(10.0), many);
    let finding = only(&advice(&result), "bloom-missing");
    assert_eq!((set(&finding), measured_in(&finding)), (vec![FILTER], None));
    both(
        &mut result,
        "filter",
        &[ROCKSDB, FILTER],
        measurement(20.0),
        StoreCounters { bloom_useful: 900, ..counters(0.99) },
    );
    assert_eq!(only(&advice(&result), "bloom-missing").effect.factor, Some(2.0));
    assert!(!has(&advice(&result), "bloom-without-use"));
    let mut result = empty();
    let shape = StoreShape { filter_bytes: MIB, ..StoreShape::default() };
    let measured = Measurement { store_shape: Some(shape), ..measurement(10.0) };
    both(&mut result, "filter", &[ROCKSDB, FILTER], measured, counters(0.99));
    assert_eq!(only(&advice(&result), "bloom-without-use").urgency, Urgency::Costs);
}

fn on_heap(events_per_s: f64, live_bytes: u64) -> Measurement {
    let heap = HeapMemory {
        jvm_live_bytes: live_bytes,
        jvm_array_bytes: 0,
        jvm_objects: Some(live_bytes / 50),
        entries: live_bytes / 200,
        jvm_allocated_bytes: 240_000,
        jvm_heap_bytes: 512 * MIB,
        task_managers: 1,
        process_live_bytes: None,
        process_allocated_bytes: None,
        rehash: None,
        allocator: None,
    };
    Measurement { heap: Some(heap), ..measurement(events_per_s) }
}

#[test]
fn the_backend_is_chosen_by_what_both_did() {
    let mut result = empty();
    both(&mut result, "rocksdb", &[ROCKSDB], measurement(100_000.0), counters(0.99));
    finished(&mut result, "heap", &[HEAP], on_heap(900_000.0, 50 * MIB));
    let finding = only(&advice(&result), "heap-is-faster");
    assert_eq!((set(&finding), measured_in(&finding), finding.effect.factor), (vec![HEAP], Some("heap"), Some(9.0)));
    let small = Parameters { heap_state_bytes: MIB, ..Parameters::default() };
    assert!(!has(&advise(&result, &small).unwrap(), "heap-is-faster"), "the limit is an input");
    let verdict = OutOfMemory {
        phase: "measure".to_owned(),
        event: 7,
        jvm_live_bytes: 600 * MIB,
        jvm_room_bytes: 480 * MIB,
        jvm_heap_bytes: 512 * MIB,
    };
    result.trials.retain(|trial| trial.configuration != "heap");
    trial(&mut result, "heap", &[HEAP], false, Outcome::OutOfMemory(verdict));
    let advice = advice(&result);
    let finding = only(&advice, "heap-out-of-memory");
    assert_eq!((set(&finding), measured_in(&finding)), (vec![ROCKSDB], Some("rocksdb")));
    assert_eq!(advice.findings[0].rule, "heap-out-of-memory", "what fails comes first");
    result.trials.retain(|trial| trial.configuration == "heap");
    let alone = only(&advise(&result, &Parameters::default()).unwrap(), "heap-out-of-memory");
    assert_eq!(alone.settings[0].key, "taskmanager.memory.task.heap.size");
}

#[test]
fn a_garbage_collector_needs_a_rate_and_comes_with_the_models_error() {
    let mut result = empty();
    finished(&mut result, "heap", &[HEAP], on_heap(900_000.0, 420 * MIB));
    let silent = advice(&result);
    assert!(silent.missing.iter().any(|missing| missing.how.contains("--events-per-second")), "{silent:#?}");
    let at = |rate: f64| {
        let parameters = Parameters { events_per_s: Some(rate), ..Parameters::default() };
        advise(&result, &parameters).unwrap()
    };
    let too_much = [1e5, 3e5, 1e6, 3e6, 1e7].into_iter().find(|rate| has(&at(*rate), "garbage-collection"));
    let finding = only(&at(too_much.expect("a rate that the heap is too small for")), "garbage-collection");
    assert!(finding.why.contains("off by"), "{finding:?}");
    assert!(!has(&at(1.0), "garbage-collection"));
}

fn checkpoints(written_bytes: u64, duration_ms: f64, failure: Option<&str>) -> Checkpoints {
    let record = |id| CheckpointRecord {
        id,
        kind: "full checkpoint".to_owned(),
        triggered_s: 0.0,
        time_ms: 0,
        events: 0,
        failure: failure.map(str::to_owned),
        sync_duration_ms: 1.0,
        async_duration_ms: 1.0,
        duration_ms,
        written_bytes,
        full_bytes: written_bytes,
        metadata_bytes: 1,
        new_files: 1,
        reused_files: 0,
        state_bytes: BTreeMap::new(),
    };
    Checkpoints {
        records: (1..4).map(record).collect(),
        modelled: false,
        location: None,
        savepoint: None,
        latency_during: None,
        latency_outside: None,
        size_trend: Trend::Undecided,
        duration_trend: Trend::Undecided,
        changelog: None,
        restore: None,
    }
}

#[test]
fn checkpoints_near_their_limits_and_full_ones() {
    const TIMEOUT: (&str, &str) = ("execution.checkpointing.timeout", "10 s");
    const INTERVAL: (&str, &str) = ("execution.checkpointing.interval", "10 s");
    let with = |settings: &[(&str, &str)], checkpoints: Checkpoints, written| {
        let mut result = empty();
        let measured = Measurement { checkpoints: Some(checkpoints), ..measurement(10.0) };
        let settings: Vec<_> = std::iter::once(ROCKSDB).chain(settings.iter().copied()).collect();
        both(&mut result, "r", &settings, measured, StoreCounters { written_bytes: written, ..counters(0.99) });
        result
    };
    let near = advice(&with(&[TIMEOUT, INTERVAL], checkpoints(100, 8_000.0, None), 1_000));
    assert_eq!(set(&only(&near, "checkpoint-near-timeout")), [("execution.checkpointing.timeout", "16 s")]);
    assert_eq!(set(&only(&near, "checkpoint-near-interval")), [("execution.checkpointing.interval", "16 s")]);
    assert!(!has(&near, "checkpoints-not-incremental"), "as much changes as there is");
    let failed = advice(&with(&[TIMEOUT], checkpoints(100, 0.0, Some("timeout of 10 s")), 1_000));
    assert_eq!(set(&only(&failed, "checkpoint-near-timeout")), [("execution.checkpointing.timeout", "20 s")]);
    let mut result = with(&[INTERVAL], checkpoints(1_000, 10.0, None), 300);
    assert!(measured_in(&only(&advice(&result), "checkpoints-not-incremental")).is_none());
    let incremental = [ROCKSDB, INTERVAL, ("execution.checkpointing.incremental", "true")];
    let less = Measurement { checkpoints: Some(checkpoints(50, 5.0, None)), ..measurement(10.0) };
    both(&mut result, "increments", &incremental, less, counters(0.99));
    assert_eq!(measured_in(&only(&advice(&result), "checkpoints-not-incremental")), Some("increments"));
    result.trials.retain(|trial| trial.configuration == "r" && !trial.companion);
    assert!(advice(&result).missing.iter().any(|missing| missing.figures.contains("incremental")));
}

#[test]
fn an_open_loop_that_does_not_keep_up_needs_another_configuration_or_more_subtasks() {
    let load = |saturated| OpenLoop {
        offered_events_per_s: 1_000.0,
        served_events_per_s: if saturated { 400.0 } else { 1_000.0 },
        saturated,
        idle_share: 0.0,
        response: Latency { summary: LatencySummary::default(), histogram: String::new() },
        response_during_checkpoints: None,
        samples: Vec::new(),
    };
    let mut result = empty();
    let open = |saturated| Measurement { open_loop: Some(load(saturated)), ..measurement(400.0) };
    both(&mut result, "r", &[ROCKSDB], open(true), counters(0.99));
    let alone = only(&advice(&result), "saturated");
    assert_eq!(set(&alone), [("parallelism.default", "4")]);
    finished(&mut result, "heap", &[HEAP], open(false));
    let finding = only(&advice(&result), "saturated");
    assert_eq!((set(&finding), measured_in(&finding)), (vec![HEAP], Some("heap")));
}

#[test]
fn an_option_that_did_better_in_every_run_is_told_with_its_trial() {
    const SIZE: &str = "state.backend.rocksdb.block.blocksize";
    let mut result = empty();
    let with = |result: &mut RunResult, name: &str, size: &str, rates: [f64; 2]| {
        both(result, name, &[ROCKSDB, (SIZE, size)], measurement(rates[0]), counters(0.99));
        finished(result, name, &[ROCKSDB, (SIZE, size)], measurement(rates[1]));
    };
    with(&mut result, "4k", "4kb", [100.0, 110.0]);
    with(&mut result, "16k", "16kb", [50.0, 60.0]);
    let finding = only(&advice(&result), "better-setting");
    assert_eq!((finding.configurations.as_slice(), set(&finding)), (&["16k".to_owned()][..], vec![(SIZE, "4 kb")]));
    // Runs that overlap tell nothing.
    with(&mut result, "16k", "16kb", [105.0, 40.0]);
    assert!(!has(&advice(&result), "better-setting"));
}

#[test]
fn one_configuration_may_be_asked_for_and_has_to_be_there() {
    let mut result = empty();
    finished(&mut result, "rocksdb", &[ROCKSDB], Measurement { growth: None, ..measurement(10.0) });
    finished(&mut result, "other", &[ROCKSDB, (POOL, "64mb")], Measurement { growth: None, ..measurement(10.0) });
    let of = |name: &str| Parameters { configuration: Some(name.to_owned()), ..Parameters::default() };
    let advice = advise(&result, &of("other")).unwrap();
    assert!(advice.missing.iter().all(|missing| missing.configurations == ["other"]));
    let error = advise(&result, &of("rocksbd")).unwrap_err().to_string();
    assert!(error.contains("did you mean `rocksdb`?"), "{error}");
    result.trials[0].options.insert("state.backend.rocksdb.thread.num".to_owned(), "many".to_owned());
    assert!(matches!(advise(&result, &Parameters::default()), Err(AdviseError::Option(..))));
    result.trials.clear();
    assert!(matches!(advise(&result, &Parameters::default()), Err(AdviseError::NoAnswers)));
}

#[test]
fn figures_that_no_run_gives_break_nothing() {
    for rate in [0.0, -1.0, f64::MAX, f64::NAN, f64::INFINITY] {
        let mut result = empty();
        for (pool, slow_event_share) in [("8mb", rate), ("64mb", 0.0), ("128mb", 0.0)] {
            let odd = Measurement {
                slow_event_share,
                busy_s: vec![rate],
                throughput_events_per_s: rate,
                checkpoints: Some(checkpoints(u64::MAX, rate, None)),
                cache_curve: Some(curve(&[(8, rate), (64, rate)], 64, rate)),
                ..on_heap(rate, u64::MAX)
            };
            let all =
                StoreCounters { lookups: u64::MAX / 8, stall_us: u64::MAX / 8, written_bytes: 1, ..counters(0.1) };
            both(&mut result, pool, &[ROCKSDB, (POOL, pool)], odd.clone(), all);
            finished(&mut result, &format!("heap {pool}"), &[HEAP, (POOL, pool)], odd);
        }
        let advice = advise(&result, &Parameters { events_per_s: Some(1e12), ..Parameters::default() }).unwrap();
        assert!(serde_json::to_string(&advice).is_ok());
    }
}
