//! `statebench gate` and `statebench baseline`

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::compare::{noise, repeated, verdicts, with_result};
use super::{Place, formats};

/// A place with a baseline of 15 repeats in `baselines`, the result of 15 others in `after.json`, and a policy.
fn with_baseline(percent: f64, policy: &str) -> (Place, Value) {
    let (place, result) = with_result();
    place.file("before.json", repeated(&result, 15, noise).to_string());
    let after = |name: &str, repeat| noise(name, repeat + 1) * (1.0 + percent / 100.0);
    place.file("after.json", repeated(&result, 15, after).to_string());
    place.statebench("baseline save before.json").ok();
    place.file("policy.toml", policy);
    (place, result)
}

const GATE: &str = "gate after.json --policy policy.toml --baseline baselines";
const UNPAIRED: &str = "allow-unpaired = true\n";

/// How a gate ended, with what it said on stderr.
fn ended(place: &Place, args: &str) -> (i32, String) {
    let ran = place.statebench(args);
    (ran.code.unwrap(), ran.err)
}

/// The one baseline in `baselines`.
fn baseline(place: &Place) -> String {
    let entries = std::fs::read_dir(place.path("baselines")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    format!("baselines/{}", names.remove(0))
}

#[test]
fn an_unchanged_program_passes_and_a_slower_one_fails() {
    let (place, _) = with_baseline(0.0, UNPAIRED);
    let shown = place.statebench(GATE).ok();
    assert_snapshot!(verdicts(&shown), @"
    gate passed

    job
    = no change (unpaired: indicative only)

    configuration | metric | verdict | trials
    heap | events/s | not judged: shown beside | 15, 15
    heap | typical/s | = no change (±5 %) | 15, 15
    heap | p50 | not judged: the clock is too coarse, see cost | 15, 15
    heap | cost | = no change (±5 %) | 15, 15
    heap | longest | not judged: shown beside | 15, 15
    heap | CPU | = no change (±5 %) | 15, 15
    heap | memory | not judged: shown beside | 15, 15
    heap | digest of results | = no change (exact) | 15 values
    heap | digest of state | = no change (exact) | 15 values
    rocksdb | events/s | not judged: shown beside | 15, 15
    rocksdb | typical/s | = no change (±5 %) | 15, 15
    rocksdb | p50 | = no change (±5 %) | 15, 15
    rocksdb | p99 | = no change (±15 %) | 15, 15
    rocksdb | longest | not judged: shown beside | 15, 15
    rocksdb | CPU | = no change (±5 %) | 15, 15
    rocksdb | memory | not judged: shown beside | 15, 15
    rocksdb | disk | not judged: shown beside | 15, 15
    rocksdb | digest of results | = no change (exact) | 15 values
    rocksdb | digest of state | = no change (exact) | 15 values

    method: two sessions, ranks of both samples, 7 tests share α = 0.01; a change must exceed the threshold
    warning: base: a debug build: its figures mean nothing
    warning: candidate: a debug build: its figures mean nothing
    regressed=0 improved=0 inconclusive=0 no-change=11
    ");
    let (place, _) = with_baseline(-10.0, UNPAIRED);
    assert_eq!(ended(&place, GATE), (1, "error: gate failed: 2 regressed\n".to_owned()));
    let (place, _) = with_baseline(10.0, UNPAIRED);
    assert_eq!(ended(&place, GATE).0, 0);
}

#[test]
fn what_was_not_measured_in_turn_counts_only_where_the_policy_says_so() {
    let (place, _) = with_baseline(-10.0, "");
    let ran = place.statebench(GATE);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("gate passed, 2 inconclusive\n"), "{ran:?}");
    assert!(ran.out.contains("? inconclusive: unpaired, allow-unpaired is not set"), "{ran:?}");
    place.file("policy.toml", "on-inconclusive = 'fail'");
    assert_eq!(ended(&place, GATE), (4, "error: gate inconclusive: 2 of its metrics\n".to_owned()));
    let pairs = "gate before.json --policy policy.toml --base heap --candidate rocksdb";
    assert_eq!(ended(&place, pairs).0, 1);
}

#[test]
fn limits_hold_whatever_the_baseline() {
    let limit = "[metric.latency_p50_ns]\nlimit = '1 ns'\n[metric.throughput_events_per_s]\nlimit = 1\n";
    let (place, _) = with_baseline(0.0, limit);
    let ran = place.statebench(GATE);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), "error: gate failed: 0 regressed, 2 past a limit\n"));
    let rows = ran.out.lines().filter(|line| line.contains("latency_p50_ns") && line.contains("▲ no"));
    assert_eq!(rows.count(), 2, "{}", ran.out);
}

#[test]
fn every_output_of_a_gate_tells_the_same() {
    let (place, _) = with_baseline(-10.0, "allow-unpaired = true\n[metric.throughput_events_per_s]\nlimit = 1e12\n");
    let files = "--write junit=gate.xml --write json=gate.json --write markdown=gate.md --write github=gate.txt";
    assert_eq!(ended(&place, &format!("{GATE} {files}")).0, 1);

    let gate: Value = serde_json::from_str(&place.text("gate.json")).unwrap();
    assert_eq!(formats::errors(&formats::validator("gate"), &gate), <[String; 0]>::default());
    assert_eq!((&gate["schema"], &gate["decision"]), (&json!("statebench.gate/1"), &json!("failed")));
    assert_eq!(gate["comparison"]["counts"]["regressed"], 2);

    let junit = place.text("gate.xml");
    let count = |text: &str| junit.matches(text).count();
    // In each of two suites: throughput and its limit fail, two digests hold.
    assert!(
        junit.contains("<testsuites name=\"statebench\" tests=\"8\" failures=\"4\" errors=\"0\" time=\""),
        "{junit}"
    );
    assert_eq!((count("<testcase "), count("<failure type=\"regressed\" "), count("</testsuite>")), (8, 4, 2));
    assert!(junit.contains("classname=\"statebench.job.heap\" name=\"throughput_events_per_s\""), "{junit}");

    assert_eq!(super::junit::errors(&junit), <[String; 0]>::default(), "{junit}");

    let annotations = place.text("gate.txt");
    let titles: Vec<_> = annotations.lines().map(|line| line.rsplit_once("::").unwrap().0).collect();
    assert_eq!(
        titles,
        [
            "::error title=heap%3A ▲ regressed",
            "::error title=rocksdb%3A ▲ regressed",
            "::warning title=statebench",
            "::warning title=statebench",
            "::error title=statebench gate",
        ]
    );
    let markdown = place.text("gate.md");
    assert!(
        markdown.starts_with("<!-- statebench:job -->\n**gate failed: 2 regressed, 2 past a limit**\n\n|"),
        "{markdown}"
    );
    assert_eq!(place.statebench(&format!("{GATE} --format junit")).out, junit);
}

#[test]
fn a_baseline_for_something_else_is_refused() {
    let (place, result) = with_baseline(0.0, UNPAIRED);
    let name = baseline(&place);
    let saved: Value = serde_json::from_str(&place.text(&name)).unwrap();
    let refused = |args: &str| {
        let (code, err) = ended(&place, args);
        assert_eq!(code, 5, "{args}: {err}");
        err
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut after = repeated(&result, 15, noise);
        change(&mut after);
        place.file("other.json", after.to_string());
        refused(&format!("gate other.json --policy policy.toml --baseline {name}"))
    };
    assert_snapshot!(changed(&|after| after["variants"][0]["workload"]["keys"]["cardinality"] = json!(5)), @"
    error: heap differs in its workload; allow `workload` to compare nevertheless:
      keys.cardinality: 1000 in the base, 5 in the candidate
    ");
    assert!(changed(&|after| after["manifest"]["host"]["cores"] = json!(999)).contains("another host; allow `host`"));
    assert!(
        changed(&|after| after["manifest"]["build"]["rocksdb"] = json!("1.2"))
            .contains("another version; allow `version`")
    );
    assert_snapshot!(changed(&|after| {
        after["trials"].as_array_mut().unwrap().retain(|trial| trial["configuration"] == "heap");
    }), @"error: the base has rocksdb, which the candidate does not have");
    assert!(
        refused("gate other.json --policy policy.toml --baseline .")
            .contains("none of its 0 baselines is for workload job (")
    );

    let mut old = saved.clone();
    old["saved_epoch_s"] = json!(1_000_000_000);
    place.file("old.json", old.to_string());
    place.file("policy.toml", "max-baseline-age = '30 d'");
    let err = refused("gate after.json --policy policy.toml --baseline old.json");
    assert!(err.contains("old.json: is stale: saved ") && err.contains("max-baseline-age is 30 d"), "{err}");
    let mut newer = saved;
    newer["schema"] = json!("statebench.baseline/2");
    place.file("newer.json", newer.to_string());
    assert_snapshot!(refused("gate after.json --policy policy.toml --baseline newer.json"), @"error: newer.json: is of schema statebench.baseline/2; this statebench reads statebench.baseline/1");
}

#[test]
fn a_baseline_that_was_changed_is_told_and_a_broken_one_refused() {
    let (place, _) = with_baseline(0.0, UNPAIRED);
    let name = baseline(&place);
    let text = place.text(&name);
    place.file("changed.json", text.replacen("\"slow\":false", "\"slow\":true", 1));
    let ran = place.statebench("gate after.json --policy policy.toml --baseline changed.json");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), "warning: changed.json: was changed after it was written\n"));
    for (content, expected) in [
        (&text[..text.len() / 2], "not a statebench baseline: EOF"),
        ("{}", "not a statebench baseline: it has no schema of a baseline"),
        ("{\"schema\": \"statebench.baseline/1\"}", "not a statebench baseline: missing field `key`"),
    ] {
        place.file("broken.json", content);
        let (code, err) = ended(&place, "gate after.json --policy policy.toml --baseline broken.json");
        assert!(code == 2 && err.contains(expected), "{err}");
    }
}

#[test]
fn wrong_policies_are_refused() {
    let (place, _) = with_baseline(0.0, "");
    let schema = formats::validator("policy");
    for (policy, expected) in [
        (
            "[metric.latency_p9_ns]",
            "metric.latency_p9_ns: there is no metric `latency_p9_ns`; did you mean `latency_p99_ns`?",
        ),
        ("alhpa = 0.1", "unknown field `alhpa`"),
        ("alpha = 2", "alpha: found 2; allowed: 0.000001 to 0.5"),
        ("alpha = nan", "alpha: found NaN"),
        ("session-spread = -1", "session-spread: found -1"),
        ("[metric.latency_p50_ns]\nthreshold = 0", "metric.latency_p50_ns.threshold: found 0"),
        ("[metric.latency_p50_ns]\nlimit = '5 gb'", "metric.latency_p50_ns.limit: `5 gb` has an unknown unit `gb`"),
        ("[metric.throughput_events_per_s]\nlimit = '5 s'", "metric.throughput_events_per_s.limit: found `5 s`"),
        ("[metric.latency_p50_ns]\nlimit = -5", "metric.latency_p50_ns.limit: found -5"),
        (
            "[metric.cache_hit_rate]",
            "heap: a side does not have the metric `cache_hit_rate`; metric.cache_hit_rate.required",
        ),
        ("on-inconclusive = 'pass'", "unknown variant `pass`"),
        ("= 5", "TOML parse error at line 1"),
    ] {
        place.file("policy.toml", policy);
        let (code, err) = ended(&place, GATE);
        assert!(code == 2 && err.contains(expected), "{policy}: {err}");
    }
    let valid = "alpha = 0.02\nallow = ['host']\n[metric.latency_p99_ns]\nlimit = '5 ms'\nrequired = false\n";
    let value = serde_json::to_value(valid.parse::<toml::Table>().unwrap()).unwrap();
    assert_eq!(formats::errors(&schema, &value), <[String; 0]>::default());
    place.file("policy.toml", valid);
    place.statebench(GATE).ok();
    for (args, expected) in [
        ("gate after.json --policy none.toml --baseline baselines", "none.toml: cannot read the policy"),
        ("gate after.json --policy policy.toml --baseline none", "none: cannot read the baseline"),
        ("gate after.json --policy policy.toml", "--baseline <PATH>"),
        ("gate after.json --policy policy.toml --base heap", "--candidate <NAME>"),
        ("gate after.json --policy policy.toml --baseline baselines --write xml=a", "invalid variant: xml"),
    ] {
        let (code, err) = ended(&place, args);
        assert!(code == 2 && err.contains(expected), "{args}: {err}");
    }
}

#[test]
fn baselines_are_saved_listed_and_shown() {
    let (place, result) = with_baseline(0.0, "");
    let name = baseline(&place);
    let (code, err) = ended(&place, "baseline save before.json");
    assert_eq!((code, err.ends_with(" exists; --force overwrites it\n")), (2, true), "{err}");
    place.statebench("baseline save before.json --force").ok();
    place.file("baselines/broken.baseline.json", "{}");
    let list = place.statebench("baseline list").ok();
    let rows: Vec<_> = list.lines().filter(|line| line.starts_with(' ')).collect();
    assert!(rows[1].contains("not valid: ") && rows[2].contains(" job "), "{list}");
    let shown = place.statebench(&format!("baseline show {name}")).ok();
    assert!(shown.starts_with("job\nsaved ") && shown.contains(" events/s "), "{shown}");
    let json: Value =
        serde_json::from_str(&place.statebench(&format!("baseline show {name} --format json")).ok()).unwrap();
    assert_eq!(json["cells"][0]["trials"].as_array().unwrap().len(), 15);
    // Compact: no histograms.
    assert!(place.text(&name).len() < place.text("before.json").len() / 4);
    let mut unfinished = result;
    for trial in unfinished["trials"].as_array_mut().unwrap() {
        trial["outcome"] = json!("interrupted");
    }
    place.file("unfinished.json", unfinished.to_string());
    assert_eq!(ended(&place, "baseline save unfinished.json --dir other").0, 2);
    assert_snapshot!(ended(&place, "baseline list none").1, @"error: none: cannot list baselines: No such file or directory (os error 2)");
}

/// A policy that a debug build can be held to: one metric, however noisy.
const ONE: &str = "[metric.cpu_per_event_ns]\nthreshold = 1000.0\n";

#[test]
fn a_workload_is_run_in_pairs_and_gated() {
    let place = Place::with_job();
    place.file("policy.toml", ONE);
    let pairs = "gate job.toml --policy policy.toml --configuration heap --configuration rocksdb -q --max-pairs 2";
    let shown = place.statebench(&format!("{pairs} -o r.json --write github=gate.txt --write junit=gate.xml")).ok();
    assert!(shown.starts_with("gate passed, 1 inconclusive\n"), "{shown}");
    assert!(verdicts(&shown).contains("heap → rocksdb | CPU | ? inconclusive: 2 of the "), "{shown}");
    let warning = "::warning file=job.toml,title=heap → rocksdb%3A ? inconclusive::cpu_per_event_ns";
    assert!(place.text("gate.txt").starts_with(warning), "{}", place.text("gate.txt"));
    assert_eq!(super::junit::errors(&place.text("gate.xml")), <[String; 0]>::default());
    // The result leads to the same gate again.
    let again = place.statebench("gate r.json --policy policy.toml").ok();
    assert_eq!(again, shown);
    place.file("policy.toml", format!("on-inconclusive = 'fail'\nmax-pairs = 1\n{ONE}"));
    let failing = "gate job.toml --policy policy.toml -q -o s.json";
    assert_eq!(ended(&place, failing), (4, "error: gate inconclusive: 1 of its metrics\n".to_owned()));
    assert_eq!(place.result("s.json").trials.len(), 2, "as many pairs as the policy says");
}

#[test]
fn options_of_a_run_are_for_workloads_and_those_of_a_result_for_results() {
    let (place, _) = with_baseline(0.0, ONE);
    for (args, expected) in [
        (
            "gate after.json --policy policy.toml --baseline baselines --max-pairs 3",
            "after.json: a result is judged as it is",
        ),
        (
            "gate after.json --policy policy.toml --seed 3 --base heap --candidate rocksdb",
            "after.json: a result is judged as it is",
        ),
        ("gate job.toml --policy policy.toml --baseline baselines", "job.toml: a workload is run"),
        ("gate job.toml --policy policy.toml --base heap --candidate rocksdb", "job.toml: a workload is run"),
        ("gate job.toml --policy policy.toml --configuration heap", "one configuration, heap"),
        ("gate none.toml --policy policy.toml", "none.toml"),
    ] {
        let (code, err) = ended(&place, args);
        assert!(code == 2 && err.contains(expected), "{args}: {err}");
    }
    for (policy, expected) in
        [("budget = 'soon'", "budget"), ("max-pairs = 0", "max-pairs: found 0; allowed: 1 to 1000")]
    {
        place.file("policy.toml", policy);
        let (code, err) = ended(&place, GATE);
        assert!(code == 2 && err.contains(expected), "{policy}: {err}");
    }
}
