//! Moments of integers.

use crate::kernels::Isa;
use crate::kernels::stats::Moments;
use crate::kernels::stats::number::Number;

/// An integer of 32 bits.
pub(super) trait Narrow: Number + Into<i64> + Ord {
    /// The least and the greatest of them.
    const ENDS: (Self, Self);
}
impl Narrow for i32 {
    const ENDS: (Self, Self) = (Self::MIN, Self::MAX);
}
impl Narrow for u32 {
    const ENDS: (Self, Self) = (Self::MIN, Self::MAX);
}

/// Gathers a block of 32-bit integers, of at most 2^30 elements.
pub(super) fn gather_32<T: Narrow>(isa: Isa, moments: &mut Moments, missing: Option<T>, block: &[T]) {
    let sums = match missing {
        Some(missing) => narrow_on_isa::<T, true>(isa, block, missing),
        None => narrow_on_isa::<T, false>(isa, block, T::ENDS.0),
    };
    if take_in_counts(moments, block.len(), sums.count, sums.min, sums.max) {
        moments.sum.add(sums.sum.into(), 0);
        moments.squares.add(sums.squares_low.into(), 0);
        moments.squares.add(sums.squares_high.into(), 32);
    }
}

/// What a block comes to.
struct NarrowSums<T> {
    count: u64,
    min: T,
    max: T,
    sum: i64,
    /// The sum of the squares is `squares_high * 2^32 + squares_low`.
    squares_low: u64,
    squares_high: u64,
}

/// Takes in counts and extremes; whether there is any value.
fn take_in_counts<T: Number>(moments: &mut Moments, len: usize, count: u64, min: T, max: T) -> bool {
    moments.nan_count += len as u64 - count;
    moments.count += count;
    if count > 0 {
        moments.min_key = moments.min_key.min(min.key());
        moments.max_key = moments.max_key.max(max.key());
    }
    count > 0
}

fn narrow_on_isa<T: Narrow, const MISSING: bool>(isa: Isa, block: &[T], missing: T) -> NarrowSums<T> {
    match isa {
        // SAFETY: `Gathering::new` sees to it that `isa` is never wider than the machine's.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { narrow_avx512::<T, MISSING>(block, missing) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { narrow_avx2::<T, MISSING>(block, missing) },
        _ => narrow::<T, MISSING>(block, missing),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
fn narrow_avx512<T: Narrow, const MISSING: bool>(block: &[T], missing: T) -> NarrowSums<T> {
    narrow::<T, MISSING>(block, missing)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn narrow_avx2<T: Narrow, const MISSING: bool>(block: &[T], missing: T) -> NarrowSums<T> {
    narrow::<T, MISSING>(block, missing)
}

#[inline(always)]
fn narrow<T: Narrow, const MISSING: bool>(block: &[T], missing: T) -> NarrowSums<T> {
    let (mut min, mut max) = (T::ENDS.1, T::ENDS.0);
    let (mut count, mut sum, mut low, mut high) = (0u64, 0i64, 0u64, 0u64);
    for value in block {
        let kept = !MISSING || *value != missing;
        let wide: i64 = if kept { (*value).into() } else { 0 };
        min = min.min(if kept { *value } else { T::ENDS.1 });
        max = max.max(if kept { *value } else { T::ENDS.0 });
        count += u64::from(kept);
        sum += wide;
        let magnitude = wide.unsigned_abs();
        let square = magnitude * magnitude;
        low += square & 0xffff_ffff;
        high += square >> 32;
    }
    NarrowSums { count, min, max, sum, squares_low: low, squares_high: high }
}

/// Gathers a block of 64-bit integers, of at most 2^30 elements.
///
/// All is done on keys, which are unsigned: the element itself, or, for signed types, the element and 2^63. What that adds
/// to the sums is taken off at the end.
pub(super) fn gather_64<T: Number>(isa: Isa, moments: &mut Moments, missing: Option<T>, block: &[T]) {
    let sums = match missing {
        Some(missing) => wide_on_isa::<T, true>(isa, block, missing.key()),
        None => wide_on_isa::<T, false>(isa, block, 0),
    };
    let least = T::from_key(sums.min);
    if !take_in_counts(moments, block.len(), sums.count, least, T::from_key(sums.max)) {
        return;
    }
    let sum = (i128::from(sums.high) << 32) + i128::from(sums.low);
    moments.sum.add(sum, 0);
    for (half, products) in sums.products.iter().enumerate() {
        for (part, product) in products.iter().enumerate() {
            // The product of the two halves counts twice.
            let twice = i32::from(half == 1);
            moments.squares.add(i128::from(*product), 32 * (half + part) as i32 + twice);
        }
    }
    if T::from_key(0).to_f64() < 0.0 {
        // Of y = x + 2^63: the sum of x is that of y, less 2^63 n; that of x² is that of y², less 2^64 Σy, and 2^126 n.
        let count = i128::from(sums.count);
        moments.sum.add(-count, 63);
        moments.squares.add(-sum, 64);
        moments.squares.add(count, 126);
    }
}

/// What a block comes to, in keys.
struct WideSums {
    count: u64,
    min: u64,
    max: u64,
    /// The sums of the low and of the high halves.
    low: u64,
    high: u64,
    /// The sums of products of halves (low by low, low by high, high by high), each as those of its low and high half.
    products: [[u64; 2]; 3],
}

fn wide_on_isa<T: Number, const MISSING: bool>(isa: Isa, block: &[T], missing: u64) -> WideSums {
    match isa {
        // SAFETY: `Gathering::new` sees to it that `isa` is never wider than the machine's.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { wide_avx512::<T, MISSING>(block, missing) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { wide_avx2::<T, MISSING>(block, missing) },
        _ => wide::<T, MISSING>(block, missing),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
fn wide_avx512<T: Number, const MISSING: bool>(block: &[T], missing: u64) -> WideSums {
    wide::<T, MISSING>(block, missing)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn wide_avx2<T: Number, const MISSING: bool>(block: &[T], missing: u64) -> WideSums {
    wide::<T, MISSING>(block, missing)
}

#[inline(always)]
fn wide<T: Number, const MISSING: bool>(block: &[T], missing: u64) -> WideSums {
    const HALF: u64 = 0xffff_ffff;
    let (mut count, mut min, mut max) = (0, u64::MAX, 0);
    let (mut low, mut high) = (0, 0);
    let [[mut ll_low, mut ll_high], [mut lh_low, mut lh_high], [mut hh_low, mut hh_high]] = [[0; 2]; 3];
    for value in block {
        let key = value.key();
        let kept = !MISSING || key != missing;
        min = min.min(if kept { key } else { u64::MAX });
        max = max.max(if kept { key } else { 0 });
        count += u64::from(kept);
        let key = if kept { key } else { 0 };
        let (l, h) = (key & HALF, key >> 32);
        low += l;
        high += h;
        let (ll, lh, hh) = (l * l, l * h, h * h);
        ll_low += ll & HALF;
        ll_high += ll >> 32;
        lh_low += lh & HALF;
        lh_high += lh >> 32;
        hh_low += hh & HALF;
        hh_high += hh >> 32;
    }
    let products = [[ll_low, ll_high], [lh_low, lh_high], [hh_low, hh_high]];
    WideSums { count, min, max, low, high, products }
}
