//! `statebench gc-model`

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{Failure, Outcome, print, say, show};
use crate::model::gc::{
    Collector, Constants, Factors, Jdk, MeasuredRun, Rate, Request, RunsError, TrialJob, Validation, built_in_runs,
    forecast, forecast_json, forecast_text, jobs_of, load_runs, validation_text,
};
use crate::result::printable;
use crate::state::JvmHeap;
use crate::workload::{Bytes, GcModel, folder_of};

/// The commands about the model of a JVM's garbage collection.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell what collectors would do with the state of a result's heap trials, for heap sizes and a rate
    Predict(Predict),
    /// Compare the model with measured runs and print its errors
    Validate(Validate),
    /// Measure what collections cost on this machine, with its JDK, and write the constants for `predict`
    Calibrate(Calibrate),
}

/// What `gc-model predict` answers. All of it is modelled: no JVM runs.
#[derive(Debug, ClapArgs)]
pub struct Predict {
    /// The result file
    result: PathBuf,
    /// Events that a JVM is offered in a second, of the whole job: from your Flink job, not from this program, which is faster.
    /// Where it is not given, that of the workload file's section gc-model, or the rate of a trial's open loop
    #[arg(long, value_name = "N", value_parser = rate)]
    events_per_second: Option<f64>,
    /// The rate is what a JVM does outside pauses, as fast as it can, instead of what it is offered
    #[arg(long, requires = "events_per_second")]
    closed_loop: bool,
    /// Heaps of a TaskManager, such as 1gb,2gb; those of the workload file's section gc-model, or that of each configuration,
    /// where it is not given
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = heap)]
    heap: Vec<JvmHeap>,
    /// The collectors
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Collector::G1, Collector::Parallel])]
    collector: Vec<Collector>,
    /// Cores of a TaskManager: 2, on which the model was measured, where neither this nor the section gc-model says it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    cores: Option<u32>,
    /// Garbage that the pipeline makes of an event, its record included: a boxed key where neither this nor the section says it
    #[arg(long, value_name = "SIZE")]
    garbage_per_event: Option<Bytes>,
    /// Objects of the process that stay beside the state: those of a bare process where neither this nor the section says it
    #[arg(long, value_name = "SIZE")]
    other_live: Option<Bytes>,
    /// Percent of the time in pauses that is too much: the smallest heap stays below
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = percent)]
    max_pauses: f64,
    /// Only this configuration of the result
    #[arg(long, value_name = "NAME")]
    configuration: Option<String>,
    /// Constants of a machine, as `calibrate` writes them; those built in where it is not given
    #[arg(long, value_name = "FILE")]
    constants: Option<PathBuf>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = PredictFormat::Table)]
    format: PredictFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PredictFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// What `gc-model validate` compares.
#[derive(Debug, ClapArgs)]
pub struct Validate {
    /// Measured runs, a JSON object on each line; the runs that the built-in constants were fitted to where it is not given
    runs: Option<PathBuf>,
    /// Show each run too
    #[arg(long)]
    by_run: bool,
    /// Constants of a machine, as `calibrate` writes them; those built in where it is not given
    #[arg(long, value_name = "FILE")]
    constants: Option<PathBuf>,
}

/// What `gc-model calibrate` runs: for about half a minute, with all cores.
#[derive(Debug, ClapArgs)]
pub struct Calibrate {
    /// The file for the constants
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    /// Cores of the JVM
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    cores: u32,
}

pub(super) fn gc_model(command: &Command) -> Outcome {
    match command {
        Command::Predict(args) => predict(args),
        Command::Validate(args) => validate(args),
        Command::Calibrate(args) => calibrate(args),
    }
}

/// A rate that a job may have.
fn rate(text: &str) -> Result<f64, String> {
    const LEAST: f64 = 1e-3;
    const MOST: f64 = 1e12;
    match text.replace('_', "").parse::<f64>() {
        Ok(rate) if (LEAST..=MOST).contains(&rate) => Ok(rate),
        _ => Err("a number from 0.001 to 1e12".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent < 100.0 => Ok(percent),
        _ => Err("a number above 0, below 100".to_owned()),
    }
}

/// A heap that the model holds for.
fn heap(text: &str) -> Result<JvmHeap, String> {
    let Bytes(bytes) = text.parse()?;
    GcModel::heap(Bytes(bytes)).ok_or_else(|| format!("a size from {}", GcModel::HEAPS))
}

fn predict(args: &Predict) -> Outcome {
    let result = show::load(&args.result)?;
    let constants = constants(args.constants.as_deref())?;
    let stated = GcModel {
        events_per_s: args.events_per_second,
        heaps: args.heap.clone(),
        cores: args.cores,
        garbage_bytes: args.garbage_per_event.map(|size| size.0),
        live_bytes: args.other_live.map(|size| size.0),
    };
    let mut jobs = jobs_of(&result, &stated);
    if let Some(name) = &args.configuration {
        jobs.retain(|job| job.configuration == *name);
    }
    if jobs.is_empty() {
        let which = args.configuration.as_ref().map_or_else(String::new, |name| format!(" of `{}`", printable(name)));
        return Err(Failure::input(format!(
            "{}: holds no finished trial{which} that counted its objects on a Java heap; run one with \
             \"state.backend.type\" = \"hashmap\"",
            args.result.display()
        )));
    }
    if let Some(job) = jobs.iter().find(|job| job.asked.heaps.is_empty() && job.heap.bytes > JvmHeap::MOST_BYTES) {
        return Err(Failure::input(format!(
            "the heap of `{}` is {}: the model holds below 32gb, where references are compressed; --heap takes smaller ones",
            printable(&job.configuration),
            Bytes(job.heap.bytes)
        )));
    }
    // A matrix may ask something else of each.
    let request_of = |job: &TrialJob| Request {
        heaps: job.asked.heaps.clone(),
        collectors: args.collector.clone(),
        cores: job.cores(),
        most_pause_share: args.max_pauses / 100.0,
        constants: &constants,
    };
    let request = request_of(&jobs[0]);
    let forecasts = jobs.into_iter().map(|job| {
        let rate = rate_of(args, &job)?;
        let request = request_of(&job);
        Ok(forecast(job, rate, &request))
    });
    let forecasts = forecasts.collect::<Result<Vec<_>, Failure>>()?;
    let validation = Validation::of(&runs(None)?, &Constants::default());
    match args.format {
        PredictFormat::Table => print(&forecast_text(&forecasts, &request, &validation)),
        PredictFormat::Json => {
            let json = forecast_json(&forecasts, &request, &validation);
            print(&(serde_json::to_string_pretty(&json).map_err(Failure::environment)? + "\n"))
        }
    }
}

/// The rate that the user states, or that of the trial's open loop.
fn rate_of(args: &Predict, job: &TrialJob) -> Result<Rate, Failure> {
    match args.events_per_second {
        Some(per_s) if args.closed_loop => Ok(Rate::BetweenPauses(per_s)),
        _ => job.offered_per_s.filter(|per_s| *per_s > 0.0).map(Rate::Offered).ok_or_else(|| {
            Failure::input(format!(
                "the trial of `{}` ran as fast as it could, which says nothing of a JVM; state a rate with --events-per-second",
                printable(&job.configuration)
            ))
        }),
    }
}

fn validate(args: &Validate) -> Outcome {
    let constants = constants(args.constants.as_deref())?;
    let runs_name = args.runs.as_ref().map_or_else(
        || "Flink's heap backend (the built-in constants were fitted to them)".to_owned(),
        |path| printable(&path.display().to_string()),
    );
    let validation = Validation::of(&runs(args.runs.as_deref())?, &constants);
    print(&validation_text(&validation, &runs_name, &constants, args.by_run))
}

fn calibrate(args: &Calibrate) -> Outcome {
    let output = args.output.display();
    if args.output.exists() && !args.force {
        return Err(Failure::input(format!("{output} exists and is left as it is; --force overwrites it")));
    }
    // Told before half a minute is spent.
    std::fs::metadata(folder_of(&args.output)).map_err(|error| Failure::environment(format!("{output}: {error}")))?;
    let jdk = Jdk::find().map_err(Failure::environment)?;
    say(&jdk.version);
    let calibration = jdk.calibrate(args.cores, |run| say(&format!("running {run}"))).map_err(Failure::environment)?;
    let origin = format!("statebench gc-model calibrate: {}, {} cores", jdk.version, args.cores);
    calibration
        .constants
        .save(&args.output, &origin)
        .map_err(|error| Failure::environment(format!("{output}: {error}")))?;
    let Factors { young, g1_full, parallel_full, mark } = calibration.factors;
    print(&format!(
        "collections on this machine over those that the built-in constants were fitted to (measured over modelled):\n\
         young {young:.2}, full G1 {g1_full:.2}, full Parallel {parallel_full:.2}, concurrent mark {mark:.2}\n\
         wrote {}\n",
        printable(&output.to_string())
    ))
}

fn runs(path: Option<&Path>) -> Result<Vec<MeasuredRun>, Failure> {
    path.map_or_else(built_in_runs, load_runs).map_err(|error| match &error {
        RunsError::Read(_, io) if io.kind() == std::io::ErrorKind::PermissionDenied => Failure::environment(error),
        _ => Failure::input(error),
    })
}

fn constants(path: Option<&Path>) -> Result<Constants, Failure> {
    path.map_or_else(|| Ok(Constants::default()), |path| Constants::load(path).map_err(Failure::input))
}
