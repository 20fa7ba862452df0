//! `[[configuration]]`: a name and Flink options.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BackendType, Invalid, KnownKey, Options};

/// One configuration as the file spells it: its name, and Flink keys with Flink values. A key may be written in quotes
/// (`"state.backend.type" = "rocksdb"`) or as a TOML path (`state.backend.type = "rocksdb"`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigurationWire {
    /// The name in tables and results.
    pub name: String,
    /// A Flink configuration file, `config.yaml` or the `flink-conf.yaml` of Flink 1.x, whose keys that touch state hold
    /// where they are not given beside it. A relative path starts from the folder of the workload file.
    #[serde(rename = "flink-config", default, skip_serializing_if = "Option::is_none")]
    pub flink_config: Option<String>,
    /// Flink options.
    #[serde(flatten)]
    pub options: BTreeMap<String, serde_json::Value>,
}

/// One configuration, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// The name in tables and results.
    pub name: String,
    /// The name in the workload file, without the choices of a matrix.
    pub base: String,
    /// What it takes of each axis of a matrix that it heeds, by Flink key.
    pub knobs: BTreeMap<String, String>,
    /// All options.
    pub options: Options,
    /// The keys that were set, with the text that they were set to.
    pub given: Vec<(String, String)>,
}

/// The longest name that still fits a table.
const MAX_NAME_CHARS: usize = 60;

/// Whether a path names a Flink option rather than a part of the workload. `pipeline` is the root of both.
pub fn is_flink_key(path: &str) -> bool {
    let has_flink_root =
        ["state.", "taskmanager.", "execution.", "jobmanager.", "dstl."].iter().any(|root| path.starts_with(root));
    has_flink_root || (path.starts_with("pipeline.") && KnownKey::find(path).is_some())
}

impl Configuration {
    /// Checks the wire form; paths of errors are relative to the configuration.
    ///
    /// # Errors
    /// An empty name, an unknown key, a value that its key does not allow, a combination that cannot work.
    pub fn new(wire: &ConfigurationWire) -> Result<Self, Invalid> {
        let name = &wire.name;
        if name.trim().is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
            let allowed = format!("1 to {MAX_NAME_CHARS} printable characters");
            return Err(Invalid::new("name", format!("{name:?}"), allowed));
        }
        if let Some(path) = &wire.flink_config {
            return Err(Invalid::new("flink-config", path, "a file that has been read: a plan reads it"));
        }
        let mut configuration = Self::named(name, Options::default());
        for (key, value) in &wire.options {
            configuration.set_tree(key, value)?;
        }
        configuration.options.validate()?;
        Ok(configuration)
    }

    fn named(name: &str, options: Options) -> Self {
        Self { name: name.to_owned(), base: name.to_owned(), knobs: BTreeMap::new(), options, given: Vec::new() }
    }

    /// Sets an option, or every option below a key that holds a table.
    fn set_tree(&mut self, key: &str, value: &serde_json::Value) -> Result<(), Invalid> {
        let text = match value {
            serde_json::Value::Object(children) if !children.is_empty() => {
                return children.iter().try_for_each(|(name, child)| self.set_tree(&format!("{key}.{name}"), child));
            }
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Bool(_) | serde_json::Value::Number(_) => value.to_string(),
            _ => return Err(Invalid::new(key, value, "a text, a number, true or false")),
        };
        self.set(key, &text)
    }

    /// Sets one option.
    ///
    /// # Errors
    /// The key is unknown or does not allow the value; the path is the key.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), Invalid> {
        self.options.set(key, text)?;
        self.given.retain(|(given, _)| given != key);
        self.given.push((key.to_owned(), text.to_owned()));
        Ok(())
    }

    /// Whether an option would take effect in this configuration.
    pub fn heeds(&self, key: &str) -> bool {
        self.options.without_effect([key]).is_empty()
    }

    /// What the user set without effect: key and reason.
    pub fn without_effect(&self) -> Vec<(String, String)> {
        self.options.without_effect(self.given.iter().map(|(key, _)| key.as_str()))
    }

    /// The heap and RocksDB with Flink's defaults: what is compared where a workload names no configuration.
    pub fn defaults() -> Vec<Self> {
        let of = |name: &str, backend: BackendType| {
            let options = Options::of(backend);
            let given = vec![("state.backend.type".to_owned(), backend.to_string())];
            Self { given, ..Self::named(name, options) }
        };
        vec![of("heap", BackendType::HashMap), of("rocksdb", BackendType::RocksDb)]
    }

    /// The configuration as the file would spell it.
    pub fn wire(&self) -> ConfigurationWire {
        let options = self.given.iter().map(|(key, text)| (key.clone(), serde_json::Value::from(text.as_str())));
        ConfigurationWire { name: self.name.clone(), flink_config: None, options: options.collect() }
    }
}

/// The last part of a Flink key that is enough to recognise it: `block.cache-size`.
pub fn short_key(key: &str) -> &str {
    let known = KnownKey::find(key).is_some();
    key.strip_prefix("state.backend.rocksdb.").filter(|_| known).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Configuration, Invalid> {
        Configuration::new(&toml::from_str(text).unwrap())
    }

    #[test]
    fn keys_may_be_quoted_or_nested() {
        let quoted =
            parse("name = 'a'\n'state.backend.type' = 'rocksdb'\n'state.backend.rocksdb.thread.num' = 3").unwrap();
        let nested = parse("name = 'a'\nstate.backend.type = 'rocksdb'\nstate.backend.rocksdb.thread.num = 3").unwrap();
        assert_eq!(quoted.options, nested.options);
        assert_eq!(quoted.options.thread_num, 3);
    }

    #[test]
    fn unknown_keys_and_bad_names_are_refused() {
        assert_eq!(parse("name = ''").unwrap_err().path, "name");
        assert_eq!(parse("name = 'a'\n'state.backend.typ' = 'rocksdb'").unwrap_err().path, "state.backend.typ");
        assert_eq!(parse("name = 'a'\nstate.backend.type = ['rocksdb']").unwrap_err().path, "state.backend.type");
    }
}
