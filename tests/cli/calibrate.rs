//! `statebench calibrate`

use serde_json::{Value, json};

use super::compare::{noise, repeated};
use super::{Place, formats};

/// The one calibration in a folder.
fn calibration(place: &Place, folder: &str) -> (String, Value) {
    let entries = std::fs::read_dir(place.path(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.filter(|name| name.ends_with(".calibration.json")).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let name = format!("{folder}/{}", names[0]);
    let value = serde_json::from_str(&place.text(&name)).unwrap();
    (name, value)
}

const CALIBRATE: &str = "calibrate job.toml -q --force -o a.json --configuration heap --pairs 3";

#[test]
fn the_noise_of_a_machine_is_told_and_kept() {
    let place = Place::with_job();
    let ran = place.statebench(CALIBRATE);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let row = ran.out.lines().find(|line| line.contains("cpu_per_event_ns")).unwrap();
    assert!(row.contains(" heap ") && row.contains(" ≥ ") && row.contains(" 5 % "), "{row}");
    assert!(ran.out.contains("1 session: what two differ by is known when there are two"), "{ran:?}");
    assert!(ran.out.contains(" of 4000 gates ("), "{ran:?}");
    let (name, first) = calibration(&place, "baselines");
    assert_eq!(ran.err, format!("calibration: {name}\n"));
    assert_eq!(formats::errors(&formats::validator("calibration"), &first), <[String; 0]>::default());
    assert_eq!(first["sessions"].as_array().unwrap().len(), 1);

    // Another session says what two differ by; that of an existing result counts too.
    let again = place.statebench("calibrate --from a.json").ok();
    assert!(again.contains("2 sessions: between sessions is the largest difference"), "{again}");
    assert_eq!(calibration(&place, "baselines").1["sessions"].as_array().unwrap().len(), 2);
    let shown = place.statebench("calibrate --from a.json --dry-run --dir elsewhere").ok();
    assert!(shown.contains("1 session:") && !place.path("elsewhere").exists(), "{shown}");
}

#[test]
fn what_sessions_differ_by_is_no_finding() {
    let place = Place::with_job();
    place.statebench(CALIBRATE).ok();
    place.statebench("calibrate --from a.json").ok();
    let (name, mut known) = calibration(&place, "baselines");
    for (session, factor) in known["sessions"].as_array_mut().unwrap().iter_mut().zip([1.0, 1.25]) {
        for noise in session["noise"].as_array_mut().unwrap() {
            noise["median"] = json!(100.0 * factor);
            noise["metric"] = json!("throughput_events_per_s");
        }
    }
    place.file(&name, known.to_string());
    place.statebench("run job.toml -q -o r.json --configuration heap").ok();
    let result: Value = serde_json::from_str(&place.text("r.json")).unwrap();
    let at = |factor: f64| repeated(&result, 15, |name, repeat| noise(name, repeat) * factor).to_string();
    place.file("base.json", at(1.0));
    let compared = |factor: f64, args: &str| {
        place.file("candidate.json", at(factor));
        let ran = place.statebench(&format!("{args} --metric throughput_events_per_s"));
        (ran.code.unwrap(), ran.out)
    };
    let (code, out) = compared(0.85, "compare base.json candidate.json");
    assert!(code == 0 && out.contains("two sessions may differ by as much"), "{out}");
    assert!(out.contains("a change must exceed the threshold and 25 %, what two sessions may differ by"), "{out}");
    assert_eq!(compared(0.6, "compare base.json candidate.json").0, 1);
    // A gate knows of it where its baselines are.
    place.statebench("baseline save base.json").ok();
    place.file("policy.toml", "allow-unpaired = true\n[metric.throughput_events_per_s]\n");
    let gate = |factor: f64| {
        place.file("candidate.json", at(factor));
        place.statebench("gate candidate.json --policy policy.toml --baseline baselines").code.unwrap()
    };
    assert_eq!((gate(0.85), gate(0.6)), (0, 1));
}

#[test]
fn wrong_input_is_refused() {
    let place = Place::with_job();
    let said = |args: &str, code: i32| {
        let ran = place.statebench(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(code), ""), "{args}: {ran:?}");
        ran.err
    };
    assert!(said("calibrate", 2).contains("<WORKLOAD>"));
    assert!(said("calibrate none.toml", 2).contains("none.toml"));
    assert!(said("calibrate job.toml --pairs 1", 2).contains("1 is not in 2..=1000"));
    assert!(said("calibrate job.toml --repeats 5", 2).contains("--repeats: not for trials that are run in pairs"));
    place.statebench("run job.toml -q -o r.json").ok();
    assert_eq!(said("calibrate --from r.json", 2), "error: job: is no result of pairs, as `ab` writes them\n");
    place.statebench(CALIBRATE).ok();
    let (name, mut newer) = calibration(&place, "baselines");
    newer["schema"] = json!("statebench.calibration/2");
    place.file(&name, newer.to_string());
    assert!(said("calibrate --from a.json", 5).contains("is of schema statebench.calibration/2"));
    place.file(&name, "{}");
    assert!(said("calibrate --from a.json", 2).contains("not a statebench calibration"));
}
