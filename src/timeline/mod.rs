//! What a run did when: who worked on which job from when to when, and how memory and queue went meanwhile. A real run
//! records one, a simulated one makes one; reports and traces are drawn from either. Times count from the begin of the run.

mod levels;
mod line;
mod thin;

use std::sync::Arc;
use std::time::Duration;

use crate::device::DeviceId;

pub use levels::Levels;
pub use line::Foreseen;
pub(crate) use line::{LastPlan, beginning, device_of};
pub use thin::join_neighbours;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Who worked, in the order in which they are shown.
    pub tracks: Vec<Track>,
    /// What they did, by its begin.
    pub spans: Vec<Span>,
    /// The jobs, in the order of their places in the run; of a run that was stopped, those that had an outcome.
    pub jobs: Vec<JobLine>,
    /// How many jobs have no line, of a run of millions; those that failed have theirs as long as there are not millions of them too.
    pub unlisted: u64,
    /// How much memory was spoken for, in bytes, whenever that changed.
    pub memory: Vec<(Duration, u64)>,
    /// How much memory jobs might take together, in bytes, where that is known.
    pub budget_bytes: Option<u64>,
    /// How many jobs had been submitted and had not begun, whenever that changed; thinned out where that is often.
    pub queue: Vec<(Duration, u64)>,
    /// How long all of it took.
    pub makespan: Duration,
    /// Neighbouring spans that are together no longer than this were joined, since there were so many; zero where all are told apart.
    pub joined: Duration,
}

impl Timeline {
    /// The job of this index.
    pub fn job(&self, index: u64) -> Option<&JobLine> {
        self.jobs.binary_search_by_key(&index, |job| job.index).ok().map(|at| &self.jobs[at])
    }
}

/// One who works on one thing at a time: a thread of the CPU, a GPU's queue, a place of those who wait outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// As it is shown: `cpu 3`, `gpu:0`, `waiting 1`.
    pub name: String,
    /// The device; `None` for those who only wait: for a child process or for an answer from afar.
    pub device: Option<DeviceId>,
}

/// Work on one thing without a break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The place of its track in [`Timeline::tracks`].
    pub track: u32,
    /// When it began.
    pub begin: Duration,
    /// When it ended.
    pub end: Duration,
    /// The job's index in the run; of a batch, that of its first.
    pub job: u64,
    /// How many jobs: more than one for a batch of small ones.
    pub jobs: u32,
    /// What was done: `chunk`, `batch`, or the name of a stage.
    pub what: &'static str,
}

/// One job, as the report tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct JobLine {
    /// Its index in the run.
    pub index: u64,
    /// Its name.
    pub id: Arc<str>,
    /// Its kind.
    pub kind: &'static str,
    /// Why it failed, as a [`Cause`](crate::job::Cause)'s name; `None` where it succeeded.
    pub cause: Option<&'static str>,
    /// What went wrong, the beginning of it; `None` where it succeeded, and where very many had failed before it.
    pub message: Option<Arc<str>>,
    /// Where it ran: `cpu`, `gpu:0`, `split`, or `none`.
    pub ran_on: String,
    /// When it was submitted.
    pub submitted: Duration,
    /// How long it waited in all.
    pub queued: Duration,
    /// When it ended.
    pub ended: Duration,
    /// What it took, waiting left out.
    pub took_ms: f64,
    /// What it took with its lanes to itself: the time of its chunks by the lanes that its plan gave it. `None` where it ran elsewhere than
    /// planned, or on several devices.
    pub own_ms: Option<f64>,
    /// From its plan to its end, waiting included.
    pub since_plan_ms: f64,
    /// What its plan foresaw; `None` where nothing was predicted, or it failed.
    pub foreseen: Option<Arc<Foreseen>>,
}
