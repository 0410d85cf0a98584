//! Large jobs: each planned when its turn comes, and given to dispatch.

use std::collections::HashSet;
use std::sync::Arc;

use crate::device::DeviceId;
use crate::engine::dispatch::{Admission, Event};
use crate::engine::order::{order, rough_ms};
use crate::engine::queue::Class;
use crate::job::{Cause, DeviceChoice};
use crate::kernels::Work;
use crate::plan::{Plan, PlanError, PlanRequest, plan};
use crate::simulate::SimWork;
use crate::simulate::run::{Item, Run};

/// So many chunks of a job are told apart, more or less: of a job of weeks there would be billions.
const CHUNKS_MAX: f64 = 10_000.0;

/// A large job that dispatch knows.
pub(super) struct Large<'a> {
    pub job: u32,
    pub work: &'a Arc<Work>,
    pub class: Class,
    /// Its plan, where somebody will look at it.
    pub plan: Option<Box<Plan>>,
    pub began_ms: Option<f64>,
    pub passes_left: u32,
    /// How long a unit takes on one thread that works alone, in milliseconds: asked for with every chunk.
    pub thread_unit_ms: f64,
}

impl Run<'_> {
    /// Plans a large job and gives it to dispatch.
    pub(super) fn open(&mut self, at: u32) {
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
        let planned = self.plan(work, told);
        let plan = match planned {
            Ok(plan) => plan,
            Err(error) => return self.refuse(at, &error),
        };
        self.streams.planned(&plan.outlook);
        self.next_key += 1;
        let class = Class::of(told);
        self.large[class as usize] += 1;
        self.reserved_bytes += self.need(at);
        let passes_left = work.passes.max(1);
        let admission = Admission::new(self.next_key, order, work, &plan, told).with_chunks_at_most(CHUNKS_MAX);
        let plan = self.options.timeline.then(|| Box::new(plan));
        let thread_unit_ms = self.truth.unit_ms(work, DeviceId::Cpu);
        let large = Large { job: at, work, class, plan, began_ms: None, passes_left, thread_unit_ms };
        self.items.insert(self.next_key, Item::Large(large));
        self.tell(Event::Admitted(admission));
    }

    fn plan(&self, work: &Work, told: DeviceChoice) -> Result<Plan, PlanError> {
        plan(&PlanRequest {
            work,
            policy: told,
            devices: &self.states,
            inventory_known: true,
            model: &self.model,
            threads: self.threads(),
            explain: self.options.timeline,
            stream: self.streams.of(work, 0),
        })
    }

    /// A job cannot run as it asks, and those that wait for it neither.
    fn refuse(&mut self, at: u32, error: &PlanError) {
        let cause = match error {
            PlanError::NoDevice { .. } => Cause::NoDevice,
            PlanError::TooLarge { .. } => Cause::Memory,
            _ => Cause::Unsupported,
        };
        self.leave_out(at, cause, error.to_string());
        let mut rest: Vec<u32> = self.gates.children(at).to_vec();
        let mut seen: HashSet<u32> = rest.iter().copied().collect();
        while let Some(child) = rest.pop() {
            if self.refused.iter().all(|(index, _)| *index != self.jobs[child as usize].index) {
                self.leave_out(child, Cause::Skipped, "a job that it waits for cannot run".to_owned());
            }
            rest.extend(self.gates.children(child).iter().copied().filter(|next| seen.insert(*next)));
        }
    }

    fn leave_out(&mut self, at: u32, cause: Cause, why: String) {
        let job = &self.jobs[at as usize];
        self.record.refused(job, at, self.clock.now_ms(), cause, &why);
        self.refused.push((job.index, why));
    }
}
