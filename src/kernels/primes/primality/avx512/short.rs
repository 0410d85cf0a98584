//! Numbers below 2^52: one limb, and R = 2^52. All residues are the least of their class.

use std::arch::x86_64::*;

use super::{
    LIMB, V, add, all, and, any_of, choose, divide, equal, high, inverse, load_all, low, min, mul_64, multiply, sub,
    to_floats, truncated, zero,
};
use crate::kernels::primes::primality::lanes::Lanes;

/// Modulo `8 * N` numbers; `x` stands for `x / 2^52`.
#[derive(Clone, Copy)]
pub(super) struct Short<const N: usize> {
    n: [V; N],
    /// Their inverses modulo 2^52.
    inverse: [V; N],
    one: [V; N],
}

/// `x` from `-n` to `n`, as a residue: a negative number is greater than any other without its sign.
#[inline(always)]
fn raised(x: V, n: V) -> V {
    min(x, add(x, n))
}

/// `x` below `2n`, as a residue.
#[inline(always)]
fn reduced(x: V, n: V) -> V {
    min(x, sub(x, n))
}

/// The remainder of a dividend by `n`, given its low 64 bits and the quotient, below 2^40 and wrong by 1 at most.
#[inline(always)]
fn remainder(dividend: V, quotient: __m512d, n: V) -> V {
    let rest = sub(dividend, mul_64(truncated(quotient), n));
    reduced(raised(rest, n), n)
}

impl<const N: usize> Short<N> {
    #[inline(always)]
    fn mul(&self, v: usize, x: V, y: V) -> V {
        let quotient = low(zero(), low(zero(), x, y), self.inverse[v]);
        raised(sub(high(zero(), x, y), high(zero(), quotient, self.n[v])), self.n[v])
    }
}

impl<const N: usize> Lanes for Short<N> {
    const LANES: usize = 8 * N;
    const SHIFT_BITS: u32 = 1;
    const START_BITS: u32 = 5;
    type Residues = [V; N];
    type Words = [V; N];

    #[inline(always)]
    unsafe fn new(numbers: &[u64]) -> Self {
        let n = load_all::<N>(numbers);
        let mut this = Self { n, inverse: n, one: n };
        for (v, n) in n.into_iter().enumerate() {
            this.inverse[v] = and(inverse(n), all(LIMB));
            let power = all(1 << 52);
            this.one[v] = remainder(power, divide(to_floats(power), to_floats(n)), n);
        }
        this
    }

    #[inline(always)]
    fn words(&self, words: &[u64]) -> [V; N] {
        load_all(words)
    }

    #[inline(always)]
    fn having(&self, words: [V; N], bit: u32) -> u64 {
        let mut having = 0;
        for (v, &words) in words.iter().enumerate() {
            having |= u64::from(any_of(words, all(1 << bit))) << (8 * v);
        }
        having
    }

    #[inline(always)]
    fn one(&self) -> [V; N] {
        self.one
    }

    #[inline(always)]
    fn small(&self, words: &[u64]) -> [V; N] {
        let words = load_all::<N>(words);
        let mut small = self.one;
        for v in 0..N {
            let quotient = divide(multiply(to_floats(words[v]), to_floats(self.one[v])), to_floats(self.n[v]));
            small[v] = remainder(mul_64(words[v], self.one[v]), quotient, self.n[v]);
        }
        small
    }

    #[inline(always)]
    fn negative(&self, x: [V; N]) -> [V; N] {
        let mut negative = x;
        for v in 0..N {
            negative[v] = sub(self.n[v], x[v]);
        }
        negative
    }

    #[inline(always)]
    fn square_and_shift(&self, x: [V; N], words: [V; N], at: u32, width: u32) -> [V; N] {
        let mut next = x;
        for v in 0..N {
            next[v] = self.mul(v, x[v], x[v]);
            if width == 1 {
                let double = choose(any_of(words[v], all(1 << at)), next[v], add(next[v], next[v]));
                next[v] = reduced(double, self.n[v]);
            }
        }
        next
    }

    #[inline(always)]
    fn square_less(&self, x: [V; N], less: [V; N]) -> [V; N] {
        self.product_less(x, x, less)
    }

    #[inline(always)]
    fn product_less(&self, x: [V; N], y: [V; N], less: [V; N]) -> [V; N] {
        let mut next = x;
        for v in 0..N {
            next[v] = raised(sub(self.mul(v, x[v], y[v]), less[v]), self.n[v]);
        }
        next
    }

    #[inline(always)]
    fn select(&self, words: [V; N], bit: u32, clear: [V; N], set: [V; N]) -> [V; N] {
        let mut selected = clear;
        for v in 0..N {
            selected[v] = choose(any_of(words[v], all(1 << bit)), clear[v], set[v]);
        }
        selected
    }

    #[inline(always)]
    fn equal(&self, x: [V; N], least: [V; N]) -> u64 {
        let mut bits = 0;
        for v in 0..N {
            bits |= u64::from(equal(x[v], least[v])) << (8 * v);
        }
        bits
    }

    #[inline(always)]
    fn is_zero(&self, x: [V; N]) -> u64 {
        self.equal(x, [zero(); N])
    }
}
