//! Many jobs from a job file to a sink: what `tandem run` does.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::flow::{Flow, FlowOptions, Next, Verdict};
use crate::engine::{CancelFlag, Foreign, Outcome, OutcomeSink, RanOn, Timings, catch};
use crate::job::{BindContext, Bound, Cause, JobError, JobHash, JobParams, JobSpec};
use crate::runner::Runner;
use crate::runner::inputs::hash_of;

/// Jobs that have not ended, at most, before reading waits. Enough for batches; small enough to bound memory.
const UNDER_WAY_MAX: usize = 8192;

/// Jobs that wait for others or for another try, at most, before reading waits.
const WAITING_MAX: usize = 65_536;

/// How long a wish to end may go unseen.
const LOOK: Duration = Duration::from_millis(20);

/// How a run goes about its jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamOptions {
    /// Jobs under way at once, at most; as many as there is room for if left out.
    pub jobs: Option<usize>,
    /// How long a job may take that does not say.
    pub timeout: Option<Duration>,
    /// What follows from failures.
    pub flow: FlowOptions,
}

/// What the source of a run's jobs has next.
#[derive(Debug)]
pub enum Incoming {
    /// A job.
    Job(JobSpec),
    /// The outcome of what could not be read as one.
    Ended(Outcome),
    /// Nothing so far; it has waited for a moment. Jobs that have come before go on meanwhile.
    NothingYet,
    /// No more.
    End,
}

impl From<Option<JobSpec>> for Incoming {
    fn from(next: Option<JobSpec>) -> Self {
        next.map_or(Self::End, Self::Job)
    }
}

/// Why a run ended before all its jobs had been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streamed {
    /// It did not.
    All,
    /// Too many jobs had failed.
    Halted,
    /// Somebody asked for it.
    Stopped,
}

impl Runner {
    /// Runs jobs as `jobs` gives them, and gives their outcomes to `sink` as they end; returns when all have. What could not
    /// be read as a job comes as its failed outcome and is passed on.
    ///
    /// Draining `cancel` begins nothing more and waits for what is under way; raising it ends that too. Every job that was
    /// read has its outcome.
    pub fn stream(
        &self,
        mut jobs: impl FnMut() -> Incoming,
        context: BindContext,
        cancel: &CancelFlag,
        options: StreamOptions,
        sink: Arc<dyn OutcomeSink>,
    ) -> Streamed {
        // A run of its own within what `cancel` is for, so that a halt ends this run alone.
        let run = cancel.child();
        let under_way_max = options.jobs.unwrap_or(UNDER_WAY_MAX).clamp(1, UNDER_WAY_MAX);
        let state = State { flow: Flow::new(options.flow), ..State::default() };
        let router = Arc::new(Router { sink, begun: Instant::now(), state: Mutex::new(state), ended: Condvar::new() });
        let stream =
            Stream { runner: self, context: Arc::new(context), timeout: options.timeout, run, under_way_max, router };
        stream.run(&mut jobs, cancel)
    }
}

/// A run under way.
struct Stream<'a> {
    runner: &'a Runner,
    context: Arc<BindContext>,
    timeout: Option<Duration>,
    run: CancelFlag,
    under_way_max: usize,
    router: Arc<Router>,
}

/// How far the engine has been told that the run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    No,
    /// Nothing more begins.
    Soon,
    /// What has begun ends too.
    Now,
}

/// What the thread that reads jobs does next.
enum Turn {
    Begin(JobSpec),
    Read,
    Over(Streamed),
}

impl Stream<'_> {
    fn run(&self, jobs: &mut dyn FnMut() -> Incoming, cancel: &CancelFlag) -> Streamed {
        let mut all_read = false;
        let mut told = Ending::No;
        loop {
            match self.next_turn(all_read, cancel, &mut told) {
                Turn::Begin(spec) => self.begin(self.router.lock(), spec),
                Turn::Read => match jobs() {
                    Incoming::Job(spec) => self.take_in(spec),
                    Incoming::Ended(outcome) => self.router.pass_bad_line(outcome),
                    Incoming::NothingYet => {}
                    Incoming::End => all_read = true,
                },
                Turn::Over(how) => return how,
            }
        }
    }

    /// Waits until there is something to do.
    fn next_turn(&self, all_read: bool, cancel: &CancelFlag, told: &mut Ending) -> Turn {
        let mut state = self.router.lock();
        loop {
            let stopped = cancel.is_draining() || cancel.is_cancelled();
            let now = cancel.is_cancelled() || state.flow.halts_now();
            let ends = stopped || state.flow.is_halted();
            if ends {
                // What is under way and has not begun ends as well; the engine has to be told to look.
                let ending = if now { Ending::Now } else { Ending::Soon };
                if ending > *told {
                    *told = ending;
                    match ending {
                        Ending::Now => self.run.cancel(),
                        _ => self.run.drain(),
                    }
                    self.runner.engine.cancelled();
                }
                state = self.router.give_up(state, stopped);
            } else {
                let now = self.router.begun.elapsed();
                if state.under_way < self.under_way_max {
                    while let Some(job) = state.flow.due(now) {
                        state.ready.push_back(job);
                    }
                    if let Some(spec) = state.next_ready() {
                        state.under_way += 1;
                        return Turn::Begin(spec);
                    }
                    if !all_read && state.flow.waiting() < WAITING_MAX {
                        return Turn::Read;
                    }
                }
            }
            let none_left = state.under_way == 0 && state.ready.is_empty() && state.flow.waiting() == 0;
            if none_left && (ends || all_read) {
                return Turn::Over(match (stopped, ends) {
                    (true, _) => Streamed::Stopped,
                    (false, true) => Streamed::Halted,
                    (false, false) => Streamed::All,
                });
            }
            let due = state.flow.due_at().map(|at| at.saturating_sub(self.router.begun.elapsed()));
            let wait = due.map_or(LOOK, |due| due.min(LOOK));
            let wait = if ends { LOOK } else { wait.max(Duration::from_micros(100)) };
            state.awaits_room = !all_read;
            state = self.router.ended.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes in a job that was read.
    fn take_in(&self, mut spec: JobSpec) {
        spec.terms.timeout = spec.terms.timeout.or(self.timeout);
        let mut state = self.router.lock();
        let index = spec.index;
        match state.flow.add(index, &spec.terms) {
            Verdict::Begin => {
                state.under_way += 1;
                self.begin(state, spec);
            }
            Verdict::Wait => _ = state.kept.insert(index, Foreign::new(spec)),
            Verdict::Skip(parent) => {
                let spec = Foreign::new(spec);
                let outcome = state.skipped(&spec, parent);
                drop(state);
                self.router.pass(vec![outcome]);
            }
        }
    }

    /// Begins a job, which counts as under way; or ends it, where its outcome is there from an earlier run. Only now have
    /// those ended that write its inputs, so that only now can be told whether it still is the job that it was.
    fn begin<'a>(&'a self, mut state: MutexGuard<'a, State>, mut spec: JobSpec) {
        if let Some(content) = spec.content {
            let mut parents: Vec<JobHash> = spec.terms.after.iter().map(|group| state.hash_of_all(group)).collect();
            // What follows looks at files and at somebody else's code.
            drop(state);
            let hash = hash_of(&spec, content, &self.context.base_dir, &mut parents);
            let kept = catch(|| self.router.sink.keep(spec.index, &spec.id, hash)).unwrap_or(false);
            state = self.router.lock();
            state.set_hash(spec.index, hash);
            if kept {
                return state.end_kept(spec.index);
            }
        }
        if state.flow.may_be_tried_again(spec.index) {
            spec = state.keep_for_tries(spec);
        }
        drop(state);
        self.submit(spec);
    }

    fn submit(&self, spec: JobSpec) {
        self.runner.engine.submit(spec, self.context.clone(), self.run.clone(), self.router.clone());
    }
}

/// Sees every outcome before the sink does.
struct Router {
    sink: Arc<dyn OutcomeSink>,
    begun: Instant,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    flow: Flow,
    /// Jobs given to the engine that have not come back.
    under_way: usize,
    /// Whether the thread that reads jobs sleeps until some of these have. It would wake up for each otherwise.
    awaits_room: bool,
    /// Jobs that wait, for others or for their next try.
    kept: HashMap<u64, Foreign<JobSpec>>,
    /// Those of them that may begin.
    ready: VecDeque<u64>,
    /// How the last try of jobs ended that wait for another one; its attempts are those of all tries so far.
    tried: HashMap<u64, Outcome>,
    /// What jobs are called that have not succeeded, for those that wait for them.
    failed: HashMap<u64, Arc<str>>,
    /// The hashes of jobs that have begun, by their places; nothing where nobody wants to know.
    hashes: Vec<JobHash>,
    /// That of the last group that a job waited for: others tend to wait for it too.
    group_hash: Option<(Range<u64>, JobHash)>,
}

/// So many failed jobs are remembered by name.
const FAILED_MAX: usize = 65_536;

impl State {
    /// The next job that has waited long enough.
    fn next_ready(&mut self) -> Option<JobSpec> {
        while let Some(index) = self.ready.pop_front() {
            if let Some(spec) = self.kept.remove(&index) {
                return Some(spec.into_inner());
            }
        }
        None
    }

    fn hash_of(&self, index: u64) -> JobHash {
        usize::try_from(index).ok().and_then(|at| self.hashes.get(at)).copied().unwrap_or_default()
    }

    /// That of the jobs in these places together, all of which have begun.
    fn hash_of_all(&mut self, group: &Range<u64>) -> JobHash {
        if group.end - group.start == 1 {
            return self.hash_of(group.start);
        }
        if let Some((_, hash)) = self.group_hash.as_ref().filter(|(last, _)| last == group) {
            return *hash;
        }
        let mut members: Vec<JobHash> = group.clone().map(|member| self.hash_of(member)).collect();
        let hash = JobHash::default().with(&[], &mut members);
        self.group_hash = Some((group.clone(), hash));
        hash
    }

    fn set_hash(&mut self, index: u64, hash: JobHash) {
        let Ok(at) = usize::try_from(index) else { return };
        if self.hashes.len() <= at {
            self.hashes.resize(at + 1, JobHash::default());
        }
        self.hashes[at] = hash;
    }

    /// A job ends, as it did in an earlier run: by success.
    fn end_kept(&mut self, index: u64) {
        self.under_way -= 1;
        for next in self.flow.end(index, true) {
            if let Next::Begin(job) = next {
                self.ready.push_back(job);
            }
        }
    }

    /// Remembers what a job is called that has not succeeded.
    fn name_failed(&mut self, index: u64, id: &Arc<str>) {
        if self.failed.len() < FAILED_MAX {
            self.failed.insert(index, id.clone());
        }
    }

    /// The outcome of a job that waited for one that has not succeeded.
    fn skipped(&mut self, spec: &JobSpec, parent: u64) -> Outcome {
        let parent = match self.failed.get(&parent) {
            Some(id) => format!("`{id}`"),
            None => format!("the job in place {parent} of the run"),
        };
        self.name_failed(spec.index, &spec.id);
        let message = format!("{parent}, which it waits for (`after`), did not succeed");
        unrun(spec, JobError::new(Cause::Skipped, message))
    }

    /// Keeps a job for its next try, and gives it for this one.
    fn keep_for_tries(&mut self, spec: JobSpec) -> JobSpec {
        let JobSpec { index, id, kind, device, terms, content, params } = spec;
        let shared = Again(Arc::from(params));
        let copy = |shared: Again| {
            let (id, terms) = (id.clone(), terms.clone());
            JobSpec { index, id, kind, device, terms, content, params: Box::new(shared) }
        };
        self.kept.insert(index, Foreign::new(copy(Again(shared.0.clone()))));
        copy(shared)
    }
}

/// Parameters that can be bound more than once.
#[derive(Debug)]
struct Again(Arc<dyn JobParams>);

impl JobParams for Again {
    fn in_memory(&self) -> bool {
        self.0.in_memory()
    }

    fn input_files(&self) -> Vec<&Path> {
        self.0.input_files()
    }

    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        self.0.bind(context)
    }

    fn results_of(&self) -> Vec<u64> {
        self.0.results_of()
    }
}

impl Router {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What can panic under it is arithmetic of our own.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives outcomes to the sink, which is somebody else's code.
    fn pass(&self, outcomes: Vec<Outcome>) {
        if !outcomes.is_empty() {
            let _ = catch(|| self.sink.accept(outcomes));
        }
    }

    /// The outcome of a line that is no job: it counts as one that failed.
    fn pass_bad_line(&self, outcome: Outcome) {
        let next = {
            let mut state = self.lock();
            state.name_failed(outcome.index, &outcome.id);
            state.flow.end(outcome.index, false)
        };
        debug_assert!(next.is_empty(), "nobody waits for a job that has only just been read");
        self.pass(vec![outcome]);
    }

    /// Ends every job that waits, since none is to begin any more.
    fn give_up<'a>(&'a self, mut state: MutexGuard<'a, State>, stopped: bool) -> MutexGuard<'a, State> {
        let mut gone = state.flow.give_up();
        for ready in std::mem::take(&mut state.ready) {
            state.flow.give_up_one(ready);
            gone.push(ready);
        }
        if gone.is_empty() {
            return state;
        }
        let why = if stopped { "the run was ended" } else { "too many jobs had failed (--halt)" };
        let not_started =
            |spec: &JobSpec| unrun(spec, JobError::new(Cause::NotStarted, format!("{why} before it could begin")));
        let mut outcomes = Vec::with_capacity(gone.len());
        for index in gone {
            // What was tried has failed as it did; another try is not to be.
            let kept = state.kept.remove(&index);
            let tried = state.tried.remove(&index);
            outcomes.extend(tried.or_else(|| kept.as_deref().map(not_started)));
        }
        drop(state);
        self.pass(outcomes);
        self.lock()
    }
}

impl OutcomeSink for Router {
    fn accept(&self, outcomes: Vec<Outcome>) {
        let mut passed = Vec::with_capacity(outcomes.len());
        let mut state = self.lock();
        let now = self.begun.elapsed();
        let count = outcomes.len();
        for mut outcome in outcomes {
            let index = outcome.index;
            if !state.hashes.is_empty() {
                outcome.hash = Some(state.hash_of(index));
            }
            if let Err(error) = &outcome.result {
                let (cause, code) = (error.cause, exit_code(error));
                outcome.attempts += state.tried.remove(&index).map_or(0, |before| before.attempts);
                if state.flow.retry(index, cause, code, now) {
                    state.tried.insert(index, outcome);
                    continue;
                }
                state.name_failed(index, &outcome.id);
            } else if !state.tried.is_empty() {
                outcome.attempts += state.tried.remove(&index).map_or(0, |before| before.attempts);
            }
            if !state.kept.is_empty() {
                state.kept.remove(&index);
            }
            let succeeded = outcome.result.is_ok();
            passed.push(outcome);
            for next in state.flow.end(index, succeeded) {
                match next {
                    Next::Begin(job) => state.ready.push_back(job),
                    Next::Skip { job, parent } => {
                        if let Some(spec) = state.kept.remove(&job) {
                            passed.push(state.skipped(&spec, parent));
                        }
                    }
                }
            }
        }
        drop(state);
        // Before they count as ended: who waits for the end of the run waits for this too.
        self.pass(passed);
        let mut state = self.lock();
        state.under_way -= count;
        let is_awaited = state.awaits_room || state.under_way == 0 || !state.ready.is_empty() || state.flow.is_halted();
        drop(state);
        if is_awaited {
            self.ended.notify_one();
        }
    }
}

/// The exit code that a command's error carries.
fn exit_code(error: &JobError) -> Option<i32> {
    let details = error.details.as_deref().filter(|_| error.cause == Cause::ExitCode)?;
    details.strip_prefix("\"exit_code\":")?.split(',').next()?.parse().ok()
}

/// The outcome of a job that was never run.
fn unrun(spec: &JobSpec, error: JobError) -> Outcome {
    Outcome {
        index: spec.index,
        id: spec.id.clone(),
        kind: spec.kind,
        result: Err(error),
        ran_on: RanOn::Nowhere,
        timings: Timings::default(),
        attempts: 0,
        plan: None,
        hash: None,
    }
}
