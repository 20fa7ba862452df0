//! The memory that the databases of a slot, or of a TaskManager, share. The only place that speaks to `pool.cc`.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rocksdb::{AsRawPtr, Options as DbOptions};

use crate::model::miss_ratio::{BlockKind, CacheAccess, CacheEvent, CacheGeometry, CacheModel};
use crate::result::{CacheCurve, StoreBudget};
use crate::state::{StateError, StateResult};
use crate::workload::{Options, divide_pool};

/// `statebench_listener` of `pool.cc`.
#[repr(C)]
struct Listener {
    context: *mut c_void,
    hear: extern "C" fn(*mut c_void, u64, u64, u8, bool, u8),
    drop: extern "C" fn(*mut c_void),
}

unsafe extern "C" {
    fn statebench_pool_create(
        cache_bytes: usize,
        high_priority_ratio: f64,
        write_buffer_bytes: usize,
        listener: *const Listener,
    ) -> *mut c_void;
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
    /// What is told of the cache, where it is watched.
    watched: Option<Arc<Watched>>,
}

/// The model that hears of a cache, from RocksDB's threads as well as from those of subtasks.
struct Watched(Mutex<CacheModel>);

impl Watched {
    fn model(&self) -> MutexGuard<'_, CacheModel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Roles of entries in a block cache, by their numbers in RocksDB's `CacheEntryRole`.
fn kind_of(role: u8) -> BlockKind {
    match role {
        0 => BlockKind::Data,
        1 | 2 => BlockKind::Filter,
        4 => BlockKind::Index,
        _ => BlockKind::Other,
    }
}

extern "C" fn hear(context: *mut c_void, key_hash: u64, bytes: u64, role: u8, high_priority: bool, event: u8) {
    // SAFETY: the context is the reference that `watch` has given away and `forget` takes back when the cache is gone.
    let watched = unsafe { &*context.cast_const().cast::<Watched>() };
    let event = match event {
        0 => CacheEvent::Hit,
        1 => CacheEvent::Miss,
        2 => CacheEvent::Insert,
        3 => CacheEvent::Reserve,
        _ => CacheEvent::Release,
    };
    watched.model().hear(CacheAccess { event, key_hash, bytes, kind: kind_of(role), high_priority });
}

extern "C" fn forget(context: *mut c_void) {
    // SAFETY: as in `hear`; the cache calls this once, and `hear` never again.
    drop(unsafe { Arc::from_raw(context.cast_const().cast::<Watched>()) });
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
        Self::create(options, false)
    }

    /// The same with a cache that is watched, which takes its time: for [`Self::cache_curve`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn watched(options: &Options) -> StateResult<Option<Self>> {
        Self::create(options, true)
    }

    fn create(options: &Options, is_watched: bool) -> StateResult<Option<Self>> {
        let Some(pool) = options.memory_pool() else { return Ok(None) };
        let (cache_bytes, write_buffer_bytes) = divide_pool(pool.bytes, options.memory_write_buffer_ratio.0);
        let ratio = options.memory_high_prio_pool_ratio.0;
        let geometry = CacheGeometry {
            pool_bytes: pool.bytes,
            write_buffer_ratio: options.memory_write_buffer_ratio.0,
            high_priority_ratio: ratio,
            write_buffer_size: options.writebuffer_size.0,
        };
        let watched = is_watched.then(|| Arc::new(Watched(Mutex::new(CacheModel::new(&geometry)))));
        let listener = watched.as_ref().map(|watched| {
            let context = Arc::into_raw(Arc::clone(watched)).cast_mut().cast();
            Listener { context, hear, drop: forget }
        });
        let listener = listener.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: plain numbers, and a listener that is copied; the result is owned by the handle made below.
        let created =
            unsafe { statebench_pool_create(cache_bytes as usize, ratio, write_buffer_bytes as usize, listener) };
        if created.is_null() {
            return Err(StateError::Storage(format!("RocksDB makes no block cache of {cache_bytes} bytes")));
        }
        Ok(Some(Self { pool: created, pool_bytes: pool.bytes, watched }))
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

    /// The watched cache counts from here on.
    pub(super) fn begin_counting(&self) {
        if let Some(watched) = &self.watched {
            watched.model().begin_counting();
        }
    }

    /// What hit rate caches of other sizes would have had, where the cache is watched.
    pub(super) fn cache_curve(&self) -> Option<CacheCurve> {
        self.watched.as_ref().map(|watched| watched.model().curve())
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
    use crate::backend::{Observed, OpenMode, RocksDbBackend};
    use crate::state::{KeyGroups, KeyedStateBackend, Payload, StateTtls, VoidNamespace, mix};
    use crate::workload::BackendType;

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

    const GROUPS: KeyGroups = KeyGroups { max_parallelism: 128, parallelism: 1 };

    /// A watched database that has answered lookups of skewed keys while it was written to.
    fn watched(settings: &[(&str, &str)]) -> (Arc<SharedMemory>, CacheCurve, f64) {
        let folder = crate::backend::test_folder();
        let mut options = Options::of(BackendType::RocksDb);
        settings.iter().for_each(|(key, value)| options.set(key, value).unwrap());
        let memory = Arc::new(SharedMemory::watched(&options).unwrap().unwrap());
        let path = folder.path().join("db");
        let open = RocksDbBackend::<i64>::open;
        let mut backend =
            open(&path, &options, (GROUPS, 0), Some(Arc::clone(&memory)), OpenMode::counting(), StateTtls::new())
                .unwrap();
        let state = backend.value_state::<VoidNamespace, Payload>("value").unwrap();
        let mut draw = 1_u64;
        let mut ask = |backend: &mut RocksDbBackend<i64>, events: u64| {
            for event in 0..events {
                draw = mix(draw, event);
                let uniform = (draw >> 11) as f64 / (1_u64 << 53) as f64;
                backend.set_current_key(&((20_000.0 * uniform * uniform) as i64));
                if event % 8 == 0 {
                    backend.update(state, &VoidNamespace, Payload(vec![7; 200].into())).unwrap();
                } else {
                    assert!(backend.value(state, &VoidNamespace).unwrap().is_some());
                }
            }
        };
        for key in 0..20_000 {
            backend.set_current_key(&key);
            backend.update(state, &VoidNamespace, Payload(vec![7; 200].into())).unwrap();
        }
        ask(&mut backend, 20_000);
        backend.begin_counting();
        let before = backend.store_counters().unwrap();
        ask(&mut backend, 40_000);
        let counted = backend.store_counters().unwrap().since(&before);
        let curve = backend.cache_curve().unwrap();
        (memory, curve, counted.cache_hit_rate().unwrap())
    }

    /// The simulated cache of the present size does what the real one does, and lives as long as the database.
    #[test]
    fn the_curve_meets_what_rocksdb_counts() {
        let small = ("taskmanager.memory.managed.size", "3mb");
        let partitioned = ("state.backend.rocksdb.memory.partitioned-index-filters", "true");
        let no_compression = ("state.backend.rocksdb.compression.per.level", "NO_COMPRESSION");
        for settings in [&[small, no_compression][..], &[small, no_compression, partitioned]] {
            let (memory, curve, measured) = watched(settings);
            assert!((0.05..0.95).contains(&measured), "{measured}: the case says nothing");
            let present = curve.present().unwrap();
            assert_eq!(present.pool_bytes, 3 << 20);
            assert!((present.hit_rate - measured).abs() < 0.02, "{measured} measured, {present:?}");
            assert!(curve.points[0].hit_rate < measured && curve.points[12].hit_rate > measured, "{curve:?}");
            assert_eq!(memory.budget().cache_bytes, present.cache_bytes, "a watched cache tells its capacity too");
            // The database is gone: its write buffers are charged with nothing.
            assert_eq!(memory.cache_bytes().1, 0);
        }
    }

    #[test]
    fn a_cache_that_is_not_watched_has_no_curve() {
        assert_eq!(SharedMemory::new(&Options::default()).unwrap().unwrap().cache_curve(), None);
    }
}
