//! From what was asked for (a [`JobSpec`], syntax only) to what can run (a bound kernel): ids, indices, the job file.

mod error;
mod spec;

pub use error::{Cause, JobError};
pub use spec::{BindContext, DeviceChoice, JobParams, JobSpec};
