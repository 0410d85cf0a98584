//! Columns of eight-byte elements that are written one row after the other and read afterwards: in memory while they are
//! small, in one temporary file without a name beyond that, however many columns there are.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use crate::input::bytes::{Bytes, spool_error, temporary_file};
use crate::input::elements::{Elements, Extent};
use crate::input::{DType, Source};
use crate::job::JobError;

/// Columns in the making. Elements are given as their bits.
pub(crate) struct Spool<'n> {
    name: &'n str,
    limit_bytes: usize,
    columns: Vec<Column>,
    /// Elements in memory, over all columns.
    held: usize,
    file: Option<File>,
    file_bytes: u64,
}

#[derive(Default)]
struct Column {
    held: Vec<u64>,
    /// Elements in the file.
    written: u64,
    extents: Vec<Extent>,
}

impl<'n> Spool<'n> {
    /// `columns` empty columns, decoded from the input `name`, of which `limit_bytes` stay in memory together.
    pub(crate) fn new(name: &'n str, columns: usize, limit_bytes: usize) -> Self {
        let columns = std::iter::repeat_with(Column::default).take(columns).collect();
        Self { name, limit_bytes, columns, held: 0, file: None, file_bytes: 0 }
    }

    /// Appends an element to a column.
    #[inline]
    pub(crate) fn push(&mut self, column: usize, bits: u64) {
        self.columns[column].held.push(bits);
        self.held += 1;
    }

    /// Appends elements to a column.
    pub(crate) fn extend(&mut self, column: usize, bits: &[u64]) {
        self.columns[column].held.extend_from_slice(bits);
        self.held += bits.len();
    }

    /// How many elements a column has.
    pub(crate) fn len(&self, column: usize) -> u64 {
        self.columns[column].written + self.columns[column].held.len() as u64
    }

    /// Forgets what a column has so far.
    pub(crate) fn clear(&mut self, column: usize) {
        self.held -= self.columns[column].held.len();
        self.columns[column] = Column::default();
    }

    /// Keeps memory within its limit; to be called after every row or so.
    #[inline]
    pub(crate) fn settle(&mut self) -> Result<(), JobError> {
        if self.held * 8 >= self.limit_bytes { self.spill() } else { Ok(()) }
    }

    /// Moves every element in memory to the file.
    fn spill(&mut self) -> Result<(), JobError> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(temporary_file(self.name)?),
        };
        for column in &mut self.columns {
            if column.held.is_empty() {
                continue;
            }
            let bytes: &[u8] = bytemuck::cast_slice(&column.held);
            file.write_all(bytes).map_err(|error| spool_error(self.name, &error))?;
            let goes_on = column
                .extents
                .last()
                .is_some_and(|last| last.offset + (column.written - last.first) * 8 == self.file_bytes);
            if !goes_on {
                column.extents.push(Extent { first: column.written, offset: self.file_bytes });
            }
            self.file_bytes += bytes.len() as u64;
            column.written += column.held.len() as u64;
            column.held.clear();
        }
        self.held = 0;
        Ok(())
    }

    /// The columns, as elements of the eight-byte type `dtype`, and how many bytes of memory or disk they take.
    pub(crate) fn finish(mut self, dtype: DType) -> Result<(Vec<Arc<dyn Source>>, u64), JobError> {
        debug_assert_eq!(dtype.size_bytes(), 8, "columns are spooled in words of eight bytes");
        if self.file.is_some() {
            self.spill()?;
        }
        let Some(file) = self.file.take() else {
            let decoded_bytes = self.held as u64 * 8;
            let sources = self.columns.into_iter().map(|column| in_memory(self.name, column.held, dtype));
            return Ok((sources.collect(), decoded_bytes));
        };
        let bytes = Arc::new(Bytes::of_file(file, self.name)?);
        let source = |column: Column| -> Arc<dyn Source> {
            Arc::new(Elements::runs(self.name, Arc::clone(&bytes), column.extents, dtype, column.written))
        };
        Ok((self.columns.into_iter().map(source).collect(), self.file_bytes))
    }
}

fn in_memory(name: &str, words: Vec<u64>, dtype: DType) -> Arc<dyn Source> {
    let len = words.len();
    let bytes = Arc::new(Bytes::Memory { words, len: len * 8 });
    Arc::new(Elements::runs(name, bytes, vec![Extent { first: 0, offset: 0 }], dtype, len as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Element, Scratch};

    /// Rows of three columns, of which the second lacks every third element and the third is cleared on the way.
    fn spool_rows(rows: u64, limit_bytes: usize) -> (Vec<Arc<dyn Source>>, u64) {
        let mut spool = Spool::new("t", 3, limit_bytes);
        for row in 0..rows {
            spool.push(0, row);
            if row % 3 != 0 {
                spool.push(1, 1000 + row);
            }
            spool.push(2, row);
            if row == rows / 2 {
                spool.clear(2);
            }
            spool.settle().unwrap();
        }
        spool.finish(DType::U64).unwrap()
    }

    #[test]
    fn columns_read_the_same_from_memory_and_from_the_file_over_any_range() {
        let rows = 100;
        let expected: [Vec<u64>; 3] = [
            (0..rows).collect(),
            (0..rows).filter(|row| row % 3 != 0).map(|row| 1000 + row).collect(),
            (rows / 2 + 1..rows).collect(),
        ];
        for limit_bytes in [8, 40, 333, 1 << 20] {
            let (sources, decoded_bytes) = spool_rows(rows, limit_bytes);
            let least = 8 * expected.iter().map(Vec::len).sum::<usize>() as u64;
            assert!((least..=least + 8 * rows).contains(&decoded_bytes), "{decoded_bytes} bytes of {least}");
            let mut scratch = Scratch::default();
            for (source, expected) in sources.iter().zip(&expected) {
                assert_eq!(source.len(), expected.len() as u64);
                for start in (0..=expected.len()).step_by(7) {
                    for end in start..=expected.len() {
                        let read = source.read(start as u64..end as u64, &mut scratch).unwrap();
                        assert_eq!(
                            u64::unwrap(&read),
                            Some(&expected[start..end]),
                            "limit {limit_bytes} {start}..{end}"
                        );
                    }
                }
                source.check().unwrap();
            }
        }
    }

    #[test]
    fn a_single_column_in_a_file_is_read_where_it_lies() {
        let mut spool = Spool::new("t", 1, 64);
        for value in 0..1000 {
            spool.push(0, value);
            spool.settle().unwrap();
        }
        let (sources, _) = spool.finish(DType::U64).unwrap();
        let (mut one, mut other) = (Scratch::default(), Scratch::default());
        let first = sources[0].read(0..1000, &mut one).unwrap().bytes().as_ptr();
        let second = sources[0].read(0..1000, &mut other).unwrap().bytes().as_ptr();
        assert_eq!(first, second, "both borrow the mapping");
    }
}
