//! The other backend.

use crate::advise::{
    Cell, Context, Draft, Effect, Figure, FigureUnit, Note, Setting, Urgency, bytes_text, percent, rate_text, times,
    whole_mib,
};
use crate::model::gc::{
    Collector, Constants, Quantity, Rate, Request, TrialJob, Validation, built_in_runs, forecast, jobs_of,
};
use crate::state::JvmHeap;
use crate::workload::GcModel;

const BACKEND: &str = "state.backend.type";
const TASK_HEAP: &str = "taskmanager.memory.task.heap.size";
/// How much faster the heap has to be to be worth a job that its memory bounds.
const LEAST_FACTOR: f64 = 1.5;
/// The share of a Java heap that state may take at most: collectors need the rest.
const MOST_LIVE: f64 = 0.6;

/// The fastest RocksDB configuration of the same job without slow runs.
fn best_rocksdb<'a>(context: &'a Context<'a>, cell: &Cell<'_>) -> Option<&'a Cell<'a>> {
    let candidates = context.cells.iter().filter(|other| {
        other.has_job_of(cell) && other.is_rocksdb() && other.slow_trials() == 0 && other.throughput().is_some()
    });
    candidates.max_by(|a, b| a.throughput().unwrap_or(0.0).total_cmp(&b.throughput().unwrap_or(0.0)))
}

/// A state that does not fit the heap.
pub(super) fn out_of_memory<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    let Some(verdict) = cell.out_of_memory else { return Vec::new() };
    let (needed, present) =
        (verdict.jvm_live_bytes as f64, cell.options.heap_bytes().unwrap_or(verdict.jvm_heap_bytes) as f64);
    let (settings, effect) = if let Some(other) = best_rocksdb(context, cell) {
        let what = format!("it runs, at {}", rate_text(other.throughput().unwrap_or(0.0)));
        (vec![Setting::option(cell, BACKEND, "rocksdb")], Effect::measured(what, None, other))
    } else {
        let task_heap = cell.options.task_manager_memory().map_or(0, |memory| memory.task_heap_bytes) as f64;
        let larger = whole_mib(task_heap + needed / MOST_LIVE - present);
        let what = format!("room for {}, which is what the state had reached and no end of it", bytes_text(needed));
        let model = "layouts of HotSpot, with 40 % of the heap left to the collector";
        (vec![Setting::option(cell, TASK_HEAP, larger)], Effect::modelled(what, None, model))
    };
    vec![
        Draft {
            rule: "heap-out-of-memory",
            urgency: Urgency::Fails,
            cell,
            what: format!(
                "the state does not fit the heap: it ends at event {} of the {}",
                verdict.event, verdict.phase
            ),
            why: "the heap backend keeps every entry as Java objects in the heap of the TaskManager".to_owned(),
            figures: vec![
                Figure::modelled("the state as Java objects", needed, FigureUnit::Bytes),
                Figure::modelled("room that the heap has for it", verdict.jvm_room_bytes as f64, FigureUnit::Bytes),
                Figure::configured("heap", verdict.jvm_heap_bytes as f64, FigureUnit::Bytes),
            ],
            settings,
            effect,
        }
        .into(),
    ]
}

/// The job of a heap cell for the model of garbage collection.
fn job_of(context: &Context<'_>, cell: &Cell<'_>) -> Option<TrialJob> {
    let jobs = jobs_of(context.result, &GcModel::default());
    jobs.into_iter().find(|job| job.configuration == cell.name && job.workload == cell.workload)
}

/// Too much time in pauses, by the model and at a rate that somebody states.
pub(super) fn garbage_collection<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    if !cell.is_heap() || cell.measured.is_empty() {
        return Vec::new();
    }
    let Some(job) = job_of(context, cell).filter(|job| job.heap.bytes <= JvmHeap::MOST_BYTES) else {
        return Vec::new();
    };
    let Some(rate) = context.parameters.events_per_s.or(job.offered_per_s).filter(|rate| *rate > 0.0) else {
        let figures = "the rate of events, without which nobody knows what a garbage collector does";
        let how =
            "state it with --events-per-second, or give the workload a [load]: a closed loop is faster than a JVM";
        return vec![Note::missing(cell, figures, how)];
    };
    let constants = Constants::default();
    let cores = job.cores();
    let request = Request {
        heaps: Vec::new(),
        collectors: vec![Collector::G1],
        cores,
        most_pause_share: context.parameters.pause_share,
        constants: &constants,
    };
    let (live, heap) = (job.job.live_bytes, job.heap.bytes as f64);
    let modelled = forecast(job, Rate::Offered(rate), &request);
    let Some(share) = modelled.rows.first().and_then(|row| row.prediction.as_ref()).map(|row| row.pause_share) else {
        return Vec::new();
    };
    if share <= context.parameters.pause_share {
        return Vec::new();
    }
    let enough = modelled.smallest.first().and_then(|smallest| smallest.within_share_bytes);
    let figures = vec![
        Figure::modelled(format!("share of the time in pauses, G1 on {cores} cores"), share, FigureUnit::Share),
        Figure::configured("rate", rate, FigureUnit::EventsPerSecond),
        Figure::modelled("alive on the heap", live, FigureUnit::Bytes),
        Figure::configured("heap", heap, FigureUnit::Bytes),
    ];
    let sustained = best_rocksdb(context, cell).filter(|other| other.throughput().is_some_and(|theirs| theirs >= rate));
    let (settings, effect) = match (enough, sustained) {
        (None, None) => {
            let what = format!(
                "nothing by a larger heap: none up to six times what is alive keeps pauses within {}; more TaskManagers would, and \
                 a RocksDB configuration beside this one tells what that backend does",
                percent(context.parameters.pause_share)
            );
            (Vec::new(), Effect::modelled(what, None, model_and_error()))
        }
        (Some(bytes), _) => {
            let task_heap = cell.options.task_manager_memory().map_or(0, |memory| memory.task_heap_bytes) as f64;
            let larger = whole_mib(task_heap + bytes as f64 - heap);
            let what = format!(
                "at most {} of the time in pauses, with a heap of {}",
                percent(context.parameters.pause_share),
                bytes_text(bytes as f64)
            );
            (vec![Setting::option(cell, TASK_HEAP, larger)], Effect::modelled(what, None, model_and_error()))
        }
        (None, Some(other)) => {
            let what =
                format!("{} without a garbage collector in the way", rate_text(other.throughput().unwrap_or(0.0)));
            (vec![Setting::option(cell, BACKEND, "rocksdb")], Effect::measured(what, None, other))
        }
    };
    vec![
        Draft {
            rule: "garbage-collection",
            urgency: Urgency::Slows,
            cell,
            what: format!("a garbage collector would pause the job for {} of the time", percent(share)),
            why: format!("by {}: the heap is small for what is alive and what is allocated", model_and_error()),
            figures,
            settings,
            effect,
        }
        .into(),
    ]
}

/// The model's name, with its error on measured runs.
fn model_and_error() -> String {
    let validation = built_in_runs().map(|runs| Validation::of(&runs, &Constants::default()));
    let error = validation.ok().and_then(|validation| validation.errors(Quantity::PauseShare, Some(Collector::G1)));
    let error = error.map_or_else(String::new, |error| {
        format!(", off by {} in the median of {} measured runs", percent(error.median), error.runs)
    });
    format!("the model of G1 (`gc-model predict`){error}")
}

/// A state that is small, fits the heap, and is faster there.
pub(super) fn heap_is_faster<'a>(context: &'a Context<'a>, cell: &'a Cell<'a>) -> Vec<Note> {
    if !cell.is_rocksdb() {
        return Vec::new();
    }
    let on_heap = |other: &&Cell<'_>| other.has_job_of(cell) && other.is_heap() && other.out_of_memory.is_none();
    let Some(other) = context.cells.iter().find(on_heap) else { return Vec::new() };
    let Some(heap) = other.measured.iter().rev().find_map(|measurement| measurement.heap) else { return Vec::new() };
    let managers = f64::from(heap.task_managers.max(1));
    let (live, of_manager) = (heap.jvm_live_bytes as f64 / managers, heap.jvm_heap_bytes as f64);
    let Some(factor) = other.speedup_over(cell).filter(|factor| *factor >= LEAST_FACTOR) else { return Vec::new() };
    let limit = context.parameters.heap_state_bytes as f64;
    let mut grows = other.measured.iter().filter_map(|measurement| measurement.growth.as_ref());
    let grows = grows.next_back().is_some_and(|growth| matches!(growth.trend, crate::result::Trend::Unbounded { .. }));
    if live > limit || live > MOST_LIVE * of_manager || grows {
        return Vec::new();
    }
    vec![
        Draft {
            rule: "heap-is-faster",
            urgency: Urgency::Slows,
            cell,
            what: format!("the state is small enough for the heap, which is {} as fast", times(factor)),
            why: format!(
                "RocksDB serializes on every access; as Java objects the state takes {} of a heap of {}, and {} is held to be \
                 the heap's limit",
                bytes_text(live),
                bytes_text(of_manager),
                bytes_text(limit)
            ),
            figures: vec![
                Figure::measured("throughput", cell.throughput().unwrap_or(0.0), FigureUnit::EventsPerSecond),
                Figure::measured("throughput on the heap", other.throughput().unwrap_or(0.0), FigureUnit::EventsPerSecond),
                Figure::modelled("the state as Java objects, of a TaskManager", live, FigureUnit::Bytes),
                Figure::configured("heap of a TaskManager", of_manager, FigureUnit::Bytes),
            ],
            settings: vec![Setting::option(cell, BACKEND, "hashmap")],
            effect: Effect::measured(
                format!(
                    "{} of the throughput, before a garbage collector has its share (`gc-model predict`); checkpoints are never \
                     incremental",
                    times(factor)
                ),
                Some(factor),
                other,
            ),
        }
        .into(),
    ]
}
