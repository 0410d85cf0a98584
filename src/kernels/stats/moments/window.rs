//! Exact sums of floats at the speed of memory: fixed point in a window of exponents.
//!
//! Adding `M = 1.5 * 2^52 * u` to a float below `2^51 u` rounds it to a multiple of `u` and leaves that multiple in the low
//! bits of the result, so the bits of `x + M` can be added up as integers, exactly. What the rounding left over is a float
//! again, and goes into the next, finer digit. A span of elements fits its window where nothing is left over after the last
//! digit; what does not fit goes another way. Squares are sums of products of digits, each of which is exact.

use crate::kernels::Isa;
use crate::kernels::stats::number::Number;

/// A float type with a window.
pub(super) trait Windowed: Number {
    /// Elements a span at most: as many as sums of 2^51 leave room for in the lanes of an `i64`.
    const SPAN: usize;

    /// Every number from `2^(top - DEPTH)` up to the top of its window fits it, whatever its significand.
    const DEPTH: i32;

    /// The nearest number.
    fn from_f64(value: f64) -> Self;

    /// A window over numbers whose magnitude is below `2^top`; `None` where its sums would leave the range of `f64`.
    fn window(top: i32) -> Option<Window>;

    /// The sums of a span, in `LANES` lanes. `FUSED` says whether the machine has fused multiply-add, `FILTERED` whether
    /// the filter is heeded.
    fn sums<const LANES: usize, const FUSED: bool, const FILTERED: bool>(
        span: &[Self],
        window: &Window,
        filter: &Filter<Self>,
    ) -> SpanSums<Self>;
}

/// Which elements of a span are summed; the others are passed over. None of them is a NaN.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter<T> {
    /// Those of at least this magnitude,
    pub(super) least: T,
    /// and below this one,
    pub(super) below: T,
    /// that are not equal to this number; NaN leaves out none.
    pub(super) missing: T,
}

/// A window: the magic numbers of its digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Numbers of a magnitude below `2^top` fit.
    pub(super) top: i32,
    /// `2^top`.
    pub(super) limit: f64,
    /// Rounds to each digit of a number.
    sum_magic: [f64; 3],
    /// What one of each digit is worth.
    pub(super) sum_exp2: [i32; 3],
    /// Rounds to each digit of a square.
    square_magic: [f64; 5],
    /// What one of each digit of a square is worth.
    pub(super) square_exp2: [i32; 5],
}

/// What a span comes to, where it fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanSums<T> {
    /// Whether every element that was summed fits the window; else nothing else holds. NaN and infinities do not.
    pub(super) fits: bool,
    /// How many elements were summed.
    pub(super) kept: u64,
    /// How many were passed over since they are infinite.
    pub(super) infinite: u64,
    /// The least element, though either zero may stand for the other.
    pub(super) min: T,
    /// The greatest element, likewise.
    pub(super) max: T,
    /// The sum, digit by digit.
    pub(super) sum: [i128; 3],
    /// The sum of the squares, digit by digit.
    pub(super) squares: [i128; 5],
}

/// 2^exponent, for an exponent of a normal number.
pub(in crate::kernels::stats) fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// The number that rounds what is added to it to multiples of 2^exponent.
pub(in crate::kernels::stats) fn magic(exponent: i32) -> f64 {
    1.5 * power(52 + exponent)
}

/// Lanes of integer sums of rounded floats.
#[derive(Clone, Copy)]
struct Digit<const LANES: usize>([i64; LANES]);

impl<const LANES: usize> Digit<LANES> {
    const ZERO: Self = Self([0; LANES]);

    /// Takes the multiple of the digit's worth out of the low bits of a rounded float.
    #[inline(always)]
    fn add(&mut self, lane: usize, rounded: f64) {
        self.0[lane] = self.0[lane].wrapping_add(rounded.to_bits() as i64);
    }

    /// The sum of the multiples, of which each lane has taken `count`.
    #[inline(always)]
    fn total(&self, count: usize, magic: f64) -> i128 {
        let offset = (magic.to_bits() as i64).wrapping_mul(count as i64);
        self.0.iter().map(|lane| i128::from(lane.wrapping_sub(offset))).sum()
    }
}

/// `a * b + c` where the product is exact, so that both ways give the same.
#[inline(always)]
pub(in crate::kernels::stats) fn multiply_add<const FUSED: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

impl Windowed for f32 {
    const SPAN: usize = 8192;
    const DEPTH: i32 = 27;

    fn from_f64(value: f64) -> Self {
        value as f32
    }

    fn window(top: i32) -> Option<Window> {
        // One digit of 50 bits, and two of 50 for squares: what is left of a multiple of 2^(top - 50), squared, is a
        // multiple of 2^(2 top - 100).
        if !(-147..=130).contains(&top) {
            return None;
        }
        let (sum, squares) = (top - 50, [2 * top - 50, 2 * top - 100]);
        Some(Window {
            top,
            limit: power(top),
            sum_magic: [magic(sum), 0.0, 0.0],
            sum_exp2: [sum, 0, 0],
            square_magic: [magic(squares[0]), magic(squares[1]), 0.0, 0.0, 0.0],
            square_exp2: [squares[0], squares[1], 0, 0, 0],
        })
    }

    #[inline(always)]
    fn sums<const LANES: usize, const FUSED: bool, const FILTERED: bool>(
        span: &[Self],
        window: &Window,
        filter: &Filter<Self>,
    ) -> SpanSums<Self> {
        let (magic, [first, second, ..]) = (window.sum_magic[0], window.square_magic);
        let (mut sum, mut high, mut low) = (Digit::<LANES>::ZERO, Digit::<LANES>::ZERO, Digit::<LANES>::ZERO);
        let (mut min, mut max, mut over) = ([Self::INFINITY; LANES], [Self::NEG_INFINITY; LANES], [0u64; LANES]);
        let (mut kept, mut infinite) = ([0u64; LANES], [0u64; LANES]);
        let steps = span.chunks_exact(LANES);
        let count = steps.len();
        for step in steps {
            for lane in 0..LANES {
                let (mut x, mut below, mut above) = (step[lane], step[lane], step[lane]);
                if FILTERED {
                    let magnitude = x.abs();
                    let keep = (magnitude >= filter.least) & (magnitude < filter.below) & (x != filter.missing);
                    kept[lane] += u64::from(keep);
                    infinite[lane] += u64::from(magnitude == Self::INFINITY);
                    below = if keep { x } else { Self::INFINITY };
                    above = if keep { x } else { Self::NEG_INFINITY };
                    x = if keep { x } else { 0.0 };
                }
                min[lane] = if below < min[lane] { below } else { min[lane] };
                max[lane] = if above > max[lane] { above } else { max[lane] };
                let wide = f64::from(x);
                let rounded = wide + magic;
                sum.add(lane, rounded);
                over[lane] |= (wide - (rounded - magic)).to_bits();
                let square = wide * wide;
                let rounded = square + first;
                high.add(lane, rounded);
                low.add(lane, (square - (rounded - first)) + second);
            }
        }
        SpanSums {
            // The sign of a zero is nothing left over.
            fits: over.iter().fold(0, |all, over| all | over) & (u64::MAX >> 1) == 0,
            kept: if FILTERED { kept.iter().sum() } else { (count * LANES) as u64 },
            infinite: infinite.iter().sum(),
            min: min.into_iter().fold(Self::INFINITY, Self::min),
            max: max.into_iter().fold(Self::NEG_INFINITY, Self::max),
            sum: [sum.total(count, magic), 0, 0],
            squares: [high.total(count, first), low.total(count, second), 0, 0, 0],
        }
    }
}

impl Windowed for f64 {
    const SPAN: usize = 4096;
    const DEPTH: i32 = 24;

    fn from_f64(value: f64) -> Self {
        value
    }

    fn window(top: i32) -> Option<Window> {
        // Digits a, b, c of 24, 26 and 26 bits: products of any two are below 2^51, as is 2ac + bb.
        if !(-430..=500).contains(&top) {
            return None;
        }
        let sum = [top - 24, top - 50, top - 76];
        // aa, ab (twice), ac (twice) with bb, bc (twice), cc.
        let squares = [2 * sum[0], sum[0] + sum[1], 2 * sum[1], sum[1] + sum[2], 2 * sum[2]];
        Some(Window {
            top,
            limit: power(top),
            sum_magic: sum.map(magic),
            sum_exp2: sum,
            square_magic: squares.map(magic),
            square_exp2: [squares[0], squares[1] + 1, squares[2], squares[3] + 1, squares[4]],
        })
    }

    #[inline(always)]
    fn sums<const LANES: usize, const FUSED: bool, const FILTERED: bool>(
        span: &[Self],
        window: &Window,
        filter: &Filter<Self>,
    ) -> SpanSums<Self> {
        let (sum_magic, square_magic) = (window.sum_magic, window.square_magic);
        let (mut sum, mut squares) = ([Digit::<LANES>::ZERO; 3], [Digit::<LANES>::ZERO; 5]);
        let (mut min, mut max, mut over) = ([Self::INFINITY; LANES], [Self::NEG_INFINITY; LANES], [0u64; LANES]);
        let (mut kept, mut infinite) = ([0u64; LANES], [0u64; LANES]);
        let steps = span.chunks_exact(LANES);
        let count = steps.len();
        for step in steps {
            for lane in 0..LANES {
                let (mut x, mut below, mut above) = (step[lane], step[lane], step[lane]);
                if FILTERED {
                    let magnitude = x.abs();
                    let keep = (magnitude >= filter.least) & (magnitude < filter.below) & (x != filter.missing);
                    kept[lane] += u64::from(keep);
                    infinite[lane] += u64::from(magnitude == Self::INFINITY);
                    below = if keep { x } else { Self::INFINITY };
                    above = if keep { x } else { Self::NEG_INFINITY };
                    x = if keep { x } else { 0.0 };
                }
                min[lane] = if below < min[lane] { below } else { min[lane] };
                max[lane] = if above > max[lane] { above } else { max[lane] };
                let rounded = x + sum_magic[0];
                sum[0].add(lane, rounded);
                let a = rounded - sum_magic[0];
                let rest = x - a;
                let rounded = rest + sum_magic[1];
                sum[1].add(lane, rounded);
                let b = rounded - sum_magic[1];
                let c = rest - b;
                let rounded = c + sum_magic[2];
                sum[2].add(lane, rounded);
                over[lane] |= (c - (rounded - sum_magic[2])).to_bits();
                squares[0].add(lane, multiply_add::<FUSED>(a, a, square_magic[0]));
                squares[1].add(lane, multiply_add::<FUSED>(a, b, square_magic[1]));
                let twice = multiply_add::<FUSED>(a + a, c, square_magic[2]);
                squares[2].add(lane, multiply_add::<FUSED>(b, b, twice));
                squares[3].add(lane, multiply_add::<FUSED>(b, c, square_magic[3]));
                squares[4].add(lane, multiply_add::<FUSED>(c, c, square_magic[4]));
            }
        }
        let totals = |digit: usize| squares[digit].total(count, square_magic[digit]);
        SpanSums {
            fits: over.iter().fold(0, |all, over| all | over) & (u64::MAX >> 1) == 0,
            kept: if FILTERED { kept.iter().sum() } else { (count * LANES) as u64 },
            infinite: infinite.iter().sum(),
            min: min.into_iter().fold(Self::INFINITY, Self::min),
            max: max.into_iter().fold(Self::NEG_INFINITY, Self::max),
            sum: [0, 1, 2].map(|digit| sum[digit].total(count, sum_magic[digit])),
            squares: [totals(0), totals(1), totals(2), totals(3), totals(4)],
        }
    }
}

/// The most lanes of any instruction set; those of all others divide it.
pub(super) const LANES_MOST: usize = 16;

/// The sums of a span of whole lanes ([`LANES_MOST`]), with this instruction set.
pub(super) fn span_sums<T: Windowed>(isa: Isa, span: &[T], window: &Window, filter: Option<&Filter<T>>) -> SpanSums<T> {
    match filter {
        Some(filter) => on_isa::<T, true>(isa, span, window, filter),
        None => on_isa::<T, false>(isa, span, window, &Filter { least: span[0], below: span[0], missing: span[0] }),
    }
}

fn on_isa<T: Windowed, const FILTERED: bool>(isa: Isa, span: &[T], window: &Window, filter: &Filter<T>) -> SpanSums<T> {
    match isa {
        // SAFETY: `Gathering::new` sees to it that `isa` is never wider than the machine's.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::<T, FILTERED>(span, window, filter) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::<T, FILTERED>(span, window, filter) },
        _ => {
            T::sums::<4, { cfg!(any(target_feature = "fma", target_arch = "aarch64")) }, FILTERED>(span, window, filter)
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
fn avx512<T: Windowed, const FILTERED: bool>(span: &[T], window: &Window, filter: &Filter<T>) -> SpanSums<T> {
    // A register of elements: more lanes than that spill.
    match size_of::<T>() {
        8 => T::sums::<8, true, FILTERED>(span, window, filter),
        _ => T::sums::<16, true, FILTERED>(span, window, filter),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<T: Windowed, const FILTERED: bool>(span: &[T], window: &Window, filter: &Filter<T>) -> SpanSums<T> {
    match size_of::<T>() {
        8 => T::sums::<4, true, FILTERED>(span, window, filter),
        _ => T::sums::<8, true, FILTERED>(span, window, filter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::stats::tests::every_isa;

    fn fits<T: Windowed>(top: i32, value: f64) -> Vec<bool> {
        let window = T::window(top).expect("a window of a middling top");
        let span = [T::from_f64(value); 2 * LANES_MOST];
        every_isa().into_iter().map(|isa| span_sums(isa, &span, &window, None).fits).collect()
    }

    #[test]
    fn a_window_holds_every_significand_down_to_its_depth_and_no_further() {
        for top in [-90, 0, 90] {
            for (down, whole) in [(1, true), (f64::DEPTH, true), (f64::DEPTH + 1, false)] {
                let odd = power(top - down) * (2.0 - f64::EPSILON);
                assert!(fits::<f64>(top, odd).into_iter().all(|fits| fits == whole), "f64 {top} {down}");
                assert!(fits::<f64>(top, -power(top - down)).into_iter().all(|fits| fits), "f64 {top} {down}");
            }
            for (down, whole) in [(1, true), (f32::DEPTH, true), (f32::DEPTH + 1, false)] {
                let odd = power(top - down) * f64::from(2.0 - f32::EPSILON);
                assert!(fits::<f32>(top, odd).into_iter().all(|fits| fits == whole), "f32 {top} {down}");
            }
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!fits::<f64>(0, value).contains(&true) && !fits::<f32>(0, value).contains(&true), "{value}");
        }
    }

    #[test]
    fn there_is_no_window_where_squares_would_leave_the_range() {
        assert!(f64::window(501).is_none() && f64::window(-431).is_none());
        assert!(f32::window(131).is_none() && f32::window(-148).is_none());
        assert!(f64::window(500).is_some() && f64::window(-430).is_some() && f32::window(130).is_some());
    }
}
