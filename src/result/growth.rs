//! How much state is held over a run, and whether it grows without bound.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state at one moment of the measured part. An entry is a value, an element of a list, an entry of a map. Bytes are
/// those of key and value as RocksDB would store them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrowthSample {
    /// Events of the measured part until then.
    pub events: u64,
    /// Processing time on the virtual clock, ms.
    pub time_ms: i64,
    /// Entries that have not expired.
    pub live_entries: u64,
    /// Entries that have expired and are still held.
    pub expired_entries: u64,
    /// Bytes of the live entries.
    pub live_bytes: u64,
    /// Bytes of the expired entries.
    pub expired_bytes: u64,
    /// Expired entries that accesses have removed, since the trial began.
    pub removed_on_access: u64,
    /// Expired entries that incremental clean-up has removed, since the trial began.
    pub removed_incrementally: u64,
    /// Expired entries that RocksDB's compactions have removed, since the trial began.
    pub removed_by_compaction: u64,
}

impl GrowthSample {
    /// Bytes held, expired or not.
    pub fn held_bytes(&self) -> u64 {
        self.live_bytes + self.expired_bytes
    }

    /// Adds the sample of another subtask, taken at the same place of the stream.
    pub fn add(&mut self, other: &Self) {
        self.events = self.events.max(other.events);
        self.time_ms = self.time_ms.max(other.time_ms);
        self.live_entries += other.live_entries;
        self.expired_entries += other.expired_entries;
        self.live_bytes += other.live_bytes;
        self.expired_bytes += other.expired_bytes;
        self.removed_on_access += other.removed_on_access;
        self.removed_incrementally += other.removed_incrementally;
        self.removed_by_compaction += other.removed_by_compaction;
    }
}

/// What becomes of a figure if the job goes on like this.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum Trend {
    /// It stays about as large as it is.
    Bounded,
    /// It grows.
    Unbounded {
        /// By so much in a day of the virtual clock (the Theil-Sen slope), in the unit of the figure: bytes of state held or
        /// of a checkpoint, ns of a duration.
        #[serde(alias = "bytes_per_day")]
        per_day: f64,
    },
    /// The run is too short to tell: entries that would expire had no time to.
    Undecided,
}

/// The state over the measured part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// In order of time.
    pub samples: Vec<GrowthSample>,
    /// What they say.
    pub trend: Trend,
}

/// Samples that a verdict needs.
const LEAST_SAMPLES: usize = 8;
/// Growth over the samples that is none: less than this share of the median.
const LEAST_GROWTH: f64 = 0.05;
/// The normal quantile of a one-sided test at 1 %.
const MANN_KENDALL_Z: f64 = 2.326;
const MS_PER_DAY: f64 = 86_400_000.0;

impl Growth {
    /// The verdict over samples. A horizon is the time on the virtual clock from which on the entries of a TTL have had
    /// the time to expire that they need: what comes behind the latest that the run has passed counts. Without any the
    /// second half of the run counts.
    pub fn of(samples: Vec<GrowthSample>, horizons_ms: &[i64]) -> Self {
        let behind = |horizon: i64| samples.iter().filter(move |sample| sample.time_ms >= horizon);
        let passed = |horizon: &&i64| behind(**horizon).count() >= LEAST_SAMPLES;
        let judged: Vec<_> = match horizons_ms.iter().filter(passed).max() {
            Some(&horizon) => behind(horizon).map(point).collect(),
            None if horizons_ms.is_empty() => samples[samples.len() / 2..].iter().map(point).collect(),
            None => Vec::new(),
        };
        let trend = match trend(&judged) {
            // What grows may be what has not had the time to expire.
            Trend::Unbounded { .. } if !horizons_ms.iter().all(|horizon| passed(&horizon)) => Trend::Undecided,
            trend => trend,
        };
        Self { samples, trend }
    }
}

fn point(sample: &GrowthSample) -> (f64, f64) {
    (sample.time_ms as f64, sample.held_bytes() as f64)
}

/// The verdict over times, ms on the virtual clock, and a figure: a rise that is more than chance (Mann-Kendall, one-sided at
/// 1 %) and more than a trifle of what is held.
pub fn trend(points: &[(f64, f64)]) -> Trend {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Trend::Undecided };
    if points.len() < LEAST_SAMPLES || last.0 <= first.0 {
        return Trend::Undecided;
    }
    let (mut score, mut slopes) = (0_i64, Vec::new());
    for (position, a) in points.iter().enumerate() {
        for b in &points[position + 1..] {
            score += i64::from(b.1 > a.1) - i64::from(b.1 < a.1);
            if b.0 > a.0 {
                slopes.push((b.1 - a.1) / (b.0 - a.0));
            }
        }
    }
    let n = points.len() as f64;
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let slope = median(&mut slopes);
    let typical = median(&mut points.iter().map(|point| point.1).collect::<Vec<_>>());
    let rises = (score as f64 - 1.0) / deviation > MANN_KENDALL_Z;
    if rises && slope * (last.0 - first.0) > LEAST_GROWTH * typical {
        Trend::Unbounded { per_day: slope * MS_PER_DAY }
    } else {
        Trend::Bounded
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample an hour, holding so many bytes.
    fn growth(hours: u64, held: impl Fn(u64) -> u64, horizons: &[i64]) -> Trend {
        let sample =
            |hour| GrowthSample { time_ms: hour as i64 * 3_600_000, live_bytes: held(hour), ..GrowthSample::default() };
        let horizons: Vec<_> = horizons.iter().map(|hours| hours * 3_600_000).collect();
        Growth::of((0..hours).map(sample).collect(), &horizons).trend
    }

    #[test]
    fn a_steady_rise_has_no_bound_and_its_slope() {
        let Trend::Unbounded { per_day } = growth(32, |hour| 1_000 * hour, &[]) else {
            panic!("bounded");
        };
        assert!((per_day - 24_000.0).abs() < 1.0, "{per_day}");
    }

    #[test]
    fn what_levels_off_behind_the_horizon_is_bounded() {
        let held = |hour: u64| 1_000 * hour.min(10) + (hour * 7) % 3;
        assert_eq!(growth(32, held, &[10]), Trend::Bounded);
        // A saw's teeth are no rise, nor is a rise of a trifle.
        assert_eq!(growth(32, |hour| 10_000 + 3_000 * (hour % 5), &[0]), Trend::Bounded);
        assert_eq!(growth(32, |hour| 1_000_000 + hour * 500, &[]), Trend::Bounded);
        assert_eq!(growth(32, |hour| 1_000_000 - hour * 10_000, &[]), Trend::Bounded);
    }

    #[test]
    fn a_ttl_that_the_run_does_not_pass_excuses_growth_and_nothing_else() {
        let held = |hour: u64| 1_000 * hour.min(10);
        assert_eq!(growth(32, held, &[10, 90]), Trend::Bounded);
        assert_eq!(growth(32, |hour| 1_000 * hour, &[10, 90]), Trend::Undecided);
        assert!(matches!(growth(32, |hour| 1_000 * hour, &[5, 10]), Trend::Unbounded { .. }));
    }

    #[test]
    fn a_run_that_ends_before_the_horizon_tells_nothing() {
        assert_eq!(growth(32, |hour| 1_000 * hour, &[30]), Trend::Undecided);
        assert_eq!(growth(0, |_| 0, &[]), Trend::Undecided);
    }
}
