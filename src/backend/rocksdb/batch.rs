//! Writes that are collected and written together.

use rocksdb::{DB, WriteBatch, WriteOptions};

use super::family::Family;
use super::storage;
use crate::state::StateResult;
use crate::workload::Options;

/// Records at which a batch is written.
const MOST_RECORDS: usize = 500;

/// How everything is written: without a log.
pub(super) fn write_options() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

/// A batch that is written when it is full, by number of records or by size: Flink's `RocksDBWriteBatchWrapper`.
pub(super) struct Batch {
    records: WriteBatch,
    /// Size at which it is full, bytes; 0 for any.
    most_bytes: usize,
    write_options: WriteOptions,
}

impl Batch {
    pub fn new(options: &Options) -> Self {
        let most_bytes = options.write_batch_size.0 as usize;
        Self { records: WriteBatch::default(), most_bytes, write_options: write_options() }
    }

    #[inline]
    pub fn put(&mut self, family: Family, key: &[u8], value: &[u8], db: &DB) -> StateResult<()> {
        self.records.put_cf(&family, key, value);
        self.write_if_full(db)
    }

    #[inline]
    pub fn delete(&mut self, family: Family, key: &[u8], db: &DB) -> StateResult<()> {
        self.records.delete_cf(&family, key);
        self.write_if_full(db)
    }

    #[inline]
    fn write_if_full(&mut self, db: &DB) -> StateResult<()> {
        let is_large = self.most_bytes > 0 && self.records.size_in_bytes() >= self.most_bytes;
        if is_large || self.records.len() >= MOST_RECORDS { self.flush(db) } else { Ok(()) }
    }

    /// Writes what has been collected.
    pub fn flush(&mut self, db: &DB) -> StateResult<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        db.write_opt(std::mem::take(&mut self.records), &self.write_options).map_err(storage)
    }
}
