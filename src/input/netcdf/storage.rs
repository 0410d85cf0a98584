//! How the elements of a variable lie in its file, and how their bytes are read by range.

use std::ops::Range;
use std::sync::Arc;

use crate::input::bytes::Bytes;
use crate::input::netcdf::decoded::{DECODED, limit_bytes};
use crate::input::netcdf::filters::{self, Filter};
use crate::input::netcdf::grid::{Grid, Run};
use crate::input::netcdf::in_file::Encoding;
use crate::input::version::fresh_identity;
use crate::job::JobError;

/// A variable, as it is stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) encoding: Encoding,
    pub(super) shape: Vec<u64>,
    /// The names of its dimensions, where all of them are known.
    pub(super) dimensions: Option<Vec<String>>,
    pub(super) storage: Storage,
    /// The bytes of an element where nothing was written.
    pub(super) unwritten: Vec<u8>,
}

/// Where the elements lie.
#[derive(Debug)]
pub(super) enum Storage {
    /// In runs of `per_run` elements; the first begins at byte `first`, each other one `stride` bytes after the one before.
    Runs { first: u64, per_run: u64, stride: u64 },
    /// In chunks.
    Chunks(Chunks),
    /// Here.
    Here(Vec<u8>),
    /// Nowhere: none was written.
    Nowhere,
}

/// The product of the axes; `None` where it cannot be counted.
pub(super) fn element_count(shape: &[u64]) -> Option<u64> {
    // An axis of length 0 empties the array, however long the others are.
    if shape.contains(&0) { Some(0) } else { shape.iter().try_fold(1_u64, |count, axis| count.checked_mul(*axis)) }
}

/// The order in which elements are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// That of the array, its last axis running fastest.
    OfArray,
    /// That in which they are stored.
    AsStored,
}

impl Storage {
    /// Gives the bytes of the elements `range` piece by piece to `visit`, in this order. `name` stands for the file and
    /// `variable` for the variable in messages.
    pub(super) fn read(
        &self,
        bytes: &Bytes,
        range: Range<u64>,
        order: Order,
        unwritten: &[u8],
        place: Place<'_>,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(), JobError> {
        let size = unwritten.len() as u64;
        match self {
            Self::Nowhere => {
                fill(unwritten, range.end - range.start, visit);
                Ok(())
            }
            Self::Here(all) => {
                visit(&all[(range.start * size) as usize..(range.end * size) as usize]);
                Ok(())
            }
            Self::Runs { first, per_run, stride } => {
                let mut at = range.start;
                while at < range.end {
                    let (run, inside) = (at / per_run, at % per_run);
                    let len = (per_run - inside).min(range.end - at);
                    let start = first + run * stride + inside * size;
                    pieces(bytes, start, len * size, place.file, visit)?;
                    at += len;
                }
                Ok(())
            }
            Self::Chunks(chunks) => chunks.read(bytes, range, order, unwritten, place, visit),
        }
    }
}

/// What messages call a variable and its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) variable: &'a str,
}

/// So many elements that were not written.
fn fill(unwritten: &[u8], count: u64, visit: &mut dyn FnMut(&[u8])) {
    const BLOCK: u64 = 1024;
    let block = unwritten.repeat(count.min(BLOCK) as usize);
    let mut left = count;
    while left > 0 {
        let len = left.min(BLOCK);
        visit(&block[..len as usize * unwritten.len()]);
        left -= len;
    }
}

/// Bytes of the file: where they lie in memory at once, else in pieces that hold whole elements.
fn pieces(bytes: &Bytes, start: u64, len: u64, name: &str, visit: &mut dyn FnMut(&[u8])) -> Result<(), JobError> {
    const PIECE_BYTES: u64 = 1 << 16;
    if let Some(all) = bytes.in_memory() {
        visit(&all[start as usize..(start + len) as usize]);
        return Ok(());
    }
    let mut piece = vec![0; len.min(PIECE_BYTES) as usize];
    let mut done = 0;
    while done < len {
        let piece = &mut piece[..(len - done).min(PIECE_BYTES) as usize];
        bytes.read_at(start + done, piece, name)?;
        visit(piece);
        done += piece.len() as u64;
    }
    Ok(())
}

/// Elements that lie in chunks.
#[derive(Debug)]
pub(super) struct Chunks {
    /// By which decoded chunks are remembered.
    identity: u64,
    grid: Grid,
    /// The bytes of a chunk.
    chunk_bytes: usize,
    filters: Vec<Filter>,
    /// What was written, in the order of the places.
    written: Vec<Written>,
}

/// A chunk that was written: its place in the grid, and where it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) place: u64,
    pub(super) address: u64,
    pub(super) stored_bytes: u64,
    /// The filters that were not applied.
    pub(super) mask: u32,
}

impl Chunks {
    /// Chunks of `chunk_bytes` bytes.
    ///
    /// # Errors
    /// What is wrong with them: one that lies outside the file of `file_bytes` bytes, or one place that has two.
    pub(super) fn new(
        grid: Grid,
        chunk_bytes: usize,
        filters: Vec<Filter>,
        mut written: Vec<Written>,
        file_bytes: u64,
    ) -> Result<Self, String> {
        written.sort_unstable_by_key(|chunk| chunk.place);
        for chunk in &written {
            if chunk.address.checked_add(chunk.stored_bytes).is_none_or(|end| end > file_bytes) {
                return Err(format!(
                    "a chunk of it lies at byte {} with {} bytes, beyond the end of the file at {file_bytes}: the file \
                     was cut short or is damaged",
                    chunk.address, chunk.stored_bytes
                ));
            }
        }
        if written.windows(2).any(|pair| pair[0].place == pair[1].place) {
            return Err("two of its chunks have the same place: the file is damaged".to_owned());
        }
        Ok(Self { identity: fresh_identity(), grid, chunk_bytes, filters, written })
    }

    /// Whether every chunk was written.
    pub(super) fn is_written(&self) -> bool {
        self.grid.chunks() == self.written.len() as u64
    }

    /// Whether there is something to decode.
    pub(super) fn is_filtered(&self) -> bool {
        !self.filters.is_empty()
    }

    fn read(
        &self,
        bytes: &Bytes,
        range: Range<u64>,
        order: Order,
        unwritten: &[u8],
        place: Place<'_>,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(), JobError> {
        let size = unwritten.len();
        let mut failed = None;
        // The chunks that were used last: rows of an array come back to the same ones.
        let mut held: Vec<(u64, Held<'_>)> = Vec::new();
        let mut take = |run: Run| {
            let index = match held.iter().position(|(chunk, _)| *chunk == run.chunk) {
                Some(index) => index,
                None => {
                    const HELD_MAX: usize = 16;
                    match self.chunk(bytes, run.chunk, order, place) {
                        Ok(chunk) => {
                            if held.len() == HELD_MAX {
                                held.remove(0);
                            }
                            held.push((run.chunk, chunk));
                            held.len() - 1
                        }
                        Err(error) => {
                            failed = Some(error);
                            return false;
                        }
                    }
                }
            };
            let part = run.first as usize * size..(run.first + run.len) as usize * size;
            match &held[index].1 {
                Held::Unwritten => fill(unwritten, run.len, visit),
                Held::InFile(chunk) => visit(&chunk[part]),
                Held::Decoded(chunk) => visit(&chunk[part]),
            }
            true
        };
        match order {
            Order::OfArray => self.grid.runs_in_order(range, &mut take),
            Order::AsStored => self.grid.runs_as_stored(range, &mut take),
        }
        failed.map_or(Ok(()), Err)
    }

    fn chunk<'b>(&self, bytes: &'b Bytes, chunk: u64, order: Order, place: Place<'_>) -> Result<Held<'b>, JobError> {
        let Ok(index) = self.written.binary_search_by_key(&chunk, |written| written.place) else {
            return Ok(Held::Unwritten);
        };
        let Written { address, stored_bytes, mask, .. } = self.written[index];
        let stored = address as usize..(address + stored_bytes) as usize;
        if self.filters.is_empty()
            && stored.len() == self.chunk_bytes
            && let Some(all) = bytes.in_memory()
        {
            return Ok(Held::InFile(&all[stored]));
        }
        let decode = || {
            let read;
            let stored = match bytes.in_memory() {
                Some(all) => &all[stored],
                None => {
                    let mut room = vec![0; stored.len()];
                    bytes.read_at(address, &mut room, place.file)?;
                    read = room;
                    &read
                }
            };
            filters::decode(stored, &self.filters, mask, self.chunk_bytes).map_err(|what| {
                let Place { file, variable } = place;
                JobError::bad_input(format!("{file}: variable `{variable}`: the chunk at byte {address} {what}"))
            })
        };
        let chunk_bytes = self.chunk_bytes as u64;
        let band = if order == Order::OfArray { self.grid.band() } else { 1 };
        let limit_bytes = limit_bytes(chunk_bytes, band);
        let key = (self.identity, chunk);
        Ok(Held::Decoded(DECODED.get_or_decode(key, chunk_bytes, limit_bytes, decode)?))
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        DECODED.forget(self.identity);
    }
}

/// A chunk that is being read.
enum Held<'b> {
    Unwritten,
    InFile(&'b [u8]),
    Decoded(Arc<Vec<u8>>),
}
