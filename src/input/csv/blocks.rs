//! Blocks of whole rows, decoded on several threads at once: each is cut where a row ends, and what comes of it is taken in the
//! order of the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::input::csv::Missing;
use crate::input::csv::records::{Cell, scan};

/// How much text a block has at least: the work on it is to be long beside handing it over.
pub(super) const BLOCK_BYTES: usize = 1 << 20;
/// Blocks that are being decoded or wait for their turn, for each thread.
const BLOCKS_PER_THREAD: usize = 2;

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

type Task = (u64, Vec<u8>, Arc<[usize]>);

/// Threads that decode blocks.
pub(super) struct Decoders {
    tasks: Sender<Task>,
    decoded: Receiver<(u64, Decoded)>,
    /// What came before its turn.
    early: BTreeMap<u64, Decoded>,
    sent: u64,
    taken: u64,
    most: u64,
}

impl Decoders {
    /// So many threads, which end when this is dropped.
    pub(super) fn start<'scope, 'env>(
        scope: &'scope std::thread::Scope<'scope, 'env>,
        threads: usize,
        rules: Rules<'env>,
    ) -> Self {
        let most = threads * BLOCKS_PER_THREAD;
        let (tasks, of_threads) = bounded::<Task>(most);
        let (results, decoded) = bounded(most);
        for _ in 0..threads {
            let (tasks, results) = (of_threads.clone(), results.clone());
            scope.spawn(move || {
                for (index, text, active) in tasks {
                    if results.send((index, decode(&text, &active, rules))).is_err() {
                        break;
                    }
                }
            });
        }
        Self { tasks, decoded, early: BTreeMap::new(), sent: 0, taken: 0, most: most as u64 }
    }

    /// Whether another block may be sent before one is taken.
    pub(super) fn has_room(&self) -> bool {
        self.sent - self.taken < self.most
    }

    /// Gives a block to whichever thread is free.
    pub(super) fn send(&mut self, text: Vec<u8>, active: &Arc<[usize]>) {
        // The threads take tasks for as long as this is there.
        let _ = self.tasks.send((self.sent, text, Arc::clone(active)));
        self.sent += 1;
    }

    /// The next block in the order of the file; `None` where all have been taken.
    pub(super) fn take(&mut self) -> Option<Decoded> {
        while self.taken < self.sent {
            if let Some(next) = self.early.remove(&self.taken) {
                self.taken += 1;
                return Some(next);
            }
            let (index, decoded) = self.decoded.recv().ok()?;
            self.early.insert(index, decoded);
        }
        None
    }
}
