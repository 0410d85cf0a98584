//! The job log's file, and the thread that writes to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use crate::engine::Outcome;
use crate::report::{JOBLOG_HEAD, write_joblog_line};
use crate::results::Watcher;

/// Where more than this waits to be written, workers wait for the writer.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// A file with a line for each job, in the order in which they end; see [`write_joblog_line`].
///
/// Lines are made on the workers that bring the outcomes, and written by a thread of their own. A file that takes no more ends
/// neither the run nor its results: the error is told at the end.
pub struct JobLog {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write, or nothing more will come.
    work: Condvar,
    /// Workers may add more.
    room: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    ended: bool,
    error: Option<io::Error>,
    broken: bool,
}

impl JobLog {
    /// The file for a log, made if it is not there; what is in it stays until the log begins.
    ///
    /// # Errors
    /// Where it cannot be made, or not be written to.
    pub fn open(path: &Path) -> io::Result<File> {
        // Two that write to one file by mistake leave whole lines, and no holes.
        OpenOptions::new().append(true).create(true).open(path)
    }

    /// A log in the file at `path`, opened so: after what is there, where it is to go on with it (`goes_on`), and else in place of
    /// that.
    ///
    /// # Errors
    /// Where the file cannot be looked at or emptied, or there is no thread to write to it.
    pub fn begin(path: &Path, file: File, goes_on: bool) -> io::Result<Self> {
        let found = file.metadata()?;
        let head = match goes_on && found.is_file() && found.len() > 0 {
            false => {
                if found.is_file() {
                    File::create(path)?;
                }
                JOBLOG_HEAD
            }
            // Its last line may be torn.
            true if last_byte(path)? != b'\n' => "\n",
            true => "",
        };
        Self::new(Box::new(file), head)
    }

    /// A log that begins with this text.
    fn new(out: Box<dyn Write + Send>, head: &str) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.lock().waiting.extend_from_slice(head.as_bytes());
        let writer = std::thread::Builder::new().name("joblog".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.write(out)
        })?;
        Ok(Self { shared, writer: Mutex::new(Some(writer)) })
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// The first that befell a write; what came after it was dropped.
    pub fn finish(&self) -> io::Result<()> {
        self.shared.end();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            return Err(io::Error::other("the thread that writes it panicked"));
        }
        self.shared.lock().error.take().map_or(Ok(()), Err)
    }
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut byte = [0];
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

impl Watcher for JobLog {
    fn note(&self, outcomes: &[Outcome], ended: SystemTime) {
        let ended = ended.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut lines = Vec::with_capacity(outcomes.len() * 64);
        for outcome in outcomes {
            // Writing to memory cannot fail.
            let _ = write_joblog_line(&mut lines, outcome, ended);
        }
        let full = |state: &mut State| !state.broken && state.waiting.len() > MAX_WAITING_BYTES;
        let mut state = self.shared.room.wait_while(self.shared.lock(), full).unwrap_or_else(PoisonError::into_inner);
        if !state.broken {
            state.waiting.extend_from_slice(&lines);
            self.shared.work.notify_one();
        }
    }
}

/// A log that nobody finished takes its thread with it.
impl Drop for JobLog {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().ended = true;
        self.work.notify_one();
    }

    /// The writer's life. What comes while it writes is written together.
    fn write(&self, mut out: Box<dyn Write + Send>) {
        let mut piece = Vec::new();
        loop {
            piece.clear();
            {
                let idle = |state: &mut State| state.waiting.is_empty() && !state.ended;
                let mut state = self.work.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
                std::mem::swap(&mut piece, &mut state.waiting);
            }
            self.room.notify_all();
            if piece.is_empty() {
                return;
            }
            if let Err(error) = out.write_all(&piece).and_then(|()| out.flush()) {
                let mut state = self.lock();
                state.error = Some(error);
                state.broken = true;
                state.waiting = Vec::new();
                drop(state);
                self.room.notify_all();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::{failed, succeeded};

    #[test]
    fn every_outcome_has_its_line_under_the_head_in_the_order_in_which_they_came() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.tsv");
        std::fs::write(&path, "what was there before").unwrap();
        let log = JobLog::begin(&path, JobLog::open(&path).unwrap(), false).unwrap();
        let mut expected = JOBLOG_HEAD.to_owned();
        for index in (0..5000).rev() {
            let outcomes = [succeeded(), failed()].map(|outcome| Outcome { id: index.to_string().into(), ..outcome });
            log.note(&outcomes, SystemTime::UNIX_EPOCH);
            expected += &format!("{index}\t0.000\t3.003000\tgpu:0\tsucceeded\t\t2\t\n");
            expected += &format!("{index}\t0.000\t0.000000\t\tfailed\tbad_input\t1\t\n");
        }
        log.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn a_file_that_takes_no_more_holds_nobody_up_and_is_told_at_the_end() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let log = JobLog::new(Box::new(Full), JOBLOG_HEAD).unwrap();
        let many: Vec<Outcome> = (0..1000).map(|index| Outcome { index, ..failed() }).collect();
        (0..100).for_each(|_| log.note(&many, SystemTime::UNIX_EPOCH));
        assert_eq!(log.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
