//! What a storage URL says: the kind of store, the bucket, the folder.

use std::path::{Path, PathBuf};

use super::error::{StorageError, printable};
use crate::workload::nearest;

/// The allowed forms of a URL, for messages.
pub(super) const ALLOWED: &str = "a directory or file:///DIR, s3://BUCKET/DIR (also s3a, s3p), gs://BUCKET/DIR, \
     abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/DIR (also abfs, wasb, wasbs), az://CONTAINER/DIR";

/// Where a storage is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// A directory.
    Folder(PathBuf),
    /// A folder of an object store.
    Objects(ObjectsAt),
}

/// A folder of an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectsAt {
    /// Whose protocol it is.
    pub service: Service,
    /// The bucket, or Azure's container.
    pub bucket: String,
    /// The host that an Azure URL names: ACCOUNT.dfs.core.windows.net, or the account alone.
    pub host: Option<String>,
    /// The key of the folder, without slashes around it; empty for the bucket itself.
    pub folder: String,
}

/// The protocols of object stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Amazon S3 and what is compatible with it.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

/// Schemes, with the service each stands for; Flink's names for its S3 file systems among them.
const SCHEMES: [(&str, Option<Service>); 10] = [
    ("file", None),
    ("s3", Some(Service::S3)),
    ("s3a", Some(Service::S3)),
    ("s3p", Some(Service::S3)),
    ("gs", Some(Service::Google)),
    ("abfs", Some(Service::Azure)),
    ("abfss", Some(Service::Azure)),
    ("wasb", Some(Service::Azure)),
    ("wasbs", Some(Service::Azure)),
    ("az", Some(Service::Azure)),
];

impl Service {
    /// Where credentials are looked for.
    pub fn credentials(self) -> &'static str {
        match self {
            Self::S3 => {
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE in ~/.aws/credentials, a web identity token \
                 or the machine's role"
            }
            Self::Google => {
                "GOOGLE_APPLICATION_CREDENTIALS, the file of `gcloud auth application-default login` or the machine's \
                 service account"
            }
            Self::Azure => {
                "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, AZURE_CLIENT_ID \
                 with its secret or the machine's identity"
            }
        }
    }
}

/// Where credentials of a scheme's store are looked for.
pub(super) fn credentials_of(scheme: &str) -> &'static str {
    let service = SCHEMES.iter().find(|(name, _)| *name == scheme).and_then(|(_, service)| *service);
    service.map_or("nowhere: a directory has none", Service::credentials)
}

impl Location {
    /// Reads a URL.
    ///
    /// # Errors
    /// Its scheme is none of ours, it carries credentials, or it names no bucket or directory.
    pub fn parse(url: &str) -> Result<Self, StorageError> {
        if url.is_empty() {
            return Err(bad(url, "the storage is empty: give a directory or a URL"));
        }
        let Some((scheme, rest)) = split_scheme(url) else { return Self::folder(Path::new(url)) };
        let Some((scheme, service)) = SCHEMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme)) else {
            let nearest = nearest(scheme, SCHEMES.map(|(name, _)| name));
            return Err(StorageError::UnknownScheme { scheme: printable(scheme, 20), nearest });
        };
        match service {
            None => Self::of_file_url(url, rest),
            Some(service) => ObjectsAt::parse(scheme, *service, rest).map(Self::Objects),
        }
    }

    fn folder(path: &Path) -> Result<Self, StorageError> {
        let absolute = std::path::absolute(path);
        absolute.map(Self::Folder).map_err(|error| StorageError::from_local(path, error))
    }

    /// `file:/DIR`, `file:///DIR` and `file://localhost/DIR`.
    fn of_file_url(url: &str, rest: &str) -> Result<Self, StorageError> {
        let path = match rest.strip_prefix("//") {
            Some(rest) => rest.strip_prefix("localhost").filter(|path| path.starts_with('/')).unwrap_or(rest),
            None => rest,
        };
        if !path.starts_with('/') {
            return Err(bad(url, "a file URL has three slashes before an absolute path: file:///DIR"));
        }
        let Some(path) = percent_decoded(path) else {
            return Err(bad(
                url,
                "`%` in a file URL begins the two hexadecimal digits of a byte of UTF-8 (%25 is `%`)",
            ));
        };
        Self::folder(Path::new(&path))
    }
}

impl ObjectsAt {
    /// Of what follows `SCHEME:`.
    fn parse(scheme: &'static str, service: Service, rest: &str) -> Result<Self, StorageError> {
        let secret = || StorageError::SecretInUrl { scheme };
        let form = match service {
            Service::Azure if scheme != "az" => "CONTAINER@ACCOUNT.dfs.core.windows.net/DIR",
            Service::Azure => "CONTAINER/DIR",
            Service::S3 | Service::Google => "BUCKET/DIR",
        };
        let wrong = |reason: &str| bad(&format!("{scheme}:{rest}"), &format!("{reason}: {scheme}://{form}"));
        let (authority, folder) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            // Whatever it is: nothing of it is repeated if it looks like `user:password@`.
            None if rest.contains(['@', '?']) => return Err(secret()),
            None => return Err(wrong("two slashes and a bucket follow the scheme")),
        };
        let (bucket, host) = match authority.split_once('@') {
            Some((container, host)) if service == Service::Azure => (container, Some(host)),
            Some(_) => return Err(secret()),
            None => (authority, None),
        };
        // `KEY:SECRET/WITH/SLASHES@BUCKET` has its colon before the first slash; a query is where SAS tokens are.
        if authority.contains([':', '?', '#']) || folder.contains(['?', '#']) {
            return Err(secret());
        }
        if bucket.is_empty() || host.is_some_and(|host| host.is_empty() || host.starts_with('.')) {
            return Err(wrong("it names no bucket or account"));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '$');
        let is_name = |name: &str| name.chars().all(is_plain) && !name.starts_with('.');
        if !is_name(bucket) || host.is_some_and(|host| !is_name(host)) {
            return Err(wrong("a bucket's name has letters, digits, `-`, `.` and `_`"));
        }
        let folder = folder.trim_end_matches('/');
        if !folder.is_empty() {
            check_path(folder).map_err(|reason| wrong(&format!("its folder is not plain ({reason})")))?;
        }
        Ok(Self { service, bucket: bucket.to_owned(), host: host.map(str::to_owned), folder: folder.to_owned() })
    }

    /// Azure's account, where the URL names it.
    pub fn azure_account(&self) -> Option<&str> {
        self.host.as_deref().map(|host| host.split_once('.').map_or(host, |(account, _)| account))
    }

    /// Azure's endpoint, where the URL names its host: that of blobs, whichever of the account's it names.
    pub fn azure_endpoint(&self) -> Option<String> {
        let (account, domain) = self.host.as_deref()?.split_once('.')?;
        let domain = domain.strip_prefix("dfs.").map_or_else(|| domain.to_owned(), |rest| format!("blob.{rest}"));
        Some(format!("https://{account}.{domain}"))
    }
}

/// A scheme and what follows its colon, of what is a URL and not a path: `NAME:/...`, with a name of more than one
/// letter.
fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let is_name = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    (is_name && (rest.starts_with('/') || is_ours(scheme))).then_some((scheme, rest))
}

fn is_ours(scheme: &str) -> bool {
    SCHEMES.iter().any(|(name, _)| name.eq_ignore_ascii_case(scheme))
}

fn bad(url: &str, reason: &str) -> StorageError {
    StorageError::BadUrl { url: printable(url, 200), reason: reason.to_owned() }
}

/// Why a path does not stay below its storage or cannot be a name everywhere.
pub(super) fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("it is empty");
    }
    if path.starts_with('/') {
        return Err("it is absolute");
    }
    for name in path.split('/') {
        match name {
            "" => return Err("a name in it is empty"),
            "." | ".." => return Err("`.` and `..` lead out of a storage"),
            _ if name.contains(|c: char| c.is_control() || c == '\\') => {
                return Err("control characters and `\\` are in no name");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Text with its `%41` resolved; none where that is not possible.
fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            decoded.push((high * 16 + low) as u8);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}
