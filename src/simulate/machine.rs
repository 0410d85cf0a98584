//! A machine, as far as a simulated run has to know it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A machine. Its speeds are multiples of what kernels say of themselves for one thread of a usual CPU
/// ([`Work::prior_ns_per_unit`](crate::kernels::Work::prior_ns_per_unit)): at a speed of 2, a unit takes half as long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The number of this format, 1.
    pub schema: u32,
    /// What it is called.
    pub name: String,
    /// Where its figures come from: which were measured, which were published, and how others follow from those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Its CPU.
    pub cpu: Cpu,
    /// Its GPUs; the first is `gpu:0`.
    #[serde(default)]
    pub gpus: Vec<Gpu>,
}

/// The CPU of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Threads that jobs may use.
    pub threads: u32,
    /// Memory that jobs may take together, in bytes.
    pub memory_bytes: u64,
    /// The speed of one thread, for kernels and tasks that `speeds` does not name.
    pub speed: f64,
    /// What each thread more is worth beside one that works alone, above 0 and up to 1.
    pub thread_efficiency: f64,
    /// The speed of one thread by kernel or task: `stats`, or with the first word of a variant, `stats f32`, which goes first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub speeds: BTreeMap<String, f64>,
}

/// One GPU of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// What it is called.
    pub name: String,
    /// What sort of GPU.
    pub kind: GpuKind,
    /// Its memory, in bytes.
    pub memory_bytes: u64,
    /// The largest chunk of input that it takes, in bytes.
    pub max_chunk_bytes: u64,
    /// Input moved to it, in bytes a second.
    pub upload_bytes_per_s: f64,
    /// Results moved back, in bytes a second.
    pub readback_bytes_per_s: f64,
    /// Opening it and preparing the first kernel, in milliseconds.
    pub cold_start_ms: f64,
    /// What each chunk costs besides, in milliseconds.
    pub latency_ms: f64,
    /// Its speed for kernels that `speeds` does not name.
    pub speed: f64,
    /// Its speed by kernel, as those of the CPU.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub speeds: BTreeMap<String, f64>,
}

/// What sort of GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GpuKind {
    /// A card of its own.
    Discrete,
    /// Shares the memory with the CPU.
    Integrated,
    /// A part of one, lent to a virtual machine.
    Virtual,
    /// Runs on the cores of the CPU.
    Software,
}

impl Cpu {
    /// The speed of one thread for this kernel or task and variant.
    pub fn speed_of(&self, kind: &str, variant: &str) -> f64 {
        speed_of(&self.speeds, self.speed, kind, variant)
    }
}

impl Gpu {
    /// The speed for this kernel and variant.
    pub fn speed_of(&self, kind: &str, variant: &str) -> f64 {
        speed_of(&self.speeds, self.speed, kind, variant)
    }
}

fn speed_of(speeds: &BTreeMap<String, f64>, usual: f64, kind: &str, variant: &str) -> f64 {
    let base = variant.split(' ').next().unwrap_or_default();
    // There are a few of them, and this is asked for every chunk: no name is put together for it.
    let is_it = |name: &str| name.strip_prefix(kind).and_then(|rest| rest.strip_prefix(' ')) == Some(base);
    let named = speeds.iter().find(|(name, _)| is_it(name)).map(|(_, speed)| speed);
    named.or_else(|| speeds.get(kind)).copied().unwrap_or(usual)
}
