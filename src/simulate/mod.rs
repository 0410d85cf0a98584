//! Runs that are not run: jobs in simulated time, on this machine or on one that a file describes.
//!
//! The planner and the dispatch state machine are the engine's own; the clock and the devices are simulated. What the planner
//! knows is what measuring the machine would have taught it, and it learns from what it sees, as in a real run.

mod bound;
mod clock;
mod job;
mod machine;
mod machine_file;
mod outcome;
mod queues;
mod rates;
mod record;
pub mod replay;
mod run;
mod teach;
mod this_machine;
mod truth;

pub use job::{SimJob, SimWork};
pub use machine::{Cpu, Gpu, GpuKind, Machine};
pub use machine_file::MachineError;
pub use outcome::{DeviceUse, Simulated, Waiting};
pub use run::{Options, simulate};
pub use this_machine::{Inventory, this_machine};

#[cfg(test)]
mod tests;
