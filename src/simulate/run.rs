//! The simulated run: what the engine's coordinator does, on a simulated clock.

mod small;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::device::{DeviceId, Phases};
use crate::engine::RanOn;
use crate::engine::dispatch::{Action, Admission, Dispatch, Event, JobReport, Lanes, Ticket};
use crate::engine::order::{OPEN_PER_LANE, WAITING_MAX, order, rough_ms};
use crate::engine::queue::Class;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::model::{Model, ModelKey};
use crate::plan::{DeviceState, Plan, PlanError, PlanRequest, Policy, plan};
use crate::simulate::bound::lower_bound_ms;
use crate::simulate::clock::Clock;
use crate::simulate::outcome::duration;
use crate::simulate::queues::{Gates, Line, Queues};
use crate::simulate::record::{Foreseen, Record, place};
use crate::simulate::teach::{devices, teach};
use crate::simulate::truth::Truth;
use crate::simulate::{Machine, SimJob, SimWork, Simulated};

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
    /// Whether the regret is wanted, for which all choices of each large job are kept.
    pub regret: bool,
    /// Whether a timeline is wanted.
    pub timeline: bool,
}

impl Default for Options {
    fn default() -> Self {
        let policy = Policy::Auto;
        Self { policy, hidden_truth: None, jobs_at_once: None, memory_bytes: None, regret: false, timeline: false }
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
        regret: run.record.regret(),
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
    Large { job: u32, work: &'a Arc<Work>, class: Class, foreseen: Foreseen, began_ms: Option<f64>, passes_left: u32 },
    Short(Batch<'a>),
}

struct Run<'a> {
    jobs: &'a [SimJob],
    truth: Truth<'a>,
    options: Options,
    clock: Clock<Busy>,
    dispatch: Dispatch,
    actions: Vec<Action>,
    items: HashMap<u64, Item<'a>>,
    next_key: u64,
    /// The devices as the planner sees them.
    states: Vec<DeviceState>,
    model: Model,
    small: SmallPlans<'a>,
    queues: Queues,
    gates: Gates,
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
            items: HashMap::new(),
            next_key: 0,
            model: teach(machine, &states, jobs),
            small: SmallPlans::default(),
            queues: Queues::default(),
            gates: Gates::new(jobs),
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
        self.record.ready_ms[at as usize] = self.clock.now_ms();
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
            let queued = self.queues.all() + self.parked.len();
            self.record.levels(self.clock.now_ms(), self.reserved_bytes, queued as u64);
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
                    self.queues.pop(line);
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

    /// Whether there is memory for a job. One that needs more than there is runs alone.
    fn fits(&self, job: u32) -> bool {
        let need = self.need(job);
        need == 0 || self.reserved_bytes == 0 || self.reserved_bytes.saturating_add(need) <= self.budget_bytes
    }

    fn need(&self, job: u32) -> u64 {
        self.jobs[job as usize].memory_bytes.min(self.budget_bytes)
    }

    /// Plans a large job and gives it to dispatch.
    fn open(&mut self, at: u32) {
        let jobs = self.jobs;
        let job = &jobs[at as usize];
        let SimWork::Kernel(work) = &job.work else { return };
        let now = self.now();
        let order = order(now, job.turn(), rough_ms(work.prior_ms(), self.threads()));
        let dispatch = &self.dispatch;
        for state in &mut self.states {
            state.busy_for_ms = dispatch.busy_for_ms(state.id, now, |_| order);
        }
        self.plans += 1;
        let told = self.told[at as usize];
        let plan = match self.plan(work, told) {
            Ok(plan) => plan,
            Err(error) => return self.refuse(at, &error.to_string()),
        };
        let foreseen = self.foreseen(&plan);
        self.next_key += 1;
        let class = Class::of(told);
        self.large[class as usize] += 1;
        self.reserved_bytes += self.need(at);
        let passes_left = work.passes.max(1);
        self.items.insert(self.next_key, Item::Large { job: at, work, class, foreseen, began_ms: None, passes_left });
        self.tell(Event::Admitted(Admission::new(self.next_key, order, work, &plan, told)));
    }

    fn plan(&self, work: &Work, told: DeviceChoice) -> Result<Plan, PlanError> {
        plan(&PlanRequest {
            work,
            policy: told,
            devices: &self.states,
            inventory_known: true,
            model: &self.model,
            threads: self.threads(),
            explain: self.options.regret,
        })
    }

    fn foreseen(&self, plan: &Plan) -> Foreseen {
        let ms = |at: usize| {
            let candidate = plan.candidates.get(at)?;
            candidate.predicted.map(|predicted| (predicted.ms - candidate.waiting_ms).max(0.0))
        };
        let best_other_ms = (1..plan.candidates.len()).filter_map(ms).min_by(f64::total_cmp);
        Foreseen { predicted_ms: ms(0), best_other_ms }
    }

    /// A job cannot run as it asks, and those that wait for it neither.
    fn refuse(&mut self, at: u32, why: &str) {
        self.refused.push((self.jobs[at as usize].index, why.to_owned()));
        let mut rest: Vec<u32> = self.gates.children(at).to_vec();
        let mut seen: std::collections::HashSet<u32> = rest.iter().copied().collect();
        while let Some(child) = rest.pop() {
            let why = "a job that it waits for cannot run".to_owned();
            if self.refused.iter().all(|(index, _)| *index != self.jobs[child as usize].index) {
                self.refused.push((self.jobs[child as usize].index, why));
            }
            rest.extend(self.gates.children(child).iter().copied().filter(|next| seen.insert(*next)));
        }
    }

    fn begun(&mut self, job: u32) {
        self.record.begun(job, self.clock.now_ms());
    }

    fn act(&mut self) {
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                match action {
                    Action::Fold { ticket, job, pass, units } => self.fold(job, ticket, pass, units.end - units.start),
                    Action::PassComplete { job } => {
                        let again = self.passes_again(job);
                        self.tell(if again { Event::PassAdvanced { job } } else { Event::Finished { job } });
                    }
                    Action::End { job, report, .. } => self.end(job, &report),
                    Action::SetAside { .. } => {}
                }
            }
        }
    }

    /// Whether another pass follows the one that is complete.
    fn passes_again(&mut self, key: u64) -> bool {
        match self.items.get_mut(&key) {
            Some(Item::Large { passes_left, .. }) => {
                *passes_left = passes_left.saturating_sub(1);
                *passes_left > 0
            }
            _ => false,
        }
    }

    fn fold(&mut self, key: u64, ticket: Ticket, pass: u32, units: u64) {
        let now_ms = self.clock.now_ms();
        let (phases, resident, thread_ms) = match self.items.get_mut(&key) {
            Some(Item::Large { job, work, began_ms, .. }) => {
                if began_ms.is_none() {
                    *began_ms = Some(now_ms);
                    self.record.begun(*job, now_ms);
                }
                let slower = self.truth.slower(ticket.device, [u64::from(*job), ticket.serial], now_ms);
                match ticket.device {
                    DeviceId::Cpu => {
                        let ms = units as f64 * self.truth.unit_ms(work, DeviceId::Cpu) * slower;
                        (Phases::default(), false, Some(ms))
                    }
                    DeviceId::Gpu(index) => {
                        let gpu = &self.truth.machine().gpus[index as usize];
                        let fits = work.units as f64 * work.bytes_per_unit <= gpu.memory_bytes as f64;
                        let resident = pass > 0 && fits;
                        let mut phases = self.truth.on_gpu(work, index, units, resident);
                        phases.compute = phases.compute.mul_f64(slower);
                        if !self.states[place(ticket.device)].opened {
                            phases.opening = duration(gpu.cold_start_ms);
                            phases.setup = phases.opening;
                        }
                        (phases, resident || phases.upload.is_zero(), None)
                    }
                }
            }
            Some(Item::Short(batch)) => {
                let first = batch.jobs.first().copied().unwrap_or(0);
                let slower = self.truth.slower(DeviceId::Cpu, [u64::from(first), ticket.serial], now_ms);
                batch.begin(now_ms, &mut self.record);
                (Phases::default(), false, Some(batch.ms * slower))
            }
            None => return,
        };
        let busy = Busy::Chunk { ticket, key, units, begin_ms: now_ms, phases, resident };
        match thread_ms {
            Some(ms) => self.clock.begin_on_thread(ms, busy),
            None => self.clock.begin(phases.total().as_secs_f64() * 1e3, busy),
        }
    }

    fn ended(&mut self, busy: Busy) {
        let now_ms = self.clock.now_ms();
        match busy {
            Busy::Outside { job, place, begin_ms } => {
                self.places.push(place);
                let index = self.jobs[job as usize].index;
                self.record.waited(place, [begin_ms, now_ms], index);
                let foreseen = Foreseen::default();
                self.finish(job, "none", begin_ms, &foreseen);
            }
            Busy::Chunk { ticket, key, units, begin_ms, mut phases, resident } => {
                if ticket.device == DeviceId::Cpu {
                    phases.compute = duration(now_ms - begin_ms);
                } else {
                    self.states[place(ticket.device)].opened = true;
                }
                let (job, jobs, work_ms) = match self.items.get(&key) {
                    Some(Item::Large { job, work, .. }) => (*job, 1, units as f64 * work.prior_ns_per_unit / 1e6),
                    Some(Item::Short(batch)) => {
                        (batch.jobs.first().copied().unwrap_or(0), batch.jobs.len() as u32, batch.usual_ms)
                    }
                    None => (0, 0, 0.0),
                };
                let index = self.jobs[job as usize].index;
                self.record.folded(ticket, [begin_ms, now_ms], work_ms, index, jobs);
                self.tell(Event::ChunkDone { ticket, phases, resident });
            }
        }
    }

    /// Dispatch says that something has ended.
    fn end(&mut self, key: u64, report: &JobReport) {
        match self.items.remove(&key) {
            Some(Item::Large { job, work, class, foreseen, began_ms, .. }) => {
                self.large[class as usize] -= 1;
                self.reserved_bytes -= self.need(job);
                for run in &report.runs {
                    let fingerprint = &self.states[place(run.device)].fingerprint;
                    self.model.learn(ModelKey::of(work, fingerprint, run.lanes), &run.measured);
                }
                self.small.forget();
                let began_ms = began_ms.unwrap_or(self.clock.now_ms());
                self.finish(job, &ran_on(report.ran_on), began_ms, &foreseen);
            }
            Some(Item::Short(batch)) => self.end_batch(batch),
            None => {}
        }
    }

    fn finish(&mut self, at: u32, ran_on: &str, began_ms: f64, foreseen: &Foreseen) {
        let now_ms = self.clock.now_ms();
        self.last_ms = now_ms;
        self.record.ended(&self.jobs[at as usize], at, ran_on, began_ms, now_ms, foreseen);
        for child in self.gates.end(at) {
            self.enqueue(child);
        }
    }
}

fn ran_on(ran_on: RanOn) -> String {
    match ran_on {
        RanOn::Nowhere => "none".to_owned(),
        RanOn::One(device) => device.to_string(),
        RanOn::Split => "split".to_owned(),
    }
}
