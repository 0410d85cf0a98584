//! Coefficients as they are defined, in whole numbers of any size: slow, and obviously right.

use num_bigint::{BigInt, BigUint};

/// How many times 2^-1074 a finite float is worth, or an integer.
pub trait Exact: Copy {
    /// `None` for NaN.
    fn exact(self) -> Option<BigInt>;
}

macro_rules! floats {
    ($($type:ty),*) => {$(
        impl Exact for $type {
            fn exact(self) -> Option<BigInt> {
                let value = f64::from(self);
                if value.is_nan() {
                    return None;
                }
                let bits = value.to_bits();
                let (field, fraction) = (bits >> 52 & 0x7ff, bits & ((1 << 52) - 1));
                let magnitude =
                    if field == 0 { BigInt::from(fraction) } else { BigInt::from(fraction | 1 << 52) << (field - 1) };
                Some(if value < 0.0 { -magnitude } else { magnitude })
            }
        }
    )*};
}
floats!(f32, f64);

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Exact for $type {
            fn exact(self) -> Option<BigInt> {
                Some(BigInt::from(self))
            }
        }
    )*};
}
integers!(i32, i64, u32, u64);

/// The nearest float to the root of `square / bottom`, found by bisection: of the floats from 0 to 1, the greatest whose square is
/// not above, and the next; the one on whose side of the middle the root lies.
fn nearest_root(square: &BigUint, bottom: &BigUint) -> f64 {
    // The square of `numerator / 2^1075`, compared with the ratio.
    let not_above = |numerator: &BigUint| numerator * numerator * bottom <= square << 2150u32;
    let halves = |value: f64| value.exact().expect("a number").magnitude() * 2u32;
    let (mut low, mut high) = (0_u64, 1.0_f64.to_bits() + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if not_above(&halves(f64::from_bits(middle))) { low = middle } else { high = middle }
    }
    let (below, above) = (f64::from_bits(low), f64::from_bits(low + 1));
    let middle = (halves(below) + halves(above)) / 2u32;
    let on_the_middle = &middle * &middle * bottom == square << 2150u32;
    let up = if on_the_middle { low & 1 == 1 } else { not_above(&middle) };
    if up { above } else { below }
}

/// The coefficients of `width` columns, row after row, with how many rows count; NaN where a column does not vary.
pub fn matrix<T: Exact>(values: &[T], width: usize) -> (usize, Vec<Vec<f64>>) {
    let rows: Vec<Vec<BigInt>> =
        values.chunks(width).filter_map(|row| row.iter().map(|value| value.exact()).collect()).collect();
    let n = BigInt::from(rows.len());
    let sum = |i: usize| rows.iter().map(|row| &row[i]).sum::<BigInt>();
    let sums: Vec<BigInt> = (0..width).map(sum).collect();
    let spread = |i: usize, j: usize| {
        let products = rows.iter().map(|row| &row[i] * &row[j]).sum::<BigInt>();
        &n * products - &sums[i] * &sums[j]
    };
    let spreads: Vec<BigInt> = (0..width).map(|i| spread(i, i)).collect();
    let coefficient = |i: usize, j: usize| {
        let (top, bottom) = (spread(i, j), (&spreads[i] * &spreads[j]).magnitude().clone());
        if bottom == BigUint::ZERO {
            return f64::NAN;
        }
        let root = nearest_root((&top * &top).magnitude(), &bottom);
        if top < BigInt::ZERO { -root } else { root }
    };
    (rows.len(), (0..width).map(|i| (0..width).map(|j| coefficient(i, j)).collect()).collect())
}

#[test]
fn roots_are_rounded_to_the_nearest() {
    let root = |square: u64, bottom: u64| nearest_root(&square.into(), &bottom.into());
    assert_eq!((root(0, 3), root(1, 4), root(1, 1), root(4, 9)), (0.0, 0.5, 1.0, 2.0 / 3.0));
    assert_eq!(root(1, 2), std::f64::consts::FRAC_1_SQRT_2);
    assert_eq!(root(1, 3), 0.577_350_269_189_625_7);
}
