//! From what was asked for (a [`JobSpec`], syntax only) to what can run (a bound kernel): ids, indices, the job file.

mod error;
mod file;
mod head;
mod ids;
mod integer;
pub(crate) mod json_integer;
mod kind;
mod lines;
mod spec;
mod wording;

pub use error::{Cause, JobError};
pub use file::{BadLine, JobFile};
#[cfg(feature = "cli")]
pub(crate) use integer::parse_bounded;
pub use integer::{IntegerError, parse_integer, parse_unsigned};
pub use kind::{Asked, Kind, Sample, kind, kinds};
pub use lines::MAX_LINE_BYTES;
pub use spec::{BindContext, Bound, DeviceChoice, JobParams, JobSpec, KindParams};
