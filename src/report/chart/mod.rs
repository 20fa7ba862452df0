//! Charts of results.
//!
//! A chart is data first: axes, marks and a table of its figures. One function draws it, for a page or to stand alone; a page's
//! script reads the same points. [`CHARTS`] lists every chart; each is a function from what a report is about to a chart, or to the
//! reason why there is none.

mod axis;
mod canvas;
mod draw;
mod forest;
mod gc;
mod growth;
mod ink;
mod latency;
mod memory;
mod over_time;
mod overview;
mod picture;
mod sample;
mod snapshots;
mod sweep;
mod tree;
mod tuned;

use super::book::{Book, Case};
use ink::Ink;

pub(super) use axis::{Axis, Scale};
pub use ink::Theme;
pub use picture::{ChartError, Picture, chart_names, chart_picture};
pub(super) use picture::{Embedded, dashes_of, embed, style_sheet};

/// A kind of chart.
pub(super) struct Kind {
    /// The name by which it is asked for.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// The section of a page that it belongs to.
    pub section: Section,
    /// Makes it, or tells why there is none.
    pub make: fn(&Context<'_>) -> Result<Chart, String>,
}

/// Where on a page a chart is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Search,
    Summary,
    Compare,
    Latency,
    Throughput,
    State,
    Checkpoints,
    Scaling,
    Tuning,
    Runs,
}

/// Every chart, in the order of a page.
pub(super) static CHARTS: &[Kind] = &[
    Kind { name: "search", about: "settings that a search has tried", section: Section::Search, make: tuned::search },
    Kind {
        name: "importance",
        about: "what each option of a winner is worth",
        section: Section::Search,
        make: tuned::importance,
    },
    Kind {
        name: "overview",
        about: "throughput and p99 of every configuration",
        section: Section::Summary,
        make: overview::overview,
    },
    Kind {
        name: "compare",
        about: "changes against a baseline with their intervals",
        section: Section::Compare,
        make: forest::forest,
    },
    Kind { name: "percentiles", about: "latency by percentile", section: Section::Latency, make: latency::percentiles },
    Kind { name: "heat", about: "latency over time", section: Section::Latency, make: latency::heat },
    Kind {
        name: "throughput",
        about: "throughput and p99 over time, with what went on meanwhile",
        section: Section::Throughput,
        make: over_time::throughput,
    },
    Kind { name: "memory", about: "memory used against the budget", section: Section::State, make: memory::memory },
    Kind {
        name: "memory-over-time",
        about: "memory over time by what it is used for",
        section: Section::State,
        make: over_time::memory,
    },
    Kind {
        name: "growth",
        about: "state held over time, with its trend",
        section: Section::State,
        make: growth::growth,
    },
    Kind {
        name: "levels",
        about: "sizes of the levels of the RocksDB tree",
        section: Section::State,
        make: tree::levels,
    },
    Kind {
        name: "amplification",
        about: "write, read and space amplification",
        section: Section::State,
        make: tree::amplification,
    },
    Kind { name: "cache", about: "hit rate of the block cache", section: Section::State, make: tree::cache },
    Kind {
        name: "miss-ratio",
        about: "blocks that caches of other sizes would not find, with the knee",
        section: Section::State,
        make: tree::miss_ratio,
    },
    Kind {
        name: "gc",
        about: "share of time that a JVM would collect garbage, by heap size",
        section: Section::State,
        make: gc::gc,
    },
    Kind {
        name: "checkpoints",
        about: "time and size of each checkpoint",
        section: Section::Checkpoints,
        make: snapshots::checkpoints,
    },
    Kind {
        name: "scaling",
        about: "throughput, p99 and checkpoints against the size of the workload",
        section: Section::Scaling,
        make: sweep::scaling,
    },
    Kind {
        name: "knobs",
        about: "throughput and p99 against each option that is varied",
        section: Section::Tuning,
        make: sweep::knobs,
    },
    Kind { name: "pareto", about: "p99 against memory", section: Section::Tuning, make: overview::pareto },
    Kind {
        name: "runs",
        about: "every trial in the order in which they ran",
        section: Section::Runs,
        make: overview::runs,
    },
];

/// Series that a chart draws at most, and that it shows before a reader asks for more.
pub(super) const MOST_SERIES: usize = 24;
pub(super) const SHOWN_SERIES: usize = 6;

/// What charts are made of.
pub(super) struct Context<'a> {
    /// The results.
    pub book: &'a Book<'a>,
}

impl<'a> Context<'a> {
    /// The cases that can be drawn: those with finished trials, as many as a chart has room for.
    fn cases(&self) -> Result<Vec<&'a Case<'a>>, String> {
        let cases: Vec<_> = self.book.finished().take(MOST_SERIES).collect();
        if cases.is_empty() { Err("no trial has finished".to_owned()) } else { Ok(cases) }
    }
}

/// Names one after the other, the last one after an *and*; more than four are counted.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [all @ .., last] if names.len() <= 4 => format!("{} and {last}", all.join(", ")),
        [first, second, ..] => format!("{first}, {second} and {} others", names.len() - 2),
    }
}

/// Why nothing can be shown over time.
fn no_timeline() -> String {
    "no finished trial was recorded over time".to_owned()
}

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart {
    /// What it shows, as a finding.
    pub title: String,
    /// How its figures came about.
    pub kind: &'static str,
    /// How to read it, in a sentence or two.
    pub reading: &'static str,
    /// What a reader who cannot see it has to know.
    pub alternative: String,
    /// The picture, in one way or in several to choose from.
    pub views: Vec<View>,
    /// What is drawn in the colours of series, in their order.
    pub series: Vec<String>,
    /// Its figures: headings, then rows.
    pub table: (Vec<String>, Vec<Vec<String>>),
}

/// One way to draw a chart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    /// What tells it from the others, such as `logarithmic`.
    pub label: String,
    /// Plots.
    pub panels: Vec<Panel>,
    /// How many stand beside each other.
    pub columns: usize,
}

/// One plot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Panel {
    /// Its height with everything around it, px.
    pub height: u32,
    pub x: Axis,
    /// Its label is written above the plot.
    pub y: Axis,
    /// What is drawn, from the back to the front.
    pub marks: Vec<Mark>,
    /// The points that a reader can point at, by series.
    pub tracks: Tracks,
    /// Where series end, for their names.
    pub ends: Vec<(usize, f64)>,
    /// The columns of a heat map: from, to, and counts by bucket of latency.
    pub cells: Vec<Column>,
}

/// Places, x and y in the units of the axes.
pub type Points = Vec<(f64, f64)>;

/// The points of each series.
pub type Tracks = Vec<(usize, Points)>;

/// A column of a heat map: from, to, and counts by bucket of latency.
pub type Column = (f64, f64, Vec<(u8, u32)>);

impl View {
    /// Panels below each other.
    pub fn new(label: &str, panels: Vec<Panel>) -> Self {
        Self { label: label.to_owned(), panels, columns: 1 }
    }
}

impl Panel {
    /// An empty one.
    pub fn new(height: u32, x: Axis, y: Axis) -> Self {
        let (marks, tracks, ends, cells) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { height, x, y, marks, tracks, ends, cells }
    }

    /// Draws something of a series in its colour.
    pub fn mark(&mut self, series: usize, shape: Shape) {
        self.marks.push(Mark { series: Some(series), ink: Ink::Series(series), shape });
    }

    /// Draws the line of a series, which can be pointed at; with its name behind the end.
    pub fn line(&mut self, series: usize, points: &[(f64, f64)], is_named: bool) {
        let points = sample::thinned(points, sample::MOST_POINTS);
        if let Some((_, y)) = points.last().filter(|_| is_named && series < SHOWN_SERIES) {
            self.ends.push((series, *y));
        }
        self.tracks.push((series, points.clone()));
        self.mark(series, Shape::Line(points));
    }

    /// Draws a marker of a series at each point, which can be pointed at.
    pub fn dots(&mut self, series: usize, points: Vec<(f64, f64)>, marker: Marker) {
        self.tracks.push((series, points.clone()));
        self.mark(series, Shape::Dots(points, marker));
    }
}

impl Mark {
    /// One that goes with no series.
    pub fn of(ink: Ink, shape: Shape) -> Self {
        Self { series: None, ink, shape }
    }
}

/// Something drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    /// The series that it goes with, when it is hidden.
    pub series: Option<usize>,
    pub ink: Ink,
    pub shape: Shape,
}

/// A shape, in values of the axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// A line, with the dashes of its series.
    Line(Vec<(f64, f64)>),
    /// A thin line.
    Thin(Vec<(f64, f64)>),
    /// A pale area within an outline.
    Area(Vec<(f64, f64)>),
    /// A bar between two corners.
    Bar { from: (f64, f64), to: (f64, f64) },
    /// Markers.
    Dots(Vec<(f64, f64)>, Marker),
    /// A line from foot to head, with what it means.
    RuleX(f64, String),
    /// A line across, with what it means.
    RuleY(f64, String),
    /// Words beside a point.
    Text((f64, f64), String),
}

/// The form of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Ring,
    Square,
    Diamond,
    Up,
    Down,
}

impl Marker {
    /// The marker of a series.
    pub fn of(series: usize) -> Self {
        const MARKERS: [Marker; 5] = [Marker::Circle, Marker::Square, Marker::Diamond, Marker::Up, Marker::Down];
        MARKERS[series % MARKERS.len()]
    }
}
