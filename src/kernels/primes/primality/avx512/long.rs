//! Numbers from 2^52 on: two limbs of 52 bits, and R = 2^104, so that 40 bits are left over. Residues need no last subtraction:
//! what a multiplication gives is below `n + 2^40`, or `2n + 2^40` where a residue is subtracted too.

use super::{
    LIMB, V, add, all, all_floats, and, any_of, carry, choose, clamped_at_0, divide, equal, high, inverse, left_each,
    limb_1, load_all, low, mul_32, multiply_add, negative, right, sub, to_floats, truncated, zero,
};
use crate::kernels::primes::primality::lanes::Lanes;

/// Modulo `8 * N` numbers; `x` stands for `x / 2^104`.
#[derive(Clone, Copy)]
pub(super) struct Long<const N: usize> {
    n: [Two; N],
    /// The inverses of the numbers modulo 2^52.
    inverse: [V; N],
    one: [Two; N],
}

/// Eight numbers of two limbs, `x0 + x1 * 2^52`, with `x0` below 2^52.
#[derive(Clone, Copy)]
pub(super) struct Two(V, V);

/// Passes on what the lower limb has beside its 52 bits; it may be negative.
#[inline(always)]
fn normal(x0: V, x1: V) -> Two {
    Two(and(x0, all(LIMB)), add(x1, carry(x0)))
}

#[inline(always)]
fn difference(x: Two, y: Two) -> Two {
    normal(sub(x.0, y.0), sub(x.1, y.1))
}

/// `x`, or `x - n` where that is not negative.
#[inline(always)]
fn reduced(x: Two, n: Two) -> Two {
    let less = difference(x, n);
    let below = negative(less.1);
    Two(choose(below, less.0, x.0), choose(below, less.1, x.1))
}

/// `product / 2^104 + plus`, for the product of limbs `c`, each of which may be some bits longer. `plus` is `n` or more.
#[inline(always)]
fn montgomery(c: [V; 3], n: Two, inverse: V, plus: Two) -> (V, V) {
    // The multiple q0 + q1 * 2^52 of n whose lower two limbs are those of the product: their difference has none.
    let q0 = low(zero(), c[0], inverse);
    let g1 = low(high(zero(), q0, n.0), q0, n.1);
    let c1 = sub(c[1], g1);
    let q1 = low(zero(), c1, inverse);
    let g2 = low(high(high(zero(), q0, n.1), q1, n.0), q1, n.1);
    let g3 = high(zero(), q1, n.1);
    let c2 = add(add(c[2], plus.0), carry(c1));
    (sub(c2, g2), sub(plus.1, g3))
}

#[inline(always)]
fn square(x: Two) -> [V; 3] {
    let twice = add(x.1, x.1);
    [low(zero(), x.0, x.0), low(high(zero(), x.0, x.0), x.0, twice), high(mul_32(x.1, x.1), x.0, twice)]
}

#[inline(always)]
fn product(x: Two, y: Two) -> [V; 3] {
    [
        low(zero(), x.0, y.0),
        low(low(high(zero(), x.0, y.0), x.0, y.1), x.1, y.0),
        high(high(mul_32(x.1, y.1), x.0, y.1), x.1, y.0),
    ]
}

/// 2^104 modulo `n`.
#[inline(always)]
fn power_of_two(n: Two, whole: V) -> Two {
    // Below 2^52, and wrong by 1 at most before 2 are taken off: what is left over is below 4n.
    let quotient = sub(truncated(divide(all_floats(2.0_f64.powi(104)), to_floats(whole))), all(2));
    let rest =
        normal(sub(zero(), low(zero(), quotient, n.0)), sub(zero(), high(low(zero(), quotient, n.1), quotient, n.0)));
    // It is negative by 2^104, which its upper limb must not have.
    let rest = Two(rest.0, and(rest.1, all(LIMB)));
    reduced(reduced(reduced(rest, n), n), n)
}

impl<const N: usize> Long<N> {
    /// `x` below `3n`, reduced.
    #[inline(always)]
    fn least(&self, v: usize, x: Two) -> Two {
        reduced(reduced(x, self.n[v]), self.n[v])
    }
}

impl<const N: usize> Lanes for Long<N> {
    const LANES: usize = 8 * N;
    const SHIFT_BITS: u32 = 3;
    type Residues = [Two; N];
    type Words = [V; N];

    #[inline(always)]
    unsafe fn new(numbers: &[u64]) -> Self {
        let mut this = Self { n: [Two(zero(), zero()); N], inverse: [zero(); N], one: [Two(zero(), zero()); N] };
        let whole = load_all::<N>(numbers);
        for v in 0..N {
            let n = Two(and(whole[v], all(LIMB)), limb_1(whole[v]));
            this.n[v] = n;
            this.inverse[v] = inverse(n.0);
            this.one[v] = power_of_two(n, whole[v]);
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
        for v in 0..N {
            having |= u64::from(any_of(words[v], all(1 << bit))) << (8 * v);
        }
        having
    }

    #[inline(always)]
    fn one(&self) -> [Two; N] {
        self.one
    }

    #[inline(always)]
    fn small(&self, words: &[u64]) -> [Two; N] {
        let words = load_all::<N>(words);
        let mut small = self.one;
        for v in 0..N {
            let (n, one) = (self.n[v], self.one[v]);
            // Below 2^82, as the words are below 2^18: the quotient by n is wrong by 1 at most.
            let product = (low(zero(), one.0, words[v]), low(high(zero(), one.0, words[v]), one.1, words[v]));
            let float = |x0, x1| multiply_add(to_floats(x1), all_floats(2.0_f64.powi(52)), to_floats(x0));
            let quotient = truncated(divide(float(product.0, product.1), float(n.0, n.1)));
            let quotient = clamped_at_0(sub(quotient, all(1)));
            let multiple = (low(zero(), quotient, n.0), low(high(zero(), quotient, n.0), quotient, n.1));
            small[v] = self.least(v, normal(sub(product.0, multiple.0), sub(product.1, multiple.1)));
        }
        small
    }

    #[inline(always)]
    fn negative(&self, x: [Two; N]) -> [Two; N] {
        let mut negative = x;
        for v in 0..N {
            negative[v] = difference(self.n[v], x[v]);
        }
        negative
    }

    #[inline(always)]
    fn square_and_shift(&self, x: [Two; N], words: [V; N], at: u32, width: u32) -> [Two; N] {
        let mut next = x;
        for v in 0..N {
            let plus = Two(self.n[v].0, self.n[v].1);
            let (x0, x1) = montgomery(square(x[v]), self.n[v], self.inverse[v], plus);
            next[v] = if width == 0 {
                normal(x0, x1)
            } else {
                // x0 is below 2^55, and the digit at most 7.
                let digit = and(right(words[v], at), all((1 << width) - 1));
                normal(left_each(x0, digit), left_each(x1, digit))
            };
        }
        next
    }

    #[inline(always)]
    fn square_less(&self, x: [Two; N], less: [Two; N]) -> [Two; N] {
        let mut next = x;
        for v in 0..N {
            let n = self.n[v];
            let plus = Two(sub(add(n.0, n.0), less[v].0), sub(add(n.1, n.1), less[v].1));
            let (x0, x1) = montgomery(square(x[v]), n, self.inverse[v], plus);
            next[v] = normal(x0, x1);
        }
        next
    }

    #[inline(always)]
    fn product_less(&self, x: [Two; N], y: [Two; N], less: [Two; N]) -> [Two; N] {
        let mut next = x;
        for v in 0..N {
            let n = self.n[v];
            let plus = Two(sub(add(n.0, n.0), less[v].0), sub(add(n.1, n.1), less[v].1));
            let (x0, x1) = montgomery(product(x[v], y[v]), n, self.inverse[v], plus);
            next[v] = normal(x0, x1);
        }
        next
    }

    #[inline(always)]
    fn select(&self, words: [V; N], bit: u32, clear: [Two; N], set: [Two; N]) -> [Two; N] {
        let mut selected = clear;
        for v in 0..N {
            let mask = any_of(words[v], all(1 << bit));
            selected[v] = Two(choose(mask, clear[v].0, set[v].0), choose(mask, clear[v].1, set[v].1));
        }
        selected
    }

    #[inline(always)]
    fn equal(&self, x: [Two; N], least: [Two; N]) -> u64 {
        let mut bits = 0;
        for v in 0..N {
            let x = self.least(v, x[v]);
            bits |= u64::from(equal(x.0, least[v].0) & equal(x.1, least[v].1)) << (8 * v);
        }
        bits
    }

    #[inline(always)]
    fn is_zero(&self, x: [Two; N]) -> u64 {
        self.equal(x, [Two(zero(), zero()); N])
    }
}
