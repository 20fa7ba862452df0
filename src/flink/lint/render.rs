//! Findings, for people and for programs.

use std::fmt::Write;

use serde::Serialize;

use super::{Finding, Severity};
use crate::result::printable;

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// How it was read.
    pub read_as: String,
    /// The version of Flink that it was held against.
    pub flink_version: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many findings are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// A paragraph for each finding, with its place in front as compilers do.
    pub fn text(&self) -> String {
        let file = printable(&self.file);
        let mut out = format!("{file}: read as {}, for Flink {}\n", self.read_as, self.flink_version);
        for finding in &self.findings {
            let line = finding.line.map_or_else(String::new, |line| format!(":{line}"));
            let Finding { severity, rule, key, does, write, .. } = finding;
            let _ = writeln!(out, "{file}{line}: {severity}: {} [{rule}]", printable(key));
            let _ = writeln!(out, "  Flink: {}\n  write: {}", printable(does), printable(write));
        }
        let counts = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
        let counts = counts.map(|(severity, name)| match self.count(severity) {
            1 => format!("1 {name}"),
            many => format!("{many} {name}s"),
        });
        let _ = writeln!(out, "{}", counts.join(", "));
        out
    }
}
