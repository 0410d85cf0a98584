//! A job as it was asked for, before any file is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::job::{EarlierResults, JobError, JobHash, Reach, Terms};
use crate::kernels::DynKernel;
use crate::tasks::Task;
use crate::tasks::command::Workers;

/// Where a job is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DeviceChoice {
    /// Wherever it is predicted to end first.
    #[default]
    Auto,
    /// On the CPU.
    Cpu,
    /// On the best GPU; an error where there is none.
    Gpu,
    /// On the GPU of this index; an error where it is not there.
    GpuIndex(u32),
    /// On the CPU and every usable GPU together; an error where there is no GPU.
    Split,
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu => f.write_str("gpu"),
            Self::GpuIndex(index) => write!(f, "gpu:{index}"),
            Self::Split => f.write_str("split"),
        }
    }
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            "split" => Ok(Self::Split),
            _ => text
                .strip_prefix("gpu:")
                .and_then(|index| index.parse().ok())
                .map(Self::GpuIndex)
                .ok_or_else(|| format!("unknown device `{text}`: use auto, cpu, gpu, gpu:N or split")),
        }
    }
}

/// What a kind's parameters need to become a kernel that can run.
#[derive(Clone, Debug, Default)]
pub struct BindContext {
    /// The folder that relative paths start from; empty for the current one.
    pub base_dir: PathBuf,
    /// The folder for what jobs print beyond what an outcome holds; `None` for one of this process's own among the temporary
    /// files, made when it is needed and left there, since outcomes name what is in it.
    pub outputs_dir: Option<PathBuf>,
    /// The long-lived workers of the run; they end when nobody holds its context any more.
    pub(crate) workers: Workers,
    /// Threads that a job may use while it reads its input; 0 is one.
    pub threads: usize,
    /// The outcomes of the run so far, for jobs that take values from them; `None` where they are not kept.
    pub results: Option<Arc<dyn EarlierResults>>,
}

impl BindContext {
    /// Relative paths start from `base_dir`.
    pub fn in_folder(base_dir: impl Into<PathBuf>) -> Self {
        Self { base_dir: base_dir.into(), ..Self::default() }
    }

    /// Threads that a job may use while it reads its input.
    pub fn threads(&self) -> usize {
        self.threads.max(1)
    }
}

/// A job that can run.
pub enum Bound {
    /// A uniform job, cut into chunks and run on any device.
    Kernel(Arc<dyn DynKernel>),
    /// An irregular job, run whole on the CPU.
    Task(Box<dyn Task>),
}

impl Bound {
    /// The kernel; `None` where it is a task.
    pub fn kernel(self) -> Option<Arc<dyn DynKernel>> {
        match self {
            Self::Kernel(kernel) => Some(kernel),
            Self::Task(_) => None,
        }
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kernel(_) => "a kernel",
            Self::Task(_) => "a task",
        })
    }
}

/// The parameters of one kind of job: what stands in the job file or on the command line, checked as far as that goes
/// without opening anything.
pub trait JobParams: Send + Sync + std::fmt::Debug {
    /// Whether binding costs next to nothing, since all input is here already: such jobs are bound many at a time.
    fn in_memory(&self) -> bool {
        false
    }

    /// The files that the result depends on, as they are named in the job; a relative path starts from the context's folder.
    fn input_files(&self) -> Vec<&Path> {
        Vec::new()
    }

    /// What it touches outside itself.
    fn reach(&self) -> Reach<'_> {
        Reach::reading(self.input_files())
    }

    /// Opens the inputs and gives what runs, valid and bounded.
    ///
    /// # Errors
    /// Where an input is missing or malformed, or the parameters do not fit it.
    fn bind(&self, context: &BindContext) -> Result<Bound, JobError>;

    /// The same with the values that it takes from the results of other jobs, which have to have succeeded; `None` where it takes
    /// none.
    ///
    /// # Errors
    /// Where a value is not there, or makes no parameters.
    fn with_results(&self, context: &BindContext) -> Option<Result<Box<dyn JobParams>, JobError>> {
        let _ = context;
        None
    }

    /// The places in the run of the jobs whose results it takes values from; they have to have succeeded when it is bound.
    fn results_of(&self) -> Vec<u64> {
        Vec::new()
    }
}

/// Parameters that know whose they are: a [`Job`](crate::runner::Job) can be made of them as they stand.
pub trait KindParams: JobParams {
    /// The name of their kind in the registry.
    const KIND: &'static str;
}

/// A job as it was asked for: syntax only.
#[derive(Debug)]
pub struct JobSpec {
    /// Its place in the run, from 0.
    pub index: u64,
    /// Its name: given, or `#` and the number of its line.
    pub id: Arc<str>,
    /// The name of its kind.
    pub kind: &'static str,
    /// Where it asks to run; `None` leaves it to the run's own setting.
    pub device: Option<DeviceChoice>,
    /// What it asks of the run.
    pub terms: Terms,
    /// The hash of its line, where its outcome is to be found again by a later run.
    pub content: Option<JobHash>,
    /// What its kind needs to know.
    pub params: Box<dyn JobParams>,
}
