//! What no schedule can beat: a lower bound on the makespan, whatever the policy.
//!
//! It is the greatest of three. First, all work shared out in any fractions over the devices, which is a linear program; its
//! dual gives a bound for any weights of the devices, so that the weights need not be the best ones for the bound to hold. A GPU
//! that takes part has to be opened, so the least over all sets of GPUs counts. Second, the job that takes longest, with all devices for
//! itself. Third, the longest chain of jobs that wait for each other.

mod loads;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::device::DeviceId;
use crate::engine::order::WAITING_MAX;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::simulate::truth::{Truth, upload_ms};
use crate::simulate::{SimJob, SimWork};

use loads::Loads;

/// With more GPUs than this, opening them is left out of the bound.
const GPUS_MAX: usize = 5;

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

/// What jobs have in common whose units take as long as each other: kernel, variant, bytes in and out of a unit, and the devices
/// that may take them, of the first pass or of later ones.
type Sort<'a> = (&'a str, &'a str, [u64; 2], u64);

/// All work, in any fractions on any devices.
fn shared_out(jobs: &[SimJob], truth: &Truth<'_>) -> f64 {
    let devices = devices(truth);
    let all_threads = truth.threads(u32::MAX);
    // What is alike differs in its units only, so it is one. There may be a load a job, and of sorts there are a few.
    let mut sorts: HashMap<Sort<'_>, u32, FixedState> = HashMap::default();
    let mut alike: HashMap<(u32, u64), u32, FixedState> = HashMap::default();
    let mut loads = Loads::new(devices.len());
    let mut last: Option<(&Arc<Work>, Option<DeviceChoice>)> = None;
    // What the last job added: the place of its load, and how much on each device, in milliseconds.
    let mut parts: Vec<(usize, Vec<f64>)> = vec![(0, vec![0.0; devices.len()]); 2];
    let mut parts_in_use = 0;
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
        if !last.is_some_and(|(same, asked)| Arc::ptr_eq(same, work) && asked == job.device) {
            let may = |device: DeviceId| may_take(job, work, device, truth);
            let mask = devices.iter().fold(0_u64, |mask, device| mask << 1 | u64::from(may(*device)));
            let bytes = [work.bytes_per_unit, work.bytes_out_per_unit].map(f64::to_bits);
            parts_in_use = 0;
            for (first, passes) in [(true, 1), (false, work.passes.max(1) - 1)] {
                if passes == 0 {
                    continue;
                }
                let sort = (work.kernel, work.variant.as_str(), bytes, mask << 1 | u64::from(first));
                let sorts_so_far = sorts.len() as u32;
                let sort = *sorts.entry(sort).or_insert(sorts_so_far);
                let (at, adds) = &mut parts[parts_in_use];
                parts_in_use += 1;
                *at =
                    *alike.entry((sort, work.prior_ns_per_unit.to_bits())).or_insert_with(|| loads.add_none()) as usize;
                let units = work.units as f64 * f64::from(passes);
                for (add, &device) in adds.iter_mut().zip(&devices) {
                    *add = match device {
                        _ if !may(device) => f64::INFINITY,
                        DeviceId::Cpu => units * unit_ms(work, device, first, truth) / all_threads,
                        // Whatever part of a job it takes: of each pass it is one chunk at least, or a part of one that counts as that.
                        DeviceId::Gpu(index) => {
                            let latency_ms = truth.machine().gpus[index as usize].latency_ms.max(0.0);
                            units * unit_ms(work, device, first, truth) + latency_ms * f64::from(passes)
                        }
                    };
                }
            }
            last = Some((work, job.device));
        }
        for (at, adds) in &parts[..parts_in_use] {
            loads.add(*at, adds);
        }
    }
    let mut tasks = vec![f64::INFINITY; devices.len()];
    tasks[0] = tasks_ms / all_threads;
    let at = loads.add_none() as usize;
    loads.add(at, &tasks);
    loads.drop_idle();
    let gpus = &truth.machine().gpus;
    let sets = if gpus.len() <= GPUS_MAX { 1_u32 << gpus.len() } else { 1 };
    let fixed = |set: u32| {
        let of_device = |at: usize| match at.checked_sub(1) {
            None => Some(0.0),
            Some(_) if gpus.len() > GPUS_MAX => Some(0.0),
            Some(gpu) => (set >> gpu & 1 == 1).then(|| gpus[gpu].cold_start_ms.max(0.0)),
        };
        (0..devices.len()).map(of_device).collect()
    };
    loads.bound_ms((0..sets).map(fixed))
}

/// The longest job with all devices for itself, and the longest chain, where no device has to be opened any more.
fn chains(jobs: &[SimJob], truth: &Truth<'_>) -> f64 {
    let devices = devices(truth);
    let mut ends: Vec<f64> = Vec::with_capacity(jobs.len());
    let mut longest = 0.0_f64;
    let mut powers = Vec::with_capacity(devices.len());
    let mut last: Option<(&Arc<Work>, Option<DeviceChoice>, [f64; 2])> = None;
    for job in jobs {
        let [warm, cold] = match &job.work {
            SimWork::Task { ms, waits: true } => [*ms; 2],
            SimWork::Task { ms, waits: false } => [truth.task_ms(job.kind, *ms); 2],
            SimWork::Kernel(work) => match &last {
                Some((same, asked, times)) if Arc::ptr_eq(same, work) && *asked == job.device => *times,
                _ => {
                    let times = alone_ms(job, work, &devices, &mut powers, truth);
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

/// A device that may take part in a job: when it begins where it is open, and how much later where it has to be opened, in milliseconds;
/// units a millisecond.
type Power = (f64, f64, f64);

/// A job with all devices that may take part for itself, where they are open and where they have to be opened.
fn alone_ms(job: &SimJob, work: &Work, devices: &[DeviceId], powers: &mut Vec<Power>, truth: &Truth<'_>) -> [f64; 2] {
    let granules = work.units.div_ceil(work.granularity.max(1));
    let threads = granules.min(u64::from(truth.machine().cpu.threads.max(1))) as u32;
    let mut passes = |first: bool| {
        powers.clear();
        powers.extend(devices.iter().filter(|device| may_take(job, work, **device, truth)).map(|device| {
            let units_per_ms = 1.0 / unit_ms(work, *device, first, truth);
            match *device {
                DeviceId::Cpu => (0.0, 0.0, units_per_ms * truth.threads(threads)),
                DeviceId::Gpu(index) => {
                    let gpu = &truth.machine().gpus[index as usize];
                    (gpu.latency_ms.max(0.0), gpu.cold_start_ms.max(0.0), units_per_ms)
                }
            }
        }));
        let warm = pass_ms(powers, work.units, granules);
        if !first {
            return [warm; 2];
        }
        powers.iter_mut().for_each(|(begin, opening, _)| *begin += *opening);
        [warm, pass_ms(powers, work.units, granules)]
    };
    let mut all = passes(true);
    if work.passes > 1 {
        let later = passes(false);
        all.iter_mut().zip(later).for_each(|(all, later)| *all += later * f64::from(work.passes - 1));
    }
    // What no device may take fails, and takes no time.
    all.map(|ms| if ms.is_finite() { ms } else { 0.0 })
}

/// One pass over so many units.
fn pass_ms(powers: &mut [Power], units: u64, granules: u64) -> f64 {
    powers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let units = units as f64;
    if granules <= 1 {
        return powers.iter().map(|(begin, _, rate)| begin + units / rate).fold(f64::INFINITY, f64::min);
    }
    let (mut rate, mut head_start, mut end) = (0.0, 0.0, f64::INFINITY);
    for &(begin, _, more) in &*powers {
        if end <= begin {
            break;
        }
        rate += more;
        head_start += begin * more;
        end = (units + head_start) / rate;
    }
    end
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
