//! The CPU as a device: one call folds one chunk on the calling thread.

use std::ops::Range;
use std::time::Instant;

use crate::device::{ChunkDone, Device, DeviceError, DeviceId, DeviceInfo, DeviceKind, Phases, processor};
use crate::input::Scratch;
use crate::kernels::primes::instructions_of_lists;
use crate::kernels::{DynKernel, DynPass, FoldContext, Isa};

/// The cores of this machine, as many as the run may use.
#[derive(Debug)]
pub struct CpuDevice {
    info: DeviceInfo,
    isa: Isa,
}

impl CpuDevice {
    /// The CPU with this many threads and the widest instruction set it has.
    pub fn new(threads: u32) -> Self {
        Self::with_isa(threads, Isa::detect())
    }

    /// The CPU held to an instruction set, which the machine must have: for tests and comparisons.
    pub fn with_isa(threads: u32, isa: Isa) -> Self {
        assert!(isa <= Isa::detect(), "this machine has no {}", isa.name());
        let name = processor::brand();
        let memory_bytes = processor::memory_bytes();
        let mut limits = vec![
            ("architecture".to_owned(), std::env::consts::ARCH.to_owned()),
            ("instructions".to_owned(), isa.name().to_owned()),
            ("of prime lists".to_owned(), instructions_of_lists(isa).to_owned()),
        ];
        if let Some(bytes) = memory_bytes {
            limits.push(("memory".to_owned(), crate::report::figures::bytes(bytes)));
        }
        let info = DeviceInfo {
            id: DeviceId::Cpu,
            fingerprint: format!("cpu {} {name} {} v{}", std::env::consts::ARCH, isa.name(), env!("CARGO_PKG_VERSION")),
            name,
            kind: DeviceKind::Cpu,
            driver: isa.name().to_owned(),
            lanes: threads,
            memory_bytes,
            max_chunk_bytes: u64::MAX,
            limits,
        };
        Self { info, isa }
    }
}

impl Device for CpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn is_open(&self) -> bool {
        true
    }

    fn resident_bytes(&self, _: &[u64]) -> u64 {
        0
    }

    fn fold(
        &self,
        kernel: &dyn DynKernel,
        pass: &DynPass,
        units: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<ChunkDone, DeviceError> {
        let start = Instant::now();
        let partial = kernel.fold(pass, units, &mut FoldContext { isa: self.isa, scratch })?;
        let phases = Phases { compute: start.elapsed(), ..Phases::default() };
        Ok(ChunkDone { partial, phases, resident: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_are_kept_under_the_processor_and_its_instructions() {
        let cpu = CpuDevice::with_isa(3, Isa::Portable);
        let info = cpu.info();
        assert!(info.fingerprint.contains(&processor::brand()), "{}", info.fingerprint);
        assert!(info.fingerprint.contains(" portable "), "{}", info.fingerprint);
        assert_eq!((info.lanes, info.name.clone()), (3, processor::brand()));
    }

    #[test]
    fn the_instructions_of_prime_lists_are_named_which_may_be_more_or_fewer_than_its_own() {
        let named = |isa| {
            let cpu = CpuDevice::with_isa(1, isa);
            let found = cpu.info().limits.iter().find(|(name, _)| name == "of prime lists");
            found.map(|(_, value)| value.clone()).expect("they are named")
        };
        assert_eq!(named(Isa::Portable), "portable");
        let widest = named(Isa::detect());
        match Isa::detect() {
            Isa::Portable => assert_eq!(widest, "portable"),
            Isa::Avx2 => assert_eq!(widest, "avx2"),
            Isa::Avx512 => assert!(["avx512 ifma", "avx2"].contains(&widest.as_str()), "{widest}"),
        }
    }
}
