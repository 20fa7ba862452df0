//! Values as YAML, so that whatever a value holds it is read back as that text.

use std::fmt::Write;

/// A value for YAML: plain where nothing in it could mean something else, in double quotes where it might.
pub fn value(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '.' | '/' | ';' | '-');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let is_word = matches!(text.to_ascii_lowercase().as_str(), "null" | "y" | "n" | "yes" | "no" | "on" | "off");
    if begins && !is_word && !text.ends_with(' ') && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A value in double quotes, which Kubernetes needs for every value: its maps hold texts only.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            // Whatever a terminal or a parser might not take as it stands.
            _ => {
                let code = u32::from(c);
                let _ = if code > 0xffff { write!(out, "\\U{code:08X}") } else { write!(out, "\\u{code:04X}") };
            }
        }
    }
    out.push('"');
    out
}

/// Whether a line of a `flink-conf.yaml` can hold a value: it ends at a `#` or a line end, and outer blanks are cut.
pub fn fits_flat_line(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains('#') && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::FlinkFile;
    use proptest::prelude::*;
    use std::path::Path;

    fn read(yaml: &str) -> String {
        let file = FlinkFile::parse(Path::new("config.yaml"), format!("key: {yaml}\nafter: 1\n")).unwrap();
        assert_eq!(file.entries.len(), 2, "{yaml}");
        file.entries[0].value.clone()
    }

    #[test]
    fn only_what_is_plain_is_written_plain() {
        for plain in ["64 mb", "true", "0.5", "LZ4_COMPRESSION;NO_COMPRESSION", "/data/flink-state", "10 min"] {
            assert_eq!(value(plain), plain);
        }
        assert_eq!(value("-1"), "\"-1\"");
        assert_eq!(value("s3://bucket"), "\"s3://bucket\"");
        assert_eq!(value("a: b # \"c\"\n\\"), r#""a: b # \"c\"\n\\""#);
    }

    proptest! {
        #[test]
        fn every_text_reads_back(text: String) {
            prop_assert_eq!(read(&quoted(&text)), text.clone());
            prop_assert_eq!(read(&value(&text)), text);
        }
    }
}
