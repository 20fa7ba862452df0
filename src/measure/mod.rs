//! The instrument: clock, recorder, and how much of what is measured is the instrument itself.

mod access;
mod allocator;
mod conditions;
mod handicap;
mod open_loop;
mod probe;
mod process;

pub use access::AccessKind;
pub use allocator::{WatchedJemalloc, allocator_stalls};
pub use conditions::{Condition, ConditionSet, Conditions};
pub use open_loop::{Latest, Pace, PaceClock, Paced, RealClock, Response};
pub use probe::{Calibration, Probe, Recorder, Strategy, Stretch, empty_interval_ns, latency_histogram, record_ns};
pub use process::{ProcessTimes, allocated_bytes, cpu_cache_bytes, resident_bytes, thread_allocated_bytes};
