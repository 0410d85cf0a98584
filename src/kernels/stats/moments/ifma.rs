//! Exact sums of floats with AVX-512 IFMA, which multiplies integers of 52 bits and adds the halves of their products to
//! lanes of 64.
//!
//! A digit of a number is the low 52 bits of `x + 1.5 * 2^52 * u` (see `window.rs`): the multiple `k` of `u` nearest to `x`,
//! and 2^51. Here it is a factor too: of `a = k + 2^51` the instruction adds up `a * a` in two halves, of which
//! `k * k = a * a - 2^52 k - 2^102` is left in the end. Where one digit is not all of a number, what it leaves over makes a
//! second one. What two digits do not hold is set aside, element by element, and passed over here.

use std::arch::x86_64::*;

use crate::kernels::stats::moments::window::Filter;

/// Whether this machine has what is needed.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma")
}

/// Elements a span at most: a lane takes one in eight, of which each adds less than 2^52 to a half of a product, and at
/// most 2^50 to a sum of digits, for which 64 bits have room 2^12 times.
pub(super) const SPAN: usize = 1 << 14;

/// A float type whose vectors widen to `f64`.
pub(super) trait Wide: Copy + PartialOrd {
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
        unsafe { (_mm512_set1_pd(f64::INFINITY), _mm512_set1_pd(f64::NEG_INFINITY)) }
    }

    #[inline(always)]
    unsafe fn load<const MASKED: bool>(
        at: *const f64,
        mask: __mmask16,
        (min, max): &mut (__m512d, __m512d),
    ) -> [__m512d; 2] {
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
        unsafe { [_mm512_loadu_pd(at), _mm512_loadu_pd(at.add(8))] }
    }

    #[inline(always)]
    unsafe fn keep(at: *const f64, mask: __mmask16, filter: &Filter<f64>) -> (__mmask16, u32) {
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
        unsafe { (_mm512_reduce_min_pd(min), _mm512_reduce_max_pd(max)) }
    }
}

#[inline(always)]
unsafe fn keep_eight(at: *const f64, mask: __mmask8, filter: &Filter<f64>) -> (__mmask8, u32) {
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
pub(super) struct Bits {
    signed_max: __m512i,
    unsigned_max: __m512i,
    magnitude_min: __m512,
}

impl Wide for f32 {
    type Extremes = __m512;

    #[inline(always)]
    unsafe fn no_extremes() -> (__m512, __m512) {
        unsafe { (_mm512_set1_ps(f32::INFINITY), _mm512_set1_ps(f32::NEG_INFINITY)) }
    }

    #[inline(always)]
    unsafe fn load<const MASKED: bool>(
        at: *const f32,
        mask: __mmask16,
        (min, max): &mut (__m512, __m512),
    ) -> [__m512d; 2] {
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
        unsafe { (_mm512_reduce_min_ps(min), _mm512_reduce_max_ps(max)) }
    }
}

/// The first and the second digit of numbers below `2^top`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    /// Rounds to each.
    magic: [f64; 2],
    /// What one of each is worth.
    pub(super) exp2: [i32; 2],
    /// Where the bits of those magnitudes begin of which the first digit holds any `f32`, and where they end.
    whole_f32: (u32, u32),
}

impl Digits {
    /// Bits of the first digit, without its sign. One more, and a number just below the top would round out of it.
    pub(super) const FIRST: i32 = 50;
    /// Bits of what both hold. What is left over by the first is at most half of its unit, and so at most 2^50 of a unit
    /// that is 2^51 times as small.
    pub(super) const BOTH: i32 = 101;

    /// Those of numbers below `2^top`; `None` where a magic number or its unit would leave the normal range of `f64`.
    pub(super) fn new(top: i32) -> Option<Self> {
        let exp2 = [top - Self::FIRST, top - Self::BOTH];
        // 1.5 * 2^(52 + exp2) is normal, and what is left over, down to a unit of the second digit, is a float.
        let fits = exp2[1] >= -1022 && exp2[0] + 53 <= 1023;
        fits.then(|| Self {
            magic: exp2.map(|exp2| 1.5 * f64::from_bits(((52 + exp2 + 1023) as u64) << 52)),
            exp2,
            whole_f32: whole_f32(top),
        })
    }
}

/// What a span comes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums<T> {
    /// How many elements passed the filter, those set aside among them.
    pub(super) passed: u64,
    /// How many did not since they are infinite.
    pub(super) infinite: u64,
    /// The least element that passed, though either zero may stand for the other, and NaN is none.
    pub(super) min: T,
    /// The greatest, likewise.
    pub(super) max: T,
    /// The sum of each digit.
    pub(super) digits: [i128; 2],
    /// The sums of products of digits: of the first with itself, of both, of the second with itself.
    pub(super) products: [i128; 3],
}

/// From which bits on, and up to which, the first digit below `2^top` holds every `f32`.
fn whole_f32(top: i32) -> (u32, u32) {
    // A significand's lowest bit is worth 2^(field - 150), for fields 0 and 1 2^-149, and the digit's 2^(top - 50).
    let (least, end) = (top - Digits::FIRST + 150, top + 127);
    let bits = |field: i32| (field.clamp(0, 255) as u32) << 23;
    let least = if least <= 1 { 0 } else { bits(least) };
    (least, bits(end))
}

/// The sums of a span of at most [`SPAN`] elements in so many digits. What they do not hold goes to `aside`; `None` where that
/// becomes more than there is capacity for. The elements that pass are below the digits' top, or NaN: else nothing that is
/// returned holds but `min` and `max`, which show it.
///
/// # Safety
/// [`is_available`].
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma,popcnt")]
pub(super) unsafe fn sums<T: Wide, const DIGITS: usize, const FILTERED: bool>(
    span: &[T],
    digits: &Digits,
    filter: &Filter<T>,
    aside: &mut Vec<T>,
) -> Option<Sums<T>> {
    debug_assert!(span.len() <= SPAN);
    // SAFETY: the caller sees to the instruction set; each step is of elements of the span, or its mask says which.
    unsafe {
        let mut gathered = Gathered::<T>::new(digits);
        // A load that crosses lines of the cache takes twice as long: the first step ends where one begins.
        let (mut at, end) = (span.as_ptr(), span.as_ptr().add(span.len()));
        let head = (at.align_offset(64) % STEP).min(span.len());
        if head > 0 {
            gathered.step::<DIGITS, FILTERED, true>(at, u16::MAX >> (STEP - head), filter, aside)?;
            at = at.add(head);
        }
        while T::GLANCES && DIGITS == 1 && !FILTERED && end.offset_from_unsigned(at) >= GROUP {
            if T::glance(at, digits, &mut gathered.glance) {
                for step in 0..GROUP / STEP {
                    gathered.quick_step(at.add(STEP * step));
                }
            } else {
                for step in 0..GROUP / STEP {
                    gathered.step::<DIGITS, FILTERED, false>(at.add(STEP * step), u16::MAX, filter, aside)?;
                }
            }
            at = at.add(GROUP);
        }
        while end.offset_from_unsigned(at) >= STEP {
            gathered.step::<DIGITS, FILTERED, false>(at, u16::MAX, filter, aside)?;
            at = at.add(STEP);
        }
        let tail = end.offset_from_unsigned(at);
        if tail > 0 {
            gathered.step::<DIGITS, FILTERED, true>(at, u16::MAX >> (STEP - tail), filter, aside)?;
        }
        let passed = if FILTERED { gathered.passed } else { span.len() as u64 };
        Some(gathered.sums::<DIGITS>(digits, passed))
    }
}

/// Elements that are taken at once.
const STEP: usize = 16;
/// Elements that are looked at before they are taken.
const GROUP: usize = 8 * STEP;

/// What is gathered of a span.
struct Gathered<T: Wide> {
    magic: [__m512d; 2],
    /// Two sets: one digit leaves registers enough, and needs them to hide the latency of its sums. Two digits use the
    /// first alone.
    lanes: [Lanes; 2],
    extremes: (T::Extremes, T::Extremes),
    glance: T::Glance,
    steps: i64,
    passed: u64,
    infinite: u64,
}

#[derive(Clone, Copy)]
struct Lanes {
    digits: [__m512i; 2],
    /// Low and high halves of products: of first digits, of both, of second ones.
    low: [__m512i; 3],
    high: [__m512i; 3],
}

impl<T: Wide> Gathered<T> {
    #[inline(always)]
    unsafe fn new(digits: &Digits) -> Self {
        unsafe {
            let zero = _mm512_setzero_si512();
            Self {
                magic: [_mm512_set1_pd(digits.magic[0]), _mm512_set1_pd(digits.magic[1])],
                lanes: [Lanes { digits: [zero; 2], low: [zero; 3], high: [zero; 3] }; 2],
                extremes: T::no_extremes(),
                glance: T::no_glance(),
                steps: 0,
                passed: 0,
                infinite: 0,
            }
        }
    }

    /// Takes the sixteen elements at `at`, where `MASKED` those of them that `mask` names.
    #[inline(always)]
    unsafe fn step<const DIGITS: usize, const FILTERED: bool, const MASKED: bool>(
        &mut self,
        at: *const T,
        mut mask: __mmask16,
        filter: &Filter<T>,
        aside: &mut Vec<T>,
    ) -> Option<()> {
        unsafe {
            if FILTERED {
                let (keep, infinite) = T::keep(at, mask, filter);
                mask = keep;
                self.passed += u64::from(keep.count_ones());
                self.infinite += u64::from(infinite);
            }
            let x = if FILTERED || MASKED {
                T::load::<true>(at, mask, &mut self.extremes)
            } else {
                T::load::<false>(at, mask, &mut self.extremes)
            };
            let magic = self.magic;
            let mut rounded = [[magic[0]; 2], [magic[1]; 2]];
            let mut over = [0; 2];
            for half in 0..2 {
                rounded[0][half] = _mm512_add_pd(x[half], magic[0]);
                if DIGITS == 2 {
                    let rest = _mm512_sub_pd(x[half], _mm512_sub_pd(rounded[0][half], magic[0]));
                    rounded[1][half] = _mm512_add_pd(rest, magic[1]);
                    let second = _mm512_sub_pd(rounded[1][half], magic[1]);
                    over[half] = _mm512_cmp_pd_mask::<_CMP_NEQ_UQ>(second, rest);
                } else {
                    over[half] = left_over(x[half], rounded[0][half], magic[0]);
                }
            }
            if over[0] | over[1] != 0 {
                if !set_aside(at, u16::from(over[0]) | u16::from(over[1]) << 8, aside) {
                    return None;
                }
                for half in 0..2 {
                    for digit in 0..DIGITS {
                        rounded[digit][half] = _mm512_mask_mov_pd(rounded[digit][half], over[half], magic[digit]);
                    }
                }
            }
            self.add::<DIGITS>(rounded);
            Some(())
        }
    }

    /// Takes sixteen elements of which one digit is known to hold each.
    #[inline(always)]
    unsafe fn quick_step(&mut self, at: *const T) {
        unsafe {
            let magic = self.magic;
            let [low, high] = T::widen(at);
            self.add::<1>([[_mm512_add_pd(low, magic[0]), _mm512_add_pd(high, magic[0])], [magic[1]; 2]]);
        }
    }

    /// Adds up the digits of sixteen elements.
    #[inline(always)]
    unsafe fn add<const DIGITS: usize>(&mut self, rounded: [[__m512d; 2]; 2]) {
        unsafe {
            for half in 0..2 {
                let lanes = &mut self.lanes[if DIGITS == 1 { half } else { 0 }];
                let a = _mm512_castpd_si512(rounded[0][half]);
                lanes.digits[0] = _mm512_add_epi64(lanes.digits[0], a);
                lanes.low[0] = _mm512_madd52lo_epu64(lanes.low[0], a, a);
                lanes.high[0] = _mm512_madd52hi_epu64(lanes.high[0], a, a);
                if DIGITS == 2 {
                    let b = _mm512_castpd_si512(rounded[1][half]);
                    lanes.digits[1] = _mm512_add_epi64(lanes.digits[1], b);
                    lanes.low[1] = _mm512_madd52lo_epu64(lanes.low[1], a, b);
                    lanes.high[1] = _mm512_madd52hi_epu64(lanes.high[1], a, b);
                    lanes.low[2] = _mm512_madd52lo_epu64(lanes.low[2], b, b);
                    lanes.high[2] = _mm512_madd52hi_epu64(lanes.high[2], b, b);
                }
            }
            self.steps += 1;
        }
    }

    #[inline(always)]
    unsafe fn sums<const DIGITS: usize>(self, digits: &Digits, passed: u64) -> Sums<T> {
        let (mut min, mut max) = unsafe { T::reduce(self.extremes) };
        if let Some((least, greatest)) = unsafe { T::reduce_glance(self.glance) } {
            min = if least < min { least } else { min };
            max = if greatest > max { greatest } else { max };
        }
        let mut result = Sums { passed, infinite: self.infinite, min, max, digits: [0; 2], products: [0; 3] };
        let (sets, steps_a_set) = if DIGITS == 1 { (2, self.steps) } else { (1, 2 * self.steps) };
        let products = if DIGITS == 1 { 1 } else { 3 };
        for set in &self.lanes[..sets] {
            for digit in 0..DIGITS {
                // Wraps, as the sum did; what is left is the sum of the multiples, below 2^62.
                let offset = (digits.magic[digit].to_bits() as i64).wrapping_mul(steps_a_set);
                let lanes = each_lane(set.digits[digit]);
                result.digits[digit] += lanes.map(|lane| i128::from(lane.wrapping_sub(offset))).sum::<i128>();
            }
            for product in 0..products {
                let total = |lanes| each_lane(lanes).map(|lane| i128::from(lane as u64)).sum::<i128>();
                result.products[product] += total(set.low[product]) + (total(set.high[product]) << 52);
            }
        }
        // Of a = k + 2^51 and b = l + 2^51, a * b is k * l + 2^51 (k + l) + 2^102.
        let all = i128::from(STEP as i64 * self.steps) << 102;
        let [first, second] = result.digits;
        let both = [2 * first, first + second, 2 * second];
        for product in 0..products {
            result.products[product] -= (both[product] << 51) + all;
        }
        result
    }
}

/// Which numbers are not what they were rounded to; NaN is among them.
#[inline(always)]
unsafe fn left_over(x: __m512d, rounded: __m512d, magic: __m512d) -> __mmask8 {
    unsafe { _mm512_cmp_pd_mask::<_CMP_NEQ_UQ>(_mm512_sub_pd(rounded, magic), x) }
}

/// Puts the elements that the mask names aside; whether there was capacity for them.
#[cold]
#[inline(never)]
unsafe fn set_aside<T: Copy>(at: *const T, mut mask: u16, aside: &mut Vec<T>) -> bool {
    if aside.len() + mask.count_ones() as usize > aside.capacity() {
        return false;
    }
    while mask != 0 {
        // SAFETY: only elements that were loaded are named.
        aside.push(unsafe { *at.add(mask.trailing_zeros() as usize) });
        mask &= mask - 1;
    }
    true
}

#[inline(always)]
fn each_lane(lanes: __m512i) -> impl Iterator<Item = i64> {
    // SAFETY: eight integers, as plain as the register.
    let lanes: [i64; 8] = unsafe { std::mem::transmute(lanes) };
    lanes.into_iter()
}
