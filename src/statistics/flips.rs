//! The signed-rank test of the same distances under other signs.

use super::null::Null;

/// The distances of pairs, tested again and again with their signs drawn anew.
pub struct Flips {
    /// Twice the rank of each distance; 0 of a pair without one.
    ranks: Vec<usize>,
    /// The least sum of the ranks of positive differences that is a finding; none where no sum is one.
    critical: Option<usize>,
}

impl Flips {
    /// Of these differences, for a one-sided test at a level; none where one is not a number.
    pub fn of(differences: &[f64], level: f64) -> Option<Self> {
        if !differences.iter().all(|difference| difference.is_finite()) {
            return None;
        }
        let mut order: Vec<_> = (0..differences.len()).filter(|i| differences[*i] != 0.0).collect();
        order.sort_unstable_by(|a, b| differences[*a].abs().total_cmp(&differences[*b].abs()));
        let mut ranks = vec![0; differences.len()];
        let mut below = 0;
        for tied in order.chunk_by(|a, b| differences[*a].abs().total_cmp(&differences[*b].abs()).is_eq()) {
            // Twice the mean of the ranks that they share.
            tied.iter().for_each(|i| ranks[*i] = 2 * below + tied.len() + 1);
            below += tied.len();
        }
        let own: Vec<_> = ranks.iter().copied().filter(|rank| *rank > 0).collect();
        let critical = Null::signed_sum(&own).critical(level);
        Some(Self { ranks, critical })
    }

    /// Whether the test finds a shift above zero where only the differences of these places are positive.
    pub fn is_above(&self, is_positive: impl Fn(usize) -> bool) -> bool {
        let sum =
            || -> usize { self.ranks.iter().enumerate().filter(|(i, _)| is_positive(*i)).map(|(_, rank)| rank).sum() };
        self.critical.is_some_and(|critical| sum() >= critical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Shift;
    use crate::workload::{Rng, Stream};

    #[test]
    fn flipped_signs_are_tested_as_any_others() {
        let mut rng = Rng::for_block(5, Stream::Order, 0);
        for _ in 0..200 {
            let n = 1 + rng.below(12) as usize;
            // Small whole numbers have ties and zeros.
            let distances: Vec<f64> = (0..n).map(|_| rng.below(6) as f64).collect();
            let signs: Vec<_> = (0..n).map(|_| rng.below(4) != 0).collect();
            let signed: Vec<_> = distances.iter().zip(&signs).map(|(d, up)| if *up { *d } else { -d }).collect();
            let level = [0.2, 0.05, 0.01][rng.below(3) as usize];
            let found = Flips::of(&distances, level).unwrap().is_above(|i| signs[i]);
            assert_eq!(found, Shift::of_pairs(&signed).unwrap().p_above() <= level, "{signed:?} {level}");
        }
        assert!(Flips::of(&[1.0, f64::NAN], 0.5).is_none());
    }
}
