//! The commands beside `run`, `check`, `show` and `schema`.

use std::process::Command;

use insta::assert_snapshot;

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
    assert_snapshot!(names("operators"), @"counter reduce aggregate list-buffer map value-of-map mix");
    assert_snapshot!(names("distributions"), @"uniform zipf hotspot latest exponential sequential moving ephemeral");
    assert_snapshot!(names("options"), @"state.backend.type taskmanager.memory.process.size taskmanager.memory.flink.size taskmanager.memory.framework.heap.size taskmanager.memory.framework.off-heap.size taskmanager.memory.task.heap.size taskmanager.memory.task.off-heap.size taskmanager.memory.managed.size taskmanager.memory.managed.fraction taskmanager.memory.managed.consumer-weights taskmanager.memory.network.fraction taskmanager.memory.network.min taskmanager.memory.network.max taskmanager.memory.jvm-metaspace.size taskmanager.memory.jvm-overhead.fraction taskmanager.memory.jvm-overhead.min taskmanager.memory.jvm-overhead.max taskmanager.numberOfTaskSlots state.backend.rocksdb.memory.managed state.backend.rocksdb.memory.fixed-per-slot state.backend.rocksdb.memory.fixed-per-tm state.backend.rocksdb.memory.write-buffer-ratio state.backend.rocksdb.memory.high-prio-pool-ratio state.backend.rocksdb.memory.partitioned-index-filters state.backend.rocksdb.localdir state.backend.rocksdb.options-factory state.backend.rocksdb.predefined-options state.backend.rocksdb.thread.num state.backend.rocksdb.files.open state.backend.rocksdb.log.level state.backend.rocksdb.log.dir state.backend.rocksdb.log.max-file-size state.backend.rocksdb.log.file-num state.backend.rocksdb.compaction.style state.backend.rocksdb.compaction.level.use-dynamic-size state.backend.rocksdb.compaction.level.target-file-size-base state.backend.rocksdb.compaction.level.max-size-level-base state.backend.rocksdb.compression.per.level state.backend.rocksdb.writebuffer.size state.backend.rocksdb.writebuffer.count state.backend.rocksdb.writebuffer.number-to-merge state.backend.rocksdb.block.blocksize state.backend.rocksdb.block.metadata-blocksize state.backend.rocksdb.block.cache-size state.backend.rocksdb.use-bloom-filter state.backend.rocksdb.bloom-filter.bits-per-key state.backend.rocksdb.bloom-filter.block-based-mode state.backend.rocksdb.write-batch-size state.backend.rocksdb.manual-compaction.min-interval state.backend.rocksdb.manual-compaction.max-parallel-compactions state.backend.rocksdb.manual-compaction.max-file-size-to-compact state.backend.rocksdb.manual-compaction.min-files-to-compact state.backend.rocksdb.manual-compaction.max-files-to-compact state.backend.rocksdb.manual-compaction.max-output-file-size state.backend.rocksdb.manual-compaction.max-auto-compactions state.backend.rocksdb.compaction.filter.query-time-after-num-entries state.backend.rocksdb.compaction.filter.periodic-compaction-time state.backend.rocksdb.timer-service.factory state.backend.rocksdb.timer-service.cache-size state.backend.rocksdb.restore-overlap-fraction-threshold state.backend.rocksdb.use-ingest-db-restore-mode state.backend.rocksdb.incremental-restore-async-compact-after-rescale state.backend.rocksdb.rescaling.use-delete-files-in-range execution.state-recovery.path execution.state-recovery.claim-mode execution.state-recovery.ignore-unclaimed-state state.backend.rocksdb.checkpoint.transfer.thread.num execution.checkpointing.interval execution.checkpointing.interval-during-backlog execution.checkpointing.min-pause execution.checkpointing.timeout execution.checkpointing.mode execution.checkpointing.max-concurrent-checkpoints execution.checkpointing.tolerable-failed-checkpoints execution.checkpointing.incremental execution.checkpointing.storage execution.checkpointing.dir execution.checkpointing.savepoint-dir execution.checkpointing.num-retained execution.checkpointing.create-subdir execution.checkpointing.data-inline-threshold execution.checkpointing.write-buffer-size execution.checkpointing.snapshot-compression execution.checkpointing.local-backup.enabled execution.checkpointing.local-backup.dirs execution.checkpointing.externalized-checkpoint-retention execution.checkpointing.unaligned.enabled execution.checkpointing.unaligned.max-subtasks-per-channel-state-file execution.checkpointing.aligned-checkpoint-timeout execution.checkpointing.checkpoints-after-tasks-finish execution.checkpointing.cleaner.parallel-mode execution.checkpointing.file-merging.enabled execution.checkpointing.file-merging.across-checkpoint-boundary execution.checkpointing.file-merging.max-file-size execution.checkpointing.file-merging.max-space-amplification execution.checkpointing.file-merging.max-subtasks-per-file execution.checkpointing.file-merging.pool-blocking state.changelog.enabled state.changelog.storage state.changelog.periodic-materialize.enabled state.changelog.periodic-materialize.interval state.changelog.max-failures-allowed state.latency-track.keyed-state-enabled state.latency-track.sample-interval state.latency-track.history-size state.latency-track.state-name-as-variable state.size-track.keyed-state-enabled state.size-track.sample-interval state.size-track.history-size state.size-track.state-name-as-variable parallelism.default pipeline.max-parallelism state.backend.rocksdb.metrics.num-immutable-mem-table state.backend.rocksdb.metrics.mem-table-flush-pending state.backend.rocksdb.metrics.compaction-pending state.backend.rocksdb.metrics.background-errors state.backend.rocksdb.metrics.cur-size-active-mem-table state.backend.rocksdb.metrics.cur-size-all-mem-tables state.backend.rocksdb.metrics.size-all-mem-tables state.backend.rocksdb.metrics.num-entries-active-mem-table state.backend.rocksdb.metrics.num-entries-imm-mem-tables state.backend.rocksdb.metrics.num-deletes-active-mem-table state.backend.rocksdb.metrics.num-deletes-imm-mem-tables state.backend.rocksdb.metrics.estimate-num-keys state.backend.rocksdb.metrics.estimate-table-readers-mem state.backend.rocksdb.metrics.num-snapshots state.backend.rocksdb.metrics.num-live-versions state.backend.rocksdb.metrics.estimate-live-data-size state.backend.rocksdb.metrics.total-sst-files-size state.backend.rocksdb.metrics.live-sst-files-size state.backend.rocksdb.metrics.estimate-pending-compaction-bytes state.backend.rocksdb.metrics.num-running-compactions state.backend.rocksdb.metrics.num-running-flushes state.backend.rocksdb.metrics.actual-delayed-write-rate state.backend.rocksdb.metrics.is-write-stopped state.backend.rocksdb.metrics.block-cache-capacity state.backend.rocksdb.metrics.block-cache-usage state.backend.rocksdb.metrics.block-cache-pinned-usage state.backend.rocksdb.metrics.num-files-at-level state.backend.rocksdb.metrics.column-family-as-variable state.backend.rocksdb.metrics.block-cache-hit state.backend.rocksdb.metrics.block-cache-miss state.backend.rocksdb.metrics.bloom-filter-useful state.backend.rocksdb.metrics.bloom-filter-full-positive state.backend.rocksdb.metrics.bloom-filter-full-true-positive state.backend.rocksdb.metrics.bytes-read state.backend.rocksdb.metrics.iter-bytes-read state.backend.rocksdb.metrics.bytes-written state.backend.rocksdb.metrics.compaction-read-bytes state.backend.rocksdb.metrics.compaction-write-bytes state.backend.rocksdb.metrics.stall-micros");
    // What is listed can be used.
    for operator in names("operators").split(' ') {
        let operator =
            if operator == "mix" { "mix.preset = 'ycsb-a'".to_owned() } else { format!("{operator} = {{}}") };
        place.file("job.toml", format!("operator.{operator}\n"));
        place.statebench("check --quick job.toml").ok();
    }
    for distribution in names("distributions").split(' ') {
        place.file("job.toml", format!("keys.distribution = '{distribution}'\n"));
        place.statebench("check --quick job.toml").ok();
    }
    assert!(place.statebench("list options").ok().contains("state.backend.rocksdb.block.cache-size = 8 mb "));
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
    assert_eq!(commands, ["run", "check", "show", "trace", "flink", "list", "init", "schema", "completions", "help"]);
    for command in commands
        .into_iter()
        .chain(["trace inspect", "flink import", "flink export", "flink lint"])
        .filter(|command| *command != "help")
    {
        let help = place.statebench(&format!("{command} --help")).ok();
        assert!(help.contains(&format!("Usage: statebench {command}")), "{help}");
        // Every argument and option has a word of explanation.
        let short = place.statebench(&format!("{command} -h")).ok();
        assert!(
            short.lines().all(|line| !line.trim_start().starts_with('-')
                || line.trim().contains("  ")
                || line.trim().ends_with('>')),
            "{short}"
        );
    }
    assert_snapshot!(place.statebench("run -h").ok(), @"
    Run a workload under its configurations and save the result

    Usage: statebench run [OPTIONS] <WORKLOAD>

    Arguments:
      <WORKLOAD>  The workload file

    Options:
          --flink-config <FILE>  Add the options of a Flink configuration file (config.yaml, or the
                                 flink-conf.yaml of Flink 1.x) as a configuration named after it
          --set <PATH=VALUE>     Override a value of the file (keys.cardinality=1000), or a Flink option
                                 of every configuration that heeds it
          --parallelism <N>      Subtasks, one thread each
          --seed <N>             Seed of every random choice
          --repeats <N>          Trials of each configuration
          --quick                Shrink it to a few seconds: one repeat, few events and keys, the ends
                                 of each axis; no measurement
      -o, --output <FILE>        The result file; by default the first free of NAME.result.json,
                                 NAME.2.result.json, … in this folder
          --force                Overwrite an existing result file
          --state-dir <DIR>      Folder for the state; a temporary folder in it is removed after each
                                 trial
          --format <FORMAT>      How the result is printed [default: table] [possible values: table,
                                 json, markdown, csv]
      -q, --quiet                No progress and no warnings on stderr
      -h, --help                 Print help (see more with '--help')
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
