//! Large jobs: each planned when its turn comes, and given to dispatch.

use std::collections::HashSet;
use std::sync::Arc;

use crate::engine::dispatch::{Admission, Event};
use crate::engine::order::{order, rough_ms};
use crate::engine::queue::Class;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::plan::{Plan, PlanError, PlanRequest, plan};
use crate::simulate::SimWork;
use crate::simulate::record::Foreseen;
use crate::simulate::run::{Item, Run};

/// A large job that dispatch knows.
pub(super) struct Large<'a> {
    pub job: u32,
    pub work: &'a Arc<Work>,
    pub class: Class,
    pub foreseen: Foreseen,
    pub began_ms: Option<f64>,
    pub passes_left: u32,
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
            Err(error) => return self.refuse(at, &error.to_string()),
        };
        self.streams.planned(&plan.outlook);
        let foreseen = self.foreseen(&plan);
        self.next_key += 1;
        let class = Class::of(told);
        self.large[class as usize] += 1;
        self.reserved_bytes += self.need(at);
        let passes_left = work.passes.max(1);
        let large = Large { job: at, work, class, foreseen, began_ms: None, passes_left };
        self.items.insert(self.next_key, Item::Large(large));
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
            explain: self.options.timeline,
            stream: self.streams.of(work, 0),
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
        let mut seen: HashSet<u32> = rest.iter().copied().collect();
        while let Some(child) = rest.pop() {
            let why = "a job that it waits for cannot run".to_owned();
            if self.refused.iter().all(|(index, _)| *index != self.jobs[child as usize].index) {
                self.refused.push((self.jobs[child as usize].index, why));
            }
            rest.extend(self.gates.children(child).iter().copied().filter(|next| seen.insert(*next)));
        }
    }
}
