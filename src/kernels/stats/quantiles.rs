//! Exact quantiles: which ranks they need, how a selection finds the elements of those ranks, and the interpolation
//! between them.

use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use num_traits::ToPrimitive;

use crate::exact::nearest_f64;
use crate::kernels::stats::{DigitCounts, Digits, Layout, Moments, Quantile, Scalar, brackets};

/// How many counts the tables of one pass over all columns may hold together.
const TABLE_BUDGET: u64 = 1 << 20;
/// How many keys one pass over all columns may list: 16 MiB of them.
const LISTED_BUDGET: u64 = 1 << 21;
/// Where at most one in so many rows is listed, listing is cheaper than another pass,
const ROWS_PER_LISTED: u64 = 32;
/// and where rows are this few in all, they are listed at once.
const LISTED_AT_ONCE: u64 = 1 << 12;
/// Cells of all brackets together, as a power of two: their table stays in a core's first cache, and of values that are spread
/// evenly one in some thousands lies in a cell.
const BRACKETS_BITS: u32 = 11;

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
    /// What is known of the element's key: it is at least this,
    least: u64,
    /// and at most this.
    greatest: u64,
    /// How many values have such keys.
    sharing: u64,
    /// The rank among those.
    within: u64,
}

impl Search {
    fn is_over(&self) -> bool {
        self.least == self.greatest
    }
}

/// A selection of the elements of several ranks at once.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// Ascending by rank, and so by key.
    searches: Vec<Search>,
}

impl Selection {
    /// The first step, taken before the number of values is known: over the brackets that the elements are likely to be in,
    /// where there are some.
    pub(super) fn first_digits(
        layout: &Layout,
        rows: u64,
        columns: usize,
        brackets: Option<&[(u64, u64)]>,
    ) -> Option<Digits> {
        match brackets {
            Some([]) => None,
            Some(brackets) => {
                let share = BRACKETS_BITS - brackets.len().next_power_of_two().ilog2();
                let bits = digit_bits(brackets.len(), rows, columns).min(share);
                Some(Digits::new(brackets.iter().copied(), bits, true, None))
            }
            None => {
                let listed_max = at_once(rows, columns).then_some(rows);
                let bits = digit_bits(1, rows, columns);
                Some(Digits::new([(0, layout.max_key())], bits, false, listed_max))
            }
        }
    }

    /// The search for every element that these quantiles need of the values that `moments` counted, of which there is one
    /// at least.
    pub(super) fn new(layout: &Layout, quantiles: &[Quantile], moments: &Moments) -> Self {
        let count = moments.count;
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
        let search = |rank| {
            let (least, greatest) = match rank {
                0 => (moments.min_key, moments.min_key),
                rank if rank == count - 1 => (moments.max_key, moments.max_key),
                _ => (0, layout.max_key()),
            };
            Search { rank, least, greatest, sharing: count, within: rank }
        };
        Self { searches: ranks.into_iter().map(search).collect() }
    }

    /// Takes in what a step found. `None` where that contradicts what was found earlier, since the data has changed.
    pub(super) fn refine(mut self, digits: &Digits, counts: DigitCounts) -> Option<Self> {
        let searches = self.searches.iter_mut().filter(|search| !search.is_over());
        match counts {
            DigitCounts::Listed(mut keys, _) => {
                keys.sort_unstable();
                for search in searches {
                    let from = keys.partition_point(|key| *key < search.least);
                    let to = keys.partition_point(|key| *key <= search.greatest);
                    if (to - from) as u64 != search.sharing {
                        return None;
                    }
                    let key = keys[from + search.within as usize];
                    (search.least, search.greatest) = (key, key);
                }
            }
            DigitCounts::Counted(table) => {
                let steps = Steps::of(digits, &table)?;
                for search in searches {
                    steps.narrow(search)?;
                }
            }
        }
        Some(self)
    }

    /// The next step; `None` when every element is found.
    pub(super) fn next_digits(&self, rows: u64, columns: usize) -> Option<Digits> {
        let open = self.searches.iter().filter(|search| !search.is_over());
        let mut ranges: Vec<(u64, u64, u64)> =
            open.map(|search| (search.least, search.greatest, search.sharing)).collect();
        ranges.dedup();
        if ranges.is_empty() {
            return None;
        }
        let sharing: u64 = ranges.iter().map(|(_, _, sharing)| sharing).sum();
        let fits = sharing <= LISTED_BUDGET / (columns as u64).max(1);
        let few = sharing <= (rows / ROWS_PER_LISTED).max(LISTED_AT_ONCE);
        let bits = digit_bits(ranges.len(), rows, columns);
        let ranges = ranges.into_iter().map(|(least, greatest, _)| (least, greatest));
        Some(Digits::new(ranges, bits, false, (fits && few).then_some(sharing)))
    }

    /// The key of the element of this rank, once every element is found.
    fn key(&self, rank: u64) -> u64 {
        let at = self.searches.binary_search_by_key(&rank, |search| search.rank).expect("a rank that was searched for");
        self.searches[at].least
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

/// The cells of a step and between its ranges, in the order of their keys, with how many values lie before the end of each.
struct Steps<'a> {
    digits: &'a Digits,
    /// Over all cells of the table's ranges, and those between where they are counted.
    cumulative: Vec<u64>,
}

impl<'a> Steps<'a> {
    /// `None` where the table is none of this step.
    fn of(digits: &'a Digits, table: &[u64]) -> Option<Self> {
        if table.len() != digits.table_len() {
            return None;
        }
        let (within, between) = table.split_at(digits.between_at());
        let mut cumulative = Vec::with_capacity(table.len());
        let mut sum = 0u64;
        let mut push = |count: u64| {
            sum += count;
            cumulative.push(sum);
        };
        between.first().copied().into_iter().for_each(&mut push);
        for (i, range) in digits.ranges.iter().enumerate() {
            within[range.at..range.at + range.cells()].iter().copied().for_each(&mut push);
            between.get(i + 1).copied().into_iter().for_each(&mut push);
        }
        Some(Self { digits, cumulative })
    }

    /// Narrows a search to one cell. `None` where the counts contradict the search.
    fn narrow(&self, search: &mut Search) -> Option<()> {
        let (first, cells) = if self.digits.between {
            (0, self.cumulative.len())
        } else {
            let ranges = &self.digits.ranges;
            let range = &ranges[ranges.binary_search_by_key(&search.least, |range| range.least).ok()?];
            (range.at, range.cells())
        };
        let before = if first == 0 { 0 } else { self.cumulative[first - 1] };
        let sums = &self.cumulative[first..first + cells];
        if sums.last()? - before != search.sharing {
            return None;
        }
        let at = sums.partition_point(|sum| sum - before <= search.within);
        let below = if at == 0 { 0 } else { sums[at - 1] - before };
        let (least, greatest) = self.keys(first + at);
        // What lies outside the brackets is as wide as what was known already.
        (search.least, search.greatest) = (search.least.max(least), search.greatest.min(greatest));
        search.sharing = sums[at] - before - below;
        search.within -= below;
        Some(())
    }

    /// The keys of the cell with this number.
    fn keys(&self, cell: usize) -> (u64, u64) {
        let ranges = &self.digits.ranges;
        // Where cells between are counted, as many of them come before a range's own as there are ranges up to it.
        let between = |i: usize| if self.digits.between { i + 1 } else { 0 };
        let mut begun = 0;
        let (mut low, mut high) = (0, ranges.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if ranges[middle].at + between(middle) <= cell {
                begun = middle + 1;
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if let Some(i) = begun.checked_sub(1) {
            let range = &ranges[i];
            let digit = (cell - range.at - between(i)) as u64;
            if digit < range.cells() as u64 {
                let least = range.least + (digit << range.shift);
                return (least, range.greatest.min(least.saturating_add((1 << range.shift) - 1)));
            }
        }
        let least = if begun == 0 { 0 } else { ranges[begun - 1].greatest + 1 };
        let greatest = ranges.get(begun).map_or(u64::MAX, |range| range.least - 1);
        (least, greatest)
    }
}

/// Whether every key is listed in the first pass.
fn at_once(rows: u64, columns: usize) -> bool {
    rows.saturating_mul(columns as u64) <= LISTED_AT_ONCE
}

/// The width of the digits of so many ranges: as wide as tables of the data's own size, and the budget, allow.
fn digit_bits(ranges: usize, rows: u64, columns: usize) -> u32 {
    let share = (TABLE_BUDGET / (ranges as u64).max(1) / (columns as u64).max(1)).max(1).ilog2();
    let useful = rows.max(1).ilog2() + 1;
    share.min(useful).clamp(6, 16)
}

/// How many passes a selection is expected to take where keys can be listed.
pub(super) fn expected_passes(layout: &Layout, quantiles: usize, rows: u64, columns: usize) -> u32 {
    if at_once(rows, columns) {
        1
    } else if layout.key_bits == 32 || brackets::pays(rows, quantiles) {
        2
    } else {
        3
    }
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
