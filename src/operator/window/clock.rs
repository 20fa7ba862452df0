//! The clock that assigns events to windows and closes them.

use crate::source::Event;
use crate::state::TimeDomain;
use crate::workload::Now;

/// A clock of windows.
pub trait Clock: Send + 'static {
    /// The timers that it fires.
    const DOMAIN: TimeDomain;

    /// When an event happened, ms.
    fn time_of<K>(event: &Event<K>) -> i64;

    /// The time that is over, ms: no event at or before it is to come, so windows that end with it are complete.
    fn passed(now: Now) -> i64;
}

/// The times of the events, and their watermark.
pub struct EventTime;
impl Clock for EventTime {
    const DOMAIN: TimeDomain = TimeDomain::EventTime;
    #[inline(always)]
    fn time_of<K>(event: &Event<K>) -> i64 {
        event.time_ms
    }
    #[inline(always)]
    fn passed(now: Now) -> i64 {
        now.watermark_ms
    }
}

/// The times at which events arrive.
pub struct ProcessingTime;
impl Clock for ProcessingTime {
    const DOMAIN: TimeDomain = TimeDomain::ProcessingTime;
    #[inline(always)]
    fn time_of<K>(event: &Event<K>) -> i64 {
        event.processing_ms
    }
    /// More events may come in the present millisecond. Flink fires its timers a millisecond late for that reason
    /// (`ProcessingTimeServiceUtil.getProcessingTimeDelay`).
    #[inline(always)]
    fn passed(now: Now) -> i64 {
        now.processing_ms.saturating_sub(1)
    }
}
