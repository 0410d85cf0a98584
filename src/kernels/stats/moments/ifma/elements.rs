//! The elements that vectors are made of, sixteen at a time.
//!
//! What is unsafe here is so for the instruction set (`is_available`), and for the elements behind a pointer; both are for
//! those to see to who call it. It is inlined into functions that have the instructions.

use std::arch::x86_64::*;

use super::{Digits, GROUP, STEP};
use crate::kernels::stats::moments::window::Filter;

/// A float type whose vectors widen to `f64`.
pub(in crate::kernels::stats::moments) trait Wide: Copy + PartialOrd {
    /// Sixteen lanes of this type, or as many as a register has.
    type Extremes: Copy;
    /// Nothing yet.
    unsafe fn no_extremes() -> (Self::Extremes, Self::Extremes);
    /// The sixteen elements at `at` that `mask` names, zeros for the others, and the extremes with them among them. Where not
    /// `MASKED`, a line of the cache begins at `at`.
    unsafe fn load<const MASKED: bool>(
        at: *const Self,
        mask: __mmask16,
        extremes: &mut (Self::Extremes, Self::Extremes),
    ) -> [__m512d; 2];
    /// The sixteen elements at `at`, where a line of the cache begins.
    unsafe fn widen(at: *const Self) -> [__m512d; 2];
    /// Which of the sixteen elements at `at`, of those that `mask` names, pass the filter, and how many of them are infinite.
    unsafe fn keep(at: *const Self, mask: __mmask16, filter: &Filter<Self>) -> (__mmask16, u32);
    /// What a glance at many elements finds, in lanes.
    type Glance: Copy;
    /// Whether a glance pays: never, where an element has more bits than a digit.
    const GLANCES: bool;
    /// Nothing yet.
    unsafe fn no_glance() -> Self::Glance;
    /// Looks at [`GROUP`] elements, takes them in and says so where the first digit is sure to hold each of them.
    unsafe fn glance(at: *const Self, digits: &Digits, found: &mut Self::Glance) -> bool;
    /// The least and the greatest of what was looked at; none where nothing was.
    unsafe fn reduce_glance(found: Self::Glance) -> Option<(Self, Self)>;
    /// The least and the greatest of all lanes.
    unsafe fn reduce(extremes: (Self::Extremes, Self::Extremes)) -> (Self, Self);
}

impl Wide for f64 {
    type Extremes = __m512d;

    #[inline(always)]
    unsafe fn no_extremes() -> (__m512d, __m512d) {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe { (_mm512_set1_pd(f64::INFINITY), _mm512_set1_pd(f64::NEG_INFINITY)) }
    }

    #[inline(always)]
    unsafe fn load<const MASKED: bool>(
        at: *const f64,
        mask: __mmask16,
        (min, max): &mut (__m512d, __m512d),
    ) -> [__m512d; 2] {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe {
            let mut x = [_mm512_setzero_pd(); 2];
            for (half, x) in x.iter_mut().enumerate() {
                let at = at.wrapping_add(8 * half);
                if MASKED {
                    let keep = (mask >> (8 * half)) as __mmask8;
                    *x = _mm512_maskz_loadu_pd(keep, at);
                    *min = _mm512_mask_min_pd(*min, keep, *x, *min);
                    *max = _mm512_mask_max_pd(*max, keep, *x, *max);
                } else {
                    *x = _mm512_loadu_pd(at);
                    // Of a NaN and a number, the second operand is the result.
                    *min = _mm512_min_pd(*x, *min);
                    *max = _mm512_max_pd(*x, *max);
                }
            }
            x
        }
    }

    #[inline(always)]
    unsafe fn widen(at: *const f64) -> [__m512d; 2] {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe { [_mm512_loadu_pd(at), _mm512_loadu_pd(at.add(8))] }
    }

    #[inline(always)]
    unsafe fn keep(at: *const f64, mask: __mmask16, filter: &Filter<f64>) -> (__mmask16, u32) {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe {
            let (low, low_infinite) = keep_eight(at, mask as __mmask8, filter);
            let (high, high_infinite) = keep_eight(at.wrapping_add(8), (mask >> 8) as __mmask8, filter);
            (u16::from(low) | u16::from(high) << 8, low_infinite + high_infinite)
        }
    }

    type Glance = ();
    const GLANCES: bool = false;

    #[inline(always)]
    unsafe fn no_glance() {}

    #[inline(always)]
    unsafe fn glance(_: *const f64, _: &Digits, (): &mut ()) -> bool {
        false
    }

    #[inline(always)]
    unsafe fn reduce_glance((): ()) -> Option<(f64, f64)> {
        None
    }

    #[inline(always)]
    unsafe fn reduce((min, max): (__m512d, __m512d)) -> (f64, f64) {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe { (_mm512_reduce_min_pd(min), _mm512_reduce_max_pd(max)) }
    }
}

#[inline(always)]
unsafe fn keep_eight(at: *const f64, mask: __mmask8, filter: &Filter<f64>) -> (__mmask8, u32) {
    // SAFETY: the caller sees to the instruction set, and to the elements.
    unsafe {
        let x = _mm512_maskz_loadu_pd(mask, at);
        let magnitude = _mm512_abs_pd(x);
        let keep = _mm512_mask_cmp_pd_mask::<_CMP_GE_OQ>(mask, magnitude, _mm512_set1_pd(filter.least));
        let keep = _mm512_mask_cmp_pd_mask::<_CMP_LT_OQ>(keep, magnitude, _mm512_set1_pd(filter.below));
        let keep = _mm512_mask_cmp_pd_mask::<_CMP_NEQ_UQ>(keep, x, _mm512_set1_pd(filter.missing));
        let infinite = _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(magnitude, _mm512_set1_pd(f64::INFINITY));
        (keep, infinite.count_ones())
    }
}

/// Bits of `f32` as integers, their extremes lane by lane: those of signed ones, of unsigned ones, and of magnitudes.
#[derive(Clone, Copy)]
pub(in crate::kernels::stats::moments) struct Bits {
    signed_max: __m512i,
    unsigned_max: __m512i,
    magnitude_min: __m512,
}

impl Wide for f32 {
    type Extremes = __m512;

    #[inline(always)]
    unsafe fn no_extremes() -> (__m512, __m512) {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe { (_mm512_set1_ps(f32::INFINITY), _mm512_set1_ps(f32::NEG_INFINITY)) }
    }

    #[inline(always)]
    unsafe fn load<const MASKED: bool>(
        at: *const f32,
        mask: __mmask16,
        (min, max): &mut (__m512, __m512),
    ) -> [__m512d; 2] {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe {
            if MASKED {
                let x = _mm512_maskz_loadu_ps(mask, at);
                *min = _mm512_mask_min_ps(*min, mask, x, *min);
                *max = _mm512_mask_max_ps(*max, mask, x, *max);
                [_mm512_cvtps_pd(_mm512_castps512_ps256(x)), _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(x))]
            } else {
                let x = _mm512_loadu_ps(at);
                *min = _mm512_min_ps(x, *min);
                *max = _mm512_max_ps(x, *max);
                Self::widen(at)
            }
        }
    }

    #[inline(always)]
    unsafe fn widen(at: *const f32) -> [__m512d; 2] {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe {
            // Volatile, or the compiler takes the second load apart, element by element.
            debug_assert!(at.cast::<__m512i>().is_aligned());
            let (low, high) =
                (std::ptr::read_volatile(at.cast::<__m256i>()), std::ptr::read_volatile(at.add(8).cast::<__m256i>()));
            [_mm512_cvtps_pd(_mm256_castsi256_ps(low)), _mm512_cvtps_pd(_mm256_castsi256_ps(high))]
        }
    }

    #[inline(always)]
    unsafe fn keep(at: *const f32, mask: __mmask16, filter: &Filter<f32>) -> (__mmask16, u32) {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe {
            let x = _mm512_maskz_loadu_ps(mask, at);
            let magnitude = _mm512_abs_ps(x);
            let keep = _mm512_mask_cmp_ps_mask::<_CMP_GE_OQ>(mask, magnitude, _mm512_set1_ps(filter.least));
            let keep = _mm512_mask_cmp_ps_mask::<_CMP_LT_OQ>(keep, magnitude, _mm512_set1_ps(filter.below));
            let keep = _mm512_mask_cmp_ps_mask::<_CMP_NEQ_UQ>(keep, x, _mm512_set1_ps(filter.missing));
            let infinite = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(magnitude, _mm512_set1_ps(f32::INFINITY));
            (keep, infinite.count_ones())
        }
    }

    type Glance = Bits;
    const GLANCES: bool = true;

    #[inline(always)]
    unsafe fn no_glance() -> Bits {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe {
            Bits {
                signed_max: _mm512_set1_epi32(i32::MIN),
                unsigned_max: _mm512_setzero_si512(),
                magnitude_min: _mm512_set1_ps(f32::INFINITY),
            }
        }
    }

    #[inline(always)]
    unsafe fn glance(at: *const f32, digits: &Digits, found: &mut Bits) -> bool {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe {
            let mut group = Self::no_glance();
            for step in 0..GROUP / STEP {
                let x = _mm512_loadu_ps(at.add(step * STEP));
                group.signed_max = _mm512_max_epi32(group.signed_max, _mm512_castps_si512(x));
                group.unsigned_max = _mm512_max_epu32(group.unsigned_max, _mm512_castps_si512(x));
                // The lesser magnitude, without a sign.
                group.magnitude_min = _mm512_range_ps::<0b1010>(x, group.magnitude_min);
            }
            let (least, end) = digits.whole_f32;
            let magnitudes = _mm512_castps_si512(group.magnitude_min);
            let below = _mm512_cmplt_epu32_mask(magnitudes, _mm512_set1_epi32(least as i32));
            let over = _mm512_cmpge_epi32_mask(group.signed_max, _mm512_set1_epi32(end as i32));
            let under = _mm512_cmpge_epu32_mask(group.unsigned_max, _mm512_set1_epi32((end | 1 << 31) as i32));
            if below | over | under != 0 {
                return false;
            }
            found.signed_max = _mm512_max_epi32(found.signed_max, group.signed_max);
            found.unsigned_max = _mm512_max_epu32(found.unsigned_max, group.unsigned_max);
            found.magnitude_min = _mm512_min_ps(found.magnitude_min, group.magnitude_min);
            true
        }
    }

    #[inline(always)]
    unsafe fn reduce_glance(found: Bits) -> Option<(f32, f32)> {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        let (signed, unsigned, magnitude) = unsafe {
            (
                _mm512_reduce_max_epi32(found.signed_max),
                _mm512_reduce_max_epu32(found.unsigned_max),
                _mm512_reduce_min_ps(found.magnitude_min),
            )
        };
        // The greatest signed integer is the greatest number if one is positive; else the greatest number is the one of the
        // least magnitude. The greatest unsigned integer is the least number if one is negative.
        let max = if signed >= 0 { f32::from_bits(signed as u32) } else { -magnitude };
        let min = if unsigned >> 31 == 1 { f32::from_bits(unsigned) } else { magnitude };
        magnitude.is_finite().then_some((min, max))
    }

    #[inline(always)]
    unsafe fn reduce((min, max): (__m512, __m512)) -> (f32, f32) {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe { (_mm512_reduce_min_ps(min), _mm512_reduce_max_ps(max)) }
    }
}
