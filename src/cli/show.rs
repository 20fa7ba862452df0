//! `statebench show`

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::{Failure, Outcome, print};
use crate::report::{Format, render, runs_csv};
use crate::result::{LoadError, RunResult};

/// Prints a result: per configuration the median and spread over repeats, and the ratio to the first configuration.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The result file
    result: PathBuf,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// One row of CSV for each trial in the order in which they ran, with all of its metrics
    #[arg(long, conflicts_with = "format")]
    runs: bool,
}

pub(super) fn show(args: &Args) -> Outcome {
    let result = load(&args.result)?;
    let text = if args.runs { runs_csv(&result) } else { render(&result, args.format) };
    print(&text.map_err(Failure::environment)?)
}

/// Loads a result that the user named.
pub(super) fn load(path: &Path) -> Result<RunResult, Failure> {
    RunResult::load(path).map_err(load_failure)
}

/// Why a result that the user named cannot be loaded.
pub(super) fn load_failure(error: LoadError) -> Failure {
    match &error {
        LoadError::Read(_, io) if io.kind() == std::io::ErrorKind::PermissionDenied => Failure::environment(error),
        _ => Failure::input(error),
    }
}
