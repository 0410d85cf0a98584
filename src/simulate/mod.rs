//! Runs that are not run: jobs in simulated time, on this machine or on one that a file describes.

mod machine;
mod machine_file;
mod rates;
pub mod replay;
mod this_machine;

pub use machine::{Cpu, Gpu, GpuKind, Machine};
pub use machine_file::MachineError;
pub use this_machine::{Inventory, this_machine};
