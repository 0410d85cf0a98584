//! The chunks of an array: which one holds what, in both orders in which its elements can be read.

use std::ops::Range;

/// An array cut into chunks of one shape; those at the upper ends of the axes reach beyond the array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    shape: Vec<u64>,
    chunk: Vec<u64>,
    /// How many chunks there are along each axis.
    counts: Vec<u64>,
    /// What the lengths of the axes after each one multiply to.
    inner: Vec<u64>,
}

/// Elements that lie one after the other in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The chunk, by its place in the grid, the last axis running fastest.
    pub(super) chunk: u64,
    /// The first element, from the start of the chunk.
    pub(super) first: u64,
    pub(super) len: u64,
}

impl Grid {
    /// The chunks of an array with elements; both shapes have as many axes, and no axis is 0. `None` where the numbers of
    /// chunks or of elements of a chunk cannot be counted.
    pub(super) fn new(shape: &[u64], chunk: &[u64]) -> Option<Self> {
        let (mut shape, mut chunk) = (shape.to_vec(), chunk.to_vec());
        // Rows that are whole in each chunk lie one after the other in it: they are one axis.
        while shape.len() > 1 && shape.last() == chunk.last() {
            let row = shape.pop()?;
            chunk.pop();
            let (axis, length) = (shape.last_mut()?, chunk.last_mut()?);
            *axis = axis.checked_mul(row)?;
            *length = length.checked_mul(row)?;
        }
        let product = |axes: &[u64]| axes.iter().try_fold(1_u64, |product, axis| product.checked_mul(*axis));
        let counts: Vec<u64> = shape.iter().zip(&chunk).map(|(axis, length)| axis.div_ceil(*length)).collect();
        product(&counts)?;
        product(&chunk)?;
        let inner = (0..shape.len()).map(|axis| product(&shape[axis + 1..])).collect::<Option<_>>()?;
        Some(Self { shape, chunk, counts, inner })
    }

    /// The place in the grid of the chunk whose first element has these indices, along the axes of the array as it was
    /// given; `None` where no chunk begins there. `shape` and `chunk` are what the grid was made from.
    pub(super) fn place(shape: &[u64], chunk: &[u64], first: &[u64]) -> Option<u64> {
        let mut place = 0_u64;
        for ((axis, length), first) in shape.iter().zip(chunk).zip(first) {
            if first % length != 0 || first >= axis {
                return None;
            }
            place = place.checked_mul(axis.div_ceil(*length))?.checked_add(first / length)?;
        }
        (first.len() == shape.len()).then_some(place)
    }

    /// How many chunks there are.
    pub(super) fn chunks(&self) -> u64 {
        self.counts.iter().product()
    }

    /// How many chunks lie along all axes but the first: what is read at once, roughly, in the order of the array.
    pub(super) fn band(&self) -> u64 {
        self.counts[1..].iter().product()
    }

    /// The runs of the elements `range` in the order of the array, its last axis running fastest.
    pub(super) fn runs_in_order(&self, range: Range<u64>, mut visit: impl FnMut(Run) -> bool) {
        let last = self.shape.len() - 1;
        let mut at = range.start;
        let mut index = vec![0; last + 1];
        while at < range.end {
            let mut rest = at;
            for (index, inner) in index.iter_mut().zip(&self.inner) {
                *index = rest / inner;
                rest %= inner;
            }
            let (mut chunk, mut first) = (0, 0);
            for ((count, length), index) in self.counts.iter().zip(&self.chunk).zip(&index) {
                chunk = chunk * count + index / length;
                first = first * length + index % length;
            }
            let to_the_end = self.shape[last] - index[last];
            let in_chunk = self.chunk[last] - index[last] % self.chunk[last];
            let len = to_the_end.min(in_chunk).min(range.end - at);
            if !visit(Run { chunk, first, len }) {
                return;
            }
            at += len;
        }
    }

    /// The runs of the elements `range` in the order in which they are stored: chunk after chunk, of each the elements that
    /// belong to the array.
    pub(super) fn runs_as_stored(&self, range: Range<u64>, mut visit: impl FnMut(Run) -> bool) {
        let axes = self.shape.len();
        let (mut clipped, mut index) = (vec![0; axes], vec![0; axes]);
        let mut at = range.start;
        while at < range.end {
            // All chunks before this one along an axis are whole along it.
            let (mut rest, mut before, mut chunk) = (at, 1, 0);
            for (axis, clipped) in clipped.iter_mut().enumerate() {
                let slab = self.chunk[axis].min(self.shape[axis]) * before * self.inner[axis];
                let place = (rest / slab).min(self.counts[axis] - 1);
                rest -= place * slab;
                *clipped = self.chunk[axis].min(self.shape[axis] - place * self.chunk[axis]);
                before *= *clipped;
                chunk = chunk * self.counts[axis] + place;
            }
            let end = (at + (before - rest)).min(range.end);
            // Axes that are whole in this chunk make runs of several rows.
            let mut row = axes - 1;
            while row > 0 && clipped[row] == self.chunk[row] {
                row -= 1;
            }
            let whole: u64 = self.chunk[row + 1..].iter().product();
            while at < end {
                let (mut left, mut first) = (rest / whole, 0);
                for axis in (0..=row).rev() {
                    index[axis] = left % clipped[axis];
                    left /= clipped[axis];
                }
                for (length, index) in self.chunk[..=row].iter().zip(&index) {
                    first = first * length + index;
                }
                let run = (clipped[row] - index[row]) * whole - rest % whole;
                let len = run.min(end - at);
                if !visit(Run { chunk, first: first * whole + rest % whole, len }) {
                    return;
                }
                at += len;
                rest += len;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements of an array, each its index in C order, as the chunks of a naive file hold them, `u64::MAX` where a
    /// chunk reaches beyond the array.
    fn chunks(shape: &[u64], chunk: &[u64]) -> Vec<Vec<u64>> {
        let counts: Vec<u64> = shape.iter().zip(chunk).map(|(axis, length)| axis.div_ceil(*length)).collect();
        let indices = |axes: &[u64]| -> Vec<Vec<u64>> {
            axes.iter().fold(vec![Vec::new()], |all, axis| {
                all.iter().flat_map(|head| (0..*axis).map(|i| [head.as_slice(), &[i]].concat())).collect()
            })
        };
        let element = |place: &[u64], inside: &[u64]| {
            let mut element = 0;
            for axis in 0..shape.len() {
                let index = place[axis] * chunk[axis] + inside[axis];
                if index >= shape[axis] {
                    return u64::MAX;
                }
                element = element * shape[axis] + index;
            }
            element
        };
        let of_chunk = |place: &Vec<u64>| indices(chunk).iter().map(|inside| element(place, inside)).collect();
        indices(&counts).iter().map(of_chunk).collect()
    }

    const CASES: [(&[u64], &[u64]); 9] = [
        (&[7], &[3]),
        (&[7], &[10]),
        (&[4, 6], &[2, 3]),
        (&[5, 7], &[2, 3]),
        (&[5, 7], &[2, 7]),
        (&[5, 7], &[8, 9]),
        (&[3, 4, 5], &[2, 3, 2]),
        (&[3, 4, 5], &[1, 4, 5]),
        (&[2, 3, 2, 5], &[2, 2, 2, 3]),
    ];

    #[test]
    fn both_orders_give_every_range_of_the_elements() {
        for (shape, chunk) in CASES {
            let stored = chunks(shape, chunk);
            let grid = Grid::new(shape, chunk).unwrap();
            let len: u64 = shape.iter().product();
            let in_order: Vec<u64> = (0..len).collect();
            let as_stored: Vec<u64> = stored.iter().flatten().copied().filter(|element| *element < len).collect();
            for start in 0..=len {
                for end in start..=len {
                    let (mut found, mut stored_found) = (Vec::new(), Vec::new());
                    let take = |found: &mut Vec<u64>, run: Run| {
                        assert!(run.len > 0);
                        let chunk = &stored[run.chunk as usize];
                        found.extend(&chunk[run.first as usize..(run.first + run.len) as usize]);
                        true
                    };
                    grid.runs_in_order(start..end, |run| take(&mut found, run));
                    grid.runs_as_stored(start..end, |run| take(&mut stored_found, run));
                    assert_eq!(found, in_order[start as usize..end as usize], "{shape:?} {chunk:?} {start}..{end}");
                    assert_eq!(
                        stored_found,
                        as_stored[start as usize..end as usize],
                        "{shape:?} {chunk:?} {start}..{end}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_chunk_is_found_by_its_first_element() {
        assert_eq!(Grid::place(&[5, 7], &[2, 3], &[2, 6]), Some(5));
        assert_eq!(Grid::place(&[5, 7], &[2, 3], &[2, 5]), None);
        assert_eq!(Grid::place(&[5, 7], &[2, 3], &[6, 0]), None);
        assert_eq!(Grid::place(&[5, 7], &[2, 3], &[2]), None);
        assert_eq!(Grid::new(&[1 << 40, 1 << 40], &[1, 1]), None);
        assert_eq!(Grid::new(&[5, 7, 2], &[2, 3, 2]).unwrap().band(), 3);
    }
}
