//! How a backend's state gets into a checkpoint and out of it.

use std::io::Cursor;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::SnapshotInfo;
use crate::checkpoint::{CheckpointError, KeyedHandle, SnapshotKind, SnapshotTarget, StoredCheckpoint, StreamHandle};
use crate::state::{Key, KeyedStateBackend, StateResult};

/// What a checkpoint asks of a backend.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotRequest<'a> {
    /// The number of the checkpoint in the job.
    pub id: u64,
    /// What kind of snapshot.
    pub kind: SnapshotKind,
    /// Whether key groups are compressed: `execution.checkpointing.snapshot-compression`.
    pub compressed: bool,
    /// The last checkpoint that is complete, whose files may be named again.
    pub confirmed: Option<u64>,
    /// A folder of this machine for what the snapshot needs until it is written. It is on the file system of the state.
    pub scratch: &'a Path,
}

/// The files of an old subtask's state, on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldState {
    /// Their folder.
    pub folder: PathBuf,
    /// The key groups of the subtask.
    pub key_groups: Range<u16>,
}

/// The files of old subtasks that a new one is restored from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchedFiles {
    /// Those that the new database was opened on: one that was chosen as base, or those whose files were moved into it.
    pub opened: Vec<OldState>,
    /// The others.
    pub others: Vec<OldState>,
}

/// A backend that makes snapshots of its state, and is restored from them.
pub trait Snapshots<K: Key>: KeyedStateBackend<K> {
    /// Begins a snapshot: the synchronous part, while processing stands still.
    ///
    /// # Errors
    /// The store failed.
    fn begin_snapshot(&mut self, request: &SnapshotRequest<'_>) -> StateResult<Box<dyn PendingSnapshot>>;

    /// Takes in what handles of a checkpoint hold of this subtask's key groups, after the states are registered. Files of
    /// theirs are on this machine already.
    ///
    /// # Errors
    /// A handle is of a form that this backend does not read, is damaged, or is one of other states; the storage failed.
    fn restore(
        &mut self,
        checkpoint: &StoredCheckpoint,
        handles: &[&KeyedHandle],
        files: &FetchedFiles,
    ) -> Result<(), CheckpointError>;
}

/// The state as it was when the snapshot began, to be written by any thread while the backend goes on.
pub trait PendingSnapshot: Send {
    /// Writes it: the asynchronous part. Afterwards, whatever came of it, the backend is free of it.
    ///
    /// # Errors
    /// The storage failed.
    fn write(self: Box<Self>, target: &SnapshotTarget<'_>) -> Result<KeyedHandle, CheckpointError>;
}

/// What a checkpoint remembers of entries by key group that were written to a stream.
pub(super) fn key_groups_handle(stream: StreamHandle, info: SnapshotInfo, canonical: bool) -> KeyedHandle {
    let SnapshotInfo { bytes: _, key_groups, offsets, compressed, state_bytes } = info;
    KeyedHandle::KeyGroups { key_groups, offsets, compressed, canonical, stream, state_bytes }
}

/// Entries by key group out of a checkpoint, and whether they are in the canonical format.
type ReadKeyGroups = (Cursor<Vec<u8>>, SnapshotInfo, bool);

/// Reads such a stream; none where the handle is of the files of a database.
///
/// # Errors
/// The stream is damaged, or the storage failed.
pub(super) fn read_key_groups(
    checkpoint: &StoredCheckpoint,
    handle: &KeyedHandle,
) -> Result<Option<ReadKeyGroups>, CheckpointError> {
    let KeyedHandle::KeyGroups { key_groups, offsets, compressed, canonical, stream, state_bytes } = handle else {
        return Ok(None);
    };
    let content = checkpoint.read(stream)?;
    let info = SnapshotInfo {
        bytes: content.len() as u64,
        key_groups: key_groups.clone(),
        offsets: offsets.clone(),
        compressed: *compressed,
        state_bytes: state_bytes.clone(),
    };
    Ok(Some((Cursor::new(content), info, *canonical)))
}

/// Why a backend cannot take in a handle.
pub(super) fn other_format(checkpoint: &StoredCheckpoint, backend: &str) -> CheckpointError {
    CheckpointError::Foreign {
        checkpoint: checkpoint.url().to_owned(),
        reason: format!(
            "it is a {} of the {} backend, and the {backend} backend reads its own and canonical savepoints",
            checkpoint.metadata.kind, checkpoint.metadata.backend
        ),
    }
}
