//! The measured part over time: what each interval of a subtask did, put together over subtasks.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::observe::once;
use crate::backend::{Observed, StoreEpisode};
use crate::measure::resident_bytes;
use crate::result::{
    Checkpoints, Episode, EpisodeKind, Interval, StoreCounters, StoreSample, StoreUse, Timeline, heat_bucket,
};
use crate::state::StateResult;

/// Intervals that a result keeps, at most.
const MOST_INTERVALS: usize = 256;
/// Timed events that must lie beyond a percentile of one interval for it to be told.
const LEAST_BEYOND: u64 = 10;

/// Notes the intervals of one subtask.
#[derive(Debug)]
pub struct TimelineWatch {
    started: Instant,
    interval: Duration,
    bins: Vec<Bin>,
    /// What the histogram of latencies held when it was last looked at.
    seen: Histogram<u64>,
    /// What the store had counted when the measured part began, and when it was last looked at.
    counted_before: Option<StoreCounters>,
    counted: Option<StoreCounters>,
    /// What the store used when it used most.
    peak: StoreUse,
    episodes: Vec<StoreEpisode>,
    unlisted_episodes: u64,
    /// Time that looking around has taken.
    looking: Duration,
}

#[derive(Debug, Clone, Default)]
struct Bin {
    events: u64,
    busy: Duration,
    /// Latencies with their counts, in order.
    latencies: Vec<(u64, u64)>,
    resident_bytes: Option<u64>,
    store: Option<StoreSample>,
}

impl Bin {
    /// Adds the bin behind it, whose samples are the later ones.
    fn extend(&mut self, next: &Self) {
        self.events += next.events;
        self.busy += next.busy;
        self.latencies = merge(&self.latencies, &next.latencies);
        self.resident_bytes = next.resident_bytes.or(self.resident_bytes);
        let counted = self.store.and_then(|sample| sample.counters);
        if let Some(mut sample) = next.store {
            sample.counters = sample.counters.map(|now| counted.map_or(now, |before| before.plus(&now)));
            self.store = Some(sample);
        }
    }
}

/// Both lists of values with counts, in order of the values.
fn merge(a: &[(u64, u64)], b: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut merged = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    while let (Some(x), Some(y)) = (a.peek().copied(), b.peek().copied()) {
        if x.0 <= y.0 {
            a.next();
        }
        if y.0 <= x.0 {
            b.next();
        }
        merged.push((x.0.min(y.0), if x.0 <= y.0 { x.1 } else { 0 } + if y.0 <= x.0 { y.1 } else { 0 }));
    }
    merged.extend(a.chain(b));
    merged
}

impl TimelineWatch {
    /// Begins with a store that has done something already. `latencies` is a copy of where the timed events of this subtask
    /// are recorded: what it holds does not count. Intervals are this long, and twice as long whenever they become too many.
    pub fn begin(started: Instant, interval: Duration, store: &dyn Observed, latencies: Histogram<u64>) -> Self {
        drop(store.take_episodes());
        store.begin_counting();
        Self {
            started,
            interval,
            bins: vec![Bin::default()],
            seen: latencies,
            counted_before: store.store_counters(),
            counted: store.store_counters(),
            peak: StoreUse::default(),
            episodes: Vec::new(),
            unlisted_episodes: 0,
            looking: Duration::ZERO,
        }
    }

    /// Whether the interval is over that the last batch began in.
    #[inline]
    pub fn is_over(&self, now: Instant) -> bool {
        now - self.started >= self.interval * self.bins.len() as u32
    }

    /// A batch was processed that began in this interval.
    #[inline]
    pub fn add(&mut self, events: usize, busy: Duration) {
        let bin = self.current();
        bin.events += events as u64;
        bin.busy += busy;
    }

    fn current(&mut self) -> &mut Bin {
        // There is one from the beginning on.
        let last = self.bins.len() - 1;
        &mut self.bins[last]
    }

    /// Takes in what was recorded since the last call. Before the histogram is cleared it must be called, and
    /// [`Self::cleared`] behind it.
    pub fn absorb(&mut self, latencies: &Histogram<u64>) {
        let begin = Instant::now();
        let seen = &self.seen;
        let new = |value: u64, count: u64| (value, count - seen.count_at(value));
        let delta = latencies.iter_recorded().map(|at| new(at.value_iterated_to(), at.count_at_value()));
        let delta: Vec<_> = delta.filter(|&(_, count)| count > 0).collect();
        let merged = merge(&self.current().latencies, &delta);
        self.current().latencies = merged;
        self.seen.clone_from(latencies);
        self.looking += begin.elapsed();
    }

    /// The histogram was cleared.
    pub fn cleared(&mut self) {
        self.seen.reset();
    }

    /// Looks at the store, closes the current interval and opens the one that `now` lies in; what was recorded must have
    /// been absorbed.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub fn close(&mut self, now: Instant, store: &dyn Observed) -> StateResult<()> {
        self.look(store)?;
        let index = ((now - self.started).as_nanos() / self.interval.as_nanos()) as usize;
        self.bins.resize(index.max(self.bins.len()) + 1, Bin::default());
        while self.bins.len() > MOST_INTERVALS {
            self.interval *= 2;
            self.bins = halved(std::mem::take(&mut self.bins));
        }
        Ok(())
    }

    /// Looks at the store at the end of the current interval.
    fn look(&mut self, store: &dyn Observed) -> StateResult<()> {
        let begin = Instant::now();
        let (episodes, unlisted) = store.take_episodes();
        self.episodes.extend(episodes);
        self.unlisted_episodes += unlisted;
        let mut sample = store.store_sample()?;
        if let Some(sample) = &mut sample {
            self.peak = self.peak.or_larger(sample.used);
            let now = store.store_counters();
            sample.counters = now.map(|now| now.since(&self.counted.unwrap_or_default()));
            self.counted = now;
        }
        let bin = self.current();
        bin.store = sample;
        bin.resident_bytes = resident_bytes().map(|(now, _)| now);
        self.looking += begin.elapsed();
        Ok(())
    }

    /// The measured part is over: a last look, and what still goes on.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub fn end(&mut self, store: &dyn Observed) -> StateResult<()> {
        self.look(store)?;
        self.episodes.extend(store.episodes_going_on());
        Ok(())
    }

    /// What the store had counted when the measured part began.
    pub fn counted_before(&self) -> Option<StoreCounters> {
        self.counted_before
    }

    /// Time that looking around has taken.
    pub fn looking(&self) -> Duration {
        self.looking
    }

    /// What the store used when it used most, of the looks at it.
    pub fn peak(&self) -> StoreUse {
        self.peak
    }
}

/// Intervals of twice the length.
fn halved(bins: Vec<Bin>) -> Vec<Bin> {
    let mut halved: Vec<Bin> = Vec::with_capacity(bins.len().div_ceil(2));
    for (position, bin) in bins.into_iter().enumerate() {
        match halved.last_mut() {
            Some(last) if position % 2 == 1 => last.extend(&bin),
            _ => halved.push(bin),
        }
    }
    halved
}

/// Puts the subtasks of a trial together; each comes with whether the cache of its store is not told by another, and the
/// checkpoints of the job come beside them.
pub fn timeline<'a>(
    subtasks: impl IntoIterator<Item = (&'a TimelineWatch, bool)>,
    checkpoints: Option<&Checkpoints>,
) -> Timeline {
    let subtasks: Vec<_> = subtasks.into_iter().collect();
    let interval = subtasks.iter().map(|(watch, _)| watch.interval).max().unwrap_or_default();
    let mut all: Vec<Bin> = Vec::new();
    let mut episodes = Vec::new();
    for (subtask, (watch, first_of_pool)) in (0..).zip(&subtasks) {
        let mut bins = watch.bins.clone();
        let mut length = watch.interval;
        while length < interval {
            bins = halved(bins);
            length *= 2;
        }
        add_bins(&mut all, bins, *first_of_pool);
        episodes.extend(watch.episodes.iter().map(|episode| listed(episode, subtask, watch.started)));
    }
    episodes.extend(checkpoints.into_iter().flat_map(|taken| &taken.records).map(|record| Episode {
        kind: EpisodeKind::Checkpoint,
        subtask: None,
        begin_ms: record.triggered_s * 1e3,
        end_ms: record.triggered_s * 1e3 + record.duration_ms,
        bytes: Some(record.written_bytes),
        detail: Some(format!("{} {}", record.kind, record.id)),
    }));
    episodes.sort_by(|a, b| a.begin_ms.total_cmp(&b.begin_ms).then(a.kind.cmp(&b.kind)));
    Timeline {
        interval_ms: interval.as_millis() as u64,
        intervals: all.into_iter().map(Bin::interval).collect(),
        episodes,
        unlisted_episodes: subtasks.iter().map(|(watch, _)| watch.unlisted_episodes).sum(),
    }
}

/// Adds the intervals of another subtask; those of the busiest count as the time.
fn add_bins(all: &mut Vec<Bin>, bins: Vec<Bin>, first_of_pool: bool) {
    if all.len() < bins.len() {
        all.resize(bins.len(), Bin::default());
    }
    for (mine, theirs) in all.iter_mut().zip(bins) {
        mine.events += theirs.events;
        mine.busy = mine.busy.max(theirs.busy);
        mine.latencies = merge(&mine.latencies, &theirs.latencies);
        mine.resident_bytes = mine.resident_bytes.or(theirs.resident_bytes);
        if let Some(sample) = theirs.store {
            mine.store.get_or_insert_default().add(&sample, &once(sample.used, first_of_pool));
        }
    }
}

fn listed(episode: &StoreEpisode, subtask: u16, started: Instant) -> Episode {
    let ms = |at: Instant| at.saturating_duration_since(started).as_secs_f64() * 1e3;
    Episode {
        kind: episode.kind,
        subtask: Some(subtask),
        begin_ms: ms(episode.begin),
        end_ms: ms(episode.end),
        bytes: episode.bytes,
        detail: Some(episode.detail.clone()).filter(|detail| !detail.is_empty()),
    }
}

impl Bin {
    fn interval(self) -> Interval {
        let timed: u64 = self.latencies.iter().map(|(_, count)| count).sum();
        let percentile = |beyond: u64| {
            let mut left = beyond;
            let mut from_the_top = self.latencies.iter().rev();
            let found = from_the_top.find(|(_, count)| {
                let is_it = *count > left;
                left = left.saturating_sub(*count);
                is_it
            });
            found.map(|(value, _)| *value).filter(|_| beyond >= LEAST_BEYOND)
        };
        let mut heat: Vec<(u8, u32)> = Vec::new();
        for &(value, count) in &self.latencies {
            let (bucket, count) = (heat_bucket(value), u32::try_from(count).unwrap_or(u32::MAX));
            match heat.last_mut() {
                Some(last) if last.0 == bucket => last.1 = last.1.saturating_add(count),
                _ => heat.push((bucket, count)),
            }
        }
        Interval {
            events: self.events,
            busy_ns: self.busy.as_nanos() as u64,
            p50_ns: percentile(timed / 2),
            p99_ns: percentile(timed / 100),
            max_ns: self.latencies.last().map_or(0, |(value, _)| *value),
            heat,
            resident_bytes: self.resident_bytes,
            store: self.store,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::NullBackend;

    const INTERVAL: Duration = Duration::from_millis(100);

    fn histogram() -> Histogram<u64> {
        Histogram::new_with_bounds(1, 3_600_000_000_000, 2).unwrap()
    }

    /// A watch that sees a batch of ten events, of so many ns each, begin at each of these times, ms.
    fn watched(batches: &[(u64, u64)]) -> TimelineWatch {
        let started = Instant::now();
        let (store, mut latencies) = (NullBackend::default(), histogram());
        let mut watch = TimelineWatch::begin(started, INTERVAL, &store, latencies.clone());
        for &(at_ms, latency_ns) in batches {
            let now = started + Duration::from_millis(at_ms);
            if watch.is_over(now) {
                watch.absorb(&latencies);
                watch.close(now, &store).unwrap();
            }
            (0..10).for_each(|_| latencies.record(latency_ns).unwrap());
            watch.add(10, Duration::from_nanos(10 * latency_ns));
        }
        watch.absorb(&latencies);
        watch.end(&store).unwrap();
        watch
    }

    #[test]
    fn events_are_in_the_interval_that_their_batch_began_in() {
        let watch = watched(&[(10, 100), (90, 100), (95, 300_000_000), (395, 50), (410, 60)]);
        let Timeline { interval_ms, intervals, .. } = timeline([(&watch, true)], None);
        assert_eq!(interval_ms, 100);
        assert_eq!(intervals.iter().map(|interval| interval.events).collect::<Vec<_>>(), [30, 0, 0, 10, 10]);
        assert_eq!(intervals[0].busy_ns, 3_000_002_000);
        assert!(intervals[0].max_ns >= 300_000_000 && intervals[1].max_ns == 0);
        assert_eq!((intervals[0].p50_ns, intervals[3].p50_ns), (Some(100), None), "ten must lie beyond it");
        let column = [(heat_bucket(100), 20), (heat_bucket(300_000_000), 10)];
        assert_eq!(intervals[0].heat, column);
    }

    #[test]
    fn a_long_run_has_longer_intervals_and_loses_nothing() {
        let batches: Vec<_> = (0..2_000).map(|batch| (batch * 30, 10 + batch % 7)).collect();
        let watch = watched(&batches);
        let Timeline { interval_ms, intervals, .. } = timeline([(&watch, true)], None);
        assert_eq!(interval_ms, 400);
        assert_eq!(intervals.len(), 150);
        assert_eq!(intervals.iter().map(|interval| interval.events).sum::<u64>(), 20_000);
        let timed: u32 = intervals.iter().flat_map(|interval| &interval.heat).map(|(_, count)| count).sum();
        assert_eq!(timed, 20_000);
    }

    #[test]
    fn subtasks_add_up_though_their_intervals_differ() {
        let long: Vec<_> = (0..2_000).map(|batch| (batch * 30, 100)).collect();
        let (long, short) = (watched(&long), watched(&[(0, 100), (250, 100), (450, 900)]));
        let Timeline { interval_ms, intervals, .. } = timeline([(&short, true), (&long, true)], None);
        assert_eq!((interval_ms, intervals[0].events, intervals[1].events), (400, 20 + 140, 10 + 130));
        assert_eq!(intervals[0].busy_ns, 140 * 100, "the busiest subtask");
    }

    #[test]
    fn a_histogram_that_is_cleared_between_phases_is_counted_whole() {
        let (store, mut latencies) = (NullBackend::default(), histogram());
        let mut watch = TimelineWatch::begin(Instant::now(), INTERVAL, &store, latencies.clone());
        for _ in 0..2 {
            latencies.record_n(40, 15).unwrap();
            watch.absorb(&latencies);
            latencies.reset();
            watch.cleared();
        }
        let Timeline { intervals, .. } = timeline([(&watch, true)], None);
        assert_eq!(intervals[0].heat, [(heat_bucket(40), 30)]);
    }

    #[test]
    fn lists_of_counts_merge_in_order() {
        assert_eq!(merge(&[(1, 1), (5, 2)], &[(1, 3), (4, 1), (9, 1)]), [(1, 4), (4, 1), (5, 2), (9, 1)]);
        assert_eq!(merge(&[], &[(2, 2)]), [(2, 2)]);
    }
}
