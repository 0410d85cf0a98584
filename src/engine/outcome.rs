//! How a job ended.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use crate::device::{DeviceId, Phases};
use crate::job::{Cause, JobError, JobHash};
use crate::kernels::Answer;
use crate::plan::Plan;

/// Where a job really ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RanOn {
    /// Nowhere: it failed before.
    Nowhere,
    /// On one device.
    One(DeviceId),
    /// On several.
    Split,
}

impl std::fmt::Display for RanOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nowhere => f.write_str("none"),
            Self::One(device) => device.fmt(f),
            Self::Split => f.write_str("split"),
        }
    }
}

/// Where the time of a job went. Phases are summed over devices and threads and then scaled to the wall clock, so that
/// `queued + phases.total()` is `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting: for a lane, for others of its batch, between its chunks.
    pub queued: Duration,
    /// Where the rest went.
    pub phases: Phases,
    /// How much of `phases.setup` was opening the job's own input, which no plan predicts.
    pub opening: Duration,
    /// From the begin of the engine to its submission: by this the jobs of a run lie beside each other.
    pub submitted: Duration,
    /// From its submission to its end.
    pub total: Duration,
    /// From its plan to its end, waiting included; zero where there was no plan.
    pub since_plan: Duration,
    /// What it took with the lanes that it was planned for to itself: the time of its chunks, added up and divided by the lanes. `None` where
    /// several devices shared it.
    pub own: Option<Duration>,
}

impl Timings {
    /// What a plan predicts: neither waiting, for a lane or for the others of a batch, nor opening the input.
    pub fn predictable(&self) -> Duration {
        self.phases.total().saturating_sub(self.opening)
    }
}

/// How a job ended: its answer or its error, and how it came to that.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its place in the run, from 0.
    pub index: u64,
    /// Its name.
    pub id: Arc<str>,
    /// Its kind; empty where the line was too broken to tell.
    pub kind: &'static str,
    /// The answer, or why there is none.
    pub result: Result<Arc<dyn Answer>, JobError>,
    /// Where it ran.
    pub ran_on: RanOn,
    /// Where its time went.
    pub timings: Timings,
    /// How often a chunk of it was begun anew because of a device, plus one.
    pub attempts: u32,
    /// The plan that it ran by; `None` where it failed before there was one.
    pub plan: Option<Arc<Plan>>,
    /// What tells whether a later run still has this job; `None` where the job did not begin, or nobody wants to know.
    pub hash: Option<JobHash>,
}

impl Outcome {
    /// The answer as the type that its kernel gives, such as
    /// [`StatsAnswer`](crate::kernels::stats::StatsAnswer).
    ///
    /// # Errors
    /// The job's own, where it failed; with cause [`Unsupported`](Cause::Unsupported) where its answer is of another type.
    pub fn answer<T: Answer>(&self) -> Result<&T, JobError> {
        let answer: &dyn Any = &**self.result.as_ref().map_err(JobError::clone)?;
        answer.downcast_ref().ok_or_else(|| {
            let asked = std::any::type_name::<T>();
            JobError::new(Cause::Unsupported, format!("the answer of {} `{}` is no {asked}", self.kind, self.id))
        })
    }
}

impl Outcome {
    /// The most memory that it held at once in a process of its own, in bytes, where that is known.
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        match &self.result {
            Ok(answer) => answer.peak_memory_bytes(),
            Err(error) => error.peak_memory_bytes,
        }
    }
}

/// Where outcomes go as they come, in no particular order.
pub trait OutcomeSink: Send + Sync {
    /// Takes the outcomes of jobs that ended together. Called from worker threads, so that rendering is done there; it
    /// may wait, which holds back the worker.
    fn accept(&self, outcomes: Vec<Outcome>);

    /// The job in this place begins to run. Not called for small ones, which run many in one go; nothing may wait here, since the
    /// engine does meanwhile.
    fn began(&self, _index: u64) {}

    /// Whether the outcome of this job, which is to begin, is there from an earlier run. It has succeeded then, counts as
    /// accepted, and the job is not run.
    fn keep(&self, _index: u64, _id: &str, _hash: JobHash) -> bool {
        false
    }
}
