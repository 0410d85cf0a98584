//! The simulated run: what the engine's coordinator does, on a simulated clock.

mod chunks;
mod large;
mod small;

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use foldhash::fast::FixedState;

use crate::device::{DeviceId, Phases};
use crate::engine::RanOn;
use crate::engine::batch::SMALL_MS;
use crate::engine::dispatch::{Action, Dispatch, Event, Lanes, Ticket};
use crate::engine::order::{OPEN_PER_LANE, WAITING_MAX};
use crate::engine::queue::Class;
use crate::engine::short::Short;
use crate::engine::stream::Streams;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::model::Model;
use crate::plan::{DeviceState, Policy};
use crate::simulate::bound::lower_bound_ms;
use crate::simulate::clock::Clock;
use crate::simulate::outcome::duration;
use crate::simulate::queues::{Gates, Line, Queues};
use crate::simulate::record::{Planned, Record};
use crate::simulate::teach::{devices, teach};
use crate::simulate::truth::Truth;
use crate::simulate::{Machine, SimJob, SimWork, Simulated};

use large::Large;
use small::{Batch, SmallPlans};

/// How jobs are run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where jobs run that do not say.
    pub policy: Policy,
    /// A seed for what is hidden from the planner: rates that differ from those of the machine's description by up to 30 %,
    /// chance, drift, and one device, or none, that takes twice as long from half of the run on. Without it, all is as described.
    pub hidden_truth: Option<u64>,
    /// How many irregular jobs run at once at most.
    pub jobs_at_once: Option<usize>,
    /// The memory that jobs may take together, in bytes; the machine's if left out.
    pub memory_bytes: Option<u64>,
    /// Whether a timeline is wanted, for which all choices of each large job are kept.
    pub timeline: bool,
}

impl Default for Options {
    fn default() -> Self {
        let policy = Policy::Auto;
        Self { policy, hidden_truth: None, jobs_at_once: None, memory_bytes: None, timeline: false }
    }
}

/// Runs the jobs in simulated time: the same jobs, machine and options give the same run.
pub fn simulate(jobs: &[SimJob], machine: &Machine, options: &Options) -> Simulated {
    let truth = Truth::new(machine, options.hidden_truth);
    let lower_bound_ms = lower_bound_ms(jobs, &truth, options.jobs_at_once);
    let mut run = Run::new(jobs, truth.scaled_to(lower_bound_ms), *options);
    run.begin();
    while let Some(ended) = run.clock.next() {
        run.ended(ended);
        run.go_on();
    }
    let makespan = duration(run.last_ms);
    Simulated {
        makespan,
        lower_bound: duration(if run.refused.is_empty() { lower_bound_ms } else { 0.0 }),
        devices: run.record.devices(),
        waiting: run.record.waiting(),
        jobs: run.record.jobs,
        plans: run.plans,
        chunks: run.record.chunks,
        timeline: run.record.timeline(makespan),
        refused: run.refused,
    }
}

/// Something that takes time.
#[derive(Clone, Copy, Debug)]
enum Busy {
    /// A chunk on a lane. Of the phases, `compute` is known when it ends.
    Chunk { ticket: Ticket, key: u64, units: u64, begin_ms: f64, phases: Phases, resident: bool },
    /// A job that only waits, in a place of those that wait.
    Outside { job: u32, place: u32, begin_ms: f64 },
}

/// What dispatch knows by a key.
enum Item<'a> {
    Large(Large<'a>),
    Short(Batch<'a>),
}

struct Run<'a> {
    jobs: &'a [SimJob],
    truth: Truth<'a>,
    options: Options,
    clock: Clock<Busy>,
    dispatch: Dispatch,
    actions: Vec<Action>,
    /// The list of those carried out before, empty, for the next ones.
    actions_before: Vec<Action>,
    items: HashMap<u64, Item<'a>, FixedState>,
    next_key: u64,
    /// The devices as the planner sees them.
    states: Vec<DeviceState>,
    model: Model,
    small: SmallPlans<'a>,
    short: Short,
    streams: Streams,
    queues: Queues,
    gates: Gates,
    /// The speed of a thread with the work that was last asked about: most is like what came before it.
    last_speed: Cell<Option<(&'a Work, f64)>>,
    /// What each job is told, once it may begin.
    told: Vec<DeviceChoice>,
    turns: u64,
    /// Large jobs that wait for memory, by order of their turn.
    parked: VecDeque<u32>,
    reserved_bytes: u64,
    budget_bytes: u64,
    /// Large jobs in dispatch, by class; batches in dispatch; and irregular jobs that take a thread.
    large: [usize; 2],
    shorts: usize,
    tasks: usize,
    /// Places of those that wait, that are free.
    places: Vec<u32>,
    record: Record,
    plans: u64,
    refused: Vec<(u64, String)>,
    /// When the last job ended.
    last_ms: f64,
}

impl<'a> Run<'a> {
    fn new(jobs: &'a [SimJob], truth: Truth<'a>, options: Options) -> Self {
        let machine = truth.machine();
        let states = devices(machine);
        let budget_bytes = options.memory_bytes.unwrap_or(machine.cpu.memory_bytes);
        Self {
            jobs,
            clock: Clock::new(machine.cpu.thread_efficiency),
            dispatch: Dispatch::new(),
            actions: Vec::new(),
            actions_before: Vec::new(),
            items: HashMap::default(),
            next_key: 0,
            model: teach(machine, &states, jobs),
            small: SmallPlans::default(),
            short: Short::new(),
            streams: Streams::default(),
            queues: Queues::default(),
            gates: Gates::new(jobs),
            last_speed: Cell::new(None),
            told: vec![DeviceChoice::Auto; jobs.len()],
            turns: 0,
            parked: VecDeque::new(),
            reserved_bytes: 0,
            budget_bytes,
            large: [0; 2],
            shorts: 0,
            tasks: 0,
            places: (0..WAITING_MAX as u32).rev().collect(),
            record: Record::new(jobs.len(), machine, budget_bytes, options.timeline),
            plans: 0,
            refused: Vec::new(),
            last_ms: 0.0,
            states,
            truth,
            options,
        }
    }

    fn begin(&mut self) {
        for state in self.states.clone() {
            let max_chunk_bytes = state.max_chunk_bytes.min(state.memory_bytes.unwrap_or(u64::MAX));
            let max_chunk_bytes = if state.id == DeviceId::Cpu { u64::MAX } else { max_chunk_bytes };
            let lanes = Lanes { device: state.id, lanes: state.lanes, max_chunk_bytes, shares_cpu: false };
            self.tell(Event::DeviceAdded(lanes));
        }
        for job in 0..self.jobs.len() as u32 {
            if self.gates.is_open(job) {
                self.enqueue(job);
            }
        }
        self.go_on();
    }

    fn now(&self) -> Duration {
        duration(self.clock.now_ms())
    }

    fn tell(&mut self, event: Event) {
        let now = self.now();
        self.dispatch.on(event, now, &mut self.actions);
    }

    fn threads(&self) -> u32 {
        self.truth.machine().cpu.threads.max(1)
    }

    /// A job may begin.
    fn enqueue(&mut self, at: u32) {
        let job = &self.jobs[at as usize];
        self.record.ready(at, self.clock.now_ms());
        let line = match &job.work {
            SimWork::Task { waits: true, .. } => Line::Outside,
            SimWork::Task { .. } => Line::Tasks,
            SimWork::Kernel(work) => {
                let told = job.device.unwrap_or_else(|| {
                    self.turns += 1;
                    self.options.policy.tells(work, self.turns - 1, &self.states)
                });
                self.told[at as usize] = told;
                if Class::of(told) == Class::Gpu { Line::Gpu } else { Line::Cpu }
            }
        };
        if let Some(work) = self.streams_in(at) {
            self.streams.join(work, self.told[at as usize]);
        }
        self.queues.push(line, job.turn(), at);
    }

    /// Begins what may begin, and carries out what dispatch says.
    fn go_on(&mut self) {
        loop {
            self.act();
            self.fill();
            if self.actions.is_empty() {
                break;
            }
        }
        if self.record.has_timeline() {
            self.record.memory(self.clock.now_ms(), self.reserved_bytes);
        }
    }

    fn fill(&mut self) {
        while let Some(&job) = self.parked.front()
            && self.fits(job)
        {
            self.parked.pop_front();
            self.open(job);
        }
        let lanes = self.threads() as usize;
        for line in [Line::Cpu, Line::Gpu] {
            while self.large[line as usize] + self.parked.len() < lanes * OPEN_PER_LANE
                && let Some(job) = self.queues.peek(line)
            {
                if self.is_small(job) {
                    if self.shorts >= lanes * 2 {
                        break;
                    }
                    self.open_batch(line);
                } else {
                    self.pop_kernel(line);
                    if self.parked.is_empty() && self.fits(job) {
                        self.open(job);
                    } else {
                        self.parked.push_back(job);
                    }
                }
            }
        }
        let at_once = self.options.jobs_at_once.unwrap_or(usize::MAX).max(1);
        while self.shorts < lanes * 2 && self.tasks < at_once && self.queues.peek(Line::Tasks).is_some() {
            if self.queues.peek(Line::Tasks).is_some_and(|job| !self.fits(job)) {
                break;
            }
            self.open_tasks(at_once);
        }
        while self.queues.peek(Line::Outside).is_some()
            && let Some(place) = self.places.pop()
        {
            let Some(job) = self.queues.pop(Line::Outside) else { break };
            self.begun(job);
            if let SimWork::Task { ms, .. } = self.jobs[job as usize].work {
                let begin_ms = self.clock.now_ms();
                self.clock.begin(ms, Busy::Outside { job, place, begin_ms });
            }
        }
    }

    /// Takes the next kernel's job out of its queue.
    fn pop_kernel(&mut self, line: Line) {
        if let Some(at) = self.queues.pop(line)
            && let Some(work) = self.streams_in(at)
        {
            self.streams.leave(work, self.told[at as usize]);
        }
    }

    /// The work of a job that counts among those for which a GPU may be opened: the engine has small ones run before it counts.
    fn streams_in(&self, at: u32) -> Option<&'a Work> {
        let jobs: &'a [SimJob] = self.jobs;
        let SimWork::Kernel(work) = &jobs[at as usize].work else { return None };
        let speed = self.speed_of(work);
        (work.prior_ms() > SMALL_MS * speed).then_some(work)
    }

    /// How many times as fast as a usual CPU's a thread is with this work.
    fn speed_of(&self, work: &'a Work) -> f64 {
        match self.last_speed.get() {
            Some((last, speed)) if last.kernel == work.kernel && last.variant == work.variant => speed,
            _ => {
                let speed = self.truth.machine().cpu.speed_of(work.kernel, &work.variant);
                self.last_speed.set(Some((work, speed)));
                speed
            }
        }
    }

    /// Whether there is memory for a job. One that needs more than there is runs alone.
    fn fits(&self, job: u32) -> bool {
        let need = self.need(job);
        need == 0 || self.reserved_bytes == 0 || self.reserved_bytes.saturating_add(need) <= self.budget_bytes
    }

    fn need(&self, job: u32) -> u64 {
        self.jobs[job as usize].memory_bytes.min(self.budget_bytes)
    }

    fn begun(&mut self, job: u32) {
        self.record.begun(job, self.clock.now_ms());
    }

    fn finish(&mut self, at: u32, ran_on: RanOn, began_ms: f64, planned: Option<Planned<'_>>) {
        let now_ms = self.clock.now_ms();
        self.last_ms = now_ms;
        self.record.ended(&self.jobs[at as usize], at, ran_on, began_ms, now_ms, planned);
        for child in self.gates.end(at) {
            self.enqueue(child);
        }
    }
}
