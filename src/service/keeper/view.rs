//! What is known of jobs, of those that have not ended and of those that are only on disk.

use std::sync::Arc;

use crate::journal::{Entry, Filter, JournalError, Listed, State};
use crate::service::keeper::{Keeper, Unaccepted};
use crate::service::live::Job;

/// A job that was looked for.
#[derive(Clone, Debug)]
pub(in crate::service) struct Found {
    pub entry: Entry,
    /// The job as it came.
    pub request: Arc<str>,
    /// Its outcome, one object of JSON, where it has ended.
    pub outcome: Option<String>,
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
        attempts: job.attempts,
        accepted_ms: job.accepted_ms,
        started_ms: job.started_ms.filter(|_| job.has_begun),
        ended_ms: None,
        deadline_ms: job.deadline_ms,
        cause: None,
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
            Ok(Some(Found { entry, request: request.into(), outcome: reader.outcome(seq)? }))
        })
    }

    /// The job of this number, where it has not ended.
    pub fn find_live(&self, seq: u64) -> Option<Found> {
        let live = self.live();
        let job = live.get(seq)?;
        Some(Found { entry: entry_of(seq, job), request: job.request.clone(), outcome: None })
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
        let is_meant = |seq: u64, job: &Job| {
            filter.before.is_none_or(|before| seq < before)
                && filter.state.is_none_or(|state: State| job.shown_state() == state)
                && filter.kind.as_ref().is_none_or(|kind| kind == job.kind)
        };
        let mut seqs: Vec<u64> = live.iter().filter(|(seq, job)| is_meant(*seq, job)).map(|(seq, _)| seq).collect();
        seqs.sort_unstable_by(|a, b| b.cmp(a));
        seqs.truncate(filter.limit as usize);
        let next = seqs.last().copied().filter(|_| seqs.len() == filter.limit as usize);
        Listed { entries: seqs.iter().filter_map(|seq| live.get(*seq).map(|job| entry_of(*seq, job))).collect(), next }
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
        let prepared = self.prepare(&request, &crate::service::uploads::files_of(files.as_deref()));
        let prepared = prepared.map_err(Unaccepted::Refused)?;
        {
            let live = self.live();
            if live.is_draining {
                return Err(Unaccepted::Draining.into());
            }
            live.has_room(request.len()).map_err(Unaccepted::Full)?;
        }
        let (told, answer) = std::sync::mpsc::channel();
        self.journal().reopen(seq, Box::new(move |reopened| _ = told.send(reopened)));
        if !answer.recv().unwrap_or(Err(JournalError::Closed))? {
            return Ok(Some(false));
        }
        let mut job = Job::new(prepared, request.into(), files.map(Arc::from), entry.accepted_ms);
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
