//! GPUs through wgpu: the only place that names it.
//!
//! [`Inventory::look`] lists adapters without opening one; a [`GpuDevice`] opens its adapter with the first chunk that it
//! folds.

mod buffers;
mod clock;
mod copying;
mod device;
mod diagnosis;
mod faults;
mod inventory;
mod modules;
mod readback;
mod residency;
mod session;
mod staging;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod waiting;

pub use device::GpuDevice;
pub use inventory::{GpuOptions, Inventory};

#[cfg(test)]
pub(crate) use testing::assert_same_on_gpu;
