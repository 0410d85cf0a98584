//! A programmable double: folds on the CPU, so its partials are right, and says that it took what it was told to.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::device::{ChunkDone, Device, DeviceError, DeviceId, DeviceInfo, DeviceKind, Phases};
use crate::input::Scratch;
use crate::kernels::{DynKernel, DynPass, FoldContext, Isa};

/// What goes wrong on a [`NullDevice`], and when. Chunks are counted from 0, by when they begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NullFault {
    /// It is lost from this chunk on.
    LostAt(u64),
    /// It is lost at this chunk, and well again once somebody tries it again.
    LostOnceAt(u64),
    /// Its driver panics at this chunk, past every guard of the device's own.
    PanicAt(u64),
    /// Chunks of more units than this do not fit.
    OutOfMemoryAbove(u64),
    /// It can run nothing.
    Unsupported,
    /// From this chunk on it takes this many times as long.
    SlowFrom {
        /// The first slow chunk.
        chunk: u64,
        /// How many times as long.
        times: f64,
    },
}

/// What a [`NullDevice`] is: plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct NullSpec {
    /// Which device it plays.
    pub id: DeviceId,
    /// What kind of hardware it plays.
    pub kind: DeviceKind,
    /// How many chunks it folds at once.
    pub lanes: u32,
    /// What opening it takes: a part of its first chunk.
    pub setup: Duration,
    /// What preparing a kernel takes once it is open: a part of its first chunk, too.
    pub prepare: Duration,
    /// What each chunk takes besides its units.
    pub latency: Duration,
    /// Upload, a unit; 0 for a device that reads the host's memory.
    pub upload_ns_per_unit: f64,
    /// Computing, a unit.
    pub ns_per_unit: f64,
    /// Its memory.
    pub memory_bytes: Option<u64>,
    /// How many bytes of any job's input it says to hold already.
    pub resident_bytes: u64,
    /// The largest chunk of input that it takes, in bytes.
    pub max_chunk_bytes: u64,
    /// What goes wrong.
    pub faults: Vec<NullFault>,
    /// Whether a fold really takes as long as it says, by sleeping; else only the figures say so.
    pub sleeps: bool,
}

impl NullSpec {
    /// A flawless GPU of this index and speed, already open, with memory for everything.
    pub fn gpu(index: u32, ns_per_unit: f64) -> Self {
        Self {
            id: DeviceId::Gpu(index),
            kind: DeviceKind::DiscreteGpu,
            lanes: 1,
            setup: Duration::ZERO,
            prepare: Duration::ZERO,
            latency: Duration::ZERO,
            upload_ns_per_unit: 0.0,
            ns_per_unit,
            memory_bytes: None,
            resident_bytes: 0,
            max_chunk_bytes: u64::MAX,
            faults: Vec::new(),
            sleeps: false,
        }
    }

    /// What the chunk of this number and size takes: pure, so that a simulation can ask without folding anything.
    pub fn time_of(&self, units: u64, chunk: u64) -> Phases {
        let slow = |fault: &NullFault| match fault {
            NullFault::SlowFrom { chunk: from, times } if chunk >= *from => *times,
            _ => 1.0,
        };
        let times: f64 = self.faults.iter().map(slow).product();
        let nanos = |ns: f64| Duration::try_from_secs_f64(ns / 1e9).unwrap_or(Duration::MAX / 8);
        let (setup, opening) = if chunk == 0 { (self.setup + self.prepare, self.setup) } else { Default::default() };
        Phases {
            setup,
            opening,
            upload: nanos(units as f64 * self.upload_ns_per_unit),
            compute: nanos((units as f64 * self.ns_per_unit + self.latency.as_nanos() as f64) * times),
            readback: Duration::ZERO,
        }
    }

    /// What goes wrong with the chunk of this number and size, if anything.
    ///
    /// # Panics
    /// At the chunk of a [`NullFault::PanicAt`].
    pub fn fault_of(&self, units: u64, chunk: u64) -> Option<DeviceError> {
        self.faults.iter().find_map(|fault| match *fault {
            NullFault::LostAt(from) if chunk >= from => {
                Some(DeviceError::Lost(format!("as it was told to be, at chunk {from}")))
            }
            NullFault::LostOnceAt(at) if chunk == at => {
                Some(DeviceError::Lost(format!("as it was told to be, once, at chunk {at}")))
            }
            NullFault::PanicAt(at) if chunk == at => panic!("the driver panics, as it was told to, at chunk {at}"),
            NullFault::OutOfMemoryAbove(most) if units > most => {
                Some(DeviceError::OutOfMemory(format!("{units} units, where {most} fit")))
            }
            NullFault::Unsupported => Some(DeviceError::Unsupported("it was told to run nothing".to_owned())),
            _ => None,
        })
    }
}

/// A device that does as its [`NullSpec`] says.
#[derive(Debug)]
pub struct NullDevice {
    info: DeviceInfo,
    spec: NullSpec,
    /// Chunks begun.
    begun: AtomicU64,
    lost: AtomicBool,
}

impl NullDevice {
    /// A device like this.
    pub fn new(spec: NullSpec) -> Self {
        let info = DeviceInfo {
            id: spec.id,
            name: format!("null {}", spec.id),
            kind: spec.kind,
            driver: "null".to_owned(),
            fingerprint: format!("null {} {} ns a unit", spec.id, spec.ns_per_unit),
            lanes: spec.lanes.max(1),
            memory_bytes: spec.memory_bytes,
            max_chunk_bytes: spec.max_chunk_bytes,
            limits: Vec::new(),
        };
        Self { info, spec, begun: AtomicU64::new(0), lost: AtomicBool::new(false) }
    }

    /// How many chunks were begun on it.
    pub fn chunks_begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }
}

impl Device for NullDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn is_open(&self) -> bool {
        let opened = self.spec.setup.is_zero() || self.chunks_begun() > 0;
        opened && !self.lost.load(Ordering::Relaxed)
    }

    fn try_again(&self) -> bool {
        self.lost.store(false, Ordering::Relaxed);
        true
    }

    fn resident_bytes(&self, _: &[u64]) -> u64 {
        self.spec.resident_bytes
    }

    fn fold(
        &self,
        kernel: &dyn DynKernel,
        pass: &DynPass,
        units: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<ChunkDone, DeviceError> {
        let start = Instant::now();
        let chunk = self.begun.fetch_add(1, Ordering::Relaxed);
        let count = units.end.saturating_sub(units.start);
        if self.lost.load(Ordering::Relaxed) {
            return Err(DeviceError::Lost("it was lost before".to_owned()));
        }
        if let Some(error) = self.spec.fault_of(count, chunk) {
            if matches!(error, DeviceError::Lost(_)) {
                self.lost.store(true, Ordering::Relaxed);
            }
            return Err(error);
        }
        let phases = self.spec.time_of(count, chunk);
        let partial = kernel.fold(pass, units, &mut FoldContext { isa: Isa::Portable, scratch })?;
        if self.spec.sleeps {
            std::thread::sleep(phases.total().saturating_sub(start.elapsed()));
        }
        Ok(ChunkDone { partial, phases, resident: self.spec.upload_ns_per_unit == 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_what_it_was_told_to() {
        let spec = NullSpec {
            setup: Duration::from_millis(200),
            prepare: Duration::from_millis(30),
            latency: Duration::from_micros(50),
            upload_ns_per_unit: 2.0,
            faults: vec![NullFault::SlowFrom { chunk: 3, times: 10.0 }],
            ..NullSpec::gpu(0, 1.0)
        };
        let first = spec.time_of(1_000_000, 0);
        assert_eq!((first.setup, first.opening), (Duration::from_millis(230), Duration::from_millis(200)));
        assert_eq!(first.upload, Duration::from_millis(2));
        assert_eq!(first.compute, Duration::from_micros(1050));
        assert_eq!(spec.time_of(1_000_000, 1).setup, Duration::ZERO);
        assert_eq!(spec.time_of(1_000_000, 3).compute, Duration::from_micros(10_500));
        assert!(spec.time_of(u64::MAX, 1).total() > Duration::from_secs(1), "no overflow");
    }

    #[test]
    fn it_fails_as_it_was_told_to() {
        let faults = vec![NullFault::OutOfMemoryAbove(10), NullFault::LostAt(2)];
        let spec = NullSpec { faults, ..NullSpec::gpu(0, 1.0) };
        assert!(spec.fault_of(10, 0).is_none());
        assert!(matches!(spec.fault_of(11, 0), Some(DeviceError::OutOfMemory(_))));
        assert!(matches!(spec.fault_of(1, 2), Some(DeviceError::Lost(_))));
        let spec = NullSpec { faults: vec![NullFault::PanicAt(1)], ..NullSpec::gpu(0, 1.0) };
        assert!(spec.fault_of(1, 0).is_none());
        assert!(std::panic::catch_unwind(|| spec.fault_of(1, 1)).is_err());
        let spec = NullSpec { faults: vec![NullFault::Unsupported], ..NullSpec::gpu(0, 1.0) };
        assert!(matches!(spec.fault_of(1, 0), Some(DeviceError::Unsupported(_))));
    }
}
