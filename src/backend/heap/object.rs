//! What a table holds for an entry of each kind of state.

use std::io;

use crate::backend::encode_list;
use crate::backend::snapshot::damaged;
use crate::backend::stored::{encode_map_value, restore_list, restore_map_value, restore_value};
use crate::backend::ttl::{Census, Change};
use crate::state::{
    Codec, CodecError, CompositeKey, JVM_LIST, JVM_MAP, JVM_MAP_NODE, JvmSize, Key, Namespace, ObjectMap, StateResult,
    StateValue, UserKey, jvm_list_capacity, jvm_map_capacity, jvm_references,
};

/// An object of a state: how it enters the state digest, entry by entry as RocksDB stores it, and a checkpoint. A copy
/// of one is taken to have arrays as large as its own on a Java heap.
pub trait Object<K: Key, N: Namespace>: super::table::Stored + 'static {
    /// Visits the entries that RocksDB has in place of this object, with the fingerprint of each value. What has
    /// expired is left out.
    fn for_each(
        &self,
        key: &mut CompositeKey,
        namespace: &N,
        is_expired: IsExpired<'_>,
        visit: &mut dyn FnMut(&[u8], u64),
    );
    /// Counts what RocksDB would have in place of this object.
    fn count(&self, key: &mut CompositeKey, namespace: &N, is_expired: IsExpired<'_>, census: &mut Census);
    /// Whether a part of the object has expired.
    fn has_expired(&self, is_expired: IsExpired<'_>) -> bool;
    /// Drops what has expired: how many elements or entries that were, and whether nothing is left.
    fn expire(&mut self, is_expired: IsExpired<'_>) -> (u64, bool);
    /// Appends the object as Flink's serializer of the state writes it.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads an object from the front of `input`.
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError>;
    /// Visits the entries that RocksDB has in place of this object: key and value. `scratch` is emptied and used.
    ///
    /// # Errors
    /// `visit` fails.
    fn for_each_stored(
        &self,
        key: &mut CompositeKey,
        namespace: &N,
        scratch: &mut Vec<u8>,
        visit: VisitStored<'_>,
    ) -> io::Result<()>;
    /// The object that one such entry makes: from what stands behind its namespace, and its value.
    ///
    /// # Errors
    /// The bytes are no such entry.
    fn restore_stored(user_key: &[u8], value: &[u8]) -> StateResult<Self>;
    /// Takes in what another entry of the same object made; whether it was not there.
    fn absorb(&mut self, other: Self) -> bool;
}

/// Takes key and value of an entry as RocksDB keeps it.
pub type VisitStored<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> io::Result<()>;

/// Tells from the time of a last access whether its value has expired; what has no time never does.
pub type IsExpired<'a> = &'a dyn Fn(Option<i64>) -> bool;

/// What has no user key has no bytes behind its namespace.
fn no_user_key(bytes: &[u8]) -> StateResult<()> {
    if bytes.is_empty() { Ok(()) } else { Err(damaged("bytes follow the namespace of an entry")) }
}

fn encoded_bytes(value: &impl Codec) -> u64 {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes.len() as u64
}

/// An object that RocksDB stores as one value.
#[derive(Clone)]
pub struct Single<T>(pub T);

impl<T: JvmSize> JvmSize for Single<T> {
    #[inline(always)]
    fn jvm_bytes(&self) -> u64 {
        self.0.jvm_bytes()
    }
    fn jvm_objects(&self) -> u64 {
        self.0.jvm_objects()
    }
}

impl<K: Key, N: Namespace, T: StateValue> Object<K, N> for Single<T> {
    fn for_each(
        &self,
        key: &mut CompositeKey,
        namespace: &N,
        is_expired: IsExpired<'_>,
        visit: &mut dyn FnMut(&[u8], u64),
    ) {
        if !is_expired(self.0.last_access_ms()) {
            visit(key.with_namespace::<K, N>(namespace), self.0.fingerprint(&mut Vec::new()));
        }
    }
    fn count(&self, key: &mut CompositeKey, namespace: &N, is_expired: IsExpired<'_>, census: &mut Census) {
        let key = key.with_namespace::<K, N>(namespace).len() as u64;
        census.count(is_expired(self.0.last_access_ms()), key + encoded_bytes(&self.0));
    }
    fn has_expired(&self, is_expired: IsExpired<'_>) -> bool {
        is_expired(self.0.last_access_ms())
    }
    fn expire(&mut self, is_expired: IsExpired<'_>) -> (u64, bool) {
        let expired = is_expired(self.0.last_access_ms());
        (u64::from(expired), expired)
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        T::decode(input).map(Self)
    }
    fn for_each_stored(
        &self,
        key: &mut CompositeKey,
        namespace: &N,
        scratch: &mut Vec<u8>,
        visit: VisitStored<'_>,
    ) -> io::Result<()> {
        scratch.clear();
        self.0.encode(scratch);
        visit(key.with_namespace::<K, N>(namespace), scratch)
    }
    fn restore_stored(user_key: &[u8], value: &[u8]) -> StateResult<Self> {
        no_user_key(user_key)?;
        restore_value(value).map(Self)
    }
    fn absorb(&mut self, _: Self) -> bool {
        false
    }
}

/// A list, which RocksDB stores as its elements joined by a comma.
#[derive(Clone)]
pub struct List<T> {
    elements: Vec<T>,
    /// Capacity of the `ArrayList` in Flink.
    jvm_capacity: u32,
    /// Sum over the elements.
    jvm_element_bytes: u64,
}

impl<T: JvmSize> List<T> {
    /// A list that grew to these elements by appending.
    pub fn new(elements: Vec<T>) -> Self {
        let jvm_capacity = jvm_list_capacity(0, elements.len());
        let jvm_element_bytes = elements.iter().map(JvmSize::jvm_bytes).sum();
        Self { elements, jvm_capacity, jvm_element_bytes }
    }

    /// Its elements.
    #[inline(always)]
    pub fn elements(&self) -> &[T] {
        &self.elements
    }

    /// Changes the elements. A list never gives back the array that it grew to.
    pub fn modify<R>(&mut self, change: impl FnOnce(&mut Vec<T>) -> R) -> R {
        let result = change(&mut self.elements);
        self.jvm_capacity = jvm_list_capacity(self.jvm_capacity, self.elements.len());
        self.jvm_element_bytes = self.elements.iter().map(JvmSize::jvm_bytes).sum();
        result
    }

    /// Appends an element; returns what that allocates on a Java heap, bytes.
    #[inline(always)]
    pub fn push(&mut self, element: T) -> u64 {
        let mut allocated = element.jvm_bytes();
        self.jvm_element_bytes += allocated;
        self.elements.push(element);
        let capacity = jvm_list_capacity(self.jvm_capacity, self.elements.len());
        if capacity != self.jvm_capacity {
            allocated += jvm_references(u64::from(capacity));
            self.jvm_capacity = capacity;
        }
        allocated
    }

    /// Appends the elements of another list; returns what that allocates on a Java heap, bytes: the array where it
    /// grows, by half or to what is needed (`ArrayList.addAll`).
    pub fn append(&mut self, other: Self) -> u64 {
        self.jvm_element_bytes += other.jvm_element_bytes;
        self.elements.extend(other.elements);
        let length = self.elements.len() as u32;
        if length <= self.jvm_capacity {
            return 0;
        }
        self.jvm_capacity = length.max(self.jvm_capacity + (self.jvm_capacity >> 1));
        jvm_references(u64::from(self.jvm_capacity))
    }
}

impl<T: JvmSize> JvmSize for List<T> {
    #[inline(always)]
    fn jvm_bytes(&self) -> u64 {
        JVM_LIST + jvm_references(u64::from(self.jvm_capacity)) + self.jvm_element_bytes
    }
    fn jvm_objects(&self) -> u64 {
        2 + self.elements.iter().map(JvmSize::jvm_objects).sum::<u64>()
    }
}

impl<K: Key, N: Namespace, T: StateValue> Object<K, N> for List<T> {
    fn for_each(
        &self,
        key: &mut CompositeKey,
        namespace: &N,
        is_expired: IsExpired<'_>,
        visit: &mut dyn FnMut(&[u8], u64),
    ) {
        let live = self.elements.iter().filter(|element| !is_expired(element.last_access_ms()));
        if let Some(fingerprint) = crate::backend::list_fingerprint(live, &mut Vec::new()) {
            visit(key.with_namespace::<K, N>(namespace), fingerprint);
        }
    }
    /// The key counts for its first element, and a delimiter for every other one.
    fn count(&self, key: &mut CompositeKey, namespace: &N, is_expired: IsExpired<'_>, census: &mut Census) {
        let mut before = key.with_namespace::<K, N>(namespace).len() as u64;
        for element in &self.elements {
            census.count(is_expired(element.last_access_ms()), before + encoded_bytes(element));
            before = 1;
        }
    }
    fn has_expired(&self, is_expired: IsExpired<'_>) -> bool {
        self.elements.iter().any(|element| is_expired(element.last_access_ms()))
    }
    fn expire(&mut self, is_expired: IsExpired<'_>) -> (u64, bool) {
        let before = self.elements.len();
        self.modify(|elements| elements.retain(|element| !is_expired(element.last_access_ms())));
        ((before - self.elements.len()) as u64, self.elements.is_empty())
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.elements.encode(out);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Vec::decode(input).map(Self::new)
    }
    fn for_each_stored(
        &self,
        key: &mut CompositeKey,
        namespace: &N,
        scratch: &mut Vec<u8>,
        visit: VisitStored<'_>,
    ) -> io::Result<()> {
        if self.elements.is_empty() {
            return Ok(());
        }
        scratch.clear();
        encode_list(&self.elements, scratch);
        visit(key.with_namespace::<K, N>(namespace), scratch)
    }
    fn restore_stored(user_key: &[u8], value: &[u8]) -> StateResult<Self> {
        no_user_key(user_key)?;
        restore_list(value).map(Self::new)
    }
    fn absorb(&mut self, _: Self) -> bool {
        false
    }
}

/// A map, which RocksDB stores as one entry for each user key.
#[derive(Clone)]
pub struct Map<U, T> {
    entries: ObjectMap<U, T>,
    /// Capacity of the table of the `HashMap` in Flink.
    jvm_capacity: u32,
    /// Sum over the nodes with their keys and values.
    jvm_node_bytes: u64,
}

impl<U: UserKey, T: StateValue> Map<U, T> {
    /// A map that grew to these entries by insertion.
    pub fn new(entries: ObjectMap<U, T>) -> Self {
        let node = |(key, value): (&U, &T)| JVM_MAP_NODE + key.jvm_bytes() + value.jvm_bytes();
        let jvm_node_bytes = entries.iter().map(node).sum();
        Self { jvm_capacity: jvm_map_capacity(0, entries.len()), entries, jvm_node_bytes }
    }

    /// Its entries.
    #[inline(always)]
    pub fn entries(&self) -> &ObjectMap<U, T> {
        &self.entries
    }

    /// Puts a value; returns what that allocates on a Java heap, bytes.
    #[inline(always)]
    pub fn insert(&mut self, key: U, value: T) -> u64 {
        let (key_bytes, value_bytes) = (key.jvm_bytes(), value.jvm_bytes());
        if let Some(replaced) = self.entries.insert(key, value) {
            self.jvm_node_bytes = self.jvm_node_bytes + value_bytes - replaced.jvm_bytes();
            return key_bytes + value_bytes;
        }
        self.jvm_node_bytes += JVM_MAP_NODE + key_bytes + value_bytes;
        let capacity = jvm_map_capacity(self.jvm_capacity, self.entries.len());
        let grown = if capacity == self.jvm_capacity { 0 } else { jvm_references(u64::from(capacity)) };
        self.jvm_capacity = capacity;
        JVM_MAP_NODE + key_bytes + value_bytes + grown
    }

    /// Looks at every entry and does with it what `change` says.
    pub fn modify(&mut self, mut change: impl FnMut(&U, &mut T) -> Change) {
        let node_bytes = &mut self.jvm_node_bytes;
        self.entries.retain(|key, value| {
            let before = value.jvm_bytes();
            let is_kept = change(key, value) != Change::Remove;
            let gone = if is_kept { before } else { JVM_MAP_NODE + key.jvm_bytes() + before };
            let now = if is_kept { value.jvm_bytes() } else { 0 };
            *node_bytes = node_bytes.wrapping_add(now).wrapping_sub(gone);
            is_kept
        });
    }

    /// Looks at one entry and does with it what `change` says.
    pub fn modify_entry<R>(&mut self, key: &U, change: impl FnOnce(&mut T) -> (Change, R)) -> Option<R> {
        let value = self.entries.get_mut(key)?;
        let before = value.jvm_bytes();
        let (change, result) = change(value);
        self.jvm_node_bytes = self.jvm_node_bytes.wrapping_add(value.jvm_bytes()).wrapping_sub(before);
        if change == Change::Remove {
            self.remove(key);
        }
        Some(result)
    }

    /// Removes a user key.
    #[inline(always)]
    pub fn remove(&mut self, key: &U) {
        if let Some((key, value)) = self.entries.remove_entry(key) {
            self.jvm_node_bytes -= JVM_MAP_NODE + key.jvm_bytes() + value.jvm_bytes();
        }
    }
}

impl<U: JvmSize, T: JvmSize> JvmSize for Map<U, T> {
    #[inline(always)]
    fn jvm_bytes(&self) -> u64 {
        JVM_MAP + jvm_references(u64::from(self.jvm_capacity)) + self.jvm_node_bytes
    }
    fn jvm_objects(&self) -> u64 {
        let node = |(key, value): (&U, &T)| 1 + key.jvm_objects() + value.jvm_objects();
        2 + self.entries.iter().map(node).sum::<u64>()
    }
}

impl<K: Key, N: Namespace, U: UserKey, T: StateValue> Object<K, N> for Map<U, T> {
    fn count(&self, key: &mut CompositeKey, namespace: &N, is_expired: IsExpired<'_>, census: &mut Census) {
        for (user_key, value) in &self.entries {
            // A byte says that a value follows.
            let bytes = key.with_user_key::<K, N, U>(namespace, user_key).len() as u64 + 1 + encoded_bytes(value);
            census.count(is_expired(value.last_access_ms()), bytes);
        }
    }
    fn has_expired(&self, is_expired: IsExpired<'_>) -> bool {
        self.entries.values().any(|value| is_expired(value.last_access_ms()))
    }
    fn expire(&mut self, is_expired: IsExpired<'_>) -> (u64, bool) {
        let mut removed = 0;
        self.modify(|_, value| {
            let expired = is_expired(value.last_access_ms());
            removed += u64::from(expired);
            if expired { Change::Remove } else { Change::Keep }
        });
        (removed, self.entries.is_empty())
    }
    fn for_each(
        &self,
        key: &mut CompositeKey,
        namespace: &N,
        is_expired: IsExpired<'_>,
        visit: &mut dyn FnMut(&[u8], u64),
    ) {
        let mut scratch = Vec::new();
        for (user_key, value) in &self.entries {
            if is_expired(value.last_access_ms()) {
                continue;
            }
            let fingerprint = value.fingerprint(&mut scratch);
            visit(key.with_user_key::<K, N, U>(namespace, user_key), fingerprint);
        }
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.entries.encode(out);
    }
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        ObjectMap::decode(input).map(Self::new)
    }
    fn for_each_stored(
        &self,
        key: &mut CompositeKey,
        namespace: &N,
        scratch: &mut Vec<u8>,
        visit: VisitStored<'_>,
    ) -> io::Result<()> {
        for (user_key, value) in &self.entries {
            scratch.clear();
            encode_map_value(value, scratch);
            visit(key.with_user_key::<K, N, U>(namespace, user_key), scratch)?;
        }
        Ok(())
    }
    fn restore_stored(user_key: &[u8], value: &[u8]) -> StateResult<Self> {
        Ok(Self::new(ObjectMap::from_iter([(restore_value(user_key)?, restore_map_value(value)?)])))
    }
    fn absorb(&mut self, other: Self) -> bool {
        other.entries.into_iter().all(|(key, value)| {
            let is_new = !self.entries.contains_key(&key);
            self.insert(key, value);
            is_new
        })
    }
}
