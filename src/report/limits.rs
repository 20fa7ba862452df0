//! When what grows meets a limit, if it goes on like this (modelled: a straight line).

use super::stream::place;
use super::table::with_unit;
use crate::result::{Measurement, RunResult, Trend, Trial, Unit};
use crate::state::JvmHeap;
use crate::workload::Time;

/// One line for each trial's figure that grows towards a limit, of the last trial of each configuration.
pub(super) fn lines(result: &RunResult) -> Vec<String> {
    let mut lines = Vec::new();
    for (trial, measurement) in result.last_of_each() {
        let place = place(result, trial);
        let found = [
            heap(measurement).map(|days| ("the Java heap is full", days)),
            disk(measurement, result.manifest.host.state_free_bytes).map(|days| ("the disk is full", days)),
            timeout(trial, measurement).map(|days| ("a checkpoint takes longer than its timeout", days)),
        ];
        for (what, days) in found.into_iter().flatten() {
            lines.push(format!("limit {place}: if it goes on like this {what} after {} more (modelled)", span(days)));
        }
    }
    lines
}

/// A span on the virtual clock.
fn span(days: f64) -> String {
    match days {
        days if days < 2.0 / 24.0 => format!("{:.0} min", days * 24.0 * 60.0),
        days if days < 2.0 => format!("{:.1} h", days * 24.0),
        days if days < 1_000.0 => format!("{days:.1} days"),
        days => format!("{:.1} years", days / 365.25),
    }
}

/// What the state held grows by in a day over what it holds, where it grows.
fn growth_per_day(measurement: &Measurement) -> Option<f64> {
    let growth = measurement.growth.as_ref()?;
    let held = growth.samples.last()?.held_bytes();
    let Trend::Unbounded { per_day } = growth.trend else { return None };
    (held > 0).then(|| per_day / held as f64)
}

/// Days until something of this size, which grows as the state does, has this size.
fn until(measurement: &Measurement, now: u64, limit: u64) -> Option<f64> {
    let per_day = growth_per_day(measurement)? * now as f64;
    (per_day > 0.0).then(|| limit.saturating_sub(now) as f64 / per_day)
}

fn heap(measurement: &Measurement) -> Option<f64> {
    let heap = measurement.heap.as_ref()?;
    let room = JvmHeap { bytes: heap.jvm_heap_bytes }.room().saturating_mul(u64::from(heap.task_managers));
    until(measurement, heap.jvm_live_bytes, room)
}

fn disk(measurement: &Measurement, free_bytes: Option<u64>) -> Option<f64> {
    let used = measurement.store_bytes?;
    until(measurement, used, used.saturating_add(free_bytes?))
}

/// Days until checkpoints take as long as they may.
fn timeout(trial: &Trial, measurement: &Measurement) -> Option<f64> {
    let checkpoints = measurement.checkpoints.as_ref()?;
    let Trend::Unbounded { per_day } = checkpoints.duration_trend else { return None };
    let last_ns = checkpoints.complete().last()?.duration_ms * 1e6;
    let timeout: Time = trial.options.get("execution.checkpointing.timeout")?.parse().ok()?;
    (per_day > 0.0).then(|| (timeout.0.as_nanos() as f64 - last_ns).max(0.0) / per_day)
}

/// How the trial's tail went over the measured part, where it rose.
pub(super) fn latency_lines(result: &RunResult) -> Vec<String> {
    const MINUTES_A_DAY: f64 = 24.0 * 60.0;
    let of = |(trial, measurement): (&Trial, &Measurement)| {
        let Trend::Unbounded { per_day } = measurement.steadiness.as_ref()?.latency_trend else { return None };
        let by = with_unit(per_day / MINUTES_A_DAY, Unit::Nanoseconds);
        let interval_ms = measurement.timeline.as_ref()?.interval_ms;
        let place = place(result, trial);
        Some(format!("latency {place}: the p99 of intervals of {interval_ms} ms grows, by {by} a minute of the run"))
    };
    result.last_of_each().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Growth, GrowthSample, HeapMemory};

    fn growing(per_day: f64, heap: Option<HeapMemory>) -> Measurement {
        let last = GrowthSample { live_bytes: 1_000, ..GrowthSample::default() };
        Measurement {
            growth: Some(Growth { samples: vec![last], trend: Trend::Unbounded { per_day } }),
            heap,
            store_bytes: Some(500),
            ..Measurement::of_nothing()
        }
    }

    #[test]
    fn files_grow_as_the_state_does() {
        // A tenth a day: 50 bytes of the files, of which 700 more find room.
        assert_eq!(disk(&growing(100.0, None), Some(700)), Some(14.0));
        assert_eq!(disk(&growing(100.0, None), None), None);
        let bounded = Measurement {
            growth: Some(Growth { samples: vec![GrowthSample::default()], trend: Trend::Bounded }),
            ..growing(1.0, None)
        };
        assert_eq!(disk(&bounded, Some(700)), None);
    }

    #[test]
    fn the_heap_is_full_when_its_room_is() {
        let bytes = 512 << 20;
        let room = JvmHeap { bytes }.room();
        let heap_memory = HeapMemory {
            jvm_live_bytes: room / 2,
            jvm_array_bytes: 0,
            jvm_objects: None,
            entries: 1,
            jvm_allocated_bytes: 0,
            jvm_heap_bytes: bytes,
            task_managers: 1,
            process_live_bytes: None,
            process_allocated_bytes: None,
            rehash: None,
            allocator: None,
        };
        let days = heap(&growing(500.0, Some(heap_memory))).unwrap();
        assert!((days - 2.0).abs() < 1e-6, "{days}");
    }

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        let shown: Vec<_> = [0.01, 0.5, 14.0, 3_652.5].into_iter().map(span).collect();
        assert_eq!(shown, ["14 min", "12.0 h", "14.0 days", "10.0 years"]);
    }
}
