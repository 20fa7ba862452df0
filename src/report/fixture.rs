//! Results for tests: made up, with something of everything that a page shows.

use std::path::Path;

use hdrhistogram::Histogram;

use crate::result::*;
use crate::workload::{Document, WorkloadWire};

/// What is done with numbers that must look like those of a machine: the same each time, without a pattern.
fn noise(seed: u64) -> f64 {
    let mixed = (seed.wrapping_add(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed ^ (mixed >> 32)) % 10_000) as f64 / 10_000.0
}

/// A result without trials.
pub(crate) fn empty(workload: &str) -> RunResult {
    let document = Document::parse(Path::new("orders.toml"), workload.to_owned()).unwrap();
    let workload: WorkloadWire = document.read().unwrap();
    RunResult {
        schema_version: SCHEMA_VERSION,
        manifest: Manifest {
            started_epoch_s: 1_795_711_920,
            host: Host {
                os: "Linux (Debian 12)".to_owned(),
                kernel: "6.1.0".to_owned(),
                cpu: "a CPU".to_owned(),
                cores: 2,
                memory_bytes: 8 << 30,
                state_file_system: "ext4".to_owned(),
                state_free_bytes: Some(1 << 36),
            },
            build: BuildInfo {
                statebench: "0.1.0".to_owned(),
                rocksdb: Some("11.8.1".to_owned()),
                profile: "release".to_owned(),
                allocator: "jemalloc".to_owned(),
                target: "x86_64-linux".to_owned(),
            },
            seed: 7,
            quick: false,
        },
        name: "orders".to_owned(),
        description: Some("orders joined with their customers".to_owned()),
        variants: vec![VariantInfo { label: String::new(), workload: workload.clone() }],
        workload,
        planned_trials: 0,
        trials: Vec::new(),
        agreements: Vec::new(),
        max_rates: Vec::new(),
        interleaved: None,
        tuning: None,
        interrupted: false,
    }
}

/// A result of heap and RocksDB with so many repeats.
pub(crate) fn result(repeats: u32) -> RunResult {
    let mut result = empty("[run]\nevents = 1_000_000\n");
    for repeat in 0..repeats {
        add(&mut result, "heap", repeat, heap(u64::from(repeat)));
        add(&mut result, "rocksdb", repeat, rocksdb(u64::from(repeat), 256));
    }
    companion(&mut result, "rocksdb");
    result
}

/// The result of a search: a start, a winner that is proved, and what one of its options is worth.
pub(crate) fn searched() -> RunResult {
    let mut result = empty("[run]\nevents = 1_000_000\n");
    for repeat in 0..7 {
        add(&mut result, "rocksdb", repeat, rocksdb(u64::from(repeat), 256));
        add(&mut result, "tuned", repeat, rocksdb(u64::from(repeat), 64));
    }
    let rate = "throughput_typical_events_per_s";
    let block = "state.backend.rocksdb.block.blocksize";
    let text = serde_json::json!({
        "setup": {
            "workloads": [{ "label": "orders", "weight": 1.0, "digest": "00000000000000aa" }],
            "goal": "most typical/s with p99 ≤ 5 ms", "objectives": [rate],
            "limits": [{ "quantity": "latency_p99_ns", "bound": 5e6 }],
            "over": "average", "start": "rocksdb", "start_options": { "state.backend.type": "rocksdb" },
            "options": [{ "key": block, "values": ["4 kb", "16 kb"] }],
            "combinations": 2.0, "seed": 7, "budget": { "seconds": 600.0 }, "own_prefill": false
        },
        "candidates": [
            { "point": [0], "changes": [], "described": "as rocksdb", "memory_budget_bytes": 67_108_864 },
            { "point": [1], "changes": [[block, "16 kb"]], "described": "block.blocksize=16 kb", "memory_budget_bytes": 67_108_864 }
        ],
        "trials": [{
            "candidate": 0, "workload": 0, "block": 0, "stage": "design", "metrics": { rate: 5e4 }, "is_slow": false, "fits": true,
            "took_s": 2.5
        }],
        "standings": [
            { "candidate": 1, "blocks": 6, "cost": [[0.5, 0.45, 0.55]], "keeps_limits": 0.99, "is_bimodal": false, "fits": true,
              "metrics": { rate: 1e5, "latency_p99_ns": 2e5 } },
            { "candidate": 0, "blocks": 4, "cost": [[1.0, 1.0, 1.0]], "keeps_limits": 0.9, "is_bimodal": false, "fits": true,
              "metrics": { rate: 5e4, "latency_p99_ns": 4e5 } }
        ],
        "winners": [1],
        "proofs": [{
            "winner": "tuned", "pairs": 7, "alpha": 0.01, "slow_trials": [0, 7], "is_proved": true, "why_not": [],
            "claims": [{ "base": "rocksdb", "quantity": rate, "cost": 0.5, "low": 0.48, "high": 0.52, "p": 0.0078, "is_better": true }],
            "limits": [{ "limit": "p99 ≤ 5 ms", "workload": 0, "median": 2e5, "worst": 2.5e5, "is_kept": true }]
        }],
        "importance": [{
            "key": block, "value": "16 kb", "back": "4 kb", "cost": 1.9, "pairs": 3, "range": [1.8, 2.0], "is_clear": true
        }],
        "importance_in": rate,
        "took_s": 61.0
    });
    result.tuning = Some(Box::new(serde_json::from_value(text).unwrap()));
    result
}

/// A sweep over a Flink option and the number of keys, `values` of each, with three repeats.
pub(crate) fn sweep(values: u32) -> RunResult {
    let mut result = empty(
        "[matrix]\n\"taskmanager.memory.managed.size\" = [\"8mb\", \"16mb\"]\n\"keys.cardinality\" = [1000, 2000]\n",
    );
    result.variants = (0..values)
        .map(|at| VariantInfo {
            label: format!("keys.cardinality={}", 1000_u64 << at),
            workload: result.workload.clone(),
        })
        .collect();
    for variant in 0..values {
        for size in 0..values {
            for repeat in 0..3 {
                let at = u64::from(variant * 100 + size * 10 + repeat);
                let mut measurement = rocksdb(at, 8 << size);
                measurement.throughput_events_per_s *= 0.3 + 0.7 * f64::from(size + 1) / f64::from(values);
                let mut knobs = std::collections::BTreeMap::new();
                knobs.insert("taskmanager.memory.managed.size".to_owned(), format!("{}mb", 8_u64 << size));
                knobs.insert("keys.cardinality".to_owned(), (1000_u64 << variant).to_string());
                let configuration = format!("rocksdb taskmanager.memory.managed.size={}mb", 8_u64 << size);
                add(&mut result, &configuration, repeat, measurement);
                let trial = result.trials.last_mut().unwrap();
                (trial.variant, trial.base, trial.knobs) = (variant as usize, "rocksdb".to_owned(), knobs);
            }
        }
    }
    result
}

pub(crate) fn add(result: &mut RunResult, configuration: &str, repeat: u32, measurement: Measurement) {
    let backend = if measurement.store_memory.is_some() { "rocksdb" } else { "hashmap" };
    result.planned_trials += 1;
    result.trials.push(Trial {
        variant: 0,
        configuration: configuration.to_owned(),
        base: configuration.to_owned(),
        knobs: [].into(),
        options: [("state.backend.type".to_owned(), backend.to_owned())].into(),
        repeat,
        companion: false,
        seed: u64::from(repeat),
        run: TrialRun::default(),
        outcome: Outcome::Finished(Box::new(measurement)),
    });
}

fn companion(result: &mut RunResult, configuration: &str) {
    let asked = (900_000, 100_000);
    let point = |step: i32| {
        let share = 2_f64.powi(step);
        let size = PoolSize {
            pool_bytes: (f64::from(256 << 20) * share) as u64,
            cache_bytes: (f64::from(200 << 20) * share) as u64,
        };
        let rate = 1.0 - 0.25 / share.sqrt().max(0.3);
        CachePoint::new(size, step == 0, (rate.clamp(0.0, 1.0), 1.0), asked)
    };
    let curve = CacheCurve {
        data_asked: asked.0,
        index_asked: asked.1,
        sampled: 5_000,
        measured_hit_rate: Some(0.8),
        points: (-4..=4).map(point).collect(),
    };
    add(result, configuration, 0, Measurement { cache_curve: Some(curve), ..rocksdb(99, 256) });
    if let Some(trial) = result.trials.last_mut() {
        trial.companion = true;
    }
}

/// A distribution around a median with a tail.
fn latency(median_ns: f64, seed: u64, events: u64) -> Latency {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 3_600_000_000_000, 2).unwrap();
    for at in 0..2_000_u64 {
        let share = (at as f64 + noise(seed + at)) / 2_000.0;
        let value = median_ns * (0.6 + 0.8 * share) / (1.0 - share).max(1e-4).powf(0.55);
        histogram.record_n(value as u64 + 1, events / 2_000).unwrap();
    }
    Latency::of(&histogram)
}

pub(crate) fn heap(seed: u64) -> Measurement {
    Measurement {
        heap: Some(HeapMemory {
            jvm_live_bytes: 300 << 20,
            jvm_array_bytes: 8 << 20,
            jvm_objects: Some(3_000_000),
            entries: 1_000_000,
            jvm_allocated_bytes: 240_000_000,
            jvm_heap_bytes: 1 << 30,
            task_managers: 1,
            process_live_bytes: Some(120 << 20),
            process_allocated_bytes: Some(64_000_000),
            rehash: Some(RehashStalls {
                rehashes: 3,
                allocating_ns: 900_000,
                longest_allocating_ns: 600_000,
                freeing_ns: 500_000,
                longest_freeing_ns: 400_000,
            }),
            allocator: Some(AllocatorStalls { calls: 120, total_ns: 3_000_000, longest_ns: 700_000 }),
        }),
        ..measurement(seed, 4_000_000.0, 180.0)
    }
}

pub(crate) fn rocksdb(seed: u64, budget_mib: u64) -> Measurement {
    let mib = |mib: u64| mib << 20;
    let used = StoreUse {
        cache_bytes: mib(budget_mib * 7 / 10),
        cache_pinned_bytes: mib(budget_mib / 5),
        memtable_bytes: mib(budget_mib / 5),
        table_reader_bytes: mib(1),
    };
    let counters = StoreCounters {
        lookups: 1_000_000,
        data_hits: 800_000,
        data_misses: 150_000,
        data_read_bytes: 600 << 20,
        returned_bytes: 100 << 20,
        written_bytes: 100 << 20,
        flush_bytes: 90 << 20,
        compaction_write_bytes: 210 << 20,
        ..StoreCounters::default()
    };
    let mut measurement = measurement(seed, 320_000.0, 2_400.0);
    let timeline = measurement.timeline.as_mut().unwrap();
    let count = timeline.intervals.len() as u64;
    for (at, interval) in timeline.intervals.iter_mut().enumerate() {
        let share = (at as u64 + 1) as f64 / count as f64;
        let cache_bytes = (used.cache_bytes as f64 * share.sqrt()) as u64;
        let memtable_bytes = (used.memtable_bytes as f64 * ((at % 20) as f64 / 20.0)) as u64;
        interval.store = Some(StoreSample {
            used: StoreUse { cache_bytes, memtable_bytes, cache_pinned_bytes: memtable_bytes, ..used },
            live_data_bytes: mib(90),
            table_file_bytes: mib(120),
            counters: Some(StoreCounters { data_hits: 7_000 + 10 * at as u64, data_misses: 2_000, ..counters }),
            ..StoreSample::default()
        });
    }
    for at in 0..30_u32 {
        let begin_ms = f64::from(at) * 320.0;
        let episode = |kind, length: f64| Episode {
            kind,
            subtask: Some(0),
            begin_ms,
            end_ms: begin_ms + length,
            bytes: Some(5 << 20),
            detail: Some("default, L0 to L1".to_owned()),
        };
        timeline.episodes.push(episode(EpisodeKind::Flush, 40.0));
        if at % 4 == 3 {
            timeline.episodes.push(episode(EpisodeKind::Compaction, 400.0));
        }
        if at == 17 {
            timeline.episodes.push(episode(EpisodeKind::Delayed, 250.0));
            timeline.episodes.push(episode(EpisodeKind::Stopped, 90.0));
        }
    }
    timeline.episodes.sort_by(|a, b| a.begin_ms.total_cmp(&b.begin_ms));
    Measurement {
        store_bytes: Some(mib(120)),
        store_memory: Some(StoreMemory {
            budget: Some(StoreBudget {
                pools: 1,
                pool_bytes: mib(budget_mib),
                cache_bytes: mib(budget_mib * 5 / 6),
                write_buffer_bytes: mib(budget_mib / 3),
                high_priority_bytes: mib(budget_mib / 12),
                cache_shards: 64,
                cache_shard_bytes: mib(budget_mib) / 64,
            }),
            peak: used,
            end: used,
        }),
        store_shape: Some(StoreShape {
            levels: vec![
                LevelShape { files: 3, bytes: mib(12) },
                LevelShape { files: 5, bytes: mib(40) },
                LevelShape { files: 9, bytes: mib(68) },
            ],
            ..StoreShape::default()
        }),
        store_counters: Some(counters),
        ..measurement
    }
}

fn measurement(seed: u64, rate: f64, median_ns: f64) -> Measurement {
    let rate = rate * (0.95 + 0.1 * noise(seed));
    let record = |at: u32| CheckpointRecord {
        id: u64::from(at) + 1,
        kind: "full checkpoint".to_owned(),
        triggered_s: f64::from(at) * 2.0 + 1.0,
        time_ms: i64::from(at) * 2_000,
        events: u64::from(at) * 100_000,
        failure: None,
        sync_duration_ms: median_ns / 400.0 + noise(seed + u64::from(at)),
        async_duration_ms: 60.0,
        duration_ms: 80.0 + 10.0 * noise(seed + 7 + u64::from(at)),
        written_bytes: 20 << 20,
        full_bytes: 90 << 20,
        metadata_bytes: 2_000,
        new_files: 3,
        reused_files: 5,
        state_bytes: [].into(),
    };
    let sample = |at: u64| GrowthSample {
        events: at * 31_250,
        time_ms: at as i64 * 60_000,
        live_entries: 1_000_000,
        expired_entries: at * 1_000,
        live_bytes: 80 << 20,
        expired_bytes: at << 20,
        ..GrowthSample::default()
    };
    Measurement {
        events: 1_000_000,
        wall_s: 10.0,
        busy_s: vec![1_000_000.0 / rate],
        throughput_events_per_s: rate,
        event_latency: latency(median_ns, seed, 1_000_000),
        access_latency: vec![AccessLatency {
            kind: "value.get".to_owned(),
            latency: latency(median_ns / 2.0, seed + 1, 100_000),
        }],
        resident_bytes: Some(200 << 20),
        resident_peak_bytes: Some((200 << 20) + (noise(seed) * 1e7) as u64),
        checkpoint_bytes: Some(90 << 20),
        growth: Some(Growth { samples: (0..32).map(sample).collect(), trend: Trend::Unbounded { per_day: 1.5e9 } }),
        checkpoints: Some(Checkpoints {
            records: (0..5).map(record).collect(),
            modelled: false,
            location: None,
            savepoint: None,
            latency_during: None,
            latency_outside: None,
            size_trend: Trend::Bounded,
            duration_trend: Trend::Undecided,
            changelog: None,
            restore: Some(Restore {
                id: 5,
                parallelism: 1,
                bytes: 90 << 20,
                restore_duration_ms: 120.0,
                first_events_ms: 125.0,
                recovered_ms: Some(300.0),
                replayed_events: 100_000,
                agrees: true,
            }),
        }),
        timeline: Some(timeline(seed, rate, median_ns)),
        ..Measurement::of_nothing()
    }
}

fn timeline(seed: u64, rate: f64, median_ns: f64) -> Timeline {
    let interval = |at: u64| {
        let dip = if at % 20 == 10 { 0.55 } else { 0.9 + 0.2 * noise(seed + at) };
        let events = (rate * 0.1 * dip) as u64;
        let bucket = heat_bucket(median_ns as u64);
        let tail = bucket.saturating_add(if at % 20 == 10 { 40 } else { 18 });
        let heat =
            (bucket - 3..tail).map(|b| (b, (events as f64 / 1.6_f64.powi(i32::from(b.abs_diff(bucket)))) as u32 + 1));
        Interval {
            events,
            busy_ns: 100_000_000,
            p50_ns: Some(median_ns as u64),
            p99_ns: Some((median_ns * 12.0 / dip) as u64),
            max_ns: (median_ns * 900.0) as u64,
            heat: heat.collect(),
            resident_bytes: Some((180 << 20) + at * 100_000),
            store: None,
        }
    };
    let checkpoint = |at: u32| Episode {
        kind: EpisodeKind::Checkpoint,
        subtask: None,
        begin_ms: f64::from(at) * 2_000.0 + 1_000.0,
        end_ms: f64::from(at) * 2_000.0 + 1_085.0,
        bytes: Some(20 << 20),
        detail: None,
    };
    Timeline {
        interval_ms: 100,
        intervals: (0..100).map(interval).collect(),
        episodes: (0..5).map(checkpoint).collect(),
        unlisted_episodes: 0,
    }
}
