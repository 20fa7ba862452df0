//! What flows from a source to an operator.

use crate::state::Payload;
use crate::workload::MixOperation;

/// One event. Everything that could depend on threads is stamped by the source, before partitioning.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<K> {
    /// Position in the stream, from 0.
    pub sequence: u64,
    /// Event time, ms.
    pub time_ms: i64,
    /// The watermark that precedes this event, ms.
    pub watermark_ms: i64,
    /// The key that the stream is partitioned by.
    pub key: K,
    /// The numeric value: a measurement, an amount in minor units.
    pub value: i64,
    /// The bytes that an operator stores, made before the clock starts and moved into the state.
    pub payload: Payload,
    /// What the synthetic mix does with it; other operators do the same with every event.
    pub operation: MixOperation,
}
