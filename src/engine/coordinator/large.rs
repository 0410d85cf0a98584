//! Large jobs: planned, given to dispatch, and ended; the GPUs that plans may name.

use std::sync::Arc;
use std::time::Instant;

use super::Coordinator;
use super::memory::{Parked, wanted_by};
use crate::device::{DeviceError, DeviceId};
use crate::engine::batch::Bound;
use crate::engine::dispatch::{Admission, Event, JobReport, Lanes as DispatchLanes, Ticket as LaneTicket};
use crate::engine::message::{Folded, Item, Large, Message};
use crate::engine::order::{OPEN_PER_LANE, rough_ms};
use crate::engine::queue::Class;
use crate::engine::running::{PassEnd, Running};
use crate::engine::shared::Planned;
use crate::engine::ticket::deliver;
use crate::engine::ways::{OtherWay, plan_ways};
use crate::engine::{Timings, panics};
use crate::job::{Cause, DeviceChoice, JobError};
use crate::kernels::{DynKernel, Work};
use crate::plan::Plan;

impl Coordinator {
    pub(super) fn chunk_ended(&mut self, key: u64, ticket: LaneTicket, result: Result<Folded, DeviceError>) {
        let merged = match result {
            // A chunk that was given to somebody else meanwhile must not be merged twice. No device of ours has more
            // than one lane, so that this is for devices of others.
            Ok(Folded { partial: Some(partial), phases, resident }) if self.dispatch.wants(ticket) => {
                match self.items.get(&key).and_then(Item::running) {
                    Some(running) => running.absorb(partial).map(|()| (phases, resident)).map_err(DeviceError::Job),
                    None => Ok((phases, resident)),
                }
            }
            Ok(Folded { phases, resident, .. }) => Ok((phases, resident)),
            Err(error) => Err(error),
        };
        let event = match merged {
            Ok((phases, resident)) => Event::ChunkDone { ticket, phases, resident },
            Err(error) => Event::ChunkFailed { ticket, error },
        };
        self.tell(event);
    }

    /// Makes GPUs known to dispatch once they have been looked for, by whomever: a plan may name them from then on.
    pub(super) fn add_gpus(&mut self) {
        if self.gpus_added {
            return;
        }
        let Some(found) = self.shared.devices.known_gpus() else { return };
        let usable = found.gpus.iter().filter(|gpu| gpu.unusable.is_none());
        let lanes: Vec<_> = usable.map(|gpu| DispatchLanes::of(gpu.device.info())).collect();
        self.gpus_added = true;
        self.unsettled.gpus = lanes.len();
        for lanes in lanes {
            self.tell(Event::DeviceAdded(lanes));
        }
    }

    /// Lets plans name a device again that was set aside, where it can be opened anew.
    pub(super) fn try_again(&mut self, id: DeviceId) {
        let Some(device) = self.shared.devices.get(id) else { return };
        let is_aside = self.shared.aside().iter().any(|(aside, _)| *aside == id);
        if is_aside && panics::catch(|| device.try_again()).unwrap_or(false) && self.shared.take_back(id) {
            self.tell(Event::DeviceAdded(DispatchLanes::of(device.info())));
        }
    }

    pub(super) fn may_admit(&self, class: Class) -> bool {
        self.room_for_large(class) > 0
    }

    /// How many large jobs more dispatch is to know of.
    pub(super) fn room_for_large(&self, class: Class) -> usize {
        (self.threads() as usize * OPEN_PER_LANE).saturating_sub(self.large[class as usize])
    }

    /// Gives dispatch the large jobs that there is room for.
    pub(super) fn admit_waiting(&mut self, class: Class) {
        while self.may_admit(class)
            && let Some(next) = self.bound[class as usize].pop_front()
        {
            self.streams.leave(&next.work, next.ticket.device.unwrap_or(self.shared.default_device()));
            self.admit_large(next);
        }
    }

    /// Plans a bound job and gives it to dispatch.
    pub(super) fn admit_large(&mut self, mut bound: Bound) {
        if let Some(error) = bound.ticket.cancel.refusal() {
            return self.fail_ticket(bound.ticket, error, None);
        }
        let asked = bound.ticket.device.unwrap_or(self.shared.default_device());
        let class = Class::of(asked);
        if !self.may_admit(class) {
            let waiting = &mut self.bound[class as usize];
            // By priority, and in order within one.
            let at = waiting.partition_point(|other| other.ticket.priority >= bound.ticket.priority);
            self.streams.join(&bound.work, asked);
            return waiting.insert(at, bound);
        }
        self.add_gpus();
        // What it takes decides its place in the queue, and so what it waits for.
        let order = self.order(bound.ticket.priority, rough_ms(bound.work.prior_ms(), self.threads()));
        if let Some(need) = wanted_by(&bound, self.threads()) {
            return self.park(order, need, Parked::Large(bound));
        }
        let now = self.begun.elapsed();
        let busy_for_ms = |device| self.dispatch.busy_for_ms(device, now, |_| order);
        let unopened = if bound.ticket.in_memory { 0 } else { self.queue.files(class) };
        let stream = self.streams.of(&bound.work, unopened as u64);
        let plan = |kernel: &dyn DynKernel, work: &Work| self.shared.plan(kernel, work, asked, &busy_for_ms, stream);
        let (planned, other_way) = plan_ways(&**bound.kernel, &bound.work, plan);
        if let Some(OtherWay { kernel, work }) = other_way {
            (bound.kernel, bound.work) = (kernel, work);
        }
        match planned {
            Planned::Plan(plan) => {
                self.streams.planned(&plan.outlook);
                if plan.outlook.search {
                    self.search_once();
                }
                self.begin(bound, Arc::new(plan), asked, order);
            }
            Planned::SearchFirst => {
                self.unplanned.push(bound);
                self.search_once();
            }
            Planned::Refused(error) => self.fail_ticket(bound.ticket, error, None),
        }
    }

    pub(super) fn begin(&mut self, bound: Bound, plan: Arc<Plan>, asked: DeviceChoice, order: u64) {
        let Bound { ticket, kernel, work, opening, .. } = bound;
        let running = match Running::new(kernel, ticket.cancel.clone()) {
            Ok(running) => Arc::new(running),
            Err(error) => return self.fail_ticket(ticket, error, Some(plan)),
        };
        // A search may have ended while the plan was made, which then names a GPU that dispatch does not know yet.
        self.add_gpus();
        let job = self.key();
        let admission = Admission::new(job, order, &work, &plan, asked);
        let class = Class::of(asked);
        let large =
            Large { running, ticket, work, plan, opening, class, begun: false, admitted: Instant::now(), answer: None };
        self.large[class as usize] += 1;
        self.items.insert(job, Item::Large(Box::new(large)));
        self.tell(Event::Admitted(admission));
    }

    /// Looks for GPUs, unless that is under way.
    pub(super) fn search_once(&mut self) {
        if !std::mem::replace(&mut self.searching, true) {
            self.search();
        }
    }

    /// Looks for GPUs on a thread of its own, since drivers take their time.
    pub(super) fn search(&self) {
        let (shared, sender) = (self.shared.clone(), self.sender.clone());
        let look = move || {
            shared.devices.gpus();
            // The coordinator outlives every search that it began.
            let _ = sender.send(Message::Searched);
        };
        if std::thread::Builder::new().name("tandem-search".into()).spawn(look.clone()).is_err() {
            look();
        }
    }

    pub(super) fn pass_complete(&mut self, key: u64) {
        if let Some(running) = self.items.get(&key).and_then(Item::running) {
            let (running, sender) = (running.clone(), self.sender.clone());
            // Ending a pass is short; it takes no lane, so that none stands idle for it.
            self.lanes.spawn_free(move || {
                let _ = sender.send(Message::PassEnded { key, result: running.end_pass() });
            });
        } else {
            self.items.remove(&key);
            self.tell(Event::Finished { job: key });
        }
    }

    pub(super) fn pass_ended(&mut self, job: u64, result: Result<PassEnd, JobError>) {
        let event = match result {
            Ok(PassEnd::Again) => Event::PassAdvanced { job },
            Ok(PassEnd::Done(answer)) => {
                if let Some(item) = self.items.get_mut(&job) {
                    item.set_answer(answer);
                }
                Event::Finished { job }
            }
            Err(error) => Event::Failed { job, error },
        };
        self.tell(event);
    }

    pub(super) fn end(&self, large: Large, result: Result<(), JobError>, report: &JobReport) {
        self.shared.learn(&large.work, &report.runs);
        let Large { running, ticket, plan, opening, admitted, answer, .. } = large;
        // Dispatch knows that it was to end early, the flag why.
        let result = result.map_err(|error| match error.cause {
            Cause::Cancelled => ticket.cancel.refusal().unwrap_or(error),
            _ => error,
        });
        let result = result.and_then(|()| {
            answer.ok_or_else(|| JobError::new(Cause::Panic, "it ended without an answer: please report this"))
        });
        let waited = admitted.saturating_duration_since(ticket.submitted).saturating_sub(opening);
        let mut phases = report.phases;
        phases.setup += opening;
        let queued = waited + report.queued;
        let timings = Timings {
            queued,
            phases,
            opening,
            total: ticket.submitted.elapsed(),
            since_plan: report.took,
            own: report.own,
            ..Timings::default()
        };
        let outcome = ticket.ended(result, report.ran_on, timings, report.attempts, Some(plan));
        let shared = self.shared.clone();
        // Rendering an answer can take long: it is no work for the thread that decides.
        self.lanes.spawn_free(move || {
            // Nor is dropping a user's kernel, which may panic.
            let _ = panics::catch(|| drop(running));
            deliver(vec![outcome]);
            shared.ended(1);
        });
    }
}
