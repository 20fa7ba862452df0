//! What the garbage collectors of a Java virtual machine would do with a keyed state and the operations on it.
//!
//! No JVM runs: the state is weighed in HotSpot's layout, one function tells which objects survive ([`Turnover`]), and a
//! simulation steps from collection to collection by the documented rules of G1 or Parallel, at costs that were fitted
//! to runs of Flink's heap backend ([`Constants`]). [`Validation`] compares the model with measured runs, and its error is
//! printed wherever the model is used.
//!
//! The model holds for heaps under 32 GB, JDK 17, equal `-Xms` and `-Xmx`, and a steady number of keys. It knows no
//! snapshots, timers or TTL, and no garbage of user code beyond what it is given.

mod calibrate;
mod clock;
mod constants;
mod g1;
mod measured;
mod overlay;
mod parallel;
mod predict;
mod render;
mod trial;
mod turnover;
mod validate;

pub use calibrate::{CalibrateError, Calibration, Factors, Jdk};
pub use constants::{Constants, LiveCost};
pub use measured::{
    MeasuredOutcome, MeasuredRun, MeasuredWorkload, Observed, RunsError, Shape, built_in_runs, load_runs,
};
pub use overlay::{Events, Overlaid, Span};
use predict::DEFAULT_CORES;
pub use predict::{Forecast, ForecastRow, FullCollections, Request, SmallestHeap, forecast, forecast_rows};
pub use render::{error_lines, forecast_json, forecast_text, validation_text};
pub use trial::{TrialJob, jobs_of};
pub use turnover::{Slots, Turnover};
pub use validate::{Errors, Hits, Point, Quantity, Question, Validation};

use clock::{Cause, Clock, Window};
use constants::parallel_speed;
use g1::G1;
use parallel::Parallel;

use serde::Serialize;

use crate::state::JvmHeap;

/// A garbage collector of HotSpot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Collector {
    /// G1, which Flink starts its processes with.
    G1,
    /// Parallel.
    Parallel,
}

impl std::fmt::Display for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::G1 => "G1",
            Self::Parallel => "Parallel",
        })
    }
}

/// A keyed state on a Java heap, and what operations do to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// What is reachable, the process' own objects included, bytes.
    pub live_bytes: f64,
    /// Objects of it.
    pub live_objects: f64,
    /// What an operation allocates, garbage of the pipeline included, bytes; above 0.
    pub allocated_bytes: f64,
    /// What operations replace.
    pub turnover: Turnover,
    /// The share of what loading the state allocates that stays in it, 0 to 1.
    pub load_survival: f64,
}

/// How fast operations come. A Rust process cannot measure what a JVM does: the rate is never its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rate {
    /// As fast as the JVM can: operations in a second outside pauses, 1/s.
    BetweenPauses(f64),
    /// Operations in a second of wall time, 1/s. What arrives in a pause is caught up with.
    Offered(f64),
}

/// A Java virtual machine.
#[derive(Debug, Clone, Copy)]
pub struct Jvm<'a> {
    /// The collector.
    pub collector: Collector,
    /// The heap, `-Xms` and `-Xmx`.
    pub heap: JvmHeap,
    /// Cores, which are as many collector threads; from 1.
    pub cores: u32,
    /// What collections cost.
    pub constants: &'a Constants,
}

/// What would happen, with equal `-Xms` and `-Xmx` and the defaults of JDK 17 (modelled).
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The state does not fit: `OutOfMemoryError`.
    OutOfMemory,
    /// It runs.
    Runs(Prediction),
}

/// Collections and pauses of a run (modelled).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Young collections of an operation, mixed ones included.
    pub young: f64,
    /// Mixed ones of them.
    pub mixed: f64,
    /// Full collections of an operation.
    pub full: f64,
    /// The share of time in pauses, 0 to 1: the least that collection costs, as concurrent work comes on top. At an
    /// offered rate 1 says that the rate is not sustained.
    pub pause_share: f64,
    /// The pause in the middle, ms; none where nothing paused.
    pub median_ms: Option<f64>,
    /// The pause that 1 % are longer than, ms.
    pub p99: Range,
    /// The longest pause, ms.
    pub longest: Range,
}

/// A pause that cannot be told better than by two cases, ms: whether there is a full collection decides between tens and
/// hundreds of milliseconds, and a single pause is known to a factor of 2 only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Range {
    /// The least that it is where no full collection happens; of a collector that has only those, half of one.
    pub without_full_ms: f64,
    /// The most that it is where one does.
    pub with_full_ms: f64,
}

impl Range {
    /// Whether a pause lies in it.
    pub fn holds(&self, ms: f64) -> bool {
        self.without_full_ms <= ms && ms <= self.with_full_ms
    }
}

/// How much longer or shorter a single pause may be than the modelled one: a full collection took up to twice the fitted
/// line where small objects were churned at random, half of it straight after an ordered load (measured); the longest of
/// the others is hardly ever off by more.
const PAUSE_SPREAD: f64 = 2.0;

/// What happens at a rate over `window_s` seconds behind a warm-up, from a compacted heap on.
pub fn simulate(job: &Job, jvm: Jvm<'_>, rate: Rate, warm_up_s: f64, window_s: f64) -> Outcome {
    simulate_window(job, jvm, rate, warm_up_s, window_s).0
}

/// The same with the window itself, which is empty where the state does not fit.
fn simulate_window(job: &Job, jvm: Jvm<'_>, rate: Rate, warm_up_s: f64, window_s: f64) -> (Outcome, Window) {
    if !jvm.holds(job) {
        return (Outcome::OutOfMemory, Window::default());
    }
    let window = window(job, jvm, rate, warm_up_s, window_s);
    let prediction = Prediction::of(&window, jvm.full_pause_ms(job));
    let outcome = match jvm.collector {
        Collector::Parallel if prediction.pause_share >= parallel::MOST_PAUSED => Outcome::OutOfMemory,
        _ => Outcome::Runs(prediction),
    };
    (outcome, window)
}

fn window(job: &Job, jvm: Jvm<'_>, rate: Rate, warm_up_s: f64, window_s: f64) -> Window {
    let clock = Clock::new(rate, warm_up_s, window_s);
    match jvm.collector {
        Collector::G1 => G1::new(job, jvm, clock).run(),
        Collector::Parallel => Parallel::new(job, jvm, clock).run(),
    }
}

impl Prediction {
    fn of(window: &Window, full_ms: f64) -> Self {
        let per_operation = |causes: &[Cause]| window.count(causes) as f64 / window.operations.max(1.0);
        let others = window.sorted(&[Cause::Young, Cause::Mixed]);
        let all = window.sorted(&[Cause::Young, Cause::Mixed, Cause::Full]);
        let range = |share: f64| {
            let other_ms = quantile(&others, share).unwrap_or(full_ms);
            Range { without_full_ms: other_ms / PAUSE_SPREAD, with_full_ms: full_ms.max(other_ms) * PAUSE_SPREAD }
        };
        Self {
            young: per_operation(&[Cause::Young, Cause::Mixed]),
            mixed: per_operation(&[Cause::Mixed]),
            full: per_operation(&[Cause::Full]),
            pause_share: window.pause_share(),
            median_ms: quantile(&all, 0.5),
            p99: range(0.99),
            longest: range(1.0),
        }
    }
}

/// The value that a share of sorted values is not above; none of no values.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

impl Jvm<'_> {
    /// Whether the state fits at all.
    fn holds(&self, job: &Job) -> bool {
        let heap = self.heap.bytes as f64;
        job.live_bytes
            <= match self.collector {
                Collector::G1 => heap - 2.0 * self.heap.region_bytes() as f64,
                Collector::Parallel => parallel::MOST_LIVE * heap,
            }
    }

    fn speed(&self) -> f64 {
        parallel_speed(self.cores)
    }

    /// A young pause that copies the payload of so many slots, ms.
    fn young_pause_ms(&self, job: &Job, slots: f64) -> f64 {
        let c = self.constants;
        let heap_mib = self.heap.bytes as f64 / f64::from(1 << 20);
        let of_slot =
            c.copy_ns_per_object * job.turnover.payload_objects + c.copy_ns_per_byte * job.turnover.payload_bytes;
        c.young_ms + (c.young_ns_per_heap_mib * heap_mib + slots * of_slot / self.speed()) / 1e6
    }

    /// What moving so many live bytes of old regions adds to a pause, ms.
    fn evacuation_ms(&self, job: &Job, bytes: f64) -> f64 {
        let c = self.constants;
        let objects = bytes * job.live_objects / job.live_bytes;
        let ns = (c.copy_ns_per_object + c.evacuate_ns_per_object) * objects + c.copy_ns_per_byte * bytes;
        ns / self.speed() / 1e6
    }

    fn full_pause_ms(&self, job: &Job) -> f64 {
        let cost = match self.collector {
            Collector::G1 => self.constants.g1_full,
            Collector::Parallel => self.constants.parallel_full,
        };
        cost.of(job.live_objects, job.live_bytes, self.speed())
    }

    /// How long a concurrent mark takes on a core of its own, s.
    fn mark_s(&self, job: &Job) -> f64 {
        self.constants.mark.of(job.live_objects, job.live_bytes, 1.0) / 1e3
    }
}

/// The largest value in a range for which `holds` is true, taken to be true up to it; the range's low end where it holds
/// nowhere.
fn largest(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    if holds(high) {
        return high;
    }
    let (mut low, mut high) = (low, high);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if holds(middle) { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A million values of 100 bytes, all written equally often.
    fn job() -> Job {
        Job {
            live_bytes: 200.0 * MIB as f64,
            live_objects: 3e6,
            allocated_bytes: 144.0,
            turnover: Turnover { slots: Slots::uniform(1e6), payload_bytes: 120.0, payload_objects: 1.0, writes: 1.0 },
            load_survival: 1.0,
        }
    }

    fn run(job: &Job, collector: Collector, heap_mib: u64, rate: Rate) -> Outcome {
        let constants = Constants::default();
        let jvm = Jvm { collector, heap: JvmHeap { bytes: heap_mib * MIB }, cores: 2, constants: &constants };
        simulate(job, jvm, rate, 10.0, 60.0)
    }

    fn prediction(job: &Job, collector: Collector, heap_mib: u64, rate: Rate) -> Prediction {
        match run(job, collector, heap_mib, rate) {
            Outcome::Runs(prediction) => prediction,
            Outcome::OutOfMemory => panic!("it fits"),
        }
    }

    #[test]
    fn a_state_larger_than_the_heap_does_not_fit() {
        for collector in [Collector::G1, Collector::Parallel] {
            assert_eq!(run(&job(), collector, 200, Rate::BetweenPauses(1e6)), Outcome::OutOfMemory);
            assert!(matches!(run(&job(), collector, 400, Rate::BetweenPauses(1e6)), Outcome::Runs(_)));
        }
        // Two regions are left to evacuate into, and no less.
        assert_eq!(run(&job(), Collector::G1, 201, Rate::BetweenPauses(1e6)), Outcome::OutOfMemory);
        assert!(matches!(run(&job(), Collector::G1, 202, Rate::BetweenPauses(1e6)), Outcome::Runs(_)));
    }

    #[test]
    fn tight_heaps_collect_fully_and_large_ones_do_not() {
        let rate = Rate::BetweenPauses(1e6);
        for collector in [Collector::G1, Collector::Parallel] {
            let (tight, large) = (prediction(&job(), collector, 240, rate), prediction(&job(), collector, 2_000, rate));
            assert!(
                tight.full > 0.0 && tight.pause_share > 1.5 * large.pause_share,
                "{collector}: {tight:?} {large:?}"
            );
        }
        assert!(prediction(&job(), Collector::G1, 2_000, rate).full <= 0.0);
    }

    #[test]
    fn an_offered_rate_pauses_in_proportion_until_it_is_not_sustained() {
        let constants = Constants::default();
        let heap = JvmHeap { bytes: 1_000 * MIB };
        let jvm = Jvm { collector: Collector::G1, heap, cores: 2, constants: &constants };
        // As many operations whatever the rate.
        let of = |per_s: f64| match simulate(&job(), jvm, Rate::Offered(per_s), 1e7 / per_s, 1e8 / per_s) {
            Outcome::Runs(prediction) => prediction.pause_share,
            Outcome::OutOfMemory => panic!("it fits"),
        };
        let (slow, fast) = (of(10_000.0), of(100_000.0));
        assert!((fast / slow - 10.0).abs() < 1.0, "{slow} {fast}");
        assert!(of(1e9) > 0.999);
    }

    #[test]
    fn what_replaces_nothing_costs_next_to_nothing() {
        let mut idle = job();
        idle.turnover.payload_bytes = 0.0;
        idle.turnover.payload_objects = 0.0;
        let modelled = prediction(&idle, Collector::G1, 400, Rate::BetweenPauses(1e6));
        assert!(modelled.pause_share < 0.02 && modelled.mixed <= 0.0 && modelled.full <= 0.0, "{modelled:?}");
    }

    #[test]
    fn every_run_ends() {
        let nothing = LiveCost { ms: 0.0, ns_per_object: 0.0, ns_per_byte: 0.0 };
        let free = Constants {
            young_ms: 0.0,
            young_ns_per_heap_mib: 0.0,
            copy_ns_per_object: 0.0,
            copy_ns_per_byte: 0.0,
            evacuate_ns_per_object: 0.0,
            g1_full: nothing,
            parallel_full: nothing,
            mark: nothing,
            pessimism: 0.0,
        };
        for collector in [Collector::G1, Collector::Parallel] {
            for heap_mib in [202, 260, 30_000] {
                for rate in [Rate::BetweenPauses(1e-9), Rate::BetweenPauses(1e12), Rate::Offered(1e12)] {
                    let heap = JvmHeap { bytes: heap_mib * MIB };
                    let jvm = Jvm { collector, heap, cores: 1_024, constants: &free };
                    if let Outcome::Runs(prediction) = simulate(&job(), jvm, rate, 1.0, 5.0) {
                        assert!((0.0..=1.0).contains(&prediction.pause_share), "{prediction:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_value_that_holds_is_found() {
        assert!((largest(0.0, 10.0, |x| x * x <= 2.0) - 2.0_f64.sqrt()).abs() < 1e-6);
        assert!((largest(3.0, 10.0, |_| true) - 10.0).abs() < 1e-9);
        assert!((largest(3.0, 10.0, |_| false) - 3.0).abs() < 1e-6);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), Some(2.0));
        assert_eq!((quantile(&[1.0, 2.0], 1.0), quantile(&[], 0.5)), (Some(2.0), None));
    }
}
