//! The options of a configuration: Flink's own keys with Flink's own values, one table row each.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Bytes, Invalid, Time, nearest};

/// A value that an option can take.
trait OptionValue: Sized + Display {
    /// What is allowed, for messages.
    const ALLOWED: &'static str;
    fn parse(text: &str) -> Option<Self>;
}

impl OptionValue for Bytes {
    const ALLOWED: &'static str = "a size such as 4096, 64kb, 256 mb or 2g";
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}
impl OptionValue for Time {
    const ALLOWED: &'static str = "a time such as 500 ms, 60 s, 10 min or 7 d";
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}
impl OptionValue for bool {
    const ALLOWED: &'static str = "true or false";
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}
impl OptionValue for i32 {
    const ALLOWED: &'static str = "a whole number from -1 to 2147483647";
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number >= -1)
    }
}
impl OptionValue for u16 {
    const ALLOWED: &'static str = "a whole number from 1 to 65535";
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number >= 1)
    }
}
impl OptionValue for f64 {
    const ALLOWED: &'static str = "a number from 0 to 100";
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| (0.0..=100.0).contains(number))
    }
}
impl OptionValue for Share {
    const ALLOWED: &'static str = "a number from 0 to 1";
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).map(Self)
    }
}
impl OptionValue for Compressions {
    const ALLOWED: &'static str = "NO_COMPRESSION, SNAPPY_COMPRESSION, LZ4_COMPRESSION, LZ4HC_COMPRESSION or ZSTD_COMPRESSION, one for all \
         levels or several joined by `;`, one for each level";
    fn parse(text: &str) -> Option<Self> {
        text.split(';').map(|name| name.trim().parse().ok()).collect::<Option<Vec<_>>>().map(Self)
    }
}
/// Unset, or a value.
impl<T: OptionValue> OptionValue for Maybe<T> {
    const ALLOWED: &'static str = T::ALLOWED;
    fn parse(text: &str) -> Option<Self> {
        T::parse(text).map(|value| Self(Some(value)))
    }
}

/// An option that has no default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Maybe<T>(pub Option<T>);
impl<T: Display> Display for Maybe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// A share from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(pub f64);
impl Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Compression for each level, or one for all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Compressions(pub Vec<Compression>);
impl Display for Compressions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(";"))
    }
}

macro_rules! named_values {
    ($($(#[$doc:meta])* $enum:ident, $allowed:literal { $($(#[$vdoc:meta])* $variant:ident = $name:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $enum {
            $($(#[$vdoc])* #[serde(rename = $name)] $variant,)*
        }
        impl Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name,)* })
            }
        }
        impl FromStr for $enum {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                $(if text.eq_ignore_ascii_case($name) { return Ok(Self::$variant); })*
                Err(())
            }
        }
        impl OptionValue for $enum {
            const ALLOWED: &'static str = $allowed;
            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}
named_values! {
    /// The state backend, `state.backend.type`.
    BackendType, "hashmap, rocksdb, or null for the floor of the harness" {
        /// Objects on the heap: Flink's `HashMapStateBackend`.
        HashMap = "hashmap",
        /// Flink's `EmbeddedRocksDBStateBackend`.
        RocksDb = "rocksdb",
        /// Keeps nothing: shows what the harness itself costs. Not a Flink backend.
        Null = "null",
    }
    /// RocksDB's compaction style.
    CompactionStyle, "LEVEL, UNIVERSAL, FIFO or NONE" {
        /// Levelled compaction.
        Level = "LEVEL",
        /// Universal (tiered) compaction.
        Universal = "UNIVERSAL",
        /// First in, first out.
        Fifo = "FIFO",
        /// No compaction.
        None = "NONE",
    }
    /// A compression that table files can have.
    Compression, "a compression" {
        /// None.
        None = "NO_COMPRESSION",
        /// Snappy, Flink's default.
        Snappy = "SNAPPY_COMPRESSION",
        /// LZ4.
        Lz4 = "LZ4_COMPRESSION",
        /// LZ4, high compression.
        Lz4Hc = "LZ4HC_COMPRESSION",
        /// Zstandard.
        Zstd = "ZSTD_COMPRESSION",
    }
    /// RocksDB's log level.
    LogLevel, "DEBUG_LEVEL, INFO_LEVEL, WARN_LEVEL, ERROR_LEVEL, FATAL_LEVEL or HEADER_LEVEL" {
        /// Everything.
        Debug = "DEBUG_LEVEL",
        /// Flink's default.
        Info = "INFO_LEVEL",
        /// Warnings.
        Warn = "WARN_LEVEL",
        /// Errors.
        Error = "ERROR_LEVEL",
        /// Fatal errors.
        Fatal = "FATAL_LEVEL",
        /// Only the header.
        Header = "HEADER_LEVEL",
    }
}

/// One row of the option table.
pub struct OptionRow {
    /// Flink's key.
    pub key: &'static str,
    /// Older names that Flink still reads.
    pub aliases: &'static [&'static str],
    /// What values are allowed.
    pub allowed: &'static str,
    /// What the option does, in a line.
    pub about: &'static str,
    set: fn(&mut Options, &str) -> bool,
    get: fn(&Options) -> String,
}

impl OptionRow {
    /// Flink's default, as text.
    pub fn default(&self) -> String {
        (self.get)(&Options::default())
    }

    /// The value in `options`, as text.
    pub fn get(&self, options: &Options) -> String {
        (self.get)(options)
    }
}

macro_rules! option_table {
    ($($key:literal $([$($alias:literal),*])?, $field:ident: $type:ty = $default:expr, $about:literal;)*) => {
        /// The options of one configuration, each with Flink's default where it is not set.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct Options {
            $(#[doc = $about] pub $field: $type,)*
        }

        impl Default for Options {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        /// Every option that takes effect.
        pub static OPTIONS: &[OptionRow] = &[$(OptionRow {
            key: $key,
            aliases: &[$($($alias),*)?],
            allowed: <$type as OptionValue>::ALLOWED,
            about: $about,
            set: |options, text| match <$type as OptionValue>::parse(text) {
                Some(value) => { options.$field = value; true }
                None => false,
            },
            get: |options| options.$field.to_string(),
        },)*];
    };
}
option_table! {
    "state.backend.type" ["state.backend"], backend: BackendType = BackendType::HashMap,
        "The state backend";
    "taskmanager.memory.managed.size", managed_size: Bytes = Bytes(536_870_920),
        "Managed memory of the TaskManager; the default is what Flink's default process size of 1728 mb leaves";
    "taskmanager.numberOfTaskSlots", task_slots: u16 = 1,
        "Slots that share the managed memory; each subtask runs in a slot of its own";
    "state.backend.rocksdb.memory.managed", memory_managed: bool = true,
        "Whether cache and write buffers of a slot share its managed memory";
    "state.backend.rocksdb.memory.fixed-per-slot", memory_fixed_per_slot: Maybe<Bytes> = Maybe(None),
        "Memory that cache and write buffers of a slot share, instead of managed memory";
    "state.backend.rocksdb.memory.write-buffer-ratio", memory_write_buffer_ratio: Share = Share(0.5),
        "Share of that memory for write buffers";
    "state.backend.rocksdb.memory.partitioned-index-filters", memory_partitioned_index_filters: bool = false,
        "Two-level index and filters, whose parts are cached one by one";
    "state.backend.rocksdb.localdir", localdir: Maybe<LocalDir> = Maybe(None),
        "Directory of the databases";
    "state.backend.rocksdb.thread.num", thread_num: u16 = 2,
        "Background threads for flushes and compactions of a database";
    "state.backend.rocksdb.files.open", files_open: i32 = -1,
        "Files that a database keeps open, -1 for all";
    "state.backend.rocksdb.log.level", log_level: LogLevel = LogLevel::Info,
        "What RocksDB logs";
    "state.backend.rocksdb.log.max-file-size", log_max_file_size: Bytes = Bytes(25 << 20),
        "Size at which RocksDB's log is rolled";
    "state.backend.rocksdb.log.file-num", log_file_num: u16 = 4,
        "Log files kept";
    "state.backend.rocksdb.compaction.style", compaction_style: CompactionStyle = CompactionStyle::Level,
        "Compaction style";
    "state.backend.rocksdb.compaction.level.use-dynamic-size", compaction_level_use_dynamic_size: bool = false,
        "Whether level sizes follow the size of the last level";
    "state.backend.rocksdb.compaction.level.target-file-size-base",
        compaction_level_target_file_size_base: Bytes = Bytes(64 << 20),
        "Size of a table file";
    "state.backend.rocksdb.compaction.level.max-size-level-base",
        compaction_level_max_size_level_base: Bytes = Bytes(256 << 20),
        "Size of level 1";
    "state.backend.rocksdb.compression.per.level",
        compression_per_level: Compressions = Compressions(vec![Compression::Snappy]),
        "Compression of each level, one entry for all";
    "state.backend.rocksdb.writebuffer.size", writebuffer_size: Bytes = Bytes(64 << 20),
        "Size of one write buffer of a column family";
    "state.backend.rocksdb.writebuffer.count", writebuffer_count: u16 = 2,
        "Write buffers of a column family";
    "state.backend.rocksdb.writebuffer.number-to-merge", writebuffer_number_to_merge: u16 = 1,
        "Write buffers merged into one file";
    "state.backend.rocksdb.block.blocksize", block_size: Bytes = Bytes(4 << 10),
        "Size of a data block";
    "state.backend.rocksdb.block.metadata-blocksize", block_metadata_size: Bytes = Bytes(4 << 10),
        "Size of a part of a partitioned index or filter";
    "state.backend.rocksdb.block.cache-size", block_cache_size: Bytes = Bytes(8 << 20),
        "Block cache of each column family where memory is not shared";
    "state.backend.rocksdb.use-bloom-filter", use_bloom_filter: bool = false,
        "Whether table files carry a bloom filter";
    "state.backend.rocksdb.bloom-filter.bits-per-key", bloom_filter_bits_per_key: f64 = 10.0,
        "Bits of the bloom filter for each key";
    "state.backend.rocksdb.write-batch-size", write_batch_size: Bytes = Bytes(2 << 20),
        "Bytes at which a write batch is flushed, 0 for none";
}

/// A directory as an option value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocalDir(pub std::path::PathBuf);
impl Display for LocalDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}
impl OptionValue for LocalDir {
    const ALLOWED: &'static str = "one directory";
    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains([',', '\0'])).then(|| Self(text.into()))
    }
}

/// Keys that users write and Flink never had, with the real one.
const MISTAKEN_KEYS: [(&str, &str); 2] = [
    ("state.backend.rocksdb.bloom-filter.block-based", "state.backend.rocksdb.bloom-filter.block-based-mode"),
    ("state.backend.rocksdb.block-cache-size", "state.backend.rocksdb.block.cache-size"),
];

/// Keys that Flink has and statebench does not model: refused by name, so that nobody takes them for spelling mistakes.
const NOT_MODELLED: &[&str] = &[
    "state.backend.rocksdb.bloom-filter.block-based-mode",
    "state.backend.rocksdb.checkpoint.transfer.thread.num",
    "state.backend.rocksdb.compaction.filter.periodic-compaction-time",
    "state.backend.rocksdb.compaction.filter.query-time-after-num-entries",
    "state.backend.rocksdb.incremental-restore-async-compact-after-rescale",
    "state.backend.rocksdb.log.dir",
    "state.backend.rocksdb.memory.fixed-per-tm",
    "state.backend.rocksdb.memory.high-prio-pool-ratio",
    "state.backend.rocksdb.options-factory",
    "state.backend.rocksdb.predefined-options",
    "state.backend.rocksdb.rescaling.use-delete-files-in-range",
    "state.backend.rocksdb.restore-overlap-fraction-threshold",
    "state.backend.rocksdb.timer-service.cache-size",
    "state.backend.rocksdb.timer-service.factory",
    "state.backend.rocksdb.use-ingest-db-restore-mode",
    "taskmanager.memory.flink.size",
    "taskmanager.memory.managed.fraction",
    "taskmanager.memory.process.size",
    "taskmanager.memory.task.heap.size",
];

impl Options {
    /// The row of a key, by its name or an alias of it.
    pub fn row(key: &str) -> Option<&'static OptionRow> {
        OPTIONS.iter().find(|row| row.key == key || row.aliases.contains(&key))
    }

    /// Sets one option.
    ///
    /// # Errors
    /// The key is not in the table, or the value is not allowed; the path of the error is the key.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), Invalid> {
        let Some(row) = Self::row(key) else {
            let found = if NOT_MODELLED.contains(&key) {
                "a key of Flink that statebench does not model"
            } else {
                "a key that statebench does not know"
            };
            return Err(Invalid::key(key, found, Self::instead_of(key)));
        };
        if (row.set)(self, text.trim()) { Ok(()) } else { Err(Invalid::new(key, format!("`{text}`"), row.allowed)) }
    }

    fn instead_of(key: &str) -> String {
        if NOT_MODELLED.contains(&key) {
            return "the keys of `statebench list options`".to_owned();
        }
        let mistaken = MISTAKEN_KEYS.iter().find(|(wrong, _)| *wrong == key).map(|(_, real)| *real);
        match mistaken.or_else(|| nearest(key, OPTIONS.iter().map(|row| row.key))) {
            Some(real) => format!("the keys of `statebench list options`; the nearest is `{real}`"),
            None => "the keys of `statebench list options`".to_owned(),
        }
    }

    /// Whether cache and write buffers share one budget, which is Flink's default.
    pub fn shares_memory(&self) -> bool {
        self.memory_managed || self.memory_fixed_per_slot.0.is_some()
    }

    /// The bytes that cache and write buffers of one slot share: `fixed-per-slot` before managed memory.
    pub fn shared_memory_bytes(&self) -> Option<u64> {
        match self.memory_fixed_per_slot.0 {
            Some(fixed) => Some(fixed.0),
            None if self.memory_managed => Some(self.managed_size.0 / u64::from(self.task_slots)),
            None => None,
        }
    }

    /// Checks what no single value shows.
    ///
    /// # Errors
    /// The first combination that cannot work; the path is the key to change.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.backend != BackendType::RocksDb {
            return Ok(());
        }
        if let Some(shared) = self.shared_memory_bytes().filter(|shared| *shared < MIN_SHARED_MEMORY_BYTES) {
            let key = if self.memory_fixed_per_slot.0.is_some() {
                "state.backend.rocksdb.memory.fixed-per-slot"
            } else {
                "taskmanager.memory.managed.size"
            };
            return Err(Invalid::new(key, format!("{} for a slot", Bytes(shared)), "at least 1 mb for a slot"));
        }
        if self.writebuffer_number_to_merge >= self.writebuffer_count && self.writebuffer_number_to_merge > 1 {
            return Err(Invalid::new(
                "state.backend.rocksdb.writebuffer.number-to-merge",
                self.writebuffer_number_to_merge,
                format!("less than writebuffer.count, which is {}", self.writebuffer_count),
            ));
        }
        let sizes = [
            ("state.backend.rocksdb.writebuffer.size", self.writebuffer_size, 64 << 10, 64 << 30),
            ("state.backend.rocksdb.block.blocksize", self.block_size, 256, 64 << 20),
            ("state.backend.rocksdb.block.metadata-blocksize", self.block_metadata_size, 256, 64 << 20),
            (
                "state.backend.rocksdb.compaction.level.target-file-size-base",
                self.compaction_level_target_file_size_base,
                64 << 10,
                1 << 40,
            ),
            (
                "state.backend.rocksdb.compaction.level.max-size-level-base",
                self.compaction_level_max_size_level_base,
                64 << 10,
                1 << 50,
            ),
        ];
        for (key, size, least, most) in sizes {
            if !(least..=most).contains(&size.0) {
                return Err(Invalid::new(key, size, format!("{} to {}", Bytes(least), Bytes(most))));
            }
        }
        if self.compression_per_level.0.len() > ROCKSDB_LEVELS {
            let found = format!("{} levels", self.compression_per_level.0.len());
            return Err(Invalid::new("state.backend.rocksdb.compression.per.level", found, "at most 7 levels"));
        }
        Ok(())
    }

    /// Keys among `given` that take no effect in this combination, each with the reason.
    pub fn without_effect<'a>(&self, given: impl IntoIterator<Item = &'a str>) -> Vec<(String, String)> {
        given
            .into_iter()
            .filter_map(|key| {
                let row = Self::row(key)?;
                self.why_without_effect(row.key).map(|why| (key.to_owned(), why.to_owned()))
            })
            .collect()
    }

    fn why_without_effect(&self, key: &str) -> Option<&'static str> {
        let fixed = self.memory_fixed_per_slot.0.is_some();
        match key {
            _ if self.backend != BackendType::RocksDb && key != "state.backend.type" => {
                Some("the backend is not rocksdb")
            }
            "taskmanager.memory.managed.size" | "taskmanager.numberOfTaskSlots" if fixed => {
                Some("memory.fixed-per-slot replaces managed memory")
            }
            "taskmanager.memory.managed.size" | "taskmanager.numberOfTaskSlots" if !self.memory_managed => {
                Some("memory.managed is false")
            }
            "state.backend.rocksdb.memory.managed" if fixed => Some("memory.fixed-per-slot goes before it"),
            "state.backend.rocksdb.block.cache-size" if self.shares_memory() => {
                Some("memory is shared (memory.managed or memory.fixed-per-slot), which brings its own cache")
            }
            "state.backend.rocksdb.memory.write-buffer-ratio"
            | "state.backend.rocksdb.memory.partitioned-index-filters"
                if !self.shares_memory() =>
            {
                Some("memory is not shared (memory.managed is false and fixed-per-slot is not set)")
            }
            "state.backend.rocksdb.bloom-filter.bits-per-key" if !self.use_bloom_filter => {
                Some("use-bloom-filter is not true")
            }
            "state.backend.rocksdb.bloom-filter.bits-per-key"
                if self.shares_memory() && self.memory_partitioned_index_filters =>
            {
                Some("memory.partitioned-index-filters replaces the filter by one of 10 bits")
            }
            "state.backend.rocksdb.block.metadata-blocksize"
                if !(self.shares_memory() && self.memory_partitioned_index_filters) =>
            {
                Some("index and filters are not partitioned")
            }
            "state.backend.rocksdb.compaction.level.use-dynamic-size"
            | "state.backend.rocksdb.compaction.level.max-size-level-base"
                if self.compaction_style != CompactionStyle::Level =>
            {
                Some("the compaction style is not LEVEL")
            }
            _ => None,
        }
    }
}

/// Below this RocksDB has no room for even one write buffer of its least size beside a cache.
const MIN_SHARED_MEMORY_BYTES: u64 = 1 << 20;

/// Flink leaves `num_levels` at RocksDB's 7.
pub const ROCKSDB_LEVELS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_reads_back_as_itself() {
        for row in OPTIONS {
            let text = row.default();
            if text != "none" {
                let mut options = Options::default();
                options.set(row.key, &text).unwrap();
                assert_eq!(options, Options::default(), "{}", row.key);
            }
        }
    }

    #[test]
    fn defaults_are_those_of_flink() {
        let default = |key| Options::row(key).unwrap().default();
        assert_eq!(default("state.backend.rocksdb.writebuffer.size"), "64 mb");
        assert_eq!(default("state.backend.rocksdb.compression.per.level"), "SNAPPY_COMPRESSION");
        assert_eq!(default("state.backend.rocksdb.memory.fixed-per-slot"), "none");
        assert_eq!(default("state.backend"), "hashmap");
    }

    #[test]
    fn an_unknown_key_gets_the_real_one() {
        let error = Options::default().set("state.backend.rocksdb.writebufer.size", "64mb").unwrap_err();
        assert!(error.allowed.contains("`state.backend.rocksdb.writebuffer.size`"), "{error}");
        let error = Options::default().set("state.backend.rocksdb.predefined-options", "DEFAULT").unwrap_err();
        assert_eq!(error.found, "a key of Flink that statebench does not model");
        let error = Options::default().set("state.backend.rocksdb.writebuffer.size", "64 parsec").unwrap_err();
        assert_eq!(error.found, "`64 parsec`");
    }

    #[test]
    fn options_without_effect_are_told() {
        let mut options = Options::default();
        let given = [
            ("state.backend.type", "rocksdb"),
            ("state.backend.rocksdb.block.cache-size", "256mb"),
            ("state.backend.rocksdb.bloom-filter.bits-per-key", "12"),
            ("state.backend.rocksdb.writebuffer.size", "32mb"),
        ];
        given.iter().for_each(|(key, value)| options.set(key, value).unwrap());
        let keys: Vec<_> =
            options.without_effect(given.iter().map(|(key, _)| *key)).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["state.backend.rocksdb.block.cache-size", "state.backend.rocksdb.bloom-filter.bits-per-key"]);
    }

    #[test]
    fn budgets_that_cannot_work_are_refused() {
        let mut options = Options::default();
        options.set("state.backend.type", "rocksdb").unwrap();
        options.set("state.backend.rocksdb.memory.fixed-per-slot", "100 kb").unwrap();
        assert_eq!(options.validate().unwrap_err().path, "state.backend.rocksdb.memory.fixed-per-slot");
        options.set("state.backend.rocksdb.memory.fixed-per-slot", "64 mb").unwrap();
        options.set("state.backend.rocksdb.writebuffer.number-to-merge", "2").unwrap();
        assert_eq!(options.validate().unwrap_err().path, "state.backend.rocksdb.writebuffer.number-to-merge");
    }
}
