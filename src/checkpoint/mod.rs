//! Checkpoints and savepoints: where they are kept, what is in one, which files are shared.
//!
//! A checkpoint is a folder with a file `_metadata`, which is written last: without it there is no checkpoint. It holds
//! small streams itself and names the files of the large ones, each with its length and checksum. How a backend makes a
//! snapshot of its state and restores it is its own business; when that is done is decided in `run/`.

mod error;
mod handle;
mod id;
mod job_folder;
mod metadata;
mod registry;
pub mod storage;
mod target;

pub use error::CheckpointError;
pub use handle::{FileRef, KeyedHandle, OperatorHandle, Output, RocksDbFile, Scope, StreamHandle, SubtaskHandle};
pub use id::unique_number;
pub use job_folder::{JobFolder, Orphan};
pub use metadata::{JobIdentity, Metadata, Position, SHARED_FOLDER, SnapshotKind, StoredCheckpoint};
pub use registry::SharedStateRegistry;
pub use storage::{CheckpointStorage, StorageError, StorageLock, StorageProfile, Stored};
pub use target::{SnapshotTarget, Written};
