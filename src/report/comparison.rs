//! A comparison as a table for the terminal, Markdown, CSV or JSON.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::Table;

use super::Format;
use super::table::{align, cell_text, name, significant, table, with_unit};
use crate::compare::{
    Comparison, Design, ExactComparison, ExactValue, Group, MetricComparison, Modes, Partnerless, Quantity, Verdict,
};
use crate::result::{Interleaved, METRICS, Metric, Unit, printable};
use crate::workload::Time;

/// Characters of Markdown that a comment on a code host can take.
pub(super) const MARKDOWN_CHARS: usize = 60_000;
/// Characters kept back for what follows the tables in Markdown.
const MARKDOWN_END: usize = 6_000;

/// Prints a comparison.
///
/// # Errors
/// None of ours; the type is what the JSON and CSV writers return.
pub fn render_comparison(comparison: &Comparison, format: Format) -> Result<String, Box<dyn std::error::Error>> {
    Ok(match format {
        Format::Table => text(comparison),
        Format::Markdown => markdown(comparison, MARKDOWN_CHARS),
        Format::Json => serde_json::to_string_pretty(comparison)? + "\n",
        Format::Csv => csv(comparison)?,
    })
}

/// One line of the table: a metric or an exact quantity.
struct Line {
    workload: String,
    configuration: String,
    /// Label, base, candidate, change, interval, verdict, what can be seen, trials.
    cells: [String; 8],
    verdict: Option<Verdict>,
}

const HEADER: [&str; 8] = ["metric", "base", "candidate", "change", "95 % interval", "verdict", "sees", "trials"];

fn lines(comparison: &Comparison) -> Vec<Line> {
    let of_group = |group: &Group| -> Vec<Line> {
        let configuration = configurations(group);
        let line = |verdict, cells| Line {
            workload: group.workload.clone(),
            configuration: configuration.clone(),
            cells,
            verdict,
        };
        let metrics = group.metrics.iter().map(|metric| line(metric.verdict, metric_cells(metric, comparison.design)));
        let exact = group.exact.iter().map(|exact| line(Some(exact.verdict), exact_cells(exact)));
        metrics.chain(exact).collect()
    };
    comparison.groups.iter().flat_map(of_group).collect()
}

/// The configuration of both sides, or from which to which.
pub(super) fn configurations(group: &Group) -> String {
    let (base, candidate) = (&group.base_configuration, &group.candidate_configuration);
    if base == candidate { base.clone() } else { format!("{base} → {candidate}") }
}

fn metric_cells(metric: &MetricComparison, design: Design) -> [String; 8] {
    let known = METRICS.iter().find(|known| known.name == metric.metric);
    let value = |value: Option<f64>| match (value, known) {
        (Some(value), Some(Metric { unit, .. })) => with_unit(value, *unit),
        _ => dash(),
    };
    let trials = [metric.base_values.len(), metric.candidate_values.len()];
    [
        known.map_or_else(|| metric.metric.clone(), |known| known.label.to_owned()),
        value(metric.base_median),
        value(metric.candidate_median),
        metric.change_percent.map_or_else(dash, signed_percent),
        metric
            .change_interval95_percent
            .map_or_else(dash, |[low, high]| format!("{} … {}", signed_percent(low), signed_percent(high))),
        verdict_words(metric),
        metric.detectable_percent.map_or_else(dash, |percent| format!("≥ {}", percent_text(percent))),
        match (design, trials) {
            (Design::Paired, [base, candidate]) => counted(base.min(candidate), "pair"),
            (Design::Unpaired, [base, candidate]) => format!("{base}, {candidate}"),
        },
    ]
}

fn exact_cells(exact: &ExactComparison) -> [String; 8] {
    let value = |value| match (value, exact.quantity) {
        (ExactValue::Digest(digest), _) => digest.to_string(),
        (ExactValue::Number(count), Quantity::OutOfMemoryTrials) => count.to_string(),
        (ExactValue::Number(bytes), _) => format!("{bytes} B"),
    };
    let change = match (exact.base, exact.candidate) {
        (base, candidate) if base == candidate => "equal".to_owned(),
        (ExactValue::Number(base), ExactValue::Number(candidate)) if exact.quantity != Quantity::OutOfMemoryTrials => {
            signed_bytes(i128::from(candidate) - i128::from(base))
        }
        _ => "differs".to_owned(),
    };
    let of = if exact.differing > 0 { format!(", {} of {}", exact.differing, exact.compared) } else { String::new() };
    [
        quantity_label(exact.quantity).to_owned(),
        value(exact.base),
        value(exact.candidate),
        change,
        dash(),
        format!("{} (exact{of})", verdict_word(Some(exact.verdict))),
        "any".to_owned(),
        counted(exact.compared, "value"),
    ]
}

pub(super) fn quantity_label(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::EmittedDigest => "digest of results",
        Quantity::StateDigest => "digest of state",
        Quantity::HeapCheckpointBytes => "heap checkpoint",
        Quantity::HeapStateBytes => "heap state, as a checkpoint",
        Quantity::CanonicalSavepointBytes => "canonical savepoint",
        Quantity::OutOfMemoryTrials => "trials out of memory",
    }
}

/// A word and a sign for each verdict: no reader depends on colours.
pub(super) fn verdict_word(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Regressed) => "▲ regressed",
        Some(Verdict::Improved) => "▼ improved",
        Some(Verdict::Inconclusive) => "? inconclusive",
        Some(Verdict::NoChange) => "= no change",
        None => "not judged",
    }
}

fn verdict_words(metric: &MetricComparison) -> String {
    let word = verdict_word(metric.verdict);
    match (metric.verdict, metric.threshold_percent, &metric.reason) {
        (_, _, Some(reason)) => format!("{word}: {reason}"),
        (Some(Verdict::NoChange), Some(threshold), None) => format!("{word} (±{})", percent_text(threshold)),
        _ => word.to_owned(),
    }
}

/// What is said of a metric, with its change and interval.
pub(super) fn metric_summary(metric: &MetricComparison) -> String {
    let change = metric.change_percent.map_or_else(String::new, |change| format!(" {}", signed_percent(change)));
    let interval = metric.change_interval95_percent.map_or_else(String::new, |[low, high]| {
        format!(" (95 % interval {} … {})", signed_percent(low), signed_percent(high))
    });
    format!("{}{change}{interval}: {}", metric.metric, verdict_words(metric))
}

fn dash() -> String {
    "-".to_owned()
}

/// Percent with as many digits as help.
pub(super) fn percent_text(percent: f64) -> String {
    let digits = usize::from(percent.abs() < 10.0 && (percent * 10.0).round() % 10.0 != 0.0);
    if percent.abs() < 1e6 { format!("{percent:.digits$} %") } else { format!("{percent:.1e} %") }
}

fn signed_percent(percent: f64) -> String {
    let sign = if percent < 0.0 { "−" } else { "+" };
    let percent = percent.abs();
    // Above a thousand percent a factor is easier to read.
    match percent {
        _ if sign == "+" && percent >= 900.0 => format!("{}×", significant(1.0 + percent / 100.0)),
        _ if percent < 99.95 => format!("{sign}{percent:.1} %"),
        _ => format!("{sign}{percent:.0} %"),
    }
}

fn signed_bytes(bytes: i128) -> String {
    if bytes < 0 { format!("−{} B", bytes.unsigned_abs()) } else { format!("+{bytes} B") }
}

/// The verdict of the whole in words, with the metrics that it rests on.
pub(super) fn verdict_sentence(comparison: &Comparison) -> String {
    let counts = &comparison.counts;
    let sentence = if counts.regressed > 0 {
        format!("▲ {} regressed", counted(counts.regressed, "metric"))
    } else if counts.improved > 0 {
        format!("▼ {} improved, nothing regressed", counted(counts.improved, "metric"))
    } else if counts.inconclusive > 0 {
        format!("? inconclusive: {} neither shown to change nor to stay", counted(counts.inconclusive, "metric"))
    } else {
        "= no change".to_owned()
    };
    let unpaired = if comparison.design == Design::Unpaired { " (unpaired: indicative only)" } else { "" };
    format!("{sentence}{unpaired}")
}

/// A number of things.
pub(super) fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// Counts for programs that read the last line.
fn counts_line(comparison: &Comparison) -> String {
    let counts = &comparison.counts;
    format!(
        "regressed={} improved={} inconclusive={} no-change={}",
        counts.regressed, counts.improved, counts.inconclusive, counts.no_change
    )
}

fn title(comparison: &Comparison) -> String {
    let (base, candidate) = (&comparison.base.name, &comparison.candidate.name);
    printable(&if base == candidate { base.clone() } else { format!("{base} → {candidate}") })
}

pub(super) fn text(comparison: &Comparison) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}\n{}\n", title(comparison), verdict_sentence(comparison));
    let lines = lines(comparison);
    let _ = writeln!(out, "{}\n", line_table(&lines.iter().collect::<Vec<_>>(), Format::Table));
    for note in notes(comparison) {
        let _ = writeln!(out, "{note}");
    }
    let _ = writeln!(out, "{}", counts_line(comparison));
    out
}

fn line_table(lines: &[&Line], format: Format) -> Table {
    let with_workload = lines.iter().any(|line| !line.workload.is_empty());
    let mut header = vec!["configuration"];
    if with_workload {
        header.insert(0, "workload");
    }
    let names = header.len() + 1;
    header.extend(HEADER);
    let mut table = table(format, &header);
    for line in lines {
        let mut cells = vec![name(&line.configuration, format)];
        if with_workload {
            cells.insert(0, name(&line.workload, format));
        }
        cells.extend(line.cells.iter().cloned());
        table.add_row(cells);
    }
    align(&mut table, names);
    table
}

/// The table of a comparison: headings, and rows that begin with workload and configuration.
pub(super) fn rows(comparison: &Comparison) -> (Vec<String>, Vec<Vec<String>>) {
    let header = ["workload", "configuration"].into_iter().chain(HEADER).map(str::to_owned).collect();
    let row = |line: Line| [line.workload, line.configuration].into_iter().chain(line.cells).collect();
    (header, lines(comparison).into_iter().map(row).collect())
}

/// What a reader must know beside the figures, printable.
pub(super) fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = vec![method(comparison)];
    if comparison.groups.iter().flat_map(|group| &group.metrics).any(|metric| metric.look.is_some()) {
        notes.push(
            "figures of a decided metric are those at the look that decided it, as few pairs as it took".to_owned(),
        );
    }
    notes.extend(comparison.groups.iter().flat_map(mode_notes));
    notes.extend(comparison.groups.iter().flat_map(option_notes));
    notes.extend(comparison.partnerless.iter().map(partnerless_note));
    notes.extend(comparison.warnings.iter().map(|warning| format!("warning: {}", printable(warning))));
    notes
}

fn method(comparison: &Comparison) -> String {
    let shared = match comparison.tests {
        0 => "no tests".to_owned(),
        1 => format!("1 test at α = {}", comparison.alpha),
        tests => format!("{tests} tests share α = {}", comparison.alpha),
    };
    match comparison.design {
        Design::Paired => match &comparison.interleaved {
            Some(interleaved) => interleaved_method(interleaved, &shared),
            None => format!("method: paired by repeat, signed ranks, {shared}"),
        },
        Design::Unpaired => format!(
            "method: two sessions, ranks of both samples, {shared}; a change must exceed the threshold{}",
            comparison.session_spread_percent.filter(|spread| *spread > 0.0).map_or_else(String::new, |spread| {
                format!(" and {}, what two sessions may differ by", percent_text(spread))
            })
        ),
    }
}

/// How interleaved pairs were looked at, and why there are no more.
fn interleaved_method(interleaved: &Interleaved, shared: &str) -> String {
    let Interleaved { planned_looks, looks, stopped, took_s, .. } = interleaved;
    let over = if *planned_looks > 1 { format!(" over {planned_looks} looks") } else { String::new() };
    let made: Vec<_> = looks.iter().map(u32::to_string).collect();
    let after = if made.is_empty() { String::new() } else { format!("; looked at after {} pairs", made.join(", ")) };
    let end = stopped.map_or_else(|| "it was cut short".to_owned(), |stop| stop.to_string());
    let took = Time(Duration::from_secs(took_s.clamp(0.0, 1e9).round() as u64));
    format!("method: interleaved pairs, signed ranks, {shared}{over}{after}; ended after {took}: {end}")
}

/// A configuration with the workload's choices in the matrix.
pub(super) fn in_workload(workload: &str, configuration: &str) -> String {
    if workload.is_empty() { configuration.to_owned() } else { format!("{workload} {configuration}") }
}

pub(super) fn place(group: &Group) -> String {
    in_workload(&group.workload, &configurations(group))
}

fn mode_notes(group: &Group) -> Vec<String> {
    let mut notes = Vec::new();
    for metric in &group.metrics {
        let known = METRICS.iter().find(|known| known.name == metric.metric);
        let unit = known.map_or(Unit::Factor, |known| known.unit);
        for (side, configuration, modes) in [
            ("base", &group.base_configuration, metric.base_modes),
            ("candidate", &group.candidate_configuration, metric.candidate_modes),
        ] {
            let Some(Modes { low, low_trials, high, high_trials }) = modes else { continue };
            notes.push(printable(&format!(
                "two modes: {} of the {side}'s {}: {} in {low_trials} trials, {} in {high_trials}",
                metric.metric,
                in_workload(&group.workload, configuration),
                with_unit(low, unit),
                with_unit(high, unit)
            )));
        }
    }
    notes
}

/// The options that differ; between two backends there are too many to mean anything.
fn option_notes(group: &Group) -> Vec<String> {
    let is_other_backend = group.option_changes.iter().any(|change| change.key == "state.backend.type");
    let changes = group.option_changes.iter().filter(|_| !is_other_backend);
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "not there".to_owned());
    let note = |change: &crate::compare::OptionChange| {
        let (base, candidate) = (text(&change.base), text(&change.candidate));
        printable(&format!("option {}: {}: {base} → {candidate}", place(group), change.key))
    };
    changes.map(note).collect()
}

fn partnerless_note(alone: &Partnerless) -> String {
    let place = in_workload(&alone.workload, &alone.configuration);
    let repeat = alone.repeat.map_or_else(String::new, |repeat| format!(" repeat {}", u64::from(repeat) + 1));
    printable(&format!("without partner: {place}{repeat}, in the {} only", alone.side))
}

/// For a comment of at most so many characters: what changed first, what did not folded away; a marker for a program that
/// updates its comment.
pub(super) fn markdown(comparison: &Comparison, most: usize) -> String {
    let mut out = format!("<!-- statebench:{} -->\n**{}**: ", marker(comparison), escaped(&title(comparison)));
    let _ = writeln!(out, "{}\n", verdict_sentence(comparison));
    let lines = lines(comparison);
    let quiet = |line: &Line| matches!(line.verdict, Some(Verdict::NoChange) | None);
    let (unchanged, mut telling): (Vec<_>, Vec<_>) = lines.iter().partition(|line| quiet(line));
    telling.sort_by_key(|line| line.verdict);
    let half = most.saturating_sub(MARKDOWN_END + out.chars().count()) / 2;
    let _ = write!(out, "{}", fitting_table(&telling, half));
    if !unchanged.is_empty() {
        let _ = writeln!(
            out,
            "<details><summary>{} unchanged or not judged</summary>\n",
            counted(unchanged.len(), "metric")
        );
        let _ = writeln!(out, "{}</details>\n", fitting_table(&unchanged, half));
    }
    let end = format!("\n`{}`\n", counts_line(comparison));
    let notes = notes(comparison);
    let mut hidden = 0;
    for note in &notes {
        let line = format!("- {}\n", escaped(note));
        if out.chars().count() + line.chars().count() + end.len() + 40 > most {
            hidden += 1;
        } else {
            out.push_str(&line);
        }
    }
    if hidden > 0 {
        let _ = writeln!(out, "- {hidden} more notes");
    }
    out + &end
}

/// The name by which a program finds its comment: what can neither end an HTML comment nor look like one.
fn marker(comparison: &Comparison) -> String {
    let words = title(comparison);
    let words = words.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// A table of as many lines as fit this many characters, and how many it leaves out; nothing without lines.
fn fitting_table(lines: &[&Line], most: usize) -> String {
    let mut shown = lines.len();
    while shown > 0 {
        let table = escaped_angles(&line_table(&lines[..shown], Format::Markdown).to_string());
        let hidden = lines.len() - shown;
        let more = if hidden > 0 { format!("{hidden} more rows are left out here\n\n") } else { String::new() };
        if table.chars().count() <= most {
            return format!("{table}\n\n{more}");
        }
        shown /= 2;
    }
    String::new()
}

/// Text that a renderer of Markdown takes neither for HTML nor for emphasis, a link, code or a person's name.
pub(super) fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '`' | '*' | '[' | ']' | '\\' | '|' => out.extend(['\\', c]),
            _ => out.push(c),
        }
        out
    })
}

/// The same for a table that is written already, whose bars are its own.
pub(super) fn escaped_angles(table: &str) -> String {
    let escapes =
        [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('@', "&#64;"), ('[', "\\["), (']', "\\]"), ('`', "\\`")];
    escapes.iter().fold(table.to_owned(), |text, (c, escape)| text.replace(*c, escape))
}

fn csv(comparison: &Comparison) -> Result<String, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "workload",
        "base_configuration",
        "candidate_configuration",
        "metric",
        "base",
        "candidate",
        "base_trials",
        "candidate_trials",
        "change_percent",
        "change_low95_percent",
        "change_high95_percent",
        "p_regressed",
        "p_improved",
        "threshold_percent",
        "detectable_percent",
        "verdict",
        "reason",
    ])?;
    for group in &comparison.groups {
        let names = [&group.workload, &group.base_configuration, &group.candidate_configuration];
        for figures in group.metrics.iter().map(metric_record).chain(group.exact.iter().map(exact_record)) {
            // Figures and words of ours are no formulas, but a negative number would be taken for one.
            let record: Vec<_> = names.iter().map(|name| cell_text(name)).chain(figures).collect();
            writer.write_record(&record)?;
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn metric_record(metric: &MetricComparison) -> [String; 14] {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let interval = metric.change_interval95_percent;
    [
        metric.metric.clone(),
        number(metric.base_median),
        number(metric.candidate_median),
        metric.base_values.len().to_string(),
        metric.candidate_values.len().to_string(),
        number(metric.change_percent),
        number(interval.map(|interval| interval[0])),
        number(interval.map(|interval| interval[1])),
        number(metric.p_regressed),
        number(metric.p_improved),
        number(metric.threshold_percent),
        number(metric.detectable_percent),
        verdict_name(metric.verdict),
        metric.reason.clone().unwrap_or_default(),
    ]
}

fn exact_record(exact: &ExactComparison) -> [String; 14] {
    let value = |value| match value {
        ExactValue::Digest(digest) => digest.to_string(),
        ExactValue::Number(number) => number.to_string(),
    };
    let none = String::new;
    [
        exact.quantity.name().to_owned(),
        value(exact.base),
        value(exact.candidate),
        exact.compared.to_string(),
        exact.compared.to_string(),
        none(),
        none(),
        none(),
        none(),
        none(),
        none(),
        none(),
        verdict_name(Some(exact.verdict)),
        format!("exact: {} of {} differ", exact.differing, exact.compared),
    ]
}

pub(super) fn verdict_name(verdict: Option<Verdict>) -> String {
    verdict.map_or("not judged", Verdict::name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_short_and_signed() {
        let of = signed_percent;
        assert_eq!([of(0.04), of(-4.96), of(123.4), of(-99.99)], ["+0.0 %", "−5.0 %", "+123 %", "−100 %"]);
        assert_eq!(of(5_100.0), "52.0×");
        assert_eq!([percent_text(5.0), percent_text(2.34), percent_text(12.34)], ["5 %", "2.3 %", "12 %"]);
        assert_eq!([signed_bytes(-3), signed_bytes(0)], ["−3 B", "+0 B"]);
    }

    #[test]
    fn markdown_keeps_names_as_text() {
        assert_eq!(
            escaped("<img src=x onerror=1> @a `b` [c](d)"),
            "&lt;img src=x onerror=1&gt; &#64;a \\`b\\` \\[c\\](d)"
        );
    }
}
