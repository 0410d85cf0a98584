//! A [`Kernel`] behind one type, for the engine: one erased call a chunk. Here partials also learn which units they
//! cover, so that a chunk merged twice or left out is an error and never an answer.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use crate::input::Source;
use crate::job::{Cause, JobError};
use crate::kernels::{FoldContext, GpuCaps, GpuWork, Kernel, Next, Work};

/// A pass of some kernel.
#[derive(Clone)]
pub struct DynPass(Arc<dyn Any + Send + Sync>);

impl std::fmt::Debug for DynPass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DynPass")
    }
}

/// A partial of some kernel, and the units that it covers.
pub struct DynPartial {
    value: Box<dyn Any + Send>,
    /// Disjoint, ascending, coalesced.
    covered: Vec<Range<u64>>,
}

impl DynPartial {
    /// The units that have been merged into this partial: disjoint, ascending, coalesced ranges.
    pub fn covered(&self) -> &[Range<u64>] {
        &self.covered
    }

    /// The kernel's own partial, to compare devices by.
    #[cfg(all(test, feature = "gpu"))]
    pub(crate) fn value<T: 'static>(&self) -> &T {
        self.value.downcast_ref().expect("a partial is of its kernel's type")
    }
}

impl std::fmt::Debug for DynPartial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynPartial").field("covered", &self.covered).finish_non_exhaustive()
    }
}

/// [`Kernel`] without its types. Implemented for every kernel; the engine and the devices see only this.
pub trait DynKernel: Send + Sync {
    /// See [`Kernel::work`].
    fn work(&self) -> Work;
    /// See [`Kernel::first_pass`].
    ///
    /// # Errors
    /// As there.
    fn first_pass(&self) -> Result<DynPass, JobError>;
    /// See [`Kernel::fold`].
    ///
    /// # Errors
    /// As there.
    fn fold(&self, pass: &DynPass, units: Range<u64>, context: &mut FoldContext<'_>) -> Result<DynPartial, JobError>;
    /// See [`Kernel::merge`].
    ///
    /// # Errors
    /// Where both cover the same unit: a fault of the caller, which must not become an answer.
    fn merge(&self, into: &mut DynPartial, from: DynPartial) -> Result<(), JobError>;
    /// See [`Kernel::next`].
    ///
    /// # Errors
    /// As there, and where `merged` does not cover every unit.
    fn next(&self, pass: &DynPass, merged: DynPartial) -> Result<Next<DynPass>, JobError>;
    /// See [`Kernel::gpu_work`].
    ///
    /// # Errors
    /// As there.
    fn gpu_work(&self, pass: &DynPass, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError>;
    /// See [`Kernel::gpu_partial`].
    ///
    /// # Errors
    /// As there.
    fn gpu_partial(&self, pass: &DynPass, units: Range<u64>, outputs: &[Vec<u32>]) -> Result<DynPartial, JobError>;
    /// See [`Kernel::prepare`].
    fn prepare(&self, _pass: &DynPass, _units: &Range<u64>, _is_wanted: &dyn Fn() -> bool) {}
    /// See [`Kernel::partial_bytes`].
    fn partial_bytes(&self) -> u64 {
        0
    }
    /// See [`Kernel::shared_bytes`].
    fn shared_bytes(&self) -> u64 {
        0
    }
    /// See [`Kernel::method`].
    fn method(&self) -> Option<&'static str> {
        None
    }
    /// See [`Kernel::other_way`].
    fn other_way(&self) -> Option<Arc<dyn DynKernel>> {
        None
    }
    /// See [`Kernel::cpu_only`].
    fn cpu_only(&self) -> Option<&'static str> {
        None
    }
    /// See [`Kernel::fuses`].
    fn fuses(&self) -> bool {
        false
    }
    /// These jobs as one: see [`Kernel::fuse`]. `None` also where some are of another type than this one, which need not be among them.
    fn fuse(&self, _jobs: &[Arc<dyn DynKernel>]) -> Option<Arc<dyn DynKernel>> {
        None
    }
    /// The kernel itself, where it is a [`Kernel`], for others of its type.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }
    /// See [`Kernel::inputs`].
    fn inputs(&self) -> Vec<Arc<dyn Source>>;
    /// See [`Kernel::check_inputs`].
    ///
    /// # Errors
    /// As there.
    fn check_inputs(&self) -> Result<(), JobError>;
}

fn pass_of<K: Kernel>(pass: &DynPass) -> &K::Pass {
    pass.0.downcast_ref().expect("a pass goes back to the kernel that made it")
}

fn partial_of<K: Kernel>(value: Box<dyn Any + Send>) -> K::Partial {
    *value.downcast().expect("a partial goes back to the kernel that made it")
}

fn cover(value: impl Any + Send, units: Range<u64>) -> DynPartial {
    let covered = if units.is_empty() { Vec::new() } else { vec![units] };
    DynPartial { value: Box::new(value), covered }
}

/// The union of two lists of disjoint ascending ranges, coalesced; `None` where they overlap.
fn union(a: &[Range<u64>], b: &[Range<u64>]) -> Option<Vec<Range<u64>>> {
    let mut all: Vec<Range<u64>> = a.iter().chain(b).cloned().collect();
    all.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(all.len());
    for range in all {
        match merged.last_mut() {
            Some(last) if range.start < last.end => return None,
            Some(last) if range.start == last.end => last.end = range.end,
            _ => merged.push(range),
        }
    }
    Some(merged)
}

fn fault(message: String) -> JobError {
    JobError::new(Cause::Panic, format!("{message}: this is a fault in tandem, please report it"))
}

impl<K: Kernel> DynKernel for K {
    fn work(&self) -> Work {
        Kernel::work(self)
    }

    fn first_pass(&self) -> Result<DynPass, JobError> {
        Ok(DynPass(Arc::new(Kernel::first_pass(self)?)))
    }

    fn fold(&self, pass: &DynPass, units: Range<u64>, context: &mut FoldContext<'_>) -> Result<DynPartial, JobError> {
        let value = Kernel::fold(self, pass_of::<K>(pass), units.clone(), context)?;
        Ok(cover(value, units))
    }

    fn merge(&self, into: &mut DynPartial, from: DynPartial) -> Result<(), JobError> {
        into.covered = union(&into.covered, &from.covered)
            .ok_or_else(|| fault(format!("units {:?} were merged into {:?}", from.covered, into.covered)))?;
        let target = into.value.downcast_mut().expect("a partial goes back to the kernel that made it");
        Kernel::merge(self, target, partial_of::<K>(from.value));
        Ok(())
    }

    fn next(&self, pass: &DynPass, merged: DynPartial) -> Result<Next<DynPass>, JobError> {
        let units = Kernel::work(self).units;
        let whole = match merged.covered.as_slice() {
            [] => units == 0,
            [range] => *range == (0..units),
            _ => false,
        };
        if !whole {
            return Err(fault(format!("a pass over {units} units ended with {:?}", merged.covered)));
        }
        Ok(match Kernel::next(self, pass_of::<K>(pass), partial_of::<K>(merged.value))? {
            Next::Pass(pass) => Next::Pass(DynPass(Arc::new(pass))),
            Next::Done(answer) => Next::Done(answer),
        })
    }

    fn gpu_work(&self, pass: &DynPass, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        Kernel::gpu_work(self, pass_of::<K>(pass), units, caps)
    }

    fn gpu_partial(&self, pass: &DynPass, units: Range<u64>, outputs: &[Vec<u32>]) -> Result<DynPartial, JobError> {
        let value = Kernel::gpu_partial(self, pass_of::<K>(pass), units.clone(), outputs)?;
        Ok(cover(value, units))
    }

    fn prepare(&self, pass: &DynPass, units: &Range<u64>, is_wanted: &dyn Fn() -> bool) {
        Kernel::prepare(self, pass_of::<K>(pass), units, is_wanted);
    }

    fn partial_bytes(&self) -> u64 {
        Kernel::partial_bytes(self)
    }

    fn shared_bytes(&self) -> u64 {
        Kernel::shared_bytes(self)
    }

    fn method(&self) -> Option<&'static str> {
        Kernel::method(self)
    }

    fn other_way(&self) -> Option<Arc<dyn DynKernel>> {
        Kernel::other_way(self)
    }

    fn cpu_only(&self) -> Option<&'static str> {
        Kernel::cpu_only(self)
    }

    fn fuses(&self) -> bool {
        Kernel::fuses(self)
    }

    fn fuse(&self, jobs: &[Arc<dyn DynKernel>]) -> Option<Arc<dyn DynKernel>> {
        let jobs: Option<Vec<&K>> = jobs.iter().map(|job| job.as_any()?.downcast_ref()).collect();
        K::fuse(&jobs?)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn inputs(&self) -> Vec<Arc<dyn Source>> {
        Kernel::inputs(self)
    }

    fn check_inputs(&self) -> Result<(), JobError> {
        Kernel::check_inputs(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one_and_overlaps_are_refused() {
        assert_eq!(union(&[0..2, 6..8], &[2..6]), Some(vec![0..8]));
        assert_eq!(union(&[4..5], &[0..1]), Some(vec![0..1, 4..5]));
        assert_eq!(union(&[0..3], &[2..4]), None);
        assert_eq!(union(&[0..3], &[0..3]), None);
        assert_eq!(union(&[], &[]), Some(vec![]));
    }
}
