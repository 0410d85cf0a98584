//! The devices of a run: the CPU, always; GPUs, looked for when somebody first needs to know.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::device::{CpuDevice, Device, DeviceId};
use crate::engine::panics::catch;
use crate::plan::Unusable;

/// A GPU that was found.
#[derive(Clone, Debug)]
pub struct FoundGpu {
    /// The device, not opened yet.
    pub device: Arc<dyn Device>,
    /// Why it is not to be used, where it is not: a software adapter that was not allowed.
    pub unusable: Option<Unusable>,
}

/// What a search for GPUs found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Every adapter, by index.
    pub gpus: Vec<FoundGpu>,
    /// Where none is usable: what was looked for, what was found, and what to do.
    pub diagnosis: Option<String>,
}

/// How to look for GPUs. It takes tens of milliseconds, so it is done once, and only when a plan needs it.
pub type Search = Box<dyn Fn() -> Found + Send + Sync>;

/// The devices of a run.
pub struct Devices {
    cpu: Arc<CpuDevice>,
    search: Search,
    found: OnceLock<Found>,
}

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devices").field("cpu", &self.cpu).field("found", &self.found).finish_non_exhaustive()
    }
}

impl Devices {
    /// The CPU with so many threads, and whatever `search` finds.
    pub fn new(threads: u32, search: Search) -> Self {
        Self { cpu: Arc::new(CpuDevice::new(threads)), search, found: OnceLock::new() }
    }

    /// The CPU.
    pub fn cpu(&self) -> &Arc<CpuDevice> {
        &self.cpu
    }

    /// The GPUs, looked for at the first call.
    pub fn gpus(&self) -> &Found {
        self.found.get_or_init(|| {
            catch(|| (self.search)()).unwrap_or_else(|panic| Found {
                gpus: Vec::new(),
                diagnosis: Some(format!("looking for gpus failed: {panic}: update the driver, or use `--device cpu`")),
            })
        })
    }

    /// The GPUs, if they have been looked for.
    pub fn known_gpus(&self) -> Option<&Found> {
        self.found.get()
    }

    /// The device with this id, if it is known.
    pub fn get(&self, id: DeviceId) -> Option<Arc<dyn Device>> {
        match id {
            DeviceId::Cpu => Some(self.cpu.clone()),
            DeviceId::Gpu(index) => Some(self.known_gpus()?.gpus.get(index as usize)?.device.clone()),
        }
    }

    /// The CPU and every GPU that may be used.
    pub fn usable(&self) -> Vec<Arc<dyn Device>> {
        let cpu: Arc<dyn Device> = self.cpu.clone();
        let gpus = self.gpus().gpus.iter().filter(|gpu| gpu.unusable.is_none()).map(|gpu| gpu.device.clone());
        std::iter::once(cpu).chain(gpus).collect()
    }
}

/// No run has more threads: more than any machine has are a typing error.
pub(crate) const THREADS_MAX: u32 = 4096;

/// How many threads a run uses where nobody says: what affinity, cgroup quota and Slurm leave to this process.
pub fn default_threads() -> u32 {
    let machine = std::thread::available_parallelism().map_or(1, usize::from);
    // Slurm's bound stands in the environment only where the site does not also set affinity.
    let slurm = std::env::var("SLURM_CPUS_PER_TASK").ok().and_then(|text| text.parse::<usize>().ok());
    let threads = slurm.filter(|threads| *threads > 0).map_or(machine, |threads| threads.min(machine));
    u32::try_from(threads).unwrap_or(u32::MAX)
}
