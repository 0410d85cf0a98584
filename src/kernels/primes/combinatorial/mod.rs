//! How many primes a range has, without finding them: π(b - 1) - π(a - 1), each by the method of Lagarias, Miller and Odlyzko
//! (*Computing π(x): the Meissel-Lehmer method*, Math. Comp. 44, 1985, <https://doi.org/10.1090/S0025-5718-1985-0777285-5>) with
//! the easy leaves of Deléglise and Rivat (*Computing π(x)*, Math. Comp. 65, 1996,
//! <https://doi.org/10.1090/S0025-5718-96-00674-6>), in some n^(2/3) steps instead of n.
//!
//! Let φ(v, b) be how many of 1..=v the first b primes do not divide. With y between the cube root and the square root of n, and
//! a = π(y), each number up to n that the first a primes do not divide is 1, a prime, or a product of two primes:
//!
//! ```text
//! π(n) = φ(n, a) + a - 1 - P2        P2 = Σ over primes y < p <= √n of π(n/p) - π(p) + 1
//! ```
//!
//! φ(n, a) falls apart by φ(v, b) = φ(v, b - 1) - φ(v/p_b, b - 1) into leaves ±φ(n/m, b): *ordinary* ones, where m <= y and b = 7, that
//! a table answers ([`small_phi`]); and *special* ones, where m = p_b · k passes y for the first time. Of these φ is 1 where
//! n/m < p_b (*trivial*), a count of primes where n/m < p_b² (*easy*: [`easy`]), or else has to be counted while the numbers up to
//! n/y are sieved by one prime after the other (*hard*: [`hard`]). P2 is counted where the primes of the same stretch are
//! known ([`pairs`]).
//!
//! Stretches of the sieve do not know what the ones before them have left. Each counts its leaves from its own start, notes how many leaves it has
//! for each b, and how much it has left; two that lie next to each other become one ([`partial`]). All of it is integers, and
//! exact.

mod easy;
mod hard;
mod kernel;
mod making;
mod pairs;
mod partial;
mod prime_counts;
mod shape;
mod small_phi;
mod tables;

#[cfg(test)]
mod tests;

pub use kernel::{CombinatorialKernel, CombinatorialPass};
pub use partial::CombinatorialPartial;
pub(super) use shape::greatest_of_units;

/// Words of 240 numbers in a segment of the sieve: 32 KiB, which a core keeps near. Also the units of a step, whatever the step does.
const SEGMENT_WORDS: usize = 1 << 12;
/// The numbers of a segment.
const SEGMENT_NUMBERS: u64 = SEGMENT_WORDS as u64 * super::NUMBERS_PER_WORD;
