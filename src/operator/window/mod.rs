//! Windows: Flink's `WindowOperator`, with the accesses to state and timers that it makes, one by one.
//!
//! Late events, allowed lateness, triggers and the merging of sessions follow its source. What a window keeps
//! ([`Contents`]) and the clock that closes it ([`Clock`]) are types, so that a job pays for its own only.

mod clock;
mod contents;
mod merging;
mod pane;
mod session;
mod sliding;
#[cfg(test)]
mod tests;

pub use clock::{Clock, EventTime, ProcessingTime};
pub use contents::{Aggregated, Contents, Joined, Listed, Reduced};
pub use session::SessionWindowOperator;
pub use sliding::WindowOperator;
