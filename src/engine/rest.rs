//! What is asked of a job manager: Flink's REST interface.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, Method, RequestBuilder, StatusCode, Url};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::EngineError;

/// How long an answer may take. A jar's program is run before its job has a number, which takes seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// How a job manager is reached. The token is never printed.
#[derive(Clone, Default)]
pub struct Access {
    /// Sent as a bearer token with every request.
    pub token: Option<String>,
    /// A certificate, or several, that the job manager's is signed with, in PEM.
    pub ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "hidden");
        f.debug_struct("Access").field("token", &token).field("ca_file", &self.ca_file).finish()
    }
}

/// A job manager.
pub struct JobManager {
    url: Url,
    client: Client,
    token: Option<String>,
    runtime: Runtime,
}

impl JobManager {
    /// One at this address.
    ///
    /// # Errors
    /// The address is none, or a certificate cannot be read.
    pub fn at(url: &str, access: &Access) -> Result<Self, EngineError> {
        let refused = |why: String| EngineError::Address(url.to_owned(), why);
        let mut base = Url::parse(url).map_err(|error| refused(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(refused("allowed: http:// and https://".to_owned()));
        }
        if !base.username().is_empty() || base.password().is_some() {
            let why = "credentials do not belong into an address; --token-file reads a token".to_owned();
            return Err(EngineError::Address(base.host_str().unwrap_or_default().to_owned(), why));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder().connect_timeout(Duration::from_secs(5)).timeout(PATIENCE);
        if let Some(path) = &access.ca_file {
            let read = std::fs::read(path).map_err(|error| EngineError::Io(path.clone(), "cannot read it", error))?;
            let found = Certificate::from_pem_bundle(&read).map_err(|error| refused(error.to_string()))?;
            client = found.into_iter().fold(client, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = client.build().map_err(|error| refused(error.to_string()))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| EngineError::Io(PathBuf::new(), "cannot start a runtime", error))?;
        Ok(Self { url: base, client, token: access.token.clone(), runtime })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, EngineError> {
        let url = self.url.join(path).map_err(|error| EngineError::Address(path.to_owned(), error.to_string()))?;
        let request = self.client.request(method, url);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    fn send(&self, request: RequestBuilder) -> Result<Value, EngineError> {
        let answer = self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        });
        let (status, body) = answer.map_err(|error| self.unreachable(&error))?;
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        if status.is_success() {
            return json.ok_or_else(|| self.refused("its answer is not JSON: is it a job manager?".to_owned()));
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let token = if self.token.is_some() { "the token that was sent" } else { "a request without a token" };
            return Err(self.refused(format!("it does not let {token} in ({status})")));
        }
        let said = json.as_ref().and_then(|json| json.pointer("/errors")).map(error_lines).unwrap_or_default();
        Err(self.refused(format!("{status}: {}", if said.is_empty() { "no reason given" } else { &said })))
    }

    fn unreachable(&self, error: &reqwest::Error) -> EngineError {
        let mut cause: &dyn std::error::Error = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        EngineError::Unreachable(self.url.to_string(), cause.to_string())
    }

    fn refused(&self, why: String) -> EngineError {
        EngineError::Refused(self.url.to_string(), why)
    }

    /// Asks for something.
    ///
    /// # Errors
    /// It cannot be reached, or says no.
    pub fn get(&self, path: &str) -> Result<Value, EngineError> {
        self.send(self.request(Method::GET, path)?)
    }

    /// Uploads a jar; its name there.
    ///
    /// # Errors
    /// As [`JobManager::get`], or the jar cannot be read.
    pub fn upload(&self, jar: &Path) -> Result<String, EngineError> {
        const BOUNDARY: &str = "statebench-boundary-7d1f0c";
        let content = std::fs::read(jar).map_err(|error| EngineError::Io(jar.to_owned(), "cannot read it", error))?;
        let name = jar.file_name().unwrap_or_default().to_string_lossy();
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"{name}\"\r\n\
             Content-Type: application/x-java-archive\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(&content);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let request = self.request(Method::POST, "jars/upload")?;
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let answer = self.send(request.header("Content-Type", kind).body(body))?;
        let path = answer.get("filename").and_then(Value::as_str).unwrap_or_default();
        let id = path.rsplit('/').next().filter(|id| !id.is_empty());
        id.map(str::to_owned).ok_or_else(|| self.refused("it does not say where the jar went".to_owned()))
    }

    /// Runs a jar's program with arguments; the number of the job that it submits.
    ///
    /// # Errors
    /// As [`JobManager::get`].
    pub fn run_jar(&self, jar: &str, main_class: &str, arguments: &[String]) -> Result<String, EngineError> {
        let body = serde_json::json!({ "entryClass": main_class, "programArgsList": arguments });
        let request = self.request(Method::POST, &format!("jars/{jar}/run"))?;
        let answer = self.send(request.header("Content-Type", "application/json").body(body.to_string()))?;
        let job = answer.get("jobid").and_then(Value::as_str);
        job.map(str::to_owned).ok_or_else(|| self.refused("it does not name the job".to_owned()))
    }

    /// Removes a jar.
    ///
    /// # Errors
    /// As [`JobManager::get`].
    pub fn delete_jar(&self, jar: &str) -> Result<(), EngineError> {
        self.send(self.request(Method::DELETE, &format!("jars/{jar}"))?).map(drop)
    }

    /// Cancels a job.
    ///
    /// # Errors
    /// As [`JobManager::get`].
    pub fn cancel(&self, job: &str) -> Result<(), EngineError> {
        self.send(self.request(Method::PATCH, &format!("jobs/{job}?mode=cancel"))?).map(drop)
    }
}

/// The lines of an error that say most: of a Java exception with causes the last cause.
pub fn error_lines(errors: &Value) -> String {
    let text = match errors {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    root_cause(&text)
}

/// Characters of a root cause that are shown.
const MOST_CHARACTERS: usize = 600;

/// The root cause of a stack trace, in a line.
pub fn root_cause(trace: &str) -> String {
    let last = trace.rfind("Caused by: ").map_or(trace, |at| &trace[at + "Caused by: ".len()..]);
    let lines = last.lines().map(str::trim).take_while(|line| !line.starts_with("at ") && !line.starts_with("..."));
    let mut text = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = text.char_indices().nth(MOST_CHARACTERS) {
        text.truncate(at);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_cause_of_a_trace_is_its_last() {
        let trace = "org.apache.flink.runtime.JobException: Recovery is suppressed\n\tat a.B.c(D.java:1)\n\
                     Caused by: java.lang.IllegalStateException: outer\n\tat x\n\
                     Caused by: java.io.IOException: no space left\n  on device\n\tat y\n\t... 3 more\n";
        assert_eq!(root_cause(trace), "java.io.IOException: no space left on device");
        assert_eq!(root_cause("plain"), "plain");
        assert!(root_cause(&"é".repeat(2_000)).chars().count() <= 601);
    }

    #[test]
    fn an_address_is_checked_and_a_token_is_not_shown() {
        let error = |url: &str| JobManager::at(url, &Access::default()).err().map(|error| error.to_string());
        assert!(error("localhost:8081").unwrap().contains("http://"));
        assert!(error("http://me:secret@host:1").is_some_and(|text| !text.contains("secret")));
        assert!(error("http://localhost:8081").is_none());
        let access = Access { token: Some("s3cr3t".to_owned()), ca_file: None };
        assert!(!format!("{access:?}").contains("s3cr3t"));
    }
}
