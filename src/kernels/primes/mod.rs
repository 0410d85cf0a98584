//! The kernel `primes`: which numbers of a list are prime ([`NumbersKernel`]), which of a range ([`RangeKernel`]), and how many a range has
//! without finding them ([`CombinatorialKernel`]). All of `u64`, and certain: no probable primes.

#[cfg(feature = "cli")]
mod args;
mod base_primes;
mod combinatorial;
mod cost;
mod effort;
mod gpu;
mod list;
mod lists;
mod number_range;
mod numbers;
mod numbers_answer;
mod operations;
mod params;
mod pieces;
mod primality;
mod range;
mod range_answer;
mod rendering;
mod sample;
mod sieve;
mod wheel;

#[cfg(test)]
mod tests;

pub use combinatorial::{CombinatorialKernel, CombinatorialPartial, CombinatorialPass};
pub use list::Numbers;
pub use number_range::NumberRange;
pub use numbers::{NumbersKernel, NumbersMode, NumbersPass, PrimesPartial};
pub use numbers_answer::{Flags, NumbersAnswer};
pub use params::{PrimesParams, RangeMethod};
pub use pieces::{BitPieces, BitReader, BitSet};
pub(crate) use primality::inverse;
pub use primality::{instructions_of_lists, is_prime, test_each};
pub use range::{RangeKernel, RangeMode, RangePass};
pub use range_answer::{Primes, RangeAnswer};
pub use wheel::{NUMBERS_PER_WORD, RESIDUES};

use crate::job::Kind;

/// The kind, for the registry.
pub static KIND: Kind = Kind {
    name: "primes",
    summary: "tells which numbers are prime, or counts or lists the primes of a range",
    variants: &["numbers", "range", "combinatorial"],
    parse: |text| Ok(Box::new(params::parse(text)?)),
    input_field: Some("file"),
    aside: &[],
    sample: |asked| Box::new(sample::sample(asked)),
    operations_per_unit: operations::per_unit,
    shaders: gpu::shaders,
    #[cfg(feature = "cli")]
    command: args::command,
    #[cfg(feature = "cli")]
    from_args: args::from_args,
};
