//! Text and figures on their way to a terminal.

use super::Unit;

/// Whether a character steers a terminal, or reorders or hides text.
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Makes text from a workload, a trace or a result safe to print: what steers a terminal, or reorders or hides text, is
/// escaped.
pub fn printable(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        if is_treacherous(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

/// The same for text of several lines, which keep their ends and their tabs.
pub fn printable_lines(text: &str) -> String {
    text.split_inclusive(['\n', '\t']).fold(String::new(), |mut out, part| {
        let text = part.trim_end_matches(['\n', '\t']);
        out.push_str(&printable(text));
        out.push_str(&part[text.len()..]);
        out
    })
}

/// Three significant digits.
pub fn significant(value: f64) -> String {
    let magnitude = if value > 0.0 { value.log10().floor() as i32 } else { 0 };
    let digits = (2 - magnitude).clamp(0, 6) as usize;
    format!("{value:.digits$}")
}

/// A figure in the unit that leaves it between 1 and 1000, with three significant digits.
pub fn with_unit(value: f64, unit: Unit) -> String {
    let scale = |steps: &[(f64, &str)]| {
        let (factor, name) = steps.iter().find(|(factor, _)| value >= *factor).unwrap_or(&steps[steps.len() - 1]);
        format!("{} {name}", significant(value / factor)).trim_end().to_owned()
    };
    match unit {
        Unit::EventsPerSecond => scale(&[(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")]),
        Unit::Nanoseconds => scale(&[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")]),
        Unit::Share => format!("{} %", significant(100.0 * value)),
        Unit::Factor => format!("{}×", significant(value)),
        Unit::Bytes => scale(&[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(printable("µs \u{202e}\u{9b}"), "µs \\u{202e}\\u{9b}");
        assert_eq!(printable_lines("a\u{1b}\n\tb\r\n"), "a\\u{1b}\n\tb\\r\n");
    }

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        assert_eq!(with_unit(1_234_567.0, Unit::EventsPerSecond), "1.23 M");
        assert_eq!(with_unit(87.0, Unit::Nanoseconds), "87.0 ns");
        assert_eq!(with_unit(5_500.0, Unit::Nanoseconds), "5.50 µs");
        assert_eq!(with_unit(3.0 * 1_048_576.0, Unit::Bytes), "3.00 MiB");
        assert_eq!(significant(0.0), "0.00");
    }
}
