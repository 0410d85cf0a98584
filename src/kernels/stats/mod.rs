//! The kernel `stats`: count, extremes, exact sums, mean, variance, standard deviation, quantiles and a histogram of
//! numbers.
//!
//! Everything is gathered exactly, in integers, and rounded once at the end, so the answer depends on nothing but the
//! data. The first pass gathers [`Moments`], the first [`Digits`] of a radix selection where quantiles are asked for, and
//! the [`Bins`] of a histogram whose range was given; later passes refine the selection and count the bins of an automatic
//! range.

mod answer;
mod binning;
mod counting;
mod finish;
mod fold;
mod found;
mod histogram;
mod kernel;
mod moments;
mod number;
mod partial;
mod pass;
mod quantiles;
mod request;

use crate::kernels::KernelKind;

pub use answer::{ColumnStats, HistogramCounts, QuantileValue, StatsAnswer};
pub use kernel::{Column, StatsKernel};
pub use number::{Layout, Number, SUPPORTED, Scalar};
pub use partial::{ColumnPartial, Moments, StatsPartial};
pub use pass::{Bins, ColumnPass, Digits, StatsPass};
pub use request::{Histogram, MAX_BINS, MAX_QUANTILES, Quantile, StatsRequest};

/// The kind, for the registry.
pub static KIND: KernelKind = KernelKind {
    name: "stats",
    summary: "",
    variants: &[],
    parse: |_| Err(serde::de::Error::custom("not built yet")),
    sample: |_| unreachable!("it has no variants"),
    shaders: Vec::new,
    #[cfg(feature = "cli")]
    command: || clap::Command::new("stats"),
    #[cfg(feature = "cli")]
    from_args: |_| Err("not built yet".into()),
};
