//! `statebench show`

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Place, figures};

/// A place with the result of a quick run in `r.json`, and the result.
fn with_result() -> (Place, Value) {
    let place = Place::with_job();
    place.statebench("run --quick job.toml -q -o r.json").ok();
    let result = serde_json::from_str(&place.text("r.json")).unwrap();
    (place, result)
}

#[test]
fn a_result_is_shown_as_it_was_printed_in_every_format() {
    let place = Place::with_job();
    for format in ["table", "json", "markdown", "csv"] {
        let printed = place.statebench(&format!("run --quick job.toml --force -o r.json --format {format}")).ok();
        assert_eq!(place.statebench(&format!("show r.json --format {format}")).ok(), printed, "{format}");
    }
    assert_eq!(place.statebench("show r.json").ok(), place.statebench("show r.json --format table").ok());
}

#[test]
fn what_is_no_result_is_refused() {
    let place = Place::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    let said = |content: &[u8]| {
        place.file("r.json", content);
        place.refusal("show r.json")
    };
    assert_snapshot!(place.refusal("show none.json"), @"error: none.json: cannot read the result file: No such file or directory (os error 2)");
    assert_snapshot!(place.refusal("show folder"), @"error: folder: cannot read the result file: Is a directory (os error 21)");
    assert_snapshot!(said(b""), @"error: r.json: not a statebench result: EOF while parsing a value at line 1 column 0");
    assert_snapshot!(said(b"\xff"), @"error: r.json: cannot read the result file: stream did not contain valid UTF-8");
    assert_snapshot!(said(b"[1]"), @"error: r.json: not a statebench result: it has no schema_version");
    assert_snapshot!(said(b"{}"), @"error: r.json: not a statebench result: it has no schema_version");
    assert_snapshot!(said(b"{\"schema_version\": 3, \"new\": true}"), @"error: r.json: is of schema version 3; this statebench reads version 2");
    assert_snapshot!(said(b"{\"schema_version\": \"1\"}"), @"error: r.json: not a statebench result: it has no schema_version");
    assert_snapshot!(said(b"{\"schema_version\": 2}"), @"error: r.json: not a statebench result: missing field `manifest`");
    assert!(said("[".repeat(100_000).as_bytes()).contains("recursion limit"));
}

#[test]
fn a_result_that_is_cut_off_or_changed_is_refused() {
    let (place, result) = with_result();
    let text = place.text("r.json");
    for length in [1, text.len() / 3, text.len() / 2, text.len() - 3] {
        place.file("cut.json", &text[..length]);
        assert!(place.refusal("show cut.json").starts_with("error: cut.json: not a statebench result: "));
    }
    let mut changed = result.clone();
    changed["trials"][0]["surprise"] = json!(1);
    place.file("changed.json", changed.to_string());
    assert_snapshot!(place.refusal("show changed.json"), @"error: changed.json: not a statebench result: unknown field `surprise`, expected one of `variant`, `configuration`, `base`, `knobs`, `options`, `repeat`, `companion`, `seed`, `run`, `outcome`");
    let mut changed = result;
    changed["trials"][0]["outcome"] = json!({ "finished": { "events": "many" } });
    place.file("changed.json", changed.to_string());
    assert_eq!(place.statebench("show changed.json").code, Some(2));
}

#[test]
fn numbers_that_no_run_gives_are_shown_without_a_panic() {
    let (place, result) = with_result();
    for number in [json!(0), json!(-1.0), json!(1e308), json!(1e-308)] {
        let mut changed = result.clone();
        for trial in changed["trials"].as_array_mut().unwrap() {
            trial["variant"] = json!(99);
            trial["outcome"]["finished"]["throughput_events_per_s"] = number.clone();
        }
        changed["agreements"][0]["variant"] = json!(99);
        place.file("changed.json", changed.to_string());
        for format in ["table", "json", "markdown", "csv"] {
            let shown = place.statebench(&format!("show changed.json --format {format}")).ok();
            assert!(!shown.contains("NaN") && !shown.contains("inf"), "{number}: {shown}");
        }
    }
    let mut changed = result;
    changed["trials"] = json!([]);
    changed["agreements"] = json!([]);
    place.file("changed.json", changed.to_string());
    assert_snapshot!(figures(&place.statebench("show changed.json").ok()), @"
    job
    a small job

    configuration | trials | ratio | events/s | spread | p50 | p99 | p99.9 | longest | memory | disk

    incomplete: 0 of 2 trials ran
    quick: a check that the workload runs, not a measurement
    debug build: the figures mean nothing
    ");
}

#[test]
fn hostile_names_are_neutralised() {
    let (place, mut result) = with_result();
    let hostile = "=cmd|' /C calc'!A0\u{1b}[2J\u{9b}\u{202e}\r\n";
    result["name"] = json!(hostile);
    result["description"] = json!(hostile);
    result["variants"][0]["label"] = json!(hostile);
    result["trials"][0]["configuration"] = json!(hostile);
    result["trials"][0]["outcome"]["finished"]["access_latency"][0]["kind"] = json!(hostile);
    result["trials"][1]["outcome"] = json!({ "failed": { "reason": hostile, "environment": true } });
    result["agreements"][0]["differences"] = json!([hostile]);
    result["manifest"]["build"]["profile"] = json!(hostile);
    place.file("hostile.json", result.to_string());
    for format in ["table", "markdown", "csv"] {
        let shown = place.statebench(&format!("show hostile.json --format {format}")).ok();
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(bad), "{format}: {shown:?}");
        assert!(shown.contains("\\u{1b}[2J\\u{9b}\\u{202e}\\r\\n"), "{format}: {shown:?}");
    }
    let csv = place.statebench("show hostile.json --format csv").ok();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    for record in reader.records() {
        assert!(record.unwrap().iter().all(|cell| !cell.starts_with(['=', '+', '@'])), "{csv}");
    }
    let markdown = place.statebench("show hostile.json --format markdown").ok();
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let table: Vec<_> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    assert!(table[..4].iter().all(|line| columns(line) == columns(table[0])), "{markdown}");
}

#[test]
fn trials_that_differ_are_shown_where_they_part() {
    let (place, mut result) = with_result();
    result["agreements"][0]["differences"] = json!(["state after 5 events: heap has a, rocksdb has b"]);
    place.file("differing.json", result.to_string());
    let shown = place.statebench("show differing.json").ok();
    assert!(shown.contains(": THE TRIALS DIFFER\n  state after 5 events: heap has a, rocksdb has b\n"), "{shown}");
}
