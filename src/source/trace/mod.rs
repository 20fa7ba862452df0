//! Recorded events as a source: a CSV, JSON Lines or Parquet file whose columns are mapped to time, key and value.
//!
//! The file is streamed, so memory does not grow with it, into a [`TraceBatch`] that the caller reuses: no row
//! allocates. The three formats agree on what a row means. A field that is absent, null or an empty text is *missing*.
//! Numbers and times may be written as texts. What the file holds is never trusted: every surprise is a [`TraceError`]
//! that names the file, the row and the column, with what was found made printable.

mod csv;
mod inspect;
mod json_lines;
mod parquet;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::workload::{Invalid, Time, check_range, nearest};

pub use inspect::{
    ColumnList, ColumnPreview, Disorder, Distinct, Distribution, HotShare, Inspection, Rate, Reuse, Suggestion, TopKey,
    columns, inspect,
};

/// Longest line of a text file, CSV record or single Parquet text that is read, in bytes.
pub const MAX_LINE_BYTES: usize = 16 << 20;
/// A batch ends early once its keys take this many bytes.
const BATCH_KEY_BYTES: usize = 64 << 20;
/// What joins the parts of a key of several columns: the unit separator.
const KEY_SEPARATOR: char = '\u{1f}';

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
    /// The format that the extension of a file stands for.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
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
    fn allowed(self) -> &'static str {
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
    fn to_ms(self, number: i64) -> Option<i64> {
        match self {
            Self::Auto | Self::EpochMs => Some(number),
            Self::EpochS => number.checked_mul(1000),
            Self::EpochUs => Some(number.div_euclid(1000)),
            Self::EpochNs => Some(number.div_euclid(1_000_000)),
        }
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

/// A mapping of a trace file that is consistent in itself. Whether it fits the file, [`TraceReader::open`] finds out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    path: PathBuf,
    format: TraceFormat,
    time_format: TimeFormat,
    mapping: Mapping,
    value_scale: i64,
    disorder_ms: i64,
    missing: MissingPolicy,
}

/// The mapped columns, each once, and their roles as positions among them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mapping {
    columns: Vec<String>,
    time: usize,
    keys: Vec<usize>,
    value: Option<usize>,
    size: Option<usize>,
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
        if wire.value.is_none() && wire.value_scale != 1 {
            return Err(Invalid::new("value-scale", wire.value_scale, "nothing without a `value` column"));
        }
        let mapping = Mapping {
            time: position("time", &wire.time)?,
            keys: names.iter().map(|name| position("key", name)).collect::<Result<_, _>>()?,
            value: wire.value.as_ref().map(|name| position("value", name)).transpose()?,
            size: wire.size.as_ref().map(|name| position("size", name)).transpose()?,
            columns,
        };
        Ok(Self {
            path,
            format,
            time_format: wire.time_format,
            mapping,
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

/// Where in a file something was found: the data row from 1, and the line from 1 where the format has lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The data row, from 1; a header is not one.
    pub row: u64,
    /// The line that the row begins on, from 1.
    pub line: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.row)?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

/// Why a trace could not be read. Names and texts that come from the file are already printable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// No file of that name.
    #[error("{file}: there is no such file")]
    NotFound {
        /// The file.
        file: String,
    },
    /// A folder, or something else that cannot be read as a file.
    #[error("{file}: this is a directory; a trace is one file")]
    Directory {
        /// The file.
        file: String,
    },
    /// Neither named nor told by the extension.
    #[error("{file}: the format is not known by its extension; name it: csv, json-lines or parquet")]
    UnknownFormat {
        /// The file.
        file: String,
    },
    /// A file without a byte.
    #[error("{file}: the file is empty")]
    Empty {
        /// The file.
        file: String,
    },
    /// A file without a usable row.
    #[error("{file}: there are no rows to replay ({skipped} were left out because a mapped column is empty)")]
    NoRows {
        /// The file.
        file: String,
        /// Rows that were left out.
        skipped: u64,
    },
    /// A mapped column that the file does not have.
    #[error("{file}: there is no column `{column}`{}; the columns are {}", hint(nearest.as_ref()), columns.join(", "))]
    NoColumn {
        /// The file.
        file: String,
        /// The name that the mapping asks for.
        column: String,
        /// The column that is spelled most like it.
        nearest: Option<String>,
        /// The columns of the file.
        columns: Vec<String>,
    },
    /// A mapped name that several columns have.
    #[error("{file}: more than one column is named `{column}`")]
    AmbiguousColumn {
        /// The file.
        file: String,
        /// The name.
        column: String,
    },
    /// A column whose type cannot play its role.
    #[error("{file}: column `{column}` is {found} and cannot be the {role}; allowed: {allowed}")]
    ColumnType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// What it is mapped to.
        role: &'static str,
        /// Its type.
        found: String,
        /// What the role takes.
        allowed: String,
    },
    /// A field that is not what its role takes.
    #[error("{file}: {place}, column `{column}`: found `{found}`; allowed: {allowed}")]
    BadField {
        /// The file.
        file: String,
        /// The row.
        place: Place,
        /// The column.
        column: String,
        /// The text that was found.
        found: String,
        /// What would be accepted.
        allowed: String,
    },
    /// An empty field of a mapped column.
    #[error("{file}: {place}, column `{column}`: the field is empty; `missing = \"skip\"` leaves such rows out")]
    MissingField {
        /// The file.
        file: String,
        /// The row.
        place: Place,
        /// The column.
        column: String,
    },
    /// Event time that runs backwards further than allowed.
    #[error("{file}: {place}: time runs backwards by {by_ms} ms; `disorder` allows {allowed_ms} ms")]
    Disorder {
        /// The file.
        file: String,
        /// The row.
        place: Place,
        /// How far behind the latest time before it, ms.
        by_ms: i128,
        /// What is allowed, ms.
        allowed_ms: i64,
    },
    /// Bytes that are not text.
    #[error("{file}: {place}, column `{column}`: `{found}` is not UTF-8 text")]
    NotUtf8 {
        /// The file.
        file: String,
        /// The row.
        place: Place,
        /// The column; empty for a whole line.
        column: String,
        /// The bytes, as far as they are text.
        found: String,
    },
    /// A line, record or text beyond [`MAX_LINE_BYTES`].
    #[error("{file}: {place} is longer than {MAX_LINE_BYTES} bytes (is a quote left open?)")]
    TooLong {
        /// The file.
        file: String,
        /// The row.
        place: Place,
    },
    /// A row that is not what the format prescribes.
    #[error("{file}: {place}: {reason}")]
    Malformed {
        /// The file.
        file: String,
        /// The row.
        place: Place,
        /// What is wrong with it.
        reason: String,
    },
    /// A Parquet file that is cut off, damaged, or not one.
    #[error("{file}: the Parquet file is damaged or cut off: {reason}")]
    Corrupt {
        /// The file.
        file: String,
        /// What the decoder ran into.
        reason: String,
    },
    /// A key that a workload with integer keys cannot take.
    #[error("the key `{key}` of the trace is not an integer of 64 bits, which is what `keys.type` says it is")]
    KeyType {
        /// The key.
        key: String,
    },
    /// The system could not read the file.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
}

fn hint(nearest: Option<&String>) -> String {
    nearest.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

impl TraceError {
    /// Whether the file or its mapping is to blame, which the user can mend, and not the system that holds it.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }

    /// That a key is not the integer that the workload takes it for.
    #[cold]
    pub(crate) fn key_is_not_a_number(key: &str) -> Self {
        Self::KeyType { key: printable(key, 40) }
    }

    fn io(file: &Path, source: io::Error) -> Self {
        let name = file_name(file);
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { file: name },
            io::ErrorKind::IsADirectory => Self::Directory { file: name },
            _ => Self::Io { file: name, source },
        }
    }

    fn no_column<'a>(file: &Path, column: &str, columns: impl Iterator<Item = &'a str> + Clone) -> Self {
        const LISTED: usize = 40;
        let mut listed: Vec<_> = columns.clone().take(LISTED).map(|name| printable(name, 40)).collect();
        if columns.clone().nth(LISTED).is_some() {
            listed.push("…".to_owned());
        }
        let nearest = nearest(column, columns).map(|name| printable(name, 40));
        Self::NoColumn { file: file_name(file), column: printable(column, 40), nearest, columns: listed }
    }
}

fn file_name(path: &Path) -> String {
    printable(&path.to_string_lossy(), 4096)
}

/// A text from a file, fit to be shown: control characters and marks that reorder or hide text are escaped, and at most
/// `limit` characters are kept.
fn printable(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == limit {
            shown.push('…');
            break;
        }
        let hides = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        if c.is_control() || hides {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn printable_bytes(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(&bytes[..bytes.len().min(256)]), 40)
}

/// Opens a file and refuses what is none, with its length.
fn open_file(path: &Path) -> Result<File, TraceError> {
    let io = |e| TraceError::io(path, e);
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(TraceError::Directory { file: file_name(path) });
    }
    if metadata.is_file() && metadata.len() == 0 {
        return Err(TraceError::Empty { file: file_name(path) });
    }
    Ok(file)
}

/// Rows of a trace, column by column. One is made once and filled again and again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceBatch {
    /// Event times, epoch ms.
    pub time_ms: Vec<i64>,
    /// Values, already scaled; 0 without a value column.
    pub value: Vec<i64>,
    /// Payload sizes, bytes; 0 without a size column.
    pub size: Vec<u32>,
    key_text: String,
    key_ends: Vec<u32>,
}

impl TraceBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.key_ends.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.key_ends.is_empty()
    }

    /// The key of a row as text; the parts of a key of several columns are joined by U+001F.
    ///
    /// # Panics
    /// There is no such row.
    #[inline]
    pub fn key(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.key_ends[row - 1] };
        &self.key_text[start as usize..self.key_ends[row] as usize]
    }

    /// The key of a row as a number, or `None` where its text is not that of a 64-bit integer.
    ///
    /// # Panics
    /// There is no such row.
    #[inline]
    pub fn long_key(&self, row: usize) -> Option<i64> {
        integer(self.key(row).as_bytes())
    }

    fn clear(&mut self) {
        self.time_ms.clear();
        self.value.clear();
        self.size.clear();
        self.key_text.clear();
        self.key_ends.clear();
    }

    /// Whether another row may be appended to a batch of `max_rows`.
    #[inline]
    fn has_room(&self, max_rows: usize) -> bool {
        self.len() < max_rows && self.key_text.len() < BATCH_KEY_BYTES
    }

    #[inline]
    fn end_key(&mut self) {
        self.key_ends.push(self.key_text.len() as u32); // at most BATCH_KEY_BYTES and one more key
    }
}

/// A trace file being read from its start to its end.
pub struct TraceReader {
    cursor: Cursor,
    source: Source,
}

enum Source {
    Csv(csv::CsvRows),
    JsonLines(json_lines::JsonRows),
    Parquet(Box<parquet::ParquetRows>),
    /// An error was reported: nothing more is read.
    Failed,
}

impl TraceReader {
    /// Opens the file and finds the mapped columns in it.
    pub fn open(trace: &Trace) -> Result<Self, TraceError> {
        let file = open_file(&trace.path)?;
        let source = match trace.format {
            TraceFormat::Csv => Source::Csv(csv::CsvRows::open(file, trace)?),
            TraceFormat::JsonLines => Source::JsonLines(json_lines::JsonRows::open(file, trace)),
            TraceFormat::Parquet => Source::Parquet(Box::new(parquet::ParquetRows::open(file, trace)?)),
        };
        let cursor = Cursor { trace: trace.clone(), newest_ms: i64::MIN, row: 0, kept: 0, skipped: 0 };
        Ok(Self { cursor, source })
    }

    /// Replaces the content of `batch` by the next rows of the file, at most `max_rows`, and tells how many they are.
    /// None are left at 0. After an error, what the batch holds has no meaning, and nothing more is read.
    pub fn read(&mut self, batch: &mut TraceBatch, max_rows: usize) -> Result<usize, TraceError> {
        batch.clear();
        let cursor = &mut self.cursor;
        let result = match &mut self.source {
            Source::Csv(rows) => rows.read(cursor, batch, max_rows),
            Source::JsonLines(rows) => rows.read(cursor, batch, max_rows),
            Source::Parquet(rows) => rows.read(cursor, batch, max_rows),
            Source::Failed => return Ok(0),
        };
        cursor.kept += batch.len() as u64;
        let result = match result {
            Ok(()) if cursor.kept == 0 && max_rows > 0 => {
                Err(TraceError::NoRows { file: cursor.file(), skipped: cursor.skipped })
            }
            result => result.map(|()| batch.len()),
        };
        if result.is_err() {
            self.source = Source::Failed;
        }
        result
    }

    /// Rows handed out so far.
    pub fn rows(&self) -> u64 {
        self.cursor.kept
    }

    /// Rows left out so far because a mapped column is empty.
    pub fn skipped(&self) -> u64 {
        self.cursor.skipped
    }
}

/// What every format needs to turn fields into rows: the mapping, and how far the file has been read.
struct Cursor {
    trace: Trace,
    newest_ms: i64,
    /// Rows seen.
    row: u64,
    kept: u64,
    skipped: u64,
}

impl Cursor {
    fn file(&self) -> String {
        file_name(&self.trace.path)
    }

    /// Appends the row whose fields, by position among the mapped columns, are these texts. An empty text is missing.
    fn push<'a>(
        &mut self,
        line: u64,
        field: impl Fn(usize) -> &'a [u8],
        batch: &mut TraceBatch,
    ) -> Result<(), TraceError> {
        let place = Place { row: self.row, line: Some(line) };
        let mapping = &self.trace.mapping;
        let is_key = |i| mapping.keys.contains(&i);
        let is_missing = |i: usize| if is_key(i) { field(i).is_empty() } else { field(i).trim_ascii().is_empty() };
        if let Some(column) = (0..mapping.columns.len()).find(|&i| is_missing(i)) {
            return self.missing(place, column);
        }
        let format = self.trace.time_format;
        let text = field(mapping.time);
        let time = time(text, format).ok_or_else(|| self.bad(place, mapping.time, text, format.allowed()))?;
        let value = mapping.value.map_or(Ok(0), |column| {
            let scale = self.trace.value_scale;
            scaled(field(column), scale).ok_or_else(|| self.bad(place, column, field(column), &allowed_value(scale)))
        })?;
        let size = mapping.size.map_or(Ok(0), |column| {
            let size = integer(field(column).trim_ascii()).and_then(|size| u32::try_from(size).ok());
            size.ok_or_else(|| self.bad(place, column, field(column), ALLOWED_SIZE))
        })?;
        for (i, &column) in mapping.keys.iter().enumerate() {
            let text = std::str::from_utf8(field(column)).map_err(|_| TraceError::NotUtf8 {
                file: self.file(),
                place,
                column: printable(&mapping.columns[column], 40),
                found: printable_bytes(field(column)),
            })?;
            if i > 0 {
                batch.key_text.push(KEY_SEPARATOR);
            }
            batch.key_text.push_str(text);
        }
        batch.end_key();
        batch.time_ms.push(time);
        batch.value.push(value);
        batch.size.push(size);
        self.advance(time, place)
    }

    /// A row without one of its mapped columns: an error or left out.
    #[cold]
    fn missing(&mut self, place: Place, column: usize) -> Result<(), TraceError> {
        if self.trace.missing == MissingPolicy::Skip {
            self.skipped += 1;
            return Ok(());
        }
        let column = printable(&self.trace.mapping.columns[column], 40);
        Err(TraceError::MissingField { file: self.file(), place, column })
    }

    /// Moves the latest time on and refuses a time too far behind it.
    #[inline]
    fn advance(&mut self, time_ms: i64, place: Place) -> Result<(), TraceError> {
        if time_ms >= self.newest_ms {
            self.newest_ms = time_ms;
        } else if i128::from(self.newest_ms) - i128::from(time_ms) > i128::from(self.trace.disorder_ms) {
            let by_ms = i128::from(self.newest_ms) - i128::from(time_ms);
            return Err(TraceError::Disorder { file: self.file(), place, by_ms, allowed_ms: self.trace.disorder_ms });
        }
        Ok(())
    }

    #[cold]
    fn bad(&self, place: Place, column: usize, found: &[u8], allowed: &str) -> TraceError {
        TraceError::BadField {
            file: self.file(),
            place,
            column: printable(&self.trace.mapping.columns[column], 40),
            found: printable_bytes(found),
            allowed: allowed.to_owned(),
        }
    }
}

const ALLOWED_SIZE: &str = "a number of bytes from 0 to 4294967295";

/// What a value column takes.
fn allowed_value(scale: i64) -> Cow<'static, str> {
    if scale == 1 {
        "an integer that fits 64 bits (`value-scale` makes decimals integers)".into()
    } else {
        format!("a number that is an integer of 64 bits once multiplied by {scale}").into()
    }
}

/// A decimal integer that fits.
#[inline]
fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number = 0_i64; // counted downwards, where there is room for i64::MIN
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(number) } else { number.checked_neg() }
}

/// A number times `scale`, exactly; `None` where that is no integer of 64 bits. `true` counts as 1 and `false` as 0.
fn scaled(text: &[u8], scale: i64) -> Option<i64> {
    let text = text.trim_ascii();
    match integer(text) {
        Some(number) => number.checked_mul(scale),
        None if text == b"true" => Some(scale),
        None if text == b"false" => Some(0),
        None => scaled_decimal(text, scale),
    }
}

#[cold]
fn scaled_decimal(text: &[u8], scale: i64) -> Option<i64> {
    let exponent_at = text.iter().position(|c| matches!(c, b'e' | b'E'));
    let (mantissa, exponent) = match exponent_at {
        Some(at) => (&text[..at], integer(&text[at + 1..])?),
        None => (text, 0),
    };
    let point = mantissa.iter().position(|&c| c == b'.').unwrap_or(mantissa.len());
    let (whole, fraction) = (&mantissa[..point], mantissa.get(point + 1..).unwrap_or_default());
    let (negative, whole) = match whole {
        [b'-', whole @ ..] => (true, whole),
        [b'+', whole @ ..] | whole => (false, whole),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let zeros = fraction.iter().rev().take_while(|&&c| c == b'0').count();
    let fraction = &fraction[..fraction.len() - zeros];
    let mut number = 0_i128;
    for &digit in whole.iter().chain(fraction) {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    if number == 0 {
        return Some(0);
    }
    number = number.checked_mul(i128::from(scale))?;
    let power = exponent.checked_sub(fraction.len() as i64)?;
    let factor = 10_i128.checked_pow(u32::try_from(power.unsigned_abs()).ok()?);
    let number = if power >= 0 {
        number.checked_mul(factor?)?
    } else {
        let factor = factor?;
        if number % factor != 0 {
            return None;
        }
        number / factor
    };
    i64::try_from(if negative { -number } else { number }).ok()
}

/// Epoch milliseconds of a time that is written as text.
#[inline]
fn time(text: &[u8], format: TimeFormat) -> Option<i64> {
    let text = text.trim_ascii();
    if format == TimeFormat::Auto && text.len() >= 19 && text[4] == b'-' {
        return timestamp(text);
    }
    if let Some(number) = integer(text) {
        return format.to_ms(number);
    }
    if format == TimeFormat::EpochS { epoch_fraction(text) } else { scaled(text, 1).and_then(|n| format.to_ms(n)) }
}

/// Milliseconds of `1234567890.123456`, rounded down.
fn epoch_fraction(text: &[u8]) -> Option<i64> {
    let point = text.iter().position(|&c| c == b'.')?;
    let seconds = integer(&text[..point])?;
    let (ms, rest) = millis(&text[point + 1..])?;
    let sign = if text[0] == b'-' { -1 } else { 1 };
    let below = i64::from(sign < 0 && text[point + 1..].iter().skip(3).any(|&c| c != b'0'));
    rest.is_empty().then_some(())?;
    seconds.checked_mul(1000)?.checked_add(sign * ms)?.checked_sub(below)
}

/// The first three digits of a fraction of a second as milliseconds, and what follows all of its digits.
fn millis(text: &[u8]) -> Option<(i64, &[u8])> {
    let digits = text.iter().take_while(|c| c.is_ascii_digit()).count();
    let digit = |i: usize| if i < digits { i64::from(text[i] - b'0') } else { 0 };
    (digits > 0).then(|| (digit(0) * 100 + digit(1) * 10 + digit(2), &text[digits..]))
}

/// Epoch milliseconds of `YYYY-MM-DD HH:MM:SS[.fff]` with a blank or `T` between, and optionally `Z` or `±hh:mm` behind.
fn timestamp(text: &[u8]) -> Option<i64> {
    let (fixed, rest) = text.split_first_chunk::<19>()?;
    let shape = fixed[4] == b'-' && fixed[7] == b'-' && fixed[13] == b':' && fixed[16] == b':';
    if !shape || !matches!(fixed[10], b' ' | b'T' | b't') {
        return None;
    }
    let year = digits(&fixed[..4])?;
    let (month, day) = (digits(&fixed[5..7])?, digits(&fixed[8..10])?);
    let (hour, minute, second) = (digits(&fixed[11..13])?, digits(&fixed[14..16])?, digits(&fixed[17..])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (ms, zone) = match rest {
        [b'.' | b',', fraction @ ..] => millis(fraction)?,
        _ => (0, rest),
    };
    let offset_minutes = match zone {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + (minute - offset_minutes) * 60 + second;
    Some(seconds * 1000 + ms)
}

/// The number that a few digits stand for.
#[inline]
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, c| c.is_ascii_digit().then(|| number * 10 + i64::from(c - b'0')))
}

/// Days since 1970-01-01 in the Gregorian calendar (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
