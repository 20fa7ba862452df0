//! The other way to join old databases: `state.backend.rocksdb.use-ingest-db-restore-mode`. The files of their column
//! families are moved into a new database, so that no entry is read or written. The only place that speaks to `import.cc`.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ops::Range;
use std::path::Path;

use librocksdb_sys as ffi;
use rocksdb::{
    AsColumnFamilyRef, AsRawPtr, ColumnFamilyDescriptor, DB, DEFAULT_COLUMN_FAMILY_NAME, Options as DbOptions,
};

use super::family::Family;
use super::rescale::keys_of;
use super::{SharedMemory, db_options, storage};
use crate::backend::OldState;
use crate::state::{CompositeKey, StateError, StateResult};
use crate::workload::Options;

unsafe extern "C" {
    fn statebench_import_family(
        db: *mut ffi::rocksdb_t,
        options: *const ffi::rocksdb_options_t,
        name: *const c_char,
        exports: *const *mut ffi::rocksdb_export_import_files_metadata_t,
        count: usize,
    ) -> *mut c_char;
}

/// Makes a database in `folder` of the column families of old ones, each in a folder that is the caller's own and is used
/// up. Only databases are taken whose table files have no key outside of the key groups that they are said to have: one that
/// was cut down to them has, until it is compacted. Returns the positions of those that were taken; where there is none, no
/// database is made. The backend is then opened on it.
///
/// # Errors
/// A folder cannot be read or written.
pub fn import_families(
    folder: &Path,
    old: &[OldState],
    max_parallelism: u16,
    (options, memory): (&Options, Option<&SharedMemory>),
) -> StateResult<Vec<usize>> {
    let mut db_options = db_options(options, memory)?;
    // Nothing is to be rewritten on the way.
    db_options.set_disable_auto_compactions(true);
    let (mut taken, mut exports) = (Vec::new(), BTreeMap::<String, Vec<Export>>::new());
    for (state, position) in old.iter().zip(0..) {
        let (db, names) = open_all(&db_options, &state.folder)?;
        if !lies_within(&db, &state.key_groups, max_parallelism)? {
            continue;
        }
        for (name, number) in names.into_iter().zip(0..) {
            // A family without files cannot be imported; it is made anew when its state is registered.
            if has_files(&db, &name)? {
                let export = Export::new(&db, &name, &state.folder.join(format!("export-{number}")))?;
                exports.entry(name).or_default().push(export);
            }
        }
        taken.push(position);
    }
    if !taken.is_empty() {
        let db = DB::open(&db_options, folder).map_err(storage)?;
        exports.iter().try_for_each(|(name, exports)| import(&db, &db_options, name, exports))?;
    }
    Ok(taken)
}

/// Opens a database with all its column families, and returns the names of those that have states.
fn open_all(options: &DbOptions, folder: &Path) -> StateResult<(DB, Vec<String>)> {
    let mut names = DB::list_cf(options, folder).map_err(storage)?;
    let descriptors = names.iter().map(|name| ColumnFamilyDescriptor::new(name, options.clone()));
    let db = DB::open_cf_descriptors(options, folder, descriptors).map_err(storage)?;
    names.retain(|name| name != DEFAULT_COLUMN_FAMILY_NAME);
    Ok((db, names))
}

/// Whether no table file has a key outside of these key groups.
fn lies_within(db: &DB, key_groups: &Range<u16>, max_parallelism: u16) -> StateResult<bool> {
    let [first, end] = keys_of(key_groups, CompositeKey::new(max_parallelism).prefix_len());
    let files = db.live_files().map_err(storage)?;
    let keys = || files.iter().flat_map(|file| [&file.start_key, &file.end_key]).flatten();
    Ok(keys().all(|key| (&first..&end).contains(&key)))
}

fn has_files(db: &DB, name: &str) -> StateResult<bool> {
    Ok(db.live_files().map_err(storage)?.iter().any(|file| file.column_family_name == name))
}

/// The files of a column family, linked into a folder, and what RocksDB knows of them.
struct Export(*mut ffi::rocksdb_export_import_files_metadata_t);

impl Export {
    fn new(db: &DB, name: &str, folder: &Path) -> StateResult<Self> {
        let (family, folder) = (Family::find(db, name)?, c_string(folder.as_os_str().as_encoded_bytes())?);
        let mut error = std::ptr::null_mut();
        // SAFETY: the database is open and the family is its own; the checkpoint object is destroyed once, and what is
        // exported does not refer to it.
        let exported = unsafe {
            let checkpoint = ffi::rocksdb_checkpoint_object_create(db.as_raw_ptr(), &raw mut error);
            if checkpoint.is_null() {
                return Err(failure(error));
            }
            let exported = ffi::rocksdb_checkpoint_export_column_family(
                checkpoint,
                family.inner(),
                folder.as_ptr(),
                &raw mut error,
            );
            ffi::rocksdb_checkpoint_object_destroy(checkpoint);
            exported
        };
        if exported.is_null() { Err(failure(error)) } else { Ok(Self(exported)) }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // SAFETY: made by RocksDB and destroyed once.
        unsafe { ffi::rocksdb_export_import_files_metadata_destroy(self.0) };
    }
}

fn import(db: &DB, options: &DbOptions, name: &str, exports: &[Export]) -> StateResult<()> {
    let name = c_string(name.as_bytes())?;
    let exports: Vec<_> = exports.iter().map(|export| export.0).collect();
    // SAFETY: database, options and exports are alive; the C++ side keeps none of the pointers.
    let error = unsafe {
        statebench_import_family(db.as_raw_ptr(), options.as_raw_ptr(), name.as_ptr(), exports.as_ptr(), exports.len())
    };
    if error.is_null() { Ok(()) } else { Err(failure(error)) }
}

fn c_string(bytes: &[u8]) -> StateResult<CString> {
    CString::new(bytes).map_err(|_| StateError::Storage("a name or a path has a zero byte in it".to_owned()))
}

/// What RocksDB says has gone wrong; its text is freed.
fn failure(text: *mut c_char) -> StateError {
    if text.is_null() {
        return StateError::Storage("RocksDB failed without a word".to_owned());
    }
    // SAFETY: a text that RocksDB has allocated and ended with NUL, freed once.
    let message = unsafe {
        let message = CStr::from_ptr(text).to_string_lossy().into_owned();
        ffi::rocksdb_free(text.cast());
        message
    };
    StateError::Storage(message)
}

#[cfg(test)]
mod tests {
    use super::super::OpenMode;
    use super::*;
    use crate::backend::{Prefill, RocksDbBackend};
    use crate::state::{KeyGroups, KeyedStateBackend, StateTtls, VoidNamespace};

    /// The state of one value in key group 29 of 128, saved.
    fn saved(folder: &Path, key_groups: Range<u16>) -> OldState {
        let place = (KeyGroups { max_parallelism: 128, parallelism: 1 }, 0);
        let run = folder.join("run");
        let mut backend =
            RocksDbBackend::<i64>::open(&run, &Options::default(), place, None, OpenMode::default(), StateTtls::new())
                .unwrap();
        let state = backend.value_state::<VoidNamespace, i64>("v").unwrap();
        backend.value_state::<VoidNamespace, i64>("empty").unwrap();
        backend.set_current_key(&42);
        backend.update(state, &VoidNamespace, 1).unwrap();
        let saved = folder.join("saved");
        backend.save_prefill(&saved).unwrap();
        OldState { folder: saved, key_groups }
    }

    #[test]
    fn a_database_with_foreign_keys_is_not_taken() {
        let taken = |key_groups| {
            let folder = tempfile::tempdir().unwrap();
            let old = [saved(folder.path(), key_groups)];
            let new = folder.path().join("new");
            let taken = import_families(&new, &old, 128, (&Options::default(), None)).unwrap();
            assert_eq!(new.exists(), !taken.is_empty());
            taken
        };
        assert_eq!(taken(0..128), [0]);
        assert_eq!(taken(29..30), [0]);
        for foreign in [0..29, 30..128] {
            assert!(taken(foreign).is_empty());
        }
    }

    #[test]
    fn what_cannot_be_imported_is_an_error() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let old = folders.each_ref().map(|folder| saved(folder.path(), 0..128));
        let import = |old: &[OldState]| {
            let folder = tempfile::tempdir().unwrap();
            import_families(&folder.path().join("new"), old, 128, (&Options::default(), None)).unwrap_err().to_string()
        };
        assert!(import(&old).contains("overlapping"), "two databases of one range");
        let nowhere = OldState { folder: folders[0].path().join("nowhere"), key_groups: 0..128 };
        assert!(import(&[nowhere]).contains("nowhere"));
    }
}
