//! From fields to rows: what the three formats agree on.

use std::borrow::Cow;

use super::KEY_SEPARATOR;
use super::batch::TraceBatch;
use super::error::{Place, TraceError, file_name, printable, printable_bytes};
use super::number::{integer, scaled};
use super::time::time;
use crate::workload::{MissingPolicy, Trace};

/// What every format needs to turn fields into rows: the mapping, and how far the file has been read.
pub(super) struct Cursor {
    pub(super) trace: Trace,
    newest_ms: i64,
    /// Rows seen.
    pub(super) row: u64,
    pub(super) kept: u64,
    pub(super) skipped: u64,
}

impl Cursor {
    pub(super) fn new(trace: &Trace) -> Self {
        Self { trace: trace.clone(), newest_ms: i64::MIN, row: 0, kept: 0, skipped: 0 }
    }

    pub(super) fn file(&self) -> String {
        file_name(&self.trace.path)
    }

    fn column(&self, column: usize) -> String {
        printable(&self.trace.mapping.columns[column], 40)
    }

    /// Appends the row whose fields, by position among the mapped columns, are these texts. An empty text is missing.
    pub(super) fn push<'a>(
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
        let time = self.time(place, field(mapping.time))?;
        let value = mapping.value.map_or(Ok(0), |column| self.value(place, column, field(column)))?;
        let size = mapping.size.map_or(Ok(0), |column| self.size(place, column, field(column)))?;
        for (i, &column) in mapping.keys.iter().enumerate() {
            if i > 0 {
                batch.key_text.push(KEY_SEPARATOR);
            }
            batch.key_text.push_str(self.text(place, column, field(column))?);
        }
        batch.end_key();
        batch.time_ms.push(time);
        batch.value.push(value);
        batch.size.push(size);
        self.advance(time, place)
    }

    #[inline]
    fn time(&self, place: Place, text: &[u8]) -> Result<i64, TraceError> {
        let format = self.trace.time_format;
        time(text, format).ok_or_else(|| self.bad(place, self.trace.mapping.time, text, format.allowed()))
    }

    #[inline]
    fn value(&self, place: Place, column: usize, text: &[u8]) -> Result<i64, TraceError> {
        let scale = self.trace.value_scale;
        scaled(text, scale).ok_or_else(|| self.bad(place, column, text, &allowed_value(scale)))
    }

    #[inline]
    fn size(&self, place: Place, column: usize, text: &[u8]) -> Result<u32, TraceError> {
        let size = integer(text.trim_ascii()).and_then(|size| u32::try_from(size).ok());
        size.ok_or_else(|| self.bad(place, column, text, ALLOWED_SIZE))
    }

    #[inline]
    fn text<'a>(&self, place: Place, column: usize, text: &'a [u8]) -> Result<&'a str, TraceError> {
        std::str::from_utf8(text).map_err(|_| TraceError::NotUtf8 {
            file: self.file(),
            place,
            column: self.column(column),
            found: printable_bytes(text),
        })
    }

    /// A row without one of its mapped columns: an error or left out.
    #[cold]
    pub(super) fn missing(&mut self, place: Place, column: usize) -> Result<(), TraceError> {
        if self.trace.missing == MissingPolicy::Skip {
            self.skipped += 1;
            return Ok(());
        }
        Err(TraceError::MissingField { file: self.file(), place, column: self.column(column) })
    }

    /// Moves the latest time on and refuses a time too far behind it.
    #[inline]
    pub(super) fn advance(&mut self, time_ms: i64, place: Place) -> Result<(), TraceError> {
        if time_ms >= self.newest_ms {
            self.newest_ms = time_ms;
        } else if i128::from(self.newest_ms) - i128::from(time_ms) > i128::from(self.trace.disorder_ms) {
            let by_ms = i128::from(self.newest_ms) - i128::from(time_ms);
            return Err(TraceError::Disorder { file: self.file(), place, by_ms, allowed_ms: self.trace.disorder_ms });
        }
        Ok(())
    }

    #[cold]
    pub(super) fn bad(&self, place: Place, column: usize, found: &[u8], allowed: &str) -> TraceError {
        TraceError::BadField {
            file: self.file(),
            place,
            column: self.column(column),
            found: printable_bytes(found),
            allowed: allowed.to_owned(),
        }
    }
}

pub(super) const ALLOWED_SIZE: &str = "a number of bytes from 0 to 4294967295";

/// What a value column takes.
pub(super) fn allowed_value(scale: i64) -> Cow<'static, str> {
    if scale == 1 {
        "an integer that fits 64 bits (`value-scale` makes decimals integers)".into()
    } else {
        format!("a number that is an integer of 64 bits once multiplied by {scale}").into()
    }
}
