//! Running a plan: trials one after another in processes of their own, their digests compared, the result saved after
//! each.

mod agree;
mod base;
mod checkpoints;
#[cfg(test)]
#[cfg(feature = "rocksdb")]
mod conformance;
mod coordinator;
mod dispatch;
mod drive;
mod explore;
mod growth;
mod heap;
mod interleave;
mod max_rate;
mod memory_limit;
mod observe;
mod open_loop;
mod pipeline;
mod predict;
mod process;
mod program;
mod progress;
mod restore;
mod stage;
mod steady;
mod subtasks;
mod timeline;
mod trial;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

pub use dispatch::run_trial;
pub use drive::{Delivery, drive};
pub use explore::{ExploreError, Explorer};
pub use interleave::{Arm, Interleaver, RunWith};
pub use max_rate::{RateTarget, find_max_rates};
pub use predict::{IndexCliff, Prediction, index_cliff, predict};
pub use process::{TRIAL_COMMAND, child_main};
pub use program::{DESCRIBE, OtherProgram, ProgramError, describe};
pub use trial::{Blame, Phase, PrefillFrom, Progress, Report, TrialError, TrialSpec};

use crate::result::{Agreement, BuildInfo, Host, Manifest, Outcome, RunResult, SCHEMA_VERSION, Trial, VariantInfo};
use crate::source::stream_seed;
use crate::workload::{BackendType, Cell, LocalDir, Options, Plan, PlannedTrial, Workload, folder_of};
use base::{Base, Bases};
use memory_limit::MemoryGroup;
use process::{Ending, run_in_child};
use progress::ProgressLine;

/// Who hears of a trial's progress, and may want it to stop.
pub trait Observer: Sync {
    /// The trial has got this far.
    fn progress(&self, progress: &Progress);
    /// Whether to stop.
    fn interrupted(&self) -> bool;
}

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Whether the user has asked to stop (Ctrl-C, or SIGTERM).
pub fn stop_requested() -> bool {
    STOP.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Turns Ctrl-C and SIGTERM into a request to stop; a second one ends the process at once.
///
/// # Errors
/// The signal cannot be handled.
pub fn handle_stop_signals() -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    let stop = STOP.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 130, Arc::clone(stop))?;
        flag::register(signal, Arc::clone(stop))?;
    }
    Ok(())
}

/// How a plan is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Where the result goes.
    pub output: PathBuf,
    /// Where the folders of the state are made and removed.
    pub state_folder: PathBuf,
    /// No progress.
    pub quiet: bool,
    /// The plan was shrunk by `--quick`.
    pub quick: bool,
}

/// Why a plan cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A folder or file cannot be used.
    #[error("{path}: {what}: {error}", path = .0.display(), what = .1, error = .2)]
    Io(PathBuf, &'static str, #[source] std::io::Error),
    /// The memory of a trial cannot be limited here.
    #[error("`run.memory-limit` needs a control group of Linux that this user may make: {0}")]
    MemoryLimit(#[source] std::io::Error),
}

/// Runs a plan and saves the result after each trial. The result says what failed; only what keeps the run from going
/// on is an error.
///
/// # Errors
/// The state folder or the output cannot be written, or no process can be started.
pub fn run_plan(plan: &Plan, options: &RunOptions) -> Result<RunResult, RunError> {
    run_plan_with(plan, options, &RunWith::default())
}

/// The same with every trial run in another way than the plan says.
///
/// # Errors
/// As [`run_plan`].
pub fn run_plan_with(plan: &Plan, options: &RunOptions, with: &RunWith) -> Result<RunResult, RunError> {
    let trials = plan.trials();
    let mut runner = Runner::new(plan, options, trials.len())?;
    let mut bases = Bases::of(plan);
    for planned in &trials {
        let io = |error| RunError::Io(options.state_folder.clone(), "cannot make a folder for a prefill", error);
        let base = bases.before(plan, planned, &options.state_folder).map_err(io)?;
        let variant = plan.cells[planned.cell].variant;
        let trial = runner.run_as(plan, planned, &base, (variant, variant), with)?;
        // What the input made fail once fails again in every other trial.
        let hopeless = matches!(trial.outcome, Outcome::Failed { environment: false, .. });
        bases.after(plan, planned);
        if runner.result.interrupted || hopeless {
            break;
        }
    }
    runner.finish()
}

/// Runs trials one after another, and keeps the result of all.
struct Runner<'a> {
    options: &'a RunOptions,
    result: RunResult,
    reports: Reports,
    line: ProgressLine,
    started: Instant,
}

impl<'a> Runner<'a> {
    /// For a plan of about so many trials.
    fn new(plan: &Plan, options: &'a RunOptions, trials: usize) -> Result<Self, RunError> {
        check_output_folder(&options.output)?;
        // What cannot be done is said before the first trial.
        plan.variants.iter().try_for_each(|variant| memory_group(&variant.workload).map(drop))?;
        let line = ProgressLine::new(trials, options.quiet);
        let started = Instant::now();
        Ok(Self { options, result: empty_result(plan, options), reports: Reports::new(), line, started })
    }

    /// The number of a workload in the result, which gets it if it does not have it.
    fn variant(&mut self, info: VariantInfo) -> usize {
        let known = self.result.variants.iter().position(|variant| *variant == info);
        known.unwrap_or_else(|| {
            self.result.variants.push(info);
            self.result.variants.len() - 1
        })
    }

    /// Runs a trial of a plan, whose result is compared with those of the same workload.
    fn run(&mut self, plan: &Plan, planned: &PlannedTrial, base: &Base, variant: usize) -> Result<&Trial, RunError> {
        self.run_as(plan, planned, base, (variant, variant), &RunWith::default())
    }

    /// The same in another way, as one of the workload of the second number.
    fn run_as(
        &mut self,
        plan: &Plan,
        planned: &PlannedTrial,
        base: &Base,
        variants: (usize, usize),
        with: &RunWith,
    ) -> Result<&Trial, RunError> {
        self.run_unsaved(plan, planned, base, variants, with)?;
        save(&self.result, self.options)?;
        Ok(&self.result.trials[self.result.trials.len() - 1])
    }

    /// The same without saving the result.
    fn run_unsaved(
        &mut self,
        plan: &Plan,
        planned: &PlannedTrial,
        base: &Base,
        variants: (usize, usize),
        with: &RunWith,
    ) -> Result<(), RunError> {
        let number = self.result.trials.len();
        let trial = self.measure(plan, planned, base, (variants.0, number), with)?;
        self.result.trials.push(Trial { variant: variants.1, ..trial });
        Ok(())
    }

    /// Runs a trial without keeping it. What it computed is compared with that of others of the workload of the first number; the
    /// second is how many trials were run before.
    fn measure(
        &mut self,
        plan: &Plan,
        planned: &PlannedTrial,
        base: &Base,
        (compared, number): (usize, usize),
        with: &RunWith,
    ) -> Result<Trial, RunError> {
        let label = trial_label(plan, planned, with);
        self.line.begin(number, &label);
        let (line, began) = (&self.line, self.started.elapsed());
        let (mut trial, report) = run_one(plan, planned, self.options, base, with, |progress| line.update(progress))?;
        trial.run.began_s = Some(began.as_secs_f64());
        trial.run.took_s = Some(self.started.elapsed().saturating_sub(began).as_secs_f64());
        match &trial.outcome {
            Outcome::Failed { reason, .. } => self.line.say(&format!("{label}: failed: {reason}")),
            Outcome::OutOfMemory(verdict) => self.line.say(&format!("{label}: {verdict}")),
            Outcome::Finished(_) | Outcome::Interrupted => {}
        }
        if let Some(report) = report {
            let cell = &plan.cells[planned.cell];
            let may_see_expired = plan.variants[cell.variant].workload.may_see_expired();
            // The null backend keeps nothing, so it computes something else.
            if cell.configuration.options.backend != BackendType::Null && !may_see_expired {
                let counting = if planned.companion { " (with counters)" } else { "" };
                let name = format!("{}{counting}", trial.configuration);
                self.reports.entry((compared, planned.repeat)).or_default().push((name, *report));
            }
        }
        self.result.interrupted = matches!(trial.outcome, Outcome::Interrupted) || stop_requested();
        self.result.agreements = agreements(&self.reports);
        Ok(trial)
    }

    /// The result, saved.
    fn finish(mut self) -> Result<RunResult, RunError> {
        self.line.finish();
        self.result.planned_trials = self.result.planned_trials.max(self.result.trials.len());
        save(&self.result, self.options)?;
        Ok(self.result)
    }
}

/// The control group of the next trial, where its memory is limited.
fn memory_group(workload: &Workload) -> Result<Option<MemoryGroup>, RunError> {
    workload.run.memory_limit_bytes.map(MemoryGroup::create).transpose().map_err(RunError::MemoryLimit)
}

/// Fails before the first trial where the result could not be written after it.
fn check_output_folder(output: &Path) -> Result<(), RunError> {
    let error = |error| RunError::Io(output.to_owned(), "cannot write the result", error);
    tempfile::tempfile_in(folder_of(output)).map(drop).map_err(error)
}

/// Writes the result as soon as it holds an answer: before that an older file is worth more.
fn save(result: &RunResult, options: &RunOptions) -> Result<(), RunError> {
    if !result.has_answers() {
        return Ok(());
    }
    let error = |error| RunError::Io(options.output.clone(), "cannot write the result", error);
    result.save(&options.output).map_err(error)
}

/// The circumstances of a run of a plan that begins now.
pub fn manifest(plan: &Plan, state_folder: &Path, quick: bool) -> Manifest {
    Manifest {
        started_epoch_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        host: Host::of_this_machine(state_folder),
        build: own_build(),
        seed: plan.wire.run.seed,
        quick,
    }
}

/// This program.
fn own_build() -> BuildInfo {
    #[cfg(feature = "rocksdb")]
    let rocksdb = Some(crate::backend::ROCKSDB_VERSION);
    #[cfg(not(feature = "rocksdb"))]
    let rocksdb = None;
    BuildInfo::of_this_program(rocksdb)
}

/// The result of a plan before its first trial.
pub(crate) fn empty_result(plan: &Plan, options: &RunOptions) -> RunResult {
    let variant = |variant: &crate::workload::Variant| VariantInfo {
        label: variant.label.clone(),
        workload: variant.wire.clone(),
    };
    RunResult {
        schema_version: SCHEMA_VERSION,
        manifest: manifest(plan, &options.state_folder, options.quick),
        name: plan.name.clone(),
        description: plan.description.clone(),
        workload: plan.wire.clone(),
        variants: plan.variants.iter().map(variant).collect(),
        planned_trials: plan.trials().len(),
        trials: Vec::new(),
        agreements: Vec::new(),
        max_rates: Vec::new(),
        interleaved: None,
        tuning: None,
        interrupted: false,
    }
}

/// Where the folder of a cell's state is made: in the directory that its configuration names, or else in this one.
pub fn state_parent<'a>(cell: &'a Cell, state_folder: &'a Path) -> &'a Path {
    cell.configuration.options.localdir.0.as_ref().map_or(state_folder, |dir| &dir.0)
}

fn trial_label(plan: &Plan, trial: &PlannedTrial, with: &RunWith) -> String {
    let cell = &plan.cells[trial.cell];
    let variant = &plan.variants[cell.variant];
    let place = if variant.label.is_empty() { String::new() } else { format!("{} ", variant.label) };
    let which = if trial.companion {
        "with counters".to_owned()
    } else if with.is_paired {
        format!("pair {}", trial.repeat + 1)
    } else {
        format!("repeat {}/{}", trial.repeat + 1, variant.workload.run.repeats)
    };
    format!("{place}{} {which}", with.name(&cell.configuration.name))
}

/// Runs one trial in a child process with a folder of its own, which is removed whatever happens.
fn run_one(
    plan: &Plan,
    planned: &PlannedTrial,
    options: &RunOptions,
    base: &Base,
    with: &RunWith,
    mut progress: impl FnMut(&Progress),
) -> Result<(Trial, Option<Box<Report>>), RunError> {
    let PlannedTrial { repeat, companion, .. } = *planned;
    let cell = &plan.cells[planned.cell];
    let variant = &plan.variants[cell.variant];
    let seed = stream_seed(variant.workload.run.seed, repeat);
    let parent = state_parent(cell, &options.state_folder);
    let folder = state_tempdir(parent)?;
    let mut spec = TrialSpec {
        workload: variant.wire.clone(),
        folder: plan.folder.clone(),
        options: cell.configuration.options.clone(),
        stream_seed: seed,
        state_folder: folder.path().to_owned(),
        counters: companion,
        prefill: PrefillFrom::Own,
        memory_group: None,
        handicap_percent: with.handicap_percent,
    };
    let logs = log_tempdir(&spec.options)?;
    if let Some(logs) = &logs {
        spec.options.log_dir.0 = Some(LocalDir(logs.path().to_owned()));
    }
    let mut run = |spec: &TrialSpec| {
        let error =
            |error| RunError::Io(spec.state_folder.clone(), "cannot run a trial in a process of its own", error);
        let program = with.program.as_ref().map(|program| program.path.as_path());
        run_in_child(spec, program, &mut progress).map_err(error)
    };
    let made = match base {
        Base::Make(path) => {
            // In a folder of its own: where the trial's state goes nothing may be before the copy.
            let making = state_tempdir(parent)?;
            let state_folder = making.path().to_owned();
            run(&TrialSpec { prefill: PrefillFrom::Make(path.clone()), state_folder, ..spec.clone() })?
        }
        Base::Copy(_) | Base::None => Ending::Prefilled,
    };
    let group = memory_group(&variant.workload)?;
    spec.memory_group = group.as_ref().map(|group| group.folder().to_owned());
    if let Base::Make(path) | Base::Copy(path) = base {
        spec.prefill = PrefillFrom::Copy(path.clone());
    }
    let ending = match made {
        Ending::Prefilled => run(&spec)?,
        failed => failed,
    };
    let (outcome, report) = match ending {
        Ending::Prefilled => {
            let reason = "the trial's process made a prefill and measured nothing".to_owned();
            (Outcome::Failed { reason, environment: true }, None)
        }
        Ending::Finished(report) => (Outcome::Finished(Box::new(report.measurement.clone())), Some(report)),
        Ending::Failed { reason, blame } => {
            (Outcome::Failed { reason, environment: blame == Blame::Environment }, None)
        }
        Ending::OutOfMemory(verdict) => (Outcome::OutOfMemory(verdict), None),
        Ending::Interrupted => (Outcome::Interrupted, None),
    };
    let trial = Trial {
        variant: cell.variant,
        configuration: with.name(&cell.configuration.name),
        base: cell.configuration.base.clone(),
        knobs: variant.knobs.iter().chain(&cell.configuration.knobs).map(|(k, v)| (k.clone(), v.clone())).collect(),
        options: cell.configuration.options.resolved().collect(),
        repeat,
        companion,
        seed,
        run: with.noted(),
        outcome,
    };
    Ok((trial, report))
}

/// A folder for state, which is removed when it is dropped.
fn state_tempdir(parent: &Path) -> Result<TempDir, RunError> {
    tempfile::Builder::new()
        .prefix("statebench-")
        .tempdir_in(parent)
        .map_err(|error| RunError::Io(parent.to_owned(), "cannot make a folder for the state", error))
}

/// A folder for RocksDB's logs in the directory that the options name, if they do. It goes with the trial: the directory
/// may be that of a job in production.
fn log_tempdir(options: &Options) -> Result<Option<TempDir>, RunError> {
    let directory = options.log_dir.0.as_ref().filter(|_| options.backend == BackendType::RocksDb);
    directory.map(|directory| state_tempdir(&directory.0)).transpose()
}

/// What trials with the same events reported, by workload and repeat: name and report of each.
type Reports = BTreeMap<(usize, u32), Vec<(String, Report)>>;

fn agreements(reports: &Reports) -> Vec<Agreement> {
    let compare = |(&(variant, repeat), reports): (&(usize, u32), &Vec<(String, Report)>)| {
        let trials: Vec<_> = reports.iter().map(|(name, report)| agree::Finished { name, report }).collect();
        agree::compare(variant, repeat, &trials)
    };
    reports.iter().filter_map(compare).collect()
}

/// A path for the result of a workload where none is named: the first of `NAME.result.json`, `NAME.2.result.json`, …
/// that does not exist.
pub fn free_output(folder: &Path, name: &str) -> PathBuf {
    let safe: String =
        name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).collect();
    let numbered = (2..).map(|number| folder.join(format!("{safe}.{number}.result.json")));
    let mut candidates = std::iter::once(folder.join(format!("{safe}.result.json"))).chain(numbered);
    candidates.find(|path| !path.exists()).unwrap_or_else(|| folder.join("result.json"))
}
