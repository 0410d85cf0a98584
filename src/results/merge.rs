//! The results of the shards of a run, joined.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::results::claim::{claim, end_of_links, named, with_suffix};
use crate::results::line::{HEAD_BYTES, Head};
use crate::results::pipeline::PIECE_BYTES;

/// Of each shard so much is read at once: there may be a thousand.
const BUFFER_BYTES: usize = 32 << 10;

/// What was joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Outcomes.
    pub jobs: u64,
    /// Those that are not of success.
    pub failed: u64,
    /// Jobs before the last one that have no outcome.
    pub missing: u64,
}

/// Writes the outcomes of these files, each in the order of the jobs, in the order of the jobs. `missing` is called with the
/// indices of jobs that none of them has. Of each file, a line's beginning is in memory.
///
/// # Errors
/// Those of reading and writing; where a line is no outcome, or out of order, or torn; where two files have the same job; where
/// the run of a file was begun again and has not ended (`FILE.partial`). The message names file and line.
pub fn merge(shards: &[PathBuf], out: &mut dyn Write, missing: &mut dyn FnMut(Range<u64>)) -> io::Result<Merged> {
    let mut readers = shards.iter().map(|path| Shard::open(path)).collect::<io::Result<Vec<Shard<'_>>>>()?;
    let mut next = BinaryHeap::with_capacity(readers.len());
    for (at, reader) in readers.iter_mut().enumerate() {
        next.extend(reader.next()?.map(|index| Reverse((index, at))));
    }
    let mut merged = Merged::default();
    let mut due = 0;
    while let Some(Reverse((index, at))) = next.pop() {
        if let Some(Reverse((other, also_at))) = next.peek()
            && *other == index
        {
            let (first, second) = (readers[at].place(), readers[*also_at].place());
            return Err(wrong(format!(
                "{first} and {second} both have index {index}: name each shard of one run once, and none of another run"
            )));
        }
        if index > due {
            missing(due..index);
            merged.missing += index - due;
        }
        due = index + 1;
        merged.jobs += 1;
        merged.failed += u64::from(!readers[at].succeeded);
        readers[at].copy(out)?;
        next.extend(readers[at].next()?.map(|index| Reverse((index, at))));
    }
    Ok(merged)
}

/// The same into the file at `path`, which is replaced at once at the end.
///
/// # Errors
/// As above; there is no new file then.
pub fn merge_to_file(path: &Path, shards: &[PathBuf], missing: &mut dyn FnMut(Range<u64>)) -> io::Result<Merged> {
    let path = end_of_links(path);
    let partial = with_suffix(&path, ".partial");
    let file = claim(&partial, true)?;
    let write = || {
        let mut out = BufWriter::with_capacity(PIECE_BYTES, named(&partial, file.try_clone())?);
        let merged = merge(shards, &mut out, missing)?;
        named(&partial, out.flush())?;
        named(&path, std::fs::rename(&partial, &path))?;
        Ok(merged)
    };
    let mut write = write;
    let merged = write();
    if merged.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    merged
}

fn wrong(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// The results of a shard, at one of their lines.
struct Shard<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    /// The number of the line, from 1.
    line: u64,
    index: Option<u64>,
    succeeded: bool,
    /// The line's first bytes.
    head: Vec<u8>,
}

impl<'a> Shard<'a> {
    fn open(path: &'a Path) -> io::Result<Self> {
        let file = File::open(path).map_err(|error| {
            let partial = with_suffix(path, ".partial");
            let hint = if error.kind() == io::ErrorKind::NotFound && partial.exists() {
                format!("; {} is there, of a run that was cut off: go on with it by --resume first", partial.display())
            } else {
                String::new()
            };
            io::Error::new(error.kind(), format!("{}: {error}{hint}", path.display()))
        })?;
        // Its run was begun again: what is here is of the time before, and would be joined with what others have made since.
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let partial = with_suffix(&real, ".partial");
        if std::fs::metadata(&partial).is_ok_and(|found| found.len() > 0) {
            return Err(wrong(format!(
                "{}: {} is there, of a run that goes on or was cut off: wait for its end or go on with it by --resume first; \
                 where it does not count any more, remove it",
                path.display(),
                partial.display()
            )));
        }
        let reader = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(Self { path, reader, line: 0, index: None, succeeded: false, head: Vec::new() })
    }

    fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.line)
    }

    /// Goes to the next line, and gives the index of its job.
    fn next(&mut self) -> io::Result<Option<u64>> {
        self.line += 1;
        self.head.clear();
        while self.head.len() < HEAD_BYTES && self.head.last() != Some(&b'\n') {
            let available = named(self.path, self.reader.fill_buf())?;
            if available.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', available).map_or(available.len(), |at| at + 1);
            let end = end.min(HEAD_BYTES - self.head.len());
            self.head.extend_from_slice(&available[..end]);
            self.reader.consume(end);
        }
        if self.head.is_empty() {
            return Ok(None);
        }
        let Some(head) = Head::parse(&self.head) else {
            return Err(wrong(format!("{}: no outcome of a run: name results files only", self.place())));
        };
        if let Some(before) = self.index.filter(|before| *before >= head.index) {
            return Err(wrong(format!(
                "{}: index {} after {before}: results are not in order before their run has ended; where it was cut off, go \
                 on with it by --resume first",
                self.place(),
                head.index
            )));
        }
        (self.index, self.succeeded) = (Some(head.index), head.succeeded);
        Ok(self.index)
    }

    /// Writes the line, its end included.
    fn copy(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.head)?;
        let mut last = self.head.last().copied();
        while last != Some(b'\n') {
            let available = named(self.path, self.reader.fill_buf())?;
            if available.is_empty() {
                return Err(wrong(format!("{}: the line is torn: go on with its run by --resume first", self.place())));
            }
            let end = memchr::memchr(b'\n', available).map_or(available.len(), |at| at + 1);
            out.write_all(&available[..end])?;
            last = Some(available[end - 1]);
            self.reader.consume(end);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(index: u64, status: &str, more: &str) -> String {
        format!(
            "{{\"schema\":1,\"index\":{index},\"id\":\"#{index}\",\"kind\":\"x\",\"status\":\"{status}\",{more}}}\n"
        )
    }

    fn merged(shards: &[String]) -> (io::Result<Merged>, String, Vec<Range<u64>>) {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..shards.len()).map(|n| folder.path().join(format!("{n}.jsonl"))).collect();
        paths.iter().zip(shards).for_each(|(path, text)| std::fs::write(path, text).unwrap());
        let (mut out, mut gaps) = (Vec::new(), Vec::new());
        let merged = merge(&paths, &mut out, &mut |gap| gaps.push(gap));
        (merged, String::from_utf8(out).unwrap(), gaps)
    }

    fn error(shards: &[String]) -> String {
        merged(shards).0.unwrap_err().to_string()
    }

    #[test]
    fn shards_are_joined_in_the_order_of_the_jobs_whatever_is_in_them() {
        let long = format!("\"x\":\"{}\"", "y".repeat(3 * HEAD_BYTES));
        let all: Vec<String> = (0..50)
            .map(|n| {
                line(n, if n % 7 == 3 { "failed" } else { "succeeded" }, if n % 10 == 0 { &long } else { "\"x\":1" })
            })
            .collect();
        let shards: Vec<String> =
            (0..4).map(|shard| all.iter().skip(shard).step_by(4).map(String::as_str).collect()).collect();
        let (found, text, gaps) = merged(&[&shards[..], &[String::new()]].concat());
        assert_eq!(found.unwrap(), Merged { jobs: 50, failed: 7, missing: 0 });
        assert!(text == all.concat() && gaps.is_empty());
    }

    #[test]
    fn jobs_that_no_shard_has_are_told() {
        let ok = |index| line(index, "succeeded", "\"x\":1");
        let (found, _, gaps) = merged(&[ok(2) + &ok(3), ok(7)]);
        assert_eq!((found.unwrap().missing, gaps), (5, vec![0..2, 4..7]));
    }

    #[test]
    fn what_does_not_belong_together_is_an_error_with_its_place() {
        let ok = |index| line(index, "succeeded", "\"x\":1");
        assert!(error(&[ok(0) + &ok(1), ok(1)]).contains("1.jsonl:1 both have index 1: name each shard"));
        assert!(error(&[ok(1) + &ok(0)]).contains("0.jsonl:2: index 0 after 1: results are not in order"));
        assert!(error(&[ok(0) + "{}\n"]).contains("0.jsonl:2: no outcome of a run"));
        let torn = ok(1);
        assert!(error(&[ok(0) + &torn[..torn.len() - 2]]).contains("0.jsonl:2: the line is torn"));
    }

    #[test]
    fn a_shard_that_was_cut_off_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        std::fs::write(with_suffix(&path, ".partial"), "").unwrap();
        let out = folder.path().join("all.jsonl");
        let error = merge_to_file(&out, &[path], &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("r.jsonl.partial is there, of a run that was cut off: go on"), "{error}");
        assert!(std::fs::read_dir(folder.path()).unwrap().count() == 1, "nothing else is left");
    }
}
