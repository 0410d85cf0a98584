//! Jobs that wait for others: how those are found by what they are called, and what becomes of who waits.

use std::cell::{RefCell, RefMut};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::job::{Cause, JobError, LABEL_MAX};
use crate::journal::{JournalError, State};
use crate::service::datasets::Lease;
use crate::service::ids::seq_of;
use crate::service::intake::{Earlier, Prepared, Refusal};
use crate::service::keeper::{Aside, Keeper};
use crate::service::uploads::{Files, dataset_of};

/// Jobs by what those who sent them call them.
pub(in crate::service) type Labels = HashMap<Arc<str>, u64>;

/// What is known of the jobs that one names.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) enum Named<'a> {
    /// It comes now: those that it names have to be there, under these names or their ids.
    New(&'a Labels),
    /// It was there before, and so were they.
    Before,
    /// They have all succeeded, and it takes their results.
    Ended,
}

/// The jobs before one.
struct JobsBefore<'a> {
    keeper: &'a Keeper,
    named: Named<'a>,
    /// Why some could not be looked up.
    failed: RefCell<Option<JournalError>>,
}

impl JobsBefore<'_> {
    fn fail(&self, error: JournalError) -> String {
        self.failed.replace(Some(error));
        String::new()
    }
}

impl Earlier for JobsBefore<'_> {
    fn number(&self, id: &str) -> Result<Option<u64>, String> {
        let Self { keeper, named, .. } = self;
        let Named::New(labels) = named else { return Ok(seq_of(keeper.tag(), id)) };
        // Nothing is called so, and to look it up would take the longer.
        if id.len() > LABEL_MAX {
            return Ok(None);
        }
        if let Some(seq) = labels.get(id) {
            return Ok(Some(*seq));
        }
        let Some(seq) = seq_of(keeper.tag(), id) else { return Ok(None) };
        let is_live = keeper.live().get(seq).is_some();
        let is_there = is_live || keeper.state_on_disk(seq).map_err(|error| self.fail(error))?.is_some();
        Ok(is_there.then_some(seq))
    }

    fn id(&self, number: u64) -> String {
        self.keeper.id_of(number)
    }

    fn outcome(&self, number: u64) -> Option<Result<String, String>> {
        let Self { keeper, named: Named::Ended, .. } = self else { return None };
        let outcome = keeper.read(|reader| reader.outcome(number)).map_err(|error| self.fail(error));
        Some(outcome.and_then(|outcome| outcome.ok_or_else(|| "its result is kept no longer".to_owned())))
    }
}

/// Whether a text may name other jobs: to find those, the disk may have to be waited for.
pub(in crate::service) fn may_name_jobs(text: &[u8]) -> bool {
    [&b"\"after\""[..], b"$result"].iter().any(|name| memchr::memmem::find(text, name).is_some())
}

impl Keeper {
    /// Makes a job of a text. It blocks where that names other jobs.
    pub fn prepare(&self, text: &str, files: &Files, named: Named<'_>) -> Result<Prepared, Refusal> {
        let leases = RefCell::default();
        let leased = |(path, lease): (PathBuf, Lease)| {
            let mut leases: RefMut<'_, Vec<Lease>> = leases.borrow_mut();
            leases.push(lease);
            path
        };
        let dataset = |name: &str| dataset_of(files, name).or_else(|| self.datasets.path(name).map(leased));
        let before = JobsBefore { keeper: self, named, failed: RefCell::default() };
        let prepared = self.intake.prepare(text, files, &dataset, &before);
        if let Some(error) = before.failed.into_inner() {
            return Err(Refusal::Unreadable(error));
        }
        // What a job refers to has become a path by the time that it is looked at.
        let prepared = prepared.map_err(|refusal| refusal.told(|message| self.untold.of_error(message)));
        prepared.map(|prepared| Prepared { leases: leases.into_inner(), ..prepared })
    }

    pub(super) fn state_on_disk(&self, seq: u64) -> Result<Option<State>, JournalError> {
        Ok(self.read(|reader| reader.job(seq))?.map(|entry| entry.state))
    }

    /// Has a job begin once those have succeeded that it waits for, or end where one has not. It blocks.
    pub(super) fn wait_for_others(self: &Arc<Self>, seq: u64) {
        let awaited = self.live().awaited_by(seq);
        for awaited in awaited {
            if !self.live().tell_of_end(seq, awaited) {
                match self.state_on_disk(awaited) {
                    Ok(Some(state)) if state.is_terminal() => self.awaited_ended(seq, awaited, state),
                    Ok(None) => self.skip(seq, awaited, "kept no longer"),
                    Ok(Some(_)) | Err(_) if self.is_over.load(Ordering::Acquire) => return,
                    // It is about to be here again.
                    Ok(Some(_)) => return self.aside_soon(Aside::Waits(seq)),
                    Err(error) => return self.aside_once_readable(Aside::Waits(seq), &error),
                }
            }
        }
        self.feed();
    }

    /// One that a job waits for has ended.
    pub(super) fn awaited_ended(self: &Arc<Self>, seq: u64, awaited: u64, state: State) {
        match state {
            State::Succeeded => self.live().has_come(seq, awaited),
            state => self.skip(seq, awaited, state.name()),
        }
    }

    fn skip(self: &Arc<Self>, seq: u64, awaited: u64, what: &str) {
        let message = format!("`{}`, which it waits for, is {what}", self.id_of(awaited));
        self.end_unbegun(seq, State::Failed, JobError::new(Cause::Skipped, message));
    }
}
