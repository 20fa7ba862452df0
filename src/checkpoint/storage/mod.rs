//! Where checkpoints are kept: a directory, or an object store that speaks the protocol of S3, Google or Azure.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `location.rs` | what a URL says |
//! | `local.rs` | a directory |
//! | `remote.rs`, `http.rs`, `credentials.rs` | an object store: requests, what is counted of them, who asks |
//! | `writer.rs` | a file in the making |
//! | `lock.rs` | one run at a time |
//! | `meter.rs` | counters, and the delays of a modelled store |
//! | `stored.rs` | length and checksum |
//! | `error.rs` | everything that can go wrong |
//!
//! Calls wait until they are done and may be made from many threads. A file is there whole or not at all, and what is
//! read back is compared with the length and checksum that were returned when it was stored.

mod credentials;
mod error;
mod http;
mod local;
mod location;
mod lock;
mod meter;
mod remote;
mod stored;
mod writer;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

pub use error::StorageError;
pub use lock::{LockHolder, StorageLock};
pub use meter::{StorageCounters, StorageProfile};
pub use stored::Stored;
pub use writer::StorageWriter;

use credentials::Settings;
use http::Limits;
use local::LocalFolder;
use location::{Location, check_path};
use meter::{Meter, page_requests, upload_requests};
use remote::{Objects, RemoteWriter};
use stored::CopyError;

/// Where checkpoints are kept. Clones share the connection and the counters.
#[derive(Debug, Clone)]
pub struct CheckpointStorage {
    url: String,
    /// The path of this folder below what was opened, empty or ending in `/`.
    prefix: String,
    place: Arc<Place>,
    meter: Arc<Meter>,
}

#[derive(Debug)]
enum Place {
    Local(LocalFolder),
    Remote(Arc<Objects>),
}

/// A file or folder: its path below what was opened, and how it is named in messages.
#[derive(Debug)]
struct Name {
    key: String,
    shown: String,
}

/// A file of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its path below the storage that was listed.
    pub path: String,
    /// Its length, bytes.
    pub bytes: u64,
}

impl Listed {
    /// Whether it is a file that a directory's writer has not finished; where nobody writes, a killed run left it.
    pub fn is_unfinished(&self) -> bool {
        self.path.rsplit('/').next().is_some_and(|name| name.starts_with(local::UNFINISHED))
    }
}

/// How a file was brought to where it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    /// It is a second name of the stored file.
    HardLink,
    /// It is a copy of its own.
    Copied,
}

impl CheckpointStorage {
    /// Opens a storage: a path, `file://`, `s3://` (also Flink's `s3a://` and `s3p://`), `gs://`, `abfs(s)://`,
    /// `wasb(s)://` or `az://`. Nothing is created and no store is asked before the first call that needs it.
    ///
    /// Credentials come from the usual environment variables and files only.
    ///
    /// # Errors
    /// The URL has another scheme, names no bucket, carries credentials, or names a file.
    pub fn open(url: &str, profile: Option<StorageProfile>) -> Result<Self, StorageError> {
        Self::open_with(url, profile, Settings::of_process(), Limits::default())
    }

    /// As [`open`](Self::open), with settings that stand for the environment.
    fn open_with(
        url: &str,
        profile: Option<StorageProfile>,
        settings: Settings,
        limits: Limits,
    ) -> Result<Self, StorageError> {
        let meter = Arc::new(Meter::new(profile)?);
        let location = Location::parse(url)?;
        let trimmed = url.trim_end_matches('/');
        let shown = if trimmed.is_empty() || trimmed.ends_with(':') { url } else { trimmed };
        let place = match location {
            Location::Folder(root) => Place::Local(LocalFolder::open(shown, root)?),
            Location::Objects(at) => Place::Remote(Arc::new(Objects::open(shown, at, settings, limits, &meter)?)),
        };
        Ok(Self { url: shown.to_owned(), prefix: String::new(), place: Arc::new(place), meter })
    }

    /// The URL or path that was opened, with the folders of [`child`](Self::child) and without a slash at its end.
    /// There is nothing secret in it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A folder below, with the same connection, counters and profile. Whether the name is allowed is told by the first
    /// call that uses it.
    #[must_use]
    pub fn child(&self, folder: &str) -> Self {
        let url = format!("{}/{folder}", self.url.trim_end_matches('/'));
        let prefix = format!("{}{folder}/", self.prefix);
        Self { url, prefix, place: Arc::clone(&self.place), meter: Arc::clone(&self.meter) }
    }

    /// Stores a local file, in place of what had the name. It is read once.
    ///
    /// As in Flink, it is in the system's hands when this returns, and not forced to the disk.
    ///
    /// # Errors
    /// It cannot be read or stored.
    pub fn upload(&self, path: &str, source: &Path) -> Result<Stored, StorageError> {
        let mut writer = self.writer(path)?;
        let file = File::open(source).map_err(|error| StorageError::from_local(source, error))?;
        let copied = stored::copy(file, &mut writer, |_| ());
        copied.map_err(|error| match error {
            CopyError::Source(error) => StorageError::from_local(source, error),
            CopyError::Target(error) => self.failed(path, error),
        })?;
        writer.finish()
    }

    /// Stores a small file, in place of what had the name: whole or not at all, and on the disk when this returns.
    ///
    /// # Errors
    /// It could not be stored.
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<Stored, StorageError> {
        let name = self.name(path)?;
        if let Place::Remote(_) = &*self.place
            && bytes.len() > remote::PART
        {
            let mut writer = self.writer(path)?;
            writer.write_all(bytes).map_err(|error| self.failed(path, error))?;
            return writer.finish();
        }
        match &*self.place {
            Place::Local(folder) => {
                self.meter.local_requests(upload_requests(bytes.len() as u64));
                folder.put(&name, bytes)?;
            }
            Place::Remote(objects) => {
                self.meter.wait_latency(1);
                objects.put(&name, bytes)?;
            }
        }
        self.meter.pass(bytes.len() as u64);
        self.meter.uploaded(bytes.len() as u64);
        Ok(Stored::of(bytes))
    }

    /// Stores a small file as [`put`](Self::put) does, but only where nothing has the name; whether that was so. Of
    /// many that try at once, one wins.
    ///
    /// # Errors
    /// It could not be stored, or the store did not say whether it was.
    pub fn put_new(&self, path: &str, bytes: &[u8]) -> Result<bool, StorageError> {
        let name = self.name(path)?;
        self.one_request();
        let is_new = match &*self.place {
            Place::Local(folder) => folder.put_new(&name, bytes)?,
            Place::Remote(objects) => objects.put_new(&name, bytes)?,
        };
        self.meter.pass(bytes.len() as u64);
        if is_new {
            self.meter.uploaded(bytes.len() as u64);
        }
        Ok(is_new)
    }

    /// A file to be written piece by piece, in place of what had the name.
    ///
    /// # Errors
    /// A directory's file cannot be created.
    pub fn writer(&self, path: &str) -> Result<StorageWriter, StorageError> {
        let name = self.name(path)?;
        let shown = name.shown.clone();
        let kind = match &*self.place {
            Place::Local(folder) => writer::Kind::Local(Box::new(folder.writer(&name)?)),
            Place::Remote(objects) => writer::Kind::Remote(Box::new(RemoteWriter::new(Arc::clone(objects), name)?)),
        };
        Ok(StorageWriter::new(Arc::clone(&self.meter), shown, kind))
    }

    /// The content of a file.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, StorageError> {
        let name = self.name(path)?;
        self.one_request();
        let content = match &*self.place {
            Place::Local(folder) => folder.read(&name)?,
            Place::Remote(objects) => objects.read(&name)?,
        };
        self.meter.pass(content.len() as u64);
        self.meter.downloaded(content.len() as u64);
        Ok(content)
    }

    /// Makes a private copy of a file at `target`, whose folder is made, in place of what was there.
    ///
    /// # Errors
    /// It is not there, cannot be read or written, or is not what was stored; then there is nothing new at `target`.
    pub fn download(&self, path: &str, target: &Path, expected: &Stored) -> Result<(), StorageError> {
        let name = self.name(path)?;
        self.one_request();
        match &*self.place {
            Place::Local(folder) => folder.download(&name, target, *expected, |bytes| self.meter.pass(bytes))?,
            Place::Remote(objects) => objects.download(&name, target, *expected)?,
        }
        self.meter.downloaded(expected.bytes);
        Ok(())
    }

    /// As [`download`](Self::download), for a file that nobody will write to: where the storage is a directory of the
    /// same file system it becomes a hard link, whose content is checked too. Under a profile it is a copy, as from the
    /// store that is modelled.
    ///
    /// # Errors
    /// As [`download`](Self::download).
    pub fn link(&self, path: &str, target: &Path, expected: &Stored) -> Result<Linked, StorageError> {
        if let Place::Local(folder) = &*self.place
            && !self.meter.is_modelled()
            && let Some(linked) = folder.link(&self.name(path)?, target, *expected)?
        {
            return Ok(linked);
        }
        self.download(path, target, expected).map(|()| Linked::Copied)
    }

    /// All files below a folder of this storage (`""`: all of it), ordered by path. A folder that is missing is empty.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn list(&self, folder: &str) -> Result<Vec<Listed>, StorageError> {
        let name = if folder.is_empty() { self.this()? } else { self.name(folder)? };
        let mut listed = match &*self.place {
            Place::Local(place) => place.list(&name)?,
            Place::Remote(objects) => objects.list(&name)?,
        };
        self.requests(page_requests(listed.len() as u64));
        for file in &mut listed {
            let path = format!("{folder}{}", file.path);
            path.trim_start_matches('/').clone_into(&mut file.path);
        }
        listed.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(listed)
    }

    /// Deletes a file. One that is missing is as good as deleted.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub fn delete(&self, path: &str) -> Result<(), StorageError> {
        let name = self.name(path)?;
        self.one_request();
        match &*self.place {
            Place::Local(folder) => folder.delete(&name),
            Place::Remote(objects) => objects.delete(&name),
        }
    }

    /// Deletes the files of this storage whose paths begin like this, as far as that is possible: what stays behind is an
    /// orphan, which `checkpoint gc` finds.
    pub fn delete_beginning_with(&self, prefix: &str) {
        let files = self.list("").unwrap_or_default();
        let own = files.iter().filter(|file| file.path.starts_with(prefix));
        own.for_each(|file| drop(self.delete(&file.path)));
    }

    /// Deletes everything below this storage, and its folder with it. One that is missing is as good as deleted.
    ///
    /// # Errors
    /// Something cannot be deleted, or this storage is a whole bucket or file system.
    pub fn delete_folder(&self) -> Result<(), StorageError> {
        let name = self.this()?;
        let is_all = match &*self.place {
            Place::Local(folder) => folder.at(&name.key).parent().is_none(),
            Place::Remote(objects) => objects.is_bucket(&name.key),
        };
        if is_all {
            let reason = "this is a whole bucket or file system; only a folder in it is deleted";
            return Err(StorageError::BadPath { file: name.shown, reason });
        }
        self.one_request();
        match &*self.place {
            Place::Local(folder) => folder.delete_folder(&name),
            Place::Remote(objects) => objects.delete_folder(&name),
        }
    }

    /// Takes the lock of that name, for which nobody waits. A directory's lock ends with the process that holds it; an
    /// object store's lock stays if that is killed.
    ///
    /// # Errors
    /// Another run holds it, with who that is; or it cannot be created.
    pub fn lock(&self, path: &str) -> Result<StorageLock, StorageError> {
        let name = self.name(path)?;
        match &*self.place {
            Place::Local(folder) => {
                self.meter.local_requests(1);
                lock::lock_file(&name, folder.at(&name.key))
            }
            Place::Remote(_) => lock::lock_object(self, path),
        }
    }

    /// What a writer's error means: the storage's own, where it carries one.
    pub fn failed(&self, path: &str, error: io::Error) -> StorageError {
        match error.downcast::<StorageError>() {
            Ok(own) => own,
            Err(error) => StorageError::from_io(&self.shown(path), error),
        }
    }

    /// What was done since the storage was opened, its clones and children included.
    pub fn counters(&self) -> StorageCounters {
        self.meter.counters()
    }

    /// A call that takes one request.
    fn one_request(&self) {
        self.requests(1);
    }

    /// A call that takes some requests in a row; those of an object store are counted as they are sent.
    fn requests(&self, requests: u64) {
        match &*self.place {
            Place::Local(_) => self.meter.local_requests(requests),
            Place::Remote(_) => self.meter.wait_latency(requests),
        }
    }

    fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.url.trim_end_matches('/'))
    }

    /// The name of a file or folder below this one.
    fn name(&self, path: &str) -> Result<Name, StorageError> {
        let key = format!("{}{path}", self.prefix);
        let shown = error::printable(&self.shown(path), 1000);
        // Of the path alone too: with the prefix before it an absolute path is one with an empty name.
        match check_path(path).and_then(|()| check_path(&key)) {
            Ok(()) => Ok(Name { key, shown }),
            Err(reason) => Err(StorageError::BadPath { file: shown, reason }),
        }
    }

    /// The name of this folder itself.
    fn this(&self) -> Result<Name, StorageError> {
        let key = self.prefix.strip_suffix('/').unwrap_or_default().to_owned();
        match check_path(&key) {
            Err(reason) if !self.prefix.is_empty() => {
                Err(StorageError::BadPath { file: error::printable(&self.url, 1000), reason })
            }
            _ => Ok(Name { key, shown: self.url.clone() }),
        }
    }
}

#[cfg(test)]
mod s3_tests;
#[cfg(test)]
mod tests;
