//! What of a Flink configuration file a configuration takes over: the keys that touch state.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::diagnostic::stem_of;
use super::flink_file::{Dialect, Entry, FlinkFile};
use super::{BackendType, Configuration, Diagnostic, Document, Invalid, KnownKey, OPTIONS, Options};

/// Roots of keys that touch state.
const STATE_ROOTS: [&str; 5] =
    ["state.", "execution.checkpointing.", "execution.state-recovery.", "execution.savepoint", "taskmanager.memory."];

/// Keys below those roots that Flink has and that touch no state.
const STATELESS: [&str; 2] = ["taskmanager.memory.segment-size", "taskmanager.memory.min-segment-size"];

/// Roots of keys whose part of Flink statebench has not.
const NOT_MODELLED: [&str; 2] = ["state.backend.forst.", "dstl."];

/// Values of options above this are nobody's.
const MAX_VALUE_BYTES: usize = 4096;

/// Edits that make a spelling mistake of a key elsewhere.
const MISSPELT_BY: usize = 2;

/// What a key of a Flink configuration is to statebench.
#[derive(Clone, Copy)]
pub enum KeyKind {
    /// An option of the table.
    Known(KnownKey),
    /// An option of a part of Flink that statebench has not.
    NotModelled,
    /// It has nothing to do with state.
    Unrelated,
    /// No version of Flink has it.
    Unknown,
}

impl KeyKind {
    /// Tells what a key is. A key elsewhere that is almost one of the table is a spelling mistake.
    pub fn of(key: &str) -> Self {
        if let Some(known) = KnownKey::find(key) {
            return Self::Known(known);
        }
        if NOT_MODELLED.iter().any(|root| key.starts_with(root)) {
            return Self::NotModelled;
        }
        let is_almost = |known: &str| {
            known.len().abs_diff(key.len()) <= MISSPELT_BY && strsim::levenshtein(known, key) <= MISSPELT_BY
        };
        let known = || OPTIONS.iter().flat_map(|row| std::iter::once(&row.key).chain(row.aliases));
        let touches_state = STATE_ROOTS.iter().any(|root| key.starts_with(root)) && !STATELESS.contains(&key);
        if touches_state || known().any(|known| is_almost(known)) { Self::Unknown } else { Self::Unrelated }
    }
}

impl fmt::Debug for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known(_) => "Known",
            Self::NotModelled => "NotModelled",
            Self::Unrelated => "Unrelated",
            Self::Unknown => "Unknown",
        })
    }
}

/// The current name of a key, which its older names stand for.
pub fn current_name(known: KnownKey) -> String {
    match known {
        KnownKey::Option(row) => row.key.to_owned(),
        KnownKey::Metric(metric) => metric.key(),
    }
}

/// A value as Flink reads it: words for true and false in any case.
pub fn flink_value(text: &str) -> String {
    let is_bool = ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_bool { text.to_ascii_lowercase() } else { text.to_owned() }
}

/// Sets an option to a value of a Flink configuration, in which there is no null backend.
///
/// # Errors
/// The key or the value is not allowed; the path of the error is the key.
pub fn set_from_flink(options: &mut Options, key: &str, value: &str) -> Result<(), Invalid> {
    if value.len() > MAX_VALUE_BYTES {
        let found = format!("a value of {} bytes", value.len());
        return Err(Invalid::new(key, found, format!("at most {MAX_VALUE_BYTES} bytes")));
    }
    let result = options.set(key, &flink_value(value));
    let is_backend = matches!(KnownKey::find(key), Some(KnownKey::Option(row)) if row.key == "state.backend.type");
    if is_backend && (result.is_err() || options.backend == BackendType::Null) {
        options.backend = BackendType::HashMap;
        return Err(Invalid::new(key, format!("`{value}`"), "hashmap or rocksdb, the backends that statebench has"));
    }
    result
}

/// The keys of a file, sorted by what they are; each with the entry that it comes from.
#[derive(Debug)]
pub struct StateKeys<'a> {
    /// Options under their current names, each once.
    pub taken: Vec<(String, &'a Entry)>,
    /// Entries that another name of the same option goes before.
    pub shadowed: Vec<&'a Entry>,
    /// Entries of parts of Flink that statebench has not.
    pub not_modelled: Vec<&'a Entry>,
    /// Entries that have nothing to do with state.
    pub ignored: Vec<&'a Entry>,
    options: Options,
}

impl<'a> StateKeys<'a> {
    /// Sorts the keys of a file. Of several names of one option the current one counts, then the older ones in Flink's
    /// order.
    ///
    /// # Errors
    /// A key that touches state and that no version of Flink has, or a value that its key does not allow.
    pub fn of(file: &'a FlinkFile) -> Result<Self, Diagnostic> {
        let mut this = Self {
            taken: vec![],
            shadowed: vec![],
            not_modelled: vec![],
            ignored: vec![],
            options: Options::default(),
        };
        let mut options = Options::default();
        for entry in &file.entries {
            match KeyKind::of(&entry.key) {
                KeyKind::Known(known) if goes_first(file, known, &entry.key) => {
                    set_from_flink(&mut options, &entry.key, &entry.value)
                        .map_err(|invalid| file.wrong_value(entry, &invalid))?;
                    this.taken.push((current_name(known), entry));
                }
                KeyKind::Known(_) => this.shadowed.push(entry),
                KeyKind::NotModelled => this.not_modelled.push(entry),
                KeyKind::Unrelated => this.ignored.push(entry),
                KeyKind::Unknown => return Err(unknown(file, entry)),
            }
        }
        this.options = options;
        Ok(this)
    }

    /// Checks the keys together.
    ///
    /// # Errors
    /// A combination that cannot work.
    pub fn validate(&self, file: &FlinkFile) -> Result<(), Diagnostic> {
        self.options.validate().map_err(|invalid| self.combination(file, &invalid))
    }

    /// What is wrong with a combination, shown at the key to change where the file has it.
    fn combination(&self, file: &FlinkFile, invalid: &Invalid) -> Diagnostic {
        match self.taken.iter().find(|(key, _)| *key == invalid.path) {
            Some((_, entry)) => file.wrong_value(entry, invalid),
            None => Diagnostic::of_file(file.path(), invalid),
        }
    }
}

/// Whether a file has no name of the option that goes before this one.
fn goes_first(file: &FlinkFile, known: KnownKey, name: &str) -> bool {
    let KnownKey::Option(row) = known else { return true };
    let mut names = std::iter::once(&row.key).chain(row.aliases);
    names.find(|name| file.has(name)).is_some_and(|first| *first == name)
}

fn unknown(file: &FlinkFile, entry: &Entry) -> Diagnostic {
    let diagnostic = file.wrong_key(entry, format_args!("{}: no version of Flink has this key", entry.key));
    match Options::nearest_key(&entry.key) {
        Some(nearest) => diagnostic.with_help(format_args!("did you mean `{nearest}`?")),
        None => diagnostic,
    }
}

/// Where a configuration of a plan comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlinkSource {
    /// Name of the configuration.
    pub configuration: String,
    /// The file.
    pub path: PathBuf,
    /// How it was read.
    pub dialect: Dialect,
    /// Keys that were left out since they have nothing to do with state.
    pub ignored: Vec<String>,
    /// Keys that were left out since statebench has not what they set.
    pub not_modelled: Vec<String>,
}

/// Reads the Flink files that a document names, and lays their keys under those beside them; then adds a configuration
/// for each of `more`, named after the file. Afterwards the document names no Flink file.
///
/// # Errors
/// A file that cannot be read, or what [`StateKeys::of`] refuses.
pub(super) fn resolve(document: &mut Document, more: &[PathBuf]) -> Result<Vec<FlinkSource>, Diagnostic> {
    let folder = document.folder().to_owned();
    let first_added = add_tables(document, more);
    let mut sources = Vec::new();
    let mut places = Vec::new();
    let configurations = document.table_mut().get_mut("configuration").and_then(Value::as_array_mut);
    for (index, table) in configurations.into_iter().flatten().enumerate() {
        let Some(table) = table.as_table_mut() else { continue };
        // A value of another type is left to be refused where the configuration is read.
        let Some(path) = table.get("flink-config").and_then(Value::as_str) else { continue };
        let is_here = index >= first_added || folder == Path::new(".");
        let path = if is_here { PathBuf::from(path) } else { folder.join(path) };
        let (source, lines) = lay_under(table, &path)?;
        places.extend(lines.into_iter().map(|(key, place)| (format!("configuration[{index}].{key}"), place)));
        sources.push(source);
    }
    places.into_iter().for_each(|(path, place)| document.note_override(&path, &place));
    Ok(sources)
}

/// Adds a configuration for each file to those of the document, or to the default ones where it has none, and returns
/// where they begin.
fn add_tables(document: &mut Document, files: &[PathBuf]) -> usize {
    if files.is_empty() {
        return usize::MAX;
    }
    let defaults = || {
        let tables = Configuration::defaults().into_iter().map(|default| {
            default.given.into_iter().fold(
                Table::from_iter([("name".to_owned(), Value::from(default.name))]),
                |mut table, (key, value)| {
                    table.insert(key, Value::from(value));
                    table
                },
            )
        });
        Value::Array(tables.map(Value::Table).collect())
    };
    let configurations = document.table_mut().entry("configuration").or_insert_with(defaults);
    // What is no list is left to be refused where it is read.
    let Some(configurations) = configurations.as_array_mut() else { return usize::MAX };
    let first = configurations.len();
    for file in files {
        let name = stem_of(file).unwrap_or_else(|| "flink".to_owned());
        let path = file.to_string_lossy().into_owned();
        let table = [("name".to_owned(), Value::from(name)), ("flink-config".to_owned(), Value::from(path))];
        configurations.push(Value::Table(Table::from_iter(table)));
    }
    for (index, file) in files.iter().enumerate() {
        let written = format!("--flink-config {}", file.display());
        document.note_override(&format!("configuration[{}]", first + index), &written);
    }
    first
}

/// Puts the keys of a file into a configuration that names it, but for those that the configuration has itself. Returns
/// the place of each key besides.
fn lay_under(table: &mut Table, path: &Path) -> Result<(FlinkSource, Vec<(String, String)>), Diagnostic> {
    let file = FlinkFile::load(path)?;
    let keys = StateKeys::of(&file)?;
    table.remove("flink-config");
    let mut beside = BTreeSet::new();
    table.iter().for_each(|(key, value)| collect_names(key, value, &mut beside));
    let mut places = Vec::new();
    for (key, entry) in keys.taken.iter().filter(|(key, _)| !beside.contains(key)) {
        table.insert(key.clone(), Value::from(flink_value(&entry.value)));
        places.push((key.clone(), format!("{}:{}", path.display(), entry.line)));
    }
    let names = |entries: &[&Entry]| entries.iter().map(|entry| entry.key.clone()).collect();
    let source = FlinkSource {
        configuration: table.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        path: path.to_owned(),
        dialect: file.dialect,
        ignored: names(&keys.ignored),
        not_modelled: names(&keys.not_modelled),
    };
    Ok((source, places))
}

/// The current names of the options in a table, which may be nested.
fn collect_names(key: &str, value: &Value, names: &mut BTreeSet<String>) {
    if let Value::Table(inner) = value {
        inner.iter().for_each(|(name, value)| collect_names(&format!("{key}.{name}"), value, names));
    } else if let Some(known) = KnownKey::find(key) {
        names.insert(current_name(known));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Plan;
    use insta::assert_snapshot;

    fn keys(text: &str) -> Result<(Vec<String>, Vec<String>), String> {
        let file = FlinkFile::parse(Path::new("config.yaml"), text.to_owned()).map_err(|error| error.to_string())?;
        let keys = StateKeys::of(&file).and_then(|keys| keys.validate(&file).map(|()| keys));
        let keys = keys.map_err(|error| error.to_string())?;
        let taken = keys.taken.iter().map(|(key, entry)| format!("{key}={}", entry.value)).collect();
        let rest = [&keys.shadowed, &keys.not_modelled, &keys.ignored];
        Ok((taken, rest.into_iter().flatten().map(|entry| entry.key.clone()).collect()))
    }

    #[test]
    fn keys_are_sorted_by_what_they_are() {
        let text = "state.backend: hashmap\nstate.backend.type: rocksdb\nrest.port: 8081\n\
                    state.backend.forst.primary-dir: /x\ntaskmanager.memory.segment-size: 32kb\n\
                    state.backend.incremental: TRUE\n";
        let (taken, rest) = keys(text).unwrap();
        assert_eq!(taken, ["state.backend.type=rocksdb", "execution.checkpointing.incremental=TRUE"]);
        let all = "state.backend state.backend.forst.primary-dir rest.port taskmanager.memory.segment-size";
        assert_eq!(rest, all.split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn what_flink_has_not_is_refused_at_its_line() {
        assert_snapshot!(keys("state.backend.rocksdb.writebufer.size: 1mb").unwrap_err(), @"
        config.yaml:1:1: state.backend.rocksdb.writebufer.size: no version of Flink has this key
          |
        1 | state.backend.rocksdb.writebufer.size: 1mb
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        help: did you mean `state.backend.rocksdb.writebuffer.size`?
        ");
        assert_snapshot!(keys("taskmanager.numberOfTaskSlot: 2").unwrap_err(), @"
        config.yaml:1:1: taskmanager.numberOfTaskSlot: no version of Flink has this key
          |
        1 | taskmanager.numberOfTaskSlot: 2
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        help: did you mean `taskmanager.numberOfTaskSlots`?
        ");
        assert_snapshot!(keys("a: 1\nstate.backend.rocksdb.writebuffer.size: 64 parsec").unwrap_err(), @"
        config.yaml:2:41: state.backend.rocksdb.writebuffer.size: found `64 parsec`; allowed: a size such as 4096, 64kb, 256 mb or 2g
          |
        2 | state.backend.rocksdb.writebuffer.size: 64 parsec
          |                                         ^^^^^^^^^
        ");
        assert_snapshot!(keys("state.backend.type: 'null'").unwrap_err(), @"
        config.yaml:1:21: state.backend.type: found `null`; allowed: hashmap or rocksdb, the backends that statebench has
          |
        1 | state.backend.type: 'null'
          |                     ^^^^^^
        ");
        assert_snapshot!(keys("state.backend.type:\n").unwrap_err(), @"
        config.yaml:1:1: state.backend.type: found ``; allowed: hashmap or rocksdb, the backends that statebench has
          |
        1 | state.backend.type:
          | ^^^^^^^^^^^^^^^^^^
        ");
        assert_snapshot!(keys("state.backend.type: rocksdb\ntaskmanager.memory.managed.size: 100kb").unwrap_err(), @"
        config.yaml:2:34: taskmanager.memory.managed.size: found 100 kb for a slot; allowed: at least 1 mb for a slot
          |
        2 | taskmanager.memory.managed.size: 100kb
          |                                  ^^^^^
        ");
        assert_snapshot!(keys("state.backend.type: rocksdb\nstate.backend.rocksdb.writebuffer.number-to-merge: 3").unwrap_err(), @"
        config.yaml:2:52: state.backend.rocksdb.writebuffer.number-to-merge: found 3; allowed: less than writebuffer.count, which is 2
          |
        2 | state.backend.rocksdb.writebuffer.number-to-merge: 3
          |                                                    ^
        ");
    }

    /// A folder with a Flink file, and the plan of a workload beside it.
    fn plan(flink: &str, workload: &str, more: &[&str]) -> Result<Plan, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.yaml"), flink).unwrap();
        let more: Vec<_> = more.iter().map(|name| folder.path().join(name)).collect();
        let plan = Document::parse(&folder.path().join("job.toml"), workload.to_owned())
            .and_then(|document| Plan::with_flink(document, &more, &[], false));
        let folder = format!("{}/", folder.path().display());
        plan.map_err(|error| error.to_string().replace(&folder, ""))
    }

    #[test]
    fn keys_beside_a_file_go_before_its_own() {
        let flink = "state.backend: rocksdb\nstate.backend.rocksdb.thread.num: 4\nrest.port: 1\n";
        let workload = "[[configuration]]\nname = 'prod'\nflink-config = 'config.yaml'\n\
                        state.backend.rocksdb.thread.num = 7\n";
        let plan = plan(flink, workload, &[]).unwrap();
        let options = &plan.cells[0].configuration.options;
        assert_eq!((options.backend, options.thread_num), (BackendType::RocksDb, 7));
        assert_eq!(plan.flink_sources[0].ignored, ["rest.port"]);
        // What is saved names no file.
        for wire in [&plan.wire, &plan.variants[0].wire] {
            let text = serde_json::to_string(&wire.configuration).unwrap();
            assert_eq!(
                text,
                r#"[{"name":"prod","state":{"backend":{"rocksdb":{"thread":{"num":7}}}},"state.backend.type":"rocksdb"}]"#
            );
        }
    }

    #[test]
    fn a_file_of_the_command_line_is_one_more_configuration() {
        let names = |plan: Plan| plan.cells.into_iter().map(|cell| cell.configuration.name).collect::<Vec<_>>();
        assert_eq!(names(plan("", "", &["config.yaml"]).unwrap()), ["heap", "rocksdb", "config"]);
        let own = "[[configuration]]\nname = 'own'\n";
        assert_eq!(names(plan("", own, &["config.yaml"]).unwrap()), ["own", "config"]);
    }

    #[test]
    fn mistakes_name_the_file_or_the_flag() {
        let workload = "[[configuration]]\nname = 'a'\nflink-config = 'config.yaml'\n";
        assert_snapshot!(plan("state.backend.typ: rocksdb", workload, &[]).unwrap_err(), @"
        config.yaml:1:1: state.backend.typ: no version of Flink has this key
          |
        1 | state.backend.typ: rocksdb
          | ^^^^^^^^^^^^^^^^^
        help: did you mean `state.backend.type`?
        ");
        assert_snapshot!(plan("", &workload.replace("config.yaml", "none.yaml"), &[]).unwrap_err(), @"none.yaml: cannot read the Flink configuration file: No such file or directory (os error 2)");
        assert_snapshot!(plan("", &workload.replace("'config.yaml'", "5"), &[]).unwrap_err(), @"
        job.toml:3:16: configuration[0].flink-config: found 5; allowed: a text
          |
        3 | flink-config = 5
          |                ^
        ");
        let beside = format!("{workload}state.backend.type = 'rocksdb'\nstate.backend.rocksdb.writebuffer.count = 1\n");
        let flink =
            "state.backend.rocksdb.writebuffer.count: 8\nstate.backend.rocksdb.writebuffer.number-to-merge: 3\n";
        assert_snapshot!(plan(flink, &beside, &[]).unwrap_err(), @"job.toml with `config.yaml:2`: configuration[0].state.backend.rocksdb.writebuffer.number-to-merge: found 3; allowed: less than writebuffer.count, which is 1");
        let own = "[[configuration]]\nname = 'config'\n";
        assert_snapshot!(plan("", own, &["config.yaml"]).unwrap_err(), @"job.toml with `--flink-config config.yaml`: configuration[1].name: found the name `config` a second time; allowed: a name for each configuration");
    }
}
