//! Where the environment fails: exit code 3.

use std::path::PathBuf;
use std::process::Command;

use insta::assert_snapshot;
use statebench::result::Outcome;

use super::{Place, measured, trial};

#[test]
fn a_state_folder_that_cannot_be_written_is_told_before_anything_runs() {
    let place = Place::with_job();
    place.file("file", "");
    let failure = |args: &str| {
        let ran = place.statebench(&format!("run --quick job.toml {args}"));
        assert_eq!((ran.code, ran.out.as_str(), place.results()), (Some(3), "", vec![]), "{args}");
        ran.err
    };
    assert_snapshot!(failure("--state-dir none"), @"error: none: cannot write state there: No such file or directory (os error 2)");
    assert_snapshot!(failure("--state-dir file/below"), @"error: file/below: cannot write state there: Not a directory (os error 20)");
    assert_snapshot!(failure("--set state.backend.rocksdb.localdir=none"), @"error: none: cannot write state there: No such file or directory (os error 2)");
}

#[test]
fn a_result_that_cannot_be_written_is_told_before_anything_runs() {
    let place = Place::with_job();
    std::fs::create_dir(place.path("folder")).unwrap();
    let ran = place.statebench("run --quick job.toml -o none/r.json");
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert_snapshot!(ran.err, @"error: none/r.json: cannot write the result: No such file or directory (os error 2)");
    let ran = place.statebench("run --quick job.toml --force -o folder");
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert_snapshot!(ran.err, @"error: folder: cannot write the result: Is a directory (os error 21)");
}

#[test]
fn what_cannot_fit_is_not_run() {
    let place = Place::with_job();
    let ran = place.statebench("run job.toml --set keys.cardinality=1000000000000");
    assert_eq!((ran.code, ran.out.as_str(), place.results()), (Some(3), "", vec![]));
    assert!(ran.err.starts_with("error: rocksdb: needs about 33528 gb of disk (modelled), "), "{}", ran.err);
}

/// A file system of a few megabytes.
#[cfg(target_os = "linux")]
struct SmallDisk(PathBuf);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(folder: PathBuf) -> Option<Self> {
        std::fs::create_dir(&folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&folder).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then_some(Self(folder))
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_fails_the_trials_that_need_it() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount(place.path("disk")) else {
        eprintln!("skipped: this user cannot mount a file system");
        return;
    };
    // How much state a trace leaves cannot be told before it runs. It is more than write buffers hold while a flush lags.
    let rows: Vec<_> = (0..9_000).map(|row| format!("{row},{}", row % 10)).collect();
    place.file("t.csv", format!("at,key\n{}\n", rows.join("\n")));
    place.file(
        "job.toml",
        "source.trace = { path = 't.csv', time = 'at', key = 'key' }\n\
         operator.list-buffer.clear-every = 1000\n\
         values.size = '20 kb'\n\
         run.repeats = 2\n\
         run.counters = false\n\
         [[configuration]]\nname = 'heap'\nstate.backend.type = 'hashmap'\n\
         [[configuration]]\nname = 'rocksdb'\nstate.backend.type = 'rocksdb'\n\
         state.backend.rocksdb.memory.fixed-per-slot = '2mb'\n",
    );
    let ran = place.statebench("run job.toml --state-dir disk");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("error: rocksdb: ") && ran.err.contains("No space left on device"), "{ran:?}");
    assert!(ran.out.contains("0 (2 failed)"), "{ran:?}");
    let result = place.result("job.result.json");
    assert_eq!((result.trials.len(), result.finished().count()), (4, 2), "the others go on");
    assert!(matches!(trial(&result, "rocksdb").outcome, Outcome::Failed { environment: true, .. }));
    assert_eq!(measured(&result, "heap").events, 9_000);
    assert_eq!(std::fs::read_dir(&disk.0).unwrap().count(), 0, "the state of failed trials is removed");
}
