//! A job as a library user makes it.

use std::sync::Arc;
use std::time::Duration;

use crate::job::{BindContext, Bound, DeviceChoice, JobError, JobFile, JobParams, KindParams, Terms};
use crate::kernels::{DynKernel, Kernel};

/// A job to submit: a kind's parameters, and optionally a name and a device.
///
/// ```
/// use tandem::runner::Job;
/// let job = Job::parse(r#"{"kind":"primes","numbers":[97, 91]}"#)?.with_id("mine");
/// # Ok::<(), tandem::job::JobError>(())
/// ```
///
/// Parameters made in Rust become a job too:
///
/// ```
/// use tandem::kernels::stats::{StatsAnswer, StatsParams, StatsRequest};
/// use tandem::runner::{Job, Runner};
///
/// let runner = Runner::builder().model(tandem::model::Location::Nowhere).build()?;
/// let values = vec![1e8_f64 + 1.0, 1e8 + 2.0, 1e8 + 3.0];
/// let outcome = runner.submit(Job::from(StatsParams::of_values(values, StatsRequest::default()))).wait();
/// assert_eq!(outcome.answer::<StatsAnswer>()?.columns[0].variance, Some(1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Job {
    pub(crate) id: Option<Arc<str>>,
    pub(crate) kind: &'static str,
    pub(crate) device: Option<DeviceChoice>,
    pub(crate) terms: Terms,
    pub(crate) params: Box<dyn JobParams>,
}

impl Job {
    /// A job of the registered kind `kind`.
    pub fn new(kind: &'static str, params: Box<dyn JobParams>) -> Self {
        Self { id: None, kind, device: None, terms: Terms::default(), params }
    }

    /// A job from one line of a job file.
    ///
    /// # Errors
    /// With cause [`BadInput`](crate::job::Cause::BadInput), line and column, where the line is malformed.
    pub fn parse(line: &str) -> Result<Self, JobError> {
        let mut lines = JobFile::new("job", line.as_bytes());
        match (lines.next(), lines.next()) {
            (Some(Ok(spec)), None) if spec.terms.retries.is_some_and(|retries| retries > 0) => Err(
                JobError::bad_input("`retries` is for the jobs of a job file: submit the job again where it failed"),
            ),
            (Some(Ok(spec)), None) => {
                let id = Some(spec.id).filter(|id| !id.starts_with('#'));
                Ok(Self { id, kind: spec.kind, device: spec.device, terms: spec.terms, params: spec.params })
            }
            (Some(Err(bad)), None) => Err(bad.error),
            (None, _) => Err(JobError::bad_input("an empty line is no job")),
            (Some(_), Some(_)) => Err(JobError::bad_input(
                "more than one job: parse each line by itself, and a line with a matrix as a job::JobFile",
            )),
        }
    }

    /// A job that runs a kernel of one's own. *Unstable*, as [`Kernel`] is.
    pub fn kernel(kernel: impl Kernel) -> Self {
        let kernel: Arc<dyn DynKernel> = Arc::new(kernel);
        Self::new(kernel.work().kernel, Box::new(Ready(kernel)))
    }

    /// Its parameters.
    pub fn params(&self) -> &dyn JobParams {
        &*self.params
    }

    /// The same job with a name; without one it is called `#` and its number in the run.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same job on this device, whatever the runner's own setting.
    #[must_use]
    pub fn on(mut self, device: DeviceChoice) -> Self {
        self.device = Some(device);
        self
    }
}

impl Job {
    /// The same job with so much time, counted from its begin; it ends with cause [`Timeout`](crate::job::Cause::Timeout)
    /// where that is not enough.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.terms.timeout = Some(limit);
        self
    }

    /// The same job with so much memory reserved before it begins. Where that is more than the runner may take, it fails with
    /// cause [`Memory`](crate::job::Cause::Memory).
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.terms.memory_bytes = Some(bytes);
        self
    }

    /// The same job before all of lower priority that have not begun; 0 is usual.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.terms.priority = priority;
        self
    }
}

impl<P: KindParams + 'static> From<P> for Job {
    fn from(params: P) -> Self {
        Self::new(P::KIND, Box::new(params))
    }
}

/// A kernel that is bound already.
struct Ready(Arc<dyn DynKernel>);

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a kernel")
    }
}

impl JobParams for Ready {
    fn in_memory(&self) -> bool {
        true
    }

    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Kernel(self.0.clone()))
    }
}
