//! `statebench flink`, and Flink's files in workloads.

use insta::assert_snapshot;
use serde_json::Value;

use super::Place;

const CONFIG: &str = "\
# a cluster's configuration
rest:
  port: 8081
state:
  backend: rocksdb
  backend.rocksdb:
    memory.fixed-per-slot: 64mb
    compression.per.level: [NO_COMPRESSION, LZ4_COMPRESSION]
execution.checkpointing.incremental: true
";

#[test]
fn import_writes_a_section_that_runs() {
    let place = Place::new();
    place.file("config.yaml", CONFIG);
    let ran = place.statebench("flink import config.yaml --name prod");
    assert_snapshot!(ran.err, @"
    note: config.yaml: read as config.yaml (YAML)
    note: line 5: `state.backend` is now `state.backend.type`
    note: line 3: `rest.port` ignored: it has nothing to do with state
    ");
    let section = ran.ok();
    assert_snapshot!(section, @r#"
    [[configuration]]
    name = "prod"
    "state.backend.type" = "rocksdb"
    "state.backend.rocksdb.memory.fixed-per-slot" = "64mb"
    "state.backend.rocksdb.compression.per.level" = "NO_COMPRESSION;LZ4_COMPRESSION"
    "execution.checkpointing.incremental" = "true"
    "#);
    place.file("job.toml", format!("run.events = 1_000\nkeys.cardinality = 10\n{section}"));
    place.statebench("run job.toml --quick -q").ok();
    assert_eq!(place.result("job.result.json").trials[0].configuration, "prod");
    place.file("flink-conf.yaml", "state.backend: hashmap # small state\n");
    assert_snapshot!(place.statebench("flink import flink-conf.yaml").ok(), @r#"
    [[configuration]]
    name = "flink-conf"
    "state.backend.type" = "hashmap"
    "#);
}

#[test]
fn a_workload_names_a_file_or_the_command_line_does() {
    let place = Place::new();
    std::fs::create_dir(place.path("conf")).unwrap();
    place.file("conf/prod.yaml", CONFIG);
    place.file(
        "job.toml",
        "run = { events = 1_000, repeats = 1 }\nkeys.cardinality = 10\n\
         [[configuration]]\nname = 'prod, less memory'\nflink-config = 'conf/prod.yaml'\n\
         'state.backend.rocksdb.memory.fixed-per-slot' = '32mb'\n",
    );
    let ran = place.statebench("run job.toml --flink-config conf/prod.yaml");
    assert!(
        ran.err.contains("note: prod: conf/prod.yaml: ignored, nothing to do with state: `rest.port`"),
        "{}",
        ran.err
    );
    ran.ok();
    let result = place.result("job.result.json");
    let memory = |name: &str| {
        let trial = super::trial(&result, name);
        trial.options["state.backend.rocksdb.memory.fixed-per-slot"].clone()
    };
    assert_eq!((memory("prod, less memory"), memory("prod")), ("32 mb".to_owned(), "64 mb".to_owned()));
    // The result holds the keys and not the path.
    let configurations = serde_json::to_string(&result.workload.configuration).unwrap();
    assert!(configurations.contains("\"NO_COMPRESSION;LZ4_COMPRESSION\""), "{configurations}");
    assert!(!configurations.contains("prod.yaml"), "{configurations}");
    let schema: Value = serde_json::from_str(&place.statebench("schema workload").ok()).unwrap();
    assert_eq!(schema["$defs"]["ConfigurationWire"]["properties"]["flink-config"]["type"][0], "string");
    assert_snapshot!(place.statebench("check job.toml --flink-config conf/prod.yaml").err, @"
    note: prod, less memory: conf/prod.yaml: read as config.yaml (YAML)
    note: prod, less memory: conf/prod.yaml: ignored, nothing to do with state: `rest.port`
    note: prod: conf/prod.yaml: read as config.yaml (YAML)
    note: prod: conf/prod.yaml: ignored, nothing to do with state: `rest.port`
    note: prod, less memory: `execution.checkpointing.incremental` has no effect: a run takes no checkpoints without an interval or `checkpoint.every-events`
    note: prod: `execution.checkpointing.incremental` has no effect: a run takes no checkpoints without an interval or `checkpoint.every-events`
    ");
}

#[test]
fn export_writes_what_to_paste() {
    let place = Place::new();
    place.file(
        "job.toml",
        "run.events = 1_000\nkeys.cardinality = 10\n[[configuration]]\nname = 'heap'\n\
         [[configuration]]\nname = 'small'\nstate.backend.type = 'rocksdb'\nstate.backend.rocksdb.thread.num = 4\n\
         'state.backend.rocksdb.compression.per.level' = 'NO_COMPRESSION;LZ4_COMPRESSION'\n\
         [[configuration]]\nname = 'floor'\nstate.backend.type = 'null'\n",
    );
    place.statebench("run job.toml --quick -q").ok();
    let export = |args: &str| place.statebench(&format!("flink export job.result.json {args}"));
    assert_snapshot!(export("--configuration small --flink-version 2.3").ok(), @r#"
    # small: config.yaml of Flink 2.3
    # Keys that are not here are at Flink's defaults.
    # The state backend; Flink's default: hashmap
    state.backend.type: rocksdb
    # Background threads for flushes and compactions of a database; Flink's default: 2
    state.backend.rocksdb.thread.num: 4
    # Compression of each level, one entry for all; Flink's default: SNAPPY_COMPRESSION
    state.backend.rocksdb.compression.per.level: NO_COMPRESSION;LZ4_COMPRESSION

    ---
    # small: kubectl patch flinkdeployment NAME --type merge --patch-file FILE
    # Keys that are not here are at Flink's defaults.
    apiVersion: flink.apache.org/v1beta1
    kind: FlinkDeployment
    spec:
      flinkConfiguration:
        # The state backend; Flink's default: hashmap
        state.backend.type: "rocksdb"
        # Background threads for flushes and compactions of a database; Flink's default: 2
        state.backend.rocksdb.thread.num: "4"
        # Compression of each level, one entry for all; Flink's default: SNAPPY_COMPRESSION
        state.backend.rocksdb.compression.per.level: "NO_COMPRESSION;LZ4_COMPRESSION"
    "#);
    assert_snapshot!(export("--configuration small --flink-version 1.20 --format file").ok(), @"
    # small: flink-conf.yaml of Flink 1.20
    # Keys that are not here are at Flink's defaults.
    # The state backend; Flink's default: hashmap
    state.backend.type: rocksdb
    # Background threads for flushes and compactions of a database; Flink's default: 2
    state.backend.rocksdb.thread.num: 4
    # Compression of each level, one entry for all; Flink's default: SNAPPY_COMPRESSION
    state.backend.rocksdb.compression.per.level: NO_COMPRESSION;LZ4_COMPRESSION
    ");
    // What is exported is what was run.
    let file = export("--configuration small --flink-version 2.3 --format file").ok();
    place.file("config.yaml", file);
    assert_snapshot!(place.statebench("flink import config.yaml --name small").ok(), @r#"
    [[configuration]]
    name = "small"
    "state.backend.type" = "rocksdb"
    "state.backend.rocksdb.thread.num" = "4"
    "state.backend.rocksdb.compression.per.level" = "NO_COMPRESSION;LZ4_COMPRESSION"
    "#);
    for (args, message) in [
        ("--configuration smal --flink-version 2.3", "did you mean `small`?; those of the result are"),
        ("--configuration floor --flink-version 2.3", "`floor` runs on the null backend"),
        ("--configuration small --flink-version 3.0", "`3.0` is not a version"),
        ("--configuration small", "--flink-version <VERSION>"),
    ] {
        let ran = export(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args}");
        assert!(ran.err.contains(message), "{args}: {}", ran.err);
    }
    assert!(place.statebench("flink export none.json --configuration a --flink-version 2.3").err.contains("none.json"));
}

#[test]
fn lint_prints_findings_and_fails_where_one_is_an_error() {
    let place = Place::new();
    place.file("good.yaml", CONFIG);
    let ran = place.statebench("flink lint good.yaml");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.ends_with("0 errors, 5 warnings, 1 note\n"), "{}", ran.out);
    place.file("bad.yaml", "state.backend.rocksdb.block-cache-size: 1gb\n");
    let ran = place.statebench("flink lint bad.yaml");
    assert_eq!(ran.code, Some(2));
    assert_snapshot!(ran.err, @"error: the configuration has an error");
    assert_snapshot!(ran.out.lines().skip(1).take(3).collect::<Vec<_>>().join("\n"), @"
    bad.yaml:1: error: state.backend.rocksdb.block-cache-size [never-existed]
      Flink: no version has this key, so it sets nothing and nobody says so; the real key is state.backend.rocksdb.block.cache-size
      write: state.backend.rocksdb.block.cache-size: 1gb
    ");
    let ran = place.statebench("flink lint bad.yaml --format json --flink-version 1.20");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (ran.code, &report["flink_version"], &report["findings"][0]["line"]),
        (Some(2), &"1.20".into(), &1.into())
    );
    assert_eq!(report["findings"][0]["severity"], "error");
    let many = place.statebench("flink lint good.yaml --states 100").ok();
    assert!(many.contains("[too-many-states]"), "{many}");
}

#[test]
fn files_that_flink_would_not_take_are_refused() {
    let place = Place::new();
    let said = |name: &str, content: &[u8]| {
        place.file(name, content);
        let lint = place.refusal(&format!("flink lint {name}"));
        assert_eq!(lint, place.refusal(&format!("flink import {name}")));
        lint
    };
    assert_snapshot!(said("config.yaml", b"state: {a: 1\n"), @"
    error: config.yaml:1:8: not valid YAML: unclosed bracket '{'
      |
    1 | state: {a: 1
      |        ^
    ");
    assert_snapshot!(said("config.yaml", b"a: 1\nb: 2\na: 3\n"), @"
    error: config.yaml:3:1: a: a second time; line 1 has it already
      |
    3 | a: 3
      | ^
    help: keep the one that you mean
    ");
    assert_snapshot!(said("config.yaml", b"state:\n\tbackend: rocksdb\n"), @"
    error: config.yaml:2:1: not valid YAML: a tab as indentation
      |
    2 | 	backend: rocksdb
      | ^
    help: indent with blanks; YAML allows no tabs there
    ");
    assert_snapshot!(said("config.yaml", b"\xff\xfe"), @"error: config.yaml: is not UTF-8 text (byte 0)");
    assert_snapshot!(said("flink-conf.yaml", b"state.backend=rocksdb\n"), @"
    error: flink-conf.yaml:1:1: found no `key: value`
      |
    1 | state.backend=rocksdb
      | ^^^^^^^^^^^^^^^^^^^^^
    help: Flink 1.x skips such a line with a warning in its log
    ");
    // Of 100 mb, of which none is read.
    std::fs::File::create(place.path("config.yaml")).unwrap().set_len(100 << 20).unwrap();
    assert_snapshot!(place.refusal("flink lint config.yaml"), @"error: config.yaml: has 104857600 bytes; a Flink configuration file has at most 4194304");
    assert!(place.refusal("flink lint tmp").contains("tmp: is a directory, not a Flink configuration file"));
    assert!(place.refusal("flink import none.yaml").contains("none.yaml: cannot read the Flink configuration file"));
    place.file("config.yaml", "state.backend.rocksdb.writebuffer.size: 64 parsec\n");
    assert_snapshot!(place.refusal("flink import config.yaml"), @"
    error: config.yaml:1:41: state.backend.rocksdb.writebuffer.size: found `64 parsec`; allowed: a size such as 4096, 64kb, 256 mb or 2g
      |
    1 | state.backend.rocksdb.writebuffer.size: 64 parsec
      |                                         ^^^^^^^^^
    ");
    place.file("job.toml", super::SMALL);
    assert_snapshot!(place.refusal("check job.toml --flink-config config.yaml"), @"
    error: config.yaml:1:41: state.backend.rocksdb.writebuffer.size: found `64 parsec`; allowed: a size such as 4096, 64kb, 256 mb or 2g
      |
    1 | state.backend.rocksdb.writebuffer.size: 64 parsec
      |                                         ^^^^^^^^^
    ");
}
