//! Interleaved pairs: configurations, or programs, run in turn until every judged metric has a verdict.
//!
//! In each block every arm runs once, in random order and with the same events; the looks at the pairs so far are planned
//! beforehand and share the probability of a false alarm. What was found is a [`Comparison`] like any other, which the result
//! file leads to again: it keeps the looks that were made.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::compare::{CompareError, Comparison, Group, MetricComparison, Observations, Parameters, compare};
use crate::result::{Contrast, Interleaved, RunResult, Stop};
use crate::run::{Arm, Interleaver, OtherProgram, RunError, RunOptions, RunWith};
use crate::statistics::{LOOKS, planned_looks};
use crate::workload::{Cell, Plan};

/// The most pairs of a run.
pub const MOST_PAIRS: u32 = 1_000;

/// What is run in turn, and what is compared with what.
#[derive(Debug, Clone, PartialEq)]
pub struct Arms {
    arms: Vec<Arm>,
    contrasts: Vec<Contrast>,
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Until {
    /// When all is decided, or its last look is made.
    Decided {
        /// No more pairs than these; as many as the planned looks have where it is not set.
        most_pairs: Option<u32>,
        /// Whether one regression is enough.
        fail_fast: bool,
    },
    /// After so many pairs, which are looked at once.
    Pairs(u32),
}

/// How arms are run and compared.
#[derive(Debug, Clone, PartialEq)]
pub struct AbOptions {
    /// What is judged, and how.
    pub parameters: Parameters,
    /// Time that the run may take: no block is begun that would not fit.
    pub budget: Option<Duration>,
    /// When it ends.
    pub until: Until,
    /// The repeat whose events the first pair has: another one than 0 where its trials are to have events that were not seen.
    pub first_repeat: u32,
}

/// Why arms cannot be run or compared.
#[derive(Debug, thiserror::Error)]
pub enum AbError {
    /// They cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// They cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
}

impl Arms {
    /// Every configuration of a plan, the first one compared with each other.
    ///
    /// # Errors
    /// There is but one.
    pub fn of_configurations(plan: &Plan) -> Result<Self, CompareError> {
        let plain = [RunWith { is_paired: true, ..RunWith::default() }];
        let names = names(plan);
        let [base, candidates @ ..] = names.as_slice() else { return Err(nothing_to_compare(&names)) };
        if candidates.is_empty() {
            return Err(nothing_to_compare(&names));
        }
        let contrast = |candidate: &String| Contrast { base: base.clone(), candidate: candidate.clone() };
        Self::new(plan, &plain, candidates.iter().map(contrast).collect())
    }

    /// Every configuration of a plan, each of the others compared with these candidates.
    ///
    /// # Errors
    /// A name that the result would have twice.
    pub fn of_candidates(plan: &Plan, candidates: &[String]) -> Result<Self, CompareError> {
        let plain = [RunWith { is_paired: true, ..RunWith::default() }];
        let bases: Vec<_> = names(plan).into_iter().filter(|name| !candidates.contains(name)).collect();
        let against = |candidate: &String| {
            let of = |base: &String| Contrast { base: base.clone(), candidate: candidate.clone() };
            bases.iter().map(of).collect::<Vec<_>>()
        };
        Self::new(plan, &plain, candidates.iter().flat_map(against).collect())
    }

    /// Every configuration of a plan as two programs run it: this one where the base is not named.
    ///
    /// # Errors
    /// A name that the result would have twice.
    pub fn of_programs(plan: &Plan, base: Option<OtherProgram>, candidate: OtherProgram) -> Result<Self, CompareError> {
        let side = |label: &str, program| RunWith {
            label: Some(format!("binary={label}")),
            program,
            is_paired: true,
            ..RunWith::default()
        };
        Self::of_sides(plan, &[side("base", base), side("candidate", Some(candidate))])
    }

    /// Every configuration of a plan as it is and slowed down on purpose by each of these, in percent.
    ///
    /// # Errors
    /// A name that the result would have twice.
    pub fn of_handicaps(plan: &Plan, percents: &[f64]) -> Result<Self, CompareError> {
        let slowed = percents.iter().map(|percent| RunWith { is_paired: true, ..RunWith::handicap(*percent) });
        let plain = RunWith { is_paired: true, ..RunWith::default() };
        let sides: Vec<_> = std::iter::once(plain).chain(slowed).collect();
        Self::of_sides(plan, &sides)
    }

    /// Every configuration of a plan and itself, to see what noise there is.
    ///
    /// # Errors
    /// A name that the result would have twice.
    pub fn of_nothing_changed(plan: &Plan) -> Result<Self, CompareError> {
        let plain = RunWith { is_paired: true, ..RunWith::default() };
        let again = RunWith { label: Some("again".to_owned()), ..plain.clone() };
        Self::of_sides(plan, &[plain, again])
    }

    /// Every configuration on each of these sides, the first of which is the base.
    fn of_sides(plan: &Plan, sides: &[RunWith]) -> Result<Self, CompareError> {
        let mut contrasts = Vec::new();
        for name in names(plan) {
            let of_side = |side: &RunWith| Contrast { base: sides[0].name(&name), candidate: side.name(&name) };
            contrasts.extend(sides.iter().skip(1).map(of_side));
        }
        Self::new(plan, sides, contrasts)
    }

    fn new(plan: &Plan, sides: &[RunWith], contrasts: Vec<Contrast>) -> Result<Self, CompareError> {
        let mut known = BTreeSet::new();
        let mut arms = Vec::new();
        for (cell, place) in plan.cells.iter().zip(0..) {
            for with in sides {
                let name = with.name(&cell.configuration.name);
                if !known.insert((cell.variant, name.clone())) {
                    return Err(CompareError::Input(format!("two arms of the name `{name}`: a configuration has it")));
                }
                arms.push(Arm { cell: place, with: with.clone() });
            }
        }
        Ok(Self { arms, contrasts })
    }

    /// How many trials a block has.
    pub fn len(&self) -> usize {
        self.arms.len()
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.arms.is_empty()
    }
}

/// The configurations of a plan, each once.
fn names(plan: &Plan) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for Cell { configuration, .. } in &plan.cells {
        if !names.contains(&configuration.name) {
            names.push(configuration.name.clone());
        }
    }
    names
}

fn nothing_to_compare(names: &[String]) -> CompareError {
    let has = names.first().map_or("none", String::as_str);
    CompareError::Input(format!(
        "one configuration, {has}: name two or more with --configuration, or a second statebench with --binary"
    ))
}

/// Runs arms in blocks until the end that the options name. What goes on is told to `hear`, a line at a time.
///
/// # Errors
/// The state folder or the output cannot be written, no process can be started, or there is nothing to judge.
pub fn run_arms(
    (plan, arms): (&Plan, &Arms),
    run_options: &RunOptions,
    options: &AbOptions,
    hear: &dyn Fn(&Interleaver<'_>, &str),
) -> Result<RunResult, AbError> {
    let begun = Instant::now();
    let most = match options.until {
        Until::Decided { most_pairs, .. } => most_pairs.unwrap_or(MOST_PAIRS).min(MOST_PAIRS),
        Until::Pairs(pairs) => pairs,
    };
    let mut blocks = Interleaver::new(plan, &arms.arms, run_options, most)?.starting_at(options.first_repeat);
    let mut progress = Progress { most, planned: Vec::new(), decided: BTreeSet::new() };
    let mut interleaved = Interleaved {
        contrasts: arms.contrasts.clone(),
        planned_looks: if matches!(options.until, Until::Pairs(_)) { 1 } else { LOOKS },
        looks: Vec::new(),
        stopped: None,
        budget_s: options.budget.map(|budget| budget.as_secs_f64()),
        took_s: 0.0,
    };
    blocks.note(interleaved.clone());
    for block in 0..most {
        let is_wanted = |arm: &Arm| !progress.is_decided(&arms.contrasts, plan, arm);
        if !blocks.run_block(block, is_wanted)? {
            break;
        }
        if !blocks.result().all_agree() {
            break; // what computes something else need not be timed
        }
        let pairs = block + 1;
        interleaved.took_s = begun.elapsed().as_secs_f64();
        if pairs == 1 {
            progress.plan_looks(&Observations::of(blocks.result())?, options)?;
        }
        let per_block_s = interleaved.took_s / f64::from(pairs);
        let is_spent = interleaved.budget_s.is_some_and(|budget_s| interleaved.took_s + per_block_s > budget_s);
        let is_last = pairs >= progress.most;
        if !(is_last || is_spent || progress.planned.contains(&pairs)) {
            continue;
        }
        interleaved.looks.push(pairs);
        interleaved.stopped = is_last.then_some(Stop::Pairs).or(is_spent.then_some(Stop::Budget));
        blocks.note(interleaved.clone());
        if let Until::Decided { fail_fast, .. } = options.until {
            let comparison = found(blocks.result(), options)?;
            if interleaved.looks.len() == 1 && interleaved.stopped.is_none() {
                let affordable =
                    interleaved.budget_s.map_or(f64::INFINITY, |budget_s| budget_s / per_block_s.max(1e-9));
                let reach = progress.most.min(affordable as u32);
                pilot(&comparison, reach).iter().for_each(|line| hear(&blocks, line));
            }
            progress.note(&comparison);
            if !comparison.groups.iter().any(Group::is_open) {
                interleaved.stopped = Some(Stop::Decided);
            } else if fail_fast && comparison.counts.regressed > 0 {
                interleaved.stopped = Some(Stop::Regressed);
            }
            blocks.note(interleaved.clone());
        }
        if interleaved.stopped.is_some() {
            break;
        }
    }
    interleaved.took_s = begun.elapsed().as_secs_f64();
    blocks.note(interleaved);
    Ok(blocks.finish()?)
}

/// What a run has found, by the looks that it made.
///
/// # Errors
/// There is nothing to compare.
pub fn found(result: &RunResult, options: &AbOptions) -> Result<Comparison, CompareError> {
    let observations = Observations::of(result)?;
    compare(&observations, &observations, &options.parameters)
}

/// What a run knows of its pairs.
struct Progress {
    /// Pairs at which it ends at the latest.
    most: u32,
    /// Pairs at which it looks.
    planned: Vec<u32>,
    /// The contrasts that are decided: workload, base and candidate.
    decided: BTreeSet<(String, String, String)>,
}

impl Progress {
    /// Plans the looks by the metrics of the first pair.
    fn plan_looks(&mut self, observations: &Observations, options: &AbOptions) -> Result<(), CompareError> {
        let Until::Decided { .. } = options.until else { return Ok(()) };
        let comparison = compare(observations, observations, &options.parameters)?;
        if comparison.tests == 0 {
            let message = "no judged metric is in both trials of the first pair: the trials are too short, or --metric \
                           names what they do not have";
            return Err(CompareError::Input(message.to_owned()));
        }
        self.planned = planned_looks(options.parameters.alpha / comparison.tests as f64, LOOKS);
        self.most = self.most.min(self.planned.last().copied().unwrap_or(self.most));
        Ok(())
    }

    /// Notes which contrasts need no more pairs.
    fn note(&mut self, comparison: &Comparison) {
        let decided = comparison.groups.iter().filter(|group| !group.is_open()).map(|group| {
            (group.workload.clone(), group.base_configuration.clone(), group.candidate_configuration.clone())
        });
        self.decided.extend(decided);
    }

    /// Whether every contrast that an arm is part of is decided.
    fn is_decided(&self, contrasts: &[Contrast], plan: &Plan, arm: &Arm) -> bool {
        let cell = &plan.cells[arm.cell];
        let (workload, name) = (&plan.variants[cell.variant].label, arm.with.name(&cell.configuration.name));
        let is_own = |contrast: &&Contrast| contrast.base == name || contrast.candidate == name;
        let is_open = |contrast: &Contrast| {
            let Contrast { base, candidate } = contrast.clone();
            !self.decided.contains(&(workload.clone(), base, candidate))
        };
        !self.decided.is_empty() && !contrasts.iter().filter(is_own).any(is_open)
    }
}

/// What the noise of the first look is too large for: metrics in which, in as many pairs as there will be, a change of the
/// threshold is not found with probability 0.95.
fn pilot(comparison: &Comparison, pairs: u32) -> Vec<String> {
    let mut warnings = Vec::new();
    for group in &comparison.groups {
        for metric in group.metrics.iter().filter(|metric| metric.is_open()) {
            let visible = visible_percent(metric, pairs, comparison.test_alpha);
            let (Some(visible), Some(threshold), Some(noise)) =
                (visible, metric.threshold_percent, metric.noise_percent)
            else {
                continue;
            };
            if visible > threshold {
                let place =
                    format!("{} {} → {}", group.workload, group.base_configuration, group.candidate_configuration);
                warnings.push(format!(
                    "noisy: {}: {}: {noise:.1} % from pair to pair: in {pairs} pairs a change of {visible:.1} % or more can be \
                     seen, the threshold is {threshold} %",
                    place.trim_start(),
                    metric.metric
                ));
            }
        }
    }
    warnings
}

/// The smallest change of a metric that is found with probability 0.95 in so many pairs at a level, in percent.
fn visible_percent(metric: &MetricComparison, pairs: u32, alpha: f64) -> Option<f64> {
    let deviation = (metric.noise_percent? / 100.0).ln_1p();
    Some(100.0 * crate::statistics::detectable_in(pairs, deviation, alpha).exp_m1())
}
