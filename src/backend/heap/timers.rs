//! Timers on the heap: Flink's `HeapPriorityQueueSet`. A binary heap over all key groups of the subtask, and for each key
//! group a table by which a timer that is registered twice is one, and is found when it is deleted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;

use super::canonical::{self, GroupPlace};
use super::snapshot::{self, EntryWriter, SnapshotTable};
use super::table::{CleanupCursor, Place};
use super::{DigestScope, IsExpired, Table};
use crate::backend::canonical::{GroupWriter, StoredEntry};
use crate::backend::snapshot::Cleanup;
use crate::backend::timers::{IndexedHeap, fingerprint};
use crate::backend::ttl::Census;
use crate::state::{
    Codec, CompositeKey, Digest, HeapUse, JVM_MAP, JVM_MAP_NODE, JVM_TIMER, JvmHeap, Key, KeyGroups, Namespace,
    StateError, StateResult, Timer, bit_mix, entry_hash, jvm_map_capacity, jvm_references, mix,
};

/// The timers of one service on one clock.
pub struct TimerQueue<K, N> {
    heap: IndexedHeap,
    slots: Vec<Slot<K, N>>,
    /// The first slot without a timer.
    free: Option<u32>,
    groups: Box<[Group]>,
    jvm: JvmQueue,
}

/// A place for a timer, which it keeps from its registration to its end.
enum Slot<K, N> {
    /// No timer; the next such slot.
    Free(Option<u32>),
    /// A timer, and the position of its key group.
    Taken(Timer<K, N>, u16),
}

/// The timers of a key group: a `HashMap` in Flink.
#[derive(Default)]
struct Group {
    slots: HashTable<u32>,
    jvm_capacity: u32,
}

/// What the queue would take on a Java heap.
struct JvmQueue {
    /// Capacity of the array that Flink's heap is in.
    capacity: u64,
    /// Capacity of the first table of a key group's map: each has its part of the room that the queue begins with.
    first_table: u32,
    /// The timers, with what they refer to and their nodes in the maps.
    timers: u64,
    allocated: u64,
    /// The arrays of snapshots that are being written.
    held: Arc<AtomicU64>,
}

/// Timers that Flink's queue has room for at first.
const JVM_ROOM: u32 = 128;

impl JvmQueue {
    fn new(key_groups: usize) -> Self {
        let capacity = u64::from(JVM_ROOM) + 1;
        let first_table = (1 + JVM_ROOM / key_groups.max(1) as u32).next_power_of_two();
        let allocated = jvm_references(capacity) + JVM_MAP * key_groups as u64;
        Self { capacity, first_table, timers: 0, allocated, held: Arc::default() }
    }

    /// Grows as a queue that has come to hold so many timers: its first place is never used.
    fn grow(&mut self, timers: usize) {
        if timers as u64 >= self.capacity {
            self.capacity += self.capacity / 2;
            self.allocated += jvm_references(self.capacity);
        }
    }
}

/// What a timer and its place in a map take on a Java heap.
#[inline(always)]
fn jvm_bytes<K: Key, N: Namespace>(key: &K, namespace: &N) -> u64 {
    JVM_TIMER + JVM_MAP_NODE + key.jvm_bytes() + namespace.jvm_bytes()
}

#[inline(always)]
fn hash(key_and_namespace: u32, time_ms: i64) -> u64 {
    mix(key_and_namespace.into(), time_ms as u64)
}

impl<K: Key, N: Namespace> Slot<K, N> {
    /// Whether it has this timer.
    #[inline(always)]
    fn is(&self, place: Place<'_, K, N>, time_ms: i64) -> bool {
        matches!(self, Self::Taken(timer, _)
            if timer.time_ms == time_ms && timer.key == *place.key && timer.namespace == *place.namespace)
    }

    fn hash(&self) -> u64 {
        match self {
            Self::Free(_) => 0,
            Self::Taken(timer, _) => timer_hash(timer),
        }
    }
}

#[inline(always)]
fn timer_hash<K: Key, N: Namespace>(timer: &Timer<K, N>) -> u64 {
    hash(bit_mix((timer.key.hash_code() ^ timer.namespace.hash_code()) as u32), timer.time_ms)
}

impl<K: Key, N: Namespace> TimerQueue<K, N> {
    /// No timers, for this many key groups.
    pub fn new(key_groups: usize) -> Self {
        Self {
            heap: IndexedHeap::default(),
            slots: Vec::new(),
            free: None,
            groups: std::iter::repeat_with(Group::default).take(key_groups).collect(),
            jvm: JvmQueue::new(key_groups),
        }
    }

    /// Registers a timer; whether it was not registered before.
    ///
    /// # Errors
    /// The queue is as long as one of Java can be.
    #[inline]
    pub fn insert(&mut self, place: Place<'_, K, N>, time_ms: i64) -> StateResult<bool> {
        self.jvm.allocated += JVM_TIMER;
        let hash = hash(place.hash, time_ms);
        let Self { slots, groups, .. } = self;
        if groups[place.group].slots.find(hash, |&slot| slots[slot as usize].is(place, time_ms)).is_some() {
            return Ok(false);
        }
        let slot = self.free_slot()?;
        let timer = Timer { time_ms, key: place.key.clone(), namespace: place.namespace.clone() };
        self.slots[slot as usize] = Slot::Taken(timer, place.group as u16);
        self.heap.insert(slot, time_ms);
        let Self { slots, groups, .. } = self;
        let group = &mut groups[place.group];
        group.slots.insert_unique(hash, slot, |&slot| slots[slot as usize].hash());
        self.jvm.timers += jvm_bytes(place.key, place.namespace);
        self.jvm.allocated += JVM_MAP_NODE;
        self.jvm.grow(self.heap.len());
        self.jvm.allocated += group.grow(self.jvm.first_table);
        Ok(true)
    }

    /// Deletes a timer, if it is registered.
    #[inline]
    pub fn remove(&mut self, place: Place<'_, K, N>, time_ms: i64) {
        self.jvm.allocated += JVM_TIMER;
        let slots = &self.slots;
        let is_it = |&slot: &u32| slots[slot as usize].is(place, time_ms);
        if let Ok(entry) = self.groups[place.group].slots.find_entry(hash(place.hash, time_ms), is_it) {
            let (slot, _) = entry.remove();
            self.heap.remove(slot);
            self.release(slot);
        }
    }

    /// Takes out the earliest timer up to `until_ms`.
    #[inline]
    pub fn take(&mut self, until_ms: i64) -> Option<Timer<K, N>> {
        let (_, slot) = self.heap.first().filter(|(time_ms, _)| *time_ms <= until_ms)?;
        self.heap.remove(slot);
        let (timer, group) = self.release(slot)?;
        if let Ok(entry) = self.groups[usize::from(group)].slots.find_entry(timer_hash(&timer), |&at| at == slot) {
            entry.remove();
        }
        Some(timer)
    }

    /// A slot without a timer, to be filled.
    #[inline]
    fn free_slot(&mut self) -> StateResult<u32> {
        if let Some(slot) = self.free {
            if let Slot::Free(next) = self.slots[slot as usize] {
                self.free = next;
            }
            return Ok(slot);
        }
        if self.slots.len() >= i32::MAX as usize {
            return Err(StateError::Storage("a timer queue is full: it holds 2^31 timers at most".to_owned()));
        }
        self.slots.push(Slot::Free(None));
        Ok((self.slots.len() - 1) as u32)
    }

    /// Takes the timer out of a slot.
    #[inline]
    fn release(&mut self, slot: u32) -> Option<(Timer<K, N>, u16)> {
        let Slot::Taken(timer, group) = std::mem::replace(&mut self.slots[slot as usize], Slot::Free(self.free)) else {
            return None;
        };
        self.free = Some(slot);
        self.jvm.timers -= jvm_bytes(&timer.key, &timer.namespace);
        Some((timer, group))
    }

    /// All timers, each with the position of its key group.
    fn iter(&self) -> impl Iterator<Item = (&Timer<K, N>, usize)> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Free(_) => None,
            Slot::Taken(timer, group) => Some((timer, usize::from(*group))),
        })
    }
}

impl Group {
    /// Grows the table of Flink's map, if it must; the bytes of the new one.
    #[inline]
    fn grow(&mut self, first_table: u32) -> u64 {
        let before = self.jvm_capacity;
        self.jvm_capacity = jvm_map_capacity(before.max(first_table), self.slots.len());
        if self.jvm_capacity == before { 0 } else { jvm_references(self.jvm_capacity.into()) }
    }
}

impl<K: Key, N: Namespace> Table<K> for TimerQueue<K, N> {
    fn digest(&self, key: &mut CompositeKey, scope: DigestScope<'_>) -> Digest {
        let (mut digest, mut bytes) = (Digest::default(), Vec::new());
        for (timer, group) in self.iter() {
            key.set_key(&timer.key, scope.first_group + group as u16);
            bytes.clear();
            key.encode_timer(&timer.namespace, timer.time_ms, &mut bytes);
            digest.add(entry_hash(scope.name, &bytes, fingerprint()));
        }
        digest
    }

    /// Timers have no TTL.
    fn census(&self, _: &mut CompositeKey, _: DigestScope<'_>) -> Census {
        Census::default()
    }
    fn expire_step(&mut self, _: &mut CleanupCursor, _: u32, _: IsExpired<'_>) -> u64 {
        0
    }

    /// Copies the timers, as Flink copies the array of its queue, while the task waits.
    fn snapshot(&mut self) -> Option<Box<dyn SnapshotTable>> {
        let with_room = |group: &Group| Vec::with_capacity(group.slots.len());
        let mut groups: Box<[Vec<_>]> = self.groups.iter().map(with_room).collect();
        self.iter().for_each(|(timer, group)| groups[group].push(timer.clone()));
        let array = jvm_references(self.heap.len() as u64);
        self.jvm.allocated += array;
        Some(Box::new(TimerSnapshot { groups, _array: HeldArray::new(&self.jvm.held, array) }))
    }

    fn read_group(&mut self, groups: KeyGroups, at: (u16, usize), input: &mut &[u8]) -> StateResult<()> {
        snapshot::read_entries(at.0, input, |input| {
            let timer = Timer::<K, N>::decode(input)?;
            self.insert(snapshot::place_in_group(&timer.key, &timer.namespace, groups, at)?, timer.time_ms)
        })
    }

    fn read_stored(&mut self, first_group: u16, entry: StoredEntry<'_>) -> StateResult<()> {
        canonical::read_into_queue(self, first_group, entry)
    }

    fn heap_use(&self, heap: JvmHeap) -> HeapUse {
        let tables = self.groups.iter().map(|group| u64::from(group.jvm_capacity)).filter(|capacity| *capacity > 0);
        let arrays = tables.chain([self.jvm.capacity]).map(|capacity| heap.references(capacity)).sum::<u64>();
        let maps = JVM_MAP * self.groups.len() as u64;
        HeapUse {
            live_bytes: self.jvm.timers + maps + arrays + self.jvm.held.load(Ordering::Relaxed),
            allocated_bytes: self.jvm.allocated,
            array_bytes: arrays,
            entries: self.heap.len() as u64,
        }
    }

    fn jvm_objects(&self) -> u64 {
        let groups = self.groups.iter().map(|group| 1 + u64::from(group.jvm_capacity > 0)).sum::<u64>();
        let timer = |timer: &Timer<K, N>| 2 + timer.key.jvm_objects() + timer.namespace.jvm_objects();
        1 + groups + self.iter().map(|(one, _)| timer(one)).sum::<u64>()
    }

    #[cfg(test)]
    fn recount(&self, heap: JvmHeap) -> u64 {
        let fixed = self.heap_use(heap).array_bytes + JVM_MAP * self.groups.len() as u64;
        fixed + self.iter().map(|(timer, _)| jvm_bytes(&timer.key, &timer.namespace)).sum::<u64>()
    }
}

/// The timers as they were when a snapshot began, by key group.
struct TimerSnapshot<K, N> {
    groups: Box<[Vec<Timer<K, N>>]>,
    _array: HeldArray,
}

impl<K: Key, N: Namespace> SnapshotTable for TimerSnapshot<K, N> {
    fn write_group(
        &self,
        group: usize,
        _: Option<Cleanup>,
        out: &mut dyn Write,
        scratch: &mut Vec<u8>,
    ) -> io::Result<u64> {
        let timers = &self.groups[group];
        let mut entries = EntryWriter::begin(timers.len(), out, scratch)?;
        timers.iter().try_for_each(|timer| entries.entry(|bytes| timer.encode(bytes)))?;
        entries.end()
    }

    fn write_stored(
        &self,
        place: GroupPlace,
        _: Option<Cleanup>,
        key: &mut CompositeKey,
        out: &mut GroupWriter<'_>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.groups[place.position].iter().try_for_each(|timer| {
            key.set_key(&timer.key, place.group);
            bytes.clear();
            key.encode_timer(&timer.namespace, timer.time_ms, &mut bytes);
            out.entry(place.state, &bytes, &[])
        })
    }
}

/// The array that a snapshot holds on a Java heap while it is written.
struct HeldArray {
    held: Arc<AtomicU64>,
    bytes: u64,
}

impl HeldArray {
    fn new(held: &Arc<AtomicU64>, bytes: u64) -> Self {
        held.fetch_add(bytes, Ordering::Relaxed);
        Self { held: Arc::clone(held), bytes }
    }
}

impl Drop for HeldArray {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
