//! Exact arithmetic: sums that lose nothing, and results that are rounded once. Pure; for any kernel.
//!
//! A kernel accumulates in a [`FixedPoint`], which merges exactly in any order, and ends with [`nearest_f64`] or
//! [`nearest_sqrt_f64`] of an exact ratio.

mod decimal;
mod fixed_point;
mod reciprocal;
mod round;
mod wide;

pub use decimal::{Decimal, DecimalError};
pub use fixed_point::FixedPoint;
pub(crate) use reciprocal::Reciprocal;
pub use round::{Dyadic, nearest_f64, nearest_sqrt_f64};
pub use wide::{OfCount, Wide, nearest_sum};
