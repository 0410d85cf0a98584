//! What sees every outcome of a run before the sink does: it lets jobs begin that waited for others, tries again what can be,
//! and skips what is not to run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::engine::flow::{Flow, FlowOptions, Next};
use crate::engine::{Foreign, Outcome, OutcomeSink, RanOn, Timings, catch};
use crate::job::{BindContext, Bound, Cause, Groups, JobError, JobHash, JobParams, JobSpec};

/// Sees every outcome before the sink does.
pub(super) struct Router {
    pub sink: Arc<dyn OutcomeSink>,
    pub begun: Instant,
    state: Mutex<State>,
    /// Jobs have ended, for the thread that reads more.
    pub ended: Condvar,
}

/// The jobs of a run that wait, and what is known of those that do not.
#[derive(Default)]
pub(super) struct State {
    pub flow: Flow,
    /// Jobs given to the engine that have not come back.
    pub under_way: usize,
    /// Whether the thread that reads jobs sleeps until some of these have. It would wake up for each otherwise.
    pub awaits_room: bool,
    /// Jobs that wait, for others or for their next try.
    pub kept: HashMap<u64, Foreign<JobSpec>>,
    /// Those of them that may begin: of higher priority first, and then as they came.
    ready: BTreeMap<(Reverse<i32>, u64), u64>,
    came: u64,
    /// How the last try of jobs ended that wait for another one; its attempts are those of all tries so far.
    tried: HashMap<u64, Outcome>,
    /// What jobs are called that have not succeeded, for those that wait for them.
    failed: HashMap<u64, Arc<str>>,
    /// The hashes of jobs that have begun, by their places; nothing where nobody wants to know.
    hashes: Vec<JobHash>,
    /// Those of groups that jobs have waited for: others tend to wait for them too.
    group_hashes: Groups<JobHash>,
}

/// So many failed jobs are remembered by name.
const FAILED_MAX: usize = 65_536;

impl State {
    /// How many jobs may begin.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// A job that was kept may begin.
    pub fn put_ready(&mut self, job: u64) {
        let priority = self.kept.get(&job).map_or(0, |spec| spec.terms.turn());
        self.came += 1;
        self.ready.insert((Reverse(priority), self.came), job);
    }

    /// The next job that has waited long enough.
    pub fn next_ready(&mut self) -> Option<JobSpec> {
        while let Some((_, index)) = self.ready.pop_first() {
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
    pub fn hash_of_all(&mut self, group: &Range<u64>) -> JobHash {
        if group.end - group.start == 1 {
            return self.hash_of(group.start);
        }
        if let Some(hash) = self.group_hashes.get(group) {
            return hash;
        }
        let mut members: Vec<JobHash> = group.clone().map(|member| self.hash_of(member)).collect();
        let hash = JobHash::default().with(&[], &mut members);
        self.group_hashes.set(group, hash);
        hash
    }

    pub fn set_hash(&mut self, index: u64, hash: JobHash) {
        let Ok(at) = usize::try_from(index) else { return };
        if self.hashes.len() <= at {
            self.hashes.resize(at + 1, JobHash::default());
        }
        self.hashes[at] = hash;
    }

    /// A job ends, as it did in an earlier run: by success.
    pub fn end_kept(&mut self, index: u64) {
        self.under_way -= 1;
        for next in self.flow.end(index, true) {
            if let Next::Begin(job) = next {
                self.put_ready(job);
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
    pub fn skipped(&mut self, spec: &JobSpec, parent: u64) -> Outcome {
        let parent = match self.failed.get(&parent) {
            Some(id) => format!("`{id}`"),
            None => format!("the job in place {parent} of the run"),
        };
        self.name_failed(spec.index, &spec.id);
        let message = format!("{parent}, which it waits for (`after`), did not succeed");
        unrun(spec, JobError::new(Cause::Skipped, message))
    }

    /// Keeps a job for its next try, and gives it for this one.
    pub fn keep_for_tries(&mut self, spec: JobSpec) -> JobSpec {
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

    fn with_results(&self, context: &BindContext) -> Option<Result<Box<dyn JobParams>, JobError>> {
        self.0.with_results(context)
    }

    fn results_of(&self) -> Vec<u64> {
        self.0.results_of()
    }
}

impl Router {
    pub fn new(options: FlowOptions, sink: Arc<dyn OutcomeSink>) -> Self {
        let state = State { flow: Flow::new(options), ..State::default() };
        Self { sink, begun: Instant::now(), state: Mutex::new(state), ended: Condvar::new() }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        // What can panic under it is arithmetic of our own.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives outcomes to the sink, which is somebody else's code.
    pub fn pass(&self, outcomes: Vec<Outcome>) {
        if !outcomes.is_empty() {
            let _ = catch(|| self.sink.accept(outcomes));
        }
    }

    /// The outcome of a line that is no job: it counts as one that failed.
    pub fn pass_bad_line(&self, outcome: Outcome) {
        let next = {
            let mut state = self.lock();
            state.name_failed(outcome.index, &outcome.id);
            state.flow.end(outcome.index, false)
        };
        debug_assert!(next.is_empty(), "nobody waits for a job that has only just been read");
        self.pass(vec![outcome]);
    }

    /// Ends every job that waits, since none is to begin any more.
    pub fn give_up<'a>(&'a self, mut state: MutexGuard<'a, State>, stopped: bool) -> MutexGuard<'a, State> {
        let mut gone = state.flow.give_up();
        for ready in std::mem::take(&mut state.ready).into_values() {
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
                    Next::Begin(job) => state.put_ready(job),
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
