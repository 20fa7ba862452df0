//! Every way in which storage can fail, said so that the reader knows what to do, and never with a secret in it.

use std::io;
use std::path::Path;

use super::lock::LockHolder;

/// Why something could not be stored or read. Files are named by the storage's URL and their path in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A URL whose scheme is none of ours. Only the scheme is repeated: the rest may hold a password.
    #[error("unknown storage scheme `{scheme}://`{}; allowed: {}", suggested(*nearest), super::location::ALLOWED)]
    UnknownScheme {
        /// The scheme as written, cut to a printable length.
        scheme: String,
        /// The scheme that is spelled most like it.
        nearest: Option<&'static str>,
    },
    /// A user, a password or a key in the URL. The URL is not repeated.
    #[error(
        "the {scheme}:// URL carries credentials; leave them out: they come from {} only, and a URL ends up in results and logs",
        super::location::credentials_of(scheme)
    )]
    SecretInUrl {
        /// The URL's scheme.
        scheme: &'static str,
    },
    /// A URL that names no place.
    #[error("{url}: {reason}")]
    BadUrl {
        /// The URL.
        url: String,
        /// What is wrong with it, and how it should be.
        reason: String,
    },
    /// A path that is not a plain relative one.
    #[error("{file}: {reason}; a path in a storage is made of names and `/`")]
    BadPath {
        /// The URL and path.
        file: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A storage profile that no store has.
    #[error(
        "the storage profile's bandwidth is 0 bytes/s: nothing would ever arrive; give at least 1, or none for no limit"
    )]
    BadProfile,
    /// The bucket or container of the URL is not there.
    #[error("{url}: there is no bucket `{bucket}`; create it, or correct the URL, the region or the endpoint")]
    MissingBucket {
        /// The storage.
        url: String,
        /// The bucket, or Azure's container.
        bucket: String,
    },
    /// No credentials, or such as the store does not accept.
    #[error("{url}: {reason}; credentials come from {from}")]
    WrongCredentials {
        /// The storage.
        url: String,
        /// What the store said of them.
        reason: String,
        /// Where this kind of store's credentials are looked for.
        from: &'static str,
    },
    /// The credentials, or the user of this process, may not do this.
    #[error(
        "{file}: no permission ({reason}); give this user or these credentials the right to read, write, list and delete here"
    )]
    NoPermission {
        /// The URL and path.
        file: String,
        /// What the store or system said.
        reason: String,
    },
    /// The disk, the quota or the store is full.
    #[error("{file}: no space left ({reason}); free some, or choose another directory")]
    NoSpace {
        /// The URL and path, or the local file.
        file: String,
        /// What the store or system said.
        reason: String,
    },
    /// There is no such file.
    #[error("{file}: there is no such file")]
    NotFound {
        /// The URL and path.
        file: String,
    },
    /// A file is not as it was stored.
    #[error("{file}: damaged: {reason}; restore from another checkpoint")]
    Damaged {
        /// The URL and path.
        file: String,
        /// What is different.
        reason: String,
    },
    /// Another run holds the lock.
    #[error("{file}: in use by {}; {remedy}", held_by(holder.as_ref()))]
    Locked {
        /// The URL and path of the lock.
        file: String,
        /// Who holds it; none where the lock does not tell.
        holder: Option<LockHolder>,
        /// What to do about it.
        remedy: String,
    },
    /// The file system failed.
    #[error("{file}: {source}")]
    Io {
        /// The URL and path, or the local file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The store did not answer, or answered that it failed, each time that it was asked.
    #[error("{file}: {reason}; check the network, the endpoint and the store's state")]
    Network {
        /// The URL and path.
        file: String,
        /// What happened at last, and how often it was tried.
        reason: String,
    },
}

impl StorageError {
    /// Whether what the user gave is to blame (URL, bucket, credentials, rights, a file that is missing, damaged or in
    /// use), rather than a disk or a network.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::NoSpace { .. } | Self::Io { .. } | Self::Network { .. })
    }

    /// Of an error of the file system at a file of the storage.
    pub(super) fn from_io(file: &str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { file: file.to_owned() },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NoPermission { file: file.to_owned(), reason: error.to_string() }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { file: file.to_owned(), reason: error.to_string() }
            }
            _ => Self::Io { file: file.to_owned(), source: error },
        }
    }

    /// Of an error of the file system at a local file that is uploaded from or downloaded to: never the user's input.
    pub(super) fn from_local(file: &Path, error: io::Error) -> Self {
        let file = file.display().to_string();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { file, reason: error.to_string() }
            }
            _ => Self::Io { file, source: error },
        }
    }
}

fn suggested(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(" (did you mean `{nearest}://`?)"))
}

fn held_by(holder: Option<&LockHolder>) -> String {
    holder.map_or_else(|| "another run (its lock does not tell which)".to_owned(), ToString::to_string)
}

/// Text from outside in a line of a terminal: control characters escaped, cut at `length` characters.
pub(super) fn printable(text: &str, length: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(length));
    for c in text.chars().take(length) {
        if c.is_control() {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
    }
    if text.chars().nth(length).is_some() {
        shown.push_str("...");
    }
    shown
}
