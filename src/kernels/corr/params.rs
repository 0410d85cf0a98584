//! What a `corr` job names as its input: from here the kernel is bound.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::input::{DType, InputSpec, LeftOut, Location, open_on};
use crate::job::{BindContext, Bound, Cause, JobError, JobParams, KindParams, Reach};
use crate::kernels::corr::{CorrKernel, KIND, Table, output};

/// A `corr` job, as it was asked for.
#[derive(Clone, Debug)]
pub struct CorrParams {
    /// The table.
    pub input: CorrInput,
    /// The other table, where its columns are compared with those of one.
    pub with: Option<CorrInput>,
    /// A file to write the matrix to, `.npy` or `.csv`.
    pub output: Option<PathBuf>,
}

/// Where a table comes from.
#[derive(Clone, Debug)]
pub enum CorrInput {
    /// A file to open.
    File(InputSpec),
    /// It is here already.
    Here(Table),
}

impl CorrParams {
    /// The columns of this table with each other.
    pub fn of(input: CorrInput) -> Self {
        Self { input, with: None, output: None }
    }

    /// Opens the input and gives the kernel. Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// Where an input cannot be read or is no table, the tables do not fit each other, or the output cannot be written to.
    pub fn open(&self, base_dir: &Path) -> Result<CorrKernel, JobError> {
        self.open_on(base_dir, 1)
    }

    /// [`open`](Self::open), where text is decoded on up to `threads` threads.
    ///
    /// # Errors
    /// See [`open`](Self::open).
    pub fn open_on(&self, base_dir: &Path, threads: usize) -> Result<CorrKernel, JobError> {
        let output = self.output.as_ref().map(|output| base_dir.join(output));
        if let Some(output) = &output {
            output::check_place(output, &self.input_files(), base_dir)?;
        }
        let (table, mut left_out) = self.input.table(base_dir, threads)?;
        let with = match &self.with {
            None => None,
            Some(with) => {
                let (with, more_left_out) = with.table(base_dir, threads)?;
                left_out.extend(more_left_out);
                Some(with)
            }
        };
        Ok(CorrKernel::new(table, with)?.leaving_out(left_out).writing_to(output))
    }
}

impl CorrInput {
    fn table(&self, base_dir: &Path, threads: usize) -> Result<(Table, Vec<LeftOut>), JobError> {
        let (table, left_out) = match self {
            Self::Here(table) => (table.clone(), Vec::new()),
            Self::File(spec) => {
                let dataset = open_on(spec, base_dir, threads)?;
                (Table::of(&dataset)?, dataset.left_out)
            }
        };
        let dtype = table.dtype();
        if DType::from_name(dtype.name()).is_none_or(|dtype| !KIND.variants.contains(&dtype.name())) {
            return Err(JobError::new(
                Cause::Unsupported,
                format!(
                    "{}: elements of {dtype} are not supported by corr: convert them to one of {}",
                    table.name(),
                    KIND.variants.join(", ")
                ),
            ));
        }
        Ok((table, left_out))
    }

    fn is_stdin(&self) -> bool {
        matches!(self, Self::File(spec) if spec.location == Location::Stdin)
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::File(spec) => spec.location.path(),
            Self::Here(_) => None,
        }
    }
}

impl KindParams for CorrParams {
    const KIND: &'static str = KIND.name;
}

impl JobParams for CorrParams {
    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Kernel(Arc::new(self.open_on(&context.base_dir, context.threads())?)))
    }

    fn input_files(&self) -> Vec<&Path> {
        [Some(&self.input), self.with.as_ref()].into_iter().flatten().filter_map(CorrInput::file).collect()
    }

    fn reach(&self) -> Reach<'_> {
        let reads_stdin = [Some(&self.input), self.with.as_ref()].into_iter().flatten().any(CorrInput::is_stdin);
        Reach::reading(self.input_files()).writing(self.output.as_deref()).from_standard_input(reads_stdin)
    }

    fn in_memory(&self) -> bool {
        let inputs = [Some(&self.input), self.with.as_ref()];
        self.output.is_none() && inputs.into_iter().flatten().all(|input| matches!(input, CorrInput::Here(_)))
    }
}
