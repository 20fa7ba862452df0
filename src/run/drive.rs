//! The hot loops. Nothing in them allocates, locks, logs or calls through a pointer; what is dynamic is called once for
//! a batch, through [`Subtask`].

use std::path::Path;
use std::time::{Duration, Instant};

use crate::backend::{
    Census, ChangelogBackend, ChangelogStorage, CleanedEntries, ExpiringState, FetchedFiles, MaterializePlan, Metered,
    Observed, PendingSnapshot, Prefill, SnapshotRequest, Snapshots, TtlBackend,
};
use crate::checkpoint::{CheckpointError, KeyedHandle, OperatorHandle, Output, SnapshotTarget, StoredCheckpoint};
use crate::measure::{Pace, PaceClock, Probe, RealClock, Stretch};
use crate::operator::{Collector, Operator, TaskInfo};
use crate::result::Changelog;
use crate::source::Event;
use crate::state::{
    Digest, HeapUse, JvmHeap, Key, KeyGroups, KeyedStateBackend, OperatorStateHandle, OperatorStateSnapshot,
    StateResult,
};
use crate::workload::Now;

/// Runs the operator over a batch of events and returns the time that it took. Events that are not timed go to the
/// backend itself, with no instrument on the way; those that are go through the metered one.
///
/// # Errors
/// A state access failed.
pub fn drive<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut Metered<B>,
    operator: &mut O,
    batch: &mut [Event<K>],
    out: &mut Collector,
) -> StateResult<Duration> {
    let start = Instant::now();
    backend.probe.resume(start);
    let mut rest = batch;
    while let Some(first) = rest.first() {
        let now = first.now();
        if is_due::<K, O>(now, out.now()) {
            advance_from(backend, operator, now, out)?;
        }
        // What comes before time moves on again.
        let run = rest.iter().position(|event| is_due::<K, O>(event.now(), now)).unwrap_or(rest.len());
        let (run, later) = rest.split_at_mut(run);
        drive_run(backend, operator, run, out)?;
        rest = later;
    }
    let end = Instant::now();
    backend.probe.pause(end);
    Ok(end - start)
}

/// Whether time has moved on so far that timers may be due.
#[inline(always)]
fn is_due<K: Key, O: Operator<K>>(now: Now, before: Now) -> bool {
    now.watermark_ms > before.watermark_ms || (O::HAS_PROCESSING_TIMERS && now.processing_ms > before.processing_ms)
}

/// Moves the time of an operator on, and lets it do what is due. How long that takes is recorded apart from the events.
///
/// # Errors
/// A state access failed.
pub fn advance<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut Metered<B>,
    operator: &mut O,
    now: Now,
    out: &mut Collector,
) -> StateResult<Duration> {
    let start = Instant::now();
    backend.inner.set_current_time(now.processing_ms);
    if is_due::<K, O>(now, out.now()) {
        advance_from(backend, operator, now, out)?;
    }
    Ok(start.elapsed())
}

#[inline(never)] // rare beside events
fn advance_from<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut Metered<B>,
    operator: &mut O,
    now: Now,
    out: &mut Collector,
) -> StateResult<()> {
    let start = Instant::now();
    backend.inner.set_current_time(now.processing_ms);
    out.set_now(now);
    let fired = operator.on_time(&mut backend.inner, now, out)?;
    backend.probe.fired(fired, start.elapsed());
    Ok(())
}

/// Runs the operator over events between which no timer is due.
#[inline(always)]
fn drive_run<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut Metered<B>,
    operator: &mut O,
    mut rest: &mut [Event<K>],
    out: &mut Collector,
) -> StateResult<()> {
    if backend.probe.is_handicapped() {
        return drive_held_back(backend, operator, rest, out);
    }
    while !rest.is_empty() {
        rest = match backend.probe.next_stretch(rest.len()) {
            Stretch::Untimed(count) => {
                let (now, later) = rest.split_at_mut(count);
                drive_untimed(&mut backend.inner, operator, now, out)?;
                later
            }
            Stretch::Timed(count) => {
                let (now, later) = rest.split_at_mut(count);
                backend.probe.begin();
                drive_timed(backend, operator, now, out)?;
                later
            }
        };
    }
    Ok(())
}

/// The same, slowed down on purpose: a timed event by busy work at its begin, a stretch of untimed ones at its end.
#[inline(never)] // not in the way of what is measured in earnest
fn drive_held_back<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut Metered<B>,
    operator: &mut O,
    mut rest: &mut [Event<K>],
    out: &mut Collector,
) -> StateResult<()> {
    while !rest.is_empty() {
        rest = match backend.probe.next_stretch(rest.len()) {
            Stretch::Untimed(count) => {
                let (now, later) = rest.split_at_mut(count);
                drive_untimed(&mut backend.inner, operator, now, out)?;
                backend.probe.hold_back(count);
                later
            }
            Stretch::Timed(count) => {
                let (now, later) = rest.split_at_mut(count);
                backend.probe.begin();
                for event in now.chunks_mut(1) {
                    backend.probe.hold_back(1);
                    drive_timed(backend, operator, event, out)?;
                }
                later
            }
        };
    }
    Ok(())
}

#[inline(never)] // one symbol in a profile
fn drive_untimed<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut B,
    operator: &mut O,
    batch: &mut [Event<K>],
    out: &mut Collector,
) -> StateResult<()> {
    for event in batch {
        backend.set_current_time(event.processing_ms);
        if O::BROADCAST_INPUT != Some(event.stream) {
            backend.set_current_key(&event.key);
        }
        operator.process(backend, event, out)?;
    }
    Ok(())
}

/// The probe has begun a stretch of timed events.
#[inline(never)] // one symbol in a profile
fn drive_timed<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut Metered<B>,
    operator: &mut O,
    batch: &mut [Event<K>],
    out: &mut Collector,
) -> StateResult<()> {
    for event in batch {
        backend.probe.event_begin();
        backend.set_current_time(event.processing_ms);
        if O::BROADCAST_INPUT != Some(event.stream) {
            backend.set_current_key(&event.key);
        }
        operator.process(backend, event, out)?;
        backend.probe.event_end();
    }
    Ok(())
}

/// Runs the operator over a batch of events as they arrive; the time that it took, waiting included. State accesses are not
/// timed one by one: the end of each event is read off the clock, and is the begin of the next.
///
/// # Errors
/// A state access failed.
#[inline(never)] // one symbol in a profile
pub fn drive_paced<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut Metered<B>,
    operator: &mut O,
    batch: &mut [Event<K>],
    out: &mut Collector,
    pace: &mut Pace<'_, impl PaceClock>,
) -> StateResult<()> {
    for event in batch {
        pace.event_begin();
        let now = event.now();
        if is_due::<K, O>(now, out.now()) {
            advance_from(backend, operator, now, out)?;
        }
        backend.inner.set_current_time(event.processing_ms);
        if O::BROADCAST_INPUT != Some(event.stream) {
            backend.inner.set_current_key(&event.key);
        }
        operator.process(&mut backend.inner, event, out)?;
        backend.probe.served(pace.event_end());
    }
    Ok(())
}

/// What reaches a subtask beside the events of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivery {
    /// See [`Operator::BROADCAST_INPUT`].
    pub broadcast_input: Option<u8>,
    /// See [`Operator::SEES_EVERY_WATERMARK`].
    pub every_watermark: bool,
}

impl Delivery {
    /// Whether an event goes to all subtasks.
    #[inline]
    pub fn is_broadcast<K>(self, event: &Event<K>) -> bool {
        self.broadcast_input == Some(event.stream)
    }
}

/// One subtask, whatever its backend and operator: what is done with it, a batch at a time.
pub trait Subtask<K>: Send {
    /// What reaches the operator, or the first of a pipeline, beside the events of its keys.
    fn delivery(&self) -> Delivery;
    /// Puts what a job that ran before would have left for the keys of a batch.
    fn prefill(&mut self, batch: &mut [Event<K>]) -> StateResult<()>;
    /// From here on a prefill is collected, to be ingested at its end, where the backend can.
    fn begin_ingest(&mut self);
    /// Takes in what was collected.
    fn end_ingest(&mut self) -> StateResult<()>;
    /// Saves the state into a folder for other trials to start from.
    fn save_prefill(&mut self, folder: &Path) -> StateResult<()>;
    /// Reads a saved state, where the backend was not opened on a copy of it.
    fn load_prefill(&mut self, folder: &Path) -> StateResult<()>;
    /// Runs the operator, or the first of a pipeline, over a batch and returns the time that it took.
    fn process(&mut self, batch: &mut [Event<K>]) -> StateResult<Duration>;
    /// The same as events arrive; the time includes what was spent waiting for them.
    fn process_paced(&mut self, batch: &mut [Event<K>], pace: &mut Pace<'_, RealClock<'_>>) -> StateResult<Duration>;
    /// The operators behind the first, in the order in which rows flow.
    fn later(&mut self) -> &mut [Box<dyn Subtask<i64>>] {
        &mut []
    }
    /// Takes the rows that the operator, or the first of a pipeline, has emitted for the next one.
    fn take_rows(&mut self) -> Vec<Event<i64>>;
    /// The latest results by key, where the operator keeps them: of a pipeline those of its last operator.
    fn latest(&self) -> Vec<(i64, i64)>;
    /// Moves time on, and returns how long what was due took.
    fn advance(&mut self, now: Now) -> StateResult<Duration>;
    /// Counts the entries of the state. It reads them all.
    fn census(&mut self) -> StateResult<Census>;
    /// Expired entries that were removed so far, by whom.
    fn cleaned(&self) -> CleanedEntries;
    /// Waits until the backend has no background work left.
    fn settle(&mut self) -> StateResult<()>;
    /// What the state takes on a Java heap of this size (modelled); none where it is not kept there.
    fn heap_use(&self, heap: JvmHeap) -> Option<HeapUse>;
    /// Objects that the state would be on a Java heap (modelled); none where it is not kept there. It walks all of it.
    fn heap_objects(&self) -> Option<u64>;
    /// What was emitted so far.
    fn emitted(&self) -> Digest;
    /// Events that came too late so far.
    fn late_events(&self) -> u64;
    /// The digest over the state.
    fn state_digest(&mut self) -> StateResult<Digest>;
    /// The instrument, of a pipeline that of its first operator.
    fn probe(&mut self) -> &mut Probe;
    /// The store below the backend, or the stores of a pipeline.
    fn store(&self) -> &dyn Observed;
    /// Begins a snapshot of the operator, of a pipeline of its first: the synchronous part of a checkpoint.
    fn begin_snapshot(&mut self, request: &SnapshotRequest<'_>) -> StateResult<PendingOperator>;
    /// Logs changes of the operator from here on.
    fn begin_log(&mut self, storage: ChangelogStorage, plan: MaterializePlan, now: Now) -> StateResult<()>;
    /// Materializes the operator's state where that is due; how long processing stood still.
    fn materialize_if_due(&mut self, now: Now) -> StateResult<Duration>;
    /// The end of the log, if there is one.
    fn end_log(&mut self) -> StateResult<Option<Changelog>>;
    /// Goes on from a checkpoint: the operator, of a pipeline its first. Nothing was processed before.
    fn restore(&mut self, part: &OperatorPart<'_>) -> Result<(), CheckpointError>;
}

/// A snapshot of an operator that is to be written.
pub struct PendingOperator {
    keyed: Box<dyn PendingSnapshot>,
    operator_state: Option<OperatorStateSnapshot>,
    output: Output,
}

impl PendingOperator {
    /// Writes it: the asynchronous part.
    ///
    /// # Errors
    /// The storage failed.
    pub fn write(self, target: &SnapshotTarget<'_>) -> Result<OperatorHandle, CheckpointError> {
        let keyed = self.keyed.write(target)?;
        let operator_state = self.operator_state.map(|snapshot| {
            let OperatorStateHandle { bytes, states } = snapshot.write();
            let (stream, ()) = target.write_stream("operator", |out| out.write_all(&bytes))?;
            Ok::<_, CheckpointError>((stream, states))
        });
        Ok(OperatorHandle { keyed, operator_state: operator_state.transpose()?, output: self.output })
    }
}

/// What of a checkpoint one operator of one subtask goes on from.
pub struct OperatorPart<'a> {
    /// The checkpoint.
    pub checkpoint: &'a StoredCheckpoint,
    /// The keyed state of the old subtasks whose key groups it has.
    pub keyed: Vec<&'a KeyedHandle>,
    /// The files of theirs that were brought to this machine.
    pub files: FetchedFiles,
    /// Its partitions of the operator state.
    pub operator_state: Vec<OperatorStateHandle>,
    /// What it had emitted.
    pub output: Output,
}

/// A subtask over one backend and one operator.
pub struct OperatorSubtask<K: Key, B: Prefill<K>, O> {
    backend: Metered<TtlBackend<ChangelogBackend<B>>>,
    operator: O,
    task: TaskInfo,
    out: Collector,
    loader: Option<B::Loader>,
}

impl<K: Key, B: Prefill<K> + ExpiringState<K> + 'static, O: Operator<K>> OperatorSubtask<K, B, O> {
    /// Opens the operator on a backend.
    pub fn open(
        (backend, groups): (B, KeyGroups),
        spec: &O::Spec,
        task: TaskInfo,
        probe: Probe,
        out: Collector,
    ) -> StateResult<Self> {
        let backend = ChangelogBackend::new(backend, groups, task.subtask);
        let mut backend = Metered { inner: TtlBackend::new(backend), probe };
        let mut operator = O::open(spec, &mut backend)?;
        operator.initialize_state(task, false)?;
        Ok(Self { backend, operator, task, out, loader: None })
    }
}

fn prefill<K: Key, B: KeyedStateBackend<K>, O: Operator<K>>(
    backend: &mut B,
    operator: &mut O,
    batch: &mut [Event<K>],
) -> StateResult<()> {
    for event in batch {
        backend.set_current_time(event.processing_ms);
        backend.set_current_key(&event.key);
        operator.prefill(backend, event)?;
    }
    Ok(())
}

impl<K: Key, B, O: Operator<K> + Send> Subtask<K> for OperatorSubtask<K, B, O>
where
    B: Prefill<K> + ExpiringState<K> + Snapshots<K> + Observed + Send + 'static,
{
    fn delivery(&self) -> Delivery {
        Delivery { broadcast_input: O::BROADCAST_INPUT, every_watermark: O::SEES_EVERY_WATERMARK }
    }
    fn prefill(&mut self, batch: &mut [Event<K>]) -> StateResult<()> {
        if !O::HAS_PREFILL {
            return Ok(());
        }
        match &mut self.loader {
            Some(loader) => prefill(loader, &mut self.operator, batch),
            None => prefill(&mut self.backend.inner, &mut self.operator, batch),
        }
    }
    fn begin_ingest(&mut self) {
        self.loader = self.backend.inner.inner.loader();
    }
    fn end_ingest(&mut self) -> StateResult<()> {
        self.loader.take().map_or(Ok(()), |loader| self.backend.inner.inner.ingest(loader))
    }
    fn save_prefill(&mut self, folder: &Path) -> StateResult<()> {
        self.backend.inner.inner.save_prefill(folder)
    }
    fn load_prefill(&mut self, folder: &Path) -> StateResult<()> {
        self.backend.inner.inner.load_prefill(folder)
    }
    fn process(&mut self, batch: &mut [Event<K>]) -> StateResult<Duration> {
        drive(&mut self.backend, &mut self.operator, batch, &mut self.out)
    }
    fn process_paced(&mut self, batch: &mut [Event<K>], pace: &mut Pace<'_, RealClock<'_>>) -> StateResult<Duration> {
        let start = Instant::now();
        drive_paced(&mut self.backend, &mut self.operator, batch, &mut self.out, pace)?;
        Ok(start.elapsed())
    }
    fn take_rows(&mut self) -> Vec<Event<i64>> {
        self.out.take_rows()
    }
    fn latest(&self) -> Vec<(i64, i64)> {
        self.out.latest().collect()
    }
    fn advance(&mut self, now: Now) -> StateResult<Duration> {
        advance(&mut self.backend, &mut self.operator, now, &mut self.out)
    }
    fn census(&mut self) -> StateResult<Census> {
        self.backend.inner.inner.census()
    }
    fn cleaned(&self) -> CleanedEntries {
        self.backend.inner.cleaned::<K>()
    }
    fn settle(&mut self) -> StateResult<()> {
        self.backend.settle()
    }
    fn heap_use(&self, heap: JvmHeap) -> Option<HeapUse> {
        self.backend.heap_use(heap)
    }
    fn heap_objects(&self) -> Option<u64> {
        self.backend.heap_objects()
    }
    fn emitted(&self) -> Digest {
        self.out.digest()
    }
    fn late_events(&self) -> u64 {
        self.out.late_events()
    }
    fn state_digest(&mut self) -> StateResult<Digest> {
        let mut digest = self.backend.state_digest()?;
        self.operator.operator_states().iter().for_each(|state| digest.merge(state.digest()));
        Ok(digest)
    }
    fn probe(&mut self) -> &mut Probe {
        &mut self.backend.probe
    }
    fn store(&self) -> &dyn Observed {
        &self.backend.inner.inner
    }
    fn begin_snapshot(&mut self, request: &SnapshotRequest<'_>) -> StateResult<PendingOperator> {
        let states = self.operator.operator_states();
        let operator_state = (!states.is_empty()).then(|| OperatorStateSnapshot::take(&states));
        let output = Output {
            emitted: self.out.digest(),
            late_events: self.out.late_events(),
            now: self.out.now(),
            latest: self.out.kept_latest().collect(),
        };
        Ok(PendingOperator { keyed: self.backend.inner.inner.begin_snapshot(request)?, operator_state, output })
    }
    fn begin_log(&mut self, storage: ChangelogStorage, plan: MaterializePlan, now: Now) -> StateResult<()> {
        self.backend.inner.inner.begin_log::<K>(storage, plan, now)
    }
    fn materialize_if_due(&mut self, now: Now) -> StateResult<Duration> {
        self.backend.inner.inner.end_round::<K>(now)
    }
    fn end_log(&mut self) -> StateResult<Option<Changelog>> {
        self.backend.inner.inner.end_log()
    }
    fn restore(&mut self, part: &OperatorPart<'_>) -> Result<(), CheckpointError> {
        self.backend.inner.inner.restore(part.checkpoint, &part.keyed, &part.files)?;
        OperatorStateHandle::restore(&part.operator_state, &mut self.operator.operator_states())?;
        self.operator.initialize_state(self.task, true)?;
        let Output { emitted, late_events, now, latest } = &part.output;
        self.out.restore(*emitted, *late_events, *now, latest.iter().copied());
        self.backend.set_current_time(now.processing_ms);
        Ok(())
    }
}
