//! Counting the values of each bin, on the CPU.

use crate::kernels::stats::Bins;
use crate::kernels::stats::number::Number;

/// A histogram over one chunk.
pub(super) struct Binning<'a> {
    starts: &'a [u64],
    /// A guess at an element's cell is `(value - origin) * cells_per_unit`; what is wrong with it is put right by key.
    origin: f64,
    cells_per_unit: f64,
    valid: (u64, u64),
    missing: Option<(u64, u64)>,
    counts: &'a mut [u64],
}

impl<'a> Binning<'a> {
    pub(super) fn new<T: Number>(bins: &'a Bins, missing: Option<(u64, u64)>, counts: &'a mut [u64]) -> Self {
        let (first, last) = (bins.edges[0], bins.edges[bins.bins]);
        Self {
            starts: &bins.starts,
            origin: first,
            cells_per_unit: bins.bins as f64 / (last - first),
            valid: T::LAYOUT.valid_keys,
            missing,
            counts,
        }
    }

    pub(super) fn add<T: Number>(&mut self, block: &[T]) {
        // Where nothing is missing, a range that no key lies in.
        let (missing_lo, missing_hi) = self.missing.unwrap_or((1, 0));
        for value in block {
            let key = value.key();
            if !(self.valid.0..=self.valid.1).contains(&key) || (missing_lo..=missing_hi).contains(&key) {
                continue;
            }
            // The conversion saturates and takes NaN to 0, so any guess is a cell.
            let guess = ((value.to_f64() - self.origin) * self.cells_per_unit + 1.0) as usize;
            self.counts[self.cell(key, guess.min(self.starts.len()))] += 1;
        }
    }

    /// How many of `starts` are at most `key`: by the guess where it is right, or its neighbour is.
    #[inline(always)]
    fn cell(&self, key: u64, guess: usize) -> usize {
        let begun = |cell: usize| cell == 0 || self.starts[cell - 1] <= key;
        let ended = |cell: usize| cell == self.starts.len() || self.starts[cell] > key;
        if begun(guess) {
            if ended(guess) {
                return guess;
            }
            // Not ended, so there is a next cell, and it has begun.
            if ended(guess + 1) {
                return guess + 1;
            }
        } else if begun(guess - 1) {
            return guess - 1;
        }
        self.starts.partition_point(|start| *start <= key)
    }
}
