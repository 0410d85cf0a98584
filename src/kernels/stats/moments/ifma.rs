//! Exact sums of floats with AVX-512 IFMA, which multiplies integers of 52 bits and adds the halves of their products to
//! lanes of 64.
//!
//! A digit of a number is the low 52 bits of `x + 1.5 * 2^52 * u` (see `window.rs`): the multiple `k` of `u` nearest to `x`,
//! and 2^51. Here it is a factor too: of `a = k + 2^51` the instruction adds up `a * a` in two halves, of which
//! `k * k = a * a - 2^52 k - 2^102` is left in the end. Where one digit is not all of a number, what it leaves over makes a
//! second one. What two digits do not hold is set aside, element by element, and passed over here.

mod elements;

use std::arch::x86_64::*;

use crate::kernels::stats::moments::window::Filter;
pub(super) use elements::Wide;

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
        // SAFETY: the caller sees to the instruction set, and to the elements.
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
        // SAFETY: the caller sees to the instruction set, and to the elements.
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
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe {
            let magic = self.magic;
            let [low, high] = T::widen(at);
            self.add::<1>([[_mm512_add_pd(low, magic[0]), _mm512_add_pd(high, magic[0])], [magic[1]; 2]]);
        }
    }

    /// Adds up the digits of sixteen elements.
    #[inline(always)]
    unsafe fn add<const DIGITS: usize>(&mut self, rounded: [[__m512d; 2]; 2]) {
        // SAFETY: the caller sees to the instruction set, and to the elements.
        unsafe {
            let [first, second] = rounded;
            for (half, (a, b)) in first.into_iter().zip(second).enumerate() {
                let lanes = &mut self.lanes[if DIGITS == 1 { half } else { 0 }];
                let a = _mm512_castpd_si512(a);
                lanes.digits[0] = _mm512_add_epi64(lanes.digits[0], a);
                lanes.low[0] = _mm512_madd52lo_epu64(lanes.low[0], a, a);
                lanes.high[0] = _mm512_madd52hi_epu64(lanes.high[0], a, a);
                if DIGITS == 2 {
                    let b = _mm512_castpd_si512(b);
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
        // SAFETY: the caller sees to the instruction set, and to the elements.
        let (mut min, mut max) = unsafe { T::reduce(self.extremes) };
        // SAFETY: the caller sees to the instruction set, and to the elements.
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
        for (product, both) in result.products.iter_mut().zip(both).take(products) {
            *product -= (both << 51) + all;
        }
        result
    }
}

/// Which numbers are not what they were rounded to; NaN is among them.
#[inline(always)]
unsafe fn left_over(x: __m512d, rounded: __m512d, magic: __m512d) -> __mmask8 {
    // SAFETY: the caller sees to the instruction set, and to the elements.
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
