//! `statebench calibrate`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::ab::{self, DEFAULT_BUDGET};
use super::check::Overrides;
use super::run::PlaceArgs;
use super::{Failure, Outcome, compare, print, say};
use crate::ab::{AbOptions, Arms, MOST_PAIRS, Until};
use crate::compare::{
    Cell, Comparison, FalseAlarms, GATED_METRICS, Observations, Parameters, compare as compare_observations,
};
use crate::gate::{Calibration, CalibrationError, Key, Session};
use crate::report::calibration_table;
use crate::workload::Time;

/// Gates that the pairs of a calibration are drawn for.
const DRAWS: u32 = 4_000;
/// The seed of the draws.
const SEED: u64 = 1;

/// Runs each configuration of a workload against itself and tells what a gate can see on this machine.
///
/// The noise of each metric from pair to pair, the smallest change that can be seen in how many pairs and how long, the metrics that
/// cannot be gated here, and how often a gate would have raised a false alarm. It is kept beside the baselines; `compare` and `gate`
/// know from the sessions there what two sessions differ by.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The workload file
    #[arg(required_unless_present = "from")]
    workload: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    place: PlaceArgs,
    /// Pairs to run
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..=i64::from(MOST_PAIRS)))]
    pairs: u32,
    /// Time that the run may take; 10 minutes where it is not given
    #[arg(long, value_name = "TIME")]
    budget: Option<Time>,
    /// Run nothing: take the pairs of this result of `ab` in which nothing was changed; may be given more than once
    #[arg(long, value_name = "RESULT", conflicts_with = "workload")]
    from: Vec<PathBuf>,
    /// The folder of baselines
    #[arg(long, value_name = "DIR", default_value = super::baseline::DEFAULT_FOLDER)]
    dir: PathBuf,
    /// Only print it
    #[arg(long)]
    dry_run: bool,
    /// No progress and no warnings on stderr
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn calibrate(args: &Args) -> Outcome {
    let parameters = Parameters {
        metrics: GATED_METRICS.iter().map(|(name, _)| (*name).to_owned()).collect(),
        ..Parameters::default()
    };
    if !args.dry_run {
        // Before what takes minutes, not behind it.
        let cannot = |error| Failure::environment(format!("{}: cannot write there: {error}", args.dir.display()));
        std::fs::create_dir_all(&args.dir).map_err(cannot)?;
        tempfile::tempfile_in(&args.dir).map(drop).map_err(cannot)?;
    }
    let all = match &args.workload {
        Some(workload) => vec![run(args, workload, &parameters)?],
        None => args.from.iter().map(|path| compare::load(path)).collect::<Result<_, _>>()?,
    };
    let comparisons = all.iter().map(|one| at_one_look(one, &parameters)).collect::<Result<Vec<_>, _>>()?;
    let [observations, others @ ..] = all.as_slice() else { return Ok(()) };
    let key = Key::of(observations);
    if others.iter().any(|other| kind(other) != kind(observations)) {
        return Err(Failure::not_comparable("the results are of different workloads or machines"));
    }
    let mut calibration = Calibration::find(&args.dir, &key, &observations.name).map_err(Failure::of_calibration)?;
    for comparison in &comparisons {
        let session = Session::of(comparison);
        if session.noise.is_empty() {
            return Err(Failure::input(format!("{}: no judged metric is in its pairs", observations.name)));
        }
        calibration = Some(Calibration::with(calibration, key.clone(), &observations.name, session));
    }
    let Some(calibration) = calibration else { return Ok(()) };
    let alarms = FalseAlarms::of(&comparisons, DRAWS, SEED);
    print(&calibration_table(&calibration, alarms))?;
    if !args.dry_run {
        let cannot =
            |error| Failure::environment(format!("{}: cannot write the calibration: {error}", args.dir.display()));
        let path = calibration.save(&args.dir).map_err(cannot)?;
        say(&format!("calibration: {}", path.display()));
    }
    Ok(())
}

/// The name of a configuration and the definition of its workload.
type Definition = (String, BTreeMap<String, String>);

/// What pairs must have in common to be of one machine's noise: all but the seed of their events.
fn kind(observations: &Observations) -> (String, Vec<Definition>) {
    let of_cell = |cell: &Cell| {
        let mut definition = cell.definition.clone();
        definition.remove("run.seed");
        (cell.configuration.clone(), definition)
    };
    (Key::of(observations).host_class, observations.cells.iter().map(of_cell).collect())
}

/// Runs pairs of each configuration and itself.
fn run(args: &Args, workload: &Path, parameters: &Parameters) -> Result<Observations, Failure> {
    let plan = ab::plan(&args.overrides, workload)?;
    let arms = Arms::of_nothing_changed(&plan).map_err(Failure::of_comparison)?;
    let options = AbOptions {
        parameters: parameters.clone(),
        budget: Some(args.budget.map_or(DEFAULT_BUDGET, |time| time.0)),
        until: Until::Pairs(args.pairs),
        first_repeat: 0,
    };
    let result = ab::run_pairs((&plan, &arms), &args.place, &options, (args.quiet, args.overrides.quick()))?;
    Observations::of(&result).map_err(Failure::of_comparison)
}

/// The pairs of an interleaved run at one look, however many it made.
fn at_one_look(observations: &Observations, parameters: &Parameters) -> Result<Comparison, Failure> {
    let Some(mut interleaved) = observations.interleaved.clone() else {
        return Err(Failure::input(format!("{}: is no result of pairs, as `ab` writes them", observations.name)));
    };
    interleaved.looks.clear();
    let all = Observations { interleaved: Some(interleaved), ..observations.clone() };
    compare_observations(&all, &all, parameters).map_err(Failure::of_comparison)
}

impl Failure {
    pub(super) fn of_calibration(error: CalibrationError) -> Self {
        match &error {
            CalibrationError::Version(..) | CalibrationError::Foreign(_) => Self::not_comparable(error),
            CalibrationError::Read(..) => Self::environment(error),
            CalibrationError::Format(..) => Self::input(error),
        }
    }
}
