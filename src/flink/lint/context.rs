//! What the rules look at.

use crate::workload::{
    BackendType, Bytes, Configuration, Dialect, FlinkFile, FlinkVersion, Invalid, KeyKind, KnownKey, MemoryPool,
    Options, Reader, current_name, divide_pool, set_from_flink,
};

/// One key that is given.
#[derive(Debug, Clone)]
pub struct Given {
    /// The key as it is written.
    pub key: String,
    /// Its value as it is written.
    pub value: String,
    /// The line that it is on, where it is from a file.
    pub line: Option<usize>,
    /// What the key is.
    pub kind: KeyKind,
    /// The current name of an option; the key itself for everything else.
    pub name: String,
    /// Why its value is not allowed, if it is not.
    pub refused: Option<Invalid>,
    /// Whether another name of the same option goes before it.
    pub is_shadowed: bool,
}

impl Given {
    fn new(key: &str, value: &str, line: Option<usize>) -> Self {
        let kind = KeyKind::of(key);
        let name = if let KeyKind::Known(known) = kind { current_name(known) } else { key.to_owned() };
        Self { key: key.to_owned(), value: value.to_owned(), line, kind, name, refused: None, is_shadowed: false }
    }

    /// The row of the option table, where the key has one.
    pub fn row(&self) -> Option<&'static crate::workload::OptionRow> {
        match self.kind {
            KeyKind::Known(KnownKey::Option(row)) => Some(row),
            _ => None,
        }
    }
}

/// A configuration under scrutiny.
#[derive(Debug)]
pub struct Context {
    /// Its keys.
    pub given: Vec<Given>,
    /// What they come to.
    pub options: Options,
    /// The version of Flink that will read it.
    pub version: FlinkVersion,
    /// How the file was read; none for a configuration of a workload.
    pub dialect: Option<Dialect>,
    /// States of the job in a slot, where they are known.
    pub states: Option<u32>,
    without_effect: Vec<(String, String)>,
}

impl Context {
    /// A file, which a version of Flink will read; without one, that of the file's kind. `states` are those of the job in
    /// one slot, where they are known.
    pub fn of_file(file: &FlinkFile, version: Option<FlinkVersion>, states: Option<u32>) -> Self {
        let mut given: Vec<_> =
            file.entries.iter().map(|entry| Given::new(&entry.key, &entry.value, Some(entry.line))).collect();
        let mut options = Options::default();
        for index in 0..given.len() {
            given[index].is_shadowed = is_shadowed(&given, &given[index]);
            let one = &mut given[index];
            if matches!(one.kind, KeyKind::Known(_)) && !one.is_shadowed {
                one.refused = set_from_flink(&mut options, &one.key, &one.value).err();
            }
        }
        let version = version.unwrap_or(match file.dialect {
            Dialect::Flat => FlinkVersion::V1_20,
            Dialect::Yaml => FlinkVersion::V2_3,
        });
        let mut this =
            Self { given, options, version, dialect: Some(file.dialect), states, without_effect: Vec::new() };
        // What only a run of statebench has no use for is none of Flink's mistakes.
        let heeded_by_flink = |given: &&Given| {
            given.row().is_some_and(|row| matches!(row.reader, Reader::Pool | Reader::Database)) && !given.is_shadowed
        };
        if this.is_rocksdb() {
            let keys: Vec<_> = this.given.iter().filter(heeded_by_flink).map(|given| given.key.as_str()).collect();
            this.without_effect = this.options.without_effect(keys);
        }
        this
    }

    /// A configuration of a workload.
    pub fn of_configuration(configuration: &Configuration) -> Self {
        Self {
            given: configuration.given.iter().map(|(key, value)| Given::new(key, value, None)).collect(),
            options: configuration.options.clone(),
            version: FlinkVersion::V2_3,
            dialect: None,
            states: None,
            without_effect: Vec::new(),
        }
    }

    /// Whether it is a whole configuration of a cluster, of which what is missing counts too.
    pub fn is_cluster(&self) -> bool {
        self.dialect.is_some()
    }

    /// The key that sets an option, by any name of it or as it is written.
    pub fn find(&self, key: &str) -> Option<&Given> {
        let effective = self.given.iter().find(|given| given.name == key && !given.is_shadowed);
        effective.or_else(|| self.given.iter().find(|given| given.key == key))
    }

    /// Whether an option is given with a value that is allowed.
    pub fn gives(&self, key: &str) -> bool {
        self.find(key).is_some_and(|given| given.refused.is_none())
    }

    /// Whether the backend is the heap; not so where one is named that statebench has not.
    pub fn is_heap(&self) -> bool {
        let is_other = self.find("state.backend.type").is_some_and(|given| given.refused.is_some());
        self.options.backend == BackendType::HashMap && !is_other
    }

    /// Whether the backend is RocksDB.
    pub fn is_rocksdb(&self) -> bool {
        self.options.backend == BackendType::RocksDb
    }

    /// The memory that RocksDB's databases share, where they do.
    pub fn pool(&self) -> Option<MemoryPool> {
        let pool = self.options.memory_pool().filter(|_| self.is_rocksdb())?;
        // Of memory that cannot be divided another rule tells.
        let is_known = pool.key != "taskmanager.memory.managed.size" || self.options.task_manager_memory().is_ok();
        is_known.then_some(pool)
    }

    /// Capacities of the shared block cache and of the write-buffer manager.
    pub fn capacities(&self) -> Option<(Bytes, Bytes)> {
        let (cache, buffers) = divide_pool(self.pool()?.bytes, self.options.memory_write_buffer_ratio.0);
        Some((Bytes(cache), Bytes(buffers)))
    }

    /// Keys that Flink gives no effect, each with the reason; none for a configuration of a workload, which tells itself.
    pub fn without_effect(&self) -> Vec<(String, String)> {
        self.without_effect.clone()
    }
}

fn is_shadowed(all: &[Given], one: &Given) -> bool {
    let Some(row) = one.row() else { return false };
    let mut names = std::iter::once(&row.key).chain(row.aliases);
    let first = names.find(|name| all.iter().any(|given| given.key == **name));
    first.is_some_and(|first| *first != one.key)
}
