//! One body for every kind of storage, and what only one kind can get wrong.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::*;

fn local() -> (tempfile::TempDir, CheckpointStorage) {
    let folder = tempfile::tempdir().unwrap();
    let storage = CheckpointStorage::open(folder.path().join("cp").to_str().unwrap(), None).unwrap();
    (folder, storage)
}

/// Content that repeats nowhere near.
pub(super) fn content(bytes: usize) -> Vec<u8> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        content.extend_from_slice(&seed.rotate_left(17).to_le_bytes());
    }
    content.truncate(bytes);
    content
}

pub(super) fn paths(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(|file| file.path.as_str()).collect()
}

const SIZES: [usize; 5] = [0, 1, 100_000, 256 * 1024, 20_000_000];

/// What every storage does.
pub(super) fn conforms(storage: &CheckpointStorage) {
    round_trips(storage);
    writers_appear_when_finished(storage);
    files_are_replaced(storage);
    what_differs_is_refused(storage);
    folders_are_listed_and_deleted(storage);
    one_of_many_wins(storage);
    what_is_missing_is_said(storage);
    paths_stay_below(storage);
    locks_have_one_holder(storage);
}

fn round_trips(storage: &CheckpointStorage) {
    let local = tempfile::tempdir().unwrap();
    let before = storage.counters();
    for bytes in SIZES {
        let content = content(bytes);
        let source = local.path().join("source");
        fs::write(&source, &content).unwrap();
        let (uploaded, put, written) =
            (format!("chk-1/up-{bytes}"), format!("chk-1/put-{bytes}"), format!("chk-1/w-{bytes}"));
        let stored = storage.upload(&uploaded, &source).unwrap();
        assert_eq!(stored, Stored::of(&content));
        assert_eq!(storage.put(&put, &content).unwrap(), stored);
        let mut writer = storage.writer(&written).unwrap();
        for piece in content.chunks(77_777) {
            writer.write_all(piece).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), stored);
        for path in [uploaded, put, written] {
            assert!(storage.read(&path).unwrap() == content, "{path}");
            let target = local.path().join("deeper").join(&path);
            storage.download(&path, &target, &stored).unwrap();
            assert!(fs::read(&target).unwrap() == content, "{path}");
            // In place of what is there, a file of another content.
            fs::write(&target, b"old").unwrap();
            storage.link(&path, &target, &stored).unwrap();
            assert!(fs::read(&target).unwrap() == content, "{path}");
        }
    }
    let done = storage.counters();
    let all: usize = SIZES.iter().sum();
    assert_eq!(done.uploaded_bytes - before.uploaded_bytes, 3 * all as u64);
    assert!(done.downloaded_bytes - before.downloaded_bytes >= 6 * all as u64);
    assert!(done.requests > before.requests);
    assert_eq!(storage.list("chk-1").unwrap().len(), 3 * SIZES.len());
    storage.child("chk-1").delete_folder().unwrap();
}

fn writers_appear_when_finished(storage: &CheckpointStorage) {
    for bytes in [10, 20_000_000] {
        let mut writer = storage.writer("w/dropped").unwrap();
        writer.write_all(&content(bytes)).unwrap();
        assert!(matches!(storage.read("w/dropped"), Err(StorageError::NotFound { .. })));
        drop(writer);
        assert_eq!(storage.list("").unwrap(), []);
    }
}

fn files_are_replaced(storage: &CheckpointStorage) {
    let local = tempfile::tempdir().unwrap();
    let first = storage.put("r/file", b"the first").unwrap();
    let linked = local.path().join("linked");
    storage.link("r/file", &linked, &first).unwrap();
    let second = storage.put("r/file", b"2nd").unwrap();
    assert_ne!(first, second);
    assert_eq!(storage.read("r/file").unwrap(), b"2nd");
    fs::write(local.path().join("third"), b"the third one").unwrap();
    storage.upload("r/file", &local.path().join("third")).unwrap();
    assert_eq!(storage.read("r/file").unwrap(), b"the third one");
    // What was linked is as it was.
    assert_eq!(fs::read(&linked).unwrap(), b"the first");
    storage.delete("r/file").unwrap();
    assert_eq!(fs::read(&linked).unwrap(), b"the first");
}

fn what_differs_is_refused(storage: &CheckpointStorage) {
    let local = tempfile::tempdir().unwrap();
    let whole = content(3_000_000);
    let stored = storage.put("d/sst", &whole).unwrap();
    let mut flipped = whole.clone();
    flipped[1_234_567] ^= 4;
    let longer = [whole.as_slice(), b"x"].concat();
    let cases: [(&[u8], &str); 4] =
        [(&flipped, "checksum"), (&whole[..2_999_999], "2999999 bytes"), (&longer, "3000001 bytes"), (b"", "0 bytes")];
    for (bytes, what) in cases {
        storage.put("d/sst", bytes).unwrap();
        for link in [false, true] {
            let target = local.path().join("target");
            let refused = if link {
                storage.link("d/sst", &target, &stored).unwrap_err()
            } else {
                storage.download("d/sst", &target, &stored).unwrap_err()
            };
            let message = refused.to_string();
            assert!(matches!(refused, StorageError::Damaged { .. }) && refused.is_input(), "{message}");
            assert!(message.starts_with(&format!("{}/d/sst: damaged", storage.url())), "{message}");
            assert!(message.contains(what), "{message}");
            assert_eq!(fs::read_dir(local.path()).unwrap().count(), 0, "nothing is left");
        }
    }
    storage.delete("d/sst").unwrap();
}

fn folders_are_listed_and_deleted(storage: &CheckpointStorage) {
    assert_eq!(storage.list("").unwrap(), []);
    assert_eq!(storage.list("nowhere/deep").unwrap(), []);
    for path in ["a/1", "a/b/2", "a/b/c/3", "ab/4", "5"] {
        storage.put(path, path.as_bytes()).unwrap();
    }
    assert_eq!(paths(&storage.list("").unwrap()), ["5", "a/1", "a/b/2", "a/b/c/3", "ab/4"]);
    assert_eq!(paths(&storage.list("a").unwrap()), ["a/1", "a/b/2", "a/b/c/3"]);
    assert_eq!(storage.list("a/b/c").unwrap(), [Listed { path: "a/b/c/3".to_owned(), bytes: 7 }]);
    let child = storage.child("a").child("b");
    assert_eq!(child.url(), format!("{}/a/b", storage.url()));
    assert_eq!(paths(&child.list("").unwrap()), ["2", "c/3"]);
    assert_eq!(child.read("2").unwrap(), b"a/b/2");
    storage.child("a").delete_folder().unwrap();
    storage.child("a").delete_folder().unwrap();
    assert_eq!(paths(&storage.list("").unwrap()), ["5", "ab/4"]);
    for path in ["5", "ab/4", "5", "never"] {
        storage.delete(path).unwrap();
    }
    assert_eq!(storage.list("").unwrap(), []);
}

fn one_of_many_wins(storage: &CheckpointStorage) {
    for round in 0..5 {
        let path = format!("race/{round}");
        let barrier = Barrier::new(16);
        let attempt = |by: usize| {
            barrier.wait();
            storage.put_new(&path, format!("by {by}").as_bytes()).unwrap().then_some(by)
        };
        let winners: Vec<usize> = thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|by| scope.spawn(move || attempt(by))).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(storage.read(&path).unwrap(), format!("by {}", winners[0]).as_bytes());
    }
    assert_eq!(storage.list("race").unwrap().len(), 5, "the losers left nothing");
    storage.child("race").delete_folder().unwrap();
}

fn what_is_missing_is_said(storage: &CheckpointStorage) {
    let local = tempfile::tempdir().unwrap();
    let target = local.path().join("target");
    let expected = Stored::of(b"");
    let errors = [
        storage.read("m/none").unwrap_err(),
        storage.download("m/none", &target, &expected).unwrap_err(),
        storage.link("m/none", &target, &expected).unwrap_err(),
    ];
    for error in errors {
        assert!(error.is_input());
        assert_eq!(error.to_string(), format!("{}/m/none: there is no such file", storage.url()));
    }
    // A source that is missing is not the storage's fault, and nothing is stored.
    let error = storage.upload("m/none", &target).unwrap_err();
    assert!(matches!(error, StorageError::Io { .. }) && error.to_string().starts_with(target.to_str().unwrap()));
    assert_eq!(storage.list("").unwrap(), []);
}

fn paths_stay_below(storage: &CheckpointStorage) {
    let expected = Stored::of(b"");
    for path in ["", "/etc/passwd", "..", "a/../../b", "./a", "a//b", "a/", "a\\b", "a\nb"] {
        let errors = [
            storage.put(path, b"").unwrap_err(),
            storage.put_new(path, b"").unwrap_err(),
            storage.writer(path).err().unwrap(),
            storage.upload(path, Path::new("Cargo.toml")).unwrap_err(),
            storage.read(path).unwrap_err(),
            storage.download(path, Path::new("never-written"), &expected).unwrap_err(),
            storage.link(path, Path::new("never-written"), &expected).unwrap_err(),
            storage.delete(path).unwrap_err(),
            storage.lock(path).unwrap_err(),
            storage.child(path).read("x").unwrap_err(),
            storage.child(path).delete_folder().unwrap_err(),
            storage.child(path).list("").unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, StorageError::BadPath { .. }) && error.is_input(), "{path:?}: {error}");
        }
    }
}

fn locks_have_one_holder(storage: &CheckpointStorage) {
    let lock = storage.lock("_lock").unwrap();
    let error = storage.clone().lock("_lock").unwrap_err();
    let message = error.to_string();
    assert!(error.is_input());
    let StorageError::Locked { holder: Some(holder), .. } = error else { panic!("{message}") };
    assert_eq!(holder.pid, std::process::id());
    assert!(message.contains(&format!("process {} on host {}", holder.pid, holder.host)), "{message}");
    assert!(message.starts_with(&format!("{}/_lock: in use by", storage.url())), "{message}");
    let other = storage.lock("other").unwrap();
    drop(lock);
    drop(storage.lock("_lock").unwrap());
    drop(other);
    assert_eq!(storage.list("").unwrap(), [], "a lock that is released is gone");
    // Many at once, again and again: never two.
    let holders = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut held = 0;
                while held < 10 {
                    match storage.lock("_lock") {
                        Ok(lock) => {
                            assert_eq!(holders.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                            held += 1;
                            thread::yield_now();
                            holders.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                            drop(lock);
                        }
                        Err(StorageError::Locked { .. }) => thread::sleep(Duration::from_millis(1)),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
}

#[test]
fn a_directory_conforms() {
    let (_folder, storage) = local();
    conforms(&storage);
    assert_eq!(storage.counters().retries, 0);
}

#[test]
fn a_child_of_a_directory_conforms() {
    let (_folder, storage) = local();
    conforms(&storage.child("job").child("shared"));
}

#[test]
fn a_modelled_store_conforms_and_takes_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let profile = StorageProfile { bandwidth_bytes_per_s: Some(10_000_000_000), latency: Duration::from_micros(100) };
    let storage = CheckpointStorage::open(folder.path().to_str().unwrap(), Some(profile)).unwrap();
    conforms(&storage);

    // 300 KB at 1 MB/s in two threads, and a request of 50 ms each: waiting is what is promised, so there is a least
    // time, and no most.
    let profile = StorageProfile { bandwidth_bytes_per_s: Some(1_000_000), latency: Duration::from_millis(50) };
    let storage = CheckpointStorage::open(folder.path().to_str().unwrap(), Some(profile)).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        for path in ["1", "2"] {
            scope.spawn(|| storage.put(path, &content(150_000)).unwrap());
        }
    });
    assert!(start.elapsed() >= Duration::from_millis(350), "{:?}", start.elapsed());
    let start = Instant::now();
    let copied = folder.path().join("copied");
    assert_eq!(storage.link("1", &copied, &Stored::of(&content(150_000))).unwrap(), Linked::Copied);
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());

    let never = StorageProfile { bandwidth_bytes_per_s: Some(0), latency: Duration::ZERO };
    assert!(matches!(CheckpointStorage::open("x", Some(never)), Err(StorageError::BadProfile)));
}

#[test]
fn a_directory_links_on_its_file_system_and_copies_to_another() {
    let (folder, storage) = local();
    let stored = storage.put("shared/1.sst", &content(5000)).unwrap();
    let target = folder.path().join("db").join("1.sst");
    fs::create_dir(folder.path().join("db")).unwrap();
    assert_eq!(storage.link("shared/1.sst", &target, &stored).unwrap(), Linked::HardLink);
    assert_eq!(storage.counters().downloaded_bytes, 0);
    assert_eq!(fs::metadata(&target).unwrap().nlink(), 2);
    // Deleting what is linked leaves the storage's.
    fs::remove_file(&target).unwrap();
    assert_eq!(storage.read("shared/1.sst").unwrap(), content(5000));
    // The second name of a symbolic link would be one too.
    std::os::unix::fs::symlink(folder.path().join("cp/shared/1.sst"), folder.path().join("cp/shared/2.sst")).unwrap();
    assert_eq!(storage.link("shared/2.sst", &target, &stored).unwrap(), Linked::Copied);
    assert!(fs::symlink_metadata(&target).unwrap().is_file());

    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    let devices = [folder.path(), other.path()].map(|path| fs::metadata(path).unwrap().dev());
    if devices[0] != devices[1] {
        let target = other.path().join("1.sst");
        assert_eq!(storage.link("shared/1.sst", &target, &stored).unwrap(), Linked::Copied);
        assert_eq!(fs::read(target).unwrap(), content(5000));
    }
}

#[test]
fn a_link_makes_the_folder_of_its_target() {
    let (folder, storage) = local();
    let stored = storage.put("f", b"x").unwrap();
    let target = folder.path().join("no/such/folder/f");
    storage.link("f", &target, &stored).unwrap();
    assert_eq!(fs::read(target).unwrap(), b"x");
}

#[test]
fn what_a_killed_writer_left_is_listed_as_unfinished() {
    let (folder, storage) = local();
    let mut writer = storage.writer("chk-1/state").unwrap();
    writer.write_all(&content(1_000_000)).unwrap();
    let listed = storage.list("chk-1").unwrap();
    assert!(matches!(listed.as_slice(), [file] if file.is_unfinished()), "{listed:?}");
    // As if killed: never dropped.
    std::mem::forget(writer);
    storage.delete(&listed[0].path).unwrap();
    assert_eq!(storage.list("").unwrap(), []);
    storage.put("chk-1/state", b"1").unwrap();
    assert!(!storage.list("").unwrap()[0].is_unfinished());
    drop(folder);
}

#[test]
fn things_that_are_no_files_are_refused_and_never_waited_for() {
    let (folder, storage) = local();
    storage.put("dir/file", b"x").unwrap();
    let expected = Stored::of(b"x");
    let pipe = folder.path().join("cp/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in ["dir", "pipe"] {
        let errors = [
            storage.read(path).unwrap_err(),
            storage.link(path, &folder.path().join("t"), &expected).unwrap_err(),
            storage.download(path, &folder.path().join("t"), &expected).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
        }
    }
    let file = folder.path().join("cp/dir/file");
    let error = CheckpointStorage::open(file.to_str().unwrap(), None).unwrap_err();
    assert!(error.to_string().ends_with("this is a file; give a directory"), "{error}");
    // A folder of a path is a file.
    let error = storage.put("dir/file/below", b"x").unwrap_err();
    assert!(error.to_string().contains("dir/file/below: "), "{error}");
}

#[test]
fn links_out_of_a_directory_are_listed_and_deleted_but_not_followed() {
    let (folder, storage) = local();
    storage.put("chk/file", b"x").unwrap();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), b"precious").unwrap();
    std::os::unix::fs::symlink(&outside, folder.path().join("cp/chk/out")).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("cp/chk/round")).unwrap();
    assert_eq!(paths(&storage.list("").unwrap()), ["chk/file", "chk/out", "chk/round"]);
    storage.child("chk").delete_folder().unwrap();
    assert_eq!(fs::read(outside.join("precious")).unwrap(), b"precious");
}

#[test]
fn a_whole_file_system_is_not_deleted() {
    let storage = CheckpointStorage::open("/", None).unwrap();
    assert!(matches!(storage.delete_folder(), Err(StorageError::BadPath { .. })));
    assert_eq!(storage.url(), "/");
    assert_eq!(storage.child("tmp").url(), "/tmp");
}

#[test]
fn urls_of_directories() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("with space");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("f"), b"x").unwrap();
    let shown = path.to_str().unwrap();
    for url in [
        shown.to_owned(),
        format!("{shown}//"),
        format!("file://{shown}"),
        format!("file:{shown}/"),
        format!("FILE://localhost{}", shown.replace(' ', "%20")),
    ] {
        let storage = CheckpointStorage::open(&url, None).unwrap();
        assert_eq!(storage.read("f").unwrap(), b"x", "{url}");
        assert!(!storage.url().ends_with('/'), "{url}");
    }
    for url in ["", "file://host/dir", "file:dir", "file:///a%2", "file:///a%ff"] {
        let error = CheckpointStorage::open(url, None).unwrap_err();
        assert!(matches!(error, StorageError::BadUrl { .. }) && error.is_input(), "{url}: {error}");
    }
    // Not a scheme: the name of a folder.
    assert_eq!(Location::parse("a:b").unwrap(), Location::Folder(std::path::absolute("a:b").unwrap()));
}

#[test]
fn locks_of_the_dead_are_taken_over() {
    let (folder, storage) = local();
    let path = folder.path().join("cp").join("_lock");
    let host = sysinfo::System::host_name().unwrap();
    let left = |host: &str| format!(r#"{{"host":"{host}","pid":4194305,"since_epoch_s":1,"token":"t"}}"#);
    storage.put("_lock", left(&host).as_bytes()).unwrap();
    let lock = storage.lock("_lock").unwrap();
    let now: LockHolder = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(now.pid, std::process::id());
    drop(lock);
    assert!(!path.exists());
    // A process that dies holding it, however it dies: here without a destructor.
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "checkpoint::storage::tests::holds_a_lock_and_dies", "--ignored", "--nocapture"])
        .env("STATEBENCH_TEST_LOCK", storage.url())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !path.exists() || fs::metadata(&path).unwrap().len() == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the holder ended too early");
        thread::sleep(Duration::from_millis(5));
    }
    let StorageError::Locked { holder: Some(holder), .. } = storage.lock("_lock").unwrap_err() else { panic!() };
    assert_eq!(holder.pid, child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(path.exists());
    drop(storage.lock("_lock").unwrap());

    // Another host's process cannot be looked at.
    storage.put("_lock", left("another-host").as_bytes()).unwrap();
    let error = storage.lock("_lock").unwrap_err().to_string();
    assert!(
        error.contains("process 4194305 on host another-host since 1970-01-01 00:00:01 UTC")
            && error.ends_with("if that run is dead, delete this file"),
        "{error}"
    );
    // And what is no lock is not overwritten.
    storage.put("_lock", b"somebody's data").unwrap();
    assert!(matches!(storage.lock("_lock"), Err(StorageError::Locked { holder: None, .. })));
    assert_eq!(storage.read("_lock").unwrap(), b"somebody's data");
}

/// Not a test: the other process of [`locks_of_the_dead_are_taken_over`].
#[test]
#[ignore = "a process for another test"]
fn holds_a_lock_and_dies() {
    let Ok(url) = std::env::var("STATEBENCH_TEST_LOCK") else { return };
    let _lock = CheckpointStorage::open(&url, None).unwrap().lock("_lock").unwrap();
    thread::sleep(Duration::from_mins(2));
}

#[test]
fn a_lock_that_was_taken_away_is_not_released_twice() {
    let (folder, storage) = local();
    let first = storage.lock("_lock").unwrap();
    fs::remove_file(folder.path().join("cp/_lock")).unwrap();
    let second = storage.lock("_lock").unwrap();
    drop(first);
    assert!(matches!(storage.lock("_lock"), Err(StorageError::Locked { .. })), "the second still holds it");
    drop(second);
}

#[test]
fn errors_of_writers_come_back_as_they_were() {
    let (_folder, storage) = local();
    let inner = StorageError::NoSpace { file: "f".to_owned(), reason: "full".to_owned() };
    assert!(matches!(storage.failed("p", io::Error::other(inner)), StorageError::NoSpace { .. }));
    let error = storage.failed("p", io::Error::from(io::ErrorKind::PermissionDenied));
    assert!(matches!(&error, StorageError::NoPermission { file, .. } if *file == format!("{}/p", storage.url())));
    assert!(!storage.failed("p", io::Error::other("x")).is_input());
}

/// A file system of four megabytes; none where this user cannot mount one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(folder: std::path::PathBuf) -> Option<Self> {
        fs::create_dir(&folder).unwrap();
        let mounted =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&folder).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_what_was_there() {
    // Everywhere: the device that is always full.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let Err(CopyError::Target(error)) = stored::copy(&content(10)[..], full, |_| ()) else { panic!("it was written") };
    let error = StorageError::from_local(Path::new("target"), error);
    assert!(matches!(error, StorageError::NoSpace { .. }) && !error.is_input(), "{error}");

    // Where it can be made: a disk that really fills up.
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("disk")) else {
        eprintln!("skipped: this user cannot mount a file system");
        return;
    };
    let storage = CheckpointStorage::open(disk.0.to_str().unwrap(), None).unwrap();
    let (kept, large) = (content(1_000_000), content(5_000_000));
    let stored = storage.put("chk-1/state", &kept).unwrap();
    let source = folder.path().join("source");
    fs::write(&source, &large).unwrap();
    let mut writer = storage.writer("chk-1/state").unwrap();
    let error = writer.write_all(&large).unwrap_err();
    assert!(writer.write_all(b"more").and_then(|()| writer.finish().map_err(io::Error::other)).is_err());
    let errors = [
        storage.failed("chk-1/state", error),
        storage.upload("chk-1/state", &source).unwrap_err(),
        storage.put("chk-1/state", &large).unwrap_err(),
        storage.put_new("chk-2/state", &large).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StorageError::NoSpace { .. }) && !error.is_input(), "{error}");
        assert!(error.to_string().starts_with(&format!("{}/chk-", storage.url())), "{error}");
    }
    assert_eq!(storage.read("chk-1/state").unwrap(), kept);
    assert_eq!(paths(&storage.list("").unwrap()), ["chk-1/state"], "the failed ones left nothing");
    // To a full disk from a good storage: the target is named.
    let (_other, whole) = local();
    let large = whole.put("f", &large).unwrap();
    let error = whole.download("f", &disk.0.join("restored"), &large).unwrap_err();
    assert!(matches!(&error, StorageError::NoSpace { file, .. } if file.ends_with("disk/restored")), "{error}");
    storage.download("chk-1/state", &disk.0.join("copy"), &stored).unwrap();
}
