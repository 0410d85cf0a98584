//! Sums of few hundred bits in place, and their mean and variance rounded once: what [`FixedPoint`](super::FixedPoint) and big
//! integers do for any width, in some tens of nanoseconds, for where there are very many sums.

use super::reciprocal::Reciprocal;
use super::round::compose;

/// A two's-complement integer of 256 bits, which wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wide([u64; 4]);

impl Wide {
    /// Zero.
    pub const ZERO: Self = Self([0; 4]);

    /// The limbs, the lowest first.
    pub fn limbs(&self) -> [u64; 4] {
        self.0
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 4]
    }

    /// How many bits a number that is not below zero has up to its highest one.
    pub fn bits(&self) -> u32 {
        let top = self.0.iter().rposition(|limb| *limb != 0);
        top.map_or(0, |top| 64 * top as u32 + 64 - self.0[top].leading_zeros())
    }

    /// Adds `value * 2^shift`, for a shift below 256.
    pub fn add(&mut self, value: i128, shift: u32) {
        let extension = (value >> 127) as u64;
        let number = Self([value as u64, (value >> 64) as u64, extension, extension]);
        *self = self.plus(&number.shifted(shift));
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let (low, carry) = self.low().overflowing_add(other.low());
        let high = self.high().wrapping_add(other.high()).wrapping_add(carry.into());
        Self::of(low, high)
    }

    /// This number times `2^shift`, for a shift below 256.
    #[must_use]
    pub fn shifted(&self, shift: u32) -> Self {
        let (low, high) = (self.low(), self.high());
        match shift {
            0 => *self,
            1..128 => Self::of(low << shift, high << shift | low >> (128 - shift)),
            _ => Self::of(0, low << (shift - 128)),
        }
    }

    fn minus(&self, other: &Self) -> Self {
        let (low, borrow) = self.low().overflowing_sub(other.low());
        Self::of(low, self.high().wrapping_sub(other.high()).wrapping_sub(borrow.into()))
    }

    fn of(low: u128, high: u128) -> Self {
        Self([low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64])
    }

    fn low(&self) -> u128 {
        u128::from(self.0[1]) << 64 | u128::from(self.0[0])
    }

    fn high(&self) -> u128 {
        u128::from(self.0[3]) << 64 | u128::from(self.0[2])
    }

    /// The product, which has to fit.
    fn times(&self, factor: u64) -> Self {
        let mut carry = 0_u128;
        Self(self.0.map(|limb| {
            carry += u128::from(limb) * u128::from(factor);
            let low = carry as u64;
            carry >>= 64;
            low
        }))
    }

    /// The square of a number below 2^127.
    fn square_of(value: u128) -> Self {
        let (low, high) = (value as u64, (value >> 64) as u64);
        let cross = u128::from(low) * u128::from(high);
        let sum = Self::of(u128::from(low) * u128::from(low), u128::from(high) * u128::from(high));
        sum.plus(&Self::of(cross, 0).shifted(65))
    }
}

/// The `f64` nearest to `sum * 2^exp2`, ties to even.
pub fn nearest_sum(sum: i128, exp2: i32) -> f64 {
    let magnitude = sum.unsigned_abs();
    if magnitude == 0 {
        return 0.0;
    }
    let up = magnitude.leading_zeros();
    let nearest = rounded(magnitude << up, false, i64::from(exp2) - i64::from(up));
    if sum < 0 { -nearest } else { nearest }
}

/// The means and variances of so many values: what is divided by again and again is made ready once.
#[derive(Clone, Copy, Debug)]
pub struct OfCount {
    count: u64,
    ddof: u32,
    by_count: Reciprocal,
    /// Of count * (count - ddof), where that fits.
    by_pairs: Option<Reciprocal>,
}

impl OfCount {
    /// Those of `count` values, with `ddof` subtracted for variances; `None` where there is no value.
    pub fn new(count: u64, ddof: u32) -> Option<Self> {
        let pairs = count.checked_sub(ddof.into()).and_then(|freedom| count.checked_mul(freedom));
        Some(Self { count, ddof, by_count: Reciprocal::of(count)?, by_pairs: pairs.and_then(Reciprocal::of) })
    }

    /// Whether they are those.
    pub fn is_of(&self, count: u64, ddof: u32) -> bool {
        (self.count, self.ddof) == (count, ddof)
    }

    /// The `f64` nearest to `sum * 2^exp2 / count`, ties to even, as [`nearest_f64`](super::nearest_f64) has it.
    pub fn mean(&self, sum: i128, exp2: i32) -> f64 {
        let magnitude = sum.unsigned_abs();
        if magnitude == 0 {
            return 0.0;
        }
        let up = magnitude.leading_zeros();
        let scaled = magnitude << up;
        let halved = scaled >> 1;
        let (quotient, rest) = self.by_count.divide((halved >> 64) as u64, halved as u64);
        let exp2 = i64::from(exp2) - i64::from(up) + 1 + i64::from(self.by_count.up);
        let mean = rounded(quotient.into(), rest != 0 || scaled & 1 == 1, exp2);
        if sum < 0 { -mean } else { mean }
    }

    /// The `f64` nearest to the variance `(n Q - S²) / (n (n - ddof)) * 2^(2 exp2)` of `n` values whose sum is `S * 2^exp2` and the sum
    /// of whose squares is `Q * 2^(2 exp2)`, and the one nearest to its square root; `None` where that takes more bits than there
    /// are here, or there are too few values.
    pub fn variance(&self, sum: i128, squares: &Wide, exp2: i32) -> Option<(f64, f64)> {
        let by_pairs = self.by_pairs?;
        let count_bits = u64::BITS - self.count.leading_zeros();
        if squares.bits() + count_bits > 255 || sum.unsigned_abs() >> 127 != 0 {
            return None;
        }
        // The highest bit stays free, so that the first digit of a long division is one; two digits have 126 bits at least.
        let (digits, low, below_bits, up) = if squares.bits() + count_bits <= 127 {
            // The square of the sum is no greater than the product.
            let spread = squares.low() * u128::from(self.count) - sum.unsigned_abs().pow(2);
            if spread == 0 {
                return Some((0.0, 0.0));
            }
            let up = spread.leading_zeros() - 1;
            let spread = spread << up;
            ([(spread >> 64) as u64, spread as u64, 0], 0, -64, up)
        } else {
            let spread = squares.times(self.count).minus(&Wide::square_of(sum.unsigned_abs()));
            if spread.is_zero() {
                return Some((0.0, 0.0));
            }
            let up = 255 - spread.bits();
            let [low, third, second, first] = spread.shifted(up).0;
            ([first, second, third], low, 64, up)
        };
        let (high, rest) = by_pairs.divide(digits[0], digits[1]);
        let (next, rest) = by_pairs.divide(rest, digits[2]);
        let quotient = u128::from(high) << 64 | u128::from(next);
        let more = rest != 0 || low != 0;
        let exp2 = 2 * i64::from(exp2) - i64::from(up) + below_bits + i64::from(by_pairs.up);
        let variance = rounded(quotient, more, exp2);

        let odd = exp2 & 1;
        let square = quotient >> odd;
        let root = u128::from(square_root(square));
        let more = more || quotient & odd as u128 == 1 || root * root != square;
        Some((variance, rounded(root, more, (exp2 + odd) / 2)))
    }
}

/// The whole part of the square root of a number of 125 bits or more.
fn square_root(value: u128) -> u64 {
    debug_assert!(value >> 124 != 0);
    // Within some thousands; a step of Newton's, of which floats are exact enough, leaves one or none.
    let first = (((value >> 64) as u64 as f64).sqrt() * 4_294_967_296.0) as u64;
    let rest = value.wrapping_sub(u128::from(first) * u128::from(first)) as i128;
    let step = ((rest >> 20) as i64 as f64 * 524_288.0 / first as f64) as i64;
    let mut root = first.saturating_add_signed(step);
    while u128::from(root) * u128::from(root) > value {
        root -= 1;
    }
    while root.checked_add(1).is_some_and(|next| u128::from(next) * u128::from(next) <= value) {
        root += 1;
    }
    root
}

/// Rounds `value * 2^exp2`, and a little more where `more`, for a value of 55 to 128 bits.
fn rounded(value: u128, more: bool, exp2: i64) -> f64 {
    // As many bits as any rounding here looks at.
    let over = 61_u32.saturating_sub(value.leading_zeros());
    compose(value >> over, more || value & ((1 << over) - 1) != 0, exp2 + i64::from(over))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::{nearest_f64, nearest_sqrt_f64};
    use num_bigint::{BigInt, BigUint};
    use proptest::prelude::*;

    fn big(wide: &Wide) -> BigInt {
        let words = wide.limbs().iter().flat_map(|limb| [*limb as u32, (*limb >> 32) as u32]).collect();
        BigInt::from(BigUint::new(words))
    }

    #[track_caller]
    fn check(values: &[i64], shift: u32, exp2: i32, ddof: u32) {
        let (mut sum, mut squares) = (0_i128, Wide::ZERO);
        for value in values {
            sum += i128::from(*value) << shift;
            squares.add(i128::from(*value).pow(2), 2 * shift);
        }
        let count = values.len() as u64;
        let mean = nearest_f64(&BigInt::from(sum), &count.into(), exp2.into());
        let of_count = OfCount::new(count, ddof).expect("a value");
        assert_eq!(of_count.mean(sum, exp2).to_bits(), mean.to_bits(), "mean of {values:?}");
        let whole = nearest_f64(&BigInt::from(sum), &1u32.into(), exp2.into());
        assert_eq!(nearest_sum(sum, exp2).to_bits(), whole.to_bits(), "sum of {values:?}");
        if u64::from(ddof) >= count {
            return;
        }
        let spread = big(&squares) * count - BigInt::from(sum) * sum;
        let divisor = BigUint::from(count) * (count - u64::from(ddof));
        let expected = [
            nearest_f64(&spread, &divisor, 2 * i64::from(exp2)),
            nearest_sqrt_f64(spread.magnitude(), &divisor, 2 * i64::from(exp2)),
        ];
        let (variance, std) = of_count.variance(sum, &squares, exp2).expect("it fits");
        assert_eq!([variance, std].map(f64::to_bits), expected.map(f64::to_bits), "{values:?} << {shift}, 2^{exp2}");
    }

    proptest! {
        #[test]
        fn mean_and_variance_are_those_of_big_integers(
            values in prop::collection::vec(any::<i64>(), 1..40), down in 0u32..63, shift in 0u32..50, exp2 in -700i32..400,
            ddof in 0u32..3,
        ) {
            let values: Vec<i64> = values.into_iter().map(|value| value >> down).collect();
            check(&values, shift, exp2, ddof);
        }

        #[test]
        fn what_lies_at_the_ends_of_f64_is_rounded_once(
            values in prop::collection::vec(-1000i64..1000, 1..9), exp2 in prop_oneof![-1150i32..-480, 440i32..1100], ddof in 0u32..2,
        ) {
            check(&values, 0, exp2, ddof);
        }

        #[test]
        fn numbers_are_added_and_shifted_as_big_ones_are(adds in prop::collection::vec((0..i128::MAX, 0u32..100), 0..9)) {
            let (mut sum, mut expected) = (Wide::ZERO, BigInt::ZERO);
            for (value, shift) in adds {
                sum.add(value, shift);
                expected += BigInt::from(value) << shift;
                sum.add(-1, shift);
                expected -= BigInt::from(1) << shift;
                prop_assume!(expected >= BigInt::ZERO);
                prop_assert_eq!(big(&sum), expected.clone());
                prop_assert_eq!(u64::from(sum.bits()), expected.bits());
            }
        }
    }

    proptest! {
        #[test]
        fn roots_are_whole_parts(value in 1u128 << 124.., root: u64, off in -2i128..3) {
            let square = u128::from(root | 1 << 63).pow(2).saturating_add_signed(off);
            for value in [value, square, u128::MAX, 1 << 124, (1 << 124) + 1, u128::MAX << 63] {
                prop_assert_eq!(u128::from(square_root(value)), value.isqrt());
            }
        }
    }

    #[test]
    fn ties_and_perfect_squares_are_exact() {
        check(&[1, 3], 0, 0, 1);
        check(&[0, 0, 0], 0, 5, 0);
        check(&[-5, -5], 0, -3, 0);
        check(&[(1 << 53) + 1, (1 << 53) + 1], 0, 0, 0);
        check(&[0, 6], 0, -537, 0);
        check(&[i64::MIN, i64::MAX, 0, 1], 0, 0, 1);
        let most = Wide([u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 1]);
        let variance = |squares: &Wide, count, ddof| OfCount::new(count, ddof).unwrap().variance(1, squares, 0);
        assert_eq!(variance(&most, 3, 1), None);
        assert_eq!(variance(&most.shifted(200), 1 << 40, 1), None);
        assert_eq!(variance(&Wide([5, 0, 0, 0]), 1, 1), None);
        assert_eq!(variance(&Wide([5, 0, 0, 0]), 1, 2), None);
        assert!(OfCount::new(0, 0).is_none());
    }
}
