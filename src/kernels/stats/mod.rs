//! The kernel `stats`: count, extremes, exact sums, mean, variance, standard deviation, quantiles and a histogram of
//! numbers.
//!
//! Everything is gathered exactly, in integers, and rounded once at the end, so the answer depends on nothing but the
//! data. The first pass gathers [`Moments`], the first [`Digits`] of a selection where quantiles are asked for, and
//! the [`Bins`] of a histogram whose range was given; later passes refine the selection and count the bins of an automatic
//! range.

mod answer;
#[cfg(feature = "cli")]
mod args;
mod axis;
mod binning;
mod brackets;
mod cost;
mod counting;
mod finish;
mod fold;
mod found;
mod gpu;
mod histogram;
mod json;
mod kernel;
mod moments;
mod number;
mod params;
mod partial;
mod pass;
mod quantiles;
mod request;
mod sample;
#[cfg(test)]
mod tests;

use crate::job::Kind;

pub use answer::{ColumnStats, HigherMoments, HistogramCounts, QuantileValue, StatsAnswer};
pub use axis::{Axis, AxisAnswer, AxisKernel, AxisPartial, Statistic};
pub use kernel::{Column, StatsKernel};
pub use number::{Layout, Number, SUPPORTED, Scalar};
pub use params::{AlongAxes, StatsInput, StatsParams};
pub use partial::{ColumnPartial, DigitCounts, HigherSums, Moments, StatsPartial};
pub use pass::{Bins, ColumnPass, Digits, KeyRange, StatsPass};
pub use request::{Histogram, MAX_BINS, MAX_QUANTILES, MomentsUpTo, Quantile, StatsRequest};

/// The kind, for the registry.
pub static KIND: Kind = Kind {
    name: "stats",
    summary: "Count, extremes, exact sum, mean, variance, standard deviation, skewness, kurtosis, quantiles and histogram of numbers",
    variants: &["f32", "f64", "i32", "i64", "u32", "u64"],
    parse: json::parse,
    input_field: Some("file"),
    aside: &[],
    sample: sample::sample,
    // Memory bounds it on every machine; how many operations a vector unit does for an element is its own affair.
    operations_per_unit: |_| None,
    shaders: gpu::shaders,
    #[cfg(feature = "cli")]
    command: args::command,
    #[cfg(feature = "cli")]
    from_args: args::from_args,
};
