//! The table of one state on the heap: one map per key group, keyed by (key, namespace), with Flink's copy-on-write.
//!
//! While a snapshot is not released, the first touch of an entry copies it, a read included, since in Java the caller
//! might change what it was given. A write that replaces the object copies the entry alone. What a snapshot can see is
//! never written, so another thread reads it without a lock. The one difference from Flink: objects lie inside their
//! entries, so an entry that is copied because it stands before the touched one in the chain, or because its bucket
//! moves, takes a copy of its object with it, where Flink's copies share it until it is touched. The figures for a Java
//! heap count as Flink does.

use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use super::group::{ENTRIES_PER_STEP, Entry, GroupMap};
use super::versions::{Lease, Versions};
use crate::backend::episodes::StoreEvents;
use crate::result::{EpisodeKind, RehashStalls};
use crate::state::{HeapUse, JVM_ENTRY, JvmHeap, JvmSize, Key, Namespace, bit_mix, jvm_references};

/// Key, namespace and key group of an access.
pub struct Place<'a, K, N> {
    pub(super) key: &'a K,
    pub(super) namespace: &'a N,
    pub(super) group: usize,
    /// The hash of key and namespace.
    pub(super) hash: u32,
}

impl<K, N> Clone for Place<'_, K, N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, N> Copy for Place<'_, K, N> {}

impl<'a, K: Key, N: Namespace> Place<'a, K, N> {
    /// `hash_code` is the key's; `group` is the position of its key group in the range that the subtask owns.
    #[inline(always)]
    pub fn new(key: &'a K, hash_code: i32, namespace: &'a N, group: usize) -> Self {
        Self { key, namespace, group, hash: bit_mix((hash_code ^ namespace.hash_code()) as u32) }
    }

    #[inline(always)]
    fn is_of<V>(self, entry: &Entry<K, N, V>) -> bool {
        entry.hash == self.hash && entry.key == *self.key && entry.namespace == *self.namespace
    }
}

/// What an object in a table must be able to do.
pub trait Stored: JvmSize + Clone + Send + Sync {}
impl<V: JvmSize + Clone + Send + Sync> Stored for V {}

type Pointer<K, N, V> = NonNull<Entry<K, N, V>>;

/// Where incremental clean-up has got to in a table: key group and bucket.
#[derive(Debug, Clone, Copy, Default)]
pub struct CleanupCursor {
    group: usize,
    bucket: usize,
}

/// Objects of one state, by key group.
pub struct StateTable<K, N, V> {
    groups: Box<[GroupMap<Entry<K, N, V>>]>,
    versions: Versions<Entry<K, N, V>>,
    /// What the entries would take on a Java heap, the bucket arrays apart.
    jvm_live: u64,
    /// What operations would have allocated there.
    jvm_allocated: u64,
    growth: Growth,
}

/// How the maps of a table grow.
#[derive(Debug, Default)]
struct Growth {
    /// Maps that grow now.
    growing: usize,
    stalls: RehashStalls,
    /// Who is told, and by what name.
    told: Option<(Arc<StoreEvents>, String)>,
}

impl Growth {
    #[cold]
    fn begin(&mut self, allocating: Duration) {
        self.growing += 1;
        self.stalls.begun(allocating);
        if let Some((events, name)) = self.told.as_ref().filter(|_| self.growing == 1) {
            events.began(EpisodeKind::Rehash, 0, name.clone());
        }
    }

    #[cold]
    fn end(&mut self, freeing: Duration) {
        self.growing -= 1;
        self.stalls.ended(freeing);
        if let Some((events, name)) = self.told.as_ref().filter(|_| self.growing == 0) {
            events.ended(EpisodeKind::Rehash, 0, name, None, name.clone());
        }
    }
}

impl<K, N, V> StateTable<K, N, V> {
    /// An empty table for this many key groups.
    pub fn new(key_groups: usize) -> Self {
        let groups: Box<[_]> = std::iter::repeat_with(GroupMap::new).take(key_groups).collect();
        let arrays = groups.iter().flat_map(GroupMap::capacities).map(|capacity| jvm_references(capacity as u64));
        let jvm_allocated = arrays.sum();
        Self { groups, versions: Versions::new(), jvm_live: 0, jvm_allocated, growth: Growth::default() }
    }

    /// Tells from here on when its maps grow, under this name.
    pub fn tell(&mut self, events: &Arc<StoreEvents>, name: &str) {
        self.growth.told = Some((Arc::clone(events), name.to_owned()));
    }

    /// What growing has stood still for.
    pub fn growth_stalls(&self) -> RehashStalls {
        self.growth.stalls
    }
}

impl<K: Key, N: Namespace, V: Stored> StateTable<K, N, V> {
    /// Finds the entry at this place, after a step of growing where the map grows.
    #[inline(always)]
    fn find(&mut self, place: Place<'_, K, N>) -> Option<Pointer<K, N, V>> {
        if self.groups[place.group].is_rehashing() {
            self.rehash(place.group);
        }
        let mut at = *self.groups[place.group].bucket(place.hash);
        // SAFETY: a pointer in a chain is null or leads to an entry that lives until it is taken out of the chain.
        while let Some(entry) = unsafe { at.as_ref() } {
            if place.is_of(entry) {
                return NonNull::new(at);
            }
            at = entry.next;
        }
        None
    }

    /// The entry at this place, with an object that may be written.
    #[inline(always)]
    fn find_own(&mut self, place: Place<'_, K, N>) -> Option<Pointer<K, N, V>> {
        let entry = self.find(place)?;
        // SAFETY: `find` returns an entry of the table.
        if unsafe { entry.as_ref() }.version < self.versions.required() {
            return Some(self.own_state(place, entry));
        }
        Some(entry)
    }

    /// The object at this place.
    #[inline(always)]
    pub fn get(&mut self, place: Place<'_, K, N>) -> Option<&V> {
        // SAFETY: the entry is the table's, and the reference borrows the table.
        self.find_own(place).map(|entry| unsafe { &entry.as_ref().value })
    }

    /// Changes the object at this place, if there is one.
    #[inline(always)]
    pub fn modify<R>(&mut self, place: Place<'_, K, N>, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        let mut entry = self.find_own(place)?;
        // SAFETY: no snapshot can see the entry, and the table is borrowed.
        let value = unsafe { &mut entry.as_mut().value };
        let before = value.jvm_bytes();
        let result = change(value);
        self.jvm_live = self.jvm_live.wrapping_add(value.jvm_bytes()).wrapping_sub(before);
        Some(result)
    }

    /// Combines `added` with the object at this place, or puts an object made from it there if it holds none: one
    /// look-up where there is one, as `StateTable.transform` in Flink. `combine` returns what it would have allocated
    /// on a Java heap, bytes.
    #[inline(always)]
    pub fn transform<A>(
        &mut self,
        place: Place<'_, K, N>,
        added: A,
        make: impl FnOnce(A) -> V,
        combine: impl FnOnce(&mut V, A) -> u64,
    ) {
        match self.find_own(place) {
            Some(mut entry) => {
                // SAFETY: no snapshot can see the entry, and the table is borrowed.
                let value = unsafe { &mut entry.as_mut().value };
                let before = value.jvm_bytes();
                self.jvm_allocated += combine(value, added);
                self.jvm_live = self.jvm_live.wrapping_add(value.jvm_bytes()).wrapping_sub(before);
            }
            None => self.insert(place, make(added)),
        }
    }

    /// Puts an object, in place of the one that is there.
    #[inline(always)]
    pub fn put(&mut self, place: Place<'_, K, N>, value: V) {
        let Some(mut entry) = self.find(place) else { return self.insert(place, value) };
        // SAFETY: `find` returns an entry of the table.
        if unsafe { entry.as_ref() }.version < self.versions.required() {
            return self.replace(place, entry, value);
        }
        let bytes = value.jvm_bytes();
        // SAFETY: no snapshot can see the entry, and the table is borrowed.
        let kept = unsafe { &mut entry.as_mut().value };
        self.jvm_allocated += bytes;
        self.jvm_live = self.jvm_live.wrapping_add(bytes).wrapping_sub(kept.jvm_bytes());
        *kept = value;
    }

    /// Puts an object where there is none; whether there was none.
    pub fn insert_new(&mut self, place: Place<'_, K, N>, value: V) -> bool {
        let is_new = self.find(place).is_none();
        if is_new {
            self.insert(place, value);
        }
        is_new
    }

    /// Inserts an entry that is not there.
    #[inline(never)]
    fn insert(&mut self, place: Place<'_, K, N>, value: V) {
        let group = &mut self.groups[place.group];
        // The bucket is that of the old array even where growing begins here, since nothing has moved yet.
        let mut grown = 0;
        if let Some((capacity, allocating)) = group.reserve() {
            grown = jvm_references(capacity as u64);
            self.growth.begin(allocating);
        }
        let key = place.key.jvm_bytes() + place.namespace.jvm_bytes();
        let bytes = JVM_ENTRY + value.jvm_bytes();
        self.jvm_live = self.jvm_live.wrapping_add(key + bytes);
        self.jvm_allocated += bytes + grown;
        let version = self.versions.current();
        let bucket = group.bucket(place.hash);
        *bucket = Box::into_raw(Box::new(Entry {
            next: *bucket,
            hash: place.hash,
            version,
            key: place.key.clone(),
            namespace: place.namespace.clone(),
            value,
        }));
        group.entries += 1;
    }

    /// Removes the object at this place.
    #[inline(always)]
    pub fn remove(&mut self, place: Place<'_, K, N>) {
        if let Some(entry) = self.find(place) {
            self.unlink(place, entry);
        }
    }

    /// Removes the object at this place and returns it: a copy where a snapshot can see it. `removeAndGetOld` in Flink.
    pub fn take(&mut self, place: Place<'_, K, N>) -> Option<V> {
        let entry = self.find_own(place)?;
        self.unlink(place, entry).map(|entry| entry.value)
    }

    /// Takes an entry out of its chain, and returns it where no snapshot can see it.
    #[inline(never)]
    fn unlink(&mut self, place: Place<'_, K, N>, entry: Pointer<K, N, V>) -> Option<Box<Entry<K, N, V>>> {
        let required = self.versions.refresh();
        let (mut link, before) = self.link_to(place, entry)?;
        let removed = entry.as_ptr();
        // SAFETY: `before`, `link` and `removed` belong to the chain, and the table is borrowed; `link` is written only
        // where it lies in the bucket array or in an entry that no snapshot can see. `removed` is out of the chain
        // afterwards, so it is freed or retired once.
        unsafe {
            if let Some(before) = before.filter(|before| self.versions.is_seen(before.as_ref().version)) {
                link = &raw mut (*self.own_entry(place, before, self.versions.moved(), V::clone).as_ptr()).next;
            }
            *link = (*removed).next;
            let value = (*removed).value.jvm_bytes();
            let rest = JVM_ENTRY + (*removed).key.jvm_bytes() + (*removed).namespace.jvm_bytes();
            self.jvm_live = self.jvm_live.wrapping_sub(value + rest);
            self.groups[place.group].entries -= 1;
            if self.versions.is_seen((*removed).version) {
                self.versions.retire(removed, value + rest);
                return None;
            }
            if (*removed).version < required {
                self.versions.hold(value);
            }
            Some(Box::from_raw(removed))
        }
    }

    /// The pointer of the chain that leads to an entry, and the entry before it.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn link_to(
        &mut self,
        place: Place<'_, K, N>,
        entry: Pointer<K, N, V>,
    ) -> Option<(*mut *mut Entry<K, N, V>, Option<Pointer<K, N, V>>)> {
        let mut link: *mut *mut Entry<K, N, V> = self.groups[place.group].bucket(place.hash);
        let mut before = None;
        // SAFETY: links of a chain, as in `find`.
        unsafe {
            while *link != entry.as_ptr() {
                before = Some(NonNull::new(*link)?);
                link = &raw mut (**link).next;
            }
        }
        Some((link, before))
    }

    /// Makes the object of an entry one that may be written: copies it, and the entry, where a snapshot can see them.
    #[cold]
    #[inline(never)]
    fn own_state(&mut self, place: Place<'_, K, N>, mut entry: Pointer<K, N, V>) -> Pointer<K, N, V> {
        let required = self.versions.refresh();
        let version = self.versions.current();
        // SAFETY: an entry of the table; it is written only where no snapshot can see it.
        unsafe {
            if entry.as_ref().version >= required {
                return entry;
            }
            let bytes = entry.as_ref().value.jvm_bytes();
            self.versions.hold(bytes);
            self.jvm_allocated += bytes;
            if self.versions.is_seen(entry.as_ref().version) {
                return self.own_entry(place, entry, version, V::clone);
            }
            entry.as_mut().version = version;
        }
        entry
    }

    /// Puts an object in place of one that a snapshot may see.
    #[cold]
    #[inline(never)]
    fn replace(&mut self, place: Place<'_, K, N>, mut entry: Pointer<K, N, V>, value: V) {
        let required = self.versions.refresh();
        let version = self.versions.current();
        let bytes = value.jvm_bytes();
        // SAFETY: an entry of the table; it is written only where no snapshot can see it.
        unsafe {
            let old = entry.as_ref().value.jvm_bytes();
            self.jvm_allocated += bytes;
            self.jvm_live = self.jvm_live.wrapping_add(bytes).wrapping_sub(old);
            if entry.as_ref().version < required {
                self.versions.hold(old);
            }
            if self.versions.is_seen(entry.as_ref().version) {
                self.own_entry(place, entry, version, |_| value);
            } else {
                entry.as_mut().value = value;
                entry.as_mut().version = version;
            }
        }
    }

    /// Puts copies in place of an entry that a snapshot can see and of those before it in the chain, so that the chain
    /// leads to the copy, of this version and with the object that `value` makes.
    fn own_entry(
        &mut self,
        place: Place<'_, K, N>,
        until: Pointer<K, N, V>,
        version: u32,
        value: impl FnOnce(&V) -> V,
    ) -> Pointer<K, N, V> {
        let moved = self.versions.moved();
        let mut link: *mut *mut Entry<K, N, V> = self.groups[place.group].bucket(place.hash);
        // SAFETY: the chain leads to `until`, so no link before it is null. Links are written where they lie in the
        // bucket array or in an entry that no snapshot can see; an entry that a copy has replaced is out of the chain
        // and retired once.
        unsafe {
            while *link != until.as_ptr() {
                let old = *link;
                if self.versions.is_seen((*old).version) {
                    *link = (*old).copied(moved, (*old).value.clone());
                    self.versions.retire(old, JVM_ENTRY);
                    self.jvm_allocated += JVM_ENTRY;
                }
                link = &raw mut (**link).next;
            }
            let old = until.as_ptr();
            let copy = (*old).copied(version, value(&(*old).value));
            *link = copy;
            self.versions.retire(old, JVM_ENTRY);
            self.jvm_allocated += JVM_ENTRY;
            NonNull::new_unchecked(copy)
        }
    }

    /// Moves whole buckets to the new array until enough entries have moved.
    #[cold]
    #[inline(never)]
    fn rehash(&mut self, group: usize) {
        self.versions.refresh();
        let group = &mut self.groups[group];
        let mut moved = 0;
        while moved < ENTRIES_PER_STEP {
            let Some(mut at) = group.next_to_move() else { break };
            // SAFETY: the chain was the bucket's; each of its entries goes into another one, or a copy does where a
            // snapshot can see it, and then it is retired once.
            unsafe {
                while !at.is_null() {
                    let (old, next) = (at, (*at).next);
                    if self.versions.is_seen((*old).version) {
                        at = (*old).copied(self.versions.moved(), (*old).value.clone());
                        self.versions.retire(old, JVM_ENTRY);
                        self.jvm_allocated += JVM_ENTRY;
                    }
                    let bucket = group.new_bucket((*at).hash);
                    (*at).next = *bucket;
                    *bucket = at;
                    at = next;
                    moved += 1;
                }
            }
        }
        if let Some(freeing) = group.finish_rehash() {
            self.growth.end(freeing);
        }
    }

    /// Looks at some more entries, chain by chain, and takes out those of which `expire` leaves nothing; an entry of
    /// which `has_expired` says no is not touched. Behind the last chain the next step begins anew. The
    /// `StateIncrementalVisitor` of Flink.
    pub fn expire_step(
        &mut self,
        cursor: &mut CleanupCursor,
        entries: u32,
        has_expired: impl Fn(&V) -> bool,
        mut expire: impl FnMut(&mut V) -> bool,
    ) {
        let mut seen = 0;
        while seen < entries {
            let Some((group, mut at)) = self.next_chain(cursor) else {
                *cursor = CleanupCursor::default();
                return;
            };
            // SAFETY: the chain's entries are the table's. The next entry is read before its predecessor may go, and
            // what happens to one entry leaves those behind it where they are.
            while let Some(entry) = unsafe { at.as_ref() } {
                let (this, next) = (NonNull::from(entry), entry.next);
                seen += 1;
                if has_expired(&entry.value) {
                    let (key, namespace) = (entry.key.clone(), entry.namespace.clone());
                    let place = Place { key: &key, namespace: &namespace, group, hash: entry.hash };
                    self.expire_entry(place, this, &mut expire);
                }
                at = next;
            }
        }
    }

    fn expire_entry(
        &mut self,
        place: Place<'_, K, N>,
        entry: Pointer<K, N, V>,
        expire: &mut impl FnMut(&mut V) -> bool,
    ) {
        // SAFETY: an entry of the table.
        let is_shared = unsafe { entry.as_ref() }.version < self.versions.required();
        let mut own = if is_shared { self.own_state(place, entry) } else { entry };
        // SAFETY: no snapshot can see the entry, and the table is borrowed.
        let value = unsafe { &mut own.as_mut().value };
        let before = value.jvm_bytes();
        let is_empty = expire(value);
        self.jvm_live = self.jvm_live.wrapping_add(value.jvm_bytes()).wrapping_sub(before);
        if is_empty {
            self.unlink(place, own);
        }
    }

    /// The next chain that is not empty, with the position of its key group.
    fn next_chain(&self, cursor: &mut CleanupCursor) -> Option<(usize, *mut Entry<K, N, V>)> {
        while let Some(group) = self.groups.get(cursor.group) {
            while let Some(head) = group.chain_at(cursor.bucket) {
                cursor.bucket += 1;
                if !head.is_null() {
                    return Some((cursor.group, head));
                }
            }
            *cursor = CleanupCursor { group: cursor.group + 1, bucket: 0 };
        }
        None
    }

    /// Visits every entry: position of its key group, key, namespace, object.
    pub fn for_each(&self, mut visit: impl FnMut(usize, &K, &N, &V)) {
        for (position, group) in self.groups.iter().enumerate() {
            for head in group.heads() {
                // SAFETY: the chains are the table's, and it is borrowed.
                unsafe { for_each_in_chain(head, |entry| visit(position, &entry.key, &entry.namespace, &entry.value)) };
            }
        }
    }

    /// Begins a snapshot of the table as it is: copies the bucket arrays. None when versions are used up.
    pub fn snapshot(&mut self) -> Option<TableSnapshot<K, N, V>> {
        let arrays = self.groups.iter().map(|group| jvm_references(group.snapshot_capacity() as u64));
        let arrays: u64 = arrays.sum();
        let lease = self.versions.begin(arrays)?;
        self.jvm_allocated += arrays;
        let groups =
            self.groups.iter().map(|group| GroupSnapshot { heads: group.copy_buckets(), entries: group.entries });
        Some(TableSnapshot { groups: groups.collect(), _lease: lease })
    }

    /// Bucket arrays of the key groups that have one.
    pub fn arrays(&self) -> u64 {
        self.groups.iter().flat_map(GroupMap::capacities).filter(|capacity| *capacity > 0).count() as u64
    }

    /// What the table would take on a Java heap, snapshots included.
    pub fn heap_use(&self, heap: JvmHeap) -> HeapUse {
        let capacities = self.groups.iter().flat_map(GroupMap::capacities).filter(|capacity| *capacity > 0);
        let arrays = capacities.map(|capacity| heap.references(capacity as u64)).sum();
        HeapUse {
            live_bytes: self.jvm_live + arrays + self.versions.held_jvm_bytes(),
            allocated_bytes: self.jvm_allocated,
            array_bytes: arrays,
            entries: self.groups.iter().map(|group| group.entries as u64).sum(),
        }
    }
}

/// Visits the entries of a chain.
///
/// # Safety
/// The chain's entries are alive and not written during the call.
unsafe fn for_each_in_chain<K, N, V>(mut at: *mut Entry<K, N, V>, mut visit: impl FnMut(&Entry<K, N, V>)) {
    // SAFETY: promised by the caller.
    while let Some(entry) = unsafe { at.as_ref() } {
        visit(entry);
        at = entry.next;
    }
}

impl<K, N, V> Drop for StateTable<K, N, V> {
    fn drop(&mut self) {
        let mut entries = Vec::with_capacity(self.groups.iter().map(|group| group.entries).sum());
        for mut at in self.groups.iter().flat_map(GroupMap::heads) {
            while !at.is_null() {
                entries.push(at);
                // SAFETY: an entry of the table.
                at = unsafe { (*at).next };
            }
        }
        // SAFETY: these are the table's entries, each once, and the table goes away.
        unsafe { self.versions.give_up(entries) };
    }
}

/// One key group of a snapshot.
struct GroupSnapshot<E> {
    heads: Box<[*mut E]>,
    entries: usize,
}

/// A table as it was when the snapshot began, to be read on any thread while the table changes. Dropping it lets the
/// table write again what only the snapshot kept from it.
pub struct TableSnapshot<K, N, V> {
    groups: Box<[GroupSnapshot<Entry<K, N, V>>]>,
    _lease: Lease<Entry<K, N, V>>,
}

// SAFETY: a snapshot only reads entries, which the table neither writes nor frees while the lease lasts.
unsafe impl<K: Send + Sync, N: Send + Sync, V: Send + Sync> Send for TableSnapshot<K, N, V> {}

impl<K, N, V> TableSnapshot<K, N, V> {
    /// Number of entries in a key group, by its position.
    pub fn entries(&self, group: usize) -> usize {
        self.groups[group].entries
    }

    /// Visits every entry of a key group: key, namespace, object. Stops at the first error.
    pub fn try_for_each<E>(&self, group: usize, mut visit: impl FnMut(&K, &N, &V) -> Result<(), E>) -> Result<(), E> {
        let mut result = Ok(());
        for &head in &self.groups[group].heads {
            let visit = |entry: &Entry<K, N, V>| {
                if result.is_ok() {
                    result = visit(&entry.key, &entry.namespace, &entry.value);
                }
            };
            // SAFETY: the chains are as they were when the snapshot began, and the lease keeps their entries.
            unsafe { for_each_in_chain(head, visit) };
        }
        result
    }
}
