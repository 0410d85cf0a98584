//! The one thread that writes: whatever waits for it becomes one transaction.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rusqlite::{Connection, TransactionBehavior};

use crate::engine::catch;
use crate::journal::checkpoints::{Checkpoints, log_bytes};
use crate::journal::entry::{Accepted, Ended, Kept, NewJob, Released, Unfinished};
use crate::journal::reader::unfinished;
use crate::journal::schema::{open_reader, open_writer, said};
use crate::journal::statements::{Beyond, accept, begin, end, forget, release, reopen, used_bytes};
use crate::journal::{FILE_NAME, JournalError};

/// Called once what was asked for is on disk, or is not going to be.
pub type Done<T> = Box<dyn FnOnce(Result<T, JournalError>) + Send>;

/// So many requests share a transaction at most.
const SHARED_MAX: usize = 4096;

/// A database that somebody else writes to is waited for so often, each time for as long as a connection waits.
const BUSY_TRIES: u32 = 3;

/// What is asked of the writer.
enum Op {
    Accept(NewJob, Done<Accepted>),
    Begin(Vec<u64>, i64, Done<()>),
    End(Vec<Ended>, Done<()>),
    Release(Vec<u64>, Released),
    Reopen(u64, Done<bool>),
    Forget { kept: Kept, spared: HashSet<u64>, done: Done<Vec<Option<String>>> },
    Flush(Done<()>),
}

/// A journal that is open to write.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    tag: String,
    sender: Option<Sender<Op>>,
    writer: Option<JoinHandle<()>>,
    checkpointer: Option<(Sender<()>, JoinHandle<()>)>,
    ended: Arc<AtomicU64>,
    is_stuck: Arc<AtomicBool>,
}

impl Journal {
    /// Opens the journal in a folder, which is locked, and gives what had not ended when it was left. Of those, the process has ended
    /// under the ones that it had begun: that is counted.
    ///
    /// # Errors
    /// Where the file cannot be opened or is of a newer program.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Unfinished>), JournalError> {
        let path = folder.join(FILE_NAME);
        let db = open_writer(&path)?;
        let said = said(&path);
        db.execute("UPDATE jobs SET crashes = crashes + 1, state = 'queued' WHERE state = 'running'", [])
            .map_err(&said)?;
        let left = unfinished(&db).map_err(&said)?;
        let text = |name: &str| db.query_row("SELECT value FROM about WHERE name = ?1", [name], |row| row.get(0));
        let tag: String = text("tag").map_err(&said)?;
        let last: Option<u64> = db.query_row("SELECT max(seq) FROM jobs", [], |row| row.get(0)).map_err(&said)?;
        // Numbers of jobs that were forgotten are not given again.
        let given: u64 = text("last_seq").ok().and_then(|value: String| value.parse().ok()).unwrap_or(0);
        let in_all: u64 = db.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)).map_err(&said)?;
        let last_end = "SELECT coalesce(max(ended_nr), 0) FROM jobs WHERE ended_nr IS NOT NULL";
        let last_end: u64 = db.query_row(last_end, [], |row| row.get(0)).map_err(&said)?;
        let ended = Arc::new(AtomicU64::new(in_all - left.len() as u64));
        let (sender, receiver) = unbounded();
        let shared = Arc::new(Checkpoints::default());
        let threads = |error: std::io::Error| JournalError::Folder {
            path: folder.to_owned(),
            message: format!("threads cannot be started: {error}"),
        };
        let first_seq = last.unwrap_or(0).max(given) + 1;
        let is_stuck = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            path: path.clone(),
            db,
            next_end: last_end + 1,
            next_seq: first_seq,
            ended: ended.clone(),
            checkpoints: shared.clone(),
            is_stuck: is_stuck.clone(),
            owed: Vec::new(),
        };
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let writer = named("tandem-journal").spawn(move || writer.run(&receiver)).map_err(threads)?;
        let (stop, stopped) = unbounded();
        let file = path.clone();
        let checkpointer = named("tandem-checkpoint").spawn(move || shared.now_and_then(&file, &stopped));
        let checkpointer = Some((stop, checkpointer.map_err(threads)?));
        let (sender, writer) = (Some(sender), Some(writer));
        let journal = Self { path: path.clone(), tag, sender, writer, checkpointer, ended, is_stuck };
        Ok((journal, left))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What tells its jobs from those of other journals.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// How long the log beside the file is, in bytes.
    pub fn log_bytes(&self) -> u64 {
        log_bytes(&self.path)
    }

    /// Whether nothing could be written last time: the disk is full, or cannot be used.
    pub fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::Relaxed)
    }

    /// How many jobs in it have ended.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Writes a new job down.
    pub fn accept(&self, job: NewJob, done: Done<Accepted>) {
        self.send(Op::Accept(job, done));
    }

    /// Notes an attempt of each of these jobs.
    pub fn begin(&self, seqs: Vec<u64>, at_ms: i64, done: Done<()>) {
        self.send(Op::Begin(seqs, at_ms, done));
    }

    /// Notes the ends of jobs.
    pub fn end(&self, ended: Vec<Ended>, done: Done<()>) {
        self.send(Op::End(ended, done));
    }

    /// Notes that jobs that were to be begun have not ended, and do not run. Where that cannot be written it is owed, and goes before
    /// whatever is written next.
    pub fn release(&self, seqs: Vec<u64>, released: Released) {
        self.send(Op::Release(seqs, released));
    }

    /// Takes a job's end back, so that it is queued again; gives whether it had ended.
    pub fn reopen(&self, seq: u64, done: Done<bool>) {
        self.send(Op::Reopen(seq, done));
    }

    /// Forgets some of the jobs that have ended and are not to be kept, those that ended first; but none of `spared`. Gives where the files of each lie, as
    /// they came with it; an empty list where nothing is left to forget.
    pub fn forget(&self, kept: Kept, spared: HashSet<u64>, done: Done<Vec<Option<String>>>) {
        self.send(Op::Forget { kept, spared, done });
    }

    /// Calls back once everything that was asked for before is on disk.
    pub fn flush(&self, done: Done<()>) {
        self.send(Op::Flush(done));
    }

    fn send(&self, op: Op) {
        let refused = match &self.sender {
            Some(sender) => sender.send(op).map_err(|back| back.0),
            None => Err(op),
        };
        if let Err(op) = refused {
            op.refuse(JournalError::Closed);
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some((stop, thread)) = self.checkpointer.take() {
            drop(stop);
            let _ = thread.join();
        }
        // What was asked for is written first. A callback may hold the last reference: waiting would be for itself.
        if let Some(thread) = self.writer.take().filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Op {
    fn refuse(self, error: JournalError) {
        let _ = catch(|| match self {
            Self::Accept(_, done) => done(Err(error)),
            Self::Begin(_, _, done) | Self::End(_, done) | Self::Flush(done) => done(Err(error)),
            // Nobody asks after it, and no result hangs on it: were the process to end now, it would seem to have ended under them.
            Self::Release(seqs, _) => {
                tracing::warn!(%error, jobs = seqs.len(), "it could not be written down that jobs are begun no longer");
            }
            Self::Reopen(_, done) => done(Err(error)),
            Self::Forget { done, .. } => done(Err(error)),
        });
    }
}

/// What is told about an op once its transaction has ended well.
type Told = Box<dyn FnOnce() + Send>;

struct Writer {
    path: PathBuf,
    db: Connection,
    /// The number of the next end.
    next_end: u64,
    next_seq: u64,
    ended: Arc<AtomicU64>,
    checkpoints: Arc<Checkpoints>,
    /// Nothing could be written last time.
    is_stuck: Arc<AtomicBool>,
    /// What is written before anything else, in this order: nobody asks for it again, and a job that is begun anew is not to be
    /// released by what is written later.
    owed: Vec<Op>,
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Op>) {
        while let Ok(first) = receiver.recv() {
            let mut ops = vec![first];
            ops.extend(receiver.try_iter().take(SHARED_MAX - 1));
            self.write(ops);
        }
        // The last one tidies up, so that one file is left.
        let _ = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    /// Writes these in one transaction, or, where one of them may be why that fails, each in its own: so that one that cannot be written
    /// takes no other along. Where the database is busy, since a person writes to it, all wait; where it is full, none can be written.
    fn write(&mut self, asked: Vec<Op>) {
        self.checkpoints.count(asked.len());
        let mut ops = std::mem::take(&mut self.owed);
        ops.extend(asked);
        let mut written = self.transact(&mut ops);
        for _ in 1..BUSY_TRIES {
            if !written.as_ref().is_err_and(JournalError::is_busy) {
                break;
            }
            written = self.transact(&mut ops);
        }
        self.is_stuck.store(written.as_ref().is_err_and(JournalError::may_pass), Ordering::Relaxed);
        match written {
            Ok(told) => told.into_iter().for_each(|told| _ = catch(told)),
            Err(error) if error.stops_all() => {
                let (owed, refused): (Vec<_>, Vec<_>) = ops.into_iter().partition(|op| matches!(op, Op::Release(..)));
                self.owed = owed;
                refused.into_iter().for_each(|op| op.refuse(error.clone()));
            }
            Err(error) if ops.len() == 1 => ops.into_iter().for_each(|op| op.refuse(error.clone())),
            Err(_) => ops.into_iter().for_each(|op| self.write(vec![op])),
        }
        self.checkpoints.finish(&self.db);
    }

    /// Empties `ops` where all were written.
    fn transact(&mut self, ops: &mut Vec<Op>) -> Result<Vec<Told>, JournalError> {
        let next_seq = self.next_seq;
        let mut ended_more = 0_i64;
        let path = self.path.clone();
        let said = said(&path);
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&said)?;
        if self.is_stuck.load(Ordering::Relaxed) {
            // Writing nothing would go well in any case.
            let note = "INSERT OR REPLACE INTO about VALUES ('last_seq', ?1)";
            transaction.execute(note, [(next_seq - 1).to_string()]).map_err(&said)?;
        }
        let mut results = Vec::with_capacity(ops.len());
        let (mut seq, mut next_end) = (next_seq, self.next_end);
        for op in ops.iter() {
            let result = match op {
                Op::Accept(job, _) => match accept(&transaction, job, &mut seq) {
                    Ok(Some(accepted)) => Written::Accepted(Ok(accepted)),
                    Ok(None) => Written::Accepted(Err(JournalError::KeyUsed)),
                    Err(error) => return Err(said(error)),
                },
                Op::Begin(seqs, at_ms, _) => {
                    begin(&transaction, seqs, *at_ms).map(|()| Written::Nothing).map_err(&said)?
                }
                Op::End(ended, _) => {
                    let count = end(&transaction, ended, &mut next_end).map_err(&said)?;
                    ended_more += count as i64;
                    Written::Nothing
                }
                Op::Release(seqs, released) => {
                    release(&transaction, seqs, *released).map(|()| Written::Nothing).map_err(&said)?
                }
                Op::Reopen(seq, _) => {
                    let had_ended = reopen(&transaction, *seq).map_err(&said)?;
                    ended_more -= i64::from(had_ended);
                    Written::Reopened(had_ended)
                }
                Op::Forget { kept, spared, .. } => {
                    let there = self.ended.load(Ordering::Relaxed).saturating_add_signed(ended_more);
                    let long = kept.bytes.map(|bytes| used_bytes(&transaction).map(|used| used.saturating_sub(bytes)));
                    let beyond = Beyond {
                        before_ms: kept.since_ms,
                        jobs: there.saturating_sub(kept.jobs),
                        bytes: long.transpose().map_err(&said)?.unwrap_or(0),
                    };
                    let files = forget(&transaction, beyond, spared, seq).map_err(&said)?;
                    ended_more -= files.len() as i64;
                    Written::Forgotten(files)
                }
                Op::Flush(_) => Written::Nothing,
            };
            results.push(result);
        }
        transaction.commit().map_err(&said)?;
        self.next_seq = seq;
        self.next_end = next_end;
        // Only this thread writes it.
        self.ended.store(self.ended.load(Ordering::Relaxed).saturating_add_signed(ended_more), Ordering::Relaxed);
        Ok(ops.drain(..).zip(results).map(|(op, written)| op.tell(written)).collect())
    }
}

/// What came of an op.
enum Written {
    Accepted(Result<Accepted, JournalError>),
    Reopened(bool),
    Forgotten(Vec<Option<String>>),
    Nothing,
}

impl Op {
    fn tell(self, written: Written) -> Told {
        match (self, written) {
            (Self::Accept(_, done), Written::Accepted(accepted)) => Box::new(move || done(accepted)),
            (Self::Reopen(_, done), Written::Reopened(had_ended)) => Box::new(move || done(Ok(had_ended))),
            (Self::Forget { done, .. }, Written::Forgotten(files)) => Box::new(move || done(Ok(files))),
            (Self::Begin(_, _, done) | Self::End(_, done) | Self::Flush(done), Written::Nothing) => {
                Box::new(move || done(Ok(())))
            }
            (Self::Release(..), Written::Nothing) => Box::new(|| ()),
            (op, _) => Box::new(move || op.refuse(JournalError::Closed)),
        }
    }
}

/// A reader of the same file.
impl Journal {
    /// Opens the file once more, to read.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn reader(&self) -> Result<super::Reader, JournalError> {
        Ok(super::Reader::new(self.path.clone(), open_reader(&self.path)?))
    }
}
