//! Looks through a Flink configuration for what its author did not mean.
//!
//! Every rule is a small function over a [`Context`]; [`RULES`] lists them. What Flink does is told from its source and
//! from runs of Flink 2.3, what RocksDB does from its source.

mod checkpoints;
mod context;
mod keys;
mod memory;
mod render;
mod rocksdb;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

pub use context::{Context, Given};
pub use render::Report;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// What is written cannot be meant: it is ignored, refused, or contradicts itself.
    Error,
    /// Flink does other than one would think.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One mistake, or what is worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The rule that found it.
    pub rule: &'static str,
    /// The key, as it is written; or the one that is missing.
    pub key: String,
    /// The line that the key is on; none where it is missing or is not from a file.
    pub line: Option<usize>,
    /// What Flink will really do.
    pub does: String,
    /// What to write instead.
    pub write: String,
}

/// What a rule finds, before it is known where.
#[derive(Debug)]
struct Draft {
    severity: Severity,
    key: String,
    does: String,
    write: String,
}

fn draft(severity: Severity, key: &str, does: impl fmt::Display, write: impl fmt::Display) -> Draft {
    Draft { severity, key: key.to_owned(), does: does.to_string(), write: write.to_string() }
}
fn error(key: &str, does: impl fmt::Display, write: impl fmt::Display) -> Draft {
    draft(Severity::Error, key, does, write)
}
fn warning(key: &str, does: impl fmt::Display, write: impl fmt::Display) -> Draft {
    draft(Severity::Warning, key, does, write)
}
fn note(key: &str, does: impl fmt::Display, write: impl fmt::Display) -> Draft {
    draft(Severity::Note, key, does, write)
}

/// What a rule needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// A whole configuration of a cluster: what is missing counts too.
    Cluster,
    /// The options alone: it holds for a configuration of a workload as well.
    Options,
}

/// One rule.
pub struct Rule {
    /// Its name.
    pub id: &'static str,
    /// What it looks for.
    pub about: &'static str,
    scope: Scope,
    check: fn(&Context) -> Vec<Draft>,
}

const fn rule(id: &'static str, about: &'static str, scope: Scope, check: fn(&Context) -> Vec<Draft>) -> Rule {
    Rule { id, about, scope, check }
}

/// Every rule, in the order in which they look.
pub static RULES: [&[Rule]; 4] = [keys::RULES, rocksdb::RULES, memory::RULES, checkpoints::RULES];

/// What the rules find: in the order of the file, what is missing last.
pub fn lint(context: &Context) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for rule in RULES.iter().copied().flatten() {
        if rule.scope == Scope::Options || context.is_cluster() {
            let found = (rule.check)(context).into_iter();
            findings.extend(found.map(|draft| located(context, rule.id, draft)));
        }
    }
    // The general reasons come last, for keys of which no rule has said more.
    let told: Vec<String> = findings.iter().map(|finding| finding.key.clone()).collect();
    let idle = context.without_effect().into_iter().filter(|(key, _)| !told.contains(key));
    findings.extend(idle.map(|(key, why)| {
        let draft = warning(&key, format_args!("gives it no effect: {why}"), "leave it out");
        located(context, "no-effect", draft)
    }));
    findings.sort_by_key(|finding| (finding.line.is_none(), finding.line, finding.severity));
    findings
}

/// A draft with the place of its key, and the key as it is written there.
fn located(context: &Context, rule: &'static str, draft: Draft) -> Finding {
    let given = context.find(&draft.key);
    Finding {
        severity: draft.severity,
        rule,
        key: given.map_or(draft.key, |given| given.key.clone()),
        line: given.and_then(|given| given.line),
        does: draft.does,
        write: draft.write,
    }
}
