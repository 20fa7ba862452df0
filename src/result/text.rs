//! Text of files and users on its way to a terminal.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(printable("µs \u{202e}\u{9b}"), "µs \\u{202e}\\u{9b}");
        assert_eq!(printable_lines("a\u{1b}\n\tb\r\n"), "a\\u{1b}\n\tb\\r\n");
    }
}
