//! Primality of 64-bit numbers, proven: trial division, then the test of Baillie, Pomerance, Selfridge and Wagstaff, which is
//! no probable one below 2^64.
//!
//! A number that no small prime divides is prime if it is a strong probable prime to base 2 and passes the almost extra
//! strong Lucas test with the parameter of Baillie's method C. Primes pass both; of the composites below 2^64 none does:
//!
//! - Feitsma and Galway listed all 118,968,378 pseudoprimes to base 2 below 2^64, among which are the 31,894,014 strong ones
//!   (Feitsma, "Pseudoprimes", 2013, with a check by Galway's own enumeration; OEIS A001567, A001262).
//! - Jacobsen ran the Lucas tests over that list: the standard, the strong, the extra strong, and the almost extra strong,
//!   which is this one. None of its numbers passes any of them ("Pseudoprime Statistics, Tables, and Data", 2013). Go's `math/big`
//!   documents the same pair as exact below 2^64.
//!
//! The tests are those of Baillie and Wagstaff, "Lucas Pseudoprimes", Math. Comp. 35 (1980), Grantham, "Frobenius
//! Pseudoprimes", Math. Comp. 70 (2001), and Baillie, OEIS A217719; the code is our own.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod batch;
#[cfg(target_arch = "x86_64")]
mod both;
#[cfg(target_arch = "x86_64")]
mod floats;
mod lanes;
mod lucas;
mod scalar;
#[cfg(test)]
mod tests;
mod trial;
#[cfg(target_arch = "x86_64")]
mod vectors;

pub(super) use batch::{Batch, Pace, is_short};
pub use batch::{instructions_of_lists, test_each};
pub(super) use trial::TRIAL_PRIMES;
pub(crate) use trial::inverse;

use scalar::Scalar;

/// Whether `n` is prime: certain for every `n`.
///
/// ```
/// assert!(tandem::kernels::primes::is_prime(18_446_744_073_709_551_557));
/// assert!(!tandem::kernels::primes::is_prime(3_825_123_056_546_413_051));
/// ```
pub fn is_prime(n: u64) -> bool {
    match trial::by_trial(n) {
        Some(prime) => prime,
        None => is_strong_to_two(n) && passes_lucas(n),
    }
}

/// Whether trial division, or a look at a table, decides about `n`.
pub(super) fn is_easy(n: u64) -> bool {
    trial::by_trial(n).is_some()
}

/// Whether `n`, odd and above 4096, is a strong probable prime to base 2.
fn is_strong_to_two(n: u64) -> bool {
    // SAFETY: `Scalar` needs no instruction set.
    unsafe { lanes::strong_to_two::<Scalar<1>>(&[n]) != 0 }
}

/// Whether `n`, odd and above 4096 and with no small factor, passes its Lucas test.
fn passes_lucas(n: u64) -> bool {
    // SAFETY: `Scalar` needs no instruction set.
    lucas::parameter(n).is_some_and(|parameter| unsafe { lanes::lucas::<Scalar<1>>(&[n], &[parameter]) != 0 })
}
