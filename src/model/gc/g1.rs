//! G1, one collection at a time.
//!
//! The rules are those of HotSpot 17 (`g1Policy.cpp`, `g1IHOPControl.cpp`, `g1YoungGenSizer.cpp`) with the defaults that
//! `-XX:+PrintFlagsFinal` prints; each constant names its flag.

use super::clock::{Cause, Clock, Window};
use super::{Job, Jvm, largest};

/// `G1ReservePercent`: heap that is kept for surviving objects.
const RESERVE: f64 = 0.10;
/// `G1NewSizePercent`, the least share of the heap that is young.
const LEAST_YOUNG: f64 = 0.05;
/// `G1MaxNewSizePercent`, the largest.
const MOST_YOUNG: f64 = 0.60;
/// Room that is wanted for what is expected to survive: 100 / `G1ConfidencePercent` (50), and 10 % waste of buffers.
const SURVIVOR_SAFETY: f64 = 2.2;
/// `MaxGCPauseMillis`.
const PAUSE_GOAL_MS: f64 = 200.0;
/// `SurvivorRatio`: the young generation over the survivors' share of it.
const SURVIVOR_RATIO: f64 = 8.0;
/// `TargetSurvivorRatio`: the share of the survivors' room that is to be filled.
const TARGET_SURVIVORS: f64 = 0.5;
/// `MaxTenuringThreshold`: collections that an object survives before it is old.
const MOST_AGE: u32 = 15;
/// `InitiatingHeapOccupancyPercent`, until marks have shown what they take.
const FIRST_THRESHOLD: f64 = 0.45;
/// Marks after which the threshold adapts (`G1AdaptiveIHOPNumInitialSamples`).
const MARKS_TO_ADAPT: u32 = 3;
/// What the adaptive threshold leaves: all but the reserve and `G1HeapWastePercent`.
const ADAPTIVE_TARGET: f64 = 1.0 - RESERVE - HEAP_WASTE;
/// `G1HeapWastePercent`: garbage, as a share of the heap, that is not worth a mixed collection.
const HEAP_WASTE: f64 = 0.05;
/// `G1MixedGCLiveThresholdPercent`: regions with a larger live share are not collected.
const MOST_LIVE: f64 = 0.85;
/// `G1MixedGCCountTarget`: mixed collections that candidates are spread over.
const MIXED_COLLECTIONS: f64 = 8.0;
/// `G1OldCSetRegionThresholdPercent`: the most of the heap that a mixed collection takes of old regions.
const MOST_OLD_COLLECTED: f64 = 0.10;
/// Remark and clean-up at the end of a mark, ms (measured: 2, and under 1).
const MARK_PAUSES_MS: [f64; 2] = [2.0, 1.0];
/// How fast the average promotion rate follows.
const RATE_WEIGHT: f64 = 0.3;

/// Objects of one span of operations.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: f64,
    last: f64,
}

/// What old objects are.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// All that was alive when the heap was last compacted, after so many operations.
    Compacted(f64),
    /// What a span of operations wrote.
    Written(Span),
}

/// A part of the old generation, of the same age throughout.
#[derive(Debug, Clone, Copy)]
struct Cohort {
    origin: Origin,
    /// The part of its origin that it is.
    share: f64,
    /// Bytes that it occupies, garbage included.
    occupied: f64,
    /// The live share of them when the last mark began; none where it is younger.
    marked: Option<f64>,
}

/// Objects in survivor regions.
#[derive(Debug, Clone, Copy)]
struct Survivors {
    span: Span,
    share: f64,
    age: u32,
}

/// Where the concurrent cycle is.
#[derive(Debug, Clone, Copy)]
enum Cycle {
    Idle,
    /// The next pause starts a mark.
    Due,
    Marking {
        left_s: f64,
    },
    /// The mark has ended; one more pause, then mixed ones.
    Marked,
    /// Pauses take old regions along, each so many bytes at least.
    Mixed {
        least: f64,
    },
}

/// A run under G1.
pub(super) struct G1<'a> {
    job: &'a Job,
    jvm: Jvm<'a>,
    clock: Clock,
    heap: f64,
    region: f64,
    old: Vec<Cohort>,
    survivors: Vec<Survivors>,
    tenuring_threshold: u32,
    cycle: Cycle,
    completed_marks: u32,
    promotion_bytes_per_s: f64,
}

impl<'a> G1<'a> {
    pub fn new(job: &'a Job, jvm: Jvm<'a>, clock: Clock) -> Self {
        let heap = jvm.heap.bytes as f64;
        let region = jvm.heap.region_bytes() as f64;
        let mut new = Self {
            job,
            jvm,
            clock,
            heap,
            region,
            old: Vec::new(),
            survivors: Vec::new(),
            tenuring_threshold: MOST_AGE,
            cycle: Cycle::Idle,
            completed_marks: 0,
            promotion_bytes_per_s: 0.0,
        };
        new.compact();
        new
    }

    /// The window of the run behind its warm-up.
    pub fn run(mut self) -> Window {
        while self.clock.goes_on() {
            self.step();
        }
        self.clock.into_window()
    }

    fn step(&mut self) {
        let eden = self.eden_bytes();
        let operations = eden / self.job.allocated_bytes;
        if eden < 0.5 * self.region {
            return self.collect_fully();
        }
        let between_s = self.clock.run(operations);
        if let Cycle::Marking { left_s } = &mut self.cycle {
            *left_s -= between_s;
            if *left_s <= 0.0 {
                self.end_mark();
            }
        }
        self.collect_young(operations, between_s);
        self.advance();
    }

    fn old_bytes(&self) -> f64 {
        self.old.iter().map(|cohort| cohort.occupied).sum()
    }

    fn survivor_slots(&self) -> f64 {
        self.survivors.iter().map(|survivors| self.alive(*survivors)).sum()
    }

    fn alive(&self, survivors: Survivors) -> f64 {
        let Span { first, last } = survivors.span;
        survivors.share * self.job.turnover.alive(first, last, self.clock.operations)
    }

    fn bytes(&self, slots: f64) -> f64 {
        slots * self.job.turnover.payload_bytes
    }

    /// Live bytes of an old part now.
    fn live_bytes(&self, cohort: &Cohort) -> f64 {
        let now = self.clock.operations;
        let live = match cohort.origin {
            Origin::Compacted(since) => self.job.live_bytes - self.bytes(self.job.turnover.written(now - since)),
            Origin::Written(Span { first, last }) => self.bytes(self.job.turnover.alive(first, last, now)),
        };
        (live * cohort.share).clamp(0.0, cohort.occupied)
    }

    /// Bytes that may be allocated until the next collection.
    fn eden_bytes(&self) -> f64 {
        let survivor_slots = self.survivor_slots();
        let survivors = self.bytes(survivor_slots);
        let free = self.heap - self.old_bytes() - survivors;
        let survives = |eden: f64| self.bytes(self.job.turnover.written(eden / self.job.allocated_bytes));
        let least = (LEAST_YOUNG * self.heap - survivors).max(self.region);
        let most = (MOST_YOUNG * self.heap - survivors).max(least);
        let fits = |eden: f64| {
            let slots = self.job.turnover.written(eden / self.job.allocated_bytes) + survivor_slots;
            eden + SURVIVOR_SAFETY * survives(eden) <= free - RESERVE * self.heap
                && self.jvm.constants.pessimism * self.jvm.young_pause_ms(self.job, slots) <= PAUSE_GOAL_MS
        };
        let wanted = if matches!(self.cycle, Cycle::Mixed { .. }) { least } else { largest(least, most, fits) };
        // `G1UsePreventiveGC`: what survives has to find room beside what is there.
        wanted.min(largest(0.0, wanted, |eden| eden + survives(eden) <= free - survivors))
    }

    /// A young pause, and a mixed one where old regions are due.
    fn collect_young(&mut self, operations: f64, between_s: f64) {
        let now = self.clock.operations;
        let eden = Survivors { span: Span { first: now - operations, last: now }, share: 1.0, age: 0 };
        let copied = self.alive(eden) + self.survivor_slots();
        let mut ms = self.jvm.young_pause_ms(self.job, copied);
        let mut cause = Cause::Young;
        if let Cycle::Mixed { least } = self.cycle {
            let room = self.heap - self.old_bytes() - operations * self.job.allocated_bytes - 2.0 * self.bytes(copied);
            let evacuated = self.evacuate(least, ms, room);
            ms += self.jvm.evacuation_ms(self.job, evacuated);
            cause = Cause::Mixed;
        }
        let young = operations * self.job.allocated_bytes + self.bytes(self.survivor_slots());
        let promoted = self.age(eden, young);
        if between_s > 0.0 {
            self.promotion_bytes_per_s += RATE_WEIGHT * (promoted / between_s - self.promotion_bytes_per_s);
        }
        self.clock.pause(cause, ms);
    }

    /// Moves what survived a collection of a young generation of so many bytes to survivor regions and the old
    /// generation; the bytes that became old.
    fn age(&mut self, eden: Survivors, young: f64) -> f64 {
        let capacity = (young / self.region / SURVIVOR_RATIO).ceil().max(1.0) * self.region;
        let (mut room, mut promoted) = (capacity, 0.0);
        let mut kept = Vec::new();
        // The oldest first: what overflows is of the eden.
        for one in std::mem::take(&mut self.survivors).into_iter().chain([eden]) {
            let bytes = self.bytes(self.alive(one));
            let fitting = if one.age >= self.tenuring_threshold { 0.0 } else { (room / bytes).min(1.0) };
            let fitting = if bytes > 0.0 { fitting } else { 0.0 };
            room -= fitting * bytes;
            if fitting > 0.0 {
                kept.push(Survivors { share: one.share * fitting, age: one.age + 1, ..one });
            }
            if fitting < 1.0 && bytes > 0.0 {
                promoted += (1.0 - fitting) * bytes;
                self.promote(Survivors { share: one.share * (1.0 - fitting), ..one });
            }
        }
        self.survivors = kept;
        self.tenuring_threshold = self.next_threshold(capacity);
        promoted
    }

    fn promote(&mut self, survivors: Survivors) {
        let origin = Origin::Written(survivors.span);
        let occupied = self.bytes(self.alive(survivors));
        self.old.push(Cohort { origin, share: survivors.share, occupied, marked: None });
    }

    /// The first age at which survivors fill their share of the room.
    fn next_threshold(&self, capacity: f64) -> u32 {
        let mut filled = 0.0;
        for survivors in self.survivors.iter().rev() {
            filled += self.bytes(self.alive(*survivors));
            if filled > TARGET_SURVIVORS * capacity {
                return survivors.age;
            }
        }
        MOST_AGE
    }

    /// Moves the live part of old regions, the emptiest first: at least `least` bytes of regions, more where G1 expects
    /// that the pause stays within its goal. The bytes that were moved.
    fn evacuate(&mut self, least: f64, young_ms: f64, room: f64) -> f64 {
        let mut candidates = self.candidates();
        candidates.sort_by(|a, b| self.old[*a].marked.unwrap_or(1.0).total_cmp(&self.old[*b].marked.unwrap_or(1.0)));
        let (mut taken, mut moved) = (0.0, 0.0);
        for index in candidates {
            let cohort = self.old[index];
            let live_share = self.live_bytes(&cohort) / cohort.occupied;
            let spare_ms =
                PAUSE_GOAL_MS / self.jvm.constants.pessimism - young_ms - self.jvm.evacuation_ms(self.job, moved);
            let ms_per_byte = self.jvm.evacuation_ms(self.job, 1.0) * live_share;
            let wanted = (least - taken).max(if ms_per_byte > 0.0 { spare_ms / ms_per_byte } else { f64::INFINITY });
            let most = (MOST_OLD_COLLECTED * self.heap - taken).min((room - moved) / live_share.max(1e-9));
            let bytes = cohort.occupied.min(wanted).min(most);
            if bytes <= 0.0 {
                break;
            }
            taken += bytes;
            moved += bytes * live_share;
            self.move_part(index, bytes / cohort.occupied, bytes * live_share);
        }
        self.old.retain(|cohort| cohort.occupied > 1.0);
        moved
    }

    fn move_part(&mut self, index: usize, part: f64, live: f64) {
        let cohort = &mut self.old[index];
        let moved = Cohort { share: cohort.share * part, occupied: live, marked: None, ..*cohort };
        cohort.share *= 1.0 - part;
        cohort.occupied *= 1.0 - part;
        self.old.push(moved);
    }

    /// Old parts that a mixed collection would take, by position.
    fn candidates(&self) -> Vec<usize> {
        let is_candidate = |cohort: &Cohort| cohort.marked.is_some_and(|live| live < MOST_LIVE);
        (0..self.old.len()).filter(|index| is_candidate(&self.old[*index])).collect()
    }

    /// The bytes of regions that could be collected, and the garbage that the mark saw in them.
    fn reclaimable(&self) -> (f64, f64) {
        let candidates = self.candidates();
        let of = |bytes: fn(&Cohort) -> f64| candidates.iter().map(|index| bytes(&self.old[*index])).sum();
        (of(|cohort| cohort.occupied), of(|cohort| cohort.occupied * (1.0 - cohort.marked.unwrap_or(1.0))))
    }

    fn end_mark(&mut self) {
        for ms in MARK_PAUSES_MS {
            self.clock.pause(Cause::Mark, ms);
        }
        self.completed_marks += 1;
        self.cycle = Cycle::Marked;
    }

    /// What follows from a young pause for the concurrent cycle.
    fn advance(&mut self) {
        self.cycle = match self.cycle {
            Cycle::Idle if self.old_bytes() > self.mark_threshold() => Cycle::Due,
            Cycle::Due => {
                self.remember_live();
                Cycle::Marking { left_s: self.jvm.mark_s(self.job) }
            }
            Cycle::Marked => {
                let (bytes, garbage) = self.reclaimable();
                if garbage > HEAP_WASTE * self.heap {
                    Cycle::Mixed { least: bytes / MIXED_COLLECTIONS }
                } else {
                    Cycle::Idle
                }
            }
            Cycle::Mixed { .. } if self.reclaimable().1 <= HEAP_WASTE * self.heap => Cycle::Idle,
            other => other,
        };
    }

    /// Old bytes beyond which a mark begins.
    fn mark_threshold(&self) -> f64 {
        if self.completed_marks < MARKS_TO_ADAPT {
            return FIRST_THRESHOLD * self.heap;
        }
        let promoted_meanwhile = self.promotion_bytes_per_s * self.jvm.mark_s(self.job);
        ADAPTIVE_TARGET * self.heap - promoted_meanwhile - LEAST_YOUNG * self.heap
    }

    /// What a mark sees: garbage made later is not known to the mixed pauses behind it.
    fn remember_live(&mut self) {
        let live: Vec<_> = self.old.iter().map(|cohort| self.live_bytes(cohort) / cohort.occupied).collect();
        self.old.iter_mut().zip(live).for_each(|(cohort, live)| cohort.marked = Some(live));
    }

    fn collect_fully(&mut self) {
        let ms = self.jvm.full_pause_ms(self.job);
        self.clock.pause(Cause::Full, ms);
        self.compact();
    }

    fn compact(&mut self) {
        let origin = Origin::Compacted(self.clock.operations);
        self.old = vec![Cohort { origin, share: 1.0, occupied: self.job.live_bytes, marked: None }];
        self.survivors.clear();
        self.cycle = Cycle::Idle;
    }
}
