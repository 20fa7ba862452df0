//! A slowdown on purpose, to try out what a gate sees.

use std::hint::spin_loop;
use std::time::Instant;

use super::probe::nanos;

/// The shortest busy wait, ns: a few steps of the clock.
const LEAST_WAIT_NS: f64 = 50.0;

/// Makes events take longer by busy work. What is too short for the clock is put together, and what a wait took too long is taken
/// off the next one, so that the mean is exact.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "units come last")]
pub(super) struct Handicap {
    event_ns: f64,
    /// What reading the clock takes beside what it reads, ns.
    clock_ns: f64,
    owed_ns: f64,
}

impl Handicap {
    pub fn new(event_ns: f64, clock_ns: u64) -> Self {
        Self { event_ns, clock_ns: clock_ns as f64, owed_ns: 0.0 }
    }

    /// Does the busy work of so many events.
    pub fn hold_back(&mut self, events: usize) {
        self.owed_ns += self.event_ns * events as f64;
        if self.owed_ns < LEAST_WAIT_NS {
            return;
        }
        let begin = Instant::now();
        let waited_ns = loop {
            let waited_ns = nanos(begin.elapsed()) as f64 + self.clock_ns;
            if waited_ns >= self.owed_ns {
                break waited_ns;
            }
            spin_loop();
        };
        self.owed_ns -= waited_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_held_back_by_the_same_in_the_mean() {
        let begin = Instant::now();
        let mut handicap = Handicap::new(30.0, 0);
        for events in [1, 2, 500, 1, 100_000] {
            handicap.hold_back(events);
            // No more is owed than the clock can tell, and nothing was waited for that was not owed before, but for one reading.
            assert!(handicap.owed_ns < LEAST_WAIT_NS, "{handicap:?}");
        }
        assert!(begin.elapsed().as_nanos() >= 30 * 100_504 - 2 * LEAST_WAIT_NS as u128);
    }
}
