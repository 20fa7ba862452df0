//! The columns of a file, and a mapping that may fit them.

use std::path::Path;

use serde::Serialize;

use crate::source::trace::error::{TraceError, file_name, printable};
use crate::source::trace::number::integer;
use crate::source::trace::reader::format_of;
use crate::source::trace::time::timestamp;
use crate::source::trace::{csv, json_lines, parquet};
use crate::workload::{TimeFormat, TraceFormat};

/// Rows that types and samples of columns are taken from.
const SAMPLE_ROWS: usize = 200;
/// Characters of a column's name that are shown.
const NAME_CHARS: usize = 200;

/// The columns of a file, to choose a mapping by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnList {
    /// The file.
    pub file: String,
    /// How it is written.
    pub format: TraceFormat,
    /// Its columns, in order.
    pub columns: Vec<ColumnPreview>,
    /// A mapping that may fit, where a column holds times.
    pub suggestion: Option<Suggestion>,
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnPreview {
    /// Its name.
    pub name: String,
    /// Its type: declared by a Parquet file, told from the first rows of other files.
    pub kind: String,
    /// The first values that differ, made printable.
    pub samples: Vec<String>,
}

/// A mapping guessed from names and types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The time column.
    pub time: String,
    /// How its integers count.
    pub time_format: TimeFormat,
    /// The key column, if one looks like it.
    pub key: Option<String>,
    /// The value column, if one looks like it.
    pub value: Option<String>,
}

/// Lists the columns of a file with their types and first values; the format is told by the extension where not given.
pub fn columns(path: &Path, format: Option<TraceFormat>) -> Result<ColumnList, TraceError> {
    let format = format_of(path, format)?;
    let (names, kinds, rows) = match format {
        TraceFormat::Csv => csv::sample(path, SAMPLE_ROWS).map(|(names, rows)| (names, None, rows))?,
        TraceFormat::JsonLines => json_lines::sample(path, SAMPLE_ROWS).map(|(names, rows)| (names, None, rows))?,
        TraceFormat::Parquet => {
            let (columns, rows) = parquet::sample(path, SAMPLE_ROWS)?;
            let (names, kinds): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            (names, Some(kinds), rows)
        }
    };
    let columns = names.iter().enumerate().map(|(i, name)| {
        let texts = rows.iter().map(|row| row[i].as_str()).filter(|text| !text.is_empty());
        let kind = kinds.as_ref().map_or_else(|| infer(&texts).to_owned(), |kinds| kinds[i].clone());
        ColumnPreview { name: printable(name, NAME_CHARS), kind, samples: first_that_differ(texts) }
    });
    let columns: Vec<_> = columns.collect();
    let suggestion = suggest(&columns);
    Ok(ColumnList { file: file_name(path), format, columns, suggestion })
}

fn first_that_differ<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut samples = Vec::new();
    for text in texts.map(|text| printable(text, 24)) {
        if !samples.contains(&text) {
            samples.push(text);
        }
        if samples.len() == 3 {
            break;
        }
    }
    samples
}

/// The type that all of these texts have.
fn infer<'a>(texts: &(impl Iterator<Item = &'a str> + Clone)) -> &'static str {
    if texts.clone().next().is_none() {
        "empty"
    } else if texts.clone().all(|text| integer(text.trim().as_bytes()).is_some()) {
        "an integer"
    } else if texts.clone().all(|text| timestamp(text.trim().as_bytes()).is_some()) {
        "a time"
    } else if texts.clone().all(|text| text.trim().parse::<f64>().is_ok()) {
        "a decimal"
    } else if texts.clone().all(|text| matches!(text, "true" | "false")) {
        "a boolean"
    } else {
        "a text"
    }
}

/// Guesses a mapping from names and types.
fn suggest(columns: &[ColumnPreview]) -> Option<Suggestion> {
    let (time, time_format) = columns.iter().find_map(|column| Some((column, time_format(column)?)))?;
    let others = || columns.iter().filter(|column| !std::ptr::eq(*column, time));
    let named_key = |column: &&ColumnPreview| {
        let name = column.name.to_lowercase();
        (name.ends_with("id") || name.ends_with("key")) && (is_integer(column) || column.kind == "a text")
    };
    let key = others().find(named_key).or_else(|| others().find(|column| column.kind == "a text"));
    let key = key.or_else(|| others().find(|column| is_integer(column)));
    let number = |column: &&ColumnPreview| is_integer(column) && Some(&column.name) != key.map(|key| &key.name);
    let value = others().find(|column| number(column) && !named_key(column));
    Some(Suggestion {
        time: time.name.clone(),
        time_format,
        key: key.map(|column| column.name.clone()),
        value: value.map(|column| column.name.clone()),
    })
}

fn is_integer(column: &ColumnPreview) -> bool {
    column.kind.ends_with("integer")
}

/// How a column that looks like one of times counts.
fn time_format(column: &ColumnPreview) -> Option<TimeFormat> {
    let kind = column.kind.as_str();
    let texts_are_times =
        || !column.samples.is_empty() && column.samples.iter().all(|text| timestamp(text.as_bytes()).is_some());
    let holds_times = match kind {
        "a time" | "a date" => true,
        "a text" => texts_are_times(),
        _ => kind.starts_with("a timestamp"),
    };
    if holds_times { Some(TimeFormat::Auto) } else { epoch(column) }
}

/// How an integer column that is named like a time counts, by the digits that times of our days have.
fn epoch(column: &ColumnPreview) -> Option<TimeFormat> {
    let name = column.name.to_lowercase();
    if !is_integer(column) || !["time", "date", "stamp", "ts", "epoch"].iter().any(|word| name.contains(word)) {
        return None;
    }
    match column.samples.first()?.len() {
        9..=10 => Some(TimeFormat::EpochS),
        12..=13 => Some(TimeFormat::Auto),
        15..=16 => Some(TimeFormat::EpochUs),
        18..=19 => Some(TimeFormat::EpochNs),
        _ => None,
    }
}
