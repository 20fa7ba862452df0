//! An open loop: events arrive when they are due, and wait where the operator is late.
//!
//! The clock of a subtask shows the time in which it processes or waits for events. It stands still while the harness makes
//! events and hands them round, as it does in every other figure.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::probe::{latency_histogram, nanos};

/// The clock of a subtask.
pub trait PaceClock {
    /// What it shows, ns.
    fn now_ns(&mut self) -> u64;
    /// Waits until it shows this, or the user wants to stop.
    fn wait_until_ns(&mut self, at_ns: u64);
}

/// Longest that a thread spins for an event: a sleep overshoots by about this.
const SPIN: Duration = Duration::from_micros(100);
/// Longest sleep without a look at whether the user wants to stop.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// The machine's clock, from the begin of a batch on.
pub struct RealClock<'a> {
    begin: Instant,
    begin_ns: u64,
    stop: &'a dyn Fn() -> bool,
}

impl<'a> RealClock<'a> {
    /// Goes on at this reading. `stop` says whether the user wants to stop.
    pub fn resume(begin_ns: u64, stop: &'a dyn Fn() -> bool) -> Self {
        Self { begin: Instant::now(), begin_ns, stop }
    }
}

impl PaceClock for RealClock<'_> {
    #[inline]
    fn now_ns(&mut self) -> u64 {
        self.begin_ns + nanos(self.begin.elapsed())
    }
    fn wait_until_ns(&mut self, at_ns: u64) {
        loop {
            let left = Duration::from_nanos(at_ns.saturating_sub(self.now_ns()));
            if left.is_zero() || (left > SPIN && (self.stop)()) {
                return;
            }
            if left > SPIN {
                std::thread::sleep(left.saturating_sub(SPIN).min(LONGEST_SLEEP));
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

/// What an open loop has recorded in one subtask.
#[derive(Debug, Clone)]
pub struct Response {
    /// Time from the arrival of an event until it was done, ns.
    pub response: Histogram<u64>,
    /// The same of those that were done while a checkpoint was in progress; they are in `response` too.
    pub response_in_checkpoint: Histogram<u64>,
}

impl Default for Response {
    fn default() -> Self {
        Self { response: latency_histogram(), response_in_checkpoint: latency_histogram() }
    }
}

impl Response {
    /// Adds what another subtask recorded.
    #[expect(clippy::expect_used, reason = "all histograms have the same bounds")]
    pub fn merge(&mut self, other: &Self) {
        self.response.add(&other.response).expect("equal bounds");
        self.response_in_checkpoint.add(&other.response_in_checkpoint).expect("equal bounds");
    }
}

/// Paces the events of a batch, and records how long each was in the system.
pub struct Pace<'a, C> {
    clock: C,
    /// When the events that are left arrive, ns.
    arrivals: std::slice::Iter<'a, u64>,
    recorder: &'a mut Response,
    in_checkpoint: bool,
    arrival_ns: u64,
    begin_ns: u64,
    last_ns: u64,
    idle_ns: u64,
    /// Events that have begun.
    begun: usize,
    latest: Latest,
}

/// The event that was late by the most when it began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Latest {
    /// Its position in the batch.
    pub position: usize,
    /// When it began, ns.
    pub begin_ns: u64,
    /// By how much it was late, ns.
    pub late_ns: u64,
}

/// How a batch went.
#[derive(Debug, Clone, Copy)]
pub struct Paced {
    /// Time that was spent waiting for events, ns.
    pub idle_ns: u64,
    /// By how much the last event was late when it began, ns.
    pub late_ns: u64,
    /// The latest event.
    pub latest: Latest,
}

impl<'a, C: PaceClock> Pace<'a, C> {
    /// Paces events that arrive at these times.
    pub fn new(mut clock: C, arrivals: &'a [u64], recorder: &'a mut Response, in_checkpoint: bool) -> Self {
        let now_ns = clock.now_ns();
        Self {
            clock,
            arrivals: arrivals.iter(),
            recorder,
            in_checkpoint,
            arrival_ns: now_ns,
            begin_ns: now_ns,
            last_ns: now_ns,
            idle_ns: 0,
            begun: 0,
            latest: Latest::default(),
        }
    }

    /// Waits for the next event, if it is not there yet.
    #[inline]
    pub fn event_begin(&mut self) {
        self.arrival_ns = self.arrivals.next().copied().unwrap_or(self.last_ns);
        if self.arrival_ns > self.last_ns {
            self.clock.wait_until_ns(self.arrival_ns);
            let now_ns = self.clock.now_ns();
            self.idle_ns += now_ns - self.last_ns;
            self.last_ns = now_ns;
        }
        self.begin_ns = self.last_ns;
        let late_ns = self.begin_ns.saturating_sub(self.arrival_ns);
        if late_ns > self.latest.late_ns {
            self.latest = Latest { position: self.begun, begin_ns: self.begin_ns, late_ns };
        }
        self.begun += 1;
    }

    /// The event is done; how long the operator took, ns.
    #[inline]
    pub fn event_end(&mut self) -> u64 {
        self.last_ns = self.clock.now_ns();
        // A stop may cut the waiting short.
        let response_ns = self.last_ns.saturating_sub(self.arrival_ns).max(1);
        self.recorder.response.saturating_record(response_ns);
        if self.in_checkpoint {
            self.recorder.response_in_checkpoint.saturating_record(response_ns);
        }
        self.last_ns - self.begin_ns
    }

    /// How it went.
    pub fn end(self) -> Paced {
        let late_ns = self.begin_ns.saturating_sub(self.arrival_ns);
        Paced { idle_ns: self.idle_ns, late_ns, latest: self.latest }
    }
}
