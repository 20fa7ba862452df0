//! The file `_metadata`, which makes a folder a checkpoint.
//!
//! It begins with eight letters, the `u32` version of the format and the `u64` xxh3 of the rest, which is MessagePack.

use std::collections::BTreeMap;
use std::io::Cursor;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{CheckpointError, CheckpointStorage, FileRef, Scope, StreamHandle, SubtaskHandle};
use crate::state::{Digest, KeyGroups};
use crate::workload::Now;

/// Name of the metadata file in the folder of a checkpoint.
pub(super) const METADATA_FILE: &str = "_metadata";
/// Name of the folder of shared files, beside those of the checkpoints.
pub const SHARED_FOLDER: &str = "shared";

const MAGIC: &[u8; 8] = b"sbchkpnt";
/// The version of the format that this program writes and reads.
const FORMAT_VERSION: u32 = 1;
/// Bytes before the MessagePack.
const HEAD_BYTES: usize = 20;

/// What kind of snapshot it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotKind {
    /// A checkpoint in the backend's own format, all of it written anew.
    FullCheckpoint,
    /// A checkpoint that names files of earlier ones.
    IncrementalCheckpoint,
    /// A savepoint that any backend can be restored from.
    CanonicalSavepoint,
    /// A savepoint in the backend's own format.
    NativeSavepoint,
}

impl SnapshotKind {
    /// Whether it is kept until the user deletes it, and shares no file with another.
    pub fn is_savepoint(self) -> bool {
        matches!(self, Self::CanonicalSavepoint | Self::NativeSavepoint)
    }
}

impl std::fmt::Display for SnapshotKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::FullCheckpoint => "full checkpoint",
            Self::IncrementalCheckpoint => "incremental checkpoint",
            Self::CanonicalSavepoint => "canonical savepoint",
            Self::NativeSavepoint => "native savepoint",
        })
    }
}

/// Which job a checkpoint is of: what has to be equal for a run to go on from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobIdentity {
    /// The key type.
    pub key_type: String,
    /// Key groups, which state is divided by for good.
    pub max_parallelism: u16,
    /// A digest of each section of the workload that decides what is computed, by its name.
    pub sections: BTreeMap<String, u64>,
}

impl JobIdentity {
    /// Why a job cannot go on from a checkpoint of another one; none where it can.
    pub fn differs_from(&self, checkpoint: &Self) -> Option<String> {
        if self.key_type != checkpoint.key_type {
            return Some(format!(
                "its keys are of type {}, those of the workload {}",
                checkpoint.key_type, self.key_type
            ));
        }
        if self.max_parallelism != checkpoint.max_parallelism {
            return Some(format!(
                "it was taken at max parallelism {}, and the job has {}: state is divided by it for good \
                 (set run.max-parallelism = {})",
                checkpoint.max_parallelism, self.max_parallelism, checkpoint.max_parallelism
            ));
        }
        let names = self.sections.keys().chain(checkpoint.sections.keys());
        let mut differing: Vec<_> =
            names.filter(|name| self.sections.get(*name) != checkpoint.sections.get(*name)).cloned().collect();
        differing.sort_unstable();
        differing.dedup();
        (!differing.is_empty())
            .then(|| format!("it is of another workload: these sections differ: {}", differing.join(", ")))
    }
}

/// Where in the stream of events a checkpoint was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The first block of events behind it.
    pub next_block: u64,
    /// The phase of the measured part, from 0.
    pub phase: usize,
    /// Events of that phase before it.
    pub phase_events: u64,
    /// Events of the measured part before it.
    pub events: u64,
    /// The virtual clock.
    pub now: Now,
}

/// Everything about a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Its number in the job, from 1.
    pub id: u64,
    /// What kind of snapshot it is.
    pub kind: SnapshotKind,
    /// The version of the program that wrote it.
    pub written_by: String,
    /// The state backend that wrote it.
    pub backend: String,
    /// The job.
    pub job: JobIdentity,
    /// The seed of the event stream.
    pub stream_seed: u64,
    /// Where it was taken.
    pub position: Position,
    /// The digest over the state, where it was computed.
    pub state_digest: Option<Digest>,
    /// Its parts, one for each subtask.
    pub subtasks: Vec<SubtaskHandle>,
}

impl Metadata {
    /// Every stream in it.
    pub fn streams(&self) -> impl Iterator<Item = &StreamHandle> {
        self.subtasks.iter().flat_map(SubtaskHandle::streams)
    }

    /// Bytes of all state in it, whoever wrote them: `lastCheckpointFullSize` in Flink.
    pub fn full_bytes(&self) -> u64 {
        self.streams().map(StreamHandle::bytes).sum()
    }

    /// Bytes by state, all subtasks and operators together.
    pub fn state_bytes(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for operator in self.subtasks.iter().flat_map(|subtask| &subtask.operators) {
            for (name, bytes) in operator.keyed.state_bytes() {
                *all.entry(name.clone()).or_insert(0) += bytes;
            }
        }
        all
    }

    /// How its key groups were divided.
    pub fn groups(&self) -> KeyGroups {
        KeyGroups { max_parallelism: self.job.max_parallelism, parallelism: self.subtasks.len() as u16 }
    }

    /// Writes it into the folder of its checkpoint, which is complete then; its length, bytes.
    ///
    /// # Errors
    /// The storage failed.
    pub fn save(&self, folder: &CheckpointStorage) -> Result<u64, CheckpointError> {
        let bytes = self.encode()?;
        Ok(folder.put(METADATA_FILE, &bytes)?.bytes)
    }

    fn encode(&self) -> Result<Vec<u8>, CheckpointError> {
        let body = rmp_serde::to_vec_named(self).map_err(|error| CheckpointError::Damaged {
            file: METADATA_FILE.to_owned(),
            reason: format!("it cannot be written: {error}"),
        })?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_be_bytes());
        bytes.extend_from_slice(&xxh3_64(&body).to_be_bytes());
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let cut = || "it ends within its head".to_owned();
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
        if magic != MAGIC {
            return Err("it is not the metadata of a checkpoint of statebench".to_owned());
        }
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let version = u32::from_be_bytes(*version);
        if version != FORMAT_VERSION {
            return Err(format!("its format has version {version}; this program reads version {FORMAT_VERSION}"));
        }
        let (checksum, body) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        if xxh3_64(body) != u64::from_be_bytes(*checksum) {
            return Err("its checksum is wrong".to_owned());
        }
        rmp_serde::from_read(Cursor::new(body)).map_err(|error| error.to_string())
    }
}

/// A complete checkpoint in its storage.
#[derive(Clone)]
pub struct StoredCheckpoint {
    name: String,
    folder: CheckpointStorage,
    shared: CheckpointStorage,
    /// What is in it.
    pub metadata: Metadata,
}

impl StoredCheckpoint {
    /// Reads the metadata of the checkpoint at `url`: its folder, or the metadata file in it.
    ///
    /// # Errors
    /// There is none, it is damaged, or the storage failed.
    pub fn open(url: &str) -> Result<Self, CheckpointError> {
        let url = url.trim_end_matches('/');
        let url = url.strip_suffix(METADATA_FILE).map_or(url, |folder| folder.trim_end_matches('/'));
        let (parent, name) = url.rsplit_once('/').unwrap_or((".", url));
        Self::open_in(&CheckpointStorage::open(if parent.is_empty() { "/" } else { parent }, None)?, name)
    }

    /// Reads the metadata of a checkpoint by its name in the folder of its job.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in(job: &CheckpointStorage, name: &str) -> Result<Self, CheckpointError> {
        let folder = job.child(name);
        let bytes = folder.read(METADATA_FILE)?;
        let metadata = Metadata::decode(&bytes)
            .map_err(|reason| CheckpointError::Damaged { file: format!("{}/{METADATA_FILE}", folder.url()), reason })?;
        Ok(Self { name: name.to_owned(), folder, shared: job.child(SHARED_FOLDER), metadata })
    }

    /// The name of its folder in that of its job.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder of its job, without anything secret.
    pub fn job_url(&self) -> &str {
        self.folder
            .url()
            .strip_suffix(&self.name)
            .map_or(".", |job| if job == "/" { job } else { job.trim_end_matches('/') })
    }

    /// Its folder, without anything secret.
    pub fn url(&self) -> &str {
        self.folder.url()
    }

    /// The storage that a file of it lies in.
    pub fn folder_of(&self, file: &FileRef) -> &CheckpointStorage {
        match file.scope {
            Scope::Exclusive => &self.folder,
            Scope::Shared => &self.shared,
        }
    }

    /// Reads a stream and compares it with its checksum.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn verify(&self, stream: &StreamHandle) -> Result<(), CheckpointError> {
        match stream {
            StreamHandle::Inline(_) => Ok(()), // the metadata has a checksum of its own
            StreamHandle::File(_) => self.read(stream).map(drop),
        }
    }

    /// The whole content of a stream, checked against its checksum.
    ///
    /// # Errors
    /// The file is not there or is damaged, or the storage failed.
    pub fn read(&self, stream: &StreamHandle) -> Result<Vec<u8>, CheckpointError> {
        match stream {
            StreamHandle::Inline(bytes) => Ok(bytes.clone()),
            StreamHandle::File(file) => {
                let folder = self.folder_of(file);
                let bytes = folder.read(&file.name)?;
                if bytes.len() as u64 == file.stored.bytes && xxh3_64(&bytes) == file.stored.checksum {
                    return Ok(bytes);
                }
                let reason = if bytes.len() as u64 == file.stored.bytes {
                    "its checksum is wrong".to_owned()
                } else {
                    format!("it has {} bytes in place of {}", bytes.len(), file.stored.bytes)
                };
                Err(CheckpointError::Damaged { file: format!("{}/{}", folder.url(), file.name), reason })
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::checkpoint::{KeyedHandle, OperatorHandle, Output, RocksDbFile, Stored};
    use proptest::prelude::*;

    /// A checkpoint that names these shared files.
    pub fn metadata_with_shared(id: u64, files: &[String]) -> Metadata {
        let file = |name: &String| RocksDbFile {
            name: name.clone(),
            stream: StreamHandle::File(FileRef {
                scope: Scope::Shared,
                name: name.clone(),
                stored: Stored { bytes: 5, checksum: 7 },
            }),
        };
        let keyed = KeyedHandle::RocksDb {
            key_groups: 0..128,
            backend_id: "a".to_owned(),
            files: files.iter().map(file).collect(),
            meta: StreamHandle::Inline(vec![1, 2, 3]),
            state_bytes: BTreeMap::from([("count".to_owned(), 5)]),
        };
        let output = Output { emitted: Digest::default(), late_events: 0, now: Now::START, latest: vec![(1, 2)] };
        let operator = OperatorHandle { keyed, operator_state: None, output };
        Metadata {
            id,
            kind: SnapshotKind::IncrementalCheckpoint,
            written_by: "0".to_owned(),
            backend: "rocksdb".to_owned(),
            job: JobIdentity { key_type: "long".to_owned(), max_parallelism: 128, sections: BTreeMap::new() },
            stream_seed: 1,
            position: Position { next_block: 4, phase: 0, phase_events: 1024, events: 1024, now: Now::START },
            state_digest: None,
            subtasks: vec![SubtaskHandle { operators: vec![operator] }],
        }
    }

    #[test]
    fn metadata_survives_a_round_trip() {
        let metadata = metadata_with_shared(3, &["a.sst".to_owned()]);
        assert_eq!(Metadata::decode(&metadata.encode().unwrap()), Ok(metadata));
    }

    #[test]
    fn a_future_format_is_refused_with_its_version() {
        let mut bytes = metadata_with_shared(3, &[]).encode().unwrap();
        bytes[8..12].copy_from_slice(&7_u32.to_be_bytes());
        assert_eq!(Metadata::decode(&bytes).unwrap_err(), "its format has version 7; this program reads version 1");
    }

    proptest! {
        #[test]
        fn no_damage_goes_unnoticed(at in any::<prop::sample::Index>(), flip in 1..=255_u8, cut in any::<bool>()) {
            let mut bytes = metadata_with_shared(3, &["a.sst".to_owned()]).encode().unwrap();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
            prop_assert!(Metadata::decode(&bytes).is_err());
        }
    }

    #[test]
    fn another_job_is_refused_with_what_differs() {
        let own = JobIdentity {
            key_type: "long".to_owned(),
            max_parallelism: 128,
            sections: BTreeMap::from([("keys".to_owned(), 1), ("operator".to_owned(), 2)]),
        };
        assert_eq!(own.differs_from(&own), None);
        let mut other = own.clone();
        other.sections.insert("operator".to_owned(), 3);
        assert_eq!(own.differs_from(&other).unwrap(), "it is of another workload: these sections differ: operator");
        other.max_parallelism = 256;
        assert!(own.differs_from(&other).unwrap().starts_with("it was taken at max parallelism 256"));
        other.key_type = "string".to_owned();
        assert_eq!(own.differs_from(&other).unwrap(), "its keys are of type string, those of the workload long");
    }
}
