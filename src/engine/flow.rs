//! Which job of a run may begin, when: those that wait for others, those that are tried again, and the end of a run that has
//! failed too often. A state machine without I/O; whoever streams the jobs feeds it, and a simulator can feed it just as well.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::ops::Range;
use std::time::Duration;

use crate::engine::gates::{Gate, Gates};
use crate::job::{Cause, Terms};

/// When a run stops beginning jobs, for having failed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Halt {
    /// Whether jobs under way are cancelled too, rather than left to end.
    pub now: bool,
    /// At which failures; never if left out.
    pub at: Option<Failures>,
}

/// A number of failed jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Failures {
    /// So many.
    Count(u64),
    /// So many per cent of those that have ended, once three have failed.
    Percent(f64),
}

/// `never`, `soon,fail=3`, `now,fail=10%`.
impl std::str::FromStr for Halt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{}` is no way to halt: use never, soon,fail=N or now,fail=P%", crate::job::shorten(text));
        if text == "never" {
            return Ok(Self::default());
        }
        let (when, failures) = text.split_once(",fail=").ok_or_else(wrong)?;
        let now = match when {
            "now" => true,
            "soon" => false,
            _ => return Err(wrong()),
        };
        let at = match failures.strip_suffix('%') {
            Some(percent) => {
                let percent: f64 = percent.parse().map_err(|_| wrong())?;
                Some(percent).filter(|percent| *percent > 0.0 && *percent <= 100.0).map(Failures::Percent)
            }
            None => failures.parse().ok().filter(|count| *count > 0).map(Failures::Count),
        };
        Ok(Self { now, at: Some(at.ok_or_else(wrong)?) })
    }
}

/// How a run goes about its jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowOptions {
    /// When it stops, for having failed.
    pub halt: Halt,
    /// How often a job that does not say is tried again.
    pub retries: u32,
    /// How long until the first of these tries; each further one waits twice as long, up to a minute or this.
    pub retry_delay: Duration,
    /// Exit codes that can pass: a command that ends with one of them is tried again.
    pub retry_exit_codes: Vec<i32>,
}

/// Tries wait no longer than this, unless the first one does.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(60);

/// What is to become of a job that has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may begin.
    Begin,
    /// It waits for others.
    Wait,
    /// The job in this place, which it was to wait for, has not succeeded.
    Skip(u64),
}

/// What follows from the end of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The job in this place has waited long enough.
    Begin(u64),
    /// The job in this place is not to run, since the other has not succeeded. It has ended by this.
    Skip {
        /// Which.
        job: u64,
        /// The one that it waited for.
        parent: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Pending = 0,
    Succeeded = 1,
    Failed = 2,
}

/// The end of every job, in two bits each.
#[derive(Debug, Default)]
struct Statuses(Vec<u8>);

impl Statuses {
    fn get(&self, job: u64) -> Status {
        let byte = usize::try_from(job / 4).ok().and_then(|at| self.0.get(at)).copied().unwrap_or(0);
        match byte >> (job % 4 * 2) & 3 {
            0 => Status::Pending,
            1 => Status::Succeeded,
            _ => Status::Failed,
        }
    }

    fn set(&mut self, job: u64, status: Status) {
        let Ok(at) = usize::try_from(job / 4) else { return };
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= (status as u8) << (job % 4 * 2);
    }
}

/// A job that waits for others.
#[derive(Debug)]
struct Waiting {
    parents_left: usize,
}

/// A job that can be tried again.
#[derive(Debug)]
struct Tries {
    left: u32,
    delay: Duration,
}

/// The jobs of a run, by their places in it.
#[derive(Debug, Default)]
pub struct Flow {
    options: FlowOptions,
    statuses: Statuses,
    waiting: HashMap<u64, Waiting>,
    /// Who waits for a job or a gate: jobs and gates.
    children: BTreeMap<u64, Vec<u64>>,
    gates: Gates,
    tries: HashMap<u64, Tries>,
    /// Jobs to be tried again, by when.
    delayed: BinaryHeap<Reverse<(Duration, u64)>>,
    ended: u64,
    failed: u64,
}

impl Flow {
    /// No job yet.
    pub fn new(options: FlowOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Takes in the job in this place; all that it waits for lies before it and has been taken in.
    pub fn add(&mut self, job: u64, terms: &Terms) -> Verdict {
        let retries = terms.retries.unwrap_or(self.options.retries);
        if retries > 0 {
            self.tries.insert(job, Tries { left: retries, delay: self.options.retry_delay });
        }
        let mut parents = Vec::with_capacity(terms.after.len());
        let mut failed = None;
        for group in &terms.after {
            if group.end - group.start == 1 {
                parents.push(group.start);
                continue;
            }
            match self.gate(group) {
                Gate::Waiting(number) => parents.push(number),
                Gate::Open => {}
                Gate::Closed(parent) => failed = Some(parent),
            }
        }
        parents.sort_unstable();
        parents.dedup();
        let failed = parents.iter().copied().find(|parent| self.statuses.get(*parent) == Status::Failed).or(failed);
        if let Some(failed) = failed {
            self.give_up_one(job);
            return Verdict::Skip(failed);
        }
        parents.retain(|parent| self.statuses.get(*parent) == Status::Pending);
        if parents.is_empty() {
            return Verdict::Begin;
        }
        self.waiting.insert(job, Waiting { parents_left: parents.len() });
        for parent in parents {
            self.children.entry(parent).or_default().push(job);
        }
        Verdict::Wait
    }

    /// What is known of a group of jobs that one waits for.
    fn gate(&mut self, group: &Range<u64>) -> Gate {
        if let Some(gate) = self.gates.get(group) {
            return gate;
        }
        let mut pending = Vec::new();
        let mut failed = None;
        for job in group.clone() {
            match self.statuses.get(job) {
                Status::Pending => pending.push(job),
                Status::Succeeded => {}
                Status::Failed => failed = failed.or(Some(job)),
            }
        }
        let gate = self.gates.add(group.clone(), pending.len(), failed);
        if let Gate::Waiting(number) = gate {
            for job in pending {
                self.children.entry(job).or_default().push(number);
            }
        }
        gate
    }

    /// Whether a job that has just failed of this is tried again, and when; it has not ended then. The time is on the same clock
    /// as `now`.
    pub fn retry(&mut self, job: u64, cause: Cause, exit_code: Option<i32>, now: Duration) -> bool {
        let can_pass = match cause {
            Cause::DeviceLost | Cause::Timeout => true,
            Cause::ExitCode => exit_code.is_some_and(|code| self.options.retry_exit_codes.contains(&code)),
            _ => false,
        };
        if !can_pass || self.is_halted() {
            return false;
        }
        let Some(tries) = self.tries.get_mut(&job).filter(|tries| tries.left > 0) else { return false };
        tries.left -= 1;
        self.delayed.push(Reverse((now + tries.delay, job)));
        tries.delay = (tries.delay * 2).min(RETRY_DELAY_MAX.max(self.options.retry_delay));
        true
    }

    /// Whether a job that fails now could be tried again.
    pub fn may_be_tried_again(&self, job: u64) -> bool {
        self.tries.get(&job).is_some_and(|tries| tries.left > 0)
    }

    /// Whether a job has not ended.
    pub fn is_pending(&self, job: u64) -> bool {
        self.statuses.get(job) == Status::Pending
    }

    /// A job has ended for good. Gives what follows for others.
    pub fn end(&mut self, job: u64, succeeded: bool) -> Vec<Next> {
        if self.children.is_empty() {
            self.close(job, succeeded);
            return Vec::new();
        }
        let mut next = Vec::new();
        self.close(job, succeeded);
        // What has ended, how, and, where that was a gate, by which job.
        let mut ended = vec![(job, succeeded, job)];
        while let Some((number, succeeded, job)) = ended.pop() {
            for child in self.children.remove(&number).unwrap_or_default() {
                if Gates::is_gate(child) {
                    if self.gates.settles(child, job, succeeded) {
                        ended.push((child, succeeded, job));
                    }
                    continue;
                }
                let Some(waiting) = self.waiting.get_mut(&child) else { continue };
                if !succeeded {
                    self.waiting.remove(&child);
                    next.push(Next::Skip { job: child, parent: job });
                    self.give_up_one(child);
                    ended.push((child, false, child));
                    continue;
                }
                waiting.parents_left -= 1;
                if waiting.parents_left == 0 {
                    self.waiting.remove(&child);
                    next.push(Next::Begin(child));
                }
            }
        }
        next
    }

    fn close(&mut self, job: u64, succeeded: bool) {
        self.statuses.set(job, if succeeded { Status::Succeeded } else { Status::Failed });
        self.tries.remove(&job);
        self.ended += 1;
        self.failed += u64::from(!succeeded);
    }

    /// A job ends without having run, which is no failure of its own: a run does not halt for it.
    pub fn give_up_one(&mut self, job: u64) {
        self.statuses.set(job, Status::Failed);
        self.tries.remove(&job);
        self.ended += 1;
    }

    /// The next job to be tried again, if its time has come.
    pub fn due(&mut self, now: Duration) -> Option<u64> {
        let Reverse((at, job)) = *self.delayed.peek()?;
        (at <= now).then(|| {
            self.delayed.pop();
            job
        })
    }

    /// When the next job is to be tried again.
    pub fn due_at(&self) -> Option<Duration> {
        self.delayed.peek().map(|Reverse((at, _))| *at)
    }

    /// Whether enough has failed for no job to begin any more.
    pub fn is_halted(&self) -> bool {
        match self.options.halt.at {
            None => false,
            Some(Failures::Count(count)) => self.failed >= count,
            Some(Failures::Percent(percent)) => {
                self.failed >= 3 && self.failed as f64 * 100.0 >= percent * self.ended as f64
            }
        }
    }

    /// Whether those under way are to be cancelled as well.
    pub fn halts_now(&self) -> bool {
        self.options.halt.now && self.is_halted()
    }

    /// Gives up every job that waits, for others or for another try: they have ended by this.
    pub fn give_up(&mut self) -> Vec<u64> {
        let mut jobs: Vec<u64> = self.waiting.drain().map(|(job, _)| job).collect();
        jobs.extend(self.delayed.drain().map(|Reverse((_, job))| job));
        jobs.sort_unstable();
        self.children.clear();
        self.gates.clear();
        jobs.iter().for_each(|job| self.give_up_one(*job));
        jobs
    }

    /// How many jobs wait, for others or for another try.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.delayed.len()
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
