//! The elements of a block of rows, added up cell by cell: sixteen neighbouring cells at once.

use crate::kernels::Isa;
use crate::kernels::stats::Layout;
use crate::kernels::stats::axis::cell::Cell;
use crate::kernels::stats::moments::Gather;

/// Cells that are added up together.
pub(super) const LANES: usize = 16;

/// The most rows that are added up before the sums are moved to the cells.
pub(super) const MOST_ROWS: usize = 2048;

/// Rows of elements: `width` a row, whole groups of [`LANES`], and a row at least.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a, T> {
    pub(super) elements: &'a [T],
    pub(super) width: usize,
}

impl<'a, T> Block<'a, T> {
    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.elements.len() / self.width
    }

    /// The elements of a group of cells, row by row.
    #[inline(always)]
    pub(super) fn group<const N: usize>(&self, first: usize) -> impl Iterator<Item = &'a [T; N]> + use<'a, T, N> {
        let rows = self.elements.chunks_exact(self.width);
        rows.map(move |row| row[first..first + N].try_into().expect("as many as were taken"))
    }
}

/// What is the same for all blocks of a fold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// Never wider than the machine's.
    pub(super) isa: Isa,
    pub(super) layout: Layout,
    /// The least and the greatest key of elements that count as NaN though they are numbers.
    pub(super) missing: Option<(u64, u64)>,
}

/// An element type that is added up cell by cell.
pub(super) trait Cellular: Gather {
    /// What is kept of a group of cells between blocks.
    type Group: Default;

    /// Adds a block of at most [`MOST_ROWS`] rows: of each, the group of elements that begins with number `first`. Of the lanes, those
    /// beyond the end of `cells` count for nothing.
    fn add(group: &mut Self::Group, block: Block<'_, Self>, first: usize, cells: &mut [Cell], setting: &Setting);

    /// Moves to the cells what is not there yet. The group may then be that of other cells.
    fn finish(group: &mut Self::Group, cells: &mut [Cell], setting: &Setting);
}
