//! What is known of the jobs that have not ended: whose turn it is, who waits to be tried again, whose time is up. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::CancelFlag;
use crate::job::Cause;
use crate::journal::State;
use crate::service::quarantine::Quarantine;

mod awaiting;
mod job;
mod queue;
#[cfg(test)]
mod tests;
mod turns;
#[cfg(test)]
mod weighing_tests;

pub(super) use job::{Given, Job, Turns, Unprepared};
use queue::Queue;

/// So many jobs are with the engine at most: enough for it to batch small ones and to keep its devices busy.
const GIVEN_MAX: usize = 4096;

/// A longer one waits as it was sent, and is parsed anew when its turn comes.
const UNPARSED: usize = 8 << 10;

/// What a job takes in memory besides what was sent, in bytes, and how many times that once it is parsed: some 1.9 KiB were measured, and
/// 3 (text) to 14 times (lists of short words), most often 5.
const JOB_BYTES: usize = 2 << 10;
const WAITING_TIMES: usize = 8;

/// What each job takes that another one comes after, in bytes: its number stands in a list and two sets.
const AFTER_BYTES: usize = 64;

/// The first try after a failure waits so long, each further one twice as long.
const RETRY_DELAY: Duration = Duration::from_secs(1);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(60);

/// Why a job cannot be taken in now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// As many wait as may.
    Jobs,
    /// They take as much memory as they may.
    Bytes,
}

/// What becomes of a job that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// It is tried again.
    Retried,
    /// It ends like this.
    Ends(State),
    /// It was not its fault: it goes back to the queue.
    Interrupted,
    /// It goes back to the queue, and was not begun.
    Unbegun,
}

/// Jobs, and their bytes as they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    jobs: usize,
    bytes: usize,
}

impl Load {
    fn of(bytes: usize) -> Self {
        Self { jobs: 1, bytes }
    }
}

impl AddAssign for Load {
    fn add_assign(&mut self, other: Self) {
        self.jobs += other.jobs;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Load {
    fn sub_assign(&mut self, other: Self) {
        self.jobs -= other.jobs;
        self.bytes -= other.bytes;
    }
}

/// What a job is, and has beside it: as much as there is to know of what it takes in memory while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Its bytes as they were sent.
    pub bytes: usize,
    /// How many jobs it comes after.
    pub after: usize,
    /// The text of where its files lie, in bytes.
    pub files_bytes: usize,
}

impl Size {
    /// Of a job that is only what was sent.
    pub fn of(bytes: usize) -> Self {
        Self { bytes, after: 0, files_bytes: 0 }
    }

    fn held_bytes(self) -> usize {
        let sent = if self.bytes > UNPARSED { self.bytes } else { self.bytes * WAITING_TIMES };
        JOB_BYTES + sent + self.after * AFTER_BYTES + self.files_bytes
    }
}

/// The jobs that have not ended.
#[derive(Debug, Default)]
pub(super) struct Live {
    jobs: BTreeMap<u64, Job>,
    queue: Queue,
    retries: BTreeSet<(Duration, u64)>,
    deadlines: BTreeSet<(Duration, u64)>,
    /// Of jobs that others wait for, those.
    dependents: HashMap<u64, BTreeSet<u64>>,
    /// The jobs that those here were to come after, and of how many.
    named: HashMap<u64, usize>,
    quarantine: Quarantine,
    /// Those with the engine, and those whose turn it is once they are parsed: these are in `unprepared`, too.
    given: Load,
    unprepared: BTreeMap<u64, Load>,
    /// Besides these, the one that is weighed: it takes results of others, which may be long, and that is not known before.
    weighed: Option<u64>,
    /// And those of which what they take cannot be read just now.
    unreadable: BTreeSet<u64>,
    /// Those that the engine has said to run.
    begun: usize,
    /// Those that are being written down.
    admitted: Load,
    /// Nothing is given to the engine before: attempts could not be written down.
    held_until: Option<Duration>,
    /// What they take in memory, and how much they may.
    memory_bytes: usize,
    memory_max_bytes: usize,
    queue_max: usize,
    /// Nothing more is given to the engine.
    pub is_draining: bool,
    /// What is cancelled is cancelled for the service's sake, and is to run again.
    pub is_releasing: bool,
}

impl Live {
    /// None yet, of which so many may wait, in so much memory. Those with the engine may take as much again.
    pub fn new(queue_max: usize, memory_max_bytes: usize) -> Self {
        Self { queue_max, memory_max_bytes, ..Self::default() }
    }

    /// The jobs that the process has ended under, each with how often.
    pub fn set_suspects(&mut self, suspects: impl IntoIterator<Item = (u64, u32)>) {
        self.quarantine = Quarantine::new(suspects);
    }

    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The files of those that have any, as the journal holds them.
    pub fn files(&self) -> Vec<Arc<str>> {
        self.jobs.values().filter_map(|job| job.files.clone()).collect()
    }

    /// How many are with the engine.
    pub fn given(&self) -> usize {
        self.given.jobs - self.unprepared.len()
    }

    pub fn get(&self, seq: u64) -> Option<&Job> {
        self.jobs.get(&seq)
    }

    pub fn get_mut(&mut self, seq: u64) -> Option<&mut Job> {
        self.jobs.get_mut(&seq)
    }

    /// Those with lower numbers than this, the newest first.
    pub fn before(&self, seq: u64) -> impl Iterator<Item = (u64, &Job)> {
        self.jobs.range(..seq).rev().map(|(seq, job)| (*seq, job))
    }

    /// Whether there is room for one more.
    pub fn has_room(&self, size: Size) -> Result<(), Full> {
        if self.jobs.len() + self.admitted.jobs >= self.queue_max {
            return Err(Full::Jobs);
        }
        if self.memory_bytes + size.held_bytes() > self.memory_max_bytes && self.memory_bytes > 0 {
            return Err(Full::Bytes);
        }
        Ok(())
    }

    /// Makes room for one that is about to be written down; whether the engine can be given it as soon as it is.
    pub fn admit(&mut self, size: Size) -> Result<bool, Full> {
        self.has_room(size)?;
        let at_once = self.engine_takes(size.bytes, self.given.jobs + self.admitted.jobs == 0)
            && self.queue.is_empty()
            && !self.quarantine.is_waited_for()
            && self.held_until.is_none()
            && !self.is_draining;
        self.admitted += Load::of(size.bytes);
        self.memory_bytes += size.held_bytes();
        Ok(at_once)
    }

    /// Whether the engine gets one more of so many bytes, beside those on their way to it; the first one in any case.
    fn engine_takes(&self, bytes: usize, is_first: bool) -> bool {
        let mut load = self.given;
        load += self.admitted;
        load.jobs < GIVEN_MAX && (load.bytes + bytes <= self.memory_max_bytes / WAITING_TIMES || is_first)
    }

    /// It was not written down, or is there already.
    pub fn dismiss(&mut self, size: Size) {
        self.admitted -= Load::of(size.bytes);
        self.memory_bytes -= size.held_bytes();
    }

    /// It is written down: `begins` says whether its first attempt is, too.
    pub fn insert(&mut self, seq: u64, mut job: Job, begins: bool) -> Inserted {
        let load = Load::of(job.request.len());
        self.admitted -= load;
        if let Some(deadline) = job.deadline {
            self.deadlines.insert((deadline, seq));
        }
        if begins && !self.is_draining {
            job.attempts += 1;
            job.started_ms = Some(job.accepted_ms);
            job.state = State::Running;
            self.given += load;
            let given = Given::of(seq, &mut job);
            self.jobs.insert(seq, job);
            return given.map_or(Inserted::Queued, |given| Inserted::Given(Box::new(given)));
        }
        job.rest();
        self.note_named(&job);
        let awaits = !job.awaits.is_empty();
        if !awaits {
            self.queue.insert(seq, &job);
        }
        self.jobs.insert(seq, job);
        if awaits {
            return Inserted::Awaits;
        }
        if begins { Inserted::Released } else { Inserted::Queued }
    }

    /// Whether nothing is on its way, to the engine or to disk. What is yet to be parsed may take for ever, and the engine is given nothing more.
    pub fn is_settled(&self) -> bool {
        self.given() == 0 && self.admitted.jobs == 0 && !self.jobs.values().any(|job| job.is_over)
    }

    /// Those that are neither with the engine nor over.
    pub fn waiting(&self) -> Vec<u64> {
        self.jobs.iter().filter(|(_, job)| !job.is_over).map(|(seq, _)| *seq).collect()
    }

    /// A job of an earlier process.
    pub fn restore(&mut self, seq: u64, mut job: Job, is_suspect: bool) {
        self.memory_bytes += job.size().held_bytes();
        self.note_named(&job);
        if let Some(deadline) = job.deadline {
            self.deadlines.insert((deadline, seq));
        }
        if !is_suspect {
            job.rest();
            if job.awaits.is_empty() {
                self.queue.insert(seq, &job);
            }
        } else {
            // It has begun, and so they had succeeded.
            job.awaits.clear();
        }
        self.jobs.insert(seq, job);
    }

    /// The engine is done with it, and it has not succeeded. Where it goes back to the queue or is tried again, it has to be prepared
    /// anew.
    pub fn failed(&mut self, seq: u64, cause: Cause, now: Duration) -> AfterFailure {
        self.quarantine.ended(seq);
        let is_releasing = self.is_releasing;
        let Some(job) = self.jobs.get_mut(&seq) else { return AfterFailure::Ends(State::Failed) };
        self.given -= Load::of(job.weight);
        let can_pass = matches!(cause, Cause::DeviceLost | Cause::Timeout);
        let is_ended = can_pass || matches!(cause, Cause::Cancelled | Cause::NotStarted);
        if let Some(state) = job.ends_as.filter(|_| is_ended) {
            job.is_over = true;
            return AfterFailure::Ends(state);
        }
        if cause == Cause::NotStarted || (cause == Cause::Cancelled && is_releasing) {
            job.state = State::Queued;
            self.begun -= usize::from(std::mem::take(&mut job.has_begun));
            self.queue.insert(seq, job);
            if cause == Cause::Cancelled {
                return AfterFailure::Interrupted;
            }
            job.attempts -= 1;
            return AfterFailure::Unbegun;
        }
        // The first failure waits a second, each later one twice as long as the one before.
        if can_pass && job.retries < job.retries_max {
            let doublings = job.retries.min(6);
            job.retries += 1;
            (job.state, job.last_cause) = (State::RetryWait, Some(cause));
            self.begun -= usize::from(std::mem::take(&mut job.has_begun));
            let due = now + (RETRY_DELAY * (1 << doublings)).min(RETRY_DELAY_MAX);
            job.due = due;
            self.retries.insert((due, seq));
            return AfterFailure::Retried;
        }
        job.is_over = true;
        job.ends_as = None;
        AfterFailure::Ends(State::Failed)
    }

    /// The engine is done with it, and it has succeeded.
    pub fn succeeded(&mut self, seq: u64) {
        self.quarantine.ended(seq);
        if let Some(job) = self.jobs.get_mut(&seq) {
            self.given -= Load::of(job.weight);
            job.is_over = true;
            job.ends_as = None;
        }
    }

    /// Somebody wants it to end as this. Where it has not been given to the engine, it is over by this; else its flag has to be
    /// raised. `None` where it is over already, or not there.
    pub fn end_early(&mut self, seq: u64, state: State) -> Option<Early> {
        let job = self.jobs.get_mut(&seq).filter(|job| !job.is_over && job.ends_as.is_none())?;
        job.ends_as = Some(state);
        if job.state == State::Running {
            return Some(Early::Asked(job.cancel.clone()));
        }
        job.is_over = true;
        self.queue.remove(seq, job);
        self.retries.remove(&(job.due, seq));
        self.quarantine.ended(seq);
        self.take_unprepared(seq);
        Some(Early::Over)
    }

    /// It has ended, and that is written down. Gives those, too, that were to be told.
    pub fn remove(&mut self, seq: u64) -> Option<(Job, BTreeSet<u64>)> {
        let job = self.jobs.remove(&seq)?;
        self.memory_bytes -= job.size().held_bytes();
        self.begun -= usize::from(job.has_begun);
        if let Some(deadline) = job.deadline {
            self.deadlines.remove(&(deadline, seq));
        }
        self.forget_named(seq, &job);
        Some((job, self.dependents.remove(&seq).unwrap_or_default()))
    }

    /// Has those queued again that may be tried again now, and gives them.
    pub fn retry_due(&mut self, now: Duration) -> Vec<u64> {
        let mut queued = Vec::new();
        while let Some((_, seq)) = self.retries.first().copied().filter(|(due, _)| *due <= now) {
            self.retries.pop_first();
            if let Some(job) = self.jobs.get_mut(&seq) {
                job.state = State::Queued;
                self.queue.insert(seq, job);
                queued.push(seq);
            }
        }
        queued
    }

    /// Those whose time is up.
    pub fn expire_due(&mut self, now: Duration) -> Vec<u64> {
        let mut expired = Vec::new();
        while let Some((_, seq)) = self.deadlines.first().copied().filter(|(due, _)| *due <= now) {
            self.deadlines.pop_first();
            expired.push(seq);
        }
        expired
    }

    /// When the clock has to be looked at again.
    pub fn due(&self) -> Option<Duration> {
        // Nothing is begun any more, and for the rest once a second will do.
        if self.is_draining {
            return None;
        }
        let first = |set: &BTreeSet<(Duration, u64)>| set.first().map(|(due, _)| *due);
        [first(&self.retries), first(&self.deadlines), self.quarantine.due(), self.held_until]
            .into_iter()
            .flatten()
            .min()
    }

    /// How many are in each of the states that have not ended, as clients see them.
    pub fn counts(&self) -> [(State, usize); 3] {
        let queued = self.jobs.len() - self.begun - self.retries.len();
        [(State::Queued, queued), (State::Running, self.begun), (State::RetryWait, self.retries.len())]
    }
}

/// How a wish to end a job early was met.
#[derive(Debug)]
pub(super) enum Early {
    /// It is over by this.
    Over,
    /// It is with the engine, which has to be told.
    Asked(CancelFlag),
}

/// What becomes of a job that is written down.
#[derive(Debug)]
pub(super) enum Inserted {
    /// The engine gets it.
    Given(Box<Given>),
    /// It waits for its turn.
    Queued,
    /// It waits for other jobs.
    Awaits,
    /// It waits, though its first attempt is written down: the service is about to end.
    Released,
}
