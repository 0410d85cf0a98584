//! Carrying out the wish to end jobs early.

use super::Coordinator;
use super::memory::Parked;
use crate::engine::batch::Bound;
use crate::engine::dispatch::Event;
use crate::engine::message::Item;
use crate::engine::queue::take_out;
use crate::job::{Cause, JobError};

impl Coordinator {
    /// Ends what was cancelled and has not begun, and tells dispatch of the rest.
    pub(super) fn cancel(&mut self) {
        let mut gone = self.queue.take_cancelled();
        gone.extend(self.unplanned.extract_if(.., |bound| bound.ticket.is_refused()).map(|bound| bound.ticket));
        for waiting in &mut self.bound {
            let mut refused = Vec::new();
            take_out(waiting, &mut refused, |bound| bound.ticket.is_refused());
            for bound in refused {
                self.streams.leave(&bound.work, bound.ticket.device.unwrap_or(self.shared.default_device()));
                gone.push(bound.ticket);
            }
        }
        for pool in &mut self.pools.all {
            gone.extend(pool.jobs.extract_if(.., |bound| bound.ticket.is_refused()).map(|bound| bound.ticket));
        }
        let mut cancelled = Vec::new();
        let mut stages = self.on_lanes.next.take_refused();
        for (key, item) in &mut self.items {
            match item {
                Item::Large(large)
                    if large.ticket.cancel.is_cancelled() || (!large.begun && large.ticket.is_refused()) =>
                {
                    cancelled.push(*key);
                }
                Item::OnGpu(staged) if staged.is_refused() => cancelled.push(*key),
                Item::Fused(fused) => {
                    let begun = fused.begun;
                    let is_gone = |job: &mut Bound| {
                        let ticket = &job.ticket;
                        ticket.cancel.is_cancelled() || (!begun && ticket.is_refused())
                    };
                    // The others go on: only a run that nobody waits for any more is ended.
                    gone.extend(fused.jobs.iter_mut().filter_map(|job| job.take_if(is_gone)).map(|job| job.ticket));
                    if fused.jobs.iter().all(Option::is_none) {
                        fused.running.cancel.cancel();
                        cancelled.push(*key);
                    }
                }
                Item::Bound(bound) => {
                    gone.extend(bound.extract_if(.., |bound| bound.ticket.is_refused()).map(|bound| bound.ticket));
                }
                Item::Batch(tickets) => gone.extend(tickets.extract_if(.., |ticket| ticket.is_refused())),
                _ => {}
            }
        }
        stages.extend(self.waiting.take_refused());
        self.limits.take_refused(&mut stages);
        self.unsettled.take_refused(&mut stages);
        if let Some(processes) = &mut self.processes {
            stages.extend(processes.take_refused());
        }
        for parked in self.take_refused_parked() {
            match parked {
                Parked::Stage(staged) => stages.push(staged),
                Parked::Large(bound) => gone.push(bound.ticket),
            }
        }
        for ticket in gone {
            if let Some(error) = ticket.cancel.refusal() {
                self.fail_ticket(ticket, error, None);
            }
        }
        for staged in stages {
            let error = staged.ticket.cancel.refusal();
            self.fail_stage(staged, error.unwrap_or_else(|| JobError::new(Cause::Cancelled, "cancelled")));
        }
        for job in cancelled {
            self.tell(Event::Cancelled { job });
        }
    }
}
