//! Where the outcomes of a run go: to a pipe in the order of the jobs, or to a file that is sorted at the end; and how
//! many there were. Memory is bounded: what waits for a slow job ahead goes to disk past a limit.

mod claim;
mod earlier;
mod file;
mod joblog;
mod journal;
mod line;
mod merge;
mod ordered;
mod pipeline;
mod rendered;
mod sink;
mod sorted;
mod synced;
mod tally;
mod watched;

use ordered::Ordered;

pub use earlier::KeptResults;
pub use file::{AsTheyCome, FileOptions, ResultsFile};
pub use joblog::JobLog;
pub use merge::{Merged, merge, merge_to_file};
pub use rendered::Afterwards;
pub use sink::{OfWritten, Render, Results, RunResults};
pub use tally::{Failure, Tally};
pub use watched::{Watched, Watcher};

/// How many bytes of outcomes wait in memory for a slow job ahead; what passes it goes to an unlinked temporary file.
pub const MAX_HELD_BYTES: usize = 64 << 20;
