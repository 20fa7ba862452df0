//! The `[source.trace]` section: a file of recorded events, and which of its columns mean what.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Invalid, Time, check_range, nearest};

/// A file of recorded events, and which of its columns mean what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TraceWire {
    /// The file, relative to the folder of the workload file.
    pub path: String,
    /// How the file is written. Told by its extension where left out: `.csv`; `.jsonl`, `.ndjson` or `.json`; `.parquet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TraceFormat>,
    /// The column of the event time.
    pub time: String,
    /// How the event time is written.
    #[serde(default)]
    pub time_format: TimeFormat,
    /// The column of the key, or a list of columns that make up the key together.
    pub key: KeyColumns,
    /// The column of the numeric value: an integer, or a decimal that `value-scale` makes one. Without it values are 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What the value column is multiplied by to give an integer: 100 for amounts with two decimal places.
    #[serde(default = "one")]
    pub value_scale: i64,
    /// The column of the payload size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// How far event time may run backwards, behind the latest time seen before.
    #[serde(default)]
    pub disorder: Time,
    /// What is done with a row in which a mapped column is empty.
    #[serde(default)]
    pub missing: MissingPolicy,
}

const fn one() -> i64 {
    1
}

/// How a trace file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TraceFormat {
    /// Comma-separated, with a header line.
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

impl TraceFormat {
    /// The file's own spelling, then the extensions that have another.
    const NAMES: [(&str, Self); 6] = [
        ("csv", Self::Csv),
        ("json-lines", Self::JsonLines),
        ("parquet", Self::Parquet),
        ("jsonl", Self::JsonLines),
        ("ndjson", Self::JsonLines),
        ("json", Self::JsonLines),
    ];

    /// Its name in a workload file.
    pub(crate) fn name(self) -> &'static str {
        name_of(self, &Self::NAMES)
    }

    /// The format that the extension of a file stands for.
    pub fn of(path: &Path) -> Option<Self> {
        path.extension()?.to_str()?.to_ascii_lowercase().parse().ok()
    }
}

impl FromStr for TraceFormat {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, &Self::NAMES)
    }
}

impl fmt::Display for TraceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::JsonLines => "JSON Lines",
            Self::Parquet => "Parquet",
        })
    }
}

/// How an event time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimeFormat {
    /// Integers are epoch milliseconds, texts are `2001-01-31 23:59:59.999` or `2001-01-31T23:59:59.999+02:00` (UTC
    /// where no zone is given), Parquet timestamps and dates have a unit of their own.
    #[default]
    Auto,
    /// Seconds since 1970-01-01 UTC; a fraction counts down to the millisecond.
    EpochS,
    /// Milliseconds since 1970-01-01 UTC.
    EpochMs,
    /// Microseconds since 1970-01-01 UTC, rounded down to milliseconds.
    EpochUs,
    /// Nanoseconds since 1970-01-01 UTC, rounded down to milliseconds.
    EpochNs,
}

impl TimeFormat {
    const NAMES: [(&str, Self); 5] = [
        ("auto", Self::Auto),
        ("epoch-s", Self::EpochS),
        ("epoch-ms", Self::EpochMs),
        ("epoch-us", Self::EpochUs),
        ("epoch-ns", Self::EpochNs),
    ];

    /// What a column in this format holds, for messages.
    pub(crate) fn allowed(self) -> &'static str {
        match self {
            Self::Auto => "epoch milliseconds, or a time such as 2001-01-31 23:59:59.999 or 2001-01-31T23:59:59Z",
            Self::EpochS => "epoch seconds",
            Self::EpochMs => "epoch milliseconds",
            Self::EpochUs => "epoch microseconds",
            Self::EpochNs => "epoch nanoseconds",
        }
    }

    /// Epoch milliseconds of an integer in this format, or `None` where they do not fit.
    #[inline]
    pub(crate) fn to_ms(self, number: i64) -> Option<i64> {
        match self {
            Self::Auto | Self::EpochMs => Some(number),
            Self::EpochS => number.checked_mul(1000),
            Self::EpochUs => Some(number.div_euclid(1000)),
            Self::EpochNs => Some(number.div_euclid(1_000_000)),
        }
    }
}

impl FromStr for TimeFormat {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, &Self::NAMES)
    }
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(*self, &Self::NAMES))
    }
}

/// The column of the key, or the columns whose texts are joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected the name of a column or a list of names")]
pub enum KeyColumns {
    /// One column.
    One(String),
    /// Several columns, in the order in which they are joined.
    Several(Vec<String>),
}

/// What is done with a row in which a mapped column is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MissingPolicy {
    /// It is an error.
    #[default]
    Error,
    /// The row is counted and left out.
    Skip,
}

impl MissingPolicy {
    const NAMES: [(&str, Self); 2] = [("error", Self::Error), ("skip", Self::Skip)];
}

impl FromStr for MissingPolicy {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, &Self::NAMES)
    }
}

impl fmt::Display for MissingPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(*self, &Self::NAMES))
    }
}

/// The value that a name stands for; else which names there are.
fn by_name<T: Copy>(text: &str, names: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, value)) = names.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names = || names.iter().map(|(name, _)| *name);
    let hint = nearest(text, names()).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
    Err(format!("expected one of {}{hint}", names().collect::<Vec<_>>().join(", ")))
}

/// The first name that stands for a value.
fn name_of<T: Copy + PartialEq>(value: T, names: &[(&'static str, T)]) -> &'static str {
    names.iter().find(|(_, named)| *named == value).map_or("", |(name, _)| name)
}

/// A mapping of a trace file that is consistent in itself. Whether it fits the file is found out when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub(crate) path: PathBuf,
    pub(crate) format: TraceFormat,
    pub(crate) time_format: TimeFormat,
    pub(crate) mapping: Mapping,
    pub(crate) value_scale: i64,
    pub(crate) disorder_ms: i64,
    pub(crate) missing: MissingPolicy,
}

/// The mapped columns, each once, and their roles as positions among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) columns: Vec<String>,
    pub(crate) time: usize,
    pub(crate) keys: Vec<usize>,
    pub(crate) value: Option<usize>,
    pub(crate) size: Option<usize>,
}

impl Mapping {
    fn new(wire: &TraceWire) -> Result<Self, Invalid> {
        let names = match &wire.key {
            KeyColumns::One(name) => std::slice::from_ref(name),
            KeyColumns::Several(names) => names,
        };
        if names.is_empty() {
            return Err(Invalid::new("key", "an empty list", "at least one column"));
        }
        if let Some((i, name)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Err(Invalid::new("key", format!("`{name}` twice, again as number {}", i + 1), "each column once"));
        }
        let mut columns = Vec::new();
        let mut position = |role: &str, name: &String| {
            if name.is_empty() {
                return Err(Invalid::new(role, "an empty text", "the name of a column"));
            }
            Ok(columns.iter().position(|column| column == name).unwrap_or_else(|| {
                columns.push(name.clone());
                columns.len() - 1
            }))
        };
        Ok(Self {
            time: position("time", &wire.time)?,
            keys: names.iter().map(|name| position("key", name)).collect::<Result<_, _>>()?,
            value: wire.value.as_ref().map(|name| position("value", name)).transpose()?,
            size: wire.size.as_ref().map(|name| position("size", name)).transpose()?,
            columns,
        })
    }
}

impl Trace {
    /// Checks the mapping. A relative path starts at `base`; paths of errors are relative to the table of the trace.
    pub fn new(wire: &TraceWire, base: &Path) -> Result<Self, Invalid> {
        let path = base.join(&wire.path);
        if wire.path.is_empty() {
            return Err(Invalid::new("path", "an empty text", "the path of a file"));
        }
        let format = wire.format.or_else(|| TraceFormat::of(&path)).ok_or_else(|| {
            let known = ".csv, .jsonl, .ndjson, .json or .parquet";
            Invalid::new("path", &wire.path, format!("a name that ends in {known}, or `format` beside it"))
        })?;
        if wire.value.is_none() && wire.value_scale != 1 {
            return Err(Invalid::new("value-scale", wire.value_scale, "nothing without a `value` column"));
        }
        Ok(Self {
            path,
            format,
            time_format: wire.time_format,
            mapping: Mapping::new(wire)?,
            value_scale: check_range("value-scale", wire.value_scale, 1..=1_000_000_000_000)?,
            disorder_ms: wire.disorder.as_millis(),
            missing: wire.missing,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the file is written.
    pub fn format(&self) -> TraceFormat {
        self.format
    }

    /// Name of the time column.
    pub fn time_column(&self) -> &str {
        &self.mapping.columns[self.mapping.time]
    }

    /// Names of the key columns, in the order in which they are joined.
    pub fn key_columns(&self) -> impl Iterator<Item = &str> {
        self.mapping.keys.iter().map(|&i| self.mapping.columns[i].as_str())
    }

    /// Name of the value column; without one every value is 0.
    pub fn value_column(&self) -> Option<&str> {
        self.mapping.value.map(|i| self.mapping.columns[i].as_str())
    }

    /// Name of the size column; without one every size is 0.
    pub fn size_column(&self) -> Option<&str> {
        self.mapping.size.map(|i| self.mapping.columns[i].as_str())
    }

    /// How far event time may run backwards, ms.
    pub fn disorder_ms(&self) -> i64 {
        self.disorder_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mapping_has_defaults_and_is_checked() {
        type Change = fn(&mut TraceWire);
        let parse = |text: &str| toml::from_str::<TraceWire>(text).map_err(|error| error.message().to_owned());
        let wire = parse("path = 'data/t.csv'\ntime = 'at'\nkey = 'k'").unwrap();
        assert_eq!((wire.value_scale, wire.missing, wire.time_format), (1, MissingPolicy::Error, TimeFormat::Auto));
        let trace = Trace::new(&wire, Path::new("/w")).unwrap();
        assert_eq!((trace.path(), trace.format()), (Path::new("/w/data/t.csv"), TraceFormat::Csv));
        assert_eq!((trace.time_column(), trace.value_column(), trace.disorder_ms()), ("at", None, 0));
        assert_eq!(parse(&toml::to_string(&wire).unwrap()), Ok(wire.clone()));
        assert!(
            parse("path = 't.csv'\ntime = 'at'\nkey = 'k'\nkeys = 'k'").unwrap_err().contains("unknown field `keys`")
        );
        let expected = "expected the name of a column or a list of names";
        assert_eq!(parse("path = 't.csv'\ntime = 'at'\nkey = 1"), Err(expected.to_owned()));

        let cases: [(Change, &str); 8] = [
            (
                |w| w.path = "t.log".into(),
                "path: found t.log; allowed: a name that ends in .csv, .jsonl, .ndjson, .json or .parquet, or `format` beside it",
            ),
            (|w| w.path.clear(), "path: found an empty text; allowed: the path of a file"),
            (|w| w.time.clear(), "time: found an empty text; allowed: the name of a column"),
            (|w| w.key = KeyColumns::Several(vec![]), "key: found an empty list; allowed: at least one column"),
            (
                |w| w.key = KeyColumns::Several(vec!["a".into(), "a".into()]),
                "key: found `a` twice, again as number 2; allowed: each column once",
            ),
            (|w| w.value_scale = 2, "value-scale: found 2; allowed: nothing without a `value` column"),
            (|w| (w.value, w.value_scale) = (Some("v".into()), 0), "value-scale: found 0; allowed: 1 to 1000000000000"),
            (|w| w.size = Some(String::new()), "size: found an empty text; allowed: the name of a column"),
        ];
        for (change, message) in cases {
            let mut wire = wire.clone();
            change(&mut wire);
            assert_eq!(Trace::new(&wire, Path::new("")).unwrap_err().to_string(), message);
        }
        let schema = schemars::schema_for!(TraceWire);
        assert_eq!(schema.get("required").unwrap(), &json!(["path", "time", "key"]));
    }

    #[test]
    fn names_are_those_of_the_file() {
        fn check<T: Copy + Serialize>(names: &[(&str, T)]) {
            for (name, value) in names {
                assert_eq!(serde_json::to_value(value).unwrap(), json!(name));
            }
        }
        check(&TraceFormat::NAMES[..3]);
        check(&TimeFormat::NAMES);
        check(&MissingPolicy::NAMES);
        for format in [TimeFormat::Auto, TimeFormat::EpochUs] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!(["jsonl", "ndjson", "json"].map(str::parse), [const { Ok(TraceFormat::JsonLines) }; 3]);
        assert_eq!(TraceFormat::of(Path::new("a/b.JSONL")), Some(TraceFormat::JsonLines));
        assert_eq!(
            "epoch_ms".parse::<TimeFormat>().unwrap_err(),
            "expected one of auto, epoch-s, epoch-ms, epoch-us, epoch-ns (did you mean `epoch-ms`?)"
        );
        assert_eq!("x".parse::<MissingPolicy>().unwrap_err(), "expected one of error, skip");
    }
}
