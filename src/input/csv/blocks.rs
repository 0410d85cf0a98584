//! Blocks of whole rows, decoded on several threads at once: each is cut where a row ends, and what comes of it is taken in the
//! order of the file.

use std::sync::Arc;

use crate::input::csv::Missing;
use crate::input::csv::records::{Cell, scan};
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
    let mut columns: Vec<(usize, Vec<u64>)> = active.iter().map(|column| (*column, Vec::new())).collect();
    let mut is_dropped = vec![false; active.len()];
    let (mut lines, mut dropped, mut cells) = (0, Vec::new(), Vec::<Cell>::new());
    let mut rest = text;
    let wrong = loop {
        if rest.is_empty() {
            break None;
        }
        let scanned = match scan(rest, true, &mut cells) {
            Ok(Some(scanned)) => scanned,
            Ok(None) => break None,
            Err(fault) => break Some(Wrong::Unreadable { lines: fault.line, what: fault.what }),
        };
        let (row, after) = rest.split_at(scanned.bytes);
        rest = after;
        if cells.len() != rules.width {
            if !Cell::are_blank(&cells) {
                break Some(Wrong::Ragged(cells.len()));
            }
        } else if rules.width > 1 || !Cell::are_blank(&cells) {
            let mut not_number = None;
            for ((column, values), is_dropped) in columns.iter_mut().zip(&mut is_dropped).filter(|(_, is)| !**is) {
                let cell = cells[*column].of(row);
                match rules.missing.value(cell) {
                    Some(value) => values.push(value.to_bits()),
                    None if rules.is_automatic => {
                        *is_dropped = true;
                        dropped.push((*column, lines, cell.to_vec()));
                    }
                    None => {
                        not_number = Some(Wrong::NotNumber { column: *column, cell: cell.to_vec() });
                        break;
                    }
                }
            }
            if not_number.is_some() {
                break not_number;
            }
        }
        lines += scanned.lines;
    };
    let wrong = wrong.map(|wrong| (lines, wrong));
    Decoded { lines, columns, dropped, wrong }
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
