//! What a run tells of RocksDB's stores: shared prefills, companions with counters, knobs, memory.

use insta::assert_snapshot;
use statebench::result::{Outcome, PrefillOrigin, RunResult};

use super::{Place, figures};

/// Two pools, two file formats; counters asked for although the run is quick.
const SWEEP: &str = r#"
keys.cardinality = 2_000
operator.mix.read-modify-write = 1.0
run = { events = 20_000, repeats = 2, counters = true, prefill-by = "ingest" }
[[configuration]]
name = "heap"
[[configuration]]
name = "rocksdb"
"state.backend.type" = "rocksdb"
[matrix]
"state.backend.rocksdb.block.blocksize" = ["4kb", "16kb"]
"state.backend.rocksdb.memory.high-prio-pool-ratio" = [0.1, 0.3]
"#;

fn run(text: &str) -> (RunResult, String) {
    let place = Place::new();
    place.file("sweep.toml", text);
    let out = place.statebench("run sweep.toml -q -o r.json").ok();
    (place.result("r.json"), out)
}

#[test]
fn a_sweep_shares_prefills_counts_in_companions_and_ends_with_its_knobs() {
    let (result, out) = run(SWEEP);
    assert_eq!((result.planned_trials, result.all_finished().count()), (14, 14));
    assert!(result.all_agree(), "a copy of a prefill holds the same state");
    for (trial, measurement) in result.all_finished() {
        assert_eq!(measurement.prefill_keys, 2_000);
        if trial.configuration == "heap" {
            assert_eq!(measurement.prefill_by, PrefillOrigin::Restored);
            continue;
        }
        assert_eq!(measurement.prefill_by, PrefillOrigin::Linked);
        assert_eq!(measurement.store_counters.is_some(), trial.companion);
        let memory = measurement.store_memory.as_ref().unwrap();
        assert!(memory.peak.total_bytes() > 0 && memory.budget.unwrap().pool_bytes == 536_870_920);
        assert!(measurement.store_shape.as_ref().unwrap().data_bytes > 0);
    }
    let counted: Vec<_> = result.all_finished().filter_map(|(_, measurement)| measurement.store_counters).collect();
    assert!(counted.len() == 4 && counted.iter().all(|counters| counters.lookups >= 20_000), "{counted:?}");
    let knobs = figures(&out);
    let knobs = knobs.split("\n\n").find(|table| table.starts_with("block.blocksize")).unwrap();
    assert_snapshot!(knobs, @"
    block.blocksize | memory.high-prio-pool-ratio | configuration | events/s | typical/s | p50 | p99 | CPU | hit rate | write amp. | read amp. | space amp. | index reads
    - | - | heap | # | # | # | # | # | # | # | # | # | #
    4kb | 0.1 | rocksdb | # | # | # | # | # | # | # | # | # | #
    4kb | 0.3 | rocksdb | # | # | # | # | # | # | # | # | # | #
    16kb | 0.1 | rocksdb | # | # | # | # | # | # | # | # | # | #
    16kb | 0.3 | rocksdb | # | # | # | # | # | # | # | # | # | #
    ");
    let memory = out.lines().find(|line| line.contains("blocksize=4kb") && line.contains("512 MiB")).unwrap();
    assert!(memory.contains("427 MiB") && memory.contains("171 MiB") && memory.contains(" no "), "{memory}");
    assert!(
        out.contains("prefill: ingested sorted") && out.contains("prefill: 10 trials started from a copy"),
        "{out}"
    );
}

#[test]
fn a_prefill_that_is_put_is_the_trials_own() {
    let (result, _) = run(&SWEEP.replace("ingest", "puts").replace("counters = true", "counters = false"));
    assert!(result.all_agree());
    assert!(result.all_finished().all(|(trial, m)| m.prefill_by == PrefillOrigin::Own && !trial.companion));
}

#[test]
fn a_pool_of_a_task_manager_is_shared_by_its_slots() {
    let job = r#"
        keys.cardinality = 1_000
        run = { events = 8_192, repeats = 1, parallelism = 2, counters = false }
        [[configuration]]
        name = "per slot"
        "state.backend.type" = "rocksdb"
        "taskmanager.numberOfTaskSlots" = 2
        "taskmanager.memory.managed.size" = "64mb"
        [[configuration]]
        name = "per tm"
        "state.backend.type" = "rocksdb"
        "taskmanager.numberOfTaskSlots" = 2
        "state.backend.rocksdb.memory.managed" = false
        "state.backend.rocksdb.memory.fixed-per-tm" = "64mb"
    "#;
    let (result, _) = run(job);
    for (trial, measurement) in result.finished() {
        let budget = measurement.store_memory.as_ref().unwrap().budget.unwrap();
        let pools = if trial.configuration == "per slot" { 2 } else { 1 };
        assert_eq!((budget.pools, budget.pool_bytes), (pools, 64 << 20), "{}", trial.configuration);
    }
}

/// The small heap cannot even hold the shared prefill; the large one makes it anew.
#[test]
fn a_shared_prefill_that_does_not_fit_a_heap_is_an_answer_too() {
    let (result, out) = run(r#"
        keys.cardinality = 60_000
        run = { events = 8_192, repeats = 2, prefill-by = "ingest" }
        [[configuration]]
        name = "large"
        [[configuration]]
        name = "small"
        "taskmanager.memory.framework.heap.size" = "4mb"
        "taskmanager.memory.task.heap.size" = "13mb"
    "#);
    let outcomes =
        |name: &str| result.trials.iter().filter(|t| t.configuration == name).map(|t| &t.outcome).collect::<Vec<_>>();
    for outcome in outcomes("small") {
        let Outcome::OutOfMemory(verdict) = outcome else { panic!("{outcome:?}") };
        assert!(verdict.phase == "prefill" && verdict.event <= 60_000, "{verdict:?}");
    }
    assert!(outcomes("large").iter().all(|outcome| matches!(outcome, Outcome::Finished(_))));
    assert!(out.contains("2 out of memory"), "{out}");
}

/// Values with blanks, times and tables are what they are, and options that were laid over the file are to be pasted too.
#[test]
fn knobs_keep_their_values_and_a_knee_its_keys() {
    let place = Place::new();
    let job = r#"
        keys.cardinality = 200
        run = { events = 4_096, repeats = 1, counters = false }
        [[configuration]]
        name = "a b"
        state.backend.type = "rocksdb"
        [matrix]
        "values.size" = ["100 b", "1 kb"]
        "state.backend.rocksdb.writebuffer.size" = ["8 mb", "16 mb", "32 mb"]
    "#;
    place.file("sweep.toml", job);
    let out = place.statebench("run sweep.toml -q -o r.json --set state.backend.rocksdb.thread.num=5").ok();
    let result = place.result("r.json");
    assert!(result.trials.iter().all(|trial| trial.base == "a b" && trial.knobs.len() == 2));
    assert!(result.trials.iter().any(|trial| trial.knobs["values.size"] == "1 kb"));
    let knee = out.lines().find(|line| line.starts_with("knee a b values.size=1 kb: ")).unwrap();
    assert!(knee.contains("state.backend.type: rocksdb · ") || knee.ends_with("state.backend.type: rocksdb"), "{knee}");
    assert!(
        knee.contains("state.backend.rocksdb.thread.num: 5")
            && knee.contains("state.backend.rocksdb.writebuffer.size: ")
    );
}

/// RocksDB's logs go to a folder of the trial in the directory that is named, and go with it.
#[test]
fn a_log_directory_is_left_as_it_was() {
    let place = Place::new();
    std::fs::create_dir(place.path("logs")).unwrap();
    let job = r#"
        keys.cardinality = 200
        run = { events = 4_096, repeats = 1, counters = false }
        [[configuration]]
        name = "r"
        "state.backend.type" = "rocksdb"
        "state.backend.rocksdb.log.dir" = "logs"
    "#;
    place.file("job.toml", job);
    place.statebench("run job.toml -q").ok();
    assert_eq!(std::fs::read_dir(place.path("logs")).unwrap().count(), 0);
    let refused = place.statebench("run job.toml -q --force --set state.backend.rocksdb.log.dir=none");
    assert_eq!(refused.code, Some(3), "{refused:?}");
}
