//! What is shown, as bytes and text: outcomes as JSON lines, plans and tables for people. Pure: nothing here prints, reads
//! a clock or knows a terminal.

#[cfg(test)]
pub(crate) mod examples;
mod explain;
pub mod figures;
mod outcome_json;
mod run_table;
mod style;
mod table;

pub use explain::{explain, plan_text, predicted};
pub use outcome_json::{Detail, write_outcome, write_plan};
pub use run_table::{quoted, run_head, run_row, run_summary};
pub use style::{Style, visible, visible_lines};
pub use table::{Align, Table};
