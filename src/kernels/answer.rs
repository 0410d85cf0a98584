//! What a kernel ends with.

use std::any::Any;
use std::io::{self, Write};

/// A job's result: compact data that renders itself as JSON, for programs, and as text, for people.
///
/// The JSON is the `result` of the outcome: the same bytes on every device, split, chunk size and thread count. Both
/// renderings stream, so an answer as long as its input needs no second copy of it.
pub trait Answer: Any + Send + Sync + std::fmt::Debug {
    /// Writes the `result` object, on one line, without a line end.
    ///
    /// # Errors
    /// Those of `out`, and of an input that is read once more to be echoed.
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()>;

    /// Writes the answer for people, whole lines.
    ///
    /// # Errors
    /// Those of `out`, and of an input that is read once more to be echoed.
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()>;

    /// Writes what a person also wants to see, but not in the answer: what a program printed on standard error.
    ///
    /// # Errors
    /// Those of `out`, and of a file that holds it.
    fn write_notes(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// The most memory that the job held at once in a process of its own, in bytes, where that is known.
    fn peak_memory_bytes(&self) -> Option<u64> {
        None
    }

    /// Whether the text says what it is about, as in `12: 2 2 3`, so that several in a row need no headings.
    fn names_its_input(&self) -> bool {
        false
    }

    /// The answer in a few words, for one cell of a table: `5 of 6 prime`.
    fn summary(&self) -> String;
}
