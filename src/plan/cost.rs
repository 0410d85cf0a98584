//! What a choice costs: from the model where it has been measured, from what resembles it, or from priors.

use crate::device::{DeviceId, DeviceKind};
use crate::kernels::Work;
use crate::model::{Belief, Forecast, ModelKey};
use crate::plan::candidates::Weighed;
use crate::plan::priors::{self, BUS_BYTES_PER_MS, CPU_OVERHEAD_MS, GPU_LATENCY_MS, SETUP_MS, THREAD_EFFICIENCY};
use crate::plan::request::{DeviceState, Question};
use crate::plan::split::end_together;
use crate::plan::types::Power;

/// How far off a prior may be: a factor.
const PRIOR_SPREAD: f64 = 4.0;
/// How far off a figure may be that was measured with another number of threads.
const SCALED_SPREAD: f64 = 1.4;
/// How far off a figure may be that was measured with jobs of another cost a unit.
const OTHER_COST_SPREAD: f64 = 2.0;
/// And with jobs that were asked for other things.
const OTHER_VARIANT_SPREAD: f64 = 3.0;
/// What the first runs on a GPU may cost whatever their size: caches to fill, code to be made ready by the driver.
const GPU_FIRST_MS: f64 = 20.0;

/// The parts of a choice's predicted time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Until the device is free.
    pub(super) wait_ms: f64,
    /// Opening it.
    pub(super) setup: Forecast,
    /// All passes: upload, computing, read-back.
    pub(super) run: Forecast,
}

impl Cost {
    pub(super) fn total(&self) -> Forecast {
        let wait = Forecast::around(self.wait_ms, 1.25, u32::MAX);
        let whole = wait.then(self.setup).then(self.run);
        Forecast { samples: self.run.samples, ..whole }
    }
}

/// The cost of `units` on this many threads of the CPU.
pub(super) fn cpu(request: &Question<'_>, state: &DeviceState, threads: u32, units: u64) -> Cost {
    let run = cpu_pass(request, state, threads, units).times(passes(request.work));
    Cost { wait_ms: waiting(state, threads, run.ms), setup: Forecast::ZERO, run }
}

/// The cost of `units` on this GPU.
pub(super) fn gpu(request: &Question<'_>, state: &DeviceState, units: u64) -> Cost {
    let work = request.work;
    let key = request.key(state, 1);
    let runs = request.alike.on(&state.fingerprint, 1);
    // Where it is busy, who comes before opens it, and that is within the wait.
    let setup = if state.opened || !state.busy_for_ms.is_empty() {
        request.model.setup_warm(key).unwrap_or(Forecast::ZERO)
    } else {
        request.model.setup_cold(key).unwrap_or_else(|| Forecast::around(SETUP_MS, 2.0, 0))
    };
    let passes = passes(work);
    let prior = gpu_prior(request, state, units);
    let belief = Belief::growing(GPU_FIRST_MS, prior.ms / units.max(1) as f64);
    let resembling = || {
        let (other, spread) = nearest_relative(request, key)?;
        let measured = request.model.compute(other, same_work(request, key, other, units), belief)?;
        Some(Forecast::around(measured.ms, spread_of(&measured) * spread, 0))
    };
    let compute = runs.and_then(|runs| runs.compute(units, belief)).or_else(resembling).unwrap_or(prior);
    let readback = runs.and_then(|runs| runs.readback(units)).unwrap_or_else(|| {
        let bytes = units as f64 * work.bytes_out_per_unit.max(0.0);
        Forecast::around(bytes / BUS_BYTES_PER_MS, 2.0, u32::MAX)
    });
    let upload = upload(request, state, units, passes);
    let all = compute.then(Forecast { samples: u32::MAX, ..readback }).times(passes).then(upload);
    let run = Forecast { samples: compute.samples, ..all };
    Cost { wait_ms: waiting(state, state.lanes, run.ms), setup, run }
}

/// All uploads of all passes, less what lies there already.
fn upload(request: &Question<'_>, state: &DeviceState, units: u64, passes: f64) -> Forecast {
    let work = request.work;
    let missing = 1.0 - if state.resident.is_nan() { 0.0 } else { state.resident.clamp(0.0, 1.0) };
    if missing == 0.0 {
        return Forecast::ZERO;
    }
    let bytes = units as f64 * work.bytes_per_unit.max(0.0);
    if let Some(measured) = request.alike.on(&state.fingerprint, 1).and_then(|runs| runs.upload(units)) {
        return measured.times(passes * missing);
    }
    let fits = bytes <= state.memory_bytes.unwrap_or(u64::MAX) as f64;
    let moves = if fits { missing } else { passes };
    let once = request
        .model
        .upload_bytes(&state.fingerprint, bytes as u64)
        .unwrap_or_else(|| Forecast::around(bytes / BUS_BYTES_PER_MS, 2.0, 0));
    once.times(moves)
}

/// One pass on so many threads of the CPU.
fn cpu_pass(request: &Question<'_>, state: &DeviceState, threads: u32, units: u64) -> Forecast {
    if threads > 1 {
        return cpu_pass_anew(request, state, threads, units);
    }
    // Every GPU is compared with it.
    match request.on_one_thread.get() {
        Some((known, forecast)) if known == units => forecast,
        _ => {
            let forecast = cpu_pass_anew(request, state, 1, units);
            request.on_one_thread.set(Some((units, forecast)));
            forecast
        }
    }
}

fn cpu_pass_anew(request: &Question<'_>, state: &DeviceState, threads: u32, units: u64) -> Forecast {
    let work = request.work;
    let own = request.key(state, threads);
    if units == 0 {
        return Forecast::around(threads_ms(threads), 2.0, 0);
    }
    let useful = |threads: u32| {
        let granules = units.div_ceil(work.granularity.max(1));
        let lanes = f64::from(threads).min(granules as f64).max(1.0);
        1.0 + (lanes - 1.0) * THREAD_EFFICIENCY
    };
    let belief = |threads: u32, ns_per_unit: f64| on_threads(threads, ns_per_unit / 1e6 / useful(threads));
    let runs = request.alike.on(&state.fingerprint, threads);
    let measured = runs.and_then(|runs| runs.compute(units, belief(threads, work.prior_ns_per_unit)));
    if let Some(measured) = measured {
        return measured;
    }
    if let Some((other, spread)) = nearest_relative(request, own)
        && let Some(measured) = request.model.compute(
            other,
            same_work(request, own, other, units),
            belief(other.lanes, if other.cost == own.cost { work.prior_ns_per_unit } else { other.cost.ns() }),
        )
    {
        let computing = (measured.ms - threads_ms(other.lanes)).max(0.2 * measured.ms);
        let ms = computing * useful(other.lanes) / useful(threads) + threads_ms(threads);
        return Forecast::around(ms, spread_of(&measured) * spread, 0);
    }
    let ms = units as f64 * work.prior_ns_per_unit / 1e6 / useful(threads) + threads_ms(threads);
    Forecast::around(ms, PRIOR_SPREAD, 0)
}

/// What has been measured that tells most about `own`, and how far off it may be: a factor. Jobs that differ little in what
/// a unit costs tell more than other numbers of threads do, and jobs that were asked for other things least.
fn nearest_relative<'a>(request: &Question<'a>, own: ModelKey<'a>) -> Option<(ModelKey<'a>, f64)> {
    let octaves_of_lanes =
        |other: &ModelKey<'_>| (f64::from(other.lanes.max(1)).log2() - f64::from(own.lanes.max(1)).log2()).abs();
    let distance = |other: &ModelKey<'_>| {
        let asked_for = if other.variant == own.variant { 0.0 } else { 2.0 };
        octaves_of_lanes(other) + 0.5 * other.cost.octaves_from(own.cost) + asked_for
    };
    let other = request.model.relatives(own).min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let asked_for = match other.variant == own.variant {
        true if other.cost == own.cost => 1.0,
        true => OTHER_COST_SPREAD,
        false => OTHER_VARIANT_SPREAD,
    };
    Some((other, asked_for * if other.lanes == own.lanes { 1.0 } else { SCALED_SPREAD }))
}

/// How many units of the jobs measured as `other` are as much work as `units` of this one, by the kernel's own account.
fn same_work(request: &Question<'_>, own: ModelKey<'_>, other: ModelKey<'_>, units: u64) -> u64 {
    if other.cost == own.cost {
        return units;
    }
    (units as f64 * request.work.prior_ns_per_unit / other.cost.ns()).max(1.0) as u64
}

/// The factor by which a time may be longer than predicted.
fn spread_of(measured: &Forecast) -> f64 {
    (measured.high_ms / measured.ms.max(f64::MIN_POSITIVE)).clamp(1.0, 10.0)
}

/// What a GPU is worth until it has been tried: modest multiples of one thread; a software adapter, less than the CPU.
fn gpu_prior(request: &Question<'_>, state: &DeviceState, units: u64) -> Forecast {
    let Some(cpu) = request.cpu() else { return Forecast::around(f64::NAN, 1.0, 0) };
    let compute = match state.kind {
        DeviceKind::SoftwareGpu | DeviceKind::Cpu => {
            cpu_pass(request, cpu, request.cpu_lanes(), units).times(priors::SOFTWARE_SLOWDOWN)
        }
        kind => cpu_pass(request, cpu, 1, units).times(1.0 / priors::gpu_threads(kind, 1.0)),
    };
    Forecast::around(compute.ms + GPU_LATENCY_MS, PRIOR_SPREAD, 0)
}

/// What a device is predicted to do with the job's chunks, where its choice was weighed with so many of its lanes.
pub(super) fn power(request: &Question<'_>, state: &DeviceState, lanes: u32, weighed: &Weighed) -> Option<Power> {
    let (work, run) = (request.work, weighed.run?);
    let chunk_ms = if state.id == DeviceId::Cpu { 0.001 } else { GPU_LATENCY_MS };
    let pass_ms = (run.ms / passes(work)).max(1e-9);
    let units_per_ms = (work.units.max(1) as f64 / pass_ms / f64::from(lanes)).clamp(1e-12, 1e18);
    Some(Power {
        device: state.id,
        lanes,
        units_per_ms,
        setup_ms: weighed.setup_ms,
        chunk_ms,
        measured: run.samples > 0,
    })
}

pub(super) fn passes(work: &Work) -> f64 {
    f64::from(work.passes.max(1))
}

/// Waking so many threads and waiting for the last one.
fn threads_ms(threads: u32) -> f64 {
    if threads <= 1 { 0.001 } else { 0.02 + 0.002 * f64::from(threads) }
}

/// What is believed of a time on so many threads, which take so long for a unit between them by the kernel's own account: waking
/// them is all that does not depend on size, but what took no longer than overhead may take tells little of what takes longer.
fn on_threads(threads: u32, prior_ms_per_unit: f64) -> Belief {
    Belief { overhead_ms_max: CPU_OVERHEAD_MS, prior_ms_per_unit, ..Belief::growing(threads_ms(threads), 0.0) }
}

/// How much later a run of `run_ms` on so many lanes ends because some of them are busy: each takes its chunks as soon as
/// it is free, so the lanes that are free early do more.
pub(super) fn waiting(state: &DeviceState, lanes: u32, run_ms: f64) -> f64 {
    if state.busy_for_ms.is_empty() {
        return 0.0;
    }
    let all = state.lanes.max(1) as usize;
    let sane = |ms: &f64| if ms.is_nan() { crate::model::LONGEST_MS } else { ms.clamp(0.0, crate::model::LONGEST_MS) };
    let lanes = (lanes.max(1) as usize).min(all);
    let mut free_ms = vec![0.0; all.saturating_sub(state.busy_for_ms.len()).min(lanes)];
    // They mostly come in order.
    if state.busy_for_ms.is_sorted() {
        free_ms.extend(state.busy_for_ms.iter().take(lanes - free_ms.len()).map(sane));
    } else {
        free_ms.extend(state.busy_for_ms.iter().map(sane));
        free_ms.sort_unstable_by(f64::total_cmp);
        free_ms.truncate(lanes);
    }
    end_together(&free_ms, run_ms * free_ms.len() as f64).map_or(0.0, |end_ms| (end_ms - run_ms).max(0.0))
}
