//! How long things really take on a simulated machine: as its description says, or differently from that where the truth is
//! hidden from the planner.

use std::time::Duration;

use crate::device::{DeviceId, Phases};
use crate::kernels::Work;
use crate::simulate::Machine;

/// How far real rates lie from those that the planner knows, at most: 30 %.
const RATE_SPREAD: f64 = 0.3;
/// The most that a chunk takes longer by chance.
const NOISE: f64 = 0.1;
/// The most that a device is slower at the end of the run than at its begin.
const DRIFT: f64 = 0.1;
/// How many times as long things take on the device that slows down.
const SLOWED: f64 = 2.0;

/// What is hidden from the planner, from a seed: per kernel and device a rate that differs by up to 30 % from the one known,
/// chunks that take up to a tenth longer by chance, devices that slow down by up to a tenth over the run, and one device,
/// or none, that takes twice as long from half of the run on.
///
/// But for the rates all of that makes things slower, so that a bound by the rates holds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Hidden {
    seed: u64,
    /// About how long the run takes, in milliseconds: what drift and slowing down go by.
    scale_ms: f64,
    slowed: Option<DeviceId>,
}

/// What things take.
#[derive(Clone, Debug)]
pub(super) struct Truth<'a> {
    machine: &'a Machine,
    hidden: Option<Hidden>,
}

impl<'a> Truth<'a> {
    /// That of a machine; with a seed, hidden from its planner.
    pub fn new(machine: &'a Machine, seed: Option<u64>) -> Self {
        let hidden = seed.map(|seed| {
            let choices = machine.gpus.len() as u64 + 2;
            let slowed = match hash(&[seed, 17]) % choices {
                0 => None,
                1 => Some(DeviceId::Cpu),
                gpu => Some(DeviceId::Gpu((gpu - 2) as u32)),
            };
            Hidden { seed, scale_ms: f64::INFINITY, slowed }
        });
        Self { machine, hidden }
    }

    /// Tells about how long the run takes.
    pub fn scaled_to(mut self, scale_ms: f64) -> Self {
        if let Some(hidden) = &mut self.hidden {
            hidden.scale_ms = scale_ms;
        }
        self
    }

    pub fn machine(&self) -> &'a Machine {
        self.machine
    }

    /// The speed of all threads together that work for so many lanes, beside one that works alone.
    pub fn threads(&self, lanes: u32) -> f64 {
        threads(self.machine, lanes)
    }

    /// How long a unit takes on one thread of the CPU that works alone, or on a GPU, in milliseconds: at best.
    pub fn unit_ms(&self, work: &Work, device: DeviceId) -> f64 {
        believed_unit_ms(self.machine, work, device) / self.rate(work.kernel, &work.variant, device)
    }

    /// How long a task takes on one thread of the CPU that works alone, in milliseconds: at best.
    pub fn task_ms(&self, kind: &str, usual_ms: f64) -> f64 {
        usual_ms / speed(self.machine, kind, "", DeviceId::Cpu) / self.rate(kind, "", DeviceId::Cpu)
    }

    /// The real rate beside the one that is known.
    fn rate(&self, kind: &str, variant: &str, device: DeviceId) -> f64 {
        let Some(hidden) = self.hidden else { return 1.0 };
        let base = variant.split(' ').next().unwrap_or_default();
        let name = kind.bytes().chain([0]).chain(base.bytes()).fold(7, |sum, byte| hash(&[sum, u64::from(byte)]));
        1.0 + RATE_SPREAD * (2.0 * unit(hash(&[hidden.seed, 1, name, number(device)])) - 1.0)
    }

    /// By how much longer than at best something takes that a device begins at `now`; `what` tells it from all else.
    pub fn slower(&self, device: DeviceId, what: [u64; 2], now_ms: f64) -> f64 {
        let Some(hidden) = self.hidden else { return 1.0 };
        let chance = unit(hash(&[hidden.seed, 2, number(device), what[0], what[1]]));
        let drift = unit(hash(&[hidden.seed, 3, number(device)]));
        let part = (now_ms / hidden.scale_ms.max(f64::MIN_POSITIVE)).min(1.0);
        let slowed = hidden.slowed == Some(device) && part >= 0.5;
        (1.0 + NOISE * chance * chance) * (1.0 + DRIFT * drift * part) * if slowed { SLOWED } else { 1.0 }
    }

    /// What a chunk takes on a GPU at best, but for opening it.
    pub fn on_gpu(&self, work: &Work, index: u32, units: u64, resident: bool) -> Phases {
        let ms = |ms: f64| Duration::try_from_secs_f64(ms.max(0.0) / 1e3).unwrap_or(Duration::MAX / 8);
        let gpu = &self.machine.gpus[index as usize];
        let units = units as f64;
        let upload = if resident { 0.0 } else { upload_ms(self.machine, index, units * work.bytes_per_unit) };
        let readback = units * work.bytes_out_per_unit.max(0.0) / gpu.readback_bytes_per_s.max(1.0) * 1e3;
        Phases {
            upload: ms(upload),
            compute: ms(units * self.unit_ms(work, DeviceId::Gpu(index)) + gpu.latency_ms),
            readback: ms(readback),
            ..Phases::default()
        }
    }
}

/// Moving so many bytes to a GPU, in milliseconds.
pub(super) fn upload_ms(machine: &Machine, index: u32, bytes: f64) -> f64 {
    bytes.max(0.0) / machine.gpus[index as usize].upload_bytes_per_s.max(1.0) * 1e3
}

/// What the machine's description says of a unit on one thread, or on a GPU, in milliseconds.
pub(super) fn believed_unit_ms(machine: &Machine, work: &Work, device: DeviceId) -> f64 {
    work.prior_ns_per_unit.max(1e-9) / 1e6 / speed(machine, work.kernel, &work.variant, device)
}

/// The speed of so many threads together beside one that works alone.
pub(super) fn threads(machine: &Machine, lanes: u32) -> f64 {
    let lanes = lanes.min(machine.cpu.threads).max(1);
    1.0 + f64::from(lanes - 1) * machine.cpu.thread_efficiency.clamp(0.0, 1.0)
}

fn speed(machine: &Machine, kind: &str, variant: &str, device: DeviceId) -> f64 {
    let speed = match device {
        DeviceId::Cpu => machine.cpu.speed_of(kind, variant),
        DeviceId::Gpu(index) => machine.gpus[index as usize].speed_of(kind, variant),
    };
    if speed > 0.0 { speed.min(1e12) } else { 1e-12 }
}

fn number(device: DeviceId) -> u64 {
    match device {
        DeviceId::Cpu => 0,
        DeviceId::Gpu(index) => 1 + u64::from(index),
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014) over several numbers.
fn hash(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |sum, number| {
        let mut z = (sum ^ number).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    })
}

/// A number from 0 to 1.
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}
