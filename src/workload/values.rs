//! The `[values]` section: how large the stored values are, how well they compress, and the bytes themselves.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use super::random::{Rng, Stream};
use super::{Bytes, Invalid, Shorthand, check_range};
use crate::state::Payload;

/// The `[values]` section as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ValuesWire {
    /// Size of a value: a size such as `"100 b"`, or a distribution of sizes.
    pub size: SizeWire,
    /// Share of a value's bytes that a compressor can remove, 0 to 1. The first 8 bytes are random in any case.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub compressibility: f64,
}

impl Default for ValuesWire {
    fn default() -> Self {
        Self { size: SizeWire::constant(100), compressibility: 0.5 }
    }
}

/// A distribution of sizes as it is written: a plain size, the name of a distribution, or a table with one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SizeWire(pub SizeShape);

impl SizeWire {
    /// Always this many bytes.
    pub const fn constant(bytes: u64) -> Self {
        Self(SizeShape::Constant(Bytes(bytes)))
    }
}

/// The distributions of sizes.
#[derive(Debug, Clone, PartialEq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum SizeShape {
    /// Always the same size.
    Constant(Bytes),
    /// Every size from `min` to `max` equally often.
    Uniform {
        /// The smallest size.
        #[serde(default = "default::uniform_min")]
        min: Bytes,
        /// The largest size.
        #[serde(default = "default::uniform_max")]
        max: Bytes,
    },
    /// The logarithm of the size is normally distributed: many small values and few large ones.
    Lognormal {
        /// Half of the values are smaller.
        #[serde(default = "default::median")]
        median: Bytes,
        /// Standard deviation of the natural logarithm of the size, 0 to 5.
        #[serde(default = "default::sigma")]
        sigma: f64,
        /// Larger ones are cut to this size.
        #[serde(default = "default::lognormal_max")]
        max: Bytes,
    },
    /// The generalised Pareto distribution; the defaults are those of RocksDB's `mixgraph` benchmark.
    GeneralisedPareto {
        /// The smallest size before it is cut, in bytes.
        #[serde(default = "default::location")]
        location: f64,
        /// The scale, in bytes.
        #[serde(default = "default::scale")]
        scale: f64,
        /// The shape, 0 to 10: the weight of the tail. From 1 on only `max` keeps the mean finite.
        #[serde(default = "default::shape")]
        shape: f64,
        /// Smaller ones are raised to this size.
        #[serde(default = "default::pareto_min")]
        min: Bytes,
        /// Larger ones are cut to this size.
        #[serde(default = "default::pareto_max")]
        max: Bytes,
    },
}

/// What stands where a field is left out.
mod default {
    use super::Bytes;

    pub const fn uniform_min() -> Bytes {
        Bytes(50)
    }
    pub const fn uniform_max() -> Bytes {
        Bytes(150)
    }
    pub const fn median() -> Bytes {
        Bytes(100)
    }
    pub const fn sigma() -> f64 {
        1.0
    }
    pub const fn lognormal_max() -> Bytes {
        Bytes(64 << 10)
    }
    pub const fn location() -> f64 {
        0.0
    }
    pub const fn scale() -> f64 {
        25.45
    }
    pub const fn shape() -> f64 {
        0.2615
    }
    pub const fn pareto_min() -> Bytes {
        Bytes(10)
    }
    pub const fn pareto_max() -> Bytes {
        Bytes(1 << 10)
    }
}

impl<'de> Deserialize<'de> for SizeWire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeOrTable;
        impl<'de> Visitor<'de> for SizeOrTable {
            type Value = SizeShape;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 100 or \"4 kb\", or a distribution of sizes")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<SizeShape, E> {
                Ok(SizeShape::Constant(Bytes(bytes)))
            }
            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<SizeShape, E> {
                let bytes = u64::try_from(bytes).map_err(|_| E::custom(format!("`{bytes}` is negative")))?;
                self.visit_u64(bytes)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<SizeShape, E> {
                if text.trim_start().starts_with(char::is_alphabetic) {
                    return Shorthand::deserialize(text.into_deserializer()).map(|shape| shape.0);
                }
                text.parse().map(SizeShape::Constant).map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SizeShape, A::Error> {
                let shape = SizeShape::deserialize(MapAccessDeserializer::new(&mut map))?;
                match map.next_key::<String>()? {
                    Some(second) => Err(de::Error::custom(format!("`{second}` is a second distribution of sizes"))),
                    None => Ok(shape),
                }
            }
        }
        deserializer.deserialize_any(SizeOrTable).map(Self)
    }
}

impl JsonSchema for SizeWire {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            generator.subschema_for::<Bytes>(),
            generator.subschema_for::<Shorthand<SizeShape>>(),
        ] })
    }
}

/// A distribution of sizes from which every size can be drawn.
///
/// A size is the quantile of one number between 0 and 1, so a size can also follow from a hash.
#[derive(Debug, Clone, PartialEq)]
pub struct SizeDistribution {
    shape: Shape,
    min: u32,
    max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    /// Every size from min to max.
    Uniform,
    /// Rounded to the nearest byte.
    Lognormal { median: f64, sigma: f64 },
    /// Rounded up, as RocksDB's benchmark does.
    GeneralisedPareto { location: f64, scale: f64, shape: f64 },
}

/// Below this the shape of a generalised Pareto distribution is taken for 0: its exponential limit.
const LEAST_SHAPE: f64 = 1e-9;

impl SizeDistribution {
    /// The largest size of a value, 64 MiB.
    pub const LIMIT: Bytes = Bytes(64 << 20);

    /// Checks a distribution whose sizes may not exceed `limit`, itself at most [`LIMIT`](Self::LIMIT).
    pub fn new(wire: &SizeWire, limit: Bytes) -> Result<Self, Invalid> {
        let limit = limit.min(Self::LIMIT);
        let check = |path: &str, bytes: Bytes, least: Bytes| {
            check_range(path, bytes, least..=limit).map(|bytes| bytes.0 as u32)
        };
        match wire.0 {
            SizeShape::Constant(size) => {
                let size = check("", size, Bytes(0))?;
                Ok(Self { shape: Shape::Uniform, min: size, max: size })
            }
            SizeShape::Uniform { min, max } => {
                let min_bytes = check("uniform.min", min, Bytes(0))?;
                Ok(Self { shape: Shape::Uniform, min: min_bytes, max: check("uniform.max", max, min)? })
            }
            SizeShape::Lognormal { median, sigma, max } => {
                check("lognormal.median", median, Bytes(1))?;
                let max = check("lognormal.max", max, median)?;
                let sigma = check_range("lognormal.sigma", sigma, 0.0..=5.0)?;
                Ok(Self { shape: Shape::Lognormal { median: median.0 as f64, sigma }, min: 1, max })
            }
            SizeShape::GeneralisedPareto { location, scale, shape, min, max } => {
                let path = |key: &str| format!("generalised-pareto.{key}");
                check_range(&path("location"), location, 0.0..=limit.0 as f64)?;
                check_range(&path("scale"), scale, 0.001..=limit.0 as f64)?;
                check_range(&path("shape"), shape, 0.0..=10.0)?;
                let (least, max) = (check(&path("min"), min, Bytes(0))?, check(&path("max"), max, min)?);
                Ok(Self { shape: Shape::GeneralisedPareto { location, scale, shape }, min: least, max })
            }
        }
    }

    /// The smallest size.
    pub fn min(&self) -> u32 {
        self.min
    }

    /// The largest size.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// Draws a size; takes one word from the generator whatever the distribution.
    #[inline]
    pub fn sample(&self, rng: &mut Rng) -> u32 {
        self.quantile(rng.unit())
    }

    /// The size that a share `u` of all sizes does not exceed.
    #[inline]
    pub fn quantile(&self, u: f64) -> u32 {
        // Never 0 or 1, where the logarithms below are infinite.
        let u = u.clamp(f64::EPSILON / 4.0, 1.0 - f64::EPSILON / 2.0);
        let size = match self.shape {
            Shape::Uniform => return self.min + (u * (f64::from(self.max - self.min) + 1.0)) as u32,
            Shape::Lognormal { median, sigma } => median * libm::exp(sigma * normal_quantile(u)) + 0.5,
            Shape::GeneralisedPareto { location, scale, shape } => {
                let exponential = -libm::log1p(-u);
                let excess = if shape < LEAST_SHAPE { exponential } else { libm::expm1(shape * exponential) / shape };
                (location + scale * excess).ceil()
            }
        };
        (size as u32).clamp(self.min, self.max)
    }

    /// The mean size: of the distribution as it is cut at both ends, to within the rounding to whole bytes.
    pub fn mean(&self) -> f64 {
        let (min, max) = (f64::from(self.min), f64::from(self.max));
        match self.shape {
            Shape::Uniform => f64::midpoint(min, max),
            Shape::Lognormal { sigma: 0.0, median } => median,
            Shape::Lognormal { median, sigma } => {
                // E[X; X < x] of a lognormal X is E[X] Φ(z - σ), where z is the normal deviate of x.
                let deviate = |x: f64| libm::log(x / median) / sigma;
                let (low, high) = (deviate(min), deviate(max));
                let within = normal_cdf(high - sigma) - normal_cdf(low - sigma);
                min * normal_cdf(low) + median * libm::exp(sigma * sigma / 2.0) * within + max * normal_cdf(-high)
            }
            Shape::GeneralisedPareto { location, scale, shape } => {
                // E = min + ∫ P(X > x) from min to max, and half a byte for rounding up in between.
                let log = |x: f64| match (x - location).max(0.0) / scale {
                    y if shape < LEAST_SHAPE => y,
                    y => libm::log1p(shape * y) / shape,
                };
                let (low, high) = (log(min), log(max));
                let below = (location.min(max) - min).max(0.0);
                // With t = log as the variable, P(X > x) = e^-t and dx = scale e^(shape t) dt.
                let rate = shape - 1.0;
                let integral = match rate * (high - low) {
                    0.0 => high - low,
                    power => libm::exp(rate * low) * libm::expm1(power) / rate,
                };
                let rounding = (libm::exp(-low) - libm::exp(-high)) / 2.0;
                min + below + scale * integral + rounding
            }
        }
    }
}

/// Φ, the cumulative distribution function of the normal distribution.
fn normal_cdf(z: f64) -> f64 {
    libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2) / 2.0
}

/// The inverse of the normal distribution's cumulative distribution function for 0 < p < 1, to 16 digits: algorithm
/// AS 241 of Wichura (1988), a quotient of two polynomials for each of three ranges.
pub fn normal_quantile(p: f64) -> f64 {
    let polynomial = |x: f64, coefficients: [f64; 8]| coefficients.into_iter().rev().fold(0.0, |sum, c| sum * x + c);
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.425 * 0.425 - q * q;
        let above = [
            3.387_132_872_796_366_6,
            133.141_667_891_784_38,
            1_971.590_950_306_551_4,
            13_731.693_765_509_46,
            45_921.953_931_549_87,
            67_265.770_927_008_7,
            33_430.575_583_588_13,
            2_509.080_928_730_122_7,
        ];
        let below = [
            1.0,
            42.313_330_701_600_91,
            687.187_007_492_057_9,
            5_394.196_021_424_751,
            21_213.794_301_586_597,
            39_307.895_800_092_71,
            28_729.085_735_721_943,
            5_226.495_278_852_854,
        ];
        return q * polynomial(r, above) / polynomial(r, below);
    }
    let r = libm::sqrt(-libm::log(p.min(1.0 - p)));
    let z = if r <= 5.0 {
        let above = [
            1.423_437_110_749_683_5,
            4.630_337_846_156_546,
            5.769_497_221_460_691,
            3.647_848_324_763_204_5,
            1.270_458_252_452_368_4,
            0.241_780_725_177_450_6,
            0.022_723_844_989_269_184,
            7.745_450_142_783_414e-4,
        ];
        let below = [
            1.0,
            2.053_191_626_637_759,
            1.676_384_830_183_803_8,
            0.689_767_334_985_1,
            0.148_103_976_427_480_08,
            0.015_198_666_563_616_457,
            5.475_938_084_995_345e-4,
            1.050_750_071_644_416_9e-9,
        ];
        polynomial(r - 1.6, above) / polynomial(r - 1.6, below)
    } else {
        let above = [
            6.657_904_643_501_103,
            5.463_784_911_164_114,
            1.784_826_539_917_291_3,
            0.296_560_571_828_504_87,
            0.026_532_189_526_576_124,
            0.001_242_660_947_388_078_4,
            2.711_555_568_743_487_6e-5,
            2.010_334_399_292_288_1e-7,
        ];
        let below = [
            1.0,
            0.599_832_206_555_888,
            0.136_929_880_922_735_8,
            0.014_875_361_290_850_615,
            7.868_691_311_456_133e-4,
            1.846_318_317_510_054_7e-5,
            1.421_511_758_316_446e-7,
            2.044_263_103_389_939_8e-15,
        ];
        polynomial(r - 5.0, above) / polynomial(r - 5.0, below)
    };
    if q < 0.0 { -z } else { z }
}

/// The `[values]` section, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    size: SizeDistribution,
    compressibility: f64,
}

impl Values {
    /// Checks the section. The paths of errors are relative to `values`.
    pub fn new(wire: &ValuesWire) -> Result<Self, Invalid> {
        let size = SizeDistribution::new(&wire.size, SizeDistribution::LIMIT).map_err(|e| e.within("size"))?;
        Ok(Self { size, compressibility: check_range("compressibility", wire.compressibility, 0.0..=1.0)? })
    }

    /// The sizes.
    pub fn size(&self) -> &SizeDistribution {
        &self.size
    }

    /// The share of a value's bytes that a compressor can remove.
    pub fn compressibility(&self) -> f64 {
        self.compressibility
    }
}

/// Makes values of the sizes and the compressibility that are asked for.
///
/// A value is random bytes followed by zeros. The random bytes are a piece of a small pool at a random offset,
/// combined with a random word by exclusive or: as cheap as a copy, yet no two values share a sequence that a
/// compressor could find, and the first 8 bytes tell values apart.
#[derive(Debug, Clone)]
pub struct PayloadMaker {
    size: SizeDistribution,
    random_share: f64,
    pool: Arc<[u8]>,
}

/// Bytes in the pool: few, so that making values leaves the state under test in the CPU's caches.
const POOL: usize = 16 << 10;

impl PayloadMaker {
    /// With a pool that follows from the seed.
    pub fn new(values: &Values, seed: u64) -> Self {
        let mut rng = Rng::for_block(seed, Stream::Payloads, u64::MAX);
        let pool = (0..POOL / 8).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
        Self { size: values.size.clone(), random_share: 1.0 - values.compressibility, pool }
    }

    /// A value of a drawn size: one allocation.
    #[inline]
    pub fn make(&self, rng: &mut Rng) -> Payload {
        let size = self.size.sample(rng);
        self.make_of_size(rng, size)
    }

    /// A value of this size: one allocation.
    #[inline]
    pub fn make_of_size(&self, rng: &mut Rng, size: u32) -> Payload {
        let size = size as usize;
        let random = ((size as f64 * self.random_share + 0.5) as usize).max(8).min(size);
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < random {
            let piece = (random - bytes.len()).min(POOL / 2);
            let offset = rng.below((POOL - piece) as u64 + 1) as usize;
            let start = bytes.len();
            bytes.extend_from_slice(&self.pool[offset..offset + piece]);
            scramble(&mut bytes[start..], rng.next_u64());
        }
        bytes.resize(size, 0);
        Payload(bytes.into_boxed_slice())
    }
}

/// Combines every 8 bytes with `word` by exclusive or.
#[inline]
fn scramble(bytes: &mut [u8], word: u64) {
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_le_bytes(*bytes) ^ word).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(word.to_le_bytes()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::{Rng, *};
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[derive(Debug, DeriveDeserialize)]
    struct Holder {
        size: SizeWire,
    }

    fn size(text: &str) -> Result<SizeShape, String> {
        toml::from_str::<Holder>(&format!("size = {text}")).map(|h| h.size.0).map_err(|e| e.message().to_owned())
    }

    fn distribution(text: &str) -> SizeDistribution {
        SizeDistribution::new(&SizeWire(size(text).unwrap()), SizeDistribution::LIMIT).unwrap()
    }

    fn refused(text: &str) -> String {
        SizeDistribution::new(&SizeWire(size(text).unwrap()), SizeDistribution::LIMIT).unwrap_err().to_string()
    }

    fn rng() -> Rng {
        Rng::for_block(42, Stream::Payloads, 0)
    }

    const SHAPES: [&str; 12] = [
        "100",
        "{ uniform = { min = 0, max = 10 } }",
        "'uniform'",
        "'lognormal'",
        "{ lognormal = { median = '1 kb', sigma = 0.25 } }",
        "{ lognormal = { median = 3, sigma = 2.0, max = 5000 } }",
        "{ lognormal = { median = 100, sigma = 0 } }",
        "'generalised-pareto'",
        "{ generalised-pareto = { shape = 0, max = '1 mb' } }",
        "{ generalised-pareto = { location = 100, scale = 300, shape = 1.0, max = '64 kb' } }",
        "{ generalised-pareto = { location = 500, shape = 2.517, min = 600, max = 10000 } }",
        "{ generalised-pareto = { location = 500, shape = 0.2, max = 200 } }",
    ];

    #[test]
    fn sizes_are_plain_or_named_or_tables() {
        assert_eq!(size("'4 kb'"), Ok(SizeShape::Constant(Bytes(4096))));
        assert_eq!(size("12"), size("{ constant = '12b' }"));
        assert_eq!(size("'uniform'"), Ok(SizeShape::Uniform { min: Bytes(50), max: Bytes(150) }));
        assert_eq!(size("{ uniform = { max = 200 } }"), Ok(SizeShape::Uniform { min: Bytes(50), max: Bytes(200) }));
        assert!(size("-1").unwrap_err().contains("negative"));
        assert!(size("'12 parsec'").unwrap_err().contains("unknown unit"));
        assert!(size("'unifrom'").unwrap_err().contains("unknown variant `unifrom`"));
        assert!(size("{ uniform = { maximum = 3 } }").unwrap_err().contains("unknown field `maximum`"));
        assert!(size("1.5").unwrap_err().contains("a size such as"));
        assert!(size("{ constant = 3, uniform = {} }").unwrap_err().contains("`uniform` is a second"));
        assert!(size("'constant'").is_err() && size("true").is_err() && size("{}").is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in SHAPES {
            let wire = ValuesWire { size: SizeWire(size(text).unwrap()), compressibility: 0.25 };
            let text = toml::to_string(&wire).unwrap();
            assert_eq!(toml::from_str::<ValuesWire>(&text).unwrap(), wire, "{text}");
        }
        assert_eq!(toml::from_str::<ValuesWire>("").unwrap(), ValuesWire::default());
        assert!(toml::from_str::<ValuesWire>("length = 3").is_err());
    }

    #[test]
    fn impossible_sizes_are_refused_by_name() {
        assert_eq!(refused("'1 gb'"), ": found 1 gb; allowed: 0 b to 64 mb");
        assert_eq!(refused("{ uniform = { min = 9, max = 8 } }"), "uniform.max: found 8 b; allowed: 9 b to 64 mb");
        assert!(refused("{ lognormal = { median = 0 } }").starts_with("lognormal.median: found 0 b"));
        assert!(refused("{ lognormal = { max = 10 } }").starts_with("lognormal.max: found 10 b; allowed: 100 b"));
        for sigma in ["nan", "inf", "-1.0", "6"] {
            assert!(refused(&format!("{{ lognormal = {{ sigma = {sigma} }} }}")).starts_with("lognormal.sigma"));
        }
        for (key, values) in [("location", ["nan", "-1"]), ("scale", ["0", "inf"]), ("shape", ["-0.5", "nan"])] {
            for value in values {
                let path = format!("generalised-pareto.{key}");
                assert!(refused(&format!("{{ generalised-pareto = {{ {key} = {value} }} }}")).starts_with(&path));
            }
        }
        let values = |compressibility| Values::new(&ValuesWire { compressibility, ..ValuesWire::default() });
        assert_eq!(values(f64::NAN).unwrap_err().path, "compressibility");
        assert_eq!(values(1.1).unwrap_err().path, "compressibility");
        let large = ValuesWire { size: SizeWire::constant(1 << 40), ..ValuesWire::default() };
        assert_eq!(Values::new(&large).unwrap_err().path, "size");
    }

    #[test]
    fn first_sizes_are_pinned() {
        let draws = SHAPES.map(|text| {
            let (distribution, mut rng) = (distribution(text), rng());
            [(); 4].map(|()| distribution.sample(&mut rng))
        });
        assert_eq!(
            draws,
            [
                [100, 100, 100, 100],
                [8, 7, 3, 5],
                [128, 121, 78, 97],
                [214, 175, 57, 94],
                [1238, 1178, 888, 1008],
                [14, 9, 1, 3],
                [100, 100, 100, 100],
                [47, 38, 10, 18],
                [39, 32, 10, 17],
                [1141, 842, 220, 371],
                [929, 722, 600, 600],
                [200, 200, 200, 200],
            ]
        );
    }

    #[test]
    fn the_mean_of_many_is_the_mean() {
        for text in SHAPES {
            let distribution = distribution(text);
            // A quantile at the middle of each of many equal shares.
            let count = 200_000;
            let sum: f64 =
                (0..count).map(|i| f64::from(distribution.quantile((f64::from(i) + 0.5) / f64::from(count)))).sum();
            let (mean, found) = (distribution.mean(), sum / f64::from(count));
            assert!((found - mean).abs() < 0.001 * mean + 0.03, "{text}: {found} instead of {mean}");
            let mut rng = rng();
            let sizes: Vec<u32> = (0..count).map(|_| distribution.sample(&mut rng)).collect();
            let found = sizes.iter().map(|&size| f64::from(size)).sum::<f64>() / f64::from(count);
            assert!((found / mean - 1.0).abs() < 0.03, "{text}: {found} instead of {mean}");
            assert!(sizes.iter().all(|size| (distribution.min()..=distribution.max()).contains(size)));
        }
    }

    #[test]
    fn quantiles_are_those_of_the_formulas() {
        let lognormal = distribution("{ lognormal = { median = '10 kb', sigma = 0.5, max = '1 mb' } }");
        assert_eq!(lognormal.quantile(0.5), 10_240);
        assert_eq!(lognormal.quantile(0.841_344_746_068_542_9), (10_240.0 * 0.5_f64.exp()).round() as u32);
        let pareto = distribution("'generalised-pareto'");
        // location + scale / shape * ((1 - u)^-shape - 1), by hand.
        assert_eq!([0.0, 0.5, 0.9, 0.99, 1.0].map(|u| pareto.quantile(u)), [10, 20, 81, 228, 1024]);
        let uniform = distribution("{ uniform = { min = 3, max = 5 } }");
        assert_eq!([0.0, 0.33, 0.34, 0.66, 0.67, 1.0].map(|u| uniform.quantile(u)), [3, 3, 4, 4, 5, 5]);
    }

    #[test]
    fn the_normal_quantile_inverts_the_distribution() {
        for p in [1e-300, 1e-30, 1e-12, 1e-6, 0.001, 0.01, 0.075, 0.2, 0.499, 0.5, 0.7, 0.95, 0.999, 1.0 - 1e-9] {
            let error = (normal_cdf(normal_quantile(p)) / p - 1.0).abs();
            assert!(error < 1e-11, "{p}: {error:e}");
            if p > 1e-9 {
                assert!((normal_quantile(1.0 - p) + normal_quantile(p)).abs() < 1e-6, "{p}");
            }
        }
        // From Wichura's article.
        assert!((normal_quantile(0.25) + 0.674_489_750_196_081_7).abs() < 1e-15);
        assert!((normal_quantile(0.001) + 3.090_232_306_167_813_5).abs() < 1e-14);
        assert!((normal_quantile(1e-20) + 9.262_340_089_798_408).abs() < 1e-13);
    }

    fn maker(size: &str, compressibility: f64) -> PayloadMaker {
        let wire = ValuesWire { size: SizeWire(self::size(size).unwrap()), compressibility };
        PayloadMaker::new(&Values::new(&wire).unwrap(), 42)
    }

    #[test]
    fn zeros_take_the_share_that_compresses() {
        const LARGE: &str = "{ lognormal = { median = '1 kb', sigma = 0.5 } }";
        for (size, compressibility) in [("1000", 0.5), ("1000", 0.0), (LARGE, 0.9), ("'100 kb'", 0.25), ("64", 1.0)] {
            let (maker, mut rng) = (maker(size, compressibility), rng());
            let (mut zeros, mut random, mut total) = (0, 0, 0);
            for _ in 0..300 {
                let bytes = maker.make(&mut rng).0;
                total += bytes.len();
                zeros += bytes.iter().map(|&byte| usize::from(byte == 0)).sum::<usize>();
                // The zeros are in one run at the end.
                random += bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            }
            let expected = (total as f64 * (1.0 - compressibility)).max(300.0 * 8.0);
            assert!((random as f64 / expected - 1.0).abs() < 0.03, "{size} {compressibility}: {random} not {expected}");
            let expected = total as f64 - expected + expected / 256.0;
            assert!((zeros as f64 - expected).abs() < 0.03 * total as f64, "{size} {compressibility}: {zeros}");
        }
    }

    #[test]
    fn random_bytes_do_not_repeat() {
        let (maker, mut rng) = (maker("'16 kb'", 0.0), rng());
        let mut words = HashSet::new();
        let mut counts = [0_u32; 256];
        for _ in 0..100 {
            for word in maker.make(&mut rng).0.as_chunks::<8>().0 {
                assert!(words.insert(*word), "the same 8 bytes twice");
                for &byte in word {
                    counts[usize::from(byte)] += 1;
                }
            }
        }
        assert!(counts.iter().all(|count| count.abs_diff(6400) < 500), "{counts:?}");
    }

    #[test]
    fn values_are_pinned_and_made_by_seed() {
        let made = |block| {
            let (maker, mut rng) = (maker("32", 0.5), Rng::for_block(42, Stream::Payloads, block));
            maker.make(&mut rng).0
        };
        assert_eq!(made(0), made(0));
        assert_ne!(made(0)[..8], made(1)[..8]);
        let random = [191, 229, 198, 108, 20, 78, 200, 240, 184, 81, 17, 156, 149, 40, 99, 201];
        assert_eq!(made(0)[..16], random);
        assert_eq!(made(0)[16..], [0; 16]);
        assert_eq!(maker("5", 1.0).make(&mut rng()).0.len(), 5);
        assert!(maker("0", 0.5).make(&mut rng()).0.is_empty());
    }

    proptest! {
        #[test]
        fn quantiles_never_fall_and_never_leave_the_bounds(
            median in 1_u64..1 << 26, sigma in 0.0..5.0, shape in 0.0..10.0, scale in 0.001..1e7, a: f64, b in 0.0..1.0,
        ) {
            let max = Bytes(1 << 26);
            let lognormal = SizeShape::Lognormal { median: Bytes(median), sigma, max };
            let pareto = SizeShape::GeneralisedPareto { location: 0.0, scale, shape, min: Bytes(median), max };
            for wire in [lognormal, pareto] {
                let distribution = SizeDistribution::new(&SizeWire(wire), max).unwrap();
                for u in [a, b] {
                    prop_assert!((distribution.min()..=distribution.max()).contains(&distribution.quantile(u)));
                }
                prop_assert!(distribution.quantile(b / 2.0) <= distribution.quantile(b));
                let mean = distribution.mean();
                prop_assert!(mean >= f64::from(distribution.min()) - 0.01, "{}", mean);
                prop_assert!(mean <= f64::from(distribution.max()) + 0.01, "{}", mean);
            }
        }
    }
}
