//! Moments one element at a time: exact for anything, and the yardstick of the fast paths.

use crate::kernels::stats::Moments;
use crate::kernels::stats::moments::ExponentBins;
use crate::kernels::stats::number::Number;

/// Gathers a block of floats.
pub(super) fn gather_floats<T: Number>(
    moments: &mut Moments,
    bins: &mut ExponentBins,
    missing: Option<(u64, u64)>,
    block: &[T],
) {
    let (negative_infinity, infinity) = T::LAYOUT.valid_keys;
    let (missing_lo, missing_hi) = missing.unwrap_or((1, 0));
    for value in block {
        let key = value.key();
        if !(negative_infinity..=infinity).contains(&key) || (missing_lo..=missing_hi).contains(&key) {
            moments.nan_count += 1;
            continue;
        }
        moments.count += 1;
        moments.min_key = moments.min_key.min(key);
        moments.max_key = moments.max_key.max(key);
        if key == infinity {
            moments.positive_infinities += 1;
        } else if key == negative_infinity {
            moments.negative_infinities += 1;
        } else {
            bins.add(value.to_f64(), moments);
        }
    }
}

/// Gathers a block of integers, of at most 2^32 elements.
pub(super) fn gather_integers<T: Number + Into<i128>>(moments: &mut Moments, missing: Option<(u64, u64)>, block: &[T]) {
    let (missing_lo, missing_hi) = missing.unwrap_or((1, 0));
    let (mut count, mut sum, mut squares_low, mut squares_high) = (0u64, 0i128, 0u128, 0u128);
    for value in block {
        let key = value.key();
        if (missing_lo..=missing_hi).contains(&key) {
            continue;
        }
        count += 1;
        moments.min_key = moments.min_key.min(key);
        moments.max_key = moments.max_key.max(key);
        let value: i128 = (*value).into();
        sum += value;
        let magnitude = value.unsigned_abs() as u64;
        let square = u128::from(magnitude) * u128::from(magnitude);
        squares_low += square & u128::from(u64::MAX);
        squares_high += square >> 64;
    }
    moments.count += count;
    moments.nan_count += block.len() as u64 - count;
    moments.sum.add(sum, 0);
    moments.squares.add(squares_low as i128, 0);
    moments.squares.add(squares_high as i128, 64);
}
