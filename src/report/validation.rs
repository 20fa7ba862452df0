//! How far statebench and Flink agree, for people.

use std::fmt::Write;

use super::Format;
use super::table::{align, name, significant, table, with_unit};
use crate::compare::{EngineCell, Figure, ValidatedCell, Validation};
use crate::result::{Unit, printable};

/// The share of separated pairs that is to be ordered the same.
const GOAL: f64 = 0.95;

/// Prints a validation as tables.
pub fn validation_text(validation: &Validation, format: Format) -> String {
    let mut out = String::new();
    let versions = printable(&validation.flink_versions.join(", "));
    let mark = if format == Format::Markdown { "# " } else { "" };
    let _ = writeln!(out, "{mark}Flink {versions} and statebench side by side\n");
    for line in verdicts(validation) {
        let _ = writeln!(out, "- {}", printable(&line));
    }
    let tables = [
        ("What Flink tells apart", pairs(validation, format)),
        ("Ordered differently", differing(validation, format)),
        ("RocksDB over the heap", heap_ratios(validation, format)),
        ("Cell by cell", cells(validation, format)),
    ];
    let mark = if format == Format::Markdown { "## " } else { "" };
    for (title, table) in tables {
        if let Some(table) = table {
            let _ = writeln!(out, "\n{mark}{title}\n\n{table}");
        }
    }
    out
}

fn verdicts(validation: &Validation) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(match validation.digest_differences.len() {
        0 => format!("what was emitted is equal in {} of {0} trials of Flink", validation.compared_digests),
        differing => {
            format!("WHAT WAS EMITTED DIFFERS in {differing} places, of {} trials", validation.compared_digests)
        }
    });
    lines.extend(validation.digest_differences.iter().map(|line| format!("  {line}")));
    if validation.unfinished > 0 {
        lines.push(format!("trials of Flink that have not come to their end: {}", validation.unfinished));
    }
    let (all, same) = (validation.pairs.len(), validation.pairs.iter().filter(|pair| pair.same).count());
    lines.push(if all == 0 {
        "no two configurations are told apart by Flink beyond its noise".to_owned()
    } else {
        let met = if same as f64 >= GOAL * all as f64 { "met" } else { "not met" };
        let share = 100.0 * same as f64 / all as f64;
        format!(
            "pairs that Flink tells apart, ordered the same: {same} of {all} ({share:.1} %); the goal of 95 % is {met}"
        )
    });
    let count = |of: fn(&ValidatedCell) -> usize| validation.cells.iter().map(of).sum::<usize>();
    lines.push(format!(
        "slow trials: {} of {} on Flink, {} of {} on statebench; the same regime in most trials in {} of {} cells",
        count(|cell| cell.flink.slow_trials),
        count(|cell| cell.flink.trials),
        count(|cell| cell.own.slow_trials),
        count(|cell| cell.own.trials),
        validation.same_regime(),
        validation.cells.len(),
    ));
    let fewest = validation.cells.iter().map(|cell| cell.flink.trials.min(cell.own.trials)).min();
    if fewest.is_some_and(|fewest| fewest < 3) {
        lines.push(
            "some cells have fewer than three trials on an engine: another one might be in the other regime".to_owned(),
        );
    }
    lines
}

fn pairs(validation: &Validation, format: Format) -> Option<String> {
    if validation.pairs.is_empty() {
        return None;
    }
    let mut table = table(format, &["figure", "pairs", "ordered the same", "told apart by regime"]);
    for figure in Figure::ALL {
        let (count, same) = validation.ordered(figure);
        let by_regime = validation.pairs.iter().filter(|pair| pair.figure == figure && pair.by_regime).count();
        table.add_row([figure.name().to_owned(), count.to_string(), same.to_string(), by_regime.to_string()]);
    }
    align(&mut table, 1);
    Some(table.to_string())
}

fn differing(validation: &Validation, format: Format) -> Option<String> {
    let mut found = table(format, &["workload", "figure", "first", "second", "Flink, first / second", "statebench"]);
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), significant);
    let mut is_empty = true;
    for pair in validation.pairs.iter().filter(|pair| !pair.same) {
        is_empty = false;
        found.add_row([
            name(&pair.workload, format),
            pair.figure.name().to_owned(),
            name(&pair.first, format),
            name(&pair.second, format),
            ratio(Some(pair.flink_ratio)),
            ratio(pair.own_ratio),
        ]);
    }
    align(&mut found, 4);
    (!is_empty).then(|| found.to_string())
}

/// Throughput of each cell of RocksDB over that of the heap of its workload, on both engines, and one over the other.
fn heap_ratios(validation: &Validation, format: Format) -> Option<String> {
    let header = ["workload", "configuration", "Flink", "statebench", "statebench / Flink"];
    let mut found = table(format, &header);
    let mut is_empty = true;
    for cell in validation.cells.iter().filter(|cell| !cell.is_heap) {
        let heap = validation.cells.iter().find(|heap| heap.is_heap && heap.workload == cell.workload);
        let over = |cell: &EngineCell, heap: &EngineCell| {
            Some(cell.throughput_events_per_s? / heap.throughput_events_per_s.filter(|heap| *heap > 0.0)?)
        };
        let Some(heap) = heap else { continue };
        let (Some(flink), Some(own)) = (over(&cell.flink, &heap.flink), over(&cell.own, &heap.own)) else { continue };
        is_empty = false;
        let quotient = if flink > 0.0 { significant(own / flink) } else { "-".to_owned() };
        let names = [name(&cell.workload, format), name(&cell.configuration, format)];
        found.add_row(names.into_iter().chain([significant(flink), significant(own), quotient]));
    }
    align(&mut found, 2);
    (!is_empty).then(|| found.to_string())
}

fn cells(validation: &Validation, format: Format) -> Option<String> {
    if validation.cells.is_empty() {
        return None;
    }
    let header = [
        "workload",
        "configuration",
        "slow on Flink",
        "here",
        "events/s on Flink",
        "here",
        "p50 on Flink",
        "here",
        "p99 on Flink",
        "here",
    ];
    let mut found = table(format, &header);
    let value = |value: Option<f64>, unit| value.map_or_else(|| "-".to_owned(), |value| with_unit(value, unit));
    for cell in &validation.cells {
        let slow = |cell: &EngineCell| format!("{} of {}", cell.slow_trials, cell.trials);
        let both =
            |of: fn(&EngineCell) -> Option<f64>, unit| [value(of(&cell.flink), unit), value(of(&cell.own), unit)];
        let row = [name(&cell.workload, format), name(&cell.configuration, format), slow(&cell.flink), slow(&cell.own)];
        let figures = [
            both(|cell| cell.throughput_events_per_s, Unit::EventsPerSecond),
            both(|cell| cell.latency_p50_ns, Unit::Nanoseconds),
            both(|cell| cell.latency_p99_ns, Unit::Nanoseconds),
        ];
        found.add_row(row.into_iter().chain(figures.into_iter().flatten()));
    }
    align(&mut found, 2);
    Some(found.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::SeparatedPair;
    use insta::assert_snapshot;

    fn cell(configuration: &str, is_heap: bool, [flink, own]: [f64; 2], slow_trials: usize) -> ValidatedCell {
        let side = |throughput: f64, slow_trials| EngineCell {
            trials: 3,
            slow_trials,
            throughput_events_per_s: Some(throughput),
            latency_p50_ns: Some(1e9 / throughput),
            latency_p99_ns: None,
        };
        ValidatedCell {
            workload: "map-rmw".to_owned(),
            configuration: configuration.to_owned(),
            is_heap,
            flink: side(flink, slow_trials),
            own: side(own, 0),
        }
    }

    #[test]
    fn agreement_and_disagreement_are_told() {
        let pair = |second: &str, own_ratio, same: bool| SeparatedPair {
            workload: "map-rmw".to_owned(),
            figure: Figure::Throughput,
            first: "heap".to_owned(),
            second: second.to_owned(),
            flink_ratio: 8.0,
            own_ratio: Some(own_ratio),
            by_regime: !same,
            same,
        };
        let validation = Validation {
            flink_versions: vec!["2.3.0".to_owned()],
            cells: vec![
                cell("heap", true, [8e5, 2e6], 0),
                cell("r|64", false, [1e3, 2.5e6], 3),
                cell("part", false, [1e5, 2e5], 0),
            ],
            pairs: vec![pair("part", 10.0, true), pair("r|64", 0.8, false)],
            compared_digests: 9,
            digest_differences: Vec::new(),
            unfinished: 1,
        };
        assert_snapshot!(validation_text(&validation, Format::Markdown), @"
        # Flink 2.3.0 and statebench side by side

        - what was emitted is equal in 9 of 9 trials of Flink
        - trials of Flink that have not come to their end: 1
        - pairs that Flink tells apart, ordered the same: 1 of 2 (50.0 %); the goal of 95 % is not met
        - slow trials: 3 of 9 on Flink, 0 of 9 on statebench; the same regime in most trials in 2 of 3 cells

        ## What Flink tells apart

        | figure     | pairs | ordered the same | told apart by regime |
        |------------|-------|------------------|----------------------|
        | throughput |     2 |                1 |                    1 |
        | p50        |     0 |                0 |                    0 |
        | p99        |     0 |                0 |                    0 |

        ## Ordered differently

        | workload | figure     | first | second | Flink, first / second | statebench |
        |----------|------------|-------|--------|-----------------------|------------|
        | map-rmw  | throughput | heap  | r\\|64  |                  8.00 |      0.800 |

        ## RocksDB over the heap

        | workload | configuration |   Flink | statebench | statebench / Flink |
        |----------|---------------|---------|------------|--------------------|
        | map-rmw  | r\\|64         | 0.00125 |       1.25 |               1000 |
        | map-rmw  | part          |   0.125 |      0.100 |              0.800 |

        ## Cell by cell

        | workload | configuration | slow on Flink |   here | events/s on Flink |   here | p50 on Flink |    here | p99 on Flink | here |
        |----------|---------------|---------------|--------|-------------------|--------|--------------|---------|--------------|------|
        | map-rmw  | heap          |        0 of 3 | 0 of 3 |             800 k | 2.00 M |      1.25 µs |  500 ns |            - |    - |
        | map-rmw  | r\\|64         |        3 of 3 | 0 of 3 |            1.00 k | 2.50 M |      1.00 ms |  400 ns |            - |    - |
        | map-rmw  | part          |        0 of 3 | 0 of 3 |             100 k |  200 k |      10.0 µs | 5.00 µs |            - |    - |
        ");
        let nothing = Validation {
            pairs: Vec::new(),
            cells: Vec::new(),
            digest_differences: vec!["a: differs".to_owned()],
            ..validation
        };
        assert_snapshot!(validation_text(&nothing, Format::Table), @"
        Flink 2.3.0 and statebench side by side

        - WHAT WAS EMITTED DIFFERS in 1 places, of 9 trials
        -   a: differs
        - trials of Flink that have not come to their end: 1
        - no two configurations are told apart by Flink beyond its noise
        - slow trials: 0 of 0 on Flink, 0 of 0 on statebench; the same regime in most trials in 0 of 0 cells
        ");
    }
}
