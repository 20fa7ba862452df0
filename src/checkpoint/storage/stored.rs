//! What is remembered of a stored file, so that what comes back can be told from what was stored.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::error::StorageError;

/// Files are read, hashed and written in pieces of this size, bytes: large enough for the system, small enough for a
/// core's cache to still hold it when it is written.
pub(super) const BUFFER: usize = 256 * 1024;

/// Length and checksum of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its length, bytes.
    pub bytes: u64,
    /// XXH3 (64 bits, seed 0) of its content.
    pub checksum: u64,
}

impl Stored {
    /// Of a content.
    pub fn of(content: &[u8]) -> Self {
        Self { bytes: content.len() as u64, checksum: xxh3_64(content) }
    }

    /// Refuses `found` where it is not this.
    pub(super) fn check(self, file: &str, found: Self) -> Result<(), StorageError> {
        self.check_length(file, found.bytes)?;
        if found.checksum == self.checksum {
            return Ok(());
        }
        let reason = format!(
            "its checksum is {:016x} where {:016x} was stored (length {} bytes)",
            found.checksum, self.checksum, self.bytes
        );
        Err(StorageError::Damaged { file: file.to_owned(), reason })
    }

    /// Refuses a length that is not this one.
    pub(super) fn check_length(self, file: &str, bytes: u64) -> Result<(), StorageError> {
        if bytes == self.bytes {
            return Ok(());
        }
        let reason = format!("it has {bytes} bytes where {} were stored", self.bytes);
        Err(StorageError::Damaged { file: file.to_owned(), reason })
    }
}

/// Counts and hashes what passes.
#[derive(Clone, Default)]
pub(super) struct Tally {
    bytes: u64,
    hash: Xxh3,
}

impl Tally {
    pub fn add(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.hash.update(piece);
    }

    pub fn stored(&self) -> Stored {
        Stored { bytes: self.bytes, checksum: self.hash.digest() }
    }
}

/// Where a copy failed.
pub(super) enum CopyError {
    /// Reading.
    Source(io::Error),
    /// Writing.
    Target(io::Error),
}

/// Copies all of `source`, hashing it on the way; `passed` is told the size of each piece.
pub(super) fn copy(
    mut source: impl Read,
    mut target: impl Write,
    mut passed: impl FnMut(u64),
) -> Result<Stored, CopyError> {
    let mut buffer = vec![0; BUFFER];
    let mut tally = Tally::default();
    loop {
        let piece = match source.read(&mut buffer) {
            Ok(0) => return Ok(tally.stored()),
            Ok(length) => buffer.get(..length).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Source(error)),
        };
        tally.add(piece);
        target.write_all(piece).map_err(CopyError::Target)?;
        passed(piece.len() as u64);
    }
}
