//! What a comparison needs of a result.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CompareError;
use crate::result::{
    From, Interleaved, METRICS, Manifest, Measurement, Outcome, RunResult, Steadiness, Trial, contradiction, printable,
};
use crate::state::Digest;
use crate::workload::WorkloadWire;

/// What of a workload file is not the workload: its name, the backends, and how often it is run.
const BESIDE_THE_WORKLOAD: [&str; 9] = [
    "name",
    "description",
    "gc-model",
    "configuration",
    "matrix",
    "run.repeats",
    "run.counters",
    "checkpoint.dir",
    "checkpoint.savepoint.dir",
];

/// The run-level metrics of a result: of each trial a few numbers, without series and histograms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Observations {
    /// Name of the workload.
    pub name: String,
    /// Where and with what it was measured.
    pub manifest: Manifest,
    /// Each workload under each configuration.
    pub cells: Vec<Cell>,
    /// What makes the figures unfit to rely on, a line each.
    pub warnings: Vec<String>,
    /// How its pairs were run and looked at; none where it was no interleaved run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interleaved: Option<Interleaved>,
}

/// One workload under one configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The workload's choices in the matrix; empty without one.
    pub workload: String,
    /// What arrives and what is done with it: values by their paths in the workload file.
    pub definition: BTreeMap<String, String>,
    /// Name of the configuration, with its choices in the matrix.
    pub configuration: String,
    /// Every option of the configuration with its value, folders of the machine left out.
    pub options: BTreeMap<String, String>,
    /// The finished trials.
    pub trials: Vec<Observation>,
    /// Trials that failed or were interrupted.
    pub failed: u64,
    /// Trials whose state would not have fit the Java heap.
    pub out_of_memory: u64,
}

/// One finished trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // facts of a trial that have nothing to do with each other
pub struct Observation {
    /// Which repeat it is, from 0.
    pub repeat: u32,
    /// Whether RocksDB's counters were on.
    pub companion: bool,
    /// The seed of its event stream.
    pub seed: u64,
    /// How long it took with everything, s; none where the result does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_s: Option<f64>,
    /// Whether more than 1 % of its events took over 300 µs.
    pub slow: bool,
    /// Whether events arrived faster than they could be done, so that response times mean nothing.
    pub saturated: bool,
    /// Whether the check of the declared warm-up found something that had not settled.
    #[serde(default)]
    pub unsteady: bool,
    /// Metrics by name, of those that this kind of trial stands for.
    pub metrics: BTreeMap<String, f64>,
    /// What noise cannot change.
    pub exact: Vec<Exact>,
}

/// A quantity that follows from the events alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exact {
    /// What it is.
    pub quantity: Quantity,
    /// Events after which it was taken, warm-up included.
    pub after_events: u64,
    /// Its value.
    pub value: ExactValue,
}

/// What is compared exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Digest over all emitted results.
    EmittedDigest,
    /// Digest over the state.
    StateDigest,
    /// Full size of a checkpoint of the heap, bytes.
    HeapCheckpointBytes,
    /// Size of a full checkpoint of the heap at the end of the measured part, without serializers, bytes.
    HeapStateBytes,
    /// Size of a canonical savepoint, bytes.
    CanonicalSavepointBytes,
    /// Trials whose state would not have fit the Java heap.
    OutOfMemoryTrials,
}

impl Quantity {
    /// Its name in files, with its unit last.
    pub fn name(self) -> &'static str {
        match self {
            Self::EmittedDigest => "emitted_digest",
            Self::StateDigest => "state_digest",
            Self::HeapCheckpointBytes => "heap_checkpoint_bytes",
            Self::HeapStateBytes => "heap_state_bytes",
            Self::CanonicalSavepointBytes => "canonical_savepoint_bytes",
            Self::OutOfMemoryTrials => "out_of_memory_trials",
        }
    }
}

/// The value of an exact quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExactValue {
    /// Bytes, or a count.
    Number(u64),
    /// A digest.
    Digest(Digest),
}

impl Observations {
    /// Of a result.
    ///
    /// # Errors
    /// It has two trials of one repeat.
    pub fn of(result: &RunResult) -> Result<Self, CompareError> {
        // In the order of the workload file: trials run in random order.
        let place = |base: &str| result.workload.configuration.iter().position(|known| known.name == base);
        let mut cells: BTreeMap<_, Cell> = BTreeMap::new();
        for trial in &result.trials {
            let cell = match cells.entry((trial.variant, place(&trial.base), &trial.configuration)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(Cell::new(result, trial)?),
            };
            cell.add(result, trial)?;
        }
        let cells = cells.into_values().collect();
        let (name, manifest) = (result.name.clone(), result.manifest.clone());
        let (warnings, interleaved) = (warnings(result), result.interleaved.clone());
        Ok(Self { name, manifest, cells, warnings, interleaved }.in_order())
    }

    /// The same with the trials of each cell in the order that pairing goes by.
    pub(crate) fn in_order(mut self) -> Self {
        let key = |trial: &Observation| (trial.companion, trial.repeat, trial.seed);
        self.cells.iter_mut().for_each(|cell| cell.trials.sort_by_key(key));
        self
    }
}

impl Cell {
    fn new(result: &RunResult, trial: &Trial) -> Result<Self, CompareError> {
        let workload = result.variants.get(trial.variant).map_or(&result.workload, |variant| &variant.workload);
        Ok(Self {
            workload: result.variant_label(trial.variant).to_owned(),
            definition: definition(workload)?,
            configuration: trial.configuration.clone(),
            options: trial.portable_options().map(|(key, value)| (key.clone(), value.clone())).collect(),
            trials: Vec::new(),
            failed: 0,
            out_of_memory: 0,
        })
    }

    fn add(&mut self, result: &RunResult, trial: &Trial) -> Result<(), CompareError> {
        match &trial.outcome {
            Outcome::Failed { .. } | Outcome::Interrupted => self.failed += 1,
            Outcome::OutOfMemory(_) => self.out_of_memory += 1,
            Outcome::Finished(measurement) => {
                if self.trials.iter().any(|other| (other.repeat, other.companion) == (trial.repeat, trial.companion)) {
                    let (name, repeat) = (printable(&trial.configuration), u64::from(trial.repeat) + 1);
                    return Err(CompareError::Input(format!("two trials of repeat {repeat} of {name}")));
                }
                self.trials.push(Observation::of(result, trial, measurement));
            }
        }
        Ok(())
    }

    /// Whether it was steady: not where more than half of its measured trials were not, none of the two where the share is
    /// between that and a quarter.
    pub(super) fn is_steady(&self) -> Option<bool> {
        let measured = || self.trials.iter().filter(|trial| !trial.companion);
        let (all, unsteady) = (measured().count(), measured().filter(|trial| trial.unsteady).count());
        if 2 * unsteady > all {
            Some(false)
        } else if 4 * unsteady <= all {
            Some(true)
        } else {
            None
        }
    }

    /// The option that names the backend.
    pub(super) fn backend(&self) -> Option<&str> {
        self.options.get("state.backend.type").map(String::as_str)
    }
}

impl Observation {
    fn of(result: &RunResult, trial: &Trial, measurement: &Measurement) -> Self {
        let stands_for = if trial.companion { From::Companions } else { From::Measured };
        let metrics = METRICS.iter().filter(|metric| metric.from == stands_for);
        Self {
            repeat: trial.repeat,
            companion: trial.companion,
            seed: trial.seed,
            took_s: trial.run.took_s,
            slow: measurement.is_slow(),
            saturated: measurement.open_loop.as_ref().is_some_and(|open_loop| open_loop.saturated),
            unsteady: measurement.steadiness.as_ref().is_some_and(Steadiness::is_unsteady),
            metrics: metrics.filter_map(|metric| Some((metric.name.to_owned(), (metric.get)(measurement)?))).collect(),
            exact: if trial.companion { Vec::new() } else { exact(result, trial, measurement) },
        }
    }
}

/// What of a trial follows from the events alone.
fn exact(result: &RunResult, trial: &Trial, measurement: &Measurement) -> Vec<Exact> {
    let number = |quantity, after_events, bytes| Exact { quantity, after_events, value: ExactValue::Number(bytes) };
    let digest = |quantity, after_events, digest| Exact { quantity, after_events, value: ExactValue::Digest(digest) };
    let warm_up = measurement.warm_up_events;
    let end = warm_up.saturating_add(measurement.events);
    let mut exact = Vec::new();
    if computes_the_same(result, trial) {
        exact.push(digest(Quantity::EmittedDigest, end, measurement.emitted));
        exact.push(digest(Quantity::StateDigest, measurement.state_after_events, measurement.state));
    }
    // How much of a changelog a checkpoint holds depends on when it was last cut.
    let has_changelog = measurement.checkpoints.as_ref().is_some_and(|checkpoints| checkpoints.changelog.is_some());
    let is_on_the_heap = measurement.heap.is_some() && measurement.store_bytes.is_none() && !has_changelog;
    for record in measurement.checkpoints.iter().flat_map(|checkpoints| &checkpoints.records) {
        let after_events = warm_up.saturating_add(record.events);
        match record.kind.as_str() {
            _ if record.failure.is_some() => {}
            "canonical savepoint" => {
                exact.push(number(Quantity::CanonicalSavepointBytes, after_events, record.written_bytes));
            }
            "full checkpoint" if is_on_the_heap => {
                exact.push(number(Quantity::HeapCheckpointBytes, after_events, record.full_bytes));
            }
            _ => {}
        }
    }
    let bytes_at_end = measurement.checkpoint_bytes.filter(|_| is_on_the_heap);
    exact.extend(bytes_at_end.map(|bytes| number(Quantity::HeapStateBytes, end, bytes)));
    exact
}

/// Whether digests of a trial are to equal those of another one. The run compared the trials of which that holds: neither
/// those of the null backend, nor those in which background work decides what is still seen.
fn computes_the_same(result: &RunResult, trial: &Trial) -> bool {
    let is_null = trial.options.get("state.backend.type").is_some_and(|backend| backend == "null");
    !is_null && result.agreements.iter().any(|a| (a.variant, a.repeat) == (trial.variant, trial.repeat))
}

/// The values of a workload by their paths, as text; what is not set is not there, and neither is what is beside the workload: its
/// name, the backends, and how often it is run.
///
/// # Errors
/// None of ours; the type is what the JSON writer returns.
pub fn definition(workload: &WorkloadWire) -> Result<BTreeMap<String, String>, CompareError> {
    let value = serde_json::to_value(workload).map_err(|error| CompareError::Input(error.to_string()))?;
    let mut paths = BTreeMap::new();
    flatten("", &value, &mut paths);
    let is_below = |path: &str, parent: &str| {
        path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    paths.retain(|path, _| !BESIDE_THE_WORKLOAD.iter().any(|parent| is_below(path, parent)));
    Ok(paths)
}

fn flatten(path: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Null => {}
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(key, value)| flatten(&below(key), value, out));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, item)| flatten(&format!("{path}[{index}]"), item, out));
        }
        Value::String(text) => drop(out.insert(path.to_owned(), text.clone())),
        other => drop(out.insert(path.to_owned(), other.to_string())),
    }
}

/// What makes the figures of a result unfit to rely on.
fn warnings(result: &RunResult) -> Vec<String> {
    let mut warnings: Vec<_> = contradiction(result).into_iter().collect();
    if let Some(handicap) = result.trials.iter().find_map(|trial| trial.run.handicap_percent.filter(|by| *by > 0.0)) {
        warnings.push(format!(
            "trials were slowed down on purpose, by {handicap} % and the like: no figures of the program"
        ));
    }
    if result.interrupted || result.trials.len() < result.planned_trials {
        warnings.push(format!("incomplete: {} of {} trials ran", result.trials.len(), result.planned_trials));
    }
    if !result.max_rates.is_empty() {
        warnings.push("a search for the highest rate: its trials ran one configuration after the other".to_owned());
    }
    if result.manifest.quick {
        warnings.push("a quick run: a check that the workload runs, not a measurement".to_owned());
    }
    let profile = &result.manifest.build.profile;
    if profile != "release" {
        warnings.push(format!("a {profile} build: its figures mean nothing"));
    }
    if !result.all_agree() {
        warnings.push("its own trials did not compute the same".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_of_the_workload_alone() {
        let document = |text: &str| {
            let path = std::path::Path::new("job.toml");
            let document = crate::workload::Document::parse(path, text.to_owned()).unwrap();
            definition(&document.read::<WorkloadWire>().unwrap()).unwrap()
        };
        let one = document("name = 'a'\n[run]\nrepeats = 3\n[[configuration]]\nname = 'heap'");
        let other = document("name = 'b'\ndescription = 'c'\n[run]\nrepeats = 5\ncounters = false");
        assert_eq!(one, other);
        assert_eq!(one["operator.counter"], "{}");
        assert_ne!(one, document("[keys]\ncardinality = 5"));
    }
}
