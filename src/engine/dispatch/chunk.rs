//! How large the next chunk of a job is for a lane of a device, and whether it should take one at all.

use std::time::Duration;

use crate::engine::dispatch::job::{Job, Phase};
use crate::engine::dispatch::lanes::Machine;
use crate::engine::dispatch::member::Member;

/// No chunk is meant to take longer: cancelling waits for chunks, and drivers have watchdogs.
pub(super) const CHUNK_MS_MAX: f64 = 100.0;
/// The first chunk on a device whose speed is a guess.
const GUESS_MS_MAX: f64 = 2.0;
/// And the first one on a device whose speed is predicted is this part of what its fair chunk would be.
const UNSEEN_PART: f64 = 4.0;
/// A shorter chunk is mostly overhead.
const CHUNK_MS_MIN: f64 = 0.1;
/// And so is one that takes less than so many times the latency of its device.
const LATENCIES_MIN: f64 = 10.0;
/// Where other jobs wait for the device, lanes that a job leaves are not idle: then its chunks are not shorter than this, nor than this
/// part of what waits behind it.
const BEHIND_MS_MAX: f64 = 10.0;
const BEHIND_PART: f64 = 0.25;

/// What a lane can do for a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// Fold so many units.
    Take(Take),
    /// Nothing now, but perhaps later.
    NotNow,
    /// Nothing until the job says so.
    Nothing,
}

/// So many units, from the start of the last range of a pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Take {
    pub(super) units: u64,
    /// Whether they come from the units set apart for the probe.
    pub(super) from_probe: bool,
    /// Whether they are the probe: folded by the device that it is about.
    pub(super) probe: bool,
}

/// The next chunk of `job` for a lane of its member; with `force`, also where others would end it earlier.
pub(super) fn next(job: &Job, at: usize, machines: &[Machine], force: bool, now: Duration) -> Next {
    let member = &job.members[at];
    if job.phase != Phase::Folding || !job.may_fold(at) {
        return Next::Nothing;
    }
    if job.empty_chunk {
        return Next::Take(Take { units: 0, from_probe: false, probe: false });
    }
    if let Some(probe) = &job.probe
        && !probe.is_over()
    {
        let own = probe.member == at;
        if own && let Some(range) = probe.pool.last() {
            if member.in_flight >= probe.lanes.min(machines[member.machine].lanes.len() as u32) {
                return Next::NotNow;
            }
            let left: u64 = probe.pool.iter().map(|range| range.end - range.start).sum();
            let share = left.div_ceil(u64::from(probe.lanes - probe.in_flight.min(probe.lanes - 1)));
            let units = aligned(job, share.min(member.chunk_units_max), range.end - range.start);
            return Next::Take(Take { units, from_probe: true, probe: true });
        }
        if own && probe.exclusive {
            return Next::NotNow;
        }
        // The device to be probed has not come to it, and the rest is done.
        if !own
            && member.takes_part()
            && job.rest == 0
            && let Some(range) = probe.pool.last()
        {
            if member.in_flight >= member.lanes {
                return Next::NotNow;
            }
            let units = aligned(job, member.chunk_units_max, range.end - range.start);
            return Next::Take(Take { units, from_probe: true, probe: false });
        }
    }
    let Some(range) = job.pool.last().filter(|_| member.takes_part()) else {
        let probing = job.probe.as_ref().is_some_and(|probe| !probe.is_over());
        return if probing { Next::NotNow } else { Next::Nothing };
    };
    if member.in_flight >= member.lanes {
        return Next::NotNow;
    }
    let wanted = wanted(job, member, &machines[member.machine]);
    let limit = if force { f64::INFINITY } else { before_the_others(job, at, machines, now) };
    let units = wanted.min(limit);
    if units < shortest(job, member).min(wanted) * 0.5 {
        return Next::NotNow;
    }
    let most = member.chunk_units_max.min(job.rest);
    let units = aligned(job, (units as u64).clamp(1, most.max(1)), range.end - range.start);
    // A granule may be more than it should take.
    if units as f64 > limit {
        return Next::NotNow;
    }
    Next::Take(Take { units, from_probe: false, probe: false })
}

/// `units` in whole granules, at least one, at most all `available`.
fn aligned(job: &Job, units: u64, available: u64) -> u64 {
    if units >= available {
        return available;
    }
    ((units / job.granularity).max(1).saturating_mul(job.granularity)).min(available)
}

/// The shortest chunk that is worth its overhead, but no more than a fair share of what is left.
fn shortest(job: &Job, member: &Member) -> f64 {
    let ms = CHUNK_MS_MIN.max(LATENCIES_MIN * member.chunk_ms);
    let fair = job.rest as f64 * (member.units_per_ms / job.power()).min(1.0);
    (ms * member.units_per_ms).min(fair)
}

/// The chunk by HGuided: half of its fair share of what is left, within bounds.
fn wanted(job: &Job, member: &Member, machine: &Machine) -> f64 {
    let rest = job.rest as f64;
    let power = job.power();
    let sole = power <= member.units_per_ms * 1.000_001;
    let fair = if sole { rest } else { rest * member.units_per_ms / (2.0 * power) };
    let longest_ms = if member.measured { job.chunk_ms_max } else { GUESS_MS_MAX };
    let longest = longest_ms * member.units_per_ms;
    let shortest = shortest(job, member);
    // A device that has not shown yet what it can do with this job does not bind itself for long, where others wait.
    let first = if sole || member.observed { f64::INFINITY } else { (fair / UNSEEN_PART).max(shortest) };
    // Cutting it finer would only let it end on all lanes at once, which nobody waits for who does not wait for this job alone.
    let waits_ms = if others_fold(job, member) { 0.0 } else { (machine.backlog_ms - member.backlog_ms) * BEHIND_PART };
    let shortest = shortest.max(waits_ms.clamp(0.0, BEHIND_MS_MAX) * member.units_per_ms);
    let units = fair.max(shortest).min(longest).min(first);
    // A remainder that is worth no chunk of its own goes along.
    let units = if rest - units < shortest * 0.5 { rest } else { units };
    units.min(rest).min(member.chunk_units_max as f64)
}

/// Whether other devices take part.
fn others_fold(job: &Job, member: &Member) -> bool {
    job.members.iter().any(|other| other.takes_part() && other.device != member.device)
}

/// The most units that this lane would end before the other devices had ended all that is left: more would make it the
/// last one. Endless where there is no other device.
fn before_the_others(job: &Job, at: usize, machines: &[Machine], now: Duration) -> f64 {
    let member = &job.members[at];
    let end_ms = others_end_ms(job, at, machines, now);
    (end_ms - member.setup_ms - member.chunk_ms).max(0.0) * member.units_per_ms
}

/// When the others would have ended all that is left, in milliseconds from `now`. Endless where there is no other device.
pub(super) fn others_end_ms(job: &Job, at: usize, machines: &[Machine], now: Duration) -> f64 {
    let member = &job.members[at];
    if !others_fold(job, member) {
        return f64::INFINITY;
    }
    let others = job.members.iter().filter(|other| other.takes_part() && other.device != member.device);
    // (milliseconds until it is free, units a millisecond)
    let mut lanes: Vec<(f64, f64)> = others
        .map(|other| {
            let machine = &machines[other.machine];
            let earlier_ms = if machine.is_next(job.uid) { 0.0 } else { machine.backlog_ms - other.backlog_ms };
            let free_ms = machine.free_in_ms(now).max(earlier_ms);
            (free_ms + other.chunk_ms + other.setup_ms, other.units_per_ms * f64::from(other.lanes))
        })
        .collect();
    if member.lanes > 1 {
        let siblings = f64::from(member.lanes - 1) * member.units_per_ms;
        let begins_ms = machines[member.machine].free_in_ms(now) + member.chunk_ms + member.setup_ms;
        lanes.push((begins_ms, siblings));
    }
    lanes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut power, mut head_start, mut end_ms) = (0.0, 0.0, f64::INFINITY);
    for (begins_ms, units_per_ms) in lanes {
        if end_ms <= begins_ms {
            break;
        }
        power += units_per_ms;
        head_start += begins_ms * units_per_ms;
        end_ms = (job.rest as f64 + head_start) / power;
    }
    end_ms
}
