//! Jobs that wait for others to succeed.

use std::collections::HashSet;
use std::collections::hash_map::Entry;

use crate::service::live::{Job, Live};

impl Live {
    pub(super) fn note_named(&mut self, job: &Job) {
        job.after.iter().for_each(|before| *self.named.entry(*before).or_default() += 1);
    }

    /// The jobs that those here were to come after: what is known of them is needed until then.
    pub fn named(&self) -> HashSet<u64> {
        self.named.keys().copied().collect()
    }

    /// Those that a job waits for, and of which it has to be looked how they are.
    pub fn awaited_by(&self, seq: u64) -> Vec<u64> {
        self.jobs.get(&seq).map(|job| job.awaits.iter().copied().collect()).unwrap_or_default()
    }

    /// Has a job told of the end of another one, where that has not come.
    pub fn tell_of_end(&mut self, seq: u64, awaited: u64) -> bool {
        let is_there = self.jobs.contains_key(&awaited);
        if is_there {
            self.dependents.entry(awaited).or_default().insert(seq);
        }
        is_there
    }

    /// One that it waits for has succeeded: if it was the last, it is queued.
    pub fn has_come(&mut self, seq: u64, awaited: u64) {
        if let Some(job) = self.jobs.get_mut(&seq).filter(|job| !job.is_over)
            && job.awaits.remove(&awaited)
            && job.awaits.is_empty()
        {
            self.queue.insert(seq, job);
        }
    }

    /// A job has ended that named others.
    pub(super) fn forget_named(&mut self, seq: u64, job: &Job) {
        for before in &job.after {
            if let Entry::Occupied(mut count) = self.named.entry(*before) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
            if let Entry::Occupied(mut told) = self.dependents.entry(*before) {
                told.get_mut().remove(&seq);
                if told.get().is_empty() {
                    told.remove();
                }
            }
        }
    }
}
