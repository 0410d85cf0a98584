//! What reaches the coordinator, and what it keeps of the work that is under way.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::device::{ChunkDone, Device, DeviceError, DeviceId, Phases};
use crate::engine::batch::{Bound, Leftover};
use crate::engine::dispatch::Ticket as LaneTicket;
use crate::engine::fused::Fused;
use crate::engine::queue::Class;
use crate::engine::running::{PassEnd, Running};
use crate::engine::stage::Staged;
use crate::engine::ticket::Ticket;
use crate::input::Scratch;
use crate::job::JobError;
use crate::kernels::{Answer, DynPartial, Work};
use crate::plan::Plan;
use crate::tasks::Place;

/// What reaches the coordinator.
pub(crate) enum Message {
    /// Tickets lie in the inbox.
    Submitted,
    /// A closure of the user's, which catches its own panics.
    Closure(Box<dyn FnOnce() + Send>),
    /// Somebody cancelled something.
    Cancelled,
    /// A batch ended.
    BatchEnded { lane: LaneTicket, elapsed: Duration, leftover: Leftover },
    /// A batch of jobs that had been bound before ended, so many.
    BoundEnded { lane: LaneTicket, elapsed: Duration, ended: usize },
    /// A stage of an irregular job was run, and this one follows.
    Staged(Box<Staged>),
    /// A shift of stages is over.
    ShiftEnded { held: Held, elapsed: Duration },
    /// A closure returned.
    ClosureEnded { lane: LaneTicket, elapsed: Duration },
    /// A chunk was folded, or not.
    Chunk { key: u64, lane: LaneTicket, result: Result<Folded, DeviceError> },
    /// A pass was ended.
    PassEnded { key: u64, result: Result<PassEnd, JobError> },
    /// The search for GPUs is over.
    Searched,
    /// A device that was set aside is to be tried again.
    TryAgain(DeviceId),
    /// A job has given back its share of the memory.
    Released { key: u64, succeeded: bool, peak_bytes: Option<u64> },
    /// One of those of which only so many run at once has ended, or is not under way any more.
    PlaceFree,
    /// Nobody submits any more: end when all is done.
    Close,
}

/// What a shift of stages holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Held {
    /// A lane.
    Lane(LaneTicket),
    /// A GPU, alone, for one job.
    Gpu(LaneTicket),
    /// None, since stages of this place run outside all lanes.
    Nothing(Place),
}

/// A chunk that was folded.
pub(crate) struct Folded {
    pub phases: Phases,
    pub resident: bool,
    /// What is still to be merged: nothing, where the lane could do that itself.
    pub partial: Option<DynPartial>,
}

/// What a job of dispatch is.
pub(crate) enum Item {
    /// Small jobs, until they run.
    Batch(Vec<Ticket>),
    /// Small jobs that were bound, but not run as one with others, until they run.
    Bound(Vec<Bound>),
    /// A user's closure, until it runs.
    Closure(Box<dyn FnOnce() + Send>),
    /// A turn at the stages that wait for a lane, until it has one.
    Shift { expected_ms: f64 },
    /// An irregular job that waits for its GPU.
    OnGpu(Box<Staged>),
    /// A batch, closure, shift or irregular job that runs.
    Begun,
    /// A large job.
    Large(Box<Large>),
    /// Jobs that run as one.
    Fused(Box<Fused>),
}

impl Item {
    /// What lanes fold, of what is folded in chunks.
    pub fn running(&self) -> Option<&Arc<Running>> {
        match self {
            Self::Large(large) => Some(&large.running),
            Self::Fused(fused) => Some(&fused.running),
            _ => None,
        }
    }

    /// It has its answer.
    pub fn set_answer(&mut self, answer: Arc<dyn Answer>) {
        match self {
            Self::Large(large) => large.answer = Some(answer),
            Self::Fused(fused) => fused.answer = Some(answer),
            _ => {}
        }
    }
}

/// A large job.
pub(crate) struct Large {
    pub running: Arc<Running>,
    pub ticket: Ticket,
    pub work: Work,
    pub plan: Arc<Plan>,
    /// How long opening its input took.
    pub opening: Duration,
    /// What it counts as.
    pub class: Class,
    /// Whether a chunk of it was given to a lane.
    pub begun: bool,
    /// When dispatch got it.
    pub admitted: Instant,
    /// Its answer, once there is one.
    pub answer: Option<Arc<dyn Answer>>,
}

/// Folds a chunk and, where nobody else can have been given it meanwhile, merges it on the spot. That is the case for
/// the CPU, which is never set aside, and for a device of one lane, which is set aside by its only chunk.
pub(crate) fn fold_on(
    running: &Running,
    device: &dyn Device,
    units: Range<u64>,
    scratch: &mut Scratch,
) -> Result<Folded, DeviceError> {
    let info = device.info();
    let ChunkDone { partial, phases, resident } = running.fold(device, units, scratch)?;
    if info.id == DeviceId::Cpu || info.lanes == 1 {
        running.absorb(partial)?;
        return Ok(Folded { phases, resident, partial: None });
    }
    Ok(Folded { phases, resident, partial: Some(partial) })
}
