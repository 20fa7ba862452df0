//! What a result looks like to people and to other programs.

mod checkpoints;
mod curves;
mod knobs;
mod open_loop;
mod stores;
mod stream;
mod summary;
mod table;

pub use summary::{AccessRow, PhaseRow, Regime, Row, Spread, Summary};
pub use table::{Format, render};

pub use crate::result::{printable, printable_lines};
