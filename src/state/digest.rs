//! An order-independent digest: the proof that two runs computed the same.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The sum of the hashes of a multiset of elements. Adding is commutative, so subtasks can be merged and a hash map can
/// be walked in any order; the element count is kept too, so that a sum cannot hide a missing element with hash 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    /// Wrapping sum of the elements' hashes.
    pub sum: u64,
    /// Number of elements.
    pub count: u64,
}

impl Digest {
    /// Adds one element by its hash.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        self.sum = self.sum.wrapping_add(hash);
        self.count += 1;
    }

    /// Adds all elements of another digest.
    pub fn merge(&mut self, other: Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.count += other.count;
    }

    /// Of all operators of a pipeline: each counts by its place, so that two of them cannot trade.
    pub fn of_operators(operators: impl Iterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for (digest, place) in operators.zip(0_u64..) {
            all.merge(Self { sum: digest.sum.wrapping_mul(2 * place + 1), count: digest.count });
        }
        all
    }
}

impl std::fmt::Display for Digest {
    /// `sum/count`, the sum as 16 hexadecimal digits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}/{}", self.sum, self.count)
    }
}

impl std::str::FromStr for Digest {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(sum, count)| {
            let sum = u64::from_str_radix(sum, 16).ok()?;
            Some(Self { sum, count: count.parse().ok()? })
        });
        parts.ok_or_else(|| format!("`{text}` is not a digest"))
    }
}

/// As its text: 64 bits are more than a JSON number keeps in most readers.
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Digest {
    fn schema_name() -> Cow<'static, str> {
        "Digest".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^[0-9a-f]{16}/[0-9]+$",
            "description": "order-independent digest: sum of hashes, a slash, number of elements"
        })
    }
}

/// Mixes two words into one by a folded 128-bit multiplication: a few cycles, and every input bit reaches every
/// output bit. The constants are the fractional digits of pi; the result is the same on every platform.
#[inline]
pub fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x243f_6a88_85a3_08d3) * u128::from(b ^ 0x1319_8a2e_0370_7344);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_every_element_does() {
        let digest = |elements: &[u64]| {
            let mut digest = Digest::default();
            elements.iter().for_each(|&e| digest.add(mix(e, 1)));
            digest
        };
        assert_eq!(digest(&[1, 2, 3]), digest(&[3, 1, 2]));
        assert_ne!(digest(&[1, 2, 3]), digest(&[1, 2]));
        assert_ne!(digest(&[1, 2, 3]), digest(&[1, 2, 4]));
        let mut merged = digest(&[1]);
        merged.merge(digest(&[2, 3]));
        assert_eq!(merged, digest(&[1, 2, 3]));
        assert_eq!(merged.to_string().parse(), Ok(merged));
    }

    #[test]
    fn the_mix_is_pinned() {
        assert_eq!(
            [mix(0, 0), mix(1, 2), mix(u64::MAX, 7)].map(|h| format!("{h:016x}")),
            ["bc13060e2d1aac79", "f6b8cd2d25e53219", "421bbc35b67d9149"]
        );
    }
}
