//! A folder of an object store as checkpoint storage.
//!
//! The client's interface is asynchronous; here each call waits for it, on the caller's thread, while one thread of a
//! small runtime attends to the connections. What a store answers is never taken at its word alone: a write whose
//! answer was lost is told from one that another run made by a token that goes with the object.

use std::fmt;
use std::io::{self, Write};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt, TryStreamExt};
use object_store::client::HttpErrorKind;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::credentials::{Connected, Settings, connect, without_secrets};
use super::error::StorageError;
use super::http::{Answer, Exchange, Failure, Limits};
use super::local::temporary_beside;
use super::location::ObjectsAt;
use super::meter::Meter;
use super::stored::{Stored, Tally};
use super::{Listed, Name};

/// The size of a part of a large file, bytes; one of up to this size is a single request.
pub(super) const PART: usize = 8 * 1024 * 1024;
/// After so many parts they grow by [`PART`]: a store takes 10 000 of them.
const PARTS_OF_A_SIZE: usize = 2000;
/// Parts on their way at the same time, of all writers together: this bounds their memory.
const PARTS_AT_ONCE: usize = 6;
/// How long what is left of a file that is given up may take to clear away.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);
/// The object's attribute that tells whose write it is (Azure allows no `-` in it).
const TOKEN: &str = "statebenchwrite";

/// A folder of an object store.
pub(super) struct Objects {
    runtime: Runtime,
    store: Arc<dyn ObjectStore>,
    parts: Arc<Semaphore>,
    explains: Arc<Explains>,
    folder: String,
    silence: Duration,
    meter: Arc<Meter>,
}

/// What a failure's message needs.
struct Explains {
    url: String,
    at: ObjectsAt,
    secrets: Vec<String>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Clients know secrets.
        f.debug_struct("Objects").field("url", &self.explains.url).finish_non_exhaustive()
    }
}

impl Objects {
    pub fn open(
        url: &str,
        at: ObjectsAt,
        settings: Settings,
        limits: Limits,
        meter: &Arc<Meter>,
    ) -> Result<Self, StorageError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("storage").enable_all().build();
        let runtime = runtime.map_err(|error| StorageError::Io { file: url.to_owned(), source: error })?;
        let Connected { store, secrets } = connect(url, &at, settings, limits, meter)?;
        Ok(Self {
            runtime,
            store,
            parts: Arc::new(Semaphore::new(PARTS_AT_ONCE)),
            folder: at.folder.clone(),
            silence: limits.silence,
            explains: Arc::new(Explains { url: url.to_owned(), at, secrets }),
            meter: Arc::clone(meter),
        })
    }

    /// Whether a folder of this storage is all of the bucket.
    pub fn is_bucket(&self, key: &str) -> bool {
        self.folder.is_empty() && key.is_empty()
    }

    /// The key of an object, or of a folder.
    fn path(&self, name: &Name) -> Result<Path, StorageError> {
        let key = match (self.folder.as_str(), name.key.as_str()) {
            ("", key) | (key, "") => key.to_owned(),
            (folder, key) => format!("{folder}/{key}"),
        };
        Path::parse(key)
            .map_err(|error| StorageError::BadUrl { url: name.shown.clone(), reason: format!("as a key: {error}") })
    }

    /// Waits for one call.
    fn wait<T>(&self, name: &Name, call: impl Future<Output = Result<T, Error>>) -> Result<T, StorageError> {
        self.attempt(call).map_err(|(error, exchange)| self.explains.failed(name, &error, &exchange))
    }

    fn attempt<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, (Error, Arc<Exchange>)> {
        let exchange = Arc::new(Exchange::default());
        self.runtime.block_on(Arc::clone(&exchange).run(call)).map_err(|error| (error, exchange))
    }

    pub fn put(&self, name: &Name, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.path(name)?;
        self.wait(name, self.store.put(&path, bytes.to_vec().into())).map(|_| ())
    }

    /// Only where nothing has the name; whether that was so.
    pub fn put_new(&self, name: &Name, bytes: &[u8]) -> Result<bool, StorageError> {
        let path = self.path(name)?;
        let token = token();
        let options = PutOptions { mode: PutMode::Create, attributes: marked(&token), ..PutOptions::default() };
        let put = self.attempt(self.store.put_opts(&path, bytes.to_vec().into(), options));
        let Err((error, exchange)) = put else { return Ok(true) };
        let is_there = matches!(error, Error::AlreadyExists { .. });
        // What is there may be what an earlier attempt of this call put there, whose answer was lost.
        if (is_there && exchange.requests() > 1) || may_have_been_done(&exchange) {
            match self.token_of(name, &path) {
                Ok(found) => return Ok(found.as_deref() == Some(&token)),
                // It was there, and is gone since.
                Err(StorageError::NotFound { .. }) if is_there => return Ok(false),
                Err(later) if is_there => return Err(later),
                Err(_) => {}
            }
        } else if is_there {
            return Ok(false);
        }
        Err(self.explains.failed(name, &error, &exchange))
    }

    /// The token of the write that made an object.
    fn token_of(&self, name: &Name, path: &Path) -> Result<Option<String>, StorageError> {
        // Not only its head: an answer without content has no code that tells why it failed. It comes after a failure,
        // so it is given up early.
        let found = self.wait(name, async {
            let asked = self.store.get_opts(path, GetOptions::default());
            let asked = tokio::time::timeout(2 * self.silence, asked).await;
            asked.unwrap_or_else(|late| Err(Error::Generic { store: "storage", source: Box::new(late) }))
        })?;
        Ok(found.attributes.get(&Attribute::Metadata(TOKEN.into())).map(|token| token.to_string()))
    }

    pub fn read(&self, name: &Name) -> Result<Vec<u8>, StorageError> {
        let path = self.path(name)?;
        let content = self.wait(name, async { self.store.get(&path).await?.bytes().await })?;
        Ok(content.into())
    }

    /// A copy of an object.
    pub fn download(&self, name: &Name, target: &FilePath, expected: Stored) -> Result<(), StorageError> {
        let path = self.path(name)?;
        let mut copy = temporary_beside(target).map_err(|error| StorageError::from_local(target, error))?;
        let copied = self.wait(name, async {
            let found = self.store.get(&path).await?;
            if let Err(damaged) = expected.check_length(&name.shown, found.meta.size) {
                return Ok(Err(damaged));
            }
            let mut tally = Tally::default();
            let mut pieces = found.into_stream();
            while let Some(piece) = pieces.try_next().await? {
                tally.add(&piece);
                if let Err(error) = copy.as_file_mut().write_all(&piece) {
                    return Ok(Err(StorageError::from_local(target, error)));
                }
                self.meter.pass(piece.len() as u64);
            }
            Ok(expected.check(&name.shown, tally.stored()))
        })?;
        copied?;
        copy.persist(target).map_err(|failed| StorageError::from_local(target, failed.error))?;
        Ok(())
    }

    /// All objects below a folder, with paths that begin with `/`.
    pub fn list(&self, name: &Name) -> Result<Vec<Listed>, StorageError> {
        let folder = self.path(name)?;
        let prefix = (!folder.as_ref().is_empty()).then_some(&folder);
        let objects: Vec<_> = self.wait(name, self.store.list(prefix).try_collect())?;
        let below = |key: &str| {
            let below = key.strip_prefix(folder.as_ref()).unwrap_or(key);
            if below.starts_with('/') { below.to_owned() } else { format!("/{below}") }
        };
        Ok(objects.iter().map(|o| Listed { path: below(o.location.as_ref()), bytes: o.size }).collect())
    }

    pub fn delete(&self, name: &Name) -> Result<(), StorageError> {
        let path = self.path(name)?;
        self.wait(name, async { unless_missing(self.store.delete(&path).await) })
    }

    pub fn delete_folder(&self, name: &Name) -> Result<(), StorageError> {
        let folder = self.path(name)?;
        self.wait(name, async {
            // Listed before the first is deleted: pages of a listing need not survive that.
            let objects: Vec<_> = self.store.list(Some(&folder)).try_collect().await?;
            let paths = futures_util::stream::iter(objects.into_iter().map(|object| Ok(object.location))).boxed();
            let mut deleted = self.store.delete_stream(paths);
            while let Some(deleted) = deleted.next().await {
                unless_missing(deleted.map(|_| ()))?;
            }
            Ok(())
        })
    }
}

fn unless_missing(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        // A missing bucket is told as a missing object is.
        Err(Error::NotFound { source, .. }) if !is_of_bucket(&source.to_string()) => Ok(()),
        result => result,
    }
}

/// Distinguishes one write from all others.
fn token() -> String {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let host = sysinfo::System::host_name().unwrap_or_default();
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(host.as_bytes()))
        + &format!("-{}-{}-{write}", std::process::id(), now.as_nanos())
}

fn marked(token: &str) -> Attributes {
    [(Attribute::Metadata(TOKEN.into()), token.to_owned())].into_iter().collect()
}

/// Whether a request was sent and its answer did not arrive.
fn may_have_been_done(exchange: &Exchange) -> bool {
    let Some(Failure { answer: Answer::None { kind, .. }, .. }) = exchange.last_failure() else { return false };
    kind != HttpErrorKind::Connect
}

const NO_BUCKET: [&str; 3] = ["NoSuchBucket", "ContainerNotFound", "InvalidBucketName"];
const BAD_CREDENTIALS: [&str; 10] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "ExpiredToken",
    "TokenRefreshRequired",
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
    "InvalidSecurity",
    "NotSignedUp",
];
const NO_SPACE: [&str; 4] = ["InsufficientStorage", "StorageFull", "QuotaExceeded", "InsufficientCapacity"];
const WRONG_REGION: [&str; 4] =
    ["PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"];

fn is_of_bucket(text: &str) -> bool {
    NO_BUCKET.iter().any(|code| text.contains(code))
}

impl Explains {
    /// What an error means. It is told by what the store answered: the client's own texts hold whole answers and URLs.
    fn failed(&self, name: &Name, error: &Error, exchange: &Exchange) -> StorageError {
        let file = name.shown.clone();
        match exchange.last_failure() {
            Some(Failure { is_of_credentials: true, answer }) => self.no_credentials(&answer),
            Some(Failure { answer: Answer::None { reason, .. }, .. }) => {
                let reason = format!("no answer ({}{})", self.clean(&reason), tried(exchange));
                StorageError::Network { file, reason }
            }
            Some(Failure { answer: Answer::Status { status, code, message }, .. }) => {
                self.refused(file, (status, &code, &message), exchange)
            }
            None => StorageError::Network { file, reason: self.clean(&error.to_string()) },
        }
    }

    fn refused(&self, file: String, answer: (u16, &str, &str), exchange: &Exchange) -> StorageError {
        let (status, code, message) = answer;
        let is = |codes: &[&str]| codes.iter().any(|known| code.contains(known));
        let said = match (code, message) {
            ("", "") => format!("status {status}"),
            _ => self.clean(&format!("{code}: {message}")),
        };
        match status {
            _ if is(&NO_BUCKET) => {
                StorageError::MissingBucket { url: self.url.clone(), bucket: self.at.bucket.clone() }
            }
            _ if is(&WRONG_REGION) || status == 301 => {
                let reason = format!("the bucket is in another region ({said}); set AWS_REGION to it");
                StorageError::BadUrl { url: self.url.clone(), reason }
            }
            _ if status == 401 || is(&BAD_CREDENTIALS) => self.wrong_credentials(format!("refused ({said})")),
            _ if status == 507 || is(&NO_SPACE) => StorageError::NoSpace { file, reason: said },
            403 => StorageError::NoPermission { file, reason: said },
            404 => StorageError::NotFound { file },
            _ => StorageError::Network {
                file,
                reason: format!("the store answered {status} ({said}{})", tried(exchange)),
            },
        }
    }

    fn no_credentials(&self, answer: &Answer) -> StorageError {
        let why = match answer {
            Answer::Status { status, code, .. } => self.clean(&format!("answered {status} {code}")),
            Answer::None { reason, .. } => format!("did not answer: {}", self.clean(reason)),
        };
        self.wrong_credentials(format!("there are no credentials (the service that gives them out {why})"))
    }

    fn wrong_credentials(&self, reason: String) -> StorageError {
        StorageError::WrongCredentials { url: self.url.clone(), reason, from: self.at.service.credentials() }
    }

    fn clean(&self, text: &str) -> String {
        without_secrets(text, &self.secrets)
    }
}

fn tried(exchange: &Exchange) -> String {
    match exchange.requests() {
        0 | 1 => String::new(),
        requests => format!("; tried {requests} times"),
    }
}

/// An object in the making: one request if it stays small, else parts that are sent as they fill up.
pub(super) struct RemoteWriter {
    objects: Arc<Objects>,
    name: Arc<Name>,
    path: Path,
    token: String,
    tally: Tally,
    part: Vec<u8>,
    parts: usize,
    upload: Option<Box<dyn MultipartUpload>>,
    sending: JoinSet<Result<(), StorageError>>,
}

impl RemoteWriter {
    pub fn new(objects: Arc<Objects>, name: Name) -> Result<Self, StorageError> {
        let path = objects.path(&name)?;
        Ok(Self {
            objects,
            name: Arc::new(name),
            path,
            token: token(),
            tally: Tally::default(),
            part: Vec::new(),
            parts: 0,
            upload: None,
            sending: JoinSet::new(),
        })
    }

    /// Takes some bytes; how many went on to the store.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<u64, StorageError> {
        let mut sent = 0;
        while !bytes.is_empty() {
            let size = PART * (1 + self.parts / PARTS_OF_A_SIZE);
            // Sent when more follows: a file of exactly one part is one request.
            if self.part.len() == size {
                sent += size as u64;
                self.send_part()?;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(size - self.part.len()));
            self.tally.add(now);
            self.part.extend_from_slice(now);
            bytes = rest;
        }
        Ok(sent)
    }

    fn send_part(&mut self) -> Result<(), StorageError> {
        let objects = Arc::clone(&self.objects);
        let upload = if let Some(upload) = &mut self.upload {
            upload
        } else {
            let options = PutMultipartOptions { attributes: marked(&self.token), ..PutMultipartOptions::default() };
            let begun = objects.wait(&self.name, objects.store.put_multipart_opts(&self.path, options))?;
            self.upload.insert(begun)
        };
        let capacity = self.part.len();
        let sending = upload.put_part(std::mem::replace(&mut self.part, Vec::with_capacity(capacity)).into());
        self.parts += 1;
        while let Some(sent) = self.sending.try_join_next() {
            joined(&self.name, sent)?;
        }
        let permit = objects.runtime.block_on(Arc::clone(&objects.parts).acquire_owned());
        let (name, explains) = (Arc::clone(&self.name), Arc::clone(&objects.explains));
        let exchange = Arc::new(Exchange::default());
        let sent = async move {
            let _permit = permit;
            let sent = Arc::clone(&exchange).run(sending).await;
            sent.map_err(|error| explains.failed(&name, &error, &exchange))
        };
        self.sending.spawn_on(sent, objects.runtime.handle());
        Ok(())
    }

    /// Completes the object. What is still held back is passed through `pass`.
    pub fn finish(mut self, pass: impl FnOnce(u64)) -> Result<Stored, StorageError> {
        pass(self.part.len() as u64);
        if self.upload.is_none() {
            let part = std::mem::take(&mut self.part);
            self.objects.wait(&self.name, self.objects.store.put(&self.path, part.into()))?;
            return Ok(self.tally.stored());
        }
        self.send_part()?;
        let objects = Arc::clone(&self.objects);
        while let Some(sent) = objects.runtime.block_on(self.sending.join_next()) {
            joined(&self.name, sent)?;
        }
        if let Some(upload) = &mut self.upload {
            let completed = objects.attempt(upload.complete());
            if let Err((error, exchange)) = completed {
                // The answer to an earlier attempt may have been lost, which leaves nothing to complete.
                let may_be_done = exchange.requests() > 1 || may_have_been_done(&exchange);
                let is_done = may_be_done
                    && objects.token_of(&self.name, &self.path).is_ok_and(|found| found.as_ref() == Some(&self.token));
                if !is_done {
                    return Err(objects.explains.failed(&self.name, &error, &exchange));
                }
            }
        }
        self.upload = None;
        Ok(self.tally.stored())
    }
}

/// The result of a part that was sent on the side.
fn joined(name: &Name, sent: Result<Result<(), StorageError>, tokio::task::JoinError>) -> Result<(), StorageError> {
    sent.unwrap_or_else(|error| {
        Err(StorageError::Io { file: name.shown.clone(), source: io::Error::other(error.to_string()) })
    })
}

impl Drop for RemoteWriter {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        // What cannot be cleared away now is cleared away by the bucket's rule for incomplete uploads.
        self.objects.runtime.block_on(async {
            self.sending.shutdown().await;
            let _ = tokio::time::timeout(ABORT_TIMEOUT, upload.abort()).await;
        });
    }
}
