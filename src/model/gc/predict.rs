//! Questions about heap sizes.

use serde::Serialize;

use super::clock::Window;
use super::{Collector, Constants, Job, Jvm, Outcome, Overlaid, Prediction, Rate, TrialJob, simulate_window};
use crate::state::JvmHeap;

/// Young generations of the least size that are filled before the window, and in it: many times what it takes to fill
/// the old generation.
const WARM_UP_FILLS: f64 = 200.0;
const WINDOW_FILLS: f64 = 400.0;
/// The least young generation, as a share of the heap.
const LEAST_YOUNG: f64 = 0.05;
/// How far apart the heaps are that the smallest one is searched among, and how far they reach over what is alive.
const SEARCH_STEP: f64 = 1.05;
const SEARCHED_RATIO: f64 = 6.0;
/// No smaller heap is looked at.
const LEAST_HEAP_BYTES: f64 = (4 << 20) as f64;
/// Heap over live bytes between which G1 sits on an edge: whether a mark ends before the old generation is full decides
/// between tens and hundreds of milliseconds (measured).
const EDGE: std::ops::RangeInclusive<f64> = 1.4..=2.2;

/// Cores of a TaskManager where nothing is said: those of the machine that the model was measured on.
pub(super) const DEFAULT_CORES: u32 = 2;

/// What is asked of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// Heaps of a TaskManager; empty for the one of the trial.
    pub heaps: Vec<JvmHeap>,
    /// The collectors.
    pub collectors: Vec<Collector>,
    /// Cores of a TaskManager; from 1.
    pub cores: u32,
    /// The share of time in pauses that is too much, above 0 and below 1.
    pub most_pause_share: f64,
    /// What collections cost.
    pub constants: &'a Constants,
}

/// What the model says of a trial's job.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// One for each collector and heap.
    pub rows: Vec<ForecastRow>,
    /// One for each collector.
    pub smallest: Vec<SmallestHeap>,
    /// The rate of the whole job.
    pub rate: Rate,
    /// The job.
    pub trial: TrialJob,
}

/// What happens in one heap (modelled).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForecastRow {
    /// The collector.
    pub collector: Collector,
    /// The heap, bytes.
    pub heap_bytes: u64,
    /// The heap over what is alive.
    pub heap_over_live: f64,
    /// Whether there are full collections.
    pub full_collections: FullCollections,
    /// Collections and pauses; none where the state does not fit.
    pub prediction: Option<Prediction>,
    /// The trial's latency with the pauses laid over it; none where the rate is not an offered one that is sustained.
    pub latency: Option<Overlaid>,
}

/// Whether full collections are to be expected (modelled).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FullCollections {
    /// None.
    None,
    /// The model has none, but the heap is where measured runs had them against its word.
    Edge,
    /// Some.
    Some,
    /// The state does not fit: `OutOfMemoryError`.
    DoesNotFit,
}

/// The smallest heaps for a job (modelled).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SmallestHeap {
    /// The collector.
    pub collector: Collector,
    /// The smallest that the state fits into at all, bytes; none below 32 GB.
    pub fits_bytes: Option<u64>,
    /// The smallest from which on pauses stay within the share that was asked for, bytes; none up to 6 times what is
    /// alive.
    pub within_share_bytes: Option<u64>,
}

impl std::fmt::Display for FullCollections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Edge => "on the edge",
            Self::Some => "yes",
            Self::DoesNotFit => "does not fit",
        })
    }
}

/// Answers a request for the job of a trial, at a rate of the whole job.
pub fn forecast(trial: TrialJob, rate: Rate, request: &Request<'_>) -> Forecast {
    let (rows, smallest) = answer(&trial, rate.over(f64::from(trial.task_managers)), request);
    Forecast { rows, smallest, rate, trial }
}

/// What happens in each heap of a request, without the search for the smallest, at a rate of the whole job.
pub fn forecast_rows(trial: &TrialJob, rate: Rate, request: &Request<'_>) -> Vec<ForecastRow> {
    rows(trial, rate.over(f64::from(trial.task_managers)), request)
}

fn rows(trial: &TrialJob, rate: Rate, request: &Request<'_>) -> Vec<ForecastRow> {
    let own = [trial.heap];
    let heaps = if request.heaps.is_empty() { &own[..] } else { &request.heaps };
    let (cores, constants) = (request.cores, request.constants);
    let of_collector = |collector: &Collector| {
        let collector = *collector;
        let jvm = move |heap| Jvm { collector, heap, cores, constants };
        heaps.iter().map(move |heap| ForecastRow::of(trial, jvm(*heap), rate))
    };
    request.collectors.iter().flat_map(of_collector).collect()
}

fn answer(trial: &TrialJob, rate: Rate, request: &Request<'_>) -> (Vec<ForecastRow>, Vec<SmallestHeap>) {
    let rows = rows(trial, rate, request);
    let (job, cores, constants) = (&trial.job, request.cores, request.constants);
    let jvm = |collector, heap| Jvm { collector, heap, cores, constants };
    let search = |collector: &Collector| {
        SmallestHeap::of(job, |heap| jvm(*collector, heap), *collector, rate, request.most_pause_share)
    };
    (rows, request.collectors.iter().map(search).collect())
}

impl Rate {
    /// The part of one of so many processes.
    fn over(self, processes: f64) -> Self {
        match self {
            Self::BetweenPauses(per_s) => Self::BetweenPauses(per_s / processes),
            Self::Offered(per_s) => Self::Offered(per_s / processes),
        }
    }

    fn per_s(self) -> f64 {
        match self {
            Self::BetweenPauses(per_s) | Self::Offered(per_s) => per_s,
        }
    }
}

/// What happens over long enough that the start from a compacted heap does not show.
fn steady(job: &Job, jvm: Jvm<'_>, rate: Rate) -> (Outcome, Window) {
    let fill_s = LEAST_YOUNG * jvm.heap.bytes as f64 / job.allocated_bytes / rate.per_s();
    simulate_window(job, jvm, rate, WARM_UP_FILLS * fill_s, WINDOW_FILLS * fill_s)
}

impl ForecastRow {
    fn of(trial: &TrialJob, jvm: Jvm<'_>, rate: Rate) -> Self {
        let job = &trial.job;
        let (outcome, window) = steady(job, jvm, rate);
        let prediction = match outcome {
            Outcome::OutOfMemory => None,
            Outcome::Runs(prediction) => Some(prediction),
        };
        let latency = match (rate, &trial.events) {
            (Rate::Offered(per_s), Some(events)) if prediction.is_some() => events.with_pauses(&window, per_s),
            _ => None,
        };
        let heap_over_live = jvm.heap.bytes as f64 / job.live_bytes;
        let full_collections = match &prediction {
            None => FullCollections::DoesNotFit,
            Some(prediction) if prediction.full > 0.0 => FullCollections::Some,
            Some(_) if jvm.is_on_edge(job, rate, heap_over_live) => FullCollections::Edge,
            Some(_) => FullCollections::None,
        };
        let collector = jvm.collector;
        Self { collector, heap_bytes: jvm.heap.bytes, heap_over_live, full_collections, prediction, latency }
    }
}

impl Jvm<'_> {
    /// Whether G1 may lose the race between its mark and the filling of the old generation: by the heap's size, or where
    /// the mark takes over half of the time.
    fn is_on_edge(&self, job: &Job, rate: Rate, heap_over_live: f64) -> bool {
        if self.collector != Collector::G1 {
            return false;
        }
        let heap = self.heap.bytes as f64;
        let operations = LEAST_YOUNG * heap / job.allocated_bytes;
        let promoted = job.turnover.payload_bytes * job.turnover.alive(0.0, operations, 2.0 * operations);
        let promoted_per_s = promoted * rate.per_s() / operations;
        let fill_s = (0.9 * heap - job.live_bytes).max(0.0) / promoted_per_s.max(1.0);
        EDGE.contains(&heap_over_live) || self.mark_s(job) > 0.5 * fill_s
    }
}

impl SmallestHeap {
    fn of<'a>(
        job: &Job,
        jvm: impl Fn(JvmHeap) -> Jvm<'a>,
        collector: Collector,
        rate: Rate,
        most_pause_share: f64,
    ) -> Self {
        let (mut fits_bytes, mut within_share_bytes) = (None, None);
        let mut bytes = job.live_bytes.max(LEAST_HEAP_BYTES);
        let most = (SEARCHED_RATIO * bytes).min(JvmHeap::MOST_BYTES as f64);
        while bytes <= most {
            let heap = JvmHeap { bytes: whole_mib(bytes).min(JvmHeap::MOST_BYTES) };
            if let (Outcome::Runs(prediction), _) = steady(job, jvm(heap), rate) {
                fits_bytes = fits_bytes.or(Some(heap.bytes));
                let within = prediction.pause_share <= most_pause_share;
                within_share_bytes = if within { within_share_bytes.or(Some(heap.bytes)) } else { None };
            }
            bytes *= SEARCH_STEP;
        }
        Self { collector, fits_bytes, within_share_bytes }
    }
}

/// Rounded up to a whole MiB.
fn whole_mib(bytes: f64) -> u64 {
    (bytes as u64).next_multiple_of(1 << 20)
}
