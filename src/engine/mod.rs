//! The only orchestrator: admits jobs, runs them, retries, merges, ends them.

mod attendant;
pub(crate) mod batch;
mod budget;
mod cancel;
mod coordinator;
mod crowd;
mod devices;
pub mod dispatch;
pub mod flow;
mod foreign;
mod gates;
mod lanes;
mod message;
pub(crate) mod order;
mod outcome;
mod outside;
mod panics;
pub(crate) mod queue;
mod ready;
mod reservation;
mod running;
pub(crate) mod shared;
mod short;
mod stage;
mod start;
mod ticket;
mod timer;
mod variants;
mod verify;

pub(crate) use attendant::attend;
#[cfg(feature = "cli")]
pub(crate) use budget::FREE_PART;
pub use budget::Need;
pub use cancel::CancelFlag;
pub(crate) use coordinator::Permit;
pub use crowd::threads_beside;
pub use devices::{Devices, Found, FoundGpu, Search, default_threads};
pub(crate) use foreign::Foreign;
pub use outcome::{Outcome, OutcomeSink, RanOn, Timings};
pub use panics::catch;
pub use shared::Settings;
pub use start::Engine;
pub use ticket::Gauge;
pub use verify::{SkippedRun, Verification, VerifiedRun};
