//! The tables, and how a connection is set up.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::journal::private::own_database;
use crate::journal::{JournalError, Trouble};

/// The format of the file.
const VERSION: i64 = 4;

/// The log that was written into the file keeps no more than this on the disk, in bytes.
const LOG_BYTES_KEPT: i64 = 64 << 20;

/// The jobs by number, what came and what became of it apart, since what is read often is short.
const TABLES: &str = "
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  label TEXT,
  state TEXT NOT NULL,
  priority INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  crashes INTEGER NOT NULL DEFAULT 0,
  retries INTEGER NOT NULL DEFAULT 0,
  accepted_ms INTEGER NOT NULL,
  started_ms INTEGER,
  ended_ms INTEGER,
  ended_nr INTEGER,
  deadline_ms INTEGER,
  cause TEXT,
  device TEXT
) STRICT;
-- Those are few, and are looked for among many that have succeeded.
CREATE INDEX jobs_gone_wrong ON jobs (state, seq) WHERE state IN ('failed', 'cancelled', 'expired', 'dead');
-- In the order of their ends, whatever the clock says: what has ended first is forgotten first.
CREATE INDEX jobs_ended ON jobs (ended_nr) WHERE ended_nr IS NOT NULL;
CREATE TABLE requests (seq INTEGER PRIMARY KEY, request TEXT NOT NULL, files TEXT) STRICT;
CREATE TABLE outcomes (seq INTEGER PRIMARY KEY, outcome TEXT NOT NULL) STRICT;
CREATE TABLE keys (key TEXT PRIMARY KEY, digest BLOB NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX keys_of_jobs ON keys (seq);
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
";

/// What a file of format 1 lacks.
const SINCE_1: &str = "ALTER TABLE jobs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;";

/// What a file of format 3 lacks.
const SINCE_3: &str = "
ALTER TABLE jobs ADD COLUMN ended_nr INTEGER;
UPDATE jobs SET ended_nr = ends.nr
  FROM (SELECT seq, row_number() OVER (ORDER BY ended_ms, seq) AS nr FROM jobs WHERE ended_ms IS NOT NULL) AS ends
  WHERE jobs.seq = ends.seq;
CREATE INDEX jobs_ended ON jobs (ended_nr) WHERE ended_nr IS NOT NULL;
";

/// What a database says, of this file.
pub(super) fn said(path: &Path) -> impl Fn(rusqlite::Error) -> JournalError + '_ {
    |error| {
        let trouble = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Trouble::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::Busy,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => Trouble::Disk,
            Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => Trouble::Request,
            // Whatever else a database may say is no fault of what was asked of it.
            Some(_) => Trouble::Database,
            // Not the database's word: a value that it has no type for.
            None => Trouble::Request,
        };
        let message = if trouble == Trouble::Full {
            "no room is left on the disk: make some".to_owned()
        } else {
            error.to_string()
        };
        JournalError::Database { path: path.to_owned(), message, trouble }
    }
}

/// Opens the file to write, and makes its tables where it is new.
pub(super) fn open_writer(path: &Path) -> Result<Connection, JournalError> {
    let said = said(path);
    own_database(path).map_err(|error| JournalError::Folder { path: path.to_owned(), message: error.to_string() })?;
    let db = Connection::open(path).map_err(&said)?;
    db.busy_timeout(std::time::Duration::from_secs(10)).map_err(&said)?;
    db.pragma_update(None, "journal_mode", "wal").map_err(&said)?;
    // An acknowledged job survives a loss of power, not only of the process.
    db.pragma_update(None, "synchronous", "full").map_err(&said)?;
    // Checkpoints are made between transactions, by who knows when.
    db.pragma_update(None, "wal_autocheckpoint", 0).map_err(&said)?;
    // One that grew under load is cut once it begins anew.
    db.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT).map_err(&said)?;
    db.pragma_update(None, "cache_size", -32_768).map_err(&said)?;
    db.set_prepared_statement_cache_capacity(64);
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(&said)?;
    match version {
        0 => {
            let tag = new_tag();
            let make = format!(
                "BEGIN; {TABLES} INSERT INTO about VALUES ('tag', '{tag}'); PRAGMA user_version = {VERSION}; COMMIT;"
            );
            db.execute_batch(&make).map_err(&said)?;
        }
        1..VERSION => {
            let since_1 = if version == 1 { SINCE_1 } else { "" };
            // Since format 3 it tells of files by where they lie in the folder; what it says of those before still holds.
            let bring = format!("BEGIN; {since_1} {SINCE_3} PRAGMA user_version = {VERSION}; COMMIT;");
            db.execute_batch(&bring).map_err(&said)?;
        }
        VERSION => {}
        newer => return Err(JournalError::Newer { path: path.to_owned(), found: newer, known: VERSION }),
    }
    Ok(db)
}

/// Opens the file to read.
pub(super) fn open_reader(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(said(path))?;
    db.busy_timeout(std::time::Duration::from_secs(10)).map_err(said(path))?;
    Ok(db)
}

/// What tells the jobs of one journal from those of another: four letters.
fn new_tag() -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz";
    let mut seed = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos() as u64);
    seed ^= u64::from(std::process::id()) << 32;
    let mut random = crate::random::SplitMix64(seed);
    (0..4).map(|_| char::from(LETTERS[(random.next_u64() % LETTERS.len() as u64) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_has_grown_is_cut_once_it_is_written_into_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.sqlite");
        let db = open_writer(&path).unwrap();
        let log_bytes = || path.with_extension("sqlite-wal").metadata().unwrap().len() as i64;
        db.execute("INSERT INTO about VALUES ('long', hex(zeroblob(?1)))", [LOG_BYTES_KEPT / 2 + (1 << 20)]).unwrap();
        assert!(log_bytes() > LOG_BYTES_KEPT, "{}", log_bytes());
        db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
        db.execute("INSERT INTO about VALUES ('short', '')", []).unwrap();
        assert!(log_bytes() <= LOG_BYTES_KEPT, "{}", log_bytes());
    }
}
