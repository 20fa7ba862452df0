//! The namespace of windows: an interval of time.

use super::codec::{Codec, CodecError};
use super::jvm::JvmSize;
use super::key::Namespace;
use super::serializer::{Serializer, SimpleSerializer};

/// An interval of time, from `start_ms` up to but without `end_ms`: Flink's `TimeWindow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeWindow {
    /// Its first millisecond.
    pub start_ms: i64,
    /// The millisecond after its last one.
    pub end_ms: i64,
}

impl TimeWindow {
    /// The window of this length, ms, that begins here.
    #[inline]
    pub fn of(start_ms: i64, length_ms: i64) -> Self {
        Self { start_ms, end_ms: start_ms.saturating_add(length_ms) }
    }

    /// Where the last window begins that holds this time, of windows that begin every `slide_ms`, one of them at 0:
    /// `getWindowStartWithOffset`.
    #[inline]
    pub fn last_start(time_ms: i64, slide_ms: i64) -> i64 {
        time_ms.saturating_sub(time_ms.rem_euclid(slide_ms))
    }

    /// Its last millisecond.
    #[inline]
    pub fn max_timestamp(&self) -> i64 {
        self.end_ms.saturating_sub(1)
    }

    /// The smallest window that covers both.
    #[inline]
    #[must_use]
    pub fn cover(&self, other: &Self) -> Self {
        Self { start_ms: self.start_ms.min(other.start_ms), end_ms: self.end_ms.max(other.end_ms) }
    }
}

/// Start and end, big endian.
impl Codec for TimeWindow {
    const FIXED_LEN: Option<usize> = Some(16);
    fn serializer() -> Serializer {
        SimpleSerializer::TimeWindow.into()
    }
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        self.start_ms.encode(out);
        self.end_ms.encode(out);
    }
    #[inline]
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(Self { start_ms: i64::decode(input)?, end_ms: i64::decode(input)? })
    }
}

impl JvmSize for TimeWindow {
    /// Header and two `long`s.
    #[inline(always)]
    fn jvm_bytes(&self) -> u64 {
        32
    }
}

impl Namespace for TimeWindow {
    /// `MathUtils.longToIntWithBitMixing(start + end)`.
    #[inline]
    fn hash_code(&self) -> i32 {
        let sum = self.start_ms.wrapping_add(self.end_ms) as u64;
        let sum = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let sum = (sum ^ (sum >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (sum ^ (sum >> 31)) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::CompositeKey;

    #[test]
    fn windows_begin_at_whole_slides_before_1970_too() {
        let starts = [0, 9, 10, -1, -10, -11].map(|time_ms| TimeWindow::last_start(time_ms, 10));
        assert_eq!(starts, [0, 0, 10, -10, -10, -20]);
        assert_eq!(TimeWindow::of(-10, 10).max_timestamp(), -1);
        // Times that no stream has are no reason to panic.
        assert_eq!(TimeWindow::last_start(i64::MIN, 10), i64::MIN);
        assert_eq!(TimeWindow::of(i64::MAX - 5, 10).end_ms, i64::MAX);
    }

    #[test]
    fn windows_are_hashed_and_stored_as_in_flink() {
        let codes = [(0, 0), (0, 1), (0, 10_000), (-5_000, 5_000)]
            .map(|(start, length)| TimeWindow::of(start, length).hash_code());
        assert_eq!(codes, [0, 269_157_861, -1_162_682_240, -1_539_477_367]);
        let mut key = CompositeKey::new(128);
        key.set_key(&42_i64, 29);
        let stored = key.with_namespace::<i64, _>(&TimeWindow::of(256, 10)).to_vec();
        assert_eq!(stored[..9], [0x1d, 0, 0, 0, 0, 0, 0, 0, 42]);
        assert_eq!(stored[9..], [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 10]);
        assert_eq!(TimeWindow::decode(&mut &stored[9..]), Ok(TimeWindow::of(256, 10)));
    }
}
