//! What a page or a chart is about: results, and what of them becomes series.

use super::curves::with_choices;
use super::knobs::{Knobs, is_option};
use super::summary::{Group, finished, groups};
use super::{Row, Summary};
use crate::compare::{Comparison, Observations, Parameters, compare};
use crate::result::{Contrast, Measurement, RunResult, Trial, printable};

/// Results that are shown together.
pub struct Book<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    /// Every workload and configuration of every result, in the order of the tables.
    pub(super) cases: Vec<Case<'a>>,
    /// What the first result, or the first configuration of the only one, is held against, with the names of the others; or
    /// why there is nothing to compare.
    pub(super) comparisons: Result<Vec<(String, Comparison)>, String>,
}

/// Configurations of one result that are compared with the first; a sweep has its own charts.
const MOST_COMPARED: usize = 6;

/// One result.
pub(super) struct Entry<'a> {
    /// What it is called, safe to print; empty where there is only one.
    pub label: String,
    pub result: &'a RunResult,
    pub summary: Summary,
}

/// One workload under one configuration: a row of the tables, and a series of the charts.
pub(super) struct Case<'a> {
    /// Its result, by its position.
    pub entry: usize,
    /// Its workload and configuration, safe to print.
    pub name: String,
    pub row: Row,
    /// The workload, by its position among the variants.
    pub variant: usize,
    /// Trials that are measured, finished or not, in the order in which they ran.
    pub trials: Vec<&'a Trial>,
    /// What those measured that have finished.
    pub measured: Vec<&'a Measurement>,
    /// What the trial found in which RocksDB counts.
    pub companion: Option<&'a Measurement>,
}

impl<'a> Book<'a> {
    /// A book of results with the names that tell them apart; a single one needs none.
    pub fn new(results: &'a [(String, RunResult)]) -> Self {
        let is_alone = results.len() == 1;
        let entry = |(label, result): &'a (String, RunResult)| Entry {
            label: if is_alone { String::new() } else { printable(label) },
            result,
            summary: Summary::of(result),
        };
        let entries: Vec<_> = results.iter().map(entry).collect();
        let mut cases = Vec::new();
        for (position, entry) in entries.iter().enumerate() {
            let groups = groups(entry.result);
            cases.extend(
                groups.into_iter().zip(&entry.summary.rows).map(|(group, row)| Case::of(position, entry, group, row)),
            );
        }
        let comparisons = comparisons(&entries);
        Self { entries, cases, comparisons }
    }

    /// The cases that have finished trials.
    pub(super) fn finished(&self) -> impl Iterator<Item = &Case<'a>> {
        self.cases.iter().filter(|case| !case.measured.is_empty())
    }

    /// What the whole is called, safe to print.
    pub(super) fn title(&self) -> String {
        let mut names: Vec<_> = self.entries.iter().map(|entry| printable(&entry.result.name)).collect();
        names.dedup();
        names.join(", ")
    }
}

/// A name that a table and a chart can show: of a longer one both ends.
fn shortened(name: &str) -> String {
    const MOST: usize = 100;
    let chars = name.chars().count();
    if chars <= MOST {
        return name.to_owned();
    }
    let head: String = name.chars().take(MOST / 2).collect();
    let tail: String = name.chars().skip(chars - MOST / 2).collect();
    format!("{head}…{tail}")
}

fn comparisons(entries: &[Entry<'_>]) -> Result<Vec<(String, Comparison)>, String> {
    let observed = entries.iter().map(|entry| Observations::of(entry.result).map_err(|why| why.to_string()));
    let observed = observed.collect::<Result<Vec<_>, _>>()?;
    let Some((base, others)) = observed.split_first() else { return Err("there is no result".to_owned()) };
    let compared = |candidate: &Observations, parameters: &Parameters| {
        compare(base, candidate, parameters).map_err(|why| why.to_string())
    };
    if !others.is_empty() {
        let parameters = Parameters::default();
        let labels = entries.iter().skip(1).map(|entry| entry.label.clone());
        return labels.zip(others).map(|(label, other)| Ok((label, compared(other, &parameters)?))).collect();
    }
    if entries.iter().any(|entry| entry.result.interleaved.is_some()) {
        // It was made to compare, and says what with what.
        return Ok(vec![(String::new(), compared(base, &Parameters::default())?)]);
    }
    let mut axes = entries.iter().flat_map(|entry| entry.result.workload.matrix.keys());
    if axes.any(|axis| is_option(axis)) {
        return Err("what a matrix over options changes is shown as a sweep".to_owned());
    }
    let mut names: Vec<&str> = Vec::new();
    for cell in base.cells.iter().filter(|cell| !cell.trials.is_empty()) {
        if !names.contains(&cell.configuration.as_str()) {
            names.push(&cell.configuration);
        }
    }
    match names.as_slice() {
        [first, others @ ..] if !others.is_empty() && names.len() <= MOST_COMPARED => {
            let contrast = |other: &&str| Contrast { base: (*first).to_owned(), candidate: (*other).to_owned() };
            let contrasts = others.iter().map(contrast).collect();
            Ok(vec![(String::new(), compared(base, &Parameters { contrasts, ..Parameters::default() })?)])
        }
        [_, _, ..] => Err(format!("one result with {} configurations is shown as a sweep", names.len())),
        _ => Err("one configuration has nothing to be compared with: give a second result".to_owned()),
    }
}

impl<'a> Case<'a> {
    fn of(position: usize, entry: &Entry<'a>, group: Group<'a>, row: &Row) -> Self {
        let name = match Knobs::of(entry.result) {
            // The last parts of keys are enough to tell the cells of a sweep apart.
            Some(knobs) => {
                let choices: Vec<_> =
                    knobs.axes.iter().map(String::as_str).zip(row.knobs.iter().map(String::as_str)).collect();
                with_choices(&row.base, &choices)
            }
            None => row.configuration.clone(),
        };
        let name = super::grid::with_regime(&name, row.regime, row.trials);
        let name = shortened(&printable(&name));
        Self {
            entry: position,
            name: if entry.label.is_empty() { name } else { format!("{}: {name}", entry.label) },
            row: row.clone(),
            variant: group.variant,
            measured: finished(&group.trials).collect(),
            companion: finished(&group.companions).next(),
            trials: group.trials,
        }
    }

    /// The median of a metric over its trials, by the metric's name.
    pub(super) fn median(&self, metric: &str) -> Option<f64> {
        self.row.metrics.get(metric).map(|spread| spread.median).filter(|median| median.is_finite())
    }

    /// The trial that stands for the others: the one of the median throughput.
    pub(super) fn typical(&self) -> Option<&'a Measurement> {
        let mut trials = self.measured.clone();
        trials.sort_by(|a, b| a.throughput_events_per_s.total_cmp(&b.throughput_events_per_s));
        trials.get(trials.len() / 2).copied()
    }
}
