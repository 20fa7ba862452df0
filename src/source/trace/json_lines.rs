//! Rows of a JSON Lines file: one object a line, of which only the mapped members are looked at.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::MAX_LINE_BYTES;
use super::batch::TraceBatch;
use super::cursor::Cursor;
use super::error::{Place, TraceError, file_name, printable, printable_bytes};
use super::reader::open_file;
use crate::workload::Trace;

/// Bytes read ahead.
const BUFFER_BYTES: usize = 256 << 10;

/// The rows of a JSON Lines file.
pub(super) struct JsonRows {
    lines: Lines,
    fields: Vec<Field>,
    /// Whether a mapped column was in any row so far.
    seen: Vec<bool>,
    /// The members of the first object, for the message that a column is not there.
    first_names: Vec<String>,
    /// Texts of this row whose escapes had to be resolved.
    unescaped: String,
}

/// Where the text of a mapped member is.
#[derive(Clone)]
enum Field {
    Absent,
    /// In the line, without its quotes.
    Line(Range<usize>),
    /// In the buffer of resolved texts.
    Unescaped(Range<usize>),
    /// In the line, but an object or an array.
    Nested(Range<usize>),
}

impl JsonRows {
    pub(super) fn open(file: File, trace: &Trace) -> Self {
        let columns = trace.mapping.columns.len();
        Self {
            lines: Lines::new(file),
            fields: vec![Field::Absent; columns],
            seen: vec![false; columns],
            first_names: Vec::new(),
            unescaped: String::new(),
        }
    }

    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor,
        batch: &mut TraceBatch,
        max_rows: usize,
    ) -> Result<(), TraceError> {
        while batch.has_room(max_rows) {
            let Some((line, number)) = self.lines.next(&cursor.trace.path, cursor.row + 1)? else {
                return self.at_end(cursor);
            };
            cursor.row += 1;
            let place = Place { row: cursor.row, line: Some(number) };
            let malformed = |error: &serde_json::Error| malformed(error, &cursor.trace.path, place);
            self.fields.fill(Field::Absent);
            self.unescaped.clear();
            let columns = &cursor.trace.mapping.columns;
            let row = Row { columns, line, fields: &mut self.fields, unescaped: &mut self.unescaped };
            parse(line, row).map_err(|error| malformed(&error))?;
            if cursor.row == 1 {
                self.first_names = parse(line, Members).map_err(|error| malformed(&error))?.into_keys();
            }
            for (i, field) in self.fields.iter().enumerate() {
                if let Field::Nested(range) = field {
                    let found = &line.as_bytes()[range.clone()];
                    return Err(cursor.bad(place, i, found, "a text, a number, true, false or null"));
                }
                self.seen[i] |= !matches!(field, Field::Absent);
            }
            let (fields, unescaped) = (&self.fields, self.unescaped.as_bytes());
            let field = |i: usize| match &fields[i] {
                Field::Absent => &[][..],
                Field::Line(range) | Field::Nested(range) => &line.as_bytes()[range.clone()],
                Field::Unescaped(range) => &unescaped[range.clone()],
            };
            match cursor.push(number, field, batch) {
                // A member that no row has had yet is more likely misspelt than missing.
                Err(TraceError::MissingField { .. }) if self.seen.contains(&false) => self.at_end(cursor)?,
                result => result?,
            }
        }
        Ok(())
    }

    /// A mapped column that was in no row.
    fn at_end(&self, cursor: &Cursor) -> Result<(), TraceError> {
        let Some(never) = self.seen.iter().position(|seen| !seen).filter(|_| cursor.row > 0) else { return Ok(()) };
        let (path, names) = (&cursor.trace.path, self.first_names.iter().map(String::as_str));
        Err(TraceError::no_column(path, &cursor.trace.mapping.columns[never], names))
    }
}

/// The first rows of a file: the names of their members in order of appearance, and the texts under them.
pub(super) fn sample(path: &Path, rows: usize) -> Result<(Vec<String>, Vec<Vec<String>>), TraceError> {
    let mut lines = Lines::new(open_file(path)?);
    let (mut names, mut sampled) = (Vec::<String>::new(), Vec::new());
    while sampled.len() < rows {
        let row = sampled.len() as u64 + 1;
        let Some((line, number)) = lines.next(path, row)? else { break };
        let members = parse(line, Members);
        let members = members.map_err(|error| malformed(&error, path, Place { row, line: Some(number) }))?;
        let mut texts = vec![String::new(); names.len()];
        for (name, text) in members.0 {
            let column = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                texts.push(String::new());
                names.len() - 1
            });
            texts[column] = text;
        }
        sampled.push(texts);
    }
    for texts in &mut sampled {
        texts.resize(names.len(), String::new());
    }
    Ok((names, sampled))
}

fn parse<'de, S: DeserializeSeed<'de>>(line: &'de str, seed: S) -> serde_json::Result<S::Value> {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

fn malformed(error: &serde_json::Error, path: &Path, place: Place) -> TraceError {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    let reason = format!("not one JSON object a line: {}, at column {}", printable(what, 100), error.column());
    TraceError::Malformed { file: file_name(path), place, reason }
}

/// The lines of a file that hold something, in a reused buffer.
struct Lines {
    file: BufReader<File>,
    bytes: Vec<u8>,
    /// The line last returned, from 1.
    number: u64,
}

impl Lines {
    fn new(file: File) -> Self {
        Self { file: BufReader::with_capacity(BUFFER_BYTES, file), bytes: Vec::new(), number: 0 }
    }

    /// The next line and its number.
    fn next(&mut self, path: &Path, row: u64) -> Result<Option<(&str, u64)>, TraceError> {
        let blank = loop {
            self.bytes.clear();
            let limit = MAX_LINE_BYTES as u64 + 1;
            let read = (&mut self.file).take(limit).read_until(b'\n', &mut self.bytes);
            if read.map_err(|error| TraceError::io(path, error))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.bytes.len() as u64 == limit && !self.bytes.ends_with(b"\n") {
                let place = Place { row, line: Some(self.number) };
                return Err(TraceError::TooLong { file: file_name(path), place });
            }
            if self.number == 1 && self.bytes.starts_with(b"\xef\xbb\xbf") {
                self.bytes.drain(..3);
            }
            let blank = self.bytes.iter().take_while(|c| c.is_ascii_whitespace()).count();
            if blank < self.bytes.len() {
                break blank;
            }
        };
        let bytes = self.bytes[blank..].trim_ascii_end();
        std::str::from_utf8(bytes).map(|line| Some((line, self.number))).map_err(|error| TraceError::NotUtf8 {
            file: file_name(path),
            place: Place { row, line: Some(self.number) },
            column: String::new(),
            found: printable_bytes(&bytes[error.valid_up_to()..]),
        })
    }
}

/// Finds the mapped members of one line.
struct Row<'a> {
    columns: &'a [String],
    line: &'a str,
    fields: &'a mut [Field],
    unescaped: &'a mut String,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(column) = map.next_key_seed(ColumnName(self.columns))? {
            let Some(column) = column else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let raw = map.next_value::<&RawValue>()?.get();
            // The raw text is a part of the line: where it begins there is the distance of the two.
            let start = raw.as_ptr() as usize - self.line.as_ptr() as usize;
            self.fields[column] = if let Some(text) = raw.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
                if text.contains('\\') {
                    let from = self.unescaped.len();
                    self.unescaped.push_str(&serde_json::from_str::<String>(raw).map_err(A::Error::custom)?);
                    Field::Unescaped(from..self.unescaped.len())
                } else {
                    Field::Line(start + 1..start + 1 + text.len())
                }
            } else if raw == "null" {
                Field::Line(start..start)
            } else if raw.starts_with(['{', '[']) {
                Field::Nested(start..start + raw.len())
            } else {
                Field::Line(start..start + raw.len())
            };
        }
        Ok(())
    }
}

/// The position of a member's name among the mapped columns.
struct ColumnName<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for ColumnName<'_> {
    type Value = Option<usize>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ColumnName<'_> {
    type Value = Option<usize>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|column| column == name))
    }
}

/// Takes all members of one line.
struct Members;
struct MemberList(Vec<(String, String)>);

impl MemberList {
    fn into_keys(self) -> Vec<String> {
        self.0.into_iter().map(|(name, _)| name).collect()
    }
}

impl<'de> DeserializeSeed<'de> for Members {
    type Value = MemberList;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<MemberList, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = MemberList;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MemberList, A::Error> {
        let mut members = Vec::new();
        while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
            let text = match raw.get() {
                "null" => String::new(),
                text if text.starts_with('"') => serde_json::from_str(text).map_err(A::Error::custom)?,
                text => text.to_owned(),
            };
            members.push((name, text));
        }
        Ok(MemberList(members))
    }
}
