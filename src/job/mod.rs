//! From what was asked for (a [`JobSpec`], syntax only) to what can run (a bound kernel): ids, indices, the job file.

mod error;
mod integer;
mod spec;

pub use error::{Cause, JobError};
pub use integer::{IntegerError, parse_integer};
pub use spec::{BindContext, DeviceChoice, JobParams, JobSpec};
