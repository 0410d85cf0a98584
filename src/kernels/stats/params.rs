//! What a `stats` job names as its input, and what it asks: from here the kernel is bound.

use std::path::Path;
use std::sync::Arc;

use crate::input::{Dataset, InMemory, InputSpec, LeftOut, Source, concat, open};
use crate::job::{BindContext, Bound, JobError, JobParams, KindParams};
use crate::kernels::stats::{Column, Number, StatsKernel, StatsRequest};

/// A `stats` job, as it was asked for.
#[derive(Clone, Debug)]
pub struct StatsParams {
    /// The data.
    pub input: StatsInput,
    /// What is asked of it.
    pub request: StatsRequest,
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
        Self { input: StatsInput::Here(Arc::new(InMemory::new("values", values))), request }
    }

    /// Opens the input and gives the kernel. Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// Where an input cannot be read, the inputs are not of the same columns, or the request does not fit them.
    pub fn open(&self, base_dir: &Path) -> Result<StatsKernel, JobError> {
        let (columns, left_out, table) = match &self.input {
            StatsInput::Here(source) => (vec![Column { name: None, source: Arc::clone(source) }], Vec::new(), false),
            StatsInput::Files(specs) => {
                let chosen = specs.iter().any(|spec| spec.columns.is_some() || spec.var.is_some());
                let (columns, left_out) = together(specs, base_dir)?;
                let one = columns.len() == 1 && (chosen || columns[0].name.is_none());
                (columns, left_out, !one)
            }
        };
        Ok(StatsKernel::new(columns, table, self.request.clone())?.leaving_out(left_out))
    }
}

impl KindParams for StatsParams {
    const KIND: &'static str = super::KIND.name;
}

impl JobParams for StatsParams {
    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Kernel(Arc::new(self.open(&context.base_dir)?)))
    }

    fn input_files(&self) -> Vec<&Path> {
        match &self.input {
            StatsInput::Files(specs) => specs.iter().filter_map(|spec| spec.location.path()).collect(),
            StatsInput::Here(_) => Vec::new(),
        }
    }

    fn in_memory(&self) -> bool {
        matches!(self.input, StatsInput::Here(_))
    }
}

/// The columns of all inputs, each that of the first input followed by those of the same name in the others.
fn together(specs: &[InputSpec], base_dir: &Path) -> Result<(Vec<Column>, Vec<LeftOut>), JobError> {
    let datasets: Vec<Dataset> = specs.iter().map(|spec| open(spec, base_dir)).collect::<Result<_, _>>()?;
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
    Ok((columns, left_out))
}
