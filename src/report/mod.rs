//! What is shown, as bytes and text: outcomes as JSON lines, plans and tables for people. Pure: nothing here prints, reads
//! a clock or knows a terminal.

#[cfg(feature = "cli")]
mod bench;
pub mod chart;
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
mod page;
mod progress;
mod regret;
#[cfg(feature = "cli")]
mod replay;
mod run_page;
mod run_table;
#[cfg(feature = "cli")]
mod simulated;
mod style;
mod table;
mod text_chart;
mod trace;

#[cfg(feature = "cli")]
pub use bench::{
    bench_charts, bench_csv, bench_head, bench_html, bench_json, bench_machine_text, bench_markdown, bench_row,
    comparison_json, comparison_text, file_json, file_text, guide_text, machine_json, mode_words, unit_line, use_line,
    verdict_json, verdict_lines, why_line,
};
pub use closely::whole_result;
pub use explain::{chosen, explain, heading, plan_text, predicted};
pub use joblog::{JOBLOG_HEAD, write_joblog_line};
pub use machine::{DeviceReport, device_kind_name, devices_json, devices_text, model_json, model_text};
pub use memory_table::memory_text;
pub use outcome_json::{Detail, write_outcome, write_plan};
pub use pace::{Pace, time_left};
pub use page::Page;
pub use progress::{Progress, progress_bar, progress_line};
#[cfg(feature = "cli")]
pub use replay::{replay_json, replay_text, unplanned};
pub use run_page::{RunAbout, run_gantt, run_page};
pub use run_table::{quoted, run_head, run_row, run_summary};
#[cfg(feature = "cli")]
pub use simulated::{LeftOut, RegretTally, SimulatedRow, simulated_json, simulated_text, truths_text};
pub use style::{Style, visible, visible_lines};
pub use table::{Align, Table};
pub use text_chart::{TextAxis, TextStyle, text_bars, text_lines};
pub use trace::{QUEUED_MAX, write_trace};
