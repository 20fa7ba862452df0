//! What RocksDB's background threads do, heard by an event listener. The crate has none, so the C API is called; the only
//! place that does.

use std::ffi::{c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use librocksdb_sys as ffi;
use rocksdb::{AsRawPtr, Options as DbOptions};

use crate::backend::episodes::StoreEvents;
use crate::result::EpisodeKind;

/// The listener of a database that is about to be opened with these options.
pub(super) fn listen(options: &mut DbOptions) -> Arc<StoreEvents> {
    let events = Arc::<StoreEvents>::default();
    let state = Arc::into_raw(Arc::clone(&events)).cast_mut().cast::<c_void>();
    // SAFETY: all callbacks are given; the options own the listener, and RocksDB calls `forget` once when the last of
    // them is gone, which drops the reference that `state` is. The callbacks take nothing from it but a shared borrow.
    unsafe {
        let listener = ffi::rocksdb_eventlistener_create(
            state,
            Some(forget),
            Some(flush_began),
            Some(flush_ended),
            Some(compaction_began),
            Some(compaction_ended),
            Some(subcompaction),
            Some(subcompaction),
            Some(file_ingested),
            Some(background_error),
            Some(stall_changed),
            Some(memtable_sealed),
        );
        ffi::rocksdb_options_add_eventlistener(options.as_raw_ptr(), listener);
    }
    events
}

/// A text of RocksDB's, which is not ended by NUL.
///
/// # Safety
/// `text` points to `length` bytes, or is null.
unsafe fn text(text: *const c_char, length: usize) -> Vec<u8> {
    if text.is_null() {
        return Vec::new();
    }
    // SAFETY: promised by the caller.
    unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) }.to_vec()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// # Safety
/// `state` is what [`listen`] gave to RocksDB, not yet forgotten.
unsafe fn events<'a>(state: *mut c_void) -> &'a StoreEvents {
    // SAFETY: promised by the caller.
    unsafe { &*state.cast_const().cast::<StoreEvents>() }
}

unsafe extern "C" fn forget(state: *mut c_void) {
    // SAFETY: called once, with what `Arc::into_raw` gave.
    drop(unsafe { Arc::from_raw(state.cast_const().cast::<StoreEvents>()) });
}

/// The job and the column family of a flush.
///
/// # Safety
/// `info` is alive.
unsafe fn of_flush(info: *const ffi::rocksdb_flushjobinfo_t) -> (c_int, String) {
    let mut length = 0;
    // SAFETY: promised by the caller; RocksDB tells the length of the text that it points to.
    unsafe {
        let name = ffi::rocksdb_flushjobinfo_cf_name(info, &raw mut length);
        (ffi::rocksdb_flushjobinfo_job_id(info), lossy(&text(name, length)))
    }
}

unsafe extern "C" fn flush_began(state: *mut c_void, _: *mut ffi::rocksdb_t, info: *const ffi::rocksdb_flushjobinfo_t) {
    // SAFETY: RocksDB hands over its state and a live description.
    let (events, (job, family)) = unsafe { (events(state), of_flush(info)) };
    events.began(EpisodeKind::Flush, job, family);
}

unsafe extern "C" fn flush_ended(state: *mut c_void, _: *mut ffi::rocksdb_t, info: *const ffi::rocksdb_flushjobinfo_t) {
    let mut length = 0;
    // SAFETY: RocksDB hands over its state and a live description.
    let (events, (job, family), path) = unsafe {
        let path = ffi::rocksdb_flushjobinfo_file_path(info, &raw mut length);
        (events(state), of_flush(info), text(path, length))
    };
    let file = Path::new(std::ffi::OsStr::from_bytes(&path)).metadata();
    let detail = family.clone();
    events.ended(EpisodeKind::Flush, job, &family, file.ok().map(|file| file.len()), detail);
}

/// The job and the column family of a compaction.
///
/// # Safety
/// `info` is alive.
unsafe fn of_compaction(info: *const ffi::rocksdb_compactionjobinfo_t) -> (c_int, String) {
    let mut length = 0;
    // SAFETY: promised by the caller; RocksDB tells the length of the text that it points to.
    unsafe {
        let name = ffi::rocksdb_compactionjobinfo_cf_name(info, &raw mut length);
        (ffi::rocksdb_compactionjobinfo_job_id(info), lossy(&text(name, length)))
    }
}

unsafe extern "C" fn compaction_began(
    state: *mut c_void,
    _: *mut ffi::rocksdb_t,
    info: *const ffi::rocksdb_compactionjobinfo_t,
) {
    // SAFETY: RocksDB hands over its state and a live description.
    let (events, (job, family)) = unsafe { (events(state), of_compaction(info)) };
    events.began(EpisodeKind::Compaction, job, family);
}

unsafe extern "C" fn compaction_ended(
    state: *mut c_void,
    _: *mut ffi::rocksdb_t,
    info: *const ffi::rocksdb_compactionjobinfo_t,
) {
    // SAFETY: RocksDB hands over its state and a live description.
    let (events, (job, family), from, to, bytes) = unsafe {
        (
            events(state),
            of_compaction(info),
            ffi::rocksdb_compactionjobinfo_base_input_level(info),
            ffi::rocksdb_compactionjobinfo_output_level(info),
            ffi::rocksdb_compactionjobinfo_total_output_bytes(info),
        )
    };
    let detail = format!("{family}, level {from} to {to}");
    events.ended(EpisodeKind::Compaction, job, &family, Some(bytes), detail);
}

/// The conditions of RocksDB's `WriteStallCondition`, in its order.
fn stall_of(condition: c_int) -> Option<EpisodeKind> {
    match condition {
        0 => Some(EpisodeKind::Delayed),
        1 => Some(EpisodeKind::Stopped),
        _ => None,
    }
}

unsafe extern "C" fn stall_changed(state: *mut c_void, info: *const ffi::rocksdb_writestallinfo_t) {
    let mut length = 0;
    // SAFETY: RocksDB hands over its state and a live description; a condition is a pointer to a C++ enumeration, an int.
    let (events, family, before, now) = unsafe {
        let name = ffi::rocksdb_writestallinfo_cf_name(info, &raw mut length);
        (
            events(state),
            lossy(&text(name, length)),
            *ffi::rocksdb_writestallinfo_prev(info).cast::<c_int>(),
            *ffi::rocksdb_writestallinfo_cur(info).cast::<c_int>(),
        )
    };
    if let Some(kind) = stall_of(before) {
        events.ended(kind, 0, &family, None, family.clone());
    }
    if let Some(kind) = stall_of(now) {
        events.began(kind, 0, family);
    }
}

unsafe extern "C" fn subcompaction(_: *mut c_void, _: *const ffi::rocksdb_subcompactionjobinfo_t) {}

unsafe extern "C" fn file_ingested(
    _: *mut c_void,
    _: *mut ffi::rocksdb_t,
    _: *const ffi::rocksdb_externalfileingestioninfo_t,
) {
}

unsafe extern "C" fn background_error(_: *mut c_void, _: u32, _: *mut ffi::rocksdb_status_ptr_t) {}

unsafe extern "C" fn memtable_sealed(_: *mut c_void, _: *const ffi::rocksdb_memtableinfo_t) {}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::backend::StoreEpisode;
    use crate::measure::Condition;

    #[test]
    fn flushes_and_compactions_are_heard_with_what_they_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = DbOptions::default();
        options.create_if_missing(true);
        options.set_level_compaction_dynamic_level_bytes(false);
        let events = listen(&mut options);
        let db = rocksdb::DB::open(&options, folder.path()).unwrap();
        for file in 0..2_u8 {
            for key in 0..100_u8 {
                db.put([key], [file; 100]).unwrap();
            }
            db.flush().unwrap();
        }
        db.compact_range(None::<&[u8]>, None::<&[u8]>);
        let of_kind = |kind, all: &[StoreEpisode]| all.iter().filter(|episode| episode.kind == kind).count();
        // A flush is told to be complete a moment after the caller of it goes on.
        let (mut heard, begin) = (Vec::new(), Instant::now());
        while (of_kind(EpisodeKind::Flush, &heard) < 2 || of_kind(EpisodeKind::Compaction, &heard) < 1)
            && begin.elapsed().as_secs() < 30
        {
            heard.extend(events.take().0.into_iter().filter(|episode| episode.bytes.is_some()));
        }
        assert_eq!(of_kind(EpisodeKind::Flush, &heard), 2);
        let compaction = heard.iter().find(|episode| episode.kind == EpisodeKind::Compaction).unwrap();
        assert_eq!(compaction.detail, "default, level 0 to 1");
        assert!(heard.iter().all(|episode| episode.bytes.unwrap() > 100 && episode.begin <= episode.end));
        assert!(events.conditions().look().contains(Condition::Flush), "seen once though they are over");
        drop(db);
        drop(options);
        assert_eq!(Arc::strong_count(&events), 1, "RocksDB has let go of the listener");
    }
}
