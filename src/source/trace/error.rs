//! Every way in which a trace can be wrong, said in texts that are fit for a terminal.

use std::fmt;
use std::io;
use std::path::Path;

use super::MAX_LINE_BYTES;
use crate::workload::nearest;

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
    #[error("{file}: its extension does not tell the format; give `format`: csv, json-lines or parquet")]
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
    #[error(
        "{file}: event {event}: found the key `{key}`; allowed: an integer of 64 bits, or `keys.type = \"string\"` in the workload"
    )]
    KeyType {
        /// The file.
        file: String,
        /// The event, from 1: the row, less the rows that were skipped before it.
        event: u64,
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
    pub(crate) fn key_is_not_a_number(file: &Path, sequence: u64, key: &str) -> Self {
        Self::KeyType { file: file_name(file), event: sequence + 1, key: printable(key, 40) }
    }

    pub(super) fn io(file: &Path, source: io::Error) -> Self {
        let name = file_name(file);
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { file: name },
            io::ErrorKind::IsADirectory => Self::Directory { file: name },
            _ => Self::Io { file: name, source },
        }
    }

    pub(super) fn no_column<'a>(file: &Path, column: &str, columns: impl Iterator<Item = &'a str> + Clone) -> Self {
        const LISTED: usize = 40;
        let mut listed: Vec<_> = columns.clone().take(LISTED).map(|name| printable(name, 40)).collect();
        if columns.clone().nth(LISTED).is_some() {
            listed.push("…".to_owned());
        }
        let nearest = nearest(column, columns).map(|name| printable(name, 40));
        Self::NoColumn { file: file_name(file), column: printable(column, 40), nearest, columns: listed }
    }
}

pub(super) fn file_name(path: &Path) -> String {
    printable(&path.to_string_lossy(), 4096)
}

/// A text from a file, fit to be shown: [`crate::result::printable`], of at most `limit` characters.
pub(super) fn printable(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => crate::result::printable(&text[..end]) + "…",
        None => crate::result::printable(text),
    }
}

pub(super) fn printable_bytes(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(&bytes[..bytes.len().min(256)]), 40)
}
