//! What the planner of a simulated machine knows of it: what measuring it would have taught.

use std::collections::HashSet;

use crate::device::{DeviceId, DeviceKind};
use crate::kernels::Work;
use crate::model::{CostClass, Measured, Model, ModelKey};
use crate::plan::DeviceState;
use crate::simulate::truth::{believed_unit_ms, threads, upload_ms};
use crate::simulate::{GpuKind, Machine, SimJob, SimWork};

/// How often each size is measured.
const RUNS: u32 = 3;
/// Sizes that are measured: the largest job, and by a factor of this ever smaller ones.
const SIZE_STEP: u64 = 8;
/// How many of them.
const SIZES: u32 = 5;
/// A chunk on a GPU that works alone is no longer.
const CHUNK_MS: f64 = 100.0;

/// The devices of a machine, none of them busy and no GPU open.
pub(super) fn devices(machine: &Machine) -> Vec<DeviceState> {
    let cpu = DeviceState {
        id: DeviceId::Cpu,
        fingerprint: "simulated cpu".into(),
        kind: DeviceKind::Cpu,
        unusable: None,
        lanes: machine.cpu.threads.max(1),
        opened: true,
        busy_for_ms: Vec::new(),
        memory_bytes: Some(machine.cpu.memory_bytes),
        max_chunk_bytes: u64::MAX,
        resident: 0.0,
    };
    let gpus = machine.gpus.iter().enumerate().map(|(index, gpu)| DeviceState {
        id: DeviceId::Gpu(index as u32),
        fingerprint: format!("simulated gpu:{index} {}", gpu.name).into(),
        kind: match gpu.kind {
            GpuKind::Discrete => DeviceKind::DiscreteGpu,
            GpuKind::Integrated => DeviceKind::IntegratedGpu,
            GpuKind::Virtual => DeviceKind::VirtualGpu,
            GpuKind::Software => DeviceKind::SoftwareGpu,
        },
        unusable: None,
        lanes: 1,
        opened: false,
        busy_for_ms: Vec::new(),
        memory_bytes: Some(gpu.memory_bytes),
        max_chunk_bytes: gpu.max_chunk_bytes,
        resident: 0.0,
    });
    std::iter::once(cpu).chain(gpus).collect()
}

/// What measuring every kernel of these jobs on every device teaches.
pub(super) fn teach(machine: &Machine, devices: &[DeviceState], jobs: &[SimJob]) -> Model {
    let mut model = Model::new();
    let mut largest: Vec<&Work> = Vec::new();
    let mut seen = HashSet::new();
    let mut works: Vec<&Work> = jobs
        .iter()
        .filter_map(|job| match &job.work {
            SimWork::Kernel(work) => Some(&**work),
            SimWork::Task { .. } => None,
        })
        .collect();
    works.sort_by_key(|work| std::cmp::Reverse(work.units));
    let mut last: Option<&Work> = None;
    for work in works {
        // There may be a million alike, one after the other.
        let is_as_last = last.is_some_and(|last| {
            last.kernel == work.kernel
                && last.variant == work.variant
                && CostClass::of(last.prior_ns_per_unit) == CostClass::of(work.prior_ns_per_unit)
        });
        last = Some(work);
        if !is_as_last && seen.insert((work.kernel, work.variant.as_str(), CostClass::of(work.prior_ns_per_unit))) {
            largest.push(work);
        }
    }
    for work in largest {
        for step in 0..SIZES {
            let units = work.units / SIZE_STEP.pow(step);
            if units > 0 {
                measure(&mut model, machine, devices, work, units);
            }
        }
    }
    model
}

/// Learns what so many units take everywhere.
fn measure(model: &mut Model, machine: &Machine, devices: &[DeviceState], work: &Work, units: u64) {
    let passes = work.passes.max(1);
    let all = f64::from(passes);
    let bytes = (units as f64 * work.bytes_per_unit.max(0.0)) as u64;
    for state in devices {
        let unit_ms = believed_unit_ms(machine, work, state.id);
        let (lanes, measured): (Vec<u32>, _) = match state.id {
            DeviceId::Cpu => {
                let counts = [1, state.lanes / 2, state.lanes];
                (counts.into_iter().filter(|lanes| *lanes > 0).collect(), Measured::default())
            }
            DeviceId::Gpu(index) if work.gpu => {
                let gpu = &machine.gpus[index as usize];
                let once_ms = units as f64 * unit_ms;
                let chunks = (once_ms / CHUNK_MS).ceil().max(1.0);
                let uploads = if bytes <= gpu.memory_bytes { 1 } else { u64::from(passes) };
                let moved = bytes.saturating_mul(uploads);
                let readback_ms =
                    units as f64 * work.bytes_out_per_unit.max(0.0) / gpu.readback_bytes_per_s.max(1.0) * 1e3;
                let measured = Measured {
                    bytes: moved,
                    upload_ms: upload_ms(machine, index, moved as f64),
                    compute_ms: (once_ms + chunks * gpu.latency_ms.max(0.0)) * all,
                    readback_ms: readback_ms * all,
                    ..Measured::default()
                };
                (vec![1], measured)
            }
            DeviceId::Gpu(_) => continue,
        };
        for lanes in lanes {
            let granules = units.div_ceil(work.granularity.max(1)).min(u64::from(lanes)) as u32;
            let compute_ms = match state.id {
                DeviceId::Cpu => units as f64 * unit_ms / threads(machine, granules) * all,
                DeviceId::Gpu(_) => measured.compute_ms,
            };
            for run in 0..RUNS {
                let cold = run == 0 && state.id != DeviceId::Cpu;
                let setup_ms = match state.id {
                    DeviceId::Gpu(index) if cold => machine.gpus[index as usize].cold_start_ms.max(0.0),
                    _ => 0.0,
                };
                let measured = Measured { units, passes, compute_ms, setup_ms, cold, ..measured };
                model.learn(ModelKey::of(work, &state.fingerprint, lanes), &measured);
            }
        }
    }
}
