//! The subtasks of a trial, from an empty state to a report.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Observer;
use super::checkpoints::{CheckpointedRun, Replayed};
use super::coordinator::{Coordinator, Trigger};
use super::drive::Subtask;
use super::growth::{GrowthWatch, growth};
use super::heap::HeapShare;
use super::observe::{Observation, Watched, first_of_pool, observe};
use super::open_loop::{self, Arriving};
use super::restore::RestorePlan;
use super::stage::{Checkpointed, Stage, StageEnd, StageWork, run_stage};
use super::steady::judged;
use super::timeline::{TimelineWatch, timeline};
use super::trial::{Phase, PrefillFrom, Progress, Report, TrialError, TrialSpec, folder_bytes};
use crate::checkpoint::Position;
use crate::measure::{
    AccessKind, Calibration, Condition, Probe, ProcessTimes, Recorder, Strategy, allocated_bytes, allocator_stalls,
    empty_interval_ns, record_ns, resident_bytes, thread_allocated_bytes,
};
use crate::result::{
    AccessLatency, ConditionLatency, Firing, HeapMemory, KeyedResult, Latency, Measurement, OpenLoop,
    OperatorMeasurement, PhaseMeasurement, PrefillOrigin, ProcessUse, RehashStalls, Timing, TimingStrategy,
    slow_event_share,
};
use crate::source::{BLOCK_EVENTS, Event, EventSource, SourceKey};
use crate::state::{Digest, HeapUse, JvmHeap, StateError, StateResult};
use crate::workload::{BackendType, Extent, Now, PrefillBy, ROUND_EVENTS, Step, Workload};

/// Opens a subtask, by its index, for a pass over the events, from nothing or from a checkpoint.
type Open<'a, K> =
    dyn Fn(&str, u16, &dyn Fn() -> Probe, Option<&RestorePlan>) -> Result<Box<dyn Subtask<K>>, TrialError> + 'a;

/// What a trial is set up from.
pub struct Setup<'a, K> {
    /// What the parent asked for.
    pub spec: &'a TrialSpec,
    /// The workload in it.
    pub workload: &'a Workload,
    /// Hears of progress.
    pub observer: &'a dyn Observer,
    /// Opens the subtasks.
    pub open: &'a Open<'a, K>,
    /// Where the state comes from that is there before the run.
    pub prefill_by: PrefillOrigin,
}

/// One subtask with what is noted about it.
struct Noted<K> {
    subtask: Box<dyn Subtask<K>>,
    busy: Duration,
    boundaries: Vec<(u64, Digest)>,
    /// Time per event of blocks without and with timing, ns.
    untimed_ns: Vec<f64>,
    timed_ns: Vec<f64>,
    timeline: TimelineWatch,
    growth: GrowthWatch,
    /// What each round of events took, ns, and what it took until the one before.
    rounds_ns: Vec<u64>,
    round_busy: Duration,
    /// Events that had come too late when measuring began.
    late_before: u64,
    /// Its part in the Java heap of its TaskManager.
    heap: HeapShare,
    /// What the processing of measured events has allocated in this process, bytes.
    allocated_bytes: Option<u64>,
    /// Its events as they arrive, in an open loop.
    arriving: Option<Arriving>,
}

/// Blocks with fewer events say little about the time of one.
const LEAST_CALIBRATION_EVENTS: usize = 64;
/// Blocks of each kind that a calibration needs.
const LEAST_CALIBRATION_BLOCKS: usize = 4;
/// Sampling distance of the heap where the warm-up is too short to calibrate.
const UNCALIBRATED_EVERY: u32 = 64;

/// The pass over the events that is measured; the other one verifies.
pub const RUN_PASS: &str = "run";

/// Runs prefill, warm-up, the measured part and the digests; or the prefill alone, where it is to be saved, and reports
/// nothing.
///
/// # Errors
/// The source or the store failed, or the user stopped it.
pub fn run_subtasks<K: SourceKey>(setup: &Setup<'_, K>) -> Result<Option<Report>, TrialError> {
    let workload = setup.workload;
    let empty_ns = empty_interval_ns();
    let source = EventSource::open(workload, setup.spec.stream_seed)?;
    let restored = CheckpointedRun::restored(setup)?;
    let prefilling = Instant::now();
    let mut subtasks = open_subtasks(setup, RUN_PASS, empty_ns, restored.as_ref())?;
    let Some(prefill_keys) = prefilled(setup, restored.is_some(), &mut subtasks)? else { return Ok(None) };
    let prefill_s = prefilling.elapsed().as_secs_f64();

    let (warm_end, begin) = match &restored {
        Some(restored) => resume(&source, restored)?,
        None => warm_up(setup, &source, &mut subtasks)?,
    };
    let calibration = calibrate(&mut subtasks);
    let strategy = strategy(setup, calibration);
    hold_back(setup, calibration, &mut subtasks)?;
    let started = Instant::now();
    subtasks.iter_mut().for_each(|noted| noted.begin_measuring((workload, setup.spec.stream_seed), begin, started));
    let heap_before = java_heap_use(&subtasks);
    let has_state = prefill_keys > 0 || begin.next_block > 0;
    let mut checkpointed = begin_checkpoints(setup, restored.as_ref(), (begin, has_state), &mut subtasks)?;
    let coordinator = checkpointed.as_ref().map(CheckpointedRun::coordinator);
    let process_before = ProcessTimes::now();
    let Found { end, recorders, phases } = measure(setup, &source, &mut subtasks, begin, strategy, coordinator)?;
    if end.events == 0 {
        return Err(TrialError::NothingMeasured(warm_end.events));
    }
    if let Some(checkpointed) = &mut checkpointed {
        checkpointed.end(subtasks.iter_mut().map(|noted| &mut noted.subtask))?;
    }

    let (process, resident) = (process_use(process_before), resident_bytes());
    let first_of_pool = first_of_pool(&setup.spec.options, workload.run.groups.parallelism);
    let Observation { memory, shape, counters, cache_curve } = observe(watched(&subtasks, &first_of_pool))?;
    let heap = heap_memory(&subtasks, heap_before, setup.spec.options.task_slots);
    let store_bytes = store_bytes(setup);
    let checkpoint_bytes = checkpoint_bytes(setup, &mut subtasks)?;
    let (boundaries, emitted) = merge_emitted(&subtasks);
    let recorder = of_all_operators(&recorders);
    let later = later_operators(&workload.later, &recorders, &mut subtasks);
    let latest = latest(&subtasks);
    let late_events = late_events(&subtasks);
    let growth = growth(workload, subtasks.iter().map(|noted| &noted.growth));
    let busy_s: Vec<f64> = subtasks.iter().map(|noted| noted.busy.as_secs_f64()).collect();
    let is_timed = matches!(workload.run.measured, Extent::Time(_));
    let restores = checkpointed.as_ref().is_some_and(CheckpointedRun::is_to_be_restored);
    let end_state = if is_timed && !restores { None } else { Some(digest_states(setup, &mut subtasks)?) };
    let open_loop = open_loop(workload, end.events, &subtasks);
    let round_ns = median_round_ns(&mut subtasks);
    let watches = subtasks.into_iter().map(|noted| noted.timeline).zip(first_of_pool).collect::<Vec<_>>();
    let replay = |plan: &RestorePlan| replay(setup, plan, end.next_block, empty_ns, round_ns);
    let ended = (emitted, end_state.unwrap_or_default());
    let checkpoints = checkpointed.map(|run| run.finish(setup, &recorder, ended, replay)).transpose()?;
    let (state, state_after_events) = match end_state {
        Some(state) if !is_timed => (state, warm_end.events + begin.events + end.events),
        _ => verify(setup, empty_ns)?,
    };
    let timeline = timeline(watches.iter().map(|(watch, first)| (watch, *first)), checkpoints.as_ref());
    let timing = timing((strategy, calibration, empty_ns), &end, &busy_s, &watches);
    let measurement = Measurement {
        parallelism: workload.run.groups.parallelism,
        prefill_keys,
        prefill_by: setup.prefill_by,
        prefill_s,
        warm_up_events: warm_end.events,
        events: end.events,
        skipped_rows: source.skipped_rows(),
        wall_s: end.elapsed.as_secs_f64(),
        throughput_events_per_s: throughput(end.events, &busy_s),
        busy_s,
        timing,
        slow_event_share: slow_event_share(&recorder.event),
        phases,
        event_latency: Latency::of(&recorder.event),
        access_latency: access_latency(&recorder),
        window_duration: (!recorder.windows.is_empty()).then(|| Latency::of(&recorder.windows)),
        emitted,
        state,
        state_after_events,
        resident_bytes: resident.map(|(now, _)| now),
        resident_peak_bytes: resident.map(|(_, peak)| peak),
        process,
        store_bytes,
        store_memory: memory,
        store_shape: shape,
        store_counters: counters,
        cache_curve,
        heap,
        late_events,
        firing: firing(&recorder),
        growth,
        checkpoint_bytes,
        checkpoints,
        open_loop,
        timeline: Some(timeline),
        steadiness: None,
        working_set: None,
        latency_during: latency_during(&recorder),
        later,
        latest,
    };
    Ok(Some(Report { measurement: judged(measurement, warm_end.elapsed), boundaries }))
}

/// Puts or reads the state that is there before the run; how many keys it has. None where it was only to be saved.
fn prefilled<K: SourceKey>(
    setup: &Setup<'_, K>,
    is_restored: bool,
    subtasks: &mut [Noted<K>],
) -> Result<Option<u64>, TrialError> {
    match &setup.spec.prefill {
        PrefillFrom::Copy(base) => load_prefill(setup, subtasks, base).map(Some),
        PrefillFrom::Own if is_restored => Ok(Some(0)),
        PrefillFrom::Own => Ok(Some(prefill(setup, subtasks)?.events)),
        PrefillFrom::Make(base) => {
            prefill(setup, subtasks)?;
            save_prefill(subtasks, base)?;
            Ok(None)
        }
    }
}

/// What the measured part found, as a whole and by phase.
struct Found {
    end: StageEnd,
    /// Of each operator.
    recorders: Vec<Recorder>,
    phases: Vec<PhaseMeasurement>,
}

/// Runs the warm-up; where it ended, and where the measured part begins.
fn warm_up<K: SourceKey>(
    setup: &Setup<'_, K>,
    source: &EventSource,
    subtasks: &mut [Noted<K>],
) -> Result<(StageEnd, Position), TrialError> {
    let extent = setup.workload.run.warm_up_extent();
    let mut warming: Vec<_> = subtasks.iter_mut().map(WarmUp).collect();
    let end = run_stage(&stage(setup, source, Phase::WarmUp, 0, extent), &mut warming)?;
    let before = (end.next_block * BLOCK_EVENTS as u64).checked_sub(1);
    let now = before.map_or(Now::START, |sequence| source.now_at(sequence));
    Ok((end, Position { next_block: end.next_block, phase: 0, phase_events: 0, events: 0, now }))
}

/// Begins with checkpoints, and with the logs of changes where they have those. There may be state already.
fn begin_checkpoints<K: SourceKey>(
    setup: &Setup<'_, K>,
    restored: Option<&RestorePlan>,
    (begin, has_state): (Position, bool),
    subtasks: &mut [Noted<K>],
) -> Result<Option<CheckpointedRun>, TrialError> {
    let Some(run) = CheckpointedRun::begin(setup, restored, begin)? else { return Ok(None) };
    run.begin_logs(setup, subtasks.iter_mut().map(|noted| &mut noted.subtask), begin.now, has_state)?;
    Ok(Some(run))
}

/// Goes on from a checkpoint: nothing of the warm-up is done again.
fn resume(source: &EventSource, restored: &RestorePlan) -> Result<(StageEnd, Position), TrialError> {
    let position = restored.checkpoint.metadata.position;
    source.skip_to(position.next_block)?;
    let warm_up_events = position.next_block * BLOCK_EVENTS as u64 - position.events;
    Ok((StageEnd { next_block: position.next_block, events: warm_up_events, elapsed: Duration::ZERO }, position))
}

/// Runs the measured part from a position in it, one phase after the other where it has some.
fn measure<K: SourceKey>(
    setup: &Setup<'_, K>,
    source: &EventSource,
    subtasks: &mut [Noted<K>],
    begin: Position,
    strategy: Strategy,
    coordinator: Option<&Arc<Coordinator>>,
) -> Result<Found, TrialError> {
    let phases = setup.workload.phases.iter().map(|phase| (Some(&phase.name), Extent::Events(phase.events)));
    let mut parts: Vec<_> = phases.collect();
    if parts.is_empty() {
        parts.push((None, setup.workload.run.measured));
    }
    let end = StageEnd { next_block: begin.next_block, events: 0, elapsed: Duration::ZERO };
    let mut found = Found { end, recorders: Vec::new(), phases: Vec::new() };
    for (phase, (name, extent)) in parts.into_iter().enumerate().skip(begin.phase) {
        let phase_events = if phase == begin.phase { begin.phase_events } else { 0 };
        let extent = match extent {
            Extent::Events(events) => Extent::Events(events.saturating_sub(phase_events)),
            other => other,
        };
        let busy_before: Vec<_> = subtasks.iter().map(|noted| noted.busy).collect();
        subtasks.iter_mut().for_each(|noted| noted.begin_phase(strategy));
        let stage = stage(setup, source, Phase::Measure, found.end.next_block, extent);
        let position = Position { phase, phase_events, events: begin.events + found.end.events, ..begin };
        let checkpoints = coordinator.map(|coordinator| Checkpointed { coordinator, begin: position });
        let observer = setup.observer;
        let measured = |(noted, index)| Measured { noted, index, coordinator, observer };
        let mut work: Vec<_> = subtasks.iter_mut().zip(0..).map(measured).collect();
        let end = run_stage(&Stage { done: found.end.events, checkpoints, ..stage }, &mut work)?;
        let busy = subtasks.iter().zip(busy_before).map(|(noted, before)| noted.busy.saturating_sub(before));
        let busy_s = busy.map(|busy| busy.as_secs_f64()).collect();
        let mut recorders = recorders(subtasks);
        found.phases.extend(name.map(|name| phase_measurement(name, end, busy_s, &recorders)));
        recorders.iter_mut().zip(&found.recorders).for_each(|(all, before)| all.merge(before));
        found.recorders = recorders;
        found.end.next_block = end.next_block;
        found.end.events += end.events;
        found.end.elapsed += end.elapsed;
    }
    subtasks.iter_mut().try_for_each(Noted::end_measuring)?;
    Ok(found)
}

/// What all subtasks have recorded of each operator, the first and those behind it.
fn recorders<K>(subtasks: &mut [Noted<K>]) -> Vec<Recorder> {
    let mut all: Vec<Recorder> = Vec::new();
    for noted in subtasks {
        let first = noted.subtask.probe().recorder().clone();
        let later = noted.subtask.later().iter_mut().map(|operator| operator.probe().recorder().clone());
        let own: Vec<_> = std::iter::once(first).chain(later).collect();
        if all.is_empty() {
            all = own;
        } else {
            all.iter_mut().zip(&own).for_each(|(all, own)| all.merge(own));
        }
    }
    all
}

/// The events of the first operator, with the state accesses and timers of all.
fn of_all_operators(recorders: &[Recorder]) -> Recorder {
    let mut all = Recorder::default();
    for (place, recorder) in recorders.iter().enumerate() {
        if place == 0 { all.merge(recorder) } else { all.merge_accesses(recorder) }
    }
    all
}

fn phase_measurement(name: &str, end: StageEnd, busy_s: Vec<f64>, recorders: &[Recorder]) -> PhaseMeasurement {
    let recorder = of_all_operators(recorders);
    PhaseMeasurement {
        name: name.to_owned(),
        events: end.events,
        wall_s: end.elapsed.as_secs_f64(),
        throughput_events_per_s: throughput(end.events, &busy_s),
        busy_s,
        slow_event_share: slow_event_share(&recorder.event),
        event_latency: Latency::of(&recorder.event),
        access_latency: access_latency(&recorder),
        window_duration: (!recorder.windows.is_empty()).then(|| Latency::of(&recorder.windows)),
        firing: firing(&recorder),
    }
}

fn stage<'a, K>(
    setup: &'a Setup<'_, K>,
    source: &'a EventSource,
    phase: Phase,
    first_block: u64,
    extent: Extent,
) -> Stage<'a> {
    let groups = setup.workload.run.groups;
    Stage { phase, source, first_block, extent, done: 0, groups, observer: setup.observer, checkpoints: None }
}

/// Opens all subtasks, each from its part of a checkpoint where there is one.
fn open_subtasks<K: SourceKey>(
    setup: &Setup<'_, K>,
    pass: &str,
    empty_ns: u64,
    restored: Option<&RestorePlan>,
) -> Result<Vec<Noted<K>>, TrialError> {
    let open = |(index, heap)| -> Result<Noted<K>, TrialError> {
        let probe = || Probe::new(empty_ns, setup.spec.stream_seed ^ u64::from(index));
        let mut subtask = (setup.open)(pass, index, &probe, restored)?;
        if let Some(plan) = restored {
            plan.restore(&mut *subtask, index)?;
        }
        Ok(Noted {
            timeline: TimelineWatch::begin(
                Instant::now(),
                setup.workload.run.timeline_interval,
                subtask.store(),
                Recorder::default().event,
            ),
            subtask,
            busy: Duration::ZERO,
            boundaries: Vec::new(),
            growth: GrowthWatch::never(),
            rounds_ns: Vec::new(),
            round_busy: Duration::ZERO,
            late_before: 0,
            untimed_ns: Vec::new(),
            timed_ns: Vec::new(),
            heap,
            allocated_bytes: Some(0),
            arriving: None,
        })
    };
    let parallelism = setup.workload.run.groups.parallelism;
    let heap = JvmHeap { bytes: setup.spec.options.heap_bytes()? };
    let heaps = HeapShare::of_subtasks(parallelism, setup.spec.options.task_slots, heap);
    let mut subtasks: Vec<_> = (0..parallelism).zip(heaps).map(open).collect::<Result<_, _>>()?;
    if let Some(plan) = restored
        && plan.checkpoint.metadata.state_digest.is_some()
    {
        plan.check_digest(digest_states(setup, &mut subtasks)?)?;
    }
    Ok(subtasks)
}

fn prefill<K: SourceKey>(setup: &Setup<'_, K>, subtasks: &mut [Noted<K>]) -> Result<StageEnd, TrialError> {
    let source = EventSource::prefill(setup.workload);
    let extent = Extent::Events(setup.workload.prefill_keys());
    if setup.workload.run.prefill_by == PrefillBy::Ingest {
        subtasks.iter_mut().for_each(|noted| noted.subtask.begin_ingest());
    }
    let mut work: Vec<_> = subtasks.iter_mut().map(Prefill).collect();
    let end = run_stage(&stage(setup, &source, Phase::Prefill, 0, extent), &mut work)?;
    in_parallel(subtasks, |noted| {
        noted.subtask.end_ingest()?;
        noted.subtask.settle()
    })?;
    Ok(end)
}

/// Reads the state of a prefill that another trial has saved; its keys.
fn load_prefill<K>(setup: &Setup<'_, K>, subtasks: &mut [Noted<K>], base: &Path) -> Result<u64, TrialError> {
    let keys = setup.workload.prefill_keys();
    for (noted, subtask) in subtasks.iter_mut().zip(0_u16..) {
        noted.subtask.load_prefill(&base.join(subtask.to_string()))?;
        noted.check_heap().map_err(|error| TrialError::of_state(error, Phase::Prefill, keys))?;
    }
    Ok(keys)
}

fn save_prefill<K: SourceKey>(subtasks: &mut [Noted<K>], base: &Path) -> StateResult<()> {
    subtasks
        .iter_mut()
        .zip(0..)
        .try_for_each(|(noted, subtask)| noted.subtask.save_prefill(&base.join(subtask.to_string())))
}

/// Restores a checkpoint and processes the events behind it, up to a block, as the run did.
fn replay<K: SourceKey>(
    setup: &Setup<'_, K>,
    plan: &RestorePlan,
    end_block: u64,
    empty_ns: u64,
    median_round_ns: u64,
) -> Result<Replayed, TrialError> {
    let begin = Instant::now();
    let mut subtasks = open_subtasks(setup, "restore", empty_ns, Some(plan))?;
    let restored = begin.elapsed();
    let source = EventSource::open(setup.workload, setup.spec.stream_seed)?;
    let position = plan.checkpoint.metadata.position;
    source.skip_to(position.next_block)?;
    let events = if matches!(setup.workload.run.measured, Extent::Time(_)) {
        let extent = Extent::Events(end_block.saturating_sub(position.next_block) * BLOCK_EVENTS as u64);
        let stage = stage(setup, &source, Phase::Verify, position.next_block, extent);
        let mut work: Vec<_> = subtasks.iter_mut().zip(0..).map(Measured::untriggered(setup.observer)).collect();
        run_stage(&stage, &mut work)?.events
    } else {
        measure(setup, &source, &mut subtasks, position, Strategy::Off, None)?.end.events
    };
    let until = |rounds: &[u64]| restored + Duration::from_nanos(rounds.iter().sum());
    let recovered = |noted: &Noted<K>| {
        let round = noted.rounds_ns.iter().position(|ns| 5 * ns <= 6 * median_round_ns)?;
        Some(until(&noted.rounds_ns[..=round]))
    };
    let recovered: Option<Vec<_>> = subtasks.iter().map(recovered).collect();
    let first = subtasks.iter().map(|noted| until(&noted.rounds_ns[..noted.rounds_ns.len().min(1)]));
    Ok(Replayed {
        restored,
        first_events: first.max().unwrap_or(restored),
        recovered: recovered.and_then(|all| all.into_iter().max()),
        events,
        emitted: merge_emitted(&subtasks).1,
        state: digest_states(setup, &mut subtasks)?,
    })
}

/// What a round of events took in the median, ns.
fn median_round_ns<K>(subtasks: &mut [Noted<K>]) -> u64 {
    let mut rounds: Vec<u64> = subtasks.iter_mut().flat_map(|noted| std::mem::take(&mut noted.rounds_ns)).collect();
    rounds.sort_unstable();
    rounds.get(rounds.len() / 2).copied().unwrap_or(0)
}

/// Processes the first events again, untimed and from an empty state, and digests the state that they leave: trials of
/// a fixed duration stop at different events, so their final states cannot be compared.
fn verify<K: SourceKey>(setup: &Setup<'_, K>, empty_ns: u64) -> Result<(Digest, u64), TrialError> {
    let source = EventSource::open(setup.workload, setup.spec.stream_seed)?;
    let mut subtasks = open_subtasks(setup, "verify", empty_ns, None)?;
    let extent = Extent::Events(setup.workload.run.verify_events);
    let mut work: Vec<_> = subtasks.iter_mut().zip(0..).map(Measured::untriggered(setup.observer)).collect();
    let end = run_stage(&stage(setup, &source, Phase::Verify, 0, extent), &mut work)?;
    Ok((digest_states(setup, &mut subtasks)?, end.events))
}

fn digest_states<K: SourceKey>(setup: &Setup<'_, K>, subtasks: &mut [Noted<K>]) -> Result<Digest, TrialError> {
    setup.observer.progress(&Progress { phase: Phase::Verify, events: 0, share: None, elapsed_s: 0.0 });
    let digests = in_parallel(subtasks, |noted| noted.subtask.state_digest())?;
    let mut all = Digest::default();
    digests.into_iter().for_each(|digest| all.merge(digest));
    Ok(all)
}

/// Does the same to every subtask, each on a thread of its own.
fn in_parallel<S: Send, T: Send>(
    subtasks: &mut [S],
    action: impl Fn(&mut S) -> StateResult<T> + Sync,
) -> Result<Vec<T>, StateError> {
    let action = &action;
    std::thread::scope(|scope| {
        let handles: Vec<_> = subtasks.iter_mut().map(|subtask| scope.spawn(move || action(subtask))).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

struct Prefill<'a, K>(&'a mut Noted<K>);

impl<K: SourceKey> StageWork<K> for Prefill<'_, K> {
    fn process(&mut self, batch: &mut [Event<K>]) -> StateResult<()> {
        self.0.subtask.prefill(batch)?;
        self.0.check_heap()
    }
    fn subtask(&mut self) -> &mut dyn Subtask<K> {
        &mut *self.0.subtask
    }
    fn end_round(&mut self, _: u64, _: Now) -> StateResult<()> {
        Ok(())
    }
}

/// Runs blocks without and with timing in turn, to learn what timing costs.
struct WarmUp<'a, K>(&'a mut Noted<K>);

impl<K: SourceKey> StageWork<K> for WarmUp<'_, K> {
    fn process(&mut self, batch: &mut [Event<K>]) -> StateResult<()> {
        let Noted { subtask, untimed_ns, timed_ns, .. } = &mut *self.0;
        let (strategy, times) =
            if timed_ns.len() < untimed_ns.len() { (Strategy::Every, timed_ns) } else { (Strategy::Off, untimed_ns) };
        subtask.probe().set_strategy(strategy);
        let time = subtask.process(batch)?;
        if batch.len() >= LEAST_CALIBRATION_EVENTS {
            times.push(time.as_nanos() as f64 / batch.len() as f64);
        }
        self.0.check_heap()
    }
    fn subtask(&mut self) -> &mut dyn Subtask<K> {
        &mut *self.0.subtask
    }
    fn spent(&mut self, _: Duration) -> StateResult<()> {
        self.0.check_heap()
    }
    fn end_round(&mut self, sequence: u64, _: Now) -> StateResult<()> {
        self.0.end_round(sequence);
        Ok(())
    }
}

struct Measured<'a, K> {
    noted: &'a mut Noted<K>,
    index: u16,
    coordinator: Option<&'a Arc<Coordinator>>,
    observer: &'a dyn Observer,
}

impl<'a, K> Measured<'a, K> {
    /// Without checkpoints.
    fn untriggered(observer: &'a dyn Observer) -> impl Fn((&'a mut Noted<K>, u16)) -> Self {
        move |(noted, index)| Self { noted, index, coordinator: None, observer }
    }
}

impl<K: SourceKey> StageWork<K> for Measured<'_, K> {
    fn process(&mut self, batch: &mut [Event<K>]) -> StateResult<()> {
        let Self { noted, coordinator, observer, .. } = self;
        let in_checkpoint = coordinator.is_some_and(|coordinator| coordinator.is_running());
        noted.subtask.probe().set_in_checkpoint(in_checkpoint);
        noted.look_around(Instant::now())?;
        let before = thread_allocated_bytes();
        let took = match &mut noted.arriving {
            None => noted.subtask.process(batch)?,
            Some(arriving) => {
                arriving.process(&mut *noted.subtask, batch, (noted.busy, in_checkpoint), &|| observer.interrupted())?
            }
        };
        noted.busy += took;
        noted.timeline.add(batch.len(), took);
        let allocated = thread_allocated_bytes().zip(before).map(|(after, before)| after - before);
        noted.allocated_bytes = noted.allocated_bytes.zip(allocated).map(|(all, more)| all + more);
        noted.check_heap()
    }
    fn subtask(&mut self) -> &mut dyn Subtask<K> {
        &mut *self.noted.subtask
    }
    fn spent(&mut self, time: Duration) -> StateResult<()> {
        self.noted.busy += time;
        self.noted.timeline.add(0, time);
        self.noted.check_heap()
    }
    fn end_round(&mut self, sequence: u64, now: Now) -> StateResult<()> {
        let noted = &mut *self.noted;
        noted.end_round(sequence);
        noted.rounds_ns.push(noted.busy.saturating_sub(noted.round_busy).as_nanos() as u64);
        noted.round_busy = noted.busy;
        if let Some(arriving) = &mut noted.arriving {
            arriving.end_round(noted.busy);
        }
        if self.coordinator.is_some() {
            noted.materialize_if_due(now)?;
        }
        noted.growth.look(sequence, now, &mut *noted.subtask)
    }
    /// What processing stands still for counts as its own time, as it does for a job.
    fn checkpoint(&mut self, coordinator: &Arc<Coordinator>, trigger: &Arc<Trigger>) -> StateResult<()> {
        let subtask = &mut *self.noted.subtask;
        let digest = if coordinator.wants_digests() { Some(subtask.state_digest()?) } else { None };
        let stood_still = coordinator.snapshot(trigger, self.index, digest, |request| {
            let mut pending = vec![subtask.begin_snapshot(request)?];
            for operator in subtask.later() {
                pending.push(operator.begin_snapshot(request)?);
            }
            Ok(pending)
        });
        self.noted.busy += stood_still;
        self.noted.round_busy += stood_still;
        self.noted.timeline.add(0, stood_still);
        Ok(())
    }
}

impl<K> Noted<K> {
    /// What comes from here on is measured.
    fn begin_measuring(&mut self, (workload, stream_seed): (&Workload, u64), begin: Position, started: Instant) {
        self.busy = Duration::ZERO;
        self.watch_stores();
        self.growth = GrowthWatch::begin(workload, begin.next_block * BLOCK_EVENTS as u64);
        self.late_before = self.subtask.late_events();
        let first_sequence = begin.next_block * BLOCK_EVENTS as u64;
        self.arriving = workload.load.map(|load| Arriving::begin(load, stream_seed, first_sequence));
        let latencies = match &self.arriving {
            Some(arriving) => arriving.response().clone(),
            None => self.subtask.probe().recorder().event.clone(),
        };
        let interval = workload.run.timeline_interval;
        self.timeline = TimelineWatch::begin(started, interval, self.subtask.store(), latencies);
    }

    /// Lets the probe of each operator look at what goes on in its store.
    fn watch_stores(&mut self) {
        if let Some(conditions) = self.subtask.store().conditions() {
            self.subtask.probe().watch(conditions);
        }
        for operator in self.subtask.later() {
            if let Some(conditions) = operator.store().conditions() {
                operator.probe().watch(conditions);
            }
        }
    }

    /// Looks at the store and at what was recorded, if it is time to; called between batches.
    fn look_around(&mut self, now: Instant) -> StateResult<()> {
        if self.timeline.is_over(now) {
            self.absorb();
            self.timeline.close(now, self.subtask.store())?;
        }
        Ok(())
    }

    /// Hands what was recorded to the timeline: in an open loop the response times.
    fn absorb(&mut self) {
        match &self.arriving {
            Some(arriving) => self.timeline.absorb(arriving.response()),
            None => self.timeline.absorb(&self.subtask.probe().recorder().event),
        }
    }

    /// What is timed from here on is part of another phase: no window of timed events is part of two.
    fn begin_phase(&mut self, strategy: Strategy) {
        self.absorb();
        self.subtask.probe().start_anew(strategy);
        self.subtask.later().iter_mut().for_each(|operator| operator.probe().start_anew(strategy));
        if self.arriving.is_none() {
            self.timeline.cleared();
        }
    }

    /// The measured part is over.
    fn end_measuring(&mut self) -> StateResult<()> {
        self.absorb();
        self.timeline.end(self.subtask.store())
    }

    /// Lets the operators materialize their state. What processing stands still for counts as its own time.
    fn materialize_if_due(&mut self, now: Now) -> StateResult<()> {
        let mut stood_still = self.subtask.materialize_if_due(now)?;
        for operator in self.subtask.later() {
            stood_still += operator.materialize_if_due(now)?;
        }
        self.busy += stood_still;
        self.round_busy += stood_still;
        self.timeline.add(0, stood_still);
        Ok(())
    }

    /// Notes what the state takes of the Java heap; the heap may be full.
    fn check_heap(&mut self) -> StateResult<()> {
        self.subtask.heap_use(self.heap.heap()).map_or(Ok(()), |used| self.heap.note(used))
    }

    fn end_round(&mut self, sequence: u64) {
        if is_boundary(sequence) {
            self.boundaries.push((sequence, self.subtask.emitted()));
        }
    }
}

/// What the state of all subtasks takes on a Java heap; none where it is not kept there.
fn java_heap_use<K>(subtasks: &[Noted<K>]) -> Option<HeapUse> {
    subtasks.iter().filter_map(|noted| noted.subtask.heap_use(noted.heap.heap())).reduce(|mut all, one| {
        all.add(one);
        all
    })
}

/// What the state takes in memory; `before` is what it took when measuring began.
fn heap_memory<K>(subtasks: &[Noted<K>], before: Option<HeapUse>, task_slots: u16) -> Option<HeapMemory> {
    let (used, before) = java_heap_use(subtasks).zip(before)?;
    let allocated = subtasks.iter().map(|noted| noted.allocated_bytes);
    Some(HeapMemory {
        jvm_live_bytes: used.live_bytes,
        jvm_array_bytes: used.array_bytes,
        jvm_objects: subtasks.iter().map(|noted| noted.subtask.heap_objects()).sum(),
        entries: used.entries,
        jvm_allocated_bytes: used.allocated_bytes - before.allocated_bytes,
        jvm_heap_bytes: subtasks.first()?.heap.heap().bytes,
        task_managers: (subtasks.len() as u16).div_ceil(task_slots),
        process_live_bytes: allocated_bytes(),
        process_allocated_bytes: allocated.sum(),
        rehash: subtasks.iter().filter_map(|noted| noted.subtask.store().rehash_stalls()).reduce(RehashStalls::plus),
        allocator: allocator_stalls(),
    })
}

/// Whether the emitted digest is kept after this many events: at whole rounds, ever farther apart, about 64 in each
/// doubling. The same for every trial, so that any two have boundaries in common near the end of the shorter one.
fn is_boundary(sequence: u64) -> bool {
    let rounds = sequence / ROUND_EVENTS;
    sequence.is_multiple_of(ROUND_EVENTS) && rounds > 0 && rounds.is_multiple_of(1 << rounds.ilog2().saturating_sub(6))
}

/// What all subtasks emitted, at each boundary and in the end.
fn merge_emitted<K>(subtasks: &[Noted<K>]) -> (Vec<(u64, Digest)>, Digest) {
    let mut boundaries = subtasks.first().map(|noted| noted.boundaries.clone()).unwrap_or_default();
    let mut all = Digest::default();
    for (index, noted) in subtasks.iter().enumerate() {
        all.merge(noted.subtask.emitted());
        if index > 0 {
            for (merged, (_, digest)) in boundaries.iter_mut().zip(&noted.boundaries) {
                merged.1.merge(*digest);
            }
        }
    }
    (boundaries, all)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    (values.len() >= LEAST_CALIBRATION_BLOCKS).then(|| values[values.len() / 2])
}

/// What timing costs, from the warm-up of all subtasks: the median over pairs of neighbouring blocks, one untimed and
/// one timed, so that a store that grows slower or faster meanwhile is not taken for the clock.
fn calibrate<K>(subtasks: &mut [Noted<K>]) -> Option<Calibration> {
    let untimed = median(subtasks.iter().flat_map(|noted| noted.untimed_ns.iter().copied()).collect())?;
    let pairs = subtasks.iter().flat_map(|noted| noted.untimed_ns.iter().zip(&noted.timed_ns));
    let timed = untimed * median(pairs.map(|(untimed, timed)| timed / untimed).collect())?;
    let (mut accesses, mut events) = (0, 0);
    for noted in subtasks {
        let probe = noted.subtask.probe();
        accesses += probe.timed_accesses();
        events += probe.recorder().event.len();
    }
    Some(Calibration::choose(untimed, timed, accesses as f64 / events.max(1) as f64))
}

/// How often the clock is read: as the user says, as calibration finds, or by the backend where there is neither.
fn strategy<K>(setup: &Setup<'_, K>, calibration: Option<Calibration>) -> Strategy {
    if setup.workload.load.is_some() {
        return Strategy::Every; // an open loop reads the clock at the end of each event
    }
    match (setup.workload.run.sample_every, calibration, setup.spec.options.backend) {
        // RocksDB's accesses take about a microsecond even at their fastest: all are timed.
        (Some(1), ..) | (None, _, BackendType::RocksDb) => Strategy::Every,
        (Some(every), ..) => Strategy::Sampled(every),
        (None, Some(calibration), _) => calibration.strategy,
        (None, None, BackendType::HashMap | BackendType::Null) => Strategy::Sampled(UNCALIBRATED_EVERY),
    }
}

/// From here on events take longer by the handicap, where the trial has one.
fn hold_back<K>(
    setup: &Setup<'_, K>,
    calibration: Option<Calibration>,
    subtasks: &mut [Noted<K>],
) -> Result<(), TrialError> {
    let Some(percent) = setup.spec.handicap_percent.filter(|percent| *percent > 0.0) else { return Ok(()) };
    let event_ns = percent / 100.0 * calibration.ok_or(TrialError::NoHandicap)?.untimed_ns;
    subtasks.iter_mut().for_each(|noted| noted.subtask.probe().set_handicap(event_ns));
    Ok(())
}

/// Events over the time of the busiest subtask, which is what holds a job back.
fn throughput(events: u64, busy_s: &[f64]) -> f64 {
    let busiest = busy_s.iter().copied().fold(0.0, f64::max);
    if busiest > 0.0 { events as f64 / busiest } else { 0.0 }
}

/// How latency was taken, and what the instruments cost. In an open loop the wall says nothing of the harness.
fn timing(
    (strategy, calibration, empty_interval_ns): (Strategy, Option<Calibration>, u64),
    end: &StageEnd,
    busy_s: &[f64],
    watches: &[(TimelineWatch, bool)],
) -> Timing {
    let (kind, sample_every) = match strategy {
        Strategy::Sampled(every) => (TimingStrategy::Sampled, every),
        Strategy::Every | Strategy::Off => (TimingStrategy::Every, 1),
    };
    let wall_s = end.elapsed.as_secs_f64();
    let beside_s = wall_s - busy_s.iter().copied().fold(0.0, f64::max);
    let looking = watches.iter().map(|(watch, _)| watch.looking()).max().unwrap_or_default();
    Timing {
        strategy: kind,
        sample_every,
        window_events: strategy.window_events(),
        untimed_event_ns: calibration.map(|c| c.untimed_ns),
        loss_per_timed_event_ns: calibration.map(|c| c.loss_ns),
        loss_share: calibration.map(|c| c.loss_share(strategy)),
        empty_interval_ns,
        record_ns: Some(record_ns()),
        harness_ns_per_event: Some(beside_s.max(0.0) * 1e9 / end.events as f64),
        looking_share: Some(looking.as_secs_f64() / wall_s).filter(|share| share.is_finite()),
    }
}

/// The stores of all subtasks with what was seen of them.
fn watched<'a, K>(subtasks: &'a [Noted<K>], first_of_pool: &'a [bool]) -> impl Iterator<Item = Watched<'a>> {
    let watched = |(noted, first): (&'a Noted<K>, &bool)| Watched {
        store: noted.subtask.store(),
        watch: &noted.timeline,
        first_of_pool: *first,
    };
    subtasks.iter().zip(first_of_pool).map(watched)
}

/// What this process has taken since.
fn process_use(before: Option<ProcessTimes>) -> Option<ProcessUse> {
    let (before, after) = (before?, ProcessTimes::now()?);
    let device = after.device.zip(before.device).map(|(after, before)| (after.0 - before.0, after.1 - before.1));
    Some(ProcessUse {
        user_ns: after.user_ns - before.user_ns,
        system_ns: after.system_ns - before.system_ns,
        minor_faults: after.minor_faults - before.minor_faults,
        major_faults: after.major_faults - before.major_faults,
        voluntary_switches: after.voluntary_switches - before.voluntary_switches,
        involuntary_switches: after.involuntary_switches - before.involuntary_switches,
        device_read_bytes: device.map(|(read, _)| read),
        device_written_bytes: device.map(|(_, written)| written),
    })
}

/// Bytes of the files of all databases; none where there are none.
fn store_bytes<K>(setup: &Setup<'_, K>) -> Option<u64> {
    if setup.spec.options.backend != BackendType::RocksDb {
        return None;
    }
    let folder = |subtask| setup.spec.state_folder.join(format!("{RUN_PASS}-{subtask}"));
    (0..setup.workload.run.groups.parallelism).map(|subtask| folder_bytes(&folder(subtask)).ok()).sum()
}

/// The size of a full checkpoint at the end of the measured part, where the state is looked at: written, weighed and
/// removed, outside of every other figure.
fn checkpoint_bytes<K>(setup: &Setup<'_, K>, subtasks: &mut [Noted<K>]) -> Result<Option<u64>, TrialError> {
    if setup.workload.run.growth_samples == 0 || setup.spec.options.backend == BackendType::Null {
        return Ok(None);
    }
    let folder = setup.spec.state_folder.join("checkpoint");
    let failed = |error| TrialError::Folder(folder.clone(), error);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    for (noted, subtask) in subtasks.iter_mut().zip(0..) {
        noted.subtask.save_prefill(&folder.join(format!("{subtask}")))?;
        for (operator, place) in noted.subtask.later().iter_mut().zip(1..) {
            operator.save_prefill(&folder.join(format!("{subtask}-{place}")))?;
        }
    }
    let bytes = folder_bytes(&folder).map_err(failed)?;
    std::fs::remove_dir_all(&folder).map_err(failed)?;
    Ok(Some(bytes))
}

/// What the operators of a pipeline behind the first did.
fn later_operators<K>(steps: &[Step], recorders: &[Recorder], subtasks: &mut [Noted<K>]) -> Vec<OperatorMeasurement> {
    let mut emitted = vec![Digest::default(); steps.len()];
    for noted in subtasks {
        for (all, operator) in emitted.iter_mut().zip(noted.subtask.later()) {
            all.merge(operator.emitted());
        }
    }
    let of_step = |((step, own), emitted): ((&Step, &Recorder), Digest)| OperatorMeasurement {
        name: step.name.clone(),
        row_latency: Latency::of(&own.event),
        emitted: Some(emitted),
    };
    steps.iter().zip(recorders.iter().skip(1)).zip(emitted).map(of_step).collect()
}

/// Events of the measured part that came too late.
fn late_events<K>(subtasks: &[Noted<K>]) -> u64 {
    subtasks.iter().map(|noted| noted.subtask.late_events() - noted.late_before).sum()
}

/// What came of an open loop.
fn open_loop<K>(workload: &Workload, events: u64, subtasks: &[Noted<K>]) -> Option<OpenLoop> {
    let arriving = subtasks.iter().filter_map(|noted| Some((noted.arriving.as_ref()?, noted.busy)));
    open_loop::report(workload.load?, events, arriving)
}

/// The latest results by key of all subtasks, in order of the keys.
fn latest<K>(subtasks: &[Noted<K>]) -> Vec<KeyedResult> {
    let mut latest: Vec<_> = subtasks.iter().flat_map(|noted| noted.subtask.latest()).collect();
    latest.sort_unstable();
    latest.into_iter().map(|(key, value)| KeyedResult { key, value }).collect()
}

/// Timers that were fired, if any were.
fn firing(recorder: &Recorder) -> Option<Firing> {
    (recorder.timers_fired > 0).then(|| Firing {
        timers: recorder.timers_fired,
        busy_s: recorder.firing_ns as f64 / 1e9,
        burst: Latency::of(&recorder.firings),
    })
}

/// Latency beside what went on, and beside nothing; empty where nothing ever did.
fn latency_during(recorder: &Recorder) -> Vec<ConditionLatency> {
    if recorder.event_disturbed.is_empty() {
        return Vec::new();
    }
    let of = |during: &str, histogram: &Histogram<u64>| ConditionLatency {
        during: during.to_owned(),
        latency: Latency::of(histogram),
    };
    let seen = Condition::ALL.iter().map(|&condition| (condition.name(), recorder.event_during(condition)));
    let mut all: Vec<_> = seen.filter(|(_, h)| !h.is_empty()).map(|(name, h)| of(name, h)).collect();
    all.push(of("undisturbed", &recorder.event_undisturbed()));
    all
}

fn access_latency(recorder: &Recorder) -> Vec<AccessLatency> {
    let recorded = AccessKind::ALL.iter().zip(&recorder.accesses).filter(|(_, histogram)| !histogram.is_empty());
    recorded.map(|(kind, h)| AccessLatency { kind: kind.name().to_owned(), latency: Latency::of(h) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_thin_out_but_stay_near() {
        let boundaries: Vec<u64> = (1..100_000).map(|round| round * ROUND_EVENTS).filter(|&s| is_boundary(s)).collect();
        assert!(boundaries.len() < 1_000);
        for pair in boundaries.windows(2) {
            assert!((pair[1] - pair[0]) as f64 <= ROUND_EVENTS as f64 + pair[0] as f64 / 63.0);
        }
        assert!(!is_boundary(0) && !is_boundary(ROUND_EVENTS + 1));
    }
}
