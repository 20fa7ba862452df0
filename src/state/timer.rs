//! Timers: what an operator asks to be called back for, per key and namespace.

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
