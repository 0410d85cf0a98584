//! Idle devices help out. A plan is made when a job is admitted, by what is known then; where devices turn out slower than
//! they were known to be, jobs wait behind others on one device while another has nothing to do.

use std::time::Duration;

use crate::engine::dispatch::chunk;
use crate::engine::dispatch::job::{Job, Phase};
use crate::engine::dispatch::member::{Member, Standing};
use crate::engine::dispatch::{Action, Dispatch, Slot};
use crate::job::DeviceChoice;

/// A device helps with a job that others are at work on where it would take so many times less for what is left.
const FAR_FASTER: f64 = 2.0;

impl Dispatch {
    /// Lets a device that has an idle lane take part in the first job that waits for others to end, or that it would end far earlier
    /// by itself, if it would end a chunk of it before those whose job it is had ended all the rest. Only where the device's speed
    /// with it was measured, and the job left the choice to the planner.
    pub(super) fn help_out(&mut self, at: usize, now: Duration, actions: &mut Vec<Action>) {
        while self.machines[at].alive && self.machines[at].idle_lane().is_some() {
            let mut waiting: Vec<(u64, Slot, usize)> = self
                .wide
                .iter()
                .filter_map(|&slot| {
                    let job = self.job(slot)?;
                    if job.phase != Phase::Folding || job.rest == 0 || job.policy != DeviceChoice::Auto {
                        return None;
                    }
                    let is_probed = |member| job.probe.as_ref().is_some_and(|probe| probe.member == member);
                    let member = job.members.iter().position(|member| member.machine == at)?;
                    let helper = &job.members[member];
                    let able = helper.standing == Standing::Reserve && helper.measured && !helper.shares_cpu;
                    let waits = || job.begun.is_none() || self.stands_behind_others(job) || is_far_faster(helper, job);
                    (able && !is_probed(member) && waits()).then_some((job.order, slot, member))
                })
                .collect();
            waiting.sort_by_key(|(order, ..)| *order);
            let Some(slot) = waiting.into_iter().find_map(|(_, slot, member)| self.may_help(slot, member, now)) else {
                return;
            };
            self.update_backlog(slot);
            self.enqueue(slot);
            self.feed(at, false, now, actions);
        }
    }

    /// Whether a job's turn has come on none of its devices, though one of their lanes may have had nothing better to do than
    /// a chunk of it.
    fn stands_behind_others(&self, job: &Job) -> bool {
        let mut own = job.members.iter().filter(|member| member.takes_part());
        own.all(|member| !self.machines[member.machine].is_next(job.uid))
    }

    /// Lets this member take part where there is a chunk for it now.
    fn may_help(&mut self, slot: Slot, member: usize, now: Duration) -> Option<Slot> {
        let Self { jobs, machines, .. } = self;
        let job = jobs[slot.at].as_mut()?;
        job.members[member].standing = Standing::Active;
        if matches!(chunk::next(job, member, machines, false, now), chunk::Next::Take(_)) {
            return Some(slot);
        }
        job.members[member].standing = Standing::Reserve;
        None
    }
}

/// Whether this device would end by itself, in a fraction of the time, what is left for those whose job it is. It was busy or closed
/// when the job was planned, then. A device that would gain less is left out, as the planner left it out.
fn is_far_faster(helper: &Member, job: &Job) -> bool {
    let (own_ms, _) = job.pending();
    let units = own_ms * job.power();
    let ms = helper.setup_ms + helper.chunk_ms + units / (helper.units_per_ms * f64::from(helper.lanes));
    ms * FAR_FASTER < own_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::device::DeviceId;
    use crate::engine::dispatch::tests::{admission, lanes, power};
    use crate::engine::dispatch::{Admission, Event};

    /// Two jobs that are both planned for the GPU, which folds ten times as fast as each of the CPU's two threads.
    fn admitted(change: impl Fn(&mut Admission)) -> Vec<DeviceId> {
        let (mut dispatch, mut actions) = (Dispatch::new(), Vec::new());
        for (device, count) in [(DeviceId::Cpu, 2), (DeviceId::Gpu(0), 1)] {
            dispatch.on(Event::DeviceAdded(lanes(device, count)), Duration::ZERO, &mut actions);
        }
        for job in 1..=2 {
            let powers = [power(DeviceId::Gpu(0), 1, 1000.0), power(DeviceId::Cpu, 2, 100.0)];
            let mut admission = admission(job, 1_000_000, DeviceChoice::Auto, &[DeviceId::Gpu(0)], &powers);
            change(&mut admission);
            dispatch.on(Event::Admitted(admission), Duration::ZERO, &mut actions);
        }
        let device = |action: &Action| match action {
            Action::Fold { ticket, .. } => Some(ticket.device),
            _ => None,
        };
        actions.iter().filter_map(device).collect()
    }

    #[test]
    fn an_idle_device_takes_part_in_a_job_that_waits_for_another() {
        let begun = admitted(|_| {});
        assert_eq!(begun[0], DeviceId::Gpu(0), "the first one is left alone");
        assert_eq!(begun[1..], [DeviceId::Cpu, DeviceId::Cpu], "the second one waits");
    }

    #[test]
    fn a_device_that_was_opened_for_one_job_helps_with_those_that_were_planned_before() {
        use crate::device::Phases;
        // Opening takes longer than all that waits; once it is done, the device is ten times as fast as the thread.
        let helps = |opening: Duration| {
            let (mut dispatch, mut actions) = (Dispatch::new(), Vec::new());
            for (device, count) in [(DeviceId::Cpu, 1), (DeviceId::Gpu(0), 1)] {
                dispatch.on(Event::DeviceAdded(lanes(device, count)), Duration::ZERO, &mut actions);
            }
            let cold = crate::plan::Power { setup_ms: 5000.0, ..power(DeviceId::Gpu(0), 1, 1000.0) };
            let powers = [power(DeviceId::Cpu, 1, 100.0), cold];
            let forced = admission(1, 1000, DeviceChoice::Gpu, &[DeviceId::Gpu(0)], &powers);
            dispatch.on(Event::Admitted(forced), Duration::ZERO, &mut actions);
            let Some(Action::Fold { ticket, .. }) = actions.first() else { panic!("{actions:?}") };
            let ticket = *ticket;
            for job in 2..=3 {
                let admission = admission(job, 100_000, DeviceChoice::Auto, &[DeviceId::Cpu], &powers);
                dispatch.on(Event::Admitted(admission), Duration::ZERO, &mut actions);
            }
            actions.clear();
            let phases = Phases { opening, setup: Duration::from_secs(5), ..Phases::default() };
            dispatch.on(Event::ChunkDone { ticket, phases, resident: false }, Duration::from_secs(1), &mut actions);
            actions.iter().any(
                |action| matches!(action, Action::Fold { job: 2..=3, ticket, .. } if ticket.device == DeviceId::Gpu(0)),
            )
        };
        assert!(helps(Duration::from_secs(5)));
        assert!(!helps(Duration::ZERO), "it was not this chunk that opened it");
    }

    /// Whether a GPU that has been busy joins a job that the CPU has begun, where it is so many times as fast as its one thread.
    fn joins(times: f64) -> bool {
        let (mut dispatch, mut actions) = (Dispatch::new(), Vec::new());
        for (device, count) in [(DeviceId::Cpu, 1), (DeviceId::Gpu(0), 1)] {
            dispatch.on(Event::DeviceAdded(lanes(device, count)), Duration::ZERO, &mut actions);
        }
        let powers = [power(DeviceId::Cpu, 1, 100.0), power(DeviceId::Gpu(0), 1, 100.0 * times)];
        let before = admission(1, 1000, DeviceChoice::Gpu, &[DeviceId::Gpu(0)], &powers);
        dispatch.on(Event::Admitted(before), Duration::ZERO, &mut actions);
        let Some(Action::Fold { ticket, .. }) = actions.first() else { panic!("{actions:?}") };
        let ticket = *ticket;
        let begun = admission(2, 1_000_000, DeviceChoice::Auto, &[DeviceId::Cpu], &powers);
        dispatch.on(Event::Admitted(begun), Duration::ZERO, &mut actions);
        actions.clear();
        let done = Event::ChunkDone { ticket, phases: crate::device::Phases::default(), resident: false };
        dispatch.on(done, Duration::from_millis(10), &mut actions);
        let on_gpu =
            |action: &Action| matches!(action, Action::Fold { job: 2, ticket, .. } if ticket.device != DeviceId::Cpu);
        actions.iter().any(on_gpu)
    }

    #[test]
    fn a_device_joins_a_job_under_way_only_where_it_would_end_it_far_earlier() {
        assert!(joins(3.0));
        assert!(!joins(1.5), "the planner decides about splits");
    }

    #[test]
    fn it_does_not_where_somebody_chose_or_its_speed_is_a_guess_or_it_would_be_the_last() {
        let alone = [DeviceId::Gpu(0)];
        assert_eq!(admitted(|admission| admission.policy = DeviceChoice::Gpu), alone);
        assert_eq!(admitted(|admission| admission.powers[1].measured = false), alone);
        assert_eq!(admitted(|admission| admission.powers[1].setup_ms = 1e9), alone);
    }
}
