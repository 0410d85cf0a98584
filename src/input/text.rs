//! Whole numbers as text, one a line.

use crate::input::DType;
use crate::input::bytes::MEMORY_LIMIT_BYTES;
use crate::input::excerpt::excerpt;
use crate::input::numbers::NumberList;
use crate::input::spool::Spool;
use crate::input::window::Window;
use crate::job::{JobError, parse_integer};
use std::io::Read;

/// Far longer than any number that is read.
const LINE_BYTES_MAX: usize = 64 << 10;

/// The columns of the spool: the numbers; of those below zero the index, and the value in two words.
const NUMBERS: usize = 0;
const EXCEPTION_INDICES: usize = 1;
const EXCEPTION_LOWS: usize = 2;
const EXCEPTION_HIGHS: usize = 3;

/// Reads one number a line to the end of `stream`. Blank lines are skipped, spaces around a number are ignored, and lines
/// may end as on any system.
pub(crate) fn read(name: &str, stream: &mut dyn Read) -> Result<NumberList, JobError> {
    read_within(name, stream, MEMORY_LIMIT_BYTES)
}

fn read_within(name: &str, stream: &mut dyn Read, limit_bytes: usize) -> Result<NumberList, JobError> {
    let mut window = Window::new(name, stream);
    window.skip_byte_order_mark()?;
    let mut spool = Spool::new(name, 4, limit_bytes);
    let mut line_number = 0_u64;
    loop {
        let (line_len, end_len) = match memchr::memchr(b'\n', window.bytes()) {
            Some(at) => (at, 1),
            None if window.is_last() && window.bytes().is_empty() => break,
            None if window.is_last() => (window.bytes().len(), 0),
            None if window.bytes().len() <= LINE_BYTES_MAX => {
                window.widen()?;
                continue;
            }
            None => (window.bytes().len(), 0),
        };
        line_number += 1;
        if line_len > LINE_BYTES_MAX {
            return Err(JobError::bad_input(format!(
                "{name}: line {line_number} is longer than {LINE_BYTES_MAX} bytes: write one number a line"
            )));
        }
        let line = window.bytes()[..line_len].trim_ascii();
        if !line.is_empty() {
            let value = parse(line).map_err(|what| {
                JobError::bad_input(format!("{name}: line {line_number}: `{}` {what}", excerpt(line)))
            })?;
            push(&mut spool, value);
            spool.settle()?;
        }
        window.consume(line_len + end_len);
    }
    let (mut columns, decoded_bytes) = spool.finish(DType::U64)?;
    let exceptions = columns.split_off(EXCEPTION_INDICES);
    let numbers = columns.swap_remove(NUMBERS);
    Ok(NumberList::with_exceptions(numbers, exceptions, decoded_bytes))
}

fn parse(line: &[u8]) -> Result<i128, String> {
    let value = parse_integer(line).map_err(|error| error.to_string())?;
    if value > i128::from(u64::MAX) {
        return Err(format!("is above {} (2^64 - 1), the greatest number that can be tested", u64::MAX));
    }
    Ok(value)
}

fn push(spool: &mut Spool<'_>, value: i128) {
    let number = u64::try_from(value);
    if number.is_err() {
        spool.push(EXCEPTION_INDICES, spool.len(NUMBERS));
        spool.push(EXCEPTION_LOWS, value as u64);
        spool.push(EXCEPTION_HIGHS, (value >> 64) as u64);
    }
    spool.push(NUMBERS, number.unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::window::tests::Dribble;
    use crate::input::{Element, Scratch};

    fn values(list: &NumberList) -> Vec<i128> {
        let mut scratch = Scratch::default();
        let len = list.source().len();
        let read = list.source().read(0..len, &mut scratch).unwrap();
        let mut values: Vec<i128> = u64::unwrap(&read).unwrap().iter().map(|&value| value.into()).collect();
        for (index, value) in list.exceptions(0..len).unwrap() {
            assert_eq!(values[index as usize], 0, "an exception stands as 0");
            values[index as usize] = value;
        }
        values
    }

    #[test]
    fn numbers_are_read_whatever_the_line_ends_and_however_the_stream_is_cut() {
        let text =
            b"\xef\xbb\xbf97\r\n\n  -5\t\n18446744073709551615\n1e3\n\r\n-170141183460469231731687303715884105728\n0";
        let expected = [97, -5, i128::from(u64::MAX), 1000, i128::MIN, 0];
        for step in [1, 2, 5, 1000] {
            for limit in [8, 1 << 20] {
                let list = read_within("n.txt", &mut Dribble(text, step), limit).unwrap();
                assert_eq!(values(&list), expected, "step {step}, limit {limit}");
            }
        }
        assert!(values(&read("n.txt", &mut &b""[..]).unwrap()).is_empty());
        assert!(values(&read("n.txt", &mut &b"\n\n"[..]).unwrap()).is_empty());
    }

    #[test]
    fn exceptions_are_those_of_the_range_asked_for() {
        let text: String = (0..100).map(|i| if i % 10 == 3 { format!("-{i}\n") } else { format!("{i}\n") }).collect();
        let list = read("n.txt", &mut text.as_bytes()).unwrap();
        assert_eq!(list.exceptions(13..33).unwrap(), [(13, -13), (23, -23)]);
        assert_eq!(list.exceptions(14..23).unwrap(), []);
        assert_eq!(list.exceptions(93..100).unwrap(), [(93, -93)]);
    }

    #[test]
    fn a_line_that_is_no_number_is_named() {
        let over_long = [b"1\n".as_slice(), &b"2".repeat(LINE_BYTES_MAX + 1), b"\n3\n"].concat();
        let endless = b"2".repeat(3 * LINE_BYTES_MAX);
        let cases: [(&[u8], &str); 7] = [
            (b"1\n\nabc\n", "n.txt: line 3: `abc` is not an integer"),
            (b"1\n2.5\n", "n.txt: line 2: `2.5` is not a whole number"),
            (b"18446744073709551616", "n.txt: line 1: `18446744073709551616` is above 18446744073709551615"),
            (b"7\n\xff\xfe\n", "n.txt: line 2: `\u{fffd}\u{fffd}` is not an integer"),
            (b"1 2\n", "n.txt: line 1: `1 2` is not an integer"),
            (&over_long, "n.txt: line 2 is longer than 65536 bytes"),
            (&endless, "n.txt: line 1 is longer than 65536 bytes"),
        ];
        for (text, expected) in cases {
            let message = read("n.txt", &mut &text[..]).unwrap_err().message;
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
