//! `statebench tune`

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};

use super::check::Overrides;
use super::run::PlaceArgs;
use super::{Failure, Outcome, print, report, say};
use crate::flink::export;
use crate::gate;
use crate::report::{Format, render_tuning};
use crate::result::{METRICS, RunResult, TuningBudget};
use crate::run::RunOptions;
use crate::tune::{Goal, Limit, MemoryChoice, Over, Quantity, Range, Space, Task, TuneError, Wanted, tune as search};
use crate::workload::{
    BackendType, Bytes, Configuration, FlinkVersion, Options, Plan, Setting, Source, Time, Variant, nearest,
};

/// Searches Flink's options for better settings of a workload, and proves that they are better.
///
/// Settings are tried in short trials that share their prefills, each block of them in random order with the same events. What comes out is run
/// against what the search started from in fresh pairs, and only that is claimed. In the end each changed option is set back
/// alone, to tell what it is worth, and the keys are printed for Flink's configuration file. The search starts from the first
/// RocksDB configuration of the file, or the one that --configuration names.
///
/// Exit codes: 0 done, whether or not something better was proved; 1 digests differ; 2 the input is wrong, or nothing keeps the limits; 3 the
/// environment failed; 130 interrupted, to be resumed.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The workload file; settings are searched for all of several together
    #[arg(required = true, value_name = "WORKLOAD")]
    workloads: Vec<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    goal: GoalArgs,
    #[command(flatten)]
    space: SpaceArgs,
    #[command(flatten)]
    over: OverArgs,
    /// Time that all trials may take, those of the proof among them
    #[arg(long, value_name = "TIME", default_value = "10m", conflicts_with = "trials")]
    budget: Time,
    /// Trials that it may take, in place of a time: the same search whatever the machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trials: Option<u32>,
    /// Give each trial of the search a prefill of its own, as the workload has it, in place of a shared one that is ingested
    #[arg(long)]
    own_prefill: bool,
    /// Go on with a search that was cut short, whose notes are in this file
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Write the page of the result too; beside the result file where no FILE is given
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "clap's form of an option with an optional value")]
    report: Option<Option<PathBuf>>,
    /// The version of Flink that the settings are printed for
    #[arg(long, value_name = "VERSION", default_value = "2.3")]
    flink_version: FlinkVersion,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// No progress and no warnings on stderr
    #[arg(short, long)]
    quiet: bool,
}

/// What a search is for.
#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line, of which one can be given")]
struct GoalArgs {
    /// Most typical throughput; this is what is searched where no other goal is named
    #[arg(long, group = "aim")]
    fastest: bool,
    /// Least p99: of the response time where events arrive at a rate, else of an event
    #[arg(long, group = "aim")]
    lowest_p99: bool,
    /// Least managed memory of a slot, or heap where the state is on the heap
    #[arg(long, group = "aim")]
    smallest_memory: bool,
    /// Least bytes of a checkpoint
    #[arg(long, group = "aim")]
    smallest_checkpoint: bool,
    /// Least time that a checkpoint makes processing stand still
    #[arg(long, group = "aim")]
    shortest_pause: bool,
    /// Several at once, of which none is better at the cost of another: two or more of throughput, p99, memory, checkpoint, pause
    #[arg(long, value_name = "A,B", value_delimiter = ',', group = "aim")]
    pareto: Vec<Aim>,
    /// The managed memory of a slot, or heap where the state is on the heap; the most of it where memory is searched
    #[arg(long, value_name = "SIZE")]
    memory: Option<Bytes>,
    /// Most p99
    #[arg(long, value_name = "TIME")]
    p99: Option<Time>,
    /// Least typical throughput, events/s
    #[arg(long, value_name = "N")]
    throughput: Option<f64>,
    /// Most bytes of a checkpoint
    #[arg(long, value_name = "SIZE")]
    checkpoint: Option<Bytes>,
    /// Most time of a restore
    #[arg(long, value_name = "TIME")]
    restore: Option<Time>,
    /// Most resident memory of a trial's process
    #[arg(long, value_name = "SIZE")]
    resident: Option<Bytes>,
    /// Another limit: a metric by its name in JSON, and the most of it where less is better, else the least
    #[arg(long = "limit", value_name = "METRIC=VALUE", value_parser = limit)]
    limits: Vec<(String, f64)>,
}

/// What can be as good as possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Aim {
    /// Typical throughput
    Throughput,
    /// p99
    P99,
    /// The budget of memory
    Memory,
    /// Bytes of a checkpoint
    Checkpoint,
    /// Time that a checkpoint stands still for
    Pause,
}

/// What may be chosen.
#[derive(Debug, ClapArgs)]
struct SpaceArgs {
    /// Search this option among these values (KEY=A,B,C, or KEY=LEAST..MOST) in place of the usual ones; may be given more than once
    #[arg(long, value_name = "KEY=VALUES")]
    tune: Vec<Range>,
    /// Hold this option at a value
    #[arg(long, value_name = "KEY=VALUE", value_parser = held)]
    fix: Vec<(String, String)>,
    /// Backends to choose from
    #[arg(long, value_enum, default_value_t = Backends::Both)]
    backend: Backends,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backends {
    /// The heap and RocksDB
    Both,
    /// RocksDB
    Rocksdb,
    /// The heap
    Heap,
}

/// What the settings have to be good for.
#[derive(Debug, ClapArgs)]
struct OverArgs {
    /// The weight of each workload file in the average
    #[arg(long, value_name = "W,W", value_delimiter = ',', conflicts_with = "worst_case")]
    weights: Vec<f64>,
    /// What counts is the workload in which a setting gains least, not the average
    #[arg(long)]
    worst_case: bool,
    /// A value of the workload that is not known for sure: settings are searched for all of these; may be given more than once
    #[arg(long, value_name = "PATH=A,B,C")]
    vary: Vec<Range>,
}

/// Workloads at most, variations included.
const MOST_WORKLOADS: usize = 64;

fn limit(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("expected METRIC=VALUE, such as latency_p99_ns=5ms")?;
    crate::compare::check_metric(name)?;
    let metric = METRICS.iter().find(|metric| metric.name == name).ok_or("there is no such metric")?;
    let value = value.trim();
    let spelled = value.parse().map_or_else(|_| gate::Limit::Text(value.to_owned()), gate::Limit::Number);
    Ok((name.to_owned(), spelled.value(metric)?))
}

fn held(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

pub(super) fn tune(args: &Args) -> Outcome {
    if let Some(option) = args.overrides.not_for_pairs() {
        return Err(Failure::input(format!("{option}: not for trials that are run in pairs")));
    }
    let (plan, weights) = workloads(args)?;
    let goal = args.goal.goal(&plan, weights, args.over.worst_case)?;
    let space = args.space.space(args, &plan, &goal)?;
    let budget = match args.trials {
        Some(trials) => TuningBudget::Trials(trials),
        None => TuningBudget::Seconds(args.budget.0.as_secs_f64()),
    };
    let task = Task { plan, space, goal, budget, own_prefill: args.own_prefill };
    let (options, resumed) = place(args, &task)?;
    let page = args.report.as_ref().map(|file| file.clone().unwrap_or_else(|| report::page_beside(&options.output)));
    report::check_output(page.as_deref(), args.place.is_forced())?;
    if !args.quiet {
        remarks(&task).iter().for_each(|line| say(line));
    }
    let hear = |explorer: &crate::run::Explorer<'_>, line: &str| {
        if !args.quiet {
            explorer.say(line);
        }
    };
    let result =
        search(&task, &options, resumed, &hear).map_err(|error| Failure::of_search(error, args.resume.as_deref()))?;
    if let Some(page) = page {
        report::write_page(&result, &options.output, &page, args.quiet)?;
    }
    print(&render_tuning(&result, args.format).map_err(Failure::environment)?)?;
    if matches!(args.format, Format::Table | Format::Markdown) {
        print(&snippets(&result, args)?)?;
    }
    if !args.quiet {
        say(&format!("result: {}", options.output.display()));
    }
    super::run::verdict(&result)
}

/// The settings of each winner that is proved, for Flink's configuration file and for its Kubernetes operator.
fn snippets(result: &RunResult, args: &Args) -> Result<String, Failure> {
    let mut out = String::new();
    let proofs = result.tuning.iter().flat_map(|tuning| &tuning.proofs).filter(|proof| proof.is_proved);
    for proof in proofs {
        let exported = export(result, &proof.winner, args.flink_version).map_err(Failure::input)?;
        let (file, kubernetes) = (exported.file(), exported.kubernetes());
        let _ = match args.format {
            Format::Markdown => write!(out, "\n```yaml\n{file}```\n\n```yaml\n{kubernetes}```\n"),
            _ => write!(out, "\n{file}\n{kubernetes}"),
        };
    }
    Ok(out)
}

/// The workloads as one plan, and their weights: every file in every variation.
fn workloads(args: &Args) -> Result<(Plan, Vec<f64>), Failure> {
    if !args.over.weights.is_empty() && args.over.weights.len() != args.workloads.len() {
        let (weights, files) = (args.over.weights.len(), args.workloads.len());
        return Err(Failure::input(format!("--weights: found {weights} for {files} workloads; allowed: one for each")));
    }
    if let Some(weight) = args.over.weights.iter().find(|weight| !(**weight > 0.0 && weight.is_finite())) {
        return Err(Failure::input(format!("--weights: found {weight}; allowed: numbers above 0")));
    }
    let variations = variations(&args.over.vary)?;
    let is_many = args.workloads.len() > 1;
    let mut all: Option<Plan> = None;
    let mut weights = Vec::new();
    for (place, file) in args.workloads.iter().enumerate() {
        let before = weights.len();
        for variation in &variations {
            let plan = args.overrides.plan_with(file, variation)?;
            let mut label: Vec<String> = if is_many { vec![plan.name.clone()] } else { Vec::new() };
            label.extend(variation.iter().map(Setting::assignment));
            let joined = all.get_or_insert_with(|| Plan { variants: Vec::new(), ..plan.clone() });
            if joined.folder != plan.folder {
                let file = file.display();
                return Err(Failure::input(format!(
                    "{file}: several workloads are tuned for together where they lie in one folder"
                )));
            }
            for variant in plan.variants {
                let label: Vec<String> =
                    label.iter().cloned().chain((!variant.label.is_empty()).then(|| variant.label.clone())).collect();
                joined.variants.push(Variant { label: label.join(" "), ..variant });
                weights.push(0.0);
            }
        }
        // A file's weight is that of all its variations.
        let (weight, count) = (args.over.weights.get(place).copied().unwrap_or(1.0), weights.len() - before);
        weights[before..].fill(weight / count as f64);
    }
    let plan = all.ok_or_else(|| Failure::input("no workload is named"))?;
    if weights.len() > MOST_WORKLOADS {
        let message = format!("{} workloads, variations included; allowed: at most {MOST_WORKLOADS}", weights.len());
        return Err(Failure::input(message));
    }
    Ok((plan, weights))
}

/// Every combination of the values that are not known for sure.
fn variations(vary: &[Range]) -> Result<Vec<Vec<Setting>>, Failure> {
    let mut all = vec![Vec::new()];
    for Range { key, values } in vary {
        let mut next = Vec::new();
        for before in &all {
            for value in values {
                let setting = format!("{key}={value}").parse().map_err(Failure::input)?;
                next.push(before.iter().cloned().chain([setting]).collect::<Vec<_>>());
            }
        }
        if next.len() > MOST_WORKLOADS {
            return Err(Failure::input(format!(
                "--vary: {} combinations; allowed: at most {MOST_WORKLOADS}",
                next.len()
            )));
        }
        all = next;
    }
    Ok(all)
}

impl GoalArgs {
    fn goal(&self, plan: &Plan, weights: Vec<f64>, worst_case: bool) -> Result<Goal, Failure> {
        let is_open = |variant: &Variant| variant.workload.load.is_some();
        let p99 = match plan.variants.iter().filter(|variant| is_open(variant)).count() {
            0 => "latency_p99_ns",
            open if open == plan.variants.len() => "response_p99_ns",
            _ => {
                let message = "some of the workloads have events arrive at a rate and others do not: their latencies are of two kinds";
                return Err(Failure::input(message));
            }
        };
        let metric =
            |name: &'static str| Quantity::metric(name).ok_or_else(|| Failure::input(format!("no metric {name}")));
        let throughput = "throughput_typical_events_per_s";
        let aim = |aim: Aim| match aim {
            Aim::Throughput => metric(throughput),
            Aim::P99 => metric(p99),
            Aim::Memory => Ok(Quantity::Memory),
            Aim::Checkpoint => metric("checkpoint_written_bytes"),
            Aim::Pause => metric("checkpoint_sync_ns"),
        };
        let aims = [
            (self.lowest_p99, Aim::P99),
            (self.smallest_memory, Aim::Memory),
            (self.smallest_checkpoint, Aim::Checkpoint),
            (self.shortest_pause, Aim::Pause),
        ];
        let single = aims.into_iter().find(|(is_asked, _)| *is_asked).map_or(Aim::Throughput, |(_, aim)| aim);
        let mut named = if self.pareto.is_empty() { vec![single] } else { self.pareto.clone() };
        named.dedup();
        if !self.pareto.is_empty() && named.len() < 2 {
            return Err(Failure::input(
                "--pareto: found one; allowed: two or more of throughput, p99, memory, checkpoint, pause",
            ));
        }
        let ns = |time: Time| time.0.as_nanos() as f64;
        let limits = [
            (p99, self.p99.map(ns)),
            (throughput, self.throughput),
            ("checkpoint_written_bytes", self.checkpoint.map(|bytes| bytes.0 as f64)),
            ("restore_duration_ns", self.restore.map(ns)),
            ("resident_peak_bytes", self.resident.map(|bytes| bytes.0 as f64)),
        ];
        let limits = limits.into_iter().filter_map(|(name, bound)| Some((name.to_owned(), bound?)));
        let limits = limits.chain(self.limits.iter().cloned()).map(|(name, bound)| {
            if !(bound > 0.0 && bound.is_finite()) {
                return Err(Failure::input(format!("the limit of {name}: found {bound}; allowed: a value above 0")));
            }
            let quantity = Quantity::metric(&name).ok_or_else(|| Failure::input(format!("no metric {name}")))?;
            Ok(Limit { quantity, bound })
        });
        Ok(Goal {
            objectives: named.into_iter().map(aim).collect::<Result<_, Failure>>()?,
            limits: limits.collect::<Result<_, Failure>>()?,
            over: if worst_case { Over::Worst } else { Over::Average },
            weights,
        })
    }

    /// What memory the search may take.
    fn memory_choice(&self, goal: &Goal) -> MemoryChoice {
        match (goal.objectives.contains(&Quantity::Memory), self.memory) {
            (true, most) => MemoryChoice::UpTo(most.map(|bytes| bytes.0)),
            (false, Some(bytes)) => MemoryChoice::Fixed(bytes.0),
            (false, None) => MemoryChoice::AsItIs,
        }
    }
}

impl SpaceArgs {
    fn space(&self, args: &Args, plan: &Plan, goal: &Goal) -> Result<Space, Failure> {
        let memory = args.goal.memory_choice(goal);
        let wanted_backend = if self.backend == Backends::Heap { BackendType::HashMap } else { BackendType::RocksDb };
        let start = start(args, plan, wanted_backend, memory)?;
        let other = (self.backend == Backends::Both).then(|| other(plan, &start));
        let wanted = Wanted { tune: self.tune.clone(), fix: self.fix.clone(), memory, other };
        let space = Space::around(&start, &wanted).map_err(Failure::input)?;
        if goal.objectives.contains(&Quantity::Memory) && space.memory_bytes(&space.start_point()).is_none() {
            let message = format!(
                "{}: no budget bounds its memory (state.backend.rocksdb.memory.managed is false), so there is none to make less of",
                start.name
            );
            return Err(Failure::input(message));
        }
        Ok(space)
    }
}

/// The configuration that the search starts from: the one that is named, else the first on the backend, with the memory that is asked
/// for where one has just that.
fn start(args: &Args, plan: &Plan, backend: BackendType, memory: MemoryChoice) -> Result<Configuration, Failure> {
    let mut known: Vec<&Configuration> = Vec::new();
    for cell in &plan.cells {
        if !known.iter().any(|configuration| configuration.name == cell.configuration.name) {
            known.push(&cell.configuration);
        }
    }
    if let Some(name) = args.overrides.configurations().first() {
        let found = known.iter().find(|configuration| configuration.base == *name);
        let hint = || {
            nearest(name, known.iter().map(|configuration| configuration.name.as_str())).unwrap_or_default().to_owned()
        };
        let found = found.ok_or_else(|| {
            Failure::input(format!("--configuration {name}: not in the workload; the nearest is {}", hint()))
        })?;
        if found.options.backend == BackendType::Null {
            return Err(Failure::input(format!(
                "--configuration {name}: the null backend keeps nothing, so there is nothing to tune"
            )));
        }
        return Ok((*found).clone());
    }
    let fits = |configuration: &&&Configuration| configuration.options.backend == backend;
    let has_memory = |configuration: &&&Configuration| match memory {
        MemoryChoice::Fixed(bytes) => configuration.options.memory_budget_bytes() == Some(bytes),
        MemoryChoice::AsItIs | MemoryChoice::UpTo(_) => true,
    };
    let found = known.iter().filter(fits).find(has_memory).or_else(|| known.iter().find(fits));
    Ok(found.map_or_else(|| default_of(plan, backend), |configuration| (*configuration).clone()))
}

/// A configuration on a backend with Flink's defaults, for this job.
fn default_of(plan: &Plan, backend: BackendType) -> Configuration {
    let mut configurations = Configuration::defaults();
    configurations.retain(|configuration| configuration.options.backend == backend);
    let mut configuration = configurations.swap_remove(0);
    configuration.options.job = plan.wire.job_shape();
    configuration
}

/// The configuration on the other backend: that of the file, else one whose TaskManager is that of the start, with managed memory left
/// to the heap where the state is there.
fn other(plan: &Plan, start: &Configuration) -> Configuration {
    let backend =
        if start.options.backend == BackendType::RocksDb { BackendType::HashMap } else { BackendType::RocksDb };
    let own = plan
        .cells
        .iter()
        .map(|cell| &cell.configuration)
        .find(|configuration| configuration.options.backend == backend);
    if let Some(own) = own {
        return own.clone();
    }
    let mut configuration = default_of(plan, backend);
    let is_shared = |key: &str| key.starts_with("taskmanager.") || key.starts_with("execution.");
    for (key, value) in start.given.iter().filter(|(key, _)| is_shared(key)) {
        let mut changed = configuration.clone();
        if changed.set(key, value).is_ok() && changed.options.validate().is_ok() {
            configuration = changed;
        }
    }
    if backend == BackendType::HashMap {
        let mut changed = configuration.clone();
        if changed.set("taskmanager.memory.managed.size", "0b").is_ok() && changed.options.validate().is_ok() {
            configuration = changed;
        }
    }
    configuration
}

/// Where the result goes, and the notes to go on from.
fn place(args: &Args, task: &Task) -> Result<(RunOptions, Option<RunResult>), Failure> {
    let Some(resume) = &args.resume else {
        let name = format!("{}-tune", task.plan.name);
        let mut plan = task.plan.clone();
        plan.cells.retain(|cell| cell.configuration.name == task.space.start().name);
        return Ok((args.place.options(&plan, &name, args.quiet, args.overrides.quick())?, None));
    };
    let result =
        RunResult::load(resume).map_err(|error| Failure::input(format!("--resume {}: {error}", resume.display())))?;
    let options = RunOptions {
        output: resume.clone(),
        state_folder: args.place.state_folder(),
        quiet: args.quiet,
        quick: args.overrides.quick(),
    };
    Ok((options, Some(result)))
}

/// What a user should know before the search.
fn remarks(task: &Task) -> Vec<String> {
    let mut remarks = Vec::new();
    let names = |plan: &Plan| {
        plan.variants.iter().filter(|variant| matches!(variant.workload.source, Source::Trace(_))).count()
    };
    if names(&task.plan) > 0 {
        remarks.push(
            "note: the events are those of a trace, the same in every trial: what is proved holds for them, and says nothing of others"
                .to_owned(),
        );
    }
    let Options { backend, .. } = &task.space.start().options;
    let on_heap =
        *backend == BackendType::HashMap || task.space.dimensions().iter().any(|one| one.key == "state.backend.type");
    if on_heap {
        remarks.push(
            "note: what the heap does is measured without a JVM's collections; `gc-model predict` tells what those add"
                .to_owned(),
        );
    }
    remarks
}

impl Failure {
    fn of_search(error: TuneError, resumed: Option<&Path>) -> Self {
        let place = resumed.map_or_else(String::new, |path| format!("--resume {}: ", path.display()));
        match error {
            TuneError::OtherSearch | TuneError::OtherSetup(_) | TuneError::Finished => {
                Self::input(format!("{place}{error}"))
            }
            TuneError::Workload(_)
            | TuneError::Budget(..)
            | TuneError::Metric(..)
            | TuneError::Limits(_)
            | TuneError::Start
            | TuneError::Bimodal
            | TuneError::Trial { environment: false, .. } => Self::input(error),
            TuneError::Differing(what) => {
                say(&what);
                Self::differing()
            }
            TuneError::Interrupted(_) => Self::interrupted(error),
            TuneError::Compare(error) => Self::of_comparison(error),
            TuneError::Trial { .. } | TuneError::Save(..) | TuneError::Run(_) => Self::environment(error),
        }
    }
}
