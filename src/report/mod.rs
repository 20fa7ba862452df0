//! What a result looks like to people and to other programs.

mod baseline;
mod calibration;
mod checkpoints;
mod comparison;
mod curves;
mod gate;
mod history;
mod knobs;
mod limits;
mod open_loop;
mod runs;
mod stores;
mod stream;
mod summary;
mod table;
mod trust;

pub use baseline::{BaselineRow, baseline_table, list_table};
pub use calibration::calibration_table;
pub use comparison::render_comparison;
pub use gate::{GateFormat, gate_decision, render_gate};
pub use history::render_history;
pub use runs::runs_csv;
pub use summary::{AccessRow, PhaseRow, Regime, Row, Spread, Summary};
pub use table::{Format, render};

pub use crate::result::{printable, printable_lines};
