//! The heap in checkpoints and savepoints.

use super::HeapBackend;
use super::snapshot::HeapSnapshot;
use crate::backend::checkpoint::{
    FetchedFiles, PendingSnapshot, SnapshotRequest, Snapshots, key_groups_handle, other_format, read_key_groups,
};
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
            let Some((mut source, info, canonical)) = read_key_groups(checkpoint, handle)? else {
                return Err(other_format(checkpoint, "heap"));
            };
            if canonical {
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
        Ok(key_groups_handle(stream, info, canonical))
    }
}
