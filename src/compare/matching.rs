//! What is compared with what, and whether it may be.

use std::collections::BTreeSet;
use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Cell, CompareError, Observation, Observations, Parameters};
use crate::result::{Contrast, printable};
use crate::workload::nearest;

/// Differences of two workloads that are named.
const DIFFERENCES_NAMED: usize = 8;
/// The path of the seed in a workload file.
const SEED: &str = "run.seed";

/// One of the two sides of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// What is compared with.
    Base,
    /// What is judged.
    Candidate,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Base => "base",
            Self::Candidate => "candidate",
        })
    }
}

/// What has nothing to be compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Partnerless {
    /// The side that has it.
    pub side: Side,
    /// The workload's choices in the matrix.
    pub workload: String,
    /// The configuration.
    pub configuration: String,
    /// The repeat, from 0; none where it is the whole configuration.
    pub repeat: Option<u32>,
}

/// Cells that are compared, and what has no partner.
pub(super) struct Matching<'a> {
    pub pairs: Vec<(&'a Cell, &'a Cell)>,
    pub partnerless: Vec<Partnerless>,
}

impl<'a> Matching<'a> {
    /// Matches each cell of the base with the one of the candidate that has the same choices of the workload's matrix, and
    /// the same configuration or the one that a contrast names.
    pub fn of(
        base: &'a Observations,
        candidate: &'a Observations,
        contrasts: &[Contrast],
    ) -> Result<Self, CompareError> {
        let mut matching = Self { pairs: Vec::new(), partnerless: Vec::new() };
        if contrasts.is_empty() {
            let [bases, candidates] = [base, candidate].map(|side| side.cells.iter().collect::<Vec<_>>());
            matching.add(&bases, &candidates, |base, candidate| base.configuration == candidate.configuration);
        }
        for contrast in contrasts {
            let bases = named(base, &contrast.base, Side::Base)?;
            let candidates = named(candidate, &contrast.candidate, Side::Candidate)?;
            matching.add(&bases, &candidates, |_, _| true);
        }
        if matching.pairs.is_empty() {
            let has = |cells: &[Cell]| cells.iter().map(title).collect::<Vec<_>>().join(", ");
            let (bases, candidates) = (has(&base.cells), has(&candidate.cells));
            return Err(CompareError::NotComparable(format!(
                "nothing to compare: the base has {bases}; the candidate has {candidates}"
            )));
        }
        Ok(matching)
    }

    /// Matches cells of the same workload.
    fn add(&mut self, bases: &[&'a Cell], candidates: &[&'a Cell], may_meet: impl Fn(&Cell, &Cell) -> bool) {
        let is_partner =
            |base: &Cell, candidate: &Cell| base.workload == candidate.workload && may_meet(base, candidate);
        for base in bases {
            match candidates.iter().find(|candidate| is_partner(base, candidate)) {
                Some(candidate) => self.pairs.push((base, candidate)),
                None => self.partnerless.push(Partnerless::cell(Side::Base, base)),
            }
        }
        let alone = candidates.iter().filter(|candidate| !bases.iter().any(|base| is_partner(base, candidate)));
        self.partnerless.extend(alone.map(|cell| Partnerless::cell(Side::Candidate, cell)));
    }
}

/// Refuses cells that differ in workload or seed, where `parameters` do not allow it.
pub(super) fn check_definitions(
    (base, candidate): (&Cell, &Cell),
    parameters: &Parameters,
) -> Result<(), CompareError> {
    let all = differences(base, candidate);
    let (seeds, others): (Vec<_>, Vec<_>) = all.iter().partition(|line| line.starts_with(SEED));
    for (allowed, lines, what) in
        [(parameters.allow_workload, others, "workload"), (parameters.allow_seed, seeds, "seed")]
    {
        if allowed || lines.is_empty() {
            continue;
        }
        let mut message = format!("{} differs in its {what}; allow `{what}` to compare nevertheless:", title(base));
        for line in lines.iter().take(DIFFERENCES_NAMED) {
            message.push_str("\n  ");
            message.push_str(line);
        }
        if lines.len() > DIFFERENCES_NAMED {
            let _ = write!(message, "\n  and {} more", lines.len() - DIFFERENCES_NAMED);
        }
        return Err(CompareError::NotComparable(message));
    }
    Ok(())
}

impl Partnerless {
    fn cell(side: Side, cell: &Cell) -> Self {
        Self { side, workload: cell.workload.clone(), configuration: cell.configuration.clone(), repeat: None }
    }
}

/// The cells of a configuration.
fn named<'a>(side: &'a Observations, name: &str, which: Side) -> Result<Vec<&'a Cell>, CompareError> {
    let cells: Vec<_> = side.cells.iter().filter(|cell| cell.configuration == name).collect();
    if !cells.is_empty() {
        return Ok(cells);
    }
    let known: BTreeSet<_> = side.cells.iter().map(|cell| cell.configuration.as_str()).collect();
    let hint = nearest(name, known.iter().copied());
    let hint = hint.map_or_else(String::new, |hint| format!("; did you mean `{}`?", printable(hint)));
    let known: Vec<_> = known.into_iter().map(printable).collect();
    let known = known.join(", ");
    Err(CompareError::Input(format!("--{which} {}: the result has {known}{hint}", printable(name))))
}

/// Workload and configuration of a cell, to be printed.
pub(super) fn title(cell: &Cell) -> String {
    let name = if cell.workload.is_empty() {
        cell.configuration.clone()
    } else {
        format!("{} {}", cell.workload, cell.configuration)
    };
    printable(&name)
}

/// Where the workloads of two cells differ, a line each.
fn differences(base: &Cell, candidate: &Cell) -> Vec<String> {
    let paths: BTreeSet<_> = base.definition.keys().chain(candidate.definition.keys()).collect();
    let of = |cell: &Cell, path: &str| cell.definition.get(path).map_or("not set", String::as_str).to_owned();
    let line = |path: &String| {
        let (base, candidate) = (of(base, path), of(candidate, path));
        (base != candidate).then(|| printable(&format!("{path}: {base} in the base, {candidate} in the candidate")))
    };
    paths.into_iter().filter_map(line).collect()
}

/// Trials of two cells with the same events: of the same repeat and seed.
pub(super) fn pairs<'a>(base: &'a Cell, candidate: &'a Cell) -> Vec<(&'a Observation, &'a Observation)> {
    let partner = |trial: &&'a Observation| {
        let key = |trial: &Observation| (trial.companion, trial.repeat, trial.seed);
        let found = candidate.trials.binary_search_by_key(&key(trial), key).ok()?;
        candidate.trials.get(found)
    };
    base.trials.iter().filter_map(|trial| Some((trial, partner(&trial)?))).collect()
}

/// Trials of one side without a partner on the other.
pub(super) fn unpaired_trials(side: Side, cell: &Cell, pairs: &[(&Observation, &Observation)]) -> Vec<Partnerless> {
    let has_partner = |trial: &Observation| {
        let own = |pair: &(&Observation, &Observation)| match side {
            Side::Base => std::ptr::eq(pair.0, trial),
            Side::Candidate => std::ptr::eq(pair.1, trial),
        };
        pairs.iter().any(own)
    };
    let alone = cell.trials.iter().filter(|trial| !trial.companion && !has_partner(trial));
    alone.map(|trial| Partnerless { repeat: Some(trial.repeat), ..Partnerless::cell(side, cell) }).collect()
}
