//! The only orchestrator: admits jobs, runs them, retries, merges, ends them.

mod batch;
mod coordinator;
mod devices;
pub mod dispatch;
mod lanes;
mod message;
mod outcome;
mod panics;
mod running;
mod shared;
mod short;
mod start;
mod ticket;
mod verify;

pub use devices::{Devices, Found, FoundGpu, Search, default_threads};
pub use outcome::{Outcome, OutcomeSink, RanOn, Timings};
pub use panics::catch;
pub use shared::Settings;
pub use start::Engine;
pub use ticket::{CancelFlag, Gauge};
pub use verify::{SkippedRun, Verification, VerifiedRun};
