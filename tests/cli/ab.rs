//! `statebench ab`

use statebench::result::{Outcome, RunResult, Stop};

use super::Place;
use super::compare::verdicts;

/// Options of a run of a few pairs, whose result is in `r.json`.
const FEW: &str = "-q -o r.json --max-pairs 2";

/// What the program says of a command line that it refuses with this exit code.
#[track_caller]
fn refused(place: &Place, args: &str, code: i32) -> String {
    let ran = place.statebench(args);
    assert_eq!((ran.code, ran.out.as_str()), (Some(code), ""), "{args}: {ran:?}");
    ran.err
}

/// Configuration and repeat of each trial, sorted.
fn trials(result: &RunResult) -> Vec<(&str, u32)> {
    let mut trials: Vec<_> = result.trials.iter().map(|trial| (trial.configuration.as_str(), trial.repeat)).collect();
    trials.sort_unstable();
    trials
}

#[test]
fn configurations_are_run_in_pairs_with_the_same_events() {
    let place = Place::with_job();
    let shown = place.statebench(&format!("ab job.toml --configuration rocksdb --configuration heap {FEW}")).ok();
    let text = verdicts(&shown);
    assert!(text.contains("rocksdb → heap | CPU | ? inconclusive: 2 of the "), "{text}");
    assert!(text.contains("rocksdb → heap | memory | not judged: shown beside | 2 pairs"), "{text}");
    assert!(text.contains("rocksdb → heap | digest of state | = no change (exact) | 2 values"), "{text}");
    assert!(text.contains("over 5 looks; looked at after 2 pairs; ended after "), "{text}");
    assert!(text.contains(": all planned pairs are run\n"), "{text}");

    let result = place.result("r.json");
    assert_eq!(trials(&result), [("heap", 0), ("heap", 1), ("rocksdb", 0), ("rocksdb", 1)]);
    let seed = |configuration: &str, repeat| {
        result.trials.iter().find(|t| (t.configuration.as_str(), t.repeat) == (configuration, repeat)).unwrap().seed
    };
    assert_eq!(seed("heap", 1), seed("rocksdb", 1));
    assert_ne!(seed("heap", 0), seed("heap", 1));
    let interleaved = result.interleaved.as_ref().unwrap();
    assert_eq!((interleaved.planned_looks, interleaved.stopped), (5, Some(Stop::Pairs)));
    assert_eq!((&interleaved.looks[..], interleaved.contrasts[0].base.as_str()), (&[2][..], "rocksdb"));
    let ran = result.trials.iter().map(|trial| (trial.run.began_s.unwrap(), trial.run.took_s.unwrap()));
    assert!(ran.clone().is_sorted_by(|a, b| a.0 + a.1 <= b.0 + 0.01), "one after the other");

    // The result leads to the same comparison again, and can be shown as any other.
    let again = place.statebench("compare r.json --metric cpu_per_event_ns").ok();
    assert!(verdicts(&again).contains("rocksdb → heap | CPU | ? inconclusive: 2 of the "), "{again}");
    assert!(place.statebench("show r.json").ok().contains("equal in 2 trials"));
    let runs = place.statebench("show r.json --runs").ok();
    assert_eq!(runs.lines().count(), 5);
    assert!(runs.starts_with("workload,configuration,block,position,began_s,took_s,seed,"), "{runs}");
    assert_eq!(place.statebench("ab job.toml -q --max-pairs 1 --on-inconclusive fail").code, Some(4));
    assert_eq!(place.results(), ["job-ab.result.json"]);
}

#[test]
fn another_program_runs_trials_for_this_one() {
    let place = Place::with_job();
    let own = env!("CARGO_BIN_EXE_statebench");
    let shown = place.statebench(&format!("ab job.toml --configuration heap --binary {own} {FEW}")).ok();
    assert!(
        verdicts(&shown).contains("heap binary=base → heap binary=candidate | CPU | ? inconclusive: 2 of the "),
        "{shown}"
    );
    let result = place.result("r.json");
    assert_eq!(result.agreements.iter().map(|agreement| agreement.trials).collect::<Vec<_>>(), [2, 2]);
    for trial in &result.trials {
        assert!(matches!(trial.outcome, Outcome::Finished(_)));
        let program = trial.run.program.as_ref().map(|program| (program.file.as_str(), program.digest.len()));
        let expected = (trial.configuration == "heap binary=candidate").then_some(("statebench", 16));
        assert_eq!(program, expected, "{}", trial.configuration);
    }
    let two = format!("ab job.toml --binary {own} --binary {own} -q --force -o r.json --max-pairs 1");
    place.statebench(&two).ok();
    let result = place.result("r.json");
    assert_eq!(
        trials(&result).iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["heap binary=base", "heap binary=candidate", "rocksdb binary=base", "rocksdb binary=candidate"]
    );
    assert!(result.trials.iter().all(|trial| trial.run.program.is_some()));
}

#[cfg(unix)]
#[test]
fn a_program_that_speaks_otherwise_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with_job();
    let program = |name: &str, says: &str| {
        let path = place.file(name, format!("#!/bin/sh\n{says}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let err = place.statebench(&format!("ab job.toml --configuration heap -q --binary ./{name}"));
        assert_eq!(err.out, "");
        (err.code.unwrap(), err.err)
    };
    let (code, err) = program("deaf", "true");
    assert!(
        code == 2
            && err.ends_with(
                "/deaf: is no statebench that can run trials for another one: asked what it speaks, it says nothing\n"
            ),
        "{err}"
    );
    let (code, err) = program("other", "echo hello");
    assert!(code == 2 && err.contains("it says `hello`"), "{err}");
    let build = r#"{"statebench":"9.9.9","rocksdb":null,"profile":"release","allocator":"a","target":"t"}"#;
    let (code, err) = program("newer", &format!("echo '{{\"protocol\":999,\"build\":{build}}}'"));
    assert!(
        code == 5 && err.contains("statebench 9.9.9 speaks version 999 of the protocol of trials, this one version 1"),
        "{err}"
    );
    // One that claims to speak the same and then does not.
    let talk =
        format!("case $2 in --describe) echo '{{\"protocol\":1,\"build\":{build}}}';; *) echo '\"what\"';; esac");
    let (code, err) = program("liar", &talk);
    assert!(code == 3 && err.contains("the two programs differ in what they tell of a trial"), "{err}");
    assert!(refused(&place, "ab job.toml --binary none", 2).contains("/none: cannot be run: No such file"));
    place.file("text", "no program");
    assert_eq!(place.statebench("ab job.toml --binary ./text").code, Some(3));
}

#[test]
fn a_handicap_is_in_the_result_and_in_what_is_said() {
    let place = Place::with_job();
    place.file("job.toml", super::SMALL.replace("events = 20_000", "events = 20_000, warm-up = 16_384"));
    let args = "ab job.toml --configuration heap --handicap 0% --handicap 400 --metric throughput_events_per_s";
    let shown = place.statebench(&format!("{args} {FEW}")).ok();
    assert!(shown.contains("warning: trials were slowed down on purpose, by 400 % and the like"), "{shown}");
    let result = place.result("r.json");
    let of = |name: &str| {
        let own = result.trials.iter().filter(|trial| trial.configuration == name);
        own.map(|trial| trial.run.handicap_percent).collect::<Vec<_>>()
    };
    assert_eq!(of("heap"), [None; 2]);
    assert_eq!((of("heap handicap=0%"), of("heap handicap=400%")), (vec![Some(0.0); 2], vec![Some(400.0); 2]));
    place.statebench("run job.toml -q -o s.json --handicap 5%").ok();
    let slowed = place.result("s.json");
    assert!(slowed.trials.iter().all(|trial| trial.run.handicap_percent == Some(5.0)));
    assert!(slowed.trials.iter().all(|trial| trial.configuration.ends_with(" handicap=5%")));

    place.file("job.toml", super::SMALL.replace("events = 20_000", "events = 20_000, warm-up = 0"));
    let ran = place.statebench("run job.toml -q --handicap 5%");
    assert!(ran.code == Some(2) && ran.err.contains("the warm-up is too short"), "{ran:?}");
    place.file("job.toml", format!("load.rate = 1000\n{}", super::SMALL));
    assert!(refused(&place, "run job.toml --handicap 5%", 2).contains("slows down closed loops"));
}

#[test]
fn wrong_input_is_refused() {
    let place = Place::with_job();
    for (args, expected) in [
        (
            "--configuration heap",
            "one configuration, heap: name two or more with --configuration, or a second statebench",
        ),
        ("--configuration hepa --configuration rocksdb", "did you mean `heap`?"),
        ("--repeats 3", "--repeats: not for trials that are run in pairs"),
        ("--binary a --binary b --binary c", "--binary: found 3 files; allowed: one or two"),
        ("--metric latency_p9_ns", "did you mean `latency_p99_ns`?"),
        ("--metric restore_duration_ns", "no judged metric is in both trials of the first pair"),
        ("--threshold latency_p99_ns=0", "a threshold is above 0"),
        ("--max-pairs 0", "0 is not in 1..=1000"),
        ("--budget soon", "`soon` is not a time"),
        ("--alpha 1", "expected a number from 0.000001 to 0.5"),
        ("--handicap -5%", "expected 0% to 1000%"),
    ] {
        let err = refused(&place, &format!("ab job.toml -q --output r.json --force {args}"), 2);
        assert!(err.contains(expected), "{args}: {err}");
    }
    assert!(refused(&place, "ab none.toml", 2).contains("none.toml"));
    place.file("there.json", "mine");
    assert_eq!(refused(&place, "ab job.toml -o there.json", 2), "error: there.json exists; --force overwrites it\n");
}
