//! What can fold a chunk: the CPU, GPUs, and a programmable double for tests.

mod cpu;
mod traits;

pub use cpu::CpuDevice;
pub use traits::{ChunkDone, Device, DeviceError, DeviceId, DeviceInfo, DeviceKind, Phases};
