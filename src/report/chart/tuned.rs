//! A search for better settings: what was tried, and what each option of the winner is worth.

use super::axis::{Axis, Quantity};
use super::ink::Ink;
use super::{Chart, Context, Mark, Marker, Panel, Shape, View};
use crate::report::tuning::{MEMORY, change, is_higher_better, label};
use crate::result::{METRICS, Tuning, Unit, printable};
use crate::workload::short_key;

/// The search of a report: that of the first result that has one.
fn tuning<'a>(context: &Context<'a>) -> Result<&'a Tuning, String> {
    let of = |entry: &'a crate::report::book::Entry<'_>| entry.result.tuning.as_deref();
    context.book.entries.iter().find_map(of).ok_or_else(|| "no settings were searched".to_owned())
}

/// One setting as it is drawn.
struct Tried {
    name: String,
    /// Its place on both axes.
    at: (f64, f64),
    /// The interval of the second, where it is modelled.
    y: Option<(f64, f64)>,
    is_eligible: bool,
    is_winner: bool,
}

/// Every setting that was tried: of one objective in the order of the search, of two the one against the other.
pub(super) fn search(context: &Context<'_>) -> Result<Chart, String> {
    let tuning = tuning(context)?;
    let objectives = &tuning.setup.objectives;
    if tuning.standings.is_empty() {
        return Err("the search has not come to its end".to_owned());
    }
    let Some(first) = objectives.first().map(String::as_str) else { return Err("the search has no goal".to_owned()) };
    let second = objectives.get(1).map(String::as_str);
    let tried: Vec<Tried> = tuning.standings.iter().filter_map(|standing| of(tuning, standing.candidate)).collect();
    let (x, y) = if let Some(second) = second {
        (axis(first, tried.iter().map(|one| one.at.0)), axis(second, tried.iter().map(|one| one.at.1)))
    } else {
        let label = "setting, in the order in which they were first tried";
        let last = tuning.candidates.len().saturating_sub(1) as f64;
        let ends = |one: &Tried| {
            let (low, high) = one.y.unwrap_or((one.at.1, one.at.1));
            [one.at.1, low, high]
        };
        (Axis::between(label, Quantity::Number, 0.0, last.max(1.0)), axis(first, tried.iter().flat_map(ends)))
    };
    let mut panel = Panel::new(360, x, y);
    for one in &tried {
        if let Some((low, high)) = one.y {
            let (low, high) = (low.max(panel.y.from), high.min(panel.y.to));
            panel.marks.push(Mark::of(Ink::Grid, Shape::Thin(vec![(one.at.0, low), (one.at.0, high)])));
        }
    }
    for (series, (is_wanted, marker)) in groups().into_iter().enumerate() {
        let points: Vec<_> = tried.iter().filter(|one| is_wanted(one)).map(|one| one.at).collect();
        if !points.is_empty() {
            panel.dots(series, points, marker);
        }
    }
    for one in tried.iter().filter(|one| one.is_winner) {
        panel.marks.push(Mark::of(Ink::Text, Shape::Text(one.at, one.name.clone())));
    }
    let title = format!("{} settings tried: {}", tuning.standings.len(), printable(&tuning.setup.goal));
    Ok(Chart {
        title,
        kind: if second.is_some() {
            "modelled from the trials of the search; memory is configured"
        } else {
            "modelled from the trials of the search"
        },
        reading: "Each marker is a setting, with the interval that holds it with 95 % where the model holds. A diamond was put to the proof. \
                  What costs more than five times as much as the best counts as five times. The model ranks settings; only the proof \
                  says how much better one is.",
        alternative: String::new(),
        views: vec![View::new("", vec![panel])],
        series: ["keeps the limits", "does not keep them, or not in every trial", "put to the proof"]
            .map(str::to_owned)
            .into(),
        table: (
            ["setting", "what it sets", first].map(str::to_owned).into(),
            tuning.standings.iter().filter_map(|standing| row(tuning, standing.candidate)).collect(),
        ),
    })
}

type Wanted = fn(&Tried) -> bool;

fn groups() -> [(Wanted, Marker); 3] {
    [
        (|one| one.is_eligible && !one.is_winner, Marker::Circle),
        (|one| !one.is_eligible, Marker::Ring),
        (|one| one.is_winner, Marker::Diamond),
    ]
}

/// An axis of an objective: of one that is modelled, multiples of what the start has.
fn axis(objective: &str, values: impl Iterator<Item = f64>) -> Axis {
    let unit = METRICS.iter().find(|metric| metric.name == objective).map_or(Unit::Bytes, |metric| metric.unit);
    let values: Vec<f64> = values.filter(|value| value.is_finite() && *value > 0.0).collect();
    match (objective, unit) {
        (MEMORY, _) => Axis::log("memory of a slot (configured)", Quantity::Bytes, values),
        _ => Axis::log(&format!("{}, as a multiple of what the start has", label(objective)), Quantity::Factor, values),
    }
}

fn of(tuning: &Tuning, candidate: usize) -> Option<Tried> {
    let standing = tuning.standings.iter().find(|standing| standing.candidate == candidate)?;
    let value = |objective: usize| {
        let name = tuning.setup.objectives.get(objective)?;
        if name == MEMORY {
            let bytes = tuning.candidates.get(candidate)?.memory_budget_bytes? as f64;
            return Some((bytes, None));
        }
        let [mean, low, high] = *standing.cost.get(objective)?;
        let of = |cost: f64| if is_higher_better(name) { 1.0 / cost } else { cost };
        let bounds = if is_higher_better(name) { (of(high), of(low)) } else { (low, high) };
        Some((of(mean), Some(bounds)))
    };
    let (first, bounds) = value(0)?;
    let (at, y) = match value(1) {
        Some((second, bounds)) => ((first, second), bounds),
        None => ((candidate as f64, first), bounds),
    };
    Some(Tried {
        name: format!("#{candidate}"),
        at,
        y,
        is_eligible: standing.fits && !standing.is_bimodal && standing.keeps_limits >= 0.75,
        is_winner: tuning.winners.contains(&candidate),
    })
}

fn row(tuning: &Tuning, candidate: usize) -> Option<Vec<String>> {
    let standing = tuning.standings.iter().find(|standing| standing.candidate == candidate)?;
    let objective = tuning.setup.objectives.first()?;
    let told = if objective == MEMORY {
        tuning
            .candidates
            .get(candidate)?
            .memory_budget_bytes
            .map_or_else(String::new, |bytes| Quantity::Bytes.text(bytes as f64))
    } else {
        change(objective, standing.cost.first()?[0])
    };
    Some(vec![format!("#{candidate}"), printable(&tuning.candidates.get(candidate)?.described), told])
}

/// What setting each option of the winner back alone costs.
pub(super) fn importance(context: &Context<'_>) -> Result<Chart, String> {
    let tuning = tuning(context)?;
    let Some(metric) = tuning.importance_in.as_deref().filter(|_| !tuning.importance.is_empty()) else {
        return Err("no option of a winner was set back".to_owned());
    };
    let all = &tuning.importance;
    let x = Axis::log(
        "cost without it over cost with it: 1× is no difference",
        Quantity::Factor,
        all.iter().flat_map(|one| [one.range[0], one.range[1], 0.9, 1.1]),
    );
    let name =
        |one: &crate::result::OptionWorth| printable(&format!("{} {} → {}", short_key(&one.key), one.value, one.back));
    let mut panel = Panel::new(60 + 30 * all.len() as u32, x, Axis::names("", all.iter().rev().map(name).collect()));
    for (at, one) in all.iter().rev().enumerate() {
        let at = at as f64;
        let ink = match (one.is_clear, one.cost > 1.0) {
            (true, true) => Ink::Better,
            (true, false) => Ink::Worse,
            (false, _) => Ink::Muted,
        };
        panel.marks.push(Mark::of(ink, Shape::Bar { from: (one.range[0], at - 0.09), to: (one.range[1], at + 0.09) }));
        panel.marks.push(Mark::of(ink, Shape::Dots(vec![(one.cost, at)], Marker::Square)));
    }
    panel.marks.push(Mark::of(Ink::Text, Shape::RuleX(1.0, String::new())));
    let most = &all[0];
    let row = |one: &crate::result::OptionWorth| {
        vec![
            name(one),
            change(metric, one.cost),
            format!("{} … {}", change(metric, one.range[0]), change(metric, one.range[1])),
        ]
    };
    Ok(Chart {
        title: format!(
            "{} is worth most: without it {} {}",
            short_key(&most.key),
            label(metric),
            change(metric, most.cost)
        ),
        kind: "measured, in short trials of the search",
        reading: "Each option of the winner is set back alone, to the value that the start has. The square is the median of pairs, the bar goes from the \
                  smallest to the largest of them: where it does not reach 1×, every pair says the same.",
        alternative: String::new(),
        views: vec![View::new("", vec![panel])],
        series: Vec::new(),
        table: (["option", "without it", "pairs from … to"].map(str::to_owned).into(), all.iter().map(row).collect()),
    })
}
