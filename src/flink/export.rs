//! A configuration of a result as Flink's configuration file, and as a patch for Flink's Kubernetes operator.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::yaml;
use crate::result::{RunResult, printable};
use crate::workload::{BackendType, FlinkVersion, Invalid, KnownKey, Options, Reader, nearest};

/// Keys that name places on the machine of a run.
const OF_THIS_MACHINE: [&str; 2] = ["state.backend.rocksdb.localdir", "state.backend.rocksdb.log.dir"];

const PROFILE: &str = "state.backend.rocksdb.predefined-options";

/// Why a configuration cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The result has no configuration of that name.
    #[error("no configuration is named `{name}`{}; those of the result are {}", suggestion(near.as_deref()), known.join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The one that is spelled most like it.
        near: Option<String>,
        /// The names that there are, in quotes.
        known: Vec<String>,
    },
    /// It runs on the null backend.
    #[error("`{0}` runs on the null backend, which is the floor of the harness and no backend of Flink's")]
    NullBackend(String),
    /// The result holds an option that this program does not take.
    #[error("`{0}`: the result holds an option that cannot be written: {1}")]
    Option(String, Invalid),
}

fn suggestion(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// One key that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    key: String,
    value: String,
    comment: String,
}

/// A configuration, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    name: String,
    version: FlinkVersion,
    lines: Vec<Line>,
    /// What is not written and why, a line each.
    left_out: Vec<String>,
}

/// The configuration of a result, for a version of Flink: the keys that differ from that version's defaults.
///
/// # Errors
/// There is none of that name, or it is none that Flink could have.
pub fn export(result: &RunResult, name: &str, version: FlinkVersion) -> Result<Exported, ExportError> {
    let Some(trial) = result.trials.iter().find(|trial| trial.configuration == name) else {
        return Err(unknown(result, name));
    };
    let refused = |invalid| ExportError::Option(printable(name), invalid);
    let options = Options::of_texts(&trial.options).map_err(refused)?;
    if options.backend == BackendType::Null {
        return Err(ExportError::NullBackend(printable(name)));
    }
    // What the profile alone comes to: a key beside it may be there to keep the default.
    let mut base = Options::default();
    base.set(PROFILE, &options.predefined_options.to_string()).map_err(refused)?;
    let base: BTreeMap<_, _> = base.resolved().collect();
    let mut exported = Exported { name: name.to_owned(), version, lines: Vec::new(), left_out: Vec::new() };
    for (key, value) in options.resolved() {
        if value != "none" && (key == PROFILE || base.get(&key) != Some(&value)) {
            exported.add(&options, &key, value);
        }
    }
    Ok(exported)
}

fn unknown(result: &RunResult, name: &str) -> ExportError {
    let mut known: Vec<&str> = Vec::new();
    result.trials.iter().map(|trial| trial.configuration.as_str()).for_each(|trial| {
        if !known.contains(&trial) {
            known.push(trial);
        }
    });
    ExportError::Unknown {
        name: printable(name),
        near: nearest(name, known.iter().copied()).map(printable),
        known: known.into_iter().map(|name| format!("`{}`", printable(name))).collect(),
    }
}

/// What a key does, and what holds without it.
fn about(key: &str) -> Option<(&'static str, String)> {
    match KnownKey::find(key)? {
        KnownKey::Option(row) => Some((row.about, row.default())),
        KnownKey::Metric(metric) if metric.is_ticker() => {
            Some(("A counter of RocksDB's, which slows reads down", "false".to_owned()))
        }
        KnownKey::Metric(_) => Some(("A metric of RocksDB's", "false".to_owned())),
    }
}

/// What a key that Flink does not heed in this combination is told to be.
fn idle(options: &Options, key: &str) -> Option<String> {
    let heeded_by_flink =
        matches!(KnownKey::find(key)?, KnownKey::Option(row) if matches!(row.reader, Reader::Pool | Reader::Database));
    let (_, why) = options.without_effect([key]).pop().filter(|_| heeded_by_flink)?;
    Some(format!("; without effect here: {why}"))
}

impl Exported {
    fn add(&mut self, options: &Options, key: &str, value: String) {
        let Some((about, default)) = about(key) else { return };
        let row = Options::row(key);
        if default == value && key == PROFILE {
            return;
        }
        if OF_THIS_MACHINE.contains(&key) {
            self.left_out.push(format!("{key}: names a folder of the machine that was measured on"));
        } else if row.is_some_and(|row| !row.versions.has(self.version)) {
            self.left_out.push(format!("{key}: Flink {} has no such key", self.version));
        } else {
            let key = row.map_or(key, |row| row.key_in(self.version)).to_owned();
            let idle = idle(options, &key).unwrap_or_default();
            self.lines.push(Line { key, value, comment: format!("{about}; Flink's default: {default}{idle}") });
        }
    }

    /// The lines for the version's configuration file: `flink-conf.yaml` for 1.20, `config.yaml` for 2.3.
    pub fn file(&self) -> String {
        let (name, is_flat) = match self.version {
            FlinkVersion::V1_20 => ("flink-conf.yaml", true),
            FlinkVersion::V2_3 => ("config.yaml", false),
        };
        let mut out = self.head(&format!("{name} of Flink {}", self.version));
        for Line { key, value, comment } in &self.lines {
            let _ = if !is_flat {
                writeln!(out, "# {comment}\n{key}: {}", yaml::value(value))
            } else if yaml::fits_flat_line(value) {
                writeln!(out, "# {comment}\n{key}: {value}")
            } else {
                writeln!(out, "# left out: {key}: {name} cannot hold its value {}", yaml::quoted(value))
            };
        }
        out
    }

    /// A patch for a deployment of Flink's Kubernetes operator.
    pub fn kubernetes(&self) -> String {
        let mut out = self.head("kubectl patch flinkdeployment NAME --type merge --patch-file FILE");
        out.push_str("apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeployment\nspec:\n");
        out.push_str(if self.lines.is_empty() { "  flinkConfiguration: {}\n" } else { "  flinkConfiguration:\n" });
        for Line { key, value, comment } in &self.lines {
            let _ = writeln!(out, "    # {comment}\n    {key}: {}", yaml::quoted(value));
        }
        out
    }

    fn head(&self, what: &str) -> String {
        let mut out = format!("# {}: {what}\n", printable(&self.name));
        out.push_str(if self.lines.is_empty() {
            "# Nothing to set: every option is at Flink's default.\n"
        } else {
            "# Keys that are not here are at Flink's defaults.\n"
        });
        self.left_out.iter().for_each(|line| {
            let _ = writeln!(out, "# left out: {line}");
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flink::import;
    use crate::result::{Measurement, Outcome, Trial};
    use crate::run::{RunOptions, empty_result};
    use crate::workload::{Document, FlinkFile, NativeMetric, OPTIONS, Plan, native_metrics};
    use insta::assert_snapshot;
    use proptest::prelude::*;
    use std::path::{Path, PathBuf};

    /// A result with one configuration, of these options.
    fn result(name: &str, settings: &[(&str, &str)]) -> RunResult {
        let plan = Plan::of(Document::parse(Path::new("job.toml"), "[run]\n".to_owned()).unwrap(), &[], false).unwrap();
        let options = RunOptions { output: PathBuf::new(), state_folder: ".".into(), quiet: true, quick: true };
        let mut result = empty_result(&plan, &options);
        result.trials.push(trial(name, &set(settings)));
        result
    }

    fn trial(name: &str, options: &Options) -> Trial {
        let text = serde_json::json!({
            "variant": 0, "configuration": name, "base": name, "knobs": {}, "options": options.resolved().collect::<BTreeMap<_, _>>(), "repeat": 0,
            "companion": false, "seed": 1, "outcome": Outcome::Finished(Box::new(Measurement::of_nothing())),
        });
        serde_json::from_value(text).unwrap()
    }

    fn set(settings: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        settings.iter().for_each(|(key, value)| options.set(key, value).unwrap());
        options
    }

    fn exported(settings: &[(&str, &str)], version: FlinkVersion) -> Exported {
        export(&result("tuned", settings), "tuned", version).unwrap()
    }

    const TUNED: [(&str, &str); 6] = [
        ("state.backend.type", "rocksdb"),
        ("taskmanager.memory.managed.size", "1g"),
        ("state.backend.rocksdb.localdir", "/mnt/nvme0/me"),
        ("state.backend.rocksdb.block.cache-size", "16mb"),
        ("state.backend.rocksdb.compression.per.level", "NO_COMPRESSION;LZ4_COMPRESSION"),
        ("state.size-track.keyed-state-enabled", "true"),
    ];

    #[test]
    fn what_differs_from_the_defaults_is_written() {
        assert_snapshot!(exported(&TUNED, FlinkVersion::V1_20).file(), @"
        # tuned: flink-conf.yaml of Flink 1.20
        # Keys that are not here are at Flink's defaults.
        # left out: state.backend.rocksdb.localdir: names a folder of the machine that was measured on
        # left out: state.size-track.keyed-state-enabled: Flink 1.20 has no such key
        # The state backend; Flink's default: hashmap
        state.backend.type: rocksdb
        # Managed memory of a TaskManager; Flink's default: none
        taskmanager.memory.managed.size: 1 gb
        # Compression of each level, one entry for all; Flink's default: SNAPPY_COMPRESSION
        state.backend.rocksdb.compression.per.level: NO_COMPRESSION;LZ4_COMPRESSION
        # Block cache of each column family where memory is not shared; Flink's default: 8 mb; without effect here: memory is shared (memory.managed or a fixed size), which brings its own cache
        state.backend.rocksdb.block.cache-size: 16 mb
        ");
        assert_snapshot!(exported(&TUNED, FlinkVersion::V2_3).kubernetes(), @r#"
        # tuned: kubectl patch flinkdeployment NAME --type merge --patch-file FILE
        # Keys that are not here are at Flink's defaults.
        # left out: state.backend.rocksdb.localdir: names a folder of the machine that was measured on
        apiVersion: flink.apache.org/v1beta1
        kind: FlinkDeployment
        spec:
          flinkConfiguration:
            # The state backend; Flink's default: hashmap
            state.backend.type: "rocksdb"
            # Managed memory of a TaskManager; Flink's default: none
            taskmanager.memory.managed.size: "1 gb"
            # Compression of each level, one entry for all; Flink's default: SNAPPY_COMPRESSION
            state.backend.rocksdb.compression.per.level: "NO_COMPRESSION;LZ4_COMPRESSION"
            # Block cache of each column family where memory is not shared; Flink's default: 8 mb; without effect here: memory is shared (memory.managed or a fixed size), which brings its own cache
            state.backend.rocksdb.block.cache-size: "16 mb"
            # Whether Flink keeps sizes of keys and values; Flink's default: false
            state.size-track.keyed-state-enabled: "true"
        "#);
        assert_snapshot!(exported(&[], FlinkVersion::V2_3).kubernetes(), @"
        # tuned: kubectl patch flinkdeployment NAME --type merge --patch-file FILE
        # Nothing to set: every option is at Flink's default.
        apiVersion: flink.apache.org/v1beta1
        kind: FlinkDeployment
        spec:
          flinkConfiguration: {}
        ");
    }

    #[test]
    fn a_key_beside_a_profile_is_written_where_it_keeps_the_default() {
        let profile = ("state.backend.rocksdb.predefined-options", "FLASH_SSD_OPTIMIZED");
        let backend = ("state.backend.type", "rocksdb");
        let keys = |settings: &[(&str, &str)]| {
            let exported = exported(settings, FlinkVersion::V2_3);
            exported.lines.into_iter().map(|line| format!("{}={}", line.key, line.value)).collect::<Vec<_>>()
        };
        let first = ["state.backend.type=rocksdb", "state.backend.rocksdb.predefined-options=FLASH_SSD_OPTIMIZED"];
        assert_eq!(keys(&[backend, profile]), first);
        let with_threads = keys(&[backend, profile, ("state.backend.rocksdb.thread.num", "2")]);
        assert_eq!(with_threads, [first[0], first[1], "state.backend.rocksdb.thread.num=2"]);
    }

    #[test]
    fn what_cannot_be_exported_is_said() {
        let of = |name: &str, settings: &[(&str, &str)]| {
            export(&result("tuned", settings), name, FlinkVersion::V2_3).unwrap_err().to_string()
        };
        assert_snapshot!(of("tund", &[]), @"no configuration is named `tund`; did you mean `tuned`?; those of the result are `tuned`");
        assert_snapshot!(of("tuned", &[("state.backend.type", "null")]), @"`tuned` runs on the null backend, which is the floor of the harness and no backend of Flink's");
        let mut odd = result("tuned", &[]);
        odd.trials[0].options.insert("state.backend.odd".to_owned(), "1".to_owned());
        assert_snapshot!(export(&odd, "tuned", FlinkVersion::V2_3).unwrap_err(), @"`tuned`: the result holds an option that cannot be written: state.backend.odd: found a key that statebench does not know; allowed: the keys of `statebench list options`; the nearest is `state.backend`");
    }

    #[test]
    fn a_value_of_a_result_cannot_break_out_of_its_line() {
        let settings = [("execution.checkpointing.dir", "a # b: \"c\"")];
        assert_snapshot!(exported(&settings, FlinkVersion::V1_20).file(), @r#"
        # tuned: flink-conf.yaml of Flink 1.20
        # Keys that are not here are at Flink's defaults.
        # left out: execution.checkpointing.dir: flink-conf.yaml cannot hold its value "a # b: \"c\""
        "#);
        let name = "x\nrest.port: 1";
        let file = export(&result(name, &settings), name, FlinkVersion::V2_3).unwrap().file();
        let read = FlinkFile::parse(Path::new("config.yaml"), file).unwrap();
        let entries: Vec<_> = read.entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
        assert_eq!(entries, settings);
    }

    /// Values, of which each option takes some.
    const VALUES: [&str; 16] = [
        "true",
        "false",
        "3",
        "1",
        "0.25",
        "96 mb",
        "5 min",
        "rocksdb",
        "HEAP",
        "UNIVERSAL",
        "LZ4_COMPRESSION",
        "WARN_LEVEL",
        "filesystem",
        "CLAIM",
        "s3://a/b",
        "RETAIN_ON_CANCELLATION",
    ];

    proptest! {
        #[test]
        fn what_is_exported_is_imported_as_it_was(
            choices in proptest::collection::vec((0..OPTIONS.len() + 39, 0..VALUES.len()), 0..12), flat: bool
        ) {
            let mut options = Options::of(BackendType::RocksDb);
            let metrics: Vec<_> = native_metrics().map(NativeMetric::key).collect();
            for (key, value) in choices {
                let key = OPTIONS.get(key).map_or_else(|| metrics[key - OPTIONS.len()].as_str(), |row| row.key);
                let here = ["state.backend.type", OF_THIS_MACHINE[0], OF_THIS_MACHINE[1]].contains(&key);
                let mut changed = options.clone();
                if !here && changed.set(key, VALUES[value]).is_ok() && changed.validate().is_ok() {
                    options = changed;
                }
            }
            let (version, name) =
                if flat { (FlinkVersion::V1_20, "flink-conf.yaml") } else { (FlinkVersion::V2_3, "config.yaml") };
            let mut result = result("a", &[]);
            result.trials[0] = trial("a", &options);
            let exported = export(&result, "a", version).unwrap();
            let file = FlinkFile::parse(Path::new(name), exported.file()).unwrap();
            let section = import(&file, "a").unwrap().section;
            let plan = Plan::of(Document::parse(Path::new("job.toml"), section).unwrap(), &[], false).unwrap();
            let expected: BTreeMap<_, _> = options.resolved().filter(|(key, _)| {
                !exported.left_out.iter().any(|line| line.starts_with(&format!("{key}:")))
            }).collect();
            let found: BTreeMap<_, _> =
                plan.cells[0].configuration.options.resolved().filter(|(key, _)| expected.contains_key(key)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
