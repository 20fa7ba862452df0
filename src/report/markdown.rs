//! A report for a comment or a document on a code host: verdict, tables, notes.

use std::fmt::Write;

use super::Book;
use super::comparison::{MARKDOWN_CHARS, escaped, escaped_angles};
use super::grid::grids;
use super::notes::{Weight, notes};
use super::table::Format;
use super::verdict::{unsteady, verdict};

/// Characters kept back for what follows the tables.
const END: usize = 8_000;

/// The report of some results, short enough for a comment. What does not fit is counted.
pub fn report_markdown(book: &Book<'_>) -> String {
    let verdict = verdict(book);
    let mut out = format!("## {}\n\n", escaped(&book.title()));
    for sentence in &verdict.sentences {
        let _ = writeln!(out, "**{}**\n", escaped(sentence));
    }
    let badges: Vec<_> = verdict.badges.iter().map(|(_, badge)| escaped(badge)).collect();
    let _ = writeln!(out, "{}\n", badges.join(" · "));
    let mut hidden = 0;
    for entry in &book.entries {
        if !entry.label.is_empty() {
            let _ = writeln!(out, "### {}\n", escaped(&entry.label));
        }
        for (at, grid) in grids(entry.result, &entry.summary).iter().enumerate() {
            let table = escaped_angles(&grid.table(Format::Markdown).to_string());
            // The first table is what a reader came for; the others are folded.
            let text = if at == 0 {
                format!("{table}\n\n")
            } else {
                format!("<details><summary>{}</summary>\n\n{table}\n\n</details>\n\n", grid.id)
            };
            if out.chars().count() + text.chars().count() + END > MARKDOWN_CHARS {
                hidden += 1;
            } else {
                out.push_str(&text);
            }
        }
    }
    if hidden > 0 {
        let _ = writeln!(out, "{hidden} tables do not fit here; they are in the result.\n");
    }
    let lines = book.entries.iter().flat_map(|entry| notes(entry.result, &entry.summary));
    let mut lines: Vec<_> = lines.filter(|note| note.weight != Weight::Fact).map(|note| note.text).collect();
    lines.extend(unsteady(book));
    let mut left_out = 0;
    for line in lines {
        let line = format!("- {}\n", escaped(line.trim()));
        if out.chars().count() + line.chars().count() + 100 > MARKDOWN_CHARS {
            left_out += 1;
        } else {
            out.push_str(&line);
        }
    }
    if left_out > 0 {
        let _ = writeln!(out, "- {left_out} more lines do not fit here");
    }
    out
}
