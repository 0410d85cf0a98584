//! How many jobs there were, and which of them failed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Outcome;
use crate::job::{Cause, JobError};

/// How many failures are kept, each by name.
const MAX_NAMED_FAILURES: usize = 20;

/// A job that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its id.
    pub id: Arc<str>,
    /// Why.
    pub error: JobError,
}

/// A run in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Jobs that ended.
    pub jobs: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were cancelled.
    pub cancelled: u64,
    /// Those that waited for one that did not succeed.
    pub skipped: u64,
    /// Those whose turn did not come before the run was ended.
    pub not_started: u64,
    /// Jobs among them that were not run, since an earlier run has finished them.
    pub kept: u64,
    /// Outcomes of an earlier run that no job has any more.
    pub dropped: u64,
    /// The first of them by their place in the run.
    failures: BTreeMap<u64, Failure>,
}

impl Tally {
    /// Counts an outcome.
    pub fn add(&mut self, outcome: &Outcome) {
        self.jobs += 1;
        let Err(error) = &outcome.result else { return };
        let apart = match error.cause {
            Cause::Cancelled => Some(&mut self.cancelled),
            Cause::Skipped => Some(&mut self.skipped),
            Cause::NotStarted => Some(&mut self.not_started),
            _ => None,
        };
        if let Some(count) = apart {
            *count += 1;
            return;
        }
        self.failed += 1;
        let full = self.failures.len() >= MAX_NAMED_FAILURES;
        if full && self.failures.last_key_value().is_some_and(|(&last, _)| outcome.index > last) {
            return;
        }
        self.failures.insert(outcome.index, Failure { id: outcome.id.clone(), error: error.clone() });
        if self.failures.len() > MAX_NAMED_FAILURES {
            self.failures.pop_last();
        }
    }

    /// Whether every job succeeded.
    pub fn is_clean(&self) -> bool {
        self.failed + self.cancelled + self.skipped + self.not_started == 0
    }

    /// The first failures, at most twenty, in the order of the jobs.
    pub fn failures(&self) -> impl ExactSizeIterator<Item = &Failure> {
        self.failures.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples::{failed, succeeded};

    #[test]
    fn cancelled_jobs_are_counted_apart_and_not_named() {
        let mut tally = Tally::default();
        tally.add(&failed());
        tally.add(&Outcome { result: Err(JobError::new(Cause::Cancelled, "cancelled")), ..failed() });
        assert_eq!((tally.jobs, tally.failed, tally.cancelled, tally.failures().len()), (2, 1, 1, 1));
    }

    #[test]
    fn the_first_twenty_failures_are_kept_in_whatever_order_they_come() {
        let mut tally = Tally::default();
        for index in (0..100).rev() {
            tally.add(&Outcome { index: index * 2, id: index.to_string().into(), ..failed() });
            tally.add(&Outcome { index: index * 2 + 1, ..succeeded() });
        }
        assert_eq!((tally.jobs, tally.failed), (200, 100));
        let ids: Vec<String> = tally.failures().map(|failure| failure.id.to_string()).collect();
        assert_eq!(ids, (0..20).map(|index| index.to_string()).collect::<Vec<_>>());
    }
}
