//! Flink's configuration files: taken over into a workload, written from a result, and looked through for mistakes.

mod export;
mod import;
pub mod lint;
mod yaml;

pub use export::{ExportError, Exported, export};
pub use import::{Imported, import};
pub(crate) use yaml::value as yaml_value;
