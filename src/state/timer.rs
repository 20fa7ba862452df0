//! Timers: what an operator asks to be called back for, per key and namespace.

use super::codec::{Codec, CodecError};
use super::key::{Key, Namespace};
use super::serializer::Serializer;

use std::marker::PhantomData;

/// Handle of the timers of an operator, with namespace `N`: Flink's `InternalTimerService`.
pub struct TimerService<N> {
    /// Position among the timer services of the backend, in order of registration.
    pub(crate) index: usize,
    marker: PhantomData<fn() -> N>,
}

impl<N> TimerService<N> {
    pub(crate) const fn new(index: usize) -> Self {
        Self { index, marker: PhantomData }
    }
}

impl<N> Clone for TimerService<N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<N> Copy for TimerService<N> {}

/// Which clock a timer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeDomain {
    /// The watermark.
    EventTime,
    /// Processing time.
    ProcessingTime,
}

/// A timer that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer<K, N> {
    /// The time that it was registered for, ms.
    pub time_ms: i64,
    /// Its key.
    pub key: K,
    /// Its namespace.
    pub namespace: N,
}

/// A time as it is written: big endian with its sign flipped, so that bytes sort as times do.
pub(crate) fn encode_time(time_ms: i64, out: &mut Vec<u8>) {
    (time_ms ^ i64::MIN).encode(out);
}

/// Flink's `TimerSerializer`: time, key, namespace.
impl<K: Key, N: Namespace> Codec for Timer<K, N> {
    const FIXED_LEN: Option<usize> = <(i64, K, N)>::FIXED_LEN;
    fn serializer() -> Serializer {
        Serializer::timer(K::serializer(), N::serializer())
    }
    fn encode(&self, out: &mut Vec<u8>) {
        encode_time(self.time_ms, out);
        self.key.encode(out);
        self.namespace.encode(out);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let (time, key, namespace) = <(i64, K, N)>::decode(input)?;
        Ok(Self { time_ms: time ^ i64::MIN, key, namespace })
    }
}
