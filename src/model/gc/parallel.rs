//! Parallel, one collection at a time, with equal `-Xms` and `-Xmx`.

use super::clock::{Cause, Clock, Window};
use super::{Job, Jvm};

/// `NewRatio` 2: the young generation's share of the heap.
const YOUNG: f64 = 1.0 / 3.0;
/// Eden's share of the young generation until survivor spaces have grown (measured).
const EDEN: f64 = 0.8;
/// Eden's share, and that of each survivor space, once they have.
const GROWN_EDEN: f64 = 1.0 / 3.0;
/// The share of the heap that live data may take: all of the old generation and of an eden that nothing else needs, less
/// what alignment costs (measured on the runs that failed).
pub(super) const MOST_LIVE: f64 = 0.928;
/// `GCTimeLimit`, as the share of time at which a run ends with `GC overhead limit exceeded` (measured: one run failed
/// above, none below).
pub(super) const MOST_PAUSED: f64 = 0.95;

/// A run under Parallel.
pub(super) struct Parallel<'a> {
    job: &'a Job,
    jvm: Jvm<'a>,
    clock: Clock,
    old_bytes: f64,
    young_bytes: f64,
}

impl<'a> Parallel<'a> {
    pub fn new(job: &'a Job, jvm: Jvm<'a>, clock: Clock) -> Self {
        let heap = jvm.heap.bytes as f64;
        Self { job, jvm, clock, old_bytes: (1.0 - YOUNG) * heap, young_bytes: YOUNG * heap }
    }

    /// The window of the run behind its warm-up.
    pub fn run(mut self) -> Window {
        let spilled = (self.job.live_bytes - self.old_bytes).max(0.0);
        if self.scavenges() {
            self.run_with_scavenges();
        } else {
            self.run_with_full_collections((EDEN * self.young_bytes - spilled).max(0.0));
        }
        self.clock.into_window()
    }

    /// Whether young collections are tried. While the state was loaded all that was allocated for it survived: as long
    /// as the average of it does not fit the rest of the old generation, each collection is a full one, and the average
    /// is never corrected.
    fn scavenges(&self) -> bool {
        let expected = EDEN * self.young_bytes * self.job.load_survival;
        expected <= self.old_bytes - self.job.live_bytes
    }

    fn run_with_full_collections(&mut self, eden: f64) {
        while self.clock.goes_on() {
            self.clock.run(eden / self.job.allocated_bytes);
            self.clock.pause(Cause::Full, self.jvm.full_pause_ms(self.job));
        }
    }

    fn run_with_scavenges(&mut self) {
        let operations = GROWN_EDEN * self.young_bytes / self.job.allocated_bytes;
        let turnover = &self.job.turnover;
        let survive = turnover.written(operations);
        let survive_again = turnover.alive(0.0, operations, 2.0 * operations);
        let (mut promoted, mut used) = (0.0, self.job.live_bytes);
        while self.clock.goes_on() {
            self.clock.run(operations);
            if promoted > self.old_bytes - used {
                self.clock.pause(Cause::Full, self.jvm.full_pause_ms(self.job));
                used = self.job.live_bytes;
                continue;
            }
            self.clock.pause(Cause::Young, self.jvm.young_pause_ms(self.job, survive + survive_again));
            // What does not fit the survivor space is promoted at once.
            let fitting = (GROWN_EDEN * self.young_bytes).min(survive * turnover.payload_bytes);
            promoted = survive * turnover.payload_bytes - fitting + survive_again * turnover.payload_bytes;
            used += promoted;
        }
    }
}
