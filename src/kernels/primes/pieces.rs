//! Bits placed by range: what chunks of a long answer fold to, and what a whole one is read back from.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::job::JobError;

/// The most bytes of bits that one accumulator keeps in memory before it moves them to a temporary file.
pub(super) const SPOOL_THRESHOLD_BYTES: usize = 64 << 20;

/// The words that a reader holds at a time.
const BLOCK_WORDS: usize = 1 << 13;

/// Words of bits, each at its place in a long sequence of words. Disjoint pieces merge in any order.
///
/// Past 64 MiB the pieces move to an unlinked temporary file, so that an answer of any length needs bounded memory. Merging
/// cannot fail; a disk that is full is told by [`BitPieces::into_set`].
#[derive(Debug, Default)]
pub struct BitPieces {
    pieces: Vec<Piece>,
    bytes_in_memory: usize,
    spool: Option<Arc<Spool>>,
    error: Option<JobError>,
}

#[derive(Debug)]
struct Piece {
    first_word: u64,
    words: Words,
}

#[derive(Debug)]
enum Words {
    One(u64),
    Memory(Vec<u64>),
    Spooled { spool: Arc<Spool>, offset_bytes: u64, len: usize },
}

impl Words {
    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Memory(words) => words.len(),
            Self::Spooled { len, .. } => *len,
        }
    }
}

impl BitPieces {
    /// Places `words` at `first_word` and on.
    pub fn push(&mut self, first_word: u64, words: Vec<u64>) {
        if self.error.is_some() {
            return;
        }
        match words[..] {
            [] => {}
            [word] => self.push_one(first_word, word),
            _ => {
                self.bytes_in_memory += words.len() * 8;
                self.pieces.push(Piece { first_word, words: Words::Memory(words) });
                self.spool_past(SPOOL_THRESHOLD_BYTES);
            }
        }
    }

    /// Places one word.
    pub fn push_one(&mut self, first_word: u64, word: u64) {
        if self.error.is_some() {
            return;
        }
        self.pieces.push(Piece { first_word, words: Words::One(word) });
    }

    /// Takes all pieces of `from`, which hold other words.
    pub fn merge(&mut self, mut from: Self) {
        if let Some(error) = self.error.take().or(from.error.take()) {
            self.fail(error);
            return;
        }
        self.bytes_in_memory += from.bytes_in_memory;
        if self.pieces.is_empty() {
            self.pieces = from.pieces;
        } else {
            self.pieces.append(&mut from.pieces);
        }
        self.spool = self.spool.take().or(from.spool);
        self.spool_past(SPOOL_THRESHOLD_BYTES);
    }

    fn spool_past(&mut self, threshold_bytes: usize) {
        if self.bytes_in_memory <= threshold_bytes {
            return;
        }
        if let Err(error) = self.spool_all() {
            self.fail(JobError::io("temporary file for a long answer", &error));
        }
    }

    /// Keeps nothing but the error from now on: what is lost anyway must not go on filling memory or the disk.
    fn fail(&mut self, error: JobError) {
        *self = Self { error: Some(error), ..Self::default() };
    }

    fn spool_all(&mut self) -> io::Result<()> {
        let spool = match &self.spool {
            Some(spool) => Arc::clone(spool),
            None => Arc::clone(self.spool.insert(Arc::new(Spool::new()?))),
        };
        for piece in &mut self.pieces {
            if let Words::Memory(words) = &piece.words {
                let offset_bytes = spool.append(words)?;
                piece.words = Words::Spooled { spool: Arc::clone(&spool), offset_bytes, len: words.len() };
            }
        }
        self.bytes_in_memory = 0;
        Ok(())
    }

    /// The whole sequence of `len` words, once all pieces are here.
    ///
    /// # Errors
    /// Where pieces could not be kept, since a temporary file could not be written.
    ///
    /// # Panics
    /// Where words are missing or there twice: a fault of the caller.
    pub fn into_set(mut self, len: u64) -> Result<BitSet, JobError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.pieces.sort_unstable_by_key(|piece| piece.first_word);
        let end = self.pieces.iter().fold(0, |end, piece| {
            assert_eq!(piece.first_word, end, "pieces neither overlap nor leave gaps");
            end + piece.words.len() as u64
        });
        assert_eq!(end, len, "pieces cover the whole");
        Ok(BitSet { pieces: self.pieces })
    }
}

/// A long sequence of bits in words, complete; bit `i` of the sequence is bit `i % 64` of word `i / 64`.
#[derive(Debug)]
pub struct BitSet {
    pieces: Vec<Piece>,
}

impl BitSet {
    /// Reads the words from the first to the last, holding a small block at a time.
    pub fn reader(&self) -> BitReader<'_> {
        BitReader { set: self, piece: 0, at: 0, buffer: Vec::new() }
    }
}

/// Reads a [`BitSet`] in order.
#[derive(Debug)]
pub struct BitReader<'a> {
    set: &'a BitSet,
    piece: usize,
    at: usize,
    buffer: Vec<u64>,
}

impl BitReader<'_> {
    /// The next words and the place of the first of them; `None` at the end.
    ///
    /// # Errors
    /// Where the temporary file that holds them cannot be read.
    pub fn next_block(&mut self) -> io::Result<Option<(u64, &[u64])>> {
        let Some(piece) = self.set.pieces.get(self.piece) else { return Ok(None) };
        let from = self.at;
        let to = piece.words.len().min(from + BLOCK_WORDS);
        if to == piece.words.len() {
            self.piece += 1;
            self.at = 0;
        } else {
            self.at = to;
        }
        let words = match &piece.words {
            Words::One(word) => std::slice::from_ref(word),
            Words::Memory(words) => &words[from..to],
            Words::Spooled { spool, offset_bytes, .. } => {
                self.buffer.resize(to - from, 0);
                spool.read(offset_bytes + from as u64 * 8, &mut self.buffer)?;
                &self.buffer
            }
        };
        Ok(Some((piece.first_word + from as u64, words)))
    }
}

/// An unlinked temporary file of words.
#[derive(Debug)]
struct Spool {
    file: Mutex<File>,
}

impl Spool {
    fn new() -> io::Result<Self> {
        Ok(Self { file: Mutex::new(tempfile::tempfile()?) })
    }

    /// Writes `words` at the end; gives where that is.
    fn append(&self, words: &[u64]) -> io::Result<u64> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let offset_bytes = file.seek(SeekFrom::End(0))?;
        file.write_all(bytemuck::cast_slice(words))?;
        Ok(offset_bytes)
    }

    fn read(&self, offset_bytes: u64, words: &mut [u64]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset_bytes))?;
        file.read_exact(bytemuck::cast_slice_mut(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_words(set: &BitSet) -> Vec<u64> {
        let mut words = Vec::new();
        let mut reader = set.reader();
        while let Some((first, block)) = reader.next_block().unwrap() {
            assert_eq!(first, words.len() as u64);
            words.extend_from_slice(block);
        }
        words
    }

    fn word(i: u64) -> u64 {
        i.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 77
    }

    fn piece(range: std::ops::Range<u64>) -> BitPieces {
        let mut pieces = BitPieces::default();
        pieces.push(range.start, range.map(word).collect());
        pieces
    }

    #[test]
    fn pieces_come_back_in_place_whatever_the_order_and_wherever_they_lie() {
        for threshold_bytes in [0, 100_000, usize::MAX] {
            let mut left = piece(40_000..40_001);
            left.merge(piece(3..20_000));
            left.spool_past(threshold_bytes);
            let mut right = piece(20_000..40_000);
            right.spool_past(threshold_bytes);
            right.merge(piece(0..3));
            right.merge(BitPieces::default());
            left.merge(right);
            left.spool_past(threshold_bytes);
            assert_eq!(left.spool.is_some(), threshold_bytes < 1_000_000);
            let set = left.into_set(40_001).unwrap();
            assert_eq!(all_words(&set), (0..40_001).map(word).collect::<Vec<_>>());
        }
    }

    #[test]
    fn none_is_a_whole_of_no_words() {
        assert!(all_words(&BitPieces::default().into_set(0).unwrap()).is_empty());
    }

    #[test]
    #[should_panic(expected = "pieces neither overlap nor leave gaps")]
    fn a_gap_is_no_answer() {
        let mut pieces = piece(0..2);
        pieces.merge(piece(3..4));
        let _ = pieces.into_set(4);
    }

    #[test]
    fn a_full_disk_is_told_at_the_end() {
        let mut pieces = piece(0..2);
        pieces.error = Some(JobError::io("temporary file", &io::Error::other("full")));
        let mut whole = piece(2..3);
        whole.merge(pieces);
        assert!(whole.into_set(3).unwrap_err().message.contains("full"));
    }

    #[test]
    fn after_an_error_nothing_more_is_kept() {
        let mut pieces = piece(0..2);
        pieces.fail(JobError::io("temporary file", &io::Error::other("full")));
        pieces.push(2, vec![1, 2]);
        pieces.push_one(4, 1);
        pieces.merge(piece(5..9));
        let mut whole = piece(9..12);
        whole.merge(pieces);
        whole.push(12, vec![1, 2]);
        assert_eq!((whole.pieces.len(), whole.bytes_in_memory), (0, 0));
        assert!(whole.into_set(14).unwrap_err().message.contains("full"));
    }
}
