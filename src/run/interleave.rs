//! Trials in blocks: in each every arm once, in random order and with the same events, so that what drifts meets all alike.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::base::Base;
use super::program::OtherProgram;
use super::{RunError, RunOptions, Runner, save};
use crate::result::{Interleaved, Outcome, RunResult, TrialRun};
use crate::workload::{Plan, PlannedTrial, shuffled};

/// Time between two saves: the file holds everything, and grows.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// How trials are run where it is not just as their configuration says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunWith {
    /// What the configuration's name in the result has behind it.
    pub label: Option<String>,
    /// The program that runs them; this one where none is named.
    pub program: Option<OtherProgram>,
    /// By how much the operator is slowed down on purpose, in percent of the time of an event.
    pub handicap_percent: Option<f64>,
    /// Whether they are one side of pairs.
    pub is_paired: bool,
}

impl RunWith {
    /// Slowed down on purpose by so much; the name says so.
    pub fn handicap(percent: f64) -> Self {
        let label = Some(format!("handicap={percent}%"));
        Self { label, handicap_percent: Some(percent), ..Self::default() }
    }

    /// What a result calls a configuration that is run like this.
    pub fn name(&self, configuration: &str) -> String {
        match &self.label {
            Some(label) => format!("{configuration} {label}"),
            None => configuration.to_owned(),
        }
    }

    /// What a trial notes of it.
    pub(super) fn noted(&self) -> TrialRun {
        let program = self.program.as_ref().map(|program| program.info.clone());
        TrialRun { handicap_percent: self.handicap_percent, program, ..TrialRun::default() }
    }
}

/// A cell of a plan, and how it is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// Position of the cell in the plan.
    pub cell: usize,
    /// How it is run.
    pub with: RunWith,
}

/// Runs blocks.
pub struct Interleaver<'a> {
    runner: Runner<'a>,
    plan: &'a Plan,
    arms: &'a [Arm],
    /// The seed of the orders of blocks. It is another one in each run: with the same order every time nothing would be random
    /// about it. The result has the trials in the order in which they ran.
    order_seed: u64,
    /// The repeat of the first block, which decides its events.
    first_repeat: u32,
    saved: Instant,
}

impl<'a> Interleaver<'a> {
    /// For arms of a plan, and about so many blocks.
    ///
    /// # Errors
    /// The result cannot be written.
    pub fn new(plan: &'a Plan, arms: &'a [Arm], options: &'a RunOptions, blocks: u32) -> Result<Self, RunError> {
        let runner = Runner::new(plan, options, arms.len() * blocks as usize)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let order_seed = xxhash_rust::xxh3::xxh3_64(format!("{now} {}", std::process::id()).as_bytes());
        Ok(Self { runner, plan, arms, order_seed, first_repeat: 0, saved: Instant::now() })
    }

    /// Lets the first block have the events of this repeat, and the others those that follow.
    #[must_use]
    pub fn starting_at(self, first_repeat: u32) -> Self {
        Self { first_repeat, ..self }
    }

    /// Runs the arms that are still wanted once each; false where one has not finished or the user stopped it.
    ///
    /// # Errors
    /// The state folder or the output cannot be written, or no process can be started.
    pub fn run_block(&mut self, block: u32, is_wanted: impl Fn(&Arm) -> bool) -> Result<bool, RunError> {
        for index in shuffled(self.order_seed, block, self.arms.len()) {
            let arm = &self.arms[index];
            if !is_wanted(arm) {
                continue;
            }
            let variant = self.plan.cells[arm.cell].variant;
            let planned = PlannedTrial { cell: arm.cell, repeat: self.first_repeat + block, companion: false };
            self.runner.run_unsaved(self.plan, &planned, &Base::None, (variant, variant), &arm.with)?;
            if let Some(trial) = self.runner.result.trials.last_mut() {
                trial.repeat = block; // pairs are counted from the first one on, whatever its events
            }
            let has_finished = |outcome: &Outcome| matches!(outcome, Outcome::Finished(_));
            let finished = self.runner.result.trials.last().is_some_and(|trial| has_finished(&trial.outcome));
            if !finished || self.runner.result.interrupted {
                return Ok(false);
            }
        }
        if self.saved.elapsed() >= SAVE_EVERY {
            save(&self.runner.result, self.runner.options)?;
            self.saved = Instant::now();
        }
        Ok(true)
    }

    /// The trials so far.
    pub fn result(&self) -> &RunResult {
        &self.runner.result
    }

    /// Notes how it goes.
    pub fn note(&mut self, interleaved: Interleaved) {
        self.runner.result.interleaved = Some(interleaved);
    }

    /// Prints a line above the progress line.
    pub fn say(&self, line: &str) {
        self.runner.line.say(line);
    }

    /// The result, saved.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish(mut self) -> Result<RunResult, RunError> {
        let result = &mut self.runner.result;
        result.planned_trials = result.trials.len();
        for agreement in &mut result.agreements {
            agreement.repeat = agreement.repeat.saturating_sub(self.first_repeat);
        }
        self.runner.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_was_done_otherwise() {
        assert_eq!(RunWith::default().name("heap"), "heap");
        assert_eq!(RunWith::handicap(5.0).name("heap"), "heap handicap=5%");
        assert_eq!(RunWith::handicap(2.5).noted().handicap_percent, Some(2.5));
    }
}
