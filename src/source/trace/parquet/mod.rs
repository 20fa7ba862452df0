//! Rows of a Parquet file, through the typed column readers: one row group at a time, a few thousand rows at a time.

mod column;
mod guard;
mod pages;

use std::fs::File;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};

use super::batch::TraceBatch;
use super::cursor::{ALLOWED_SIZE, Cursor, allowed_value};
use super::error::{Place, TraceError, file_name, printable};
use super::reader::open_file;
use super::{KEY_SEPARATOR, MAX_LINE_BYTES};
use crate::workload::{TimeFormat, Trace};
use column::{Column, Kind};
use guard::guarded;

/// Rows decoded at once.
const CHUNK_ROWS: usize = 4096;

/// The rows of a Parquet file.
pub(super) struct ParquetRows {
    file: SerializedFileReader<File>,
    columns: Vec<Column>,
    /// The row group to be opened next.
    group: usize,
    /// Rows of the open group that are not decoded yet.
    left: usize,
    /// Number in the file, from 1, of the first row of the decoded chunk.
    chunk_row: u64,
    /// The rows of the chunk in which no mapped column is missing.
    kept: Vec<u32>,
    /// How many of them are handed out.
    taken: usize,
}

impl ParquetRows {
    pub(super) fn open(file: File, trace: &Trace) -> Result<Self, TraceError> {
        let (file, all) = open_columns(file, trace.path())?;
        let columns = mapped_columns(&all, trace)?;
        check_roles(&columns, trace)?;
        Ok(Self { file, columns, group: 0, left: 0, chunk_row: 1, kept: Vec::new(), taken: 0 })
    }

    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor,
        batch: &mut TraceBatch,
        max_rows: usize,
    ) -> Result<(), TraceError> {
        while batch.has_room(max_rows) {
            if self.taken == self.kept.len() && !self.next_chunk(cursor)? {
                break;
            }
            self.take(cursor, batch, max_rows)?;
        }
        Ok(())
    }

    /// Decodes the next rows of every column; false at the end of the file.
    fn next_chunk(&mut self, cursor: &mut Cursor) -> Result<bool, TraceError> {
        self.taken = 0;
        self.kept.clear();
        let (file, columns) = (&self.file, &mut self.columns);
        while self.left == 0 {
            if self.group == file.num_row_groups() {
                return Ok(false);
            }
            let group = self.group;
            self.left = guarded(&cursor.trace.path, || {
                let group = file.get_row_group(group)?;
                columns.iter_mut().try_for_each(|column| column.open(group.as_ref()))?;
                Ok(usize::try_from(group.metadata().num_rows())?)
            })?;
            self.group += 1;
        }
        let rows = self.left.min(CHUNK_ROWS);
        guarded(&cursor.trace.path, || columns.iter_mut().try_for_each(|column| column.decode(rows)))?;
        self.left -= rows;
        self.chunk_row = cursor.row + 1;
        cursor.row += rows as u64;
        for row in 0..rows {
            match self.columns.iter().position(|column| column.is_missing(row)) {
                None => self.kept.push(row as u32),
                Some(column) => cursor.missing(self.place(row), column)?,
            }
        }
        Ok(true)
    }

    /// Appends rows of the chunk to the batch.
    fn take(&mut self, cursor: &mut Cursor, batch: &mut TraceBatch, max_rows: usize) -> Result<(), TraceError> {
        let from = self.taken;
        while self.taken < self.kept.len() && batch.has_room(max_rows) {
            self.push_key(self.kept[self.taken] as usize, cursor, batch)?;
            self.taken += 1;
        }
        let rows = &self.kept[from..self.taken];
        self.push_times(rows, cursor, batch)?;
        self.push_values(rows, cursor, batch)?;
        self.push_sizes(rows, cursor, batch)
    }

    fn push_key(&self, row: usize, cursor: &Cursor, batch: &mut TraceBatch) -> Result<(), TraceError> {
        let start = batch.key_text.len();
        for (i, &column) in cursor.trace.mapping.keys.iter().enumerate() {
            if i > 0 {
                batch.key_text.push(KEY_SEPARATOR);
            }
            let column = &self.columns[column];
            if column.push_text(row, &mut batch.key_text).is_none() {
                return Err(TraceError::NotUtf8 {
                    file: cursor.file(),
                    place: self.place(row),
                    column: printable(&column.name, 40),
                    found: column.show(row),
                });
            }
        }
        if batch.key_text.len() - start > MAX_LINE_BYTES {
            return Err(TraceError::TooLong { file: cursor.file(), place: self.place(row) });
        }
        batch.end_key();
        Ok(())
    }

    fn push_times(&self, rows: &[u32], cursor: &mut Cursor, batch: &mut TraceBatch) -> Result<(), TraceError> {
        let (position, format) = (cursor.trace.mapping.time, cursor.trace.time_format);
        let column = &self.columns[position];
        for row in rows.iter().map(|&row| row as usize) {
            let time = column.time_ms(row, format);
            let time = time.ok_or_else(|| self.bad(cursor, position, row, format.allowed()))?;
            cursor.advance(time, self.place(row))?;
            batch.time_ms.push(time);
        }
        Ok(())
    }

    fn push_values(&self, rows: &[u32], cursor: &Cursor, batch: &mut TraceBatch) -> Result<(), TraceError> {
        let Some(position) = cursor.trace.mapping.value else {
            batch.value.resize(batch.len(), 0);
            return Ok(());
        };
        let (column, scale) = (&self.columns[position], cursor.trace.value_scale);
        for row in rows.iter().map(|&row| row as usize) {
            let value = column.scaled(row, scale);
            batch.value.push(value.ok_or_else(|| self.bad(cursor, position, row, &allowed_value(scale)))?);
        }
        Ok(())
    }

    fn push_sizes(&self, rows: &[u32], cursor: &Cursor, batch: &mut TraceBatch) -> Result<(), TraceError> {
        let Some(position) = cursor.trace.mapping.size else {
            batch.size.resize(batch.len(), 0);
            return Ok(());
        };
        let column = &self.columns[position];
        for row in rows.iter().map(|&row| row as usize) {
            let size = column.integer(row).and_then(|size| u32::try_from(size).ok());
            batch.size.push(size.ok_or_else(|| self.bad(cursor, position, row, ALLOWED_SIZE))?);
        }
        Ok(())
    }

    /// Where a row of the chunk is in the file.
    fn place(&self, row: usize) -> Place {
        Place { row: self.chunk_row + row as u64, line: None }
    }

    #[cold]
    fn bad(&self, cursor: &Cursor, column: usize, row: usize, allowed: &str) -> TraceError {
        cursor.bad(self.place(row), column, self.columns[column].show(row).as_bytes(), allowed)
    }
}

/// The columns of the mapping among all of the file's.
fn mapped_columns(all: &[Column], trace: &Trace) -> Result<Vec<Column>, TraceError> {
    let path = trace.path();
    let find = |name: &String| {
        let mut found = all.iter().filter(|column| column.name == *name);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column.reopened()),
            (Some(_), Some(_)) => {
                Err(TraceError::AmbiguousColumn { file: file_name(path), column: printable(name, 40) })
            }
            (None, _) => Err(TraceError::no_column(path, name, all.iter().map(|column| column.name.as_str()))),
        }
    };
    trace.mapping.columns.iter().map(find).collect()
}

/// Refuses a column whose type cannot play its role.
fn check_roles(columns: &[Column], trace: &Trace) -> Result<(), TraceError> {
    let mapping = &trace.mapping;
    let check = |position: usize, role, fits: fn(Kind) -> bool, allowed: &str| {
        let column = &columns[position];
        if fits(column.kind) {
            return Ok(());
        }
        let (file, name, found) = (file_name(trace.path()), printable(&column.name, 40), column.describe());
        Err(TraceError::ColumnType { file, column: name, role, found, allowed: allowed.to_owned() })
    };
    check(mapping.time, "time", Kind::is_time, "a timestamp, a date, an integer or a text")?;
    if trace.time_format != TimeFormat::Auto {
        let allowed = "an integer or a text with this `time-format`; leave `time-format` out";
        check(mapping.time, "time", |kind| !kind.has_time_unit(), allowed)?;
    }
    for &key in &mapping.keys {
        check(key, "key", Kind::is_key, "a text, an integer or a boolean")?;
    }
    if let Some(value) = mapping.value {
        check(value, "value", Kind::is_value, "a number, a boolean or a text")?;
    }
    mapping.size.map_or(Ok(()), |size| check(size, "size", Kind::is_size, "an integer or a text"))
}

/// The columns of a file with the names of their types, and their first rows as texts.
#[expect(clippy::type_complexity, reason = "names and types, then rows of texts")]
pub(super) fn sample(path: &Path, rows: usize) -> Result<(Vec<(String, String)>, Vec<Vec<String>>), TraceError> {
    let (file, mut columns) = open_columns(open_file(path)?, path)?;
    let rows = guarded(path, || {
        if file.num_row_groups() == 0 {
            return Ok(0);
        }
        let group = file.get_row_group(0)?;
        let rows = usize::try_from(group.metadata().num_rows())?.min(rows);
        for column in &mut columns {
            column.open(group.as_ref())?;
            column.decode(rows)?;
        }
        Ok(rows)
    })?;
    let show = |column: &Column, row| if column.is_missing(row) { String::new() } else { column.show(row) };
    let sampled = (0..rows).map(|row| columns.iter().map(|column| show(column, row)).collect()).collect();
    Ok((columns.iter().map(|column| (column.name.clone(), column.describe())).collect(), sampled))
}

fn open_columns(file: File, path: &Path) -> Result<(SerializedFileReader<File>, Vec<Column>), TraceError> {
    guarded(path, || {
        let file = SerializedFileReader::new(file)?;
        let schema = file.metadata().file_metadata().schema_descr();
        let columns = schema.columns().iter().enumerate().map(|(index, descr)| Column::new(index, descr)).collect();
        Ok((file, columns))
    })
}
