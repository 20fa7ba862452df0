//! What a checkpoint remembers of the state in it: Flink's state handles.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Stored;
use crate::state::{Digest, Partitions};
use crate::workload::Now;

/// A stream of bytes that belongs to a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamHandle {
    /// A small one, in the metadata file: Flink's `ByteStreamStateHandle`.
    Inline(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A file.
    File(FileRef),
}

impl StreamHandle {
    /// Its length, bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::File(file) => file.stored.bytes,
        }
    }

    /// The file that it is in; none of a stream in the metadata.
    pub fn file(&self) -> Option<&FileRef> {
        match self {
            Self::Inline(_) => None,
            Self::File(file) => Some(file),
        }
    }
}

/// A file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// Whose it is.
    pub scope: Scope,
    /// Its name in the folder of that scope.
    pub name: String,
    /// Length and checksum.
    pub stored: Stored,
}

/// Which checkpoints a file belongs to: Flink's `CheckpointedStateScope`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// To one, in whose folder it lies.
    Exclusive,
    /// To all that name it, in the folder `shared` of the job.
    Shared,
}

/// The keyed state of an operator in one subtask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum KeyedHandle {
    /// Entries by key group: what the heap writes in a checkpoint, and every backend in a canonical savepoint. Flink's
    /// `KeyGroupsStateHandle`.
    KeyGroups {
        /// The key groups in it.
        key_groups: Range<u16>,
        /// Where each of them begins in the stream, bytes.
        offsets: Vec<u64>,
        /// Whether key groups are compressed.
        compressed: bool,
        /// Whether it is in the canonical format, which any backend reads.
        canonical: bool,
        /// The entries.
        stream: StreamHandle,
        /// Bytes of each state.
        state_bytes: BTreeMap<String, u64>,
    },
    /// The files of a RocksDB database: Flink's `IncrementalRemoteKeyedStateHandle`.
    RocksDb {
        /// The key groups that its subtask had.
        key_groups: Range<u16>,
        /// Which database it was.
        backend_id: String,
        /// The files of the database.
        files: Vec<RocksDbFile>,
        /// The states in it, with their serializers.
        meta: StreamHandle,
        /// Bytes of the table files of each state.
        state_bytes: BTreeMap<String, u64>,
    },
    /// A snapshot of a backend, and the changes to it since: Flink's `ChangelogStateBackendHandle`.
    Changelog {
        /// The key groups of its subtask.
        key_groups: Range<u16>,
        /// The materialization; none where the log holds everything.
        base: Option<Box<KeyedHandle>>,
        /// The log, in order.
        segments: Vec<StreamHandle>,
        /// Bytes of each state, in both.
        state_bytes: BTreeMap<String, u64>,
    },
}

/// A file of a RocksDB database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RocksDbFile {
    /// Its path in the folder of the database.
    pub name: String,
    /// Its content.
    pub stream: StreamHandle,
}

impl KeyedHandle {
    /// The key groups of its subtask.
    pub fn key_groups(&self) -> &Range<u16> {
        match self {
            Self::KeyGroups { key_groups, .. }
            | Self::RocksDb { key_groups, .. }
            | Self::Changelog { key_groups, .. } => key_groups,
        }
    }

    /// Every stream in it.
    pub fn streams(&self) -> Vec<&StreamHandle> {
        match self {
            Self::KeyGroups { stream, .. } => vec![stream],
            Self::RocksDb { files, meta, .. } => {
                files.iter().map(|file| &file.stream).chain(std::iter::once(meta)).collect()
            }
            Self::Changelog { base, segments, .. } => {
                let base = base.as_ref().map_or_else(Vec::new, |base| base.streams());
                base.into_iter().chain(segments).collect()
            }
        }
    }

    /// Bytes of each state in it.
    pub fn state_bytes(&self) -> &BTreeMap<String, u64> {
        match self {
            Self::KeyGroups { state_bytes, .. }
            | Self::RocksDb { state_bytes, .. }
            | Self::Changelog { state_bytes, .. } => state_bytes,
        }
    }

    /// The snapshot of the backend itself, without a log; none where the log holds everything.
    pub fn base(&self) -> Option<&Self> {
        match self {
            Self::KeyGroups { .. } | Self::RocksDb { .. } => Some(self),
            Self::Changelog { base, .. } => base.as_deref(),
        }
    }
}

/// Everything of an operator in one subtask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperatorHandle {
    /// Its keyed state.
    pub keyed: KeyedHandle,
    /// Its operator state: the stream, and the partitions of each state in it. None where it has no such state.
    pub operator_state: Option<(StreamHandle, BTreeMap<String, Partitions>)>,
    /// What it had emitted.
    pub output: Output,
}

impl OperatorHandle {
    /// Every stream in it.
    pub fn streams(&self) -> Vec<&StreamHandle> {
        let mut streams = self.keyed.streams();
        streams.extend(self.operator_state.as_ref().map(|(stream, _)| stream));
        streams
    }
}

/// What an operator had emitted in one subtask: it belongs to the checkpoint, so that a run that goes on from there ends
/// with the digest of one that was never interrupted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// The digest over all emitted results.
    pub emitted: Digest,
    /// Events that came too late.
    pub late_events: u64,
    /// The time up to which timers were fired.
    pub now: Now,
    /// The latest results by key, of an operator with few keys.
    pub latest: Vec<(i64, i64)>,
}

/// Everything of one subtask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubtaskHandle {
    /// Its operators, in the order in which rows flow.
    pub operators: Vec<OperatorHandle>,
}

impl SubtaskHandle {
    /// Every stream in it.
    pub fn streams(&self) -> impl Iterator<Item = &StreamHandle> {
        self.operators.iter().flat_map(OperatorHandle::streams)
    }
}
