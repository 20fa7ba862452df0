//! The result file: one JSON document, versioned, that everything after a run reads.

mod cache_curve;
mod checkpoint;
mod consistency;
mod engine;
mod growth;
mod interleaved;
mod latency;
mod manifest;
mod metric;
mod open_loop;
mod phase;
mod process;
mod save;
mod schema;
mod stalls;
mod steady;
mod store;
mod text;
mod timeline;
mod tuning;

pub use cache_curve::{CacheCurve, CachePoint, PoolSize};
pub use checkpoint::{Changelog, CheckpointRecord, Checkpoints, Materialization, Restore};
pub use consistency::contradiction;
pub use engine::{Engine, FlinkCheckpoint, FlinkRun};
pub use growth::{Growth, GrowthSample, Trend, trend};
pub use interleaved::{Contrast, Interleaved, Program, Stop, TrialRun};
pub use latency::{Latency, LatencySummary};
pub use manifest::{BuildInfo, Host, Manifest};
pub use metric::{Better, From, Kind, METRICS, Metric, Shown, Unit};
pub use open_loop::{CONFIRMATIONS, MaxRate, OpenLoop, OpenLoopSample, RateTrial};
pub use phase::PhaseMeasurement;
pub use process::ProcessUse;
pub use save::{save_file, save_json};
pub use schema::{
    AccessLatency, Agreement, ConditionLatency, Firing, HeapMemory, KeyedResult, LoadError, Measurement,
    OperatorMeasurement, OutOfMemory, Outcome, PrefillOrigin, RunResult, SCHEMA_VERSION, SLOW_EVENT_NS, Timing,
    TimingStrategy, Trial, VariantInfo, slow_event_share,
};
pub use stalls::{AllocatorStalls, RehashStalls};
pub use steady::{Course, ServedFrom, Steadiness, Unsettled, WorkingSet};
pub use store::{CachedRole, LevelShape, StoreBudget, StoreCounters, StoreMemory, StoreShape, StoreUse};
pub use text::{printable, printable_lines, significant, with_unit};
pub use timeline::{Episode, EpisodeKind, Interval, StoreSample, Timeline, heat_bounds_ns, heat_bucket};
pub use tuning::{
    Candidate, CandidateStanding, Claim, LimitCheck, OptionWorth, PlainerWinner, Proof, SearchTrial, TunedOption,
    TunedOver, TunedWorkload, Tuning, TuningBudget, TuningLimit, TuningSetup,
};
