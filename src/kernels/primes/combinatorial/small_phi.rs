//! φ(v, 7): how many of 1..=v none of 2, 3, 5, 7, 11, 13 and 17 divides, from a table of one period.

use std::sync::LazyLock;

/// How many primes.
pub(super) const PRIMES: usize = 7;
/// The greatest of them.
pub(super) const GREATEST: u64 = 17;
/// Their product, after which all repeats, and how many up to it none of them divides.
const PERIOD: usize = 2 * 3 * 5 * 7 * 11 * 13 * GREATEST as usize;
const IN_PERIOD: u64 = 2 * 4 * 6 * 10 * 12 * 16;

/// φ of each number below the period.
static COUNTS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut free = vec![true; PERIOD];
    free[0] = false;
    for p in [2, 3, 5, 7, 11, 13, GREATEST as usize] {
        free.iter_mut().step_by(p).for_each(|free| *free = false);
    }
    let mut count = 0;
    let counted = free.into_iter().map(|free| {
        count += u32::from(free);
        count
    });
    counted.collect()
});

/// φ(v, 7).
pub(super) fn small_phi(v: u64) -> u64 {
    v / PERIOD as u64 * IN_PERIOD + u64::from(COUNTS[(v % PERIOD as u64) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phi_of_the_first_seven_primes_is_what_counting_gives() {
        let mut count = 0;
        for v in 0..PERIOD as u64 + 1000 {
            count += u64::from(v > 0 && [2, 3, 5, 7, 11, 13, 17].iter().all(|p| !v.is_multiple_of(*p)));
            assert_eq!(small_phi(v), count, "{v}");
        }
        assert_eq!(small_phi(PERIOD as u64 * 1000), IN_PERIOD * 1000);
    }
}
