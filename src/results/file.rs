//! Results in a file: appended as they come, sorted at the end.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::{Outcome, OutcomeSink};
use crate::job::JobHash;
use crate::results::Tally;
use crate::results::claim::{claim, end_of_links, named, with_suffix};
use crate::results::journal::{Journal, Kept, RESUMES, Source};
use crate::results::pipeline::{PIECE_BYTES, Pipeline, Queue};
use crate::results::rendered::{Afterwards, Bytes, Rendered};
use crate::results::sink::{OfWritten, Render, RunResults};
use crate::results::sorted::{Entry, write_sorted};
use crate::results::synced::{Synced, sync_folder};

/// Outcomes in the order in which they come, and where each of them lies.
#[derive(Default)]
pub(super) struct Arrivals {
    waiting: VecDeque<Rendered>,
    memory_bytes: usize,
    /// The rest of the long text whose beginning was taken.
    leaving: Option<(File, Vec<Afterwards>)>,
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

    fn take(&mut self, buffer: &mut Vec<u8>, taken: &mut Vec<Afterwards>) -> io::Result<()> {
        while buffer.len() < PIECE_BYTES {
            if let Some((file, afterwards)) = &mut self.leaving {
                if file.take(PIECE_BYTES as u64).read_to_end(buffer)? == 0 {
                    taken.append(afterwards);
                    self.leaving = None;
                }
                continue;
            }
            let Some(mut run) = self.waiting.pop_front() else { break };
            let len = match run.bytes {
                Bytes::Memory(bytes) => {
                    self.memory_bytes -= bytes.len();
                    taken.append(&mut run.afterwards);
                    buffer.extend_from_slice(&bytes);
                    bytes.len() as u64
                }
                Bytes::Disk(file) => {
                    let len = file.metadata()?.len();
                    self.leaving = Some((file, run.afterwards));
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

/// How a results file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// Whether outcomes of earlier runs are kept, of jobs that are still the same.
    pub resume: bool,
    /// Whether it is made sure that outcomes have reached the disk, again and again and at the end.
    pub sync: bool,
}

/// Results that go to a file.
///
/// While the run lasts they are appended to `FILE.partial`, each as soon as its job has ended; at the end they are put in
/// the order of the jobs and take the place of `FILE` at once, by a rename. A run that is cut off leaves `FILE` as it was
/// and `FILE.partial` with whole lines, but perhaps for the last. A run locks `FILE.partial`, so that a second one with the
/// same `FILE` is refused. In memory are 24 bytes for each run of successive jobs,
/// so that it is at most 24 bytes a job.
///
/// A run that resumes goes on appending. Whatever it keeps stays where it is, in `FILE.partial` or in `FILE`, until the sorted
/// file takes the place of both; so that there is no moment at which a kill could lose it.
pub struct ResultsFile {
    pub(super) pipeline: Pipeline<Arrivals>,
    path: PathBuf,
    partial: PathBuf,
    /// The partial file, locked.
    pub(super) file: File,
    earlier: Option<Earlier>,
    sync: bool,
}

/// What a run that resumes found.
struct Earlier {
    journal: Mutex<Journal>,
    /// The finished file of before, where it counts.
    finished: Option<File>,
}

impl ResultsFile {
    /// Results that go to the file at `path`; see [`Results::new`](crate::results::Results::new) for the rest.
    ///
    /// # Errors
    /// Where `FILE.partial` cannot be made, or another run is writing to it, or it is there already and not empty: what a
    /// run that was cut off has left is not written over.
    pub fn create(path: &Path, render: Render, on_broken: Box<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        Self::open(path, FileOptions::default(), render, on_broken)
    }

    /// The same with options. A run that resumes, or is to be resumed, needs jobs with hashes:
    /// [`JobFile::with_hashes`](crate::job::JobFile::with_hashes).
    ///
    /// # Errors
    /// Where `FILE.partial` cannot be made, or another run is writing to it; where the run does not resume, also if it is there
    /// already and not empty; where it resumes, if what is there cannot be read or is no results file.
    pub fn open(
        path: &Path,
        options: FileOptions,
        render: Render,
        on_broken: Box<dyn Fn() + Send + Sync>,
    ) -> io::Result<Self> {
        // Through a link, so that what is replaced at the end is the file and not the link.
        let path = end_of_links(path);
        let partial = with_suffix(&path, ".partial");
        let mut file = claim(&partial, !options.resume)?;
        let earlier = if options.resume { Earlier::read(&path, &partial, &file)? } else { None };
        if options.sync {
            named(&partial, sync_folder(&partial))?;
        }
        let len = named(&partial, file.seek(SeekFrom::End(0)))?;
        let out = named(&partial, file.try_clone())?;
        let out: Box<dyn Write + Send> = if options.sync { Box::new(Synced::new(out)) } else { Box::new(out) };
        let pipeline = Pipeline::new(Arrivals { len, ..Arrivals::default() }, out, render, on_broken);
        Ok(Self { pipeline, path, partial, file, earlier, sync: options.sync })
    }

    /// Where the line of a job begins that is kept from an earlier run: for whoever takes values from it.
    pub fn kept_line(&self, index: u64) -> Option<(&File, u64)> {
        let earlier = self.earlier.as_ref()?;
        let kept = earlier.lock().kept_of(index)?;
        match kept.source() {
            Source::Appended => Some((&self.file, kept.offset())),
            Source::Finished => earlier.finished.as_ref().map(|file| (file, kept.offset())),
        }
    }

    /// Puts the outcomes in order and in place.
    fn put_in_place(&self, mut entries: Vec<Entry>, kept: &[Kept]) -> io::Result<()> {
        if self.earlier.is_none() && entries.is_sorted_by_key(|entry| entry.first) {
            if self.sync {
                named(&self.partial, self.file.sync_all())?;
            }
            named(&self.path, std::fs::rename(&self.partial, &self.path))?;
        } else {
            entries.sort_unstable_by_key(|entry| entry.first);
            let sorted = with_suffix(&self.path, ".sorted");
            if let Err(error) = self.write_sorted(&entries, kept, &sorted) {
                // Whatever kept it from being whole, its room on disk is given back.
                let _ = std::fs::remove_file(&sorted);
                return Err(error);
            }
            named(&self.path, std::fs::rename(&sorted, &self.path))?;
            if self.sync {
                // The name has to last before what it replaces goes.
                named(&self.path, sync_folder(&self.path))?;
            }
            named(&self.partial, std::fs::remove_file(&self.partial))?;
        }
        if self.sync { named(&self.path, sync_folder(&self.path)) } else { Ok(()) }
    }

    fn write_sorted(&self, entries: &[Entry], kept: &[Kept], to: &Path) -> io::Result<()> {
        let appended = named(&self.partial, self.file.try_clone())?;
        let finished = self.earlier.as_ref().and_then(|earlier| earlier.finished.as_ref());
        let finished = finished.map(File::try_clone).transpose()?;
        let file = named(to, OpenOptions::new().write(true).create(true).truncate(true).open(to))?;
        let mut out = BufWriter::with_capacity(4 * PIECE_BYTES, file);
        named(to, write_sorted(appended, finished, entries, kept, &mut out))?;
        named(to, out.flush())?;
        if self.sync { named(to, out.get_ref().sync_all()) } else { Ok(()) }
    }

    /// Waits until all is written.
    fn end(&self) -> io::Result<(Tally, Vec<Entry>)> {
        let (mut tally, entries) = self.pipeline.finish(|arrivals| Ok(std::mem::take(&mut arrivals.entries)))?;
        if let Some(earlier) = &self.earlier {
            let journal = earlier.lock();
            (tally.kept, tally.dropped) = (journal.kept_count(), journal.dropped_count());
            tally.jobs += tally.kept;
        }
        Ok((tally, entries))
    }

    fn where_it_lies(&self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{error}; what was written lies in {}", self.partial.display()))
    }
}

impl Earlier {
    /// Reads what earlier runs have left, if anything, and makes the file that is appended to ready to go on with.
    fn read(path: &Path, partial: &Path, file: &File) -> io::Result<Option<Self>> {
        let mut journal = Journal::default();
        let read = |journal: &mut Journal, path: &Path, file: &File, source| {
            journal.read(file, source).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => {
                    let message = format!("{}: {error}: name the results file of these jobs", path.display());
                    io::Error::new(error.kind(), message)
                }
                kind => io::Error::new(kind, format!("{}: {error}", path.display())),
            })
        };
        let (whole, resumes) = read(&mut journal, partial, file, Source::Appended)?;
        // The last line may be torn.
        named(partial, file.set_len(whole))?;
        let mut finished = None;
        if resumes || whole == 0 {
            finished = match File::open(path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return named(path, Err(error)),
            };
            if let Some(finished) = &finished {
                read(&mut journal, path, finished, Source::Finished)?;
            }
        }
        journal.ready();
        if whole == 0 {
            if journal.is_empty() {
                return Ok(None);
            }
            let mut file = file;
            named(partial, file.rewind().and_then(|()| file.write_all(RESUMES)))?;
        }
        Ok(Some(Self { journal: Mutex::new(journal), finished }))
    }

    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The same, and this is done for each outcome once it is written.
    #[must_use]
    pub fn with_afterwards(mut self, of: OfWritten) -> Self {
        self.0.of_written = Some(of);
        self
    }
}

impl OutcomeSink for AsTheyCome {
    fn accept(&self, outcomes: Vec<Outcome>) {
        self.0.accept(outcomes);
    }
}

impl RunResults for AsTheyCome {
    fn settle(&self, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        self.0.accept(outcomes)
    }

    fn finish(&self) -> io::Result<Tally> {
        Ok(self.0.finish(|_| Ok(()))?.0)
    }
}

impl OutcomeSink for ResultsFile {
    fn accept(&self, outcomes: Vec<Outcome>) {
        self.pipeline.accept(outcomes);
    }

    fn keep(&self, index: u64, id: &str, hash: JobHash) -> bool {
        self.earlier.as_ref().is_some_and(|earlier| earlier.lock().keep(index, id, hash))
    }
}

impl RunResults for ResultsFile {
    fn settle(&self, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        self.pipeline.accept(outcomes)
    }

    fn finish(&self) -> io::Result<Tally> {
        let (tally, entries) = self.end().map_err(|error| self.where_it_lies(error))?;
        let kept = self.earlier.as_ref().map_or_else(Vec::new, |earlier| earlier.lock().take_kept());
        self.put_in_place(entries, &kept).map_err(|error| self.where_it_lies(error))?;
        Ok(tally)
    }

    fn finish_early(&self) -> io::Result<(Tally, Option<PathBuf>)> {
        let keeps = self.earlier.as_ref().is_some_and(|earlier| !earlier.lock().is_empty());
        if !keeps {
            return Ok((self.finish()?, None));
        }
        let (mut tally, _) = self.end().map_err(|error| self.where_it_lies(error))?;
        tally.dropped = 0;
        Ok((tally, Some(self.partial.clone())))
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
