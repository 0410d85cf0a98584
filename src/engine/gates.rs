//! Jobs that wait for all jobs of a line with a matrix: each such group is watched once, however many wait for it.

use std::collections::HashMap;
use std::ops::Range;

/// Gates have numbers above those of all jobs, so that they can stand where jobs stand.
const FIRST: u64 = 1 << 63;

/// So many gates are remembered that have opened or closed for good; looking again costs time, and nothing else.
const SETTLED_MAX: usize = 4096;

/// What is known of a group of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Some have not ended, and all that have, succeeded. Who waits for the gate of this number waits for them.
    Waiting(u64),
    /// All have succeeded.
    Open,
    /// This one has not succeeded.
    Closed(u64),
}

/// The groups of jobs that others wait for.
#[derive(Debug, Default)]
pub(super) struct Gates {
    known: HashMap<(u64, u64), Gate>,
    /// Of each gate that waits: its group, and how many of it have not ended.
    waiting: HashMap<u64, (Range<u64>, usize)>,
    made: u64,
}

impl Gates {
    /// Whether a number is that of a gate.
    pub fn is_gate(number: u64) -> bool {
        number >= FIRST
    }

    /// What is known of this group.
    pub fn get(&self, group: &Range<u64>) -> Option<Gate> {
        self.known.get(&(group.start, group.end)).copied()
    }

    /// Remembers a group of which so many have not ended, or one that has not succeeded.
    pub fn add(&mut self, group: Range<u64>, pending: usize, failed: Option<u64>) -> Gate {
        let gate = match (failed, pending) {
            (Some(job), _) => Gate::Closed(job),
            (None, 0) => Gate::Open,
            (None, pending) => {
                let number = FIRST + self.made;
                self.made += 1;
                self.waiting.insert(number, (group.clone(), pending));
                Gate::Waiting(number)
            }
        };
        if self.known.len() >= SETTLED_MAX + self.waiting.len() {
            self.known.retain(|_, gate| matches!(gate, Gate::Waiting(_)));
        }
        self.known.insert((group.start, group.end), gate);
        gate
    }

    /// A job of the gate's group has ended: whether those who wait for the gate are to hear of it.
    pub fn settles(&mut self, number: u64, job: u64, succeeded: bool) -> bool {
        let Some((group, pending)) = self.waiting.get_mut(&number) else { return false };
        *pending -= usize::from(succeeded);
        if succeeded && *pending > 0 {
            return false;
        }
        let key = (group.start, group.end);
        self.waiting.remove(&number);
        self.known.insert(key, if succeeded { Gate::Open } else { Gate::Closed(job) });
        true
    }

    /// Nobody waits any more.
    pub fn clear(&mut self) {
        self.known.clear();
        self.waiting.clear();
    }
}
