//! What is sent to an object store: counted, limited in time, and remembered where it fails.
//!
//! The client repeats what fails; it passes every attempt through here. An attempt that stays without an answer ends
//! after a time, so that a dead store is an error within about half a minute.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::meter::Meter;

/// What a store that works takes of one request's content, at least, bytes per millisecond.
const LEAST_BYTES_PER_MS: u64 = 512;

/// How patient a store is treated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long a connection may take.
    pub connect: Duration,
    /// How long a store may be silent: before it answers, and within an answer.
    pub silence: Duration,
    /// When a call that failed is not tried once more.
    pub retry: Duration,
}

impl Default for Limits {
    /// Three silences fit in: a dead store is an error after about 30 s.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), silence: Duration::from_secs(10), retry: Duration::from_secs(22) }
    }
}

impl Limits {
    /// Of the client. [`Counted`] limits the time of content, since a whole file may take long.
    pub fn options(self) -> ClientOptions {
        ClientOptions::new().with_timeout_disabled().with_connect_timeout(self.connect)
    }

    /// How the client repeats: 5xx, 408, 429, refused and lost connections, and where that is harmless, silence.
    pub fn retries(self) -> RetryConfig {
        let backoff =
            BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(4), base: 2.0 };
        // Their time is what is limited.
        RetryConfig { backoff, max_retries: usize::MAX, retry_timeout: self.retry }
    }
}

tokio::task_local! {
    /// The call that a request belongs to.
    static EXCHANGE: Arc<Exchange>;
}

/// The requests of one call, and how the last of them failed if it did.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    requests: AtomicU64,
    /// Failures that are followed by another attempt.
    to_repeat: AtomicU64,
    last: Mutex<Option<Failure>>,
}

/// How a request failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// Whether it asked for credentials, and not for the store itself.
    pub is_of_credentials: bool,
    /// What came back.
    pub answer: Answer,
}

#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// A status, with the store's own code and message where it gave them.
    Status { status: u16, code: String, message: String },
    /// None, or half of one.
    None { kind: HttpErrorKind, reason: String },
}

impl Exchange {
    /// Runs one call of the client, whose requests belong to this.
    pub async fn run<T>(self: Arc<Self>, call: impl Future<Output = T>) -> T {
        EXCHANGE.scope(self, call).await
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub fn last_failure(&self) -> Option<Failure> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A request begins; whether it repeats another.
    fn begin(&self) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.to_repeat.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |failed| failed.checked_sub(1)).is_ok()
    }

    fn succeeded(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn note(&self, failure: Failure) {
        let repeats = match &failure.answer {
            Answer::Status { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            Answer::None { .. } => true,
        };
        self.to_repeat.fetch_add(u64::from(repeats), Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }
}

/// Makes the clients of a store, all of which count.
#[derive(Debug)]
pub(super) struct CountedConnector {
    pub meter: Arc<Meter>,
    pub limits: Limits,
}

impl HttpConnector for CountedConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let reqwest = ReqwestConnector::default();
        Ok(HttpClient::new(Counted {
            meter: Arc::clone(&self.meter),
            silence: self.limits.silence,
            sending: reqwest.connect(options)?,
            asking: reqwest.connect(&options.clone().with_read_timeout(self.limits.silence))?,
        }))
    }
}

/// A client that counts.
#[derive(Debug)]
struct Counted {
    meter: Arc<Meter>,
    silence: Duration,
    /// For requests with content: their time depends on its length, and their answers are short.
    sending: HttpClient,
    /// For the others: answers may be long, and are given up when nothing more comes.
    asking: HttpClient,
}

#[async_trait]
impl HttpService for Counted {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let exchange = EXCHANGE.try_with(Arc::clone).ok();
        // Whole files are asked for; with a range what is missing of one is, after its answer broke off.
        let resumes = request.headers().contains_key("range");
        let repeats = exchange.as_ref().is_some_and(|exchange| exchange.begin());
        self.meter.request(repeats || resumes);
        let is_deletion = is_deletion(&request);
        let is_of_credentials = request.uri().host().is_some_and(gives_credentials);
        // By method: what `PUT` sends is content. The last request of a large file is a `POST` that may take minutes,
        // in which the store sends blanks to show that it works.
        let answer = match request.method().as_str() {
            "PUT" => self.send(request).await,
            _ => self.asking.execute(request).await,
        };
        let answer = match answer {
            Ok(answer) if !answer.status().is_success() => remember(answer).await,
            Ok(answer) => {
                exchange.iter().for_each(|exchange| exchange.succeeded());
                return Ok(answer);
            }
            Err(error) => Err(error),
        };
        let failure = match &answer {
            Ok((_, status)) => status.clone(),
            Err(error) => Answer::None { kind: error.kind(), reason: innermost(error) },
        };
        if let Some(exchange) = exchange {
            exchange.note(Failure { is_of_credentials, answer: failure });
        }
        answer.map(|(answer, _)| answer).map_err(|error| if is_deletion { as_not_sent(error) } else { error })
    }
}

impl Counted {
    /// A request with content, whose whole answer is awaited.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let bytes = request.body().content_length() as u64;
        let limit = self.silence + Duration::from_millis(bytes / LEAST_BYTES_PER_MS);
        let sent = async {
            let (head, body) = self.sending.execute(request).await?.into_parts();
            let body = body.bytes().await?;
            Ok(HttpResponse::from_parts(head, body.into()))
        };
        match tokio::time::timeout(limit, sent).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(HttpError::new(HttpErrorKind::Timeout, elapsed)),
        }
    }
}

fn is_deletion(request: &HttpRequest) -> bool {
    match request.method().as_str() {
        "DELETE" => true,
        // Of many objects at once, in S3.
        "POST" => request
            .uri()
            .query()
            .is_some_and(|query| query.split('&').any(|part| part == "delete" || part == "delete=")),
        _ => false,
    }
}

/// What was deleted twice was deleted; but the client repeats a deletion only where it was not sent, or so it is told.
fn as_not_sent(error: HttpError) -> HttpError {
    match error.kind() {
        HttpErrorKind::Timeout | HttpErrorKind::Interrupted => HttpError::new(HttpErrorKind::Request, error),
        _ => error,
    }
}

/// Reads the answer to what failed, and gives it on as it was.
async fn remember(answer: HttpResponse) -> Result<(HttpResponse, Answer), HttpError> {
    let (head, body) = answer.into_parts();
    let body = body.bytes().await?;
    let text = String::from_utf8_lossy(&body);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(content, _)| content.to_owned())
    };
    let status = Answer::Status {
        status: head.status.as_u16(),
        code: element("Code").unwrap_or_default(),
        message: element("Message").unwrap_or_default(),
    };
    Ok((HttpResponse::from_parts(head, body.into()), status))
}

/// Whether a host is one that hands out credentials: metadata services, token services.
fn gives_credentials(host: &str) -> bool {
    host.starts_with("169.254.")
        || host == "metadata.google.internal"
        || ["sts.", "oauth2.", "iamcredentials.", "login."].iter().any(|prefix| host.starts_with(prefix))
}

/// The cause at the bottom of an error, such as "Connection refused".
fn innermost(error: &HttpError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match error.kind() {
        HttpErrorKind::Timeout => "the store was silent for too long".to_owned(),
        _ => cause.to_string(),
    }
}
