//! The latency of a trial's events with modelled pauses laid over them.
//!
//! An event that arrives in a pause of length P waits for the rest of it, and for what arrived before; at a rate r and a
//! capacity c the backlog is gone P / (1 − r/c) after the pause began, and waits fall from P to 0 in that time. Waits and
//! the measured latencies are taken to be independent.

use serde::Serialize;

use super::PAUSE_SPREAD;
use super::clock::{Cause, Window};
use crate::result::Latency;

/// Events of a trial without pauses (measured).
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    /// Latencies with the share of the events that had them, ns.
    latencies: Vec<(f64, f64)>,
    /// What the trial did in a second: the rate at which a backlog is worked off, 1/s.
    pub capacity_per_s: f64,
}

/// Percentiles of the latency of events (measured, with modelled pauses laid over it), ns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Overlaid {
    /// Median.
    pub p50: Span,
    /// 99th percentile.
    pub p99: Span,
    /// 99.9th percentile.
    pub p999: Span,
}

/// Both ends of what single pauses may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    /// Without full collections, and with the other pauses half as long as modelled; ns.
    pub least_ns: f64,
    /// With every pause twice as long; ns.
    pub most_ns: f64,
}

/// The pauses of a run over time, for the chance that an event waits.
struct Waits {
    /// From the longest, ns.
    lengths: Vec<f64>,
    /// Sums of the lengths up to each, ns.
    sums: Vec<f64>,
    /// The time in which so many pauses happen, less what backlogs make longer; ns.
    time: f64,
}

impl Events {
    /// The events of a measured distribution; none where it cannot be read or is empty.
    pub fn of(latency: &Latency, capacity_per_s: f64) -> Option<Self> {
        let histogram = latency.histogram()?;
        let all = histogram.len() as f64;
        let share = |count: u64| count as f64 / all;
        let latencies: Vec<_> = histogram
            .iter_recorded()
            .map(|step| (step.value_iterated_to() as f64, share(step.count_at_value())))
            .collect();
        (!latencies.is_empty() && capacity_per_s > 0.0).then_some(Self { latencies, capacity_per_s })
    }

    /// The percentiles without any pause; both ends are the same.
    pub fn alone(&self) -> Overlaid {
        let of = |share| self.quantile(share, None);
        Overlaid::of(of, of)
    }

    /// The percentiles with the pauses of a window laid over, at an offered rate; none where the rate is not sustained.
    pub(super) fn with_pauses(&self, window: &Window, rate_per_s: f64) -> Option<Overlaid> {
        let load = rate_per_s / self.capacity_per_s;
        let time_s = window.operations / rate_per_s;
        let waits = |causes: &[Cause], factor: f64| Waits::of(window.sorted(causes), factor, time_s * (1.0 - load));
        let least = waits(&[Cause::Young, Cause::Mixed, Cause::Mark], 1.0 / PAUSE_SPREAD)?;
        let most = waits(&[Cause::Young, Cause::Mixed, Cause::Mark, Cause::Full], PAUSE_SPREAD)?;
        let of = |waits| move |share| self.quantile(share, Some(waits));
        Some(Overlaid::of(of(&least), of(&most)))
    }

    /// The latency that a share of events is not above, ns.
    fn quantile(&self, share: f64, waits: Option<&Waits>) -> f64 {
        let above = |ns: f64| {
            let chance = |latency: f64| match waits {
                _ if latency > ns => 1.0,
                Some(waits) => waits.chance_above(ns - latency),
                None => 0.0,
            };
            self.latencies.iter().map(|(latency, share)| share * chance(*latency)).sum::<f64>()
        };
        let longest = self.latencies.last().map_or(0.0, |(latency, _)| *latency);
        let wait = waits.and_then(|waits| waits.lengths.first()).copied().unwrap_or(0.0);
        let (mut low, mut high) = (0.0, longest + wait);
        // Closer than a thousandth nothing is shown.
        while high - low > 1e-3 * high && high > 1.0 {
            let middle = 0.5 * (low + high);
            if above(middle) > 1.0 - share { low = middle } else { high = middle }
        }
        high
    }
}

impl Overlaid {
    fn of(least: impl Fn(f64) -> f64, most: impl Fn(f64) -> f64) -> Self {
        let span = |share| Span { least_ns: least(share), most_ns: most(share) };
        Self { p50: span(0.5), p99: span(0.99), p999: span(0.999) }
    }
}

impl Waits {
    /// Pauses so many times as long, given in ascending order in ms; none where they leave no time for events.
    fn of(lengths_ms: Vec<f64>, factor: f64, time_s: f64) -> Option<Self> {
        let lengths: Vec<_> = lengths_ms.into_iter().rev().map(|ms| ms * factor * 1e6).collect();
        let mut sum = 0.0;
        let sums: Vec<_> = lengths
            .iter()
            .map(|length| {
                sum += length;
                sum
            })
            .collect();
        (sum < time_s * 1e9).then_some(Self { lengths, sums, time: time_s * 1e9 })
    }

    /// The chance that an event waits longer.
    fn chance_above(&self, ns: f64) -> f64 {
        let longer = self.lengths.partition_point(|length| *length > ns);
        let sum = longer.checked_sub(1).and_then(|last| self.sums.get(last)).copied().unwrap_or(0.0);
        (sum - longer as f64 * ns) / self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;

    fn events() -> Events {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        histogram.record_n(1_000, 1_000).unwrap();
        Events::of(&Latency::of(&histogram), 1_000_000.0).unwrap()
    }

    /// Ten pauses of so many ms in 100 s of 500,000 events each.
    fn window(causes: [Cause; 10], ms: f64) -> Window {
        Window { operations: 5e7, between_s: 100.0, pauses: causes.map(|cause| (cause, ms)).into() }
    }

    fn near(ns: f64, expected: f64) -> bool {
        (ns / expected - 1.0).abs() < 0.01
    }

    #[test]
    fn without_pauses_latency_is_what_was_measured() {
        let alone = events().alone();
        assert!([alone.p50, alone.p99, alone.p999].iter().all(|span| near(span.least_ns, 1_000.0)), "{alone:?}");
        let none = events().with_pauses(&window([Cause::Young; 10], 0.0), 500_000.0).unwrap();
        assert!(near(none.p999.most_ns, 1_000.0), "{none:?}");
    }

    #[test]
    fn waits_fall_from_the_whole_pause_to_nothing_while_the_backlog_is_worked_off() {
        // At half the capacity ten pauses of 100 ms delay events for 2 s in 100, by up to 100 ms.
        let overlaid = events().with_pauses(&window([Cause::Young; 10], 200.0), 500_000.0).unwrap();
        assert!(near(overlaid.p50.least_ns, 1_000.0));
        assert!(near(overlaid.p99.least_ns, 50e6), "{overlaid:?}");
        assert!(near(overlaid.p999.least_ns, 95e6), "{overlaid:?}");
        // Twice as long each, 400 ms: for 8 s in 100.
        assert!(near(overlaid.p99.most_ns, 350e6), "{overlaid:?}");
    }

    #[test]
    fn full_collections_are_at_one_end_only_and_a_rate_may_not_be_sustained() {
        let overlaid = events().with_pauses(&window([Cause::Full; 10], 200.0), 500_000.0).unwrap();
        assert!(near(overlaid.p999.least_ns, 1_000.0) && overlaid.p99.most_ns > 1e8, "{overlaid:?}");
        assert_eq!(events().with_pauses(&window([Cause::Young; 10], 200.0), 1_000_001.0), None);
        assert_eq!(events().with_pauses(&window([Cause::Young; 10], 4_000.0), 500_000.0), None);
    }
}
