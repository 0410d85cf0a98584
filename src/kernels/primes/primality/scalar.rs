//! The arithmetic of any machine: products of 64 by 64 bits, of several numbers in turn.

use std::hint::select_unpredictable;

use super::lanes::Lanes;
use super::trial::inverse;

/// Modulo `N` numbers below 2^64; `x` stands for `x / 2^64`, and all residues are the least of their class.
#[derive(Clone, Copy)]
pub(super) struct Scalar<const N: usize> {
    n: [u64; N],
    inverse: [u64; N],
}

impl<const N: usize> Scalar<N> {
    #[inline(always)]
    pub(super) fn mul(&self, lane: usize, a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        let quotient = (product as u64).wrapping_mul(self.inverse[lane]);
        let reduction = ((u128::from(quotient) * u128::from(self.n[lane])) >> 64) as u64;
        self.difference(lane, (product >> 64) as u64, reduction)
    }

    #[inline(always)]
    pub(super) fn double(&self, lane: usize, x: u64) -> u64 {
        self.difference(lane, x, self.n[lane] - x)
    }

    #[inline(always)]
    pub(super) fn difference(&self, lane: usize, a: u64, b: u64) -> u64 {
        let (difference, borrow) = a.overflowing_sub(b);
        select_unpredictable(borrow, difference.wrapping_add(self.n[lane]), difference)
    }
}

impl<const N: usize> Lanes for Scalar<N> {
    const LANES: usize = N;
    const SHIFT_BITS: u32 = 1;
    const START_BITS: u32 = 5;
    type Residues = [u64; N];
    type Words = [u64; N];

    #[inline(always)]
    unsafe fn new(numbers: &[u64]) -> Self {
        let mut n = [0; N];
        n.copy_from_slice(&numbers[..N]);
        Self { n, inverse: n.map(inverse) }
    }

    #[inline(always)]
    fn words(&self, words: &[u64]) -> [u64; N] {
        let mut first = [0; N];
        first.copy_from_slice(&words[..N]);
        first
    }

    #[inline(always)]
    fn having(&self, words: [u64; N], bit: u32) -> u64 {
        (0..N).fold(0, |having, lane| having | (words[lane] >> bit & 1) << lane)
    }

    #[inline(always)]
    fn one(&self) -> [u64; N] {
        self.n.map(|n| u64::MAX % n + 1)
    }

    #[inline(always)]
    fn small(&self, words: &[u64]) -> [u64; N] {
        let one = self.one();
        let mut small = [0; N];
        for lane in 0..N {
            small[lane] = (u128::from(words[lane]) * u128::from(one[lane]) % u128::from(self.n[lane])) as u64;
        }
        small
    }

    #[inline(always)]
    fn negative(&self, x: [u64; N]) -> [u64; N] {
        let mut negative = [0; N];
        for lane in 0..N {
            negative[lane] = self.n[lane] - x[lane];
        }
        negative
    }

    #[inline(always)]
    fn square_and_shift(&self, x: [u64; N], words: [u64; N], low: u32, width: u32) -> [u64; N] {
        let mut next = x;
        for lane in 0..N {
            let square = self.mul(lane, x[lane], x[lane]);
            let double = self.double(lane, square);
            let doubles = width == 1 && words[lane] >> low & 1 == 1;
            next[lane] = select_unpredictable(doubles, double, square);
        }
        next
    }

    #[inline(always)]
    fn square_less(&self, x: [u64; N], less: [u64; N]) -> [u64; N] {
        self.product_less(x, x, less)
    }

    #[inline(always)]
    fn product_less(&self, x: [u64; N], y: [u64; N], less: [u64; N]) -> [u64; N] {
        let mut product = x;
        for lane in 0..N {
            product[lane] = self.difference(lane, self.mul(lane, x[lane], y[lane]), less[lane]);
        }
        product
    }

    #[inline(always)]
    fn select(&self, words: [u64; N], bit: u32, clear: [u64; N], set: [u64; N]) -> [u64; N] {
        let mut selected = clear;
        for lane in 0..N {
            selected[lane] = select_unpredictable(words[lane] >> bit & 1 == 1, set[lane], clear[lane]);
        }
        selected
    }

    #[inline(always)]
    fn equal(&self, x: [u64; N], least: [u64; N]) -> u64 {
        (0..N).fold(0, |equal, lane| equal | u64::from(x[lane] == least[lane]) << lane)
    }

    #[inline(always)]
    fn is_zero(&self, x: [u64; N]) -> u64 {
        self.equal(x, [0; N])
    }
}
