//! What a job over a list of numbers ends with.

use std::io::{self, Write};

use crate::input::Scratch;
use crate::kernels::Answer;
use crate::kernels::primes::list::try_for_each;
use crate::kernels::primes::rendering::{Rendering, counted};
use crate::kernels::primes::{BitReader, BitSet, Numbers, NumbersMode};

/// Which numbers of a list are prime.
#[derive(Debug)]
pub struct NumbersAnswer {
    list: Numbers,
    mode: NumbersMode,
    prime_count: u64,
    bits: BitSet,
}

/// Numbers that are echoed at a time; a multiple of 64.
const STRIDE: u64 = 1 << 13;

impl NumbersAnswer {
    pub(super) fn new(list: Numbers, mode: NumbersMode, prime_count: u64, bits: BitSet) -> Self {
        Self { list, mode, prime_count, bits }
    }

    /// How many of the numbers are prime.
    pub fn prime_count(&self) -> u64 {
        self.prime_count
    }

    /// How many numbers there are.
    pub fn len(&self) -> u64 {
        self.list.source().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Of each number whether it is prime, in order; nothing where only the count was asked for. Long answers are read from a
    /// temporary file, which may fail.
    pub fn flags(&self) -> Flags<'_> {
        let left = if self.mode == NumbersMode::Count { 0 } else { self.len() };
        Flags { reader: self.bits.reader(), words: Vec::new(), at: 0, left }
    }

    /// Calls `visit` with every number and whether it is prime, in order.
    fn for_each(&self, mut visit: impl FnMut(i128, bool) -> io::Result<()>) -> io::Result<()> {
        let mut scratch = Scratch::default();
        let mut reader = self.bits.reader();
        while let Some((first_word, words)) = reader.next_block()? {
            let block_start = first_word * 64;
            let block_end = self.len().min(block_start + words.len() as u64 * 64);
            for start in (block_start..block_end).step_by(STRIDE as usize) {
                let end = block_end.min(start + STRIDE);
                let values = self.list.source().read(start..end, &mut scratch).map_err(io::Error::other)?;
                let exceptions = self.list.exceptions(start..end).map_err(io::Error::other)?;
                let mut exceptions = exceptions.iter().peekable();
                let first_place = (start - block_start) as usize;
                try_for_each(&values, |offset, value| {
                    let place = first_place + offset;
                    let prime = words[place / 64] >> (place % 64) & 1 == 1;
                    let exception = exceptions.next_if(|(at, _)| *at == start + offset as u64);
                    visit(exception.map_or(value, |(_, value)| *value), prime)
                })?;
            }
        }
        self.list.source().check().map_err(io::Error::other)
    }
}

/// Of each number of a list whether it is prime: see [`NumbersAnswer::flags`].
#[derive(Debug)]
pub struct Flags<'a> {
    reader: BitReader<'a>,
    words: Vec<u64>,
    /// The bit of `words` that comes next.
    at: usize,
    left: u64,
}

impl Iterator for Flags<'_> {
    type Item = io::Result<bool>;

    fn next(&mut self) -> Option<io::Result<bool>> {
        self.left = self.left.checked_sub(1)?;
        if self.at / 64 == self.words.len() {
            self.at = 0;
            self.words.clear();
            match self.reader.next_block() {
                Ok(block) => self.words.extend_from_slice(block?.1),
                Err(error) => {
                    self.left = 0;
                    return Some(Err(error));
                }
            }
        }
        let flag = self.words[self.at / 64] >> (self.at % 64) & 1 == 1;
        self.at += 1;
        Some(Ok(flag))
    }
}

impl Answer for NumbersAnswer {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut out = Rendering::new(out);
        match self.mode {
            NumbersMode::Each => {
                out.text("{\"is_prime\":[")?;
                let mut reader = self.bits.reader();
                let mut separator = "";
                while let Some((first_word, words)) = reader.next_block()? {
                    let count = (self.len() - first_word * 64).min(words.len() as u64 * 64) as usize;
                    for index in 0..count {
                        let prime = words[index / 64] >> (index % 64) & 1 == 1;
                        out.text(separator)?;
                        out.text(if prime { "true" } else { "false" })?;
                        separator = ",";
                    }
                }
                out.text("],\"prime_count\":")?;
                out.integer(self.prime_count)?;
            }
            NumbersMode::Count => {
                out.text("{\"prime_count\":")?;
                out.integer(self.prime_count)?;
            }
            NumbersMode::List => {
                out.text("{\"primes\":[")?;
                let mut separator = "\"";
                self.for_each(|value, prime| {
                    if prime {
                        out.text(separator)?;
                        out.number(value)?;
                        out.text("\"")?;
                        separator = ",\"";
                    }
                    Ok(())
                })?;
                out.text("]")?;
            }
        }
        out.text("}")?;
        out.finish()
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut out = Rendering::new(out);
        match self.mode {
            NumbersMode::Each => self.for_each(|value, prime| {
                out.number(value)?;
                out.text(match (prime, value) {
                    (true, _) => " prime\n",
                    (false, ..2) => " neither\n",
                    (false, _) => " composite\n",
                })
            })?,
            NumbersMode::Count => {
                out.integer(self.prime_count)?;
                out.text("\n")?;
            }
            NumbersMode::List => self.for_each(|value, prime| {
                if prime {
                    out.number(value)?;
                    out.text("\n")?;
                }
                Ok(())
            })?,
        }
        out.finish()
    }

    fn summary(&self) -> String {
        match self.mode {
            NumbersMode::List => counted(self.prime_count, "prime", "primes"),
            _ => format!("{} of {} prime", self.prime_count, self.len()),
        }
    }
}
