//! Special leaves that are a count of primes, and those that are 1.

use std::ops::Range;

use crate::kernels::primes::combinatorial::tables::Tables;

/// The easy and trivial leaves of the primes p_b above √y in `above..up_to`, as they stand in φ(n, a): φ(n / (p_b · q), b - 1) of each
/// prime q above p_b up to y where n / (p_b · q) < p_b².
#[inline(always)]
pub(super) fn easy_leaves(tables: &Tables, primes: &Range<u64>) -> i128 {
    let b_first = (tables.counts.at(primes.start) as usize).max(tables.b_composite) + 1;
    let b_last = (tables.counts.at(primes.end) as usize).min(tables.a.saturating_sub(1));
    (b_first..=b_last).map(|b| leaves_of(tables, b)).sum()
}

#[inline(always)]
fn leaves_of(tables: &Tables, b: usize) -> i128 {
    let Tables { n, y, primes, counts, .. } = tables;
    let p = tables.prime(b);
    let quotient = n / p;
    // n / (p · q) < p where q is above n / p², and < p² where q is above n / p³.
    let trivial_above = counts.at((quotient / p).min(*y)).max(b as u64);
    let easy_above = counts.at((quotient / p / p).min(*y)).max(b as u64);
    let less = b as u64;
    let mut sum = 0u64;
    let mut at = trivial_above;
    let root = quotient.isqrt();
    // Of large q, many in a row have the same number of primes below their quotient.
    while at > easy_above {
        let q = tables.prime(at as usize);
        if q <= root {
            break;
        }
        let count = counts.at(quotient / q);
        let next = tables.prime(count as usize + 1);
        let others_from = counts.at(quotient / next).max(easy_above);
        sum += (at - others_from) * (count + 2 - less);
        at = others_from;
    }
    for &q in &primes[easy_above as usize + 1..=at.max(easy_above) as usize] {
        sum += counts.at(quotient / u64::from(q)) + 2 - less;
    }
    i128::from(tables.a as u64 - trivial_above) + i128::from(sum)
}
