//! Numbers from 2^52 on: two limbs of 52 bits, and R = 2^104, so that 40 bits are left over. Residues need no last subtraction:
//! what a multiplication gives is below `n + 2^40`, or `2n + 2^40` where a residue is subtracted too.

use super::{
    LIMB, V, add, all, all_floats, and, any_of, carry, choose, clamped_at_0, divide, equal, high, inverse, left_each,
    limb_1, load_all, low, multiply_add, negative, right, sub, to_floats, truncated, zero,
};
use crate::kernels::primes::primality::lanes::Lanes;

/// Modulo `8 * N` numbers; `x` stands for `x / 2^104`.
#[derive(Clone, Copy)]
pub(super) struct Long<const N: usize> {
    n: [Two; N],
    /// The inverses of the negative numbers modulo 2^52.
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

/// The limbs of a square. To the lower two, 2^52 - 1 is added, to the third `plus`.
#[inline(always)]
fn square(x: Two, plus: V) -> [V; 3] {
    let twice = add(x.1, x.1);
    [low(all(LIMB), x.0, x.0), low(high(all(LIMB), x.0, x.0), x.0, twice), high(low(plus, x.1, x.1), x.0, twice)]
}

/// The limbs of a product; see [`square`].
#[inline(always)]
fn product(x: Two, y: Two, plus: V) -> [V; 3] {
    [
        low(all(LIMB), x.0, y.0),
        low(low(high(all(LIMB), x.0, y.0), x.0, y.1), x.1, y.0),
        high(high(low(plus, x.1, y.1), x.0, y.1), x.1, y.0),
    ]
}

/// A product divided by 2^104, given by its limbs, and `plus` for the fourth: its two limbs, the lower of which has some bits
/// more. `inverse` is that of `-n`.
#[inline(always)]
fn montgomery(c: [V; 3], n: Two, inverse: V, plus: V) -> (V, V) {
    // A multiple q0 + q1 * 2^52 of n is added that makes the two lower limbs 0. What they carry is their sum with the
    // multiple's over 2^52, which is the limb over 2^52, rounded up: that is why 2^52 - 1 was added to it. As q that
    // amounts to an inverse more. Multiplications take the low 52 bits of anything.
    let q0 = low(inverse, c[0], inverse);
    let c1 = low(high(add(c[1], limb_1(c[0])), q0, n.0), q0, n.1);
    let q1 = low(inverse, c1, inverse);
    let c2 = low(high(high(add(c[2], limb_1(c1)), q0, n.1), q1, n.0), q1, n.1);
    (c2, high(plus, q1, n.1))
}

/// Passes on what the lower limb has beside its 52 bits, and leaves it there, as multiplications do not see it.
#[inline(always)]
fn carried((x0, x1): (V, V)) -> Two {
    Two(x0, add(x1, limb_1(x0)))
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
        let x = Two(and(x.0, all(LIMB)), x.1);
        reduced(reduced(x, self.n[v]), self.n[v])
    }
}

impl<const N: usize> Lanes for Long<N> {
    const LANES: usize = 8 * N;
    const SHIFT_BITS: u32 = 3;
    const START_BITS: u32 = 5;
    type Residues = [Two; N];
    type Words = [V; N];

    #[inline(always)]
    unsafe fn new(numbers: &[u64]) -> Self {
        let mut this = Self { n: [Two(zero(), zero()); N], inverse: [zero(); N], one: [Two(zero(), zero()); N] };
        let whole = load_all::<N>(numbers);
        for (v, whole) in whole.into_iter().enumerate() {
            let n = Two(and(whole, all(LIMB)), limb_1(whole));
            this.n[v] = n;
            this.inverse[v] = and(sub(zero(), inverse(n.0)), all(LIMB));
            this.one[v] = power_of_two(n, whole);
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
    fn one(&self) -> [Two; N] {
        self.one
    }

    #[inline(always)]
    fn small(&self, words: &[u64]) -> [Two; N] {
        let words = load_all::<N>(words);
        let mut small = self.one;
        for v in 0..N {
            let (n, one) = (self.n[v], self.one[v]);
            // Below 2^104, as the words are below 2^40, as the quotient by n is, which is wrong by 1 at most.
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
            let square = square(x[v], zero());
            let (x0, x1) = montgomery(square, self.n[v], self.inverse[v], zero());
            next[v] = if width == 0 {
                carried((x0, x1))
            } else {
                // x0 is below 2^55, and the digit at most 7.
                let digit = and(right(words[v], at), all((1 << width) - 1));
                carried((left_each(x0, digit), left_each(x1, digit)))
            };
        }
        next
    }

    #[inline(always)]
    fn square_less(&self, x: [Two; N], less: [Two; N]) -> [Two; N] {
        let mut next = x;
        for v in 0..N {
            let plus = difference(self.n[v], less[v]);
            let square = square(x[v], plus.0);
            next[v] = carried(montgomery(square, self.n[v], self.inverse[v], plus.1));
        }
        next
    }

    #[inline(always)]
    fn product_less(&self, x: [Two; N], y: [Two; N], less: [Two; N]) -> [Two; N] {
        let mut next = x;
        for v in 0..N {
            let plus = difference(self.n[v], less[v]);
            let product = product(x[v], y[v], plus.0);
            next[v] = carried(montgomery(product, self.n[v], self.inverse[v], plus.1));
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
