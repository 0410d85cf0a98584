//! Outcomes read back while the run lasts, for jobs that take values from earlier ones: from the file that the results go to,
//! or, where they go elsewhere, from a temporary one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{Outcome, OutcomeSink};
use crate::job::EarlierResults;
use crate::report::{Detail, write_outcome};
use crate::results::Tally;
use crate::results::file::{Arrivals, ResultsFile};
use crate::results::pipeline::Pipeline;
use crate::results::sink::RunResults;
use crate::results::sorted::Entry;

/// How long until one looks again for an outcome that is still on its way to the disk.
const LOOK: Duration = Duration::from_millis(1);

/// What has not come after this long is not on its way.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads the outcome of a job out of the file that a pipeline writes to, once it is there.
fn read_back<'a>(pipeline: &Pipeline<Arrivals>, file: &'a File, index: u64) -> io::Result<Box<dyn Read + 'a>> {
    let asked = Instant::now();
    loop {
        let (entry, over) = pipeline.look(|arrivals| arrivals.entry_of(index));
        let written = file.metadata()?.len();
        if let Some(entry) = entry.filter(|entry| entry.offset + entry.len <= written)
            && let Some(line) = line_of(file, entry, index)?
        {
            return Ok(line);
        }
        if over || asked.elapsed() > PATIENCE {
            return Err(io::Error::other("it is not among the results that were written"));
        }
        std::thread::sleep(LOOK);
    }
}

/// The line of a job among those of the jobs that follow each other in an entry; `None` where it is not among them.
fn line_of(file: &File, entry: Entry, index: u64) -> io::Result<Option<Box<dyn Read + '_>>> {
    let part = Part { file, at: entry.offset, end: entry.offset + entry.len };
    let mut lines = BufReader::new(part);
    for _ in entry.first..index {
        if lines.skip_until(b'\n')? == 0 {
            return Ok(None);
        }
    }
    let is_there = !lines.fill_buf()?.is_empty();
    Ok(is_there.then(|| Box::new(lines) as Box<dyn Read>))
}

/// A part of a file, read without moving the place that others read or write at.
struct Part<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(room.len());
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(self.file, &mut room[..len], self.at)?;
        // Elsewhere, reading at a place would move the writer's.
        #[cfg(not(unix))]
        let read = Err::<usize, _>(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("{len} bytes of {:?}: only Unix can", self.file),
        ))?;
        self.at += read as u64;
        Ok(read)
    }
}

impl EarlierResults for ResultsFile {
    fn outcome(&self, index: u64) -> io::Result<Box<dyn Read + '_>> {
        if let Some((file, at)) = self.kept_line(index) {
            return Ok(Box::new(BufReader::new(Part { file, at, end: u64::MAX })));
        }
        read_back(&self.pipeline, &self.file, index)
    }
}

impl std::fmt::Debug for ResultsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a results file")
    }
}

/// Results that go on to another sink, and of which those that succeeded are kept in a temporary file without a name, for
/// jobs that take values from them.
///
/// In memory are 24 bytes for each run of successive jobs, and twice that once a value was taken.
pub struct KeptResults<S: ?Sized> {
    pipeline: Pipeline<Arrivals>,
    file: File,
    inner: Arc<S>,
}

impl<S: ?Sized> KeptResults<S> {
    /// Results that go on to `inner`.
    ///
    /// # Errors
    /// Where no temporary file can be made.
    pub fn new(inner: Arc<S>) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        let render =
            Box::new(|outcome: &Outcome, out: &mut dyn io::Write| write_outcome(out, outcome, Detail::RESULTS_ONLY));
        // Where it breaks, those fail who ask for what it does not hold.
        let pipeline = Pipeline::new(Arrivals::default(), Box::new(file.try_clone()?), render, Box::new(|| {}));
        Ok(Self { pipeline, file, inner })
    }
}

impl<S: ?Sized> KeptResults<S> {
    fn keep_succeeded(&self, outcomes: &[Outcome]) {
        let succeeded: Vec<Outcome> = outcomes.iter().filter(|outcome| outcome.result.is_ok()).cloned().collect();
        if !succeeded.is_empty() {
            self.pipeline.accept(succeeded);
        }
    }
}

impl<S: OutcomeSink + ?Sized> OutcomeSink for KeptResults<S> {
    fn accept(&self, outcomes: Vec<Outcome>) {
        self.keep_succeeded(&outcomes);
        self.inner.accept(outcomes);
    }

    // No `keep`: where the outcomes of an earlier run are there, they are read back from its file.
}

impl<S: RunResults + ?Sized> RunResults for KeptResults<S> {
    fn settle(&self, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let outcomes = self.inner.settle(outcomes);
        self.keep_succeeded(&outcomes);
        outcomes
    }

    fn finish_early(&self) -> io::Result<(Tally, Option<PathBuf>)> {
        self.inner.finish_early()
    }

    fn finish(&self) -> io::Result<Tally> {
        self.inner.finish()
    }
}

impl<S: Send + Sync + ?Sized> EarlierResults for KeptResults<S> {
    fn outcome(&self, index: u64) -> io::Result<Box<dyn Read + '_>> {
        read_back(&self.pipeline, &self.file, index)
    }
}

impl<S: ?Sized> std::fmt::Debug for KeptResults<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("results kept in a temporary file")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::report::examples::{failed, succeeded};

    #[derive(Default)]
    struct Seen(Mutex<Vec<u64>>);

    impl OutcomeSink for Seen {
        fn accept(&self, outcomes: Vec<Outcome>) {
            self.0.lock().unwrap().extend(outcomes.iter().map(|outcome| outcome.index));
        }
    }

    fn index_of(results: &dyn EarlierResults, index: u64) -> u64 {
        let mut text = String::new();
        BufReader::new(results.outcome(index).unwrap()).read_line(&mut text).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["index"].as_u64().unwrap()
    }

    #[test]
    fn what_succeeded_is_read_back_while_more_comes_and_all_goes_on_to_the_next_sink() {
        let seen = Arc::new(Seen::default());
        let kept = KeptResults::new(seen.clone()).unwrap();
        std::thread::scope(|scope| {
            // Asked for before it has come.
            let early = scope.spawn(|| index_of(&kept, 2500));
            for start in (0..3000).step_by(100) {
                // Runs of successive jobs, and single ones.
                let (evens, odds): (Vec<u64>, Vec<u64>) = (start..start + 100).partition(|index| index % 50 < 40);
                let outcomes = |of: Vec<u64>| of.into_iter().map(|index| Outcome { index, ..succeeded() }).collect();
                kept.accept(outcomes(odds));
                kept.accept(outcomes(evens));
            }
            assert_eq!(early.join().unwrap(), 2500);
        });
        kept.accept(vec![Outcome { index: 3000, ..failed() }, Outcome { index: 3001, ..succeeded() }]);
        for index in (0..3000).step_by(37).chain([3001]) {
            assert_eq!(index_of(&kept, index), index);
        }
        assert_eq!(seen.0.lock().unwrap().len(), 3002);
    }

    #[test]
    fn the_file_that_results_go_to_serves_them_until_it_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let render =
            Box::new(|outcome: &Outcome, out: &mut dyn io::Write| writeln!(out, "{{\"index\":{}}}", outcome.index));
        let file = ResultsFile::create(&dir.path().join("r.jsonl"), render, Box::new(|| {})).unwrap();
        for index in [5, 3, 4, 0] {
            file.accept(vec![Outcome { index, ..succeeded() }]);
            assert_eq!(index_of(&file, index), index);
        }
        assert_eq!(index_of(&file, 3), 3);
        file.finish().unwrap();
        assert!(file.outcome(7).err().unwrap().to_string().contains("not among the results"));
    }
}
