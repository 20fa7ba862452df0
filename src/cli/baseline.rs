//! `statebench baseline`

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{Failure, Outcome, compare, print, say};
use crate::gate::{Baseline, BaselineError};
use crate::report::{BaselineRow, baseline_table, list_table};

/// Where baselines are kept if the user names no folder.
pub(super) const DEFAULT_FOLDER: &str = "baselines";

/// The commands about baselines.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep the metrics of a result as a baseline, named after its workload and kind of machine
    Save(Save),
    /// List the baselines of a folder
    List(List),
    /// Show what a baseline holds
    Show(Show),
}

/// What `baseline save` reads and writes.
#[derive(Debug, ClapArgs)]
pub struct Save {
    /// The result file
    result: PathBuf,
    /// The folder, made where it is not there
    #[arg(long, value_name = "DIR", default_value = DEFAULT_FOLDER)]
    dir: PathBuf,
    /// Overwrite the baseline that is there
    #[arg(long)]
    force: bool,
}

/// What `baseline list` looks at.
#[derive(Debug, ClapArgs)]
pub struct List {
    /// The folder
    #[arg(default_value = DEFAULT_FOLDER)]
    dir: PathBuf,
}

/// What `baseline show` reads.
#[derive(Debug, ClapArgs)]
pub struct Show {
    /// The baseline
    baseline: PathBuf,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = ShowFormat::Table)]
    format: ShowFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    /// Medians, for people
    Table,
    /// Every value, for programs
    Json,
}

pub(super) fn baseline(command: &Command) -> Outcome {
    match command {
        Command::Save(args) => save(args),
        Command::List(args) => list(args),
        Command::Show(args) => show(args),
    }
}

fn save(args: &Save) -> Outcome {
    let observations = compare::load(&args.result)?;
    if observations.cells.iter().all(|cell| cell.trials.is_empty()) {
        return Err(Failure::input(format!("{}: no trial has finished", args.result.display())));
    }
    observations.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    let name = observations.name.clone();
    let baseline = Baseline::of(observations);
    let path = args.dir.join(baseline.key.file_name(&name));
    if path.exists() && !args.force {
        return Err(Failure::input(format!("{} exists; --force overwrites it", path.display())));
    }
    let cannot_write = |error| Failure::environment(format!("{}: cannot write the baseline: {error}", path.display()));
    std::fs::create_dir_all(&args.dir).map_err(cannot_write)?;
    baseline.save(&path).map_err(cannot_write)?;
    say(&format!("baseline: {}", path.display()));
    Ok(())
}

fn list(args: &List) -> Outcome {
    let rows = files(&args.dir)?.into_iter().map(|path| BaselineRow {
        file: path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        baseline: Baseline::load(&path).map_err(|error| error.to_string()),
    });
    print(&list_table(&rows.collect::<Vec<_>>()))
}

/// The baselines of a folder, by name.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot_list = |error| Failure::input(format!("{}: cannot list baselines: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(cannot_list)?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".baseline.json"));
    paths.sort();
    Ok(paths)
}

fn show(args: &Show) -> Outcome {
    let baseline = load(&args.baseline)?;
    match args.format {
        ShowFormat::Table => print(&baseline_table(&baseline)),
        ShowFormat::Json => {
            print(&(serde_json::to_string_pretty(&baseline.observations).map_err(Failure::environment)? + "\n"))
        }
    }
}

/// Loads a baseline that the user named. One of another schema is not comparable.
pub(super) fn load(path: &Path) -> Result<Baseline, Failure> {
    let baseline = Baseline::load(path).map_err(|error| match &error {
        BaselineError::Version(..) => Failure::not_comparable(error),
        BaselineError::Read(_, io) if io.kind() == std::io::ErrorKind::PermissionDenied => Failure::environment(error),
        _ => Failure::input(error),
    })?;
    if baseline.is_changed {
        say(&format!("warning: {}: was changed after it was written", path.display()));
    }
    Ok(baseline)
}
