//! What a chunk folds to: counts, keys and exact sums, all of which merge exactly in any order.

use crate::exact::FixedPoint;
use crate::kernels::stats::{ColumnPass, Digits, Layout};

/// The partial of a chunk: one a column, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsPartial {
    /// One a column.
    pub columns: Vec<ColumnPartial>,
}

/// What a pass gathered of a column. What the pass did not ask for is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnPartial {
    /// Counts, extremes and sums.
    pub moments: Option<Moments>,
    /// What [`Digits`](super::Digits) asks for.
    pub digits: DigitCounts,
    /// The table that [`Bins`](super::Bins) describes.
    pub bins: Vec<u64>,
}

/// The elements that a step of a selection looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigitCounts {
    /// The table of their counts.
    Counted(Vec<u64>),
    /// Their keys, in any order, each as often as there are elements with it.
    Listed(Vec<u64>, Digits),
}

impl DigitCounts {
    /// Those of no elements, listed where that is allowed.
    pub fn empty(digits: Option<&Digits>) -> Self {
        match digits {
            Some(digits) if digits.listed_max.is_some() => Self::Listed(Vec::new(), digits.clone()),
            _ => Self::counted(digits),
        }
    }

    /// Those of no elements, counted.
    pub fn counted(digits: Option<&Digits>) -> Self {
        Self::Counted(vec![0; digits.map_or(0, Digits::table_len)])
    }

    /// The table. Where keys are listed, they are counted.
    pub fn into_table(self) -> Vec<u64> {
        match self {
            Self::Counted(table) => table,
            Self::Listed(keys, digits) => {
                let mut table = vec![0; digits.table_len()];
                for index in keys.into_iter().filter_map(|key| digits.index_of(key)) {
                    table[index] += 1;
                }
                table
            }
        }
    }

    /// Adds those of other elements. Keys stay listed where both sides list them.
    fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Listed(into, _), Self::Listed(from, _)) => into.extend_from_slice(from),
            (Self::Counted(into), Self::Counted(from)) => add(into, from),
            _ => {
                let mut table = std::mem::replace(self, Self::Counted(Vec::new())).into_table();
                add(&mut table, &other.clone().into_table());
                *self = Self::Counted(table);
            }
        }
    }
}

/// Adds counts to those of the same cells.
fn add(into: &mut [u64], from: &[u64]) {
    assert_eq!(into.len(), from.len(), "partials of one pass");
    for (into, from) in into.iter_mut().zip(from) {
        *into += from;
    }
}

/// Counts, extremes and exact sums. "Values" are the elements that are not NaN and not missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moments {
    /// How many values there are, infinities included.
    pub count: u64,
    /// How many elements are NaN or missing.
    pub nan_count: u64,
    /// The least key of a value, `u64::MAX` where there is none.
    pub min_key: u64,
    /// The greatest key of a value, 0 where there is none.
    pub max_key: u64,
    /// How many values are +∞.
    pub positive_infinities: u64,
    /// How many values are -∞.
    pub negative_infinities: u64,
    /// The sum of the finite values: [`Layout::zero_sum`] and what was added.
    pub sum: FixedPoint,
    /// The sum of the squares of the finite values: [`Layout::zero_squares`] and what was added.
    pub squares: FixedPoint,
    /// What skewness and kurtosis need, where the job asks for them.
    pub higher: Option<HigherSums>,
}

/// The sums of the third and the fourth powers of the finite values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HigherSums {
    /// Of the third powers: [`Layout::zero_power`] of 3 and what was added.
    pub cubes: FixedPoint,
    /// Of the fourth powers: [`Layout::zero_power`] of 4 and what was added.
    pub fourths: FixedPoint,
}

impl HigherSums {
    /// Those of no elements.
    pub fn empty(layout: &Layout) -> Self {
        Self { cubes: layout.zero_power(3), fourths: layout.zero_power(4) }
    }
}

impl Moments {
    /// Those of no elements.
    pub fn empty(layout: &Layout) -> Self {
        Self {
            count: 0,
            nan_count: 0,
            min_key: u64::MAX,
            max_key: 0,
            positive_infinities: 0,
            negative_infinities: 0,
            sum: layout.zero_sum(),
            squares: layout.zero_squares(),
            higher: None,
        }
    }

    /// How many values are finite.
    pub fn finite(&self) -> u64 {
        self.count - self.positive_infinities - self.negative_infinities
    }

    /// Adds those of other elements.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.nan_count += other.nan_count;
        self.min_key = self.min_key.min(other.min_key);
        self.max_key = self.max_key.max(other.max_key);
        self.positive_infinities += other.positive_infinities;
        self.negative_infinities += other.negative_infinities;
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
        match (&mut self.higher, &other.higher) {
            (Some(into), Some(from)) => {
                into.cubes.merge(&from.cubes);
                into.fourths.merge(&from.fourths);
            }
            (None, None) => {}
            _ => panic!("partials of one pass"),
        }
    }
}

impl ColumnPartial {
    /// The partial of no elements under this pass.
    pub fn empty(pass: &ColumnPass, layout: &Layout) -> Self {
        Self {
            moments: pass
                .moments
                .then(|| Moments { higher: pass.higher.then(|| HigherSums::empty(layout)), ..Moments::empty(layout) }),
            digits: DigitCounts::empty(pass.digits.as_ref()),
            bins: vec![0; pass.bins.as_ref().map_or(0, super::Bins::table_len)],
        }
    }

    /// Adds the partial of other elements under the same pass.
    ///
    /// # Panics
    /// Where the passes differ.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.moments, &other.moments) {
            (Some(into), Some(from)) => into.merge(from),
            (None, None) => {}
            _ => panic!("partials of one pass"),
        }
        self.digits.merge(&other.digits);
        add(&mut self.bins, &other.bins);
    }
}
