//! Exact quantiles: which ranks they need, how a radix selection finds the elements of those ranks, and the interpolation
//! between them.

use std::sync::Arc;

use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use num_traits::ToPrimitive;

use crate::exact::nearest_f64;
use crate::kernels::stats::{Digits, Layout, Quantile, Scalar};

/// How many counts the tables of one pass over all columns may hold together.
const TABLE_BUDGET: u64 = 1 << 20;

/// The position of a quantile among the sorted values: `rank + weight`, with the weight as a ratio below 1.
struct Position {
    rank: u64,
    weight: (BigUint, BigUint),
}

impl Position {
    /// Position `q * (count - 1)`, exactly. `count` is not 0.
    fn of(quantile: &Quantile, count: u64) -> Self {
        let (numerator, denominator) = quantile.decimal().to_ratio();
        let (rank, rest) = (numerator.magnitude() * (count - 1)).div_rem(&denominator);
        Self { rank: rank.to_u64().expect("a quantile is at most 1"), weight: (rest, denominator) }
    }

    fn between_elements(&self) -> bool {
        self.weight.0.bits() != 0
    }
}

/// The search for the element of one rank.
#[derive(Clone, Debug)]
struct Search {
    /// The rank among all values.
    rank: u64,
    /// What is known of the element's key: its highest bits.
    prefix: u64,
    /// How many values share that prefix.
    sharing: u64,
    /// The rank among those.
    within: u64,
}

/// A radix selection of the elements of several ranks at once.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// Ascending by rank, and so by prefix.
    searches: Vec<Search>,
    known_bits: u32,
}

impl Selection {
    /// The first step, taken before the number of values is known.
    pub(super) fn first_digits(layout: &Layout, rows: u64, columns: usize) -> Digits {
        Digits { prefix_bits: 0, digit_bits: digit_bits(layout, 0, 1, rows, columns), prefixes: Arc::new([0]) }
    }

    /// The search for every element that these quantiles of `count` values need. `count` is not 0.
    pub(super) fn new(quantiles: &[Quantile], count: u64) -> Self {
        let mut ranks = Vec::new();
        for quantile in quantiles {
            let position = Position::of(quantile, count);
            ranks.push(position.rank);
            if position.between_elements() {
                ranks.push(position.rank + 1);
            }
        }
        ranks.sort_unstable();
        ranks.dedup();
        let search = |rank| Search { rank, prefix: 0, sharing: count, within: rank };
        Self { searches: ranks.into_iter().map(search).collect(), known_bits: 0 }
    }

    /// Takes a step's table in. `None` where the counts contradict the earlier ones, since the data has changed.
    pub(super) fn refine(mut self, digits: &Digits, table: &[u64]) -> Option<Self> {
        let width = 1usize << digits.digit_bits;
        let (mut current, mut digit, mut below) = (usize::MAX, 0, 0);
        for search in &mut self.searches {
            let index = digits.prefixes.binary_search(&search.prefix).ok()?;
            let counts = table.get(index << digits.digit_bits..)?.get(..width)?;
            if index != current {
                (current, digit, below) = (index, 0, 0);
                if counts.iter().sum::<u64>() != search.sharing {
                    return None;
                }
            }
            while search.within - below >= counts[digit] {
                below += counts[digit];
                digit += 1;
            }
            search.prefix = search.prefix << digits.digit_bits | digit as u64;
            search.sharing = counts[digit];
            search.within -= below;
        }
        self.known_bits += digits.digit_bits;
        Some(self)
    }

    /// The next step; `None` when every element is found.
    pub(super) fn next_digits(&self, layout: &Layout, rows: u64, columns: usize) -> Option<Digits> {
        if self.known_bits == layout.key_bits || self.searches.is_empty() {
            return None;
        }
        let mut prefixes: Vec<u64> = self.searches.iter().map(|search| search.prefix).collect();
        prefixes.dedup();
        let digit_bits = digit_bits(layout, self.known_bits, prefixes.len(), rows, columns);
        Some(Digits { prefix_bits: self.known_bits, digit_bits, prefixes: prefixes.into() })
    }

    /// The key of the element of this rank, once every element is found.
    fn key(&self, rank: u64) -> u64 {
        let at = self.searches.binary_search_by_key(&rank, |search| search.rank).expect("a rank that was searched for");
        self.searches[at].prefix
    }

    /// The value of a quantile, once every element is found. `count` is not 0.
    pub(super) fn value(&self, layout: &Layout, quantile: &Quantile, count: u64) -> Scalar {
        let position = Position::of(quantile, count);
        let element = |rank| Scalar::from_key(layout.dtype, self.key(rank)).expect("the layout is a supported one");
        let low = element(position.rank);
        if !position.between_elements() {
            return low;
        }
        interpolate(low, element(position.rank + 1), &position.weight)
    }
}

/// The width of the next digit: as wide as tables of the data's own size, and the budget, allow.
fn digit_bits(layout: &Layout, known_bits: u32, prefixes: usize, rows: u64, columns: usize) -> u32 {
    let share = (TABLE_BUDGET / (prefixes as u64).max(1) / (columns as u64).max(1)).max(1).ilog2();
    let useful = rows.max(1).ilog2() + 1;
    share.min(useful).clamp(6, 16).min(layout.key_bits - known_bits)
}

/// How many passes a selection is expected to take.
pub(super) fn expected_passes(layout: &Layout, quantiles: usize, rows: u64, columns: usize) -> u32 {
    let (mut known, mut passes) = (Selection::first_digits(layout, rows, columns).digit_bits, 1);
    while known < layout.key_bits {
        known += digit_bits(layout, known, 2 * quantiles, rows, columns);
        passes += 1;
    }
    passes
}

/// `low + weight * (high - low)`, exact, rounded once; for a weight above 0 and below 1.
fn interpolate(low: Scalar, high: Scalar, weight: &(BigUint, BigUint)) -> Scalar {
    let (Some(a), Some(b)) = (low.exact(), high.exact()) else {
        return match (low.to_f64(), high.to_f64()) {
            (a, b) if a == b => low,
            (f64::NEG_INFINITY, f64::INFINITY) => Scalar::F64(f64::NAN),
            (f64::NEG_INFINITY, _) => low,
            _ => high,
        };
    };
    let (a, b, exp2) = a.align(&b);
    if a == b {
        return low;
    }
    let (rest, denominator) = weight;
    let numerator = &a * BigInt::from(denominator.clone()) + (b - &a) * BigInt::from(rest.clone());
    Scalar::F64(nearest_f64(&numerator, denominator, exp2))
}
