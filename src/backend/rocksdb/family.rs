//! Column families by a copyable token. The only place where a pointer of the crate is held.

use rocksdb::{AsColumnFamilyRef, ColumnFamily, DB};

use crate::state::{StateError, StateResult};

/// A column family of a database, without the borrow that the crate's own handle carries.
///
/// A handle lives as long as its database keeps the family; the backend shares the database with what it has begun to
/// write, none of them drops a family, and whoever holds a token holds the database too, so it is valid on every access.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Family(*mut librocksdb_sys::rocksdb_column_family_handle_t);

impl Family {
    fn of(family: &ColumnFamily) -> Self {
        Self(family.inner())
    }

    /// The family of this name.
    pub fn find(db: &DB, name: &str) -> StateResult<Self> {
        let family = db.cf_handle(name).map(Self::of);
        family.ok_or_else(|| StateError::Storage(format!("the database has no column family `{name}`")))
    }
}

impl AsColumnFamilyRef for Family {
    fn inner(&self) -> *mut librocksdb_sys::rocksdb_column_family_handle_t {
        self.0
    }
}

// SAFETY: RocksDB's column family handles may be used from any thread; the crate marks its own handle `Send` too.
unsafe impl Send for Family {}
