//! The segmented sieve of Eratosthenes over the wheel of 30.
//!
//! A block of words stays in the second-level cache, a segment of it in the first. The smallest primes come as patterns that segments
//! begin with ([`patterns`]). Small ones cross off segment by segment, middling ones block by block, each by whole turns of the wheel
//! ([`turns`]). With AVX-512, primes about as large as a block cross off by vectors ([`sweeps`]). Larger ones, which hit a block seldom,
//! wait in the buckets of the blocks that they hit ([`buckets`]), as Oliveira e Silva proposed (Fast implementation of the
//! segmented sieve of Eratosthenes, 2002).

mod buckets;
mod patterns;
#[cfg(target_arch = "x86_64")]
mod sweeps;
mod turns;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::kernels::Isa;
use crate::kernels::primes::sieve::buckets::Buckets;
#[cfg(target_arch = "x86_64")]
use crate::kernels::primes::sieve::sweeps::Sweeps;
use crate::kernels::primes::sieve::turns::Turns;
use crate::kernels::primes::wheel::{NUMBERS_PER_WORD, bits_below};

pub(super) use self::patterns::PATTERN_LIMIT;

/// 512 KiB, 15.7 million numbers.
pub(super) const BLOCK_WORDS: usize = 1 << 16;
/// 32 KiB.
const SEGMENT_WORDS: usize = 1 << 12;
/// Primes below this cross off segment by segment.
const SMALL_LIMIT: u32 = 1 << 13;
/// Primes below this cross off by turns, if a block is not shorter than one.
pub(super) const TURN_LIMIT: u32 = 1 << 17;
/// Primes below this cross off by sweeps, with AVX-512.
pub(super) const SWEEP_LIMIT: u32 = 1 << 22;

/// A sieve of a range of words by given primes: a bit that remains stands for a number that neither they nor those of the
/// patterns divide, or for one of them.
pub(super) struct Sieve<'a> {
    isa: Isa,
    /// Those that have not reached their square yet are not in `small`, `middling` and `large`.
    waiting: &'a [u32],
    words: Range<u64>,
    small: Turns,
    middling: Turns,
    #[cfg(target_arch = "x86_64")]
    swept: Sweeps,
    /// Made when there is the first one.
    large: Option<Buckets>,
}

impl<'a> Sieve<'a> {
    /// A sieve of `words` by `primes`, which ascend from 2 without a gap and stay below 2^27.
    pub(super) fn new(primes: &'a [u32], words: Range<u64>) -> Self {
        let waiting = &primes[primes.partition_point(|&p| p <= PATTERN_LIMIT)..];
        Self {
            isa: Isa::Portable,
            waiting,
            words,
            small: Turns::default(),
            middling: Turns::default(),
            #[cfg(target_arch = "x86_64")]
            swept: Sweeps::default(),
            large: None,
        }
    }

    /// The same with an instruction set, which is never wider than the machine's.
    pub(super) fn on(self, isa: Isa) -> Self {
        Self { isa, ..self }
    }

    /// Sieves block by block, in order, and hands over each.
    pub(super) fn for_each_block(mut self, mut visit: impl FnMut(u64, &mut [u64])) {
        let words_left = self.words.end - self.words.start;
        let len_max = words_left.min(BLOCK_WORDS as u64) as usize;
        // The longest turns that are made, before and after the block.
        let turn_limit = TURN_LIMIT.min(len_max as u32 * 8);
        let longest = self.waiting.partition_point(|&p| p < turn_limit).checked_sub(1).map_or(0, |i| self.waiting[i]);
        let margin = (longest as usize).div_ceil(8);
        let mut buffer = vec![0u64; margin + len_max + margin];
        let mut start = self.words.start;
        while start < self.words.end {
            let len = (self.words.end - start).min(BLOCK_WORDS as u64) as usize;
            self.wake(start, len as u64, turn_limit);
            self.sieve_block(start, &mut buffer, margin..margin + len);
            let block = &mut buffer[margin..margin + len];
            visit(start, block);
            start += len as u64;
        }
    }

    fn sieve_block(&mut self, start: u64, buffer: &mut [u64], block: Range<usize>) {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(buffer);
        let (from, to) = (block.start * 8, block.end * 8);
        for segment in (from..to).step_by(SEGMENT_WORDS * 8) {
            let end = to.min(segment + SEGMENT_WORDS * 8);
            patterns::fill(self.isa, start * 8 + (segment - from) as u64, &mut bytes[segment..end]);
            self.small.cross_off(bytes, segment, end);
        }
        self.middling.cross_off(bytes, from, to);
        #[cfg(target_arch = "x86_64")]
        if self.isa == Isa::Avx512 {
            // SAFETY: the machine has it.
            unsafe { self.swept.cross_off(bytemuck::cast_slice_mut(&mut bytes[from..to])) };
        }
        if let Some(large) = &mut self.large {
            let words_left = self.words.end - start - block.len() as u64;
            large.cross_off(&mut bytes[from..to], words_left.div_ceil(BLOCK_WORDS as u64));
        }
        if start == 0 {
            patterns::restore_first_bytes(&mut bytes[from..to]);
        }
        if cfg!(target_endian = "big") {
            buffer[block].iter_mut().for_each(|word| *word = u64::from_le(*word));
        }
    }

    /// Lets the primes cross off whose square lies before the end of the block.
    fn wake(&mut self, start: u64, len: u64, turn_limit: u32) {
        let end = u128::from(start + len) * u128::from(NUMBERS_PER_WORD);
        let count = self.waiting.partition_point(|&p| u128::from(p) * u128::from(p) < end);
        let (woken, waiting) = self.waiting.split_at(count);
        let greatest = self.waiting.last().copied();
        self.waiting = waiting;
        let (small, rest) = woken.split_at(woken.partition_point(|&p| p < SMALL_LIMIT.min(turn_limit)));
        let (middling, rest) = rest.split_at(rest.partition_point(|&p| p < turn_limit));
        #[cfg(target_arch = "x86_64")]
        let rest = if self.isa == Isa::Avx512 {
            let (swept, rest) = rest.split_at(rest.partition_point(|&p| p < SWEEP_LIMIT));
            swept.iter().for_each(|&p| self.swept.add(p, start));
            rest
        } else {
            rest
        };
        let large = rest;
        small.iter().for_each(|&p| self.small.add(p, start));
        middling.iter().for_each(|&p| self.middling.add(p, start));
        if let (false, Some(greatest)) = (large.is_empty(), greatest) {
            let buckets = self.large.get_or_insert_with(|| Buckets::new(greatest));
            let bytes_left = (self.words.end - start) * 8;
            large.iter().for_each(|&p| buckets.add(p, start, bytes_left));
        }
    }
}

/// The quotient and the remainder of `n` by a prime. Millions are brought to the start of each chunk: floats are faster than integers.
#[inline(always)]
fn divide(n: u64, p: u32) -> (u64, u32) {
    let divisor = u64::from(p);
    if p < 1 << 12 {
        return (n / divisor, (n % divisor) as u32);
    }
    // The quotient is below 2^52, and this one is off by less than two. Signed integers are converted faster.
    let mut quotient = ((n >> 1) as i64 as f64 * 2.0 / f64::from(p)) as i64 as u64;
    let mut rest = n.wrapping_sub(quotient * divisor) as i64;
    while rest < 0 {
        quotient -= 1;
        rest += divisor as i64;
    }
    while rest >= divisor as i64 {
        quotient += 1;
        rest -= divisor as i64;
    }
    (quotient, rest as u32)
}

/// Clears the bits of `words`, from the word `first_word` on, that stand for numbers outside `start..end`.
pub(super) fn mask_to_range(first_word: u64, words: &mut [u64], start: u128, end: u128) {
    let first = u128::from(first_word) * u128::from(NUMBERS_PER_WORD);
    let last = first + words.len() as u128 * u128::from(NUMBERS_PER_WORD);
    let word_of = |number: u128| (number.clamp(first, last) - first) / u128::from(NUMBERS_PER_WORD);
    let offset_of = |number: u128| (number.clamp(first, last) - first) % u128::from(NUMBERS_PER_WORD);
    // All words but two lie on one side of a bound as a whole.
    let (before, from) = words.split_at_mut(word_of(start) as usize);
    before.fill(0);
    if let Some(word) = from.first_mut() {
        *word &= !bits_below(offset_of(start) as u64);
    }
    let from = &mut words[word_of(end) as usize..];
    if let Some((word, after)) = from.split_first_mut() {
        *word &= bits_below(offset_of(end) as u64);
        after.fill(0);
    }
}
