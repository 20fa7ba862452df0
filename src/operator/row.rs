//! Rows as joins, ranks and deduplication keep them, and what becomes of them downstream.

use super::{Collector, Emitted};
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

/// What a result shows of a row: its number, and a hash that stands for all of it.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    value: i64,
    hash: u64,
}

impl Shown {
    /// Of this row.
    #[inline]
    pub fn of(row: &Row) -> Self {
        Self { value: row.0, hash: row_hash(row) }
    }

    /// The left row before the right one.
    #[inline]
    pub fn in_order(own_is_left: bool, own: Self, other: Self) -> [Self; 2] {
        if own_is_left { [own, other] } else { [other, own] }
    }
}

impl Collector {
    /// Emits a change of the result that an event brings about. `row` stands for the row that changes.
    #[inline]
    pub fn emit_change<K: Key>(&mut self, event: &Event<K>, kind: RowKind, row: u64) {
        self.emit(event, mix(kind as u64, row));
    }

    /// Emits a pair of rows, left and right, that appears or disappears with an event.
    #[inline]
    pub fn emit_pair<K: Key>(&mut self, event: &Event<K>, kind: RowKind, [left, right]: [Shown; 2]) {
        self.digest.add(mix(event.sequence, mix(kind as u64, mix(left.hash, right.hash))));
        if self.next_key.is_some() {
            self.forward(event, Emitted { key: event.key.as_long(), value: left.value, other: right.value });
        }
    }
}
