//! A page that holds everything: verdict, tables, charts, configurations, in one file that asks for no other.
//!
//! Text of results reaches the page in two ways only, both of which escape: maud's splices, and the writer of charts. The whole is
//! passed once more through [`printable_lines`], so that no character steers a terminal or reorders text. Scripts and styles are our
//! own; the page's policy names their hashes and forbids everything else.

mod data;
mod figures;
mod manifest;
mod sections;
mod summary;

pub use manifest::utc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::Book;
use super::chart::{Context, style_sheet};
use super::verdict::{Verdict, verdict};
use crate::result::printable_lines;
use figures::Figures;

const SCRIPT: &str = include_str!("script.js");
const STYLE: &str = include_str!("style.css");

/// What a page holds beside results.
#[derive(Debug, Clone, Default)]
pub struct PageOptions {
    /// When it was made, as a comment; none for the same page each time.
    pub made: Option<String>,
    /// Whether folders of users stay as they are.
    pub include_host: bool,
    /// The result files, in the order of the results.
    pub files: Vec<ResultFile>,
    /// Configurations in Flink's words.
    pub configurations: Vec<FlinkConfiguration>,
}

/// The file that a result is from.
#[derive(Debug, Clone)]
pub struct ResultFile {
    /// Its name, without folders.
    pub name: String,
    /// Whether it lies beside the page, so that the page can link it.
    pub is_beside: bool,
}

/// A configuration as Flink's file.
#[derive(Debug, Clone)]
pub struct FlinkConfiguration {
    /// Its name.
    pub name: String,
    /// The lines of the file, or why there are none.
    pub file: Result<String, String>,
}

/// The page of some results.
pub fn page(book: &Book<'_>, options: &PageOptions) -> String {
    let context = Context { book };
    let figures = Figures::of(&context);
    let verdict = verdict(book);
    let style = format!("{}{STYLE}", style_sheet());
    let sections = sections::sections(book, options, &figures);
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy(&style));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content=(concat!("statebench ", env!("CARGO_PKG_VERSION")));
                title { (book.title()) " · statebench" }
                style { (PreEscaped(&style)) }
                @if let Some(made) = &options.made { (comment(made)) }
            }
            body {
                a.skip href="#verdict" { "Skip to the verdict" }
                div.page {
                    header {
                        div {
                            h1 { (book.title()) }
                            @for about in abouts(book) { p.about { (about) } }
                        }
                    }
                    main {
                        (verdict_card(&verdict))
                        nav aria-label="Sections" {
                            ul { @for section in &sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                        }
                        @for section in &sections {
                            section id=(section.id) aria-labelledby={ (section.id) "-h" } {
                                h2 id={ (section.id) "-h" } {
                                    (section.title)
                                    a.anchor href={ "#" (section.id) } aria-label={ "Link to " (section.title) } { "¶" }
                                }
                                (section.content)
                            }
                        }
                    }
                    footer {
                        p {
                            "Made by statebench " (env!("CARGO_PKG_VERSION"))
                            ". Every figure is measured, modelled or configured, and says which; all of them are in the result "
                            (if options.files.len() > 1 { "files" } else { "file" }) "."
                        }
                    }
                }
                script type="application/json" id="sb-data" { (PreEscaped(figures.data())) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    let text = whole.into_string();
    let text = if options.include_host { text } else { without_users(&text) };
    printable_lines(&text) + "\n"
}

/// What the page may do: run our script, be styled by our sheet, and nothing else.
fn policy(style: &str) -> String {
    let hash = |text: &str| BASE64.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(style)
    )
}

/// A comment; nothing in it can end it.
fn comment(text: &str) -> Markup {
    let inner: String =
        text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | ':' | '-' | '.')).collect();
    PreEscaped(format!("<!-- {} -->", inner.replace("--", "-")))
}

/// What the jobs stand for.
fn abouts<'a>(book: &'a Book<'_>) -> Vec<&'a str> {
    let mut abouts: Vec<_> =
        book.entries.iter().filter_map(|entry| entry.result.description.as_deref()).map(str::trim).collect();
    abouts.dedup();
    abouts
}

fn verdict_card(verdict: &Verdict) -> Markup {
    html! {
        section.verdict.bad[verdict.is_bad] id="verdict" aria-labelledby="verdict-h" {
            h2 id="verdict-h" { "Verdict" }
            @for sentence in &verdict.sentences { p { (sentence) } }
            @if !verdict.badges.is_empty() {
                ul.badges { @for (class, badge) in &verdict.badges { li class=(class) { (badge) } } }
            }
        }
    }
}

/// Text without the names of users in paths to their folders.
fn without_users(text: &str) -> String {
    let homes = ["/home/", "/Users/", "\\Users\\"];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, home)) = homes.iter().filter_map(|home| Some((rest.find(home)?, *home))).min() {
        let (before, behind) = (&rest[..at], &rest[at + home.len()..]);
        let name = behind.find(|c: char| !(c.is_alphanumeric() || "._-+".contains(c))).unwrap_or(behind.len());
        out.push_str(before);
        out.push('~');
        rest = &behind[name..];
    }
    out + rest
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod own {
    use super::*;

    #[test]
    fn names_of_users_go_from_paths() {
        let text = "a /home/joe.b-1/x.csv, C:\\Users\\Ann\\y &quot;/Users/z&quot; /home/";
        assert_eq!(without_users(text), "a ~/x.csv, C:~\\y &quot;~&quot; ~");
    }

    #[test]
    fn a_comment_cannot_be_ended_from_within() {
        assert_eq!(comment("2026-11-26 --><script>").into_string(), "<!-- 2026-11-26 -script -->");
    }

    #[test]
    fn the_script_is_small_and_asks_for_nothing() {
        assert!(SCRIPT.len() < 12_000, "{}", SCRIPT.len());
        for forbidden in
            ["fetch(", "XMLHttpRequest", "http:", "https:", "import(", "innerHTML", "eval(", "localStorage"]
        {
            assert!(!SCRIPT.contains(forbidden) && !STYLE.contains(forbidden), "{forbidden}");
        }
        assert!(!SCRIPT.contains("</") && !STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
