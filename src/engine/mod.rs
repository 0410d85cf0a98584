//! The only orchestrator: admits jobs, runs them, retries, merges, ends them.

mod batch;
mod cancel;
mod coordinator;
mod devices;
pub mod dispatch;
pub mod flow;
mod foreign;
mod gates;
mod lanes;
mod message;
mod outcome;
mod outside;
mod panics;
mod queue;
mod running;
mod shared;
mod short;
mod stage;
mod start;
mod ticket;
mod timer;
mod verify;

pub use cancel::CancelFlag;
pub use devices::{Devices, Found, FoundGpu, Search, default_threads};
pub use outcome::{Outcome, OutcomeSink, RanOn, Timings};
pub use panics::catch;
pub use shared::Settings;
pub use start::Engine;
pub use ticket::Gauge;
pub use verify::{SkippedRun, Verification, VerifiedRun};
