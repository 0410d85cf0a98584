//! Special leaves that are a count of primes, and those that are 1; and how they are cut into blocks.

use std::ops::Range;

use crate::kernels::primes::combinatorial::shape::Shape;
use crate::kernels::primes::combinatorial::small_phi::GREATEST;
use crate::kernels::primes::combinatorial::tables::{Tables, cube_root};

/// Places at which the density of easy leaves is looked at.
const PLACES: u32 = 1024;

/// The ends of the blocks, over the primes that have easy leaves, above √y up to the cube root: block `i` has the primes above entry `i` up to
/// the next one. All look up about as often.
pub(super) fn blocks(shape: &Shape) -> Vec<u64> {
    let (n, y) = (shape.n, shape.y);
    let from = y.isqrt().max(GREATEST);
    let to = cube_root(n).max(from);
    let ratio = to as f64 / from as f64;
    let place = |at: u32| from as f64 * ratio.powf(f64::from(at) / f64::from(PLACES));
    let mut sum = 0.0;
    let sums: Vec<f64> = (0..PLACES)
        .map(|at| {
            let (low, high) = (place(at), place(at + 1));
            let p = f64::midpoint(low, high);
            sum += (lookups(n as f64, y as f64, p) + 4.0) * (high - low) / p.ln();
            sum
        })
        .collect();
    let end_of = |block: u64| {
        let wanted = sum * block as f64 / shape.blocks as f64;
        let at = sums.partition_point(|&so_far| so_far < wanted).min(sums.len() - 1);
        // Between two places the density hardly changes.
        let before = if at == 0 { 0.0 } else { sums[at - 1] };
        let part = if sums[at] > before { (wanted - before) / (sums[at] - before) } else { 1.0 };
        let (low, high) = (place(at as u32), place(at as u32 + 1));
        ((low + (high - low) * part) as u64).clamp(from, to)
    };
    let mut ends: Vec<u64> = std::iter::once(from).chain((1..shape.blocks).map(end_of)).chain([to]).collect();
    // Rounding may put one before the one that it follows.
    for at in 1..ends.len() {
        ends[at] = ends[at].max(ends[at - 1]);
    }
    ends
}

/// About how often the easy leaves of a prime p have π looked up.
fn lookups(n: f64, y: f64, p: f64) -> f64 {
    let primes = |v: f64| v / v.max(3.0).ln();
    let quotient = n / p;
    let (top, bottom, root) = ((quotient / p).min(y), (quotient / p / p).max(p), quotient.sqrt());
    if top <= bottom {
        return 0.0;
    }
    let sparse = (primes(top.min(root)) - primes(bottom)).max(0.0);
    let dense = if top > root { primes(quotient / root.max(bottom)) - primes(quotient / top) } else { 0.0 };
    sparse + 2.0 * dense.max(0.0)
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::primes::combinatorial::shape::LEAST;

    #[test]
    fn blocks_ascend_and_cover_all_primes_with_easy_leaves() {
        for n in (20..64).flat_map(|power| [1u64 << power, (1 << power) + 12_345, (1u64 << power) / 3 * 5]) {
            let shape = Shape::new(n.max(LEAST));
            let ends = blocks(&shape);
            assert!(shape.y >= cube_root(shape.n) && shape.y <= shape.n.isqrt(), "{n}");
            assert_eq!(ends.len() as u64, shape.blocks + 1, "{n}");
            assert!(ends.is_sorted(), "{n}");
            assert_eq!(ends[0], shape.y.isqrt().max(GREATEST), "{n}");
            assert_eq!(*ends.last().unwrap(), cube_root(shape.n).max(ends[0]), "{n}");
            // None is many times the others.
            let longest = ends.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            assert!(shape.blocks < 8 || longest < cube_root(shape.n) / 2, "{n}: {longest}");
        }
    }
}
