//! Moments of floats in one digit or two (see `ifma.rs`): one as long as it holds nearly all of each span.

use crate::kernels::stats::moments::float::{Float, Floats, SLACK, exponent};
use crate::kernels::stats::moments::ifma::{self, Digits, Sums};

/// What is kept between spans of a chunk.
pub(in crate::kernels::stats) struct DigitsRoom<T> {
    window: Option<Window>,
    /// Whether the last span held elements that are not finite values, so that the next one likely does.
    mixed: bool,
    /// What the digits did not hold of a span.
    aside: Vec<T>,
}

impl<T> Default for DigitsRoom<T> {
    fn default() -> Self {
        Self { window: None, mixed: false, aside: Vec::new() }
    }
}

#[derive(Clone, Copy)]
struct Window {
    /// Numbers of a magnitude below `2^top` fit.
    top: i32,
    digits: Digits,
    /// For how many spans to come a second digit is taken.
    two: u32,
}

/// How many spans take two digits where one did not hold them, before one is tried again.
const TWO_SPANS: u32 = 64;

/// Elements of a span that may be set aside: so few that these, too, take less time than the span does.
const ASIDE_MOST: usize = 512;

impl<T: Float> Floats<'_, T> {
    /// Gathers a span of at most [`ifma::SPAN`] elements, or does nothing where digits do not hold it, and says so.
    pub(super) fn try_digits(&mut self, span: &[T]) -> bool {
        if self.room.digits.window.is_some_and(|window| self.try_digits_of(span, window)) {
            return true;
        }
        let magnitudes = self.magnitudes(span);
        let others = magnitudes.kept < span.len() as u64;
        let top = exponent(magnitudes.largest) + 1 + SLACK;
        let room = &mut self.room.digits;
        if room.window.is_some_and(|window| window.top == top) && others == room.mixed {
            return false;
        }
        room.mixed = others;
        room.window = Digits::new(top).map(|digits| Window { top, digits, two: 0 });
        room.window.is_some_and(|window| self.try_digits_of(span, window))
    }

    /// Gathers a span if this window holds it, with one digit or with two.
    fn try_digits_of(&mut self, span: &[T], mut window: Window) -> bool {
        let mut fits = window.two == 0 && self.try_count::<1>(span, &window);
        if fits {
            return true;
        }
        window.two = if window.two == 0 { TWO_SPANS } else { window.two };
        fits = self.try_count::<2>(span, &window);
        window.two -= 1;
        self.room.digits.window = Some(window);
        fits
    }

    fn try_count<const DIGITS: usize>(&mut self, span: &[T], window: &Window) -> bool {
        let filter = self.finite();
        let room = &mut self.room.digits;
        room.aside.clear();
        room.aside.reserve_exact(ASIDE_MOST);
        // SAFETY: `Gathering::new` sees to it that the machine has what it takes.
        let sums = unsafe {
            if room.mixed || self.missing.is_some() {
                ifma::sums::<T, DIGITS, true>(span, &window.digits, &filter, &mut room.aside)
            } else {
                ifma::sums::<T, DIGITS, false>(span, &window.digits, &filter, &mut room.aside)
            }
        };
        let limit = 2f64.powi(window.top);
        let fits = |sums: &Sums<T>| sums.max.to_f64() < limit && sums.min.to_f64() > -limit;
        let Some(sums) = sums.filter(|sums| sums.passed == 0 || fits(sums)) else { return false };
        self.take_in_digits::<DIGITS>(span, window, &sums);
        true
    }

    fn take_in_digits<const DIGITS: usize>(&mut self, span: &[T], window: &Window, sums: &Sums<T>) {
        let [first, second] = window.digits.exp2;
        for (sum, exp2) in sums.digits.into_iter().zip([first, second]).take(DIGITS) {
            self.moments.sum.add(sum, exp2);
        }
        let products = sums.products.into_iter().zip([2 * first, first + second + 1, 2 * second]);
        for (sum, exp2) in products.take(2 * DIGITS - 1) {
            self.moments.squares.add(sum, exp2);
        }
        let mut values = sums.passed;
        for value in &self.room.digits.aside {
            let value = value.to_f64();
            if value.is_nan() {
                values -= 1;
                self.moments.nan_count += 1;
            } else {
                self.room.bins.add(std::iter::once(value));
            }
        }
        self.room.bins.drain_if_full(self.moments, ASIDE_MOST);
        self.moments.count += values;
        if values > 0 {
            self.take_in_extremes(span, sums.min, sums.max);
        }
        let others = span.len() as u64 - sums.passed;
        self.room.digits.mixed = others > 0;
        self.count_others(span, others, sums.infinite);
    }
}
