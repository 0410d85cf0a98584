//! Arithmetic modulo an odd number of 64 or of 128 bits, without division: Montgomery, "Modular multiplication without trial
//! division", Math. Comp. 44 (1985).

use crate::kernels::primes::inverse;
use std::fmt::Debug;

use num_integer::Integer;
use num_traits::{One, PrimInt, Zero};

/// Arithmetic modulo an odd number above 2. A residue `x` is held as `x R mod n`, where `R` is 2^64 or 2^128, and is
/// always below `n`.
pub(super) trait Modulus: Copy + Debug {
    /// What holds the number and its residues.
    type Word: PrimInt + Integer + Debug;

    /// The number.
    fn number(self) -> Self::Word;

    /// The residue of 1.
    fn one(self) -> Self::Word;

    /// `a * b`.
    fn mul(self, a: Self::Word, b: Self::Word) -> Self::Word;

    /// `a + b`.
    fn add(self, a: Self::Word, b: Self::Word) -> Self::Word;

    /// `a - b`.
    fn sub(self, a: Self::Word, b: Self::Word) -> Self::Word;

    /// `a * a`.
    #[inline(always)]
    fn square(self, a: Self::Word) -> Self::Word {
        self.mul(a, a)
    }

    /// The residue of a small number.
    fn residue(self, small: u64) -> Self::Word {
        let mut residue = Self::Word::zero();
        for bit in (0..64 - small.leading_zeros()).rev() {
            residue = self.add(residue, residue);
            if small >> bit & 1 == 1 {
                residue = self.add(residue, self.one());
            }
        }
        residue
    }

    /// `a^exponent`.
    fn power(self, a: Self::Word, exponent: Self::Word) -> Self::Word {
        let mut power = self.one();
        for bit in (0..Self::Word::zero().leading_zeros() - exponent.leading_zeros()).rev() {
            power = self.square(power);
            if (exponent >> bit as usize) & Self::Word::one() == Self::Word::one() {
                power = self.mul(power, a);
            }
        }
        power
    }

    /// The greatest common divisor of `a` and the number: the factor `R` of residues has none with it.
    fn gcd(self, a: Self::Word) -> Self::Word {
        a.gcd(&self.number())
    }

    /// The `b` with `a * b = 1`; the common divisor where `a` has none.
    fn invert(self, a: Self::Word) -> Result<Self::Word, Self::Word> {
        // Euclid's algorithm. Its coefficients alternate in sign and stay below the number, so magnitudes are enough.
        let n = self.number();
        let (zero, one) = (Self::Word::zero(), Self::Word::one());
        let (mut remainder, mut next) = (n, a);
        let (mut coefficient, mut next_coefficient) = (zero, one);
        let mut negative = true;
        while next != zero {
            let quotient = remainder / next;
            (remainder, next) = (next, remainder - quotient * next);
            (coefficient, next_coefficient) = (next_coefficient, coefficient + quotient * next_coefficient);
            negative = !negative;
        }
        if remainder != one {
            return Err(remainder);
        }
        let inverse = if negative { n - coefficient } else { coefficient };
        // `a` stands for a / R, so this is the inverse times 1 / R where R is wanted: R^3 / R^2 mends it.
        let r_squared = self.r_squared();
        Ok(self.mul(self.mul(inverse, r_squared), r_squared))
    }

    /// `R^2 mod n`, by which multiplication turns a number into its residue.
    fn r_squared(self) -> Self::Word;
}

/// Modulo an odd number of up to 64 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modulus64 {
    n: u64,
    /// `n * inverse` is 1 modulo 2^64.
    inverse: u64,
    one: u64,
}

impl Modulus64 {
    pub(super) fn new(n: u64) -> Self {
        debug_assert!(n % 2 == 1 && n > 2);
        Self { n, inverse: inverse(n), one: (u64::MAX % n) + 1 }
    }
}

impl Modulus for Modulus64 {
    type Word = u64;

    #[inline(always)]
    fn number(self) -> u64 {
        self.n
    }

    #[inline(always)]
    fn one(self) -> u64 {
        self.one
    }

    #[inline(always)]
    fn mul(self, a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        let quotient = (product as u64).wrapping_mul(self.inverse);
        let reduction = ((u128::from(quotient) * u128::from(self.n)) >> 64) as u64;
        self.sub((product >> 64) as u64, reduction)
    }

    #[inline(always)]
    fn add(self, a: u64, b: u64) -> u64 {
        self.sub(a, self.n - b)
    }

    #[inline(always)]
    fn sub(self, a: u64, b: u64) -> u64 {
        let (difference, borrow) = a.overflowing_sub(b);
        if borrow { difference.wrapping_add(self.n) } else { difference }
    }

    fn r_squared(self) -> u64 {
        (0..64).fold(self.one, |power, _| self.add(power, power))
    }
}

/// Modulo an odd number of up to 128 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modulus128 {
    n: u128,
    /// `n * inverse` is 1 modulo 2^64.
    inverse: u64,
    one: u128,
}

impl Modulus128 {
    pub(super) fn new(n: u128) -> Self {
        debug_assert!(n % 2 == 1 && n > 2);
        Self { n, inverse: inverse(n as u64), one: (u128::MAX % n) + 1 }
    }
}

#[inline(always)]
fn low(wide: u128) -> u64 {
    wide as u64
}

#[inline(always)]
fn high(wide: u128) -> u64 {
    (wide >> 64) as u64
}

/// `a * b + c + d`, which always fits.
#[inline(always)]
fn mul_add(a: u64, b: u64, c: u64, d: u64) -> u128 {
    u128::from(a) * u128::from(b) + u128::from(c) + u128::from(d)
}

impl Modulus for Modulus128 {
    type Word = u128;

    #[inline(always)]
    fn number(self) -> u128 {
        self.n
    }

    #[inline(always)]
    fn one(self) -> u128 {
        self.one
    }

    /// The product and its reduction by turns, a limb at a time. The reduction is subtracted as in [`Modulus64`], so that no
    /// intermediate passes its limbs.
    #[inline(always)]
    fn mul(self, a: u128, b: u128) -> u128 {
        let (a, b) = ([low(a), high(a)], [low(b), high(b)]);
        let n = [low(self.n), high(self.n)];
        // All four limbs of the product.
        let p0 = u128::from(a[0]) * u128::from(b[0]);
        let p1 = mul_add(a[1], b[0], high(p0), 0);
        let q0 = mul_add(a[0], b[1], low(p1), 0);
        let q1 = mul_add(a[1], b[1], high(p1), high(q0));
        // The multiple of n that has the same two lowest limbs.
        let m0 = low(p0).wrapping_mul(self.inverse);
        let r0 = high(u128::from(m0) * u128::from(n[0]));
        let r1 = mul_add(m0, n[1], r0, 0);
        let m1 = low(q0).wrapping_sub(low(r1)).wrapping_mul(self.inverse);
        let s0 = mul_add(m1, n[0], low(r1), 0);
        let s1 = mul_add(m1, n[1], high(r1), high(s0));
        self.sub(q1, s1)
    }

    #[inline(always)]
    fn add(self, a: u128, b: u128) -> u128 {
        self.sub(a, self.n - b)
    }

    #[inline(always)]
    fn sub(self, a: u128, b: u128) -> u128 {
        let (difference, borrow) = a.overflowing_sub(b);
        if borrow { difference.wrapping_add(self.n) } else { difference }
    }

    fn r_squared(self) -> u128 {
        (0..128).fold(self.one, |power, _| self.add(power, power))
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;

    /// Checks every operation against big integers, for residues from all over the range.
    fn check<M: Modulus>(modulus: M, bits: u32)
    where
        M::Word: Into<u128>,
    {
        let n = modulus.number();
        let wide: BigUint = n.into().into();
        let r = BigUint::from(1u8) << bits;
        let big = |word: M::Word| BigUint::from(word.into());
        assert_eq!(big(modulus.one()), &r % &wide);
        assert_eq!(big(modulus.r_squared()), &r * &r % &wide);
        assert_eq!(big(modulus.residue(1_000_003)), (&r * 1_000_003u32) % &wide);
        let word = |value: u32| <M::Word as num_traits::NumCast>::from(value).expect("it fits");
        let values = [word(0), word(1), word(2), n / word(3), n / word(2), n - word(2), n - word(1)];
        for a in values {
            for b in values {
                assert_eq!(big(modulus.mul(a, b)) * &r % &wide, big(a) * big(b) % &wide, "{a:?} * {b:?} mod {n:?}");
                assert_eq!(big(modulus.add(a, b)), (big(a) + big(b)) % &wide, "{a:?} + {b:?} mod {n:?}");
                assert_eq!(big(modulus.sub(a, b)), (big(a) + &wide - big(b)) % &wide, "{a:?} - {b:?} mod {n:?}");
            }
            match modulus.invert(a) {
                Ok(inverse) => assert_eq!(modulus.mul(a, inverse), modulus.one(), "1 / {a:?} mod {n:?}"),
                Err(divisor) => {
                    assert!(divisor != word(1) && divisor == modulus.gcd(a), "{a:?} and {n:?}: {divisor:?}");
                }
            }
            let plain = big(a) * r.modinv(&wide).expect("the number is odd") % &wide;
            let power = big(modulus.power(a, n / word(5)));
            assert_eq!(power, plain.modpow(&big(n / word(5)), &wide) * &r % &wide, "{a:?} to a power mod {n:?}");
        }
    }

    #[test]
    fn arithmetic_is_that_of_big_integers_modulo_n() {
        for n in [3u64, 5, 9, 4097, (1 << 32) + 1, (1 << 63) - 1, (1 << 63) + 1, u64::MAX - 2, u64::MAX] {
            check(Modulus64::new(n), 64);
            check(Modulus128::new(n.into()), 128);
        }
        for shift in [64, 65, 100, 127] {
            for n in [(1u128 << shift) - 1, (1 << shift) + 1, (1 << shift) + (1 << 63) + 1] {
                check(Modulus128::new(n), 128);
            }
        }
        for n in [u128::MAX, u128::MAX - 2, u128::MAX - (1 << 64), u128::MAX - (1 << 64) + 2] {
            check(Modulus128::new(n), 128);
        }
    }
}
