//! All configurations, and all trials, at one sight.

use std::collections::BTreeMap;

use super::axis::{Axis, Quantity};
use super::ink::Ink;
use super::{Chart, Context, Mark, Marker, Panel, Shape, View};
use crate::report::book::Case;
use crate::report::notes::why_unfinished;
use crate::report::table::significant;
use crate::result::{Outcome, Trial};

const THROUGHPUT: &str = "throughput_events_per_s";
const P99: &str = "latency_p99_ns";
const MEMORY: &str = "resident_peak_bytes";

/// The latency that speaks for a configuration: p99, or p50 where too few events were timed for it in any.
fn latency_of(cases: &[&Case<'_>]) -> (&'static str, &'static str) {
    let has = |metric: &str| cases.iter().all(|case| case.median(metric).is_some());
    if has(P99) || !has("latency_p50_ns") { (P99, "p99") } else { ("latency_p50_ns", "p50") }
}

/// Throughput and latency of every configuration, with the range of its trials.
pub(super) fn overview(context: &Context<'_>) -> Result<Chart, String> {
    let cases = context.cases()?;
    let (latency, name) = latency_of(&cases);
    let panel = |metric: &str, label: &str, quantity: Quantity| {
        let spreads: Vec<_> = cases.iter().map(|case| case.row.metrics.get(metric).copied()).collect();
        let values = spreads.iter().flatten().flat_map(|spread| [spread.min, spread.max]);
        let names = cases.iter().rev().map(|case| case.name.clone()).collect();
        let mut panel =
            Panel::new(62 + 24 * cases.len() as u32, Axis::log(label, quantity, values), Axis::names("", names));
        for (series, spread) in spreads.iter().enumerate() {
            let Some(spread) = spread else { continue };
            let at = (cases.len() - 1 - series) as f64;
            panel.marks.push(Mark::of(
                Ink::Series(series),
                Shape::Bar { from: (spread.min, at - 0.09), to: (spread.max, at + 0.09) },
            ));
            panel.marks.push(Mark::of(Ink::Series(series), Shape::Dots(vec![(spread.median, at)], Marker::of(series))));
            panel.marks.push(Mark::of(Ink::Text, Shape::Text((spread.median, at), quantity.text(spread.median))));
            panel.tracks.push((series, vec![(spread.median, at)]));
        }
        panel
    };
    let panels = vec![
        panel(THROUGHPUT, "throughput, events/s: further right is better", Quantity::Rate),
        panel(latency, &format!("{name} of an event: further left is better"), Quantity::Time),
    ];
    let row = |case: &&Case<'_>| {
        let told = |metric: &str, quantity: Quantity| {
            case.row.metrics.get(metric).map_or_else(
                || "-".to_owned(),
                |s| format!("{} ({} … {})", quantity.text(s.median), quantity.text(s.min), quantity.text(s.max)),
            )
        };
        vec![
            case.name.clone(),
            case.row.trials.to_string(),
            told(THROUGHPUT, Quantity::Rate),
            told(latency, Quantity::Time),
        ]
    };
    Ok(Chart {
        title: overview_title(&cases),
        kind: "measured",
        reading: "The marker is the median of the trials, the bar their range. Bars that overlap do not show a difference by themselves.",
        alternative: String::new(),
        views: vec![View { label: String::new(), panels, columns: if cases.len() > 12 { 1 } else { 2 } }],
        series: cases.iter().map(|case| case.name.clone()).collect(),
        table: (
            vec!["configuration".to_owned(), "trials".to_owned(), "throughput".to_owned(), name.to_owned()],
            cases.iter().map(row).collect(),
        ),
    })
}

fn overview_title(cases: &[&Case<'_>]) -> String {
    let mut rates: Vec<_> = cases.iter().filter_map(|case| Some((case.median(THROUGHPUT)?, case))).collect();
    rates.sort_by(|a, b| b.0.total_cmp(&a.0));
    match (rates.first(), rates.last()) {
        (Some((best, first)), Some((worst, last))) if rates.len() > 1 && *worst > 0.0 => format!(
            "{} does {} events/s, {} times as many as {}",
            first.name,
            Quantity::Rate.text(*best).trim_end_matches("/s"),
            significant(best / worst),
            last.name
        ),
        (Some((best, first)), _) => {
            format!("{} does {} events/s", first.name, Quantity::Rate.text(*best).trim_end_matches("/s"))
        }
        _ => "Throughput and latency".to_owned(),
    }
}

/// p99 against memory, with those that nothing beats in both.
pub(super) fn pareto(context: &Context<'_>) -> Result<Chart, String> {
    let cases = context.cases()?;
    let (latency, name) = latency_of(&cases);
    let place = |case: &&Case<'_>| Some((case.median(MEMORY)?, case.median(latency)?));
    let placed: Vec<_> = cases.iter().enumerate().filter_map(|(at, case)| Some((at, place(case)?))).collect();
    if placed.len() < 2 {
        return Err("fewer than two configurations have both a memory and a latency".to_owned());
    }
    let is_beaten = |point: (f64, f64)| {
        placed.iter().any(|(_, (x, y))| *x <= point.0 && *y <= point.1 && (*x < point.0 || *y < point.1))
    };
    let mut front: Vec<_> = placed.iter().filter(|(_, point)| !is_beaten(*point)).copied().collect();
    front.sort_by(|a, b| a.1.0.total_cmp(&b.1.0));
    let x = Axis::log("largest resident memory of a trial", Quantity::Bytes, placed.iter().map(|p| p.1.0));
    let y = Axis::log(&format!("{name} of an event"), Quantity::Time, placed.iter().map(|p| p.1.1));
    let mut panel = Panel::new(340, x, y);
    panel.marks.push(Mark::of(Ink::Muted, Shape::Thin(front.iter().map(|(_, point)| *point).collect())));
    for (at, point) in &placed {
        let is_front = front.iter().any(|(other, _)| other == at);
        panel.dots(*at, vec![*point], if is_front { Marker::of(*at) } else { Marker::Ring });
        if placed.len() <= 10 || is_front {
            panel.marks.push(Mark {
                series: Some(*at),
                ink: Ink::Text,
                shape: Shape::Text(*point, cases[*at].name.clone()),
            });
        }
    }
    let row = |(at, (memory, ns)): &(usize, (f64, f64))| {
        let is_front = front.iter().any(|(other, _)| other == at);
        let verdict = if is_front { "on the front" } else { "beaten in both" };
        vec![cases[*at].name.clone(), Quantity::Bytes.text(*memory), Quantity::Time.text(*ns), verdict.to_owned()]
    };
    let names: Vec<_> = front.iter().map(|(at, _)| cases[*at].name.as_str()).collect();
    let title = if names.len() == 1 {
        format!("{} has both the least memory and the lowest {name}", names[0])
    } else {
        format!("Nothing has less memory and a lower {name} than one of {}", super::listed(&names))
    };
    Ok(Chart {
        title,
        kind: "measured",
        reading: "Nearer to the lower left corner is better. A filled marker on the line is a choice to make; a ring is beaten by some \
                  other configuration in both. The memory is that of the whole process, the harness included.",
        alternative: String::new(),
        views: vec![View::new("", vec![panel])],
        series: cases.iter().map(|case| case.name.clone()).collect(),
        table: (
            ["configuration", "memory", name, "verdict"].map(str::to_owned).into(),
            placed.iter().map(row).collect(),
        ),
    })
}

/// Every trial in the order in which they ran.
pub(super) fn runs(context: &Context<'_>) -> Result<Chart, String> {
    let cases = context.cases()?;
    let book = context.book;
    let all = book.entries.iter().flat_map(|entry| &entry.result.trials).map(std::ptr::from_ref::<Trial>);
    let order: BTreeMap<*const Trial, usize> = all.enumerate().map(|(place, trial)| (trial, place)).collect();
    let rates = |case: &Case<'_>| {
        let of = |trial: &&Trial| match &trial.outcome {
            Outcome::Finished(m) => Some((
                *order.get(&std::ptr::from_ref::<Trial>(trial))? as f64 + 1.0,
                m.throughput_events_per_s,
                m.is_slow(),
            )),
            _ => None,
        };
        case.trials.iter().filter_map(of).collect::<Vec<_>>()
    };
    let all: Vec<_> = cases.iter().map(|case| rates(case)).collect();
    let values = all.iter().flatten().map(|(_, rate, _)| *rate);
    let x = Axis::between("trial, in the order in which they ran", Quantity::Number, 0.5, order.len() as f64 + 0.5);
    let mut panel = Panel::new(280, x, Axis::log("throughput, events/s", Quantity::Rate, values));
    for (series, rates) in all.iter().enumerate() {
        let points =
            |slow: bool| rates.iter().filter(move |rate| rate.2 == slow).map(|rate| (rate.0, rate.1)).collect();
        let line: Vec<_> = rates.iter().map(|rate| (rate.0, rate.1)).collect();
        panel.mark(series, Shape::Thin(line));
        panel.dots(series, points(false), Marker::of(series));
        panel.dots(series, points(true), Marker::Ring);
        if let Some(last) = rates.last() {
            panel.ends.push((series, last.1));
        }
    }
    panel.ends.truncate(super::SHOWN_SERIES);
    let widest = cases.iter().filter_map(|case| {
        let spread = case.row.metrics.get(THROUGHPUT).filter(|spread| spread.min > 0.0)?;
        Some((spread.max / spread.min, case))
    });
    let title = match widest.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((factor, case)) if case.measured.len() > 1 => {
            format!("Trials of one configuration differ by up to {:.0} % ({})", 100.0 * (factor - 1.0), case.name)
        }
        _ => "Trials in the order in which they ran".to_owned(),
    };
    Ok(Chart {
        title,
        kind: "measured",
        reading: "A drift from left to right is the machine, not the configuration: trials run in random order so that it meets all of \
                  them. A ring is a trial in the slow regime.",
        alternative: String::new(),
        views: vec![View::new("", vec![panel])],
        series: cases.iter().map(|case| case.name.clone()).collect(),
        table: run_table(context),
    })
}

/// Every trial with what came of it.
fn run_table(context: &Context<'_>) -> (Vec<String>, Vec<Vec<String>>) {
    let book = context.book;
    let row = |(at, label, trial): (usize, &str, &Trial)| {
        let (rate, p99, outcome) = match &trial.outcome {
            Outcome::Finished(m) => (
                Quantity::Rate.text(m.throughput_events_per_s),
                m.event_latency.summary.p99_ns.map_or_else(|| "-".to_owned(), |ns| Quantity::Time.text(ns as f64)),
                if trial.companion { "finished, a companion in which RocksDB counts" } else { "finished" }.to_owned(),
            ),
            _ => ("-".to_owned(), "-".to_owned(), why_unfinished(trial).unwrap_or_default()),
        };
        let name =
            if label.is_empty() { trial.configuration.clone() } else { format!("{label}: {}", trial.configuration) };
        vec![
            (at + 1).to_string(),
            name,
            (u64::from(trial.repeat) + 1).to_string(),
            trial.seed.to_string(),
            rate,
            p99,
            outcome,
        ]
    };
    let all = book.entries.iter().flat_map(|entry| {
        entry.result.trials.iter().map(|trial| {
            let variant = entry.result.variant_label(trial.variant);
            let label = [entry.label.as_str(), variant].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
            (label.join(" "), trial)
        })
    });
    let rows = all.enumerate().map(|(at, (label, trial))| row((at, &label, trial))).collect();
    (["order", "configuration", "repeat", "seed", "throughput", "p99", "outcome"].map(str::to_owned).into(), rows)
}
