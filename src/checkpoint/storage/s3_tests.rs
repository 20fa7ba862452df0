//! What only an object store can get wrong, against a server that speaks S3.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use super::http::Limits;
use super::tests::{conforms, content, paths};
use super::*;
use s3::{Fault, FaultyProxy, S3Server, SECRET_KEY, environment};

#[path = "../../../tests/support/s3.rs"]
mod s3;

/// For stores that fail: what does not end is not repeated for long.
const QUICK: Limits =
    Limits { connect: Duration::from_secs(5), silence: Duration::from_secs(10), retry: Duration::from_millis(800) };

/// A storage whose client has limits of its own.
fn limited(endpoint: &str, limits: Limits) -> CheckpointStorage {
    let settings = environment(endpoint).into_iter().collect();
    CheckpointStorage::open_with("s3://bucket/cp", None, settings, limits).unwrap()
}

fn open(url: &str, environment: Vec<(String, String)>) -> Result<CheckpointStorage, StorageError> {
    CheckpointStorage::open_with(url, None, environment.into_iter().collect(), Limits::default())
}

fn at(endpoint: &str) -> CheckpointStorage {
    open("s3://bucket/cp", environment(endpoint)).unwrap()
}

fn with(mut environment: Vec<(String, String)>, key: &str, value: &str) -> Vec<(String, String)> {
    environment.retain(|(known, _)| known != key);
    environment.push((key.to_owned(), value.to_owned()));
    environment
}

#[test]
fn an_object_store_conforms() {
    let server = S3Server::start(&["bucket"]);
    let storage = at(server.endpoint());
    conforms(&storage);
    assert_eq!(server.unfinished_uploads(), 0, "what was given up was cleared away");
    assert_eq!(storage.counters().retries, 0);
}

#[test]
fn a_folder_of_a_bucket_and_a_bucket_itself_conform() {
    let server = S3Server::start(&["bucket"]);
    let bucket = open("s3a://bucket/", server.environment()).unwrap();
    assert_eq!(bucket.url(), "s3a://bucket");
    let StorageError::BadPath { .. } = bucket.delete_folder().unwrap_err() else { panic!("a bucket is not wiped") };
    conforms(&bucket);
    conforms(&bucket.child("job 1").child("shared"));
    // Two views of the same object.
    bucket.child("a b").put("c%20d+é", b"x").unwrap();
    let below = open("s3p://bucket/a b", server.environment()).unwrap();
    assert_eq!(paths(&below.list("").unwrap()), ["c%20d+é"]);
    assert_eq!(below.read("c%20d+é").unwrap(), b"x");
}

#[test]
fn large_files_go_in_parts() {
    let server = S3Server::start(&["bucket"]);
    let storage = at(server.endpoint());
    let requests = |bytes: usize| {
        let before = storage.counters().requests;
        storage.put("f", &content(bytes)).unwrap();
        storage.counters().requests - before
    };
    assert_eq!(requests(remote::PART), 1);
    // Begin, two parts, complete.
    assert_eq!(requests(remote::PART + 1), 4);
    assert_eq!(requests(3 * remote::PART), 5);
    assert_eq!(storage.read("f").unwrap(), content(3 * remote::PART));
}

#[test]
fn a_missing_bucket_is_said_whatever_is_asked() {
    let server = S3Server::start(&["bucket"]);
    let storage = open("s3://bukcet/cp", server.environment()).unwrap();
    let target = tempfile::tempdir().unwrap();
    let large = content(remote::PART + 1);
    let errors = [
        storage.put("f", b"").unwrap_err(),
        storage.put("f", &large).unwrap_err(),
        storage.put_new("f", b"").unwrap_err(),
        storage.read("f").unwrap_err(),
        storage.download("f", &target.path().join("f"), &Stored::of(b"")).unwrap_err(),
        storage.list("").unwrap_err(),
        storage.delete("f").unwrap_err(),
        storage.delete_folder().unwrap_err(),
        storage.lock("_lock").unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StorageError::MissingBucket { .. }) && error.is_input(), "{error}");
        assert_eq!(
            error.to_string(),
            "s3://bukcet/cp: there is no bucket `bukcet`; create it, or correct the URL, the region or the endpoint"
        );
    }
}

#[test]
fn wrong_credentials_are_said_without_them() {
    let server = S3Server::start(&["bucket"]);
    let secret = "hunter2-hunter2";
    let cases = [
        with(server.environment(), "AWS_SECRET_ACCESS_KEY", secret),
        with(server.environment(), "AWS_ACCESS_KEY_ID", secret),
    ];
    for environment in cases {
        let storage = open("s3://bucket/cp", environment).unwrap();
        for error in [storage.put("f", b"").unwrap_err(), storage.read("f").unwrap_err(), storage.list("").unwrap_err()]
        {
            assert!(matches!(error, StorageError::WrongCredentials { .. }) && error.is_input(), "{error}");
            let texts = format!("{error} {error:?} {storage:?}");
            assert!(!texts.contains("hunter2") && !texts.contains(SECRET_KEY), "{texts}");
            assert!(texts.contains("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"), "{texts}");
        }
    }
    // Half of a key, and such as no header takes.
    for (key, value) in [("AWS_SECRET_ACCESS_KEY", ""), ("AWS_SECRET_ACCESS_KEY", "hunter2\nhunter2")] {
        let error = open("s3://bucket/cp", with(server.environment(), key, value)).unwrap_err();
        assert!(matches!(error, StorageError::WrongCredentials { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn what_fails_at_first_is_repeated() {
    for fault in [Fault::Status(500), Fault::Status(503), Fault::Drop, Fault::LoseAnswer] {
        let server = S3Server::start(&["bucket"]);
        let proxy = FaultyProxy::start(&server);
        let storage = at(proxy.endpoint());
        let large = content(remote::PART + 1000);
        let target = tempfile::tempdir().unwrap();
        let mut failures = 0;
        let mut fail = |line| {
            proxy.fail(line, fault, 2);
            failures += 2;
        };
        fail("PUT ");
        storage.put("small", b"small").unwrap();
        fail("POST /bucket/cp/large?uploads");
        fail("partNumber=1");
        fail("POST /bucket/cp/large?uploadId");
        storage.put("large", &large).unwrap();
        fail("GET /bucket/cp/large");
        storage.download("large", &target.path().join("large"), &Stored::of(&large)).unwrap();
        assert!(fs::read(target.path().join("large")).unwrap() == large);
        fail("GET /bucket?");
        assert_eq!(paths(&storage.list("").unwrap()), ["large", "small"]);
        // Made by an attempt whose answer was lost, it is still made by this call.
        fail("PUT /bucket/cp/new");
        assert!(storage.put_new("new", b"new").unwrap(), "{fault:?}");
        assert!(!storage.put_new("new", b"new").unwrap(), "{fault:?}");
        fail("PUT /bucket/cp/_lock");
        let lock = storage.lock("_lock").unwrap();
        fail("POST /bucket?delete");
        storage.delete("small").unwrap();
        drop(lock);
        assert_eq!(paths(&storage.list("").unwrap()), ["large", "new"]);
        assert_eq!(proxy.left(), 0, "{fault:?}: every failure was met");
        let counters = storage.counters();
        assert!(counters.retries >= failures, "{fault:?}: {counters:?} for {failures} failures");
        assert!(counters.requests > counters.retries);
    }
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let server = S3Server::start(&["bucket"]);
    let proxy = FaultyProxy::start(&server);
    let storage = at(proxy.endpoint());
    let content = content(4_000_000);
    let stored = storage.put("f", &content).unwrap();
    proxy.fail("GET ", Fault::HalfAnswer, 2);
    let target = tempfile::tempdir().unwrap();
    storage.download("f", &target.path().join("f"), &stored).unwrap();
    assert!(fs::read(target.path().join("f")).unwrap() == content);
    assert_eq!((proxy.left(), storage.counters().retries), (0, 2));
}

#[test]
fn silence_is_given_up_and_repeated() {
    let server = S3Server::start(&["bucket"]);
    let proxy = FaultyProxy::start(&server);
    let limits = Limits { silence: Duration::from_millis(1500), retry: Duration::from_mins(1), ..QUICK };
    let storage = limited(proxy.endpoint(), limits);
    for line in ["PUT ", "GET ", "POST "] {
        proxy.fail(line, Fault::Silence, 1);
    }
    storage.put("f", b"x").unwrap();
    assert_eq!(storage.read("f").unwrap(), b"x");
    storage.delete("f").unwrap();
    assert_eq!((proxy.left(), storage.counters().retries), (0, 3));
    // Not repeated by the client, since it might have been done: then it is asked whether it was.
    proxy.fail("PUT ", Fault::LoseAnswer, 1);
    assert!(storage.put_new("f", b"x").unwrap());
    proxy.fail("PUT ", Fault::Silence, 1);
    assert!(!storage.put_new("f", b"x").unwrap());
}

#[test]
fn failures_that_do_not_end_are_errors_that_leave_nothing() {
    let server = S3Server::start(&["bucket"]);
    let proxy = FaultyProxy::start(&server);
    let storage = limited(proxy.endpoint(), QUICK);
    proxy.fail("partNumber=2", Fault::Status(500), usize::MAX);
    let mut writer = storage.writer("f").unwrap();
    let written = writer.write_all(&content(3 * remote::PART + 1));
    let error = match written {
        Ok(()) => writer.finish().unwrap_err(),
        Err(error) => {
            drop(writer);
            storage.failed("f", error)
        }
    };
    assert!(matches!(error, StorageError::Network { .. }) && !error.is_input(), "{error}");
    assert!(error.to_string().starts_with("s3://bucket/cp/f: the store answered 500 (status 500; tried "), "{error}");
    assert_eq!(server.unfinished_uploads(), 0);
    assert_eq!(storage.list("").unwrap(), []);
    assert_eq!(storage.counters().uploaded_bytes, 0);
}

#[test]
fn a_store_that_is_not_there_is_an_error_that_comes() {
    // Nobody listens; somebody listens and never accepts.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [refusing, silent.local_addr().unwrap()] {
        let soon = Duration::from_millis(150);
        let limits = Limits { connect: soon, silence: soon, retry: soon };
        let storage = limited(&format!("http://{address}"), limits);
        let target = tempfile::tempdir().unwrap();
        let errors = [
            storage.put("f", b"x").unwrap_err(),
            storage.put_new("f", b"x").unwrap_err(),
            storage.upload("f", Path::new("Cargo.toml")).unwrap_err(),
            storage.put("f", &content(remote::PART + 1)).unwrap_err(),
            storage.read("f").unwrap_err(),
            storage.download("f", &target.path().join("f"), &Stored::of(b"x")).unwrap_err(),
            storage.list("").unwrap_err(),
            storage.delete_folder().unwrap_err(),
            storage.lock("_lock").unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, StorageError::Network { .. }) && !error.is_input(), "{error}");
            let text = error.to_string();
            assert!(text.starts_with("s3://bucket/cp") && text.contains("no answer ("), "{text}");
        }
    }
}

#[test]
fn the_patience_for_a_dead_store_is_about_half_a_minute() {
    let limits = Limits::default();
    // The last attempt begins before `retry` has passed, after a pause of at most 4 s.
    let longest = limits.retry + Duration::from_secs(4) + limits.silence.max(limits.connect);
    assert!(longest <= Duration::from_secs(40), "{longest:?}");
    assert!(limits.retry > 2 * limits.silence, "one that was silent twice gets a third chance");
}

#[test]
fn a_full_store_and_a_forbidden_one_are_said() {
    let server = S3Server::start(&["bucket"]);
    let proxy = FaultyProxy::start(&server);
    let storage = limited(proxy.endpoint(), QUICK);
    proxy.fail("PUT ", Fault::Status(507), usize::MAX);
    proxy.fail("GET ", Fault::Status(403), usize::MAX);
    proxy.fail("POST ", Fault::Status(301), usize::MAX);
    let error = storage.put("f", b"x").unwrap_err();
    assert!(matches!(error, StorageError::NoSpace { .. }) && !error.is_input(), "{error}");
    let error = storage.read("f").unwrap_err();
    assert!(matches!(error, StorageError::NoPermission { .. }) && error.is_input(), "{error}");
    let error = storage.delete("f").unwrap_err();
    assert!(error.to_string().ends_with("set AWS_REGION to it"), "{error}");
}

#[test]
fn a_lock_of_an_object_store_outlives_its_holder_and_tells_what_to_do() {
    let server = S3Server::start(&["bucket"]);
    let storage = at(server.endpoint());
    std::mem::forget(storage.lock("_lock").unwrap());
    let error = storage.lock("_lock").unwrap_err().to_string();
    assert!(error.contains(&format!("process {} on host ", std::process::id())), "{error}");
    assert!(error.contains("if that run is dead, delete this object"), "{error}");
    storage.delete("_lock").unwrap();
    let first = storage.lock("_lock").unwrap();
    // Taken away from its holder, it is not taken from the next one when the holder ends.
    storage.delete("_lock").unwrap();
    let second = storage.lock("_lock").unwrap();
    drop(first);
    assert!(matches!(storage.lock("_lock"), Err(StorageError::Locked { .. })));
    drop(second);
    assert_eq!(storage.list("").unwrap(), []);
}

#[test]
fn damage_in_the_store_is_found() {
    let server = S3Server::start(&["bucket"]);
    let storage = at(server.endpoint());
    let stored = storage.put("f", &content(100_000)).unwrap();
    let mut damaged = content(100_000);
    damaged[99_999] ^= 1;
    fs::write(server.file("bucket", "cp/f"), &damaged).unwrap();
    let target = tempfile::tempdir().unwrap();
    let error = storage.link("f", &target.path().join("f"), &stored).unwrap_err();
    assert!(error.to_string().starts_with("s3://bucket/cp/f: damaged: its checksum is "), "{error}");
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
}

#[test]
fn urls_of_object_stores() {
    let environment = vec![
        ("AWS_ACCESS_KEY_ID".to_owned(), "key".to_owned()),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), "secret".to_owned()),
        ("AZURE_STORAGE_ACCOUNT_NAME".to_owned(), "account".to_owned()),
        ("AZURE_STORAGE_ACCOUNT_KEY".to_owned(), "c2VjcmV0".to_owned()),
        ("GOOGLE_SKIP_SIGNATURE".to_owned(), "true".to_owned()),
    ];
    for url in [
        "s3://b/x/",
        "S3A://bucket",
        "gs://bucket/x",
        "az://container/x",
        "abfs://container/x",
        "abfss://c@account.dfs.core.windows.net/x",
        "wasb://c@account/x",
        "wasbs://c@account.blob.core.windows.net",
    ] {
        let storage = open(url, environment.clone()).unwrap();
        assert_eq!(storage.url(), url.trim_end_matches('/'));
    }
    let unknown = open("s33://key:hunter2@bucket/x", vec![]).unwrap_err();
    assert!(unknown.is_input());
    assert!(
        unknown
            .to_string()
            .starts_with("unknown storage scheme `s33://` (did you mean `s3://`?); allowed: a directory"),
        "{unknown}"
    );
    assert!(!format!("{unknown:?}").contains("hunter2"));
    for url in [
        "s3://key:hunter2@bucket/x",
        "s3://key@bucket/hunter2",
        "s3://key:hunter2/with/slashes@bucket/x",
        "s3:key:hunter2@bucket",
        "gs://user:hunter2@bucket",
        "abfss://container:hunter2@account.dfs.core.windows.net/x",
        "az://container/x?sig=hunter2",
        "az://container?sig=hunter2",
        "wasbs://c@account.blob.core.windows.net/x?sig=hunter2",
    ] {
        let error = open(url, environment.clone()).unwrap_err();
        assert!(matches!(error, StorageError::SecretInUrl { .. }) && error.is_input(), "{url}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    for url in ["s3://", "s3:///x", "s3:/bucket", "s3:bucket", "s3://buc ket", "s3://b/../c", "gs://..", "abfs://@a/x"]
    {
        let error = open(url, environment.clone()).unwrap_err();
        assert!(matches!(error, StorageError::BadUrl { .. }) && error.is_input(), "{url}: {error}");
    }
    // An account is needed, and where credentials are wanted is told.
    let error = open("az://container/x", vec![]).unwrap_err();
    assert!(matches!(error, StorageError::WrongCredentials { .. }) && error.to_string().contains("AZURE_"), "{error}");
}
