//! `statebench tune`

use statebench::result::{RunResult, Tuning};

use super::Place;

/// A search whose goal and limit do not depend on how fast the machine is.
const SEARCH: &str = "--smallest-memory --limit latency_p50_ns=10s --memory 8mb --backend rocksdb --trials 36 \
                      --tune state.backend.rocksdb.use-bloom-filter=false,true \
                      --tune state.backend.rocksdb.block.blocksize=4kb,16kb";

fn tuning(result: &RunResult) -> &Tuning {
    result.tuning.as_ref().unwrap()
}

#[test]
fn the_least_memory_is_found_proved_and_handed_over() {
    let place = Place::with_job();
    let ran = place.statebench(&format!("tune job.toml {SEARCH} -o r.json --report"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.starts_with("job: least memory with p50 ≤ 10 s from `rocksdb`, 3 options, 12 combinations\n"),
        "{}",
        ran.out
    );
    for told in [
        "\nproved: `tuned` (#",
        "): memory -50.0 % against `rocksdb`; ",
        "\nlimit p50 ≤ 10 s: kept: median ",
        "\nsearch: ",
        "# tuned: config.yaml of Flink 2.3\n",
        "\ntaskmanager.memory.managed.size: 4 mb\n",
        "kind: FlinkDeployment\n",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    assert!(ran.err.contains("% of the search, ") && ran.err.contains("report: r.html"), "{}", ran.err);

    let result = place.result("r.json");
    let found = tuning(&result);
    assert!(found.proofs[0].is_proved && found.proofs[0].pairs >= 7);
    assert_eq!(found.candidates[found.winners[0]].memory_budget_bytes, Some(4 << 20));
    assert_eq!(found.setup.limits[0].quantity, "latency_p50_ns");
    // The proof has events that the search has not seen, which began with those of a run.
    place.statebench("run job.toml -q -o run.json --repeats 3").ok();
    let seeds: Vec<u64> = place.result("run.json").trials.iter().map(|trial| trial.seed).collect();
    assert!(result.trials.iter().all(|trial| !seeds.contains(&trial.seed) && trial.repeat < found.proofs[0].pairs));
    let names: std::collections::BTreeSet<&str> =
        result.trials.iter().map(|trial| trial.configuration.as_str()).collect();
    assert!(names.contains("rocksdb") && names.contains("tuned"), "{names:?}");

    // The result is shown, drawn, exported and gated as any other.
    assert!(place.statebench("show r.json").ok().contains("proved: `tuned` (#"));
    assert!(place.text("r.html").contains("The search and its proof"));
    assert!(place.statebench("chart r.json --chart search").ok().contains("settings tried: least memory with p50"));
    assert!(place.statebench("flink export r.json --configuration tuned --flink-version 1.20").ok().contains("4 mb"));
    let policy = place.file("policy.toml", "[metric.latency_p50_ns]\nthreshold = 1000.0\n");
    let gated =
        place.statebench(&format!("gate r.json --base rocksdb --candidate tuned --policy {}", policy.display()));
    assert_eq!(gated.code, Some(0), "{gated:?}");
    let csv = place.statebench(&format!("tune job.toml {SEARCH} -q -o csv.json --format csv")).ok();
    assert!(
        csv.starts_with("setting,sets,blocks,memory_budget_bytes,latency_p50_ns,memory_budget_bytes_cost,"),
        "{csv}"
    );
    // What has come to its end is not gone on with.
    assert!(place.statebench(&format!("tune job.toml {SEARCH} --resume r.json")).err.contains("has come to its end"));
}

#[test]
fn several_workloads_and_variations_are_tuned_for_together() {
    let place = Place::with_job();
    place.file("other.toml", "keys = { cardinality = 500 }\nrun = { events = 12_000, counters = false }\n");
    let args = "tune job.toml other.toml --vary keys.cardinality=100,1000 --weights 3,1 --fastest --backend rocksdb --trials 120 -q \
                --tune state.backend.rocksdb.use-bloom-filter=false,true -o r.json";
    let ran = place.statebench(args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let result = place.result("r.json");
    let labels: Vec<_> = tuning(&result).setup.workloads.iter().map(|one| (one.label.as_str(), one.weight)).collect();
    let expected = [
        "job keys.cardinality=100",
        "job keys.cardinality=1000",
        "other keys.cardinality=100",
        "other keys.cardinality=1000",
    ];
    assert_eq!(labels, expected.into_iter().zip([1.5, 1.5, 0.5, 0.5]).collect::<Vec<_>>());
    assert!(
        place
            .statebench("tune job.toml other.toml --weights 1 --trials 99")
            .err
            .contains("--weights: found 1 for 2 workloads")
    );
}

#[test]
fn a_search_over_two_goals_has_a_front() {
    let place = Place::with_job();
    let args = "tune job.toml --pareto throughput,memory --memory 16mb --backend rocksdb --trials 110 -q -o r.json \
                --tune state.backend.rocksdb.use-bloom-filter=false,true --format markdown";
    let out = place.statebench(args).ok();
    assert!(out.contains("| front "), "{out}");
    let result = place.result("r.json");
    let found = tuning(&result);
    assert!(!found.front.is_empty() && found.setup.objectives.len() == 2);
    assert!(found.winners.iter().all(|winner| found.front.contains(winner)));
}

#[test]
fn limits_that_nothing_keeps_name_the_nearest() {
    let place = Place::with_job();
    let ran = place.statebench(
        "tune job.toml --fastest --limit latency_p50_ns=1ns --trials 40 -q -o r.json --tune state.backend.rocksdb.use-bloom-filter=false,true",
    );
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
    assert!(ran.err.starts_with("error: no setting keeps the limits; the nearest is #"), "{}", ran.err);
    assert!(ran.err.contains("which misses p50 ≤ 1 ns: it has "), "{}", ran.err);
    // What was tried is kept.
    assert!(!tuning(&place.result("r.json")).standings.is_empty());
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let place = Place::with_job();
    let refused = |args: &str| place.refusal(&format!("tune job.toml {args}"));
    let block = "state.backend.rocksdb.block.blocksize";
    for (args, told) in [
        ("--tune state.backend.rocksdb.block.blocksiz=4kb,8kb".to_owned(), format!("the nearest is `{block}`")),
        (format!("--tune {block}=8kb..4kb"), "the first must be less than the second".to_owned()),
        (format!("--tune {block}=4kb,8kb --fix {block}=16kb"), "the value that is held is none of those".to_owned()),
        (format!("--tune {block}=4kb,8kb --fix {block}=4kb --backend rocksdb"), "nothing to choose from".to_owned()),
        ("--limit latency_p9_ns=5ms".to_owned(), "did you mean `latency_p99_ns`?".to_owned()),
        ("--pareto p99".to_owned(), "two or more of throughput, p99, memory, checkpoint, pause".to_owned()),
        ("--smallest-checkpoint --trials 99".to_owned(), "it takes no checkpoints".to_owned()),
        ("--memory 100kb".to_owned(), "at least 1 mb for a slot".to_owned()),
        ("--configuration rocksdv".to_owned(), "did you mean `rocksdb`?".to_owned()),
        ("--repeats 3".to_owned(), "not for trials that are run in pairs".to_owned()),
        ("--vary keys.cardinality=5..2".to_owned(), "the first must be less than the second".to_owned()),
        ("--resume none.json".to_owned(), "none.json".to_owned()),
    ] {
        let err = refused(&args);
        assert!(err.contains(&told), "{args}: {err}");
    }
    // A budget says what would do.
    let err = refused("--trials 10 --backend rocksdb --memory 8mb");
    assert!(
        err.contains("the budget of 10 trials is too small") && err.contains("the least that works here is "),
        "{err}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_search_that_is_interrupted_goes_on_where_it_was() {
    use std::process::Command;
    use std::time::Duration;
    let place = Place::with_job();
    let run = super::start(place.command(&format!("tune job.toml {SEARCH} -o r.json")));
    std::thread::sleep(Duration::from_secs(3));
    let status = Command::new("sh").args(["-c", &format!("kill -s INT {}", run.id())]).status();
    assert!(status.unwrap().success());
    let ran = super::Ran::of(run.wait_with_output().unwrap());
    if ran.code == Some(0) {
        return; // a machine that was done in three seconds
    }
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.err.contains("--resume r.json goes on from there"), "{ran:?}");
    let before = tuning(&place.result("r.json")).trials.clone();
    let other = place.statebench("tune job.toml --fastest --trials 99 --resume r.json");
    assert!(
        other.code == Some(2) && other.err.contains("it is of another search: its goal is least memory"),
        "{other:?}"
    );
    place.file(
        "job2.toml",
        "keys.cardinality = 7\nname = 'job'\nrun = { events = 20_000, repeats = 1, counters = false }\n",
    );
    let other = place.statebench(&format!("tune job2.toml {SEARCH} --resume r.json"));
    assert!(other.code == Some(2) && other.err.contains("the definition of the workload has changed"), "{other:?}");
    let resumed = place.statebench(&format!("tune job.toml {SEARCH} --resume r.json -q"));
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let result = place.result("r.json");
    assert_eq!(tuning(&result).trials[..before.len()], before, "nothing is run again");
    assert!(tuning(&result).proofs[0].is_proved);
}
