//! What a pass over the data looks for: one go gathers up to three things of each column.

use std::sync::Arc;

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

/// A step of a radix selection: of the elements (not NaN, not missing; infinities included) whose keys begin with one of
/// some prefixes, count how many go on with each value of the next bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits {
    /// Bits of the prefixes: the highest ones of a key. 0 in the first pass.
    pub prefix_bits: u32,
    /// Bits of the digit that follows; at most 16. `prefix_bits + digit_bits` is at most the bits of a key.
    pub digit_bits: u32,
    /// The prefixes, ascending and distinct: keys shifted right until only `prefix_bits` are left. `[0]` in the first pass.
    pub prefixes: Arc<[u64]>,
}

impl Digits {
    /// The length of the table of counts. The count of digit `d` after prefix number `i` stands at
    /// `(i << digit_bits) + d`.
    pub fn table_len(&self) -> usize {
        self.prefixes.len() << self.digit_bits
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
}

impl Bins {
    /// The length of the table of counts.
    pub fn table_len(&self) -> usize {
        self.bins + 2
    }
}
