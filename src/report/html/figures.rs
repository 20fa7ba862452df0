//! The charts of a page with what is around them: what they find, how they are read, their figures.

use maud::{Markup, PreEscaped, html};
use serde_json::Value;

use super::data;
use crate::report::chart::{CHARTS, Chart, Context, Embedded, Kind, SHOWN_SERIES, Section, dashes_of, embed};

/// Rows of the table behind a chart; the others are in the result.
const MOST_ROWS: usize = 400;

/// A chart with what the script reads of it, or why there is nothing to draw.
type Made = Result<(Markup, Value), String>;

/// All charts of a page.
pub(super) struct Figures {
    made: Vec<(&'static Kind, Made)>,
}

impl Figures {
    pub fn of(context: &Context<'_>) -> Self {
        let make = |kind: &'static Kind| {
            let figure = (kind.make)(context).map(|chart| {
                let id = format!("chart-{}", kind.name);
                let embedded = embed(&chart, &id);
                (figure(&chart, &id, &embedded), data::chart(&chart, &id, &embedded))
            });
            (kind, figure)
        };
        Self { made: CHARTS.iter().map(make).collect() }
    }

    /// The charts of a section; of those that there is nothing for, why.
    pub fn of_section(&self, section: Section) -> Markup {
        html! {
            @for (kind, figure) in self.made.iter().filter(|(kind, _)| kind.section == section) {
                @match figure {
                    Ok((figure, _)) => (figure),
                    Err(why) => p.missing { "No chart of " (kind.about) ": " (why) "." },
                }
            }
        }
    }

    /// Whether a section has any chart.
    pub fn has(&self, section: Section) -> bool {
        self.made.iter().any(|(kind, figure)| kind.section == section && figure.is_ok())
    }

    /// What the script reads.
    pub fn data(&self) -> String {
        let charts: Vec<_> = self.made.iter().filter_map(|(_, figure)| Some(figure.as_ref().ok()?.1.clone())).collect();
        data::embedded(&charts)
    }
}

/// The series that are shown at first: the first few of each view.
fn shown_at_first(chart: &Chart) -> Vec<bool> {
    let mut shown = vec![false; chart.series.len()];
    for view in &chart.views {
        let mut of_view: Vec<usize> = Vec::new();
        let series = view.panels.iter().flat_map(|panel| &panel.marks).filter_map(|mark| mark.series);
        for series in series {
            if !of_view.contains(&series) {
                of_view.push(series);
            }
        }
        for series in of_view.into_iter().take(SHOWN_SERIES) {
            if let Some(shown) = shown.get_mut(series) {
                *shown = true;
            }
        }
    }
    shown
}

fn figure(chart: &Chart, id: &str, embedded: &Embedded) -> Markup {
    let has_toggles =
        chart.views.iter().flat_map(|view| &view.panels).any(|p| p.marks.iter().any(|m| m.series.is_some()));
    html! {
        figure id=(id) role="group" aria-labelledby={ (id) "-h" } {
            figcaption {
                h3 id={ (id) "-h" } { (chart.title) }
                p { (chart.reading) " " span.kind { "Figures: " (chart.kind) "." } }
                @if !chart.alternative.is_empty() { p { (chart.alternative) } }
            }
            @if chart.views.len() > 1 {
                fieldset.legend.views {
                    legend { "Show" }
                    @for (at, view) in chart.views.iter().enumerate() {
                        label {
                            input type="radio" class={ "v" (at) } name={ (id) "-view" } checked[at == 0];
                            (view.label)
                        }
                    }
                }
            }
            @if has_toggles && chart.series.len() > 1 { (legend(chart)) }
            @for (at, svg) in embedded.svgs.iter().enumerate() {
                div class={ "plot p" (at) } tabindex="0" role="region" aria-label={ (chart.title) ", " (label_of(chart, at)) } {
                    (PreEscaped(svg))
                }
            }
            details {
                summary { "Data" }
                (table(&chart.table.0, &chart.table.1, 1))
            }
        }
    }
}

fn label_of(chart: &Chart, view: usize) -> &str {
    chart.views.get(view).map(|view| view.label.as_str()).filter(|label| !label.is_empty()).unwrap_or("chart")
}

fn legend(chart: &Chart) -> Markup {
    let shown = shown_at_first(chart);
    html! {
        fieldset.legend {
            legend { "Series" }
            @for (at, name) in chart.series.iter().enumerate() {
                label {
                    input type="checkbox" class={ "s" (at) } checked[shown.get(at).copied().unwrap_or(false)];
                    (PreEscaped(dashes_of(at)))
                    (name)
                }
            }
        }
    }
}

/// A table with so many columns of names in front.
pub(super) fn table(header: &[String], rows: &[Vec<String>], names: usize) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table" {
            table {
                thead { tr { @for (at, heading) in header.iter().enumerate() { th.n[at < names] scope="col" { (heading) } } } }
                tbody {
                    @for row in rows.iter().take(MOST_ROWS) {
                        tr { @for (at, cell) in row.iter().enumerate() { td.n[at < names || is_text(cell)] { (cell) } } }
                    }
                }
            }
        }
        @if rows.len() > MOST_ROWS {
            p.missing { (rows.len() - MOST_ROWS) " more rows are in the result file." }
        }
    }
}

/// Whether a cell is words, which stand to the left.
fn is_text(cell: &str) -> bool {
    cell.len() > 14 && cell.starts_with(|c: char| c.is_alphabetic())
}
