//! What an inspection looks like to people. Texts from the file are already printable.

use std::fmt::Write;
use std::path::Path;

use super::{ColumnList, ColumnPreview, Disorder, Inspection};
use crate::source::trace::time::show_time;
use crate::workload::{TimeFormat, TraceFormat};

impl ColumnList {
    /// As plain text.
    pub fn render(&self) -> String {
        let mut out = format!("{}: {}\n\n", self.file, self.format);
        let width = |title: &str, cell: fn(&ColumnPreview) -> &str| {
            self.columns.iter().map(|column| cell(column).chars().count()).fold(title.len(), usize::max)
        };
        let (names, kinds) = (width("column", |column| &column.name), width("type", |column| &column.kind));
        let mut line = |name: &str, kind: &str, samples: &str| {
            let line = format!("  {name:names$}  {kind:kinds$}  {samples}");
            let _ = writeln!(out, "{}", line.trim_end());
        };
        line("column", "type", "first values");
        for column in &self.columns {
            line(&column.name, &column.kind, &column.samples.join(", "));
        }
        out.push_str(match self.suggestion {
            Some(_) => "\nA mapping that may fit, to see rate, keys and reuse:\n",
            None => "\nNo column looks like a time; with a mapping, rate, keys and reuse are shown:\n",
        });
        let _ = writeln!(out, "  {}", self.command());
        out
    }

    /// The command that inspects the file under the suggested mapping.
    fn command(&self) -> String {
        let mut command = format!("statebench trace inspect {}", quoted(&self.file));
        if TraceFormat::of(Path::new(&self.file)) != Some(self.format) {
            let _ = write!(command, " --format {}", self.format.name());
        }
        let Some(suggestion) = &self.suggestion else {
            return command + " --time COLUMN --key COLUMN";
        };
        let _ = write!(command, " --time {}", quoted(&suggestion.time));
        if suggestion.time_format != TimeFormat::Auto {
            let _ = write!(command, " --time-format {}", suggestion.time_format);
        }
        let key = suggestion.key.as_deref().map_or_else(|| "COLUMN".to_owned(), quoted);
        let _ = write!(command, " --key {key}");
        if let Some(value) = &suggestion.value {
            let _ = write!(command, " --value {}", quoted(value));
        }
        command
    }
}

impl Inspection {
    /// As plain text.
    pub fn render(&self) -> String {
        let mut out = format!("{}: {} rows of {}", self.file, thousands(self.rows), self.format);
        if self.skipped > 0 {
            let _ = write!(out, ", {} more left out because a mapped column is empty", thousands(self.skipped));
        }
        out.push_str("\n\n");
        self.render_time(&mut out);
        self.render_keys(&mut out);
        self.render_top_keys(&mut out);
        self.render_distributions(&mut out);
        self.render_reuse(&mut out);
        out
    }

    fn render_time(&self, out: &mut String) {
        let span = show_span(self.last_ms.abs_diff(self.first_ms));
        let _ = writeln!(out, "time      {} to {} UTC ({span})", show_time(self.first_ms), show_time(self.last_ms));
        match self.disorder {
            Disorder { rows: 0, .. } => out.push_str("disorder  none: no row is earlier than one before it\n"),
            Disorder { rows, largest_ms } => {
                let (span, share) = (show_span(largest_ms), percent(rows as f64 / self.rows as f64));
                let _ =
                    writeln!(out, "disorder  {share} of the rows are earlier than one before them, by {span} at most");
                let _ = writeln!(out, "          (a workload needs disorder = \"{largest_ms} ms\")");
            }
        }
        let rate = &self.rate;
        let (mean, peak) = (number(rate.mean_per_s), number(rate.peak_per_s));
        let bucket = show_span(rate.bucket_ms.unsigned_abs());
        let _ = writeln!(out, "rate      {mean}/s on average, {peak}/s in the busiest {bucket}");
        let most = rate.buckets.iter().copied().max().unwrap_or(0).max(1);
        let bars: String = rate.buckets.iter().map(|&rows| bar(rows, most)).collect();
        let _ = writeln!(out, "          |{bars}|  a bar is {bucket}\n");
    }

    fn render_keys(&self, out: &mut String) {
        let how = match self.keys.one_in {
            1 => "counted".to_owned(),
            n => format!("estimated from one key in {n}, chosen by hash"),
        };
        let _ = writeln!(out, "keys      {} distinct ({how})", thousands(self.keys.count));
        let _ = writeln!(out, "          {} of them occur once", percent(self.one_hit_share));
        for hot in &self.hot {
            let (keys, rows) = (hot.of_keys * 100.0, percent(hot.of_rows));
            let _ = writeln!(out, "          the hottest {keys:>2.0} % of them have {rows:>7} of the rows");
        }
        if let Some(exponent) = self.zipf_exponent {
            let _ = writeln!(out, "          Zipf exponent {exponent:.2} (maximum likelihood over ranks)");
        }
        out.push('\n');
    }

    fn render_top_keys(&self, out: &mut String) {
        let header = ["hottest keys", if self.keys.one_in == 1 { "rows" } else { "rows, at least" }, "share"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(self.top_keys.iter().map(|top| vec![top.key.clone(), thousands(top.rows), percent(top.share)]));
        table(out, &rows);
        out.push('\n');
    }

    fn render_distributions(&self, out: &mut String) {
        let mut rows = vec![["", "min", "p10", "p50", "p90", "p99", "max", "mean"].map(str::to_owned).to_vec()];
        let distributions = [
            ("reuse distance, keys", self.reuse.distance.as_ref()),
            ("key length, bytes", Some(&self.key_bytes)),
            ("value", self.value.as_ref()),
            ("size, bytes", self.size.as_ref()),
        ];
        for (name, of) in distributions {
            let Some(of) = of else { continue };
            let mut row = vec![name.to_owned()];
            row.extend([of.min, of.p10, of.p50, of.p90, of.p99, of.max].map(signed));
            row.push(number(of.mean));
            rows.push(row);
        }
        table(out, &rows);
    }

    fn render_reuse(&self, out: &mut String) {
        let first = percent(self.reuse.first_share);
        if self.reuse.distance.is_none() {
            out.push_str("\nNo key comes twice, so there is no reuse distance.\n");
            return;
        }
        let how = match self.reuse.one_in {
            1 => "counted".to_owned(),
            n => format!("estimated from one key in {n}, chosen by hash (SHARDS)"),
        };
        let _ = writeln!(
            out,
            "\nReuse distance: how many other keys come between two rows of a key ({how}). An LRU cache of more keys\n\
             than that finds the key. {first} of the rows are the first of their key and have no distance.",
        );
    }
}

/// A span of time in the largest unit of which there are two.
fn show_span(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")];
    match UNITS.iter().find(|(unit, _)| ms >= 2 * unit || ms == *unit) {
        Some((unit, name)) if ms.is_multiple_of(*unit) => format!("{} {name}", ms / unit),
        Some((unit, name)) => format!("{:.1} {name}", ms as f64 / *unit as f64),
        None => format!("{ms} ms"),
    }
}

/// A count with its thousands apart.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A share with enough digits to tell small ones apart.
fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        percent if percent < 0.01 => "<0.01 %".to_owned(),
        percent if percent < 1.0 => format!("{percent:.2} %"),
        percent => format!("{percent:.1} %"),
    }
}

/// A number with about four digits.
fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{}{}", if value < 0.0 { "-" } else { "" }, thousands(v.round() as u64)),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.2e}"),
    }
}

fn signed(value: i64) -> String {
    format!("{}{}", if value < 0 { "-" } else { "" }, thousands(value.unsigned_abs()))
}

/// A name as a shell takes it for one word.
fn quoted(name: &str) -> String {
    if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/')) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

/// A bar as high as its share of the most rows; blank where there are none.
fn bar(rows: u64, most: u64) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    match rows {
        0 => ' ',
        rows => BARS[((u128::from(rows) * 8 - 1) / u128::from(most)) as usize % 8],
    }
}

/// Writes a table whose first column is flush left and whose others are flush right.
fn table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::from("  ");
        for (i, cell) in row.iter().enumerate() {
            let width = widths[i];
            let _ = if i == 0 { write!(line, "{cell:width$}") } else { write!(line, "  {cell:>width$}") };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns;
    use super::super::tests::inspect_rows;
    use super::*;

    #[test]
    fn an_inspection_reads_well() {
        let keys = ["a", "b", "a", "c\u{1b}[0m", "a", "b\u{1f}x", "a", "b"];
        let times = [0, 1000, 900, 2000, 3000, 3600, 7200, 9900];
        let rows = keys.into_iter().zip(times).enumerate();
        let inspection = inspect_rows(rows.map(|(i, (key, at))| (at, key.to_owned(), i as i64 * 700 - 1400)), 100);
        insta::assert_snapshot!(inspection.render(), @r#"
        t.csv: 8 rows of CSV

        time      1970-01-01 00:00:00 to 1970-01-01 00:00:09.900 UTC (9.9 s)
        disorder  12.5 % of the rows are earlier than one before them, by 100 ms at most
                  (a workload needs disorder = "100 ms")
        rate      0.81/s on average, 5.00/s in the busiest 200 ms
                  |█   ██    █    █  █                 █            █|  a bar is 200 ms

        keys      4 distinct (counted)
                  50.0 % of them occur once
                  the hottest  1 % of them have  50.0 % of the rows
                  the hottest 10 % of them have  50.0 % of the rows
                  the hottest 20 % of them have  50.0 % of the rows
                  Zipf exponent 1.09 (maximum likelihood over ranks)

          hottest keys  rows   share
          a                4  50.0 %
          b                2  25.0 %
          b / x            1  12.5 %
          c\u{1b}[0m       1  12.5 %

                                   min     p10  p50    p90    p99    max   mean
          reuse distance, keys       1       1    1      3      3      3   1.50
          key length, bytes          1       1    1      5      5      5   1.75
          value                 -1,400  -1,400  700  3,500  3,500  3,500  1,050

        Reuse distance: how many other keys come between two rows of a key (counted). An LRU cache of more keys
        than that finds the key. 50.0 % of the rows are the first of their key and have no distance.
        "#);
        assert!(serde_json::to_value(&inspection).unwrap()["top_keys"][0]["share"].is_number());
    }

    #[test]
    fn a_list_of_columns_reads_well_and_suggests_a_mapping() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let line = |i: u64| {
            format!("{{\"ts\": {}, \"user id\": \"u{}\", \"v\": {i}, \"x\": {i}.5}}\n", 1_700_000_000 + i, i / 2)
        };
        std::fs::write(&path, (0..5).map(line).collect::<String>()).unwrap();
        let list = ColumnList { file: "t.jsonl".to_owned(), ..columns(&path, None).unwrap() };
        insta::assert_snapshot!(list.render(), @r"
        t.jsonl: JSON Lines

          column   type        first values
          ts       an integer  1700000000, 1700000001, 1700000002
          user id  a text      u0, u1, u2
          v        an integer  0, 1, 2
          x        a decimal   0.5, 1.5, 2.5

        A mapping that may fit, to see rate, keys and reuse:
          statebench trace inspect t.jsonl --time ts --time-format epoch-s --key 'user id' --value v
        ");
        assert!(columns(&path.with_extension("log"), None).unwrap_err().is_input());
        std::fs::write(&path, "{\"a\": true}\n{\"b\": \"\\u0007\"}\n").unwrap();
        let list = ColumnList { file: "t.jsonl".to_owned(), ..columns(&path, None).unwrap() };
        insta::assert_snapshot!(list.render(), @r"
        t.jsonl: JSON Lines

          column  type       first values
          a       a boolean  true
          b       a text     \u{7}

        No column looks like a time; with a mapping, rate, keys and reuse are shown:
          statebench trace inspect t.jsonl --time COLUMN --key COLUMN
        ");
    }
}
