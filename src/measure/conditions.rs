//! What goes on beside the events, as the thread that processes them sees it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Something that may go on while an event is processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// A checkpoint is in progress.
    Checkpoint,
    /// A memtable is being written to a table file.
    Flush,
    /// Table files are being merged.
    Compaction,
    /// Writes are slowed down or stopped.
    Stall,
    /// A hash table of the heap is being rehashed, step by step.
    Rehash,
}

impl Condition {
    /// All of them; the position of each is its discriminant.
    pub const ALL: [Self; 5] = [Self::Checkpoint, Self::Flush, Self::Compaction, Self::Stall, Self::Rehash];

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Flush => "flush",
            Self::Compaction => "compaction",
            Self::Stall => "write stall",
            Self::Rehash => "rehash",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of conditions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConditionSet(u8);

impl ConditionSet {
    /// The set with one more.
    #[must_use]
    pub fn with(self, condition: Condition, goes_on: bool) -> Self {
        if goes_on { Self(self.0 | condition.bit()) } else { self }
    }

    /// The union of two sets.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a condition is in it.
    pub fn contains(self, condition: Condition) -> bool {
        self.0 & condition.bit() != 0
    }
}

/// Bits that count how many of one condition go on.
const COUNT_BITS: u32 = 8;
/// Above the counts, a bit for each condition that has begun since the last look.
const BEGUN: u32 = COUNT_BITS * Condition::ALL.len() as u32;

/// The conditions of a store: set by its background threads, read at the end of each timed event. One word, so that a look
/// is one load of a line that seldom changes.
#[derive(Debug, Default)]
pub struct Conditions(AtomicU64);

impl Conditions {
    /// One begins; at most 255 of a kind go on at a time.
    pub fn begin(&self, condition: Condition) {
        self.0.fetch_or(u64::from(condition.bit()) << BEGUN, Ordering::Relaxed);
        self.0.fetch_add(1 << (COUNT_BITS * condition as u32), Ordering::Relaxed);
    }

    /// One that has begun ends.
    pub fn end(&self, condition: Condition) {
        self.0.fetch_sub(1 << (COUNT_BITS * condition as u32), Ordering::Relaxed);
    }

    /// What goes on, and what has begun since the last look: an episode that is over within one event is seen once.
    #[inline]
    pub fn look(&self) -> ConditionSet {
        let word = self.0.load(Ordering::Relaxed);
        if word == 0 { ConditionSet::default() } else { self.look_closer(word) }
    }

    #[cold]
    fn look_closer(&self, word: u64) -> ConditionSet {
        let begun = (word >> BEGUN) as u8;
        if begun != 0 {
            self.0.fetch_and((1 << BEGUN) - 1, Ordering::Relaxed);
        }
        let goes_on = |condition: &Condition| (word >> (COUNT_BITS * *condition as u32)) & 0xff != 0;
        Condition::ALL.iter().fold(ConditionSet(begun), |set, condition| set.with(*condition, goes_on(condition)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_seen_until_it_ends() {
        let conditions = Conditions::default();
        assert!(conditions.look().is_empty());
        conditions.begin(Condition::Flush);
        conditions.begin(Condition::Flush);
        conditions.begin(Condition::Compaction);
        conditions.end(Condition::Flush);
        for _ in 0..2 {
            let set = conditions.look();
            assert!(set.contains(Condition::Flush) && set.contains(Condition::Compaction));
            assert!(!set.contains(Condition::Stall));
        }
        conditions.end(Condition::Flush);
        assert!(!conditions.look().contains(Condition::Flush));
        conditions.end(Condition::Compaction);
        assert!(conditions.look().is_empty());
    }

    #[test]
    fn what_begins_and_ends_between_two_looks_is_seen_once() {
        let conditions = Conditions::default();
        conditions.begin(Condition::Stall);
        conditions.end(Condition::Stall);
        assert!(conditions.look().contains(Condition::Stall));
        assert!(conditions.look().is_empty());
    }
}
