//! The workload: what arrives, what is done with it, and under which configurations.
//!
//! Wire types (`…Wire`) mirror the TOML and refuse unknown keys; models are valid by construction. Every sampler sits
//! beside the part of the workload that it samples.

mod cdc;
mod checkpoint;
mod clock;
mod configuration;
mod diagnostic;
mod document;
mod execution;
mod flink_config;
mod flink_file;
mod gc_model;
mod inputs;
mod invalid;
mod keys;
mod load;
pub mod nexmark;
mod operator;
mod options;
mod phase;
mod pipeline;
mod plan;
mod random;
mod schedule;
mod shorthand;
mod state;
mod trace;
mod units;
mod values;
mod window;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

use crate::state::{StateTtl, StateTtls, StateVisibility};

pub use cdc::{CdcOrders, CdcOrdersWire};
pub use checkpoint::{
    CheckpointClock, CheckpointTrigger, CheckpointWire, Checkpointing, SavepointFormat, SavepointPlan, SavepointWire,
    check_options as check_checkpoint_options, job_sections,
};
pub use clock::{Now, TimeWire, VirtualClock};
pub use configuration::{Configuration, ConfigurationWire, short_key};
pub use diagnostic::{Diagnostic, folder_of};
pub use document::Document;
pub use execution::{Amount, Extent, PrefillBy, Run, RunWire};
pub use flink_config::{FlinkSource, KeyKind, StateKeys, current_name, flink_value, set_from_flink};
pub use flink_file::{Dialect, Entry, FlinkFile};
pub use gc_model::{GcModel, GcModelWire};
pub use inputs::{Inputs, Retractions, RuleSet, VALUE_RANGE};
pub use invalid::{Invalid, check_range, nearest};
pub use keys::{Distribution, DistributionWire, KeySampler, KeyType, Keys, KeysWire, SampledKey};
pub use load::{ArrivalTimes, ArrivalsWire, Load, LoadWire};
pub use nexmark::{AuctionField, BidField, Mapped, Nexmark, NexmarkWire, PersonField};
pub use operator::{
    AggregateFunction, IntervalBounds, KeptRow, Mix, MixOperation, MixPreset, OffsetsRedistribution, Operator,
    OperatorWire, ReduceFunction, SourcePartitions,
};
pub use options::{
    BackendType, ChangelogPlace, CheckpointStorage, ClaimMode, CompactionStyle, Compression, FlinkVersion, JobShape,
    KnownKey, LocalDir, LogLevel, METRICS_PREFIX, MemoryPool, NativeMetric, OPTIONS, OptionRow, Options, PoolScope,
    PredefinedOptions, ROCKSDB_LEVELS, Reader, TaskManagerMemory, TimerServiceFactory, Versions, cache_shards,
    divide_pool, index_eviction_chance, index_may_fall_off, native_metrics, pool_that_keeps,
};
pub use phase::{Phase, PhaseWire, ROUND_EVENTS};
pub use pipeline::{RowField, Step, StepWire};
pub use plan::{Cell, Plan, PlannedTrial, Setting, Variant};
pub use random::{Permutation, Rng, Stream, Zipf, below, shuffled, unit};
pub use schedule::{Conditions, Schedule};
pub use shorthand::Shorthand;
pub use state::{CleanupWire, StateWire, TtlWire};
pub use trace::{KeyColumns, MissingPolicy, TimeFormat, Trace, TraceFormat, TraceWire};
pub use units::{Bytes, Time, TimeOffset};
pub use values::{PayloadMaker, SizeDistribution, SizeWire, Values, ValuesWire};
pub use window::{SessionWindows, SlidingWindows, WindowContents, WindowTime, Windows};

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
    /// Several operators, each keyed by its own key, in place of one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pipeline: Vec<StepWire>,
    /// How it is run.
    pub run: RunWire,
    /// An open loop; without it an event comes when the last is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadWire>,
    /// What the model of a JVM's garbage collector is asked, of the trials of the heap backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gc_model: Option<GcModelWire>,
    /// Successive parts of the measured run, in place of `run.events`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phase: Vec<PhaseWire>,
    /// Checkpoints and savepoints of the measured part.
    pub checkpoint: CheckpointWire,
    /// Backends with their options, in Flink's own keys; the heap and RocksDB with Flink's defaults where none is given.
    pub configuration: Vec<ConfigurationWire>,
    /// Lists of values to combine: each key is a Flink option or a path in this file (`keys.cardinality`).
    pub matrix: BTreeMap<String, Vec<serde_json::Value>>,
}

impl WorkloadWire {
    /// What of the job options can have an effect on; a choice of a matrix counts as much as the file's own.
    pub fn job_shape(&self) -> JobShape {
        let sets_ttl = |path: &String| path.contains("states.") && path.contains(".ttl");
        JobShape {
            has_ttl: self.all_states().iter().any(|(_, state)| state.ttl.is_some()) || self.matrix.keys().any(sets_ttl),
            has_timers: self.operator.0.has_timers() || self.pipeline.iter().any(|step| step.operator.0.has_timers()),
            counts_to_checkpoints: self.checkpoint.every_events.is_some(),
            takes_savepoint: self.checkpoint.savepoint.is_some(),
            restores: self.checkpoint.restore_from.is_some(),
        }
    }

    fn check_that_only_the_pipeline_has_operators(&self) -> Result<(), Invalid> {
        let allowed = "nothing beside `pipeline`, whose operators say it";
        if self.operator != Shorthand::default() {
            return Err(Invalid::key("operator", format!("`{}`", self.operator.0.name()), allowed));
        }
        match self.states.keys().next() {
            Some(name) => Err(Invalid::key("states", format!("the state `{name}`"), allowed)),
            None => Ok(()),
        }
    }

    /// What the file says of states, with the path to each: of the operator, or of all operators of a pipeline.
    pub(crate) fn all_states(&self) -> Vec<(String, &StateWire)> {
        let mut all: Vec<_> = self.states.iter().map(|(name, state)| (format!("states.{name}"), state)).collect();
        for (index, step) in self.pipeline.iter().enumerate() {
            all.extend(step.states.iter().map(|(name, state)| (format!("pipeline[{index}].states.{name}"), state)));
        }
        all
    }

    /// Shrinks the workload to what shows in a few seconds that it runs.
    fn shrink(&mut self) {
        const EVENTS: u64 = 50_000;
        const KEYS: u64 = 2_000;
        let run = &mut self.run;
        run.repeats = 1;
        run.duration = None;
        if self.phase.is_empty() {
            run.events = Some(run.events.map_or(EVENTS, |events| events.min(EVENTS)));
        }
        let of_phase = EVENTS / self.phase.len().max(1) as u64;
        for phase in &mut self.phase {
            phase.events = phase.events.map(|events| events.min(of_phase));
        }
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
    /// Nexmark's auction site, generated from the seed: people, auctions and bids in its proportions, with hot keys that
    /// move on.
    Nexmark(NexmarkWire),
    /// The change stream of a table of orders and of their customers, generated from the seed.
    CdcOrders(CdcOrdersWire),
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
    /// Nexmark's auction site.
    Nexmark(Nexmark),
    /// The change stream of orders and customers.
    CdcOrders(CdcOrders),
    /// Read from a file.
    Trace(Trace),
}

impl Source {
    /// Whose keys the source brings along, where they are not those of the section `keys`.
    fn own_keys(&self) -> Option<&'static str> {
        match self {
            Self::Generated | Self::CdcOrders(_) => None,
            Self::Nexmark(_) => Some("Nexmark"),
            Self::Trace(_) => Some("a trace"),
        }
    }

    /// How many streams it is of its own; what is generated has as many as the operator has inputs.
    fn streams(&self) -> u64 {
        match self {
            Self::Nexmark(nexmark) => nexmark.streams(),
            Self::CdcOrders(_) => 2,
            Self::Generated | Self::Trace(_) => 1,
        }
    }
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
    /// The operator, or the first of a pipeline.
    pub operator: Operator,
    /// Its states that expire.
    pub ttls: StateTtls,
    /// The operators of a pipeline behind the first.
    pub later: Vec<Step>,
    /// How it is run.
    pub run: Run,
    /// The parts of the measured run; empty where it has none.
    pub phases: Vec<Phase>,
    /// The open loop; none where the loop is closed.
    pub load: Option<Load>,
    /// What the model of a JVM's garbage collector is asked; none where the file does not say.
    pub gc_model: Option<GcModel>,
    /// Checkpoints and savepoints.
    pub checkpoint: Checkpointing,
}

/// How often the state of a workload that says something of its states is counted.
const GROWTH_SAMPLES: u16 = 32;

impl Workload {
    /// Checks the wire form. A trace's path starts from `folder`.
    ///
    /// # Errors
    /// The first value that is not allowed, by its path in the file.
    pub fn new(wire: &WorkloadWire, folder: &Path) -> Result<Self, Invalid> {
        let source = match &wire.source.0 {
            SourceWire::Generated {} => Source::Generated,
            SourceWire::Nexmark(nexmark) => {
                Source::Nexmark(Nexmark::new(nexmark).map_err(|invalid| invalid.within("source.nexmark"))?)
            }
            SourceWire::CdcOrders(orders) => {
                Source::CdcOrders(CdcOrders::new(orders).map_err(|invalid| invalid.within("source.cdc-orders"))?)
            }
            SourceWire::Trace(trace) => {
                Source::Trace(Trace::new(trace, folder).map_err(|invalid| invalid.within("source.trace"))?)
            }
        };
        let disorder_ms = match &source {
            Source::Generated | Source::Nexmark(_) | Source::CdcOrders(_) => None,
            Source::Trace(trace) => Some(trace.disorder_ms()),
        };
        let ids = if let Source::Nexmark(nexmark) = &source { Some(nexmark.id_limit()) } else { None };
        let clock = VirtualClock::new(&wire.time, disorder_ms).map_err(|invalid| invalid.within("time"))?;
        let mut later = pipeline::steps(&wire.pipeline)?;
        let (mut operator, ttls) = if later.is_empty() {
            let operator = Operator::new(&wire.operator)?;
            let ttls = state::ttls(&wire.states, operator.states()).map_err(|invalid| invalid.within("states"))?;
            (operator, ttls)
        } else {
            wire.check_that_only_the_pipeline_has_operators()?;
            let first = later.remove(0);
            (first.operator, first.ttls)
        };
        let phases = Phase::all(&wire.phase, &clock)?;
        if let Operator::Mix(mix) = &mut operator {
            phases.iter().filter_map(|phase| phase.shares.as_ref()).for_each(|shares| mix.note_phase(shares));
        }
        let keys = Keys::new(&wire.keys, ids).map_err(|invalid| invalid.within("keys"))?;
        let mut run = run_of(wire, &phases, &source).map_err(|invalid| invalid.within("run"))?;
        if !wire.pipeline.is_empty() && wire.run.prefill.is_none() {
            run.prefill = 0.0;
        }
        let mut workload = Self {
            source,
            keys,
            values: Values::new(&wire.values).map_err(|invalid| invalid.within("values"))?,
            clock,
            ttls,
            operator,
            later,
            load: wire.load.as_ref().map(Load::new).transpose().map_err(|invalid| invalid.within("load"))?,
            gc_model: wire
                .gc_model
                .as_ref()
                .map(GcModel::new)
                .transpose()
                .map_err(|invalid| invalid.within("gc-model"))?,
            checkpoint: Checkpointing::new(&wire.checkpoint, run.measured)
                .map_err(|invalid| invalid.within("checkpoint"))?,
            run,
            phases,
        };
        if workload.checkpoint.restore_from.is_some() {
            workload.run.repeats = 1;
        }
        if wire.run.growth_samples.is_none() && !wire.all_states().is_empty() {
            workload.run.growth_samples = GROWTH_SAMPLES;
        }
        workload.check_combination(wire)?;
        Ok(workload)
    }

    /// What no section shows alone.
    fn check_combination(&self, wire: &WorkloadWire) -> Result<(), Invalid> {
        if let Some(owner) = self.source.own_keys() {
            let defaults = KeysWire { key_type: wire.keys.key_type.clone(), ..KeysWire::default() };
            if wire.keys != defaults {
                let allowed = format!("only `type`: {owner} brings its own keys");
                return Err(Invalid::new("keys", "settings of generated keys", allowed));
            }
            if self.run.prefill > 0.0 {
                return Err(Invalid::new("run.prefill", self.run.prefill, format!("0: {owner} brings its own keys")));
            }
        }
        if self.operator == Operator::ChangelogJoin && !matches!(self.source, Source::CdcOrders(_)) {
            let allowed = "`changelog-join` over `source.cdc-orders`: it needs changes of two tables";
            return Err(Invalid::new("operator", "`changelog-join` over another source", allowed));
        }
        if !self.later.is_empty() && self.run.prefill > 0.0 {
            let allowed = "0: a pipeline fills its states by its own events";
            return Err(Invalid::new("run.prefill", self.run.prefill, allowed));
        }
        if matches!(self.source, Source::Nexmark(_)) && wire.values.size != ValuesWire::default().size {
            let found = "sizes of generated values";
            return Err(Invalid::new("values.size", found, "nothing: Nexmark's records have sizes of their own"));
        }
        if matches!(self.source, Source::Trace(_)) && matches!(self.operator, Operator::Mix(_)) {
            let allowed = "`mix` over generated events: a trace names no operations";
            return Err(Invalid::new("operator", "`mix` over a trace", allowed));
        }
        self.check_inputs()?;
        self.check_phases()?;
        if !self.ttls.is_empty() && self.run.prefill_by == PrefillBy::Ingest && self.prefill_keys() > 0 {
            let allowed = "\"puts\" where states have a TTL: what is ingested has no times";
            return Err(Invalid::new("run.prefill-by", "\"ingest\"", allowed));
        }
        if self.run.prefill_by == PrefillBy::Ingest && wire.operator.0.has_timers() && self.prefill_keys() > 0 {
            let allowed = "\"puts\" for an operator with timers: what is ingested has none";
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
        if self.operator.is_source() && wire.run.prefill.is_some_and(|share| share > 0.0) {
            let allowed = "0: a source has no state of keys";
            return Err(Invalid::new("run.prefill", self.run.prefill, allowed));
        }
        if self.operator.has_windows() {
            if wire.run.prefill.is_some_and(|share| share > 0.0) {
                let allowed = "0: windows open with their events, so the warm-up fills the state";
                return Err(Invalid::new("run.prefill", self.run.prefill, allowed));
            }
            if let Some(state) = self.ttls.keys().next() {
                let allowed = "none: a window's state goes with the window, and Flink gives it no TTL";
                return Err(Invalid::new(&format!("states.{state}.ttl"), "a TTL", allowed));
            }
        }
        Ok(())
    }

    /// Whether the source has as many streams as the operator has inputs.
    fn check_inputs(&self) -> Result<(), Invalid> {
        if self.operator.is_source() && self.source.streams() > 1 {
            let allowed =
                "a source of one stream, such as one of Nexmark's: an operator that reads a topic has no other";
            return Err(Invalid::new("operator", "`source-offsets` over several streams", allowed));
        }
        match (self.operator.inputs(), &self.source) {
            (Inputs::One, _) | (_, Source::Generated) | (Inputs::Two { .. }, Source::CdcOrders(_)) => Ok(()),
            (Inputs::Two { .. }, Source::Nexmark(nexmark)) if nexmark.streams() == 2 => Ok(()),
            (Inputs::Two { .. }, Source::Nexmark(_)) => {
                let found = "another number of streams";
                let allowed = "two of `person`, `auction` and `bid` for an operator of two inputs";
                Err(Invalid::new("source.nexmark", found, allowed))
            }
            (Inputs::Rules(_), _) => {
                let allowed = "generated events: no other source has rules";
                Err(Invalid::new("operator", "`broadcast-rules` over another source", allowed))
            }
            (Inputs::Two { .. }, Source::Trace(_)) => {
                let allowed = "an operator of one input: a trace is one";
                Err(Invalid::new("operator", "an operator of two inputs over a trace", allowed))
            }
        }
    }

    /// What a phase does not show alone.
    fn check_phases(&self) -> Result<(), Invalid> {
        if matches!(self.source, Source::Trace(_)) && !self.phases.is_empty() {
            return Err(Invalid::new("phase", "phases of a trace", "none: a trace brings its own times"));
        }
        let shifts = self.source == Source::Generated && self.keys.has_hot_set();
        for (index, phase) in self.phases.iter().enumerate() {
            let here = |invalid: Invalid| invalid.within(&format!("phase[{index}]"));
            if phase.shares.is_some() && !matches!(self.operator, Operator::Mix(_)) {
                return Err(here(Invalid::key("mix", "shares", "shares for the operator `mix` alone")));
            }
            if phase.shift_keys > 0.0 && !shifts {
                let allowed = "0, or keys whose distribution is `zipf`, `hotspot` or `exponential`";
                return Err(here(Invalid::new("shift-keys", phase.shift_keys, allowed)));
            }
        }
        Ok(())
    }

    /// What makes the payloads of events; none where the operator stores none.
    pub fn payload_maker(&self) -> Option<PayloadMaker> {
        self.operator.stores_payload().then(|| PayloadMaker::new(&self.values, self.run.seed))
    }

    /// Whether what is seen may depend on background work, so that results cannot be compared.
    pub fn may_see_expired(&self) -> bool {
        self.all_ttls().any(|ttl| ttl.visibility == StateVisibility::ReturnExpiredIfNotCleanedUp)
    }

    /// The TTLs of all states of all operators.
    pub fn all_ttls(&self) -> impl Iterator<Item = &StateTtl> {
        self.ttls.values().chain(self.later.iter().flat_map(|step| step.ttls.values()))
    }

    /// The keys to prefill: none where keys, or the windows that they are in, come and go, or where state is of no key.
    pub fn prefill_keys(&self) -> u64 {
        if self.keys.is_ephemeral() || self.operator.has_windows() || self.operator.is_source() {
            return 0;
        }
        (self.keys.cardinality as f64 * self.run.prefill).round() as u64
    }
}

/// The run, which is as long as its phases where it has some.
fn run_of(wire: &WorkloadWire, phases: &[Phase], source: &Source) -> Result<Run, Invalid> {
    if phases.is_empty() {
        return Run::new(&wire.run, source);
    }
    let refuse = |path: &str, found: String| {
        Err(Invalid::new(path, found, "nothing beside `[[phase]]`: each has its own `events`"))
    };
    if let Some(duration) = wire.run.duration {
        return refuse("duration", duration.to_string());
    }
    if let Some(events) = wire.run.events {
        return refuse("events", events.to_string());
    }
    let events = phases.iter().map(|phase| phase.events).sum();
    Run::new(&RunWire { events: Some(events), ..wire.run.clone() }, source)
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
            ("source = 'nexmark'\nkeys.distribution = 'zipf'".to_owned(), "keys"),
            ("source = 'nexmark'\nrun.prefill = 0.5".to_owned(), "run.prefill"),
            ("source = 'nexmark'\nvalues.size = 5".to_owned(), "values.size"),
            ("source = 'nexmark'\noperator = 'regular-join'".to_owned(), "source.nexmark"),
            ("source = 'nexmark'\noperator = 'broadcast-rules'".to_owned(), "operator"),
            ("source.nexmark = { auction = {}, bid = {} }\noperator = 'source-offsets'".to_owned(), "operator"),
            ("source = 'cdc-orders'\noperator = 'source-offsets'".to_owned(), "operator"),
            ("operator = 'source-offsets'\nrun.prefill = 0.5".to_owned(), "run.prefill"),
            ("operator = 'interval-join'\nrun.prefill-by = 'ingest'".to_owned(), "run.prefill-by"),
            (format!("{trace}operator = 'regular-join'"), "operator"),
            (format!("{trace}phase = [{{ name = 'a', events = 5 }}]"), "phase"),
            ("run.events = 5\nphase = [{ name = 'a', events = 5 }]".to_owned(), "run.events"),
            ("run.duration = '5 s'\nphase = [{ name = 'a', events = 5 }]".to_owned(), "run.duration"),
            ("run.warm-up = '5 s'\nphase = [{ name = 'a', events = 5 }]".to_owned(), "run.warm-up"),
            ("phase = [{ name = 'a', events = 5, mix = { read = 1 } }]".to_owned(), "phase[0].mix"),
            ("phase = [{ name = 'a', events = 5, shift-keys = 0.5 }]".to_owned(), "phase[0].shift-keys"),
            ("keys.distribution = 'ephemeral'\nrun.prefill = 0.5".to_owned(), "run.prefill"),
            ("operator = 'tumbling-window'\nrun.prefill = 0.5".to_owned(), "run.prefill"),
            (
                "operator = 'session-window'\nstates.window-contents.ttl.time = 5".to_owned(),
                "states.window-contents.ttl",
            ),
        ] {
            assert_eq!(workload(&text).unwrap_err().path, path, "{text}");
        }
        assert!(workload("keys.absent = 0.1\noperator.mix.preset = 'ycsb-b'").is_ok());
        assert_eq!(workload("operator = 'sliding-window'").unwrap().prefill_keys(), 0);
        let nexmark = workload("source = 'nexmark'\noperator.mix.preset = 'ycsb-b'\nkeys.type.string.length = 20");
        assert_eq!(nexmark.unwrap().prefill_keys(), 0);
    }
}
