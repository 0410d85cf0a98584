//! What a job over a range ends with.

use std::io::{self, Write};

use crate::kernels::Answer;
use crate::kernels::primes::pieces::BitReader;
use crate::kernels::primes::rendering::{Rendering, counted};
use crate::kernels::primes::wheel::{NUMBERS_PER_WORD, WHEEL_PRIMES, offset_of_bit};
use crate::kernels::primes::{BitSet, NumberRange, RangeMode};

/// How many primes a range has and, where they were asked for, which.
#[derive(Debug)]
pub struct RangeAnswer {
    range: NumberRange,
    mode: RangeMode,
    first_word: u64,
    count: u64,
    bits: BitSet,
}

impl RangeAnswer {
    pub(super) fn new(range: NumberRange, mode: RangeMode, first_word: u64, count: u64, bits: BitSet) -> Self {
        Self { range, mode, first_word, count, bits }
    }

    /// The range.
    pub fn range(&self) -> NumberRange {
        self.range
    }

    /// How many primes it has.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Its primes, ascending; nothing where only their count was asked for. Long answers are read from a temporary file,
    /// which may fail.
    pub fn primes(&self) -> Primes<'_> {
        let listed = self.mode == RangeMode::List;
        Primes {
            answer: self,
            wheel_primes: if listed { &WHEEL_PRIMES } else { &[] },
            reader: self.bits.reader(),
            block: Vec::new(),
            at: 0,
            first: 0,
        }
    }
}

/// The primes of a range, ascending: see [`RangeAnswer::primes`].
#[derive(Debug)]
pub struct Primes<'a> {
    answer: &'a RangeAnswer,
    wheel_primes: &'static [u64],
    reader: BitReader<'a>,
    /// The words at hand, what is left of them; `first` is the number at which word `at` begins.
    block: Vec<u64>,
    at: usize,
    first: u64,
}

impl Iterator for Primes<'_> {
    type Item = io::Result<u64>;

    #[inline]
    fn next(&mut self) -> Option<io::Result<u64>> {
        while let [p, rest @ ..] = self.wheel_primes {
            self.wheel_primes = rest;
            if self.answer.range.contains(*p) {
                return Some(Ok(*p));
            }
        }
        loop {
            while let Some(word) = self.block.get_mut(self.at) {
                if *word != 0 {
                    let bit = word.trailing_zeros();
                    *word &= *word - 1;
                    return Some(Ok(self.first + offset_of_bit(bit)));
                }
                self.at += 1;
                // The last word may end past 2^64; nothing is counted from there on.
                self.first = self.first.wrapping_add(NUMBERS_PER_WORD);
            }
            match self.reader.next_block() {
                Ok(None) => return None,
                Ok(Some((place, words))) => {
                    self.block.clear();
                    self.block.extend_from_slice(words);
                    self.at = 0;
                    self.first = (self.answer.first_word + place) * NUMBERS_PER_WORD;
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Answer for RangeAnswer {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut out = Rendering::new(out);
        match self.mode {
            RangeMode::Count => {
                out.text("{\"count\":")?;
                out.integer(self.count)?;
            }
            RangeMode::List => {
                out.text("{\"primes\":[")?;
                let mut separator = "\"";
                for prime in self.primes() {
                    out.text(separator)?;
                    out.integer(prime?)?;
                    out.text("\"")?;
                    separator = ",\"";
                }
                out.text("]")?;
            }
        }
        out.text("}")?;
        out.finish()
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut out = Rendering::new(out);
        match self.mode {
            RangeMode::Count => {
                out.integer(self.count)?;
                out.text("\n")?;
            }
            RangeMode::List => {
                for prime in self.primes() {
                    out.integer(prime?)?;
                    out.text("\n")?;
                }
            }
        }
        out.finish()
    }

    fn summary(&self) -> String {
        counted(self.count, "prime", "primes")
    }
}
