//! `statebench list`

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use serde_json::Value;

use super::{Failure, Outcome, print};
use crate::flink::lint::RULES;
use crate::report::{chart_names, printable};
use crate::workload::{DistributionWire, Document, NativeMetric, OPTIONS, OperatorWire, WorkloadWire, native_metrics};

/// Lists what a workload can be made of.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// What to list
    what: What,
    /// Folder of the workloads
    #[arg(long, value_name = "DIR", default_value = "workloads")]
    folder: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// What is done with each event
    Operators,
    /// How keys are chosen
    Distributions,
    /// Flink options that take effect, with their defaults
    Options,
    /// RocksDB's metrics under the names by which Flink reports them, with what they really are and where a result has them
    Metrics,
    /// What `flink lint` looks for
    Rules,
    /// What `chart` draws
    Charts,
    /// The workload files of a folder
    Workloads,
}

pub(super) fn list(args: &Args) -> Outcome {
    let rows = match args.what {
        What::Operators => variants(&schemars::schema_for!(OperatorWire)),
        What::Distributions => variants(&schemars::schema_for!(DistributionWire)),
        What::Options => {
            let rows = OPTIONS.iter().map(|row| (format!("{} = {}", row.key, row.default()), row.about.to_owned()));
            rows.chain(native_metrics().map(metric)).collect()
        }
        What::Metrics => native_metrics().map(reported).collect(),
        What::Rules => {
            RULES.iter().copied().flatten().map(|rule| (rule.id.to_owned(), rule.about.to_owned())).collect()
        }
        What::Charts => chart_names().map(|(name, about)| (name.to_owned(), about.to_owned())).collect(),
        What::Workloads => workloads(&args.folder)?,
    };
    print(&columns(&rows))
}

fn reported(metric: &NativeMetric) -> (String, String) {
    let place = if metric.figure.is_empty() { String::new() } else { format!(" [{}]", metric.figure) };
    (metric.reported_as(), format!("{}{place}", metric.about))
}

fn metric(metric: &NativeMetric) -> (String, String) {
    let about = if metric.is_ticker() {
        "A counter of RocksDB's, which turns its Statistics on"
    } else {
        "A property of RocksDB's"
    };
    (format!("{} = false", metric.key()), about.to_owned())
}

/// Name and description of the variants of an enum, from its schema.
fn variants(schema: &schemars::Schema) -> Vec<(String, String)> {
    let variants = schema.get("oneOf").and_then(Value::as_array);
    let row = |variant: &Value| {
        let name = variant.get("required")?.get(0)?.as_str()?;
        let about = variant.get("description").and_then(Value::as_str).unwrap_or_default();
        Some((name.to_owned(), about.replace('\n', " ")))
    };
    variants.into_iter().flatten().filter_map(row).collect()
}

fn workloads(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Failure::input(format!("{}: cannot list workloads: {error}", folder.display())))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let row = |path: &PathBuf| {
        let wire = Document::load(path).and_then(|document| document.read::<WorkloadWire>());
        let about = match wire {
            Ok(wire) => wire.description.unwrap_or_default(),
            Err(error) => format!("(not valid: {})", error.to_string().lines().next().unwrap_or_default()),
        };
        (printable(&path.display().to_string()), printable(about.lines().next().unwrap_or_default()))
    };
    Ok(paths.iter().map(row).collect())
}

/// Two columns, the first as wide as its widest cell.
fn columns(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter().fold(String::new(), |mut out, (name, about)| {
        let _ = writeln!(out, "{}", format!("{name:width$}  {about}").trim_end());
        out
    })
}
