//! What a result looks like to people and to other programs.

mod checkpoints;
mod comparison;
mod curves;
mod knobs;
mod stores;
mod stream;
mod summary;
mod table;

pub use comparison::render_comparison;
pub use summary::{AccessRow, PhaseRow, Regime, Row, Spread, Summary};
pub use table::{Format, render};

pub use crate::result::{printable, printable_lines};
