//! What noise there is on a machine: pairs of a configuration and itself, session by session, kept beside the baselines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Key;
use crate::compare::{Comparison, MetricComparison};
use crate::result::{printable, save_json};
use crate::statistics::{LOOKS, detectable_in, median, planned_looks};

/// The version of the format that this program writes and reads.
const SCHEMA: &str = "statebench.calibration/1";
/// What every version of the format begins with.
const SCHEMA_PREFIX: &str = "statebench.calibration/";
/// Sessions that are kept: the latest ones.
const MOST_SESSIONS: usize = 50;
/// The most pairs that are looked through for a number that is enough.
const MOST_PAIRS: u32 = 10_000;

/// The noise of a workload's metrics on one kind of machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// `statebench.calibration/1`.
    pub schema: String,
    /// Which workload and which kind of machine it is of.
    pub key: Key,
    /// Name of the workload.
    pub name: String,
    /// The sessions, oldest first.
    pub sessions: Vec<Session>,
}

/// One run of pairs that do not differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// When it began, seconds since 1970.
    pub started_epoch_s: u64,
    /// The noise of each judged metric of each configuration.
    pub noise: Vec<Noise>,
}

/// The noise of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// The workload's choices in the matrix.
    pub workload: String,
    /// The configuration.
    pub configuration: String,
    /// The metric.
    pub metric: String,
    /// Pairs.
    pub pairs: usize,
    /// Median of all trials, in the metric's unit.
    pub median: f64,
    /// Robust standard deviation of the ratio of a pair, in percent.
    pub noise_percent: f64,
    /// The change that must be caught, in percent.
    pub threshold_percent: f64,
    /// The level of its test at each look of a gate over these metrics.
    pub look_alpha: f64,
    /// Time that a pair takes, s.
    pub pair_s: f64,
}

/// Why a calibration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// It cannot be opened.
    #[error("{0}: cannot read the calibration: {1}")]
    Read(String, #[source] std::io::Error),
    /// It is not a calibration.
    #[error("{0}: not a statebench calibration: {1}")]
    Format(String, String),
    /// It is of a version that this program does not know.
    #[error("{0}: is of schema {1}; this statebench reads {SCHEMA}")]
    Version(String, String),
    /// It is of something else.
    #[error("{0}: is of another workload or kind of machine than its name says")]
    Foreign(String),
}

impl Noise {
    /// The smallest change that is found with probability 0.95 in so many pairs, in percent.
    pub fn visible_percent(&self, pairs: u32) -> f64 {
        100.0 * detectable_in(pairs, self.deviation(), self.look_alpha).exp_m1()
    }

    /// Pairs of the first and of the last look of a gate.
    fn looks(&self) -> (u32, u32) {
        let looks = planned_looks(self.look_alpha * f64::from(LOOKS), LOOKS);
        (looks.first().copied().unwrap_or(1), looks.last().copied().unwrap_or(1))
    }

    /// Pairs of the last look of a gate.
    pub fn last_look(&self) -> u32 {
        self.looks().1
    }

    /// The fewest pairs in which a change of the threshold is found; none where no gate has as many.
    pub fn pairs_needed(&self) -> Option<u32> {
        let (first, _) = self.looks();
        (first..=MOST_PAIRS).find(|pairs| self.visible_percent(*pairs) <= self.threshold_percent)
    }

    /// Whether a gate finds a change of the threshold by its last look.
    pub fn is_gateable(&self) -> bool {
        self.pairs_needed().is_some_and(|pairs| pairs <= self.last_look())
    }

    fn deviation(&self) -> f64 {
        (self.noise_percent / 100.0).ln_1p()
    }
}

impl Session {
    /// Of a comparison of configurations with themselves.
    pub fn of(comparison: &Comparison) -> Self {
        let noise = |workload: &str, configuration: &str, metric: &MetricComparison, took_s: f64| {
            let pairs = metric.pair_log_ratios.len();
            let values: Vec<_> = metric.base_values.iter().chain(&metric.candidate_values).copied().collect();
            Some(Noise {
                workload: workload.to_owned(),
                configuration: configuration.to_owned(),
                metric: metric.metric.clone(),
                pairs,
                median: median(&values)?,
                noise_percent: metric.noise_percent?,
                threshold_percent: metric.threshold_percent?,
                look_alpha: comparison.alpha / comparison.tests.max(1) as f64 / f64::from(LOOKS),
                pair_s: took_s / pairs.max(1) as f64,
            })
        };
        let of_group = comparison.groups.iter().flat_map(|group| {
            let metrics = group.metrics.iter().filter(|metric| metric.is_tested());
            metrics.filter_map(|metric| noise(&group.workload, &group.base_configuration, metric, group.took_s))
        });
        Self { started_epoch_s: comparison.base.manifest.started_epoch_s, noise: of_group.collect() }
    }
}

impl Calibration {
    /// Where the calibration of a workload and kind of machine is kept in a folder of baselines.
    pub fn path(folder: &Path, key: &Key, workload: &str) -> PathBuf {
        folder.join(key.name_of(workload, "calibration"))
    }

    /// The one of a workload in a folder of baselines; none where there is none.
    ///
    /// # Errors
    /// It cannot be read, is no calibration, of another schema, or of something else.
    pub fn find(folder: &Path, key: &Key, workload: &str) -> Result<Option<Self>, CalibrationError> {
        let path = Self::path(folder, key, workload);
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(CalibrationError::Read(name, error)),
            Ok(text) => text,
        };
        let format = |error: serde_json::Error| CalibrationError::Format(name.clone(), error.to_string());
        let json: serde_json::Value = serde_json::from_str(&text).map_err(format)?;
        match json.get("schema").and_then(serde_json::Value::as_str) {
            Some(SCHEMA) => {}
            Some(other) if other.starts_with(SCHEMA_PREFIX) => {
                return Err(CalibrationError::Version(name, printable(other)));
            }
            _ => return Err(CalibrationError::Format(name, "it has no schema of a calibration".to_owned())),
        }
        let calibration: Self = serde_json::from_value(json).map_err(format)?;
        if calibration.key == *key { Ok(Some(calibration)) } else { Err(CalibrationError::Foreign(name)) }
    }

    /// With one more session; a new one where there was none.
    #[must_use]
    pub fn with(known: Option<Self>, key: Key, name: &str, session: Session) -> Self {
        let mut sessions = known.map_or_else(Vec::new, |known| known.sessions);
        sessions.push(session);
        sessions.sort_by_key(|session| session.started_epoch_s);
        let old = sessions.len().saturating_sub(MOST_SESSIONS);
        sessions.drain(..old);
        Self { schema: SCHEMA.to_owned(), key, name: name.to_owned(), sessions }
    }

    /// Writes it, as [`save_json`] does.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, folder: &Path) -> std::io::Result<PathBuf> {
        let path = Self::path(folder, &self.key, &self.name);
        save_json(self, &path)?;
        Ok(path)
    }

    /// What sessions have differed by in each metric, as a share: the largest distance of the medians of two sessions, over all
    /// configurations. None of a metric that fewer than two sessions have.
    pub fn session_spreads(&self) -> BTreeMap<String, f64> {
        let mut medians: BTreeMap<(&str, &str, &str), Vec<f64>> = BTreeMap::new();
        for noise in self.sessions.iter().flat_map(|session| &session.noise) {
            let key = (noise.metric.as_str(), noise.workload.as_str(), noise.configuration.as_str());
            medians.entry(key).or_default().push(noise.median);
        }
        let mut spreads = BTreeMap::new();
        for ((metric, ..), medians) in medians {
            let (low, high) =
                medians.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), m| (low.min(*m), high.max(*m)));
            if medians.len() > 1 && low > 0.0 {
                let spread: &mut f64 = spreads.entry(metric.to_owned()).or_insert(0.0);
                *spread = spread.max(high / low - 1.0);
            }
        }
        spreads
    }

    /// The noise of the latest session.
    pub fn latest(&self) -> &[Noise] {
        self.sessions.last().map_or(&[], |session| &session.noise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(metric: &str, configuration: &str, median: f64, percent: f64) -> Noise {
        Noise {
            workload: String::new(),
            configuration: configuration.to_owned(),
            metric: metric.to_owned(),
            pairs: 30,
            median,
            noise_percent: percent,
            threshold_percent: 5.0,
            look_alpha: 0.01 / 12.0 / 5.0,
            pair_s: 2.0,
        }
    }

    fn calibration(sessions: &[&[Noise]]) -> Calibration {
        let key = Key { workload_digest: "0".repeat(16), host_class: "here".to_owned() };
        let session = |(noise, at): (&&[Noise], u64)| Session { started_epoch_s: at, noise: noise.to_vec() };
        let sessions = sessions.iter().zip(0..).map(session).collect();
        Calibration { schema: SCHEMA.to_owned(), key, name: "job".to_owned(), sessions }
    }

    #[test]
    fn pairs_and_visible_changes_follow_from_the_noise() {
        // The table of the method: with 12 tests, 68 pairs at the last look.
        let quiet = noise("cpu_per_event_ns", "heap", 100.0, 2.0);
        assert_eq!((quiet.last_look(), quiet.pairs_needed(), quiet.is_gateable()), (68, Some(13), true));
        let noisy = noise("cpu_per_event_ns", "heap", 100.0, 12.0);
        assert!(noisy.visible_percent(68) > 5.0 && !noisy.is_gateable());
        let needed = noisy.pairs_needed().unwrap();
        assert!(needed > 68 && noisy.visible_percent(needed) <= 5.0 && noisy.visible_percent(needed - 1) > 5.0);
        assert_eq!(noise("a", "heap", 100.0, 1e9).pairs_needed(), None);
    }

    #[test]
    fn sessions_differ_by_the_largest_distance_of_their_medians() {
        let one = [noise("a", "heap", 100.0, 1.0), noise("a", "rocksdb", 50.0, 1.0), noise("b", "heap", 1.0, 1.0)];
        let two = [noise("a", "heap", 104.0, 1.0), noise("a", "rocksdb", 45.0, 1.0)];
        let spreads = calibration(&[&one, &two]).session_spreads();
        assert_eq!(spreads.keys().collect::<Vec<_>>(), ["a"], "one session does not say what two differ by");
        assert!((spreads["a"] - (50.0 / 45.0 - 1.0)).abs() < 1e-12);
        assert!(calibration(&[&one]).session_spreads().is_empty());
    }

    #[test]
    fn sessions_are_kept_in_order_and_not_for_ever() {
        let mut all = calibration(&[]);
        for at in [5, 3].into_iter().chain(10..70) {
            let session = Session { started_epoch_s: at, noise: Vec::new() };
            all = Calibration::with(Some(all.clone()), all.key.clone(), "job", session);
        }
        assert_eq!(all.sessions.len(), MOST_SESSIONS);
        assert!(
            all.sessions.is_sorted_by_key(|session| session.started_epoch_s) && all.sessions[0].started_epoch_s > 5
        );
    }

    #[test]
    fn what_is_no_calibration_of_this_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let own = calibration(&[&[noise("a", "heap", 1.0, 1.0)]]);
        let find = |key: &Key| Calibration::find(folder.path(), key, "job");
        assert!(find(&own.key).unwrap().is_none());
        let path = own.save(folder.path()).unwrap();
        assert_eq!(find(&own.key).unwrap(), Some(own.clone()));
        let other = Calibration { key: Key { host_class: "there".to_owned(), ..own.key.clone() }, ..own.clone() };
        std::fs::write(&path, serde_json::to_string(&other).unwrap()).unwrap();
        assert!(matches!(find(&own.key), Err(CalibrationError::Foreign(_))));
        let newer = Calibration { schema: "statebench.calibration/2".to_owned(), ..own.clone() };
        std::fs::write(&path, serde_json::to_string(&newer).unwrap()).unwrap();
        assert!(matches!(find(&own.key), Err(CalibrationError::Version(..))));
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(find(&own.key), Err(CalibrationError::Format(..))));
    }
}
