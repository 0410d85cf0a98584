//! The sieve against plain crossing off, for every instruction set, where its parts meet.

use super::*;
use crate::kernels::primes::base_primes::BasePrimes;
use crate::kernels::primes::wheel::offset_of_bit;

/// Every bit of `words` by the primes up to `limit`: each crosses off all its multiples from its square on.
fn by_plain_crossing_off(primes: &[u32], words: Range<u64>) -> Vec<u64> {
    let first = u128::from(words.start) * u128::from(NUMBERS_PER_WORD);
    let len = ((words.end - words.start) * NUMBERS_PER_WORD) as usize;
    let mut left = vec![true; len];
    for &p in primes {
        let p = u128::from(p);
        let from = (first.div_ceil(p) * p).max(p * p) - first;
        for at in (from..len as u128).step_by(p as usize) {
            left[at as usize] = false;
        }
    }
    if first == 0 {
        left[1] = false;
    }
    left.chunks(NUMBERS_PER_WORD as usize)
        .map(|left| (0..64).filter(|&bit| left[offset_of_bit(bit) as usize]).fold(0, |word, bit| word | 1 << bit))
        .collect()
}

#[track_caller]
fn check(words: Range<u64>, limit: u64) {
    let table = BasePrimes::up_to(limit);
    let primes = table.below_or_at(limit);
    let expected = by_plain_crossing_off(primes, words.clone());
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|&isa| isa <= Isa::detect()) {
        let mut next = words.start;
        Sieve::new(primes, words.clone()).on(isa).for_each_block(|first_word, block| {
            assert_eq!(first_word, next, "blocks come in order");
            let at = (first_word - words.start) as usize;
            let expected = &expected[at..at + block.len()];
            if let Some(at) = (0..block.len()).find(|&at| block[at] != expected[at]) {
                let (word, found, expected) = (first_word + at as u64, block[at], expected[at]);
                panic!("word {word} of {words:?} by {limit} with {isa:?}: {found:x}, expected {expected:x}");
            }
            next += block.len() as u64;
        });
        assert_eq!(next, words.end);
    }
}

const BLOCK: u64 = BLOCK_WORDS as u64;

/// The first word past all of `u64`.
const END: u64 = u64::MAX / NUMBERS_PER_WORD + 1;

fn root(words: &Range<u64>) -> u64 {
    (words.end * NUMBERS_PER_WORD).isqrt()
}

#[test]
fn the_first_blocks_hold_the_primes() {
    for len in [1, 2, 30, 77, SEGMENT_WORDS as u64 + 1, 2 * BLOCK + 77] {
        check(0..len, root(&(0..len)));
        check(1..len + 1, root(&(1..len + 1)));
    }
}

#[test]
fn turns_sweeps_and_buckets_carry_on_from_block_to_block() {
    let start = 1_000_000_000_000 / NUMBERS_PER_WORD;
    let words = start..start + 2 * BLOCK + 77;
    check(words.clone(), root(&words));
    let start = 150_000_000_000_000 / NUMBERS_PER_WORD;
    let words = start..start + 2 * BLOCK + 1;
    check(words.clone(), root(&words));
}

#[test]
fn large_primes_begin_at_their_squares() {
    // The first prime that is swept, or in a bucket, and the first that is in one everywhere: their squares lie in a later block, in
    // its first word, and in the last word of one.
    for p in [131_101u64, 4_194_319] {
        let square = p * p / NUMBERS_PER_WORD;
        for start in [square - BLOCK - 1000, square - BLOCK, square + 1 - BLOCK] {
            let words = start..start + BLOCK + 1001;
            check(words.clone(), root(&words));
        }
    }
}

#[test]
fn multiples_in_the_last_byte_of_a_block_and_in_the_first_of_the_next_are_crossed_off() {
    // The cofactor is on the wheel of 210 and the product in the last byte of a word; the number after it by two steps of 30 in the
    // first of the next.
    for p in [65_537u64, 131_101, 524_309, 4_194_319, 8_388_617] {
        let q = (p + 1_000_000..).find(|q| q % 210 == 11 && p * q % NUMBERS_PER_WORD >= 210).unwrap();
        let word = p * q / NUMBERS_PER_WORD;
        for start in [word, word + 1 - BLOCK, word - BLOCK] {
            check(start..start + BLOCK + 3, p);
        }
    }
}

#[test]
fn sieves_near_2_to_the_64_stop_short_of_the_root() {
    for limit in [163, 167, 30_000, 300_000, 1 << 23] {
        check(END - 5000..END, limit);
    }
    check(END - BLOCK - 77..END, 1 << 24);
}

#[test]
fn short_sieves_cross_off_by_all_primes_that_hit_them() {
    for start in [1000, 4_000_000, 4_000_000_000_000, 70_000_000_000_000_000] {
        for len in [1, 5, 42, 1000, SEGMENT_WORDS as u64, SEGMENT_WORDS as u64 + 1] {
            let words = start..start + len;
            check(words.clone(), root(&words).min(1 << 22));
        }
    }
}

#[test]
fn quotients_are_whole_on_both_sides_of_every_multiple() {
    for p in [7u32, 4093, 4099, 131_101, 134_217_689] {
        for turn in [0, 1, 2, 1 << 20, u64::MAX / u64::from(p) - 1] {
            let multiple = turn * u64::from(p);
            for n in [multiple, multiple + 1, multiple + u64::from(p) - 1, multiple + u64::from(p)] {
                assert_eq!(divide(n, p), (n / u64::from(p), (n % u64::from(p)) as u32), "{n} by {p}");
            }
        }
        assert_eq!(divide(u64::MAX, p), (u64::MAX / u64::from(p), (u64::MAX % u64::from(p)) as u32));
    }
}
