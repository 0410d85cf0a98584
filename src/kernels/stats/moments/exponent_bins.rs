//! Exact sums of floats of any magnitude: one bin an exponent, each an integer sum of significands.
//!
//! Slower than sums in a window of exponents, but nothing is outside it.

use crate::kernels::stats::Moments;

/// Sums of significands and of their squares, by biased exponent.
#[derive(Default)]
pub(in crate::kernels::stats) struct ExponentBins {
    bins: Vec<Bin>,
    /// The exponents that were used since the last drain.
    used: Option<(usize, usize)>,
    added: u32,
}

#[derive(Clone, Copy, Default)]
struct Bin {
    significands: i128,
    squares: u128,
}

/// How many squares of 53-bit significands a `u128` holds for sure.
const MOST_ADDED: u32 = 1 << 22;

impl ExponentBins {
    /// Adds a finite value given by the bits of an `f64`, in units of 2^`lsb` of `moments`' type.
    #[inline(always)]
    pub(super) fn add(&mut self, value: f64, moments: &mut Moments) {
        if self.bins.is_empty() {
            self.bins.resize(2047, Bin::default());
        }
        if self.added == MOST_ADDED {
            self.drain(moments);
        }
        self.added += 1;
        let bits = value.to_bits();
        let field = (bits >> 52 & 0x7ff) as usize;
        let fraction = bits & ((1 << 52) - 1);
        let (exponent, significand) = if field == 0 { (1, fraction) } else { (field, fraction | 1 << 52) };
        let (low, high) = self.used.unwrap_or((exponent, exponent));
        self.used = Some((low.min(exponent), high.max(exponent)));
        let bin = &mut self.bins[exponent];
        let signed = if bits >> 63 == 1 { -(significand as i64) } else { significand as i64 };
        bin.significands += i128::from(signed);
        bin.squares += u128::from(significand) * u128::from(significand);
    }

    /// Moves everything into the sums of `moments`.
    pub(super) fn drain(&mut self, moments: &mut Moments) {
        self.added = 0;
        let Some((low, high)) = self.used.take() else { return };
        for exponent in low..=high {
            let bin = std::mem::take(&mut self.bins[exponent]);
            let exp2 = exponent as i32 - 1075;
            moments.sum.add(bin.significands, exp2);
            // In halves, since a u128 may pass an i128.
            moments.squares.add((bin.squares & u128::from(u64::MAX)) as i128, 2 * exp2);
            moments.squares.add((bin.squares >> 64) as i128, 2 * exp2 + 64);
        }
    }
}
