//! Exact ratios and their roots, rounded once to the nearest `f64`, ties to even.

use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use num_traits::ToPrimitive;

/// `integer * 2^exp2`: what every finite float is, and every sum of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dyadic {
    /// The integer.
    pub integer: BigInt,
    /// The power of two.
    pub exp2: i64,
}

impl Dyadic {
    /// The exact value of a finite `f64`; `None` for infinities and NaN.
    pub fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let bits = value.to_bits();
        let (field, fraction) = ((bits >> 52 & 0x7ff) as i64, bits & ((1 << 52) - 1));
        let significand = if field == 0 { fraction } else { fraction | 1 << 52 } as i64;
        let integer = BigInt::from(if value < 0.0 { -significand } else { significand });
        Some(Self { integer, exp2: field.max(1) - 1075 })
    }

    /// The exact value of an integer.
    pub fn from_integer(value: impl Into<BigInt>) -> Self {
        Self { integer: value.into(), exp2: 0 }
    }

    /// The integers of both numbers over the same power of two, which comes third.
    pub fn align(&self, other: &Self) -> (BigInt, BigInt, i64) {
        let exp2 = self.exp2.min(other.exp2);
        (&self.integer << (self.exp2 - exp2), &other.integer << (other.exp2 - exp2), exp2)
    }

    /// The nearest `f64`.
    pub fn nearest_f64(&self) -> f64 {
        nearest_f64(&self.integer, &BigUint::from(1u32), self.exp2)
    }
}

/// The `f64` nearest to `numerator / denominator * 2^exp2`, ties to even: subnormals are rounded once, what is too large
/// is an infinity, an exact zero is +0 (a negative number too small for any `f64` is -0).
///
/// # Panics
/// Where the denominator is zero.
pub fn nearest_f64(numerator: &BigInt, denominator: &BigUint, exp2: i64) -> f64 {
    let magnitude = numerator.magnitude();
    if magnitude.bits() == 0 {
        return 0.0;
    }
    let (quotient, exact, exp2) = quotient_of_bits(magnitude, denominator, exp2, 66);
    let nearest = compose(quotient.to_u128().expect("67 bits at most"), !exact, exp2);
    if numerator.sign() == num_bigint::Sign::Minus { -nearest } else { nearest }
}

/// The `f64` nearest to the square root of `numerator / denominator * 2^exp2`, ties to even.
///
/// # Panics
/// Where the denominator is zero.
pub fn nearest_sqrt_f64(numerator: &BigUint, denominator: &BigUint, exp2: i64) -> f64 {
    if numerator.bits() == 0 {
        return 0.0;
    }
    let (numerator, exp2) = if exp2.is_odd() { (numerator << 1u32, exp2 - 1) } else { (numerator.clone(), exp2) };
    let (square, exact, exp2) = quotient_of_bits(&numerator, denominator, exp2, 132);
    let root = square.sqrt();
    let exact = exact && &root * &root == square;
    compose(root.to_u128().expect("67 bits at most"), !exact, exp2 / 2)
}

/// The whole part of a ratio scaled to `bits` or `bits + 1` bits, whether it is all of it, and the power of two that its
/// lowest bit is worth, which is even where `exp2` is.
fn quotient_of_bits(numerator: &BigUint, denominator: &BigUint, exp2: i64, bits: i64) -> (BigUint, bool, i64) {
    let shift = bits + 1 - (numerator.bits() as i64 - denominator.bits() as i64);
    let shift = shift - (shift & 1);
    let (quotient, rest) = if shift >= 0 {
        (numerator << shift).div_rem(denominator)
    } else {
        numerator.div_rem(&(denominator << -shift))
    };
    (quotient, rest.bits() == 0, exp2 - shift)
}

/// Rounds `value * 2^exp2`, and a little more where `more`, for a value of at least 55 bits.
pub(super) fn compose(value: u128, more: bool, exp2: i64) -> f64 {
    let top = exp2 + i64::from(127 - value.leading_zeros());
    if top > 1023 {
        return f64::INFINITY;
    }
    let lsb = (top - 52).max(-1074);
    let dropped = lsb - exp2;
    if dropped > 120 {
        return 0.0;
    }
    let (kept, rest, half) = (value >> dropped, value & ((1 << dropped) - 1), 1u128 << (dropped - 1));
    let up = rest > half || rest == half && (more || kept & 1 == 1);
    // The significand with its leading bit carries into the exponent field by itself: from subnormal to normal, to the
    // next power of two, to infinity.
    f64::from_bits((((lsb + 1074) as u64) << 52) + kept as u64 + u64::from(up))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ratio(numerator: i64, denominator: u64, exp2: i64) -> f64 {
        nearest_f64(&BigInt::from(numerator), &BigUint::from(denominator), exp2)
    }

    #[test]
    fn extremes_are_rounded_once() {
        let one = |exp2| ratio(1, 1, exp2);
        assert_eq!(one(-1074), 5e-324);
        assert_eq!(one(-1075), 0.0); // a tie, to even
        assert_eq!(ratio(3, 1, -1076), 5e-324);
        assert_eq!(ratio(3, 1, -1075), 1e-323); // 1.5 units: a tie, to even
        assert_eq!(one(-1_000_000), 0.0);
        assert_eq!(ratio(-1, 1, -1_000_000).to_bits(), (-0.0f64).to_bits());
        assert_eq!(ratio(0, 7, 5).to_bits(), 0);
        assert_eq!(one(1023), 2f64.powi(1023));
        assert_eq!(one(1024), f64::INFINITY);
        assert_eq!(ratio(-1, 1, 1024), f64::NEG_INFINITY);
        let max = (1i64 << 53) - 1;
        assert_eq!(ratio(max, 1, 971), f64::MAX);
        assert_eq!(ratio(2 * max, 2, 971), f64::MAX);
        assert_eq!(nearest_f64(&(BigInt::from(max) * 2 + 1), &BigUint::from(1u32), 970), f64::INFINITY); // a tie, up
        assert_eq!(nearest_f64(&(BigInt::from(max) * 4 + 1), &BigUint::from(1u32), 969), f64::MAX);
        // The largest subnormal rounds up into the smallest normal number.
        assert_eq!(ratio((1 << 53) - 1, 1, -1075), f64::MIN_POSITIVE);
    }

    #[test]
    fn roots_of_extremes_are_right() {
        let root = |n: u64, d: u64, e| nearest_sqrt_f64(&BigUint::from(n), &BigUint::from(d), e);
        assert_eq!(root(4, 9, 0), 2.0 / 3.0);
        assert_eq!(root(1, 1, -2148), 5e-324);
        assert_eq!(root(1, 1, 2046), 2f64.powi(1023));
        assert_eq!(root(1, 1, 2048), f64::INFINITY);
        assert_eq!(root(0, 3, 9), 0.0);
        assert_eq!(root(2, 1, 1), 2.0);
    }

    proptest! {
        #[test]
        fn quotients_of_two_floats_equal_hardware_division(a in any::<f64>(), b in any::<f64>()) {
            let (Some(x), Some(y)) = (Dyadic::from_f64(a), Dyadic::from_f64(b)) else { return Ok(()) };
            prop_assume!(b != 0.0 && a != 0.0);
            let sign = if b < 0.0 { -1 } else { 1 };
            let nearest = nearest_f64(&(x.integer * sign), y.integer.magnitude(), x.exp2 - y.exp2);
            prop_assert_eq!(nearest.to_bits(), (a / b).to_bits());
        }

        #[test]
        fn roots_of_floats_equal_hardware_roots(a in any::<f64>()) {
            let Some(x) = Dyadic::from_f64(a.abs()) else { return Ok(()) };
            let nearest = nearest_sqrt_f64(x.integer.magnitude(), &BigUint::from(1u32), x.exp2);
            prop_assert_eq!(nearest.to_bits(), a.abs().sqrt().to_bits());
        }

        #[test]
        fn a_root_lies_between_the_squares_of_its_neighbours(
            n in prop::collection::vec(any::<u32>(), 1..40), d in prop::collection::vec(any::<u32>(), 1..40), e in -200i64..200,
        ) {
            let (n, d) = (BigUint::new(n) + 1u32, BigUint::new(d) + 1u32);
            let root = nearest_sqrt_f64(&n, &d, e);
            prop_assume!(root.is_normal());
            // The midpoints to the neighbours, squared, times d, against n * 2^e.
            let middle = |other: f64| {
                let (a, b, exp2) = Dyadic::from_f64(root).unwrap().align(&Dyadic::from_f64(other).unwrap());
                let sum = a + b;
                (&sum * &sum * BigInt::from(d.clone()), 2 * exp2 - 2)
            };
            let target = Dyadic { integer: BigInt::from(n.clone()), exp2: e };
            for (other, above) in [(root.next_down(), false), (root.next_up(), true)] {
                let (integer, exp2) = middle(other);
                let (bound, value, _) = Dyadic { integer, exp2 }.align(&target);
                if above { prop_assert!(value <= bound) } else { prop_assert!(value >= bound) }
            }
        }
    }
}
