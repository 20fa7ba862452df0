//! Prefills that several trials start from: made once, copied for each.
//!
//! A copy of a database is a hard link of every table file, which no database ever changes, and a copy of the rest; the heap
//! reads a snapshot. Only prefills that are ingested are shared. One that is put has entries in write buffers, as a job has, which a copy would have to flush;
//! and table files bring their cache keys with them, so that copies meet the shards of a block cache alike, where runs
//! that are compared with a job's must be independent.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::state_parent;
use crate::workload::{BackendType, Cell, Plan, PlannedTrial, PrefillBy};

/// The prefills of a plan that more than one trial starts from.
pub struct Bases {
    /// Trials still to come, by what tells two prefills apart.
    waiting: BTreeMap<String, usize>,
    made: BTreeMap<String, TempDir>,
}

/// What a trial has to do for its prefill.
pub enum Base {
    /// Its own prefill.
    None,
    /// Start from a copy of this folder.
    Copy(PathBuf),
    /// Make it in this folder, which other trials will copy too, then start from a copy.
    Make(PathBuf),
}

impl Bases {
    /// Counts which trials of a plan can share a prefill.
    pub fn of(plan: &Plan) -> Self {
        let mut waiting = BTreeMap::new();
        for trial in plan.trials() {
            if let Some(key) = prefill_key(plan, &trial) {
                *waiting.entry(key).or_insert(0) += 1;
            }
        }
        waiting.retain(|_, trials| *trials > 1);
        Self { waiting, made: BTreeMap::new() }
    }

    /// What the trial has to do. A folder that is to be made is in the same directory as the trial's state.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn before(&mut self, plan: &Plan, trial: &PlannedTrial, state_folder: &Path) -> std::io::Result<Base> {
        let Some(key) = prefill_key(plan, trial).filter(|key| self.waiting.contains_key(key)) else {
            return Ok(Base::None);
        };
        if let Some(folder) = self.made.get(&key) {
            return Ok(Base::Copy(folder.path().to_owned()));
        }
        let parent = state_parent(&plan.cells[trial.cell], state_folder);
        let folder = tempfile::Builder::new().prefix("statebench-prefill-").tempdir_in(parent)?;
        let path = folder.path().to_owned();
        self.made.insert(key, folder);
        Ok(Base::Make(path))
    }

    /// The trial is over: a prefill that no other waits for is removed, and one that was not made whole too.
    pub fn after(&mut self, plan: &Plan, trial: &PlannedTrial) {
        let Some(key) = prefill_key(plan, trial) else { return };
        let subtasks = plan.variants[plan.cells[trial.cell].variant].workload.run.groups.parallelism;
        let whole = |base: &TempDir| was_made(base.path(), subtasks);
        if !self.made.get(&key).is_some_and(whole) {
            self.made.remove(&key);
        }
        if let Some(left) = self.waiting.get_mut(&key) {
            *left -= 1;
            if *left == 0 {
                self.waiting.remove(&key);
                self.made.remove(&key);
            }
        }
    }
}

/// Whether the prefill of every subtask was made in a folder.
pub fn was_made(folder: &Path, subtasks: u16) -> bool {
    (0..subtasks).all(|subtask| folder.join(subtask.to_string()).is_dir())
}

/// What two trials must have in common to start from one prefill; none where there is nothing to share.
pub fn prefill_key(plan: &Plan, trial: &PlannedTrial) -> Option<String> {
    let Cell { variant, configuration } = &plan.cells[trial.cell];
    let variant = &plan.variants[*variant];
    let run = &variant.workload.run;
    let restores = variant.workload.checkpoint.restore_from.is_some();
    if restores || run.prefill_by == PrefillBy::Puts || variant.workload.prefill_keys() == 0 {
        return None;
    }
    let format = match configuration.options.backend {
        // Timers are in the database or beside it.
        BackendType::RocksDb => {
            let options = &configuration.options;
            format!("{} {:?}", options.file_format(), options.timer_service_factory)
        }
        BackendType::HashMap => "heap".to_owned(),
        BackendType::Null => return None,
    };
    let wire = &variant.wire;
    let run = &wire.run;
    let state = serde_json::to_string(&(&wire.keys, &wire.values, &wire.operator)).ok()?;
    let subtasks = (run.seed, run.parallelism, run.max_parallelism, variant.workload.prefill_keys());
    let folder = &configuration.options.localdir;
    Some(format!("{state} {subtasks:?} {folder} {format}"))
}

/// Copies a prefill into a folder, which is made: table files by hard link, the rest byte by byte, since a database
/// changes it. Returns whether every table file could be linked; those that could not are copied too.
///
/// # Errors
/// A file cannot be read or written.
pub fn copy_prefill(from: &Path, to: &Path) -> std::io::Result<bool> {
    std::fs::create_dir_all(to)?;
    let mut linked = true;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            linked &= copy_prefill(&source, &target)?;
        } else if source.extension().is_some_and(|extension| extension == "sst") {
            match std::fs::hard_link(&source, &target) {
                Ok(()) => {}
                // To copy onto a link of the file itself would empty both.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
                Err(_) => {
                    std::fs::copy(&source, &target)?;
                    linked = false;
                }
            }
        } else {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(linked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Document;

    fn plan(text: &str) -> Plan {
        let document = Document::parse(Path::new("job.toml"), text.to_owned()).unwrap();
        Plan::of(document, &[], false).unwrap()
    }

    const SWEEP: &str = "run.repeats = 2\nrun.counters = false\nrun.prefill-by = 'ingest'\n\
        [[configuration]]\nname = 'a'\nstate.backend.type = 'rocksdb'\n\
        [matrix]\n'state.backend.rocksdb.block.blocksize' = ['4kb', '16kb']\n\
        'state.backend.rocksdb.memory.high-prio-pool-ratio' = [0.1, 0.3]\n";

    /// Numbers of trials that share a prefill.
    fn shared(text: &str) -> Vec<usize> {
        Bases::of(&plan(text)).waiting.into_values().collect()
    }

    #[test]
    fn ingested_prefills_are_shared_by_file_format() {
        assert_eq!(shared(SWEEP), [4, 4]);
        assert!(shared(&SWEEP.replace("ingest", "puts")).is_empty());
        assert!(shared(&format!("run.prefill = 0.0\n{SWEEP}")).is_empty());
    }

    #[test]
    fn a_prefill_goes_with_the_last_trial_that_needs_it() {
        let (plan, folder) = (plan(SWEEP), tempfile::tempdir().unwrap());
        let mut bases = Bases::of(&plan);
        let mut made = Vec::new();
        for trial in plan.trials() {
            match bases.before(&plan, &trial, folder.path()).unwrap() {
                Base::Make(path) => {
                    std::fs::create_dir(path.join("0")).unwrap();
                    made.push(path);
                }
                Base::Copy(path) => assert!(made.contains(&path)),
                Base::None => panic!("all are shared"),
            }
            bases.after(&plan, &trial);
        }
        assert_eq!(made.len(), 2);
        assert!(made.iter().all(|path| !path.exists()));
    }

    #[test]
    fn table_files_are_linked_and_the_rest_copied() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir_all(from.join("0")).unwrap();
        std::fs::write(from.join("0/1.sst"), "table").unwrap();
        std::fs::write(from.join("0/CURRENT"), "manifest").unwrap();
        assert!(copy_prefill(&from, &to).unwrap());
        std::fs::write(to.join("0/CURRENT"), "changed").unwrap();
        assert_eq!(std::fs::read_to_string(from.join("0/CURRENT")).unwrap(), "manifest");
        std::fs::remove_file(from.join("0/1.sst")).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("0/1.sst")).unwrap(), "table");
    }

    #[test]
    fn a_copy_onto_itself_is_refused_and_leaves_the_prefill_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir_all(&from).unwrap();
        std::fs::write(from.join("1.sst"), "table").unwrap();
        copy_prefill(&from, &to).unwrap();
        assert_eq!(copy_prefill(&from, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(from.join("1.sst")).unwrap(), "table");
    }

    /// Two file systems cannot share a file, as one without hard links cannot.
    #[cfg(target_os = "linux")]
    #[test]
    fn where_files_cannot_be_linked_they_are_copied_and_that_is_told() {
        use std::os::unix::fs::MetadataExt;
        let (from, to) = (tempfile::tempdir_in("/dev/shm").unwrap(), tempfile::tempdir().unwrap());
        let device = |folder: &TempDir| std::fs::metadata(folder.path()).unwrap().dev();
        if device(&from) == device(&to) {
            return; // TMPDIR lies there too
        }
        std::fs::write(from.path().join("1.sst"), "table").unwrap();
        assert!(!copy_prefill(from.path(), &to.path().join("0")).unwrap());
        assert_eq!(std::fs::read_to_string(to.path().join("0/1.sst")).unwrap(), "table");
    }
}
