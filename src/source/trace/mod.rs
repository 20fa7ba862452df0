//! Recorded events as a source: a CSV, JSON Lines or Parquet file whose columns are mapped to time, key and value.
//!
//! The file is streamed, so memory does not grow with it, into a [`TraceBatch`] that the caller reuses: no row
//! allocates. The three formats agree on what a row means. A field that is absent, null or an empty text is *missing*.
//! Numbers and times may be written as texts. What the file holds is never trusted: every surprise is a [`TraceError`]
//! that names the file, the row and the column, with what was found made printable.

mod batch;
mod csv;
mod cursor;
mod error;
mod inspect;
mod json_lines;
mod number;
mod parquet;
mod reader;
#[cfg(test)]
mod tests;
mod time;

pub use batch::TraceBatch;
pub use error::{Place, TraceError};
pub use inspect::{
    ColumnList, ColumnPreview, Disorder, Distinct, Distribution, HotShare, Inspection, Rate, Reuse, Suggestion, TopKey,
    columns, inspect,
};
pub use reader::{TraceReader, format_of};

/// Longest line of a text file, CSV record or single Parquet text that is read, in bytes.
pub const MAX_LINE_BYTES: usize = 16 << 20;
/// What joins the parts of a key of several columns: the unit separator.
const KEY_SEPARATOR: char = '\u{1f}';
