//! Which entries a snapshot may still read, and who frees those that only snapshots can see.
//!
//! As in Flink's `CopyOnWriteStateMap`, a table has a version that each snapshot raises, here by two. An entry of an older version
//! than the newest snapshot that is not released is never written again: whoever wants to change it puts a copy in its
//! place and *retires* it. Flink leaves retired entries to the garbage collector; here they are kept with the version
//! of the newest snapshot that can see them and freed when no snapshot up to that one is left, by the thread that
//! releases the last of them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Retired entries that change hands together.
const BATCH: usize = 1024;

/// Entries that no table refers to any more: owned, and freed with this.
struct Retired<E> {
    /// Version of the newest snapshot that can see them.
    seen_by: u32,
    entries: Vec<*mut E>,
    /// What they, and objects that were replaced in entries that live on, would keep on a Java heap.
    jvm_bytes: u64,
}

// SAFETY: the pointers own what they point to, so this moves and drops values of `E`; until then snapshots on other
// threads read them.
unsafe impl<E: Send + Sync> Send for Retired<E> {}

impl<E> Retired<E> {
    const fn new() -> Self {
        Self { seen_by: 0, entries: Vec::new(), jvm_bytes: 0 }
    }
}

impl<E> Drop for Retired<E> {
    fn drop(&mut self) {
        for entry in self.entries.drain(..) {
            // SAFETY: it came from `Box::into_raw`, was taken out of its table before it got here, got here once, and
            // no snapshot that can see it is left, or the table would still hold this batch.
            drop(unsafe { Box::from_raw(entry) });
        }
    }
}

/// A snapshot that is not released.
struct Live {
    version: u32,
    /// Its copies of the bucket arrays on a Java heap.
    jvm_bytes: u64,
}

struct State<E> {
    /// Oldest first.
    live: Vec<Live>,
    retired: Vec<Retired<E>>,
}

impl<E> State<E> {
    /// Takes out what no snapshot can see, to be dropped when the lock is gone.
    fn collect(&mut self) -> Vec<Retired<E>> {
        let oldest = self.live.first().map_or(u32::MAX, |live| live.version);
        self.retired.extract_if(.., |retired| retired.seen_by < oldest).collect()
    }
}

/// What a table shares with its snapshots.
struct Shared<E> {
    /// Version of the newest snapshot that is not released; 0 without one. It changes under the lock.
    required: AtomicU32,
    state: Mutex<State<E>>,
}

impl<E> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The table's side.
pub struct Versions<E> {
    /// The version that new entries get: that of the newest snapshot, released or not.
    current: u32,
    /// What was last seen of the newest snapshot that is not released; never too low.
    required: u32,
    pending: Retired<E>,
    shared: Arc<Shared<E>>,
}

impl<E> Versions<E> {
    pub fn new() -> Self {
        let state = Mutex::new(State { live: Vec::new(), retired: Vec::new() });
        Self {
            current: 0,
            required: 0,
            pending: Retired::new(),
            shared: Arc::new(Shared { required: AtomicU32::new(0), state }),
        }
    }

    /// The version of new entries and values.
    #[inline(always)]
    pub fn current(&self) -> u32 {
        self.current
    }

    /// Objects of a lower version must not be written without a copy. It may lag behind a release.
    #[inline(always)]
    pub fn required(&self) -> u32 {
        self.required
    }

    /// Whether a snapshot can see an entry of this version.
    #[inline(always)]
    pub fn is_seen(&self, version: u32) -> bool {
        version + 1 < self.required
    }

    /// The version of an entry that is copied only because its place in the chain changes.
    pub fn moved(&self) -> u32 {
        self.required.saturating_sub(1)
    }

    /// Looks whether snapshots were released, and returns what is then required.
    pub fn refresh(&mut self) -> u32 {
        // Acquires what a release published: every read of the snapshot came before it.
        let required = self.shared.required.load(Ordering::Acquire);
        if required != self.required {
            self.hand_over();
            self.required = required;
        }
        required
    }

    /// Notes objects that only snapshots keep on a Java heap, other than retired entries.
    pub fn hold(&mut self, jvm_bytes: u64) {
        self.pending.jvm_bytes += jvm_bytes;
    }

    /// Takes over an entry that the table does not refer to any more, of a lower version than required.
    ///
    /// # Safety
    /// The entry came from `Box::into_raw` and is retired once.
    pub unsafe fn retire(&mut self, entry: *mut E, jvm_bytes: u64) {
        self.pending.jvm_bytes += jvm_bytes;
        if self.pending.entries.capacity() == 0 {
            self.pending.entries.reserve_exact(BATCH);
        }
        self.pending.entries.push(entry);
        if self.pending.entries.len() >= BATCH {
            self.hand_over();
        }
    }

    /// Gives what is pending to the snapshots, or frees it if none of those that can see it is left.
    fn hand_over(&mut self) {
        if self.pending.entries.is_empty() && self.pending.jvm_bytes == 0 {
            return;
        }
        self.pending.seen_by = self.required;
        let pending = std::mem::replace(&mut self.pending, Retired::new());
        let mut state = self.shared.lock();
        state.retired.push(pending);
        let unseen = state.collect();
        drop(state);
        drop(unseen);
    }

    /// Begins a snapshot; none when the versions are used up, after 2^31 of them.
    pub fn begin(&mut self, jvm_bytes: u64) -> Option<Lease<E>> {
        self.hand_over();
        let version = self.current.checked_add(2)?;
        let mut state = self.shared.lock();
        state.live.push(Live { version, jvm_bytes });
        self.shared.required.store(version, Ordering::Release);
        drop(state);
        self.current = version;
        self.required = version;
        Some(Lease { version, shared: Arc::clone(&self.shared) })
    }

    /// What only snapshots keep on a Java heap, bytes.
    pub fn held_jvm_bytes(&self) -> u64 {
        let state = self.shared.lock();
        let retired: u64 = state.retired.iter().map(|retired| retired.jvm_bytes).sum();
        let arrays: u64 = state.live.iter().map(|live| live.jvm_bytes).sum();
        self.pending.jvm_bytes + retired + arrays
    }

    /// Gives up entries of a table that goes away: to the snapshots that can see them, if any is left.
    ///
    /// # Safety
    /// The entries came from `Box::into_raw`, and nothing else refers to them.
    pub unsafe fn give_up(&mut self, entries: Vec<*mut E>) {
        self.hand_over();
        self.pending.entries = entries;
        // All are kept as long as any snapshot: more than need be, and always enough.
        self.required = self.current;
        self.hand_over();
    }
}

/// A snapshot's right to read the entries of its version: given back by dropping it.
pub struct Lease<E> {
    version: u32,
    shared: Arc<Shared<E>>,
}

impl<E> Drop for Lease<E> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.live.retain(|live| live.version != self.version);
        let required = state.live.last().map_or(0, |live| live.version);
        // Publishes that the snapshot reads no more.
        self.shared.required.store(required, Ordering::Release);
        let unseen = state.collect();
        drop(state);
        drop(unseen);
    }
}
