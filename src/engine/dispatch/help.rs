//! Idle devices help out. A plan is made when a job is admitted, by what is known then; where devices turn out slower than
//! they were known to be, jobs wait behind others on one device while another has nothing to do.

use std::time::Duration;

use crate::engine::dispatch::chunk;
use crate::engine::dispatch::job::{Job, Phase};
use crate::engine::dispatch::lanes::Machine;
use crate::engine::dispatch::member::{Member, Standing};
use crate::engine::dispatch::{Action, Dispatch, Slot};
use crate::job::DeviceChoice;

/// A device helps with a job that others are at work on where it would take so many times less for what is left.
const FAR_FASTER: f64 = 2.0;
/// A device that found nothing to help with looks again after this part of what others would have to have more to do,
const LOOK_AGAIN_PART: f64 = 0.1;
/// but no later than this.
const LOOK_AGAIN_MS_MAX: f64 = 20.0;

impl Dispatch {
    /// Lets a device that has an idle lane take part in the first job that waits for others to end, or that it would end far earlier
    /// by itself, if it would end a chunk of it before those whose job it is had ended all the rest. Only where the device's speed
    /// with it was measured, and the job left the choice to the planner.
    pub(super) fn help_out(&mut self, at: usize, now: Duration, actions: &mut Vec<Action>) {
        while self.machines[at].alive && self.machines[at].idle_lane().is_some() && self.machines[at].looks(now) {
            let mut lacks_ms = f64::INFINITY;
            let mut found = None;
            for place in 0..self.wide.len() {
                match self.may_help(self.wide[place].slot, at, now) {
                    Help::Takes => found = Some(self.wide[place].slot),
                    Help::Lacks(ms) => lacks_ms = lacks_ms.min(ms),
                    Help::Never => {}
                }
                if found.is_some() {
                    break;
                }
            }
            let Some(slot) = found else { return self.machines[at].look_again(now, lacks_ms) };
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

    /// Lets this device take part in a job where there is a chunk for it now.
    fn may_help(&mut self, slot: Slot, at: usize, now: Duration) -> Help {
        let lacks = self.job(slot).and_then(|job| Some((able(job, at)?, self.lacks_ms(job, at, now)?)));
        let Some((member, lacks_ms)) = lacks else { return Help::Never };
        if lacks_ms > 0.0 {
            return Help::Lacks(lacks_ms);
        }
        let Self { jobs, machines, .. } = self;
        let Some(job) = jobs[slot.at].as_mut() else { return Help::Never };
        job.members[member].standing = Standing::Active;
        if matches!(chunk::next(job, member, machines, false, now), chunk::Next::Take(_)) {
            return Help::Takes;
        }
        job.members[member].standing = Standing::Reserve;
        Help::Lacks(0.0)
    }

    /// How much more those whose job it is would have to have to do, in milliseconds, for this device to help with it; at most 0
    /// where it may, and `None` where it never does. Before anything that costs more: a device that is closed would mostly be open
    /// too late.
    fn lacks_ms(&self, job: &Job, at: usize, now: Duration) -> Option<f64> {
        let member = able(job, at)?;
        let helper = &job.members[member];
        let begun = job.begun.is_some() && !self.stands_behind_others(job);
        let to_be_far_faster_ms = if begun { lacks_to_be_far_faster_ms(helper, job) } else { 0.0 };
        if to_be_far_faster_ms > 0.0 {
            return Some(to_be_far_faster_ms);
        }
        Some(helper.setup_ms + helper.chunk_ms - chunk::others_end_ms(job, member, &self.machines, now))
    }

    /// A job has come that idle devices have not looked at.
    pub(super) fn show_to_helpers(&mut self, slot: Slot, now: Duration) {
        for at in 0..self.machines.len() {
            if self.machines[at].alive
                && self.machines[at].idle_lane().is_some()
                && let Some(lacks_ms) = self.job(slot).and_then(|job| self.lacks_ms(job, at, now))
            {
                let looks_at = self.machines[at].looks_at;
                self.machines[at].look_again(now, lacks_ms);
                let sooner = looks_at.into_iter().chain(self.machines[at].looks_at).min();
                self.machines[at].looks_at = sooner;
            }
        }
    }
}

/// Whether a device takes part in a job that is not its own.
enum Help {
    Takes,
    /// Not before others have so much more to do, in milliseconds.
    Lacks(f64),
    /// Not as things are.
    Never,
}

/// The member of a job that is this device, where it may help with it.
fn able(job: &Job, at: usize) -> Option<usize> {
    if job.phase != Phase::Folding || job.rest == 0 || job.policy != DeviceChoice::Auto {
        return None;
    }
    let member = job.members.iter().position(|member| member.machine == at)?;
    let helper = &job.members[member];
    let is_probed = job.probe.as_ref().is_some_and(|probe| probe.member == member);
    let able = helper.standing == Standing::Reserve && helper.measured && !helper.shares_cpu && !is_probed;
    able.then_some(member)
}

impl Machine {
    /// Whether it is time to look for a job to help with.
    fn looks(&self, now: Duration) -> bool {
        self.looks_at.is_some_and(|at| at <= now)
    }

    /// Things have changed: it is time to look.
    pub(super) fn look_now(&mut self) {
        self.looks_at = Some(Duration::ZERO);
    }

    /// There was nothing: others would have to have so much more to do. There may be many jobs and chunks, so it is a while until
    /// this looks at all of them again.
    fn look_again(&mut self, now: Duration, lacks_ms: f64) {
        let wait = Duration::try_from_secs_f64((lacks_ms * LOOK_AGAIN_PART).clamp(0.0, LOOK_AGAIN_MS_MAX) / 1e3);
        self.looks_at = (lacks_ms < f64::INFINITY).then(|| now.saturating_add(wait.unwrap_or_default()));
    }
}

/// How much more there would have to be left for those whose job it is, in milliseconds, for this device to end that by itself in a
/// fraction of the time; at most 0 where it would. It was busy or closed when the job was planned, then. A device that would gain
/// less is left out, as the planner left it out.
fn lacks_to_be_far_faster_ms(helper: &Member, job: &Job) -> f64 {
    let (own_ms, _) = job.pending();
    let units = own_ms * job.power();
    let ms = helper.setup_ms + helper.chunk_ms + units / (helper.units_per_ms * f64::from(helper.lanes));
    ms * FAR_FASTER - own_ms
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
