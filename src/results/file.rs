//! Results in a file: appended as they come, sorted at the end.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::engine::{Outcome, OutcomeSink};
use crate::results::Tally;
use crate::results::rendered::{Bytes, Rendered};
use crate::results::sink::{PIECE_BYTES, Pipeline, Queue, Render, RunResults};

/// Where the outcomes of successive jobs lie in the file that is appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub first: u64,
    pub offset: u64,
    pub len: u64,
}

/// Outcomes in the order in which they come, and where each of them lies.
#[derive(Default)]
pub(super) struct Arrivals {
    waiting: VecDeque<Rendered>,
    memory_bytes: usize,
    /// The rest of the long text whose beginning was taken.
    leaving: Option<File>,
    entries: Vec<Entry>,
    len: u64,
    /// The same entries by the first job of each, once somebody looks for one.
    by_job: Option<BTreeMap<u64, Entry>>,
}

impl Arrivals {
    /// Where the outcome of this job lies, if it has come: among those of jobs from the first of the entry on.
    pub fn entry_of(&mut self, index: u64) -> Option<Entry> {
        let entries = &self.entries;
        let by_job = self.by_job.get_or_insert_with(|| entries.iter().map(|entry| (entry.first, *entry)).collect());
        by_job.range(..=index).next_back().map(|(_, entry)| *entry)
    }
}

impl Queue for Arrivals {
    fn put(&mut self, run: Rendered) -> io::Result<()> {
        self.hold(run);
        Ok(())
    }

    fn hold(&mut self, run: Rendered) {
        if let Bytes::Memory(bytes) = &run.bytes {
            self.memory_bytes += bytes.len();
        }
        self.waiting.push_back(run);
    }

    fn ready(&self) -> bool {
        self.leaving.is_some() || !self.waiting.is_empty()
    }

    fn take(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        while buffer.len() < PIECE_BYTES {
            if let Some(file) = &mut self.leaving {
                if file.take(PIECE_BYTES as u64).read_to_end(buffer)? == 0 {
                    self.leaving = None;
                }
                continue;
            }
            let Some(run) = self.waiting.pop_front() else { break };
            let len = match run.bytes {
                Bytes::Memory(bytes) => {
                    self.memory_bytes -= bytes.len();
                    buffer.extend_from_slice(&bytes);
                    bytes.len() as u64
                }
                Bytes::Disk(file) => {
                    let len = file.metadata()?.len();
                    self.leaving = Some(file);
                    len
                }
            };
            let entry = Entry { first: run.first, offset: self.len, len };
            self.entries.push(entry);
            if let Some(by_job) = &mut self.by_job {
                by_job.insert(entry.first, entry);
            }
            self.len += len;
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    fn end(&mut self) {}
}

/// Results that go to a file.
///
/// While the run lasts they are appended to `FILE.partial`, each as soon as its job has ended; at the end they are put in
/// the order of the jobs and take the place of `FILE` at once, by a rename. A run that is cut off leaves `FILE` as it was
/// and `FILE.partial` with whole lines, but perhaps for the last. A run locks `FILE.partial`, so that a second one with the
/// same `FILE` is refused. In memory are 24 bytes for each run of successive jobs,
/// so that it is at most 24 bytes a job.
pub struct ResultsFile {
    pub(super) pipeline: Pipeline<Arrivals>,
    path: PathBuf,
    partial: PathBuf,
    /// The partial file, locked.
    pub(super) file: File,
}

impl ResultsFile {
    /// Results that go to the file at `path`; see [`Results::new`](crate::results::Results::new) for the rest.
    ///
    /// # Errors
    /// Where `FILE.partial` cannot be made, or another run is writing to it, or it is there already and not empty: what a
    /// run that was cut off has left is not written over.
    pub fn create(path: &Path, render: Render, on_broken: Box<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        // Through a link, so that what is replaced at the end is the file and not the link.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let partial = with_suffix(&path, ".partial");
        let file = claim(&partial)?;
        let out = named(&partial, file.try_clone())?;
        let pipeline = Pipeline::new(Arrivals::default(), Box::new(out), render, on_broken);
        Ok(Self { pipeline, path, partial, file })
    }
}

/// A run that is dropped unfinished may have a writer that is still busy: nobody waits for that one's handle to close.
impl Drop for ResultsFile {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Writes outcomes as they come.
pub struct AsTheyCome(Pipeline<Arrivals>);

impl AsTheyCome {
    /// Writes to `out`. `on_broken` is called once where that takes nothing more.
    pub fn new(out: Box<dyn Write + Send>, render: Render, on_broken: Box<dyn Fn() + Send + Sync>) -> Self {
        Self(Pipeline::new(Arrivals::default(), out, render, on_broken))
    }
}

impl OutcomeSink for AsTheyCome {
    fn accept(&self, outcomes: Vec<Outcome>) {
        self.0.accept(outcomes);
    }
}

impl RunResults for AsTheyCome {
    fn finish(&self) -> io::Result<Tally> {
        Ok(self.0.finish(|_| Ok(()))?.0)
    }
}

/// The file at `partial`, new or empty, that no other run writes to: it is locked until it is closed.
fn claim(partial: &Path) -> io::Result<File> {
    let refused = |why: &str| Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} {why}", partial.display())));
    loop {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(partial);
        let file = named(partial, opened)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return refused("is being written to by another run: wait for its end, or name another file");
            }
            Err(TryLockError::Error(error)) => {
                return named(partial, Err(io::Error::new(error.kind(), format!("cannot be locked: {error}"))));
            }
        }
        // A run that ended between the opening and the locking took the file away under this name.
        if !is_at(&file, partial)? {
            continue;
        }
        if named(partial, file.metadata())?.len() > 0 {
            return refused("holds the results of a run that was cut off: move it away or remove it");
        }
        return Ok(file);
    }
}

/// Whether this open file is the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let opened = named(path, file.metadata())?;
    match std::fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => named(path, Err(error)),
    }
}

/// Whether there still is a file at `path`: without numbers of files, that has to do.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    named(path, path.try_exists())
}

impl OutcomeSink for ResultsFile {
    fn accept(&self, outcomes: Vec<Outcome>) {
        self.pipeline.accept(outcomes);
    }
}

impl RunResults for ResultsFile {
    fn finish(&self) -> io::Result<Tally> {
        let kept = |error: io::Error| {
            io::Error::new(error.kind(), format!("{error}; what was written lies in {}", self.partial.display()))
        };
        let finished = self.pipeline.finish(|arrivals| Ok(std::mem::take(&mut arrivals.entries)));
        let (tally, mut entries) = finished.map_err(kept)?;
        if !entries.is_sorted_by_key(|entry| entry.first) {
            entries.sort_unstable_by_key(|entry| entry.first);
            let sorted = with_suffix(&self.path, ".sorted");
            if let Err(error) =
                named(&self.partial, self.file.try_clone()).and_then(|from| write_sorted(from, &entries, &sorted))
            {
                // Whatever kept it from being whole, its room on disk is given back.
                let _ = std::fs::remove_file(&sorted);
                return Err(kept(error));
            }
            named(&self.path, std::fs::rename(&sorted, &self.path)).map_err(kept)?;
            named(&self.partial, std::fs::remove_file(&self.partial))?;
        } else {
            named(&self.path, std::fs::rename(&self.partial, &self.path)).map_err(kept)?;
        }
        Ok(tally)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn named<T>(path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn write_sorted(from: File, entries: &[Entry], to: &Path) -> io::Result<()> {
    let mut from = Blocks::new(from);
    let file = named(to, OpenOptions::new().write(true).create(true).truncate(true).open(to))?;
    let mut out = BufWriter::with_capacity(4 * PIECE_BYTES, file);
    for entry in entries {
        named(to, from.copy(entry.offset, entry.len, &mut out))?;
    }
    named(to, out.flush())
}

const BLOCK_BYTES: usize = 16 << 10;
const BLOCKS: usize = 512;

/// A file read in blocks, the last of which are kept: what is nearly in order is read nearly once.
struct Blocks {
    file: File,
    kept: Vec<(u64, Vec<u8>)>,
}

impl Blocks {
    fn new(file: File) -> Self {
        Self { file, kept: vec![(u64::MAX, Vec::new()); BLOCKS] }
    }

    fn copy(&mut self, mut offset: u64, mut len: u64, out: &mut dyn Write) -> io::Result<()> {
        while len > 0 {
            let block = offset / BLOCK_BYTES as u64;
            let within = (offset % BLOCK_BYTES as u64) as usize;
            let bytes = self.block(block)?;
            let end = bytes.len().min(within + usize::try_from(len).unwrap_or(usize::MAX - within));
            let piece = bytes.get(within..end).filter(|piece| !piece.is_empty());
            let piece = piece.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "it has become shorter"))?;
            out.write_all(piece)?;
            (offset, len) = (offset + piece.len() as u64, len - piece.len() as u64);
        }
        Ok(())
    }

    fn block(&mut self, number: u64) -> io::Result<&[u8]> {
        let (kept, bytes) = &mut self.kept[(number % BLOCKS as u64) as usize];
        if *kept != number {
            bytes.clear();
            self.file.seek(SeekFrom::Start(number * BLOCK_BYTES as u64))?;
            (&mut self.file).take(BLOCK_BYTES as u64).read_to_end(bytes)?;
            *kept = number;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::succeeded;

    fn outcome(index: u64) -> Outcome {
        Outcome { index, plan: None, ..succeeded() }
    }

    /// A line for each, of very different lengths, some longer than a block.
    fn line(index: u64) -> String {
        format!("{index} {}\n", "x".repeat((index * index * 7919 % 40_000) as usize))
    }

    fn create(path: &Path) -> ResultsFile {
        try_create(path).unwrap()
    }

    #[test]
    fn the_file_is_sorted_whatever_the_order_of_arrival() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        std::fs::write(&path, "old").unwrap();
        let results = create(&path);
        // 7 has no common factor with 1000: each index once, in a wild order.
        (0..1000).for_each(|i| results.accept(vec![outcome(i * 7 % 1000)]));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(results.finish().unwrap().jobs, 1000);
        let expected: String = (0..1000).map(line).collect();
        assert!(std::fs::read_to_string(&path).unwrap() == expected);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_came_in_order_is_only_renamed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let results = create(&path);
        results.accept((0..10).map(outcome).collect());
        results.accept((10..20).map(outcome).collect());
        results.finish().unwrap();
        assert!(std::fs::read_to_string(&path).unwrap() == (0..20).map(line).collect::<String>());
    }

    #[test]
    fn until_the_end_what_came_lies_in_the_partial_file_and_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let partial = dir.path().join("results.jsonl.partial");
        let results = create(&path);
        results.accept(vec![outcome(5)]);
        let start = std::time::Instant::now();
        while std::fs::metadata(&partial).unwrap().len() == 0 {
            assert!(start.elapsed().as_secs() < 10);
            std::thread::yield_now();
        }
        assert_eq!(std::fs::read_to_string(&partial).unwrap(), line(5));
        // The run is cut off here: nothing finishes it.
        drop(results);
        let error = ResultsFile::create(&path, Box::new(|_, _| Ok(())), Box::new(|| {})).err().unwrap();
        assert!(
            error.to_string().contains("results.jsonl.partial holds the results of a run that was cut off"),
            "{error}"
        );
        assert!(!path.exists());
    }

    fn try_create(path: &Path) -> io::Result<ResultsFile> {
        let render: Render = Box::new(|outcome, out| out.write_all(line(outcome.index).as_bytes()));
        ResultsFile::create(path, render, Box::new(|| {}))
    }

    #[test]
    fn of_runs_that_begin_together_one_has_the_file_and_its_results_stand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        // A run that was cut off before its first result is in nobody's way.
        std::fs::write(dir.path().join("results.jsonl.partial"), "").unwrap();
        for _ in 0..20 {
            let made: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| try_create(&path))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let (mut mine, mut refused) = (Vec::new(), 0);
            for made in made {
                match made {
                    Ok(results) => mine.push(results),
                    Err(error) => {
                        assert!(error.to_string().contains("is being written to by another run"), "{error}");
                        refused += 1;
                    }
                }
            }
            assert_eq!((mine.len(), refused), (1, 7));
            mine[0].accept(vec![outcome(1)]);
            mine[0].accept(vec![outcome(0)]);
            let error = try_create(&path).err().unwrap();
            assert!(error.to_string().contains("results.jsonl.partial is being written to by another run"), "{error}");
            mine[0].finish().unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), line(0) + &line(1));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_renamed_or_removed_is_no_longer_at_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        let file = File::create(&path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        std::fs::rename(&path, &other).unwrap();
        assert!(!is_at(&file, &path).unwrap() && is_at(&file, &other).unwrap());
        File::create(&path).unwrap();
        assert!(!is_at(&file, &path).unwrap());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = ResultsFile::create(Path::new("/nowhere/at/all"), Box::new(|_, _| Ok(())), Box::new(|| {}));
        assert!(error.err().unwrap().to_string().starts_with("/nowhere/at/all.partial: "));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_link_stays_and_its_target_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let results = create(&link);
        results.accept(vec![outcome(0)]);
        results.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), line(0));
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
