//! A workload file as text: overrides, and errors that show the spot.

use std::fmt::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::diagnostic::{Diagnostic, folder_of, read_text, stem_of};
use super::{Invalid, nearest};

/// A parsed TOML file with settings laid over it.
#[derive(Debug, Clone)]
pub struct Document {
    path: PathBuf,
    text: String,
    table: Table,
    /// Where a value does not come from the file: its path, and what the user wrote.
    overrides: Vec<(String, String)>,
}

impl Document {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// The file cannot be read, is not UTF-8, or is not TOML.
    pub fn load(path: &Path) -> Result<Self, Diagnostic> {
        let text = read_text(path, "workload file")?;
        if text.trim().is_empty() {
            return Err(Diagnostic::of_file(path, "is empty; `statebench init` writes a starter file"));
        }
        Self::parse(path, text)
    }

    /// Parses text that stands for the file `path`.
    ///
    /// # Errors
    /// The text is not TOML.
    pub fn parse(path: &Path, text: String) -> Result<Self, Diagnostic> {
        let mut document = Self { path: path.to_owned(), text, table: Table::new(), overrides: Vec::new() };
        match document.text.parse() {
            Ok(table) => document.table = table,
            Err(error) => return Err(document.syntax_error(&error)),
        }
        Ok(document)
    }

    /// The folder of the file, which relative paths in it start from.
    pub fn folder(&self) -> &Path {
        folder_of(&self.path)
    }

    /// The file's name without its extension.
    pub fn stem(&self) -> String {
        stem_of(&self.path).unwrap_or_else(|| "workload".to_owned())
    }

    /// Lays one value over the document. `written` is what the user wrote, for messages.
    ///
    /// # Errors
    /// The path leads through a value that is not a table.
    pub fn set(&mut self, path: &str, value: Value, written: &str) -> Result<(), Diagnostic> {
        let segments: Vec<_> = path.split('.').collect();
        let Some((last, parents)) = segments.split_last().filter(|_| segments.iter().all(|s| !s.is_empty())) else {
            return Err(self.override_error(written, format!("`{path}` is not a path such as keys.cardinality")));
        };
        let mut table = &mut self.table;
        // The same path with places in lists for the names of their entries, as messages have it.
        let mut full_path = String::new();
        let mut parents = parents.iter();
        while let Some(segment) = parents.next() {
            let no_keys = |what: &str| format!("`{segment}` in `{path}` is {what} and has no keys");
            full_path += segment;
            let entry = table.entry((*segment).to_owned()).or_insert_with(|| Value::Table(Table::new()));
            // A name that stands for its defaults opens into a table: distribution = "zipf".
            if matches!(entry, Value::String(_)) {
                *entry = Value::Table(Table::new());
            }
            table = match entry {
                Value::Table(inner) => inner,
                Value::Array(list) => {
                    let name = parents.next().copied().unwrap_or_default();
                    let Some((place, inner)) = named_entry(list, name) else {
                        let message = format!("`{segment}` in `{path}` has no entry `{name}`");
                        let error =
                            Diagnostic::of_place(format_args!("{} with `{written}`", self.path.display()), message);
                        return Err(error);
                    };
                    let _ = write!(full_path, "[{place}]");
                    inner
                }
                other => {
                    let message = no_keys(kind(other));
                    return Err(Diagnostic::of_place(
                        format_args!("{} with `{written}`", self.path.display()),
                        message,
                    ));
                }
            };
            full_path.push('.');
        }
        full_path += last;
        table.insert((*last).to_owned(), value);
        self.note_override(&full_path, written);
        Ok(())
    }

    /// Forgets for how long is run, since it is for a number of events.
    pub fn measure_events(&mut self) {
        if let Some(Value::Table(run)) = self.table.get_mut("run") {
            run.remove("duration");
            if run.get("warm-up").is_some_and(Value::is_str) {
                run.remove("warm-up");
            }
        }
    }

    /// Notes that what is wrong at a path is not the file's but what the user wrote elsewhere.
    pub fn note_override(&mut self, path: &str, written: &str) {
        self.overrides.push((path.to_owned(), written.to_owned()));
    }

    /// The document as it stands, for one who lays more over it than single values.
    pub(super) fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    /// Removes a top-level section and returns it.
    pub fn take(&mut self, section: &str) -> Option<Value> {
        self.table.remove(section)
    }

    /// Reads the document as `T`.
    ///
    /// # Errors
    /// An unknown key, a wrong type, a value that its type refuses.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        serde_path_to_error::deserialize(Value::Table(self.table.clone())).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { "" } else { path.trim_end_matches(".?").trim_start_matches('?') };
            self.type_error(path, error.inner().message())
        })
    }

    /// Turns a value that the model refused into a diagnostic that shows where it was written.
    pub fn invalid(&self, invalid: &Invalid) -> Diagnostic {
        let Invalid { path, found, allowed, is_key } = invalid;
        let mut diagnostic = self.at(path, *is_key);
        diagnostic.message = format!("{path}: found {found}; allowed: {allowed}");
        diagnostic
    }

    /// A place without a message: of an override, of a spot in the file, or of the file.
    fn at(&self, path: &str, key: bool) -> Diagnostic {
        let below = |path: &str, parent: &str| path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'));
        let written = |covers: &dyn Fn(&str) -> bool| {
            let found = self.overrides.iter().rev().find(|(set, _)| covers(set));
            found.map(|(_, written)| self.override_error(written, String::new()))
        };
        // An override of the value or of what holds it; the file; or else an override of a part of the value.
        written(&|set| set == path || below(path, set))
            .or_else(|| locate(&self.text, path, key).map(|span| self.spot(span)))
            .or_else(|| written(&|set| below(set, path)))
            .unwrap_or_else(|| Diagnostic::of_file(&self.path, ""))
    }

    fn override_error(&self, written: &str, message: String) -> Diagnostic {
        Diagnostic::of_place(format_args!("{} with `{written}`", self.path.display()), message)
    }

    fn syntax_error(&self, error: &toml::de::Error) -> Diagnostic {
        let mut diagnostic = match error.span() {
            Some(span) => self.spot(span),
            None => Diagnostic::of_file(&self.path, ""),
        };
        let marks_something = diagnostic.spot.as_ref().is_some_and(|spot| !spot.columns.is_empty());
        let message = match error.message().trim() {
            message if message.starts_with("string values must be quoted") && !marks_something => {
                "a value is missing".to_owned()
            }
            message => plain(message.trim_end_matches(", expected literal string")).replace('\n', "; "),
        };
        diagnostic.message = format!("not valid TOML: {message}");
        diagnostic
    }

    /// Explains what serde refused at `path`. serde says it in words; the spot and the nearest spelling come from them.
    fn type_error(&self, path: &str, message: &str) -> Diagnostic {
        let quoted: Vec<_> = message.split('`').skip(1).step_by(2).collect();
        let child = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let (mut diagnostic, subject) = match quoted.split_first() {
            Some((unknown, known)) if message.starts_with("unknown ") => {
                let full = if path == *unknown || path.ends_with(&format!(".{unknown}")) {
                    path.to_owned()
                } else {
                    child(unknown)
                };
                // An unknown name is a key of a table, or a word that stands for one.
                let is_key = locate(&self.text, &full, true).is_some() || message.starts_with("unknown field");
                let mut diagnostic = self.at(if is_key { &full } else { path }, is_key);
                diagnostic.help =
                    nearest(unknown, known.iter().copied()).map(|known| format!("did you mean `{known}`?"));
                (diagnostic, if is_key { full } else { path.to_owned() })
            }
            _ => (self.at(path, false), path.to_owned()),
        };
        if let Some(name) = message.strip_prefix("a second name, ").and(quoted.first()) {
            // An override that names another choice than the file adds to it.
            let added = child(name);
            let below = |set: &str| set == added || set.starts_with(&format!("{added}."));
            if let Some((_, written)) = self.overrides.iter().find(|(set, _)| below(set)) {
                diagnostic = self.override_error(written, String::new());
                diagnostic.help = Some(format!("`--set {path}={name}` before it takes the file's choice away"));
            }
        }
        if message.trim() == "invalid type: map, expected a sequence" {
            diagnostic.help = Some(format!("`[[{path}]]`, in double brackets, begins an entry of a list"));
        }
        let message = plain(message.trim());
        diagnostic.message = if subject.is_empty() { message } else { format!("{subject}: {message}") };
        diagnostic
    }

    fn spot(&self, span: Range<usize>) -> Diagnostic {
        Diagnostic::at(&self.path, &self.text, span, "")
    }
}

/// The entry of a list of tables that has this name, or this place, counted from 0.
fn named_entry<'a>(list: &'a mut [Value], name: &str) -> Option<(usize, &'a mut Table)> {
    let has_name = |entry: &Value| entry.get("name").and_then(Value::as_str) == Some(name);
    let place = list.iter().position(has_name).or_else(|| name.parse().ok())?;
    match list.get_mut(place)? {
        Value::Table(table) => Some((place, table)),
        _ => None,
    }
}

/// What a value is, as a user would say it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// Says in a user's words what serde says in a programmer's.
fn plain(message: &str) -> String {
    if let Some((found, expected)) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .or_else(|| message.strip_prefix("invalid length "))
        .and_then(|rest| rest.rsplit_once(", expected "))
    {
        return format!("found {}; allowed: {}", plain_found(found), plain_expected(expected));
    }
    let words =
        [("unknown variant", "unknown name"), ("unknown field", "unknown key"), ("missing field", "missing key")];
    words.iter().fold(message.to_owned(), |message, (theirs, ours)| message.replace(theirs, ours))
}

/// What serde found: ``integer `5` `` is 5, `string "many"` is the text "many".
fn plain_found(found: &str) -> String {
    match found {
        "sequence" => return "a list".to_owned(),
        "map" => return "a table".to_owned(),
        _ => {}
    }
    let value = found.split_once('`').and_then(|(_, rest)| rest.split_once('`')).map(|(value, _)| value.to_owned());
    match found.split_once(' ') {
        Some(("string", text)) => format!("the text {text}"),
        Some(("integer" | "floating" | "boolean", _)) => value.unwrap_or_else(|| found.to_owned()),
        _ => found.to_owned(),
    }
}

/// What serde expected: a type of Rust, or words of ours.
fn plain_expected(expected: &str) -> String {
    let up_to = |most: u64| format!("a whole number from 0 to {most}");
    match expected {
        "u8" => up_to(u8::MAX.into()),
        "u16" => up_to(u16::MAX.into()),
        "u32" => up_to(u32::MAX.into()),
        "u64" | "usize" => "a whole number of 0 or more".to_owned(),
        "i64" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        "any valid TOML value" => format!("whole numbers up to {}", i64::MAX),
        "a string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        rust if rust.starts_with("struct ") => "a table".to_owned(),
        ours => ours.to_owned(),
    }
}

/// Byte range of the value (or of the key) at a dotted path, or of the deepest part of the path that exists, as long
/// as that is more than the whole file. With `key` set, only the whole path counts.
fn locate(text: &str, path: &str, key: bool) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut rest = path;
    let mut deepest = None;
    loop {
        // Keys may hold dots themselves: the longest one that fits is meant.
        let fits = |name: &str| rest == name || (rest.starts_with(name) && rest[name.len()..].starts_with(['.', '[']));
        let entry = table.iter().filter(|(name, _)| fits(name.get_ref())).max_by_key(|(name, _)| name.get_ref().len());
        let Some((name, value)) = entry else { return deepest.filter(|_| !key) };
        rest = rest[name.get_ref().len()..].trim_start_matches('.');
        let mut value = value;
        while let DeValue::Array(items) = value.get_ref() {
            let Some((index, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) else { break };
            value = items.get(index.parse::<usize>().ok()?)?;
            rest = after.trim_start_matches('.');
        }
        if rest.is_empty() {
            return Some(if key { name.span() } else { value.span() });
        }
        deepest = Some(value.span());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return deepest.filter(|_| !key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::WorkloadWire;
    use insta::assert_snapshot;

    fn document(text: &str) -> Document {
        Document::parse(Path::new("job.toml"), text.to_owned()).unwrap()
    }

    fn error(text: &str) -> String {
        document(text).read::<WorkloadWire>().unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_marked_with_the_nearest() {
        assert_snapshot!(error("[keys]\ncardinalty = 5\n"), @"
        job.toml:2:1: keys.cardinalty: unknown key `cardinalty`, expected one of `cardinality`, `distribution`, `type`, `absent`
          |
        2 | cardinalty = 5
          | ^^^^^^^^^^
        help: did you mean `cardinality`?
        ");
    }

    #[test]
    fn an_unknown_name_is_marked_with_the_nearest() {
        assert_snapshot!(error("[keys]\ndistribution = 'zipff'\n"), @"
        job.toml:2:16: keys.distribution: unknown name `zipff`, expected one of `uniform`, `zipf`, `hotspot`, `latest`, `exponential`, `sequential`, `moving`, `ephemeral`, `key-ranges`, `recent`
          |
        2 | distribution = 'zipff'
          |                ^^^^^^^
        help: did you mean `zipf`?
        ");
        assert_snapshot!(error("keys.distribution.zipff.exponent = 1\n"), @"
        job.toml:1:19: keys.distribution.zipff: unknown name `zipff`, expected one of `uniform`, `zipf`, `hotspot`, `latest`, `exponential`, `sequential`, `moving`, `ephemeral`, `key-ranges`, `recent`
          |
        1 | keys.distribution.zipff.exponent = 1
          |                   ^^^^^
        help: did you mean `zipf`?
        ");
        assert_snapshot!(error("keys.distribution.zipf.exponnet = 1\n"), @"
        job.toml:1:24: keys.distribution.zipf.exponnet: unknown key `exponnet`, expected `exponent`
          |
        1 | keys.distribution.zipf.exponnet = 1
          |                        ^^^^^^^^
        help: did you mean `exponent`?
        ");
    }

    #[test]
    fn a_wrong_type_is_marked() {
        assert_snapshot!(error("[keys]\ncardinality = 'many'\n"), @r#"
        job.toml:2:15: keys.cardinality: found the text "many"; allowed: a whole number of 0 or more
          |
        2 | cardinality = 'many'
          |               ^^^^^^
        "#);
        assert_snapshot!(error("[values]\nsize = '12 parsec'\n"), @"
        job.toml:2:8: values.size: `12 parsec` has an unknown unit `parsec`; units are b, k, m, g, t
          |
        2 | size = '12 parsec'
          |        ^^^^^^^^^^^
        ");
        assert_snapshot!(error("[run]\nseed = -1\n"), @"
        job.toml:2:8: run.seed: found -1; allowed: a whole number of 0 or more
          |
        2 | seed = -1
          |        ^^
        ");
    }

    #[test]
    fn broken_toml_is_marked() {
        let error = Document::parse(Path::new("job.toml"), "[keys\ncardinality = 5\n".to_owned()).unwrap_err();
        assert_snapshot!(error, @"
        job.toml:1:6: not valid TOML: unclosed table, expected `]`
          |
        1 | [keys
          |      ^
        ");
    }

    #[test]
    fn a_refused_value_is_marked_or_the_override_named() {
        let mut document = document("[keys]\n\tcardinality = 0 # none\n");
        let invalid = Invalid::new("keys.cardinality", 0, "1 or more");
        assert_snapshot!(document.invalid(&invalid), @"
        job.toml:2:16: keys.cardinality: found 0; allowed: 1 or more
          |
        2 | 	cardinality = 0 # none
          | 	              ^
        ");
        document.set("keys.cardinality", Value::Integer(0), "--set keys.cardinality=0").unwrap();
        assert_snapshot!(document.invalid(&invalid), @"job.toml with `--set keys.cardinality=0`: keys.cardinality: found 0; allowed: 1 or more");
    }

    #[test]
    fn an_override_finds_an_entry_of_a_list_by_its_name() {
        let text = "[[pipeline]]\nname = 'a'\noperator = 'counter'\n[[pipeline]]\nname = 'b'\noperator = 'counter'\n";
        let mut document = document(text);
        document.set("pipeline.b.key", Value::String("other".to_owned()), "--set pipeline.b.key=other").unwrap();
        document.set("pipeline.0.states.count.ttl.time", Value::Integer(0), "--set x").unwrap();
        let wire: WorkloadWire = document.read().unwrap();
        assert_eq!(wire.pipeline[1].key, crate::workload::RowField::Other);
        assert!(wire.pipeline[0].states.contains_key("count"));
        let invalid = Invalid::new("pipeline[1].key", "it", "something else");
        assert!(document.invalid(&invalid).to_string().starts_with("job.toml with `--set pipeline.b.key=other`"));
        let error = document.set("pipeline.c.key", Value::Integer(0), "--set pipeline.c.key=0").unwrap_err();
        assert_snapshot!(error, @"job.toml with `--set pipeline.c.key=0`: `pipeline` in `pipeline.c.key` has no entry `c`");
    }

    #[test]
    fn an_override_opens_a_name_into_a_table() {
        let mut document = document("[keys]\ndistribution = 'zipf'\n");
        document.set("keys.distribution.zipf.exponent", Value::Float(1.2), "").unwrap();
        assert!(document.read::<WorkloadWire>().is_ok());
        assert!(document.set("run..seed", Value::Integer(1), "--set run..seed=1").is_err());
    }
}
