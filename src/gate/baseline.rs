//! What a gate holds a result against: the run-level metrics of an earlier one, kept in the user's repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::Xxh3;

use crate::compare::{CompareError, Observations, definition};
use crate::result::{Manifest, printable, save_json};
use crate::workload::{Plan, Variant, WorkloadWire};

/// The version of the format that this program writes and reads.
const SCHEMA: &str = "statebench.baseline/1";
/// What every version of the format begins with.
const SCHEMA_PREFIX: &str = "statebench.baseline/";

/// A baseline as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// Which workloads and which kind of machine it is for.
    pub key: Key,
    /// When it was saved, seconds since 1970.
    pub saved_epoch_s: u64,
    /// The metrics.
    pub observations: Observations,
    /// Whether the file was changed after it was written.
    pub is_changed: bool,
}

/// What a baseline is for: a result with another key is not held against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Digest over the definitions of the workloads, seeds included: 16 hexadecimal digits.
    pub workload_digest: String,
    /// The kind of machine: CPU, cores, memory, operating system and architecture.
    pub host_class: String,
}

/// The file. What was measured is kept as the text that the digest is of.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    key: Key,
    saved_epoch_s: u64,
    digest: String,
    observations: Box<RawValue>,
}

/// Why a baseline cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It cannot be opened.
    #[error("{0}: cannot read the baseline: {1}")]
    Read(String, #[source] std::io::Error),
    /// It is not a baseline.
    #[error("{0}: not a statebench baseline: {1}")]
    Format(String, String),
    /// It is of a version that this program does not know.
    #[error("{0}: is of schema {1}; this statebench reads {SCHEMA}")]
    Version(String, String),
}

/// Digest over the definition of a workload, its seed included: 16 hexadecimal digits.
///
/// # Errors
/// None of ours; the type is what the JSON writer returns.
pub fn workload_digest(workload: &WorkloadWire) -> Result<String, CompareError> {
    let values: Vec<String> = definition(workload)?.iter().map(|(path, value)| format!("{path}={value}")).collect();
    Ok(digest_of_texts(values.iter()))
}

fn digest_of_texts<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    let mut hasher = Xxh3::new();
    for text in texts {
        // Lengths keep apart what ends and what begins.
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    format!("{:016x}", hasher.digest())
}

impl Key {
    /// Of what a result holds.
    pub fn of(observations: &Observations) -> Self {
        let cells = observations.cells.iter().map(|cell| (&cell.workload, &cell.definition));
        Self::of_workloads(cells, &observations.manifest)
    }

    /// Of what a plan will have measured on this machine, whose manifest that of its result will be.
    ///
    /// # Errors
    /// None of ours; the type is what the JSON writer returns.
    pub fn of_plan(plan: &Plan, manifest: &Manifest) -> Result<Self, CompareError> {
        let defined = |variant: &Variant| Ok((variant.label.clone(), definition(&variant.wire)?));
        let workloads = plan.variants.iter().map(defined).collect::<Result<Vec<_>, CompareError>>()?;
        Ok(Self::of_workloads(workloads.iter().map(|(label, definition)| (label, definition)), manifest))
    }

    fn of_workloads<'a>(
        workloads: impl Iterator<Item = (&'a String, &'a BTreeMap<String, String>)>,
        manifest: &Manifest,
    ) -> Self {
        let mut lines = BTreeSet::new();
        for (workload, definition) in workloads {
            let values = definition.iter().map(|(path, value)| format!("{path}={value}"));
            lines.insert((workload.clone(), values.collect::<Vec<_>>()));
        }
        let texts = lines.iter().flat_map(|(workload, values)| std::iter::once(workload).chain(values));
        Self { workload_digest: digest_of_texts(texts), host_class: host_class(manifest) }
    }

    /// The file name of a baseline: it tells the workload, and by short digests its definition and the kind of machine.
    pub fn file_name(&self, workload: &str) -> String {
        self.name_of(workload, "baseline")
    }

    /// The same of a file of another kind.
    pub(super) fn name_of(&self, workload: &str, kind: &str) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let name: String = workload.chars().map(|c| if is_plain(c) { c } else { '-' }).take(60).collect();
        let digits: String = self.workload_digest.chars().take(8).collect();
        let host = xxhash_rust::xxh3::xxh3_64(self.host_class.as_bytes()) >> 32;
        format!("{name}.{digits}.{host:08x}.{kind}.json")
    }
}

/// The kind of machine: two of one kind may be compared.
pub(super) fn host_class(manifest: &Manifest) -> String {
    let gib = (manifest.host.memory_bytes as f64 / f64::from(1 << 30)).round();
    let (host, build) = (&manifest.host, &manifest.build);
    format!("{}, {} cores, {gib} GiB, {}, {}", host.cpu, host.cores, host.state_file_system, build.target)
}

impl Baseline {
    /// Of what a result holds, saved now.
    pub fn of(observations: Observations) -> Self {
        let saved_epoch_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { key: Key::of(&observations), saved_epoch_s, observations, is_changed: false }
    }

    /// Writes it, as [`save_json`] does.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let observations = RawValue::from_string(serde_json::to_string(&self.observations)?)?;
        let file = File {
            schema: SCHEMA.to_owned(),
            key: self.key.clone(),
            saved_epoch_s: self.saved_epoch_s,
            digest: digest(&observations),
            observations,
        };
        save_json(&file, path)
    }

    /// Loads a baseline.
    ///
    /// # Errors
    /// The file cannot be read, is no baseline, or is of another schema.
    pub fn load(path: &Path) -> Result<Self, BaselineError> {
        let name = path.display().to_string();
        let format = |error: serde_json::Error| BaselineError::Format(name.clone(), error.to_string());
        let text = std::fs::read_to_string(path).map_err(|error| BaselineError::Read(name.clone(), error))?;
        // The version is looked at first: a newer file must not fail over a field that it added.
        let json: serde_json::Value = serde_json::from_str(&text).map_err(format)?;
        match json.get("schema").and_then(serde_json::Value::as_str) {
            Some(SCHEMA) => {}
            Some(other) if other.starts_with(SCHEMA_PREFIX) => {
                return Err(BaselineError::Version(name, printable(other)));
            }
            _ => return Err(BaselineError::Format(name, "it has no schema of a baseline".to_owned())),
        }
        let file: File = serde_json::from_str(&text).map_err(format)?;
        let observations: Observations = serde_json::from_str(file.observations.get()).map_err(format)?;
        let is_changed = file.digest != digest(&file.observations) || file.key != Key::of(&observations);
        Ok(Self {
            key: Key::of(&observations),
            saved_epoch_s: file.saved_epoch_s,
            observations: observations.in_order(),
            is_changed,
        })
    }

    /// How long ago it was saved, s.
    pub fn age_s(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        now.saturating_sub(self.saved_epoch_s)
    }
}

fn digest(observations: &RawValue) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(observations.get().as_bytes()))
}
