//! The map of one key group: chained buckets that grow in small steps, as Flink's `CopyOnWriteStateMap`.

use std::ptr::null_mut;
use std::time::{Duration, Instant};

/// Buckets of an empty map.
pub const INITIAL_CAPACITY: usize = 128;
/// Buckets beyond which a map does not grow.
const MAXIMUM_CAPACITY: usize = 1 << 30;
/// Entries that each operation moves at least while the map grows.
pub const ENTRIES_PER_STEP: usize = 4;

/// One stored object with its full key, in the chain of its bucket.
pub struct Entry<K, N, V> {
    /// The next entry of the bucket, or null.
    pub next: *mut Self,
    /// The hash of key and namespace.
    pub hash: u32,
    /// The version of the table when the object was made or copied: Flink's two versions of an entry in one number. One
    /// less than that of a snapshot says that the entry was copied for that snapshot, and its object was not, to Flink.
    pub version: u32,
    pub key: K,
    pub namespace: N,
    pub value: V,
}

// SAFETY: the key, the namespace and the object may go from thread to thread and be read by several. Whoever follows
// `next` needs a right of its own: the table's to all entries, or a snapshot's to those of its version.
unsafe impl<K: Send + Sync, N: Send + Sync, V: Send + Sync> Send for Entry<K, N, V> {}
// SAFETY: as above; nothing in an entry is changed through a shared reference.
unsafe impl<K: Send + Sync, N: Send + Sync, V: Send + Sync> Sync for Entry<K, N, V> {}

impl<K: Clone, N: Clone, V> Entry<K, N, V> {
    /// A copy of the entry with this version, in the same place of the chain.
    pub fn copied(&self, version: u32, value: V) -> *mut Self {
        Box::into_raw(Box::new(Self {
            next: self.next,
            hash: self.hash,
            version,
            key: self.key.clone(),
            namespace: self.namespace.clone(),
            value,
        }))
    }
}

/// Heads of chains, null where a bucket is empty.
type Buckets<E> = Box<[*mut E]>;

fn buckets<E>(capacity: usize) -> Buckets<E> {
    vec![null_mut(); capacity].into_boxed_slice()
}

/// The map of one key group. It knows where chains begin; the table knows what may be written.
pub struct GroupMap<E> {
    primary: Buckets<E>,
    /// Twice as large while the map grows, else empty.
    growing: Buckets<E>,
    /// Buckets of `primary` below this have moved to `growing`.
    rehash_index: usize,
    /// Entries in both.
    pub entries: usize,
}

// SAFETY: the map owns the entries of its chains, less those that snapshots read too, which it never writes.
unsafe impl<E: Send + Sync> Send for GroupMap<E> {}

impl<E> GroupMap<E> {
    pub fn new() -> Self {
        Self { primary: buckets(INITIAL_CAPACITY), growing: Box::default(), rehash_index: 0, entries: 0 }
    }

    #[inline(always)]
    pub fn is_rehashing(&self) -> bool {
        !self.growing.is_empty()
    }

    /// The bucket that a hash belongs to.
    #[inline(always)]
    pub fn bucket(&mut self, hash: u32) -> &mut *mut E {
        // A capacity is a power of two and not 0.
        let index = hash as usize & (self.primary.len() - 1);
        if index >= self.rehash_index {
            &mut self.primary[index]
        } else {
            let index = hash as usize & (self.growing.len() - 1);
            &mut self.growing[index]
        }
    }

    /// Makes room for one more entry: begins to grow where the map is more than three quarters full. Returns the
    /// capacity of the new array, and how long it took to allocate.
    pub fn reserve(&mut self) -> Option<(usize, Duration)> {
        let capacity = self.primary.len();
        let is_full = self.entries > capacity / 2 + capacity / 4;
        if !is_full || self.is_rehashing() || capacity >= MAXIMUM_CAPACITY {
            return None;
        }
        let begin = Instant::now();
        self.growing = buckets(capacity * 2);
        Some((capacity * 2, begin.elapsed()))
    }

    /// Takes the next bucket that has to move out of the old array; none when all have moved.
    pub fn next_to_move(&mut self) -> Option<*mut E> {
        let head = std::mem::replace(self.primary.get_mut(self.rehash_index)?, null_mut());
        self.rehash_index += 1;
        Some(head)
    }

    /// The bucket of the new array that a hash belongs to.
    pub fn new_bucket(&mut self, hash: u32) -> &mut *mut E {
        let index = hash as usize & (self.growing.len() - 1);
        &mut self.growing[index]
    }

    /// Ends growing once every bucket has moved; how long it took to free the old array then.
    pub fn finish_rehash(&mut self) -> Option<Duration> {
        if self.rehash_index < self.primary.len() {
            return None;
        }
        let begin = Instant::now();
        self.primary = std::mem::take(&mut self.growing);
        self.rehash_index = 0;
        Some(begin.elapsed())
    }

    /// The heads of all chains.
    pub fn heads(&self) -> impl Iterator<Item = *mut E> {
        self.primary.iter().chain(&self.growing).copied().filter(|head| !head.is_null())
    }

    /// The head of a chain by its position over both arrays, null where a bucket is empty or has moved; none behind the
    /// last.
    pub fn chain_at(&self, position: usize) -> Option<*mut E> {
        let growing = || self.growing.get(position - self.primary.len());
        self.primary.get(position).or_else(growing).copied()
    }

    /// A copy of the buckets that have entries: the old array from where it has not moved, and the two parts of the
    /// new one that the others moved to.
    pub fn copy_buckets(&self) -> Box<[*mut E]> {
        if !self.is_rehashing() {
            return self.primary.clone();
        }
        let (moved, half) = (self.rehash_index, self.primary.len());
        [&self.primary[moved..], &self.growing[..moved], &self.growing[half..half + moved]].concat().into_boxed_slice()
    }

    /// Capacities of its arrays.
    pub fn capacities(&self) -> [usize; 2] {
        [self.primary.len(), self.growing.len()]
    }

    /// Elements of the array that Flink copies for a snapshot: at least one for each entry.
    pub fn snapshot_capacity(&self) -> usize {
        (self.rehash_index + self.primary.len()).max(self.entries)
    }
}
