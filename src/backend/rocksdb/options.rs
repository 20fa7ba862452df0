//! From Flink's options to RocksDB's: what `RocksDBResourceContainer` and `RocksDBMemoryControllerUtils` do.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ChecksumType, DBCompactionStyle, DBCompressionType,
    DataBlockIndexType, Options as DbOptions,
};

use super::{SharedMemory, storage};
use crate::state::StateResult;
use crate::workload::{CompactionStyle, Compression, LogLevel, Options, ROCKSDB_LEVELS};

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
pub fn db_options(options: &Options, memory: Option<&SharedMemory>) -> StateResult<DbOptions> {
    let mut db = DbOptions::default().get_options_from_string(PINNED).map_err(storage)?;
    db.create_if_missing(true);
    db.set_use_fsync(false);
    db.set_max_background_jobs(i32::from(options.thread_num));
    db.set_max_open_files(options.files_open);
    db.set_log_level(log_level(options.log_level));
    db.set_max_log_file_size(options.log_max_file_size.0 as usize);
    db.set_keep_log_file_num(usize::from(options.log_file_num));
    if let Some(folder) = &options.log_dir.0 {
        db.set_db_log_dir(&folder.0);
    }

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
    db.set_block_based_table_factory(&table_options(options));
    if let Some(memory) = memory {
        memory.apply(&mut db)?;
    }
    Ok(db)
}

/// The table options, with a cache of their own where memory is not shared; a pool puts its cache in later.
fn table_options(options: &Options) -> BlockBasedOptions {
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
    if !options.shares_memory() {
        table.set_block_cache(&Cache::new_lru_cache(options.block_cache_size.0 as usize));
        table.set_cache_index_and_filter_blocks(false);
        return table;
    }
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
