//! From what was asked for (a [`JobSpec`], syntax only) to what can run (a bound kernel): ids, indices, the job file.

#[cfg(feature = "service")]
mod awaited;
mod blank;
mod chains;
mod error;
mod expansion;
mod file;
mod groups;
mod hash;
mod head;
mod ids;
mod integer;
pub(crate) mod json_integer;
pub(crate) mod json_text;
mod kind;
mod lines;
mod matrix;
#[cfg(test)]
mod matrix_tests;
mod names;
mod patch;
mod placeholders;
#[cfg(feature = "service")]
mod posted;
mod reach;
mod references;
mod result_path;
mod shard;
mod size;
mod spec;
mod taken;
mod terms;
mod wording;

pub use error::{Cause, JobError};
pub use file::{BadLine, JobFile};
pub(crate) use groups::Groups;
pub use hash::{InputState, JobHash};
#[cfg(feature = "cli")]
pub(crate) use integer::parse_bounded;
pub use integer::{IntegerError, parse_integer, parse_unsigned};
pub use kind::{Aside, Asked, Kind, Sample, kind, kinds};
pub use lines::MAX_LINE_BYTES;
#[cfg(feature = "service")]
pub(crate) use posted::{Beside, LABEL_MAX, Misplaced, Posted, parse_posted, unknown_name};
pub use reach::Reach;
pub use shard::{Shard, Sharding, Torn};
pub use size::parse_bytes;
pub use spec::{BindContext, Bound, DeviceChoice, JobParams, JobSpec, KindParams};
pub use taken::EarlierResults;
#[cfg(feature = "service")]
pub(crate) use terms::parse_wait;
pub use terms::{PRIORITY_MAX, Terms, parse_duration};

/// At most 40 characters of what a user wrote, for a message.
pub(crate) fn shorten(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
