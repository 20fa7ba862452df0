//! The result file: one JSON document, versioned, that everything after a run reads.

mod latency;
mod manifest;
mod metric;
mod schema;
mod text;

pub use latency::{Latency, LatencySummary};
pub use manifest::{BuildInfo, Host, Manifest};
pub use metric::{Better, Kind, METRICS, Metric, Unit};
pub use schema::{
    AccessLatency, Agreement, LoadError, Measurement, Outcome, RunResult, SCHEMA_VERSION, Timing, TimingStrategy,
    Trial, VariantInfo,
};
pub use text::{printable, printable_lines};
