//! The library's face: submit jobs, wait for outcomes, map over many, spawn what is irregular.
//!
//! ```
//! use tandem::runner::{Job, Runner};
//!
//! let runner = Runner::builder().model(tandem::model::Location::Nowhere).build()?;
//! let outcome = runner.submit(Job::parse(r#"{"kind":"primes","numbers":[97, 91]}"#)?).wait();
//! let answer = outcome.result?;
//! assert_eq!(answer.summary(), "1 of 2 prime");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod handle;
mod inputs;
mod job;
mod map;
mod router;
mod stream;

pub use builder::{RunnerBuilder, SetupError};
pub use handle::{JobHandle, TaskHandle};
pub use job::Job;
pub use map::Map;
pub use stream::{Incoming, StreamOptions, Streamed};

use std::sync::Arc;

use crate::engine::{CancelFlag, Engine, OutcomeSink, Verification, catch};
use crate::job::{BindContext, Cause, JobError, JobSpec};
use crate::plan::Plan;
use handle::Promise;

/// Runs jobs on the devices of this machine. Cheap to share by reference; dropping it waits for everything submitted
/// and keeps what was learned.
#[derive(Debug)]
pub struct Runner {
    pub(crate) engine: Engine,
    context: Arc<BindContext>,
}

impl Runner {
    /// A runner to be set up.
    pub fn builder() -> RunnerBuilder {
        RunnerBuilder::default()
    }

    /// Submits a job and returns at once.
    pub fn submit(&self, job: Job) -> JobHandle {
        let promise = Promise::new();
        let cancel = CancelFlag::default();
        self.enqueue(job, 0, cancel.clone(), promise.clone());
        JobHandle { promise, cancel, wake: Arc::new(self.engine.canceller()) }
    }

    /// Runs many jobs: an iterator over their outcomes, in the order of the jobs (or
    /// [as they complete](Map::as_completed)), with bounded look-ahead.
    ///
    /// ```
    /// use tandem::runner::{Job, Runner};
    /// let runner = Runner::builder().model(tandem::model::Location::Nowhere).build()?;
    /// let jobs = [7_u64, 8, 9].map(|n| Job::parse(&format!(r#"{{"kind":"primes","numbers":[{n}]}}"#)));
    /// let jobs = jobs.into_iter().collect::<Result<Vec<_>, _>>()?;
    /// let prime: Vec<String> = runner.map(jobs).map(|outcome| outcome.result.unwrap().summary()).collect();
    /// assert_eq!(prime, ["1 of 1 prime", "0 of 1 prime", "0 of 1 prime"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map<I: IntoIterator<Item = Job>>(&self, jobs: I) -> Map<'_, I::IntoIter> {
        Map::new(self, jobs.into_iter())
    }

    /// Runs a closure, for work that is no kernel, on one of the CPU threads that the kernels use too.
    ///
    /// A closure that waits for another job or closure of the same runner holds its thread meanwhile; where all threads
    /// wait like that, nobody is left to run what they wait for. Wait outside, or chain with futures.
    ///
    /// ```
    /// use tandem::runner::Runner;
    /// let runner = Runner::builder().model(tandem::model::Location::Nowhere).build()?;
    /// let words = runner.spawn(|| "to be or not to be".split(' ').count());
    /// assert_eq!(words.wait()?, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn<T: Send + 'static>(&self, closure: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
        let promise = Promise::new();
        let put = promise.clone();
        self.engine.spawn(move || put.put(catch(closure).map_err(|panic| JobError::new(Cause::Panic, panic))));
        TaskHandle { promise }
    }

    /// Where a job would run and why, without running it.
    ///
    /// # Errors
    /// Where its input cannot be opened, or it cannot run as it asks.
    pub fn plan(&self, job: &Job) -> Result<Plan, JobError> {
        self.engine.plan(&*job.params, job.device, &self.context)
    }

    /// Runs a job on one thread, all threads, every allowed GPU and random splits (from `seed`), and compares the bytes
    /// of its result.
    ///
    /// # Errors
    /// Where its input cannot be opened, or one of the runs fails.
    pub fn verify(&self, job: &Job, seed: u64) -> Result<Verification, JobError> {
        self.engine.verify(&*job.params, job.device, &self.context, seed)
    }

    /// The engine, for what goes beyond jobs: its devices and its model.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What its jobs are bound with.
    pub fn context(&self) -> &Arc<BindContext> {
        &self.context
    }

    pub(crate) fn enqueue(&self, job: Job, index: u64, cancel: CancelFlag, sink: Arc<dyn OutcomeSink>) {
        let id = job.id.unwrap_or_else(|| format!("#{}", index + 1).into());
        let spec = JobSpec {
            index,
            id,
            kind: job.kind,
            device: job.device,
            terms: job.terms,
            content: None,
            params: job.params,
        };
        self.engine.submit(spec, self.context.clone(), cancel, sink);
    }
}
