//! Rows as joins, ranks and deduplication keep them, and what becomes of them downstream.

use super::Collector;
use crate::source::Event;
use crate::state::{Key, Payload, mix};

/// What an operator keeps of an event: its number and its bytes.
pub type Row = (i64, Payload);

/// What happens to a row of a changing result: Flink's `RowKind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// It appears.
    Insert,
    /// The row before a change goes.
    UpdateBefore,
    /// The row after a change comes.
    UpdateAfter,
    /// It disappears.
    Delete,
}

/// Takes the row out of an event.
#[inline]
pub fn take_row<K>(event: &mut Event<K>) -> Row {
    (event.value, std::mem::take(&mut event.payload))
}

/// What stands for a row in a result.
#[inline]
pub fn row_hash(row: &Row) -> u64 {
    mix(row.0 as u64, row.1.head())
}

impl Collector {
    /// Emits a change of the result that an event brings about. `row` stands for the row that changes.
    #[inline]
    pub fn emit_change<K: Key>(&mut self, event: &Event<K>, kind: RowKind, row: u64) {
        self.emit(event, mix(kind as u64, row));
    }
}
