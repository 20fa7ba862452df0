//! The table of one state on the heap: one map per key group, keyed by (key, namespace).

use hashbrown::HashTable;

use crate::state::{Key, Namespace, bit_mix};

/// One stored object with its full key.
struct Entry<K, N, V> {
    key: K,
    namespace: N,
    value: V,
}

/// Key, namespace and key group of an access.
pub struct Place<'a, K, N> {
    key: &'a K,
    namespace: &'a N,
    group: usize,
    /// The hash of key and namespace.
    hash: u64,
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
        Self { key, namespace, group, hash: spread(hash_code, namespace) }
    }
}

/// Flink's hash of an entry, `bitMix(key.hashCode ^ namespace.hashCode)`, spread over 64 bits: the map takes its seven
/// tag bits from the top.
#[inline(always)]
fn spread<N: Namespace>(hash_code: i32, namespace: &N) -> u64 {
    u64::from(bit_mix((hash_code ^ namespace.hash_code()) as u32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Objects of one state, by key group.
pub struct StateTable<K, N, V> {
    groups: Vec<HashTable<Entry<K, N, V>>>,
}

impl<K: Key, N: Namespace, V> StateTable<K, N, V> {
    /// An empty table for this many key groups.
    pub fn new(key_groups: usize) -> Self {
        Self { groups: std::iter::repeat_with(HashTable::new).take(key_groups).collect() }
    }

    #[inline(always)]
    fn is_at(place: Place<'_, K, N>) -> impl Fn(&Entry<K, N, V>) -> bool {
        move |entry| entry.key == *place.key && entry.namespace == *place.namespace
    }

    /// The object at this place.
    #[inline(always)]
    pub fn get(&self, place: Place<'_, K, N>) -> Option<&V> {
        self.groups[place.group].find(place.hash, Self::is_at(place)).map(|entry| &entry.value)
    }

    /// The object at this place, to be changed.
    #[inline(always)]
    pub fn get_mut(&mut self, place: Place<'_, K, N>) -> Option<&mut V> {
        self.groups[place.group].find_mut(place.hash, Self::is_at(place)).map(|entry| &mut entry.value)
    }

    /// Combines `added` with the object at this place, or puts an object made from it there if it holds none: one
    /// look-up where there is one, as `StateTable.transform` in Flink.
    #[inline(always)]
    pub fn transform<A>(
        &mut self,
        place: Place<'_, K, N>,
        added: A,
        make: impl FnOnce(A) -> V,
        combine: impl FnOnce(&mut V, A),
    ) {
        match self.groups[place.group].find_mut(place.hash, Self::is_at(place)) {
            Some(entry) => combine(&mut entry.value, added),
            None => self.insert(place, make(added)),
        }
    }

    /// Inserts an entry that is not there.
    #[inline(never)]
    fn insert(&mut self, place: Place<'_, K, N>, value: V) {
        let entry = Entry { key: place.key.clone(), namespace: place.namespace.clone(), value };
        let rehash = |entry: &Entry<K, N, V>| spread(entry.key.hash_code(), &entry.namespace);
        self.groups[place.group].insert_unique(place.hash, entry, rehash);
    }

    /// Puts an object, in place of the one that is there.
    #[inline(always)]
    pub fn put(&mut self, place: Place<'_, K, N>, value: V) {
        self.transform(place, value, |value| value, |kept, value| *kept = value);
    }

    /// Removes the object at this place.
    #[inline(always)]
    pub fn remove(&mut self, place: Place<'_, K, N>) {
        if let Ok(slot) = self.groups[place.group].find_entry(place.hash, Self::is_at(place)) {
            slot.remove();
        }
    }

    /// Visits every entry: position of its key group, key, namespace, object.
    pub fn for_each(&self, mut visit: impl FnMut(usize, &K, &N, &V)) {
        for (group, table) in self.groups.iter().enumerate() {
            for entry in table {
                visit(group, &entry.key, &entry.namespace, &entry.value);
            }
        }
    }
}
