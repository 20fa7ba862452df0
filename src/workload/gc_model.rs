//! The `[gc-model]` section: what the model of a JVM's garbage collector is asked, of the trials of the heap backend.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Invalid, check_range};
use crate::state::JvmHeap;

/// The `[gc-model]` section as the file spells it. Nothing of it has a part in what is run or measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GcModelWire {
    /// Events that the JVM is offered in a second, of the whole job: from your Flink job, not from this program, which is faster.
    /// Where it is not set, the rate of the section `load`; a job that has neither is not modelled.
    pub events_per_second: Option<f64>,
    /// Heaps of a TaskManager that are asked about; that of each configuration where none is given.
    pub heap: Vec<Bytes>,
    /// Cores of a TaskManager; 2 where it is not set, which is what the model was measured on.
    pub cores: Option<u32>,
    /// Garbage that the pipeline makes of an event, its record included; a boxed key where it is not set.
    pub garbage_per_event: Option<Bytes>,
    /// Objects of the process that stay beside the state; those of a bare process where it is not set.
    pub other_live: Option<Bytes>,
}

/// What the model is asked, valid by construction; what is not set is up to the model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GcModel {
    /// Events that are offered in a second.
    pub events_per_s: Option<f64>,
    /// Heaps of a TaskManager; empty where nothing is said.
    pub heaps: Vec<JvmHeap>,
    /// Cores of a TaskManager.
    pub cores: Option<u32>,
    /// Garbage of an event beside the state, bytes.
    pub garbage_bytes: Option<u64>,
    /// Objects beside the state, bytes.
    pub live_bytes: Option<u64>,
}

/// No TaskManager has so much garbage of an event, or so much beside its state.
const MOST_BESIDE: u64 = 1 << 40;

impl GcModel {
    /// The heaps that the model holds for, in words.
    pub const HEAPS: &str = "1mb to below 32gb: above, references are no longer compressed";

    /// A heap that the model holds for; none of another size.
    pub fn heap(Bytes(bytes): Bytes) -> Option<JvmHeap> {
        (1 << 20..=JvmHeap::MOST_BYTES).contains(&bytes).then_some(JvmHeap { bytes })
    }

    /// Checks the wire form; paths of errors are relative to `gc-model`.
    ///
    /// # Errors
    /// A number out of range, or a heap that the model does not hold for.
    pub fn new(wire: &GcModelWire) -> Result<Self, Invalid> {
        let beside = |path: &str, size: Option<Bytes>| {
            let checked = size.map(|Bytes(bytes)| {
                let allowed = format!("up to {}", Bytes(MOST_BESIDE));
                (bytes <= MOST_BESIDE).then_some(bytes).ok_or_else(|| Invalid::new(path, Bytes(bytes), allowed))
            });
            checked.transpose()
        };
        let heap = |(at, size): (usize, &Bytes)| {
            Self::heap(*size).ok_or_else(|| Invalid::new(&format!("heap[{at}]"), size, Self::HEAPS))
        };
        Ok(Self {
            events_per_s: wire
                .events_per_second
                .map(|rate| check_range("events-per-second", rate, 1e-3..=1e12))
                .transpose()?,
            heaps: wire.heap.iter().enumerate().map(heap).collect::<Result<_, _>>()?,
            cores: wire.cores.map(|cores| check_range("cores", cores, 1..=1_024)).transpose()?,
            garbage_bytes: beside("garbage-per-event", wire.garbage_per_event)?,
            live_bytes: beside("other-live", wire.other_live)?,
        })
    }

    /// This, and of the other what this does not say.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            events_per_s: self.events_per_s.or(other.events_per_s),
            heaps: if self.heaps.is_empty() { other.heaps.clone() } else { self.heaps },
            cores: self.cores.or(other.cores),
            garbage_bytes: self.garbage_bytes.or(other.garbage_bytes),
            live_bytes: self.live_bytes.or(other.live_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(text: &str) -> Result<GcModel, Invalid> {
        GcModel::new(&toml::from_str(text).unwrap())
    }

    #[test]
    fn what_the_model_does_not_hold_for_is_refused() {
        for (text, path) in [
            ("heap = ['1gb', '32gb']", "heap[1]"),
            ("heap = ['1kb']", "heap[0]"),
            ("events-per-second = 0.0", "events-per-second"),
            ("events-per-second = inf", "events-per-second"),
            ("cores = 0", "cores"),
            ("other-live = '2000 tb'", "other-live"),
            ("garbage-per-event = '2000 tb'", "garbage-per-event"),
        ] {
            assert_eq!(model(text).unwrap_err().path, path, "{text}");
        }
        let asked = model("heap = ['512 mb']\nevents-per-second = 1000\ngarbage-per-event = '100 b'").unwrap();
        assert_eq!((asked.heaps[0].bytes, asked.cores, asked.garbage_bytes), (512 << 20, None, Some(100)));
        let stated = GcModel { cores: Some(4), garbage_bytes: Some(7), ..GcModel::default() };
        let both = stated.or(&asked);
        assert_eq!((both.heaps[0].bytes, both.cores, both.garbage_bytes), (512 << 20, Some(4), Some(7)));
    }
}
