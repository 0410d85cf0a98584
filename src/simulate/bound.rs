//! What no schedule can beat: a lower bound on the makespan, whatever the policy.
//!
//! It is the greatest of three. First, all work shared out in any fractions over the devices, which is a linear program; its
//! dual gives a bound for any weights of the devices, so that the weights need not be the best ones for the bound to hold. A GPU
//! that takes part has to be opened, so the least over all sets of GPUs counts. Second, the job that takes longest, with all devices for
//! itself. Third, the longest chain of jobs that wait for each other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::device::DeviceId;
use crate::engine::order::WAITING_MAX;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::simulate::truth::{Truth, upload_ms};
use crate::simulate::{SimJob, SimWork};

/// With more GPUs than this, opening them is left out of the bound.
const GPUS_MAX: usize = 5;
/// How often the weights are mended.
const ROUNDS: u32 = 200;
/// How finely loads are told apart by what devices take for them beside each other, while the weights are mended.
const CLASSES_PER_OCTAVE: f64 = 32.0;

/// The bound in milliseconds, for at most so many irregular jobs at once.
pub(super) fn lower_bound_ms(jobs: &[SimJob], truth: &Truth<'_>, jobs_at_once: Option<usize>) -> f64 {
    shared_out(jobs, truth).max(chains(jobs, truth)).max(at_once(jobs, truth, jobs_at_once))
}

/// Whether this device may take part in the job.
fn may_take(job: &SimJob, work: &Work, device: DeviceId, truth: &Truth<'_>) -> bool {
    let asked = job.device.unwrap_or_default();
    match device {
        DeviceId::Cpu => matches!(asked, DeviceChoice::Auto | DeviceChoice::Cpu | DeviceChoice::Split),
        DeviceId::Gpu(index) => {
            let gpu = &truth.machine().gpus[index as usize];
            let granule = work.granularity.max(1).min(work.units) as f64 * work.bytes_per_unit.max(0.0);
            let fits = granule <= gpu.max_chunk_bytes.min(gpu.memory_bytes) as f64;
            let asked_for = match asked {
                DeviceChoice::Cpu => false,
                DeviceChoice::GpuIndex(other) => other == index,
                _ => true,
            };
            work.gpu && fits && asked_for
        }
    }
}

fn devices(truth: &Truth<'_>) -> Vec<DeviceId> {
    let gpus = 0..truth.machine().gpus.len() as u32;
    std::iter::once(DeviceId::Cpu).chain(gpus.map(DeviceId::Gpu)).collect()
}

/// What a unit takes at best on a device that does nothing else, of the first pass or of a later one; on the CPU, of one thread.
fn unit_ms(work: &Work, device: DeviceId, first: bool, truth: &Truth<'_>) -> f64 {
    let unit_ms = truth.unit_ms(work, device);
    let DeviceId::Gpu(index) = device else { return unit_ms };
    let gpu = &truth.machine().gpus[index as usize];
    let upload = if first { upload_ms(truth.machine(), index, work.bytes_per_unit) } else { 0.0 };
    unit_ms + upload + work.bytes_out_per_unit.max(0.0) / gpu.readback_bytes_per_s.max(1.0) * 1e3
}

/// What a job adds, in milliseconds: the place of its load, and how much on each device.
type Adds = Vec<(usize, Vec<f64>)>;

/// All work, in any fractions on any devices.
fn shared_out(jobs: &[SimJob], truth: &Truth<'_>) -> f64 {
    let devices = devices(truth);
    let all_threads = truth.threads(u32::MAX);
    // What is alike differs in its units only, so it is one.
    let mut alike: HashMap<(&str, &str, [u64; 3], u64), usize> = HashMap::new();
    let mut loads: Vec<Vec<f64>> = Vec::new();
    let mut last: Option<(&std::sync::Arc<Work>, Option<DeviceChoice>, Adds)> = None;
    let mut tasks_ms = 0.0;
    for job in jobs {
        let work = match &job.work {
            SimWork::Kernel(work) => work,
            SimWork::Task { ms, waits: false } => {
                tasks_ms += truth.task_ms(job.kind, *ms);
                continue;
            }
            SimWork::Task { .. } => continue,
        };
        if !last.as_ref().is_some_and(|(same, asked, _)| std::sync::Arc::ptr_eq(same, work) && *asked == job.device) {
            let may: Vec<bool> = devices.iter().map(|device| may_take(job, work, *device, truth)).collect();
            let mask = may.iter().fold(0_u64, |mask, may| mask << 1 | u64::from(*may));
            let numbers = [work.prior_ns_per_unit, work.bytes_per_unit, work.bytes_out_per_unit].map(f64::to_bits);
            let mut parts = Vec::new();
            for (first, passes) in [(true, 1), (false, work.passes.max(1) - 1)] {
                let key = (work.kernel, work.variant.as_str(), numbers, mask << 1 | u64::from(first));
                let at = *alike.entry(key).or_insert_with(|| {
                    loads.push(vec![0.0; devices.len()]);
                    loads.len() - 1
                });
                let units = work.units as f64 * f64::from(passes);
                let adds = devices.iter().zip(&may).map(|(device, may)| match (may, device) {
                    (false, _) => f64::INFINITY,
                    (true, DeviceId::Cpu) => units * unit_ms(work, *device, first, truth) / all_threads,
                    // Whatever part of a job it takes: of each pass it is one chunk at least, or a part of one that counts as that.
                    (true, DeviceId::Gpu(index)) => {
                        let latency_ms = truth.machine().gpus[*index as usize].latency_ms.max(0.0);
                        units * unit_ms(work, *device, first, truth) + latency_ms * f64::from(passes)
                    }
                });
                parts.push((at, adds.collect()));
            }
            last = Some((work, job.device, parts));
        }
        for (at, adds) in last.iter().flat_map(|(_, _, parts)| parts) {
            loads[*at].iter_mut().zip(adds).for_each(|(sum, add)| *sum += add);
        }
    }
    let mut tasks = vec![f64::INFINITY; devices.len()];
    tasks[0] = tasks_ms / all_threads;
    loads.push(tasks);
    // What no device may take is no work.
    loads.retain(|load| load.iter().any(|ms| ms.is_finite() && *ms > 0.0));
    let gpus = &truth.machine().gpus;
    let sets = if gpus.len() <= GPUS_MAX { 1_u32 << gpus.len() } else { 1 };
    let bound = |set: u32| {
        let fixed: Vec<Option<f64>> = (0..devices.len())
            .map(|at| match at.checked_sub(1) {
                None => Some(0.0),
                Some(_) if gpus.len() > GPUS_MAX => Some(0.0),
                Some(gpu) => (set >> gpu & 1 == 1).then(|| gpus[gpu].cold_start_ms.max(0.0)),
            })
            .collect();
        best_weights(&loads, &fixed)
    };
    (0..sets).map(bound).fold(f64::INFINITY, f64::min)
}

/// The greatest bound that was found for devices that each have so much fixed time, or take no part; endless where something
/// can be taken by none of them.
fn best_weights(loads: &[Vec<f64>], fixed: &[Option<f64>]) -> f64 {
    let at = |load: &[f64], device: usize| if fixed[device].is_some() { load[device] } else { f64::INFINITY };
    if loads.iter().any(|load| (0..fixed.len()).all(|device| at(load, device).is_infinite())) {
        return f64::INFINITY;
    }
    if loads.is_empty() {
        return 0.0;
    }
    let usual = |device: usize| loads.iter().map(|load| at(load, device)).filter(|ms| ms.is_finite()).sum::<f64>();
    let mut weights: Vec<f64> = (0..fixed.len())
        .map(|device| if fixed[device].is_some() && usual(device) > 0.0 { 1.0 / usual(device).max(1e-9) } else { 0.0 })
        .collect();
    let classes = classes(loads);
    let (mut best, mut best_weights) = (f64::NEG_INFINITY, weights.clone());
    for round in 1..=ROUNDS {
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let mut busy: Vec<f64> = fixed.iter().map(|ms| ms.unwrap_or(0.0)).collect();
        let mut bound: f64 = busy.iter().zip(&weights).map(|(ms, weight)| ms * weight).sum();
        for load in &classes {
            let (cheapest, cost) = cheapest(load, &weights, fixed);
            bound += cost;
            busy[cheapest] += load[cheapest];
        }
        if bound > best {
            best = bound;
            best_weights.clone_from(&weights);
        }
        let most = busy.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let step = 1.0 / f64::from(round).sqrt();
        weights.iter_mut().zip(&busy).for_each(|(weight, ms)| *weight *= (step * (ms / most - 0.5)).exp());
    }
    // Classes are almost alike, and the bound is to hold exactly.
    let opening: f64 = fixed.iter().zip(&best_weights).map(|(ms, weight)| ms.unwrap_or(0.0) * weight).sum();
    opening + loads.iter().map(|load| cheapest(load, &best_weights, fixed).1).sum::<f64>()
}

/// The device with the least weighted time for a load, and that time.
fn cheapest(load: &[f64], weights: &[f64], fixed: &[Option<f64>]) -> (usize, f64) {
    let cost = |device: usize| match (fixed[device], load[device].is_finite()) {
        (Some(_), true) => load[device] * weights[device],
        _ => f64::INFINITY,
    };
    let all = (0..fixed.len()).map(|device| (device, cost(device)));
    all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f64::INFINITY))
}

/// Loads that are so much alike on all devices that the best weights can be told by their sums: there may be one a job.
fn classes(loads: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut classes: HashMap<Vec<i32>, Vec<f64>> = HashMap::new();
    for load in loads {
        let first = load.iter().copied().find(|ms| ms.is_finite() && *ms > 0.0).unwrap_or(1.0);
        let key = load.iter().map(|ms| ((ms / first).log2() * CLASSES_PER_OCTAVE) as i32).collect();
        match classes.entry(key) {
            Entry::Occupied(sum) => sum.into_mut().iter_mut().zip(load).for_each(|(sum, ms)| *sum += ms),
            Entry::Vacant(place) => _ = place.insert(load.clone()),
        }
    }
    // In an order that is the same each time: sums of floats depend on it.
    let mut classes: Vec<(Vec<i32>, Vec<f64>)> = classes.into_iter().collect();
    classes.sort_by(|a, b| a.0.cmp(&b.0));
    classes.into_iter().map(|(_, load)| load).collect()
}

/// The longest job with all devices for itself, and the longest chain, where no device has to be opened any more.
fn chains(jobs: &[SimJob], truth: &Truth<'_>) -> f64 {
    let devices = devices(truth);
    let mut ends: Vec<f64> = Vec::with_capacity(jobs.len());
    let mut longest = 0.0_f64;
    let mut last: Option<(&std::sync::Arc<Work>, Option<DeviceChoice>, [f64; 2])> = None;
    for job in jobs {
        let [warm, cold] = match &job.work {
            SimWork::Task { ms, waits: true } => [*ms; 2],
            SimWork::Task { ms, waits: false } => [truth.task_ms(job.kind, *ms); 2],
            SimWork::Kernel(work) => match &last {
                Some((same, asked, times)) if std::sync::Arc::ptr_eq(same, work) && *asked == job.device => *times,
                _ => {
                    let times = [false, true].map(|cold| alone_ms(job, work, &devices, cold, truth));
                    last = Some((work, job.device, times));
                    times
                }
            },
        };
        let begin = job.after.iter().filter_map(|parent| ends.get(*parent as usize)).copied().fold(0.0, f64::max);
        ends.push(begin + warm);
        longest = longest.max(begin + warm).max(cold);
    }
    longest
}

/// A job with all devices that may take part for itself.
fn alone_ms(job: &SimJob, work: &Work, devices: &[DeviceId], cold: bool, truth: &Truth<'_>) -> f64 {
    let granules = work.units.div_ceil(work.granularity.max(1));
    let threads = granules.min(u64::from(truth.machine().cpu.threads.max(1))) as u32;
    let pass = |first: bool| {
        // (when it begins, units a millisecond)
        let mut powers: Vec<(f64, f64)> = devices
            .iter()
            .filter(|device| may_take(job, work, **device, truth))
            .map(|device| {
                let units_per_ms = 1.0 / unit_ms(work, *device, first, truth);
                match *device {
                    DeviceId::Cpu => (0.0, units_per_ms * truth.threads(threads)),
                    DeviceId::Gpu(index) => {
                        let gpu = &truth.machine().gpus[index as usize];
                        let opening = if cold && first { gpu.cold_start_ms.max(0.0) } else { 0.0 };
                        (opening + gpu.latency_ms.max(0.0), units_per_ms)
                    }
                }
            })
            .collect();
        powers.sort_by(|a, b| a.0.total_cmp(&b.0));
        let units = work.units as f64;
        if granules <= 1 {
            return powers.iter().map(|(begin, rate)| begin + units / rate).fold(f64::INFINITY, f64::min);
        }
        let (mut rate, mut head_start, mut end) = (0.0, 0.0, f64::INFINITY);
        for (begin, more) in powers {
            if end <= begin {
                break;
            }
            rate += more;
            head_start += begin * more;
            end = (units + head_start) / rate;
        }
        end
    };
    let all = pass(true) + pass(false) * f64::from(work.passes.max(1) - 1);
    // What no device may take fails, and takes no time.
    if all.is_finite() { all } else { 0.0 }
}

/// Those of which only so many run at once.
fn at_once(jobs: &[SimJob], truth: &Truth<'_>, jobs_at_once: Option<usize>) -> f64 {
    let (mut waits_ms, mut tasks_ms) = (0.0, 0.0);
    for job in jobs {
        match &job.work {
            SimWork::Task { ms, waits: true } => waits_ms += ms,
            SimWork::Task { ms, waits: false } => tasks_ms += truth.task_ms(job.kind, *ms),
            SimWork::Kernel(_) => {}
        }
    }
    let tasks_ms = jobs_at_once.map_or(0.0, |count| tasks_ms / count.max(1) as f64);
    tasks_ms.max(waits_ms / WAITING_MAX as f64)
}
