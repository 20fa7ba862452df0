//! What a database tells of itself: memory, shape, counters.

use std::sync::Arc;

use rocksdb::Options as DbOptions;
use rocksdb::statistics::Ticker;

use super::family::Family;
use super::{RocksDbBackend, State, storage};
use crate::backend::{Observed, StoreEpisode};
use crate::measure::Conditions;
use crate::result::{
    CacheCurve, CachedRole, LevelShape, StoreBudget, StoreCounters, StoreSample, StoreShape, StoreUse,
};
use crate::state::{Key, StateResult};
use crate::workload::ROCKSDB_LEVELS;

/// The tickers, read when the database counts.
pub(super) fn counters(options: &DbOptions) -> StoreCounters {
    let count = |ticker| options.get_ticker_count(ticker);
    StoreCounters {
        lookups: count(Ticker::NumberKeysRead),
        data_hits: count(Ticker::BlockCacheDataHit),
        data_misses: count(Ticker::BlockCacheDataMiss),
        index_hits: count(Ticker::BlockCacheIndexHit),
        index_misses: count(Ticker::BlockCacheIndexMiss),
        index_read_bytes: count(Ticker::BlockCacheIndexBytesInsert),
        filter_hits: count(Ticker::BlockCacheFilterHit),
        filter_misses: count(Ticker::BlockCacheFilterMiss),
        filter_read_bytes: count(Ticker::BlockCacheFilterBytesInsert),
        bloom_useful: count(Ticker::BloomFilterUseful),
        written_bytes: count(Ticker::BytesWritten),
        flush_bytes: count(Ticker::FlushWriteBytes),
        compaction_read_bytes: count(Ticker::CompactReadBytes),
        compaction_write_bytes: count(Ticker::CompactWriteBytes),
        stall_us: count(Ticker::StallMicros),
        memtable_hits: count(Ticker::MemtableHit),
        memtable_misses: count(Ticker::MemtableMiss),
        level0_hits: count(Ticker::GetHitL0),
        level1_hits: count(Ticker::GetHitL1),
        deeper_hits: count(Ticker::GetHitL2AndUp),
        data_read_bytes: count(Ticker::BlockCacheDataBytesInsert),
        returned_bytes: count(Ticker::BytesRead),
        seeks: count(Ticker::NumberDbSeek),
        nexts: count(Ticker::NumberDbNext),
        iterated_bytes: count(Ticker::IterBytesRead),
    }
}

impl<K: Key> RocksDbBackend<K> {
    /// The sum of a property over column families.
    fn sum_of(&self, property: &str) -> StateResult<u64> {
        let of = |state: &State| self.db.property_int_value_cf(&state.family, property).map_err(storage);
        self.states.iter().try_fold(0, |sum, state| Ok(sum + of(state)?.unwrap_or(0)))
    }

    /// A property of the whole database, asked of one column family; 0 where there is none yet.
    fn of_database(&self, property: &str) -> StateResult<u64> {
        let Some(state) = self.states.first() else { return Ok(0) };
        Ok(self.db.property_int_value_cf(&state.family, property).map_err(storage)?.unwrap_or(0))
    }

    fn text_of(&self, family: Family, property: &str) -> StateResult<String> {
        Ok(self.db.property_value_cf(&family, property).map_err(storage)?.unwrap_or_default())
    }

    fn levels(&self) -> StateResult<Vec<LevelShape>> {
        let mut levels = vec![LevelShape::default(); ROCKSDB_LEVELS];
        for file in self.db.live_files().map_err(storage)? {
            if let Some(level) = usize::try_from(file.level).ok().and_then(|level| levels.get_mut(level)) {
                level.files += 1;
                level.bytes += file.size as u64;
            }
        }
        let used = levels.iter().rposition(|level| level.files > 0).map_or(0, |last| last + 1);
        levels.truncate(used);
        Ok(levels)
    }
}

impl<K: Key> Observed for RocksDbBackend<K> {
    fn store_budget(&self) -> Option<StoreBudget> {
        self.memory.as_ref().map(|memory| memory.budget())
    }

    fn store_use(&self) -> StateResult<Option<StoreUse>> {
        let (cache_bytes, cache_pinned_bytes) = match &self.memory {
            Some(memory) => memory.cache_bytes(),
            None => (self.sum_of("rocksdb.block-cache-usage")?, self.sum_of("rocksdb.block-cache-pinned-usage")?),
        };
        Ok(Some(StoreUse {
            cache_bytes,
            cache_pinned_bytes,
            memtable_bytes: self.sum_of("rocksdb.cur-size-all-mem-tables")?,
            table_reader_bytes: self.sum_of("rocksdb.estimate-table-readers-mem")?,
        }))
    }

    fn begin_counting(&self) {
        self.memory.iter().for_each(|memory| memory.begin_counting());
    }

    fn cache_curve(&self) -> Option<CacheCurve> {
        self.memory.as_ref()?.cache_curve()
    }

    fn store_counters(&self) -> Option<StoreCounters> {
        self.counts.then(|| counters(&self.db_options))
    }

    fn store_shape(&self) -> StateResult<Option<StoreShape>> {
        let mut shape = StoreShape { levels: self.levels()?, ..StoreShape::default() };
        for (position, &State { family, .. }) in self.states.iter().enumerate() {
            let properties = self.text_of(family, "rocksdb.aggregated-table-properties")?;
            shape.index_bytes += figure(&properties, "index block size");
            shape.filter_bytes += figure(&properties, "filter block size");
            shape.data_bytes += figure(&properties, "data block size");
            shape.raw_bytes += figure(&properties, "raw key size") + figure(&properties, "raw value size");
            shape.data_blocks += figure(&properties, "# data blocks");
            if position == 0 || self.memory.is_none() {
                // Families of a pool share one cache.
                add_roles(&mut shape.cached, &self.text_of(family, "rocksdb.block-cache-entry-stats")?);
            }
        }
        Ok(Some(shape))
    }

    fn store_sample(&self) -> StateResult<Option<StoreSample>> {
        Ok(Some(StoreSample {
            used: self.store_use()?.unwrap_or_default(),
            level0_files: self.sum_of("rocksdb.num-files-at-level0")?,
            pending_compaction_bytes: self.sum_of("rocksdb.estimate-pending-compaction-bytes")?,
            delayed_write_rate_bytes_per_s: self.of_database("rocksdb.actual-delayed-write-rate")?,
            write_stopped: self.of_database("rocksdb.is-write-stopped")?,
            flush_pending: self.sum_of("rocksdb.mem-table-flush-pending")?,
            compaction_pending: self.sum_of("rocksdb.compaction-pending")?,
            running_flushes: self.of_database("rocksdb.num-running-flushes")?,
            running_compactions: self.of_database("rocksdb.num-running-compactions")?,
            estimated_keys: self.sum_of("rocksdb.estimate-num-keys")?,
            live_data_bytes: self.sum_of("rocksdb.estimate-live-data-size")?,
            table_file_bytes: self.sum_of("rocksdb.live-sst-files-size")?,
            counters: None,
        }))
    }

    fn conditions(&self) -> Option<Arc<Conditions>> {
        Some(Arc::clone(self.events.conditions()))
    }

    fn take_episodes(&self) -> (Vec<StoreEpisode>, u64) {
        self.events.take()
    }

    fn episodes_going_on(&self) -> Vec<StoreEpisode> {
        self.events.going_on()
    }
}

/// A figure of `name=value; name (note)=value; …`; 0 where a database without files has none.
fn figure(properties: &str, name: &str) -> u64 {
    let value = |property: &str| {
        let (found, value) = property.trim().split_once('=')?;
        let matches = found == name || found.strip_prefix(name).is_some_and(|note| note.starts_with(" ("));
        value.trim().parse().ok().filter(|_| matches)
    };
    properties.split(';').find_map(value).unwrap_or(0)
}

/// Adds up what a cache holds, told as `… portion): DataBlock(95,4.10 MB,0.5%) IndexBlock(…) …`.
fn add_roles(cached: &mut Vec<CachedRole>, text: &str) {
    let Some((_, roles)) = text.split_once("portion):") else { return };
    for part in roles.split(')') {
        let Some((role, figures)) = part.trim().split_once('(') else { continue };
        let mut figures = figures.split(',');
        let entries = figures.next().and_then(|count| count.parse().ok());
        let (Some(entries), Some(bytes)) = (entries, figures.next().and_then(human_bytes)) else { continue };
        match cached.iter_mut().find(|known| known.role == role) {
            Some(known) => {
                known.entries += entries;
                known.bytes += bytes;
            }
            None => cached.push(CachedRole { role: role.to_owned(), entries, bytes }),
        }
    }
}

/// RocksDB's `BytesToHumanString`: `417.50 KB`, two decimals, powers of 1024.
fn human_bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let exponent = ["B", "KB", "MB", "GB", "TB"].iter().position(|known| *known == unit)?;
    Some((number.parse::<f64>().ok()? * 1024_f64.powi(exponent as i32)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_their_whole_name() {
        let text = "# data blocks=7; # data blocks compression rejected=3; raw key size=80; \
                    index block size (user-key? 1, delta-value? 1)=33; filter block size=0";
        let of = |name| figure(text, name);
        assert_eq!([of("# data blocks"), of("raw key size"), of("index block size"), of("nothing")], [7, 80, 33, 0]);
    }

    #[test]
    fn roles_of_a_cache_add_up() {
        let text = "Block cache LRUCache@0x1#2 capacity: 53.33 MB\nBlock cache entry stats(count,size,portion): \
                    DataBlock(95,4.00 MB,7.5%) IndexBlock(2,512.00 KB,0.9%) WriteBuffer(3,768.00 KB,1%)\n";
        let mut cached = Vec::new();
        add_roles(&mut cached, text);
        add_roles(&mut cached, text);
        let index = cached.iter().find(|role| role.role == "IndexBlock").unwrap();
        assert_eq!((cached.len(), index.entries, index.bytes), (3, 4, 1 << 20));
    }
}
