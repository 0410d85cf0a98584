//! How many jobs a run has: counted in the background where its job file can be read twice.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::{memchr, memmem};

const UNKNOWN: u64 = u64::MAX;

/// How much of a file is looked at at once.
const PIECE_BYTES: usize = 256 << 10;

/// A line with this field is more than one job.
const SEVERAL: &[u8] = b"\"matrix\"";

/// How many jobs a run has, once that is known.
#[derive(Clone, Debug)]
pub(super) struct Total(Arc<AtomicU64>);

impl Total {
    /// So many; `None` where nobody can tell before the last has come.
    pub fn of(jobs: Option<u64>) -> Self {
        Self(Arc::new(AtomicU64::new(jobs.unwrap_or(UNKNOWN))))
    }

    /// As many as the job file at `path` has lines that are not blank: they are counted meanwhile.
    pub fn of_lines(path: PathBuf) -> Self {
        let total = Self::of(None);
        let counted = total.clone();
        let count = move || {
            if let Ok(Some(jobs)) =
                File::open(&path).and_then(|file| jobs_in(BufReader::with_capacity(PIECE_BYTES, file)))
            {
                // Whoever has read all of them knows better.
                let _ = counted.0.compare_exchange(UNKNOWN, jobs, Ordering::Relaxed, Ordering::Relaxed);
            }
        };
        // Without a thread to count, it stays unknown.
        let _ = std::thread::Builder::new().name("count".to_owned()).spawn(count);
        total
    }

    /// All were read, and there were so many.
    pub fn was(&self, jobs: u64) {
        self.0.store(jobs, Ordering::Relaxed);
    }

    /// How many, if that is known.
    pub fn known(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|jobs| *jobs != UNKNOWN)
    }
}

/// How many lines are not blank; `None` where a line seems to be more than one job.
fn jobs_in(mut lines: impl BufRead) -> io::Result<Option<u64>> {
    let several = memmem::Finder::new(SEVERAL);
    let (mut jobs, mut is_blank) = (0, true);
    // The end of the last piece, in case the field is cut in two.
    let mut before = Vec::new();
    loop {
        let piece = lines.fill_buf()?;
        if piece.is_empty() {
            return Ok(Some(jobs));
        }
        before.extend_from_slice(&piece[..piece.len().min(SEVERAL.len())]);
        if several.find(piece).is_some() || several.find(&before).is_some() {
            return Ok(None);
        }
        if piece.len() > SEVERAL.len() {
            before.clear();
            before.extend_from_slice(&piece[piece.len() - SEVERAL.len()..]);
        }
        before.drain(..before.len().saturating_sub(SEVERAL.len() - 1));
        let mut rest = piece;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest);
            let line = &rest[..end.unwrap_or(rest.len())];
            if is_blank && line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                is_blank = false;
                jobs += 1;
            }
            let Some(end) = end else { break };
            is_blank = true;
            rest = &rest[end + 1..];
        }
        let len = piece.len();
        lines.consume(len);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(text: &str, piece_bytes: usize) -> Option<u64> {
        jobs_in(BufReader::with_capacity(piece_bytes, text.as_bytes())).unwrap()
    }

    #[test]
    fn lines_that_are_not_blank_are_jobs() {
        for (text, expected) in [("", 0), ("\n \r\n\t", 0), ("{}", 1), ("{}\n\n {}\r\n", 2), ("{}\n{}\nx", 3)] {
            assert_eq!(count(text, 4), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_several_jobs_makes_the_total_unknown_wherever_it_is_cut() {
        let text = "{}\n{\"matrix\":{}}\n{}\n";
        for piece_bytes in 1..=text.len() + 1 {
            assert_eq!(count(text, piece_bytes), None, "{piece_bytes}");
        }
    }

    #[test]
    fn what_was_read_is_known_better_than_what_was_counted() {
        let total = Total::of(None);
        assert_eq!(total.known(), None);
        total.was(3);
        assert_eq!(total.known(), Some(3));
    }

    proptest! {
        #[test]
        fn the_count_is_that_of_the_naive_way(text in "[ \r\n{}a]{0,60}", piece_bytes in 1_usize..70) {
            let naive = text.split('\n').filter(|line| !line.trim().is_empty()).count() as u64;
            prop_assert_eq!(count(&text, piece_bytes), Some(naive));
        }
    }
}
