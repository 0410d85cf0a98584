//! The CPU side: one chunk of one column, on one thread.
//!
//! The chunk is taken in blocks that stay in a core's cache, so that gathering moments, digits and bins together costs one
//! trip through memory.

use std::ops::Range;

use crate::input::DType;
use crate::job::{Cause, JobError};
use crate::kernels::FoldContext;
use crate::kernels::stats::binning::Binning;
use crate::kernels::stats::counting::Counting;
use crate::kernels::stats::moments::{Gather, Gathering};
use crate::kernels::stats::{Column, ColumnPartial, ColumnPass, StatsKernel};

/// Elements a block.
const BLOCK: u64 = 1 << 15;

/// Folds the rows `units` of a column into `partial`.
pub(super) fn column(
    kernel: &StatsKernel,
    column: &Column,
    pass: &ColumnPass,
    units: Range<u64>,
    context: &mut FoldContext<'_>,
    partial: &mut ColumnPartial,
) -> Result<(), JobError> {
    let task = Task { kernel, column, pass, units };
    match kernel.layout().dtype {
        DType::F32 => task.run::<f32>(context, partial),
        DType::F64 => task.run::<f64>(context, partial),
        DType::I32 => task.run::<i32>(context, partial),
        DType::I64 => task.run::<i64>(context, partial),
        DType::U32 => task.run::<u32>(context, partial),
        DType::U64 => task.run::<u64>(context, partial),
        DType::I8 | DType::I16 | DType::U8 | DType::U16 => unreachable!("there is no layout of these types"),
    }
}

struct Task<'a> {
    kernel: &'a StatsKernel,
    column: &'a Column,
    pass: &'a ColumnPass,
    units: Range<u64>,
}

impl Task<'_> {
    fn run<T: Gather>(self, context: &mut FoldContext<'_>, partial: &mut ColumnPartial) -> Result<(), JobError> {
        let source = &self.column.source;
        let missing = self.kernel.missing_keys();
        let mut gathering = partial.moments.as_mut().map(|moments| Gathering::<T>::new(context.isa, missing, moments));
        let mut counting = self
            .pass
            .digits
            .as_ref()
            .map(|digits| Counting::<T>::new(context.isa, digits, missing, &mut partial.digits));
        let mut binning = self.pass.bins.as_ref().map(|bins| {
            let len = self.units.end - self.units.start;
            Binning::<T>::new(context.isa, bins, missing, len, &mut partial.bins)
        });
        let mut start = self.units.start;
        while start < self.units.end {
            let end = self.units.end.min(start + BLOCK);
            let values = source.read(start..end, context.scratch)?;
            let block = T::unwrap(&values).filter(|block| block.len() as u64 == end - start).ok_or_else(|| {
                JobError::new(
                    Cause::Io,
                    format!(
                        "{}: asked for {} elements of {}, its reader gave {} of {}",
                        source.name(),
                        end - start,
                        T::DTYPE,
                        values.len(),
                        values.dtype()
                    ),
                )
            })?;
            if let Some(gathering) = &mut gathering {
                gathering.add(block);
            }
            if let Some(counting) = &mut counting {
                counting.add(block);
            }
            if let Some(binning) = &mut binning {
                binning.add(block);
            }
            start = end;
        }
        if let Some(gathering) = gathering {
            gathering.finish();
        }
        if let Some(counting) = counting {
            counting.finish();
        }
        if let Some(binning) = binning {
            binning.finish();
        }
        Ok(())
    }
}
