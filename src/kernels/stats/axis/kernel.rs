//! The kernel: an array, and the axes along which its statistics go.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::input::{DType, Shape, Source};
use crate::job::JobError;
use crate::kernels::stats::axis::answer::{AxisAnswer, CELL_BYTES, Cells};
use crate::kernels::stats::axis::axes::{Axis, Span, resolve, spans};
use crate::kernels::stats::axis::cell::Cell;
use crate::kernels::stats::axis::lanes::{Cellular, Setting};
use crate::kernels::stats::axis::output;
use crate::kernels::stats::axis::walk::{DECODED_CELL_BYTES, TILE_CELLS, Walk};
use crate::kernels::stats::kernel::{missing_keys, unsupported};
use crate::kernels::stats::{Layout, StatsRequest};
use crate::kernels::{FoldContext, Isa, Kernel, Next, Work};

/// Statistics along axes of an array.
#[derive(Clone, Debug)]
pub struct AxisKernel {
    source: Arc<dyn Source>,
    shape: Shape,
    axes: Vec<usize>,
    layout: Layout,
    missing: Option<(u64, u64)>,
    ddof: u32,
    output: Option<PathBuf>,
    spans: Vec<Span>,
    units: Units,
    /// What the unfinished cells of a thread may take where the input is decoded block by block.
    most_unfinished_bytes: u64,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Units {
    /// A step of this span, which is kept: so many cells, finished where they are folded.
    Cells { span: usize, each: u64 },
    /// A step of the first span, which goes through all cells.
    Steps,
}

/// What a chunk folds to.
#[derive(Clone, Debug)]
pub struct AxisPartial(Gathered);

#[derive(Clone, Debug)]
enum Gathered {
    Unfinished(Vec<Cell>),
    Finished(Cells),
}

/// So many cells are enough to cut between them, and not between the elements of each.
const MANY_CELLS: u64 = 8 * TILE_CELLS as u64;

/// Bytes that go with an unfinished cell: its own, those of what is added up before, and of a block where whole rows are decoded.
const UNFINISHED_BYTES: u64 = (size_of::<Cell>() + 256 + DECODED_CELL_BYTES) as u64;

/// Where the unfinished cells of a thread would take more than this, they are done part by part, though each part decodes anew what
/// it shares with others.
const MOST_UNFINISHED_BYTES: u64 = 512 << 20;

impl Units {
    /// Those of an array of these spans.
    fn of(spans: &[Span], is_scattered_cheap: bool, most_unfinished_bytes: u64) -> Self {
        let unfinished_bytes = cells_of(spans).saturating_mul(UNFINISHED_BYTES);
        match spans {
            [] => Self::Cells { span: 0, each: 1 },
            [first, rest @ ..] if !first.reduced => Self::Cells { span: 0, each: cells_of(rest) },
            [_, second, rest @ ..]
                if is_scattered_cheap && second.len >= MANY_CELLS || unfinished_bytes > most_unfinished_bytes =>
            {
                Self::Cells { span: 1, each: cells_of(rest) }
            }
            _ => Self::Steps,
        }
    }
}

/// How many steps of `units` are folded together, each of which takes `ns` a cell: so many that beginning all cells and merging them does
/// not take longer than the steps themselves, but no more than leave four chunks.
fn steps_at_least(units: u64, ns: f64) -> u64 {
    const BEGIN_AND_MERGE_NS: f64 = 600.0;
    ((BEGIN_AND_MERGE_NS / ns).ceil() as u64).clamp(1, units.div_ceil(4).max(1))
}

/// How many cells there are along these spans.
fn cells_of(spans: &[Span]) -> u64 {
    spans.iter().filter(|span| !span.reduced).map(|span| span.len).product()
}

impl AxisKernel {
    /// The job over an array: its elements, in the order of storage, and its shape.
    ///
    /// # Errors
    /// Where there is no such axis, the type of the elements is not supported, or none can equal the number that stands for a missing
    /// value.
    pub fn new(source: Arc<dyn Source>, shape: Shape, axes: &[Axis], request: &StatsRequest) -> Result<Self, JobError> {
        let layout = Layout::of(source.dtype()).ok_or_else(|| unsupported(source.name(), source.dtype()))?;
        let missing = missing_keys(&layout, request, source.name())?;
        let axes = resolve(source.name(), axes, &shape)?;
        let spans = spans(&shape, &axes);
        let most_unfinished_bytes = MOST_UNFINISHED_BYTES;
        let units = Units::of(&spans, source.is_scattered_cheap(), most_unfinished_bytes);
        let ddof = request.ddof;
        Ok(Self { source, shape, axes, layout, missing, ddof, output: None, spans, units, most_unfinished_bytes })
    }

    /// The same job, whose answer is written to a file.
    #[must_use]
    pub fn writing_to(mut self, output: Option<PathBuf>) -> Self {
        self.output = output;
        self
    }

    /// The same job, where the unfinished cells of a thread take this many bytes at most, and not 512 MiB, of an input that is decoded
    /// block by block: cells beyond that are done part by part. The answer is the same; small inputs are tested so.
    #[must_use]
    pub fn with_unfinished_at_most(mut self, bytes: u64) -> Self {
        self.units = Units::of(&self.spans, self.source.is_scattered_cheap(), bytes);
        self.most_unfinished_bytes = bytes;
        self
    }

    /// Runs the whole job on the calling thread.
    ///
    /// # Errors
    /// Where the input cannot be read.
    pub fn answer_here(&self) -> Result<AxisAnswer, JobError> {
        let mut scratch = crate::input::Scratch::default();
        let mut context = FoldContext { isa: Isa::detect(), scratch: &mut scratch };
        let partial = self.fold(&(), 0..self.work().units, &mut context)?;
        self.check_inputs()?;
        Ok(self.answer(partial))
    }

    /// How many cells there are.
    pub fn cells(&self) -> u64 {
        cells_of(&self.spans)
    }

    /// How many elements a cell is about.
    fn elements(&self) -> u64 {
        self.axes.iter().map(|axis| self.shape.axes[*axis]).product()
    }

    /// How many units are folded at a time where cells are finished where they are folded: of few cells, or of as many as a walk
    /// through an input that is decoded in blocks is worth. A unit at least.
    fn units_at_once(&self, each: u64) -> u64 {
        let cells = if self.source.is_scattered_cheap() {
            16 * TILE_CELLS as u64
        } else {
            self.most_unfinished_bytes / UNFINISHED_BYTES
        };
        let most = (cells / each.max(1)).max(1);
        // Parts of about the same size.
        let units = self.units().max(1);
        units.div_ceil(units.div_ceil(most))
    }

    fn units(&self) -> u64 {
        match self.units {
            Units::Cells { span, .. } => self.spans.get(span).map_or(1, |span| span.len),
            Units::Steps => self.spans[0].len,
        }
    }

    /// The cells that these units are about, unfinished.
    fn gather(&self, units: Range<u64>, count: u64, context: &mut FoldContext<'_>) -> Result<Vec<Cell>, JobError> {
        let mut cells = vec![Cell::default(); count as usize];
        match self.layout.dtype {
            DType::F32 => self.walk::<f32>(units, &mut cells, context)?,
            DType::F64 => self.walk::<f64>(units, &mut cells, context)?,
            DType::I32 => self.walk::<i32>(units, &mut cells, context)?,
            DType::I64 => self.walk::<i64>(units, &mut cells, context)?,
            DType::U32 => self.walk::<u32>(units, &mut cells, context)?,
            DType::U64 => self.walk::<u64>(units, &mut cells, context)?,
            DType::I8 | DType::I16 | DType::U8 | DType::U16 => unreachable!("there is no layout of these types"),
        }
        Ok(cells)
    }

    fn walk<T: Cellular + Default>(
        &self,
        units: Range<u64>,
        cells: &mut [Cell],
        context: &mut FoldContext<'_>,
    ) -> Result<(), JobError> {
        let setting = Setting { isa: context.isa.min(Isa::detect()), layout: self.layout, missing: self.missing };
        let (source, spans, scratch) = (&*self.source, self.spans.as_slice(), &mut *context.scratch);
        let walk = Walk::<T> { source, spans, setting, scratch, cells, buffer: Vec::new() };
        let limited = if let Units::Cells { span, .. } = self.units { span } else { 0 };
        walk.run(limited, units)
    }

    pub(super) fn answer(&self, merged: AxisPartial) -> AxisAnswer {
        let mut cells = match merged.0 {
            Gathered::Finished(cells) => cells,
            Gathered::Unfinished(cells) => Cells::of(0, cells, &self.layout, self.ddof),
        };
        cells.sort();
        let left = |axis: &usize| !self.axes.contains(axis);
        let left: Vec<usize> = (0..self.shape.axes.len()).filter(left).collect();
        AxisAnswer {
            dtype: self.layout.dtype,
            axes: self.axes.clone(),
            shape: left.iter().map(|axis| self.shape.axes[*axis]).collect(),
            dimensions: (self.shape.dimensions.as_ref())
                .map(|names| left.iter().map(|axis| names[*axis].clone()).collect()),
            elements: self.elements(),
            ddof: self.ddof,
            written_to: None,
            fortran_order: self.shape.fortran_order,
            cells,
        }
    }
}

impl Kernel for AxisKernel {
    type Pass = ();
    type Partial = AxisPartial;

    fn work(&self) -> Work {
        let units = self.units();
        let elements_per_unit = self.source.len() as f64 / units.max(1) as f64;
        let mut variant = format!("{} axis", self.layout.dtype);
        // One thread of a machine of 2023.
        let mut ns = match self.layout.dtype {
            DType::F32 => 0.8,
            DType::F64 => 1.2,
            _ => 2.0,
        };
        let decoding_ns = self.source.decoding_ns();
        if decoding_ns > 0.0 {
            variant.push_str(" decoded");
            ns += decoding_ns;
        }
        let (bytes_out_per_unit, granularity) = match self.units {
            Units::Cells { span, each } => {
                let granularity = match (span, self.source.is_scattered_cheap()) {
                    (0, _) => 1,
                    (_, true) => (TILE_CELLS as u64 / each.max(1)).max(1),
                    (_, false) => self.units_at_once(each),
                };
                (each as f64 * CELL_BYTES as f64, granularity)
            }
            Units::Steps => (0.0, steps_at_least(units, elements_per_unit / self.cells().max(1) as f64 * ns)),
        };
        const FINISH_NS: f64 = 250.0;
        let finish_ns = FINISH_NS * bytes_out_per_unit / CELL_BYTES as f64;
        Work {
            kernel: "stats",
            variant,
            units,
            granularity,
            bytes_per_unit: elements_per_unit * self.layout.dtype.size_bytes() as f64,
            bytes_out_per_unit,
            prior_ns_per_unit: elements_per_unit * ns + finish_ns,
            passes: 1,
            gpu: false,
        }
    }

    fn cpu_only(&self) -> Option<&'static str> {
        Some("--axis")
    }

    fn first_pass(&self) -> Result<(), JobError> {
        Ok(())
    }

    fn fold(&self, (): &(), units: Range<u64>, context: &mut FoldContext<'_>) -> Result<AxisPartial, JobError> {
        let Units::Cells { each, .. } = self.units else {
            return Ok(AxisPartial(Gathered::Unfinished(self.gather(units, self.cells(), context)?)));
        };
        let at_once = self.units_at_once(each);
        let mut finished = Cells::default();
        let mut start = units.start;
        while start < units.end {
            let end = units.end.min(start + at_once);
            let cells = self.gather(start..end, (end - start) * each, context)?;
            finished.merge(Cells::of(start * each, cells, &self.layout, self.ddof));
            start = end;
        }
        Ok(AxisPartial(Gathered::Finished(finished)))
    }

    fn merge(&self, into: &mut AxisPartial, from: AxisPartial) {
        match (&mut into.0, from.0) {
            (Gathered::Finished(into), Gathered::Finished(from)) => into.merge(from),
            (Gathered::Unfinished(into), Gathered::Unfinished(from)) => {
                into.iter_mut().zip(&from).for_each(|(into, from)| into.merge(from, &self.layout));
            }
            _ => unreachable!("partials of one job are of one kind"),
        }
    }

    fn next(&self, (): &(), merged: AxisPartial) -> Result<Next<()>, JobError> {
        let mut answer = self.answer(merged);
        if let Some(path) = &self.output {
            self.check_inputs()?;
            output::write(&answer, path)?;
            answer.written_to = Some(path.clone());
        }
        Ok(Next::Done(Box::new(answer)))
    }

    fn partial_bytes(&self) -> u64 {
        // Finished ones are counted as what comes out.
        let unfinished = match self.units {
            Units::Cells { each, .. } => self.units_at_once(each).min(self.units()).saturating_mul(each),
            Units::Steps => self.cells(),
        };
        unfinished.saturating_mul(UNFINISHED_BYTES)
    }

    fn check_inputs(&self) -> Result<(), JobError> {
        self.source.check()
    }
}
