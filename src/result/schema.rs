//! The schema of a result file, and how it is loaded and saved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AllocatorStalls, CacheCurve, Checkpoints, Growth, Interleaved, Latency, Manifest, MaxRate, OpenLoop,
    PhaseMeasurement, ProcessUse, RehashStalls, Steadiness, StoreCounters, StoreMemory, StoreShape, Timeline, TrialRun,
    Tuning, WorkingSet, save_json,
};
use crate::state::Digest;
use crate::workload::WorkloadWire;

/// The version of the schema that this program writes. It grows when a reader of an older version would be misled.
pub const SCHEMA_VERSION: u32 = 2;

/// Everything that one `run` found. Figures are measured unless their description says *configured* or *modelled*.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunResult {
    /// Version of this schema.
    pub schema_version: u32,
    /// Where and with what it was measured.
    pub manifest: Manifest,
    /// Name of the workload.
    pub name: String,
    /// What job the workload stands for.
    pub description: Option<String>,
    /// The workload file with overrides and every default filled in (configured).
    pub workload: WorkloadWire,
    /// The workloads that its matrix spans; one without a matrix.
    pub variants: Vec<VariantInfo>,
    /// Trials that the plan holds; fewer below mean that the run was cut short.
    pub planned_trials: usize,
    /// The trials, in the order they ran.
    pub trials: Vec<Trial>,
    /// Whether the trials of each workload computed the same.
    pub agreements: Vec<Agreement>,
    /// The highest rates that a search has found; empty where none was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub max_rates: Vec<MaxRate>,
    /// How its pairs were run and looked at; none where trials were not interleaved to be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interleaved: Option<Interleaved>,
    /// The search whose proof its trials are; none where settings were not searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<Box<Tuning>>,
    /// Whether the user stopped the run.
    pub interrupted: bool,
}

/// One workload of the matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariantInfo {
    /// The choices, such as `keys.cardinality=1000`; empty without a matrix over the workload.
    pub label: String,
    /// The resolved workload (configured).
    pub workload: WorkloadWire,
}

/// One run of one configuration, in a process of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Position of its workload in `variants`.
    pub variant: usize,
    /// Name of the configuration, with its choices in the matrix.
    pub configuration: String,
    /// Its name in the workload file.
    pub base: String,
    /// What the trial takes of each axis of the matrix that it heeds, by Flink key or path in the workload file.
    pub knobs: BTreeMap<String, String>,
    /// Every option of the configuration with its value (configured).
    pub options: BTreeMap<String, String>,
    /// Which repeat it is, from 0.
    pub repeat: u32,
    /// Whether RocksDB's counters were on: a companion of the trials that are measured, slower than they are.
    pub companion: bool,
    /// The seed of its event stream (configured).
    pub seed: u64,
    /// How it was run.
    #[serde(default)]
    pub run: TrialRun,
    /// What came of it.
    pub outcome: Outcome,
}

impl Trial {
    /// The workload and the configuration that it is a repeat of.
    pub fn cell(&self) -> (usize, &str) {
        (self.variant, &self.configuration)
    }

    /// Its options without the folders of one machine, which are of no use elsewhere.
    pub fn portable_options(&self) -> impl Iterator<Item = (&String, &String)> {
        self.options.iter().filter(|(key, _)| !key.ends_with(".localdir") && !key.ends_with(".log.dir"))
    }
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It ran to its end.
    Finished(Box<Measurement>),
    /// It failed.
    Failed {
        /// Why.
        reason: String,
        /// Whether the environment is to blame (disk, memory, permission) rather than the input.
        environment: bool,
    },
    /// Its state does not fit the memory that the configuration gives a job. The trial ended there, and is not compared
    /// with others.
    OutOfMemory(OutOfMemory),
    /// The user stopped it.
    Interrupted,
}

/// Where a job would have run out of memory, by the sizes that its objects have on a Java heap (modelled).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutOfMemory {
    /// The part of the trial: `prefill`, `warm-up`, `measure` or `verify`.
    pub phase: String,
    /// Events of that part before it happened, to a block of events.
    pub event: u64,
    /// What the state then took, snapshots included: of all subtasks that share the TaskManager's heap, bytes (modelled).
    pub jvm_live_bytes: u64,
    /// What the heap has for state: all but what a bare process takes and the two regions that the G1 collector needs
    /// to evacuate into, bytes (modelled).
    pub jvm_room_bytes: u64,
    /// The heap that `taskmanager.memory.*` gives, bytes (configured).
    pub jvm_heap_bytes: u64,
}

impl std::fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "would have run out of memory at event {} of the {}: its state takes {:.0} MiB of a Java heap of {:.0} MiB, \
             which has {:.0} MiB for state (modelled)",
            self.event,
            self.phase,
            mib(self.jvm_live_bytes),
            mib(self.jvm_heap_bytes),
            mib(self.jvm_room_bytes)
        )
    }
}

/// What the state takes in memory, where it is kept on the heap. Sizes on a Java heap follow from HotSpot's layout of
/// the objects that Flink would hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeapMemory {
    /// The state on a Java heap at the end of the measured part, all subtasks, bytes (modelled).
    pub jvm_live_bytes: u64,
    /// The arrays of hash buckets in it, bytes (modelled).
    pub jvm_array_bytes: u64,
    /// Objects of the state, what only snapshots keep left out (modelled); none in results of earlier versions.
    #[serde(default)]
    pub jvm_objects: Option<u64>,
    /// Entries: of a map state one for each key.
    pub entries: u64,
    /// What accesses to the state would have allocated on a Java heap in the measured part, bytes (modelled). Records
    /// and what a pipeline makes of them come on top.
    pub jvm_allocated_bytes: u64,
    /// The heap of each TaskManager (configured).
    pub jvm_heap_bytes: u64,
    /// TaskManagers that the subtasks fill (configured).
    pub task_managers: u16,
    /// What this process had allocated at the end of the measured part, bytes.
    pub process_live_bytes: Option<u64>,
    /// What operator and state allocated in this process in the measured part, bytes.
    pub process_allocated_bytes: Option<u64>,
    /// What growing hash tables stood still for since the trial began, the prefill included; none in results of earlier
    /// versions.
    #[serde(default)]
    pub rehash: Option<RehashStalls>,
    /// What large calls of the allocator took; none in results of earlier versions.
    #[serde(default)]
    pub allocator: Option<AllocatorStalls>,
}

/// What a trial measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Subtasks (configured).
    pub parallelism: u16,
    /// Keys that were put into the state before the run.
    pub prefill_keys: u64,
    /// Where they came from.
    pub prefill_by: PrefillOrigin,
    /// How long that took, with flushes and compactions that it caused, s; of a copy the time to copy and open it.
    pub prefill_s: f64,
    /// Events before the measured part.
    pub warm_up_events: u64,
    /// Events of the measured part.
    pub events: u64,
    /// Rows of a trace that were skipped because a value was missing.
    pub skipped_rows: u64,
    /// Duration of the measured part on the wall, s: event generation included.
    pub wall_s: f64,
    /// Time that each subtask spent in its operator and state, s.
    pub busy_s: Vec<f64>,
    /// Measured events over the time of the busiest subtask, 1/s: what the job could sustain if the source were free.
    pub throughput_events_per_s: f64,
    /// How latency was taken, and what that cost.
    pub timing: Timing,
    /// Share of timed events that took longer than 300 µs, 0 to 1.
    pub slow_event_share: f64,
    /// The phases of the measured part, in order; empty where the workload has none.
    #[serde(default)]
    pub phases: Vec<PhaseMeasurement>,
    /// Latency of whole events.
    pub event_latency: Latency,
    /// Latency of state accesses by kind.
    pub access_latency: Vec<AccessLatency>,
    /// Duration of windows of `timing.window_events` events, where events are sampled: it bounds every pause.
    pub window_duration: Option<Latency>,
    /// Digest over all emitted results, warm-up included.
    pub emitted: Digest,
    /// Digest over the state.
    pub state: Digest,
    /// Events after which the state digest was taken: all, or the verification pass of a trial measured for a duration.
    pub state_after_events: u64,
    /// Resident memory of the trial's process at the end of the measured part, bytes.
    pub resident_bytes: Option<u64>,
    /// Largest resident memory of the trial's process, bytes.
    pub resident_peak_bytes: Option<u64>,
    /// What the trial's process took of the machine in the measured part; none where the system does not say.
    #[serde(default)]
    pub process: Option<ProcessUse>,
    /// Size of the state's files at the end of the measured part, bytes; none where the state is in memory.
    pub store_bytes: Option<u64>,
    /// Memory of the RocksDB databases: budget and use.
    pub store_memory: Option<StoreMemory>,
    /// Shape of the RocksDB databases at the end of the measured part.
    pub store_shape: Option<StoreShape>,
    /// What RocksDB counted in the measured part; only where it counts, which a companion trial is for.
    pub store_counters: Option<StoreCounters>,
    /// The hit rate that block caches of other sizes would have had (modelled); only where RocksDB counts and its databases
    /// share memory.
    #[serde(default)]
    pub cache_curve: Option<CacheCurve>,
    /// What the state takes in memory; none where it is not on the heap.
    #[serde(default)]
    pub heap: Option<HeapMemory>,
    /// Events of the measured part that came too late and were dropped.
    #[serde(default)]
    pub late_events: u64,
    /// Timers that were fired in the measured part; none where none were.
    #[serde(default)]
    pub firing: Option<Firing>,
    /// How much state was held over the measured part; none where it was not looked at.
    #[serde(default)]
    pub growth: Option<Growth>,
    /// The size of a full checkpoint of the state at the end of the measured part, without the header with the serializers,
    /// bytes; none where the state was not looked at.
    #[serde(default)]
    pub checkpoint_bytes: Option<u64>,
    /// The open loop, where events arrived at a rate of their own.
    #[serde(default)]
    pub open_loop: Option<OpenLoop>,
    /// The checkpoints of the measured part; none where none were to be taken.
    #[serde(default)]
    pub checkpoints: Option<Checkpoints>,
    /// The measured part over time; none in results of earlier versions.
    #[serde(default)]
    pub timeline: Option<Timeline>,
    /// Whether the warm-up had done what it is for; none in results of earlier versions.
    #[serde(default)]
    pub steadiness: Option<Steadiness>,
    /// What the working set was served from; none where nothing tells.
    #[serde(default)]
    pub working_set: Option<WorkingSet>,
    /// Latency of the events that were processed while something went on, and `undisturbed` that of all others; without
    /// what never went on.
    #[serde(default)]
    pub latency_during: Vec<ConditionLatency>,
    /// The operators of a pipeline behind the first, in the order in which rows flow. `event_latency` is that of the first.
    #[serde(default)]
    pub later: Vec<OperatorMeasurement>,
    /// The latest results of an operator with few keys, by key.
    #[serde(default)]
    pub latest: Vec<KeyedResult>,
}

/// What an operator of a pipeline behind the first did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorMeasurement {
    /// Its name in the pipeline.
    pub name: String,
    /// Latency of whole rows.
    pub row_latency: Latency,
    /// Digest over what it has emitted, warm-up included; none in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emitted: Option<Digest>,
}

/// A result of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyedResult {
    /// The key.
    pub key: i64,
    /// The result.
    pub value: i64,
}

/// Timers that were fired. An event waits while they are: that time is not in its own latency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Firing {
    /// Their number.
    pub timers: u64,
    /// Time spent on them, all subtasks, s.
    pub busy_s: f64,
    /// How long one move of time took that fired timers: what an event behind it waits for.
    pub burst: Latency,
}

/// Events that take longer are slow: a lookup that reads and unpacks an index block again takes longer, hardly any other
/// access does.
pub const SLOW_EVENT_NS: u64 = 300_000;
/// Share of the timed events that were slow, 0 to 1.
pub fn slow_event_share(events: &Histogram<u64>) -> f64 {
    let slow = events.iter_recorded().filter(|at| at.value_iterated_to() > SLOW_EVENT_NS);
    slow.map(|at| at.count_at_value()).sum::<u64>() as f64 / events.len().max(1) as f64
}

/// A trial of which a larger share of events is slow is in the slow regime.
const SLOW_SHARE: f64 = 0.01;

impl Measurement {
    /// Whether the trial ran in the slow regime: more than 1 % of its events took over 300 µs.
    pub fn is_slow(&self) -> bool {
        self.slow_event_share > SLOW_SHARE
    }

    /// Digest over what the first operator has emitted: all of it that was not the others'.
    pub fn first_emitted(&self) -> Digest {
        let others = self.later.iter().map(|operator| operator.emitted.unwrap_or_default());
        let others = Digest::of_operators(std::iter::once(Digest::default()).chain(others));
        let Digest { sum, count } = self.emitted;
        Digest { sum: sum.wrapping_sub(others.sum), count: count.saturating_sub(others.count) }
    }

    /// One in which nothing was measured, to be filled in.
    pub(crate) fn of_nothing() -> Self {
        Self {
            parallelism: 1,
            prefill_keys: 0,
            prefill_by: PrefillOrigin::Own,
            prefill_s: 0.0,
            warm_up_events: 0,
            events: 0,
            skipped_rows: 0,
            wall_s: 0.0,
            busy_s: vec![0.0],
            throughput_events_per_s: 0.0,
            timing: Timing {
                strategy: TimingStrategy::Every,
                sample_every: 1,
                window_events: None,
                untimed_event_ns: None,
                loss_per_timed_event_ns: None,
                loss_share: None,
                empty_interval_ns: 0,
                record_ns: None,
                harness_ns_per_event: None,
                looking_share: None,
            },
            slow_event_share: 0.0,
            phases: Vec::new(),
            event_latency: Latency { summary: super::LatencySummary::default(), histogram: String::new() },
            access_latency: Vec::new(),
            window_duration: None,
            emitted: Digest::default(),
            state: Digest::default(),
            state_after_events: 0,
            resident_bytes: None,
            resident_peak_bytes: None,
            process: None,
            store_bytes: None,
            store_memory: None,
            store_shape: None,
            store_counters: None,
            cache_curve: None,
            heap: None,
            late_events: 0,
            firing: None,
            growth: None,
            checkpoint_bytes: None,
            checkpoints: None,
            open_loop: None,
            timeline: None,
            steadiness: None,
            working_set: None,
            latency_during: Vec::new(),
            later: Vec::new(),
            latest: Vec::new(),
        }
    }
}

/// Where the state that was there before a run came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PrefillOrigin {
    /// The trial's own prefill.
    Own,
    /// A prefill that several trials start from: table files are hard links to it.
    Linked,
    /// The same on a file system without hard links: table files were copied.
    Copied,
    /// Of the heap: read from a snapshot that several trials start from.
    Restored,
}

/// Latency of one kind of state access.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccessLatency {
    /// The kind, such as `value.get`.
    pub kind: String,
    /// Its latency.
    #[serde(flatten)]
    pub latency: Latency,
}

/// Latency of the events that were processed while something went on beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConditionLatency {
    /// What went on: `checkpoint`, `flush`, `compaction`, `write stall`, `rehash`; or `undisturbed`. An event may have seen
    /// several.
    pub during: String,
    /// Their latency.
    #[serde(flatten)]
    pub latency: Latency,
}

/// How latency was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Whether every event or a sample was timed.
    pub strategy: TimingStrategy,
    /// One event in this many was timed.
    pub sample_every: u32,
    /// Events of a window; none where every event was timed, and in results of earlier versions, whose windows had as many as
    /// `sample_every`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_events: Option<u32>,
    /// Duration of an event without timing, in the warm-up, ns; none where the warm-up was too short to calibrate.
    pub untimed_event_ns: Option<f64>,
    /// What timing one event added, in the warm-up, ns.
    pub loss_per_timed_event_ns: Option<f64>,
    /// The share of throughput that timing took (modelled: with x = loss per timed event × timed
    /// share, x over untimed event + x).
    pub loss_share: Option<f64>,
    /// An empty timed interval, taken off every reading, ns.
    pub empty_interval_ns: u64,
    /// What recording one latency takes, in this process before the trial, ns; none in results of earlier versions.
    #[serde(default)]
    pub record_ns: Option<f64>,
    /// Time on the wall that the measured part took for each event beside the busiest subtask: making and routing events, and
    /// looking at stores, in an open loop waiting too, ns. It is in no other figure.
    #[serde(default)]
    pub harness_ns_per_event: Option<f64>,
    /// The share of the measured part that looking at the stores took, of the subtask that it took most.
    #[serde(default)]
    pub looking_share: Option<f64>,
}

/// Which events were timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimingStrategy {
    /// Every event, by chained clock readings.
    Every,
    /// One event at a random place in each window.
    Sampled,
}

/// Whether the trials of one workload and repeat computed the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Position of the workload in `variants`.
    pub variant: usize,
    /// The repeat.
    pub repeat: u32,
    /// Trials that were compared.
    pub trials: usize,
    /// Trials of Flink that were compared beside them by what they have emitted; their state is not looked at.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flink_trials: usize,
    /// Events after which the emitted results were compared.
    pub emitted_after_events: u64,
    /// Digest over the results emitted until then, of the first trial.
    pub emitted: Digest,
    /// Events after which the state was compared.
    pub state_after_events: u64,
    /// Digest over the state then, of the first trial.
    pub state: Digest,
    /// Where trials part, one line each; empty when all agree.
    pub differences: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Why a result file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be opened.
    #[error("{0}: cannot read the result file: {1}")]
    Read(String, #[source] std::io::Error),
    /// It is not a result.
    #[error("{0}: not a statebench result: {1}")]
    Format(String, String),
    /// It is of a version that this program does not know.
    #[error("{0}: is of schema version {1}; this statebench reads version {SCHEMA_VERSION}")]
    Version(String, u64),
}

impl RunResult {
    /// The label of a variant, by its number; empty where a run has but one, or none of that number.
    pub fn variant_label(&self, variant: usize) -> &str {
        self.variants.get(variant).map_or("", |variant| variant.label.as_str())
    }

    /// Loads a result file.
    ///
    /// # Errors
    /// The file cannot be read, is not a result, or is of another schema version.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| LoadError::Read(name.clone(), error))?;
        let format = |error: serde_json::Error| LoadError::Format(name.clone(), error.to_string());
        // The version is looked at first: a newer file must not fail over a field that it added.
        let json: serde_json::Value = serde_json::from_str(&text).map_err(format)?;
        match json.get("schema_version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(SCHEMA_VERSION) => serde_json::from_value(json).map_err(format),
            Some(version) => Err(LoadError::Version(name, version)),
            None => Err(LoadError::Format(name, "it has no schema_version".to_owned())),
        }
    }

    /// Writes the result as [`save_json`] does.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        save_json(self, path)
    }

    /// Whether every group of trials that was compared agreed, and every restore with its run.
    pub fn all_agree(&self) -> bool {
        let restored =
            |m: &Measurement| m.checkpoints.as_ref().and_then(|c| c.restore.as_ref()).is_none_or(|r| r.agrees);
        self.agreements.iter().all(|agreement| agreement.differences.is_empty())
            && self.all_finished().all(|(_, measurement)| restored(measurement))
    }

    /// Whether any trial has come to an answer.
    pub fn has_answers(&self) -> bool {
        self.trials.iter().any(|trial| matches!(trial.outcome, Outcome::Finished(_) | Outcome::OutOfMemory(_)))
    }

    /// The finished trials with what they measured, companions left out.
    pub fn finished(&self) -> impl Iterator<Item = (&Trial, &Measurement)> {
        self.all_finished().filter(|(trial, _)| !trial.companion)
    }

    /// The last finished trial of each workload and configuration, companions left out, in the order in which they ran.
    pub fn last_of_each(&self) -> impl Iterator<Item = (&Trial, &Measurement)> {
        let finished: Vec<_> = self.finished().collect();
        let mut told = BTreeSet::new();
        let mut last: Vec<_> = finished.into_iter().rev().filter(|(trial, _)| told.insert(trial.cell())).collect();
        last.reverse();
        last.into_iter()
    }

    /// The finished trials with what they measured, companions included.
    pub fn all_finished(&self) -> impl Iterator<Item = (&Trial, &Measurement)> {
        self.trials.iter().filter_map(|trial| match &trial.outcome {
            Outcome::Finished(measurement) => Some((trial, measurement.as_ref())),
            _ => None,
        })
    }
}
