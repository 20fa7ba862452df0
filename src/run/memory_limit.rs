//! A limit on the memory of a trial's process, the page cache of its files included: with it a state that a large machine would
//! keep in the page cache is read from the device, as it would be where memory is short.
//!
//! Linux's control groups count both, version 2 as version 1. A group belongs to one trial.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the system keeps its groups, with the file that takes the limit: version 2, version 2 beside version 1, version 1.
const HIERARCHIES: [(&str, &str); 3] = [
    ("/sys/fs/cgroup", "memory.max"),
    ("/sys/fs/cgroup/unified", "memory.max"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
];
/// The file that takes the processes of a group.
const PROCESSES: &str = "cgroup.procs";

/// A group of one process, which is removed when this is dropped.
#[derive(Debug)]
pub struct MemoryGroup {
    folder: PathBuf,
}

impl MemoryGroup {
    /// Makes a group with a limit, bytes.
    ///
    /// # Errors
    /// The system has no control groups for memory, or does not let this user make one.
    pub fn create(limit_bytes: u64) -> Result<Self> {
        let mut refused = None;
        for (root, file) in HIERARCHIES {
            match Self::create_in(Path::new(root), file, limit_bytes) {
                Ok(group) => return Ok(group),
                // What is there and cannot be used says more than what is not there.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => refused = Some(error),
            }
        }
        let none = || Error::new(ErrorKind::Unsupported, "this system has no control groups for memory");
        Err(refused.unwrap_or_else(none))
    }

    fn create_in(root: &Path, file: &str, limit_bytes: u64) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if !root.join(PROCESSES).exists() {
            return Err(ErrorKind::NotFound.into());
        }
        let name = format!("statebench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = root.join(name);
        std::fs::create_dir(&folder)?;
        let group = Self { folder };
        if !group.folder.join(file).exists() {
            return Err(ErrorKind::NotFound.into()); // memory is not counted in this hierarchy
        }
        std::fs::write(group.folder.join(file), limit_bytes.to_string())?;
        Ok(group)
    }

    /// The group, for the process that joins it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for MemoryGroup {
    /// The process of the group has ended; what it left in the page cache goes to the group above.
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Makes this process the one of a group.
///
/// # Errors
/// The group is gone.
pub fn join(folder: &Path) -> Result<()> {
    std::fs::write(folder.join(PROCESSES), std::process::id().to_string())
}

/// Drops what the page cache holds of the files below a folder, which others may have read into it and pay for.
///
/// # Errors
/// A file cannot be read.
#[cfg(unix)]
pub fn forget_files(folder: &Path) -> Result<()> {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            forget_files(&entry.path())?;
            continue;
        }
        let file = std::fs::File::open(entry.path())?;
        file.sync_all()?; // what is not written yet stays
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_group_takes_a_limit_where_the_system_has_groups_and_says_so_where_it_has_none() {
        match MemoryGroup::create(64 << 20) {
            Ok(group) => {
                let folder = group.folder().to_owned();
                let limit = ["memory.max", "memory.limit_in_bytes"]
                    .iter()
                    .find_map(|file| std::fs::read_to_string(folder.join(file)).ok());
                assert_eq!(limit.unwrap().trim(), (64 << 20).to_string());
                drop(group);
                assert!(!folder.exists());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let empty = tempfile::tempdir().unwrap();
        let absent = MemoryGroup::create_in(empty.path(), "memory.max", 1 << 20).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn forgotten_files_are_still_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("0")).unwrap();
        std::fs::write(folder.path().join("0/file"), vec![7; 100_000]).unwrap();
        forget_files(folder.path()).unwrap();
        assert_eq!(std::fs::read(folder.path().join("0/file")).unwrap(), vec![7; 100_000]);
        assert!(forget_files(&folder.path().join("none")).is_err());
    }
}
