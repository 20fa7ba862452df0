//! How whole numbers are distributed.

use hdrhistogram::Histogram;
use serde::Serialize;

/// A distribution of whole numbers. Extremes and mean are exact, the rest to three digits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distribution {
    /// The smallest.
    pub min: i64,
    /// The 10th percentile.
    pub p10: i64,
    /// The median.
    pub p50: i64,
    /// The 90th percentile.
    pub p90: i64,
    /// The 99th percentile.
    pub p99: i64,
    /// The largest.
    pub max: i64,
    /// The mean.
    pub mean: f64,
}

impl Distribution {
    /// Of no numbers.
    pub(super) const NONE: Self = Self { min: 0, p10: 0, p50: 0, p90: 0, p99: 0, max: 0, mean: 0.0 };
}

/// Collects a [`Distribution`].
pub(super) struct Spread {
    count: u64,
    sum: i128,
    min: i64,
    max: i64,
    /// Magnitudes of the negative numbers.
    negative: Histogram<u64>,
    positive: Histogram<u64>,
}

impl Spread {
    pub(super) fn new() -> Self {
        #[expect(clippy::expect_used, reason = "three digits are among the one to five that are possible")]
        let histogram = || Histogram::new(3).expect("three digits are possible");
        Self { count: 0, sum: 0, min: i64::MAX, max: i64::MIN, negative: histogram(), positive: histogram() }
    }

    #[inline]
    pub(super) fn add(&mut self, number: i64) {
        self.count += 1;
        self.sum += i128::from(number);
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        let histogram = if number < 0 { &mut self.negative } else { &mut self.positive };
        // It grows to what it is given, and 64 bits are not too much for it.
        let _ = histogram.record(number.unsigned_abs());
    }

    fn quantile(&self, quantile: f64) -> i64 {
        let rank = ((quantile * self.count as f64).ceil() as u64).clamp(1, self.count);
        let below_zero = self.negative.len();
        let number = if rank <= below_zero {
            let magnitude = (below_zero - rank + 1) as f64 / below_zero as f64;
            0_i64.saturating_sub_unsigned(self.negative.value_at_quantile(magnitude))
        } else {
            let at = (rank - below_zero) as f64 / self.positive.len() as f64;
            i64::try_from(self.positive.value_at_quantile(at)).unwrap_or(i64::MAX)
        };
        number.clamp(self.min, self.max)
    }

    pub(super) fn finish(&self) -> Option<Distribution> {
        (self.count > 0).then(|| Distribution {
            min: self.min,
            p10: self.quantile(0.1),
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            max: self.max,
            mean: self.sum as f64 / self.count as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_numbers() {
        let numbers: Vec<i64> = (0..10_001).map(|i| i * 100 - 250_000).collect();
        let mut spread = Spread::new();
        for &number in &numbers {
            spread.add(number);
        }
        let found = spread.finish().unwrap();
        let expected = [(found.p10, 1000), (found.p50, 5000), (found.p90, 9000), (found.p99, 9900)];
        for (found, at) in expected {
            let number = numbers[at];
            assert!((found - number).abs() <= number.abs() / 500 + 100, "{found} is not {number}");
        }
        assert_eq!((found.min, found.max), (-250_000, 750_000));
        assert!((found.mean - 250_000.0).abs() < 1e-9);
        let mut extremes = Spread::new();
        extremes.add(i64::MIN);
        extremes.add(i64::MAX);
        assert_eq!(extremes.finish().map(|found| (found.p10, found.p99)), Some((i64::MIN, i64::MAX)));
    }
}
