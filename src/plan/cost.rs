//! What a choice costs: from the model where it has been measured, from what resembles it, or from priors.

use crate::device::{DeviceId, DeviceKind};
use crate::kernels::Work;
use crate::model::{Belief, Forecast, ModelKey};
use crate::plan::request::{DeviceState, PlanRequest, SETUP_MS};
use crate::plan::types::Power;

/// How far off a prior may be: a factor.
const PRIOR_SPREAD: f64 = 4.0;
/// How far off a figure may be that was measured with another number of threads.
const SCALED_SPREAD: f64 = 1.4;
/// What a thread more is worth, beside one that works alone.
const THREAD_EFFICIENCY: f64 = 0.9;
/// Bytes a millisecond over the bus, until measured: 6 GB/s.
const BUS_BYTES_PER_MS: f64 = 6e6;
/// What the first runs on a GPU may cost whatever their size: caches to fill, code to be made ready by the driver.
const GPU_FIRST_MS: f64 = 20.0;
/// The latency of a GPU's dispatch and read-back.
const GPU_LATENCY_MS: f64 = 0.2;

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
pub(super) fn cpu(request: &PlanRequest<'_>, state: &DeviceState, threads: u32, units: u64) -> Cost {
    let pass = cpu_pass(request, state, threads, units);
    Cost { wait_ms: waiting(state), setup: Forecast::ZERO, run: pass.times(passes(request.work)) }
}

/// The cost of `units` on this GPU.
pub(super) fn gpu(request: &PlanRequest<'_>, state: &DeviceState, units: u64) -> Cost {
    let work = request.work;
    let key = key(work, state, 1);
    let setup = if state.opened {
        Forecast::ZERO
    } else {
        request.model.setup_cold(key).unwrap_or_else(|| Forecast::around(SETUP_MS, 2.0, 0))
    };
    let passes = passes(work);
    let prior = gpu_prior(request, state, units);
    let belief = Belief { fixed_ms_max: GPU_FIRST_MS, ms_per_unit: prior.ms / units.max(1) as f64 };
    let compute = request.model.compute(key, units, belief).unwrap_or(prior);
    let readback = request.model.readback(key, units).unwrap_or_else(|| {
        let bytes = units as f64 * work.bytes_out_per_unit.max(0.0);
        Forecast::around(bytes / BUS_BYTES_PER_MS, 2.0, u32::MAX)
    });
    let upload = upload(request, state, units, passes);
    let all = compute.then(Forecast { samples: u32::MAX, ..readback }).times(passes).then(upload);
    Cost { wait_ms: waiting(state), setup, run: Forecast { samples: compute.samples, ..all } }
}

/// All uploads of all passes, less what lies there already.
fn upload(request: &PlanRequest<'_>, state: &DeviceState, units: u64, passes: f64) -> Forecast {
    let work = request.work;
    let missing = 1.0 - if state.resident.is_nan() { 0.0 } else { state.resident.clamp(0.0, 1.0) };
    if missing == 0.0 {
        return Forecast::ZERO;
    }
    let bytes = units as f64 * work.bytes_per_unit.max(0.0);
    if let Some(measured) = request.model.upload(key(work, state, 1), units) {
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

fn cpu_pass(request: &PlanRequest<'_>, state: &DeviceState, threads: u32, units: u64) -> Forecast {
    let work = request.work;
    let threads = threads.max(1);
    let own = key(work, state, threads);
    if units == 0 {
        return Forecast::around(threads_ms(threads), 2.0, 0);
    }
    if let Some(measured) = request.model.compute(own, units, waking(threads)) {
        return measured;
    }
    let useful = |threads: u32| {
        let granules = units.div_ceil(work.granularity.max(1));
        let lanes = f64::from(threads).min(granules as f64).max(1.0);
        1.0 + (lanes - 1.0) * THREAD_EFFICIENCY
    };
    let distance = |other: &u32| (f64::from((*other).max(1)).ln() - f64::from(threads).ln()).abs();
    let nearest = request
        .model
        .lanes_known(work.kernel, &work.variant, &state.fingerprint)
        .min_by(|a, b| distance(a).total_cmp(&distance(b)));
    if let Some(other) = nearest
        && let Some(measured) = request.model.compute(key(work, state, other), units, waking(other))
    {
        let computing = (measured.ms - threads_ms(other)).max(0.2 * measured.ms);
        let ms = computing * useful(other) / useful(threads) + threads_ms(threads);
        let spread = (measured.high_ms / measured.ms.max(f64::MIN_POSITIVE)).clamp(1.0, 10.0);
        return Forecast::around(ms, spread * SCALED_SPREAD, 0);
    }
    let ms = units as f64 * work.prior_ns_per_unit / 1e6 / useful(threads) + threads_ms(threads);
    Forecast::around(ms, PRIOR_SPREAD, 0)
}

/// What a GPU is worth until it has been tried: modest multiples of one thread; a software adapter, less than the CPU.
fn gpu_prior(request: &PlanRequest<'_>, state: &DeviceState, units: u64) -> Forecast {
    let Some(cpu) = request.cpu() else { return Forecast::around(f64::NAN, 1.0, 0) };
    let compute = match state.kind {
        DeviceKind::DiscreteGpu => cpu_pass(request, cpu, 1, units).times(1.0 / 24.0),
        DeviceKind::VirtualGpu => cpu_pass(request, cpu, 1, units).times(1.0 / 12.0),
        DeviceKind::IntegratedGpu | DeviceKind::OtherGpu => cpu_pass(request, cpu, 1, units).times(1.0 / 4.0),
        DeviceKind::SoftwareGpu | DeviceKind::Cpu => {
            cpu_pass(request, cpu, request.cpu_lanes(), units).times(PRIOR_SPREAD)
        }
    };
    Forecast::around(compute.ms + GPU_LATENCY_MS, PRIOR_SPREAD, 0)
}

/// What a device is predicted to do with the job's chunks; `None` where it cannot take them.
pub(super) fn power(request: &PlanRequest<'_>, state: &DeviceState, threads: u32) -> Option<Power> {
    let work = request.work;
    let on_cpu = state.id == DeviceId::Cpu;
    if (!on_cpu && !work.gpu) || super::request::smallest_chunk_misfit(work, state).is_some() {
        return None;
    }
    let (lanes, cost, chunk_ms) = if on_cpu {
        let lanes = threads.min(state.lanes).max(1);
        (lanes, cpu(request, state, lanes, work.units), 0.001)
    } else {
        (state.lanes.max(1), gpu(request, state, work.units), GPU_LATENCY_MS)
    };
    let pass_ms = (cost.run.ms / passes(work)).max(1e-9);
    let units_per_ms = (work.units.max(1) as f64 / pass_ms / f64::from(lanes)).clamp(1e-12, 1e18);
    Some(Power {
        device: state.id,
        lanes,
        units_per_ms,
        setup_ms: cost.setup.ms,
        chunk_ms,
        measured: cost.run.samples > 0,
    })
}

pub(super) fn key<'a>(work: &'a Work, state: &'a DeviceState, lanes: u32) -> ModelKey<'a> {
    ModelKey { kernel: work.kernel, variant: &work.variant, fingerprint: &state.fingerprint, lanes }
}

pub(super) fn passes(work: &Work) -> f64 {
    f64::from(work.passes.max(1))
}

/// Waking so many threads and waiting for the last one.
fn threads_ms(threads: u32) -> f64 {
    if threads <= 1 { 0.001 } else { 0.02 + 0.002 * f64::from(threads) }
}

/// What is believed of a time on so many threads: waking them is all that does not depend on size.
fn waking(threads: u32) -> Belief {
    Belief { fixed_ms_max: threads_ms(threads), ms_per_unit: 0.0 }
}

fn waiting(state: &DeviceState) -> f64 {
    if state.busy_for_ms.is_finite() { state.busy_for_ms.max(0.0) } else { crate::model::LONGEST_MS }
}
