//! How the statistics of two rank tests are distributed where nothing differs.

use super::normal;

/// Pairs up to which the distribution of signed ranks is exact.
const EXACT_PAIRS: usize = 200;
/// Values of both samples together up to which the distribution of Mann and Whitney's statistic is exact: their
/// arrangements are counted in 128 bits.
const EXACT_VALUES: usize = 120;
/// The same with ties, where each arrangement has a sum of ranks of its own.
const EXACT_TIED_VALUES: usize = 60;

/// The distribution of a statistic W with whole values from 0 to a largest one, symmetric about the middle.
pub(super) enum Null {
    /// P(W ≥ w) for each w.
    Exact(Vec<f64>),
    /// The normal approximation, with a correction for continuity.
    Normal {
        /// The largest value.
        top: usize,
        /// Standard deviation.
        deviation: f64,
    },
}

impl Null {
    /// Of Wilcoxon's signed ranks without ties: the sum of the ranks 1 to `n`, each counted with probability ½.
    pub fn signed_ranks(n: usize) -> Self {
        let ranks: Vec<_> = (1..=n).collect();
        Self::signed_sum(&ranks)
    }

    /// Of the sum of these ranks, each counted with probability ½.
    pub fn signed_sum(ranks: &[usize]) -> Self {
        let top: usize = ranks.iter().sum();
        if ranks.len() > EXACT_PAIRS {
            let variance: f64 = ranks.iter().map(|&rank| (rank as f64).powi(2) / 4.0).sum();
            return Self::Normal { top, deviation: variance.sqrt() };
        }
        let mut probability = vec![0.0; top + 1];
        probability[0] = 1.0;
        let mut reached = 0;
        for &rank in ranks {
            reached += rank;
            for sum in (0..=reached).rev() {
                let counted = if sum >= rank { probability[sum - rank] } else { 0.0 };
                probability[sum] = f64::midpoint(probability[sum], counted);
            }
        }
        Self::of_probabilities(probability)
    }

    /// Of Mann and Whitney's statistic without ties: of `m` × `n` pairs of values, those in which the second is greater.
    pub fn mann_whitney(m: usize, n: usize) -> Self {
        let top = m * n;
        if m + n > EXACT_VALUES {
            let variance = top as f64 * (m + n + 1) as f64 / 12.0;
            return Self::Normal { top, deviation: variance.sqrt() };
        }
        let counts = gaussian_binomial(m, n);
        let all: u128 = counts.iter().sum();
        Self::of_probabilities(counts.into_iter().map(|count| count as f64 / all as f64).collect())
    }

    /// Of twice Mann and Whitney's statistic with ties: the sum of `n` of these doubled mean ranks, each choice as likely,
    /// less `n` (`n` + 1).
    pub fn tied_mann_whitney(doubled_ranks: &[usize], n: usize) -> Self {
        let values = doubled_ranks.len();
        let top = 2 * n * (values - n);
        if values > EXACT_TIED_VALUES {
            let mean = (values + 1) as f64;
            let variance = doubled_ranks.iter().map(|&rank| (rank as f64 - mean).powi(2)).sum::<f64>() / values as f64;
            // Sampling without replacement.
            let of_sum = variance * (n * (values - n)) as f64 / (values.max(2) - 1) as f64;
            return Self::Normal { top, deviation: of_sum.sqrt() };
        }
        let lowest = n * (n + 1);
        let mut ways = vec![vec![0.0; lowest + top + 1]; n + 1];
        ways[0][0] = 1.0;
        for &rank in doubled_ranks {
            for chosen in (1..=n).rev() {
                let (fewer, more) = ways.split_at_mut(chosen);
                let (fewer, more) = (&fewer[chosen - 1], &mut more[0]);
                more.iter_mut().skip(rank).zip(fewer).for_each(|(more, fewer)| *more += fewer);
            }
        }
        let all: f64 = ways[n].iter().sum();
        Self::of_probabilities(ways[n][lowest..].iter().map(|ways| ways / all).collect())
    }

    fn of_probabilities(mut probability: Vec<f64>) -> Self {
        let mut sum = 0.0;
        for p in probability.iter_mut().rev() {
            sum += *p;
            *p = sum.min(1.0);
        }
        Self::Exact(probability)
    }

    /// The largest value.
    pub fn top(&self) -> usize {
        match self {
            Self::Exact(tail) => tail.len() - 1,
            Self::Normal { top, .. } => *top,
        }
    }

    /// P(W ≥ w).
    pub fn at_least(&self, w: usize) -> f64 {
        match self {
            Self::Exact(tail) => tail.get(w).copied().unwrap_or(0.0),
            Self::Normal { top, deviation } => {
                normal::upper_tail((w as f64 - 0.5 - *top as f64 / 2.0) / deviation.max(f64::MIN_POSITIVE))
            }
        }
    }

    /// The least w with P(W ≥ w) ≤ `probability`; none where even the largest is more frequent than that.
    pub fn critical(&self, probability: f64) -> Option<usize> {
        let (mut low, mut high) = (0, self.top() + 1);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.at_least(middle) <= probability { high = middle } else { low = middle + 1 }
        }
        (low <= self.top()).then_some(low)
    }
}

/// The coefficients of the Gaussian binomial of `m + n` over `m`, the product of (1 − x^(n+i)) / (1 − x^i) for i from 1 to
/// `m`: how many arrangements of `m` and `n` values have each value of Mann and Whitney's statistic.
fn gaussian_binomial(m: usize, n: usize) -> Vec<u128> {
    let mut counts = vec![0_u128; m * n + 1];
    counts[0] = 1;
    for i in 1..=m {
        // A difference may pass below zero until the quotient is formed; modulo 2^128 that does not matter.
        for u in (n + i..counts.len()).rev() {
            counts[u] = counts[u].wrapping_sub(counts[u - n - i]);
        }
        for u in i..counts.len() {
            counts[u] = counts[u].wrapping_add(counts[u - i]);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrangements_are_counted_as_by_hand() {
        // Two and two values: 6 arrangements.
        assert_eq!(gaussian_binomial(2, 2), [1, 1, 2, 1, 1]);
        assert_eq!(gaussian_binomial(60, 60).iter().sum::<u128>(), 96_614_908_840_363_322_603_893_139_521_372_656);
        let Null::Exact(tail) = Null::mann_whitney(2, 2) else { panic!() };
        assert!((tail[4] - 1.0 / 6.0).abs() < 1e-15 && (tail[2] - 4.0 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn critical_values_are_those_of_the_tables() {
        // Hollander and Wolfe, tables A.4 and A.6.
        let signed = |n: usize, a: f64| Null::signed_ranks(n).critical(a);
        assert_eq!([signed(10, 0.025), signed(10, 0.01), signed(6, 0.0157)], [Some(47), Some(50), Some(21)]);
        assert_eq!(signed(6, 0.01), None);
        assert_eq!(Null::mann_whitney(5, 5).critical(0.05), Some(21));
        assert_eq!(Null::mann_whitney(3, 3).critical(0.05), Some(9));
        assert_eq!(Null::mann_whitney(3, 3).critical(0.04), None);
    }

    #[test]
    fn the_approximation_continues_the_exact_distribution() {
        let close = |exact: &Null, normal: &Null| {
            [0.5, 0.1, 0.01].iter().all(|&a| {
                let (exact, normal) = (exact.critical(a).unwrap() as f64, normal.critical(a).unwrap() as f64);
                (exact / normal - 1.0).abs() < 0.01
            })
        };
        let deviation = |n: f64| (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt();
        let normal = Null::Normal { top: 200 * 201 / 2, deviation: deviation(200.0) };
        assert!(close(&Null::signed_ranks(200), &normal));
        let normal = Null::Normal { top: 3600, deviation: (3600.0_f64 * 121.0 / 12.0).sqrt() };
        assert!(close(&Null::mann_whitney(60, 60), &normal));
        let thirds = |n: usize| (0..n).map(|i| 2 * (i / (n / 3)) * (n / 3) + n / 3 + 1).collect::<Vec<_>>();
        let Null::Normal { deviation, .. } = Null::tied_mann_whitney(&thirds(63), 30) else { panic!() };
        let exact = Null::tied_mann_whitney(&thirds(60), 30);
        let scale = (60.0_f64 * 30.0 * 30.0 / (63.0 * 30.0 * 33.0)).sqrt() * (60.0 / 63.0_f64).sqrt();
        assert!(close(&exact, &Null::Normal { top: exact.top(), deviation: deviation * scale }));
        assert!(matches!(Null::signed_ranks(201), Null::Normal { .. }));
        assert!(matches!(Null::mann_whitney(60, 61), Null::Normal { .. }));
    }
}
