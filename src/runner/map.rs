//! Many jobs as an iterator of outcomes, with bounded look-ahead.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use crate::engine::{CancelFlag, Outcome, OutcomeSink};
use crate::runner::{Job, Runner};

/// How many jobs are submitted ahead of the one whose outcome is asked for, at most. Enough for small jobs to travel in
/// batches.
const LOOK_AHEAD: usize = 4096;

/// And how many before the first outcome: the look-ahead doubles while outcomes are taken, so that the first does not
/// wait for thousands of jobs to be made.
const LOOK_AHEAD_FIRST: usize = 64;

#[derive(Debug, Default)]
struct Arrived {
    /// Outcomes by index, from `first` on; `None` for those still under way.
    ordered: VecDeque<Option<Outcome>>,
    first: u64,
    /// Outcomes as they came.
    completed: VecDeque<Outcome>,
}

#[derive(Debug)]
struct Mailbox {
    in_order: bool,
    arrived: Mutex<Arrived>,
    came: Condvar,
}

impl Mailbox {
    fn lock(&self) -> std::sync::MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl OutcomeSink for Mailbox {
    fn accept(&self, outcomes: Vec<Outcome>) {
        let mut arrived = self.lock();
        for outcome in outcomes {
            if self.in_order {
                let place = (outcome.index - arrived.first) as usize;
                if arrived.ordered.len() <= place {
                    arrived.ordered.resize_with(place + 1, || None);
                }
                arrived.ordered[place] = Some(outcome);
            } else {
                arrived.completed.push_back(outcome);
            }
        }
        drop(arrived);
        self.came.notify_one();
    }
}

/// An iterator over the outcomes of jobs; made by [`Runner::map`]. Dropping it cancels what has not ended.
#[derive(Debug)]
pub struct Map<'a, I> {
    runner: &'a Runner,
    jobs: I,
    mailbox: Arc<Mailbox>,
    cancel: CancelFlag,
    submitted: u64,
    given: u64,
    exhausted: bool,
    /// The look-ahead now, and at most.
    ahead: usize,
    ahead_max: usize,
}

impl<'a, I: Iterator<Item = Job>> Map<'a, I> {
    pub(super) fn new(runner: &'a Runner, jobs: I) -> Self {
        let mailbox = Mailbox { in_order: true, arrived: Mutex::default(), came: Condvar::new() };
        let cancel = CancelFlag::default();
        Self {
            runner,
            jobs,
            mailbox: Arc::new(mailbox),
            cancel,
            submitted: 0,
            given: 0,
            exhausted: false,
            ahead: LOOK_AHEAD_FIRST,
            ahead_max: LOOK_AHEAD,
        }
    }

    /// Outcomes as their jobs end, rather than in the order of the jobs.
    ///
    /// # Panics
    /// Where outcomes were taken already.
    #[must_use]
    pub fn as_completed(mut self) -> Self {
        assert_eq!(self.submitted, 0, "as_completed comes before the first outcome is taken");
        self.mailbox = Arc::new(Mailbox { in_order: false, arrived: Mutex::default(), came: Condvar::new() });
        self
    }

    /// At most so many jobs under way (at least 1): fewer where each holds much memory.
    #[must_use]
    pub fn look_ahead(mut self, jobs: usize) -> Self {
        self.ahead_max = jobs.max(1);
        self.ahead = self.ahead.min(self.ahead_max);
        self
    }

    /// Keeps the look-ahead full, refilling it half at a time so that jobs go in batches.
    fn submit_ahead(&mut self) {
        let under_way = (self.submitted - self.given) as usize;
        if self.exhausted || under_way > self.ahead / 2 {
            return;
        }
        if self.given > 0 {
            self.ahead = (self.ahead * 2).min(self.ahead_max);
        }
        for _ in under_way..self.ahead {
            let Some(job) = self.jobs.next() else {
                self.exhausted = true;
                return;
            };
            self.runner.enqueue(job, self.submitted, self.cancel.clone(), self.mailbox.clone());
            self.submitted += 1;
        }
    }
}

impl<I: Iterator<Item = Job>> Iterator for Map<'_, I> {
    type Item = Outcome;

    fn next(&mut self) -> Option<Outcome> {
        self.submit_ahead();
        if self.given == self.submitted {
            return None;
        }
        let mut arrived = self.mailbox.lock();
        loop {
            if let Some(outcome) = arrived.completed.pop_front() {
                self.given += 1;
                return Some(outcome);
            }
            if let Some(Some(_)) = arrived.ordered.front() {
                arrived.first += 1;
                self.given += 1;
                return arrived.ordered.pop_front().flatten();
            }
            arrived = self.mailbox.came.wait(arrived).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }
}

impl<I> Drop for Map<'_, I> {
    fn drop(&mut self) {
        if self.given < self.submitted {
            self.cancel.cancel();
            self.runner.engine.cancelled();
        }
    }
}
