//! What hit rate a block cache of another size would have had.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StoreCounters;

/// The hit rate of the block cache by its size (modelled): what this trial asked its cache for, answered by caches of other
/// sizes. The tree is that of the trial; with other write buffers it would have files of other sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheCurve {
    /// Data blocks that were asked for in the measured part.
    pub data_asked: u64,
    /// Blocks of indexes and filters that were.
    pub index_asked: u64,
    /// Blocks asked for that the model followed one by one: of data a sample of the blocks, where there are many.
    pub sampled: u64,
    /// The hit rate of this trial by RocksDB's counters (measured), which the curve has to meet at the present size; none
    /// where nothing was asked for.
    pub measured_hit_rate: Option<f64>,
    /// The curve, from the smallest cache to the largest.
    pub points: Vec<CachePoint>,
}

/// A cache of one size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CachePoint {
    /// Whether it is the size that the trial had.
    pub is_present: bool,
    /// The memory that caches and write buffers would share, all pools together, bytes.
    pub pool_bytes: u64,
    /// Capacity of the block caches in it, bytes; write buffers are charged to it.
    pub cache_bytes: u64,
    /// Blocks found over blocks asked for (modelled).
    pub hit_rate: f64,
    /// The same of data blocks.
    pub data_hit_rate: f64,
    /// The same of index and filter blocks.
    pub index_hit_rate: f64,
}

impl CachePoint {
    /// Sets the rate of all blocks by those of both kinds.
    fn combine(&mut self, data_asked: u64, index_asked: u64) {
        let hits = self.data_hit_rate * data_asked as f64 + self.index_hit_rate * index_asked as f64;
        self.hit_rate = hits / (data_asked + index_asked).max(1) as f64;
    }

    /// A point by the hit rates of both kinds, of which so many blocks were asked for.
    pub fn new(size: PoolSize, is_present: bool, (data, index): (f64, f64), asked: (u64, u64)) -> Self {
        let mut point = Self {
            is_present,
            pool_bytes: size.pool_bytes,
            cache_bytes: size.cache_bytes,
            hit_rate: 0.0,
            data_hit_rate: data,
            index_hit_rate: index,
        };
        point.combine(asked.0, asked.1);
        point
    }
}

/// The size of a pool and of the block cache in it, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    /// What caches and write buffers share.
    pub pool_bytes: u64,
    /// Capacity of the block cache.
    pub cache_bytes: u64,
}

impl CacheCurve {
    /// Adds the curve of another pool, whose points are at the same multiples of its size.
    pub fn add(&mut self, other: &Self) {
        let weighted = |mine: f64, my_weight: u64, theirs: f64, their_weight: u64| {
            let sum = mine * my_weight as f64 + theirs * their_weight as f64;
            sum / (my_weight + their_weight).max(1) as f64
        };
        let (data, index) = (self.data_asked + other.data_asked, self.index_asked + other.index_asked);
        for (mine, theirs) in self.points.iter_mut().zip(&other.points) {
            mine.pool_bytes += theirs.pool_bytes;
            mine.cache_bytes += theirs.cache_bytes;
            mine.data_hit_rate = weighted(mine.data_hit_rate, self.data_asked, theirs.data_hit_rate, other.data_asked);
            mine.index_hit_rate =
                weighted(mine.index_hit_rate, self.index_asked, theirs.index_hit_rate, other.index_asked);
            mine.combine(data, index);
        }
        (self.data_asked, self.index_asked) = (data, index);
        self.sampled += other.sampled;
    }

    /// The curve with what RocksDB counted in the same trial.
    #[must_use]
    pub fn beside(self, counters: Option<&StoreCounters>) -> Self {
        Self { measured_hit_rate: counters.and_then(StoreCounters::cache_hit_rate), ..self }
    }

    /// The point of the size that the trial had.
    pub fn present(&self) -> Option<&CachePoint> {
        self.points.iter().find(|point| point.is_present)
    }

    /// By how much the curve misses the measured hit rate at the present size, from -1 to 1.
    pub fn error(&self) -> Option<f64> {
        Some(self.present()?.hit_rate - self.measured_hit_rate?)
    }

    /// The smallest size of the curve from which on the hit rate is at least so high; none where the largest has less.
    pub fn smallest_with(&self, hit_rate: f64) -> Option<&CachePoint> {
        let worse = self.points.iter().rposition(|point| point.hit_rate < hit_rate);
        self.points.get(worse.map_or(0, |last| last + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(rates: [(u64, f64); 3], data_asked: u64) -> CacheCurve {
        let point = |(pool_bytes, rate): (u64, f64)| {
            let size = PoolSize { pool_bytes, cache_bytes: pool_bytes / 2 };
            CachePoint::new(size, pool_bytes == 20, (rate, 0.5), (data_asked, 10))
        };
        CacheCurve {
            data_asked,
            index_asked: 10,
            sampled: 7,
            measured_hit_rate: None,
            points: rates.into_iter().map(point).collect(),
        }
    }

    #[test]
    fn pools_add_up_by_what_they_were_asked_for() {
        let mut all = curve([(10, 0.2), (20, 0.5), (40, 1.0)], 90);
        assert!((all.points[1].hit_rate - 0.5).abs() < 1e-9);
        all.add(&curve([(10, 0.0), (20, 0.0), (40, 0.0)], 270));
        let point = all.points[2];
        assert_eq!((point.pool_bytes, point.cache_bytes, all.data_asked, all.index_asked), (80, 40, 360, 20));
        assert!((point.data_hit_rate - 0.25).abs() < 1e-9 && (point.index_hit_rate - 0.5).abs() < 1e-9);
        assert!((point.hit_rate - 100.0 / 380.0).abs() < 1e-9);
        assert_eq!(all.sampled, 14);
    }

    #[test]
    fn a_size_is_enough_where_every_larger_one_is_too() {
        let dips = curve([(10, 0.9), (20, 0.5), (40, 0.95)], 1_000_000);
        assert_eq!(dips.smallest_with(0.9).map(|point| point.pool_bytes), Some(40));
        assert_eq!(dips.smallest_with(0.4).map(|point| point.pool_bytes), Some(10));
        assert_eq!(dips.smallest_with(0.99), None);
        assert_eq!(dips.error(), None);
        let counters = StoreCounters { data_hits: 4, data_misses: 6, ..StoreCounters::default() };
        let error = dips.beside(Some(&counters)).error().unwrap();
        assert!((error - 0.1).abs() < 1e-3, "{error}");
    }
}
