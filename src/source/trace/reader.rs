//! A trace file being read, whatever its format.

use std::fs::File;
use std::path::Path;

use super::batch::TraceBatch;
use super::cursor::Cursor;
use super::error::{TraceError, file_name};
use super::{csv, json_lines, parquet};
use crate::workload::{Trace, TraceFormat};

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
        let cursor = Cursor::new(trace);
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

/// Opens a file and refuses what is none, with its length.
pub(super) fn open_file(path: &Path) -> Result<File, TraceError> {
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

/// The format of a file: the one that is given, else the one that its extension tells.
///
/// # Errors
/// Nothing tells the format, or there is no such file to have one.
pub fn format_of(path: &Path, given: Option<TraceFormat>) -> Result<TraceFormat, TraceError> {
    given.or_else(|| TraceFormat::of(path)).ok_or_else(|| match path.metadata() {
        Err(error) => TraceError::io(path, error),
        Ok(metadata) if metadata.is_dir() => TraceError::Directory { file: file_name(path) },
        Ok(_) => TraceError::UnknownFormat { file: file_name(path) },
    })
}
