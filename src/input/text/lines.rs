//! Lines of a text, each a whole number.

use crate::input::excerpt::excerpt;
use crate::input::text::digits;
use crate::job::parse_integer;

/// Far longer than any number that is read.
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;

/// What came of a block of lines.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    /// The numbers, those below zero as 0.
    pub numbers: Vec<u64>,
    /// Those below zero: the index in `numbers`, and the number.
    pub exceptions: Vec<(u64, i128)>,
    /// Lines that were read, blank ones too, up to one that is wrong.
    pub lines: u64,
    /// What is wrong with the line after those, to be written behind its number.
    pub wrong: Option<String>,
}

impl Decoded {
    fn clear(&mut self) {
        self.numbers.clear();
        self.exceptions.clear();
        self.lines = 0;
        self.wrong = None;
    }
}

/// Decodes lines; `text` begins and ends with whole ones. What was in `decoded` is overwritten.
pub(super) fn decode(text: &[u8], decoded: &mut Decoded) {
    decoded.clear();
    // A line of three digits is usual among the shortest; more room is taken where it is needed.
    decoded.numbers.reserve(text.len() / 4);
    let mut at = 0;
    while at < text.len() {
        at += plain_lines(&text[at..], decoded);
        let rest = &text[at..];
        if rest.is_empty() {
            break;
        }
        let (len, end_len) = match memchr::memchr(b'\n', rest) {
            Some(len) => (len, 1),
            None => (rest.len(), 0),
        };
        if let Err(what) = any_line(&rest[..len], decoded) {
            decoded.wrong = Some(what);
            return;
        }
        decoded.lines += 1;
        at += len + end_len;
    }
}

/// Decodes lines from the start of `text` that are digits and nothing else, which nearly all are, as far as they go; gives their length.
#[inline]
fn plain_lines(text: &[u8], decoded: &mut Decoded) -> usize {
    let mut at = 0;
    let mut lines = 0;
    // A number, and two bytes that end its line.
    while let Some(seen) = text[at..].first_chunk::<{ digits::REACH_BYTES + 2 }>() {
        let Some((number, len)) = digits::number(seen.first_chunk().expect("it is longer")) else { break };
        let end_len = match (seen[len], seen[len + 1]) {
            (b'\n', _) => 1,
            (b'\r', b'\n') => 2,
            _ => break,
        };
        decoded.numbers.push(number);
        lines += 1;
        at += len + end_len;
    }
    decoded.lines += lines;
    at
}

fn any_line(line: &[u8], decoded: &mut Decoded) -> Result<(), String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!(" is longer than {LINE_BYTES_MAX} bytes: write one number a line"));
    }
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(());
    }
    let value = parse(line).map_err(|what| format!(": `{}` {what}", excerpt(line)))?;
    let number = u64::try_from(value);
    if number.is_err() {
        decoded.exceptions.push((decoded.numbers.len() as u64, value));
    }
    decoded.numbers.push(number.unwrap_or(0));
    Ok(())
}

fn parse(line: &[u8]) -> Result<i128, String> {
    let value = parse_integer(line).map_err(|error| error.to_string())?;
    if value > i128::from(u64::MAX) {
        return Err(format!("is above {} (2^64 - 1), the greatest number that can be tested", u64::MAX));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line by line, by the parser of everything.
    fn naive(text: &[u8]) -> (Vec<u64>, Vec<(u64, i128)>, u64, bool) {
        let (mut numbers, mut exceptions, mut lines) = (Vec::new(), Vec::new(), 0);
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let line = line.trim_ascii();
            if !line.is_empty() {
                let Ok(value) = parse(line) else { return (numbers, exceptions, lines, true) };
                if value < 0 {
                    exceptions.push((numbers.len() as u64, value));
                }
                numbers.push(value.try_into().unwrap_or(0));
            }
            lines += 1;
        }
        (numbers, exceptions, lines, false)
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(3000))]
        #[test]
        fn lines_of_every_kind_are_read_as_one_by_one(
            lines in proptest::collection::vec("[0-9]{1,8}\r?\n|[0-9]{1,21}\n|-?[0-9]{1,22}[ \r]?\n|[0-9]{1,3}(e[0-9]|_[0-9])?\n|\r?\n|[0-9]x?\n|\r", 0..40),
            last in "[0-9]{0,20}",
        ) {
            let text = lines.concat() + &last;
            let mut decoded = Decoded { lines: 7, numbers: vec![1], exceptions: vec![(0, 1)], wrong: Some(String::new()) };
            decode(text.as_bytes(), &mut decoded);
            let (numbers, exceptions, lines, is_wrong) = naive(text.as_bytes());
            proptest::prop_assert_eq!(&decoded.numbers, &numbers);
            proptest::prop_assert_eq!(&decoded.exceptions, &exceptions);
            proptest::prop_assert_eq!((decoded.lines, decoded.wrong.is_some()), (lines, is_wrong));
        }
    }
}
