//! Rows of a trace in memory.

use super::number::integer;

/// A batch ends early once its keys take this many bytes.
const BATCH_KEY_BYTES: usize = 64 << 20;

/// Rows of a trace, column by column. One is made once and filled again and again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceBatch {
    /// Event times, epoch ms.
    pub time_ms: Vec<i64>,
    /// Values, already scaled; 0 without a value column.
    pub value: Vec<i64>,
    /// Payload sizes, bytes; 0 without a size column.
    pub size: Vec<u32>,
    pub(super) key_text: String,
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

    pub(super) fn clear(&mut self) {
        self.time_ms.clear();
        self.value.clear();
        self.size.clear();
        self.key_text.clear();
        self.key_ends.clear();
    }

    /// Whether another row may be appended to a batch of `max_rows`.
    #[inline]
    pub(super) fn has_room(&self, max_rows: usize) -> bool {
        self.len() < max_rows && self.key_text.len() < BATCH_KEY_BYTES
    }

    #[inline]
    pub(super) fn end_key(&mut self) {
        self.key_ends.push(self.key_text.len() as u32); // at most BATCH_KEY_BYTES and one more key
    }
}
