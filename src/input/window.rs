//! A window onto a stream: the bytes from some place on, as many as its reader needs to see at once, and no more.

use std::io::{self, Read};

use crate::job::JobError;

/// How much is read at once.
const STEP_BYTES: usize = 256 << 10;

/// The bytes of a stream that have been read and not yet been consumed.
pub(crate) struct Window<'s> {
    stream: &'s mut dyn Read,
    name: &'s str,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
}

impl<'s> Window<'s> {
    /// A window at the start of `stream`, called `name` in messages.
    pub(crate) fn new(name: &'s str, stream: &'s mut dyn Read) -> Self {
        Self { stream, name, buffer: vec![0; STEP_BYTES], start: 0, end: 0, ended: false }
    }

    /// What is in view.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether the stream ends where the view does.
    pub(crate) fn is_last(&self) -> bool {
        self.ended
    }

    /// Moves on by `len` bytes.
    pub(crate) fn consume(&mut self, len: usize) {
        debug_assert!(len <= self.end - self.start, "only what is in view is consumed");
        self.start += len;
    }

    /// Brings more into view, or learns that there is no more.
    pub(crate) fn widen(&mut self) -> Result<(), JobError> {
        if self.ended {
            return Ok(());
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(JobError::io(self.name, &error)),
            }
            return Ok(());
        }
    }

    /// Passes over the byte order mark that some programs put before UTF-8.
    pub(crate) fn skip_byte_order_mark(&mut self) -> Result<(), JobError> {
        while self.bytes().len() < 3 && !self.ended {
            self.widen()?;
        }
        if self.bytes().starts_with(b"\xef\xbb\xbf") {
            self.consume(3);
        } else if self.bytes().starts_with(b"\xff\xfe") || self.bytes().starts_with(b"\xfe\xff") {
            return Err(JobError::bad_input(format!("{}: is UTF-16 text: save it as UTF-8", self.name)));
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A stream that gives a few bytes at a time, so that every token is cut somewhere.
    pub(crate) struct Dribble<'a>(pub(crate) &'a [u8], pub(crate) usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(self.0.len()).min(room.len());
            room[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    #[test]
    fn every_byte_comes_into_view_once_however_the_stream_is_cut() {
        let data: Vec<u8> = (0..2_000_u32).map(|i| (i % 251) as u8).collect();
        for step in [1, 7, 4096] {
            let mut stream = Dribble(&data, step);
            let mut window = Window::new("t", &mut stream);
            let mut seen: Vec<u8> = Vec::new();
            while !window.is_last() {
                window.widen().unwrap();
                let half = window.bytes().len() / 2;
                seen.extend(&window.bytes()[..half]);
                window.consume(half);
            }
            seen.extend(window.bytes());
            assert_eq!(seen, data, "step {step}");
        }
    }

    #[test]
    fn the_view_grows_as_far_as_its_reader_asks() {
        let data = vec![5; 3 * STEP_BYTES];
        let mut stream = &data[..];
        let mut window = Window::new("t", &mut stream);
        while !window.is_last() {
            window.widen().unwrap();
        }
        assert_eq!(window.bytes(), data);
    }
}
