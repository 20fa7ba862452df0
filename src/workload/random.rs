//! Random numbers that stay the same: one seed gives the same draws on every platform and in every later release.
//!
//! Nothing here calls the C library's mathematics, whose last digits differ between systems: logarithms and powers come
//! from `libm`, which is Rust, and everything else is integer arithmetic or correctly rounded. The tests pin first draws.

use std::sync::Arc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng as _, SeedableRng};

use super::{Invalid, check_range};

/// What random numbers are drawn for: the columns of the event stream, and the plan. Each has draws of its own, so
/// changing how one is drawn leaves the others alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Which key.
    Keys = 1,
    /// What is done with it.
    Operations = 2,
    /// The numeric value.
    Values = 3,
    /// Size and bytes of the payload.
    Payloads = 4,
    /// The state that is there before the first event.
    Prefill = 5,
    /// In what order trials run.
    Order = 6,
    /// How far events are delayed.
    Times = 7,
    /// To which of the operator's inputs an event belongs.
    Inputs = 8,
    /// Which events take an earlier one back.
    Retractions = 9,
    /// When events arrive.
    Arrivals = 10,
}

/// One step of splitmix64: a bijection of 64-bit words in which every input bit reaches every output bit.
#[inline]
pub const fn hash(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The upper 53 bits of a word as a number in \[0, 1).
#[inline]
pub const fn unit(word: u64) -> f64 {
    (word >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number below `n` from a random word, and 0 where `n` is 0: the upper half of their product.
#[inline]
pub const fn below(word: u64, n: u64) -> u64 {
    ((word as u128 * n as u128) >> 64) as u64
}

/// The numbers below `n` in an order that the seed and the round fix.
pub fn shuffled(seed: u64, round: u32, n: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..n).collect();
    let mut rng = Rng::for_block(seed, Stream::Order, u64::from(round));
    for end in (1..n).rev() {
        order.swap(end, rng.below(end as u64 + 1) as usize);
    }
    order
}

/// The generator of one column of one block of events: xoshiro256++, seeded through splitmix64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rng(Xoshiro256PlusPlus);

impl Rng {
    /// The generator of this column of this block. Any thread can make any block, in any order.
    pub fn for_block(seed: u64, stream: Stream, block: u64) -> Self {
        let mut state = hash(hash(hash(seed) ^ stream as u64) ^ block);
        let mut bytes = [0; 32];
        for word in bytes.as_chunks_mut().0 {
            *word = hash(state).to_le_bytes();
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        }
        Self(Xoshiro256PlusPlus::from_seed(bytes))
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `n`, and 0 where `n` is 0: the upper half of the product with one word. A number is more frequent
    /// than another by at most `n` / 2^64.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        below(self.next_u64(), n)
    }

    /// A number in \[0, 1), a multiple of 2^-53.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        unit(self.next_u64())
    }
}

/// The largest number of keys that the samplers work with.
pub const MAX_KEYS: u64 = 1_000_000_000_000;

/// The integral of x^-s from `a` to `b`, both positive; exact in the limit where s is 1.
pub(super) fn power_integral(a: f64, b: f64, s: f64) -> f64 {
    let (log, rest) = (libm::log(b / a), 1.0 - s);
    if rest == 0.0 { log } else { libm::pow(a, rest) * libm::expm1(rest * log) / rest }
}

/// The generalised harmonic number Σ k^-s for k from 1 to `n`, to 12 digits in constant time: the first terms one by
/// one, the others by the Euler-Maclaurin formula.
pub fn harmonic(n: u64, s: f64) -> f64 {
    const DIRECT: u64 = 32;
    let direct = |last: u64| (1..=last).rev().map(|k| libm::pow(k as f64, -s)).sum::<f64>();
    if n <= DIRECT {
        return direct(n);
    }
    let (a, b) = (DIRECT as f64, n as f64);
    // Σ of f(a), …, f(b) = ∫ + (f(a) + f(b)) / 2 + Σ B2j / (2j)! (f^(2j-1)(b) - f^(2j-1)(a)); f(a) is counted already.
    let terms = |x: f64| {
        let (mut derivative, mut sum) = (-s * libm::pow(x, -s - 1.0), 0.0);
        for (j, factor) in [1.0 / 12.0, -1.0 / 720.0, 1.0 / 30_240.0, -1.0 / 1_209_600.0].into_iter().enumerate() {
            sum += factor * derivative;
            let order = 2.0 * j as f64 + 1.0;
            derivative *= (s + order) * (s + order + 1.0) / (x * x);
        }
        sum
    };
    let ends = (libm::pow(b, -s) - libm::pow(a, -s)) / 2.0;
    direct(DIRECT) + power_integral(a, b, s) + ends + terms(b) - terms(a)
}

/// Zipf's distribution over the ranks 1 to n: rank k has probability k^-s / Σ j^-s.
///
/// Exact, in constant time and in memory that grows with the logarithm of n only (at most 19 KiB). The ranks are cut
/// into cells, 32 to the octave and so of one rank each up to 64. A cell is drawn from an alias table by its width times
/// the weight of its first rank, which no rank in it exceeds; a rank is drawn uniformly within, and kept with
/// the ratio of its weight to that of the first. That ratio is at least (32/33)^s, so that nearly every draw is kept on
/// sight, and only the others need a power. Rejection-inversion (Hörmann and Derflinger 1996) needs a logarithm and
/// an exponential for every draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Zipf {
    n: u64,
    s: f64,
    /// Σ k^-s.
    total: f64,
    /// Of the `ACCEPT_BITS` random bits that decide about a rank, the least number that has to be looked at.
    sure: u64,
    columns: Arc<[Column]>,
}

/// A column of the alias table: with probability `own` / 2^64 the cell of the same index, else `other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Column {
    own: u64,
    other: u32,
}

/// Cells in an octave: 2^5.
const CELL_BITS: u32 = 5;
/// Bits of a word that are left for the acceptance test below the 34 that place a rank within its cell.
const ACCEPT_BITS: u32 = 30;

/// First rank and binary logarithm of the width of a cell. Cells 1 to 63 hold the rank of their own index.
#[inline]
const fn cell_start(cell: u32) -> (u64, u32) {
    let width = (cell >> CELL_BITS).saturating_sub(1);
    (((cell - (width << CELL_BITS)) as u64) << width, width)
}

/// The cell that holds a rank.
const fn cell_of(rank: u64) -> u32 {
    let width = (rank | 1).ilog2().saturating_sub(CELL_BITS);
    (rank >> width) as u32 + (width << CELL_BITS)
}

impl Zipf {
    /// Over the ranks 1 to `n` with exponent `s`. The paths of errors are `n` and `exponent`.
    pub fn new(n: u64, s: f64) -> Result<Self, Invalid> {
        check_range("n", n, 1..=MAX_KEYS)?;
        if !(s > 0.0 && s <= 100.0) {
            return Err(Invalid::new("exponent", s, "above 0, up to 100"));
        }
        let weights = (0..=cell_of(n)).map(|cell| match cell_start(cell) {
            (0, _) => 0.0,
            (first, width) => (1_u64 << width) as f64 * libm::pow(first as f64, -s),
        });
        let sure = libm::pow(32.0 / 33.0, s) * f64::from(1 << ACCEPT_BITS);
        Ok(Self { n, s, total: harmonic(n, s), sure: sure as u64, columns: alias_table(&weights.collect::<Vec<_>>()) })
    }

    /// A rank, 1 to n.
    #[inline]
    #[expect(clippy::needless_bitwise_bool, reason = "whether a cell holds one rank is a coin toss, bad to branch on")]
    pub fn draw(&self, rng: &mut Rng) -> u64 {
        loop {
            let product = u128::from(rng.next_u64()) * self.columns.len() as u128;
            let index = (product >> 64) as usize;
            let column = self.columns[index];
            let cell = if (product as u64) < column.own { index as u32 } else { column.other };
            let (first, width) = cell_start(cell);
            let word = rng.next_u64();
            let rank = first + ((word >> 1) >> (63 - width));
            let decider = word & ((1 << ACCEPT_BITS) - 1);
            // One test for three: the rank exists, and its ratio is 1 or the random bits lie below every ratio.
            if (rank <= self.n) & ((width == 0) | (decider < self.sure)) || self.keep(first, rank, decider, rng) {
                return rank;
            }
        }
    }

    /// Keeps a rank with the ratio of its weight to that of the first rank of its cell. More random bits follow those
    /// that were not enough.
    #[cold]
    fn keep(&self, first: u64, rank: u64, decider: u64, rng: &mut Rng) -> bool {
        let decider = (decider as f64 + rng.unit()) / f64::from(1 << ACCEPT_BITS);
        rank <= self.n && decider < libm::pow(first as f64 / rank as f64, self.s)
    }

    /// The number of ranks.
    pub fn ranks(&self) -> u64 {
        self.n
    }

    /// The exponent s.
    pub fn exponent(&self) -> f64 {
        self.s
    }

    /// The probability of a rank.
    pub fn probability(&self, rank: f64) -> f64 {
        libm::pow(rank, -self.s) / self.total
    }

    /// The expected number of accesses, at `rate` for each step, to a key that moves from `rank` by `steps` ranks.
    pub(super) fn accesses_on_the_way(&self, rank: f64, steps: f64, rate: f64) -> f64 {
        let end = (rank + steps).min(self.n as f64 + 1.0);
        rate * power_integral(rank - 0.5, end - 0.5, self.s) / self.total
    }

    /// Σ f(rank) over all ranks, by the middle of each cell: exact up to rank 64, and to some 1e-4 for a smooth f.
    pub(super) fn sum(&self, f: impl Fn(f64) -> f64) -> f64 {
        let cells = (1..=cell_of(self.n)).map(cell_start);
        cells
            .map(|(first, width)| {
                let ranks = (1_u64 << width).min(self.n + 1 - first) as f64;
                ranks * f(first as f64 + (ranks - 1.0) / 2.0)
            })
            .sum()
    }
}

/// Numbers below n, each in proportion to a weight of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted {
    columns: Arc<[Column]>,
}

impl Weighted {
    /// By these weights, of which at least one is positive and none negative.
    pub fn new(weights: &[f64]) -> Self {
        Self { columns: alias_table(weights) }
    }

    /// A number below the number of weights.
    #[inline]
    pub fn draw(&self, rng: &mut Rng) -> u64 {
        let product = u128::from(rng.next_u64()) * self.columns.len() as u128;
        let index = (product >> 64) as usize;
        let column = self.columns[index];
        if (product as u64) < column.own { index as u64 } else { u64::from(column.other) }
    }
}

/// The alias table (Walker, Vose) of these weights, of which at least one is positive.
fn alias_table(weights: &[f64]) -> Arc<[Column]> {
    let scale = weights.len() as f64 / weights.iter().sum::<f64>();
    let mut left: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
    let mut columns: Vec<Column> = (0..weights.len() as u32).map(|other| Column { own: u64::MAX, other }).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..left.len()).partition(|&i| left[i] < 1.0);
    while let (Some(&from), Some(to)) = (large.last(), small.pop()) {
        columns[to] = Column { own: (left[to] * 2_f64.powi(64)) as u64, other: from as u32 };
        left[from] -= 1.0 - left[to];
        if left[from] < 1.0 {
            large.pop();
            small.push(from);
        }
    }
    columns.into()
}

/// A bijection of the numbers below n, keyed by a seed, in constant memory: it spreads the hot ranks of a skewed
/// distribution over the key space, and enumerates all keys in a scrambled order.
///
/// Rounds of xor-shift and odd multiplication permute the words of ⌈log2 n⌉ bits; a result that is not below n is
/// permuted again until it is ("cycle walking"), twice on average at worst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permutation {
    n: u64,
    mask: u64,
    shift: u32,
    offset: u64,
    factors: [u64; 3],
}

impl Permutation {
    /// Of the numbers below `n`; 0 is taken for 1.
    pub fn new(n: u64, seed: u64) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let mask = u64::MAX.checked_shr(u64::BITS - bits).unwrap_or(0);
        let [offset, factors @ ..] = [1, 2, 3, 4].map(|i| hash(hash(seed) ^ i) & mask);
        Self { n: n.max(1), mask, shift: bits.div_ceil(2).max(1), offset, factors: factors.map(|factor| factor | 1) }
    }

    /// Where `x` goes. A number that is not below n stays where it is.
    #[inline]
    pub fn apply(&self, mut x: u64) -> u64 {
        if x >= self.n {
            return x;
        }
        loop {
            x = x.wrapping_add(self.offset) & self.mask;
            for factor in self.factors {
                x ^= x >> self.shift;
                x = x.wrapping_mul(factor) & self.mask;
            }
            x ^= x >> self.shift;
            if x < self.n {
                return x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rng, *};
    use proptest::prelude::*;
    use rand_distr::Distribution as _;
    use std::collections::HashSet;

    fn rng(block: u64) -> Rng {
        Rng::for_block(42, Stream::Keys, block)
    }

    #[test]
    fn each_order_is_as_likely() {
        let rounds = 6_000;
        let mut counts = std::collections::BTreeMap::new();
        (0..rounds).for_each(|round| *counts.entry(shuffled(7, round, 3)).or_insert(0_u32) += 1);
        assert_eq!(counts.len(), 6);
        // Three standard deviations of a sixth of the rounds.
        assert!(counts.values().all(|count| count.abs_diff(rounds / 6) < 87), "{counts:?}");
        let coins = |seed| (0..20).map(|round| shuffled(seed, round, 2)[0]).collect::<Vec<_>>();
        assert_ne!(coins(7), coins(8));
    }

    #[test]
    fn first_draws_are_pinned() {
        let mut keys = rng(0);
        assert_eq!(
            [(); 3].map(|()| keys.next_u64()),
            [7_407_734_607_844_313_177, 11_760_924_858_812_485_716, 5_240_802_103_171_963_009]
        );
        let mut prefill = Rng::for_block(7, Stream::Prefill, 1 << 40);
        assert_eq!([(); 3].map(|()| prefill.below(1_000_000)), [140_956, 561_408, 5786]);
        assert_eq!(prefill.next_u64(), 12_903_939_587_720_372_917);
        for (n, s, expected) in [
            (100, 0.99, [2_u64, 3, 1, 6, 1, 63]),
            (100_000_000, 0.99, [352_041, 1_595_256, 2, 19_917_645, 1, 2_374_422]),
            (
                MAX_KEYS,
                0.5,
                [824_183_132_169, 973_813_006_759, 10_053_571_787, 79_435_193_755, 9_054_822_463, 2_834_062_213],
            ),
            (1000, 1.0, [3, 357, 1, 703, 1, 5]),
        ] {
            let (zipf, mut rng) = (Zipf::new(n, s).unwrap(), rng(1));
            assert_eq!([(); 6].map(|()| zipf.draw(&mut rng)), expected, "{n} {s}");
        }
        let permutation = Permutation::new(100_000_000, 42);
        assert_eq!(
            [0, 1, 2, 99_999_999].map(|x| permutation.apply(x)),
            [13_428_289, 34_734_554, 42_855_013, 83_773_424]
        );
    }

    #[test]
    fn long_runs_are_pinned_too() {
        // Rare paths (a rank that needs its exact ratio) are in here.
        let digest = |n, s| {
            let (zipf, mut rng) = (Zipf::new(n, s).unwrap(), rng(2));
            (0..100_000).fold(0, |sum, _| hash(sum ^ zipf.draw(&mut rng)))
        };
        assert_eq!(
            [digest(100_000_000, 0.99), digest(MAX_KEYS, 0.2), digest(3000, 3.0)],
            [3_086_581_627_213_970_531, 9_866_651_211_731_495_419, 8_046_216_960_960_574_153]
        );
    }

    #[test]
    fn columns_and_blocks_differ() {
        let streams =
            [Stream::Keys, Stream::Operations, Stream::Values, Stream::Payloads, Stream::Prefill, Stream::Order];
        let firsts: HashSet<u64> = (0..3)
            .flat_map(|seed| streams.map(move |stream| (seed, stream)))
            .flat_map(|(seed, stream)| (0..1000).map(move |block| Rng::for_block(seed, stream, block).next_u64()))
            .collect();
        assert_eq!(firsts.len(), 3 * 6 * 1000);
    }

    #[test]
    fn units_and_bounded_numbers_are_even() {
        let mut rng = rng(3);
        let (mut sum, mut squares, mut counts) = (0.0_f64, 0.0_f64, [0_u32; 7]);
        for _ in 0..700_000 {
            let x = rng.unit();
            assert!((0.0..1.0).contains(&x));
            (sum, squares) = (sum + x, squares + x * x);
            counts[rng.below(7) as usize] += 1;
        }
        assert!((sum / 7e5 - 0.5).abs() < 0.001 && (squares / 7e5 - 1.0 / 3.0).abs() < 0.001);
        assert!(counts.iter().all(|&count| count.abs_diff(100_000) < 1200), "{counts:?}");
        assert_eq!((rng.below(0), rng.below(1)), (0, 0));
        assert_eq!((unit(0), unit(u64::MAX)), (0.0, 1.0 - f64::EPSILON / 2.0));
    }

    #[test]
    fn harmonic_numbers_are_exact() {
        for s in [0.1, 0.5, 0.99, 1.0, 1.000_001, 1.5, 2.0, 5.0, 20.0] {
            for n in [1, 2, 31, 32, 33, 100, 12_345, 1_000_000] {
                let direct: f64 = (1..=n).rev().map(|k| libm::pow(k as f64, -s)).sum();
                let error = (harmonic(n, s) / direct - 1.0).abs();
                assert!(error < 1e-12, "n {n}, s {s}: {error:e}");
            }
        }
        assert!((harmonic(1 << 50, 2.0) - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-12);
    }

    #[test]
    fn every_rank_has_one_cell() {
        for rank in (1..100_000).chain([MAX_KEYS - 1, MAX_KEYS]) {
            let (first, width) = cell_start(cell_of(rank));
            assert!(first <= rank && rank - first < 1 << width, "{rank}");
            assert!(rank >= 64 || width == 0);
        }
        assert_eq!(cell_start(cell_of(MAX_KEYS)).1, 64 - ACCEPT_BITS);
        assert!(cell_of(MAX_KEYS) < 1216);
    }

    /// Buckets of ranks: one each up to 50, then growing by a quarter; the end of each, inclusive.
    fn buckets(n: u64) -> Vec<u64> {
        let mut ends: Vec<u64> =
            std::iter::successors(Some(1_u64), |&end| Some(if end < 50 { end + 1 } else { end * 5 / 4 }))
                .take_while(|&end| end < n)
                .collect();
        ends.push(n);
        ends
    }

    /// (χ² - degrees of freedom) / its standard deviation; buckets with little expected in them are merged.
    fn excess(observed: &[f64], expected: &[f64]) -> f64 {
        let (mut chi, mut degrees, mut seen, mut due) = (0.0, -1.0, 0.0, 0.0);
        let left: Vec<f64> = expected
            .iter()
            .rev()
            .scan(0.0, |sum, e| {
                *sum += e;
                Some(*sum)
            })
            .collect();
        for (i, (o, e)) in observed.iter().zip(expected).enumerate() {
            (seen, due) = (seen + o, due + e);
            let after = left.len().checked_sub(i + 2).map_or(0.0, |j| left[j]);
            if (due >= 10.0 && after >= 10.0) || i + 1 == expected.len() {
                chi += (seen - due).powi(2) / due;
                degrees += 1.0;
                (seen, due) = (0.0, 0.0);
            }
        }
        (chi - degrees) / (2.0 * f64::max(degrees, 1.0)).sqrt()
    }

    fn count(ends: &[u64], draws: u32, mut draw: impl FnMut() -> u64) -> Vec<f64> {
        let mut counts = vec![0.0; ends.len()];
        for _ in 0..draws {
            let rank = draw();
            assert!(rank >= 1);
            counts[ends.partition_point(|&end| end < rank)] += 1.0;
        }
        counts
    }

    #[test]
    fn ranks_have_zipfs_probabilities() {
        const DRAWS: u32 = 400_000;
        for n in [1, 2, 3, 10, 65, 1000, 123_457, 100_000_000, MAX_KEYS] {
            for s in [0.05, 0.5, 0.99, 1.0, 1.2, 2.5, 20.0] {
                let (zipf, ends, mut rng) = (Zipf::new(n, s).unwrap(), buckets(n), rng(n));
                let observed = count(&ends, DRAWS, || zipf.draw(&mut rng));
                let sums: Vec<f64> = ends.iter().map(|&end| harmonic(end, s)).collect();
                let expected: Vec<f64> = (0..ends.len())
                    .map(|i| (sums[i] - if i == 0 { 0.0 } else { sums[i - 1] }) / zipf.total * f64::from(DRAWS))
                    .collect();
                let excess = excess(&observed, &expected);
                assert!(excess < 4.5, "n {n}, s {s}: {excess}");
            }
        }
    }

    #[test]
    fn ranks_agree_with_an_independent_sampler() {
        const DRAWS: u32 = 300_000;
        for (n, s) in [(1000_u64, 0.8), (10_000_000, 0.99), (1_000_000, 1.3)] {
            let (zipf, ends, mut ours) = (Zipf::new(n, s).unwrap(), buckets(n), rng(9));
            let a = count(&ends, DRAWS, || zipf.draw(&mut ours));
            let (oracle, mut theirs) = (rand_distr::Zipf::new(n as f64, s).unwrap(), rng(10).0);
            let b = count(&ends, DRAWS, || oracle.sample(&mut theirs) as u64);
            // Two samples: the mean of both is what is expected of each, and the differences have twice the variance.
            let mean: Vec<f64> = a.iter().zip(&b).map(|(a, b)| f64::midpoint(*a, *b).max(1e-9)).collect();
            let half: Vec<f64> = a.iter().zip(&mean).map(|(a, m)| m + (a - m) * 2_f64.sqrt()).collect();
            let excess = excess(&half, &mean);
            assert!(excess < 4.0, "n {n}, s {s}: {excess}");
        }
    }

    #[test]
    fn a_sum_over_cells_is_near_the_sum_over_ranks() {
        let zipf = Zipf::new(123_457, 0.99).unwrap();
        assert!((zipf.sum(|rank| zipf.probability(rank)) - 1.0).abs() < 1e-4);
        assert!((zipf.sum(|_| 1.0) - 123_457.0).abs() < 1e-6);
        let (whole, one) = (zipf.accesses_on_the_way(1.0, 2e5, 1.0), zipf.accesses_on_the_way(1000.0, 1.0, 1.0));
        assert!((whole - 1.0).abs() < 0.05 && (one / zipf.probability(1000.0) - 1.0).abs() < 1e-3, "{whole}");
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for s in [0.0, -1.0, f64::NAN, f64::INFINITY, 101.0] {
            assert_eq!(Zipf::new(10, s).unwrap_err().path, "exponent");
        }
        for n in [0, MAX_KEYS + 1, u64::MAX] {
            assert_eq!(Zipf::new(n, 1.0).unwrap_err().path, "n");
        }
        assert!(Zipf::new(1, f64::MIN_POSITIVE).is_ok() && Zipf::new(MAX_KEYS, 100.0).is_ok());
    }

    #[test]
    fn small_permutations_are_bijective() {
        for n in 0..=2000_u64 {
            let permutation = Permutation::new(n, n ^ 5);
            let n = n.max(1);
            let mut seen = vec![false; n as usize];
            for x in 0..n {
                assert!(!std::mem::replace(&mut seen[permutation.apply(x) as usize], true), "{n}");
            }
            assert_eq!(permutation.apply(n), n);
        }
    }

    #[test]
    fn hot_ranks_spread() {
        for n in [10_000, 1_000_000, 100_000_000, 999_999_999_989] {
            let (mut excess_sum, mut worst) = (0.0, 0.0_f64);
            for seed in 0..100 {
                let permutation = Permutation::new(n, seed);
                let mut counts = [0.0; 16];
                let mut steps = [0.0; 16];
                let mut last = 0;
                for rank in 0..800 {
                    let id = permutation.apply(rank);
                    counts[(u128::from(id) * 16 / u128::from(n)) as usize] += 1.0;
                    let step = (id + n - last) % n;
                    steps[(u128::from(step) * 16 / u128::from(n)) as usize] += 1.0;
                    last = id;
                }
                for counts in [counts, steps] {
                    let excess = excess(&counts, &[50.0; 16]);
                    excess_sum += excess;
                    worst = worst.max(excess);
                }
            }
            let mean = excess_sum / 200.0;
            assert!(mean.abs() < 0.5 && worst < 8.0, "n {n}: mean {mean}, worst {worst}");
        }
    }

    proptest! {
        #[test]
        fn large_permutations_are_bijective(n in 1..=MAX_KEYS, seed: u64, start: u64) {
            let permutation = Permutation::new(n, seed);
            let inputs: HashSet<u64> = (0..500).map(|i| start.wrapping_add(i) % n).collect();
            let outputs: HashSet<u64> = inputs.iter().map(|&x| permutation.apply(x)).collect();
            prop_assert_eq!(inputs.len(), outputs.len());
            prop_assert!(outputs.iter().all(|&x| x < n));
        }

        #[test]
        fn every_valid_zipf_draws_its_ranks(n in 1..=MAX_KEYS, s in 1e-9..100.0) {
            let (zipf, mut rng) = (Zipf::new(n, s).unwrap(), rng(n));
            for _ in 0..50 {
                prop_assert!((1..=n).contains(&zipf.draw(&mut rng)));
            }
        }
    }
}
