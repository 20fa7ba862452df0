//! The knobs of a sweep: what the matrix varies, and what a trial takes of each axis.

use crate::result::{RunResult, Trial};
use crate::workload::{KnownKey, short_key};

/// The axes of a matrix.
pub(super) struct Knobs {
    /// Flink keys and paths in the workload file, in order of their names.
    pub axes: Vec<String>,
}

impl Knobs {
    /// The axes of a result; none without a matrix.
    pub fn of(result: &RunResult) -> Option<Self> {
        let axes: Vec<_> = result.workload.matrix.keys().cloned().collect();
        (!axes.is_empty()).then_some(Self { axes })
    }

    /// Headings: the last parts of keys that are enough to recognise them.
    pub fn headings(&self) -> impl Iterator<Item = &str> {
        self.axes.iter().map(|axis| short_key(axis))
    }

    /// What a trial takes of each axis; a dash where its configuration does not heed one.
    pub fn values(&self, trial: &Trial) -> Vec<String> {
        let value = |axis| trial.knobs.get(axis).map_or_else(|| "-".to_owned(), Clone::clone);
        self.axes.iter().map(value).collect()
    }
}

/// Whether an axis varies an option rather than the workload.
pub(super) fn is_option(axis: &str) -> bool {
    KnownKey::find(axis).is_some()
}
