//! The memory that the databases of a slot, or of a TaskManager, share. The only place that speaks to `pool.cc`.

use std::ffi::{c_char, c_void};

use rocksdb::{AsRawPtr, Options as DbOptions};

use crate::result::StoreBudget;
use crate::state::{StateError, StateResult};
use crate::workload::{Options, divide_pool};

unsafe extern "C" {
    fn statebench_pool_create(cache_bytes: usize, high_priority_ratio: f64, write_buffer_bytes: usize) -> *mut c_void;
    fn statebench_pool_destroy(pool: *mut c_void);
    fn statebench_pool_apply(pool: *const c_void, options: *mut librocksdb_sys::rocksdb_options_t) -> bool;
    fn statebench_pool_cache_usage(pool: *const c_void) -> usize;
    fn statebench_pool_cache_pinned(pool: *const c_void) -> usize;
    fn statebench_pool_write_buffer_capacity(pool: *const c_void) -> usize;
    fn statebench_pool_describe(pool: *const c_void, out: *mut c_char, size: usize);
}

/// One block cache and one write-buffer manager charged to it, for every column family of every database of the pool.
pub struct SharedMemory {
    /// Never null; a reference-counted cache and manager of RocksDB's, which databases hold on to themselves.
    pool: *mut c_void,
    pool_bytes: u64,
}

// SAFETY: cache and write-buffer manager may be used from any thread; this handle only reads their counters.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// Divides the shared memory of a pool as Flink does; `None` where the options do not share memory.
    ///
    /// # Errors
    /// RocksDB makes no cache of that size.
    pub fn new(options: &Options) -> StateResult<Option<Self>> {
        let Some(pool) = options.memory_pool() else { return Ok(None) };
        let (cache_bytes, write_buffer_bytes) = divide_pool(pool.bytes, options.memory_write_buffer_ratio.0);
        let ratio = options.memory_high_prio_pool_ratio.0;
        // SAFETY: plain numbers; the result is owned by the handle made below.
        let created = unsafe { statebench_pool_create(cache_bytes as usize, ratio, write_buffer_bytes as usize) };
        if created.is_null() {
            return Err(StateError::Storage(format!("RocksDB makes no block cache of {cache_bytes} bytes")));
        }
        Ok(Some(Self { pool: created, pool_bytes: pool.bytes }))
    }

    /// Gives the pool to the options of a database or column family, whose table factory must be set before.
    pub(super) fn apply(&self, options: &mut DbOptions) -> StateResult<()> {
        // SAFETY: both handles are alive; the C++ side copies shared pointers into the options.
        let applied = unsafe { statebench_pool_apply(self.pool, options.as_raw_ptr()) };
        let refused = || StateError::Storage("the table factory takes no block cache".to_owned());
        applied.then_some(()).ok_or_else(refused)
    }

    /// Bytes in the cache, those that write buffers are charged with included; and of them those that are pinned.
    pub(super) fn cache_bytes(&self) -> (u64, u64) {
        // SAFETY: the handle is alive.
        unsafe { (statebench_pool_cache_usage(self.pool) as u64, statebench_pool_cache_pinned(self.pool) as u64) }
    }

    /// What the pool was divided into, as cache and manager tell it themselves.
    pub(super) fn budget(&self) -> StoreBudget {
        let text = self.describe();
        let figure = |name: &str| -> Option<f64> {
            let line = text.lines().map(str::trim).find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches([' ', ':', '=']).trim().parse().ok()
        };
        let cache_bytes = figure("capacity").unwrap_or(0.0) as u64;
        let cache_shards = 1_u64 << figure("num_shard_bits").unwrap_or(0.0).clamp(0.0, 20.0) as u32;
        StoreBudget {
            pools: 1,
            pool_bytes: self.pool_bytes,
            cache_bytes,
            // SAFETY: the handle is alive.
            write_buffer_bytes: unsafe { statebench_pool_write_buffer_capacity(self.pool) as u64 },
            high_priority_bytes: (cache_bytes as f64 * figure("high_pri_pool_ratio").unwrap_or(0.0)) as u64,
            cache_shards,
            cache_shard_bytes: cache_bytes.div_ceil(cache_shards),
        }
    }

    /// The cache's options in its own words.
    fn describe(&self) -> String {
        let mut text = vec![0_u8; 4096];
        // SAFETY: the buffer has the size that is passed; the C++ side ends the text with NUL inside it.
        unsafe { statebench_pool_describe(self.pool, text.as_mut_ptr().cast(), text.len()) };
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        String::from_utf8_lossy(&text[..end]).into_owned()
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: made by `statebench_pool_create` and destroyed once.
        unsafe { statebench_pool_destroy(self.pool) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(settings: &[(&str, &str)]) -> StoreBudget {
        let mut options = Options::default();
        settings.iter().for_each(|(key, value)| options.set(key, value).unwrap());
        SharedMemory::new(&options).unwrap().unwrap().budget()
    }

    /// 0.833 and 0.333 of the managed memory, as Flink prints for its default; RocksDB's shards are of 512 kb at least.
    #[test]
    fn the_cache_tells_the_division_of_flink() {
        let default = budget(&[]);
        assert_eq!((default.cache_bytes, default.write_buffer_bytes), (447_392_433, 178_956_973));
        assert_eq!(default.high_priority_bytes, 44_739_243);
        for (pool, shards) in [("8mb", 8), ("16mb", 16), ("32mb", 32), ("64mb", 64), ("512mb", 64)] {
            let budget = budget(&[("taskmanager.memory.managed.size", pool)]);
            assert_eq!(budget.cache_shards, shards, "{pool}");
        }
    }

    #[test]
    fn ratios_take_effect_in_the_cache() {
        let ratio = "state.backend.rocksdb.memory.high-prio-pool-ratio";
        let high = |value: &str| budget(&[("taskmanager.memory.managed.size", "120mb"), (ratio, value)]);
        assert_eq!(high("0").high_priority_bytes, 0);
        assert_eq!(high("0.3").high_priority_bytes, 30 << 20);
        let buffers = budget(&[("state.backend.rocksdb.memory.write-buffer-ratio", "0.75")]);
        assert_eq!(buffers.write_buffer_bytes, 536_870_920 / 2);
    }

    #[test]
    fn memory_that_is_not_shared_makes_no_pool() {
        let mut options = Options::default();
        options.set("state.backend.rocksdb.memory.managed", "false").unwrap();
        assert!(SharedMemory::new(&options).unwrap().is_none());
    }
}
