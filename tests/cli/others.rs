//! The commands beside `run`, `check`, `show` and `schema`.

use std::process::Command;

use insta::assert_snapshot;

use statebench::workload::OPTIONS;

use super::{Place, workloads};

#[test]
fn init_writes_a_workload_that_runs_and_never_overwrites() {
    let place = Place::new();
    let ran = place.statebench("init");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
    assert_snapshot!(ran.err, @"wrote workload.toml; run it with: statebench run workload.toml");
    place.statebench("run --quick -q workload.toml").ok();
    place.file("workload.toml", "mine");
    assert_snapshot!(place.statebench("init").err, @"error: workload.toml exists and is left as it is");
    assert_eq!(place.statebench("init").code, Some(2));
    assert_eq!(place.text("workload.toml"), "mine");
    place.statebench("init other.toml").ok();
    place.statebench("check other.toml").ok();
    let ran = place.statebench("init none/w.toml");
    assert_eq!(ran.code, Some(3));
    assert_snapshot!(ran.err, @"error: none/w.toml: No such file or directory (os error 2)");
}

#[test]
fn lists_name_what_there_is() {
    let place = Place::new();
    let names = |what: &str| {
        let list = place.statebench(&format!("list {what}")).ok();
        let described =
            list.lines().all(|line| line.split_once("  ").is_some_and(|(_, about)| !about.trim().is_empty()));
        assert!(described, "{list}");
        list.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_snapshot!(names("operators"), @"counter reduce aggregate list-buffer map value-of-map tumbling-window sliding-window session-window changelog-join running-total mix deduplicate regular-join top-n interval-join temporal-join continuous-join broadcast-rules source-offsets");
    assert_snapshot!(names("distributions"), @"uniform zipf hotspot latest exponential sequential moving ephemeral key-ranges recent");
    let options = names("options");
    let options: Vec<_> = options.split(' ').collect();
    let keys: Vec<_> = OPTIONS.iter().map(|row| row.key).collect();
    assert_eq!(options[..keys.len()], keys);
    assert!(options[keys.len()..].iter().all(|key| key.starts_with("state.backend.rocksdb.metrics.")));
    // What is listed can be used.
    for operator in names("operators").split(' ') {
        let operator = match operator {
            "mix" => "mix.preset = 'ycsb-a'".to_owned(),
            "changelog-join" => "changelog-join = {}\nsource = 'cdc-orders'".to_owned(),
            other => format!("{other} = {{}}"),
        };
        place.file("job.toml", format!("operator.{operator}\n"));
        place.statebench("check --quick job.toml").ok();
    }
    for distribution in names("distributions").split(' ') {
        place.file("job.toml", format!("keys.distribution = '{distribution}'\n"));
        place.statebench("check --quick job.toml").ok();
    }
    assert!(place.statebench("list options").ok().contains("state.backend.rocksdb.block.cache-size = 8 mb "));
}

/// The names of an article on state backends, as Flink has them, and what they really are.
#[test]
fn metrics_are_listed_as_flink_reports_them() {
    let list = Place::new().statebench("list metrics").ok();
    let about = |name: &str| {
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("{name}: {list}"))[name.len()..].trim().to_owned()
    };
    assert_snapshot!(about("rocksdb.compaction-pending"), @"0 or 1: whether a compaction is due; no number of bytes [timeline.intervals.store.compaction_pending, summed over column families]");
    assert_snapshot!(about("rocksdb.block_cache_hit"), @"blocks found in the cache: of data, index and filters together [store_counters.data_hits, index_hits, filter_hits]");
    assert!(about("rocksdb.actual-delayed-write-rate").starts_with("the rate that writes are slowed down to"));
    assert!(about("rocksdb.compact_write_bytes").starts_with("bytes that compactions wrote"));
    assert_eq!(list.lines().count(), 39);
}

#[test]
fn the_workloads_of_a_folder_are_listed() {
    let place = Place::new();
    let list = place.statebench(&format!("list workloads --folder {}", workloads().display())).ok();
    assert_eq!(list.lines().count(), super::workload_files().len());
    assert!(list.contains("counter.toml") && !list.contains("not valid"), "{list}");
    std::fs::create_dir(place.path("workloads")).unwrap();
    place.file("workloads/a.toml", r#"description = "first\u001b[2J line\nsecond""#);
    place.file("workloads/b.toml", "keys.cardinalty = 5");
    place.file("workloads/notes.txt", "");
    assert_snapshot!(place.statebench("list workloads").ok(), @r"
    workloads/a.toml  first\u{1b}[2J line
    workloads/b.toml  (not valid: workloads/b.toml:1:6: keys.cardinalty: unknown key `cardinalty`, expected one of `cardinality`, `distribution`, `type`, `absent`)
    ");
    let ran = place.statebench("list workloads --folder none");
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert_snapshot!(ran.err, @"error: none: cannot list workloads: No such file or directory (os error 2)");
}

#[test]
fn completions_are_a_script_that_the_shell_accepts() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.statebench(&format!("completions {shell}")).ok();
        assert!(script.contains("statebench") && script.contains("state-dir"), "{shell}");
    }
    place.file("completions", place.statebench("completions bash").ok());
    let Ok(checked) = Command::new("bash").arg("-n").arg(place.path("completions")).output() else { return };
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn a_trace_is_described() {
    let place = Place::new();
    let sample = workloads().join("data/flights-sample.csv");
    let columns = place.statebench(&format!("trace inspect {}", sample.display())).ok();
    assert!(["date", "origin", "destination", "delay"].iter().all(|name| columns.contains(name)), "{columns}");
    let mapped = format!("trace inspect {} --time date --key origin,destination", sample.display());
    assert!(place.statebench(&mapped).ok().contains("26,000 rows of CSV"));
    let json: serde_json::Value = serde_json::from_str(&place.statebench(&format!("{mapped} --json")).ok()).unwrap();
    assert!(json.is_object());
    for (args, expected) in [
        ("trace inspect none.csv", "error: none.csv: there is no such file\n"),
        ("trace inspect . --format csv", "error: .: this is a directory; a trace is one file\n"),
    ] {
        assert_eq!(place.refusal(args), expected);
    }
    place.file("t.csv", "at,key\n1,2\n");
    let missing = place.refusal("trace inspect t.csv --time at --key kee");
    assert_eq!(missing, "error: t.csv: there is no column `kee` (did you mean `key`?); the columns are at, key\n");
}

#[test]
fn every_command_explains_itself() {
    let place = Place::new();
    let help = place.statebench("--help").ok();
    let commands: Vec<_> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let expected = [
        "run",
        "check",
        "show",
        "report",
        "chart",
        "advise",
        "compare",
        "ab",
        "gate",
        "tune",
        "baseline",
        "calibrate",
        "history",
        "checkpoint",
        "trace",
        "flink",
        "gc-model",
        "list",
        "init",
        "schema",
        "completions",
        "help",
    ];
    assert_eq!(commands, expected);
    for command in commands
        .into_iter()
        .chain(["checkpoint inspect", "checkpoint verify", "checkpoint gc"])
        .chain(["baseline save", "baseline list", "baseline show"])
        .chain(["trace inspect", "flink import", "flink export", "flink lint"])
        .chain(["gc-model predict", "gc-model validate", "gc-model calibrate"])
        .filter(|command| *command != "help")
    {
        let help = place.statebench(&format!("{command} --help")).ok();
        assert!(help.contains(&format!("Usage: statebench {command}")), "{help}");
        // Every argument and option has a word of explanation.
        let short = place.statebench(&format!("{command} -h")).ok();
        assert!(
            short.lines().all(|line| !line.trim_start().starts_with('-')
                || line.trim().contains("  ")
                || line.trim().ends_with('>')
                || line.trim() == "-h, --help"),
            "{short}"
        );
    }
    assert_snapshot!(place.statebench("run -h").ok(), @"
    Run a workload under its configurations and save the result

    Usage: statebench run [OPTIONS] <WORKLOAD>

    Arguments:
      <WORKLOAD>  The workload file

    Options:
          --flink-config <FILE>   Add the options of a Flink configuration file (config.yaml, or the
                                  flink-conf.yaml of Flink 1.x) as a configuration named after it
          --set <PATH=VALUE>      Override a value of the file (keys.cardinality=1000), or a Flink
                                  option of every configuration that heeds it
          --parallelism <N>       Subtasks, one thread each
          --seed <N>              Seed of every random choice
          --repeats <N>           Trials of each configuration
          --configuration <NAME>  Run only this configuration of the file; may be given more than once
          --checkpoint-dir <URL>  Where checkpoints go and stay: a folder, or a URL of an object store
                                  (s3://, gs://, abfs://)
          --savepoint <URL>       Take a canonical savepoint half-way, in a folder of its own in this
                                  one
          --restore-from <URL>    Go on from a checkpoint or savepoint, at any parallelism
          --quick                 Shrink it to a few seconds: one repeat, few events and keys, the ends
                                  of each axis; no measurement
      -o, --output <FILE>         The result file; by default the first free of NAME.result.json,
                                  NAME.2.result.json, … in this folder
          --force                 Overwrite an existing result file
          --state-dir <DIR>       Folder for the state; a temporary folder in it is removed after each
                                  trial
          --find-max-rate         Search the highest rate of arriving events at which --p99 is kept, for
                                  each configuration
          --p99 <TIME>            The 99th percentile of the response time that has to be kept, such as
                                  5ms
          --report[=<FILE>]       Write the page of the result too; beside the result file where no FILE
                                  is given
          --format <FORMAT>       How the result is printed [default: table] [possible values: table,
                                  json, markdown, csv]
      -q, --quiet                 No progress and no warnings on stderr
      -h, --help                  Print help (see more with '--help')
    ");
    assert_eq!(place.statebench("--version").ok(), format!("statebench {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_command_line_that_is_wrong_is_refused() {
    let place = Place::with_job();
    for (args, expected) in [
        ("runn job.toml", "unrecognized subcommand 'runn'"),
        ("run", "<WORKLOAD>"),
        ("run job.toml --format xml", "invalid value 'xml'"),
        ("run job.toml --sets a=b", "unexpected argument '--sets'"),
        ("check job.toml --parallelism 99999", "99999 is not in 0..=65535"),
        ("check job.toml --repeats many", "invalid value 'many'"),
        ("schema trace", "invalid value 'trace'"),
        ("completions tcsh", "invalid value 'tcsh'"),
        ("list everything", "invalid value 'everything'"),
    ] {
        assert!(place.refusal(args).contains(expected), "{args}: {}", place.refusal(args));
    }
}
