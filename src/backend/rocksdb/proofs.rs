//! Every option is read back from an open store: from the OPTIONS file that RocksDB writes, from properties, from table
//! files, from the cache's own words. Setters are not believed.
//!
//! The table in `reports/options.md` is made from the same proofs. `UPDATE_REPORTS=1 cargo test options_report` writes it
//! anew.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rocksdb::compaction_filter::{CompactionFilter, Decision as CompactionDecision};
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};

use super::filter::TtlFilterFactory;
use super::{OpenMode, RocksDbBackend, SharedMemory};
use crate::backend::{Observed, Prefill};
use crate::state::{
    CleanupStrategies, CompactionFilterCleanup, KeyGroups, KeyedStateBackend, ListState, MapState, Payload, StateTtl,
    StateTtls, StateVisibility, TimeDomain, Timed, UpdateType, ValueState, VoidNamespace,
};
use crate::workload::{JobShape, OPTIONS, OptionRow, Options, Reader, native_metrics};

const GROUPS: KeyGroups = KeyGroups { max_parallelism: 128, parallelism: 1 };
const ROCKSDB: (&str, &str) = ("state.backend.type", "rocksdb");

/// How an option is read back.
enum Proof {
    /// A line of the OPTIONS file of an open database.
    File(&'static str),
    /// A figure of an open store that must be this.
    Figure(&'static str, fn(&Store) -> u64, u64),
    /// The size of the filter blocks for 10,000 keys must be near this.
    FilterBytes(u64),
    /// The Java heap of a TaskManager with the heap backend must be this, bytes.
    HeapLimit(u64),
    /// Something else that this function looks at.
    Looked(&'static str, fn(&Store) -> bool),
}

/// One proof: an option, a value other than its default, what must be set beside it, and what shows it.
struct Row(&'static str, &'static str, &'static [(&'static str, &'static str)], Proof);

const UNMANAGED: &[(&str, &str)] = &[("state.backend.rocksdb.memory.managed", "false")];
const SMALL: &[(&str, &str)] = &[("taskmanager.memory.managed.size", "120mb")];
const PARTITIONED: &[(&str, &str)] = &[("state.backend.rocksdb.memory.partitioned-index-filters", "true")];
const BLOOM: &[(&str, &str)] = &[("state.backend.rocksdb.use-bloom-filter", "true")];
const BUFFERS: &[(&str, &str)] = &[("state.backend.rocksdb.writebuffer.count", "4")];

fn pool_bytes(store: &Store) -> u64 {
    store.backend.store_budget().map_or(0, |budget| budget.pool_bytes)
}
fn cache_bytes(store: &Store) -> u64 {
    store.backend.store_budget().map_or(0, |budget| budget.cache_bytes)
}
fn own_cache_bytes(store: &Store) -> u64 {
    let family = store.backend.states[0].family;
    store.backend.db.property_int_value_cf(&family, "rocksdb.block-cache-capacity").unwrap().unwrap()
}

const TASK_HEAP: &[(&str, &str)] = &[("taskmanager.memory.task.heap.size", "300mb")];

/// Every option that takes effect in RocksDB, in the memory that it shares or in the heap's limit, but for `localdir`, whose folder a run makes.
const PROOFS: &[Row] = &[
    Row("taskmanager.memory.process.size", "4g", &[], Proof::Figure("pool", pool_bytes, 1_438_814_063)),
    Row("taskmanager.memory.flink.size", "1g", &[], Proof::Figure("pool", pool_bytes, 429_496_736)),
    Row("taskmanager.memory.managed.size", "64mb", &[], Proof::Figure("pool", pool_bytes, 64 << 20)),
    Row("taskmanager.memory.managed.fraction", "0.25", &[], Proof::Figure("pool", pool_bytes, 335_544_320)),
    Row("taskmanager.memory.jvm-metaspace.size", "128mb", &[], Proof::Figure("pool", pool_bytes, 590_558_012)),
    Row("taskmanager.memory.jvm-overhead.min", "320mb", &[], Proof::Figure("pool", pool_bytes, 483_183_828)),
    Row(
        "taskmanager.memory.jvm-overhead.max",
        "192mb",
        &[("taskmanager.memory.process.size", "4g")],
        Proof::Figure("pool", pool_bytes, 1_530_082_122),
    ),
    Row(
        "taskmanager.memory.jvm-overhead.fraction",
        "0.2",
        &[("taskmanager.memory.process.size", "4g")],
        Proof::Figure("pool", pool_bytes, 1_267_015_366),
    ),
    Row("taskmanager.memory.framework.heap.size", "256mb", TASK_HEAP, Proof::HeapLimit(556 << 20)),
    Row("taskmanager.memory.framework.off-heap.size", "256mb", &[], Proof::HeapLimit(536_870_902 - (128 << 20))),
    Row("taskmanager.memory.task.heap.size", "300mb", &[], Proof::HeapLimit(428 << 20)),
    Row("taskmanager.memory.task.off-heap.size", "100mb", &[], Proof::HeapLimit(536_870_902 - (100 << 20))),
    Row("taskmanager.memory.network.fraction", "0.2", &[], Proof::HeapLimit(402_653_172)),
    Row("taskmanager.memory.network.min", "256mb", &[], Proof::HeapLimit(536_870_902 + 134_217_730 - (256 << 20))),
    Row("taskmanager.memory.network.max", "64mb", &[], Proof::HeapLimit(536_870_902 + 134_217_730 - (64 << 20))),
    Row("taskmanager.numberOfTaskSlots", "2", SMALL, Proof::Figure("pool", pool_bytes, 60 << 20)),
    Row("state.backend.rocksdb.memory.managed", "false", &[], Proof::File("cache_index_and_filter_blocks=false")),
    Row(
        "state.backend.rocksdb.memory.fixed-per-slot",
        "48mb",
        &[],
        Proof::Figure("block cache", cache_bytes, 40 << 20),
    ),
    Row(
        "state.backend.rocksdb.memory.fixed-per-tm",
        "96mb",
        UNMANAGED,
        Proof::Figure("block cache", cache_bytes, 80 << 20),
    ),
    Row(
        "state.backend.rocksdb.memory.write-buffer-ratio",
        "0.75",
        SMALL,
        Proof::Figure(
            "write-buffer manager",
            |store| store.backend.store_budget().unwrap().write_buffer_bytes,
            60 << 20,
        ),
    ),
    Row(
        "state.backend.rocksdb.memory.high-prio-pool-ratio",
        "0.3",
        SMALL,
        Proof::Figure(
            "high-priority part of the cache",
            |store| store.backend.store_budget().unwrap().high_priority_bytes,
            30 << 20,
        ),
    ),
    Row(
        "state.backend.rocksdb.memory.partitioned-index-filters",
        "true",
        &[],
        Proof::File("index_type=kTwoLevelIndexSearch"),
    ),
    Row("state.backend.rocksdb.predefined-options", "FLASH_SSD_OPTIMIZED", &[], Proof::File("max_background_jobs=4")),
    Row("state.backend.rocksdb.thread.num", "3", &[], Proof::File("max_background_jobs=3")),
    Row("state.backend.rocksdb.files.open", "99", &[], Proof::File("max_open_files=99")),
    Row("state.backend.rocksdb.log.level", "WARN_LEVEL", &[], Proof::File("info_log_level=WARN_LEVEL")),
    Row(
        "state.backend.rocksdb.log.dir",
        "FOLDER/logs",
        &[],
        Proof::Looked("a LOG file in that directory", |store| {
            std::fs::read_dir(store.folder.path().join("logs"))
                .unwrap()
                .any(|file| file.unwrap().file_name().to_string_lossy().ends_with("LOG"))
        }),
    ),
    Row("state.backend.rocksdb.log.max-file-size", "1mb", &[], Proof::File("max_log_file_size=1048576")),
    Row("state.backend.rocksdb.log.file-num", "7", &[], Proof::File("keep_log_file_num=7")),
    Row(
        "state.backend.rocksdb.compaction.style",
        "UNIVERSAL",
        &[],
        Proof::File("compaction_style=kCompactionStyleUniversal"),
    ),
    Row("state.backend.rocksdb.compaction.style", "FIFO", &[], Proof::File("compaction_style=kCompactionStyleFIFO")),
    Row("state.backend.rocksdb.compaction.style", "NONE", &[], Proof::File("disable_auto_compactions=true")),
    Row(
        "state.backend.rocksdb.compaction.level.use-dynamic-size",
        "true",
        &[],
        Proof::File("level_compaction_dynamic_level_bytes=true"),
    ),
    Row(
        "state.backend.rocksdb.compaction.level.target-file-size-base",
        "32mb",
        &[],
        Proof::File("target_file_size_base=33554432"),
    ),
    Row(
        "state.backend.rocksdb.compaction.level.max-size-level-base",
        "512mb",
        &[],
        Proof::File("max_bytes_for_level_base=536870912"),
    ),
    Row(
        "state.backend.rocksdb.compression.per.level",
        "LZ4_COMPRESSION",
        &[],
        Proof::File(
            "compression_per_level=kLZ4Compression:kLZ4Compression:kLZ4Compression:kLZ4Compression:kLZ4Compression:kLZ4Compression:kLZ4Compression",
        ),
    ),
    Row(
        "state.backend.rocksdb.compression.per.level",
        "NO_COMPRESSION;LZ4_COMPRESSION;ZSTD_COMPRESSION",
        &[],
        Proof::File("compression_per_level=kNoCompression:kLZ4Compression:kZSTD"),
    ),
    Row("state.backend.rocksdb.writebuffer.size", "32mb", &[], Proof::File("write_buffer_size=33554432")),
    Row("state.backend.rocksdb.writebuffer.count", "4", &[], Proof::File("max_write_buffer_number=4")),
    Row(
        "state.backend.rocksdb.writebuffer.number-to-merge",
        "3",
        BUFFERS,
        Proof::File("min_write_buffer_number_to_merge=3"),
    ),
    Row("state.backend.rocksdb.block.blocksize", "16kb", &[], Proof::File("block_size=16384")),
    Row("state.backend.rocksdb.block.metadata-blocksize", "8kb", PARTITIONED, Proof::File("metadata_block_size=8192")),
    Row(
        "state.backend.rocksdb.block.cache-size",
        "24mb",
        UNMANAGED,
        Proof::Figure("rocksdb.block-cache-capacity of the column family", own_cache_bytes, 24 << 20),
    ),
    Row("state.backend.rocksdb.use-bloom-filter", "true", &[], Proof::File("filter_policy=bloomfilter")),
    Row("state.backend.rocksdb.bloom-filter.bits-per-key", "20", BLOOM, Proof::FilterBytes(25_000)),
    Row(
        "state.backend.rocksdb.write-batch-size",
        "1kb",
        &[],
        Proof::Looked("a clear of 300 map entries writes several batches", |store| {
            store.backend.db_options.get_ticker_count(rocksdb::statistics::Ticker::WriteDoneBySelf) > 10_302
        }),
    ),
    Row(
        "state.backend.rocksdb.compaction.filter.query-time-after-num-entries",
        "7",
        &[],
        Proof::Looked("a filter that was made before an entry expired drops the 8th that it sees", |store| {
            entries_until_the_clock_is_read(store) == 7
        }),
    ),
    Row(
        "state.backend.rocksdb.compaction.filter.periodic-compaction-time",
        "1 h",
        &[],
        Proof::File("periodic_compaction_seconds=3600"),
    ),
    Row(
        "state.backend.rocksdb.timer-service.factory",
        "HEAP",
        &[],
        Proof::Looked("the database has no column families of timers", |store| {
            store.backend.db.cf_handle("_timer_state/event_timers").is_none()
        }),
    ),
    Row(
        "state.backend.rocksdb.timer-service.cache-size",
        "3",
        &[],
        Proof::Looked("a queue of 5 timers caches 3 of them", |store| store.backend.timers.cached() == Some(3)),
    ),
];

/// Entries that a compaction filter looks at by the clock as it was when the filter was made.
fn entries_until_the_clock_is_read(store: &Store) -> usize {
    let expiry = &store.backend.expiry;
    let mut factory = TtlFilterFactory(Arc::clone(expiry.filter_of("aging").unwrap()));
    expiry.clock.store(0, Ordering::Relaxed);
    let mut filter = factory.create(CompactionFilterContext { is_full_compaction: true, is_manual_compaction: false });
    expiry.clock.store(2 * AGING.ttl_ms, Ordering::Relaxed);
    let entry = 1_i64.to_be_bytes();
    (0..10_000).find(|_| matches!(filter.filter(0, b"key", &entry), CompactionDecision::Remove)).unwrap()
}

/// The TTL of a state of the store.
const AGING: StateTtl = StateTtl {
    ttl_ms: 1_000,
    update_type: UpdateType::OnCreateAndWrite,
    visibility: StateVisibility::NeverReturnExpired,
    cleanup: CleanupStrategies {
        full_snapshot: false,
        incremental: None,
        compaction_filter: Some(CompactionFilterCleanup {
            query_time_after_entries: None,
            periodic_compaction_s: None,
        }),
    },
};

/// An open store with a map of 300 entries that was cleared, and 10,000 values in a table file.
struct Store {
    backend: RocksDbBackend<i64>,
    file: String,
    folder: tempfile::TempDir,
}

impl Store {
    fn open(settings: &[(&str, &str)]) -> Self {
        let folder = crate::backend::test_folder();
        let mut options = Options::default();
        for (key, value) in settings {
            options.set(key, &value.replace("FOLDER", &folder.path().display().to_string())).unwrap();
        }
        options.validate().unwrap();
        let memory = SharedMemory::new(&options).unwrap().map(Arc::new);
        let path = folder.path().join("db");
        let ttls = StateTtls::from([("aging".to_owned(), AGING)]);
        let mut backend =
            RocksDbBackend::open(&path, &options, (GROUPS, 0), memory, OpenMode::counting(), ttls).unwrap();
        backend.value_state::<VoidNamespace, Timed<i64>>("aging").unwrap();
        let timers = backend.timer_service::<VoidNamespace>("timers").unwrap();
        let map = backend.map_state::<VoidNamespace, i64, i64>("map").unwrap();
        let value = backend.value_state::<VoidNamespace, i64>("value").unwrap();
        backend.set_current_key(&1);
        (0..300).for_each(|entry| backend.map_put(map, &VoidNamespace, entry, 7).unwrap());
        backend.clear_map(map, &VoidNamespace).unwrap();
        for key in 0..10_000_i64 {
            backend.set_current_key(&key);
            backend.update(value, &VoidNamespace, key).unwrap();
        }
        backend.set_current_key(&1);
        for time in 1..=5 {
            backend.register_timer(timers, TimeDomain::EventTime, &VoidNamespace, time).unwrap();
        }
        backend.flush().unwrap();
        let file = options_file(&path);
        Self { backend, file, folder }
    }

    fn has_line(&self, line: &str) -> bool {
        self.file.lines().any(|found| found.trim() == line)
    }

    fn filter_bytes(&self) -> u64 {
        self.backend.store_shape().unwrap().unwrap().filter_bytes
    }
}

/// What an open database wrote into its newest OPTIONS file.
fn options_file(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = files.filter(|path| path.to_string_lossy().contains("OPTIONS-")).max().unwrap();
    std::fs::read_to_string(file).unwrap()
}

/// Whether the proof holds with the option's value; and, where the default is another, that it does not hold without.
fn check(row: &Row) {
    let Row(key, value, beside, proof) = row;
    let mut settings = vec![ROCKSDB];
    settings.extend_from_slice(beside);
    let without = Store::open(&settings);
    settings.push((key, value));
    let with = Store::open(&settings);
    match proof {
        Proof::File(line) => {
            assert!(with.has_line(line), "{key} = {value}: `{line}` is not in\n{}", with.file);
            assert!(!without.has_line(line), "{key}: `{line}` holds without it");
        }
        Proof::Figure(what, figure, expected) => {
            assert_eq!(figure(&with), *expected, "{key} = {value}: {what}");
            assert_ne!(figure(&without), *expected, "{key}: {what} without it");
        }
        Proof::FilterBytes(expected) => {
            // Map entries are gone; there is a filter for the values, and one block of rounding.
            assert!((*expected..*expected * 21 / 20).contains(&with.filter_bytes()), "{}", with.filter_bytes());
            assert!(without.filter_bytes() < *expected);
        }
        Proof::HeapLimit(expected) => {
            let heap = |settings: &[(&str, &str)]| {
                let mut options = Options::default();
                settings.iter().skip(1).for_each(|(key, value)| options.set(key, value).unwrap());
                options.heap_bytes().unwrap()
            };
            assert_eq!(heap(&settings), *expected, "{key} = {value}");
            assert_ne!(heap(&settings[..settings.len() - 1]), *expected, "{key}: without it");
        }
        Proof::Looked(what, look) => {
            assert!(look(&with), "{key} = {value}: {what}");
            assert!(!without.folder.path().join("logs").exists(), "{key}: {what} without it");
            assert!(!key.ends_with("batch-size") || !look(&without), "{key}: {what} without it");
        }
    }
}

#[test]
fn every_option_takes_effect_in_the_open_store() {
    PROOFS.iter().for_each(check);
}

#[test]
fn every_option_of_a_database_or_pool_has_a_proof() {
    let is_read =
        |row: &&OptionRow| matches!(row.reader, Reader::Database | Reader::Pool | Reader::Timers | Reader::Ttl);
    for row in OPTIONS.iter().filter(is_read) {
        let proved = PROOFS.iter().any(|Row(key, ..)| *key == row.key);
        assert!(proved || without_proof(row).is_some(), "{}", row.key);
    }
}

#[test]
fn bloom_bits_need_the_filter_and_yield_to_partitions() {
    let (bits, on) = (("state.backend.rocksdb.bloom-filter.bits-per-key", "20"), BLOOM[0]);
    assert_eq!(Store::open(&[ROCKSDB, bits]).filter_bytes(), 0);
    let partitioned = Store::open(&[ROCKSDB, bits, on, PARTITIONED[0]]).filter_bytes();
    assert!((12_500..14_000).contains(&partitioned), "10 bits whatever the option says: {partitioned}");
}

#[test]
fn tickers_of_native_metrics_turn_the_statistics_on() {
    let folder = crate::backend::test_folder();
    let counts = |name: &str| {
        let mut options = Options::default();
        options.set(&format!("state.backend.rocksdb.metrics.{name}"), "true").unwrap();
        let backend = RocksDbBackend::<i64>::open(
            &folder.path().join(name),
            &options,
            (GROUPS, 0),
            None,
            OpenMode::default(),
            StateTtls::new(),
        );
        backend.unwrap().store_counters().is_some()
    };
    for metric in native_metrics() {
        assert_eq!(counts(metric.name), metric.is_ticker(), "{}", metric.name);
    }
}

/// What Flink 2.3 sets or leaves at RocksDB 8.10's defaults.
#[test]
fn defaults_are_those_of_a_flink_database() {
    let store = Store::open(&[ROCKSDB]);
    for line in [
        "max_background_jobs=2",
        "max_open_files=-1",
        "compaction_readahead_size=2097152",
        "delayed_write_rate=16777216",
        "avoid_flush_during_shutdown=true",
        "stats_dump_period_sec=0",
        "level_compaction_dynamic_level_bytes=false",
        "write_buffer_size=67108864",
        "max_write_buffer_number=2",
        "arena_block_size=1048576",
        "max_compaction_bytes=1677721600",
        "periodic_compaction_seconds=2592000",
        "ttl=2592000",
        "format_version=5",
        "checksum=kXXH3",
        "optimize_filters_for_memory=false",
        "cache_index_and_filter_blocks=true",
        "cache_index_and_filter_blocks_with_high_priority=true",
        "pin_l0_filter_and_index_blocks_in_cache=true",
        "block_size=4096",
        "filter_policy=nullptr",
        "index_type=kBinarySearch",
    ] {
        assert!(store.has_line(line), "`{line}` is not in\n{}", store.file);
    }
    assert!(store.file.contains("merge_operator={id=StringAppendTESTOperator"));
}

/// Why an option has no proof here: it takes no effect in a run.
fn without_proof(row: &OptionRow) -> Option<String> {
    match row.key {
        "state.backend.type" => return Some("the backend that a trial opens; the name in the result".to_owned()),
        "state.backend.rocksdb.localdir" => {
            return Some("the folder of an open database (test of the command line)".to_owned());
        }
        "state.backend.rocksdb.options-factory" => return Some("refused: statebench runs no Java".to_owned()),
        "state.backend.rocksdb.manual-compaction.min-interval" => {
            return Some("anything but its default is refused: not supported".to_owned());
        }
        _ => {}
    }
    let mut options = Options::default();
    options.set(ROCKSDB.0, ROCKSDB.1).unwrap();
    options.job = JobShape { has_ttl: true, has_timers: true, ..JobShape::default() };
    let why = |options: &Options| options.without_effect([row.key]).pop().map(|(_, why)| why);
    let on_heap = why(&Options::default()).is_none();
    why(&options)
        .map(|why| if on_heap { format!("the heap's limit; RocksDB: {why}") } else { format!("no effect: {why}") })
}

/// The table of options for `reports/options.md`.
fn report() -> String {
    let mut out = String::from(
        "# Every option, its default and what proves its effect\n\n\
         Made by the tests of the RocksDB backend (`UPDATE_REPORTS=1 cargo test options_report`), which open a store with \
         each value\nand read the option back: from the OPTIONS file that RocksDB writes, from properties, table files and \
         the cache's own\ndescription. An option without effect in a run says why; a workload that sets it gets that as a \
         warning.\n\n\
         | option | default | what it sets | read back |\n| --- | --- | --- | --- |\n",
    );
    for row in OPTIONS {
        let proofs = PROOFS.iter().filter(|Row(key, ..)| *key == row.key).map(|Row(_, value, beside, proof)| {
            let beside =
                beside.iter().fold(String::new(), |out, (key, value)| out + &format!(" beside `{key}: {value}`"));
            let found = match proof {
                Proof::File(line) => format!("`{line}` in the OPTIONS file"),
                Proof::Figure(what, _, bytes) => format!("{what} {bytes} bytes"),
                Proof::FilterBytes(bytes) => format!("filter block of 10,000 keys: {bytes} bytes and a little"),
                Proof::HeapLimit(bytes) => format!("heap of the heap backend {bytes} bytes"),
                Proof::Looked(what, _) => (*what).to_owned(),
            };
            format!("`{value}`{beside}: {found}")
        });
        let proofs: Vec<_> = proofs.collect();
        let proof = if proofs.is_empty() { without_proof(row).unwrap_or_default() } else { proofs.join("; ") };
        let aliases: Vec<_> = row.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let aliases = if aliases.is_empty() { String::new() } else { format!(" (was {})", aliases.join(", ")) };
        let _ = writeln!(out, "| `{}`{aliases} | {} | {} | {proof} |", row.key, row.default(), row.sets);
    }
    let _ = writeln!(
        out,
        "\nThe switches `state.backend.rocksdb.metrics.*` are all off. Those of tickers turn RocksDB's Statistics on, as in \
         Flink,\nwhich a test sees in the open store; those of properties have no effect, since a run reads properties itself."
    );
    out
}

#[test]
fn options_report_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/options.md");
    if std::env::var_os("UPDATE_REPORTS").is_some() {
        std::fs::write(&path, report()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, report(), "UPDATE_REPORTS=1 cargo test options_report writes it anew");
    assert!(!kept.contains("|  |\n"), "every option has a proof or a reason");
}

/// The handles of a value, a list and a map.
type Handles =
    (ValueState<VoidNamespace, Payload>, ListState<VoidNamespace, i64>, MapState<VoidNamespace, String, i64>);

fn fill<B: KeyedStateBackend<i64>>(backend: &mut B, (value, list, map): Handles) {
    for key in (0..5_000_i64).map(|key| key * 7919 % 5_000 - 100) {
        backend.set_current_key(&key);
        backend.update(value, &VoidNamespace, Payload(vec![key as u8; 50].into())).unwrap();
        (0..key % 4).for_each(|element| backend.list_add(list, &VoidNamespace, element).unwrap());
        (0..key % 3).for_each(|entry| backend.map_put(map, &VoidNamespace, "m".repeat(entry as usize), key).unwrap());
    }
}

#[test]
fn sorted_ingestion_leaves_what_puts_leave() {
    let folder = crate::backend::test_folder();
    let mut options = Options::default();
    options.set("state.backend.rocksdb.compaction.level.target-file-size-base", "64kb").unwrap();
    let mut digests = Vec::new();
    for ingested in [false, true] {
        let path = folder.path().join(ingested.to_string());
        let mut backend =
            RocksDbBackend::<i64>::open(&path, &options, (GROUPS, 0), None, OpenMode::default(), StateTtls::new())
                .unwrap();
        let value = backend.value_state::<VoidNamespace, Payload>("value").unwrap();
        let list = backend.list_state::<VoidNamespace, i64>("list").unwrap();
        let map = backend.map_state::<VoidNamespace, String, i64>("map").unwrap();
        if ingested {
            let mut loader = backend.loader().unwrap();
            fill(&mut loader, (value, list, map));
            backend.ingest(loader).unwrap();
            let levels = backend.store_shape().unwrap().unwrap().levels;
            assert_eq!(levels.len(), 7, "all in the last level: {levels:?}");
            assert!(levels[6].files > 3, "files of the target size: {levels:?}");
        } else {
            fill(&mut backend, (value, list, map));
        }
        digests.push(backend.state_digest().unwrap());
    }
    assert_eq!(digests[0], digests[1]);
}
