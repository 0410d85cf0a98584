//! Whether a GPU pays for a stream of jobs, none of which would open it for itself.
//!
//! By itself, a job of some milliseconds never opens a GPU, which takes a fraction of a second; a thousand of them should. Two
//! things tell of a stream. Jobs that are known to wait: the GPU is opened where all of them end earlier with it. And jobs that have
//! gone by: it is opened once they have lost without it what opening it costs. That is the skier who buys skis once renting them
//! has cost as much (Karlin et al., *Competitive snoopy caching*, 1988): whatever comes, he pays at most twice what he had to.

use crate::device::{DeviceId, DeviceKind};
use crate::job::DeviceChoice;
use crate::plan::candidates::Weighed;
use crate::plan::cost;
use crate::plan::priors::{SETUP_MS, THREAD_EFFICIENCY};
use crate::plan::request::{DeviceState, INVENTORY_MS, PlanRequest};
use crate::plan::split::{Lane, together};
use crate::plan::types::Choice;

/// Opening a GPU for those that wait has to save this part of their time: predictions are no better than that.
const GAIN_MIN: f64 = 0.05;

/// The stream of jobs that a job belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stream<'a> {
    /// How many jobs of the same kernel wait to be planned after this one.
    pub jobs: u64,
    /// What one thread takes for them by their kernel's own account, in milliseconds.
    pub prior_ms: f64,
    /// How much earlier jobs would have ended so far if a GPU had been open that was closed, by its index, in milliseconds.
    pub missed_ms: &'a [f64],
    /// How long all threads together were busy with jobs so far for which nobody has looked for a GPU, in milliseconds.
    pub unsearched_ms: f64,
}

/// What the plan of a job means for the stream that it belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// GPUs that are closed and stay so, and how much earlier their like would be done with such a job, in milliseconds.
    pub missed: Vec<(DeviceId, f64)>,
    /// What all threads together take for the job, in milliseconds, where nobody has looked for a GPU that might take it.
    pub unsearched_ms: f64,
    /// Whether GPUs are worth looking for meanwhile: not for this job, but for those that are to come.
    pub search: bool,
}

/// Why a GPU is opened for a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Opening {
    /// So many jobs that wait end earlier together: when without it, and when with it, in milliseconds.
    Waiting { jobs: u64, without_ms: f64, with_ms: f64 },
    /// What those so far have lost without it, in milliseconds.
    Missed { ms: f64 },
}

/// What the devices make of such jobs.
struct Rates {
    /// How long the CPU has to do with what it was given, in milliseconds.
    busy_ms: f64,
    /// What all of its threads take for a job when each job keeps to as many of them as it can use.
    job_ms: f64,
    /// GPUs that are open, or being opened: when they are free, and what they take for a job.
    gpus: Vec<Lane>,
}

/// A GPU that is closed.
struct Closed<'a> {
    weighed: &'a Weighed,
    id: DeviceId,
    setup_ms: f64,
    job_ms: f64,
}

/// The GPU to open with this job, though for the job alone it does not pay.
pub(super) fn opening<'a>(
    request: &PlanRequest<'_>,
    weighed: &'a [Weighed],
    best: &Weighed,
) -> Option<(&'a Weighed, Opening)> {
    let Stream { jobs, prior_ms, missed_ms, .. } = request.stream;
    let waits = jobs > 0 && prior_ms > 0.0;
    if !waits && missed_ms.iter().all(|ms| *ms <= 0.0) {
        return None;
    }
    let closed = closed(request, weighed, best);
    if closed.is_empty() {
        return None;
    }
    let rates = rates(request)?;
    // This one, and as many like it as are as much work as those that wait.
    let like_it = 1.0 + if waits { prior_ms / request.work.prior_ms().max(1e-9) } else { 0.0 };
    let without_ms = end(&rates, None, like_it)?;
    let for_those_that_wait = |gpu: &Closed<'a>| {
        let with_ms = end(&rates, Some(gpu), like_it)?;
        let pays = waits && without_ms - with_ms > GAIN_MIN * without_ms;
        pays.then_some((gpu.weighed, Opening::Waiting { jobs, without_ms, with_ms }))
    };
    let for_those_gone_by = |gpu: &Closed<'a>| {
        let DeviceId::Gpu(index) = gpu.id else { return None };
        let ms = missed_ms.get(index as usize).copied().unwrap_or(0.0);
        let pays = ms >= gpu.setup_ms && saved(&rates, gpu) > 0.0;
        pays.then_some((gpu.weighed, Opening::Missed { ms }))
    };
    let with_ms = |opening: &Opening| if let Opening::Waiting { with_ms, .. } = opening { *with_ms } else { 0.0 };
    let best = closed.iter().filter_map(for_those_that_wait).min_by(|a, b| with_ms(&a.1).total_cmp(&with_ms(&b.1)));
    best.or_else(|| closed.iter().find_map(for_those_gone_by))
}

/// What the plan means for the stream, where this is the choice.
pub(super) fn outlook(request: &PlanRequest<'_>, weighed: &[Weighed], best: &Weighed) -> Outlook {
    let mut outlook = Outlook::default();
    if request.policy != DeviceChoice::Auto || !request.work.gpu {
        return outlook;
    }
    if request.inventory_known {
        let closed = closed(request, weighed, best);
        if let Some(rates) = (!closed.is_empty()).then(|| rates(request)).flatten() {
            outlook.missed = closed.iter().map(|gpu| (gpu.id, saved(&rates, gpu))).collect();
        }
    } else if let Some(rates) = rates(request) {
        outlook.unsearched_ms = rates.job_ms;
        let jobs = 1.0 + request.stream.prior_ms.max(0.0) / request.work.prior_ms().max(1e-9);
        outlook.search = request.stream.unsearched_ms + jobs * rates.job_ms > INVENTORY_MS + SETUP_MS;
    }
    outlook
}

/// The GPUs that nobody has opened or is about to. Software adapters are not worth it: they share the cores with the CPU.
fn closed<'a>(request: &PlanRequest<'_>, weighed: &'a [Weighed], best: &Weighed) -> Vec<Closed<'a>> {
    if request.policy != DeviceChoice::Auto {
        return Vec::new();
    }
    let closed = |state: &DeviceState| {
        let is_closed = !state.opened && state.busy_for_ms.is_empty() && !best.choice.uses(state.id);
        if !is_closed || state.kind == DeviceKind::SoftwareGpu {
            return None;
        }
        let is_it = |one: &&Weighed| matches!(one.choice, Choice::Gpu { index } if DeviceId::Gpu(index) == state.id);
        let weighed = weighed.iter().find(is_it).filter(|one| one.allowed)?;
        let job_ms = (weighed.total?.ms - weighed.setup_ms).max(1e-9);
        Some(Closed { weighed, id: state.id, setup_ms: weighed.setup_ms, job_ms })
    };
    request.devices.iter().filter(|state| state.id != DeviceId::Cpu).filter_map(closed).collect()
}

fn rates(request: &PlanRequest<'_>) -> Option<Rates> {
    let work = request.work;
    let all = request.cpu_lanes();
    let cpu = cost::cpu(request, request.cpu()?, all, work.units);
    let useful = |threads: u64| 1.0 + (threads.max(1) - 1) as f64 * THREAD_EFFICIENCY;
    let granules = work.units.div_ceil(work.granularity.max(1));
    let job_ms = cpu.run.ms * useful(granules.min(u64::from(all))) / useful(u64::from(all));
    let in_use = request.devices.iter().filter(|state| {
        let is_there = state.id != DeviceId::Cpu && state.unusable.is_none() && state.kind != DeviceKind::SoftwareGpu;
        is_there && work.gpu && (state.opened || !state.busy_for_ms.is_empty())
    });
    let gpus = in_use.map(|state| {
        let cost = cost::gpu(request, state, work.units);
        Lane { begins_ms: cost.wait_ms, whole_ms: cost.run.ms.max(1e-9) }
    });
    Some(Rates { busy_ms: cpu.wait_ms, job_ms: job_ms.max(1e-9), gpus: gpus.collect() })
}

/// When so many such jobs end, with this GPU too or without it.
fn end(rates: &Rates, with: Option<&Closed<'_>>, jobs: f64) -> Option<f64> {
    let with = with.map(|gpu| Lane { begins_ms: gpu.setup_ms, whole_ms: gpu.job_ms });
    let cpu = Lane { begins_ms: rates.busy_ms, whole_ms: rates.job_ms };
    let lanes = std::iter::once(cpu).chain(rates.gpus.iter().copied()).chain(with);
    let lanes: Vec<Lane> = lanes.map(|lane| Lane { whole_ms: lane.whole_ms * jobs, ..lane }).collect();
    together(&lanes).map(|(end_ms, _)| end_ms)
}

/// How much earlier devices that have enough to do are done with such a job if this GPU helps; where the CPU has nothing else to do,
/// how much earlier the GPU is by itself.
fn saved(rates: &Rates, gpu: &Closed<'_>) -> f64 {
    if rates.busy_ms <= 0.0 {
        return (rates.job_ms - gpu.job_ms).max(0.0);
    }
    let per_ms: f64 = 1.0 / rates.job_ms + rates.gpus.iter().map(|lane| 1.0 / lane.whole_ms).sum::<f64>();
    1.0 / per_ms - 1.0 / (per_ms + 1.0 / gpu.job_ms)
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
