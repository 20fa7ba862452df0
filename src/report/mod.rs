//! What a result looks like to people and to other programs.

mod advise;
mod baseline;
mod book;
mod cache;
mod calibration;
mod chart;
mod checkpoints;
mod comparison;
mod curves;
#[cfg(test)]
pub(crate) mod fixture;
mod flink;
mod gate;
mod grid;
mod history;
mod html;
mod jvm;
mod knobs;
mod limits;
mod markdown;
mod notes;
mod open_loop;
mod runs;
mod stores;
mod stream;
mod summary;
mod table;
mod trust;
mod tuning;
mod validation;
mod verdict;

pub use advise::{AdviceFormat, render_advice};
pub use baseline::{BaselineRow, baseline_table, list_table};
pub use book::Book;
pub use cache::CacheRow;
pub use calibration::calibration_table;
pub use chart::{ChartError, Picture, Theme, chart_names, chart_picture};
pub use comparison::render_comparison;
pub use gate::{GateFormat, gate_decision, render_gate};
pub use history::render_history;
pub use html::{FlinkConfiguration, PageOptions, ResultFile, page, utc};
pub use markdown::report_markdown;
pub use runs::runs_csv;
pub use summary::{AccessRow, PhaseRow, Regime, Row, Spread, Summary};
pub use table::{Format, render};
pub use tuning::render_tuning;
pub use validation::validation_text;

pub use crate::result::{printable, printable_lines};
