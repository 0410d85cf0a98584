//! Whole numbers as text, one a line.

mod digits;
mod lines;

use crate::input::DType;
use crate::input::bytes::MEMORY_LIMIT_BYTES;
use crate::input::decoders::Decoders;
use crate::input::numbers::NumberList;
use crate::input::spool::Spool;
use crate::input::window::Window;
use crate::job::JobError;
use lines::{Decoded, LINE_BYTES_MAX, decode};
use std::io::Read;

/// The columns of the spool: the numbers; of those below zero the index, and the value in two words.
const NUMBERS: usize = 0;
const EXCEPTION_INDICES: usize = 1;
const EXCEPTION_LOWS: usize = 2;
const EXCEPTION_HIGHS: usize = 3;

/// How text is taken from the stream.
#[derive(Clone, Copy, Debug)]
struct AtOnce {
    /// Threads that decode, this one not counted; at most one: this one does all.
    threads: usize,
    /// A block that is decoded here: small enough to be in the cache when it has been read.
    near_bytes: usize,
    /// A block for another thread: the work on it is to be long beside handing it over. Threads are started once so much was decoded here.
    far_bytes: usize,
}

impl AtOnce {
    fn on(threads: usize) -> Self {
        Self { threads, near_bytes: 128 << 10, far_bytes: 1 << 20 }
    }
}

/// Reads one number a line to the end of `stream`, on up to `threads` threads. Blank lines are skipped, spaces around a number are
/// ignored, and lines may end as on any system.
pub(crate) fn read_on(name: &str, stream: &mut dyn Read, threads: usize) -> Result<NumberList, JobError> {
    read_within(name, stream, AtOnce::on(threads), MEMORY_LIMIT_BYTES)
}

fn read_within(name: &str, stream: &mut dyn Read, at_once: AtOnce, limit_bytes: usize) -> Result<NumberList, JobError> {
    let mut window = Window::new(name, stream);
    window.skip_byte_order_mark()?;
    let mut list = List { name, spool: Spool::new(name, 4, limit_bytes), lines: 0 };
    let mut near = Decoded::default();
    let mut near_bytes = 0;
    while near_bytes < at_once.far_bytes || at_once.threads < 2 {
        let Some(len) = block(&mut window, at_once.near_bytes)? else { return list.finish() };
        decode(&window.bytes()[..len], &mut near);
        window.consume(len);
        list.take(&near)?;
        near_bytes += len;
    }
    std::thread::scope(|scope| {
        let mut decoders = Decoders::start(scope, at_once.threads, |text: Vec<u8>| {
            let mut decoded = Decoded::default();
            decode(&text, &mut decoded);
            decoded
        });
        while let Some(len) = block(&mut window, at_once.far_bytes)? {
            if !decoders.has_room()
                && let Some(decoded) = decoders.take()
            {
                list.take(&decoded)?;
            }
            decoders.send(window.bytes()[..len].to_vec());
            window.consume(len);
        }
        while let Some(decoded) = decoders.take() {
            list.take(&decoded)?;
        }
        Ok(())
    })?;
    list.finish()
}

/// Brings whole lines into view, some `least_bytes` of them, and gives their length; `None` at the end of the stream. Where a line is longer
/// than any may be, as much of it as is in view.
fn block(window: &mut Window<'_>, least_bytes: usize) -> Result<Option<usize>, JobError> {
    loop {
        let in_view = window.bytes().len();
        if window.is_last() {
            return Ok((in_view > 0).then_some(in_view));
        }
        if in_view >= least_bytes {
            match memchr::memrchr(b'\n', window.bytes()) {
                Some(at) => return Ok(Some(at + 1)),
                None if in_view > LINE_BYTES_MAX => return Ok(Some(in_view)),
                None => {}
            }
        }
        window.widen()?;
    }
}

/// The list in the making.
struct List<'n> {
    name: &'n str,
    spool: Spool<'n>,
    lines: u64,
}

impl List<'_> {
    fn take(&mut self, block: &Decoded) -> Result<(), JobError> {
        if let Some(wrong) = &block.wrong {
            return Err(JobError::bad_input(format!("{}: line {}{wrong}", self.name, self.lines + block.lines + 1)));
        }
        let first = self.spool.len(NUMBERS);
        for &(index, value) in &block.exceptions {
            self.spool.push(EXCEPTION_INDICES, first + index);
            self.spool.push(EXCEPTION_LOWS, value as u64);
            self.spool.push(EXCEPTION_HIGHS, (value >> 64) as u64);
        }
        self.spool.extend(NUMBERS, &block.numbers);
        self.lines += block.lines;
        self.spool.settle()
    }

    fn finish(self) -> Result<NumberList, JobError> {
        let (mut columns, decoded_bytes) = self.spool.finish(DType::U64)?;
        let exceptions = columns.split_off(EXCEPTION_INDICES);
        let numbers = columns.swap_remove(NUMBERS);
        Ok(NumberList::with_exceptions(numbers, exceptions, decoded_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::window::tests::Dribble;
    use crate::input::{Element, Scratch};

    fn read(name: &str, stream: &mut dyn Read) -> Result<NumberList, JobError> {
        read_on(name, stream, 1)
    }

    /// Blocks of every size from the least on, so that lines and threads meet everywhere.
    fn ways() -> impl Iterator<Item = AtOnce> {
        let sizes = [(1, 1), (7, 30), (64, 64), (1 << 17, 1 << 20)];
        sizes
            .into_iter()
            .flat_map(|(near_bytes, far_bytes)| [1, 3].map(|threads| AtOnce { threads, near_bytes, far_bytes }))
    }

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
            for (limit, at_once) in ways().flat_map(|way| [(8, way), (1 << 20, way)]) {
                let list = read_within("n.txt", &mut Dribble(text, step), at_once, limit).unwrap();
                assert_eq!(values(&list), expected, "step {step}, limit {limit}, {at_once:?}");
            }
        }
        assert!(values(&read("n.txt", &mut &b""[..]).unwrap()).is_empty());
        assert!(values(&read("n.txt", &mut &b"\n\n"[..]).unwrap()).is_empty());
    }

    #[test]
    fn a_list_of_many_blocks_is_the_same_on_any_threads() {
        let seed = 6;
        let mut random = crate::random::SplitMix64(seed);
        let expected: Vec<i128> = (0..50_000)
            .map(|_| {
                let number = i128::from(random.next_u64() >> (random.next_u64() % 64));
                if random.next_u64().is_multiple_of(50) { -number } else { number }
            })
            .collect();
        let text: String = expected.iter().map(|number| format!("{number}\n")).collect();
        for threads in [1, 2, 3] {
            for (near_bytes, far_bytes) in [(100, 1000), (4096, 10_000)] {
                let at_once = AtOnce { threads, near_bytes, far_bytes };
                let list = read_within("n.txt", &mut text.as_bytes(), at_once, 100_000).unwrap();
                assert!(values(&list) == expected, "seed {seed}, {at_once:?}");
            }
        }
        let wrong = format!("{text}x\n{text}");
        for threads in [1, 2] {
            let at_once = AtOnce { threads, near_bytes: 100, far_bytes: 1000 };
            let message = read_within("n.txt", &mut wrong.as_bytes(), at_once, 1 << 20).unwrap_err().message;
            assert!(message.starts_with("n.txt: line 50001: `x` is not"), "{message}");
        }
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
            for at_once in ways() {
                let message = read_within("n.txt", &mut &text[..], at_once, 1 << 20).unwrap_err().message;
                assert!(message.starts_with(expected), "{message}, {at_once:?}");
            }
        }
    }
}
