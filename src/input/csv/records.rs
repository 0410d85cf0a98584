//! The records of a CSV stream (RFC 4180): cells between commas, in double quotes where need be. Lines may end as on any
//! system; a quote inside a cell that does not begin with one is a character like any other.

use std::borrow::Cow;

use crate::input::window::Window;
use crate::job::JobError;

/// A record longer than this is a quote that was never closed, or no CSV at all.
const RECORD_BYTES_MAX: usize = 16 << 20;

/// Likewise a record of more cells.
const CELLS_MAX: usize = 1 << 16;

/// The records of a stream, one at a time.
pub(super) struct Records<'s> {
    name: &'s str,
    window: Window<'s>,
    cells: Vec<Cell>,
    scanned: Scanned,
    /// The line on which the record begins, from 1.
    line: u64,
}

/// Where a cell lies in the window, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    start: u32,
    end: u32,
    is_quoted: bool,
    /// Whether it has quotes in it, which are written twice.
    is_doubled: bool,
}

impl Cell {
    /// Whether these are the cells of a blank line, which is no record.
    pub(super) fn are_blank(cells: &[Self]) -> bool {
        matches!(cells, [only] if only.start == only.end && !only.is_quoted)
    }

    /// Its text in the record that it was found in, as it stands there.
    #[inline]
    pub(super) fn of(self, record: &[u8]) -> &[u8] {
        &record[self.start as usize..self.end as usize]
    }
}

/// The extent of a record, its end of line included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    pub bytes: usize,
    pub lines: u64,
}

/// Why a record cannot be read, and how many lines into it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub line: u64,
    pub what: &'static str,
}

impl<'s> Records<'s> {
    pub(super) fn new(name: &'s str, window: Window<'s>) -> Self {
        Self { name, window, cells: Vec::new(), scanned: Scanned::default(), line: 1 }
    }

    /// Goes on to the next record, the first one at first; false where there is none. Blank lines are no records.
    pub(super) fn advance(&mut self) -> Result<bool, JobError> {
        loop {
            self.window.consume(self.scanned.bytes);
            self.line += self.scanned.lines;
            self.scanned = Scanned::default();
            self.cells.clear();
            if !self.scan_one()? {
                return Ok(false);
            }
            if !Cell::are_blank(&self.cells) {
                return Ok(true);
            }
        }
    }

    /// Goes on to whole rows from the next one on, at least `least_bytes` of them and without a quote in any; `None` where there are none
    /// such, or not so many. [`take_rows`](Self::take_rows) passes over them.
    pub(super) fn rows(&mut self, least_bytes: usize) -> Result<Option<&[u8]>, JobError> {
        self.window.consume(self.scanned.bytes);
        self.line += self.scanned.lines;
        self.scanned = Scanned::default();
        while self.window.bytes().len() < least_bytes && !self.window.is_last() {
            self.window.widen()?;
        }
        let in_view = self.window.bytes();
        if in_view.len() < least_bytes {
            return Ok(None);
        }
        let Some(end) = memchr::memrchr(b'\n', in_view) else { return Ok(None) };
        let rows = &in_view[..=end];
        if memchr::memchr(b'"', rows).is_some() {
            return Ok(None);
        }
        Ok(Some(rows))
    }

    /// Passes over so many bytes of whole rows. They count as passed once [`passed`](Self::passed) has told how many lines they were.
    pub(super) fn take_rows(&mut self, bytes: usize) {
        self.window.consume(bytes);
    }

    /// How many bytes it is long.
    pub(super) fn bytes(&self) -> usize {
        self.scanned.bytes
    }

    /// So many lines were taken and read elsewhere.
    pub(super) fn passed(&mut self, lines: u64) {
        self.line += lines;
    }

    /// What is wrong so many lines after the current one.
    pub(super) fn fault_after(&self, lines: u64, what: &str) -> JobError {
        self.fault(lines, what)
    }

    fn scan_one(&mut self) -> Result<bool, JobError> {
        loop {
            let in_view = self.window.bytes();
            if in_view.is_empty() && self.window.is_last() {
                return Ok(false);
            }
            match scan(in_view, self.window.is_last(), &mut self.cells) {
                Ok(Some(scanned)) => {
                    self.scanned = scanned;
                    return Ok(true);
                }
                Ok(None) => {}
                Err(fault) => return Err(self.fault(fault.line, fault.what)),
            }
            let seen = in_view.len();
            if seen > RECORD_BYTES_MAX {
                return Err(self.fault(0, "begins a row of more than 16 MiB: is a closing quote missing?"));
            }
            // Twice as much before the next try, so that all tries together cost no more than a few.
            while self.window.bytes().len() < 2 * seen.max(1) && !self.window.is_last() {
                self.window.widen()?;
            }
        }
    }

    fn fault(&self, lines_in: u64, what: &str) -> JobError {
        JobError::bad_input(format!("{}: line {} {what}", self.name, self.line + lines_in))
    }

    /// The line on which this record begins, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// How many cells it has.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// A cell's text, with its quotes undone.
    #[inline]
    pub(super) fn text(&self, index: usize) -> Cow<'_, [u8]> {
        let cell = self.cells[index];
        let text = cell.of(self.window.bytes());
        if !cell.is_doubled {
            return Cow::Borrowed(text);
        }
        let mut undone = Vec::with_capacity(text.len());
        let mut was_quote = false;
        for &byte in text {
            was_quote = byte == b'"' && !was_quote;
            if byte != b'"' || was_quote {
                undone.push(byte);
            }
        }
        Cow::Owned(undone)
    }
}

/// Finds the cells of the record at the start of `bytes`; `None` where it may go on past them.
pub(super) fn scan(bytes: &[u8], is_last: bool, cells: &mut Vec<Cell>) -> Result<Option<Scanned>, Fault> {
    cells.clear();
    let mut at = 0;
    let mut lines = 0;
    loop {
        if cells.len() == CELLS_MAX {
            return Err(Fault { line: lines, what: "has more than 65536 cells: is it CSV?" });
        }
        let cell = if bytes.get(at) == Some(&b'"') {
            let Some((cell, inner_lines)) = quoted_cell(bytes, at + 1, is_last, lines)? else { return Ok(None) };
            lines += inner_lines;
            at = cell.end as usize + 1;
            cell
        } else {
            let len = bytes[at..].iter().position(|&byte| matches!(byte, b',' | b'\n' | b'\r'));
            let start = at;
            at = match len {
                Some(len) => at + len,
                None if is_last => bytes.len(),
                None => return Ok(None),
            };
            Cell { start: start as u32, end: at as u32, is_quoted: false, is_doubled: false }
        };
        cells.push(cell);
        let end = match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b','), _) => {
                at += 1;
                continue;
            }
            (None, _) => at,
            (Some(b'\n'), _) => at + 1,
            (Some(b'\r'), Some(b'\n')) => at + 2,
            (Some(b'\r'), None) if !is_last => return Ok(None),
            (Some(b'\r'), _) => at + 1,
            (Some(_), _) => {
                return Err(Fault { line: lines, what: "has text after a closing quote: double the quotes in a cell" });
            }
        };
        return Ok(Some(Scanned { bytes: end, lines: lines + 1 }));
    }
}

/// The quoted cell whose text begins at `start`, and how many lines end in it; `None` where it may go on.
fn quoted_cell(bytes: &[u8], start: usize, is_last: bool, line: u64) -> Result<Option<(Cell, u64)>, Fault> {
    let mut is_doubled = false;
    let mut from = start;
    loop {
        let Some(len) = memchr::memchr(b'"', &bytes[from..]) else {
            let endless = Fault { line, what: "has a quoted cell that never ends: close its quote" };
            return if is_last { Err(endless) } else { Ok(None) };
        };
        let quote = from + len;
        match bytes.get(quote + 1) {
            Some(b'"') => {
                is_doubled = true;
                from = quote + 2;
            }
            None if !is_last => return Ok(None),
            _ => {
                let lines = memchr::memchr_iter(b'\n', &bytes[start..quote]).count() as u64;
                let cell = Cell { start: start as u32, end: quote as u32, is_quoted: true, is_doubled };
                return Ok(Some((cell, lines)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::window::tests::Dribble;

    /// Every record as its line and its cells.
    fn records(text: &[u8], step: usize) -> Result<Vec<(u64, Vec<String>)>, JobError> {
        let mut stream = Dribble(text, step);
        let mut records = Records::new("t.csv", Window::new("t.csv", &mut stream));
        let mut all = Vec::new();
        while records.advance()? {
            let cells = (0..records.len()).map(|cell| String::from_utf8_lossy(&records.text(cell)).into_owned());
            all.push((records.line(), cells.collect()));
        }
        Ok(all)
    }

    #[track_caller]
    fn check(text: &[u8], expected: &[(u64, &[&str])]) {
        let expected: Vec<(u64, Vec<String>)> =
            expected.iter().map(|(line, cells)| (*line, cells.iter().map(ToString::to_string).collect())).collect();
        for step in [1, 2, 3, 1000] {
            assert_eq!(records(text, step).unwrap(), expected, "step {step}");
        }
    }

    #[test]
    fn cells_are_split_at_commas_and_line_ends_of_any_system() {
        check(b"a,b\n1,2\n", &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check(b"a,b\r\n1,2", &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check(b"a,b\r1,2\r", &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check(b"a,\n,\n", &[(1, &["a", ""]), (2, &["", ""])]);
        check(b"a,", &[(1, &["a", ""])]);
        check(b"", &[]);
    }

    #[test]
    fn quotes_keep_commas_line_ends_and_quotes() {
        check(b"\"a,b\",\"c\r\nd\"\n1,\"2\"", &[(1, &["a,b", "c\r\nd"]), (3, &["1", "2"])]);
        check(b"\"say \"\"hi\"\"\",\"\"\n\"\"\"\"", &[(1, &["say \"hi\"", ""]), (2, &["\""])]);
        check(b"5\" pipe,a\"b\"\n", &[(1, &["5\" pipe", "a\"b\""])]);
    }

    #[test]
    fn blank_lines_are_no_records_but_count_and_an_empty_quoted_cell_is_one() {
        check(b"\n\na\n\r\n\"\"\n\n", &[(3, &["a"]), (5, &[""])]);
    }

    #[test]
    fn what_is_no_csv_is_refused_with_its_line() {
        let wide = [b"a\n".as_slice(), &b",".repeat(CELLS_MAX)].concat();
        let cases: [(&[u8], &str); 4] = [
            (b"a\n\"b\nc\n", "t.csv: line 2 has a quoted cell that never ends"),
            (b"a,\"x\ny\"z\n", "t.csv: line 2 has text after a closing quote"),
            (b"\"", "t.csv: line 1 has a quoted cell that never ends"),
            (&wide, "t.csv: line 2 has more than 65536 cells"),
        ];
        for (text, expected) in cases {
            let message = records(text, 4096).unwrap_err().message;
            assert!(message.starts_with(expected), "{message}");
        }
        let endless = [b"a\n\"".as_slice(), &vec![b'x'; 2 * RECORD_BYTES_MAX]].concat();
        let message = records(&endless, 1 << 16).unwrap_err().message;
        assert!(message.starts_with("t.csv: line 2 begins a row of more than 16 MiB"), "{message}");
    }
}
