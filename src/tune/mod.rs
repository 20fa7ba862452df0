//! A search for better settings of a workload, and the proof that they are better.
//!
//! [`Space`] says what may be chosen, [`Goal`] what for; [`Search`] looks for it in short trials ([`lab`]), and what it finds is
//! run against what the user has in fresh pairs ([`proof`]): only that figure is claimed. In the end each changed option is set back
//! alone, to see what it is worth.

pub mod goal;
mod lab;
mod proof;
pub mod search;
pub mod space;
mod surrogate;

use std::path::PathBuf;
use std::time::Duration;

pub use goal::{Goal, Limit, Over, Quantity};
pub use proof::{ALPHA, least_pairs};
pub use search::{Bench, Reading, Search, Stage, Standing};
pub use space::{Dimension, MemoryChoice, Point, Range, Space, SpaceError, Wanted};

use crate::ab::{AbError, AbOptions, Arms, Until, run_arms};
use crate::compare::{CompareError, Parameters};
use crate::gate::workload_digest;
use crate::result::{
    CandidateStanding, OptionWorth, PlainerWinner, Proof, RunResult, TunedOption, TunedOver, TunedWorkload, Tuning,
    TuningBudget, TuningLimit, TuningSetup,
};
use crate::run::{ExploreError, Explorer, RunError, RunOptions, empty_result};
use crate::statistics::median;
use crate::workload::{Cell, Configuration, Invalid, Options, Plan, Time, Variant};
use lab::{Lab, Length};
use proof::prove;

/// The shares of the budget for the proof and for what options are worth; the search has the rest.
const PROOF_SHARE: f64 = 0.35;
const IMPORTANCE_SHARE: f64 = 0.12;
/// The most pairs of a proof, and the most blocks in which options are set back.
const MOST_PAIRS: u32 = 24;
const MOST_BLOCKS: u32 = 6;
/// The least trials of a search that is worth the name, in lengths of the start's trial.
const LEAST_SEARCH: f64 = 8.0;
/// Settings of a front that are proved.
const MOST_WINNERS: usize = 4;
/// The name of the winner in the result.
const WINNER: &str = "tuned";
/// The name of Flink's defaults in it, where the start is not at them.
const DEFAULTS: &str = "flink-defaults";

/// What is searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The workloads: its cells do not count.
    pub plan: Plan,
    /// What may be chosen.
    pub space: Space,
    /// What for.
    pub goal: Goal,
    /// What it may take.
    pub budget: TuningBudget,
    /// Whether trials of the search have prefills of their own.
    pub own_prefill: bool,
}

/// Why a search failed.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// A workload and a configuration do not go together.
    #[error(transparent)]
    Workload(Invalid),
    /// The budget is too small.
    #[error(
        "the budget of {0} is too small: a proof takes {1} pairs of {2} trials, and there has to be something to prove; the least that works here is {3}"
    )]
    Budget(String, u32, usize, String),
    /// Trials do not have what the goal is about.
    #[error("the goal needs `{0}`, which trials of this workload do not have: {1}")]
    Metric(&'static str, &'static str),
    /// The state of the start does not fit its memory.
    #[error(
        "the search cannot start where the state does not fit the memory: another --configuration, or more --memory"
    )]
    Start,
    /// Nothing that was tried keeps the limits.
    #[error("no setting keeps the limits; {0}")]
    Limits(String),
    /// Nothing that was tried is the same in every trial.
    #[error(
        "every setting that was tried is slow in some of its trials and not in others, and none of those is chosen; more --memory, or \
             state.backend.rocksdb.memory.partitioned-index-filters among the options, may end that"
    )]
    Bimodal,
    /// A trial failed.
    #[error("{described}: {reason}")]
    Trial {
        /// The setting.
        described: String,
        /// Why.
        reason: String,
        /// Whether the environment is to blame.
        environment: bool,
    },
    /// Trials of the same events did not compute the same.
    #[error("{0}")]
    Differing(String),
    /// The notes to go on from are not those of this search.
    #[error(
        "its trials are not those of this search: the workload, the options, the goal or the program is another one"
    )]
    OtherSearch,
    /// What differs.
    #[error("it is of another search: {0}")]
    OtherSetup(String),
    /// It has come to its end.
    #[error("this search has come to its end; there is nothing to go on with")]
    Finished,
    /// The user stopped it; the notes are saved.
    #[error("interrupted; --resume {path} goes on from there", path = .0.display())]
    Interrupted(PathBuf),
    /// The notes cannot be saved.
    #[error("{path}: cannot write the result: {error}", path = .0.display(), error = .1)]
    Save(PathBuf, #[source] std::io::Error),
    /// Trials cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Pairs cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
}

impl From<ExploreError> for TuneError {
    fn from(error: ExploreError) -> Self {
        match error {
            ExploreError::Run(error) => Self::Run(error),
            ExploreError::Invalid(invalid) => Self::Workload(invalid),
        }
    }
}

impl From<AbError> for TuneError {
    fn from(error: AbError) -> Self {
        match error {
            AbError::Run(error) => Self::Run(error),
            AbError::Compare(error) => Self::Compare(error),
        }
    }
}

impl Task {
    /// What is searched, as the result keeps it.
    ///
    /// # Errors
    /// None of ours; the type is that of the digest.
    pub fn setup(&self) -> Result<TuningSetup, TuneError> {
        let workloads = self.plan.variants.iter().zip(&self.goal.weights);
        let workload = |(variant, weight): (&Variant, &f64)| {
            let label = if variant.label.is_empty() { self.plan.name.clone() } else { variant.label.clone() };
            Ok(TunedWorkload { label, weight: *weight, digest: workload_digest(&variant.wire)? })
        };
        let limit = |limit: &Limit| TuningLimit { quantity: limit.quantity.name().to_owned(), bound: limit.bound };
        let start = self.space.start();
        let options = self.space.dimensions().iter();
        Ok(TuningSetup {
            workloads: workloads.map(workload).collect::<Result<_, CompareError>>()?,
            goal: self.goal.described(),
            objectives: self.goal.objectives.iter().map(|quantity| quantity.name().to_owned()).collect(),
            limits: self.goal.limits.iter().map(limit).collect(),
            over: match self.goal.over {
                Over::Average => TunedOver::Average,
                Over::Worst => TunedOver::Worst,
            },
            start: start.name.clone(),
            start_options: start.given.iter().cloned().collect(),
            options: options.map(|one| TunedOption { key: one.key.clone(), values: one.levels.clone() }).collect(),
            combinations: self.space.combinations(),
            seed: self.plan.wire.run.seed,
            budget: self.budget,
            own_prefill: self.own_prefill,
        })
    }

    /// The configurations that the winners are held against: the start, and Flink's defaults where the start is not at them.
    fn bases(&self) -> Vec<Configuration> {
        let start = self.space.start().clone();
        let defaults = self.defaults();
        // Keys that are written out with the value that Flink has anyway make no other configuration.
        if defaults.options.resolved().eq(start.options.resolved()) { vec![start] } else { vec![start, defaults] }
    }

    /// Flink's defaults in the memory that the start has.
    fn defaults(&self) -> Configuration {
        let start = self.space.start();
        let is_kept = |key: &str| {
            key == space::BACKEND
                || key.starts_with("taskmanager.")
                || key.starts_with("execution.")
                || key.contains("memory.fixed-per")
        };
        let name = free_name(DEFAULTS, std::slice::from_ref(start));
        let mut defaults = Configuration { base: name.clone(), name, ..start.clone() };
        defaults.options = Options::of(start.options.backend);
        defaults.options.job = start.options.job;
        defaults.given.clear();
        for (key, value) in start.given.iter().filter(|(key, _)| is_kept(key)) {
            let mut changed = defaults.clone();
            // What the start could be given, its defaults can.
            if changed.set(key, value).is_ok() {
                defaults = changed;
            }
        }
        defaults
    }

    /// Whether a trial keeps the limits that are on metrics.
    fn keeps_limits(&self, reading: &Reading) -> bool {
        self.goal.limits.iter().all(|limit| match self.goal.place(limit.quantity) {
            Some(place) => reading.values[place].is_some_and(|value| limit.is_kept(value)),
            None => true,
        })
    }

    /// By how much a setting costs more than another one in a pair, in the first quantity that trials measure; none where one of
    /// them lacks it.
    fn difference(&self, own: &[Reading], other: &[Reading]) -> Option<f64> {
        let quantity = *self.goal.measured().first()?;
        let cost = |reading: &Reading| Some(quantity.cost((*reading.values.first()?)?));
        let of_workload = |(own, other): (&Reading, &Reading)| Some(cost(own)? - cost(other)?);
        Some(self.goal.combined(&own.iter().zip(other).map(of_workload).collect::<Option<Vec<f64>>>()?))
    }

    /// Winners that are proved at most.
    fn most_winners(&self) -> usize {
        if self.goal.objectives.len() > 1 { MOST_WINNERS } else { 1 }
    }

    /// Pairs that a proof has at least.
    fn least_pairs(&self) -> u32 {
        let measured = self.goal.objectives.iter().filter(|objective| matches!(objective, Quantity::Metric(_))).count();
        least_pairs(measured * self.bases().len() * self.most_winners())
    }

    /// Trials of a pair: the winners, and what they are held against, in each workload.
    fn trials_of_a_pair(&self) -> usize {
        (self.bases().len() + self.most_winners()) * self.plan.variants.len()
    }
}

/// Searches, proves, and tells what options are worth. `hear` is told how it goes, a line at a time. A result to go on from holds
/// notes of the same search.
///
/// # Errors
/// The budget is too small, nothing keeps the limits, or trials cannot be run.
pub fn tune(
    task: &Task,
    options: &RunOptions,
    resumed: Option<RunResult>,
    hear: &dyn Fn(&Explorer<'_>, &str),
) -> Result<RunResult, TuneError> {
    let setup = task.setup()?;
    let notes = notes(task, options, &setup, resumed)?;
    let all = lab::lengths(&task.plan, task.own_prefill)?;
    let explorer = Explorer::new(all, options, expected_trials(task))?;
    let what = (&task.space, &task.goal, setup.seed);
    let mut lab = Lab::new(explorer, what, (notes, &options.output), task.budget, hear);
    let shares = pilot(task, &mut lab, options)?;
    lab.budget = shares.search;
    let mut search = Search::new(&task.space, &task.goal, setup.seed);
    if !search.run(&mut lab)? {
        return Err(interrupted(&mut lab, options));
    }
    note_standings(task, &search, &mut lab);
    let Some(winners) = winners(task, &search) else {
        lab.save()?;
        let is_limited = !task.goal.limits.is_empty();
        return Err(if is_limited { TuneError::Limits(nearest_to_limits(task, &search)) } else { TuneError::Bimodal });
    };
    if let Some(tuning) = &mut lab.notes().tuning {
        tuning.winners.clone_from(&winners);
    }
    if winners.is_empty() {
        lab.save()?;
        return Ok(lab.into_notes());
    }
    let mut points: Vec<Point> = winners.iter().map(|winner| search.candidates()[*winner].clone()).collect();
    if let [winner] = points.as_mut_slice() {
        importance(task, &mut lab, search.blocks(), winner, shares.importance)?;
        if let Some(plainer) = plainer(task, &mut lab, search.blocks() + MOST_BLOCKS, winner)? {
            *winner = plainer;
        }
        if lab.is_interrupted() {
            return Err(interrupted(&mut lab, options));
        }
    }
    lab.save()?;
    let first_repeat = search.blocks() + MOST_BLOCKS + PLAINER_BLOCKS;
    let used_s = lab.used_s();
    finish(task, options, (lab.into_notes(), used_s), &points, (shares.pairs, first_repeat))
}

/// Runs the proof, and puts it together with the notes.
fn finish(
    task: &Task,
    options: &RunOptions,
    (notes, used_s): (RunResult, f64),
    winners: &[Point],
    (pairs, first_repeat): (u32, u32),
) -> Result<RunResult, TuneError> {
    let (plan, names) = proof_plan(task, winners)?;
    let arms = Arms::of_candidates(&plan, &names)?;
    let ab = AbOptions { parameters: Parameters::default(), budget: None, until: Until::Pairs(pairs), first_repeat };
    // The notes stay where they are until the proof is there too.
    let folder = &options.state_folder;
    let io = |error| RunError::Io(folder.clone(), "cannot keep a proof there", error);
    let place = tempfile::Builder::new().prefix("statebench-proof-").tempdir_in(folder).map_err(io)?;
    let of_proof = RunOptions { output: place.path().join("proof.json"), ..options.clone() };
    let mut result = run_arms((&plan, &arms), &of_proof, &ab, &|_, _| {})?;
    if result.interrupted {
        return Err(TuneError::Interrupted(options.output.clone()));
    }
    let bases: Vec<String> = task.bases().into_iter().map(|base| base.name).collect();
    let prove = |name: &String| prove(&result, &task.goal, (name, names.len()), &bases, pairs);
    let proofs: Vec<Proof> = names.iter().map(prove).collect();
    let took_s = used_s + result.trials.iter().filter_map(|trial| trial.run.took_s).sum::<f64>();
    result.tuning = notes.tuning.map(|tuning| Box::new(Tuning { proofs, took_s, ..*tuning }));
    result.save(&options.output).map_err(|error| TuneError::Save(options.output.clone(), error))?;
    Ok(result)
}

fn interrupted(lab: &mut Lab<'_>, options: &RunOptions) -> TuneError {
    match lab.save() {
        Ok(()) => TuneError::Interrupted(options.output.clone()),
        Err(error) => error,
    }
}

/// The notes to begin with, or to go on from.
fn notes(
    task: &Task,
    options: &RunOptions,
    setup: &TuningSetup,
    resumed: Option<RunResult>,
) -> Result<RunResult, TuneError> {
    let Some(result) = resumed else {
        let tuning = Tuning {
            setup: setup.clone(),
            candidates: Vec::new(),
            trials: Vec::new(),
            standings: Vec::new(),
            front: Vec::new(),
            winners: Vec::new(),
            proofs: Vec::new(),
            importance: Vec::new(),
            importance_in: None,
            plainer: None,
            took_s: 0.0,
        };
        return Ok(RunResult {
            tuning: Some(Box::new(tuning)),
            planned_trials: 0,
            ..empty_result(&task.plan, options)
        });
    };
    let Some(tuning) = &result.tuning else { return Err(TuneError::OtherSetup("it holds no search".to_owned())) };
    if !tuning.proofs.is_empty() {
        return Err(TuneError::Finished);
    }
    match different(&tuning.setup, setup) {
        Some(what) => Err(TuneError::OtherSetup(what)),
        None => Ok(result),
    }
}

/// What two searches differ in; none where they are the same.
fn different(theirs: &TuningSetup, own: &TuningSetup) -> Option<String> {
    let labels = |setup: &TuningSetup| {
        setup.workloads.iter().map(|workload| workload.label.clone()).collect::<Vec<_>>().join(", ")
    };
    if theirs.workloads != own.workloads {
        let (theirs, own) = (labels(theirs), labels(own));
        let both = if theirs == own {
            "the definition of the workload has changed".to_owned()
        } else {
            format!("its workload is {theirs}, not {own}")
        };
        return Some(both);
    }
    let facts = |setup: &TuningSetup| {
        [
            ("goal", setup.goal.clone()),
            (
                "limits",
                setup
                    .limits
                    .iter()
                    .map(|limit| format!("{} {}", limit.quantity, limit.bound))
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            ("objective", setup.objectives.join(", ")),
            ("start", format!("{} {:?}", setup.start, setup.start_options)),
            (
                "options",
                setup
                    .options
                    .iter()
                    .map(|option| format!("{} {:?}", option.key, option.values))
                    .collect::<Vec<_>>()
                    .join("; "),
            ),
            ("seed", setup.seed.to_string()),
            ("budget", format!("{:?}", setup.budget)),
            ("prefill", format!("{} {:?}", setup.own_prefill, setup.over)),
        ]
    };
    let pairs = facts(theirs).into_iter().zip(facts(own));
    pairs
        .filter(|(theirs, own)| theirs != own)
        .map(|((what, theirs), (_, own))| format!("its {what} is {theirs}, not {own}"))
        .next()
}

/// About how many trials there will be, for the line that shows how it goes.
fn expected_trials(task: &Task) -> usize {
    match task.budget {
        TuningBudget::Trials(trials) => trials as usize,
        TuningBudget::Seconds(_) => 0,
    }
}

/// How a budget is divided.
struct SharesOf {
    search: TuningBudget,
    /// Blocks in which options are set back, by how many options there are.
    importance: TuningBudget,
    pairs: u32,
}

/// Runs the start as the proof will, to see what it takes, and whether trials have what the goal is about.
fn pilot(task: &Task, lab: &mut Lab<'_>, options: &RunOptions) -> Result<SharesOf, TuneError> {
    let start = task.space.start_point();
    let measured = task.goal.measured();
    let mut missing: Option<(Quantity, bool)> = None;
    let mut took_s = 0.0;
    for workload in 0..task.plan.variants.len() {
        let before_s = lab.used_s();
        let Some(reading) = lab.trial((Stage::Design, Length::AsItIs), PILOT_BLOCK, &start, workload)? else {
            return Err(interrupted(lab, options));
        };
        took_s += lab.used_s() - before_s;
        if !reading.fits {
            return Err(TuneError::Start);
        }
        let Some(short) = lab.trial((Stage::Design, Length::Short), PILOT_BLOCK, &start, workload)? else {
            return Err(interrupted(lab, options));
        };
        // A third of the events may be too few for a tail.
        let is_lost = short.values.iter().zip(&reading.values).any(|(short, whole)| short.is_none() && whole.is_some());
        lab.may_be_short &= !is_lost;
        let lacks = measured.iter().zip(&reading.values).find(|(_, value)| value.is_none());
        missing = missing.or(lacks.map(|(quantity, _)| (*quantity, reading.is_slow)));
    }
    if let Some((quantity, is_slow)) = missing {
        match quantity.name() {
            // A slow start may have too few events for a tail; a better setting has more.
            name if name.contains("latency") || name.contains("response") || name.contains("throughput") => {
                if !is_slow || task.goal.objectives.contains(&quantity) {
                    let why = "a percentile needs 100 timed events beyond it (10,000 for p99), and an open loop that keeps up; longer \
                               trials (`run.duration`, `run.events`) or another `load.rate` have it";
                    return Err(TuneError::Metric(name, why));
                }
            }
            name if name.contains("checkpoint") || name.contains("restore") => {
                let why = "it takes no checkpoints; `checkpoint.every-events` or `execution.checkpointing.interval` makes it take them";
                return Err(TuneError::Metric(name, why));
            }
            name => return Err(TuneError::Metric(name, "it is not measured in trials without counters")),
        }
    }
    divide(task, took_s / task.plan.variants.len() as f64)
}

/// The block of the pilot: another one than those of the search.
const PILOT_BLOCK: u32 = u32::MAX / 2;

/// Divides a budget, by what a trial of the start takes.
fn divide(task: &Task, trial_s: f64) -> Result<SharesOf, TuneError> {
    let (least, trials) = (task.least_pairs(), task.trials_of_a_pair());
    // In the unit of the budget: how much there is, what a trial takes of it, and how it is written.
    let (all, each) = match task.budget {
        TuningBudget::Trials(all) => (f64::from(all), 1.0),
        TuningBudget::Seconds(all) => (all, trial_s),
    };
    let text = |amount: f64| match task.budget {
        TuningBudget::Trials(_) => format!("{} trials", amount.ceil()),
        TuningBudget::Seconds(_) => Time(Duration::from_secs(amount.ceil() as u64)).to_string(),
    };
    let budget = |amount: f64| match task.budget {
        TuningBudget::Trials(_) => TuningBudget::Trials(amount as u32),
        TuningBudget::Seconds(_) => TuningBudget::Seconds(amount),
    };
    let proof = f64::from(least) * trials as f64 * each;
    let needed = proof + (1.0 + LEAST_SEARCH) * task.plan.variants.len() as f64 * each;
    if all < needed {
        return Err(TuneError::Budget(text(all), least, trials, text(needed)));
    }
    let for_proof = (PROOF_SHARE * all).max(proof);
    let left = all - for_proof;
    let importance = IMPORTANCE_SHARE * left;
    Ok(SharesOf {
        search: budget(left - importance),
        importance: budget(importance),
        pairs: ((for_proof / each / trials as f64) as u32).clamp(least, MOST_PAIRS.max(least)),
    })
}

/// Notes what the search knew in the end.
fn note_standings(task: &Task, search: &Search<'_>, lab: &mut Lab<'_>) {
    let mut standings = search.standings().to_vec();
    let cost = Standing::total_cost;
    standings.sort_by(|a, b| b.is_eligible().cmp(&a.is_eligible()).then(cost(a).total_cmp(&cost(b))));
    let noted = |standing: &Standing| {
        let interval = |belief: &surrogate::Belief| {
            let at = |deviations: f64| libm::exp(belief.mean + deviations * belief.deviation);
            [at(0.0), at(-1.96), at(1.96)]
        };
        let typical =
            |quantity: &Quantity| Some((quantity.name().to_owned(), search.typical(standing.candidate, 0, *quantity)?));
        CandidateStanding {
            candidate: standing.candidate,
            blocks: standing.blocks,
            cost: standing.cost.iter().map(interval).collect(),
            keeps_limits: standing.keeps_limits,
            is_bimodal: standing.is_bimodal,
            fits: standing.fits,
            metrics: task.goal.measured().iter().filter_map(typical).collect(),
        }
    };
    if let Some(tuning) = &mut lab.notes().tuning {
        tuning.standings = standings.iter().map(noted).collect();
        tuning.front = if task.goal.objectives.len() > 1 { search.front() } else { Vec::new() };
    }
}

/// The settings to prove; empty where none is better than the start, and none where nothing keeps the limits.
fn winners(task: &Task, search: &Search<'_>) -> Option<Vec<usize>> {
    let best = search.best()?;
    if task.goal.objectives.len() == 1 {
        return Some(if best == 0 { Vec::new() } else { vec![best] });
    }
    // Of a long front points that are about as far apart from each other, its ends among them.
    let front: Vec<usize> = search.front().into_iter().filter(|candidate| *candidate != 0).collect();
    let mut ordered: Vec<(f64, usize)> = Vec::new();
    for standing in search.standings() {
        if front.contains(&standing.candidate) {
            ordered.push((standing.cost[0].mean, standing.candidate));
        }
    }
    ordered.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = ordered.len().min(MOST_WINNERS);
    let place = |i: usize| if n < 2 { 0 } else { i * (ordered.len() - 1) / (n - 1) };
    Some((0..n).map(|i| ordered[place(i)].1).collect())
}

/// What comes nearest to keeping the limits, and what it misses.
fn nearest_to_limits(task: &Task, search: &Search<'_>) -> String {
    let missed = |candidate: usize| {
        let of = |limit: &Limit| {
            let values = (0..task.goal.weights.len()).filter_map(|workload| match limit.quantity {
                Quantity::Memory => task.space.memory_bytes(&search.candidates()[candidate]).map(|bytes| bytes as f64),
                Quantity::Metric(_) => search.typical(candidate, workload, limit.quantity),
            });
            let worst = values.map(|value| (limit.excess(value), value)).max_by(|a, b| a.0.total_cmp(&b.0));
            worst.map_or((f64::INFINITY, *limit, None), |(excess, value)| (excess, *limit, Some(value)))
        };
        let all: Vec<_> = task.goal.limits.iter().map(of).collect();
        let most = all.iter().map(|(excess, ..)| *excess).fold(f64::NEG_INFINITY, f64::max);
        (most, all)
    };
    let standings = search.standings();
    let fitting = standings.iter().filter(|standing| standing.fits).map(|standing| standing.candidate);
    let nearest = fitting.map(|candidate| (missed(candidate), candidate)).min_by(|a, b| a.0.0.total_cmp(&b.0.0));
    let Some(((_, limits), candidate)) = nearest else { return "no setting fits the memory".to_owned() };
    let described = task.space.described(&search.candidates()[candidate]);
    let over: Vec<String> = limits
        .iter()
        .filter(|(excess, ..)| *excess > 0.0)
        .map(|(_, limit, value)| match value {
            Some(value) => {
                format!("{}: it has {}", limit.described(), crate::result::with_unit(*value, limit.quantity.unit()))
            }
            None => format!("{}: too few events to tell", limit.described()),
        })
        .collect();
    if over.is_empty() {
        return format!("the nearest is #{candidate}, {described}, which keeps them in some trials and not in others");
    }
    format!("the nearest is #{candidate}, {described}, which misses {}", over.join("; "))
}

/// The plan of the proof, and what the winners are called.
fn proof_plan(task: &Task, winners: &[Point]) -> Result<(Plan, Vec<String>), TuneError> {
    let mut plan = Plan { cells: Vec::new(), ..task.plan.clone() };
    let mut configurations = task.bases();
    let mut names = Vec::new();
    for (point, number) in winners.iter().zip(1..) {
        let mut configuration = task.space.configuration(point).map_err(TuneError::Workload)?;
        let name = if winners.len() == 1 { WINNER.to_owned() } else { format!("{WINNER}-{number}") };
        configuration.name = free_name(&name, &configurations);
        configuration.base.clone_from(&configuration.name);
        names.push(configuration.name.clone());
        configurations.push(configuration);
    }
    for variant in 0..plan.variants.len() {
        let cell = |configuration: &Configuration| Cell { variant, configuration: configuration.clone() };
        plan.cells.extend(configurations.iter().map(cell));
    }
    Ok((plan, names))
}

/// Blocks in which a winner is run beside itself without what does not help, and what that may cost.
const PLAINER_BLOCKS: u32 = 3;
const PLAINER_COST: f64 = 1.02;

/// The winner without the options that were not seen to help, where it is as good without them all: what a user would have to set and to
/// explain for nothing. None where it needs them, which single options may not show: of two that do the same, each can go alone.
fn plainer(task: &Task, lab: &mut Lab<'_>, first_block: u32, winner: &Point) -> Result<Option<Point>, TuneError> {
    let start = task.space.start_point();
    let worth = lab.notes().tuning.as_ref().map(|tuning| tuning.importance.clone()).unwrap_or_default();
    let mut point = winner.clone();
    for (place, dimension) in task.space.dimensions().iter().enumerate() {
        let helps = |one: &OptionWorth| one.key == dimension.key && one.is_clear && one.cost > 1.0;
        // What memory is worth is the goal itself, where it is one.
        let is_goal = dimension.is_memory() && task.goal.objectives.contains(&Quantity::Memory);
        if !is_goal && !worth.iter().any(helps) {
            point[place] = start[place];
        }
    }
    let Some(point) = task.space.settled(&point).filter(|point| point != winner && *point != start) else {
        return Ok(None);
    };
    if task.goal.measured().is_empty() {
        return Ok(None);
    }
    let mut differences = Vec::new();
    let mut keeps = true;
    for block in 0..PLAINER_BLOCKS {
        let points = [winner.clone(), point.clone()];
        let Some(readings) = Bench::run(lab, Stage::Importance, first_block + block, &points)? else { return Ok(None) };
        let Some(difference) = task.difference(&readings[1], &readings[0]) else { return Ok(None) };
        differences.push(difference);
        let is_calm = |reading: &Reading| reading.fits && !reading.is_slow && task.keeps_limits(reading);
        keeps &= readings[1].iter().all(is_calm);
    }
    let cost = median(&differences).map_or(f64::INFINITY, libm::exp);
    let number = lab.number(&point);
    let is_taken = keeps && cost <= PLAINER_COST;
    if let Some(tuning) = &mut lab.notes().tuning {
        tuning.plainer =
            Some(PlainerWinner { candidate: number, of: tuning.winners[0], cost, pairs: PLAINER_BLOCKS, is_taken });
        if is_taken {
            tuning.winners = vec![number];
        }
    }
    Ok(is_taken.then_some(point))
}

/// A name that no configuration has: a start may be called like the winner of the search before.
fn free_name(name: &str, taken: &[Configuration]) -> String {
    let is_free = |name: &String| !taken.iter().any(|configuration| configuration.name == *name);
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name} ({number})")));
    names.find(is_free).unwrap_or_default()
}

/// Sets each changed option of the winner back alone, and notes what that costs.
fn importance(
    task: &Task,
    lab: &mut Lab<'_>,
    first_block: u32,
    winner: &Point,
    budget: TuningBudget,
) -> Result<(), TuneError> {
    let start = task.space.start_point();
    let mut back: Vec<(usize, Point)> = Vec::new();
    for place in 0..winner.len() {
        let mut point = winner.clone();
        point[place] = start[place];
        // Of an option of which others depend, all go back.
        let Some(point) = task.space.settled(&point).filter(|point| point != winner) else { continue };
        if !back.iter().any(|(_, known)| *known == point) {
            back.push((place, point));
        }
    }
    let quantity = task.goal.measured().first().copied();
    let (Some(quantity), false) = (quantity, back.is_empty()) else { return Ok(()) };
    let points: Vec<Point> =
        std::iter::once(winner.clone()).chain(back.iter().map(|(_, point)| point.clone())).collect();
    let (begun_s, begun_trials) = (lab.used_s(), lab.trials());
    let mut pairs: Vec<Vec<f64>> = vec![Vec::new(); back.len()];
    for block in 0..MOST_BLOCKS {
        let share = f64::from(block + 1) / f64::from(block.max(1));
        let is_spent = match budget {
            TuningBudget::Seconds(seconds) => (lab.used_s() - begun_s) * share > seconds,
            TuningBudget::Trials(trials) => (lab.trials() - begun_trials) as f64 * share > f64::from(trials),
        };
        // Two blocks are the least that says anything.
        if block >= 2 && is_spent {
            break;
        }
        let Some(readings) = Bench::run(lab, Stage::Importance, first_block + block, &points)? else { return Ok(()) };
        for (pairs, other) in pairs.iter_mut().zip(&readings[1..]) {
            pairs.extend(task.difference(other, &readings[0]));
        }
    }
    let mut worth: Vec<OptionWorth> = Vec::new();
    for ((place, _), mut pairs) in back.into_iter().zip(pairs) {
        pairs.sort_unstable_by(f64::total_cmp);
        let (Some(middle), Some(least), Some(most)) = (median(&pairs), pairs.first(), pairs.last()) else { continue };
        let dimension = &task.space.dimensions()[place];
        worth.push(OptionWorth {
            key: dimension.key.clone(),
            value: dimension.levels[usize::from(winner[place])].clone(),
            back: dimension.levels[usize::from(start[place])].clone(),
            cost: libm::exp(middle),
            pairs: pairs.len() as u32,
            range: [libm::exp(*least), libm::exp(*most)],
            is_clear: *least > 0.0 || *most < 0.0,
        });
    }
    worth.sort_by(|a, b| b.cost.total_cmp(&a.cost));
    if let Some(tuning) = &mut lab.notes().tuning {
        tuning.importance = worth;
        tuning.importance_in = Some(quantity.name().to_owned());
    }
    Ok(())
}
