//! Where events come from: generated, or read from a trace. Both hand out blocks, outside the timed sections.

mod cdc;
mod event;
mod generated;
mod nexmark;
pub mod trace;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use cdc::CdcGenerator;
pub use event::Event;
use generated::Generator;
pub use generated::stream_seed;
use nexmark::NexmarkGenerator;
use trace::{TraceBatch, TraceError, TraceReader};

use crate::state::{Payload, StringKey};
use crate::workload::{
    MixOperation, Now, PayloadMaker, Rng, SampledKey, Source, Stream, Trace, VirtualClock, Workload,
};

/// Events of a block: few enough to stay in the core's cache until they are processed.
pub const BLOCK_EVENTS: usize = 256;

/// A key type that a source can make: from the number of a generated key, or from the text of a trace.
pub trait SourceKey: SampledKey {
    /// The key in a row of a trace; none where it is not of this type.
    fn from_trace(batch: &TraceBatch, row: usize) -> Option<Self>;
}

impl SourceKey for i64 {
    fn from_trace(batch: &TraceBatch, row: usize) -> Option<Self> {
        batch.long_key(row)
    }
}

impl SourceKey for StringKey {
    fn from_trace(batch: &TraceBatch, row: usize) -> Option<Self> {
        Some(Self::new(batch.key(row)))
    }
}

/// A stream of events in blocks, shared by the threads that take from it.
pub struct EventSource {
    kind: Kind,
    /// Events after which the source ends by itself.
    end: u64,
}

enum Kind {
    Generated { generator: Generated, next_block: AtomicU64 },
    Trace { position: Mutex<Position>, payloads: Payloads, seed: u64 },
}

/// What makes the events of a block from its number.
enum Generated {
    Sampled(Generator),
    Nexmark(NexmarkGenerator),
    Cdc(CdcGenerator),
}

impl Generated {
    fn fill<K: SourceKey>(&self, block: u64, count: usize, ids: &mut Vec<u64>, sink: impl FnMut(Event<K>)) {
        match self {
            Self::Sampled(generator) => generator.fill(block, count, ids, sink),
            Self::Nexmark(generator) => generator.fill(block, count, sink),
            Self::Cdc(generator) => generator.fill(block, count, sink),
        }
    }

    fn now_at(&self, sequence: u64) -> Now {
        match self {
            Self::Sampled(generator) => generator.now_at(sequence),
            Self::Nexmark(generator) => generator.now_at(sequence),
            Self::Cdc(generator) => generator.now_at(sequence),
        }
    }

    fn into_kind(self) -> Kind {
        Kind::Generated { generator: self, next_block: AtomicU64::new(0) }
    }
}

/// The payloads of the events of a trace, and the file they come from.
struct Payloads {
    /// For messages.
    file: std::path::PathBuf,
    /// None where the operator stores no payload.
    maker: Option<PayloadMaker>,
    /// Whether the trace tells their size; else the workload's distribution does.
    sized: bool,
}

impl Payloads {
    fn of(workload: &Workload, trace: &Trace) -> Self {
        Self { file: trace.path().to_owned(), maker: workload.payload_maker(), sized: trace.size_column().is_some() }
    }

    fn make(&self, rng: &mut Rng, bytes: u32) -> Payload {
        match &self.maker {
            None => Payload::default(),
            Some(maker) if self.sized => maker.make_of_size(rng, bytes),
            Some(maker) => maker.make(rng),
        }
    }
}

/// Where reading a trace has got to.
struct Position {
    reader: TraceReader,
    next_block: u64,
    times: TraceTimes,
    ended: bool,
}

/// Turns the times of a trace into those of the virtual clock, row by row. Processing time is the latest time so far:
/// a trace tells when events happened, not when they arrived.
#[derive(Clone)]
struct TraceTimes {
    clock: VirtualClock,
    first_ms: Option<i64>,
    /// Before the next row.
    now: Now,
    /// When the watermark last rose, and to what.
    raised: Now,
}

impl TraceTimes {
    fn new(clock: VirtualClock) -> Self {
        Self { clock, first_ms: None, now: Now::START, raised: Now::START }
    }

    /// The event time of a row on the virtual clock, and what precedes the row.
    fn next(&mut self, time_ms: i64) -> (i64, Now) {
        let first_ms = *self.first_ms.get_or_insert(time_ms);
        let time_ms = self.clock.scaled(time_ms, first_ms);
        let watermark_ms = self.clock.next_watermark(self.raised, self.now.processing_ms);
        if watermark_ms > self.raised.watermark_ms {
            self.raised = Now { processing_ms: self.now.processing_ms, watermark_ms };
        }
        let processing_ms = self.now.processing_ms.max(time_ms);
        self.now = Now { processing_ms, watermark_ms };
        (time_ms, self.now)
    }
}

/// Working space of one thread that takes blocks.
#[derive(Default)]
pub struct Scratch {
    ids: Vec<u64>,
    batch: TraceBatch,
}

impl EventSource {
    /// The events of a run.
    ///
    /// # Errors
    /// The trace cannot be opened.
    pub fn open(workload: &Workload, stream_seed: u64) -> Result<Self, TraceError> {
        let kind = match &workload.source {
            Source::Generated => Generated::Sampled(Generator::events(workload, stream_seed)).into_kind(),
            Source::Nexmark(nexmark) => {
                Generated::Nexmark(NexmarkGenerator::new(workload, nexmark, stream_seed)).into_kind()
            }
            Source::CdcOrders(orders) => Generated::Cdc(CdcGenerator::new(workload, orders, stream_seed)).into_kind(),
            Source::Trace(trace) => Kind::Trace {
                position: Mutex::new(Position::open(trace, workload.clock.clone())?),
                payloads: Payloads::of(workload, trace),
                seed: stream_seed,
            },
        };
        Ok(Self { kind, end: u64::MAX })
    }

    /// One event for each key that is in the state before the run.
    pub fn prefill(workload: &Workload) -> Self {
        let kind = Generated::Sampled(Generator::prefill(workload)).into_kind();
        Self { kind, end: workload.prefill_keys() }
    }

    /// Takes the next block below `block_end` and hands its events with a sequence below `limit` to `sink`. Returns the
    /// number of the block, or `None` where there is no such block. Threads may call it at the same time; together they
    /// get each block once.
    ///
    /// # Errors
    /// The trace cannot be read.
    pub fn take_block<K: SourceKey>(
        &self,
        block_end: u64,
        limit: u64,
        scratch: &mut Scratch,
        sink: impl FnMut(Event<K>),
    ) -> Result<Option<u64>, TraceError> {
        let limit = limit.min(self.end);
        match &self.kind {
            Kind::Generated { generator, next_block } => {
                let more =
                    |block: u64| (block < block_end && block * (BLOCK_EVENTS as u64) < limit).then_some(block + 1);
                let Ok(block) = next_block.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) else {
                    return Ok(None);
                };
                let count = (limit - block * BLOCK_EVENTS as u64).min(BLOCK_EVENTS as u64) as usize;
                generator.fill(block, count, &mut scratch.ids, sink);
                Ok(Some(block))
            }
            Kind::Trace { position, payloads, seed } => {
                let Some((block, times)) = Position::take(position, block_end, limit, scratch)? else {
                    return Ok(None);
                };
                let rng = Rng::for_block(*seed, Stream::Payloads, block);
                emit_rows(&scratch.batch, block, times, (payloads, rng), sink)?;
                Ok(Some(block))
            }
        }
    }

    /// Leaves out every block before this one; nothing was taken before.
    ///
    /// # Errors
    /// The trace cannot be read.
    pub fn skip_to(&self, block: u64) -> Result<(), TraceError> {
        match &self.kind {
            Kind::Generated { next_block, .. } => next_block.store(block, Ordering::Relaxed),
            Kind::Trace { position, .. } => {
                let mut scratch = Scratch::default();
                while Position::take(position, block, u64::MAX, &mut scratch)?.is_some() {}
            }
        }
        Ok(())
    }

    /// Time at the event of this sequence, the last that was handed out.
    pub fn now_at(&self, sequence: u64) -> Now {
        match &self.kind {
            Kind::Generated { generator, .. } => generator.now_at(sequence),
            Kind::Trace { position, .. } => lock(position).times.now,
        }
    }

    /// Whether a trace has been read to its end.
    pub fn has_ended(&self) -> bool {
        match &self.kind {
            Kind::Generated { .. } => false,
            Kind::Trace { position, .. } => lock(position).ended,
        }
    }

    /// Rows of a trace that were skipped for a missing value.
    pub fn skipped_rows(&self) -> u64 {
        match &self.kind {
            Kind::Generated { .. } => 0,
            Kind::Trace { position, .. } => lock(position).reader.skipped(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Position {
    fn open(trace: &Trace, clock: VirtualClock) -> Result<Self, TraceError> {
        Ok(Self { reader: TraceReader::open(trace)?, next_block: 0, times: TraceTimes::new(clock), ended: false })
    }

    /// Reads the rows of the next block: its number, and time before it.
    fn take(
        position: &Mutex<Self>,
        block_end: u64,
        limit: u64,
        scratch: &mut Scratch,
    ) -> Result<Option<(u64, TraceTimes)>, TraceError> {
        let mut position = lock(position);
        let first = position.next_block * BLOCK_EVENTS as u64;
        if position.ended || position.next_block >= block_end || first >= limit {
            return Ok(None);
        }
        let rows = (limit - first).min(BLOCK_EVENTS as u64) as usize;
        let read = position.reader.read(&mut scratch.batch, rows)?;
        if read == 0 {
            position.ended = true;
            return Ok(None);
        }
        let (block, times) = (position.next_block, position.times.clone());
        position.next_block += 1;
        for &time_ms in &scratch.batch.time_ms {
            position.times.next(time_ms);
        }
        Ok(Some((block, times)))
    }
}

/// Turns rows into events. The watermark follows the latest time by the disorder that the trace allows.
fn emit_rows<K: SourceKey>(
    batch: &TraceBatch,
    block: u64,
    mut times: TraceTimes,
    (payloads, mut rng): (&Payloads, Rng),
    mut sink: impl FnMut(Event<K>),
) -> Result<(), TraceError> {
    for (row, &time_ms) in batch.time_ms.iter().enumerate() {
        let (time_ms, now) = times.next(time_ms);
        let sequence = block * BLOCK_EVENTS as u64 + row as u64;
        sink(Event {
            sequence,
            time_ms,
            watermark_ms: now.watermark_ms,
            processing_ms: now.processing_ms,
            key: K::from_trace(batch, row)
                .ok_or_else(|| TraceError::key_is_not_a_number(&payloads.file, sequence, batch.key(row)))?,
            value: batch.value[row],
            other: 0,
            stream: 0,
            payload: payloads.make(&mut rng, batch.size[row]),
            operation: MixOperation::Read,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn workload(text: &str) -> Workload {
        Workload::new(&toml::from_str(text).unwrap(), Path::new(".")).unwrap()
    }

    fn events<K: SourceKey>(source: &EventSource, limit: u64) -> Vec<Event<K>> {
        let (mut scratch, mut events) = (Scratch::default(), Vec::new());
        while source.take_block(u64::MAX, limit, &mut scratch, |event| events.push(event)).unwrap().is_some() {}
        events
    }

    /// The same seed gives the same events on any platform and in any later release. A change of these values makes
    /// results incomparable with older ones.
    #[test]
    fn the_first_events_are_pinned() {
        let text =
            "keys = { cardinality = 1_000_000, distribution = 'zipf' }\noperator.mix.preset = 'ycsb-a'\nrun.seed = 42";
        let source = EventSource::open(&workload(text), 42).unwrap();
        let seen: Vec<_> = events::<i64>(&source, 4)
            .iter()
            .map(|event| (event.key, event.value, event.operation as u8, event.payload.head(), event.payload.0.len()))
            .collect();
        insta::assert_snapshot!(format!("{seen:?}"), @"[(154920, 610, 1, 5817929513078396571, 100), (742627, 678, 0, 0, 0), (850630, 873, 0, 0, 0), (631165, 233, 0, 0, 0)]");
        let text = "keys = { cardinality = 1_000_000, type.string.length = '12 b' }\nrun.seed = 42";
        let source = EventSource::open(&workload(text), 42).unwrap();
        let seen: Vec<_> = events::<StringKey>(&source, 3).iter().map(|e| e.key.as_str().to_owned()).collect();
        insta::assert_snapshot!(format!("{seen:?}"), @r#"["08luuq8q30g1", "0dny1kn94igq", "0637scfn83de"]"#);
    }

    #[test]
    fn blocks_are_the_same_however_many_threads_take_them() {
        for text in
            ["operator.mix.preset = 'ycsb-f'\nkeys.distribution = 'latest'", "operator.regular-join.retract = 0.3"]
        {
            let workload = workload(text);
            let alone: Vec<Event<i64>> = events(&EventSource::open(&workload, 7).unwrap(), 15_000);
            let source = EventSource::open(&workload, 7).unwrap();
            let mut together: Vec<Event<i64>> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| events::<i64>(&source, 15_000))).collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
            together.sort_by_key(|event| event.sequence);
            assert_eq!(together, alone);
            assert!(alone.iter().map(|event| event.sequence).eq(0..15_000));
        }
    }

    #[test]
    fn a_retraction_takes_back_the_row_of_an_earlier_event() {
        let workload = workload("operator.regular-join = { left-share = 0.3, retract = 0.25, retract-after = 500 }");
        let events: Vec<Event<i64>> = events(&EventSource::open(&workload, 7).unwrap(), 40_000);
        let row = |event: &Event<i64>| (event.key, event.value, event.stream, event.payload.clone());
        let (mut retracted, mut left) = (0.0, 0.0);
        for event in &events {
            left += f64::from(1 - event.stream);
            if event.operation == MixOperation::Delete {
                let earlier = &events[event.sequence as usize - 512];
                assert_eq!((earlier.operation, row(earlier)), (MixOperation::Read, row(event)));
                assert_eq!(event.time_ms, event.processing_ms);
                retracted += 1.0;
            }
        }
        assert!(
            (retracted / 4e4 - 0.25_f64).abs() < 0.01 && (left / 4e4 - 0.3_f64).abs() < 0.01,
            "{retracted}, {left}"
        );
    }

    #[test]
    fn the_prefill_has_every_key_once() {
        let workload = workload("keys.cardinality = 3_000");
        let mut keys: Vec<_> =
            events::<i64>(&EventSource::prefill(&workload), u64::MAX).iter().map(|e| e.key).collect();
        assert!(!keys.is_sorted(), "in scattered order");
        keys.sort_unstable();
        assert!(keys.into_iter().eq(0..3_000));
    }

    #[test]
    fn another_repeat_has_other_events_over_the_same_hot_keys() {
        let workload = workload("keys = { cardinality = 100_000, distribution.zipf.exponent = 1.2 }");
        let hottest = |repeat| {
            let source = EventSource::open(&workload, stream_seed(workload.run.seed, repeat)).unwrap();
            let mut counts = std::collections::HashMap::new();
            events::<i64>(&source, 20_000).iter().for_each(|event| *counts.entry(event.key).or_insert(0) += 1);
            let hottest = counts.iter().max_by_key(|(_, count)| **count).unwrap();
            (*hottest.0, *hottest.1)
        };
        assert_eq!(hottest(0).0, hottest(1).0);
        assert_ne!(hottest(0).1, hottest(1).1);
    }

    #[test]
    fn phases_change_time_mix_and_hot_keys() {
        let text = "keys = { cardinality = 1_000, distribution.zipf.exponent = 1.5 }\nvalues.size = 16\n\
                    operator.mix = { read = 1.0 }\nrun.warm-up = 1\n\
                    phase = [{ name = 'a', events = 4096, shift-keys = 0.5, mix = { update = 1.0 } }, \
                    { name = 'b', events = 4096, rate = 4096, pause = '1 h' }]";
        let workload = workload(text);
        let source = EventSource::open(&workload, 1).unwrap();
        let mut together: Vec<Event<i64>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| events::<i64>(&source, 3 * 4_096))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        together.sort_by_key(|event| event.sequence);
        let hottest = |events: &[Event<i64>]| {
            let mut counts = std::collections::HashMap::new();
            events.iter().for_each(|event| *counts.entry(event.key).or_insert(0) += 1);
            counts.into_iter().max_by_key(|(_, count)| *count).unwrap()
        };
        let parts: Vec<_> = together.chunks(4_096).collect();
        let hot: Vec<_> = parts.iter().map(|part| hottest(part)).collect();
        assert!(hot[0].0 == hot[2].0 && hot[0].0 != hot[1].0, "{hot:?}");
        // The hottest key of zipf 1.5 has 39 % of the events.
        assert!(hot.iter().all(|(_, count)| (1_450..1_750).contains(count)), "{hot:?}");
        let updates = |part: &[Event<i64>]| part.iter().filter(|e| e.operation == MixOperation::Update).count();
        assert_eq!([0, 1, 2].map(|part| updates(parts[part])), [0, 4_096, 0]);
        assert_eq!(parts[2][0].processing_ms, 2 * 4_096 + 3_600_000);
        assert_eq!(parts[2][4_095].processing_ms, 2 * 4_096 + 3_600_000 + 999);
        assert_eq!(parts[2][0].watermark_ms, (2 * 4_096 + 3_600_000) / 200 * 200 - 1);
        assert_eq!(source.now_at(2 * 4_096), parts[2][0].now());
    }

    #[test]
    fn watermarks_follow_the_latest_time_by_the_disorder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.csv"), "t,k\n1000,a\n900,b\n2000,a\n1990,b\n").unwrap();
        let text =
            "source.trace = { path = 'a.csv', time = 't', key = 'k', disorder = '150 ms' }\nkeys.type = 'string'";
        let workload = Workload::new(&toml::from_str(text).unwrap(), folder.path()).unwrap();
        let source = EventSource::open(&workload, 1).unwrap();
        let seen: Vec<_> = events::<StringKey>(&source, u64::MAX).iter().map(|e| (e.time_ms, e.watermark_ms)).collect();
        assert_eq!(seen, [(1000, i64::MIN), (900, 849), (2000, 849), (1990, 1849)]);
        assert!(source.has_ended());
    }
}
