//! How unevenly rows fall on keys, given the rows of keys and how many keys have so many, most rows first.

/// The share of the rows that the hottest `share` of the keys have; of one key at least.
pub(super) fn hot_share(items: &[(u64, f64)], share: f64) -> f64 {
    let keys: f64 = items.iter().map(|item| item.1).sum();
    let all: f64 = items.iter().map(|item| item.0 as f64 * item.1).sum();
    let mut wanted = (keys * share).ceil().max(1.0);
    let mut rows = 0.0;
    for &(of, weight) in items {
        let taken = weight.min(wanted);
        rows += of as f64 * taken;
        wanted -= taken;
        if wanted <= 0.0 {
            break;
        }
    }
    rows / all
}

/// The maximum-likelihood exponent of a Zipf law over the ranks: the one under which the mean logarithm of a row's rank
/// is the observed one. The mean falls with the exponent, so it is found by bisection.
pub(super) fn zipf_exponent(items: &[(u64, f64)]) -> Option<f64> {
    const LARGEST: f64 = 20.0;
    let (mut ranks, mut rows, mut logs) = (0.0, 0.0, 0.0);
    for &(of, weight) in items {
        let middle: f64 = ranks + f64::midpoint(weight, 1.0);
        rows += of as f64 * weight;
        logs += of as f64 * weight * middle.ln();
        ranks += weight;
    }
    if ranks < 2.0 {
        return None;
    }
    let (observed, law) = (logs / rows, ZipfLaw::new(ranks));
    let (mut low, mut high) = (0.0, LARGEST);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if law.mean_log(middle) > observed { low = middle } else { high = middle }
    }
    Some(f64::midpoint(low, high))
}

/// The Zipf laws over a number of ranks.
struct ZipfLaw {
    /// The logarithms of the first ranks, which are summed one by one.
    logarithms: Vec<f64>,
    /// Where the ranks begin and end that are integrated instead.
    integrated: (f64, f64),
}

impl ZipfLaw {
    const SUMMED: usize = 10_000;

    fn new(ranks: f64) -> Self {
        let logarithms: Vec<f64> = (1..=Self::SUMMED.min(ranks as usize)).map(|rank| (rank as f64).ln()).collect();
        let integrated = (logarithms.len() as f64 + 0.5, ranks + 0.5);
        Self { logarithms, integrated }
    }

    /// The mean logarithm of a rank under the law with that exponent.
    fn mean_log(&self, exponent: f64) -> f64 {
        let (mut weights, mut logs) = (0.0, 0.0);
        for log in &self.logarithms {
            let weight = (-exponent * log).exp();
            weights += weight;
            logs += weight * log;
        }
        let (from, to) = self.integrated;
        if to > from {
            let rest = 1.0 - exponent;
            let (a, b) = (from.ln(), to.ln());
            if rest.abs() < 1e-6 {
                weights += b - a;
                logs += (b * b - a * a) / 2.0;
            } else {
                let (at_a, at_b) = ((rest * a).exp(), (rest * b).exp());
                weights += (at_b - at_a) / rest;
                logs += at_b * (b / rest - 1.0 / (rest * rest)) - at_a * (a / rest - 1.0 / (rest * rest));
            }
        }
        logs / weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zipf_exponent_is_found_again() {
        for (exponent, keys) in [(0.5, 1000_u32), (0.99, 50_000), (1.0, 30_000), (1.5, 200_000)] {
            let items: Vec<_> = (1..=keys).map(|rank| ((1e12 * f64::from(rank).powf(-exponent)) as u64, 1.0)).collect();
            let found = zipf_exponent(&items).unwrap();
            assert!((found - exponent).abs() < 1e-3, "{found} is not {exponent}");
        }
        assert!(zipf_exponent(&[(5, 1.0); 100]).unwrap() < 1e-6);
        assert_eq!(zipf_exponent(&[(5, 1.0)]), None);
    }

    #[test]
    fn hot_shares_count_whole_keys() {
        let items = [(50, 1.0), (30, 1.0), (10, 2.0)];
        assert!((hot_share(&items, 0.01) - 0.5).abs() < 1e-12);
        assert!((hot_share(&items, 0.5) - 0.8).abs() < 1e-12);
        assert!((hot_share(&items, 1.0) - 1.0).abs() < 1e-12);
    }
}
