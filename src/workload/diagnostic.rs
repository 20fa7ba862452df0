//! What is wrong with a file, ready to be shown; and how files that a person writes are read.

use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// Files above this were not written by a person.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Characters of a line that a diagnostic shows, and how many of them before the spot where the line is longer.
const SHOWN_CHARS: usize = 120;
const SHOWN_BEFORE: usize = 40;

/// What is wrong with a file: place, message, the line with the spot marked, a suggestion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub(super) place: String,
    pub(super) message: String,
    pub(super) spot: Option<Spot>,
    pub(super) help: Option<String>,
}

/// Line number, the line, and the columns to mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    line: usize,
    text: String,
    pub(super) columns: Range<usize>,
}

impl std::error::Error for Diagnostic {}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        if let Some(Spot { line, text, columns }) = &self.spot {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            let indent: String = text.chars().take(columns.start).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let mark = "^".repeat(columns.len().max(1));
            write!(f, "\n{margin} |\n{number} | {text}\n{margin} | {indent}{mark}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

impl Diagnostic {
    /// A problem of a place that is not a spot in a file.
    pub(super) fn of_place(place: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self { place: place.to_string(), message: message.to_string(), spot: None, help: None }
    }

    /// A problem of a file as a whole.
    pub fn of_file(path: &Path, message: impl fmt::Display) -> Self {
        Self::of_place(path.display(), message)
    }

    /// A problem of the bytes `span` of a file's text; what lies outside the text is drawn to its end.
    pub fn at(path: &Path, text: &str, span: Range<usize>, message: impl fmt::Display) -> Self {
        let start = boundary(text, span.start);
        let before = &text[..start];
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |position| position + 1);
        let shown_line = text[line_start..].lines().next().unwrap_or_default();
        let column = text[line_start..start].chars().count();
        let end = boundary(text, span.end.clamp(start, (line_start + shown_line.len()).max(start)));
        let width = text.get(start..end).map_or(0, |marked| marked.chars().count());
        let place = format!("{}:{line}:{}", path.display(), column + 1);
        let (text, columns) = shown(shown_line, column..column + width);
        Self { place, message: message.to_string(), spot: Some(Spot { line, text, columns }), help: None }
    }

    /// The same with a suggestion.
    #[must_use]
    pub fn with_help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }
}

/// The last position up to `at` that parts two characters.
fn boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// A line with the columns to mark, or of a long one the part around them.
fn shown(line: &str, columns: Range<usize>) -> (String, Range<usize>) {
    if line.chars().count() <= SHOWN_CHARS {
        return (line.to_owned(), columns);
    }
    let cut = columns.start.saturating_sub(SHOWN_BEFORE);
    let before = if cut > 0 { "…" } else { "" };
    let part: String = line.chars().skip(cut).take(SHOWN_CHARS).collect();
    let after = if line.chars().count() > cut + SHOWN_CHARS { "…" } else { "" };
    let column = |column: usize| column.min(cut + SHOWN_CHARS) - cut + before.chars().count();
    (format!("{before}{part}{after}"), column(columns.start)..column(columns.end))
}

/// The folder that a file is in; the current one for a bare name.
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a text file of a kind, such as `workload file`. One that is too large is refused by its size; one that does
/// not tell its size is read no further than that.
///
/// # Errors
/// The file cannot be read, is a directory, is too large or is not UTF-8.
pub(super) fn read_text(path: &Path, kind: &str) -> Result<String, Diagnostic> {
    let of_file = |message: String| Diagnostic::of_file(path, message);
    let cannot_read = |error: std::io::Error| of_file(format!("cannot read the {kind}: {error}"));
    let metadata = std::fs::metadata(path).map_err(cannot_read)?;
    if metadata.is_dir() {
        return Err(of_file(format!("is a directory, not a {kind}")));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(of_file(format!("has {} bytes; a {kind} has at most {MAX_FILE_BYTES}", metadata.len())));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(cannot_read)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(of_file(format!("has more than {MAX_FILE_BYTES} bytes, the most that a {kind} has")));
    }
    String::from_utf8(bytes).map_err(|e| of_file(format!("is not UTF-8 text (byte {})", e.utf8_error().valid_up_to())))
}

/// The name of a file without its extension.
pub(super) fn stem_of(path: &Path) -> Option<String> {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
}
