//! The [`Device`] trait, and what a device says of itself.

use std::ops::Range;
use std::time::Duration;

use crate::input::Scratch;
use crate::job::JobError;
use crate::kernels::{DynKernel, DynPartial, DynPass};

/// Which device of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceId {
    /// The CPU, all its cores.
    Cpu,
    /// A GPU, by its index in the inventory.
    Gpu(u32),
}

impl std::fmt::Display for DeviceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(index) => write!(f, "gpu:{index}"),
        }
    }
}

/// What kind of hardware a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// The cores that tandem itself runs on.
    Cpu,
    /// A GPU with memory of its own.
    DiscreteGpu,
    /// A GPU that shares the machine's memory.
    IntegratedGpu,
    /// A GPU lent to a virtual machine.
    VirtualGpu,
    /// A GPU in name: a driver that runs shaders on the CPU.
    SoftwareGpu,
    /// Anything else that runs shaders.
    OtherGpu,
}

/// What is known of a device without running anything on it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    /// Which one it is.
    pub id: DeviceId,
    /// Its name, as its maker gives it.
    pub name: String,
    /// What kind of hardware it is.
    pub kind: DeviceKind,
    /// Its driver and backend, for people: `Vulkan, Mesa 22.3.6`; for the CPU its instruction set.
    pub driver: String,
    /// Under which its measurements are kept: changes when anything changes that could change its speed.
    pub fingerprint: String,
    /// How many chunks it folds at once: threads of the CPU, 1 for a GPU.
    pub lanes: u32,
    /// Its own memory in bytes, where known.
    pub memory_bytes: Option<u64>,
    /// The largest chunk of input that it takes, in bytes.
    pub max_chunk_bytes: u64,
    /// Limits that matter to people, as name and value.
    pub limits: Vec<(String, String)>,
}

impl DeviceInfo {
    /// Whether its "GPU" is the CPU in disguise.
    pub fn is_software(&self) -> bool {
        self.kind == DeviceKind::SoftwareGpu
    }
}

/// Where the time of a chunk, or of a job, went. What a device cannot tell apart counts as compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Opening the device, compiling shaders.
    pub setup: Duration,
    /// The part of `setup` that opened the device: zero where it was open already.
    pub opening: Duration,
    /// Moving input to the device.
    pub upload: Duration,
    /// Computing.
    pub compute: Duration,
    /// Moving results back.
    pub readback: Duration,
}

impl Phases {
    /// All of it; `opening` is within `setup`.
    pub fn total(&self) -> Duration {
        self.setup.saturating_add(self.upload).saturating_add(self.compute).saturating_add(self.readback)
    }

    /// This part of it, 0 to 1.
    pub(crate) fn part(&self, share: f64) -> Self {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        let [setup, opening, upload, compute, readback] =
            [self.setup, self.opening, self.upload, self.compute, self.readback].map(|time| time.mul_f64(share));
        Self { setup, opening, upload, compute, readback }
    }
}

impl std::ops::AddAssign for Phases {
    fn add_assign(&mut self, other: Self) {
        // Simulated devices may be slow beyond all bounds.
        let [setup, opening, upload, compute, readback] = [
            (self.setup, other.setup),
            (self.opening, other.opening),
            (self.upload, other.upload),
            (self.compute, other.compute),
            (self.readback, other.readback),
        ]
        .map(|(own, other)| own.saturating_add(other));
        *self = Self { setup, opening, upload, compute, readback };
    }
}

/// A chunk that was folded.
#[derive(Debug)]
pub struct ChunkDone {
    /// What it folded to.
    pub partial: DynPartial,
    /// Where its time went.
    pub phases: Phases,
    /// Whether its input lay on the device already, so that nothing was uploaded.
    pub resident: bool,
}

/// Why a device did not fold a chunk.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeviceError {
    /// The job's own fault: it would fail on any device.
    #[error("{0}")]
    Job(#[from] JobError),
    /// The device is gone, or can no longer be trusted: run the chunk elsewhere and set the device aside.
    #[error("device lost: {0}")]
    Lost(String),
    /// It lacks memory for this chunk; a smaller one may fit.
    #[error("out of device memory: {0}")]
    OutOfMemory(String),
    /// It cannot run this kernel; another device can.
    #[error("not supported on this device: {0}")]
    Unsupported(String),
}

/// Something that folds chunks.
///
/// Implementations catch the panics of what they drive (wgpu panics on some faults) and give them back as
/// [`DeviceError::Lost`]; a panic in a kernel's own `fold` is the engine's to catch.
pub trait Device: Send + Sync + std::fmt::Debug {
    /// What it is. Costs nothing.
    fn info(&self) -> &DeviceInfo;

    /// Whether it has been opened, so that using it has no set-up any more. Costs nothing.
    fn is_open(&self) -> bool;

    /// How many bytes of these sources, named by their [identity](crate::input::Source::identity), it holds, so that they
    /// need not be uploaded. Costs little and waits for no chunk.
    fn resident_bytes(&self, sources: &[u64]) -> u64;

    /// Forgets that it was lost, so that the next chunk opens it anew. Whether it could: not while it hangs in a call.
    fn try_again(&self) -> bool {
        false
    }

    /// Gives back what memory of its own it keeps for later chunks, since somebody else is about to use the device. Waits for no
    /// chunk: where one is being folded, nothing is given back.
    fn release_memory(&self) {}

    /// Folds the chunk `units` and waits for it. `lanes` calls may run at once.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn fold(
        &self,
        kernel: &dyn DynKernel,
        pass: &DynPass,
        units: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<ChunkDone, DeviceError>;
}
