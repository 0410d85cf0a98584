//! Blocks of whole rows, decoded on several threads at once where there are any: each is cut where a row ends, and what comes of it is
//! taken in the order of the file.

use std::sync::Arc;

use crate::input::csv::Missing;
use crate::input::csv::records::{Cell, scan};
use crate::input::decimal::leading;
use crate::input::decoders;

/// How much text a block has at least: the work on it is to be long beside handing it over.
pub(super) const BLOCK_BYTES: usize = 1 << 20;

/// What every block of a file is read by.
#[derive(Clone, Copy)]
pub(super) struct Rules<'s> {
    pub missing: Missing<'s>,
    /// Cells that every row has.
    pub width: usize,
    /// Whether a column with a cell that is no number is left out, rather than an error.
    pub is_automatic: bool,
}

/// Why a row cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is no row of a CSV; `lines` into it.
    Unreadable { lines: u64, what: &'static str },
    /// It has so many cells.
    Ragged(usize),
    /// A cell of a column that was asked for is no number.
    NotNumber { column: usize, cell: Vec<u8> },
}

/// What came of a block.
pub(super) struct Decoded {
    /// Lines in it.
    pub lines: u64,
    /// The numbers of each column that was to be decoded, as bits, up to the first cell that is none.
    pub columns: Vec<(usize, Vec<u64>)>,
    /// Columns with a cell that is no number, by the line in the block, from 0, and the cell.
    pub dropped: Vec<(usize, u64, Vec<u8>)>,
    /// What ends the file, and on which line of the block.
    pub wrong: Option<(u64, Wrong)>,
}

/// Decodes rows; the text begins and ends with whole ones, and has no quotes.
pub(super) fn decode(text: &[u8], active: &[usize], rules: Rules<'_>) -> Decoded {
    let mut decoding = Decoding::new(text, active, rules);
    let wrong = loop {
        if decoding.at == text.len() {
            break None;
        }
        let of_row = decoding.at;
        if decoding.plain_row() {
            continue;
        }
        decoding.at = of_row;
        match decoding.any_row() {
            Ok(true) => {}
            Ok(false) => break None,
            Err(wrong) => break Some((decoding.lines, wrong)),
        }
    };
    let Decoding { lines, columns, dropped, .. } = decoding;
    Decoded { lines, columns, dropped, wrong }
}

/// Rows under way.
struct Decoding<'t> {
    text: &'t [u8],
    rules: Rules<'t>,
    /// Whether what looks like a number is one, and no word for a missing value.
    numbers_are_numbers: bool,
    at: usize,
    lines: u64,
    columns: Vec<(usize, Vec<u64>)>,
    /// Which of `columns` each cell of a row belongs to, or none: it is not asked for, or dropped.
    targets: Vec<Option<u32>>,
    dropped: Vec<(usize, u64, Vec<u8>)>,
    cells: Vec<Cell>,
}

impl<'t> Decoding<'t> {
    fn new(text: &'t [u8], active: &[usize], rules: Rules<'t>) -> Self {
        // As many rows as there are if all are as long as the first.
        let rows = text.len() / memchr::memchr(b'\n', text).map_or(1, |len| len + 1) + 1;
        let mut targets = vec![None; rules.width];
        for (target, column) in active.iter().enumerate() {
            targets[*column] = Some(target as u32);
        }
        let looks_like_number = |word: &String| matches!(word.trim().as_bytes(), [b'-' | b'.' | b'0'..=b'9', ..]);
        Self {
            text,
            rules,
            numbers_are_numbers: !rules.missing.words.iter().any(looks_like_number),
            at: 0,
            lines: 0,
            columns: active.iter().map(|column| (*column, Vec::with_capacity(rows))).collect(),
            targets,
            dropped: Vec::new(),
            cells: Vec::new(),
        }
    }

    /// Takes a row, cell by cell in one go, where there is nothing unusual about it; else it leaves all as it was, but for its place
    /// in the text, and says so.
    fn plain_row(&mut self) -> bool {
        let mut at = self.at;
        for cell in 0..self.rules.width {
            let target = self.targets[cell];
            let end = match target {
                None => delimiter(self.text, at),
                Some(target) => {
                    let number = self.text[at..].first_chunk().and_then(leading);
                    let number = number.filter(|(_, bytes)| {
                        self.numbers_are_numbers && matches!(self.text[at + bytes], b',' | b'\n' | b'\r')
                    });
                    let (value, end) = match number {
                        Some((value, bytes)) => (value, at + bytes),
                        None => {
                            let end = delimiter(self.text, at);
                            match self.rules.missing.value(&self.text[at..end]) {
                                Some(value) if end > at || self.rules.width > 1 => (value, end),
                                _ => return self.undo(cell),
                            }
                        }
                    };
                    self.columns[target as usize].1.push(value.to_bits());
                    end
                }
            };
            let is_last = cell + 1 == self.rules.width;
            at = match (self.text.get(end), self.text.get(end + 1)) {
                (Some(b','), _) if !is_last => end + 1,
                (Some(b'\n'), _) if is_last && !(cell == 0 && end == at) => end + 1,
                (Some(b'\r'), Some(b'\n')) if is_last && !(cell == 0 && end == at) => end + 2,
                _ => return self.undo(cell + 1),
            };
        }
        self.at = at;
        self.lines += 1;
        true
    }

    /// Takes back what the first `cells` cells of a row have given.
    #[cold]
    fn undo(&mut self, cells: usize) -> bool {
        for target in self.targets[..cells].iter().flatten() {
            self.columns[*target as usize].1.pop();
        }
        false
    }

    /// Takes any row; false where there is none.
    fn any_row(&mut self) -> Result<bool, Wrong> {
        let rest = &self.text[self.at..];
        let scanned = match scan(rest, true, &mut self.cells) {
            Ok(Some(scanned)) => scanned,
            Ok(None) => return Ok(false),
            Err(fault) => return Err(Wrong::Unreadable { lines: fault.line, what: fault.what }),
        };
        let row = &rest[..scanned.bytes];
        let is_blank = Cell::are_blank(&self.cells);
        if self.cells.len() != self.rules.width {
            if !is_blank {
                return Err(Wrong::Ragged(self.cells.len()));
            }
        } else if !is_blank || self.rules.width > 1 {
            for (cell, target) in self.cells.iter().zip(&mut self.targets) {
                let Some(at) = *target else { continue };
                let (column, values) = &mut self.columns[at as usize];
                let cell = cell.of(row);
                match self.rules.missing.value(cell) {
                    Some(value) => values.push(value.to_bits()),
                    None if self.rules.is_automatic => {
                        *target = None;
                        self.dropped.push((*column, self.lines, cell.to_vec()));
                    }
                    None => return Err(Wrong::NotNumber { column: *column, cell: cell.to_vec() }),
                }
            }
        }
        self.at += scanned.bytes;
        self.lines += scanned.lines;
        Ok(true)
    }
}

/// Where the cell that begins at `start` ends: at a comma, or where its line does.
#[inline]
fn delimiter(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(word) = text[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) {
        let found = zero_bytes(word ^ 0x2c2c_2c2c_2c2c_2c2c)
            | zero_bytes(word ^ 0x0a0a_0a0a_0a0a_0a0a)
            | zero_bytes(word ^ 0x0d0d_0d0d_0d0d_0d0d);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let len = text[at..].iter().position(|byte| matches!(byte, b',' | b'\n' | b'\r'));
    len.map_or(text.len(), |len| at + len)
}

/// Marks bytes that are 0 in their top bit; the lowest mark is right, those above it may not be.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080
}

/// A block, and the columns that were still numbers when it was sent.
type Block = (Vec<u8>, Arc<[usize]>);

/// Threads that decode blocks.
pub(super) type Decoders = decoders::Decoders<Block, Decoded>;

/// So many threads, which end when the decoders are dropped.
pub(super) fn start<'scope, 'env>(
    scope: &'scope std::thread::Scope<'scope, 'env>,
    threads: usize,
    rules: Rules<'env>,
) -> Decoders {
    Decoders::start(scope, threads, move |(text, active): Block| decode(&text, &active, rules))
}
