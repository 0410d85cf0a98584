//! What a `stats` job names as its input, and what it asks: from here the kernel is bound.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::input::{Dataset, InMemory, InputSpec, LeftOut, Location, Shape, Source, concat, open, open_on};
use crate::job::{BindContext, Bound, JobError, JobParams, KindParams, Reach};
use crate::kernels::stats::{Axis, AxisKernel, Column, Number, StatsKernel, StatsRequest, axis};

/// A `stats` job, as it was asked for.
#[derive(Clone, Debug)]
pub struct StatsParams {
    /// The data.
    pub input: StatsInput,
    /// What is asked of it.
    pub request: StatsRequest,
    /// Along which axes, where the input is an array and not taken as a whole.
    pub along: Option<AlongAxes>,
}

/// Statistics along axes, an array of each.
#[derive(Clone, Debug)]
pub struct AlongAxes {
    /// The axes, one at least.
    pub axes: Vec<Axis>,
    /// A file to write the arrays to, `.npz` or `.npy`.
    pub output: Option<PathBuf>,
}

/// Where the data comes from.
#[derive(Clone, Debug)]
pub enum StatsInput {
    /// Inputs to open; several are one dataset, column after column of the same name.
    Files(Vec<InputSpec>),
    /// Numbers that are here already.
    Here(Arc<dyn Source>),
}

impl StatsParams {
    /// A job over values in memory.
    pub fn of_values<T: Number>(values: Vec<T>, request: StatsRequest) -> Self {
        Self { input: StatsInput::Here(Arc::new(InMemory::new("values", values))), request, along: None }
    }

    /// Opens the input and gives the kernel of a job that takes it as a whole. Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// Where an input cannot be read, the inputs are not of the same columns, or the request does not fit them.
    pub fn open(&self, base_dir: &Path) -> Result<StatsKernel, JobError> {
        self.open_on(base_dir, 1)
    }

    /// [`open`](Self::open), where text is decoded on up to `threads` threads.
    ///
    /// # Errors
    /// See [`open`](Self::open).
    pub fn open_on(&self, base_dir: &Path, threads: usize) -> Result<StatsKernel, JobError> {
        let mut request = self.request.clone();
        let (columns, left_out, table) = match &self.input {
            StatsInput::Here(source) => (vec![Column { name: None, source: Arc::clone(source) }], Vec::new(), false),
            StatsInput::Files(specs) => {
                let chosen = specs.iter().any(|spec| spec.columns.is_some() || spec.var.is_some());
                let Together { columns, left_out, window } = together(specs, base_dir, threads)?;
                // What is seen through a window is counted over all of it.
                if let (Some(histogram), Some(window)) = (&mut request.histogram, window) {
                    *histogram = histogram.or_over(window);
                }
                let one = columns.len() == 1 && (chosen || columns[0].name.is_none());
                (columns, left_out, !one)
            }
        };
        Ok(StatsKernel::new(columns, table, request)?.leaving_out(left_out))
    }

    /// Opens the input and gives the kernel of a job along axes. Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// Where an input cannot be read or is no array, has no such axes, or the output cannot be written to; and where more is asked than
    /// there is along axes.
    pub fn open_along(&self, along: &AlongAxes, base_dir: &Path) -> Result<AxisKernel, JobError> {
        let output = along.output.as_ref().map(|output| base_dir.join(output));
        if let Some(output) = &output {
            axis::check_place(output, &self.input_files(), base_dir)?;
        }
        self.request.check_along_axes().map_err(JobError::bad_input)?;
        let StatsInput::Files(specs) = &self.input else {
            return Err(JobError::bad_input("axes are those of arrays in files: `values` have none"));
        };
        let (source, shape) = array(specs, base_dir)?;
        Ok(AxisKernel::new(source, shape, &along.axes, &self.request)?.writing_to(output))
    }
}

impl KindParams for StatsParams {
    const KIND: &'static str = super::KIND.name;
}

impl JobParams for StatsParams {
    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        Ok(match &self.along {
            None => Bound::Kernel(Arc::new(self.open_on(&context.base_dir, context.threads())?)),
            Some(along) => Bound::Kernel(Arc::new(self.open_along(along, &context.base_dir)?)),
        })
    }

    fn input_files(&self) -> Vec<&Path> {
        match &self.input {
            StatsInput::Files(specs) => specs.iter().filter_map(|spec| spec.location.path()).collect(),
            StatsInput::Here(_) => Vec::new(),
        }
    }

    fn reach(&self) -> Reach<'_> {
        let reads_stdin = match &self.input {
            StatsInput::Files(specs) => specs.iter().any(|spec| spec.location == Location::Stdin),
            StatsInput::Here(_) => false,
        };
        let output = self.along.as_ref().and_then(|along| along.output.as_deref());
        Reach::reading(self.input_files()).writing(output).from_standard_input(reads_stdin)
    }

    fn in_memory(&self) -> bool {
        matches!(self.input, StatsInput::Here(_)) && self.along.is_none()
    }
}

/// What several inputs hold together.
struct Together {
    columns: Vec<Column>,
    left_out: Vec<LeftOut>,
    /// The limits of the window through which all of them are seen.
    window: Option<(f64, f64)>,
}

/// The columns of all inputs, each that of the first input followed by those of the same name in the others.
fn together(specs: &[InputSpec], base_dir: &Path, threads: usize) -> Result<Together, JobError> {
    let datasets: Vec<Dataset> = specs.iter().map(|spec| open_on(spec, base_dir, threads)).collect::<Result<_, _>>()?;
    let Some(first) = datasets.first() else {
        return Err(JobError::bad_input("no input: name a file at least"));
    };
    let names = |dataset: &Dataset| -> Vec<Option<String>> {
        dataset.columns.iter().map(|column| column.name.clone()).collect()
    };
    let listed = |dataset: &Dataset| -> String {
        let names = names(dataset);
        names.iter().map(|name| name.as_deref().unwrap_or("(no name)")).collect::<Vec<_>>().join(", ")
    };
    for (spec, dataset) in specs.iter().zip(&datasets).skip(1) {
        if names(dataset) != names(first) {
            return Err(JobError::bad_input(format!(
                "{} has the columns {}, but {} has {}: inputs taken together must have the same columns, in the same \
                 order; choose one of them by name",
                spec.location.name(base_dir),
                listed(dataset),
                specs[0].location.name(base_dir),
                listed(first),
            )));
        }
    }
    let column = |index: usize| {
        // What is asked of values does not depend on their order.
        let sources = datasets.iter().map(|dataset| {
            let source = &dataset.columns[index].source;
            source.as_stored().unwrap_or_else(|| Arc::clone(source))
        });
        Ok(Column { name: first.columns[index].name.clone(), source: concat(sources.collect())? })
    };
    let columns = (0..first.columns.len()).map(column).collect::<Result<_, JobError>>()?;
    // Of several inputs, what the first one to leave a column out says of it.
    let mut left_out: Vec<LeftOut> = Vec::new();
    for column in datasets.iter().flat_map(|dataset| &dataset.left_out) {
        if !left_out.iter().any(|known| known.name == column.name) {
            left_out.push(column.clone());
        }
    }
    let window = first.window.filter(|_| datasets.iter().all(|dataset| dataset.window == first.window));
    Ok(Together { columns, left_out, window })
}

/// The array of all inputs, one after the other along its first axis.
fn array(specs: &[InputSpec], base_dir: &Path) -> Result<(Arc<dyn Source>, Shape), JobError> {
    let mut whole: Option<Shape> = None;
    let mut sources = Vec::with_capacity(specs.len());
    for spec in specs {
        let name = spec.location.name(base_dir);
        let dataset = open(spec, base_dir)?;
        let ([column], Some(shape)) = (dataset.columns.as_slice(), dataset.shape) else {
            return Err(JobError::bad_input(format!(
                "{name}: is no array that has axes: those of .npy, NetCDF, HDF5 and DICOM do; of a table there are the statistics of each \
                 column without `axis`"
            )));
        };
        sources.push(Arc::clone(&column.source));
        let Some(whole) = &mut whole else {
            whole = Some(shape);
            continue;
        };
        let describe = |shape: &Shape| shape.axes.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let fits = shape.axes.len() == whole.axes.len()
            && !shape.axes.is_empty()
            && shape.axes[1..] == whole.axes[1..]
            && shape.dimensions == whole.dimensions;
        // One after the other in memory is one after the other along the first axis, where that is the slowest.
        let is_slowest = |shape: &Shape| !shape.fortran_order || shape.axes.len() == 1;
        if !fits || !is_slowest(&shape) || !is_slowest(whole) {
            let order = if fits { " in Fortran order" } else { "" };
            return Err(JobError::bad_input(format!(
                "{name} is an array of ({}){order}, and cannot follow one of ({}) along the first axis: arrays taken together are of \
                 one shape but for that axis, in C order",
                describe(&shape),
                describe(whole),
            )));
        }
        let too_many = || JobError::bad_input(format!("{name}: the arrays taken together are too long to count"));
        whole.axes[0] = whole.axes[0].checked_add(shape.axes[0]).ok_or_else(too_many)?;
    }
    let shape = whole.ok_or_else(|| JobError::bad_input("no input: name a file at least"))?;
    Ok((concat(sources)?, shape))
}
