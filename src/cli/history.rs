//! `statebench history`

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::compare::metric;
use super::{Failure, Outcome, print, say};
use crate::compare::{GATED_METRICS, Observations};
use crate::gate::{Baseline, History};
use crate::report::{Format, render_history};
use crate::result::{METRICS, RunResult};

/// Shows the metrics of a folder of results over time, and where their level changed.
///
/// For slow drifts that no pair shows. Change points by E-divisive, in windows of 50 results, with at least five on each side and a
/// change of 3 % or more. It never fails: results of different days differ by the machine too.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The folder: results and baselines, whatever their names
    folder: PathBuf,
    /// Look at this metric, by its name in JSON, in place of throughput, latency and processor time; may be given more than once
    #[arg(long = "metric", value_name = "NAME", value_parser = metric)]
    metrics: Vec<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(super) fn history(args: &Args) -> Outcome {
    let mut results = Vec::new();
    for path in json_files(&args.folder)? {
        let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        match read(&path) {
            Ok(observations) => results.push((file, observations)),
            Err(why) => say(&format!("left out: {why}")),
        }
    }
    if results.is_empty() {
        return Err(Failure::input(format!("{}: has no result and no baseline", args.folder.display())));
    }
    let usual = |name: &str| {
        let gated = GATED_METRICS.iter().any(|(gated, _)| *gated == name);
        gated || ["throughput_events_per_s", "event_cost_p50_ns", "resident_peak_bytes"].contains(&name)
    };
    let wants = |name: &str| if args.metrics.is_empty() { usual(name) } else { args.metrics.iter().any(|m| m == name) };
    let history = History::of(&results, |metric| wants(metric.name));
    if let Some(missing) = args.metrics.iter().find(|name| !history.has_metric(name)) {
        let known: Vec<_> = METRICS.iter().map(|metric| metric.name).filter(|name| has(&results, name)).collect();
        return Err(Failure::input(format!("no result has the metric `{missing}`; they have {}", known.join(", "))));
    }
    print(&render_history(&history, args.format).map_err(Failure::environment)?)
}

fn has(results: &[(String, Observations)], metric: &str) -> bool {
    let mut cells = results.iter().flat_map(|(_, result)| &result.cells);
    cells.any(|cell| cell.trials.iter().any(|trial| trial.metrics.contains_key(metric)))
}

fn json_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot = |error| Failure::input(format!("{}: cannot list results: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(cannot)?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.retain(|path| !path.to_string_lossy().ends_with(".calibration.json"));
    paths.sort();
    Ok(paths)
}

/// What a file holds, a result or a baseline; or why neither.
fn read(path: &Path) -> Result<Observations, String> {
    if path.to_string_lossy().ends_with(".baseline.json") {
        return Baseline::load(path).map(|baseline| baseline.observations).map_err(|error| error.to_string());
    }
    let result = RunResult::load(path).map_err(|error| error.to_string())?;
    Observations::of(&result).map_err(|error| format!("{}: {error}", path.display()))
}
