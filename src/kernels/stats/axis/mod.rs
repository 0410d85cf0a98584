//! Statistics along axes: of each cell of the array that the other axes make.
//!
//! One pass. Where the first axis stays, or cells lie next to each other in memory that is cheap to read here and there, a unit is a
//! step of cells, each of which is finished where it is folded. Else a unit is a step along the first axis, and what is gathered of
//! all cells is merged: exactly, so that no cut changes a bit.

mod answer;
mod axes;
mod cell;
mod floats;
mod integers;
mod kernel;
mod lanes;
mod output;
#[cfg(test)]
mod tests;
mod walk;
mod windows;

pub use answer::{AxisAnswer, Statistic};
pub use axes::Axis;
pub use kernel::{AxisKernel, AxisPartial};
pub(super) use output::{check_name, check_place};
