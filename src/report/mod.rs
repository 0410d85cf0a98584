//! What is shown, as bytes and text: outcomes as JSON lines, answers, plans and tables for people. Pure: nothing here
//! prints, reads a clock or knows a terminal.

#[cfg(test)]
pub(crate) mod examples;
mod outcome_json;

pub use outcome_json::{Detail, write_outcome, write_plan};
