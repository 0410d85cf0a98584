//! `primes`: lists of numbers and ranges, against Miller and Rabin's test at its plainest and the sieve of Eratosthenes.

pub mod combinatorial;
pub mod numbers;
mod oracle;
pub mod ranges;
