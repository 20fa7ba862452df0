//! A file in the making.

use std::io::{self, Write};
use std::sync::Arc;

use super::error::StorageError;
use super::local::LocalWriter;
use super::meter::{Meter, upload_requests};
use super::remote::RemoteWriter;
use super::stored::Stored;

/// Writes one file of a storage. It appears, whole, with [`finish`](Self::finish); dropped before that, it leaves
/// nothing.
pub struct StorageWriter {
    meter: Arc<Meter>,
    shown: String,
    kind: Kind,
    /// Nothing can follow an error: what was written before it is lost.
    has_failed: bool,
}

pub(super) enum Kind {
    Local(Box<LocalWriter>),
    Remote(Box<RemoteWriter>),
}

impl StorageWriter {
    pub(super) fn new(meter: Arc<Meter>, shown: String, kind: Kind) -> Self {
        Self { meter, shown, kind, has_failed: false }
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// It could not be stored, or a write failed before.
    pub fn finish(self) -> Result<Stored, StorageError> {
        if self.has_failed {
            let error = io::Error::other("a write to it failed before");
            return Err(StorageError::Io { file: self.shown, source: error });
        }
        let stored = match self.kind {
            Kind::Local(mut writer) => {
                let finish = || {
                    self.meter.pass(writer.drain()?);
                    writer.finish()
                };
                let stored = finish().map_err(|error| StorageError::from_io(&self.shown, error))?;
                self.meter.local_requests(upload_requests(stored.bytes));
                stored
            }
            Kind::Remote(writer) => {
                let stored = writer.finish(|bytes| self.meter.pass(bytes))?;
                self.meter.wait_latency(upload_requests(stored.bytes));
                stored
            }
        };
        self.meter.uploaded(stored.bytes);
        Ok(stored)
    }
}

impl Write for StorageWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = match &mut self.kind {
            Kind::Local(writer) => {
                writer.write(bytes).map_err(|error| io::Error::other(StorageError::from_io(&self.shown, error)))
            }
            Kind::Remote(writer) => writer.write(bytes).map_err(io::Error::other),
        };
        match sent {
            Ok(sent) => self.meter.pass(sent),
            Err(error) => {
                self.has_failed = true;
                return Err(error);
            }
        }
        Ok(bytes.len())
    }

    /// Does nothing: a file is complete only when it is finished.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
