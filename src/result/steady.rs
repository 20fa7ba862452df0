//! Whether a trial had settled when it was measured, and what its working set was served from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Trend;

/// What a check of the measured part says of the warm-up, which is declared and the same for all sides: the check changes
/// nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Steadiness {
    /// How throughput went over the measured part.
    pub course: Course,
    /// What had not settled; empty where all had.
    pub unsettled: Vec<Unsettled>,
    /// The warm-up that would have done, s, where throughput at the beginning of the measured part is not that of the rest: by
    /// MSER-5 over the intervals (modelled). None where it is, and where throughput never settled.
    pub warm_up_s: Option<f64>,
    /// What becomes of the 99th percentile of the intervals if the run goes on like this, ns and days of the machine's clock.
    pub latency_trend: Trend,
    /// Compactions that began in the measured part: a run that covers few of them measures parts of a cycle.
    pub compactions: usize,
}

/// How throughput went over the measured part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// Too few intervals to tell: fewer than 20.
    TooShort,
    /// It stayed.
    Flat,
    /// It rose.
    Warming,
    /// It fell.
    Slowing,
}

/// A figure whose median over the last quarter of the measured part is not that over the third.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unsettled {
    /// The figure: `throughput`, `block cache hit rate` or `size of the table files`.
    pub figure: String,
    /// Median of the third quarter: events a second, a share, or bytes.
    pub third_quarter: f64,
    /// Median of the last quarter.
    pub last_quarter: f64,
}

impl Steadiness {
    /// Whether something had not settled.
    pub fn is_unsteady(&self) -> bool {
        !self.unsettled.is_empty() || self.warm_up_s.is_some()
    }
}

impl std::fmt::Display for Steadiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, Unsettled { figure, third_quarter, last_quarter }) in self.unsettled.iter().enumerate() {
            let separator = if position > 0 { ", " } else { "" };
            let change = 100.0 * (last_quarter / third_quarter - 1.0);
            write!(f, "{separator}{figure} changed by {change:+.1} % from the third quarter to the last")?;
        }
        match (self.unsettled.is_empty(), self.warm_up_s) {
            (true, None) => f.write_str("steady"),
            (true, Some(warm_up_s)) => {
                write!(
                    f,
                    "the beginning is not as the rest; a warm-up of {warm_up_s:.1} s would have done (modelled, MSER-5)"
                )
            }
            (false, Some(warm_up_s)) => {
                write!(f, "; a warm-up of {warm_up_s:.1} s would have done (modelled, MSER-5)")
            }
            (false, None) => f.write_str("; no warm-up within this run would have done"),
        }
    }
}

/// What most accesses to the state were served from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServedFrom {
    /// The processor's own caches.
    CpuCache,
    /// Main memory, objects on the heap.
    Memory,
    /// RocksDB's block cache and memtables.
    BlockCache,
    /// The operating system's page cache: a miss of the block cache costs a read from memory and an unpacking.
    PageCache,
    /// The device.
    Disk,
}

impl ServedFrom {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::CpuCache => "CPU cache",
            Self::Memory => "memory",
            Self::BlockCache => "block cache",
            Self::PageCache => "page cache",
            Self::Disk => "disk",
        }
    }
}

/// The working set of a trial, with the figure that decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkingSet {
    /// What most accesses were served from.
    pub served_from: ServedFrom,
    /// Why.
    pub evidence: String,
}
