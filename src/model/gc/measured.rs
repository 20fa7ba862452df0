//! Measured runs of Flink's heap backend on a JVM: what the model is compared with.

use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Collector, Job, Slots, Turnover};
use crate::state::{
    JVM_BASE, JVM_ENTRY, JVM_LIST, JVM_LONG, JVM_MAP, JVM_MAP_NODE, JvmHeap, jvm_byte_array, jvm_list_capacity,
    jvm_map_capacity, jvm_references,
};

/// The runs that the built-in constants were fitted to: Flink 2.3.0 on OpenJDK 17.0.15, two cores.
const BUILT_IN: &str = include_str!("../../../reports/validation/jvm-gc.jsonl");
/// What the built-in runs are called in messages.
const BUILT_IN_NAME: &str = "the built-in runs";
/// Key groups of the measured backend, each of which has a table for each thread.
const KEY_GROUPS: u64 = 128;
/// Slots of the table of a key group that is new.
const FIRST_SLOTS: u64 = 128;

/// A run of one heap size.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredRun {
    /// Its name.
    pub id: String,
    /// The collector.
    pub collector: Collector,
    /// The heap.
    pub heap: JvmHeap,
    /// Cores of the machine.
    pub cores: u32,
    /// What was in the state and done with it.
    pub workload: MeasuredWorkload,
    /// How it ended.
    pub outcome: MeasuredOutcome,
    /// What was alive behind the load and a full collection, bytes.
    pub live_bytes: Option<f64>,
}

/// The state of a run and its operations.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredWorkload {
    /// What an operation does.
    pub shape: Shape,
    /// Keys of the state.
    pub keys: u64,
    /// The exponent of the keys' zipf distribution; none where they are uniform.
    pub zipf: Option<f64>,
    /// Threads that divide the keys among them.
    pub threads: u64,
    /// Garbage that an operation makes beside, one array of this length; bytes.
    pub garbage_bytes: u64,
}

/// What an operation does with the state of its key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// Reads the value and writes a new one of so many bytes.
    Value(u64),
    /// Reads a number and writes one that is larger by one.
    Counter,
    /// Reads and writes one of so many numbers of a map.
    Map(u64),
    /// Appends an element to a list and clears the list when it is full.
    List {
        /// Bytes of an element.
        element_bytes: u64,
        /// Elements of a full list.
        length: u64,
        /// Elements of a list on average.
        mean_length: f64,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum MeasuredOutcome {
    /// It ran to its end.
    Finished(Observed),
    /// It ran out of memory.
    OutOfMemory,
    /// It was ended for a reason that says nothing of memory.
    Stopped,
}

/// What was measured in the window of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Its length, s.
    pub window_s: f64,
    /// Operations.
    pub operations: f64,
    /// Operations in a second outside pauses, 1/s.
    pub between_pauses_per_s: f64,
    /// What an operation allocated, bytes.
    pub allocated_bytes: f64,
    /// Young collections, mixed ones included.
    pub young: f64,
    /// Full collections.
    pub full: f64,
    /// The share of time in pauses, waits for a core left out; 0 to 1.
    pub pause_share: f64,
    /// The pause that 1 % were longer than, and the longest, ms; none where nothing paused.
    pub pauses_ms: Option<(f64, f64)>,
}

/// Why runs cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// The file cannot be opened.
    #[error("{0}: cannot read the measured runs: {1}")]
    Read(String, #[source] std::io::Error),
    /// A line is not a run.
    #[error("{file}:{line}: {problem}")]
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it: key, what was found, what is allowed.
        problem: String,
    },
    /// There is nothing to compare with.
    #[error("{0}: holds no runs; each line is the JSON object of one")]
    Empty(String),
}

/// The runs that come with the program.
///
/// # Errors
/// None: they are read in a test. The type is that of [`load_runs`].
pub fn built_in_runs() -> Result<Vec<MeasuredRun>, RunsError> {
    parse_runs(BUILT_IN_NAME, BUILT_IN)
}

/// Reads runs from a file of JSON lines; `reports/validation/README.md` lists the keys. Others are left alone.
///
/// # Errors
/// The file cannot be read, a line lacks a key or has a value that no run has, or there is none.
pub fn load_runs(path: &Path) -> Result<Vec<MeasuredRun>, RunsError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| RunsError::Read(name.clone(), error))?;
    parse_runs(&name, &text)
}

fn parse_runs(file: &str, text: &str) -> Result<Vec<MeasuredRun>, RunsError> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let runs = lines.map(|(line, json)| {
        parse_run(json).map_err(|problem| RunsError::Line { file: file.to_owned(), line, problem })
    });
    let runs = runs.collect::<Result<Vec<_>, _>>()?;
    if runs.is_empty() { Err(RunsError::Empty(file.to_owned())) } else { Ok(runs) }
}

/// The fields of a line, each read with what it may be.
struct Fields(Map<String, Value>);

/// What a number may be, for a message too.
struct Allowed {
    least: f64,
    most: f64,
    text: &'static str,
}

const fn from_to(least: f64, most: f64, text: &'static str) -> Allowed {
    Allowed { least, most, text }
}

const COUNT: Allowed = from_to(1.0, 1e10, "a number from 1 to 10000000000");
const ELEMENTS: Allowed = from_to(1.0, 1e5, "a number from 1 to 100000");
const FIGURE: Allowed = from_to(0.0, 1e15, "a number from 0 to 1e15");
const POSITIVE: Allowed = from_to(1e-9, 1e15, "a number above 0");
const SIZE: Allowed = from_to(0.0, 1e9, "a number from 0 to 1000000000");
const HEAP_MIB: Allowed = from_to(1.0, 32_767.0, "a number from 1 to 32767: the layout holds below 32 GB");
const CORES: Allowed = from_to(1.0, 1_024.0, "a number from 1 to 1024");
const EXPONENT: Allowed = from_to(0.0, 10.0, "a number from 0 to 10");
const SHARE: Allowed = from_to(0.0, 1.0, "a number from 0 to 1");

impl Fields {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn problem<T>(&self, key: &str, allowed: impl fmt::Display) -> Result<T, String> {
        let found = self.0.get(key).map_or_else(|| "nothing".to_owned(), shortened);
        Err(format!("{key}: found {found}, allowed is {allowed}"))
    }

    fn optional(&self, key: &str, allowed: &Allowed) -> Result<Option<f64>, String> {
        match self.get(key).map(Value::as_f64) {
            None => Ok(None),
            Some(Some(number)) if (allowed.least..=allowed.most).contains(&number) => Ok(Some(number)),
            Some(_) => self.problem(key, allowed.text),
        }
    }

    fn number(&self, key: &str, allowed: &Allowed) -> Result<f64, String> {
        self.optional(key, allowed)?.map_or_else(|| self.problem(key, allowed.text), Ok)
    }

    fn text(&self, key: &str) -> Result<&str, String> {
        self.get(key).and_then(Value::as_str).map_or_else(|| self.problem(key, "a text"), Ok)
    }

    fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T, String> {
        let found = self.get(key).and_then(Value::as_str);
        let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let chosen = choices.iter().find(|(name, _)| Some(*name) == found);
        chosen.map_or_else(|| self.problem(key, format!("one of {}", names())), |(_, choice)| Ok(*choice))
    }
}

/// A value for a message, cut where it is long.
fn shortened(value: &Value) -> String {
    const SHOWN: usize = 40;
    let text = value.to_string();
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain("…".chars()).collect() }
}

fn parse_run(json: &str) -> Result<MeasuredRun, String> {
    let fields = match serde_json::from_str(json) {
        Ok(Value::Object(fields)) => Fields(fields),
        Ok(other) => return Err(format!("found {}, allowed is a JSON object", shortened(&other))),
        Err(error) => return Err(format!("not a JSON object: {error}")),
    };
    let heap_mib = fields.number("heap_mb", &HEAP_MIB)?;
    Ok(MeasuredRun {
        id: fields.text("id")?.to_owned(),
        collector: fields.choice("gc", &[("G1", Collector::G1), ("Parallel", Collector::Parallel)])?,
        heap: JvmHeap { bytes: (heap_mib * f64::from(1 << 20)) as u64 },
        cores: fields.number("cores", &CORES)? as u32,
        workload: parse_workload(&fields)?,
        outcome: parse_outcome(&fields)?,
        live_bytes: fields.optional("live_after_fill_bytes", &POSITIVE)?,
    })
}

fn parse_workload(fields: &Fields) -> Result<MeasuredWorkload, String> {
    let keys = fields.number("keys", &COUNT)?;
    let is_zipf = fields.choice("dist", &[("uniform", false), ("zipf", true)])?;
    Ok(MeasuredWorkload {
        shape: parse_shape(fields, keys)?,
        keys: keys as u64,
        zipf: if is_zipf { Some(fields.number("theta", &EXPONENT)?) } else { None },
        threads: fields.number("threads", &CORES)? as u64,
        garbage_bytes: fields.optional("extra", &SIZE)?.unwrap_or(0.0) as u64,
    })
}

fn parse_shape(fields: &Fields, keys: f64) -> Result<Shape, String> {
    #[derive(Clone, Copy)]
    enum Kind {
        Value,
        Counter,
        Map,
        List,
    }
    let kinds = [("value-rmw", Kind::Value), ("counter", Kind::Counter), ("map-rmw", Kind::Map), ("list", Kind::List)];
    let bytes = || fields.number("v", &SIZE).map(|bytes| bytes as u64);
    Ok(match fields.choice("workload", &kinds)? {
        Kind::Value => Shape::Value(bytes()?),
        Kind::Counter => Shape::Counter,
        Kind::Map => Shape::Map(fields.number("mapEntries", &ELEMENTS)? as u64),
        Kind::List => {
            let length = fields.number("listLen", &ELEMENTS)?;
            // Of the objects that were counted all but 4 of each key and the tables are elements.
            let elements = |objects: f64| objects / keys - 4.0;
            let counted = fields.optional("predicted_objects", &POSITIVE)?.map(elements);
            let mean_length = counted.unwrap_or(0.5 * length).clamp(1.0, length);
            Shape::List { element_bytes: bytes()?, length: length as u64, mean_length }
        }
    })
}

fn parse_outcome(fields: &Fields) -> Result<MeasuredOutcome, String> {
    let outcome = fields.text("outcome")?;
    if outcome.contains("OutOfMemoryError") {
        return Ok(MeasuredOutcome::OutOfMemory);
    }
    if outcome != "ok" {
        return Ok(MeasuredOutcome::Stopped);
    }
    let p99 = fields.optional("pause_p99_cpu_ms", &FIGURE)?;
    Ok(MeasuredOutcome::Finished(Observed {
        window_s: fields.number("window_s", &POSITIVE)?,
        operations: fields.number("ops", &POSITIVE)?,
        between_pauses_per_s: fields.number("mutator_ops_per_s", &POSITIVE)?,
        allocated_bytes: fields.number("alloc_per_op", &POSITIVE)?,
        young: fields.number("young", &FIGURE)?,
        full: fields.number("full", &FIGURE)?,
        pause_share: fields.number("pause_frac_cpu", &SHARE)?,
        pauses_ms: p99.zip(fields.optional("pause_max_cpu_ms", &FIGURE)?),
    }))
}

/// Bytes and objects of one key's state, beside the table's slot.
struct OfKey {
    bytes: f64,
    objects: f64,
}

impl MeasuredWorkload {
    /// The model's input: everything but the rate follows from the layout of objects in HotSpot.
    pub fn job(&self, heap: JvmHeap, collector: Collector) -> Job {
        let OfKey { bytes, objects } = self.of_key();
        let keys = self.keys as f64;
        let tables = KEY_GROUPS * self.threads;
        let slots = table_slots(keys / tables as f64);
        let table_bytes = match collector {
            Collector::G1 => heap.references(slots),
            Collector::Parallel => jvm_references(slots),
        };
        Job {
            live_bytes: JVM_BASE as f64 + keys * bytes + (tables * table_bytes) as f64,
            live_objects: keys * objects + tables as f64,
            allocated_bytes: self.garbage() + JVM_LONG as f64 + self.written_bytes(),
            turnover: self.turnover(),
            load_survival: bytes / (bytes + self.garbage()),
        }
    }

    fn garbage(&self) -> f64 {
        if self.garbage_bytes == 0 { 0.0 } else { jvm_byte_array(self.garbage_bytes) as f64 }
    }

    fn of_key(&self) -> OfKey {
        let entry = JVM_ENTRY + JVM_LONG;
        match self.shape {
            Shape::Value(bytes) => OfKey { bytes: (entry + jvm_byte_array(bytes)) as f64, objects: 3.0 },
            Shape::Counter => OfKey { bytes: (entry + JVM_LONG) as f64, objects: 3.0 },
            Shape::Map(entries) => {
                let table = jvm_references(u64::from(jvm_map_capacity(0, entries as usize)));
                let nodes = entries * (JVM_MAP_NODE + 2 * JVM_LONG);
                OfKey { bytes: (entry + JVM_MAP + table + nodes) as f64, objects: (4 + 3 * entries) as f64 }
            }
            Shape::List { element_bytes, length, mean_length } => {
                let elements = mean_length * jvm_byte_array(element_bytes) as f64;
                let bytes = (entry + JVM_LIST) as f64 + mean_list_array(length) + elements;
                OfKey { bytes, objects: 4.0 + mean_length }
            }
        }
    }

    /// What the state's part of an operation allocates, bytes.
    fn written_bytes(&self) -> f64 {
        match self.shape {
            Shape::Value(bytes) => jvm_byte_array(bytes) as f64,
            Shape::Counter => JVM_LONG as f64,
            // The field's key is boxed for the look-up.
            Shape::Map(_) => 2.0 * JVM_LONG as f64,
            Shape::List { element_bytes, length, .. } => {
                let once = JVM_LIST + JVM_ENTRY + list_arrays(length).iter().sum::<u64>();
                jvm_byte_array(element_bytes) as f64 + once as f64 / length as f64
            }
        }
    }

    fn turnover(&self) -> Turnover {
        let keys = self.keys as f64;
        let slots = |of_key: f64| match self.zipf {
            Some(exponent) => Slots::zipf(keys, exponent, of_key),
            None => Slots::uniform(keys * of_key),
        };
        let long = JVM_LONG as f64;
        let turnover = |of_key: f64, payload_bytes: f64, payload_objects: f64| Turnover {
            slots: slots(of_key),
            payload_bytes,
            payload_objects,
            writes: 1.0,
        };
        match self.shape {
            Shape::Value(bytes) => turnover(1.0, jvm_byte_array(bytes) as f64, 1.0),
            Shape::Counter => turnover(1.0, long, 1.0),
            Shape::Map(entries) => turnover(entries as f64, long, 1.0),
            Shape::List { element_bytes, length, .. } => {
                // A list that is full is cleared with all that belongs to it.
                let last = list_arrays(length).last().copied().unwrap_or(0);
                let once = (JVM_LIST + JVM_ENTRY + JVM_LONG + last) as f64;
                let payload = jvm_byte_array(element_bytes) as f64 + once / length as f64;
                turnover(self.of_key().bytes / payload, payload, 1.0 + 4.0 / length as f64)
            }
        }
    }
}

/// Slots of a key group's table, which doubles when more than three quarters of it are full.
fn table_slots(entries: f64) -> u64 {
    let mut slots = FIRST_SLOTS;
    while slots as f64 * 0.75 < entries {
        slots *= 2;
    }
    slots
}

/// The arrays of a list that grows to a length, bytes.
fn list_arrays(length: u64) -> Vec<u64> {
    let mut arrays = Vec::new();
    let mut capacity = 0;
    while u64::from(capacity) < length {
        capacity = jvm_list_capacity(capacity, capacity as usize + 1);
        arrays.push(jvm_references(u64::from(capacity)));
    }
    arrays
}

/// The array of a list of any length below the full one, bytes.
fn mean_list_array(length: u64) -> f64 {
    let lengths = 1..length.max(2);
    let array = |length: u64| jvm_references(u64::from(jvm_list_capacity(0, length as usize)));
    let count = lengths.clone().count() as f64;
    lengths.map(|length| array(length) as f64).sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = r#"{"id": "a", "gc": "G1", "heap_mb": 100, "cores": 2, "workload": "list", "v": 100, "dist": "uniform",
        "listLen": 16, "threads": 1, "keys": 1000, "outcome": "ok", "window_s": 10, "ops": 1e6, "mutator_ops_per_s": 1e5,
        "alloc_per_op": 170, "young": 5, "full": 0, "pause_frac_cpu": 0.1, "seed": [1]}"#;

    fn run(json: &str) -> Result<MeasuredRun, String> {
        parse_run(json)
    }

    #[test]
    fn the_built_in_runs_are_read() {
        let runs = built_in_runs().unwrap();
        assert_eq!(runs.len(), 25);
        assert_eq!(runs.iter().filter(|run| run.outcome == MeasuredOutcome::OutOfMemory).count(), 1);
        assert!(runs.iter().all(|run| run.live_bytes.is_some()));
    }

    #[test]
    fn a_list_weighs_what_it_holds_on_average() {
        let job = run(RUN).unwrap().workload.job(JvmHeap { bytes: 100 << 20 }, Collector::G1);
        // Growth arrays of 10, 15 and 22, the list and its entry, once in 16 appends.
        let allocated = 24.0 + 120.0 + (24.0 + 40.0 + 56.0 + 80.0 + 104.0) / 16.0;
        assert!((job.allocated_bytes - allocated).abs() < 1e-9);
        let mean_array = (10.0 * 56.0 + 5.0 * 80.0) / 15.0;
        let of_key = 40.0 + 24.0 + 24.0 + mean_array + 8.0 * 120.0;
        let tables = 128.0 * (16.0 + 4.0 * 128.0);
        assert!((job.live_bytes - (JVM_BASE as f64 + 1_000.0 * of_key + tables)).abs() < 1e-6);
        assert!((job.live_objects - (12.0 * 1_000.0 + 128.0)).abs() < 1e-9);
        // All of a full list goes at once.
        let payload = 120.0 + (40.0 + 24.0 + 24.0 + 104.0) / 16.0;
        assert!((job.turnover.payload_bytes - payload).abs() < 1e-9);
    }

    #[test]
    fn a_large_table_takes_whole_regions() {
        let workload =
            MeasuredWorkload { shape: Shape::Counter, keys: 128 * 50_000, zipf: None, threads: 1, garbage_bytes: 0 };
        let heap = JvmHeap { bytes: 1 << 30 };
        let weighed = |collector| workload.job(heap, collector).live_bytes;
        let of_table = f64::from((1 << 20) - (16 + 4 * 131_072));
        assert!((weighed(Collector::G1) - weighed(Collector::Parallel) - 128.0 * of_table).abs() < 1.0);
    }

    #[test]
    fn a_line_that_is_no_run_says_what_is_wrong() {
        for (from, to, problem) in [
            ("\"heap_mb\": 100", "\"heap_mb\": \"big\"", "heap_mb: found \"big\", allowed is a number from 1 to 32767"),
            ("\"heap_mb\": 100", "\"heap_mb\": 1e400", "not a JSON object: number out of range"),
            ("\"keys\": 1000", "\"keys\": -1", "keys: found -1, allowed is a number from 1 to 10000000000"),
            ("\"gc\": \"G1\"", "\"gc\": \"ZGC\"", "gc: found \"ZGC\", allowed is one of G1, Parallel"),
            (
                "\"workload\": \"list\"",
                "\"workload\": null",
                "workload: found null, allowed is one of value-rmw, counter",
            ),
            ("\"listLen\": 16,", "", "listLen: found nothing, allowed is a number from 1 to 100000"),
            ("\"v\": 100,", "", "v: found nothing"),
            ("\"dist\": \"uniform\"", "\"dist\": \"zipf\"", "theta: found nothing, allowed is a number from 0 to 10"),
            (
                "\"pause_frac_cpu\": 0.1",
                "\"pause_frac_cpu\": 2",
                "pause_frac_cpu: found 2, allowed is a number from 0 to 1",
            ),
            ("\"outcome\": \"ok\"", "\"outcome\": 3", "outcome: found 3, allowed is a text"),
            (
                "\"mutator_ops_per_s\": 1e5",
                "\"mutator_ops_per_s\": 0",
                "mutator_ops_per_s: found 0, allowed is a number above 0",
            ),
        ] {
            let json = RUN.replace(from, to);
            assert_ne!(json, RUN, "{from}");
            let said = run(&json).unwrap_err();
            assert!(said.starts_with(problem), "{said}");
        }
        assert_eq!(run("[1]").unwrap_err(), "found [1], allowed is a JSON object");
        assert_eq!(
            parse_runs("f", "\n \n").unwrap_err().to_string(),
            "f: holds no runs; each line is the JSON object of one"
        );
        let runs = format!("{}\n\n[]\n", RUN.replace('\n', " "));
        assert_eq!(parse_runs("f", &runs).unwrap_err().to_string(), "f:3: found [], allowed is a JSON object");
    }

    #[test]
    fn a_run_that_was_stopped_says_nothing_of_memory() {
        assert_eq!(run(&RUN.replace("\"ok\"", "\"fill_stalled\"")).unwrap().outcome, MeasuredOutcome::Stopped);
        let failed = RUN.replace("\"ok\"", "\"java.lang.OutOfMemoryError: Java heap space\"");
        assert_eq!(run(&failed).unwrap().outcome, MeasuredOutcome::OutOfMemory);
    }
}
