//! What all chunks look things up in, made once a job.

use crate::kernels::primes::base_primes::BasePrimes;
use crate::kernels::primes::combinatorial::SEGMENT_NUMBERS;
use crate::kernels::primes::combinatorial::easy::blocks;
use crate::kernels::primes::combinatorial::prime_counts::PrimeCounts;
use crate::kernels::primes::combinatorial::shape::Shape;
use crate::kernels::primes::combinatorial::small_phi::{GREATEST, PRIMES, small_phi};

/// The tables for π(n).
#[derive(Debug)]
pub(super) struct Tables {
    pub n: u64,
    pub y: u64,
    /// The b-th prime by b from 1 on, up to y and some more; the first entry is 0.
    pub primes: Vec<u32>,
    /// π(v) up to √n and some more.
    pub counts: PrimeCounts,
    /// Of each number up to y its Möbius function times its least prime factor; that of 1 is as large as can be.
    pub factors: Vec<i32>,
    /// π(y).
    pub a: usize,
    /// The greatest b that leaves of composite m can have, and those with hard leaves at all: up to there by √y, or by n^(1/4).
    pub b_composite: usize,
    /// The ends of the blocks of easy leaves.
    pub blocks: Vec<u64>,
    /// n^(1/4).
    root4: u64,
}

impl Tables {
    /// The tables that a job of this shape needs.
    pub fn new(shape: &Shape) -> Self {
        let (n, y) = (shape.n, shape.y);
        let root4 = n.isqrt().isqrt();
        let counts = PrimeCounts::up_to(n.isqrt().max(y) + SEGMENT_NUMBERS);
        // Up to the next prime after each that is looked up: there is one below twice any number.
        let primes_to = 2 * y.max(root4);
        let base = BasePrimes::up_to(primes_to);
        let primes: Vec<u32> = std::iter::once(0).chain(base.below_or_at(primes_to).iter().copied()).collect();
        let b_composite = (counts.at(y.isqrt()) as usize).max(PRIMES);
        let (a, factors, blocks) = (counts.at(y) as usize, factors(y, &primes), blocks(shape));
        Self { n, y, a, factors, primes, counts, b_composite, blocks, root4 }
    }

    /// The b-th prime.
    #[inline(always)]
    pub fn prime(&self, b: usize) -> u64 {
        u64::from(self.primes[b])
    }

    /// The greatest b of hard leaves n/m from `low` on.
    pub fn b_hard(&self, low: u64) -> usize {
        // Those of prime m are at least p_b², and m is above p_b: n / (p_b · m) < n / p_b².
        let root = self.n.checked_div(low).map_or(self.root4, |quotient| self.root4.min(quotient.isqrt()));
        (self.counts.at(root) as usize).max(self.b_composite)
    }

    /// The ordinary leaves, the trivial leaves that belong to no step, and what stands beside φ(n, a) in π(n) but for P2.
    pub fn rest(&self) -> i128 {
        let ordinary =
            self.factors.iter().enumerate().skip(1).filter(|(_, factor)| factor.unsigned_abs() as u64 > GREATEST);
        let ordinary: i128 =
            ordinary.map(|(m, factor)| i128::from(factor.signum()) * i128::from(small_phi(self.n / m as u64))).sum();
        // Above the cube root all leaves are trivial: one for each prime from p_b on up to y.
        let after = self.a - (self.counts.at(cube_root(self.n)) as usize).max(self.b_composite);
        ordinary + (after as i128 * (after as i128 - 1)) / 2 + self.a as i128 - 1
    }

    /// About how many bytes they take for a job of this shape.
    pub fn bytes(shape: &Shape) -> u64 {
        let counted = shape.n.isqrt().max(shape.y) + SEGMENT_NUMBERS;
        let primes = shape.y as f64 * 2.4 / (shape.y.max(3) as f64).ln();
        shape.y * 4 + counted / 20 + primes as u64 * 4
    }
}

/// The integer cube root.
pub(super) fn cube_root(n: u64) -> u64 {
    let mut root = (n as f64).cbrt() as u64;
    let cube = |root: u64| u128::from(root).pow(3);
    while cube(root) > u128::from(n) {
        root -= 1;
    }
    while cube(root + 1) <= u128::from(n) {
        root += 1;
    }
    root
}

/// Of each number up to `y` its Möbius function times its least prime factor.
fn factors(y: u64, primes: &[u32]) -> Vec<i32> {
    // 1 stands for a number of which no factor is known yet.
    let mut factors = vec![1i32; y as usize + 1];
    for p in primes.iter().skip(1).map(|&p| p as usize).take_while(|&p| p as u64 <= y) {
        for factor in factors.iter_mut().skip(p).step_by(p) {
            *factor = if *factor == 1 { -(p as i32) } else { -*factor };
        }
        if p as u64 <= y / p as u64 {
            factors.iter_mut().skip(p * p).step_by(p * p).for_each(|factor| *factor = 0);
        }
    }
    factors[0] = 0;
    if let Some(one) = factors.get_mut(1) {
        *one = i32::MAX;
    }
    factors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_mobius_times_the_least_prime_factor() {
        let base = BasePrimes::up_to(1000);
        let primes: Vec<u32> = std::iter::once(0).chain(base.below_or_at(1000).iter().copied()).collect();
        let found = factors(1000, &primes);
        for m in 2..=1000u32 {
            let (mut rest, mut mobius, mut least) = (m, 1i32, 0);
            for p in 2..=m {
                let mut times = 0;
                while rest.is_multiple_of(p) {
                    rest /= p;
                    times += 1;
                }
                if times > 0 {
                    least = if least == 0 { p } else { least };
                    mobius *= if times == 1 { -1 } else { 0 };
                }
            }
            assert_eq!(found[m as usize], mobius * least as i32, "{m}");
        }
    }

    #[test]
    fn cube_roots_are_whole_and_never_too_large() {
        for n in [0, 1, 7, 8, 26, 27, 999_999_999_999_999_999, 1_000_000_000_000_000_000, u64::MAX] {
            let root = u128::from(cube_root(n));
            assert!(root.pow(3) <= u128::from(n) && (root + 1).pow(3) > u128::from(n), "{n}");
        }
    }
}
