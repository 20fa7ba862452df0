//! What a job has told in its accumulators, as a result has it.

use hdrhistogram::Histogram;
use serde::Deserialize;
use serde_json::Value;

use super::EngineError;
use super::events::Written;
use crate::measure::latency_histogram;
use crate::result::{KeyedResult, Latency, Measurement, PrefillOrigin, Timing, TimingStrategy, slow_event_share};
use crate::source::BLOCK_EVENTS;
use crate::state::Digest;
use crate::workload::Workload;

/// What one subtask has measured: `Probe.json` of the job.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Measured {
    subtask: u16,
    attempt: u32,
    jvm: String,
    prefill_ns: u64,
    events: u64,
    busy_ns: u64,
    wall_ns: u64,
    gc_count: u64,
    gc_ms: u64,
    jit_ms: u64,
    heap_used_bytes: u64,
    heap_max_bytes: u64,
    event_latency: Vec<(u64, u64)>,
    block_duration: Vec<(u64, u64)>,
}

/// What a job has told.
pub struct Told {
    subtasks: Vec<Measured>,
    /// Of each operator.
    operators: Vec<OperatorTold>,
}

struct OperatorTold {
    emitted: Digest,
    late: u64,
    latest: Vec<(i64, i64)>,
}

/// What the JVMs did in the measured part beside the job, and what their heaps held at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collections {
    /// Collections.
    pub count: u64,
    /// The time that they took, ms.
    pub ms: u64,
    /// The time that compilers ran beside, ms.
    pub jit_ms: u64,
    /// What the heaps held, bytes.
    pub heap_used_bytes: u64,
    /// What they could hold, bytes.
    pub heap_max_bytes: u64,
}

impl Told {
    /// Reads the accumulators of a job with so many operators.
    ///
    /// # Errors
    /// One is missing, or is not what the job writes.
    pub fn read(accumulators: &Value, operators: usize) -> Result<Self, EngineError> {
        let all = accumulators.get("user-task-accumulators").and_then(Value::as_array);
        let named = |name: &str| {
            let mut all = all.into_iter().flatten();
            let found = all.find(|one| one.get("name").and_then(Value::as_str) == Some(name));
            let value = found.and_then(|one| one.get("value")?.as_str());
            value.ok_or_else(|| EngineError::Told(format!("the job has no accumulator {name}")))
        };
        let number = |name: &str| -> Result<i64, EngineError> {
            named(name)?.parse().map_err(|_| EngineError::Told(format!("{name} is not a number")))
        };
        let operator = |place: usize| {
            let late = number(&format!("late-{place}"))? + number(&format!("late-windows-{place}")).unwrap_or(0);
            Ok(OperatorTold {
                emitted: Digest {
                    sum: number(&format!("digest-sum-{place}"))? as u64,
                    count: number(&format!("digest-count-{place}"))?.unsigned_abs(),
                },
                late: late.unsigned_abs(),
                latest: list(named(&format!("latest-{place}"))?, "latest results")?,
            })
        };
        let mut subtasks: Vec<Measured> = list(named("measured")?, "measurements")?;
        subtasks.sort_by_key(|measured| measured.subtask);
        Ok(Self { subtasks, operators: (0..operators).map(operator).collect::<Result<_, EngineError>>()? })
    }

    /// The digest over what an operator has emitted.
    pub fn emitted(&self, operator: usize) -> Digest {
        self.operators.get(operator).map_or_else(Digest::default, |told| told.emitted)
    }

    /// How often a subtask was begun again, at most.
    pub fn attempts(&self) -> u32 {
        self.subtasks.iter().map(|measured| measured.attempt).max().unwrap_or(0)
    }

    /// The latest results by key, of the last operator.
    pub fn latest(&self) -> Vec<KeyedResult> {
        let last = self.operators.last().map(|told| told.latest.clone()).unwrap_or_default();
        let mut latest: Vec<_> = last.into_iter().map(|(key, value)| KeyedResult { key, value }).collect();
        latest.sort_by_key(|result| result.key);
        latest
    }

    /// Garbage collections: subtasks of one JVM tell of the same ones.
    pub fn collections(&self) -> Collections {
        let mut jvms = std::collections::BTreeMap::<&str, Collections>::new();
        for measured in &self.subtasks {
            let jvm = jvms.entry(&measured.jvm).or_default();
            jvm.count = jvm.count.max(measured.gc_count);
            jvm.ms = jvm.ms.max(measured.gc_ms);
            jvm.jit_ms = jvm.jit_ms.max(measured.jit_ms);
            jvm.heap_used_bytes = jvm.heap_used_bytes.max(measured.heap_used_bytes);
            jvm.heap_max_bytes = jvm.heap_max_bytes.max(measured.heap_max_bytes);
        }
        jvms.into_values().fold(Collections::default(), |sum, jvm| Collections {
            count: sum.count + jvm.count,
            ms: sum.ms + jvm.ms,
            jit_ms: sum.jit_ms + jvm.jit_ms,
            heap_used_bytes: sum.heap_used_bytes + jvm.heap_used_bytes,
            heap_max_bytes: sum.heap_max_bytes + jvm.heap_max_bytes,
        })
    }

    /// What a result has of it.
    pub fn measurement(&self, workload: &Workload, written: Written, sample_every: u32) -> Measurement {
        let event = merged(self.subtasks.iter().map(|measured| &measured.event_latency));
        let blocks = merged(self.subtasks.iter().map(|measured| &measured.block_duration));
        let busy_s: Vec<f64> = self.subtasks.iter().map(|measured| measured.busy_ns as f64 / 1e9).collect();
        let events: u64 = self.subtasks.iter().map(|measured| measured.events).sum();
        let busiest_s = busy_s.iter().copied().fold(0.0, f64::max);
        let longest = |of: fn(&Measured) -> u64| self.subtasks.iter().map(of).max().unwrap_or(0) as f64 / 1e9;
        Measurement {
            parallelism: workload.run.groups.parallelism,
            prefill_keys: workload.prefill_keys(),
            prefill_by: PrefillOrigin::Own,
            prefill_s: longest(|measured| measured.prefill_ns),
            warm_up_events: written.warm_up_events,
            events,
            skipped_rows: written.skipped_rows,
            wall_s: longest(|measured| measured.wall_ns),
            throughput_events_per_s: if busiest_s > 0.0 { events as f64 / busiest_s } else { 0.0 },
            busy_s,
            timing: Timing {
                strategy: if sample_every == 1 { TimingStrategy::Every } else { TimingStrategy::Sampled },
                sample_every,
                window_events: Some(BLOCK_EVENTS as u32),
                untimed_event_ns: None,
                loss_per_timed_event_ns: None,
                loss_share: None,
                empty_interval_ns: 0,
                record_ns: None,
                harness_ns_per_event: None,
                looking_share: None,
            },
            slow_event_share: slow_event_share(&event),
            event_latency: Latency::of(&event),
            window_duration: (!blocks.is_empty()).then(|| Latency::of(&blocks)),
            emitted: Digest::of_operators(self.operators.iter().map(|told| told.emitted)),
            late_events: self.operators.iter().map(|told| told.late).sum(),
            latest: self.latest(),
            ..Measurement::of_nothing()
        }
    }
}

fn list<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<Vec<T>, EngineError> {
    serde_json::from_str(text).map_err(|error| EngineError::Told(format!("{what} of the job: {error}")))
}

/// The histogram of pairs of a value and how often it came.
fn merged<'a>(parts: impl Iterator<Item = &'a Vec<(u64, u64)>>) -> Histogram<u64> {
    let mut all = latency_histogram();
    for (value, count) in parts.flatten() {
        all.saturating_record_n(*value, *count);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    fn workload(text: &str) -> Workload {
        Workload::new(&toml::from_str(text).unwrap(), Path::new(".")).unwrap()
    }

    fn subtask(number: u16, jvm: &str, busy_ns: u64) -> String {
        format!(
            "{{\"subtask\":{number},\"attempt\":{number},\"jvm\":\"{jvm}\",\"prefill_ns\":5,\"events\":1000,\"busy_ns\":{busy_ns},\
             \"wall_ns\":9,\"gc_count\":3,\"gc_ms\":20,\"jit_ms\":4,\"heap_used_bytes\":7,\"heap_max_bytes\":9,\
             \"event_latency\":[[100,990],[400000,10]],\"block_duration\":[[5000,3]]}}"
        )
    }

    fn accumulators(subtasks: &[String]) -> Value {
        let one = |name: &str, value: &str| json!({ "name": name, "type": "LongCounter", "value": value });
        json!({ "job-accumulators": [], "user-task-accumulators": [
            one("digest-sum-0", "-1"), one("digest-count-0", "2000"), one("late-0", "4"), one("latest-0", "[[2, 5], [1, 7]]"),
            one("late-windows-0", "3"), one("measured", &format!("[{}]", subtasks.join(", "))),
        ] })
    }

    #[test]
    fn what_a_job_has_told_becomes_a_measurement() {
        let told = accumulators(&[subtask(1, "a", 2_000_000), subtask(0, "a", 1_000_000)]);
        let told = Told::read(&told, 1).unwrap();
        let written = Written { warm_up_events: 10, events: 2_000, skipped_rows: 0 };
        let measurement = told.measurement(&workload("run.parallelism = 2"), written, 1);
        assert_eq!((measurement.events, measurement.busy_s.as_slice()), (2_000, [0.001, 0.002].as_slice()));
        assert!((measurement.throughput_events_per_s / 1e6 - 1.0).abs() < 1e-9);
        assert_eq!(measurement.emitted, Digest { sum: u64::MAX, count: 2_000 });
        assert_eq!((measurement.late_events, measurement.slow_event_share), (7, 0.01));
        assert_eq!(measurement.event_latency.summary.p50_ns, Some(100));
        assert_eq!(measurement.latest.iter().map(|result| result.key).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(told.attempts(), 1);
        // Both subtasks tell of one JVM.
        let expected = Collections { count: 3, ms: 20, jit_ms: 4, heap_used_bytes: 7, heap_max_bytes: 9 };
        assert_eq!(told.collections(), expected);
        let told = Told::read(&accumulators(&[subtask(0, "a", 1), subtask(1, "b", 1)]), 1).unwrap();
        assert_eq!(told.collections().count, 6);
    }

    #[test]
    fn what_is_missing_or_damaged_is_named() {
        let error = |json: &Value, operators| Told::read(json, operators).err().unwrap().to_string();
        assert!(error(&json!({}), 1).contains("measured"));
        assert!(error(&accumulators(&[subtask(0, "a", 1)]), 2).contains("late-1"));
        assert!(error(&accumulators(&["{}".to_owned()]), 1).contains("measurements of the job"));
    }
}
