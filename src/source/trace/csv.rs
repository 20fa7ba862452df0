//! Rows of a CSV file: a header line, commas, quotes as in RFC 4180.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use super::MAX_LINE_BYTES;
use super::batch::TraceBatch;
use super::cursor::Cursor;
use super::error::{Place, TraceError, file_name, printable, printable_bytes};
use super::reader::open_file;
use crate::workload::Trace;

/// Bytes read ahead.
const BUFFER_BYTES: usize = 256 << 10;

/// The rows of a CSV file.
pub(super) struct CsvRows {
    reader: Reader<Bounded>,
    record: ByteRecord,
    record_start: Arc<AtomicU64>,
    /// Position in the file of each mapped column.
    positions: Vec<usize>,
}

impl CsvRows {
    pub(super) fn open(file: File, trace: &Trace) -> Result<Self, TraceError> {
        let path = trace.path();
        let (mut reader, record_start) = reader(file);
        let names = header(&mut reader, path)?;
        let positions = trace.mapping.columns.iter().map(|column| {
            let mut found = names.iter().enumerate().filter(|(_, name)| *name == column).map(|(i, _)| i);
            match (found.next(), found.next()) {
                (Some(position), None) => Ok(position),
                (Some(_), Some(_)) => {
                    Err(TraceError::AmbiguousColumn { file: file_name(path), column: printable(column, 40) })
                }
                (None, _) => Err(TraceError::no_column(path, column, names.iter().map(String::as_str))),
            }
        });
        Ok(Self { positions: positions.collect::<Result<_, _>>()?, reader, record: ByteRecord::new(), record_start })
    }

    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor,
        batch: &mut TraceBatch,
        max_rows: usize,
    ) -> Result<(), TraceError> {
        while batch.has_room(max_rows) {
            let start = self.reader.position();
            let start_line = start.line();
            self.record_start.store(start.byte(), Ordering::Relaxed);
            cursor.row += 1;
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(row_error(&error, &cursor.trace.path, cursor.row, start_line)),
            }
            let line = self.record.position().map_or(0, csv::Position::line);
            let (record, positions) = (&self.record, &self.positions);
            cursor.push(line, |i| record.get(positions[i]).unwrap_or_default(), batch)?;
        }
        Ok(())
    }
}

/// The first rows of a file as they are, with its header.
pub(super) fn sample(path: &Path, rows: usize) -> Result<(Vec<String>, Vec<Vec<String>>), TraceError> {
    let (mut reader, record_start) = reader(open_file(path)?);
    let names = header(&mut reader, path)?;
    let (mut record, mut sampled) = (ByteRecord::new(), Vec::new());
    while sampled.len() < rows {
        let start_line = reader.position().line();
        record_start.store(reader.position().byte(), Ordering::Relaxed);
        match reader.read_byte_record(&mut record) {
            Ok(true) => sampled.push(record.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect()),
            Ok(false) => break,
            Err(error) => return Err(row_error(&error, path, sampled.len() as u64 + 1, start_line)),
        }
    }
    Ok((names, sampled))
}

fn reader(file: File) -> (Reader<Bounded>, Arc<AtomicU64>) {
    let record_start = Arc::new(AtomicU64::new(0));
    let bounded = Bounded { file, handed_out: 0, record_start: Arc::clone(&record_start) };
    (ReaderBuilder::new().buffer_capacity(BUFFER_BYTES).from_reader(bounded), record_start)
}

fn header(reader: &mut Reader<Bounded>, path: &Path) -> Result<Vec<String>, TraceError> {
    let names = match reader.byte_headers() {
        Ok(names) => names.clone(),
        Err(error) => return Err(row_error(&error, path, 0, 1)),
    };
    if names.is_empty() {
        return Err(TraceError::Empty { file: file_name(path) });
    }
    let not_utf8 = |name: &[u8]| TraceError::NotUtf8 {
        file: file_name(path),
        place: Place { row: 0, line: Some(1) },
        column: String::new(),
        found: printable_bytes(name),
    };
    names.iter().map(|name| std::str::from_utf8(name).map(str::to_owned).map_err(|_| not_utf8(name))).collect()
}

fn row_error(error: &csv::Error, path: &Path, row: u64, start_line: u64) -> TraceError {
    let line = error.position().map_or(start_line, csv::Position::line);
    let (file, place) = (file_name(path), Place { row, line: Some(line) });
    match error.kind() {
        ErrorKind::Io(error) if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<RecordTooLong>) => {
            TraceError::TooLong { file, place }
        }
        ErrorKind::Io(error) => TraceError::io(path, io::Error::new(error.kind(), error.to_string())),
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            TraceError::Malformed { file, place, reason: format!("{len} fields where the header has {expected_len}") }
        }
        _ => TraceError::Malformed { file, place, reason: printable(&error.to_string(), 200) },
    }
}

/// A file that ends in an error once one record takes more than [`MAX_LINE_BYTES`], as an unclosed quote makes it do:
/// the CSV reader itself would take the rest of the file into memory.
struct Bounded {
    file: File,
    handed_out: u64,
    record_start: Arc<AtomicU64>,
}

#[derive(Debug, thiserror::Error)]
#[error("a record is too long")]
struct RecordTooLong;

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What is asked for next lies behind all that was handed out, and the record has not ended in that.
        if self.handed_out.saturating_sub(self.record_start.load(Ordering::Relaxed)) > MAX_LINE_BYTES as u64 {
            return Err(io::Error::other(RecordTooLong));
        }
        let read = self.file.read(buffer)?;
        self.handed_out += read as u64;
        Ok(read)
    }
}
