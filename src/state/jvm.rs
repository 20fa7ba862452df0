//! What objects take on the heap of a Java virtual machine, so that the state of a job can be weighed as Flink would
//! hold it: 64 bits, compressed references, 8-byte alignment, which holds below 32 GB of heap.
//!
//! An object has a header of 12 bytes, an array one of 16; a reference takes 4; everything is rounded up to 8. These
//! are the layouts of HotSpot, checked against class histograms of a running Flink to the byte.

use std::collections::HashMap;
use std::hash::BuildHasher;

use super::codec::Payload;

/// An entry of Flink's state map, `StateMapEntry`: header, 4 references, 3 ints.
pub const JVM_ENTRY: u64 = 40;
/// An `ArrayList` without its array.
pub const JVM_LIST: u64 = 24;
/// A `HashMap` without its table.
pub const JVM_MAP: u64 = 48;
/// A node of a `HashMap`.
pub const JVM_MAP_NODE: u64 = 32;
/// A timer, `TimerHeapInternalTimer`: header, its index in the queue, time, 2 references.
pub const JVM_TIMER: u64 = 32;
/// A boxed `Long` or `Double`.
pub const JVM_LONG: u64 = 24;

const fn align(bytes: u64) -> u64 {
    bytes.next_multiple_of(8)
}

/// An array of this many references, bytes.
pub const fn jvm_references(count: u64) -> u64 {
    align(16 + 4 * count)
}

/// A `byte[]` of this length, bytes.
pub const fn jvm_byte_array(len: u64) -> u64 {
    align(16 + len)
}

/// A `String`, with its array: Latin-1 text takes a byte for each character, other text two for each UTF-16 unit.
fn jvm_string(text: &str) -> u64 {
    let is_latin1 = text.is_ascii() || text.chars().all(|c| u32::from(c) < 0x100);
    let units = text.encode_utf16().count() as u64;
    24 + jvm_byte_array(if is_latin1 { units } else { 2 * units })
}

/// Capacity of an `ArrayList` that grew to this length by appending: 10, then half as much again.
pub const fn jvm_list_capacity(capacity: u32, len: usize) -> u32 {
    let mut capacity = capacity;
    while (capacity as usize) < len {
        capacity = if capacity < 10 { 10 } else { capacity + (capacity >> 1) };
    }
    capacity
}

/// Capacity of the table of a `HashMap` that grew to this size: 16, doubled when more than three quarters full.
pub const fn jvm_map_capacity(capacity: u32, len: usize) -> u32 {
    if len == 0 {
        return capacity;
    }
    let mut capacity = if capacity == 0 { 16 } else { capacity };
    while (capacity as usize) * 3 < len * 4 {
        capacity *= 2;
    }
    capacity
}

/// The heap of a Java virtual machine under G1, as Flink starts its TaskManagers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JvmHeap {
    /// Its size, `-Xmx`, bytes.
    pub bytes: u64,
}

/// What a process has on its heap beside the state, bytes: the least that was measured, of a bare process with the
/// classes of a backend. A TaskManager has more, and its user code.
pub const JVM_BASE: u64 = 11 << 20;

impl JvmHeap {
    /// The largest heap that the layout of objects holds for: above, references are no longer compressed.
    pub const MOST_BYTES: u64 = (32 << 30) - 1;

    /// Size of G1's regions: 1/2048 of the heap rounded up to a power of two, from 1 to 32 MiB.
    pub const fn region_bytes(self) -> u64 {
        let region = self.bytes.div_ceil(2048).next_power_of_two();
        if region < 1 << 20 {
            1 << 20
        } else if region > 32 << 20 {
            32 << 20
        } else {
            region
        }
    }

    /// An array of this many references; one of at least half a region takes whole regions.
    pub const fn references(self, count: u64) -> u64 {
        let bytes = jvm_references(count);
        if bytes >= self.region_bytes() / 2 { bytes.next_multiple_of(self.region_bytes()) } else { bytes }
    }

    /// The state that still works: all but the base and the two regions that G1 needs to evacuate into (the rule by
    /// which 56 runs were told right from wrong). Near it a JVM does little but collect.
    pub const fn room(self) -> u64 {
        self.bytes.saturating_sub(JVM_BASE + 2 * self.region_bytes())
    }
}

/// What a keyed state takes on the heap of a Java virtual machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeapUse {
    /// Bytes that are reachable, what only snapshots keep included.
    pub live_bytes: u64,
    /// Bytes that operations on the state have allocated so far: entries, objects, arrays, copies.
    pub allocated_bytes: u64,
    /// The bucket arrays in `live_bytes`.
    pub array_bytes: u64,
    /// Entries: objects of map states count once.
    pub entries: u64,
}

impl HeapUse {
    /// Adds the use of another state.
    pub fn add(&mut self, other: Self) {
        self.live_bytes += other.live_bytes;
        self.allocated_bytes += other.allocated_bytes;
        self.array_bytes += other.array_bytes;
        self.entries += other.entries;
    }
}

/// Something that has a size on the heap of a Java virtual machine.
pub trait JvmSize {
    /// Bytes of the object that Flink would hold in place of this one, and of all that only it refers to. The same
    /// for the same value, and cheap: it is asked on every write.
    fn jvm_bytes(&self) -> u64;

    /// How many objects that are. It may walk a collection: not for every write.
    fn jvm_objects(&self) -> u64 {
        u64::from(self.jvm_bytes() > 0)
    }
}

impl JvmSize for i64 {
    /// A boxed `Long`; those from -128 to 127 are shared.
    #[inline(always)]
    fn jvm_bytes(&self) -> u64 {
        if (-128..128).contains(self) { 0 } else { JVM_LONG }
    }
}

impl JvmSize for i32 {
    /// A boxed `Integer`; those from -128 to 127 are shared.
    #[inline]
    fn jvm_bytes(&self) -> u64 {
        if (-128..128).contains(self) { 0 } else { 16 }
    }
}

impl JvmSize for f64 {
    #[inline]
    fn jvm_bytes(&self) -> u64 {
        JVM_LONG
    }
}

impl JvmSize for bool {
    /// `Boolean.TRUE` and `Boolean.FALSE` are shared.
    #[inline]
    fn jvm_bytes(&self) -> u64 {
        0
    }
}

impl JvmSize for str {
    fn jvm_bytes(&self) -> u64 {
        jvm_string(self)
    }
    /// The string and its array.
    fn jvm_objects(&self) -> u64 {
        2
    }
}

impl JvmSize for String {
    fn jvm_bytes(&self) -> u64 {
        jvm_string(self)
    }
    fn jvm_objects(&self) -> u64 {
        self.as_str().jvm_objects()
    }
}

impl JvmSize for Payload {
    #[inline(always)]
    fn jvm_bytes(&self) -> u64 {
        jvm_byte_array(self.0.len() as u64)
    }
}

impl<A: JvmSize, B: JvmSize> JvmSize for (A, B) {
    /// A `Tuple2`: header and 2 references.
    #[inline]
    fn jvm_bytes(&self) -> u64 {
        align(12 + 2 * 4) + self.0.jvm_bytes() + self.1.jvm_bytes()
    }
    fn jvm_objects(&self) -> u64 {
        1 + self.0.jvm_objects() + self.1.jvm_objects()
    }
}

impl<A: JvmSize, B: JvmSize, C: JvmSize> JvmSize for (A, B, C) {
    /// A `Tuple3`: header and 3 references.
    #[inline]
    fn jvm_bytes(&self) -> u64 {
        align(12 + 3 * 4) + self.0.jvm_bytes() + self.1.jvm_bytes() + self.2.jvm_bytes()
    }
    fn jvm_objects(&self) -> u64 {
        1 + self.0.jvm_objects() + self.1.jvm_objects() + self.2.jvm_objects()
    }
}

/// Elements of a collection inside one value that are looked at; the rest is taken to be like them on average.
const LOOKED_AT: usize = 4;

/// The size of all elements, from the first few: walking a collection on every write would cost more than the write.
fn extrapolated(len: usize, sizes: impl Iterator<Item = u64>) -> u64 {
    let looked_at = len.min(LOOKED_AT) as u64;
    (sizes.take(LOOKED_AT).sum::<u64>() * len as u64).checked_div(looked_at).unwrap_or(0)
}

/// A list held as one value: an `ArrayList` that grew by appending.
impl<T: JvmSize> JvmSize for Vec<T> {
    fn jvm_bytes(&self) -> u64 {
        let array = jvm_references(u64::from(jvm_list_capacity(0, self.len())));
        JVM_LIST + array + extrapolated(self.len(), self.iter().map(JvmSize::jvm_bytes))
    }
    fn jvm_objects(&self) -> u64 {
        2 + extrapolated(self.len(), self.iter().map(JvmSize::jvm_objects))
    }
}

/// A map held as one value: a `HashMap` that grew by insertion, whose table is made with its first entry.
impl<K: JvmSize, V: JvmSize, S: BuildHasher> JvmSize for HashMap<K, V, S> {
    fn jvm_bytes(&self) -> u64 {
        let table = match jvm_map_capacity(0, self.len()) {
            0 => 0,
            capacity => jvm_references(u64::from(capacity)),
        };
        let nodes = self.iter().map(|(key, value)| JVM_MAP_NODE + key.jvm_bytes() + value.jvm_bytes());
        JVM_MAP + table + extrapolated(self.len(), nodes)
    }
    fn jvm_objects(&self) -> u64 {
        let nodes = self.iter().map(|(key, value)| 1 + key.jvm_objects() + value.jvm_objects());
        1 + u64::from(!self.is_empty()) + extrapolated(self.len(), nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_as_large_as_in_hotspot() {
        assert_eq!([127, 128, -128, -129].map(|n: i64| n.jvm_bytes()), [0, 24, 0, 24]);
        assert_eq!([0, 1_000].map(|n: i32| n.jvm_bytes()), [0, 16]);
        assert_eq!([0, 7, 8, 9, 100].map(|len| Payload(vec![0; len].into()).jvm_bytes()), [16, 24, 24, 32, 120]);
        // 16 Latin-1 characters: the string key of 56 bytes that was measured.
        assert_eq!("0123456789abcdef".jvm_bytes(), 56);
        assert_eq!("é".repeat(16).jvm_bytes(), 56);
        assert_eq!("中".repeat(16).jvm_bytes(), 72);
        assert_eq!((1_i64, 1_000_i64).jvm_bytes(), 48);
        assert_eq!([127, 128].map(|n: i64| n.jvm_objects()), [0, 1]);
        assert_eq!(("text".to_owned(), 1_000_i64, true).jvm_objects(), 4);
        assert_eq!((1_000_i64, 1_000_i64, i64::MIN).jvm_bytes(), 96);
    }

    #[test]
    fn collections_grow_as_in_java() {
        let list = [0, 1, 10, 11, 16, 23, 34].map(|len| jvm_list_capacity(0, len));
        assert_eq!(list, [0, 10, 10, 15, 22, 33, 49]);
        let map = [0, 1, 12, 13, 24, 25, 48, 49].map(|len| jvm_map_capacity(0, len));
        assert_eq!(map, [0, 16, 16, 32, 32, 64, 64, 128]);
        // A table never shrinks.
        assert_eq!((jvm_map_capacity(64, 1), jvm_list_capacity(33, 1)), (64, 33));
        assert_eq!(Vec::<i64>::new().jvm_bytes(), 24 + 16);
        assert_eq!(vec![1_000_i64; 20].jvm_bytes(), 24 + 104 + 20 * 24);
        assert_eq!(vec![1_000_i64; 20].jvm_objects(), 22);
        let map: HashMap<i64, i64> = (1_000..1_010).map(|n| (n, n)).collect();
        assert_eq!(map.jvm_bytes(), 48 + 80 + 10 * (32 + 24 + 24));
        assert_eq!(map.jvm_objects(), 2 + 30);
        assert_eq!(HashMap::<i64, i64>::new().jvm_bytes(), 48);
    }
}
