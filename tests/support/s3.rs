//! A server that really speaks S3, on loopback over a temporary folder, and a proxy before it that fails on demand.
//!
//! The server is `s3s-fs`. Two things that it leaves out are added: a bucket that is missing is said to be, whatever is
//! asked of it, and `If-None-Match` holds for requests that come at the same time.

#![allow(dead_code, reason = "each test takes what it needs of it")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::runtime::{Builder, Runtime};

/// The only key that the server accepts.
pub const ACCESS_KEY: &str = "test-access-key";
/// Its secret.
pub const SECRET_KEY: &str = "test-secret-key-0123456789";

/// A server that runs as long as this lives.
pub struct S3Server {
    endpoint: String,
    folder: tempfile::TempDir,
    /// Ended without waiting for the connections that clients keep.
    runtime: Option<Runtime>,
}

impl S3Server {
    /// Starts a server with some buckets.
    pub fn start(buckets: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for bucket in buckets {
            std::fs::create_dir(folder.path().join(bucket)).unwrap();
        }
        let service = {
            let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
            builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
            builder.build()
        };
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(accept(listener, service, folder.path().to_owned()));
        Self { endpoint, folder, runtime: Some(runtime) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The file that an object is, to look at or to damage.
    pub fn file(&self, bucket: &str, key: &str) -> PathBuf {
        self.folder.path().join(bucket).join(key)
    }

    /// Uploads in parts that were begun and neither completed nor given up.
    pub fn unfinished_uploads(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let name = |entry: io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        entries.map(name).filter(|name| name.starts_with(".upload-")).count()
    }

    /// The environment of a client of this server.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(&self.endpoint)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The environment of a client of some endpoint, with the key that the server accepts.
pub fn environment(endpoint: &str) -> Vec<(String, String)> {
    let pairs = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", endpoint),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

async fn accept(listener: tokio::net::TcpListener, service: S3Service, root: PathBuf) {
    let one_at_a_time = Arc::new(tokio::sync::Mutex::new(()));
    while let Ok((connection, _)) = listener.accept().await {
        let (service, root, one_at_a_time) = (service.clone(), root.clone(), Arc::clone(&one_at_a_time));
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let (service, root, one_at_a_time) = (service.clone(), root.clone(), Arc::clone(&one_at_a_time));
            async move {
                let bucket = request.uri().path().split('/').nth(1).unwrap_or_default().to_owned();
                if !root.join(&bucket).is_dir() {
                    return Ok(missing_bucket());
                }
                let is_conditional = request.headers().contains_key("if-none-match");
                let _alone = if is_conditional { Some(one_at_a_time.lock_owned().await) } else { None };
                service.call(request.map(s3s::Body::from)).await
            }
        });
        tokio::spawn(async move {
            // A client that goes away is no failure of the server.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), answer).await;
        });
    }
}

fn missing_bucket() -> s3s::HttpResponse {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>NoSuchBucket</Code>\
                <Message>The specified bucket does not exist</Message></Error>";
    let mut answer = s3s::HttpResponse::new(s3s::Body::from(body.to_owned()));
    *answer.status_mut() = hyper::StatusCode::NOT_FOUND;
    answer
}

/// What a proxy does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answers with a status, and does not ask the server.
    Status(u16),
    /// Closes the connection, and does not ask the server.
    Drop,
    /// Asks the server, and closes the connection without its answer.
    LoseAnswer,
    /// Asks the server, and passes on only the first half of its answer.
    HalfAnswer,
    /// Never answers.
    Silence,
}

/// Stands before a server and fails, by rules: the first that matches a request and is not used up.
pub struct FaultyProxy {
    endpoint: String,
    rules: Arc<Mutex<Vec<Rule>>>,
}

struct Rule {
    /// What the request's first line contains.
    line: &'static str,
    fault: Fault,
    times: usize,
}

impl FaultyProxy {
    /// Starts one, without rules. Its threads end with the process.
    pub fn start(server: &S3Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let upstream = server.endpoint().trim_start_matches("http://").to_owned();
        let rules = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&rules);
        thread::spawn(move || {
            while let Ok((connection, _)) = listener.accept() {
                let (upstream, rules) = (upstream.clone(), Arc::clone(&shared));
                // A connection that breaks is what this is for.
                thread::spawn(move || drop(serve(connection, &upstream, &rules)));
            }
        });
        Self { endpoint, rules }
    }

    /// The first `times` requests whose first line contains `line` fail.
    pub fn fail(&self, line: &'static str, fault: Fault, times: usize) {
        self.rules.lock().unwrap().push(Rule { line, fault, times });
    }

    /// Failures that no request has met.
    pub fn left(&self) -> usize {
        self.rules.lock().unwrap().iter().map(|rule| rule.times).sum()
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

/// One request of a connection; the connection ends with it, so that rules see every request.
fn serve(mut client: TcpStream, upstream: &str, rules: &Mutex<Vec<Rule>>) -> io::Result<()> {
    let (head, body) = read_request(&mut client)?;
    let line = head.lines().next().unwrap_or_default();
    let fault = {
        let mut rules = rules.lock().unwrap();
        let rule = rules.iter_mut().find(|rule| rule.times > 0 && line.contains(rule.line));
        rule.map(|rule| {
            rule.times -= 1;
            rule.fault
        })
    };
    match fault {
        Some(Fault::Drop) => return Ok(()),
        Some(Fault::Silence) => {
            thread::sleep(Duration::from_mins(1));
            return Ok(());
        }
        Some(Fault::Status(status)) => {
            return write!(client, "HTTP/1.1 {status} Failing\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
        Some(Fault::LoseAnswer | Fault::HalfAnswer) | None => {}
    }
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(closing(&head).as_bytes())?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let end_of_head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let (head, body) = answer.split_at(end_of_head);
    let body = match fault {
        Some(Fault::LoseAnswer) => return Ok(()),
        Some(Fault::HalfAnswer) => &body[..body.len() / 2],
        _ => body,
    };
    client.write_all(closing(&String::from_utf8_lossy(head)).as_bytes())?;
    client.write_all(body)
}

/// A head that says that its connection ends.
fn closing(head: &str) -> String {
    head.replacen("\r\n", "\r\nconnection: close\r\n", 1)
}

fn read_request(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    Ok((head, body))
}
