//! What is shown, as bytes and text: outcomes as JSON lines, plans and tables for people. Pure: nothing here prints, reads
//! a clock or knows a terminal.

#[cfg(feature = "cli")]
mod bench_table;
mod closely;
#[cfg(test)]
pub(crate) mod examples;
mod explain;
pub mod figures;
mod joblog;
mod machine;
mod memory_table;
mod outcome_json;
mod pace;
mod progress;
#[cfg(feature = "cli")]
mod replay;
mod run_table;
mod style;
mod table;

#[cfg(feature = "cli")]
pub use bench_table::{bench_head, bench_json, bench_row, break_even};
pub use closely::whole_result;
pub use explain::{explain, heading, plan_text, predicted};
pub use joblog::{JOBLOG_HEAD, write_joblog_line};
pub use machine::{DeviceReport, devices_json, devices_text, model_json, model_text};
pub use memory_table::memory_text;
pub use outcome_json::{Detail, write_outcome, write_plan};
pub use pace::{Pace, time_left};
pub use progress::{Progress, progress_bar, progress_line};
#[cfg(feature = "cli")]
pub use replay::{replay_json, replay_text};
pub use run_table::{quoted, run_head, run_row, run_summary};
pub use style::{Style, visible, visible_lines};
pub use table::{Align, Table};
