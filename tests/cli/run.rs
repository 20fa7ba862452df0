//! `statebench run`, where nothing goes wrong.

use std::fmt::Write;

use insta::assert_snapshot;
use statebench::result::{Outcome, RunResult};
use statebench::state::Digest;

use super::{Place, figures, measured, trial, workload_files, workloads};

/// What the trials of a result computed: emitted and state.
fn digests(result: &RunResult) -> Vec<(Digest, Digest)> {
    result.finished().map(|(_, measurement)| (measurement.emitted, measurement.state)).collect()
}

#[test]
fn a_quick_run_prints_a_table_and_saves_a_result() {
    let place = Place::with_job();
    let ran = place.statebench("run --quick job.toml");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), "result: ./job.result.json\n"));
    assert_snapshot!(figures(&ran.out), @"
    job
    a small job

    configuration | trials | ratio | events/s | spread | p50 | p99 | p99.9 | longest | memory | disk
    heap | 1 | # | # | # | # | # | # | # | # | #
    rocksdb | 1 | # | # | # | # | # | # | # | # | #

    configuration | state access | timed | p50 | p99 | p99.9
    heap | value.get | # | # | # | #
    heap | value.update | # | # | # | #
    rocksdb | value.get | # | # | # | #
    rocksdb | value.update | # | # | # | #

    RocksDB memory | budget | cache | write buffers | high prio | shard | used | passed | pinned | memtables | index, filter | resident
    rocksdb | 512 MiB | # | # | # | # | # | no | # | # | # | #

    digest repeat 1: emitted DIGEST after 28192 events, state DIGEST after 28192: equal in 2 trials
    a dash for a percentile: fewer than 100 timed events of a trial lie beyond it
    quick: a check that the workload runs, not a measurement
    debug build: the figures mean nothing
    ");
    let result = place.result("job.result.json");
    assert_eq!((result.planned_trials, result.finished().count(), result.interrupted), (2, 2, false));
    assert!(result.manifest.quick && result.all_agree());
    let (heap, rocksdb) = (measured(&result, "heap"), measured(&result, "rocksdb"));
    assert_eq!((heap.emitted, heap.state), (rocksdb.emitted, rocksdb.state));
    assert_eq!((heap.state.count, heap.events, heap.prefill_keys), (1_000, 20_000, 1_000));
    assert_eq!(heap.emitted.count, heap.warm_up_events + heap.events);
    assert!(heap.store_bytes.is_none() && rocksdb.store_bytes > Some(0));
}

#[test]
fn the_events_of_a_seed_give_the_same_state_every_time_and_at_any_parallelism() {
    let place = Place::with_job();
    let run = |args: &str| {
        place.statebench(&format!("run job.toml -q --force -o r.json {args}")).ok();
        let result = place.result("r.json");
        let all = digests(&result);
        assert_eq!(all, vec![all[0]; all.len()], "{args}");
        all[0]
    };
    let first = run("");
    assert_eq!(run(""), first);
    assert_eq!(run("--parallelism 2"), first);
    assert_eq!(measured(&place.result("r.json"), "heap").busy_s.len(), 2, "the trial did run in two subtasks");
    assert_eq!(run("--seed 1"), first, "1 is the default");
    let other = run("--seed 2");
    assert_ne!((other.0, other.1), first);
}

#[test]
fn repeats_have_event_streams_of_their_own() {
    let place = Place::with_job();
    place.statebench("run job.toml -q --repeats 2").ok();
    let result = place.result("job.result.json");
    assert_eq!(result.trials.len(), 4);
    let of = |repeat: u32| {
        let mut own: Vec<_> = result.finished().filter(|(trial, _)| trial.repeat == repeat).collect();
        own.sort_by_key(|(trial, _)| trial.configuration.clone());
        own.into_iter().map(|(trial, measurement)| (trial.seed, measurement.emitted)).collect::<Vec<_>>()
    };
    let (first, second) = (of(0), of(1));
    assert_eq!((first[0], second[0]), (first[1], second[1]), "the configurations of a repeat share one stream");
    assert_ne!(first[0], second[0]);
}

#[test]
fn a_trial_measured_for_a_duration_is_compared_where_all_have_been() {
    let place = Place::new();
    place.file(
        "job.toml",
        "keys.cardinality = 500\nrun = { duration = '200 ms', repeats = 1, verify-events = 12_345, counters = false }\n",
    );
    place.statebench("run job.toml -q").ok();
    let result = place.result("job.result.json");
    let (heap, rocksdb) = (measured(&result, "heap"), measured(&result, "rocksdb"));
    assert!(heap.wall_s >= 0.2 && rocksdb.wall_s >= 0.2);
    let [agreement] = &result.agreements[..] else { panic!("{:?}", result.agreements) };
    assert_eq!((agreement.trials, agreement.differences.len()), (2, 0));
    let shorter = (heap.warm_up_events + heap.events).min(rocksdb.warm_up_events + rocksdb.events);
    assert!(agreement.emitted_after_events > 0 && agreement.emitted_after_events <= shorter);
    assert_eq!(agreement.emitted.count, agreement.emitted_after_events, "a counter emits once for each event");
    assert_eq!((agreement.state_after_events, agreement.state.count), (12_345, 500));
    assert_eq!(heap.state, rocksdb.state);
}

#[test]
fn every_workload_that_comes_with_the_program_runs_and_agrees() {
    let place = Place::new();
    let mut seen = String::new();
    for file in workload_files() {
        let name = file.file_stem().unwrap().to_str().unwrap();
        // The walk over large maps is slow in a debug build; a list is handed on at the twentieth event of its key.
        let smaller = match name {
            "map-vs-value-of-map" | "ycsb-e" | "list-buffer" => "--set keys.cardinality=200",
            // So few events are seconds, and no window of ten would end.
            "nexmark-q5" | "nexmark-q11" => "--set time.rate=300",
            _ => "",
        };
        // Phases have events of their own.
        let events = if name == "phases" { "" } else { "--set run.events=10_000" };
        let args = format!("run --quick -q -o {name}.json {events} {smaller} {}", file.display());
        let out = place.statebench(&args).ok();
        let result = place.result(&format!("{name}.json"));
        assert_eq!(result.finished().count(), result.planned_trials, "{name}: {out}");
        assert!(result.all_agree(), "{name}: {out}");
        assert!(result.description.is_some_and(|about| !about.is_empty()), "{name}");
        for agreement in &result.agreements {
            assert!(agreement.emitted.count > 0 && agreement.state.count > 0, "{name}: {agreement:?}");
        }
        let compared = result.agreements.iter().map(|agreement| agreement.trials.to_string()).collect::<Vec<_>>();
        let _ = writeln!(seen, "{name}: {}", compared.join(" "));
    }
    assert_snapshot!(seen, @"
    average: 2
    broadcast-rules: 2
    cache-ttl: 2 2
    cdc-orders: 2
    changelog: 4
    checkpoint-churn: 3 3
    checkpoint-interval: 4
    continuous-aggregation: 2
    continuous-join: 2
    counter: 2
    deduplicate: 2 2
    disk-regime: 1 1
    flights-by-route: 2
    flink-state-benchmark: 2 2
    harness-floor: 
    interval-join: 2
    latency-open-loop: 2
    list-buffer: 2
    map-vs-value-of-map: 2 2
    mixgraph: 2
    moving-hot-key: 2
    nexmark-q11: 2
    nexmark-q17: 2
    nexmark-q18: 2
    nexmark-q19: 2
    nexmark-q20: 2
    nexmark-q4: 2
    nexmark-q5: 2
    nexmark-q7: 2
    nexmark-q8: 2
    nexmark-q9: 2
    phases: 2
    reduce: 2
    regular-join: 2
    rescale: 2
    savepoint-portability: 2
    session-keys: 2
    session-window: 2 2
    sliding-window: 2 2
    source-offsets: 2
    sweep-block-cache: 2
    sweep-block-size: 2
    sweep-bloom: 3
    sweep-compression: 2 2
    sweep-managed-memory: 4
    sweep-skew: 2 2
    sweep-state-size: 2 2
    sweep-write-buffer: 4
    temporal-join: 2
    top-n: 2
    ttl-cleanup: 2 2
    tumbling-window: 2 2
    window-all: 2 2
    window-join: 2 2
    ycsb-a: 2
    ycsb-b: 2
    ycsb-c: 2
    ycsb-d: 2
    ycsb-e: 2
    ycsb-f: 2
    ");
}

/// Events of a broadcast stream reach all subtasks and count once, and so does every watermark.
#[test]
fn what_goes_to_all_subtasks_makes_no_difference() {
    let place = Place::new();
    for name in
        ["broadcast-rules", "continuous-join", "interval-join", "regular-join", "source-offsets", "temporal-join"]
    {
        let file = workloads().join(format!("{name}.toml"));
        let run = |parallelism: u16| {
            let more = "--set run.events=20_000 --force -o r.json";
            place.statebench(&format!("run --quick -q {more} --parallelism {parallelism} {}", file.display())).ok();
            let result = place.result("r.json");
            let [agreement] = &result.agreements[..] else { panic!("{:?}", result.agreements) };
            assert_eq!((agreement.trials, agreement.differences.len()), (2, 0), "{name}");
            let events = measured(&result, "heap").events;
            (agreement.emitted, agreement.state, events)
        };
        let alone = run(1);
        assert_eq!(alone.2, 20_000, "{name}");
        assert_eq!([run(2), run(3)], [alone, alone], "{name}");
    }
}

#[test]
fn queries_compute_the_same_at_any_parallelism() {
    let place = Place::new();
    let files = workload_files();
    let queries = files.iter().filter(|file| {
        let name = file.file_stem().unwrap().to_string_lossy();
        name.starts_with("nexmark-") || ["mixgraph", "window-all", "continuous-aggregation"].contains(&&*name)
    });
    let mut seen = 0;
    for file in queries {
        let agreed = |parallelism: u16| {
            let args = "run --quick -q --force -o r.json --set run.events=10_000 --set time.rate=300";
            place.statebench(&format!("{args} --parallelism {parallelism} {}", file.display())).ok();
            let agreements = place.result("r.json").agreements;
            agreements.iter().map(|agreement| (agreement.emitted, agreement.state)).collect::<Vec<_>>()
        };
        let alone = agreed(1);
        assert!(!alone.is_empty() && alone == agreed(2), "{}", file.display());
        seen += 1;
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn values_of_the_file_and_options_are_overridden() {
    let place = Place::with_job();
    place
        .statebench(
            "run job.toml -q --set keys.cardinality=77 --set keys.distribution=uniform --set run.prefill=0.0 \
             --set state.backend.rocksdb.memory.fixed-per-slot=8mb",
        )
        .ok();
    let result = place.result("job.result.json");
    assert_eq!(result.workload.keys.cardinality, 77);
    assert_eq!(measured(&result, "heap").state.count, 77);
    assert_eq!(measured(&result, "heap").prefill_keys, 0);
    let option =
        |configuration| trial(&result, configuration).options["state.backend.rocksdb.memory.fixed-per-slot"].clone();
    assert_eq!((option("heap").as_str(), option("rocksdb").as_str()), ("none", "8 mb"));
}

#[test]
fn every_format_is_what_it_says() {
    let place = Place::with_job();
    let print = |format: &str| place.statebench(&format!("run job.toml -q --force -o r.json --format {format}")).ok();
    let json: serde_json::Value = serde_json::from_str(&print("json")).unwrap();
    assert_eq!(json["rows"][0]["configuration"], "heap");
    assert_eq!(json["rows"][0]["throughput_ratio"], 1.0);
    assert!(json["rows"][1]["metrics"]["throughput_events_per_s"]["median"].as_f64() > Some(0.0));
    assert_eq!(json["accesses"][0]["access"], "value.get");

    let csv = print("csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let cell = |row: usize, name: &str| &rows[row][columns.iter().position(|column| column == name).unwrap()];
    assert_eq!((rows.len(), cell(0, "configuration"), cell(1, "configuration")), (2, "heap", "rocksdb"));
    assert!(cell(1, "throughput_events_per_s_median").parse::<f64>().unwrap() > 0.0);

    let markdown = print("markdown");
    let table: Vec<_> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    assert!(table[1].chars().all(|c| matches!(c, '|' | '-' | ':' | ' ')), "{markdown}");
    let bars = |line: &str| line.matches('|').count();
    assert!(table[..4].iter().all(|line| bars(line) == bars(table[0])), "{markdown}");
}

#[test]
fn a_quiet_run_says_nothing_beside_its_table() {
    let place = Place::new();
    let cache = "\"state.backend.type\" = \"rocksdb\"\n\"state.backend.rocksdb.block.cache-size\" = \"1mb\"";
    place.file("job.toml", format!("{}\n[[configuration]]\nname = \"a\"\n{cache}\n", super::SMALL));
    let loud = place.statebench("run --quick job.toml");
    assert_snapshot!(loud.err, @"
    warning: a: `state.backend.rocksdb.block.cache-size`: Flink ignores it: memory of a slot is shared, which brings one block cache of 427 mb for all states; write: a larger taskmanager.memory.managed.size or .fraction, for a larger cache; or state.backend.rocksdb.memory.managed: false for a cache of its own for each state, which nothing bounds then
    result: ./job.result.json
    ");
    let quiet = place.statebench("run --quick -q job.toml");
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(0), ""));
    assert_eq!(figures(&quiet.out), figures(&loud.out));
}

#[test]
fn a_state_that_does_not_fit_the_java_heap_is_an_answer() {
    let place = Place::new();
    let job = r#"
keys = { cardinality = 300_000 }
values.size = "100 b"
operator.mix.update = 1.0
run = { events = 20_000, repeats = 1, counters = false }
[[configuration]]
name = "small heap"
"state.backend.type" = "hashmap"
"taskmanager.memory.framework.heap.size" = "16mb"
"taskmanager.memory.task.heap.size" = "16mb"
"taskmanager.memory.managed.size" = "64mb"
[[configuration]]
name = "heap"
"state.backend.type" = "hashmap"
[[configuration]]
name = "rocksdb"
"state.backend.type" = "rocksdb"
"#;
    place.file("job.toml", job);
    let ran = place.statebench("run job.toml -o r.json");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let result = place.result("r.json");
    let Outcome::OutOfMemory(verdict) = &trial(&result, "small heap").outcome else { panic!("{result:?}") };
    // 32 MiB less 11 of the process and two regions of 1 MiB; an entry takes 184 bytes and its part of the arrays.
    assert_eq!(
        (verdict.phase.as_str(), verdict.jvm_heap_bytes, verdict.jvm_room_bytes),
        ("prefill", 32 << 20, 19 << 20)
    );
    assert!(verdict.jvm_live_bytes > 19 << 20 && verdict.jvm_live_bytes < 20 << 20, "{verdict}");
    assert!((90_000..120_000).contains(&verdict.event), "{verdict}");
    assert!(ran.out.contains(&format!("small heap repeat 1: {verdict}")), "{}", ran.out);
    assert!(verdict.to_string().starts_with("would have run out of memory at event "), "{verdict}");
    assert_eq!(result.agreements[0].trials, result.all_finished().count(), "it is not compared");
    let heap = measured(&result, "heap").heap.unwrap();
    assert_eq!((heap.jvm_heap_bytes, heap.entries), (536_870_902, 300_000));
    // The smallest of the longs are shared objects.
    assert_eq!(heap.jvm_live_bytes, 300_000 * 184 - 128 * 24 + heap.jvm_array_bytes);
    assert_eq!(heap.jvm_allocated_bytes, measured(&result, "heap").events * 120);
    assert!(heap.process_live_bytes.unwrap() > 300_000 * 140);
    assert_eq!(measured(&result, "rocksdb").heap, None);
}

#[test]
fn a_result_is_not_overwritten_unless_asked() {
    let place = Place::with_job();
    place.file("r.json", "mine");
    let ran = place.statebench("run --quick job.toml -o r.json");
    assert_eq!((ran.code, ran.err.as_str()), (Some(2), "error: r.json exists; --force overwrites it\n"));
    assert_eq!(place.text("r.json"), "mine");
    place.statebench("run --quick job.toml -o r.json --force").ok();
    assert_eq!(place.result("r.json").trials.len(), 2);
    for expected in ["job.result.json", "job.2.result.json", "job.3.result.json"] {
        place.statebench("run --quick job.toml --set configuration=[] --set keys.cardinality=5").ok();
        assert!(place.path(expected).exists(), "{expected}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let place = Place::with_job();
    for args in ["run --quick job.toml", "list options", "completions bash", "check job.toml", "--help"] {
        let mut child = super::start(place.command(args));
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args}");
    }
    assert_eq!(place.result("job.result.json").finished().count(), 2);
}

/// In an open loop the results are those of a closed one; response times are told, and overload in their place.
#[test]
fn events_arrive_at_a_rate_of_their_own_or_the_run_says_that_it_is_saturated() {
    let place = Place::new();
    let job = |load: &str| {
        format!(
            "keys.cardinality = 1_000\nrun = {{ events = 20_000, warm-up = 0, repeats = 1, counters = false }}\n{load}"
        )
    };
    place.file("closed.toml", job(""));
    let closed = place.statebench("run closed.toml -q -o closed.json").ok();
    assert!(!closed.contains("open loop"), "{closed}");
    let emitted = place.result("closed.json").agreements[0].emitted;
    for kind in ["constant", "poisson", "bursty", "diurnal"] {
        place.file("job.toml", job(&format!("load = {{ rate = 20_000.0, arrivals = '{kind}' }}\n")));
        for parallelism in [1, 2] {
            let args = format!("run job.toml -q --force -o r.json --parallelism {parallelism}");
            let out = place.statebench(&args).ok();
            assert!(out.contains("kept up"), "{kind}: {out}");
            let result = place.result("r.json");
            assert_eq!(result.agreements[0].emitted, emitted);
            for configuration in ["heap", "rocksdb"] {
                let found = measured(&result, configuration).open_loop.as_ref().unwrap();
                assert_eq!((found.saturated, found.response.summary.count), (false, 20_000), "{found:?}");
                assert!(found.served_events_per_s < 30_000.0 && found.idle_share > 0.1, "{found:?}");
            }
        }
    }
    place.file("job.toml", job("load.rate = 1e9\n"));
    let out = place.statebench("run job.toml -q --force -o r.json").ok();
    assert!(out.contains("saturated at "), "{out}");
    let found = place.result("r.json");
    assert!(measured(&found, "heap").open_loop.as_ref().unwrap().saturated);
    place.file("job.toml", job("load.rate = 0\n"));
    let ran = place.statebench("run job.toml -q --force -o r.json");
    assert!(ran.code == Some(2) && ran.err.contains("load.rate"), "{ran:?}");
}

/// The rates of a search, and what it says in the end.
#[test]
fn the_highest_rate_that_keeps_a_latency_is_searched() {
    let place = Place::new();
    let job = "keys.cardinality = 1_000\nrun = { events = 20_000, warm-up = 0, repeats = 1, counters = false }\n";
    place.file("job.toml", job);
    let run = |more: &str| place.statebench(&format!("run job.toml -q --force -o r.json {more}"));
    let out = run("--find-max-rate --p99 10s --configuration heap").ok();
    assert!(out.contains("max rate heap: ") && out.contains("keep p99 at or below 10.0 s"), "{out}");
    let result = place.result("r.json");
    let found = &result.max_rates[0];
    assert_eq!(result.trials.len(), 1 + found.trials.len());
    assert!(found.trials.iter().all(|trial| trial.p99_ns.is_some()), "{found:?}");
    assert_eq!(place.statebench("show r.json").ok(), out);
    let out = run("--find-max-rate --p99 1ns --configuration heap").ok();
    assert!(out.contains("no rate that was tried keeps p99"), "{out}");
    assert_eq!(run("--find-max-rate").code, Some(2));
    assert_eq!(run("--p99 5ms").code, Some(2));
    assert_eq!(run("--find-max-rate --p99 soon").code, Some(2));
}
