//! Moments of floats: spans that fit a window of exponents go the fast way, those of wider range band by band, and what
//! has nearly every exponent there is by way of bins.

use std::marker::PhantomData;

use crate::kernels::Isa;
use crate::kernels::on_isa::on_isa;
use crate::kernels::stats::Moments;
use crate::kernels::stats::moments::ExponentBins;
use crate::kernels::stats::moments::magnitudes::Magnitudes;
use crate::kernels::stats::moments::window::{Filter, LANES_MOST, SpanSums, Window, Windowed, span_sums};
#[cfg(target_arch = "x86_64")]
use crate::kernels::stats::moments::{digits::DigitsRoom, ifma};

/// What is kept between blocks of a chunk.
pub(in crate::kernels::stats) struct FloatRoom<T> {
    #[cfg(target_arch = "x86_64")]
    pub(super) digits: DigitsRoom<T>,
    window: Option<Window>,
    pub(super) bins: ExponentBins,
    /// Whether the last span held elements that are not finite values, so that the next one likely does.
    mixed: bool,
    /// Spans that are not tried in one window, since those before them did not fit any.
    wide_spans: u32,
    wide_streak: u32,
    element: PhantomData<T>,
}

impl<T> Default for FloatRoom<T> {
    fn default() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            digits: DigitsRoom::default(),
            window: None,
            bins: ExponentBins::default(),
            mixed: false,
            wide_spans: 0,
            wide_streak: 0,
            element: PhantomData,
        }
    }
}

/// How many spans may go by untried after many did not fit.
const WIDE_SPANS_MOST: u32 = 16;

/// More bands than this take longer than bins do.
const BANDS_MOST: i32 = 8;

/// How far above the largest magnitude of a span its window begins, so that a slightly larger one fits it too.
pub(super) const SLACK: i32 = 1;

/// A float type.
#[cfg(target_arch = "x86_64")]
pub(super) trait Float: Windowed + ifma::Wide {}
#[cfg(target_arch = "x86_64")]
impl<T: Windowed + ifma::Wide> Float for T {}
/// A float type.
#[cfg(not(target_arch = "x86_64"))]
pub(super) trait Float: Windowed {}
#[cfg(not(target_arch = "x86_64"))]
impl<T: Windowed> Float for T {}

/// The gathering of moments of one chunk of floats.
pub(super) struct Floats<'a, T: Float> {
    pub(super) isa: Isa,
    /// Whether integers of 52 bits are multiplied, for which the machine must have what it takes.
    #[cfg(target_arch = "x86_64")]
    pub(super) ifma: bool,
    pub(super) missing: Option<T>,
    pub(super) moments: &'a mut Moments,
    pub(super) room: &'a mut FloatRoom<T>,
}

impl<T: Float> Floats<'_, T> {
    /// Gathers a block of any length.
    pub(super) fn add(&mut self, block: &[T]) {
        #[cfg(target_arch = "x86_64")]
        if self.ifma {
            for span in block.chunks(ifma::SPAN) {
                let tried = self.room.wide_spans == 0;
                if tried && self.try_digits(span) {
                    self.room.wide_streak = 0;
                } else {
                    self.add_in_windows(span);
                }
            }
            return;
        }
        self.add_in_windows(block);
    }

    fn add_in_windows(&mut self, block: &[T]) {
        let (whole, rest) = block.split_at(block.len() - block.len() % LANES_MOST);
        for span in whole.chunks(T::SPAN) {
            let tried = self.room.wide_spans == 0;
            self.room.wide_spans = self.room.wide_spans.saturating_sub(1);
            if tried && self.try_span(span) {
                self.room.wide_streak = 0;
                continue;
            }
            if tried {
                self.room.wide_streak = (self.room.wide_streak + 1).min(WIDE_SPANS_MOST);
                self.room.wide_spans = self.room.wide_streak;
            }
            self.add_wide(span);
        }
        for value in rest {
            self.add_one(*value);
        }
    }

    /// Moves what is still in bins into the sums.
    pub(super) fn finish(self) {
        self.room.bins.drain(self.moments);
    }

    /// The filter that leaves out what is not a finite value.
    pub(super) fn finite(&self) -> Filter<T> {
        let [zero, infinity, nan] = [0.0, f64::INFINITY, f64::NAN].map(T::from_f64);
        Filter { least: zero, below: infinity, missing: self.missing.unwrap_or(nan) }
    }

    /// Gathers a span, if it fits the window, or another one that suits it better; else does nothing and says so.
    fn try_span(&mut self, span: &[T]) -> bool {
        self.room.window.is_some_and(|window| self.try_window(span, &window)) || self.try_other_window(span)
    }

    fn try_other_window(&mut self, span: &[T]) -> bool {
        let magnitudes = self.magnitudes(span);
        let others = magnitudes.kept < span.len() as u64;
        let top = exponent(magnitudes.largest) + 1 + SLACK;
        if self.room.window.is_some_and(|window| window.top == top) && others == self.room.mixed {
            return false;
        }
        self.room.mixed = others;
        self.room.window = T::window(top);
        self.room.window.is_some_and(|window| self.try_window(span, &window))
    }

    fn try_window(&mut self, span: &[T], window: &Window) -> bool {
        let filter = (self.room.mixed || self.missing.is_some()).then(|| self.finite());
        let sums = span_sums(self.isa, span, window, filter.as_ref());
        let fits =
            sums.fits && (sums.kept == 0 || sums.max.to_f64() < window.limit && sums.min.to_f64() > -window.limit);
        if fits {
            self.take_in(span, window, &sums);
            let others = span.len() as u64 - sums.kept;
            self.room.mixed = others > 0;
            self.count_others(span, others, sums.infinite);
        }
        fits
    }

    fn take_in(&mut self, span: &[T], window: &Window, sums: &SpanSums<T>) {
        if sums.kept == 0 {
            return;
        }
        let moments = &mut *self.moments;
        moments.count += sums.kept;
        for (sum, exp2) in sums.sum.into_iter().zip(window.sum_exp2).filter(|(sum, _)| *sum != 0) {
            moments.sum.add(sum, exp2);
        }
        for (sum, exp2) in sums.squares.into_iter().zip(window.square_exp2).filter(|(sum, _)| *sum != 0) {
            moments.squares.add(sum, exp2);
        }
        self.take_in_extremes(span, sums.min, sums.max);
    }

    /// Takes in the extremes of some values of a span, all its zeros among them if there is any zero. Comparisons do not
    /// tell zeros apart, keys do: where an extreme is zero, and it matters which one, the span is looked through for the
    /// zero that comes first.
    pub(super) fn take_in_extremes(&mut self, span: &[T], min: T, max: T) {
        let moments = &mut *self.moments;
        let zero = 1 << (T::LAYOUT.key_bits - 1);
        let negative_zero = zero - 1;
        let has = |key: u64| span.iter().any(|value| value.key() == key);
        let (mut min, mut max) = (min.key(), max.key());
        if min == zero || min == negative_zero {
            min = if moments.min_key <= negative_zero || has(negative_zero) { negative_zero } else { zero };
        }
        if max == zero || max == negative_zero {
            max = if moments.max_key >= zero || has(zero) { zero } else { negative_zero };
        }
        moments.min_key = moments.min_key.min(min);
        moments.max_key = moments.max_key.max(max);
    }

    /// Counts the elements of a span, `others` in number, that are not finite values; `infinite` of them are infinite.
    pub(super) fn count_others(&mut self, span: &[T], others: u64, infinite: u64) {
        self.moments.nan_count += others - infinite;
        if infinite == 0 {
            return;
        }
        let [infinity, negative_infinity] = [f64::INFINITY, f64::NEG_INFINITY].map(T::from_f64);
        let count = |wanted: T| span.iter().map(|value| u32::from(*value == wanted)).sum::<u32>().into();
        let (positive, negative): (u64, u64) = (count(infinity), count(negative_infinity));
        let moments = &mut *self.moments;
        moments.count += negative + positive;
        moments.positive_infinities += positive;
        moments.negative_infinities += negative;
        for (key, count) in [(infinity.key(), positive), (negative_infinity.key(), negative)] {
            if count > 0 {
                moments.min_key = moments.min_key.min(key);
                moments.max_key = moments.max_key.max(key);
            }
        }
    }

    /// Gathers one element of any kind.
    fn add_one(&mut self, value: T) {
        let (key, (low, high)) = (value.key(), T::LAYOUT.valid_keys);
        let moments = &mut *self.moments;
        if !(low..=high).contains(&key) || self.missing.is_some_and(|missing| value == missing) {
            moments.nan_count += 1;
            return;
        }
        moments.count += 1;
        moments.min_key = moments.min_key.min(key);
        moments.max_key = moments.max_key.max(key);
        if key == high {
            moments.positive_infinities += 1;
        } else if key == low {
            moments.negative_infinities += 1;
        } else {
            let (significand, exp2) = significand(value.to_f64());
            let significand = i128::from(significand);
            moments.sum.add(significand, exp2);
            moments.squares.add(significand * significand, 2 * exp2);
        }
    }

    /// Gathers a span of any elements, whose finite values are of any magnitudes.
    fn add_wide(&mut self, span: &[T]) {
        let magnitudes = self.magnitudes(span);
        let (top, bottom) = (exponent(magnitudes.largest) + 1, exponent(magnitudes.least));
        let bands = (top - bottom + T::DEPTH - 1) / T::DEPTH;
        let windows: Option<Vec<Window>> = match bands {
            ..=BANDS_MOST => (0..bands).map(|band| T::window(top - band * T::DEPTH)).collect(),
            _ => None,
        };
        match windows {
            Some(windows) if magnitudes.largest > 0.0 => self.add_bands(span, &windows),
            _ => self.add_to_bins(span, &magnitudes),
        }
        self.count_others(span, span.len() as u64 - magnitudes.kept, magnitudes.infinite);
    }

    /// Gathers the finite values of a span in windows that follow upon one another, of which the last one holds the least
    /// magnitude there is.
    fn add_bands(&mut self, span: &[T], windows: &[Window]) {
        for (i, window) in windows.iter().enumerate() {
            let last = i + 1 == windows.len();
            let least = if last { 0.0 } else { windows[i + 1].limit };
            let filter = Filter { least: T::from_f64(least), below: T::from_f64(window.limit), ..self.finite() };
            let sums = span_sums(self.isa, span, window, Some(&filter));
            assert!(sums.fits, "a band fits its window");
            self.take_in(span, window, &sums);
        }
    }

    /// Gathers the finite values of a span exponent by exponent.
    fn add_to_bins(&mut self, span: &[T], magnitudes: &Magnitudes) {
        if magnitudes.kept == 0 {
            return;
        }
        let values = span.iter().map(|value| value.to_f64());
        let missing = self.missing.map_or(f64::NAN, T::to_f64);
        self.room.bins.add(values.filter(|value| value.is_finite() && *value != missing));
        self.room.bins.drain_if_full(self.moments, T::SPAN);
        self.moments.count += magnitudes.kept;
        self.take_in_extremes(span, T::from_f64(magnitudes.min), T::from_f64(magnitudes.max));
    }

    /// The magnitudes of the finite values of a span.
    pub(super) fn magnitudes(&self, span: &[T]) -> Magnitudes {
        on_isa!(self.isa, Magnitudes::of(span, self.missing))
    }
}

/// The exponent of a number's leading bit; that of the least normal number for smaller ones, 0 for zero.
pub(in crate::kernels::stats) fn exponent(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    ((value.to_bits() >> 52 & 0x7ff) as i32).max(1) - 1023
}

/// A finite number as an integer times a power of two.
pub(in crate::kernels::stats) fn significand(value: f64) -> (i64, i32) {
    let bits = value.to_bits();
    let (field, fraction) = ((bits >> 52 & 0x7ff) as i32, (bits & ((1 << 52) - 1)) as i64);
    let magnitude = if field == 0 { fraction } else { fraction | 1 << 52 };
    (if bits >> 63 == 1 { -magnitude } else { magnitude }, field.max(1) - 1075)
}
