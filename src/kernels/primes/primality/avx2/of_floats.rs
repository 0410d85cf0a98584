//! The instructions of AVX2 for numbers below 2^50.

use std::arch::x86_64::*;

use super::{V, add, all, and, bit_as_sign, left, load, right, signs};
use crate::kernels::primes::primality::floats::Floats;
use crate::kernels::primes::primality::vectors::one_instruction_each;

/// The bits of 2^52 as a float: of its significand, the lowest bit is worth 1.
const UNITS: u64 = (52 + 1023) << 52;

impl Floats for __m256d {
    const LEN: usize = 4;
    type Words = V;

    #[inline(always)]
    fn load(words: &[u64]) -> V {
        load(words)
    }

    #[inline(always)]
    fn having(words: V, bit: u32) -> u64 {
        signs(bit_as_sign(words, bit)) as u64
    }

    #[inline(always)]
    fn of_words(words: V) -> Self {
        super::sub_floats(super::as_floats(add(words, all(UNITS))), Self::all(2.0_f64.powi(52)))
    }

    #[inline(always)]
    fn powers(words: V, low: u32, width: u32) -> Self {
        let digits = and(right(words, low), all((1 << width) - 1));
        super::as_floats(left(add(digits, all(1023)), 52))
    }

    one_instruction_each!();

    #[inline(always)]
    fn raised(self, other: Self) -> Self {
        self.add(super::and_signs(self, other))
    }

    #[inline(always)]
    fn select(words: V, bit: u32, clear: Self, set: Self) -> Self {
        super::choose_floats(bit_as_sign(words, bit), clear, set)
    }

    #[inline(always)]
    fn equal(self, other: Self) -> u64 {
        super::equal_floats(self, other) as u64
    }
}
