//! Counting the values of each bin, on the CPU.
//!
//! The cells of a span of elements are worked out first, in vectors, then counted. An element adds to one of several tables,
//! by its place in the span, since a count that was stored just before cannot be loaded again at once.

mod scale;

use crate::kernels::Isa;
use crate::kernels::on_isa::on_isa;
use crate::kernels::stats::Bins;
use crate::kernels::stats::number::Number;

pub(super) use scale::Scale;

/// Elements a span.
const SPAN: usize = 512;
/// Tables that are counted in, where their cells are few enough to stay in a core's nearest caches.
const TABLES: usize = 4;
const TABLES_CELLS_MAX: usize = 4096;
/// Elements that are counted between two flushes at most: what a table's counts hold.
const FLUSH: usize = 1 << 31;
/// Marks a cell that is in doubt.
const DOUBT: u32 = 1 << 31;

/// A histogram over one chunk.
pub(super) struct Binning<'a, T> {
    isa: Isa,
    starts: &'a [u64],
    missing: Option<T>,
    tables: Tables,
    scale: Option<Scale>,
    counts: &'a mut [u64],
}

/// Counts that have not been added to the partial's yet: of each cell, and of what is in none. Those of a cell lie side by
/// side, one a table.
struct Tables {
    several: bool,
    counts: Vec<u32>,
    added: usize,
}

impl<'a, T: Number> Binning<'a, T> {
    /// The histogram of a chunk of `len` elements.
    pub(super) fn new(isa: Isa, bins: &'a Bins, missing: Option<(u64, u64)>, len: u64, counts: &'a mut [u64]) -> Self {
        // One for what is below the first start, and one for what is in no cell.
        let cells = bins.starts.len() + 2;
        let several = cells <= TABLES_CELLS_MAX && len >= (TABLES * cells) as u64;
        let counts_len = if several { cells * TABLES } else { cells };
        let tables = Tables { several, counts: vec![0; counts_len], added: 0 };
        Self {
            isa: isa.min(Isa::detect()),
            starts: &bins.starts,
            // Both zeros equal each other, so one element stands for all that count as missing.
            missing: missing.map(|(key, _)| T::from_key(key)),
            tables,
            scale: bins.scale,
            counts,
        }
    }

    pub(super) fn add(&mut self, block: &[T]) {
        on_isa!(self.isa, self.add_here(block));
    }

    #[inline(always)]
    fn add_here(&mut self, block: &[T]) {
        let mut cells = [0; SPAN];
        for span in block.chunks(SPAN) {
            let cells = &mut cells[..span.len()];
            match (self.scale, self.missing) {
                (None, _) => self.search(span, cells),
                (Some(scale), None) => self.scaled::<false>(&scale, span[0], span, cells),
                (Some(scale), Some(missing)) => self.scaled::<true>(&scale, missing, span, cells),
            }
            if self.tables.several {
                self.count::<TABLES>(cells);
            } else {
                self.count::<1>(cells);
            }
        }
    }

    /// The number of the cell of what is in none.
    fn nowhere(&self) -> u32 {
        self.starts.len() as u32 + 1
    }

    /// The cell of each element of a span.
    #[inline(always)]
    fn scaled<const MISSING: bool>(&self, scale: &Scale, missing: T, span: &[T], cells: &mut [u32]) {
        let nowhere = self.nowhere();
        let mut all = 0;
        for (value, cell) in span.iter().zip(&mut *cells) {
            let place = scale.place(value.to_f64());
            let found = place.edge + u32::from(place.past);
            let found = if place.doubtful { found | DOUBT } else { found };
            let found = if is_nan(*value) | (MISSING & (*value == missing)) { nowhere } else { found };
            *cell = found;
            all |= found;
        }
        if all & DOUBT != 0 {
            for (value, cell) in span.iter().zip(cells).filter(|(_, cell)| **cell & DOUBT != 0) {
                let edge = scale.place(value.to_f64()).edge;
                *cell = edge + u32::from(self.starts[edge as usize] <= value.key());
            }
        }
    }

    fn search(&self, span: &[T], cells: &mut [u32]) {
        for (value, cell) in span.iter().zip(cells) {
            let key = value.key();
            *cell = if is_nan(*value) || self.missing.is_some_and(|missing| *value == missing) {
                self.nowhere()
            } else {
                self.starts.partition_point(|start| *start <= key) as u32
            };
        }
    }

    #[inline(always)]
    fn count<const TABLES: usize>(&mut self, cells: &[u32]) {
        let Tables { counts, added, .. } = &mut self.tables;
        let steps = cells.chunks_exact(TABLES);
        for (table, cell) in steps.remainder().iter().enumerate() {
            counts[*cell as usize * TABLES + table] += 1;
        }
        for step in steps {
            for table in 0..TABLES {
                counts[step[table] as usize * TABLES + table] += 1;
            }
        }
        *added += cells.len();
        if *added >= FLUSH {
            self.flush();
        }
    }

    /// Moves what was counted to the partial's counts.
    fn flush(&mut self) {
        let tables = if self.tables.several { TABLES } else { 1 };
        let cells = self.tables.counts.chunks_exact(tables).take(self.starts.len() + 1);
        for (into, from) in self.counts.iter_mut().zip(cells) {
            *into += from.iter().map(|count| u64::from(*count)).sum::<u64>();
        }
        self.tables.counts.fill(0);
        self.tables.added = 0;
    }

    pub(super) fn finish(mut self) {
        self.flush();
    }
}

/// Whether it is a NaN: alone among numbers it does not equal itself.
#[inline(always)]
#[allow(clippy::eq_op)]
fn is_nan<T: Number>(value: T) -> bool {
    value != value
}
