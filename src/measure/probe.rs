//! When an event is timed, and what becomes of the readings.
//!
//! Reading the clock around an operation costs more than the two reads: the ordered read keeps the core from
//! overlapping the operation's cache misses with those of its neighbours. For operations of a microsecond and more that
//! is small, and every one is timed. Faster ones are timed one in `k`, in windows of 256 events or more whose own duration is
//! kept too: the samples give the percentiles, the windows the cost of an event and a bound of every stall that the samples miss.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::handicap::Handicap;
use super::{AccessKind, Condition, ConditionSet, Conditions};

/// The longest latency that is told apart; longer ones count as this. One hour.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Significant decimal digits of a histogram: 2 keep it at 30 KiB, small enough not to evict what is measured.
const DIGITS: u8 = 2;
/// Those of a histogram whose median is gated, of which steps of a percent would be a fifth of a threshold: 270 KiB, of which the
/// latencies of one trial touch a few.
const GATED_DIGITS: u8 = 3;

/// Largest share of throughput that timing may cost when operations are sampled.
const MAX_LOSS_SHARE: f64 = 0.02;
/// Operations of at least this long are all timed, ns.
const TIME_ALL_FROM_NS: f64 = 1_000.0;
/// Least and largest sampling distance.
const SAMPLE_EVERY: std::ops::RangeInclusive<u32> = 64..=1024;
/// Least events of a window: steps of a clock of 10 ns are then less than a thousandth of an event's cost.
const LEAST_WINDOW_EVENTS: u32 = 256;

/// Which events are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// None.
    Off,
    /// Each one, by chained readings: the end of one access is the beginning of the next.
    Every,
    /// One at a random place in each of this many events.
    Sampled(u32),
}

impl Strategy {
    /// Events of a window whose own duration is kept: the least multiple of the sampling distance from 256 on; none where there are
    /// no windows.
    pub fn window_events(self) -> Option<u32> {
        match self {
            Self::Sampled(every) => Some(LEAST_WINDOW_EVENTS.div_ceil(every.max(1)) * every),
            Self::Off | Self::Every => None,
        }
    }
}

/// What timing costs, measured in this process over the workload's own operations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// The strategy that follows from the rest.
    pub strategy: Strategy,
    /// Duration of an event without timing, ns.
    pub untimed_ns: f64,
    /// What timing one event adds, ns.
    pub loss_ns: f64,
}

impl Calibration {
    /// Chooses the strategy: all, where an access takes a microsecond or more; else one in the least power of two (at
    /// least 64) that keeps the loss below 2 %.
    pub fn choose(untimed_ns: f64, timed_ns: f64, accesses_per_event: f64) -> Self {
        let loss_ns = (timed_ns - untimed_ns).max(0.0);
        let strategy = if untimed_ns / accesses_per_event.max(1.0) >= TIME_ALL_FROM_NS {
            Strategy::Every
        } else {
            let mut every = *SAMPLE_EVERY.start();
            while every < *SAMPLE_EVERY.end() && loss_ns / f64::from(every) > MAX_LOSS_SHARE * untimed_ns {
                every *= 2;
            }
            Strategy::Sampled(every)
        };
        Self { strategy, untimed_ns, loss_ns }
    }

    /// The share of throughput that timing takes under a strategy.
    pub fn loss_share(&self, strategy: Strategy) -> f64 {
        let timed_share = match strategy {
            Strategy::Off => 0.0,
            Strategy::Every => 1.0,
            Strategy::Sampled(every) => 1.0 / f64::from(every),
        };
        let added = self.loss_ns * timed_share;
        added / (self.untimed_ns + added)
    }
}

/// The time between two clock readings with nothing between them, ns: the median of many.
pub fn empty_interval_ns() -> u64 {
    let mut gaps: Vec<u64> = (0..10_001)
        .map(|_| {
            let start = black_box(Instant::now());
            nanos(black_box(Instant::now()) - start)
        })
        .collect();
    gaps.sort_unstable();
    gaps[gaps.len() / 2]
}

/// What recording one latency takes, ns: the median over batches.
pub fn record_ns() -> f64 {
    const BATCH: u64 = 1_000;
    let mut histogram = latency_histogram();
    let mut batch = |first: u64| {
        let start = Instant::now();
        // Latencies of two decades, so that more than one bucket is touched.
        (0..BATCH).for_each(|value| histogram.saturating_record(black_box(100 + (first + value * 7_919) % 9_900)));
        nanos(start.elapsed()) as f64 / BATCH as f64
    };
    let mut times: Vec<f64> = (0..101).map(|round| batch(round * 31)).collect();
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The histograms of one subtask.
#[derive(Debug, Clone)]
pub struct Recorder {
    /// Latency of whole events, ns.
    pub event: Histogram<u64>,
    /// Latency of those events that were processed while something went on, by condition (position = `condition as
    /// usize`), ns; they are in `event` too.
    pub event_during: Vec<Histogram<u64>>,
    /// Latency of those events that were processed while anything went on, ns.
    pub event_disturbed: Histogram<u64>,
    /// Latency of state accesses by kind (position = `kind as usize`), ns.
    pub accesses: Vec<Histogram<u64>>,
    /// Duration of whole windows, ns; empty where every event is timed.
    pub windows: Histogram<u64>,
    /// How long a move of time took that fired timers, ns.
    pub firings: Histogram<u64>,
    /// Timers that were fired.
    pub timers_fired: u64,
    /// Time spent on that, ns.
    pub firing_ns: u64,
}

/// An empty histogram of latencies, ns.
pub fn latency_histogram() -> Histogram<u64> {
    with_digits(DIGITS)
}

#[expect(clippy::expect_used, reason = "the bounds are constants that the histogram accepts")]
fn with_digits(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, digits).expect("constant bounds")
}

impl Default for Recorder {
    fn default() -> Self {
        let accesses = AccessKind::ALL.iter().map(|_| latency_histogram()).collect();
        let gated = || with_digits(GATED_DIGITS);
        let event_during = Condition::ALL.iter().map(|_| gated()).collect();
        let (event, event_disturbed) = (gated(), gated());
        let (windows, firings) = (gated(), latency_histogram());
        Self { event, event_during, event_disturbed, accesses, windows, firings, timers_fired: 0, firing_ns: 0 }
    }
}

impl Recorder {
    /// Adds what another subtask recorded.
    #[expect(clippy::expect_used, reason = "all histograms have the same bounds")]
    pub fn merge(&mut self, other: &Self) {
        let accesses = self.accesses.iter_mut().zip(&other.accesses);
        let pairs = accesses.chain(self.event_during.iter_mut().zip(&other.event_during));
        let whole = [
            (&mut self.event, &other.event),
            (&mut self.event_disturbed, &other.event_disturbed),
            (&mut self.windows, &other.windows),
            (&mut self.firings, &other.firings),
        ];
        for (mine, theirs) in pairs.chain(whole) {
            mine.add(theirs).expect("equal bounds");
        }
        self.timers_fired += other.timers_fired;
        self.firing_ns += other.firing_ns;
    }

    /// Adds what another operator of the same job recorded of its state and its timers, but not of its rows.
    #[expect(clippy::expect_used, reason = "all histograms have the same bounds")]
    pub fn merge_accesses(&mut self, other: &Self) {
        for (mine, theirs) in self.accesses.iter_mut().zip(&other.accesses) {
            mine.add(theirs).expect("equal bounds");
        }
        self.firings.add(&other.firings).expect("equal bounds");
        self.timers_fired += other.timers_fired;
        self.firing_ns += other.firing_ns;
    }

    /// Latency of the events that were processed while this went on, ns.
    pub fn event_during(&self, condition: Condition) -> &Histogram<u64> {
        &self.event_during[condition as usize]
    }

    /// Latency of the events that were processed while this did not go on, ns.
    pub fn event_outside(&self, condition: Condition) -> Histogram<u64> {
        self.event_without(self.event_during(condition))
    }

    /// Latency of the events beside which nothing went on, ns.
    pub fn event_undisturbed(&self) -> Histogram<u64> {
        self.event_without(&self.event_disturbed)
    }

    #[expect(clippy::expect_used, reason = "what is taken away was recorded in both")]
    fn event_without(&self, part: &Histogram<u64>) -> Histogram<u64> {
        let mut rest = self.event.clone();
        rest.subtract(part).expect("equal bounds");
        rest
    }

    #[cold]
    fn record_disturbed(&mut self, latency_ns: u64, during: ConditionSet) {
        self.event_disturbed.saturating_record(latency_ns);
        for (condition, histogram) in Condition::ALL.iter().zip(&mut self.event_during) {
            if during.contains(*condition) {
                histogram.saturating_record(latency_ns);
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.event.reset();
        self.event_disturbed.reset();
        self.event_during.iter_mut().for_each(Histogram::reset);
        self.windows.reset();
        self.firings.reset();
        (self.timers_fired, self.firing_ns) = (0, 0);
        self.accesses.iter_mut().for_each(Histogram::reset);
    }
}

/// A run of events that are treated alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// So many events that are not timed.
    Untimed(usize),
    /// So many events that are all timed.
    Timed(usize),
}

/// Times the events of one subtask.
#[derive(Debug)]
pub struct Probe {
    strategy: Strategy,
    /// Events left up to the next draw of a sample's place, and how many of them are left when the sample is taken.
    draw_left: u32,
    sample_at: u32,
    /// Draws left in the current window; none is open where it never began.
    draws_left: u32,
    window_open: bool,
    window_start: Instant,
    /// What the current window took in earlier batches.
    window_before: Duration,
    /// The last clock reading, and that at which the current event began.
    mark: Instant,
    event_start: Instant,
    /// Intervals read in the current event.
    intervals: u64,
    empty_ns: u64,
    random: u64,
    recorder: Recorder,
    accesses: u64,
    /// What goes on by the word of the job, and what goes on in the store.
    in_job: ConditionSet,
    in_store: Arc<Conditions>,
    handicap: Option<Handicap>,
}

impl Probe {
    /// A probe that times nothing yet. `empty_ns` is taken off every interval.
    pub fn new(empty_ns: u64, seed: u64) -> Self {
        let now = Instant::now();
        Self {
            strategy: Strategy::Off,
            draw_left: 0,
            sample_at: 0,
            draws_left: 0,
            window_open: false,
            window_start: now,
            window_before: Duration::ZERO,
            mark: now,
            event_start: now,
            intervals: 0,
            empty_ns,
            random: seed | 1,
            recorder: Recorder::default(),
            accesses: 0,
            in_job: ConditionSet::default(),
            in_store: Arc::default(),
            handicap: None,
        }
    }

    /// Changes the strategy; a window that is open is dropped.
    pub fn set_strategy(&mut self, strategy: Strategy) {
        self.strategy = strategy;
        (self.draw_left, self.draws_left) = (0, 0);
        self.window_open = false;
    }

    /// Forgets what was recorded and goes on with a strategy.
    pub fn start_anew(&mut self, strategy: Strategy) {
        self.recorder.clear();
        self.set_strategy(strategy);
    }

    /// Whether a checkpoint is in progress from here on.
    pub fn set_in_checkpoint(&mut self, in_checkpoint: bool) {
        self.in_job = ConditionSet::default().with(Condition::Checkpoint, in_checkpoint);
    }

    /// Looks from here on at what goes on in a store.
    pub fn watch(&mut self, store: Arc<Conditions>) {
        self.in_store = store;
    }

    /// From here on each event is to take so much longer, ns.
    pub fn set_handicap(&mut self, event_ns: f64) {
        self.handicap = Some(Handicap::new(event_ns, self.empty_ns));
    }

    /// Whether events are slowed down on purpose.
    pub fn is_handicapped(&self) -> bool {
        self.handicap.is_some()
    }

    /// Slows down so many events.
    pub fn hold_back(&mut self, events: usize) {
        if let Some(handicap) = &mut self.handicap {
            handicap.hold_back(events);
        }
    }

    /// What was recorded.
    pub fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// Timed accesses since the start, of any kind.
    pub fn timed_accesses(&self) -> u64 {
        self.accesses
    }

    /// A batch of events begins, at this reading.
    pub fn resume(&mut self, now: Instant) {
        self.window_start = now;
    }

    /// A batch of events has ended, at this reading: what comes next is not part of any window.
    pub fn pause(&mut self, now: Instant) {
        self.window_before += now - self.window_start;
    }

    /// Time has moved on and fired so many timers.
    pub fn fired(&mut self, timers: u64, took: Duration) {
        if timers > 0 {
            self.recorder.firings.saturating_record(nanos(took).max(1));
            self.recorder.timers_fired += timers;
            self.recorder.firing_ns += nanos(took);
        }
    }

    /// What to do with the next events of a batch that has `left` more, at least one.
    pub fn next_stretch(&mut self, left: usize) -> Stretch {
        let every = match self.strategy {
            Strategy::Off => return Stretch::Untimed(left),
            Strategy::Every => return Stretch::Timed(left),
            Strategy::Sampled(every) => every,
        };
        if self.draw_left == 0 {
            self.draw(every);
        }
        if self.draw_left == self.sample_at {
            self.draw_left -= 1;
            return Stretch::Timed(1);
        }
        // Up to the sample, or behind it up to the next draw.
        let stretch = if self.draw_left > self.sample_at { self.draw_left - self.sample_at } else { self.draw_left };
        let stretch = left.min(stretch as usize);
        self.draw_left -= stretch as u32;
        Stretch::Untimed(stretch)
    }

    /// Draws the place of the sample in the next events, and opens the next window where the current one is full.
    fn draw(&mut self, every: u32) {
        if self.draws_left == 0 {
            self.next_window();
            self.draws_left = LEAST_WINDOW_EVENTS.div_ceil(every);
        }
        self.draws_left -= 1;
        self.draw_left = every;
        // xorshift64: only the place of a sample depends on it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.sample_at = (self.random >> 32) as u32 % every + 1;
    }

    /// Closes the current window and opens the next one.
    fn next_window(&mut self) {
        let now = Instant::now();
        if self.window_open {
            let duration = self.window_before + (now - self.window_start);
            self.recorder.windows.saturating_record(nanos(duration).max(1));
        }
        self.window_open = true;
        self.window_start = now;
        self.window_before = Duration::ZERO;
    }

    /// A stretch of timed events begins.
    #[inline]
    pub fn begin(&mut self) {
        self.mark = Instant::now();
    }

    /// A timed event begins, where the one before it ended.
    #[inline]
    pub fn event_begin(&mut self) {
        self.event_start = self.mark;
        self.intervals = 0;
    }

    /// A state access of a timed event has ended. It began where the one before it ended.
    #[inline]
    pub fn access_end(&mut self, kind: AccessKind) {
        let now = Instant::now();
        let interval = nanos(now - self.mark).saturating_sub(self.empty_ns).max(1);
        self.mark = now;
        self.intervals += 1;
        self.recorder.accesses[kind as usize].saturating_record(interval);
    }

    /// An event has ended that an open loop has timed.
    #[inline]
    pub fn served(&mut self, service_ns: u64) {
        self.record(service_ns.max(1));
    }

    #[inline]
    fn record(&mut self, latency_ns: u64) {
        self.recorder.event.saturating_record(latency_ns);
        let during = self.in_job.or(self.in_store.look());
        if !during.is_empty() {
            self.recorder.record_disturbed(latency_ns, during);
        }
    }

    /// A timed event has ended: its latency runs to the end of its last state access.
    #[inline]
    pub fn event_end(&mut self) {
        self.accesses += self.intervals;
        if self.intervals == 0 {
            self.mark = Instant::now();
            self.intervals = 1;
        }
        let latency = nanos(self.mark - self.event_start).saturating_sub(self.intervals * self.empty_ns).max(1);
        self.record(latency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(probe: &mut Probe, mut left: usize) {
        probe.resume(Instant::now());
        while left > 0 {
            left -= match probe.next_stretch(left) {
                Stretch::Untimed(count) => count,
                Stretch::Timed(count) => {
                    probe.begin();
                    for _ in 0..count {
                        probe.event_begin();
                        probe.access_end(AccessKind::ValueGet);
                        probe.access_end(AccessKind::ValueUpdate);
                        probe.event_end();
                    }
                    count
                }
            };
        }
        probe.pause(Instant::now());
    }

    #[test]
    fn every_event_is_timed_or_one_in_each_window_or_none() {
        let mut probe = Probe::new(0, 7);
        events(&mut probe, 100);
        assert_eq!(probe.recorder().event.len(), 0);
        probe.set_strategy(Strategy::Every);
        events(&mut probe, 100);
        assert_eq!(probe.recorder().event.len(), 100);
        assert_eq!(probe.recorder().accesses[AccessKind::ValueUpdate as usize].len(), 100);
        assert_eq!(probe.recorder().windows.len(), 0);
        probe.recorder().clear();
        probe.set_strategy(Strategy::Sampled(64));
        events(&mut probe, 32);
        events(&mut probe, 256 * 9 + 32);
        assert_eq!(probe.recorder().event.len(), 9 * 4 + 1);
        assert_eq!(probe.recorder().accesses[AccessKind::ValueGet as usize].len(), 9 * 4 + 1);
        // A window is closed by the event behind it.
        assert_eq!(probe.recorder().windows.len(), 9);
        events(&mut probe, 256);
        assert_eq!(probe.recorder().windows.len(), 10);
    }

    #[test]
    fn a_window_has_256_events_or_as_few_more_as_samples_are_apart() {
        let of = |every| Strategy::Sampled(every).window_events();
        assert_eq!([64, 256, 512, 3, 1].map(of), [256, 256, 512, 258, 256].map(Some));
        assert_eq!([Strategy::Every, Strategy::Off].map(Strategy::window_events), [None, None]);
    }

    #[test]
    fn a_pause_is_in_no_window() {
        let mut probe = Probe::new(0, 7);
        probe.set_strategy(Strategy::Sampled(64));
        events(&mut probe, 32);
        std::thread::sleep(Duration::from_millis(50));
        events(&mut probe, 225);
        assert_eq!(probe.recorder().windows.len(), 1);
        assert!(probe.recorder().windows.max() < 50_000_000);
    }

    #[test]
    fn the_strategy_follows_the_calibration() {
        assert_eq!(Calibration::choose(5_000.0, 5_100.0, 2.0).strategy, Strategy::Every);
        assert_eq!(Calibration::choose(90.0, 640.0, 1.0).strategy, Strategy::Sampled(512));
        assert_eq!(Calibration::choose(360.0, 470.0, 1.0).strategy, Strategy::Sampled(64));
        let calibration = Calibration::choose(90.0, 640.0, 1.0);
        assert!(calibration.loss_share(calibration.strategy) <= 0.02);
    }
}
