//! The open loop of a subtask: what is due when, how late it is, and whether the operator keeps up.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::drive::Subtask;
use crate::measure::{Pace, Paced, RealClock, Response};
use crate::result::{Latency, OpenLoop, OpenLoopSample, Trend, trend};
use crate::source::Event;
use crate::state::StateResult;
use crate::workload::{ArrivalTimes, Load};

/// Samples of the queue that a result keeps, at most.
const MOST_SAMPLES: usize = 256;
/// A loop is saturated where it ends later than this share of the time, and ever later.
const SATURATED_SHARE: f64 = 0.05;

/// The events of one subtask as they arrive.
pub struct Arriving {
    schedule: ArrivalTimes,
    /// Counts what has arrived.
    counter: ArrivalTimes,
    /// The first event of the measured part.
    first_sequence: u64,
    /// The next event that this subtask has not done.
    next_number: u64,
    arrivals: Vec<u64>,
    recorder: Response,
    /// Time that was spent waiting for events.
    idle: Duration,
    /// By how much the last event was late, the latest since the last sample, and how many waited then.
    late_ns: u64,
    most_late_ns: u64,
    most_waiting: u64,
    samples: Vec<OpenLoopSample>,
    /// One round in so many gives a sample.
    every: usize,
    rounds: usize,
}

impl Arriving {
    /// From the first event of the measured part on.
    pub fn begin(load: Load, seed: u64, first_sequence: u64) -> Self {
        let schedule = ArrivalTimes::new(load, seed);
        Self {
            counter: schedule.clone(),
            schedule,
            first_sequence,
            next_number: 0,
            arrivals: Vec::new(),
            recorder: Response::default(),
            idle: Duration::ZERO,
            late_ns: 0,
            most_late_ns: 0,
            most_waiting: 0,
            samples: Vec::new(),
            every: 1,
            rounds: 0,
        }
    }

    /// Processes a batch as its events arrive. `busy` is what the subtask was busy before; returns what it was with these
    /// events.
    ///
    /// # Errors
    /// A state access failed.
    pub fn process<K>(
        &mut self,
        subtask: &mut dyn Subtask<K>,
        batch: &mut [Event<K>],
        (busy, in_checkpoint): (Duration, bool),
        stop: &dyn Fn() -> bool,
    ) -> StateResult<Duration> {
        let number = |event: &Event<K>| event.sequence.saturating_sub(self.first_sequence);
        let Some(last) = batch.last().map(number) else { return Ok(Duration::ZERO) };
        self.next_number = last + 1;
        self.arrivals.clear();
        let schedule = &mut self.schedule;
        self.arrivals.extend(batch.iter().map(|event| schedule.arrival_ns(number(event))));
        let begin_ns = (busy + self.idle).as_nanos() as u64;
        let clock = RealClock::resume(begin_ns, stop);
        let mut pace = Pace::new(clock, &self.arrivals, &mut self.recorder, in_checkpoint);
        let took = subtask.process_paced(batch, &mut pace)?;
        let Paced { idle_ns, late_ns, latest } = pace.end();
        self.late_ns = late_ns;
        if latest.late_ns > self.most_late_ns {
            self.most_late_ns = latest.late_ns;
            let begun = batch.get(latest.position).map_or(last, number);
            self.most_waiting = self.most_waiting.max(self.counter.arrived_by(latest.begin_ns).saturating_sub(begun));
        }
        let idle = Duration::from_nanos(idle_ns).min(took);
        self.idle += idle;
        Ok(took.saturating_sub(idle))
    }

    /// Time from the arrival of each event until it was done, ns.
    pub fn response(&self) -> &Histogram<u64> {
        &self.recorder.response
    }

    /// A round is over: looks at the queue.
    pub fn end_round(&mut self, busy: Duration) {
        self.rounds += 1;
        if !self.rounds.is_multiple_of(self.every) {
            return;
        }
        self.samples.push(OpenLoopSample {
            events: self.next_number,
            time_s: (busy + self.idle).as_secs_f64(),
            late_ms: self.late_ns as f64 / 1e6,
            most_late_ms: std::mem::take(&mut self.most_late_ns) as f64 / 1e6,
            waiting_events: std::mem::take(&mut self.most_waiting),
        });
        if self.samples.len() > MOST_SAMPLES {
            self.every *= 2;
            self.samples = self.samples.chunks(2).filter_map(OpenLoopSample::of_both).collect();
        }
    }
}

/// What came of an open loop; `subtasks` are each with what it was busy. None where there are none.
pub fn report<'a>(
    load: Load,
    events: u64,
    subtasks: impl Iterator<Item = (&'a Arriving, Duration)>,
) -> Option<OpenLoop> {
    let (mut all, mut elapsed, mut idle) = (Response::default(), Duration::ZERO, Duration::ZERO);
    let mut latest: Option<&Arriving> = None;
    let mut count = 0;
    for (arriving, busy) in subtasks {
        all.merge(&arriving.recorder);
        elapsed = elapsed.max(busy + arriving.idle);
        idle += arriving.idle;
        count += 1;
        if latest.is_none_or(|latest| latest.late_ns < arriving.late_ns) {
            latest = Some(arriving);
        }
    }
    let latest = latest?;
    let elapsed_s = elapsed.as_secs_f64();
    let during = &all.response_in_checkpoint;
    Some(OpenLoop {
        offered_events_per_s: load.rate,
        served_events_per_s: events as f64 / elapsed_s,
        saturated: is_saturated(&latest.samples, latest.late_ns as f64 / 1e9, elapsed_s),
        idle_share: idle.as_secs_f64() / (elapsed_s * f64::from(count)),
        response: Latency::of(&all.response),
        response_during_checkpoints: (!during.is_empty()).then(|| Latency::of(during)),
        samples: latest.samples.clone(),
    })
}

/// Whether events come faster than they are done: the last one is late by more than a trifle of the time, and so were the
/// ones before it, less and less the further back.
fn is_saturated(samples: &[OpenLoopSample], late_s: f64, elapsed_s: f64) -> bool {
    let points: Vec<_> = samples.iter().map(|sample| (sample.time_s * 1e3, sample.late_ms)).collect();
    // In a run that is too short for a trend the lateness alone decides.
    late_s > SATURATED_SHARE * elapsed_s && trend(&points) != Trend::Bounded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Metered, NullBackend};
    use crate::measure::{PaceClock, Probe};
    use crate::operator::{Collector, Counter, Operator};
    use crate::run::drive::drive_paced;
    use crate::state::Payload;
    use crate::workload::{LoadWire, MixOperation};

    /// Shows a time that moves on by what the next event takes whenever one ends, and by nothing else but waiting.
    struct ManualClock<'a> {
        now_ns: u64,
        services: std::slice::Iter<'a, u64>,
        is_reading_begin: bool,
    }

    impl PaceClock for ManualClock<'_> {
        fn now_ns(&mut self) -> u64 {
            if !std::mem::take(&mut self.is_reading_begin) {
                self.now_ns += self.services.next().copied().unwrap_or(0);
            }
            self.now_ns
        }
        fn wait_until_ns(&mut self, at_ns: u64) {
            self.now_ns = at_ns;
            self.is_reading_begin = true;
        }
    }

    fn events(count: u64) -> Vec<Event<i64>> {
        let event = |sequence| Event {
            sequence,
            time_ms: 0,
            watermark_ms: i64::MIN,
            processing_ms: 0,
            key: sequence as i64,
            value: 1,
            other: 0,
            stream: 0,
            payload: Payload::default(),
            operation: MixOperation::Read,
        };
        (0..count).map(event).collect()
    }

    /// Services of 5 µs at 100,000 events a second, half of the capacity, with a stall of 100 ms now and then: the response
    /// times are those of a queue that is computed from the schedule.
    #[test]
    fn stalls_are_in_the_response_time_of_all_who_wait_behind_them() {
        const EVENTS: u64 = 400_000;
        for arrivals in ["constant", "poisson"] {
            let wire: LoadWire = toml::from_str(&format!("rate = 100_000\narrivals = '{arrivals}'")).unwrap();
            let load = Load::new(&wire).unwrap();
            let mut schedule = ArrivalTimes::new(load, 3);
            let arrivals: Vec<u64> = (0..EVENTS).map(|number| schedule.arrival_ns(number)).collect();
            let services: Vec<u64> =
                (0..EVENTS).map(|number| if number % 90_000 == 40_000 { 100_000_000 } else { 5_000 }).collect();
            let mut recorder = Response::default();
            let clock = ManualClock { now_ns: 0, services: services.iter(), is_reading_begin: true };
            let mut pace = Pace::new(clock, &arrivals, &mut recorder, false);
            let mut backend = Metered { inner: NullBackend::default(), probe: Probe::new(0, 1) };
            let mut operator = <Counter as Operator<i64>>::open(&(), &mut backend).unwrap();
            let mut out = Collector::default();
            drive_paced(&mut backend, &mut operator, &mut events(EVENTS), &mut out, &mut pace).unwrap();
            pace.end();
            let mut done_ns = 0;
            let mut expected: Vec<u64> = arrivals
                .iter()
                .zip(&services)
                .map(|(arrival, service)| {
                    done_ns = done_ns.max(*arrival) + service;
                    done_ns - arrival
                })
                .collect();
            expected.sort_unstable();
            assert_eq!(recorder.response.len(), EVENTS);
            for share in [0.5, 0.9, 0.99, 0.999, 0.9999] {
                let exact = expected[((EVENTS as f64 * share).ceil() as usize).max(1) - 1] as f64;
                let found = recorder.response.value_at_quantile(share) as f64;
                assert!((found / exact - 1.0).abs() < 0.05, "{share}: {found} in place of {exact}");
            }
            assert!(recorder.response.value_at_quantile(0.999) > 90_000_000, "the stalls are seen");
            assert_eq!(backend.probe.recorder().event.len(), EVENTS);
            assert!(backend.probe.recorder().event.value_at_quantile(0.999) < 6_000, "the service time has none");
        }
    }

    /// A sample at each of so many tenths of a second.
    fn samples(late_ms: impl Fn(usize) -> f64) -> Vec<OpenLoopSample> {
        let sample = |tenth: usize| OpenLoopSample {
            events: 0,
            time_s: tenth as f64 / 10.0,
            late_ms: late_ms(tenth),
            most_late_ms: late_ms(tenth),
            waiting_events: 0,
        };
        (0..100).map(sample).collect()
    }

    #[test]
    fn a_queue_that_grows_to_the_end_is_saturated_and_one_that_drains_is_not() {
        assert!(is_saturated(&samples(|tenth| 20.0 * tenth as f64), 2.0, 10.0));
        // A burst at the end, and a queue that is long and does not grow.
        assert!(!is_saturated(&samples(|tenth| if tenth > 95 { 900.0 } else { 0.0 }), 0.9, 10.0));
        assert!(!is_saturated(&samples(|_| 600.0), 0.6, 10.0));
        assert!(!is_saturated(&samples(|tenth| tenth as f64), 0.1, 10.0));
        assert!(is_saturated(&samples(|_| 1.0)[..3], 1.0, 2.0), "too short for a trend");
    }
}
