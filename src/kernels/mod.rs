//! The kernels and their registry. One folder a kernel: what it is, its CPU side, its GPU side.

pub mod corr;
pub mod primes;
pub mod stats;

mod answer;
mod answers;
mod erased;
mod fields;
mod gpu_work;
mod kernel;
mod on_isa;
mod output_file;
mod registry;

pub use answer::Answer;
pub use answers::Answers;
pub use erased::{DynKernel, DynPartial, DynPass};
pub use gpu_work::{Dispatch, GpuCaps, GpuInput, GpuStep, GpuWork, Integers, MAX_LOOP_TRIPS, Shader};
pub use kernel::{FoldContext, Isa, Kernel, Next, Work};
pub use registry::KERNELS;
