//! `statebench history`

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::compare::{noise, repeated, verdicts, with_result};
use super::{Place, formats};

/// A place with a folder of results, one a day, whose throughput is so many times as high as that of the first.
fn with_days(factors: impl Iterator<Item = f64>) -> Place {
    let (place, result) = with_result();
    std::fs::create_dir(place.path("days")).unwrap();
    for (day, factor) in (10..).zip(factors) {
        let noise = |name: &str, repeat| factor * noise(name, repeat + day);
        let mut of_day = repeated(&result, 3, noise);
        of_day["manifest"]["started_epoch_s"] = json!(86_400 * u64::from(day));
        place.file(&format!("days/{day}.json"), of_day.to_string());
    }
    place
}

const METRIC: &str = "--metric throughput_events_per_s";

#[test]
fn a_step_is_told_where_it_is_and_fails_nothing() {
    let place = with_days((0..30).map(|day| if day < 16 { 1.0 } else { 0.9 }));
    place.file("days/notes.json", "{}");
    let ran = place.statebench(&format!("history days {METRIC}"));
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (Some(0), "left out: days/notes.json: not a statebench result: it has no schema_version\n")
    );
    let changes: Vec<_> = ran.out.lines().filter(|line| line.contains("▲ worse")).collect();
    assert_eq!(changes.len(), 2, "{}", ran.out);
    assert!(changes.iter().all(|line| line.contains(" 26.json ")), "{changes:?}");
    assert!(ran.out.ends_with("a trend, not a verdict: what results of different days differ by may be the machine\n"));

    let json: Value =
        serde_json::from_str(&place.statebench(&format!("history days {METRIC} --format json")).ok()).unwrap();
    assert_eq!(formats::errors(&formats::validator("history"), &json), <[String; 0]>::default());
    assert_eq!((&json["results"], json["series"].as_array().unwrap().len()), (&json!(30), 2));
    let change = &json["series"][0]["changes"][0];
    assert_eq!((&change["at"], &change["is_worse"], &change["is_latest"]), (&json!(16), &json!(true), &json!(true)));
    assert!((change["change_percent"].as_f64().unwrap() + 10.0).abs() < 1.0, "{change}");
    let csv = place.statebench(&format!("history days {METRIC} --format csv")).ok();
    assert_eq!(csv.lines().count(), 61);
    assert!(place.statebench("history days --format markdown").ok().contains("| latency_p50_ns"));
}

#[test]
fn a_quiet_history_has_no_changes_and_a_short_one_says_so() {
    let place = with_days(std::iter::repeat_n(1.0, 4));
    let shown = place.statebench(&format!("history days {METRIC}")).ok();
    let text: Vec<_> = shown.lines().filter(|line| line.starts_with(['n', '2'])).collect();
    assert_eq!(
        text,
        [
            "no change of level by 3 % or more",
            "2 of 2 series have fewer than 10 results: no change can be found in them yet",
        ]
    );
    // A baseline counts as the result that it is of, and one of another machine is another series.
    place.statebench("baseline save days/10.json --dir days").ok();
    let mut other: Value = serde_json::from_str(&place.text("days/11.json")).unwrap();
    other["manifest"]["host"]["cores"] = json!(64);
    place.file("days/11.json", other.to_string());
    let shown = place.statebench(&format!("history days {METRIC}")).ok();
    let rows = verdicts(&shown);
    assert_eq!(rows.lines().filter(|line| line.starts_with("job ")).count(), 4, "{shown}");
}

#[test]
fn wrong_input_is_refused() {
    let place = with_days(std::iter::once(1.0));
    std::fs::create_dir(place.path("empty")).unwrap();
    let said = |args: &str| {
        let ran = place.statebench(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
        ran.err
    };
    assert_snapshot!(said("history none"), @"error: none: cannot list results: No such file or directory (os error 2)");
    assert_snapshot!(said("history empty"), @"error: empty: has no result and no baseline");
    assert!(said("history days --metric latency_p9_ns").contains("did you mean `latency_p99_ns`?"));
    let missing = said("history days --metric restore_duration_ns");
    assert!(
        missing
            .starts_with("error: no result has the metric `restore_duration_ns`; they have throughput_events_per_s, "),
        "{missing}"
    );
}
