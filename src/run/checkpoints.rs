//! The checkpoints of a trial: where they go, what they are of, and the restore that proves the last one.

use std::sync::Arc;
use std::time::Duration;

use super::coordinator::{Coordinator, CoordinatorSettings, Job, new_job_id};
use super::restore::{RestorePlan, identity_of};
use super::subtasks::Setup;
use super::trial::TrialError;
use crate::checkpoint::{CheckpointError, CheckpointStorage, Position, StorageProfile, StoredCheckpoint};
use crate::measure::Recorder;
use crate::result::{CheckpointRecord, Checkpoints, Latency, Restore, Trend, trend};
use crate::state::Digest;
use crate::workload::{BackendType, SavepointPlan};

/// The folder of the checkpoints in that of the state, where the workload names no other.
const OWN_FOLDER: &str = "checkpoints";
/// The folder in that of the state for what snapshots need until they are written.
const SCRATCH_FOLDER: &str = "snapshots";

/// The checkpoints of a trial.
pub struct CheckpointedRun {
    coordinator: Arc<Coordinator>,
    is_modelled: bool,
    is_kept: bool,
    restores: bool,
}

/// What came of processing the events behind a checkpoint again.
pub struct Replayed {
    /// Time from the begin until the operators could process.
    pub restored: Duration,
    /// Time from the begin until the first round of events was processed.
    pub first_events: Duration,
    /// Time from the begin until a round took about as long as before.
    pub recovered: Option<Duration>,
    /// Events.
    pub events: u64,
    /// What was emitted in the end.
    pub emitted: Digest,
    /// The state in the end.
    pub state: Digest,
}

impl CheckpointedRun {
    /// What the run goes on from, if it does not begin anew.
    ///
    /// # Errors
    /// There is no checkpoint, it is damaged or of another job, or the storage failed.
    pub fn restored<K>(setup: &Setup<'_, K>) -> Result<Option<RestorePlan>, TrialError> {
        let Some(url) = &setup.workload.checkpoint.restore_from else { return Ok(None) };
        Ok(Some(plan(setup, StoredCheckpoint::open(&resolved(setup, url))?)?))
    }

    /// Begins with the measured part; none where no checkpoint is to be taken.
    ///
    /// # Errors
    /// The storage cannot be used.
    pub fn begin<K>(
        setup: &Setup<'_, K>,
        restored: Option<&RestorePlan>,
        position: Position,
    ) -> Result<Option<Self>, TrialError> {
        let (checkpoint, options) = (&setup.workload.checkpoint, &setup.spec.options);
        let trigger = checkpoint.trigger(options);
        let savepoint = checkpoint.savepoint.clone().filter(|_| options.backend != BackendType::Null);
        if trigger.is_none() && savepoint.is_none() {
            return Ok(None);
        }
        let savepoint = savepoint.map(|plan| SavepointPlan { dir: resolved(setup, &plan.dir), ..plan });
        let settings =
            CoordinatorSettings { digests: checkpoint.digests, savepoint, ..CoordinatorSettings::of(options, trigger) };
        let job = Job {
            identity: identity_of(&setup.spec.workload, setup.workload),
            backend: options.backend.to_string(),
            stream_seed: setup.spec.stream_seed,
            parallelism: setup.workload.run.groups.parallelism,
            scratch: setup.spec.state_folder.join(SCRATCH_FOLDER),
        };
        let last_id = restored.map_or(0, |plan| plan.checkpoint.metadata.id);
        let coordinator = Coordinator::start(settings, job, storage(setup)?, position.now, last_id)?;
        Ok(Some(Self {
            coordinator,
            is_modelled: checkpoint.is_modelled(),
            is_kept: checkpoint.dir.is_some(),
            restores: checkpoint.restore_check,
        }))
    }

    /// Takes them.
    pub fn coordinator(&self) -> &Arc<Coordinator> {
        &self.coordinator
    }

    /// The measured part is over: waits for the checkpoint that is in progress.
    ///
    /// # Errors
    /// More checkpoints have failed than the job survives.
    pub fn end(&mut self) -> Result<(), TrialError> {
        self.coordinator.wait();
        self.coordinator.fatal().map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Whether the last checkpoint is to be restored.
    pub fn is_to_be_restored(&self) -> bool {
        self.restores && self.coordinator.last_complete().is_some()
    }

    /// Restores the last checkpoint, compares where that leads with the `end` of the run (what it emitted and its state),
    /// and reports.
    ///
    /// # Errors
    /// The checkpoint cannot be restored.
    pub fn finish<K>(
        self,
        setup: &Setup<'_, K>,
        recorder: &Recorder,
        end: (Digest, Digest),
        replay: impl FnOnce(&RestorePlan) -> Result<Replayed, TrialError>,
    ) -> Result<Checkpoints, TrialError> {
        let last = self.coordinator.last_complete();
        let restore = match last.as_ref().filter(|_| self.restores) {
            None => None,
            Some(url) => Some(restored(&plan(setup, self.open(url)?)?, setup, end, replay)?),
        };
        let during = &recorder.event_in_checkpoint;
        let during = (!during.is_empty()).then_some(during);
        let mut checkpoints = Checkpoints {
            records: self.coordinator.records(),
            modelled: self.is_modelled,
            location: self.coordinator.last_checkpoint().filter(|_| self.is_kept),
            savepoint: self.coordinator.last_savepoint(),
            latency_during: during.map(Latency::of),
            latency_outside: during.map(|_| Latency::of(&recorder.event_outside_checkpoint())),
            size_trend: Trend::Undecided,
            restore,
        };
        checkpoints.size_trend = size_trend(checkpoints.complete());
        Ok(checkpoints)
    }

    /// Opens a checkpoint of this run, in the storage that it was written to.
    fn open(&self, url: &str) -> Result<StoredCheckpoint, CheckpointError> {
        match url.strip_prefix(self.coordinator.storage().url()) {
            Some(name) => StoredCheckpoint::open_in(self.coordinator.storage(), name.trim_matches('/')),
            None => StoredCheckpoint::open(url),
        }
    }
}

fn plan<K>(setup: &Setup<'_, K>, checkpoint: StoredCheckpoint) -> Result<RestorePlan, CheckpointError> {
    let identity = identity_of(&setup.spec.workload, setup.workload);
    RestorePlan::open(checkpoint, &identity, setup.spec.stream_seed, setup.workload.run.groups)
}

/// A path as the workload names it starts from the workload's folder, as all its paths do.
fn resolved<K>(setup: &Setup<'_, K>, dir: &str) -> String {
    if dir.contains("://") { dir.to_owned() } else { setup.spec.folder.join(dir).to_string_lossy().into_owned() }
}

/// The folder of this job in the checkpoint directory.
fn storage<K>(setup: &Setup<'_, K>) -> Result<CheckpointStorage, CheckpointError> {
    let checkpoint = &setup.workload.checkpoint;
    let profile = checkpoint.is_modelled().then_some(StorageProfile {
        bandwidth_bytes_per_s: checkpoint.bandwidth_bytes_per_s,
        latency: checkpoint.latency,
    });
    let own = || setup.spec.state_folder.join(OWN_FOLDER).to_string_lossy().into_owned();
    let dir = checkpoint.dir.as_ref().map_or_else(own, |dir| resolved(setup, dir));
    let storage = CheckpointStorage::open(&dir, profile)?;
    if checkpoint.dir.is_some() && !setup.spec.options.checkpoint_create_subdir {
        return Ok(storage);
    }
    Ok(storage.child(&new_job_id()))
}

fn restored<K>(
    plan: &RestorePlan,
    setup: &Setup<'_, K>,
    end: (Digest, Digest),
    replay: impl FnOnce(&RestorePlan) -> Result<Replayed, TrialError>,
) -> Result<Restore, TrialError> {
    let replayed = replay(plan)?;
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let metadata = &plan.checkpoint.metadata;
    Ok(Restore {
        id: metadata.id,
        parallelism: setup.workload.run.groups.parallelism,
        bytes: metadata.full_bytes(),
        restore_duration_ms: ms(replayed.restored),
        first_events_ms: ms(replayed.first_events),
        recovered_ms: replayed.recovered.map(ms),
        replayed_events: replayed.events,
        agrees: (replayed.emitted, replayed.state) == end || setup.workload.may_see_expired(),
    })
}

/// Whether checkpoints grow without bound, by the full sizes of the second half of the run.
fn size_trend<'a>(complete: impl Iterator<Item = &'a CheckpointRecord>) -> Trend {
    let points: Vec<_> = complete.map(|record| (record.time_ms as f64, record.full_bytes as f64)).collect();
    trend(&points[points.len() / 2..])
}
