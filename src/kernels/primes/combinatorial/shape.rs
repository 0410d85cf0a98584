//! How the work for π(n) is cut, and what it is likely to cost: known from n alone, before any table is made.

use crate::kernels::primes::combinatorial::tables::cube_root;
use crate::kernels::primes::combinatorial::{SEGMENT_NUMBERS, SEGMENT_WORDS};

/// Below this the primes themselves are counted.
pub(super) const LEAST: u64 = 1 << 20;
/// To make the smallest tables.
const TABLES_NS: f64 = 3e6;
/// What one thread takes for π(10^14), and by which power of n it grows around there: measured.
const REFERENCE_NS: f64 = 0.5e9;
const REFERENCE_N: f64 = 1e14;
const GROWTH: f64 = 0.65;

/// The part of the time that easy leaves take, about, and how long a block of them is to take: as long as a segment.
const EASY_PART: f64 = 0.45;
const BLOCK_NS: f64 = 5e5;
/// Blocks of easy leaves at most.
const BLOCKS_MAX: f64 = 65_536.0;

/// The cut of π(n): steps, each of one segment of the sieve or of one block of easy leaves. It is known without any work, since jobs ask for it
/// that are then done in another way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub n: u64,
    /// What parts ordinary from special leaves, from the cube root of n to its square root.
    pub y: u64,
    /// Segments of the sieve up to n / y.
    pub segments: u64,
    /// Blocks of easy leaves.
    pub blocks: u64,
}

impl Shape {
    /// The shape of π(n), from [`LEAST`] on.
    pub fn new(n: u64) -> Self {
        // The larger y, the less is to be sieved and the more leaves are easy: what is best was measured.
        let factor = (1.2 * ((n as f64).log10() - 10.0)).max(1.5);
        let y = ((cube_root(n) as f64 * factor) as u64).min(n.isqrt());
        let blocks = (cost_ns(n) - TABLES_NS) * EASY_PART / BLOCK_NS;
        Self { n, y, segments: n / y / SEGMENT_NUMBERS + 1, blocks: blocks.clamp(1.0, BLOCKS_MAX) as u64 }
    }

    /// Segments and blocks.
    pub fn steps(&self) -> u64 {
        self.segments + self.blocks
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

#[cfg(test)]
mod tests {
    use super::*;

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
