//! The `[checkpoint]` section: when snapshots are taken and where they go. What Flink has keys for is said by those, in each
//! configuration.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BackendType, Bytes, ClaimMode, Extent, Invalid, Options, ROUND_EVENTS, Time, Workload, check_range};

/// The `[checkpoint]` section as the file spells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CheckpointWire {
    /// Events of the measured part from one checkpoint to the next, in place of `execution.checkpointing.interval`: then
    /// checkpoints are taken at the same places on every machine. The source waits for one that is not complete.
    pub every_events: Option<u64>,
    /// The clock that `execution.checkpointing.interval` and `min-pause` are of.
    pub clock: CheckpointClock,
    /// Where checkpoints go: a folder, or a URL of an object store; a temporary folder beside the state where it is not
    /// set. `execution.checkpointing.dir` is not used, since it may be that of a job in production.
    pub dir: Option<String>,
    /// Whether each checkpoint carries a digest of its state, which a restore checks. It takes a pass over the state, which
    /// is not part of any figure.
    pub digests: bool,
    /// Whether the last checkpoint is restored after the run and the events behind it are processed again, to see that it
    /// holds the state and how long that takes.
    pub restore_check: bool,
    /// Bytes a second that the storage is made to take and give, to forecast one that is slower (modelled).
    pub bandwidth: Option<Bytes>,
    /// How long each request to the storage is made to take (modelled).
    pub latency: Option<Time>,
    /// A savepoint on the way.
    pub savepoint: Option<SavepointWire>,
    /// The checkpoint or savepoint that the run goes on from: its folder. The run then has no prefill and no warm-up, and
    /// processes the events behind it, once: other repeats have other events.
    pub restore_from: Option<String>,
}

impl Default for CheckpointWire {
    fn default() -> Self {
        Self {
            every_events: None,
            clock: CheckpointClock::default(),
            dir: None,
            digests: false,
            restore_check: true,
            bandwidth: None,
            latency: None,
            savepoint: None,
            restore_from: None,
        }
    }
}

/// Which clock checkpoints are triggered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointClock {
    /// The machine's.
    #[default]
    Real,
    /// Processing time on the virtual clock.
    Virtual,
}

/// A savepoint that is taken while the run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SavepointWire {
    /// Where it goes: each trial that takes one makes a folder of its own in it.
    pub dir: String,
    /// Events of the measured part before it, rounded up to the end of a round; half of them where it is not set.
    #[serde(default)]
    pub after_events: Option<u64>,
    /// Its format.
    #[serde(default)]
    pub format: SavepointFormat,
}

/// The format of a savepoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SavepointFormat {
    /// The one that every backend reads.
    #[default]
    Canonical,
    /// The backend's own.
    Native,
}

/// When the next checkpoint is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointTrigger {
    /// After so many events.
    Events(u64),
    /// After so long on a clock.
    Interval(Duration, CheckpointClock),
}

/// A savepoint that a run takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavepointPlan {
    /// Where it goes.
    pub dir: String,
    /// Events of the measured part before it, at least.
    pub after_events: u64,
    /// Its format.
    pub format: SavepointFormat,
}

/// What a run does about checkpoints, valid by construction. What a configuration's options say comes on top.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpointing {
    /// Events between checkpoints, where the file says so.
    pub every_events: Option<u64>,
    /// The clock of the options.
    pub clock: CheckpointClock,
    /// Where they go.
    pub dir: Option<String>,
    /// Whether they carry digests.
    pub digests: bool,
    /// Whether the last one is restored.
    pub restore_check: bool,
    /// Bytes a second that the storage is slowed down to.
    pub bandwidth_bytes_per_s: Option<u64>,
    /// Time that each request to the storage takes at least.
    pub latency: Duration,
    /// A savepoint on the way.
    pub savepoint: Option<SavepointPlan>,
    /// What the run goes on from.
    pub restore_from: Option<String>,
}

/// Longest latency of a request that a storage can be given.
const MOST_LATENCY: Duration = Duration::from_mins(1);

impl Checkpointing {
    /// Checks the wire form; paths of errors are relative to `checkpoint`.
    ///
    /// # Errors
    /// A number out of range, or an empty path.
    pub fn new(wire: &CheckpointWire, measured: Extent) -> Result<Self, Invalid> {
        let every_events =
            wire.every_events.map(|events| check_range("every-events", events, 1..=1_000_000_000_000)).transpose()?;
        for (path, dir) in [("dir", &wire.dir), ("restore-from", &wire.restore_from)] {
            if dir.as_ref().is_some_and(|dir| dir.trim().is_empty()) {
                return Err(Invalid::new(path, "an empty text", "a folder or a URL"));
            }
        }
        if let Some(Bytes(0)) = wire.bandwidth {
            return Err(Invalid::new("bandwidth", "0", "at least 1 byte a second"));
        }
        let latency = wire.latency.map_or(Duration::ZERO, |time| time.0);
        if latency > MOST_LATENCY {
            return Err(Invalid::new("latency", Time(latency), format!("at most {}", Time(MOST_LATENCY))));
        }
        let savepoint = wire.savepoint.as_ref().map(|savepoint| savepoint.plan(measured)).transpose();
        Ok(Self {
            every_events,
            clock: wire.clock,
            dir: wire.dir.clone(),
            digests: wire.digests,
            restore_check: wire.restore_check,
            bandwidth_bytes_per_s: wire.bandwidth.map(|bytes| bytes.0),
            latency,
            savepoint: savepoint.map_err(|invalid| invalid.within("savepoint"))?,
            restore_from: wire.restore_from.clone(),
        })
    }

    /// When checkpoints are taken under these options; none where none are.
    pub fn trigger(&self, options: &Options) -> Option<CheckpointTrigger> {
        if options.backend == BackendType::Null {
            return None;
        }
        let interval = options.checkpointing_interval.0.map(|time| CheckpointTrigger::Interval(time.0, self.clock));
        self.every_events.map(CheckpointTrigger::Events).or(interval)
    }

    /// Whether a run under these options owns the checkpoint that it goes on from, and deletes it when a later one of its
    /// own stands for it.
    pub fn claims(&self, options: &Options) -> bool {
        self.restore_from.is_some()
            && self.trigger(options).is_some()
            && options.state_recovery_claim_mode == ClaimMode::Claim
    }

    /// Whether figures of the storage are a forecast.
    pub fn is_modelled(&self) -> bool {
        self.bandwidth_bytes_per_s.is_some() || !self.latency.is_zero()
    }
}

impl SavepointWire {
    fn plan(&self, measured: Extent) -> Result<SavepointPlan, Invalid> {
        if self.dir.trim().is_empty() {
            return Err(Invalid::new("dir", "an empty text", "a folder or a URL"));
        }
        let Extent::Events(events) = measured else {
            let found = "a run whose end is not a number of events";
            return Err(Invalid::new("", found, "`run.events`, so that the savepoint has its place"));
        };
        let last = events.saturating_sub(1) / ROUND_EVENTS * ROUND_EVENTS;
        let after_events = check_range("after-events", self.after_events.unwrap_or(last / 2), 0..=last)?;
        Ok(SavepointPlan { dir: self.dir.clone(), after_events, format: self.format })
    }
}

/// The sections of a workload that decide what is computed: what a checkpoint must have in common with the run that goes
/// on from it. Each with a digest of its content, by its name.
pub fn job_sections(wire: &super::WorkloadWire) -> std::collections::BTreeMap<String, u64> {
    let digest =
        |section: Result<String, serde_json::Error>| xxhash_rust::xxh3::xxh3_64(section.unwrap_or_default().as_bytes());
    [
        ("source", digest(serde_json::to_string(&wire.source))),
        ("keys", digest(serde_json::to_string(&wire.keys))),
        ("values", digest(serde_json::to_string(&wire.values))),
        ("time", digest(serde_json::to_string(&wire.time))),
        ("operator", digest(serde_json::to_string(&wire.operator))),
        ("states", digest(serde_json::to_string(&wire.states))),
        ("pipeline", digest(serde_json::to_string(&wire.pipeline))),
        ("phase", digest(serde_json::to_string(&wire.phase))),
    ]
    .map(|(name, digest)| (name.to_owned(), digest))
    .into()
}

/// What the options of a configuration may say of checkpoints that a run does not do.
///
/// # Errors
/// The key, what was found, what is allowed.
pub fn check_options(workload: &Workload, options: &Options) -> Result<(), Invalid> {
    if workload.checkpoint.trigger(options).is_none() {
        return Ok(());
    }
    if options.checkpoint_unaligned {
        let allowed = "false: barriers never wait here, since all subtasks come to the end of a round together";
        return Err(Invalid::new("execution.checkpointing.unaligned.enabled", "true", allowed));
    }
    if options.checkpoint_file_merging {
        let allowed = "false: merging of checkpoint files is not built";
        return Err(Invalid::new("execution.checkpointing.file-merging.enabled", "true", allowed));
    }
    check_claim(&workload.checkpoint, options)
}

/// Whether a run may own the checkpoint that it goes on from.
fn check_claim(checkpoint: &Checkpointing, options: &Options) -> Result<(), Invalid> {
    const KEY: &str = "execution.state-recovery.claim-mode";
    if checkpoint.restore_from.is_none() {
        return Ok(());
    }
    match options.state_recovery_claim_mode {
        ClaimMode::Legacy => Err(Invalid::new(KEY, "LEGACY", "NO_CLAIM or CLAIM: Flink 2 has no other")),
        ClaimMode::Claim if checkpoint.dir.is_some() => {
            let allowed =
                "no `checkpoint.dir` with CLAIM: the run goes on in the folder of the checkpoint that it claims";
            Err(Invalid::new(KEY, "CLAIM beside `checkpoint.dir`", allowed))
        }
        ClaimMode::Claim | ClaimMode::NoClaim => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpointing(text: &str) -> Result<Checkpointing, Invalid> {
        Checkpointing::new(&toml::from_str(text).unwrap(), Extent::Events(100_000))
    }

    #[test]
    fn impossible_settings_are_refused() {
        for (text, path) in [
            ("every-events = 0", "every-events"),
            ("dir = ' '", "dir"),
            ("restore-from = ''", "restore-from"),
            ("bandwidth = '0 b'", "bandwidth"),
            ("latency = '2 min'", "latency"),
            ("savepoint.dir = ''", "savepoint.dir"),
            ("savepoint = { dir = 'a', after-events = 100000 }", "savepoint.after-events"),
        ] {
            assert_eq!(checkpointing(text).unwrap_err().path, path, "{text}");
        }
        let timed = CheckpointWire {
            savepoint: Some(SavepointWire { dir: "a".to_owned(), after_events: None, format: SavepointFormat::Native }),
            ..CheckpointWire::default()
        };
        assert!(Checkpointing::new(&timed, Extent::Time(Duration::from_secs(1))).is_err());
    }

    #[test]
    fn the_file_goes_before_the_options_and_the_null_backend_has_none() {
        let mut options = Options::default();
        let none = checkpointing("").unwrap();
        assert_eq!(none.trigger(&options), None);
        options.set("execution.checkpointing.interval", "10 s").unwrap();
        let interval = CheckpointTrigger::Interval(Duration::from_secs(10), CheckpointClock::Real);
        assert_eq!(none.trigger(&options), Some(interval));
        let events = checkpointing("every-events = 5000").unwrap();
        assert_eq!(events.trigger(&options), Some(CheckpointTrigger::Events(5000)));
        options.backend = BackendType::Null;
        assert_eq!(events.trigger(&options), None);
    }
}
