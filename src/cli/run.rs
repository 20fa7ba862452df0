//! `statebench run`

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::check::{WorkloadArgs, refuse_what_cannot_fit, warn};
use super::{Failure, Outcome, print, report, say};
use crate::report::{Format, render};
use crate::result::{Outcome as TrialOutcome, RunResult};
use crate::run::{RateTarget, RunOptions, RunWith, find_max_rates, free_output, run_plan, run_plan_with, state_parent};
use crate::workload::{Plan, Time};

/// Runs every configuration of a workload, each trial in a process of its own, and compares what they computed.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    workload: WorkloadArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Search the highest rate of arriving events at which --p99 is kept, for each configuration
    #[arg(long, requires = "p99")]
    find_max_rate: bool,
    /// The 99th percentile of the response time that has to be kept, such as 5ms
    #[arg(long, value_name = "TIME", requires = "find_max_rate")]
    p99: Option<Time>,
    /// Slow the operator down by so much of an event's time: what a gate is tried out with
    #[arg(long, value_name = "PERCENT", value_parser = handicap, hide = true, conflicts_with = "find_max_rate")]
    handicap: Option<f64>,
    /// Write the page of the result too; beside the result file where no FILE is given
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "clap's form of an option with an optional value")]
    report: Option<Option<PathBuf>>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// No progress and no warnings on stderr
    #[arg(short, long)]
    quiet: bool,
}

/// Where a run puts its result and its state.
#[derive(Debug, ClapArgs)]
pub struct PlaceArgs {
    /// The result file; by default the first free of NAME.result.json, NAME.2.result.json, … in this folder
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite an existing result file
    #[arg(long)]
    force: bool,
    /// Folder for the state; a temporary folder in it is removed after each trial
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl PlaceArgs {
    /// The options of a plan's run, whose result is named like this where the user names none. What cannot be run here is
    /// refused, what is not as one would think is told.
    pub(super) fn options(&self, plan: &Plan, name: &str, quiet: bool, quick: bool) -> Result<RunOptions, Failure> {
        let state_folder = self.state_folder();
        plan.cells.iter().try_for_each(|cell| check_state_folder(state_parent(cell, &state_folder)))?;
        let output = match &self.output {
            None => free_output(Path::new("."), name),
            Some(output) if output.exists() && !self.force => {
                return Err(Failure::input(format!("{} exists; --force overwrites it", output.display())));
            }
            Some(output) => output.clone(),
        };
        refuse_what_cannot_fit(plan, &state_folder)?;
        if !quiet {
            warn(plan);
        }
        Ok(RunOptions { output, state_folder, quiet, quick })
    }

    /// Where state goes.
    pub(super) fn state_folder(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// Whether an existing file may be overwritten.
    pub(super) fn is_forced(&self) -> bool {
        self.force
    }

    /// Whether none of it is given.
    pub(super) fn is_empty(&self) -> bool {
        self.output.is_none() && !self.force && self.state_dir.is_none()
    }
}

/// A slowdown as the command line spells it: `5%`, or `5`.
pub(super) fn handicap(text: &str) -> Result<f64, String> {
    const MOST: f64 = 1_000.0;
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse().ok();
    number.filter(|percent| (0.0..=MOST).contains(percent)).ok_or_else(|| format!("expected 0% to {MOST}%"))
}

/// Refuses a handicap where it would have no effect.
pub(super) fn check_handicap(plan: &Plan) -> Outcome {
    if plan.variants.iter().any(|variant| variant.workload.load.is_some()) {
        return Err(Failure::input("--handicap: slows down closed loops, and the workload has a section `load`"));
    }
    Ok(())
}

pub(super) fn run(args: &Args) -> Outcome {
    let plan = args.workload.plan()?;
    plan.check_claim().map_err(Failure::input)?;
    let options = args.place.options(&plan, &plan.name, args.quiet, args.workload.quick())?;
    let page = args.report.as_ref().map(|file| file.clone().unwrap_or_else(|| report::page_beside(&options.output)));
    report::check_output(page.as_deref(), args.place.force)?;
    let result = match (args.p99, args.handicap) {
        (Some(p99), _) => find_max_rates(&plan, &options, RateTarget { p99: p99.0 }),
        (None, None) => run_plan(&plan, &options),
        (None, Some(percent)) => {
            check_handicap(&plan)?;
            run_plan_with(&plan, &options, &RunWith::handicap(percent))
        }
    };
    let result = result.map_err(Failure::environment)?;
    if let Some(page) = page {
        report::write_page(&result, &options.output, &page, args.quiet)?;
    }
    finish(&result, &options.output, args)
}

/// Prints the result and turns what went wrong in it into an exit code.
fn finish(result: &RunResult, output: &Path, args: &Args) -> Outcome {
    if result.has_answers() {
        print(&render(result, args.format).map_err(Failure::environment)?)?;
        if !args.quiet {
            say(&format!("result: {}", output.display()));
        }
    }
    verdict(result)
}

/// What of a saved result is an error.
pub(super) fn verdict(result: &RunResult) -> Outcome {
    if result.interrupted {
        let finished = result.finished().count();
        let saved = if finished > 0 { "finished trials are saved" } else { "no trial had finished" };
        return Err(Failure::interrupted(format!("interrupted; {saved}")));
    }
    let failures = result.trials.iter().filter_map(|trial| match &trial.outcome {
        TrialOutcome::Failed { reason, environment } => Some((trial, reason, *environment)),
        _ => None,
    });
    if let Some((trial, reason, environment)) = failures.max_by_key(|(_, _, environment)| !environment) {
        let message = format!("{}: {reason}", trial.configuration);
        return Err(if environment { Failure::environment(message) } else { Failure::input(message) });
    }
    if result.all_agree() { Ok(()) } else { Err(Failure::differing()) }
}

/// Fails early where no state can be written.
fn check_state_folder(folder: &Path) -> Outcome {
    match tempfile::tempfile_in(folder) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::environment(format!("{}: cannot write state there: {error}", folder.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Agreement, Measurement, Trial};
    use crate::state::Digest;

    /// The result of a run of two trials with these outcomes, made up.
    fn result(outcomes: [TrialOutcome; 2], differences: &[&str]) -> RunResult {
        let document = crate::workload::Document::parse(Path::new("job.toml"), "[run]\n".to_owned()).unwrap();
        let plan = Plan::of(document, &[], false).unwrap();
        let options = RunOptions { output: PathBuf::new(), state_folder: ".".into(), quiet: true, quick: true };
        let mut result = crate::run::empty_result(&plan, &options);
        for (outcome, configuration) in outcomes.into_iter().zip(["heap", "rocksdb"]) {
            let configuration = configuration.to_owned();
            result.trials.push(Trial {
                variant: 0,
                base: configuration.clone(),
                knobs: [].into(),
                configuration,
                options: [].into(),
                repeat: 0,
                companion: false,
                seed: 1,
                run: crate::result::TrialRun::default(),
                outcome,
            });
        }
        result.agreements.push(Agreement {
            variant: 0,
            repeat: 0,
            trials: 2,
            flink_trials: 0,
            emitted_after_events: 5,
            emitted: Digest::default(),
            state_after_events: 5,
            state: Digest::default(),
            differences: differences.iter().map(|&line| line.to_owned()).collect(),
        });
        result
    }

    fn code(result: &RunResult) -> u8 {
        verdict(result).map_or_else(|failure| failure.code, |()| 0)
    }

    #[test]
    fn what_went_wrong_decides_the_exit_code() {
        let failed = |environment| TrialOutcome::Failed { reason: "why".to_owned(), environment };
        let done = || TrialOutcome::Finished(Box::new(Measurement::of_nothing()));
        assert_eq!(code(&result([done(), done()], &[])), 0);
        assert_eq!(code(&result([done(), done()], &["state after 5 events: heap has a, rocksdb has b"])), 1);
        assert_eq!(code(&result([done(), failed(true)], &[])), 3);
        assert_eq!(code(&result([failed(true), failed(false)], &["a difference"])), 2);
        let mut interrupted = result([done(), failed(false)], &["a difference"]);
        interrupted.interrupted = true;
        assert_eq!(code(&interrupted), 130);
    }
}
