//! How the log of a journal is worked into its file: beside the writer, who would stand still for as long.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rusqlite::{Connection, Result};

use crate::journal::schema::{open_writer, said};
use crate::journal::seldom::Seldom;

/// The log is worked into the file after so many requests, or so long.
const OPS: u64 = 4000;
const AFTER: Duration = Duration::from_secs(20);

/// After one that failed there is none for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// It is looked so often whether it is time.
const LOOK: Duration = Duration::from_millis(100);

/// A log that has grown so long, in bytes, is no usual one; the operator is told of it so often.
const LONG: u64 = 256 << 20;
const TOLD: Duration = Duration::from_secs(60);

/// What the writer and the thread beside it know of each other.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    ops: AtomicU64,
    /// The other thread has done most of it: what is left is little, and the writer can do it while nobody writes.
    is_nearly_done: AtomicBool,
}

/// What one has come to, in pages.
struct Done {
    in_log: i64,
    in_file: i64,
}

impl Checkpoints {
    /// So many requests more are written.
    pub fn count(&self, ops: usize) {
        self.ops.fetch_add(ops as u64, Ordering::Relaxed);
    }

    /// Does what is left to be done of one, between two transactions: only where all of a log is in the file is it begun anew.
    pub fn finish(&self, db: &Connection) {
        if self.is_nearly_done.swap(false, Ordering::AcqRel) {
            let _ = checkpoint(db);
        }
    }

    /// Works the log into the file whenever it is time, until it is told to stop.
    pub fn now_and_then(&self, path: &Path, stopped: &Receiver<()>) {
        let (mut db, mut last, told) = (None, Instant::now(), Seldom::new(TOLD));
        let mut failed: Option<Instant> = None;
        loop {
            match stopped.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let ops = self.ops.load(Ordering::Relaxed);
            let is_pausing = failed.is_some_and(|failed| failed.elapsed() < PAUSE);
            if is_pausing || (ops < OPS && (ops == 0 || last.elapsed() < AFTER)) {
                continue;
            }
            last = Instant::now();
            // Opened once more where that did not go well before: without this the log would grow for ever.
            let done = db
                .take()
                .map_or_else(|| open_writer(path), Ok)
                .and_then(|opened| checkpoint(db.insert(opened)).map_err(said(path)));
            let done = match done {
                Ok(done) => done,
                Err(error) => {
                    (db, failed) = (None, Some(last));
                    if told.is_due() {
                        tracing::warn!(%error, "the log cannot be worked into the file of the journal: tried again");
                    }
                    continue;
                }
            };
            self.ops.fetch_sub(ops, Ordering::Relaxed);
            self.is_nearly_done.store(true, Ordering::Release);
            let bytes = log_bytes(path);
            if done.in_file < done.in_log && bytes > LONG && told.is_due() {
                tracing::warn!(
                    bytes,
                    "the log of the journal grows, since another program reads the journal and does not end that: let it close the file"
                );
            }
        }
    }
}

fn checkpoint(db: &Connection) -> Result<Done> {
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok(Done { in_log: row.get(1)?, in_file: row.get(2)? }))
}

/// How long the log beside a journal is, in bytes.
pub(super) fn log_bytes(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).map_or(0, |log| log.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_stays_keeps_the_log_from_the_file_and_that_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let db = open_writer(&path).unwrap();
        db.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (1)").unwrap();
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        let before = log_bytes(&path);
        db.execute_batch("INSERT INTO t VALUES (randomblob(1000000))").unwrap();
        assert!(log_bytes(&path) >= before + 1_000_000);
        let held = checkpoint(&db).unwrap();
        assert!(held.in_file < held.in_log, "{} of {}", held.in_file, held.in_log);
        reader.execute_batch("COMMIT").unwrap();
        let done = checkpoint(&db).unwrap();
        assert_eq!(done.in_file, done.in_log);
    }
}
