//! What dispatch says is carried out: chunks and batches take their time on lanes, and jobs end.

use crate::device::{DeviceId, Phases};
use crate::engine::RanOn;
use crate::engine::dispatch::{Action, Event, JobReport, Ticket};
use crate::model::ModelKey;
use crate::simulate::outcome::duration;
use crate::simulate::record::{Planned, place};
use crate::simulate::run::large::Large;
use crate::simulate::run::{Busy, Item, Run};

impl Run<'_> {
    pub(super) fn act(&mut self) {
        while !self.actions.is_empty() {
            let mut actions = std::mem::replace(&mut self.actions, std::mem::take(&mut self.actions_before));
            for action in actions.drain(..) {
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
            self.actions_before = actions;
        }
    }

    /// Whether another pass follows the one that is complete.
    fn passes_again(&mut self, key: u64) -> bool {
        match self.items.get_mut(&key) {
            Some(Item::Large(Large { passes_left, .. })) => {
                *passes_left = passes_left.saturating_sub(1);
                *passes_left > 0
            }
            _ => false,
        }
    }

    fn fold(&mut self, key: u64, ticket: Ticket, pass: u32, units: u64) {
        let now_ms = self.clock.now_ms();
        let (phases, resident, thread_ms) = match self.items.get_mut(&key) {
            Some(Item::Large(Large { job, work, began_ms, thread_unit_ms, .. })) => {
                if began_ms.is_none() {
                    *began_ms = Some(now_ms);
                    self.record.begun(*job, now_ms);
                }
                let slower = self.truth.slower(ticket.device, [u64::from(*job), ticket.serial], now_ms);
                match ticket.device {
                    DeviceId::Cpu => (Phases::default(), false, Some(units as f64 * *thread_unit_ms * slower)),
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

    pub(super) fn ended(&mut self, busy: Busy) {
        let now_ms = self.clock.now_ms();
        match busy {
            Busy::Outside { job, place, begin_ms } => {
                self.places.push(place);
                let index = self.jobs[job as usize].index;
                self.record.waited(place, [begin_ms, now_ms], index);
                self.finish(job, RanOn::Nowhere, begin_ms, None);
            }
            Busy::Chunk { ticket, key, units, begin_ms, mut phases, resident } => {
                if ticket.device == DeviceId::Cpu {
                    phases.compute = duration(now_ms - begin_ms);
                } else {
                    self.states[place(ticket.device)].opened = true;
                }
                let (job, jobs, work_ms) = match self.items.get(&key) {
                    Some(Item::Large(Large { job, work, .. })) => {
                        (*job, 1, units as f64 * work.prior_ns_per_unit / 1e6)
                    }
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
            Some(Item::Large(Large { job, work, class, plan, began_ms, .. })) => {
                self.large[class as usize] -= 1;
                self.reserved_bytes -= self.need(job);
                for run in &report.runs {
                    let fingerprint = &self.states[place(run.device)].fingerprint;
                    self.model.learn(ModelKey::of(work, fingerprint, run.lanes), &run.measured);
                }
                self.small.forget(self.clock.now_ms());
                let began_ms = began_ms.unwrap_or(self.clock.now_ms());
                let planned = plan.as_deref().map(|plan| Planned { plan, report });
                self.finish(job, report.ran_on, began_ms, planned);
            }
            Some(Item::Short(batch)) => self.end_batch(batch),
            None => {}
        }
    }
}
