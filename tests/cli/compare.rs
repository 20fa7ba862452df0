//! `statebench compare`

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Place, Ran, SMALL, formats};

/// A place with the result of a run in `r.json`, and the result.
pub(super) fn with_result() -> (Place, Value) {
    let place = Place::new();
    // Enough events for a median of the heap's timed ones however seldom the machine has them timed, and too few for a p99.9.
    place.file("job.toml", SMALL.replace("20_000", "95_000"));
    place.statebench("run job.toml -q -o r.json").ok();
    let result = serde_json::from_str(&place.text("r.json")).unwrap();
    (place, result)
}

/// The result with so many repeats of each trial, each `faster` by a factor of its configuration and repeat; latencies stay.
pub(super) fn repeated(result: &Value, repeats: u32, faster: impl Fn(&str, u32) -> f64) -> Value {
    let mut repeated = result.clone();
    let trials = result["trials"].as_array().unwrap();
    let trial = |trial: &Value, repeat: u32| {
        let factor = faster(trial["configuration"].as_str().unwrap(), repeat);
        let mut trial = trial.clone();
        trial["repeat"] = json!(repeat);
        trial["seed"] = json!(100 + repeat);
        let measured = &mut trial["outcome"]["finished"];
        measured["throughput_events_per_s"] = json!(measured["throughput_events_per_s"].as_f64().unwrap() * factor);
        let busy_s = measured["busy_s"][0].as_f64().unwrap() / factor;
        measured["busy_s"] = json!([busy_s]);
        let interval =
            json!({ "events": measured["events"], "busy_ns": (busy_s * 1e9) as u64, "max_ns": 1, "heat": [] });
        measured["timeline"] = json!({ "interval_ms": 100, "intervals": [interval], "episodes": [] });
        trial
    };
    let all = (0..repeats).flat_map(|repeat| trials.iter().map(move |one| trial(one, repeat)));
    repeated["trials"] = all.collect();
    repeated["planned_trials"] = json!(trials.len() * repeats as usize);
    let agreement = |repeat| {
        let mut agreement = result["agreements"][0].clone();
        agreement["repeat"] = json!(repeat);
        agreement
    };
    repeated["agreements"] = (0..repeats).map(agreement).collect();
    repeated
}

/// Noise of about a percent that is the same in every run of the test.
pub(super) fn noise(configuration: &str, repeat: u32) -> f64 {
    let step = if configuration == "heap" { 7 } else { 11 };
    1.0 + f64::from(repeat * step % 23) / 1_000.0
}

/// Configuration, metric, verdict and trials of each line of a table; titles and notes as they are.
pub(super) fn verdicts(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix(' ') {
        Some(row) => {
            let cells: Vec<_> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
            [0, 1, 6, 8].map(|column| cells.get(column).copied().unwrap_or("?")).join(" | ")
        }
        None => line.to_owned(),
    };
    let lines = text.lines().filter(|line| !line.starts_with(['─', '═']));
    lines.map(line).collect::<Vec<_>>().join("\n")
}

/// Asserts how it ended and returns what it printed.
#[track_caller]
fn ended(ran: Ran, code: i32) -> String {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    ran.out
}

/// What the program says of results that cannot be compared.
fn said(place: &Place, args: &str, code: i32) -> String {
    let ran = place.statebench(&format!("compare {args}"));
    assert_eq!((ran.code, ran.out.as_str()), (Some(code), ""), "{ran:?}");
    ran.err
}

#[test]
fn a_result_does_not_differ_from_itself() {
    let (place, _) = with_result();
    place.file("copy.json", place.text("r.json"));
    let shown = place.statebench("compare r.json copy.json").ok();
    assert_snapshot!(verdicts(&shown), @"
    job
    = no change

    configuration | metric | verdict | trials
    heap | events/s | = no change: the same trials | 1 pair
    heap | typical/s | = no change: the same trials | 1 pair
    heap | p50 | = no change: the same trials | 1 pair
    heap | cost | = no change: the same trials | 1 pair
    heap | longest | = no change: the same trials | 1 pair
    heap | CPU | = no change: the same trials | 1 pair
    heap | memory | = no change: the same trials | 1 pair
    heap | digest of results | = no change (exact) | 1 value
    heap | digest of state | = no change (exact) | 1 value
    rocksdb | events/s | = no change: the same trials | 1 pair
    rocksdb | typical/s | = no change: the same trials | 1 pair
    rocksdb | p50 | = no change: the same trials | 1 pair
    rocksdb | p99 | = no change: the same trials | 1 pair
    rocksdb | longest | = no change: the same trials | 1 pair
    rocksdb | CPU | = no change: the same trials | 1 pair
    rocksdb | memory | = no change: the same trials | 1 pair
    rocksdb | disk | = no change: the same trials | 1 pair
    rocksdb | digest of results | = no change (exact) | 1 value
    rocksdb | digest of state | = no change (exact) | 1 value

    method: paired by repeat, signed ranks, no tests
    warning: a debug build: its figures mean nothing
    regressed=0 improved=0 inconclusive=0 no-change=19
    ");
    assert_eq!(place.statebench("compare r.json r.json --on-inconclusive fail").ok(), shown);
    let heap = place.statebench("compare r.json --base heap").ok();
    assert!(!heap.contains("rocksdb") && heap.contains("= no change"), "{heap}");
}

#[test]
fn two_configurations_of_a_result_are_pairs() {
    let (place, result) = with_result();
    let one = place.statebench("compare r.json --base heap --candidate rocksdb").ok();
    assert_snapshot!(verdicts(&one), @"
    job
    ? inconclusive: 7 metrics neither shown to change nor to stay

    configuration | metric | verdict | trials
    heap → rocksdb | events/s | ? inconclusive: one trial | 1 pair
    heap → rocksdb | typical/s | ? inconclusive: one trial | 1 pair
    heap → rocksdb | p50 | ? inconclusive: one trial | 1 pair
    heap → rocksdb | cost | not judged: one side times every event | 0 pairs
    heap → rocksdb | p99 | ? inconclusive: not in the base | 0 pairs
    heap → rocksdb | longest | not judged: a largest value | 1 pair
    heap → rocksdb | CPU | ? inconclusive: one trial | 1 pair
    heap → rocksdb | memory | ? inconclusive: one trial | 1 pair
    heap → rocksdb | disk | ? inconclusive: not in the base | 0 pairs
    heap → rocksdb | digest of results | = no change (exact) | 1 value
    heap → rocksdb | digest of state | = no change (exact) | 1 value

    method: paired by repeat, signed ranks, 5 tests share α = 0.01
    warning: a debug build: its figures mean nothing
    regressed=0 improved=0 inconclusive=7 no-change=2
    ");
    place.file("many.json", repeated(&result, 20, noise).to_string());
    let many = ended(place.statebench("compare many.json --base heap --candidate rocksdb"), 1);
    assert!(many.contains("▲ regressed") && many.contains("20 pairs"), "{many}");
    let back = ended(
        place.statebench("compare many.json --base rocksdb --candidate heap --metric throughput_events_per_s"),
        0,
    );
    assert_snapshot!(verdicts(&back), @"
    job
    ▼ 1 metric improved, nothing regressed

    configuration | metric | verdict | trials
    rocksdb → heap | events/s | ▼ improved | 20 pairs
    rocksdb → heap | digest of results | = no change (exact) | 20 values
    rocksdb → heap | digest of state | = no change (exact) | 20 values

    method: paired by repeat, signed ranks, 1 test at α = 0.01
    warning: a debug build: its figures mean nothing
    regressed=0 improved=1 inconclusive=0 no-change=2
    ");
    let ran = place.statebench("compare r.json --base heap --candidate rocksdb --on-inconclusive fail");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.err.starts_with("error: inconclusive: "), "{ran:?}");
}

#[test]
fn two_results_are_two_samples() {
    let (place, result) = with_result();
    place.statebench("run job.toml -q -o s.json").ok();
    let shown = place.statebench("compare r.json s.json").ok();
    assert_snapshot!(verdicts(&shown), @"
    job
    ? inconclusive: 12 metrics neither shown to change nor to stay (unpaired: indicative only)

    configuration | metric | verdict | trials
    heap | events/s | ? inconclusive: one trial | 1, 1
    heap | typical/s | ? inconclusive: one trial | 1, 1
    heap | p50 | not judged: the clock is too coarse, see cost | 1, 1
    heap | cost | ? inconclusive: one trial | 1, 1
    heap | longest | not judged: a largest value | 1, 1
    heap | CPU | ? inconclusive: one trial | 1, 1
    heap | memory | ? inconclusive: one trial | 1, 1
    heap | digest of results | = no change (exact) | 1 value
    heap | digest of state | = no change (exact) | 1 value
    rocksdb | events/s | ? inconclusive: one trial | 1, 1
    rocksdb | typical/s | ? inconclusive: one trial | 1, 1
    rocksdb | p50 | ? inconclusive: one trial | 1, 1
    rocksdb | p99 | ? inconclusive: one trial | 1, 1
    rocksdb | longest | not judged: a largest value | 1, 1
    rocksdb | CPU | ? inconclusive: one trial | 1, 1
    rocksdb | memory | ? inconclusive: one trial | 1, 1
    rocksdb | disk | ? inconclusive: one trial | 1, 1
    rocksdb | digest of results | = no change (exact) | 1 value
    rocksdb | digest of state | = no change (exact) | 1 value

    method: two sessions, ranks of both samples, 12 tests share α = 0.01; a change must exceed the threshold
    warning: base: a debug build: its figures mean nothing
    warning: candidate: a debug build: its figures mean nothing
    regressed=0 improved=0 inconclusive=12 no-change=4
    ");

    let only = "--metric throughput_events_per_s";
    let at = |percent: f64| repeated(&result, 15, |name, repeat| noise(name, repeat + 1) * (1.0 + percent / 100.0));
    place.file("base.json", repeated(&result, 15, noise).to_string());
    for (percent, args, code, verdict) in [
        (0.0, "", 0, "= no change (±5 %)"),
        (-4.0, "", 0, "? inconclusive: two sessions may differ by as much"),
        (-9.0, "", 1, "▲ regressed"),
        (-9.0, "--session-spread 15", 0, "? inconclusive: two sessions may differ by as much"),
        (-9.0, "--threshold throughput_events_per_s=20", 0, "= no change (±20 %)"),
        (9.0, "", 0, "▼ improved"),
    ] {
        place.file("candidate.json", at(percent).to_string());
        let shown = ended(place.statebench(&format!("compare base.json candidate.json {only} {args}")), code);
        let rows: Vec<_> = shown.lines().filter(|line| line.contains("events/s")).collect();
        assert!(rows.len() == 2 && rows.iter().all(|row| row.contains(verdict)), "{percent} {args}: {shown}");
    }
}

#[test]
fn what_the_events_decide_is_compared_exactly() {
    let (place, result) = with_result();
    let mut changed = result.clone();
    let heap = changed["trials"].as_array().unwrap().iter().position(|trial| trial["configuration"] == "heap").unwrap();
    changed["trials"][heap]["outcome"]["finished"]["state"] = json!("0000000000000000/1");
    place.file("changed.json", changed.to_string());
    let ran = place.statebench("compare r.json changed.json --base heap");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let row = ran.out.lines().find(|line| line.contains("digest of state")).unwrap();
    assert!(row.contains("differs") && row.contains("▲ regressed (exact, 1 of 1)"), "{row}");
    assert!(
        ran.out.contains("warning: candidate: changed after it was written: heap repeat 1 contradicts itself in"),
        "{ran:?}"
    );
    // Events of another seed are other events: nothing is compared exactly.
    changed["variants"][0]["workload"]["run"]["seed"] = json!(2);
    for trial in changed["trials"].as_array_mut().unwrap() {
        trial["seed"] = json!(7);
    }
    place.file("changed.json", changed.to_string());
    let shown = place.statebench("compare r.json changed.json --allow seed").ok();
    assert!(!shown.contains("digest of state"), "{shown}");
}

#[test]
fn a_state_that_no_longer_fits_is_worse() {
    let (place, result) = with_result();
    let mut changed = result.clone();
    let heap = changed["trials"].as_array().unwrap().iter().position(|trial| trial["configuration"] == "heap").unwrap();
    changed["trials"][heap]["outcome"] = json!({ "out-of-memory": {
        "phase": "measure", "event": 5, "jvm_live_bytes": 9, "jvm_room_bytes": 8, "jvm_heap_bytes": 10
    } });
    place.file("changed.json", changed.to_string());
    let shown = ended(place.statebench("compare r.json changed.json --base heap"), 1);
    let row = shown.lines().find(|line| line.contains("trials out of memory")).unwrap();
    assert!(row.contains("▲ regressed (exact, 1 of 1)"), "{row}");
    assert!(shown.contains("? inconclusive: not in the candidate"), "{shown}");
}

#[test]
fn what_is_not_of_one_kind_is_refused() {
    let (place, result) = with_result();
    let mut other = result.clone();
    other["variants"][0]["workload"]["keys"]["cardinality"] = json!(2_000);
    place.file("other.json", other.to_string());
    assert_snapshot!(said(&place, "r.json other.json", 5), @"
    error: heap differs in its workload; allow `workload` to compare nevertheless:
      keys.cardinality: 1000 in the base, 2000 in the candidate
    ");
    place.statebench("compare r.json other.json --allow workload").ok();
    let mut other = result.clone();
    other["variants"][0]["workload"]["run"]["seed"] = json!(2);
    place.file("other.json", other.to_string());
    assert_snapshot!(said(&place, "r.json other.json", 5), @"
    error: heap differs in its seed; allow `seed` to compare nevertheless:
      run.seed: 1 in the base, 2 in the candidate
    ");
    let mut other = result.clone();
    other["schema_version"] = json!(999);
    place.file("other.json", other.to_string());
    assert_snapshot!(said(&place, "r.json other.json", 5), @"error: other.json: is of schema version 999; this statebench reads version 2");
    let mut other = result.clone();
    other["variants"][0]["label"] = json!("keys.cardinality=5");
    place.file("other.json", other.to_string());
    assert_snapshot!(said(&place, "r.json other.json", 5), @"error: nothing to compare: the base has heap, rocksdb; the candidate has keys.cardinality=5 heap, keys.cardinality=5 rocksdb");
    let mut other = result;
    for trial in other["trials"].as_array_mut().unwrap() {
        if trial["configuration"] == "heap" {
            trial["configuration"] = json!("heap-2");
        }
    }
    other["manifest"]["host"]["cores"] = json!(64);
    other["manifest"]["build"]["rocksdb"] = Value::Null;
    place.file("other.json", other.to_string());
    let shown = place.statebench("compare r.json other.json").ok();
    assert!(shown.contains("\nwithout partner: heap, in the base only\n"), "{shown}");
    assert!(shown.contains("\nwithout partner: heap-2, in the candidate only\n"), "{shown}");
    assert!(shown.contains(" in the base, 64 in the candidate\n"), "{shown}");
    assert!(shown.contains(" in the base, none in the candidate\n"), "{shown}");
}

#[test]
fn wrong_input_is_refused() {
    let (place, result) = with_result();
    assert_snapshot!(said(&place, "none.json r.json", 2), @"error: none.json: cannot read the result file: No such file or directory (os error 2)");
    assert_snapshot!(said(&place, "r.json", 2), @"error: r.json: one result: name two of its configurations with --base and --candidate, or give a second result");
    assert_snapshot!(said(&place, "r.json --base heap --candidate rockdb", 2), @"error: --candidate rockdb: the result has heap, rocksdb; did you mean `rocksdb`?");
    assert_snapshot!(said(&place, "r.json r.json --metric cache_hit_rate", 2), @"error: neither side has the metric `cache_hit_rate`");
    let text = place.text("r.json");
    place.file("cut.json", &text[..text.len() / 2]);
    assert!(said(&place, "r.json cut.json", 2).starts_with("error: cut.json: not a statebench result: "));
    let mut twice = result.clone();
    twice["trials"].as_array_mut().unwrap().push(result["trials"][0].clone());
    twice["trials"][0]["configuration"] = json!("a\u{1b}[2J");
    twice["trials"][2]["configuration"] = json!("a\u{1b}[2J");
    place.file("twice.json", twice.to_string());
    assert_snapshot!(said(&place, "r.json twice.json", 2), @r"error: twice.json: two trials of repeat 1 of a\u{1b}[2J");
    for (args, expected) in [
        ("--metric latency_p9_ns", "did you mean `latency_p99_ns`?"),
        ("--metric xyz", "there is no metric `xyz`; there are throughput_events_per_s, "),
        ("--threshold 5", "expected METRIC=PERCENT"),
        ("--threshold latency_p99_ns=-1", "expected a number from 0 to 1000"),
        ("--threshold latency_p99_ns=0", "a threshold is above 0"),
        ("--threshold latency_p99_ns=NaN", "expected a number from 0 to 1000"),
        ("--alpha 2", "expected a number from 0.000001 to 0.5"),
        ("--session-spread inf", "expected a number from 0 to 1000"),
        ("--allow everything", "invalid value 'everything'"),
    ] {
        let err = said(&place, &format!("r.json r.json {args}"), 2);
        assert!(err.contains(expected), "{args}: {err}");
    }
}

#[test]
fn values_that_have_no_ratio_are_inconclusive() {
    let (place, result) = with_result();
    for value in [json!(0), json!(-5.0), json!(1e-320)] {
        let mut changed = result.clone();
        for trial in changed["trials"].as_array_mut().unwrap() {
            trial["outcome"]["finished"]["throughput_events_per_s"] = value.clone();
        }
        place.file("changed.json", changed.to_string());
        for format in ["table", "json", "markdown", "csv"] {
            let shown = place.statebench(&format!("compare r.json changed.json --format {format}")).ok();
            assert!(!shown.contains("NaN") && !shown.contains("inf "), "{value}: {shown}");
        }
        let shown = place.statebench("compare r.json changed.json --metric throughput_events_per_s").ok();
        assert!(shown.contains("? inconclusive"), "{value}: {shown}");
        assert!(shown.contains("contradicts itself in its throughput"), "{value}: {shown}");
    }
}

#[test]
fn every_format_tells_the_same() {
    let (place, result) = with_result();
    place.file("many.json", repeated(&result, 20, noise).to_string());
    let shown = |format: &str| {
        let args = format!("compare many.json --base heap --candidate rocksdb --format {format}");
        ended(place.statebench(&args), 1)
    };
    let comparison: Value = serde_json::from_str(&shown("json")).unwrap();
    let validator = formats::validator("comparison");
    assert_eq!(formats::errors(&validator, &comparison), <[String; 0]>::default());
    assert_eq!(comparison["schema"], "statebench.compare/1");
    let group = &comparison["groups"][0];
    let metrics = group["metrics"].as_array().unwrap();
    let throughput = metrics.iter().find(|metric| metric["metric"] == "throughput_events_per_s").unwrap();
    assert_eq!(throughput["pair_log_ratios"].as_array().unwrap().len(), 20);
    assert_eq!(throughput["verdict"], "regressed");
    assert!(throughput["change_percent"].as_f64().unwrap() < 0.0, "{throughput}");
    let tested = metrics.iter().filter(|m| m["verdict"] != Value::Null && !m["p_regressed"].is_null()).count();
    assert_eq!(comparison["tests"], tested);

    let csv = shown("csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let column = |name: &str| csv.lines().next().unwrap().split(',').position(|column| column == name).unwrap();
    let (metric, verdict) = (column("metric"), column("verdict"));
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), metrics.len() + group["exact"].as_array().unwrap().len());
    for (record, of_json) in records.iter().zip(metrics) {
        assert_eq!(record[metric], *of_json["metric"].as_str().unwrap());
        assert_eq!(record[verdict], *of_json["verdict"].as_str().unwrap_or("not judged"));
    }

    let markdown = shown("markdown");
    assert!(markdown.starts_with("<!-- statebench:job -->\n**job**: ▲ "), "{markdown}");
    assert!(markdown.contains("<details><summary>"), "{markdown}");
    let counts = shown("table").lines().last().unwrap().to_owned();
    assert!(markdown.trim_end().ends_with(&format!("`{counts}`")), "{markdown}");
    assert_eq!(counts.split('=').next(), Some("regressed"));
}

#[test]
fn hostile_names_are_neutralised_and_markdown_fits_a_comment() {
    let (place, mut result) = with_result();
    let hostile = "=cmd|' /C calc'!A0 <img src=x onerror=alert(1)> --> @all\u{1b}[2J\u{202e}\r\n";
    result["name"] = json!(hostile);
    result["variants"][0]["label"] = json!(hostile);
    let trial = result["trials"][0].clone();
    let trials = (0..400).map(|index| {
        let mut trial = trial.clone();
        trial["configuration"] = json!(format!("{hostile}{index}"));
        trial["outcome"]["finished"]["throughput_events_per_s"] = json!(0);
        trial
    });
    result["trials"] = trials.collect();
    place.file("a.json", result.to_string());
    result["manifest"]["host"]["cpu"] = json!(hostile);
    result["trials"].as_array_mut().unwrap().iter_mut().for_each(|trial| trial["options"]["a.b"] = json!(hostile));
    place.file("b.json", result.to_string());
    for format in ["table", "markdown", "csv"] {
        let shown = place.statebench(&format!("compare a.json b.json --format {format}")).ok();
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(bad), "{format}");
        assert!(shown.contains("\\u{1b}"), "{format}");
    }
    let markdown = place.statebench("compare a.json b.json --format markdown").ok();
    assert!(markdown.chars().count() < 60_000, "{}", markdown.chars().count());
    assert!(!markdown.contains("<img") && !markdown.contains("@all") && markdown.matches("-->").count() == 1);
    assert!(markdown.contains("more rows are left out here") && markdown.contains("more notes"));
    let csv = place.statebench("compare a.json b.json --format csv").ok();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert!(reader.records().all(|record| record.unwrap().iter().all(|cell| !cell.starts_with(['=', '+', '@']))));
}

#[test]
fn checkpoints_of_two_runs_are_equal_to_the_byte() {
    let place = Place::new();
    place.file("job.toml", format!("{SMALL}\n[checkpoint]\nevery-events = 5_000\n"));
    for name in ["a", "b"] {
        place.statebench(&format!("run job.toml -q -o {name}.json --savepoint savepoints-{name}")).ok();
    }
    let shown = place.statebench("compare a.json b.json").ok();
    let shown_of = |text: &str, what: &str| {
        let rows: Vec<_> = text.lines().filter(|line| line.contains(what)).map(str::to_owned).collect();
        assert!(!rows.is_empty(), "{what}: {text}");
        rows
    };
    let sizes = [shown_of(&shown, "heap checkpoint"), shown_of(&shown, "canonical savepoint")].concat();
    assert_eq!(sizes.len(), 3, "one of the heap's checkpoints, one of the savepoint of each backend: {sizes:?}");
    assert!(sizes.iter().all(|row| row.contains(" equal ") && row.contains("= no change (exact)")), "{sizes:?}");
    assert!(shown_of(&shown, "full size").iter().any(|row| row.contains("not judged: compared exactly")), "{shown}");

    let mut changed: Value = serde_json::from_str(&place.text("b.json")).unwrap();
    let is_heap = |trial: &&mut Value| trial["configuration"] == "heap";
    let heap = changed["trials"].as_array_mut().unwrap().iter_mut().find(is_heap).unwrap();
    let record = &mut heap["outcome"]["finished"]["checkpoints"]["records"][1];
    record["full_bytes"] = json!(record["full_bytes"].as_u64().unwrap() + 1);
    place.file("changed.json", changed.to_string());
    let shown = ended(place.statebench("compare a.json changed.json"), 1);
    let row = &shown_of(&shown, "heap checkpoint")[0];
    assert!(row.contains(" +1 B ") && row.contains("▲ regressed (exact, 1 of "), "{row}");
}
