//! Where a search gets its readings: real trials, each noted, so that a search that was cut short goes on from its notes.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use super::TuneError;
use super::goal::{Goal, Quantity};
use super::search::{Bench, Reading, Search, Stage};
use super::space::{Point, Space};
use crate::result::{Candidate, Measurement, Outcome, RunResult, SearchTrial, Trial, TuningBudget};
use crate::run::Explorer;
use crate::workload::{Options, Plan, PrefillBy, RunWire, Time, Variant, Workload, WorkloadWire, shuffled};

/// Time between two saves.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// By how much trials of a search are shorter than those of the workload, and what they are not shortened below.
const SHORTER: u32 = 3;
const LEAST_MEASURED: Duration = Duration::from_millis(500);
const LEAST_WARM_UP: Duration = Duration::from_millis(250);
const LEAST_EVENTS: u64 = 50_000;
const LEAST_WARM_UP_EVENTS: u64 = 10_000;

/// How the trials of a workload are run at some point of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Short, from a shared prefill.
    Short,
    /// As long as the workload says, from a shared prefill.
    Whole,
    /// As the workload says.
    AsItIs,
}

/// The plan of a search: every workload in each length.
///
/// # Errors
/// None of a plan that is valid; the type is that of the check.
pub fn lengths(plan: &Plan, own_prefill: bool) -> Result<Plan, TuneError> {
    let mut all = Plan { variants: Vec::new(), cells: Vec::new(), ..plan.clone() };
    for length in [Length::Short, Length::Whole, Length::AsItIs] {
        for variant in &plan.variants {
            let mut wire = variant.wire.clone();
            if length != Length::AsItIs && !own_prefill {
                wire.run.prefill_by = PrefillBy::Ingest;
            }
            if length == Length::Short && may_be_shortened(&wire) {
                shorten(&mut wire.run);
            }
            let workload = Workload::new(&wire, &plan.folder).map_err(TuneError::Workload)?;
            all.variants.push(Variant { wire, workload, ..variant.clone() });
        }
    }
    Ok(all)
}

/// Phases, checkpoints and traces come at events of their own.
fn may_be_shortened(wire: &WorkloadWire) -> bool {
    wire.phase.is_empty()
        && wire.checkpoint.every_events.is_none()
        && (wire.run.duration.is_some() || wire.run.events.is_some())
}

fn shorten(run: &mut RunWire) {
    use crate::workload::Amount;
    let shorter = |time: Time, least: Duration| Time((time.0 / SHORTER).max(least.min(time.0)));
    run.warm_up = run.warm_up.map(|warm_up| match warm_up {
        Amount::Time(time) => Amount::Time(shorter(time, LEAST_WARM_UP)),
        Amount::Events(events) => Amount::Events((events / u64::from(SHORTER)).max(LEAST_WARM_UP_EVENTS.min(events))),
    });
    run.duration = run.duration.map(|time| shorter(time, LEAST_MEASURED));
    run.events = run.events.map(|events| (events / u64::from(SHORTER)).max(LEAST_EVENTS.min(events)));
}

/// Runs and notes the trials of a search.
pub struct Lab<'a> {
    explorer: Explorer<'a>,
    space: &'a Space,
    goal: &'a Goal,
    seed: u64,
    /// The result with the notes, and where it is saved.
    notes: RunResult,
    output: &'a Path,
    saved: Instant,
    /// What is known of the notes of a search that was cut short.
    recorded: VecDeque<SearchTrial>,
    numbers: BTreeMap<Point, usize>,
    /// What the search may take.
    pub budget: TuningBudget,
    /// Whether short trials have what the goal is about.
    pub may_be_short: bool,
    /// What it took.
    used_s: f64,
    hear: &'a dyn Fn(&Explorer<'_>, &str),
}

impl<'a> Lab<'a> {
    /// A laboratory whose notes are these; the trials that they hold are not run again.
    pub fn new(
        explorer: Explorer<'a>,
        (space, goal, seed): (&'a Space, &'a Goal, u64),
        (mut notes, output): (RunResult, &'a Path),
        budget: TuningBudget,
        hear: &'a dyn Fn(&Explorer<'_>, &str),
    ) -> Self {
        let recorded = match &mut notes.tuning {
            Some(tuning) => {
                tuning.candidates.clear();
                std::mem::take(&mut tuning.trials).into()
            }
            None => VecDeque::new(),
        };
        Self {
            explorer,
            space,
            goal,
            seed,
            notes,
            output,
            saved: Instant::now(),
            recorded,
            numbers: BTreeMap::new(),
            budget,
            may_be_short: true,
            used_s: 0.0,
            hear,
        }
    }

    /// The notes.
    pub fn into_notes(self) -> RunResult {
        self.notes
    }

    /// The notes so far.
    pub fn notes(&mut self) -> &mut RunResult {
        &mut self.notes
    }

    /// Time of all trials, s.
    pub fn used_s(&self) -> f64 {
        self.used_s
    }

    /// Trials so far.
    pub fn trials(&self) -> usize {
        self.notes.tuning.as_ref().map_or(0, |tuning| tuning.trials.len())
    }

    /// Whether the user stopped it.
    pub fn is_interrupted(&self) -> bool {
        self.explorer.is_interrupted()
    }

    /// Saves the notes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&mut self) -> Result<(), TuneError> {
        if let Some(tuning) = &mut self.notes.tuning {
            tuning.took_s = self.used_s;
        }
        self.saved = Instant::now();
        self.notes.save(self.output).map_err(|error| TuneError::Save(self.output.to_owned(), error))
    }

    /// The number of a setting, which is noted where it is new.
    pub fn number(&mut self, point: &Point) -> usize {
        if let Some(number) = self.numbers.get(point) {
            return *number;
        }
        let number = self.numbers.len();
        self.numbers.insert(point.clone(), number);
        let candidate = Candidate {
            point: point.clone(),
            changes: self.space.changes(point),
            described: self.space.described(point),
            memory_budget_bytes: self.space.memory_bytes(point),
        };
        if let Some(tuning) = &mut self.notes.tuning {
            tuning.candidates.push(candidate);
        }
        number
    }

    /// One trial: of the notes, as long as there are some, else a real one. None where it was stopped.
    ///
    /// # Errors
    /// The notes are those of another search, or the trial cannot be run.
    pub fn trial(
        &mut self,
        (stage, length): (Stage, Length),
        block: u32,
        point: &Point,
        workload: usize,
    ) -> Result<Option<Reading>, TuneError> {
        let candidate = self.number(point);
        let noted = match self.recorded.pop_front() {
            Some(noted) => {
                let found = (noted.candidate, noted.workload, noted.block, noted.stage.as_str());
                if found != (candidate, workload, block, stage.name()) {
                    return Err(TuneError::OtherSearch);
                }
                noted
            }
            None => match self.run_trial((stage, length), block, point, (candidate, workload))? {
                Some(noted) => noted,
                None => return Ok(None),
            },
        };
        self.used_s += noted.took_s;
        let measured = self.goal.measured();
        let reading = Reading {
            values: measured.iter().map(|quantity| noted.metrics.get(quantity.name()).copied()).collect(),
            is_slow: noted.is_slow,
            fits: noted.fits,
        };
        if let Some(tuning) = &mut self.notes.tuning {
            tuning.trials.push(noted);
        }
        Ok(Some(reading))
    }

    fn run_trial(
        &mut self,
        (stage, length): (Stage, Length),
        block: u32,
        point: &Point,
        (candidate, workload): (usize, usize),
    ) -> Result<Option<SearchTrial>, TuneError> {
        let mut configuration = self.space.configuration(point).map_err(TuneError::Workload)?;
        configuration.name = format!("#{candidate}");
        let variant = length as usize * self.goal.weights.len() + workload;
        let trial = self.explorer.run(variant, &configuration, block)?;
        if let Some(difference) = self.explorer.differences().into_iter().next() {
            return Err(TuneError::Differing(difference));
        }
        let noted = SearchTrial {
            candidate,
            workload,
            block,
            stage: stage.name().to_owned(),
            metrics: BTreeMap::new(),
            is_slow: false,
            fits: true,
            took_s: trial.run.took_s.unwrap_or(0.0),
        };
        Ok(match trial {
            Trial { outcome: Outcome::Finished(measurement), .. } => {
                let metrics = metrics(self.goal, &measurement);
                let fits = fits_budget(&configuration.options, &measurement);
                Some(SearchTrial { metrics, is_slow: measurement.is_slow(), fits, ..noted })
            }
            Trial { outcome: Outcome::OutOfMemory(_), .. } => Some(SearchTrial { fits: false, ..noted }),
            Trial { outcome: Outcome::Interrupted, .. } => None,
            // Another setting may do where this one does not; without the start there is nothing to compare with.
            Trial { outcome: Outcome::Failed { .. }, .. } if self.explorer.is_interrupted() => None,
            Trial { outcome: Outcome::Failed { environment: false, .. }, .. } if candidate > 0 => {
                Some(SearchTrial { fits: false, ..noted })
            }
            Trial { outcome: Outcome::Failed { reason, environment }, .. } => {
                let described = self.space.described(point);
                return Err(TuneError::Trial { described, reason, environment });
            }
        })
    }
}

/// Whether the objects of a state on the heap fit the heap of the tasks, which is its budget: a Java heap has room beside it for the
/// framework, and a job that takes that too collects garbage most of the time.
fn fits_budget(options: &Options, measurement: &Measurement) -> bool {
    let Some(heap) = &measurement.heap else { return true };
    let slots = u64::from(options.task_slots).saturating_mul(u64::from(heap.task_managers));
    options.memory_budget_bytes().is_none_or(|bytes| heap.jvm_live_bytes <= bytes.saturating_mul(slots))
}

/// The metrics of a trial that a goal needs.
fn metrics(goal: &Goal, measurement: &Measurement) -> BTreeMap<String, f64> {
    let value = |quantity: Quantity| match quantity {
        Quantity::Metric(metric) => Some((metric.name.to_owned(), (metric.get)(measurement)?)),
        Quantity::Memory => None,
    };
    goal.measured().into_iter().filter_map(value).collect()
}

impl Bench for Lab<'_> {
    type Error = TuneError;

    fn run(&mut self, stage: Stage, block: u32, points: &[Point]) -> Result<Option<Vec<Vec<Reading>>>, TuneError> {
        let workloads = self.goal.weights.len();
        // Numbers are given in the order in which the search does, not in that in which they run.
        for point in points {
            self.number(point);
        }
        let mut readings = vec![vec![None; workloads]; points.len()];
        let length = if stage == Stage::Finals || !self.may_be_short { Length::Whole } else { Length::Short };
        for index in shuffled(self.seed, block, points.len() * workloads) {
            let (place, workload) = (index / workloads, index % workloads);
            let Some(reading) = self.trial((stage, length), block, &points[place], workload)? else {
                self.save()?;
                return Ok(None);
            };
            readings[place][workload] = Some(reading);
        }
        if self.recorded.is_empty() && self.saved.elapsed() >= SAVE_EVERY {
            self.save()?;
        }
        Ok(readings.into_iter().map(|readings| readings.into_iter().collect::<Option<Vec<_>>>()).collect())
    }

    fn spent_with(&self, settings: usize) -> f64 {
        let trials = settings * self.goal.weights.len();
        match self.budget {
            TuningBudget::Seconds(seconds) => {
                let each = self.used_s / self.trials().max(1) as f64;
                (self.used_s + trials as f64 * each) / seconds
            }
            TuningBudget::Trials(all) => (self.trials() + trials) as f64 / f64::from(all),
        }
    }

    fn hear(&mut self, search: &Search<'_>) {
        if !self.recorded.is_empty() {
            return;
        }
        let done = 100.0 * self.spent_with(0).min(1.0);
        let best = search.best();
        let told = match best {
            None => "none keeps the limits yet".to_owned(),
            Some(best) => {
                let described = self.space.described(&search.candidates()[best]);
                format!("best so far #{best}: {described}{}", told_gain(search, self.goal, best))
            }
        };
        let line = format!(
            "{done:3.0} % of the search, {} trials of {} settings: {told}",
            self.trials(),
            search.candidates().len()
        );
        (self.hear)(&self.explorer, &line);
    }
}

/// What a setting is expected to gain over the start, in words.
fn told_gain(search: &Search<'_>, goal: &Goal, candidate: usize) -> String {
    let standings = search.standings();
    let Some(standing) = standings.iter().find(|standing| standing.candidate == candidate) else {
        return String::new();
    };
    let of = |(objective, belief): (&Quantity, &super::surrogate::Belief)| {
        let change = 100.0
            * match objective.better() {
                crate::result::Better::Higher => (-belief.mean).exp_m1(),
                crate::result::Better::Lower => belief.mean.exp_m1(),
            };
        format!("{} {change:+.0} %", objective.label())
    };
    let gains: Vec<String> = goal.objectives.iter().zip(&standing.cost).map(of).collect();
    if candidate == 0 { String::new() } else { format!(" ({}, as the model has it)", gains.join(", ")) }
}
