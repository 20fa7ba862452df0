//! `statebench trace`

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};

use super::{Failure, Outcome, print};
use crate::source::trace::{columns, format_of, inspect};
use crate::workload::{KeyColumns, MissingPolicy, Time, TimeFormat, Trace, TraceFormat, TraceWire};

/// The commands about files of events.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Describe a file of events: its columns; with --time and --key, its rate, keys, skew, reuse and sizes
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
    /// How the time is written: auto (texts, Parquet's own types, integers in ms), epoch-s, epoch-ms, epoch-us or
    /// epoch-ns
    #[arg(long, value_name = "FORMAT", requires = "time", default_value_t)]
    time_format: TimeFormat,
    /// Column of the key, or the columns that make it up together
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', requires = "time")]
    key: Vec<String>,
    /// Column of the value
    #[arg(long, value_name = "COLUMN", requires = "time")]
    value: Option<String>,
    /// What the value is multiplied by to give an integer: 100 for two decimal places
    #[arg(long, value_name = "N", requires = "value", default_value_t = 1)]
    value_scale: i64,
    /// Column of the payload's size in bytes
    #[arg(long, value_name = "COLUMN", requires = "time")]
    size: Option<String>,
    /// What is done with a row in which a mapped column is empty: skip (count it and leave it out) or error (stop, as a
    /// workload does by default)
    #[arg(long, value_name = "POLICY", requires = "time", default_value_t = MissingPolicy::Skip)]
    missing: MissingPolicy,
    /// Format of the file, where its extension does not tell: csv, json-lines or parquet
    #[arg(long)]
    format: Option<TraceFormat>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn trace(command: &Command) -> Outcome {
    let Command::Inspect(args) = command;
    let format = format_of(&args.file, args.format).map_err(Failure::of_trace)?;
    let text = match &args.time {
        None => {
            let columns = columns(&args.file, Some(format)).map_err(Failure::of_trace)?;
            if args.json { json(&columns)? } else { columns.render() }
        }
        Some(time) => {
            let inspection = inspect(&args.mapping(time, format)?).map_err(Failure::of_trace)?;
            if args.json { json(&inspection)? } else { inspection.render() }
        }
    };
    print(&text)
}

impl Inspect {
    fn mapping(&self, time: &str, format: TraceFormat) -> Result<Trace, Failure> {
        let wire = TraceWire {
            path: self.file.display().to_string(),
            format: Some(format),
            time: time.to_owned(),
            time_format: self.time_format,
            key: KeyColumns::Several(self.key.clone()),
            value: self.value.clone(),
            value_scale: self.value_scale,
            size: self.size.clone(),
            disorder: Time::default(), // however large it is, it is measured
            missing: self.missing,
        };
        // The options are called what the keys of a workload file are.
        Trace::new(&wire, Path::new("")).map_err(|invalid| Failure::input(format_args!("--{invalid}")))
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(Failure::environment)? + "\n")
}
