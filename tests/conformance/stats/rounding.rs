//! Rounding by search: the greatest float that is not above an exact number, then the nearer of it and the next. Slow, and
//! obviously right.

use num_bigint::{BigInt, BigUint, Sign};

/// A ratio, not reduced; the denominator is above 0.
#[derive(Clone, Debug)]
pub struct Ratio {
    pub numerator: BigInt,
    pub denominator: BigUint,
}

/// How many times 2^-1074 a float of these bits is worth. The bits of infinity count as 2^1024.
fn units(bits: u64) -> BigUint {
    let (exponent, fraction) = (bits >> 52, bits & ((1 << 52) - 1));
    if exponent == 0 { fraction.into() } else { BigUint::from(fraction | 1 << 52) << (exponent - 1) }
}

/// The exact value of a finite float.
pub fn exact(value: f64) -> Ratio {
    assert!(value.is_finite());
    let magnitude = BigInt::from(units(value.abs().to_bits()));
    let numerator = if value.is_sign_negative() { -magnitude } else { magnitude };
    Ratio { numerator, denominator: BigUint::from(1u32) << 1074 }
}

/// The bits of the greatest float of which `not_above` holds, by bisection.
fn greatest(not_above: impl Fn(&BigUint) -> bool) -> u64 {
    let (mut low, mut high) = (0, f64::INFINITY.to_bits());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if not_above(&units(middle)) { low = middle } else { high = middle }
    }
    low
}

/// Of the float with these bits and the next one, by how the exact number compares with their middle.
fn nearer(bits: u64, past_the_middle: std::cmp::Ordering) -> f64 {
    use std::cmp::Ordering::{Equal, Greater, Less};
    f64::from_bits(match past_the_middle {
        Less => bits,
        Greater => bits + 1,
        Equal => bits + bits % 2,
    })
}

/// The nearest float, ties to even; +0 for 0.
pub fn nearest(ratio: &Ratio) -> f64 {
    let target = ratio.numerator.magnitude() << 1074u32;
    let below = greatest(|units| units * &ratio.denominator <= target);
    let middle = (units(below) + units(below + 1)) * &ratio.denominator;
    let magnitude = nearer(below, (&target << 1u32).cmp(&middle));
    if ratio.numerator.sign() == Sign::Minus { -magnitude } else { magnitude }
}

/// The float nearest to the square root.
pub fn nearest_root(ratio: &Ratio) -> f64 {
    assert!(ratio.numerator.sign() != Sign::Minus);
    let target = ratio.numerator.magnitude() << 2148u32;
    let below = greatest(|units| units * units * &ratio.denominator <= target);
    let middle = units(below) + units(below + 1);
    nearer(below, (&target << 2u32).cmp(&(&middle * &middle * &ratio.denominator)))
}

#[test]
fn floats_round_to_themselves_and_middles_to_even() {
    let ratio =
        |numerator: i128, denominator: u128| Ratio { numerator: numerator.into(), denominator: denominator.into() };
    for value in [0.0, 5e-324, 1.0, -1.5, f64::MIN_POSITIVE, f64::MAX, f64::MIN, 0.1] {
        assert_eq!(nearest(&exact(value)).to_bits(), value.to_bits());
        if value > 0.0 {
            let root = exact(value);
            assert_eq!(nearest_root(&root), value.sqrt(), "the hardware rounds roots correctly");
        }
    }
    assert_eq!(nearest(&ratio(1, 3)), 1.0 / 3.0, "and quotients");
    assert_eq!(nearest(&ratio((1 << 53) + 1, 1)), 9_007_199_254_740_992.0);
    assert_eq!(nearest(&ratio((1 << 53) + 3, 1)), 9_007_199_254_740_996.0);
    assert_eq!(nearest(&Ratio { numerator: BigInt::from(1) << 1024, denominator: 1u32.into() }), f64::INFINITY);
    assert_eq!(
        nearest(&Ratio { numerator: BigInt::from(-1), denominator: BigUint::from(1u32) << 1075 }).to_bits(),
        (-0.0f64).to_bits()
    );
    assert_eq!(nearest(&Ratio { numerator: BigInt::from(3), denominator: BigUint::from(1u32) << 1076 }), 5e-324);
}
