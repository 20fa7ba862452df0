//! Whether a series has settled, and where its start-up ends.

use super::{median, robust_deviation};

/// Values that a verdict needs: five in each quarter.
pub const LEAST_VALUES: usize = 20;
/// Values in a batch of MSER-5.
const BATCH: usize = 5;
/// The standard error of a median over that of a mean, for a normal distribution: the root of half of π.
const MEDIAN_ERROR: f64 = 1.2533;

/// The medians of two parts of a series, and how far apart they may be by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartShift {
    /// Median of the earlier part.
    pub before: f64,
    /// Median of the later part.
    pub after: f64,
    /// Twice the standard error of the difference of the medians.
    pub two_errors: f64,
}

impl PartShift {
    /// Between two parts; none where one is empty.
    pub fn between(before: &[f64], after: &[f64]) -> Option<Self> {
        let error = |part: &[f64]| Some(MEDIAN_ERROR * robust_deviation(part)? / (part.len() as f64).sqrt());
        Some(Self {
            before: median(before)?,
            after: median(after)?,
            two_errors: 2.0 * error(before)?.hypot(error(after)?),
        })
    }

    /// Between the third quarter and the last; none of fewer than [`LEAST_VALUES`] values.
    pub fn of_last_quarters(values: &[f64]) -> Option<Self> {
        let (before, last) = values.split_at(values.len() - values.len() / 4);
        (values.len() >= LEAST_VALUES).then(|| Self::between(&before[before.len() - last.len()..], last))?
    }

    /// Between the first quarter and the last.
    pub fn of_outer_quarters(values: &[f64]) -> Option<Self> {
        let quarter = values.len() / 4;
        (values.len() >= LEAST_VALUES).then(|| Self::between(&values[..quarter], &values[values.len() - quarter..]))?
    }

    /// The later median over the earlier one, less 1.
    pub fn change(&self) -> f64 {
        self.after / self.before - 1.0
    }

    /// Whether the medians differ by more than this and by more than chance.
    pub fn exceeds(&self, difference: f64) -> bool {
        (self.after - self.before).abs() > difference.max(self.two_errors)
    }
}

/// How many values at the front belong to the start-up: MSER-5 (White, 1997), the cut that leaves the least standard error of
/// the mean of what is behind it, in steps of five values. None where the best cut is half of the series or more: it has not
/// settled.
pub fn start_up(values: &[f64]) -> Option<usize> {
    let batches: Vec<f64> = values.chunks_exact(BATCH).map(|batch| batch.iter().sum::<f64>() / BATCH as f64).collect();
    let error = |cut: usize| {
        let rest = &batches[cut..];
        let mean = rest.iter().sum::<f64>() / rest.len() as f64;
        rest.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (rest.len() as f64).powi(2)
    };
    let half = batches.len() / 2;
    let best = (0..=half).min_by(|&a, &b| error(a).total_cmp(&error(b)))?;
    (best < half).then_some(best * BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some noise without a trend, of ±1 %.
    fn noise(position: usize) -> f64 {
        1.0 + 0.01 * (((position * 7_919) % 101) as f64 / 50.0 - 1.0)
    }

    fn series(count: usize, level: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..count).map(|position| 100.0 * level(position as f64 / count as f64) * noise(position)).collect()
    }

    #[test]
    fn a_level_series_has_settled_and_a_slope_has_not() {
        let level = PartShift::of_last_quarters(&series(80, |_| 1.0)).unwrap();
        assert!(!level.exceeds(2.0), "{level:?}");
        let slope = PartShift::of_last_quarters(&series(80, |time| 1.0 + 0.3 * time)).unwrap();
        assert!(slope.exceeds(2.0) && slope.change() > 0.04, "{slope:?}");
        assert_eq!(PartShift::of_last_quarters(&series(19, |_| 1.0)), None);
    }

    #[test]
    fn noise_alone_is_no_shift_however_small_the_difference_that_counts() {
        let shift = PartShift::of_last_quarters(&series(400, |_| 1.0)).unwrap();
        assert!(!shift.exceeds(0.0), "{shift:?}");
    }

    #[test]
    fn the_start_up_is_cut_off() {
        let cut = start_up(&series(200, |time| 1.0 + (-time * 40.0).exp())).unwrap();
        assert!((10..40).contains(&cut), "{cut}");
        assert_eq!(start_up(&series(200, |_| 1.0)).unwrap() / 50, 0);
        assert_eq!(start_up(&series(200, |time| 1.0 + time)), None, "it never settles");
        assert_eq!(start_up(&[]), None);
    }
}
