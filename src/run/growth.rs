//! Samples of how much state a subtask holds, taken between rounds and outside of what is timed.

use std::time::{Duration, Instant};

use super::drive::Subtask;
use crate::result::{Growth, GrowthSample};
use crate::state::StateResult;
use crate::workload::{Extent, Now, Source, Workload};

/// When the next sample is due.
enum Due {
    Never,
    /// Every so many events.
    Events {
        every: u64,
        next: u64,
    },
    /// Every so long on the machine's clock.
    Time {
        every: Duration,
        next: Duration,
    },
}

/// Takes the samples of one subtask.
pub struct GrowthWatch {
    due: Due,
    /// Samples above which every other one is dropped and the distance doubled: where the end is not known.
    most: usize,
    started: Instant,
    /// The sequence at which the measured part began.
    first: u64,
    samples: Vec<GrowthSample>,
}

/// Distance of the first samples where the end of the run is not known, events.
const FIRST_DISTANCE: u64 = 4096;

impl GrowthWatch {
    /// One that takes no samples.
    pub fn never() -> Self {
        Self { due: Due::Never, most: 0, started: Instant::now(), first: 0, samples: Vec::new() }
    }

    /// Begins at the first event of the measured part.
    pub fn begin(workload: &Workload, first: u64) -> Self {
        let samples = u64::from(workload.run.growth_samples);
        let due = match workload.run.measured {
            _ if samples == 0 => Due::Never,
            Extent::Events(events) => {
                let every = (events / samples).max(1);
                Due::Events { every, next: every }
            }
            Extent::Time(time) => {
                let every = time / u32::from(workload.run.growth_samples);
                Due::Time { every, next: every }
            }
            Extent::SourceEnd => Due::Events { every: FIRST_DISTANCE, next: FIRST_DISTANCE },
        };
        let most = if workload.run.measured == Extent::SourceEnd { 2 * samples as usize } else { usize::MAX };
        Self { due, most, started: Instant::now(), first, samples: Vec::new() }
    }

    /// Takes a sample if one is due at the end of a round.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn look<K>(&mut self, sequence: u64, now: Now, subtask: &mut dyn Subtask<K>) -> StateResult<()> {
        let events = sequence - self.first;
        let is_due = match &mut self.due {
            Due::Never => false,
            Due::Events { every, next } => {
                let is_due = events >= *next;
                if is_due {
                    *next = events - events % *every + *every;
                }
                is_due
            }
            Due::Time { every, next } => {
                let elapsed = self.started.elapsed();
                let is_due = elapsed >= *next;
                while elapsed >= *next {
                    *next += *every;
                }
                is_due
            }
        };
        if !is_due {
            return Ok(());
        }
        let census = subtask.census()?;
        let cleaned = subtask.cleaned();
        self.samples.push(GrowthSample {
            events,
            time_ms: now.processing_ms,
            live_entries: census.live_entries,
            expired_entries: census.expired_entries,
            live_bytes: census.live_bytes,
            expired_bytes: census.expired_bytes,
            removed_on_access: cleaned.on_access,
            removed_incrementally: cleaned.incremental,
            removed_by_compaction: cleaned.compaction_filter,
        });
        if self.samples.len() > self.most {
            self.thin_out();
        }
        Ok(())
    }

    fn thin_out(&mut self) {
        let mut position = 0;
        self.samples.retain(|_| {
            position += 1;
            position % 2 == 0
        });
        if let Due::Events { every, next } = &mut self.due {
            *every *= 2;
            *next = next.next_multiple_of(*every);
        }
    }
}

/// The samples of all subtasks added up, with what they say; none where none were taken.
pub fn growth<'a>(workload: &Workload, watches: impl Iterator<Item = &'a GrowthWatch>) -> Option<Growth> {
    let mut all: Vec<GrowthSample> = Vec::new();
    for (index, watch) in watches.enumerate() {
        if index == 0 {
            all.clone_from(&watch.samples);
        } else {
            // A subtask that was slower than others at the end of a timed run may lack the last sample.
            all.truncate(watch.samples.len());
            all.iter_mut().zip(&watch.samples).for_each(|(sum, sample)| sum.add(sample));
        }
    }
    let first_ms = all.first()?.time_ms;
    let origin_ms = if matches!(workload.source, Source::Trace(_)) { first_ms } else { 0 };
    let horizons: Vec<i64> = workload.all_ttls().map(|ttl| origin_ms.saturating_add(ttl.ttl_ms)).collect();
    Some(Growth::of(all, &horizons))
}
