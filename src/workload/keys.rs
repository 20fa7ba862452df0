//! The `[keys]` section: which key each event has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::random::{MAX_KEYS, Permutation, Rng, Weighted, Zipf, below, hash, unit};
use super::values::{SizeDistribution, SizeWire};
use super::{Bytes, Invalid, Shorthand, check_range};
use crate::state::{Key, StringKey};

/// The `[keys]` section as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct KeysWire {
    /// Number of distinct keys, 1 to 10^12. With `latest` and `recent` it is the number at the start; `ephemeral` keys are
    /// not limited by it.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub cardinality: u64,
    /// How often each key is accessed.
    pub distribution: Shorthand<DistributionWire>,
    /// The type of a key.
    #[serde(rename = "type")]
    pub key_type: Shorthand<KeyTypeWire>,
    /// Share of reads that look for a key that is never there, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub absent: f64,
}

impl Default for KeysWire {
    fn default() -> Self {
        let (distribution, key_type) = (DistributionWire::Uniform {}, KeyTypeWire::Long {});
        Self { cardinality: 100_000, distribution: Shorthand(distribution), key_type: Shorthand(key_type), absent: 0.0 }
    }
}

/// How often each key is accessed, as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum DistributionWire {
    /// Every key equally often.
    Uniform {},
    /// The key of rank k in proportion to 1 / k^exponent. Hot keys are spread over the key space.
    Zipf {
        /// The skew: above 0, up to 100. YCSB has 0.99; most cache traces lie between 0.6 and 1.5.
        #[serde(default = "default::exponent")]
        exponent: f64,
    },
    /// A share of the keys gets a share of the accesses; uniform within both parts. Hot keys are spread over the key
    /// space.
    Hotspot {
        /// Share of the keys that are hot: above 0, up to 1. At least one key is.
        #[serde(default = "default::hot_keys")]
        keys: f64,
        /// Share of the accesses that go to hot keys, 0 to 1.
        #[serde(default = "default::hot_accesses")]
        accesses: f64,
    },
    /// The newest keys most: zipf by the distance from the newest key, as in YCSB's workload D. New keys follow each
    /// other without end, and keys beyond the newest `cardinality` are not accessed any more.
    Latest {
        /// The skew: above 0, up to 100.
        #[serde(default = "default::exponent")]
        exponent: f64,
        /// Share of events that have a new key, 0 to 1, evenly spaced.
        #[serde(default = "default::inserts")]
        inserts: f64,
    },
    /// Exponentially falling by rank, as in YCSB: without the end of the range, `share` of the keys would get
    /// `percentile` of the accesses; what would lie beyond the end is spread over the range in proportion. Hot keys are
    /// spread over the key space.
    Exponential {
        /// Share of the keys: 0.000001 to 1.
        #[serde(default = "default::share")]
        share: f64,
        /// Share of the accesses that they get: 0.000001 to 0.999999.
        #[serde(default = "default::percentile")]
        percentile: f64,
    },
    /// One key after the other, and again from the first.
    Sequential {},
    /// A hot key that moves on, as in Nexmark: new keys are created all the time, and accesses go to the hot key or to
    /// one of the newest. After `cardinality` keys the first one comes again.
    Moving {
        /// Number of newest keys that are accessed; at most the cardinality.
        #[serde(default = "default::active")]
        active: u64,
        /// A new key is created after so many events: 1 or more.
        #[serde(default = "default::events_per_key")]
        events_per_key: f64,
        /// Share of the accesses that go to the hot key, 0 to 1.
        #[serde(default = "default::hot_share")]
        hot_share: f64,
        /// Every how many keys the next one becomes the hot key.
        #[serde(default = "default::hot_every")]
        hot_every: u64,
    },
    /// Keys that live for a while and never return, as the keys of windows and sessions do.
    Ephemeral {
        /// Number of keys alive at any time.
        #[serde(default = "default::live")]
        live: u64,
        /// How often a key is accessed in its life, on average: 1 or more.
        #[serde(default = "default::uses")]
        uses: f64,
    },
    /// Ranges of neighbouring keys that are hot together, and hot keys within each, as in RocksDB's `mixgraph` benchmark,
    /// whose published fit to a social graph the defaults are.
    KeyRanges {
        /// Number of ranges, of equal size; which ones are hot is shuffled. At most the cardinality.
        #[serde(default = "default::ranges")]
        ranges: u64,
        /// Hotness of the range of rank x, from 1: a, b, c and d of a e^(bx) + c e^(dx).
        #[serde(default = "default::range_hotness")]
        range_hotness: [f64; 4],
        /// Hotness within a range: a and b of the share a x^b that the x hottest keys have of its accesses, as far as the
        /// range has so many; what is beyond is spread over the range.
        #[serde(default = "default::key_hotness")]
        key_hotness: [f64; 2],
    },
    /// New keys one after the other, without end, and a share of repeats of one of the newest, all of them equally
    /// often: identifiers of events of which some are delivered twice.
    Recent {
        /// Share of the events that repeat a key, 0 to 1, evenly spaced.
        #[serde(default = "default::repeats")]
        repeats: f64,
        /// The newest keys, which are those that come again, as a share of the cardinality: above 0, up to 1.
        #[serde(default = "default::among")]
        among: f64,
    },
}

/// The type of a key, as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum KeyTypeWire {
    /// A 64-bit integer: Java's `Long`.
    Long {},
    /// A string of ASCII characters.
    String {
        /// The length in characters, up to 64 kb: long enough for a number that tells the keys apart.
        #[serde(default = "default::length")]
        length: SizeWire,
    },
}

/// What stands where a field is left out.
mod default {
    use super::SizeWire;

    pub const fn exponent() -> f64 {
        0.99
    }
    pub const fn hot_keys() -> f64 {
        0.2
    }
    pub const fn hot_accesses() -> f64 {
        0.8
    }
    pub const fn inserts() -> f64 {
        0.05
    }
    pub const fn share() -> f64 {
        0.857
    }
    pub const fn percentile() -> f64 {
        0.95
    }
    pub const fn active() -> u64 {
        110
    }
    pub const fn events_per_key() -> f64 {
        16.67
    }
    pub const fn hot_share() -> f64 {
        0.5
    }
    pub const fn hot_every() -> u64 {
        100
    }
    pub const fn live() -> u64 {
        1000
    }
    pub const fn uses() -> f64 {
        20.0
    }
    pub const fn ranges() -> u64 {
        30
    }
    pub const fn range_hotness() -> [f64; 4] {
        [14.18, -2.917, 0.0164, -0.080_82]
    }
    pub const fn key_hotness() -> [f64; 2] {
        [0.002_312, 0.3467]
    }
    pub const fn repeats() -> f64 {
        0.05
    }
    pub const fn among() -> f64 {
        0.5
    }
    pub const fn length() -> SizeWire {
        SizeWire::constant(16)
    }
}

/// The `[keys]` section, checked.
///
/// A key is known by its id, a number below 2^62; ids below the cardinality are there from the start where a state is
/// filled beforehand.
#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    /// The number of distinct keys, or of those at the start where it grows; 1 to 10^12.
    pub(crate) cardinality: u64,
    /// How often each key is accessed.
    pub(crate) distribution: Distribution,
    /// The type of a key.
    pub(crate) key_type: KeyType,
    /// Share of reads that look for a key that is never there, 0 to 1.
    pub(crate) absent: f64,
    /// One more than the largest id of a key that is there, in any run of up to 10^12 events.
    id_limit: u64,
    /// Digits in base 36 of the numbers that tell string keys apart: ids, then as many for absent keys.
    id_digits: usize,
}

/// How often each key is accessed, ready to be drawn from.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// Every key equally often.
    Uniform,
    /// By rank; ranks are permuted.
    Zipf(Zipf),
    /// The first `hot` ranks get a share of the accesses; ranks are permuted.
    Hotspot {
        /// Number of hot keys, 1 to the cardinality.
        hot: u64,
        /// Their share of the accesses, 0 to 1.
        accesses: f64,
    },
    /// By distance from the newest key.
    Latest {
        /// Distance from the newest key, from 1.
        distance: Zipf,
        /// When new keys come.
        inserts: Pace,
    },
    /// Density e^(-decay x) at the rank x · cardinality, x below 1; ranks are permuted.
    Exponential {
        /// Decay over the whole range, above 0.
        decay: f64,
    },
    /// Round robin.
    Sequential,
    /// Nexmark's moving hot key.
    Moving {
        /// Number of newest keys that are accessed.
        active: u64,
        /// When new keys come.
        created: Pace,
        /// Share of the accesses that go to the hot key, 0 to 1.
        hot_share: f64,
        /// Every how many keys the next one becomes the hot key.
        hot_every: u64,
    },
    /// Keys that never return.
    Ephemeral {
        /// Number of keys alive at any time.
        live: u64,
        /// When new keys come.
        created: Pace,
    },
    /// By range, and by rank within; ranges are permuted.
    KeyRanges {
        /// Draws the rank of a range.
        range: Weighted,
        /// The probability of each range by rank.
        shares: Vec<f64>,
        /// Keys of a range.
        size: u64,
        /// a and b of the share a x^b that the x hottest keys of a range have.
        key_hotness: [f64; 2],
    },
    /// New keys in sequence, and repeats of the newest.
    Recent {
        /// Number of newest keys that come again, 1 to the cardinality.
        among: u64,
        /// When new keys come.
        created: Pace,
    },
}

/// The type of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyType {
    /// Java's `Long`.
    Long,
    /// A string.
    String {
        /// Length in characters.
        length: SizeDistribution,
    },
}

/// Something that happens in an evenly spaced share of all events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// 2^64 times the share: sums of it are exact, whichever block of events is asked for.
    step: u128,
}

impl Pace {
    /// In this share of the events, 0 to 1.
    fn new(share: f64) -> Self {
        Self { step: ((share * 2_f64.powi(64)) as u128).min(1 << 64) }
    }

    /// How often it has happened before the event of this sequence number.
    #[inline]
    pub fn before(self, sequence: u64) -> u64 {
        ((u128::from(sequence) * self.step) >> 64) as u64
    }

    /// The share of events.
    pub fn share(self) -> f64 {
        self.step as f64 / 2_f64.powi(64)
    }
}

/// The number of events for which the ids of growing key sets are known to fit what is planned for them.
const MAX_EVENTS: u64 = 1_000_000_000_000;
/// The longest string key.
const MAX_LENGTH: Bytes = Bytes(64 << 10);
/// Set in the id of a key that is never there.
const ABSENT: u64 = 1 << 62;
/// Told apart from the seed of the permutation of ranks.
const PREFILL_ORDER: u64 = 0x7072_6566_696c_6c21;

impl Distribution {
    fn new(wire: &DistributionWire, cardinality: u64) -> Result<Self, Invalid> {
        let share = |path: &str, share: f64| check_range(path, share, 0.0..=1.0);
        let zipf = |exponent: f64, parent: &str| Zipf::new(cardinality, exponent).map_err(|e| e.within(parent));
        Ok(match *wire {
            DistributionWire::Uniform {} => Self::Uniform,
            DistributionWire::Zipf { exponent } => Self::Zipf(zipf(exponent, "zipf")?),
            DistributionWire::Hotspot { keys, accesses } => {
                if !(keys > 0.0 && keys <= 1.0) {
                    return Err(Invalid::new("hotspot.keys", keys, "above 0, up to 1"));
                }
                let hot = ((keys * cardinality as f64).round() as u64).clamp(1, cardinality);
                Self::Hotspot { hot, accesses: share("hotspot.accesses", accesses)? }
            }
            DistributionWire::Latest { exponent, inserts } => Self::Latest {
                distance: zipf(exponent, "latest")?,
                inserts: Pace::new(share("latest.inserts", inserts)?),
            },
            DistributionWire::Exponential { share, percentile } => {
                check_range("exponential.share", share, 1e-6..=1.0)?;
                check_range("exponential.percentile", percentile, 1e-6..=0.999_999)?;
                Self::Exponential { decay: -libm::log1p(-percentile) / share }
            }
            DistributionWire::Sequential {} => Self::Sequential,
            DistributionWire::Moving { active, events_per_key, hot_share, hot_every } => Self::Moving {
                active: check_range("moving.active", active, 1..=cardinality)?,
                created: Pace::new(1.0 / check_range("moving.events-per-key", events_per_key, 1.0..=1e12)?),
                hot_share: share("moving.hot-share", hot_share)?,
                hot_every: check_range("moving.hot-every", hot_every, 1..=MAX_KEYS)?,
            },
            DistributionWire::Ephemeral { live, uses } => Self::Ephemeral {
                live: check_range("ephemeral.live", live, 1..=MAX_KEYS)?,
                created: Pace::new(1.0 / check_range("ephemeral.uses", uses, 1.0..=1e12)?),
            },
            DistributionWire::KeyRanges { ranges, range_hotness, key_hotness } => {
                key_ranges(cardinality, ranges, range_hotness, key_hotness).map_err(|e| e.within("key-ranges"))?
            }
            DistributionWire::Recent { repeats, among } => {
                if !(among > 0.0 && among <= 1.0) {
                    return Err(Invalid::new("recent.among", among, "above 0, up to 1"));
                }
                Self::Recent {
                    among: ((among * cardinality as f64).round() as u64).clamp(1, cardinality),
                    created: Pace::new(1.0 - share("recent.repeats", repeats)?),
                }
            }
        })
    }
}

fn key_ranges(
    cardinality: u64,
    ranges: u64,
    [a, b, c, d]: [f64; 4],
    key_hotness: [f64; 2],
) -> Result<Distribution, Invalid> {
    const MOST: u64 = 100_000;
    let ranges = check_range("ranges", ranges, 1..=cardinality.min(MOST))?;
    let weights = (1..=ranges).map(|rank| a * libm::exp(b * rank as f64) + c * libm::exp(d * rank as f64));
    let weights: Vec<f64> = weights.collect();
    let sum: f64 = weights.iter().sum();
    if !(weights.iter().all(|weight| *weight >= 0.0) && sum > 0.0 && sum.is_finite()) {
        let allowed = "numbers with which no range is below 0 and some are above";
        return Err(Invalid::new("range-hotness", format!("[{a}, {b}, {c}, {d}]"), allowed));
    }
    check_range("key-hotness[0]", key_hotness[0], 1e-9..=1.0)?;
    check_range("key-hotness[1]", key_hotness[1], 0.01..=10.0)?;
    let shares = weights.iter().map(|weight| weight / sum).collect();
    Ok(Distribution::KeyRanges { range: Weighted::new(&weights), shares, size: cardinality / ranges, key_hotness })
}

impl Keys {
    /// Checks the section. The paths of errors are relative to `keys`. `ids` is one more than the largest id of a source
    /// that brings its own.
    pub fn new(wire: &KeysWire, ids: Option<u64>) -> Result<Self, Invalid> {
        let cardinality = check_range("cardinality", wire.cardinality, 1..=MAX_KEYS)?;
        let distribution =
            Distribution::new(&wire.distribution.0, cardinality).map_err(|e| e.within("distribution"))?;
        let absent = check_range("absent", wire.absent, 0.0..=1.0)?;
        let id_limit = match &distribution {
            _ if let Some(ids) = ids => ids,
            Distribution::Latest { inserts, .. } => cardinality + inserts.before(MAX_EVENTS),
            Distribution::Ephemeral { live, created } => live + created.before(MAX_EVENTS),
            Distribution::Recent { created, .. } => cardinality + created.before(MAX_EVENTS),
            _ => cardinality,
        };
        let id_digits = (2 * id_limit - 1).ilog(36) as usize + 1;
        let key_type = match &wire.key_type.0 {
            KeyTypeWire::Long {} => KeyType::Long,
            KeyTypeWire::String { length } => {
                let path = "type.string.length";
                let length = SizeDistribution::new(length, MAX_LENGTH).map_err(|e| e.within(path))?;
                if (length.min() as usize) < id_digits {
                    let found = format!("a length of {}", length.min());
                    let allowed = format!("at least {id_digits}, so that every key has a number of its own");
                    return Err(Invalid::new(path, found, allowed));
                }
                KeyType::String { length }
            }
        };
        Ok(Self { cardinality, distribution, key_type, absent, id_limit, id_digits })
    }

    /// Whether some keys are hot, spread over the key space, so that the hot set can be shifted.
    pub fn has_hot_set(&self) -> bool {
        matches!(
            self.distribution,
            Distribution::Zipf(_) | Distribution::Hotspot { .. } | Distribution::Exponential { .. }
        )
    }

    /// Whether keys never return, so that filling a state beforehand makes no sense.
    pub fn is_ephemeral(&self) -> bool {
        matches!(self.distribution, Distribution::Ephemeral { .. })
    }
}

impl Keys {
    /// Mean length of a serialized key, bytes: 8 for a long; for a string its characters and the var-int before them.
    pub fn mean_encoded_bytes(&self) -> f64 {
        match &self.key_type {
            KeyType::Long => 8.0,
            KeyType::String { length } => {
                let characters = length.mean();
                characters + if characters < 127.0 { 1.0 } else { 2.0 }
            }
        }
    }
}

/// Draws the ids of keys.
///
/// What it draws for an event follows from the seed, the event's sequence number and the random numbers of the block
/// that the event is in, and from nothing else: any thread can make any block. Sequence numbers are below 2^61.
#[derive(Debug, Clone)]
pub struct KeySampler {
    cardinality: u64,
    seed: u64,
    distribution: Distribution,
    ranks: Permutation,
    prefill: Permutation,
}

impl KeySampler {
    /// The seed decides which keys are the hot ones, and the order of prefilling.
    pub fn new(keys: &Keys, seed: u64) -> Self {
        let ranks = match keys.distribution {
            Distribution::KeyRanges { size, .. } => size,
            _ => keys.cardinality,
        };
        Self {
            cardinality: keys.cardinality,
            seed,
            distribution: keys.distribution.clone(),
            ranks: Permutation::new(ranks, seed),
            prefill: Permutation::new(keys.cardinality, seed ^ PREFILL_ORDER),
        }
    }

    /// Draws the ids for the events from `first_sequence` on. `rng` is that of the block's keys, at its start.
    pub fn fill(&self, rng: &mut Rng, first_sequence: u64, out: &mut [u64]) {
        self.fill_shifted(rng, first_sequence, 0, out);
    }

    /// The same with the hot set shifted: what is for a rank is for that of so many ranks further on, below the
    /// cardinality. It is of no effect where hot keys are not spread over the key space.
    pub fn fill_shifted(&self, rng: &mut Rng, first_sequence: u64, shift: u64, out: &mut [u64]) {
        let keys = self.cardinality;
        let events = out.iter_mut().zip(first_sequence..);
        match &self.distribution {
            Distribution::Uniform => out.fill_with(|| rng.below(keys)),
            Distribution::Zipf(zipf) => {
                out.fill_with(|| zipf.draw(rng) - 1);
                self.spread(out, shift);
            }
            &Distribution::Hotspot { hot, accesses } => {
                // Where all keys are hot there are no others to choose from.
                let accesses = if hot == keys { 1.0 } else { accesses };
                out.fill_with(|| if rng.unit() < accesses { rng.below(hot) } else { hot + rng.below(keys - hot) });
                self.spread(out, shift);
            }
            Distribution::Latest { distance, inserts } => events.for_each(|(id, sequence)| {
                let next = keys + inserts.before(sequence);
                let inserted = inserts.before(sequence + 1) + keys > next;
                *id = if inserted { next } else { next - distance.draw(rng) };
            }),
            &Distribution::Exponential { decay } => {
                // The inverse of the distribution function, cut at the end of the range.
                let within = libm::expm1(-decay);
                out.fill_with(|| {
                    let x = libm::log1p(rng.unit() * within) / -decay;
                    ((x * keys as f64) as u64).min(keys - 1)
                });
                self.spread(out, shift);
            }
            Distribution::Sequential => events.for_each(|(id, sequence)| *id = sequence % keys),
            &Distribution::Moving { active, created, hot_share, hot_every } => events.for_each(|(id, sequence)| {
                let newest = active - 1 + created.before(sequence);
                let hot = rng.unit() < hot_share;
                *id = (if hot { newest / hot_every * hot_every } else { newest - rng.below(active) }) % keys;
            }),
            &Distribution::Ephemeral { live, created } => events.for_each(|(id, sequence)| {
                *id = live - 1 + created.before(sequence) - rng.below(live);
            }),
            Distribution::KeyRanges { range, shares, size, key_hotness: [a, b] } => out.fill_with(|| {
                let place = self.range_order(shares.len()).apply(range.draw(rng));
                // The inverse of a x^b; what is beyond the last rank falls on any key.
                let rank = libm::pow(rng.unit() / a, 1.0 / b) as u64;
                let rank = if rank < *size { rank } else { below(hash(rank), *size) };
                place * size + self.ranks.apply(rank)
            }),
            &Distribution::Recent { among, created } => events.for_each(|(id, sequence)| {
                let next = keys + created.before(sequence);
                let is_new = created.before(sequence + 1) + keys > next;
                *id = if is_new { next } else { next - 1 - rng.below(among) };
            }),
        }
    }

    /// Which range has which rank.
    fn range_order(&self, ranges: usize) -> Permutation {
        Permutation::new(ranges as u64, self.seed)
    }

    /// Turns ranks into ids.
    fn spread(&self, ranks: &mut [u64], shift: u64) {
        for rank in ranks {
            let shifted = *rank + shift;
            *rank = self.ranks.apply(if shifted < self.cardinality { shifted } else { shifted - self.cardinality });
        }
    }

    /// An id that belongs to no key that is ever there; one of its own for each id. Which accesses look for absent keys
    /// is for the caller to draw, who knows which of them write.
    #[inline]
    pub fn absent_id(&self, id: u64) -> u64 {
        id | ABSENT
    }

    /// Whether an id is that of an absent key.
    #[inline]
    pub fn is_absent(&self, id: u64) -> bool {
        id & ABSENT != 0
    }

    /// Lists the keys that are there at the start, all ids below the cardinality in a scrambled order: those from
    /// position `first` on. `recent` keys are in the order in which they came, so that the newest are the youngest.
    /// Returns how many there were, fewer than fit into `out` only at the end.
    pub fn prefill_ids(&self, first: u64, out: &mut [u64]) -> usize {
        let in_order = matches!(self.distribution, Distribution::Recent { .. });
        let id_at = |position| if in_order { position } else { self.prefill.apply(position) };
        out.iter_mut().zip(first..self.cardinality).map(|(id, position)| *id = id_at(position)).count()
    }

    /// The number of keys that the first `events` events add to those of the start.
    pub fn created(&self, events: u64) -> u64 {
        match &self.distribution {
            Distribution::Latest { inserts, .. } => inserts.before(events),
            Distribution::Recent { created, .. } => created.before(events),
            _ => 0,
        }
    }

    /// The expected number of distinct keys among those of the first `events` events: how large a state becomes that keeps
    /// an entry for each key. Exact for uniform, hotspot and sequential; for the others sums are taken as integrals and
    /// few chances as many (Poisson), which is good to about 1 %.
    pub fn distinct_expected(&self, events: u64) -> f64 {
        if events == 0 {
            return 0.0;
        }
        let (keys, accesses) = (self.cardinality as f64, events as f64);
        // The chance that a key is touched by any of `accesses` accesses, of which each goes to it with probability p.
        let touched = |p: f64| -libm::expm1(accesses * libm::log1p(-p.min(1.0)));
        let distinct = match &self.distribution {
            Distribution::Uniform => keys * touched(1.0 / keys),
            Distribution::Zipf(zipf) => zipf.sum(|rank| touched(zipf.probability(rank))),
            &Distribution::Hotspot { hot, accesses } => {
                let (hot, accesses) = (hot as f64, if hot == self.cardinality { 1.0 } else { accesses });
                let cold = keys - hot;
                let cold_keys = if cold > 0.0 { cold * touched((1.0 - accesses) / cold) } else { 0.0 };
                hot * touched(accesses / hot) + cold_keys
            }
            Distribution::Latest { distance, inserts } => {
                let steps = inserts.before(events) as f64;
                let old = if steps < 1.0 {
                    distance.sum(|rank| touched(distance.probability(rank) * (1.0 - inserts.share())))
                } else {
                    // Each key of the start moves away from the newest, by a rank for every insert.
                    let rate = accesses * (1.0 - inserts.share()) / steps;
                    distance.sum(|rank| -libm::expm1(-distance.accesses_on_the_way(rank, steps, rate)))
                };
                return old + steps;
            }
            &Distribution::Exponential { decay } => exponential_sum(keys, decay, touched),
            Distribution::Sequential => accesses,
            &Distribution::Moving { active, created, hot_share, hot_every } => {
                let pace = created.share();
                let cold = distinct_in_window(accesses, active as f64, pace, 1.0 - hot_share);
                // Where keys come again, each has had so many lives, and a chance in every one.
                let ids = (active + created.before(events)) as f64;
                let cold = if ids > keys { keys * (1.0 - libm::pow(1.0 - cold / ids, ids / keys)) } else { cold };
                // A key in so many is hot for some time, and may have been missed as a cold one.
                let first = (active - 1) / hot_every;
                let last = (active - 1 + created.before(events - 1)) / hot_every;
                let hot_keys = (last - first + 1).min(self.cardinality / gcd(self.cardinality, hot_every)) as f64;
                let time = (hot_every as f64 / pace).min(accesses);
                let met = 1.0 - libm::pow(1.0 - hot_share, time);
                let missed = 1.0 - cold / ids.min(keys);
                (cold + hot_keys * met * missed).min(keys)
            }
            &Distribution::Ephemeral { live, created } => {
                return distinct_in_window(accesses, live as f64, created.share(), 1.0).min(accesses);
            }
            Distribution::KeyRanges { shares, size, key_hotness, .. } => {
                let of_range = |share: &f64| distinct_in_range(accesses * share, *size as f64, *key_hotness);
                shares.iter().map(of_range).sum()
            }
            &Distribution::Recent { among, created } => {
                let old = distinct_leaving_window(accesses, among as f64, created.share(), 1.0 - created.share());
                return created.before(events) as f64 + old;
            }
        };
        distinct.min(accesses).min(keys)
    }
}

/// The greatest common divisor.
const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Σ f(p) over all keys of an exponential distribution, in at most 4096 steps: of one key each where that is enough.
fn exponential_sum(keys: f64, decay: f64, f: impl Fn(f64) -> f64) -> f64 {
    // Beyond 80 e-foldings no run is long enough to reach a key.
    let reached = (keys * f64::min(1.0, 80.0 / decay)).ceil();
    let steps = reached.min(4096.0);
    let width = reached / steps;
    // The probability of a key: its density over one key's width, exactly.
    let first = libm::expm1(-decay / keys) / libm::expm1(-decay);
    let probability = |rank: f64| first * libm::exp(-decay * rank / keys);
    (0..steps as u32).map(|i| width * f(probability(width * (f64::from(i) + 0.5) - 0.5))).sum()
}

/// Expected number of the keys of a range that some accesses touch: the x hottest have a x^b of them, and what would be
/// those of more keys than there are is spread over all.
fn distinct_in_range(accesses: f64, keys: f64, [a, b]: [f64; 2]) -> f64 {
    const STEPS: u32 = 500;
    let share = |rank: f64| (a * libm::pow(rank, b)).min(1.0);
    let spread = (1.0 - share(keys)) / keys;
    // Steps that grow with the rank, of one key each at the start.
    let rank = |step: u32| libm::pow(keys + 1.0, f64::from(step) / f64::from(STEPS)) - 1.0;
    let touched = |step: u32| {
        let (first, last) = (rank(step), rank(step + 1));
        let probability = (share(last) - share(first)) / (last - first) + spread;
        (last - first) * -libm::expm1(accesses * libm::log1p(-probability.min(1.0)))
    };
    (0..STEPS).map(touched).sum()
}

/// Expected number of keys touched by `events` events of which a share goes evenly to the newest `active` keys, where
/// `pace` keys are created for each event.
fn distinct_in_window(events: f64, active: f64, pace: f64, share: f64) -> f64 {
    // A key that has been active for t events is touched with probability 1 - e^(-rate t).
    let rate = -libm::log1p(-(share / active).min(1.0 - f64::EPSILON));
    if rate <= 0.0 {
        return 0.0;
    }
    let touched = |t: f64| -libm::expm1(-rate * t);
    let integral = |t: f64| t - touched(t) / rate;
    let life = active / pace;
    // Keys that were there at the start leave one after the other, those that are there at the end came so, and the
    // others were active for a whole life, or for all events.
    let whole = if events < life { active - pace * events } else { pace * (events - life) };
    let time = events.min(life);
    2.0 * pace * integral(time) + whole * touched(time)
}

/// Expected number of the newest `active` keys of the start that are touched by `events` events, of which a share goes
/// evenly to the newest `active` keys, where `pace` keys are created for each event: they leave one after the other.
fn distinct_leaving_window(events: f64, active: f64, pace: f64, share: f64) -> f64 {
    let rate = -libm::log1p(-(share / active).min(1.0 - f64::EPSILON));
    if rate <= 0.0 {
        return 0.0;
    }
    let touched = |t: f64| -libm::expm1(-rate * t);
    // Those that leave before the last event have had all ages at that, the others see every event.
    let leaving = active.min(pace * events);
    let time = if pace > 0.0 { leaving / pace } else { 0.0 };
    pace * (time - touched(time) / rate) + (active - leaving) * touched(events)
}

/// A key that can be made from an id.
pub trait SampledKey: Key {
    /// The key of this id; each id has one of its own.
    fn from_id(id: u64, keys: &Keys) -> Self;
}

impl SampledKey for i64 {
    #[inline]
    fn from_id(id: u64, _: &Keys) -> Self {
        id as i64
    }
}

impl SampledKey for StringKey {
    /// The id in base 36, with as many digits for each key, so that strings sort as ids do; then characters that follow
    /// from the id, up to the length that follows from it too.
    fn from_id(id: u64, keys: &Keys) -> Self {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let absent = id & ABSENT != 0;
        let mut rest = (id & !ABSENT) + if absent { keys.id_limit } else { 0 };
        let mut digits = [b'0'; 13]; // 36^13 > 2^64
        let mut used = 0;
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[(rest % 36) as usize];
            rest /= 36;
            used += 1;
            if rest == 0 {
                break;
            }
        }
        let digits = &digits[digits.len() - keys.id_digits.max(used)..];
        let mut word = hash(id);
        let length = match &keys.key_type {
            KeyType::String { length } => length.quantile(unit(word)) as usize,
            KeyType::Long => digits.len(),
        };
        let mut text = String::with_capacity(length.max(digits.len()));
        text.extend(digits.iter().copied().map(char::from));
        while text.len() < length {
            word = hash(word);
            let characters = (0..12).map(|i| char::from(DIGITS[(word >> (5 * i)) as usize % 32]));
            text.extend(characters.take(length - text.len()));
        }
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Stream;
    use super::*;
    use std::collections::{HashMap, HashSet};

    fn wire(text: &str) -> KeysWire {
        toml::from_str(text).unwrap()
    }

    fn keys(text: &str) -> Keys {
        Keys::new(&wire(text), None).unwrap()
    }

    /// The ids of the first events, in blocks of 1000.
    fn draw(text: &str, events: u64) -> Vec<u64> {
        let sampler = KeySampler::new(&keys(text), 42);
        let mut ids = vec![0; events as usize];
        for (block, ids) in (0..).zip(ids.chunks_mut(1000)) {
            sampler.fill(&mut Rng::for_block(42, Stream::Keys, block), block * 1000, ids);
        }
        ids
    }

    fn counts(ids: &[u64]) -> HashMap<u64, u32> {
        let mut counts = HashMap::new();
        for &id in ids {
            *counts.entry(id).or_default() += 1;
        }
        counts
    }

    /// The counts of the keys, the largest first.
    fn sorted_counts(ids: &[u64]) -> Vec<u32> {
        let mut counts: Vec<u32> = counts(ids).into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }

    fn share(ids: &[u64], is: impl Fn(u64) -> bool) -> f64 {
        ids.iter().filter(|&&id| is(id)).count() as f64 / ids.len() as f64
    }

    const ALL: [&str; 10] = [
        "distribution = 'uniform'",
        "distribution = 'zipf'",
        "distribution = 'hotspot'",
        "distribution = 'latest'",
        "distribution = 'exponential'",
        "distribution = 'sequential'",
        "distribution = 'moving'",
        "distribution = 'ephemeral'",
        "distribution = 'recent'",
        "distribution = 'key-ranges'",
    ];

    #[test]
    fn everything_has_a_default_and_reads_back() {
        assert_eq!(wire(""), KeysWire::default());
        assert_eq!(wire("distribution.zipf.exponent = 1").distribution.0, DistributionWire::Zipf { exponent: 1.0 });
        assert_eq!(wire("type = 'string'"), wire("type.string.length = 16"));
        for text in ALL {
            let wire = wire(text);
            assert!(Keys::new(&wire, None).is_ok(), "{text}");
            assert_eq!(toml::from_str::<KeysWire>(&toml::to_string(&wire).unwrap()).unwrap(), wire);
        }
        for text in ["cardinal = 3", "cardinality = -1", "distribution.zipf.skew = 3", "type = 'int'", "absent = 'no'"]
        {
            assert!(toml::from_str::<KeysWire>(text).is_err(), "{text}");
        }
        assert!(keys("distribution = 'ephemeral'").is_ephemeral());
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        for (text, path) in [
            ("cardinality = 0", "cardinality"),
            ("cardinality = 1_000_000_000_001", "cardinality"),
            ("absent = nan", "absent"),
            ("absent = 1.5", "absent"),
            ("distribution.zipf.exponent = 0", "distribution.zipf.exponent"),
            ("distribution.zipf.exponent = inf", "distribution.zipf.exponent"),
            ("distribution.hotspot.keys = 0", "distribution.hotspot.keys"),
            ("distribution.hotspot.keys = nan", "distribution.hotspot.keys"),
            ("distribution.hotspot.accesses = -0.1", "distribution.hotspot.accesses"),
            ("distribution.latest.exponent = nan", "distribution.latest.exponent"),
            ("distribution.latest.inserts = 2", "distribution.latest.inserts"),
            ("distribution.exponential.share = 0", "distribution.exponential.share"),
            ("distribution.exponential.percentile = 1", "distribution.exponential.percentile"),
            ("cardinality = 9\ndistribution.moving.active = 10", "distribution.moving.active"),
            ("distribution.moving.events-per-key = 0.5", "distribution.moving.events-per-key"),
            ("distribution.moving.hot-share = nan", "distribution.moving.hot-share"),
            ("distribution.moving.hot-every = 0", "distribution.moving.hot-every"),
            ("distribution.ephemeral.live = 0", "distribution.ephemeral.live"),
            ("distribution.ephemeral.uses = inf", "distribution.ephemeral.uses"),
            ("distribution.recent.repeats = 1.1", "distribution.recent.repeats"),
            ("cardinality = 29\ndistribution = 'key-ranges'", "distribution.key-ranges.ranges"),
            ("distribution.key-ranges.range-hotness = [-1.0, 0.0, 0.0, 0.0]", "distribution.key-ranges.range-hotness"),
            ("distribution.key-ranges.range-hotness = [1, 500, 0, 0]", "distribution.key-ranges.range-hotness"),
            ("distribution.key-ranges.key-hotness = [0, 1]", "distribution.key-ranges.key-hotness[0]"),
            ("distribution.recent.among = 0", "distribution.recent.among"),
            ("distribution.recent.among = nan", "distribution.recent.among"),
            ("type.string.length = 3", "type.string.length"),
            ("type.string.length = '1 mb'", "type.string.length"),
            ("type.string.length.uniform = { min = 8, max = 7 }", "type.string.length.uniform.max"),
        ] {
            assert_eq!(Keys::new(&wire(text), None).unwrap_err().path, path, "{text}");
        }
    }

    #[test]
    fn first_ids_are_pinned() {
        let firsts = ALL.map(|text| draw(text, 4));
        assert_eq!(
            firsts,
            [
                [40157, 63756, 28410, 6653],
                [81594, 2715, 97084, 50872],
                [56131, 49184, 4271, 31279],
                [99462, 99999, 46476, 88967],
                [11534, 69393, 69657, 97010],
                [0, 1, 2, 3],
                [100, 78, 100, 80],
                [598, 362, 715, 933],
                [79_921, 100_000, 100_001, 100_002],
                [77_562, 3_722, 6_042, 3_958],
            ]
        );
    }

    #[test]
    fn a_block_depends_on_nothing_but_its_number() {
        for text in ALL {
            let sampler = KeySampler::new(&keys(text), 7);
            let block = |number: u64| {
                let mut ids = [0; 1000];
                sampler.fill(&mut Rng::for_block(7, Stream::Keys, number), number * 1000, &mut ids);
                ids
            };
            let later = block(5);
            block(1);
            assert_eq!(block(5), later, "{text}");
            assert_ne!(block(6), later, "{text}");
        }
    }

    #[test]
    fn uniform_and_sequential_reach_every_key() {
        let ids = draw("cardinality = 1000", 200_000);
        let counts = sorted_counts(&ids);
        assert!(counts.len() == 1000 && counts[0] < 270 && counts[999] > 140, "{counts:?}");
        assert!(ids.iter().all(|&id| id < 1000));
        assert_eq!(draw("cardinality = 3\ndistribution = 'sequential'", 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn zipf_ranks_are_spread_over_the_ids() {
        let ids = draw("cardinality = 1_000_000\ndistribution.zipf.exponent = 1.2", 200_000);
        let zipf = Zipf::new(1_000_000, 1.2).unwrap();
        for (rank, count) in sorted_counts(&ids).into_iter().take(10).enumerate() {
            let expected = zipf.probability(rank as f64 + 1.0) * 2e5;
            assert!((f64::from(count) - expected).abs() < 5.0 * expected.sqrt(), "rank {rank}: {count}, {expected}");
        }
        let mut hot: Vec<_> = counts(&ids).into_iter().collect();
        hot.sort_unstable_by_key(|&(id, count)| (std::cmp::Reverse(count), id));
        let upper = hot[..40].iter().filter(|(id, _)| *id >= 500_000).count();
        assert!((8..=32).contains(&upper), "{upper} of 40 hot keys are in the upper half");
    }

    #[test]
    fn a_share_of_keys_gets_its_share_of_accesses() {
        let ids = draw("cardinality = 1000\ndistribution.hotspot = { keys = 0.1, accesses = 0.7 }", 500_000);
        let counts = sorted_counts(&ids);
        let hot: u32 = counts[..100].iter().sum();
        assert!((f64::from(hot) / 5e5 - 0.7).abs() < 0.003, "{hot}");
        assert!(counts.len() == 1000 && counts[99] > 3200 && counts[100] < 260, "uniform within both parts");
        // All keys are hot: nothing is left for the others.
        let ids = draw("cardinality = 2\ndistribution.hotspot = { keys = 0.9, accesses = 0.1 }", 10_000);
        assert!((share(&ids, |id| id == 0) - 0.5).abs() < 0.02);
    }

    #[test]
    fn exponential_accesses_fall_by_the_formula() {
        let ids = draw("cardinality = 1000\ndistribution = 'exponential'", 500_000);
        let counts = sorted_counts(&ids);
        let decay = -(0.05_f64.ln()) / 0.857;
        for keys in [100, 500, 857] {
            let expected = (1.0 - (-decay * f64::from(keys) / 1000.0).exp()) / (1.0 - (-decay).exp());
            let found = f64::from(counts[..keys as usize].iter().sum::<u32>()) / 5e5;
            assert!((found - expected).abs() < 0.005, "{keys} keys: {found} instead of {expected}");
        }
        assert!(ids.iter().all(|&id| id < 1000));
    }

    #[test]
    fn latest_inserts_and_stays_near_the_newest() {
        let text = "cardinality = 1000\ndistribution.latest = { exponent = 0.99, inserts = 0.05 }";
        let (ids, zipf) = (draw(text, 100_000), Zipf::new(1000, 0.99).unwrap());
        let (mut newest, mut inserts, mut at_newest) = (999, 0, 0);
        for &id in &ids {
            if id == newest + 1 {
                (newest, inserts) = (id, inserts + 1);
            } else {
                assert!(id <= newest && newest - id < 1000, "{id} of {newest}");
                at_newest += u32::from(id == newest);
            }
        }
        assert_eq!(inserts, 5000);
        let expected = zipf.probability(1.0) * 95_000.0;
        assert!((f64::from(at_newest) - expected).abs() < 5.0 * expected.sqrt(), "{at_newest}, {expected}");
        // The extremes: nothing new, and nothing old.
        assert!(draw("cardinality = 10\ndistribution.latest.inserts = 0", 1000).iter().all(|&id| id < 10));
        assert_eq!(draw("cardinality = 10\ndistribution.latest.inserts = 1", 3), [10, 11, 12]);
    }

    #[test]
    fn the_hot_key_moves_as_in_nexmark() {
        let ids = draw("cardinality = 5000\ndistribution = 'moving'", 50_000);
        let newest = |event: usize| 109 + (event as f64 / 16.67) as u64;
        let mut hot = 0;
        for (event, &id) in ids.iter().enumerate() {
            let newest = newest(event);
            assert!(id > newest.saturating_sub(110) && id <= newest, "{id} of {newest}");
            hot += u32::from(id == newest / 100 * 100);
        }
        // Half of the accesses, and of the others one in 110.
        let expected = 5e4 * (0.5 + 0.5 / 110.0);
        assert!((f64::from(hot) - expected).abs() < 500.0, "{hot}, {expected}");
        let ids = draw("cardinality = 120\ndistribution = 'moving'", 50_000);
        assert!(ids.iter().all(|&id| id < 120) && counts(&ids).len() == 120);
    }

    #[test]
    fn ephemeral_keys_live_once() {
        let ids = draw("distribution.ephemeral = { live = 100, uses = 10 }", 100_000);
        let (mut first, mut last) = (HashMap::new(), HashMap::new());
        for (event, &id) in ids.iter().enumerate() {
            first.entry(id).or_insert(event);
            last.insert(id, event);
        }
        assert!(last.iter().all(|(id, last)| last - first[id] <= 1000), "alive for longer than live × uses events");
        let counts = counts(&ids);
        let middle: Vec<u32> = (1000..9000).map(|id| counts.get(&id).copied().unwrap_or(0)).collect();
        let mean = f64::from(middle.iter().sum::<u32>()) / 8000.0;
        assert!((mean - 10.0).abs() < 0.1, "{mean} uses");
        assert_eq!(draw("distribution.ephemeral = { live = 1, uses = 1 }", 3), [0, 1, 2]);
    }

    #[test]
    fn ranges_have_the_hotness_of_mixgraph() {
        let ids = draw("cardinality = 3_000_000\ndistribution = 'key-ranges'", 300_000);
        let mut ranges = [0_u32; 30];
        ids.iter().for_each(|id| ranges[(id / 100_000) as usize] += 1);
        let hottest = ranges.iter().position(|&count| count == *ranges.iter().max().unwrap()).unwrap() as u64;
        ranges.sort_unstable_by(|a, b| b.cmp(a));
        let weight = |x: f64| 14.18 * (-2.917 * x).exp() + 0.0164 * (-0.080_82 * x).exp();
        let all: f64 = (1..=30).map(|x| weight(f64::from(x))).sum();
        for (rank, &count) in [0, 1, 2, 10, 29].map(|rank| (rank, &ranges[rank])) {
            let expected = 3e5 * weight(rank as f64 + 1.0) / all;
            assert!((f64::from(count) - expected).abs() < 5.0 * expected.sqrt(), "{rank}: {count}, not {expected}");
        }
        // Within the hottest range: the hottest key has a of its accesses, the hottest hundred about a 100^b.
        let within: Vec<_> = ids.iter().copied().filter(|id| id / 100_000 == hottest).collect();
        let counts = sorted_counts(&within);
        let share = |keys: usize| f64::from(counts[..keys].iter().sum::<u32>()) / within.len() as f64;
        assert!((share(1) - 0.002_312).abs() < 0.000_4, "{}", share(1));
        assert!((share(100) / (0.002_312 * 100_f64.powf(0.3467)) - 1.0).abs() < 0.15, "{}", share(100));
    }

    #[test]
    fn recent_keys_come_in_sequence_and_repeat_evenly() {
        let ids = draw("cardinality = 1000\ndistribution.recent = { repeats = 0.2, among = 0.5 }", 200_000);
        let (mut next, mut distances) = (1000, Vec::new());
        for &id in &ids {
            if id == next {
                next += 1;
            } else {
                assert!(id < next, "{id} before {next}");
                distances.push((next - 1 - id) as f64);
            }
        }
        assert_eq!((next, distances.len()), (161_000, 40_000));
        // Uniform over 0 to 499.
        let mean = distances.iter().sum::<f64>() / 4e4;
        let variance = distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 4e4;
        assert!((mean - 249.5).abs() < 2.5, "{mean}");
        assert!((variance / ((500.0 * 500.0 - 1.0) / 12.0) - 1.0).abs() < 0.02, "{variance}");
        assert!(distances.iter().all(|&d| d < 500.0) && distances.contains(&0.0) && distances.contains(&499.0));
        // The extremes: nothing comes again, and nothing is new.
        assert_eq!(draw("cardinality = 10\ndistribution.recent.repeats = 0", 3), [10, 11, 12]);
        let only_repeats = draw("cardinality = 10\ndistribution.recent = { repeats = 1, among = 0.3 }", 1000);
        assert!(only_repeats.iter().all(|id| (7..10).contains(id)));
    }

    #[test]
    fn recent_keys_are_prefilled_in_their_order() {
        let sampler = KeySampler::new(&keys("cardinality = 5\ndistribution = 'recent'"), 3);
        let mut ids = [9; 4];
        assert_eq!((sampler.prefill_ids(2, &mut ids), ids), (3, [2, 3, 4, 9]));
    }

    #[test]
    fn absent_keys_are_others() {
        let sampler = KeySampler::new(&keys(""), 1);
        let absent: HashSet<u64> = (0..1000).map(|id| sampler.absent_id(id)).collect();
        assert!(absent.len() == 1000 && absent.iter().all(|&id| sampler.is_absent(id) && id >= 1 << 62));
        assert!(absent.iter().all(|&id| i64::try_from(id).is_ok()) && !sampler.is_absent((1 << 62) - 1));
    }

    #[test]
    fn prefilling_lists_every_key_once() {
        for cardinality in [1, 2, 1000, 4097] {
            let sampler = KeySampler::new(&keys(&format!("cardinality = {cardinality}")), 3);
            let (mut seen, mut first, mut ids) = (HashSet::<u64>::new(), 0, [0; 300]);
            loop {
                let count = sampler.prefill_ids(first, &mut ids);
                seen.extend(&ids[..count]);
                first += count as u64;
                if count < ids.len() {
                    break;
                }
            }
            assert_eq!((first, seen.len() as u64), (cardinality, cardinality));
            assert!(seen.iter().all(|&id| id < cardinality));
            assert_eq!(sampler.prefill_ids(u64::MAX, &mut ids), 0);
        }
    }

    #[test]
    fn the_expected_number_of_distinct_keys_is_met() {
        let cases = [
            "distribution = 'uniform'",
            "distribution = 'zipf'",
            "distribution.zipf.exponent = 1.5",
            "distribution = 'hotspot'",
            "distribution.hotspot = { keys = 0.0001, accesses = 1 }",
            "distribution = 'latest'",
            "distribution.latest.inserts = 0",
            "distribution.latest = { exponent = 0.3, inserts = 0.5 }",
            "distribution = 'exponential'",
            "distribution.exponential = { share = 0.01, percentile = 0.9 }",
            "distribution = 'sequential'",
            "distribution = 'moving'",
            "distribution.moving = { active = 5000, events-per-key = 3, hot-share = 0.9 }",
            "distribution.moving = { hot-share = 1 }",
            "distribution = 'ephemeral'",
            "distribution.ephemeral = { live = 5000, uses = 1.5 }",
            "distribution = 'recent'",
            "distribution.recent = { repeats = 0.9, among = 0.2 }",
            "distribution.recent = { repeats = 1, among = 1 }",
            "distribution.recent.repeats = 0",
            "distribution = 'key-ranges'",
            "distribution.key-ranges = { ranges = 1, key-hotness = [0.05, 0.3] }",
        ];
        for case in cases {
            let text = format!("cardinality = 20_000\n{case}");
            let (ids, sampler) = (draw(&text, 300_000), KeySampler::new(&keys(&text), 42));
            for events in [1, 300, 5_000, 60_000, 300_000] {
                let seen = ids[..events].iter().collect::<HashSet<_>>().len() as f64;
                let expected = sampler.distinct_expected(events as u64);
                let tolerance = 0.015 * seen + 3.0 * seen.sqrt();
                assert!((seen - expected).abs() < tolerance, "{case}, {events} events: {expected}, found {seen}");
            }
            assert!(sampler.distinct_expected(0).abs() < 1e-300, "{case}");
            assert!(sampler.distinct_expected(u64::MAX >> 2).is_finite());
        }
    }

    #[test]
    fn extreme_parameters_draw_and_predict() {
        let distributions = [
            "zipf.exponent = 100",
            "zipf.exponent = 1e-300",
            "hotspot = { keys = 1e-300, accesses = 0 }",
            "hotspot = { keys = 1, accesses = 0 }",
            "latest = { exponent = 100, inserts = 1e-300 }",
            "exponential = { share = 1e-6, percentile = 0.999999 }",
            "exponential = { share = 1, percentile = 1e-6 }",
            "moving = { active = 1, events-per-key = 1e12, hot-every = 1_000_000_000_000 }",
            "moving = { active = 1, events-per-key = 1, hot-share = 0, hot-every = 1 }",
            "ephemeral = { live = 1_000_000_000_000, uses = 1 }",
            "recent = { repeats = 0, among = 1e-300 }",
            "recent = { repeats = 1, among = 1 }",
            "key-ranges = { ranges = 1, range-hotness = [1e-300, 0.0, 0.0, 0.0], key-hotness = [1.0, 10.0] }",
            "key-ranges = { ranges = 1, key-hotness = [1e-9, 0.01] }",
        ];
        for distribution in distributions {
            for cardinality in [1, 2, MAX_KEYS] {
                let text = format!("cardinality = {cardinality}\ndistribution.{distribution}");
                let sampler = KeySampler::new(&keys(&text), u64::MAX);
                let mut ids = [0; 100];
                for first in [0, (1 << 61) - 100] {
                    sampler.fill(&mut Rng::for_block(0, Stream::Keys, 0), first, &mut ids);
                    assert!(ids.iter().all(|&id| id < 1 << 62), "{text}");
                }
                for events in [1, 1000, 1 << 40] {
                    let distinct = sampler.distinct_expected(events);
                    assert!(distinct > 0.0 && distinct <= events as f64 * 1.000_001, "{text}\n{events}: {distinct}");
                }
            }
        }
    }

    #[test]
    fn string_keys_are_distinct_and_as_long_as_drawn() {
        let keys = keys("cardinality = 30_000\ntype.string.length.uniform = { min = 4, max = 20 }");
        let KeyType::String { length } = &keys.key_type else { panic!() };
        let sampler = KeySampler::new(&keys, 1);
        let ids: Vec<u64> = (0..30_000).flat_map(|id| [id, sampler.absent_id(id)]).collect();
        let texts: Vec<StringKey> = ids.iter().map(|&id| StringKey::from_id(id, &keys)).collect();
        let distinct: HashSet<&str> = texts.iter().map(StringKey::as_str).collect();
        assert_eq!(distinct.len(), ids.len());
        let lengths: Vec<f64> = texts.iter().map(|text| text.as_str().len() as f64).collect();
        assert!(lengths.iter().all(|length| (4.0..=20.0).contains(length)));
        assert!((lengths.iter().sum::<f64>() / lengths.len() as f64 - length.mean()).abs() < 0.1);
        assert!(texts.iter().step_by(2).is_sorted_by_key(StringKey::as_str), "they sort as their ids");
    }

    #[test]
    fn keys_are_pinned() {
        let strings = keys("type = 'string'");
        let sampler = KeySampler::new(&strings, 1);
        let text = |id| StringKey::from_id(id, &strings).as_str().to_owned();
        assert_eq!(
            [text(0), text(99_999), text(sampler.absent_id(0))],
            ["0000fjvih6t5tm1e", "255r78564bsdu9uo", "255skcj206189ast"]
        );
        // An id beyond what was planned for is longer, never cut.
        assert_eq!(StringKey::from_id(u64::MAX >> 3, &keys("")).as_str(), "hio94mrrlk3j");
        assert_eq!(i64::from_id(7, &strings), 7);
    }

    #[test]
    fn paces_are_even_and_exact() {
        let pace = Pace::new(0.3);
        assert!((0..1000).all(|i| pace.before(i) == (i as f64 * 0.3 + 1e-9) as u64 || i % 10 == 0));
        assert!((0..1000).all(|i| pace.before(i + 1) - pace.before(i) <= 1));
        assert_eq!((Pace::new(1.0).before(u64::MAX), Pace::new(0.0).before(u64::MAX)), (u64::MAX, 0));
        assert!((pace.share() - 0.3).abs() < 1e-15);
    }

    #[test]
    fn the_schema_describes_every_field() {
        let schema = serde_json::to_string(&schemars::schema_for!(KeysWire)).unwrap();
        for text in ["\"events-per-key\"", "Number of distinct keys", "The skew", "\"ephemeral\"", "\"enum\":[\"long\""]
        {
            assert!(schema.contains(text), "{text} in {schema}");
        }
    }
}
