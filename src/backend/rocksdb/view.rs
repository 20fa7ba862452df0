//! A snapshot of a database that outlives the borrow of it. The only place where a borrow of the crate is extended.

use std::sync::Arc;

use rocksdb::{DB, DBRawIterator, ReadOptions, Snapshot};

use super::family::Family;

/// A database as it was, to be read on any thread. It keeps the database open.
pub(super) struct View {
    /// Released before `_db` lets go of the database: fields are dropped in this order.
    snapshot: Snapshot<'static>,
    _db: Arc<DB>,
}

impl View {
    /// Of the database as it is now.
    pub fn of(db: &Arc<DB>) -> Self {
        let db = Arc::clone(db);
        let snapshot = db.snapshot();
        // SAFETY: the snapshot borrows what the `Arc` holds, which stays where it is and is neither changed nor dropped
        // as long as the `Arc` beside it lives; that one goes after the snapshot. The lifetime does not get out: what
        // is lent borrows the view.
        let snapshot = unsafe { std::mem::transmute::<Snapshot<'_>, Snapshot<'static>>(snapshot) };
        Self { snapshot, _db: db }
    }

    /// An iterator over a column family, past the block cache.
    pub fn iterator(&self, family: Family) -> DBRawIterator<'_> {
        let mut read = ReadOptions::default();
        read.fill_cache(false);
        self.snapshot.raw_iterator_cf_opt(&family, read)
    }
}
