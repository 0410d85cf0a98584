//! What becomes of chunks that could not be folded, and of the jobs that they belong to.

use std::time::Duration;

use crate::device::{DeviceError, DeviceId};
use crate::engine::dispatch::job::Phase;
use crate::engine::dispatch::lanes::{Flight, Machine};
use crate::engine::dispatch::member::{Member, Standing};
use crate::engine::dispatch::{Action, Dispatch, Slot, Ticket};
use crate::job::{Cause, DeviceChoice, JobError};

impl Dispatch {
    /// A chunk was not folded: its job fails, or it is run again, smaller or elsewhere.
    pub(super) fn chunk_failed(
        &mut self,
        ticket: Ticket,
        error: DeviceError,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        if self.flight(ticket).is_none() {
            return;
        }
        match error {
            DeviceError::Lost(why) => self.set_aside(ticket.device, &why, now, actions),
            DeviceError::Job(error) => {
                if let Some(flight) = self.land(ticket) {
                    self.end(flight.job, Err(error), now, actions);
                }
            }
            DeviceError::OutOfMemory(why) => {
                if let Some(flight) = self.land(ticket) {
                    self.out_of_memory(&flight, &why, now, actions);
                }
            }
            DeviceError::Unsupported(why) => {
                if let Some(flight) = self.land(ticket) {
                    self.put_back(&flight);
                    let message = format!("{} cannot run this job: {why}: use `--device cpu`", ticket.device);
                    self.drop_member(&flight, JobError::new(Cause::Unsupported, message), now, actions);
                }
            }
        }
    }

    /// A smaller chunk may fit; where it cannot be smaller, another device may do.
    fn out_of_memory(&mut self, flight: &Flight, why: &str, now: Duration, actions: &mut Vec<Action>) {
        self.put_back(flight);
        let Some(job) = self.job_mut(flight.job) else { return };
        let granularity = job.granularity;
        let units = flight.units.end - flight.units.start;
        let member = &mut job.members[flight.member];
        if units > granularity {
            let half = (units / 2 / granularity).max(1) * granularity;
            member.chunk_units_max = member.chunk_units_max.min(half);
            return;
        }
        let device = member.device;
        let message = format!("{device} lacks memory for even the smallest chunk ({units} units): {why}");
        self.drop_member(flight, JobError::new(Cause::Memory, message), now, actions);
    }

    fn put_back(&mut self, flight: &Flight) {
        self.machines.iter_mut().for_each(Machine::look_now);
        if let Some(job) = self.job_mut(flight.job) {
            job.put_back(flight);
            self.update_backlog(flight.job);
            self.enqueue(flight.job);
        }
    }

    /// Takes a device out of one job; the job fails with `error` where the device was asked for by name or was the last.
    fn drop_member(&mut self, flight: &Flight, error: JobError, now: Duration, actions: &mut Vec<Action>) {
        let Some(job) = self.job_mut(flight.job) else { return };
        job.members[flight.member].standing = Standing::Out;
        if job.probe.as_ref().is_some_and(|probe| probe.member == flight.member) {
            job.give_up_probe();
        }
        let by_name = matches!(job.policy, DeviceChoice::Gpu | DeviceChoice::GpuIndex(_));
        if by_name || !self.call_reserves(flight.job) {
            self.end(flight.job, Err(error), now, actions);
        } else {
            self.update_backlog(flight.job);
            self.enqueue(flight.job);
        }
    }

    /// Sets a device aside: what it had in flight goes elsewhere, and the jobs that asked for it by name fail.
    pub(super) fn set_aside(&mut self, device: DeviceId, why: &str, now: Duration, actions: &mut Vec<Action>) {
        let Some(at) = self.machine(device).filter(|&at| self.machines[at].alive) else { return };
        self.machines.iter_mut().for_each(Machine::look_now);
        let mixed = self.machines[at].mixed;
        for flight in self.machines[at].abandon() {
            if let Some(job) = self.job_mut(flight.job) {
                job.landed(&flight, mixed);
                job.put_back(&flight);
            }
        }
        actions.push(Action::SetAside { device, why: why.to_owned() });
        for place in 0..self.jobs.len() {
            let Some(job) = self.jobs[place].as_mut() else { continue };
            let slot = Slot { at: place, uid: job.uid };
            let Some(member) = job.members.iter().position(|member| member.machine == at) else { continue };
            let was_active = job.members[member].takes_part();
            job.members[member].standing = Standing::Out;
            job.members[member].queued = false;
            if job.probe.as_ref().is_some_and(|probe| probe.member == member) {
                job.give_up_probe();
            }
            // Its pass is complete: whether it needs a device at all shows when that is merged.
            if job.phase == Phase::Merging {
                self.update_backlog(slot);
                continue;
            }
            let by_name = matches!(job.policy, DeviceChoice::Gpu | DeviceChoice::GpuIndex(_));
            if was_active && (by_name || !self.call_reserves(slot)) {
                let message = format!("{device} was lost: {why}");
                self.end(slot, Err(JobError::new(Cause::DeviceLost, message)), now, actions);
            } else {
                self.update_backlog(slot);
                self.enqueue(slot);
            }
        }
    }

    /// Sees to it that a job that begins a pass has a device; ends it where there is none.
    pub(super) fn find_somebody(&mut self, slot: Slot, now: Duration, actions: &mut Vec<Action>) -> bool {
        let Some(job) = self.job_mut(slot) else { return false };
        let by_name = matches!(job.policy, DeviceChoice::Gpu | DeviceChoice::GpuIndex(_));
        let planned = job.members.iter().any(|member| member.standing == Standing::Active);
        if planned || (!by_name && self.call_reserves(slot)) {
            return true;
        }
        let message = "the device of its plan is not there any more";
        self.end(slot, Err(JobError::new(Cause::DeviceLost, message)), now, actions);
        false
    }

    /// Lets the reserves of a job take part where nobody is left to. Returns whether somebody takes part.
    fn call_reserves(&mut self, slot: Slot) -> bool {
        let Some(job) = self.jobs[slot.at].as_mut() else { return false };
        if job.members.iter().any(Member::takes_part) {
            return true;
        }
        let machines = &self.machines;
        let ready = |standing: Standing, machine: usize| standing == Standing::Reserve && machines[machine].alive;
        // A software adapter beside the CPU would only take its cores.
        let real = job.members.iter().any(|member| ready(member.standing, member.machine) && !member.shares_cpu);
        let mut called = false;
        for member in &mut job.members {
            if ready(member.standing, member.machine) && (!real || !member.shares_cpu) {
                member.standing = Standing::Active;
                called = true;
            }
        }
        called
    }
}
