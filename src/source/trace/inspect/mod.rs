//! What a trace looks like: rate, key popularity, reuse, sizes. One pass, in memory that the file's length does not
//! move.
//!
//! Keys are told apart by a 64-bit hash. Up to [`EXACT_KEYS`] of them everything about keys is exact. Beyond that only
//! the keys whose hash lies under a limit are followed, and the limit is halved whenever they become too many (SHARDS:
//! Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST 2015): counts of keys and reuse distances are then
//! those of the sample divided by its rate, and the hottest keys come from a Misra-Gries summary.

mod columns;
mod grid;
mod keys;
mod render;
mod skew;
mod spread;
mod stack;

use serde::Serialize;

pub use columns::{ColumnList, ColumnPreview, Suggestion, columns};
use grid::Grid;
use keys::Keys;
use skew::{hot_share, zipf_exponent};
pub use spread::Distribution;
use spread::Spread;

use super::error::file_name;
use super::{TraceBatch, TraceError, TraceReader};
use crate::workload::{Trace, TraceFormat};

/// Distinct keys up to which everything about keys is exact.
pub const EXACT_KEYS: usize = 5_000_000;
const BATCH_ROWS: usize = 8192;

/// What a trace looks like under a mapping.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The file.
    pub file: String,
    /// How it is written.
    pub format: TraceFormat,
    /// Rows with all mapped columns.
    pub rows: u64,
    /// Rows left out because a mapped column is empty.
    pub skipped: u64,
    /// Earliest event time, epoch ms.
    pub first_ms: i64,
    /// Latest event time, epoch ms.
    pub last_ms: i64,
    /// How often events come.
    pub rate: Rate,
    /// How far time runs backwards.
    pub disorder: Disorder,
    /// How many keys there are.
    pub keys: Distinct,
    /// The hottest keys.
    pub top_keys: Vec<TopKey>,
    /// What share of the rows the hottest keys have.
    pub hot: Vec<HotShare>,
    /// The exponent s of the Zipf law (frequency ∝ rank^−s over as many ranks as there are keys) of greatest likelihood;
    /// `None` with fewer than two keys.
    pub zipf_exponent: Option<f64>,
    /// Share of the keys that occur once.
    pub one_hit_share: f64,
    /// How soon keys come again.
    pub reuse: Reuse,
    /// Length of the keys as text, bytes.
    pub key_bytes: Distribution,
    /// The values; `None` without a value column.
    pub value: Option<Distribution>,
    /// The payload sizes, bytes; `None` without a size column.
    pub size: Option<Distribution>,
}

/// Events over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rate {
    /// Rows by seconds between the earliest and the latest event time; 0 where there is no time between.
    pub mean_per_s: f64,
    /// The same of the fullest bucket.
    pub peak_per_s: f64,
    /// Length of a bucket, ms.
    pub bucket_ms: i64,
    /// Where the first bucket begins, epoch ms.
    pub start_ms: i64,
    /// Rows in each bucket; at most 60 buckets.
    pub buckets: Vec<u64>,
}

/// Event time running backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Disorder {
    /// Furthest that a row is behind the latest time before it, ms: what `disorder` must allow.
    pub largest_ms: u64,
    /// Rows that are behind.
    pub rows: u64,
}

/// The number of distinct keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Distinct {
    /// The number.
    pub count: u64,
    /// 1 where it was counted; n where one key in n was counted and the number is an estimate.
    pub one_in: u64,
}

/// One of the hottest keys.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopKey {
    /// Its text, made printable; parts are joined by ` / `.
    pub key: String,
    /// Its rows; where keys are sampled, at least so many.
    pub rows: u64,
    /// Its share of all rows.
    pub share: f64,
}

/// What the hottest keys have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HotShare {
    /// Share of the keys.
    pub of_keys: f64,
    /// Their share of the rows.
    pub of_rows: f64,
}

/// How soon keys come again, in distinct other keys between two rows of a key (LRU stack distance): a cache of more
/// entries than that hits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reuse {
    /// Share of the rows that are the first of their key, and have no distance.
    pub first_share: f64,
    /// The distances of the others; `None` where no key comes twice.
    pub distance: Option<Distribution>,
    /// 1 where distances are exact; n where they are those of one key in n, times n.
    pub one_in: u64,
}

/// Reads the whole file under a mapping. How far time may run backwards does not matter here: it is measured.
pub fn inspect(trace: &Trace) -> Result<Inspection, TraceError> {
    inspect_with(trace, EXACT_KEYS)
}

fn inspect_with(trace: &Trace, exact_keys: usize) -> Result<Inspection, TraceError> {
    let trace = Trace { disorder_ms: i64::MAX, ..trace.clone() };
    let mut reader = TraceReader::open(&trace)?;
    let (mut batch, mut profile) = (TraceBatch::new(), Profile::new(exact_keys));
    let (has_value, has_size) = (trace.value_column().is_some(), trace.size_column().is_some());
    while reader.read(&mut batch, BATCH_ROWS)? > 0 {
        profile.add(&batch, has_value, has_size);
    }
    Ok(profile.finish(&trace, reader.rows(), reader.skipped()))
}

/// What is gathered in the pass.
struct Profile {
    first_ms: i64,
    last_ms: i64,
    disorder: Disorder,
    grid: Grid,
    keys: Keys,
    key_bytes: Spread,
    value: Spread,
    size: Spread,
}

impl Profile {
    fn new(exact_keys: usize) -> Self {
        Self {
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            disorder: Disorder { largest_ms: 0, rows: 0 },
            grid: Grid::new(),
            keys: Keys::new(exact_keys),
            key_bytes: Spread::new(),
            value: Spread::new(),
            size: Spread::new(),
        }
    }

    /// Takes in the rows of a batch.
    fn add(&mut self, batch: &TraceBatch, has_value: bool, has_size: bool) {
        for &time in &batch.time_ms {
            if time < self.last_ms {
                let behind = self.last_ms.abs_diff(time);
                self.disorder.largest_ms = self.disorder.largest_ms.max(behind);
                self.disorder.rows += 1;
            }
            self.first_ms = self.first_ms.min(time);
            self.last_ms = self.last_ms.max(time);
            self.grid.add(time);
        }
        for row in 0..batch.len() {
            let key = batch.key(row);
            self.key_bytes.add(key.len() as i64);
            self.keys.add(key);
        }
        if has_value {
            batch.value.iter().for_each(|&value| self.value.add(value));
        }
        if has_size {
            batch.size.iter().for_each(|&size| self.size.add(i64::from(size)));
        }
    }

    fn finish(self, trace: &Trace, rows: u64, skipped: u64) -> Inspection {
        let (keys, items) = (&self.keys, self.keys.by_rows());
        let total: f64 = items.iter().map(|item| item.1).sum();
        let one_hits: f64 = items.iter().filter(|item| item.0 == 1).map(|item| item.1).sum();
        let hot = [0.01, 0.1, 0.2].map(|share| HotShare { of_keys: share, of_rows: hot_share(&items, share) });
        let one_in = keys.one_in();
        let seconds = (i128::from(self.last_ms) - i128::from(self.first_ms)) as f64 / 1e3;
        Inspection {
            file: file_name(trace.path()),
            format: trace.format(),
            rows,
            skipped,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            disorder: self.disorder,
            keys: Distinct { count: total.round() as u64, one_in },
            top_keys: keys.top(rows),
            hot: hot.to_vec(),
            zipf_exponent: zipf_exponent(&items),
            one_hit_share: one_hits / total,
            reuse: Reuse { first_share: total / rows as f64, distance: keys.distances.finish(), one_in },
            key_bytes: self.key_bytes.finish().unwrap_or(Distribution::NONE),
            value: self.value.finish(),
            size: self.size.finish(),
            rate: self.grid.finish(if seconds > 0.0 { rows as f64 / seconds } else { 0.0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;
    use xxhash_rust::xxh3::xxh3_64;

    /// Inspects rows of time, key and value, following at most so many keys.
    pub(super) fn inspect_rows(rows: impl Iterator<Item = (i64, String, i64)>, exact_keys: usize) -> Inspection {
        let folder = tempfile::tempdir().unwrap();
        let mut text = "at,key,value\n".to_owned();
        for (at, key, value) in rows {
            writeln!(text, "{at},\"{key}\",{value}").unwrap();
        }
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        let wire = serde_json::json!({ "path": "t.csv", "time": "at", "key": "key", "value": "value" });
        let trace = Trace::new(&serde_json::from_value(wire).unwrap(), folder.path()).unwrap();
        Inspection { file: "t.csv".to_owned(), ..inspect_with(&trace, exact_keys).unwrap() }
    }

    /// A number below one from a counter.
    fn random(i: u64) -> f64 {
        (xxh3_64(&i.to_le_bytes()) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Keys in the order of their latest row, as a list.
    fn distances_by_hand(keys: &[u64]) -> Vec<i64> {
        let (mut list, mut distances) = (Vec::new(), Vec::new());
        for key in keys {
            if let Some(at) = list.iter().rposition(|known| known == key) {
                distances.push((list.len() - 1 - at) as i64);
                list.remove(at);
            }
            list.push(*key);
        }
        distances
    }

    #[test]
    fn reuse_distances_are_those_of_an_lru_list() {
        let keys: Vec<u64> = (0..150_000).map(|i| (random(i).powi(3) * 60.0) as u64).collect();
        let mut distances = distances_by_hand(&keys);
        distances.sort_unstable();
        let rows = keys.iter().enumerate().map(|(i, key)| (i as i64, key.to_string(), 0));
        let found = inspect_rows(rows, 1000);
        let distribution = found.reuse.distance.unwrap();
        let at = |share: f64| distances[(share * distances.len() as f64).ceil() as usize - 1];
        assert_eq!([distribution.min, distribution.max], [distances[0], distances[distances.len() - 1]]);
        assert_eq!([distribution.p10, distribution.p50, distribution.p99], [at(0.1), at(0.5), at(0.99)]);
        assert!((distribution.mean - distances.iter().sum::<i64>() as f64 / distances.len() as f64).abs() < 1e-9);
        assert_eq!(found.keys, Distinct { count: 60, one_in: 1 });
    }

    #[test]
    fn a_sample_of_the_keys_estimates_what_all_of_them_tell() {
        let (rows, keys) = (300_000_u64, 40_000.0_f64);
        let trace = || (0..rows).map(|i| (i as i64, format!("k{}", keys.powf(random(i)) as u64), 0));
        let (exact, sampled) = (inspect_rows(trace(), 1_000_000), inspect_rows(trace(), 4_000));
        assert_eq!((exact.keys.one_in, sampled.keys.one_in), (1, 8));
        let near = |a: f64, b: f64, share: f64| assert!((a - b).abs() <= share * a.abs(), "{a} and {b}");
        near(exact.keys.count as f64, sampled.keys.count as f64, 0.05);
        near(exact.one_hit_share, sampled.one_hit_share, 0.1);
        near(exact.zipf_exponent.unwrap(), sampled.zipf_exponent.unwrap(), 0.1);
        for (exact, sampled) in exact.hot.iter().zip(&sampled.hot) {
            near(exact.of_rows, sampled.of_rows, 0.1);
        }
        let (a, b) = (exact.reuse.distance.unwrap(), sampled.reuse.distance.unwrap());
        near(a.p90 as f64, b.p90 as f64, 0.25);
        let key = |inspection: &Inspection, i: usize| inspection.top_keys[i].key.clone();
        assert_eq!([0, 1, 2].map(|i| key(&exact, i)), [0, 1, 2].map(|i| key(&sampled, i)));
        assert!(sampled.top_keys[0].rows <= exact.top_keys[0].rows);
        assert!(sampled.render().contains("estimated from one key in 8"));
    }
}
