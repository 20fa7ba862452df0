//! RocksDB in checkpoints and native savepoints: the files of the database. Flink's `RocksIncrementalSnapshotStrategy` and
//! `RocksNativeFullSnapshotStrategy`.
//!
//! The synchronous part flushes the memtables, since there is no write-ahead log, and links the files of the database into
//! a folder. The asynchronous part uploads them. A table file of the last complete checkpoint is not uploaded again by an
//! incremental one, told by its name; everything else is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{CanonicalSnapshot, RocksDbBackend, storage};
use crate::backend::checkpoint::{
    FetchedFiles, PendingSnapshot, SnapshotRequest, Snapshots, key_groups_handle, other_format, read_key_groups,
};
use crate::checkpoint::{
    CheckpointError, KeyedHandle, RocksDbFile, Scope, SnapshotKind, SnapshotTarget, StoredCheckpoint, StreamHandle,
};
use crate::state::{Key, StateResult};

/// The table files that checkpoints have uploaded, by number of the checkpoint and name of the file.
#[derive(Default)]
pub(super) struct Uploads(Mutex<BTreeMap<u64, BTreeMap<String, StreamHandle>>>);

impl Uploads {
    /// The files of a complete checkpoint; those of earlier ones, and of checkpoints that came to nothing, are forgotten.
    fn confirm(&self, id: u64) -> BTreeMap<String, StreamHandle> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|kept, _| *kept >= id);
        all.get(&id).cloned().unwrap_or_default()
    }

    fn note(&self, id: u64, files: BTreeMap<String, StreamHandle>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, files);
    }
}

impl<K: Key> Snapshots<K> for RocksDbBackend<K> {
    fn begin_snapshot(&mut self, request: &SnapshotRequest<'_>) -> StateResult<Box<dyn PendingSnapshot>> {
        if request.kind == SnapshotKind::CanonicalSavepoint {
            return Ok(Box::new(PendingCanonical(self.begin_canonical(request.compressed)?)));
        }
        let folder = request.scratch.join(format!("{}-{}", request.id, self.backend_id));
        self.timers.flush(&self.db)?;
        rocksdb::checkpoint::Checkpoint::new(&*self.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(&folder))
            .map_err(storage)?;
        let folder = LocalFolder(folder);
        self.timers.save(&folder.0)?;
        let incremental = request.kind == SnapshotKind::IncrementalCheckpoint;
        Ok(Box::new(Pending {
            id: request.id,
            folder,
            key_groups: self.key_groups(),
            backend_id: self.backend_id.clone(),
            meta: self.header(false),
            incremental,
            reusable: request.confirmed.filter(|_| incremental).map(|id| self.uploads.confirm(id)).unwrap_or_default(),
            uploads: Arc::clone(&self.uploads),
            state_bytes: self.table_bytes()?,
        }))
    }

    fn restore(
        &mut self,
        checkpoint: &StoredCheckpoint,
        handles: &[&KeyedHandle],
        files: &FetchedFiles,
    ) -> Result<(), CheckpointError> {
        if !files.opened.is_empty() || !files.others.is_empty() {
            self.take_in(&files.others, &files.opened)?;
        }
        self.restore_streams(checkpoint, handles)?;
        if let ([handle], [_], []) = (handles, files.opened.as_slice(), files.others.as_slice()) {
            self.note_uploads_of(checkpoint.metadata.id, handle);
        }
        Ok(())
    }
}

impl<K: Key> RocksDbBackend<K> {
    /// Bytes of the table files of each state.
    fn table_bytes(&self) -> StateResult<BTreeMap<String, u64>> {
        let mut bytes: BTreeMap<String, u64> = self.states.iter().map(|state| (state.meta.name.clone(), 0)).collect();
        for file in self.db.live_files().map_err(storage)? {
            *bytes.entry(file.column_family_name).or_insert(0) += file.size as u64;
        }
        Ok(bytes)
    }

    /// A database that was opened on all files of an old one need not upload them again where the checkpoint is claimed.
    fn note_uploads_of(&self, id: u64, handle: &KeyedHandle) {
        let KeyedHandle::RocksDb { files, key_groups, .. } = handle else { return };
        if *key_groups == self.key_groups() {
            let tables = files.iter().filter(|file| is_table(&file.name));
            self.uploads.note(id, tables.map(|file| (file.name.clone(), file.stream.clone())).collect());
        }
    }

    /// Takes in canonical savepoints. Files of a database are taken in where it is opened.
    fn restore_streams(
        &mut self,
        checkpoint: &StoredCheckpoint,
        handles: &[&KeyedHandle],
    ) -> Result<(), CheckpointError> {
        for handle in handles {
            match handle {
                KeyedHandle::RocksDb { meta, .. } => self.check_header(&checkpoint.read(meta)?)?,
                KeyedHandle::KeyGroups { canonical: false, .. } | KeyedHandle::Changelog { .. } => {
                    return Err(other_format(checkpoint, "rocksdb"));
                }
                KeyedHandle::KeyGroups { .. } => {
                    let Some((mut source, info, _)) = read_key_groups(checkpoint, handle)? else { continue };
                    self.restore_canonical(&mut source, &info)?;
                }
            }
        }
        Ok(())
    }
}

/// A folder of this machine that is removed with its content.
struct LocalFolder(PathBuf);

impl Drop for LocalFolder {
    fn drop(&mut self) {
        // What cannot be removed goes with the folder of the state.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A canonical savepoint, to be written.
struct PendingCanonical(CanonicalSnapshot);

impl PendingSnapshot for PendingCanonical {
    fn write(self: Box<Self>, target: &SnapshotTarget<'_>) -> Result<KeyedHandle, CheckpointError> {
        let (stream, info) = target.write_stream("keyed", |mut out| self.0.write(&mut out))?;
        Ok(key_groups_handle(stream, info, true))
    }
}

struct Pending {
    id: u64,
    folder: LocalFolder,
    key_groups: Range<u16>,
    backend_id: String,
    meta: Vec<u8>,
    incremental: bool,
    /// Files of the last complete checkpoint.
    reusable: BTreeMap<String, StreamHandle>,
    uploads: Arc<Uploads>,
    state_bytes: BTreeMap<String, u64>,
}

impl PendingSnapshot for Pending {
    fn write(self: Box<Self>, target: &SnapshotTarget<'_>) -> Result<KeyedHandle, CheckpointError> {
        let names = files_below(&self.folder.0)?;
        let files = in_threads(target.transfer_threads, &names, |name| {
            let stream = self.stream_of(name, target)?;
            Ok(RocksDbFile { name: name.clone(), stream })
        })?;
        let tables = files.iter().filter(|file| is_table(&file.name));
        self.uploads.note(self.id, tables.map(|file| (file.name.clone(), file.stream.clone())).collect());
        let (meta, ()) = target.write_stream("meta", |out| out.write_all(&self.meta))?;
        Ok(KeyedHandle::RocksDb {
            key_groups: self.key_groups.clone(),
            backend_id: self.backend_id.clone(),
            files,
            meta,
            state_bytes: self.state_bytes.clone(),
        })
    }
}

impl Pending {
    fn stream_of(&self, name: &str, target: &SnapshotTarget<'_>) -> Result<StreamHandle, CheckpointError> {
        let path = self.folder.0.join(name);
        let flat = name.replace('/', "-");
        if !self.incremental || !is_table(name) {
            return target.upload(Scope::Exclusive, &flat, &path);
        }
        if let Some(stream) = self.reusable.get(name) {
            target.written.reused_files.fetch_add(u64::from(stream.file().is_some()), Ordering::Relaxed);
            // What is in the metadata is written again with it.
            target.written.bytes.fetch_add(if stream.file().is_some() { 0 } else { stream.bytes() }, Ordering::Relaxed);
            return Ok(stream.clone());
        }
        target.upload(Scope::Shared, &format!("{}-{flat}", self.backend_id), &path)
    }
}

fn is_table(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "sst")
}

/// The paths of all files below a folder, relative to it, in order.
fn files_below(folder: &Path) -> Result<Vec<String>, CheckpointError> {
    fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                walk(&entry.path(), &format!("{name}/"), names)?;
            } else {
                names.push(name);
            }
        }
        Ok(())
    }
    let mut names = Vec::new();
    walk(folder, "", &mut names).map_err(CheckpointError::local(folder))?;
    names.sort_unstable();
    Ok(names)
}

/// Does the same with every item, on several threads; the results in order. The first failure ends it.
fn in_threads<T: Sync, R: Send>(
    threads: u16,
    items: &[T],
    action: impl Fn(&T) -> Result<R, CheckpointError> + Sync,
) -> Result<Vec<R>, CheckpointError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return Ok(done) };
            match action(item) {
                Ok(result) => done.push((index, result)),
                Err(error) => {
                    next.store(items.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    let threads = usize::from(threads).min(items.len()).max(1);
    let mut all = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::with_capacity(items.len());
        for handle in handles {
            all.extend(handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<_, CheckpointError>(all)
    })?;
    all.sort_unstable_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}

/// Brings the files of a handle into a folder, which is made, so that a database can be opened there. Table files are
/// linked where that is possible: nobody ever writes to them.
///
/// # Errors
/// A file is not there or is damaged; the folder cannot be written, or the storage failed.
pub fn fetch_files(
    checkpoint: &StoredCheckpoint,
    files: &[RocksDbFile],
    folder: &Path,
    threads: u16,
) -> Result<(), CheckpointError> {
    std::fs::create_dir_all(folder).map_err(CheckpointError::local(folder))?;
    in_threads(threads, files, |file| fetch_file(checkpoint, file, folder)).map(drop)
}

fn fetch_file(checkpoint: &StoredCheckpoint, file: &RocksDbFile, folder: &Path) -> Result<(), CheckpointError> {
    let target = folder.join(safe_name(checkpoint, &file.name)?);
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(CheckpointError::local(parent))?;
    }
    match &file.stream {
        StreamHandle::Inline(bytes) => std::fs::write(&target, bytes).map_err(CheckpointError::local(&target)),
        StreamHandle::File(stored) => {
            let storage = checkpoint.folder_of(stored);
            if is_table(&file.name) {
                storage.link(&stored.name, &target, &stored.stored)?;
            } else {
                storage.download(&stored.name, &target, &stored.stored)?;
            }
            Ok(())
        }
    }
}

/// The path of a file in the folder of its database. One that leads out of it is refused: a checkpoint is untrusted input.
fn safe_name<'a>(checkpoint: &StoredCheckpoint, name: &'a str) -> Result<&'a Path, CheckpointError> {
    let path = Path::new(name);
    if !name.is_empty() && path.components().all(|part| matches!(part, std::path::Component::Normal(_))) {
        return Ok(path);
    }
    Err(CheckpointError::Damaged {
        file: checkpoint.url().to_owned(),
        reason: format!("it names a file `{name}` outside of the database's folder"),
    })
}
