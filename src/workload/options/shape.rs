//! Which options decide what a prefilled database looks like on disk.

use super::{OPTIONS, Options, Reader};

/// Options that decide how a table file is written: all that counts where files are ingested.
const FILE_FORMAT: [&str; 6] = [
    "state.backend.rocksdb.block.blocksize",
    "state.backend.rocksdb.block.metadata-blocksize",
    "state.backend.rocksdb.use-bloom-filter",
    "state.backend.rocksdb.bloom-filter.bits-per-key",
    "state.backend.rocksdb.compression.per.level",
    "state.backend.rocksdb.compaction.level.target-file-size-base",
];

/// Options of a database that neither files nor their number depend on.
const WITHOUT_SHAPE: [&str; 9] = [
    "state.backend.rocksdb.localdir",
    "state.backend.rocksdb.files.open",
    "state.backend.rocksdb.log.level",
    "state.backend.rocksdb.log.dir",
    "state.backend.rocksdb.log.max-file-size",
    "state.backend.rocksdb.log.file-num",
    "state.backend.rocksdb.block.cache-size",
    "state.backend.rocksdb.write-batch-size",
    "state.backend.rocksdb.predefined-options",
];

impl Options {
    /// A text that is equal for two options exactly when their prefilled databases look alike on disk: their files, and
    /// where they are put by writes (`ingested` false) also which files there are.
    pub fn prefill_shape(&self, ingested: bool) -> String {
        let partitioned = self.shares_memory() && self.memory_partitioned_index_filters;
        let counts = |key: &str, reader: Reader| {
            let of_database = reader == Reader::Database && !WITHOUT_SHAPE.contains(&key);
            FILE_FORMAT.contains(&key) || (!ingested && of_database)
        };
        let rows = OPTIONS.iter().filter(|row| counts(row.key, row.reader)).map(|row| row.get(self));
        let mut parts: Vec<String> = rows.collect();
        parts.push(partitioned.to_string());
        if !ingested {
            // How early write buffers are flushed.
            let pool = self.memory_pool().map(|pool| (pool.scope, pool.bytes));
            parts.push(format!("{pool:?} {}", self.memory_write_buffer_ratio));
        }
        parts.join("|")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_shapes_a_tree_that_is_put_and_not_one_that_is_ingested() {
        let with = |key: &str, value: &str| {
            let mut options = Options::default();
            options.set(key, value).unwrap();
            [true, false].map(|ingested| options.prefill_shape(ingested) == Options::default().prefill_shape(ingested))
        };
        assert_eq!(with("taskmanager.memory.managed.size", "64mb"), [true, false]);
        assert_eq!(with("state.backend.rocksdb.writebuffer.size", "8mb"), [true, false]);
        assert_eq!(with("state.backend.rocksdb.block.blocksize", "8kb"), [false, false]);
        assert_eq!(with("state.backend.rocksdb.memory.partitioned-index-filters", "true"), [false, false]);
        assert_eq!(with("state.backend.rocksdb.memory.high-prio-pool-ratio", "0.5"), [true, true]);
        assert_eq!(with("state.backend.rocksdb.files.open", "10"), [true, true]);
    }

    #[test]
    fn the_names_are_keys_of_the_table() {
        assert!(FILE_FORMAT.iter().chain(&WITHOUT_SHAPE).all(|key| OPTIONS.iter().any(|row| row.key == *key)));
    }
}
