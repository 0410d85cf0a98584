//! Runs numeric jobs on CPU and GPU together: the same bytes on every device, and every placement explained.

pub mod job;

pub mod input;

pub mod exact;

pub mod kernels;

pub mod device;

pub mod model;

pub mod plan;

pub mod engine;

pub mod report;

pub mod results;

pub mod runner;

pub mod bench;

#[cfg(feature = "cli")]
pub mod cli;
