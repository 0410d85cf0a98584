//! Ranges whose primes are counted without finding them.

use std::sync::Arc;

use tandem::kernels::primes::{CombinatorialKernel, NumberRange};

use super::oracle::primes_below;
use crate::sweep::{Case, Expected, Sweep};

/// From here on there is something to count that is not in a table.
const BEGIN: u64 = 1 << 20;

fn case(start: u64, end: u64, count: u64) -> Case {
    let range = NumberRange::new(start.into(), end.into()).expect("a valid range");
    let kernel = Arc::new(CombinatorialKernel::new(range));
    Case { name: format!("{start}..{end}"), kernel, expected: Expected::Result(format!("{{\"count\":{count}}}")) }
}

pub fn cases(sweep: &mut Sweep) {
    const LIMIT: u64 = 12_000_000;
    let primes = primes_below(LIMIT as usize);
    let below = |n: u64| primes.partition_point(|&p| p < n) as u64;
    let check = |sweep: &mut Sweep, start: u64, end: u64| sweep.case(&case(start, end, below(end) - below(start)));
    for (start, end) in
        [(0, 0), (0, 2), (2, 3), (0, BEGIN), (0, BEGIN + 1), (0, BEGIN + 2), (BEGIN, BEGIN + 1), (BEGIN + 1, LIMIT)]
    {
        check(sweep, start, end);
    }
    // Squares and cubes, around which the kinds of leaves change.
    for root in [1025_u64, 2049, 3163, 3461] {
        for end in [root * root - 1, root * root, root * root + 1] {
            check(sweep, 0, end);
        }
    }
    for root in [102_u64, 127, 211, 228] {
        for end in [root.pow(3), root.pow(3) + 1] {
            check(sweep, 0, end);
        }
    }
    for _ in 0..30 {
        let mut random = sweep.random();
        let end = random.below(LIMIT);
        let start = random.below(end + 1);
        check(sweep, start, end);
    }
    // From tables (OEIS A006880), past what the oracle can do; the last has several segments, and several blocks of easy leaves.
    for (end, count) in [(100_000_000, 5_761_455), (10_000_000_000, 455_052_511), (100_000_000_000, 4_118_054_813)] {
        sweep.case(&case(0, end, count));
    }
}
