//! The kernel `primes`: which numbers of a list are prime ([`NumbersKernel`]), and which of a range ([`RangeKernel`]). All
//! of `u64`, and certain: no probable primes.

mod base_primes;
mod effort;
mod gpu;
mod list;
mod number_range;
mod numbers;
mod numbers_answer;
mod pieces;
mod primality;
mod range;
mod range_answer;
mod rendering;
mod sieve;
mod wheel;

#[cfg(test)]
mod tests;

pub use list::NumberList;
pub use number_range::NumberRange;
pub use numbers::{NumbersKernel, NumbersMode, NumbersPass, PrimesPartial};
pub use numbers_answer::{Flags, NumbersAnswer};
pub use pieces::{BitPieces, BitReader, BitSet};
pub use primality::{is_prime, test_each};
pub use range::{RangeKernel, RangeMode, RangePass};
pub use range_answer::{Primes, RangeAnswer};
pub use wheel::{NUMBERS_PER_WORD, RESIDUES};

use crate::kernels::KernelKind;

/// The kind, for the registry.
pub static KIND: KernelKind = KernelKind {
    name: "primes",
    summary: "",
    variants: &[],
    parse: |_| Err(serde::de::Error::custom("not built yet")),
    sample: |_| unreachable!("it has no variants"),
    shaders: gpu::shaders,
    #[cfg(feature = "cli")]
    command: || clap::Command::new("primes"),
    #[cfg(feature = "cli")]
    from_args: |_| Err("not built yet".into()),
};
