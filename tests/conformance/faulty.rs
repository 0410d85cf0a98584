//! Kernels with a fault on purpose, for the negative controls. Each behaves as the kernel inside but for its fault.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tandem::input::{Scratch, Source};
use tandem::job::JobError;
use tandem::kernels::{DynKernel, DynPartial, DynPass, FoldContext, GpuCaps, GpuWork, Isa, Kernel, Next, Work};

/// A kernel whose partials are tampered with wherever they cover unit 0.
pub struct Tampered<K: Kernel> {
    pub inner: K,
    pub tamper: fn(&mut K::Partial),
}

impl<K: Kernel> Kernel for Tampered<K> {
    type Pass = K::Pass;
    type Partial = K::Partial;

    fn work(&self) -> Work {
        self.inner.work()
    }

    fn first_pass(&self) -> Result<K::Pass, JobError> {
        self.inner.first_pass()
    }

    fn fold(&self, pass: &K::Pass, units: Range<u64>, context: &mut FoldContext<'_>) -> Result<K::Partial, JobError> {
        let mut partial = self.inner.fold(pass, units.clone(), context)?;
        if units.contains(&0) {
            (self.tamper)(&mut partial);
        }
        Ok(partial)
    }

    fn merge(&self, into: &mut K::Partial, from: K::Partial) {
        self.inner.merge(into, from);
    }

    fn next(&self, pass: &K::Pass, merged: K::Partial) -> Result<Next<K::Pass>, JobError> {
        self.inner.next(pass, merged)
    }

    fn gpu_work(&self, pass: &K::Pass, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        self.inner.gpu_work(pass, units, caps)
    }

    fn gpu_partial(&self, pass: &K::Pass, units: Range<u64>, outputs: &[Vec<u32>]) -> Result<K::Partial, JobError> {
        self.inner.gpu_partial(pass, units, outputs)
    }

    fn inputs(&self) -> Vec<Arc<dyn Source>> {
        self.inner.inputs()
    }

    fn check_inputs(&self) -> Result<(), JobError> {
        self.inner.check_inputs()
    }
}

/// What goes wrong on a GPU, in one pass.
#[derive(Clone, Copy, Debug)]
pub enum GpuFault {
    /// This bit of this word of all that its steps wrote comes back flipped; words past the end count from the start.
    FlippedBit { word: u64, bit: u32 },
    /// This dispatch is not run; numbers past the last count from the first.
    LostDispatch(u64),
}

/// A kernel of which a GPU folds one chunk wrongly.
///
/// Where the kernel itself sees that what came back is nonsense, the chunk is folded by the CPU and the fault counts as seen:
/// else the device would be set aside, for every test that shares it.
pub struct FaultyOnGpu {
    pub inner: Arc<dyn DynKernel>,
    pub fault: GpuFault,
    /// The pass in which it goes wrong, from 0.
    pub fault_pass: u64,
    /// How often the kernel saw the fault.
    pub seen: AtomicU64,
    /// How many words came back, or how many dispatches there were.
    pub places: AtomicU64,
    /// How many passes are over.
    pub passes: AtomicU64,
}

impl FaultyOnGpu {
    pub fn new(inner: Arc<dyn DynKernel>, fault: GpuFault, fault_pass: u64) -> Self {
        let zero = || AtomicU64::new(0);
        Self { inner, fault, fault_pass, seen: zero(), places: zero(), passes: zero() }
    }

    fn in_fault_pass(&self) -> bool {
        self.passes.load(Ordering::Relaxed) == self.fault_pass
    }
}

impl DynKernel for FaultyOnGpu {
    fn work(&self) -> Work {
        self.inner.work()
    }

    fn first_pass(&self) -> Result<DynPass, JobError> {
        self.passes.store(0, Ordering::Relaxed);
        self.inner.first_pass()
    }

    fn fold(&self, pass: &DynPass, units: Range<u64>, context: &mut FoldContext<'_>) -> Result<DynPartial, JobError> {
        self.inner.fold(pass, units, context)
    }

    fn merge(&self, into: &mut DynPartial, from: DynPartial) -> Result<(), JobError> {
        self.inner.merge(into, from)
    }

    fn next(&self, pass: &DynPass, merged: DynPartial) -> Result<Next<DynPass>, JobError> {
        self.passes.fetch_add(1, Ordering::Relaxed);
        self.inner.next(pass, merged)
    }

    fn gpu_work(&self, pass: &DynPass, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        let work = self.inner.gpu_work(pass, units, caps)?;
        if let (Some(work), GpuFault::LostDispatch(lost), true) = (&work, self.fault, self.in_fault_pass()) {
            let mut steps = work.steps().to_vec();
            let count: u64 = steps.iter().map(|step| step.dispatches.len() as u64).sum();
            self.places.store(count, Ordering::Relaxed);
            let mut left = lost % count;
            for step in &mut steps {
                if left < step.dispatches.len() as u64 {
                    // With no workgroup, a dispatch does nothing.
                    step.dispatches[left as usize].workgroups = 0;
                    break;
                }
                left -= step.dispatches.len() as u64;
            }
            return Ok(Some(GpuWork::new(steps)));
        }
        Ok(work)
    }

    fn gpu_partial(&self, pass: &DynPass, units: Range<u64>, outputs: &[Vec<u32>]) -> Result<DynPartial, JobError> {
        let mut outputs = outputs.to_vec();
        if let (GpuFault::FlippedBit { word, bit }, true) = (self.fault, self.in_fault_pass()) {
            let count: u64 = outputs.iter().map(|output| output.len() as u64).sum();
            self.places.store(count, Ordering::Relaxed);
            let at = outputs.iter_mut().flatten().nth((word % count) as usize).expect("it is within");
            *at ^= 1 << bit;
        }
        self.inner.gpu_partial(pass, units.clone(), &outputs).or_else(|_| {
            self.seen.fetch_add(1, Ordering::Relaxed);
            let mut context = FoldContext { isa: Isa::Portable, scratch: &mut Scratch::default() };
            self.inner.fold(pass, units, &mut context)
        })
    }

    fn inputs(&self) -> Vec<Arc<dyn Source>> {
        self.inner.inputs()
    }

    fn check_inputs(&self) -> Result<(), JobError> {
        self.inner.check_inputs()
    }
}
