//! The instructions of AVX-512 for numbers below 2^50.

use std::arch::x86_64::*;

use super::{V, all, and, any_of, load, right};
use crate::kernels::primes::primality::floats::Floats;
use crate::kernels::primes::primality::vectors::one_instruction_each;

impl Floats for __m512d {
    const LEN: usize = 8;
    type Words = V;

    #[inline(always)]
    fn load(words: &[u64]) -> V {
        load(words)
    }

    #[inline(always)]
    fn having(words: V, bit: u32) -> u64 {
        u64::from(any_of(words, all(1 << bit)))
    }

    #[inline(always)]
    fn of_words(words: V) -> Self {
        super::to_floats(words)
    }

    #[inline(always)]
    fn powers(words: V, low: u32, width: u32) -> Self {
        super::scaled(Self::all(1.0), super::to_floats(and(right(words, low), all((1 << width) - 1))))
    }

    one_instruction_each!();

    #[inline(always)]
    fn raised(self, other: Self) -> Self {
        super::add_where(self, super::below(self, Self::all(0.0)), other)
    }

    #[inline(always)]
    fn select(words: V, bit: u32, clear: Self, set: Self) -> Self {
        super::choose_floats(any_of(words, all(1 << bit)), clear, set)
    }

    #[inline(always)]
    fn equal(self, other: Self) -> u64 {
        u64::from(super::equal_floats(self, other))
    }
}
