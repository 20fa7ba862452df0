//! `statebench compare`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};

use super::baseline::DEFAULT_FOLDER;
use super::{Failure, Outcome, print, show};
use crate::compare::{
    CompareError, Comparison, Observations, Parameters, check_metric, compare as compare_observations,
};
use crate::gate::{Calibration, Key};
use crate::report::{Format, render_comparison};
use crate::result::{Contrast, LoadError, RunResult};

/// The largest change in percent that an option takes.
const MOST_PERCENT: f64 = 1_000.0;

/// Compares two results by workload and configuration, or two configurations of one result.
///
/// Each metric is regressed, improved, shown to be unchanged within its threshold, or inconclusive. Two configurations of one
/// result were measured in turn, so their repeats are pairs; two results are two samples, and what is found is indicative only.
///
/// Exit codes: 0 nothing regressed, 1 something regressed or digests differ, 2 the input is wrong, 4 inconclusive and
/// --on-inconclusive=fail, 5 not comparable.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The result that is compared with
    base: PathBuf,
    /// The result that is judged; the base's own where it is not given
    candidate: Option<PathBuf>,
    /// The configuration of the base, by the name that it has in the result's table; every one where none is named
    #[arg(long = "base", value_name = "NAME")]
    base_configuration: Option<String>,
    /// The configuration of the candidate; the same where it is not given
    #[arg(long = "candidate", value_name = "NAME")]
    candidate_configuration: Option<String>,
    /// Compare only this metric, by its name in JSON; may be given more than once
    #[arg(long = "metric", value_name = "NAME", value_parser = metric)]
    metrics: Vec<String>,
    /// The change of a metric that matters, in percent; 5, and 15 for tails and what compactions decide, where it is not given
    #[arg(long = "threshold", value_name = "METRIC=PERCENT", value_parser = threshold)]
    thresholds: Vec<(String, f64)>,
    /// The probability of a false alarm, all metrics together
    #[arg(long, value_name = "P", default_value_t = 0.01, value_parser = probability)]
    alpha: f64,
    /// What two sessions on this machine differ by, in percent: no smaller change between two results is a finding
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    session_spread: f64,
    /// Compare although this differs; may be given more than once
    #[arg(long, value_enum, value_name = "WHAT")]
    allow: Vec<Difference>,
    /// What inconclusive metrics do to the exit code
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnInconclusive::Warn)]
    on_inconclusive: OnInconclusive,
    /// How the comparison is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Difference {
    /// What arrives and what is done with it
    Workload,
    /// The seed of the events
    Seed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnInconclusive {
    /// Nothing
    Warn,
    /// Exit code 4
    Fail,
}

pub(super) fn metric(name: &str) -> Result<String, String> {
    check_metric(name).map(|()| name.to_owned())
}

pub(super) fn threshold(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("expected METRIC=PERCENT, such as latency_p99_ns=10")?;
    let value = percent(value)?;
    if value == 0.0 {
        return Err("no run is equal to another: a threshold is above 0".to_owned());
    }
    Ok((metric(name)?, value))
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    number_in(text, 0.0..=MOST_PERCENT)
}

pub(super) fn probability(text: &str) -> Result<f64, String> {
    number_in(text, 1e-6..=0.5)
}

fn number_in(text: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
}

pub(super) fn compare(args: &Args) -> Outcome {
    let base = load(&args.base)?;
    let candidate = args.candidate.as_deref().map(load).transpose()?;
    if candidate.is_none() && base.interleaved.is_none() && args.contrasts().is_empty() {
        return Err(Failure::input(format!(
            "{}: one result: name two of its configurations with --base and --candidate, or give a second result",
            args.base.display()
        )));
    }
    let judged = candidate.as_ref().unwrap_or(&base);
    let session_spreads = session_spreads(Path::new(DEFAULT_FOLDER), judged)?;
    let parameters = Parameters { session_spreads, ..args.parameters() };
    let comparison = compare_observations(&base, judged, &parameters).map_err(Failure::of_comparison)?;
    check_asked(&comparison, args.metrics.iter().chain(args.thresholds.iter().map(|(name, _)| name)))?;
    print(&render_comparison(&comparison, args.format).map_err(Failure::environment)?)?;
    verdict(&comparison, args.on_inconclusive)
}

/// What two sessions differ by in each metric, as a share, where a folder of baselines has a calibration of a result's workload and
/// kind of machine.
pub(super) fn session_spreads(folder: &Path, result: &Observations) -> Result<BTreeMap<String, f64>, Failure> {
    let calibration = Calibration::find(folder, &Key::of(result), &result.name).map_err(Failure::of_calibration)?;
    Ok(calibration.map(|calibration| calibration.session_spreads()).unwrap_or_default())
}

/// A metric that the user asks for and no result has is a mistake, not a pass.
pub(super) fn check_asked<'a>(comparison: &Comparison, mut asked: impl Iterator<Item = &'a String>) -> Outcome {
    match asked.find(|name| !comparison.has_metric(name)) {
        Some(missing) => Err(Failure::input(format!("neither side has the metric `{missing}`"))),
        None => Ok(()),
    }
}

/// The two configurations that options name; of one alone both.
pub(super) fn contrast(base: Option<&String>, candidate: Option<&String>) -> Vec<Contrast> {
    let names = base.or(candidate).zip(candidate.or(base));
    names.map(|(base, candidate)| Contrast { base: base.clone(), candidate: candidate.clone() }).into_iter().collect()
}

impl Args {
    fn contrasts(&self) -> Vec<Contrast> {
        contrast(self.base_configuration.as_ref(), self.candidate_configuration.as_ref())
    }

    fn parameters(&self) -> Parameters {
        let thresholds = self.thresholds.iter().map(|(name, percent)| (name.clone(), percent / 100.0));
        Parameters {
            contrasts: self.contrasts(),
            metrics: self.metrics.clone(),
            thresholds: thresholds.collect(),
            alpha: self.alpha,
            session_spread: self.session_spread / 100.0,
            allow_workload: self.allow.contains(&Difference::Workload),
            allow_seed: self.allow.contains(&Difference::Seed),
            ..Parameters::default()
        }
    }
}

impl Failure {
    pub(super) fn of_comparison(error: CompareError) -> Self {
        match error {
            CompareError::Input(_) => Self::input(error),
            CompareError::NotComparable(_) => Self::not_comparable(error),
        }
    }
}

/// Loads what a comparison needs of a result. One of another schema is not comparable.
pub(super) fn load(path: &Path) -> Result<Observations, Failure> {
    let result = match RunResult::load(path) {
        Err(error @ LoadError::Version(..)) => Err(Failure::not_comparable(error)),
        Err(error) => Err(show::load_failure(error)),
        Ok(result) => Ok(result),
    }?;
    Observations::of(&result).map_err(|error| Failure::input(format!("{}: {error}", path.display())))
}

/// What of a comparison is an error.
pub(super) fn verdict(comparison: &Comparison, on_inconclusive: OnInconclusive) -> Outcome {
    let counts = &comparison.counts;
    if counts.regressed > 0 {
        return Err(Failure::regressed(format!("regressed: {} of what was compared", counts.regressed)));
    }
    if counts.inconclusive > 0 && on_inconclusive == OnInconclusive::Fail {
        return Err(Failure::inconclusive(format!("inconclusive: {} of what was compared", counts.inconclusive)));
    }
    Ok(())
}
