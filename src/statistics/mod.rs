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

/// An interval that holds the median with a probability of at least 95 %, whatever the values' distribution is: between two of
/// them, by the binomial distribution of how many lie below it. None of fewer than six values, whose range holds it less often.
///
/// Values are in ascending order. Hollander, Wolfe and Chicken, section 3.6.
pub fn median_interval95(sorted: &[f64]) -> Option<[f64; 2]> {
    const OUTSIDE: f64 = 0.05;
    let n = sorted.len();
    // The probability that at most `below` of n values lie below the median, on both sides.
    let mut term = 2.0 * libm::pow(0.5, n as f64);
    let mut outside = term;
    let mut below = 0;
    if n == 0 || outside > OUTSIDE {
        return None;
    }
    loop {
        term *= (n - below) as f64 / (below + 1) as f64;
        if outside + term > OUTSIDE || below + 1 >= n / 2 {
            return Some([sorted[below], sorted[n - 1 - below]]);
        }
        outside += term;
        below += 1;
    }
}

/// The standard deviation of a normal distribution with the spread of these values, robustly: 1.4826 times the median
/// distance from their median. None of nothing.
pub fn robust_deviation(values: &[f64]) -> Option<f64> {
    const NORMAL: f64 = 1.4826;
    let middle = median(values)?;
    let distances: Vec<_> = values.iter().map(|value| (value - middle).abs()).collect();
    Some(NORMAL * median(&distances)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_median_is_between_the_ranks_of_the_tables() {
        // Conover, Practical Nonparametric Statistics, and any table of the sign test at 5 %, two-sided.
        for (n, rank) in [(6, 1), (8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (25, 8), (50, 18), (100, 40)] {
            let values: Vec<_> = (1..=n).map(f64::from).collect();
            assert_eq!(median_interval95(&values), Some([f64::from(rank), f64::from(n + 1 - rank)]), "{n}");
        }
        for n in 0..6 {
            assert_eq!(median_interval95(&vec![1.0; n]), None);
        }
    }
}
