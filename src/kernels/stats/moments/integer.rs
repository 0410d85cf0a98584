//! Moments of integers.

use crate::kernels::Isa;
use crate::kernels::stats::Moments;
use crate::kernels::stats::number::Number;

/// What a block of integers comes to.
struct BlockSums<T> {
    count: u64,
    min: T,
    max: T,
    sum: i128,
    /// The sum of squares is `squares_high * 2^32 + squares_low` for elements of 32 bits, `2^64` for those of 64.
    squares_low: u128,
    squares_high: u128,
}

fn take_in<T: Number>(moments: &mut Moments, len: usize, sums: &BlockSums<T>, high_exp2: i32) {
    moments.nan_count += len as u64 - sums.count;
    if sums.count == 0 {
        return;
    }
    moments.count += sums.count;
    moments.min_key = moments.min_key.min(sums.min.key());
    moments.max_key = moments.max_key.max(sums.max.key());
    moments.sum.add(sums.sum, 0);
    moments.squares.add(sums.squares_low as i128, 0);
    moments.squares.add(sums.squares_high as i128, high_exp2);
}

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

/// Gathers a block of 32-bit integers, of at most 2^31 elements.
pub(super) fn gather_32<T: Narrow>(isa: Isa, moments: &mut Moments, missing: Option<T>, block: &[T]) {
    let sums = match missing {
        Some(missing) => narrow_on_isa::<T, true>(isa, block, missing),
        None => narrow_on_isa::<T, false>(isa, block, T::ENDS.0),
    };
    take_in(moments, block.len(), &sums, 32);
}

fn narrow_on_isa<T: Narrow, const MISSING: bool>(isa: Isa, block: &[T], missing: T) -> BlockSums<T> {
    match isa {
        // SAFETY: an `Isa` in a `FoldContext` is never wider than the machine's.
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
fn narrow_avx512<T: Narrow, const MISSING: bool>(block: &[T], missing: T) -> BlockSums<T> {
    narrow::<T, MISSING>(block, missing)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn narrow_avx2<T: Narrow, const MISSING: bool>(block: &[T], missing: T) -> BlockSums<T> {
    narrow::<T, MISSING>(block, missing)
}

#[inline(always)]
fn narrow<T: Narrow, const MISSING: bool>(block: &[T], missing: T) -> BlockSums<T> {
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
    BlockSums { count, min, max, sum: sum.into(), squares_low: low.into(), squares_high: high.into() }
}

/// An integer of 64 bits.
pub(super) trait Wide: Number + Into<i128> + Ord {
    /// The least and the greatest of them.
    const ENDS: (Self, Self);
    /// Its distance from zero.
    fn magnitude(self) -> u64;
}
impl Wide for i64 {
    const ENDS: (Self, Self) = (Self::MIN, Self::MAX);
    #[inline(always)]
    fn magnitude(self) -> u64 {
        self.unsigned_abs()
    }
}
impl Wide for u64 {
    const ENDS: (Self, Self) = (Self::MIN, Self::MAX);
    #[inline(always)]
    fn magnitude(self) -> u64 {
        self
    }
}

/// Gathers a block of 64-bit integers, of at most 2^62 elements.
pub(super) fn gather_64<T: Wide>(_: Isa, moments: &mut Moments, missing: Option<T>, block: &[T]) {
    // Products of 64 bits are as fast one by one as in lanes.
    let sums = match missing {
        Some(missing) => wide::<T, true>(block, missing),
        None => wide::<T, false>(block, T::ENDS.0),
    };
    take_in(moments, block.len(), &sums, 64);
}

fn wide<T: Wide, const MISSING: bool>(block: &[T], missing: T) -> BlockSums<T> {
    let (mut min, mut max) = (T::ENDS.1, T::ENDS.0);
    let (mut count, mut sum, mut squares, mut carries) = (0u64, 0i128, 0u128, 0u64);
    for value in block {
        if MISSING && *value == missing {
            continue;
        }
        count += 1;
        min = min.min(*value);
        max = max.max(*value);
        sum += (*value).into();
        let magnitude = u128::from(value.magnitude());
        let (total, over) = squares.overflowing_add(magnitude * magnitude);
        squares = total;
        carries += u64::from(over);
    }
    let high = (squares >> 64) + (u128::from(carries) << 64);
    BlockSums { count, min, max, sum, squares_low: squares & u128::from(u64::MAX), squares_high: high }
}
