//! The check of a trial's warm-up, and the name of the regime that its working set ran in.

use std::time::Duration;

use crate::measure::cpu_cache_bytes;
use crate::result::{
    Course, EpisodeKind, Interval, Measurement, ServedFrom, Steadiness, Timeline, Unsettled, WorkingSet, trend,
};
use crate::statistics::{LEAST_VALUES, PartShift, start_up};

/// A change of throughput that counts, as a share.
const THROUGHPUT_SHARE: f64 = 0.02;
/// A change of throughput over the whole run that gives its course a name, as a share.
const COURSE_SHARE: f64 = 0.05;
/// A change of the hit rate that counts.
const HIT_RATE: f64 = 0.02;
/// A change of the size of the table files that counts, as a share: they swing with every compaction.
const TABLE_FILES_SHARE: f64 = 0.1;

/// Checks the measured part behind a warm-up of so long.
pub fn steadiness(timeline: &Timeline, warm_up: Duration) -> Steadiness {
    let rates: Vec<f64> = timeline.intervals.iter().filter_map(Interval::throughput_events_per_s).collect();
    let of_stores = |figure: fn(&Interval) -> Option<f64>| timeline.intervals.iter().filter_map(figure).collect();
    let hit_rates: Vec<f64> = of_stores(|interval| interval.store?.counters?.cache_hit_rate());
    let sizes: Vec<f64> = of_stores(|interval| interval.store.map(|sample| sample.table_file_bytes as f64));
    let mut unsettled = Vec::new();
    let mut check = |figure: &str, values: &[f64], least: fn(f64) -> f64| {
        let shift = PartShift::of_last_quarters(values).filter(|shift| shift.exceeds(least(shift.before)));
        unsettled.extend(shift.map(|PartShift { before, after, .. }| Unsettled {
            figure: figure.to_owned(),
            third_quarter: before,
            last_quarter: after,
        }));
    };
    check("throughput", &rates, |before| THROUGHPUT_SHARE * before);
    check("block cache hit rate", &hit_rates, |_| HIT_RATE);
    check("size of the table files", &sizes, |before| TABLE_FILES_SHARE * before);
    let interval_s = timeline.interval_ms as f64 / 1e3;
    Steadiness {
        course: course(&rates),
        unsettled,
        warm_up_s: missing(&rates).map(|cut| warm_up.as_secs_f64() + cut as f64 * interval_s),
        latency_trend: trend(&tails(timeline)),
        compactions: timeline.episodes.iter().filter(|episode| episode.kind == EpisodeKind::Compaction).count(),
    }
}

/// Intervals at the front whose throughput is not that of the rest: what the warm-up has left over. None where there are
/// none, and where throughput never settles.
fn missing(rates: &[f64]) -> Option<usize> {
    let cut = start_up(rates).filter(|_| rates.len() >= LEAST_VALUES)?;
    let (front, rest) = rates.split_at(cut);
    PartShift::between(front, rest).filter(|shift| shift.exceeds(THROUGHPUT_SHARE * shift.after)).map(|_| cut)
}

/// The 99th percentile of each interval, by its time, ms.
fn tails(timeline: &Timeline) -> Vec<(f64, f64)> {
    let tail = |(interval, position): (&Interval, u64)| {
        Some(((position * timeline.interval_ms) as f64, interval.p99_ns? as f64))
    };
    timeline.intervals.iter().zip(0..).filter_map(tail).collect()
}

fn course(rates: &[f64]) -> Course {
    let Some(shift) = PartShift::of_outer_quarters(rates) else { return Course::TooShort };
    if !shift.exceeds(COURSE_SHARE * shift.before) {
        Course::Flat
    } else if shift.change() > 0.0 {
        Course::Warming
    } else {
        Course::Slowing
    }
}

/// Data blocks in a hundred lookups that must have come from elsewhere for the cache not to serve the working set.
const MISSES_IN_A_HUNDRED: f64 = 1.0;
/// Bytes that the device must have given for each event for it to serve the working set: a page for one event in a hundred.
const DEVICE_BYTES_PER_EVENT: f64 = 4096.0 / 100.0;

/// What a trial's working set was served from, on a processor whose largest cache has so many bytes; none where the trial has
/// no state, or nothing tells.
pub fn working_set(trial: &Measurement, cpu_cache_bytes: Option<u64>) -> Option<WorkingSet> {
    let found = |served_from, evidence| Some(WorkingSet { served_from, evidence });
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    if let Some(heap) = &trial.heap {
        let (state, cache) = (heap.process_live_bytes?, cpu_cache_bytes?);
        let regime = if state <= cache { ServedFrom::CpuCache } else { ServedFrom::Memory };
        let evidence = format!("{:.1} MiB allocated in this process, a CPU cache of {:.1} MiB", mib(state), mib(cache));
        return found(regime, evidence);
    }
    let (memory, shape) = trial.store_memory.as_ref().zip(trial.store_shape.as_ref())?;
    let device = trial.process.and_then(|process| process.device_read_bytes);
    let per_event = device.map(|bytes| bytes as f64 / trial.events.max(1) as f64);
    if let Some(per_event) = per_event.filter(|per_event| *per_event >= DEVICE_BYTES_PER_EVENT) {
        return found(ServedFrom::Disk, format!("{per_event:.0} bytes read from the device for each event"));
    }
    if let Some(counters) = trial.store_counters.filter(|counters| counters.lookups > 0) {
        let missed = 100.0 * (counters.data_misses + counters.index_misses) as f64 / counters.lookups as f64;
        let regime = if missed < MISSES_IN_A_HUNDRED { ServedFrom::BlockCache } else { ServedFrom::PageCache };
        return found(
            regime,
            format!("{missed:.1} blocks read from files for 100 lookups, hardly any from the device"),
        );
    }
    let room = memory.end.cache_bytes.max(memory.budget.map_or(0, |budget| budget.cache_bytes));
    let room = room.saturating_sub(memory.end.cache_pinned_bytes);
    let blocks = shape.raw_bytes + shape.index_bytes + shape.filter_bytes;
    let regime = if blocks <= room { ServedFrom::BlockCache } else { ServedFrom::PageCache };
    found(regime, format!("{:.1} MiB of blocks, {:.1} MiB of block cache for them", mib(blocks), mib(room)))
}

/// A measurement with what its figures say of its warm-up, which took so long, and of its working set.
#[must_use]
pub fn judged(measurement: Measurement, warm_up: Duration) -> Measurement {
    Measurement {
        steadiness: measurement.timeline.as_ref().map(|timeline| steadiness(timeline, warm_up)),
        working_set: working_set(&measurement, cpu_cache_bytes()),
        ..measurement
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{ProcessUse, StoreCounters, StoreMemory, StoreSample, StoreShape, StoreUse};

    fn timeline(rate: impl Fn(usize) -> f64, table_file_bytes: impl Fn(usize) -> u64) -> Timeline {
        let interval = |position: usize| Interval {
            events: (rate(position) * (1.0 + 0.02 * (((position * 7_919) % 101) as f64 / 50.0 - 1.0))) as u64,
            busy_ns: 100_000_000,
            store: Some(StoreSample { table_file_bytes: table_file_bytes(position), ..StoreSample::default() }),
            ..Interval::default()
        };
        Timeline { interval_ms: 100, intervals: (0..80).map(interval).collect(), ..Timeline::default() }
    }

    #[test]
    fn a_trial_that_is_level_is_steady() {
        let steady = steadiness(&timeline(|_| 1e6, |_| 1 << 30), Duration::from_secs(1));
        assert_eq!((steady.course, steady.is_unsteady(), steady.warm_up_s), (Course::Flat, false, None));
        assert_eq!(steady.to_string(), "steady");
    }

    #[test]
    fn a_trial_that_still_slows_down_says_so_and_what_warm_up_it_lacks() {
        let falls_to_the_end = |position: usize| 1e6 * (1.0 - 0.008 * position as f64);
        let slowing = steadiness(&timeline(falls_to_the_end, |_| 1 << 30), Duration::from_secs(1));
        assert_eq!((slowing.course, slowing.unsettled.len(), slowing.warm_up_s), (Course::Slowing, 1, None));
        insta::assert_snapshot!(slowing, @"throughput changed by -27.5 % from the third quarter to the last; no warm-up within this run would have done");
        let settles = |position: usize| 1e6 * (1.0 + (-(position as f64) / 4.0).exp());
        let settling = steadiness(&timeline(settles, |_| 1 << 30), Duration::from_secs(1));
        assert!(settling.unsettled.is_empty() && settling.is_unsteady(), "the end is steady, the beginning is not");
        insta::assert_snapshot!(settling, @"the beginning is not as the rest; a warm-up of 4.5 s would have done (modelled, MSER-5)");
    }

    #[test]
    fn table_files_that_grow_are_not_steady_though_throughput_is() {
        let growing = steadiness(&timeline(|_| 1e6, |position| (1 + position as u64) << 20), Duration::ZERO);
        assert_eq!(growing.unsettled[0].figure, "size of the table files");
        assert_eq!(growing.course, Course::Flat);
    }

    #[test]
    fn the_working_set_is_where_its_blocks_came_from() {
        let memory = StoreMemory {
            budget: None,
            peak: StoreUse::default(),
            end: StoreUse { cache_bytes: 100 << 20, cache_pinned_bytes: 20 << 20, ..StoreUse::default() },
        };
        let shape = |mib: u64| StoreShape { raw_bytes: mib << 20, ..StoreShape::default() };
        let process = |device_read_bytes| ProcessUse {
            user_ns: 0,
            system_ns: 0,
            minor_faults: 0,
            major_faults: 0,
            voluntary_switches: 0,
            involuntary_switches: 0,
            device_read_bytes: Some(device_read_bytes),
            device_written_bytes: None,
        };
        let regime = |mib, device, counters: Option<&StoreCounters>| {
            let trial = Measurement {
                events: 1_000,
                process: Some(process(device)),
                store_memory: Some(memory.clone()),
                store_shape: Some(shape(mib)),
                store_counters: counters.copied(),
                ..Measurement::of_nothing()
            };
            working_set(&trial, None).unwrap().served_from
        };
        assert_eq!(regime(70, 0, None), ServedFrom::BlockCache);
        assert_eq!(regime(90, 0, None), ServedFrom::PageCache);
        assert_eq!(regime(70, 500_000, None), ServedFrom::Disk);
        let counters = StoreCounters { lookups: 1_000, data_misses: 300, ..StoreCounters::default() };
        assert_eq!(regime(70, 0, Some(&counters)), ServedFrom::PageCache);
        let counters = StoreCounters { lookups: 1_000, data_misses: 3, ..StoreCounters::default() };
        assert_eq!(regime(90, 0, Some(&counters)), ServedFrom::BlockCache);
    }
}
