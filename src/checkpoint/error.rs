//! Why a checkpoint cannot be written, read or used.

use super::StorageError;
use crate::state::StateError;

/// Why a checkpoint cannot be written, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A file of it is not what was written.
    #[error("{file}: the checkpoint is damaged: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// How that shows.
        reason: String,
    },
    /// It is whole, but of a job that this one cannot go on from.
    #[error("{checkpoint}: it cannot be restored here: {reason}")]
    Foreign {
        /// Its folder.
        checkpoint: String,
        /// What differs.
        reason: String,
    },
    /// The state could not be read or taken in.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file of this machine, on its way to or from the storage.
    #[error("{}: {error}", path.display())]
    Local {
        /// The file.
        path: std::path::PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
}

impl CheckpointError {
    /// A local file that cannot be used.
    pub fn local(path: &std::path::Path) -> impl Fn(std::io::Error) -> Self + '_ {
        move |error| Self::Local { path: path.to_owned(), error }
    }

    /// Whether what the user asked for is to blame, rather than disk, network or permission.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_input(),
            Self::Damaged { .. }
            | Self::Foreign { .. }
            | Self::State(StateError::Snapshot(_) | StateError::Incompatible(_)) => true,
            Self::State(_) | Self::Local { .. } => false,
        }
    }
}
