//! `statebench advise`

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Place;

/// A sweep over managed memory, short and small: its figures say nothing, its settings do.
const SWEEP: &str = r#"
keys = { cardinality = 20_000 }
values.size = "200 b"
operator.mix = { read-modify-write = 1.0 }
run = { events = 20_000, warm-up = 2_000, repeats = 1, verify-events = 100 }
matrix."taskmanager.memory.managed.size" = ["2mb", "8mb", "64mb"]

[[configuration]]
name = "rocksdb"
"state.backend.type" = "rocksdb"
"#;

/// A place with the result of the sweep in `r.json`, and the result.
fn with_sweep() -> (Place, Value) {
    let place = Place::new();
    place.file("job.toml", SWEEP);
    place.statebench("run job.toml -q -o r.json").ok();
    let result = serde_json::from_str(&place.text("r.json")).unwrap();
    (place, result)
}

/// Throughput of every trial as if it had been measured, by managed memory, and no slow run.
fn with_rates(result: &mut Value, rates: [(&str, f64); 3]) {
    for trial in result["trials"].as_array_mut().unwrap() {
        let pool = trial["knobs"]["taskmanager.memory.managed.size"].as_str().unwrap().to_owned();
        let (_, rate) = rates.iter().find(|(size, _)| *size == pool).unwrap();
        let finished = &mut trial["outcome"]["finished"];
        finished["throughput_events_per_s"] = json!(rate);
        finished["busy_s"] = json!([20_000.0 / rate]);
        finished["slow_event_share"] = json!(0.0);
    }
    result["manifest"]["build"]["profile"] = json!("release");
}

#[test]
fn a_sweep_of_managed_memory_tells_the_knee_the_keys_and_the_evidence() {
    let (place, mut result) = with_sweep();
    with_rates(&mut result, [("2mb", 1_000.0), ("8mb", 9_500.0), ("64mb", 10_000.0)]);
    // What RocksDB did depends on the machine; what was counted is left out of this text.
    for trial in result["trials"].as_array_mut().unwrap() {
        let finished = &mut trial["outcome"]["finished"];
        for figure in ["store_counters", "store_shape", "store_memory", "cache_curve", "timeline"] {
            finished[figure] = json!(null);
        }
    }
    place.file("r.json", result.to_string());
    assert_snapshot!(place.statebench("advise r.json").ok(), @"
    advice for job: 1 finding

    1. 8.00 MiB of shared memory is the knee: 95.0 % of the best throughput of 3 sizes, and no slow run [managed-memory-knee]
       matters it could be faster or steadier
       for     rocksdb taskmanager.memory.managed.size=2mb
       why     below it throughput falls; above it 64.0 MiB gives 1.05× of it
       figure  with 2.00 MiB: 1.00 k events/s (measured)
       figure  with 8.00 MiB: 9.50 k events/s (measured)
       figure  with 64.0 MiB: 10.0 k events/s (measured)
       set     taskmanager.memory.managed.size: 8 mb (Flink 1.20 and 2.3)
       brings  9.50 k events/s in place of 1.00 k events/s with 2.00 MiB (measured in `rocksdb taskmanager.memory.managed.size=8mb` of this result)

    not looked at: how much state is held over time, which tells whether it is bounded (rocksdb taskmanager.memory.managed.size=2mb, rocksdb taskmanager.memory.managed.size=8mb, rocksdb taskmanager.memory.managed.size=64mb): set run.growth-samples = 32, or say something of a state under [states.NAME]
    not looked at: RocksDB's counters: hit rate of the block cache, stalls, use of bloom filters (rocksdb taskmanager.memory.managed.size=2mb, rocksdb taskmanager.memory.managed.size=8mb, rocksdb taskmanager.memory.managed.size=64mb): run the workload with run.counters = true, its default: a companion trial of each configuration counts
    ");
    let markdown = place.statebench("advise r.json --format markdown").ok();
    assert!(markdown.contains("### 1. 8.00 MiB of shared memory is the knee"), "{markdown}");
    let json: Value = serde_json::from_str(&place.statebench("advise r.json --format json").ok()).unwrap();
    let finding = &json["findings"][0];
    assert_eq!(finding["rule"], "managed-memory-knee");
    assert_eq!(
        finding["effect"],
        json!({ "what": "9.50 k events/s in place of 1.00 k events/s with 2.00 MiB", "factor": 9.5, "kind": { "measured-in": "rocksdb taskmanager.memory.managed.size=8mb" } })
    );
    assert_eq!(finding["settings"][0]["flink"], json!(["1.20", "2.3"]));
    assert_eq!(json["parameters"]["hit_rate"], json!(0.9));
}

#[test]
fn a_companion_tells_the_hit_rate_by_cache_size_and_advice_is_taken_from_it() {
    let (place, mut result) = with_sweep();
    let companions = |result: &Value| {
        let trials = result["trials"].as_array().unwrap().iter();
        trials.filter(|trial| trial["companion"] == json!(true)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(companions(&result).len(), 3);
    for trial in result["trials"].as_array().unwrap() {
        let curve = &trial["outcome"]["finished"]["cache_curve"];
        assert_eq!(curve.is_null(), trial["companion"] != json!(true), "headline trials are not watched");
    }
    let curve = &companions(&result)[0]["outcome"]["finished"]["cache_curve"];
    assert_eq!(curve["points"].as_array().unwrap().len(), 13);
    let shown = place.statebench("show r.json").ok();
    assert!(shown.contains(" block cache ") && shown.contains(" 1/16 "), "{shown}");
    let json: Value = serde_json::from_str(&place.statebench("show r.json --format json").ok()).unwrap();
    let asked = |trial: &Value| {
        let curve = &trial["outcome"]["finished"]["cache_curve"];
        curve["data_asked"].as_u64().unwrap() + curve["index_asked"].as_u64().unwrap() > 0
    };
    let with_accesses = companions(&result).iter().filter(|trial| asked(trial)).count();
    assert_eq!(json["cache_curves"].as_array().unwrap().len(), with_accesses, "what memtables answer asks no cache");

    // One configuration whose curve is as it is written here.
    let trials = result["trials"].as_array_mut().unwrap();
    trials.retain(|trial| trial["configuration"] == json!("rocksdb taskmanager.memory.managed.size=8mb"));
    for trial in trials {
        let finished = &mut trial["outcome"]["finished"];
        for figure in ["store_shape", "store_memory"] {
            finished[figure] = json!(null);
        }
        if finished["cache_curve"].is_null() {
            continue;
        }
        finished["store_counters"]["data_hits"] = json!(600);
        finished["store_counters"]["data_misses"] = json!(400);
        for figure in
            ["index_hits", "index_misses", "filter_hits", "filter_misses", "stall_us", "lookups", "written_bytes"]
        {
            finished["store_counters"][figure] = json!(0);
        }
        finished["cache_curve"]["measured_hit_rate"] = json!(0.6);
        for point in finished["cache_curve"]["points"].as_array_mut().unwrap() {
            let pool = point["pool_bytes"].as_u64().unwrap();
            point["hit_rate"] = json!(if pool > 8 << 20 { 0.97 } else { 0.61 });
        }
    }
    place.file("one.json", result.to_string());
    let json: Value = serde_json::from_str(&place.statebench("advise one.json --format json").ok()).unwrap();
    let finding = json["findings"].as_array().unwrap().iter().find(|finding| finding["rule"] == "block-cache-hit-rate");
    let finding = finding.unwrap_or_else(|| panic!("{json:#}"));
    assert_eq!(finding["settings"][0]["key"], "taskmanager.memory.managed.size");
    assert_eq!(
        (&finding["settings"][0]["value"], &finding["settings"][0]["present"]),
        (&json!("12 mb"), &json!("8 mb"))
    );
    assert!(finding["effect"]["kind"]["modelled"].as_str().unwrap().contains("1.00 points off"), "{finding:#}");
    let less = place.statebench("advise one.json --hit-rate 50 --format json").ok();
    assert!(!less.contains("block-cache-hit-rate"), "{less}");
}

#[test]
fn what_cannot_be_advised_on_is_refused() {
    let place = Place::new();
    assert_snapshot!(place.refusal("advise none.json"), @"error: none.json: cannot read the result file: No such file or directory (os error 2)");
    place.file("r.json", "{}");
    assert_snapshot!(place.refusal("advise r.json"), @"error: r.json: not a statebench result: it has no schema_version");
    for (args, expected) in [
        ("--hit-rate 0", "a number above 0, at most 100"),
        ("--hit-rate many", "a number above 0, at most 100"),
        ("--max-write-amplification 0.5", "a number from 1 to 1000"),
        ("--events-per-second 0", "a number from 0.001 to 1e12"),
        ("--heap-state large", "heap-state"),
        ("--format csv", "invalid value 'csv'"),
    ] {
        assert!(place.refusal(&format!("advise r.json {args}")).contains(expected), "{args}");
    }
}

#[test]
fn names_that_a_result_does_not_have_and_hostile_ones() {
    let place = Place::with_job();
    place.statebench("run --quick job.toml -q -o r.json").ok();
    let ran = place.statebench("advise r.json --configuration heep");
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert_snapshot!(ran.err, @"error: r.json: no configuration is named `heep`; did you mean `heap`?; those of the result are `heap`, `rocksdb`");
    assert!(place.statebench("advise r.json").ok().contains("mind: the run was shrunk by --quick"));

    let mut result: Value = serde_json::from_str(&place.text("r.json")).unwrap();
    let hostile = "x|\u{1b}[2J\u{202e}\r\n";
    result["name"] = json!(hostile);
    for trial in result["trials"].as_array_mut().unwrap() {
        trial["configuration"] = json!(format!("{}{hostile}", trial["configuration"].as_str().unwrap()));
    }
    place.file("hostile.json", result.to_string());
    for format in ["table", "markdown"] {
        let said = place.statebench(&format!("advise hostile.json --format {format}")).ok();
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.contains(bad) && said.contains("\\u{1b}"), "{format}: {said:?}");
    }
    result["trials"][0]["options"]["state.backend.rocksdb.thread.num"] = json!("many");
    place.file("odd.json", result.to_string());
    let ran = place.statebench("advise odd.json");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("thread.num: found `many`") || ran.err.contains("thread.num"), "{}", ran.err);
    result["trials"] = json!([]);
    place.file("none.json", result.to_string());
    assert_snapshot!(place.statebench("advise none.json").err, @"error: none.json: no trial of the result came to an answer");
}
