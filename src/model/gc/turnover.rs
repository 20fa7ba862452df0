//! Which part of the state a stream of writes replaces.

/// The slots of a state, each of which holds what the last write to it left: keys, or entries of the keys' maps.
#[derive(Debug, Clone, PartialEq)]
pub struct Slots {
    order: Order,
    count: f64,
}

#[derive(Debug, Clone, PartialEq)]
enum Order {
    /// Writes fall on slots at random.
    Random(Vec<Bin>),
    /// Writes fall on as many slots as the curve says.
    Curve(Curve),
}

/// Slots that are written equally often.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bin {
    slots: f64,
    /// The chance that a write falls on one of them.
    chance: f64,
}

/// The ranks of a zipf distribution that have a bin each.
const SINGLE_RANKS: f64 = 32.0;
/// How much further each bin beyond them reaches: about 160 bins for ten million keys.
const BIN_GROWTH: f64 = 1.1;

impl Slots {
    /// Slots that are all written equally often, at random.
    pub fn uniform(count: f64) -> Self {
        Self::random(vec![Bin { slots: count, chance: 1.0 / count.max(1.0) }])
    }

    /// The slots of keys whose chance falls with their rank to the power of `exponent`, `per_key` slots each.
    pub fn zipf(keys: f64, exponent: f64, per_key: f64) -> Self {
        let mut bins = Vec::new();
        let (mut first, mut total) = (1.0, 0.0);
        while first <= keys {
            let next = if first < SINGLE_RANKS { first + 1.0 } else { (first * BIN_GROWTH).ceil() }.min(keys + 1.0);
            let chance = (0.5 * (first + next - 1.0)).powf(-exponent);
            total += chance * (next - first);
            bins.push(Bin { slots: (next - first) * per_key, chance: chance / per_key });
            first = next;
        }
        bins.iter_mut().for_each(|bin| bin.chance /= total);
        Self::random(bins)
    }

    /// The slots of keys of any distribution, `per_key` slots each, which are written equally often. `distinct` tells on
    /// how many keys so many writes in a row are expected to fall; it is asked about 170 times.
    pub fn of_keys(count: f64, per_key: f64, distinct: impl Fn(u64) -> f64) -> Self {
        Self { count, order: Order::Curve(Curve::of(per_key, distinct)) }
    }

    fn random(bins: Vec<Bin>) -> Self {
        Self { count: bins.iter().map(|bin| bin.slots).sum(), order: Order::Random(bins) }
    }

    /// How many there are.
    pub const fn count(&self) -> f64 {
        self.count
    }

    /// How many different slots this many writes in a row are expected to fall on.
    pub fn written(&self, writes: f64) -> f64 {
        match &self.order {
            Order::Curve(curve) => curve.slots(writes).min(self.count),
            Order::Random(bins) => bins.iter().map(|bin| -bin.slots * (-bin.chance * writes).exp_m1()).sum(),
        }
    }
}

/// Slots by the writes that fall on them, at about four points in each doubling.
#[derive(Debug, Clone, PartialEq)]
struct Curve {
    per_key: f64,
    /// Logarithms of writes and of the keys that they fall on, from one write on.
    points: Vec<(f64, f64)>,
}

impl Curve {
    fn of(per_key: f64, distinct: impl Fn(u64) -> f64) -> Self {
        const DOUBLINGS: u32 = 44;
        let mut writes: Vec<_> = (0..4 * DOUBLINGS).map(|quarter| (f64::from(quarter) / 4.0).exp2() as u64).collect();
        writes.dedup();
        let point = |writes: u64| ((writes as f64).log2(), distinct(writes).max(1.0).log2());
        Self { per_key, points: writes.into_iter().map(point).collect() }
    }

    /// Of a key's slots each gets its part of the key's writes.
    fn slots(&self, writes: f64) -> f64 {
        self.per_key * self.keys(writes / self.per_key)
    }

    fn keys(&self, writes: f64) -> f64 {
        if writes <= 1.0 {
            return writes;
        }
        let at = writes.log2();
        let above = self.points.partition_point(|(x, _)| *x <= at);
        let of = |index: usize| self.points.get(index).copied();
        match (above.checked_sub(1).and_then(of), of(above)) {
            (Some((x0, y0)), Some((x1, y1))) => (y0 + (y1 - y0) * (at - x0) / (x1 - x0)).exp2(),
            (Some((_, y)), None) => y.exp2(),
            (None, _) => writes,
        }
    }
}

/// What operations replace: each write leaves its payload in a slot and turns what was there into garbage.
#[derive(Debug, Clone, PartialEq)]
pub struct Turnover {
    /// The slots.
    pub slots: Slots,
    /// What a write leaves reachable, bytes.
    pub payload_bytes: f64,
    /// The same in objects.
    pub payload_objects: f64,
    /// Writes of an operation.
    pub writes: f64,
}

impl Turnover {
    /// Slots whose content was written by the operations from `first` to `last` and not since, at operation `now`.
    pub(super) fn alive(&self, first: f64, last: f64, now: f64) -> f64 {
        let written = |operations: f64| self.slots.written(operations * self.writes);
        (written(now - first) - written(now - last)).max(0.0)
    }

    /// Slots that this many operations in a row write to.
    pub(super) fn written(&self, operations: f64) -> f64 {
        self.slots.written(operations * self.writes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{KeySampler, Keys, KeysWire};

    fn close(a: f64, b: f64, share: f64) -> bool {
        (a - b).abs() <= share * b.abs()
    }

    #[test]
    fn slots_fill_up() {
        let uniform = Slots::uniform(1_000.0);
        assert!(uniform.written(0.0).abs() < 1e-9);
        assert!(close(uniform.written(1_000.0), 1_000.0 * (1.0 - (-1.0_f64).exp()), 1e-9));
        assert!(close(uniform.written(1e9), 1_000.0, 1e-9));
        let zipf = Slots::zipf(1_000.0, 0.99, 8.0);
        assert!(close(zipf.count(), 8_000.0, 1e-9) && zipf.written(500.0) < 500.0);
        // Without skew zipf is uniform.
        assert!(close(Slots::zipf(1_000.0, 0.0, 1.0).written(500.0), uniform.written(500.0), 1e-9));
    }

    #[test]
    fn a_workload_s_keys_give_the_same_slots_as_their_distribution() {
        let keys: KeysWire = toml::from_str("cardinality = 100_000\ndistribution.zipf.exponent = 0.99").unwrap();
        let sampler = KeySampler::new(&Keys::new(&keys, None).unwrap(), 1);
        for per_key in [1.0, 8.0] {
            let curve = Slots::of_keys(per_key * 1e5, per_key, |writes| sampler.distinct_expected(writes));
            let bins = Slots::zipf(1e5, 0.99, per_key);
            for writes in [0.5, 1.0, 777.0, 1e5, 3e6, 1e9] {
                assert!(close(curve.written(writes), bins.written(writes), 0.03), "{per_key} {writes}");
            }
        }
    }

    #[test]
    fn what_was_overwritten_since_is_not_alive() {
        let turnover =
            Turnover { slots: Slots::uniform(1_000.0), payload_bytes: 24.0, payload_objects: 1.0, writes: 0.5 };
        let all = turnover.alive(0.0, 1_000.0, 1_000.0);
        assert!(close(all, turnover.written(1_000.0), 1e-9));
        let parts = turnover.alive(0.0, 400.0, 1_000.0) + turnover.alive(400.0, 1_000.0, 1_000.0);
        assert!(close(parts, all, 1e-9));
        assert!(turnover.alive(0.0, 1_000.0, 9_000.0) < 0.1 * all);
    }
}
