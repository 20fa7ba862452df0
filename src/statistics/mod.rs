//! The shift between two samples, estimated and tested by ranks, and changes of the level of a series: nothing is assumed of the
//! shape of the noise.
//!
//! Formulas are those of Hollander, Wolfe and Chicken, *Nonparametric Statistical Methods*, chapters 3 (signed ranks) and
//! 4 (two samples).

mod changes;
mod flips;
mod looks;
mod normal;
mod null;
mod shift;
mod steady;

pub use changes::{Change, LEAST_SIDE, changes};
pub use flips::Flips;
pub use looks::{LOOKS, planned_looks};
pub use shift::{Shift, detectable_in};
pub use steady::{LEAST_VALUES, PartShift, start_up};

/// The median, of two in the middle their mean; none of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&sorted)
}

/// The median of values in ascending order.
fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[sorted.len() / 2 - 1], upper) })
}

/// The standard deviation of a normal distribution with the spread of these values, robustly: 1.4826 times the median
/// distance from their median. None of nothing.
pub fn robust_deviation(values: &[f64]) -> Option<f64> {
    const NORMAL: f64 = 1.4826;
    let middle = median(values)?;
    let distances: Vec<_> = values.iter().map(|value| (value - middle).abs()).collect();
    Some(NORMAL * median(&distances)?)
}
