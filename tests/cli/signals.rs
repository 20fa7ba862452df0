//! Trials that die and runs that are stopped.
#![cfg(target_os = "linux")]

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use statebench::result::{Outcome, RunResult};

use super::{Place, Ran, start};

/// Waits until there is something; the limit only keeps a broken program from holding up the tests.
pub(super) fn wait_for<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "no {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A child of a process.
fn child_of(parent: u32) -> Option<u32> {
    let is_child = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name of the program, in brackets, may hold anything.
        let parent_id = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        parent_id == Some(parent)
    };
    let ids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    ids.into_iter().find(is_child)
}

/// Sends a signal to a process, or with a minus before the number to its group.
pub(super) fn send(signal: &str, target: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -s {signal} -- {target}")]).status();
    assert!(status.unwrap().success(), "{signal} to {target}");
}

/// Waits for the end and fails where there is none.
pub(super) fn ended(mut child: Child) -> Ran {
    wait_for("end", || child.try_wait().unwrap());
    Ran::of(child.wait_with_output().unwrap())
}

fn timed(place: &Place, duration: &str, repeats: u32) {
    place.file(
        "job.toml",
        format!("keys.cardinality = 100\nrun = {{ duration = '{duration}', repeats = {repeats}, counters = false }}\n"),
    );
}

#[test]
fn a_trial_that_is_killed_fails_alone() {
    let place = Place::new();
    timed(&place, "1 s", 1);
    let run = start(place.command("run job.toml"));
    let trial = wait_for("trial", || child_of(run.id()));
    send("KILL", &trial.to_string());
    let ran = ended(run);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let why = "the trial's process died: signal: 9 (SIGKILL); the system kills a process that way when memory runs out";
    assert!(ran.err.contains(&format!(" repeat 1/1: failed: {why}\n")), "{ran:?}");
    assert!(ran.out.contains("0 (1 failed)") && ran.out.contains(&format!(" repeat 1: {why}\n")), "{ran:?}");
    let result = place.result("job.result.json");
    assert_eq!((result.trials.len(), result.finished().count(), result.interrupted), (2, 1, false));
    let Outcome::Failed { reason, environment } = &result.trials[0].outcome else { panic!("{result:?}") };
    assert_eq!((reason.as_str(), *environment), (why, true));
    assert_eq!(place.leftovers(), <[String; 0]>::default());
}

#[test]
fn a_run_that_is_interrupted_keeps_what_was_finished() {
    let place = Place::new();
    timed(&place, "300 ms", 5);
    let run = start(place.command("run job.toml"));
    let finished =
        || RunResult::load(&place.path("job.result.json")).ok().filter(|result| result.finished().count() > 0);
    wait_for("finished trial", finished);
    send("INT", &format!("-{}", run.id()));
    let ran = ended(run);
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (Some(130), "result: ./job.result.json\nerror: interrupted; finished trials are saved\n")
    );
    let result = place.result("job.result.json");
    assert!(result.interrupted && result.planned_trials == 10 && result.trials.len() < 10, "{result:?}");
    assert!(result.finished().count() > 0);
    let incomplete = format!("incomplete: {} of 10 trials ran\n", result.trials.len());
    assert!(ran.out.contains(&incomplete), "{}", ran.out);
    assert_eq!(place.statebench("show job.result.json").ok(), ran.out, "shown as it was printed");
    assert_eq!(place.leftovers(), <[String; 0]>::default());
}

#[test]
fn a_run_that_is_interrupted_before_anything_is_finished_leaves_nothing() {
    for (signal, to_the_group) in [("INT", true), ("TERM", false)] {
        let place = Place::new();
        timed(&place, "10 min", 3);
        let run = start(place.command("run job.toml"));
        wait_for("state", || place.leftovers().first().cloned());
        wait_for("trial", || child_of(run.id()));
        // Sent to the run alone, the signal must reach the trial through it.
        send(signal, &if to_the_group { format!("-{}", run.id()) } else { run.id().to_string() });
        let ran = ended(run);
        assert_eq!(
            (ran.code, ran.out.as_str(), ran.err.as_str()),
            (Some(130), "", "error: interrupted; no trial had finished\n")
        );
        assert_eq!(place.results(), <[String; 0]>::default());
        assert_eq!(place.leftovers(), <[String; 0]>::default());
    }
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    let place = Place::new();
    timed(&place, "10 min", 1);
    let mut run = start(place.command("run job.toml"));
    let trial = wait_for("trial", || child_of(run.id()));
    // The trial is held still, so that the run waits for it. Two signals close together may arrive as one: the second
    // is sent until it has come.
    send("STOP", &trial.to_string());
    let status = wait_for("end", || {
        send("INT", &run.id().to_string());
        std::thread::sleep(Duration::from_millis(50));
        run.try_wait().unwrap()
    });
    send("KILL", &trial.to_string());
    assert_eq!(status.code(), Some(130));
}

#[test]
fn a_trial_command_without_a_trial_says_so() {
    let place = Place::new();
    let ran = place.statebench("trial");
    assert_eq!(ran.code, Some(3));
    assert_eq!(ran.err, "error: EOF while parsing a value at line 1 column 0\n");
}
