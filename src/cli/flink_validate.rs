//! `statebench flink validate`

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::check::Overrides;
use super::flink_run::{FlinkArgs, failure, planned};
use super::run::verdict;
use super::{Failure, Outcome, print, report, say, show};
use crate::compare::Validation;
use crate::engine::{FlinkOptions, run_both};
use crate::report::{Format, validation_text};
use crate::result::{RunResult, save_file};
use crate::run::RunOptions;
use crate::workload::Plan;

/// Runs workloads here and on a real Flink, repeat by repeat, and tells how far the two agree.
///
/// A workload whose result is in the folder already is not run again, so that a campaign goes on where it was stopped.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The workload files, such as workloads/flink-measured/*.toml
    #[arg(required = true, value_name = "WORKLOAD")]
    workloads: Vec<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    flink: FlinkArgs,
    /// The folder for results, their pages, validation.md and validation.json; made where it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Folder for the state; a temporary folder in it is removed after each trial
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// How the agreement is printed
    #[arg(long, value_enum, default_value_t = ValidationFormat::Table)]
    format: ValidationFormat,
    /// No progress on stderr
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ValidationFormat {
    /// For people, on a terminal
    Table,
    /// For a document
    Markdown,
    /// For programs
    Json,
}

pub(super) fn validate(args: &Args) -> Outcome {
    let plans = args
        .workloads
        .iter()
        .map(|workload| planned(&args.overrides, workload, args.flink.events()))
        .collect::<Result<Vec<_>, _>>()?;
    let options = args.flink.options(None, args.quiet)?;
    std::fs::create_dir_all(&args.output)
        .map_err(|error| Failure::environment(format!("{}: {error}", args.output.display())))?;
    let results = plans.iter().map(|plan| both(args, plan, &options)).collect::<Result<Vec<_>, _>>()?;
    let validation = Validation::of(&results);
    let json = serde_json::to_string_pretty(&validation).map_err(Failure::environment)? + "\n";
    write(&args.output.join("validation.md"), &validation_text(&validation, Format::Markdown))?;
    write(&args.output.join("validation.json"), &json)?;
    print(&match args.format {
        ValidationFormat::Table => validation_text(&validation, Format::Table),
        ValidationFormat::Markdown => validation_text(&validation, Format::Markdown),
        ValidationFormat::Json => json,
    })?;
    results.iter().try_for_each(verdict)
}

/// The trials of a workload on both engines: those of the folder where they are there.
fn both(args: &Args, plan: &Plan, flink: &FlinkOptions) -> Result<RunResult, Failure> {
    let output = args.output.join(format!("{}.result.json", plan.name));
    let repeats = plan.variants.iter().map(|variant| variant.workload.run.repeats).max().unwrap_or(1);
    if output.exists() {
        let there = show::load(&output)?;
        if there.workload != plan.wire {
            let what = "is of another workload, or of other settings; another --output keeps both";
            return Err(Failure::input(format!("{} {what}", output.display())));
        }
        if there.trials.len() >= there.planned_trials && !there.interrupted {
            return Ok(there);
        }
    }
    if !args.quiet {
        say(&format!("{}: {} configurations, {repeats} repeats", plan.name, plan.cells.len()));
    }
    let state_folder = args.state_dir.clone().unwrap_or_else(std::env::temp_dir);
    let run = RunOptions { output: output.clone(), state_folder, quiet: args.quiet, quick: args.overrides.quick() };
    let result = run_both(plan, repeats, &run, flink).map_err(failure)?;
    report::write_page(&result, &output, &report::page_beside(&output), args.quiet)?;
    Ok(result)
}

fn write(path: &Path, text: &str) -> Outcome {
    save_file(path, |file| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::environment(format!("{}: {error}", path.display())))
}
