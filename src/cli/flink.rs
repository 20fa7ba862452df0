//! `statebench flink`; its `run` and `validate` are in files of their own.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{Failure, Outcome, flink_run, flink_validate, print, say, show};
use crate::flink::lint::{Context, Report, Severity, lint};
use crate::flink::{export, import};
use crate::workload::{FlinkFile, FlinkVersion};

/// The commands about Flink: its configuration files, and the real thing.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a Flink configuration file as a [[configuration]] of a workload
    Import(Import),
    /// Write a configuration of a result as Flink's file and as a patch for its Kubernetes operator
    Export(Export),
    /// Look through a Flink configuration file for what its author did not mean
    Lint(Lint),
    /// Run a workload here and on a real Flink, and compare what they computed
    Run(Box<flink_run::Args>),
    /// Run workloads here and on a real Flink, repeat by repeat, and tell how far the two agree
    Validate(Box<flink_validate::Args>),
}

/// What `flink import` reads.
#[derive(Debug, ClapArgs)]
pub struct Import {
    /// config.yaml, or the flink-conf.yaml of Flink 1.x
    file: PathBuf,
    /// Name of the configuration; the file's without its extension where it is not given
    #[arg(long)]
    name: Option<String>,
}

/// What `flink export` writes.
#[derive(Debug, ClapArgs)]
pub struct Export {
    /// The result file
    result: PathBuf,
    /// The configuration, by the name that it has in the result's table
    #[arg(long, value_name = "NAME")]
    configuration: String,
    /// The version of Flink that will read it: 1.20 or 2.3
    #[arg(long, value_name = "VERSION")]
    flink_version: FlinkVersion,
    /// What is written; both where it is not given
    #[arg(long, value_enum)]
    format: Option<ExportFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Lines for Flink's configuration file
    File,
    /// A patch for a FlinkDeployment of the Kubernetes operator
    Kubernetes,
}

/// What `flink lint` looks at.
#[derive(Debug, ClapArgs)]
pub struct Lint {
    /// config.yaml, or the flink-conf.yaml of Flink 1.x
    file: PathBuf,
    /// The version of Flink that will read it, 1.20 or 2.3; where it is not given, 1.20 for a flink-conf.yaml, else 2.3
    #[arg(long, value_name = "VERSION")]
    flink_version: Option<FlinkVersion>,
    /// States of the job that live in one slot: whether the memory is enough for them is looked at too
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    states: Option<u32>,
    /// How the findings are printed
    #[arg(long, value_enum, default_value_t = LintFormat::Table)]
    format: LintFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LintFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

pub(super) fn flink(command: &Command) -> Outcome {
    match command {
        Command::Import(args) => print_import(args),
        Command::Export(args) => print_export(args),
        Command::Lint(args) => print_lint(args),
        Command::Run(args) => flink_run::run(args),
        Command::Validate(args) => flink_validate::validate(args),
    }
}

fn print_import(args: &Import) -> Outcome {
    let file = FlinkFile::load(&args.file).map_err(Failure::input)?;
    let imported = import(&file, &args.name.clone().unwrap_or_else(|| file.stem())).map_err(Failure::input)?;
    imported.remarks.iter().for_each(|remark| say(&format!("note: {remark}")));
    print(&imported.section)
}

fn print_export(args: &Export) -> Outcome {
    let result = show::load(&args.result)?;
    let exported = export(&result, &args.configuration, args.flink_version).map_err(Failure::input)?;
    let text = match args.format {
        Some(ExportFormat::File) => exported.file(),
        Some(ExportFormat::Kubernetes) => exported.kubernetes(),
        None => format!("{}\n---\n{}", exported.file(), exported.kubernetes()),
    };
    print(&text)
}

fn print_lint(args: &Lint) -> Outcome {
    let file = FlinkFile::load(&args.file).map_err(Failure::input)?;
    let context = Context::of_file(&file, args.flink_version, args.states);
    let report = Report {
        file: args.file.display().to_string(),
        read_as: file.dialect.to_string(),
        flink_version: context.version.to_string(),
        findings: lint(&context),
    };
    match args.format {
        LintFormat::Table => print(&report.text())?,
        LintFormat::Json => print(&(serde_json::to_string_pretty(&report).map_err(Failure::environment)? + "\n"))?,
    }
    match report.count(Severity::Error) {
        0 => Ok(()),
        1 => Err(Failure::input("the configuration has an error")),
        errors => Err(Failure::input(format!("the configuration has {errors} errors"))),
    }
}
