//! Text on its way out: gathered into 64 KiB before it is written, as answers come in tiny pieces by the million.

use std::io::{self, Write};

const CAPACITY_BYTES: usize = 64 << 10;

pub(super) struct Rendering<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
}

impl<'a> Rendering<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, buffer: Vec::with_capacity(64) }
    }

    #[inline]
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        if self.buffer.len() + text.len() > CAPACITY_BYTES {
            self.flush()?;
        }
        self.buffer.extend_from_slice(text.as_bytes());
        Ok(())
    }

    #[inline]
    pub(super) fn integer(&mut self, value: impl itoa::Integer) -> io::Result<()> {
        self.text(itoa::Buffer::new().format(value))
    }

    /// A number of a list: nearly all are from 0 on and below 2^64, which takes a third of the time.
    #[inline]
    pub(super) fn number(&mut self, value: i128) -> io::Result<()> {
        match u64::try_from(value) {
            Ok(value) => self.integer(value),
            Err(_) => self.integer(value),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush()
    }
}

/// `1 prime`, `2 primes`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
