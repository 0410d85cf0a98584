//! A kernel whose input no device remembers, so that each of its runs takes what a job with new data takes.

use std::ops::Range;
use std::sync::Arc;

use crate::input::{DType, Scratch, Source, Values};
use crate::job::JobError;
use crate::kernels::{DynKernel, DynPartial, DynPass, FoldContext, GpuCaps, GpuWork, Next, Work};

/// A source without an identity.
#[derive(Debug)]
struct Unknown(Arc<dyn Source>);

impl Source for Unknown {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn dtype(&self) -> DType {
        self.0.dtype()
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        self.0.read(range, scratch)
    }

    fn check(&self) -> Result<(), JobError> {
        self.0.check()
    }
}

/// The same elements, as a source that no device recognises.
pub(super) fn unknown(source: Arc<dyn Source>) -> Arc<dyn Source> {
    Arc::new(Unknown(source))
}

/// The same kernel over input that is new to every device with every run.
pub(super) struct Fresh(pub Arc<dyn DynKernel>);

impl DynKernel for Fresh {
    fn work(&self) -> Work {
        self.0.work()
    }

    fn first_pass(&self) -> Result<DynPass, JobError> {
        self.0.first_pass()
    }

    fn fold(&self, pass: &DynPass, units: Range<u64>, context: &mut FoldContext<'_>) -> Result<DynPartial, JobError> {
        self.0.fold(pass, units, context)
    }

    fn merge(&self, into: &mut DynPartial, from: DynPartial) -> Result<(), JobError> {
        self.0.merge(into, from)
    }

    fn next(&self, pass: &DynPass, merged: DynPartial) -> Result<Next<DynPass>, JobError> {
        self.0.next(pass, merged)
    }

    fn gpu_work(&self, pass: &DynPass, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        let work = self.0.gpu_work(pass, units, caps)?;
        Ok(work.map(|work| work.with_sources(|source| unknown(source.clone()))))
    }

    fn gpu_partial(&self, pass: &DynPass, units: Range<u64>, outputs: &[Vec<u32>]) -> Result<DynPartial, JobError> {
        self.0.gpu_partial(pass, units, outputs)
    }

    fn partial_bytes(&self) -> u64 {
        self.0.partial_bytes()
    }

    fn shared_bytes(&self) -> u64 {
        self.0.shared_bytes()
    }

    fn cpu_only(&self) -> Option<&'static str> {
        self.0.cpu_only()
    }

    fn inputs(&self) -> Vec<Arc<dyn Source>> {
        Vec::new()
    }

    fn check_inputs(&self) -> Result<(), JobError> {
        self.0.check_inputs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{BindContext, Sample, kind};

    #[test]
    fn no_device_can_recognise_its_input() {
        let sample = Sample { variant: "f32", units: 1000, seed: 1 };
        let kernel = (kind("stats").unwrap().sample)(&sample).bind(&BindContext::default()).unwrap().kernel().unwrap();
        let caps = GpuCaps::EXAMPLE;
        let identities = |kernel: &dyn DynKernel| -> Vec<bool> {
            let work = kernel.gpu_work(&kernel.first_pass().unwrap(), 0..1000, &caps).unwrap().unwrap();
            let inputs = work.steps().iter().filter_map(|step| step.input.as_ref());
            inputs.map(|input| input.source.identity().is_some()).collect()
        };
        assert_eq!(identities(&*kernel), [true]);
        let fresh = Fresh(kernel);
        assert_eq!(identities(&fresh), [false]);
        assert!(fresh.inputs().is_empty());
    }
}
