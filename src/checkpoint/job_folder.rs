//! The folder of a job: its checkpoints, the files that they share, and what nobody needs.

use std::collections::BTreeSet;

use super::metadata::{METADATA_FILE, SHARED_FOLDER};
use super::{CheckpointError, CheckpointStorage, Scope, StorageLock, StoredCheckpoint, StreamHandle};

/// Name of the lock in the folder of a job.
const LOCK_FILE: &str = "_lock";

/// The folder of a job's checkpoints.
pub struct JobFolder {
    storage: CheckpointStorage,
}

/// A file, or what is left of a checkpoint, that no complete checkpoint needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its path in the folder of the job.
    pub path: String,
    /// Its length, bytes.
    pub bytes: u64,
}

impl JobFolder {
    /// The folder of a job.
    pub fn new(storage: CheckpointStorage) -> Self {
        Self { storage }
    }

    /// Its storage.
    pub fn storage(&self) -> &CheckpointStorage {
        &self.storage
    }

    /// Makes sure that no run works in it as long as the lock lives.
    ///
    /// # Errors
    /// A run does, or the storage failed.
    pub fn lock(&self) -> Result<StorageLock, CheckpointError> {
        Ok(self.storage.lock(LOCK_FILE)?)
    }

    /// The names of its complete checkpoints, the oldest first.
    ///
    /// # Errors
    /// The storage failed.
    pub fn checkpoints(&self) -> Result<Vec<String>, CheckpointError> {
        let files = self.storage.list("")?;
        let names = files.iter().filter_map(|file| file.path.strip_suffix(METADATA_FILE)?.strip_suffix('/'));
        let mut names: Vec<_> = names.filter(|name| !name.contains('/')).map(str::to_owned).collect();
        names.sort_by_key(|name| (number_of(name), name.clone()));
        Ok(names)
    }

    /// Reads the metadata of one.
    ///
    /// # Errors
    /// It is not there or is damaged, or the storage failed.
    pub fn open(&self, name: &str) -> Result<StoredCheckpoint, CheckpointError> {
        StoredCheckpoint::open_in(&self.storage, name)
    }

    /// What no complete checkpoint needs: left by runs that were killed, or by deletions that failed.
    ///
    /// # Errors
    /// A checkpoint is damaged, so that nobody knows what it needs; or the storage failed.
    pub fn orphans(&self) -> Result<Vec<Orphan>, CheckpointError> {
        let mut needed = BTreeSet::from([LOCK_FILE.to_owned()]);
        for name in self.checkpoints()? {
            let checkpoint = self.open(&name)?;
            needed.insert(format!("{name}/{METADATA_FILE}"));
            for file in checkpoint.metadata.streams().filter_map(StreamHandle::file) {
                let folder = if file.scope == Scope::Shared { SHARED_FOLDER } else { &name };
                needed.insert(format!("{folder}/{}", file.name));
            }
        }
        let files = self.storage.list("")?.into_iter().filter(|file| !needed.contains(&file.path));
        Ok(files.map(|file| Orphan { path: file.path, bytes: file.bytes }).collect())
    }
}

/// The number in the name of a checkpoint.
fn number_of(name: &str) -> u64 {
    name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
}
