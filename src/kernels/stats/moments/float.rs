//! Moments of floats: spans that fit a window of exponents go the fast way, the others by way of compaction or of bins.

use crate::kernels::Isa;
use crate::kernels::stats::Moments;
use crate::kernels::stats::moments::ExponentBins;
use crate::kernels::stats::moments::window::{LANES_MOST, SpanSums, Window, Windowed, span_sums};

/// What is kept between blocks of a chunk.
pub(in crate::kernels::stats) struct FloatRoom<T> {
    window: Option<Window>,
    bins: ExponentBins,
    /// Finite values of a span that also holds others.
    finite: Vec<T>,
    /// Whether the last span held elements that are not finite values, so that the next one likely does.
    mixed: bool,
    /// Spans that are not tried in the window, since those before them did not fit any.
    wide_spans: u32,
    wide_streak: u32,
}

impl<T> Default for FloatRoom<T> {
    fn default() -> Self {
        Self {
            window: None,
            bins: ExponentBins::default(),
            finite: Vec::new(),
            mixed: false,
            wide_spans: 0,
            wide_streak: 0,
        }
    }
}

/// How many spans may go by untried after many did not fit.
const WIDE_SPANS_MOST: u32 = 16;

/// How far above the largest magnitude of a span its window begins, so that a slightly larger one fits it too.
const SLACK: i32 = 1;

/// The gathering of moments of one chunk of floats.
pub(super) struct Floats<'a, T: Windowed> {
    pub(super) isa: Isa,
    pub(super) missing: Option<T>,
    pub(super) moments: &'a mut Moments,
    pub(super) room: &'a mut FloatRoom<T>,
}

impl<T: Windowed> Floats<'_, T> {
    /// Gathers a block of any length.
    pub(super) fn add(&mut self, block: &[T]) {
        for span in block.chunks(T::SPAN) {
            let wide = self.room.wide_spans > 0;
            self.room.wide_spans = self.room.wide_spans.saturating_sub(1);
            let tried = !wide && !self.room.mixed;
            if !(tried && self.try_span(span)) {
                self.add_mixed(span, tried, wide);
            }
        }
    }

    /// Gathers a span that may hold anything: the finite values apart. `tried` says that it did not fit as it is, `wide`
    /// that it is not expected to.
    fn add_mixed(&mut self, span: &[T], tried: bool, wide: bool) {
        let mut finite = std::mem::take(&mut self.room.finite);
        finite.resize(T::SPAN, span[0]);
        let mut kept = 0;
        for value in span {
            finite[kept] = *value;
            kept += usize::from(self.is_finite_value(*value));
        }
        let others = span.len() - kept;
        self.room.mixed = others > 0;
        if others > 0 {
            self.count_others(span, others);
        }
        let hopeless = wide || tried && others == 0;
        if hopeless || !self.try_span(&finite[..kept]) {
            self.add_wide(&finite[..kept]);
        }
        self.room.finite = finite;
    }

    #[inline(always)]
    fn is_finite_value(&self, value: T) -> bool {
        value.to_f64().is_finite() && self.missing.is_none_or(|missing| value != missing)
    }

    /// Counts the elements of a span, `others` in number, that are not finite values.
    fn count_others(&mut self, span: &[T], others: usize) {
        let (low, high) = T::LAYOUT.valid_keys;
        let count = |key: u64| span.iter().filter(|value| value.key() == key).count() as u64;
        let (negative, positive) = (count(low), count(high));
        let moments = &mut *self.moments;
        moments.negative_infinities += negative;
        moments.positive_infinities += positive;
        moments.count += negative + positive;
        moments.nan_count += others as u64 - negative - positive;
        if negative > 0 {
            moments.min_key = low;
            moments.max_key = moments.max_key.max(low);
        }
        if positive > 0 {
            moments.max_key = high;
            moments.min_key = moments.min_key.min(high);
        }
    }

    /// Gathers a span, if it fits the window, or another one that suits it better; else does nothing and says so.
    fn try_span(&mut self, span: &[T]) -> bool {
        let (whole, rest) = span.split_at(span.len() - span.len() % LANES_MOST);
        // The few elements past whole lanes are looked at first, so that all or nothing is gathered.
        if !rest.iter().all(|value| self.is_finite_value(*value)) || !whole.is_empty() && !self.try_lanes(whole) {
            return false;
        }
        for value in rest {
            self.add_one(*value);
        }
        self.room.wide_streak = 0;
        true
    }

    fn try_lanes(&mut self, span: &[T]) -> bool {
        if self.room.window.is_some_and(|window| self.try_window(span, &window)) {
            return true;
        }
        let largest = span.iter().fold(0.0f64, |largest, value| largest.max(value.to_f64().abs()));
        let top = exponent(largest) + 1 + SLACK;
        if !largest.is_finite() || self.room.window.is_some_and(|window| window.top == top) {
            return false;
        }
        self.room.window = T::window(top);
        self.room.window.is_some_and(|window| self.try_window(span, &window))
    }

    fn try_window(&mut self, span: &[T], window: &Window) -> bool {
        let sums = span_sums(self.isa, span, window, self.missing);
        let fits = sums.fits && sums.max.to_f64() < window.limit && sums.min.to_f64() > -window.limit;
        if fits {
            self.take_in(span, window, &sums);
        }
        fits
    }

    fn take_in(&mut self, span: &[T], window: &Window, sums: &SpanSums<T>) {
        let moments = &mut *self.moments;
        moments.count += span.len() as u64;
        for (sum, exp2) in sums.sum.into_iter().zip(window.sum_exp2).filter(|(sum, _)| *sum != 0) {
            moments.sum.add(sum, exp2);
        }
        for (sum, exp2) in sums.squares.into_iter().zip(window.square_exp2).filter(|(sum, _)| *sum != 0) {
            moments.squares.add(sum, exp2);
        }
        // Comparisons do not tell zeros apart, keys do: where an extreme is zero, and it matters which one, the span is
        // looked through for the zero that comes first.
        let zero = 1 << (T::LAYOUT.key_bits - 1);
        let negative_zero = zero - 1;
        let has = |key: u64| span.iter().any(|value| value.key() == key);
        let (mut min, mut max) = (sums.min.key(), sums.max.key());
        if min == zero || min == negative_zero {
            min = if moments.min_key <= negative_zero || has(negative_zero) { negative_zero } else { zero };
        }
        if max == zero || max == negative_zero {
            max = if moments.max_key >= zero || has(zero) { zero } else { negative_zero };
        }
        moments.min_key = moments.min_key.min(min);
        moments.max_key = moments.max_key.max(max);
    }

    fn add_one(&mut self, value: T) {
        let key = value.key();
        self.moments.count += 1;
        self.moments.min_key = self.moments.min_key.min(key);
        self.moments.max_key = self.moments.max_key.max(key);
        let (significand, exp2) = significand(value.to_f64());
        let significand = i128::from(significand);
        self.moments.sum.add(significand, exp2);
        self.moments.squares.add(significand * significand, 2 * exp2);
    }

    /// Gathers finite values of any magnitudes.
    fn add_wide(&mut self, span: &[T]) {
        self.room.wide_streak = (self.room.wide_streak + 1).min(WIDE_SPANS_MOST);
        self.room.wide_spans = self.room.wide_streak;
        let (mut min, mut max) = (u64::MAX, 0);
        for value in span {
            let key = value.key();
            min = min.min(key);
            max = max.max(key);
            self.room.bins.add(value.to_f64(), self.moments);
        }
        self.moments.count += span.len() as u64;
        self.moments.min_key = self.moments.min_key.min(min);
        self.moments.max_key = self.moments.max_key.max(max);
    }

    /// Moves what is still in bins into the sums.
    pub(super) fn finish(self) {
        self.room.bins.drain(self.moments);
    }
}

/// The exponent of a number's leading bit; that of the least normal number for smaller ones, 0 for zero.
fn exponent(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    ((value.to_bits() >> 52 & 0x7ff) as i32).max(1) - 1023
}

/// A finite number as an integer times a power of two.
pub(super) fn significand(value: f64) -> (i64, i32) {
    let bits = value.to_bits();
    let (field, fraction) = ((bits >> 52 & 0x7ff) as i32, (bits & ((1 << 52) - 1)) as i64);
    let magnitude = if field == 0 { fraction } else { fraction | 1 << 52 };
    (if bits >> 63 == 1 { -magnitude } else { magnitude }, field.max(1) - 1075)
}
