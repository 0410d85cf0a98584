//! Devices against each other, over sizes: every kind and variant of the registry, on made-up jobs.
//!
//! A timing is the median of several runs after one that warms up (opens the device, compiles shaders, uploads what stays
//! there), from when a worker takes the job to its answer. Before a device is timed, its answer is compared with that of
//! one CPU thread. Irregular jobs are timed many at once, on one thread and on all.

mod measure;
mod sweep;
mod tasks;

pub use measure::{Difference, Measurer};
pub use sweep::{BreakEven, Row, Time, calibrate, sweep};
pub use tasks::time_tasks;
