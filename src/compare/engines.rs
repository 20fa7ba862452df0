//! Trials of statebench and of Apache Flink side by side: whether both order configurations alike, fall into the same regimes,
//! and have emitted the same.
//!
//! A *cell* is all trials of one workload under one configuration, on one engine. A trial is slow where more than 1 % of its
//! events took over 300 µs, a cell where most of its trials are. Its value is the median over the trials of that regime, so that
//! two regimes are never averaged. Flink tells two cells apart where a figure differs by more than a factor that equal runs of
//! Flink stay below; the factors are those of `reports/validation/README.md`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::result::{Engine, Measurement, RunResult, Trial};
use crate::statistics::median;

/// How far the two engines agree.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Validation {
    /// Versions of Flink that trials ran on.
    pub flink_versions: Vec<String>,
    /// The cells that both engines have.
    pub cells: Vec<ValidatedCell>,
    /// The pairs of cells of one workload that Flink tells apart.
    pub pairs: Vec<SeparatedPair>,
    /// Trials of Flink whose results were compared with statebench's.
    pub compared_digests: usize,
    /// Where they differ, a line each.
    pub digest_differences: Vec<String>,
    /// Trials of Flink that have not come to their end.
    pub unfinished: usize,
}

/// One workload under one configuration, on both engines.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ValidatedCell {
    /// The workload, with its choices in the matrix.
    pub workload: String,
    /// The configuration.
    pub configuration: String,
    /// Whether its state is on the heap.
    pub is_heap: bool,
    /// On Flink.
    pub flink: EngineCell,
    /// On statebench.
    pub own: EngineCell,
}

/// What one engine's trials of a cell came to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EngineCell {
    /// Trials.
    pub trials: usize,
    /// Trials in the slow regime.
    pub slow_trials: usize,
    /// Median over the trials of the cell's regime, 1/s.
    pub throughput_events_per_s: Option<f64>,
    /// The same of the median latency, ns.
    pub latency_p50_ns: Option<f64>,
    /// The same of the 99th percentile, ns.
    pub latency_p99_ns: Option<f64>,
}

impl EngineCell {
    fn of(trials: &[&Measurement]) -> Self {
        let slow_trials = trials.iter().filter(|trial| trial.is_slow()).count();
        let is_slow = 2 * slow_trials > trials.len();
        let of_regime: Vec<_> = trials.iter().filter(|trial| trial.is_slow() == is_slow).collect();
        let value = |of: fn(&Measurement) -> Option<f64>| {
            let values: Vec<f64> = of_regime.iter().filter_map(|trial| of(trial)).collect();
            median(&values)
        };
        Self {
            trials: trials.len(),
            slow_trials,
            throughput_events_per_s: value(|trial| Some(trial.throughput_events_per_s)),
            latency_p50_ns: value(|trial| trial.event_latency.summary.p50_ns.map(|ns| ns as f64)),
            latency_p99_ns: value(|trial| trial.event_latency.summary.p99_ns.map(|ns| ns as f64)),
        }
    }

    /// Whether most of its trials are slow.
    pub fn is_slow(&self) -> bool {
        2 * self.slow_trials > self.trials
    }

    fn value(&self, figure: Figure) -> Option<f64> {
        match figure {
            Figure::Throughput => self.throughput_events_per_s,
            Figure::P50 => self.latency_p50_ns,
            Figure::P99 => self.latency_p99_ns,
        }
    }
}

/// Two cells that Flink tells apart.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SeparatedPair {
    /// The workload.
    pub workload: String,
    /// The figure.
    pub figure: Figure,
    /// The first configuration.
    pub first: String,
    /// The second.
    pub second: String,
    /// The first one's value over the second's on Flink.
    pub flink_ratio: f64,
    /// The same on statebench; none where it has no figure.
    pub own_ratio: Option<f64>,
    /// Whether the regimes are what tells them apart.
    pub by_regime: bool,
    /// Whether statebench orders them as Flink does.
    pub same: bool,
}

/// A figure that both engines have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Events a second.
    Throughput,
    /// Median latency of events.
    P50,
    /// 99th percentile of the latency of events.
    P99,
}

impl Figure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Throughput, Self::P50, Self::P99];

    /// What tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::P50 => "p50",
            Self::P99 => "p99",
        }
    }

    /// The factor that equal runs of Flink stay below: on the heap, on RocksDB in its calm regime, in any regime.
    const fn noise(self) -> (f64, f64, f64) {
        match self {
            Self::Throughput => (1.37, 1.46, 17.53),
            Self::P50 => (1.28, 1.47, 24.37),
            Self::P99 => (1.18, 2.19, 18.79),
        }
    }

    /// The factor beyond which Flink tells two cells apart.
    fn factor(self, a: &ValidatedCell, b: &ValidatedCell) -> f64 {
        let (heap, calm, any) = self.noise();
        if a.flink.is_slow() && b.flink.is_slow() {
            return any;
        }
        let of = |cell: &ValidatedCell| if cell.is_heap { heap } else { calm };
        of(a).max(of(b))
    }

    /// Whether more is better.
    fn more_is_better(self) -> bool {
        self == Self::Throughput
    }
}

impl Validation {
    /// Of results that hold trials of both engines.
    pub fn of<'a>(results: impl IntoIterator<Item = &'a RunResult>) -> Self {
        let mut validation = Self {
            flink_versions: Vec::new(),
            cells: Vec::new(),
            pairs: Vec::new(),
            compared_digests: 0,
            digest_differences: Vec::new(),
            unfinished: 0,
        };
        for result in results {
            validation.add(result);
        }
        validation.flink_versions.sort();
        validation.flink_versions.dedup();
        validation
    }

    fn add(&mut self, result: &RunResult) {
        for agreement in &result.agreements {
            self.compared_digests += agreement.flink_trials;
            let differences = agreement.differences.iter().map(|line| format!("{}: {line}", result.name));
            self.digest_differences.extend(differences);
        }
        self.flink_versions.extend(result.trials.iter().filter_map(|trial| match &trial.run.engine {
            Engine::Flink(run) => Some(run.version.clone()),
            Engine::Statebench => None,
        }));
        let of_flink = |trial: &&Trial| !trial.run.engine.is_statebench();
        let finished = result.finished().filter(|(trial, _)| of_flink(trial)).count();
        self.unfinished += result.trials.iter().filter(of_flink).count() - finished;
        let cells = cells_of(result);
        let variants = result.variants.len();
        for variant in 0..variants {
            let of_variant: Vec<_> = cells.iter().filter(|(at, _)| *at == variant).map(|(_, cell)| cell).collect();
            for (position, first) in of_variant.iter().enumerate() {
                for second in &of_variant[position + 1..] {
                    self.pairs.extend(Figure::ALL.into_iter().filter_map(|figure| separated(first, second, figure)));
                }
            }
        }
        self.cells.extend(cells.into_iter().map(|(_, cell)| cell));
    }

    /// Pairs of a figure, and how many of them statebench orders as Flink does.
    pub fn ordered(&self, figure: Figure) -> (usize, usize) {
        let of_figure = self.pairs.iter().filter(|pair| pair.figure == figure);
        let same = of_figure.clone().filter(|pair| pair.same).count();
        (of_figure.count(), same)
    }

    /// Cells whose regime is the same in most trials.
    pub fn same_regime(&self) -> usize {
        self.cells.iter().filter(|cell| cell.flink.is_slow() == cell.own.is_slow()).count()
    }
}

/// The cells that both engines have, with the workload's number.
fn cells_of(result: &RunResult) -> Vec<(usize, ValidatedCell)> {
    type Key<'a> = (usize, &'a str, String);
    let mut order = Vec::<Key<'_>>::new();
    let mut sides = BTreeMap::<Key<'_>, [Vec<&Measurement>; 2]>::new();
    for (trial, measurement) in result.finished() {
        let knobs: Vec<_> = trial.knobs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let key = (trial.variant, trial.base.as_str(), knobs.join(" "));
        if !order.contains(&key) {
            order.push(key.clone());
        }
        sides.entry(key).or_default()[usize::from(trial.run.engine.is_statebench())].push(measurement);
    }
    let cell = |key: Key<'_>| {
        let [flink, own] = sides.get(&key)?;
        if flink.is_empty() || own.is_empty() {
            return None;
        }
        let is_of = |trial: &&Trial| (trial.variant, trial.base.as_str()) == (key.0, key.1);
        let named = result.trials.iter().filter(is_of).find(|trial| trial.run.engine.is_statebench())?;
        let label = result.variant_label(key.0);
        let place = if label.is_empty() { String::new() } else { format!(" {label}") };
        Some((
            key.0,
            ValidatedCell {
                workload: format!("{}{place}", result.name),
                configuration: [key.1, key.2.as_str()].join(" ").trim().to_owned(),
                is_heap: named.options.get("state.backend.type").is_some_and(|backend| backend == "hashmap"),
                flink: EngineCell::of(flink),
                own: EngineCell::of(own),
            },
        ))
    };
    order.into_iter().filter_map(cell).collect()
}

/// Whether a pair is one that Flink tells apart by this figure, and what statebench says of it. Where one cell is slow, only
/// throughput tells: a percentile of a slow cell says how many of its events were slow.
fn separated(first: &ValidatedCell, second: &ValidatedCell, figure: Figure) -> Option<SeparatedPair> {
    let ratio = |a: &EngineCell, b: &EngineCell| Some(a.value(figure)? / b.value(figure).filter(|value| *value > 0.0)?);
    let flink_ratio = ratio(&first.flink, &second.flink).filter(|ratio| *ratio > 0.0)?;
    if flink_ratio.max(1.0 / flink_ratio) < figure.factor(first, second) {
        return None;
    }
    let by_regime = first.flink.is_slow() != second.flink.is_slow();
    if by_regime && (figure != Figure::Throughput || (flink_ratio > 1.0) != second.flink.is_slow()) {
        return None;
    }
    let own_ratio = ratio(&first.own, &second.own);
    let first_is_better = |ratio: f64| (ratio > 1.0) == figure.more_is_better();
    let own_first_is_better = if first.own.is_slow() == second.own.is_slow() {
        own_ratio.map(first_is_better)
    } else {
        Some(second.own.is_slow())
    };
    Some(SeparatedPair {
        workload: first.workload.clone(),
        figure,
        first: first.configuration.clone(),
        second: second.configuration.clone(),
        flink_ratio,
        own_ratio,
        by_regime,
        same: own_first_is_better == Some(first_is_better(flink_ratio)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::result::{Agreement, FlinkRun, Latency, LatencySummary};
    use crate::state::Digest;

    fn measured(throughput: f64, p50_ns: u64, is_slow: bool) -> Measurement {
        let summary =
            LatencySummary { count: 1_000, p50_ns: Some(p50_ns), p99_ns: Some(2 * p50_ns), ..Default::default() };
        Measurement {
            throughput_events_per_s: throughput,
            slow_event_share: if is_slow { 0.5 } else { 0.0 },
            event_latency: Latency { summary, histogram: String::new() },
            ..Measurement::of_nothing()
        }
    }

    /// A trial of each engine.
    fn add(result: &mut RunResult, configuration: &str, [flink, own]: [Measurement; 2]) {
        for (measurement, is_flink) in [(own, false), (flink, true)] {
            fixture::add(result, configuration, 0, measurement);
            let trial = result.trials.last_mut().unwrap();
            let backend = if configuration == "heap" { "hashmap" } else { "rocksdb" };
            trial.options.insert("state.backend.type".to_owned(), backend.to_owned());
            if is_flink {
                trial.configuration += " (Flink 2.3.0)";
                trial.run.engine =
                    Engine::Flink(Box::new(FlinkRun { version: "2.3.0".to_owned(), ..FlinkRun::default() }));
            }
        }
    }

    fn result(cells: &[(&str, [Measurement; 2])]) -> RunResult {
        let mut result = fixture::empty("");
        cells.iter().for_each(|(name, sides)| add(&mut result, name, sides.clone()));
        result
    }

    fn pairs(cells: &[(&str, [Measurement; 2])]) -> Vec<(Figure, bool, bool)> {
        let validation = Validation::of([&result(cells)]);
        validation.pairs.into_iter().map(|pair| (pair.figure, pair.by_regime, pair.same)).collect()
    }

    #[test]
    fn what_flink_tells_apart_is_compared_and_nothing_else() {
        let near = [
            ("heap", [measured(1e6, 1_000, false), measured(2e6, 500, false)]),
            ("r", [measured(1.4e6, 1_400, false), measured(1e6, 900, false)]),
        ];
        assert!(pairs(&near).is_empty());
        let far = [
            ("heap", [measured(1e6, 1_000, false), measured(2e6, 500, false)]),
            ("r", [measured(1e5, 9_000, false), measured(3e6, 900, false)]),
        ];
        // Throughput comes out the other way round, latency does not.
        let expected = [(Figure::Throughput, false, false), (Figure::P50, false, true), (Figure::P99, false, true)];
        assert_eq!(pairs(&far), expected);
    }

    #[test]
    fn a_slow_cell_is_told_by_its_regime() {
        let calm = || [measured(1e5, 9_000, false), measured(1e5, 9_000, false)];
        let slow = |own_is_slow| [measured(1e3, 900_000, true), measured(9e4, 9_000, own_is_slow)];
        assert_eq!(pairs(&[("a", calm()), ("b", slow(true))]), [(Figure::Throughput, true, true)]);
        // Here it is calm, and hardly slower: the order is the same all the same.
        assert_eq!(pairs(&[("a", calm()), ("b", slow(false))]), [(Figure::Throughput, true, true)]);
        let validation = Validation::of([&result(&[("a", calm()), ("b", slow(false))])]);
        assert_eq!((validation.cells.len(), validation.same_regime()), (2, 1));
        assert_eq!(validation.ordered(Figure::Throughput), (1, 1));
    }

    #[test]
    fn regimes_are_never_averaged_and_digests_are_counted() {
        let mut result = result(&[("r", [measured(1e5, 1_000, false), measured(2e5, 1_000, false)])]);
        for (throughput, is_slow) in [(3e5, false), (1e2, true)] {
            add(&mut result, "r", [measured(throughput, 1_000, is_slow), measured(2e5, 1_000, false)]);
        }
        result.agreements.push(Agreement {
            variant: 0,
            repeat: 0,
            trials: 1,
            flink_trials: 3,
            emitted_after_events: 1,
            emitted: Digest::default(),
            state_after_events: 0,
            state: Digest::default(),
            differences: vec!["emitted results differ".to_owned()],
        });
        let validation = Validation::of([&result]);
        let cell = &validation.cells[0];
        assert_eq!((cell.flink.trials, cell.flink.slow_trials, cell.flink.throughput_events_per_s), (3, 1, Some(2e5)));
        assert_eq!((validation.compared_digests, validation.unfinished), (3, 0));
        assert_eq!(validation.digest_differences, ["orders: emitted results differ"]);
        assert_eq!(validation.flink_versions, ["2.3.0"]);
    }
}
