//! What snapshots of keyed state have in common, whichever backend writes them and in whichever format.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::state::{Header, Serializer, StateError, StateMeta, StateResult, StateTtl};

/// Encoded entries are handed to a writer from this size on, bytes.
pub(super) const CHUNK: usize = 64 * 1024;

/// Where a snapshot has what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInfo {
    /// Its length, bytes.
    pub bytes: u64,
    /// The key groups in it.
    pub key_groups: Range<u16>,
    /// Where each of them begins, bytes from the beginning. In a canonical savepoint 0 for one without entries.
    pub offsets: Vec<u64>,
    /// Whether it is compressed.
    pub compressed: bool,
    /// What the entries of each state take in it, bytes before compression: what tells of groups and states and counts
    /// entries left out.
    pub state_bytes: BTreeMap<String, u64>,
}

impl SnapshotInfo {
    /// Where the header ends: where the first key group begins that is there.
    fn header_end(&self) -> u64 {
        self.offsets.iter().copied().find(|offset| *offset > 0).unwrap_or(self.bytes)
    }

    /// Each key group that is there, and where its bytes are.
    pub(super) fn groups(&self) -> StateResult<impl Iterator<Item = (u16, Range<u64>)>> {
        if self.offsets.len() != self.key_groups.len() {
            let (offsets, groups) = (self.offsets.len(), self.key_groups.len());
            return Err(damaged(format!("{offsets} offsets for {groups} key groups")));
        }
        let present = self.key_groups.clone().zip(self.offsets.iter().copied()).filter(|(_, offset)| *offset > 0);
        let ends = present.clone().skip(1).map(|(_, offset)| offset).chain([self.bytes]);
        Ok(present.zip(ends).map(|((group, start), end)| (group, start..end)))
    }
}

/// What a full snapshot leaves out of a state whose TTL says so (`cleanupFullSnapshot`): what had expired when it began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cleanup {
    ttl: StateTtl,
    now_ms: i64,
}

impl Cleanup {
    /// Of a state with this TTL, at this processing time, ms.
    pub fn of(ttl: Option<StateTtl>, now_ms: i64) -> Option<Self> {
        let ttl = ttl.filter(|ttl| ttl.cleanup.full_snapshot)?;
        Some(Self { ttl, now_ms })
    }

    /// Whether what was last accessed then is left out.
    pub fn is_expired(self, last_access_ms: Option<i64>) -> bool {
        self.ttl.is_expired(last_access_ms, self.now_ms)
    }
}

/// Reads the header in front of a snapshot, and where each of the states that it tells of is among those of this job.
pub(super) fn read_header<'a>(
    source: &mut (impl Read + Seek),
    info: &SnapshotInfo,
    key: &Serializer,
    states: impl Iterator<Item = &'a StateMeta>,
) -> StateResult<Vec<usize>> {
    let mut bytes = Vec::new();
    read_range(source, 0..info.header_end(), &mut bytes)?;
    let header = Header::read(&bytes)?;
    if header.compressed != info.compressed {
        return Err(damaged("its header and its handle differ in whether it is compressed"));
    }
    header.positions_in(key, states)
}

/// Reads a range of the source. It grows with what is there, not with what the range promises.
pub(super) fn read_range(source: &mut (impl Read + Seek), range: Range<u64>, bytes: &mut Vec<u8>) -> StateResult<()> {
    let error = |error: io::Error| StateError::Storage(error.to_string());
    let len = range.end.checked_sub(range.start).ok_or_else(|| damaged("a part of it ends before it begins"))?;
    source.seek(SeekFrom::Start(range.start)).map_err(error)?;
    bytes.clear();
    source.take(len).read_to_end(bytes).map_err(error)?;
    if bytes.len() as u64 == len { Ok(()) } else { Err(damaged("it ends before its last part")) }
}

/// A snapshot that is not what was written.
pub(super) fn damaged(what: impl Into<String>) -> StateError {
    StateError::Snapshot(what.into())
}

/// Counts what goes through.
pub(super) struct Counted<'a, W> {
    inner: &'a mut W,
    pub bytes: u64,
}

impl<'a, W> Counted<'a, W> {
    pub fn new(inner: &'a mut W) -> Self {
        Self { inner, bytes: 0 }
    }
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.bytes += written as u64;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
