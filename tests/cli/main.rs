//! The command line as a user meets it: what the program prints, leaves behind and exits with.

// Tests fail by panicking, in their helpers too.
#![allow(clippy::unwrap_used, clippy::panic)]

mod ab;
mod advise;
mod bad_input;
mod calibrate;
mod check;
mod checkpoints;
mod compare;
mod environment;
mod flink;
mod flink_measured;
mod flink_run;
mod formats;
mod gate;
mod gc_model;
mod history;
mod junit;
mod others;
mod phases;
mod report;
mod run;
mod show;
mod signals;
mod stores;
mod tune;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use statebench::result::{Measurement, Outcome, RunResult, Trial};

/// A job that takes a moment: a count for each of a thousand keys, on the heap and on RocksDB.
const SMALL: &str = r#"
description = "a small job"
keys = { cardinality = 1_000, distribution = "zipf" }
run = { events = 20_000, repeats = 1, counters = false }
"#;

/// A folder that goes with the test, in which the program runs.
struct Place {
    folder: tempfile::TempDir,
}

/// What became of a run of the program.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        Self { folder }
    }

    /// A place with [`SMALL`] in `job.toml`.
    fn with_job() -> Self {
        let place = Self::new();
        place.file("job.toml", SMALL);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The program with arguments parted by blanks, its temporary folders below `tmp`.
    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_statebench"));
        command.args(args.split_whitespace()).current_dir(self.folder.path());
        command.env("TMPDIR", self.path("tmp")).env("RUST_BACKTRACE", "0").env_remove("CLICOLOR_FORCE");
        command
    }

    /// Runs the program with arguments parted by blanks.
    fn statebench(&self, args: &str) -> Ran {
        self.finish(self.command(args))
    }

    /// Runs the program to its end. It never panics, never takes forever and never leaves a temporary file behind.
    fn finish(&self, command: Command) -> Ran {
        let mut command = assert_cmd::Command::from_std(command);
        let ran = Ran::of(command.timeout(Duration::from_mins(5)).output().unwrap());
        assert_ne!(ran.code, Some(101), "it panicked: {ran:?}");
        assert!(!ran.err.contains("panicked"), "{ran:?}");
        assert_eq!(self.leftovers(), <[String; 0]>::default(), "{ran:?}");
        ran
    }

    /// What is left of state folders and half-written results.
    fn leftovers(&self) -> Vec<String> {
        let names = |folder: &Path| {
            let entries = std::fs::read_dir(folder).unwrap();
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let here = names(self.folder.path()).into_iter().filter(|name| name.starts_with(".statebench-"));
        here.chain(names(&self.path("tmp"))).collect()
    }

    /// The results in the folder.
    fn results(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| name.ends_with(".result.json")).collect();
        names.sort();
        names
    }

    fn result(&self, name: &str) -> RunResult {
        RunResult::load(&self.path(name)).unwrap()
    }

    /// What the program says of an input that is wrong: exit code 2, nothing on stdout, no result.
    fn refusal(&self, args: &str) -> String {
        let ran = self.statebench(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args}: {}", ran.err);
        assert_eq!(self.results(), <[String; 0]>::default(), "{args}");
        ran.err
    }
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Asserts that all went well and returns what it printed.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }
}

/// Starts the program at the head of a process group of its own, as a shell does.
fn start(mut command: Command) -> std::process::Child {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The folder of the workloads that come with the program.
fn workloads() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads")
}

/// The workload files that come with the program.
fn workload_files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workloads()).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(files.len() >= 18, "{files:?}");
    files
}

/// The one trial of a configuration in a result without a matrix.
fn trial<'a>(result: &'a RunResult, configuration: &str) -> &'a Trial {
    result.trials.iter().find(|trial| trial.configuration == configuration).unwrap()
}

/// What the one trial of a configuration measured.
fn measured<'a>(result: &'a RunResult, configuration: &str) -> &'a Measurement {
    match &trial(result, configuration).outcome {
        Outcome::Finished(measurement) => measurement,
        other => panic!("{configuration}: {other:?}"),
    }
}

/// Lines of a result that begin with these differ from run to run.
const VARYING: [&str; 8] =
    ["timing:", "java heap ", "process ", "harness:", "working set ", "not steady ", "latency ", "flink "];

/// Text of a result without what may differ from run to run: figures are `#`, digests `DIGEST`; the rules of tables, what
/// timing cost, what went on beside the events and how steady they were are left out.
fn figures(text: &str) -> String {
    let is_figure = |cell: &str| cell == "-" || cell.starts_with(|c: char| c == '±' || c.is_ascii_digit());
    let row = |line: &str| {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).enumerate();
        let cells = cells.map(|(index, cell)| if index >= 2 && is_figure(cell) { "#" } else { cell });
        cells.collect::<Vec<_>>().join(" | ")
    };
    let note = |line: &str| {
        let is_digest = |word: &str| word.find('/') == Some(16) && word[..16].chars().all(|c| c.is_ascii_hexdigit());
        let words = line.split(' ').map(|word| if is_digest(word) { "DIGEST" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let mut is_in_table = false;
    let lines = text.lines().filter(|line| {
        is_in_table = (is_in_table && !line.is_empty()) || line.starts_with(" p99 during");
        !is_in_table && !line.starts_with(['─', '═']) && !VARYING.iter().any(|&note| line.starts_with(note))
    });
    lines.map(|line| if line.starts_with(' ') { row(line) } else { note(line) }).collect::<Vec<_>>().join("\n")
}
