//! The state backends, and what wraps them.
//!
//! A backend is one folder (or file) that implements [`KeyedStateBackend`](crate::state::KeyedStateBackend), a variant
//! of [`BackendType`](crate::workload::BackendType) and one arm in `run/dispatch.rs`.

mod canonical;
#[cfg(test)]
#[cfg(feature = "rocksdb")]
mod canonical_tests;
mod changelog;
mod checkpoint;
mod episodes;
pub mod heap;
mod metered;
mod null;
#[cfg(test)]
#[cfg(feature = "rocksdb")]
mod rescale_tests;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod snapshot;
mod stored;
#[cfg(test)]
#[cfg(feature = "rocksdb")]
mod tests;
#[cfg(test)]
#[cfg(feature = "rocksdb")]
mod timer_tests;
mod timers;
mod ttl;
#[cfg(test)]
#[cfg(feature = "rocksdb")]
mod ttl_tests;

pub use changelog::{ChangelogBackend, ChangelogStorage, MaterializePlan};
pub use checkpoint::{FetchedFiles, OldState, PendingSnapshot, SnapshotRequest, Snapshots};
pub use episodes::StoreEpisode;
pub use heap::HeapBackend;
pub use metered::Metered;
pub use null::NullBackend;
#[cfg(feature = "rocksdb")]
pub use rocksdb::{
    CanonicalSnapshot, OpenMode, ROCKSDB_VERSION, RocksDbBackend, SharedMemory, choose_base,
    db_options as rocksdb_options, fetch_files, import_families,
};
pub use snapshot::SnapshotInfo;
pub use ttl::{Census, Change, CleanedEntries, ExpiringState, TtlBackend};

use std::path::Path;
use std::sync::Arc;

use crate::measure::Conditions;
use crate::result::{CacheCurve, RehashStalls, StoreBudget, StoreCounters, StoreSample, StoreShape, StoreUse};
use crate::state::{Codec, Key, KeyedStateBackend, StateError, StateResult};

/// What a backend tells of the store below it, beside what it does: read between batches, never in them. A backend
/// without a store has nothing to tell.
pub trait Observed {
    /// The memory that its pool was given; the same for all backends of a pool.
    fn store_budget(&self) -> Option<StoreBudget> {
        None
    }

    /// What the store uses now. The figures of the cache are those of the whole pool. Cheap enough for ten times a
    /// second.
    ///
    /// # Errors
    /// The store cannot be asked.
    fn store_use(&self) -> StateResult<Option<StoreUse>> {
        Ok(None)
    }

    /// What the store has counted since it was opened, where it counts.
    fn store_counters(&self) -> Option<StoreCounters> {
        None
    }

    /// What is counted from here on is of the measured part: of what the cache of the pool is asked for.
    fn begin_counting(&self) {}

    /// What hit rate caches of other sizes would have had, where that is watched; the same for all backends of a pool.
    fn cache_curve(&self) -> Option<CacheCurve> {
        None
    }

    /// What the store looks like inside. What the cache holds is that of the whole pool.
    ///
    /// # Errors
    /// The store cannot be asked.
    fn store_shape(&self) -> StateResult<Option<StoreShape>> {
        Ok(None)
    }

    /// What the store tells of itself at this moment, its counters left out: a few dozen numbers, cheap enough for ten
    /// times a second.
    ///
    /// # Errors
    /// The store cannot be asked.
    fn store_sample(&self) -> StateResult<Option<StoreSample>> {
        Ok(None)
    }

    /// What goes on in the store beside the events, for the probe that times them; none where nothing does.
    fn conditions(&self) -> Option<Arc<Conditions>> {
        None
    }

    /// What came to its end in the store since the last call, and how many episodes found no room in the list.
    fn take_episodes(&self) -> (Vec<StoreEpisode>, u64) {
        (Vec::new(), 0)
    }

    /// What growing hash tables have stood still for since the beginning; none where there are none.
    fn rehash_stalls(&self) -> Option<RehashStalls> {
        None
    }

    /// What still goes on in the store.
    fn episodes_going_on(&self) -> Vec<StoreEpisode> {
        Vec::new()
    }
}

/// How a backend comes by the state that a job would have left before the run.
pub trait Prefill<K: Key>: KeyedStateBackend<K> {
    /// What takes the writes of a prefill in the backend's place, to be ingested.
    type Loader: KeyedStateBackend<K> + Send;

    /// A loader for the states that are registered; none where the backend has no faster way than its own writes.
    fn loader(&self) -> Option<Self::Loader>;

    /// Takes in what a loader was given. The backend is empty.
    ///
    /// # Errors
    /// The store failed, or the operator wrote an entry twice.
    fn ingest(&mut self, loader: Self::Loader) -> StateResult<()>;

    /// Saves the state into a folder, which is made, so that a backend of another trial can be opened on a copy of it.
    ///
    /// # Errors
    /// The folder cannot be written, or the backend keeps nothing that could be saved.
    fn save_prefill(&mut self, folder: &Path) -> StateResult<()>;

    /// Reads a saved state back, after the states are registered, where the backend was not opened on a copy of it.
    ///
    /// # Errors
    /// The folder cannot be read, or holds something else.
    fn load_prefill(&mut self, folder: &Path) -> StateResult<()>;
}

/// A folder for the databases of tests that open many: in memory where there is a file system for that, since a database
/// syncs its files whenever it is opened.
#[cfg(test)]
pub(crate) fn test_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap_or_else(|error| panic!("no folder: {error}"))
}

/// What RocksDB's merge operator puts between two elements of a list.
const LIST_DELIMITER: u8 = b',';

/// Writes a list as RocksDB stores it: the elements joined by a comma, no count.
fn encode_list<'a, T: Codec + 'a>(list: impl IntoIterator<Item = &'a T>, out: &mut Vec<u8>) {
    for (position, element) in list.into_iter().enumerate() {
        if position > 0 {
            out.push(LIST_DELIMITER);
        }
        element.encode(out);
    }
}

/// The fingerprint of a list: the hash of its bytes as RocksDB stores it; none of an empty one, which is not stored.
fn list_fingerprint<'a, T: Codec + 'a>(list: impl IntoIterator<Item = &'a T>, scratch: &mut Vec<u8>) -> Option<u64> {
    scratch.clear();
    encode_list(list, scratch);
    (!scratch.is_empty()).then(|| xxhash_rust::xxh3::xxh3_64(scratch))
}

/// Why a backend has no prefill that other trials could copy.
fn no_prefill_to_copy(folder: &Path) -> StateError {
    StateError::Storage(format!("{}: this backend saves no prefill", folder.display()))
}
