//! Exact sums of floats of any magnitude: one bin an exponent, each an integer sum of significands.
//!
//! Slower than sums in a window of exponents, but nothing is outside it.

use crate::kernels::stats::Moments;

/// Sums of significands and of their squares, by biased exponent.
#[derive(Default)]
pub(in crate::kernels::stats) struct ExponentBins {
    bins: Option<Box<[Bin; BINS]>>,
    added: usize,
}

#[derive(Clone, Copy, Default)]
struct Bin {
    significands: i128,
    squares: u128,
}

/// How many squares of 53-bit significands a `u128` holds for sure.
const MOST_ADDED: usize = 1 << 22;

/// One a biased exponent of an `f64`; that of infinities stays empty.
const BINS: usize = 1 << 11;

impl ExponentBins {
    /// Adds finite values; at most 2^22 between drains.
    #[inline(always)]
    pub(super) fn add(&mut self, values: impl Iterator<Item = f64>) {
        let bins = self.bins.get_or_insert_with(|| Box::new([Bin::default(); BINS]));
        let mut added = 0;
        for value in values {
            added += 1;
            let bits = value.to_bits();
            let field = bits >> 52 & 0x7ff;
            let significand = bits & ((1 << 52) - 1) | u64::from(field != 0) << 52;
            let sign = bits as i64 >> 63;
            let bin = &mut bins[field as usize];
            bin.significands += i128::from((significand as i64 ^ sign) - sign);
            bin.squares += u128::from(significand) * u128::from(significand);
        }
        self.added += added;
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
        let bins = self.bins.iter_mut().flat_map(|bins| bins.iter_mut());
        for (field, bin) in bins.enumerate().filter(|(_, bin)| bin.squares > 0) {
            let bin = std::mem::take(bin);
            // Subnormal numbers are worth what those of the least exponent are.
            let exp2 = field.max(1) as i32 - 1075;
            moments.sum.add(bin.significands, exp2);
            // In halves, since a u128 may pass an i128.
            moments.squares.add((bin.squares & u128::from(u64::MAX)) as i128, 2 * exp2);
            moments.squares.add((bin.squares >> 64) as i128, 2 * exp2 + 64);
        }
    }
}
