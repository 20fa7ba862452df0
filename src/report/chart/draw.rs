//! From a chart's panels to an SVG.

use std::fmt::Write;

use plotters::coord::Shift;
use plotters::coord::ranged1d::KeyPointHint;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, Scale};
use super::canvas::{Surface, escaped, text_width};
use super::ink::{Ink, Theme, dashes};
use super::{Mark, Marker, Panel, Shape, View};

/// What is around a picture.
pub(super) struct Frame<'a> {
    /// Size of the drawing, px; the height only where the picture has a fixed one.
    pub width: u32,
    pub height: Option<u32>,
    pub theme: Theme,
    /// Heading and the line below it, of a picture that stands alone.
    pub heading: Option<(&'a str, &'a str)>,
    /// Names of the series, for labels at the ends of their lines.
    pub names: &'a [String],
}

/// A drawn view.
pub(super) struct Picture {
    /// Elements of an SVG, without the element around them.
    pub body: String,
    /// Size of the drawing.
    pub size: (u32, u32),
    /// The plot of each panel: left, top, right, bottom.
    pub boxes: Vec<[i32; 4]>,
}

type Area = DrawingArea<Surface, Shift>;
type Failed = DrawingAreaErrorKind<std::convert::Infallible>;

const LABEL: f64 = 11.0;
const LEFT: u32 = 66;
const BOTTOM: u32 = 36;
const CAPTION: u32 = 20;
/// Room for labels behind the ends of lines.
const MOST_RIGHT: f64 = 150.0;
/// More labels than this behind lines hide each other.
const MOST_LABELS: usize = 8;

fn colour(ink: Ink) -> RGBColor {
    RGBColor(ink.code(), 0, 0)
}

fn text_style(ink: Ink, size: f64) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&colour(ink))
}

/// Draws the panels of a view below each other, or in columns.
pub(super) fn draw(view: &View, frame: &Frame<'_>) -> Picture {
    let columns = view.columns.max(1);
    let rows: Vec<&[Panel]> = view.panels.chunks(columns).collect();
    let heights = rows.iter().map(|row| row.iter().map(|panel| panel.height).max().unwrap_or(0));
    let natural: u32 = heights.clone().sum();
    let head = frame.heading.map_or(0, |(title, _)| 34 + 20 * wrapped(title, frame.width).len() as u32);
    let height = frame.height.unwrap_or(natural + head);
    let surface = Surface::new((frame.width, height), frame.theme);
    let root: Area = surface.clone().into_drawing_area();
    let mut boxes = Vec::new();
    // Plots below each other begin and end at the same places: their axes are one.
    let margins = (columns == 1).then(|| {
        let most = |of: &dyn Fn(&Panel) -> u32| view.panels.iter().map(of).max().unwrap_or(0);
        (most(&|panel| left_of(panel, frame.width)), most(&|panel| right_of(panel, frame)))
    });
    // Drawing on a string cannot fail, and neither can plotters with axes that have a length.
    let _ = (|| -> Result<(), Failed> {
        if frame.heading.is_some() {
            root.fill(&colour(Ink::Paper))?;
        }
        let (top, mut rest) = root.split_vertically(head);
        heading(&top, frame)?;
        let scale = f64::from(height.saturating_sub(head)) / f64::from(natural.max(1));
        for (row, height) in rows.iter().zip(heights) {
            let (row_area, below) = rest.split_vertically((f64::from(height) * scale) as u32);
            rest = below;
            for (panel, area) in row.iter().zip(row_area.split_evenly((1, columns))) {
                boxes.push(draw_panel(&area, panel, margins, &surface, frame)?);
            }
        }
        Ok(())
    })();
    Picture { body: surface.finish(), size: (frame.width, height), boxes }
}

fn heading(area: &Area, frame: &Frame<'_>) -> Result<(), Failed> {
    let Some((title, below)) = frame.heading else { return Ok(()) };
    let style = ("sans-serif", 16.0, FontStyle::Bold).into_font().color(&colour(Ink::Text));
    let lines = wrapped(title, frame.width);
    for (line, text) in lines.iter().enumerate() {
        area.draw(&Text::new(text.as_str(), (14, 12 + 20 * line as i32), style.clone()))?;
    }
    let small = fitting(below, f64::from(frame.width) - 28.0, LABEL);
    area.draw(&Text::new(small, (14, 14 + 20 * lines.len() as i32), text_style(Ink::Muted, LABEL)))
}

/// A title in at most two lines.
fn wrapped(title: &str, width: u32) -> Vec<String> {
    let room = f64::from(width) - 28.0;
    let mut lines = vec![String::new()];
    for word in title.split_whitespace() {
        let line = lines.last().map_or("", String::as_str);
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if text_width(&longer, 16.5) > room && !line.is_empty() && lines.len() < 2 {
            lines.push(word.to_owned());
        } else if let Some(last) = lines.last_mut() {
            *last = longer;
        }
    }
    lines.iter().map(|line| fitting(line, room, 16.5)).collect()
}

/// As much of a text as fits, with a sign where something is missing.
pub(super) fn fitting(text: &str, room: f64, size: f64) -> String {
    if text_width(text, size) <= room {
        return text.to_owned();
    }
    let mut shown = String::new();
    for c in text.chars() {
        shown.push(c);
        if text_width(&shown, size) > room - size {
            break;
        }
    }
    shown + "…"
}

fn draw_panel(
    area: &Area,
    panel: &Panel,
    margins: Option<(u32, u32)>,
    surface: &Surface,
    frame: &Frame<'_>,
) -> Result<[i32; 4], Failed> {
    let caption = fitting(&panel.y.label, f64::from(area.dim_in_pixel().0) - 16.0, LABEL);
    area.draw(&Text::new(caption, (8, 4), text_style(Ink::Muted, LABEL)))?;
    let own = || (left_of(panel, area.dim_in_pixel().0), right_of(panel, frame));
    let (left, right) = margins.unwrap_or_else(own);
    let mut chart = ChartBuilder::on(area)
        .margin_top(CAPTION + 2)
        .margin_right(right)
        .set_label_area_size(LabelAreaPosition::Left, left)
        .set_label_area_size(LabelAreaPosition::Bottom, if panel.x.label.is_empty() { 18 } else { BOTTOM })
        .build_cartesian_2d(Ruler::of(&panel.x), Ruler::of(&panel.y))?;
    let text = |axis: &Axis, tick: f64, room: f64| fitting(&axis.tick_text(tick), room, LABEL);
    let width = f64::from(area.dim_in_pixel().0.saturating_sub(left + right));
    let x_room = width / panel.x.ticks().len().max(1) as f64 - 4.0;
    chart
        .configure_mesh()
        .bold_line_style(colour(Ink::Grid))
        .light_line_style(TRANSPARENT)
        .axis_style(colour(Ink::Muted).mix(0.6))
        .label_style(text_style(Ink::Muted, LABEL))
        .axis_desc_style(text_style(Ink::Muted, LABEL))
        .set_all_tick_mark_size(3)
        .x_labels(panel.x.ticks().len() + 1)
        .y_labels(panel.y.ticks().len() + 1)
        .x_desc(panel.x.label.as_str())
        .x_label_formatter(&|tick| text(&panel.x, *tick, x_room))
        .y_label_formatter(&|tick| text(&panel.y, *tick, f64::from(left) - 10.0))
        .draw()?;
    let pixels = chart.plotting_area().get_pixel_range();
    let plot = [pixels.0.start, pixels.1.start, pixels.0.end, pixels.1.end];
    let pixel = |(x, y): (f64, f64)| chart.backend_coord(&(x, y));
    // Marks are drawn by their pixels, on the whole drawing: what is thinner than a pixel must not vanish.
    let whole = surface.clone().into_drawing_area();
    let mut open = None;
    for mark in &panel.marks {
        if open != mark.series {
            if open.is_some() {
                surface.end();
            }
            if let Some(series) = mark.series {
                surface.begin(&format!("d{series}"));
            }
            open = mark.series;
        }
        draw_mark(&whole, mark, &pixel, plot, surface)?;
    }
    if open.is_some() {
        surface.end();
    }
    end_labels(&whole, panel, &pixel, plot, surface, frame)?;
    Ok(plot)
}

/// An axis as plotters knows it.
struct Ruler {
    axis: Axis,
    ticks: Vec<f64>,
}

impl Ruler {
    fn of(axis: &Axis) -> Self {
        Self { axis: axis.clone(), ticks: axis.ticks() }
    }
}

impl Ranged for Ruler {
    type FormatOption = plotters::coord::ranged1d::DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let (from, to) = (self.axis.place(self.axis.from), self.axis.place(self.axis.to));
        let share = (self.axis.place(*value) - from) / (to - from);
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.axis.from..self.axis.to
    }
}

/// Room for the texts of the y axis.
fn left_of(panel: &Panel, width: u32) -> u32 {
    let most_named = (width * 2 / 5).clamp(LEFT, 240);
    let is_named = matches!(panel.y.scale, Scale::Names(_));
    let widths = panel.y.ticks().into_iter().map(|tick| text_width(&panel.y.tick_text(tick), LABEL));
    let widest = widths.fold(0.0, f64::max) + 12.0;
    (widest as u32).clamp(LEFT, if is_named { most_named } else { 110 })
}

/// Room for the labels behind the ends of lines.
fn right_of(panel: &Panel, frame: &Frame<'_>) -> u32 {
    let labels = panel.ends.iter().take(MOST_LABELS).filter_map(|(series, _)| frame.names.get(*series));
    let widest = labels.map(|name| text_width(name, LABEL)).fold(0.0, f64::max);
    if widest > 0.0 { (widest + 14.0).min(MOST_RIGHT) as u32 } else { 16 }
}

fn draw_mark(
    area: &Area,
    mark: &Mark,
    pixel: &impl Fn((f64, f64)) -> (i32, i32),
    plot: [i32; 4],
    surface: &Surface,
) -> Result<(), Failed> {
    let ink = colour(mark.ink);
    let [left, top, right, bottom] = plot;
    match &mark.shape {
        Shape::Line(points) => {
            surface.dash(if let Ink::Series(series) = mark.ink { dashes(series) } else { "" });
            area.draw(&PathElement::new(points.iter().map(|p| pixel(*p)).collect::<Vec<_>>(), ink.stroke_width(2)))?;
            surface.dash("");
        }
        Shape::Thin(points) => {
            area.draw(&PathElement::new(points.iter().map(|p| pixel(*p)).collect::<Vec<_>>(), ink.stroke_width(1)))?;
        }
        Shape::Area(outline) => {
            let outline: Vec<_> = outline.iter().map(|p| pixel(*p)).collect();
            area.draw(&Polygon::new(outline, ink.mix(0.3).filled()))?;
        }
        Shape::Bar { from, to } => {
            let ((x0, y0), (x1, y1)) = (pixel(*from), pixel(*to));
            // What is there is seen, however small it is.
            let (x1, y0) = (x1.max(x0 + 1), if y0 == y1 { y1 + 1 } else { y0 });
            area.draw(&Rectangle::new([(x0, y0.min(y1)), (x1, y0.max(y1))], ink.filled()))?;
        }
        Shape::Dots(points, marker) => {
            for point in points {
                draw_marker(area, pixel(*point), *marker, ink)?;
            }
        }
        Shape::RuleX(at, text) => {
            let x = pixel((*at, f64::NAN)).0;
            surface.dash("4 3");
            area.draw(&PathElement::new(vec![(x, top), (x, bottom)], ink.stroke_width(1)))?;
            surface.dash("");
            let is_right = x > i32::midpoint(left, right);
            let pos = Pos::new(if is_right { HPos::Right } else { HPos::Left }, VPos::Top);
            let style = text_style(mark.ink, LABEL).pos(pos);
            area.draw(&Text::new(text.as_str(), (if is_right { x - 4 } else { x + 4 }, top + 2), style))?;
        }
        Shape::RuleY(at, text) => {
            let y = pixel((f64::NAN, *at)).1;
            surface.dash("4 3");
            area.draw(&PathElement::new(vec![(left, y), (right, y)], ink.stroke_width(1)))?;
            surface.dash("");
            let style = text_style(mark.ink, LABEL).pos(Pos::new(HPos::Right, VPos::Bottom));
            area.draw(&Text::new(text.as_str(), (right - 4, y - 1), style))?;
        }
        Shape::Text(at, text) => {
            let (x, y) = pixel(*at);
            let pos = Pos::new(if x > i32::midpoint(left, right) { HPos::Right } else { HPos::Left }, VPos::Bottom);
            let x = if x > i32::midpoint(left, right) { x - 7 } else { x + 7 };
            area.draw(&Text::new(text.as_str(), (x, y - 3), text_style(mark.ink, LABEL).pos(pos)))?;
        }
    }
    Ok(())
}

fn draw_marker(area: &Area, (x, y): (i32, i32), marker: Marker, ink: RGBColor) -> Result<(), Failed> {
    let polygon = |corners: &[(i32, i32)]| {
        Polygon::new(corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect::<Vec<_>>(), ink.filled())
    };
    match marker {
        Marker::Circle => area.draw(&Circle::new((x, y), 4, ink.filled())),
        Marker::Ring => area.draw(&Circle::new((x, y), 4, ink.stroke_width(1))),
        Marker::Square => area.draw(&polygon(&[(-4, -4), (4, -4), (4, 4), (-4, 4)])),
        Marker::Diamond => area.draw(&polygon(&[(0, -5), (5, 0), (0, 5), (-5, 0)])),
        Marker::Up => area.draw(&polygon(&[(0, -5), (5, 4), (-5, 4)])),
        Marker::Down => area.draw(&polygon(&[(0, 5), (-5, -4), (5, -4)])),
    }
}

/// The names of series behind the ends of their lines, moved apart where they would hide each other.
fn end_labels(
    area: &Area,
    panel: &Panel,
    pixel: &impl Fn((f64, f64)) -> (i32, i32),
    plot: [i32; 4],
    surface: &Surface,
    frame: &Frame<'_>,
) -> Result<(), Failed> {
    const LINE: i32 = 13;
    let mut labels: Vec<(usize, i32)> =
        panel.ends.iter().take(MOST_LABELS).map(|(series, y)| (*series, pixel((f64::NAN, *y)).1)).collect();
    labels.sort_by_key(|label| label.1);
    for at in 1..labels.len() {
        labels[at].1 = labels[at].1.max(labels[at - 1].1 + LINE);
    }
    // Those that were pushed below the plot push the others up again.
    let mut most = plot[3] + 4;
    for label in labels.iter_mut().rev() {
        label.1 = label.1.min(most);
        most = label.1 - LINE;
    }
    for (series, y) in labels {
        let Some(name) = frame.names.get(series) else { continue };
        let name = fitting(name, MOST_RIGHT - 14.0, LABEL);
        let style = text_style(Ink::Series(series), LABEL).pos(Pos::new(HPos::Left, VPos::Center));
        surface.begin(&format!("d{series}"));
        area.draw(&Text::new(name, (plot[2] + 8, y), style))?;
        surface.end();
    }
    Ok(())
}

/// An SVG document around a picture, for a page or to stand alone.
pub(super) fn document(picture: &Picture, title: &str, description: &str, id: Option<&str>, scale: f64) -> String {
    let (width, height) = picture.size;
    let mut out = String::from("<svg ");
    let _ = match id {
        Some(id) => write!(
            out,
            "id=\"{id}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"system-ui,'DejaVu Sans',sans-serif\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            escaped(title),
            escaped(description)
        ),
        None => write!(
            out,
            "xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{:.0}\" height=\"{:.0}\" viewBox=\"0 0 {width} \
             {height}\" font-family=\"'DejaVu Sans',sans-serif\"><title>{}</title><desc>{}</desc>",
            f64::from(width) * scale,
            f64::from(height) * scale,
            escaped(title),
            escaped(description)
        ),
    };
    out + &picture.body + "</svg>"
}
