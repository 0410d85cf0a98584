//! How far to sieve: a guess of the cost of sieving by the primes up to a limit and testing what remains. It decides the
//! speed, never the answer.

use std::sync::LazyLock;

use crate::kernels::primes::base_primes::LIMIT_MAX;
use crate::kernels::primes::primality::Pace;
use crate::kernels::primes::sieve::{BLOCK_WORDS, PATTERN_LIMIT, SWEEP_LIMIT, TURN_LIMIT};
use crate::kernels::primes::wheel::NUMBERS_PER_WORD;

/// Nanoseconds to bring a prime to its first multiple.
const START_NS: f64 = 8.0;
/// To make the table of primes, per number of it.
const TABLE_NS: f64 = 0.2;
/// To cross off one multiple by a turn.
const TURN_NS: f64 = 0.4;
/// By a sweep.
const SWEEP_NS: f64 = 0.9;
/// To pass over a prime in a sweep of a block.
const SWEEP_OVER_NS: f64 = 0.5;
/// By a walk from bucket to bucket.
const WALK_NS: f64 = 3.0;
/// To lay out patterns and count, per number.
const COPY_NS: f64 = 0.004;

/// How many primes are swept, where all are.
const SWEPT: f64 = 2.8e5;

/// How a chunk is to be sieved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Effort {
    /// The primes up to this cross off.
    pub limit: u64,
    /// What that takes on one thread, roughly.
    pub ns: f64,
    /// What of it goes by before the first number is crossed off.
    pub start_ns: f64,
}

/// The best effort for a chunk of `numbers` numbers below `end`, in a job of `job_numbers`, which share a table.
pub(super) fn effort(numbers: f64, job_numbers: f64, end: u128) -> Effort {
    let root = end.saturating_sub(1).isqrt().max(1) as u64;
    let complete = (root <= LIMIT_MAX).then_some(root);
    let log_end = (end.max(3) as f64).ln();
    // The sum of 1/p grows as log log (Mertens).
    let [pattern, turn, sweep] = [PATTERN_LIMIT, TURN_LIMIT, SWEEP_LIMIT].map(|from| f64::from(from).ln().ln());
    let logs = Logs { log_end, pattern, turn, sweep };
    let partial = POWERS.iter().copied().take_while(|limit| limit.value < root);
    partial
        .chain(complete.map(Limit::new))
        .map(|limit| effort_to(limit, numbers, job_numbers, (end, &logs)))
        .min_by(|a, b| a.ns.total_cmp(&b.ns))
        .expect("either the root is in reach, or powers of two below it are")
}

/// A limit, with its logarithm and that one's.
#[derive(Clone, Copy)]
struct Limit {
    value: u64,
    log: f64,
    log_log: f64,
}

impl Limit {
    fn new(value: u64) -> Self {
        let log = (value.max(3) as f64).ln();
        Self { value, log, log_log: log.ln() }
    }
}

/// The limits that are tried whatever the job, once for all: there may be a million short ones. Below the first there are patterns,
/// which are always there.
static POWERS: LazyLock<Vec<Limit>> =
    LazyLock::new(|| (8..=LIMIT_MAX.ilog2()).map(|power| Limit::new(1 << power)).collect());

/// Logarithms that are the same for all limits.
struct Logs {
    /// That of the end.
    log_end: f64,
    /// Those of the logarithms of the limits of patterns, turns and sweeps.
    pattern: f64,
    turn: f64,
    sweep: f64,
}

fn effort_to(limit: Limit, numbers: f64, job_numbers: f64, (end, logs): (u128, &Logs)) -> Effort {
    let Limit { value: limit, log, log_log } = limit;
    let primes = 1.1 * limit as f64 / log;
    let blocks = numbers / (BLOCK_WORDS as u64 * NUMBERS_PER_WORD) as f64;
    // 8/30 of the multiples lie on the wheel of 30, and 48/210 on that of 210.
    let crossings = |from: f64, to: f64| numbers * 8.0 / 30.0 * (log_log.min(to) - from).max(0.0);
    let walks = crossings(logs.sweep, f64::INFINITY) * 6.0 / 7.0;
    let sweeps = crossings(logs.turn, logs.sweep);
    let turns = crossings(logs.pattern, logs.turn);
    let swept = if sweeps > 0.0 { primes.min(SWEPT) } else { 0.0 };
    let start_ns = primes * START_NS;
    let sieve = start_ns
        + limit as f64 * TABLE_NS * (numbers / job_numbers.max(1.0)).min(1.0)
        + turns * TURN_NS
        + sweeps * SWEEP_NS
        + swept * blocks * SWEEP_OVER_NS
        + walks * WALK_NS
        + numbers * COPY_NS;
    if u128::from(limit + 1).pow(2) >= end {
        return Effort { limit, ns: sieve, start_ns };
    }
    // A share of 0.5615 / log(limit) of all numbers has no prime factor up to the limit (Mertens).
    let survivors = numbers * 0.5615 / log;
    let found = (numbers / logs.log_end).min(survivors);
    // What the sieve left takes a strong test, and a prime the other one, too.
    let size = usize::from(end > Pace::LONG_FROM.into());
    let ns = sieve + survivors * Pace::USUAL.strong_ns[size] + found * Pace::USUAL.lucas_ns[size];
    Effort { limit, ns, start_ns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ranges_are_sieved_to_the_root_and_short_ones_far_out_are_not() {
        assert_eq!(effort(1e8, 1e10, 10_000_000_000).limit, 99_999);
        assert_eq!(effort(3e7, 1e9, 1_000_001_000_000_000).limit, 31_622_792);
        assert!(effort(1e4, 1e4, 1 << 64).limit < 1 << 16);
        assert!(effort(1e9, 1e9, 1 << 64).limit <= LIMIT_MAX);
    }

    #[test]
    fn every_range_has_an_effort() {
        for end in [0, 1, 2, 3, 240, 1 << 20, 1 << 53, 1 << 54, (1 << 54) + 1, 1 << 64] {
            for numbers in [0.0, 1.0, 1e3, 1e18] {
                let effort = effort(numbers, numbers, end);
                assert!(effort.limit >= 1 && effort.limit <= LIMIT_MAX && effort.ns.is_finite(), "{end} {numbers}");
            }
        }
    }
}
