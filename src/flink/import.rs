//! A Flink configuration file as the `[[configuration]]` of a workload.

use std::fmt::Write;

use toml::Value;

use crate::result::printable;
use crate::workload::{Diagnostic, FlinkFile, StateKeys, flink_value};

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The section, as TOML.
    pub section: String,
    /// What was not taken over as it stands, a line each.
    pub remarks: Vec<String>,
}

/// Writes the keys of a file that touch state as a section with a name, in the order of the file, under their current
/// names.
///
/// # Errors
/// What [`StateKeys::of`] refuses, or a combination that cannot work.
pub fn import(file: &FlinkFile, name: &str) -> Result<Imported, Diagnostic> {
    let keys = StateKeys::of(file)?;
    keys.validate(file)?;
    let mut section = format!("[[configuration]]\nname = {}\n", text(name));
    for (key, entry) in &keys.taken {
        let _ = writeln!(section, "{} = {}", text(key), text(&flink_value(&entry.value)));
    }
    let mut remarks = vec![format!("{}: read as {}", file.path().display(), file.dialect)];
    let renamed = keys.taken.iter().filter(|(key, entry)| *key != entry.key);
    remarks.extend(renamed.map(|(key, entry)| format!("line {}: `{}` is now `{key}`", entry.line, entry.key)));
    for (entries, why) in [
        (&keys.shadowed, "left out, since another name of it is given"),
        (&keys.not_modelled, "left out: statebench has not what it sets"),
        (&keys.ignored, "ignored: it has nothing to do with state"),
    ] {
        remarks.extend(entries.iter().map(|entry| format!("line {}: `{}` {why}", entry.line, printable(&entry.key))));
    }
    Ok(Imported { section, remarks })
}

/// A TOML string. What steers a terminal, or reorders or hides text, is escaped: the section is printed.
fn text(text: &str) -> String {
    let is_plain = |c: char| printable(c.encode_utf8(&mut [0; 4])).chars().eq([c]);
    if text.chars().all(is_plain) {
        return Value::from(text).to_string();
    }
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if is_plain(c) => c.to_string(),
        c => format!("\\U{:08X}", c as u32),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Document, Plan};
    use insta::assert_snapshot;
    use proptest::prelude::*;
    use std::path::Path;

    fn file(text: &str) -> Result<FlinkFile, Diagnostic> {
        FlinkFile::parse(Path::new("config.yaml"), text.to_owned())
    }

    #[test]
    fn keys_that_touch_state_become_a_section() {
        let text = "state:\n  backend: rocksdb\n  backend.rocksdb.memory.fixed-per-slot: 64mb\n\
                    execution.checkpointing.dir: \"s3://b/\\\"x\\\"\"\nrest.port: 8081\nstate.backend.forst.x: 1\n";
        let imported = import(&file(text).unwrap(), "a \"b\"").unwrap();
        assert_snapshot!(imported.section, @r#"
        [[configuration]]
        name = 'a "b"'
        "state.backend.type" = "rocksdb"
        "state.backend.rocksdb.memory.fixed-per-slot" = "64mb"
        "execution.checkpointing.dir" = 's3://b/"x"'
        "#);
        assert_snapshot!(imported.remarks.join("\n"), @"
        config.yaml: read as config.yaml (YAML)
        line 2: `state.backend` is now `state.backend.type`
        line 6: `state.backend.forst.x` left out: statebench has not what it sets
        line 5: `rest.port` ignored: it has nothing to do with state
        ");
        let document = Document::parse(Path::new("job.toml"), imported.section).unwrap();
        let plan = Plan::of(document, &[], false).unwrap();
        assert_eq!(plan.cells[0].configuration.name, "a \"b\"");
        assert_eq!(plan.cells[0].configuration.options.shared_memory_bytes(), Some(64 << 20));
    }

    #[test]
    fn what_reorders_text_is_escaped() {
        assert_eq!(text("a\u{202e}\"\\"), r#""a\U0000202E\"\\""#);
        let read: toml::Table = format!("v = {}", text("a\u{202e}\"\\\n")).parse().unwrap();
        assert_eq!(read["v"].as_str(), Some("a\u{202e}\"\\\n"));
    }

    proptest! {
        #[test]
        fn whatever_is_imported_is_a_valid_workload(
            values in proptest::collection::vec(("[a-z-]{0,3}", "\\PC{0,8}"), 0..4), name in "\\PC{1,9}"
        ) {
            let keys = ["execution.checkpointing.dir", "state.backend.rocksdb.localdir", "state.savepoints.dir", "x"];
            let lines = values.iter().zip(keys).map(|((_, value), key)| {
                format!("{key}: {}\n", super::super::yaml::quoted(value))
            });
            if let Ok(imported) = import(&file(&lines.collect::<String>()).unwrap(), &name) {
                let document = Document::parse(Path::new("job.toml"), imported.section.clone());
                prop_assert!(document.is_ok(), "{}", imported.section);
            }
        }
    }
}
