//! Snapshots of the wrapped backend, now and then: Flink's `PeriodicMaterializationManager`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::{ChangelogStorage, MaterializePlan};
use crate::backend::PendingSnapshot;
use crate::checkpoint::{CheckpointError, KeyedHandle, Scope, SnapshotTarget, Written};
use crate::result::Materialization;
use crate::state::{StateError, StateResult, mix};
use crate::workload::{CheckpointClock, Now};

/// Materializations are numbered from here, checkpoints from 1: both name local folders and uploads of a database.
const FIRST_ID: u64 = 1 << 40;

/// A snapshot that is complete. Its files belong to it until a checkpoint names them.
pub(super) struct Materialized {
    pub id: u64,
    pub handle: KeyedHandle,
    /// What was written for it, which the first checkpoint that names it counts as its own.
    pub written: Written,
    pub is_named: AtomicBool,
    storage: Arc<ChangelogStorage>,
}

impl Drop for Materialized {
    fn drop(&mut self) {
        if *self.is_named.get_mut() {
            return;
        }
        let own = prefix(&self.storage, self.id);
        let files = self.handle.streams().into_iter().filter_map(|stream| stream.file());
        // What cannot be deleted stays behind as an orphan, which `checkpoint gc` finds.
        files.filter(|file| file.name.starts_with(&own)).for_each(|file| drop(self.storage.shared.delete(&file.name)));
    }
}

/// What the names of the files of a materialization begin with.
fn prefix(storage: &ChangelogStorage, id: u64) -> String {
    format!("{}materialized-{}-", storage.prefix, id - FIRST_ID + 1)
}

/// Takes materializations of one operator in one subtask.
pub(super) struct Materializer {
    plan: MaterializePlan,
    storage: Arc<ChangelogStorage>,
    next_id: u64,
    /// The last one that is complete.
    current: Option<Arc<Materialized>>,
    running: Option<Running>,
    /// When the last one began, on both clocks.
    last: (Instant, i64),
    /// The first one comes earlier by this, so that not all subtasks have theirs at once.
    first_earlier: Duration,
    failures_in_a_row: u32,
    records: Vec<Materialization>,
}

struct Running {
    end: Receiver<Ended>,
    /// The place in the log that it was taken at.
    mark: u64,
    begun: Begun,
}

#[derive(Clone, Copy)]
struct Begun {
    id: u64,
    time_ms: i64,
    sync: Duration,
}

struct Ended {
    result: Result<Materialized, CheckpointError>,
    asynchronous: Duration,
}

impl Materializer {
    pub fn new(plan: MaterializePlan, storage: Arc<ChangelogStorage>, now: Now) -> Self {
        let every_ms = plan.every.map_or(1, |every| every.as_millis().max(1)) as u64;
        let seed = storage.prefix.bytes().fold(0, |seed, byte| mix(seed, u64::from(byte)));
        Self {
            first_earlier: Duration::from_millis(seed % every_ms),
            plan,
            storage,
            next_id: FIRST_ID,
            current: None,
            running: None,
            last: (Instant::now(), now.processing_ms),
            failures_in_a_row: 0,
            records: Vec::new(),
        }
    }

    /// What asks the wrapped backend for a snapshot.
    pub fn plan(&self) -> &MaterializePlan {
        &self.plan
    }

    /// The number of the next one, and the last one that is complete, whose files it may name again.
    pub fn ids(&self) -> (u64, Option<u64>) {
        (self.next_id, self.current.as_ref().map(|current| current.id))
    }

    /// The last one that is complete.
    pub fn current(&self) -> Option<Arc<Materialized>> {
        self.current.clone()
    }

    /// Those so far.
    pub fn records(&self) -> &[Materialization] {
        &self.records
    }

    /// Whether one is to begin. The files of one that no checkpoint has named yet would be lost to the next.
    pub fn is_due(&self, now: Now) -> bool {
        let Some(every) = self.plan.every else { return false };
        let every = if self.records.is_empty() { every.saturating_sub(self.first_earlier) } else { every };
        let since = match self.plan.clock {
            CheckpointClock::Real => self.last.0.elapsed(),
            CheckpointClock::Virtual => {
                Duration::from_millis(now.processing_ms.saturating_sub(self.last.1).try_into().unwrap_or(0))
            }
        };
        let is_used = self.current.as_ref().is_none_or(|current| current.is_named.load(Ordering::Relaxed));
        self.running.is_none() && is_used && since >= every
    }

    /// Writes a snapshot that was begun, in a thread of its own.
    pub fn begin(&mut self, pending: Box<dyn PendingSnapshot>, mark: u64, now: Now, sync: Duration) {
        let id = self.next_id;
        self.next_id += 1;
        self.last = (Instant::now(), now.processing_ms);
        let (storage, plan) = (Arc::clone(&self.storage), self.plan.clone());
        let (sender, end) = channel();
        std::thread::spawn(move || {
            let start = Instant::now();
            let result = write(pending, id, &storage, &plan);
            // Nobody listens where the job has ended: the files of it go with it.
            let _ = sender.send(Ended { result, asynchronous: start.elapsed() });
        });
        self.running = Some(Running { end, mark, begun: Begun { id, time_ms: now.processing_ms, sync } });
    }

    /// Looks whether the running one is complete; then the place in the log that it stands for.
    ///
    /// # Errors
    /// More have failed in a row than the job survives.
    pub fn poll(&mut self) -> StateResult<Option<u64>> {
        let Some(running) = &self.running else { return Ok(None) };
        match running.end.try_recv() {
            Ok(ended) => self.end(ended),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => self.end(lost()),
        }
    }

    /// Waits for the running one.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn wait(&mut self) -> StateResult<Option<u64>> {
        let Some(running) = &self.running else { return Ok(None) };
        let ended = running.end.recv().unwrap_or_else(|_| lost());
        self.end(ended)
    }

    fn end(&mut self, Ended { result, asynchronous }: Ended) -> StateResult<Option<u64>> {
        let Some(Running { mark, begun, .. }) = self.running.take() else { return Ok(None) };
        let mut record = Materialization {
            id: begun.id - FIRST_ID + 1,
            operator: self.storage.prefix.trim_end_matches('-').to_owned(),
            time_ms: begun.time_ms,
            failure: None,
            sync_duration_ms: begun.sync.as_secs_f64() * 1e3,
            async_duration_ms: asynchronous.as_secs_f64() * 1e3,
            written_bytes: 0,
            full_bytes: 0,
        };
        match result {
            Ok(materialized) => {
                record.written_bytes = materialized.written.bytes.load(Ordering::Relaxed);
                record.full_bytes = materialized.handle.streams().iter().map(|stream| stream.bytes()).sum();
                self.records.push(record);
                self.failures_in_a_row = 0;
                self.current = Some(Arc::new(materialized));
                Ok(Some(mark))
            }
            Err(error) => {
                record.failure = Some(error.to_string());
                self.records.push(record);
                self.failures_in_a_row += 1;
                if self.failures_in_a_row > self.plan.max_failures {
                    return Err(StateError::Storage(format!(
                        "the state could not be materialized: {error} (state.changelog.max-failures-allowed is {})",
                        self.plan.max_failures
                    )));
                }
                Ok(None)
            }
        }
    }
}

/// A thread that ended without a word has panicked.
fn lost() -> Ended {
    let reason = StateError::Storage("the thread that materialized the state has failed".to_owned());
    Ended { result: Err(reason.into()), asynchronous: Duration::ZERO }
}

fn write(
    pending: Box<dyn PendingSnapshot>,
    id: u64,
    storage: &Arc<ChangelogStorage>,
    plan: &MaterializePlan,
) -> Result<Materialized, CheckpointError> {
    let (written, prefix) = (Written::default(), prefix(storage, id));
    let target = SnapshotTarget {
        exclusive: &storage.shared,
        shared: &storage.shared,
        own: Scope::Shared,
        prefix: &prefix,
        inline_threshold: plan.inline_threshold,
        transfer_threads: plan.transfer_threads,
        written: &written,
    };
    let result = pending.write(&target);
    match result {
        Ok(handle) => {
            Ok(Materialized { id, handle, written, is_named: AtomicBool::new(false), storage: Arc::clone(storage) })
        }
        Err(error) => {
            storage.shared.delete_beginning_with(&prefix);
            Err(error)
        }
    }
}
