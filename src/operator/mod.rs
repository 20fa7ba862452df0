//! The operators: each written once, against typed state, for any backend.

mod aggregate;
mod broadcast_rules;
mod changelog_join;
mod continuous_join;
mod counter;
mod deduplicate;
mod interval_join;
mod list_buffer;
mod map;
mod mix;
mod reduce;
mod regular_join;
mod row;
mod running_total;
mod source_offsets;
mod temporal_join;
mod top_n;
mod value_of_map;
mod window;

pub use aggregate::{AggregateOperator, Average, Summary};
pub use broadcast_rules::BroadcastRules;
pub use changelog_join::{ChangelogJoin, DIMENSION};
pub use continuous_join::ContinuousJoin;
pub use counter::Counter;
pub use deduplicate::{FirstRow, LastRow};
pub use interval_join::IntervalJoin;
pub use list_buffer::ListBuffer;
pub use map::MapOperator;
pub use mix::MixOperator;
pub use reduce::{Max, ReduceOperator, Sum};
pub use regular_join::RegularJoin;
pub use row::RowKind;
pub use running_total::RunningTotal;
pub use source_offsets::SourceOffsets;
pub use temporal_join::TemporalJoin;
pub use top_n::TopN;
pub use value_of_map::ValueOfMap;
pub use window::{
    Aggregated, Contents, EventTime, Joined, Listed, ProcessingTime, Reduced, SessionWindowOperator, WindowOperator,
};

use std::collections::BTreeMap;

use crate::source::Event;
use crate::state::{Digest, Key, KeyedStateBackend, OperatorState, Payload, StateResult, mix as mix_hash};
use crate::workload::{MixOperation, Now, RowField};

/// Takes the results of an operator: folds them into a digest, and keeps them as rows where another operator follows.
#[derive(Debug, Clone)]
pub struct Collector {
    digest: Digest,
    now: Now,
    late_events: u64,
    /// What the next operator is keyed by, where there is one.
    next_key: Option<RowField>,
    rows: Vec<Event<i64>>,
    latest: BTreeMap<i64, i64>,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            digest: Digest::default(),
            now: Now::START,
            late_events: 0,
            next_key: None,
            rows: Vec::new(),
            latest: BTreeMap::new(),
        }
    }
}

/// One result as another operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emitted {
    /// The key that it was computed for.
    pub key: i64,
    /// The result.
    pub value: i64,
    /// What it refers to beside the key.
    pub other: i64,
}

impl Emitted {
    const fn get(self, field: RowField) -> i64 {
        match field {
            RowField::Key => self.key,
            RowField::Value => self.value,
            RowField::Other => self.other,
        }
    }
}

/// Keys of which the latest results are kept; of more there are none.
const MOST_LATEST: usize = 64;

impl Collector {
    /// One whose rows go to an operator that is keyed by this field.
    pub fn forwarding(next_key: Option<RowField>) -> Self {
        Self { next_key, ..Self::default() }
    }

    /// Emits one result of an event. `result` stands for the whole result; for one of several fields, mix them.
    #[inline(always)]
    pub fn emit<K: Key>(&mut self, event: &Event<K>, result: u64) {
        self.digest.add(mix_hash(event.sequence, result));
        if self.next_key.is_some() {
            self.forward(event, Emitted { key: event.key.as_long(), value: result as i64, other: event.value });
        }
    }

    /// Emits one row of an event.
    #[inline(always)]
    pub fn emit_row<K>(&mut self, event: &Event<K>, row: Emitted) {
        let content = mix_hash(mix_hash(row.key as u64, row.value as u64), row.other as u64);
        self.digest.add(mix_hash(event.sequence, content));
        if self.next_key.is_some() {
            self.forward(event, row);
        }
    }

    /// Emits one result of a timer, or of anything else that is not an event's: `origin` stands for what it is about, key
    /// and window, and tells it from every other one.
    #[inline]
    pub fn emit_of(&mut self, origin: u64, result: u64) {
        self.digest.add(mix_hash(origin, result));
    }

    #[inline(never)]
    fn forward<K>(&mut self, event: &Event<K>, row: Emitted) {
        let Some(next_key) = self.next_key else { return };
        self.rows.push(Event {
            sequence: event.sequence,
            time_ms: event.time_ms,
            watermark_ms: event.watermark_ms,
            processing_ms: event.processing_ms,
            key: row.get(next_key),
            value: row.value,
            other: row.other,
            stream: 0,
            payload: Payload::default(),
            operation: MixOperation::Read,
        });
    }

    /// The rows for the next operator since the last call, in order of the events that they came of.
    pub fn take_rows(&mut self) -> Vec<Event<i64>> {
        std::mem::take(&mut self.rows)
    }

    /// Keeps the latest result of a key, to be shown at the end; of an operator with few keys.
    #[inline]
    pub fn keep_latest(&mut self, key: i64, value: i64) {
        if self.latest.len() <= MOST_LATEST {
            self.latest.insert(key, value);
        }
    }

    /// The latest results by key; none where there were too many keys.
    pub fn latest(&self) -> impl Iterator<Item = (i64, i64)> {
        self.latest.iter().filter(|_| self.latest.len() <= MOST_LATEST).map(|(key, value)| (*key, *value))
    }

    /// Every result by key that is kept, one too many where there are too many keys: what a checkpoint holds of them.
    pub fn kept_latest(&self) -> impl Iterator<Item = (i64, i64)> {
        self.latest.iter().map(|(key, value)| (*key, *value))
    }

    /// Counts an event that came too late for its window, or whatever else has let go of it.
    #[inline]
    pub fn count_late(&mut self) {
        self.late_events += 1;
    }

    /// Events that came too late.
    pub fn late_events(&self) -> u64 {
        self.late_events
    }

    /// Takes over what another one has gathered, of a subtask of the same operator. Its time is its own.
    pub fn merge(&mut self, other: &Self) {
        self.digest.merge(other.digest);
        self.late_events += other.late_events;
        self.rows.extend_from_slice(&other.rows);
        self.latest.extend(&other.latest);
    }

    /// The time up to which timers have been fired.
    #[inline]
    pub fn now(&self) -> Now {
        self.now
    }

    /// Moves time on.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
    }

    /// What was emitted so far.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Goes on from what a checkpoint says of emitted results and time.
    pub fn restore(
        &mut self,
        emitted: Digest,
        late_events: u64,
        now: Now,
        latest: impl IntoIterator<Item = (i64, i64)>,
    ) {
        (self.digest, self.late_events, self.now) = (emitted, late_events, now);
        self.latest = latest.into_iter().collect();
    }
}

/// Where a subtask is among those of its operator: Flink's `TaskInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskInfo {
    /// Its index, from 0 on.
    pub subtask: u16,
    /// How many subtasks there are.
    pub parallelism: u16,
}

/// A keyed operator: the logic that every backend runs. The current key is set before each call.
pub trait Operator<K: Key>: Sized {
    /// What the workload sets.
    type Spec;

    /// Registers the operator's states.
    ///
    /// # Errors
    /// The backend refuses a state.
    fn open<B: KeyedStateBackend<K>>(spec: &Self::Spec, backend: &mut B) -> StateResult<Self>;

    /// Whether there can be state before the first event. An operator whose state comes and goes with time has none.
    const HAS_PREFILL: bool = true;

    /// Puts into the state what a job that has run before would have left for the event's key.
    ///
    /// # Errors
    /// A state access failed.
    fn prefill<B: KeyedStateBackend<K>>(&mut self, backend: &mut B, event: &mut Event<K>) -> StateResult<()> {
        self.process(backend, event, &mut Collector::default())
    }

    /// Handles one event. The payload may be moved out of it.
    ///
    /// # Errors
    /// A state access failed.
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()>;

    /// Whether it registers timers of processing time, for which time is looked at before every event.
    const HAS_PROCESSING_TIMERS: bool = false;

    /// The input whose events go to all subtasks: a broadcast stream. They come without a current key.
    const BROADCAST_INPUT: Option<u8> = None;

    /// Whether what it leaves behind depends on each single watermark. Then a subtask gets those too that rise between its
    /// own events; else only the last of them.
    const SEES_EVERY_WATERMARK: bool = false;

    /// Does what is due: the watermark has risen, or processing time has moved on. Returns the number of timers fired.
    ///
    /// # Errors
    /// A state access failed.
    fn on_time<B: KeyedStateBackend<K>>(&mut self, _: &mut B, _: Now, _: &mut Collector) -> StateResult<u64> {
        Ok(0)
    }

    /// Begins with its operator states: those that were restored, or what [`open`](Self::open) has made. Called after
    /// either and before the first event: Flink's `CheckpointedFunction.initializeState`.
    ///
    /// # Errors
    /// What was restored is not of this operator.
    fn initialize_state(&mut self, _: TaskInfo, _is_restored: bool) -> StateResult<()> {
        Ok(())
    }

    /// Its operator states: what belongs to the subtask and not to a key. They are as of now, so an operator that works with
    /// objects of its own brings the states up to date here.
    fn operator_states(&mut self) -> Vec<&mut dyn OperatorState> {
        Vec::new()
    }
}

/// The entry of a key's map that an event is about: spread over the entries, and drawn apart from the key.
fn entry_of<K>(event: &Event<K>, entries: u32) -> i64 {
    let draw = mix_hash(event.value as u64, event.sequence);
    ((u128::from(draw) * u128::from(entries)) >> 64) as i64
}

/// What a map holds at one of its entries before the run: the event's payload, changed from entry to entry, so that a
/// compressor does not find one entry in its neighbour. Zeros stay, since they are the part of a value that compresses.
fn payload_of_entry(payload: &Payload, entry: i64) -> Payload {
    let word = mix_hash(entry as u64, payload.head()).to_le_bytes();
    let mut payload = payload.clone();
    for (byte, key) in payload.0.iter_mut().zip(word.iter().cycle()).filter(|(byte, _)| **byte != 0) {
        *byte ^= key;
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_map_share_no_bytes_but_zeros() {
        let random = (1..=50_u64).flat_map(|n| mix_hash(n, 7).to_le_bytes());
        let payload = Payload(random.chain([0; 400]).collect());
        let entries: Vec<_> = (0..20).map(|entry| payload_of_entry(&payload, entry)).collect();
        let mut words = std::collections::HashSet::new();
        for entry in &entries {
            assert_eq!((entry.0.len(), &entry.0[400..]), (800, &payload.0[400..]));
            assert!(entry.0[..400].as_chunks::<8>().0.iter().all(|word| words.insert(*word)), "the same 8 bytes twice");
        }
        assert_eq!(payload_of_entry(&payload, 3), entries[3], "the same for every backend");
        assert_eq!(payload_of_entry(&Payload::default(), 3), Payload::default());
    }
}
