//! What the timers of all backends have in common: the names of their queues, and a heap that finds what is in it.

use crate::state::{TimeDomain, TimerService};

/// Both clocks, in the order in which the queues of a timer service are registered.
pub(super) const DOMAINS: [TimeDomain; 2] = [TimeDomain::EventTime, TimeDomain::ProcessingTime];

/// The number of a queue, by its service and its clock.
#[inline(always)]
pub(super) fn queue_of<N>(service: TimerService<N>, domain: TimeDomain) -> usize {
    service.index + domain as usize
}

/// What the name of every queue begins with.
const QUEUE_PREFIX: &str = "_timer_state/";

/// The name under which Flink keeps the queue of a timer service.
pub(super) fn queue_name(service: &str, domain: TimeDomain) -> String {
    match domain {
        TimeDomain::EventTime => format!("{QUEUE_PREFIX}event_{service}"),
        TimeDomain::ProcessingTime => format!("{QUEUE_PREFIX}processing_{service}"),
    }
}

/// Whether a queue of timers is kept under this name.
#[cfg(feature = "rocksdb")]
pub(super) fn is_queue(name: &str) -> bool {
    name.starts_with(QUEUE_PREFIX)
}

/// The fingerprint of what is stored with a timer: nothing.
pub(super) fn fingerprint() -> u64 {
    xxhash_rust::xxh3::xxh3_64(&[])
}

/// A binary heap of slots by time, the earliest first, that knows where in it each slot is: so one is removed in
/// O(log n) wherever it is. Flink's `HeapPriorityQueue`.
#[derive(Debug, Default)]
pub(super) struct IndexedHeap {
    items: Vec<Item>,
    /// Where each slot is among the items.
    positions: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    time_ms: i64,
    slot: u32,
}

/// The position of a slot that is not in the heap.
const ABSENT: u32 = u32::MAX;

impl IndexedHeap {
    /// Slots in it.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The earliest time, and its slot.
    #[inline(always)]
    pub fn first(&self) -> Option<(i64, u32)> {
        self.items.first().map(|item| (item.time_ms, item.slot))
    }

    /// Adds a slot that is not in it.
    #[inline]
    pub fn insert(&mut self, slot: u32, time_ms: i64) {
        let known = slot as usize + 1;
        if self.positions.len() < known {
            self.positions.resize(known, ABSENT);
        }
        let item = Item { time_ms, slot };
        self.items.push(item);
        self.sift_up(self.items.len() - 1, item);
    }

    /// Takes a slot out, if it is in it.
    #[inline]
    pub fn remove(&mut self, slot: u32) {
        let Some(position) = self.positions.get_mut(slot as usize) else { return };
        let position = std::mem::replace(position, ABSENT);
        if position == ABSENT {
            return;
        }
        if let Some(last) = self.items.pop()
            && last.slot != slot
        {
            let leaf = self.sink(position as usize);
            self.sift_up(leaf, last);
        }
    }

    /// Gives a slot another time, or takes it out.
    #[cfg(feature = "rocksdb")]
    #[inline]
    pub fn set(&mut self, slot: u32, time_ms: Option<i64>) {
        let position = self.positions.get(slot as usize).copied().filter(|position| *position != ABSENT);
        let before = position.map(|position| self.items[position as usize].time_ms);
        if before == time_ms {
            return;
        }
        self.remove(slot);
        if let Some(time_ms) = time_ms {
            self.insert(slot, time_ms);
        }
    }

    #[inline(always)]
    fn put(&mut self, position: usize, item: Item) {
        self.items[position] = item;
        self.positions[item.slot as usize] = position as u32;
    }

    /// Puts an item at this position or above it.
    #[inline(always)]
    fn sift_up(&mut self, mut position: usize, item: Item) {
        while position > 0 {
            let parent = (position - 1) / 2;
            if self.items[parent].time_ms <= item.time_ms {
                break;
            }
            self.put(position, self.items[parent]);
            position = parent;
        }
        self.put(position, item);
    }

    /// Moves the gap at this position to a leaf. The item that fills it comes from a leaf and so belongs near one: this
    /// takes half the comparisons of a search from above.
    #[inline(always)]
    fn sink(&mut self, mut position: usize) -> usize {
        let len = self.items.len();
        loop {
            let (left, right) = (2 * position + 1, 2 * position + 2);
            if right < len {
                let least = left + usize::from(self.items[right].time_ms < self.items[left].time_ms);
                self.put(position, self.items[least]);
                position = least;
            } else {
                if left < len {
                    self.put(position, self.items[left]);
                    position = left;
                }
                return position;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Slots come in and out in any order, as timers do; a slot that is not in it may be asked to go.
        #[test]
        fn the_earliest_is_always_first(steps in vec((0_u32..40, proptest::option::of(0_i64..30)), 0..300)) {
            let (mut heap, mut model, mut times) = (IndexedHeap::default(), BTreeSet::new(), [None; 40]);
            for (slot, time_ms) in steps {
                let before = std::mem::replace(&mut times[slot as usize], time_ms);
                match (before, time_ms) {
                    (None, Some(time_ms)) => heap.insert(slot, time_ms),
                    (_, None) => heap.remove(slot),
                    _ => heap.set(slot, time_ms),
                }
                before.map(|before| model.remove(&(before, slot)));
                time_ms.map(|time_ms| model.insert((time_ms, slot)));
                prop_assert_eq!(heap.len(), model.len());
                prop_assert_eq!(heap.first().map(|first| first.0), model.first().map(|first| first.0));
            }
            while let Some((time_ms, slot)) = heap.first() {
                heap.remove(slot);
                prop_assert_eq!(model.first().map(|first| first.0), Some(time_ms));
                prop_assert!(model.remove(&(time_ms, slot)));
            }
            prop_assert!(model.is_empty());
        }
    }
}
