//! How the work for π(n) is cut, and what it is likely to cost: known from n alone, before any table is made.

use crate::kernels::primes::combinatorial::small_phi::GREATEST;
use crate::kernels::primes::combinatorial::tables::cube_root;
use crate::kernels::primes::combinatorial::{SEGMENT_NUMBERS, SEGMENT_WORDS};

/// Below this the primes themselves are counted.
pub(super) const LEAST: u64 = 1 << 20;
/// Look-ups of easy leaves that take about as long as a segment.
const LOOKUPS_A_BLOCK: f64 = 100_000.0;
/// Blocks of easy leaves at most.
const BLOCKS_MAX: f64 = 65_536.0;
/// Places at which the density of easy leaves is looked at.
const PLACES: u32 = 1024;

/// To make the smallest tables.
const TABLES_NS: f64 = 3e6;
/// What one thread takes for π(10^14), and by which power of n it grows around there: measured.
const REFERENCE_NS: f64 = 0.5e9;
const REFERENCE_N: f64 = 1e14;
const GROWTH: f64 = 0.65;

/// The cut of π(n): steps, each of one segment of the sieve or of one block of easy leaves.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    pub n: u64,
    /// What parts ordinary from special leaves, from the cube root of n to its square root.
    pub y: u64,
    /// Segments of the sieve up to n / y.
    pub segments: u64,
    /// Easy leaves by blocks: of the primes p above an entry up to the next one.
    pub blocks: Vec<u64>,
}

impl Shape {
    /// The shape of π(n), from [`LEAST`] on.
    pub fn new(n: u64) -> Self {
        // The larger y, the less is to be sieved and the more leaves are easy: what is best was measured.
        let factor = (1.2 * ((n as f64).log10() - 10.0)).max(1.5);
        let y = ((cube_root(n) as f64 * factor) as u64).min(n.isqrt());
        Self { n, y, segments: n / y / SEGMENT_NUMBERS + 1, blocks: blocks(n, y) }
    }

    /// Segments and blocks.
    pub fn steps(&self) -> u64 {
        self.segments + self.blocks.len() as u64 - 1
    }
}

/// What one thread is likely to take for π(n), in nanoseconds.
pub(super) fn cost_ns(n: u64) -> f64 {
    if n < LEAST { 1e5 } else { TABLES_NS + REFERENCE_NS * (n as f64 / REFERENCE_N).powf(GROWTH) }
}

/// The greatest n of which π(n) has at most so many units.
pub(in crate::kernels::primes) fn greatest_of_units(units: u64) -> u64 {
    let steps = units.div_ceil(SEGMENT_WORDS as u64);
    // Some more than the least, so that a little less is still enough.
    let (mut low, mut high) = (LEAST + 1000, 1u64 << 62);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if Shape::new(middle).steps() <= steps { low = middle } else { high = middle - 1 }
    }
    low
}

/// Ends of blocks of about as many look-ups each, over the primes that have easy leaves: above √y, up to the cube root.
fn blocks(n: u64, y: u64) -> Vec<u64> {
    let (from, to) = (y.isqrt().max(GREATEST), cube_root(n));
    if to <= from {
        return vec![from];
    }
    let ratio = to as f64 / from as f64;
    let place = |at: u32| (from as f64 * ratio.powf(f64::from(at) / f64::from(PLACES))) as u64;
    let mut sum = 0.0;
    let sums: Vec<(u64, f64)> = (1..=PLACES)
        .map(|at| {
            let (low, high) = (place(at - 1) as f64, place(at) as f64);
            let p = (low + high) / 2.0;
            sum += (lookups(n as f64, y as f64, p) + 4.0) * (high - low) / p.ln();
            (high as u64, sum)
        })
        .collect();
    let count = (sum / LOOKUPS_A_BLOCK).clamp(1.0, BLOCKS_MAX).ceil();
    let mut ends = vec![from];
    for &(high, so_far) in &sums {
        let last = *ends.last().unwrap_or(&from);
        // Between two places the density hardly changes.
        let wanted = (so_far / sum * count) as usize;
        let missing = wanted.saturating_sub(ends.len() - 1).min((high.saturating_sub(last)) as usize);
        ends.extend((1..=missing as u64).map(|part| last + (high - last) * part / missing as u64));
    }
    if let Some(last) = ends.last_mut().filter(|last| **last > from) {
        *last = to;
    } else {
        ends.push(to);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_ascend_and_cover_all_primes_with_easy_leaves() {
        for n in (20..64).flat_map(|power| [1u64 << power, (1 << power) + 12_345, (1u64 << power) / 3 * 5]) {
            let shape = Shape::new(n.max(LEAST));
            assert!(shape.y >= cube_root(shape.n) && shape.y <= shape.n.isqrt(), "{n}");
            assert!(shape.blocks.windows(2).all(|pair| pair[0] < pair[1]), "{n}");
            assert_eq!(*shape.blocks.last().unwrap(), cube_root(shape.n).max(shape.blocks[0]), "{n}");
            assert!(shape.blocks.len() as f64 <= BLOCKS_MAX + 2.0);
        }
    }

    #[test]
    fn more_units_are_of_a_greater_number() {
        let found = [1, 5000, 100_000, 1_000_000].map(greatest_of_units);
        assert!(found.is_sorted() && found[0] >= LEAST, "{found:?}");
        for (units, n) in [100_000, 1_000_000].into_iter().zip(&found[2..]) {
            let has = Shape::new(*n).steps() * SEGMENT_WORDS as u64;
            assert!(has <= units + SEGMENT_WORDS as u64 && has * 2 > units, "{units}: {has}");
        }
    }
}
