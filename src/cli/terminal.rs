//! Standard output and standard error.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use crate::cli::{Stopped, status_line};
use crate::report::Style;

/// Whether somebody watches standard output.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// How text on standard output looks.
pub(super) fn stdout_style() -> Style {
    Style { colour: anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never }
}

/// How text on standard error looks.
pub(super) fn stderr_style() -> Style {
    Style { colour: anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never }
}

/// Writes to standard output in large pieces, all of it or an error.
pub(super) fn print(write: impl FnOnce(&mut BufWriter<StdoutLock<'_>>) -> io::Result<()>) -> Result<(), Stopped> {
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    write(&mut out).and_then(|()| out.flush()).map_err(Stopped::output)
}

/// Tells the user something on standard error.
pub(super) fn tell(text: impl std::fmt::Display) {
    // Where standard error is gone, there is nobody to tell.
    let _ = status_line::above(true, || writeln!(io::stderr(), "{text}"));
}
