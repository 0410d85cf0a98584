//! Who folds what, when: a state machine without I/O. The engine feeds it what happened and does what it says; a
//! simulator can feed it just as well.
//!
//! Jobs are cut into chunks after HGuided (Nozal et al., *EngineCL*, 2020): a lane takes a part of what is left in
//! proportion to its speed, so chunks shrink as the work runs out. Three rules are added. A chunk is never shorter than
//! its own overhead warrants nor longer than a tenth of a second; a lane takes a chunk only if it would end it before the
//! others had ended all the rest, so that a slow device never holds the last chunk; and speeds are corrected by the job's
//! own chunks while it runs. Lanes that one job leaves idle go to the next one in order, and a device that has nothing to do
//! helps with a job that waits for another.
//!
//! What holds after every event: each unit of a pass is folded exactly once; each job ends exactly once; a lane folds at
//! most one chunk; nothing is in flight on a device that was lost.

mod backlog;
mod chunk;
mod event;
mod faults;
mod help;
mod job;
mod lanes;
mod member;
mod report;

use std::collections::HashMap;
use std::time::Duration;

use crate::device::DeviceId;
use crate::job::{Cause, JobError};

pub use event::{Action, Admission, Event, Lanes, Ticket};
pub(crate) use lanes::LANES_MAX;
pub use report::{DeviceRun, JobReport};

use job::{Job, Phase};
use lanes::{Flight, Lane, Machine, Queued};

/// Everything that is running or waiting to run.
#[derive(Debug, Default)]
pub struct Dispatch {
    /// A slab: jobs keep their place while they live.
    jobs: Vec<Option<Job>>,
    free: Vec<usize>,
    by_key: HashMap<u64, usize>,
    machines: Vec<Machine>,
    /// The jobs of more than one chunk, by order.
    wide: Vec<Queued>,
    /// The next number of a chunk or of a job; never used twice.
    serial: u64,
}

/// Which job in the slab, and that it is still the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    at: usize,
    uid: u64,
}

impl Dispatch {
    /// Nothing to do, and nobody to do it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of what happened at `now` (on any clock that never goes back) and adds what is to be done to
    /// `actions`. Events about jobs or chunks that have ended meanwhile change nothing.
    pub fn on(&mut self, event: Event, now: Duration, actions: &mut Vec<Action>) {
        match event {
            Event::DeviceAdded(lanes) => self.add_device(&lanes),
            Event::DeviceLost { device, why } => self.set_aside(device, &why, now, actions),
            Event::Admitted(admission) => self.admit(admission, now, actions),
            Event::ChunkDone { ticket, phases, resident } => {
                if let Some(flight) = self.land(ticket) {
                    self.folded(&flight, &phases, resident, now, actions);
                }
            }
            Event::ChunkFailed { ticket, error } => self.chunk_failed(ticket, error, now, actions),
            Event::PassAdvanced { job } => self.advance(job, now, actions),
            Event::Finished { job } => self.end_by_key(job, Ok(()), now, actions),
            Event::Failed { job, error } => self.end_by_key(job, Err(error), now, actions),
            Event::Cancelled { job } => {
                let error = JobError::new(Cause::Cancelled, "cancelled");
                self.end_by_key(job, Err(error), now, actions);
            }
        }
        self.schedule(now, actions);
    }

    /// Whether the result of this chunk is still wanted. Ask before merging it, under the same lock as the event that
    /// reports it: the chunk of a cancelled or failed job, or of a device set aside, is not.
    pub fn wants(&self, ticket: Ticket) -> bool {
        self.flight(ticket).is_some_and(|flight| self.job(flight.job).is_some())
    }

    /// Whether a device is there and has not been set aside.
    pub fn is_usable(&self, device: DeviceId) -> bool {
        self.machine(device).is_some_and(|at| self.machines[at].alive)
    }

    /// Jobs admitted and not ended.
    pub fn jobs(&self) -> usize {
        self.by_key.len()
    }

    /// Chunks being folded, those whose results are no longer wanted among them.
    pub fn in_flight(&self) -> usize {
        self.machines.iter().map(|machine| machine.in_flight as usize).sum()
    }

    fn machine(&self, device: DeviceId) -> Option<usize> {
        self.machines.iter().position(|machine| machine.id == device)
    }

    fn job(&self, slot: Slot) -> Option<&Job> {
        self.jobs.get(slot.at)?.as_ref().filter(|job| job.uid == slot.uid)
    }

    fn job_mut(&mut self, slot: Slot) -> Option<&mut Job> {
        self.jobs.get_mut(slot.at)?.as_mut().filter(|job| job.uid == slot.uid)
    }

    fn slot(&self, key: u64) -> Option<Slot> {
        let at = *self.by_key.get(&key)?;
        self.jobs[at].as_ref().map(|job| Slot { at, uid: job.uid })
    }

    fn flight(&self, ticket: Ticket) -> Option<&Flight> {
        let machine = &self.machines[self.machine(ticket.device)?];
        match machine.lanes.get(ticket.lane as usize)? {
            Lane::Busy(flight) if flight.serial == ticket.serial => Some(flight),
            _ => None,
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn add_device(&mut self, lanes: &Lanes) {
        let machine = Machine::new(lanes);
        match self.machine(lanes.device) {
            // A device that is there already keeps its chunks in flight.
            Some(at) if self.machines[at].alive => {}
            Some(at) => {
                let Machine { backlog_ms, narrow, wide_lanes, wide_ms, .. } = self.machines[at];
                self.machines[at] = Machine { backlog_ms, narrow, wide_lanes, wide_ms, ..machine };
            }
            None => self.machines.push(machine),
        }
    }

    fn admit(&mut self, admission: Admission, now: Duration, actions: &mut Vec<Action>) {
        let uid = self.next_serial();
        if self.by_key.contains_key(&admission.job) {
            debug_assert!(false, "job {} was admitted twice", admission.job);
            return;
        }
        let key = admission.job;
        let job = Job::new(admission, uid, now, |device| self.machine(device).map(|at| (at, &self.machines[at])));
        let at = self.free.pop().unwrap_or_else(|| {
            self.jobs.push(None);
            self.jobs.len() - 1
        });
        let slot = Slot { at, uid };
        if job.is_wide {
            let place = self.wide.partition_point(|other| other.order <= job.order);
            self.wide.insert(place, Queued { order: job.order, slot });
        }
        self.jobs[at] = Some(job);
        self.by_key.insert(key, at);
        if self.find_somebody(slot, now, actions) {
            self.update_backlog(slot);
            self.enqueue(slot);
            self.show_to_helpers(slot, now);
        }
    }

    /// A new pass over the same units.
    fn advance(&mut self, key: u64, now: Duration, actions: &mut Vec<Action>) {
        let Some(slot) = self.slot(key) else { return };
        let Some(job) = self.job_mut(slot) else { return };
        if job.phase != Phase::Merging {
            debug_assert!(false, "job {key} advanced in the middle of a pass");
            return;
        }
        job.begin_pass();
        if self.find_somebody(slot, now, actions) {
            self.update_backlog(slot);
            self.enqueue(slot);
            self.show_to_helpers(slot, now);
        }
    }

    /// Frees the lane of a chunk that has come back; `None` where nobody waits for it any more.
    fn land(&mut self, ticket: Ticket) -> Option<Flight> {
        self.flight(ticket)?;
        let at = self.machine(ticket.device)?;
        let flight = self.machines[at].land(ticket.lane)?;
        let mixed = self.machines[at].mixed;
        let job = self.job_mut(flight.job)?;
        job.landed(&flight, mixed);
        Some(flight)
    }

    /// A chunk was folded.
    fn folded(
        &mut self,
        flight: &Flight,
        phases: &crate::device::Phases,
        resident: bool,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        if !phases.opening.is_zero() {
            self.opened(flight, phases.opening);
        }
        let Some(job) = self.job_mut(flight.job) else { return };
        job.folded(flight, phases, resident, now);
        let promoted = job.promote_probe(flight);
        if job.folded_units == job.units && job.in_flight == 0 {
            job.end_pass();
            actions.push(Action::PassComplete { job: job.key });
        }
        self.update_backlog(flight.job);
        if promoted {
            self.enqueue(flight.job);
        }
    }

    /// A device was opened by this chunk: nobody who was planned before has to open it any more.
    fn opened(&mut self, flight: &Flight, opening: Duration) {
        let member = |job: &Job| job.members.get(flight.member).map(|member| member.machine);
        let Some(at) = self.job(flight.job).and_then(member) else { return };
        let opening_ms = opening.as_secs_f64() * 1e3;
        self.machines[at].look_now();
        let members = self.jobs.iter_mut().flatten().flat_map(|job| &mut job.members);
        for member in members.filter(|member| member.machine == at) {
            member.setup_ms = (member.setup_ms - opening_ms).max(0.0);
        }
    }

    fn end_by_key(&mut self, key: u64, result: Result<(), JobError>, now: Duration, actions: &mut Vec<Action>) {
        if let Some(slot) = self.slot(key) {
            self.end(slot, result, now, actions);
        }
    }

    /// Ends a job. What it still has in flight keeps its lanes until it comes back, and is ignored then.
    fn end(&mut self, slot: Slot, result: Result<(), JobError>, now: Duration, actions: &mut Vec<Action>) {
        let Some(job) = self.jobs.get_mut(slot.at).and_then(Option::take) else { return };
        debug_assert_eq!(job.uid, slot.uid);
        self.free.push(slot.at);
        self.by_key.remove(&job.key);
        self.drop_backlog(slot, &job);
        let report = job.report(result.is_ok(), now);
        actions.push(Action::End { job: job.key, result, report });
    }

    /// Puts a job into the queue of each device that may fold it, by order.
    fn enqueue(&mut self, slot: Slot) {
        let Some(job) = self.jobs[slot.at].as_mut() else { return };
        for at in 0..job.members.len() {
            if job.may_fold(at) && !job.members[at].queued {
                job.members[at].queued = true;
                self.machines[job.members[at].machine].enqueue(job.order, slot);
            }
        }
    }

    /// Gives idle lanes what there is for them.
    fn schedule(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for at in 0..self.machines.len() {
            self.feed(at, false, now, actions);
        }
        for at in 0..self.machines.len() {
            self.help_out(at, now, actions);
        }
        // Every device may have left the rest to the others. Then nobody waits for anything: somebody has to.
        if !self.by_key.is_empty() && self.machines.iter().all(|machine| machine.in_flight == 0) {
            for at in 0..self.machines.len() {
                self.feed(at, true, now, actions);
                if self.machines[at].in_flight > 0 {
                    break;
                }
            }
        }
    }

    /// Gives the idle lanes of one device what there is for them; with `force`, also what others would end earlier.
    fn feed(&mut self, at: usize, force: bool, now: Duration, actions: &mut Vec<Action>) {
        let mut place = 0;
        while let Some(&queued) = self.machines[at].ready.get(place) {
            let Some(lane) = self.machines[at].idle_lane() else { return };
            let slot = queued.slot;
            let Some(job) = self.jobs[slot.at].as_ref().filter(|job| job.uid == slot.uid) else {
                self.machines[at].ready.remove(place);
                continue;
            };
            let Some(member) = job.members.iter().position(|member| member.machine == at) else {
                self.machines[at].ready.remove(place);
                continue;
            };
            match chunk::next(job, member, &self.machines, force, now) {
                chunk::Next::Nothing => {
                    self.machines[at].ready.remove(place);
                    if let Some(job) = self.jobs[slot.at].as_mut() {
                        job.members[member].queued = false;
                    }
                }
                chunk::Next::NotNow => place += 1,
                chunk::Next::Take(take) => {
                    let serial = self.next_serial();
                    let Some(job) = self.jobs[slot.at].as_mut() else { continue };
                    let machine = &mut self.machines[at];
                    let units = job.take(member, &take, now);
                    let ticket = Ticket { device: machine.id, lane, serial };
                    actions.push(Action::Fold { ticket, job: job.key, pass: job.pass, units: units.clone() });
                    let ends = now.saturating_add(job.members[member].predict(units.end - units.start));
                    job.members[member].setup_ms = 0.0;
                    let probe = take.probe;
                    machine.launch(lane, Flight { serial, job: slot, member, units, started: now, ends, probe });
                    job.members[member].contended |= machine.mixed;
                    self.update_backlog(slot);
                }
            }
        }
    }
}

#[cfg(test)]
mod backlog_tests;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;
