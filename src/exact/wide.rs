//! Sums of few hundred bits in place, and their mean and variance rounded once: what [`FixedPoint`](super::FixedPoint) and big
//! integers do for any width, in some tens of nanoseconds, for where there are very many sums.

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

/// The `f64` nearest to `sum * 2^exp2 / count`, ties to even, as [`nearest_f64`](super::nearest_f64) has it.
///
/// # Panics
/// Where `count` is 0.
pub fn nearest_mean(sum: i128, exp2: i32, count: u64) -> f64 {
    let magnitude = sum.unsigned_abs();
    if magnitude == 0 {
        return 0.0;
    }
    let up = magnitude.leading_zeros();
    let (scaled, count) = (magnitude << up, u128::from(count));
    let (quotient, exact) = (scaled / count, scaled.is_multiple_of(count));
    let mean = rounded(quotient, !exact, i64::from(exp2) - i64::from(up));
    if sum < 0 { -mean } else { mean }
}

/// The `f64` nearest to the variance `(n Q - S²) / (n (n - ddof)) * 2^(2 exp2)` of `n` values whose sum is `S * 2^exp2` and the sum
/// of whose squares is `Q * 2^(2 exp2)`, and the one nearest to its square root; `None` where that takes more bits than there
/// are here. `ddof` is below `n`.
pub fn nearest_variance(sum: i128, squares: &Wide, exp2: i32, count: u64, ddof: u32) -> Option<(f64, f64)> {
    let count_bits = u64::BITS - count.leading_zeros();
    if squares.bits() + count_bits > 255 || sum.unsigned_abs() >> 127 != 0 {
        return None;
    }
    let divisor = u64::try_from(u128::from(count) * u128::from(count - u64::from(ddof))).ok()?;
    let divisor = u128::from(divisor);
    let spread = squares.times(count).minus(&Wide::square_of(sum.unsigned_abs()));
    if spread.is_zero() {
        return Some((0.0, 0.0));
    }
    let up = 256 - spread.bits();
    let spread = spread.shifted(up);
    let exp2 = 2 * i64::from(exp2) - i64::from(up);
    // Two digits of a long division: the first has 64 bits at least.
    let (first, rest) = (spread.high() / divisor, spread.high() % divisor);
    let (next, low) = ((spread.low() >> 64), spread.low() as u64);
    let (second, rest_of_second) = ((rest << 64 | next) / divisor, (rest << 64 | next) % divisor);
    let variance = rounded(first, rest != 0 || spread.low() != 0, exp2 + 128);

    // The highest 127 or 128 bits of the quotient, whichever leaves an even power of two.
    let exp2 = exp2 + 64;
    let mut drop = (128 - first.leading_zeros()) as i64 - 64;
    drop += (exp2 + drop) & 1;
    let dropped = second & ((1_u128 << drop.min(64)) - 1);
    let square = if drop <= 64 { first << (64 - drop) | second >> drop } else { first >> 1 };
    let more = dropped != 0 || drop > 64 && first & 1 == 1 || rest_of_second != 0 || low != 0;
    let root = square.isqrt();
    let std = rounded(root, more || root * root != square, (exp2 + drop) / 2);
    Some((variance, std))
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
        assert_eq!(nearest_mean(sum, exp2, count).to_bits(), mean.to_bits(), "mean of {values:?}");
        if u64::from(ddof) >= count {
            return;
        }
        let spread = big(&squares) * count - BigInt::from(sum) * sum;
        let divisor = BigUint::from(count) * (count - u64::from(ddof));
        let expected = [
            nearest_f64(&spread, &divisor, 2 * i64::from(exp2)),
            nearest_sqrt_f64(spread.magnitude(), &divisor, 2 * i64::from(exp2)),
        ];
        let (variance, std) = nearest_variance(sum, &squares, exp2, count, ddof).expect("it fits");
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

    #[test]
    fn ties_and_perfect_squares_are_exact() {
        check(&[1, 3], 0, 0, 1);
        check(&[0, 0, 0], 0, 5, 0);
        check(&[-5, -5], 0, -3, 0);
        check(&[(1 << 53) + 1, (1 << 53) + 1], 0, 0, 0);
        check(&[0, 6], 0, -537, 0);
        check(&[i64::MIN, i64::MAX, 0, 1], 0, 0, 1);
        let most = Wide([u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 1]);
        assert_eq!(nearest_variance(1, &most, 0, 3, 1), None);
        assert_eq!(nearest_variance(1, &most.shifted(200), 0, 1 << 40, 1), None);
    }
}
