//! `statebench flink run`, with a real Flink where there is one.

use insta::assert_snapshot;
use serde_json::{Value, json};
use statebench::result::{Engine, Outcome, RunResult};

use super::Place;
#[cfg(target_os = "linux")]
use super::{
    signals::{ended, send, wait_for},
    start,
};

/// A Flink of its own time: two clusters at once would take each other's.
struct Flink {
    home: String,
    _alone: std::sync::MutexGuard<'static, ()>,
}

impl std::fmt::Display for Flink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.home)
    }
}

/// The folder of a Flink; none where the tests that need one are left out. `scripts/flink.sh` fetches one.
fn flink() -> Option<Flink> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let home = std::env::var("STATEBENCH_FLINK_HOME").ok().filter(|home| !home.is_empty());
    if home.is_none() {
        assert!(std::env::var_os("STATEBENCH_NEED_FLINK").is_none(), "STATEBENCH_FLINK_HOME names no Flink");
        eprintln!("left out: it takes a Flink, which STATEBENCH_FLINK_HOME names (scripts/flink.sh fetches one)");
    }
    let alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    home.map(|home| Flink { home, _alone: alone })
}

/// Every group of trials has agreed, of so many trials of each engine.
fn agree(result: &RunResult, trials: usize) {
    for agreement in &result.agreements {
        assert_eq!(agreement.differences, <[String; 0]>::default());
        assert_eq!((agreement.trials, agreement.flink_trials), (trials, trials));
    }
}

const TWO: &str = r#"
keys = { cardinality = 1_000, distribution = "zipf", type = "string" }
values.size = "40 b"
operator.mix = { read = 0.4, read-modify-write = 0.3, append = 0.2, delete = 0.1 }
run = { events = 20_000, warm-up = 3_000, repeats = 1, parallelism = 2 }
[[configuration]]
name = "heap"
state.backend.type = "hashmap"
[[configuration]]
name = "rocksdb"
state.backend.type = "rocksdb"
taskmanager.memory.managed.size = "128mb"
taskmanager.numberOfTaskSlots = 2
"#;

#[test]
fn both_engines_compute_the_same() {
    let Some(home) = flink() else { return };
    let place = Place::new();
    place.file("job.toml", TWO);
    let out = place.statebench(&format!("flink run job.toml -q --report --flink-home {home}")).ok();
    assert!(out.contains("heap (Flink ") && out.contains("rocksdb (Flink "), "{out}");
    let result = place.result("job.result.json");
    agree(&result, 2);
    let flink: Vec<_> = result.trials.iter().filter(|trial| trial.run.engine != Engine::Statebench).collect();
    assert_eq!(flink.len(), 2);
    for trial in flink {
        let Outcome::Finished(measurement) = &trial.outcome else { panic!("{:?}", trial.outcome) };
        assert_eq!((measurement.events, measurement.busy_s.len()), (20_000, 2));
        assert!(measurement.throughput_events_per_s > 0.0 && measurement.event_latency.summary.count > 0);
        let Engine::Flink(run) = &trial.run.engine else { panic!() };
        assert!(run.is_local && run.gc_count.is_some() && run.heap_used_bytes > Some(0));
        // One slot in each task manager by default, two where the configuration says so.
        assert_eq!(run.task_managers, if trial.base == "heap" { 2 } else { 1 });
    }
    let page = std::fs::read_to_string(place.path("job.html")).unwrap();
    assert!(page.contains("heap (Flink "));
}

/// Every operator, each state and window of it.
const OPERATORS: &str = r#"
keys.cardinality = 500
values.size = "24 b"
time = { rate = 1_000, watermark-interval = "100 ms", out-of-orderness = "50 ms", delayed = 0.05, delay = "200 ms" }
run = { events = 6_000, warm-up = 2_000, repeats = 1 }
configuration = [{ name = "rocksdb", "state.backend.type" = "rocksdb" }]
[matrix]
operator = [
    "counter", { reduce = { function = "max" } }, { aggregate = { function = "average" } },
    { aggregate = { function = "summary" } }, { list-buffer = { clear-every = 5 } }, { map = { entries = 4 } },
    { value-of-map = { entries = 4 } }, { mix = { read = 0.5, scan = 0.3, insert = 0.2, entries = 3 } },
    { deduplicate = { keep = "first" } }, { deduplicate = { keep = "last" } },
    { regular-join = { retract = 0.2, retract-after = 256 } }, { top-n = { n = 3 } },
    { interval-join = { lower = "-300 ms", upper = "400 ms" } }, "temporal-join", { continuous-join = { finish = 0.3 } },
    { broadcast-rules = { rules = 20, updates = 0.05, matches = 0.1 } }, { source-offsets = { partitions = 7 } },
    { tumbling-window = { size = "300 ms" } }, { tumbling-window = { size = "300 ms", contents = "list" } },
    { sliding-window = { size = "600 ms", slide = "200 ms", contents = { aggregate = { function = "summary" } } } },
    { sliding-window = { size = "600 ms", slide = "200 ms", contents = "join", allowed-lateness = "100 ms" } },
    { session-window = { gap = "150 ms" } }, { session-window = { gap = "150 ms", contents = "list" } },
]
"#;

#[test]
fn every_operator_has_its_twin() {
    let Some(home) = flink() else { return };
    let place = Place::new();
    place.file("job.toml", OPERATORS);
    let line = "flink run job.toml -q --reuse-cluster --parallelism 3 --set taskmanager.numberOfTaskSlots=3";
    place.statebench(&format!("{line} --flink-home {home}")).ok();
    let result = place.result("job.result.json");
    assert_eq!(result.agreements.len(), 23);
    // Every key is there before, so the first row of none is new.
    let silent = result.agreements.iter().filter(|agreement| agreement.emitted.count == 0).count();
    assert_eq!(silent, 1);
    agree(&result, 1);
}

/// State that expires, and a second operator.
const PIPELINE: &str = r#"
source.cdc-orders = { segments = 3, customer-changes = 0.05, updates = 0.3, deletes = 0.1, recent = 500 }
keys = { cardinality = 300, distribution = "zipf" }
time = { rate = 10, watermark-interval = "1 s", out-of-orderness = "10 s", delayed = 0.1, delay = "20 s" }
run = { events = 20_000, warm-up = 2_000, repeats = 1 }
configuration = [{ name = "heap", "state.backend.type" = "hashmap" }, { name = "rocksdb", "state.backend.type" = "rocksdb" }]
[[pipeline]]
name = "join"
operator = "changelog-join"
states.orders.ttl.time = "5 min"
states.customer.ttl.time = "10 min"
[[pipeline]]
name = "revenue"
key = "other"
operator = "running-total"
"#;

#[test]
fn state_expires_by_the_clock_of_the_events() {
    let Some(home) = flink() else { return };
    for parallelism in [1, 2] {
        let place = Place::new();
        place.file("job.toml", PIPELINE);
        let line = format!("flink run job.toml -q --reuse-cluster --parallelism {parallelism} --flink-home {home}");
        let slots = format!("--set taskmanager.numberOfTaskSlots={parallelism}");
        place.statebench(&format!("{line} {slots}")).ok();
        let result = place.result("job.result.json");
        agree(&result, 2);
        let latest = |trial: usize| match &result.trials[trial].outcome {
            Outcome::Finished(measurement) => measurement.latest.clone(),
            _ => panic!(),
        };
        assert!(latest(0).len() > 1);
        assert_eq!(latest(0), latest(3));
    }
}

#[test]
fn a_job_that_loses_a_task_manager_computes_the_same() {
    let Some(home) = flink() else { return };
    let place = Place::new();
    let text = TWO.replace("events = 20_000", "events = 3_000_000").replace("\"40 b\"", "\"8 b\"");
    place.file("job.toml", text);
    let line =
        "flink run job.toml -q --configuration heap --kill-after 3s --set execution.checkpointing.interval=200ms";
    place.statebench(&format!("{line} --flink-home {home}")).ok();
    let result = place.result("job.result.json");
    agree(&result, 1);
    let Engine::Flink(run) = &result.trials[1].run.engine else { panic!() };
    assert_eq!(run.killed_task_managers, 1);
    assert!(run.restarts > 0 && !run.checkpoints.is_empty(), "{run:?}");
}

#[test]
fn both_engines_are_held_against_each_other() {
    let Some(home) = flink() else { return };
    let place = Place::new();
    place.file("job.toml", TWO);
    let line = format!("flink validate job.toml -q -o out --repeats 2 --reuse-cluster --flink-home {home}");
    let out = place.statebench(&line).ok();
    assert!(out.contains("what was emitted is equal in 4 of 4 trials of Flink"), "{out}");
    let result = place.result("out/job.result.json");
    assert_eq!((result.trials.len(), result.agreements.len()), (8, 2));
    agree(&result, 2);
    let validation: Value = serde_json::from_str(&place.text("out/validation.json")).unwrap();
    assert_eq!(
        (&validation["cells"][0]["flink"]["trials"], &validation["cells"][1]["own"]["trials"]),
        (&json!(2), &json!(2))
    );
    assert!(place.text("out/validation.md").contains("## Cell by cell"));
    assert!(place.text("out/job.html").contains("heap (Flink "));
    // What is there is not run again, and not taken for something else.
    place.file("out/validation.json", "");
    let again = place.statebench(&line.replace(&home.home, "empty"));
    assert_eq!(again.code, Some(2), "a Flink is looked for all the same: {again:?}");
    place.statebench(&line).ok();
    assert_eq!(serde_json::from_str::<Value>(&place.text("out/validation.json")).unwrap(), validation);
    let other = place.statebench(&format!("{line} --seed 9"));
    assert_eq!(other.code, Some(2));
    assert_snapshot!(other.err, @"error: out/job.result.json is of another workload, or of other settings; another --output keeps both");
}

/// Processes whose command line names this folder.
#[cfg(target_os = "linux")]
fn processes_in(place: &Place) -> Vec<u32> {
    let folder = place.path("tmp").display().to_string();
    let names_it = |id: &u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&format!("{folder}/statebench-flink-"))
    };
    let ids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    ids.filter(names_it).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_cluster_is_gone_when_the_program_is() {
    let Some(home) = flink() else { return };
    for (signal, code) in [("INT", Some(130)), ("KILL", None)] {
        let place = Place::new();
        place.file("job.toml", TWO);
        let run = start(place.command(&format!("flink run job.toml -q --flink-home {home}")));
        // The job manager and its leash, then a task manager and its own.
        wait_for("cluster", || (processes_in(&place).len() >= 4).then_some(()));
        send(signal, &run.id().to_string());
        let ran = ended(run);
        assert_eq!(ran.code, code, "{ran:?}");
        wait_for("end of the cluster", || processes_in(&place).is_empty().then_some(()));
        if signal == "INT" {
            assert_eq!(ran.err, "error: interrupted; the cluster is gone\n");
            assert_eq!(place.leftovers(), <[String; 0]>::default());
        }
    }
}

#[test]
fn a_job_that_fails_says_why() {
    let Some(home) = flink() else { return };
    let place = Place::new();
    place.file("job.toml", PIPELINE);
    let network = "--set taskmanager.memory.network.min=64kb --set taskmanager.memory.network.max=64kb";
    let line = format!("flink run job.toml -q --configuration heap --parallelism 2 {network} --flink-home {home}");
    let ran = place.statebench(&line);
    assert_eq!(ran.code, Some(3));
    let reason = "error: heap (Flink 2.3.0): the job failed on Flink: java.io.IOException: Insufficient number of network buffers";
    assert!(ran.err.starts_with(reason), "{}", ran.err);
}

#[test]
fn what_cannot_be_run_is_said_before_anything_is() {
    let place = Place::new();
    place.file("job.toml", TWO);
    std::fs::create_dir_all(place.path("empty/lib")).unwrap();
    std::fs::create_dir_all(place.path("old/lib")).unwrap();
    place.file("old/lib/flink-dist-1.17.2.jar", "");
    let refused = |line: &str| {
        let ran = place.statebench(line);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        ran.err.replace(&place.path("").display().to_string(), "")
    };
    assert_snapshot!(refused("flink run job.toml --flink-home nowhere"), @"error: nowhere has no folder `lib` with Flink's jars; allowed: the folder that a download of Flink unpacks to");
    assert_snapshot!(refused("flink run job.toml --flink-home empty"), @"error: empty has no `lib/flink-dist-VERSION.jar`");
    assert_snapshot!(refused("flink run job.toml --flink-home old"), @"error: old is Flink 1.17.2; statebench runs on 1.20 and 2.3");
    place.file("timed.toml", TWO.replace("events = 20_000, warm-up = 3_000", "duration = '1 s'"));
    assert_snapshot!(refused("flink run timed.toml --flink-home empty"), @"error: timed.toml: it is measured for a time, and a job needs a number of events: --events N");
    assert_snapshot!(refused("flink run timed.toml --events 1000 --flink-home empty"), @"error: empty has no `lib/flink-dist-VERSION.jar`");
    place.file("null.toml", "run.events = 1000\nconfiguration = [{ name = 'a', 'state.backend.type' = 'null' }]");
    assert_snapshot!(refused("flink run null.toml --flink-home empty"), @"error: Flink has no null backend, and the workload has no other");
    place.file("load.toml", format!("{TWO}[load]\nrate = 1000\n"));
    let ran = place.statebench("flink run load.toml --flink-home empty");
    assert_eq!(ran.code, Some(5));
    assert_snapshot!(ran.err, @"error: load.toml: an open loop: events do not arrive at a rate on Flink");
}

#[test]
fn a_job_manager_that_does_not_answer_is_named() {
    let Some(home) = flink() else { return };
    let place = Place::new();
    place.file("job.toml", TWO);
    place.file("token", "s3cr3t\n");
    let line = "flink run job.toml -q --jobmanager http://127.0.0.1:1 --token-file token";
    let ran = place.statebench(&format!("{line} --flink-home {home}"));
    assert_eq!(ran.code, Some(3));
    assert!(ran.err.contains("cannot reach the job manager at http://127.0.0.1:1/"), "{}", ran.err);
    assert!(!ran.err.contains("s3cr3t"));
}
