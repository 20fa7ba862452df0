//! The search: blocks of trials, each with the best setting so far among them, in which what is not good is dropped.
//!
//! It goes through three stages. First settings are drawn that show every value of every option about equally often. Then a model of
//! all trials so far ([`Surrogate`]) proposes what is likely to be better than the best. Last the best few are run against each
//! other, block after block, and the worse half of them is dropped in between. Every block is run in random order with the
//! same events, so what drifts meets all alike. What comes out is a suspicion: only trials that were not part of the search can prove
//! it, since the best of many noisy figures is too good.

use std::collections::{BTreeMap, BTreeSet};

use super::goal::{Goal, Quantity};
use super::space::{Point, Space};
use super::surrogate::{Belief, Observation, Surrogate};
use crate::statistics::median;
use crate::workload::{Rng, Stream};

/// What one trial read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The metrics that the goal needs, in its order; none where the trial does not have one.
    pub values: Vec<Option<f64>>,
    /// Whether the trial was in the slow regime, in which an index block falls out of the cache.
    pub is_slow: bool,
    /// Whether the state fit the memory.
    pub fits: bool,
}

/// What a block is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// To see every value of every option.
    Design,
    /// To try what a model proposes.
    Model,
    /// To tell the best few apart.
    Finals,
    /// To see what each option of the winner is worth.
    Importance,
}

impl Stage {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Design => "design",
            Self::Model => "model",
            Self::Finals => "finals",
            Self::Importance => "importance",
        }
    }
}

/// Where readings come from.
pub trait Bench {
    /// Why there are none.
    type Error;

    /// Runs each of these once in every workload, in random order and with the same events; none where it was stopped. Readings are
    /// by setting, then by workload.
    ///
    /// # Errors
    /// What keeps trials from being run.
    fn run(&mut self, stage: Stage, block: u32, points: &[Point]) -> Result<Option<Vec<Vec<Reading>>>, Self::Error>;

    /// The share of the budget that is spent once so many settings more have been run.
    fn spent_with(&self, settings: usize) -> f64;

    /// Hears how it goes, after each block.
    fn hear(&mut self, _: &Search<'_>) {}
}

/// The shares of the budget up to which settings are drawn, and proposed.
const DESIGN_UP_TO: f64 = 0.3;
const MODEL_UP_TO: f64 = 0.72;
/// Settings of a block beside the best so far.
const WIDTH: usize = 5;
/// Settings that reach the finals, and blocks of their rounds, after each of which the worse half is dropped.
const FINALISTS: usize = 8;
const ROUNDS: [u32; 3] = [2, 3, 6];
/// A setting that is so likely to keep the limits counts as one that does.
const LIKELY: f64 = 0.75;
/// One that is as likely may be tried in the finals.
const MAYBE: f64 = 0.2;
/// What costs more than the best by this, in logarithms, is bad, and how bad does not matter.
const BAD: f64 = 1.6;
/// By how much a limit is taken to be missed where a trial was too slow to have the metric.
const MISSED: f64 = 2.0;
/// What memory counts as that no budget bounds.
const UNBOUNDED_BYTES: f64 = 1e18;
/// Trials that a model is fitted to at most.
const MOST_OBSERVATIONS: usize = 300;
/// Settings that a model is asked of where there are more.
const POOL: usize = 1_500;

/// One setting with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Its number: 0 is the start.
    pub candidate: usize,
    /// Blocks that it was run in.
    pub blocks: u32,
    /// By how much it costs more than the start, in logarithms, for each objective.
    pub cost: Vec<Belief>,
    /// How likely it is to keep every limit, 0 to 1.
    pub keeps_limits: f64,
    /// Whether some of its trials were in the slow regime and others were not.
    pub is_bimodal: bool,
    /// Whether its state fits the memory.
    pub fits: bool,
}

impl Standing {
    /// What it costs more than the start in all objectives together, in logarithms.
    pub fn total_cost(&self) -> f64 {
        self.cost.iter().map(|belief| belief.mean).sum()
    }

    /// Whether it may be chosen.
    pub fn is_eligible(&self) -> bool {
        self.fits && !self.is_bimodal && self.keeps_limits >= LIKELY
    }
}

/// A block of trials that were run.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    candidate: usize,
    block: u32,
    readings: Vec<Reading>,
}

/// A search with what it has seen.
pub struct Search<'a> {
    space: &'a Space,
    goal: &'a Goal,
    rng: Rng,
    candidates: Vec<Point>,
    numbers: BTreeMap<Point, usize>,
    entries: Vec<Entry>,
    blocks: u32,
    /// What the trials so far say, fitted once after each block, and what that makes of the settings that were tried.
    models: Models,
    known: Vec<Standing>,
    /// The settings that came to the finals, the best first, and those of them that keep the limits.
    finalists: Vec<usize>,
    eligible_finalists: Vec<usize>,
    has_finals: bool,
}

impl<'a> Search<'a> {
    /// A search that has seen nothing.
    pub fn new(space: &'a Space, goal: &'a Goal, seed: u64) -> Self {
        let rng = Rng::for_block(seed, Stream::Order, u64::from(u32::MAX));
        let mut search = Self {
            space,
            goal,
            rng,
            candidates: Vec::new(),
            numbers: BTreeMap::new(),
            entries: Vec::new(),
            blocks: 0,
            models: Models::unfitted(goal),
            known: Vec::new(),
            finalists: Vec::new(),
            eligible_finalists: Vec::new(),
            has_finals: false,
        };
        search.number(&space.start_point());
        search
    }

    /// The settings that were tried, by number.
    pub fn candidates(&self) -> &[Point] {
        &self.candidates
    }

    /// Blocks so far.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Runs the search until the budget is spent; false where it was stopped before.
    ///
    /// # Errors
    /// What keeps trials from being run.
    pub fn run<B: Bench>(&mut self, bench: &mut B) -> Result<bool, B::Error> {
        let mut design = Design::new(self.space);
        while bench.spent_with(0) < DESIGN_UP_TO {
            let drawn = design.draw(self, WIDTH);
            if drawn.is_empty() {
                break; // there are no more
            }
            if !self.block(bench, Stage::Design, drawn)? {
                return Ok(false);
            }
        }
        while bench.spent_with(0) < MODEL_UP_TO {
            let proposed = self.propose(WIDTH);
            if proposed.is_empty() {
                break;
            }
            if !self.block(bench, Stage::Model, proposed)? {
                return Ok(false);
            }
        }
        self.finals(bench)
    }

    /// Runs a block of the best so far and these.
    fn block<B: Bench>(&mut self, bench: &mut B, stage: Stage, mut points: Vec<Point>) -> Result<bool, B::Error> {
        let best = self.candidates[self.best().unwrap_or(0)].clone();
        points.retain(|point| *point != best);
        points.insert(0, best);
        self.run_block(bench, stage, &points)
    }

    fn run_block<B: Bench>(&mut self, bench: &mut B, stage: Stage, points: &[Point]) -> Result<bool, B::Error> {
        let block = self.blocks;
        let Some(readings) = bench.run(stage, block, points)? else { return Ok(false) };
        for (point, readings) in points.iter().zip(readings) {
            let candidate = self.number(point);
            self.entries.push(Entry { candidate, block, readings });
        }
        self.blocks += 1;
        self.learn();
        bench.hear(self);
        Ok(true)
    }

    /// The number of a setting, which gets one if it has none.
    fn number(&mut self, point: &Point) -> usize {
        let next = self.candidates.len();
        let number = *self.numbers.entry(point.clone()).or_insert(next);
        if number == next {
            self.candidates.push(point.clone());
        }
        number
    }

    /// Runs the best few against each other, with fewer of them from round to round. From here on a setting is judged by its own
    /// trials in blocks that all of them were in, and no longer by what a model makes of others.
    fn finals<B: Bench>(&mut self, bench: &mut B) -> Result<bool, B::Error> {
        self.finalists = self.contenders();
        let first_block = self.blocks;
        let mut left = self.finalists.len();
        for blocks in ROUNDS.into_iter().chain(std::iter::repeat(ROUNDS[ROUNDS.len() - 1])) {
            if self.finalists.is_empty() {
                return Ok(true);
            }
            for _ in 0..blocks {
                let of = |candidate: &usize| self.candidates[*candidate].clone();
                let points: Vec<_> = self.finalists.iter().take(left).map(of).collect();
                if bench.spent_with(points.len()) > 1.0 {
                    return Ok(true);
                }
                if !self.run_block(bench, Stage::Finals, &points)? {
                    return Ok(false);
                }
                self.rank_finalists(first_block);
                self.has_finals = true;
            }
            // Two are left at least: what one more trial can tell is which of them. Those that are out may come back where others fall
            // behind them. Of several objectives all are wanted.
            if self.goal.objectives.len() == 1 {
                left = left.div_ceil(2).max(2);
            }
        }
        Ok(true)
    }

    /// Settings for the finals: the best by the model, and of those that may or may not keep the limits some that would be better.
    fn contenders(&self) -> Vec<usize> {
        let mut contenders = self.leaders(FINALISTS);
        if self.goal.limits.is_empty() || self.goal.objectives.len() > 1 {
            return contenders;
        }
        let is_open = |standing: &&Standing| {
            standing.fits && !standing.is_bimodal && (MAYBE..LIKELY).contains(&standing.keeps_limits)
        };
        let mut open: Vec<&Standing> = self.known.iter().filter(is_open).collect();
        open.sort_by(|a, b| Self::order(a, b));
        let half = if contenders.is_empty() { FINALISTS } else { FINALISTS / 2 };
        contenders.truncate(FINALISTS - open.len().min(half));
        contenders.extend(open.iter().take(half).map(|standing| standing.candidate));
        contenders
    }

    /// Puts finalists in order by their own trials in the blocks of the finals, those that keep the limits first.
    fn rank_finalists(&mut self, first_block: u32) {
        let of =
            |candidate: usize| self.entries.iter().filter(move |e| e.candidate == candidate && e.block >= first_block);
        let score = |candidate: usize| {
            let costs = self.goal.objectives.iter().map(|objective| match objective {
                Quantity::Memory => {
                    self.space.memory_bytes(&self.candidates[candidate]).map(|b| objective.cost(b as f64))
                }
                Quantity::Metric(_) => {
                    let start = self.start_costs(*objective);
                    let own: Vec<f64> =
                        of(candidate).filter_map(|entry| self.cost(entry, *objective, &start)).collect();
                    median(&own)
                }
            });
            let cost = costs.map(|cost| cost.unwrap_or(f64::INFINITY)).sum::<f64>();
            let misses = (0..self.goal.limits.len()).any(|limit| self.misses(candidate, limit, first_block));
            let fits = of(candidate).flat_map(|entry| &entry.readings).all(|reading| reading.fits);
            (misses || !fits || self.is_bimodal(candidate), cost)
        };
        let mut scored: Vec<((bool, f64), usize)> = self.finalists.iter().map(|&one| (score(one), one)).collect();
        // Of several objectives each finalist stands for itself.
        if self.goal.objectives.len() == 1 {
            scored.sort_by(|(a, _), (b, _)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        }
        self.eligible_finalists = scored.iter().filter(|((misses, _), _)| !misses).map(|(_, one)| *one).collect();
        self.finalists = scored.into_iter().map(|(_, one)| one).collect();
    }

    /// Whether a setting misses a limit in more than a quarter of its trials from a block on: the proof will not look at the median alone.
    fn misses(&self, candidate: usize, limit: usize, first_block: u32) -> bool {
        let limit = self.goal.limits[limit];
        let Some(place) = self.goal.place(limit.quantity) else {
            let bytes = self.space.memory_bytes(&self.candidates[candidate]);
            return !bytes.is_some_and(|bytes| limit.is_kept(bytes as f64));
        };
        let own = self.entries.iter().filter(|entry| entry.candidate == candidate && entry.block >= first_block);
        let excess = |entry: &Entry| {
            let of = |reading: &Reading| reading.values[place].map_or(MISSED, |value| limit.excess(value));
            entry.readings.iter().map(of).fold(f64::NEG_INFINITY, f64::max)
        };
        let excesses: Vec<f64> = own.map(excess).collect();
        4 * excesses.iter().filter(|excess| **excess > 0.0).count() > excesses.len()
    }

    /// Whether some trials of a setting are in the slow regime and others of the same workload are not.
    fn is_bimodal(&self, candidate: usize) -> bool {
        let own = || self.entries.iter().filter(move |entry| entry.candidate == candidate);
        let in_workload = |workload: usize| {
            let slow: Vec<bool> = own().filter_map(|entry| Some(entry.readings.get(workload)?.is_slow)).collect();
            slow.contains(&true) && slow.contains(&false)
        };
        (0..self.goal.weights.len()).any(in_workload)
    }

    /// The settings that may be chosen, the best first: of several objectives those that no other one is better in all of.
    fn leaders(&self, most: usize) -> Vec<usize> {
        let mut eligible: Vec<&Standing> = self.known.iter().filter(|standing| standing.is_eligible()).collect();
        if self.goal.objectives.len() > 1 {
            let front = front(&eligible);
            eligible.retain(|standing| front.contains(&standing.candidate));
        }
        eligible.sort_by(|a, b| Self::order(a, b));
        eligible.truncate(most);
        eligible.iter().map(|standing| standing.candidate).collect()
    }

    /// Less cost first, then what keeps the limits for sure.
    fn order(a: &Standing, b: &Standing) -> std::cmp::Ordering {
        a.total_cost().total_cmp(&b.total_cost()).then(b.keeps_limits.total_cmp(&a.keeps_limits))
    }

    /// The best setting so far: by its own trials once there are finals, by the model before. None where none keeps the limits.
    pub fn best(&self) -> Option<usize> {
        if self.has_finals { self.eligible_finalists.first().copied() } else { self.leaders(1).first().copied() }
    }

    /// The settings that no other one is better in every objective of.
    pub fn front(&self) -> Vec<usize> {
        self.leaders(usize::MAX)
    }

    /// What is known of every setting that was tried.
    pub fn standings(&self) -> &[Standing] {
        &self.known
    }

    /// Fits the models to the trials so far.
    fn learn(&mut self) {
        self.models = Models::of(self);
        let tried: BTreeSet<usize> = self.entries.iter().map(|entry| entry.candidate).collect();
        self.known = tried.into_iter().map(|candidate| self.standing(candidate)).collect();
    }

    fn standing(&self, candidate: usize) -> Standing {
        let point = &self.candidates[candidate];
        let own: Vec<&Entry> = self.entries.iter().filter(|entry| entry.candidate == candidate).collect();
        Standing {
            candidate,
            blocks: own.len() as u32,
            cost: (0..self.goal.objectives.len()).map(|objective| self.models.gain(self, objective, point)).collect(),
            keeps_limits: self.models.keeps_limits(self, point),
            is_bimodal: self.is_bimodal(candidate),
            fits: own.iter().flat_map(|entry| &entry.readings).all(|reading| reading.fits),
        }
    }

    /// The median of a measured quantity over the trials of a setting in a workload; none where no trial has it.
    pub fn typical(&self, candidate: usize, workload: usize, quantity: Quantity) -> Option<f64> {
        let place = self.goal.place(quantity)?;
        let own = self.entries.iter().filter(|entry| entry.candidate == candidate);
        let values: Vec<f64> = own.filter_map(|entry| entry.readings.get(workload)?.values[place]).collect();
        median(&values)
    }

    /// Settings that a model finds most likely to be better than the best so far, and one that differs from it in one option.
    fn propose(&mut self, width: usize) -> Vec<Point> {
        let weights = (self.goal.objectives.len() > 1)
            .then(|| self.goal.objectives.iter().map(|_| 0.05 + self.rng.unit()).collect());
        let mut models = Models { weights, ..self.models.clone() };
        let best = self.best().map(|best| self.candidates[best].clone());
        let unfit: BTreeSet<Point> = {
            let misfit = |entry: &&Entry| entry.readings.iter().any(|reading| !reading.fits);
            self.entries.iter().filter(misfit).map(|entry| self.candidates[entry.candidate].clone()).collect()
        };
        let mut pool: BTreeSet<Point> = self.pool(best.as_ref());
        pool.retain(|point| !unfit.contains(point) && Some(point) != best.as_ref());
        let mut proposed = Vec::new();
        while proposed.len() + 1 < width {
            let target = models.least(self);
            let worth = |point: &Point| models.worth(self, point, target);
            let scored = pool.iter().map(|point| (worth(point), point));
            let Some((_, point)) = scored.max_by(|(a, _), (b, _)| a.total_cmp(b)) else { break };
            let point = point.clone();
            pool.remove(&point);
            models.imagine(&point);
            proposed.push(point);
        }
        let near = self.neighbours(&best.unwrap_or_else(|| self.space.start_point()));
        let near: Vec<Point> =
            near.into_iter().filter(|point| !proposed.contains(point) && !unfit.contains(point)).collect();
        if !near.is_empty() {
            proposed.push(near[self.rng.below(near.len() as u64) as usize].clone());
        }
        proposed
    }

    /// Settings to choose from: all of a small space, else some of them and those around the best.
    fn pool(&mut self, best: Option<&Point>) -> BTreeSet<Point> {
        let mut pool = BTreeSet::new();
        if self.space.combinations() <= POOL as f64 {
            let mut point = vec![0; self.space.dimensions().len()];
            loop {
                pool.extend(self.space.settled(&point));
                if !self.step(&mut point) {
                    return pool;
                }
            }
        }
        for leader in self.leaders(3) {
            let leader = self.candidates[leader].clone();
            pool.extend(self.neighbours(&leader));
        }
        let around = best.cloned().unwrap_or_else(|| self.space.start_point());
        for round in 0..POOL / 4 {
            let mut point = around.clone();
            // Near the best and anywhere, in turn.
            let changes = if round % 2 == 0 { 2 + self.rng.below(2) as usize } else { point.len() };
            for _ in 0..changes {
                let place = self.rng.below(point.len() as u64) as usize;
                point[place] = self.rng.below(self.space.dimensions()[place].levels.len() as u64) as u8;
            }
            pool.extend(self.space.settled(&point));
        }
        pool
    }

    /// The next combination, the last option fastest; false behind the last one.
    fn step(&self, point: &mut Point) -> bool {
        for (level, dimension) in point.iter_mut().zip(self.space.dimensions()).rev() {
            *level += 1;
            if usize::from(*level) < dimension.levels.len() {
                return true;
            }
            *level = 0;
        }
        false
    }

    /// The settings that differ from one in one option.
    fn neighbours(&self, of: &Point) -> BTreeSet<Point> {
        let mut near = BTreeSet::new();
        for (place, dimension) in self.space.dimensions().iter().enumerate() {
            for level in 0..dimension.levels.len() as u8 {
                let mut point = of.clone();
                point[place] = level;
                near.extend(self.space.settled(&point).filter(|settled| settled != of));
            }
        }
        near
    }

    /// By how much each trial of an objective costs more than the start does in the same workload: setting, block and logarithm. A
    /// trial that lacks the metric costs as much as the worst.
    fn costs(&self, objective: Quantity) -> Vec<(usize, u32, f64)> {
        let start = self.start_costs(objective);
        let of = |entry: &Entry| self.cost(entry, objective, &start);
        let costs: Vec<Option<f64>> = self.entries.iter().map(of).collect();
        let known = || costs.iter().copied().flatten();
        let (best, worst) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
        if !worst.is_finite() {
            return Vec::new();
        }
        let entries =
            self.entries.iter().zip(&costs).filter(|(entry, _)| entry.readings.iter().all(|reading| reading.fits));
        entries.map(|(entry, cost)| (entry.candidate, entry.block, cost.unwrap_or(worst).min(best + BAD))).collect()
    }

    /// What the start costs in each workload, in logarithms; 0 where it has no value.
    fn start_costs(&self, objective: Quantity) -> Vec<f64> {
        let of = |workload| self.typical(0, workload, objective).map_or(0.0, |value| objective.cost(value));
        (0..self.goal.weights.len()).map(of).collect()
    }

    fn cost(&self, entry: &Entry, objective: Quantity, start: &[f64]) -> Option<f64> {
        let place = self.goal.place(objective)?;
        let value = |(reading, start): (&Reading, &f64)| Some(objective.cost(reading.values[place]?) - start);
        let costs: Option<Vec<f64>> = entry.readings.iter().zip(start).map(value).collect();
        Some(self.goal.combined(&costs?))
    }

    /// By how much each trial misses a limit, in the workload that misses it most.
    fn excesses(&self, limit: usize) -> Vec<(usize, u32, f64)> {
        let limit = self.goal.limits[limit];
        let Some(place) = self.goal.place(limit.quantity) else { return Vec::new() };
        let missed = |reading: &Reading| {
            reading.values[place].map_or(MISSED, |value| limit.excess(value).clamp(-MISSED, MISSED))
        };
        let of = |entry: &Entry| entry.readings.iter().map(missed).fold(f64::NEG_INFINITY, f64::max);
        let entries = self.entries.iter().filter(|entry| entry.readings.iter().all(|reading| reading.fits));
        entries.map(|entry| (entry.candidate, entry.block, of(entry))).collect()
    }
}

/// The settings among these that no other is at least as good as in every objective, and better in one.
fn front(standings: &[&Standing]) -> BTreeSet<usize> {
    let means = |standing: &Standing| standing.cost.iter().map(|belief| belief.mean).collect::<Vec<_>>();
    let is_beaten = |one: &Standing| {
        let own = means(one);
        standings.iter().any(|other| {
            let theirs = means(other);
            let pairs = || theirs.iter().zip(&own);
            pairs().all(|(theirs, own)| theirs <= own) && pairs().any(|(theirs, own)| theirs < own)
        })
    };
    standings.iter().filter(|standing| !is_beaten(standing)).map(|standing| standing.candidate).collect()
}

/// Models of what a goal needs, fitted to the trials so far.
#[derive(Clone)]
struct Models {
    /// One for each objective; none for the memory, which is known, and before there are trials.
    objectives: Vec<Option<Surrogate>>,
    limits: Vec<Option<Surrogate>>,
    /// How objectives are weighed against each other while settings are proposed; none of one.
    weights: Option<Vec<f64>>,
}

impl Models {
    /// Before there are trials.
    fn unfitted(goal: &Goal) -> Self {
        Self { objectives: vec![None; goal.objectives.len()], limits: vec![None; goal.limits.len()], weights: None }
    }

    fn of(search: &Search<'_>) -> Self {
        let shape = search.space.shape();
        let fit = |values: &[(usize, u32, f64)]| {
            let observation = |&(candidate, block, value): &(usize, u32, f64)| Observation {
                point: &search.candidates[candidate],
                block,
                value,
            };
            // The last ones are those around the best; a fit to all of thousands would take longer than trials do.
            let last = &values[values.len().saturating_sub(MOST_OBSERVATIONS)..];
            Surrogate::fit(&shape, &last.iter().map(observation).collect::<Vec<_>>())
        };
        let objectives = search.goal.objectives.iter().map(|objective| fit(&search.costs(*objective))).collect();
        let limits = (0..search.goal.limits.len()).map(|limit| fit(&search.excesses(limit))).collect();
        Self { objectives, limits, weights: None }
    }

    /// By how much a setting costs more than the start.
    fn gain(&self, search: &Search<'_>, objective: usize, point: &Point) -> Belief {
        match (&self.objectives[objective], search.goal.objectives[objective]) {
            (Some(model), _) => model.difference(point, &search.candidates[0]),
            (None, Quantity::Memory) => {
                let cost = |point: &Point| {
                    Quantity::Memory
                        .cost(search.space.memory_bytes(point).map_or(UNBOUNDED_BYTES, |bytes| bytes as f64))
                };
                Belief { mean: cost(point) - cost(&search.candidates[0]), deviation: 0.0 }
            }
            (None, Quantity::Metric(_)) => Belief { mean: 0.0, deviation: 0.0 },
        }
    }

    /// The same of all objectives, weighed.
    fn cost(&self, search: &Search<'_>, point: &Point) -> Belief {
        let of = |objective| self.gain(search, objective, point);
        let Some(weights) = &self.weights else { return of(0) };
        let all: Vec<Belief> = (0..weights.len()).map(of).collect();
        let weighed = |value: fn(&Belief) -> f64| {
            all.iter().zip(weights).map(|(belief, weight)| weight * value(belief)).sum::<f64>()
        };
        Belief { mean: weighed(|belief| belief.mean), deviation: weighed(|belief| belief.deviation) }
    }

    /// How likely a setting is to keep every limit.
    fn keeps_limits(&self, search: &Search<'_>, point: &Point) -> f64 {
        let chance = |(limit, model): (&super::goal::Limit, &Option<Surrogate>)| match (model, limit.quantity) {
            (Some(model), _) => {
                let Belief { mean, deviation } = model.belief(point);
                normal_below(-mean / deviation.max(1e-6))
            }
            (None, Quantity::Memory) => {
                let keeps = search.space.memory_bytes(point).is_some_and(|bytes| limit.is_kept(bytes as f64));
                f64::from(u8::from(keeps))
            }
            (None, Quantity::Metric(_)) => 1.0,
        };
        search.goal.limits.iter().zip(&self.limits).map(chance).product()
    }

    /// The least cost of a setting that was tried and keeps the limits.
    fn least(&self, search: &Search<'_>) -> Option<f64> {
        let keeps = |point: &&Point| self.keeps_limits(search, point) >= LIKELY;
        let costs = search.candidates.iter().filter(keeps).map(|point| self.cost(search, point).mean);
        costs.min_by(f64::total_cmp)
    }

    /// What trying a setting is worth: by how much it is expected to be better than the target (expected improvement), times how
    /// likely it is to keep the limits; that alone where nothing keeps them yet.
    fn worth(&self, search: &Search<'_>, point: &Point, target: Option<f64>) -> f64 {
        let keeps = self.keeps_limits(search, point);
        let Some(target) = target else { return keeps };
        let Belief { mean, deviation } = self.cost(search, point);
        let better = target - mean;
        let expected = if deviation > 1e-9 {
            let z = better / deviation;
            better * normal_below(z) + deviation * normal_density(z)
        } else {
            better.max(0.0)
        };
        keeps * expected
    }

    /// Takes a setting as tried, with what is expected of it.
    fn imagine(&mut self, point: &Point) {
        self.objectives.iter_mut().chain(&mut self.limits).flatten().for_each(|model| model.imagine(point));
    }
}

/// The probability that a standard normal value is below this.
fn normal_below(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

fn normal_density(z: f64) -> f64 {
    libm::exp(-0.5 * z * z) / (2.0 * std::f64::consts::PI).sqrt()
}

/// Draws settings that show every value of every option about equally often.
struct Design {
    /// Values of each option still to be shown in this round.
    left: Vec<Vec<u8>>,
}

/// Draws that come to settings that were drawn before, after which there are taken to be no more.
const PATIENCE: usize = 200;

impl Design {
    fn new(space: &Space) -> Self {
        Self { left: vec![Vec::new(); space.dimensions().len()] }
    }

    fn draw(&mut self, search: &mut Search<'_>, width: usize) -> Vec<Point> {
        let mut drawn: Vec<Point> = Vec::new();
        let mut patience = PATIENCE;
        while drawn.len() < width && patience > 0 {
            let dimensions = search.space.dimensions();
            let mut point = Vec::with_capacity(dimensions.len());
            for (left, dimension) in self.left.iter_mut().zip(dimensions) {
                if left.is_empty() {
                    left.extend(0..dimension.levels.len() as u8);
                }
                point.push(left.swap_remove(search.rng.below(left.len() as u64) as usize));
            }
            match search.space.settled(&point) {
                Some(point) if !drawn.contains(&point) && !search.numbers.contains_key(&point) => drawn.push(point),
                _ => patience -= 1,
            }
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::goal::{Limit, Over};
    use crate::tune::space::{MemoryChoice, Range, Wanted};
    use crate::workload::Configuration;

    const RATE: &str = "throughput_typical_events_per_s";
    const P99: &str = "latency_p99_ns";

    fn space() -> Space {
        let range = |text: &str| text.parse::<Range>().unwrap();
        let tune = [
            "state.backend.rocksdb.memory.partitioned-index-filters=false,true",
            "state.backend.rocksdb.use-bloom-filter=false,true",
            "state.backend.rocksdb.memory.write-buffer-ratio=0.1,0.3,0.5,0.7",
            "state.backend.rocksdb.block.blocksize=2kb,4kb,8kb,16kb",
            "state.backend.rocksdb.compression.per.level=SNAPPY_COMPRESSION,NO_COMPRESSION,LZ4_COMPRESSION",
        ];
        let memory = MemoryChoice::UpTo(Some(64 << 20));
        let wanted = Wanted { tune: tune.map(range).to_vec(), fix: Vec::new(), memory, other: None };
        Space::around(&Configuration::defaults()[1], &wanted).unwrap()
    }

    fn goal(objective: Quantity, limits: Vec<Limit>) -> Goal {
        Goal { objectives: vec![objective], limits, over: Over::Average, weights: vec![1.0] }
    }

    fn quantity(name: &str) -> Quantity {
        Quantity::metric(name).unwrap()
    }

    /// A machine that is made up: options bring what they bring, blocks drift, trials are noisy.
    struct MadeUp<'a> {
        space: &'a Space,
        goal: &'a Goal,
        rng: Rng,
        trials: usize,
        budget: usize,
        told: Vec<(Stage, Vec<Point>)>,
    }

    /// Events a second and p99 of a setting. Without partitions a large block of the index falls out of a small cache.
    fn truth(space: &Space, point: &Point) -> (f64, f64) {
        let value = |key: &str| {
            let place = space.dimensions().iter().position(|one| one.key.ends_with(key)).unwrap();
            point[place]
        };
        let memory = f64::from(value("managed.size"));
        let mut rate = 50e3 * (1.0 + 0.1 * memory);
        if value("partitioned-index-filters") == 0 && memory < 5.0 {
            rate /= 20.0;
        }
        rate *= [1.0, 1.3][usize::from(value("use-bloom-filter"))]
            * [0.9, 1.0, 0.95, 0.8][usize::from(value("write-buffer-ratio"))];
        rate *=
            [1.1, 1.0, 0.9, 0.7][usize::from(value("blocksize"))] * [1.0, 1.25, 1.05][usize::from(value("per.level"))];
        (rate, 4e9 / rate)
    }

    impl Bench for MadeUp<'_> {
        type Error = ();
        fn run(&mut self, stage: Stage, _: u32, points: &[Point]) -> Result<Option<Vec<Vec<Reading>>>, ()> {
            let drift = 1.0 + 0.2 * (self.rng.unit() - 0.5);
            let mut read = |point: &Point| {
                let (rate, p99) = truth(self.space, point);
                let noisy = |value: f64, unit: f64| value * drift * (1.0 + 0.08 * (unit - 0.5));
                let of =
                    |quantity: Quantity, unit: f64| Some(noisy(if quantity.name() == RATE { rate } else { p99 }, unit));
                let values = self.goal.measured().into_iter().map(|quantity| of(quantity, self.rng.unit())).collect();
                Reading { values, is_slow: false, fits: true }
            };
            let readings = points.iter().map(|point| vec![read(point)]).collect();
            self.trials += points.len();
            self.told.push((stage, points.to_vec()));
            Ok(Some(readings))
        }
        fn spent_with(&self, settings: usize) -> f64 {
            (self.trials + settings) as f64 / self.budget as f64
        }
    }

    fn searched<'a>(space: &'a Space, goal: &'a Goal, seed: u64, budget: usize) -> (Search<'a>, MadeUp<'a>) {
        let rng = Rng::for_block(seed, Stream::Values, 0);
        let mut bench = MadeUp { space, goal, rng, trials: 0, budget, told: Vec::new() };
        let mut search = Search::new(space, goal, seed);
        assert_eq!(search.run(&mut bench), Ok(true));
        (search, bench)
    }

    #[test]
    fn the_fastest_of_many_settings_is_found_in_few_trials() {
        let (space, goal) = (space(), goal(quantity(RATE), Vec::new()));
        assert!(space.combinations() > POOL as f64);
        let best = 50e3 * (1.0 + 0.1 * (space.dimensions()[0].levels.len() - 1) as f64) * 1.3 * 1.1 * 1.25;
        for seed in 0..3 {
            let (search, bench) = searched(&space, &goal, seed, 120);
            let found = truth(&space, &search.candidates()[search.best().unwrap()]).0;
            assert!(found > 0.9 * best, "seed {seed}: {found} of {best}");
            assert!(bench.trials <= 126 && search.blocks() as usize == bench.told.len());
        }
    }

    #[test]
    fn the_least_memory_that_keeps_a_limit_is_found() {
        let space = space();
        let limit = Limit { quantity: quantity(P99), bound: 60e3 };
        let goal = goal(Quantity::Memory, vec![limit]);
        for seed in 0..3 {
            let (search, _) = searched(&space, &goal, seed, 120);
            let found = &search.candidates()[search.best().unwrap()];
            let (memory, p99) = (space.memory_bytes(found).unwrap(), truth(&space, found).1);
            // With all other options at their best 4 MB do.
            assert!(memory <= 8 << 20 && p99 < 63e3, "seed {seed}: {memory} bytes, {p99} ns");
        }
    }

    #[test]
    fn the_same_seed_asks_for_the_same_trials() {
        let (space, goal) = (space(), goal(quantity(RATE), Vec::new()));
        let told = |seed| searched(&space, &goal, seed, 60).1.told;
        assert_eq!(told(1), told(1));
        assert_ne!(told(1), told(2));
    }

    #[test]
    fn every_block_has_the_best_so_far_and_stages_follow_each_other() {
        let (space, goal) = (space(), goal(quantity(RATE), Vec::new()));
        let (_, bench) = searched(&space, &goal, 1, 120);
        let stages: Vec<Stage> = bench.told.iter().map(|(stage, _)| *stage).collect();
        let first = |stage| stages.iter().position(|one| *one == stage).unwrap();
        assert!(first(Stage::Design) < first(Stage::Model) && first(Stage::Model) < first(Stage::Finals));
        assert_eq!(bench.told[0].1[0], space.start_point());
        for (_, points) in &bench.told {
            let distinct: BTreeSet<_> = points.iter().collect();
            assert_eq!(distinct.len(), points.len());
        }
    }

    #[test]
    fn a_limit_that_nothing_keeps_leaves_no_best() {
        let space = space();
        let limit = Limit { quantity: quantity(P99), bound: 1e3 };
        let goal = goal(quantity(RATE), vec![limit]);
        assert_eq!(searched(&space, &goal, 1, 60).0.best(), None);
    }

    #[test]
    fn of_two_objectives_a_front_is_found() {
        let space = space();
        let goal = Goal { objectives: vec![quantity(P99), Quantity::Memory], ..goal(Quantity::Memory, Vec::new()) };
        let (search, _) = searched(&space, &goal, 1, 160);
        let front: Vec<(u64, f64)> = search
            .front()
            .into_iter()
            .map(|candidate| &search.candidates()[candidate])
            .map(|point| (space.memory_bytes(point).unwrap(), truth(&space, point).1))
            .collect();
        assert!(front.len() >= 3, "{front:?}");
        let (least, most) =
            (front.iter().min_by_key(|one| one.0).unwrap(), front.iter().max_by_key(|one| one.0).unwrap());
        assert!(least.0 < most.0 && least.1 > most.1, "{front:?}");
    }

    #[test]
    fn what_is_fast_in_some_trials_only_is_not_chosen() {
        let (space, goal) = (space(), goal(quantity(RATE), Vec::new()));
        let mut search = Search::new(&space, &goal, 1);
        let reading = |rate, is_slow| vec![Reading { values: vec![Some(rate)], is_slow, fits: true }];
        let mut other = space.start_point();
        other[1] ^= 1;
        let candidate = search.number(&other);
        for (block, is_slow) in [(0, false), (1, true), (2, false)] {
            search.entries.push(Entry { candidate: 0, block, readings: reading(100.0 + f64::from(block), false) });
            search.entries.push(Entry {
                candidate,
                block,
                readings: reading(if is_slow { 5.0 } else { 300.0 }, is_slow),
            });
        }
        search.learn();
        assert!(search.standings()[1].is_bimodal);
        assert_eq!(search.best(), Some(0));
    }
}
