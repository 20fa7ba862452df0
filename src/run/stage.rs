//! One stage of a trial: rounds of events, made and routed by all threads, then processed by the subtask that owns
//! their key group.
//!
//! A round is a few blocks. First the threads take blocks from the source and sort the events by owner, outside the
//! timed sections; at a barrier they change sides, and each subtask processes its events block by block, so in order
//! of their sequence whatever the number of threads. Nothing is shared while a subtask processes. Events of a broadcast
//! stream are left for every subtask, and so are the watermarks of an operator that has to see each.

use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Observer;
use super::coordinator::{Coordinator, Trigger};
use super::drive::{Delivery, Subtask};
use super::trial::{Phase, Progress, TrialError};
use crate::checkpoint::Position;
use crate::source::{BLOCK_EVENTS, Event, EventSource, Scratch, SourceKey};
use crate::state::{Key, KeyGroups, StateError, StateResult};
use crate::workload::{Extent, Now, ROUND_EVENTS};

/// Blocks of a round that is not cut short by the end of its stage.
const ROUND_BLOCKS: u64 = ROUND_EVENTS / BLOCK_EVENTS as u64;

/// Time between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What a stage processes.
pub struct Stage<'a> {
    /// For progress reports.
    pub phase: Phase,
    /// Where the events come from.
    pub source: &'a EventSource,
    /// The first block; the source has handed out all before it.
    pub first_block: u64,
    /// Where it ends.
    pub extent: Extent,
    /// Events of the same part of the trial that stages before it have processed.
    pub done: u64,
    /// How keys are divided over subtasks.
    pub groups: KeyGroups,
    /// Hears of progress, and of the user's wish to stop.
    pub observer: &'a dyn Observer,
    /// Takes checkpoints, where the stage has any.
    pub checkpoints: Option<Checkpointed<'a>>,
}

/// The checkpoints of a stage.
#[derive(Clone, Copy)]
pub struct Checkpointed<'a> {
    /// Takes them.
    pub coordinator: &'a Arc<Coordinator>,
    /// Where the stage begins; `next_block` and `now` are those of its first round.
    pub begin: Position,
}

/// What a stage did.
#[derive(Debug, Clone, Copy)]
pub struct StageEnd {
    /// The first block that it left.
    pub next_block: u64,
    /// Events that it processed.
    pub events: u64,
    /// How long it took on the wall.
    pub elapsed: Duration,
}

/// What a subtask does in a stage.
pub trait StageWork<K>: Send {
    /// Processes the events of one block that belong to this subtask.
    fn process(&mut self, batch: &mut [Event<K>]) -> StateResult<()>;

    /// The subtask.
    fn subtask(&mut self) -> &mut dyn Subtask<K>;

    /// The subtask spent this time outside of [`process`](Self::process): on rows of an earlier operator, or on timers.
    fn spent(&mut self, _: Duration) -> StateResult<()> {
        Ok(())
    }

    /// The operators that rows go through one after another, at least one; the same in all subtasks.
    fn operators(&mut self) -> usize {
        1 + self.subtask().later().len()
    }

    /// An operator, by its place, has seen all of a round, which ended at this time: what is due there is done.
    fn end_operator(&mut self, operator: usize, now: Now) -> StateResult<()> {
        let subtask = self.subtask();
        let time = match operator.checked_sub(1) {
            None => subtask.advance(now)?,
            Some(later) => subtask.later()[later].advance(now)?,
        };
        self.spent(time)
    }

    /// Takes the rows that an operator has emitted for the next one.
    fn take_rows(&mut self, operator: usize) -> Vec<Event<i64>> {
        let subtask = self.subtask();
        match operator.checked_sub(1) {
            None => subtask.take_rows(),
            Some(later) => subtask.later()[later].take_rows(),
        }
    }

    /// Processes rows of the operator before this one, in order.
    fn process_rows(&mut self, operator: usize, rows: &mut [Event<i64>]) -> StateResult<()> {
        let time = self.subtask().later()[operator - 1].process(rows)?;
        self.spent(time)
    }

    /// A round has ended at this time: every event below `sequence` has been processed, and what follows from it.
    fn end_round(&mut self, sequence: u64, now: Now) -> StateResult<()>;

    /// The barrier of a checkpoint has come, behind the round.
    fn checkpoint(&mut self, _: &Arc<Coordinator>, _: &Arc<Trigger>) -> StateResult<()> {
        Ok(())
    }
}

/// The blocks of one round on their way from the threads that make them to the subtasks that own them.
struct Exchange<K> {
    /// By position of the block in the round, then by subtask.
    slots: Vec<Vec<Mutex<Vec<Event<K>>>>>,
    /// The watermarks of each block, where subtasks see every one.
    watermarks: Vec<Mutex<Vec<Now>>>,
    /// Rows on their way to each operator behind the first, then by subtask.
    rows: Vec<Vec<Mutex<Vec<Event<i64>>>>>,
}

/// The part of the source that a round takes.
#[derive(Clone)]
struct Round {
    first_block: u64,
    block_end: u64,
    /// Events from this sequence on are left out.
    limit: u64,
    /// The checkpoint that is taken at its end.
    checkpoint: Option<Arc<Trigger>>,
}

/// What the threads of a stage share.
struct Shared<'a, K> {
    stage: &'a Stage<'a>,
    delivery: Delivery,
    exchange: Exchange<K>,
    barrier: Barrier,
    round: Mutex<Option<Round>>,
    failure: Mutex<Option<TrialError>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a stage with one thread for each subtask.
///
/// # Errors
/// The source or a state store failed, or the user stopped the run.
pub fn run_stage<K: SourceKey, W: StageWork<K>>(stage: &Stage<'_>, subtasks: &mut [W]) -> Result<StageEnd, TrialError> {
    let threads = subtasks.len();
    let later = subtasks.first_mut().map_or(0, |first| first.operators() - 1);
    let delivery = subtasks.first_mut().map_or_else(Delivery::default, |first| first.subtask().delivery());
    let exchange = Exchange {
        slots: boxes(ROUND_BLOCKS as usize, threads),
        watermarks: std::iter::repeat_with(Mutex::default).take(ROUND_BLOCKS as usize).collect(),
        rows: boxes(later, threads),
    };
    let shared = Shared {
        stage,
        delivery,
        exchange,
        barrier: Barrier::new(threads),
        round: Mutex::new(None),
        failure: Mutex::new(None),
    };
    let started = Instant::now();
    let mut leader = Leader::new(stage, started);
    let events = std::thread::scope(|scope| {
        let (first, others) = subtasks.split_first_mut()?;
        let shared = &shared;
        let handles: Vec<_> = others
            .iter_mut()
            .zip(1..)
            .map(|(work, index)| scope.spawn(move || Worker::new(shared, index).run(work, None)))
            .collect();
        let mut events = Worker::new(shared, 0).run(first, Some(&mut leader));
        for handle in handles {
            events += handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        Some(events)
    });
    let elapsed = started.elapsed();
    match lock(&shared.failure).take() {
        Some(failure) => Err(failure),
        None => Ok(StageEnd { next_block: leader.next_block, events: events.unwrap_or(0), elapsed }),
    }
}

/// Empty boxes, so many rows of one for each subtask.
fn boxes<T>(rows: usize, subtasks: usize) -> Vec<Vec<Mutex<Vec<T>>>> {
    let row = || std::iter::repeat_with(Mutex::default).take(subtasks).collect();
    std::iter::repeat_with(row).take(rows).collect()
}

/// Decides about rounds; runs on the first subtask's thread.
struct Leader<'a> {
    stage: &'a Stage<'a>,
    started: Instant,
    reported: Instant,
    next_block: u64,
    block_end: u64,
    limit: u64,
}

impl<'a> Leader<'a> {
    fn new(stage: &'a Stage<'a>, started: Instant) -> Self {
        let first_event = stage.first_block * BLOCK_EVENTS as u64;
        let limit = match stage.extent {
            Extent::Events(events) => first_event.saturating_add(events),
            Extent::Time(_) | Extent::SourceEnd => u64::MAX,
        };
        let block_end = limit.div_ceil(BLOCK_EVENTS as u64);
        Self { stage, started, reported: started, next_block: stage.first_block, block_end, limit }
    }

    fn next_round(&mut self, failed: bool) -> Result<Option<Round>, TrialError> {
        if self.stage.observer.interrupted() {
            return Err(TrialError::Interrupted);
        }
        let elapsed = self.started.elapsed();
        let time_is_up = matches!(self.stage.extent, Extent::Time(time) if elapsed >= time);
        if failed || time_is_up || self.next_block >= self.block_end || self.stage.source.has_ended() {
            return Ok(None);
        }
        if self.reported.elapsed() >= PROGRESS_EVERY {
            self.reported = Instant::now();
            self.report(elapsed);
        }
        let block_end = (self.next_block + ROUND_BLOCKS).min(self.block_end);
        let checkpoint = self.checkpoint_behind(block_end)?;
        let round = Round { first_block: self.next_block, block_end, limit: self.limit, checkpoint };
        self.next_block = block_end;
        Ok(Some(round))
    }

    /// The checkpoint behind the round that ends with this block, if one is due. The virtual clock is asked for its time
    /// before the round, which every source knows.
    fn checkpoint_behind(&self, block_end: u64) -> Result<Option<Arc<Trigger>>, TrialError> {
        let Some(Checkpointed { coordinator, begin }) = self.stage.checkpoints else { return Ok(None) };
        if block_end * BLOCK_EVENTS as u64 > self.limit {
            return Ok(None); // it ends within a block, from which nobody could go on
        }
        let events = (block_end - self.stage.first_block) * BLOCK_EVENTS as u64;
        let before = (self.next_block * BLOCK_EVENTS as u64).checked_sub(1);
        let now = before.map_or(begin.now, |sequence| self.stage.source.now_at(sequence));
        let position = Position {
            next_block: block_end,
            phase: begin.phase,
            phase_events: begin.phase_events + events,
            events: begin.events + events,
            now,
        };
        Ok(coordinator.trigger(position)?)
    }

    fn report(&self, elapsed: Duration) {
        let events = (self.next_block - self.stage.first_block) * BLOCK_EVENTS as u64;
        let share = match self.stage.extent {
            Extent::Events(all) => Some(events as f64 / all as f64),
            Extent::Time(time) => Some(elapsed.as_secs_f64() / time.as_secs_f64()),
            Extent::SourceEnd => None,
        };
        let elapsed_s = elapsed.as_secs_f64();
        self.stage.observer.progress(&Progress { phase: self.stage.phase, events, share, elapsed_s });
    }
}

/// One thread of a stage.
struct Worker<'a, K> {
    shared: &'a Shared<'a, K>,
    index: usize,
    scratch: Scratch,
    outboxes: Vec<Vec<Event<K>>>,
    watermarks: Vec<Now>,
    inbox: Vec<Event<K>>,
}

impl<'a, K: SourceKey> Worker<'a, K> {
    fn new(shared: &'a Shared<'a, K>, index: usize) -> Self {
        let threads = shared.exchange.slots[0].len();
        let outboxes = std::iter::repeat_with(Vec::new).take(threads).collect();
        Self { shared, index, scratch: Scratch::default(), outboxes, watermarks: Vec::new(), inbox: Vec::new() }
    }

    /// Takes part in rounds until there is none left; returns the number of events processed. A thread that fails goes
    /// on meeting the others at the barriers and leaves the work.
    fn run(mut self, work: &mut impl StageWork<K>, mut leader: Option<&mut Leader<'_>>) -> u64 {
        let shared = self.shared;
        let mut events = 0;
        loop {
            if let Some(leader) = &mut leader {
                let failed = lock(&shared.failure).is_some();
                let next = leader.next_round(failed).unwrap_or_else(|error| {
                    lock(&shared.failure).get_or_insert(error);
                    None
                });
                *lock(&shared.round) = next;
                shared.exchange.watermarks.iter().for_each(|watermarks| lock(watermarks).clear());
            }
            shared.barrier.wait();
            let Some(round) = lock(&shared.round).clone() else { return events };
            let produced = self.produce(&round);
            self.note(produced);
            shared.barrier.wait();
            let processed = self.process(work, &round);
            events += self.note(processed).unwrap_or(0);
        }
    }

    fn note<T>(&self, result: Result<T, TrialError>) -> Option<T> {
        result.map_err(|error| lock(&self.shared.failure).get_or_insert(error).blame()).ok()
    }

    /// What a subtask failed with in a block. Memory that runs out is an answer, and says where.
    fn located(&self, error: StateError, block: u64) -> TrialError {
        let stage = self.shared.stage;
        let events = (block + 1 - stage.first_block) * BLOCK_EVENTS as u64;
        let most = if let Extent::Events(events) = stage.extent { events } else { u64::MAX };
        TrialError::of_state(error, stage.phase, stage.done + events.min(most))
    }

    /// Takes blocks and leaves their events for the subtasks that own them.
    fn produce(&mut self, round: &Round) -> Result<(), TrialError> {
        let (groups, delivery) = (self.shared.stage.groups, self.shared.delivery);
        loop {
            let (outboxes, watermarks) = (&mut self.outboxes, &mut self.watermarks);
            let route = |event: Event<K>| {
                if delivery.every_watermark && watermarks.last().is_none_or(|last| last.is_before(event.now())) {
                    watermarks.push(event.now());
                }
                match outboxes.as_mut_slice() {
                    [only] => only.push(event),
                    all if delivery.is_broadcast(&event) => {
                        all.iter_mut().for_each(|outbox| outbox.push(event.clone()));
                    }
                    all => all[usize::from(groups.subtask_of(groups.group_of(event.key.hash_code())))].push(event),
                }
            };
            let source = self.shared.stage.source;
            let Some(block) = source.take_block(round.block_end, round.limit, &mut self.scratch, route)? else {
                return Ok(());
            };
            let place = (block - round.first_block) as usize;
            std::mem::swap(&mut *lock(&self.shared.exchange.watermarks[place]), watermarks);
            for (slot, outbox) in self.shared.exchange.slots[place].iter().zip(outboxes) {
                std::mem::swap(&mut *lock(slot), outbox);
            }
        }
    }

    /// Processes this subtask's events of the round, and what follows from them in the operators behind the first. A
    /// subtask that has failed goes on meeting the others.
    fn process(&mut self, work: &mut impl StageWork<K>, round: &Round) -> Result<u64, TrialError> {
        let shared = self.shared;
        let failed = lock(&shared.failure).is_some();
        let sequence = round.limit.min(round.block_end * BLOCK_EVENTS as u64);
        let now = shared.stage.source.now_at(sequence.saturating_sub(1));
        let ended = shared.stage.source.has_ended();
        let last_block = round.block_end.saturating_sub(1);
        let mut processed = self.process_blocks(work, round, failed);
        let located = |error| self.located(error, last_block);
        for operator in 1..work.operators() {
            // Whatever happened, the others are met at the barrier.
            if let (Ok(_), false) = (&processed, failed)
                && let Err(error) = work.end_operator(operator - 1, now)
            {
                processed = Err(located(error));
            }
            self.send_rows(operator, work.take_rows(operator - 1));
            shared.barrier.wait();
            let mut rows = self.receive_rows(operator);
            let mut batches = rows.chunks_mut(BLOCK_EVENTS);
            if let (Ok(_), false) = (&processed, failed)
                && let Err(error) = batches.try_for_each(|rows| work.process_rows(operator, rows))
            {
                processed = Err(located(error));
            }
        }
        let events = processed?;
        if !failed {
            let last = work.operators() - 1;
            let end = work.end_operator(last, now);
            end.map_err(|error| self.located(error, last_block))?;
            if !ended {
                work.end_round(sequence, now).map_err(|error| self.located(error, last_block))?;
            }
            if let (Some(trigger), Some(checkpoints)) = (&round.checkpoint, shared.stage.checkpoints) {
                let begun = work.checkpoint(checkpoints.coordinator, trigger);
                begun.map_err(|error| self.located(error, last_block))?;
            }
        }
        Ok(events)
    }

    fn process_blocks(&mut self, work: &mut impl StageWork<K>, round: &Round, failed: bool) -> Result<u64, TrialError> {
        let (mut events, mut inbox) = (0, std::mem::take(&mut self.inbox));
        let exchange = &self.shared.exchange;
        for (block, (slot, watermarks)) in (round.first_block..).zip(exchange.slots.iter().zip(&exchange.watermarks)) {
            std::mem::swap(&mut *lock(&slot[self.index]), &mut inbox);
            if !failed && block < round.block_end {
                events += self.counted(&inbox);
                let watermarks = lock(watermarks).clone(); // of no length but for operators that see every one
                process_block(work, &mut inbox, &watermarks).map_err(|error| self.located(error, block))?;
            }
            inbox.clear();
        }
        self.inbox = inbox;
        Ok(events)
    }

    /// The events that count as this subtask's: of those that go to all, the first subtask counts each once.
    fn counted(&self, inbox: &[Event<K>]) -> u64 {
        let delivery = self.shared.delivery;
        let is_counted = |event: &&Event<K>| self.index == 0 || !delivery.is_broadcast(event);
        if delivery.broadcast_input.is_none() {
            inbox.len() as u64
        } else {
            inbox.iter().filter(is_counted).count() as u64
        }
    }

    /// Leaves the rows for the subtasks that own their keys in the next operator.
    fn send_rows(&self, operator: usize, rows: Vec<Event<i64>>) {
        let boxes = &self.shared.exchange.rows[operator - 1];
        if let [only] = boxes.as_slice() {
            *lock(only) = rows;
            return;
        }
        let groups = self.shared.stage.groups;
        let mut outboxes: Vec<Vec<Event<i64>>> = vec![Vec::new(); boxes.len()];
        for row in rows {
            outboxes[usize::from(groups.subtask_of(groups.group_of(row.key.hash_code())))].push(row);
        }
        boxes.iter().zip(outboxes).for_each(|(slot, mut outbox)| lock(slot).append(&mut outbox));
    }

    /// The rows of the round for this subtask, in order of the events that they came of: all rows of one event come
    /// from one subtask, and keep their order.
    fn receive_rows(&self, operator: usize) -> Vec<Event<i64>> {
        let boxes = &self.shared.exchange.rows[operator - 1];
        let mut rows = std::mem::take(&mut *lock(&boxes[self.index]));
        if boxes.len() > 1 {
            rows.sort_by_key(|row| row.sequence);
        }
        rows
    }
}

/// Processes the events of a block, and between them the watermarks that none of them brings along.
fn process_block<K>(work: &mut impl StageWork<K>, mut rest: &mut [Event<K>], watermarks: &[Now]) -> StateResult<()> {
    for now in watermarks {
        let before = rest.partition_point(|event| event.watermark_ms < now.watermark_ms);
        if rest.get(before).is_some_and(|event| event.watermark_ms == now.watermark_ms) {
            continue;
        }
        let (first, later) = rest.split_at_mut(before);
        if !first.is_empty() {
            work.process(first)?;
        }
        work.end_operator(0, *now)?;
        rest = later;
    }
    if rest.is_empty() { Ok(()) } else { work.process(rest) }
}
