//! What is known of the jobs that have not ended: whose turn it is, who waits to be tried again, whose time is up. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::engine::CancelFlag;
use crate::job::Cause;
use crate::journal::State;
use crate::service::intake::Prepared;
use crate::service::quarantine::{Permitted, Quarantine};

/// So many jobs are with the engine at most: enough for it to batch small ones and to keep its devices busy.
const GIVEN_MAX: usize = 4096;

/// Jobs that wait take so many bytes together at most, as they were sent.
const BYTES_MAX: usize = 512 << 20;

/// The first try after a failure waits so long, each further one twice as long.
const RETRY_DELAY: Duration = Duration::from_secs(1);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(60);

/// A job that has not ended.
#[derive(Debug)]
pub(super) struct Job {
    pub kind: &'static str,
    pub label: Option<Arc<str>>,
    pub priority: i32,
    pub request: Arc<str>,
    pub files: Option<Arc<str>>,
    /// There until it is given to the engine.
    pub prepared: Option<Prepared>,
    pub state: State,
    /// Whether the engine runs it by itself; of small jobs it never says so.
    pub has_begun: bool,
    pub attempts: u32,
    pub retries_left: u32,
    /// When it is tried again, while it waits for that.
    pub due: Duration,
    pub accepted_ms: i64,
    pub started_ms: Option<i64>,
    pub deadline_ms: Option<i64>,
    /// The same by the clock that only goes forward.
    pub deadline: Option<Duration>,
    pub cancel: CancelFlag,
    /// How it is to end, where somebody has had it cancelled.
    pub ends_as: Option<State>,
    /// Whether its outcome is there, and only has to be written down.
    pub is_over: bool,
    /// Who wants to know when it has ended.
    pub waiting: Vec<oneshot::Sender<()>>,
}

impl Job {
    /// A job that was just accepted.
    pub fn new(prepared: Prepared, request: Arc<str>, files: Option<Arc<str>>, accepted_ms: i64) -> Self {
        Self {
            kind: prepared.kind,
            label: prepared.label.clone(),
            priority: prepared.terms.priority,
            request,
            files,
            state: State::Queued,
            has_begun: false,
            attempts: 0,
            retries_left: prepared.terms.retries.unwrap_or(0),
            due: Duration::ZERO,
            accepted_ms,
            started_ms: None,
            deadline_ms: None,
            deadline: None,
            cancel: CancelFlag::default(),
            ends_as: None,
            is_over: false,
            waiting: Vec::new(),
            prepared: Some(prepared),
        }
    }

    /// What clients are told: it runs once it has begun, and not while it waits within the engine.
    pub fn shown_state(&self) -> State {
        match self.state {
            State::Running if !self.has_begun => State::Queued,
            state => state,
        }
    }
}

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
    Released,
}

/// The jobs that have not ended.
#[derive(Debug, Default)]
pub(super) struct Live {
    jobs: HashMap<u64, Job>,
    queue: BTreeSet<(Reverse<i32>, u64)>,
    retries: BTreeSet<(Duration, u64)>,
    deadlines: BTreeSet<(Duration, u64)>,
    quarantine: Quarantine,
    /// Those with the engine.
    given: usize,
    /// Those that are being written down.
    admitted: usize,
    /// Those that come have this number at least.
    next: u64,
    bytes: usize,
    queue_max: usize,
    /// Nothing more is given to the engine.
    pub is_draining: bool,
    /// What is cancelled is cancelled for the service's sake, and is to run again.
    pub is_releasing: bool,
}

impl Live {
    /// None yet, of which so many may wait; the next one has this number.
    pub fn new(queue_max: usize, next: u64) -> Self {
        Self { queue_max, next, ..Self::default() }
    }

    /// The jobs that the process has ended under, each with how often.
    pub fn set_suspects(&mut self, suspects: impl IntoIterator<Item = (u64, u32)>) {
        self.quarantine = Quarantine::new(suspects);
    }

    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// No job has a lower number, of those that are here and those that are being written down.
    pub fn first(&self) -> u64 {
        self.jobs.keys().min().copied().unwrap_or(self.next)
    }

    /// How many are with the engine.
    pub fn given(&self) -> usize {
        self.given
    }

    pub fn get(&self, seq: u64) -> Option<&Job> {
        self.jobs.get(&seq)
    }

    pub fn get_mut(&mut self, seq: u64) -> Option<&mut Job> {
        self.jobs.get_mut(&seq)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &Job)> {
        self.jobs.iter().map(|(seq, job)| (*seq, job))
    }

    /// Whether there is room for a job of so many bytes.
    pub fn has_room(&self, bytes: usize) -> Result<(), Full> {
        if self.jobs.len() + self.admitted >= self.queue_max {
            return Err(Full::Jobs);
        }
        if self.bytes + bytes > BYTES_MAX && self.bytes > 0 {
            return Err(Full::Bytes);
        }
        Ok(())
    }

    /// Makes room for a job of so many bytes that is about to be written down; whether it can be given to the engine as soon as it is.
    pub fn admit(&mut self, bytes: usize) -> Result<bool, Full> {
        self.has_room(bytes)?;
        self.admitted += 1;
        self.bytes += bytes;
        let at_once = self.given + self.admitted <= GIVEN_MAX
            && self.queue.is_empty()
            && self.quarantine.due().is_none()
            && !self.is_draining;
        Ok(at_once)
    }

    /// It was not written down, or is there already.
    pub fn dismiss(&mut self, bytes: usize) {
        self.admitted -= 1;
        self.bytes -= bytes;
    }

    /// It is written down: `begins` says whether its first attempt is, too.
    pub fn insert(&mut self, seq: u64, mut job: Job, begins: bool) -> Inserted {
        self.admitted -= 1;
        self.next = seq + 1;
        if let Some(deadline) = job.deadline {
            self.deadlines.insert((deadline, seq));
        }
        if begins && !self.is_draining {
            job.attempts += 1;
            job.started_ms = Some(job.accepted_ms);
            job.state = State::Running;
            self.given += 1;
            let given = Given::of(seq, &mut job);
            self.jobs.insert(seq, job);
            return given.map_or(Inserted::Queued, |given| Inserted::Given(Box::new(given)));
        }
        self.queue.insert((Reverse(job.priority), seq));
        self.jobs.insert(seq, job);
        if begins { Inserted::Released } else { Inserted::Queued }
    }

    /// Whether nothing is on its way, to the engine or to disk.
    pub fn is_settled(&self) -> bool {
        self.given == 0 && self.admitted == 0 && !self.jobs.values().any(|job| job.is_over)
    }

    /// Those that are neither with the engine nor over.
    pub fn waiting(&self) -> Vec<u64> {
        self.jobs.iter().filter(|(_, job)| !job.is_over).map(|(seq, _)| *seq).collect()
    }

    /// A job of an earlier process.
    pub fn restore(&mut self, seq: u64, job: Job, is_suspect: bool) {
        self.bytes += job.request.len();
        if let Some(deadline) = job.deadline {
            self.deadlines.insert((deadline, seq));
        }
        if !is_suspect {
            self.queue.insert((Reverse(job.priority), seq));
        }
        self.jobs.insert(seq, job);
    }

    /// Those whose turn it is now. Their attempts have to be written down before the engine gets them; those that were run before have to
    /// be prepared once more, and are asked for again then.
    pub fn take_turns(&mut self, now: Duration, now_ms: i64) -> Turns {
        let mut turns = Turns::default();
        let given = &mut turns.given;
        if self.is_draining {
            return turns;
        }
        let mut others = true;
        loop {
            match self.quarantine.next(now) {
                Permitted::Suspects { jobs, others: are_free } => {
                    others = are_free;
                    let before = given.len();
                    for seq in &jobs {
                        match Self::give(&mut self.jobs, *seq, now_ms) {
                            Turn::Given(job) => given.push(*job),
                            Turn::Unprepared => turns.unprepared.push(*seq),
                            Turn::Over => self.quarantine.ended(*seq),
                        }
                    }
                    if given.len() > before || !turns.unprepared.is_empty() {
                        break;
                    }
                }
                Permitted::Nobody => {
                    others = false;
                    break;
                }
                Permitted::Others => break,
            }
        }
        let mut left = GIVEN_MAX.saturating_sub(self.given + given.len());
        while others && left > 0 {
            let Some((_, seq)) = self.queue.pop_first() else { break };
            match Self::give(&mut self.jobs, seq, now_ms) {
                Turn::Given(job) => {
                    given.push(*job);
                    left -= 1;
                }
                Turn::Unprepared => turns.unprepared.push(seq),
                Turn::Over => {}
            }
        }
        self.given += given.len();
        turns
    }

    fn give(jobs: &mut HashMap<u64, Job>, seq: u64, now_ms: i64) -> Turn {
        let Some(job) = jobs.get_mut(&seq).filter(|job| !job.is_over) else { return Turn::Over };
        let Some(given) = Given::of(seq, job) else { return Turn::Unprepared };
        (job.state, job.has_begun, job.started_ms) = (State::Running, false, Some(now_ms));
        job.attempts += 1;
        Turn::Given(Box::new(given))
    }

    /// A job can be run again with this: it is its turn once more.
    pub fn put_prepared(&mut self, seq: u64, prepared: Prepared) {
        if let Some(job) = self.jobs.get_mut(&seq).filter(|job| !job.is_over) {
            job.prepared = Some(prepared);
            self.queue.insert((Reverse(job.priority), seq));
        }
    }

    /// The engine is done with it, and it has not succeeded. Where it goes back to the queue or is tried again, it has to be prepared
    /// anew.
    pub fn failed(&mut self, seq: u64, cause: Cause, now: Duration) -> AfterFailure {
        self.given -= 1;
        self.quarantine.ended(seq);
        let (is_draining, is_releasing) = (self.is_draining, self.is_releasing);
        let Some(job) = self.jobs.get_mut(&seq) else { return AfterFailure::Ends(State::Failed) };
        job.has_begun = false;
        let can_pass = matches!(cause, Cause::DeviceLost | Cause::Timeout);
        let is_ended = can_pass || matches!(cause, Cause::Cancelled | Cause::NotStarted);
        if let Some(state) = job.ends_as.filter(|_| is_ended) {
            job.is_over = true;
            return AfterFailure::Ends(state);
        }
        if cause == Cause::NotStarted || (cause == Cause::Cancelled && is_releasing) {
            job.state = State::Queued;
            self.queue.insert((Reverse(job.priority), seq));
            return AfterFailure::Released;
        }
        // The first failure waits a second, each later one twice as long as the one before.
        if can_pass && !is_draining && job.retries_left > 0 {
            job.retries_left -= 1;
            job.state = State::RetryWait;
            let doublings = job.attempts.saturating_sub(1).min(6);
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
        self.given -= 1;
        self.quarantine.ended(seq);
        if let Some(job) = self.jobs.get_mut(&seq) {
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
        self.queue.remove(&(Reverse(job.priority), seq));
        self.retries.remove(&(job.due, seq));
        self.quarantine.ended(seq);
        Some(Early::Over)
    }

    /// It has ended, and that is written down.
    pub fn remove(&mut self, seq: u64) -> Option<Job> {
        let job = self.jobs.remove(&seq)?;
        self.bytes -= job.request.len();
        if let Some(deadline) = job.deadline {
            self.deadlines.remove(&(deadline, seq));
        }
        Some(job)
    }

    /// Those that may be tried again now, back in the queue.
    pub fn retry_due(&mut self, now: Duration) {
        while let Some((_, seq)) = self.retries.first().copied().filter(|(due, _)| *due <= now) {
            self.retries.pop_first();
            if let Some(job) = self.jobs.get_mut(&seq) {
                job.state = State::Queued;
                self.queue.insert((Reverse(job.priority), seq));
            }
        }
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
        let first = |set: &BTreeSet<(Duration, u64)>| set.first().map(|(due, _)| *due);
        [first(&self.retries), first(&self.deadlines), self.quarantine.due()].into_iter().flatten().min()
    }

    /// How many are in each of the states that have not ended, as clients see them.
    pub fn counts(&self) -> [(State, usize); 3] {
        let mut counts = [(State::Queued, 0), (State::Running, 0), (State::RetryWait, 0)];
        for job in self.jobs.values() {
            if let Some((_, count)) = counts.iter_mut().find(|(state, _)| *state == job.shown_state()) {
                *count += 1;
            }
        }
        counts
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
    /// It waits, though its first attempt is written down: the service is about to end.
    Released,
}

/// What came of a turn.
enum Turn {
    Given(Box<Given>),
    /// It was run before, and has to be prepared anew.
    Unprepared,
    /// It has ended otherwise.
    Over,
}

/// Those whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turns {
    pub given: Vec<Given>,
    /// These have to be prepared first.
    pub unprepared: Vec<u64>,
}

/// A job on its way to the engine.
#[derive(Debug)]
pub(super) struct Given {
    pub seq: u64,
    pub prepared: Prepared,
    pub cancel: CancelFlag,
}

impl Given {
    fn of(seq: u64, job: &mut Job) -> Option<Self> {
        Some(Self { seq, prepared: job.prepared.take()?, cancel: job.cancel.clone() })
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
