//! A search for better settings: what was tried, what came out, and the proof on trials that were not part of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A search with what it found. The trials of the result are those of the proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// What was searched, for whom: a search that goes on from this file has to be the same.
    pub setup: TuningSetup,
    /// The settings that were tried, by number; the first one is that which the search started from.
    pub candidates: Vec<Candidate>,
    /// The trials of the search, in the order in which they ran.
    pub trials: Vec<SearchTrial>,
    /// What the search knew of the settings in the end, the best first; empty while it goes on.
    #[serde(default)]
    pub standings: Vec<CandidateStanding>,
    /// The settings of which no other one is better in every objective; empty where there is one objective.
    #[serde(default)]
    pub front: Vec<usize>,
    /// The settings that were to be proved: one, or those of the front; none where no other than the start was any better, or none
    /// keeps the limits.
    #[serde(default)]
    pub winners: Vec<usize>,
    /// What the proof came to, for each of them.
    #[serde(default)]
    pub proofs: Vec<Proof>,
    /// What each option of the winner is worth, the most first.
    #[serde(default)]
    pub importance: Vec<OptionWorth>,
    /// The metric that they are worth it in.
    #[serde(default)]
    pub importance_in: Option<String>,
    /// The winner without the options that were not seen to help; none where there were none, or it was not tried.
    #[serde(default)]
    pub plainer: Option<PlainerWinner>,
    /// Time that trials of search, proof and importance took, s.
    pub took_s: f64,
}

/// What was searched (configured).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TuningSetup {
    /// The workloads, with their weights.
    pub workloads: Vec<TunedWorkload>,
    /// The goal in words.
    pub goal: String,
    /// What is to be as good as possible: names of metrics, or `memory_budget_bytes`.
    pub objectives: Vec<String>,
    /// What has to be kept.
    pub limits: Vec<TuningLimit>,
    /// How several workloads were taken together.
    pub over: TunedOver,
    /// The configuration that the search started from.
    pub start: String,
    /// Its options that were set.
    pub start_options: BTreeMap<String, String>,
    /// The options that could be chosen, with their values.
    pub options: Vec<TunedOption>,
    /// Combinations of them, those that come to the same or cannot work among them.
    pub combinations: f64,
    /// The seed of the choices.
    pub seed: u64,
    /// What the search may take.
    pub budget: TuningBudget,
    /// Whether trials of the search had prefills of their own, as the workload has them, rather than shared ones.
    pub own_prefill: bool,
}

/// A workload of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TunedWorkload {
    /// Its name, with the choices of its matrix.
    pub label: String,
    /// Its weight in an average.
    pub weight: f64,
    /// Digest over its definition, 16 hexadecimal digits.
    pub digest: String,
}

/// A limit of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TuningLimit {
    /// The metric, or `memory_budget_bytes`.
    pub quantity: String,
    /// The most that is allowed where less is better, else the least.
    pub bound: f64,
}

/// How several workloads are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TunedOver {
    /// By their geometric mean, weighted.
    Average,
    /// By the one in which a setting gains least.
    Worst,
}

/// An option that could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TunedOption {
    /// Flink's key.
    pub key: String,
    /// Its values.
    pub values: Vec<String>,
}

/// What a search may take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TuningBudget {
    /// Time of all trials, s.
    Seconds(f64),
    /// Trials, of whatever length.
    Trials(u32),
}

/// A setting that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The value of each option of the space, by position.
    pub point: Vec<u8>,
    /// What it sets that the start does not have.
    pub changes: Vec<(String, String)>,
    /// The same in a line.
    pub described: String,
    /// Managed memory of a slot, or the heap of its tasks, bytes (configured); none where no budget bounds it.
    pub memory_budget_bytes: Option<u64>,
}

/// A trial of a search. Metrics are measured; they rank settings and prove nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchTrial {
    /// Number of the setting.
    pub candidate: usize,
    /// Position of the workload.
    pub workload: usize,
    /// The block that it was run in, from 0.
    pub block: u32,
    /// What the block was run for: `design`, `model`, `finals` or `importance`.
    pub stage: String,
    /// The metrics that the goal needs, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Whether it was in the slow regime, in which an index block falls out of the cache.
    pub is_slow: bool,
    /// Whether its state fit the memory.
    pub fits: bool,
    /// How long it took with everything, s.
    pub took_s: f64,
}

/// What a search knew of a setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CandidateStanding {
    /// Its number.
    pub candidate: usize,
    /// Blocks that it was run in.
    pub blocks: u32,
    /// What it costs as a multiple of what the start does, for each objective, with the interval that holds it with 95 % where the
    /// model holds (modelled): below 1 it is better, in whatever direction better is.
    pub cost: Vec<[f64; 3]>,
    /// How likely it is to keep every limit, 0 to 1 (modelled).
    pub keeps_limits: f64,
    /// Whether some of its trials were in the slow regime and others were not.
    pub is_bimodal: bool,
    /// Whether its state fits the memory.
    pub fits: bool,
    /// Medians of its trials, by metric, in the first workload.
    pub metrics: BTreeMap<String, f64>,
}

/// What the trials of the proof came to: those of the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// What the winner is called in the result.
    pub winner: String,
    /// Pairs that are whole, each with the same events.
    pub pairs: u32,
    /// Probability of a wrong claim, all claims of all winners together (configured).
    pub alpha: f64,
    /// The winner against each configuration that was run beside it.
    pub claims: Vec<Claim>,
    /// The limits, by the winner's trials.
    pub limits: Vec<LimitCheck>,
    /// Trials of the winner that were in the slow regime, and all of them.
    pub slow_trials: [u32; 2],
    /// Whether the winner is proved: better than the start in the objective (of several in one of them), with every limit kept and
    /// not in the slow regime in some trials only.
    pub is_proved: bool,
    /// Why it is not; empty where it is.
    pub why_not: Vec<String>,
}

/// By how much the winner is better than a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The configuration that it is compared with.
    pub base: String,
    /// The objective.
    pub quantity: String,
    /// The winner's cost as a multiple of the base's, with bounds that each hold with 97.5 %; a bound is none where there are too few pairs. Of
    /// several workloads it is what they come to together. Of memory it is configured and exact.
    pub cost: f64,
    /// The lower bound.
    pub low: Option<f64>,
    /// The upper bound.
    pub high: Option<f64>,
    /// The probability of pairs so far on one side where nothing differs.
    pub p: f64,
    /// Whether the winner is better.
    pub is_better: bool,
}

/// Whether a limit was kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitCheck {
    /// The limit in words.
    pub limit: String,
    /// Position of the workload.
    pub workload: usize,
    /// The median; none where no trial has the metric.
    pub median: Option<f64>,
    /// The worse end of the interval that holds the median with 95 %; none of fewer than six trials.
    pub worst: Option<f64>,
    /// Whether that end keeps it.
    pub is_kept: bool,
}

/// What one option of the winner is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OptionWorth {
    /// Flink's key.
    pub key: String,
    /// The winner's value.
    pub value: String,
    /// The value that it is set back to, alone.
    pub back: String,
    /// What that costs as a multiple of the winner's cost, in the median of pairs: above 1 the option helps.
    pub cost: f64,
    /// The pairs.
    pub pairs: u32,
    /// The smallest and the largest of them.
    pub range: [f64; 2],
    /// Whether every pair says that it helps, or every one that it does not.
    pub is_clear: bool,
}

/// A winner without the options that were not seen to help.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainerWinner {
    /// Its number.
    pub candidate: usize,
    /// That of the setting which has them.
    pub of: usize,
    /// What it costs as a multiple of what that one does, in the median of pairs.
    pub cost: f64,
    /// The pairs.
    pub pairs: u32,
    /// Whether it is proved in place of it.
    pub is_taken: bool,
}
