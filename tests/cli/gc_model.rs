//! `statebench gc-model`

use insta::assert_snapshot;

use super::Place;

#[test]
fn the_model_s_error_is_printed() {
    let place = Place::new();
    assert_snapshot!(place.statebench("gc-model validate").ok(), @r"
    modelled JVM garbage collection against 25 runs of Flink's heap backend (the built-in constants were fitted to them)

    ───────────────────────────────────────────────────────────────────────────────
     error of the model                collector   runs   median      p90    worst 
    ═══════════════════════════════════════════════════════════════════════════════
     live bytes                        both          25    0.5 %    1.2 %    1.8 % 
    ───────────────────────────────────────────────────────────────────────────────
     allocation per operation          both          24    0.0 %    0.1 %    0.7 % 
    ───────────────────────────────────────────────────────────────────────────────
     young collections per operation   G1            17   18.3 %   43.5 %   43.7 % 
    ───────────────────────────────────────────────────────────────────────────────
     full collections per operation    G1             9   14.7 %   68.4 %   68.4 % 
    ───────────────────────────────────────────────────────────────────────────────
     share of time in pauses           G1            17   10.3 %   41.8 %   49.2 % 
    ───────────────────────────────────────────────────────────────────────────────
     young collections per operation   Parallel       1    7.5 %    7.5 %    7.5 % 
    ───────────────────────────────────────────────────────────────────────────────
     full collections per operation    Parallel       6    7.8 %   18.4 %   18.4 % 
    ───────────────────────────────────────────────────────────────────────────────
     share of time in pauses           Parallel       7    5.7 %   10.2 %   10.2 % 
    ───────────────────────────────────────────────────────────────────────────────

    ─────────────────────────────────────────────────────────────────────
     right answers of the model       collector   runs   right     share 
    ═════════════════════════════════════════════════════════════════════
     out of memory or not             G1            17      17   100.0 % 
    ─────────────────────────────────────────────────────────────────────
     any full collection or none      G1            17      15    88.2 % 
    ─────────────────────────────────────────────────────────────────────
     p99 pause within its range       G1            17      16    94.1 % 
    ─────────────────────────────────────────────────────────────────────
     longest pause within its range   G1            17      16    94.1 % 
    ─────────────────────────────────────────────────────────────────────
     out of memory or not             Parallel       8       8   100.0 % 
    ─────────────────────────────────────────────────────────────────────
     any full collection or none      Parallel       7       7   100.0 % 
    ─────────────────────────────────────────────────────────────────────
     p99 pause within its range       Parallel       7       7   100.0 % 
    ─────────────────────────────────────────────────────────────────────
     longest pause within its range   Parallel       7       7   100.0 % 
    ─────────────────────────────────────────────────────────────────────

    constants: young 1 ms + 1440 ns a MiB of heap + 319 ns an object + 0.4 ns a byte copied
    constants: an old object moved 60 ns more; G1 expects 4 times the pause
    constants: full G1 0 ms + 110 ns an object + 0.5 ns a byte; Parallel 107 ms + 94 ns an object + 0.6 ns a byte
    constants: concurrent mark 0 ms + 98 ns an object + 0.5 ns a byte
    ");
    let by_run = place.statebench("gc-model validate --by-run").ok();
    assert!(by_run.contains("A-G1-1.15") && by_run.contains("out of memory / out of memory"), "{by_run}");
}

#[test]
fn measured_runs_of_a_file_are_compared_and_bad_ones_refused() {
    let place = Place::new();
    let built_in = include_str!("../../reports/validation/jvm-gc.jsonl");
    let lines: Vec<_> = built_in.lines().take(2).collect();
    place.file("runs.jsonl", lines.join("\n"));
    let printed = place.statebench("gc-model validate runs.jsonl").ok();
    assert!(printed.starts_with("modelled JVM garbage collection against 2 runs of runs.jsonl\n"), "{printed}");
    let said = |content: &str| {
        place.file("bad.jsonl", content);
        place.refusal("gc-model validate bad.jsonl")
    };
    assert_snapshot!(said(""), @"error: bad.jsonl: holds no runs; each line is the JSON object of one");
    assert_snapshot!(said(&format!("{}\n{{\"id\": 3}}", lines[0])), @"error: bad.jsonl:2: heap_mb: found nothing, allowed is a number from 1 to 32767: the layout holds below 32 GB");
    assert_snapshot!(said(&lines[0].replace("\"G1\"", "\"ZGC\\u001b\"")), @r#"error: bad.jsonl:1: gc: found "ZGC\u001b", allowed is one of G1, Parallel"#);
    assert_snapshot!(said("{"), @"error: bad.jsonl:1: not a JSON object: EOF while parsing an object at line 1 column 1");
    assert_snapshot!(place.refusal("gc-model validate none.jsonl"), @"error: none.jsonl: cannot read the measured runs: No such file or directory (os error 2)");
    assert!(said(&"[".repeat(100_000)).contains("recursion limit"));
    place.file("constants.toml", "young-ms = 1");
    let refused = place.refusal("gc-model validate --constants constants.toml");
    assert!(refused.starts_with("error: constants.toml:1:1: missing field"), "{refused}");
}

#[test]
fn a_result_s_heap_trials_are_put_on_a_jvm() {
    let place = Place::new();
    place.file(
        "job.toml",
        "keys = { cardinality = 1_000, distribution = 'zipf' }\noperator.mix.read-modify-write = 1.0\n\
         values.size = '200 b'\nrun = { events = 20_000, repeats = 1, counters = false }\n",
    );
    let run = place.statebench("run --quick job.toml -q -o r.json").ok();
    let process = run.lines().find(|line| line.starts_with("process heap heap: ")).unwrap();
    assert!(process.contains(" an event allocated, ") && process.contains(" resident; "), "{process}");
    assert!(process.contains(" allocator calls over 32 KiB took ") && process.ends_with(" (measured)"), "{process}");
    let asked = "gc-model predict r.json --events-per-second 1_000 --heap 64mb,1gb";
    let printed = place.statebench(asked).ok();
    // Entry, key and array of each key, and 128 tables; but the boxes of the first 128 keys are shared. Each event boxes a key
    // and writes an array.
    assert!(printed.contains("3.0 objects an entry), 240 B an event allocated"), "{printed}");
    assert!(printed.contains("rate: 1000 events/s offered"), "{printed}");
    assert!(printed.contains("error of the built-in constants on 25 measured runs: live bytes 0."), "{printed}");
    let rows = |collector: &str| printed.lines().filter(|line| line.starts_with(collector)).count();
    assert_eq!([" G1 ", " Parallel ", " measured alone ", " with modelled G1 "].map(rows), [2, 2, 1, 2], "{printed}");
    let tight = place.statebench("gc-model predict r.json --events-per-second 1e6 --heap 8mb --collector g1").ok();
    assert!(tight.contains("does not fit"), "{tight}");
    let json = place.statebench(&format!("{asked} --collector parallel --format json")).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["kind"], &json["jobs"][0]["rate"]["offered"]), (&"modelled".into(), &1_000.0.into()));
    assert_eq!(json["jobs"][0]["heaps"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["jobs"][0]["allocated_bytes_per_event"], 240.0);
    let refused = place.statebench("gc-model predict r.json");
    assert_eq!(refused.code, Some(2));
    assert_snapshot!(refused.err, @"error: the trial of `heap` ran as fast as it could, which says nothing of a JVM; state a rate with --events-per-second");
    // An open loop has a rate.
    place.statebench("run --quick job.toml --set load.rate=20_000 -q -o open.json").ok();
    let open = place.statebench("gc-model predict open.json --heap 64mb").ok();
    assert!(open.contains("rate: 20000 events/s offered\n"), "{open}");
    let most = place.statebench("gc-model predict r.json --events-per-second 1e12 --heap 64mb --closed-loop").ok();
    assert!(!most.contains("NaN") && !most.contains("inf"), "{most}");
}

#[test]
fn what_the_model_cannot_answer_is_refused() {
    let place = Place::with_job();
    place.statebench("run --quick job.toml -q -o r.json --configuration rocksdb").ok();
    let printed = place.statebench("gc-model predict r.json --events-per-second 1000");
    assert_eq!(printed.code, Some(2));
    assert_snapshot!(printed.err, @r#"error: r.json: holds no finished trial that counted its objects on a Java heap; run one with "state.backend.type" = "hashmap""#);
    for (args, expected) in [
        ("gc-model predict r.json --closed-loop", "--events-per-second <N>"),
        ("gc-model predict r.json --events-per-second 0", "a number from 0.001 to 1e12"),
        ("gc-model predict r.json --events-per-second inf", "a number from 0.001 to 1e12"),
        ("gc-model predict r.json --events-per-second 1 --heap 32gb", "a size from 1mb to below 32gb"),
        ("gc-model predict r.json --events-per-second 1 --heap 1xb", "unknown unit"),
        ("gc-model predict r.json --events-per-second 1 --collector zgc", "invalid value 'zgc'"),
        ("gc-model predict r.json --events-per-second 1 --cores 0", "0 is not in 1..=1024"),
        ("gc-model predict r.json --events-per-second 1 --max-pauses 100", "a number above 0, below 100"),
    ] {
        let ran = place.statebench(args);
        assert!(ran.code == Some(2) && ran.err.contains(expected), "{args}: {ran:?}");
    }
}

#[test]
fn without_a_jdk_there_is_no_calibration() {
    let place = Place::new();
    let mut command = place.command("gc-model calibrate -o constants.toml");
    command.env_remove("JAVA_HOME").env("PATH", place.path("tmp"));
    let ran = place.finish(command);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert_snapshot!(ran.err, @"error: no JDK: `java` and `javac` are neither in the folder `bin` of JAVA_HOME nor on the PATH");
    let nowhere = place.statebench("gc-model calibrate -o none/constants.toml");
    assert_eq!(nowhere.code, Some(3));
    assert_snapshot!(nowhere.err, @"error: none/constants.toml: No such file or directory (os error 2)");
    place.file("constants.toml", "mine");
    let refused = place.refusal("gc-model calibrate -o constants.toml");
    assert_snapshot!(refused, @"error: constants.toml exists and is left as it is; --force overwrites it");
    assert_eq!(place.text("constants.toml"), "mine");
}

#[test]
#[ignore = "it takes half a minute, and a JDK"]
fn constants_of_this_machine_are_measured_and_used() {
    let place = Place::new();
    let printed = place.statebench("gc-model calibrate -o constants.toml").ok();
    assert!(printed.contains("young ") && printed.ends_with("wrote constants.toml\n"), "{printed}");
    assert!(place.text("constants.toml").starts_with("# statebench gc-model calibrate: "));
    let validated = place.statebench("gc-model validate --constants constants.toml").ok();
    assert!(!validated.contains("constants: young 1 ms + 1440 ns"), "{validated}");
}

#[test]
fn a_run_at_a_known_rate_shows_what_a_jvm_would_add() {
    let place = Place::new();
    let job = "keys.cardinality = 1_000\noperator.mix.read-modify-write = 1.0\nvalues.size = '200 b'\n\
               run = { events = 20_000, repeats = 1, counters = false }\n";
    place.file("closed.toml", job);
    let closed = place.statebench("run --quick closed.toml -q -o closed.json").ok();
    assert!(!closed.contains("JVM"), "a closed loop says nothing of a JVM: {closed}");
    place.file(
        "stated.toml",
        format!(
            "{job}gc-model = {{ events-per-second = 10_000, heap = ['64 mb', '1 gb'], garbage-per-event = '1 kb' }}\n"
        ),
    );
    let stated = place.statebench("run --quick stated.toml -q -o stated.json").ok();
    let rows = |text: &str, of: &str| text.lines().filter(|line| line.contains(of)).count();
    assert_eq!([" measured alone ", " with G1 ", " with Parallel "].map(|of| rows(&stated, of)), [2, 2, 2], "{stated}");
    assert!(stated.contains("modelled JVM: collections at 10.0 k events/s (stated) laid over"), "{stated}");
    assert_eq!(rows(&stated, "modelled JVM: error"), 3, "{stated}");
    let predicted = place.statebench("gc-model predict stated.json --collector g1").ok();
    assert!(predicted.contains("1.2 KiB") || predicted.contains("1240 B an event allocated"), "{predicted}");
    assert!(predicted.contains("rate: 10000 events/s offered"), "{predicted}");
    place.file("open.toml", format!("{job}load.rate = 5_000\n"));
    let open = place.statebench("run --quick open.toml -q -o open.json").ok();
    assert!(open.contains("modelled JVM: collections at 5.00 k events/s (of the open loop)"), "{open}");
    place.file("bad.toml", format!("{job}gc-model.heap = ['64 gb']\n"));
    assert_snapshot!(place.refusal("check bad.toml"), @"
    error: bad.toml:5:18: gc-model.heap[0]: found 64 gb; allowed: 1mb to below 32gb: above, references are no longer compressed
      |
    5 | gc-model.heap = ['64 gb']
      |                  ^^^^^^^
    ");
}
