//! Outcome lines as they are read again: where each lies in its file, and whose it is.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::io::{self, BufRead};

use crate::job::JobHash;

/// So much of a line is looked at; what says whose outcome it is stands at its beginning.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// The beginning of an outcome's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub index: u64,
    /// The id as it is written, between its quotes.
    pub id: &'a [u8],
    pub hash: Option<JobHash>,
    pub succeeded: bool,
    /// How many bytes say index and id; what follows them does not depend on the job's place.
    pub place_len: usize,
}

impl<'a> Head<'a> {
    /// What a line says that begins with these bytes; `None` where it is no outcome as [`write_outcome`] writes it.
    ///
    /// [`write_outcome`]: crate::report::write_outcome
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"{\"schema\":1,\"index\":")?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let index = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        let (id, rest) = string(rest[digits..].strip_prefix(b",\"id\":")?)?;
        let place_len = line.len() - rest.len();
        let rest = rest.strip_prefix(b",\"kind\":")?;
        let rest = match rest.strip_prefix(b"null") {
            Some(rest) => rest,
            None => string(rest)?.1,
        };
        let (hash, rest) = match rest.strip_prefix(b",\"hash\":") {
            Some(rest) => {
                let (digits, rest) = string(rest)?;
                (Some(JobHash::from_hex(digits)?), rest)
            }
            None => (None, rest),
        };
        let succeeded = match string(rest.strip_prefix(b",\"status\":")?)?.0 {
            b"succeeded" => true,
            b"failed" => false,
            _ => return None,
        };
        Some(Self { index, id, hash, succeeded, place_len })
    }
}

/// The number of a line that an id begins with, and what follows it: nothing, or which job of the line's matrix it is.
pub(super) fn line_number(id: &[u8]) -> Option<(u64, &[u8])> {
    let id = id.strip_prefix(b"#")?;
    let (digits, rest) = id.split_at(memchr::memchr(b'/', id).unwrap_or(id.len()));
    let all = digits.iter().all(u8::is_ascii_digit) && digits.first().is_some_and(|digit| *digit != b'0');
    Some((all.then(|| std::str::from_utf8(digits).ok()?.parse().ok())??, rest))
}

/// A JSON string at the beginning of these bytes, as it is written, and what follows it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = bytes.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text[at] {
            b'"' => return Some((&text[..at], &text[at + 1..])),
            _ => at += 2,
        }
    }
}

/// A line of a results file.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    pub offset: u64,
    /// Its first bytes, [`HEAD_BYTES`] at most.
    pub head: &'a [u8],
    /// What comes after those.
    tail: DefaultHasher,
    /// Whether it is whole, as far as that can be told without reading what is in it: what a power cut leaves of a file may
    /// hold zero bytes.
    pub is_sound: bool,
}

impl Line<'_> {
    /// Bits that tell lines that differ from this one of their bytes on apart, within this process.
    pub fn check_from(&self, at: usize) -> u32 {
        let mut check = self.tail.clone();
        check.write(&self.head[at..]);
        check.finish() as u32
    }
}

/// Reads the lines of a file, without holding more of it than a line's beginning, and gives how long its whole lines are
/// together: a last one without its end is left out.
///
/// # Errors
/// Those of reading, and of `each`.
pub(super) fn lines(input: &mut dyn BufRead, mut each: impl FnMut(Line<'_>) -> io::Result<()>) -> io::Result<u64> {
    let (mut offset, mut head) = (0, Vec::with_capacity(4096));
    loop {
        head.clear();
        let (mut len, mut last, mut has_zero, mut tail) = (0, 0, false, DefaultHasher::new());
        loop {
            let available = input.fill_buf()?;
            if available.is_empty() {
                return Ok(offset);
            }
            let end = memchr::memchr(b'\n', available);
            let piece = &available[..end.unwrap_or(available.len())];
            let (first, rest) = piece.split_at(piece.len().min(HEAD_BYTES - head.len()));
            head.extend_from_slice(first);
            tail.write(rest);
            last = piece.last().copied().unwrap_or(last);
            has_zero |= memchr::memchr(0, piece).is_some();
            let taken = piece.len() + usize::from(end.is_some());
            input.consume(taken);
            len += taken as u64;
            if end.is_some() {
                break;
            }
        }
        let is_sound = last == b'}' && !has_zero;
        each(Line { offset, head: &head, tail, is_sound })?;
        offset += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Outcome;
    use crate::report::examples::{failed, succeeded};
    use crate::report::{Detail, write_outcome};

    fn written(outcome: &Outcome) -> Vec<u8> {
        let mut line = Vec::new();
        write_outcome(&mut line, outcome, Detail::USUAL).unwrap();
        line
    }

    #[test]
    fn what_is_written_is_read_again() {
        let hash = JobHash::from_hex(b"0123456789abcdef01234567");
        for (id, raw) in [
            ("a", "a"),
            ("", ""),
            ("#7", "#7"),
            ("#7/a=\"", "#7/a=\\\""),
            ("\"\\,\n", r#"\"\\,\n"#),
            ("é,\"kind\":", "é,\\\"kind\\\":"),
        ] {
            for (outcome, ok) in [(succeeded(), true), (failed(), false)] {
                for hash in [hash, None] {
                    let line = written(&Outcome { index: 1 << 60, id: id.into(), hash, ..outcome.clone() });
                    let head = Head::parse(&line).unwrap();
                    assert_eq!((head.index, head.id, head.hash), (1 << 60, raw.as_bytes(), hash));
                    assert_eq!((head.succeeded, line_number(head.id).is_none()), (ok, !id.starts_with("#7")));
                    assert!(line[head.place_len..].starts_with(b",\"kind\":"), "{head:?}");
                }
            }
        }
    }

    #[test]
    fn ids_by_the_number_of_a_line_are_told_from_others() {
        assert_eq!(line_number(b"#12"), Some((12, &b""[..])));
        assert_eq!(line_number(b"#3/x=1/2,y=#4"), Some((3, &b"/x=1/2,y=#4"[..])));
        for own in ["", "#", "#/x", "12", "#0", "#07/x", "#1x", "#1x/y", "a#1/x", "#99999999999999999999"] {
            assert_eq!(line_number(own.as_bytes()), None, "{own}");
        }
    }

    #[test]
    fn no_piece_of_a_line_and_no_other_json_is_taken_for_an_outcome() {
        let line = written(&Outcome { hash: JobHash::from_hex(&[b'0'; 24]), ..succeeded() });
        let status_end = line.windows(11).position(|bytes| bytes == b"\"succeeded\"").unwrap() + 11;
        for end in 0..status_end {
            assert_eq!(Head::parse(&line[..end]), None, "{end}");
        }
        assert!(Head::parse(&line[..status_end]).is_some());
        for other in
            ["", "{}", "[1]", r#"{"id":"a","kind":"primes"}"#, r#"{"schema":1,"index":-1,"id":"a","kind":"x"}"#]
        {
            assert_eq!(Head::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn lines_lie_where_they_are_found_and_a_torn_one_is_left_out() {
        let long = "x".repeat(3 * HEAD_BYTES);
        let text = format!("{{a}}\n\n{{{long}}}\n{{b\0}}\n{{torn}}");
        for size in [1, 7, 4096, 1 << 20] {
            let mut found = Vec::new();
            let whole = lines(&mut io::BufReader::with_capacity(size, text.as_bytes()), |line| {
                found.push((line.offset, line.head.len(), line.is_sound));
                Ok(())
            });
            let long_len = long.len() as u64 + 3;
            let expected = [(0, 3, true), (4, 0, false), (5, HEAD_BYTES, true), (5 + long_len, 4, false)];
            assert_eq!((found, whole.unwrap()), (expected.into(), 10 + long_len));
        }
    }
}
