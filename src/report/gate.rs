//! A gate's decision for people, for code hosts and for build servers.

use std::fmt::Write;

use super::Format;
use super::comparison::{
    MARKDOWN_CHARS, escaped_angles, in_workload, markdown, metric_summary, place, quantity_label, text, verdict_name,
    verdict_word,
};
use super::table::{align, name, table, with_unit};
use crate::compare::{Comparison, Group, MetricComparison, Verdict};
use crate::gate::{Decision, Gate, LimitCheck};
use crate::result::{METRICS, printable};

/// Annotations of one kind that a code host shows of a step.
const MOST_ANNOTATIONS: usize = 10;
/// Limits that a comment shows.
const MOST_LIMITS: usize = 40;

/// How a gate is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum GateFormat {
    /// For people, on a terminal
    Table,
    /// For a comment or a step summary
    Markdown,
    /// For programs
    Json,
    /// JUnit's XML, for build servers: one test case for each metric
    Junit,
    /// GitHub's annotations: one line for each workload and configuration
    Github,
}

/// Prints a gate.
///
/// # Errors
/// None of ours; the type is what the JSON writer returns.
pub fn render_gate(gate: &Gate, format: GateFormat) -> Result<String, serde_json::Error> {
    Ok(match format {
        GateFormat::Table => {
            format!("{}\n\n{}{}", gate_decision(gate), limits(gate, Format::Table), text(&gate.comparison))
        }
        GateFormat::Markdown => markdown_of(gate),
        GateFormat::Json => serde_json::to_string_pretty(gate)? + "\n",
        GateFormat::Junit => junit(gate),
        GateFormat::Github => annotations(gate),
    })
}

/// The decision in words.
pub fn gate_decision(gate: &Gate) -> String {
    let broken = gate.limits.iter().filter(|limit| !limit.is_kept).count();
    let counts = &gate.comparison.counts;
    match gate.decision {
        Decision::Passed if counts.inconclusive > 0 => format!("gate passed, {} inconclusive", counts.inconclusive),
        Decision::Passed => "gate passed".to_owned(),
        Decision::Failed if broken > 0 => format!("gate failed: {} regressed, {broken} past a limit", counts.regressed),
        Decision::Failed => format!("gate failed: {} regressed", counts.regressed),
        Decision::Inconclusive => format!("gate inconclusive: {} of its metrics", counts.inconclusive),
    }
}

/// The table of absolute limits, those that are passed first, with an empty line behind it; nothing where there are none.
fn limits(gate: &Gate, format: Format) -> String {
    let mut limits: Vec<_> = gate.limits.iter().collect();
    limits.sort_by_key(|limit| limit.is_kept);
    let hidden = if format == Format::Markdown { limits.len().saturating_sub(MOST_LIMITS) } else { 0 };
    limits.truncate(limits.len() - hidden);
    if limits.is_empty() {
        return String::new();
    }
    let mut table = table(format, &["limit of", "metric", "value", "limit", "kept"]);
    for limit in limits {
        let [value, bound] = limit_values(limit);
        let place = name(&in_workload(&limit.workload, &limit.configuration), format);
        let place = if format == Format::Markdown { escaped_angles(&place) } else { place };
        let kept = match (limit.is_kept, limit.value) {
            (false, _) => "▲ no",
            (true, Some(_)) => "= yes",
            (true, None) => "? not measured",
        };
        table.add_row([place, limit.metric.clone(), value, bound, kept.to_owned()]);
    }
    align(&mut table, 2);
    let more = if hidden > 0 { format!("{hidden} more limits are left out here\n\n") } else { String::new() };
    format!("{table}\n\n{more}")
}

/// Value and limit with their unit.
fn limit_values(limit: &LimitCheck) -> [String; 2] {
    let known = METRICS.iter().find(|metric| metric.name == limit.metric);
    let text = |value: f64| known.map_or_else(|| value.to_string(), |metric| with_unit(value, metric.unit));
    [limit.value.map_or_else(|| "-".to_owned(), text), text(limit.limit)]
}

fn markdown_of(gate: &Gate) -> String {
    let head = format!("**{}**\n\n{}", gate_decision(gate), limits(gate, Format::Markdown));
    let comparison = markdown(&gate.comparison, MARKDOWN_CHARS.saturating_sub(head.chars().count()));
    // The marker by which a program finds its comment stays the first line.
    let (marker, rest) = comparison.split_once('\n').unwrap_or(("", &comparison));
    format!("{marker}\n{head}{rest}")
}

/// What a test case of JUnit or an annotation tells of one metric, limit or exact quantity.
struct Finding {
    name: String,
    verdict: Option<Verdict>,
    message: String,
}

fn findings(gate: &Gate, group: &Group) -> Vec<Finding> {
    let is_gated = |metric: &&MetricComparison| metric.verdict.is_some() || gate.metrics.contains(&metric.metric);
    let metrics = group.metrics.iter().filter(is_gated).map(|metric| Finding {
        name: metric.metric.clone(),
        verdict: metric.verdict,
        message: metric_summary(metric),
    });
    let exact = group.exact.iter().map(|exact| {
        let label = quantity_label(exact.quantity);
        let message = format!("{label}: {} of {} values differ", exact.differing, exact.compared);
        Finding { name: label.to_owned(), verdict: Some(exact.verdict), message }
    });
    let of_group = |limit: &&LimitCheck| {
        (&limit.workload, &limit.configuration) == (&group.workload, &group.candidate_configuration)
    };
    let limits = gate.limits.iter().filter(of_group).map(|limit| {
        let [value, bound] = limit_values(limit);
        let verdict = if limit.is_kept { Verdict::NoChange } else { Verdict::Regressed };
        let message = format!("{} is {value}, its limit {bound}", limit.metric);
        Finding { name: format!("limit of {}", limit.metric), verdict: Some(verdict), message }
    });
    metrics.chain(exact).chain(limits).collect()
}

fn junit(gate: &Gate) -> String {
    let groups: Vec<_> = gate.comparison.groups.iter().map(|group| (group, findings(gate, group))).collect();
    let is_failure = |finding: &Finding| finding.verdict.is_some_and(|verdict| gate.is_failure(verdict));
    let failures = |findings: &[Finding]| findings.iter().filter(|finding| is_failure(finding)).count();
    let is_skipped =
        |finding: &Finding| !is_failure(finding) && matches!(finding.verdict, Some(Verdict::Inconclusive) | None);
    let tests: usize = groups.iter().map(|(_, findings)| findings.len()).sum();
    let failed: usize = groups.iter().map(|(_, findings)| failures(findings)).sum();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let took_s: f64 = groups.iter().map(|(group, _)| group.took_s).sum();
    let _ = writeln!(
        out,
        "<testsuites name=\"statebench\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" time=\"{took_s:.3}\">"
    );
    for (group, findings) in &groups {
        let suite = xml(&format!("{} {}", gate.comparison.candidate.name, place(group)));
        let class = format!("{}.{}", gate.comparison.candidate.name.replace('.', "-"), place(group).replace('.', "-"));
        let _ = writeln!(
            out,
            "  <testsuite name=\"{suite}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{:.3}\">",
            findings.len(),
            failures(findings),
            findings.iter().filter(|finding| is_skipped(finding)).count(),
            group.took_s
        );
        properties(&gate.comparison, group, &mut out);
        // One trial gives all of its metrics: each has an equal part of the time.
        let time = group.took_s / findings.len().max(1) as f64;
        for finding in findings {
            let message = xml(&finding.message);
            let outcome = match finding.verdict {
                _ if is_failure(finding) => {
                    let kind = verdict_name(finding.verdict);
                    format!("\n      <failure type=\"{kind}\" message=\"{message}\"/>\n    ")
                }
                _ if is_skipped(finding) => format!("\n      <skipped message=\"{message}\"/>\n    "),
                _ => String::new(),
            };
            let _ = writeln!(
                out,
                "    <testcase classname=\"statebench.{}\" name=\"{}\" time=\"{time:.3}\">{outcome}</testcase>",
                xml(&class),
                xml(&finding.name)
            );
        }
        let _ = writeln!(out, "  </testsuite>");
    }
    out + "</testsuites>\n"
}

/// The figures of a group's metrics.
fn properties(comparison: &Comparison, group: &Group, out: &mut String) {
    let _ = writeln!(out, "    <properties>");
    let mut property = |name: &str, value: &str| {
        let _ = writeln!(out, "      <property name=\"{name}\" value=\"{value}\"/>");
    };
    property("test_alpha", &comparison.test_alpha.to_string());
    for metric in &group.metrics {
        for (figure, value) in [
            ("base_median", metric.base_median),
            ("candidate_median", metric.candidate_median),
            ("change_percent", metric.change_percent),
            ("p_regressed", metric.p_regressed),
            ("detectable_percent", metric.detectable_percent),
        ] {
            if let Some(value) = value {
                property(&format!("{}.{figure}", xml(&metric.metric)), &value.to_string());
            }
        }
    }
    let _ = writeln!(out, "    </properties>");
}

/// Text in an attribute; what XML cannot hold at all is escaped as it is for a terminal.
fn xml(text: &str) -> String {
    let escapes = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&apos;")];
    let text = printable(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    escapes.iter().fold(text, |text, (c, escape)| text.replace(*c, escape))
}

/// One line for each workload and configuration: an error where it regressed, else a warning where it is inconclusive, else a
/// notice where it improved; and one that sums up.
fn annotations(gate: &Gate) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    let file = gate.workload_file.as_deref();
    for group in &gate.comparison.groups {
        let findings = findings(gate, group);
        for (verdict, kind) in
            [(Verdict::Regressed, "error"), (Verdict::Inconclusive, "warning"), (Verdict::Improved, "notice")]
        {
            let of_kind = findings.iter().filter(|finding| finding.verdict == Some(verdict));
            let messages: Vec<_> = of_kind.map(|finding| finding.message.clone()).collect();
            if !messages.is_empty() {
                let title = format!("{}: {}", place(group), verdict_word(Some(verdict)));
                lines.push((kind, annotation(kind, &title, file, &messages.join("; "))));
                break;
            }
        }
    }
    lines.extend(
        gate.comparison.warnings.iter().map(|warning| ("warning", annotation("warning", "statebench", None, warning))),
    );
    let kind = match gate.decision {
        Decision::Passed => "notice",
        Decision::Failed | Decision::Inconclusive => "error",
    };
    let mut shown = [0; 3];
    let mut hidden = 0;
    let mut out = String::new();
    for (kind_of_line, line) in lines {
        let index = ["error", "warning", "notice"].iter().position(|known| *known == kind_of_line).unwrap_or(0);
        // One place is kept for the line that sums up.
        if shown[index] + 1 < MOST_ANNOTATIONS {
            shown[index] += 1;
            let _ = writeln!(out, "{line}");
        } else {
            hidden += 1;
        }
    }
    let more = if hidden > 0 { format!("; {hidden} more lines are in the report") } else { String::new() };
    let _ = writeln!(out, "{}", annotation(kind, "statebench gate", None, &format!("{}{more}", gate_decision(gate))));
    out
}

/// A workflow command, at a file where one is named; what would end a property or the line is escaped.
fn annotation(kind: &str, title: &str, file: Option<&str>, message: &str) -> String {
    let escape = |text: &str| printable(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    let file = file.map_or_else(String::new, |file| format!("file={},", property(file)));
    format!("::{kind} {file}title={}::{}", property(title), escape(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_neither_an_attribute_nor_a_command() {
        assert_eq!(xml("a<b>&\"'\u{1}"), "a&lt;b&gt;&amp;&quot;&apos;\\u{1}");
        let of = |file| annotation("error", "a:b,c", file, "50 %\n::error::");
        assert_eq!(of(None), "::error title=a%3Ab%2Cc::50 %25\\n::error::");
        assert_eq!(of(Some("w,1.toml")), "::error file=w%2C1.toml,title=a%3Ab%2Cc::50 %25\\n::error::");
    }
}
