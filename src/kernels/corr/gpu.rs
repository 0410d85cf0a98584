use std::ops::Range;
use crate::job::JobError;
use crate::kernels::corr::{CorrKernel, CorrPartial, CorrPass};
use crate::kernels::{GpuCaps, GpuWork, Shader};
pub(super) fn shaders() -> Vec<Shader> { Vec::new() }
pub(super) fn work(_: &CorrKernel, _: &CorrPass, _: Range<u64>, _: &GpuCaps) -> Result<Option<GpuWork>, JobError> { Ok(None) }
pub(super) fn partial(_: &CorrKernel, _: &CorrPass, _: Range<u64>, _: &[Vec<u32>]) -> Result<CorrPartial, JobError> { unreachable!() }
