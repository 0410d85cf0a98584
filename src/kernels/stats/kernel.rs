//! The kernel itself: columns bound to a request.

use std::ops::Range;
use std::sync::Arc;

use crate::input::{DType, InMemory, LeftOut, Source};
use crate::job::{Cause, JobError};
use crate::kernels::stats::cost::Cost;
use crate::kernels::stats::found::Setting;
use crate::kernels::stats::number::{Layout, Number, SUPPORTED};
use crate::kernels::stats::{
    ColumnPartial, MomentsUpTo, StatsAnswer, StatsPartial, StatsPass, StatsRequest, finish, fold, gpu,
};
use crate::kernels::{FoldContext, GpuCaps, GpuWork, Kernel, Next, Work};

/// One column of the data.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Its elements.
    pub source: Arc<dyn Source>,
}

/// A `stats` job: columns of one type and one length, and what is asked of each of them. A unit is a row.
#[derive(Clone, Debug)]
pub struct StatsKernel {
    columns: Vec<Column>,
    layout: Layout,
    rows: u64,
    request: StatsRequest,
    missing_keys: Option<(u64, u64)>,
    table: bool,
    left_out: Vec<LeftOut>,
}

impl StatsKernel {
    /// The job over these columns. Where `table`, the answer is a list of columns, else it is that of the one column.
    ///
    /// # Errors
    /// Where there is no column, columns differ in type or length, the type is not supported, or no element can equal the
    /// number that stands for a missing value.
    pub fn new(columns: Vec<Column>, table: bool, request: StatsRequest) -> Result<Self, JobError> {
        let Some(first) = columns.first() else {
            return Err(JobError::bad_input("the input has no column of numbers"));
        };
        let (dtype, rows) = (first.source.dtype(), first.source.len());
        if let Some(other) = columns.iter().find(|column| column.source.dtype() != dtype) {
            let other = &other.source;
            return Err(JobError::bad_input(format!(
                "{} is of {}, but {} is of {dtype}: all columns of a job are of one type",
                other.name(),
                other.dtype(),
                first.source.name(),
            )));
        }
        if let Some(other) = columns.iter().find(|column| column.source.len() != rows) {
            let other = &other.source;
            return Err(JobError::bad_input(format!(
                "{} has {} rows, but {} has {rows}: all columns of a job have one length",
                other.name(),
                other.len(),
                first.source.name(),
            )));
        }
        let layout = Layout::of(dtype).ok_or_else(|| unsupported(first.source.name(), dtype))?;
        let missing_keys = missing_keys(&layout, &request, first.source.name())?;
        Ok(Self { columns, layout, rows, request, missing_keys, table, left_out: Vec::new() })
    }

    /// The same job, whose answer tells of columns that it leaves out.
    #[must_use]
    pub fn leaving_out(mut self, left_out: Vec<LeftOut>) -> Self {
        self.left_out = left_out;
        self
    }

    /// The job over values in memory.
    ///
    /// ```
    /// use tandem::kernels::stats::{StatsKernel, StatsRequest};
    /// let job = StatsKernel::of_values(vec![1e8 + 1.0, 1e8 + 2.0, 1e8 + 3.0], StatsRequest::default()).unwrap();
    /// assert_eq!(job.answer_here().unwrap().columns[0].variance, Some(1.0));
    /// ```
    ///
    /// # Errors
    /// Where no element can equal the number that stands for a missing value.
    pub fn of_values<T: Number>(values: Vec<T>, request: StatsRequest) -> Result<Self, JobError> {
        let source = Arc::new(InMemory::new("values", values));
        Self::new(vec![Column { name: None, source }], false, request)
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What is fixed for the columns' type.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The least and the greatest key of elements that count as NaN though they are numbers.
    pub fn missing_keys(&self) -> Option<(u64, u64)> {
        self.missing_keys
    }

    /// Runs the whole job on the calling thread.
    ///
    /// # Errors
    /// Those of [`Kernel::fold`] and [`Kernel::next`].
    pub fn answer_here(&self) -> Result<StatsAnswer, JobError> {
        let mut scratch = crate::input::Scratch::default();
        let mut pass = self.first_pass()?;
        loop {
            let mut context = FoldContext { isa: crate::kernels::Isa::detect(), scratch: &mut scratch };
            let partial = self.fold(&pass, 0..self.rows, &mut context)?;
            pass = self.following(&pass, partial)?;
            if pass.columns.iter().all(super::ColumnPass::is_idle) {
                self.check_inputs()?;
                return self.answer(&pass);
            }
        }
    }

    fn setting(&self) -> Setting<'_> {
        Setting {
            layout: &self.layout,
            request: &self.request,
            rows: self.rows,
            columns: self.columns.len(),
            missing: self.missing_keys,
        }
    }

    /// The pass that follows; where every column of it is idle, all is found.
    fn following(&self, pass: &StatsPass, merged: StatsPartial) -> Result<StatsPass, JobError> {
        let (setting, mut columns) = (self.setting(), Vec::with_capacity(self.columns.len()));
        for ((column, pass), partial) in self.columns.iter().zip(&pass.columns).zip(merged.columns) {
            let next = setting.next_pass(pass, partial).map_err(|error| {
                let place = match &column.name {
                    Some(name) => format!("{}, column {name}", column.source.name()),
                    None => column.source.name().to_owned(),
                };
                JobError::new(error.cause, format!("{place}: {}", error.message))
            })?;
            columns.push(next);
        }
        Ok(StatsPass { columns })
    }

    fn answer(&self, pass: &StatsPass) -> Result<StatsAnswer, JobError> {
        let columns = self.columns.iter().zip(&pass.columns);
        let columns = columns.map(|(column, pass)| finish::column(column, &self.layout, &self.request, &pass.found));
        Ok(StatsAnswer { columns: columns.collect(), table: self.table, left_out: self.left_out.clone() })
    }
}

/// The least and the greatest key of elements that count as NaN though they are numbers.
///
/// # Errors
/// Where no element of the input can equal the number that stands for a missing value.
pub(super) fn missing_keys(
    layout: &Layout,
    request: &StatsRequest,
    name: &str,
) -> Result<Option<(u64, u64)>, JobError> {
    let Some(number) = &request.missing else { return Ok(None) };
    let keys = layout.keys_equal_to(number).map_err(|why| {
        JobError::bad_input(format!(
            "{name}: the missing value {number} {why}, the type of the data: leave it out, or give a number that the data can \
             hold"
        ))
    })?;
    Ok(Some(keys.into_inner()))
}

/// The error for input of a type that `stats` does not compute on.
pub(super) fn unsupported(name: &str, dtype: DType) -> JobError {
    let supported: Vec<&str> = SUPPORTED.iter().map(|layout| layout.dtype.name()).collect();
    JobError::new(
        Cause::Unsupported,
        format!(
            "{name}: elements of {dtype} are not supported by stats: convert them to one of {}",
            supported.join(", ")
        ),
    )
}

impl Kernel for StatsKernel {
    type Pass = StatsPass;
    type Partial = StatsPartial;

    fn work(&self) -> Work {
        let columns = self.columns.len();
        let Cost { mut variant, passes, mut ns_per_row } = Cost::of(&self.layout, &self.request, self.rows, columns);
        let bytes = self.layout.dtype.size_bytes() * columns;
        let decoding_ns: f64 = self.columns.iter().map(|column| column.source.decoding_ns()).sum();
        if decoding_ns > 0.0 {
            variant.push_str(" decoded");
            ns_per_row += decoding_ns;
        }
        Work {
            kernel: "stats",
            variant,
            units: self.rows,
            granularity: 1,
            bytes_per_unit: bytes as f64,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: ns_per_row,
            passes,
            // Third and fourth powers are gathered on CPUs only.
            gpu: self.request.moments == MomentsUpTo::Variance,
        }
    }

    fn cpu_only(&self) -> Option<&'static str> {
        (self.request.moments != MomentsUpTo::Variance).then_some("--moments 4")
    }

    fn first_pass(&self) -> Result<StatsPass, JobError> {
        let setting = self.setting();
        let columns = self.columns.iter().map(|column| setting.first_pass(column));
        Ok(StatsPass { columns: columns.collect::<Result<_, _>>()? })
    }

    fn fold(
        &self,
        pass: &StatsPass,
        units: Range<u64>,
        context: &mut FoldContext<'_>,
    ) -> Result<StatsPartial, JobError> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (column, pass) in self.columns.iter().zip(&pass.columns) {
            let mut partial = ColumnPartial::empty(pass, &self.layout);
            if !pass.is_idle() {
                fold::column(self, column, pass, units.clone(), context, &mut partial)?;
            }
            columns.push(partial);
        }
        Ok(StatsPartial { columns })
    }

    fn merge(&self, into: &mut StatsPartial, from: StatsPartial) {
        for (into, from) in into.columns.iter_mut().zip(&from.columns) {
            into.merge(from);
        }
    }

    fn next(&self, pass: &StatsPass, merged: StatsPartial) -> Result<Next<StatsPass>, JobError> {
        let next = self.following(pass, merged)?;
        if next.columns.iter().all(super::ColumnPass::is_idle) {
            return Ok(Next::Done(Box::new(self.answer(&next)?)));
        }
        Ok(Next::Pass(next))
    }

    fn gpu_work(&self, pass: &StatsPass, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        gpu::work(self, pass, units, caps)
    }

    fn gpu_partial(&self, pass: &StatsPass, units: Range<u64>, outputs: &[Vec<u32>]) -> Result<StatsPartial, JobError> {
        gpu::partial(self, pass, units, outputs)
    }

    fn inputs(&self) -> Vec<Arc<dyn Source>> {
        self.columns.iter().map(|column| column.source.clone()).collect()
    }

    fn check_inputs(&self) -> Result<(), JobError> {
        self.columns.iter().try_for_each(|column| column.source.check())
    }
}
