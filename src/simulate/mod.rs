//! Runs that are not run: jobs in simulated time, on this machine or on one that a file describes.

mod machine;

pub use machine::{Cpu, Gpu, GpuKind, Machine};
