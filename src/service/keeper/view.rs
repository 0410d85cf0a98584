//! What is known of jobs, of those that have not ended and of those that are only on disk.

use std::sync::{Arc, PoisonError};

use crate::journal::{Entry, Filter, IdempotencyKey, JournalError, Listed, State};
use crate::service::clock::{after_ms, wall_ms};
use crate::service::keeper::{Keeper, Named, Unaccepted};
use crate::service::live::Job;
use crate::service::uploads::are_there;

/// A job that was looked for.
#[derive(Clone, Debug)]
pub(in crate::service) struct Found {
    pub entry: Entry,
    /// The job as it came.
    pub request: Arc<str>,
    /// Its outcome, one object of JSON, where it has ended.
    pub outcome: Option<String>,
    /// The jobs that have to succeed first.
    pub awaits: Vec<u64>,
    /// When it is tried again, while it waits for that, by the clock on the wall.
    pub retry_ms: Option<i64>,
}

/// What the outcome of a job is taken apart into, as it was written.
#[derive(Debug, Default, serde::Deserialize)]
pub(in crate::service) struct Outcomes<'a> {
    #[serde(borrow)]
    pub result: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow)]
    pub error: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow)]
    pub timings_ms: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow)]
    pub plan: Option<&'a serde_json::value::RawValue>,
}

fn entry_of(seq: u64, job: &Job) -> Entry {
    Entry {
        seq,
        kind: job.kind.to_owned(),
        label: job.label.as_deref().map(str::to_owned),
        state: job.shown_state(),
        priority: job.priority,
        attempts: job.shown_attempts(),
        accepted_ms: job.accepted_ms,
        started_ms: job.started_ms.filter(|_| job.has_begun),
        ended_ms: None,
        deadline_ms: job.deadline_ms,
        cause: job.last_cause.filter(|_| job.state == State::RetryWait).map(|cause| cause.name().to_owned()),
        device: None,
    }
}

impl Keeper {
    /// The job of this number. It blocks where the job has ended.
    pub fn find(&self, seq: u64) -> Result<Option<Found>, JournalError> {
        if let Some(found) = self.find_live(seq) {
            return Ok(Some(found));
        }
        self.read(|reader| {
            let Some(entry) = reader.job(seq)? else { return Ok(None) };
            let (request, _) = reader.request(seq)?.unwrap_or_default();
            Ok(Some(Found {
                entry,
                request: request.into(),
                outcome: reader.outcome(seq)?,
                awaits: Vec::new(),
                retry_ms: None,
            }))
        })
    }

    /// The state of the job of this number. It blocks where the job has ended.
    pub fn state(&self, seq: u64) -> Result<Option<State>, JournalError> {
        let shown = self.live().get(seq).map(Job::shown_state);
        if shown.is_some() { Ok(shown) } else { self.state_on_disk(seq) }
    }

    /// How many bytes are read for what [`find`](Self::find) gives. It blocks.
    pub fn length(&self, seq: u64) -> Result<usize, JournalError> {
        let (request, outcome) = self.read(|reader| reader.lengths(seq))?.unwrap_or_default();
        Ok(usize::try_from(request + outcome).unwrap_or(usize::MAX))
    }

    /// The job of this number, where it has not ended.
    pub fn find_live(&self, seq: u64) -> Option<Found> {
        let live = self.live();
        let job = live.get(seq)?;
        Some(Found {
            entry: entry_of(seq, job),
            request: job.request.clone(),
            outcome: None,
            awaits: job.awaits.iter().copied().collect(),
            retry_ms: (job.state == State::RetryWait).then(|| after_ms(wall_ms(), job.due.saturating_sub(self.now()))),
        })
    }

    /// Jobs, the newest first. It blocks.
    pub fn list(&self, filter: &Filter) -> Result<Listed, JournalError> {
        if filter.state.is_some_and(|state| !state.is_terminal()) {
            return Ok(self.list_live(filter));
        }
        let mut listed = self.read(|reader| reader.list(filter))?;
        let live = self.live();
        for entry in listed.entries.iter_mut().filter(|entry| !entry.state.is_terminal()) {
            if let Some(job) = live.get(entry.seq) {
                *entry = entry_of(entry.seq, job);
            }
        }
        Ok(listed)
    }

    fn list_live(&self, filter: &Filter) -> Listed {
        let live = self.live();
        let is_meant = |job: &Job| {
            filter.state.is_none_or(|state: State| job.shown_state() == state)
                && filter.kind.as_ref().is_none_or(|kind| kind == job.kind)
        };
        let older = live.before(filter.before.unwrap_or(u64::MAX)).filter(|(_, job)| is_meant(job));
        let entries: Vec<Entry> = older.take(filter.limit as usize).map(|(seq, job)| entry_of(seq, job)).collect();
        let next = entries.last().map(|last| last.seq).filter(|_| entries.len() == filter.limit as usize);
        Listed { entries, next }
    }

    /// The job that a key was used for before: the same one, where the same came with it. It blocks.
    pub fn known(&self, key: &IdempotencyKey) -> Result<Option<u64>, JournalError> {
        match self.read(|reader| reader.key(&key.key))? {
            Some((seq, digest)) if digest == key.digest => Ok(Some(seq)),
            Some(_) => Err(JournalError::KeyUsed),
            None => Ok(None),
        }
    }

    /// Runs a job again that has ended without success. `None` where there is none; whether it is queued now. It blocks.
    pub fn retry(self: &Arc<Self>, seq: u64) -> Result<Option<bool>, NotRetried> {
        if self.find_live(seq).is_some() {
            return Ok(Some(false));
        }
        let Some(entry) = self.read(|reader| reader.job(seq))? else { return Ok(None) };
        if entry.state == State::Succeeded {
            return Ok(Some(false));
        }
        let Some((request, files)) = self.read(|reader| reader.request(seq))? else { return Ok(None) };
        let sent = self.uploads.files_of(files.as_deref());
        let prepared = if are_there(&sent) { Some(self.prepare(&request, &sent, Named::Before)) } else { None };
        // They stay where they are until it is queued.
        let _files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = prepared.filter(|_| are_there(&sent)).ok_or(NotRetried::FilesGone)?;
        let prepared = prepared.map_err(Unaccepted::Refused)?;
        let mut job = Job::new(prepared, request.into(), files.map(Arc::from), entry.accepted_ms);
        {
            let live = self.live();
            if live.is_draining {
                return Err(Unaccepted::Draining.into());
            }
            live.has_room(job.size()).map_err(Unaccepted::Full)?;
        }
        let (told, answer) = std::sync::mpsc::channel();
        self.journal().reopen(seq, Box::new(move |reopened| _ = told.send(reopened)));
        if !answer.recv().unwrap_or(Err(JournalError::Closed))? {
            return Ok(Some(false));
        }
        job.cancel = self.run_flag();
        job.attempts = entry.attempts;
        self.take_back(seq, job);
        Ok(Some(true))
    }
}

/// Why a job is not run again.
#[derive(Debug)]
pub(in crate::service) enum NotRetried {
    /// As if it had come anew.
    Unaccepted(Unaccepted),
    /// Its files have made room for others.
    FilesGone,
    /// The journal cannot be used.
    Journal(JournalError),
}

impl From<Unaccepted> for NotRetried {
    fn from(unaccepted: Unaccepted) -> Self {
        Self::Unaccepted(unaccepted)
    }
}

impl From<JournalError> for NotRetried {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}
