//! One run at a time: the lock of a directory of checkpoints.
//!
//! In a directory the lock is the system's (`flock`), so it ends with the process that holds it, however that dies; the
//! file's content tells who holds it, and keeps other hosts out where the file system does not share its locks with
//! them. In an object store the lock is an object that only one can create; it stays if its holder is killed.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::error::{StorageError, printable};
use super::{CheckpointStorage, Name};

/// How often a lock that goes away while it is looked at is tried again.
const ATTEMPTS: usize = 16;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// Its host's name.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// Since when, seconds since 1970.
    pub since_epoch_s: u64,
    /// Distinguishes this lock from every other.
    pub token: String,
}

impl LockHolder {
    /// This process, for a lock that begins now.
    fn this() -> Self {
        static LOCKS: AtomicU64 = AtomicU64::new(0);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let pid = std::process::id();
        let host = sysinfo::System::host_name().unwrap_or_else(|_| "unknown".to_owned());
        let token = format!("{host}-{pid}-{}-{}", since.as_nanos(), LOCKS.fetch_add(1, Ordering::Relaxed));
        Self { host, pid, since_epoch_s: since.as_secs(), token }
    }

    fn parse(content: &[u8]) -> Option<Self> {
        serde_json::from_slice(content).ok()
    }
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = utc(self.since_epoch_s);
        write!(f, "process {} on host {} since {since}", self.pid, printable(&self.host, 80))
    }
}

/// `2001-01-31 23:59:59 UTC` of seconds since 1970 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn utc(epoch_s: u64) -> String {
    let days = epoch_s / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (epoch_s / 3600 % 24, epoch_s / 60 % 60, epoch_s % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub struct StorageLock {
    held: Held,
}

#[derive(Debug)]
enum Held {
    File { file: File, path: PathBuf },
    Object { storage: CheckpointStorage, path: String, token: String },
}

impl Drop for StorageLock {
    fn drop(&mut self) {
        // Nobody is left to tell of a failure: the next run names the lock that stayed.
        match &self.held {
            Held::File { file, path } => {
                if is_at(file, path).unwrap_or(false) {
                    let _ = fs::remove_file(path);
                }
            }
            Held::Object { storage, path, token } => {
                let holder = storage.read(path).ok().and_then(|content| LockHolder::parse(&content));
                if holder.is_some_and(|holder| holder.token == *token) {
                    let _ = storage.delete(path);
                }
            }
        }
    }
}

/// Takes the lock that a file of a directory is.
pub(super) fn lock_file(name: &Name, path: PathBuf) -> Result<StorageLock, StorageError> {
    let failed = |error| StorageError::from_io(&name.shown, error);
    let locked = |holder: Option<LockHolder>, remedy: &str| {
        Err(StorageError::Locked { file: name.shown.clone(), holder, remedy: remedy.to_owned() })
    };
    let wait = "wait for it, or give this run another directory";
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    for _ in 0..ATTEMPTS {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(failed)?;
        let mut content = Vec::new();
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                file.read_to_end(&mut content).map_err(failed)?;
                return locked(LockHolder::parse(&content), wait);
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Its holder removed it between opening and locking: what is locked is no lock any more.
        if !is_at(&file, &path).map_err(failed)? {
            continue;
        }
        file.read_to_end(&mut content).map_err(failed)?;
        let this = LockHolder::this();
        let left = LockHolder::parse(&content);
        if !content.is_empty() && left.as_ref().is_none_or(|left| left.host != this.host) {
            return locked(left, "if that run is dead, delete this file");
        }
        write_holder(&mut file, &this).map_err(failed)?;
        return Ok(StorageLock { held: Held::File { file, path } });
    }
    locked(None, wait)
}

fn write_holder(file: &mut File, holder: &LockHolder) -> io::Result<()> {
    let content = serde_json::to_vec(holder)?;
    file.rewind()?;
    file.write_all(&content)?;
    // In this order: a reader finds the old holder, or one that is no JSON, and never an empty file.
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

/// Whether the file that has a name now is this one.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let now = match fs::metadata(path) {
        Ok(now) => now,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let open = file.metadata()?;
    Ok((open.dev(), open.ino()) == (now.dev(), now.ino()))
}

/// Takes the lock that an object is.
pub(super) fn lock_object(storage: &CheckpointStorage, path: &str) -> Result<StorageLock, StorageError> {
    let this = LockHolder::this();
    let file = format!("{}/{path}", storage.url());
    let content = serde_json::to_vec(&this)
        .map_err(|error| StorageError::Io { file: file.clone(), source: io::Error::other(error) })?;
    let mut holder = None;
    for _ in 0..ATTEMPTS {
        if storage.put_new(path, &content)? {
            let held = Held::Object { storage: storage.clone(), path: path.to_owned(), token: this.token };
            return Ok(StorageLock { held });
        }
        match storage.read(path) {
            Ok(content) => {
                holder = LockHolder::parse(&content);
                break;
            }
            // Released since.
            Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let remedy = "wait for it, or give this run another directory; if that run is dead, delete this object \
                  (an object store does not notice that its client died)";
    Err(StorageError::Locked { file, holder, remedy: remedy.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_of_the_gregorian_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_827_696), "2000-02-29 12:34:56 UTC");
        assert_eq!(utc(4_102_444_799), "2099-12-31 23:59:59 UTC");
    }
}
