//! What is read beside the writer.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::journal::entry::{Entry, Unfinished};
use crate::journal::schema::said;
use crate::journal::{JournalError, State};

/// The columns of an [`Entry`], in its order.
const COLUMNS: &str =
    "seq, kind, label, state, priority, attempts, accepted_ms, started_ms, ended_ms, deadline_ms, cause, device";

/// So many jobs are looked at for a page at most.
pub(super) const LOOKED_AT_MAX: u32 = 50_000;

/// Which jobs are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of this kind.
    pub kind: Option<String>,
    /// Only those with lower numbers.
    pub before: Option<u64>,
    /// So many at most.
    pub limit: u32,
}

/// Some of the jobs that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The newest first.
    pub entries: Vec<Entry>,
    /// Those that come next have lower numbers than this one; `None` where there are no more.
    pub next: Option<u64>,
}

/// A connection to read by.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    db: Connection,
}

impl Reader {
    pub(super) fn new(path: PathBuf, db: Connection) -> Self {
        Self { path, db }
    }

    fn ask<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        ask(&self.db).map_err(said(&self.path))
    }

    /// The job of this number.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn job(&self, seq: u64) -> Result<Option<Entry>, JournalError> {
        let text = format!("SELECT {COLUMNS} FROM jobs WHERE seq = ?1");
        self.ask(|db| db.prepare_cached(&text)?.query_row([seq], entry).optional())
    }

    /// The job as it came, and where its files lie.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn request(&self, seq: u64) -> Result<Option<(String, Option<String>)>, JournalError> {
        self.ask(|db| {
            let mut request = db.prepare_cached("SELECT request, files FROM requests WHERE seq = ?1")?;
            request.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
    }

    /// Where the files of all jobs lie that came with some.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn files(&self) -> Result<Vec<String>, JournalError> {
        self.ask(|db| {
            let mut files = db.prepare("SELECT files FROM requests WHERE files IS NOT NULL")?;
            files.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Where the files lie of those jobs with higher numbers that have ended without success, the oldest first.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn files_gone_wrong(&self, after: u64, limit: u32) -> Result<Vec<(u64, String)>, JournalError> {
        self.ask(|db| {
            let mut files = db.prepare_cached(
                "SELECT seq, files FROM jobs JOIN requests USING (seq)
                 WHERE state IN ('failed', 'cancelled', 'expired', 'dead') AND seq > ?1 AND files IS NOT NULL ORDER BY seq LIMIT ?2",
            )?;
            files.query_map(params![after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// The job that this key was used for, and what came with it.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn key(&self, key: &str) -> Result<Option<(u64, Vec<u8>)>, JournalError> {
        self.ask(|db| {
            let mut known = db.prepare_cached("SELECT seq, digest FROM keys WHERE key = ?1")?;
            known.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
    }

    /// The outcome of the job of this number, where it has ended.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn outcome(&self, seq: u64) -> Result<Option<String>, JournalError> {
        self.ask(|db| {
            let mut outcome = db.prepare_cached("SELECT outcome FROM outcomes WHERE seq = ?1")?;
            outcome.query_row([seq], |row| row.get(0)).optional()
        })
    }

    /// How many bytes the job of this number takes as it came, and how many its outcome, where it has ended; neither is read.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn lengths(&self, seq: u64) -> Result<Option<(u64, u64)>, JournalError> {
        self.ask(|db| {
            let mut lengths = db.prepare_cached(
                "SELECT octet_length(request), coalesce(octet_length(outcome), 0) FROM requests LEFT JOIN outcomes USING (seq)
                 WHERE seq = ?1",
            )?;
            lengths.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
    }

    /// Jobs, the newest first. No more than so many are looked at in one go: where few are as asked for, fewer than `limit` come, with where
    /// to go on.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Listed, JournalError> {
        let Filter { state, kind, before, limit } = filter;
        // Those states have an index of their own, which is only used where the query says the same.
        let gone_wrong = "AND state IN ('failed', 'cancelled', 'expired', 'dead')";
        let which = match state {
            Some(State::Failed | State::Cancelled | State::Expired | State::Dead) => gone_wrong,
            _ => "",
        };
        // Of those states each row that is looked at is of that state; of the others any.
        let by_index = if which.is_empty() { "" } else { "AND state = ?2" };
        let floor = format!(
            "SELECT seq FROM jobs WHERE seq < ?1 AND ?2 IS ?2 {by_index} {which} ORDER BY seq DESC LIMIT 1 OFFSET {}",
            LOOKED_AT_MAX - 1
        );
        let text = format!(
            "SELECT {COLUMNS} FROM jobs WHERE seq < ?1 AND seq >= ?5 AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR kind = ?3) {which}
             ORDER BY seq DESC LIMIT ?4"
        );
        let before = before.unwrap_or(i64::MAX as u64).min(i64::MAX as u64);
        let state = state.map(State::name);
        self.ask(|db| {
            let is_filtered = state.is_some() || kind.is_some();
            let floor: Option<u64> = match is_filtered {
                true => db.prepare_cached(&floor)?.query_row(params![before, state], |row| row.get(0)).optional()?,
                false => None,
            };
            let mut list = db.prepare_cached(&text)?;
            let entries = list.query_map(params![before, state, kind, limit, floor.unwrap_or(0)], entry)?;
            let entries: Vec<Entry> = entries.collect::<rusqlite::Result<_>>()?;
            let next = match entries.last() {
                Some(last) if entries.len() == *limit as usize => Some(last.seq),
                // All were looked at, unless there are as many as that.
                _ => floor,
            };
            Ok(Listed { entries, next })
        })
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let state: String = row.get(3)?;
    Ok(Entry {
        seq: row.get(0)?,
        kind: row.get(1)?,
        label: row.get(2)?,
        // A state that a person wrote into the file by hand.
        state: State::of_name(&state).unwrap_or(State::Failed),
        priority: row.get(4)?,
        attempts: row.get(5)?,
        accepted_ms: row.get(6)?,
        started_ms: row.get(7)?,
        ended_ms: row.get(8)?,
        deadline_ms: row.get(9)?,
        cause: row.get(10)?,
        device: row.get(11)?,
    })
}

/// The jobs that have not ended, in the order in which they came.
pub(super) fn unfinished(db: &Connection) -> rusqlite::Result<Vec<Unfinished>> {
    let text = format!(
        "SELECT {COLUMNS}, crashes, retries, request, files FROM jobs JOIN requests USING (seq) WHERE ended_ms IS NULL ORDER BY seq"
    );
    let mut left = db.prepare(&text)?;
    let left = left.query_map([], |row| {
        let (request, files): (String, Option<String>) = (row.get(14)?, row.get(15)?);
        Ok(Unfinished {
            entry: entry(row)?,
            crashes: row.get(12)?,
            retries: row.get(13)?,
            request: request.into(),
            files: files.map(Arc::from),
        })
    })?;
    left.collect()
}
