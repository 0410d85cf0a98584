//! The [`Task`] trait: an irregular job, bound to its input.

use std::path::Path;
use std::sync::Arc;

use crate::device::DeviceId;
use crate::engine::{CancelFlag, Need};
use crate::job::{Cause, JobError};
use crate::kernels::Answer;
use crate::tasks::MemoryUse;
use crate::tasks::spill::Spill;

/// Where a stage of a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// On a thread of the CPU pool, whose lane it holds.
    Compute,
    /// On a thread outside the pool, while it holds a lane of the CPU: it waits for a program that computes.
    Process,
    /// On a thread outside the pool, and holds no lane: it waits for a network or a disk. Many run at once.
    Waiting,
    /// On a thread outside the pool, while it holds the GPU of this index, and nothing else: it waits for a program that computes
    /// there.
    Gpu(u32),
}

/// Several ways of doing the same, of which the engine picks one by what each has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variants {
    /// Under what the times of its like are remembered.
    pub name: Arc<str>,
    /// How much there is to do, in units of its own; 1 at least.
    pub size: u64,
    /// Whether it can be done on the CPU.
    pub cpu: bool,
    /// Whether it can be done on a GPU.
    pub gpu: bool,
}

/// How many of a group of tasks may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AtOnce {
    /// Which group; a number that no other group of this process has.
    pub group: u64,
    /// How many of it; 1 at least.
    pub max: usize,
}

/// What follows a stage of a task.
pub enum Step {
    /// This is the answer.
    Done(Box<dyn Answer>),
    /// This is the next stage.
    Then(Box<dyn Task>),
}

/// An irregular job, or the rest of one: a stage that runs where it says, and gives the answer or the next stage.
///
/// Stages let a job wait where waiting is free and compute where computing is fair: pages are fetched on [`Place::Waiting`]
/// and their links extracted on [`Place::Compute`], so that a slow site never holds the CPU.
pub trait Task: Send {
    /// Where this stage runs.
    fn place(&self) -> Place;

    /// Roughly how long this stage takes, in milliseconds: short work goes first, and the shortest runs in batches.
    fn expected_ms(&self) -> f64;

    /// How many of its like may run at once, where not as many as there is room for. Asked before the first stage; those that
    /// are too many hold no lane while they wait.
    fn at_once(&self) -> Option<AtOnce> {
        None
    }

    /// What it can be chosen from, where there is something to choose: it is settled on one before anything else is asked.
    fn variants(&self) -> Option<Variants> {
        None
    }

    /// The task settled on one of its [variants](Task::variants), to run on this device.
    ///
    /// # Errors
    /// Where it has no variant for that.
    fn settle(&self, on: DeviceId) -> Result<Box<dyn Task>, JobError> {
        Err(JobError::new(Cause::Unsupported, format!("this job has no variants to run on {on}")))
    }

    /// What memory this stage and those after it need together at most. It is reserved before this stage begins and given back
    /// when the job has ended; the first stage that needs some decides for all that follow. Next to nothing, if not said.
    fn need(&self) -> Need {
        Need::NONE
    }

    /// Runs this stage. Long loops call [`TaskContext::check`] now and then (every few milliseconds), so that they can be
    /// cancelled.
    ///
    /// # Errors
    /// Why the job failed.
    fn run(self: Box<Self>, context: &TaskContext<'_>) -> Result<Step, JobError>;
}

/// What a stage may know of the job that it belongs to.
#[derive(Debug)]
pub struct TaskContext<'a> {
    /// The job's name.
    pub id: &'a str,
    /// Its place in the run, from 0.
    pub index: u64,
    /// The wish to cancel it.
    pub cancel: &'a CancelFlag,
    /// The folder for what a job prints beyond what an outcome holds, where the run names one.
    pub outputs_dir: Option<&'a Path>,
    /// Where a stage whose need is [learned](Need::Learned) notes what it holds.
    pub memory: Option<&'a Arc<MemoryUse>>,
    /// What of the memory nobody has reserved, in bytes.
    pub(crate) room_bytes: u64,
}

impl<'a> TaskContext<'a> {
    /// What a stage may know of the job of this name and place.
    pub fn new(id: &'a str, index: u64, cancel: &'a CancelFlag, outputs_dir: Option<&'a Path>) -> Self {
        Self { id, index, cancel, outputs_dir, memory: None, room_bytes: u64::MAX }
    }

    /// Notes that it has held so much memory.
    pub(crate) fn held_memory(&self, peak_bytes: u64) {
        if let Some(memory) = self.memory {
            memory.note_peak(peak_bytes);
        }
    }

    /// Where a long stream of this job goes.
    pub(crate) fn spill(&self, stream: &str) -> Spill {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.=,".contains(c) { c } else { '_' };
        let id: String = self.id.chars().map(safe).take(100).collect();
        Spill { folder: self.outputs_dir.map(Path::to_owned), name: format!("{}-{id}.{stream}", self.index) }
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// That of a cancelled job, where somebody asked for it to end.
    pub fn check(&self) -> Result<(), JobError> {
        self.cancel.error().map_or(Ok(()), Err)
    }
}
