//! Which options decide how a table file is written.

use super::{OPTIONS, Options};

/// Options that table files depend on, beside whether index and filters are partitioned.
const FILE_FORMAT: [&str; 6] = [
    "state.backend.rocksdb.block.blocksize",
    "state.backend.rocksdb.block.metadata-blocksize",
    "state.backend.rocksdb.use-bloom-filter",
    "state.backend.rocksdb.bloom-filter.bits-per-key",
    "state.backend.rocksdb.compression.per.level",
    "state.backend.rocksdb.compaction.level.target-file-size-base",
];

impl Options {
    /// A text that is equal for two options exactly when they write the same table files.
    pub fn file_format(&self) -> String {
        let partitioned = self.shares_memory() && self.memory_partitioned_index_filters;
        let rows = OPTIONS.iter().filter(|row| FILE_FORMAT.contains(&row.key)).map(|row| row.get(self));
        rows.chain([partitioned.to_string()]).collect::<Vec<_>>().join("|")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_does_not_change_a_file_and_blocks_do() {
        let same = |key: &str, value: &str| {
            let mut options = Options::default();
            options.set(&format!("state.backend.rocksdb.{key}"), value).unwrap();
            options.file_format() == Options::default().file_format()
        };
        assert!(same("memory.fixed-per-slot", "64mb") && same("writebuffer.size", "8mb") && same("files.open", "10"));
        assert!(!same("block.blocksize", "8kb") && !same("compression.per.level", "NO_COMPRESSION"));
        assert!(!same("memory.partitioned-index-filters", "true"));
        assert!(FILE_FORMAT.iter().all(|key| OPTIONS.iter().any(|row| row.key == *key)));
    }
}
