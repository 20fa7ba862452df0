//! Checkpoints, savepoints and restores as a user meets them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use statebench::result::{Checkpoints, Measurement};
use statebench::state::Digest;

use super::{Place, Ran, measured, start};

#[path = "../support/s3.rs"]
mod s3;

/// A job with timers and window contents, so that all kinds of state go into its checkpoints.
const JOB: &str = r#"
operator.sliding-window = { size = "40 s", slide = "20 s" }
keys = { cardinality = 500 }
run = { events = 60_000, warm-up = 4_096, repeats = 1, counters = false, max-parallelism = 128 }
[checkpoint]
every-events = 8_192
digests = true
[[configuration]]
name = "heap"
state.backend.type = "hashmap"
[[configuration]]
name = "rocksdb"
state.backend.type = "rocksdb"
execution.checkpointing.incremental = true
execution.checkpointing.num-retained = 2
"#;

fn place() -> Place {
    let place = Place::new();
    place.file("job.toml", JOB);
    place
}

/// What a configuration computed.
fn digests(measurement: &Measurement) -> (Digest, Digest) {
    (measurement.emitted, measurement.state)
}

fn checkpoints(measurement: &Measurement) -> &Checkpoints {
    measurement.checkpoints.as_ref().unwrap()
}

/// Runs the job under one configuration; what it measured.
fn run(place: &Place, configuration: &str, args: &str) -> Measurement {
    place.statebench(&format!("run job.toml -q --force -o r.json --configuration {configuration} {args}")).ok();
    measured(&place.result("r.json"), configuration).clone()
}

/// The folders in a folder, in order of their names.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

#[test]
fn a_run_takes_checkpoints_and_restores_the_last_one() {
    let place = place();
    let out = place.statebench("run job.toml -q -o r.json").ok();
    let result = place.result("r.json");
    for configuration in ["heap", "rocksdb"] {
        let measurement = measured(&result, configuration);
        let checkpoints = checkpoints(measurement);
        let complete: Vec<_> = checkpoints.complete().collect();
        assert_eq!(complete.len(), 7, "{configuration}: {:?}", checkpoints.records);
        assert!(complete.iter().all(|record| record.full_bytes > 0 && record.metadata_bytes > 0));
        assert!(complete.iter().all(|record| record.duration_ms >= record.sync_duration_ms));
        let restore = checkpoints.restore.as_ref().unwrap();
        assert!(restore.agrees && restore.replayed_events > 0, "{restore:?}");
        assert_eq!(restore.id, 7);
        assert_eq!(checkpoints.location, None);
    }
    for heading in ["stood still", "full size", "ready after", "as fast as before"] {
        assert!(out.contains(heading), "{out}");
    }
}

#[test]
fn a_savepoint_moves_from_one_backend_to_the_other_and_to_another_parallelism() {
    let place = place();
    for (from, to) in [("heap", "rocksdb"), ("rocksdb", "heap")] {
        let savepoints = place.path(&format!("savepoints-{from}"));
        let whole = run(&place, from, &format!("--savepoint {}", savepoints.display()));
        let savepoint = folders(&savepoints).pop().unwrap();
        assert_eq!(checkpoints(&whole).savepoint.as_deref(), savepoint.to_str());
        for (configuration, parallelism) in [(to, 1), (to, 3), (from, 2)] {
            let args = format!("--restore-from {} --parallelism {parallelism}", savepoint.display());
            let restored = run(&place, configuration, &args);
            assert_eq!(digests(&restored), digests(&whole), "{from} to {configuration} at {parallelism}");
            assert!(restored.events < whole.events);
        }
    }
}

#[test]
fn checkpoints_that_are_kept_can_be_gone_on_from_at_another_parallelism() {
    let place = place();
    for configuration in ["heap", "rocksdb"] {
        let dir = place.path(&format!("checkpoints-{configuration}"));
        let whole = run(&place, configuration, &format!("--parallelism 2 --checkpoint-dir {}", dir.display()));
        let job = folders(&dir).pop().unwrap();
        let names: Vec<_> = folders(&job).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        let chk = |id: u32| job.join(format!("chk-{id}"));
        assert_eq!(checkpoints(&whole).location.as_deref(), chk(7).to_str());
        assert_eq!(chk(6).exists(), configuration == "rocksdb", "{names:?}");
        assert!(!chk(5).exists(), "{names:?}");
        for parallelism in [2, 1, 4, 3] {
            let args = format!("--restore-from {} --parallelism {parallelism}", chk(7).display());
            assert_eq!(digests(&run(&place, configuration, &args)), digests(&whole), "{configuration} {parallelism}");
        }
        let verified = place.statebench(&format!("checkpoint verify {}", job.display())).ok();
        assert!(verified.contains("chk-7: whole") && !verified.contains("no complete checkpoint"), "{verified}");
    }
}

/// The folder of the last checkpoint of a run on RocksDB with files, small as it is.
fn kept(place: &Place) -> PathBuf {
    let args = "--set execution.checkpointing.data-inline-threshold=0b --checkpoint-dir";
    let dir = place.path("kept");
    run(place, "rocksdb", &format!("{args} {}", dir.display()));
    folders(&dir).pop().unwrap().join("chk-7")
}

#[test]
fn a_checkpoint_can_be_looked_into() {
    let place = place();
    let checkpoint = kept(&place);
    let text = place.statebench(&format!("checkpoint inspect {}", checkpoint.display())).ok();
    for part in ["incremental checkpoint 7 of the rocksdb backend", "keys of type long", "files of RocksDB", "shared "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = place.statebench(&format!("checkpoint inspect --json {}", checkpoint.display())).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["id"], &json["parallelism"]), (&7.into(), &1.into()));
}

#[test]
fn a_damaged_file_is_refused_by_its_name() {
    let place = place();
    let checkpoint = kept(&place);
    let shared = checkpoint.parent().unwrap().join("shared");
    let a_table = std::fs::read_dir(&shared).unwrap().next().unwrap().unwrap().path();
    let a_file = std::fs::read_dir(&checkpoint).unwrap().map(|entry| entry.unwrap().path());
    let a_file = a_file.filter(|path| !path.ends_with("_metadata")).max().unwrap();
    for path in [checkpoint.join("_metadata"), a_file, a_table] {
        let whole = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [flipped.as_slice(), &whole[..whole.len() - 1], &[]] {
            std::fs::write(&path, damaged).unwrap();
            let verified = place.statebench(&format!("checkpoint verify {}", checkpoint.display()));
            assert_eq!(verified.code, Some(2), "{name}: {verified:?}");
            assert!(verified.err.contains(name), "{name}: {verified:?}");
            let args = format!(
                "run job.toml -q --force -o d.json --configuration rocksdb --restore-from {}",
                checkpoint.display()
            );
            let ran = place.statebench(&args);
            assert_eq!(ran.code, Some(2), "{name}: {ran:?}");
            assert!(ran.err.contains(name), "{name}: {ran:?}");
        }
        std::fs::write(&path, whole).unwrap();
    }
    place.statebench(&format!("checkpoint verify {}", checkpoint.display())).ok();
}

#[test]
fn what_nobody_needs_is_found_and_deleted() {
    let place = place();
    let checkpoint = kept(&place);
    let job = checkpoint.parent().unwrap();
    let orphan = job.join("shared/9-0-0-left.sst");
    std::fs::write(&orphan, "left by a run that was killed").unwrap();
    let half = job.join("chk-9");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.join("9-0-0-keyed"), "half a checkpoint").unwrap();
    let verified = place.statebench(&format!("checkpoint verify {}", job.display())).ok();
    assert!(verified.contains("2 files of 46 bytes belong to no complete checkpoint"), "{verified}");
    place.statebench(&format!("checkpoint gc --dry-run {}", job.display())).ok();
    assert!(orphan.exists());
    let collected = place.statebench(&format!("checkpoint gc {}", job.display())).ok();
    assert!(collected.ends_with("2 orphans, 46 bytes\n"), "{collected}");
    assert!(!orphan.exists() && !half.join("9-0-0-keyed").exists());
    place.statebench(&format!("checkpoint verify {}", checkpoint.display())).ok();
}

fn refused(place: &Place, args: &str) -> Ran {
    let ran = place.statebench(&format!("run job.toml -q --force -o d.json {args}"));
    assert_eq!(ran.code, Some(2), "{args}: {ran:?}");
    ran
}

#[test]
fn a_checkpoint_of_another_job_is_refused_with_what_differs() {
    let place = place();
    let dir = place.path("checkpoints");
    run(&place, "heap", &format!("--checkpoint-dir {}", dir.display()));
    let checkpoint = folders(&dir).pop().unwrap().join("chk-7");
    let restore = format!("--configuration heap --restore-from {}", checkpoint.display());
    for (args, reason) in [
        ("--set keys.cardinality=501", "these sections differ: keys"),
        ("--set operator=counter", "these sections differ: operator"),
        ("--set run.max-parallelism=256", "max parallelism 128"),
        ("--set keys.type=string", "keys are of type long"),
        ("--seed 2", "seed"),
    ] {
        let ran = refused(&place, &format!("{restore} {args}"));
        assert!(ran.err.contains(reason), "{args}: {}", ran.err);
    }
    let other = refused(&place, &format!("--configuration rocksdb --restore-from {}", checkpoint.display()));
    assert!(other.err.contains("canonical savepoints"), "{}", other.err);
}

#[test]
fn places_that_cannot_be_used_are_refused() {
    let place = place();
    let heap = "--configuration heap";
    for (args, parts) in [
        ("--checkpoint-dir s4://bucket/a", &["s4", "s3"][..]),
        ("--restore-from nowhere/chk-1", &["nowhere/chk-1"]),
        ("--checkpoint-dir s3://user:secret@bucket/a", &["carries credentials"]),
    ] {
        let ran = refused(&place, &format!("{heap} {args}"));
        assert!(parts.iter().all(|part| ran.err.contains(part)), "{args}: {}", ran.err);
        assert!(!ran.err.contains("secret"), "{args}: {}", ran.err);
    }
    let ran = refused(&place, "--configuration heep");
    assert!(ran.err.contains("did you mean `heap`"), "{}", ran.err);
}

/// The folder of a job without a folder of its own is locked, so that two runs never share one.
#[test]
fn two_runs_do_not_share_a_checkpoint_directory() {
    let place = place();
    let dir = place.path("checkpoints");
    let args = format!("--checkpoint-dir {} --set execution.checkpointing.create-subdir=false", dir.display());
    let long = format!("run job.toml -q -o long.json --configuration heap --set run.events=1000000000 {args}");
    let mut first = start(place.command(&long));
    while !dir.join("_lock").exists() {
        assert!(first.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = format!("run job.toml -q -o d.json --configuration heap {args}");
    let ran = Ran::of(place.command(&second).output().unwrap());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("_lock: in use by process"), "{}", ran.err);
    let killed = Command::new("sh").args(["-c", &format!("kill -s KILL -- -{}", first.id())]).status();
    assert!(killed.unwrap().success());
    first.wait().unwrap();
    // What a killed run leaves is in nobody's way.
    std::fs::remove_dir_all(place.path("tmp")).unwrap();
    std::fs::create_dir(place.path("tmp")).unwrap();
    run(&place, "heap", &args);
    assert!(dir.join("chk-7/_metadata").exists());
}

/// Runs the job with a changelog under one configuration; what it measured.
fn run_logged(place: &Place, configuration: &str, args: &str) -> Measurement {
    let changelog = "--set state.changelog.enabled=true --set state.changelog.storage=filesystem \
                     --set state.changelog.periodic-materialize.interval=20ms \
                     --set dstl.dfs.preemptive-persist-threshold=64kb";
    run(place, configuration, &format!("{changelog} {args}"))
}

#[test]
fn a_changelog_is_gone_on_from_at_another_parallelism_with_or_without_another() {
    let place = place();
    for configuration in ["heap", "rocksdb"] {
        let plain = run(&place, configuration, "");
        let dir = place.path(&format!("logged-{configuration}"));
        let whole = run_logged(&place, configuration, &format!("--parallelism 2 --checkpoint-dir {}", dir.display()));
        assert_eq!(digests(&whole), digests(&plain));
        let found = checkpoints(&whole);
        assert!(found.restore.as_ref().unwrap().agrees);
        let log = found.changelog.as_ref().unwrap();
        assert!(log.appended_bytes > 1_000_000, "{log:?}");
        assert!(log.materializations.len() > 2, "{log:?}");
        let last = folders(&dir).pop().unwrap().join("chk-7");
        let inspected = place.statebench(&format!("checkpoint inspect {}", last.display())).ok();
        assert!(inspected.contains("a materialization and a log of changes"), "{inspected}");
        place.statebench(&format!("checkpoint verify {}", last.display())).ok();
        for (restore, parallelism) in [(run as fn(&Place, &str, &str) -> _, 3), (run_logged, 2), (run_logged, 1)] {
            let args = format!("--restore-from {} --parallelism {parallelism}", last.display());
            assert_eq!(digests(&restore(&place, configuration, &args)), digests(&whole), "{configuration}");
        }
    }
    // One that was written without a log can be gone on from with one.
    let dir = place.path("plain");
    let whole = run(&place, "rocksdb", &format!("--checkpoint-dir {}", dir.display()));
    let last = folders(&dir).pop().unwrap().join("chk-7");
    let restored = run_logged(&place, "rocksdb", &format!("--restore-from {} --parallelism 2", last.display()));
    assert_eq!(digests(&restored), digests(&whole));
}

/// Runs the program as a client of an object store; what it said is free of the secret.
fn with_store(place: &Place, environment: &[(String, String)], args: &str) -> Ran {
    let mut command = place.command(args);
    command.envs(environment.iter().map(|(key, value)| (key, value)));
    let ran = place.finish(command);
    assert!(!ran.out.contains(s3::SECRET_KEY) && !ran.err.contains(s3::SECRET_KEY), "{ran:?}");
    ran
}

#[test]
fn a_run_writes_to_an_object_store_and_goes_on_from_it() {
    let (place, server) = (place(), s3::S3Server::start(&["state"]));
    let store = |args: &str| with_store(&place, &server.environment(), args);
    for (configuration, set) in [
        ("heap", ""),
        ("rocksdb", ""),
        ("rocksdb", "--set state.changelog.enabled=true --set state.changelog.storage=filesystem"),
    ] {
        let job = format!("run job.toml -q --force -o r.json --configuration {configuration} {set}");
        store(&format!("{job} --checkpoint-dir s3://state/jobs")).ok();
        let whole = measured(&place.result("r.json"), configuration).clone();
        let location = checkpoints(&whole).location.clone().unwrap();
        assert!(location.starts_with("s3://state/jobs/") && location.ends_with("/chk-7"), "{location}");
        assert!(checkpoints(&whole).restore.as_ref().unwrap().agrees);
        store(&format!("checkpoint verify {location}")).ok();
        store(&format!("{job} --restore-from {location} --parallelism 2")).ok();
        assert_eq!(digests(measured(&place.result("r.json"), configuration)), digests(&whole), "{configuration}");
        let result = std::fs::read_to_string(place.path("r.json")).unwrap();
        assert!(!result.contains(s3::SECRET_KEY) && !result.contains(s3::ACCESS_KEY));
    }
    let mut wrong = server.environment();
    wrong.iter_mut().filter(|(key, _)| key == "AWS_SECRET_ACCESS_KEY").for_each(|(_, value)| value.push('x'));
    let job = "run job.toml -q --force -o r.json --configuration heap --checkpoint-dir";
    let ran = with_store(&place, &wrong, &format!("{job} s3://state/jobs"));
    assert_ne!(ran.code, Some(0), "{ran:?}");
    let ran = store(&format!("{job} s3://nowhere/jobs"));
    assert!(ran.code != Some(0) && ran.err.contains("nowhere"), "{ran:?}");
}

/// A checkpoint that the store refuses fails and is told; the run goes on as far as the setting says, and what is retained
/// stays whole.
#[test]
fn failed_uploads_are_told_and_tolerated_as_often_as_the_setting_says() {
    let (place, server) = (place(), s3::S3Server::start(&["state"]));
    for configuration in ["heap", "rocksdb"] {
        let proxy = s3::FaultyProxy::start(&server);
        proxy.fail("/chk-3/", s3::Fault::Status(403), usize::MAX / 4);
        proxy.fail("/chk-4/", s3::Fault::Status(403), usize::MAX / 4);
        let environment = s3::environment(proxy.endpoint());
        let job =
            format!("run job.toml -q --force -o r.json --configuration {configuration} --checkpoint-dir s3://state/a");
        let tolerable = "--set execution.checkpointing.tolerable-failed-checkpoints";
        let out = with_store(&place, &environment, &format!("{job} {tolerable}=2")).ok();
        assert!(out.contains("checkpoint 3 failed: ") && out.contains("checkpoint 4 failed: "), "{out}");
        let result = place.result("r.json");
        let found = checkpoints(measured(&result, configuration));
        let failed: Vec<_> = found.records.iter().filter(|record| record.failure.is_some()).map(|r| r.id).collect();
        assert_eq!(failed, [3, 4]);
        assert!(found.restore.as_ref().unwrap().agrees && found.location.as_ref().unwrap().ends_with("chk-7"));
        let ran = with_store(&place, &environment, &format!("{job} {tolerable}=1"));
        assert_ne!(ran.code, Some(0), "{ran:?}");
        assert!(ran.err.contains("tolerable-failed-checkpoints is 1"), "{ran:?}");
    }
}

/// A claimed checkpoint belongs to the run: its files are named again, and it goes when one of the run's own stands for it.
#[test]
fn a_claimed_checkpoint_is_gone_on_from_in_its_own_folder() {
    let place = place();
    for configuration in ["heap", "rocksdb"] {
        let dir = place.path(&format!("claimed-{configuration}"));
        let files = "--set execution.checkpointing.data-inline-threshold=0b";
        let half = format!("--set run.events=32768 --checkpoint-dir {} {files}", dir.display());
        run(&place, configuration, &half);
        let job = folders(&dir).pop().unwrap();
        let last = job.join("chk-4");
        let whole = run(&place, configuration, "");
        let claim = format!("--set execution.state-recovery.claim-mode=CLAIM --restore-from {}", last.display());
        let kept = format!("--set execution.checkpointing.num-retained=1 {files}");
        let restored = run(&place, configuration, &format!("{claim} {kept}"));
        assert_eq!(digests(&restored), digests(&whole), "{configuration}");
        let records = &checkpoints(&restored).records;
        assert_eq!(records.first().map(|record| record.id), Some(5));
        assert_eq!(records[0].reused_files > 0, configuration == "rocksdb", "{records:?}");
        assert!(!last.exists() && job.join("chk-7/_metadata").exists(), "{:?}", folders(&job));
        let verified = place.statebench(&format!("checkpoint verify {}", job.display())).ok();
        assert!(verified.contains("chk-7: whole") && !verified.contains("belong to no"), "{verified}");
    }
    let both = refused(&place, "--set execution.state-recovery.claim-mode=CLAIM --restore-from nowhere/chk-1");
    assert!(both.err.contains("2 are planned"), "{}", both.err);
    let savepoints = place.path("savepoints");
    run(&place, "heap", &format!("--savepoint {}", savepoints.display()));
    let savepoint = folders(&savepoints).pop().unwrap();
    let claim = "--configuration heap --set execution.state-recovery.claim-mode=CLAIM --restore-from";
    let ran = refused(&place, &format!("{claim} {}", savepoint.display()));
    assert!(ran.err.contains("only a checkpoint can be claimed"), "{}", ran.err);
    let ran = refused(&place, "--set execution.state-recovery.claim-mode=LEGACY --restore-from nowhere/chk-1");
    assert!(ran.err.contains("NO_CLAIM or CLAIM"), "{}", ran.err);
}

/// On a disk that fills up checkpoints fail and say so, the run goes on, and what is retained stays whole. The disk is a small
/// file system in memory, for which the test needs a namespace of mounts; where it gets none it says so and proves nothing.
#[test]
fn a_full_disk_fails_checkpoints_and_harms_none_that_is_retained() {
    let place = place();
    let disk = place.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = format!("mount -t tmpfs -o size=200k tmpfs {}", disk.display());
    let in_namespace = |command: &str| {
        let mut shell = Command::new("unshare");
        shell.args(["-rm", "sh", "-c", &format!("{mount} && {command}")]).current_dir(place.path(""));
        shell.env("TMPDIR", place.path("tmp")).env("RUST_BACKTRACE", "0");
        shell
    };
    if !in_namespace("true").output().is_ok_and(|output| output.status.success()) {
        eprintln!("no namespace of mounts here: a full disk is not tested");
        return;
    }
    let program = env!("CARGO_BIN_EXE_statebench");
    let run = format!(
        "{program} run job.toml -q -o r.json --configuration rocksdb --checkpoint-dir {} \
         --set execution.checkpointing.num-retained=3 --set execution.checkpointing.tolerable-failed-checkpoints=9",
        disk.display()
    );
    let ran = place.finish(in_namespace(&format!("{run} && {program} checkpoint verify {}/*", disk.display())));
    let out = ran.ok();
    assert!(out.contains(" failed: ") && out.contains("no space left"), "{out}");
    assert!(out.contains("chk-1: whole") && !out.contains("belong to no"), "{out}");
    let result = place.result("r.json");
    assert!(checkpoints(measured(&result, "rocksdb")).restore.as_ref().unwrap().agrees);
}
