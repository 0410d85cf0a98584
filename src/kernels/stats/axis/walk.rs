//! The way through an array: which elements belong to which cells.

use std::ops::Range;

use crate::input::{Scratch, Source, Values};
use crate::job::{Cause, JobError};
use crate::kernels::stats::Moments;
use crate::kernels::stats::axis::axes::Span;
use crate::kernels::stats::axis::cell::Cell;
use crate::kernels::stats::axis::lanes::{Block, Cellular, LANES, MOST_ROWS, Setting};
use crate::kernels::stats::moments::Gathering;

/// Bytes of a block of rows that lie ready in memory, or are decoded bit by bit: they stay in a core's cache.
const NEAR_BLOCK_BYTES: usize = 256 << 10;

/// Bytes of a block of whole rows where blocks of the input are decoded whole: so that each is decoded once.
const DECODED_BLOCK_BYTES: usize = 8 << 20;

/// Bytes of a cell's elements in a block of whole rows, at least, however long the rows are: taking in a block has its price.
pub(super) const DECODED_CELL_BYTES: usize = 128;

/// Cells whose elements of a row are read at once from where scattered elements are cheap: a page or two of a file.
pub(super) const TILE_CELLS: usize = 512;

/// As many elements of a cell in a row are added up as those of a column are.
const LONG_RUN: u64 = 2048;

/// A walk through a part of an array.
pub(super) struct Walk<'a, T> {
    pub(super) source: &'a dyn Source,
    pub(super) spans: &'a [Span],
    pub(super) setting: Setting,
    pub(super) scratch: &'a mut Scratch,
    pub(super) cells: &'a mut [Cell],
    pub(super) buffer: Vec<T>,
}

impl<T: Cellular + Default> Walk<'_, T> {
    /// Takes in the elements of the steps `steps` of span `limited`, and of all steps of the others. The cells are those of these
    /// steps.
    pub(super) fn run(mut self, limited: usize, steps: Range<u64>) -> Result<(), JobError> {
        let mut spans = self.spans.to_vec();
        let mut first = 0;
        if let Some(span) = spans.get_mut(limited) {
            first = steps.start * span.stride;
            span.len = steps.end - steps.start;
        }
        if spans.iter().any(|span| span.len == 0) {
            return Ok(());
        }
        self.walk(&spans, first, 0)
    }

    fn walk(&mut self, spans: &[Span], first: u64, cell: usize) -> Result<(), JobError> {
        match spans {
            [] => self.rows((first, 1, 1), cell, 1),
            [span] if span.reduced => self.runs(first, 1, span.len, cell),
            [span] => self.rows((first, 1, span.len), cell, span.len as usize),
            [outer, inner] if outer.reduced => self.rows((first, outer.len, outer.stride), cell, inner.len as usize),
            [outer, inner] => self.runs(first, outer.len, inner.len, cell),
            [outer, rest @ ..] => (0..outer.len).try_for_each(|step| {
                self.walk(rest, first + step * outer.stride, cell + (step * outer.cell_stride) as usize)
            }),
        }
    }

    /// Takes in rows of elements, each of another cell: the first of them, how many rows, and how far apart they begin.
    fn rows(&mut self, (first, rows, stride): (u64, u64, u64), cell: usize, width: usize) -> Result<(), JobError> {
        let is_near = self.source.is_scattered_cheap();
        let tile = if is_near { width.min(TILE_CELLS) } else { width };
        for start in (0..width).step_by(tile) {
            let count = tile.min(width - start);
            let padded = count.next_multiple_of(LANES);
            let row_bytes = padded * size_of::<T>();
            let (bytes, least) = if is_near {
                (NEAR_BLOCK_BYTES, 1)
            } else {
                (DECODED_BLOCK_BYTES, DECODED_CELL_BYTES / size_of::<T>())
            };
            let block_rows = (bytes / row_bytes).clamp(least, MOST_ROWS) as u64;
            let mut groups: Vec<T::Group> = (0..padded / LANES).map(|_| T::Group::default()).collect();
            for row in (0..rows).step_by(block_rows as usize) {
                let block_rows = block_rows.min(rows - row);
                self.buffer.clear();
                self.buffer.resize(block_rows as usize * padded, T::default());
                let at = first + row * stride + start as u64;
                // At once, if that takes little room beside the block's own.
                if stride == count as u64 && block_rows as usize * row_bytes <= DECODED_BLOCK_BYTES {
                    let values = self.source.read(at..at + block_rows * stride, self.scratch)?;
                    let block = elements::<T>(self.source, &values, block_rows as usize * count)?;
                    for (into, from) in self.buffer.chunks_exact_mut(padded).zip(block.chunks_exact(count)) {
                        into[..count].copy_from_slice(from);
                    }
                } else {
                    for (row, into) in self.buffer.chunks_exact_mut(padded).enumerate() {
                        let at = at + row as u64 * stride;
                        let values = self.source.read(at..at + count as u64, self.scratch)?;
                        into[..count].copy_from_slice(elements::<T>(self.source, &values, count)?);
                    }
                }
                let cells = &mut self.cells[cell + start..][..count];
                add::<T>(&self.buffer, padded, &mut groups, cells, &self.setting);
            }
            let cells = &mut self.cells[cell + start..][..count];
            finish::<T>(&mut groups, cells, &self.setting);
        }
        Ok(())
    }

    /// Takes in runs of elements, `len` of one cell, then those of the next.
    fn runs(&mut self, first: u64, runs: u64, len: u64, cell: usize) -> Result<(), JobError> {
        if len >= LONG_RUN {
            return (0..runs).try_for_each(|run| self.long_run(first + run * len, len, cell + run as usize));
        }
        let len = len as usize;
        // Neighbouring cells are often alike, so that what is kept of one group suits the next.
        let mut group = T::Group::default();
        let at_once = (NEAR_BLOCK_BYTES / (len * size_of::<T>()) / LANES * LANES).max(LANES) as u64;
        for run in (0..runs).step_by(at_once as usize) {
            let count = at_once.min(runs - run) as usize;
            let padded = count.next_multiple_of(LANES);
            self.buffer.clear();
            self.buffer.resize(len * padded, T::default());
            let at = first + run * len as u64;
            let values = self.source.read(at..at + (count * len) as u64, self.scratch)?;
            let block = elements::<T>(self.source, &values, count * len)?;
            // Turned over in squares, so that both sides stay in the nearest cache.
            for group in (0..count).step_by(LANES) {
                let lanes = LANES.min(count - group);
                for part in (0..len).step_by(LANES) {
                    for lane in group..group + lanes {
                        let run = &block[lane * len..][..len];
                        for (i, value) in run.iter().enumerate().skip(part).take(LANES) {
                            self.buffer[i * padded + lane] = *value;
                        }
                    }
                }
            }
            let block = Block { elements: self.buffer.as_slice(), width: padded };
            let cells = &mut self.cells[cell + run as usize..][..count];
            for (number, cells) in cells.chunks_mut(LANES).enumerate() {
                T::add(&mut group, block, number * LANES, cells, &self.setting);
                <T as Cellular>::finish(&mut group, cells, &self.setting);
            }
        }
        Ok(())
    }

    /// Takes in so many elements of one cell that they are worth the way of whole arrays.
    fn long_run(&mut self, first: u64, len: u64, cell: usize) -> Result<(), JobError> {
        const BLOCK: u64 = 1 << 15;
        let Setting { isa, layout, missing } = self.setting;
        let mut moments = Moments::empty(&layout);
        let mut gathering = Gathering::<T>::new(isa, missing, &mut moments);
        let mut start = first;
        while start < first + len {
            let end = (first + len).min(start + BLOCK);
            let values = self.source.read(start..end, self.scratch)?;
            gathering.add(elements::<T>(self.source, &values, (end - start) as usize)?);
            start = end;
        }
        gathering.finish();
        self.cells[cell].add_moments(&moments, &layout);
        Ok(())
    }
}

fn add<T: Cellular>(elements: &[T], width: usize, groups: &mut [T::Group], cells: &mut [Cell], setting: &Setting) {
    let block = Block { elements, width };
    for (number, (group, cells)) in groups.iter_mut().zip(cells.chunks_mut(LANES)).enumerate() {
        T::add(group, block, number * LANES, cells, setting);
    }
}

fn finish<T: Cellular>(groups: &mut [T::Group], cells: &mut [Cell], setting: &Setting) {
    for (group, cells) in groups.iter_mut().zip(cells.chunks_mut(LANES)) {
        <T as Cellular>::finish(group, cells, setting);
    }
}

/// The elements that a reader gave, where they are those that were asked for.
fn elements<'a, T: Cellular>(source: &dyn Source, values: &Values<'a>, count: usize) -> Result<&'a [T], JobError> {
    T::unwrap(values).filter(|block| block.len() == count).ok_or_else(|| {
        let (name, dtype, found) = (source.name(), T::DTYPE, values.dtype());
        let message =
            format!("{name}: asked for {count} elements of {dtype}, its reader gave {} of {found}", values.len());
        JobError::new(Cause::Io, message)
    })
}
