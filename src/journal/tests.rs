use std::collections::HashSet;
use std::sync::mpsc;

use super::*;

fn job(request: &str) -> NewJob {
    NewJob {
        kind: "factor".into(),
        label: None,
        priority: 0,
        request: request.into(),
        files: None,
        accepted_ms: 1000,
        deadline_ms: None,
        begins: false,
        key: None,
    }
}

fn ended(seq: u64, state: State, ended_ms: i64) -> Ended {
    Ended {
        seq,
        state,
        cause: None,
        ended_ms,
        started_ms: None,
        was_begun: true,
        device: None,
        outcome: format!("{{\"seq\":{seq}}}").into(),
    }
}

/// Asks, and waits for what is called back.
fn wait<T: Send + 'static>(ask: impl FnOnce(Done<T>)) -> Result<T, JournalError> {
    let (told, answer) = mpsc::channel();
    ask(Box::new(move |result| _ = told.send(result)));
    answer.recv().unwrap()
}

fn accept(journal: &Journal, job: NewJob) -> Result<Accepted, JournalError> {
    wait(|done| journal.accept(job, done))
}

fn open(folder: &tempfile::TempDir) -> (Journal, Vec<Unfinished>) {
    Journal::open(folder.path()).unwrap()
}

#[test]
fn what_was_acknowledged_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, left) = open(&folder);
    assert!(left.is_empty());
    let tag = journal.tag().to_owned();
    let new = NewJob {
        label: Some("é\"".into()),
        priority: -3,
        deadline_ms: Some(9),
        files: Some("{}".into()),
        ..job("{1}")
    };
    assert_eq!(accept(&journal, new).unwrap(), Accepted::New(1));
    assert_eq!(accept(&journal, job("{2}")).unwrap(), Accepted::New(2));
    wait(|done| journal.end(vec![ended(2, State::Succeeded, 1500)], done)).unwrap();
    drop(journal);
    let (journal, left) = open(&folder);
    assert_eq!((journal.tag(), journal.ended(), left.len()), (tag.as_str(), 1, 1));
    let Unfinished { entry, crashes, request, files, .. } = &left[0];
    assert_eq!((entry.seq, entry.state, entry.priority, *crashes), (1, State::Queued, -3, 0));
    assert_eq!((entry.label.as_deref(), entry.deadline_ms), (Some("é\""), Some(9)));
    assert_eq!((&**request, files.as_deref()), ("{1}", Some("{}")));
    let reader = journal.reader().unwrap();
    let second = reader.job(2).unwrap().unwrap();
    assert_eq!((second.state, second.ended_ms, second.attempts), (State::Succeeded, Some(1500), 0));
    assert_eq!(reader.outcome(2).unwrap().as_deref(), Some("{\"seq\":2}"));
    assert!(reader.outcome(1).unwrap().is_none() && reader.job(3).unwrap().is_none());
}

#[test]
fn a_job_that_ran_when_the_process_ended_is_counted_as_a_suspect_and_a_released_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for crash in 0..3 {
        let (journal, left) = open(&folder);
        assert_eq!(left.iter().map(|job| job.crashes).collect::<Vec<_>>(), [crash, 0][..left.len()]);
        if crash == 0 {
            accept(&journal, NewJob { begins: true, ..job("{}") }).unwrap();
            accept(&journal, job("{}")).unwrap();
        }
        wait(|done| journal.begin(vec![1, 2], 7, done)).unwrap();
        journal.release(vec![2], Released::Interrupted);
    }
    let (_journal, left) = open(&folder);
    let told: Vec<_> = left.iter().map(|job| (job.entry.attempts, job.crashes, job.entry.state)).collect();
    assert_eq!(told, [(4, 3, State::Queued), (3, 0, State::Queued)]);
}

#[test]
fn retries_that_are_used_up_stay_so_until_the_job_is_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    accept(&journal, NewJob { begins: true, ..job("{}") }).unwrap();
    journal.release(vec![1], Released::ToRetry);
    wait(|done| journal.begin(vec![1], 7, done)).unwrap();
    journal.release(vec![1], Released::Interrupted);
    drop(journal);
    let (journal, left) = open(&folder);
    assert_eq!((left[0].retries, left[0].entry.attempts), (1, 2));
    wait(|done| journal.end(vec![ended(1, State::Failed, 5)], done)).unwrap();
    assert!(wait(|done| journal.reopen(1, done)).unwrap());
    drop(journal);
    assert_eq!(open(&folder).1[0].retries, 0);
}

#[test]
fn a_file_of_the_first_format_is_brought_to_this_one() {
    // As it was then, whatever a new file is made of now: so it is written out.
    const FORMAT_1: &str = "
        CREATE TABLE jobs (
          seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, label TEXT, state TEXT NOT NULL, priority INTEGER NOT NULL,
          attempts INTEGER NOT NULL, crashes INTEGER NOT NULL DEFAULT 0, accepted_ms INTEGER NOT NULL, started_ms INTEGER,
          ended_ms INTEGER, deadline_ms INTEGER, cause TEXT, device TEXT
        ) STRICT;
        CREATE INDEX jobs_gone_wrong ON jobs (state, seq) WHERE state IN ('failed', 'cancelled', 'expired', 'dead');
        CREATE TABLE requests (seq INTEGER PRIMARY KEY, request TEXT NOT NULL, files TEXT) STRICT;
        CREATE TABLE outcomes (seq INTEGER PRIMARY KEY, outcome TEXT NOT NULL) STRICT;
        CREATE TABLE keys (key TEXT PRIMARY KEY, digest BLOB NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE INDEX keys_of_jobs ON keys (seq);
        CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
        INSERT INTO about VALUES ('tag', 'abcd');
        INSERT INTO jobs (seq, kind, state, priority, attempts, accepted_ms) VALUES (1, 'factor', 'retry_wait', 3, 2, 5);
        INSERT INTO requests VALUES (1, '{1}', NULL);
        INSERT INTO jobs (seq, kind, state, priority, attempts, accepted_ms, ended_ms) VALUES
          (2, 'factor', 'failed', 0, 1, 5, 30), (3, 'factor', 'failed', 0, 1, 5, 10), (4, 'factor', 'failed', 0, 1, 5, 20);
        PRAGMA user_version = 1;";
    let folder = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(folder.path().join("jobs.sqlite")).unwrap();
    db.execute_batch(FORMAT_1).unwrap();
    drop(db);
    let (journal, left) = open(&folder);
    let Unfinished { entry, crashes, retries, request, files } = &left[0];
    assert_eq!((&**request, files.is_none(), *retries, *crashes), ("{1}", true, 0, 0));
    assert_eq!((entry.state, entry.priority, entry.attempts, journal.tag()), (State::RetryWait, 3, 2, "abcd"));
    // Those that had ended, in the order of their ends.
    let forget = |jobs| wait(|done| journal.forget(Kept { jobs, ..Kept::ALL }, Default::default(), done)).unwrap();
    for (jobs, left) in [(2, vec![4, 2, 1]), (1, vec![2, 1])] {
        forget(jobs);
        let listed = journal.reader().unwrap().list(&Filter { limit: 9, ..Filter::default() }).unwrap().entries;
        assert_eq!(listed.iter().map(|entry| entry.seq).collect::<Vec<_>>(), left);
    }
    journal.release(vec![1], Released::ToRetry);
    drop(journal);
    assert_eq!(open(&folder).1[0].retries, 1);
}

#[test]
fn a_key_makes_one_job_and_another_body_none() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    let with = |digest: u8| NewJob { key: Some(IdempotencyKey { key: "k".into(), digest: [digest; 32] }), ..job("{}") };
    assert_eq!(accept(&journal, with(1)).unwrap(), Accepted::New(1));
    assert_eq!(accept(&journal, with(1)).unwrap(), Accepted::Known(1));
    assert!(matches!(accept(&journal, with(2)), Err(JournalError::KeyUsed)));
    assert_eq!(accept(&journal, job("{}")).unwrap(), Accepted::New(2));
    // What is forgotten is forgotten with its key, and its number is not given again.
    wait(|done| journal.end(vec![ended(1, State::Failed, 5), ended(2, State::Failed, 5)], done)).unwrap();
    assert_eq!(
        wait(|done| journal.forget(Kept { jobs: 0, ..Kept::ALL }, Default::default(), done)).unwrap(),
        [None, None]
    );
    drop(journal);
    let (journal, _) = open(&folder);
    assert_eq!(accept(&journal, with(2)).unwrap(), Accepted::New(3));
}

#[test]
fn a_job_ends_once_and_can_be_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    accept(&journal, NewJob { begins: true, ..job("{}") }).unwrap();
    wait(|done| journal.end(vec![ended(1, State::Failed, 5)], done)).unwrap();
    wait(|done| journal.end(vec![Ended { outcome: "other".into(), ..ended(1, State::Succeeded, 6) }], done)).unwrap();
    let reader = journal.reader().unwrap();
    assert_eq!(reader.job(1).unwrap().unwrap().state, State::Failed);
    assert_eq!((reader.outcome(1).unwrap().as_deref(), journal.ended()), (Some("{\"seq\":1}"), 1));
    assert!(wait(|done| journal.reopen(1, done)).unwrap());
    assert!(!wait(|done| journal.reopen(1, done)).unwrap(), "it had not ended");
    assert_eq!((reader.job(1).unwrap().unwrap().state, journal.ended()), (State::Queued, 0));
    wait(|done| journal.end(vec![ended(1, State::Succeeded, 7)], done)).unwrap();
    assert_eq!(reader.job(1).unwrap().unwrap().ended_ms, Some(7));
    assert!(!wait(|done| journal.reopen(1, done)).unwrap(), "it has succeeded");
    assert!(reader.outcome(1).unwrap().is_some());
}

#[test]
fn the_oldest_that_have_ended_are_forgotten_and_their_files_named() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    for seq in 1..=5 {
        let files = (seq == 2).then(|| "{\"a\":\"b\"}".into());
        accept(&journal, NewJob { files, ..job("{}") }).unwrap();
    }
    let ends = [2, 3, 4, 5].map(|seq| ended(seq, State::Succeeded, seq as i64 * 10)).to_vec();
    wait(|done| journal.end(ends, done)).unwrap();
    let forget = |since_ms, jobs| {
        wait(|done| journal.forget(Kept { since_ms, jobs, bytes: None }, Default::default(), done)).unwrap()
    };
    assert_eq!(forget(Some(20), 10).len(), 0);
    assert_eq!(forget(Some(21), 10), [Some("{\"a\":\"b\"}".to_owned())]);
    assert_eq!((forget(None, 2).len(), forget(None, 2).len(), journal.ended()), (1, 0, 2));
    let left = journal.reader().unwrap().list(&Filter { limit: 10, ..Filter::default() }).unwrap().entries;
    assert_eq!(left.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [5, 4, 1], "the first one has not ended");
}

#[test]
fn what_ended_first_is_forgotten_first_whenever_it_came_and_whatever_the_clock_says() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    (1..=4).for_each(|_| _ = accept(&journal, job("{}")).unwrap());
    for (seq, ended_ms) in [(2, 50), (4, 40), (3, 30), (1, 20)] {
        wait(|done| journal.end(vec![ended(seq, State::Failed, ended_ms)], done)).unwrap();
    }
    assert!(wait(|done| journal.reopen(2, done)).unwrap(), "it comes to another end, later");
    drop(journal);
    let (journal, _) = open(&folder);
    wait(|done| journal.end(vec![ended(2, State::Failed, 10)], done)).unwrap();
    let left = |jobs| {
        wait(|done| journal.forget(Kept { jobs, ..Kept::ALL }, Default::default(), done)).unwrap();
        let left = journal.reader().unwrap().list(&Filter { limit: 9, ..Filter::default() }).unwrap().entries;
        left.iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    assert_eq!(left(3), [3, 2, 1]);
    assert_eq!(left(2), [2, 1]);
    assert_eq!(left(1), [2]);
}

#[test]
fn an_attempt_that_was_not_made_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    (1..=3).for_each(|_| _ = accept(&journal, NewJob { begins: true, ..job("{}") }).unwrap());
    let unbegun = |seq| Ended { was_begun: false, ..ended(seq, State::Cancelled, 9) };
    wait(|done| journal.end(vec![unbegun(1)], done)).unwrap();
    journal.release(vec![2], Released::Unbegun);
    journal.release(vec![3], Released::ToRetry);
    wait(|done| journal.end(vec![unbegun(3)], done)).unwrap();
    let reader = journal.reader().unwrap();
    let begun = [1, 2, 3].map(|seq| reader.job(seq).unwrap().unwrap()).map(|job| (job.attempts, job.started_ms));
    assert_eq!((begun[0], begun[1].0, begun[2]), ((0, None), 0, (1, Some(1000))));
}

#[test]
fn the_oldest_leave_a_database_that_is_longer_than_it_may_be_and_no_more_than_have_to() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    let results = 40;
    for seq in 1..=results {
        accept(&journal, job("{}")).unwrap();
        let outcome = "x".repeat(if seq % 2 == 0 { 200_000 } else { 1000 }).into();
        wait(|done| journal.end(vec![Ended { outcome, ..ended(seq, State::Succeeded, 1) }], done)).unwrap();
    }
    let spared = HashSet::from([2]);
    let forget = |bytes| {
        let kept = Kept { bytes: Some(bytes), ..Kept::ALL };
        let mut forgotten = 0;
        loop {
            match wait(|done| journal.forget(kept, spared.clone(), done)).unwrap().len() {
                0 => return forgotten,
                more => forgotten += more as u64,
            }
        }
    };
    assert_eq!(forget(5_000_000), 0, "it is shorter");
    // 200 kB each second one, and some pages for the rest.
    let forgotten = forget(2_000_000);
    assert!((20..=24).contains(&forgotten), "{forgotten}");
    let left = journal.reader().unwrap().list(&Filter { limit: 100, ..Filter::default() }).unwrap().entries;
    let left: Vec<u64> = left.iter().rev().map(|entry| entry.seq).collect();
    let newest = results - (results - 1 - forgotten) + 1..=results;
    assert_eq!(left, [2].into_iter().chain(newest).collect::<Vec<_>>());
    assert_eq!(journal.ended(), left.len() as u64);
    assert_eq!(forget(0), left.len() as u64 - 1, "all that may go");
}

#[test]
fn lists_are_filtered_and_go_on_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    for _ in 0..6 {
        accept(&journal, job("{}")).unwrap();
    }
    wait(|done| {
        journal.end(vec![ended(2, State::Failed, 1), ended(3, State::Succeeded, 1), ended(5, State::Failed, 1)], done)
    })
    .unwrap();
    let reader = journal.reader().unwrap();
    let list = |filter: Filter| reader.list(&filter).unwrap().entries.iter().map(|entry| entry.seq).collect::<Vec<_>>();
    let all = Filter { limit: 4, ..Filter::default() };
    assert_eq!(list(all.clone()), [6, 5, 4, 3]);
    assert_eq!(list(Filter { before: Some(3), ..all.clone() }), [2, 1]);
    assert_eq!(list(Filter { state: Some(State::Failed), ..all.clone() }), [5, 2]);
    assert_eq!(list(Filter { state: Some(State::Succeeded), ..all.clone() }), [3]);
    assert_eq!(list(Filter { kind: Some("stats".into()), ..all.clone() }), [0_u64; 0]);
    assert_eq!(list(Filter { before: Some(u64::MAX), ..all }), [6, 5, 4, 3]);
}

#[test]
fn where_few_are_as_asked_for_no_more_than_so_many_are_looked_at_in_one_go() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    let looked_at = reader::LOOKED_AT_MAX as usize;
    let mut jobs = vec![job("{}"); 2 * looked_at + 10];
    // The first, the last, and one in between are of another kind.
    for at in [0, looked_at + 5, 2 * looked_at + 9] {
        jobs[at].kind = "rare".into();
    }
    jobs.into_iter().for_each(|job| journal.accept(job, Box::new(|accepted| _ = accepted.unwrap())));
    let all = (1..=2 * looked_at as u64 + 10).map(|seq| ended(seq, State::Failed, 1)).collect();
    wait(|done| journal.end(all, done)).unwrap();
    let reader = journal.reader().unwrap();
    for state in [None, Some(State::Failed)] {
        let (mut before, mut pages) = (None, Vec::new());
        loop {
            let filter = Filter { state, kind: Some("rare".into()), before, limit: 4 };
            let Listed { entries, next } = reader.list(&filter).unwrap();
            pages.push(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>());
            before = next;
            if next.is_none() {
                break;
            }
        }
        let looked_at = u64::from(reader::LOOKED_AT_MAX);
        assert_eq!(pages, [vec![2 * looked_at + 10], vec![looked_at + 6], vec![1]], "{state:?}");
    }
}

#[test]
fn what_many_ask_for_at_once_is_all_written_and_each_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    let (told, answers) = mpsc::channel();
    for _ in 0..5000 {
        let told = told.clone();
        journal.accept(job("{}"), Box::new(move |accepted| _ = told.send(accepted.unwrap())));
    }
    let seqs: Vec<Accepted> = answers.iter().take(5000).collect();
    assert_eq!(seqs, (1..=5000).map(Accepted::New).collect::<Vec<_>>());
}

#[test]
fn one_request_that_cannot_be_written_takes_no_other_along() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    let (told, answers) = mpsc::channel();
    for seq in 0..10_i64 {
        let told = told.clone();
        // SQLite has no integers above 2^63: this stands for whatever it refuses.
        let ends = vec![Ended { seq: if seq == 4 { u64::MAX } else { 1 }, ..ended(1, State::Failed, seq) }];
        journal.end(ends, Box::new(move |result| _ = told.send((seq, result.is_ok()))));
    }
    let mut results: Vec<(i64, bool)> = answers.iter().take(10).collect();
    results.sort_unstable();
    assert_eq!(results, (0..10).map(|seq| (seq, seq != 4)).collect::<Vec<_>>());
}

#[test]
fn a_torn_tail_of_the_log_loses_what_was_not_acknowledged_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(&folder);
    for _ in 0..20 {
        accept(&journal, job("{\"n\":12}")).unwrap();
    }
    // As they lie when the process is killed.
    let copy = tempfile::tempdir().unwrap();
    for file in ["jobs.sqlite", "jobs.sqlite-wal"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let log = copy.path().join("jobs.sqlite-wal");
    let whole = std::fs::metadata(&log).unwrap().len();
    for (cut, expected) in [(0, 20..=20), (1, 19..=19), (5000, 17..=19)] {
        let torn = tempfile::tempdir().unwrap();
        for file in ["jobs.sqlite", "jobs.sqlite-wal"] {
            std::fs::copy(copy.path().join(file), torn.path().join(file)).unwrap();
        }
        let file = std::fs::OpenOptions::new().write(true).open(torn.path().join("jobs.sqlite-wal")).unwrap();
        file.set_len(whole - cut).unwrap();
        let (_journal, left) = open(&torn);
        assert!(expected.contains(&left.len()), "{cut} bytes torn off: {} jobs", left.len());
        assert!(left.iter().zip(1..).all(|(job, seq)| job.entry.seq == seq && &*job.request == "{\"n\":12}"));
    }
}

#[test]
fn a_file_of_a_newer_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let path = folder.path().join(FILE_NAME);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Journal::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("newer tandem (format 99"), "{error}");
    std::fs::write(&path, "this is no database, but long enough to be taken for one: ".repeat(200)).unwrap();
    let error = Journal::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("jobs.sqlite: "), "{error}");
}

#[test]
fn what_is_the_databases_own_trouble_may_pass_and_what_was_asked_for_wrongly_may_not() {
    use rusqlite::ffi::{self, Error};

    let may_pass = |code: std::ffi::c_int| {
        let error = rusqlite::Error::SqliteFailure(Error::new(code), None);
        schema::said(std::path::Path::new("x"))(error).may_pass()
    };
    for code in [
        ffi::SQLITE_FULL,
        ffi::SQLITE_BUSY,
        ffi::SQLITE_IOERR,
        ffi::SQLITE_CORRUPT,
        ffi::SQLITE_NOMEM,
        ffi::SQLITE_NOTADB,
    ] {
        assert!(may_pass(code), "{code}");
    }
    let stops_all = |code: std::ffi::c_int| {
        let error = rusqlite::Error::SqliteFailure(Error::new(code), None);
        schema::said(std::path::Path::new("x"))(error).stops_all()
    };
    assert!(stops_all(ffi::SQLITE_FULL) && stops_all(ffi::SQLITE_IOERR) && !stops_all(ffi::SQLITE_CORRUPT));
    for code in [ffi::SQLITE_TOOBIG, ffi::SQLITE_CONSTRAINT, ffi::SQLITE_MISMATCH] {
        assert!(!may_pass(code), "{code}");
    }
}
