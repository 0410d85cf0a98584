//! Outcomes out of the files that they were written to, in the order of the jobs.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::results::journal::{Kept, Source};
use crate::results::line::{HEAD_BYTES, Head, line_number};

/// Where the outcomes of successive jobs lie in the file that is appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub first: u64,
    pub offset: u64,
    pub len: u64,
}

/// Writes the outcomes of a run, both lists in the order of the jobs, out of the file that was appended to and, of those that
/// are kept, the finished file of before.
///
/// # Errors
/// Those of `out`, and of reading.
pub(super) fn write_sorted(
    appended: File,
    finished: Option<File>,
    entries: &[Entry],
    kept: &[Kept],
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut appended = Blocks::new(appended);
    let mut finished = finished.map(Blocks::new);
    let mut kept = kept.iter().peekable();
    for entry in entries {
        while let Some(kept) = kept.next_if(|kept| kept.index < entry.first) {
            write_kept(&mut appended, &mut finished, kept, out)?;
        }
        appended.copy(entry.offset, entry.len, out)?;
    }
    kept.try_for_each(|kept| write_kept(&mut appended, &mut finished, kept, out))
}

/// Writes the line of a kept outcome as it stands, but for the job's place and a name that is the number of its line.
fn write_kept(
    appended: &mut Blocks,
    finished: &mut Option<Blocks>,
    kept: &Kept,
    out: &mut dyn Write,
) -> io::Result<()> {
    let changed =
        || io::Error::new(io::ErrorKind::InvalidData, "the results of the earlier run were changed meanwhile");
    let from = match kept.source() {
        Source::Appended => appended,
        Source::Finished => finished.as_mut().ok_or_else(changed)?,
    };
    let start = from.line_start(kept.offset())?;
    let head = Head::parse(&start).ok_or_else(changed)?;
    write!(out, "{{\"schema\":1,\"index\":{},\"id\":\"", kept.index)?;
    match kept.line_number() {
        Some(line) => {
            write!(out, "#{line}")?;
            out.write_all(line_number(head.id).map_or(&[], |(_, rest)| rest))?;
            out.write_all(b"\"")?;
        }
        None => {
            out.write_all(head.id)?;
            out.write_all(b"\"")?;
        }
    }
    from.copy_line(kept.offset() + head.place_len as u64, out)
}

const BLOCK_BYTES: usize = 16 << 10;
const BLOCKS: usize = 512;

fn shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it has become shorter")
}

/// A file read in blocks, the last of which are kept: what is nearly in order is read nearly once.
struct Blocks {
    file: File,
    kept: Vec<(u64, Vec<u8>)>,
}

impl Blocks {
    fn new(file: File) -> Self {
        Self { file, kept: vec![(u64::MAX, Vec::new()); BLOCKS] }
    }

    fn copy(&mut self, mut offset: u64, mut len: u64, out: &mut dyn Write) -> io::Result<()> {
        while len > 0 {
            let block = offset / BLOCK_BYTES as u64;
            let within = (offset % BLOCK_BYTES as u64) as usize;
            let bytes = self.block(block)?;
            let end = bytes.len().min(within + usize::try_from(len).unwrap_or(usize::MAX - within));
            let piece = bytes.get(within..end).filter(|piece| !piece.is_empty());
            let piece = piece.ok_or_else(shorter)?;
            out.write_all(piece)?;
            (offset, len) = (offset + piece.len() as u64, len - piece.len() as u64);
        }
        Ok(())
    }

    /// The first bytes of the line at this offset, without its end.
    fn line_start(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        while start.len() < HEAD_BYTES {
            let at = offset + start.len() as u64;
            let bytes = self.block(at / BLOCK_BYTES as u64)?;
            let rest = bytes.get((at % BLOCK_BYTES as u64) as usize..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest);
            start.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
            if end.is_some() || rest.is_empty() {
                break;
            }
        }
        Ok(start)
    }

    /// Writes the line from this offset on, its end included.
    fn copy_line(&mut self, mut offset: u64, out: &mut dyn Write) -> io::Result<()> {
        loop {
            let bytes = self.block(offset / BLOCK_BYTES as u64)?;
            let rest = bytes.get((offset % BLOCK_BYTES as u64) as usize..).filter(|rest| !rest.is_empty());
            let rest = rest.ok_or_else(shorter)?;
            if let Some(end) = memchr::memchr(b'\n', rest) {
                return out.write_all(&rest[..=end]);
            }
            out.write_all(rest)?;
            offset += rest.len() as u64;
        }
    }

    fn block(&mut self, number: u64) -> io::Result<&[u8]> {
        let (kept, bytes) = &mut self.kept[(number % BLOCKS as u64) as usize];
        if *kept != number {
            bytes.clear();
            self.file.seek(SeekFrom::Start(number * BLOCK_BYTES as u64))?;
            (&mut self.file).take(BLOCK_BYTES as u64).read_to_end(bytes)?;
            *kept = number;
        }
        Ok(bytes)
    }
}
