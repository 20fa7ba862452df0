//! How latencies are distributed, and how that changes over time.

use super::axis::{Axis, Quantity, percentile_name};
use super::ink::{Ink, SHADES};
use super::{Chart, Context, Mark, Panel, Shape, View, no_timeline};
use crate::report::book::Case;
use crate::report::table::significant;
use crate::result::{Interval, Latency, LatencySummary, Timeline, heat_bounds_ns};

/// Points of a percentile curve in each factor of ten of what lies beyond.
const PER_DECADE: usize = 10;
/// Timed events that must lie beyond a point of the curve.
const LEAST_BEYOND: f64 = 10.0;
/// Percentiles of the table, as shares.
const TOLD: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];
/// Columns of a heat map.
const MOST_COLUMNS: usize = 128;
/// Heat maps beside each other that can still be compared.
const MOST_MAPS: usize = 4;

/// The latencies of a case, of service or of response.
struct Curve {
    name: String,
    /// Share that lies below, then latency in the median trial, the least and the largest of all trials, ns.
    points: Vec<(f64, f64, f64, f64)>,
    longest_ns: f64,
}

impl Curve {
    fn of(name: String, latencies: &[&Latency]) -> Option<Self> {
        let longest_ns = latencies.iter().map(|latency| latency.summary.max_ns).max()? as f64;
        let histograms: Vec<_> = latencies.iter().filter_map(|latency| latency.histogram()).collect();
        let least = histograms.iter().map(hdrhistogram::Histogram::len).min().unwrap_or(0) as f64;
        let at = |share: f64, mut values: Vec<f64>| {
            values.sort_unstable_by(f64::total_cmp);
            Some((share, *values.get(values.len() / 2)?, *values.first()?, *values.last()?))
        };
        let points: Vec<_> = if histograms.len() < latencies.len() || least == 0.0 {
            // Without histograms the percentiles of the summary are all there is.
            let told = |share: f64| {
                let values = latencies.iter().filter_map(|latency| told(&latency.summary, share)).collect();
                at(share, values)
            };
            TOLD.into_iter().filter_map(told).collect()
        } else {
            let shares = (0..10 * PER_DECADE).map(|step| 1.0 - 10_f64.powf(-(step as f64) / PER_DECADE as f64));
            let told = shares.take_while(|share| least * (1.0 - share) >= LEAST_BEYOND);
            told.filter_map(|share| {
                at(share, histograms.iter().map(|histogram| histogram.value_at_quantile(share) as f64).collect())
            })
            .collect()
        };
        (!points.is_empty()).then_some(Self { name, points, longest_ns })
    }

    /// The latency at a percentile, where the curve reaches it.
    fn value(&self, share: f64) -> Option<f64> {
        let near = self.points.iter().find(|point| point.0 >= share - 1e-6)?;
        Some(near.1)
    }
}

/// A percentile of a summary.
fn told(summary: &LatencySummary, share: f64) -> Option<f64> {
    let at = TOLD.iter().position(|told| (told - share).abs() < 1e-9)?;
    let LatencySummary { p50_ns, p90_ns, p99_ns, p999_ns, p9999_ns, .. } = summary;
    [p50_ns, p90_ns, p99_ns, p999_ns, p9999_ns].get(at).copied().copied()?.map(|ns| ns as f64)
}

fn curves(cases: &[&Case<'_>]) -> Vec<Curve> {
    let of = |case: &&Case<'_>| {
        let events: Vec<_> = case.measured.iter().map(|measurement| &measurement.event_latency).collect();
        let kept_up = case.measured.iter().filter_map(|m| m.open_loop.as_ref()).filter(|open| !open.saturated);
        let response: Vec<_> = kept_up.map(|open| &open.response).collect();
        [
            Curve::of(case.name.clone(), &events),
            Curve::of(format!("{} (response time)", case.name), &response).filter(|_| !response.is_empty()),
        ]
    };
    cases.iter().flat_map(of).flatten().collect()
}

/// Latency by percentile.
pub(super) fn percentiles(context: &Context<'_>) -> Result<Chart, String> {
    let cases = context.cases()?;
    let mut curves = curves(&cases);
    curves.truncate(super::MOST_SERIES);
    let furthest = curves.iter().filter_map(|curve| curve.points.last()).map(|point| point.0).fold(0.0, f64::max);
    if curves.is_empty() {
        return Err("no trial has a latency that was timed often enough".to_owned());
    }
    let panel = |y: fn(&str, Quantity, Vec<f64>) -> Axis| {
        let values = curves.iter().flat_map(|curve| &curve.points).flat_map(|point| [point.2, point.3]).collect();
        let mut panel = Panel::new(
            340,
            Axis::tail("percentile: share of events that are faster", furthest),
            y("latency of an event", Quantity::Time, values),
        );
        for (series, curve) in curves.iter().enumerate() {
            let line: Vec<_> = curve.points.iter().map(|point| (point.0, point.1)).collect();
            let above = curve.points.iter().map(|point| (point.0, point.3));
            let below = curve.points.iter().rev().map(|point| (point.0, point.2));
            panel.mark(series, Shape::Area(above.chain(below).collect()));
            panel.line(series, &line, true);
        }
        panel
    };
    let log = panel(Axis::log);
    let linear = panel(Axis::from_zero);
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ns| Quantity::Time.text(ns));
    let row = |curve: &Curve| {
        let mut row = vec![curve.name.clone()];
        row.extend(TOLD.iter().map(|share| shown(curve.value(*share))));
        row.push(shown(Some(curve.longest_ns)));
        row
    };
    let mut header = vec!["configuration".to_owned()];
    header.extend(TOLD.iter().map(|share| percentile_name(*share)));
    header.push("longest timed".to_owned());
    Ok(Chart {
        title: percentile_title(&curves),
        kind: "measured",
        reading: "Further right are the slower events: each step to the right is ten times rarer. A line that stays low stays \
                  predictable; where it ends, fewer than ten timed events lie beyond. The band is the spread between trials.",
        alternative: String::new(),
        views: vec![View::new("logarithmic", vec![log]), View::new("linear", vec![linear])],
        series: curves.iter().map(|curve| curve.name.clone()).collect(),
        table: (header, curves.iter().map(row).collect()),
    })
}

/// Who is fastest and who slowest at the highest percentile that all have.
fn percentile_title(curves: &[Curve]) -> String {
    let service: Vec<_> = curves.iter().filter(|curve| !curve.name.ends_with("(response time)")).collect();
    let share = [0.999, 0.99, 0.9, 0.5].into_iter().find(|share| service.iter().all(|c| c.value(*share).is_some()));
    let Some(share) = share else { return "Latency by percentile".to_owned() };
    let mut values: Vec<_> = service.iter().filter_map(|curve| Some((curve.value(share)?, curve))).collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let name = percentile_name(share);
    match (values.first(), values.last()) {
        (Some((best, first)), Some((worst, last))) if values.len() > 1 && *best > 0.0 => format!(
            "{name}: {} {}, {} {}: {} times as long",
            first.name,
            Quantity::Time.text(*best),
            last.name,
            Quantity::Time.text(*worst),
            significant(worst / best)
        ),
        (Some((value, curve)), _) => format!("{name} of {}: {}", curve.name, Quantity::Time.text(*value)),
        _ => "Latency by percentile".to_owned(),
    }
}

/// A column of a heat map: from, to, and events by bucket.
type Column = (f64, f64, Vec<(u8, u32)>);

/// The intervals of a timeline, merged until they are few enough.
fn columns(timeline: &Timeline) -> Vec<Column> {
    let together = timeline.intervals.len().div_ceil(MOST_COLUMNS).max(1);
    let seconds = timeline.interval_ms as f64 / 1e3;
    let merged = |(at, intervals): (usize, &[Interval])| {
        let mut buckets = [0_u32; 256];
        for (bucket, events) in intervals.iter().flat_map(|interval| &interval.heat) {
            let held = &mut buckets[usize::from(*bucket)];
            *held = held.saturating_add(*events);
        }
        let heat = buckets.iter().enumerate().filter(|(_, events)| **events > 0);
        let from = (at * together) as f64 * seconds;
        (from, from + intervals.len() as f64 * seconds, heat.map(|(bucket, events)| (bucket as u8, *events)).collect())
    };
    timeline.intervals.chunks(together).enumerate().map(merged).collect()
}

/// The shade of a count: in proportion to its logarithm.
fn shade(events: u32, most: u32) -> usize {
    let share = f64::from(events.max(1)).ln() / f64::from(most.max(2)).ln();
    ((share * SHADES as f64) as usize).min(SHADES - 1)
}

/// Latency over time as a heat map.
pub(super) fn heat(context: &Context<'_>) -> Result<Chart, String> {
    let cases = context.cases()?;
    let with_heat = |case: &&Case<'_>| {
        let columns = columns(case.typical()?.timeline.as_ref()?);
        columns.iter().any(|column| !column.2.is_empty()).then(|| (case.name.clone(), columns))
    };
    let maps: Vec<(String, Vec<Column>)> = cases.iter().filter_map(with_heat).take(MOST_MAPS).collect();
    let all = || maps.iter().flat_map(|map| &map.1).flat_map(|column| &column.2);
    let Some(most) = all().map(|(_, events)| *events).max() else { return Err(no_timeline()) };
    let values: Vec<f64> = all().flat_map(|(bucket, _)| <[f64; 2]>::from(heat_bounds_ns(*bucket))).collect();
    let end = maps.iter().filter_map(|map| map.1.last()).map(|column| column.1).fold(0.0, f64::max);
    let panel = |(name, columns): &(String, Vec<Column>)| {
        let y = Axis::log(&format!("{name}: latency of an event"), Quantity::Time, values.iter().copied());
        let mut panel = Panel::new(210, Axis::between("time, s", Quantity::Number, 0.0, end), y);
        panel.marks = cells(columns, most);
        panel.cells.clone_from(columns);
        panel
    };
    let mut panels: Vec<_> = maps.iter().map(panel).collect();
    panels.push(key(most));
    let slowest = |columns: &[Column]| {
        let of = |column: &Column| column.2.last().map(|(bucket, _)| (*bucket, column.0));
        columns.iter().filter_map(of).max_by_key(|(bucket, _)| *bucket)
    };
    let row = |(name, columns): &(String, Vec<Column>)| {
        let (bucket, at) = slowest(columns)?;
        let events: u64 = columns.iter().flat_map(|column| &column.2).map(|(_, events)| u64::from(*events)).sum();
        let (from, to) = heat_bounds_ns(bucket);
        let slowest = format!("{} to {}", Quantity::Time.text(from), Quantity::Time.text(to));
        Some(vec![name.clone(), events.to_string(), slowest, format!("{at:.1} s")])
    };
    let rows: Vec<Vec<String>> = maps.iter().filter_map(row).collect();
    let worst = maps.iter().filter_map(|map| Some((slowest(&map.1)?, &map.0))).max_by_key(|((bucket, _), _)| *bucket);
    let title = worst.map_or_else(String::new, |((bucket, at), name)| {
        let to = Quantity::Time.text(heat_bounds_ns(bucket).1);
        format!("The slowest events take up to {to}: {name}, {at:.1} s into the run")
    });
    let header = ["configuration", "timed events", "slowest", "at"].map(str::to_owned).into();
    Ok(Chart {
        title,
        kind: "measured, the trial of the median throughput",
        reading: "Each cell is the events of a moment that took so long; cells of a stronger colour hold more. Two bands above each other are two \
                  kinds of events, a column that reaches up is a stall.",
        alternative: String::new(),
        views: vec![View::new("", panels)],
        series: Vec::new(),
        table: (header, rows),
    })
}

/// The cells of a map, by shade, neighbours of one shade in a column joined.
fn cells(columns: &[Column], most: u32) -> Vec<Mark> {
    let mut by_shade: Vec<Vec<Mark>> = vec![Vec::new(); SHADES];
    for (from, to, heat) in columns {
        let mut open: Option<(usize, u8, u8)> = None;
        let mut close = |run: (usize, u8, u8)| {
            let (shade, first, last) = run;
            let corners = ((*from, heat_bounds_ns(first).0), (*to, heat_bounds_ns(last).1));
            by_shade[shade].push(Mark::of(Ink::Heat(shade), Shape::Bar { from: corners.0, to: corners.1 }));
        };
        for (bucket, events) in heat {
            let shade = shade(*events, most);
            open = match open {
                Some((open_shade, first, last)) if open_shade == shade && last.checked_add(1) == Some(*bucket) => {
                    Some((shade, first, *bucket))
                }
                other => {
                    other.into_iter().for_each(&mut close);
                    Some((shade, *bucket, *bucket))
                }
            };
        }
        open.into_iter().for_each(&mut close);
    }
    by_shade.into_iter().flatten().collect()
}

/// What the shades mean.
fn key(most: u32) -> Panel {
    let axis = Axis::between("events of a cell", Quantity::Number, 0.0, SHADES as f64);
    let mut panel = Panel::new(76, axis, Axis::names("", vec![String::new()]));
    let bound = |shade: usize| f64::from(most.max(2)).powf(shade as f64 / SHADES as f64);
    let names = (0..SHADES).map(|shade| format!("from {}", Quantity::Number.tick(bound(shade).ceil())));
    panel.x = Axis::names("events of a cell", names.collect());
    for shade in 0..SHADES {
        let at = shade as f64;
        panel.marks.push(Mark::of(Ink::Heat(shade), Shape::Bar { from: (at - 0.5, -0.5), to: (at + 0.5, 0.5) }));
    }
    panel
}
