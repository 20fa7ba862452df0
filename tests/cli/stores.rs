//! What a run tells of RocksDB's stores: shared prefills, companions with counters, knobs, memory.

use insta::assert_snapshot;
use statebench::result::{PrefillOrigin, RunResult};

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
    block.blocksize | memory.high-prio-pool-ratio | configuration | events/s | p50 | p99 | hit rate | write amp. | index reads
    - | - | heap | # | # | # | # | # | #
    4kb | 0.1 | rocksdb | # | # | # | # | # | #
    4kb | 0.3 | rocksdb | # | # | # | # | # | #
    16kb | 0.1 | rocksdb | # | # | # | # | # | #
    16kb | 0.3 | rocksdb | # | # | # | # | # | #
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
