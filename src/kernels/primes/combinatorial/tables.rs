//! What all chunks look things up in, made once a job.

use std::ops::Range;

use crate::kernels::primes::base_primes::BasePrimes;
use crate::kernels::primes::combinatorial::SEGMENT_NUMBERS;
use crate::kernels::primes::combinatorial::easy::blocks;
use crate::kernels::primes::combinatorial::prime_counts::PrimeCounts;
use crate::kernels::primes::combinatorial::shape::Shape;
use crate::kernels::primes::combinatorial::small_phi::{GREATEST, PRIMES, small_phi};

/// The tables for π(n).
#[derive(Debug, PartialEq)]
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
    /// The tables that a job of this shape needs, of prime counts up to [`Tables::counted_to`] and of the factors up to y.
    pub fn new(shape: &Shape, counts: PrimeCounts, factors: Vec<i32>) -> Self {
        let (n, y) = (shape.n, shape.y);
        let root4 = n.isqrt().isqrt();
        // Up to the next prime after each that is looked up: there is one below twice any number.
        let primes_to = 2 * y.max(root4);
        let base = BasePrimes::up_to(primes_to);
        let primes: Vec<u32> = std::iter::once(0).chain(base.below_or_at(primes_to).iter().copied()).collect();
        let b_composite = (counts.at(y.isqrt()) as usize).max(PRIMES);
        let (a, blocks) = (counts.at(y) as usize, blocks(shape));
        Self { n, y, a, factors, primes, counts, b_composite, blocks, root4 }
    }

    /// Up to where primes are counted.
    pub fn counted_to(shape: &Shape) -> u64 {
        shape.n.isqrt().max(shape.y) + SEGMENT_NUMBERS
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
        let counted = Self::counted_to(shape);
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

/// Of each of these numbers its Möbius function times its least prime factor; that of 1 is as large as can be, and that of 0 is 0.
pub(super) fn factors(numbers: Range<u64>) -> Vec<i32> {
    let base = BasePrimes::up_to(numbers.end);
    // 1 stands for a number of which no factor is known yet.
    let mut factors = vec![1i32; (numbers.end - numbers.start) as usize];
    let first = |step: u64| (numbers.start.next_multiple_of(step).max(step) - numbers.start) as usize;
    for p in base.below_or_at(numbers.end).iter().map(|&p| u64::from(p)) {
        for factor in factors.iter_mut().skip(first(p)).step_by(p as usize) {
            *factor = if *factor == 1 { -(p as i32) } else { -*factor };
        }
        if p <= numbers.end / p {
            factors.iter_mut().skip(first(p * p)).step_by((p * p) as usize).for_each(|factor| *factor = 0);
        }
    }
    for (number, factor) in numbers.take_while(|&number| number < 2).zip(&mut factors) {
        *factor = if number == 1 { i32::MAX } else { 0 };
    }
    factors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_mobius_times_the_least_prime_factor() {
        let found = factors(0..1001);
        assert_eq!(found[..2], [0, i32::MAX]);
        for cuts in [[1, 2, 5], [4, 9, 500], [961, 962, 1000]] {
            let ends = [0, cuts[0], cuts[1], cuts[2], 1001];
            let pieces: Vec<i32> = ends.windows(2).flat_map(|ends| factors(ends[0]..ends[1])).collect();
            assert_eq!(pieces, found, "cut at {cuts:?}");
        }
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
