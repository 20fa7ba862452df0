//! The workload: what arrives, what is done with it, and under which configurations.
//!
//! Wire types (`…Wire`) mirror the TOML and refuse unknown keys; models are valid by construction. Every sampler sits
//! beside the part of the workload that it samples.

mod clock;
mod configuration;
mod diagnostic;
mod document;
mod execution;
mod flink_config;
mod flink_file;
mod invalid;
mod keys;
mod operator;
mod options;
mod plan;
mod random;
mod shorthand;
mod state;
mod trace;
mod units;
mod values;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

use crate::state::StateTtls;

pub use clock::{Now, TimeWire, VirtualClock};
pub use configuration::{Configuration, ConfigurationWire, short_key};
pub use diagnostic::{Diagnostic, folder_of};
pub use document::Document;
pub use execution::{Amount, Extent, PrefillBy, Run, RunWire};
pub use flink_config::{FlinkSource, KeyKind, StateKeys, current_name, flink_value, set_from_flink};
pub use flink_file::{Dialect, Entry, FlinkFile};
pub use invalid::{Invalid, check_range, nearest};
pub use keys::{Distribution, DistributionWire, KeySampler, KeyType, Keys, KeysWire, SampledKey};
pub use operator::{AggregateFunction, KeptRow, Mix, MixOperation, MixPreset, Operator, OperatorWire, ReduceFunction};
pub use options::{
    BackendType, CheckpointStorage, CompactionStyle, Compression, FlinkVersion, KnownKey, LocalDir, LogLevel,
    METRICS_PREFIX, MemoryPool, NativeMetric, OPTIONS, OptionRow, Options, PoolScope, PredefinedOptions,
    ROCKSDB_LEVELS, Reader, TaskManagerMemory, Versions, cache_shards, divide_pool, index_eviction_chance,
    index_may_fall_off, native_metrics, pool_that_keeps,
};
pub use plan::{Cell, Plan, PlannedTrial, Setting, Variant};
pub use random::{Permutation, Rng, Stream, Zipf};
pub use shorthand::Shorthand;
pub use state::{CleanupWire, StateWire, TtlWire};
pub use trace::{KeyColumns, MissingPolicy, TimeFormat, Trace, TraceFormat, TraceWire};
pub use units::{Bytes, Time};
pub use values::{PayloadMaker, SizeDistribution, SizeWire, Values, ValuesWire};

/// A workload file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct WorkloadWire {
    /// Name of the workload; the file's name where it is not set.
    pub name: Option<String>,
    /// What job it stands for.
    pub description: Option<String>,
    /// Where events come from.
    pub source: Shorthand<SourceWire>,
    /// Keys of generated events.
    pub keys: KeysWire,
    /// Values of generated events.
    pub values: ValuesWire,
    /// The virtual clock.
    pub time: TimeWire,
    /// What is done with each event.
    pub operator: Shorthand<OperatorWire>,
    /// What holds for single states of the operator, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub states: BTreeMap<String, StateWire>,
    /// How it is run.
    pub run: RunWire,
    /// Backends with their options, in Flink's own keys; the heap and RocksDB with Flink's defaults where none is given.
    pub configuration: Vec<ConfigurationWire>,
    /// Lists of values to combine: each key is a Flink option or a path in this file (`keys.cardinality`).
    pub matrix: BTreeMap<String, Vec<serde_json::Value>>,
}

impl WorkloadWire {
    /// Shrinks the workload to what shows in a few seconds that it runs.
    fn shrink(&mut self) {
        const EVENTS: u64 = 50_000;
        const KEYS: u64 = 2_000;
        let run = &mut self.run;
        run.repeats = 1;
        run.duration = None;
        run.events = Some(run.events.map_or(EVENTS, |events| events.min(EVENTS)));
        run.warm_up = Some(Amount::Events(EVENTS / 10));
        run.counters = Some(run.counters.unwrap_or(false));
        if matches!(self.source.0, SourceWire::Generated {}) {
            self.keys.cardinality = self.keys.cardinality.min(KEYS);
        }
    }
}

/// Where events come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceWire {
    /// Generated from the seed, by the sections `keys` and `values`.
    Generated {},
    /// Read from a file of events.
    Trace(TraceWire),
}

impl Default for SourceWire {
    fn default() -> Self {
        Self::Generated {}
    }
}

/// Where events come from, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Generated.
    Generated,
    /// Read from a file.
    Trace(Trace),
}

/// What arrives, what is done with it and how it is run, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// The source of events.
    pub source: Source,
    /// Keys of generated events; their type holds for a trace too.
    pub keys: Keys,
    /// Values.
    pub values: Values,
    /// The virtual clock.
    pub clock: VirtualClock,
    /// The operator.
    pub operator: Operator,
    /// The states that expire.
    pub ttls: StateTtls,
    /// How it is run.
    pub run: Run,
}

impl Workload {
    /// Checks the wire form. A trace's path starts from `folder`.
    ///
    /// # Errors
    /// The first value that is not allowed, by its path in the file.
    pub fn new(wire: &WorkloadWire, folder: &Path) -> Result<Self, Invalid> {
        let source = match &wire.source.0 {
            SourceWire::Generated {} => Source::Generated,
            SourceWire::Trace(trace) => {
                Source::Trace(Trace::new(trace, folder).map_err(|invalid| invalid.within("source.trace"))?)
            }
        };
        let from_trace = matches!(source, Source::Trace(_));
        let disorder_ms = match &source {
            Source::Generated => None,
            Source::Trace(trace) => Some(trace.disorder_ms()),
        };
        let clock = VirtualClock::new(&wire.time, disorder_ms).map_err(|invalid| invalid.within("time"))?;
        let operator = Operator::new(&wire.operator)?;
        let keys = Keys::new(&wire.keys).map_err(|invalid| invalid.within("keys"))?;
        let workload = Self {
            source,
            keys,
            values: Values::new(&wire.values).map_err(|invalid| invalid.within("values"))?,
            clock,
            ttls: state::ttls(&wire.states, operator.states()).map_err(|invalid| invalid.within("states"))?,
            operator,
            run: Run::new(&wire.run, from_trace).map_err(|invalid| invalid.within("run"))?,
        };
        workload.check_combination(wire)?;
        Ok(workload)
    }

    /// What no section shows alone.
    fn check_combination(&self, wire: &WorkloadWire) -> Result<(), Invalid> {
        let from_trace = matches!(self.source, Source::Trace(_));
        if from_trace {
            let defaults = KeysWire { key_type: wire.keys.key_type.clone(), ..KeysWire::default() };
            if wire.keys != defaults {
                let allowed = "only `type`: the keys come from the trace";
                return Err(Invalid::new("keys", "settings of generated keys", allowed));
            }
            if self.run.prefill > 0.0 {
                return Err(Invalid::new("run.prefill", self.run.prefill, "0: a trace brings its own keys"));
            }
            if matches!(self.operator, Operator::Mix(_)) {
                let found = "`mix` over a trace";
                return Err(Invalid::new(
                    "operator",
                    found,
                    "`mix` over generated events: a trace names no operations",
                ));
            }
        }
        if !self.ttls.is_empty() && self.run.prefill_by == PrefillBy::Ingest && self.prefill_keys() > 0 {
            let allowed = "\"puts\" where states have a TTL: what is ingested has no times";
            return Err(Invalid::new("run.prefill-by", "\"ingest\"", allowed));
        }
        let only_reads = match &self.operator {
            Operator::Mix(mix) => mix.has(MixOperation::Read),
            _ => false,
        };
        if self.keys.absent > 0.0 && !only_reads {
            let allowed = "0, or a `mix` with reads: the other operators write every key that they see";
            return Err(Invalid::new("keys.absent", self.keys.absent, allowed));
        }
        if self.keys.is_ephemeral() && wire.run.prefill.is_some_and(|share| share > 0.0) {
            return Err(Invalid::new("run.prefill", self.run.prefill, "0: ephemeral keys are never there before"));
        }
        Ok(())
    }

    /// The keys to prefill: none where keys come and go.
    pub fn prefill_keys(&self) -> u64 {
        if self.keys.is_ephemeral() {
            return 0;
        }
        (self.keys.cardinality as f64 * self.run.prefill).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(text: &str) -> Result<Workload, Invalid> {
        Workload::new(&toml::from_str(text).unwrap(), Path::new("."))
    }

    #[test]
    fn everything_has_a_default() {
        let workload = workload("").unwrap();
        assert_eq!(workload.operator, Operator::Counter);
        assert_eq!(workload.prefill_keys(), workload.keys.cardinality);
    }

    #[test]
    fn contradictions_between_sections_are_refused() {
        let trace = "source.trace = { path = 'a.csv', time = 't', key = 'k' }\n";
        for (text, path) in [
            ("keys.absent = 0.1".to_owned(), "keys.absent"),
            (format!("{trace}keys.cardinality = 5"), "keys"),
            (format!("{trace}run.prefill = 1.0"), "run.prefill"),
            (format!("{trace}operator.mix.preset = 'ycsb-a'"), "operator"),
            ("keys.distribution = 'ephemeral'\nrun.prefill = 0.5".to_owned(), "run.prefill"),
        ] {
            assert_eq!(workload(&text).unwrap_err().path, path, "{text}");
        }
        assert!(workload("keys.absent = 0.1\noperator.mix.preset = 'ycsb-b'").is_ok());
    }
}
