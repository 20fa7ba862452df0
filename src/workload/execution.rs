//! The `[run]` section: how long, how often, how parallel.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Bytes, Invalid, ROUND_EVENTS, Source, Time, check_range};
use crate::state::{KeyGroups, MAX_PARALLELISM_LIMIT, default_max_parallelism};

/// The `[run]` section as the file spells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RunWire {
    /// What is run before measuring: a number of events (an integer) or a time (a text such as `2 s`). A tenth of
    /// `events`, or of `duration`, where it is not set.
    pub warm_up: Option<Amount>,
    /// How long is measured. Not together with `events`.
    pub duration: Option<Time>,
    /// How many events are measured: 1,000,000, or all of a trace, where neither this nor `duration` is set.
    pub events: Option<u64>,
    /// Trials of each configuration.
    pub repeats: u32,
    /// The seed that every random choice follows from.
    pub seed: u64,
    /// Subtasks, one thread each.
    pub parallelism: u16,
    /// Key groups; Flink's default for the parallelism where it is not set.
    pub max_parallelism: Option<u16>,
    /// Share of the keys that are in the state before the run, 0 to 1; 1 where it is not set and keys are generated.
    pub prefill: Option<f64>,
    /// How they get there.
    pub prefill_by: PrefillBy,
    /// Events of the untimed pass that compares the final state when a trial is measured for a duration.
    pub verify_events: u64,
    /// Times one event in this many (1 for all) instead of what calibration finds.
    pub sample_every: Option<u32>,
    /// Whether each RocksDB configuration gets one more trial, with RocksDB's counters on: they slow reads down, so the
    /// other trials run without. True where it is not set, but for a run shrunk by `--quick`.
    pub counters: Option<bool>,
    /// How often the state is counted in the measured part, live and expired entries apart: 32 times where the workload
    /// has a `states` section and this is not set, else never. It takes time, which is not part of any figure.
    pub growth_samples: Option<u16>,
    /// What the stretches of time are long that the course of a trial is kept in, its store looked at once in each: 100 ms where it
    /// is not set, 10 ms to a day. They double in length whenever there are 256.
    pub timeline_interval: Option<Time>,
    /// Whether RocksDB reads and writes its files past the page cache, so that what its block cache does not hold comes from
    /// the device.
    pub direct_io: bool,
    /// Most memory of each trial's process, its part of the page cache included: a small machine's, on a large one. It takes
    /// Linux's control groups and the right to make one.
    pub memory_limit: Option<Bytes>,
}

impl Default for RunWire {
    fn default() -> Self {
        Self {
            warm_up: None,
            duration: None,
            events: None,
            repeats: 3,
            seed: 1,
            parallelism: 1,
            max_parallelism: None,
            prefill: None,
            prefill_by: PrefillBy::Puts,
            verify_events: 100_000,
            sample_every: None,
            counters: None,
            growth_samples: None,
            timeline_interval: None,
            direct_io: false,
            memory_limit: None,
        }
    }
}

/// How keys get into the state before a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PrefillBy {
    /// One after another, as a job would put them: the shape that a job leaves behind.
    #[default]
    Puts,
    /// RocksDB: sorted, as whole table files in the last level. Fast, and the best shape that a tree can have. Trials that
    /// write the same table files share one, and those of the heap a snapshot.
    Ingest,
}

/// A number of events or a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Amount {
    /// This many events.
    Events(u64),
    /// This long.
    Time(Time),
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Spelling {
            Events(i64),
            Time(String),
        }
        let expected = "expected a number of events such as 10_000, or a time such as '2 s'";
        match Spelling::deserialize(deserializer).map_err(|_| de::Error::custom(expected))? {
            Spelling::Events(events) => u64::try_from(events)
                .map(Self::Events)
                .map_err(|_| de::Error::custom(format!("`{events}` is negative"))),
            Spelling::Time(text) => text.parse().map(Self::Time).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"], "minimum": 0,
            "description": "a number of events such as 10000, or a time such as 2 s"
        })
    }
}

/// Where a stretch of a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// After this many events, or earlier where the source ends.
    Events(u64),
    /// After this time.
    Time(Duration),
    /// Where the source ends.
    SourceEnd,
}

/// How a workload is run, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What precedes measuring.
    pub warm_up: Extent,
    /// What is measured.
    pub measured: Extent,
    /// Trials of each configuration.
    pub repeats: u32,
    /// The seed.
    pub seed: u64,
    /// Subtasks and key groups.
    pub groups: KeyGroups,
    /// Share of the keys that are in the state before the run.
    pub prefill: f64,
    /// How they get there.
    pub prefill_by: PrefillBy,
    /// Events of the verification pass.
    pub verify_events: u64,
    /// Times one event in this many, where the user says so.
    pub sample_every: Option<u32>,
    /// Whether RocksDB configurations get a companion trial with RocksDB's counters on.
    pub counters: bool,
    /// How often the state is counted in the measured part.
    pub growth_samples: u16,
    /// What the intervals of the timeline are long at first.
    pub timeline_interval: Duration,
    /// Whether RocksDB goes past the page cache.
    pub direct_io: bool,
    /// Most memory of each trial's process, bytes.
    pub memory_limit_bytes: Option<u64>,
}

/// Measured events where the file sets neither `events` nor `duration`.
const DEFAULT_EVENTS: u64 = 1_000_000;

/// The intervals of the timeline where the file does not say.
const TIMELINE_INTERVAL: Duration = Duration::from_millis(100);

impl Run {
    /// Checks the wire form. A trace has an end of its own, and only generated keys can be there before.
    ///
    /// # Errors
    /// A number out of range, or two settings that exclude each other; paths are relative to `run`.
    pub fn new(wire: &RunWire, source: &Source) -> Result<Self, Invalid> {
        if let (Some(duration), Some(events)) = (wire.duration, wire.events) {
            let found = format!("{duration} beside events = {events}");
            return Err(Invalid::new("duration", found, "either `duration` or `events`"));
        }
        let (default_warm_up, measured) = match (wire.duration, wire.events) {
            (Some(duration), _) => {
                let time = in_range("duration", duration, Duration::from_millis(1))?;
                (Extent::Time(time / 10), Extent::Time(time))
            }
            (None, Some(events)) => {
                let events = check_range("events", events, 1..=1_000_000_000_000)?;
                (Extent::Events(events / 10), Extent::Events(events))
            }
            (None, None) if matches!(source, Source::Trace(_)) => (Extent::Events(0), Extent::SourceEnd),
            (None, None) => (Extent::Events(DEFAULT_EVENTS / 10), Extent::Events(DEFAULT_EVENTS)),
        };
        let warm_up = match wire.warm_up {
            None => default_warm_up,
            Some(Amount::Events(events)) => Extent::Events(check_range("warm-up", events, 0..=1_000_000_000_000)?),
            Some(Amount::Time(time)) if matches!(measured, Extent::Time(_)) => {
                Extent::Time(in_range("warm-up", time, Duration::ZERO)?)
            }
            Some(Amount::Time(time)) => {
                let allowed = "a number of events, since `events` are counted too: trials must end at the same event";
                return Err(Invalid::new("warm-up", format!("the time {time}"), allowed));
            }
        };
        let prefill = wire.prefill.unwrap_or(if *source == Source::Generated { 1.0 } else { 0.0 });
        let parallelism = check_range("parallelism", wire.parallelism, 1..=1024)?;
        let max_parallelism = match wire.max_parallelism {
            None => default_max_parallelism(parallelism),
            Some(max) => check_range("max-parallelism", max, parallelism..=MAX_PARALLELISM_LIMIT)?,
        };
        Ok(Self {
            warm_up,
            measured,
            repeats: check_range("repeats", wire.repeats, 1..=1000)?,
            seed: wire.seed,
            groups: KeyGroups { max_parallelism, parallelism },
            prefill: check_range("prefill", prefill, 0.0..=1.0)?,
            prefill_by: wire.prefill_by,
            verify_events: check_range("verify-events", wire.verify_events, 1..=100_000_000)?,
            sample_every: wire.sample_every.map(|every| check_range("sample-every", every, 1..=1024)).transpose()?,
            counters: wire.counters.unwrap_or(true),
            growth_samples: check_range("growth-samples", wire.growth_samples.unwrap_or(0), 0..=1_000)?,
            timeline_interval: wire
                .timeline_interval
                .map_or(Ok(TIMELINE_INTERVAL), |time| in_range("timeline-interval", time, Duration::from_millis(10)))?,
            direct_io: wire.direct_io,
            memory_limit_bytes: wire.memory_limit.map(memory_limit).transpose()?,
        })
    }
}

/// A process of the harness and a database take this much before they hold anything.
const LEAST_MEMORY_BYTES: u64 = 64 << 20;

fn memory_limit(limit: Bytes) -> Result<u64, Invalid> {
    let allowed = || format!("at least {}: a trial's process takes that much by itself", Bytes(LEAST_MEMORY_BYTES));
    (limit.0 >= LEAST_MEMORY_BYTES).then_some(limit.0).ok_or_else(|| Invalid::new("memory-limit", limit, allowed()))
}

impl Run {
    /// Where the warm-up ends: after whole rounds where it has a number of events.
    pub fn warm_up_extent(&self) -> Extent {
        match self.warm_up {
            Extent::Events(events) => Extent::Events(events.next_multiple_of(ROUND_EVENTS)),
            other => other,
        }
    }

    /// The sequence of the first measured event, where the warm-up has a number of events; else 0.
    pub fn first_measured(&self) -> u64 {
        if let Extent::Events(events) = self.warm_up_extent() { events } else { 0 }
    }
}

fn in_range(path: &str, time: Time, least: Duration) -> Result<Duration, Invalid> {
    const MOST: Duration = Duration::from_hours(24);
    if (least..=MOST).contains(&time.0) {
        Ok(time.0)
    } else {
        Err(Invalid::new(path, time, format!("{} to {}", Time(least), Time(MOST))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Trace;
    use std::path::Path;

    fn run(text: &str) -> Result<Run, Invalid> {
        Run::new(&toml::from_str(text).unwrap(), &Source::Generated)
    }

    #[test]
    fn defaults_follow_from_what_is_set() {
        let defaults = run("").unwrap();
        assert_eq!((defaults.warm_up, defaults.measured), (Extent::Events(100_000), Extent::Events(1_000_000)));
        assert_eq!(defaults.groups, KeyGroups { max_parallelism: 128, parallelism: 1 });
        let timed = run("duration = '10 s'").unwrap();
        assert_eq!(timed.warm_up, Extent::Time(Duration::from_secs(1)));
        let wire = toml::from_str("path = 'a.csv'\ntime = 't'\nkey = 'k'").unwrap();
        let trace = Source::Trace(Trace::new(&wire, Path::new(".")).unwrap());
        assert_eq!(Run::new(&RunWire::default(), &trace).unwrap().measured, Extent::SourceEnd);
    }

    #[test]
    fn impossible_runs_are_refused() {
        for (text, path) in [
            ("duration = '1 s'\nevents = 5", "duration"),
            ("events = 0", "events"),
            ("events = 10\nwarm-up = '1 s'", "warm-up"),
            ("parallelism = 0", "parallelism"),
            ("parallelism = 4\nmax-parallelism = 2", "max-parallelism"),
            ("prefill = 1.5", "prefill"),
            ("repeats = 0", "repeats"),
            ("duration = '30 d'", "duration"),
            ("timeline-interval = '1 ms'", "timeline-interval"),
        ] {
            assert_eq!(run(text).unwrap_err().path, path, "{text}");
        }
    }
}
