//! One simulated cache: RocksDB's `LRUCache` of some size, by the blocks that the model follows.

use super::CacheGeometry;
use crate::result::PoolSize;
use crate::workload::{cache_shards, divide_pool};

/// Sixteenths of a pool's size that are all of it.
const PRESENT: u64 = 16;
/// What the cache takes for an entry beside the block: RocksDB's handle with a key of 16 bytes, as jemalloc rounds it.
const ENTRY_BYTES: u64 = 96;
/// The share of its capacity at which a write-buffer manager has a write buffer flushed.
const MUTABLE_SHARE: f64 = 7.0 / 8.0;

/// A write buffer takes memory in pieces of an eighth of its size, at most of this: no pool has less.
const MAX_ARENA_BLOCK: u64 = 1 << 20;
/// The share of the size of a flush from which on write buffers were full.
const FULL: f64 = 0.8;

/// A block that the model follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub key_hash: u64,
    pub bytes: u32,
    pub kind: u8,
    pub high_priority: bool,
    /// Caches that hold it.
    pub held: u16,
}

impl Block {
    /// What it takes of a cache, with the blocks that it stands for, bytes.
    pub fn weight(&self, rarity: &[u32; 4]) -> u64 {
        (u64::from(self.bytes) + ENTRY_BYTES) << rarity[usize::from(self.kind)]
    }
}

/// No block.
const NONE: u32 = u32::MAX;

/// A block's place in the lists of a cache.
#[derive(Debug, Clone, Copy)]
struct Node {
    newer: u32,
    older: u32,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    High,
    Low,
}

impl Default for Node {
    fn default() -> Self {
        Self { newer: NONE, older: NONE, place: Place::Nowhere }
    }
}

/// Blocks by their last use.
#[derive(Debug, Clone, Copy)]
struct List {
    newest: u32,
    oldest: u32,
    bytes: u64,
}

impl Default for List {
    fn default() -> Self {
        Self { newest: NONE, oldest: NONE, bytes: 0 }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Shard {
    high: List,
    low: List,
    reserved: u64,
}

/// A cache of one size.
#[derive(Debug)]
pub(super) struct Cache {
    pub size: PoolSize,
    /// Whether that is the size of the real one.
    pub is_present: bool,
    shards: Vec<Shard>,
    /// Of a shard, bytes.
    capacity: u64,
    high_capacity: u64,
    has_high: bool,
    nodes: Vec<Node>,
    /// Blocks found since counting began, by kind.
    pub hits: [u64; 4],
    /// Bytes of write buffers at which a pool of this size has them flushed.
    flushed_at: u64,
}

/// Bytes of write buffers at which one of them is flushed in a pool of this size.
pub(super) fn flushed_at(pool_bytes: u64, geometry: &CacheGeometry) -> u64 {
    let (_, buffers) = divide_pool(pool_bytes, geometry.write_buffer_ratio);
    let least = (geometry.write_buffer_size / 8).clamp(1, MAX_ARENA_BLOCK);
    ((MUTABLE_SHARE * buffers as f64) as u64).min(geometry.write_buffer_size).max(least)
}

impl Cache {
    /// One of so many sixteenths of the real cache's pool.
    pub fn new(geometry: &CacheGeometry, sixteenths: u64) -> Self {
        let pool_bytes = (u128::from(geometry.pool_bytes) * u128::from(sixteenths) / u128::from(PRESENT)) as u64;
        let (cache_bytes, _) = divide_pool(pool_bytes, geometry.write_buffer_ratio);
        let shards = cache_shards(cache_bytes);
        let capacity = cache_bytes.div_ceil(shards);
        Self {
            size: PoolSize { pool_bytes, cache_bytes },
            is_present: sixteenths == PRESENT,
            shards: vec![Shard::default(); shards as usize],
            capacity,
            high_capacity: (capacity as f64 * geometry.high_priority_ratio) as u64,
            has_high: geometry.high_priority_ratio > 0.0,
            nodes: Vec::new(),
            hits: [0; 4],
            flushed_at: flushed_at(pool_bytes, geometry),
        }
    }

    /// Takes notice of another block.
    pub fn add_block(&mut self) {
        self.nodes.push(Node::default());
    }

    pub fn holds(&self, id: u32) -> bool {
        self.nodes[id as usize].place != Place::Nowhere
    }

    /// RocksDB takes the low 32 bits of the hash, and as many of those as it has shards.
    fn shard_of(&self, key_hash: u64) -> usize {
        (key_hash as u32 as usize) & (self.shards.len() - 1)
    }

    /// A block that was found: with its second use it enters the high-priority part.
    pub fn touch(&mut self, id: u32, blocks: &[Block], rarity: &[u32; 4]) {
        let (shard, weight) = (self.shard_of(blocks[id as usize].key_hash), blocks[id as usize].weight(rarity));
        self.unlink(shard, id, weight);
        self.link(shard, id, weight, if self.has_high { Place::High } else { Place::Low });
        self.maintain(shard, blocks, rarity);
    }

    /// A block that is not there is put in, for which the oldest ones go. One that does not fit goes at once.
    pub fn put(&mut self, id: u32, blocks: &mut [Block], rarity: &[u32; 4], evicted: &mut Vec<u32>) {
        let block = blocks[id as usize];
        let (shard, weight) = (self.shard_of(block.key_hash), block.weight(rarity));
        self.evict(shard, weight, (blocks, rarity), evicted);
        if self.used(shard) + weight > self.capacity {
            return;
        }
        self.link(shard, id, weight, if self.has_high && block.high_priority { Place::High } else { Place::Low });
        blocks[id as usize].held += 1;
        self.maintain(shard, blocks, rarity);
    }

    fn used(&self, shard: usize) -> u64 {
        let Shard { high, low, reserved } = &self.shards[shard];
        high.bytes + low.bytes + reserved
    }

    /// Makes room, as far as that can be.
    fn evict(&mut self, shard: usize, room: u64, (blocks, rarity): (&mut [Block], &[u32; 4]), evicted: &mut Vec<u32>) {
        while self.used(shard) + room > self.capacity {
            let Shard { high, low, .. } = &self.shards[shard];
            let oldest = if low.oldest == NONE { high.oldest } else { low.oldest };
            if oldest == NONE {
                return;
            }
            self.unlink(shard, oldest, blocks[oldest as usize].weight(rarity));
            let block = &mut blocks[oldest as usize];
            block.held -= 1;
            if block.held == 0 {
                evicted.push(oldest);
            }
        }
    }

    /// What the high-priority part has too much goes on in the other one.
    fn maintain(&mut self, shard: usize, blocks: &[Block], rarity: &[u32; 4]) {
        while self.shards[shard].high.bytes > self.high_capacity {
            let oldest = self.shards[shard].high.oldest;
            let weight = blocks[oldest as usize].weight(rarity);
            self.unlink(shard, oldest, weight);
            self.link(shard, oldest, weight, Place::Low);
        }
    }

    /// Write buffers are charged with an entry that cannot go.
    pub fn reserve(
        &mut self,
        (key_hash, bytes): (u64, u64),
        blocks: (&mut [Block], &[u32; 4]),
        evicted: &mut Vec<u32>,
    ) {
        let shard = self.shard_of(key_hash);
        self.evict(shard, bytes, blocks, evicted);
        self.shards[shard].reserved += bytes;
    }

    /// Such an entry is released.
    pub fn release(&mut self, key_hash: u64, bytes: u64) {
        let shard = self.shard_of(key_hash);
        self.shards[shard].reserved = self.shards[shard].reserved.saturating_sub(bytes);
    }

    /// How many entries stand for one of the real cache's charge, of which the most was `peak` bytes and which is flushed at
    /// `present` bytes there. Write buffers that are never full are as large in a larger pool.
    pub fn entries_for(&self, key_hash: u64, peak: u64, present: u64) -> u16 {
        let (own, present, peak) = (self.flushed_at as f64, present as f64, peak as f64);
        let scale = if self.is_present {
            1.0
        } else if peak >= FULL * present {
            own / present
        } else {
            (own / peak.max(1.0)).min(1.0)
        };
        // Of a part of an entry the hash decides whether there is one.
        let chance = (key_hash >> 32) as f64 / f64::from(u32::MAX);
        (scale + chance).floor().clamp(0.0, f64::from(u16::MAX)) as u16
    }

    /// A block stands for twice as many others as before, or is no longer followed.
    pub fn reweigh(&mut self, id: u32, (key_hash, weight): (u64, u64), stays: bool) {
        let shard = self.shard_of(key_hash);
        if stays {
            let place = self.nodes[id as usize].place;
            self.list(shard, place).bytes += weight;
        } else {
            self.unlink(shard, id, weight);
        }
    }

    fn list(&mut self, shard: usize, place: Place) -> &mut List {
        let shard = &mut self.shards[shard];
        if place == Place::High { &mut shard.high } else { &mut shard.low }
    }

    fn link(&mut self, shard: usize, id: u32, weight: u64, place: Place) {
        let list = self.list(shard, place);
        list.bytes += weight;
        let older = std::mem::replace(&mut list.newest, id);
        if older == NONE {
            list.oldest = id;
        } else {
            self.nodes[older as usize].newer = id;
        }
        self.nodes[id as usize] = Node { newer: NONE, older, place };
    }

    fn unlink(&mut self, shard: usize, id: u32, weight: u64) {
        let Node { newer, older, place } = std::mem::take(&mut self.nodes[id as usize]);
        let list = self.list(shard, place);
        list.bytes -= weight;
        if newer == NONE {
            list.newest = older;
        }
        if older == NONE {
            list.oldest = newer;
        }
        if newer != NONE {
            self.nodes[newer as usize].older = older;
        }
        if older != NONE {
            self.nodes[older as usize].newer = newer;
        }
    }
}
