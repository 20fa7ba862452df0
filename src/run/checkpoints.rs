//! The checkpoints of a trial: where they go, what they are of, and the restore that proves the last one.

use std::sync::Arc;
use std::time::Duration;

use super::coordinator::{Coordinator, CoordinatorSettings, Job, new_job_id};
use super::drive::Subtask;
use super::restore::{RestorePlan, identity_of};
use super::subtasks::Setup;
use super::trial::TrialError;
use crate::backend::{ChangelogStorage, MaterializePlan};
use crate::checkpoint::{
    CheckpointError, CheckpointStorage, Position, SHARED_FOLDER, StorageProfile, StoredCheckpoint,
};
use crate::measure::{Condition, Recorder};
use crate::result::{Changelog, CheckpointRecord, Checkpoints, Latency, Restore, Trend, trend};
use crate::state::Digest;
use crate::workload::{BackendType, ChangelogPlace, Now, SavepointPlan};

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
    changelog: Option<Changelog>,
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
        let from = restored.map(|plan| &plan.checkpoint);
        let coordinator = Coordinator::start(settings, job, storage(setup, from)?, position, from)?;
        Ok(Some(Self {
            coordinator,
            is_modelled: checkpoint.is_modelled(),
            is_kept: checkpoint.dir.is_some() || checkpoint.claims(options),
            restores: checkpoint.restore_check,
            changelog: None,
        }))
    }

    /// Begins the changelogs of all operators and subtasks, where the options ask for them. `has_state` says whether
    /// there is state already.
    ///
    /// # Errors
    /// State that is there cannot be materialized.
    pub fn begin_logs<'a, K: 'static>(
        &self,
        setup: &Setup<'_, K>,
        subtasks: impl Iterator<Item = &'a mut Box<dyn Subtask<K>>>,
        now: Now,
        has_state: bool,
    ) -> Result<(), TrialError> {
        let (checkpoint, options) = (&setup.workload.checkpoint, &setup.spec.options);
        let Some(trigger) = checkpoint.trigger(options).filter(|_| options.changelog_enabled) else { return Ok(()) };
        let settings = CoordinatorSettings::of(options, Some(trigger));
        let plan = MaterializePlan {
            every: options.changelog_materialize.then_some(options.changelog_materialize_interval.0),
            clock: checkpoint.clock,
            max_failures: options.changelog_max_failures,
            has_state,
            kind: settings.checkpoint_kind(),
            compressed: settings.compressed,
            inline_threshold: settings.inline_threshold,
            transfer_threads: settings.transfer_threads,
            scratch: setup.spec.state_folder.join(SCRATCH_FOLDER),
        };
        let storage = |subtask: usize, place: usize| {
            let sizes = (options.changelog_persist_threshold.0, options.changelog_max_in_flight.0);
            let in_memory = options.changelog_storage == ChangelogPlace::Memory;
            let shared = self.coordinator.storage().child(SHARED_FOLDER);
            ChangelogStorage::new(shared, format!("{subtask}-{place}-"), in_memory, sizes)
        };
        for (index, subtask) in subtasks.enumerate() {
            subtask.begin_log(storage(index, 0), plan.clone(), now)?;
            for (operator, place) in subtask.later().iter_mut().zip(1..) {
                operator.begin_log(storage(index, place), plan.clone(), now)?;
            }
        }
        Ok(())
    }

    /// Takes them.
    pub fn coordinator(&self) -> &Arc<Coordinator> {
        &self.coordinator
    }

    /// The measured part is over: waits for the checkpoint that is in progress, and ends the changelogs.
    ///
    /// # Errors
    /// More checkpoints or materializations have failed than the job survives.
    pub fn end<'a, K: 'static>(
        &mut self,
        subtasks: impl Iterator<Item = &'a mut Box<dyn Subtask<K>>>,
    ) -> Result<(), TrialError> {
        self.coordinator.wait();
        for subtask in subtasks {
            let mut logs = vec![subtask.end_log()?];
            for operator in subtask.later() {
                logs.push(operator.end_log()?);
            }
            logs.into_iter().flatten().for_each(|log| self.changelog.get_or_insert_default().add(log));
        }
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
        let during = recorder.event_during(Condition::Checkpoint);
        let during = (!during.is_empty()).then_some(during);
        let mut checkpoints = Checkpoints {
            records: self.coordinator.records(),
            modelled: self.is_modelled,
            location: self.coordinator.last_checkpoint().filter(|_| self.is_kept),
            savepoint: self.coordinator.last_savepoint(),
            latency_during: during.map(Latency::of),
            latency_outside: during.map(|_| Latency::of(&recorder.event_outside(Condition::Checkpoint))),
            size_trend: Trend::Undecided,
            duration_trend: Trend::Undecided,
            changelog: self.changelog,
            restore,
        };
        checkpoints.size_trend = trend_of(checkpoints.complete(), |record| record.full_bytes as f64);
        checkpoints.duration_trend = trend_of(checkpoints.complete(), |record| record.duration_ms * 1e6);
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

/// The folder of this job in the checkpoint directory: a new one, or that of a checkpoint that is claimed.
fn storage<K>(setup: &Setup<'_, K>, from: Option<&StoredCheckpoint>) -> Result<CheckpointStorage, CheckpointError> {
    let checkpoint = &setup.workload.checkpoint;
    let profile = checkpoint.is_modelled().then_some(StorageProfile {
        bandwidth_bytes_per_s: checkpoint.bandwidth_bytes_per_s,
        latency: checkpoint.latency,
    });
    if let Some(claimed) = from.filter(|_| checkpoint.claims(&setup.spec.options)) {
        if claimed.metadata.kind.is_savepoint() {
            return Err(CheckpointError::Foreign {
                checkpoint: claimed.url().to_owned(),
                reason: "it is a savepoint, and only a checkpoint can be claimed here: \
                         set execution.state-recovery.claim-mode = NO_CLAIM"
                    .to_owned(),
            });
        }
        return Ok(CheckpointStorage::open(claimed.job_url(), profile)?);
    }
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

/// Whether a figure of checkpoints grows without bound, by the second half of the run.
fn trend_of<'a>(
    complete: impl Iterator<Item = &'a CheckpointRecord>,
    figure: impl Fn(&CheckpointRecord) -> f64,
) -> Trend {
    let points: Vec<_> = complete.map(|record| (record.time_ms as f64, figure(record))).collect();
    trend(&points[points.len() / 2..])
}
