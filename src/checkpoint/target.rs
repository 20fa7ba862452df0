//! Where the asynchronous part of a snapshot writes.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::storage::StorageWriter;
use super::{CheckpointError, CheckpointStorage, FileRef, Scope, StreamHandle};

/// The folders of one checkpoint, for one operator of one subtask.
#[derive(Clone, Copy)]
pub struct SnapshotTarget<'a> {
    /// The folder of the checkpoint.
    pub exclusive: &'a CheckpointStorage,
    /// The folder of the files that checkpoints share.
    pub shared: &'a CheckpointStorage,
    /// Whose the streams of its own are: the checkpoint's, or of all that name them.
    pub own: Scope,
    /// What the names of its files begin with.
    pub prefix: &'a str,
    /// Streams up to this size go into the metadata, bytes: `execution.checkpointing.data-inline-threshold`.
    pub inline_threshold: u64,
    /// Threads that carry files: `state.backend.rocksdb.checkpoint.transfer.thread.num`.
    pub transfer_threads: u16,
    /// What was written.
    pub written: &'a Written,
}

/// What was written for a checkpoint, counted by all its threads.
#[derive(Debug, Default)]
pub struct Written {
    /// Bytes, those that go into the metadata included.
    pub bytes: AtomicU64,
    /// Files.
    pub files: AtomicU64,
    /// Files of an earlier checkpoint that were not written again.
    pub reused_files: AtomicU64,
}

impl Written {
    /// Counts a stream that was written.
    pub fn count(&self, stream: &StreamHandle) {
        self.bytes.fetch_add(stream.bytes(), Ordering::Relaxed);
        self.files.fetch_add(u64::from(stream.file().is_some()), Ordering::Relaxed);
    }

    /// Counts what was written elsewhere.
    pub fn add(&self, other: &Self) {
        let pairs =
            [(&self.bytes, &other.bytes), (&self.files, &other.files), (&self.reused_files, &other.reused_files)];
        for (own, other) in pairs {
            own.fetch_add(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

impl SnapshotTarget<'_> {
    fn folder(&self, scope: Scope) -> &CheckpointStorage {
        match scope {
            Scope::Exclusive => self.exclusive,
            Scope::Shared => self.shared,
        }
    }

    /// Writes a stream of the checkpoint's own.
    ///
    /// # Errors
    /// The storage failed, or `write` did.
    pub fn write_stream<T>(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> Result<(StreamHandle, T), CheckpointError> {
        let name = format!("{}{name}", self.prefix);
        let mut spill = Spill {
            folder: self.exclusive,
            name: &name,
            threshold: self.inline_threshold,
            kept: Vec::new(),
            file: None,
        };
        let failed = |error: io::Error| CheckpointError::Storage(self.exclusive.failed(&name, error));
        let result = write(&mut spill).map_err(failed)?;
        let stream = match spill.file {
            None => StreamHandle::Inline(spill.kept),
            Some(file) => StreamHandle::File(FileRef { scope: self.own, stored: file.finish()?, name }),
        };
        self.written.count(&stream);
        Ok((stream, result))
    }

    /// Uploads a file.
    ///
    /// # Errors
    /// The file cannot be read, or the storage failed.
    pub fn upload(&self, scope: Scope, name: &str, source: &Path) -> Result<StreamHandle, CheckpointError> {
        let bytes = std::fs::metadata(source).map_err(CheckpointError::local(source))?.len();
        let stream = if bytes <= self.inline_threshold {
            StreamHandle::Inline(std::fs::read(source).map_err(CheckpointError::local(source))?)
        } else {
            let name = format!("{}{name}", self.prefix);
            let stored = self.folder(scope).upload(&name, source)?;
            let scope = if scope == Scope::Exclusive { self.own } else { Scope::Shared };
            StreamHandle::File(FileRef { scope, name, stored })
        };
        self.written.count(&stream);
        Ok(stream)
    }
}

/// Keeps what is written until it is more than the threshold; then it goes to a file.
struct Spill<'a> {
    folder: &'a CheckpointStorage,
    name: &'a str,
    threshold: u64,
    kept: Vec<u8>,
    file: Option<StorageWriter>,
}

impl Write for Spill<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && (self.kept.len() + bytes.len()) as u64 > self.threshold {
            let mut file = self.folder.writer(self.name).map_err(io::Error::other)?;
            file.write_all(&self.kept)?;
            self.kept = Vec::new();
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            return file.write(bytes);
        }
        self.kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}
