//! What a gate goes by: a TOML file in the user's repository.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::compare::{GATED_METRICS, Parameters, check_metric};
use crate::result::{Better, METRICS, Metric, Unit};
use crate::workload::{Bytes, Time};

/// Percent of a whole.
const PERCENT: f64 = 100.0;

/// A policy. Everything has a default: an empty file gates typical throughput, p50, processor time and p99.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// The probability of a false alarm, all metrics together.
    #[schemars(range(min = 1e-6, max = 0.5))]
    pub alpha: f64,
    /// The probability that each bound of *no change* is wrong.
    #[schemars(range(min = 1e-6, max = 0.5))]
    pub beta: f64,
    /// What an inconclusive metric does to the gate.
    pub on_inconclusive: OnInconclusive,
    /// Whether a change against a stored baseline counts. Runs of two sessions are never pairs: without this a regression
    /// against a baseline is inconclusive.
    pub allow_unpaired: bool,
    /// What two sessions on this machine differ by, in percent: no smaller change against a baseline is a finding.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub session_spread: f64,
    /// Age from which on a baseline is stale; none where it never is.
    #[schemars(with = "Option<String>")]
    pub max_baseline_age: Option<Time>,
    /// How long an interleaved run may take; 10 minutes where it is not set.
    #[schemars(with = "Option<String>")]
    pub budget: Option<Time>,
    /// The most pairs of an interleaved run; as many as its last look needs where it is not set.
    #[schemars(range(min = 1, max = 1000))]
    pub max_pairs: Option<u32>,
    /// Differences that do not keep a baseline from being compared.
    pub allow: Vec<Difference>,
    /// The gated metrics by name.
    pub metric: BTreeMap<String, MetricPolicy>,
}

/// What inconclusive metrics do to a gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnInconclusive {
    /// They are told, and the gate passes.
    #[default]
    Warn,
    /// The gate does not pass: exit code 4.
    Fail,
}

/// What may differ between a baseline and a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// The definition of the workload.
    Workload,
    /// The seed of the events.
    Seed,
    /// The kind of machine.
    Host,
    /// The version of statebench or RocksDB, or the build profile.
    Version,
}

/// How one metric is gated.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MetricPolicy {
    /// The change that must be caught, in percent; the metric's own where it is not set.
    #[schemars(range(min = 0.01, max = 1000.0))]
    pub threshold: Option<f64>,
    /// Whether a result without the metric is an error.
    pub required: bool,
    /// What the metric's median must not pass, whatever the baseline: at most this where less is better, else at least this. A
    /// number in the unit of the metric's name, or a time or size such as `5 ms` or `1 gb`.
    pub limit: Option<Limit>,
}

impl Default for MetricPolicy {
    fn default() -> Self {
        Self { threshold: None, required: true, limit: None }
    }
}

/// An absolute limit as a policy spells it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Limit {
    /// In the unit of the metric's name.
    Number(f64),
    /// A time or a size.
    Text(String),
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Spelling {
            Whole(i64),
            Number(f64),
            Text(String),
        }
        Ok(match Spelling::deserialize(deserializer).map_err(|_| de::Error::custom("expected a number or a text"))? {
            Spelling::Whole(number) => Self::Number(number as f64),
            Spelling::Number(number) => Self::Number(number),
            Spelling::Text(text) => Self::Text(text),
        })
    }
}

impl Default for Policy {
    fn default() -> Self {
        let Parameters { alpha, beta, .. } = Parameters::default();
        Self {
            alpha,
            beta,
            on_inconclusive: OnInconclusive::default(),
            allow_unpaired: false,
            session_spread: 0.0,
            max_baseline_age: None,
            budget: None,
            max_pairs: None,
            allow: Vec::new(),
            metric: BTreeMap::new(),
        }
    }
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It cannot be opened.
    #[error("{0}: cannot read the policy: {1}")]
    Read(String, #[source] std::io::Error),
    /// It is not a policy.
    #[error("{0}: {1}")]
    Invalid(String, String),
}

impl Policy {
    /// Loads and checks a policy.
    ///
    /// # Errors
    /// The file cannot be read, has an unknown key or metric, or a value that is not allowed.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| PolicyError::Read(name.clone(), error))?;
        let invalid = |message: String| PolicyError::Invalid(name.clone(), message);
        let mut policy: Self =
            toml::from_str(&text).map_err(|error| invalid(error.to_string().trim_end().to_owned()))?;
        if policy.metric.is_empty() {
            let own = |required| MetricPolicy { required, ..MetricPolicy::default() };
            policy.metric = GATED_METRICS.map(|(name, required)| (name.to_owned(), own(required))).into();
        }
        policy.check().map_err(invalid)?;
        Ok(policy)
    }

    fn check(&self) -> Result<(), String> {
        let in_range = |key: &str, value: f64, range: std::ops::RangeInclusive<f64>| {
            let message = || format!("{key}: found {value}; allowed: {} to {}", range.start(), range.end());
            if range.contains(&value) { Ok(()) } else { Err(message()) }
        };
        in_range("alpha", self.alpha, 1e-6..=0.5)?;
        in_range("beta", self.beta, 1e-6..=0.5)?;
        in_range("session-spread", self.session_spread, 0.0..=1_000.0)?;
        if let Some(pairs) = self.max_pairs {
            in_range("max-pairs", f64::from(pairs), 1.0..=1_000.0)?;
        }
        for (name, own) in &self.metric {
            check_metric(name).map_err(|message| format!("metric.{name}: {message}"))?;
            if let Some(threshold) = own.threshold {
                in_range(&format!("metric.{name}.threshold"), threshold, 0.01..=1_000.0)?;
            }
        }
        self.limits().map(drop)
    }

    /// The limits: the metric, the value in its unit, and what the policy says.
    ///
    /// # Errors
    /// A limit that is not a value of its metric.
    pub fn limits(&self) -> Result<Vec<(&'static Metric, f64)>, String> {
        let limits = METRICS.iter().filter_map(|metric| Some((metric, self.metric.get(metric.name)?.limit.as_ref()?)));
        let value = |(metric, limit): (&'static Metric, &Limit)| {
            let value = limit.value(metric).map_err(|message| format!("metric.{}.limit: {message}", metric.name))?;
            Ok((metric, value))
        };
        limits.map(value).collect()
    }

    /// How a comparison is made under this policy.
    pub fn parameters(&self) -> Parameters {
        let thresholds = self.metric.iter().filter_map(|(name, own)| Some((name.clone(), own.threshold? / PERCENT)));
        Parameters {
            metrics: self.metric.keys().cloned().collect(),
            shows_others: true,
            thresholds: thresholds.collect(),
            alpha: self.alpha,
            beta: self.beta,
            session_spread: self.session_spread / PERCENT,
            allow_workload: self.allow.contains(&Difference::Workload),
            allow_seed: self.allow.contains(&Difference::Seed),
            ..Parameters::default()
        }
    }
}

impl Limit {
    /// In the unit of a metric.
    ///
    /// # Errors
    /// It is not a value of the metric's unit, with what is.
    pub fn value(&self, metric: &Metric) -> Result<f64, String> {
        let value = match (self, metric.unit) {
            (Self::Number(number), _) => *number,
            (Self::Text(text), Unit::Nanoseconds) => text.parse::<Time>()?.0.as_nanos() as f64,
            (Self::Text(text), Unit::Bytes) => text.parse::<Bytes>()?.0 as f64,
            (Self::Text(text), _) => return Err(format!("found `{text}`; allowed: a number")),
        };
        if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(format!("found {value}; allowed: 0 or more")) }
    }
}

/// Whether a value is on the right side of a limit.
pub(super) fn is_within(metric: &Metric, value: f64, limit: f64) -> bool {
    match metric.better {
        Better::Lower => value <= limit,
        Better::Higher => value >= limit,
    }
}
