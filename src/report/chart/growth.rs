//! How much state is held over a run.

use super::axis::{Axis, Quantity};
use super::{Chart, Context, Panel, Shape, View};
use crate::report::book::Case;
use crate::report::checkpoints::trend_words;
use crate::result::{Growth, GrowthSample, Trend, Unit};

/// A unit of time in which a span has a few, ms, and its name.
fn unit_of(span_ms: f64) -> (f64, &'static str) {
    const UNITS: [(f64, &str); 4] = [(86_400_000.0, "days"), (3_600_000.0, "hours"), (60_000.0, "minutes"), (1e3, "s")];
    UNITS.into_iter().find(|(ms, _)| span_ms >= 2.0 * ms).unwrap_or((1e3, "s"))
}

/// State held over time, and of it what has expired.
pub(super) fn growth<'a>(context: &Context<'a>) -> Result<Chart, String> {
    let cases = context.cases()?;
    let of = |case: &&'a Case<'a>| {
        // The trial that held the median at the end stands for the others, as in the table.
        let mut held: Vec<(u64, &Growth)> = case
            .measured
            .iter()
            .filter_map(|m| m.growth.as_ref().and_then(|growth| Some((growth.samples.last()?.held_bytes(), growth))))
            .collect();
        held.sort_by_key(|(bytes, _)| *bytes);
        held.get(held.len() / 2).map(|(_, growth)| (case.name.clone(), *growth))
    };
    let grown: Vec<(String, &Growth)> = cases.iter().filter_map(of).collect();
    if grown.is_empty() {
        return Err(
            "the state was not looked at: a workload that sets something of its states has it counted".to_owned()
        );
    }
    let samples = || grown.iter().flat_map(|(_, growth)| &growth.samples);
    let begin = samples().map(|sample| sample.time_ms).min().unwrap_or(0) as f64;
    let end = samples().map(|sample| sample.time_ms).max().unwrap_or(0) as f64;
    let (unit_ms, unit) = unit_of(end - begin);
    let x =
        Axis::between(&format!("time on the virtual clock, {unit}"), Quantity::Number, begin / unit_ms, end / unit_ms);
    let values = samples().map(|sample| sample.held_bytes() as f64);
    let mut panel = Panel::new(300, x, Axis::from_zero("state held: keys and values", Quantity::Bytes, values));
    let place = |sample: &GrowthSample, bytes: u64| (sample.time_ms as f64 / unit_ms, bytes as f64);
    for (series, (_, growth)) in grown.iter().enumerate() {
        let held: Vec<_> = growth.samples.iter().map(|sample| place(sample, sample.held_bytes())).collect();
        let live = growth.samples.iter().rev().map(|sample| place(sample, sample.live_bytes));
        if growth.samples.iter().any(|sample| sample.expired_bytes > 0) {
            panel.mark(series, Shape::Area(held.iter().copied().chain(live).collect()));
        }
        panel.line(series, &held, true);
    }
    let row = |(name, growth): &(String, &Growth)| {
        let last = growth.samples.last().copied().unwrap_or_default();
        let bytes = |bytes: u64| Quantity::Bytes.text(bytes as f64);
        let expired = last.expired_bytes as f64 / last.held_bytes().max(1) as f64;
        vec![
            name.clone(),
            bytes(last.held_bytes()),
            Quantity::Share.text(expired),
            (last.live_entries.saturating_add(last.expired_entries)).to_string(),
            trend_words(growth.trend, Unit::Bytes),
        ]
    };
    let header = ["configuration", "held at the end", "of it expired", "entries", "trend"];
    Ok(Chart {
        title: title(&grown),
        kind: "measured",
        reading: "The line is what is held, the area below it what has expired and is still there. The trend is a verdict over the part \
                  behind the longest TTL (Mann-Kendall, Theil-Sen).",
        alternative: String::new(),
        views: vec![View::new("", vec![panel])],
        series: grown.iter().map(|(name, _)| name.clone()).collect(),
        table: (header.map(str::to_owned).into(), grown.iter().map(row).collect()),
    })
}

/// Who grows fastest, or holds most that has expired.
fn title(grown: &[(String, &Growth)]) -> String {
    let unbounded = grown.iter().filter_map(|(name, growth)| match growth.trend {
        Trend::Unbounded { per_day } => Some((per_day, name)),
        _ => None,
    });
    if let Some((per_day, name)) = unbounded.max_by(|a, b| a.0.total_cmp(&b.0)) {
        return format!("{name} grows without bound: {} a day of the virtual clock", Quantity::Bytes.text(per_day));
    }
    let share = |growth: &Growth| {
        growth.samples.last().map_or(0.0, |last| last.expired_bytes as f64 / last.held_bytes().max(1) as f64)
    };
    let expired = grown.iter().max_by(|a, b| share(a.1).total_cmp(&share(b.1)));
    match expired {
        Some((name, growth)) if share(growth) > 0.01 => {
            format!("{name} holds most that has expired: {:.0} % at the end", 100.0 * share(growth))
        }
        _ if grown.iter().all(|(_, growth)| growth.trend == Trend::Bounded) => "State is bounded".to_owned(),
        _ => "State held over the run".to_owned(),
    }
}
