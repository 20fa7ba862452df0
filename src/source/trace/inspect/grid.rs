//! Rows over time, in memory that their number and the time between them do not move.

use super::Rate;

/// Buckets of the rate over time, at most.
const BUCKETS: usize = 60;

/// Rows over time in at most [`BUCKETS`] buckets. Each width divides the next, and buckets start at multiples of their
/// width, so that the old buckets of a grid fall whole into the wider ones.
pub(super) struct Grid {
    width_ms: i64,
    /// The first bucket covers the times from `first · width_ms`.
    first: i64,
    counts: Vec<u64>,
}

/// Widths from a millisecond to 1024 days; beyond, each is twice the one before.
const WIDTHS_MS: [i64; 29] = {
    const S: i64 = 1000;
    const MIN: i64 = 60 * S;
    const H: i64 = 60 * MIN;
    const D: i64 = 24 * H;
    #[rustfmt::skip]
    let widths = [
        1, 2, 10, 20, 100, 200,
        S, 2 * S, 10 * S, 20 * S,
        MIN, 2 * MIN, 10 * MIN, 30 * MIN,
        H, 2 * H, 6 * H, 12 * H,
        D, 2 * D, 4 * D, 8 * D, 16 * D, 32 * D, 64 * D, 128 * D, 256 * D, 512 * D, 1024 * D,
    ];
    widths
};

impl Grid {
    pub(super) fn new() -> Self {
        Self { width_ms: 1, first: 0, counts: Vec::new() }
    }

    /// The rate over time, given its mean.
    pub(super) fn finish(mut self, mean_per_s: f64) -> Rate {
        self.counts.truncate(self.counts.iter().rposition(|&rows| rows > 0).map_or(0, |last| last + 1));
        let peak = self.counts.iter().copied().max().unwrap_or(0);
        Rate {
            mean_per_s,
            peak_per_s: peak as f64 * 1e3 / self.width_ms as f64,
            bucket_ms: self.width_ms,
            start_ms: self.first.saturating_mul(self.width_ms),
            buckets: self.counts,
        }
    }

    #[inline]
    pub(super) fn add(&mut self, time: i64) {
        loop {
            let bucket = time.div_euclid(self.width_ms);
            if self.counts.is_empty() {
                self.first = bucket;
            }
            let at = i128::from(bucket) - i128::from(self.first);
            if (0..BUCKETS as i128).contains(&at) {
                let at = at as usize;
                if at >= self.counts.len() {
                    self.counts.resize(at + 1, 0);
                }
                self.counts[at] += 1;
                return;
            }
            if at < 0 && self.counts.len() as i128 - at <= BUCKETS as i128 {
                self.counts.splice(0..0, std::iter::repeat_n(0, -at as usize));
                self.first = bucket;
                continue;
            }
            self.widen();
        }
    }

    #[cold]
    fn widen(&mut self) {
        let wider = WIDTHS_MS.into_iter().find(|&width| width > self.width_ms).unwrap_or(self.width_ms * 2);
        let factor = wider / self.width_ms;
        let first = self.first.div_euclid(factor);
        let mut counts = Vec::new();
        for (i, &rows) in self.counts.iter().enumerate() {
            let at = ((self.first + i as i64).div_euclid(factor) - first) as usize;
            if at >= counts.len() {
                counts.resize(at + 1, 0);
            }
            counts[at] += rows;
        }
        (self.width_ms, self.first, self.counts) = (wider, first, counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_keeps_every_row_whatever_comes() {
        for times in [vec![0, 5, 59, 60, 61, 600], vec![600, -600, 0], vec![i64::MAX, i64::MIN, 0, i64::MIN]] {
            let mut grid = Grid::new();
            for &time in &times {
                grid.add(time);
            }
            assert_eq!(grid.counts.iter().sum::<u64>(), times.len() as u64);
            assert!(grid.counts.len() <= BUCKETS);
            for time in times {
                assert!(grid.counts[(time.div_euclid(grid.width_ms) - grid.first) as usize] > 0, "{time}");
            }
        }
        assert!(WIDTHS_MS.is_sorted_by(|a, b| a < b && b % a == 0));
    }
}
