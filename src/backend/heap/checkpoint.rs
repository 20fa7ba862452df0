//! The heap in checkpoints and savepoints.

use std::io::Cursor;

use super::HeapBackend;
use super::snapshot::HeapSnapshot;
use crate::backend::SnapshotInfo;
use crate::backend::checkpoint::{FetchedFiles, PendingSnapshot, SnapshotRequest, Snapshots, other_format};
use crate::checkpoint::{CheckpointError, KeyedHandle, SnapshotKind, SnapshotTarget, StoredCheckpoint};
use crate::state::{Key, StateResult};

impl<K: Key> Snapshots<K> for HeapBackend<K> {
    fn begin_snapshot(&mut self, request: &SnapshotRequest<'_>) -> StateResult<Box<dyn PendingSnapshot>> {
        let canonical = request.kind == SnapshotKind::CanonicalSavepoint;
        Ok(Box::new(Pending { snapshot: self.snapshot(request.compressed)?, canonical }))
    }

    fn restore(
        &mut self,
        checkpoint: &StoredCheckpoint,
        handles: &[&KeyedHandle],
        _: &FetchedFiles,
    ) -> Result<(), CheckpointError> {
        for handle in handles {
            let KeyedHandle::KeyGroups { key_groups, offsets, compressed, canonical, stream, state_bytes } = handle
            else {
                return Err(other_format(checkpoint, "heap"));
            };
            let bytes = checkpoint.read(stream)?;
            let info = SnapshotInfo {
                bytes: bytes.len() as u64,
                key_groups: key_groups.clone(),
                offsets: offsets.clone(),
                compressed: *compressed,
                state_bytes: state_bytes.clone(),
            };
            let mut source = Cursor::new(bytes);
            if *canonical {
                self.restore_canonical(&mut source, &info)?;
            } else {
                HeapBackend::restore(self, &mut source, &info)?;
            }
        }
        Ok(())
    }
}

struct Pending {
    snapshot: HeapSnapshot,
    canonical: bool,
}

impl PendingSnapshot for Pending {
    fn write(self: Box<Self>, target: &SnapshotTarget<'_>) -> Result<KeyedHandle, CheckpointError> {
        let canonical = self.canonical;
        let (stream, info) = target.write_stream("keyed", |mut out| {
            if canonical { self.snapshot.write_canonical(&mut out) } else { self.snapshot.write(&mut out) }
        })?;
        Ok(KeyedHandle::KeyGroups {
            key_groups: info.key_groups,
            offsets: info.offsets,
            compressed: info.compressed,
            canonical,
            stream,
            state_bytes: info.state_bytes,
        })
    }
}
