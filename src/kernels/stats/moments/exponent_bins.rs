//! Exact sums of floats of any magnitude: one bin an exponent, each an integer sum of significands.
//!
//! Slower than sums in a window of exponents, but nothing is outside it.

use crate::kernels::stats::Moments;

/// Sums of significands and of their squares, by biased exponent.
#[derive(Default)]
pub(in crate::kernels::stats) struct ExponentBins {
    bins: Vec<Bin>,
    added: usize,
}

#[derive(Clone, Copy, Default)]
struct Bin {
    significands: i128,
    squares: u128,
}

/// How many squares of 53-bit significands a `u128` holds for sure.
const MOST_ADDED: usize = 1 << 22;

/// One a biased exponent of an `f64`, but that of infinities.
const BINS: usize = 2047;

impl ExponentBins {
    /// Adds a finite value; at most 2^22 between drains.
    #[inline(always)]
    pub(super) fn add(&mut self, value: f64) {
        if self.bins.is_empty() {
            self.bins.resize(BINS, Bin::default());
        }
        self.added += 1;
        let bits = value.to_bits();
        let field = (bits >> 52 & 0x7ff) as usize;
        let fraction = bits & ((1 << 52) - 1);
        let (exponent, significand) = if field == 0 { (1, fraction) } else { (field, fraction | 1 << 52) };
        let bin = &mut self.bins[exponent];
        let signed = if bits >> 63 == 1 { -(significand as i64) } else { significand as i64 };
        bin.significands += i128::from(signed);
        bin.squares += u128::from(significand) * u128::from(significand);
    }

    /// Makes room for another `count` values.
    pub(super) fn drain_if_full(&mut self, moments: &mut Moments, count: usize) {
        if self.added + count > MOST_ADDED {
            self.drain(moments);
        }
    }

    /// Moves everything into the sums of `moments`.
    pub(super) fn drain(&mut self, moments: &mut Moments) {
        if self.added == 0 {
            return;
        }
        self.added = 0;
        for (exponent, bin) in self.bins.iter_mut().enumerate().filter(|(_, bin)| bin.squares > 0) {
            let bin = std::mem::take(bin);
            let exp2 = exponent as i32 - 1075;
            moments.sum.add(bin.significands, exp2);
            // In halves, since a u128 may pass an i128.
            moments.squares.add((bin.squares & u128::from(u64::MAX)) as i128, 2 * exp2);
            moments.squares.add((bin.squares >> 64) as i128, 2 * exp2 + 64);
        }
    }
}
