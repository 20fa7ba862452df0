//! How trials were run: by which program, with which handicap, when; and how a run of interleaved pairs went.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Engine;

/// How one trial was run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrialRun {
    /// When it began, s since the run did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_s: Option<f64>,
    /// How long it took with everything: prefill, warm-up, digests, the start of its process, s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_s: Option<f64>,
    /// By how much its operator was slowed down on purpose, in percent of the time of an event (configured): its figures are
    /// not those of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handicap_percent: Option<f64>,
    /// The program that ran it; none where it is the one that wrote the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// What ran it.
    #[serde(skip_serializing_if = "Engine::is_statebench")]
    pub engine: Engine,
}

/// A statebench that ran trials for another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its file name, without the folders of the machine.
    pub file: String,
    /// Its version.
    pub version: String,
    /// Its build profile.
    pub profile: String,
    /// The version of its RocksDB; none where it was built without.
    pub rocksdb: Option<String>,
    /// Digest over its bytes, 16 hexadecimal digits.
    pub digest: String,
}

/// Two configurations that are compared, by the names that a result has for them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contrast {
    /// What is compared with.
    pub base: String,
    /// What is judged.
    pub candidate: String,
}

/// A run of interleaved pairs: in each block every configuration once, in random order, with the same events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interleaved {
    /// What is compared with what.
    pub contrasts: Vec<Contrast>,
    /// Looks that share the probability of a false alarm (configured).
    pub planned_looks: u32,
    /// Pairs of each look that was made. Whether there was a next one may have depended on what this one showed, so a
    /// comparison makes the same looks again.
    pub looks: Vec<u32>,
    /// Why it ended; none where it was cut short.
    pub stopped: Option<Stop>,
    /// Time that it could take, s (configured); none where it was not limited.
    pub budget_s: Option<f64>,
    /// Time that it took, s.
    pub took_s: f64,
}

/// Why a run of interleaved pairs ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// Every judged metric had a verdict.
    Decided,
    /// A metric regressed, and the user wanted to know no more.
    Regressed,
    /// The next block would not have fit the budget.
    Budget,
    /// It had all the pairs that were planned.
    Pairs,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Decided => "every judged metric is decided",
            Self::Regressed => "a metric regressed",
            Self::Budget => "the budget is spent",
            Self::Pairs => "all planned pairs are run",
        })
    }
}
