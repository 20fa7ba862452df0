//! `statebench report` and `statebench chart`

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Place;

/// A place with the result of a quick run in `r.json`.
fn with_result() -> Place {
    let place = Place::with_job();
    place.statebench("run --quick job.toml -q -o r.json").ok();
    place
}

/// Changes the result in `r.json` and saves it under a name.
fn changed(place: &Place, name: &str, change: impl Fn(&mut Value)) {
    let mut result: Value = serde_json::from_str(&place.text("r.json")).unwrap();
    change(&mut result);
    place.file(name, result.to_string());
}

#[test]
fn a_page_is_written_once_and_is_the_same_each_time() {
    let place = with_result();
    let ran = place.statebench("report r.json -o page.html --reproducible");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    let page = place.text("page.html");
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">") && page.ends_with("</html>\n"), "{}", &page[..200]);
    for words in
        ["<h1>job</h1>", "Content-Security-Policy", "heap", "rocksdb", "id=\"chart-percentiles\"", "href=\"./r.json\""]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(page.len() < 300_000, "{}", page.len());
    assert_snapshot!(place.statebench("report r.json -o page.html").err, @"error: page.html exists; --force overwrites it");
    assert_eq!(place.statebench("report r.json -o page.html").code, Some(2));
    place.statebench("report r.json -o page.html --force --reproducible").ok();
    assert_eq!(place.text("page.html"), page);
    // On stdout the page does not lie beside the result.
    let printed = place.statebench("report r.json --reproducible").ok();
    assert_eq!(printed, page.replace("<a href=\"./r.json\">r.json</a>", "<code>r.json</code>"));
    assert!(place.statebench("report r.json").ok().contains("<!-- made 20"));
}

#[test]
fn a_run_leaves_its_page_beside_its_result() {
    let place = Place::with_job();
    let ran = place.statebench("run --quick job.toml --report");
    assert_eq!(ran.code, Some(0));
    assert!(ran.err.ends_with("report: ./job.html\nresult: ./job.result.json\n"), "{}", ran.err);
    assert!(place.text("job.html").contains("href=\"./job.result.json\""));
    let ran = place.statebench("run --quick job.toml --report=job.html");
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert_snapshot!(ran.err, @"error: job.html exists; --force overwrites it");
    assert_eq!(place.results(), ["job.result.json"], "nothing ran");
    place.statebench("run --quick job.toml -q --report=job.html --force -o other.json").ok();
    assert!(place.text("job.html").contains("href=\"./other.json\""));
    let ran = place.statebench("run --quick job.toml --report=none/page.html");
    assert_eq!(ran.code, Some(3));
    assert_snapshot!(ran.err, @"error: none/page.html: its folder cannot be used: No such file or directory (os error 2)");
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let place = with_result();
    for command in ["report r.json -o none/page.html", "chart r.json --chart percentiles -o none/x.svg"] {
        let ran = place.statebench(command);
        assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""), "{command}");
        assert!(ran.err.contains("none/") && ran.err.contains("No such file or directory"), "{}", ran.err);
    }
    let ran = place.statebench("report r.json -o r.json/page.html");
    assert_eq!(ran.code, Some(3), "{ran:?}");
}

#[test]
fn several_results_are_held_against_the_first() {
    let place = with_result();
    place.statebench("run --quick job.toml -q -o after.json").ok();
    let page = place.statebench("report r.json after.json after.json --reproducible").ok();
    for words in ["after #2: heap", "r: heap", "All that was compared: after"] {
        assert!(page.contains(words), "{words}");
    }
    // What cannot be compared is shown side by side, with the reason.
    place.statebench("run --quick job.toml -q -o other.json --set keys.cardinality=500").ok();
    let page = place.statebench("report r.json other.json --reproducible").ok();
    assert!(page.contains("No chart of changes against a baseline with their intervals: "));
    assert!(page.contains("other: heap"));
}

#[test]
fn pages_of_bad_runs_say_what_is_missing() {
    let place = with_result();
    changed(&place, "none.json", |result| result["trials"] = json!([]));
    assert!(place.statebench("report none.json").ok().contains("There are no figures: no trial ran."));
    changed(&place, "failed.json", |result| {
        for trial in result["trials"].as_array_mut().unwrap() {
            trial["outcome"] = json!({ "failed": { "reason": "/home/joe/data is full", "environment": true } });
        }
    });
    let page = place.statebench("report failed.json").ok();
    assert!(
        page.contains("none of 2 trials finished (2 failed)")
            && page.contains("~/data is full")
            && !page.contains("joe")
    );
    assert!(place.statebench("report failed.json --include-host").ok().contains("/home/joe/data is full"));
    changed(&place, "interrupted.json", |result| {
        result["interrupted"] = json!(true);
        result["trials"][0]["outcome"] = json!("interrupted");
    });
    let page = place.statebench("report interrupted.json").ok();
    assert!(page.contains("interrupted") && page.contains("id=\"chart-percentiles\""));
    assert_snapshot!(place.refusal("report gone.json"), @"error: gone.json: cannot read the result file: No such file or directory (os error 2)");
    assert_snapshot!(place.refusal("report job.toml"), @"error: job.toml: not a statebench result: expected value at line 2 column 1");
}

#[test]
fn a_hostile_workload_is_text() {
    let place = Place::new();
    place.file(
        "job.toml",
        r#"
name = "<script>alert(1)</script>"
description = "<img src=x onerror=alert(2)>"
keys = { cardinality = 1_000 }
run = { events = 20_000, repeats = 1, counters = false }
[[configuration]]
name = "\"><svg onload=alert(3)>&|[a](b)"
"state.backend.type" = "hashmap"
"#,
    );
    let ran = place.statebench("run --quick job.toml -q -o r.json --report=page.html");
    // A name that is refused is no page either.
    if ran.code == Some(2) {
        place.file("job.toml", place.text("job.toml").replace("name = \"<script>alert(1)</script>\"", ""));
        place.statebench("run --quick job.toml -q -o r.json --report=page.html").ok();
    }
    let page = place.text("page.html");
    assert!(!page.contains("<img") && !page.contains("<svg onload") && !page.contains("<script>alert"), "{page}");
    let markdown = place.statebench("report r.json --format markdown").ok();
    assert!(!markdown.contains("<img") && !markdown.contains("<svg") && !markdown.contains("[a](b)"), "{markdown}");
}

#[test]
fn markdown_has_the_same_tables() {
    let place = with_result();
    let markdown = place.statebench("report r.json --format markdown").ok();
    assert!(markdown.starts_with("## job\n\n**"), "{markdown}");
    let table: Vec<_> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    let shown = place.statebench("show r.json --format markdown").ok();
    let main: Vec<_> = shown.lines().filter(|line| line.starts_with('|')).take(4).collect();
    assert_eq!(table[..4], main);
    assert!(markdown.contains("- quick: a check that the workload runs, not a measurement"));
    place.statebench("report r.json --format markdown -o r.md").ok();
    assert_eq!(place.text("r.md"), markdown);
}

#[test]
fn charts_are_pictures() {
    let place = with_result();
    place.statebench("chart r.json --chart percentiles -o p.svg").ok();
    let svg = place.text("p.svg");
    assert!(
        svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"1200\" height=\"675\""),
        "{}",
        &svg[..300]
    );
    assert_eq!(place.statebench("chart r.json --chart percentiles").ok(), svg);
    assert_ne!(place.statebench("chart r.json --chart percentiles --theme dark").ok(), svg);
    place.statebench("chart r.json --chart overview -o o.PNG").ok();
    let png = std::fs::read(place.path("o.PNG")).unwrap();
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!((&png[16..20], &png[20..24]), (&2400_u32.to_be_bytes()[..], &1350_u32.to_be_bytes()[..]));
    assert_eq!(place.statebench("chart r.json --chart percentiles -o p.svg").code, Some(2), "it is kept");
    place.statebench("chart r.json --chart percentiles -o p.svg --force").ok();
    assert_snapshot!(
        place.refusal("chart r.json --chart percentile"),
        @"error: there is no chart `percentile`; did you mean `percentiles`?; there are search, importance, overview, compare, percentiles, heat, throughput, memory, memory-over-time, growth, levels, amplification, cache, miss-ratio, gc, checkpoints, scaling, knobs, pareto, runs"
    );
    assert_snapshot!(place.refusal("chart r.json --chart percentiles -o p.gif"), @"error: p.gif: a chart is a .svg or a .png");
    assert_snapshot!(
        place.refusal("chart r.json --chart scaling"),
        @"error: there is nothing to draw in the chart `scaling`: no finished trials of a matrix over anything of the workload, such as keys.cardinality"
    );
    let names = place.statebench("list charts").ok();
    assert!(names.lines().count() >= 15 && names.contains("percentiles"), "{names}");
}
