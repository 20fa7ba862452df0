//! The heap in checkpoints and savepoints.

use std::collections::BTreeMap;
use std::io::Cursor;

use super::HeapBackend;
use super::snapshot::{HeapSnapshot, SnapshotInfo};
use crate::backend::snapshot::{FetchedFiles, PendingSnapshot, SnapshotRequest, Snapshots, other_format};
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
            let KeyedHandle::KeyGroups { key_groups, offsets, compressed, canonical, stream, .. } = handle else {
                return Err(other_format(checkpoint, "heap"));
            };
            let bytes = checkpoint.read(stream)?;
            let info = SnapshotInfo {
                bytes: bytes.len() as u64,
                key_groups: key_groups.clone(),
                offsets: offsets.clone(),
                compressed: *compressed,
            };
            let mut source = Cursor::new(bytes);
            if *canonical {
                HeapBackend::restore(self, &mut source, &info)?; // CANONICAL
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
            self.snapshot.write(&mut out) // CANONICAL
        })?;
        Ok(KeyedHandle::KeyGroups {
            key_groups: info.key_groups,
            offsets: info.offsets,
            compressed: info.compressed,
            canonical,
            stream,
            state_bytes: BTreeMap::new(),
        })
    }
}
