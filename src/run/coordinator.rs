//! The checkpoint coordinator: Flink's `CheckpointCoordinator`, with the completed checkpoints that it retains.
//!
//! A checkpoint is triggered at the end of a round, where all subtasks meet and no row is on its way: the barrier has
//! passed every operator. Each subtask makes the synchronous part there and leaves the asynchronous part to a thread of its
//! own; the last of these to finish writes the metadata, with which the checkpoint is complete, and deletes what the
//! oldest retained one alone needed.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::drive::PendingOperator;
use crate::backend::SnapshotRequest;
use crate::checkpoint::{
    CheckpointError, CheckpointStorage, JobFolder, JobIdentity, Metadata, Position, SHARED_FOLDER, Scope,
    SharedStateRegistry, SnapshotKind, SnapshotTarget, StorageLock, StoredCheckpoint, SubtaskHandle, Written,
    unique_number,
};
use crate::result::CheckpointRecord;
use crate::state::{Digest, StateResult};
use crate::workload::{BackendType, CheckpointClock, CheckpointTrigger, Options, SavepointFormat, SavepointPlan};

/// What the coordinator goes by.
#[derive(Debug, Clone)]
pub struct CoordinatorSettings {
    /// When a checkpoint is due; none where only a savepoint is taken.
    pub trigger: Option<CheckpointTrigger>,
    /// Least time between the end of a checkpoint and the next trigger.
    pub min_pause: Duration,
    /// Time after which a checkpoint has failed, on the machine's clock.
    pub timeout: Duration,
    /// Failures in a row that the job survives.
    pub tolerable_failures: u32,
    /// Complete checkpoints that are kept.
    pub retained: usize,
    /// Whether a checkpoint may name files of earlier ones.
    pub incremental: bool,
    /// Whether key groups are compressed.
    pub compressed: bool,
    /// Streams up to this size go into the metadata, bytes.
    pub inline_threshold: u64,
    /// Threads that carry files.
    pub transfer_threads: u16,
    /// Whether each checkpoint carries a digest of its state.
    pub digests: bool,
    /// The savepoint to be taken.
    pub savepoint: Option<SavepointPlan>,
}

impl CoordinatorSettings {
    /// What the options of a configuration say.
    pub fn of(options: &Options, trigger: Option<CheckpointTrigger>) -> Self {
        Self {
            trigger,
            min_pause: options.checkpointing_min_pause.0,
            timeout: options.checkpointing_timeout.0,
            tolerable_failures: options.tolerable_failed_checkpoints,
            retained: usize::from(options.checkpoints_num_retained).max(1),
            incremental: options.checkpointing_incremental && options.backend == BackendType::RocksDb,
            compressed: options.checkpoint_snapshot_compression,
            inline_threshold: options.checkpoint_data_inline_threshold.0,
            transfer_threads: options.checkpoint_transfer_thread_num,
            digests: false,
            savepoint: None,
        }
    }

    /// What kind of snapshot a checkpoint is.
    pub fn checkpoint_kind(&self) -> SnapshotKind {
        if self.incremental { SnapshotKind::IncrementalCheckpoint } else { SnapshotKind::FullCheckpoint }
    }
}

/// The job whose checkpoints are taken.
#[derive(Debug, Clone)]
pub struct Job {
    /// What it is.
    pub identity: JobIdentity,
    /// The backend, as results name it.
    pub backend: String,
    /// The seed of its events.
    pub stream_seed: u64,
    /// Its subtasks.
    pub parallelism: u16,
    /// A folder of this machine on the file system of the state.
    pub scratch: PathBuf,
}

/// A checkpoint that all subtasks are to take at the end of a round.
pub struct Trigger {
    id: u64,
    kind: SnapshotKind,
    position: Position,
    confirmed: Option<u64>,
    at: Instant,
    folder: CheckpointStorage,
    shared: CheckpointStorage,
    written: Written,
}

impl Trigger {
    fn tick(&self) -> Tick {
        let Position { events, now, .. } = self.position;
        Tick { events, real: self.at, virtual_ms: now.processing_ms }
    }

    /// Deletes what a checkpoint that came to nothing has left.
    fn discard(&self) {
        let _ = self.folder.delete_folder();
        self.shared.delete_beginning_with(&format!("{}-", self.id));
    }
}

/// Takes the checkpoints of a job.
pub struct Coordinator {
    settings: CoordinatorSettings,
    job: Job,
    storage: CheckpointStorage,
    started: Instant,
    state: Mutex<State>,
    /// Woken whenever a checkpoint is over.
    over: Condvar,
    running: AtomicBool,
    _lock: StorageLock,
}

struct State {
    next_id: u64,
    schedule: Schedule,
    running: Option<Running>,
    /// Complete, the oldest first.
    retained: VecDeque<Retained>,
    registry: SharedStateRegistry,
    records: Vec<CheckpointRecord>,
    failures_in_a_row: u32,
    fatal: Option<String>,
    savepoint: Option<SavepointPlan>,
    last_savepoint: Option<String>,
}

impl State {
    /// Whether a checkpoint is due that cannot begin yet, and whose place may not depend on how long the last one takes: that
    /// of one that events count to, and of a savepoint. The source waits then, which is in no figure.
    fn waits_for_the_last_one(&self, now: Tick) -> bool {
        let counted = matches!(self.schedule.trigger, Some(CheckpointTrigger::Events(_)));
        let savepoint = self.savepoint.as_ref().is_some_and(|plan| now.events >= plan.after_events);
        self.running.is_some() && (savepoint || (counted && self.schedule.is_due(now)))
    }
}

/// A complete checkpoint that is kept.
struct Retained {
    name: String,
    metadata: Metadata,
}

/// When the next trigger is due.
struct Schedule {
    trigger: Option<CheckpointTrigger>,
    min_pause: Duration,
    /// On the clock of the trigger: when the last one was triggered and when it ended; of none the begin.
    triggered: Tick,
    ended: Tick,
}

/// A moment: events of the measured part, the machine's clock, the virtual clock.
#[derive(Debug, Clone, Copy)]
struct Tick {
    events: u64,
    real: Instant,
    virtual_ms: i64,
}

impl Schedule {
    /// Whether a checkpoint is due that would be triggered at this moment, with none in progress. The pause counts from the
    /// end of the last one and goes before the interval.
    fn is_due(&self, now: Tick) -> bool {
        match self.trigger {
            None => false,
            Some(CheckpointTrigger::Events(every)) => now.events / every > self.triggered.events / every,
            Some(CheckpointTrigger::Interval(interval, clock)) => {
                since(self.triggered, now, clock) >= interval && since(self.ended, now, clock) >= self.min_pause
            }
        }
    }
}

fn since(then: Tick, now: Tick, clock: CheckpointClock) -> Duration {
    match clock {
        CheckpointClock::Real => now.real.saturating_duration_since(then.real),
        CheckpointClock::Virtual => {
            let ms = now.virtual_ms.saturating_sub(then.virtual_ms);
            Duration::from_millis(u64::try_from(ms).unwrap_or(0))
        }
    }
}

/// A checkpoint in progress.
struct Running {
    trigger: Arc<Trigger>,
    parts: Vec<Option<SubtaskHandle>>,
    left: usize,
    sync: Duration,
    asynchronous: Duration,
    digest: Digest,
    failure: Option<String>,
}

/// What a subtask did for a checkpoint.
struct Acknowledgement {
    result: Result<SubtaskHandle, CheckpointError>,
    sync: Duration,
    asynchronous: Duration,
    digest: Option<Digest>,
}

impl Coordinator {
    /// Begins at a place in the measured part, in the folder of a job, which it locks. Numbers of checkpoints
    /// follow that of the checkpoint that the job goes on from; one in the same folder is claimed: it counts among those
    /// that are retained, and its files may be named again.
    ///
    /// # Errors
    /// Another run has the folder, or the storage failed.
    pub fn start(
        settings: CoordinatorSettings,
        job: Job,
        storage: CheckpointStorage,
        begin: Position,
        from: Option<&StoredCheckpoint>,
    ) -> Result<Arc<Self>, CheckpointError> {
        let folder = JobFolder::new(storage.clone());
        let lock = folder.lock()?;
        let claimed = from.filter(|from| from.job_url() == storage.url());
        let retained =
            |from: &StoredCheckpoint| Retained { name: from.name().to_owned(), metadata: from.metadata.clone() };
        let mut registry = SharedStateRegistry::default();
        if claimed.is_some() {
            // Others that lie there are nobody's to delete, and neither are the files that they share with this one.
            for name in folder.checkpoints()? {
                registry.register(&folder.open(&name)?.metadata);
            }
        }
        std::fs::create_dir_all(&job.scratch).map_err(CheckpointError::local(&job.scratch))?;
        let started = Instant::now();
        let begin = Tick { events: begin.events, real: started, virtual_ms: begin.now.processing_ms };
        let state = State {
            next_id: from.map_or(0, |from| from.metadata.id) + 1,
            schedule: Schedule {
                trigger: settings.trigger,
                min_pause: settings.min_pause,
                triggered: begin,
                ended: begin,
            },
            running: None,
            retained: claimed.map(retained).into_iter().collect(),
            registry,
            records: Vec::new(),
            failures_in_a_row: 0,
            fatal: None,
            savepoint: settings.savepoint.clone(),
            last_savepoint: None,
        };
        let (state, running) = (Mutex::new(state), AtomicBool::new(false));
        Ok(Arc::new(Self { settings, job, storage, started, state, over: Condvar::new(), running, _lock: lock }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a checkpoint is in progress.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Decides whether the round that ends at this position takes a checkpoint. Time is that of the end of the round before.
    ///
    /// # Errors
    /// More checkpoints in a row have failed than are tolerable.
    pub fn trigger(&self, position: Position) -> Result<Option<Arc<Trigger>>, CheckpointFailure> {
        let mut state = self.state();
        self.expire(&mut state);
        if let Some(reason) = state.fatal.take() {
            return Err(CheckpointFailure(reason));
        }
        let now = Tick { events: position.events, real: Instant::now(), virtual_ms: position.now.processing_ms };
        if state.waits_for_the_last_one(now) {
            state = self.until_over(state);
        }
        if state.running.is_some() {
            return Ok(None);
        }
        if state.schedule.triggered.virtual_ms == i64::MIN {
            // Time begins with the first event.
            state.schedule.triggered.virtual_ms = now.virtual_ms;
            state.schedule.ended.virtual_ms = now.virtual_ms;
        }
        let savepoint = state.savepoint.take_if(|plan| position.events >= plan.after_events);
        let kind = match &savepoint {
            Some(plan) => match plan.format {
                SavepointFormat::Canonical => SnapshotKind::CanonicalSavepoint,
                SavepointFormat::Native => SnapshotKind::NativeSavepoint,
            },
            None if !state.schedule.is_due(now) => return Ok(None),
            None => self.settings.checkpoint_kind(),
        };
        let id = state.next_id;
        state.next_id += 1;
        if savepoint.is_none() {
            state.schedule.triggered = now;
        }
        let folder = match &savepoint {
            None => self.storage.child(&checkpoint_name(id)),
            Some(plan) => self.savepoint_folder(plan, id).map_err(|error| CheckpointFailure(error.to_string()))?,
        };
        let trigger = Arc::new(Trigger {
            id,
            kind,
            position,
            confirmed: state.retained.back().map(|retained| retained.metadata.id),
            at: now.real,
            shared: self.storage.child(SHARED_FOLDER),
            folder,
            written: Written::default(),
        });
        let subtasks = usize::from(self.job.parallelism);
        state.running = Some(Running {
            trigger: Arc::clone(&trigger),
            parts: std::iter::repeat_with(|| None).take(subtasks).collect(),
            left: subtasks,
            sync: Duration::ZERO,
            asynchronous: Duration::ZERO,
            digest: Digest::default(),
            failure: None,
        });
        self.running.store(true, Ordering::Relaxed);
        Ok(Some(trigger))
    }

    /// The folder of a savepoint: its name tells the job, so that trials do not meet.
    fn savepoint_folder(&self, plan: &SavepointPlan, id: u64) -> Result<CheckpointStorage, CheckpointError> {
        let job = self.storage.url().rsplit('/').next().unwrap_or("job").to_owned();
        let name = format!("savepoint-{}-{id}", &job.chars().take(12).collect::<String>());
        Ok(CheckpointStorage::open(&plan.dir, None)?.child(&name))
    }

    /// A checkpoint that has taken too long has failed; what still comes of it is deleted when it comes.
    fn expire(&self, state: &mut State) {
        let expired = |running: &mut Running| {
            running.trigger.at.elapsed() > self.settings.timeout
                && running.left > 0
                && !running.trigger.kind.is_savepoint()
        };
        if let Some(running) = state.running.take_if(expired) {
            let reason = format!("it took longer than execution.checkpointing.timeout, {:?}", self.settings.timeout);
            self.note_failure(state, &running, reason);
            self.running.store(false, Ordering::Relaxed);
        }
    }

    fn note_failure(&self, state: &mut State, running: &Running, reason: String) {
        state.schedule.ended = Tick { real: Instant::now(), ..running.trigger.tick() };
        // A savepoint that fails is told, and the job goes on.
        state.failures_in_a_row += u32::from(!running.trigger.kind.is_savepoint());
        if state.failures_in_a_row > self.settings.tolerable_failures {
            state.fatal = Some(format!(
                "checkpoint {} failed: {reason} (execution.checkpointing.tolerable-failed-checkpoints is {})",
                running.trigger.id, self.settings.tolerable_failures
            ));
        }
        state.records.push(CheckpointRecord { failure: Some(reason), ..self.record(running) });
    }

    /// Makes the synchronous part of a checkpoint in one subtask, and leaves the rest to a thread. Returns how long
    /// processing stood still.
    pub fn snapshot(
        self: &Arc<Self>,
        trigger: &Arc<Trigger>,
        subtask: u16,
        digest: Option<Digest>,
        begin: impl FnOnce(&SnapshotRequest<'_>) -> StateResult<Vec<PendingOperator>>,
    ) -> Duration {
        let request = SnapshotRequest {
            id: trigger.id,
            kind: trigger.kind,
            compressed: self.settings.compressed,
            confirmed: trigger.confirmed,
            scratch: &self.job.scratch,
        };
        let start = Instant::now();
        let pending = begin(&request);
        let sync = start.elapsed();
        let (coordinator, trigger) = (Arc::clone(self), Arc::clone(trigger));
        std::thread::spawn(move || {
            let start = Instant::now();
            let result = pending
                .map_err(CheckpointError::from)
                .and_then(|pending| coordinator.write(&trigger, subtask, pending));
            let asynchronous = start.elapsed();
            coordinator.acknowledge(&trigger, subtask, Acknowledgement { result, sync, asynchronous, digest });
        });
        sync
    }

    /// The asynchronous part of one subtask.
    fn write(
        &self,
        trigger: &Trigger,
        subtask: u16,
        pending: Vec<PendingOperator>,
    ) -> Result<SubtaskHandle, CheckpointError> {
        let write = |(pending, place): (PendingOperator, usize)| {
            let target = SnapshotTarget {
                exclusive: &trigger.folder,
                shared: &trigger.shared,
                own: Scope::Exclusive,
                prefix: &format!("{}-{subtask}-{place}-", trigger.id),
                inline_threshold: self.settings.inline_threshold,
                transfer_threads: self.settings.transfer_threads,
                written: &trigger.written,
            };
            pending.write(&target)
        };
        let operators = pending.into_iter().zip(0..).map(write).collect::<Result<_, _>>()?;
        Ok(SubtaskHandle { operators })
    }

    /// A subtask is done with a checkpoint, one way or the other. The last one completes it.
    fn acknowledge(&self, trigger: &Arc<Trigger>, subtask: u16, acknowledgement: Acknowledgement) {
        let mut state = self.state();
        let running = state.running.as_mut().filter(|running| running.trigger.id == trigger.id);
        let Some(running) = running else {
            // It had run out of time.
            drop(state);
            trigger.discard();
            return;
        };
        running.left -= 1;
        running.sync = running.sync.max(acknowledgement.sync);
        running.asynchronous = running.asynchronous.max(acknowledgement.asynchronous);
        if let Some(digest) = acknowledgement.digest {
            running.digest.merge(digest);
        }
        match acknowledgement.result {
            Ok(part) => running.parts[usize::from(subtask)] = Some(part),
            Err(error) => drop(running.failure.get_or_insert(error.to_string())),
        }
        if running.left > 0 {
            return;
        }
        let parts: Option<Vec<_>> = running.parts.iter_mut().map(Option::take).collect();
        let failure = running.failure.take();
        let digest = self.settings.digests.then_some(running.digest);
        drop(state);
        let completed = match (parts, failure) {
            (Some(subtasks), None) => self.complete(trigger, subtasks, digest).map_err(|error| error.to_string()),
            (_, failure) => Err(failure.unwrap_or_else(|| "a subtask has not written its part".to_owned())),
        };
        self.finish(trigger, completed);
    }

    /// Writes the metadata: the checkpoint exists from then on.
    fn complete(
        &self,
        trigger: &Trigger,
        subtasks: Vec<SubtaskHandle>,
        state_digest: Option<Digest>,
    ) -> Result<(Metadata, u64), CheckpointError> {
        let metadata = Metadata {
            id: trigger.id,
            kind: trigger.kind,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            backend: self.job.backend.clone(),
            job: self.job.identity.clone(),
            stream_seed: self.job.stream_seed,
            position: trigger.position,
            state_digest,
            subtasks,
        };
        let bytes = metadata.save(&trigger.folder)?;
        Ok((metadata, bytes))
    }

    /// Notes what came of a checkpoint, and deletes what nobody needs any more.
    fn finish(&self, trigger: &Arc<Trigger>, completed: Result<(Metadata, u64), String>) {
        let mut state = self.state();
        let Some(running) = state.running.take() else { return };
        let mut subsumed = Vec::new();
        let failed = completed.is_err();
        match completed {
            Ok((metadata, metadata_bytes)) => {
                state.schedule.ended = Tick { real: Instant::now(), ..trigger.tick() };
                state.failures_in_a_row = 0;
                let record = CheckpointRecord {
                    full_bytes: metadata.full_bytes(),
                    metadata_bytes,
                    state_bytes: metadata.state_bytes(),
                    written_bytes: trigger.written.bytes.load(Ordering::Relaxed),
                    new_files: trigger.written.files.load(Ordering::Relaxed),
                    reused_files: trigger.written.reused_files.load(Ordering::Relaxed),
                    ..self.record(&running)
                };
                state.records.push(record);
                if metadata.kind.is_savepoint() {
                    state.last_savepoint = Some(trigger.folder.url().to_owned());
                } else {
                    state.registry.register(&metadata);
                    state.retained.push_back(Retained { name: checkpoint_name(trigger.id), metadata });
                }
                while state.retained.len() > self.settings.retained {
                    let Some(oldest) = state.retained.pop_front() else { break };
                    let orphans = state.registry.unregister(&oldest.metadata);
                    subsumed.push((oldest.name, orphans));
                }
            }
            Err(reason) => self.note_failure(&mut state, &running, reason),
        }
        drop(state);
        if failed {
            trigger.discard();
        }
        subsumed.iter().for_each(|(name, orphans)| self.delete(name, orphans));
        // Only now: whoever waits for the end finds the folder as it stays.
        self.running.store(false, Ordering::Relaxed);
        self.over.notify_all();
    }

    fn record(&self, running: &Running) -> CheckpointRecord {
        let Running { trigger, sync, asynchronous, .. } = running;
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        CheckpointRecord {
            id: trigger.id,
            kind: trigger.kind.to_string(),
            triggered_s: trigger.at.saturating_duration_since(self.started).as_secs_f64(),
            time_ms: trigger.position.now.processing_ms,
            events: trigger.position.events,
            failure: None,
            sync_duration_ms: ms(*sync),
            async_duration_ms: ms(*asynchronous),
            duration_ms: ms(trigger.at.elapsed()),
            written_bytes: 0,
            full_bytes: 0,
            metadata_bytes: 0,
            new_files: 0,
            reused_files: 0,
            state_bytes: std::collections::BTreeMap::new(),
        }
    }

    /// Deletes a checkpoint that is no longer retained: first its metadata's folder, so that it is gone as a whole, then the
    /// shared files. What cannot be deleted stays behind as an orphan, which `checkpoint gc` finds.
    fn delete(&self, name: &str, orphans: &[String]) {
        let _ = self.storage.child(name).delete_folder();
        let shared = self.storage.child(SHARED_FOLDER);
        orphans.iter().for_each(|orphan| drop(shared.delete(orphan)));
    }

    /// Waits until no checkpoint is in progress.
    pub fn wait(&self) {
        drop(self.until_over(self.state()));
    }

    fn until_over<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        while state.running.is_some() || self.is_running() {
            self.expire(&mut state);
            let (woken, _) =
                self.over.wait_timeout(state, Duration::from_millis(50)).unwrap_or_else(PoisonError::into_inner);
            state = woken;
        }
        state
    }

    /// Each checkpoint so far, in order of their triggers.
    pub fn records(&self) -> Vec<CheckpointRecord> {
        let mut records = self.state().records.clone();
        records.sort_by_key(|record| record.id);
        records
    }

    /// Why the job has failed, if more checkpoints have than are tolerable.
    pub fn fatal(&self) -> Option<CheckpointFailure> {
        self.state().fatal.take().map(CheckpointFailure)
    }

    /// The folder of the last complete checkpoint, or else of the savepoint.
    pub fn last_complete(&self) -> Option<String> {
        self.last_checkpoint().or_else(|| self.last_savepoint())
    }

    /// The folder of the last complete checkpoint.
    pub fn last_checkpoint(&self) -> Option<String> {
        self.state().retained.back().map(|last| self.storage.child(&last.name).url().to_owned())
    }

    /// The folder of the savepoint, if it is complete.
    pub fn last_savepoint(&self) -> Option<String> {
        self.state().last_savepoint.clone()
    }

    /// The folder of the job.
    pub fn storage(&self) -> &CheckpointStorage {
        &self.storage
    }

    /// Whether checkpoints carry digests.
    pub fn wants_digests(&self) -> bool {
        self.settings.digests
    }
}

/// Why a job has failed by its checkpoints.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct CheckpointFailure(pub String);

fn checkpoint_name(id: u64) -> String {
    format!("chk-{id}")
}

/// A name for the folder of a job that no other job has, as long as Flink's job ids.
pub fn new_job_id() -> String {
    format!("{:016x}{:016x}", unique_number(), unique_number())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(start: Instant, ms: u64) -> Tick {
        Tick { events: ms, real: start + Duration::from_millis(ms), virtual_ms: ms as i64 }
    }

    /// Whether a checkpoint is due at each of these moments, ms: the last was triggered at `triggered` and ended at `ended`.
    fn due(trigger: CheckpointTrigger, pause_ms: u64, (triggered, ended): (u64, u64), at: &[u64]) -> Vec<bool> {
        let start = Instant::now();
        let min_pause = Duration::from_millis(pause_ms);
        let (triggered, ended) = (tick(start, triggered), tick(start, ended));
        let schedule = Schedule { trigger: Some(trigger), min_pause, triggered, ended };
        at.iter().map(|ms| schedule.is_due(tick(start, *ms))).collect()
    }

    #[test]
    fn the_interval_counts_from_trigger_to_trigger_and_the_pause_from_end_to_trigger() {
        for clock in [CheckpointClock::Real, CheckpointClock::Virtual] {
            let every = CheckpointTrigger::Interval(Duration::from_millis(100), clock);
            assert_eq!(due(every, 0, (200, 250), &[299, 300, 301]), [false, true, true]);
            // The pause goes before the interval.
            assert_eq!(due(every, 80, (200, 250), &[300, 329, 330]), [false, false, true]);
            assert_eq!(due(every, 20, (200, 250), &[270, 300]), [false, true]);
        }
    }

    #[test]
    fn a_number_of_events_is_due_once_in_each_multiple() {
        let every = CheckpointTrigger::Events(1_000);
        assert_eq!(due(every, 0, (0, 0), &[999, 1_000, 1_500]), [false, true, true]);
        assert_eq!(due(every, 0, (1_500, 1_500), &[1_999, 2_000]), [false, true]);
    }
}
