//! What a plan is made from, and why there may be none.

use std::sync::Arc;

use crate::device::{DeviceId, DeviceKind};
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::model::Model;
use crate::plan::priors::SETUP_MS;
use crate::plan::stream::Stream;

/// What finding out whether there is a GPU costs: loading the drivers and listing the adapters.
pub(super) const INVENTORY_MS: f64 = 60.0;

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is a software adapter, and the user has not allowed those.
    SoftwareNotAllowed,
    /// It failed in this run and was set aside.
    Lost,
    /// Its driver lacks something that every kernel needs.
    Incapable,
}

impl Unusable {
    /// In a few words, for people.
    pub const fn note(self) -> &'static str {
        match self {
            Self::SoftwareNotAllowed => "software adapter, not allowed",
            Self::Lost => "failed in this run, set aside",
            Self::Incapable => "lacks what tandem needs",
        }
    }
}

/// A device as the planner sees it, now.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceState {
    /// Which.
    pub id: DeviceId,
    /// Under which its measurements are kept.
    pub fingerprint: Arc<str>,
    /// What kind of hardware.
    pub kind: DeviceKind,
    /// Why it cannot be used, if so.
    pub unusable: Option<Unusable>,
    /// How many chunks it folds at once.
    pub lanes: u32,
    /// Whether it is open; the CPU always is.
    pub opened: bool,
    /// When each of its lanes that is busy or spoken for will be free of what it has been given already, in milliseconds
    /// from now, in any order. The lanes that are not listed are free.
    pub busy_for_ms: Vec<f64>,
    /// Its own memory, where known.
    pub memory_bytes: Option<u64>,
    /// The largest chunk of input that it takes.
    pub max_chunk_bytes: u64,
    /// How much of this job's input lies on it already, 0 to 1.
    pub resident: f64,
}

/// All that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest<'a> {
    /// How large the job is.
    pub work: &'a Work,
    /// Where the user lets it run.
    pub policy: DeviceChoice,
    /// The devices that are known, the CPU among them.
    pub devices: &'a [DeviceState],
    /// Whether the GPUs have been enumerated; else `devices` holds the CPU alone.
    pub inventory_known: bool,
    /// What has been measured.
    pub model: &'a Model,
    /// The most threads of the CPU to use; at least 1.
    pub threads: u32,
    /// Whether somebody will read the reason, all candidates and the crossover, which cost more than the choice.
    pub explain: bool,
    /// What waits behind the job and what has gone before it; nothing, by default.
    pub stream: Stream<'a>,
}

impl PlanRequest<'_> {
    pub(super) fn cpu(&self) -> Option<&DeviceState> {
        self.devices.iter().find(|state| state.id == DeviceId::Cpu)
    }

    /// All threads that a job may have.
    pub(super) fn cpu_lanes(&self) -> u32 {
        self.cpu().map_or(1, |cpu| cpu.lanes).min(self.threads).max(1)
    }

    pub(super) fn state(&self, id: DeviceId) -> Option<&DeviceState> {
        self.devices.iter().find(|state| state.id == id)
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The job is large enough, or asks for a GPU by name: enumerate the GPUs and ask again.
    #[error("the gpus have to be enumerated first")]
    NeedsInventory,
    /// It asks for a device that is not there or not usable. The diagnosis is the caller's.
    #[error("no such device: {asked}")]
    NoDevice {
        /// What the job asked for.
        asked: DeviceChoice,
    },
    /// Its kernel has no GPU side, and it asks for one.
    #[error("`{kernel}` runs on the cpu only: leave out `--device {asked}` or use `--device cpu`")]
    Unsupported {
        /// The kernel.
        kernel: &'static str,
        /// What the job asked for.
        asked: DeviceChoice,
    },
    /// Not even its smallest chunk fits the device that it asks for.
    #[error(
        "the smallest chunk of this job, {chunk_bytes} bytes, does not fit {device}, which takes {limit_bytes}: use `--device cpu`"
    )]
    TooLarge {
        /// Which device.
        device: DeviceId,
        /// The smallest chunk.
        chunk_bytes: u64,
        /// What the device takes.
        limit_bytes: u64,
    },
}

/// What can be refused without weighing anything.
pub(super) fn refuse_early(request: &PlanRequest<'_>) -> Result<(), PlanError> {
    let wants_gpu = !matches!(request.policy, DeviceChoice::Auto | DeviceChoice::Cpu);
    if wants_gpu && !request.work.gpu {
        return Err(PlanError::Unsupported { kernel: request.work.kernel, asked: request.policy });
    }
    if wants_gpu && !request.inventory_known {
        return Err(PlanError::NeedsInventory);
    }
    let there = |state: &DeviceState| state.id != DeviceId::Cpu && state.unusable.is_none();
    let found = match request.policy {
        DeviceChoice::Auto | DeviceChoice::Cpu => true,
        DeviceChoice::Gpu | DeviceChoice::Split => request.devices.iter().any(there),
        DeviceChoice::GpuIndex(index) => request.state(DeviceId::Gpu(index)).is_some_and(there),
    };
    if found { Ok(()) } else { Err(PlanError::NoDevice { asked: request.policy }) }
}

/// Why none of the candidates could be taken.
pub(super) fn why_none(request: &PlanRequest<'_>) -> PlanError {
    let asked = |state: &&DeviceState| match request.policy {
        DeviceChoice::Cpu => state.id == DeviceId::Cpu,
        DeviceChoice::GpuIndex(index) => state.id == DeviceId::Gpu(index),
        _ => true,
    };
    let too_small = request.devices.iter().filter(asked).filter(|state| state.unusable.is_none());
    match too_small
        .filter_map(|state| smallest_chunk_misfit(request.work, state).map(|sizes| (state.id, sizes)))
        .next_back()
    {
        Some((device, (chunk_bytes, limit_bytes))) => PlanError::TooLarge { device, chunk_bytes, limit_bytes },
        None => PlanError::NoDevice { asked: request.policy },
    }
}

/// The bytes of the job's smallest chunk and of the device's largest, where the former does not fit.
pub(super) fn smallest_chunk_misfit(work: &Work, state: &DeviceState) -> Option<(u64, u64)> {
    let limit = state.max_chunk_bytes.min(state.memory_bytes.unwrap_or(u64::MAX));
    let granule = work.granularity.max(1).min(work.units);
    let bytes = granule as f64 * work.bytes_per_unit.max(0.0);
    (bytes > limit as f64).then_some((bytes as u64, limit))
}

/// Whether a GPU that nobody has looked for yet could be worth looking for.
pub(super) fn should_look_for_gpus(request: &PlanRequest<'_>, best_ms: f64) -> bool {
    let possible = request.policy == DeviceChoice::Auto && request.work.gpu && !request.inventory_known;
    possible && best_ms > INVENTORY_MS + SETUP_MS
}
