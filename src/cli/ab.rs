//! `statebench ab`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;

use super::baseline::DEFAULT_FOLDER;
use super::check::{Overrides, WorkloadArgs};
use super::compare::{self, OnInconclusive};
use super::run::{self, PlaceArgs};
use super::{Failure, Outcome, print, say};
use crate::ab::{AbError, AbOptions, Arms, MOST_PAIRS, Until, found, run_arms};
use crate::compare::{GATED_METRICS, Parameters};
use crate::gate::{Calibration, Key};
use crate::report::{Format, render_comparison};
use crate::result::RunResult;
use crate::run::{OtherProgram, ProgramError, RunOptions, manifest};
use crate::workload::{Plan, Time};

/// Time that a run may take where nothing else is said.
pub(super) const DEFAULT_BUDGET: Duration = Duration::from_mins(10);

/// Runs configurations of a workload in turn, or one configuration as two programs run it, until it is told what differs.
///
/// In each block every configuration runs once, in random order and with the same events: pairs. They are looked at as often as
/// was planned beforehand, and the run ends when every judged metric has regressed, improved or been shown to stay within its
/// threshold, or when the budget is spent. The first configuration is the base.
///
/// Exit codes: 0 nothing regressed, 1 something regressed or digests differ, 2 the input is wrong, 3 the environment failed, 4
/// inconclusive and --on-inconclusive=fail, 5 a program of another version.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    workload: WorkloadArgs,
    #[command(flatten)]
    pairs: PairArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Judge this metric, by its name in JSON, in place of typical throughput, p50, processor time and p99; may be given more
    /// than once
    #[arg(long = "metric", value_name = "NAME", value_parser = compare::metric)]
    metrics: Vec<String>,
    /// The change of a metric that matters, in percent; 5, and 15 for tails and what compactions decide, where it is not given
    #[arg(long = "threshold", value_name = "METRIC=PERCENT", value_parser = compare::threshold)]
    thresholds: Vec<(String, f64)>,
    /// The probability of a false alarm, all metrics and looks together
    #[arg(long, value_name = "P", default_value_t = 0.01, value_parser = compare::probability)]
    alpha: f64,
    /// What inconclusive metrics do to the exit code
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnInconclusive::Warn)]
    on_inconclusive: OnInconclusive,
    /// How the comparison is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// No progress and no warnings on stderr
    #[arg(short, long)]
    quiet: bool,
}

/// What is run in pairs, and how long.
#[derive(Debug, ClapArgs)]
pub struct PairArgs {
    /// Another statebench: once, it is the candidate and this program the base; twice, base and candidate
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
    /// Time that the run may take; 10 minutes where it is not given
    #[arg(long, value_name = "TIME")]
    budget: Option<Time>,
    /// The most pairs; as many as the last look needs where it is not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_PAIRS)))]
    max_pairs: Option<u32>,
    /// End when one metric has regressed
    #[arg(long)]
    fail_fast: bool,
    /// Compare with the operator slowed down by so much of an event's time: what a gate is tried out with
    #[arg(long, value_name = "PERCENT", value_parser = run::handicap, hide = true, conflicts_with = "binary")]
    handicap: Vec<f64>,
}

impl PairArgs {
    /// Whether none of it is given.
    pub fn is_empty(&self) -> bool {
        let Self { binary, budget, max_pairs, fail_fast, handicap } = self;
        binary.is_empty() && budget.is_none() && max_pairs.is_none() && !fail_fast && handicap.is_empty()
    }

    /// How long to run, where something beside the command line may say so too.
    pub fn options(&self, parameters: Parameters, budget: Option<Time>, max_pairs: Option<u32>) -> AbOptions {
        AbOptions {
            parameters,
            budget: Some(self.budget.or(budget).map_or(DEFAULT_BUDGET, |time| time.0)),
            until: Until::Decided { most_pairs: self.max_pairs.or(max_pairs), fail_fast: self.fail_fast },
            first_repeat: 0,
        }
    }

    /// What is run in turn.
    pub fn arms(&self, plan: &Plan) -> Result<Arms, Failure> {
        let ask = |path: &PathBuf| OtherProgram::ask(path).map_err(Failure::of_program);
        let arms = match self.binary.as_slice() {
            [] if self.handicap.is_empty() => Arms::of_configurations(plan),
            [] => {
                run::check_handicap(plan)?;
                Arms::of_handicaps(plan, &self.handicap)
            }
            [candidate] => Arms::of_programs(plan, None, ask(candidate)?),
            [base, candidate] => Arms::of_programs(plan, Some(ask(base)?), ask(candidate)?),
            more => return Err(Failure::input(format!("--binary: found {} files; allowed: one or two", more.len()))),
        };
        arms.map_err(Failure::of_comparison)
    }
}

pub(super) fn ab(args: &Args) -> Outcome {
    let plan = plan(&args.workload.overrides, args.workload.path())?;
    let arms = args.pairs.arms(&plan)?;
    let options = args.pairs.options(args.parameters(), None, None);
    warn_of_noise(&plan, &args.place, &options, args.quiet)?;
    let result = run_pairs((&plan, &arms), &args.place, &options, (args.quiet, args.workload.quick()))?;
    let comparison = found(&result, &options).map_err(Failure::of_comparison)?;
    let asked = args.metrics.iter().chain(args.thresholds.iter().map(|(name, _)| name));
    compare::check_asked(&comparison, asked)?;
    print(&render_comparison(&comparison, args.format).map_err(Failure::environment)?)?;
    compare::verdict(&comparison, args.on_inconclusive)
}

impl Args {
    fn parameters(&self) -> Parameters {
        let thresholds = self.thresholds.iter().map(|(name, percent)| (name.clone(), percent / 100.0));
        let judged = if self.metrics.is_empty() {
            GATED_METRICS.iter().map(|(name, _)| (*name).to_owned()).collect()
        } else {
            self.metrics.clone()
        };
        Parameters {
            metrics: judged,
            shows_others: true,
            thresholds: thresholds.collect(),
            alpha: self.alpha,
            ..Parameters::default()
        }
    }
}

/// The plan of a run of pairs: its configurations in the order in which they are named.
pub(super) fn plan(overrides: &Overrides, workload: &Path) -> Result<Plan, Failure> {
    if let Some(option) = overrides.not_for_pairs() {
        return Err(Failure::input(format!("{option}: not for trials that are run in pairs")));
    }
    let mut plan = overrides.plan(workload)?;
    let place = |base: &str| overrides.configurations().iter().position(|name| name == base);
    plan.cells.sort_by_key(|cell| (cell.variant, place(&cell.configuration.base)));
    Ok(plan)
}

/// Says before a run what it will not be able to see, where this machine is calibrated for the workload.
pub(super) fn warn_of_noise(plan: &Plan, place: &PlaceArgs, options: &AbOptions, quiet: bool) -> Outcome {
    if quiet {
        return Ok(());
    }
    let manifest = manifest(plan, &place.state_folder(), false);
    let key = Key::of_plan(plan, &manifest).map_err(Failure::of_comparison)?;
    let calibration =
        Calibration::find(Path::new(DEFAULT_FOLDER), &key, &plan.name).map_err(Failure::of_calibration)?;
    for noise in calibration.iter().flat_map(Calibration::latest) {
        let is_judged = options.parameters.metrics.contains(&noise.metric);
        let affordable = options.budget.map_or(f64::INFINITY, |budget| budget.as_secs_f64() / noise.pair_s.max(1e-9));
        let pairs = noise.last_look().min(affordable as u32);
        let visible = noise.visible_percent(pairs);
        if is_judged && visible > noise.threshold_percent {
            say(&format!(
                "noisy: {} {}: {}: by its calibration a change of {visible:.1} % or more can be seen here in {pairs} pairs, the \
                 threshold is {} %",
                noise.workload, noise.configuration, noise.metric, noise.threshold_percent
            ));
        }
    }
    Ok(())
}

/// Runs pairs; a run that did not come to an end is an error, with what was found saved.
pub(super) fn run_pairs(
    (plan, arms): (&Plan, &Arms),
    place: &PlaceArgs,
    options: &AbOptions,
    (quiet, quick): (bool, bool),
) -> Result<RunResult, Failure> {
    let run_options: RunOptions = place.options(plan, &format!("{}-ab", plan.name), quiet, quick)?;
    let result = run_arms((plan, arms), &run_options, options, &|blocks, line| {
        if !quiet {
            blocks.say(line);
        }
    });
    let result = result.map_err(|error| match error {
        AbError::Run(error) => Failure::environment(error),
        AbError::Compare(error) => Failure::of_comparison(error),
    })?;
    if !quiet && result.has_answers() {
        say(&format!("result: {}", run_options.output.display()));
    }
    run::verdict(&result)?;
    Ok(result)
}

impl Failure {
    fn of_program(error: ProgramError) -> Self {
        match &error {
            ProgramError::Version(..) => Self::not_comparable(error),
            ProgramError::Start(_, io) if io.kind() == std::io::ErrorKind::PermissionDenied => Self::environment(error),
            ProgramError::Start(..) | ProgramError::NoAnswer(..) => Self::input(error),
        }
    }
}
