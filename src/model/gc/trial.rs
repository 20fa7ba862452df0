//! The model's input from a result: what a heap trial tells of its job.

use super::{DEFAULT_CORES, Events, Job, Slots, Turnover};
use crate::result::{HeapMemory, Measurement, RunResult, Trial};
use crate::state::{JVM_BASE, JVM_ENTRY, JVM_LONG, JvmHeap};
use crate::workload::{GcModel, KeySampler, Operator, Source, Workload};

/// Objects of the process that stay beside the state where nothing is said, bytes: the least that was measured, of a bare process.
const OTHER_LIVE_BYTES: u64 = JVM_BASE;
/// Garbage that the pipeline makes of an event where nothing is said, bytes: the least that was measured, a boxed key for each
/// record.
const GARBAGE_BYTES: u64 = JVM_LONG;

/// The job of a heap trial, as one of its TaskManagers has it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialJob {
    /// The choices of its workload; empty without a matrix over the workload.
    pub workload: String,
    /// The configuration.
    pub configuration: String,
    /// The model's input.
    pub job: Job,
    /// The state alone, bytes.
    pub state_bytes: f64,
    /// Entries of the state.
    pub entries: f64,
    /// The heap that the configuration gives.
    pub heap: JvmHeap,
    /// TaskManagers that share the job's events and state.
    pub task_managers: u16,
    /// What was measured of its events, of an open loop that kept up their response times; none where nothing was recorded.
    pub events: Option<Events>,
    /// The rate at which the events of the whole job are offered: what is said of it, else that of an open loop; none in a closed
    /// loop, whose rate says nothing of a JVM.
    pub offered_per_s: Option<f64>,
    /// What is asked.
    pub asked: GcModel,
    /// Whether the keys' distribution is that of the workload; else they are taken to be uniform.
    pub knows_keys: bool,
}

impl TrialJob {
    /// Cores of a TaskManager: those that are asked about, else those that the model was measured on.
    pub fn cores(&self) -> u32 {
        self.asked.cores.unwrap_or(DEFAULT_CORES)
    }
}

/// The jobs of the heap trials of a result, of each configuration the last one. What is stated here goes before what the workload
/// asks.
pub fn jobs_of(result: &RunResult, stated: &GcModel) -> Vec<TrialJob> {
    let job =
        |(trial, measurement): (&Trial, &Measurement)| job_of(result, trial, measurement, measurement.heap?, stated);
    result.last_of_each().filter_map(job).collect()
}

/// The job of a trial; none where it held no objects, did nothing, or its objects were not counted.
fn job_of(
    result: &RunResult,
    trial: &Trial,
    measurement: &Measurement,
    heap: HeapMemory,
    stated: &GcModel,
) -> Option<TrialJob> {
    let managers = f64::from(heap.task_managers.max(1));
    let state = State { heap, objects: heap.jvm_objects? as f64 };
    if heap.entries == 0 || measurement.events == 0 {
        return None;
    }
    let wire = &result.variants.get(trial.variant)?.workload;
    let workload = Workload::new(wire, std::path::Path::new("")).ok();
    let keys = workload.as_ref().filter(|workload| matches!(workload.source, Source::Generated));
    let asked = match workload.as_ref().and_then(|workload| workload.gc_model.as_ref()) {
        Some(of_file) => stated.clone().or(of_file),
        None => stated.clone(),
    };
    let turnover = state.turnover(measurement, workload.as_ref(), keys, managers);
    let (bytes, objects) = (heap.jvm_live_bytes as f64 / managers, state.objects / managers);
    let allocated = heap.jvm_allocated_bytes as f64 / measurement.events as f64;
    let garbage = asked.garbage_bytes.unwrap_or(GARBAGE_BYTES) as f64;
    let kept_up = measurement.open_loop.as_ref().filter(|open_loop| !open_loop.saturated);
    let offered_per_s = measurement.open_loop.as_ref().map(|open_loop| open_loop.offered_events_per_s);
    let of_entry = bytes * managers / heap.entries as f64;
    Some(TrialJob {
        workload: result.variant_label(trial.variant).to_owned(),
        configuration: trial.configuration.clone(),
        job: Job {
            live_bytes: (bytes + asked.live_bytes.unwrap_or(OTHER_LIVE_BYTES) as f64).max(1.0),
            live_objects: objects,
            allocated_bytes: (allocated + garbage).max(1.0),
            turnover,
            load_survival: of_entry / (of_entry + garbage),
        },
        state_bytes: bytes,
        entries: heap.entries as f64 / managers,
        heap: JvmHeap { bytes: heap.jvm_heap_bytes },
        task_managers: heap.task_managers.max(1),
        events: Events::of(
            kept_up.map_or(&measurement.event_latency, |open_loop| &open_loop.response),
            measurement.throughput_events_per_s / managers,
        ),
        offered_per_s: asked.events_per_s.or(offered_per_s),
        asked,
        knows_keys: keys.is_some(),
    })
}

/// The state of a trial.
struct State {
    heap: HeapMemory,
    objects: f64,
}

impl State {
    /// What an event replaces. What a write allocates stays reachable until the next write of its slot.
    fn turnover(
        &self,
        measurement: &Measurement,
        workload: Option<&Workload>,
        keys: Option<&Workload>,
        managers: f64,
    ) -> Turnover {
        let entries = self.heap.entries as f64;
        let of_values = self.heap.jvm_live_bytes.saturating_sub(self.heap.jvm_array_bytes) as f64 / entries;
        // Entry and key stay; a key is a boxed long, or little more.
        let value_bytes = (of_values - (JVM_ENTRY + JVM_LONG) as f64).max(0.0);
        let value_objects = (self.objects / entries - 2.0).max(0.0);
        // Values that are hardly there are numbers of which most are shared.
        let is_shared = value_bytes < JVM_LONG as f64 / 3.0;
        let objects_per_byte = if is_shared { 1.0 / JVM_LONG as f64 } else { value_objects / value_bytes };
        let writes = writes_per_event(measurement);
        let allocated = self.heap.jvm_allocated_bytes as f64 / measurement.events as f64;
        let payload_bytes = allocated / writes;
        let slots_of_entry = match workload.map(|workload| &workload.operator) {
            Some(Operator::Map { entries }) => f64::from(*entries),
            _ => (value_bytes / payload_bytes.max(1.0)).max(1.0),
        };
        let count = entries * slots_of_entry / managers;
        let slots = match keys {
            Some(workload) => {
                let sampler = KeySampler::new(&workload.keys, 0);
                let of_key = |key: f64| (key / managers).max(0.0);
                Slots::of_keys(count, slots_of_entry, |writes| {
                    of_key(sampler.distinct_expected((writes as f64 * managers) as u64))
                })
            }
            None => Slots::uniform(count),
        };
        Turnover { slots, payload_bytes, payload_objects: payload_bytes * objects_per_byte, writes }
    }
}

/// State accesses of an event that leave something behind, from those that were timed; 1 where none was.
fn writes_per_event(measurement: &Measurement) -> f64 {
    const WRITES: [&str; 6] = ["value.update", "list.add", "list.update", "map.put", "reducing.add", "aggregating.add"];
    let is_write = |kind: &str| WRITES.contains(&kind);
    let timed = measurement.access_latency.iter().filter(|access| is_write(&access.kind));
    let writes = timed.map(|access| access.latency.summary.count).sum::<u64>() as f64;
    let events = measurement.event_latency.summary.count as f64;
    if writes > 0.0 && events > 0.0 { writes / events } else { 1.0 }
}
