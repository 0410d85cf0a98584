//! What a pass over the data looks for: one go gathers up to three things of each column.

use std::sync::Arc;

use crate::input::DType;
use crate::kernels::stats::binning::Scale;
use crate::kernels::stats::found::Found;

/// A pass: what it does for each column, in their order.
#[derive(Clone, Debug)]
pub struct StatsPass {
    /// One a column.
    pub columns: Vec<ColumnPass>,
}

/// What a pass does for a column. Where all three are absent, the column is not read.
#[derive(Clone, Debug)]
pub struct ColumnPass {
    /// Whether to gather [`Moments`](super::Moments).
    pub moments: bool,
    /// Whether [`HigherSums`](super::HigherSums) are among them.
    pub higher: bool,
    /// Digits of keys to count, for quantiles.
    pub digits: Option<Digits>,
    /// Bins to count, for the histogram.
    pub bins: Option<Bins>,
    /// What the passes before this one found.
    pub(super) found: Arc<Found>,
}

impl ColumnPass {
    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        !self.moments && self.digits.is_none() && self.bins.is_none()
    }
}

/// A step of a selection: of the elements (not NaN, not missing; infinities included) whose keys lie in some ranges, count how
/// many lie in each of the cells that the ranges are cut into. The digit of a key is the number of its cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits {
    /// The ranges, ascending and disjoint.
    pub ranges: Arc<[KeyRange]>,
    /// Whether what lies before, between and after the ranges is counted too.
    pub between: bool,
    /// Where the elements in the ranges are few, how many there are at most: a fold may list their keys then, which makes
    /// counting, and further steps, needless.
    pub listed_max: Option<u64>,
}

/// A range of keys, cut into cells of equal width; the last may be narrower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The least key.
    pub least: u64,
    /// The greatest key.
    pub greatest: u64,
    /// The cell of a key is `(key - least) >> shift`.
    pub shift: u32,
    /// Where the count of the first cell stands in the table.
    pub at: usize,
}

impl KeyRange {
    /// The number of its cells.
    pub fn cells(&self) -> usize {
        ((self.greatest - self.least) >> self.shift) as usize + 1
    }
}

impl Digits {
    /// The step that cuts each of these ranges, from a least to a greatest key, into `2^bits` cells at most.
    pub(super) fn new(
        ranges: impl IntoIterator<Item = (u64, u64)>,
        bits: u32,
        between: bool,
        listed_max: Option<u64>,
    ) -> Self {
        let mut at = 0;
        let ranges = ranges.into_iter().map(|(least, greatest)| {
            let shift = (u64::BITS - (greatest - least).leading_zeros()).saturating_sub(bits);
            let range = KeyRange { least, greatest, shift, at };
            at += range.cells();
            range
        });
        Self { ranges: ranges.collect(), between, listed_max }
    }

    /// Where the counts of what lies outside the ranges stand: before the first range, and after each of them.
    pub fn between_at(&self) -> usize {
        self.ranges.last().map_or(0, |range| range.at + range.cells())
    }

    /// The length of the table of counts.
    pub fn table_len(&self) -> usize {
        self.between_at() + if self.between { self.ranges.len() + 1 } else { 0 }
    }

    /// Where a key is counted, if it is.
    pub fn index_of(&self, key: u64) -> Option<usize> {
        let begun = self.ranges.partition_point(|range| range.least <= key);
        if let Some(range) = self.ranges[..begun].last()
            && key <= range.greatest
        {
            return Some(range.at + ((key - range.least) >> range.shift) as usize);
        }
        self.between.then(|| self.between_at() + begun)
    }
}

/// The bins of a histogram, as keys: an element (not NaN, not missing; infinities included) with key `k` belongs to cell
/// number `n`, where `n` is how many of `starts` are at most `k`. Cell 0 is what lies below, cell `i + 1` is bin `i`, and
/// cell `bins + 1` is what lies above.
#[derive(Clone, Debug, PartialEq)]
pub struct Bins {
    /// The number of bins.
    pub bins: usize,
    /// The least key of each cell from cell 1 on, ascending, not always distinct; cells that no key reaches are left off the
    /// end. At most `bins + 1`.
    pub starts: Arc<[u64]>,
    /// The edges, `bins + 1`, ascending: as reported, and to guess an element's bin from.
    pub edges: Arc<[f64]>,
    /// Finds an element's cell by arithmetic, where that can be done.
    pub(super) scale: Option<Scale>,
}

impl Bins {
    /// Bins between `edges`, of which there are two at least, whose cells begin at `starts`.
    pub(super) fn new(dtype: DType, starts: Vec<u64>, edges: Vec<f64>) -> Self {
        let scale = match dtype {
            DType::F32 => Scale::new::<f32>(&starts, &edges),
            DType::F64 => Scale::new::<f64>(&starts, &edges),
            DType::I32 => Scale::new::<i32>(&starts, &edges),
            DType::I64 => Scale::new::<i64>(&starts, &edges),
            DType::U32 => Scale::new::<u32>(&starts, &edges),
            DType::U64 => Scale::new::<u64>(&starts, &edges),
            DType::I8 | DType::I16 | DType::U8 | DType::U16 => unreachable!("there is no layout of these types"),
        };
        Self { bins: edges.len() - 1, starts: starts.into(), edges: edges.into(), scale }
    }

    /// The length of the table of counts.
    pub fn table_len(&self) -> usize {
        self.bins + 2
    }
}
