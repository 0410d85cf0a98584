//! The kernel `corr`: Pearson's correlation coefficients of the columns of a table, with each other or with those of another.
//!
//! The first pass finds the extremes of each column, and which rows have a NaN. By them the columns become whole numbers of 52
//! bits, whose products the second pass adds up; the coefficients are exact functions of those sums, rounded once. Where 52 bits
//! cannot promise an error below 1e-12, a third pass does the pairs in question with 104 bits. The scheme, the bound and its proof
//! are in `docs/corr.md`.

mod answer;
#[cfg(feature = "cli")]
mod args;
mod coefficients;
mod extremes;
mod gpu;
mod json;
mod kernel;
mod limbs;
mod output;
mod panels;
mod params;
mod pass;
mod products;
mod sample;
mod scale;
mod table;
#[cfg(test)]
mod tests;

use crate::job::Kind;

pub use answer::CorrAnswer;
pub use kernel::{CorrKernel, MAX_PAIRS};
pub use output::Matrix;
pub use params::{CorrInput, CorrParams};
pub use pass::{CorrPartial, CorrPass};
pub use table::Table;

/// The kind, for the registry.
pub static KIND: Kind = Kind {
    name: "corr",
    summary: "Correlation coefficients of the columns of a table, with each other or with those of another",
    variants: &["f32", "f64", "i32", "i64", "u32", "u64"],
    parse: json::parse,
    input_field: Some("path"),
    aside: &[],
    sample: sample::sample,
    operations_per_unit: |_| Some(sample::MULTIPLY_ADDS_PER_ROW),
    shaders: gpu::shaders,
    #[cfg(feature = "cli")]
    command: args::command,
    #[cfg(feature = "cli")]
    from_args: args::from_args,
};
