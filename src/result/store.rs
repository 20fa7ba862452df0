//! What a RocksDB store used, what it looks like inside, and what it counted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The memory of a RocksDB store in a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreMemory {
    /// What was given and how it was divided (configured); none where each column family has a cache of its own.
    pub budget: Option<StoreBudget>,
    /// When it used most in the measured part, of about ten looks a second; of several databases each one's own moment.
    pub peak: StoreUse,
    /// At the end of the measured part.
    pub end: StoreUse,
}

/// The memory that the pools of a store were given, summed over pools (configured; read from RocksDB's own objects).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreBudget {
    /// Pools: one for each slot, or for each TaskManager.
    pub pools: u16,
    /// The budget, bytes.
    pub pool_bytes: u64,
    /// Capacity of the block caches, bytes. It is not a strict limit.
    pub cache_bytes: u64,
    /// Capacity of the write-buffer managers, charged to the caches, bytes.
    pub write_buffer_bytes: u64,
    /// The part of the caches that index and filter blocks may fill before others, bytes.
    pub high_priority_bytes: u64,
    /// Shards of one cache.
    pub cache_shards: u64,
    /// Capacity of one shard, bytes: what one block must fit into beside its neighbours.
    pub cache_shard_bytes: u64,
}

/// What a store used at one moment, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreUse {
    /// In block caches: blocks, and what write buffers are charged with.
    pub cache_bytes: u64,
    /// Of it pinned: what is in use, and the write buffers' charge.
    pub cache_pinned_bytes: u64,
    /// In memtables, active and immutable.
    pub memtable_bytes: u64,
    /// In table readers outside the cache: index and filter blocks where they are not cached.
    pub table_reader_bytes: u64,
}

impl StoreUse {
    /// What counts against the budget: the cache, with the memtables where they are more than the cache is charged
    /// with, and what readers keep outside it.
    pub fn total_bytes(&self) -> u64 {
        let uncharged = self.memtable_bytes.saturating_sub(self.cache_pinned_bytes);
        self.cache_bytes + uncharged + self.table_reader_bytes
    }

    /// The one that uses more in all.
    #[must_use]
    pub fn or_larger(self, other: Self) -> Self {
        if other.total_bytes() > self.total_bytes() { other } else { self }
    }

    /// The sum of each figure.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.fields_mut().into_iter().zip(other.fields()) {
            *mine += theirs;
        }
    }

    fn fields(&self) -> [u64; 4] {
        let Self { cache_bytes, cache_pinned_bytes, memtable_bytes, table_reader_bytes } = *self;
        [cache_bytes, cache_pinned_bytes, memtable_bytes, table_reader_bytes]
    }

    fn fields_mut(&mut self) -> [&mut u64; 4] {
        let Self { cache_bytes, cache_pinned_bytes, memtable_bytes, table_reader_bytes } = self;
        [cache_bytes, cache_pinned_bytes, memtable_bytes, table_reader_bytes]
    }
}

/// What a store looks like inside at the end of the measured part, summed over databases.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreShape {
    /// Table files by level, from level 0, without the empty levels at the end.
    pub levels: Vec<LevelShape>,
    /// Index blocks of all table files, bytes as stored.
    pub index_bytes: u64,
    /// Filter blocks of all table files, bytes as stored.
    pub filter_bytes: u64,
    /// Data blocks of all table files, bytes as stored.
    pub data_bytes: u64,
    /// Data blocks before compression: keys and values, bytes.
    pub raw_bytes: u64,
    /// Data blocks.
    pub data_blocks: u64,
    /// What the block caches hold, by role.
    pub cached: Vec<CachedRole>,
}

/// How much larger an index block is in the cache than in its file, where Snappy has compressed it: 877 KB against 574
/// KB were measured for long keys.
const INDEX_UNPACKED: f64 = 1.5;

impl StoreShape {
    /// The index block of the largest file in the cache if blocks are spread evenly over bytes, bytes: an estimate from the
    /// sums.
    pub fn largest_index_bytes(&self) -> u64 {
        let files: u64 = self.levels.iter().map(|level| level.files).sum();
        let bytes: u64 = self.levels.iter().map(|level| level.bytes).sum();
        let largest = self.levels.iter().map(|level| level.bytes / level.files.max(1)).max().unwrap_or(0);
        if files == 0 || bytes == 0 {
            0
        } else {
            (INDEX_UNPACKED * self.index_bytes as f64 * largest as f64 / bytes as f64) as u64
        }
    }
}

/// One level of the tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelShape {
    /// Table files.
    pub files: u64,
    /// Their size, bytes.
    pub bytes: u64,
}

/// Entries of one role in the block caches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CachedRole {
    /// RocksDB's name of the role, such as `DataBlock`.
    pub role: String,
    /// Entries.
    pub entries: u64,
    /// Their charge, bytes.
    pub bytes: u64,
}

/// What RocksDB counted over the measured part. Its Statistics slow reads down, so only companion trials have it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreCounters {
    /// Keys looked up.
    pub lookups: u64,
    /// Data blocks found in the cache.
    pub data_hits: u64,
    /// Data blocks read from files.
    pub data_misses: u64,
    /// Index blocks found in the cache.
    pub index_hits: u64,
    /// Index blocks read from files.
    pub index_misses: u64,
    /// Bytes of index blocks read into the cache, uncompressed.
    pub index_read_bytes: u64,
    /// Filter blocks found in the cache.
    pub filter_hits: u64,
    /// Filter blocks read from files.
    pub filter_misses: u64,
    /// Bytes of filter blocks read into the cache.
    pub filter_read_bytes: u64,
    /// Files that a bloom filter ruled out.
    pub bloom_useful: u64,
    /// Bytes that the workload wrote.
    pub written_bytes: u64,
    /// Bytes that flushes wrote.
    pub flush_bytes: u64,
    /// Bytes that compactions read.
    pub compaction_read_bytes: u64,
    /// Bytes that compactions wrote.
    pub compaction_write_bytes: u64,
    /// Time that writers were held back, µs.
    pub stall_us: u64,
    /// Lookups that a memtable answered.
    #[serde(default)]
    pub memtable_hits: u64,
    /// Lookups that no memtable answered.
    #[serde(default)]
    pub memtable_misses: u64,
    /// Lookups that a file of level 0 answered.
    #[serde(default)]
    pub level0_hits: u64,
    /// Lookups that a file of level 1 answered.
    #[serde(default)]
    pub level1_hits: u64,
    /// Lookups that a file of level 2 or below answered.
    #[serde(default)]
    pub deeper_hits: u64,
    /// Bytes of data blocks read into the cache, uncompressed.
    #[serde(default)]
    pub data_read_bytes: u64,
    /// Bytes that lookups returned.
    #[serde(default)]
    pub returned_bytes: u64,
    /// Seeks of iterators.
    #[serde(default)]
    pub seeks: u64,
    /// Steps of iterators.
    #[serde(default)]
    pub nexts: u64,
    /// Bytes that iterators returned.
    #[serde(default)]
    pub iterated_bytes: u64,
}

/// A block that is read for fewer lookups than one in this many is not what makes a trial slow.
const INDEX_READS_THAT_MATTER: f64 = 0.01;

impl StoreCounters {
    /// What was counted between `before` and this reading, and in another database.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        self.combine(before, u64::saturating_sub)
    }

    /// The sum with those of another database.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.combine(other, u64::saturating_add)
    }

    fn combine(&self, other: &Self, f: fn(u64, u64) -> u64) -> Self {
        macro_rules! each {
            ($($field:ident),*) => { Self { $($field: f(self.$field, other.$field)),* } };
        }
        each!(
            lookups,
            data_hits,
            data_misses,
            index_hits,
            index_misses,
            index_read_bytes,
            filter_hits,
            filter_misses,
            filter_read_bytes,
            bloom_useful,
            written_bytes,
            flush_bytes,
            compaction_read_bytes,
            compaction_write_bytes,
            stall_us,
            memtable_hits,
            memtable_misses,
            level0_hits,
            level1_hits,
            deeper_hits,
            data_read_bytes,
            returned_bytes,
            seeks,
            nexts,
            iterated_bytes
        )
    }

    /// Blocks of any kind found in the cache over those asked for; none where none was asked for.
    pub fn cache_hit_rate(&self) -> Option<f64> {
        let hits = self.data_hits + self.index_hits + self.filter_hits;
        let asked = hits + self.data_misses + self.index_misses + self.filter_misses;
        (asked > 0).then(|| hits as f64 / asked as f64)
    }

    /// Bytes that flushes and compactions wrote over those that the workload wrote.
    pub fn write_amplification(&self) -> Option<f64> {
        let to_disk = self.flush_bytes + self.compaction_write_bytes;
        (self.written_bytes > 0).then(|| to_disk as f64 / self.written_bytes as f64)
    }

    /// Whether index blocks are read from files so often that it makes a trial slow.
    pub fn reads_index_often(&self) -> bool {
        self.index_reads_per_lookup().is_some_and(|reads| reads >= INDEX_READS_THAT_MATTER)
    }

    /// Bytes of blocks read from files over those that lookups and iterators returned.
    pub fn read_amplification(&self) -> Option<f64> {
        let read = self.data_read_bytes + self.index_read_bytes + self.filter_read_bytes;
        let returned = self.returned_bytes + self.iterated_bytes;
        (returned > 0).then(|| read as f64 / returned as f64)
    }

    /// Index blocks read from files for each lookup.
    pub fn index_reads_per_lookup(&self) -> Option<f64> {
        (self.lookups > 0).then(|| self.index_misses as f64 / self.lookups as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_come_from_what_was_counted_in_between() {
        let before = StoreCounters { data_hits: 10, lookups: 5, written_bytes: 7, ..StoreCounters::default() };
        let after = StoreCounters {
            data_hits: 85,
            data_misses: 20,
            index_misses: 5,
            lookups: 15,
            written_bytes: 107,
            flush_bytes: 50,
            compaction_write_bytes: 100,
            ..StoreCounters::default()
        };
        let counted = after.since(&before);
        assert_eq!(counted.cache_hit_rate(), Some(0.75));
        assert_eq!(counted.write_amplification(), Some(1.5));
        assert_eq!(counted.index_reads_per_lookup(), Some(0.5));
        assert_eq!(StoreCounters::default().cache_hit_rate(), None);
        assert_eq!(before.plus(&counted), after);
    }

    #[test]
    fn memtables_count_once() {
        let used = StoreUse { cache_bytes: 100, cache_pinned_bytes: 60, memtable_bytes: 70, table_reader_bytes: 5 };
        assert_eq!(used.total_bytes(), 115);
        let larger = StoreUse { cache_bytes: 90, memtable_bytes: 80, ..StoreUse::default() };
        assert_eq!(used.or_larger(larger), larger);
        assert_eq!(larger.or_larger(used), larger);
    }
}
