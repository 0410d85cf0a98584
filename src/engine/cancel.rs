//! A wish to end a job early.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::job::{Cause, JobError};
use crate::report::figures::time;

/// Nobody wishes anything.
const GOING_ON: u64 = 0;
/// Somebody cancelled it.
const CANCELLED: u64 = 1;
/// It has taken as long as it may: this and more, the milliseconds that it was given.
const TIMED_OUT: u64 = 2;

/// A wish to end a job early, shared by who may wish it and who looks for it: between chunks, in long loops, while waiting.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<Node>);

/// A flag that somebody else keeps.
pub(crate) struct WeakFlag(Weak<Node>);

impl WeakFlag {
    /// The flag, as long as anybody keeps it.
    pub fn upgrade(&self) -> Option<CancelFlag> {
        self.0.upgrade().map(CancelFlag)
    }
}

#[derive(Debug, Default)]
struct Node {
    state: AtomicU64,
    /// Whether nothing more is to begin.
    draining: AtomicBool,
    /// Whose wish is a wish of this one too.
    parent: Option<CancelFlag>,
}

impl CancelFlag {
    /// A flag of its own, for which a wish of this one counts too: the flag of a job, where this is the flag of a run.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Node { parent: Some(self.clone()), ..Node::default() }))
    }

    /// The same flag, without keeping it: for whoever watches over a job and not over what has ended.
    pub(crate) fn downgrade(&self) -> WeakFlag {
        WeakFlag(Arc::downgrade(&self.0))
    }

    /// Asks for cancellation.
    pub fn cancel(&self) {
        self.0.state.store(CANCELLED, Ordering::Release);
    }

    /// Asks for nothing more to begin; what has begun goes on.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Whether nothing more is to begin.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire) || self.0.parent.as_ref().is_some_and(Self::is_draining)
    }

    /// How a job ends that is not to begin any more; `None` where it may.
    pub fn refusal(&self) -> Option<JobError> {
        let drained = || JobError::new(Cause::NotStarted, "the run was ended before its turn came");
        self.error().or_else(|| self.is_draining().then(drained))
    }

    /// Asks for an end since the time `limit` is over. A cancellation that was asked for before stands.
    pub fn time_out(&self, limit: Duration) {
        let state = TIMED_OUT.saturating_add(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        let _ = self.0.state.compare_exchange(GOING_ON, state, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.state() != GOING_ON
    }

    fn state(&self) -> u64 {
        match (self.0.state.load(Ordering::Acquire), &self.0.parent) {
            (GOING_ON, Some(parent)) => parent.state(),
            (state, _) => state,
        }
    }

    /// How a job that is asked to end ends; `None` where nobody asked.
    pub fn error(&self) -> Option<JobError> {
        match self.state() {
            GOING_ON => None,
            CANCELLED => Some(JobError::new(Cause::Cancelled, "cancelled before it ended")),
            state => {
                let limit = time(Duration::from_millis(state - TIMED_OUT));
                Some(JobError::new(Cause::Timeout, format!("it took longer than the {limit} that it was given")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_for_the_run_is_one_for_its_jobs_and_not_the_other_way_round() {
        let run = CancelFlag::default();
        let (a, b) = (run.child(), run.child());
        a.cancel();
        assert!(a.is_cancelled() && !b.is_cancelled() && !run.is_cancelled());
        assert_eq!(b.error(), None);
        run.cancel();
        assert_eq!(b.error().map(|error| error.cause), Some(Cause::Cancelled));
    }

    #[test]
    fn what_drains_begins_nothing_and_ends_nothing() {
        let run = CancelFlag::default();
        let job = run.child();
        run.drain();
        assert!(job.is_draining() && !job.is_cancelled() && job.error().is_none());
        assert_eq!(job.refusal().unwrap().cause, Cause::NotStarted);
        run.cancel();
        assert_eq!(job.refusal().unwrap().cause, Cause::Cancelled);
    }

    #[test]
    fn a_time_out_says_how_long_it_was_and_does_not_replace_a_cancellation() {
        let flag = CancelFlag::default();
        flag.time_out(Duration::from_secs(30));
        let error = flag.error().unwrap();
        assert_eq!(
            (error.cause, error.message.as_str()),
            (Cause::Timeout, "it took longer than the 30.0 s that it was given")
        );
        let flag = CancelFlag::default();
        flag.cancel();
        flag.time_out(Duration::from_secs(30));
        assert_eq!(flag.error().unwrap().cause, Cause::Cancelled);
    }
}
