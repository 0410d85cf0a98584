//! Devices against each other, over sizes: every kind and variant of the registry, on made-up jobs; and whole job files.
//!
//! A timing is from a job's submission to its answer; its data is new to every device each time. Before a place is timed, its
//! answer is compared with that of one CPU thread; then places take turns. What a run came to is a [`Report`], which holds the
//! raw timings, and what follows from them is computed by pure functions: medians and intervals (`statistics`), break-even
//! sizes and why ([`Verdict`]), how close to the device's ceiling ([`Limit`]), what has become slower ([`Comparison`]).
//! Irregular jobs are timed many at once, on one thread and on all.

mod baseline;
#[cfg(test)]
pub(crate) mod examples;
mod fresh;
mod job_file;
mod measure;
mod place;
mod probe;
mod report;
mod roofline;
mod sizes;
mod statistics;
mod subject;
mod sweep;
#[cfg(test)]
pub(crate) mod testing;
mod units;
mod verdict;

pub use baseline::{At, BUSY_MIN, Change, Compared, Comparison, Incomparable, Key, Said, Scope, Shift};
pub use job_file::{FileBench, FileComparison, FileEffort, FileRun, FileTurn, Mode, OverBudget};
pub use measure::{Difference, Effort, Stand};
pub use place::Place;
pub use probe::{Probed, probe};
pub use report::{Again, Ceiling, Cell, DeviceDescription, Machine, Report, Row, Run, SCHEMA, Settings};
pub use roofline::{Bound, Limit, Used, limit};
pub use sizes::Sizes;
pub use sweep::{EarlierSize, OnRow, Sweep, calibrate, every_place, stand};
pub use units::unit_words;
pub use verdict::{
    AtSize, Because, BreakEven, Challenge, Choice, Lost, Parallel, Reason, Segment, Standing, ToldApart, Unused,
    Verdict,
};
