//! The sections of a page, in their order.

use maud::{Markup, html};

use super::figures::{Figures, table};
use super::{PageOptions, manifest, summary};
use crate::report::Book;
use crate::report::chart::Section as Charts;
use crate::report::comparison;
use crate::report::grid::{Grid, grids};
use crate::report::notes::{Note, Weight, notes};
use crate::report::verdict::unsteady;

/// A section of a page.
pub(super) struct Section {
    /// By which it is linked; stable.
    pub id: &'static str,
    pub title: &'static str,
    pub content: Markup,
}

/// All sections.
pub(super) fn sections(book: &Book<'_>, options: &PageOptions, figures: &Figures) -> Vec<Section> {
    let grids: Vec<(String, Vec<Grid>)> =
        book.entries.iter().map(|entry| (entry.label.clone(), grids(entry.result, &entry.summary))).collect();
    let of = |ids: &[&str]| tables(&grids, ids);
    let charts = |section| figures.of_section(section);
    let section = |id, title, content| Section { id, title, content };
    let mut all = vec![
        section("trust", "Can these figures be relied on?", trust(book)),
        section(
            "search",
            "The search and its proof",
            html! { (of(&["tuning-proof"])) (charts(Charts::Search)) (of(&["tuning-importance", "tuning-front", "tuning-tried"])) },
        ),
        section(
            "summary",
            "Configurations",
            html! { (summary::table(book)) (of(&["intervals"])) (charts(Charts::Summary)) (findings(book)) },
        ),
        section("compare", "Changes against the baseline", html! { (charts(Charts::Compare)) (compared(book)) }),
        section(
            "latency",
            "Latency",
            html! { (charts(Charts::Latency)) (of(&["open-loop", "jvm", "during", "accesses", "pipeline", "phases"])) },
        ),
        section("throughput", "Throughput over time", charts(Charts::Throughput)),
        section(
            "state",
            "State and memory",
            html! { (charts(Charts::State)) (of(&["memory", "cache", "growth", "timers"])) },
        ),
        section(
            "checkpoints",
            "Checkpoints and restores",
            html! { (charts(Charts::Checkpoints)) (of(&["checkpoints", "restores"])) },
        ),
        section("scaling", "Scaling", charts(Charts::Scaling)),
        section("tuning", "Settings", html! { (charts(Charts::Tuning)) (of(&["knobs"])) }),
        section("runs", "Every trial", charts(Charts::Runs)),
    ];
    // A section about what a run did not vary has nothing to say.
    all.retain(|one| one.id != "scaling" || figures.has(Charts::Scaling));
    let has_search = book.entries.iter().any(|entry| entry.result.tuning.is_some());
    all.retain(|one| one.id != "search" || has_search);
    all.push(section("config", "Configuration and circumstances", manifest::config(book, options)));
    all
}

/// Tables by what they are about.
fn tables(grids: &[(String, Vec<Grid>)], ids: &[&str]) -> Markup {
    html! {
        @for id in ids {
            @for (label, grid) in grids.iter().flat_map(|(label, grids)| grids.iter().map(move |grid| (label, grid))) {
                @if grid.id == *id {
                    details open[grid.rows.len() <= 12] {
                        summary { (title_of(grid.id)) @if !label.is_empty() { ": " (label) } }
                        (table(&grid.header, &grid.rows, grid.names))
                    }
                }
            }
        }
    }
}

fn title_of(id: &str) -> &'static str {
    match id {
        "accesses" => "State accesses (measured)",
        "during" => "p99 while something went on, and the share of events that saw it (measured)",
        "open-loop" => "Open loop: response times (measured)",
        "pipeline" => "Operators behind the first (measured)",
        "jvm" => "With a JVM's garbage collector laid over (modelled; measured where it says so)",
        "intervals" => "95 % intervals of these medians (measured)",
        "phases" => "Phases (measured)",
        "memory" => "Memory of RocksDB: budget and division (configured), use (measured)",
        "cache" => {
            "Hit rate of the block cache by its size, on the tree of the trial (measured at the present one, else modelled)"
        }
        "growth" => "State held (measured)",
        "timers" => "Timers (measured)",
        "checkpoints" => "Checkpoints (medians over all trials)",
        "restores" => "Restores (medians over all trials)",
        "knobs" => "Settings and what they do (medians)",
        "tuning-proof" => "The proof: fresh pairs, intervals by rank tests (measured; memory configured)",
        "tuning-importance" => "What each option of the winner is worth, set back alone (measured, short trials)",
        "tuning-front" => "Settings of which no other one is better in every objective",
        "tuning-tried" => "What was tried, the best first: medians measured in short trials, changes modelled",
        _ => "Table",
    }
}

/// Notes of all results, with the name of each in front where there are several.
fn all_notes(book: &Book<'_>) -> Vec<Note> {
    let of = |entry: &crate::report::book::Entry<'_>| {
        let label = entry.label.clone();
        let named = move |note: Note| match (label.is_empty(), note.text.starts_with("  ")) {
            (true, _) | (_, true) => note,
            (false, false) => Note { text: format!("{label}: {}", note.text), ..note },
        };
        notes(entry.result, &entry.summary).into_iter().map(named).collect::<Vec<_>>()
    };
    book.entries.iter().flat_map(of).collect()
}

/// Lines with a sign in front, the first few of them unfolded.
fn note_list(notes: &[&Note], sign: &str, unfolded: usize) -> Markup {
    let (first, others) = notes.split_at(notes.len().min(unfolded));
    html! {
        (lines(first, sign))
        @if !others.is_empty() {
            details {
                summary { (others.len()) " more" }
                (lines(others, sign))
            }
        }
    }
}

fn lines(notes: &[&Note], sign: &str) -> Markup {
    html! {
        ul.notes {
            @for note in notes {
                @if let Some(more) = note.text.strip_prefix("  ") { li.more { (more) } }
                @else { li { @if !sign.is_empty() { (sign) " " } (note.text) } }
            }
        }
    }
}

/// What makes figures unfit, then what they were taken with.
fn trust(book: &Book<'_>) -> Markup {
    let all = all_notes(book);
    let of = |weight: Weight| all.iter().filter(|note| note.weight == weight).collect::<Vec<_>>();
    let (problems, cautions, facts) = (of(Weight::Problem), of(Weight::Caution), of(Weight::Fact));
    let unsteady = unsteady(book);
    html! {
        @if problems.is_empty() && cautions.is_empty() && unsteady.is_empty() {
            p { "✓ All trials finished, computed the same, and were steady." }
        }
        @if !problems.is_empty() { div.problem { (note_list(&problems, "▲", 10)) } }
        @if !unsteady.is_empty() { ul.notes.caution { @for line in &unsteady { li { "! " (line) } } } }
        @if !cautions.is_empty() { div.caution { (note_list(&cautions, "!", 3)) } }
        @if !facts.is_empty() {
            details {
                summary { "Digests, timing and what the processes took: " (facts.len()) " lines" }
                (note_list(&facts, "", 10))
            }
        }
    }
}

/// What the curves of sweeps and searches for rates say.
fn findings(book: &Book<'_>) -> Markup {
    let all = all_notes(book);
    let findings: Vec<_> = all.iter().filter(|note| note.weight == Weight::Finding).collect();
    html! {
        @if !findings.is_empty() {
            details open[findings.len() <= 8] {
                summary { "What the curves say: " (findings.len()) @if findings.len() == 1 { " line" } @else { " lines" } }
                (note_list(&findings, "", 10))
            }
        }
    }
}

/// The whole comparison, as `statebench compare` prints it.
fn compared(book: &Book<'_>) -> Markup {
    let Ok(comparisons) = &book.comparisons else { return html! {} };
    html! {
        @for (label, compared) in comparisons {
            @let (header, rows) = comparison::rows(compared);
            details {
                summary { "All that was compared" @if !label.is_empty() { ": " (label) } }
                (table(&header, &rows, 2))
                ul.notes { @for note in comparison::notes(compared) { li { (note) } } }
            }
        }
    }
}
