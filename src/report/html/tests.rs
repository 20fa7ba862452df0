//! Pages of made-up results.

use resvg::usvg::roxmltree;
use std::collections::BTreeSet;

use base64::Engine;
use sha2::{Digest, Sha256};

use super::*;
use crate::report::chart::CHARTS;
use crate::report::{ChartError, Theme, chart_picture, fixture, report_markdown};
use crate::result::{LatencySummary, Outcome, RunResult};

/// What must never come through: a tag, an attribute, an end of a script, text that runs backwards, a formula, a Markdown link.
const HOSTILE: &str =
    "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>\u{202e}[x](javascript:alert(3))|%s";

fn options() -> PageOptions {
    PageOptions {
        files: vec![ResultFile { name: "orders.result.json".to_owned(), is_beside: true }],
        configurations: vec![FlinkConfiguration {
            name: "rocksdb".to_owned(),
            file: Ok("state.backend.type: rocksdb\n".to_owned()),
        }],
        ..PageOptions::default()
    }
}

fn page_of(results: &[(&str, RunResult)]) -> String {
    let results: Vec<_> = results.iter().map(|(label, result)| ((*label).to_owned(), result.clone())).collect();
    page(&Book::new(&results), &options())
}

/// The elements and attributes of a page, parsed as a browser would: names of elements, and attributes with their values.
fn elements(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut all = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if rest.starts_with('/') || rest.starts_with('!') {
            continue;
        }
        let end = rest.find('>').unwrap();
        let (tag, behind) = rest.split_at(end);
        let (name, attributes) = tag.trim_end_matches('/').split_once(' ').unwrap_or((tag.trim_end_matches('/'), ""));
        let mut found = Vec::new();
        let mut attributes = attributes;
        while let Some((key, value)) = attributes.split_once("=\"") {
            let (value, more) = value.split_once('"').unwrap();
            found.push((key.split_whitespace().last().unwrap().to_owned(), value.to_owned()));
            attributes = more;
        }
        rest = behind;
        // What is in a script or a style is no element.
        if name == "script" || name == "style" {
            rest = &rest[rest.find(&format!("</{name}>")).unwrap()..];
        }
        all.push((name.to_owned(), found));
    }
    all
}

/// What every page keeps to, whatever it shows.
fn check(page: &str) {
    let known: BTreeSet<_> = "a body button circle code dd desc details div dl dt fieldset figcaption figure footer g h1 h2 h3 head header html \
                              input label legend li link main meta nav p path pre rect script section small span style summary svg table tbody td \
                              text th thead title tr ul"
        .split_whitespace()
        .collect();
    let mut ids = BTreeSet::new();
    for (name, attributes) in elements(page) {
        assert!(known.contains(name.as_str()), "<{name} {attributes:?}");
        for (key, value) in attributes {
            assert!(!key.starts_with("on") && key != "style" && key != "src", "{name} {key}={value}");
            if key == "href" {
                assert!(value.starts_with('#') || value.starts_with("./"), "{value}");
            }
            if key == "id" {
                assert!(ids.insert(value.clone()), "the id {value} is there twice");
            }
        }
    }
    let text = |from: &str, to: &str| page.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let hash = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()));
    let policy = text("Content-Security-Policy\" content=\"", "\"").replace("&#39;", "'");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(policy.contains(&format!("script-src 'sha256-{}';", hash(text("<script>", "</script>")))), "{policy}");
    assert!(policy.contains(&format!("style-src 'sha256-{}';", hash(text("<style>", "</style>")))), "{policy}");
    let data = text("id=\"sb-data\">", "</script>");
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert!(data["charts"].is_array());
    assert_eq!(page, printable_lines(page), "a character steers a terminal or reorders text");
    let remote = ["http://", "https://", "@import", "url("].iter().find(|remote| page.contains(**remote));
    assert_eq!(remote, None);
    for id in
        ["verdict", "trust", "summary", "latency", "throughput", "state", "checkpoints", "tuning", "runs", "config"]
    {
        assert!(ids.contains(id), "{id}");
    }
}

#[test]
fn a_page_holds_every_chart_that_its_result_has_data_for() {
    let page = page_of(&[("orders", fixture::result(3))]);
    check(&page);
    let both = page_of(&[("orders", fixture::sweep(3))]);
    check(&both);
    let searched = page_of(&[("orders", fixture::searched())]);
    check(&searched);
    for words in
        ["The search and its proof", "proved: `tuned` (#1)", "block.blocksize is worth most", "2 settings tried"]
    {
        assert!(searched.contains(words), "{words}");
    }
    assert!(!page.contains("The search and its proof"));
    for kind in CHARTS {
        let id = format!("id=\"chart-{}\"", kind.name);
        let pages = [&page, &both, &searched];
        assert!(pages.iter().any(|page| page.contains(&id)), "no page has {}", kind.name);
    }
    for words in [
        "heap is fastest: ",
        "what will hurt: ",
        "grows without bound",
        "writes are held back",
        "state.backend.type: rocksdb",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn a_page_reads_in_order_without_styles_and_scripts() {
    let page = page_of(&[("orders", fixture::result(2))]);
    let levels: Vec<_> = elements(&page)
        .into_iter()
        .filter_map(|(name, _)| name.strip_prefix('h').and_then(|level| level.parse::<u32>().ok()))
        .collect();
    assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    // Colours are in the pictures themselves, and words tell what colours mean.
    assert!(page.contains("stroke=\"#0072b2\"") && page.contains("▲"));
}

#[test]
fn hostile_names_are_text_everywhere() {
    let mut result = fixture::result(2);
    result.name = HOSTILE.to_owned();
    result.description = Some(HOSTILE.to_owned());
    result.manifest.host.cpu = HOSTILE.to_owned();
    result.manifest.build.profile = HOSTILE.to_owned();
    result.variants[0].label = HOSTILE.to_owned();
    for trial in &mut result.trials {
        trial.configuration = format!("{HOSTILE} {}", trial.configuration);
        if let Outcome::Finished(measurement) = &mut trial.outcome {
            measurement.access_latency[0].kind = HOSTILE.to_owned();
            let checkpoints = measurement.checkpoints.as_mut().unwrap();
            checkpoints.records[0].failure = Some(HOSTILE.to_owned());
            checkpoints.location = Some(HOSTILE.to_owned());
            measurement.timeline.as_mut().unwrap().episodes[0].detail = Some(HOSTILE.to_owned());
        }
    }
    let mut failed = result.trials[0].clone();
    failed.outcome = Outcome::Failed { reason: HOSTILE.to_owned(), environment: false };
    result.trials.push(failed);
    let results = vec![(HOSTILE.to_owned(), result.clone()), ("b".to_owned(), result)];
    let book = Book::new(&results);
    let page = page(
        &book,
        &PageOptions {
            made: Some(HOSTILE.to_owned()),
            include_host: true,
            files: vec![ResultFile { name: HOSTILE.to_owned(), is_beside: true }; 2],
            configurations: vec![
                FlinkConfiguration { name: HOSTILE.to_owned(), file: Ok(HOSTILE.to_owned()) },
                FlinkConfiguration { name: HOSTILE.to_owned(), file: Err(HOSTILE.to_owned()) },
            ],
        },
    );
    check(&page);
    assert!(!page.contains("<img") && page.contains("&lt;img src=x onerror=alert(1)&gt;"));
    for kind in CHARTS {
        let picture = match chart_picture(&book, kind.name, Theme::Dark) {
            Ok(picture) => picture,
            Err(ChartError::Empty(..)) => continue,
            Err(other) => panic!("{other}"),
        };
        let svg = roxmltree::Document::parse(&picture.svg).unwrap();
        let names: BTreeSet<_> =
            svg.descendants().filter(roxmltree::Node::is_element).map(|node| node.tag_name().name()).collect();
        assert!(names.is_subset(&BTreeSet::from(["svg", "title", "desc", "g", "path", "text"])), "{names:?}");
    }
    let markdown = report_markdown(&book);
    assert!(
        !markdown.contains("<img")
            && markdown.matches("[x](").count() == markdown.matches("\\[x](").count()
            && !markdown.contains("<script"),
        "{markdown}"
    );
}

#[test]
fn pages_say_what_is_missing() {
    let none = fixture::empty("[run]\n");
    let page = page_of(&[("none", none.clone())]);
    check(&page);
    assert!(page.contains("There are no figures: no trial ran."));
    let mut failed = fixture::result(2);
    for trial in &mut failed.trials {
        trial.outcome = Outcome::Failed { reason: "the disk is full".to_owned(), environment: true };
    }
    let page = page_of(&[("failed", failed.clone())]);
    check(&page);
    assert!(page.contains("none of 5 trials finished (5 failed)") && page.contains("the disk is full"));
    let mut interrupted = fixture::result(2);
    interrupted.trials.truncate(1);
    interrupted.trials[0].outcome = Outcome::Interrupted;
    interrupted.interrupted = true;
    let page = page_of(&[("interrupted", interrupted.clone())]);
    check(&page);
    assert!(
        page.contains("none of 1 trials finished (1 were interrupted)")
            && page.contains("incomplete: 1 of 5 trials ran")
    );
    // The same beside a good one.
    check(&page_of(&[("none", none), ("failed", failed), ("good", fixture::result(1)), ("interrupted", interrupted)]));
}

#[test]
fn what_was_not_recorded_is_told_and_not_drawn() {
    let mut result = fixture::result(1);
    for trial in &mut result.trials {
        let Outcome::Finished(measurement) = &mut trial.outcome else { continue };
        measurement.timeline = None;
        measurement.checkpoints = None;
        measurement.growth = None;
        measurement.event_latency.histogram = String::new();
    }
    let page = page_of(&[("orders", result.clone())]);
    check(&page);
    assert!(page.contains("No chart of latency over time: no finished trial was recorded over time."));
    assert!(page.contains("no checkpoint was completed"));
    assert!(page.contains("id=\"chart-percentiles\""), "the summary has percentiles without a histogram");
    for trial in &mut result.trials {
        let Outcome::Finished(measurement) = &mut trial.outcome else { continue };
        measurement.event_latency.histogram = "no histogram".to_owned();
        measurement.event_latency.summary = LatencySummary::default();
    }
    let page = page_of(&[("orders", result)]);
    check(&page);
    assert!(page.contains("no trial has a latency that was timed often enough"));
}

#[test]
fn huge_values_and_long_names_break_nothing() {
    let mut result = fixture::result(2);
    let long = "x".repeat(10_000);
    result.name.clone_from(&long);
    for (at, trial) in result.trials.iter_mut().enumerate() {
        trial.configuration = format!("{at} {long}");
        trial.repeat = u32::MAX;
        let Outcome::Finished(m) = &mut trial.outcome else { continue };
        m.throughput_events_per_s = [f64::NAN, f64::INFINITY, 0.0, -1.0, f64::MAX][at % 5];
        m.events = u64::MAX;
        m.resident_peak_bytes = Some(u64::MAX);
        m.heap =
            m.heap.map(|heap| crate::result::HeapMemory { jvm_heap_bytes: u64::MAX, task_managers: u16::MAX, ..heap });
        let timeline = m.timeline.as_mut().unwrap();
        timeline.interval_ms = u64::MAX;
        timeline.intervals[0].events = u64::MAX;
        timeline.intervals[0].heat = vec![(0, u32::MAX), (255, u32::MAX)];
        timeline.intervals[1].resident_bytes = Some(u64::MAX);
        timeline.episodes[0].end_ms = f64::MAX;
        timeline.episodes[1].begin_ms = f64::NAN;
        m.growth.as_mut().unwrap().samples[0].time_ms = i64::MIN;
        m.growth.as_mut().unwrap().samples[1].time_ms = i64::MAX;
        m.checkpoints.as_mut().unwrap().records[0].duration_ms = f64::INFINITY;
        m.checkpoints.as_mut().unwrap().records[1].triggered_s = -5.0;
    }
    let page = page_of(&[("orders", result.clone())]);
    check(&page);
    for (name, attributes) in elements(&page) {
        let drawn = ["d", "x", "y", "width", "height", "viewBox", "transform", "data-rate"];
        let is_none = |value: &str| value.contains("NaN") || value.contains("inf");
        let no_number = attributes.iter().find(|(key, value)| drawn.contains(&key.as_str()) && is_none(value));
        assert_eq!(no_number, None, "{name} has a place that is no number");
    }
    let results = vec![("orders".to_owned(), result)];
    assert!(report_markdown(&Book::new(&results)).chars().count() <= 60_000);
}

#[test]
fn the_same_results_give_the_same_bytes() {
    let results = [("a", fixture::result(3)), ("b", fixture::result(2))];
    assert_eq!(page_of(&results), page_of(&results));
    let stamped = page(&Book::new(&[]), &PageOptions { made: Some("made 2026-11-26".to_owned()), ..options() });
    assert!(stamped.contains("<!-- made 2026-11-26 -->"));
}

#[test]
fn pages_stay_small() {
    let one = page_of(&[("orders", fixture::result(1))]);
    assert!(one.len() < 300_000, "{} bytes", one.len());
    let many = fixture::sweep(8);
    assert!(many.trials.len() >= 190);
    let many = page_of(&[("orders", many)]);
    check(&many);
    assert!(many.len() < 3_000_000, "{} bytes", many.len());
}

#[test]
fn an_unknown_chart_is_told_with_the_nearest_name() {
    let results = vec![("orders".to_owned(), fixture::result(1))];
    let error = chart_picture(&Book::new(&results), "percentils", Theme::Light).err().unwrap().to_string();
    assert!(
        error.starts_with("there is no chart `percentils`; did you mean `percentiles`?; there are search, importance, overview, compare, "),
        "{error}"
    );
    let error = chart_picture(&Book::new(&results), "scaling", Theme::Light).err().unwrap().to_string();
    assert!(
        error.starts_with("there is nothing to draw in the chart `scaling`: no finished trials of a matrix"),
        "{error}"
    );
}

#[test]
fn a_picture_in_pixels_shows_its_words_and_colours() {
    let results = vec![("orders".to_owned(), fixture::result(1))];
    for (theme, paper) in [(Theme::Light, [255, 255, 255]), (Theme::Dark, [0x15, 0x18, 0x1c])] {
        let picture = chart_picture(&Book::new(&results), "percentiles", theme).unwrap();
        let png = picture.png().unwrap();
        let pixels = resvg::tiny_skia::Pixmap::decode_png(&png).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (2400, 1350));
        let corner = pixels.pixel(0, 0).unwrap();
        assert_eq!([corner.red(), corner.green(), corner.blue()], paper);
        // Without a font the heading would be blank.
        let head =
            pixels.pixels().iter().take(2400 * 120).filter(|pixel| [pixel.red(), pixel.green(), pixel.blue()] != paper);
        assert!(head.count() > 2_000);
    }
}

/// Pages for the test in a browser, which opens them from disk.
#[test]
fn pages_for_the_browser() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser");
    std::fs::create_dir_all(&folder).unwrap();
    let mut hostile = fixture::result(2);
    hostile.name = HOSTILE.to_owned();
    hostile.trials.iter_mut().for_each(|trial| trial.configuration += HOSTILE);
    let mut failed = fixture::result(1);
    failed.trials.iter_mut().for_each(|trial| trial.outcome = Outcome::Interrupted);
    for (name, page) in [
        ("one", page_of(&[("orders", fixture::result(3))])),
        ("sweep", page_of(&[("orders", fixture::sweep(3))])),
        ("several", page_of(&[("before", fixture::result(8)), ("after", fixture::result(7))])),
        ("hostile", page_of(&[("orders", hostile)])),
        ("nothing", page_of(&[("orders", failed)])),
    ] {
        check(&page);
        std::fs::write(folder.join(format!("{name}.html")), page).unwrap();
    }
}
