//! Many jobs from a job file to a sink: what `tandem run` does.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::flow::{FlowOptions, Verdict};
use crate::engine::{CancelFlag, Foreign, Outcome, OutcomeSink, Seat, Seats, catch};
use crate::job::{BindContext, JobHash, JobSpec};
use crate::runner::Runner;
use crate::runner::inputs::hash_of;
use crate::runner::router::{Router, State};

/// Jobs that have not ended, at most, before reading waits. Enough for batches; small enough to bound memory.
const UNDER_WAY_MAX: usize = 8192;

/// Jobs that are read ahead, at most, where no more may be under way: those of higher priority among them begin first.
const AHEAD_MAX: usize = 8192;

/// Jobs that are let in for each that may be under way: as many under way, and twice as many that wait for memory.
const LET_IN: usize = 3;

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
        let router = Arc::new(Router::new(options.flow, sink));
        let seats = (under_way_max < UNDER_WAY_MAX).then(|| self.engine.seats(under_way_max));
        let context = BindContext { threads: self.context.threads, ..context };
        let (context, timeout) = (Arc::new(context), options.timeout);
        let stream = Stream { runner: self, context, timeout, run, under_way_max, seats, router };
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
    /// Those that may be under way at once, where not as many as there is room for.
    seats: Option<Seats>,
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

/// How far the jobs have been read.
struct Reading {
    is_over: bool,
    /// Whether there was nothing to read at the last look.
    is_dry: bool,
}

/// What the thread that reads jobs does next.
enum Turn {
    Begin(JobSpec, Option<Seat>),
    Read,
    Over(Streamed),
}

impl Stream<'_> {
    fn run(&self, jobs: &mut dyn FnMut() -> Incoming, cancel: &CancelFlag) -> Streamed {
        let mut reading = Reading { is_over: false, is_dry: false };
        let mut told = Ending::No;
        loop {
            match self.next_turn(&mut reading, cancel, &mut told) {
                Turn::Begin(spec, seat) => self.begin(self.router.lock(), spec, seat),
                Turn::Read => match jobs() {
                    Incoming::Job(spec) => self.take_in(spec),
                    Incoming::Ended(outcome) => self.router.pass_bad_line(outcome),
                    Incoming::NothingYet => reading.is_dry = true,
                    Incoming::End => reading.is_over = true,
                },
                Turn::Over(how) => return how,
            }
        }
    }

    /// Waits until there is something to do.
    fn next_turn(&self, reading: &mut Reading, cancel: &CancelFlag, told: &mut Ending) -> Turn {
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
                while let Some(job) = state.flow.due(now) {
                    state.put_ready(job);
                }
                // Those that were let in and wait for memory, or for their like, have no seat, so that others go on beside them. Not
                // ever more of them: those that come after, and go on with what others have begun, would wait for all.
                let lets_in = state.under_way < (self.under_way_max * LET_IN).min(UNDER_WAY_MAX);
                let is_full = !lets_in || self.seats.as_ref().is_some_and(|seats| !seats.has_free());
                if !is_full
                    && state.ready() > 0
                    && let Some(seat) = self.seat()
                    && let Some(spec) = state.next_ready()
                {
                    state.under_way += 1;
                    return Turn::Begin(spec, seat);
                }
                let reads_ahead = self.under_way_max < UNDER_WAY_MAX && state.ready() < AHEAD_MAX && !reading.is_dry;
                if !reading.is_over && (!is_full || reads_ahead) && state.flow.waiting() < WAITING_MAX {
                    return Turn::Read;
                }
            }
            let none_left = state.under_way == 0 && state.ready() == 0 && state.flow.waiting() == 0;
            if none_left && (ends || reading.is_over) {
                return Turn::Over(match (stopped, ends) {
                    (true, _) => Streamed::Stopped,
                    (false, true) => Streamed::Halted,
                    (false, false) => Streamed::All,
                });
            }
            let due = state.flow.due_at().map(|at| at.saturating_sub(self.router.begun.elapsed()));
            let wait = due.map_or(LOOK, |due| due.min(LOOK));
            let wait = if ends { LOOK } else { wait.max(Duration::from_micros(100)) };
            state.awaits_room = !reading.is_over;
            let (after, waited) = self.router.ended.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
            state = after;
            // A look at a pipe that gives nothing takes a while, in which nothing begins: not while there is enough to begin.
            reading.is_dry &= !waited.timed_out() && state.ready() >= self.under_way_max;
        }
    }

    /// A seat for one more job; nothing where none is free.
    #[expect(clippy::option_option, reason = "a run without seats has room for all")]
    fn seat(&self) -> Option<Option<Seat>> {
        self.seats.as_ref().map_or(Some(None), |seats| seats.take().map(Some))
    }

    /// Takes in a job that was read.
    fn take_in(&self, mut spec: JobSpec) {
        spec.terms.timeout = spec.terms.timeout.or(self.timeout);
        let mut state = self.router.lock();
        let index = spec.index;
        match state.flow.add(index, &spec.terms) {
            // Where few may be under way, others of higher priority may be ahead of it.
            Verdict::Begin if self.under_way_max < UNDER_WAY_MAX => {
                state.kept.insert(index, Foreign::new(spec));
                state.put_ready(index);
            }
            Verdict::Begin => {
                state.under_way += 1;
                self.begin(state, spec, None);
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
    fn begin<'a>(&'a self, mut state: MutexGuard<'a, State>, mut spec: JobSpec, seat: Option<Seat>) {
        if let Some(content) = spec.content {
            let mut parents: Vec<JobHash> = spec.terms.after.iter().map(|group| state.hash_of_all(group)).collect();
            // What follows looks at files and at somebody else's code.
            drop(state);
            let is_known = self.take_results(&mut spec);
            let hash = hash_of(&spec, content, &self.context.base_dir, &mut parents);
            let kept = is_known && catch(|| self.router.sink.keep(spec.index, &spec.id, hash)).unwrap_or(false);
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
        self.submit(spec, seat);
    }

    /// Gives a job the values that it takes from the results of others; which files it reads may be among them. Whether that
    /// could be done: where not, the job will say why.
    fn take_results(&self, spec: &mut JobSpec) -> bool {
        match catch(|| spec.params.with_results(&self.context)) {
            Ok(None) => true,
            Ok(Some(Ok(params))) => {
                spec.params = params;
                true
            }
            Ok(Some(Err(_))) | Err(_) => false,
        }
    }

    fn submit(&self, spec: JobSpec, seat: Option<Seat>) {
        let (context, cancel) = (self.context.clone(), self.run.clone());
        self.runner.engine.submit_seated(spec, context, cancel, self.router.clone(), seat);
    }
}
