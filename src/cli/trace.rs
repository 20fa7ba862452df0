//! `statebench trace`

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};

use super::{Failure, Outcome, print};
use crate::source::trace::{TraceError, columns, inspect};
use crate::workload::{KeyColumns, MissingPolicy, TimeFormat, Trace, TraceFormat, TraceWire};

/// The commands about files of events.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Describe a file of events: columns, or with a mapping keys, skew, reuse distance, rate and sizes
    Inspect(Inspect),
}

/// What `trace inspect` looks at.
#[derive(Debug, ClapArgs)]
pub struct Inspect {
    /// The file: CSV, JSON Lines or Parquet
    file: PathBuf,
    /// Column of the event time
    #[arg(long, value_name = "COLUMN", requires = "key")]
    time: Option<String>,
    /// Columns of the key
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', requires = "time")]
    key: Vec<String>,
    /// Column of the value
    #[arg(long, value_name = "COLUMN", requires = "time")]
    value: Option<String>,
    /// Column of the payload's size
    #[arg(long, value_name = "COLUMN", requires = "time")]
    size: Option<String>,
    /// Format, where the file's extension does not tell: csv, jsonl or parquet
    #[arg(long, value_parser = format)]
    format: Option<TraceFormat>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn format(text: &str) -> Result<TraceFormat, String> {
    TraceFormat::of(Path::new(&format!("trace.{text}"))).ok_or_else(|| "expected csv, jsonl or parquet".to_owned())
}

pub(super) fn trace(command: &Command) -> Outcome {
    let Command::Inspect(args) = command;
    let text = match &args.time {
        None => {
            let columns = columns(&args.file, args.format).map_err(failure)?;
            if args.json { json(&columns)? } else { columns.render() }
        }
        Some(time) => {
            let trace = Trace::new(&mapping(args, time), Path::new("")).map_err(Failure::input)?;
            let inspection = inspect(&trace).map_err(failure)?;
            if args.json { json(&inspection)? } else { inspection.render() }
        }
    };
    print(&text)
}

fn mapping(args: &Inspect, time: &str) -> TraceWire {
    TraceWire {
        path: args.file.display().to_string(),
        format: args.format,
        time: time.to_owned(),
        key: KeyColumns::Several(args.key.clone()),
        value: args.value.clone(),
        size: args.size.clone(),
        // Any disorder: how much there is is one of the questions.
        disorder: crate::workload::Time(std::time::Duration::MAX),
        time_format: TimeFormat::Auto,
        value_scale: 1,
        missing: MissingPolicy::Skip,
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(Failure::environment)? + "\n")
}

fn failure(error: TraceError) -> Failure {
    if error.is_input() { Failure::input(error) } else { Failure::environment(error) }
}
