//! The hit rate that a block cache of another size would have had, from what the cache of a trial is asked for.
//!
//! Caches of several sizes are simulated beside the real one, each as RocksDB's `LRUCache` works: shards by the hash of the
//! key, the list of a shard with a high-priority part that blocks enter by their priority or their second use, and pinned
//! entries by which write buffers are charged. What costs time is the number of blocks; where there are many of a kind,
//! only those count whose hash lies below a threshold, at a weight that makes up for the others (spatial sampling:
//! Waldspurger et al., *Efficient MRC Construction with SHARDS*, FAST 2015, and *Cache Modeling and Optimization using
//! Miniature Simulations*, ATC 2017). The threshold falls when more blocks are held than the model follows.
//!
//! The accesses are those of the trial. A cache of another size belongs to a pool with other write buffers, whose tree has
//! files of other sizes: that the model does not know.

mod cache;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::result::{CacheCurve, CachePoint};
use crate::state::mix;
use cache::{Block, Cache, flushed_at};

/// The sizes of the curve, in sixteenths of the present pool.
const SIXTEENTHS: [u64; 13] = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256];
/// Blocks of a kind that are followed one by one.
const MOST_BLOCKS: usize = 1 << 16;

/// What happens in a cache. The numbers are those of `pool.cc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheEvent {
    /// A block was asked for and found.
    Hit = 0,
    /// A block was asked for and not found.
    Miss = 1,
    /// A block was put in.
    Insert = 2,
    /// Write buffers were charged with an entry that stays until it is released.
    Reserve = 3,
    /// Such an entry was released.
    Release = 4,
}

/// The kinds of blocks, which are sampled apart: an index has few blocks, and all of them count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Data.
    Data = 0,
    /// Indexes, and parts of partitioned ones.
    Index = 1,
    /// Filters, and what finds their parts.
    Filter = 2,
    /// Everything else, which no counter of hits and misses has.
    Other = 3,
}

/// One event, of the entry whose key has this hash.
#[derive(Debug, Clone, Copy)]
pub struct CacheAccess {
    /// What happened.
    pub event: CacheEvent,
    /// The hash of the key by which the cache finds its shard.
    pub key_hash: u64,
    /// Its charge, bytes; 0 of a miss.
    pub bytes: u64,
    /// What the entry is.
    pub kind: BlockKind,
    /// Whether it enters the high-priority part at once.
    pub high_priority: bool,
}

/// The pool that the cache is part of (configured).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CacheGeometry {
    /// What caches and write buffers share, bytes.
    pub pool_bytes: u64,
    /// The share of it for write buffers.
    pub write_buffer_ratio: f64,
    /// The part of the cache for entries of high priority.
    pub high_priority_ratio: f64,
    /// The size of one write buffer, bytes: it is flushed at that size however large the pool is.
    pub write_buffer_size: u64,
}

/// Caches of several sizes that are asked for what one cache is asked for.
#[derive(Debug)]
pub struct CacheModel {
    ids: HashMap<u64, u32, foldhash::fast::FixedState>,
    blocks: Vec<Block>,
    free: Vec<u32>,
    /// By kind: how many blocks are followed, and the logarithm of one in how many that is.
    followed: [usize; 4],
    rarity: [u32; 4],
    caches: Vec<Cache>,
    /// What write buffers are charged with in the real cache, bytes, and the most that it was.
    reserved: u64,
    peak: u64,
    /// The size at which they are flushed, bytes.
    flushed_at: u64,
    /// The entries of the charge, by the hash of their keys: how many stand for each in every cache.
    charges: HashMap<u64, Vec<u16>, foldhash::fast::FixedState>,
    /// Blocks asked for since counting began, by kind; for how many those stand that were followed, and how many those were.
    asked: [u64; 4],
    weighed: [u64; 4],
    sampled: u64,
    evicted: Vec<u32>,
}

impl CacheModel {
    /// For the cache of a pool, before anything was asked of it.
    pub fn new(geometry: &CacheGeometry) -> Self {
        Self::with_sizes(geometry, &SIXTEENTHS)
    }

    fn with_sizes(geometry: &CacheGeometry, sixteenths: &[u64]) -> Self {
        Self {
            ids: HashMap::default(),
            blocks: Vec::new(),
            free: Vec::new(),
            followed: [0; 4],
            rarity: [0; 4],
            caches: sixteenths.iter().map(|&size| Cache::new(geometry, size)).collect(),
            reserved: 0,
            peak: 0,
            flushed_at: flushed_at(geometry.pool_bytes, geometry),
            charges: HashMap::default(),
            asked: [0; 4],
            weighed: [0; 4],
            sampled: 0,
            evicted: Vec::new(),
        }
    }

    /// What comes from here on counts. The caches stay as they are.
    pub fn begin_counting(&mut self) {
        (self.asked, self.weighed) = ([0; 4], [0; 4]);
        self.sampled = 0;
        self.caches.iter_mut().for_each(|cache| cache.hits = [0; 4]);
    }

    /// Takes in what happened in the real cache.
    pub fn hear(&mut self, access: CacheAccess) {
        let kind = access.kind as usize;
        self.asked[kind] += u64::from(matches!(access.event, CacheEvent::Hit | CacheEvent::Miss));
        match access.event {
            CacheEvent::Reserve => self.reserve(access),
            CacheEvent::Release => self.release(access),
            _ if !is_followed(access.key_hash, self.rarity[kind]) => {}
            CacheEvent::Hit | CacheEvent::Miss => self.ask(access),
            CacheEvent::Insert => self.insert(access),
        }
        self.forget_evicted();
    }

    fn ask(&mut self, access: CacheAccess) {
        let kind = access.kind as usize;
        let weight = 1 << self.rarity[kind];
        self.weighed[kind] += weight;
        self.sampled += 1;
        let id = match (self.ids.get(&access.key_hash), access.event) {
            (Some(&id), _) => id,
            (None, CacheEvent::Hit) => self.follow(access),
            // It is put in later, or not at all where a reader does not fill the cache.
            (None, _) => return,
        };
        for cache in &mut self.caches {
            if cache.holds(id) {
                cache.hits[kind] += weight;
                cache.touch(id, &self.blocks, &self.rarity);
            } else if access.event == CacheEvent::Hit {
                cache.put(id, &mut self.blocks, &self.rarity, &mut self.evicted);
            }
        }
        self.forget_unheld(id);
    }

    fn insert(&mut self, access: CacheAccess) {
        let id = self.ids.get(&access.key_hash).copied().unwrap_or_else(|| self.follow(access));
        for cache in &mut self.caches {
            if !cache.holds(id) {
                cache.put(id, &mut self.blocks, &self.rarity, &mut self.evicted);
            }
        }
        self.forget_unheld(id);
        let kind = access.kind as usize;
        if self.followed[kind] > MOST_BLOCKS {
            self.follow_fewer(kind);
        }
    }

    fn follow(&mut self, access: CacheAccess) -> u32 {
        let block = Block {
            key_hash: access.key_hash,
            bytes: u32::try_from(access.bytes).unwrap_or(u32::MAX),
            kind: access.kind as u8,
            high_priority: access.high_priority,
            held: 0,
        };
        let id = if let Some(id) = self.free.pop() {
            self.blocks[id as usize] = block;
            id
        } else {
            self.blocks.push(block);
            self.caches.iter_mut().for_each(Cache::add_block);
            (self.blocks.len() - 1) as u32
        };
        self.ids.insert(access.key_hash, id);
        self.followed[access.kind as usize] += 1;
        id
    }

    fn forget_unheld(&mut self, id: u32) {
        let Block { key_hash, kind, held, .. } = self.blocks[id as usize];
        if held == 0 && self.ids.get(&key_hash) == Some(&id) {
            self.ids.remove(&key_hash);
            self.followed[kind as usize] -= 1;
            self.free.push(id);
        }
    }

    fn forget_evicted(&mut self) {
        while let Some(id) = self.evicted.pop() {
            self.forget_unheld(id);
        }
    }

    /// Halves the share of blocks of a kind that are followed.
    fn follow_fewer(&mut self, kind: usize) {
        let rarity = self.rarity[kind] + 1;
        for (id, block) in self.blocks.iter_mut().enumerate().filter(|(_, block)| usize::from(block.kind) == kind) {
            let stays = is_followed(block.key_hash, rarity);
            let was_held = block.held > 0;
            let weight = block.weight(&self.rarity);
            for cache in self.caches.iter_mut().filter(|cache| cache.holds(id as u32)) {
                cache.reweigh(id as u32, (block.key_hash, weight), stays);
                block.held -= u16::from(!stays);
            }
            if was_held && !stays {
                self.evicted.push(id as u32);
            }
        }
        self.rarity[kind] = rarity;
    }

    /// Takes in what write buffers are charged with. A pool of another size flushes them at another size: the real charge is
    /// scaled, entry by entry, with all that it does over time.
    fn reserve(&mut self, access: CacheAccess) {
        self.reserved += access.bytes;
        self.peak = self.peak.max(self.reserved);
        let entries = self.caches.iter().map(|cache| cache.entries_for(access.key_hash, self.peak, self.flushed_at));
        let entries: Vec<u16> = entries.collect();
        for (cache, &entries) in self.caches.iter_mut().zip(&entries) {
            for place in 0..entries {
                let entry = (place_of(access.key_hash, place), access.bytes);
                cache.reserve(entry, (&mut self.blocks, &self.rarity), &mut self.evicted);
            }
        }
        self.charges.insert(access.key_hash, entries);
    }

    fn release(&mut self, access: CacheAccess) {
        let Some(entries) = self.charges.remove(&access.key_hash) else { return };
        self.reserved = self.reserved.saturating_sub(access.bytes);
        for (cache, entries) in self.caches.iter_mut().zip(entries) {
            (0..entries).for_each(|place| cache.release(place_of(access.key_hash, place), access.bytes));
        }
    }

    /// The curve of what was counted.
    pub fn curve(&self) -> CacheCurve {
        let [data, index, filter, _] = self.asked;
        let rate = |hits: u64, of: u64| hits as f64 / of.max(1) as f64;
        let point = |cache: &Cache| {
            let ([data_hits, index_hits, filter_hits, _], [of_data, of_index, of_filter, _]) =
                (cache.hits, self.weighed);
            let rates = (rate(data_hits, of_data), rate(index_hits + filter_hits, of_index + of_filter));
            CachePoint::new(cache.size, cache.is_present, rates, (data, index + filter))
        };
        CacheCurve {
            data_asked: data,
            index_asked: index + filter,
            sampled: self.sampled,
            measured_hit_rate: None,
            points: self.caches.iter().map(point).collect(),
        }
    }
}

/// The hash of one of the entries that stand for an entry of the real cache; the first is in the same shard.
fn place_of(key_hash: u64, place: u16) -> u64 {
    if place == 0 { key_hash } else { mix(key_hash, place.into()) }
}

/// Whether a block is one of those that are followed where one in 2^rarity is. The low bits of the hash choose the shard.
fn is_followed(key_hash: u64, rarity: u32) -> bool {
    rarity == 0 || key_hash >> (64 - rarity) == 0
}
