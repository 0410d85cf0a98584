//! What can fold a chunk: the CPU, GPUs, and a programmable double for tests.

mod cpu;
#[cfg_attr(not(feature = "gpu"), path = "gpu_absent.rs")]
pub mod gpu;
mod load;
mod memory;
mod null;
mod processor;
mod traits;

pub use cpu::CpuDevice;
pub use load::busy_cpus;
#[cfg(feature = "service")]
pub use memory::resident_bytes;
pub use memory::{free_memory_bytes, memory_use};
pub use null::{NullDevice, NullFault, NullSpec};
pub use traits::{ChunkDone, Device, DeviceError, DeviceId, DeviceInfo, DeviceKind, Phases};
