//! The jobs that wait for their turn, in its order.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::service::live::Job;

/// Of higher priority first, and of one priority what came first.
type Line = BTreeSet<(Reverse<i32>, u64)>;

/// The jobs that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Queue {
    weighed: Line,
    /// Those of which it is not known how long they are, since they take results of others: they are made ready one by one, and nobody else
    /// waits for that.
    unweighed: Line,
}

impl Queue {
    pub fn insert(&mut self, seq: u64, job: &Job) {
        let line = if job.is_weighed() { &mut self.weighed } else { &mut self.unweighed };
        line.insert((Reverse(job.priority), seq));
    }

    pub fn remove(&mut self, seq: u64, job: &Job) {
        let place = (Reverse(job.priority), seq);
        let _ = self.weighed.remove(&place) || self.unweighed.remove(&place);
    }

    /// Whether nobody waits whom another one could go before.
    pub fn is_empty(&self) -> bool {
        self.weighed.is_empty()
    }

    /// The first one of those of which it is known how long they are, or of the others.
    pub fn first(&self, is_weighed: bool) -> Option<u64> {
        let line = if is_weighed { &self.weighed } else { &self.unweighed };
        line.first().map(|(_, seq)| *seq)
    }

    /// Takes it out.
    pub fn take_first(&mut self, is_weighed: bool) {
        let line = if is_weighed { &mut self.weighed } else { &mut self.unweighed };
        line.pop_first();
    }
}
