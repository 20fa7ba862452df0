//! The values that options take, each with how it is spelled and what is allowed.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::workload::{Bytes, Time};

/// A value that an option can take.
pub(super) trait OptionValue: Sized + Display {
    /// What is allowed, for messages.
    const ALLOWED: &'static str;
    fn parse(text: &str) -> Option<Self>;
}

/// Values whose text is checked by a condition only.
macro_rules! parsed_values {
    ($($type:ty, $allowed:literal, $accept:expr;)*) => {$(
        impl OptionValue for $type {
            const ALLOWED: &'static str = $allowed;
            fn parse(text: &str) -> Option<Self> {
                let accept: fn(&Self) -> bool = $accept;
                text.parse().ok().filter(accept)
            }
        }
    )*};
}
parsed_values! {
    Bytes, "a size such as 4096, 64kb, 256 mb or 2g", |_| true;
    Time, "a time such as 500 ms, 60 s, 10 min or 7 d", |_| true;
    bool, "true or false", |_| true;
    i32, "a whole number from -1 to 2147483647", |number| *number >= -1;
    i64, "a whole number from -1 to 9223372036854775807", |number| *number >= -1;
    u32, "a whole number from 0 to 4294967295", |_| true;
    u16, "a whole number from 1 to 65535", |number| *number >= 1;
    f64, "a number from 0 to 100", |number| (0.0..=100.0).contains(number);
}

/// A transparent value that prints as what it holds.
macro_rules! wrapped_values {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
        impl Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
wrapped_values! {
    /// A share from 0 to 1.
    #[derive(Copy)]
    Share(f64);
    /// A fraction of memory below 1, single precision as in Flink: 0.4 is 0.4000000059….
    #[derive(Copy)]
    Fraction(f32);
    /// A text that Flink reads and a run does not: a path, a class, a list.
    Text(String);
    /// Weights of the consumers of managed memory, such as `OPERATOR:70,STATE_BACKEND:70,PYTHON:30`.
    Weights(String);
    /// A time that only may be 0: what it turns on is not supported.
    #[derive(Copy)]
    NoTime(Time);
}

impl OptionValue for Share {
    const ALLOWED: &'static str = "a number from 0 to 1";
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).map(Self)
    }
}
impl OptionValue for Fraction {
    const ALLOWED: &'static str = "a number from 0 to less than 1";
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|fraction| (0.0..1.0).contains(fraction)).map(Self)
    }
}
impl OptionValue for Text {
    const ALLOWED: &'static str = "a text";
    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains(char::is_control)).then(|| Self(text.to_owned()))
    }
}
impl OptionValue for Weights {
    const ALLOWED: &'static str =
        "weights such as OPERATOR:70,STATE_BACKEND:70,PYTHON:30, with that of STATE_BACKEND above 0";
    fn parse(text: &str) -> Option<Self> {
        let weight = |part: &str| {
            let (name, weight) = part.split_once(':')?;
            let known = ["OPERATOR", "STATE_BACKEND", "PYTHON"].contains(&name.trim());
            weight.trim().parse::<u32>().ok().filter(|_| known).map(|weight| (name.trim().to_owned(), weight))
        };
        let weights: Vec<_> = text.split(',').map(weight).collect::<Option<_>>()?;
        weights.iter().any(|(name, weight)| name == "STATE_BACKEND" && *weight > 0).then(|| Self(text.to_owned()))
    }
}
impl OptionValue for NoTime {
    const ALLOWED: &'static str = "0 ms: statebench does not support what it turns on";
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|time: &Time| time.0.is_zero()).map(Self)
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

/// A directory as an option value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocalDir(pub PathBuf);
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
impl OptionValue for Compressions {
    const ALLOWED: &'static str = "NO_COMPRESSION, SNAPPY_COMPRESSION, LZ4_COMPRESSION, LZ4HC_COMPRESSION or ZSTD_COMPRESSION, one for all \
         levels or several joined by `;`, one for each level";
    fn parse(text: &str) -> Option<Self> {
        text.split(';').map(|name| name.trim().parse().ok()).collect::<Option<Vec<_>>>().map(Self)
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
    /// A profile of RocksDB options, `state.backend.rocksdb.predefined-options`.
    PredefinedOptions, "DEFAULT, SPINNING_DISK_OPTIMIZED, SPINNING_DISK_OPTIMIZED_HIGH_MEM or FLASH_SSD_OPTIMIZED" {
        /// Sets nothing.
        Default = "DEFAULT",
        /// For spinning disks.
        SpinningDisk = "SPINNING_DISK_OPTIMIZED",
        /// For spinning disks and much memory.
        SpinningDiskHighMem = "SPINNING_DISK_OPTIMIZED_HIGH_MEM",
        /// For flash.
        FlashSsd = "FLASH_SSD_OPTIMIZED",
    }
    /// Where timers are kept.
    TimerServiceFactory, "ROCKSDB or HEAP" {
        /// In the database.
        RocksDb = "ROCKSDB",
        /// In a heap queue.
        Heap = "HEAP",
    }
    /// What checkpoints guarantee.
    CheckpointingMode, "EXACTLY_ONCE or AT_LEAST_ONCE" {
        /// Barriers are aligned, or data in flight is kept.
        ExactlyOnce = "EXACTLY_ONCE",
        /// Barriers are not aligned.
        AtLeastOnce = "AT_LEAST_ONCE",
    }
    /// Where checkpoints go.
    CheckpointStorage, "jobmanager or filesystem" {
        /// Into the JobManager's heap.
        JobManager = "jobmanager",
        /// Into the checkpoint directory.
        FileSystem = "filesystem",
    }
    /// Where the changelog goes.
    ChangelogPlace, "memory or filesystem" {
        /// Into the metadata of each checkpoint.
        Memory = "memory",
        /// Into files, most of them ahead of the checkpoint.
        FileSystem = "filesystem",
    }
    /// What becomes of the last checkpoint of a job that is cancelled.
    Retention, "DELETE_ON_CANCELLATION, RETAIN_ON_CANCELLATION or NO_EXTERNALIZED_CHECKPOINTS" {
        /// It goes.
        Delete = "DELETE_ON_CANCELLATION",
        /// It stays.
        Retain = "RETAIN_ON_CANCELLATION",
        /// Flink's default: it goes.
        None = "NO_EXTERNALIZED_CHECKPOINTS",
    }
    /// Who owns the files of the checkpoint that a job is restored from.
    ClaimMode, "NO_CLAIM, CLAIM or LEGACY" {
        /// The user: the first checkpoint is full.
        NoClaim = "NO_CLAIM",
        /// Flink.
        Claim = "CLAIM",
        /// Nobody is sure; deprecated.
        Legacy = "LEGACY",
    }
}
