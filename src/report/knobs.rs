//! The knobs of a sweep: one row for each combination of what the matrix varies, with what it does.

use std::collections::BTreeMap;

use crate::result::{RunResult, Trial};
use crate::workload::short_key;

/// Which values the axes of a matrix take in a trial.
pub(super) struct Knobs {
    /// The axes, in the order of the workload file's matrix: path or Flink key.
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

    /// The values of the axes in a trial of this workload label; a dash where the configuration does not heed one.
    pub fn values(&self, label: &str, trial: &Trial) -> Vec<String> {
        let chosen: BTreeMap<&str, &str> = label.split(' ').filter_map(|choice| choice.split_once('=')).collect();
        let value = |axis: &String| {
            let in_name = || {
                let mark = format!(" {}=", short_key(axis));
                let (_, rest) = trial.configuration.split_once(&mark)?;
                // A value may hold a blank, as `64 mb` does: it ends where the next axis begins.
                let end = self.headings().filter_map(|other| rest.find(&format!(" {other}="))).min();
                Some(&rest[..end.unwrap_or(rest.len())])
            };
            chosen.get(axis.as_str()).copied().or_else(in_name).unwrap_or("-").to_owned()
        };
        self.axes.iter().map(value).collect()
    }

    /// The configuration without the choices of the axes.
    pub fn base<'a>(&self, configuration: &'a str) -> &'a str {
        let first = self.headings().filter_map(|axis| configuration.find(&format!(" {axis}="))).min();
        &configuration[..first.unwrap_or(configuration.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Outcome;

    #[test]
    fn values_come_from_labels_and_names() {
        let axes =
            ["keys.cardinality", "state.backend.rocksdb.use-bloom-filter", "state.backend.rocksdb.writebuffer.size"];
        let knobs = Knobs { axes: axes.map(str::to_owned).into() };
        let trial = |name: &str| Trial {
            variant: 0,
            configuration: name.to_owned(),
            options: [].into(),
            repeat: 0,
            companion: false,
            seed: 1,
            outcome: Outcome::Interrupted,
        };
        let rocksdb = "my rocksdb use-bloom-filter=true writebuffer.size=8 mb";
        assert_eq!(knobs.values("keys.cardinality=10", &trial(rocksdb)), ["10", "true", "8 mb"]);
        assert_eq!(knobs.base(rocksdb), "my rocksdb");
        assert_eq!(knobs.values("keys.cardinality=10", &trial("heap")), ["10", "-", "-"]);
    }
}
