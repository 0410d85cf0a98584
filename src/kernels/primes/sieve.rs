//! The segmented sieve of Eratosthenes over the wheel of 30.
//!
//! A block of words stays in the second-level cache, a segment of it in the first. The smallest primes come as patterns
//! that are copied, small ones cross off segment by segment, middling ones block by block, each with a constant stride for
//! each residue; large ones, which hit a block seldom, walk the wheel.

use std::ops::Range;
use std::sync::LazyLock;

use crate::kernels::primes::wheel::{
    BIT_OF_RESIDUE, NUMBERS_PER_WORD, RESIDUES, STEPS, UP_TO_RESIDUE, bits_below, offset_of_bit,
};

/// 256 KiB, 7.9 million numbers.
pub(super) const BLOCK_WORDS: usize = 1 << 15;
/// 32 KiB.
const SEGMENT_WORDS: usize = 1 << 12;
/// Primes below this cross off segment by segment.
const SMALL_LIMIT: u32 = 1 << 13;
/// Primes below this cross off with constant strides.
pub(super) const STRIDE_LIMIT: u32 = 1 << 16;

/// Groups of primes whose multiples are copied from a pattern. As 240 and p have no common factor, the pattern of p repeats
/// after p words.
const PATTERN_PRIMES: [&[u32]; 5] = [&[7, 11, 13], &[17, 19], &[23, 29], &[31, 37], &[41, 43]];
/// The greatest of them.
pub(super) const PATTERN_LIMIT: u32 = 43;

static PATTERNS: LazyLock<[Vec<u64>; 5]> = LazyLock::new(|| {
    PATTERN_PRIMES.map(|primes| {
        let words: u32 = primes.iter().product();
        (0..u64::from(words))
            .map(|word| {
                let composite = |bit: u32| {
                    let number = word * NUMBERS_PER_WORD + offset_of_bit(bit);
                    primes.iter().any(|&p| number.is_multiple_of(u64::from(p)))
                };
                let bits = (0..64).filter(|&bit| !composite(bit)).fold(0u64, |bits, bit| bits | 1 << bit);
                // The sieve works on bytes; the first byte of a word holds its lowest bits on every machine.
                bits.to_le()
            })
            .collect()
    })
});

/// A sieve of a range of words by given primes: a bit that remains stands for a number that none of them divides, or for
/// one of them.
pub(super) struct Sieve<'a> {
    /// Those that have not reached their square yet are not in `small`, `middling` and `large`.
    waiting: &'a [u32],
    words: Range<u64>,
    small: Vec<Stride>,
    middling: Vec<Stride>,
    large: Vec<Walk>,
}

/// A prime that crosses off with a constant stride of `p` bytes for each residue.
struct Stride {
    p: u32,
    /// The next byte for each bit, from the start of the segment or block on.
    next: [u32; 8],
}

/// A prime that walks the wheel from multiple to multiple.
struct Walk {
    /// The next byte, from the start of the block on.
    next: u32,
    /// `64 * (p / 30) + step`: see [`STEPS`].
    packed: u32,
}

impl<'a> Sieve<'a> {
    /// A sieve of `words` by `primes`, which ascend from 2 without a gap and stay below 2^27.
    pub(super) fn new(primes: &'a [u32], words: Range<u64>) -> Self {
        let waiting = &primes[primes.partition_point(|&p| p <= PATTERN_LIMIT)..];
        Self { waiting, words, small: Vec::new(), middling: Vec::new(), large: Vec::new() }
    }

    /// Sieves block by block, in order, and hands over each.
    pub(super) fn for_each_block(mut self, mut visit: impl FnMut(u64, &mut [u64])) {
        let words_left = self.words.end - self.words.start;
        let mut block = vec![0u64; words_left.min(BLOCK_WORDS as u64) as usize];
        let mut start = self.words.start;
        while start < self.words.end {
            let len = (self.words.end - start).min(BLOCK_WORDS as u64) as usize;
            self.sieve_block(start, &mut block[..len]);
            visit(start, &mut block[..len]);
            start += len as u64;
        }
    }

    fn sieve_block(&mut self, start: u64, block: &mut [u64]) {
        self.wake(start, block.len() as u64);
        for (index, segment) in block.chunks_mut(SEGMENT_WORDS).enumerate() {
            copy_patterns(start + (index * SEGMENT_WORDS) as u64, segment);
            let bytes = bytemuck::cast_slice_mut(segment);
            self.small.iter_mut().for_each(|stride| stride.cross_off(bytes));
        }
        let bytes = bytemuck::cast_slice_mut(block);
        self.middling.iter_mut().for_each(|stride| stride.cross_off(bytes));
        self.large.iter_mut().for_each(|walk| walk.cross_off(bytes));
        if cfg!(target_endian = "big") {
            block.iter_mut().for_each(|word| *word = u64::from_le(*word));
        }
        if start == 0 {
            restore_first_word(&mut block[0]);
        }
    }

    /// Lets the primes cross off whose square lies before the end of the block.
    fn wake(&mut self, start: u64, len: u64) {
        let end = u128::from(start + len) * u128::from(NUMBERS_PER_WORD);
        let count = self.waiting.partition_point(|&p| u128::from(p) * u128::from(p) < end);
        let (woken, waiting) = self.waiting.split_at(count);
        self.waiting = waiting;
        for &p in woken {
            if p < SMALL_LIMIT {
                self.small.push(Stride::new(p, start));
            } else if p < STRIDE_LIMIT {
                self.middling.push(Stride::new(p, start));
            } else {
                self.large.push(Walk::new(p, start));
            }
        }
    }
}

fn copy_patterns(start: u64, segment: &mut [u64]) {
    for (index, pattern) in PATTERNS.iter().enumerate() {
        let mut at = (start % pattern.len() as u64) as usize;
        let mut rest = &mut *segment;
        while !rest.is_empty() {
            let len = rest.len().min(pattern.len() - at);
            let (run, after) = rest.split_at_mut(len);
            let source = &pattern[at..at + len];
            if index == 0 {
                run.copy_from_slice(source);
            } else {
                run.iter_mut().zip(source).for_each(|(word, mask)| *word &= mask);
            }
            rest = after;
            at = 0;
        }
    }
}

/// The patterns cross off their own primes, and leave 1.
fn restore_first_word(word: &mut u64) {
    let primes = PATTERN_PRIMES.iter().copied().flatten();
    let bit = |number: u32| 1 << (number / 30 * 8 + u32::from(BIT_OF_RESIDUE[number as usize % 30]));
    *word = primes.fold(*word, |word, &p| word | bit(p)) & !bit(1);
}

/// The least cofactor `q` whose multiple `p * q` is to be crossed off from the word `start` on.
fn first_cofactor(p: u32, start: u64) -> u64 {
    (start * NUMBERS_PER_WORD).div_ceil(u64::from(p)).max(u64::from(p))
}

impl Stride {
    fn new(p: u32, start: u64) -> Self {
        let q = first_cofactor(p, start);
        let mut next = [0; 8];
        for w in RESIDUES {
            let turn = q / 30 + u64::from(u64::from(w) < q % 30);
            let product = u64::from(p) * u64::from(w);
            let byte = turn * u64::from(p) + product / 30 - start * 8;
            next[usize::from(BIT_OF_RESIDUE[(product % 30) as usize])] = byte as u32;
        }
        Self { p, next }
    }

    #[inline]
    fn cross_off(&mut self, bytes: &mut [u8]) {
        let step = self.p as usize;
        for (bit, next) in self.next.iter_mut().enumerate() {
            let mask = !(1u8 << bit);
            let mut at = *next as usize;
            while at < bytes.len() {
                bytes[at] &= mask;
                at += step;
            }
            *next = (at - bytes.len()) as u32;
        }
    }
}

impl Walk {
    fn new(p: u32, start: u64) -> Self {
        let q = first_cofactor(p, start);
        let w = UP_TO_RESIDUE[(q % 30) as usize];
        let byte = q / 30 * u64::from(p) + u64::from(w) * u64::from(p) / 30 - start * 8;
        let step = 8 * BIT_OF_RESIDUE[p as usize % 30] + BIT_OF_RESIDUE[usize::from(w)];
        Self { next: byte as u32, packed: p / 30 * 64 + u32::from(step) }
    }

    #[inline]
    fn cross_off(&mut self, bytes: &mut [u8]) {
        let mut at = self.next as usize;
        if at < bytes.len() {
            let turn = (self.packed / 64) as usize;
            let mut index = self.packed % 64;
            while at < bytes.len() {
                let step = &STEPS[index as usize];
                bytes[at] &= step.mask;
                at += turn * usize::from(step.gap) + usize::from(step.extra);
                index = u32::from(step.next);
            }
            self.packed = turn as u32 * 64 + index;
        }
        self.next = (at - bytes.len()) as u32;
    }
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
