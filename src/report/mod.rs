//! What a result looks like to people and to other programs.

mod baseline;
mod checkpoints;
mod comparison;
mod curves;
mod gate;
mod knobs;
mod limits;
mod open_loop;
mod stores;
mod stream;
mod summary;
mod table;
mod trust;

pub use baseline::{BaselineRow, baseline_table, list_table};
pub use comparison::render_comparison;
pub use gate::{GateFormat, gate_decision, render_gate};
pub use summary::{AccessRow, PhaseRow, Regime, Row, Spread, Summary};
pub use table::{Format, render};

pub use crate::result::{printable, printable_lines};
