//! A directory as checkpoint storage.
//!
//! Every file is written under a temporary name and renamed when it is complete, so that no reader sees half of one and
//! a file that was hard-linked elsewhere is replaced, never written into.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::error::StorageError;
use super::stored::{self, BUFFER, CopyError, Stored, Tally};
use super::{Linked, Listed, Name};

/// Names that files have while they are written. One that is there when nobody writes is what a killed run left.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// A directory.
#[derive(Debug)]
pub(super) struct LocalFolder {
    root: PathBuf,
}

impl LocalFolder {
    /// # Errors
    /// There is something of that name that is not a directory.
    pub fn open(url: &str, root: PathBuf) -> Result<Self, StorageError> {
        match fs::metadata(&root) {
            Ok(found) if !found.is_dir() => {
                Err(StorageError::BadUrl { url: url.to_owned(), reason: "this is a file; give a directory".to_owned() })
            }
            Ok(_) => Ok(Self { root }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { root }),
            Err(error) => Err(StorageError::from_io(url, error)),
        }
    }

    /// The file of a path, which was checked to stay below the root.
    pub fn at(&self, key: &str) -> PathBuf {
        if key.is_empty() { self.root.clone() } else { self.root.join(key) }
    }

    pub fn writer(&self, name: &Name) -> Result<LocalWriter, StorageError> {
        let target = self.at(&name.key);
        let temporary = temporary_beside(&target).map_err(|error| StorageError::from_io(&name.shown, error))?;
        Ok(LocalWriter { temporary, target, buffer: Vec::new(), tally: Tally::default() })
    }

    /// Whole, or not at all, whatever happens to process or machine.
    pub fn put(&self, name: &Name, bytes: &[u8]) -> Result<(), StorageError> {
        let put = || {
            let target = self.at(&name.key);
            synced_temporary(&target, bytes)?.persist(&target).map_err(|failed| failed.error)?;
            self.sync_folders(&target)
        };
        put().map_err(|error| StorageError::from_io(&name.shown, error))
    }

    /// Only where nothing has the name; whether that was so.
    pub fn put_new(&self, name: &Name, bytes: &[u8]) -> Result<bool, StorageError> {
        let put = || {
            let target = self.at(&name.key);
            match synced_temporary(&target, bytes)?.persist_noclobber(&target) {
                Ok(_) => self.sync_folders(&target).map(|()| true),
                Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(failed) => Err(failed.error),
            }
        };
        put().map_err(|error| StorageError::from_io(&name.shown, error))
    }

    /// Makes the names on the way to a file durable, that of the root included.
    fn sync_folders(&self, target: &Path) -> io::Result<()> {
        for folder in target.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root)) {
            File::open(folder)?.sync_all()?;
        }
        // The folder above the root may be one that cannot be read; then it is not ours to have made the root in.
        match self.root.parent().map(File::open) {
            Some(Ok(above)) => above.sync_all(),
            _ => Ok(()),
        }
    }

    pub fn open_file(&self, name: &Name) -> Result<(File, u64), StorageError> {
        let path = self.at(&name.key);
        let failed = |error| StorageError::from_io(&name.shown, error);
        // Opening a pipe would wait for its writer.
        if !fs::metadata(&path).map_err(failed)?.is_file() {
            let reason = "it is a directory or a device where a file was stored".to_owned();
            return Err(StorageError::Damaged { file: name.shown.clone(), reason });
        }
        let file = File::open(&path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        Ok((file, bytes))
    }

    pub fn read(&self, name: &Name) -> Result<Vec<u8>, StorageError> {
        let (mut file, length) = self.open_file(name)?;
        let mut content = Vec::new();
        let failed = |error| StorageError::from_io(&name.shown, error);
        content.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX)).map_err(|e| failed(e.into()))?;
        file.read_to_end(&mut content).map_err(failed)?;
        Ok(content)
    }

    /// A copy of a file; `passed` is told what was read.
    pub fn download(
        &self,
        name: &Name,
        target: &Path,
        expected: Stored,
        passed: impl FnMut(u64),
    ) -> Result<(), StorageError> {
        let (file, bytes) = self.open_file(name)?;
        expected.check_length(&name.shown, bytes)?;
        let mut copy = temporary_beside(target).map_err(|error| StorageError::from_local(target, error))?;
        let found = stored::copy(file, copy.as_file_mut(), passed).map_err(|error| match error {
            CopyError::Source(error) => StorageError::from_io(&name.shown, error),
            CopyError::Target(error) => StorageError::from_local(target, error),
        })?;
        expected.check(&name.shown, found)?;
        copy.persist(target).map_err(|failed| StorageError::from_local(target, failed.error))?;
        Ok(())
    }

    /// A second name for a file; none where the file systems do not allow it.
    pub fn link(&self, name: &Name, target: &Path, expected: Stored) -> Result<Option<Linked>, StorageError> {
        let (_, bytes) = self.open_file(name)?;
        expected.check_length(&name.shown, bytes)?;
        let source = self.at(&name.key);
        // The second name of a symbolic link would be a symbolic link.
        let is_plain = fs::symlink_metadata(&source).is_ok_and(|found| found.is_file());
        if !is_plain || !hard_link(&source, target).map_err(|error| StorageError::from_local(target, error))? {
            return Ok(None);
        }
        // What is checked is what will be read, even if the name in the storage is given to another file meanwhile.
        let checked = File::open(target).map_err(CopyError::Source).and_then(|f| stored::copy(f, io::sink(), |_| ()));
        let checked = match checked {
            Ok(found) => expected.check(&name.shown, found),
            Err(CopyError::Source(error) | CopyError::Target(error)) => Err(StorageError::from_io(&name.shown, error)),
        };
        if checked.is_err() {
            // The error at hand tells more than one of removing.
            let _ = fs::remove_file(target);
        }
        checked.map(|()| Some(Linked::HardLink))
    }

    /// All files below a folder. Symbolic links are listed, not followed.
    pub fn list(&self, name: &Name) -> Result<Vec<Listed>, StorageError> {
        let mut found = Vec::new();
        let mut folders = vec![(self.at(&name.key), String::new())];
        while let Some((folder, path)) = folders.pop() {
            let failed = |error: io::Error| StorageError::from_io(&format!("{}{path}", name.shown), error);
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let path = format!("{path}/{}", entry.file_name().to_string_lossy());
                match entry.metadata() {
                    Ok(inside) if inside.is_dir() => folders.push((entry.path(), path)),
                    Ok(file) => found.push(Listed { path, bytes: file.len() }),
                    // Removed, or renamed as complete, since the folder was read.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        Ok(found)
    }

    pub fn delete(&self, name: &Name) -> Result<(), StorageError> {
        unless_missing(fs::remove_file(self.at(&name.key))).map_err(|error| StorageError::from_io(&name.shown, error))
    }

    pub fn delete_folder(&self, name: &Name) -> Result<(), StorageError> {
        unless_missing(fs::remove_dir_all(self.at(&name.key)))
            .map_err(|error| StorageError::from_io(&name.shown, error))
    }
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Gives a file a second name, in place of what had it; false where it cannot have one there.
fn hard_link(source: &Path, target: &Path) -> io::Result<bool> {
    let linked = match fs::hard_link(source, target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(target.parent().unwrap_or(Path::new(".")))?;
            fs::hard_link(source, target)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(target)?;
            fs::hard_link(source, target)
        }
        linked => linked,
    };
    match linked {
        Ok(()) => Ok(true),
        // Another file system; one without hard links; a file with as many names as it can have.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::CrossesDevices
                    | io::ErrorKind::Unsupported
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::TooManyLinks
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// An empty file in the folder of another, which is made.
pub(super) fn temporary_beside(target: &Path) -> io::Result<NamedTempFile> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let mut builder = Builder::new();
    builder.prefix(UNFINISHED);
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    match builder.tempfile_in(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            builder.tempfile_in(folder)
        }
        file => file,
    }
}

fn synced_temporary(target: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = temporary_beside(target)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// A file in the making.
pub(super) struct LocalWriter {
    temporary: NamedTempFile,
    target: PathBuf,
    buffer: Vec<u8>,
    tally: Tally,
}

impl LocalWriter {
    /// Takes some bytes; how many went on to the file system.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<u64> {
        if self.buffer.len() + bytes.len() < BUFFER {
            self.buffer.extend_from_slice(bytes);
            return Ok(0);
        }
        let held = self.drain()?;
        if bytes.len() < BUFFER {
            self.buffer.extend_from_slice(bytes);
            return Ok(held);
        }
        self.tally.add(bytes);
        self.temporary.as_file_mut().write_all(bytes)?;
        Ok(held + bytes.len() as u64)
    }

    /// Hands on what is held back; how much that was.
    pub fn drain(&mut self) -> io::Result<u64> {
        self.tally.add(&self.buffer);
        self.temporary.as_file_mut().write_all(&self.buffer)?;
        let bytes = self.buffer.len() as u64;
        self.buffer.clear();
        Ok(bytes)
    }

    /// Gives the file its name. Nothing may be held back.
    pub fn finish(self) -> io::Result<Stored> {
        self.temporary.persist(&self.target).map_err(|failed| failed.error)?;
        Ok(self.tally.stored())
    }
}
