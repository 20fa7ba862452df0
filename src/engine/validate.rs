//! A workload on both engines, repeat by repeat: in each every configuration once on statebench, in random order, and once on
//! Flink, so that what drifts meets both alike.

use super::EngineError;
use super::compared::compare_with_own;
use super::job::{FlinkOptions, FlinkTrials};
use crate::result::{RunResult, Trial};
use crate::run::{Arm, Interleaver, RunOptions, RunWith, stop_requested};
use crate::workload::{BackendType, Plan};

/// Runs every cell of a plan on both engines, so often each, and saves what there is after each repeat.
///
/// # Errors
/// As [`run_on_flink`](super::run_on_flink).
pub fn run_both(plan: &Plan, repeats: u32, run: &RunOptions, options: &FlinkOptions) -> Result<RunResult, EngineError> {
    let on_flink = |cell: &usize| plan.cells[*cell].configuration.options.backend != BackendType::Null;
    let arms: Vec<_> =
        (0..plan.cells.len()).filter(on_flink).map(|cell| Arm { cell, with: RunWith::default() }).collect();
    let mut own = Interleaver::new(plan, &arms, run, repeats)?;
    let mut flink = FlinkTrials::new(plan, run, options)?;
    let mut theirs = Vec::new();
    let planned = 2 * arms.len() * repeats as usize;
    for repeat in 0..repeats {
        own.run_block(repeat, |_| true)?;
        for variant in 0..plan.variants.len() {
            if stop_requested() {
                return Err(EngineError::Interrupted);
            }
            flink.run(variant, repeat, |trial| {
                theirs.push(trial);
                Ok(())
            })?;
        }
        save(&merged(own.result(), &theirs, plan, planned), run)?;
    }
    let result = merged(&own.finish()?, &theirs, plan, planned);
    save(&result, run)?;
    Ok(result)
}

/// statebench's own trials of so many that are planned in all, with those of Flink held against them.
fn merged(own: &RunResult, theirs: &[Trial], plan: &Plan, planned: usize) -> RunResult {
    let mut result = own.clone();
    for trial in theirs {
        compare_with_own(&mut result, trial, &plan.variants[trial.variant]);
        result.trials.push(trial.clone());
    }
    result.planned_trials = planned;
    result
}

fn save(result: &RunResult, run: &RunOptions) -> Result<(), EngineError> {
    if !result.has_answers() {
        return Ok(());
    }
    result.save(&run.output).map_err(|error| EngineError::Io(run.output.clone(), "cannot write the result", error))
}
