//! What is written, statement by statement, within a transaction of somebody else's.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::journal::State;
use crate::journal::entry::{Accepted, Ended, NewJob, Released};

/// So many jobs are forgotten in one go at most: others wait meanwhile.
const FORGET_MAX: u64 = 2000;

/// What a job takes in the database besides what came and what became of it: about so many bytes.
const ROW_BYTES: u64 = 128;

/// Writes a new job down; `None` where its key was used with another body.
pub(super) fn accept(db: &Connection, job: &NewJob, next_seq: &mut u64) -> Result<Option<Accepted>> {
    if let Some(key) = &job.key {
        let mut known = db.prepare_cached("SELECT seq, digest FROM keys WHERE key = ?1")?;
        let known: Option<(u64, Vec<u8>)> =
            known.query_row([&key.key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match known {
            Some((seq, digest)) if digest == key.digest => return Ok(Some(Accepted::Known(seq))),
            Some(_) => return Ok(None),
            None => {}
        }
    }
    let seq = *next_seq;
    let state = if job.begins { State::Running } else { State::Queued };
    db.prepare_cached(
        "INSERT INTO jobs (seq, kind, label, state, priority, attempts, accepted_ms, started_ms, deadline_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        seq,
        &*job.kind,
        job.label.as_deref(),
        state.name(),
        job.priority,
        u32::from(job.begins),
        job.accepted_ms,
        job.begins.then_some(job.accepted_ms),
        job.deadline_ms,
    ])?;
    db.prepare_cached("INSERT INTO requests (seq, request, files) VALUES (?1, ?2, ?3)")?.execute(params![
        seq,
        &*job.request,
        job.files.as_deref()
    ])?;
    if let Some(key) = &job.key {
        db.prepare_cached("INSERT INTO keys (key, digest, seq) VALUES (?1, ?2, ?3)")?.execute(params![
            key.key,
            &key.digest[..],
            seq
        ])?;
    }
    *next_seq += 1;
    Ok(Some(Accepted::New(seq)))
}

/// Notes an attempt of each of these jobs.
pub(super) fn begin(db: &Connection, seqs: &[u64], at_ms: i64) -> Result<()> {
    let mut begin = db.prepare_cached(
        "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_ms = ?2 WHERE seq = ?1 AND ended_ms IS NULL",
    )?;
    seqs.iter().try_for_each(|seq| begin.execute(params![seq, at_ms]).map(|_| ()))
}

/// Notes ends, the first of which has the number `next_end`; gives how many jobs had not ended before. The first end of a job stays.
pub(super) fn end(db: &Connection, ended: &[Ended], next_end: &mut u64) -> Result<usize> {
    // An attempt that was written down (the state says so) and not made does not count; where it was the only one, the job never started.
    let mut end = db.prepare_cached(
        "UPDATE jobs SET state = ?2, cause = ?3, ended_ms = ?4, device = ?6, ended_nr = ?7,
         attempts = attempts - (state = 'running' AND NOT ?8),
         started_ms = CASE WHEN attempts - (state = 'running' AND NOT ?8) > 0 THEN coalesce(?5, started_ms) END
         WHERE seq = ?1 AND ended_ms IS NULL",
    )?;
    let mut outcome = db.prepare_cached("INSERT INTO outcomes (seq, outcome) VALUES (?1, ?2)")?;
    let mut count = 0;
    for Ended { seq, state, cause, ended_ms, started_ms, was_begun, device, outcome: text } in ended {
        let device = device.as_deref();
        if end.execute(params![seq, state.name(), cause, ended_ms, started_ms, device, *next_end, was_begun])? == 1 {
            outcome.execute(params![seq, &**text])?;
            *next_end += 1;
            count += 1;
        }
    }
    Ok(count)
}

/// Notes that jobs have not ended and do not run.
pub(super) fn release(db: &Connection, seqs: &[u64], released: Released) -> Result<()> {
    let mut release = db.prepare_cached(
        "UPDATE jobs SET state = ?2, retries = retries + ?3, attempts = max(attempts - ?4, 0) WHERE seq = ?1 AND ended_ms IS NULL",
    )?;
    let state = if released == Released::ToRetry { State::RetryWait } else { State::Queued };
    let (retries, attempts) = (released == Released::ToRetry, released == Released::Unbegun);
    seqs.iter().try_for_each(|seq| release.execute(params![seq, state.name(), retries, attempts]).map(|_| ()))
}

/// Takes the end of a job back that has not succeeded; gives whether it had ended so.
pub(super) fn reopen(db: &Connection, seq: u64) -> Result<bool> {
    let had_ended = db
        .prepare_cached(
            "UPDATE jobs SET state = 'queued', cause = NULL, device = NULL, ended_ms = NULL, ended_nr = NULL, deadline_ms = NULL, crashes = 0,
             retries = 0
             WHERE seq = ?1 AND ended_ms IS NOT NULL AND state <> 'succeeded'",
        )?
        .execute([seq])?;
    if had_ended == 1 {
        db.prepare_cached("DELETE FROM outcomes WHERE seq = ?1")?.execute([seq])?;
    }
    Ok(had_ended == 1)
}

/// What is too much of the jobs that have ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beyond {
    /// Those that ended before a time are too old.
    pub before_ms: Option<i64>,
    /// So many are too many.
    pub jobs: u64,
    /// The database is longer than it may be by so many bytes.
    pub bytes: u64,
}

/// How long the database is, in bytes, but for what is free in it.
pub(super) fn used_bytes(db: &Connection) -> Result<u64> {
    let ask = |name: &str| -> Result<u64> { db.pragma_query_value(None, name, |row| row.get(0)) };
    Ok((ask("page_count")? - ask("freelist_count")?) * ask("page_size")?)
}

/// Forgets some of those that ended first, of what is too much, but for these. Gives where the files of each lie.
pub(super) fn forget(
    db: &Connection,
    beyond: Beyond,
    spared: &HashSet<u64>,
    next_seq: u64,
) -> Result<Vec<Option<String>>> {
    // How long they are takes longer to find out.
    let mut oldest = db.prepare_cached(if beyond.bytes == 0 {
        "SELECT seq, ended_ms, 0 FROM jobs WHERE ended_nr IS NOT NULL ORDER BY ended_nr LIMIT ?1"
    } else {
        "SELECT seq, ended_ms, octet_length(request) + coalesce(octet_length(outcome), 0)
         FROM jobs JOIN requests USING (seq) LEFT JOIN outcomes USING (seq)
         WHERE ended_nr IS NOT NULL ORDER BY ended_nr LIMIT ?1"
    })?;
    let limit = [FORGET_MAX + spared.len() as u64];
    let oldest = oldest.query_map(limit, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let oldest: Vec<(u64, i64, u64)> = oldest.collect::<Result<_>>()?;
    let is_late = |ended_ms: i64| beyond.before_ms.is_some_and(|before_ms| ended_ms < before_ms);
    let mut too_long = beyond.bytes;
    let mut seqs = Vec::new();
    for (place, (seq, ended_ms, bytes)) in (0..).zip(oldest) {
        if (place < beyond.jobs || is_late(ended_ms) || too_long > 0) && !spared.contains(&seq) {
            seqs.push(seq);
            too_long = too_long.saturating_sub(bytes + ROW_BYTES);
        }
    }
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let mut files = db.prepare_cached("SELECT files FROM requests WHERE seq = ?1")?;
    let files = seqs.iter().map(|seq| Ok(files.query_row([seq], |row| row.get(0)).optional()?.flatten()));
    let files: Vec<Option<String>> = files.collect::<Result<_>>()?;
    for table in ["jobs", "requests", "outcomes", "keys"] {
        let mut delete = db.prepare_cached(&format!("DELETE FROM {table} WHERE seq = ?1"))?;
        for seq in &seqs {
            delete.execute([seq])?;
        }
    }
    // No number is given twice, also where the last one is forgotten.
    db.prepare_cached("INSERT OR REPLACE INTO about VALUES ('last_seq', ?1)")?.execute([(next_seq - 1).to_string()])?;
    Ok(files)
}
