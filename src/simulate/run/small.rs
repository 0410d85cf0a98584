//! Small jobs and irregular ones: many of them as one piece of work on a lane, as the engine runs them.

use crate::device::DeviceId;
use crate::engine::batch::{BATCH_TIME, SMALL_MS, is_small};
use crate::engine::dispatch::Event;
use crate::engine::order::order;
use crate::engine::queue::BATCH_JOBS;
use crate::engine::shared::is_trivial;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::model::{CostClass, Measured, Model, ModelKey};
use crate::plan::{PlanRequest, Stream, plan};
use crate::simulate::queues::Line;
use crate::simulate::record::Record;
use crate::simulate::run::{Item, Run};
use crate::simulate::{SimJob, SimWork};

/// A job that would take one thread so many times what a small one may is none, whatever will be learned of its kind.
const LARGE: f64 = 8.0;
/// Plans of small jobs that are kept.
const PLANS_MAX: usize = 64;

/// Small jobs that run in one go.
pub(super) struct Batch<'a> {
    pub jobs: Vec<u32>,
    /// How long they take on a thread that works alone, if nothing slows them.
    pub ms: f64,
    /// And one of a usual CPU.
    pub usual_ms: f64,
    began_ms: f64,
    /// The work of one, where all are alike.
    alike: Option<&'a Work>,
    is_task: bool,
    memory_bytes: u64,
}

impl Batch<'_> {
    /// It has begun, and each of its jobs begins when those before it have ended.
    pub fn begin(&mut self, now_ms: f64, record: &mut Record) {
        self.began_ms = now_ms;
        let each_ms = self.ms / self.jobs.len().max(1) as f64;
        for (at, job) in self.jobs.iter().enumerate() {
            record.begun(*job, now_ms + each_ms * at as f64);
        }
    }
}

/// What is known of small jobs, by what they have in common: how long one takes, where it is run where it was bound.
#[derive(Debug, Default)]
pub(super) struct SmallPlans<'a> {
    plans: Vec<((Likeness<'a>, DeviceChoice), Option<f64>)>,
    made_ms: f64,
}

/// What small jobs have in common that take as long as each other.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Likeness<'a> {
    kernel: &'a str,
    variant: &'a str,
    cost: CostClass,
    units_log2: Option<u32>,
    passes: u32,
}

impl<'a> Likeness<'a> {
    fn of(work: &'a Work) -> Self {
        Self {
            kernel: work.kernel,
            variant: &work.variant,
            cost: CostClass::of(work.prior_ns_per_unit),
            units_log2: work.units.checked_ilog2(),
            passes: work.passes,
        }
    }
}

impl SmallPlans<'_> {
    /// Forgets them, for what was learned may tell otherwise: the engine plans small jobs anew with each batch.
    pub fn forget(&mut self, now_ms: f64) {
        if now_ms - self.made_ms >= BATCH_TIME.as_secs_f64() * 1e3 {
            self.plans.clear();
            self.made_ms = now_ms;
        }
    }
}

impl<'a> Run<'a> {
    /// Whether a job is run where it was bound.
    pub(super) fn is_small(&mut self, at: u32) -> bool {
        self.small_ms(at).is_some()
    }

    /// How long a small job is predicted to take; `None` for a large one.
    fn small_ms(&mut self, at: u32) -> Option<f64> {
        let jobs: &'a [SimJob] = self.jobs;
        let job = &jobs[at as usize];
        let SimWork::Kernel(work) = &job.work else { return None };
        let speed = self.truth.machine().cpu.speed_of(work.kernel, &work.variant);
        if job.memory_bytes > 0 || work.prior_ms() > LARGE * SMALL_MS * speed {
            return None;
        }
        let told = self.told[at as usize];
        let key = (Likeness::of(work), told);
        if let Some((_, ms)) = self.small.plans.iter().rev().find(|(known, _)| *known == key) {
            return *ms;
        }
        let nothing = Model::new();
        let model = if is_trivial(work) { &nothing } else { &self.model };
        for state in &mut self.states {
            state.busy_for_ms.clear();
        }
        let planned = plan(&PlanRequest {
            work,
            policy: told,
            devices: &self.states,
            inventory_known: true,
            model,
            threads: self.threads(),
            explain: false,
            stream: Stream::default(),
        });
        self.plans += 1;
        let ms = planned.ok().filter(is_small).and_then(|plan| plan.candidates.first()?.predicted).map(|best| best.ms);
        if self.small.plans.len() >= PLANS_MAX {
            self.small.plans.clear();
        }
        self.small.plans.push((key, ms));
        ms
    }

    /// Gives dispatch the next small jobs of this line as one piece of work.
    pub(super) fn open_batch(&mut self, line: Line) {
        let lanes = self.threads() as usize;
        let most = self.queues.len(line).div_ceil(lanes * 2).clamp(1, BATCH_JOBS);
        let mut batch = Batch::empty(false);
        let (mut predicted_ms, mut priority) = (0.0, 0);
        let limit_ms = BATCH_TIME.as_secs_f64() * 1e3;
        while batch.jobs.len() < most && predicted_ms < limit_ms {
            let Some((at, ms)) = self.queues.peek(line).and_then(|at| Some((at, self.small_ms(at)?))) else { break };
            self.pop_kernel(line);
            let jobs: &'a [SimJob] = self.jobs;
            let job = &jobs[at as usize];
            let SimWork::Kernel(work) = &job.work else { break };
            if batch.jobs.is_empty() {
                priority = job.turn();
                batch.alike = Some(work);
            } else if batch.alike.is_some_and(|first| Likeness::of(first) != Likeness::of(work)) {
                batch.alike = None;
            }
            predicted_ms += ms;
            let passes = f64::from(work.passes.max(1));
            batch.ms += work.units as f64 * self.truth.unit_ms(work, DeviceId::Cpu) * passes;
            batch.usual_ms += work.prior_ms();
            batch.jobs.push(at);
        }
        self.admit_short(batch, priority, 0.0, predicted_ms);
    }

    /// Gives dispatch the next irregular job, or small ones of them as one piece of work.
    pub(super) fn open_tasks(&mut self, at_once: usize) {
        let lanes = self.threads() as usize;
        let most = self.queues.len(Line::Tasks).div_ceil(lanes * 2).clamp(1, BATCH_JOBS);
        let mut batch = Batch::empty(true);
        let (mut known_ms, mut priority) = (0.0, 0);
        // The engine's batch looks at the clock after each of them.
        let limit_ms = BATCH_TIME.as_secs_f64() * 1e3;
        while batch.jobs.len() < most.min(at_once - self.tasks) && batch.ms <= limit_ms {
            let Some(at) = self.queues.peek(Line::Tasks) else { break };
            let job = &self.jobs[at as usize];
            let SimWork::Task { ms, .. } = job.work else { break };
            let is_small = ms <= SMALL_MS && job.memory_bytes == 0;
            if !batch.jobs.is_empty() && !is_small {
                break;
            }
            self.queues.pop(Line::Tasks);
            if batch.jobs.is_empty() {
                priority = job.turn();
            }
            known_ms += ms;
            batch.ms += self.truth.task_ms(job.kind, ms);
            batch.usual_ms += ms;
            batch.jobs.push(at);
            if !is_small {
                batch.memory_bytes = self.need(at);
                break;
            }
        }
        self.reserved_bytes += batch.memory_bytes;
        self.tasks += batch.jobs.len();
        let passed_ms = if batch.jobs.len() == 1 { known_ms } else { 0.0 };
        self.admit_short(batch, priority, passed_ms, known_ms);
    }

    fn admit_short(&mut self, batch: Batch<'a>, priority: i32, passed_ms: f64, predicted_ms: f64) {
        if batch.jobs.is_empty() {
            return;
        }
        self.next_key += 1;
        self.shorts += 1;
        let order = order(self.now(), priority, passed_ms);
        self.items.insert(self.next_key, Item::Short(batch));
        let admission = self.short.admission_of(self.next_key, order, predicted_ms);
        self.tell(Event::Admitted(admission));
    }

    pub(super) fn end_batch(&mut self, batch: Batch<'a>) {
        self.shorts -= 1;
        self.reserved_bytes -= batch.memory_bytes;
        let each_ms = (self.clock.now_ms() - batch.began_ms) / batch.jobs.len() as f64;
        if batch.is_task {
            self.tasks -= batch.jobs.len();
        } else if let Some(work) = batch.alike.filter(|work| !is_trivial(work)) {
            let passes = work.passes.max(1);
            let run = Measured { units: work.units, passes, compute_ms: each_ms, ..Measured::default() };
            let fingerprint = &self.states[0].fingerprint;
            self.model.learn(ModelKey::of(work, fingerprint, 1), &run);
            self.small.forget(self.clock.now_ms());
        }
        for (at, job) in batch.jobs.iter().enumerate() {
            let began_ms = batch.began_ms + each_ms * at as f64;
            self.finish(*job, "cpu", began_ms, None);
        }
    }
}

impl Batch<'_> {
    fn empty(is_task: bool) -> Self {
        Self { jobs: Vec::new(), ms: 0.0, usual_ms: 0.0, began_ms: 0.0, alike: None, is_task, memory_bytes: 0 }
    }
}
