//! Numbers below 2^50 in floating point, exactly: a product and what its rounding lost are both floats, and so is what is left
//! of it by a quotient that is nearly right. It takes as many instructions as Montgomery's multiplication of one limb, but
//! none of them corrects the result, and powers of two cost nothing.

use super::lanes::Lanes;

/// Numbers from here on do not do.
pub(super) const END: u64 = 1 << 50;

/// A vector of `f64`, with the instructions that are needed. All of them are for code that is inlined into functions with the
/// instruction set only.
pub(super) trait Floats: Copy {
    const LEN: usize;
    /// As many words.
    type Words: Copy;

    fn load(words: &[u64]) -> Self::Words;
    /// Whose words have that bit.
    fn having(words: Self::Words, bit: u32) -> u64;
    /// Words below 2^52.
    fn of_words(words: Self::Words) -> Self;
    /// `2^digit`, where the digit is `width` bits from `low` on.
    fn powers(words: Self::Words, low: u32, width: u32) -> Self;
    fn all(x: f64) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// `self * factor - minuend`, rounded once.
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self;
    /// `minuend - self * factor`, rounded once.
    fn sub_mul(self, factor: Self, minuend: Self) -> Self;
    /// Rounded to integers.
    fn round(self) -> Self;
    /// With `other` added where it is negative.
    fn raised(self, other: Self) -> Self;
    /// `set` where the word has the bit.
    fn select(words: Self::Words, bit: u32, clear: Self, set: Self) -> Self;
    fn equal(self, other: Self) -> u64;
}

/// Modulo `N` vectors of numbers. Residues stand for themselves; they lie from `-n` to `n`.
#[derive(Clone, Copy)]
pub(super) struct Balanced<F, const N: usize> {
    n: [F; N],
    reciprocal: [F; N],
}

impl<F: Floats, const N: usize> Balanced<F, N> {
    /// `x` less the multiple of `n` next to it. It must be exact: an integer of 53 bits, or one times a power of two.
    #[inline(always)]
    fn reduced(&self, v: usize, x: F) -> F {
        x.mul(self.reciprocal[v]).round().sub_mul(self.n[v], x)
    }

    #[inline(always)]
    fn mul(&self, v: usize, x: F, y: F) -> F {
        // The quotient is below 2^50 and wrong by 3 in 2^53 before it is rounded: the rest is at most 7/8 of n, an integer,
        // and exact. What the product lost is at most n / 8, as it is below 2^100.
        let high = x.mul(y);
        let lost = x.mul_sub(y, high);
        self.reduced(v, high).add(lost)
    }

    #[inline(always)]
    fn mul_less(&self, v: usize, x: F, y: F, less: F) -> F {
        // As above, but the quotient is that of the difference.
        let high = x.mul(y);
        let lost = x.mul_sub(y, high);
        let reciprocal = self.reciprocal[v];
        let quotient = high.mul_sub(reciprocal, less.mul(reciprocal)).round();
        quotient.sub_mul(self.n[v], high).add(lost.sub(less))
    }
}

impl<F: Floats, const N: usize> Lanes for Balanced<F, N> {
    const LANES: usize = F::LEN * N;
    const SHIFT_BITS: u32 = 5;
    const START_BITS: u32 = 5;
    type Residues = [F; N];
    type Words = [F::Words; N];

    #[inline(always)]
    unsafe fn new(numbers: &[u64]) -> Self {
        let mut this = Self { n: [F::all(0.0); N], reciprocal: [F::all(0.0); N] };
        for v in 0..N {
            this.n[v] = F::of_words(F::load(&numbers[F::LEN * v..]));
            this.reciprocal[v] = F::all(1.0).div(this.n[v]);
        }
        this
    }

    #[inline(always)]
    fn words(&self, words: &[u64]) -> Self::Words {
        let mut vectors = [F::load(words); N];
        for (v, vector) in vectors.iter_mut().enumerate() {
            *vector = F::load(&words[F::LEN * v..]);
        }
        vectors
    }

    #[inline(always)]
    fn having(&self, words: Self::Words, bit: u32) -> u64 {
        let mut having = 0;
        for (v, &words) in words.iter().enumerate() {
            having |= F::having(words, bit) << (F::LEN * v);
        }
        having
    }

    #[inline(always)]
    fn one(&self) -> [F; N] {
        [F::all(1.0); N]
    }

    #[inline(always)]
    fn small(&self, words: &[u64]) -> [F; N] {
        let words = self.words(words);
        let mut small = self.n;
        for v in 0..N {
            small[v] = self.reduced(v, F::of_words(words[v])).raised(self.n[v]);
        }
        small
    }

    #[inline(always)]
    fn negative(&self, x: [F; N]) -> [F; N] {
        let mut negative = x;
        for v in 0..N {
            negative[v] = self.n[v].sub(x[v]);
        }
        negative
    }

    #[inline(always)]
    fn square_and_shift(&self, x: [F; N], words: Self::Words, low: u32, width: u32) -> [F; N] {
        let mut next = x;
        for v in 0..N {
            next[v] = self.mul(v, x[v], x[v]);
            if width > 0 {
                next[v] = self.reduced(v, next[v].mul(F::powers(words[v], low, width)));
            }
        }
        next
    }

    #[inline(always)]
    fn square_less(&self, x: [F; N], less: [F; N]) -> [F; N] {
        self.product_less(x, x, less)
    }

    #[inline(always)]
    fn product_less(&self, x: [F; N], y: [F; N], less: [F; N]) -> [F; N] {
        let mut next = x;
        for v in 0..N {
            next[v] = self.mul_less(v, x[v], y[v], less[v]);
        }
        next
    }

    #[inline(always)]
    fn select(&self, words: Self::Words, bit: u32, clear: [F; N], set: [F; N]) -> [F; N] {
        let mut selected = clear;
        for v in 0..N {
            selected[v] = F::select(words[v], bit, clear[v], set[v]);
        }
        selected
    }

    #[inline(always)]
    fn equal(&self, x: [F; N], least: [F; N]) -> u64 {
        let mut bits = 0;
        for v in 0..N {
            bits |= x[v].raised(self.n[v]).equal(least[v]) << (F::LEN * v);
        }
        bits
    }

    #[inline(always)]
    fn is_zero(&self, x: [F; N]) -> u64 {
        // It may be -n, 0, or n.
        self.equal(x, [F::all(0.0); N]) | self.equal(x, self.n)
    }
}
