//! The GPU side of both kernels of primes.

use std::ops::Range;

use crate::job::{Cause, JobError};
use crate::kernels::primes::{NumbersKernel, PrimesPartial, RangeKernel, RangePass};
use crate::kernels::{GpuCaps, GpuWork, Shader};

/// Whether lists of numbers have a GPU side.
pub(super) const NUMBERS: bool = false;
/// Whether ranges have one.
pub(super) const RANGE: bool = false;

/// Every shader of this kind.
pub(super) fn shaders() -> Vec<Shader> {
    Vec::new()
}

/// How a GPU tests the numbers `units`.
pub(super) fn numbers_work(_: &NumbersKernel, _: Range<u64>, _: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
    Ok(None)
}

/// What it found.
pub(super) fn numbers_partial(_: &NumbersKernel, units: Range<u64>, _: &[Vec<u32>]) -> Result<PrimesPartial, JobError> {
    Err(no_work(&units))
}

/// How a GPU sieves the words `units` of a range.
pub(super) fn range_work(
    _: &RangeKernel,
    _: &RangePass,
    _: Range<u64>,
    _: &GpuCaps,
) -> Result<Option<GpuWork>, JobError> {
    Ok(None)
}

/// What it found.
pub(super) fn range_partial(
    _: &RangeKernel,
    _: &RangePass,
    units: Range<u64>,
    _: &[Vec<u32>],
) -> Result<PrimesPartial, JobError> {
    Err(no_work(&units))
}

fn no_work(units: &Range<u64>) -> JobError {
    JobError::new(Cause::Unsupported, format!("primes: no GPU was given the units {units:?}"))
}
