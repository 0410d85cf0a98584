//! A line at the bottom of the terminal that is redrawn in place; what else is written goes above it.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// To the line's begin, and what stands there erased.
const ERASE: &str = "\r\u{1b}[2K";

/// What stands at the bottom now.
static SHOWN: Mutex<Shown> = Mutex::new(Shown { line: None, is_drawn: false, mid_line: false });

struct Shown {
    /// The line, if there is to be one.
    line: Option<String>,
    is_drawn: bool,
    /// Whether what was written last did not end its line: the status line waits until it does.
    mid_line: bool,
}

fn shown() -> MutexGuard<'static, Shown> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shown {
    fn draw(&mut self) {
        if let Some(line) = self.line.as_ref().filter(|_| !self.mid_line) {
            // Where the terminal is gone, there is nobody to show anything to.
            let _ = write!(io::stderr(), "{ERASE}{line}");
            self.is_drawn = true;
        }
    }

    fn erase(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(io::stderr(), "{ERASE}");
        }
    }
}

/// Shows this line, in place of the one that stands there.
pub(super) fn show(line: String) {
    let mut shown = shown();
    shown.line = Some(line);
    shown.draw();
}

/// Takes the line away.
pub(super) fn remove() {
    let mut shown = shown();
    shown.line = None;
    shown.erase();
}

/// Writes to the terminal, by `write`, above the line; `ends_its_line` tells whether what it wrote ended with a line end.
pub(super) fn above<T>(ends_its_line: bool, write: impl FnOnce() -> T) -> T {
    let mut shown = shown();
    shown.erase();
    let written = write();
    shown.mid_line = !ends_its_line;
    shown.draw();
    written
}

/// What is written to it comes out above the line.
pub(super) struct Above<W>(pub W);

impl<W: Write> Write for Above<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        above(bytes.ends_with(b"\n"), || self.0.write_all(bytes).and_then(|()| self.0.flush()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
