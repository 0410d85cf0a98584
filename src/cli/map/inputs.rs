//! The inputs of `tandem map`: arguments, or what comes on standard input.

use std::ffi::OsString;
use std::io::{self, BufRead};

use crate::cli::pipe::{Pipe, Polled};
use crate::engine::CancelFlag;

/// Where the inputs come from.
pub(super) enum Inputs {
    Given(std::vec::IntoIter<OsString>),
    Lines(Pipe<OsString>),
}

impl Inputs {
    /// The next one, as far as it has come.
    pub fn poll(&mut self) -> Polled<OsString> {
        match self {
            Self::Given(given) => given.next().map_or(Polled::End, Polled::Item),
            Self::Lines(lines) => lines.poll(),
        }
    }

    /// How many are left, where that is known.
    pub fn left(&self) -> Option<u64> {
        match self {
            Self::Given(given) => Some(given.len() as u64),
            Self::Lines(_) => None,
        }
    }

    /// Whether there are more than were taken. May take one of them.
    pub fn has_more(&mut self) -> bool {
        match self {
            Self::Given(given) => given.len() > 0,
            Self::Lines(lines) => lines.has_more(),
        }
    }

    /// Why they ended early, if they did.
    pub fn error(&mut self) -> Option<io::Error> {
        match self {
            Self::Given(_) => None,
            Self::Lines(lines) => lines.error(),
        }
    }
}

/// The inputs on standard input, each of which ends with this byte; they may be names of files, and so any bytes.
pub(super) fn inputs_of_stdin(end_byte: u8, cancel: &CancelFlag) -> Pipe<OsString> {
    let next = move || {
        let mut line = Vec::new();
        match io::stdin().lock().read_until(end_byte, &mut line) {
            Ok(0) => None,
            Ok(_) => {
                let end = line.strip_suffix(&[end_byte]).map_or(line.len(), <[u8]>::len);
                line.truncate(end);
                Some(Ok(text_of(line)))
            }
            Err(error) => Some(Err(error)),
        }
    };
    Pipe::new(next, cancel.clone())
}

#[cfg(unix)]
fn text_of(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(not(unix))]
fn text_of(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}
