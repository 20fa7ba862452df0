//! What the trials so far say of settings that were not tried: a Gaussian process over the choices.
//!
//! Its covariance adds up what single options do, what pairs of options do together and what is left to one setting alone
//! (an additive kernel: Duvenaud, Nickisch and Rasmussen, *Additive Gaussian Processes*, 2011), what all trials of a block have in
//! common, and noise. So a trial of one setting tells of every other that shares a choice with it, a minute in which the
//! machine was slow moves a block and not a setting, and what was tried often is trusted more. The shares of these parts are those
//! under which the trials were most likely, of a few that are compared.

use super::space::{Point, Shape};

/// What one trial came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation<'a> {
    /// The setting.
    pub point: &'a Point,
    /// The block that it was run in.
    pub block: u32,
    /// Its value.
    pub value: f64,
}

/// A value that is not known for sure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// The value to expect.
    pub mean: f64,
    /// The standard deviation of what it may be.
    pub deviation: f64,
}

/// Shares of the variance of values: they need not add up to one, since their scale is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shares {
    single: f64,
    pairs: f64,
    own: f64,
    block: f64,
    noise: f64,
}

/// What is compared: how much lies in single options, in pairs of them and in a setting alone, and how large noise is beside.
const PARTS: [(f64, f64, f64); 3] = [(1.0, 0.1, 0.02), (0.6, 0.4, 0.05), (0.3, 0.5, 0.2)];
const NOISES: [f64; 4] = [0.003, 0.02, 0.1, 0.4];
/// The variance of blocks as a multiple of the noise.
const BLOCK_PER_NOISE: f64 = 0.5;
/// The least variance of noise as a share, without which equal settings in equal blocks make the matrix singular.
const LEAST_NOISE: f64 = 1e-9;

/// A fitted process.
#[derive(Debug, Clone)]
pub struct Surrogate {
    shape: Shape,
    shares: Shares,
    points: Vec<Point>,
    factor: Triangle,
    weights: Vec<f64>,
    mean: f64,
    variance: f64,
}

impl Surrogate {
    /// Fits the process to trials; none where there are none, or a value is not a number.
    pub fn fit(shape: &Shape, observations: &[Observation<'_>]) -> Option<Self> {
        if observations.is_empty() || observations.iter().any(|observation| !observation.value.is_finite()) {
            return None;
        }
        let candidates = PARTS.iter().flat_map(|&(single, pairs, own)| {
            NOISES.map(|noise| Shares { single, pairs, own, block: BLOCK_PER_NOISE * noise, noise })
        });
        let fits = candidates.filter_map(|shares| Self::with(shape, observations, shares));
        fits.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, fit)| fit)
    }

    /// The process with these shares, and the logarithm of the likelihood of the values.
    fn with(shape: &Shape, observations: &[Observation<'_>], shares: Shares) -> Option<(f64, Self)> {
        let n = observations.len();
        let mut matrix = Triangle::zero(n);
        for (row, a) in observations.iter().enumerate() {
            for (column, b) in observations[..=row].iter().enumerate() {
                let block = if a.block == b.block { shares.block } else { 0.0 };
                let noise = if row == column { shares.noise + LEAST_NOISE } else { 0.0 };
                *matrix.at(row, column) = shares.covariance(shape, a.point, b.point) + block + noise;
            }
        }
        let factor = matrix.factorized()?;
        // The mean that is most likely under the covariance.
        let ones = factor.solved(&vec![1.0; n]);
        let values: Vec<f64> = observations.iter().map(|observation| observation.value).collect();
        let solved = factor.solved(&values);
        let mean = values.iter().zip(&ones).map(|(value, one)| value * one).sum::<f64>() / ones.iter().sum::<f64>();
        let weights: Vec<f64> = solved.iter().zip(&ones).map(|(value, one)| value - mean * one).collect();
        let fit = values.iter().zip(&weights).map(|(value, weight)| (value - mean) * weight).sum::<f64>();
        let variance = (fit / n as f64).max(f64::MIN_POSITIVE);
        let likelihood = -0.5 * n as f64 * libm::log(variance) - factor.log_diagonal();
        let points = observations.iter().map(|observation| observation.point.clone()).collect();
        Some((likelihood, Self { shape: shape.clone(), shares, points, factor, weights, mean, variance }))
    }

    /// What a setting comes to, apart from blocks and noise.
    pub fn belief(&self, point: &Point) -> Belief {
        let prior = self.shares.covariance(&self.shape, point, point);
        let Belief { mean, deviation } = self.posterior(&self.covariances(point), prior);
        Belief { mean: self.mean + mean, deviation }
    }

    /// By how much two settings differ, the first less the second.
    pub fn difference(&self, a: &Point, b: &Point) -> Belief {
        let (to_a, to_b) = (self.covariances(a), self.covariances(b));
        let covariances: Vec<f64> = to_a.iter().zip(&to_b).map(|(a, b)| a - b).collect();
        let of = |a, b| self.shares.covariance(&self.shape, a, b);
        self.posterior(&covariances, of(a, a) + of(b, b) - 2.0 * of(a, b))
    }

    /// What the trials say of something with these covariances with them, and this variance before they are known: less the mean.
    fn posterior(&self, covariances: &[f64], prior: f64) -> Belief {
        let mean = covariances.iter().zip(&self.weights).map(|(c, weight)| c * weight).sum();
        let known: f64 = self.factor.half_solved(covariances).iter().map(|value| value * value).sum();
        Belief { mean, deviation: (self.variance * (prior - known).max(0.0)).sqrt() }
    }

    /// Takes a setting as tried in a block of its own, with what is expected of it: only what is not known of others gets less.
    pub fn imagine(&mut self, point: &Point) {
        let covariances = self.covariances(point);
        let half = self.factor.half_solved(&covariances);
        let known: f64 = half.iter().map(|value| value * value).sum();
        let Shares { block, noise, .. } = self.shares;
        let own = self.shares.covariance(&self.shape, point, point) + block + noise + LEAST_NOISE;
        self.factor.values.extend(half);
        self.factor.values.push((own - known).max(LEAST_NOISE).sqrt());
        self.factor.n += 1;
        self.points.push(point.clone());
        self.weights.push(0.0);
    }

    fn covariances(&self, point: &Point) -> Vec<f64> {
        self.points.iter().map(|tried| self.shares.covariance(&self.shape, point, tried)).collect()
    }
}

impl Shares {
    fn covariance(&self, shape: &Shape, a: &Point, b: &Point) -> f64 {
        let (mut sum, mut squares) = (0.0, 0.0);
        for (dimension, (a, b)) in shape.iter().zip(a.iter().zip(b)) {
            let likeness = dimension.likeness(*a, *b);
            sum += likeness;
            squares += likeness * likeness;
        }
        let n = shape.len().max(1) as f64;
        // The sum over pairs of the product of their likenesses, over their number.
        let pairs = if n > 1.0 { (sum * sum - squares) / (n * (n - 1.0)) } else { 0.0 };
        let own = if a == b { self.own } else { 0.0 };
        self.single * sum / n + self.pairs * pairs + own
    }
}

/// The lower triangle of a matrix, row by row.
#[derive(Debug, Clone)]
struct Triangle {
    n: usize,
    values: Vec<f64>,
}

impl Triangle {
    fn zero(n: usize) -> Self {
        Self { n, values: vec![0.0; n * (n + 1) / 2] }
    }

    fn at(&mut self, row: usize, column: usize) -> &mut f64 {
        &mut self.values[row * (row + 1) / 2 + column]
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.values[row * (row + 1) / 2..][..=row]
    }

    /// The Cholesky factor of a symmetric matrix; none where it is not positive definite.
    fn factorized(mut self) -> Option<Self> {
        for row in 0..self.n {
            for column in 0..=row {
                let (above, current) = self.values.split_at(row * (row + 1) / 2);
                let other =
                    if column == row { &current[..=row] } else { &above[column * (column + 1) / 2..][..=column] };
                let dot: f64 = current[..column].iter().zip(other).map(|(a, b)| a * b).sum();
                let rest = current[column] - dot;
                let value = if column < row {
                    rest / other[column]
                } else if rest > 0.0 {
                    rest.sqrt()
                } else {
                    return None;
                };
                *self.at(row, column) = value;
            }
        }
        Some(self)
    }

    /// The solution x of L·x = b.
    fn half_solved(&self, b: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = Vec::with_capacity(self.n);
        for (row, b) in b.iter().enumerate() {
            let row = self.row(row);
            let dot: f64 = row.iter().zip(&x).map(|(a, x)| a * x).sum();
            x.push((b - dot) / row[x.len()]);
        }
        x
    }

    /// The solution x of L·Lᵀ·x = b.
    fn solved(&self, b: &[f64]) -> Vec<f64> {
        let mut x = self.half_solved(b);
        for row in (0..self.n).rev() {
            let factors = self.row(row);
            x[row] /= factors[row];
            let solved = x[row];
            x[..row].iter_mut().zip(factors).for_each(|(x, factor)| *x -= factor * solved);
        }
        x
    }

    /// The sum of the logarithms of the diagonal.
    fn log_diagonal(&self) -> f64 {
        (0..self.n).map(|row| libm::log(self.row(row)[row])).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::space::Choices;
    use crate::workload::{Rng, Stream};

    fn shape() -> Shape {
        [3, 2, 4].map(|levels| Choices { levels, is_ordered: levels == 4 }).to_vec()
    }

    fn points() -> Vec<Point> {
        let of = |i: u8| vec![i % 3, i / 3 % 2, i / 6];
        (0..24).map(of).collect()
    }

    /// What options do apart, and the first two together.
    fn truth(point: &Point) -> f64 {
        let single = [0.0, -0.5, 0.2][usize::from(point[0])] + 0.3 * f64::from(point[2]);
        single + if point[0] == 1 && point[1] == 1 { -1.0 } else { 0.0 }
    }

    #[test]
    fn settings_that_were_not_tried_are_foretold_by_those_that_were() {
        let points = points();
        let mut rng = Rng::for_block(1, Stream::Order, 0);
        let mut noise = || 0.04 * (rng.unit() - 0.5);
        // Every second one, in blocks of four of which each has an offset of its own.
        let tried: Vec<_> = points.iter().step_by(2).chain(points.iter().skip(1).step_by(5)).collect();
        let observations: Vec<_> = tried
            .iter()
            .enumerate()
            .map(|(i, point)| {
                let block = (i / 4) as u32;
                Observation { point, block, value: truth(point) + 0.05 * f64::from(block % 2) + noise() }
            })
            .collect();
        let fit = Surrogate::fit(&shape(), &observations).unwrap();
        for point in &points {
            let Belief { mean, deviation } = fit.belief(point);
            let error = (mean - truth(point)).abs();
            assert!(
                error < 0.35 && error < 0.1 + 4.0 * deviation,
                "{point:?}: {mean} ± {deviation}, is {}",
                truth(point)
            );
        }
        let best = points.iter().min_by(|a, b| fit.belief(a).mean.total_cmp(&fit.belief(b).mean)).unwrap();
        assert_eq!(best, &vec![1, 1, 0]);
    }

    #[test]
    fn what_was_tried_often_is_known_better() {
        let points = points();
        let often = |n| {
            let trials =
                (0..n).map(|block| Observation { point: &points[0], block, value: 1.0 + 0.1 * f64::from(block % 2) });
            let others =
                (0..4).map(|i| Observation { point: &points[i as usize * 5 + 1], block: i, value: 2.0 + f64::from(i) });
            Surrogate::fit(&shape(), &trials.chain(others).collect::<Vec<_>>()).unwrap().belief(&points[0]).deviation
        };
        assert!(often(12) < often(2));
    }

    #[test]
    fn what_is_imagined_moves_no_expectation() {
        let points = points();
        let trials = (0..8).map(|i| Observation { point: &points[i as usize], block: i, value: f64::from(i) });
        let mut fit = Surrogate::fit(&shape(), &trials.collect::<Vec<_>>()).unwrap();
        let before = (fit.belief(&points[20]), fit.belief(&points[3]).mean);
        fit.imagine(&points[20]);
        let after = (fit.belief(&points[20]), fit.belief(&points[3]).mean);
        assert!((after.0.mean - before.0.mean).abs() < 1e-9 && (after.1 - before.1).abs() < 1e-9);
        assert!(after.0.deviation < before.0.deviation);
    }

    #[test]
    fn a_difference_is_known_better_than_what_differs() {
        let points = points();
        let trials = (0..8).map(|i| Observation { point: &points[i as usize], block: i, value: f64::from(i) });
        let fit = Surrogate::fit(&shape(), &trials.collect::<Vec<_>>()).unwrap();
        let (a, b) = (&points[0], &points[1]);
        let difference = fit.difference(a, b);
        assert!((difference.mean - (fit.belief(a).mean - fit.belief(b).mean)).abs() < 1e-9);
        assert!(difference.deviation < fit.belief(a).deviation + fit.belief(b).deviation);
        assert!(fit.difference(a, a).deviation < 1e-6);
    }

    #[test]
    fn a_triangle_solves_what_it_was_made_of() {
        let mut matrix = Triangle::zero(3);
        for (row, column, value) in [(0, 0, 4.0), (1, 0, 2.0), (1, 1, 5.0), (2, 0, 1.0), (2, 1, 3.0), (2, 2, 6.0)] {
            *matrix.at(row, column) = value;
        }
        let x = matrix.clone().factorized().unwrap().solved(&[7.0, 10.0, 10.0]);
        for (found, expected) in x.iter().zip([1.0, 1.0, 1.0]) {
            assert!((found - expected).abs() < 1e-12, "{x:?}");
        }
        *matrix.at(2, 2) = -1.0;
        assert!(matrix.factorized().is_none());
    }

    #[test]
    fn nothing_and_what_is_no_number_fit_nothing() {
        assert!(Surrogate::fit(&shape(), &[]).is_none());
        let point = vec![0, 0, 0];
        let nan = Observation { point: &point, block: 0, value: f64::NAN };
        assert!(Surrogate::fit(&shape(), &[nan]).is_none());
    }
}
