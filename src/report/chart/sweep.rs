//! What a sweep varies against what that does.

use super::axis::{Axis, Quantity};
use super::ink::Ink;
use super::{Chart, Context, MOST_SERIES, Mark, Marker, Panel, Shape, View};
use crate::report::book::Entry;
use crate::report::curves::{crossings, knees, number, with_choices};
use crate::report::knobs::{Knobs, is_option};
use crate::report::{Row, Spread};
use crate::workload::{Bytes, Time};

/// A metric that is drawn: name, label, what it counts in.
type Drawn = (&'static str, &'static str, Quantity);

const OF_OPTIONS: [Drawn; 3] = [
    ("throughput_events_per_s", "throughput, events/s", Quantity::Rate),
    ("latency_p99_ns", "p99 of an event", Quantity::Time),
    ("checkpoint_duration_ns", "time of a checkpoint", Quantity::Time),
];
const OF_WORKLOADS: [Drawn; 4] = [
    ("throughput_events_per_s", "throughput, events/s", Quantity::Rate),
    ("latency_p99_ns", "p99 of an event", Quantity::Time),
    ("checkpoint_duration_ns", "time of a checkpoint", Quantity::Time),
    ("checkpoint_full_bytes", "size of a checkpoint", Quantity::Bytes),
];
/// From this ratio of the ends on, the values of a knob are drawn on a logarithmic axis.
const WIDE: f64 = 5.0;

/// Rows that differ in one axis of the matrix only.
struct Line<'a> {
    name: String,
    /// The configuration in the workload file.
    base: &'a str,
    /// What the rows take of the other axes.
    others: Vec<(&'a str, &'a str)>,
    /// The value of the axis, as it is written, with the row.
    rows: Vec<(&'a str, &'a Row)>,
}

/// One axis of the matrix with its lines.
struct Sweep<'a> {
    axis: &'a str,
    /// Its values in order.
    values: Vec<&'a str>,
    lines: Vec<Line<'a>>,
}

impl<'a> Sweep<'a> {
    fn of(entry: &'a Entry<'_>, index: usize, axis: &'a str, axes: &'a [String]) -> Self {
        let mut sweep = Self { axis, values: Vec::new(), lines: Vec::new() };
        for row in &entry.summary.rows {
            let Some(value) = row.knobs.get(index).filter(|value| *value != "-") else { continue };
            if !sweep.values.contains(&value.as_str()) {
                sweep.values.push(value);
            }
            let all = axes.iter().map(String::as_str).zip(row.knobs.iter().map(String::as_str));
            let others: Vec<_> = all.filter(|(other, _)| *other != axis).collect();
            if let Some(line) = sweep.lines.iter_mut().find(|line| line.base == row.base && line.others == others) {
                line.rows.push((value, row));
            } else {
                let name = with_choices(&row.base, &others);
                let name = if entry.label.is_empty() { name } else { format!("{}: {name}", entry.label) };
                let name = crate::result::printable(&name);
                sweep.lines.push(Line { name, base: &row.base, others, rows: vec![(value, row)] });
            }
        }
        if sweep.is_numeric() {
            sweep.values.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
        }
        sweep
    }

    fn is_numeric(&self) -> bool {
        self.values.iter().all(|value| number(value).is_some_and(f64::is_finite))
    }

    fn x_axis(&self) -> Axis {
        if !self.is_numeric() {
            return Axis::names(self.axis, self.values.iter().map(|value| crate::result::printable(value)).collect());
        }
        let values: Vec<f64> = self.values.iter().filter_map(|value| number(value)).collect();
        let is_plain = self.values.iter().all(|value| value.parse::<f64>().is_ok());
        let is_size = !is_plain && self.values.iter().all(|value| value.parse::<Bytes>().is_ok());
        let is_time = !is_plain && !is_size && self.values.iter().all(|value| value.parse::<Time>().is_ok());
        let quantity = if is_size { Quantity::Bytes } else { Quantity::Number };
        let label = if is_time { format!("{}, s", self.axis) } else { self.axis.to_owned() };
        let (least, most) =
            (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(0.0, f64::max));
        if least > 0.0 && most >= WIDE * least {
            Axis::log(&label, quantity, values)
        } else {
            Axis::between(&label, quantity, least.min(most), most)
        }
    }

    /// The place of a value on the x axis.
    fn x(&self, value: &str) -> f64 {
        let place = || self.values.iter().position(|other| *other == value).map(|at| at as f64);
        if self.is_numeric() { number(value) } else { place() }.unwrap_or(0.0)
    }

    /// The points of a line in a metric, those of slow rows apart.
    fn points(&self, line: &Line<'_>, metric: &str, slow: bool) -> Vec<(f64, Spread)> {
        let is_slow = |row: &Row| row.regime.is_some_and(|regime| regime.slow);
        let rows = line.rows.iter().filter(|(_, row)| is_slow(row) == slow);
        let mut points: Vec<_> =
            rows.filter_map(|(value, row)| Some((self.x(value), *row.metrics.get(metric)?))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    }

    /// One panel for each metric that any row has.
    fn view(&self, series: &mut Vec<String>, metrics: &[Drawn]) -> View {
        let numbers: Vec<usize> = self
            .lines
            .iter()
            .map(|line| {
                series.iter().position(|name| *name == line.name).unwrap_or_else(|| {
                    series.push(line.name.clone());
                    series.len() - 1
                })
            })
            .collect();
        let panels = metrics.iter().filter_map(|(metric, label, quantity)| {
            let all = |line: &Line<'_>| [false, true].map(|slow| self.points(line, metric, slow)).concat();
            let spreads: Vec<Spread> = self.lines.iter().flat_map(all).map(|point| point.1).collect();
            if spreads.is_empty() {
                return None;
            }
            let y = Axis::log(label, *quantity, spreads.iter().flat_map(|spread| [spread.min, spread.max]));
            let mut panel = Panel::new(240, self.x_axis(), y);
            for (line, series) in self.lines.iter().zip(&numbers).filter(|(_, series)| **series < MOST_SERIES) {
                self.draw_line(&mut panel, line, *series, metric);
            }
            if *metric == "throughput_events_per_s" && !is_option(self.axis) {
                self.draw_crossings(&mut panel);
            }
            Some(panel)
        });
        View::new(&crate::result::printable(self.axis), panels.collect())
    }

    fn draw_line(&self, panel: &mut Panel, line: &Line<'_>, series: usize, metric: &str) {
        let calm = self.points(line, metric, false);
        let slow = self.points(line, metric, true);
        for (x, spread) in calm.iter().chain(&slow).filter(|(_, spread)| spread.max > spread.min) {
            panel.mark(series, Shape::Thin(vec![(*x, spread.min), (*x, spread.max)]));
        }
        let medians =
            |points: &[(f64, Spread)]| points.iter().map(|(x, spread)| (*x, spread.median)).collect::<Vec<_>>();
        if !calm.is_empty() {
            if self.is_numeric() {
                panel.line(series, &medians(&calm), true);
            }
            panel.dots(series, medians(&calm), Marker::of(series));
        }
        if !slow.is_empty() {
            panel.dots(series, medians(&slow), Marker::Ring);
        }
    }

    /// Where two configurations change places, between two values: in proportion on logarithmic axes.
    fn draw_crossings(&self, panel: &mut Panel) {
        for (x, text) in self.crossing_places().into_iter().take(3) {
            panel.marks.push(Mark::of(Ink::Text, Shape::RuleX(x, text)));
        }
    }

    /// Places on the axis at which the throughput of the first configuration crosses that of another.
    fn crossing_places(&self) -> Vec<(f64, String)> {
        let Some(first) = self.lines.first().filter(|_| self.is_numeric()) else { return Vec::new() };
        let mut places = Vec::new();
        let others = self.lines.iter().filter(|line| line.base != first.base);
        for other in others {
            let points = |line: &Line<'_>| self.points(line, "throughput_events_per_s", false);
            let (a, b) = (points(first), points(other));
            let ratio = |x: f64| {
                let at = |points: &[(f64, Spread)]| {
                    points.iter().find(|point| point.0.total_cmp(&x).is_eq()).map(|p| p.1.median)
                };
                Some((x, (at(&a)? / at(&b)?).ln())).filter(|(_, ratio)| ratio.is_finite())
            };
            let ratios: Vec<_> = a.iter().filter_map(|point| ratio(point.0)).collect();
            for pair in ratios.windows(2) {
                let ((x0, r0), (x1, r1)) = (pair[0], pair[1]);
                if (r0 > 0.0) != (r1 > 0.0) && x0 > 0.0 {
                    let share = r0 / (r0 - r1);
                    let x = (x0.ln() + share * (x1.ln() - x0.ln())).exp();
                    let text =
                        format!("{} and {} cross at about {}", first.base, other.base, self.x_axis().quantity.tick(x));
                    places.push((x, crate::result::printable(&text)));
                }
            }
        }
        places
    }

    /// What the points are, for the table.
    fn table_rows(&self, metrics: &[Drawn]) -> Vec<Vec<String>> {
        let cell = |row: &Row, (metric, _, quantity): &Drawn| {
            row.metrics.get(metric).map_or_else(
                || "-".to_owned(),
                |s| format!("{} ({} … {})", quantity.text(s.median), quantity.text(s.min), quantity.text(s.max)),
            )
        };
        let row = |line: &Line<'_>, value: &str, row: &Row| {
            let regime = row.regime.map_or("", |regime| if regime.slow { "slow" } else { "calm" });
            let mut cells = vec![self.axis.to_owned(), value.to_owned(), line.name.clone(), regime.to_owned()];
            cells.extend(metrics.iter().map(|metric| cell(row, metric)));
            cells
        };
        self.lines.iter().flat_map(|line| line.rows.iter().map(move |(value, of)| row(line, value, of))).collect()
    }
}

/// The chart of all axes that are options, or of all that are not.
fn chart(context: &Context<'_>, options: bool, metrics: &[Drawn], title: &str) -> Result<Chart, String> {
    let (mut views, mut series, mut rows, mut findings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for entry in &context.book.entries {
        let Some(knobs) = Knobs::of(entry.result) else { continue };
        let summary = &entry.summary.rows;
        findings.extend(if options { knees(&knobs, summary) } else { crossings(&knobs, summary) });
        for (index, axis) in knobs.axes.iter().enumerate().filter(|(_, axis)| is_option(axis) == options) {
            let sweep = Sweep::of(entry, index, axis, &knobs.axes);
            let view = sweep.view(&mut series, metrics);
            if !view.panels.is_empty() {
                rows.extend(sweep.table_rows(metrics));
                views.push(view);
            }
        }
    }
    if views.is_empty() {
        let what = if options { "options" } else { "anything of the workload, such as keys.cardinality" };
        return Err(format!("no finished trials of a matrix over {what}"));
    }
    series.truncate(MOST_SERIES);
    let mut header: Vec<_> = ["knob", "value", "configuration", "regime"].map(str::to_owned).into();
    header.extend(metrics.iter().map(|(_, label, _)| (*label).to_owned()));
    // What is to be pasted is told below the chart.
    let finding = findings.first().map(|line| line.split("; to paste").next().unwrap_or(line));
    let finding = finding.map(|line| crate::result::printable(line.strip_prefix("knee ").unwrap_or(line)));
    Ok(Chart {
        title: finding.unwrap_or_else(|| title.to_owned()),
        kind: "measured; where lines cross is interpolated between measured values",
        reading: "The marker is the median of the trials, the thin line their range; a ring is the slow regime of a configuration that has \
                  two. Where a curve turns flat, more of the knob buys nothing.",
        alternative: String::new(),
        views,
        series,
        table: (header, rows),
    })
}

/// What options do.
pub(super) fn knobs(context: &Context<'_>) -> Result<Chart, String> {
    chart(context, true, &OF_OPTIONS, "Throughput and p99 by option")
}

/// What the size and the shape of the workload do.
pub(super) fn scaling(context: &Context<'_>) -> Result<Chart, String> {
    chart(context, false, &OF_WORKLOADS, "Throughput and p99 by workload")
}
