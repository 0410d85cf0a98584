//! Bounded exploration: a few per cent of a job run elsewhere, so that a choice nobody takes does not stay misjudged.

use crate::device::DeviceId;
use crate::job::DeviceChoice;
use crate::plan::candidates::Weighed;
use crate::plan::cost;
use crate::plan::priors::SETUP_MS;
use crate::plan::request::{DeviceState, Question};
use crate::plan::types::{Choice, Part};

/// The most of a job's predicted time that a probe may cost.
const PROBE_SHARE: f64 = 0.03;
/// Jobs shorter than this are not worth probing with.
const PROBE_JOB_MS: f64 = 2.0;
/// A device is opened for a probe only by jobs that take this many times as long as opening it.
const COLD_FACTOR: f64 = 4.0;

/// What to try with this job: a device that is long overdue to be opened, or else, of the choices not taken that have
/// never been run, or not for long, the one predicted to be the fastest.
pub(super) fn choose(request: &Question<'_>, weighed: &[Weighed], best: &Weighed) -> Option<Part> {
    if request.policy != DeviceChoice::Auto || best.ms() < PROBE_JOB_MS || best.ms() >= crate::model::LONGEST_MS {
        return None;
    }
    let mut others: Vec<&Weighed> =
        weighed.iter().filter(|one| one.total.is_some() && !is_taken(request, best, one)).collect();
    others.sort_by(|a, b| a.ms().total_cmp(&b.ms()));
    let overdue = others.iter().find_map(|other| reopening(request, best, other));
    overdue.or_else(|| others.iter().find_map(|other| retrying(request, best, other)))
}

/// Whether the job runs there anyway, so that a probe would tell nothing.
fn is_taken(request: &Question<'_>, best: &Weighed, other: &Weighed) -> bool {
    let Some((device, lanes)) = place(&other.choice) else { return true };
    match &best.choice {
        Choice::Cpu { threads } => device == DeviceId::Cpu && lanes == *threads,
        // Fewer threads beside a busy GPU would measure neither.
        Choice::Gpu { .. } | Choice::Split { .. } => {
            best.choice.uses(device) || (device == DeviceId::Cpu && lanes != request.cpu_lanes())
        }
    }
}

/// The device of a single choice, and its lanes.
fn place(choice: &Choice) -> Option<(DeviceId, u32)> {
    match *choice {
        Choice::Cpu { threads } => Some((DeviceId::Cpu, threads)),
        Choice::Gpu { index } => Some((DeviceId::Gpu(index), 1)),
        Choice::Split { .. } => None,
    }
}

/// A probe of a closed device that is believed to take too long to open for this job, in order to see whether it still
/// does. What that was once measured to take may be wrong for ever otherwise: nobody who believes it would open the
/// device. It is hoped to take what devices commonly take; what it really takes is charged against the time of many runs.
fn reopening(request: &Question<'_>, best: &Weighed, other: &Weighed) -> Option<Part> {
    let (device, lanes) = place(&other.choice)?;
    let state = request.state(device).filter(|state| !state.opened)?;
    let hoped_ms = other.setup_ms.min(SETUP_MS);
    let due = best.ms() >= hoped_ms && request.model.due_for_reopening(&state.fingerprint, hoped_ms);
    if due { part(request, best, other, state, lanes) } else { None }
}

/// A probe of what has never been run, or not for long.
fn retrying(request: &Question<'_>, best: &Weighed, other: &Weighed) -> Option<Part> {
    let (device, lanes) = place(&other.choice)?;
    let state = request.state(device)?;
    let dear = best.ms() < other.setup_ms * COLD_FACTOR;
    if dear || !request.alike.due_for_probe(&state.fingerprint, lanes) {
        return None;
    }
    part(request, best, other, state, lanes)
}

/// So much of the job as may be run there in order to learn.
fn part(request: &Question<'_>, best: &Weighed, other: &Weighed, state: &DeviceState, lanes: u32) -> Option<Part> {
    let work = request.work;
    let pass_ms = other.run?.ms / cost::passes(work);
    let granule = work.granularity.max(1) as f64;
    let share = (best.ms() * PROBE_SHARE / pass_ms.max(1e-9)).min(PROBE_SHARE);
    let units = (work.units as f64 * share / granule).floor() * granule;
    let fits = units >= granule && units < work.units as f64;
    fits.then(|| Part { device: state.id, lanes, share: units / work.units as f64 })
}
