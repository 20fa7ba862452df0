//! The table of one state on the heap: one map per key group, keyed by (key, namespace).

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;

use crate::state::{Key, Namespace, bit_mix};

/// One stored object with its full key.
struct Entry<K, N, V> {
    key: K,
    namespace: N,
    value: V,
}

/// Key, namespace and key group of an access.
pub(super) struct Place<'a, K, N> {
    pub key: &'a K,
    pub namespace: &'a N,
    /// Position of the key group in the range that the subtask owns.
    pub group: usize,
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
    /// The hash is Flink's, `bitMix(key.hashCode ^ namespace.hashCode)`, spread over 64 bits: the map takes its
    /// seven tag bits from the top.
    #[inline]
    pub fn new(key: &'a K, namespace: &'a N, group: usize) -> Self {
        Self { key, namespace, group, hash: Self::hash_of(key, namespace) }
    }

    #[inline]
    fn hash_of(key: &K, namespace: &N) -> u64 {
        u64::from(bit_mix((key.hash_code() ^ namespace.hash_code()) as u32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Objects of one state, by key group.
pub(super) struct StateTable<K, N, V> {
    groups: Vec<HashTable<Entry<K, N, V>>>,
}

impl<K: Key, N: Namespace, V> StateTable<K, N, V> {
    pub fn new(key_groups: usize) -> Self {
        Self { groups: std::iter::repeat_with(HashTable::new).take(key_groups).collect() }
    }

    #[inline]
    fn is_at(place: Place<'_, K, N>) -> impl Fn(&Entry<K, N, V>) -> bool {
        move |entry| entry.key == *place.key && entry.namespace == *place.namespace
    }

    #[inline]
    pub fn get(&self, place: Place<'_, K, N>) -> Option<&V> {
        self.groups[place.group].find(place.hash, Self::is_at(place)).map(|entry| &entry.value)
    }

    #[inline]
    pub fn get_mut(&mut self, place: Place<'_, K, N>) -> Option<&mut V> {
        self.groups[place.group].find_mut(place.hash, Self::is_at(place)).map(|entry| &mut entry.value)
    }

    /// Combines `added` with the object at this place, or puts an object made from it there if it holds none: one
    /// look-up, as `StateTable.transform` in Flink.
    #[inline]
    pub fn transform<A>(
        &mut self,
        place: Place<'_, K, N>,
        added: A,
        make: impl FnOnce(A) -> V,
        combine: impl FnOnce(&mut V, A),
    ) {
        let rehash = |entry: &Entry<K, N, V>| Place::<K, N>::hash_of(&entry.key, &entry.namespace);
        match self.groups[place.group].entry(place.hash, Self::is_at(place), rehash) {
            Slot::Occupied(mut slot) => combine(&mut slot.get_mut().value, added),
            Slot::Vacant(slot) => {
                let value = make(added);
                slot.insert(Entry { key: place.key.clone(), namespace: place.namespace.clone(), value });
            }
        }
    }

    /// Puts an object, in place of the one that is there.
    #[inline]
    pub fn put(&mut self, place: Place<'_, K, N>, value: V) {
        self.transform(place, value, |value| value, |kept, value| *kept = value);
    }

    #[inline]
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
