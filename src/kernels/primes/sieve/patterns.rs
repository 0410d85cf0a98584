//! The multiples of the smallest primes, as patterns: a group of primes repeats after so many bytes as their product is. A segment
//! begins as all patterns together, a vector of each at a time.

use std::sync::LazyLock;

use crate::kernels::Isa;
use crate::kernels::on_isa::on_isa;
use crate::kernels::primes::wheel::{BIT_OF_RESIDUE, RESIDUES};

const GROUPS: usize = 16;

/// The primes of each pattern, small ones with large ones, so that the patterns are of like length; all together they leave much of the
/// second-level cache free.
const GROUP_PRIMES: [&[u32]; GROUPS] = [
    &[7, 13, 157],
    &[11, 17, 83],
    &[19, 23, 37],
    &[29, 163],
    &[31, 151],
    &[41, 149],
    &[43, 139],
    &[47, 137],
    &[53, 131],
    &[59, 127],
    &[61, 113],
    &[67, 109],
    &[71, 107],
    &[73, 103],
    &[79, 101],
    &[89, 97],
];

/// The greatest of them; all primes from 7 up to it are there.
pub(in crate::kernels::primes) const PATTERN_LIMIT: u32 = 163;

/// So much is made at a time. Every pattern goes on for so long past its end, that it may be read from any byte of it.
const RUN_BYTES: usize = 1 << 10;

struct Pattern {
    period: usize,
    bytes: Vec<u8>,
}

static PATTERNS: LazyLock<[Pattern; GROUPS]> = LazyLock::new(|| GROUP_PRIMES.map(Pattern::new));

impl Pattern {
    fn new(primes: &[u32]) -> Self {
        let period = primes.iter().product::<u32>() as usize;
        let mut bytes = vec![u8::MAX; period + RUN_BYTES];
        for &p in primes {
            for w in RESIDUES {
                let product = p * u32::from(w);
                let mask = !(1u8 << BIT_OF_RESIDUE[(product % 30) as usize]);
                bytes.iter_mut().skip(product as usize / 30).step_by(p as usize).for_each(|byte| *byte &= mask);
            }
        }
        Self { period, bytes }
    }
}

/// Fills `segment`, which begins at byte `start` of all numbers, with the bits that none of the primes up to [`PATTERN_LIMIT`] divides.
pub(super) fn fill(isa: Isa, start: u64, segment: &mut [u8]) {
    let patterns = &*PATTERNS;
    let mut at: [usize; GROUPS] = std::array::from_fn(|i| (start % patterns[i].period as u64) as usize);
    let mut runs = segment.chunks_exact_mut(RUN_BYTES);
    for run in &mut runs {
        let from: [&[u8; RUN_BYTES]; GROUPS] =
            std::array::from_fn(|i| patterns[i].bytes[at[i]..].first_chunk().expect("patterns go on past their end"));
        let run = run.try_into().expect("runs are of this length");
        on_isa!(isa, all_of(&from, run));
        for (at, pattern) in at.iter_mut().zip(patterns) {
            *at += RUN_BYTES;
            *at -= if *at >= pattern.period { pattern.period } else { 0 };
        }
    }
    let rest = runs.into_remainder();
    rest.fill(u8::MAX);
    for (at, pattern) in at.iter().zip(patterns) {
        rest.iter_mut().zip(&pattern.bytes[*at..]).for_each(|(byte, mask)| *byte &= mask);
    }
}

#[inline(always)]
fn all_of(from: &[&[u8; RUN_BYTES]; GROUPS], run: &mut [u8; RUN_BYTES]) {
    // Half of them at a time, so that all places are in registers.
    let (a, b) = from.split_at(GROUPS / 2);
    for i in 0..RUN_BYTES {
        run[i] = a[0][i] & a[1][i] & a[2][i] & a[3][i] & a[4][i] & a[5][i] & a[6][i] & a[7][i];
    }
    for i in 0..RUN_BYTES {
        run[i] &= b[0][i] & b[1][i] & b[2][i] & b[3][i] & b[4][i] & b[5][i] & b[6][i] & b[7][i];
    }
}

/// The patterns cross off their own primes, and leave 1: `bytes` are the first of all numbers.
pub(super) fn restore_first_bytes(bytes: &mut [u8]) {
    for &p in GROUP_PRIMES.iter().copied().flatten() {
        if let Some(byte) = bytes.get_mut(p as usize / 30) {
            *byte |= 1 << BIT_OF_RESIDUE[p as usize % 30];
        }
    }
    bytes[0] &= !1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::primes::is_prime;

    #[test]
    fn every_prime_of_the_patterns_is_in_one_group_and_none_is_left_out() {
        let mut primes: Vec<u32> = GROUP_PRIMES.iter().copied().flatten().copied().collect();
        primes.sort_unstable();
        let expected: Vec<u32> = (7..=PATTERN_LIMIT).filter(|&n| is_prime(n.into())).collect();
        assert_eq!(primes, expected);
        // One subtraction brings the place back.
        assert!(GROUP_PRIMES.iter().all(|primes| primes.iter().product::<u32>() as usize >= RUN_BYTES));
    }

    #[test]
    fn a_segment_from_any_byte_on_holds_what_these_primes_do_not_divide() {
        for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|&isa| isa <= Isa::detect()) {
            for (start, len) in [(0, 1), (0, 1023), (1, 1024), (12_345, 5000), (600_000_000_000_000_000, 3077)] {
                let mut segment = vec![0xa5; len];
                fill(isa, start, &mut segment);
                for (byte, bits) in (start..).zip(&segment) {
                    for (bit, &residue) in RESIDUES.iter().enumerate() {
                        let number = byte * 30 + u64::from(residue);
                        let left = GROUP_PRIMES.iter().copied().flatten().all(|&p| number % u64::from(p) != 0);
                        assert_eq!(bits >> bit & 1 == 1, left, "{number}, {isa:?}");
                    }
                }
            }
        }
    }
}
