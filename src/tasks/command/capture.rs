//! What a process prints: kept in memory up to a bound, beyond that all of it in a file.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::tasks::command::Output;
use crate::tasks::spill::Spill;

/// What an outcome holds of a stream at most. Longer ones go to a file whole, and the outcome holds their last bytes.
pub(super) const KEPT_BYTES: usize = 64 << 10;

/// What a stream may come to, in memory and on disk together, before its program is ended.
pub(super) const STREAM_BYTES_MAX: u64 = 4 << 30;

/// One stream of a process, as it arrives.
pub(super) struct Capture {
    /// All of it, or its latest bytes where it is longer.
    kept: Vec<u8>,
    len: u64,
    /// Where a long stream is to go, and where it goes.
    spill: Spill,
    file: Option<(File, PathBuf)>,
}

impl Capture {
    /// Nothing yet; a long stream will go to `spill`.
    pub(super) fn new(spill: Spill) -> Self {
        Self { kept: Vec::new(), len: 0, spill, file: None }
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// Where a file for a long stream cannot be written, or the stream is longer than anybody wants.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.len += bytes.len() as u64;
        if self.len > STREAM_BYTES_MAX {
            return Err(io::Error::other(format!("it printed more than {} GiB", STREAM_BYTES_MAX >> 30)));
        }
        if self.file.is_none() && self.kept.len() + bytes.len() > KEPT_BYTES {
            let (mut file, path) = self.spill.create()?;
            file.write_all(&self.kept)?;
            self.file = Some((file, path));
        }
        if let Some((file, _)) = &mut self.file {
            file.write_all(bytes)?;
        }
        self.kept.extend_from_slice(bytes);
        // Twice the bound, so that bytes move seldom.
        if self.kept.len() > 2 * KEPT_BYTES {
            self.kept.drain(..self.kept.len() - KEPT_BYTES);
        }
        Ok(())
    }

    /// Nobody wants it: its file, if it has one, goes.
    pub(super) fn discard(self) {
        if let Some((_, path)) = self.file {
            // One that cannot be removed is in nobody's way.
            let _ = std::fs::remove_file(path);
        }
    }

    /// The whole of it.
    pub(super) fn finish(mut self) -> Output {
        if self.file.is_some() && self.kept.len() > KEPT_BYTES {
            self.kept.drain(..self.kept.len() - KEPT_BYTES);
        }
        let file = self.file.map(|(_, path)| path);
        Output { bytes: self.kept, len: self.len, file }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_stream_stays_in_memory_and_a_long_one_is_whole_in_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let spill = || Spill { folder: Some(folder.path().join("new")), name: "out".to_owned() };
        let path = folder.path().join("new/out");
        let mut short = Capture::new(spill());
        short.push(b"ab").unwrap();
        short.push(b"c").unwrap();
        assert_eq!(short.finish(), Output { bytes: b"abc".to_vec(), len: 3, file: None });
        assert!(!path.exists());

        for piece in [1, 1000, 70_000] {
            let text: Vec<u8> = (0..300_000u32).map(|i| i as u8).collect();
            let mut long = Capture::new(spill());
            text.chunks(piece).for_each(|bytes| long.push(bytes).unwrap());
            let output = long.finish();
            assert_eq!((output.len, output.file.as_deref()), (300_000, Some(path.as_path())));
            assert!(output.bytes == text[text.len() - KEPT_BYTES..], "in pieces of {piece}");
            assert!(std::fs::read(&path).unwrap() == text, "in pieces of {piece}");
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn exactly_the_bound_needs_no_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let spill = Spill { folder: Some(file.path().join("a file is no folder")), name: "out".to_owned() };
        let mut capture = Capture::new(spill);
        capture.push(&vec![b'x'; KEPT_BYTES]).unwrap();
        assert!(capture.push(b"y").is_err(), "there is no room for a file");
    }
}
