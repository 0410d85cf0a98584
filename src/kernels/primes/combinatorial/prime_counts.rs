//! π(v) for all v up to a limit: a bit for each number on the wheel, and how many primes there are before each word.

use std::ops::Range;

use crate::kernels::Isa;
use crate::kernels::primes::base_primes::BasePrimes;
use crate::kernels::primes::sieve::Sieve;
use crate::kernels::primes::wheel::{NUMBERS_PER_WORD, WHEEL_PRIMES, offset_of_bit};

/// By how far a number lies past the first of its word: the bits of the numbers up to it.
pub(super) static UP_TO: [u64; NUMBERS_PER_WORD as usize] = {
    let mut masks = [0; NUMBERS_PER_WORD as usize];
    let mut bit = 0;
    while bit < 64 {
        let mut offset = offset_of_bit(bit) as usize;
        while offset < masks.len() {
            masks[offset] |= 1 << bit;
            offset += 1;
        }
        bit += 1;
    }
    masks
};

/// Counts of primes.
#[derive(Debug, PartialEq)]
pub(super) struct PrimeCounts {
    words: Vec<u64>,
    /// The primes before each word.
    before: Vec<u32>,
}

/// How many words have the numbers up to `limit`, which is below 2^33.
pub(super) fn words_up_to(limit: u64) -> u64 {
    limit / NUMBERS_PER_WORD + 1
}

/// The primes of these words.
pub(super) fn sieved(words: Range<u64>) -> Vec<u64> {
    let root = (words.end * NUMBERS_PER_WORD).isqrt();
    let base = BasePrimes::up_to(root);
    let mut sieved = Vec::with_capacity((words.end - words.start) as usize);
    Sieve::new(base.below_or_at(root), words)
        .on(Isa::detect())
        .for_each_block(|_, block| sieved.extend_from_slice(block));
    sieved
}

impl PrimeCounts {
    /// Counts up to the last number of these words, which begin at 0.
    pub fn of(words: Vec<u64>) -> Self {
        let mut count = WHEEL_PRIMES.len() as u32;
        let before = words.iter().map(|word| {
            let before = count;
            count += word.count_ones();
            before
        });
        Self { before: before.collect(), words }
    }

    /// The greatest number that it knows of.
    #[cfg(test)]
    pub fn limit(&self) -> u64 {
        self.words.len() as u64 * NUMBERS_PER_WORD - 1
    }

    /// How many primes there are up to `v`.
    #[inline(always)]
    pub fn at(&self, v: u64) -> u64 {
        if v < 7 {
            return [0, 0, 1, 2, 2, 3, 3][v as usize];
        }
        let (word, offset) = ((v / NUMBERS_PER_WORD) as usize, (v % NUMBERS_PER_WORD) as usize);
        u64::from(self.before[word]) + u64::from((self.words[word] & UP_TO[offset]).count_ones())
    }

    /// The primes above 5 up to `from`, descending.
    pub fn down(&self, from: u64) -> impl Iterator<Item = u64> + '_ {
        let last = (from / NUMBERS_PER_WORD) as usize;
        (0..=last).rev().flat_map(move |at| {
            let mask = if at == last { UP_TO[(from % NUMBERS_PER_WORD) as usize] } else { u64::MAX };
            let mut bits = self.words[at] & mask;
            std::iter::from_fn(move || {
                let bit = bits.checked_ilog2()?;
                bits ^= 1 << bit;
                Some(at as u64 * NUMBERS_PER_WORD + offset_of_bit(bit))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::primes::is_prime;

    #[test]
    fn primes_are_counted_up_to_each_number_and_listed_from_there_down() {
        let counts = PrimeCounts::of([0..7, 7..words_up_to(5000)].map(sieved).concat());
        let mut primes = Vec::new();
        for v in 0..=counts.limit() {
            primes.extend(is_prime(v).then_some(v));
            assert_eq!(counts.at(v), primes.len() as u64, "{v}");
            if v % 97 == 0 {
                let down: Vec<u64> = primes.iter().rev().copied().filter(|&p| p > 5).collect();
                assert_eq!(counts.down(v).collect::<Vec<_>>(), down, "{v}");
            }
        }
    }
}
