//! This machine, as a machine file: from its inventory, from what the model has learned, and from priors where nothing is known.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::device::{DeviceInfo, DeviceKind};
use crate::model::{Model, Row};
use crate::plan::priors;
use crate::simulate::machine_file::{BYTES_PER_S, COLD_START_MS, LATENCY_MS, SCHEMA};
use crate::simulate::rates::{Known, Place, median, rounded};
use crate::simulate::{Cpu, Gpu, GpuKind, Machine};

/// Threads that are worth less than this may not have been measured alone.
const THREADS_WORTH_MIN: f64 = 0.1;

/// What is known of a machine without measuring.
#[derive(Clone, Copy, Debug)]
pub struct Inventory<'a> {
    /// What it is to be called.
    pub name: &'a str,
    /// Its CPU.
    pub cpu: &'a DeviceInfo,
    /// Threads that jobs may use.
    pub threads: u32,
    /// Memory that jobs may take together, in bytes.
    pub memory_bytes: u64,
    /// Its GPUs that may be used.
    pub gpus: &'a [DeviceInfo],
}

/// A machine with the speeds that `model` has learned of its devices. Where nothing is known, the planner's own priors stand; the
/// notes say of each figure which of both it is.
pub fn this_machine(inventory: &Inventory<'_>, model: &Model) -> Machine {
    let rows = model.rows();
    let known = Known::of(&rows, &inventory.cpu.fingerprint, Place::Cpu);
    let mut notes = Vec::new();
    let cpu = cpu(inventory, &known, &mut notes);
    let gpus = inventory.gpus.iter().map(|info| gpu(info, &rows, &cpu, &mut notes)).collect();
    Machine { schema: SCHEMA, name: inventory.name.to_owned(), notes, cpu, gpus }
}

impl Cpu {
    /// Whether its threads are worth so little beside each other that others may have kept it busy while it was measured.
    pub fn seems_to_have_been_busy(&self) -> bool {
        self.threads > 1 && self.thread_efficiency < THREADS_WORTH_MIN
    }
}

fn cpu(inventory: &Inventory<'_>, known: &Known<'_>, notes: &mut Vec<String>) -> Cpu {
    let (efficiency, whence) = match known.thread_efficiency() {
        Some(measured) if measured < THREADS_WORTH_MIN => {
            (rounded(measured), "measured, and low: if other programs kept the cpu busy, calibrate again")
        }
        Some(measured) => (rounded(measured), "measured"),
        None => (priors::THREAD_EFFICIENCY, "a prior: nothing ran for long enough on one thread and on several"),
    };
    let speeds = known.speeds(efficiency);
    let speed = usual(&speeds);
    notes.push(format!("cpu: {}, {}", inventory.cpu.name, inventory.cpu.driver));
    notes.push(format!("cpu: thread_efficiency is {whence}; {}", of_speeds(&speeds, speed.is_some(), "1, a prior")));
    notes.extend(of_short("cpu", known));
    Cpu {
        threads: inventory.threads.max(1),
        memory_bytes: inventory.memory_bytes.max(1),
        speed: speed.map_or(1.0, rounded),
        thread_efficiency: efficiency,
        speeds,
    }
}

fn gpu(info: &DeviceInfo, rows: &[Row], cpu: &Cpu, notes: &mut Vec<String>) -> Gpu {
    let known = Known::of(rows, &info.fingerprint, Place::Gpu);
    let (mut measured, mut assumed) = (Vec::new(), Vec::new());
    let mut figure = |name: &'static str, found: Option<f64>, prior: f64, allowed: RangeInclusive<f64>| {
        if found.is_some() {
            measured.push(name)
        } else {
            assumed.push(name)
        }
        found.map_or(prior, rounded).clamp(*allowed.start(), *allowed.end())
    };
    let upload = figure("upload_bytes_per_s", known.upload_bytes_per_s(), priors::BUS_BYTES_PER_MS * 1e3, BYTES_PER_S);
    let cold_start_ms = figure("cold_start_ms", known.cold_start_ms(), priors::SETUP_MS, COLD_START_MS);
    let latency_ms = figure("latency_ms", known.latency_ms(), priors::GPU_LATENCY_MS, LATENCY_MS);

    let speeds = known.speeds(1.0);
    let speed = usual(&speeds);
    let threads = 1.0 + f64::from(cpu.threads - 1) * cpu.thread_efficiency;
    let prior = cpu.speed * priors::gpu_threads(info.kind, threads);
    notes.push(format!("{}: {}, {}", info.id, info.name, info.driver));
    if !measured.is_empty() {
        notes.push(format!("{}: measured: {}", info.id, measured.join(", ")));
    }
    if !assumed.is_empty() {
        notes.push(format!("{}: priors: {}", info.id, assumed.join(", ")));
    }
    notes.push(format!(
        "{}: readback_bytes_per_s is taken to be that of the upload; {}",
        info.id,
        of_speeds(&speeds, speed.is_some(), "a prior, a multiple of a thread of the cpu")
    ));
    notes.extend(of_short(&info.id.to_string(), &known));
    Gpu {
        name: info.name.clone(),
        kind: match info.kind {
            DeviceKind::DiscreteGpu => GpuKind::Discrete,
            DeviceKind::IntegratedGpu | DeviceKind::OtherGpu => GpuKind::Integrated,
            DeviceKind::VirtualGpu => GpuKind::Virtual,
            DeviceKind::SoftwareGpu | DeviceKind::Cpu => GpuKind::Software,
        },
        // A GPU that does not say shares the memory with the CPU, as far as anybody can tell.
        memory_bytes: info.memory_bytes.unwrap_or(cpu.memory_bytes).max(1),
        max_chunk_bytes: info.max_chunk_bytes.max(1),
        upload_bytes_per_s: upload,
        readback_bytes_per_s: upload,
        cold_start_ms,
        latency_ms,
        speed: rounded(speed.unwrap_or(prior)),
        speeds,
    }
}

/// What kernels are expected to do that were not measured: the median of those that were, one a kernel.
fn usual(speeds: &BTreeMap<String, f64>) -> Option<f64> {
    median(speeds.iter().filter(|(name, _)| !name.contains(' ')).map(|(_, speed)| *speed).collect())
}

fn of_speeds(speeds: &BTreeMap<String, f64>, measured: bool, prior: &str) -> String {
    if !measured {
        return format!("speed is {prior}");
    }
    let names: Vec<&str> = speeds.keys().map(String::as_str).collect();
    format!("measured speeds: {}; speed is their median", names.join(", "))
}

/// What ran on a device, but too briefly.
fn of_short(device: &str, known: &Known<'_>) -> Option<String> {
    let names = known.too_short();
    (!names.is_empty()).then(|| format!("{device}: nothing large enough was measured of: {}", names.join(", ")))
}

#[cfg(test)]
#[path = "this_machine_tests.rs"]
mod tests;
