//! Advice as text for the terminal, Markdown or JSON.

use std::fmt::Write;

use crate::advise::{Advice, EffectKind, Figure, FigureKind, Finding, Missing, Place, Setting, Urgency};
use crate::result::printable;

/// How advice is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AdviceFormat {
    /// For people, on a terminal
    Table,
    /// For programs
    Json,
    /// For a comment or a document
    Markdown,
}

/// Names that a line lists one by one.
const MOST_NAMES: usize = 6;

/// Prints advice.
///
/// # Errors
/// None of ours; the type is what the JSON writer returns.
pub fn render_advice(advice: &Advice, format: AdviceFormat) -> Result<String, serde_json::Error> {
    Ok(match format {
        AdviceFormat::Table => text(advice),
        AdviceFormat::Markdown => markdown(advice),
        AdviceFormat::Json => serde_json::to_string_pretty(advice)? + "\n",
    })
}

fn head(advice: &Advice) -> String {
    let count = match advice.findings.len() {
        0 => "nothing to change by the figures that there are".to_owned(),
        1 => "1 finding".to_owned(),
        many => format!("{many} findings, what fails first, then by what it would bring"),
    };
    format!("advice for {}: {count}", printable(&advice.name))
}

fn text(advice: &Advice) -> String {
    let mut out = head(advice) + "\n";
    for warning in &advice.warnings {
        let _ = writeln!(out, "mind: {}", printable(warning));
    }
    for (number, finding) in (1..).zip(&advice.findings) {
        let _ = writeln!(out, "\n{number}. {} [{}]", printable(&finding.what), finding.rule);
        for (name, line) in lines(finding) {
            let _ = writeln!(out, "   {name:8}{line}");
        }
    }
    if !advice.missing.is_empty() {
        out.push('\n');
    }
    for missing in &advice.missing {
        let _ = writeln!(out, "not looked at: {}", missing_line(missing));
    }
    out
}

fn markdown(advice: &Advice) -> String {
    let escaped = |text: &str| text.replace('|', "\\|").replace('<', "\\<");
    let mut out = format!("## {}\n", escaped(&head(advice)));
    for warning in &advice.warnings {
        let _ = writeln!(out, "\n> {}", escaped(&printable(warning)));
    }
    for (number, finding) in (1..).zip(&advice.findings) {
        let _ = writeln!(out, "\n### {number}. {} (`{}`)\n", escaped(&printable(&finding.what)), finding.rule);
        for (name, line) in lines(finding) {
            let _ = writeln!(out, "- **{name}** {}", escaped(&line));
        }
    }
    if !advice.missing.is_empty() {
        out.push_str("\n### Not looked at\n\n");
    }
    for missing in &advice.missing {
        let _ = writeln!(out, "- {}", escaped(&missing_line(missing)));
    }
    out
}

/// What is told of a finding below its first line, by name; safe to print.
fn lines(finding: &Finding) -> Vec<(&'static str, String)> {
    let place =
        if finding.workload.is_empty() { String::new() } else { format!(" at {}", printable(&finding.workload)) };
    let mut lines = vec![
        ("matters", urgency(finding.urgency).to_owned()),
        ("for", format!("{}{place}", names(&finding.configurations))),
        ("why", printable(&finding.why)),
    ];
    lines.extend(finding.figures.iter().map(|one| ("figure", figure(one))));
    lines.extend(finding.settings.iter().map(|one| ("set", setting(one))));
    let effect = &finding.effect;
    let known = match &effect.kind {
        EffectKind::MeasuredIn(trial) => format!("measured in `{}` of this result", printable(trial)),
        EffectKind::Modelled(model) => format!("modelled: {}", printable(model)),
    };
    lines.push(("brings", format!("{} ({known})", printable(&effect.what))));
    lines
}

fn urgency(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Fails => "the job fails, or will",
        Urgency::Slows => "it could be faster or steadier",
        Urgency::Costs => "it costs memory, disk or network for little",
    }
}

fn names(all: &[String]) -> String {
    let shown: Vec<_> = all.iter().take(MOST_NAMES).map(|name| printable(name)).collect();
    let more = all.len().saturating_sub(MOST_NAMES);
    let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

fn figure(figure: &Figure) -> String {
    let kind = match figure.kind {
        FigureKind::Measured => "measured",
        FigureKind::Modelled => "modelled",
        FigureKind::Configured => "configured",
    };
    format!("{}: {} ({kind})", printable(&figure.what), figure.text())
}

fn setting(setting: &Setting) -> String {
    let present = setting.present.as_ref().map_or_else(String::new, |present| format!("now {}; ", printable(present)));
    let place = match setting.place {
        Place::Configuration => "",
        Place::Job => "in the job's code, ",
    };
    format!(
        "{}: {} ({present}{place}Flink {})",
        printable(&setting.key),
        printable(&setting.value),
        setting.flink.join(" and ")
    )
}

fn missing_line(missing: &Missing) -> String {
    format!("{} ({}): {}", printable(&missing.figures), names(&missing.configurations), printable(&missing.how))
}
