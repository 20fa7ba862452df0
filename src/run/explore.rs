//! Trials of configurations that are thought of while it goes on, as a search does.

use std::path::Path;

use tempfile::TempDir;

use super::base::{Base, prefill_key, was_made};
use super::predict::predict;
use super::{RunError, RunOptions, RunWith, Runner, state_parent};
use crate::result::{Host, Outcome, Trial};
use crate::workload::{Cell, Configuration, Invalid, Plan, PlannedTrial};

/// Prefills that are kept at the most.
const MOST_PREFILLS: usize = 24;
/// The share of the free disk that prefills may take.
const DISK_SHARE: f64 = 0.25;

/// Runs trials of any configuration of the workloads of a plan, and lets those that write the same files share a prefill.
pub struct Explorer<'a> {
    runner: Runner<'a>,
    plan: Plan,
    /// Prefills that were made, the one last used last.
    prefills: Vec<(String, TempDir)>,
    trials: usize,
    /// Restores that did not come to what the run did.
    wrong_restores: Vec<String>,
}

impl<'a> Explorer<'a> {
    /// For the workloads of a plan, and about so many trials.
    ///
    /// # Errors
    /// The result could not be written.
    pub fn new(plan: Plan, options: &'a RunOptions, trials: usize) -> Result<Self, RunError> {
        let runner = Runner::new(&plan, options, trials)?;
        Ok(Self { runner, plan, prefills: Vec::new(), trials: 0, wrong_restores: Vec::new() })
    }

    /// Runs one trial.
    ///
    /// # Errors
    /// The workload and the configuration do not go together, or the state folder cannot be written.
    pub fn run(&mut self, variant: usize, configuration: &Configuration, repeat: u32) -> Result<Trial, ExploreError> {
        let cell = self.plan.cell_of(variant, configuration)?;
        let planned = PlannedTrial { cell, repeat, companion: false };
        let base = self.base(&planned)?;
        let with = RunWith { is_paired: true, ..RunWith::default() };
        let trial = self.runner.measure(&self.plan, &planned, &base, (variant, self.trials), &with)?;
        self.trials += 1;
        if let Base::Make(path) = &base {
            let subtasks = self.plan.variants[variant].workload.run.groups.parallelism;
            if !was_made(path, subtasks) {
                self.prefills.pop();
            }
        }
        if let Outcome::Finished(measurement) = &trial.outcome {
            let restore = measurement.checkpoints.as_ref().and_then(|checkpoints| checkpoints.restore.as_ref());
            if restore.is_some_and(|restore| !restore.agrees) {
                self.wrong_restores.push(format!("{}: the restored state is not that of the run", trial.configuration));
            }
        }
        Ok(trial)
    }

    /// The prefill of a trial: one that is kept, or one that it makes for others too.
    fn base(&mut self, planned: &PlannedTrial) -> Result<Base, RunError> {
        let Some(key) = prefill_key(&self.plan, planned) else { return Ok(Base::None) };
        if let Some(place) = self.prefills.iter().position(|(known, _)| *known == key) {
            let kept = self.prefills.remove(place);
            let path = kept.1.path().to_owned();
            self.prefills.push(kept);
            return Ok(Base::Copy(path));
        }
        let options = self.runner.options;
        let cell = &self.plan.cells[planned.cell];
        let parent = state_parent(cell, &options.state_folder);
        if self.prefills.len() >= most_prefills(&self.plan, cell, parent) {
            self.prefills.remove(0);
        }
        let io = |error| RunError::Io(parent.to_owned(), "cannot make a folder for a prefill", error);
        let folder = tempfile::Builder::new().prefix("statebench-prefill-").tempdir_in(parent).map_err(io)?;
        let path = folder.path().to_owned();
        self.prefills.push((key, folder));
        Ok(Base::Make(path))
    }

    /// Where trials of the same events did not compute the same; empty where all did.
    pub fn differences(&self) -> Vec<String> {
        let differences = self.runner.result.agreements.iter().flat_map(|agreement| &agreement.differences);
        differences.chain(&self.wrong_restores).cloned().collect()
    }

    /// Whether the user wants it to stop.
    pub fn is_interrupted(&self) -> bool {
        self.runner.result.interrupted
    }

    /// Prints a line above the progress line.
    pub fn say(&self, line: &str) {
        self.runner.line.say(line);
    }
}

/// How many prefills of this size may be kept at a time.
fn most_prefills(plan: &Plan, cell: &Cell, parent: &Path) -> usize {
    let free = Host::of_this_machine(parent).state_free_bytes;
    let fits = free.zip(predict(plan, cell).state_bytes).map(|(free, bytes)| DISK_SHARE * free as f64 / bytes.max(1.0));
    fits.map_or(1, |fits| (fits as usize).clamp(1, MOST_PREFILLS))
}

/// Why a trial of a search cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ExploreError {
    /// It cannot be run here.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The workload and the configuration do not go together.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}
