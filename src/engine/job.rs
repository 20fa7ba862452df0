//! Runs a plan's cells as jobs of Flink: the events written, a cluster for each configuration, a job, and what it has told.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::cluster::{ClusterPlan, LocalCluster};
use super::compared::compare_with_own;
use super::events::{Written, write_events};
use super::outcome::Told;
use super::rest::{Access, JobManager, root_cause};
use super::{EngineError, FlinkHome, program, spec};
use crate::result::{Engine, FlinkCheckpoint, FlinkRun, Outcome, RunResult, Trial, TrialRun};
use crate::run::{RunOptions, stop_requested};
use crate::source::stream_seed;
use crate::workload::{BackendType, Cell, KnownKey, Plan, Variant};

/// Time between two looks at a job.
const POLL: Duration = Duration::from_millis(200);
/// How long a job may take to end after it was cancelled.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(20);

/// Where jobs run.
#[derive(Debug, Clone)]
pub enum Place {
    /// On a cluster of this machine, one for each trial.
    Local,
    /// On a session cluster that is there.
    Session {
        /// The address of its REST interface.
        url: String,
        /// How it is reached.
        access: Access,
    },
}

/// How a workload is run on Flink.
#[derive(Debug, Clone)]
pub struct FlinkOptions {
    /// Flink's jars and scripts.
    pub home: FlinkHome,
    /// Where jobs run.
    pub place: Place,
    /// The folder for event files, which task managers must see under the same path; a temporary one where it is not set.
    pub events_folder: Option<PathBuf>,
    /// Whether jobs follow each other on one local cluster: quicker, and one finds what another has left behind in the JVM.
    pub reuse_cluster: bool,
    /// Kills a task manager of a local cluster after this time in the job, once in each trial.
    pub kill_after: Option<Duration>,
    /// Says what goes on.
    pub say: fn(&str),
}

/// Runs every cell of a plan on Flink, each as often as the plan says, and adds the trials to a result of the same plan,
/// which is saved after each. What a job emits is compared with what the result's own trials have.
///
/// # Errors
/// A cell cannot be run on Flink, the cluster cannot be started or reached, or the user stopped it. A job that fails is a
/// failed trial.
pub fn run_on_flink(
    plan: &Plan,
    result: &mut RunResult,
    run: &RunOptions,
    options: &FlinkOptions,
) -> Result<(), EngineError> {
    let mut trials = FlinkTrials::new(plan, run, options)?;
    for (variant, of_plan) in plan.variants.iter().enumerate() {
        for repeat in 0..of_plan.workload.run.repeats {
            trials.run(variant, repeat, |trial| {
                compare_with_own(result, &trial, of_plan);
                result.trials.push(trial);
                result.planned_trials = result.planned_trials.max(result.trials.len());
                if !result.has_answers() {
                    return Ok(());
                }
                let io = |error| EngineError::Io(run.output.clone(), "cannot write the result", error);
                result.save(&run.output).map_err(io)
            })?;
        }
    }
    Ok(())
}

/// Runs trials of a plan on Flink.
pub struct FlinkTrials<'a> {
    plan: &'a Plan,
    run: &'a RunOptions,
    options: &'a FlinkOptions,
    /// Where the job is compiled, and events are written where no folder is named.
    work: TempDir,
    jar: PathBuf,
    clusters: Clusters,
}

impl<'a> FlinkTrials<'a> {
    /// Compiles the job.
    ///
    /// # Errors
    /// There is no room for it, or the compiler refuses it.
    pub fn new(plan: &'a Plan, run: &'a RunOptions, options: &'a FlinkOptions) -> Result<Self, EngineError> {
        let work = folder_in(&run.state_folder, "statebench-job-")?;
        let jar = program::compile(&options.home, work.path())?;
        Ok(Self { plan, run, options, work, jar, clusters: Clusters::default() })
    }

    /// Writes the events of a repeat of a workload, and runs each of its configurations over them.
    ///
    /// # Errors
    /// As [`run_on_flink`], or what is done with a trial fails.
    pub fn run(
        &mut self,
        variant: usize,
        repeat: u32,
        mut each: impl FnMut(Trial) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let of_plan = &self.plan.variants[variant];
        let folder = self.options.events_folder.as_deref().unwrap_or(self.work.path());
        let events = folder_in(folder, "statebench-events-")?;
        let seed = stream_seed(of_plan.workload.run.seed, repeat);
        let written = write_events(&of_plan.workload, seed, events.path())?;
        for cell in self.plan.cells.iter().filter(|cell| is_run(cell, variant)) {
            let runner = Runner {
                options: self.options,
                run: self.run,
                variant: of_plan,
                cell,
                jar: &self.jar,
                events: events.path(),
                written,
            };
            each(runner.trial(&self.plan.name, (repeat, seed), &mut self.clusters)?)?;
        }
        Ok(())
    }
}

/// A folder that is removed when it is dropped.
fn folder_in(parent: &Path, prefix: &str) -> Result<TempDir, EngineError> {
    let made = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
    made.map_err(|error| EngineError::Io(parent.to_owned(), "cannot make a folder", error))
}

/// Whether a cell is one that Flink runs.
fn is_run(cell: &Cell, variant: usize) -> bool {
    cell.variant == variant && cell.configuration.options.backend != BackendType::Null
}

/// What one trial is run with.
struct Runner<'a> {
    options: &'a FlinkOptions,
    run: &'a RunOptions,
    variant: &'a Variant,
    cell: &'a Cell,
    jar: &'a Path,
    events: &'a Path,
    written: Written,
}

/// What a job manager tells of a job that has ended.
struct Seen {
    checkpoints: Vec<FlinkCheckpoint>,
    back_pressured_s: Option<f64>,
}

/// What came of a job.
struct Ended {
    told: Told,
    seen: Seen,
    task_managers: u16,
    killed_task_managers: u16,
    cluster_start: Option<Duration>,
}

impl Runner<'_> {
    fn trial(&self, name: &str, (repeat, seed): (u32, u64), clusters: &mut Clusters) -> Result<Trial, EngineError> {
        let configuration = &self.cell.configuration;
        let label = flink_name(&configuration.name, &self.options.home.version);
        (self.options.say)(&format!("{label}, repeat {}", repeat + 1));
        let started = Instant::now();
        let arguments = self.arguments(name)?;
        let (outcome, flink) = match self.job(&arguments, clusters) {
            Ok(ended) => self.finished(&ended),
            // A job that fails, or a cluster that goes down under it, is a failed trial.
            Err(error @ (EngineError::Job(_) | EngineError::Told(_))) => {
                (Outcome::Failed { reason: error.to_string(), environment: true }, self.flink_run(0))
            }
            Err(error) => return Err(error),
        };
        Ok(Trial {
            variant: self.cell.variant,
            configuration: label,
            base: configuration.base.clone(),
            knobs: self.variant.knobs.iter().chain(&configuration.knobs).map(|(k, v)| (k.clone(), v.clone())).collect(),
            options: configuration.options.resolved().collect(),
            repeat,
            companion: false,
            seed,
            run: TrialRun {
                took_s: Some(started.elapsed().as_secs_f64()),
                engine: Engine::Flink(Box::new(flink)),
                ..TrialRun::default()
            },
            outcome,
        })
    }

    fn finished(&self, ended: &Ended) -> (Outcome, FlinkRun) {
        let sample_every = spec::sample_every(&self.variant.workload, &self.cell.configuration.options);
        let measurement = ended.told.measurement(&self.variant.workload, self.written, sample_every);
        let collections = ended.told.collections();
        let operators = 1 + self.variant.workload.later.len();
        let flink = FlinkRun {
            cluster_start_s: ended.cluster_start.map(|took| took.as_secs_f64()),
            restarts: ended.told.attempts(),
            killed_task_managers: ended.killed_task_managers,
            gc_count: Some(collections.count),
            gc_pause_s: Some(collections.ms as f64 / 1e3),
            jit_s: Some(collections.jit_ms as f64 / 1e3),
            heap_used_bytes: Some(collections.heap_used_bytes),
            heap_max_bytes: Some(collections.heap_max_bytes),
            emitted: (0..operators).map(|place| ended.told.emitted(place)).collect(),
            back_pressured_s: ended.seen.back_pressured_s,
            checkpoints: ended.seen.checkpoints.clone(),
            ..self.flink_run(ended.task_managers)
        };
        (Outcome::Finished(Box::new(measurement)), flink)
    }

    fn flink_run(&self, task_managers: u16) -> FlinkRun {
        FlinkRun {
            version: self.options.home.version.clone(),
            is_local: matches!(self.options.place, Place::Local),
            task_managers,
            ..FlinkRun::default()
        }
    }

    /// The arguments of the job, with the options of the configuration that a job may set.
    fn arguments(&self, name: &str) -> Result<Vec<String>, EngineError> {
        let events = format!("file://{}", self.events.display());
        let mut arguments = self.flink_options()?;
        arguments.retain(|(key, _)| may_be_set_by_job(key));
        let mut arguments: Vec<_> = arguments.into_iter().map(|(key, value)| format!("conf.{key}={value}")).collect();
        let options = &self.cell.configuration.options;
        arguments.extend(spec::arguments(name, &self.variant.workload, &events, options));
        Ok(arguments)
    }

    /// What the configuration sets, by the keys of the Flink that it runs on.
    fn flink_options(&self) -> Result<Vec<(String, String)>, EngineError> {
        let line = self.options.home.line;
        let given = self.cell.configuration.given.iter().map(|(key, value)| {
            let key = match KnownKey::find(key) {
                Some(KnownKey::Option(row)) if !row.versions.has(line) => {
                    return Err(EngineError::Unsupported(format!("{key}: Flink {line} has no such option")));
                }
                Some(KnownKey::Option(row)) => row.key_in(line).to_owned(),
                _ => key.clone(),
            };
            Ok((key, value.clone()))
        });
        given.collect()
    }

    fn job(&self, arguments: &[String], clusters: &mut Clusters) -> Result<Ended, EngineError> {
        match &self.options.place {
            Place::Local => {
                let plan = self.cluster_plan()?;
                let task_managers = plan.task_managers;
                let cluster = clusters.of(&self.options.home, plan, &self.run.state_folder)?;
                let before = cluster.restarted_task_managers();
                let cluster_start = Some(cluster.started_in());
                let submitted = self.submit(arguments, &mut Target::Local(&mut *cluster));
                let killed_task_managers = cluster.restarted_task_managers() - before;
                if submitted.is_err() || !self.options.reuse_cluster {
                    clusters.0 = None;
                }
                let (told, seen) = submitted?;
                Ok(Ended { told, seen, task_managers, killed_task_managers, cluster_start })
            }
            Place::Session { url, access } => {
                let manager = JobManager::at(url, access)?;
                let task_managers = self.check_slots(&manager)?;
                let (told, seen) = self.submit(arguments, &mut Target::Session(&manager))?;
                Ok(Ended { told, seen, task_managers, killed_task_managers: 0, cluster_start: None })
            }
        }
    }

    /// A cluster with as many task managers as the subtasks fill. One that several configurations share has only the options that a
    /// job cannot set.
    fn cluster_plan(&self) -> Result<ClusterPlan, EngineError> {
        let parallelism = self.variant.workload.run.groups.parallelism;
        let slots = self.cell.configuration.options.task_slots;
        let mut options = self.flink_options()?;
        options.retain(|(key, _)| !self.options.reuse_cluster || !may_be_set_by_job(key));
        Ok(ClusterPlan { task_managers: parallelism.div_ceil(slots), slots, options })
    }

    /// Whether a session cluster has the slots and the version; its task managers.
    fn check_slots(&self, manager: &JobManager) -> Result<u16, EngineError> {
        let overview = manager.get("overview")?;
        let number = |name: &str| overview.get(name).and_then(Value::as_u64).unwrap_or(0);
        let needed = u64::from(self.variant.workload.run.groups.parallelism);
        if number("slots-available") < needed {
            return Err(EngineError::Slots { needed, free: number("slots-available"), total: number("slots-total") });
        }
        let version = overview.get("flink-version").and_then(Value::as_str).unwrap_or_default();
        if version != self.options.home.version {
            return Err(EngineError::Unsupported(format!(
                "the job manager is Flink {version}, and the job would be compiled against {}: --flink-home has to name \
                 the same version",
                self.options.home.version
            )));
        }
        Ok(u16::try_from(number("taskmanagers")).unwrap_or(u16::MAX))
    }

    fn submit(&self, arguments: &[String], target: &mut Target<'_>) -> Result<(Told, Seen), EngineError> {
        let jar = target.manager().upload(self.jar)?;
        let ran = self.run_job(&jar, arguments, target);
        let removed = target.manager().delete_jar(&jar);
        let told = ran?;
        removed.map(|()| told)
    }

    fn run_job(&self, jar: &str, arguments: &[String], target: &mut Target<'_>) -> Result<(Told, Seen), EngineError> {
        let job = target.manager().run_jar(jar, program::MAIN_CLASS, arguments)?;
        if let Err(error) = self.until_ended(&job, target) {
            // Whatever went wrong here, the job does not go on behind it.
            cancel(target.manager(), &job);
            return Err(error);
        }
        let operators = 1 + self.variant.workload.later.len();
        let told = Told::read(&target.manager().get(&format!("jobs/{job}/accumulators"))?, operators)?;
        let seen = Seen {
            checkpoints: checkpoints(&target.manager().get(&format!("jobs/{job}/checkpoints"))?),
            back_pressured_s: back_pressured_s(&target.manager().get(&format!("jobs/{job}"))?),
        };
        Ok((told, seen))
    }

    fn until_ended(&self, job: &str, target: &mut Target<'_>) -> Result<(), EngineError> {
        let mut running_since: Option<Instant> = None;
        let mut to_kill = self.options.kill_after;
        loop {
            if stop_requested() {
                return Err(EngineError::Interrupted);
            }
            if let Target::Local(cluster) = target {
                cluster.tend()?;
            }
            let state = target.manager().get(&format!("jobs/{job}"))?;
            match state.get("state").and_then(Value::as_str).unwrap_or_default() {
                "FINISHED" => return Ok(()),
                "FAILED" => return Err(EngineError::Job(failure(target.manager(), job)?)),
                "CANCELED" => return Err(EngineError::Job("it was cancelled".to_owned())),
                "RUNNING" => {
                    let since = *running_since.get_or_insert_with(Instant::now);
                    if to_kill.is_some_and(|after| since.elapsed() >= after)
                        && let Target::Local(cluster) = target
                    {
                        to_kill = None;
                        (self.options.say)("killing a task manager");
                        cluster.kill_task_manager();
                    }
                }
                _ => {}
            }
            std::thread::sleep(POLL);
        }
    }
}

/// What a job is submitted to.
enum Target<'a> {
    Local(&'a mut LocalCluster),
    Session(&'a JobManager),
}

impl Target<'_> {
    fn manager(&self) -> &JobManager {
        match self {
            Self::Local(cluster) => cluster.manager(),
            Self::Session(manager) => manager,
        }
    }
}

/// The local cluster that is there, if one is.
#[derive(Default)]
struct Clusters(Option<(ClusterPlan, LocalCluster)>);

impl Clusters {
    /// A cluster after this plan: the one that is there, where it is such a one.
    fn of(&mut self, home: &FlinkHome, plan: ClusterPlan, folder: &Path) -> Result<&mut LocalCluster, EngineError> {
        if self.0.as_ref().is_some_and(|(other, _)| *other != plan) {
            self.0 = None;
        }
        let there = match self.0.take() {
            Some(there) => there,
            None => (plan.clone(), LocalCluster::start(home, plan, folder)?),
        };
        Ok(&mut self.0.insert(there).1)
    }
}

/// Whether an option holds for a job, and not for its task managers.
fn may_be_set_by_job(key: &str) -> bool {
    !key.starts_with("taskmanager.") && !key.starts_with("jobmanager.")
}

/// The name of a configuration that ran on Flink.
fn flink_name(configuration: &str, version: &str) -> String {
    format!("{configuration} (Flink {version})")
}

/// Cancels a job, and waits until it has ended.
fn cancel(manager: &JobManager, job: &str) {
    if manager.cancel(job).is_err() {
        return;
    }
    let started = Instant::now();
    while started.elapsed() < CANCEL_TIMEOUT {
        let state = manager.get(&format!("jobs/{job}")).ok();
        let state = state.as_ref().and_then(|state| state.get("state")?.as_str());
        if !matches!(state, Some("RUNNING" | "CANCELLING" | "CREATED" | "RESTARTING" | "FAILING")) {
            return;
        }
        std::thread::sleep(POLL);
    }
}

/// Why a job failed, by its job manager.
fn failure(manager: &JobManager, job: &str) -> Result<String, EngineError> {
    let exceptions = manager.get(&format!("jobs/{job}/exceptions"))?;
    let history = exceptions.pointer("/exceptionHistory/entries/0/stacktrace").and_then(Value::as_str);
    let root = exceptions.get("root-exception").and_then(Value::as_str);
    Ok(history.or(root).map_or_else(|| "the job manager gives no reason".to_owned(), root_cause))
}

/// How long the tasks of a job were held back by those behind them, s.
fn back_pressured_s(answer: &Value) -> Option<f64> {
    let vertices = answer.get("vertices")?.as_array()?;
    let held_back = |vertex: &Value| vertex.pointer("/metrics/accumulated-backpressured-time")?.as_f64();
    vertices.iter().map(held_back).sum::<Option<f64>>().map(|ms| ms / 1e3)
}

/// The completed checkpoints of a job, the oldest first.
fn checkpoints(answer: &Value) -> Vec<FlinkCheckpoint> {
    let history = answer.get("history").and_then(Value::as_array).into_iter().flatten();
    let completed = history.filter(|one| one.get("status").and_then(Value::as_str) == Some("COMPLETED"));
    let checkpoint = |one: &Value| {
        let number = |name: &str| one.get(name).and_then(Value::as_u64);
        Some(FlinkCheckpoint {
            id: number("id")?,
            state_bytes: number("state_size")?,
            uploaded_bytes: number("checkpointed_size"),
            end_to_end_s: number("end_to_end_duration")? as f64 / 1e3,
        })
    };
    let mut all: Vec<_> = completed.filter_map(checkpoint).collect();
    all.sort_by_key(|checkpoint| checkpoint.id);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_job_manager_only_what_it_says_is_taken() {
        let one = |id: u64, status: &str| json!({ "id": id, "status": status, "state_size": 10 * id, "end_to_end_duration": 250 });
        let history = json!({ "history": [one(3, "COMPLETED"), one(2, "FAILED"), one(1, "COMPLETED"), { "status": "COMPLETED" }] });
        let found: Vec<_> =
            checkpoints(&history).iter().map(|one| (one.id, one.state_bytes, one.end_to_end_s)).collect();
        assert_eq!(found, [(1, 10, 0.25), (3, 30, 0.25)]);
        assert!(checkpoints(&json!({})).is_empty());
        let vertex = |ms: u64| json!({ "metrics": { "accumulated-backpressured-time": ms } });
        assert_eq!(back_pressured_s(&json!({ "vertices": [vertex(500), vertex(250)] })), Some(0.75));
        assert_eq!(back_pressured_s(&json!({ "vertices": [vertex(500), {}] })), None);
    }

    #[test]
    fn a_job_may_not_set_what_its_task_managers_have() {
        assert!(may_be_set_by_job("state.backend.rocksdb.thread.num"));
        assert!(!may_be_set_by_job("taskmanager.memory.managed.size"));
    }
}
