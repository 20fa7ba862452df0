//! The join of two inputs whose events are near each other in time.

use super::row::{Row, RowKind, Shown, take_row};
use super::{Collector, Operator};
use crate::source::Event;
use crate::state::{
    Codec, CodecError, JvmSize, Key, KeyedStateBackend, MapState, Namespace, Serializer, StateResult, TimeDomain,
    TimerService, VoidNamespace,
};
use crate::workload::{IntervalBounds, Now};

/// Pairs each event of the left input with those of the right whose time lies between the bounds, as Flink's
/// `IntervalJoinOperator`: each side is a map from times to elements, which every event of the other side walks through,
/// and every element registers the timer that removes it. An event behind the watermark is dropped.
pub struct IntervalJoin {
    left: Buffer,
    right: Buffer,
    cleanup: TimerService<Cleanup>,
    bounds: IntervalBounds,
}

/// The elements of each time. Flink keeps beside an element whether it has been joined, which nothing reads.
type Buffer = MapState<VoidNamespace, i64, Vec<(bool, Row)>>;

impl<K: Key> Operator<K> for IntervalJoin {
    type Spec = IntervalBounds;

    fn open<B: KeyedStateBackend<K>>(bounds: &IntervalBounds, backend: &mut B) -> StateResult<Self> {
        Ok(Self {
            left: backend.map_state("left-buffer")?,
            right: backend.map_state("right-buffer")?,
            cleanup: backend.timer_service("cleanup-timers")?,
            bounds: *bounds,
        })
    }

    /// The events just before the run, which begins at time 0; older ones would be gone by then.
    fn prefill<B: KeyedStateBackend<K>>(&mut self, backend: &mut B, event: &mut Event<K>) -> StateResult<()> {
        if self.cleanup_time(event.stream == 0, event.time_ms) < 0 {
            return Ok(());
        }
        self.process(backend, event, &mut Collector::default())
    }

    #[inline(always)]
    fn process<B: KeyedStateBackend<K>>(
        &mut self,
        backend: &mut B,
        event: &mut Event<K>,
        out: &mut Collector,
    ) -> StateResult<()> {
        let (is_left, time_ms) = (event.stream == 0, event.time_ms);
        if time_ms < out.now().watermark_ms {
            out.count_late();
            return Ok(());
        }
        let IntervalBounds { lower_ms, upper_ms } = self.bounds;
        let (own, other, cleanup, others) = if is_left {
            (self.left, self.right, Cleanup::Left, time_ms + lower_ms..=time_ms + upper_ms)
        } else {
            (self.right, self.left, Cleanup::Right, time_ms - upper_ms..=time_ms - lower_ms)
        };
        let row = take_row(event);
        let shown = Shown::of(&row);
        let mut bucket =
            backend.map_get(own, &VoidNamespace, &time_ms)?.map_or_else(Vec::new, std::borrow::Cow::into_owned);
        bucket.push((false, row));
        backend.map_put(own, &VoidNamespace, time_ms, bucket)?;
        backend.map_scan(other, &VoidNamespace, |other_ms, bucket: &Vec<(bool, Row)>| {
            if others.contains(other_ms) {
                for (_, other) in bucket {
                    out.emit_pair(event, RowKind::Insert, Shown::in_order(is_left, shown, Shown::of(other)));
                }
            }
        })?;
        backend.register_timer(self.cleanup, TimeDomain::EventTime, &cleanup, self.cleanup_time(is_left, time_ms))
    }

    fn on_time<B: KeyedStateBackend<K>>(&mut self, backend: &mut B, now: Now, _: &mut Collector) -> StateResult<u64> {
        let mut fired = 0;
        while let Some(timer) = backend.take_timer(self.cleanup, TimeDomain::EventTime, now.watermark_ms)? {
            let (buffer, after_ms) = match timer.namespace {
                Cleanup::Left => (self.left, self.kept_ms(true)),
                Cleanup::Right => (self.right, self.kept_ms(false)),
            };
            backend.map_remove(buffer, &VoidNamespace, &(timer.time_ms - after_ms))?;
            fired += 1;
        }
        Ok(fired)
    }
}

impl IntervalJoin {
    /// How long an element is kept after its time, ms: as long as a later one of the other side may find it.
    #[inline(always)]
    fn kept_ms(&self, is_left: bool) -> i64 {
        (if is_left { self.bounds.upper_ms } else { -self.bounds.lower_ms }).max(0)
    }

    #[inline(always)]
    fn cleanup_time(&self, is_left: bool, time_ms: i64) -> i64 {
        time_ms + self.kept_ms(is_left)
    }
}

/// Whose elements a timer removes: in Flink a string, which is what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Cleanup {
    Left,
    Right,
}

impl Cleanup {
    const fn text(self) -> &'static str {
        match self {
            Self::Left => "CLEANUP_LEFT",
            Self::Right => "CLEANUP_RIGHT",
        }
    }
}

/// As `StringSerializer` writes it: the length plus one, then the characters.
impl Codec for Cleanup {
    const FIXED_LEN: Option<usize> = None;
    fn serializer() -> Serializer {
        String::serializer()
    }
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.text().len() as u8 + 1);
        out.extend_from_slice(self.text().as_bytes());
    }
    #[inline]
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        for side in [Self::Left, Self::Right] {
            let text = side.text().as_bytes();
            if let Some((length, rest)) = input.split_first()
                && usize::from(*length) == text.len() + 1
                && let Some(rest) = rest.strip_prefix(text)
            {
                *input = rest;
                return Ok(side);
            }
        }
        Err(CodecError::new("clean-up namespace", "neither side has this name"))
    }
}

impl JvmSize for Cleanup {
    /// Constants of the class, one object for all.
    fn jvm_bytes(&self) -> u64 {
        0
    }
}

impl Namespace for Cleanup {
    /// `String.hashCode()`.
    fn hash_code(&self) -> i32 {
        match self {
            Self::Left => 2_038_325_474,
            Self::Right => -1_230_758_783,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StringKey;

    #[test]
    fn the_namespace_is_flinks_string() {
        for side in [Cleanup::Left, Cleanup::Right] {
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            side.encode(&mut bytes);
            side.text().to_owned().encode(&mut expected);
            assert_eq!(bytes, expected);
            assert_eq!(Cleanup::decode(&mut bytes.as_slice()), Ok(side));
            assert_eq!(side.hash_code(), StringKey::new(side.text()).hash_code());
            assert!((0..bytes.len()).all(|end| Cleanup::decode(&mut &bytes[..end]).is_err()));
        }
    }
}
