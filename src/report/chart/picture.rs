//! A chart as a picture that stands alone, and as part of a page.

use super::draw::{Frame, document, draw};
use super::ink::{Ink, dashes};
use super::{CHARTS, Chart, Context, MOST_SERIES, Theme};
use crate::report::Book;
use crate::workload::nearest;

/// The font of pictures: DejaVu Sans with the letters of European languages; its licence lies beside it.
static FONT: &[u8] = include_bytes!("font/DejaVuSans-subset.ttf");

/// Size of a picture, px: 16 : 9, large enough for a slide.
const PICTURE: (u32, u32) = (800, 450);
/// How much larger an SVG is shown than it is drawn: 1200 px wide.
const SHOWN: f64 = 1.5;
/// Pixels of a PNG for each of an SVG.
const PIXELS: f32 = 2.0;
/// Width of a chart on a page, px of its drawing.
const EMBEDDED: u32 = 720;

/// Why a chart cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// There is no chart of that name.
    #[error("there is no chart `{name}`{}; there are {}", near.map_or_else(String::new, |near| format!("; did you mean `{near}`?")), known.join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The one that is spelled most like it.
        near: Option<&'static str>,
        /// The names that there are.
        known: Vec<&'static str>,
    },
    /// The results do not have what it shows.
    #[error("there is nothing to draw in the chart `{0}`: {1}")]
    Empty(&'static str, String),
    /// The picture cannot be made of pixels.
    #[error("the picture cannot be made: {0}")]
    Pixels(String),
}

/// A chart that stands alone.
pub struct Picture {
    /// As an SVG document.
    pub svg: String,
}

/// The names of all charts with what they show.
pub fn chart_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    CHARTS.iter().map(|kind| (kind.name, kind.about))
}

/// Draws a chart of results by its name.
///
/// # Errors
/// There is no chart of that name, or nothing to draw in it.
pub fn chart_picture(book: &Book<'_>, name: &str, theme: Theme) -> Result<Picture, ChartError> {
    let Some(kind) = CHARTS.iter().find(|kind| kind.name == name) else {
        let known = CHARTS.iter().map(|kind| kind.name);
        let near = nearest(name, known.clone());
        let near = known.clone().find(|known| Some(*known) == near);
        return Err(ChartError::Unknown { name: crate::result::printable(name), near, known: known.collect() });
    };
    let chart = (kind.make)(&Context { book }).map_err(|why| ChartError::Empty(kind.name, why))?;
    Ok(chart.picture(&book.title(), theme))
}

impl Chart {
    /// The first view with a heading, on a background of its own.
    fn picture(&self, of: &str, theme: Theme) -> Picture {
        let below = format!("{of} · {}", self.kind);
        let frame = Frame {
            width: PICTURE.0,
            height: Some(PICTURE.1),
            theme,
            heading: Some((&self.title, &below)),
            names: &self.series,
        };
        let Some(view) = self.views.first() else { return Picture { svg: String::new() } };
        let picture = draw(view, &frame);
        Picture { svg: document(&picture, &self.title, &self.spoken(), None, SHOWN) + "\n" }
    }

    /// What is said to those who cannot see it: how it is read, and its figures where they are few.
    pub fn spoken(&self) -> String {
        const MOST_ROWS: usize = 8;
        let (header, rows) = &self.table;
        let cell = |(heading, cell): (&String, &String)| format!("{heading} {cell}");
        let row = |row: &Vec<String>| header.iter().zip(row).map(cell).collect::<Vec<_>>().join(", ");
        let mut told: Vec<_> = rows.iter().take(MOST_ROWS).map(row).collect();
        if rows.len() > MOST_ROWS {
            told.push(format!("and {} more rows in the table", rows.len() - MOST_ROWS));
        }
        if !self.alternative.is_empty() {
            told.push(self.alternative.clone());
        }
        format!("{}. {}", self.title, told.join("; "))
    }
}

impl Picture {
    /// The same in pixels: a PNG of twice the size.
    ///
    /// # Errors
    /// The SVG is none that a renderer takes.
    pub fn png(&self) -> Result<Vec<u8>, ChartError> {
        use resvg::{tiny_skia, usvg};
        let pixels = |why: &dyn std::fmt::Display| ChartError::Pixels(why.to_string());
        let mut options = usvg::Options { font_family: "DejaVu Sans".to_owned(), ..usvg::Options::default() };
        options.fontdb_mut().load_font_data(FONT.to_vec());
        let tree = usvg::Tree::from_str(&self.svg, &options).map_err(|error| pixels(&error))?;
        let size = tree.size();
        let (width, height) = ((size.width() * PIXELS) as u32, (size.height() * PIXELS) as u32);
        let mut pixmap = tiny_skia::Pixmap::new(width, height).ok_or_else(|| pixels(&"it has no size"))?;
        resvg::render(&tree, tiny_skia::Transform::from_scale(PIXELS, PIXELS), &mut pixmap.as_mut());
        pixmap.encode_png().map_err(|error| pixels(&error))
    }
}

/// A chart's pictures for a page, one for each of its views.
pub(in crate::report) struct Embedded {
    /// SVG elements.
    pub svgs: Vec<String>,
    /// The plot of each panel of each view: left, top, right, bottom.
    pub boxes: Vec<Vec<[i32; 4]>>,
}

/// Draws a chart for a page; `id` begins the ids of its elements.
pub(in crate::report) fn embed(chart: &Chart, id: &str) -> Embedded {
    let (mut svgs, mut boxes) = (Vec::new(), Vec::new());
    for (at, view) in chart.views.iter().enumerate() {
        let frame = Frame { width: EMBEDDED, height: None, theme: Theme::Light, heading: None, names: &chart.series };
        let picture = draw(view, &frame);
        svgs.push(document(&picture, &chart.title, &chart.spoken(), Some(&format!("{id}-{at}")), 1.0));
        boxes.push(picture.boxes);
    }
    Embedded { svgs, boxes }
}

/// The style sheet that gives inks their colours by class, from variables of the theme.
pub(in crate::report) fn style_sheet() -> String {
    let variables = |theme: Theme| {
        let of = |ink: Ink| format!("--i{}:{};", ink.code(), ink.colour(theme));
        Ink::all().map(of).collect::<String>()
    };
    let class = |ink: Ink| {
        let code = ink.code();
        format!(
            ".t{code}{{stroke:var(--i{code})}}.f{code}{{fill:var(--i{code})}}.b{code}{{background:var(--i{code})}}\n"
        )
    };
    let (light, dark) = (variables(Theme::Light), variables(Theme::Dark));
    format!(
        ":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n\
         :root[data-theme=dark]{{{dark}}}\n@media print{{:root,:root[data-theme]{{{light}}}}}\n{}",
        Ink::all().map(class).collect::<String>()
    ) + &toggles()
}

/// What hides series that are not ticked, and views that are not chosen, without a script.
fn toggles() -> String {
    /// Views that can be chosen from; a matrix of more axes than that shows all of the others.
    const MOST_VIEWS: usize = 12;
    let series = (0..MOST_SERIES).map(|at| format!("figure:has(.s{at}:not(:checked)) .d{at}{{display:none}}\n"));
    let views = (0..MOST_VIEWS).map(|at| format!("figure:has(.v{at}:not(:checked)) .p{at}{{display:none}}\n"));
    series.chain(views).collect()
}

/// A short piece of a series' line with its marker, for a legend.
pub(in crate::report) fn dashes_of(series: usize) -> String {
    let ink = Ink::Series(series);
    let (code, colour, dashes) = (ink.code(), ink.colour(Theme::Light), dashes(series));
    let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
    format!(
        "<svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"t{code}\" d=\"M0 5h26\" stroke=\"{colour}\" \
         stroke-width=\"2.5\" fill=\"none\"{dashes}/></svg>"
    )
}
