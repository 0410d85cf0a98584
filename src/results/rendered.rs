//! Outcomes turned to bytes, on the worker that ended them.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tempfile::{SpooledData, SpooledTempFile};

use crate::engine::Outcome;
use crate::job::{Cause, JobError};

/// Longer texts of outcomes go to a temporary file while they are written.
const MAX_MEMORY_BYTES: usize = 8 << 20;

/// A run of outcomes of jobs that follow each other is cut where it passes this.
const CUT_BYTES: u64 = 64 << 10;

/// The bytes of some outcomes.
#[derive(Debug)]
pub(super) enum Bytes {
    Memory(Vec<u8>),
    /// Long ones, rewound.
    Disk(File),
}

/// What is to be done once an outcome is written; dropped undone where it never is.
pub type Afterwards = Box<dyn FnOnce() + Send>;

/// The text of one or several outcomes of jobs whose indices follow each other.
pub(super) struct Rendered {
    pub first: u64,
    pub count: u64,
    pub bytes: Bytes,
    pub afterwards: Vec<Afterwards>,
}

/// Renders outcomes by `render`, in runs of successive indices. An outcome whose text cannot be made (its input, read
/// once more, is gone) becomes a failed one, in place.
pub(super) fn render(
    outcomes: &mut [Outcome],
    render: &dyn Fn(&Outcome, &mut dyn Write) -> io::Result<()>,
) -> io::Result<Vec<Rendered>> {
    outcomes.sort_unstable_by_key(|outcome| outcome.index);
    let mut runs = Vec::new();
    let mut at = 0;
    while at < outcomes.len() {
        let first = outcomes[at].index;
        let (mut text, mut count) = (SpooledTempFile::new(MAX_MEMORY_BYTES), 0);
        loop {
            let outcome = &mut outcomes[at];
            let start = text.stream_position()?;
            let rendered = catch_unwind(AssertUnwindSafe(|| render(outcome, &mut text)));
            let error = match rendered {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(JobError::io("writing the result", &error)),
                Err(_) => Some(JobError::new(Cause::Panic, "writing the result panicked")),
            };
            if let Some(error) = error {
                text = in_memory(text, start)?;
                outcome.result = Err(error);
                render(outcome, &mut text)?;
            }
            (at, count) = (at + 1, count + 1);
            let follows = outcomes.get(at).is_some_and(|next| next.index == first + count);
            if !follows || text.stream_position()? >= CUT_BYTES {
                break;
            }
        }
        runs.push(Rendered { first, count, bytes: Bytes::of(text)?, afterwards: Vec::new() });
    }
    Ok(runs)
}

/// The first `len` bytes of a text, in memory whatever the temporary folder says.
fn in_memory(mut text: SpooledTempFile, len: u64) -> io::Result<SpooledTempFile> {
    let mut kept = Vec::new();
    text.rewind()?;
    text.take(len).read_to_end(&mut kept)?;
    let mut text = SpooledTempFile::new(MAX_MEMORY_BYTES);
    text.write_all(&kept)?;
    Ok(text)
}

impl Bytes {
    fn of(mut text: SpooledTempFile) -> io::Result<Self> {
        text.rewind()?;
        Ok(match text.into_inner() {
            SpooledData::InMemory(memory) => Self::Memory(memory.into_inner()),
            SpooledData::OnDisk(file) => Self::Disk(file),
        })
    }
}

/// Appends `count` bytes of `file`, from where it stands, to `buffer`.
pub(super) fn append_from(file: &mut File, count: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    let copied = file.take(count).read_to_end(buffer)? as u64;
    if copied < count {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a temporary file has become shorter"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::{failed, succeeded};

    fn outcome(index: u64) -> Outcome {
        Outcome { index, ..succeeded() }
    }

    fn text(run: Rendered) -> String {
        match run.bytes {
            Bytes::Memory(bytes) => String::from_utf8(bytes).unwrap(),
            Bytes::Disk(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).unwrap();
                String::from_utf8(bytes).unwrap()
            }
        }
    }

    #[test]
    fn successive_outcomes_share_a_run_and_a_gap_begins_another() {
        let mut outcomes: Vec<_> = [4, 1, 2, 7, 3].map(outcome).into();
        let runs = render(&mut outcomes, &|outcome, out| write!(out, "{} ", outcome.index)).unwrap();
        let seen: Vec<_> = runs.into_iter().map(|run| (run.first, run.count, text(run))).collect();
        assert_eq!(seen, [(1, 4, "1 2 3 4 ".to_owned()), (7, 1, "7 ".to_owned())]);
    }

    #[test]
    fn long_texts_go_to_disk_and_come_back_whole() {
        let runs = render(&mut [outcome(0)], &|_, out| {
            for i in 0..200_000 {
                writeln!(out, "{i:060}")?;
            }
            Ok(())
        });
        let run = runs.unwrap().remove(0);
        assert!(matches!(run.bytes, Bytes::Disk(_)));
        let text = text(run);
        assert_eq!(text.len(), 200_000 * 61);
        assert!(text.ends_with("00199999\n"));
    }

    #[test]
    fn a_text_that_cannot_be_made_becomes_a_failed_outcome_and_the_rest_stands() {
        let mut outcomes = vec![outcome(0), outcome(1), Outcome { index: 2, ..failed() }, outcome(3)];
        let runs = render(&mut outcomes, &|outcome, out| {
            write!(out, "{}:", outcome.index)?;
            match (&outcome.result, outcome.index) {
                (Ok(_), 1) => Err(io::Error::other("gone")),
                (Ok(_), 3) => panic!("a fault"),
                (Ok(_), _) => write!(out, "ok "),
                (Err(error), _) => write!(out, "{} ", error.cause),
            }
        });
        assert_eq!(text(runs.unwrap().remove(0)), "0:ok 1:io 2:bad_input 3:panic ");
        assert_eq!(outcomes[1].result.as_ref().unwrap_err().cause, Cause::Io);
    }
}
