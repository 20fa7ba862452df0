//! Changes against a baseline, with their intervals.

use super::axis::{Axis, Quantity};
use super::ink::Ink;
use super::{Chart, Context, Mark, Marker, Panel, Shape, View};
use crate::compare::{Comparison, Group, MetricComparison, Verdict};
use crate::report::comparison::{metric_summary, place, verdict_sentence, verdict_word};
use crate::result::METRICS;

/// Metrics that are drawn; the table has all.
const MOST_ROWS: usize = 40;

/// A metric with its place.
struct Changed<'a> {
    place: String,
    metric: &'a MetricComparison,
}

/// The value over the base's that a change in percent comes to.
fn ratio(percent: f64) -> f64 {
    1.0 + percent / 100.0
}

impl<'a> Changed<'a> {
    fn all(comparisons: &'a [(String, Comparison)]) -> Vec<Self> {
        let of_group = |label: &'a str, group: &'a Group| {
            let own = place(group);
            let place = crate::result::printable(&if label.is_empty() { own } else { format!("{label}: {own}") });
            group.metrics.iter().map(move |metric| Self { place: place.clone(), metric })
        };
        let groups = |(label, comparison): &'a (String, Comparison)| {
            comparison.groups.iter().flat_map(move |group| of_group(label, group))
        };
        let mut all: Vec<_> =
            comparisons.iter().flat_map(groups).filter(|one| one.metric.change_percent.is_some()).collect();
        let size = |one: &Self| one.metric.change_percent.map_or(0.0, |percent| ratio(percent).abs().ln().abs());
        let order = |one: &Self| {
            one.metric.verdict.map_or(u8::MAX, |verdict| match verdict {
                Verdict::Regressed => 0,
                Verdict::Improved => 1,
                Verdict::Inconclusive => 2,
                Verdict::NoChange => 3,
            })
        };
        all.sort_by(|a, b| order(a).cmp(&order(b)).then(size(b).total_cmp(&size(a))));
        all
    }

    fn label(&self) -> &str {
        let known = METRICS.iter().find(|known| known.name == self.metric.metric);
        known.map_or(&self.metric.metric, |known| known.label)
    }

    fn ink(&self) -> Ink {
        match self.metric.verdict {
            Some(Verdict::Regressed) => Ink::Worse,
            Some(Verdict::Improved) => Ink::Better,
            _ => Ink::Muted,
        }
    }

    fn marker(&self) -> Marker {
        match self.metric.verdict {
            Some(Verdict::Regressed) => Marker::Up,
            Some(Verdict::Improved) => Marker::Down,
            Some(Verdict::NoChange) => Marker::Square,
            _ => Marker::Ring,
        }
    }
}

/// The forest plot of all comparisons.
pub(super) fn forest(context: &Context<'_>) -> Result<Chart, String> {
    let comparisons = match &context.book.comparisons {
        Ok(comparisons) => comparisons,
        Err(why) => return Err(why.clone()),
    };
    let all = Changed::all(comparisons);
    let drawn: Vec<_> = all.iter().take(MOST_ROWS).collect();
    if drawn.is_empty() {
        return Err("no metric has a change to show".to_owned());
    }
    let ends = |one: &&Changed<'_>| {
        let [low, high] = one.metric.change_interval95_percent.unwrap_or([0.0, 0.0]);
        [ratio(one.metric.change_percent.unwrap_or(0.0)), ratio(low), ratio(high), 0.9, 1.1]
    };
    let x = Axis::log("candidate over base: 1× is no change", Quantity::Factor, drawn.iter().flat_map(ends));
    let is_of_one = drawn.iter().all(|one| one.place == drawn[0].place);
    let name = |one: &&Changed<'_>| {
        if is_of_one { one.label().to_owned() } else { format!("{} {}", one.place, one.label()) }
    };
    let names = drawn.iter().rev().map(name).collect();
    let mut panel = Panel::new(60 + 24 * drawn.len() as u32, x, Axis::names("", names));
    for (at, one) in drawn.iter().rev().enumerate() {
        draw_row(&mut panel, at as f64, one);
    }
    panel.marks.push(Mark::of(Ink::Text, Shape::RuleX(1.0, String::new())));
    let row = |one: &Changed<'_>| vec![one.place.clone(), one.label().to_owned(), metric_summary(one.metric)];
    let sentences: Vec<_> = comparisons
        .iter()
        .map(|(label, comparison)| {
            let sentence = verdict_sentence(comparison);
            if label.is_empty() { sentence } else { format!("{label}: {sentence}") }
        })
        .collect();
    let place = if is_of_one { format!("{}: ", drawn[0].place) } else { String::new() };
    Ok(Chart {
        title: format!("{place}{}", sentences.join("; ")),
        kind: "measured; intervals by rank tests",
        reading: "The marker is the change, the thick bar its 95 % interval, the thin line the interval that the decision looks at; the pale \
                  band is the threshold. ▲ is worse, ▼ better, a square no change, a ring inconclusive or not judged.",
        alternative: String::new(),
        views: vec![View::new("", vec![panel])],
        series: Vec::new(),
        table: (
            ["configurations", "metric", "change and verdict"].map(str::to_owned).into(),
            all.iter().map(row).collect(),
        ),
    })
}

fn draw_row(panel: &mut Panel, at: f64, one: &Changed<'_>) {
    let metric = one.metric;
    let bar = |from: f64, to: f64, half: f64| Shape::Bar { from: (from, at - half), to: (to, at + half) };
    if let Some(threshold) = metric.threshold_percent {
        panel.marks.push(Mark::of(Ink::Grid, bar(1.0 / ratio(threshold), ratio(threshold), 0.42)));
    }
    if let Some([low, high]) = metric.decision_interval_percent {
        panel.marks.push(Mark::of(one.ink(), Shape::Thin(vec![(ratio(low), at), (ratio(high), at)])));
    }
    if let Some([low, high]) = metric.change_interval95_percent {
        panel.marks.push(Mark::of(one.ink(), bar(ratio(low), ratio(high), 0.09)));
    }
    let Some(change) = metric.change_percent else { return };
    panel.marks.push(Mark::of(one.ink(), Shape::Dots(vec![(ratio(change), at)], one.marker())));
    // The words stand in a column at the right.
    let words = Shape::Text((panel.x.to, at), verdict_word(metric.verdict).to_owned());
    panel.marks.push(Mark::of(Ink::Text, words));
}
