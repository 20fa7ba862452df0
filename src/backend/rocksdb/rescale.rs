//! A restore at another parallelism, from the files of old databases: Flink's `RocksDBIncrementalRestoreOperation` where the
//! key groups of a subtask are not those of one old subtask.
//!
//! One of the old databases is the base. The new one is opened on its files, and a range deletion in each column family
//! hides the key groups that are no longer in it: no file gets smaller, and no entry is read. What the others hold is read
//! and put, entry by entry. Where [`import_families`](super::import_families) could move files of several into the new one,
//! they all have the base's part.

use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;

use rocksdb::{
    BottommostLevelCompaction, ColumnFamilyDescriptor, CompactOptions, DB, DEFAULT_COLUMN_FAMILY_NAME, ReadOptions,
};

use super::batch::Batch;
use super::family::Family;
use super::{RocksDbBackend, db_options, storage};
use crate::backend::OldState;
use crate::state::{Key, StateError, StateResult};

/// Chooses which old database the new one is opened on, by its position: that with most key groups of the new range, of two
/// with as many that with the larger part of its own, else the first. None of which less than `threshold` (a share of its
/// own key groups, 0 to 1) is in the new range; Flink's `state.backend.rocksdb.restore-overlap-fraction-threshold`.
pub fn choose_base(old: &[OldState], new: &Range<u16>, threshold: f64) -> Option<usize> {
    let score = |state: &OldState| {
        let shared = common(&state.key_groups, new).len();
        (shared, shared as f64 / state.key_groups.len() as f64)
    };
    let scores = old.iter().map(score).enumerate();
    let may_be_base = scores.filter(|(_, (shared, fraction))| *shared > 0 && *fraction >= threshold);
    may_be_base.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(position, _)| position)
}

/// The key groups that are in both ranges.
fn common(a: &Range<u16>, b: &Range<u16>) -> Range<u16> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// What is left of a range below and above another.
fn outside(all: &Range<u16>, kept: &Range<u16>) -> [Range<u16>; 2] {
    [all.start..kept.start.clamp(all.start, all.end), kept.end.clamp(all.start, all.end)..all.end]
}

/// The keys of some key groups: from the prefix of the first to that of the first behind them.
pub(super) fn keys_of(key_groups: &Range<u16>, prefix_bytes: usize) -> [Vec<u8>; 2] {
    [key_groups.start, key_groups.end].map(|group| group.to_be_bytes()[2 - prefix_bytes..].to_vec())
}

impl<K: Key> RocksDbBackend<K> {
    /// Takes in the state of old subtasks, when the operator has registered its states and before the first access. The
    /// backend was opened on a copy of the folder of the one in `opened` (of which other new subtasks may have copies too), or
    /// on the database that [`import_families`](crate::backend::import_families) has made of those in it, or on nothing.
    /// Only own key groups are taken. Column families without a state are kept, as Flink keeps them.
    ///
    /// # Errors
    /// A folder cannot be read, timers were saved with another `timer-service.factory`, or a range lies beyond the maximum
    /// parallelism. The backend then holds a part of it.
    pub fn take_in(&mut self, others: &[OldState], opened: &[OldState]) -> StateResult<()> {
        others.iter().chain(opened).try_for_each(|old| self.check_range(old))?;
        let held = opened.iter().map(|old| old.key_groups.clone());
        if let Some(held) = held.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)) {
            self.clip(&held)?;
        }
        others.iter().try_for_each(|old| self.copy_entries(old))?;
        others.iter().chain(opened).try_for_each(|old| self.timers.take_in(&old.folder))?;
        self.timers.reload(&self.db)?;
        if self.options.incremental_restore_async_compact {
            self.compaction = Some(RangeCompaction::start(Arc::clone(&self.db), self.foreign_ranges()?));
        }
        Ok(())
    }

    /// The key groups of this subtask.
    pub(super) fn key_groups(&self) -> Range<u16> {
        self.groups.range_of(self.subtask)
    }

    fn check_range(&self, old: &OldState) -> StateResult<()> {
        let OldState { folder, key_groups } = old;
        let most = self.groups.max_parallelism;
        if key_groups.end > most {
            return Err(StateError::Snapshot(format!(
                "{}: key groups up to {} at a maximum parallelism of {most}",
                folder.display(),
                key_groups.end
            )));
        }
        Ok(())
    }

    /// Names of the column families that the database has, but for the one that nothing is in.
    fn family_names(&self) -> StateResult<Vec<String>> {
        let mut names = DB::list_cf(&self.db_options, self.db.path()).map_err(storage)?;
        names.retain(|name| name != DEFAULT_COLUMN_FAMILY_NAME);
        Ok(names)
    }

    /// Deletes what the files of the base hold outside of the subtask's key groups.
    fn clip(&mut self, held: &Range<u16>) -> StateResult<()> {
        for name in self.family_names()? {
            let family = Family::find(&self.db, &name)?;
            for foreign in outside(held, &self.key_groups()).into_iter().filter(|range| !range.is_empty()) {
                let [from, to] = keys_of(&foreign, self.key.prefix_len());
                if self.options.rescaling_use_delete_files_in_range {
                    // The last key is included, but no key is a prefix alone.
                    self.db.delete_file_in_range_cf(&family, &from, &to).map_err(storage)?;
                }
                self.db.delete_range_cf_opt(&family, from, to, &self.write_options).map_err(storage)?;
            }
        }
        Ok(())
    }

    /// What is to be compacted so that no file holds a key outside of the subtask's key groups: for each column family that
    /// has such files, all below the first key group or all behind the last.
    fn foreign_ranges(&self) -> StateResult<Vec<ForeignRange>> {
        let [first, end] = keys_of(&self.key_groups(), self.key.prefix_len());
        let files = self.db.live_files().map_err(storage)?;
        let mut ranges = Vec::new();
        for name in self.family_names()? {
            let family = Family::find(&self.db, &name)?;
            let files = || files.iter().filter(|file| file.column_family_name == name);
            if files().any(|file| file.start_key.as_ref().is_some_and(|key| *key < first)) {
                ranges.push(ForeignRange { family, from: None, to: Some(first.clone()) });
            }
            if files().any(|file| file.end_key.as_ref().is_some_and(|key| *key >= end)) {
                ranges.push(ForeignRange { family, from: Some(end.clone()), to: None });
            }
        }
        Ok(ranges)
    }

    /// Opens an old database and puts what it holds of the subtask's key groups into this one.
    fn copy_entries(&mut self, old: &OldState) -> StateResult<()> {
        let wanted = common(&old.key_groups, &self.key_groups());
        if wanted.is_empty() {
            return Ok(());
        }
        // Not the options of this database, whose Statistics are its own.
        let options = db_options(&self.options, self.memory.as_deref())?;
        let names = DB::list_cf(&options, &old.folder).map_err(storage)?;
        let descriptors = names.iter().map(|name| ColumnFamilyDescriptor::new(name, options.clone()));
        let temporary =
            DB::open_cf_descriptors_read_only(&options, &old.folder, descriptors, false).map_err(storage)?;
        let mut batch = Batch::new(&self.options);
        for name in names.iter().filter(|name| *name != DEFAULT_COLUMN_FAMILY_NAME) {
            self.timers.check_family(name)?;
            let source = Family::find(&temporary, name)?;
            let [from, to] = keys_of(&wanted, self.key.prefix_len());
            let mut read = ReadOptions::default();
            read.set_iterate_upper_bound(to);
            let mut entries = temporary.raw_iterator_cf_opt(&source, read);
            entries.seek(from);
            let target = self.family_or_new(name)?;
            while let Some((key, value)) = entries.item() {
                batch.put(target, key, value, &self.db)?;
                entries.next();
            }
            entries.status().map_err(storage)?;
        }
        batch.flush(&self.db)
    }
}

/// Keys of a column family from one on, or up to one.
struct ForeignRange {
    family: Family,
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
}

/// The compaction that removes what is clipped, on a thread of its own:
/// `state.backend.rocksdb.incremental-restore-async-compact-after-rescale`.
pub(super) struct RangeCompaction {
    db: Arc<DB>,
    /// None when it has been waited for.
    thread: Option<JoinHandle<()>>,
}

impl RangeCompaction {
    fn start(db: Arc<DB>, ranges: Vec<ForeignRange>) -> Self {
        let compacted = Arc::clone(&db);
        let compact = move || {
            let mut options = CompactOptions::default();
            options.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
            for ForeignRange { family, from, to } in ranges {
                compacted.compact_range_cf_opt(&family, from, to, &options);
            }
        };
        Self { db, thread: Some(std::thread::spawn(compact)) }
    }

    /// Waits until it is done.
    pub fn wait(mut self) {
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for RangeCompaction {
    /// The backend goes away before it is done.
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.db.cancel_all_background_work(false);
            // A panic has been printed; here another would end the process.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::OpenMode;
    use super::*;
    use crate::backend::Prefill;
    use crate::state::{KeyGroups, KeyedStateBackend, StateTtls, VoidNamespace};
    use crate::workload::Options;
    use std::path::PathBuf;

    fn old(ranges: &[(u16, u16)]) -> Vec<OldState> {
        let state = |&(start, end): &(u16, u16)| OldState { folder: PathBuf::new(), key_groups: start..end };
        ranges.iter().map(state).collect()
    }

    #[test]
    fn the_base_has_most_of_the_new_key_groups() {
        let halves = old(&[(0, 64), (64, 128)]);
        assert_eq!(choose_base(&halves, &(0..43), 0.0), Some(0));
        assert_eq!(choose_base(&halves, &(43..86), 0.0), Some(1), "22 of 64 against 21");
        assert_eq!(choose_base(&halves, &(32..96), 0.0), Some(0), "the first of two that are as good");
        let uneven = old(&[(0, 40), (40, 60), (60, 128)]);
        assert_eq!(
            choose_base(&uneven, &(30..50), 0.0),
            Some(1),
            "10 each: half of the second, a quarter of the first"
        );
        assert_eq!(choose_base(&uneven, &(0..128), 0.0), Some(2));
        assert_eq!(choose_base(&uneven, &(128..200), 0.0), None, "nothing in common");
        assert_eq!(choose_base(&old(&[(5, 5)]), &(0..9), 0.0), None);
        assert_eq!(choose_base(&[], &(0..9), 0.0), None);
    }

    #[test]
    fn a_database_with_too_small_a_part_in_the_range_is_no_base() {
        let states = old(&[(0, 100), (100, 110)]);
        for (threshold, base) in [(0.0, Some(0)), (0.5, Some(0)), (0.51, Some(1)), (1.0, Some(1))] {
            assert_eq!(choose_base(&states, &(50..110), threshold), base, "{threshold}");
        }
        assert_eq!(choose_base(&old(&[(0, 128)]), &(0..64), 0.6), None);
        assert_eq!(choose_base(&old(&[(0, 64)]), &(0..128), 1.0), Some(0));
    }

    #[test]
    fn what_is_outside_of_a_range_lies_on_both_sides_or_on_one() {
        assert_eq!(outside(&(10..20), &(12..15)), [10..12, 15..20]);
        assert_eq!(outside(&(10..20), &(0..15)), [10..10, 15..20]);
        assert_eq!(outside(&(10..20), &(5..30)), [10..10, 20..20]);
        assert_eq!(outside(&(10..20), &(30..40)), [10..20, 20..20]);
    }

    fn open(folder: &Path, groups: (KeyGroups, u16), settings: &[(&str, &str)]) -> RocksDbBackend<i64> {
        let mut options = Options::default();
        for (key, value) in settings {
            options.set(&format!("state.backend.rocksdb.{key}"), value).unwrap();
        }
        RocksDbBackend::open(folder, &options, groups, None, OpenMode::default(), StateTtls::new()).unwrap()
    }

    const WHOLE: (KeyGroups, u16) = (KeyGroups { max_parallelism: 128, parallelism: 1 }, 0);
    const SECOND_HALF: (KeyGroups, u16) = (KeyGroups { max_parallelism: 128, parallelism: 2 }, 1);

    /// A state of many small table files, saved; the base of what is opened on it.
    fn saved(folder: &Path, settings: &[(&str, &str)]) -> OldState {
        let small_files = [("compaction.level.target-file-size-base", "16kb")];
        let mut backend = open(&folder.join("old"), WHOLE, &[settings, &small_files].concat());
        let state = backend.value_state::<VoidNamespace, i64>("v").unwrap();
        for key in 0..20_000 {
            backend.set_current_key(&key);
            backend.update(state, &VoidNamespace, key).unwrap();
        }
        backend.compact().unwrap();
        let folder = folder.join("saved");
        backend.save_prefill(&folder).unwrap();
        OldState { folder, key_groups: 0..128 }
    }

    #[test]
    fn whole_files_are_deleted_first_only_where_that_is_wanted() {
        let bytes_left = |delete_files: &str| {
            let folder = crate::backend::test_folder();
            let base = saved(folder.path(), &[]);
            let setting = ("rescaling.use-delete-files-in-range", delete_files);
            let mut backend = open(&base.folder, SECOND_HALF, &[setting]);
            let before = table_bytes(&backend);
            backend.value_state::<VoidNamespace, i64>("v").unwrap();
            backend.take_in(&[], std::slice::from_ref(&base)).unwrap();
            assert!((9_000..11_000).contains(&backend.state_digest().unwrap().count));
            table_bytes(&backend) as f64 / before as f64
        };
        assert!((bytes_left("false") - 1.0).abs() < f64::EPSILON, "a range deletion removes no file");
        let left = bytes_left("true");
        assert!((0.5..0.75).contains(&left), "{left}");
    }

    #[test]
    fn a_compaction_after_the_rescale_leaves_no_foreign_keys_in_files() {
        let foreign = |compact: &str| {
            let folder = crate::backend::test_folder();
            let base = saved(folder.path(), &[]);
            let half = (KeyGroups { max_parallelism: 128, parallelism: 3 }, 1);
            let mut backend = open(&base.folder, half, &[("incremental-restore-async-compact-after-rescale", compact)]);
            let state = backend.value_state::<VoidNamespace, i64>("v").unwrap();
            backend.take_in(&[], std::slice::from_ref(&base)).unwrap();
            let owned = (0..20_000).find(|key: &i64| half.0.subtask_of(half.0.group_of(key.hash_code())) == 1).unwrap();
            backend.set_current_key(&owned);
            backend.update(state, &VoidNamespace, 1).unwrap();
            backend.settle().unwrap();
            let [first, end] = [vec![43], vec![86]];
            let files = backend.db.live_files().unwrap();
            assert!((6_000..7_500).contains(&backend.state_digest().unwrap().count));
            files.iter().filter(|f| f.start_key.as_ref() < Some(&first) || f.end_key.as_ref() >= Some(&end)).count()
        };
        assert!(foreign("false") > 2);
        assert_eq!(foreign("true"), 0);
    }

    #[test]
    fn a_backend_may_be_closed_while_it_is_compacted() {
        let folder = crate::backend::test_folder();
        let base = saved(folder.path(), &[]);
        let setting = ("incremental-restore-async-compact-after-rescale", "true");
        for _ in 0..3 {
            let mut backend = open(&base.folder, SECOND_HALF, &[setting]);
            backend.value_state::<VoidNamespace, i64>("v").unwrap();
            backend.take_in(&[], std::slice::from_ref(&base)).unwrap();
        }
        let mut backend = open(&base.folder, SECOND_HALF, &[]);
        backend.value_state::<VoidNamespace, i64>("v").unwrap();
        backend.take_in(&[], std::slice::from_ref(&base)).unwrap();
        assert!((9_000..11_000).contains(&backend.state_digest().unwrap().count));
    }

    fn table_bytes(backend: &RocksDbBackend<i64>) -> u64 {
        backend.db.live_files().unwrap().iter().map(|file| file.size as u64).sum()
    }

    #[test]
    fn states_that_no_operator_has_come_along() {
        let folder = crate::backend::test_folder();
        let old = saved(folder.path(), &[]);
        let names = |base: bool| {
            let path = if base { old.folder.clone() } else { folder.path().join("new") };
            let mut backend = open(&path, SECOND_HALF, &[]);
            backend.value_state::<VoidNamespace, i64>("other").unwrap();
            let (others, base) = if base { (vec![], Some(&old)) } else { (vec![old.clone()], None) };
            backend.take_in(&others, base.map_or(&[], std::slice::from_ref)).unwrap();
            assert_eq!(backend.state_digest().unwrap().count, 0);
            let state = backend.value_state::<VoidNamespace, i64>("v").unwrap();
            let owned = |key: &i64| SECOND_HALF.0.subtask_of(SECOND_HALF.0.group_of(key.hash_code())) == 1;
            for key in (0..20_000).filter(owned).take(10) {
                backend.set_current_key(&key);
                assert_eq!(backend.value(state, &VoidNamespace).unwrap().as_deref(), Some(&key));
            }
        };
        names(false);
        names(true);
    }

    #[test]
    fn what_cannot_be_taken_in_is_refused() {
        let folder = crate::backend::test_folder();
        let error = |settings: &[(&str, &str)], old: &OldState| {
            let path = crate::backend::test_folder();
            let mut backend = open(path.path(), SECOND_HALF, settings);
            backend.timer_service::<VoidNamespace>("t").unwrap();
            backend.take_in(std::slice::from_ref(old), &[]).unwrap_err().to_string()
        };
        let (heap, stored) = (&[("timer-service.factory", "HEAP")], &[("timer-service.factory", "ROCKSDB")]);
        let save = |name: &str, settings: &[(&str, &str)]| {
            let mut backend = open(&folder.path().join(name), WHOLE, settings);
            backend.timer_service::<VoidNamespace>("t").unwrap();
            let saved = folder.path().join(name.to_owned() + "-saved");
            backend.save_prefill(&saved).unwrap();
            OldState { folder: saved, key_groups: 0..128 }
        };
        let (on_heap, in_database) = (save("heap", heap), save("stored", stored));
        assert!(error(stored, &on_heap).contains("timer-service.factory"));
        assert!(error(heap, &in_database).contains("timer-service.factory"));
        assert!(error(stored, &OldState { key_groups: 0..300, ..in_database }).contains("key groups up to 300"));
        let nowhere = OldState { folder: folder.path().join("nowhere"), key_groups: 0..128 };
        assert!(error(stored, &nowhere).contains("nowhere"));
    }
}
