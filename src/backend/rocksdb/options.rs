//! From Flink's options to RocksDB's: what `RocksDBResourceContainer` and `RocksDBMemoryControllerUtils` do.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ChecksumType, DBCompactionStyle, DBCompressionType,
    DataBlockIndexType, Options as DbOptions, WriteBufferManager,
};

use super::storage;
use crate::state::StateResult;
use crate::workload::{CompactionStyle, Compression, LogLevel, Options, ROCKSDB_LEVELS};

/// The block cache and the write-buffer manager that all databases of a slot share.
pub struct SlotMemory {
    cache: Cache,
    write_buffer_manager: WriteBufferManager,
}

impl SlotMemory {
    /// Divides the shared memory of a slot as Flink does; `None` where the options do not share memory.
    ///
    /// With T bytes and write-buffer ratio r: cache = (3 − r)·T / 3, write-buffer manager = 2·T·r / 3, charged to the
    /// cache (`RocksDBMemoryControllerUtils`).
    pub fn new(options: &Options) -> Option<Self> {
        let (cache_bytes, write_buffer_bytes) = divide(options)?;
        let cache = Cache::new_lru_cache(cache_bytes);
        let write_buffer_manager =
            WriteBufferManager::new_write_buffer_manager_with_cache(write_buffer_bytes, false, cache.clone());
        Some(Self { cache, write_buffer_manager })
    }
}

/// Capacities of cache and write-buffer manager, bytes.
fn divide(options: &Options) -> Option<(usize, usize)> {
    let total = options.shared_memory_bytes()? as f64;
    let ratio = options.memory_write_buffer_ratio.0;
    Some((((3.0 - ratio) * total / 3.0) as usize, (2.0 * total * ratio / 3.0) as usize))
}

/// Everything that Flink 2.3 sets or leaves at RocksDB 8.10's default, as its OPTIONS file shows it. Spelled out,
/// because newer versions of RocksDB have other defaults.
const PINNED: &str = "merge_operator=stringappendtest;avoid_flush_during_shutdown=true;stats_dump_period_sec=0;\
    max_subcompactions=1;compaction_readahead_size=2097152;delayed_write_rate=16777216;bytes_per_sync=0;\
    paranoid_checks=true;allow_concurrent_memtable_write=true;num_levels=7;max_bytes_for_level_multiplier=10;\
    target_file_size_multiplier=1;level0_file_num_compaction_trigger=4;level0_slowdown_writes_trigger=20;\
    level0_stop_writes_trigger=36;soft_pending_compaction_bytes_limit=68719476736;\
    hard_pending_compaction_bytes_limit=274877906944;compaction_pri=kMinOverlappingRatio;ttl=2592000;\
    periodic_compaction_seconds=2592000;max_successive_merges=0;optimize_filters_for_hits=false;\
    force_consistency_checks=true;memtable_prefix_bloom_size_ratio=0";

/// RocksDB's options for a database and its column families: what a bare loop needs to be comparable.
///
/// # Errors
/// RocksDB does not know an option.
pub fn db_options(options: &Options, memory: Option<&SlotMemory>) -> StateResult<DbOptions> {
    let mut db = DbOptions::default().get_options_from_string(PINNED).map_err(storage)?;
    db.create_if_missing(true);
    db.set_use_fsync(false);
    db.set_max_background_jobs(i32::from(options.thread_num));
    db.set_max_open_files(options.files_open);
    db.set_log_level(log_level(options.log_level));
    db.set_max_log_file_size(options.log_max_file_size.0 as usize);
    db.set_keep_log_file_num(usize::from(options.log_file_num));

    db.set_write_buffer_size(options.writebuffer_size.0 as usize);
    db.set_max_write_buffer_number(i32::from(options.writebuffer_count));
    db.set_min_write_buffer_number_to_merge(i32::from(options.writebuffer_number_to_merge));
    match options.compaction_style {
        CompactionStyle::Level => db.set_compaction_style(DBCompactionStyle::Level),
        CompactionStyle::Universal => db.set_compaction_style(DBCompactionStyle::Universal),
        CompactionStyle::Fifo => db.set_compaction_style(DBCompactionStyle::Fifo),
        CompactionStyle::None => db.set_disable_auto_compactions(true),
    }
    db.set_level_compaction_dynamic_level_bytes(options.compaction_level_use_dynamic_size);
    db.set_target_file_size_base(options.compaction_level_target_file_size_base.0);
    db.set_max_compaction_bytes(25 * options.compaction_level_target_file_size_base.0);
    db.set_max_bytes_for_level_base(options.compaction_level_max_size_level_base.0);
    let compressions: Vec<_> = options.compression_per_level.0.iter().map(|&c| compression(c)).collect();
    if let [all] = compressions.as_slice() {
        db.set_compression_per_level(&[*all; ROCKSDB_LEVELS]);
    } else {
        db.set_compression_per_level(&compressions);
    }
    db.set_block_based_table_factory(&table_options(options, memory));
    if let Some(memory) = memory {
        db.set_write_buffer_manager(&memory.write_buffer_manager);
    }
    Ok(db)
}

fn table_options(options: &Options, memory: Option<&SlotMemory>) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_format_version(5);
    table.set_checksum_type(ChecksumType::XXH3);
    table.set_block_restart_interval(16);
    table.set_index_block_restart_interval(1);
    table.set_whole_key_filtering(true);
    table.set_optimize_filters_for_memory(false);
    table.set_data_block_index_type(DataBlockIndexType::BinarySearch);
    table.set_index_type(BlockBasedIndexType::BinarySearch);
    table.set_block_size(options.block_size.0 as usize);
    table.set_metadata_block_size(options.block_metadata_size.0 as usize);
    if options.use_bloom_filter {
        table.set_bloom_filter(options.bloom_filter_bits_per_key, false);
    }
    let Some(memory) = memory else {
        table.set_block_cache(&Cache::new_lru_cache(options.block_cache_size.0 as usize));
        table.set_cache_index_and_filter_blocks(false);
        return table;
    };
    table.set_block_cache(&memory.cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_cache_index_and_filter_blocks_with_high_priority(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    if options.memory_partitioned_index_filters {
        table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        table.set_partition_filters(true);
        table.set_pin_top_level_index_and_filter(true);
        if options.use_bloom_filter {
            // Flink overwrites an existing filter by this one, whatever bits-per-key says.
            table.set_bloom_filter(10.0, false);
        }
    }
    table
}

fn compression(compression: Compression) -> DBCompressionType {
    match compression {
        Compression::None => DBCompressionType::None,
        Compression::Snappy => DBCompressionType::Snappy,
        Compression::Lz4 => DBCompressionType::Lz4,
        Compression::Lz4Hc => DBCompressionType::Lz4hc,
        Compression::Zstd => DBCompressionType::Zstd,
    }
}

fn log_level(level: LogLevel) -> rocksdb::LogLevel {
    match level {
        LogLevel::Debug => rocksdb::LogLevel::Debug,
        LogLevel::Info => rocksdb::LogLevel::Info,
        LogLevel::Warn => rocksdb::LogLevel::Warn,
        LogLevel::Error => rocksdb::LogLevel::Error,
        LogLevel::Fatal => rocksdb::LogLevel::Fatal,
        LogLevel::Header => rocksdb::LogLevel::Header,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_is_divided_as_in_flink() {
        let mut options = Options::default();
        assert_eq!(divide(&options), Some((447_392_433, 178_956_973)));
        options.set("taskmanager.memory.managed.size", "1438814063").unwrap();
        assert_eq!(divide(&options), Some((1_199_011_719, 479_604_687)));
        options.set("state.backend.rocksdb.memory.managed", "false").unwrap();
        assert_eq!(divide(&options), None);
    }

    /// What an open database wrote into its OPTIONS file.
    fn read_back(settings: &[(&str, &str)]) -> String {
        let mut options = Options::default();
        settings.iter().for_each(|(key, value)| options.set(key, value).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let memory = SlotMemory::new(&options);
        let db_options = db_options(&options, memory.as_ref()).unwrap();
        drop(rocksdb::DB::open(&db_options, folder.path()).unwrap());
        let file = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let file = file.filter(|path| path.to_string_lossy().contains("OPTIONS-")).max().unwrap();
        std::fs::read_to_string(file).unwrap()
    }

    #[track_caller]
    fn assert_has(file: &str, lines: &[&str]) {
        for line in lines {
            assert!(file.lines().any(|l| l.trim() == *line), "`{line}` is not in\n{file}");
        }
    }

    #[test]
    fn defaults_are_those_of_a_flink_database() {
        assert_has(
            &read_back(&[]),
            &[
                "max_background_jobs=2",
                "max_open_files=-1",
                "compaction_readahead_size=2097152",
                "delayed_write_rate=16777216",
                "avoid_flush_during_shutdown=true",
                "stats_dump_period_sec=0",
                "level_compaction_dynamic_level_bytes=false",
                "write_buffer_size=67108864",
                "max_write_buffer_number=2",
                "max_compaction_bytes=1677721600",
                "periodic_compaction_seconds=2592000",
                "ttl=2592000",
                "format_version=5",
                "checksum=kXXH3",
                "optimize_filters_for_memory=false",
                "cache_index_and_filter_blocks=true",
                "pin_l0_filter_and_index_blocks_in_cache=true",
                "block_size=4096",
                "filter_policy=nullptr",
                "index_type=kBinarySearch",
            ],
        );
        assert!(read_back(&[]).contains("merge_operator={id=StringAppendTESTOperator"));
    }

    #[test]
    fn every_option_takes_effect_in_the_open_database() {
        let prefix = |key: &str| format!("state.backend.rocksdb.{key}");
        let cases = [
            ("thread.num", "3", "max_background_jobs=3"),
            ("files.open", "99", "max_open_files=99"),
            ("log.level", "WARN_LEVEL", "info_log_level=WARN_LEVEL"),
            ("log.max-file-size", "1mb", "max_log_file_size=1048576"),
            ("log.file-num", "7", "keep_log_file_num=7"),
            ("compaction.style", "UNIVERSAL", "compaction_style=kCompactionStyleUniversal"),
            ("compaction.style", "FIFO", "compaction_style=kCompactionStyleFIFO"),
            ("compaction.style", "NONE", "disable_auto_compactions=true"),
            ("compaction.level.use-dynamic-size", "true", "level_compaction_dynamic_level_bytes=true"),
            ("compaction.level.target-file-size-base", "32mb", "target_file_size_base=33554432"),
            ("compaction.level.max-size-level-base", "512mb", "max_bytes_for_level_base=536870912"),
            ("writebuffer.size", "32mb", "write_buffer_size=33554432"),
            ("writebuffer.count", "4", "max_write_buffer_number=4"),
            ("block.blocksize", "16kb", "block_size=16384"),
            ("memory.partitioned-index-filters", "true", "index_type=kTwoLevelIndexSearch"),
            ("block.metadata-blocksize", "8kb", "metadata_block_size=8192"),
            ("memory.managed", "false", "cache_index_and_filter_blocks=false"),
            (
                "compression.per.level",
                "NO_COMPRESSION;LZ4_COMPRESSION;ZSTD_COMPRESSION",
                "compression_per_level=kNoCompression:kLZ4Compression:kZSTD",
            ),
        ];
        for (key, value, line) in cases {
            assert_has(&read_back(&[(&prefix(key), value)]), &[line]);
        }
        let merge = read_back(&[(&prefix("writebuffer.count"), "4"), (&prefix("writebuffer.number-to-merge"), "3")]);
        assert_has(&merge, &["min_write_buffer_number_to_merge=3"]);
    }

    /// Bytes of the bloom filter in a table file of this many keys.
    fn filter_bytes(keys: u32, settings: &[(&str, &str)]) -> u64 {
        let mut options = Options::default();
        settings.iter().for_each(|(key, value)| options.set(key, value).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let memory = SlotMemory::new(&options);
        let db = rocksdb::DB::open(&db_options(&options, memory.as_ref()).unwrap(), folder.path()).unwrap();
        (0..keys).for_each(|key| db.put(key.to_be_bytes(), b"").unwrap());
        db.flush().unwrap();
        let properties = db.property_value("rocksdb.aggregated-table-properties").unwrap().unwrap();
        let filter = properties.split("; ").find_map(|property| property.strip_prefix("filter block size=")).unwrap();
        filter.parse().unwrap()
    }

    /// The OPTIONS file tells that there is a bloom filter, not how large: the table file does.
    #[test]
    fn bloom_bits_take_effect_in_the_table_file() {
        let (on, bits) = ("state.backend.rocksdb.use-bloom-filter", "state.backend.rocksdb.bloom-filter.bits-per-key");
        assert_eq!(filter_bytes(10_000, &[(bits, "20")]), 0, "without use-bloom-filter there is none");
        for bits_per_key in [5_u64, 10, 20] {
            let bytes = filter_bytes(10_000, &[(on, "true"), (bits, &bits_per_key.to_string())]);
            let expected = 10_000 * bits_per_key / 8;
            assert!((expected..=expected * 21 / 20).contains(&bytes), "{bits_per_key} bits: {bytes} bytes");
        }
    }
}
