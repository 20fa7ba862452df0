//! `statebench run`

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::check::{WorkloadArgs, refuse_what_cannot_fit, warnings};
use super::{Failure, Outcome, print};
use crate::report::{Format, render};
use crate::result::{Outcome as TrialOutcome, RunResult};
use crate::run::{RunOptions, free_output, run_plan};

/// Runs every configuration of a workload, each trial in a process of its own, and compares what they computed.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    workload: WorkloadArgs,
    /// The result file; by default the first free of NAME.result.json, NAME.2.result.json, … in this folder
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite an existing result file
    #[arg(long)]
    force: bool,
    /// Folder for the state; a temporary folder in it is removed after each trial
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// No progress and no warnings on stderr
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let plan = args.workload.plan()?;
    let state_folder = args.state_dir.clone().unwrap_or_else(std::env::temp_dir);
    check_state_folder(&state_folder)?;
    let output = match &args.output {
        None => free_output(Path::new("."), &plan.name),
        Some(output) if output.exists() && !args.force => {
            return Err(Failure::input(format!("{} exists; --force overwrites it", output.display())));
        }
        Some(output) => output.clone(),
    };
    refuse_what_cannot_fit(&plan, &state_folder)?;
    if !args.quiet {
        warnings(&plan).iter().for_each(|warning| eprintln!("warning: {warning}"));
    }
    let options = RunOptions { output, state_folder, quiet: args.quiet, quick: args.workload.quick() };
    let result = run_plan(&plan, &options).map_err(Failure::environment)?;
    finish(&result, &options.output, args)
}

/// Prints the result and turns what went wrong in it into an exit code.
fn finish(result: &RunResult, output: &Path, args: &Args) -> Outcome {
    let finished = result.finished().count();
    if finished > 0 {
        print(&render(result, args.format).map_err(Failure::environment)?)?;
        if !args.quiet || args.format == Format::Table {
            eprintln!("result: {}", output.display());
        }
    } else {
        // Nothing was measured: nothing is left behind.
        std::fs::remove_file(output).map_err(|error| Failure::environment(format!("{}: {error}", output.display())))?;
    }
    if result.interrupted {
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
