//! Stands where the GPU room is, in a build without the feature `gpu`: no GPU is found, and the diagnosis says why.

use std::ops::Range;

use crate::device::{ChunkDone, Device, DeviceError, DeviceInfo};
use crate::input::Scratch;
use crate::kernels::{DynKernel, DynPass, Integers};

/// How to use a GPU; of no effect in this build.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpuOptions {
    /// The integers that shaders compute with.
    pub integers: Option<Integers>,
}

/// A list of GPUs that is always empty.
#[derive(Debug)]
pub struct Inventory(());

/// A GPU. This build cannot make one.
#[derive(Debug)]
pub enum GpuDevice {}

impl Device for GpuDevice {
    fn info(&self) -> &DeviceInfo {
        match *self {}
    }

    fn is_open(&self) -> bool {
        match *self {}
    }

    fn resident_bytes(&self, _: &[u64]) -> u64 {
        match *self {}
    }

    fn fold(&self, _: &dyn DynKernel, _: &DynPass, _: Range<u64>, _: &mut Scratch) -> Result<ChunkDone, DeviceError> {
        match *self {}
    }
}

impl Inventory {
    /// Looks nowhere.
    pub fn look() -> Self {
        Self(())
    }

    /// None.
    pub fn infos(&self) -> &[DeviceInfo] {
        &[]
    }

    /// None.
    pub fn usable(&self, _allow_software: bool) -> Vec<u32> {
        Vec::new()
    }

    /// None.
    pub fn device(&self, _index: u32, _options: &GpuOptions) -> Option<GpuDevice> {
        None
    }

    /// That this build has no GPU side, and how to get one.
    pub fn diagnosis(&self, _allow_software: bool) -> String {
        "no usable gpu\n  found: tandem was built without the feature `gpu`\n  to do: build it with `--features gpu`, or leave out \
         `--no-default-features`"
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_gpus_says_so() {
        let inventory = Inventory::look();
        assert!(inventory.infos().is_empty() && inventory.usable(true).is_empty());
        assert!(inventory.device(0, &GpuOptions::default()).is_none());
        assert!(inventory.diagnosis(true).contains("built without the feature `gpu`"));
    }
}
