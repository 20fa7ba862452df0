//! `statebench schema`

use clap::{Args as ClapArgs, ValueEnum};

use super::{Failure, Outcome, print};
use crate::compare::{Comparison, Validation};
use crate::gate::{Calibration, Gate, History, Policy};
use crate::result::RunResult;
use crate::workload::WorkloadWire;

/// Prints the JSON Schema of a file format.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The format
    format: FileFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FileFormat {
    /// Workload files (TOML, read as JSON)
    Workload,
    /// Result files
    Result,
    /// What `compare --format json` prints
    Comparison,
    /// The policy of a gate (TOML, read as JSON)
    Policy,
    /// What `gate --format json` prints
    Gate,
    /// What `calibrate` keeps
    Calibration,
    /// What `history --format json` prints
    History,
    /// What `flink validate --format json` prints
    Validation,
}

pub(super) fn schema(args: &Args) -> Outcome {
    let schema = match args.format {
        FileFormat::Workload => schemars::schema_for!(WorkloadWire),
        FileFormat::Result => schemars::schema_for!(RunResult),
        FileFormat::Comparison => schemars::schema_for!(Comparison),
        FileFormat::Policy => schemars::schema_for!(Policy),
        FileFormat::Gate => schemars::schema_for!(Gate),
        FileFormat::Calibration => schemars::schema_for!(Calibration),
        FileFormat::History => schemars::schema_for!(History),
        FileFormat::Validation => schemars::schema_for!(Validation),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(Failure::environment)?;
    print(&(text + "\n"))
}
