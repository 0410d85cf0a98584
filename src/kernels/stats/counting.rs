//! Counting digits of keys, on the CPU.

use crate::kernels::stats::Digits;
use crate::kernels::stats::number::Number;

/// A step of a radix selection over one chunk.
pub(super) struct Counting<'a> {
    prefixes: &'a [u64],
    digit_bits: u32,
    /// Bits of a key below the digit.
    rest_bits: u32,
    valid: (u64, u64),
    missing: Option<(u64, u64)>,
    counts: &'a mut [u64],
}

impl<'a> Counting<'a> {
    pub(super) fn new<T: Number>(digits: &'a Digits, missing: Option<(u64, u64)>, counts: &'a mut [u64]) -> Self {
        Self {
            prefixes: &digits.prefixes,
            digit_bits: digits.digit_bits,
            rest_bits: T::LAYOUT.key_bits - digits.prefix_bits - digits.digit_bits,
            valid: T::LAYOUT.valid_keys,
            missing,
            counts,
        }
    }

    pub(super) fn add<T: Number>(&mut self, block: &[T]) {
        match self.prefixes {
            // The one prefix of the first pass is that of every key.
            [only] => self.add_where(block, |prefix| (prefix == *only).then_some(0)),
            several => self.add_where(block, |prefix| several.binary_search(&prefix).ok()),
        }
    }

    #[inline(always)]
    fn add_where<T: Number>(&mut self, block: &[T], index_of: impl Fn(u64) -> Option<usize>) {
        let mask = (1u64 << self.digit_bits) - 1;
        // Where nothing is missing, a range that no key lies in.
        let (missing_lo, missing_hi) = self.missing.unwrap_or((1, 0));
        for value in block {
            let key = value.key();
            let head = key >> self.rest_bits;
            if let Some(index) = index_of(head >> self.digit_bits)
                && (self.valid.0..=self.valid.1).contains(&key)
                && !(missing_lo..=missing_hi).contains(&key)
            {
                self.counts[(index << self.digit_bits) + (head & mask) as usize] += 1;
            }
        }
    }
}
