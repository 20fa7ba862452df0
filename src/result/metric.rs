//! The metrics of a trial: one table that every output reads.

use super::{Latency, LatencySummary, Measurement, PhaseMeasurement};

/// Which direction is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// The unit of a metric's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Events per second.
    EventsPerSecond,
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
    /// A share from 0 to 1.
    Share,
    /// How many times.
    Factor,
}

/// How a figure came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Read off a clock or a counter.
    Measured,
    /// Computed by a model.
    Modelled,
}

/// Which table shows a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The table of configurations.
    Configurations,
    /// The table of knobs alone.
    Knobs,
    /// Both.
    Both,
}

/// Which trials a metric is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Those that are measured.
    Measured,
    /// Those in which RocksDB counts.
    Companions,
}

/// One metric of a trial.
pub struct Metric {
    /// Name in JSON and CSV, with its unit last.
    pub name: &'static str,
    /// Heading in tables.
    pub label: &'static str,
    /// Unit of the value.
    pub unit: Unit,
    /// The better direction.
    pub better: Better,
    /// How it came about.
    pub kind: Kind,
    /// Where it is shown.
    pub shown: Shown,
    /// Which trials have it.
    pub from: From,
    /// Its value in a trial; none where the trial does not have it.
    pub get: fn(&Measurement) -> Option<f64>,
    /// Its value in a phase of a trial; none where it is one of whole trials.
    pub of_phase: fn(&PhaseMeasurement) -> Option<f64>,
}

impl Metric {
    /// Whether its column is left out of a table where no trial has it.
    pub fn is_rare(&self) -> bool {
        self.from == From::Measured && self.shown == Shown::Knobs
    }
}

macro_rules! metrics {
    ($($name:literal, $label:literal, $unit:ident, $better:ident, $shown:ident, $from:ident, $get:expr, $of_phase:expr;)*) => {
        /// Every metric, the most telling first.
        pub static METRICS: &[Metric] = &[$(Metric {
            name: $name,
            label: $label,
            unit: Unit::$unit,
            better: Better::$better,
            kind: Kind::Measured,
            shown: Shown::$shown,
            from: From::$from,
            get: $get,
            of_phase: $of_phase,
        },)*];
    };
}
metrics! {
    "throughput_events_per_s", "events/s", EventsPerSecond, Higher, Both, Measured,
        |m| Some(m.throughput_events_per_s), |p| Some(p.throughput_events_per_s);
    "throughput_typical_events_per_s", "typical/s", EventsPerSecond, Higher, Knobs, Measured,
        |m| m.timeline.as_ref()?.typical_throughput_events_per_s(), |_| None;
    "latency_p50_ns", "p50", Nanoseconds, Lower, Both, Measured,
        |m| m.event_latency.summary.p50_ns.map(|ns| ns as f64), |p| p.event_latency.summary.p50_ns.map(|ns| ns as f64);
    "event_cost_p50_ns", "cost", Nanoseconds, Lower, Knobs, Measured,
        |m| cost_p50_ns(m.timing.window_events.unwrap_or(m.timing.sample_every), m.window_duration.as_ref()),
        |_| None;
    "latency_p99_ns", "p99", Nanoseconds, Lower, Both, Measured,
        |m| m.event_latency.summary.p99_ns.map(|ns| ns as f64), |p| p.event_latency.summary.p99_ns.map(|ns| ns as f64);
    "latency_p999_ns", "p99.9", Nanoseconds, Lower, Configurations, Measured,
        |m| m.event_latency.summary.p999_ns.map(|ns| ns as f64), |p| p.event_latency.summary.p999_ns.map(|ns| ns as f64);
    "pause_max_ns", "longest", Nanoseconds, Lower, Configurations, Measured,
        |m| Some(longest_ns(&m.event_latency, m.window_duration.as_ref())),
        |p| Some(longest_ns(&p.event_latency, p.window_duration.as_ref()));
    "cpu_per_event_ns", "CPU", Nanoseconds, Lower, Knobs, Measured,
        |m| m.process.map(|process| process.cpu_ns() as f64 / m.events.max(1) as f64), |_| None;
    "resident_peak_bytes", "memory", Bytes, Lower, Configurations, Measured,
        |m| m.resident_peak_bytes.map(|bytes| bytes as f64), |_| None;
    "store_bytes", "disk", Bytes, Lower, Configurations, Measured, |m| m.store_bytes.map(|bytes| bytes as f64), |_| None;
    "response_p50_ns", "response p50", Nanoseconds, Lower, Knobs, Measured,
        |m| response(m)?.p50_ns.map(|ns| ns as f64), |_| None;
    "response_p99_ns", "response p99", Nanoseconds, Lower, Knobs, Measured,
        |m| response(m)?.p99_ns.map(|ns| ns as f64), |_| None;
    "response_p999_ns", "response p99.9", Nanoseconds, Lower, Knobs, Measured,
        |m| response(m)?.p999_ns.map(|ns| ns as f64), |_| None;
    "cache_hit_rate", "hit rate", Share, Higher, Knobs, Companions, |m| m.store_counters?.cache_hit_rate(), |_| None;
    "write_amplification", "write amp.", Factor, Lower, Knobs, Companions,
        |m| m.store_counters?.write_amplification(), |_| None;
    "read_amplification", "read amp.", Factor, Lower, Knobs, Companions,
        |m| m.store_counters?.read_amplification(), |_| None;
    "space_amplification", "space amp.", Factor, Lower, Knobs, Measured,
        |m| m.timeline.as_ref()?.intervals.last()?.store?.space_amplification(), |_| None;
    "index_reads_per_lookup", "index reads", Factor, Lower, Knobs, Companions,
        |m| m.store_counters?.index_reads_per_lookup(), |_| None;
    "checkpoint_written_bytes", "checkpoint", Bytes, Lower, Knobs, Measured,
        |m| m.checkpoints.as_ref()?.median(|c| c.written_bytes as f64), |_| None;
    "checkpoint_full_bytes", "full size", Bytes, Lower, Knobs, Measured,
        |m| m.checkpoints.as_ref()?.median(|c| c.full_bytes as f64), |_| None;
    "checkpoint_sync_ns", "stood still", Nanoseconds, Lower, Knobs, Measured,
        |m| m.checkpoints.as_ref()?.median(|c| c.sync_duration_ms * 1e6), |_| None;
    "checkpoint_duration_ns", "duration", Nanoseconds, Lower, Knobs, Measured,
        |m| m.checkpoints.as_ref()?.median(|c| c.duration_ms * 1e6), |_| None;
    "restore_duration_ns", "restore", Nanoseconds, Lower, Knobs, Measured,
        |m| m.checkpoints.as_ref()?.restore.as_ref().map(|r| r.restore_duration_ms * 1e6), |_| None;
}

/// The response time of an open loop that kept up.
fn response(measurement: &Measurement) -> Option<LatencySummary> {
    let open_loop = measurement.open_loop.as_ref()?;
    (!open_loop.saturated).then_some(open_loop.response.summary)
}

/// What an event takes in the median window of sampled events: a clock whose steps are a fifth of an event's latency says little
/// of one event, and much of a window of them.
fn cost_p50_ns(events_of_a_window: u32, windows: Option<&Latency>) -> Option<f64> {
    Some(windows?.summary.p50_ns? as f64 / f64::from(events_of_a_window.max(1)))
}

/// The longest time that one event can have taken: of a timed event, or of a window that holds it.
fn longest_ns(events: &Latency, windows: Option<&Latency>) -> f64 {
    windows.map_or(0, |windows| windows.summary.max_ns).max(events.summary.max_ns) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Interval, Timeline};

    fn value(name: &str, measurement: &Measurement) -> Option<f64> {
        (METRICS.iter().find(|metric| metric.name == name).unwrap().get)(measurement)
    }

    #[test]
    fn the_typical_throughput_is_that_of_the_median_slice() {
        let slice =
            |events: u64, busy_ms: u64| Interval { events, busy_ns: busy_ms * 1_000_000, ..Interval::default() };
        // One slice waits for a stall, in one nothing ends.
        let intervals = vec![slice(100, 100), slice(90, 100), slice(1, 100), slice(0, 0), slice(110, 100)];
        let timeline = Timeline { interval_ms: 100, intervals, ..Timeline::default() };
        let measurement = Measurement { timeline: Some(timeline), ..Measurement::of_nothing() };
        assert_eq!(value("throughput_typical_events_per_s", &measurement), Some(950.0));
        let empty = Measurement { timeline: Some(Timeline::default()), ..Measurement::of_nothing() };
        assert_eq!(value("throughput_typical_events_per_s", &empty), None);
        assert_eq!(value("throughput_typical_events_per_s", &Measurement::of_nothing()), None);
    }

    #[test]
    fn the_cost_of_an_event_is_its_part_of_the_median_window() {
        let windows = |p50_ns| {
            let summary = LatencySummary { p50_ns, ..LatencySummary::default() };
            Some(Latency { summary, histogram: String::new() })
        };
        let mut measurement = Measurement { window_duration: windows(Some(12_800)), ..Measurement::of_nothing() };
        (measurement.timing.sample_every, measurement.timing.window_events) = (64, Some(256));
        assert_eq!(value("event_cost_p50_ns", &measurement), Some(50.0));
        // As results of earlier versions have it.
        (measurement.timing.sample_every, measurement.timing.window_events) = (128, None);
        assert_eq!(value("event_cost_p50_ns", &measurement), Some(100.0));
        measurement.window_duration = windows(None);
        assert_eq!(value("event_cost_p50_ns", &measurement), None);
    }
}
