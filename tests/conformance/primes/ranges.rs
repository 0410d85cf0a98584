//! Ranges of numbers.

use std::sync::Arc;

use tandem::kernels::primes::{NumberRange, RangeKernel, RangeMode};

use super::oracle::primes_of;
use crate::sweep::{Case, Expected, Sweep};

const END: u128 = 1 << 64;

/// Around the edges of a byte (30 numbers), a word (240), a segment of a GPU, a granule of either side, a block of the CPU's
/// sieve; around 2^32 and up to 2^64.
const RANGES: &[(u128, u128)] = &[
    (0, 0),
    (0, 1),
    (0, 2),
    (0, 3),
    (1, 2),
    (2, 3),
    (3, 3),
    (4, 6),
    (5, 6),
    (0, 6),
    (6, 8),
    (7, 8),
    (1, 30),
    (29, 31),
    (30, 60),
    (0, 239),
    (0, 240),
    (0, 241),
    (1, 242),
    (2, 480),
    (239, 241),
    (240, 480),
    (240, 481),
    // Starts past the first word, with ends so far out that the range holds primes that it is sieved by.
    (240, 100_000),
    (241, 1_000_000),
    (480, 300_000),
    (720, 5_000_000),
    (1200, 4_000_000),
    (2640, 7_800_000),
    (7, 49),
    (7, 50),
    (4489, 4490),
    (4480, 4500),
    (4480, 4489),
    (0, 4489),
    (100_000, 100_000),
    (100_003, 100_004),
    (0, 245_759),
    (0, 245_760),
    (0, 245_761),
    (245_760, 491_520),
    (245_761, 491_519),
    (0, 491_521),
    (239, 2_000_003),
    (0, 7_864_319),
    (0, 7_864_321),
    (7_864_000, 15_729_000),
    ((1 << 32) - 40_000, (1 << 32) + 40_000),
    ((1 << 32) - 1, (1 << 32) + 1),
    (1 << 32, (1 << 32) + 15),
    ((1 << 32) - 5, 1 << 32),
    (4_294_967_291, 4_294_967_292),
    // Squares and cubes of primes.
    (65_521 * 65_521, 65_521 * 65_521 + 1),
    (65_537 * 65_537 - 2, 65_537 * 65_537 + 300_000),
    (1_000_003 * 1_000_003 - 1000, 1_000_003 * 1_000_003 + 1000),
    (4_294_967_291 * 4_294_967_291 - 500, 4_294_967_291 * 4_294_967_291 + 500),
    ((1 << 53) - 1000, (1 << 53) + 1000),
    ((1 << 54) - 300, (1 << 54) + 300),
    (1 << 63, (1 << 63) + 10_000),
    (END - 59, END),
    (END - 59, END - 58),
    (END - 58, END),
    (END - 1, END),
    (END, END),
    (END - 240, END - 16),
    (END - 16, END),
    (END - 256, END - 1),
    (END - 30_000, END),
    (END - 300_001, END - 1),
];

fn case(start: u128, end: u128, mode: RangeMode) -> Case {
    let range = NumberRange::new(start as i128, end as i128).expect("a valid range");
    let primes = primes_of(start, end);
    let expected = match mode {
        RangeMode::Count => format!("{{\"count\":{}}}", primes.len()),
        RangeMode::List => {
            let primes: Vec<String> = primes.iter().map(|prime| format!("\"{prime}\"")).collect();
            format!("{{\"primes\":[{}]}}", primes.join(","))
        }
    };
    let kernel = Arc::new(RangeKernel::new(range, mode));
    Case { name: format!("{start}..{end}, {mode:?}"), kernel, expected: Expected::Result(expected) }
}

pub fn cases(sweep: &mut Sweep) {
    for &(start, end) in RANGES {
        for mode in [RangeMode::Count, RangeMode::List] {
            // A long list says no more than a shorter one does.
            if mode == RangeMode::Count || end - start < 1_500_000 {
                sweep.case(&case(start, end, mode));
            }
        }
    }
    for round in 0..60 {
        let mut random = sweep.random();
        let start = u128::from(random.next() >> random.below(64));
        let len = u128::from(random.below(if round % 10 == 0 { 400_000 } else { 5000 }));
        let mode = if round % 2 == 0 { RangeMode::Count } else { RangeMode::List };
        sweep.case(&case(start, (start + len).min(END), mode));
    }
    // From tables (OEIS A006880), past what the oracle can do.
    for (end, count) in [(10_000_000u64, 664_579u64), (30_000_000, 1_857_859)] {
        let range = NumberRange::new(0, end.into()).expect("a valid range");
        let kernel = Arc::new(RangeKernel::new(range, RangeMode::Count));
        let expected = Expected::Result(format!("{{\"count\":{count}}}"));
        sweep.case(&Case { name: format!("0..{end}"), kernel, expected });
    }
    // Far out, and several granules long.
    for (start, end) in [(1u128 << 40, (1 << 40) + 3_000_000), (END - 1_500_000, END)] {
        let range = NumberRange::new(start as i128, end as i128).expect("a valid range");
        let kernel = Arc::new(RangeKernel::new(range, RangeMode::Count));
        sweep.case(&Case { name: format!("{start}..{end}"), kernel, expected: Expected::Agreement });
    }
}
