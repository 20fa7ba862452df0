//! The standard normal distribution.

use std::f64::consts::SQRT_2;

/// Beyond this no probability is left in an `f64`.
const FARTHEST: f64 = 40.0;

/// The probability that a standard normal variable exceeds `z`.
pub(super) fn upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / SQRT_2)
}

/// The value that a standard normal variable exceeds with this probability, by bisection to the last digit.
pub(super) fn exceeded_with(probability: f64) -> f64 {
    let (mut low, mut high) = (-FARTHEST, FARTHEST);
    // Each step halves the interval; 64 of them leave less than the distance of two neighbouring numbers.
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        if upper_tail(middle) > probability { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (probability, z) in
            [(0.5, 0.0), (0.05, 1.644_854), (0.025, 1.959_964), (0.01, 2.326_348), (0.95, -1.644_854)]
        {
            assert!((exceeded_with(probability) - z).abs() < 1e-6, "{probability}");
            assert!((upper_tail(z) - probability).abs() < 1e-6, "{z}");
        }
        assert!((exceeded_with(0.000_167) - 3.59).abs() < 0.005);
        assert!(exceeded_with(0.0) > 37.0 && exceeded_with(1.0) < -7.0);
    }
}
