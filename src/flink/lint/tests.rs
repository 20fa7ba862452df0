use std::collections::BTreeSet;
use std::path::Path;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::workload::{Configuration, FlinkFile, FlinkVersion};

fn context(name: &str, text: &str, version: Option<FlinkVersion>, states: Option<u32>) -> Context {
    let file = FlinkFile::parse(Path::new(name), text.to_owned()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Context::of_file(&file, version, states)
}

/// What one rule finds in a `config.yaml`, as `severity line key`; line 0 where the key is missing.
fn found(rule: &str, text: &str, version: FlinkVersion, states: Option<u32>) -> Vec<String> {
    let findings = lint(&context("config.yaml", text, Some(version), states)).into_iter();
    let of_rule = findings.filter(|finding| finding.rule == rule);
    of_rule.map(|finding| format!("{} {} {}", finding.severity, finding.line.unwrap_or(0), finding.key)).collect()
}

/// Keys written short: `R.` for `state.backend.rocksdb.`, `C.` for `execution.checkpointing.`, `M.` for
/// `taskmanager.memory.`; ` | ` ends a line.
fn long(text: &str) -> String {
    let key = |line: &str| {
        [("R.", "state.backend.rocksdb."), ("C.", "execution.checkpointing."), ("M.", "taskmanager.memory.")]
            .iter()
            .find_map(|(short, long)| line.strip_prefix(short).map(|rest| format!("{long}{rest}")))
            .unwrap_or_else(|| line.to_owned())
    };
    text.split(" | ").map(key).collect::<Vec<_>>().join("\n")
}

const ROCKS: &str = "state.backend.type: rocksdb | ";

/// One case: the rule, a configuration in short keys after the backend's line, and what it must find there.
type Case = (&'static str, &'static str, &'static [&'static str]);

/// On RocksDB.
const ON_ROCKSDB: &[Case] = &[
    ("never-existed", "R.bloom-filter.block-based: false", &["error 2 R.bloom-filter.block-based"]),
    ("never-existed", "R.block-cache-size: 1mb", &["error 2 R.block-cache-size"]),
    ("never-existed", "R.block.cache-size: 1mb", &[]),
    ("unknown-key", "R.writebufer.size: 1mb", &["error 2 R.writebufer.size"]),
    ("unknown-key", "R.bloom-filter.block-based: false | rest.port: 8081 | state.backend.forst.x: 1", &[]),
    ("old-name", "state.backend.incremental: true", &["warning 2 state.backend.incremental"]),
    ("old-name", "C.incremental: true", &[]),
    ("two-names", "state.backend: rocksdb", &["error 2 state.backend"]),
    ("wrong-version", "state.size-track.history-size: 5", &[]),
    ("bad-value", "R.writebuffer.size: 64 parsec", &["error 2 R.writebuffer.size"]),
    ("bad-value", "R.use-bloom-filter: yes", &["error 2 R.use-bloom-filter"]),
    ("bad-value", "R.use-bloom-filter: True | R.options-factory: a.B | R.localdir: /a,/b", &[]),
    ("bad-value", "C.dir:", &["error 2 C.dir"]),
    (
        "bare-number",
        "R.writebuffer.size: 128 | C.interval: 60",
        &["warning 2 R.writebuffer.size", "warning 3 C.interval"],
    ),
    ("bare-number", "R.writebuffer.size: 67108864 | R.thread.num: 4 | C.min-pause: 0", &[]),
    (
        "not-modelled",
        "dstl.dfs.base-path: s3://a | state.backend.forst.x: 1 | R.localdir: /a,/b",
        &["note 2 dstl.dfs.base-path", "note 3 state.backend.forst.x", "note 4 R.localdir"],
    ),
    ("not-modelled", "state.changelog.enabled: true", &[]),
    ("changelog-in-memory", "state.changelog.enabled: true", &["warning 2 state.changelog.enabled"]),
    ("changelog-in-memory", "state.changelog.enabled: true | state.changelog.storage: filesystem", &[]),
    ("rocksdb-keys-on-heap", "R.thread.num: 4", &[]),
    ("cache-size-shared", "R.block.cache-size: 256mb", &["warning 2 R.block.cache-size"]),
    ("cache-size-shared", "R.block.cache-size: 256mb | R.memory.managed: false", &[]),
    (
        "bloom-off",
        "R.bloom-filter.bits-per-key: 12 | R.bloom-filter.block-based-mode: true",
        &["warning 2 R.bloom-filter.bits-per-key", "warning 3 R.bloom-filter.block-based-mode"],
    ),
    ("bloom-off", "R.bloom-filter.bits-per-key: 12 | R.use-bloom-filter: true", &[]),
    (
        "block-based-mode",
        "R.bloom-filter.block-based-mode: true | R.use-bloom-filter: true",
        &["warning 2 R.bloom-filter.block-based-mode"],
    ),
    ("block-based-mode", "R.bloom-filter.block-based-mode: false | R.use-bloom-filter: true", &[]),
    (
        "bloom-bits-partitioned",
        "R.bloom-filter.bits-per-key: 12 | R.use-bloom-filter: true | R.memory.partitioned-index-filters: true",
        &["warning 2 R.bloom-filter.bits-per-key"],
    ),
    (
        "bloom-bits-partitioned",
        "R.bloom-filter.bits-per-key: 10 | R.use-bloom-filter: true | R.memory.partitioned-index-filters: true",
        &[],
    ),
    ("bloom-bits-partitioned", "R.bloom-filter.bits-per-key: 12 | R.use-bloom-filter: true", &[]),
    ("merge-count", "R.writebuffer.number-to-merge: 2", &["error 2 R.writebuffer.number-to-merge"]),
    ("merge-count", "R.writebuffer.number-to-merge: 2 | R.writebuffer.count: 3", &[]),
    ("profile-overridden", "R.predefined-options: FLASH_SSD_OPTIMIZED | R.thread.num: 8", &["note 3 R.thread.num"]),
    ("profile-overridden", "R.predefined-options: FLASH_SSD_OPTIMIZED | R.log.file-num: 8", &[]),
    ("profile-memory", "R.predefined-options: SPINNING_DISK_OPTIMIZED_HIGH_MEM", &["warning 2 R.predefined-options"]),
    ("profile-memory", "R.predefined-options: FLASH_SSD_OPTIMIZED", &[]),
    (
        "filter-clock",
        "R.compaction.filter.query-time-after-num-entries: 1000",
        &["note 2 R.compaction.filter.query-time-after-num-entries"],
    ),
    ("filter-clock", "R.thread.num: 4", &[]),
    ("pending-flag", "R.metrics.compaction-pending: true", &["warning 2 R.metrics.compaction-pending"]),
    ("pending-flag", "R.metrics.compaction-pending: false | R.metrics.estimate-pending-compaction-bytes: true", &[]),
    (
        "ticker-cost",
        "R.metrics.estimate-num-keys: true | R.metrics.block-cache-hit: TRUE | R.metrics.bytes-read: true",
        &["warning 3 R.metrics.block-cache-hit"],
    ),
    ("ticker-cost", "R.metrics.estimate-num-keys: true | R.metrics.block-cache-hit: false", &[]),
    ("local-dir", "R.thread.num: 4", &["note 0 R.localdir"]),
    ("local-dir", "R.localdir: /data,/tmp/flink", &["warning 2 R.localdir"]),
    ("local-dir", "R.localdir: /tmpfiles", &[]),
    ("parts-over-total", "M.process.size: 2g | M.managed.size: 4g", &["error 2 M.process.size"]),
    ("parts-over-total", "M.process.size: 8g | M.managed.size: 4g", &[]),
    ("two-totals", "M.process.size: 4g | M.flink.size: 3g", &["warning 2 M.process.size"]),
    ("two-totals", "M.process.size: 4g", &[]),
    ("size-and-fraction", "M.managed.size: 256mb | M.managed.fraction: 0.5", &["warning 3 M.managed.fraction"]),
    ("size-and-fraction", "M.managed.fraction: 0.5", &[]),
    ("managed-wasted", "M.managed.size: 256mb", &[]),
    ("fixed-beside-managed", "R.memory.fixed-per-slot: 256mb", &["warning 2 R.memory.fixed-per-slot"]),
    ("fixed-beside-managed", "R.memory.fixed-per-slot: 256mb | M.managed.fraction: 0.0", &[]),
    ("fixed-per-tm-ignored", "R.memory.fixed-per-tm: 256mb", &["warning 2 R.memory.fixed-per-tm"]),
    ("fixed-per-tm-ignored", "R.memory.fixed-per-tm: 256mb | R.memory.managed: false", &[]),
    (
        "pool-outside-total",
        "R.memory.fixed-per-slot: 256mb | taskmanager.numberOfTaskSlots: 2 | M.task.off-heap.size: 256mb",
        &["warning 2 R.memory.fixed-per-slot"],
    ),
    (
        "pool-outside-total",
        "R.memory.fixed-per-tm: 256mb | R.memory.managed: false",
        &["warning 2 R.memory.fixed-per-tm"],
    ),
    ("pool-outside-total", "R.memory.fixed-per-slot: 256mb | M.task.off-heap.size: 256mb | M.process.size: 4g", &[]),
    ("memory-unbounded", "R.memory.managed: false", &["warning 2 R.memory.managed"]),
    ("memory-unbounded", "R.memory.managed: false | R.memory.fixed-per-tm: 64mb", &[]),
    ("slots-divide", "taskmanager.numberOfTaskSlots: 4", &["note 2 taskmanager.numberOfTaskSlots"]),
    ("slots-divide", "taskmanager.numberOfTaskSlots: 1", &[]),
    ("budget-too-small", "M.managed.size: 3mb", &["error 2 M.managed.size"]),
    ("budget-too-small", "M.managed.size: 4mb", &[]),
    (
        "write-buffers-over-budget",
        "R.writebuffer.size: 128mb | R.writebuffer.count: 4",
        &["warning 2 R.writebuffer.size"],
    ),
    ("write-buffers-over-budget", "R.writebuffer.size: 16mb", &[]),
    ("arena-block", "M.managed.size: 16mb", &["note 2 M.managed.size"]),
    ("arena-block", "M.managed.size: 32mb", &[]),
    ("index-cliff", "M.managed.size: 64mb", &["warning 0 R.memory.partitioned-index-filters"]),
    ("index-cliff", "M.managed.size: 64mb | R.memory.partitioned-index-filters: true", &[]),
    ("index-cliff", "M.managed.size: 96mb", &[]),
    ("checkpoints-off", "C.timeout: 5 min", &["warning 0 C.interval"]),
    ("checkpoints-off", "R.thread.num: 4", &["note 0 C.interval"]),
    ("checkpoints-off", "C.interval: 60s", &[]),
    ("not-incremental", "C.interval: 60s", &["warning 0 C.incremental"]),
    ("not-incremental", "C.incremental: false", &["warning 2 C.incremental"]),
    ("not-incremental", "state.backend.incremental: true", &[]),
    ("incremental-on-heap", "C.incremental: true", &[]),
    ("min-pause-wins", "C.interval: 60s | C.min-pause: 1 min", &["warning 3 C.min-pause"]),
    ("min-pause-wins", "C.interval: 60s | C.min-pause: 30s", &[]),
    (
        "pause-and-concurrent",
        "C.max-concurrent-checkpoints: 2 | C.min-pause: 30s",
        &["warning 2 C.max-concurrent-checkpoints"],
    ),
    ("pause-and-concurrent", "C.max-concurrent-checkpoints: 2", &[]),
    ("no-checkpoint-dir", "C.interval: 60s", &["warning 0 C.dir"]),
    ("no-checkpoint-dir", "C.interval: 60s | C.storage: filesystem", &["error 3 C.storage"]),
    ("no-checkpoint-dir", "C.interval: 60s | state.checkpoints.dir: s3://x", &[]),
    ("timeout-is-default", "C.timeout: 600s", &["note 2 C.timeout"]),
    ("timeout-is-default", "C.timeout: 601s", &[]),
    ("timeout-short", "C.interval: 60s | C.timeout: 10s", &["warning 3 C.timeout"]),
    ("timeout-short", "C.interval: 60s | C.timeout: 60s", &[]),
    ("compression-native", "C.snapshot-compression: true", &["note 2 C.snapshot-compression"]),
    ("compression-native", "C.snapshot-compression: false", &[]),
    ("inline-threshold", "C.data-inline-threshold: 2mb", &["error 2 C.data-inline-threshold"]),
    ("inline-threshold", "C.data-inline-threshold: 1mb", &[]),
    (
        "no-effect",
        "R.memory.write-buffer-ratio: 0.3 | R.memory.managed: false",
        &["warning 2 R.memory.write-buffer-ratio"],
    ),
    (
        "no-effect",
        "R.compaction.style: UNIVERSAL | R.compaction.level.max-size-level-base: 1g",
        &["warning 3 R.compaction.level.max-size-level-base"],
    ),
    // A rule has said more of it; a run of statebench has no timers, Flink has.
    ("no-effect", "R.block.cache-size: 1mb | R.timer-service.factory: HEAP | C.timeout: 5 min", &[]),
];

/// On the heap, which is the default.
const ON_HEAP: &[Case] = &[
    ("rocksdb-keys-on-heap", "R.thread.num: 4 | R.files.open: 100", &["warning 1 R.thread.num"]),
    ("rocksdb-keys-on-heap", "state.backend.type: forst | R.thread.num: 4", &[]),
    ("managed-wasted", "rest.port: 8081", &["note 0 M.managed.fraction"]),
    ("managed-wasted", "M.managed.fraction: 0.4", &["warning 1 M.managed.fraction"]),
    ("managed-wasted", "M.managed.size: 1g | M.process.size: 4g", &["warning 1 M.managed.size"]),
    ("managed-wasted", "M.managed.fraction: 0.0", &[]),
    ("incremental-on-heap", "state.backend.incremental: true", &["note 1 state.backend.incremental"]),
    ("incremental-on-heap", "C.incremental: false", &[]),
    ("bad-value", "state.backend.type: rockdb", &["error 1 state.backend.type"]),
    ("not-modelled", "state.backend.type: forst", &["note 1 state.backend.type"]),
    ("index-cliff", "M.managed.size: 64mb", &[]),
    ("no-effect", "R.thread.num: 4", &[]),
];

#[test]
fn every_rule_finds_what_it_is_for_and_nothing_else() {
    for (cases, backend) in [(ON_ROCKSDB, ROCKS), (ON_HEAP, "")] {
        for (rule, text, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|line| {
                    let (place, key) = line.rsplit_once(' ').unwrap();
                    format!("{place} {}", long(key))
                })
                .collect();
            assert_eq!(
                found(rule, &long(&format!("{backend}{text}")), FlinkVersion::V2_3, None),
                expected,
                "{rule}: {text}"
            );
        }
    }
}

#[test]
fn rules_heed_the_version() {
    let old = |rule, text: &str| found(rule, &long(&format!("{ROCKS}{text}")), FlinkVersion::V1_20, None);
    let tracking = "state.size-track.history-size";
    assert_eq!(old("wrong-version", &format!("{tracking}: 5")), [format!("error 2 {tracking}")]);
    assert_eq!(
        found("wrong-version", "state.backend.type: forst", FlinkVersion::V1_20, None),
        ["error 1 state.backend.type"]
    );
    let block_based = "R.bloom-filter.block-based-mode: true | R.use-bloom-filter: true";
    assert_eq!(old("block-based-mode", block_based), <[&str; 0]>::default());
    assert_eq!(context("flink-conf.yaml", "", None, None).version, FlinkVersion::V1_20);
    assert_eq!(context("config.yaml", "", None, None).version, FlinkVersion::V2_3);
}

#[test]
fn rules_heed_the_states_of_a_slot() {
    let of =
        |states| found("too-many-states", &long(&format!("{ROCKS}M.managed.size: 96mb")), FlinkVersion::V2_3, states);
    assert_eq!(of(None), <[&str; 0]>::default());
    // A third of the budget, seven eighths of it: 28 mb, one for each state.
    assert_eq!(of(Some(28)), <[&str; 0]>::default());
    assert_eq!(of(Some(29)), ["warning 2 taskmanager.memory.managed.size"]);
}

#[test]
fn every_rule_is_tested() {
    let tested: BTreeSet<_> =
        ON_ROCKSDB.iter().chain(ON_HEAP).filter(|case| !case.2.is_empty()).map(|case| case.0).collect();
    let elsewhere = ["wrong-version", "too-many-states"];
    let rules: Vec<_> = RULES.iter().copied().flatten().map(|rule| rule.id).collect();
    assert!(rules.len() >= 20, "{}", rules.len());
    for rule in &rules {
        assert!(tested.contains(rule) || elsewhere.contains(rule), "{rule}");
    }
    assert_eq!(rules.iter().collect::<BTreeSet<_>>().len(), rules.len(), "each name once");
}

#[test]
fn every_number_in_a_suggestion_ends_the_finding() {
    // The budgets that messages ask for are enough, and not twice what is needed.
    for (rule, text) in [
        ("budget-too-small", "M.managed.size: 2mb"),
        ("arena-block", "M.managed.size: 8mb"),
        ("write-buffers-over-budget", "M.managed.size: 128mb | R.writebuffer.count: 4"),
        ("too-many-states", "M.managed.size: 64mb | R.writebuffer.size: 8mb"),
    ] {
        let of = |text: &str| {
            let text = format!("{}\ntaskmanager.memory.process.size: 16g", long(&format!("{ROCKS}{text}")));
            let findings = lint(&context("config.yaml", &text, None, Some(100))).into_iter();
            findings.filter(|finding| finding.rule == rule).collect::<Vec<_>>()
        };
        let write = of(text).pop().unwrap().write;
        let smallest: u64 = write.split(' ').nth(1).unwrap().parse().unwrap();
        let with = |mb: u64| {
            let rest = text.split_once(" | ").map_or("R.log.file-num: 4", |(_, rest)| rest);
            of(&format!("M.managed.size: {mb}mb | {rest}"))
        };
        assert_eq!(with(smallest), [], "{rule}: {write}");
        assert_eq!(with(smallest - 2).len(), 1, "{rule}: {write}");
    }
}

#[test]
fn a_quoted_value_of_a_flat_file_is_explained() {
    let text = "state.backend.type: rocksdb\nstate.backend.rocksdb.writebuffer.size: \"64mb\"\n";
    let findings = lint(&context("flink-conf.yaml", text, None, None));
    let finding = findings.iter().find(|finding| finding.rule == "bad-value").unwrap();
    assert_snapshot!(finding.write, @"a size such as 4096, 64kb, 256 mb or 2g, without quotes: flink-conf.yaml is not YAML");
}

#[test]
fn a_long_value_is_not_repeated_whole() {
    let text = format!("state.backend.rocksdb.writebuffer.size: {}\nstate.backend.x: {0}\n", "9".repeat(100_000));
    let findings = lint(&context("config.yaml", &text, None, None));
    assert!(findings.len() >= 2 && findings.iter().all(|finding| finding.does.len() + finding.write.len() < 1000));
}

#[test]
fn a_configuration_of_a_workload_is_told_what_its_options_do() {
    let of = |text: &str| {
        let configuration = Configuration::new(&toml::from_str(text).unwrap()).unwrap();
        let findings = lint(&Context::of_configuration(&configuration)).into_iter();
        findings
            .map(|finding| format!("{} {}: {}", finding.severity, finding.key, finding.does))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let text = "name = 'a'\n'state.backend.type' = 'rocksdb'\n'state.backend.rocksdb.block.cache-size' = '8mb'\n\
                'state.backend.rocksdb.block.metadata-blocksize' = '8kb'\n'taskmanager.memory.managed.size' = '64mb'\n";
    assert_snapshot!(of(text), @"warning state.backend.rocksdb.block.cache-size: ignores it: memory of a slot is shared, which brings one block cache of 53 mb for all states");
}

/// The configuration of the article that this project starts from, in other words.
#[test]
fn the_mistakes_of_the_article_are_all_found() {
    let text = include_str!("../../../tests/data/article-flink.yaml");
    let file = FlinkFile::parse(Path::new("article-flink.yaml"), text.to_owned()).unwrap();
    let context = Context::of_file(&file, None, None);
    let report = Report {
        file: "article-flink.yaml".to_owned(),
        read_as: file.dialect.to_string(),
        flink_version: context.version.to_string(),
        findings: lint(&context),
    };
    let found: Vec<_> = report.findings.iter().map(|finding| finding.rule).collect();
    for mistake in [
        "never-existed",             // bloom-filter.block-based
        "bloom-off",                 // bits without a filter
        "cache-size-shared",         // a cache size that managed memory overrides
        "write-buffers-over-budget", // 4 x 128 mb that the write-buffer manager flushes earlier
        "pending-flag",              // compaction-pending taken for bytes
        "filter-clock",              // 1000 entries taken for what is checked at a time
        "timeout-is-default",
        "old-name",
    ] {
        assert!(found.contains(&mistake), "{mistake}");
    }
    assert_snapshot!(report.text(), @r#"
    article-flink.yaml: read as config.yaml (YAML), for Flink 2.3
    article-flink.yaml:5: warning: state.backend [old-name]
      Flink: still reads this name, with a warning in the log; it is deprecated
      write: state.backend.type: rocksdb
    article-flink.yaml:9: warning: state.backend.rocksdb.block.cache-size [cache-size-shared]
      Flink: ignores it: memory of a slot is shared, which brings one block cache of 427 mb for all states
      write: a larger taskmanager.memory.managed.size or .fraction, for a larger cache; or state.backend.rocksdb.memory.managed: false for a cache of its own for each state, which nothing bounds then
    article-flink.yaml:10: warning: state.backend.rocksdb.writebuffer.size [write-buffers-over-budget]
      Flink: flushes earlier: 4 buffers of 128 mb are 512 mb, but all write buffers of a slot share 171 mb
      write: taskmanager.memory.managed.size: 1537 mb or more, or write buffers that fit
    article-flink.yaml:14: warning: state.backend.rocksdb.bloom-filter.bits-per-key [bloom-off]
      Flink: builds no bloom filter: use-bloom-filter is false, its default
      write: state.backend.rocksdb.use-bloom-filter: true beside it
    article-flink.yaml:15: error: state.backend.rocksdb.bloom-filter.block-based [never-existed]
      Flink: no version has this key, so it sets nothing and nobody says so; the real key is state.backend.rocksdb.bloom-filter.block-based-mode
      write: state.backend.rocksdb.use-bloom-filter: true, which turns filters on, and state.backend.rocksdb.bloom-filter.block-based-mode: false, or not at all
    article-flink.yaml:20: warning: state.backend.incremental [old-name]
      Flink: still reads this name, with a warning in the log; it is deprecated
      write: execution.checkpointing.incremental: true
    article-flink.yaml:21: warning: state.checkpoints.dir [old-name]
      Flink: still reads this name, with a warning in the log; it is deprecated
      write: execution.checkpointing.dir: "s3://checkpoints/orders"
    article-flink.yaml:24: note: execution.checkpointing.timeout [timeout-is-default]
      Flink: would wait 10 min anyway: it is the default
      write: leave it out
    article-flink.yaml:27: note: state.backend.rocksdb.compaction.filter.query-time-after-num-entries [filter-clock]
      Flink: asks for the time again after that many entries; its filter looks at every entry of a compaction in any case, and at none outside of one
      write: 1000, the default; for expired state to go sooner, state.backend.rocksdb.compaction.filter.periodic-compaction-time
    article-flink.yaml:34: warning: state.backend.rocksdb.metrics.block-cache-hit [ticker-cost]
      Flink: turns RocksDB's Statistics on for it, as 1 more do; they were seen to take up to half of the read throughput
      write: false but while you look into something; metrics that are properties cost next to nothing
    article-flink.yaml:36: warning: state.backend.rocksdb.metrics.compaction-pending [pending-flag]
      Flink: reports 0 or 1, whether a compaction is pending, and no number of bytes
      write: state.backend.rocksdb.metrics.estimate-pending-compaction-bytes: true for the bytes
    1 error, 8 warnings, 2 notes
    "#);
}

proptest! {
    #[test]
    fn no_configuration_panics(
        lines in proptest::collection::vec((0..OPTION_KEYS, "[ -~]{0,12}|[0-9]{1,20} ?[a-z]{0,2}|-?[0-9.]{1,5}|true"), 0..12),
        states in proptest::option::of(1_u32..100_000),
    ) {
        let keys: Vec<_> = crate::workload::OPTIONS.iter().map(|row| row.key).collect();
        let lines: std::collections::BTreeMap<_, _> =
            lines.into_iter().map(|(key, value)| (keys[key % keys.len()], value)).collect();
        let line = |(key, value): (&&str, &String)| format!("{key}: {}", crate::flink::yaml::quoted(value));
        let text = lines.iter().map(line).collect::<Vec<_>>().join("\n");
        for version in [FlinkVersion::V1_20, FlinkVersion::V2_3] {
            for finding in lint(&context("config.yaml", &text, Some(version), states)) {
                prop_assert!(!finding.does.is_empty() && !finding.write.is_empty());
            }
        }
    }
}

/// More than there are options; what is above counts from the first again.
const OPTION_KEYS: usize = 1000;
