//! Replays searches over grids of which every cell was measured, to see how close `statebench tune` comes with a part of the trials,
//! beside searches that are simpler. `scripts/tune-study.sh` measures the grids and runs this.
//!
//! usage: `tune_study [--seeds N] [--share S] [--repeats N] FOLDER`, where FOLDER holds NAME.csv for each workload in `workloads/tuning`

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use statebench::statistics::median;
use statebench::tune::{
    Bench, Goal, Limit, MemoryChoice, Over, Point, Quantity, Range, Reading, Search, Space, Stage, Wanted,
};
use statebench::workload::{Plan, Rng, Stream, short_key};

/// Repeats of each cell of a grid, where nothing else is said.
const REPEATS: usize = 5;
/// Seeds of a study, and the share of all the grid's trials that a search may take.
const SEEDS: u64 = 40;
const SHARE: f64 = 0.15;
const RATE: &str = "throughput_typical_events_per_s";
const P99: &str = "latency_p99_ns";
/// Events slower than this in more than 1 % of cases: the slow regime.
const SLOW_NS: f64 = 300_000.0;
/// A pick that is not worse than the best by more than this is close.
const CLOSE: f64 = 0.05;

type Error = Box<dyn std::error::Error>;

/// The readings of a grid: of each cell one for each repeat.
struct Grid {
    name: String,
    space: Space,
    cells: BTreeMap<Point, Vec<BTreeMap<&'static str, f64>>>,
    repeats: usize,
}

impl Grid {
    fn load(workload: &Path, data: &Path, repeats: usize) -> Result<Self, Error> {
        let plan = Plan::load(workload, &[], false)?;
        let first = plan.cells.first().ok_or("no cells")?;
        let ranges = plan.wire.matrix.iter().map(|(key, values)| Range {
            key: key.clone(),
            values: values
                .iter()
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                .collect(),
        });
        let mut start = first.configuration.clone();
        for range in plan.wire.matrix.keys() {
            start.given.retain(|(key, _)| key != range);
        }
        "start".clone_into(&mut start.name);
        let wanted = Wanted { tune: ranges.collect(), fix: Vec::new(), memory: MemoryChoice::AsItIs, other: None };
        let space = Space::around(&start, &wanted)?;
        let mut by_name = BTreeMap::new();
        for cell in &plan.cells {
            by_name.insert(cell.configuration.name.clone(), point_of(&space, &cell.configuration.options)?);
        }
        let mut cells: BTreeMap<Point, Vec<BTreeMap<&'static str, f64>>> = BTreeMap::new();
        let mut reader = csv::Reader::from_path(data)?;
        let column = |header: &csv::StringRecord, name: &str| {
            header.iter().position(|heading| heading == name).ok_or(format!("{}: no column {name}", data.display()))
        };
        let header = reader.headers()?.clone();
        let (configuration, rate, p99) =
            (column(&header, "configuration")?, column(&header, RATE)?, column(&header, P99)?);
        for record in reader.records() {
            let record = record?;
            let point =
                by_name.get(&record[configuration]).ok_or_else(|| format!("no cell {}", &record[configuration]))?;
            let mut reading = BTreeMap::new();
            for (name, place) in [(RATE, rate), (P99, p99)] {
                if let Ok(value) = record[place].parse() {
                    reading.insert(name, value);
                }
            }
            cells.entry(point.clone()).or_default().push(reading);
        }
        let name = workload.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let whole = cells.values().filter(|readings| readings.len() >= repeats).count();
        if whole < by_name.len() {
            return Err(format!("{name}: {whole} of {} cells have {repeats} repeats", by_name.len()).into());
        }
        Ok(Self { name, space, cells, repeats })
    }

    fn trials(&self) -> usize {
        self.cells.len() * self.repeats
    }

    /// The median of a metric over the repeats of a cell.
    fn median(&self, point: &Point, name: &str) -> Option<f64> {
        let values: Vec<f64> = self.cells[point].iter().filter_map(|reading| reading.get(name).copied()).collect();
        (2 * values.len() > self.repeats).then(|| median(&values)).flatten()
    }

    /// What a cell really costs: none where it misses a limit.
    fn truth(&self, goal: &Goal, point: &Point) -> Option<f64> {
        let value = |quantity: Quantity| match quantity {
            Quantity::Memory => self.space.memory_bytes(point).map(|bytes| bytes as f64),
            Quantity::Metric(metric) => self.median(point, metric.name),
        };
        let kept = goal.limits.iter().all(|limit| value(limit.quantity).is_some_and(|value| limit.is_kept(value)));
        let cost = goal.objectives[0].cost(value(goal.objectives[0])?);
        kept.then_some(cost)
    }

    /// By how much a cell misses the limits, as a share.
    fn missed(&self, goal: &Goal, point: &Point) -> f64 {
        let excess = |limit: &Limit| {
            self.median(point, limit.quantity.name()).map_or(f64::INFINITY, |value| limit.excess(value).exp_m1())
        };
        goal.limits.iter().map(excess).fold(0.0, f64::max)
    }
}

fn point_of(space: &Space, options: &statebench::workload::Options) -> Result<Point, Error> {
    let level = |dimension: &statebench::tune::Dimension| {
        let row = statebench::workload::Options::row(&dimension.key).ok_or("no such option")?;
        let own = row.get(options);
        let place = dimension.levels.iter().position(|level| *level == own);
        Ok(place.ok_or_else(|| format!("{}: no value {own}", dimension.key))? as u8)
    };
    space.dimensions().iter().map(level).collect()
}

/// Serves readings of a grid.
struct Replay<'a> {
    grid: &'a Grid,
    goal: &'a Goal,
    rng: Rng,
    budget: usize,
    used: usize,
    /// Repeats still to come before all come again.
    left: Vec<usize>,
}

impl<'a> Replay<'a> {
    fn new(grid: &'a Grid, goal: &'a Goal, seed: u64, budget: usize) -> Self {
        Self { grid, goal, rng: Rng::for_block(seed, Stream::Values, 1), budget, used: 0, left: Vec::new() }
    }

    fn read(&mut self, point: &Point, repeat: usize) -> Reading {
        self.used += 1;
        let reading = &self.grid.cells[point][repeat % self.grid.repeats];
        let values = self.goal.measured().iter().map(|quantity| reading.get(quantity.name()).copied()).collect();
        Reading { values, is_slow: reading.get(P99).is_none_or(|p99| *p99 > SLOW_NS), fits: true }
    }
}

impl Bench for Replay<'_> {
    type Error = Infallible;

    fn run(&mut self, _: Stage, _: u32, points: &[Point]) -> Result<Option<Vec<Vec<Reading>>>, Infallible> {
        // All of a block are of one repeat, which ran at about the same time.
        if self.left.is_empty() {
            self.left = (0..self.grid.repeats).collect();
        }
        let repeat = self.left.swap_remove(self.rng.below(self.left.len() as u64) as usize);
        Ok(Some(points.iter().map(|point| vec![self.read(point, repeat)]).collect()))
    }

    fn spent_with(&self, settings: usize) -> f64 {
        (self.used + settings) as f64 / self.budget as f64
    }
}

/// How a setting is looked for.
#[derive(Clone, Copy, PartialEq)]
enum Strategy {
    /// As `statebench tune` does.
    Tune,
    /// Cells drawn at random, each so often, and the best median.
    Random(usize),
    /// From the start one option after another, each at its best, so often each.
    Coordinates(usize),
}

impl Strategy {
    fn name(self) -> String {
        match self {
            Self::Tune => "tune".to_owned(),
            Self::Random(times) => format!("random, {times} each"),
            Self::Coordinates(times) => format!("coordinate descent, {times} each"),
        }
    }

    fn pick(self, grid: &Grid, goal: &Goal, seed: u64, budget: usize) -> (Point, usize) {
        let mut replay = Replay::new(grid, goal, seed, budget);
        let point = match self {
            Self::Tune => {
                let mut search = Search::new(&grid.space, goal, seed);
                let Ok(_) = search.run(&mut replay);
                search.candidates()[search.best().unwrap_or(0)].clone()
            }
            Self::Random(times) => random(&mut replay, times),
            Self::Coordinates(times) => coordinates(&mut replay, times),
        };
        (point, replay.used)
    }
}

/// The cost of a cell by so many readings; that of a missed limit, or of none, is the worst.
fn measured(replay: &mut Replay<'_>, point: &Point, times: usize) -> f64 {
    let first = replay.rng.below(replay.grid.repeats as u64) as usize;
    let readings: Vec<Reading> = (0..times).map(|i| replay.read(point, first + i)).collect();
    let names = replay.goal.measured();
    let typical = |quantity: Quantity| match quantity {
        Quantity::Memory => replay.grid.space.memory_bytes(point).map(|bytes| bytes as f64),
        Quantity::Metric(_) => {
            let place = names.iter().position(|name| *name == quantity)?;
            median(&readings.iter().filter_map(|reading| reading.values[place]).collect::<Vec<_>>())
        }
    };
    let kept = replay.goal.limits.iter().all(|limit| typical(limit.quantity).is_some_and(|value| limit.is_kept(value)));
    let cost = typical(replay.goal.objectives[0]).map(|value| replay.goal.objectives[0].cost(value));
    cost.filter(|_| kept).unwrap_or(f64::INFINITY)
}

fn random(replay: &mut Replay<'_>, times: usize) -> Point {
    let mut left: Vec<Point> = replay.grid.cells.keys().cloned().collect();
    let mut best = (f64::INFINITY, left[0].clone());
    while replay.used + times <= replay.budget && !left.is_empty() {
        let point = left.swap_remove(replay.rng.below(left.len() as u64) as usize);
        let cost = measured(replay, &point, times);
        if cost < best.0 {
            best = (cost, point);
        }
    }
    best.1
}

fn coordinates(replay: &mut Replay<'_>, times: usize) -> Point {
    let shape = replay.grid.space.shape();
    let anywhere = |replay: &mut Replay<'_>| {
        let cells: Vec<&Point> = replay.grid.cells.keys().collect();
        cells[replay.rng.below(cells.len() as u64) as usize].clone()
    };
    let mut at = replay.grid.space.start_point();
    let mut best = (f64::INFINITY, at.clone());
    while replay.used + times <= replay.budget {
        let mut here = measured(replay, &at, times);
        let mut has_moved = true;
        while has_moved {
            has_moved = false;
            let mut order: Vec<usize> = (0..shape.len()).collect();
            (1..order.len()).rev().for_each(|end| order.swap(end, replay.rng.below(end as u64 + 1) as usize));
            for place in order {
                for level in (0..shape[place].levels as u8).filter(|level| *level != at[place]).collect::<Vec<_>>() {
                    if replay.used + times > replay.budget {
                        break;
                    }
                    let mut next = at.clone();
                    next[place] = level;
                    let cost = measured(replay, &next, times);
                    if cost < here {
                        (here, at, has_moved) = (cost, next, true);
                    }
                }
            }
        }
        if here < best.0 {
            best = (here, at.clone());
        }
        at = anywhere(replay);
    }
    best.1
}

/// A goal on a grid.
struct Case<'a> {
    grid: &'a Grid,
    goal: Goal,
}

/// The goals that each grid is searched for.
fn cases(grids: &[Grid]) -> Vec<Case<'_>> {
    let metric = |name: &str| Quantity::metric(name);
    let mut cases = Vec::new();
    for grid in grids {
        let mut add = |objective: Option<Quantity>, limits: Vec<Limit>| {
            if let Some(objective) = objective {
                let goal = Goal { objectives: vec![objective], limits, over: Over::Average, weights: vec![1.0] };
                cases.push(Case { grid, goal });
            }
        };
        let has_memory = grid.space.dimensions().iter().any(|dimension| dimension.key.ends_with("managed.size"));
        let p99 = |share: f64| {
            let mut all: Vec<f64> = grid.cells.keys().filter_map(|point| grid.median(point, P99)).collect();
            all.sort_unstable_by(f64::total_cmp);
            let bound = all[(share * (all.len() - 1) as f64) as usize];
            metric(P99).map(|quantity| Limit { quantity, bound })
        };
        if has_memory {
            // A limit that a quarter of the cells keep.
            add(Some(Quantity::Memory), p99(0.25).into_iter().collect());
            add(metric(RATE), p99(0.25).into_iter().collect());
        } else {
            add(metric(RATE), Vec::new());
            add(metric(P99), Vec::new());
        }
    }
    cases
}

/// What a strategy came to over the seeds.
struct Outcome {
    name: String,
    /// How much worse than the best cell each pick is, as a share.
    regrets: Vec<f64>,
    missed: f64,
    trials: f64,
}

fn outcome(case: &Case<'_>, strategy: Strategy, seeds: u64, share: f64) -> Outcome {
    let budget = (share * case.grid.trials() as f64) as usize;
    let truths = case.grid.cells.keys().filter_map(|point| case.grid.truth(&case.goal, point));
    let best = truths.fold(f64::INFINITY, f64::min);
    let mut outcome = Outcome { name: strategy.name(), regrets: Vec::new(), missed: 0.0, trials: 0.0 };
    for seed in 0..seeds {
        let (point, used) = strategy.pick(case.grid, &case.goal, seed, budget);
        // One that misses a limit by more than the noise is none at all.
        let missed = case.grid.missed(&case.goal, &point);
        let own = Goal { limits: Vec::new(), ..case.goal.clone() };
        let cost = case.grid.truth(&own, &point).filter(|_| missed <= CLOSE).unwrap_or(f64::INFINITY);
        outcome.regrets.push((cost - best).exp_m1().max(0.0));
        outcome.missed = outcome.missed.max(missed);
        outcome.trials += used as f64 / seeds as f64;
    }
    outcome
}

fn table(cases: &[Case<'_>], seeds: u64, share: f64) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "| grid | goal | search | trials | worse than the best: median | most | within 5 % | misses limits by at most | not worse than random |"
    );
    let _ = writeln!(out, "|---|---|---|---:|---:|---:|---:|---:|---:|");
    for case in cases {
        let strategies = [
            Strategy::Tune,
            Strategy::Random(1),
            Strategy::Random(3),
            Strategy::Random(5),
            Strategy::Coordinates(1),
            Strategy::Coordinates(3),
        ];
        let outcomes = strategies.map(|strategy| outcome(case, strategy, seeds, share));
        // The random search that is best in the median is what others are held against.
        let typical = |outcome: &Outcome| median(&outcome.regrets).unwrap_or(f64::INFINITY);
        let random = outcomes[1..4].iter().min_by(|a, b| typical(a).total_cmp(&typical(b)));
        for outcome in &outcomes {
            let within = outcome.regrets.iter().filter(|regret| **regret <= CLOSE).count();
            let against = random.map(|random| {
                let pairs = || outcome.regrets.iter().zip(&random.regrets);
                let (better, equal) = (
                    pairs().filter(|(own, other)| own < other).count(),
                    pairs().filter(|(own, other)| own.total_cmp(other).is_eq()).count(),
                );
                format!("{} of {seeds} ({better} better)", better + equal)
            });
            let most = outcome.regrets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let _ = writeln!(
                out,
                "| {} | {} | {} | {:.0} of {} | {:.1} % | {:.1} % | {within} of {seeds} | {:.1} % | {} |",
                case.grid.name,
                case.goal.described(),
                outcome.name,
                outcome.trials,
                case.grid.trials(),
                100.0 * typical(outcome),
                100.0 * most,
                100.0 * outcome.missed,
                against.unwrap_or_default()
            );
        }
    }
    out
}

fn run() -> Result<(), Error> {
    let (mut seeds, mut share, mut repeats, mut folder) = (SEEDS, SHARE, REPEATS, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => seeds = args.next().ok_or("--seeds needs a number")?.parse()?,
            "--repeats" => repeats = args.next().ok_or("--repeats needs a number")?.parse()?,
            "--share" => share = args.next().ok_or("--share needs a number")?.parse()?,
            _ => folder = Some(arg),
        }
    }
    let folder = folder.ok_or("usage: tune_study [--seeds N] [--share S] [--repeats N] FOLDER")?;
    let mut grids = Vec::new();
    for name in ["updates", "lookups", "map-entries"] {
        let data = Path::new(&folder).join(format!("{name}.csv"));
        if data.exists() {
            grids.push(Grid::load(&Path::new("workloads/tuning").join(format!("{name}.toml")), &data, repeats)?);
        }
    }
    if grids.is_empty() {
        return Err(format!("{folder}: no grid is there").into());
    }
    for grid in &grids {
        let keys: Vec<_> = grid
            .space
            .dimensions()
            .iter()
            .map(|one| format!("{} ({})", short_key(&one.key), one.levels.len()))
            .collect();
        println!("{}: {} cells of {}", grid.name, grid.cells.len(), keys.join(", "));
    }
    println!("\n{}", table(&cases(&grids), seeds, share));
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
