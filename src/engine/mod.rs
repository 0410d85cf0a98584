//! The only orchestrator: admits jobs, runs them, retries, merges, ends them.

mod outcome;

pub use outcome::{Outcome, OutcomeSink, RanOn, Timings};
