//! How long a device has to do with what it has been given: what the planner weighs a free device against.

use std::time::Duration;

use crate::device::DeviceId;
use crate::engine::dispatch::lanes::{Lane, Queued};
use crate::engine::dispatch::{Dispatch, Slot};
use crate::plan::end_together;

/// Jobs of one chunk that wait for a lane of a device. There may be a million of them, so they are only summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Narrow {
    pub(super) jobs: u64,
    /// Lane time.
    pub(super) ms: f64,
}

/// Jobs that together could have each lane of a device this many times keep all of them busy to the end.
const MANY: u64 = 4;

impl Dispatch {
    /// When those lanes of a device will be free, in milliseconds from `now`, that are busy or will be with what comes
    /// before a job: for the planner. Ascending; lanes that are free now are left out. `order` tells the job's order by how
    /// many milliseconds it would wait.
    pub fn busy_for_ms(&self, device: DeviceId, now: Duration, order: impl Fn(f64) -> u64) -> Vec<f64> {
        let Some(at) = self.machine(device).filter(|&at| self.machines[at].alive) else { return Vec::new() };
        let machine = &self.machines[at];
        let mut free_ms: Vec<f64> = machine.lanes.iter().map(|lane| lane.free_in_ms(now)).collect();
        let Narrow { jobs, ms } = machine.narrow;
        if jobs >= free_ms.len() as u64 {
            occupy(&mut free_ms, u32::MAX, ms, |_| false);
        } else {
            (0..jobs).for_each(|_| occupy(&mut free_ms, 1, ms / jobs as f64, |_| false));
        }
        // Where there are many of them, all of them before the job, they keep all lanes busy for as long as they take together.
        let many = machine.wide_lanes >= MANY * free_ms.len() as u64;
        if many && self.wide.last().is_some_and(|last| last.order <= order(0.0)) {
            occupy(&mut free_ms, u32::MAX, machine.wide_ms, |_| false);
            return ascending(free_ms);
        }
        let others = self.wide.iter().filter_map(|&Queued { order, slot }| {
            let job = self.job(slot)?;
            let member = job.members.iter().find(|member| member.machine == at && member.takes_part())?;
            let (pending_ms, chunks) = job.pending();
            let lanes = u64::from(member.lanes).min(chunks) as u32;
            Some((order, slot, lanes, pending_ms * f64::from(member.lanes)))
        });
        for (other, slot, lanes, lane_ms) in others.filter(|(.., lane_ms)| *lane_ms > 0.0) {
            // The longer it waits for those before, the more of the others are before it, too.
            let waits_ms = free_ms.iter().sum::<f64>() / free_ms.len() as f64;
            if other > order(waits_ms) {
                break;
            }
            let has = |lane: usize| matches!(&machine.lanes[lane], Lane::Busy(flight) if flight.job == slot);
            occupy(&mut free_ms, lanes, lane_ms, has);
        }
        ascending(free_ms)
    }

    /// Takes note of what is left of a job, after whatever has changed that.
    pub(super) fn update_backlog(&mut self, slot: Slot) {
        let Some(job) = self.jobs[slot.at].as_mut() else { return };
        let remaining_ms = job.remaining_ms();
        let (is_wide, (pending_ms, _)) = (job.is_wide, job.pending());
        let waits = !is_wide && (job.rest > 0 || job.empty_chunk);
        let units = job.units as f64;
        for member in &mut job.members {
            let machine = &mut self.machines[member.machine];
            let backlog_ms = if member.takes_part() {
                remaining_ms * f64::from(member.lanes) / machine.lanes.len().max(1) as f64
            } else {
                0.0
            };
            machine.backlog_ms += backlog_ms - member.backlog_ms;
            member.backlog_ms = backlog_ms;
            let narrow_ms =
                (waits && member.takes_part()).then(|| (member.chunk_ms + units / member.units_per_ms).min(1e12));
            machine.count_narrow(member.narrow_ms, narrow_ms);
            member.narrow_ms = narrow_ms;
            let wide_ms = (is_wide && member.takes_part()).then(|| (pending_ms * f64::from(member.lanes)).min(1e12));
            machine.count_wide(member.lanes, member.wide_ms, wide_ms);
            member.wide_ms = wide_ms;
        }
    }

    /// Forgets what was left of a job that has ended.
    pub(super) fn drop_backlog(&mut self, slot: Slot, job: &super::job::Job) {
        for member in &job.members {
            let machine = &mut self.machines[member.machine];
            machine.backlog_ms -= member.backlog_ms;
            machine.count_narrow(member.narrow_ms, None);
            machine.count_wide(member.lanes, member.wide_ms, None);
        }
        if job.is_wide {
            self.wide.retain(|other| other.slot != slot);
        }
        if self.by_key.is_empty() {
            for machine in &mut self.machines {
                machine.backlog_ms = 0.0;
                machine.narrow = Narrow::default();
                (machine.wide_lanes, machine.wide_ms) = (0, 0.0);
                machine.ready.clear();
            }
        }
    }
}

/// Lets so many lanes do `lane_ms` of lane time between them: those that the job `has` already, or else those that are free
/// first.
fn occupy(free_ms: &mut [f64], lanes: u32, lane_ms: f64, has: impl Fn(usize) -> bool) {
    if lanes as usize >= free_ms.len() {
        if let Some(end_ms) = end_together(free_ms, lane_ms) {
            free_ms.iter_mut().for_each(|ms| *ms = ms.max(end_ms));
        }
        return;
    }
    if lanes <= 1 {
        let own = (0..free_ms.len()).filter(|lane| has(*lane)).min_by(|&a, &b| free_ms[a].total_cmp(&free_ms[b]));
        let lane = own.or_else(|| (0..free_ms.len()).min_by(|&a, &b| free_ms[a].total_cmp(&free_ms[b])));
        if let Some(lane) = lane {
            free_ms[lane] += lane_ms;
        }
        return;
    }
    // Which lanes, and not in which order: there may be many of both lanes and jobs.
    let mut places: Vec<(bool, f64, usize)> =
        free_ms.iter().enumerate().map(|(place, &ms)| (!has(place), ms, place)).collect();
    let count = lanes.max(1) as usize;
    if count < places.len() {
        places.select_nth_unstable_by(count - 1, |a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        places.truncate(count);
    }
    let taken: Vec<f64> = places.iter().map(|&(_, ms, _)| ms).collect();
    if let Some(end_ms) = end_together(&taken, lane_ms) {
        for (.., place) in places {
            free_ms[place] = free_ms[place].max(end_ms);
        }
    }
}

/// Of when lanes are free: those that are not free now.
fn ascending(mut free_ms: Vec<f64>) -> Vec<f64> {
    free_ms.retain(|ms| *ms > 0.0);
    free_ms.sort_unstable_by(f64::total_cmp);
    free_ms
}

impl super::lanes::Machine {
    fn count_wide(&mut self, lanes: u32, was_ms: Option<f64>, is_ms: Option<f64>) {
        let lanes = u64::from(lanes);
        self.wide_lanes += if is_ms.is_some() { lanes } else { 0 };
        self.wide_lanes -= if was_ms.is_some() { lanes } else { 0 };
        self.wide_ms = (self.wide_ms + is_ms.unwrap_or(0.0) - was_ms.unwrap_or(0.0)).max(0.0);
    }

    fn count_narrow(&mut self, was_ms: Option<f64>, is_ms: Option<f64>) {
        if let Some(ms) = was_ms {
            self.narrow.jobs -= 1;
            self.narrow.ms = if self.narrow.jobs == 0 { 0.0 } else { (self.narrow.ms - ms).max(0.0) };
        }
        if let Some(ms) = is_ms {
            self.narrow.jobs += 1;
            self.narrow.ms += ms;
        }
    }
}

impl Lane {
    /// Milliseconds until it is free. A chunk that has not ended when it was predicted to is as likely to take as long
    /// again as it has taken: nothing else is known of it.
    pub(super) fn free_in_ms(&self, now: Duration) -> f64 {
        match self {
            Self::Idle => 0.0,
            Self::Busy(flight) if now < flight.ends => (flight.ends - now).as_secs_f64() * 1e3,
            Self::Busy(flight) => now.saturating_sub(flight.started).as_secs_f64() * 1e3,
        }
    }
}
