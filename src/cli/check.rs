//! `statebench check`

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;

use super::{Failure, Outcome, print, say};
use crate::flink::lint::{Context, Finding, Severity, lint};
use crate::report::printable;
use crate::result::Host;
use crate::run::{IndexCliff, Prediction, index_cliff, predict, state_parent};
use crate::source::trace::TraceReader;
use crate::workload::{
    BackendType, Bytes, CheckpointClock, CheckpointTrigger, Configuration, Document, Extent, FlinkSource, KnownKey,
    MixOperation, Options, Phase, Plan, PlannedTrial, Reader, SavepointPlan, Setting, Source, Time, Workload,
    WorkloadWire,
};

/// The workload of a command, with what the command line lays over it.
#[derive(Debug, ClapArgs)]
pub struct WorkloadArgs {
    /// The workload file
    workload: PathBuf,
    #[command(flatten)]
    pub(super) overrides: Overrides,
}

/// What the command line lays over a workload file.
#[derive(Debug, ClapArgs)]
pub struct Overrides {
    /// Add the options of a Flink configuration file (config.yaml, or the flink-conf.yaml of Flink 1.x) as a
    /// configuration named after it
    #[arg(long, value_name = "FILE")]
    flink_config: Vec<PathBuf>,
    /// Override a value of the file (keys.cardinality=1000), or a Flink option of every configuration that heeds it
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<Setting>,
    /// Subtasks, one thread each
    #[arg(long, value_name = "N")]
    parallelism: Option<u16>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Trials of each configuration
    #[arg(long, value_name = "N")]
    repeats: Option<u32>,
    /// Run only this configuration of the file; may be given more than once
    #[arg(long, value_name = "NAME")]
    configuration: Vec<String>,
    /// Where checkpoints go and stay: a folder, or a URL of an object store (s3://, gs://, abfs://)
    #[arg(long, value_name = "URL")]
    checkpoint_dir: Option<String>,
    /// Take a canonical savepoint half-way, in a folder of its own in this one
    #[arg(long, value_name = "URL")]
    savepoint: Option<String>,
    /// Go on from a checkpoint or savepoint, at any parallelism
    #[arg(long, value_name = "URL")]
    restore_from: Option<String>,
    /// Shrink it to a few seconds: one repeat, few events and keys, the ends of each axis; no measurement
    #[arg(long)]
    quick: bool,
}

impl WorkloadArgs {
    /// The workload file.
    pub fn path(&self) -> &Path {
        &self.workload
    }

    /// Whether `--quick` was given.
    pub fn quick(&self) -> bool {
        self.overrides.quick
    }

    /// Reads the file and lays the overrides over it.
    pub fn plan(&self) -> Result<Plan, Failure> {
        self.overrides.plan(&self.workload)
    }
}

impl Overrides {
    /// Whether `--quick` was given.
    pub fn quick(&self) -> bool {
        self.quick
    }

    /// The configurations that are named, in their order.
    pub fn configurations(&self) -> &[String] {
        &self.configuration
    }

    /// An option that makes no sense where trials are pairs, if it is given.
    pub fn not_for_pairs(&self) -> Option<&'static str> {
        [
            ("--repeats", self.repeats.is_some()),
            ("--checkpoint-dir", self.checkpoint_dir.is_some()),
            ("--savepoint", self.savepoint.is_some()),
        ]
        .into_iter()
        .find_map(|(option, is_given)| is_given.then_some(option))
    }

    /// Whether anything is laid over a file.
    pub fn is_empty(&self) -> bool {
        let Self { flink_config, set, parallelism, seed, configuration, restore_from, quick, .. } = self;
        let none_is_set = parallelism.is_none() && seed.is_none() && restore_from.is_none() && !quick;
        none_is_set
            && flink_config.is_empty()
            && set.is_empty()
            && configuration.is_empty()
            && self.not_for_pairs().is_none()
    }

    /// Reads a workload file and lays the overrides over it.
    pub fn plan(&self, workload: &Path) -> Result<Plan, Failure> {
        self.plan_with(workload, &[])
    }

    /// The same with these settings too.
    pub fn plan_with(&self, workload: &Path, more: &[Setting]) -> Result<Plan, Failure> {
        self.plan_of_events(workload, None, more)
    }

    /// The same with so many events measured where a number is given, in place of a time too.
    pub fn plan_of_events(&self, workload: &Path, events: Option<u64>, more: &[Setting]) -> Result<Plan, Failure> {
        let mut settings = self.set.clone();
        settings.extend_from_slice(more);
        settings.extend(self.parallelism.map(|n| Setting::of_flag("--parallelism", "run.parallelism", &n)));
        settings.extend(self.seed.map(|n| Setting::of_flag("--seed", "run.seed", &n)));
        settings.extend(self.repeats.map(|n| Setting::of_flag("--repeats", "run.repeats", &n)));
        let places = [
            ("--checkpoint-dir", "checkpoint.dir", &self.checkpoint_dir),
            ("--savepoint", "checkpoint.savepoint.dir", &self.savepoint),
            ("--restore-from", "checkpoint.restore-from", &self.restore_from),
        ];
        for (flag, path, place) in places {
            let place = place.as_ref().map(|place| absolute(place)).transpose()?;
            settings.extend(place.map(|place| Setting::of_text(flag, path, &place)));
        }
        let mut document = Document::load(workload).map_err(Failure::input)?;
        if let Some(events) = events {
            document.measure_events();
            settings.push(Setting::of_flag("--events", "run.events", &events));
        }
        let plan = Plan::with_flink(document, &self.flink_config, &settings, self.quick);
        let mut plan = plan.map_err(Failure::input)?;
        plan.keep_configurations(&self.configuration).map_err(Failure::input)?;
        for variant in &plan.variants {
            if let Source::Trace(trace) = &variant.workload.source {
                // One that is not there, or lacks a column, shows now rather than in the first trial.
                TraceReader::open(trace).map_err(Failure::of_trace)?;
            }
        }
        Ok(plan)
    }
}

/// A place as the command line names it: a path there starts from the folder that the command is run in.
fn absolute(place: &str) -> Result<String, Failure> {
    if place.contains("://") || place.is_empty() {
        return Ok(place.to_owned());
    }
    let path = std::path::absolute(place).map_err(|error| Failure::input(format!("{place}: {error}")))?;
    path.into_os_string().into_string().map_err(|_| Failure::input(format!("{place}: the path is not UTF-8")))
}

/// Validates a workload and shows what a run of it would do, without running it.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    workload: WorkloadArgs,
    /// Folder for the state, whose free space counts
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

pub(super) fn check(args: &Args) -> Outcome {
    let plan = args.workload.plan()?;
    let state_folder = args.state_dir.clone().unwrap_or_else(std::env::temp_dir);
    print(&describe(&plan))?;
    warn(&plan);
    refuse_what_cannot_fit(&plan, &state_folder)
}

/// The plan as text.
fn describe(plan: &Plan) -> String {
    let mut out = String::new();
    let trials = plan.trials().len();
    let _ = writeln!(out, "{}: {} cells, {trials} trials", printable(&plan.name), plan.cells.len());
    for (index, variant) in plan.variants.iter().enumerate() {
        let run = &variant.workload.run;
        let source = &variant.workload.source;
        let label = if variant.label.is_empty() { "workload" } else { &variant.label };
        let _ = writeln!(
            out,
            "{}: {} · prefill {} keys · warm-up {} · measure {} · parallelism {} · repeats {} · seed {}",
            printable(label),
            operators(&variant.wire),
            variant.workload.prefill_keys(),
            extent(run.warm_up),
            extent(run.measured),
            run.groups.parallelism,
            run.repeats,
            run.seed
        );
        for phase in &variant.workload.phases {
            let _ = writeln!(out, "  phase {}", conditions(phase));
        }
        for cell in plan.cells.iter().filter(|cell| cell.variant == index) {
            let _ = writeln!(out, "  {}: {}", printable(&cell.configuration.name), needs(predict(plan, cell), source));
            if let Some(line) = checkpoints(&variant.workload, &cell.configuration.options) {
                let _ = writeln!(out, "    {}", printable(&line));
            }
            if let Some(cliff) = index_cliff(plan, cell) {
                let _ = writeln!(out, "    {}", danger(cliff));
            }
        }
    }
    if let Some(seconds) = least_seconds(plan) {
        let _ = writeln!(out, "takes at least {} beside prefill (configured)", Time(seconds));
    }
    out
}

/// What a run does about checkpoints under a configuration; none where it does nothing.
fn checkpoints(workload: &Workload, options: &Options) -> Option<String> {
    let checkpoint = &workload.checkpoint;
    let mut parts = Vec::new();
    if let Some(trigger) = checkpoint.trigger(options) {
        let kind = if options.checkpointing_incremental && options.backend == BackendType::RocksDb {
            "incremental"
        } else {
            "full"
        };
        let when = match trigger {
            CheckpointTrigger::Events(events) => format!("every {events} events"),
            CheckpointTrigger::Interval(time, CheckpointClock::Real) => format!("every {}", Time(time)),
            CheckpointTrigger::Interval(time, CheckpointClock::Virtual) => {
                format!("every {} of the virtual clock", Time(time))
            }
        };
        let dir = checkpoint.dir.as_deref().unwrap_or("a temporary folder");
        parts.push(format!("{kind} checkpoints {when} in {dir}"));
    }
    if options.backend != BackendType::Null {
        let savepoint =
            |plan: &SavepointPlan| format!("a savepoint after {} events in {}", plan.after_events, plan.dir);
        parts.extend(checkpoint.savepoint.as_ref().map(savepoint));
    }
    parts.extend(checkpoint.restore_from.as_ref().map(|place| format!("goes on from {place}")));
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// A phase, with what is different in it.
fn conditions(phase: &Phase) -> String {
    let mut parts = vec![format!("{}: {} events", printable(&phase.name), phase.events)];
    if phase.pause_ms > 0 {
        parts.push(format!("after a pause of {}", Time(Duration::from_millis(phase.pause_ms as u64))));
    }
    parts.extend(phase.rate.map(|(first, last)| match first.total_cmp(&last) {
        Ordering::Equal => format!("{first} a second"),
        _ => format!("{first} to {last} a second"),
    }));
    if phase.shift_keys > 0.0 {
        parts.push(format!("hot keys shifted by {:.0} %", 100.0 * phase.shift_keys));
    }
    let shares = phase.shares.iter().flat_map(MixOperation::shares).filter(|(_, share)| *share > 0.0);
    parts.extend(shares.map(|(operation, share)| format!("{} {:.0} %", operation.name(), 100.0 * share)));
    parts.join(" · ")
}

/// The name of the operator, or those of a pipeline in the order of the file.
fn operators(wire: &WorkloadWire) -> String {
    if wire.pipeline.is_empty() {
        return wire.operator.0.name().to_owned();
    }
    let names: Vec<_> = wire.pipeline.iter().map(|step| step.operator.0.name()).collect();
    names.join(", ")
}

/// What an index block that does not stay in its cache shard will do, and what ends it.
fn danger(cliff: IndexCliff) -> String {
    format!(
        "danger: in up to {:.0} % of runs an index block of up to {} will not stay in its cache shard of {} beside what \
         write buffers are charged by, and be read and unpacked on every lookup (modelled); \
         state.backend.rocksdb.memory.partitioned-index-filters: true ends it, or a pool of {}",
        100.0 * cliff.chance,
        rounded(cliff.index_bytes as f64),
        rounded(cliff.shard_bytes as f64),
        Bytes(cliff.pool_bytes)
    )
}

fn extent(extent: Extent) -> String {
    match extent {
        Extent::Events(events) => format!("{events} events"),
        Extent::Time(time) => Time(time).to_string(),
        Extent::SourceEnd => "the whole trace".to_owned(),
    }
}

/// Warm-up and measured time of all trials, where they are given as times.
fn least_seconds(plan: &Plan) -> Option<Duration> {
    let time = |extent| if let Extent::Time(time) = extent { Some(time) } else { None };
    let trials = plan.trials();
    let of_trial = |trial: &PlannedTrial| {
        let run = &plan.variants[plan.cells[trial.cell].variant].workload.run;
        Some(time(run.warm_up)? + time(run.measured)?)
    };
    trials.iter().map(of_trial).sum()
}

fn needs(prediction: Prediction, source: &Source) -> String {
    let (Some(entries), Some(state)) = (prediction.entries, prediction.state_bytes) else {
        let cause = if matches!(source, Source::Trace(_)) { "the trace" } else { "how far a run comes" };
        let memory = prediction.memory_bytes.map_or_else(
            || format!("memory depends on {cause}"),
            |bytes| format!("memory about {} (modelled)", rounded(bytes)),
        );
        return format!("state size depends on {cause}; {memory}");
    };
    let disk = match prediction.disk_bytes {
        Some(bytes) if bytes > 0.0 => format!("disk up to {}", rounded(bytes)),
        _ => "no disk".to_owned(),
    };
    let memory = rounded(prediction.memory_bytes.unwrap_or(0.0));
    format!("{entries:.0} entries, {} of state; memory about {memory}, {disk} (modelled)", rounded(state))
}

/// Bytes in the largest unit that leaves a whole number above 10, as a prediction deserves.
fn rounded(bytes: f64) -> String {
    let unit = [1_u64 << 30, 1 << 20, 1 << 10].into_iter().find(|unit| bytes >= 10.0 * *unit as f64).unwrap_or(1);
    Bytes((bytes / unit as f64).round() as u64 * unit).to_string()
}

/// Tells what of the plan's configurations is not as one would think, and what of a Flink file was left out.
pub(super) fn warn(plan: &Plan) {
    remarks(plan).iter().for_each(|remark| say(remark));
}

/// What each configuration of the plan is told, each once.
fn remarks(plan: &Plan) -> Vec<String> {
    let mut remarks: Vec<String> = plan.flink_sources.iter().flat_map(source_remarks).collect();
    remarks.extend(plan.left_out.iter().map(|cell| format!("note: left out: {}", printable(cell))));
    for cell in &plan.cells {
        for remark in configuration_remarks(&cell.configuration) {
            if !remarks.contains(&remark) {
                remarks.push(remark);
            }
        }
    }
    remarks
}

/// What the rules find in a configuration, then the options without effect of which they say nothing.
fn configuration_remarks(configuration: &Configuration) -> Vec<String> {
    let name = printable(&configuration.name);
    let findings = lint(&Context::of_configuration(configuration));
    let found = findings.iter().map(|Finding { severity, key, does, write, .. }| {
        format!("{severity}: {name}: `{}`: Flink {}; write: {}", printable(key), printable(does), printable(write))
    });
    let idle = configuration.without_effect().into_iter();
    let idle = idle.filter(|(key, _)| !findings.iter().any(|finding| finding.key == *key));
    let idle = idle.map(|(key, why)| {
        let severity = if is_of_a_cluster(&key) { Severity::Note } else { Severity::Warning };
        format!("{severity}: {name}: `{}` has no effect: {why}", printable(&key))
    });
    found.chain(idle).collect()
}

/// Whether a key is for what a cluster does and a run does not: no mistake where a whole configuration is taken over.
fn is_of_a_cluster(key: &str) -> bool {
    match KnownKey::find(key) {
        Some(KnownKey::Option(row)) => {
            !matches!(row.reader, Reader::Run | Reader::Database | Reader::Pool | Reader::TaskManager | Reader::Metrics)
        }
        _ => false,
    }
}

fn source_remarks(source: &FlinkSource) -> Vec<String> {
    let FlinkSource { configuration, path, dialect, ignored, not_modelled } = source;
    let (name, path) = (printable(configuration), printable(&path.display().to_string()));
    let list = |keys: &[String]| keys.iter().map(|key| format!("`{}`", printable(key))).collect::<Vec<_>>().join(", ");
    let mut remarks = vec![format!("note: {name}: {path}: read as {dialect}")];
    if !ignored.is_empty() {
        remarks.push(format!("note: {name}: {path}: ignored, nothing to do with state: {}", list(ignored)));
    }
    if !not_modelled.is_empty() {
        remarks
            .push(format!("note: {name}: {path}: left out, statebench has not what they set: {}", list(not_modelled)));
    }
    remarks
}

/// Refuses a plan of which a cell needs more memory or disk than there is.
///
/// # Errors
/// Names the cell, what it needs and what there is.
pub(super) fn refuse_what_cannot_fit(plan: &Plan, state_folder: &Path) -> Outcome {
    let memory = Host::available_memory_bytes().map(|bytes| bytes as f64);
    let mut free: BTreeMap<&Path, Option<f64>> = BTreeMap::new();
    let mut too_large = |cell| {
        let parent = state_parent(cell, state_folder);
        let free_now = || Host::of_this_machine(parent).state_free_bytes.map(|bytes| bytes as f64);
        let disk = *free.entry(parent).or_insert_with(free_now);
        let Prediction { memory_bytes, disk_bytes, .. } = predict(plan, cell);
        let over = |need: Option<f64>, have: Option<f64>| need.zip(have).filter(|(need, have)| need > have);
        let message = |what: &str, (need, have): (f64, f64)| {
            let label = &plan.variants[cell.variant].label;
            format!(
                "{} {}: needs about {} of {what} (modelled), {} are free",
                printable(label),
                printable(&cell.configuration.name),
                rounded(need),
                rounded(have)
            )
        };
        let by_memory = over(memory_bytes, memory).map(|pair| message("memory", pair));
        by_memory.or_else(|| over(disk_bytes, disk).map(|pair| message("disk", pair)))
    };
    match plan.cells.iter().find_map(&mut too_large) {
        Some(message) => Err(Failure::environment(message.trim_start())),
        None => Ok(()),
    }
}
