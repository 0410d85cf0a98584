//! Lines of bounded length out of any stream.

use std::io::{self, Read};

/// The longest line of a job file, in bytes, its end not counted.
pub const MAX_LINE_BYTES: usize = 16 << 20;

const FIRST_BUFFER_BYTES: usize = 64 << 10;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Its bytes, without the line end, and on the first line without a byte order mark.
    Text(&'a [u8]),
    /// It was longer than the limit and has been skipped up to its end.
    TooLong,
}

/// Reads lines without copying them and holds one at a time: a line costs memory up to the limit, never more, however
/// long the input says it is.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    limit: usize,
    buffer: Vec<u8>,
    /// What is unread lies in `buffer[start..end]`.
    start: usize,
    end: usize,
    number: u64,
    ended: bool,
}

impl<R: Read> Lines<R> {
    pub fn new(input: R) -> Self {
        Self::with_limit(input, MAX_LINE_BYTES)
    }

    pub fn with_limit(input: R, limit: usize) -> Self {
        Self { input, limit, buffer: vec![0; FIRST_BUFFER_BYTES], start: 0, end: 0, number: 0, ended: false }
    }

    /// The next line and its number, from 1; `None` at the end of the input.
    ///
    /// # Errors
    /// Those of reading.
    pub fn next_line(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        let mut scanned = self.start;
        let mut too_long = false;
        let (from, to, next) = loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[scanned..self.end]) {
                let at = scanned + at;
                break (self.start, at, at + 1);
            }
            if too_long || self.end - self.start > self.limit + 1 {
                // Nothing of this line is wanted but its end.
                too_long = true;
                self.start = self.end;
            }
            scanned = self.end;
            if self.ended {
                if self.start == self.end && !too_long {
                    return Ok(None);
                }
                break (self.start, self.end, self.end);
            }
            scanned -= self.make_room();
            self.fill()?;
        };
        self.start = next;
        self.number += 1;
        let mut text = &self.buffer[from..to];
        text = text.strip_suffix(b"\r").unwrap_or(text);
        if self.number == 1 {
            text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        }
        let line = if too_long || text.len() > self.limit { Line::TooLong } else { Line::Text(text) };
        Ok(Some((self.number, line)))
    }

    /// Moves what is unread to the front, or widens the buffer; gives by how much it moved.
    fn make_room(&mut self) -> usize {
        let moved = self.start;
        if moved > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - moved);
        }
        if self.end == self.buffer.len() {
            let wider = (self.buffer.len() * 2).min(self.limit + FIRST_BUFFER_BYTES).max(self.buffer.len() + 1);
            self.buffer.resize(wider, 0);
        }
        moved
    }

    fn fill(&mut self) -> io::Result<()> {
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `step` bytes at a time, so that every boundary falls everywhere.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn all(bytes: &[u8], step: usize, limit: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::with_limit(Trickle(bytes, step), limit);
        let mut seen = Vec::new();
        while let Some((number, line)) = lines.next_line().unwrap() {
            assert_eq!(number, seen.len() as u64 + 1);
            seen.push(match line {
                Line::Text(text) => Some(text.to_vec()),
                Line::TooLong => None,
            });
        }
        seen
    }

    fn some(lines: &[&str]) -> Vec<Option<Vec<u8>>> {
        lines.iter().map(|line| Some(line.as_bytes().to_vec())).collect()
    }

    #[test]
    fn line_ends_of_both_kinds_and_a_missing_last_one_are_fine() {
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(all(b"a\nbc\r\n\nd", step, 100), some(&["a", "bc", "", "d"]), "step {step}");
            assert_eq!(all(b"a\n", step, 100), some(&["a"]), "step {step}");
            assert_eq!(all(b"", step, 100), some(&[]), "step {step}");
            assert_eq!(all(b"\n\n", step, 100), some(&["", ""]), "step {step}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_dropped_at_the_very_start_only() {
        assert_eq!(all(b"\xEF\xBB\xBFa\n\xEF\xBB\xBFb", 2, 100)[0], Some(b"a".to_vec()));
        assert_eq!(all(b"\xEF\xBB\xBFa\n\xEF\xBB\xBFb", 2, 100)[1], Some(b"\xEF\xBB\xBFb".to_vec()));
    }

    #[test]
    fn an_over_long_line_is_skipped_to_its_end_and_the_next_one_is_whole() {
        let long = "x".repeat(200_000);
        for step in [4096, 70_000, 1 << 20] {
            let text = format!("{long}\nok\n{long}");
            assert_eq!(all(text.as_bytes(), step, 100_000), [None, Some(b"ok".to_vec()), None], "step {step}");
        }
    }

    #[test]
    fn the_limit_is_exact_and_counts_no_line_end() {
        for end in ["", "\n", "\r\n"] {
            assert_eq!(all(format!("{}{end}", "y".repeat(10)).as_bytes(), 3, 10), some(&["yyyyyyyyyy"]));
            assert_eq!(all(format!("{}{end}", "y".repeat(11)).as_bytes(), 3, 10), [None]);
        }
    }

    #[test]
    fn memory_stays_near_the_limit_for_an_endless_line() {
        let mut lines = Lines::with_limit(io::repeat(b'z').take(50_000_000), 1 << 20);
        assert_eq!(lines.next_line().unwrap().unwrap().1, Line::TooLong);
        assert!(lines.buffer.len() <= (1 << 20) + FIRST_BUFFER_BYTES, "{}", lines.buffer.len());
    }
}
