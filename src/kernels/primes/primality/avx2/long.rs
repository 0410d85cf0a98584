//! Numbers of 64 bits: two limbs of 32 bits, and R = 2^64. All residues are the least of their class.

use super::{
    V, above, add, all, and, bit_as_sign, choose, equal, for_each_vector, high_half, load, low_half, mul_32, signs,
    sub, xor, zero,
};
use crate::kernels::primes::primality::lanes::Lanes;

/// Modulo `4 * N` numbers; `x` stands for `x / 2^64`.
#[derive(Clone, Copy)]
pub(super) struct Long<const N: usize> {
    n: [V; N],
    /// Their upper limbs.
    n1: [V; N],
    /// Their inverses modulo 2^32.
    inverse: [V; N],
    one: [V; N],
    /// What stands for 2^64: multiplication by it turns `x` into what stands for `x`.
    to_residue: [V; N],
}

/// `a - b` modulo `n`, for residues.
#[inline(always)]
fn difference(a: V, b: V, n: V) -> V {
    // Compared as signed numbers, which the other sign makes of unsigned ones.
    let sign = all(1 << 63);
    let below = above(xor(b, sign), xor(a, sign));
    add(sub(a, b), and(below, n))
}

impl<const N: usize> Long<N> {
    /// The product of residues, from those of their limbs.
    #[inline(always)]
    fn montgomery(&self, v: usize, p00: V, p01: V, p10: V, p11: V) -> V {
        let (n, n1, inverse) = (self.n[v], self.n1[v], self.inverse[v]);
        // The upper half of the product, and the upper limb of the lower half, in the lower half of `middle`.
        let first = add(p01, high_half(p00));
        let middle = add(low_half(first), p10);
        let upper = add(add(p11, high_half(first)), high_half(middle));
        // The same of the multiple of n whose lower half is the same; multiplications take the low 32 bits of anything.
        let q0 = mul_32(p00, inverse);
        let first = add(mul_32(q0, n1), high_half(mul_32(q0, n)));
        let q1 = mul_32(sub(middle, first), inverse);
        let middle = add(low_half(first), mul_32(q1, n));
        let multiple = add(add(mul_32(q1, n1), high_half(first)), high_half(middle));
        difference(upper, multiple, n)
    }

    #[inline(always)]
    fn square(&self, v: usize, x: V) -> V {
        let x1 = high_half(x);
        let p01 = mul_32(x, x1);
        self.montgomery(v, mul_32(x, x), p01, p01, mul_32(x1, x1))
    }

    #[inline(always)]
    fn product(&self, v: usize, x: V, y: V) -> V {
        let (x1, y1) = (high_half(x), high_half(y));
        self.montgomery(v, mul_32(x, y), mul_32(x, y1), mul_32(x1, y), mul_32(x1, y1))
    }
}

impl<const N: usize> Lanes for Long<N> {
    const LANES: usize = 4 * N;
    const SHIFT_BITS: u32 = 1;
    const START_BITS: u32 = 0;
    type Residues = [V; N];
    type Words = [V; N];

    #[inline(always)]
    unsafe fn new(numbers: &[u64]) -> Self {
        let mut this =
            Self { n: [zero(); N], n1: [zero(); N], inverse: [zero(); N], one: [zero(); N], to_residue: [zero(); N] };
        this.n = this.words(numbers);
        for v in 0..N {
            let n = this.n[v];
            this.n1[v] = high_half(n);
            // Newton's iteration: 5 bits to begin with, doubled three times.
            let mut inverse = xor(add(n, add(n, n)), all(2));
            for _ in 0..3 {
                inverse = mul_32(inverse, sub(all(2), mul_32(n, inverse)));
            }
            this.inverse[v] = inverse;
        }
        let mut one = [0; 64];
        for (one, n) in one.iter_mut().zip(numbers).take(Self::LANES) {
            *one = u64::MAX % n + 1;
        }
        this.one = this.words(&one);
        for_each_vector!(v in N {
            // 2, squared six times.
            let (n, one) = (this.n[v], this.one[v]);
            let mut power = difference(one, sub(n, one), n);
            for _ in 0..6 {
                power = this.square(v, power);
            }
            this.to_residue[v] = power;
        });
        this
    }

    #[inline(always)]
    fn words(&self, words: &[u64]) -> [V; N] {
        let mut vectors = [zero(); N];
        for (v, vector) in vectors.iter_mut().enumerate() {
            *vector = load(&words[4 * v..]);
        }
        vectors
    }

    #[inline(always)]
    fn having(&self, words: [V; N], bit: u32) -> u64 {
        let mut having = 0;
        for (v, &words) in words.iter().enumerate() {
            having |= (signs(bit_as_sign(words, bit)) as u64) << (4 * v);
        }
        having
    }

    #[inline(always)]
    fn one(&self) -> [V; N] {
        self.one
    }

    #[inline(always)]
    fn small(&self, words: &[u64]) -> [V; N] {
        let words = self.words(words);
        let mut small = words;
        for_each_vector!(v in N {
            small[v] = self.product(v, words[v], self.to_residue[v]);
        });
        small
    }

    #[inline(always)]
    fn negative(&self, x: [V; N]) -> [V; N] {
        let mut negative = x;
        for_each_vector!(v in N {
            negative[v] = sub(self.n[v], x[v]);
        });
        negative
    }

    #[inline(always)]
    fn square_and_shift(&self, x: [V; N], words: [V; N], low: u32, width: u32) -> [V; N] {
        let mut next = x;
        for_each_vector!(v in N {
            next[v] = self.square(v, x[v]);
            if width == 1 {
                let double = difference(next[v], sub(self.n[v], next[v]), self.n[v]);
                next[v] = choose(bit_as_sign(words[v], low), next[v], double);
            }
        });
        next
    }

    #[inline(always)]
    fn square_less(&self, x: [V; N], less: [V; N]) -> [V; N] {
        let mut next = x;
        for_each_vector!(v in N {
            next[v] = difference(self.square(v, x[v]), less[v], self.n[v]);
        });
        next
    }

    #[inline(always)]
    fn product_less(&self, x: [V; N], y: [V; N], less: [V; N]) -> [V; N] {
        let mut next = x;
        for_each_vector!(v in N {
            next[v] = difference(self.product(v, x[v], y[v]), less[v], self.n[v]);
        });
        next
    }

    #[inline(always)]
    fn select(&self, words: [V; N], bit: u32, clear: [V; N], set: [V; N]) -> [V; N] {
        let mut selected = clear;
        for_each_vector!(v in N {
            selected[v] = choose(bit_as_sign(words[v], bit), clear[v], set[v]);
        });
        selected
    }

    #[inline(always)]
    fn equal(&self, x: [V; N], least: [V; N]) -> u64 {
        let mut bits = 0;
        for_each_vector!(v in N {
            bits |= (signs(equal(x[v], least[v])) as u64) << (4 * v);
        });
        bits
    }

    #[inline(always)]
    fn is_zero(&self, x: [V; N]) -> u64 {
        self.equal(x, [zero(); N])
    }
}
