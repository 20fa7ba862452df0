//! The changelog backend in checkpoints.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::log::{ChangeLog, Segment};
use super::materialize::{Materialized, Materializer};
use super::replay::Replayer;
use super::{ChangelogBackend, ChangelogStorage, Logging, MaterializePlan};
use crate::backend::checkpoint::{FetchedFiles, PendingSnapshot, SnapshotRequest, Snapshots};
use crate::checkpoint::{CheckpointError, KeyedHandle, SnapshotTarget, StoredCheckpoint, StreamHandle};
use crate::result::Changelog;
use crate::state::{Key, StateError, StateResult};
use crate::workload::Now;

impl<K: Key, B: Snapshots<K> + 'static> Snapshots<K> for ChangelogBackend<B> {
    /// A savepoint is one of the wrapped backend, as in Flink: it needs no log.
    fn begin_snapshot(&mut self, request: &SnapshotRequest<'_>) -> StateResult<Box<dyn PendingSnapshot>> {
        if request.kind.is_savepoint() {
            return self.inner.begin_snapshot(request);
        }
        let Some(logging) = &mut self.log else { return self.inner.begin_snapshot(request) };
        logging.look()?;
        Ok(Box::new(Pending {
            key_groups: self.owned.range.clone(),
            base: logging.materializer.current(),
            segments: logging.log.segments(),
            names: self.states.iter().map(|state| state.meta.name.clone()).collect(),
        }))
    }

    fn restore(
        &mut self,
        checkpoint: &StoredCheckpoint,
        handles: &[&KeyedHandle],
        files: &FetchedFiles,
    ) -> Result<(), CheckpointError> {
        let bases: Vec<_> = handles.iter().filter_map(|handle| handle.base()).collect();
        self.inner.restore(checkpoint, &bases, files)?;
        for handle in handles {
            let KeyedHandle::Changelog { segments, .. } = handle else { continue };
            let mut replayer = Replayer::new(&self.states, self.owned.range.clone());
            for segment in segments {
                replayer.replay(&mut self.inner, &checkpoint.read(segment)?)?;
            }
        }
        Ok(())
    }
}

impl<B> ChangelogBackend<B> {
    /// Logs changes from here on. State that is there already is materialized at once.
    ///
    /// # Errors
    /// The store or the storage failed.
    pub fn begin_log<K: Key>(&mut self, storage: ChangelogStorage, plan: MaterializePlan, now: Now) -> StateResult<()>
    where
        B: Snapshots<K>,
    {
        let (storage, has_state) = (Arc::new(storage), plan.has_state);
        let log =
            ChangeLog::begin(Arc::clone(&storage), self.owned.groups, self.states.iter().map(|state| &state.meta));
        self.log = Some(Box::new(Logging { log, materializer: Materializer::new(plan, storage, now) }));
        if !has_state {
            return Ok(());
        }
        self.materialize::<K>(now)?;
        let Some(logging) = &mut self.log else { return Ok(()) };
        logging.materializer.wait()?;
        if logging.materializer.current().is_some() {
            return Ok(());
        }
        let failure = logging.materializer.records().iter().find_map(|record| record.failure.clone());
        Err(StateError::Storage(format!("the state could not be materialized: {}", failure.unwrap_or_default())))
    }

    /// Begins a materialization where one is due, and takes note of one that is complete. Returns how long that took.
    ///
    /// # Errors
    /// The store failed, or more materializations have failed than the job survives.
    pub fn end_round<K: Key>(&mut self, now: Now) -> StateResult<Duration>
    where
        B: Snapshots<K>,
    {
        let Some(logging) = &mut self.log else { return Ok(Duration::ZERO) };
        logging.look()?;
        if logging.log.has_changes() && logging.materializer.is_due(now) {
            return self.materialize::<K>(now);
        }
        Ok(Duration::ZERO)
    }

    /// Begins a materialization; how long processing stood still for it.
    fn materialize<K: Key>(&mut self, now: Now) -> StateResult<Duration>
    where
        B: Snapshots<K>,
    {
        let Some(logging) = &mut self.log else { return Ok(Duration::ZERO) };
        let start = Instant::now();
        let plan = logging.materializer.plan();
        let (id, confirmed) = logging.materializer.ids();
        let request =
            SnapshotRequest { id, kind: plan.kind, compressed: plan.compressed, confirmed, scratch: &plan.scratch };
        let pending = self.inner.begin_snapshot(&request)?;
        let mark = logging.log.mark();
        let sync = start.elapsed();
        logging.materializer.begin(pending, mark, now, sync);
        Ok(sync)
    }

    /// What became of the log, which ends here; none where there is none.
    ///
    /// # Errors
    /// More materializations have failed than the job survives.
    pub fn end_log(&mut self) -> StateResult<Option<Changelog>> {
        let Some(mut logging) = self.log.take() else { return Ok(None) };
        logging.materializer.wait()?;
        let (appended_bytes, waited) = logging.log.totals();
        Ok(Some(Changelog {
            appended_bytes,
            waited_ms: waited.as_secs_f64() * 1e3,
            materializations: logging.materializer.records().to_vec(),
        }))
    }
}

impl Logging {
    /// Forgets what a materialization has made needless.
    fn look(&mut self) -> StateResult<()> {
        if let Some(mark) = self.materializer.poll()? {
            self.log.truncate(mark);
        }
        Ok(())
    }
}

/// A checkpoint: the materialization and the log since.
struct Pending {
    key_groups: Range<u16>,
    base: Option<Arc<Materialized>>,
    segments: Vec<Arc<Segment>>,
    names: Vec<String>,
}

impl PendingSnapshot for Pending {
    fn write(self: Box<Self>, target: &SnapshotTarget<'_>) -> Result<KeyedHandle, CheckpointError> {
        let mut state_bytes = self.base.as_ref().map_or_else(BTreeMap::new, |base| base.handle.state_bytes().clone());
        let mut segments = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            let stream = segment.persist()?;
            if segment.is_named.swap(true, Ordering::Relaxed) {
                count_again(target, &stream);
            } else {
                target.written.count(&stream);
            }
            segments.push(stream);
            for (name, bytes) in self.names.iter().zip(&segment.state_bytes) {
                *state_bytes.entry(name.clone()).or_insert(0) += bytes;
            }
        }
        if let Some(base) = &self.base {
            if base.is_named.swap(true, Ordering::Relaxed) {
                base.handle.streams().into_iter().for_each(|stream| count_again(target, stream));
            } else {
                target.written.add(&base.written);
            }
        }
        Ok(KeyedHandle::Changelog {
            key_groups: self.key_groups.clone(),
            base: self.base.as_ref().map(|base| Box::new(base.handle.clone())),
            segments,
            state_bytes,
        })
    }
}

/// Counts what an earlier checkpoint has written: what is in the metadata is written again with it.
fn count_again(target: &SnapshotTarget<'_>, stream: &StreamHandle) {
    match stream {
        StreamHandle::File(_) => target.written.reused_files.fetch_add(1, Ordering::Relaxed),
        StreamHandle::Inline(bytes) => target.written.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed),
    };
}
