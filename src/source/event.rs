//! What flows from a source to an operator.

use crate::state::Payload;
use crate::workload::{MixOperation, Now};

/// One event. Everything that could depend on threads is stamped by the source, before partitioning.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<K> {
    /// Position in the stream, from 0.
    pub sequence: u64,
    /// Event time, ms.
    pub time_ms: i64,
    /// The watermark that precedes this event, ms.
    pub watermark_ms: i64,
    /// Processing time at its arrival, ms on the virtual clock.
    pub processing_ms: i64,
    /// The key that the stream is partitioned by.
    pub key: K,
    /// The numeric value: a measurement, an amount in minor units.
    pub value: i64,
    /// A second number: what the event refers to beside its key, such as another stream's id. 0 where there is none.
    pub other: i64,
    /// Which of the operator's inputs it belongs to, from 0.
    pub stream: u8,
    /// The bytes that an operator stores, made before the clock starts and moved into the state.
    pub payload: Payload,
    /// What the synthetic mix does with it. For an operator whose rows can be taken back, `Delete` takes one back; others
    /// do the same with every event.
    pub operation: MixOperation,
}

impl<K> Event<K> {
    /// Time as the event finds it.
    #[inline(always)]
    pub fn now(&self) -> Now {
        Now { processing_ms: self.processing_ms, watermark_ms: self.watermark_ms }
    }
}
